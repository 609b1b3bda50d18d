"""Canvas: a gradebook export with the lesson's column filled in, ready to be imported."""

from __future__ import annotations

import re
from typing import Any

from rlcourse.lessons.paths import UsageError

from .. import tables
from . import Export, Options, rows

_WHAT = "the file from Canvas: Grades, Export, Export Entire Gradebook"
_KEYS = ("SIS User ID", "SIS Login ID", "ID", "Integration ID")
_IDENTITY = ("Student", *_KEYS, "Root Account", "Section")
_ASSIGNMENT = re.compile(r".+ \(\d+\)")


def export(result: dict[str, Any], options: Options) -> Export:
    """The columns that identify students, and the lesson's; other columns are left to Canvas.

    Scores are scaled where Canvas has other points for the assignment than the lesson. What stands in
    the column already, a mark or "EX" (excused), stays unless `options.overwrite`.
    """
    if options.gradebook is None:
        raise UsageError(f"Canvas wants its own students: give --gradebook, {_WHAT}.")
    table = tables.read(options.gradebook, ["Student", "ID"], _WHAT)
    column = _column(table, result, options)
    student = table.column("Student")
    head = [row for row in table.rows if row[student].strip() == "Points Possible"]
    points = next((r["points"] for r in result["submissions"]), 0)
    factor = rows.scale(head[0][column], points) if head else 1.0

    matches = rows.match(result["submissions"], table, _KEYS, ["Student"])
    kept_marks, filled_in = [], 0
    for i, record in matches.rows.items():
        new = rows.score(record, factor)
        if rows.stays(table.rows[i][column], new, options.overwrite):
            kept_marks.append(f"{record['student']} ({table.rows[i][column].strip()})")
        else:
            table.rows[i][column] = new
            filled_in += 1
    kept = sorted(i for i in (*map(table.column, _IDENTITY), column) if i is not None)
    filled = tables.Table(
        [table.header[i] for i in kept],
        [[row[i] for i in kept] for row in table.rows],
        table.delimiter,
        table.mark,
    )
    notes = matches.notes(options.gradebook, filled_in, kept_marks)
    if factor != 1.0:
        notes.append(
            f"Scores are scaled from {points:g} to {points * factor:g} points, as in Canvas."
        )
    return Export(filled.text(), notes)


def _column(table: tables.Table, result: dict[str, Any], options: Options) -> int:
    """The assignment's column: the one asked for, else the only one that names the lesson."""
    assignments = [title for title in table.header if _ASSIGNMENT.fullmatch(title.strip())]
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
        found = [t for t in assignments if any(sign in _bare(t) for sign in signs)]
        if len(found) != 1:
            raise UsageError(
                f"{options.gradebook} does not say which assignment lesson {result['lesson']} is: "
                f"give --column one of {known}."
            )
    return table.header.index(found[0])


def _bare(title: str) -> str:
    """An assignment's name in small letters, without Canvas's number behind it."""
    return re.sub(r" \(\d+\)$", "", title.strip()).casefold()
