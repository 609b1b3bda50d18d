"""What a grader runs on the submissions: grade."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rlcourse import checker
from rlcourse.cli.app import app
from rlcourse.lessons import paths
from rlcourse.lessons.paths import UsageError


class Attempts(StrEnum):
    """Which of a student's notebooks counts."""

    last = "last"
    best = "best"


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text) if ":" in text else None
    except ValueError:
        moment = None
    if moment is None:
        raise UsageError(
            f"{text!r} is no time to hand in by: give day and time, as '2026-11-20 23:59' (yours), "
            "or with a zone, as '2026-11-20T23:59+01:00'."
        )
    return moment


@app.command("grade")
def grade_command(
    lesson: Annotated[str, typer.Argument(help="The lesson to grade, as 05.")],
    submissions: Annotated[
        Path,
        typer.Argument(help="A folder of notebooks, of a folder a student, a zip, or a notebook."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="The folder for the results.")
    ],
    seconds: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Processor seconds for each exercise of a submission; six times as many by the clock.",
        ),
    ] = 10.0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Submissions at a time; default: one a core.")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            help="A word of yours: inputs are made from it and the student's name.",
            show_default="drawn, and kept in DIR/secret.txt",
        ),
    ] = None,
    memory: Annotated[
        int, typer.Option(min=64, metavar="MIB", help="Memory that a submission may use.")
    ] = 512,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was cut off.")
    ] = False,
    no_sandbox: Annotated[
        bool,
        typer.Option(
            "--no-sandbox",
            help="Run students' code with limits only, where bubblewrap cannot be had. "
            "It can then read and change whatever you can.",
        ),
    ] = False,
    cluster: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="A Dask scheduler to do the work, as tcp://host:8786."
        ),
    ] = "",
    students: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV", help="The class, with columns id, name, email: says whose file is whose."
        ),
    ] = None,
    deadline: Annotated[
        datetime | None,
        typer.Option(
            parser=_moment,
            metavar="TIME",
            help='As "2026-11-20 23:59"; files changed later are late.',
        ),
    ] = None,
    penalty: Annotated[
        float, typer.Option(min=0, max=100, help="Percent of the points that a day late costs.")
    ] = 0.0,
    attempts: Annotated[
        Attempts,
        typer.Option(help="Of a student's notebooks, the last by name counts, or the best."),
    ] = Attempts.last,
) -> None:
    """Grade a class: marks, a feedback page a student, and a list of everything odd.

    Writes results.json (everything), grades.csv, feedback/STUDENT.html and report.html into DIR.
    The answers never enter a student's process, and no submission can stop the others.
    Exit status 1 says that the grader failed on somebody, who then has no mark.

    Example: `rlcourse grade 05 submissions/ --out graded/`.
    """
    from rlcourse.grading.command import grade
    from rlcourse.grading.results import has_mark
    from rlcourse.grading.rules import Rules

    if penalty and deadline is None:
        raise UsageError("--penalty needs a --deadline: from when on is a submission late?")
    number = paths.lesson_number(lesson, checker.lessons())
    graded = grade(
        number,
        submissions,
        out,
        seconds=seconds,
        memory=memory,
        workers=workers,
        secret=secret,
        sandboxed=not no_sandbox,
        scheduler=cluster,
        resume=resume,
        students=students,
        rules=Rules(deadline, penalty, attempts.value),
    )
    if not all(map(has_mark, graded["submissions"])):
        raise typer.Exit(1)
