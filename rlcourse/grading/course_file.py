"""`course.toml`: what an instructor has agreed on with a class, in one file. Every key is optional.

README.md beside this file describes the keys. `KEYS` below is what is read: whatever else stands in the
file, is of another kind, or names what does not exist, is refused with a sentence.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rlcourse import checker
from rlcourse.lessons.paths import UsageError

from .assignment import Assignment, Groups, names_of, read_groups
from .overrides import read_overrides
from .rules import BEST, DAY, LAST, Rules, moment, require_one_reading
from .students import Roster, read_roster

NAME = "course.toml"


@dataclass(frozen=True)
class LessonRules:
    """What a table [lessons.NN] says; None where it says nothing, and the course's own rule holds.

    exercises, extra: names or numbers, as they stand there; column: in Canvas's gradebook.
    """

    deadline: datetime | None = None
    penalty: float | None = None
    grace: float | None = None
    attempts: str | None = None
    weight: float = 1.0
    exercises: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    column: str | None = None


@dataclass(frozen=True)
class CourseFile:
    """A course file, read; paths are whole, and times have their zone.

    extensions: student -> {lesson, or "all": a deadline of their own, or days more}.
    """

    path: Path | None = None
    name: str = ""
    term: str = ""
    zone: ZoneInfo | None = None
    students: Path | None = None
    groups: Path | None = None
    overrides: Path | None = None
    results: Path | None = None
    exercise_files: tuple[str, ...] = ()
    secret_env: str | None = None
    anonymous: bool = False
    penalty: float = 0.0
    grace: float = 0.0
    attempts: str = LAST
    late_days: int = 0
    lessons: Mapping[str, LessonRules] = field(default_factory=dict)
    extensions: Mapping[str, Mapping[str, datetime | int]] = field(default_factory=dict)

    def lesson(self, number: str) -> LessonRules:
        return self.lessons.get(number, LessonRules())

    def secret(self) -> str | None:
        """The course's secret, from the environment. Raises UsageError if it is not there."""
        if self.secret_env is None:
            return None
        secret = os.environ.get(self.secret_env)
        if not secret:
            raise UsageError(
                f"{self.path}: the secret is to be in the environment variable {self.secret_env}, which is "
                f"not set: `export {self.secret_env}=…`, or give --secret."
            )
        return secret

    def roster(self, students: Path | None = None) -> Roster:
        """The list of students, of a file given on the command line or of the course."""
        path = students or self.students
        return read_roster(path) if path else Roster(())

    def rules(
        self,
        lesson: str,
        *,
        deadline: datetime | None = None,
        penalty: float | None = None,
        attempts: str | None = None,
        spent: Mapping[str, int] | None = None,
    ) -> Rules:
        """The rules of a lesson; what is given here wins over the file. spent: late days used in others."""
        own = self.lesson(lesson)
        if deadline is not None and deadline.tzinfo is None and self.zone is not None:
            deadline = deadline.replace(tzinfo=self.zone)
        due = deadline or own.deadline
        grace = self.grace if own.grace is None else own.grace
        return Rules(
            due,
            _first(penalty, own.penalty, self.penalty),
            _first(attempts, own.attempts, self.attempts),
            timedelta(minutes=grace),
            self._extended(lesson, due),
            self.late_days,
            spent or {},
        )

    def _extended(self, lesson: str, due: datetime | None) -> dict[str, datetime]:
        found = {}
        for student, own in self.extensions.items():
            until = own.get(lesson, own.get("all"))
            if isinstance(until, datetime):
                found[student] = until
            elif until is not None and due is not None:
                found[student] = (
                    due + until * DAY
                )  # the same time of day, as the clock there shows it
        return found

    def assignment(self, lesson: str, roster: Roster) -> Assignment:
        """What is asked in a lesson. Raises UsageError for exercises, groups and overrides that do not exist."""
        return Assignment(
            *self.chosen(lesson),
            read_groups(self.groups, roster) if self.groups else Groups(),
            read_overrides(self.overrides, lesson) if self.overrides else None,
            self.exercise_files,
            self.anonymous,
        )

    def chosen(self, lesson: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of the exercises that count (none: all), and of the extra ones. Raises UsageError."""
        own, names = self.lesson(lesson), checker.names(lesson)
        numbers = {f"{int(lesson)}.{i}": name for i, name in enumerate(names, start=1)}
        found = []
        for key in ("exercises", "extra"):
            try:
                found.append(names_of(getattr(own, key), numbers))
            except UsageError as error:
                raise UsageError(f"{self.path}: {key} in [lessons.{lesson}]: {error}") from None
        counting, extra = found
        if not {*(counting or names)} - {*extra}:
            raise UsageError(
                f"{self.path}: [lessons.{lesson}] leaves no exercise that counts: all are extra credit."
            )
        return counting, extra

    def terms(
        self,
        lesson: str,
        *,
        students: Path | None = None,
        deadline: datetime | None = None,
        penalty: float | None = None,
        attempts: str | None = None,
        overrides: Path | None = None,
        anonymous: bool | None = None,
        spent: Mapping[str, int] | None = None,
    ) -> dict[str, Any]:
        """What `command.grade` is told of a lesson; what is given here wins over the file. Raises UsageError."""
        asked = self.assignment(lesson, self.roster(students))
        if overrides is not None:
            asked = replace(asked, overrides=read_overrides(overrides, lesson))
        if anonymous is not None:
            asked = replace(asked, anonymous=anonymous)
        named = {"name": self.name, "term": self.term}
        return {
            "students": students or self.students,
            "rules": self.rules(
                lesson, deadline=deadline, penalty=penalty, attempts=attempts, spent=spent
            ),
            "assignment": asked,
            "course_named": named if any(named.values()) else None,
        }

    def before(self, lesson: str) -> tuple[str, ...]:
        """The lessons whose deadline is earlier: their late days are spent first."""
        due = self.lesson(lesson).deadline
        if due is None:
            return ()
        deadlines = {
            n: own.deadline for n, own in self.lessons.items() if own.deadline and n != lesson
        }
        return tuple(
            sorted(
                n for n in deadlines if (deadlines[n].timestamp(), n) < (due.timestamp(), lesson)
            )
        )


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


# ------------------------------------------------------------------------------------- reading


def find(given: Path | None) -> CourseFile:
    """The course file that was given, else the `course.toml` of this folder, else one that says nothing."""
    if given is not None:
        return read_course(given)
    here = Path(NAME)
    return read_course(here) if here.is_file() else CourseFile()


def read_course(path: Path) -> CourseFile:
    """Read a course file.

    Raises:
        UsageError: no such file, not TOML, an unknown key, or a value that cannot be used; it says which.
    """
    path = path / NAME if path.is_dir() else path
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not in UTF-8: save it so.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{path} is not TOML: {error}. Texts stand in quotes, times as 2026-11-20T23:59:00."
        ) from None
    reader = _Reader(path)
    top = reader.table(tree, KEYS, "")
    zone = top.get("zone")
    exercise_files = tuple(
        str(reader.file(name, "exercise_files")) for name in top.get("exercise_files", ())
    )
    for name in exercise_files:
        add_exercises(name)
    lessons = reader.lessons(top.pop("lessons", {}), zone)
    files = {
        key: reader.file(top[key], key) for key in ("students", "groups", "overrides") if key in top
    }
    results = {"results": path.parent / top["results"]} if "results" in top else {}
    made = CourseFile(
        path, **top | files | results | {"exercise_files": exercise_files, "lessons": lessons}
    )
    return _with_extensions(reader, made)


def add_exercises(path: str | Path) -> None:
    """Add a file of one's own exercises. Raises UsageError."""
    try:
        checker.add(path)
    except checker.Unusable as error:
        raise UsageError(str(error)) from error


def _with_extensions(reader: _Reader, course: CourseFile) -> CourseFile:
    known = course.roster().students
    extensions = {}
    for student, given in course.extensions.items():
        if known and student not in known:
            raise reader.refusal(
                f"[extensions.{student}]: no student has the id {student!r}", student, known
            )
        place = f"[extensions.{student}]"
        if not isinstance(given, dict):
            raise reader.wrong(student, "[extensions]", given, "a table, lesson = time or days")
        own = {}
        for key, value in given.items():
            lesson = "all" if key == "all" else reader.lesson(key, place)
            own[lesson] = reader.until(value, key, place, course.zone)
            if isinstance(own[lesson], datetime) and lesson == "all":
                raise reader.wrong(key, place, value, "days, as 2: a time is for one lesson")
        extensions[student] = own
    made = replace(course, extensions=extensions)
    for lesson in made.lessons:
        made.chosen(lesson)
        try:
            made.rules(lesson)  # an extension by days may fall on an hour that the clocks leave out
        except UsageError as error:
            raise UsageError(f"{course.path}: an extension of lesson {lesson}: {error}") from None
    return made


class _Reader:
    """Reads values of one file, and refuses them with its name."""

    def __init__(self, path: Path):
        self.path = path

    def refusal(self, told: str, wrong: str = "", known: Collection[str] = ()) -> UsageError:
        close = get_close_matches(wrong, known, n=1, cutoff=0.5)
        hint = f': did you mean "{close[0]}"?' if close else "."
        if known and not close and len(known) < 30:
            hint = f"; there are {', '.join(known)}."
        return UsageError(f"{self.path}: {told}{hint}")

    def wrong(self, key: str, place: str, value: Any, wanted: str) -> UsageError:
        where = f"{key} in {place}" if place else key
        return self.refusal(f"{where} is {_written(value)}, and should be {wanted}")

    def table(self, tree: Mapping[str, Any], keys: Mapping[str, Key], place: str) -> dict[str, Any]:
        """The values of a table, each as its key wants it."""
        found = {}
        for key, value in tree.items():
            if key not in keys:
                told = f'there is no key "{key}"' + (f" in {place}" if place else "")
                raise self.refusal(told, key, keys)
            wanted, read = keys[key]
            try:
                found[key] = read(value)
            except ValueError:
                raise self.wrong(key, place, value, wanted) from None
        return found

    def lessons(self, tree: Mapping[str, Any], zone: ZoneInfo | None) -> dict[str, LessonRules]:
        found = {}
        for key, given in tree.items():
            lesson = self.lesson(key, "[lessons]")
            place = f"[lessons.{key}]"
            if not isinstance(given, dict):
                raise self.wrong(key, "[lessons]", given, f"a table, {place} and its keys below")
            if lesson in found:
                raise self.refusal(f"lesson {lesson} stands twice in [lessons]")
            own = self.table(given, LESSON_KEYS, place)
            if "deadline" in own:
                own["deadline"] = self.until(own["deadline"], "deadline", place, zone, days=False)
            found[lesson] = LessonRules(**own)
        return found

    def lesson(self, key: str, place: str) -> str:
        lesson = key.zfill(2)
        if lesson not in checker.lessons():
            raise self.refusal(f'{place}: there is no lesson "{key}"', lesson, checker.lessons())
        return lesson

    def until(
        self, value: Any, key: str, place: str, zone: ZoneInfo | None, days: bool = True
    ) -> datetime | int:
        """A time with its zone, or whole days."""
        if days and type(value) is int and value > 0:
            return value
        wanted = "day and time, as 2026-11-20T23:59:00" + (", or days, as 3" if days else "")
        read = value
        if isinstance(value, str):
            try:
                read = moment(value)
            except UsageError:
                raise self.wrong(key, place, value, wanted) from None
        if not isinstance(read, datetime):
            raise self.wrong(key, place, value, wanted)
        if read.tzinfo is None and zone is not None:
            read = read.replace(tzinfo=zone)
        try:
            require_one_reading(read)
        except UsageError as error:
            raise UsageError(f"{self.path}: {key} in {place}: {error}") from None
        return read

    def file(self, name: str, key: str) -> Path:
        """A file that the course file names, beside it."""
        found = self.path.parent / name
        if not found.is_file():
            raise self.refusal(f"{key}: there is no file {found}")
        return found


def _written(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    return str(value) if isinstance(value, int | float | date | time) else f"{value!r}"


# ---------------------------------------------------------------------------------------- keys


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _between(low: float, high: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise ValueError
        return value

    return read


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _attempts(value: Any) -> str:
    if value not in (LAST, BEST):
        raise ValueError
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise ValueError
    return tuple(value)


def _zone(value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(_text(value))
    except (ZoneInfoNotFoundError, OSError):
        raise ValueError from None


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError
    return value


Key = tuple[str, Callable[[Any], Any]]

_RULES: dict[str, Key] = {
    "penalty": ("a number from 0 to 100, percent of the points for a day late", _between(0, 100)),
    "grace": ("minutes, a number from 0 to 1440", _between(0, 1440)),
    "attempts": ('"last" or "best"', _attempts),
}

KEYS: dict[str, Key] = {
    "name": ("a text in quotes", _text),
    "term": ("a text in quotes", _text),
    "zone": (
        'a time zone, as "Europe/Berlin" (where none is known: `pip install tzdata`)',
        _zone,
    ),
    "students": ("the name of a CSV file, in quotes", _text),
    "groups": ("the name of a CSV file, in quotes", _text),
    "overrides": ("the name of a CSV file, in quotes", _text),
    "results": ("the name of a folder, in quotes", _text),
    "exercise_files": ('a list of files, as ["ours.py"]', _texts),
    "secret_env": ("the name of an environment variable, in quotes", _text),
    "anonymous": ("true or false", _truth),
    "late_days": ("a whole number of days, from 0", _whole),
    **_RULES,
    "lessons": ("tables, as [lessons.05]", _table),
    "extensions": ("tables, as [extensions.jane]", _table),
}

LESSON_KEYS: dict[str, Key] = {
    "deadline": ("day and time, as 2026-11-20T23:59:00", lambda value: value),
    **_RULES,
    "weight": ("a number from 0 to 1000", _between(0, 1000)),
    "exercises": ('a list of names or numbers, as ["5.1", "sarsa"]', _texts),
    "extra": ('a list of names or numbers, as ["5.1", "sarsa"]', _texts),
    "column": ("a text in quotes: the assignment's name in Canvas", _text),
}
