"""Reading notebooks of the course: which cell is which, whoever saved them last."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlcourse.lessons.paths import UsageError, lesson_of
from rlcourse.lessons.reading import Unreadable, is_answer, metadata_of, source_of, tree_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

# With the name in quotes; copies of before have the function itself.
CHECK_CALL = re.compile(r"""(\w+) = check\((["']?)(\w+)\2\)""")

# The tag of a cell after whose exception Run All goes on, in JupyterLab as in nbclient.
GOES_ON = "raises-exception"


def read_notebook(path: Path) -> NotebookNode:
    """A student's notebook, in format 4.5, whatever has been at it: an answer is a code cell again.

    Raises:
        UsageError: no such file, or not a notebook; the message says which.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: give the notebook itself, a file ending in .ipynb.")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}: check the name and the folder.") from None
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error
    try:
        return _in_order(tree_of(data))
    except Unreadable as reason:
        raise UsageError(
            f"{path} is not a notebook that can be read: {reason}. "
            "Save it again in JupyterLab, or give another copy."
        ) from None


_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_KINDS = ("code", "markdown", "raw")


def _in_order(tree: dict[str, Any]) -> NotebookNode:
    """A notebook of format 4.5 that is valid, with all that can be kept of this one."""
    import nbformat

    cells, taken = [], set()
    for number, cell in enumerate(tree["cells"], 1):
        kind = cell.get("cell_type")
        kind = "code" if is_answer(cell) else kind if kind in _KINDS else "markdown"
        name = cell.get("id")
        if not isinstance(name, str) or not _ID.fullmatch(name) or name in taken:
            name = f"cell-{number}"
        taken.add(name)
        whole = {
            "id": name,
            "cell_type": kind,
            "metadata": metadata_of(cell),
            "source": source_of(cell),
        }
        if kind == "code":
            count = cell.get("execution_count")
            outputs = cell.get("outputs")
            whole["execution_count"] = count if type(count) is int and count >= 0 else None
            whole["outputs"] = outputs if isinstance(outputs, list) else []
        cells.append(whole)
    metadata = {
        k: v for k, v in metadata_of(tree).items() if k not in ("signature", "orig_nbformat")
    }
    nb = nbformat.from_dict(
        {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    )
    for strip in (_without_outputs, _without_strange_metadata):
        if _is_valid(nb):
            return nb
        strip(nb)
    if not _is_valid(nb):
        raise Unreadable("it is JSON, but not a notebook")
    return nb


def _is_valid(nb: NotebookNode) -> bool:
    import nbformat

    try:
        nbformat.validate(nb)
    except nbformat.ValidationError:
        return False
    return True


def _without_outputs(nb: NotebookNode) -> None:
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs = []


def _without_strange_metadata(nb: NotebookNode) -> None:
    """Leave of the metadata what the course reads itself."""
    nb.metadata = {k: v for k, v in nb.metadata.items() if k == "rlcourse"}
    for cell in nb.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k == "nbgrader"}


def exercise_in(cell: NotebookNode) -> str | None:
    """The exercise whose answer this cell holds, or None."""
    grader = cell.metadata.get("nbgrader", {})
    if cell.cell_type != "code" or not grader.get("solution"):
        return None
    return grader.get("grade_id")


def check_in(cell: NotebookNode) -> str | None:
    """The exercise that this cell checks, or None; by metadata, else by `name = check("name")`."""
    if cell.cell_type != "code":
        return None
    grader = cell.metadata.get("nbgrader", {})
    if grader.get("grade") and not grader.get("solution"):
        return grader.get("grade_id", "").removeprefix("check-") or None
    match = CHECK_CALL.fullmatch(cell.source.strip())
    return match[1] if match and match[1] == match[3] else None


def check_source(name: str) -> str:
    """What stands in the check cell of an exercise, and nothing else."""
    return f'{name} = check("{name}")'


def lesson_in(nb: NotebookNode, path: Path) -> str | None:
    """The lesson of a notebook of the course ("05"), from its metadata, else its name; or None."""
    course = nb.metadata.get("rlcourse", {})
    if course.get("lesson"):
        return course["lesson"]
    ours = any(exercise_in(cell) or check_in(cell) for cell in nb.cells)
    return lesson_of(path) if ours else None


def lesson_by_exercises(
    nb: NotebookNode, names: Callable[[str], Collection[str]], lessons: Iterable[str]
) -> str | None:
    """The lesson most of whose exercises are in a notebook, by its cells' ids and metadata; None if none is.

    names: the exercises of a lesson, which is one of `lessons`.
    """
    there = {cell.get("id", "").removeprefix("exercise-") for cell in nb.cells}
    there |= {exercise_in(cell) or check_in(cell) for cell in nb.cells}
    counts = {lesson: len(there.intersection(names(lesson))) for lesson in lessons}
    best = max(counts, key=counts.get, default=None)
    return best if best is not None and counts[best] else None


def is_untouched(cell: NotebookNode) -> bool:
    """Whether a cell of nbgrader's is still exactly as it was released."""
    released = cell.metadata.get("nbgrader", {}).get("checksum")
    return released is not None and released == checksum(cell)


def checksum(cell: NotebookNode) -> str:
    """nbgrader's md5 of a cell: source, type, the three flags, the id, and points if graded."""
    grader = cell.metadata["nbgrader"]
    grade, solution = grader["grade"], grader["solution"]
    locked = not solution and (grade or grader["locked"])
    parts = [
        cell.source,
        cell.cell_type,
        str(grade),
        str(solution),
        str(locked),
        grader["grade_id"],
    ]
    if grade:
        parts.append(str(float(grader["points"])))
    return hashlib.md5("".join(parts).encode()).hexdigest()
