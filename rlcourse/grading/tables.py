"""Reading a CSV, and writing it back without formulas."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlcourse.lessons.paths import UsageError

from .results import harmless


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

    def require(self, needed: Sequence[str], path: Path, what: str) -> None:
        """Raise UsageError if a column is missing; `what` names the file that was wanted."""
        missing = [name for name in needed if self.column(name) is None]
        if missing:
            raise UsageError(f"{path} has no column {', '.join(map(repr, missing))}: give {what}.")

    def text(self) -> str:
        """The file's text; what a spreadsheet would take for a formula is made harmless."""
        stream = io.StringIO()
        writer = csv.writer(stream, delimiter=self.delimiter, lineterminator="\n")
        writer.writerow(map(harmless, self.header))
        writer.writerows([harmless(cell) for cell in row] for row in self.rows)
        return self.mark + stream.getvalue()


def _decoded(data: bytes) -> str:
    """Text as spreadsheets write it: in UTF-8, in UTF-16 with its mark, or in Windows-1252."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "\ufeff" + data.decode("utf-16")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def read(path: Path, needed: Sequence[str], what: str) -> Table:
    """Read a CSV with at least the columns `needed`; `what` names the file in the refusal.

    Raises:
        UsageError: no such file, not text, or columns missing.
    """
    try:
        text = _decoded(path.read_bytes())
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
            f"{path} is in an alphabet that is not known: save it from the spreadsheet as “CSV UTF-8”, "
            f"and give {what}."
        ) from None
    except csv.Error:
        raise UsageError(f"{path} is not a CSV file: give {what}.") from None
    header = rows[0] if rows else []
    body = [[*row, *[""] * (len(header) - len(row))][: len(header)] for row in rows[1:] if any(row)]
    table = Table(header, body, delimiter, mark)
    table.require(needed, path, what)
    return table
