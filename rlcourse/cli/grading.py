"""What a grader runs on the submissions: grade."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rlcourse import checker
from rlcourse.cli.app import COURSE, SECONDS, app
from rlcourse.lessons import paths
from rlcourse.lessons.paths import UsageError


class Attempts(StrEnum):
    """Which of a student's notebooks counts."""

    last = "last"
    best = "best"


def _moment(text: str) -> datetime:
    from rlcourse.grading.rules import moment

    return moment(text)


@app.command("grade")
def grade_command(
    lesson: Annotated[
        str, typer.Argument(help="The lesson to grade, as 05; or `all` that are among them.")
    ],
    submissions: Annotated[
        Path,
        typer.Argument(help="A folder of notebooks, of a folder a student, a zip, or a notebook."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="The folder for the results; of `all`, a folder a lesson in it.",
            show_default="`results` of the course file",
        ),
    ] = None,
    course: Annotated[Path | None, COURSE] = None,
    seconds: Annotated[float, SECONDS] = 10.0,
    run_seconds: Annotated[
        float,
        typer.Option(min=1, help="Lesson 20: processor seconds for each training of an agent."),
    ] = 120.0,
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
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in DIR: grade only what is new, or would be judged otherwise by now.",
        ),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXERCISE",
            help="Grade this exercise again, as 5.3, and keep the rest of the run in DIR; may be repeated.",
        ),
    ] = None,
    student: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Grade this student again, and keep the rest of the run in DIR; may be repeated.",
        ),
    ] = None,
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
        float | None,
        typer.Option(
            min=0, max=100, help="Percent of the points that a day late costs.", show_default="0"
        ),
    ] = None,
    attempts: Annotated[
        Attempts | None,
        typer.Option(
            help="Of a student's notebooks, the last by name counts, or the best.",
            show_default="last",
        ),
    ] = None,
    overrides: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Marks given by hand, with columns student, exercise, points (or excused), reason, "
            "who, when: applied last.",
            show_default="overrides.csv in DIR",
        ),
    ] = None,
    anonymous: Annotated[
        bool | None,
        typer.Option(
            "--anonymous/--with-names",
            help="The report, and pages for marking, under ids in place of names.",
            show_default="with names",
        ),
    ] = None,
) -> None:
    """Grade a class: marks, a feedback page a student, and a list of everything odd.

    Writes results.json (everything), grades.csv, feedback/STUDENT.html and report.html into DIR.
    The answers never enter a student's process, and no submission can stop the others.
    Deadlines, extensions, groups and whatever else a class has agreed on can stand in a `course.toml`
    (rlcourse/grading/README.md describes it); options win over it.
    Exit status 1 says that the grader failed on somebody, who then has no mark.

    Examples: `rlcourse grade 05 submissions/ --out graded/05`; for a whole term,
    `rlcourse grade all submissions/ --out graded/`.
    """
    from rlcourse.grading import course_file, term
    from rlcourse.grading.results import has_mark

    agreed = course_file.find(course)
    whole_term = lesson == "all"
    number = lesson if whole_term else paths.lesson_number(lesson, checker.lessons())
    if whole_term and deadline is not None:
        raise UsageError(
            "--deadline is for one lesson: give each its own in course.toml, [lessons.05] deadline = …"
        )
    if whole_term and (only or student):
        raise UsageError(
            "--only and --student are for one lesson: give its number in place of `all`."
        )
    if penalty and deadline is None and agreed.path is None:
        raise UsageError("--penalty needs a --deadline: from when on is a submission late?")
    if out is None and agreed.results is None:
        raise UsageError("Give --out, a folder for the results, or `results` in course.toml.")
    out = out or (agreed.results if whole_term else agreed.results / number)
    options = {
        "seconds": seconds,
        "run_seconds": run_seconds,
        "memory": memory,
        "workers": workers,
        "secret": agreed.secret() if secret is None else secret,
        "sandboxed": not no_sandbox,
        "scheduler": cluster,
        "resume": resume,
        "again": only or (),
        "again_of": student or (),
    }
    terms = {
        "students": students,
        "penalty": penalty,
        "attempts": attempts and attempts.value,
        "overrides": overrides,
        "anonymous": anonymous,
    }
    if whole_term:
        graded = term.grade_all(submissions, out, agreed, terms, **options)
    else:
        terms["deadline"] = deadline
        graded = {
            number: term.grade_one(number, submissions, out, agreed, terms, **options)
        }  # fmt: skip
    if not all(has_mark(record) for one in graded.values() for record in one["submissions"]):
        raise typer.Exit(1)
