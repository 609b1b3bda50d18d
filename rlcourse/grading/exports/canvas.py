"""Canvas: a gradebook export with the lesson's column filled in, ready to be imported."""

from __future__ import annotations

import re
from typing import Any

from rlcourse.lessons.paths import UsageError

from .. import tables
from ..results import is_excused
from . import Export, Options, rows

_WHAT = "the file from Canvas: Grades, Export, Export Entire Gradebook"
_KEYS = ("SIS User ID", "SIS Login ID", "ID", "Integration ID")
_NAME = (("Student",), ("LastName", "FirstName"))  # one column or two, as the school has set it
_IDENTITY = ("Student", "LastName", "FirstName", *_KEYS, "Root Account", "Section")
_ASSIGNMENT = re.compile(r".+ \(\d+\)")
_NO_ASSIGNMENT = re.compile(
    r"((unposted )?(current|final) (score|grade|points)|notes|override .*)", re.I
)


def export(result: dict[str, Any], options: Options) -> Export:
    """The columns that identify students, and the lesson's; other columns are left to Canvas.

    Scores are scaled where Canvas has other points for the assignment than the lesson. What stands in
    the column already, a mark or "EX" (excused), stays unless `options.overwrite`.
    """
    if options.gradebook is None:
        raise UsageError(f"Canvas wants its own students: give --gradebook, {_WHAT}.")
    table = tables.read(options.gradebook, [], _WHAT)
    here = [name for name in _NAME if all(table.column(title) is not None for title in name)]
    (name,) = here[:1] or _NAME[:1]
    table.require([*name, "ID"], options.gradebook, _WHAT)
    column = _column(table, result, options)
    first = table.column(name[0])
    head = [row for row in table.rows if row[first].strip() == "Points Possible"]
    points = max((r["points"] for r in result["submissions"]), default=0)
    maximum = head[0][column] if head else f"{points:g}"
    factor = rows.scale(maximum, points)

    matches = rows.match(result["submissions"], table, _KEYS, [name])
    for i, record in matches.rows.items():
        # Who is excused from an exercise has fewer points to reach.
        mark = (
            "EX"
            if is_excused(record)
            else rows.score(record, rows.scale(maximum, record["points"]))
        )
        matches.enter(table.rows[i], column, record["student"], mark, options.overwrite)
    kept = sorted(i for i in (*map(table.column, _IDENTITY), column) if i is not None)
    filled = tables.Table(
        [table.header[i] for i in kept],
        [[row[i] for i in kept] for row in table.rows],
        table.delimiter,
    )  # without a byte order mark, which Canvas would read as a part of the first title
    notes = matches.notes(options.gradebook)
    if factor != 1.0:
        notes.append(
            f"Scores are scaled from {points:g} to {points * factor:g} points, as in Canvas."
        )
    return Export(filled.text(), notes)


def _column(table: tables.Table, result: dict[str, Any], options: Options) -> int:
    """The assignment's column: the one asked for, else the only one that names the lesson, or that there is.

    Canvas puts a number behind an assignment's name; a file that was edited may lack it.
    """
    assignments = [title for title in table.header if _ASSIGNMENT.fullmatch(title.strip())]
    assignments = assignments or [title for title in table.header if _may_be_one(title)]
    known = ", ".join(assignments) or "none"
    if options.column:
        wanted = options.column.casefold()
        found = [t for t in assignments if wanted in (t.casefold(), _bare(t))]
        if len(found) != 1:
            raise UsageError(
                f'There is no one assignment "{options.column}" in {options.gradebook}: '
                f"give --column one of {known}."
            )
    else:
        signs = (f"lesson {result['lesson']}", result["title"].casefold())
        found = [t for t in assignments if any(sign in _bare(t) for sign in signs)] or assignments
        if len(found) != 1:
            raise UsageError(
                f"{options.gradebook} does not say which assignment lesson {result['lesson']} is: "
                f"give --column one of {known}."
            )
    return table.header.index(found[0])


def _may_be_one(title: str) -> bool:
    known = {name.casefold() for name in _IDENTITY}
    title = title.strip()
    return bool(title) and title.casefold() not in known and not _NO_ASSIGNMENT.search(title)


def _bare(title: str) -> str:
    """An assignment's name in small letters, without Canvas's number behind it."""
    return re.sub(r" \(\d+\)$", "", title.strip()).casefold()
