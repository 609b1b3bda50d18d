"""What a class has agreed on: until when, what being late costs, and which attempt counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rlcourse.lessons.paths import UsageError

from .results import has_mark
from .students import CANVAS
from .submissions import Submission

LAST, BEST = "last", "best"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Rules:
    """deadline: local time unless it says otherwise; penalty: percent of the points reached that each day
    begun costs; attempts: which of a student's notebooks counts, the last by name or the best.

    A day is one of the calendar: from one evening to the next, also where the clocks are changed between.
    Raises UsageError for a local deadline that the clocks leave out, or show twice.
    """

    deadline: datetime | None = None
    penalty: float = 0.0
    attempts: str = LAST

    def __post_init__(self) -> None:
        if self.deadline is not None and self.deadline.tzinfo is None:
            _require_one_reading(self.deadline)

    def apply(
        self, submissions: Sequence[Submission], records: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """One record a student: points for lateness taken off, then the attempt that counts."""
        by_student: dict[str, list[dict[str, Any]]] = {}
        # One such name proves nothing: anybody can choose it.
        from_canvas = all(CANVAS.match(submission.file) for submission in submissions)
        for submission, record in zip(submissions, records, strict=True):
            late = self._late(submission, record, from_canvas)
            by_student.setdefault(submission.student, []).append(late)
        return [_best(attempts) for attempts in by_student.values()]

    def _late(
        self, submission: Submission, record: dict[str, Any], from_canvas: bool
    ) -> dict[str, Any]:
        if self.deadline is None or submission.data is None:
            return record
        if from_canvas and CANVAS.match(submission.file)["late"]:
            note = "Canvas says that it came late, but not when: no points were taken off"
            return record | {"notes": [*record["notes"], note]}
        # A download from Canvas bears the time of the download.
        days = 0 if from_canvas else self._days_late(submission.time)
        if days is None:
            note = "when it was handed in is not known: not counted as late"
            return record | {"notes": [*record["notes"], note]}
        penalty = round(record["score"] * min(1.0, days * self.penalty / 100), 4)
        late = {"late_days": days, "penalty": penalty, "score": round(record["score"] - penalty, 4)}
        by = f", {submission.clock}" if submission.clock else ""
        told = [f"{days} {'day' if days == 1 else 'days'} late{by}"] if days else []
        return record | late | {"notes": [*record["notes"], *told]}

    def _days_late(self, time: float | None) -> int | None:
        """Days begun since the deadline, by the clock on the wall; None if the time is not known."""
        if time is None:
            return None
        if time <= self.deadline.timestamp():
            return 0
        handed_in = datetime.fromtimestamp(time, self.deadline.tzinfo)
        # An hour that comes twice can put the wall clock behind the deadline again.
        return max(math.ceil((handed_in - self.deadline) / DAY), 1)


def _require_one_reading(local: datetime) -> None:
    """Raise UsageError if a local time is skipped, or comes twice, when the clocks are changed."""
    first, second = (local.replace(fold=fold).astimezone() for fold in (0, 1))
    if first == second:
        return
    twice = first.replace(tzinfo=None) == local
    what = "comes twice" if twice else "does not exist"
    raise UsageError(
        f"{local:%Y-%m-%d %H:%M} {what} here, the clocks are changed in that night: say which is meant, "
        f"{first.isoformat(timespec='minutes')} or {second.isoformat(timespec='minutes')}."
    )


def _best(attempts: list[dict[str, Any]]) -> dict[str, Any]:
    """The record with most points; of equals the last."""
    if len(attempts) == 1:
        return attempts[0]
    best = max(reversed(attempts), key=lambda record: (record["score"], has_mark(record)))
    others = ", ".join(f"{r['file']!r} ({r['score']:g})" for r in attempts if r is not best)
    note = f"the best of {len(attempts)} attempts: {best['file']!r}, not {others}"
    return best | {"notes": [*best["notes"], note]}
