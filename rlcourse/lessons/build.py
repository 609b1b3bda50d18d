"""The builder: `solutions/NN_topic.py` (solved, Jupytext percent) -> `notebooks/NN_topic.ipynb`.

The students' copy keeps every cell but the answers. It carries nbgrader's metadata (schema 3, with
checksums), slide metadata, cell ids made from the content, a first cell that says what to install where
the course is missing, and "not run yet" under each check, so the same source always gives the same bytes. A lesson that would not work for a student is refused, with
every reason, and then nothing at all is written.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .form import FOLDED, form_problems
from .linking import Atlas, linked
from .notebook import GOES_ON, checksum, exercise_in, is_untouched, read_notebook
from .paths import UsageError, lesson_of, write_atomically
from .refusing import BuildError, Problem, find_problems
from .source import Cell, Declarations, read_cells, solved_source, student_source

if TYPE_CHECKING:
    from nbformat import NotebookNode

# On a hosted notebook, or in an environment of somebody's own, the course may not be there.
INSTALLED = """\
# Nothing to do here where the course is installed.
try:
    import rlcourse
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "The course is not installed where this notebook runs: write  %pip install rlcourse  (or the name "
        "of the wheel file that you were given) in a new cell, run it, then run this one again."
    ) from None"""

# For jupyterlab-rise: a live slide that is too long scrolls; the theme loads no font from elsewhere.
LIVE = {"center": False, "scroll": True, "theme": "white", "transition": "none"}


def build_notebook(
    source_path: Path,
    solved: bool = False,
    registry: Declarations | ModuleType | None = None,
    atlas: Atlas | None = None,
) -> NotebookNode:
    """The notebook of one lesson: the students' copy, or with the answers left in if `solved`.

    atlas: where links may lead; not given, to this lesson's own equations.
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
    lesson = lesson_of(source_path)
    cells = linked(cells, lesson, atlas or Atlas.of([source_path]))
    first = next((n for n, cell in enumerate(cells) if cell.kind == "code"), len(cells))
    cells.insert(first, Cell(0, None, "code", INSTALLED, {"tags": [FOLDED], "slide": "skip"}))
    return _assemble(lesson, cells, registry, solved)


def build(
    sources: Iterable[Path],
    folder: Path,
    registry: Declarations | ModuleType | None = None,
    atlas: Atlas | None = None,
) -> dict[Path, str]:
    """The text of every students' notebook, as {path in `folder`: text}; writes nothing.

    Here a lesson must be in the course's form as well, which `build_notebook` does not ask of a draft.

    atlas: where links may lead; not given, to these lessons.
    Raises:
        BuildError: with the problems of all the lessons together.
    """
    import nbformat

    sources = list(sources)
    atlas = atlas or Atlas.of(sources)
    texts: dict[Path, str] = {}
    problems: list[Problem] = []
    for source in sources:
        try:
            nb = build_notebook(source, registry=registry, atlas=atlas)
        except BuildError as error:
            problems += error.problems
        else:
            texts[folder / f"{source.stem}.ipynb"] = nbformat.writes(nb) + "\n"
            problems += form_problems(source, read_cells(source), atlas)
    if problems:
        raise BuildError(problems)
    return texts


def equations(atlas: Atlas) -> str:
    """The text of the file that tells the checks the lessons' equations."""
    gathered = {number: latex for own in atlas.equations.values() for number, latex in own.items()}
    return json.dumps(gathered, ensure_ascii=False, indent=0) + "\n"


