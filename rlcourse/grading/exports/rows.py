"""Finding each student's row in a platform's CSV, and what is written there."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlcourse.lessons.paths import UsageError

from ..students import CANVAS, MOODLE
from ..tables import Table


@dataclass
class Matches:
    """rows: index of a row -> the record that belongs to it; unmatched: students without a row."""

    rows: dict[int, dict[str, Any]]
    unmatched: list[str]
    filled: int = 0
    kept: list[str] = field(default_factory=list)

    def enter(self, row: list[str], column: int, student: str, mark: str, overwrite: bool) -> bool:
        """Write a mark into its cell, unless the platform has another there; says whether it was written."""
        if stays(row[column], mark, overwrite):
            self.kept.append(f"{student} ({row[column].strip()})")
            return False
        row[column] = mark
        self.filled += 1
        return True

    def notes(self, file: Path) -> list[str]:
        """What the teacher is told: how many rows were filled in, whose marks were kept, who has no row."""
        lines = [f"{self.filled} students filled in."]
        if self.kept:
            told = f"{len(self.kept)} kept as they were, with --overwrite they are replaced"
            lines.append(f"{told}: {', '.join(self.kept)}")
        lines += [f"{student}: no row of their own in {file.name}" for student in self.unmatched]
        return lines


def stays(there: str, new: str, overwrite: bool) -> bool:
    """Whether a platform's cell keeps what it holds: a mark of somebody's own, or "EX" (excused)."""
    there = there.strip()
    if overwrite or there in ("", "-") or there.casefold() == new.casefold():
        return False
    return number(there) is None or number(there) != number(new)


def match(
    records: Iterable[dict[str, Any]],
    table: Table,
    keys: Sequence[str],
    names: Sequence[Sequence[str]],
) -> Matches:
    """Find the row of each record: by an identifier in the columns `keys`, else by name in `names`.

    A name may stand in one column, or in several together.

    Nothing is guessed: a name that two rows have, or a row that two records claim, is left alone.
    """
    by_key = _index(table, [(key,) for key in keys], str.casefold)
    by_name = _index(table, names, _name)
    claims: dict[int, list[dict[str, Any]]] = defaultdict(list)
    unmatched = []
    for record in records:
        found = next(
            filter(None, (by_key.get(key.casefold()) for key in _identifiers(record))), None
        )
        found = found or next(filter(None, (by_name.get(_name(n)) for n in _names(record))), None)
        if found is None or len(found) > 1:
            unmatched.append(record["student"])
        else:
            claims[next(iter(found))].append(record)
    for claimed in claims.values():
        if len(claimed) > 1:
            unmatched += [record["student"] for record in claimed]
    rows = {row: claimed[0] for row, claimed in claims.items() if len(claimed) == 1}
    return Matches(rows, sorted(unmatched))


def _index(table: Table, columns: Sequence[Sequence[str]], normal: Any) -> dict[str, set[int]]:
    index: dict[str, set[int]] = defaultdict(set)
    for titles in columns:
        places = [table.column(title) for title in titles]
        for i, row in enumerate(table.rows if None not in places else ()):
            if written := " ".join(row[place].strip() for place in places).strip():
                index[normal(written)].add(i)
    return index


def _identifiers(record: dict[str, Any]) -> Iterator[str]:
    yield from (record[key] for key in ("id", "email") if record.get(key))
    yield record["student"]
    for named in _by_platform(record):
        yield named["number"]
        yield f"Participant {named['number']}"  # Moodle's way to write it


def _names(record: dict[str, Any]) -> Iterator[str]:
    yield record.get("name") or record["student"]
    yield from (named["name"] for named in _by_platform(record))


def _by_platform(record: dict[str, Any]) -> Iterator[re.Match]:
    """What Moodle or Canvas wrote into the name of the file, or of the folder that it is in."""
    for pattern in (MOODLE, CANVAS):
        found = pattern.match(f"{record['student']}_") or pattern.match(record["file"])
        if found:
            yield found


def _name(name: str) -> str:
    """A person's name whichever way it is written: "Doe, Jane" and "jane doe" are one."""
    return " ".join(sorted(re.findall(r"\w+", name.casefold())))


def scale(maximum: str, points: float) -> float:
    """The factor from our points to the platform's, whose maximum is written as `maximum`.

    Raises UsageError where the assignment is worth nothing there: no mark could be entered.
    """
    there = number(maximum)
    if there == 0:
        raise UsageError(
            "The assignment is worth 0 points there: set its points, download the file again, and export."
        )
    return there / points if there is not None and there > 0 and points > 0 else 1.0


def number(text: str) -> float | None:
    """A platform's number, "1,000.5" or "7,5"; None if it is none."""
    text = text.strip()
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d*)?", text):
        text = text.replace(",", "")
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def score(record: dict[str, Any], factor: float) -> str:
    return f"{round(record['score'] * factor, 4):g}"
