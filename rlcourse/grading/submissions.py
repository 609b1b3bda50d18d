"""Find the submissions in whatever a learning platform gave out.

A folder of notebooks, a folder with a folder a student, a zip of either, or one notebook. Every
file becomes part of a submission or is named as odd; none is lost.
"""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path, PurePosixPath

from rlcourse.lessons.paths import UsageError, lesson_of

from . import zips
from .results import listed
from .students import by_platform

MAX_BYTES = 32 * 2**20  # of a file
MAX_ARCHIVE = 2**30  # of a zip, and of what is in it
MAX_STUDENT = 2**26  # of the notebooks in one student's zip
MAX_FILES = 20_000
NOISE = ("__MACOSX", "Thumbs.db", "desktop.ini")
_NOTEBOOK = re.compile(r"\.ipynb(\.json|\.txt)?$", re.IGNORECASE)
LOCAL_CLOCK = "by the clock of the computer that wrote the zip file, whose zone is not known"


@dataclass(frozen=True)
class Submission:
    """One student's notebook: `data`, or the reason why there is none.

    student: from the folder's name, or the file's; file: where it was found, for the report;
    notes: oddities to tell the teacher; time: when the file was last changed, in seconds since 1970;
    clock: by whose clock, where that is not certain.
    """

    student: str
    file: str
    data: bytes | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()
    time: float | None = None
    clock: str = ""


@dataclass(frozen=True)
class _File:
    parts: tuple[str, ...]
    data: bytes | None
    problem: str = ""
    time: float | None = None
    clock: str = ""

    @property
    def name(self) -> str:
        return "/".join(self.parts)


def collect(
    path: Path,
    lesson: str,
    whose: Callable[[str], str] = str,
    every_attempt: bool = False,
    only: Collection[str] | None = None,
) -> list[Submission]:
    """The submissions of a lesson ("05") under `path`, sorted by student.

    whose: the student, from the name of the outermost folder or of the loose file;
    every_attempt: all notebooks of a student, in order, not only the last; only: names of the files to look
    at, as `survey` gives them, where it is known already which are the lesson's.
    Raises:
        UsageError: there is nothing there, or nothing that could be a submission.
    """
    files = [file for file in _found(path) if only is None or file.name in only]
    files.sort(key=lambda file: file.parts)
    _require_notebooks([file.parts[-1] for file in files], path)
    if path.is_file() and all(file.data is None for file in files):
        raise UsageError(f"{path} cannot be used: {files[0].problem}.")
    named = by_platform({_student(file) for file in files})
    by_student: dict[str, list[_File]] = {}
    for file in files:
        name = _student(file)
        student = whose(name)
        by_student.setdefault(named.get(name, name) if student == name else student, []).append(
            file
        )
    return [
        submission
        for student in sorted(by_student)
        for submission in _choose(student, by_student[student], lesson, every_attempt)
    ]


def survey(path: Path, look: Callable[[str, bytes | None], None]) -> None:
    """Show `look` every file under `path`, one at a time: its name, and its data if it is a notebook.

    Raises:
        UsageError: there is nothing there, or nothing that could be a submission.
    """
    names = []
    for file in _found(path):
        names.append(file.parts[-1])
        look(file.name, file.data if _is_notebook(file.parts[-1]) else None)
    _require_notebooks(names, path)


def _found(path: Path) -> Iterator[_File]:
    if not path.exists():
        raise UsageError(f"There is no folder or file {path}: check where the submissions are.")
    return _open_archives(_files(path), path)


def _require_notebooks(names: Sequence[str], path: Path) -> None:
    if not names:
        raise UsageError(f"{path} holds no files: give the folder with the students' notebooks.")
    if not any(map(_is_wanted, names)):
        raise UsageError(f"{path} holds no notebooks (.ipynb): is it the right folder?")


def _files(path: Path) -> Iterator[_File]:
    if path.is_file():
        yield _read(path, (path.name,))
        return
    try:
        entries = sorted(path.rglob("*"))
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error
    if len(entries) > MAX_FILES:
        raise UsageError(f"{path} holds more than {MAX_FILES} files: is it the right folder?")
    for entry in entries:
        parts = entry.relative_to(path).parts
        if _is_noise(parts):
            continue
        if entry.is_symlink():
            yield _File(parts, None, "it is a symbolic link, which is not followed")
        elif entry.is_file():
            yield _read(entry, parts)
        elif not entry.is_dir():
            yield _File(parts, None, "it is not a file that can be read")
        elif len(parts) == 1:
            # Found even if nothing in it is: a student must not be lost.
            yield _File((*parts, ""), None, "the folder is empty")


def _read(path: Path, parts: tuple[str, ...]) -> _File:
    try:
        if not _is_wanted(path.name):
            return _File(parts, b"")
        most = MAX_ARCHIVE if path.suffix.lower() == ".zip" else MAX_BYTES
        if path.stat().st_size > most:
            return _File(parts, None, f"it is larger than {most >> 20} MiB")
        return _File(parts, path.read_bytes(), time=path.stat().st_mtime)
    except OSError as error:
        return _File(parts, None, f"it cannot be read: {error.strerror or error}")


def _is_wanted(name: str) -> bool:
    """Whether anybody will look into the file: what else students hand in may be large, and stays unread."""
    return _is_notebook(name) or name.lower().endswith(".zip")


