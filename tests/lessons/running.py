"""Runs a lesson as a student would, from the first cell to the last."""

from __future__ import annotations

from pathlib import Path

import jupytext
from nbformat import v4

from rlcourse.lessons.build import build_notebook
from rlcourse.lessons.notebook import check_in, check_source, exercise_in
from rlcourse.lessons.running import seconds_allowed

SOURCES = sorted((Path(__file__).parents[2] / "solutions").glob("*.py"))
PROJECT = "train_agent"
SLOWEST = 3  # so much slower than the machine of the limits may another be
LONGEST_LINE = 88  # letters printed in a line: a longer one breaks inside a word at 1,000 pixels
SLIDER_SECONDS = 0.3  # a figure's answer to its slider


def left_by(lesson, without=None):
    """name -> value: what the solved lesson's cells leave behind; their own assertions hold as well.

    without: a word; the cells that have it are passed over.
    """
    (source,) = (path for path in SOURCES if path.stem.startswith(lesson))
    names = {}
    for number, cell in enumerate(jupytext.read(source).cells):
        if cell.cell_type == "code" and not (without and without in cell.source):
            exec(compile(cell.source, f"{source.name}, cell {number}", "exec"), names)
    return names


def checks(cells):
    """exercise -> the plain text that its check showed."""
    shown = {}
    for cell in cells:
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


def printed(notebook):
    """Everything that the cells printed."""
    return "".join(
        output.get("text", "")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


def sliders(notebook):
    """The processor seconds that each figure with a slider took for one position."""
    return [
        output.metadata.rlcourse.seconds
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "rlcourse" in output.get("metadata", {})
    ]


def with_answers(source, **answers):
    """The solved notebook with these exercises' cells replaced, name -> source."""
    notebook = build_notebook(source, solved=True)
    for cell in notebook.cells:
        name = exercise_in(cell)
        if name in answers:
            cell.source = answers[name]
    return notebook


def unwritten_then_wrong(source):
    """The student's notebook, and the cells that it has more: after each check a wrong answer, checked again."""
    notebook = build_notebook(source)
    cells, added = [], []
    for cell in notebook.cells:
        cells.append(cell)
        name = check_in(cell)
        if name:
            wrong = f"def {name}(*given):\n    return given[0]\n"
            more = [v4.new_code_cell(wrong), v4.new_code_cell(check_source(name))]
            cells += more
            added += more
    notebook.cells = cells
    return notebook, added


def require_affordable(cost, source):
    # `make lessons` holds the limit itself; processors differ by more than half.
    assert cost.cpu < SLOWEST * seconds_allowed(source.stem[:2])
