"""`rlcourse grade`: from a folder of submissions to marks, feedback pages and a summary."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from rlcourse import checker
from rlcourse.checker.timing import SECONDS_A_RUN
from rlcourse.lessons.paths import UsageError, write_atomically
from rlcourse.lessons.scratch import temporary_folder

from . import anonymous, feedback, report, results
from .assignment import Assignment
from .executors import cluster, losses, processes
from .finishing import by_hand, finish
from .judges import basis_of
from .marking import GRADED, OTHER, Course, Task, mark_all
from .resume import SECRET, Again, Journal, plan, secret_of
from .rules import BEST, Rules
from .sandbox import Sandbox
from .stage import make_stage, sealed_names
from .students import Roster, read_roster
from .submissions import Submission, collect


class Interrupted(UsageError):
    """The run ended early; the message says how far it came and how to go on."""


def grade(
    lesson: str,
    submissions: Path,
    out: Path,
    *,
    seconds: float = 10.0,
    run_seconds: float = SECONDS_A_RUN,
    memory: int = 512,
    workers: int | None = None,
    secret: str | None = "",
    sandboxed: bool = True,
    scheduler: str = "",
    resume: bool = False,
    again: Collection[str] = (),
    again_of: Collection[str] = (),
    students: Path | None = None,
    rules: Rules | None = None,
    assignment: Assignment | None = None,
    course_named: dict[str, str] | None = None,
    only: Collection[str] | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Grade every submission of one lesson and write results.json, grades.csv and feedback pages.

    lesson: "05"; submissions: a folder, a zip, or one notebook; out: folder, made if missing;
    seconds: for each exercise; run_seconds: for each training of a project's agent; memory: MiB for a submission; workers: submissions at a time;
    secret: goes into the inputs' seeds, None: one is drawn and kept in `out`, where the next run finds it;
    sandboxed: False runs students' code with limits only;
    scheduler: address of a Dask cluster that does the work; resume: go on with a run that was cut off;
    again: exercises by number or name, again_of: students, to be graded again, with all else as it is in `out`;
    students: a CSV with the columns id, name, email, by which files are recognised; rules: deadline and attempts;
    assignment: the exercises that count, groups, marks by hand; course_named: {"name": …, "term": …} for the
    report; only: names of the files that are this lesson's, where that is known already.
    Returns the result that was written.
    Raises:
        NoSandbox: bubblewrap does not work here, and was asked for.
        UsageError: an argument is unusable; then nothing has been written.
    """
    console = console or Console()
    rules, assignment = rules or Rules(), assignment or Assignment()
    _require_bounds(seconds, memory)
    if assignment.anonymous:
        anonymous.require(secret)
    roster = read_roster(students) if students else Roster(())
    whose = assignment.groups.whose(roster)
    found = collect(submissions, lesson, whose, rules.attempts == BEST, only)
    if submissions.is_dir() and out.resolve().is_relative_to(submissions.resolve()):
        raise UsageError(
            f"{out} is among the submissions: give --out a folder of its own, beside {submissions}."
        )
    repeated = Again(_exercises(again, lesson), _students(again_of, found, roster))
    _require_writable(out)
    given, note = by_hand(assignment, out, lesson)
    drawn = secret_of(out) if secret is None else ""
    declared = checker.lesson(lesson)
    hidden = tuple(str(path.resolve()) for path in (submissions, out))
    sandbox = Sandbox(
        sealed_names(lesson),
        declared.torch,
        seconds,
        memory,
        sandboxed,
        hidden,
        run_seconds=run_seconds,
    )
    with contextlib.ExitStack() as stack:
        if scheduler:
            executor = stack.enter_context(cluster(scheduler, sandbox))
        else:
            folder = stack.enter_context(temporary_folder())
            stage = make_stage(folder / "stage", sandbox.sealed)
            sandbox = dataclasses.replace(sandbox, stage=str(stage))
            executor = stack.enter_context(processes(workers or os.cpu_count() or 1, sandbox))
        course = Course(lesson, sandbox, secret or drawn, assignment.own)
        journal = stack.enter_context(Journal(out, resume or bool(repeated), drawn))
        try:
            if repeated and not journal.entries:
                raise UsageError(
                    f"There is no earlier run in {out}, of which something could be graded again: grade "
                    "the class first; to try one student, give that student's file."
                )
            _mark(course, found, repeated, executor, journal, console)
            records = [journal.record(submission) for submission in found]
            _require_lesson(records, lesson, submissions)
        except Interrupted:
            raise
        except UsageError:
            journal.discard()
            raise
        finished = finish(
            lesson, found, records, assignment, rules, roster, secret or drawn, given
        )  # fmt: skip
        result = results.results(lesson, declared.title, sandbox.kind, finished.records)
        if course_named:
            result["course"] = course_named
        if students:
            result["missing"] = finished.missing
        try:
            _write(result, out, assignment.anonymous)
            journal.finish(found)
        except UsageError as error:
            told = "Everything is graded: the same command with --resume only writes it"
            raise Interrupted(f"{error} {told}.") from error
    _summary(result, console)
    given_by_hand = [
        told for record in finished.records for _, told, _ in results.given_by_hand(record)
    ]
    if given_by_hand:
        excused = sum(results.EXCUSED in told for told in given_by_hand)
        console.print(f"{len(given_by_hand)} marks given by hand, {excused} of them excused.")
    for told in filter(None, (note, *finished.notes)):
        console.print(told, style="yellow", markup=False, highlight=False)
    pages = "feedback/, marking/" if assignment.anonymous else "feedback/"
    console.print(f"Written to {out}: results.json, grades.csv, report.html, {pages}.")
    if drawn:
        told = "with it the same submissions get the same inputs again. Keep it to yourself."
        console.print(f"The course's secret is in {out / SECRET}: {told}", highlight=False)
    return result


