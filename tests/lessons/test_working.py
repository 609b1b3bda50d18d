"""A student's folder: begun once, brought up to date with every answer kept, one exercise given back."""

import os
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from rlcourse import checker
from rlcourse.lessons import opening, paths, working
from rlcourse.lessons.extract import extract
from rlcourse.lessons.notebook import check_in, exercise_in, is_untouched, read_notebook
from rlcourse.lessons.paths import UsageError

ROOT = Path(__file__).parents[2]
ANSWER = "def discounted_return(rewards, gamma):\n    return sum(rewards)  # mine"


@pytest.fixture
def release(tmp_path):
    """A release of lessons 00 and 01."""
    folder = tmp_path / "release"
    for room, suffix in (("notebooks", ".ipynb"), ("solutions", ".py")):
        (folder / room).mkdir(parents=True)
        for path in sorted((ROOT / room).glob(f"0[01]_*{suffix}")):
            shutil.copy(path, folder / room)
    return folder


@pytest.fixture
def folder(tmp_path, release):
    made = tmp_path / "Мой курс – mine"
    working.start(made, release)
    return made


def lesson(folder, number="00"):
    return paths.lesson_files(folder, ".ipynb")[number]


def changed(path, change):
    """Apply `change` to the notebook in the file, as somebody does who saves it."""
    nb = nbformat.read(path, 4)
    change(nb)
    nbformat.write(nb, path)


def released(release, change):
    changed(lesson(release / "notebooks"), change)


def cell_of(nb, name):
    return next(cell for cell in nb.cells if exercise_in(cell) == name)


def answer(nb, name="discounted_return", text=ANSWER):
    cell_of(nb, name).source = text


def sources(path):
    return [cell.source for cell in nbformat.read(path, 4).cells]


# ------------------------------------------------------------------------------------- start


def test_start_copies_what_is_missing_and_never_over_a_file(tmp_path, release):
    folder = tmp_path / "mine"
    assert [p.name[:2] for p in working.start(folder, release).copied] == ["00", "01"]
    assert lesson(folder).read_bytes() == lesson(release / "notebooks").read_bytes()
    lesson(folder).write_text("my own words")
    lesson(folder, "01").unlink()
    again = working.start(folder, release)
    assert ([p.name[:2] for p in again.copied], len(again.kept)) == (["01"], 1)
    assert lesson(folder).read_text() == "my own words"


def test_git_sees_nothing_of_what_a_student_does(tmp_path, release):
    course = tmp_path / "course"
    course.mkdir()
    shutil.copy(ROOT / ".gitignore", course)
    git = ["git", "-C", str(course)]
    subprocess.run([*git, "init", "-q"], check=True)
    folder = course / working.USUAL_NAME
    working.start(folder)
    for path in folder.glob("*.ipynb"):
        changed(path, lambda nb: nb.cells.append(v4.new_code_cell("print(1)")))
        (folder / ".ipynb_checkpoints").mkdir(exist_ok=True)
        shutil.copy(path, folder / ".ipynb_checkpoints")
    working.reset(working.exercise_named("0.1", checker), folder)
    told = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True)
    assert told.stdout.split() == ["??", ".gitignore"]


def test_start_refuses_the_courses_own_notebooks_and_a_file(tmp_path, release):
    with pytest.raises(UsageError, match="the course's own notebooks"):
        working.start(release / "notebooks", release)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Cannot make the folder"):
        working.start(tmp_path / "file", release)


def test_the_folder_is_found_from_inside_beside_and_above(tmp_path, release):
    folder = tmp_path / working.USUAL_NAME
    assert working.find(tmp_path) is None
    with pytest.raises(UsageError, match="There is no folder"):
        working.require(folder)
    working.start(folder, release)
    (folder / "plots").mkdir()
    for here in (tmp_path, folder, folder / "plots"):
        assert working.find(here) == folder
    # Notebooks that were downloaded one by one count where they lie.
    assert working.find(release / "notebooks") == release / "notebooks"


