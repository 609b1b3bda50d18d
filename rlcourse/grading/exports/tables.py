"""Reading a platform's CSV, finding each student's row, and writing it back without formulas."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlcourse.paths import UsageError

from ..results import harmless
from ..students import CANVAS, MOODLE


@dataclass
class Table:
    """A CSV file: its header, its rows (all as long as the header), and how it is written."""

    header: list[str]
    rows: list[list[str]]
    delimiter: str = ","
    mark: str = ""

    def column(self, name: str) -> int | None:
        """Where a column is, by its name in any case; None if it is not there."""
        names = [title.strip().casefold() for title in self.header]
        return names.index(name.casefold()) if name.casefold() in names else None

    def text(self) -> str:
        """The file's text; what a spreadsheet would take for a formula is made harmless."""
        stream = io.StringIO()
        writer = csv.writer(stream, delimiter=self.delimiter, lineterminator="\n")
        writer.writerow(map(harmless, self.header))
        writer.writerows([harmless(cell) for cell in row] for row in self.rows)
        return self.mark + stream.getvalue()


def read(path: Path, needed: Sequence[str], what: str) -> Table:
    """Read a CSV with at least the columns `needed`; `what` names the file in the refusal.

    Raises:
        UsageError: no such file, not text, or columns missing.
    """
    try:
        text = path.read_text(encoding="utf-8")
        mark = "\ufeff" if text.startswith("\ufeff") else ""
        first = text.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        rows = list(
            csv.reader(io.StringIO(text.removeprefix(mark), newline=""), delimiter=delimiter)
        )
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        raise UsageError(
            f"{path} is not in UTF-8: save it from the spreadsheet as “CSV UTF-8”, and give {what}."
        ) from None
    except csv.Error:
        raise UsageError(f"{path} is not a CSV file: give {what}.") from None
    header = rows[0] if rows else []
    body = [[*row, *[""] * (len(header) - len(row))][: len(header)] for row in rows[1:] if any(row)]
    table = Table(header, body, delimiter, mark)
    missing = [name for name in needed if table.column(name) is None]
    if missing:
        raise UsageError(f"{path} has no column {', '.join(map(repr, missing))}: give {what}.")
    return table


@dataclass
class Matches:
    """rows: index of a row -> the record that belongs to it; unmatched: students without a row."""

    rows: dict[int, dict[str, Any]]
    unmatched: list[str]

    def notes(self, file: Path) -> list[str]:
        """What the teacher is told about it."""
        lines = [f"{len(self.rows)} students filled in."]
        lines += [f"{student}: no row of their own in {file.name}" for student in self.unmatched]
        return lines


def match(
    records: Iterable[dict[str, Any]], table: Table, keys: Sequence[str], names: Sequence[str]
) -> Matches:
    """Find the row of each record: by an identifier in the columns `keys`, else by name in `names`.

    Nothing is guessed: a name that two rows have, or a row that two records claim, is left alone.
    """
    by_key, by_name = _index(table, keys, str.casefold), _index(table, names, _name)
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


def _index(table: Table, columns: Sequence[str], normal: Any) -> dict[str, set[int]]:
    index: dict[str, set[int]] = defaultdict(set)
    for title in columns:
        column = table.column(title)
        for i, row in enumerate(table.rows if column is not None else ()):
            if row[column].strip():
                index[normal(row[column].strip())].add(i)
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
    """The factor from our points to the platform's, whose maximum is written as `maximum`."""
    try:
        there = float(maximum.replace(",", "."))
    except ValueError:
        return 1.0
    return there / points if there > 0 and points > 0 else 1.0


def score(record: dict[str, Any], factor: float) -> str:
    return f"{round(record['score'] * factor, 4):g}"
