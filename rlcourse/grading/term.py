"""A whole term: every lesson that is among the submissions, one after the other, and then the grade book.

Which lesson a notebook is, it says itself; its name is asked only where it does not.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rich.console import Console

from rlcourse import checker
from rlcourse.lessons.extract import read_cells
from rlcourse.lessons.paths import UsageError, lesson_of
from rlcourse.lessons.reading import Unreadable

from . import gradebook, results
from .command import grade
from .course_file import CourseFile
from .submissions import survey

_DEFINED = re.compile(r"^(?:def|class)[ \t]+(\w+)", re.MULTILINE)


def lesson_in(data: bytes | None, name: str) -> str | None:
    """The lesson of a notebook: by its metadata, else by the exercises in it, else by its file's name."""
    named = lesson_of(Path(PurePosixPath(name).name))
    named = named if named in checker.lessons() else None
    if data is None:
        return named
    try:
        cells, lesson = read_cells(data)
    except Unreadable:
        return named
    if lesson in checker.lessons():
        return lesson
    defined = {found for cell in cells for found in _DEFINED.findall(cell.source)}
    counts = Counter({n: len(defined.intersection(checker.names(n))) for n in checker.lessons()})
    ((best, most), (_, second)) = counts.most_common(2)
    return best if most > second else named


@dataclass(frozen=True)
class Found:
    """files: lesson -> names of its files, the lessons in order; strays: files that are no lesson's."""

    files: dict[str, set[str]]
    strays: list[str]


def lessons_among(submissions: Path) -> Found:
    """Which lessons are handed in under a folder, or in a zip. Raises UsageError if none is."""
    files: dict[str, set[str]] = defaultdict(set)
    strays, filled = [], set()

    def look(name: str, data: bytes | None) -> None:
        if not name.endswith("/"):
            filled.add(name.partition("/")[0] + "/")
        is_notebook = data is not None or ".ipynb" in name.lower()
        lesson = lesson_in(data, name) if is_notebook else None
        if lesson is None:
            strays.append(name)
        else:
            files[lesson].add(name)

    survey(submissions, look)
    if not files:
        raise UsageError(
            f"No notebook in {submissions} is a lesson's: give the folder with the students' notebooks."
        )
    # A folder is odd only if there is nothing in it.
    odd = sorted(name for name in strays if name not in filled)
    return Found({lesson: files[lesson] for lesson in sorted(files)}, odd)


def spent(course: CourseFile, lesson: str, folder: Path) -> tuple[dict[str, int], list[str]]:
    """student -> free late days that lessons with an earlier deadline took, and notes on what is missing.

    folder: where each lesson has its results in a folder named by its number.
    """
    days: Counter[str] = Counter()
    notes = []
    for number in course.before(lesson) if course.late_days else ():
        try:
            records = results.read(folder / number)["submissions"]
        except UsageError:
            notes.append(
                f"Free late days that lesson {number} took are not known: it is not graded in {folder / number}."
            )
            continue
        for record in records:
            days[record["student"]] += record.get("free_late_days", 0)
    return dict(days), notes


def in_order(lessons: Iterable[str], course: CourseFile) -> list[str]:
    """Lessons by deadline, so that free late days are spent as they fell; those without one last."""

    def key(number: str) -> tuple[bool, float, str]:
        due = course.lesson(number).deadline
        return due is None, due.timestamp() if due else 0.0, number

    return sorted(lessons, key=key)


def grade_one(
    lesson: str,
    submissions: Path,
    out: Path,
    course: CourseFile,
    terms: Mapping[str, Any],
    only: Collection[str] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Grade one lesson by the course file. terms: what the command line says in place of the file, for
    `CourseFile.terms`; only, options: of `command.grade`. Returns the result. Raises UsageError."""
    console = options.get("console") or Console()
    earlier, notes = spent(course, lesson, out.parent)
    agreed = course.terms(lesson, spent=earlier, **terms)
    for note in notes:
        console.print(note, style="yellow", markup=False, highlight=False)
    return grade(lesson, submissions, out, only=only, **agreed, **options)


def grade_all(
    submissions: Path,
    out: Path,
    course: CourseFile,
    terms: Mapping[str, Any],
    **options: Any,
) -> dict[str, dict[str, Any]]:
    """Grade every lesson among the submissions into out/NN, as `grade_one` does, and write the grade book
    into `out`. Returns lesson -> result. Raises UsageError."""
    console = options.get("console") or Console()
    if submissions.is_dir() and out.resolve().is_relative_to(submissions.resolve()):
        raise UsageError(
            f"{out} is among the submissions: give --out a folder of its own, beside {submissions}."
        )
    found = lessons_among(submissions)
    graded = {}
    for lesson in in_order(found.files, course):
        console.rule(f"Lesson {lesson}", align="left")
        files = found.files[lesson]
        graded[lesson] = grade_one(
            lesson, submissions, out / lesson, course, terms, files, **options
        )
    told = [f"{name}: no notebook of a lesson, not graded" for name in found.strays]
    book = gradebook.gradebook(gradebook.read([out]), course)
    gradebook.write(book, out)
    for note in told + book.notes:
        console.print(note, style="yellow", markup=False, highlight=False)
    console.print(f"Written to {out}: gradebook.csv, gradebook.html.", markup=False)
    return graded
