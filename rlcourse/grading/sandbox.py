"""Starts workers, and outlives whatever a student's code does in them.

Every worker has limits on processor time, memory, file size and output, and a time limit for each
exercise that is kept from outside. Where bubblewrap is installed it also has no network and sees
nothing of this machine but Python and the sealed package.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rlcourse

MEBI = 2**20
MAX_ANSWER = 64 * MEBI
START_SECONDS = 60.0

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
    """How workers are started. stage: the sealed package; seconds: for each exercise;
    memory: address space in MiB; bubblewrap: path of the program, or None."""

    stage: Path
    seconds: float = 10.0
    memory: int = 4096
    bubblewrap: str | None = None

    @property
    def kind(self) -> str:
        return "bubblewrap" if self.bubblewrap else "resource limits only"

    def run(self, tasks: list[dict[str, Any]]) -> dict[str, Answer]:
        """Run the tasks in order; after one that brings its worker down, go on in a fresh one."""
        answers: dict[str, Answer] = {}
        while len(answers) < len(tasks):
            rest = tasks[len(answers) :]
            said, fate = self._one_worker(rest)
            answers |= said
            if len(said) < len(rest):
                answers[rest[len(said)]["name"]] = Answer(fate=fate)
        return answers

    def _one_worker(self, tasks: list[dict[str, Any]]) -> tuple[dict[str, Answer], str]:
        """Answers until the worker is done or has to be stopped, and then why."""
        seconds = round(self.seconds * len(tasks) + START_SECONDS)
        limits = {
            "RLIMIT_CPU": seconds,
            "RLIMIT_AS": self.memory * MEBI,
            "RLIMIT_FSIZE": 16 * MEBI,
            "RLIMIT_NOFILE": 256,
            "RLIMIT_CORE": 0,
        }
        path = [str(self._inside(self.stage)), *_site_packages()]
        job = json.dumps({"path": path, "limits": limits, "tasks": tasks}).encode()
        process = subprocess.Popen(
            self._command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
        )
        feeder = threading.Thread(target=_feed, args=(process, job), daemon=True)
        feeder.start()
        try:
            return _listen(process, [task["name"] for task in tasks], self.seconds)
        finally:
            _kill(process)
            feeder.join()

    def _inside(self, path: Path) -> Path:
        return Path("/stage") if self.bubblewrap else path

    def _command(self) -> list[str]:
        python = [sys.executable, "-I", "-S", str(self._inside(self.stage) / "worker.py")]
        return [*_walls(self.bubblewrap, self.stage), *python] if self.bubblewrap else python


def find_bubblewrap(stage: Path) -> str | None:
    """The bubblewrap program, if there is one and it works here."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    command = [*_walls(program, stage), sys.executable, "-I", "-S", "-c", "pass"]
    works = subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    return program if works else None


def _walls(program: str, stage: Path) -> list[str]:
    """The bubblewrap command line: Python and the stage to read, an empty /tmp, nothing else."""
    arguments = [program, "--unshare-all", "--die-with-parent", "--new-session"]
    for folder in ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives"):
        arguments += ["--ro-bind-try", folder, folder]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for folder in dict.fromkeys((sys.base_prefix, sys.prefix)):
        arguments += ["--ro-bind", folder, folder]
    for folder in _with_answers():
        arguments += ["--tmpfs", str(folder)]
    return [*arguments, "--ro-bind", str(stage), "/stage", "--chdir", "/tmp"]


def _with_answers() -> list[Path]:
    """Folders that hold the course's answers, in case they lie where Python is bound."""
    installed = [Path(folder) / "rlcourse" for folder in _site_packages()]
    package = Path(rlcourse.__file__).resolve().parent
    beside = [package.parent / name for name in ("solutions", "tests", ".git")]
    return [folder for folder in dict.fromkeys((*installed, package, *beside)) if folder.is_dir()]


def _site_packages() -> list[str]:
    paths = sysconfig.get_paths()
    return list(dict.fromkeys((paths["purelib"], paths["platlib"])))


def _feed(process: subprocess.Popen, job: bytes) -> None:
    try:
        process.stdin.write(job)
        process.stdin.close()
    except BrokenPipeError:
        return  # The worker died before it had read its job; the listener reports that.


def _listen(
    process: subprocess.Popen, names: list[str], seconds: float
) -> tuple[dict[str, Answer], str]:
    """Read the worker's lines; each answer must come in time, in order and in bounds."""
    answers: dict[str, Answer] = {}
    ready = False
    for line in _lines(process, seconds):
        if isinstance(line, str):
            return answers, line
        if not ready:
            ready = True  # Said once, before any of the student's code has run.
            continue
        name = names[len(answers)]
        if line.get("name") != name or not isinstance(line.get("outcomes", []), list):
            return answers, MALFORMED
        undefined = line.get("undefined")
        answers[name] = Answer(
            line.get("outcomes"), undefined if isinstance(undefined, str) else ""
        )
        if len(answers) == len(names):
            return answers, ""
    return answers, CRASH


def _lines(process: subprocess.Popen, seconds: float):
    """The worker's lines as dictionaries; a fate, as text, where one does not come as it should."""
    buffer, total, ready = b"", 0, False
    deadline = time.monotonic() + START_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                yield TIMEOUT
                return
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                if not ready:
                    raise RuntimeError("The worker process could not be started here.")
                return
            buffer, total = buffer + chunk, total + len(chunk)
            if total > MAX_ANSWER:
                yield OVERFLOW
                return
            *complete, buffer = buffer.split(b"\n")
            for text in complete:
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError):
                    line = None
                if not isinstance(line, dict):
                    yield MALFORMED
                    return
                ready = True
                deadline = time.monotonic() + seconds
                yield line


def _kill(process: subprocess.Popen) -> None:
    """End the worker and what it started in its group, and collect it."""
    with contextlib.suppress(ProcessLookupError):  # It may have ended by itself.
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
