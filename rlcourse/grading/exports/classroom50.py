"""Classroom 50: `result.json`, schema classroom50/result/v1, for its runner.

To be called from an assignment's `autograder.py`: the runner says in the environment which
submission is being graded. Points are whole numbers there, so fractions are scaled up; and the score is
the sum of the tests', so what being late costs is taken from them.

    python -m rlcourse.grading.exports.classroom50 05 NOTEBOOK result.json

grades one notebook and writes its result, also where the notebook is missing.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import tempfile
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any

from rlcourse import checker
from rlcourse.lessons.paths import UsageError, write_atomically

from .. import feedback
from ..results import has_mark
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
    return Export(_as_json(result["submissions"][0]))


def _as_json(record: dict[str, Any]) -> str:
    missing = [variable for variable in _GIVEN.values() if not os.environ.get(variable)]
    if missing:
        raise UsageError(
            f"The environment lacks {', '.join(missing)}: `--to classroom50` is for an "
            "autograder.py that Classroom 50's runner starts."
        )
    tree = document(record, dict(os.environ))
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"


def document(record: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """A record as result/v1. Raises UsageError if the submission's tag is none of the runner's."""
    tag = _TAG.fullmatch(environment["SUBMISSION_TAG"])
    if tag is None:
        raise UsageError(
            f"SUBMISSION_TAG is {environment['SUBMISSION_TAG']!r}, not "
            "submit/2026-06-01T14-32-05Z-a1b2c3d: is this Classroom 50's runner?"
        )
    day, hour, minute, second = tag.groups()
    scale = _scale([record["score"], record["points"], *_scores(record["exercises"])])
    score = _whole(record["score"], scale)
    tests = _tests(record, scale)
    for test, reached in zip(tests, _adding_up_to(score, [t["score"] for t in tests]), strict=True):
        test["score"] = reached
    return {
        "schema": "classroom50/result/v1",
        **{field: environment[variable] for field, variable in _GIVEN.items()},
        "assignment_type": environment.get("ASSIGNMENT_TYPE") or "individual",
        "review": environment.get("REVIEW_URL") or environment["COMMIT_URL"],
        "datetime": f"{day}T{hour}:{minute}:{second}Z",
        "score": score,
        "max-score": sum(test["max-score"] for test in tests),
        "tests": tests,
    }


def _tests(record: dict[str, Any], scale: int) -> list[dict[str, Any]]:
    """A test an exercise; of what could not be marked, one that says why."""
    remarks = "\n".join(feedback.remarks(record))
    if not record["exercises"]:
        points = _whole(record["points"], scale)
        return [_test("notebook", False, 0, points, remarks)]
    return [
        _test(
            f"{mark['number']} {mark['name']}",
            mark["state"] == "passed",
            _whole(mark["score"], scale),
            _whole(mark["points"], scale),
            "\n".join([*feedback.told(mark), *filter(None, [remarks])]),
        )
        for mark in record["exercises"]
    ]


def _test(name: str, passed: bool, score: int, points: int, message: str) -> dict[str, Any]:
    return {"test-name": name, "passed": passed, "score": score, "max-score": points, "message": message}  # fmt: skip


def _adding_up_to(total: int, scores: list[int]) -> list[int]:
    """Whole numbers that add up to `total` (at most their sum), each in proportion to its score."""
    there = sum(scores)
    if not there:
        return scores
    exact = [Fraction(score * total, there) for score in scores]
    whole = [int(share) for share in exact]
    # What rounding down has left goes to those who lost most by it.
    for i in sorted(range(len(exact)), key=lambda i: whole[i] - exact[i])[: total - sum(whole)]:
        whole[i] += 1
    return whole


def _scores(marks: list[dict[str, Any]]) -> list[float]:
    return [mark[key] for mark in marks for key in ("score", "points")]


def _scale(scores: list[float]) -> int:
    """The smallest factor, up to 1000, that makes all scores whole; beyond it they are rounded."""
    factor = lcm(*(Fraction(score).limit_denominator(100).denominator for score in scores))
    return factor if factor <= 1000 else 1000


def _whole(score: float, scale: int) -> int:
    return round(Fraction(score).limit_denominator(100_000) * scale)


# ----------------------------------------------------------------------------- inside the runner


def main(lesson: str, notebook: Path, out: Path) -> None:
    """Grade one notebook, and write the result for the runner.

    Raises:
        RuntimeError: the grader itself failed. Then nothing is written, and nobody gets a zero for it.
        UsageError: this is not Classroom 50's runner.
    """
    from .gradescope import grade_alone

    record = {"state": "unreadable", "notes": [], "score": 0, "exercises": []}
    record["reason"] = f"there is no file {notebook.name}"
    if notebook.is_file():
        with tempfile.TemporaryDirectory() as folder:
            settings = {"lesson": lesson, "seconds": 10.0, "secret": secrets.token_hex(16)}
            record = grade_alone(settings, notebook, Path(folder) / "out")
    if not has_mark(record):
        raise RuntimeError(record["reason"])
    points = sum(exercise.points for exercise in checker.lesson(lesson))
    write_atomically({out: _as_json(record | {"points": points})})


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
