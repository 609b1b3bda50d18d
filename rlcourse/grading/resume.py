"""A run that is killed loses nothing: every record is on disk before the next one is begun.

`journal.jsonl` in the folder of the results holds a line a submission: a digest of the submission, digests
of what else its record rests on, and the record. What a power cut leaves of a last line is passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlcourse.lessons.paths import UsageError, write_atomically
from rlcourse.lessons.scratch import Held, Lock

from .judges import Basis
from .marking import GRADED, Task
from .results import has_mark
from .submissions import Submission

NAME, LOCK, SECRET = "journal.jsonl", "journal.lock", "secret.txt"


def key_of(submission: Submission) -> str:
    """A digest of a submission: whose it is, where it was, what is in it."""
    told = asdict(submission)
    data = told.pop("data")
    told["data"] = None if data is None else hashlib.sha256(data).hexdigest()
    told["time"] = told["clock"] = None  # Being late is reckoned after marking.
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def secret_of(folder: Path) -> str:
    """The secret that an earlier run left in the folder of its results, else a new one."""
    try:
        kept = (folder / SECRET).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        kept = ""
    return kept or secrets.token_hex(16)


@dataclass(frozen=True)
class Entry:
    """A line of the journal: a record, and what it rests on."""

    basis: Basis
    record: dict[str, Any]


# -------------------------------------------------------------------------- what is graded again


@dataclass(frozen=True)
class Again:
    """What to grade anew, whether it needs it or not: of these students (none named: of all) these exercises."""

    exercises: tuple[str, ...] = ()
    students: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.exercises or self.students)


def plan(
    submissions: Iterable[Submission],
    entries: dict[str, Entry],
    basis: Basis,
    again: Again | None = None,
) -> tuple[list[Task], list[str]]:
    """What is to be graded, and lines that say what of it is graded again, and why.

    With `again`, what it does not name keeps its record, also one that the course would judge anew.
    """
    tasks, why, kept = [], Counter(), 0
    known = {(entry.record["student"], entry.record["file"]) for entry in entries.values()}
    for submission in submissions:
        entry = entries.get(key_of(submission))
        if entry is None:
            why["the notebook has changed"] += (submission.student, submission.file) in known
            tasks.append(Task(submission))
            continue
        outdated = _outdated(entry, basis)
        if again and not (again.students and submission.student not in again.students):
            outdated = "it was asked for", again.exercises
        elif again:
            kept += outdated is not None
            continue
        if outdated is None:
            continue
        reason, exercises = outdated
        usable = entry.record["state"] == GRADED and entry.basis.settings == basis.settings
        tasks.append(
            Task(submission, exercises, entry.record) if exercises and usable else Task(submission)
        )
        why[reason] += 1
    lines = [
        f"Graded again, because {reason}: {_submissions(n)}." for reason, n in why.items() if n
    ]
    if kept:
        lines.append(
            f"Kept, though the course would judge them anew by now: {_submissions(kept)}. "
            "The same command with --resume alone grades them again."
        )
    return tasks, lines


def _submissions(count: int) -> str:
    return f"{count} submission{'' if count == 1 else 's'}"


def _outdated(entry: Entry, basis: Basis) -> tuple[str, tuple[str, ...]] | None:
    """Why a record does not stand any more, and for which exercises (none named: all); None if it stands."""
    if not has_mark(entry.record):
        return "the grader had failed on it", ()
    before = entry.basis
    if before.settings != basis.settings:
        return "the secret, a limit or the sandbox is another", ()
    changed = [n for n, judged in basis.exercises.items() if before.exercises.get(n) != judged]
    gone = before.exercises.keys() - basis.exercises.keys()
    if not changed and not gone:
        return None
    engines = [
        {engine for engine, _ in exercises.values()}
        for exercises in (before.exercises, basis.exercises)
    ]
    if engines[0] != engines[1]:
        return "what runs and compares answers has changed", ()
    told = ", ".join(sorted({*changed, *gone}))
    return f"the course has changed what it asks or knows of {told}", tuple(changed)


# ------------------------------------------------------------------------------------ the journal


class Journal:
    """Entries by the digest of their submission, on disk as soon as they are added; one run at a time.

    To be used in a `with` statement. resume: go on with the journal that is there; otherwise it is begun anew;
    secret: one that was drawn, to be kept beside it, readable by its owner alone.
    Raises UsageError where the folder cannot be written to, or another run is writing to it.
    """

    def __init__(self, folder: Path, resume: bool, secret: str = ""):
        self.path = folder / NAME
        self._secret: Path | None = None
        self.entries: dict[str, Entry] = {}
        self._made = [p for p in (folder, *folder.parents) if not p.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(folder / LOCK)
        except Held as holder:
            raise UsageError(
                f"Another run of `rlcourse grade` ({holder}) is writing to {folder}: wait until it has "
                "ended, or give another folder for --out."
            ) from None
        except OSError as error:
            raise _cannot_write(folder, error) from error
        try:
            self._goes_on = resume and self.path.exists()
            if self._goes_on:
                self.entries = _read(self.path)
            self._rewrite(list(self.entries))
            # Unbuffered: what a full disk did not take must not be tried again when the file is closed.
            self._file = self.path.open("ab", buffering=0)
            if secret:
                self._keep(secret, folder / SECRET)
        except OSError as error:
            self._lock.release()
            raise _cannot_write(folder, error) from error
        except BaseException:
            self._lock.release()
            raise

    def add(self, task: Task, basis: Basis, record: dict[str, Any]) -> None:
        """Keep the record of a task; when this returns it will be there after a power cut."""
        key = key_of(task.submission)
        if task.before:  # The other marks rest on what they rested on.
            before = self.entries[key].basis.exercises
            kept = {name: before[name] for name in before if name not in task.exercises}
            judged = {name: kept.get(name, now) for name, now in basis.exercises.items()}
            basis = Basis(basis.settings, judged)
        entry = Entry(basis, record)
        line = _line(key, entry).encode()
        while line:
            line = line[self._file.write(line) :]
        os.fsync(self._file.fileno())
        self.entries[key] = entry

    def record(self, submission: Submission) -> dict[str, Any]:
        """The record of a submission that was added, in this run or before."""
        return self.entries[key_of(submission)].record

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._lock.release()

    def finish(self, submissions: Iterable[Submission]) -> None:
        """The run is done: keep the records of these submissions, in this order."""
        self._file.close()
        self._rewrite([key_of(submission) for submission in submissions])

    def discard(self) -> None:
        """Leave nothing behind of a run that had to be refused, not even the folder."""
        self._file.close()
        if self._goes_on:
            return
        self.path.unlink()
        self._lock.release()
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
        lines = (_line(key, self.entries[key]) for key in dict.fromkeys(keys))
        write_atomically({self.path: "".join(lines)})


def _cannot_write(folder: Path, error: OSError) -> UsageError:
    return UsageError(
        f"Cannot write to {folder}: {error.strerror or error}. Choose another folder for --out."
    )


def _line(key: str, entry: Entry) -> str:
    tree = {"submission": key, "basis": asdict(entry.basis), "record": entry.record}
    return json.dumps(tree, ensure_ascii=False, sort_keys=True) + "\n"


def _read(path: Path) -> dict[str, Entry]:
    entries = {}
    for line in path.read_bytes().splitlines():
        try:
            tree = json.loads(line)
            basis = tree["basis"]
            judged = {name: tuple(pair) for name, pair in basis["exercises"].items()}
            entries[tree["submission"]] = Entry(Basis(basis["settings"], judged), tree["record"])
        except (ValueError, TypeError, LookupError, AttributeError):
            continue  # Cut off in the middle of writing, or of another version: that one is graded again.
    return entries
