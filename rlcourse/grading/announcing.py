"""What a class is told of a lesson: which course it is, until when, and which exercises count."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from rlcourse import checker
from rlcourse.lessons.front import Notices

from .course_file import CourseFile
from .rules import BEST


def course_line(course: CourseFile) -> str:
    """The name of the course and its term; empty if the file says neither."""
    return " · ".join(filter(None, (course.name, course.term)))


def due(lesson: str, course: CourseFile) -> str:
    """Until when a lesson may be handed in; empty without a deadline."""
    deadline = course.rules(lesson).deadline
    if deadline is None:
        return ""
    zone = f" ({deadline.tzinfo})" if deadline.tzinfo else ""
    return f"Due **{deadline:%A, %d %B %Y, %H:%M}**{zone}."


def lateness(lesson: str, course: CourseFile) -> str:
    """What comes after the deadline; empty without one."""
    rules = course.rules(lesson)
    if rules.deadline is None:
        return ""
    told = []
    if rules.grace > timedelta():
        told.append(f"{rules.grace.total_seconds() / 60:g} minutes later is not late yet.")
    if rules.penalty:
        told.append(f"Each day late costs {rules.penalty:g} % of the points reached.")
    if rules.late_days:
        told.append(f"In the whole term {rules.late_days} days late are free.")
    if rules.attempts == BEST:
        told.append("You may hand in several times; the best counts.")
    return " ".join(told)


def asked(lesson: str, course: CourseFile) -> str:
    """Which exercises count, by number, and which are extra credit; empty if all count alike."""
    counting, extra = course.chosen(lesson)
    number = {exercise.name: exercise.number for exercise in checker.lesson(lesson)}
    told = []
    if counting:
        told.append(f"Asked: {', '.join(number[name] for name in counting if name not in extra)}.")
    if extra:
        told.append(f"Extra credit: {', '.join(number[name] for name in extra)}.")
    return " ".join(told)


def notices(course: CourseFile, lessons: Iterable[str]) -> Notices:
    """What the site says of the class. Raises UsageError for exercises that do not exist."""
    lessons = [number for number in lessons if number in checker.lessons()]
    said = {
        number: (due(number, course), lateness(number, course), asked(number, course))
        for number in lessons
    }
    return Notices(
        course_line(course),
        {number: parts[0].replace("**", "") for number, parts in said.items() if parts[0]},
        {number: " ".join(filter(None, parts)) for number, parts in said.items() if any(parts)},
    )
