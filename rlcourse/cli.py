"""The command `rlcourse`: verify, progress, exercises, grading, build.

Every subcommand leaves through `main`: what the user gave and cannot be used ends in one sentence
on stderr and status 2, never in a traceback.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rlcourse import __version__, checker
from rlcourse.lessons import paths
from rlcourse.lessons.paths import UsageError

app = typer.Typer(
    name="rlcourse",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Reinforcement learning in one line, from the Bellman equation to SAC: "
    "check your lessons, see where you stand, build and grade them.",
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 all right, 1 something is not right, 2 unusable input."""
    try:
        app(arguments, prog_name="rlcourse")
    except UsageError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except checker.Unknown as error:
        print(f"{error} `rlcourse exercises` lists them all.", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; nothing may complain while Python shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"rlcourse {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


@app.command("verify")
def verify_command(
    notebooks: Annotated[
        list[Path], typer.Argument(metavar="NOTEBOOK", help="Your completed notebooks.")
    ],
    timeout: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="Limit for one cell.")
    ] = 120,
) -> None:
    """Run your completed notebooks from top to bottom and compare the checks with the released ones.

    Prints one line an exercise; your files are not changed. Exit status: 0 if everything is right,
    1 if something is not, 2 if a file cannot be used.

    Example: `rlcourse verify notebooks/05_*.ipynb`.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from rlcourse.lessons import verify

    submissions = [verify.open_submission(path, checker) for path in notebooks]
    out, errors = Console(highlight=False), Console(stderr=True)
    all_right = True
    for submission in submissions:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, console=errors, transient=True) as bar:
            task = bar.add_task(submission.path.name, total=None)
            report = verify.verify(
                submission,
                checker,
                timeout,
                lambda done, total, bar=bar, task=task: bar.update(
                    task, completed=done, total=total
                ),
            )
        all_right &= report.ok
        solved = sum(answer.solved for answer in report.answers)
        out.print(f"{report.path}: {solved} of {len(report.answers)} solved", markup=False)
        for answer in report.answers:
            sign, told = ("✓", "solved") if answer.solved else ("✗", "not solved")
            told += f": {answer.reason}" if answer.reason else ""
            out.print(f"  {sign} {answer.number} {answer.name}: {told}", markup=False)
        for error in report.errors:
            out.print(f"  ! {error}", markup=False)
    raise typer.Exit(0 if all_right else 1)


_STATES = {"passed": "[green]✓ solved[/]", "not attempted": "[dim]○ open[/]"}


@app.command("progress")
def progress_command(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Your notebooks; notebooks/ if not given."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="Limit for one exercise.")
    ] = 20,
) -> None:
    """Show where you stand: every exercise, solved or not, its points, and what comes next.

    Your answers are judged afresh; what the notebooks have stored as output does not count.

    Example: `rlcourse progress` or `rlcourse progress ~/my-notebooks`.
    """
    from rich.markup import escape
    from rich.table import Table

    from rlcourse.lessons import progress

    lessons = progress.progress(folder or paths.notebooks_folder(), checker, timeout)
    table = Table("Exercise", "", "Points", "State")
    table.columns[2].justify = "right"
    following = None
    for lesson in lessons:
        table.add_section()
        solved = [e for e in lesson.exercises if e.state == progress.SOLVED]
        total = sum(e.points for e in lesson.exercises)
        earned = f"{sum(e.points for e in solved):g}/{total:g}"
        told = escape(lesson.problem) or f"{len(solved)} of {len(lesson.exercises)} solved"
        title = escape(lesson.title or f"Lesson {lesson.lesson}")
        table.add_row("", f"[bold]{title}[/]", earned, told)
        if lesson.problem:
            continue
        for exercise in lesson.exercises:
            state = _STATES.get(exercise.state) or f"[red]✗ {escape(exercise.reason)}[/]"
            table.add_row(exercise.number, exercise.name, f"{exercise.points:g}", state)
            if following is None and exercise.state != progress.SOLVED:
                following = exercise, lesson.notebook
    everything = [exercise for lesson in lessons for exercise in lesson.exercises]
    solved = [exercise for exercise in everything if exercise.state == progress.SOLVED]
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{len(solved)} of {len(everything)} exercises solved, "
        f"{sum(e.points for e in solved):g} of {sum(e.points for e in everything):g} points."
    )
    if following:
        exercise, notebook = following
        console.print(f"Next: {exercise.number} {exercise.name} in {notebook}", markup=False)
    elif len(solved) == len(everything):
        console.print("Everything is solved.")


@app.command("exercises")
def exercises_command(
    lesson: Annotated[
        str | None, typer.Option("--lesson", "-l", metavar="LESSON", help="Only this one, as 05.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a list of objects, one an exercise.")
    ] = False,
) -> None:
    """List the exercises: lesson, number, points, and the mistakes that are known by name.

    Example: `rlcourse exercises --lesson 05` or `rlcourse exercises --json > exercises.json`.
    """
    number = paths.lesson_number(lesson, checker.lessons()) if lesson is not None else None
    listed = [checker.get(name) for name in checker.names(number)]
    rows = [
        {
            "name": exercise.name,
            "lesson": exercise.lesson,
            "number": exercise.number,
            "points": exercise.points,
            "mistakes": [mistake.name for mistake in exercise.mistakes],
        }
        for exercise in listed
    ]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from rich.table import Table

    table = Table("No.", "Exercise", "Points", "Mistakes known by name", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["number"], row["name"], f"{row['points']:g}", ", ".join(row["mistakes"]))
    Console().print(table)


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
    console.print(f"Written to {out}.", markup=False, soft_wrap=True)
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
    Console(highlight=False).print(f"Written to {out}.", markup=False, soft_wrap=True)


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
    Console(highlight=False).print(f"Written to {out}.", markup=False, soft_wrap=True)


def _chosen(lessons: list[str] | None) -> dict[str, Path]:
    """The solved lessons asked for, all if none is named: number -> source."""
    sources = paths.lesson_files(paths.solutions_folder(), ".py")
    if not sources:
        raise UsageError(
            f"There are no lessons in {paths.solutions_folder()}: they are named NN_topic.py."
        )
    chosen = dict.fromkeys(paths.lesson_number(text, tuple(sources)) for text in lessons or sources)
    return {lesson: sources[lesson] for lesson in chosen}


@app.command("lessons", rich_help_panel="For authors")
def lessons_command(
    lessons: Annotated[
        list[str] | None,
        typer.Argument(metavar="LESSON", help="Lessons to run, as 05; all if none is given."),
    ] = None,
) -> None:
    """Run the solved lessons and print what each costs in processor seconds.

    A lesson that takes more than it may, or all of them together, make the exit status 1.

    Example: `rlcourse lessons` or `rlcourse lessons 08 19`.
    """
    from rlcourse.lessons import running

    sources = _chosen(lessons)
    print(f"{'lesson':<44} {'CPU s':>6} {'of':>4} {'clock s':>8}", flush=True)

    def tell(lesson: str, cost: running.Cost) -> None:
        allowed = running.seconds_allowed(lesson)
        mark = "  too slow" if cost.cpu > allowed else ""
        name = sources[lesson].stem
        print(f"{name:<44} {cost.cpu:6.1f} {allowed:4.0f} {cost.wall:8.1f}{mark}", flush=True)

    costs = running.run_all(sources, tell)
    total, wall = (sum(getattr(c, k) for c in costs.values()) for k in ("cpu", "wall"))
    print(f"{'together':<44} {total:6.1f} {running.SECONDS_IN_ALL:4.0f} {wall:8.1f}")
    slow = any(cost.cpu > running.seconds_allowed(lesson) for lesson, cost in costs.items())
    if slow or total > running.SECONDS_IN_ALL:
        raise typer.Exit(1)


@app.command("build", rich_help_panel="For authors")
def build_command(
    lessons: Annotated[
        list[str] | None,
        typer.Argument(metavar="LESSON", help="Lessons to build, as 05; all if none is given."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing; name the notebooks that are out of date, and exit with 1.",
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Build over notebooks with answers in them; each is kept as a .bak file.",
        ),
    ] = False,
) -> None:
    """Build the students' notebooks from the solved lessons.

    Takes `solutions/NN_topic.py`, leaves the answers out, and writes `notebooks/NN_topic.ipynb`.
    A lesson with a mistake in it is refused with every reason, and then nothing is written; nor is it
    where a notebook holds answers.

    Example: `rlcourse build 05` or, before a commit, `rlcourse build --check`.
    """
    from rlcourse.lessons import build
    from rlcourse.lessons.linking import Atlas

    folder = paths.notebooks_folder()
    atlas = Atlas.of(_chosen(None).values())
    texts = build.build(_chosen(lessons).values(), folder, atlas=atlas)
    texts[paths.equations_file()] = build.equations(atlas)
    if check:
        old = build.stale(texts)
        orphans = [] if lessons else build.orphans(texts, folder)
        for path in old:
            print(f"{path.name} is out of date: run `rlcourse build` and commit it.")
        for path in orphans:
            print(f"{path.name} has no source in solutions/: delete it.")
        if old or orphans:
            raise typer.Exit(1)
        print(f"All {len(texts) - 1} notebooks, and the checks' list of equations, are up to date.")
        return
    changed = build.write(texts, force)
    for path in changed:
        print(f"built {path.name}")
    print(f"{len(changed)} of {len(texts)} files changed.")
