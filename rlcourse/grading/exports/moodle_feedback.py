"""Moodle: a zip of feedback pages, for the assignment's "Upload multiple feedback files in a zip".

Moodle finds a student by the folder's name, `Full name_ID_assignsubmission_file_`, as its own download of
the submissions has it (mod/assign/feedback/file/importziplib.php); what else is in the zip it passes over.
"""

from __future__ import annotations

import re
from typing import Any

from .. import tables
from ..students import MOODLE
from . import Export, Options, feedback_zip, rows
from .moodle import KEYS, WHAT


def export(result: dict[str, Any], options: Options) -> Export:
    """A page a student, in the folder of the download; with the worksheet also where files lay elsewhere."""
    records = result["submissions"]
    folders = {record["student"]: _folder(record) for record in records}
    if options.gradebook is not None:
        table = tables.read(options.gradebook, ["Identifier", "Full name"], WHAT)
        identifier, name = table.column("Identifier"), table.column("Full name")
        for i, record in rows.match(records, table, KEYS, [("Full name",)]).rows.items():
            number = re.search(r"\d+", table.rows[i][identifier])
            if number:
                folders[record["student"]] = _named(table.rows[i][name], number[0])
    return feedback_zip.of(
        result,
        {student: f"{folder}/feedback.html" for student, folder in folders.items() if folder},
        "no folder of Moodle's: grade what Moodle gave out, or give its worksheet with --gradebook",
    )


def _folder(record: dict[str, Any]) -> str:
    found = MOODLE.match(record["file"]) or MOODLE.match(f"{record['student']}_assignsubmission_")
    return _named(found["name"], found["number"]) if found else ""


def _named(name: str, number: str) -> str:
    """A folder's name; Moodle itself writes no further underscore into it."""
    plain = " ".join(re.sub(r"[_/\\:]", " ", name).split())
    return f"{plain}_{number}_assignsubmission_file_"