def _exercises(wanted: Collection[str], lesson: str) -> tuple[str, ...]:
    """Names of exercises of the lesson, given by name or by number ("5.3"). Raises UsageError."""
    asked = list(checker.lesson(lesson))
    by_text = {text: e.name for e in asked for text in (e.name, e.number)}
    if unknown := [text for text in wanted if text not in by_text]:
        known = ", ".join(f"{e.number} {e.name}" for e in asked)
        raise UsageError(f'Lesson {lesson} has no exercise "{unknown[0]}": choose from {known}.')
    return tuple(dict.fromkeys(by_text[text] for text in wanted))


def _students(
    wanted: Collection[str], found: Sequence[Submission], roster: Roster
) -> tuple[str, ...]:
    """Students of whom there is a submission, given by id, name or e-mail address. Raises UsageError."""
    there = dict.fromkeys(submission.student for submission in found)
    chosen = []
    for text in wanted:
        student = text if text in there else roster.id_of(text)
        if student not in there:
            plain = {name.casefold(): name for name in there}
            close = get_close_matches(text.casefold(), plain, n=3, cutoff=0.5)
            hint = f" Did you mean {' or '.join(repr(plain[c]) for c in close)}?" if close else ""
            raise UsageError(f"Nothing was handed in by {text!r}.{hint}")
        chosen.append(student)
    return tuple(chosen)


