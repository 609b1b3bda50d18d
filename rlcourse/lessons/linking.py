"""Links in the students' notebooks: equations, lessons, the course map, the way on.

A source stays plain text: "(5.8)", "lesson 04", "Part I · 00 → 01". The builder makes links of them where
what they name is there, and anchors of the equations' tags. Equations are also gathered for the checks,
whose cards show the one that they name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from .paths import lesson_of
from .source import Cell, read_cells

_TAG = re.compile(r"\\tag\{(\d{1,2}\.\d{1,2})\}")
_DISPLAYED = re.compile(r"^\$\$.*?\$\$", re.DOTALL | re.MULTILINE)
_REFERENCE = re.compile(r"(?<![\w\]])\((\d{1,2}\.\d{1,2})\)(?![\w(])")
# Behind these words stands somebody else's equation; so it does behind "their", up to what it is with us.
_ANOTHER_BOOK = re.compile(
    r"((S&B|Barto|[Bb]ook(’s|'s)?|[Pp]aper(’s|'s)?|eqs?\.)[\s*_]*"
    r"|\b[Tt]heir\b(?:\(\d+\.\d+\)|(?!\b(?:our|is|are)\b)[^.,;:])*)$"
)
_LESSON = re.compile(r"\b[Ll]esson (\d\d)\b")
_MAP = re.compile(r"^Part [IV]+ · .*→.*$", re.MULTILINE)
_MAP_NUMBER = re.compile(r"(\*\*)?\b(\d\d)\b(\*\*)?")
_TITLE = re.compile(r"^# (\d\d · .+)$", re.MULTILINE)

# What is no running text: fences, display and inline mathematics, code, tags, links, headings, and the
# titles of what is folded, in which Markdown is not read.
_APART = re.compile(
    r"^(?:```|~~~).*?^(?:```|~~~)|\$\$.*?\$\$|\$[^$\n]*(?:\n[^$\n]+)?\$|`[^`\n]+`"
    r"|<summary>.*?</summary>|<[^<>\n]+>|\[[^\]\n]*\]\([^)\n]*\)|^#.*?$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Atlas:
    """Which lessons there are, and which equations each has."""

    titles: dict[str, str] = field(default_factory=dict)
    notebooks: dict[str, str] = field(default_factory=dict)
    equations: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, sources: Iterable[Path]) -> Atlas:
        """The atlas of these lessons. Raises UsageError if one cannot be read."""
        titles, notebooks, equations = {}, {}, {}
        for source in sources:
            lesson = lesson_of(source)
            text = "\n\n".join(c.source for c in read_cells(source) if c.kind == "markdown")
            title = _TITLE.search(text)
            titles[lesson] = title[1] if title else source.stem
            notebooks[lesson] = f"{source.stem}.ipynb"
            equations[lesson] = dict(displayed_equations(text))
        return cls(titles, notebooks, equations)

    def place(self, number: str, lesson: str) -> str | None:
        """The address of an equation ("5.8"), seen from a lesson; None if there is no such equation."""
        home = f"{int(number.split('.')[0]):02d}"
        if number not in self.equations.get(home, {}):
            return None
        return ("" if home == lesson else self.notebooks[home]) + f"#eq-{number}"


def displayed_equations(text: str) -> Iterator[tuple[str, str]]:
    for displayed in _DISPLAYED.findall(text):
        latex = _TAG.sub("", displayed).strip().strip("$").strip()
        for number in _TAG.findall(displayed):
            yield number, latex


def linked(cells: list[Cell], lesson: str, atlas: Atlas) -> list[Cell]:
    """The cells of a lesson with anchors and links, and under the last of its text the way on."""
    cells = [
        replace(cell, source=_linked(cell.source, lesson, atlas))
        if cell.kind == "markdown"
        else cell
        for cell in cells
    ]
    way = _way_on(lesson, atlas)
    last = max(
        (i for i, c in enumerate(cells) if c.kind == "markdown" and not c.role), default=None
    )
    if way and last is not None:
        cells[last] = replace(cells[last], source=f"{cells[last].source}\n\n---\n{way}")
    return cells


def _linked(text: str, lesson: str, atlas: Atlas) -> str:
    if map_line := _MAP.search(text):
        text = text.replace(map_line[0], _linked_map(map_line[0], lesson, atlas))
    text = _in_running_text(text, lambda part: _with_links(part, lesson, atlas))
    return _DISPLAYED.sub(_with_anchor, text)


def _in_running_text(text: str, change: Callable[[str], str]) -> str:
    done, at = [], 0
    for apart in _APART.finditer(text):
        done += [change(text[at : apart.start()]), apart[0]]
        at = apart.end()
    return "".join([*done, change(text[at:])])


def _with_links(text: str, lesson: str, atlas: Atlas) -> str:
    def to_equation(match: re.Match) -> str:
        place = atlas.place(match[1], lesson)
        if place is None or _ANOTHER_BOOK.search(text[: match.start()]):
            return match[0]
        return f"[{match[0]}]({place})"

    def to_lesson(match: re.Match) -> str:
        there = atlas.notebooks.get(match[1])
        return f"[{match[0]}]({there})" if there and match[1] != lesson else match[0]

    return _LESSON.sub(to_lesson, _REFERENCE.sub(to_equation, text))


def _linked_map(line: str, lesson: str, atlas: Atlas) -> str:
    def to_lesson(match: re.Match) -> str:
        number = match[2]
        there = atlas.notebooks.get(number)
        return f"[{number}]({there})" if there and number != lesson else match[0]

    return _MAP_NUMBER.sub(to_lesson, line)


def _with_anchor(displayed: re.Match) -> str:
    anchors = "".join(f'<a id="eq-{number}"></a>' for number in _TAG.findall(displayed[0]))
    return f"{anchors}\n\n{displayed[0]}" if anchors else displayed[0]


def _way_on(lesson: str, atlas: Atlas) -> str:
    """The lessons before and after this one, as a line of links."""
    order = sorted(atlas.titles)
    if lesson not in order:
        return ""
    i = order.index(lesson)
    before, after = order[i - 1 : i] if i else [], order[i + 1 : i + 2]
    way = [f"← [{atlas.titles[n]}]({atlas.notebooks[n]})" for n in before]
    way += [f"[{atlas.titles[n]}]({atlas.notebooks[n]}) →" for n in after]
    return " · ".join(way)


def missing_references(cells: list[Cell], lesson: str, atlas: Atlas) -> Iterator[tuple[Cell, str]]:
    """The equations of this lesson that its text names and that are not there."""
    own = atlas.equations.get(lesson, {})
    for cell in cells:
        if cell.kind != "markdown":
            continue
        named: list[str] = []

        def look(part: str, named: list[str] = named) -> str:
            named += [
                m[1]
                for m in _REFERENCE.finditer(part)
                if not _ANOTHER_BOOK.search(part[: m.start()])
            ]
            return part

        _in_running_text(cell.source, look)
        for number in dict.fromkeys(named):
            if number.split(".")[0] == str(int(lesson)) and number not in own:
                yield cell, number
