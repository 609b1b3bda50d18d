"""What a student's own folder is made and kept with: start, lab, update, reset, show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rlcourse import __version__, checker
from rlcourse.cli.app import app
from rlcourse.lessons import working

_FOLDER = typer.Option(
    "--folder", "-f", metavar="FOLDER", help="Your folder, if it is not this one or my-course here."
)
_EXERCISE = typer.Argument(metavar="EXERCISE", help="Its number, as 5.3, or its name.")


@app.command("start")
def start_command(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder to work in; made if need be.")
    ] = Path(working.USUAL_NAME),
) -> None:
    """Make a folder of your own with the course's notebooks, to work in.

    A notebook that is there already stays as it is, so this can be run again at any time.

    Example: `rlcourse start my-course`, then `rlcourse lab my-course`.
    """
    started = working.start(folder)
    console = Console(highlight=False)
    if started.copied:
        console.print(f"{len(started.copied)} notebooks are in {folder}.", markup=False)
    if started.kept:
        kept = f"{len(started.kept)} notebooks were in {folder} already and stayed as they are"
        console.print(f"{kept}; `rlcourse update` brings what is new.", markup=False)


@app.command("lab", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab_command(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Your folder, if it is not this one."),
    ] = None,
) -> None:
    """Open JupyterLab in your folder, at the notebook that you worked on last.

    What follows the folder goes to JupyterLab.

    Example: `rlcourse lab my-course` or `rlcourse lab my-course --port 9999`.
    """
    from rlcourse.lessons.opening import open_lab

    place = working.require(folder)
    if working.is_behind(place):
        print("The course has a newer version of your notebooks: `rlcourse update` brings it.")
    open_lab(place, context.args)


@app.command("update")
def update_command(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Your folder, if it is not this one."),
    ] = None,
) -> None:
    """Bring your notebooks up to the version of the course that is installed, and say what is new.

    Your answers and your own cells stay. A notebook with work in it is kept as NAME.ipynb.bak as well.

    Example: `rlcourse update` after `pip install --upgrade rlcourse` or `git pull`.
    """
    console = Console(highlight=False)
    changed = working.update(working.require(folder))
    for one in changed:
        console.print(f"{one.notebook.name}: {_told(one)}", markup=False, soft_wrap=True)
    if not changed:
        console.print(f"Nothing is new: the notebooks are those of rlcourse {__version__}.")
    else:
        console.print("Open in JupyterLab? Then choose File → Reload Notebook from Disk.")


def _told(one: working.Updated) -> str:
    """What an update has done with one lesson, as a sentence."""
    news = one.news
    if one.is_new:
        return "a new lesson"
    told = [f"{news.cells} text{'s' if news.cells != 1 else ''} or examples changed"]
    for names, what in (
        (news.added, "new: "),
        (news.gone, "no exercise any more: "),
        (news.other, "look again, its first lines have changed: "),
    ):
        told += [what + ", ".join(map(_numbered, names))] if names else []
    if news.answered:
        told.append(f"{len(news.answered)} answers kept")
    if news.doubled:
        told.append(f"{news.doubled} cells that you had changed, too, stand beside the new ones")
    if one.backup:
        told.append(f"as it was: {one.backup.name}")
    return "; ".join(told)


def _numbered(name: str) -> str:
    return f"{checker.get(name).number} {name}" if name in checker.names() else name


@app.command("reset")
def reset_command(
    exercise: Annotated[str, _EXERCISE],
    folder: Annotated[Path | None, _FOLDER] = None,
) -> None:
    """Give one exercise back as it was handed out; your answer stays below it, as plain text.

    Example: `rlcourse reset 5.3`.
    """
    wanted = working.exercise_named(exercise, checker)
    place = working.require(folder)
    console = Console(highlight=False)
    title, notebook = f"{wanted.number} {wanted.name}", working.notebook_of(wanted.lesson, place)
    if not working.reset(wanted, place):
        console.print(f"{title} is as it was handed out.", markup=False)
        return
    console.print(
        f"{title} in {notebook} is open again; your answer stands below it as plain text. "
        "Open in JupyterLab? Then choose File → Reload Notebook from Disk.",
        markup=False,
        soft_wrap=True,
    )


@app.command("show")
def show_command(
    exercise: Annotated[str, _EXERCISE],
    folder: Annotated[Path | None, _FOLDER] = None,
) -> None:
    """Show the lesson's own answer to an exercise that you have tried.

    One right answer of several: the check accepts others, too.

    Example: `rlcourse show 5.4`.
    """
    from rich.syntax import Syntax

    wanted = working.exercise_named(exercise, checker)
    text = working.solution(wanted, working.require(folder))
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(Syntax(text, "python", theme="ansi_dark", background_color="default"))
    else:
        print(text)
