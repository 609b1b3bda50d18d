"""`verify` and `progress` on notebooks as students leave them: right, wrong, cleared, cut up."""

import inspect
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from rlcourse import checker
from rlcourse.lessons import build, progress, verify
from rlcourse.lessons.notebook import check_source
from rlcourse.lessons.paths import UsageError

NAMES = checker.names("00")
RIGHT = {
    "discounted_return": """
        def discounted_return(rewards, gamma):
            total = 0.0
            for reward in reversed(rewards):
                total = reward + gamma * total
            return total
        """,
    "bootstrap_mask": """
        def bootstrap_mask(terminated, truncated):
            return 1 - np.asarray(terminated, dtype=float)
        """,
}
# A check as it is released, and as copies of before have it.
CALLS = {"new": 'check("{0}")', "old": "check({0})"}
UNDISCOUNTED = """
    def discounted_return(rewards, gamma):
        return float(sum(rewards))
    """


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A notebook of lesson 00 with every exercise of it and one sentence for each task."""
    parts = ["# %% [markdown]\n# # 00 · A trial\n\n# %%\nimport numpy as np"]
    parts.append("from rlcourse.checker import check\n")
    for name in NAMES:
        exercise = checker.get(name)
        parts.append(
            f'# %% [markdown] task="{name}"\n# ### Exercise {exercise.number} · `{name}`\n\n'
            f'# %% exercise="{name}" points={exercise.points}\n'
            f"def {name}{inspect.signature(exercise.reference)}:\n"
            "    ### BEGIN SOLUTION\n    return None\n    ### END SOLUTION\n\n"
            f'# %% [markdown] hints="{name}"\n' + "# <details></details>\n" * 3 + "\n"
            f'# %% check="{name}"\n{name} = {CALLS["new"].format(name)}\n'
        )
    folder = tmp_path_factory.mktemp("released")
    source = folder / "00_trial.py"
    source.write_text("\n".join(parts), encoding="utf-8")
    return build.build_notebook(source)


@pytest.fixture
def student(released, tmp_path):
    """Saves a student's copy with some answers; `spoil` may change the notebook further."""

    def save(answers, spoil=lambda nb: None, name="00_trial.ipynb"):
        nb = nbformat.from_dict(json.loads(json.dumps(released)))
        for cell in nb.cells:
            answer = answers.get(cell.id.removeprefix("exercise-"))
            if answer is not None and cell.id.startswith("exercise-"):
                cell.source = textwrap.dedent(answer).strip()
        spoil(nb)
        path = tmp_path / name
        nbformat.write(nb, path)
        return path

    return save


def verified(path, seconds=30):
    before = path.read_bytes(), {p.name for p in path.parent.iterdir()}
    report = verify.verify(verify.open_submission(path, checker), checker, seconds)
    assert (path.read_bytes(), {p.name for p in path.parent.iterdir()}) == before
    return report, {answer.name: answer for answer in report.answers}


def solved_answers():
    """The answers of the solved lesson 00, exercise by exercise."""
    (source,) = (Path(__file__).parents[2] / "solutions").glob("00_*.py")
    cells = [cell for cell in build.read_cells(source) if cell.role == "exercise"]
    return {
        cell.exercise: "import numpy as np\n" + build.solved_source(cell.source) for cell in cells
    }


def checks(nb):
    return [cell for cell in nb.cells if cell.id.startswith("check-")]


# ------------------------------------------------------------------------------------------ verify


def test_a_right_answer_passes_and_the_others_are_open(student):
    report, answers = verified(student(RIGHT))
    assert [answers[name].solved for name in RIGHT] == [True, True]
    assert answers["run_episode"].reason == "not written yet"
    assert report.errors == []
    assert not report.ok


def test_a_notebook_with_every_answer_is_ok(student):
    report, _ = verified(student(solved_answers()))
    assert report.ok, report


def test_a_copy_of_before_is_verified_like_a_new_one(student):
    def make_old(nb):
        for cell in checks(nb):
            name = cell.id.removeprefix("check-")
            cell.source = f"{name} = {CALLS['old'].format(name)}"
            cell.metadata["tags"] = ["nbval-check-output"]
            cell.outputs = [v4.new_output("display_data", data=checker.expected_output(name))]
            del cell.metadata["nbgrader"]

    report, _ = verified(student(solved_answers(), make_old))
    assert report.ok, report


def test_the_courses_own_function_is_no_answer(student):
    answer = "from rlcourse.exercises.lesson_00 import LESSON as L\ndiscounted_return = next(iter(L)).reference"
    _, answers = verified(student({"discounted_return": answer}))
    assert answers["discounted_return"].reason == "this is the course's function"


def test_a_cell_that_cannot_be_parsed_is_named_at_its_check(student):
    broken = "def discounted_return(rewards, gamma:\n    return 1"
    report, answers = verified(student(RIGHT | {"discounted_return": broken}))
    assert "its cell has a syntax error in line 1" in answers["discounted_return"].reason
    assert answers["bootstrap_mask"].solved
    assert "SyntaxError" in report.errors[0]


