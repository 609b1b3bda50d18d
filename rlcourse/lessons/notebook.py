"""Reading notebooks of the course: which cell is which, whoever saved them last."""

from __future__ import annotations

import hashlib
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from rlcourse.lessons.paths import UsageError, lesson_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

# With the name in quotes; copies of before have the function itself.
CHECK_CALL = re.compile(r"""(\w+) = check\((["']?)(\w+)\2\)""")

# The tag of a cell after whose exception Run All goes on, in JupyterLab as in nbclient.
GOES_ON = "raises-exception"


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook in format 4.

    Raises:
        UsageError: no such file, or not a notebook; the message says which.
    """
    import nbformat

    if path.is_dir():
        raise UsageError(f"{path} is a folder: give the notebook itself, a file ending in .ipynb.")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}: check the name and the folder.") from None
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        raise UsageError(
            f"{path} is not a notebook (it is not text): give an .ipynb file of the course."
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Older notebooks lack cell ids; nbformat adds them.
            nb = nbformat.reads(text, as_version=4)
            nbformat.validate(nb)
    except nbformat.reader.NotJSONError:
        raise UsageError(
            f"{path} is not a notebook, or only a part of one (not valid JSON): "
            "save it again in JupyterLab, or give another copy."
        ) from None
    except Exception:  # nbformat raises many kinds on broken input; all mean the same here.
        raise UsageError(
            f"{path} is JSON but not a notebook: "
            "open it in JupyterLab and save it, or give another copy."
        ) from None
    return nb


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
