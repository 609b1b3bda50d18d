"""What a student runs: verify, progress, exercises."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rlcourse import checker
from rlcourse.cli.app import app
from rlcourse.lessons import paths, working


@app.command("verify")
def verify_command(
    notebooks: Annotated[
        list[Path],
        typer.Argument(
            metavar="NOTEBOOK",
            help="Your completed notebooks, the folder of them, or lessons of your folder, as 05.",
        ),
    ],
    timeout: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="Limit for one cell.")
    ] = 120,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXERCISE",
            help="Run only what this exercise needs, as 5.4: no training; may be repeated.",
        ),
    ] = None,
) -> None:
    """Run your completed notebooks from top to bottom and compare the checks with the released ones.

    Prints one line an exercise; your files are not changed. Exit status: 0 if everything is right,
    1 if something is not, 2 if a file cannot be used.

    Example: `rlcourse verify 05`, `rlcourse verify 05 --only 5.4` or `rlcourse verify ~/handed-in/05_*.ipynb`.
    """
    from rich.padding import Padding
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.text import Text

    from rlcourse.lessons import verify

    submissions = [
        verify.open_submission(path, checker, only or ())
        for given in notebooks
        for path in verify.notebooks_in(working.notebook(given))
    ]
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
            if answer.why:
                out.print(Padding(Text(answer.why), (0, 0, 0, 6)))
        for error in report.errors:
            out.print(f"  ! {error}", markup=False)
    raise typer.Exit(0 if all_right else 1)


_STATES = {"passed": "[green]✓ solved[/]", "not attempted": "[dim]○ open[/]"}


@app.command("progress")
def progress_command(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Your notebooks; found by itself if not given."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="Limit for one exercise.")
    ] = 20,
    certificate: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write it all to a page, FILE.html, or as plain text, FILE.txt."
        ),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="Whose certificate it is.")] = "",
) -> None:
    """Show where you stand: every exercise, solved or not, its points, and what comes next.

    Your answers are judged afresh; what the notebooks have stored as output does not count. Your own agent of
    lesson 20 is trained for it, which takes minutes. The certificate has the date, every lesson with its points,
    and says that it is self-checked.

    Example: `rlcourse progress` or `rlcourse progress ~/my-notebooks --certificate progress.html`.
    """
    from rich.markup import escape
    from rich.table import Table

    from rlcourse.lessons import certificate as page
    from rlcourse.lessons import progress

    if certificate is not None:
        page.require_suffix(certificate)
    lessons = progress.progress(folder or working.require(), checker, timeout)
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
    if certificate is not None:
        page.write(certificate, lessons, name, date.today())
        console.print(f"Written to {certificate}.", markup=False, soft_wrap=True)


@app.command("exercises")
def exercises_command(
    lesson: Annotated[
        str | None, typer.Argument(metavar="LESSON", help="Only this one, as 05.")
    ] = None,
    also: Annotated[
        str | None, typer.Option("--lesson", "-l", metavar="LESSON", help="The same.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a list of objects, one an exercise.")
    ] = False,
) -> None:
    """List the exercises: lesson, number, points, and the mistakes that are known by name.

    Example: `rlcourse exercises 05` or `rlcourse exercises --json > exercises.json`.
    """
    lesson = also if lesson is None else lesson
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


@app.command("explain")
def explain_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A mistake, as a check names it, or an exercise.")
    ],
    lesson: Annotated[
        str | None,
        typer.Option(
            "--lesson", "-l", metavar="LESSON", help="Only in this lesson, as 05; sooner."
        ),
    ] = None,
) -> None:
    """Say what a mistake that is known by name means, and what to try next.

    Given an exercise, by name or as 5.3, it says that of all its mistakes.

    Example: `rlcourse explain bootstraps-terminal --lesson 05`.
    """
    from rich.padding import Padding
    from rich.text import Text

    chosen = paths.lesson_number(lesson, checker.lessons()) if lesson is not None else None
    if chosen is None and name[0].isdigit():
        chosen = paths.lesson_number(name, checker.lessons())
    listed = [
        (exercise, mistake)
        for exercise in map(checker.get, checker.names(chosen))
        for mistake in exercise.mistakes
        if name in (mistake.name, exercise.name, exercise.number)
    ]
    if not listed:
        where = f"lesson {chosen}" if chosen else "the course"
        raise paths.UsageError(
            f'There is no mistake and no exercise "{name}" in {where}: `rlcourse exercises` lists them.'
        )
    out = Console(highlight=False)
    for exercise, mistake in listed:
        out.print(f"{exercise.number} {exercise.name}: {mistake.name}", markup=False)
        told = f"{mistake.why} Look at equation {exercise.equation}. Try: {mistake.instead}"
        out.print(Padding(Text(told), (0, 0, 1, 2)))
