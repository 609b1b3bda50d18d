"""The builder: what it writes is exact and valid, and what would not work for a student is refused."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.utils import compute_checksum
from small_lesson import LESSON, SmallCourse

from rlcourse import checker
from rlcourse.lessons import build, paths
from rlcourse.lessons.build import BuildError, build_notebook
from rlcourse.lessons.notebook import is_untouched

BAD = Path(__file__).parent / "bad_lessons"
ROOT = Path(__file__).parents[2]


class OneExercise(SmallCourse):
    """The declarations of the bad lessons: 0.1 discounted_return and 5.4 q_learning_target."""

    exercises = SmallCourse.exercises[:2]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "05_small.py"
    path.write_text(LESSON, encoding="utf-8")
    return path


@pytest.fixture
def nb(source):
    return build_notebook(source, registry=SmallCourse())


def cells(nb):
    return {cell.id: cell for cell in nb.cells}


# ------------------------------------------------------------------------------ what is written


def test_the_answer_becomes_a_stub_and_the_rest_stays(nb):
    assert cells(nb)["exercise-q_learning_target"].source == (
        "def q_learning_target(reward, q_next, terminated, gamma):\n"
        '    """Target of Q-learning, shape (B,) (5.4)."""\n'
        '    raise NotImplementedError("Exercise 5.4: q_learning_target")'
    )
    assert len(nb.cells) == 1 + LESSON.count("# %%")


def test_the_solved_notebook_keeps_the_answer_without_the_markers(source):
    solved = build_notebook(source, solved=True, registry=SmallCourse())
    answer = cells(solved)["exercise-td_error"].source
    assert answer.endswith('target."""\n    return target - value')
    assert "SOLUTION" not in nbformat.writes(solved)
    released = build_notebook(source, registry=SmallCourse())
    assert is_untouched(cells(released)["exercise-td_error"])
    assert not is_untouched(cells(solved)["exercise-td_error"])


def test_nbgrader_accepts_the_notebook_and_its_checksums(nb):
    nbformat.validate(nb)
    MetadataValidator().validate_nb(nb)
    graded = [cell for cell in nb.cells if "nbgrader" in cell.metadata]
    assert len(graded) == 6
    for cell in graded:
        assert cell.metadata.nbgrader.checksum == compute_checksum(cell)


