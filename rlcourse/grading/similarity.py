"""Answers that are nearly the same, for the teacher to look at: a list, and no verdict.

Answers are compared as runs of `RUN` tokens, without comments, docstrings and layout, and with all
variables alike, so that renaming changes nothing. A run counts for nothing
- if it stands in the course's own text: the solved lesson, other right answers, known mistakes;
- if more than a tenth of the class (or five students) have it: that is what everybody writes.
Two answers are listed if they share at least `SHARED` of the runs that are left, and these are
`SHARE` of what is left of the shorter one. A one-liner has too few runs to be listed at all, and so
has a loop that differs from the course's in a line or two. (The limits were chosen on made-up classes
in which nobody copied: one of their tests counts how many pairs are listed there.)
"""

from __future__ import annotations

import contextlib
import inspect
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

from pygments.lexers import PythonLexer
from pygments.token import Comment, Name, String

from rlcourse import checker
from rlcourse.lessons import build, paths
from rlcourse.lessons.paths import UsageError

RUN, SHARED, SHARE = 8, 60, 0.85
COMMON, COMMON_SHARE = 5, 0.1


@dataclass(frozen=True)
class Alike:
    """Two answers to one exercise: `shared` of the `own` runs of the shorter one are the same."""

    number: str
    exercise: str
    students: tuple[str, str]
    shared: int
    own: int


def nearly_identical(result: dict[str, Any]) -> list[Alike]:
    """The pairs of answers that are nearly the same, exercise by exercise, most alike first."""
    answers: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    groups = {record["student"]: record.get("group") for record in result["submissions"]}
    for record in result["submissions"]:
        for mark in record["exercises"]:
            if mark["source"] and mark["state"] != "not attempted":
                answers[mark["number"], mark["name"]][record["student"]] = mark["source"]
    solved = _solved_cells(result["lesson"])
    found = [
        Alike(number, name, *pair)
        for (number, name), sources in answers.items()
        for pair in _pairs(sources, (solved.get(name, ""), *_course_texts(name)))
        if not _hand_in_together(pair[0], groups)
    ]
    return sorted(found, key=lambda alike: (alike.number, -alike.shared, alike.students))


def _hand_in_together(students: tuple[str, str], groups: dict[str, str | None]) -> bool:
    first, second = (groups[student] for student in students)
    return first is not None and first == second


def _pairs(
    sources: dict[str, str], course: tuple[str, ...]
) -> Iterator[tuple[tuple[str, str], int, int]]:
    """((student, student), shared runs, runs of the shorter one) of the answers to be listed."""
    everybodys = frozenset().union(*map(_runs, course))
    runs = {student: _runs(source) - everybodys for student, source in sources.items()}
    holders = defaultdict(list)
    for student in sorted(runs):
        for run in runs[student]:
            holders[run].append(student)
    limit = max(COMMON, COMMON_SHARE * len(sources))
    rare = {run: students for run, students in holders.items() if len(students) <= limit}
    own = Counter(student for students in rare.values() for student in students)
    shared = Counter(pair for students in rare.values() for pair in combinations(students, 2))
    for pair, count in shared.items():
        least = min(own[student] for student in pair)
        if count >= SHARED and count >= SHARE * least:
            yield pair, count, least


@lru_cache(maxsize=4096)
def _runs(source: str) -> frozenset[tuple[str, ...]]:
    """The runs of tokens in a text."""
    found = tokens(source)
    return frozenset(found[i : i + RUN] for i in range(len(found) - RUN + 1))


def tokens(source: str) -> tuple[str, ...]:
    """A text's tokens without comments and docstrings, all variables alike; whether it is Python or not."""
    found: list[str] = []
    for kind, text in PythonLexer().get_tokens(source):
        if kind in Comment or kind in String.Doc or not text.strip():
            continue
        is_attribute = bool(found) and found[-1] == "."
        is_variable = kind in Name and kind not in Name.Builtin and not is_attribute
        found.append("name" if is_variable else text)
    return tuple(found)


def _course_texts(name: str) -> Iterator[str]:
    """The course's own answers to an exercise, right and wrong, as text."""
    try:
        exercise = checker.get(name)
    except checker.Unknown:  # a result of another version of the course
        return
    functions = [exercise.reference, *exercise.also_correct]
    functions += [f for mistake in exercise.mistakes for f in mistake.implementations]
    for function in functions:
        with contextlib.suppress(TypeError, OSError):  # a partial, or made at run time: no text
            yield inspect.getsource(function)


def _solved_cells(lesson: str) -> dict[str, str]:
    """The exercise cells of the solved lesson, with what is given in them; none where the lessons are missing."""
    try:
        sources = paths.lesson_files(paths.release() / "solutions", ".py")
    except UsageError:
        return {}
    cells = build.read_cells(sources[lesson]) if lesson in sources else []
    return {c.exercise: build.solved_source(c.source) for c in cells if c.role == "exercise"}
