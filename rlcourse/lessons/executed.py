"""Lessons with their outputs, run once and kept until something changes that the outputs came from.

The site and the slides show what a lesson's cells give. Running all the lessons takes minutes, so each run
is recorded: the outputs, and what they depend on, which is the lesson's code, those of the course's own
modules that its kernel had imported, and the versions of the libraries. A record whose word still holds is
used again; another is made anew.
"""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import running
from .build import build_notebook
from .linking import Atlas
from .paths import UsageError, write_atomically

if TYPE_CHECKING:
    from nbformat import NotebookNode

PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARIES = ("numpy", "torch", "gymnasium", "matplotlib", "ipywidgets", "scipy")
# The last cell of a recorded run: which of the course's files its kernel has imported.
_IMPORTED = """
import json, sys
print(json.dumps([f for m in list(sys.modules.values()) if (f := getattr(m, "__file__", None))]))
"""


def executed(
    source: Path,
    store: Path,
    *,
    solved: bool,
    atlas: Atlas,
    tell: Callable[[str], None] = lambda line: None,
) -> NotebookNode:
    """The notebook of a lesson with the outputs of all its cells; a student's copy unless `solved`.

    A student's copy is run as it is, unsolved: the checks hand the reference on. store: the folder of the
    records; tell: is told when the lesson has to be run, which takes its time.
    Raises:
        BuildError: the lesson is refused. UsageError: it cannot be read, or one of its cells fails.
    """
    notebook = build_notebook(source, solved=solved, atlas=atlas)
    record = store / f"{source.stem}-{'solved' if solved else 'student'}.json"
    outputs = _recorded(record, notebook)
    if outputs is None:
        tell(f"running {source.stem}")
        outputs = _run(notebook, record, source)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [_node(output) for output in outputs[cell.id]]
    return notebook


def _node(output: dict[str, Any]) -> NotebookNode:
    from nbformat import from_dict

    return from_dict(output)


def _run(notebook: NotebookNode, record: Path, source: Path) -> dict[str, list]:
    from nbclient.exceptions import CellExecutionError
    from nbformat import v4

    asking = v4.new_code_cell(_IMPORTED)
    notebook.cells.append(asking)
    try:
        with tempfile.TemporaryDirectory(prefix="rlcourse-", ignore_cleanup_errors=True) as folder:
            running.run(notebook, Path(folder))
    except CellExecutionError as error:
        raise UsageError(
            f"{source}: a cell fails, so there is nothing to show.\n{error}"
        ) from error
    finally:
        notebook.cells.pop()
    files = [Path(f).resolve() for f in json.loads(asking.outputs[0].text)]
    modules = sorted(f.relative_to(PACKAGE).as_posix() for f in files if f.is_relative_to(PACKAGE))
    outputs = {c.id: c.outputs for c in notebook.cells if c.cell_type == "code"}
    kept = {
        "code": _code(notebook),
        "libraries": _libraries(),
        "modules": {name: _digest(PACKAGE / name) for name in modules},
        "outputs": outputs,
    }
    record.parent.mkdir(parents=True, exist_ok=True)
    write_atomically({record: json.dumps(kept)})
    return outputs


def _recorded(record: Path, notebook: NotebookNode) -> dict[str, list] | None:
    """The outputs in a record, or None if there are none or they are those of another state."""
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
        current = (
            kept["code"] == _code(notebook)
            and kept["libraries"] == _libraries()
            and all(_digest(PACKAGE / name) == was for name, was in kept["modules"].items())
        )
        return kept["outputs"] if current else None
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
    ):  # none yet, or not one that this version wrote
        return None


def _code(notebook: NotebookNode) -> str:
    cells = [[c.id, c.source] for c in notebook.cells if c.cell_type == "code"]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


@cache
def _digest(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


@cache
def _libraries() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # one that only some lessons need
    return found