def test_the_first_cell_says_what_to_install_where_the_course_is_missing(nb, tmp_path):
    first = next(cell for cell in nb.cells if cell.cell_type == "code")
    there = subprocess.run([sys.executable, "-c", first.source], cwd=ROOT, capture_output=True)
    assert (there.returncode, there.stdout, there.stderr) == (0, b"", b"")
    # Without site-packages, and outside of the checkout.
    missing = subprocess.run(
        [sys.executable, "-I", "-S", "-c", first.source],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    (said,) = [line for line in missing.stderr.splitlines() if line.startswith("ModuleNotFound")]
    assert "%pip install rlcourse " in said
    assert "During handling" not in missing.stderr and "No module named" not in missing.stderr


def test_answer_cells_are_editable_and_check_cells_carry_the_points(nb):
    answer = cells(nb)["exercise-q_learning_target"].metadata.nbgrader
    check = cells(nb)["check-q_learning_target"].metadata.nbgrader
    task = cells(nb)["task-q_learning_target"].metadata.nbgrader
    assert (answer.solution, answer.grade, answer.locked) == (True, False, False)
    assert (check.solution, check.grade, check.locked, check.points) == (False, True, True, 2)
    assert (task.solution, task.grade, task.locked) == (False, False, True)
    assert answer.grade_id == "q_learning_target"
    assert check.grade_id == "check-q_learning_target"


def test_only_check_cells_carry_outputs_and_they_say_not_run_yet(nb):
    for cell in (cell for cell in nb.cells if cell.cell_type == "code"):
        assert cell.execution_count is None
        if not cell.id.startswith("check-"):
            assert cell.outputs == []
            continue
        assert [output.output_type for output in cell.outputs] == ["display_data"]
        assert cell.outputs[0].data == SmallCourse().released_output(cell.id[len("check-") :])


def test_run_all_goes_on_after_an_answer_that_stops(nb):
    tags = {cell.id: cell.metadata.get("tags", []) for cell in nb.cells}
    assert {name for name in tags if "raises-exception" in tags[name]} == {
        "exercise-q_learning_target",
        "exercise-td_error",
    }
    assert tags["check-td_error"] == []


def test_slides(nb):
    types = [cell.metadata.slideshow.slide_type for cell in nb.cells]
    assert types[:6] == ["slide", "skip", "-", "slide", "subslide", "-"]
    assert types[-1] == "fragment"
    assert nb.cells[-1].metadata.tags == ["hide-input"]


def test_same_source_same_bytes_in_another_process(source, tmp_path):
    (text,) = build.build([source], tmp_path, SmallCourse()).values()
    program = (
        "import sys, pathlib; from small_lesson import SmallCourse; from rlcourse.lessons import build\n"
        "(text,) = build.build([pathlib.Path(sys.argv[1])], pathlib.Path(), SmallCourse()).values()\n"
        "sys.stdout.buffer.write(text.encode())"
    )
    # Another hash seed: nothing may hang on the order of a set.
    again = subprocess.run(
        [sys.executable, "-c", program, str(source)],
        capture_output=True,
        check=True,
        env={"PYTHONPATH": f"{ROOT / 'tests'}:{ROOT}", "PYTHONHASHSEED": "7"},
    )
    assert again.stdout == text.encode()


def test_ids_survive_a_cell_put_in_before_them(source):
    before = set(cells(build_notebook(source, registry=SmallCourse())))
    text = source.read_text(encoding="utf-8")
    source.write_text("# %% [markdown]\n# New.\n\n" + text, encoding="utf-8")
    assert before < set(cells(build_notebook(source, registry=SmallCourse())))


def test_only_what_changed_is_written(source, tmp_path):
    texts = build.build([source], tmp_path, SmallCourse())
    (path,) = build.write(texts)
    assert path.read_bytes() == texts[path].encode()
    assert build.stale(texts) == build.write(texts) == []
    path.write_text("{}")
    assert build.stale(texts) == [path]
    assert {p.name for p in tmp_path.iterdir()} == {"05_small.py", "05_small.ipynb"}


def built(source, tmp_path, **answers):
    """The texts of a build, and the notebook as built before with some exercise's cell changed."""
    texts = build.build([source], tmp_path, SmallCourse())
    build.write(texts)
    (path,) = texts
    nb = nbformat.read(path, 4)
    for name, answer in answers.items():
        cells(nb)[f"exercise-{name}"].source = answer
    nbformat.write(nb, path)
    return texts, path


ANSWER = "def td_error(target, value):\n    return 0"


def test_answers_are_not_built_over(source, tmp_path):
    texts, path = built(source, tmp_path, td_error=ANSWER)
    before = path.read_bytes()
    with pytest.raises(paths.UsageError, match="answers to td_error") as caught:
        build.write(texts)
    assert "05_small.ipynb" in str(caught.value) and "--force" in str(caught.value)
    assert "q_learning_target" not in str(caught.value)
    assert path.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"05_small.py", "05_small.ipynb"}


def test_one_notebook_with_answers_stops_the_build_of_all(source, tmp_path):
    texts, _ = built(source, tmp_path, td_error=ANSWER)
    other = tmp_path / "06_other.ipynb"
    with pytest.raises(paths.UsageError, match="Nothing was built"):
        build.write(texts | {other: next(iter(texts.values()))})
    assert not other.exists()


def test_force_keeps_every_backup(source, tmp_path):
    kept = []
    for number in range(3):
        texts, path = built(source, tmp_path, td_error=f"{ANSWER} + {number}")
        kept.append(path.read_bytes())
        assert build.write(texts, force=True) == [path]
        assert path.read_bytes() == texts[path].encode()
    backups = [tmp_path / f"05_small.ipynb.bak{n}" for n in ("", "2", "3")]
    assert [backup.read_bytes() for backup in backups] == kept


