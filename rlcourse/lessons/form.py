"""The form that all lessons share, as far as a program can see it: docs/writing-a-lesson.md says what for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import notation
from .linking import Atlas, missing_references
from .paths import lesson_of
from .refusing import Problem
from .source import Cell

ON_PAPER = "✎ on paper"
NEIGHBOUR = "Talk to your neighbour"
LAST_CELLS = (
    f"## {NEIGHBOUR}",
    "## Summary",
    "## Where this went",
    "## For readers of the sources",
    "## What we hand on",
)
SUMMARY_BULLETS = 5
WENT_BULLETS = range(3, 6)
WORDS_AT_A_SITTING = 4500

FOLDED = "hide-input"  # the tag of a cell whose code stays folded: plots, mostly
_PLOTTED = re.compile(r"\bplots\.(show|slide|animate_values)\(")
_OPTION = re.compile(r"\*\*[A-D]\*\*")


@dataclass(frozen=True)
class _Found:
    cell: Cell | None
    reason: str


def form_problems(path: Path, cells: list[Cell], atlas: Atlas) -> Iterator[Problem]:
    """Where a lesson is not in the course's form."""
    for found in _all(cells, lesson_of(path) or "", atlas):
        cell = found.cell
        yield Problem(path, cell and cell.number, cell and cell.line, found.reason)


def _all(cells: list[Cell], lesson: str, atlas: Atlas) -> Iterator[_Found]:
    yield from _exercises(cells)
    yield from _figures(cells)
    yield from _questions(cells)
    yield from _last_cells(cells)
    yield from _length(cells)
    for cell in cells:
        if cell.kind == "markdown":
            for reason in notation.problems(cell.source):
                yield _Found(cell, reason)
    for cell, number in missing_references(cells, lesson, atlas):
        yield _Found(cell, f"there is no equation ({number})")


def _exercises(cells: list[Cell]) -> Iterator[_Found]:
    tasks = [cell for cell in cells if cell.role == "task"]
    if tasks and not any(ON_PAPER in task.source for task in tasks):
        yield _Found(None, f"no exercise is done on paper: one task's head ends with {ON_PAPER!r}")


def _figures(cells: list[Cell]) -> Iterator[_Found]:
    code = [cell for cell in cells if cell.kind == "code"]
    if not any("plots.slide(" in cell.source for cell in code):
        yield _Found(None, "no figure has a slider: plots.slide")
    for cell in code:
        if _PLOTTED.search(cell.source) and FOLDED not in cell.options.get("tags", ()):
            yield _Found(cell, f'a cell that plots is folded: tags=["{FOLDED}"]')


def _questions(cells: list[Cell]) -> Iterator[_Found]:
    asked = [c for c in cells if c.kind == "markdown" and f"### {NEIGHBOUR}" in c.source]
    if not asked:
        yield _Found(None, f"no question '### {NEIGHBOUR}' where the idea is met")
    for cell in asked:
        if len(_OPTION.findall(cell.source)) < 2:
            yield _Found(
                cell, "a question to the neighbour has options to vote on: **A** …, **B** …"
            )
        if cells[-1].number == cell.number or not any(
            c.kind == "code" for c in cells if c.number > cell.number
        ):
            yield _Found(cell, "no cell answers this question")


def _last_cells(cells: list[Cell]) -> Iterator[_Found]:
    headed = {
        heading: cell
        for cell in cells
        for heading in LAST_CELLS
        if cell.kind == "markdown" and cell.source.startswith(heading)
    }
    for heading in LAST_CELLS:
        if heading not in headed:
            yield _Found(None, f"the lesson has no cell '{heading}'")
    there = [headed[heading].number for heading in LAST_CELLS if heading in headed]
    if there != sorted(there):
        yield _Found(None, f"the lesson ends with {', '.join(LAST_CELLS)}, in this order")
    summary, went, sources = map(headed.get, LAST_CELLS[1:4])
    if summary and _bullets(summary) != SUMMARY_BULLETS:
        yield _Found(summary, f"a summary has {SUMMARY_BULLETS} bullets")
    if went and _bullets(went) not in WENT_BULLETS:
        yield _Found(went, "where this went: three to five bullets")
    if sources and "<details>" not in sources.source:
        yield _Found(sources, "what is for readers of the sources is folded: <details>")


def _bullets(cell: Cell) -> int:
    return len(re.findall(r"^- ", cell.source, re.MULTILINE))


def _length(cells: list[Cell]) -> Iterator[_Found]:
    words = sum(len(cell.source.split()) for cell in cells if cell.kind == "markdown")
    broken = any(c.kind == "markdown" and c.source.startswith("## Break") for c in cells)
    if words > WORDS_AT_A_SITTING and not broken:
        yield _Found(None, f"{words} words are two sittings: a cell '## Break' in the middle")
