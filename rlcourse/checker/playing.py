"""One training of a student's own agent, where the student's code runs: in a notebook, or behind walls.

Like `harness` this shares a process with a student's code under grading: no answer is here, and what it
reports is believed only where it does the student no good.
"""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rlcourse.lab.budget import BudgetedEnv, noting_samples

from .harness import Failure, signature_mismatch
from .plain import plain


class Unfit(Exception):
    """The function cannot be called as asked; `failure` says why."""

    def __init__(self, failure: Failure):
        super().__init__(failure.message)
        self.failure = failure


def called(function: Any, maker: EnvMaker, steps: int, seed: int) -> tuple[Any, str]:
    """What `train_agent` returns, and which name outside it holds something else than before, or "".

    Raises Unfit, and whatever the function raises.
    """
    if not callable(function):
        problem = f"train_agent should be a function; it is of type {type(function).__name__}"
        raise Unfit(Failure("TypeError", "signature", problem, ""))
    mismatch = signature_mismatch(function, 3)
    if mismatch:
        raise Unfit(Failure("TypeError", "signature", mismatch, ""))
    before = {name: _print_of(value) for name, value in _outside(function)}
    agent = function(maker, steps, seed)
    after = {name: _print_of(value) for name, value in _outside(function)}
    return agent, next((name for name, mark in after.items() if before.get(name) != mark), "")


def without_act(agent: Any) -> str:
    """The type of what has no `act`, or ""."""
    return "" if callable(getattr(agent, "act", None)) else type(agent).__name__


def greedy(agent: Any, obs: np.ndarray, seed: int) -> Any:
    """The agent's greedy actions, plain data."""
    return plain(agent.act(obs, np.random.default_rng(seed), explore=False))


def _outside(function: Any) -> Iterator[tuple[str, Any]]:
    """What a function, and whatever it calls of its own module, keep outside: globals and defaults."""
    for one in reachable(function):
        for index, value in enumerate(one.__defaults__ or ()):
            yield f"a default of {one.__name__} ({index + 1})", value
        for name, cell in zip(one.__code__.co_freevars, one.__closure__ or (), strict=True):
            yield name, cell.cell_contents
        for key, value in vars(one).items():
            yield f"{one.__name__}.{key}", value
        for name in names_in(one.__code__):
            value = one.__globals__.get(name)
            if value is not None and not isinstance(value, type | types.ModuleType):
                yield name, value


def reachable(function: Any) -> Iterator[types.FunctionType]:
    """A function and all that it looks up by name in its own module: functions, and methods of classes."""
    seen, waiting = set(), [function]
    while waiting:
        one = waiting.pop()
        one = getattr(one, "__func__", one)  # of a method
        if not isinstance(one, types.FunctionType) or one.__code__ in seen:
            continue
        seen.add(one.__code__)
        yield one
        for name in names_in(one.__code__):
            value = one.__globals__.get(name)
            if isinstance(value, type) and value.__module__ == one.__module__:
                waiting += vars(value).values()
            elif getattr(value, "__globals__", None) is one.__globals__:
                waiting.append(value)


def names_in(code: types.CodeType) -> set[str]:
    """The names that code looks up, in functions and classes within it as well."""
    inner = (part for part in code.co_consts if isinstance(part, types.CodeType))
    return {*code.co_names, *(name for part in inner for name in names_in(part))}


def _print_of(value: Any, depth: int = 3) -> Any:
    """What tells whether plain data, arrays or weights are what they were; of other things, nothing."""
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    if isinstance(value, bool | int | float | str | bytes | type(None)):
        return value
    if depth and isinstance(value, list | tuple):
        return [_print_of(item, depth - 1) for item in value]
    if depth and isinstance(value, dict):
        return [(repr(key), _print_of(item, depth - 1)) for key, item in value.items()]
    if depth and isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    if depth and hasattr(value, "state_dict"):
        return [(key, _print_of(w, depth - 1)) for key, w in value.state_dict().items()]
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy().tobytes()
    if depth and type(value).__module__ == "types" and hasattr(value, "__dict__"):
        return _print_of(vars(value), depth - 1)
    return None


class EnvMaker:
    """`make_env` of an answer: environments that ask a host. sampled: as in `Trained`."""

    def __init__(self, ask: Callable[..., Any], env: str, spaces: tuple[Any, Any]):
        self._ask, self._env, self._spaces = ask, env, spaces
        self.sampled = 0

    def __call__(self) -> BudgetedEnv:
        observations, actions = copy.deepcopy(self._spaces)
        spaces = observations, noting_samples(actions, self._note)
        return BudgetedEnv(self._ask, self._env, spaces)

    def _note(self) -> None:
        self.sampled += 1
