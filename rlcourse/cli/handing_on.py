"""What is made of a class's results: export, report; and the autograder that Gradescope runs: bundle."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rlcourse import checker
from rlcourse.cli.app import app, tell_written
from rlcourse.lessons import paths

_RESULTS = typer.Argument(
    metavar="RESULTS", help="The results.json that `rlcourse grade` wrote, or its folder."
)


@app.command("export")
def export_command(
    results: Annotated[Path, _RESULTS],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="gradescope, classroom50, canvas, moodle, junit or nbgrader.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="PATH", help="A folder for gradescope and nbgrader, else a file."
        ),
    ],
    gradebook: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What Canvas or Moodle exported, to be filled in: Canvas's gradebook (needed), "
            "Moodle's grading worksheet.",
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The assignment in Canvas's gradebook, if not plain."),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace marks and comments that the platform has already."
        ),
    ] = False,
) -> None:
    """Hand marks and feedback to a learning platform, in its own format.

    - gradescope: STUDENT/results.json (for the autograder itself see `rlcourse bundle`)
    - classroom50: result.json, from an autograder.py that Classroom 50's runner starts
    - canvas: the gradebook export with the lesson's column filled in
    - moodle: the grading worksheet filled in, or a CSV for the grade book's import
    - junit: XML, a test suite a student
    - nbgrader: a course folder; `nbgrader autograde` in it gives the same marks

    What the platform has already, a mark, a comment, "EX", stays unless --overwrite. A student on whom the
    grader failed gets no mark, and the exit status is then 1. Text that a spreadsheet would take for a
    formula is made harmless.

    Example: `rlcourse export graded/ --to canvas --gradebook grades.csv --out upload.csv`.
    """
    from rlcourse.grading import exports
    from rlcourse.grading.results import read

    made = exports.export(read(results), to, out, exports.Options(gradebook, column, overwrite))
    console = Console(highlight=False)
    for note in made.notes:
        console.print(note, markup=False, soft_wrap=True)
    tell_written(out)
    if made.unmarked:
        raise typer.Exit(1)


@app.command("bundle")
def bundle_command(
    lesson: Annotated[str, typer.Argument(help="The lesson to grade, as 05.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The zip file to write.")
    ],
    seconds: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Processor seconds for each exercise of a submission; six times as many by the clock.",
        ),
    ] = 10.0,
    secret: Annotated[
        str | None,
        typer.Option(
            help="A word of yours: inputs are made from it and the student's address.",
            show_default="drawn",
        ),
    ] = None,
) -> None:
    """Make the autograder that Gradescope runs: setup.sh, run_autograder and the course in a zip.

    Upload it under Configure Autograder; any image with Python 3.11 or newer will do.

    Example: `rlcourse bundle 05 --out autograder.zip`.
    """
    from rlcourse.grading.exports import gradescope

    number = paths.lesson_number(lesson, checker.lessons())
    if secret is None:
        secret = secrets.token_hex(16)
    gradescope.write_bundle(out, number, secret, seconds)
    tell_written(out)


@app.command("report")
def report_command(
    results: Annotated[Path, _RESULTS],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The HTML page to write.")
    ] = Path("report.html"),
) -> None:
    """Write the class report: what the class has understood, and what not, on one page.

    Pass rates and points, the most frequent mistakes, exercises that tell nobody apart, odd
    submissions, and answers that are nearly the same.

    Example: `rlcourse report graded/ --out report.html`.
    """
    from rlcourse.grading import exports, report
    from rlcourse.grading.results import read

    exports.write(report.page(read(results)), out)
    tell_written(out)
