"""Classroom 50: `result.json`, schema classroom50/result/v1, for its runner.

To be called from an assignment's `autograder.py`: the runner says in the environment which
submission is being graded. Points are whole numbers there, so fractions are scaled up.
"""

from __future__ import annotations

import json
import os
import re
from fractions import Fraction
from math import lcm
from typing import Any

from rlcourse.lessons.paths import UsageError

from .. import feedback
from . import Export, Options

# field -> variable that the runner sets.
_GIVEN = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "owner": "OWNER",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
}
_TAG = re.compile(r"submit/(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)Z-\w+")


def export(result: dict[str, Any], options: Options) -> Export:
    """The one submission of `result`, as the runner reads it."""
    if len(result["submissions"]) != 1:
        raise UsageError(
            f"Classroom 50 grades one submission at a time, and this result has "
            f"{len(result['submissions'])}: grade the student's folder alone."
        )
    missing = [variable for variable in _GIVEN.values() if not os.environ.get(variable)]
    if missing:
        raise UsageError(
            f"The environment lacks {', '.join(missing)}: `--to classroom50` is for an "
            "autograder.py that Classroom 50's runner starts."
        )
    tree = document(result["submissions"][0], dict(os.environ))
    return Export(json.dumps(tree, indent=1, ensure_ascii=False) + "\n")


def document(record: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """A record as result/v1. Raises UsageError if the submission's tag is none of the runner's."""
    tag = _TAG.fullmatch(environment["SUBMISSION_TAG"])
    if tag is None:
        raise UsageError(
            f"SUBMISSION_TAG is {environment['SUBMISSION_TAG']!r}, not "
            "submit/2026-06-01T14-32-05Z-a1b2c3d: is this Classroom 50's runner?"
        )
    day, hour, minute, second = tag.groups()
    marks = record["exercises"]
    scale = _scale([record["score"], record["points"], *_scores(marks)])
    return {
        "schema": "classroom50/result/v1",
        **{field: environment[variable] for field, variable in _GIVEN.items()},
        "assignment_type": environment.get("ASSIGNMENT_TYPE") or "individual",
        "review": environment.get("REVIEW_URL") or environment["COMMIT_URL"],
        "datetime": f"{day}T{hour}:{minute}:{second}Z",
        "score": _whole(record["score"], scale),
        "max-score": _whole(record["points"], scale),
        "tests": [
            {
                "test-name": f"{mark['number']} {mark['name']}",
                "passed": mark["state"] == "passed",
                "score": _whole(mark["score"], scale),
                "max-score": _whole(mark["points"], scale),
                "message": "\n".join(feedback.told(mark)),
            }
            for mark in marks
        ],
    }


def _scores(marks: list[dict[str, Any]]) -> list[float]:
    return [mark[key] for mark in marks for key in ("score", "points")]


def _scale(scores: list[float]) -> int:
    """The smallest factor, up to 1000, that makes all scores whole; beyond it they are rounded."""
    factor = lcm(*(Fraction(score).limit_denominator(100).denominator for score in scores))
    return factor if factor <= 1000 else 1000


def _whole(score: float, scale: int) -> int:
    return round(Fraction(score).limit_denominator(100_000) * scale)