def test_a_lesson_is_named_by_its_number(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert working.notebook(Path("0")) == working.notebook(Path("00")) == lesson(folder)
    assert working.notebook(Path("some.ipynb")) == Path("some.ipynb")
    with pytest.raises(UsageError, match="no notebook of lesson 07"):
        working.notebook(Path("7"))


# ------------------------------------------------------------------------------------ update


def test_nothing_new_touches_nothing(folder, release):
    changed(lesson(folder), answer)
    before = lesson(folder).read_bytes()
    assert working.update(folder, release) == [] and not working.is_behind(folder, release)
    assert lesson(folder).read_bytes() == before


def test_a_changed_lesson_arrives_around_the_answers(folder, release):
    def work(nb):
        answer(nb)
        cell_of(nb, "discounted_return").outputs = [v4.new_output("stream", text="seen")]
        nb.cells.insert(3, v4.new_markdown_cell("A note of mine."))
        nb.cells.append(v4.new_code_cell("my_experiment = 1"))
        nb.metadata.kernelspec.name = "my-kernel"

    def news(nb):
        nb.cells[0].source += "\n\nA new sentence."
        cell_of(nb, "discounted_return").source += "\n    # a new hint in the stub"
        del nb.cells[2]

    before_it = nbformat.read(lesson(folder), 4).cells
    changed(lesson(folder), work)
    was = lesson(folder).read_bytes()
    released(release, news)
    assert working.is_behind(folder, release)
    (one,) = working.update(folder, release)
    nb = read_notebook(lesson(folder))
    assert nb.cells[0].source.endswith("A new sentence.")
    mine = cell_of(nb, "discounted_return")
    assert mine.source == ANSWER and "".join(mine.outputs[0].text) == "seen"
    assert mine.metadata.nbgrader.solution and not is_untouched(mine)
    assert before_it[2].source not in sources(lesson(folder))
    at = sources(lesson(folder)).index("A note of mine.")
    assert sources(lesson(folder))[at - 1] == before_it[1].source
    assert sources(lesson(folder))[-1] == "my_experiment = 1"
    assert nb.metadata.kernelspec.name == "my-kernel"
    assert (one.news.answered, one.news.other) == (["discounted_return"],) * 2
    assert one.news.cells == 1 and one.backup.read_bytes() == was
    assert working.update(folder, release) == []


def test_every_answer_of_a_lesson_survives_and_the_rest_is_the_new_release(folder, release):
    answers = {name: f"def {name}():\n    return {n}" for n, name in enumerate(checker.names("00"))}

    def work(nb):
        for name, text in answers.items():
            answer(nb, name, text)

    def news(nb):
        for cell in nb.cells:
            if cell.cell_type == "markdown":
                cell.source += "\n\nEverywhere something."

    changed(lesson(folder), work)
    released(release, news)
    (one,) = working.update(folder, release)
    new, mine = read_notebook(lesson(release / "notebooks")), read_notebook(lesson(folder))
    assert len(mine.cells) == len(new.cells)
    for given, ours in zip(new.cells, mine.cells, strict=True):
        assert ours.source == answers.get(exercise_in(given), given.source)
    assert one.news.answered == list(answers)


def test_exercises_that_come_and_go(folder, release):
    def work(nb):
        answer(nb)

    def news(nb):
        old = cell_of(nb, "discounted_return")
        fresh = nbformat.from_dict(old)
        fresh = v4.new_code_cell(
            "def fresh():\n    ...", metadata=dict(old.metadata), id="exercise-fresh"
        )
        fresh.metadata = nbformat.from_dict(
            {**old.metadata, "nbgrader": {**old.metadata.nbgrader, "grade_id": "fresh"}}
        )
        nb.cells[nb.cells.index(old)] = fresh

    changed(lesson(folder), work)
    released(release, news)
    (one,) = working.update(folder, release)
    nb = read_notebook(lesson(folder))
    kept = next(cell for cell in nb.cells if cell.source == ANSWER)
    assert "nbgrader" not in kept.metadata
    assert cell_of(nb, "fresh").source.startswith("def fresh")
    assert (one.news.added, one.news.gone) == (["fresh"], ["discounted_return"])


def test_a_text_that_both_sides_changed_is_there_twice(folder, release):
    def work(nb):
        nb.cells[0].source = "My words for the first cell."
        nb.cells[5].source = "My words for the sixth."

    def news(nb):
        nb.cells[0].source = "# 00 · The course's new words"
        nb.cells[0].id = "markdown-fresh"

    changed(lesson(folder), work)
    released(release, news)
    (one,) = working.update(folder, release)
    now = sources(lesson(folder))
    assert {"My words for the first cell.", "# 00 · The course's new words"} <= set(now[:2])
    assert now.count("My words for the sixth.") == 1
    assert nbformat.read(lesson(release / "notebooks"), 4).cells[5].source not in now
    assert one.news.doubled == 1


def test_a_notebook_without_a_record_and_without_ids_keeps_its_answers(tmp_path, release):
    folder = tmp_path / "downloaded"
    folder.mkdir()
    shutil.copy(lesson(release / "notebooks"), folder)

    def work(nb):  # as hosted notebooks save it
        answer(nb)
        nb.nbformat_minor = 0
        for cell in nb.cells:
            cell.pop("id")
        nb.cells.append(
            nbformat.from_dict({"cell_type": "markdown", "metadata": {}, "source": "Mine."})
        )

    changed(lesson(folder), work)
    released(release, lambda nb: nb.cells[0].update(source="# 00 · New"))
    working.update(folder, release)
    now = sources(lesson(folder))
    assert now[0] == "# 00 · New" or now[1] == "# 00 · New"
    assert now.count(ANSWER) == now.count("Mine.") == 1
    # The text of the old release is nobody's: without a record it cannot be told from the student's.
    assert len(now) <= len(sources(lesson(release / "notebooks"))) + 2


def test_a_new_lesson_arrives_and_an_unchanged_one_is_left_alone(folder, release):
    third = sorted((ROOT / "notebooks").glob("02_*.ipynb"))[0]
    shutil.copy(third, release / "notebooks")
    (one,) = working.update(folder, release)
    assert one.is_new and one.notebook.read_bytes() == third.read_bytes()


# ----------------------------------------------------------------------------- reset and show


def test_reset_gives_the_stub_back_and_keeps_the_answer_below_it(folder, release):
    exercise = working.exercise_named("0.1", checker)
    assert not working.reset(exercise, folder, release)
    changed(lesson(folder), answer)
    assert working.reset(exercise, folder, release)
    nb = read_notebook(lesson(folder))
    nbformat.validate(nb)
    place = next(n for n, cell in enumerate(nb.cells) if exercise_in(cell) == exercise.name)
    assert is_untouched(nb.cells[place]) and "NotImplementedError" in nb.cells[place].source
    kept = nb.cells[place + 1]
    assert kept.cell_type == "raw" and kept.source.endswith(ANSWER)
    assert kept.source.startswith("Your answer to 0.1 until 20")
    # An answer that was kept is none: it is neither judged nor run.
    found = extract(lesson(folder).read_bytes(), [exercise.name])
    assert ANSWER not in found.sources[exercise.name]


def test_reset_puts_a_cell_back_that_was_deleted(folder, release):
    exercise = working.exercise_named("discounted_return", checker)
    changed(lesson(folder), lambda nb: nb.cells.remove(cell_of(nb, exercise.name)))
    assert working.reset(exercise, folder, release)
    nb = read_notebook(lesson(folder))
    place = next(n for n, cell in enumerate(nb.cells) if exercise_in(cell) == exercise.name)
    assert check_in(nb.cells[place + 1]) == exercise.name

    def without(nb):
        nb.cells = [c for c in nb.cells if exercise.name not in (exercise_in(c), check_in(c))]

    changed(lesson(folder), without)
    with pytest.raises(UsageError, match=r"neither the cell of 0\.1 nor its check"):
        working.reset(exercise, folder, release)


def test_the_solution_is_shown_after_an_attempt(folder, release):
    exercise = working.exercise_named("00.1", checker)
    with pytest.raises(UsageError, match="try it first"):
        working.solution(exercise, folder, release)
    changed(lesson(folder), answer)
    text = working.solution(exercise, folder, release)
    assert "SOLUTION" not in text and "NotImplementedError" not in text
    namespace = {"np": __import__("numpy")}
    exec(text, namespace)
    assert checker.judge(namespace[exercise.name], exercise.name).ok


def test_an_exercise_that_is_not_there_is_named():
    assert working.exercise_named("5.3", checker).number == "5.3"
    for text in ("5.99", "77.1"):
        with pytest.raises(UsageError, match=text):
            working.exercise_named(text, checker)


# -------------------------------------------------------------------------------------- lab


def test_jupyterlab_opens_where_the_student_was(folder, release):
    assert working.last_worked_on(folder) == lesson(folder)
    changed(lesson(folder, "01"), lambda nb: nb.cells.append(v4.new_code_cell("1")))
    assert working.last_worked_on(folder) == lesson(folder, "01")
    changed(lesson(folder), answer)
    os.utime(lesson(folder), (2e9, 2e9))
    assert working.last_worked_on(folder) == lesson(folder)
    told = opening.arguments(folder, ["--port", "9999"], {"DISPLAY": ":0"}, "linux")
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in told
    assert told[-2:] == ["--port", "9999"] and "--no-browser" not in told
    assert "--no-browser" in opening.arguments(folder, (), {}, "linux")
    assert "--no-browser" in opening.arguments(folder, (), {"SSH_CONNECTION": "1"}, "darwin")
    assert "--no-browser" not in opening.arguments(folder, (), {}, "win32")
