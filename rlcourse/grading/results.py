"""The one result file of a class run, and the marks as a table.

`results.json`, schema "rlcourse/results/v2" (described in README.md beside this file): everything
else is made from it. The same submissions give the same bytes: no times, no paths of this machine.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from rlcourse import __version__
from rlcourse.lessons.paths import UsageError

SCHEMA = "rlcourse/results/v2"
READABLE = ("rlcourse/results/v1", SCHEMA)  # v2 has more fields, and no other meanings

# The state of a submission that nobody can mark until the course is mended: it has no score.
BROKEN = "grader failed"
# The state of somebody who handed in nothing and has a mark given by hand.
NOTHING = "no submission"
EXCUSED = "excused"


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


def read(path: Path) -> dict[str, Any]:
    """The result in a file, or in the `results.json` of a folder; its schema holds.

    Raises:
        UsageError: no such file, or something else than a result of this version.
    """
    try:
        file = path / "results.json" if path.is_dir() else path
        data = file.read_bytes()
    except FileNotFoundError:
        what = f"{path} holds no results.json" if file != path else f"There is no file {path}"
        raise UsageError(f"{what}: give the results.json that `rlcourse grade` wrote.") from None
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error
    try:
        result = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise UsageError(
            f"{file} is not a result file, or only a part of one (not valid JSON): "
            "give the results.json that `rlcourse grade` wrote."
        ) from None
    version = result.get("schema") if isinstance(result, dict) else None
    if not isinstance(version, str) or not version.startswith("rlcourse/results/"):
        raise UsageError(f"{file} is not a result file of `rlcourse grade`: give its results.json.")
    if version not in READABLE:
        raise UsageError(
            f"{file} is of schema {version[:40]}, and this version of the course reads {SCHEMA}: "
            "use the version that graded, or grade again."
        )
    _require_schema(result, file)
    return result


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _require_schema(result: dict[str, Any], file: Path) -> None:
    import jsonschema

    schema = json.loads((files(__package__) / "results.schema.json").read_text(encoding="utf-8"))
    try:
        jsonschema.Draft202012Validator(schema).validate(result)
    except jsonschema.ValidationError as error:
        place = "/".join(map(str, error.absolute_path)) or "the top level"
        raise UsageError(
            f"{file} is not a whole result file: at {place}, {error.message[:200]}."
        ) from None


def as_json(result: dict[str, Any]) -> str:
    return json.dumps(result, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def as_csv(result: dict[str, Any]) -> str:
    """A row a student: who, state, score, points, then the score of every exercise.

    Who a student is by the students list, and lateness, have columns where the run knew of them.
    """
    records = result["submissions"]
    names = [mark["name"] for mark in next((r["exercises"] for r in records if r["exercises"]), [])]
    known = [key for key in _WHERE_KNOWN if any(key in record for record in records)]
    columns = ["student", *known, "file", "state", "score", "points"]
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    any_by_hand = any(map(by_hand, records))
    table.writerow([*columns, *names, *(["by hand"] if any_by_hand else [])])
    for record in records:
        scores = {mark["name"]: mark["score"] for mark in record["exercises"]}
        unsaid = 0
        if not has_mark(record):  # and 0 would be one
            record, unsaid = record | {"score": ""}, ""
        if is_excused(record):
            record = record | {"score": EXCUSED}
        row = [record.get(key, "") for key in columns]
        row += [scores.get(name, unsaid) for name in names]
        row += [by_hand(record)] if any_by_hand else []
        table.writerow(map(harmless, row))
    return stream.getvalue()


def has_mark(record: dict[str, Any]) -> bool:
    """Whether a submission was marked, be it with 0 or by hand; of one on which the grader failed nothing
    is known."""
    return record["state"] != BROKEN or "override" in record


def is_excused(record: dict[str, Any]) -> bool:
    """Whether a teacher has excused the student from the whole lesson."""
    return bool(record.get("override", {}).get(EXCUSED))


_WHERE_KNOWN = (
    "id", "name", "email", "anonymous", "group", "late_days", "free_late_days", "penalty",
)  # fmt: skip

# Where a spreadsheet of another country splits cells, what follows begins a cell of its own.
# A minus before a plain number, as in "0.5; -0.5 was asked", begins no formula.
_PLAIN = r"-\s*[\d.,]*\d%?\s*(?:$|[;\t\r\n<)]|[.,](?:\s|$)|[^\W\d])"
_INSIDE = re.compile(rf"[;\t\r\n]\s*(?=[=+@]|-)(?!{_PLAIN})|,\s*(?=[=+@])")
_NUMBER = re.compile(r"\s*-\s*|\s*[+-]?[\d.,]+\s*%?\s*")


def harmless(cell: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front of it.

    Also behind blanks, which some programs strip, in full-width characters, which Excel takes for
    the plain ones, and behind a separator; numbers written as text, and a lone dash, stay as they are.
    """
    if not isinstance(cell, str) or not cell or _NUMBER.fullmatch(cell):
        return cell
    cell = _INSIDE.sub(r"\g<0>'", cell)
    risky = cell[0] in "\t\r\n" or cell.lstrip()[:1] in tuple("=+-@＝＋－＠")
    return f"'{cell}" if risky else cell


def given_by_hand(
    record: Mapping[str, Any],
) -> Iterator[tuple[str | None, Mapping[str, Any], float]]:
    """(exercise, what was given, points possible) for each mark given by hand; None is the whole lesson."""
    if told := record.get("override"):
        yield None, told, record["points"]
    for mark in record["exercises"]:
        if told := mark.get("override"):
            yield mark["name"], told, mark["points"]


def by_hand(record: Mapping[str, Any]) -> str:
    """The marks given by hand in one cell, "sarsa: 0 → 2, the reason; …"; empty if there are none."""
    return "; ".join(
        f"{name or 'lesson'}: {told['before']:g} → "
        f"{EXCUSED if told.get(EXCUSED) else format(told['points'], 'g')}, {told['reason']}"
        for name, told, _ in given_by_hand(record)
    )


def shortened(text: str, most: int) -> str:
    """At most `most` characters, the last of them … where some are missing."""
    return text if len(text) <= most else text[: most - 1] + "…"


def listed(items: Sequence[str], most: int = 5) -> str:
    """The first few of many, and how many more there are."""
    more = len(items) - most
    return ", ".join([*items[:most], *([f"and {more} others"] if more > 0 else [])])


def file_names(records: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """A file name for every student: the student's name, made safe and kept apart from others."""
    safe = [_safe(record["student"]) for record in records]
    counts = Counter(name.casefold() for name in safe)
    named, taken = [], set()
    for name, record in zip(safe, records, strict=True):
        if not name or counts[name.casefold()] > 1:
            name += "-" + hashlib.sha256(record["student"].encode()).hexdigest()[:8]
        while name.casefold() in taken:  # Somebody may be called as another one's file is.
            name += "_"
        taken.add(name.casefold())
        named.append((name, record))
    return named


def _safe(name: str) -> str:
    """`name` as part of a file's name, whose length in bytes is limited everywhere."""
    name = unicodedata.normalize("NFC", name)
    return re.sub(r"[^\w .-]", "_", name).encode()[:150].decode(errors="ignore").strip(" .")


QUIET = ("passed", "not attempted")


def oddities(record: dict[str, Any]) -> list[str]:
    """What a teacher should know of a submission besides its marks."""
    told = list(record["notes"])
    if record["state"] != "graded":
        told.append(f"not graded: {record['reason']}")
    told += [
        f"{mark['name']}: {mark['state']}"
        for mark in record["exercises"]
        if mark["state"] not in (*QUIET, "failed")
    ]
    return told
