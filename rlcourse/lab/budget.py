"""An environment on a budget: every step is counted, over all copies, and one too many is refused (lesson 20).

`Host` holds the real environments and keeps the accounts; what an answer gets are `BudgetedEnv`s, which
know nothing but whom to ask. In a notebook they ask the host itself, in grading through a pipe: there the
host is the grader's, and what an answer does to its own environments changes no number of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete, Space

from .environments import SpaceError


@dataclass(frozen=True)
class Task:
    """An environment, how many of its steps may be taken for learning, and the mean return to be reached.

    env: a Gymnasium id; steps: over all copies; mark: of `EPISODES` greedy episodes.
    """

    env: str
    steps: int
    mark: float

    def make(self) -> gym.Env:
        """A new environment, of which no step is counted."""
        return gym.make(self.env, disable_env_checker=True)

    @cached_property
    def spaces(self) -> tuple[Space, Space]:
        """Of observations and of actions. Raises SpaceError where actions are of another kind than asked for."""
        env = self.make()
        try:
            return require_spaces(env)
        finally:
            env.close()


# What is graded. The marks lie well below what the course's own agents reach at such budgets.
TASKS = {
    task.env: task
    for task in (
        Task("CartPole-v1", 50_000, 400.0),
        Task("Acrobot-v1", 100_000, -100.0),
        Task("Pendulum-v1", 10_000, -200.0),
        Task("MountainCar-v0", 100_000, -160.0),
    )
}
EPISODES = 20  # whose mean return is a run's score
RUNS, NEEDED = 5, 3  # the test: so many seeds, of which so many have to reach the mark


# What `Host.misuse` may be, and what is said to who runs into it.
OVER_BUDGET, AFTER_END, AFTER_LIMIT = "over-budget", "steps-after-the-end", "waits-for-terminated"
NOT_RESET, NO_ACTION, TOO_MANY = "not-reset", "no-action", "too-many-copies"
MAX_COPIES = 256
REFUSALS = {
    OVER_BUDGET: "the budget is spent: no step is left",
    AFTER_END: "this episode has terminated: call reset() before the next step",
    AFTER_LIMIT: "this episode was truncated (its time is up): call reset() before the next step",
    NOT_RESET: "call reset() before the first step",
    NO_ACTION: "this is no action of the environment",
    TOO_MANY: f"there are {MAX_COPIES} copies of the environment already",
}


class Refused(RuntimeError):
    """The environment does not do what it was asked for; `misuse` says why, a key of `REFUSALS`."""

    def __init__(self, misuse: str):
        super().__init__(f"{REFUSALS[misuse]}.")
        self.misuse = misuse


class BudgetSpent(Refused):
    """A step was asked for after the last one of the budget."""


def refused(misuse: str) -> Refused:
    """The exception for a misuse."""
    return BudgetSpent(misuse) if misuse == OVER_BUDGET else Refused(misuse)


class Host:
    """The real environments of one run, and what was done to them.

    task; allowed: steps that are granted, over all copies; tell: told of the steps so far, now and then.
    Afterwards: `taken` steps, `episodes` that ended, `misuse`: the first one, a key of `REFUSALS`, or "";
    `unseeded`: copies whose first reset had no seed; `trace()`: a digest of every action and every seed.
    """

    TELL_EVERY = 250

    def __init__(self, task: Task, allowed: int, tell: Callable[[int], None] | None = None):
        self.task, self.allowed, self.tell = task, allowed, tell
        self.taken = self.episodes = self.unseeded = 0
        self.misuse = ""
        self._envs: list[gym.Env] = []
        self._open: list[str] = []  # of each copy: "" if it may be stepped, else why not
        self._virgin: list[bool] = []
        self._trace = hashlib.blake2b(digest_size=16)

    @property
    def copies(self) -> int:
        """How many there are."""
        return len(self._envs)

    def make(self) -> int:
        """A new copy; its number. Raises Refused."""
        if self.copies >= MAX_COPIES:
            self._refuse(TOO_MANY)
        env = self.task.make()
        self._envs.append(env)
        self._open.append(NOT_RESET)
        self._virgin.append(True)
        return len(self._envs) - 1

    def reset(self, number: int, seed: int | None) -> Any:
        """The first observation of a new episode of this copy."""
        self.unseeded += self._virgin[number] and seed is None
        self._virgin[number], self._open[number] = False, ""
        self._trace.update(f"r{number},{seed};".encode())
        return self._envs[number].reset(seed=seed)[0]

    def step(self, number: int, action: Any) -> tuple[Any, float, bool, bool]:
        """Observation, reward, terminated, truncated. Raises Refused, BudgetSpent among them."""
        misuse = self._open[number] or (OVER_BUDGET if self.taken >= self.allowed else "")
        env = self._envs[number]
        if not misuse:
            action = _own(env.action_space, action)
            misuse = NO_ACTION if action is None else ""
        if misuse:
            self._refuse(misuse)
        self.taken += 1
        self._trace.update(f"{number},{action};".encode())
        obs, reward, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            self.episodes += 1
            self._open[number] = AFTER_END if terminated else AFTER_LIMIT
        if self.tell and self.taken % self.TELL_EVERY == 0:
            self.tell(self.taken)
        return obs, float(reward), bool(terminated), bool(truncated)

    def _refuse(self, misuse: str) -> NoReturn:
        self.misuse = self.misuse or misuse
        raise refused(misuse)

    def trace(self) -> str:
        """A digest: the same if and only if the same was done, action by action and seed by seed."""
        return self._trace.copy().hexdigest()

    def close(self) -> None:
        for env in self._envs:
            env.close()

    def ask(self, word: str, *given: Any) -> Any:
        """`make`, `reset` or `step`, as a `BudgetedEnv` asks for them."""
        return {"make": self.make, "reset": self.reset, "step": self.step}[word](*given)


def _own(space: Space, action: Any) -> Any:
    """`action` as this space's environments take it, or None if it is none of them.

    Beyond the sides of a box it is cut to them, as most environments do by themselves.
    """
    if type(action) is int and isinstance(space, Discrete):
        return action if space.start <= action < space.start + space.n else None
    try:
        array = np.asarray(action)
        if isinstance(space, Discrete):
            if array.dtype.kind not in "iu" or array.size != 1:
                return None
            index = int(array.reshape(()))
            return index if space.start <= index < space.start + space.n else None
        array = array.astype(np.float32)
    except (TypeError, ValueError, OverflowError):
        return None
    if array.shape != space.shape or not np.isfinite(array).all():
        return None
    return np.clip(array, space.low, space.high)


class BudgetedEnv(gym.Env):
    """What an answer steps: an environment as Gymnasium's, whose steps are counted elsewhere.

    ask: `Host.ask`, or what carries its words to one; spaces: of observations and actions.
    """

    def __init__(self, ask: Callable[..., Any], env: str, spaces: tuple[Space, Space]):
        self._ask = ask
        self._number = ask("make")
        self.observation_space, self.action_space = spaces
        self.spec = gym.spec(env)
        self.metadata = {"render_modes": []}

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Any, dict]:
        if seed is not None and not 0 <= (seed := int(seed)) < 2**63:
            raise ValueError(f"A seed is a whole number from 0 on, not {seed}.")
        return self._ask("reset", self._number, seed), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        return *self._ask("step", self._number, action), {}

    def render(self) -> None:
        """Nothing is drawn of an environment that somebody else holds."""

    def close(self) -> None:
        pass


def require_spaces(env: gym.Env) -> tuple[Space, Space]:
    """Its spaces. Raises SpaceError unless actions are finite in number, or a row within a finite box."""
    actions = env.action_space
    box = isinstance(actions, Box) and len(actions.shape) == 1 and actions.is_bounded("both")
    if not (isinstance(actions, Discrete) or box):
        raise SpaceError(
            f"A project's actions are finite in number, or a row of numbers between bounds; this "
            f"environment's are {actions}."
        )
    return env.observation_space, actions


def noting_samples(space: Space, note: Callable[[], None]) -> Space:
    """The space, of which it is noted when `sample` draws from it before anybody has seeded it."""
    sample, seed = space.sample, space.seed
    seeded = []

    def noted_seed(*given: Any) -> Any:
        seeded.append(True)
        return seed(*given)

    def noted_sample(*given: Any, **more: Any) -> Any:
        if not seeded:
            note()
        return sample(*given, **more)

    space.seed, space.sample = noted_seed, noted_sample
    return space
