"""The builder: `solutions/NN_topic.py` (solved, Jupytext percent) -> `notebooks/NN_topic.ipynb`.

The students' copy keeps every cell but the answers. It carries nbgrader's metadata (schema 3, with
checksums), slide metadata, cell ids made from the content, and only the check cells' outputs, so the
same source always gives the same bytes. A lesson that would not work for a student is refused, with
every reason, and then nothing at all is written.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .notebook import checksum
from .paths import UsageError, lesson_of, write_atomically
from .refusing import BuildError, Problem, find_problems
from .source import Cell, Declarations, read_cells, solved_source, student_source

if TYPE_CHECKING:
    from nbformat import NotebookNode


def build_notebook(
    source_path: Path, solved: bool = False, registry: Declarations | ModuleType | None = None
) -> NotebookNode:
    """The notebook of one lesson: the students' copy, or with the answers left in if `solved`.

    Raises:
        BuildError: the lesson is refused; it lists every problem of the file.
        UsageError: the file cannot be read.
    """
    if registry is None:
        from rlcourse import checker as registry
    cells = read_cells(source_path)
    problems = sorted(find_problems(source_path, cells, registry), key=lambda p: p.cell or 0)
    if problems:
        raise BuildError(problems)
    return _assemble(lesson_of(source_path), cells, registry, solved)


def build(
    sources: Iterable[Path], folder: Path, registry: Declarations | ModuleType | None = None
) -> dict[Path, str]:
    """The text of every students' notebook, as {path in `folder`: text}; writes nothing.

    Raises:
        BuildError: with the problems of all the lessons together.
    """
    import nbformat

    texts: dict[Path, str] = {}
    problems: list[Problem] = []
    for source in sources:
        try:
            nb = build_notebook(source, registry=registry)
        except BuildError as error:
            problems += error.problems
        else:
            texts[folder / f"{source.stem}.ipynb"] = nbformat.writes(nb) + "\n"
    if problems:
        raise BuildError(problems)
    return texts


def write(texts: dict[Path, str]) -> list[Path]:
    """Write the notebooks that differ from what is there; returns those."""
    changed = stale(texts)
    for folder in {path.parent for path in changed}:
        if not folder.is_dir():
            raise UsageError(
                f"There is no folder {folder}: create it, or run this in the checkout."
            )
    write_atomically({path: texts[path] for path in changed})
    return changed


def stale(texts: dict[Path, str]) -> list[Path]:
    """The notebooks that are missing or differ from their source."""
    return [
        path
        for path, text in texts.items()
        if not path.is_file() or path.read_bytes() != text.encode()
    ]


def orphans(texts: dict[Path, str], folder: Path) -> list[Path]:
    """Notebooks in `folder` that are named like a lesson but come from no source."""
    return [
        path for path in sorted(folder.glob("*.ipynb")) if lesson_of(path) and path not in texts
    ]


# ------------------------------------------------------------------------------ the notebook


def _assemble(
    lesson: str, cells: list[Cell], registry: Declarations | ModuleType, solved: bool
) -> NotebookNode:
    from nbformat import v4

    nodes: list[NotebookNode] = []
    taken: set[str] = set()
    runs = 0
    for cell in cells:
        released = source = cell.source
        if cell.role == "exercise":
            released = student_source(source, registry.get(cell.exercise).title)
            source = solved_source(source) if solved else released
        # The checksum is of what students get, so an answer written there is seen as a change.
        common = {"id": _cell_id(cell, taken), "metadata": _metadata(cell, released, registry)}
        if cell.kind == "code":
            runs += 1
            node = v4.new_code_cell(source, **common)
            if cell.role == "check":
                # The count that the cell has when the notebook runs once from the top.
                node.execution_count = runs
                data = registry.released_output(cell.exercise)
                node.outputs = [v4.new_output("display_data", data=dict(data))]
        elif cell.kind == "markdown":
            node = v4.new_markdown_cell(source, **common)
        else:
            node = v4.new_raw_cell(source, **common)
        nodes.append(node)
    nb = v4.new_notebook(
        cells=nodes,
        metadata={
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
            "rlcourse": {"lesson": lesson},
        },
    )
    nb.nbformat_minor = 5
    return nb


def _cell_id(cell: Cell, taken: set[str]) -> str:
    """An id from the role and name, else from the text: the same on every run."""
    if cell.role:
        base = f"{cell.role}-{cell.exercise}"[:60]
    else:
        base = f"{cell.kind}-{hashlib.sha256(cell.source.encode()).hexdigest()[:8]}"
    unique, again = base, 1
    while unique in taken:
        again += 1
        unique = f"{base}-{again}"
    taken.add(unique)
    return unique


def _metadata(cell: Cell, source: str, registry: Declarations | ModuleType) -> dict[str, Any]:
    metadata: dict[str, Any] = {"slideshow": {"slide_type": _slide_type(cell)}}
    if "jupyter" in cell.options:
        metadata["jupyter"] = cell.options["jupyter"]
    tags = list(cell.options.get("tags", ()))
    if cell.role == "check":
        tags.append("nbval-check-output")
    if tags:
        metadata["tags"] = tags
    if cell.role in ("task", "exercise", "check"):
        metadata["nbgrader"] = _nbgrader_metadata(cell, source, registry)
    return metadata


def _nbgrader_metadata(
    cell: Cell, source: str, registry: Declarations | ModuleType
) -> dict[str, Any]:
    """nbgrader's schema 3: the answer is theirs to edit, the task and the check are locked."""
    from nbformat import NotebookNode

    name = cell.exercise
    grader = NotebookNode(
        schema_version=3,
        grade=cell.role == "check",
        solution=cell.role == "exercise",
        locked=cell.role != "exercise",
        task=False,
        grade_id=name if cell.role == "exercise" else f"{cell.role}-{name}",
        cell_type=cell.kind,
    )
    if cell.role == "check":
        grader.points = registry.get(name).points
    shape = NotebookNode(source=source, cell_type=cell.kind, metadata=NotebookNode(nbgrader=grader))
    grader.checksum = checksum(shape)
    return grader


def _slide_type(cell: Cell) -> str:
    if "slide" in cell.options:
        return cell.options["slide"]
    if cell.kind == "markdown":
        if re.match(r"##? ", cell.source):
            return "slide"
        if cell.source.startswith("### "):
            return "subslide"
    return "-"
