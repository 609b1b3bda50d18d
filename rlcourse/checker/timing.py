"""Limits on the time that an answer may take, and Ctrl-C: where either may land.

What is counted is processor time, so that a busy machine costs nobody an answer. And a stop is never let
into an import, which would leave half a module behind for the rest of the kernel's life, nor into the
course's own code, which puts things back that it has changed: it waits for the answer's own lines.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

SECONDS = 20.0
SECONDS_A_RUN = 120.0  # a project: one training of an agent and its judgement
# An answer that sleeps, or waits, uses no processor: so many times its limit it may take by the clock on the wall.
WALL = 6.0

_PAUSE = 0.02  # between two looks at the clock, or two tries to land
# So long a stop waits for a line of the answer itself, not of a library that it calls; and so long for
# any that will do. Then it comes wherever it may be: an import that never ends has to be left some time.
_CHOOSY, _LAST = 1.0, 300.0

ENGINE, LIBRARY, ANSWER = "engine", "library", "answer"
_PACKAGE = Path(__file__).parents[1]
_ENGINE = (str(_PACKAGE / "checker"), str(_PACKAGE / "lab" / "seeding.py"))
_LIBRARY = os.path.dirname(os.__file__)


class TimeLimit(BaseException):
    """Raised into a function that runs too long; not an Exception, so that it is not swallowed."""


def time_limit(seconds: float) -> _Stop:
    """Context manager: raises TimeLimit into its block after `seconds` of processor time.

    Or after WALL times as long, for who sleeps. Works on every system and in every thread; what it cannot
    stop is a single call into C that never returns and, except in the main thread, one that sleeps.
    """
    # Windows has no SIGALRM; of the signals that it has, only SIGINT wakes a sleeper.
    return _Stop(TimeLimit, getattr(signal, "SIGALRM", signal.SIGINT), seconds)


def careful_interrupts() -> _Stop:
    """Context manager: Ctrl-C in its block waits until nothing is half done, at most until its end."""
    return _Stop(KeyboardInterrupt, signal.SIGINT)


class _Stop:
    """Raises an exception into its block once it is asked for: by its clocks, or by the signal from outside.

    In the main thread the exception is raised by the handler of a signal, which wakes sleepers and sees the
    exact line where it would land; a daemon thread watches the clocks and sends the signal, again and again
    until it has landed, because a bare `except:` may swallow one. Other threads get no signals; there the
    interpreter is told to raise the exception at the thread's next line (PyThreadState_SetAsyncExc).
    """

    def __init__(self, exception: type[BaseException], number: int, seconds: float | None = None):
        self.exception, self.number, self.seconds = exception, number, seconds
        self.asked: float | None = None
        self.raised = 0
        self.ended = threading.Event()

    def __enter__(self) -> None:
        self.owner: FrameType | None = sys._getframe(1)
        self.thread = threading.get_ident()
        self.tracing = sys.gettrace()
        self.by_signal = threading.current_thread() is threading.main_thread()
        if self.seconds is None:
            # Ctrl-C comes to the main thread only, and may be ignored or have no handler in Python.
            self.by_signal = self.by_signal and callable(signal.getsignal(self.number))
            if not self.by_signal:
                return
        used = _processor_clock(self.thread)
        self.watcher = threading.Thread(target=self._watch, args=(used, used()), daemon=True)
        if self.by_signal:
            self.before = signal.signal(self.number, self._arrived)
        try:
            self.watcher.start()
        except BaseException:
            self._put_back()
            raise

    def __exit__(self, kind: type[BaseException] | None, *_exception: object) -> None:
        if self.seconds is None and not self.by_signal:
            return
        try:
            self._end()
        except TimeLimit:  # in a thread without signals it may come a line late
            self._end()
            raise
        # Whoever pressed Ctrl-C while it could not be let in still meant it; a limit had its chance.
        pressed = self.seconds is None and self.asked is not None
        if pressed and not (kind and issubclass(kind, KeyboardInterrupt)):
            self.before(self.number, None)

    def _end(self) -> None:
        if self.raised > 1:
            sys.settrace(self.tracing)
        self.ended.set()
        self.watcher.join()
        self.owner = None
        self._put_back()

    def _put_back(self) -> None:
        if self.by_signal:
            # None: a handler that was not installed from Python, which cannot be named.
            signal.signal(self.number, signal.SIG_DFL if self.before is None else self.before)
        elif self.asked is not None:
            # One that is still to come comes here. It is not taken back: Python 3.11 goes on looking for one
            # that was, and never leaves the first function that a profiler looks at.
            for _ in range(100):
                pass

    # ------------------------------------------------------------------------- asking, and landing

    def _watch(self, used: Callable[[], float], begun: float) -> None:
        started = time.monotonic()
        while not self.ended.wait(_PAUSE):
            if self.asked is None and self.seconds is not None:
                late = used() - begun >= self.seconds
                if late or time.monotonic() - started >= WALL * self.seconds:
                    self.asked = time.monotonic()
            if self.asked is None:
                continue
            frame, owner = sys._current_frames().get(self.thread), self.owner
            if not _is_within(frame, owner):
                return  # the block was left without its end: nobody is to be stopped any more
            if self.by_signal:
                self._send()
            elif _may_land(frame, owner, time.monotonic() - self.asked):
                _raise_in(self.thread, self.exception)
            del frame, owner

    def _send(self) -> None:
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(self.thread, self.number)
        else:
            signal.raise_signal(self.number)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self.asked is None:
            if self.seconds is not None:  # not sent by the watcher, so it is somebody else's
                if callable(self.before):
                    self.before(number, frame)
                return
            self.asked = time.monotonic()
        if not _may_land(frame, self.owner, time.monotonic() - self.asked):
            return
        self.raised += 1
        if self.raised > 1:
            self._follow(frame)
        if self.seconds is None:
            self.before(
                number, frame
            )  # which raises KeyboardInterrupt, unless somebody has changed that
            self.asked = None
            return
        raise self.exception

    def _follow(self, frame: FrameType) -> None:
        """One was swallowed: have the next one raised in the line that swallows, where no `try` is around it."""
        sys.settrace(self._trace)
        while frame is not None and frame is not self.owner.f_back:
            if _whose(frame.f_code.co_filename) == ANSWER:
                frame.f_trace = self._trace
            frame = frame.f_back

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line" and _may_land(frame, self.owner, 0.0):
            raise self.exception  # which ends the tracing
        return self._trace


def _is_within(frame: FrameType | None, owner: FrameType | None) -> bool:
    while frame is not None and frame is not owner:
        frame = frame.f_back
    return frame is not None


def _may_land(frame: FrameType | None, owner: FrameType | None, waited: float) -> bool:
    """Whether a stop may be raised in `frame`, called by whatever between it and the block of `owner`.

    waited: seconds since it was asked for.
    """
    if not _is_within(frame, owner):
        return False
    if waited > _LAST:
        return True
    innermost = _whose(frame.f_code.co_filename)
    seen = set()
    for code in _codes(frame, owner):
        if code.co_filename.startswith("<frozen importlib."):
            return False
        seen.add(_whose(code.co_filename))
        changes = code.co_name in ("__enter__", "__exit__", "__del__")
        if ANSWER not in seen and (ENGINE in seen or changes):
            return False
    return ANSWER in seen if waited > _CHOOSY else innermost == ANSWER


def _codes(frame: FrameType, owner: FrameType | None) -> Iterator[CodeType]:
    """From the line that runs outwards to the block itself."""
    while frame is not owner:
        yield frame.f_code
        frame = frame.f_back
    yield frame.f_code


@functools.cache
def _whose(filename: str) -> str:
    """Whose line it is: the engine's, a library's, or an answer's, the student's or the course's own."""
    if filename.startswith(str(_PACKAGE)):
        return ENGINE if filename.startswith(_ENGINE) else ANSWER
    installed = "site-packages" in filename or "dist-packages" in filename
    return LIBRARY if installed or filename.startswith((_LIBRARY, "<frozen ")) else ANSWER


def _processor_clock(thread: int) -> Callable[[], float]:
    """The processor time of one thread where the system tells it, else of the whole process."""
    if hasattr(time, "pthread_getcpuclockid"):
        with contextlib.suppress(OSError):
            return functools.partial(time.clock_gettime, time.pthread_getcpuclockid(thread))
    return time.process_time


def _raise_in(thread: int, exception: Any) -> None:
    """Have `exception` raised at the thread's next line."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(exception))
