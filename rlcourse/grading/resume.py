"""A run that is killed loses nothing: every record is on disk before the next one is begun.

`journal.jsonl` in the folder of the results holds a line a submission: the digest of all that the
record depends on, and the record. What a power cut leaves of a last line is passed over.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rlcourse
from rlcourse.lessons.paths import UsageError, write_atomically

from .marking import Course
from .submissions import Submission

NAME, SECRET = "journal.jsonl", "secret.txt"


def key_of(course: Course, submission: Submission) -> str:
    """A digest of whatever may change the record: the notebook, the student, the course, the limits."""
    told = asdict(submission)
    data = told.pop("data")
    told["data"] = None if data is None else hashlib.sha256(data).hexdigest()
    told["time"] = told["clock"] = None  # Being late is reckoned after marking.
    sandbox = course.sandbox
    limits = (sandbox.seconds, sandbox.memory, sandbox.kind)
    own = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in course.own]
    everything = (_course_digest(), own, course.lesson, course.secret, limits, told)
    text = json.dumps(everything, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def _course_digest() -> str:
    """A digest of the package: another version of the course may judge otherwise."""
    digest = hashlib.sha256()
    root = Path(rlcourse.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def secret_of(folder: Path) -> str:
    """The secret that an earlier run left in the folder of its results, else a new one."""
    try:
        kept = (folder / SECRET).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        kept = ""
    return kept or secrets.token_hex(16)


class Journal:
    """Records by digest, on disk as soon as they are added. To be used in a `with` statement.

    resume: go on with the journal that is there; otherwise it is begun anew; secret: one that was drawn,
    to be kept beside it, readable by its owner alone.
    Raises UsageError where the folder cannot be written to.
    """

    def __init__(self, folder: Path, resume: bool, secret: str = ""):
        self.path, self._resumed = folder / NAME, resume
        self._secret: Path | None = None
        self.records: dict[str, dict[str, Any]] = {}
        self._made = [p for p in (folder, *folder.parents) if not p.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if resume and self.path.exists():
                self.records = _read(self.path)
            self._rewrite(list(self.records))
            self._file = self.path.open("a", encoding="utf-8", newline="\n")
            if secret:
                self._keep(secret, folder / SECRET)
        except OSError as error:
            raise UsageError(
                f"Cannot write to {folder}: {error.strerror or error}. "
                "Choose another folder for --out."
            ) from error

    def add(self, key: str, record: dict[str, Any]) -> None:
        """Keep a record; when this returns it will be there after a power cut."""
        self.records[key] = record
        self._file.write(_line(key, record))
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def finish(self, keys: list[str]) -> None:
        """The run is done: keep the records of these digests, in this order."""
        self._file.close()
        self._rewrite(keys)

    def discard(self) -> None:
        """Leave nothing behind of a run that had to be refused, not even the folder."""
        self._file.close()
        if self._resumed:
            return
        self.path.unlink()
        if self._secret is not None:
            self._secret.unlink()
        for folder in self._made:
            folder.rmdir()

    def _keep(self, secret: str, path: Path) -> None:
        if path.exists():
            return
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secret + "\n")
        self._secret = path

    def _rewrite(self, keys: list[str]) -> None:
        write_atomically({self.path: "".join(_line(key, self.records[key]) for key in keys)})


def _line(key: str, record: dict[str, Any]) -> str:
    return json.dumps([key, record], ensure_ascii=False, sort_keys=True) + "\n"


def _read(path: Path) -> dict[str, dict[str, Any]]:
    records = {}
    for line in path.read_bytes().splitlines():
        try:
            key, record = json.loads(line)
        except ValueError:
            continue  # Cut off in the middle of writing: that submission is graded again.
        if isinstance(key, str) and isinstance(record, dict):
            records[key] = record
    return records
