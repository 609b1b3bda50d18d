"""The one result file of a class run, and the marks as a table.

`results.json`, schema "rlcourse/results/v1" (described in README.md beside this file): everything
else is made from it. The same submissions give the same bytes: no times, no paths of this machine.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from rlcourse import __version__

SCHEMA = "rlcourse/results/v1"


def results(lesson: str, title: str, sandbox: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole result of a run, as plain data."""
    return {
        "schema": SCHEMA,
        "rlcourse": __version__,
        "lesson": lesson,
        "title": title,
        "sandbox": sandbox,
        "submissions": records,
    }


def as_json(result: dict[str, Any]) -> str:
    return json.dumps(result, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def as_csv(result: dict[str, Any]) -> str:
    """A row a student: name, state, score, points, then the score of every exercise."""
    graded = (record["exercises"] for record in result["submissions"] if record["exercises"])
    names = [mark["name"] for mark in next(graded, [])]
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["student", "file", "state", "score", "points", *names])
    for record in result["submissions"]:
        scores = {mark["name"]: mark["score"] for mark in record["exercises"]}
        row = [
            record["student"],
            record["file"],
            record["state"],
            record["score"],
            record["points"],
        ]
        table.writerow(
            [harmless(cell) for cell in (*row, *(scores.get(name, 0) for name in names))]
        )
    return stream.getvalue()


def harmless(cell: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front."""
    risky = isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{cell}" if risky else cell
