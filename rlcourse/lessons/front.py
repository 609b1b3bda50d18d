"""The site's front page: the course as a map, each lesson with its time, what it needs, what to take along."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .paths import lesson_of
from .source import read_cells

# A part's name, and why the next one is needed.
PARTS = {
    "I": ("Tables", "too many states"),
    "II": ("Approximating values", "parametrise the policy"),
    "III": ("Policies", "actions without end"),
    "IV": ("Continuous control, maximum entropy", ""),
}
_HEAD = re.compile(r"^- \*\*(Builds on|Time)\*\* (.*(?:\n  .*)*)", re.MULTILINE)
_PART = re.compile(r"^Part ([IV]+) ·", re.MULTILINE)
_TITLE = re.compile(r"^# (?:\d\d · )?(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Lesson:
    """What the head of a lesson says of it."""

    number: str
    stem: str
    title: str
    part: str
    time: str
    builds_on: str


@dataclass(frozen=True)
class Notices:
    """What a class has agreed on, as the site says it.

    course: its name and term; due: until when, in plain words, for each lesson's number that has a deadline;
    lessons: all that is said on a lesson's own page, in Markdown.
    """

    course: str = ""
    due: Mapping[str, str] = field(default_factory=dict)
    lessons: Mapping[str, str] = field(default_factory=dict)


def read_head(source: Path) -> Lesson:
    """The head of a lesson, as its first cell states it. Raises UsageError if it cannot be read."""
    head = next((cell.source for cell in read_cells(source) if cell.kind == "markdown"), "")
    told = {key: " ".join(value.split()) for key, value in _HEAD.findall(head)}
    title, part = _TITLE.search(head), _PART.search(head)
    return Lesson(
        number=lesson_of(source) or "",
        stem=source.stem,
        title=title[1] if title else source.stem,
        part=part[1] if part else "",
        time=told.get("Time", ""),
        builds_on=told.get("Builds on", ""),
    )


def contents(lessons: Iterable[Lesson]) -> str:
    """The tables of contents of the lessons, a part each, in MyST."""
    parts: dict[str, list[Lesson]] = {}
    for lesson in lessons:
        parts.setdefault(lesson.part, []).append(lesson)
    blocks = []
    for part, own in parts.items():
        name = f"Part {part} · {PARTS[part][0]}" if part in PARTS else "Lessons"
        entries = "\n".join(f"lessons/{lesson.stem}" for lesson in own)
        blocks.append(f"```{{toctree}}\n:hidden:\n:caption: {name}\n\n{entries}\n```\n")
    return "\n".join(blocks)


def course_map(
    lessons: Iterable[Lesson],
    downloads: Mapping[str, list[tuple[str, str]]],
    due: Mapping[str, str],
) -> str:
    """The map as HTML: a column a part, a card a lesson.

    downloads: for each lesson's number what there is to take along, as (name, address); due: until when it
    is to be handed in, in words, where there is a deadline.
    """
    lessons = list(lessons)
    rows = []
    for part, (name, why) in PARTS.items():
        own = [lesson for lesson in lessons if lesson.part == part]
        if not own:
            continue
        cards = "".join(
            _card(lesson, downloads.get(lesson.number, []), due.get(lesson.number, ""))
            for lesson in own
        )
        rows.append(
            f'<section class="part"><h2 id="part-{part.lower()}">Part {part} · {html.escape(name)}</h2>'
            f'<ol class="lessons">{cards}</ol></section>'
        )
        if why and part != next(reversed(PARTS)):
            rows.append(f'<p class="why" aria-hidden="true">↓ {html.escape(why)}</p>')
    return f'<div class="course-map">{"".join(rows)}</div>'


def _card(lesson: Lesson, downloads: list[tuple[str, str]], due: str) -> str:
    links = " · ".join(
        f'<a href="{html.escape(address)}" download>{html.escape(name)}</a>'
        for name, address in downloads
    )
    until = f'<span class="due">{html.escape(due)}</span>' if due else ""
    return (
        f'<li><a class="title" href="lessons/{lesson.stem}.html">'
        f"<b>{lesson.number}</b> {html.escape(lesson.title)}</a>"
        f'<span class="time">{html.escape(lesson.time)}</span>'
        f'<span class="needs">Builds on {html.escape(lesson.builds_on)}</span>'
        f'{until}<span class="take">{links}</span></li>'
    )
