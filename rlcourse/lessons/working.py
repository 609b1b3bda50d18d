"""A student's working folder: begun from this version's notebooks, brought up to date, answers kept.

The folder keeps, in `.rlcourse/released/`, each notebook as it was handed out: so what the student wrote
can be told from what a later release changed. The course's own `notebooks/` are never worked in.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import paths
from .build import back_up, is_own, work_in
from .merging import News, merged
from .notebook import check_in, exercise_in, is_untouched, read_notebook
from .paths import UsageError, write_atomically
from .source import read_cells, solved_source

if TYPE_CHECKING:
    from nbformat import NotebookNode

USUAL_NAME = "my-course"
_RECORD = Path(".rlcourse", "released")


@dataclass(frozen=True)
class Started:
    """What `start` did: the notebooks that it copied, and those that were there and stayed."""

    copied: list[Path]
    kept: list[Path]


@dataclass(frozen=True)
class Updated:
    """What `update` did with one lesson. backup: the notebook as it was, where answers were in it."""

    notebook: Path
    news: News
    is_new: bool = False
    backup: Path | None = None


def find(here: Path | None = None) -> Path | None:
    """The folder that the student works in: here or above, or `my-course` in one of these; else None.

    Notebooks that lie right here count as well, wherever they come from.
    """
    here = here or Path.cwd()
    if any(paths.lesson_of(path) for path in here.glob("*.ipynb")):
        return here
    for folder in (here, *here.parents):
        for candidate in (folder, folder / USUAL_NAME):
            if (candidate / _RECORD).is_dir():
                return candidate
    return None


def require(folder: Path | None = None) -> Path:
    """The folder given, else the one that is found. Raises UsageError if there is none."""
    found = folder or find()
    if found is None:
        raise UsageError(
            f"There is no working folder in {Path.cwd()} or above: "
            f"make one with `rlcourse start {USUAL_NAME}`, or go to yours."
        )
    if not found.is_dir():
        raise UsageError(f"There is no folder {found}: make it with `rlcourse start {found}`.")
    return found


def notebook_of(lesson: str, folder: Path) -> Path:
    """The student's notebook of a lesson. Raises UsageError if it is not in the folder."""
    found = paths.lesson_files(folder, ".ipynb").get(lesson)
    if found is None:
        raise UsageError(
            f"There is no notebook of lesson {lesson} in {folder}: "
            f"`rlcourse start {folder}` puts one there."
        )
    return found


def notebook(given: Path) -> Path:
    """What `given` names: a file, or the notebook of a lesson ("05") in the working folder."""
    lesson = str(given).zfill(2)
    if given.exists() or not re.fullmatch(r"\d\d", lesson):
        return given
    return notebook_of(lesson, require())


def start(folder: Path, release: Path | None = None) -> Started:
    """Copy the notebooks that are not in `folder` yet; what is there stays as it is.

    release: the folder with the notebooks/ to copy; this version's if not given.
    Raises:
        UsageError: the folder cannot be made, or is the one that the course is built into.
    """
    source = (release or paths.release()) / "notebooks"
    if folder.resolve() == source.resolve():
        raise UsageError(
            f"{folder} holds the course's own notebooks: choose another folder to work in, "
            f"as `rlcourse start {USUAL_NAME}`."
        )
    record = folder / _RECORD
    try:
        record.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"Cannot make the folder {folder}: {error.strerror or error}. Choose another place."
        ) from error
    there = paths.lesson_files(folder, ".ipynb")
    copied: dict[Path, str] = {}
    for lesson, released in paths.lesson_files(source, ".ipynb").items():
        if lesson not in there:
            text = released.read_text(encoding="utf-8")
            copied |= {folder / released.name: text, record / released.name: text}
    write_atomically(copied)
    return Started([p for p in copied if p.parent == folder], list(there.values()))


def update(folder: Path, release: Path | None = None) -> list[Updated]:
    """Bring the notebooks up to this version, answers and own cells kept; returns what has changed.

    Every notebook with work in it is first copied to NAME.ipynb.bak beside it.
    """
    import nbformat

    source = (release or paths.release()) / "notebooks"
    fresh = start(folder, release).copied
    done = [Updated(path, News(), is_new=True) for path in fresh]
    files: dict[Path, str] = {}
    for lesson, path in paths.lesson_files(folder, ".ipynb").items():
        released = paths.lesson_files(source, ".ipynb").get(lesson)
        if path in fresh or released is None:
            continue
        text = released.read_text(encoding="utf-8")
        known = _handed_out(folder).get(lesson)
        before = known.read_text(encoding="utf-8") if known else None
        if before == text:
            continue
        old = nbformat.reads(before, as_version=4) if before else None
        result, news = merged(read_notebook(path), old, nbformat.reads(text, as_version=4))
        backup = back_up(path) if work_in(path, before or text) else None
        files |= {
            path: nbformat.writes(result) + "\n",
            (known or folder / _RECORD / released.name): text,
        }
        done.append(Updated(path, news, backup=backup))
    write_atomically(files)
    return sorted(done, key=lambda one: one.notebook)


