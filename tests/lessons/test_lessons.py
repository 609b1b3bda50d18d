"""Every lesson, run whole: solved, unsolved, and with each exercise wrong in turn."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from nbclient import NotebookClient

from rlcourse import exercises
from rlcourse.build import build_notebook
from rlcourse.notebook import check_in, exercise_in

SOURCES = sorted((Path(__file__).parents[2] / "solutions").glob("*.py"))
SECONDS_A_LESSON, SECONDS_A_CELL = 60, 60


def run(notebook, tmp_path):
    """Execute all cells; an exception in any of them fails the test. Returns the seconds it took."""
    began = time.monotonic()
    NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    return time.monotonic() - began


def checks(notebook):
    """exercise -> the plain text that its check showed."""
    shown = {}
    for cell in notebook.cells:
        name = check_in(cell)
        if name:
            shown[name] = "".join(o["data"]["text/plain"] for o in cell.outputs if "data" in o)
    return shown


def printed_on_stderr(notebook):
    return [
        output.text
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr"
    ]


@pytest.mark.parametrize("solved", [True, False], ids=["solved", "unsolved"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_lesson_runs_whole(source, solved, tmp_path):
    notebook = build_notebook(source, solved=solved)
    seconds = run(notebook, tmp_path)
    shown = checks(notebook)
    assert list(shown) == list(exercises.names(source.stem[:2]))
    for name, text in shown.items():
        if solved:
            assert text == exercises.released_output(name)["text/plain"]
        else:
            assert text.startswith("○") and "not written yet" in text
    assert printed_on_stderr(notebook) == [], "no warning is left on a student's screen"
    assert seconds < SECONDS_A_LESSON


def test_lesson_05_with_the_mask_forgotten_names_the_mistake_and_runs_on(tmp_path):
    source = next(path for path in SOURCES if path.stem.startswith("05"))
    notebook = build_notebook(source, solved=True)
    cell = next(cell for cell in notebook.cells if exercise_in(cell) == "q_learning_target")
    cell.source = (
        "def q_learning_target(reward, q_next, terminated, gamma):\n"
        "    return reward + gamma * q_next.max(axis=1)\n"
    )
    run(notebook, tmp_path)
    shown = checks(notebook)
    assert "bootstraps through a terminal state" in shown["q_learning_target"]
    assert exercises.get("q_learning_target").equation in shown["q_learning_target"]
    right = [name for name, text in shown.items() if text.startswith("✓")]
    assert len(right) == len(shown) - 1
    told = "".join(
        output.get("text", "")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    assert "with the reference for q_learning_target" in told


def test_every_equation_that_a_check_points_at_is_in_its_lesson():
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        for exercise in exercises.lesson(source.stem[:2]):
            number = exercise.equation.strip("()")
            assert rf"\tag{{{number}}}" in text, f"{exercise.name}: no equation ({number})"


def test_no_lesson_refers_to_an_equation_of_its_own_that_is_not_there():
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        lesson = str(int(source.stem[:2]))
        tagged = set(re.findall(r"\\tag\{(\d+\.\d+)\}", text))
        referred = set(re.findall(rf"\(({lesson}\.\d+)\)", text))
        assert referred <= tagged, f"{source.name}: {sorted(referred - tagged)}"
        numbers = [int(tag.split(".")[1]) for tag in re.findall(r"\\tag\{(\d+\.\d+)\}", text)]
        assert numbers == list(range(1, len(numbers) + 1)), f"{source.name}: {numbers}"
