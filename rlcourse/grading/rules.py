"""What a class has agreed on: until when, what being late costs, and which attempt counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .results import has_mark
from .submissions import Submission

LAST, BEST = "last", "best"
DAY = 86_400.0


@dataclass(frozen=True)
class Rules:
    """deadline: local time unless it says otherwise; penalty: percent of the points reached that each day
    begun costs; attempts: which of a student's notebooks counts, the last by name or the best."""

    deadline: datetime | None = None
    penalty: float = 0.0
    attempts: str = LAST

    def apply(
        self, submissions: Sequence[Submission], records: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """One record a student: points for lateness taken off, then the attempt that counts."""
        by_student: dict[str, list[dict[str, Any]]] = {}
        for submission, record in zip(submissions, records, strict=True):
            late = self._late(submission, record)
            by_student.setdefault(submission.student, []).append(late)
        return [_best(attempts) for attempts in by_student.values()]

    def _late(self, submission: Submission, record: dict[str, Any]) -> dict[str, Any]:
        if self.deadline is None or submission.data is None:
            return record
        if submission.time is None:
            note = "when it was handed in is not known: not counted as late"
            return record | {"notes": [*record["notes"], note]}
        days = math.ceil(max(submission.time - self.deadline.timestamp(), 0.0) / DAY)
        penalty = round(record["score"] * min(1.0, days * self.penalty / 100), 4)
        late = {"late_days": days, "penalty": penalty, "score": round(record["score"] - penalty, 4)}
        told = [f"{days} {'day' if days == 1 else 'days'} late"] if days else []
        return record | late | {"notes": [*record["notes"], *told]}


def _best(attempts: list[dict[str, Any]]) -> dict[str, Any]:
    """The record with most points; of equals the last."""
    if len(attempts) == 1:
        return attempts[0]
    best = max(reversed(attempts), key=lambda record: (record["score"], has_mark(record)))
    others = ", ".join(f"{r['file']!r} ({r['score']:g})" for r in attempts if r is not best)
    note = f"the best of {len(attempts)} attempts: {best['file']!r}, not {others}"
    return best | {"notes": [*best["notes"], note]}