def test_cells_of_ones_own_are_not_built_over_either(source, tmp_path):
    texts, path = built(source, tmp_path)
    nb = nbformat.read(path, 4)
    nb.cells.append(nbformat.v4.new_markdown_cell("What I think of it."))
    cells(nb)["task-td_error"].source += "\nMy note."
    nbformat.write(nb, path)
    with pytest.raises(paths.UsageError, match="2 cells of one's own"):
        build.write(texts)


def test_a_released_copy_that_was_run_is_built_over(source, tmp_path):
    _, path = built(source, tmp_path)
    nb = nbformat.read(path, 4)
    for number, cell in enumerate(cell for cell in nb.cells if cell.cell_type == "code"):
        cell.execution_count = number
        cell.outputs = [nbformat.v4.new_output("stream", text="hello")]
    nb.cells.append(nbformat.v4.new_code_cell(""))  # JupyterLab adds one after Run All
    nbformat.write(nb, path)
    # The source has changed since: what differs in the old copy is no student's work.
    text = source.read_text(encoding="utf-8")
    text = text.replace('"""How far', '"""By how much, how far').replace(
        "# ## Targets", "# ## Aims"
    )
    source.write_text(text, encoding="utf-8")
    assert build.write(build.build([source], tmp_path, SmallCourse())) == [path]
    assert not list(tmp_path.glob("*.bak*"))


def test_a_notebook_that_cannot_be_read_is_kept(source, tmp_path):
    texts, path = built(source, tmp_path)
    path.write_text("<<<<<<< HEAD")
    with pytest.raises(paths.UsageError, match="cannot be read"):
        build.write(texts)
    build.write(texts, force=True)
    assert (tmp_path / "05_small.ipynb.bak").read_text() == "<<<<<<< HEAD"


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    old, new = tmp_path / "a.ipynb", tmp_path / "missing" / "b.ipynb"
    old.write_text("old")
    with pytest.raises(paths.UsageError, match="Cannot write"):
        paths.write_atomically({old: "new", new: "new"})
    assert old.read_text() == "old"
    assert list(tmp_path.iterdir()) == [old]


# ------------------------------------------------------------------------------ what is refused

# file: (cell, a part of the reason)
REFUSED = {
    "another_check": (6, """is exactly 'q_learning_target = check("q_learning_target")'"""),
    "begin_without_end": (4, "unpaired markers: '### BEGIN SOLUTION' without"),
    "check_as_markdown": (6, "check= is a code cell"),
    "check_before_the_answer": (6, "not in the order task, exercise, hints, check"),
    "empty_solution": (4, "has no solution between"),
    "end_without_begin": (4, "unpaired markers: '### END SOLUTION' without"),
    "exercise_of_another_lesson": (7, "'discounted_return' is of lesson 00"),
    "hint_not_closed": (5, "is not closed"),
    "leak_as_a_function": (7, "a function that answers 'q_learning_target'"),
    "leak_beside_the_region": (4, "leaks"),
    "leak_by_name": (7, "a function that answers 'q_learning_target'"),
    "leak_in_a_comment": (7, "leaks: 'return reward + gamma"),
    "leak_in_a_fence": (7, "leaks: 'reward + gamma"),
    "leak_in_a_hint": (5, "leaks: 'reward + gamma"),
    "leak_in_backticks": (7, "leaks: 'reward + gamma"),
    "leak_in_code": (7, "leaks: 'reward + gamma"),
    "leak_in_the_docstring": (4, "leaks: 'reward + gamma"),
    "leak_of_a_part": (7, "leaks: 'reward + gamma"),
    "marker_after_code": (4, "on a line of its own"),
    "marker_misspelt": (4, "not '# BEGIN SOLUTION'"),
    "nested_markers": (4, "nested markers"),
    "no_check": (4, "has no check cell"),
    "no_exercise": (None, "is declared but has no exercise cell"),
    "no_hints": (4, "has no hints cell"),
    "no_points": (4, "points=None"),
    "no_solution": (4, "has no solution between"),
    "no_stub_left": (4, "no function stub is left"),
    "no_task": (3, "has no task cell"),
    "only_a_comment_as_solution": (4, "has no solution between"),
    "other_function_name": (4, "defines no function 'q_learning_target' (it defines: q_target)"),
    "other_number_in_the_task": (3, "the task begins with the line '### Exercise 5.4"),
    "other_points": (4, "points=3 for 'q_learning_target' differ from the declared 2"),
    "other_points_in_the_task": (3, "says 1 points, declared are 2"),
    "repeated_exercise": (7, "repeated exercise 'q_learning_target': cell 4"),
    "solution_after_the_function": (4, "no function stub is left"),
    "solution_elsewhere": (7, "a solution outside an exercise cell"),
    "solution_in_markdown": (7, "a solution outside an exercise cell"),
    "syntax_error": (7, "not valid Python"),
    "two_hints": (5, "fewer than 3 hints"),
    "two_roles": (6, "one role"),
    "unknown_exercise": (7, "unknown exercise 'q_lerning_target'"),
    "unknown_option": (7, "unknown cell option 'hint'"),
    "unknown_slide": (7, "unknown slide type 'page'"),
}


