"""What an author runs on the lessons' sources: lessons, gate, build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rlcourse import checker
from rlcourse.cli.app import app
from rlcourse.lessons import paths
from rlcourse.lessons.paths import UsageError


def chosen(lessons: list[str] | None) -> dict[str, Path]:
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

    sources = chosen(lessons)
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


@app.command("gate", rich_help_panel="For authors")
def gate_command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="A file with exercises of your own.")
    ],
) -> None:
    """Say what is wrong with exercises of your own, before a student meets them.

    Right answers are taken, every known mistake is called by its name, and no answer without thought passes:
    what the course's own exercises have to pass. Exit status 1 if something does not hold.

    Example: `rlcourse gate ours.py`; `rlcourse/grading/README.md` shows such a file.
    """
    from rlcourse.checker.gate import problems

    wrong = False
    for file in files:
        try:
            exercises = checker.add(file)
        except checker.Unusable as error:
            raise UsageError(str(error)) from error
        for exercise in exercises:
            found = list(dict.fromkeys(problems(exercise)))
            wrong |= bool(found)
            print(f"{exercise.number} {exercise.name}: {'all right' if not found else ''}".rstrip())
            for problem in found:
                print(f"  {problem}")
    raise typer.Exit(wrong)


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
    atlas = Atlas.of(chosen(None).values())
    texts = build.build(chosen(lessons).values(), folder, atlas=atlas)
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
