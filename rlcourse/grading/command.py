"""`rlcourse grade`: from a folder of submissions to marks, feedback pages and a summary."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from rlcourse import exercises
from rlcourse.paths import UsageError, write_atomically

from . import feedback, report, results
from .marking import GRADED, OTHER, Course, mark_all
from .sandbox import Sandbox, find_bubblewrap
from .stage import make_stage
from .submissions import Submission, collect


def grade(
    lesson: str,
    submissions: Path,
    out: Path,
    *,
    seconds: float = 10.0,
    workers: int | None = None,
    secret: str = "",
    console: Console | None = None,
) -> dict[str, Any]:
    """Grade every submission of one lesson and write results.json, grades.csv and feedback pages.

    lesson: "05"; submissions: a folder, a zip, or one notebook; out: folder, made if missing;
    seconds: for each exercise; workers: submissions at a time; secret: goes into the inputs' seeds.
    Returns the result that was written.
    Raises:
        UsageError: an argument is unusable; then nothing has been written.
    """
    console = console or Console()
    found = collect(submissions, lesson)
    if submissions.is_dir() and out.resolve().is_relative_to(submissions.resolve()):
        raise UsageError(
            f"{out} is among the submissions: give --out a folder of its own, beside {submissions}."
        )
    _require_writable(out)
    with tempfile.TemporaryDirectory(prefix="rlcourse-") as folder:
        stage = make_stage(Path(folder) / "stage", set(exercises.names()))
        sandbox = Sandbox(stage, seconds, bubblewrap=find_bubblewrap(stage))
        course = Course(lesson, sandbox, secret)
        records = _with_progress(course, found, workers or os.cpu_count() or 1, console)
    if all(record["state"] != GRADED for record in records) and any(
        record["state"] == OTHER for record in records
    ):
        other = next(record for record in records if record["state"] == OTHER)
        raise UsageError(
            f"No notebook of lesson {lesson} is in {submissions}: {other['file']}: {other['reason']}."
            " Give the folder with that lesson's notebooks."
        )
    title = exercises.lesson(lesson).title
    result = results.results(lesson, title, sandbox.kind, records)
    _write(result, out)
    _summary(result, console)
    console.print(f"Written to {out}: results.json, grades.csv, report.html, feedback/.")
    return result


def _with_progress(
    course: Course, found: list[Submission], workers: int, console: Console
) -> list[dict[str, Any]]:
    columns = (TextColumn("Grading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    quiet = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        bar = progress.add_task("", total=len(found))
        try:
            return mark_all(course, found, workers, lambda: progress.advance(bar))
        except KeyboardInterrupt:
            done = f"{progress.tasks[bar].completed:g} of {len(found)} submissions"
            console.print(f"Interrupted after {done}: nothing has been written.")
            raise


# --------------------------------------------------------------------------------------- writing


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


def _write(result: dict[str, Any], out: Path) -> None:
    pages = out / "feedback"
    try:
        pages.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"Cannot make the folder {pages}: {error.strerror or error}. Choose another for --out."
        ) from error
    texts = {
        pages / f"{name}.html": feedback.page(record, result["lesson"], result["title"])
        for name, record in results.file_names(result["submissions"])
    }
    texts[out / "report.html"] = report.page(result)
    texts[out / "grades.csv"] = results.as_csv(result)
    texts[out / "results.json"] = results.as_json(result)
    write_atomically(texts)


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
    console.print(
        f"{len(graded)} of {len(records)} submissions graded ({result['sandbox']}).",
        highlight=False,
    )
