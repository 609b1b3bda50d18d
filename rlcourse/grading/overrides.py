"""Marks that a teacher gives by hand: `overrides.csv`, applied last and kept through regrading.

A row a mark, in the columns student, exercise, points, reason, who, when:

    student,exercise,points,reason,who,when
    jane,5.3,1,"right, in another notation",rb,2026-11-24
    ben,q_learning,excused,asked before we came to it,rb,2026-11-24
    zoe,05,excused,ill,rb,2026-11-25

exercise: a name or a number, or a lesson for the whole of it. Of two rows for one mark the later counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rlcourse import checker
from rlcourse.lessons.paths import UsageError

from . import tables
from .results import EXCUSED, NOTHING, given_by_hand

FILE = "overrides.csv"
COLUMNS = ("student", "exercise", "points", "reason", "who", "when")
_WHAT = f"a CSV with the columns {', '.join(COLUMNS)}"
_LESSON = re.compile(r"\d\d")


@dataclass(frozen=True)
class Override:
    """One row. exercise: a name, or "" for the whole lesson; points: None means excused; line: in the file."""

    student: str
    lesson: str
    exercise: str
    points: float | None
    reason: str
    who: str = ""
    when: str = ""
    line: int = 0

    @property
    def told(self) -> dict[str, Any]:
        """What a record keeps of it."""
        given = {EXCUSED: True} if self.points is None else {"points": self.points}
        return given | {"reason": self.reason, "who": self.who, "when": self.when}


def read_overrides(path: Path, lesson: str) -> tuple[Override, ...]:
    """The rows that are about one lesson or its exercises; of two for one mark the later.

    Raises:
        UsageError: no such file, columns missing, or a row of any lesson that cannot be used; it names the line.
    """
    table = tables.read(path, COLUMNS[:4], _WHAT)
    places = {name: table.column(name) for name in COLUMNS}
    found: dict[tuple[str, str], Override] = {}
    for line, row in enumerate(table.rows, start=2):
        cells = {n: row[i].strip() if i is not None else "" for n, i in places.items()}
        where = f"{path}, row {line}"
        override = _override(cells, line, where)
        if override.lesson == lesson:
            _require_possible(override, where)
            key = override.student.casefold(), override.exercise
            found.pop(key, None)
            found[key] = override
    return tuple(found.values())


def _override(cells: Mapping[str, str], line: int, where: str) -> Override:
    for name in ("student", "exercise", "points", "reason"):
        if not cells[name]:
            raise UsageError(f"{where}: the column {name} is empty; give {_WHAT}.")
    lesson, exercise = _target(cells["exercise"], where)
    points = _points(cells["points"], where)
    return Override(
        cells["student"], lesson, exercise, points, cells["reason"], cells["who"], cells["when"], line
    )  # fmt: skip


def _require_possible(override: Override, where: str) -> None:
    """Raise UsageError for more points than an exercise has; what a lesson is worth is the teacher's to say."""
    if override.exercise and override.points is not None:
        most = checker.get(override.exercise).points
        if override.points > most:
            raise UsageError(
                f"{where}: {override.exercise} is worth {most:g} points, not {override.points:g}."
            )


def _target(text: str, where: str) -> tuple[str, str]:
    """(lesson, exercise) of "05", "5.3" or "sarsa"; a whole lesson has no exercise."""
    # A spreadsheet makes 5 of 05.
    if re.fullmatch(r"\d{1,2}", text) and text.zfill(2) in checker.lessons():
        return text.zfill(2), ""
    numbered = re.fullmatch(r"(\d{1,2})\.(\d+)", text)
    if numbered and numbered[1].zfill(2) in checker.lessons():
        names = checker.names(numbered[1].zfill(2))
        if 0 < int(numbered[2]) <= len(names):
            return numbered[1].zfill(2), names[int(numbered[2]) - 1]
        raise UsageError(
            f"{where}: lesson {numbered[1]} has no exercise {text}, only {len(names)}."
        )
    for number in checker.lessons():
        if text in checker.names(number):
            return number, text
    close = get_close_matches(text, checker.names(), n=1)
    hint = f'did you mean "{close[0]}"?' if close else "give one, as 5.3, or a lesson, as 05."
    raise UsageError(f'{where}: there is no exercise "{text}": {hint}')


def _points(text: str, where: str) -> float | None:
    if text.casefold() == EXCUSED:
        return None
    try:
        points = float(text.replace(",", "."))
    except ValueError:
        points = math.nan
    if not (math.isfinite(points) and points >= 0):
        raise UsageError(f'{where}: the points are {text!r}: give a number, or "{EXCUSED}".')
    return points


