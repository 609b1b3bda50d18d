"""The student's page: all that helps, nothing that gives the answer away, and text stays text."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from made_up_class import EXERCISES, mark, record, unreadable
from test_report import Page, assert_self_contained

from rlcourse import checker
from rlcourse.checker.judging import cases_of
from rlcourse.grading import feedback
from rlcourse.lessons.build import build_notebook
from rlcourse.lessons.notebook import exercise_in

LESSON = "05", "SARSA and Q-learning"
EVIL = "</pre></section><script>alert('x')</script><b onclick=x>"


def page_of(one):
    text = feedback.page(one, *LESSON)
    page = Page(text)
    assert_self_contained(page)
    return page, text


STATES = {
    "passed": "right",
    "failed": "wrong values",
    "not attempted": "not written yet",
    "timeout": "timeout",
    "crash": "crash",
    "overflow": "overflow",
    "forbidden": "calls the reference",
}


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_told_with_its_points(state):
    said = {"headline": STATES[state], "explanation": "So it is."} if state != "passed" else {}
    page, _ = page_of(record("ada", mark(0), mark(1, state, **said), mark(2), mark(3)))
    section = page.text.split("5.2 q_learning_target")[1].split("5.3 ")[0]
    assert STATES[state] in section
    assert ("1 of 1" if state == "passed" else "0 of 1") in section
    assert ("So it is." in section) == (state != "passed")


def test_a_known_mistake_comes_with_its_equation_and_the_next_step():
    one = mark(
        1, "failed", mistake="bootstraps-terminal", headline="bootstraps-terminal",
        explanation="No value after `terminated`.", next_step="Look at row 3.", note="Mend that first.",
    )  # fmt: skip
    page, text = page_of(record("ada", mark(0), one, mark(2), mark(3), notes=["several notebooks"]))
    for words in ("bootstraps-terminal", "No value after terminated .", "equation (5.8)",
                  "Try: Look at row 3.", "Right in 3 of 12 cases.", "Mend that first.",
                  "Several notebooks.", "6 of 7 points", "ada"):  # fmt: skip
        assert words in page.text.replace("terminated.", "terminated ."), words
    assert "<code>terminated</code>" in text


def test_a_submission_that_could_not_be_marked_says_why():
    page, _ = page_of(unreadable("ada", "the file is cut off"))
    assert "could not be marked: the file is cut off" in page.text and "0 of 7 points" in page.text


def test_what_lateness_cost_is_said():
    late = record("ada", score=5.25, penalty=1.75, late_days=2, notes=["2 days late"])
    page, _ = page_of(late)
    assert "5.25 of 7 points" in page.text and "1.75 points are taken off" in page.text


def test_students_text_is_text():
    texts = {"headline": EVIL, "explanation": EVIL, "next_step": EVIL, "note": EVIL, "source": EVIL}
    one = record(EVIL, mark(0), mark(1, "failed", **texts), mark(2), mark(3), notes=[EVIL])
    page, text = page_of(one)
    assert page.text.count("<script>alert(") == 6 + 1  # the page, and its title
    assert "default-src 'none'" in text  # even what slipped through would not run
    page_of(unreadable("a", EVIL))


@pytest.mark.parametrize(
    "source",
    [
        "",
        "def f(:\n  \0",
        "é宿 = 'x'\n" * 500,
        "%%bash\nls",
        "\ud800".encode("utf-8", "replace").decode(),
    ],
)
def test_any_code_can_be_shown(source):
    _, text = page_of(record("ada", *(mark(i, source=source) for i in range(len(EXERCISES)))))
    text.encode()
    assert ("<pre" in text) == bool(source)


def test_code_is_shown_as_it_was_written_and_in_colour():
    source = "def f(a):\n    if a < 1 and a > 0:  # <b>\n        return 'x'\n"
    _, text = page_of(record("ada", mark(0, source=source), mark(1), mark(2), mark(3)))
    shown = re.search(r"<pre>(.*?)</pre>", text, re.DOTALL)[1]
    assert "".join(Page(f"<pre>{shown}</pre>").words) == source
    assert re.search(r'<span class="k">def</span>', shown)
    assert "prefers-color-scheme: dark" in text and "@media print" in text


# ------------------------------------------------------------------------------ the real thing


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A submission whose answers are all wrong, graded: (its record, its page)."""
    folder = tmp_path_factory.mktemp("one")
    made = build_notebook(next((Path(__file__).parents[2] / "solutions").glob("05_*.py")), True)
    for cell in made.cells:
        if name := exercise_in(cell):
            head = re.search(rf"def {name}\(.*?\):\n", cell.source, re.DOTALL)[0]
            cell.source = head + "    return np.full((6, 3), 0.125)\n"
    (folder / "in").mkdir()
    (folder / "in" / "ada.ipynb").write_text(nbformat.writes(made), encoding="utf-8")
    command = ["grade", "05", folder / "in", "--out", folder / "out", "--secret", "s"]
    subprocess.run(
        [sys.executable, "-m", "rlcourse", *map(str, command)], check=True, capture_output=True
    )
    (one,) = json.loads((folder / "out" / "results.json").read_text("utf-8"))["submissions"]
    assert (folder / "out" / "report.html").is_file()
    return one, (folder / "out" / "feedback" / "ada.html").read_text("utf-8")


def given_away(text, seed):
    """The expected values of these exercises that a page shows, to two decimals or more."""
    own = r"\(?\b5\.\d+\b\)?|0\.125"  # exercises, equations, and what the student wrote
    words = re.sub(own, "", Page(text).text)
    shown = np.array([float(n) for n in re.findall(r"-?\d+\.\d\d+", words)])
    found = set()
    for name in ("sarsa_targets", "q_learning_target", "expected_max", "double_q_target"):
        exercise = checker.get(name)
        for case in cases_of(exercise, seed):
            expected = np.ravel(exercise.reference(**case.inputs))
            near = np.abs(expected[:, None] - shown) < 0.005
            found |= set(expected[near.any(axis=1)])
    return found


@pytest.mark.full
def test_no_expected_value_is_on_the_page(graded):
    one, text = graded
    assert {m["state"] for m in one["exercises"]} == {"failed"}
    assert given_away(text, one["seed"]) == set()
    exercise = checker.get("q_learning_target")
    value = np.ravel(exercise.reference(**cases_of(exercise, one["seed"])[0].inputs))[0]
    assert given_away(text.replace("</body>", f"expected {value:.3f}</body>"), one["seed"])


def test_no_answer_of_the_course_is_on_the_page(graded):
    _, text = graded
    shown = re.sub(r"\W", "", Page(text).text)
    for name in checker.names("05"):
        exercise = checker.get(name)
        for function in (exercise.reference, *exercise.also_correct):
            body = inspect.getsource(function).partition("):\n")[2].split('"""')[-1]
            lines = [re.sub(r"\W", "", line.split("#")[0]) for line in body.splitlines()]
            assert not [line for line in lines if len(line) > 20 and line in shown], name
