"""From the one result file to what learning platforms read: `rlcourse export`.

gradescope   results.json for each student, and the autograder bundle
classroom50  result.json of Classroom 50, inside its runner
canvas       a Canvas gradebook export with the lesson's column filled in
moodle       a Moodle grading worksheet filled in, or a CSV for the grade book
junit        JUnit XML: a test suite a student, a test case an exercise
nbgrader     a course folder whose `nbgrader autograde` gives these marks
moodle-feedback, canvas-feedback
             the feedback pages in one zip, by whose names the platform finds the students
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from rlcourse.lessons.paths import UsageError, write_atomically

from ..results import has_mark, is_excused

FORMATS = (
    *("gradescope", "classroom50", "canvas", "moodle", "junit", "nbgrader"),
    *("moodle-feedback", "canvas-feedback"),
)

_AS_EXCUSED = {"canvas": "EX in Canvas", "junit": "skipped"}


@dataclass(frozen=True)
class Options:
    """gradebook: the platform's own file, to fill in; column: of the lesson, in that file;
    overwrite: also where the platform has a mark already."""

    gradebook: Path | None = None
    column: str | None = None
    overwrite: bool = False


@dataclass
class Export:
    """What is to be written, and what the teacher should be told.

    files: path below the output folder -> text; or, where the output is one file, its text or its bytes;
    unmarked: students who have no mark, because the grader failed on them.
    """

    files: dict[str, str] | str | bytes
    notes: list[str] = field(default_factory=list)
    unmarked: list[str] = field(default_factory=list)


def export(result: dict[str, Any], to: str, out: Path, options: Options) -> Export:
    """Write `result` in the format `to` and return what was written, with the notes for the teacher.

    Whom the grader failed on is left out, but for junit, which tells errors from marks; so is who is
    excused, but for canvas and junit, which have a word for it.

    out: a folder for gradescope and nbgrader, else a file.
    Raises:
        UsageError: something given cannot be used; then nothing has been written.
    """
    if to not in FORMATS:
        raise UsageError(f'There is no format "{to}": choose from {", ".join(FORMATS)}.')
    records = result["submissions"]
    excused = [record for record in records if is_excused(record)]
    marked = [record for record in records if has_mark(record) and not is_excused(record)]
    unmarked = [record["student"] for record in records if not has_mark(record)]
    if unmarked and not marked and not excused:
        raise UsageError(f"Nobody has a mark: the grader failed on {', '.join(unmarked)}.")
    told = {"junit": records, "canvas": [r for r in records if r in marked or r in excused]}
    made: Export = import_module(f".{to.replace('-', '_')}", __name__).export(
        result | {"submissions": told.get(to, marked)}, options
    )
    write(made.files, out)
    made.notes += [
        f"{record['student']}: 0 points, because there was nothing to mark: {record['reason']}"
        for record in marked
        if record["state"] != "graded" and not record["score"]
    ]
    made.notes += [
        f"{record['student']}: excused, {_AS_EXCUSED.get(to, 'no mark')}" for record in excused
    ]
    made.notes += [f"{student}: no mark, the grader failed on it" for student in unmarked]
    made.unmarked = unmarked
    return made


def write(files: dict[str, str] | str | bytes, out: Path) -> None:
    """Write one content into the file `out`, or several below the folder `out`; all or none."""
    single = isinstance(files, str | bytes)
    if single and out.is_dir():
        raise UsageError(f"{out} is a folder: give a file for --out.")
    if not single and out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file: give a folder for --out.")
    texts = {out: files} if single else {out / name: text for name, text in files.items()}
    made: list[Path] = []
    try:
        for folder in sorted({path.parent for path in texts}):
            missing = [p for p in (folder, *folder.parents) if not p.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            made += reversed(missing)
        write_atomically(texts)
    except (OSError, UsageError) as error:
        for folder in reversed(made):
            with contextlib.suppress(OSError):  # Somebody else may have put something there.
                folder.rmdir()
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"Cannot write to {out}: {error.strerror or error}. Choose another place for --out."
        ) from error