def kept(result: Mapping[str, Any]) -> tuple[Override, ...]:
    """The overrides that a result was made with."""
    return tuple(
        Override(
            record["student"],
            result["lesson"],
            exercise or "",
            None if told.get(EXCUSED) else told["points"],
            told["reason"],
            told["who"],
            told["when"],
        )
        for record in result["submissions"]
        for exercise, told, _ in given_by_hand(record)
    )


def are_current(result: Mapping[str, Any], overrides: Iterable[Override]) -> bool:
    """Whether a result was made with these overrides, as far as they are about its students."""
    records, expected = result["submissions"], set()
    missing = {text.casefold() for row in result.get("missing", ()) for text in row.values()}
    for override in overrides:
        if override.student.casefold() in missing:
            return False
        for i in _named(records, override.student):
            names = {mark["name"] for mark in records[i]["exercises"]}
            if not override.exercise or override.exercise in names or not names:
                expected.add((records[i]["student"], override.exercise, _told(override)))
    return expected == {(o.student, o.exercise, _told(o)) for o in kept(result)}


def _told(override: Override) -> tuple[Any, ...]:
    return tuple(override.told.items())


def apply(
    records: Sequence[dict[str, Any]],
    overrides: Iterable[Override],
    absent: Callable[[str], dict[str, Any] | None],
    blank: Sequence[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[str]]:
    """The records with the marks given by hand, and a sentence for each override that fitted nobody.

    A student is named as in the results: student, id, e-mail address or anonymous id; a group means all of
    its students. absent: the record of a student on the list who handed in nothing, or None;
    blank: what a record says of each exercise if none was attempted.
    """
    changed = list(records)
    unused = []
    for override in sorted(overrides, key=lambda one: not one.exercise):  # the whole lesson's last
        found = _named(changed, override.student)
        if not found and (record := absent(override.student)) is not None:
            changed.append(record)
            found = [len(changed) - 1]
        ids = {changed[i]["student"] for i in found}
        if not found or (len(ids) > 1 and len({changed[i].get("group") for i in found}) > 1):
            who = "nobody" if not found else "more than one student"
            line = f"{FILE}, row {override.line}: " if override.line else ""
            unused.append(f"{line}{override.student!r} is {who} here: not applied")
            continue
        for i in found:
            changed[i] = _changed(changed[i], override, blank)
    return sorted(changed, key=lambda record: record["student"]), unused


def _named(records: Sequence[Mapping[str, Any]], name: str) -> list[int]:
    """Where the records of a student are; by the first kind of name that fits at all."""
    name = name.casefold()
    for key in ("student", "id", "email", "anonymous", "group"):
        found = [i for i, record in enumerate(records) if record.get(key, "").casefold() == name]
        if found:
            return found
    return []


def _changed(
    record: dict[str, Any], override: Override, blank: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    if not override.exercise:
        told = override.told | {"before": record["score"]}
        score = record["score"] if override.points is None else override.points
        return record | {"override": told, "score": score}
    marks = list(record["exercises"] or blank)
    place = next((i for i, mark in enumerate(marks) if mark["name"] == override.exercise), None)
    if place is None:
        note = f"{override.exercise}: a mark given by hand was not entered, it does not count here"
        return record | {"notes": [*record["notes"], note]}
    mark, new, points = marks[place], override.points or 0, record["points"]
    marks[place] = mark | {"override": override.told | {"before": mark["score"]}, "score": new}
    if override.points is None and not mark.get("extra"):
        points -= mark["points"]
    # Applied last: what was given by hand is not shortened by a penalty for lateness.
    score = max(round(record["score"] + new - mark["score"], 4), 0)
    return record | {"exercises": marks, "points": points, "score": score}


def nothing_handed_in(student: Mapping[str, str], points: float) -> dict[str, Any]:
    """The record of somebody on the list of students of whom there is no file."""
    record = {"student": student["id"], "file": "", "state": NOTHING, "notes": [], "exercises": []}
    record |= {"reason": "nothing was handed in", "score": 0, "points": points}
    return record | {key: student[key] for key in ("id", "name", "email") if student[key]}


def sentence(told: Mapping[str, Any], points: float) -> str:
    """What the student is told of a mark given by hand."""
    what = "Excused" if told.get(EXCUSED) else f"Marked by hand: {told['points']:g} of {points:g}"
    before = "" if told.get(EXCUSED) else f" (before: {told['before']:g})"
    by = " ".join(filter(None, (told["who"], told["when"])))
    return f"{what}{before}. {told['reason']}" + (f" ({by})" if by else "")
