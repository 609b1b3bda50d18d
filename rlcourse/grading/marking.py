"""One submission becomes one record; a class becomes a list of them.

The inputs are made here, from a seed that differs per student; the student's process only ever sees
them and its own code; the comparison is made here again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from typing import Any

from rlcourse import checker
from rlcourse.checker.declaration import Exercise
from rlcourse.checker.harness import Case, Failure, Outcome
from rlcourse.checker.judging import (
    FAILED,
    NOT_ATTEMPTED,
    PASSED,
    CourseFault,
    Verdict,
    cases_of,
    verdict,
)
from rlcourse.checker.plain import decode, encode
from rlcourse.lessons.extract import Extraction, Unreadable, extract

from .results import BROKEN, shortened
from .sandbox import CRASH, MALFORMED, OVERFLOW, TIMEOUT, Answer, Sandbox
from .submissions import Submission

FORBIDDEN, UNREADABLE, GRADED, OTHER = "forbidden", "unreadable", "graded", "another notebook"

_FATES = {
    TIMEOUT: "There was no answer within {seconds:g} seconds: a loop that does not end?",
    CRASH: "The Python process ended in the middle of your function (`exit`, very many threads, or worse).",
    OVERFLOW: "The answer was too large to be read.",
    MALFORMED: "What came back was not an answer: something else wrote on the answers' channel.",
}


@dataclass(frozen=True)
class Course:
    """What all submissions share: the lesson, the sandbox, and the secret that seeds are made from.

    own: files of exercises that are not the course's.
    """

    lesson: str
    sandbox: Sandbox
    secret: str = ""
    own: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """A submission to be marked: whole, or, with the record that there is of it, some exercises anew."""

    submission: Submission
    exercises: tuple[str, ...] = ()
    before: dict[str, Any] | None = None


def seed_of(course: Course, student: str) -> list[int]:
    """Four 32-bit numbers from the course's secret, the lesson and the student."""
    text = "\0".join((course.secret, course.lesson, student))
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
    return [int.from_bytes(digest[i : i + 4], "big") for i in range(0, 16, 4)]


def mark_all(
    course: Course,
    tasks: Sequence[Task],
    executor: Executor,
    done: Callable[[Task, dict[str, Any]], None],
) -> None:
    """Do all tasks; `done` gets each with its record, as they come."""
    futures = {
        executor.submit(mark, course, task.submission, task.exercises, task.before): task
        for task in tasks
    }
    for future in as_completed(futures):
        done(futures.pop(future), future.result())


