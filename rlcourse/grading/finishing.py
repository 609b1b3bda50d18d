"""From what was found in each notebook to what each student gets: all that a class has agreed on, in order.

Exercises that count, groups, lateness and attempts, who is who, ids without names, and last of all the
marks given by hand. Nothing is run here, so a rule that changes costs no second grading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlcourse import checker
from rlcourse.lessons.paths import UsageError

from . import anonymous, overrides, results
from .assignment import Assignment
from .course_file import CourseFile
from .marking import not_attempted
from .rules import Rules
from .students import Roster
from .submissions import Submission


@dataclass(frozen=True)
class Finished:
    """records: one a student, sorted; missing: who is on the list and has none; notes: for the teacher."""

    records: list[dict[str, Any]]
    missing: list[dict[str, str]]
    notes: list[str]


def finish(
    lesson: str,
    submissions: Sequence[Submission],
    records: Sequence[dict[str, Any]],
    assignment: Assignment,
    rules: Rules,
    roster: Roster,
    secret: str,
    given: Sequence[overrides.Override],
) -> Finished:
    """The records of a lesson after everything that was agreed on; given: marks by hand.

    Raises UsageError for anonymous ids without a secret.
    """
    asked = {exercise.name: exercise.points for exercise in checker.lesson(lesson)}
    counted = [assignment.counted(record, asked) for record in records]
    signed = [
        roster.signed(record)
        for record in rules.apply(*assignment.groups.expand(submissions, counted))
    ]
    missing = roster.missing(signed)
    blank = assignment.counted(
        {"exercises": [not_attempted(exercise) for exercise in checker.lesson(lesson)]}, asked
    )
    points = blank.get("points", sum(asked.values()))
    nobody = {row["id"]: overrides.nothing_handed_in(row, points) for row in missing}
    if assignment.anonymous:
        signed = anonymous.signed(signed, secret)
        nobody = {r["student"]: r for r in anonymous.signed(nobody.values(), secret)}
    names = {
        str(record[key]).casefold(): record
        for record in nobody.values()
        for key in ("email", "student", "anonymous")
        if key in record
    }
    final, unused = overrides.apply(
        signed, given, lambda name: names.get(name.casefold()), blank["exercises"]
    )
    there = {record["student"] for record in final}
    return Finished(final, [row for row in missing if row["id"] not in there], unused)


def by_hand(
    assignment: Assignment, out: Path, lesson: str
) -> tuple[Sequence[overrides.Override], str]:
    """The marks given by hand that count, and a note where they come from an earlier run.

    From the file that was named, else from `overrides.csv` in the folder of the results, else from the
    results that are there: a mark given by hand is not lost because a run was not told of its file.
    """
    if assignment.overrides is not None:
        return assignment.overrides, ""
    file = out / overrides.FILE
    if file.is_file():
        return overrides.read_overrides(file, lesson), ""
    try:
        kept = overrides.kept(results.read(out))
    except UsageError:  # nothing there, or something else: it will be written anew
        return (), ""
    told = f"{len(kept)} marks given by hand are kept from the results in {out}, since no file of them is named"
    return (
        kept,
        f"{told}: to drop them, put an {overrides.FILE} without them there." if kept else "",
    )


def read_current(path: Path, course: CourseFile) -> dict[str, Any]:
    """The result in a file or folder, for handing on.

    Raises:
        UsageError: as `results.read`, or marks given by hand were changed since it was written.
    """
    result = results.read(path)
    folder = path if path.is_dir() else path.parent
    file = course.overrides or folder / overrides.FILE
    if not file.is_file():
        return result
    given = overrides.read_overrides(file, result["lesson"])
    if not overrides.are_current(result, given):
        raise UsageError(
            f"{file} was changed after lesson {result['lesson']} was graded: give the command `rlcourse grade` "
            "again with --resume. It enters the marks, and runs nothing twice."
        )
    return result