def test_every_bad_lesson_has_its_reason_here():
    assert {path.stem.removeprefix("05_") for path in BAD.glob("*.py")} == set(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_lesson_is_refused_with_file_cell_and_reason(name):
    cell, reason = REFUSED[name]
    path = BAD / f"05_{name}.py"
    with pytest.raises(BuildError) as caught:
        build_notebook(path, registry=OneExercise())
    matching = [p for p in caught.value.problems if p.cell == cell and reason in p.reason]
    assert matching, str(caught.value)
    assert str(matching[0]).startswith(path.name)
    if cell:
        line = path.read_text(encoding="utf-8").splitlines()[matching[0].line - 1]
        assert line.startswith("# %%")
        assert f"cell {cell} (line {matching[0].line})" in str(matching[0])


def test_all_the_problems_of_all_the_lessons_are_told_and_nothing_is_written(source, tmp_path):
    broken = tmp_path / "00_broken.py"
    broken.write_text("# %%\nx = = 1\n\n# %%\n### BEGIN SOLUTION\n")
    text = source.read_text(encoding="utf-8").replace("points=2", "points=3")
    source.write_text(text.replace('hints="td_error"', ""), encoding="utf-8")
    with pytest.raises(BuildError) as caught:
        build.build([broken, source], tmp_path, SmallCourse())
    told = str(caught.value)
    for part in ("00_broken.py, cell 1", "00_broken.py, cell 2", "differ", "no hints cell"):
        assert part in told
    assert not list(tmp_path.glob("*.ipynb"))


@pytest.mark.parametrize(
    "shown",
    [
        "rng = np.random.default_rng(0)",
        "for s in range(n_states):\n    v[s] = 0.0",
        "errors = [td_error(y, v) for y, v in zip(targets, values)]",
        "%matplotlib inline\n!ls",
        "difference = target - value",
    ],
)
def test_everyday_python_is_no_leak(source, shown):
    text = source.read_text(encoding="utf-8") + f"\n# %%\n{shown}\n"
    source.write_text(text, encoding="utf-8")
    build_notebook(source, registry=SmallCourse())


# ------------------------------------------------------------------------------ the course itself


def test_the_committed_notebooks_are_those_of_the_sources():
    sources = paths.lesson_files(ROOT / "solutions", ".py")
    texts = build.build(sources.values(), ROOT / "notebooks")
    assert [path.name for path in build.stale(texts)] == []
    assert build.orphans(texts, ROOT / "notebooks") == []


def test_every_lesson_with_exercises_has_a_source():
    assert set(checker.lessons()) <= set(paths.lesson_files(ROOT / "solutions", ".py"))
