"""Marks a project: the agent learns and acts behind walls, in environments that are here (lesson 20).

The student's process gets no environment but by asking for its steps: so the budget is counted here, rewards and
ends are the grader's, and the episodes that are judged are drawn and stepped here as well. What runs in that
process can change its own answers, and nothing else.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import select
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete, Space

from rlcourse.checker.declaration import Exercise
from rlcourse.checker.harness import Failure
from rlcourse.checker.judging import FAILED, Verdict
from rlcourse.checker.plain import decode
from rlcourse.checker.project import verdict_on
from rlcourse.checker.timing import WALL as PATIENCE
from rlcourse.checker.trials import Failed, Seeds, Trained
from rlcourse.lab.budget import TASKS, Host, Refused, Task
from rlcourse.lessons.extract import Extraction

from .sandbox import CRASH, MALFORMED, MAX_LINE, OVERFLOW, START_SECONDS, TIMEOUT, Sandbox

FORBIDDEN = "forbidden"
CHOICE = "TASK"
_LOOK_EVERY = 0.5  # seconds between two looks at the processor time
_STARTS = 10  # of a sandbox whose processor time is limited as a whole


def mark_project(
    sandbox: Sandbox, exercise: Exercise, found: Extraction, seed: Sequence[int]
) -> tuple[Verdict, str]:
    """The verdict on a project, and the state that goes into the record."""
    chosen = chosen_task(found, exercise.name)
    if chosen not in TASKS:
        text = (
            f"`{CHOICE}` is {chosen!r}: only {', '.join(TASKS)} are graded; a task of one's own is judged in the "
            "notebook alone, since its rewards are one's own code."
        )
        return (
            Verdict(exercise.name, exercise.number, FAILED, "form", None, "no task", text,
                    "Choose one of the table."),
            FAILED,
        )  # fmt: skip
    program = _program(found, exercise.name)
    with SandboxedStudent(sandbox, exercise.name, program, TASKS[chosen]) as student:
        verdict = verdict_on(student, exercise, TASKS[chosen], Seeds.drawn(list(seed)))
    state = verdict.state
    if state == FAILED:
        state = {"time": TIMEOUT, MALFORMED: CRASH}.get(verdict.rung, verdict.rung)
        state = state if state in (TIMEOUT, CRASH, OVERFLOW, FORBIDDEN) else FAILED
    return verdict, state


def _program(found: Extraction, name: str) -> list[tuple[int, str, list[int]]]:
    return [(cell.number, cell.source, indices) for cell, indices in found.programs[name]]


def chosen_task(found: Extraction, name: str) -> Any:
    """What the notebook's constant TASK says, the last time that it is set; the first task if it never is."""
    chosen: Any = next(iter(TASKS))
    for _, source, indices in _program(found, name):
        body = ast.parse(source).body
        for index in indices:
            node = body[index]
            if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id == CHOICE for t in targets):
                constant = isinstance(node.value, ast.Constant)
                chosen = node.value.value if constant else ast.unparse(node.value)[:100]
    return chosen


def walls_for(sandbox: Sandbox) -> Sandbox:
    """The sandbox of a project: with torch, a run's time, and none of Gymnasium's environments."""
    room = Path(gym.__file__).parent / "envs"
    worlds = tuple(sorted(str(path) for path in room.iterdir() if path.is_dir()))
    return replace(
        sandbox,
        torch=True,
        seconds=sandbox.run_seconds,
        hidden=tuple(dict.fromkeys((*sandbox.hidden, *worlds))),
    )


class SandboxedStudent:
    """A `Student` whose function runs behind walls. To be used in a `with` statement."""

    def __init__(self, sandbox: Sandbox, name: str, program: list[Any], task: Task):
        self.walls = walls_for(sandbox)
        self.seconds = sandbox.run_seconds
        self.order = {
            "name": name,
            "program": program,
            "env": task.env,
            "spaces": [_told(space) for space in task.spaces],
        }
        self.talk: _Talk | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> SandboxedStudent:
        return self

    def __exit__(self, *_: object) -> None:
        self.fresh()

    def fresh(self) -> None:
        """End the process: the next training is in a new one."""
        self._stack.close()
        self.talk = None

    def train(self, host: Host, steps: int, seed: int) -> Trained:
        talk = self._ready()
        talk.begin(self.seconds)
        self._say(["train", steps, seed])
        while True:
            word, *given = self._heard(talk)
            if word == "trained":
                return self._trained(talk, given)
            self._serve(host, word, given)

    def _ready(self) -> _Talk:
        if self.talk is None:
            process = self._stack.enter_context(self.walls.lent(_STARTS))
            self.talk = self._stack.enter_context(_Talk(process))
            self.talk.begin(START_SECONDS)
            self._say(self.order)
            self._heard(self.talk)
        return self.talk

    def _say(self, tree: Any) -> None:
        try:
            self.talk.say(tree)
        except _Silence as silence:
            self.fresh()
            raise _failed(str(silence)) from None

    def _heard(self, talk: _Talk) -> list[Any]:
        """The next line of the process. Raises Failed where there is none, or where it says that it failed."""
        try:
            said = talk.hear()
        except _Silence as silence:
            self.fresh()
            raise _failed(str(silence)) from None
        if said[0] == "failed":
            failure = _decoded(said[1:])
            if not isinstance(failure, Failure) or not all(
                isinstance(text, str) for text in vars(failure).values()
            ):
                raise self._nonsense()
            raise Failed(failure, FORBIDDEN if failure.type_name == "Forbidden" else FAILED)
        return said

    def _nonsense(self) -> Failed:
        self.fresh()
        return _failed(MALFORMED)

    def _trained(self, talk: _Talk, given: list[Any]) -> Trained:
        if [type(x) for x in given] != [str, int, str]:
            raise self._nonsense()
        type_name, sampled, remembers = given

        def act(obs: np.ndarray, seed: int) -> Any:
            if self.talk is not talk:
                raise _failed(CRASH)
            self._say(["act", obs.tolist(), seed])
            word, *said = self._heard(talk)
            if word != "acts":
                raise self._nonsense()
            return _decoded(said)

        return Trained(act, type_name[:100], sampled, remembers[:100])

    def _serve(self, host: Host, word: Any, given: list[Any]) -> None:
        """Do what an environment is asked for, and answer; a misuse is answered by its name."""
        try:
            _require_sense(host, word, given)
        except (ValueError, TypeError):
            raise self._nonsense() from None
        try:
            reply = host.ask(word, *given)
        except Refused as refusal:
            self._say(refusal.misuse)
            return
        if word == "make":
            self._say(reply)
        elif word == "reset":
            self._say([reply.tolist()])
        else:
            obs, *rest = reply
            self._say([obs.tolist(), *rest])


