"""Limits on the time that an answer may take."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

SECONDS = 20.0


class TimeLimit(BaseException):
    """Raised into a function that runs too long; not an Exception, so that it is not swallowed."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimit in the block after `seconds`, where the system can (Unix, main thread)."""
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not usable:
        yield
        return

    def stop(_signal: int, _frame: Any) -> None:
        raise TimeLimit

    previous = signal.signal(signal.SIGALRM, stop)
    # Repeats, in case the first one is swallowed by a bare `except:`.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