def write(texts: dict[Path, str], force: bool = False) -> list[Path]:
    """Write the notebooks that differ from what is there; returns those.

    force: also over somebody's work, of which a backup is kept beside it.
    Raises:
        UsageError: a notebook holds somebody's work, or a folder is missing; nothing is written.
    """
    changed = stale(texts)
    at_stake = {path: told for path in changed if (told := work_in(path, texts[path]))}
    if at_stake and not force:
        lines = [f"  {path}: {'; '.join(told)}" for path, told in at_stake.items()]
        raise UsageError(
            "Nothing was built: this would be lost in\n" + "\n".join(lines) + "\n"
            "These notebooks need no building to be worked in. If you changed a lesson and want them "
            "new, copy them to another folder first, or `rlcourse build --force`: "
            "it keeps each of them as NAME.ipynb.bak."
        )
    for folder in {path.parent for path in changed}:
        if not folder.is_dir():
            raise UsageError(
                f"There is no folder {folder}: create it, or run this in the checkout."
            )
    for path in at_stake:
        back_up(path)
    write_atomically({path: texts[path] for path in changed})
    return changed


def work_in(path: Path, text: str) -> list[str]:
    """What somebody has written into the notebook at `path` that is not in `text`, as phrases."""
    import nbformat

    if not path.is_file() or path.suffix != ".ipynb":
        return []
    try:
        nb = read_notebook(path)
    except UsageError:
        return ["it cannot be read, so nobody knows"]
    stubs = {cell.source for cell in nbformat.reads(text, as_version=4).cells}
    answers, others = [], 0
    for cell in nb.cells:
        if not is_own(cell, stubs):
            continue
        if exercise_in(cell):
            answers.append(exercise_in(cell))
        else:
            others += 1
    told = [f"answers to {', '.join(answers)}"] if answers else []
    return told + [f"{others} cell{'s' if others > 1 else ''} of one's own"] * (others > 0)


def is_own(cell: NotebookNode, released: Collection[str]) -> bool:
    """Whether somebody wrote or changed this cell: neither among the `released` sources, nor any build's."""
    written = cell.source.strip() and cell.source not in released
    return bool(written) and not is_untouched(cell) and not _is_released(cell)


def _is_released(cell: NotebookNode) -> bool:
    """Whether a cell that is not nbgrader's is as some build made it: its id comes from its text."""
    made = Cell(0, None, cell.cell_type, cell.source)
    name = str(cell.get("id", ""))
    return name.startswith(("hints-", _cell_id(made, set())))


def back_up(path: Path) -> Path:
    """Copy a notebook to NAME.ipynb.bak, or .bak2, .bak3, …, and return which: an older backup stays."""
    for again in itertools.count(1):
        backup = path.with_name(f"{path.name}.bak{again if again > 1 else ''}")
        if backup.exists():
            continue
        try:
            shutil.copy2(path, backup)
        except OSError as error:
            raise UsageError(f"Cannot write {backup}: {error.strerror or error}.") from error
        return backup


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
    before: Cell | None = None
    for cell in cells:
        released = source = cell.source
        if cell.role == "exercise":
            released = student_source(source, registry.get(cell.exercise).title)
            source = solved_source(source) if solved else released
        # The checksum is of what students get, so an answer written there is seen as a change.
        common = {"id": _cell_id(cell, taken), "metadata": _metadata(cell, released, registry)}
        common["metadata"]["slideshow"] = {"slide_type": _slide_type(cell, before)}
        before = cell
        if cell.kind == "code":
            node = v4.new_code_cell(source, **common)
            if cell.role == "check":
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
            "rise": dict(LIVE),
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
    metadata: dict[str, Any] = {}
    if "jupyter" in cell.options:
        metadata["jupyter"] = cell.options["jupyter"]
    tags = list(cell.options.get("tags", ()))
    if FOLDED in tags:  # a site reads the tag, JupyterLab this
        metadata.setdefault("jupyter", {})["source_hidden"] = True
    if cell.role == "exercise":
        tags.append(GOES_ON)
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


def _slide_type(cell: Cell, before: Cell | None) -> str:
    """How slides that are shown live take a cell; `rlcourse slides` cuts by itself."""
    if "slide" in cell.options:
        return cell.options["slide"]
    if cell.role == "hints":
        return "notes"
    if before is not None and before.role == "check" and not cell.source.startswith("## "):
        return "subslide"
    if cell.kind == "markdown":
        if re.match(r"##? ", cell.source):
            return "slide"
        if cell.source.startswith("### "):
            return "subslide"
    return "-"
