"""`rlcourse progress --certificate FILE`: where somebody stands, on a page to keep.

Nobody but the student's own machine has looked at it, and it says so: a mark is what `rlcourse grade` gives.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rlcourse import __version__
from rlcourse.lessons.paths import UsageError, write_atomically
from rlcourse.lessons.progress import OPEN, SOLVED, LessonStanding

SUFFIXES = (".html", ".htm", ".txt")
SELF_CHECKED = (
    "Self-checked: the answers were judged by the course's own checks on the machine of whoever made this page. "
    "Nobody has seen them, and nobody vouches for it. It is no mark."
)
_TITLE = "Reinforcement learning in one line: certificate of progress"
_SIGNS = {SOLVED: "✓", OPEN: "○"}


def write(path: Path, lessons: Sequence[LessonStanding], name: str, day: date) -> None:
    """Write the certificate: HTML or plain text, as the file's name ends. name: whose, or "".

    Raises UsageError for another ending, and where the file cannot be written.
    """
    require_suffix(path)
    text = as_text(lessons, name, day) if path.suffix == ".txt" else as_html(lessons, name, day)
    try:
        write_atomically({path: text})
    except OSError as error:
        raise UsageError(
            f"Cannot write {path}: {error.strerror or error}. Choose another file."
        ) from error


def require_suffix(path: Path) -> None:
    """Raises UsageError unless the name says which kind of file it is to be."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path} is neither a page nor a text: give a name that ends in .html or in .txt."
        )


def points(lessons: Sequence[LessonStanding]) -> tuple[float, float]:
    """Reached and possible, over these lessons."""
    everything = [exercise for lesson in lessons for exercise in lesson.exercises]
    solved = sum(e.points for e in everything if e.state == SOLVED)
    return solved, sum(e.points for e in everything)


def _summary(lessons: Sequence[LessonStanding]) -> str:
    everything = [exercise for lesson in lessons for exercise in lesson.exercises]
    solved = sum(e.state == SOLVED for e in everything)
    earned, possible = points(lessons)
    whole = sum(all(e.state == SOLVED for e in lesson.exercises) for lesson in lessons)
    return (
        f"{earned:g} of {possible:g} points; {solved} of {len(everything)} exercises solved, "
        f"{whole} of {len(lessons)} lessons whole."
    )


def _heading(lesson: LessonStanding) -> str:
    return lesson.title or f"{lesson.lesson} · (no notebook)"


def as_text(lessons: Sequence[LessonStanding], name: str, day: date) -> str:
    """The certificate as plain text."""
    lines = [_TITLE, f"{day.isoformat()} · rlcourse {__version__}" + (f" · {name}" if name else "")]
    lines += ["", _summary(lessons), "", SELF_CHECKED]
    for lesson in lessons:
        earned, possible = points([lesson])
        lines += ["", f"{_heading(lesson)}: {earned:g} of {possible:g} points"]
        for e in lesson.exercises:
            sign = _SIGNS.get(e.state, "✗")
            lines.append(f"  {sign} {e.number:<5} {e.name:<32} {e.points:g}")
    lines += ["", "✓ solved · ○ not attempted · ✗ not right yet", ""]
    return "\n".join(lines)


_STYLE = """
:root { color-scheme: light dark } body { font: 16px/1.5 system-ui, sans-serif; max-width: 46em; margin: 2em auto;
  padding: 0 1em } h1 { font-size: 1.5em } h2 { font-size: 1.05em; margin: 1.4em 0 0.3em }
h2 span { float: right; font-weight: normal } table { border-collapse: collapse; width: 100% }
td { padding: 0.1em 0.6em 0.1em 0; border-bottom: 1px solid #8884 } td:last-child { text-align: right }
.self { border-left: 4px solid #e69f00; padding-left: 0.8em } @media print { h2, tr { break-inside: avoid } }
"""


def as_html(lessons: Sequence[LessonStanding], name: str, day: date) -> str:
    """The certificate as one page that loads nothing, in light and dark."""
    sections = []
    for lesson in lessons:
        earned, possible = points([lesson])
        rows = "".join(
            f"<tr><td>{_SIGNS.get(e.state, '✗')}</td><td>{e.number}</td>"
            f"<td><code>{html.escape(e.name)}</code></td><td>{e.points:g}</td></tr>"
            for e in lesson.exercises
        )
        sections.append(
            f"<h2>{html.escape(_heading(lesson))}<span>{earned:g} of {possible:g}</span></h2>"
            f"<table>{rows}</table>\n"
        )
    who = f"<p><b>{html.escape(name)}</b></p>" if name else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_TITLE}</title><style>{_STYLE}</style></head>\n<body><h1>{_TITLE}</h1>\n{who}"
        f"<p>{day.isoformat()} · rlcourse {__version__}</p>\n<p><b>{_summary(lessons)}</b></p>\n"
        f'<p class="self">{SELF_CHECKED}</p>\n{"".join(sections)}'
        "<p>✓ solved · ○ not attempted · ✗ not right yet</p></body></html>\n"
    )
