"""Sets the course up in a checkout without `make`: `python -m rlcourse.setup`, on Windows as elsewhere.

Makes the environment `.venv` beside this package and installs the course into it, editable, with the pinned
versions; `--test` adds what the tests need, `--site` what the site and the slides need. `make` calls this as well. Standard library alone: it runs first.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
EXTRAS = {"test": "also what the tests need", "site": "also what the site and the slides need"}


class NotSetUp(Exception):
    """The set-up cannot go on; the message says why, in one sentence."""


def scripts(venv: Path, platform: str = os.name) -> Path:
    """Where an environment keeps its programs."""
    return venv / ("Scripts" if platform == "nt" else "bin")


def python_of(venv: Path, platform: str = os.name) -> Path:
    return scripts(venv, platform) / ("python.exe" if platform == "nt" else "python")


def works(python: Path) -> bool:
    """Whether this Python is there, new enough, and has pip."""
    test = f"import sys, pip; sys.exit(sys.version_info < {OLDEST})"
    try:
        return subprocess.run([str(python), "-c", test], capture_output=True).returncode == 0
    except OSError:
        return False


def require_python() -> None:
    """Raises NotSetUp if the Python that runs this cannot make the environment."""
    if sys.version_info < OLDEST:
        raise NotSetUp(
            "The course needs Python 3.11 or newer, and this is "
            f"{sys.version_info[0]}.{sys.version_info[1]}: run it with a newer one."
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise NotSetUp(
            f"{sys.executable} has no venv and pip: install them (on Debian and Ubuntu the package "
            "python3-venv), then run this again."
        ) from None


def stamps(venv: Path, extras: Sequence[str]) -> list[Path]:
    """What `make` looks for: files that are written last and name this folder, one for each part."""
    return [venv / ".set-up", *(venv / f".set-up-{extra}" for extra in extras)]


def commands(venv: Path, extras: Sequence[str]) -> list[list[str]]:
    """What pip is told: first what builds the package, then the course."""
    pip = [str(python_of(venv)), "-m", "pip", "install", "--disable-pip-version-check"]
    pip += ["--root-user-action=ignore", "--constraint", "constraints.txt"]
    course = f".[{','.join(extras)}]" if extras else "."
    return [[*pip, "setuptools>=77"], [*pip, "--no-build-isolation", "--editable", course]]


def set_up(extras: Sequence[str] = ()) -> None:
    """Make `.venv` if it is not there, and install the course. Raises NotSetUp."""
    if not works(python_of(VENV)):
        require_python()
        version = ".".join(map(str, sys.version_info[:3]))
        print(
            f"Setting up {VENV.name} with Python {version}. This happens once and takes some minutes."
        )
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    for stamp in stamps(VENV, extras):
        stamp.unlink(missing_ok=True)
    for command in commands(VENV, extras):
        if subprocess.run(command, cwd=ROOT).returncode:
            raise NotSetUp(
                "The set-up did not finish; the reason is above. Run it again to take it up."
            )
    if "test" in extras:
        _prepare_for_authors(VENV)
    for stamp in stamps(VENV, extras):
        stamp.write_text(f"{ROOT}\n", encoding="utf-8")


def _prepare_for_authors(venv: Path) -> None:
    """JupyterLab opens `solutions/*.py` as notebooks, and keeps nbgrader's menus to itself."""
    viewers = {
        "@jupyterlab/docmanager-extension:plugin": {
            "defaultViewers": {"python": "Jupytext Notebook"}
        }
    }
    without = {"disabledExtensions": {"@jupyter/nbgrader": True}}
    for place, settings in (
        (venv / "share/jupyter/lab/settings/overrides.json", viewers),
        (venv / "etc/jupyter/labconfig/page_config.json", without),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(settings) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """The command line: set up, then say what comes next."""
    parser = argparse.ArgumentParser(
        prog="python -m rlcourse.setup",
        description="Set the course up in .venv, in this folder. Run it again after an update.",
    )
    for extra, told in EXTRAS.items():
        parser.add_argument(f"--{extra}", action="store_true", help=told)
    chosen = vars(parser.parse_args(arguments))
    try:
        set_up([extra for extra in EXTRAS if chosen[extra]])
    except NotSetUp as reason:
        print(reason, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("Stopped; run it again to take it up.", file=sys.stderr)
        sys.exit(130)
    if "MAKELEVEL" not in os.environ:
        program = scripts(VENV).relative_to(ROOT) / "rlcourse"
        print(f"Ready. Now: {program} start my-course, then {program} lab my-course")


if __name__ == "__main__":
    main()
