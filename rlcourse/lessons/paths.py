"""Where the course's folders are, and the one kind of error that every command reports politely."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

LESSON_FILE = re.compile(r"(\d\d)_\w+")


class UsageError(Exception):
    """Something the user gave cannot be used; the message names it and says what to do.

    `rlcourse.cli.app.main` prints it without a traceback and exits with status 2.
    """


def root() -> Path:
    """The checkout: the folder of `solutions/` and `notebooks/`, here, above, or beside the package."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[2]):
        if (folder / "rlcourse").is_dir() and (folder / "solutions").is_dir():
            return folder
    raise UsageError(
        f"{here} is not inside a checkout of the course: "
        "go to the folder that holds rlcourse/, solutions/ and notebooks/, and try again."
    )


def release() -> Path:
    """The folder with `notebooks/` and `solutions/` of this very version: the checkout, or part of a wheel.

    Raises:
        UsageError: the package came without them.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "course", package.parent):
        if (folder / "notebooks").is_dir() and (folder / "solutions").is_dir():
            return folder
    raise UsageError(f"The lessons are missing beside {package}: install the course again.")


def solutions_folder() -> Path:
    return root() / "solutions"


def notebooks_folder() -> Path:
    return root() / "notebooks"


def build_folder() -> Path:
    """Where the site and the slides are built; nothing in it is kept in git."""
    return root() / "build"


def equations_file() -> Path:
    return root() / "rlcourse" / "exercises" / "equations.json"


def lesson_of(path: Path) -> str | None:
    """ "05" for `05_topic.py`, `05_topic.ipynb`; None for a file that is not named like a lesson."""
    match = LESSON_FILE.match(path.name)
    return match[1] if match else None


def lesson_files(folder: Path, suffix: str) -> dict[str, Path]:
    """The lessons in `folder`, as {"05": .../05_topic.py}, in order.

    Raises:
        UsageError: the folder is missing, or two files claim one lesson.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give the folder that it is in.")
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}: give the folder that holds the lessons.")
    found: dict[str, Path] = {}
    for path in sorted(folder.glob(f"*{suffix}")):
        lesson = lesson_of(path)
        if lesson is None:
            continue
        if lesson in found:
            raise UsageError(
                f"{found[lesson].name} and {path.name} in {folder} are both lesson {lesson}: "
                "keep one of them there."
            )
        found[lesson] = path
    return found


def lesson_number(text: str, known: tuple[str, ...]) -> str:
    """ "05" from "05", "5", "05_topic" or a path to a lesson's file.

    Raises:
        UsageError: no such lesson among `known`.
    """
    match = re.match(r"(\d{1,2})(?!\d)", Path(text).name)
    lesson = match[1].zfill(2) if match else text
    if lesson not in known:
        raise UsageError(
            f'There is no lesson "{text}": choose from {", ".join(known) or "none (none is there)"}.'
        )
    return lesson


def write_atomically(files: Mapping[Path, str | bytes]) -> None:
    """Write all the files, texts in UTF-8, or on any failure none: temporary neighbours first, then renames.

    Raises:
        UsageError: a folder cannot be written to.
    """
    waiting: list[tuple[str, Path]] = []
    try:
        for path, content in files.items():
            with tempfile.NamedTemporaryFile(
                dir=path.parent, prefix=".", suffix=".tmp", delete=False
            ) as file:
                waiting.append((file.name, path))
                file.write(content.encode() if isinstance(content, str) else content)
            # A temporary file is private (0600); the result gets the permissions of any new file.
            os.chmod(file.name, 0o666 & ~_umask())
        while waiting:
            temporary, path = waiting[0]
            os.replace(temporary, path)
            waiting.pop(0)
    except OSError as error:
        raise UsageError(
            f"Cannot write {path}: {error.strerror or error}. Choose a folder that you may write to."
        ) from error
    finally:
        for temporary, _ in waiting:
            Path(temporary).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
