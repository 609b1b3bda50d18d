"""A check by name: what it says where there is no answer to judge, in a real kernel and out of one."""

from __future__ import annotations

import functools
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import v4

from rlcourse.checker import authorship, check, get
from rlcourse.lessons.build import build_notebook, read_cells, solved_source
from rlcourse.lessons.notebook import exercise_in

SOLUTIONS = Path(__file__).parents[2] / "solutions"
RIGHT = "def discounted_return(rewards, gamma):\n    return float(sum(gamma**t * r for t, r in enumerate(rewards)))"
WRONG = "def discounted_return(rewards, gamma):\n    return float(sum(rewards))"
UNREADABLE = "def discounted_return(rewards, gamma):\n    total = 0.0 +\n    return total"
CHECK = 'discounted_return = check("discounted_return")'
WHO = 'print(authorship("discounted_return"))'

# What a student does, cell by cell, each time from a fresh start; what the last check says; whose
# function the lesson goes on with.
STORIES = {
    "nothing was run": ([], "○ not run yet: the cell above has not been run", "the reference function"),
    "a slip in the name": (
        [RIGHT.replace("discounted_return", "discounted_retrun")],
        "✗ not defined: your cell defines `discounted_retrun`; did you mean that?",
        "the reference function",
    ),
    "a syntax error": ([UNREADABLE], "✗ SyntaxError: in line 2 (`total = 0.0 +`", "the reference function"),
    "an indentation error": (
        ["def discounted_return(rewards, gamma):\nreturn 0.0"],
        "✗ IndentationError: in line 2",
        "the reference function",
    ),
    "a syntax error after a right answer": (
        [RIGHT, CHECK, UNREADABLE],
        "✗ SyntaxError: in line 2",
        "the reference function",
    ),
    "a syntax error and a slip in the name": (
        [CHECK, UNREADABLE.replace("discounted_return", "discounted_retrun")],
        "✗ SyntaxError: in line 2",
        "the reference function",
    ),
    "mended": ([UNREADABLE, CHECK, RIGHT], "✓ right", "your function"),
    "a cell that stops before its def": (
        ["1 / 0\n" + RIGHT],
        "✗ not defined: your cell stopped before it was",
        "the reference function",
    ),
    "a new version that stops before its def": (
        [RIGHT, CHECK, "1 / 0\n" + RIGHT],
        "✗ not your last version: Your cell stopped before it came to `discounted_return`",
        "the reference function",
    ),
    "an answer with a decorator": (
        ["def timed(f):\n    def inner(*given):\n        return f(*given)\n    return inner", "@timed\n" + RIGHT],
        "✓ right",
        "your function",
    ),
    "the same cell run twice, and another after it": (
        [RIGHT, WRONG, CHECK, RIGHT, "print(discounted_return([1.0], 0.5))"],
        "✓ right",
        "your function",
    ),
    "the same under a magic": (
        ["%%time\n1 / 0\n" + RIGHT],
        "✗ not defined: your cell stopped before it was",
        "the reference function",
    ),
    "the check again after a wrong answer": (
        [WRONG, CHECK],
        "✗ this is the course's function: Run your own cell again",
        "the reference function",
    ),
    "the check again before any answer": (
        [CHECK],
        "○ this is the course's function: Run your own cell again",
        "the reference function",
    ),
    "a slip in the name after a check": (
        [WRONG, CHECK, RIGHT.replace("discounted_return", "discounted_retrun")],
        "✗ this is the course's function: your cell defines `discounted_retrun`",
        "the reference function",
    ),
    "the check again after a right answer": ([RIGHT, CHECK], "✓ right", "your function"),
    "a helper with nearly the same name": (
        [RIGHT, "def discounted_returns(all):\n    return all", "def discounted_returns(:"],
        "✓ right",
        "your function",
    ),
    "under a magic": (["%%time\n" + RIGHT], "✓ right", "your function"),
    "another thing of that name": (
        [RIGHT, "discounted_return = discounted_return([1.0], 1.0)"],
        "✗ not a function: of type float",
        "the reference function",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def told():
    """story -> (what the last check displayed, what authorship said), all in one kernel."""
    cells, last = [], {}
    afresh = [
        "from rlcourse.checker import checking; checking._stands.clear()",
        "%reset -f in",
        "%reset -f",
    ]
    start = "from rlcourse.checker import authorship, check"
    for story, (before, *_) in STORIES.items():
        cells += [*afresh, start, *before, CHECK, WHO]
        last[story] = len(cells) - 2
    nb = v4.new_notebook(cells=[v4.new_code_cell(source) for source in cells])
    for cell in nb.cells:
        cell.metadata["tags"] = ["raises-exception"]
    NotebookClient(nb, timeout=60, kernel_name="python3").execute()
    return {
        story: (nb.cells[at].outputs, nb.cells[at + 1].outputs[0].text.strip())
        for story, at in last.items()
    }


@pytest.mark.full
@pytest.mark.parametrize("story", STORIES)
def test_a_check_tells_why_there_is_no_answer(told, story):
    _, expected, whose = STORIES[story]
    (output,), going_on_with = told[story]
    shown = output.data["text/plain"]
    headline, _, explanation = expected.partition(": ")
    sign, _, headline = headline.partition(" ")
    assert shown.splitlines()[0] == f"{sign} 0.1 discounted_return: {headline}"
    assert explanation in shown
    assert ("goes on with the reference" in shown) == (sign != "✓")
    assert going_on_with == whose


@pytest.mark.full
def test_run_all_runs_every_cell_after_an_answer_that_cannot_be_read(tmp_path):
    (source,) = SOLUTIONS.glob("00_*.py")
    nb = build_notebook(source, solved=True)
    (answer,) = (cell for cell in nb.cells if exercise_in(cell) == "bootstrap_mask")
    answer.source = "def bootstrap_mask(terminated, truncated:\n    return 1"
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(nb, timeout=60, kernel_name="python3", resources=where).execute()
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    stopped = [c.id for c in code if any(o.output_type == "error" for o in c.outputs)]
    assert stopped == ["exercise-bootstrap_mask"]
    assert "✗" in nbformat.writes(nb) and "SyntaxError" in nbformat.writes(nb)


# ------------------------------------------------------------------------------ out of a notebook


def test_an_answer_is_found_where_the_check_is_called(capsys):
    def discounted_return(rewards, gamma):
        return float(sum(gamma**t * r for t, r in enumerate(rewards)))

    assert check("discounted_return") is discounted_return
    assert "✓" in capsys.readouterr().out


@pytest.mark.parametrize(
    "answer",
    [
        lambda rewards, gamma: float(sum(gamma**t * r for t, r in enumerate(rewards))),
        type("Sum", (), {"__call__": lambda self, r, g: float(sum(g**t * x for t, x in enumerate(r)))})(),
        functools.partial(lambda k, r, g: float(k * sum(g**t * x for t, x in enumerate(r))), 1),
    ],
    ids=["lambda", "callable object", "partial"],
)  # fmt: skip
def test_whatever_can_be_called_is_an_answer_by_its_name(answer, capsys):
    names = {"check": check, "discounted_return": answer}
    exec(CHECK, names)
    assert names["discounted_return"] is answer
    assert "✓" in capsys.readouterr().out


def test_a_name_that_is_not_there_is_no_exception(capsys):
    going_on = check("mean_squared_error")
    assert going_on is get("mean_squared_error").reference
    assert "`mean_squared_error` is not defined" in capsys.readouterr().out
    assert check("mean_squred_error") is None
    assert "Did you mean 'mean_squared_error'?" in capsys.readouterr().out


@pytest.mark.parametrize("by_name", [True, False])
def test_the_courses_own_function_is_not_called_right(by_name, capsys):
    names = {"check": check, "discounted_return": get("discounted_return").reference}
    exec(CHECK if by_name else CHECK.replace('"', ""), names)
    shown = capsys.readouterr().out
    assert "✓" not in shown and "the course's function" in shown
    assert authorship("discounted_return") == "the reference function"


def test_a_class_is_an_answer_like_any_other(capsys):
    (source,) = SOLUTIONS.glob("08_*.py")
    cells = read_cells(source)
    (answer,) = (
        cell for cell in cells if (cell.role, cell.exercise) == ("exercise", "ReplayBuffer")
    )
    imports = next(cell.source for cell in cells if cell.kind == "code")
    names = {"__name__": "__main__"}
    exec(imports, names)
    line = 'ReplayBuffer = check("ReplayBuffer")'
    exec(line, names)
    assert "`ReplayBuffer` is not defined" in capsys.readouterr().out
    exec(line, names)
    assert "this is the course's function" in capsys.readouterr().out
    exec(solved_source(answer.source), names)
    mine = names["ReplayBuffer"]
    exec(line, names)
    assert "✓" in capsys.readouterr().out
    assert names["ReplayBuffer"] is mine
