"""Find the submissions in whatever a learning platform gave out.

A folder of notebooks, a folder with a folder a student, a zip of either, or one notebook. Every
file becomes part of a submission or is named as odd; none is lost.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rlcourse.paths import UsageError

MAX_BYTES = 128 * 2**20
MAX_FILES = 20_000
NOISE = ("__MACOSX", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Submission:
    """One student's notebook: `data`, or the reason why there is none.

    student: from the folder's name, or the file's; file: where it was found, for the report;
    notes: oddities to tell the teacher.
    """

    student: str
    file: str
    data: bytes | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _File:
    parts: tuple[str, ...]
    data: bytes | None
    problem: str = ""

    @property
    def name(self) -> str:
        return "/".join(self.parts)


def collect(path: Path) -> list[Submission]:
    """The submissions under `path`, sorted by student.

    Raises:
        UsageError: there is nothing there, or nothing that could be a submission.
    """
    if not path.exists():
        raise UsageError(f"There is no folder or file {path}: check where the submissions are.")
    files = sorted(_open_archives(_files(path)), key=lambda f: f.parts)
    if not files:
        raise UsageError(f"{path} holds no files: give the folder with the students' notebooks.")
    if not any(file.parts[-1].lower().endswith((".ipynb", ".zip")) for file in files):
        raise UsageError(f"{path} holds no notebooks (.ipynb): is it the right folder?")
    by_student: dict[str, list[_File]] = {}
    for file in files:
        by_student.setdefault(_student(file), []).append(file)
    return [_choose(student, by_student[student]) for student in sorted(by_student)]


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
        elif entry.is_dir() and len(parts) == 1 and not any(entry.iterdir()):
            yield _File((*parts, ""), None, "the folder is empty")


def _read(path: Path, parts: tuple[str, ...]) -> _File:
    try:
        if path.stat().st_size > MAX_BYTES:
            return _File(parts, None, f"it is larger than {MAX_BYTES >> 20} MiB")
        return _File(parts, path.read_bytes())
    except OSError as error:
        return _File(parts, None, f"it cannot be read: {error.strerror or error}")


def _is_noise(parts: tuple[str, ...]) -> bool:
    return any(part in NOISE or part.startswith(".") for part in parts)


def _open_archives(files: Iterator[_File]) -> Iterator[_File]:
    """Replace zip files by what is in them; a zip inside a zip is left closed."""
    for file in files:
        if file.data is None or not file.parts[-1].lower().endswith(".zip"):
            yield file
            continue
        # The files of a zip that is one student's come under its name, the class's zip under none.
        inside = list(_members(file))
        alone = len({f.parts[0] for f in inside}) == 1 and len(file.parts) == 1 and len(inside) == 1
        prefix = (file.parts[-1][:-4],) if alone or len(file.parts) > 1 else ()
        yield from (_File((*file.parts[:-1], *prefix, *f.parts), f.data, f.problem) for f in inside)


def _members(file: _File) -> Iterator[_File]:
    budget = 8 * MAX_BYTES
    try:
        archive = zipfile.ZipFile(io.BytesIO(file.data))
        for info in archive.infolist()[:MAX_FILES]:
            # Paths that climb out of the archive are only names here: nothing is ever unpacked.
            parts = tuple(
                p for p in PurePosixPath(info.filename).parts if p not in ("/", "..", ".")
            )
            if info.is_dir() or not parts or _is_noise(parts):
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
                yield _File(parts, data)
    except (
        zipfile.BadZipFile,
        OSError,
        RuntimeError,
        NotImplementedError,
        ValueError,
        EOFError,
    ) as error:
        yield _File((file.parts[-1],), None, f"the zip file cannot be opened: {error}")


def _student(file: _File) -> str:
    """The student's name: of the outermost folder, or of a file that lies loose."""
    if len(file.parts) > 1:
        return file.parts[0]
    return PurePosixPath(file.parts[0]).stem


def _choose(student: str, files: list[_File]) -> Submission:
    """The one notebook of a student that is marked; what else was there is noted."""
    notebooks = [f for f in files if f.parts[-1].lower().endswith(".ipynb")]
    readable = [f for f in notebooks if f.data is not None]
    if not notebooks:
        first = files[0]
        what = first.problem or f"{first.parts[-1]!r} is not a notebook"
        return Submission(student, first.name.rstrip("/"), None, what)
    chosen = (readable or notebooks)[-1]
    others = [f.parts[-1] for f in notebooks if f is not chosen]
    notes = (f"several notebooks: marked {chosen.parts[-1]!r}, not {', '.join(map(repr, others))}",)
    return Submission(student, chosen.name, chosen.data, chosen.problem, notes if others else ())
