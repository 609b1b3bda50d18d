"""Marking without names: an id for each student, and results in which nothing else says who it is.

The id comes from the course's secret, so it stays the same when a class is graded again, and cannot be
found from a name by who has not the secret. What students write into their own code is not changed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Any

from rlcourse.lessons.paths import UsageError


def id_of(secret: str, student: str) -> str:
    """An id of eight letters and digits, "K7F2-Q9MX": 40 bits of HMAC-SHA256(secret, student)."""
    digest = hmac.new(secret.encode(), f"anonymous\0{student}".encode(), hashlib.sha256).digest()
    text = base64.b32encode(digest[:5]).decode()
    return f"{text[:4]}-{text[4:]}"


def require(secret: str | None) -> None:
    """Raise UsageError for an empty secret, from which anybody could make the ids; None: one is drawn."""
    if secret == "":
        raise UsageError(
            "Anonymous ids come from the secret, and --secret is empty: leave it out, or give one."
        )


def signed(records: Iterable[dict[str, Any]], secret: str) -> list[dict[str, Any]]:
    """The records, each with the student's anonymous id. Raises UsageError without a secret."""
    require(secret)
    return [record | {"anonymous": id_of(secret, record["student"])} for record in records]


def masked(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result whose students are called by their anonymous ids; names, addresses and files are left out.

    Raises:
        UsageError: it was graded without anonymous ids.
    """
    records = result["submissions"]
    if not all("anonymous" in record for record in records):
        raise UsageError(
            "These results have no anonymous ids: grade with --anonymous, or anonymous = true in course.toml."
        )
    names = {
        record[key]: record["anonymous"]
        for record in records
        for key in ("student", "name", "id", "email", "file")
        if record.get(key)
    }
    # Longest first: "Ann Lee" before "Ann".
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{known or '(?!)'})(?!\w)")
    return {
        **result,
        "submissions": sorted(
            (_masked(record, pattern, names) for record in records), key=lambda r: r["student"]
        ),
        "missing": [
            {"id": f"no. {i}", "name": "a student", "email": ""}
            for i in range(1, len(result.get("missing", ())) + 1)
        ],
    }


_FILE = re.compile(r"'[^']*'")


def _masked(
    record: Mapping[str, Any], pattern: re.Pattern, names: Mapping[str, str]
) -> dict[str, Any]:
    def without_names(text: str) -> str:
        return _FILE.sub("a file", pattern.sub(lambda found: names[found[0]], text))

    own = {key: value for key, value in record.items() if key not in ("id", "name", "email")}
    own |= {"student": record["anonymous"], "file": f"{record['anonymous']}.ipynb"}
    own |= {"notes": [without_names(note) for note in record["notes"]]}
    if "group" in record:  # members still belong together, whatever they are called
        own["group"] = hashlib.sha256(record["group"].encode()).hexdigest()[:8]
    return own | {"reason": without_names(record["reason"])}
