"""Gradescope: `results.json` from a record, and the autograder bundle that makes it there.

Format: Gradescope's autograder specification. On Gradescope the bundle lies in /autograder/source,
`setup.sh` runs once, `run_autograder` for each submission, in a container of its own.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

import rlcourse
from rlcourse import checker
from rlcourse.lessons.paths import UsageError, write_atomically

from .. import feedback, results
from ..command import Interrupted, grade
from ..executors import NoSandbox
from . import Export, Options


def export(result: dict[str, Any], options: Options) -> Export:
    """STUDENT/results.json for every student."""
    named = results.file_names(result["submissions"])
    return Export({f"{name}/results.json": as_json(record) for name, record in named})


def as_json(record: dict[str, Any]) -> str:
    """One record as Gradescope's results.json."""
    tree = {
        # Given, it counts in place of the tests' sum: so that a penalty for lateness holds.
        "score": record["score"],
        "output": "\n".join(feedback.remarks(record)),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_test(mark) for mark in record["exercises"]],
    }
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"


def _test(mark: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": mark["name"],
        "number": mark["number"],
        "score": mark["score"],
        "max_score": mark["points"],
        "status": "passed" if mark["state"] == "passed" else "failed",
        "output": "\n".join(feedback.told(mark)),
        "tags": [mark["mistake"]] if mark["mistake"] else [],
        "visibility": "visible",
    }


# ---------------------------------------------------------------------------------- the bundle

# What grading imports; only lessons with networks need torch besides.
REQUIREMENTS = (
    "numpy",
    "gymnasium",
    "latex2mathml",
    "matplotlib",
    "psutil",
    "pygments",
    "rich",
    "typer",
)

SETUP = """#!/usr/bin/env bash
# Gradescope runs this once, when the image is built.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
apt-get update
apt-get install -y --no-install-recommends python3 python3-venv bubblewrap
python=python3
if ! $python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    apt-get install -y --no-install-recommends software-properties-common
    add-apt-repository -y ppa:deadsnakes/ppa
    apt-get install -y --no-install-recommends python3.12 python3.12-venv
    python=python3.12
fi
$python -m venv "$root/venv"
"$root/venv/bin/python" -m pip install --no-cache-dir \\
    --extra-index-url https://download.pytorch.org/whl/cpu -r "$root/source/requirements.txt"
"""

RUN = """#!/usr/bin/env bash
# Gradescope runs this for every submission, as /autograder/run_autograder.
set -eu
cd "$(dirname "$0")"
# Whatever the submission holds, it is not on the path: only the bundle is.
export PYTHONPATH="$PWD/source" PYTHONSAFEPATH=1
exec venv/bin/python -m rlcourse.grading.exports.gradescope "$PWD"
"""


def bundle(lesson: str, secret: str = "", seconds: float = 10.0) -> bytes:
    """The autograder of a lesson as a zip file, to be uploaded to Gradescope.

    lesson: "05"; secret: goes into the inputs' seeds; seconds: for each exercise.
    The same version of the course gives the same bytes.
    """
    settings = {"lesson": lesson, "secret": secret, "seconds": seconds}
    members = {
        "setup.sh": SETUP,
        "run_autograder": RUN,
        "requirements.txt": "".join(f"{line}\n" for line in requirements(lesson)),
        "settings.json": json.dumps(settings, ensure_ascii=False) + "\n",
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (*members.items(), *_package()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            script = name in ("setup.sh", "run_autograder")
            info.external_attr = (0o100755 if script else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, text)
    return stream.getvalue()


def write_bundle(out: Path, lesson: str, secret: str, seconds: float) -> None:
    """Write the bundle into the file `out`. Raises UsageError if it cannot be written."""
    data = bundle(lesson, secret, seconds)
    if out.is_dir():
        raise UsageError(f"{out} is a folder: give a file for --out, as autograder.zip.")
    write_atomically({out: data})


def requirements(lesson: str) -> list[str]:
    """The packages that grading a lesson needs, as they are installed here."""
    names = (*REQUIREMENTS, "torch") if checker.lesson(lesson).torch else REQUIREMENTS
    # A local label (2.13.0+cpu) exists only on one kind of machine.
    return [f"{name}=={importlib.metadata.version(name).split('+')[0]}" for name in names]


def _package() -> Iterator[tuple[str, bytes]]:
    root = Path(rlcourse.__file__).parent
    for path in sorted(root.rglob("*")):
        # `course` is where a wheel carries the lessons; grading needs none of them.
        if path.suffix in (".py", ".json") and not {"__pycache__", "course"} & {
            *path.relative_to(root).parts
        }:
            yield f"rlcourse/{path.relative_to(root).as_posix()}", path.read_bytes()


# --------------------------------------------------------------------------- inside the container


def main(root: Path) -> None:
    """Grade `root`/submission and write `root`/results/results.json, as Gradescope wants it.

    Raises:
        RuntimeError: the grader itself failed. Then nothing is written: Gradescope tells the
            teacher, and nobody gets a zero for it.
    """
    settings = json.loads((root / "source" / "settings.json").read_text(encoding="utf-8"))
    record = _grade(root / "submission", _student(root / "submission_metadata.json"), settings)
    if record["state"] == "grader failed":
        raise RuntimeError(record["reason"])
    (root / "results").mkdir(exist_ok=True)
    write_atomically({root / "results" / "results.json": as_json(record)})


def _student(metadata: Path) -> str:
    """Who handed it in, for the seed of the inputs: an e-mail address."""
    if not metadata.is_file():
        return "submission"
    users = json.loads(metadata.read_text(encoding="utf-8")).get("users") or [{}]
    return str(users[0].get("email") or users[0].get("id") or "submission").replace("/", "_")


def _grade(submission: Path, student: str, settings: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "submissions"
        shutil.copytree(submission, there / student, symlinks=True)
        return grade_alone(settings, there, Path(folder) / "out")


def grade_alone(settings: dict[str, Any], submission: Path, out: Path) -> dict[str, Any]:
    """The record of one submission; where nothing of the lesson is in it, one that says so."""
    try:
        result = _grade_as_can_be(settings, submission, out)
    except (NoSandbox, Interrupted):
        raise
    except UsageError:
        reason = "there is no notebook of this lesson in it"
        return {"state": "unreadable", "reason": reason, "notes": [], "score": 0, "exercises": []}
    (record,) = result["submissions"]
    return record


def _grade_as_can_be(settings: dict[str, Any], submissions: Path, out: Path) -> dict[str, Any]:
    """In a sandbox of its own; else in Gradescope's container, which is one for each submission."""

    def run(sandboxed: bool) -> dict[str, Any]:
        return grade(
            settings["lesson"],
            submissions,
            out,
            seconds=settings["seconds"],
            workers=1,
            secret=settings["secret"],
            sandboxed=sandboxed,
            console=Console(file=sys.stderr),
        )

    try:
        return run(sandboxed=True)
    except NoSandbox:
        print("bubblewrap does not work in this container: its walls are the only ones.")
        return run(sandboxed=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
