"""A lesson's source, `solutions/NN_topic.py` (solved, Jupytext's percent format), as cells."""

from __future__ import annotations

import ast
import re
import textwrap
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from .paths import UsageError

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
ROLES = ("task", "exercise", "hints", "check")
# What Jupytext notes for itself about blank lines and cell markers.
_JUPYTEXT_OPTIONS = ("lines_to_next_cell", "lines_to_end_of_cell_marker", "cell_marker")


class Declarations(Protocol):
    """What the builder asks about exercises; the module `rlcourse.checker` offers it."""

    def names(self, lesson: str | None = None) -> tuple[str, ...]: ...

    def get(self, name: str) -> Any: ...

    def released_output(self, name: str) -> dict[str, str]: ...


@dataclass
class Cell:
    """One cell of a lesson's source."""

    number: int
    line: int | None
    kind: str
    source: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def role(self) -> str | None:
        return next((role for role in ROLES if role in self.options), None)

    @property
    def exercise(self) -> str | None:
        """The exercise that this cell belongs to."""
        return self.options[self.role] if self.role else None


def read_cells(path: Path) -> list[Cell]:
    """The cells of a percent file, with the lines at which they begin."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Cannot read {path}: {error}.") from error
    return deepcopy([*_parsed(text)])


@lru_cache(maxsize=64)  # to build a site a lesson is read five times
def _parsed(text: str) -> tuple[Cell, ...]:
    import jupytext

    nodes = jupytext.reads(text, fmt="py:percent").cells
    starts = [n for n, line in enumerate(text.splitlines(), 1) if re.match(r"# ?%%", line)]
    if len(nodes) == len(starts) + 1:
        starts.insert(0, 1)  # Text above the first marker is a cell, too.
    lines = starts if len(starts) == len(nodes) else [None] * len(nodes)
    return tuple(
        Cell(
            number,
            line,
            node.cell_type,
            node.source,
            {k: v for k, v in node.metadata.items() if k not in _JUPYTEXT_OPTIONS},
        )
        for number, (node, line) in enumerate(zip(nodes, lines, strict=True), 1)
    )


def marker_in(line: str) -> str | None:
    """BEGIN or END if the line names one, even misspelt in its spacing."""
    if "BEGIN SOLUTION" in line:
        return BEGIN
    if "END SOLUTION" in line:
        return END
    return None


def solution_regions(source: str) -> list[str]:
    """The text between each pair of markers (which are known to be paired)."""
    regions: list[list[str]] = []
    inside = False
    for line in source.splitlines():
        marker = marker_in(line)
        if marker:
            inside = marker is BEGIN
            if inside:
                regions.append([])
        elif inside:
            regions[-1].append(line)
    return [textwrap.dedent("\n".join(region)) for region in regions]


def student_source(source: str, title: str) -> str:
    """An exercise cell without its answer: each region becomes one `raise NotImplementedError`."""
    kept: list[str] = []
    inside = False
    for line in source.splitlines():
        marker = marker_in(line)
        if marker:
            inside = marker is BEGIN
            if inside:
                indent = line[: len(line) - len(line.lstrip())]
                kept.append(f'{indent}raise NotImplementedError("{title}")')
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def solved_source(source: str) -> str:
    """An exercise cell with its answer, without the marker lines."""
    return "\n".join(line for line in source.splitlines() if not marker_in(line))


def parse(source: str) -> ast.Module:
    """Parse a cell; IPython's magics and shell lines count as `pass`."""
    plain = re.sub(r"^([ \t]*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(plain, "<cell>", "exec", flags, dont_inherit=True)