def _mark(
    course: Course,
    submissions: Sequence[Submission],
    again: Again,
    executor: Executor,
    journal: Journal,
    console: Console,
) -> None:
    """Bring the record of each submission into the journal, unless it is there and still stands."""
    basis = basis_of(course)
    tasks, lines = plan(submissions, journal.entries, basis, again)
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    columns = (TextColumn("Grading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    quiet = not console.is_terminal
    total = len(submissions)
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        bar = progress.add_task("", total=total, completed=total - len(tasks))

        def done(task: Task, record: dict[str, Any]) -> None:
            journal.add(task, basis, record)
            progress.advance(bar)

        def so_far() -> str:
            marked = f"{progress.tasks[bar].completed:g} of {total} submissions"
            return f"after {marked}: the same command with --resume goes on from there."

        try:
            mark_all(course, tasks, executor, done)
        except KeyboardInterrupt:
            console.print(f"Interrupted {so_far()}")
            raise
        except losses() as error:
            raise Interrupted(f"A grading process was ended from outside {so_far()}") from error
        except OSError as error:
            raise Interrupted(f"{error.strerror or error}: stopped {so_far()}") from error


def _require_lesson(records: list[dict[str, Any]], lesson: str, submissions: Path) -> None:
    """Raise UsageError if all that could be read is of another lesson."""
    others = [record for record in records if record["state"] == OTHER]
    if others and all(record["state"] != GRADED for record in records):
        raise UsageError(
            f"No notebook of lesson {lesson} is in {submissions}: {others[0]['file']}: "
            f"{others[0]['reason']}. Give the folder with that lesson's notebooks."
        )


# --------------------------------------------------------------------------------------- writing


MAX_SECONDS, MAX_MEMORY = 3600, 2**20  # an hour; a tebibyte


def _require_bounds(seconds: float, memory: int) -> None:
    """Raise UsageError for limits that no system can set: then no submission could be run."""
    if not 0 < seconds <= MAX_SECONDS:
        raise UsageError(f"--seconds {seconds:g} is too much: give at most {MAX_SECONDS}.")
    if not 0 < memory <= MAX_MEMORY:
        raise UsageError(f"--memory {memory} is too much: give at most {MAX_MEMORY} (MiB).")


def _require_writable(out: Path) -> None:
    """Raise UsageError unless `out` is, or can become, a folder that can be written to."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file: give a folder for the results.")
    parent = next((p for p in (out, *out.parents) if p.exists()), Path())
    try:
        with tempfile.TemporaryFile(dir=parent):
            return
    except OSError as error:
        raise UsageError(
            f"Cannot write to {out}: {error.strerror or error}. Choose another folder for --out."
        ) from error


def _write(result: dict[str, Any], out: Path, anonymously: bool = False) -> None:
    """Write all files; anonymously: the report, and pages for marking, under ids in place of names."""
    pages, marking = out / "feedback", out / "marking"
    try:
        pages.mkdir(parents=True, exist_ok=True)
        if anonymously:
            marking.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"Cannot make the folder {pages}: {error.strerror or error}. Choose another for --out."
        ) from error
    texts = {
        pages / f"{name}.html": feedback.page(record, result["lesson"], result["title"])
        for name, record in results.file_names(result["submissions"])
    }
    shown = anonymous.masked(result) if anonymously else result
    if anonymously:
        for record in shown["submissions"]:
            page = feedback.page(record, result["lesson"], result["title"])
            texts[marking / f"{record['student']}.html"] = page
    texts[out / "report.html"] = report.page(shown)
    texts[out / "grades.csv"] = results.as_csv(result)
    texts[out / "results.json"] = results.as_json(result)
    stale = _pages_of_the_last_run(out) - texts.keys()
    write_atomically(texts)
    for page in stale:
        page.unlink(missing_ok=True)


def _pages_of_the_last_run(out: Path) -> set[Path]:
    """The pages that a run before this one wrote into the same folder, by its results."""
    try:
        before = results.read(out)["submissions"]
    except UsageError:
        return set()
    ids = (record["anonymous"] for record in before if "anonymous" in record)
    return {
        *(out / "feedback" / f"{name}.html" for name, _ in results.file_names(before)),
        *(out / "marking" / f"{name}.html" for name in ids),
    }


# --------------------------------------------------------------------------------------- summary


def _summary(result: dict[str, Any], console: Console) -> None:
    records = result["submissions"]
    table = Table("No.", "Exercise", "Passed", "Not attempted", "Most frequent mistake", box=None)
    graded = [record for record in records if record["state"] == GRADED]
    for column in zip(*(record["exercises"] for record in graded), strict=True):
        states = Counter(mark["state"] for mark in column)
        said = Counter(
            m["mistake"] or m["headline"] for m in column if m["state"] not in results.QUIET
        )
        often = ", ".join(escape(f"{name} ({n})") for name, n in said.most_common(1))
        passed = f"{states['passed']} of {len(graded)}"
        row = column[0]
        table.add_row(row["number"], row["name"], passed, str(states["not attempted"]), often)
    console.print(table)
    for record in records:
        for oddity in results.oddities(record):
            console.print(
                f"{record['file']}: {oddity}", style="yellow", markup=False, highlight=False
            )
    for student in result.get("missing", ()):
        told = f"{student['id']} {student['name']}: no submission"
        console.print(told, style="yellow", markup=False, highlight=False)
    console.print(
        f"{len(graded)} of {len(records)} submissions graded ({result['sandbox']}).",
        highlight=False,
    )
    if without := [record["student"] for record in records if not results.has_mark(record)]:
        told = f"No mark, because the grader failed: {', '.join(without)}."
        console.print(told, style="red", markup=False, highlight=False)