def test_a_wrong_answer_saved_with_its_cross_fails_by_name(student):
    def save_with_cross(nb):
        for cell in checks(nb):
            cell.outputs = [
                v4.new_output("display_data", data={"text/plain": "✗ no", "text/html": "✗ no"})
            ]

    _, answers = verified(student({"discounted_return": UNDISCOUNTED}, save_with_cross))
    assert not answers["discounted_return"].solved
    assert answers["discounted_return"].reason == "undiscounted"


def test_cleared_outputs_are_compared_all_the_same(student):
    def clear(nb):
        for cell in nb.cells:
            cell.metadata.pop("tags", None)
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None

    _, answers = verified(student(RIGHT | {"discounted_return": UNDISCOUNTED}, clear))
    assert not answers["discounted_return"].solved
    assert answers["bootstrap_mask"].solved


def test_a_check_cell_that_was_edited_is_put_back(student):
    def edit(nb):
        for cell in checks(nb):
            cell.source = "# NBVAL_SKIP"

    _, answers = verified(student({"discounted_return": UNDISCOUNTED}, edit))
    assert answers["discounted_return"].reason == "undiscounted"


@pytest.mark.parametrize(("part", "word"), [("check-", "check"), ("exercise-", "answer")])
def test_missing_cells_are_named(student, part, word):
    def drop(nb):
        nb.cells = [cell for cell in nb.cells if cell.id != f"{part}bootstrap_mask"]

    report, answers = verified(student(RIGHT, drop))
    assert answers["bootstrap_mask"].reason == f"its {word} cell is missing"
    assert answers["discounted_return"].solved
    assert not report.ok


def test_another_cell_that_fails_is_told(student):
    def add(nb):
        nb.cells.append(v4.new_code_cell("1 / 0"))

    report, answers = verified(student(RIGHT, add))
    assert [error.split(": ", 1)[1] for error in report.errors] == [
        "ZeroDivisionError: division by zero"
    ]
    assert answers["bootstrap_mask"].solved


def test_a_cell_that_never_ends_is_stopped(student):
    def add(nb):
        nb.cells.append(v4.new_code_cell("while True: pass"))

    before = os.times()
    report, _ = verified(student(RIGHT, add), seconds=3)
    assert os.times().children_user - before.children_user < 60
    assert "took longer than 3 seconds; --timeout gives it more" in report.errors[-1]


def test_what_fails_for_want_of_a_cell_that_took_too_long_is_told_once(student):
    def add(nb):
        slow = "import time\nfor _ in range(300): time.sleep(1)\nvalue = 1"
        nb.cells[1:1] = [v4.new_code_cell(slow)]
        nb.cells += [v4.new_code_cell(f"value + {i}") for i in range(4)]
        nb.cells.append(v4.new_code_cell("1 / 0"))

    report, answers = verified(student(RIGHT, add), seconds=5)
    slow, own, echo = report.errors
    assert slow == "code cell 1: took longer than 5 seconds; --timeout gives it more"
    assert own.endswith("ZeroDivisionError: division by zero")
    assert echo == "4 later cells failed for want of what code cell 1 would have made"
    assert answers["bootstrap_mask"].solved


def test_one_exercise_alone_runs_nothing_but_what_it_needs(student):
    def add(nb):
        nb.cells[1:1] = [v4.new_code_cell("while True: pass")]
        nb.cells.append(v4.new_code_cell("1 / 0"))

    path = student(RIGHT | {"discounted_return": UNDISCOUNTED}, add)
    for only, solved in (("bootstrap_mask", True), ("0.1", False)):
        report = verify.verify(verify.open_submission(path, checker, [only]), checker, 30)
        (answer,) = report.answers
        assert only in (answer.name, answer.number)
        assert (answer.solved, report.errors) == (solved, [])
    (mistake,) = (m for m in checker.get("discounted_return").mistakes if m.name == answer.reason)
    assert mistake.why in answer.why and mistake.instead in answer.why
    with pytest.raises(UsageError, match=r'has no exercise "5\.4": choose from 0\.1, '):
        verify.open_submission(path, checker, ["5.4"])


def test_an_exercise_that_calls_another_comes_with_it(student):
    """As in the notebook, where the other is not right, the reference steps in."""
    calls = "def td_error(*a, **k):\n    return bootstrap_mask(np.array([0]), np.array([0]))\n"
    last = NAMES[-1]
    answers = RIGHT | {
        "bootstrap_mask": "bootstrap_mask = None",
        last: calls.replace("td_error", last),
    }
    submission = verify.open_submission(student(answers), checker, [last])
    sources = [cell.source for cell in submission.copy.cells]
    assert check_source("bootstrap_mask") in sources and check_source(last) in sources
    assert check_source("discounted_return") not in sources


def test_a_folder_stands_for_the_notebooks_in_it(student, tmp_path):
    path = student(RIGHT)
    (tmp_path / "notes.ipynb").write_text("no lesson")
    assert verify.notebooks_in(tmp_path) == [path]
    assert verify.notebooks_in(path) == [path]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no notebook of the course in"):
        verify.notebooks_in(tmp_path / "empty")


