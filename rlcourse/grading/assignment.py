"""What is asked of a class in one lesson, beside its rules: the exercises that count, and who works with whom."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlcourse.lessons.paths import UsageError

from . import tables
from .overrides import Override
from .students import Roster
from .submissions import Submission


@dataclass(frozen=True)
class Groups:
    """Students who hand in one submission together. members: group -> its students, by id."""

    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, student: str) -> str | None:
        """The group of a student, or the one of this name; None if there is none."""
        found = [g for g, members in self.members.items() if student in members or student == g]
        return found[0] if found else None

    def named_in(self, name: str) -> str | None:
        """The group whose name stands in that of a file or folder; None where none does, or two."""
        found = [g for g in self.members if _holds(name, g)]
        return found[0] if len(found) == 1 else None

    def whose(self, roster: Roster) -> Callable[[str], str]:
        """Of the name of a file or folder whose it is: a student's id, a group, or the name itself."""

        def find(name: str) -> str:
            student = roster.find(name) if roster.students else None
            return student.id if student else self.named_in(name) or name

        return find

    def expand(
        self, submissions: Sequence[Submission], records: Sequence[dict[str, Any]]
    ) -> tuple[list[Submission], list[dict[str, Any]]]:
        """Every submission of a group once for each of its students, so that each has a record."""
        expanded: list[tuple[Submission, dict[str, Any]]] = []
        for submission, record in zip(submissions, records, strict=True):
            group = self.of(submission.student)
            if group is None:
                expanded.append((submission, record))
                continue
            for student in self.members[group]:
                told = f"handed in by {submission.student} for the group {group}"
                notes = record["notes"]
                notes = notes if student == submission.student else [*notes, told]
                own = {"student": student, "group": group, "notes": notes}
                expanded.append((replace(submission, student=student), record | own))
        expanded.sort(key=lambda pair: pair[0].student)
        return [s for s, _ in expanded], [r for _, r in expanded]


def read_groups(path: Path, roster: Roster) -> Groups:
    """The groups in a CSV with the columns group and student, a row a student.

    Raises:
        UsageError: no such file, columns missing, a student in two groups or not on the list of students.
    """
    what = "a list of groups with the columns group, student"
    table = tables.read(path, ("group", "student"), what)
    places = table.column("group"), table.column("student")
    members: dict[str, list[str]] = {}
    of: dict[str, str] = {}
    for row in table.rows:
        group, student = (row[place].strip() for place in places)
        if not group or not student:
            raise UsageError(f"{path} has a row without a group or a student: give {what}.")
        if student in of:
            told = "twice" if of[student] == group else f"in {of[student]!r} and in {group!r}"
            raise UsageError(f"{path} has the student {student!r} {told}: keep one row.")
        if roster.students and student not in roster.students:
            raise UsageError(
                f"{path}: {student!r} of group {group!r} is no id on the students list."
            )
        of[student] = group
        members.setdefault(group, []).append(student)
    return Groups({group: tuple(students) for group, students in members.items()})


@dataclass(frozen=True)
class Assignment:
    """exercises: the names of those that count, all if none is given; extra: those whose points come on top
    of the points possible; groups: who hands in together; overrides: marks given by hand; own: files of
    exercises that are not the course's; anonymous: pages for marking and the report without names."""

    exercises: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    groups: Groups = field(default_factory=Groups)
    overrides: tuple[Override, ...] | None = None
    own: tuple[str, ...] = ()
    anonymous: bool = False

    def counted(self, record: dict[str, Any], points: Mapping[str, float]) -> dict[str, Any]:
        """A record of the exercises that count alone; points: exercise -> points, of the whole lesson."""
        if not self.exercises and not self.extra:
            return record
        chosen = {*(self.exercises or points), *self.extra}
        marks = [
            mark | ({"extra": True} if mark["name"] in self.extra else {})
            for mark in record["exercises"]
            if mark["name"] in chosen
        ]
        possible = sum(points[name] for name in points if name in chosen - {*self.extra})
        return record | {
            "exercises": marks,
            "score": sum(mark["score"] for mark in marks),
            "points": possible,
        }


def _holds(name: str, group: str) -> bool:
    """Whether `group` stands in `name` as words of its own: "red" in "red_05", not in "fred"."""
    pattern = rf"(?<![^\W_]){re.escape(group.casefold())}(?![^\W_])"
    return re.search(pattern, name.casefold()) is not None


def names_of(asked: Iterable[str], known: Mapping[str, str]) -> tuple[str, ...]:
    """Exercises given by name or number, as names; known: number -> name. Raises UsageError."""
    from difflib import get_close_matches

    found = []
    for text in asked:
        name = known.get(text, text)
        if name not in known.values():
            close = get_close_matches(text, [*known, *known.values()], n=1)
            hint = f'did you mean "{close[0]}"?' if close else f"there are {', '.join(known)}."
            raise UsageError(f'there is no exercise "{text}": {hint}')
        found.append(name)
    return tuple(dict.fromkeys(found))
