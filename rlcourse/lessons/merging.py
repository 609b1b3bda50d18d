"""A new release of a lesson, with what a student has written into the old one.

Three notebooks meet: the student's (`mine`), the release that it was begun from (`old`, where it is known)
and the new release. The result is the new release with every answer in its cell, and every cell of the
student's own after the cell that it stood after. Nothing that somebody wrote is left out.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .build import is_own
from .notebook import exercise_in

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass
class News:
    """What a release changes in a lesson.

    added, gone: exercises; answered: those whose answers were kept; other: those of them whose task has
    changed; cells: how many texts and examples are new or changed; doubled: how many cells
    both sides had changed, so that the student's stands beside the new one.
    """

    added: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    cells: int = 0
    doubled: int = 0


def merged(
    mine: NotebookNode, old: NotebookNode | None, new: NotebookNode
) -> tuple[NotebookNode, News]:
    """The new release with what is the student's own in `mine`, and what is new about it."""
    result, news = copy.deepcopy(new), _news(old, new)
    _carry_outputs(mine, result)
    for key in ("kernelspec", "language_info"):  # Whatever kernel the student works with stays.
        if key in mine.metadata:
            result.metadata[key] = mine.metadata[key]
    released = {cell.source for cell in (old.cells if old else ())}
    released |= {cell.source for cell in new.cells}
    given = {cell.id: cell for cell in (old.cells if old else ())}
    by_id = {cell.id: cell for cell in result.cells}
    by_source = {cell.source: cell for cell in result.cells}
    answers = {exercise_in(cell): cell for cell in result.cells if exercise_in(cell)}
    stubs = {name: cell.source for name, cell in answers.items()}
    after = -1  # the student's next own cell goes after this one of the result
    for cell in mine.cells:
        name = exercise_in(cell)
        counterpart = answers.get(name) or by_id.get(cell.id) or by_source.get(cell.source)
        if counterpart is not None:
            after = max(after, _place(result, counterpart))
        if not is_own(cell, released):
            continue
        before = given.get(cell.id)
        if name in answers and counterpart.source == stubs[name]:
            _take_over(cell, counterpart)
            news.answered.append(name)
            if before is not None and before.source != stubs[name]:
                news.other.append(name)
        elif counterpart is not None and _is_the_same(before, counterpart, cell):
            _take_over(cell, counterpart)
        else:
            news.doubled += before is not None and name is None
            after += 1
            result.cells.insert(after, _own(cell, by_id))
    return result, news


def _place(nb: NotebookNode, wanted: NotebookNode) -> int:
    return next(index for index, cell in enumerate(nb.cells) if cell is wanted)


def _take_over(mine: NotebookNode, new: NotebookNode) -> None:
    """Write the student's text, and what it has shown, into a cell of the release."""
    new.source = mine.source
    if new.cell_type == "code":
        new.outputs, new.execution_count = mine.outputs, mine.execution_count


def _is_the_same(old: NotebookNode | None, new: NotebookNode, mine: NotebookNode) -> bool:
    """Whether the release left this cell as it was, so that the student's version of it stands."""
    if new.cell_type != mine.cell_type or new.id != mine.id:
        return False
    if old is not None:
        return old.source == new.source
    return new.id.startswith(f"{new.cell_type}-")  # Such an id is made from the text itself.


def _own(cell: NotebookNode, taken: dict[str, NotebookNode]) -> NotebookNode:
    """The student's cell as a cell of no exercise, with an id that nobody else has."""
    own = copy.deepcopy(cell)
    own.metadata.pop("nbgrader", None)
    number = 1
    while own.id in taken:
        number += 1
        own.id = f"{cell.id[:50]}-own-{number}"
    taken[own.id] = own
    return own


def _carry_outputs(mine: NotebookNode, result: NotebookNode) -> None:
    """What the student's runs have shown stays under the cells that are the same."""
    shown = {cell.source: cell for cell in mine.cells if cell.cell_type == "code"}
    for cell in result.cells:
        if cell.cell_type == "code" and cell.source in shown:
            cell.outputs = shown[cell.source].outputs
            cell.execution_count = shown[cell.source].execution_count


def _news(old: NotebookNode | None, new: NotebookNode) -> News:
    if old is None:
        return News()
    before = {exercise_in(cell) for cell in old.cells} - {None}
    now = [name for cell in new.cells if (name := exercise_in(cell))]
    sources = {cell.source for cell in old.cells}
    changed = [c for c in new.cells if c.source not in sources and exercise_in(c) not in now]
    gone = sorted(before - set(now))
    return News([name for name in now if name not in before], gone, cells=len(changed))
