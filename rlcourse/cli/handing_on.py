"""What is made of a class's results: export, report, gradebook, compare; and the autograder that Gradescope runs: bundle."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rlcourse import checker
from rlcourse.cli.app import COURSE, SECONDS, app, tell_written
from rlcourse.lessons import paths
from rlcourse.lessons.paths import UsageError

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
            help="gradescope, classroom50, canvas, moodle, junit, nbgrader, moodle-feedback or canvas-feedback.",
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
    course: Annotated[Path | None, COURSE] = None,
) -> None:
    """Hand marks and feedback to a learning platform, in its own format.

    - gradescope: STUDENT/results.json (for the autograder itself see `rlcourse bundle`)
    - classroom50: result.json, from an autograder.py that Classroom 50's runner starts
    - canvas: the gradebook export with the lesson's column filled in
    - moodle: the grading worksheet filled in, or a CSV for the grade book's import
    - junit: XML, a test suite a student
    - nbgrader: a course folder; `nbgrader autograde` in it gives the same marks
    - moodle-feedback, canvas-feedback: the feedback pages in one zip, to be uploaded as it is

    What the platform has already, a mark, a comment, "EX", stays unless --overwrite. A student on whom the
    grader failed gets no mark, and the exit status is then 1. Text that a spreadsheet would take for a
    formula is made harmless.

    Example: `rlcourse export graded/ --to canvas --gradebook grades.csv --out upload.csv`.
    """
    from rlcourse.grading import course_file, exports
    from rlcourse.grading.finishing import read_current

    agreed = course_file.find(course)
    result = read_current(results, agreed)
    column = column or agreed.lesson(result["lesson"]).column
    made = exports.export(result, to, out, exports.Options(gradebook, column, overwrite))
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
    seconds: Annotated[float, SECONDS] = 10.0,
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
    anonymous: Annotated[
        bool | None,
        typer.Option(
            "--anonymous/--with-names",
            help="Ids in place of names; the class was graded so.",
            show_default="with names",
        ),
    ] = None,
    course: Annotated[Path | None, COURSE] = None,
) -> None:
    """Write the class report: what the class has understood, and what not, on one page.

    Pass rates and points, the most frequent mistakes, exercises that tell nobody apart, odd
    submissions, and answers that are nearly the same, side by side.

    Example: `rlcourse report graded/ --out report.html`.
    """
    from rlcourse.grading import anonymous as masks
    from rlcourse.grading import course_file, exports, report
    from rlcourse.grading.finishing import read_current

    agreed = course_file.find(course)
    result = read_current(results, agreed)
    if agreed.anonymous if anonymous is None else anonymous:
        result = masks.masked(result)
    exports.write(report.page(result), out)
    tell_written(out)


@app.command("gradebook")
def gradebook_command(
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RESULTS",
            help="The lessons' results, or a folder with a folder a lesson.",
            show_default="`results` of the course file",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="DIR", help="The folder for gradebook.csv and gradebook.html."
        ),
    ] = Path("."),
    course: Annotated[Path | None, COURSE] = None,
) -> None:
    """Put the results of all lessons into one table: a row a student, and the term's total.

    The total is the mean of the lessons' percentages, by the weights of `course.toml`. Lessons from which
    somebody is excused are left out, and what was not handed in counts 0. If the grader failed on
    somebody, there is no total, and the exit status is 1.

    Example: `rlcourse gradebook graded/ --out graded/`.
    """
    from rlcourse.grading import course_file, gradebook

    agreed = course_file.find(course)
    places = results or ([agreed.results] if agreed.results else None)
    if places is None:
        raise UsageError("Give the lessons' results, or `results` in course.toml.")
    book = gradebook.gradebook(gradebook.read(places, agreed), agreed)
    gradebook.write(book, out)
    console = Console(highlight=False)
    for note in book.notes:
        console.print(note, markup=False, soft_wrap=True)
    tell_written(out / "gradebook.csv")
    tell_written(out / "gradebook.html")
    if any(row.lacks_mark for row in book.rows):
        raise typer.Exit(1)


@app.command("compare")
def compare_command(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Results, or a folder of results.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The results to compare with them.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="A CSV with the changes as well."),
    ] = None,
) -> None:
    """Say whose marks differ between two results, and why: before marks that are out are replaced.

    Exit status 1 if any mark differs, 0 if none does.

    Example: `rlcourse compare graded/05 regraded/05`.
    """
    from rlcourse.grading import compare, exports

    changes, notes = compare.compare(old, new)
    console = Console(highlight=False)
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)
    for change in changes:
        told = f"lesson {change.lesson}, {change.student}: {change.old}, now {change.new}"
        console.print(told, markup=False, soft_wrap=True)
        for reason in change.reasons:
            console.print(f"  {reason}", markup=False, soft_wrap=True)
    marks = f"{len(changes)} {'mark differs' if len(changes) == 1 else 'marks differ'}."
    console.print(marks if changes else "No mark differs.")
    if out is not None:
        exports.write(compare.as_csv(changes), out)
        tell_written(out)
    if changes:
        raise typer.Exit(1)


@app.command("release")
def release_command(
    lesson: Annotated[str, typer.Argument(help="The lesson to give out, as 05.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="A new folder, for nothing else.")
    ],
    solved: Annotated[
        bool, typer.Option("--solved", help="The solved lesson, as notebook and HTML.")
    ] = False,
    early: Annotated[
        bool, typer.Option("--early", help="The solved lesson while somebody may still hand in.")
    ] = False,
    course: Annotated[Path | None, COURSE] = None,
) -> None:
    """Make the folder that students get of one lesson: the notebook, what it needs, and instructions.

    The notebook is built from the lesson's source, without answers; which exercises count, and until when,
    comes from `course.toml`. With --solved it is the solved lesson instead, run, in a folder of its own: not
    before the last deadline of the course file has passed, extensions included.

    Example: `rlcourse release 05 --out lesson-05` and, later, `rlcourse release 05 --solved --out solved-05`.
    """
    from datetime import UTC, datetime

    from rlcourse.grading import course_file, release

    agreed = course_file.find(course)
    number = paths.lesson_number(lesson, checker.lessons())
    console = Console(highlight=False)
    if solved:
        made = release.solved(
            number, agreed, now=datetime.now(UTC), early=early, tell=console.print
        )
    else:
        made = release.unsolved(number, agreed)
    release.write(made, out)
    for note in made.notes:
        console.print(note, markup=False, soft_wrap=True)
    tell_written(out)
