"""What a class has agreed on: until when, what being late costs, and which attempt counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rlcourse.lessons.paths import UsageError

from .results import has_mark, listed
from .students import CANVAS
from .submissions import Submission

LAST, BEST = "last", "best"
DAY = timedelta(days=1)

Attempt = tuple[Submission, dict[str, Any]]


@dataclass(frozen=True)
class Rules:
    """deadline: local time unless it says otherwise; penalty: percent of the points reached that each day
    begun costs; attempts: which of a student's notebooks counts, the last by name or the best;
    grace: how much later a file may be without being late; extensions: student -> a deadline of their own;
    late_days: days in the term that cost a student nothing; spent: student -> those that other lessons took.

    A day is one of the calendar: from one evening to the next, also where the clocks are changed between.
    Raises UsageError for a deadline that the clocks leave out, or show twice.
    """

    deadline: datetime | None = None
    penalty: float = 0.0
    attempts: str = LAST
    grace: timedelta = timedelta()
    extensions: Mapping[str, datetime] = field(default_factory=dict)
    late_days: int = 0
    spent: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for moment in (self.deadline, *self.extensions.values()):
            if moment is not None:
                require_one_reading(moment)

    def apply(
        self, submissions: Sequence[Submission], records: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """One record a student: points for lateness taken off, then the attempt that counts."""
        by_student: dict[str, list[Attempt]] = {}
        # One such name proves nothing: anybody can choose it.
        from_canvas = all(CANVAS.match(submission.file) for submission in submissions)
        for submission, record in zip(submissions, records, strict=True):
            late = self._late(submission, record, from_canvas)
            by_student.setdefault(submission.student, []).append((submission, late))
        choose = _best if self.attempts == BEST else _last
        return [choose(attempts) for attempts in by_student.values()]

    def _late(
        self, submission: Submission, record: dict[str, Any], from_canvas: bool
    ) -> dict[str, Any]:
        due = self.extensions.get(submission.student, self.deadline)
        if due is None or submission.data is None:
            return record
        if from_canvas and CANVAS.match(submission.file)["late"]:
            note = "Canvas says that it came late, but not when: no points were taken off"
            return record | {"notes": [*record["notes"], note]}
        # A download from Canvas bears the time of the download.
        days = 0 if from_canvas else self._days_late(submission.time, due)
        if days is None:
            note = "when it was handed in is not known: not counted as late"
            return record | {"notes": [*record["notes"], note]}
        left = self.late_days - self.spent.get(submission.student, 0)
        free = max(min(days, left), 0) if record["score"] else 0
        penalty = round(record["score"] * min(1.0, (days - free) * self.penalty / 100), 4)
        late = {"late_days": days, "penalty": penalty, "score": round(record["score"] - penalty, 4)}
        if not from_canvas:
            handed_in = datetime.fromtimestamp(submission.time, UTC)
            late["handed_in"] = handed_in.isoformat(timespec="seconds")
        told = []
        if days:
            by = f", {submission.clock}" if submission.clock else ""
            told.append(f"{_days(days)} late{by}")
        if free:
            late["free_late_days"] = free
            told.append(f"{_days(free)} of it from the {self.late_days} of the term that are free")
        if days and submission.student in self.extensions:
            told.append(f"the deadline was extended to {due:%Y-%m-%d %H:%M}")
        return record | late | {"notes": [*record["notes"], *told]}

    def _days_late(self, time: float | None, due: datetime) -> int | None:
        """Days begun since the deadline, by the clock on the wall; None if the time is not known."""
        if time is None:
            return None
        if time <= due.timestamp() + self.grace.total_seconds():
            return 0
        handed_in = datetime.fromtimestamp(time, due.tzinfo)
        # An hour that comes twice can put the wall clock behind the deadline again.
        return max(math.ceil((handed_in - due) / DAY), 1)


def _days(count: int) -> str:
    return f"{count} {'day' if count == 1 else 'days'}"


def moment(text: str) -> datetime:
    """Day and time of day, "2026-11-20 23:59", with or without a zone. Raises UsageError."""
    try:
        read = datetime.fromisoformat(text) if ":" in text else None
    except ValueError:
        read = None
    if read is None:
        raise UsageError(
            f"{text!r} is no time to hand in by: give day and time, as '2026-11-20 23:59' (yours), "
            "or with a zone, as '2026-11-20T23:59+01:00'."
        )
    return read


def require_one_reading(moment: datetime) -> None:
    """Raise UsageError if a time is skipped, or comes twice, when the clocks of its zone are changed."""
    first, second = (_as_it_happens(moment.replace(fold=fold)) for fold in (0, 1))
    if first.timestamp() == second.timestamp():
        return
    twice = first.replace(tzinfo=None) == moment.replace(tzinfo=None)
    what = "comes twice" if twice else "does not exist"
    where = f"in {moment.tzinfo}" if moment.tzinfo else "here"
    raise UsageError(
        f"{moment:%Y-%m-%d %H:%M} {what} {where}, the clocks are changed in that night: say which is meant, "
        f"{first.isoformat(timespec='minutes')} or {second.isoformat(timespec='minutes')}."
    )


def _as_it_happens(moment: datetime) -> datetime:
    """What the clock of its zone shows at that moment: another time, where this one is left out."""
    if moment.tzinfo is None:
        return moment.astimezone()
    return moment.astimezone(UTC).astimezone(moment.tzinfo)


def _last(attempts: list[Attempt]) -> dict[str, Any]:
    """The record handed in last: of one student the files were chosen from already, but not of a group."""
    if len(attempts) == 1:
        return attempts[0][1]
    _, record = max(attempts, key=lambda attempt: attempt[0].time or 0.0)
    others = listed([repr(s.file) for s, r in attempts if r is not record])
    note = f"the last of {len(attempts)} hand-ins: {record['file']!r}, not {others}"
    return record | {"notes": [*record["notes"], note]}


def _best(attempts: list[Attempt]) -> dict[str, Any]:
    """The record with most points; of equals the last."""
    records = [record for _, record in attempts]
    if len(records) == 1:
        return records[0]
    best = max(reversed(records), key=lambda record: (record["score"], has_mark(record)))
    others = listed([f"{r['file']!r} ({r['score']:g})" for r in records if r is not best])
    note = f"the best of {len(records)} attempts: {best['file']!r}, not {others}"
    return best | {"notes": [*best["notes"], note]}