@pytest.mark.parametrize("name", ["homework.ipynb", "07_mine.ipynb"])
def test_a_lesson_is_known_by_its_exercises_whatever_its_file_is_called(student, name):
    def strip(nb):
        nb.metadata.pop("rlcourse", None)
        for cell in nb.cells:
            cell.metadata.pop("nbgrader", None)

    submission = verify.open_submission(student(RIGHT, strip, name), checker)
    assert submission.lesson == "00"
    assert "bootstrap_mask" not in submission.missing


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no file"),
        ("", "not a notebook"),
        ('{"cells": [', "not a notebook"),
        ("[1, 2]", "not a notebook"),
        ('{"a": 1}', "not a notebook"),
        (b"\xff\xfe\x00", "not a notebook"),
        (nbformat.writes(v4.new_notebook(cells=[v4.new_code_cell("1")])), "not a lesson of this"),
    ],
)
def test_what_is_no_notebook_of_the_course_is_named(tmp_path, content, told):
    path = tmp_path / "00_mine ü.ipynb"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=told) as caught:
        verify.open_submission(path, checker)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------------------------- progress


def standing(folder, seconds=20):
    lessons = progress.progress(folder, checker, seconds)
    return {e.name: e for lesson in lessons for e in lesson.exercises if lesson.lesson == "00"}


def test_progress_judges_the_answers_and_not_the_outputs(student, tmp_path):
    # Under every check stands "not run yet"; only the code counts.
    student({"discounted_return": UNDISCOUNTED, "bootstrap_mask": RIGHT["bootstrap_mask"]})
    found = standing(tmp_path)
    assert (found["discounted_return"].state, found["discounted_return"].reason) == (
        "failed",
        "undiscounted",
    )
    assert found["bootstrap_mask"].state == progress.SOLVED
    assert found["run_episode"].state == progress.OPEN


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("import os\ndef discounted_return(rewards, gamma):\n    os._exit(0)", "crash"),
        ("def discounted_return(rewards, gamma:\n    return 1", "failed"),
        ("def discounted_return(rewards, gamma):\n    return print('x' * 10**6)", "failed"),
        ("other = 1", "failed"),
        ("while True: discounted_return = 1", "timeout"),
    ],
)
def test_one_bad_answer_costs_no_other(student, tmp_path, monkeypatch, answer, state):
    monkeypatch.setattr(progress, "_SECONDS_TO_START", 5.0)
    student({"discounted_return": answer, "bootstrap_mask": RIGHT["bootstrap_mask"]})
    found = standing(tmp_path, seconds=1)
    assert found["discounted_return"].state == state
    assert found["discounted_return"].reason
    assert found["bootstrap_mask"].state == progress.SOLVED


def test_an_answer_may_use_helpers_and_imports_of_other_cells(student, tmp_path):
    def add(nb):
        nb.cells.insert(
            1, v4.new_code_cell("import math\ndef weigh(g, t):\n    return math.pow(g, t)")
        )

    answer = """
        def discounted_return(rewards, gamma):
            return float(sum(weigh(gamma, t) * r for t, r in enumerate(rewards)))
        """
    student({"discounted_return": answer}, add)
    assert standing(tmp_path)["discounted_return"].state == progress.SOLVED


def test_a_damaged_notebook_is_told_and_the_rest_is_shown(student, tmp_path):
    student(RIGHT)
    (tmp_path / "05_broken.ipynb").write_text('{"cells": ')
    lessons = {s.lesson: s for s in progress.progress(tmp_path, checker)}
    assert "05_broken.ipynb is not a notebook" in lessons["05"].problem
    assert lessons["00"].exercises[0].state == progress.SOLVED


def test_a_folder_without_the_course_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no notebook of the course"):
        progress.progress(tmp_path, checker)
    with pytest.raises(UsageError, match="no folder"):
        progress.progress(tmp_path / "missing", checker)


def test_a_file_is_not_called_a_missing_folder(student):
    with pytest.raises(UsageError, match=r"is a file: give the folder that it is in"):
        progress.progress(student(RIGHT), checker)


def test_the_exit_status_says_which(student, tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "rlcourse", "verify", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=Path(__file__).parents[2]
        )

    path = student(RIGHT | {"mean_squared_error": "def mean_squared_error(p, t):\n    return 0.0"})
    wrong = run(path)
    assert wrong.returncode == 1
    assert "✓ 0.1 discounted_return: solved" in wrong.stdout
    assert "✗ 0.4 mean_squared_error: not solved: " in wrong.stdout
    folder = run(path.parent / "missing folder")
    assert folder.returncode == 2 and "Traceback" not in folder.stderr
    unusable = run(path, tmp_path / "missing.ipynb")
    assert unusable.returncode == 2
    assert unusable.stdout == ""
    assert "missing.ipynb" in unusable.stderr
    assert "Traceback" not in unusable.stderr
