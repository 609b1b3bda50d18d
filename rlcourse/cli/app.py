"""The application that every subcommand joins, and what all of them share."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rlcourse import __version__, checker
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
    """Run the command line and exit: 0 all right, 1 something is not right, 2 unusable input.

    Whoever ends it, by ^C (130) or by SIGTERM (143), gets the same tidy end.
    """
    ended = 130

    def stop(*_: object) -> None:
        nonlocal ended
        ended = 143
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
    for stream in (sys.stdout, sys.stderr):
        # Windows writes to a pipe in an alphabet without ✓ or γ: a "?" there is no reason to stop.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app(arguments, prog_name="rlcourse")
    except UsageError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except checker.Unknown as error:
        print(f"{error} `rlcourse exercises` lists them all.", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as end:
        # Typer makes an exit with 130 of a KeyboardInterrupt.
        if isinstance(end, SystemExit) and end.code != 130:
            raise
        print("Stopped.", file=sys.stderr)
        sys.exit(ended)
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


def tell_written(path: Path) -> None:
    """Say where a command has put what it made."""
    Console(highlight=False).print(f"Written to {path}.", markup=False, soft_wrap=True)


COURSE = typer.Option(
    "--course",
    metavar="FILE",
    help="What the class has agreed on: deadlines, penalty, students, weights.",
    show_default="course.toml of this folder, if there is one",
)
SECONDS = typer.Option(
    min=0.1,
    help="Processor seconds for each exercise of a submission; six times as many by the clock.",
)