def _handed_out(folder: Path) -> dict[str, Path]:
    """The notebooks as they were when they came into the folder; none if `start` did not make it."""
    record = folder / _RECORD
    return paths.lesson_files(record, ".ipynb") if record.is_dir() else {}


def is_behind(folder: Path, release: Path | None = None) -> bool:
    """Whether `update` would change something: a lesson is missing, or was handed out by another version."""
    known = _handed_out(folder)
    return any(
        lesson not in known or known[lesson].read_bytes() != path.read_bytes()
        for lesson, path in paths.lesson_files(
            (release or paths.release()) / "notebooks", ".ipynb"
        ).items()
    )


# ------------------------------------------------------------------------------- one exercise


def exercise_named(text: str, registry: Any) -> Any:
    """The exercise of a number ("5.3") or a name. Raises UsageError for a number that there is not."""
    match = re.fullmatch(r"(\d{1,2})\.(\d{1,2})", text)
    if not match:
        return registry.get(text)
    number, lesson = f"{int(match[1])}.{int(match[2])}", match[1].zfill(2)
    if lesson in registry.lessons():
        for name in registry.names(lesson):
            if registry.get(name).number == number:
                return registry.get(name)
    raise UsageError(f"There is no exercise {text}: `rlcourse exercises` lists them all.")


def reset(exercise: Any, folder: Path, release: Path | None = None) -> bool:
    """Put the exercise's cell back as it was handed out; a changed answer stays below it, as plain text.

    Returns False, and touches nothing, if it is as it was handed out.
    Raises:
        UsageError: the notebook is missing, or neither the exercise's cell nor its check is in it.
    """
    import nbformat
    from nbformat import v4

    path = notebook_of(exercise.lesson, folder)
    nb = read_notebook(path)
    given = _released(exercise.lesson, release)
    stub = next(cell for cell in given.cells if exercise_in(cell) == exercise.name)
    places = [n for n, cell in enumerate(nb.cells) if exercise_in(cell) == exercise.name]
    old = [nb.cells[n] for n in places if is_own(nb.cells[n], {stub.source})]
    if places and not old:
        return False
    checks = [n for n, cell in enumerate(nb.cells) if check_in(cell) == exercise.name]
    place = next(iter([*places, *checks]), None)
    if place is None:
        raise UsageError(
            f"{path} has neither the cell of {exercise.number} nor its check any more: "
            "put the notebook elsewhere and run `rlcourse start` for a new one."
        )
    for n in checks:
        released = next((c for c in given.cells if check_in(c) == exercise.name), None)
        nb.cells[n].outputs = copy.deepcopy(released.outputs) if released else []
        nb.cells[n].execution_count = None
    when = f"{datetime.now():%Y-%m-%d %H:%M}"
    kept = [
        v4.new_raw_cell(f"Your answer to {exercise.number} until {when}:\n\n{cell.source}")
        for cell in old
    ]
    rest = [cell for n, cell in enumerate(nb.cells) if n not in places]
    stub.id = nb.cells[places[0]].id if places else stub.id
    nb.cells = [*rest[:place], stub, *kept, *rest[place:]]
    write_atomically({path: nbformat.writes(nb) + "\n"})
    return True


def solution(exercise: Any, folder: Path, release: Path | None = None) -> str:
    """The lesson's own answer, for somebody who has tried: the text of the solved cell.

    Raises:
        UsageError: the notebook is missing, or nothing has been written into its cell yet.
    """
    nb = read_notebook(notebook_of(exercise.lesson, folder))
    cells = [cell for cell in nb.cells if exercise_in(cell) == exercise.name]
    if not any(cell.source.strip() and not is_untouched(cell) for cell in cells):
        raise UsageError(
            f"{exercise.number} {exercise.name} is as it was handed out: try it first. "
            "Below it are three hints, and its check names what is wrong."
        )
    sources = paths.lesson_files((release or paths.release()) / "solutions", ".py")
    solved = read_cells(sources[exercise.lesson])
    (cell,) = (c for c in solved if c.role == "exercise" and c.exercise == exercise.name)
    return solved_source(cell.source)


def _released(lesson: str, release: Path | None) -> NotebookNode:
    return read_notebook(notebook_of(lesson, (release or paths.release()) / "notebooks"))


def last_worked_on(folder: Path) -> Path:
    """The notebook to open: of those that differ from what was handed out the latest, else the first.

    Raises UsageError if there are none.
    """
    notebooks = paths.lesson_files(folder, ".ipynb")
    if not notebooks:
        raise UsageError(
            f"There is no notebook of the course in {folder}: `rlcourse start {folder}`."
        )
    released = _handed_out(folder)
    changed = [
        path
        for lesson, path in notebooks.items()
        if lesson not in released or path.read_bytes() != released[lesson].read_bytes()
    ]
    return max(changed, key=lambda p: p.stat().st_mtime, default=next(iter(notebooks.values())))
