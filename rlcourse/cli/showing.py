"""What shows the lessons to others: site, slides. Both need the extra `site`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rlcourse.cli.app import COURSE, app
from rlcourse.cli.authoring import chosen
from rlcourse.lessons import paths

_LESSONS = typer.Argument(metavar="LESSON", help="Lessons to show, as 05; all if none is given.")
_SOLVED = typer.Option("--solved", help="With the answers, and what the checks say of them.")


def _tell(line: str) -> None:
    print(line, flush=True)


@app.command("site", rich_help_panel="For authors")
def site_command(
    lessons: Annotated[list[str] | None, _LESSONS] = None,
    solved: Annotated[bool, _SOLVED] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="The folder to build in.",
            show_default="build/site, or build/site-solved",
        ),
    ] = None,
    course: Annotated[Path | None, COURSE] = None,
) -> None:
    """Build the course's web site, which works from a folder and without a network.

    The lessons are run once, about eight minutes of processor for all; after that only what has changed.
    The answers are left out, unless --solved. What a `course.toml` says of the course, its deadlines and the
    exercises that count stands on the pages. Needs the extra `site`; with Chromium or Chrome installed, each
    lesson can be downloaded as a PDF, too.

    Example: `rlcourse site`, then open build/site/html/index.html.
    """
    from rlcourse.grading import announcing, course_file
    from rlcourse.lessons import site

    sources, agreed = chosen(lessons), course_file.find(course)
    built = site.build(
        sources,
        out or paths.build_folder() / ("site-solved" if solved else "site"),
        paths.build_folder() / "executed",
        solved=solved,
        notices=announcing.notices(agreed, sources),
        tell=_tell,
    )
    if built.without_pdf:
        print(f"Without PDFs: {built.without_pdf}.")
    print(f"Open {built.index}.")


@app.command("slides", rich_help_panel="For authors")
def slides_command(
    lessons: Annotated[list[str] | None, _LESSONS] = None,
    solved: Annotated[bool, _SOLVED] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="The folder to write to.",
            show_default="build/slides, or build/slides-solved",
        ),
    ] = None,
) -> None:
    """Make slides of lessons: for each one HTML file, which needs no network and nothing installed.

    The keys: arrows or space to go on, S for the speaker's notes, O for an overview, F for the whole screen.
    The answers are left out, unless --solved. Needs the extra `site`.

    Example: `rlcourse slides 05`.
    """
    from rlcourse.lessons import slides
    from rlcourse.lessons.executed import executed
    from rlcourse.lessons.linking import Atlas

    folder = out or paths.build_folder() / ("slides-solved" if solved else "slides")
    store = paths.build_folder() / "executed"
    for source in chosen(lessons).values():
        # Slides have no links: an empty atlas.
        notebook = executed(source, store, solved=solved, atlas=Atlas(), tell=_tell)
        target = folder / f"{source.stem}.html"
        slides.write_deck(notebook, target, solved=solved)
        print(f"written {target}", flush=True)