def _require_sense(host: Host, word: Any, given: list[Any]) -> None:
    """Raises ValueError for words that no `BudgetedEnv` says."""
    lengths = {"make": 0, "reset": 2, "step": 2}
    if type(word) is not str or lengths.get(word) != len(given):
        raise ValueError(word)
    if given and not (type(given[0]) is int and 0 <= given[0] < host.copies):
        raise ValueError(given[0])
    seed = given[1] if word == "reset" else None
    if seed is not None and not (type(seed) is int and 0 <= seed < 2**63):
        raise ValueError(seed)


def _failed(fate: str) -> Failed:
    """What a silent process comes to: TIMEOUT, CRASH, OVERFLOW or MALFORMED."""
    texts = {
        CRASH: "The Python process ended in the middle of your function (`exit`, or worse).",
        OVERFLOW: "What your agent answered was too large to be read.",
        MALFORMED: "What came back was no answer: something else wrote on the answers' channel.",
    }
    tag = "time" if fate == TIMEOUT else fate
    return Failed(Failure("Process", tag, texts.get(fate, ""), ""), fate)


def _decoded(said: list[Any]) -> Any:
    try:
        return decode(said[0])
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError):
        return None


def _told(space: Space) -> dict[str, Any]:
    """A space as JSON."""
    if isinstance(space, Discrete):
        return {"n": int(space.n), "start": int(space.start)}
    return {
        "n": None,
        "low": space.low.tolist(),
        "high": space.high.tolist(),
        "dtype": str(space.dtype),
    }


# -------------------------------------------------------------------------------- conversation


class _Silence(Exception):
    """No line came, or none that is one: TIMEOUT, CRASH, OVERFLOW or MALFORMED."""


class _Talk:
    """Lines to and from a process that runs a student's code; used in a `with` statement."""

    def __init__(self, process: Any):
        self.process = process
        self.buffer = b""

    def __enter__(self) -> _Talk:
        self.to, self.source = self.process.begin()
        os.set_blocking(self.to, False)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.to)
        os.close(self.source)
        self.process.end()

    def begin(self, seconds: float) -> None:
        """From now on it may use so many seconds of the processor."""
        self.seconds, self.used = seconds, self.process.used()
        self.started = self.looked = time.monotonic()

    def say(self, tree: Any) -> None:
        """Write a line. Nobody is waited for who does not read."""
        data = json.dumps(tree).encode() + b"\n"
        while data:
            try:
                data = data[os.write(self.to, data) :]
            except BlockingIOError:
                if not select.select([], [self.to], [], _LOOK_EVERY)[1]:
                    self._look()
            except BrokenPipeError:
                return  # It has ended, which is heard next.

    def hear(self) -> list[Any]:
        """The next line. Raises _Silence."""
        while b"\n" not in self.buffer:
            if len(self.buffer) > MAX_LINE:
                raise _Silence(OVERFLOW)
            if time.monotonic() - self.looked > _LOOK_EVERY:
                self._look()
            if not select.select([self.source], [], [], _LOOK_EVERY)[0]:
                continue
            chunk = os.read(self.source, 1 << 16)
            if not chunk:
                raise _Silence(CRASH)
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            raise _Silence(MALFORMED) from None
        if not isinstance(said, list) or not said:
            raise _Silence(MALFORMED)
        return said

    def _look(self) -> None:
        """Raises _Silence if its time is over: of the processor, or by the clock on the wall, asleep."""
        self.looked = time.monotonic()
        late = self.process.used() - self.used >= self.seconds
        if late or self.looked - self.started >= PATIENCE * self.seconds:
            raise _Silence(TIMEOUT)
