"""What students get of a lesson: a folder to work in, and later the solved lesson, in a folder of its own.

The notebook is built from the lesson's source, so nothing that an instructor wrote into a copy goes out with
it; a folder that holds anything else is refused, and so are the answers as long as somebody may hand in.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import rlcourse
from rlcourse import checker
from rlcourse.lessons import build, paths, running
from rlcourse.lessons.paths import UsageError, write_atomically

from . import announcing
from .course_file import CourseFile

if TYPE_CHECKING:
    from nbformat import NotebookNode

README, REQUIREMENTS = "README.md", "requirements.txt"
# A link to another lesson's notebook, which is not in the folder.
_ELSEWHERE = re.compile(r"\[([^\]\n]*)\]\(\d\d_\w+\.ipynb(?:#[^)\s]*)?\)")


@dataclass(frozen=True)
class Release:
    """files: name -> text, of one folder; notes: what the instructor should know."""

    files: dict[str, str]
    notes: list[str]


def unsolved(lesson: str, course: CourseFile) -> Release:
    """The notebook as students get it, what it needs, and a README with what is asked and how to hand in.

    Raises:
        UsageError: there is no such lesson here, or it is refused by the builder.
    """
    source = _source(lesson)
    notebook = build.build_notebook(source)
    name = f"{source.stem}.ipynb"
    files = {
        name: _text(_alone(notebook)),
        REQUIREMENTS: f"rlcourse=={rlcourse.__version__}\n",
        README: _readme(lesson, name, course),
    }
    own = [exercise.name for exercise in checker.own_exercises(lesson)]
    told = f"{', '.join(own)}: of your own files, and not in the notebook: say to students what is asked"
    return Release(files, [f"{told}."] if own else [])


def solved(
    lesson: str,
    course: CourseFile,
    *,
    now: datetime,
    early: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Release:
    """The solved lesson, run, as a notebook and as a page.

    now: with its zone; early: also while somebody may still hand in; tell: is told before the lesson is run.
    Raises:
        UsageError: somebody may still hand in, or a cell of the lesson fails.
    """
    last = _last_deadline(lesson, course)
    if last is not None and now.timestamp() <= last[0].timestamp() and not early:
        raise UsageError(
            f"Lesson {lesson} is due {last[0]:%Y-%m-%d %H:%M}{last[1]}, so its answers stay here: with --early "
            "they are released all the same."
        )
    source = _source(lesson)
    notebook = _alone(build.build_notebook(source, solved=True))
    tell(f"Running lesson {lesson}, solved.")
    with tempfile.TemporaryDirectory(prefix="rlcourse-", ignore_cleanup_errors=True) as folder:
        _run(notebook, Path(folder), source)
    stem = f"{source.stem}_solved"
    files = {f"{stem}.ipynb": _text(notebook), f"{stem}.html": _page(notebook, stem)}
    return Release(files, [])


def write(release: Release, out: Path) -> None:
    """Write the files into the folder `out`, which may hold an earlier release of the same, and nothing else.

    Raises:
        UsageError: other files are there, or it cannot be written to.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file: give a folder for the release.")
    others = (
        sorted(p.name for p in out.iterdir() if p.name not in release.files) if out.is_dir() else []
    )
    if others:
        raise UsageError(
            f"{out} holds {', '.join(others[:3])}{', …' if len(others) > 3 else ''} already: give a folder of its "
            "own, so that nothing else is sent by accident."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"Cannot make the folder {out}: {error.strerror or error}.") from error
    write_atomically({out / name: text for name, text in release.files.items()})


def _source(lesson: str) -> Path:
    sources = paths.lesson_files(paths.solutions_folder(), ".py")
    if lesson not in sources:
        raise UsageError(f"There is no source of lesson {lesson} in {paths.solutions_folder()}.")
    return sources[lesson]


def _alone(notebook: NotebookNode) -> NotebookNode:
    """The notebook without links to others."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _ELSEWHERE.sub(r"\1", cell.source)
    return notebook


def _text(notebook: NotebookNode) -> str:
    import nbformat

    return nbformat.writes(notebook) + "\n"


def _last_deadline(lesson: str, course: CourseFile) -> tuple[datetime, str] | None:
    """The last moment at which somebody can hand in without being late, and whose it is."""
    rules = course.rules(lesson)
    ends = {student: until + rules.grace for student, until in rules.extensions.items()}
    if rules.deadline is not None:
        ends[""] = rules.deadline + rules.grace
    if not ends:
        return None
    student = max(ends, key=lambda name: ends[name].timestamp())
    return ends[student], f" for {student}" if student else ""


def _run(notebook: NotebookNode, folder: Path, source: Path) -> None:
    from nbclient.exceptions import CellExecutionError

    try:
        running.run(notebook, folder)
    except CellExecutionError as error:
        raise UsageError(f"{source}: a cell of the solved lesson fails.\n{error}") from error


def _page(notebook: NotebookNode, title: str) -> str:
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        exclude_input_prompt=True, exclude_output_prompt=True, embed_images=True
    )
    text, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return text


# --------------------------------------------------------------------------------------- README


def _readme(lesson: str, name: str, course: CourseFile) -> str:
    declared = checker.lesson(lesson)
    counting, extra = course.chosen(lesson)
    rows, points = [], 0.0
    for exercise in declared:
        if exercise.name in extra:
            worth = f"{exercise.points:g} (extra credit)"
        elif counting and exercise.name not in counting:
            worth = "not asked"
        else:
            worth, points = f"{exercise.points:g}", points + exercise.points
        rows.append(f"| {exercise.number} | `{exercise.name}` | {worth} |")
    head = announcing.course_line(course)
    due = f"{announcing.due(lesson, course)} {announcing.lateness(lesson, course)}".strip()
    lines = [
        f"# Lesson {lesson}: {declared.title}",
        *([head] if head else []),
        "## What is asked",
        "\n".join(["| No. | Exercise | Points |", "|---|---|---|", *rows]),
        f"{points:g} points.",
        *([due] if due else []),
        "## How to begin",
        f"With Python 3.11 or newer, in this folder:\n\n    python -m pip install -r {REQUIREMENTS}\n"
        f"    jupyter lab {name}",
        "Run the cells from top to bottom. Under each exercise a check says what is wrong, by name where the "
        "mistake is known; run it as often as you like.",
        "## How to hand in",
        f"Save the notebook, see that `rlcourse verify {name}` finds your answers right, and hand in this one "
        f"file, `{name}`. Leave its name as it is, and the cells where they are; cells of your own do no harm.",
    ]
    return "\n\n".join(lines) + "\n"
