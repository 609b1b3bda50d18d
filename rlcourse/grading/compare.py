"""Two results of one class: whose marks changed between them, and why."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlcourse.lessons.paths import UsageError

from . import gradebook, results


@dataclass(frozen=True)
class Change:
    """One student's mark of one lesson; old, new: points, or why there are none; reasons: what differs."""

    lesson: str
    student: str
    old: str
    new: str
    reasons: tuple[str, ...]


def compare(old: Path, new: Path) -> tuple[list[Change], list[str]]:
    """The marks that differ between two results, or two folders of them; and notes on all that is compared.

    Raises:
        UsageError: no results there, or none of a lesson that both have.
    """
    first, second = gradebook.read([old]), gradebook.read([new])
    both = [lesson for lesson in first if lesson in second]
    if not both:
        raise UsageError(
            f"{old} has lesson {', '.join(first)}, {new} has lesson {', '.join(second)}: "
            "give two results of the same lesson."
        )
    notes = [
        f"Lesson {lesson} is only in {old if lesson in first else new}."
        for lesson in sorted(first.keys() ^ second.keys())
    ]
    changes = []
    for lesson in both:
        notes += (f"Lesson {lesson}: {note}" for note in _of_all(first[lesson], second[lesson]))
        changes += changes_of(first[lesson], second[lesson])
    return changes, notes


def changes_of(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """The students of one lesson whose marks differ, in order."""
    before, after = (
        {record["student"]: record for record in result["submissions"]} for result in (old, new)
    )
    found = []
    for student in sorted(before.keys() | after.keys()):
        pair = before.get(student), after.get(student)
        marks = tuple(map(_mark, pair))
        if marks[0] != marks[1]:
            reasons = tuple(_reasons(*pair)) or ("for no reason that the results show",)
            found.append(Change(new["lesson"], student, *marks, reasons))
    return found


def _of_all(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key, what in (("rlcourse", "version of the course"), ("sandbox", "run with")):
        if old[key] != new[key]:
            yield f"{what} {old[key]}, now {new[key]}."


def _mark(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return results.NOTHING
    if results.is_excused(record):
        return results.EXCUSED
    if not results.has_mark(record):
        return gradebook.NO_MARK
    return f"{round(record['score'], 4):g} of {record['points']:g}"


def _reasons(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterator[str]:
    if old is None or new is None:
        yield "was not there before" if old is None else "is not there any more"
        return
    if old["state"] != new["state"]:
        yield f"{_state(old)}, now {_state(new)}"
    if old["file"] != new["file"]:
        yield f"another file counts: {new['file']!r}, not {old['file']!r}"
    yield from _of_exercises(old, new)
    for key, what in (("late_days", "days late"), ("free_late_days", "free late days")):
        if old.get(key, 0) != new.get(key, 0):
            yield f"{what}: {old.get(key, 0)}, now {new.get(key, 0)}"
    if old.get("penalty", 0) != new.get("penalty", 0):
        yield f"penalty for lateness: {old.get('penalty', 0):g}, now {new.get('penalty', 0):g}"
    yield from _by_hand("the lesson", old, new)


def _state(record: Mapping[str, Any]) -> str:
    return f"{record['state']} ({record['reason']})" if record["reason"] else record["state"]


def _of_exercises(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = ({m["name"]: m for m in record["exercises"]} for record in (old, new))
    for name in before | after:
        first, second = before.get(name), after.get(name)
        if first is None or second is None:
            if before and after:
                yield f"{name} counts now" if first is None else f"{name} does not count any more"
            continue
        if first["score"] != second["score"] or first["state"] != second["state"]:
            why = _verdict(second)
            if first["source"] != second["source"]:
                why += ", the answer is another"
            elif old.get("seed") != new.get("seed"):
                why += ", the same answer on other inputs"
            elif "override" not in second:
                why += ", the same answer on the same inputs: the course judges otherwise"
            yield f"{name}: {first['score']:g} ({_verdict(first)}), now {second['score']:g} ({why})"
        if first["points"] != second["points"] or first.get("extra") != second.get("extra"):
            yield f"{name}: worth {_worth(first)}, now {_worth(second)}"
        yield from _by_hand(name, first, second)


def _worth(mark: Mapping[str, Any]) -> str:
    return f"{mark['points']:g}" + (" extra" if mark.get("extra") else "")


def _verdict(mark: Mapping[str, Any]) -> str:
    return mark["mistake"] or mark["headline"] or mark["state"]


def _by_hand(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = old.get("override"), new.get("override")
    if before == after:
        return
    if after is None:
        yield f"{what}: no longer given by hand"
    else:
        given = "excused" if after.get(results.EXCUSED) else f"given by hand: {after['points']:g}"
        yield f"{what}: {given}, {after['reason']}"


def as_csv(changes: list[Change]) -> str:
    """A row a change: lesson, student, old, new, why."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["lesson", "student", "old", "new", "why"])
    for change in changes:
        row = (change.lesson, change.student, change.old, change.new, "; ".join(change.reasons))
        table.writerow(map(results.harmless, row))
    return stream.getvalue()
