"""The list of students, and whose file is whose.

Learning platforms put a student's name and numbers into the names of files and folders, each in
its own way. Nothing is guessed: what fits no student, or two, is left unmatched and listed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlcourse.lessons.paths import UsageError

from . import tables

# doejane_LATE_12345_678901_homework.ipynb: the name as it is sorted, squeezed, and Canvas's number of the person
CANVAS = re.compile(r"(?P<name>[^_/]+)_(?P<late>LATE_)?(?P<number>\d+)_\d+_")
# Jane Doe_1234567_assignsubmission_file_: the full name, and the number of "Participant 1234567"
MOODLE = re.compile(r"(?P<name>.+?)_(?P<number>\d+)_assignsubmission_")


@dataclass(frozen=True)
class Student:
    """A row of the list."""

    id: str
    name: str
    email: str


def by_platform(names: Collection[str]) -> dict[str, str]:
    """name of a file or folder -> the student, where Canvas or Moodle has named every one of them.

    Two attempts, or a text beside a file, are one student's then. Where a name is of another kind nobody
    has: anybody can choose a name that looks so, and would get somebody else's place.
    """
    for pattern in (MOODLE, CANVAS):
        found = {name: pattern.match(name) for name in names}
        if all(found.values()):
            return {name: f"{match['name']}_{match['number']}" for name, match in found.items()}
    return {}


class Roster:
    """The students of a class, and how their files are recognised."""

    def __init__(self, students: Iterable[Student]):
        self.students = {student.id: student for student in students}

    def find(self, name: str) -> Student | None:
        """Whose the file or folder `name` is; None if it fits nobody, or more than one."""
        found = self._by_platform(name)
        if found is None:
            words = _words(name)
            found = {s.id for s in self.students.values() if _is_named(s, name, words)}
        return self.students[found.pop()] if len(found) == 1 else None

    def id_of(self, name: str) -> str:
        """The id of whose it is; the name itself where that is not known."""
        student = self.find(name) if self.students else None
        return student.id if student else name

    def signed(self, record: dict[str, Any]) -> dict[str, Any]:
        """A record with the student's id, name and address, or with a note that nobody is known."""
        if not self.students:
            return record
        student = self.students.get(record["student"])
        if student is None:
            return record | {
                "notes": [*record["notes"], "belongs to nobody on the list of students"]
            }
        known = {"id": student.id, "name": student.name, "email": student.email}
        return record | {key: value for key, value in known.items() if value}

    def missing(self, records: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
        """The students of whom there is no record, in the list's order."""
        there = {record["student"] for record in records}
        return [asdict(student) for key, student in self.students.items() if key not in there]

    def _by_platform(self, name: str) -> set[str] | None:
        """The students whom Canvas or Moodle means; None where neither has named the file."""
        moodle, canvas = MOODLE.match(name), CANVAS.match(name)
        if moodle:
            return self._by_name(moodle["name"])
        if not canvas:
            return None
        named = self._by_name(canvas["name"])
        numbered = {canvas["number"]} & self.students.keys()
        # A number that says another person than the name is somebody else's kind of number.
        return named & numbered or (named | numbered)

    def _by_name(self, name: str) -> set[str]:
        squeezed = "".join(_words(name))
        return {s.id for s in self.students.values() if squeezed in _squeezed(s.name)}


def read_roster(path: Path) -> Roster:
    """The list in a CSV file with the columns id, name and email (the last may be missing).

    Raises:
        UsageError: no such file, columns missing, or an id that stands there twice.
    """

    what = "a list of students with the columns id, name, email"
    table = tables.read(path, ("id", "name"), what)
    columns = [table.column(title) for title in ("id", "name", "email")]
    students = [
        Student(*(row[i].strip() if i is not None else "" for i in columns)) for row in table.rows
    ]
    students = [student for student in students if student.id]
    ids = [student.id for student in students]
    twice = next((key for key in ids if ids.count(key) > 1), None)
    if twice is not None:
        raise UsageError(f"{path} has the id {twice!r} twice: every student needs an own one.")
    if not students:
        raise UsageError(f"{path} lists no students: give {what}.")
    return Roster(students)


def _words(text: str) -> list[str]:
    """The words of a name in small letters without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"[^\W_]+", "".join(c for c in plain if not unicodedata.combining(c)))


def _squeezed(name: str) -> set[str]:
    """A name as one word, whichever of its words is put first: {"janedoe", "doejane"}."""
    words = _words(name)
    return {"".join(words[i:] + words[:i]) for i in range(len(words))}


def _is_named(student: Student, name: str, words: list[str]) -> bool:
    """Whether a name of somebody's own choice holds the id, the address or all of the student's name."""
    whole, own = name.casefold(), _words(student.name)
    local = student.email.partition("@")[0]
    for identifier in (student.id, student.email, local):
        pattern = rf"(?<![^\W_]){re.escape(identifier.casefold())}(?![^\W_])"
        if len(identifier) > 1 and re.search(pattern, whole):
            return True
    return bool(own) and (set(own) <= set(words) or "".join(words) in _squeezed(student.name))
