"""Locks that end with whoever holds them, and temporary folders that nobody leaves behind for good.

The system takes a lock away when its process ends, however that ends: so what a killed run has left
is told from what a running one needs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

_PREFIX, _LOCK = "rlcourse-", "in use"


class Held(Exception):
    """Somebody else holds the lock; the message is what they wrote into it."""


class Lock:
    """The file `path`, held until `release`, or until this process and its forks have ended.

    Raises:
        Held: somebody has it.
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path):
        self.path = path
        while True:
            self._file = path.open("a+", encoding="utf-8")
            try:
                _take(self._file.fileno())
            except OSError:
                self._file.seek(0)
                with self._file:
                    raise Held(self._file.read(100).strip()) from None
            if self._is_there():
                break
            self._file.close()  # Its holder has just removed it: that was another file.
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}\n")
        self._file.flush()

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Remove the file, and let others have it; once it is released nothing happens."""
        if self._file.closed:
            return
        with contextlib.suppress(
            OSError
        ):  # Windows removes no open file; the lock is gone all the same.
            self.path.unlink()
        with contextlib.suppress(OSError), self._file:
            _leave(self._file.fileno())


def _take(descriptor: int) -> None:
    if fcntl:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)


def _leave(descriptor: int) -> None:
    if fcntl:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # Forks have the same descriptor open.


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for as long as the block runs; what killed runs have left of theirs is removed first."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = Lock(folder / f"{_LOCK}.new")
    # Under its name only once it is held: else another run could take it in between.
    lock.path = lock.path.rename(folder / _LOCK)
    try:
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        # Somebody else's run, or one that goes on.
        with contextlib.suppress(Held, OSError):
            Lock(path).release()
            shutil.rmtree(path.parent, ignore_errors=True)