def mark(
    course: Course,
    submission: Submission,
    exercises: tuple[str, ...] = (),
    before: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The record of one submission: plain data, ready for JSON, screens and pages.

    exercises: what to mark anew, where there is a record of `before`; otherwise all is marked.
    """
    marked = before["exercises"] if before else ()
    kept = {mark["name"]: mark for mark in marked if mark["name"] not in exercises}
    try:
        for path in course.own:  # known already, unless this process is a new one
            checker.add(path)
        record = _mark_submission(course, submission, kept)
    except CourseFault as fault:
        reason = f"not marked, and no fault of the student's: {fault}: please report this"
        record = _record(submission, BROKEN, reason, checker.lesson(course.lesson), [])
    except Exception as error:  # Whatever it is, it is reported, and the class goes on.
        reason = f"the grader failed on it ({type(error).__name__}: {error}): please report this"
        record = _record(submission, BROKEN, reason, checker.lesson(course.lesson), [])
    return _printable(record)


_UNPRINTABLE = re.compile(
    r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def _printable(tree: Any) -> Any:
    """Plain data without controls of terminals and of the direction of writing, and without halves of
    characters, which no file can hold."""
    if isinstance(tree, str):
        return _UNPRINTABLE.sub("\ufffd", tree)
    if isinstance(tree, dict):
        return {key: _printable(value) for key, value in tree.items()}
    return [_printable(item) for item in tree] if isinstance(tree, list) else tree


def _mark_submission(
    course: Course, submission: Submission, kept: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    asked = list(checker.lesson(course.lesson))
    try:
        if submission.data is None:
            raise Unreadable(submission.problem)
        found = extract(submission.data, [exercise.name for exercise in asked])
    except Unreadable as reason:
        return _record(submission, UNREADABLE, str(reason), asked, [])
    if _is_another(found, course.lesson):
        told = (
            f"it is lesson {found.lesson}"
            if found.lesson
            else "none of the lesson's exercises is in it"
        )
        return _record(submission, OTHER, told, asked, [])
    seed = seed_of(course, submission.student)
    marks = _marks(course, asked, found, seed, kept)
    record = _record(submission, GRADED, "", asked, marks)
    return record | {"seed": seed, "notes": [*record["notes"], *found.notes]}


def _is_another(found: Extraction, lesson: str) -> bool:
    if found.programs or found.problems:
        return False
    return found.lesson != lesson


def _record(
    submission: Submission, state: str, reason: str, asked: Iterable[Exercise], marks: list[dict]
) -> dict[str, Any]:
    return {
        "student": " ".join(submission.student.splitlines()),
        "file": " ".join(submission.file.splitlines()),
        "state": state,
        "reason": reason,
        "notes": list(submission.notes),
        "score": sum(mark["score"] for mark in marks),
        "points": sum(exercise.points for exercise in asked),
        "exercises": marks,
    }


# ------------------------------------------------------------------------------------ exercises


def _marks(
    course: Course,
    asked: list[Exercise],
    found: Extraction,
    seed: list[int],
    kept: dict[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    """The marks of all that is asked: those that are kept, and the others from a run of the answers."""
    written = [e for e in asked if e.name not in kept and e.name in found.programs]
    cases = {e.name: cases_of(e, seed) for e in written if e.project is None}
    tasks = [_task(e, found, cases[e.name]) for e in written if e.name in cases]
    answers = course.sandbox.run(tasks)
    marks = []
    for exercise in asked:
        name = exercise.name
        if name in kept:
            marks.append(kept[name] | {"note": ""})
            continue
        if exercise.project is not None and exercise in written:
            from .project import mark_project  # which waits for torch

            judged, state = mark_project(course.sandbox, exercise, found, seed)
        else:
            judged, state = _judge(course, exercise, found, cases.get(name, []), answers.get(name))
        marks.append(_mark(exercise, judged, state, found.sources.get(name, "")))
    passed = {mark["name"] for mark in marks if mark["state"] == PASSED}
    for mark in marks:
        wrong = [f"`{n}`" for n in found.uses.get(mark["name"], ()) if n not in passed]
        if wrong and mark["state"] == FAILED:
            mark["note"] = (
                f"It calls your own {' and '.join(wrong)}, not right yet: mend that first."
            )
    return marks


def _task(exercise: Exercise, found: Extraction, cases: list[Case]) -> dict[str, Any]:
    program = [
        (cell.number, cell.source, indices) for cell, indices in found.programs[exercise.name]
    ]
    encoded = [encode(case) for case in cases]
    return {"name": exercise.name, "program": program, "cases": encoded, "call": exercise.call}


def _judge(
    course: Course, exercise: Exercise, found: Extraction, cases: list[Case], answer: Answer | None
) -> tuple[Verdict, str]:
    """The verdict on one exercise, and the state that goes into the record."""

    def failed(headline: str, text: str, state: str = FAILED) -> tuple[Verdict, str]:
        told = Verdict(
            exercise.name, exercise.number, FAILED, state, None, headline, text, total=len(cases)
        )
        return told, state

    if exercise.name in found.problems:
        return failed("cannot be run", f"Your cell {found.problems[exercise.name]}.")
    if answer is None:
        text = "The notebook does not define it."
        told = Verdict(exercise.name, exercise.number, NOT_ATTEMPTED, "written", explanation=text)
        return told, NOT_ATTEMPTED
    if answer.fate:
        state = CRASH if answer.fate == MALFORMED else answer.fate
        return failed(
            answer.fate, _FATES[answer.fate].format(seconds=course.sandbox.seconds), state
        )
    if answer.outcomes is None and answer.undefined.startswith("Forbidden "):
        return failed(*_REACHED, FORBIDDEN)
    if answer.outcomes is None:
        return failed("cannot be run", f"It is not defined: {answer.undefined[:300]}.")
    try:
        outcomes = _genuine(answer.outcomes, len(cases))
        judged = verdict(exercise, cases, outcomes)
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError):
        return failed(MALFORMED, _FATES[MALFORMED], CRASH)
    reached = [
        outcome.failure.message
        for outcome in outcomes
        if outcome.failure is not None and outcome.failure.type_name == "Forbidden"
    ]
    if reached:
        return failed(*(_REACHED if "rlcourse" in reached[0] else _CALLED), FORBIDDEN)
    return judged, judged.state


_CALLED = (
    "calls the reference",
    "It calls the course's own answer. Write your own: the steps are what counts.",
)
_REACHED = (
    "reaches for the grader",
    "It looks for the checker or the course's answers, which are not where your code runs.",
)


def _genuine(trees: list[Any], most: int) -> list[Outcome]:
    """What a worker wrote, decoded. Raises ValueError where the worker cannot have written it."""
    outcomes = [decode(tree) for tree in trees]
    if not 0 < len(outcomes) <= most or not all(map(_is_genuine, outcomes)):
        raise ValueError("no worker writes this")
    return outcomes


def _is_genuine(outcome: Any) -> bool:
    if not isinstance(outcome, Outcome) or not isinstance(outcome.failure, Failure | None):
        return False
    said = [outcome.printed, *outcome.changed]
    if outcome.failure is not None:
        said += vars(outcome.failure).values()
    counts = outcome.notes.values()
    return all(isinstance(s, str) for s in said) and all(isinstance(n, int) for n in counts)


def not_attempted(exercise: Exercise) -> dict[str, Any]:
    """What a record says of an exercise of which there is nothing."""
    told = Verdict(exercise.name, exercise.number, NOT_ATTEMPTED, "written")
    return _mark(exercise, told, NOT_ATTEMPTED, "")


def _one_line(text: str, most: int) -> str:
    """One line, however much of it a student's exception or type has for a name."""
    return shortened(" ".join(text.split()), most)


def _mark(exercise: Exercise, judged: Verdict, state: str, source: str) -> dict[str, Any]:
    return {
        "name": exercise.name,
        "number": exercise.number,
        "state": state,
        "score": judged.earned if state in (PASSED, FAILED) else 0,
        "points": exercise.points,
        "equation": exercise.equation,
        "rung": judged.rung,
        "mistake": judged.mistake,
        "headline": _one_line(judged.headline, 60),
        "explanation": _one_line(judged.explanation, 2000),
        "next_step": judged.instead,
        "cases_passed": judged.passed,
        "cases": judged.total,
        "note": "",
        "source": source[:20_000],
    }