def _is_notebook(name: str) -> bool:
    """By its name; browsers and Moodle put one of the two behind it."""
    return _NOTEBOOK.search(name) is not None


def _is_noise(parts: tuple[str, ...]) -> bool:
    """Whether nobody handed it in: what systems leave behind. A notebook with a dot in front was handed in."""
    *folders, file = parts
    hidden = any(part in NOISE or part.startswith(".") for part in folders)
    return hidden or file in NOISE or (file.startswith(".") and not _is_hidden_notebook(file))


def _is_hidden_notebook(file: str) -> bool:
    return _is_wanted(file) and not file.startswith("._")  # those are macOS's own


def _open_archives(files: Iterator[_File], path: Path) -> Iterator[_File]:
    """Replace zip files by what is in them; a zip inside a student's zip is left closed.

    A zip is its student's, and what is in it comes under its name; only where there is nothing else
    can it be the whole class's.
    """
    first = list(islice(files, 2))
    if len(first) == 1 and _is_zip(first[0]):
        inside = list(_members(first[0], MAX_ARCHIVE))
        wanted = sum(_is_wanted(file.parts[-1]) for file in inside)
        if wanted and (path.is_file() or wanted > 1):
            first = _without_wrapper(inside)
    for file in chain(first, files):
        if not _is_zip(file):
            yield file
            continue
        own = list(_members(file, MAX_STUDENT)) or [_File(("",), None, "the zip file is empty")]
        above = (*file.parts[:-1], file.parts[-1][:-4])
        yield from (replace(f, parts=(*above, *f.parts)) for f in own)


def _is_zip(file: _File) -> bool:
    return file.data is not None and file.parts[-1].lower().endswith(".zip")


def _without_wrapper(files: list[_File]) -> list[_File]:
    """Files of a class, without the one folder that a zip program put around all of them."""
    wanted = [f.parts for f in files if _is_wanted(f.parts[-1])]
    several = len({parts[1] for parts in wanted if len(parts) > 1}) > 1
    if not several or len({f.parts[0] for f in files}) > 1:
        return files
    return [replace(f, parts=f.parts[1:]) for f in files if len(f.parts) > 1]


_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, RuntimeError, ValueError, EOFError,
)  # fmt: skip


def _members(file: _File, budget: int) -> Iterator[_File]:
    """What is in a zip, read until `budget` bytes are reached; the rest is named as too large."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(file.data))
        if len(archive.infolist()) > MAX_FILES:
            raise ValueError(f"it holds more than {MAX_FILES} files")
        for info in archive.infolist():
            # Paths that climb out of the archive are only names here: nothing is ever unpacked.
            name = zips.name_of(info)
            parts = tuple(p for p in PurePosixPath(name).parts if p not in ("/", "..", "."))
            if not parts or _is_noise(parts):
                continue
            if name.endswith("/"):
                if len(parts) == 1:
                    yield _File((*parts, ""), None, "the folder is empty")
                continue
            if not _is_wanted(parts[-1]):
                yield _File(parts, b"")
                continue
            if info.file_size > MAX_BYTES or info.file_size > budget:
                yield _File(parts, None, "it is too large when unpacked")
                continue
            with archive.open(info) as stream:
                data = stream.read(info.file_size + 1)
            budget -= len(data)
            if len(data) > info.file_size:
                yield _File(parts, None, "the archive lies about its size")
            else:
                when, in_utc = zips.time_of(info)
                yield _File(parts, data, time=when, clock="" if in_utc else LOCAL_CLOCK)
    except _DAMAGE as error:
        yield _File((file.parts[-1],), None, f"the zip file cannot be opened: {error}")


def _student(file: _File) -> str:
    """The student's name: of the outermost folder, or of a file that lies loose."""
    if len(file.parts) > 1:
        return file.parts[0]
    name = file.parts[0].lstrip(".")
    return _stem(name) if _is_notebook(name) else PurePosixPath(name).stem


def _choose(student: str, files: list[_File], lesson: str, every: bool) -> list[Submission]:
    """The one notebook of a student that is marked, or all of them; what else could be meant is noted."""
    notebooks = [f for f in files if _is_notebook(f.parts[-1])]
    readable = [f for f in notebooks if f.data is not None]
    # Whoever hands in the whole folder of the course means the notebook of this lesson.
    named = [f for f in readable if lesson_of(Path(f.parts[-1])) == lesson]
    if not notebooks:
        first = next((f for f in files if f.parts[-1]), files[0])
        what = first.problem or f"{first.parts[-1]!r} is not a notebook"
        return [Submission(student, first.name.rstrip("/"), None, what)]
    attempts = sorted(named or readable or notebooks, key=_in_order)
    chosen = attempts if every else attempts[-1:]
    others = [repr(f.parts[-1]) for f in attempts[:-1]]
    note = f"several notebooks: marked {attempts[-1].parts[-1]!r}, not {listed(others)}"
    notes = (note,) if others and not every else ()
    return [Submission(student, f.name, f.data, f.problem, notes, f.time, f.clock) for f in chosen]


def _in_order(file: _File) -> list[list[tuple[str, int]]]:
    """Sorts names as people do: attempt 2 before attempt 10, and `hw` before `hw-1`."""
    return [
        [(text, int(digits[:18] or -1)) for text, digits in re.findall(r"(\D*)(\d*)", _stem(part))]
        for part in file.parts
    ]


def _stem(part: str) -> str:
    return _NOTEBOOK.sub("", part)
