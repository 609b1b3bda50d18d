"""Runs a lesson as a student would, from the first cell to the last."""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import pytest
from lab_browser import chromium
from pages_browser import slide_faults

from rlcourse import checker
from rlcourse.lessons import slides
from rlcourse.lessons.build import build_notebook
from rlcourse.lessons.notebook import check_in, exercise_in
from rlcourse.lessons.running import run, seconds_allowed

SOURCES = sorted((Path(__file__).parents[2] / "solutions").glob("*.py"))
FIRST_WITH_NETWORKS = "08"
# Lesson 00 shows a gradient of torch's and has no networks; 16 is done with tables alone.
WITH_NETWORKS = [
    source
    for source in SOURCES
    if source.stem >= FIRST_WITH_NETWORKS
    and re.search(r"^import torch\b", source.read_text(encoding="utf-8"), re.MULTILINE)
]
PROJECT = "train_agent"
SLOWEST = 3  # so much slower than the machine of the limits may another be
LONGEST_LINE = 88  # letters printed in a line: a longer one breaks inside a word at 1,000 pixels
SLIDER_SECONDS = 0.3  # a figure's answer to its slider
# With all answers, which every run looks at; with none.
WAYS = [True, pytest.param(False, marks=pytest.mark.full)]


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


def run_whole(source, solved, tmp_path):
    """What must hold of every lesson, with all answers or with none."""
    notebook = build_notebook(source, solved=solved)
    cost = run(notebook, tmp_path)
    shown = checks(notebook)
    assert list(shown) == list(checker.names(source.stem[:2]))
    for name, text in shown.items():
        if solved:
            expected = checker.expected_output(name)["text/plain"]
            # A project's verdict goes on with its scores, which the processor's rounding may change.
            assert text == expected or (name == PROJECT and text.startswith(f"{expected}\n"))
        else:
            assert text.startswith("○") and "not written yet" in text
    assert printed_on_stderr(notebook) == [], "no warning is left on a student's screen"
    if solved:
        long = [line for line in printed(notebook).splitlines() if len(line) > LONGEST_LINE]
        assert not long, long
        answered_in = sliders(notebook)
        assert answered_in and max(answered_in) < SLOWEST * SLIDER_SECONDS
    elif chromium():
        # Running is what costs most, so the lesson's slides are looked at here, too.
        deck = tmp_path / "slides.html"
        slides.write_deck(notebook, deck, solved=False)
        _, faults = slide_faults(deck)
        assert not faults, faults
    # `make lessons` holds the limit itself; processors differ by more than half.
    assert cost.cpu < SLOWEST * seconds_allowed(source.stem[:2])
