"""Moodle: the offline grading worksheet filled in, or a CSV for the grade book's import."""

from __future__ import annotations

import re
from typing import Any

from rlcourse.checker.cards import inline
from rlcourse.lessons.paths import UsageError

from .. import feedback, tables
from ..results import shortened
from . import Export, Options, rows

WHAT = "the worksheet from Moodle: the assignment's submissions, Download grading worksheet"
KEYS = ("Identifier", "Email address", "ID number", "Username")


def export(result: dict[str, Any], options: Options) -> Export:
    """With `options.gradebook` (the worksheet), that file with grades and comments; else a new CSV.

    Scores are scaled where Moodle's maximum grade differs from the lesson's points. An earlier grade or
    comment stays unless `options.overwrite`.
    """
    if options.gradebook is None:
        return Export(_for_import(result).text())
    table = tables.read(options.gradebook, [], WHAT)
    original = table.header, [row[0] for row in table.rows]
    _put_into_english(table, options.column)
    table.require(
        ["Identifier", "Grade"], options.gradebook, f"{WHAT}, or --column with its grades"
    )
    scale = table.column("Scale")
    if scale is not None and any(row[scale].strip() for row in table.rows):
        raise UsageError(
            f"{options.gradebook} grades by a scale ({_first(table, scale)}), not by points: set the "
            "assignment's grade to points in Moodle, and download the worksheet again."
        )
    grade, maximum = table.column("Grade"), table.column("Maximum Grade")
    comments, open_ = table.column("Feedback comments"), table.column("Grade can be changed")
    matches = rows.match(result["submissions"], table, KEYS, [("Full name",)])
    locked, scaled = [], set()
    for i, record in matches.rows.items():
        row = table.rows[i]
        if open_ is not None and row[open_].strip().casefold() == "no":
            locked.append(record["student"])
            continue
        factor = rows.scale(row[maximum], record["points"]) if maximum is not None else 1.0
        mark = rows.score(record, factor)
        if not matches.enter(row, grade, record["student"], mark, options.overwrite):
            continue
        if factor != 1.0:
            scaled.add(f"{record['points']:g} to {record['points'] * factor:g}")
        if comments is not None and (options.overwrite or not row[comments].strip(" -")):
            row[comments] = comment(record)
    notes = matches.notes(options.gradebook)
    notes += [f"{student}: Moodle says that the grade cannot be changed" for student in locked]
    notes += [f"Scores are scaled from {change} points, as in Moodle." for change in sorted(scaled)]
    table.header = original[0]
    for row, identifier in zip(table.rows, original[1], strict=True):
        row[0] = identifier
    table.delimiter = ","  # Moodle reads no other; a spreadsheet may have written one.
    return Export(table.text(), notes)


def _put_into_english(table: tables.Table, grades: str | None) -> None:
    """Give the columns of a worksheet in another language the names that they have in English.

    They stand in the same order everywhere: the identifier, the full name, the address, …, the grade, the
    maximum (one number for all), whether the grade can be changed, two times, the comments. grades: the title
    of the column with the grades, where it cannot be told. Of a worksheet in English nothing is changed.
    """
    if table.column("Identifier") is not None and grades is None:
        return
    header = list(table.header)
    place = table.column(grades) if grades is not None else _before_the_maximum(table)
    if place is None or len(header) < place + 2:
        return
    names = {0: "Identifier", 1: "Full name", 2: "Email address", place: "Grade"}
    if _is_maximum(table, place + 1):
        names[place + 1] = "Maximum Grade"
    if len(header) == place + 6:
        names[place + 5] = "Feedback comments"
    table.header = [names.get(i, title) for i, title in enumerate(header)]
    for row in table.rows:
        if number := re.search(r"\d+$", row[0].strip()):
            row[0] = f"Participant {number[0]}"


def _before_the_maximum(table: tables.Table) -> int | None:
    found = [
        i - 1
        for i in range(4, len(table.header))
        if _is_maximum(table, i) and all(_may_be_a_grade(row[i - 1]) for row in table.rows)
    ]
    return found[0] if len(found) == 1 else None


def _is_maximum(table: tables.Table, column: int) -> bool:
    values = {rows.number(row[column]) for row in table.rows}
    return len(values) == 1 and None not in values


def _may_be_a_grade(cell: str) -> bool:
    return cell.strip() in ("", "-") or rows.number(cell) is not None


def _first(table: tables.Table, column: int) -> str:
    return shortened(next(row[column].strip() for row in table.rows if row[column].strip()), 60)


def comment(record: dict[str, Any]) -> str:
    """The feedback as HTML: a paragraph of remarks, then one for each exercise that is not right."""
    wrong = [mark for mark in record["exercises"] if mark["state"] != "passed"]
    paragraphs = [feedback.remarks(record)]
    paragraphs += [[f"{m['number']} `{m['name']}`:", *feedback.told(m)] for m in wrong]
    return "".join(f"<p>{inline(' '.join(lines))}</p>" for lines in paragraphs if lines)


def _for_import(result: dict[str, Any]) -> tables.Table:
    """Students are told apart by e-mail address and ID number, where a students list gave them."""
    title = f"Lesson {result['lesson']}"
    header = ["Student", "Full name", "Email address", "ID number", title, "Maximum Grade", "Feedback comments"]  # fmt: skip
    rows = [
        [
            record["student"],
            record.get("name", ""),
            record.get("email", ""),
            record.get("id", ""),
            f"{record['score']:g}",
            f"{record['points']:g}",
            comment(record),
        ]
        for record in result["submissions"]
    ]
    return tables.Table(header, rows)
