"""Inputs that are not plain data: generators, environments, policies, as recipes.

A recipe is plain data; `build` makes the object in the process where the student's function runs.
What the object saw (how many resets, how many choices) is noted in a dictionary, because a loop can
be wrong in what it does as well as in what it returns.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlcourse.lab.transitions import Transitions

from .plain import transferable

STEP_CAP = 20_000


class Misuse(RuntimeError):
    """A loop used an environment in a way that Gymnasium's interface forbids."""

    def __init__(self, tag: str, message: str):
        super().__init__(message)
        self.tag = tag


class ResetResult(tuple):
    """What `reset` returns, recognisable: a loop written for Gym before 0.26 takes it for the state."""


class StepResult(tuple):
    """What `step` returns, recognisable for the same reason."""


def refuse_whole_result(state: Any) -> None:
    if type(state) is ResetResult:
        raise Misuse("old-gym-reset", "the pair that reset() returned was used as a state")
    if type(state) is StepResult:
        raise Misuse("old-gym-step", "all that step() returned was used as a state")


@transferable
@dataclass(frozen=True)
class Rng:
    """A `numpy.random.Generator` with this seed."""

    seed: int

    def build(self, notes: Counter) -> np.random.Generator:
        return np.random.default_rng(self.seed)


@transferable
@dataclass(frozen=True)
class Env:
    """A finite environment given as tables; it knows when it is misused.

    P (S, A, S) transition probabilities; R (S, A) mean rewards, to which every step adds a number
    of its own in [-noise, noise]; ends (S, A): 1 where the step is terminal; start (S,): where an
    episode begins; limit: steps until `truncated` (None: never); seed: of its own generator.
    """

    P: np.ndarray
    R: np.ndarray
    ends: np.ndarray
    start: np.ndarray
    limit: int | None
    seed: int
    noise: float = 0.0

    def build(self, notes: Counter) -> TableEnv:
        return TableEnv(self, notes)


@dataclass
class _Discrete:
    n: int

    def sample(self):
        raise Misuse("own-action", "whom to ask for an action was passed in")


class TableEnv:
    """The environment of an `Env` recipe, with Gymnasium's `reset` and `step`."""

    def __init__(self, tables: Env, notes: Counter):
        self.tables, self.notes = tables, notes
        n_states, n_actions = tables.R.shape
        self.observation_space, self.action_space = _Discrete(n_states), _Discrete(n_actions)
        self.generator = np.random.default_rng(tables.seed)
        self.state: int | None = None
        self.clock = 0

    @property
    def unwrapped(self) -> TableEnv:
        return self

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        self.notes["resets"] += 1
        if seed is not None:
            raise Misuse("reset-with-seed", "reset() was given a seed: every episode is the same")
        self.state = int(self.generator.choice(self.tables.start.size, p=self.tables.start))
        self.clock = 0
        return ResetResult((self.state, {}))

    def step(self, action):
        if self.state is None:
            raise Misuse("stepped-after-end", "step() was called after the episode had ended")
        if self.notes["steps"] >= STEP_CAP:
            raise Misuse("never-ends", f"no end after {STEP_CAP} steps")
        n_actions = self.action_space.n
        if np.ndim(action) != 0 or not 0 <= int(action) < n_actions or int(action) != action:
            raise Misuse("bad-action", f"step() needs an action from 0 to {n_actions - 1}")
        self.notes["steps"] += 1
        self.clock += 1
        tables, s, a = self.tables, self.state, int(action)
        reward = float(tables.R[s, a] + tables.noise * self.generator.uniform(-1, 1))
        next_state = int(self.generator.choice(tables.P.shape[2], p=tables.P[s, a]))
        terminated = bool(tables.ends[s, a])
        truncated = tables.limit is not None and self.clock >= tables.limit
        self.state = None if terminated or truncated else next_state
        return StepResult((next_state, reward, terminated, truncated, {}))

    def close(self) -> None:
        self.state = None


@transferable
@dataclass(frozen=True)
class Shown:
    """An `Env` that shows row s of `rows` (S, obs_dim) where the state is s, as a new array each time."""

    env: Env
    rows: np.ndarray

    def build(self, notes: Counter) -> ShownEnv:
        return ShownEnv(self, notes)


class ShownEnv(TableEnv):
    """The environment of a `Shown` recipe."""

    def __init__(self, recipe: Shown, notes: Counter):
        super().__init__(recipe.env, notes)
        self.rows = recipe.rows

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        state, info = super().reset(seed=seed)
        return ResetResult((self.rows[state].copy(), info))

    def step(self, action):
        # Gymnasium's own spaces take no tensors either.
        if not is_integer(action):
            raise Misuse("bad-action", "step() needs an action that is an int")
        state, *rest = super().step(action)
        return StepResult((self.rows[state].copy(), *rest))


def is_integer(x: Any) -> bool:
    """Python's or NumPy's, a 0-d array included; no bool."""
    if isinstance(x, np.ndarray):
        return x.shape == () and x.dtype.kind in "iu"
    return isinstance(x, int | np.integer) and not isinstance(x, bool)


@transferable
@dataclass(frozen=True)
class Policy:
    """`policy(s, rng) -> int`: draws an action from row s of `pi` (S, A)."""

    pi: np.ndarray
    chooses = True

    def build(self, notes: Counter):
        def policy(s, rng):
            notes["choices"] += 1
            refuse_whole_result(s)
            return int(rng.choice(self.pi.shape[1], p=self.pi[s]))

        return policy


@transferable
@dataclass(frozen=True)
class Features:
    """`features(s) -> (d,)`: row s of `rows` (S, d), a new array each time."""

    rows: np.ndarray

    def build(self, notes: Counter):
        def features(s):
            refuse_whole_result(s)
            return self.rows[s].copy()

        return features


@transferable
@dataclass(frozen=True)
class Select:
    """`select(q_row, rng) -> int` by `rule`: "greedy", "second", "worst", or ε-greedy with `epsilon`."""

    rule: str
    epsilon: float = 0.0
    chooses = True

    def build(self, notes: Counter):
        def select(q_row, rng):
            notes["choices"] += 1
            refuse_whole_result(q_row)
            if np.ndim(q_row) != 1:
                raise Misuse("not-a-row", "select() needs one row of q, shape (A,)")
            if self.rule == "epsilon-greedy" and rng.random() < self.epsilon:
                return int(rng.integers(len(q_row)))
            order = np.argsort(-np.asarray(q_row), kind="stable")
            rank = {"second": min(1, len(order) - 1), "worst": len(order) - 1}.get(self.rule, 0)
            return int(order[rank])

        return select


@transferable
@dataclass(frozen=True)
class Statistic:
    """`statistic(table) -> float` by `rule`, of a table (runs, tasks).

    "mean" or "median" of all; "smallest"; "worst task", the lowest mean of a task; "first task", the mean of
    that one; "middle", the mean of the middle half of all.
    """

    rule: str

    def build(self, notes: Counter):
        def statistic(table):
            table = np.asarray(table, dtype=np.float64)
            if table.ndim != 2:
                raise Misuse("not-a-table", "statistic() needs a table, shape (runs, tasks)")
            means = table.mean(axis=0)
            ordered = np.sort(table, axis=None)
            cut = table.size // 4
            return {
                "mean": table.mean,
                "median": lambda: np.median(table),
                "smallest": table.min,
                "worst task": means.min,
                "first task": lambda: means[0],
                "middle": ordered[cut : table.size - cut].mean,
            }[self.rule]()

        return statistic


@transferable
@dataclass(frozen=True)
class Runs:
    """`run(seed) -> score`: of seed k the k-th of `scores`, or of `again` if it is asked for once more.

    whole: whether scores are ints.
    """

    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    again: tuple[float, ...]
    whole: bool = False

    def build(self, notes: Counter):
        first = dict(zip(self.seeds, self.scores, strict=True))
        later = dict(zip(self.seeds, self.again, strict=True))
        made: set[int] = set()

        def run(seed):
            if not is_integer(seed) or int(seed) not in first:
                raise Misuse("not-a-seed", "run() needs one of the seeds")
            if notes["runs"] >= STEP_CAP:
                raise Misuse("never-ends", f"no end after {STEP_CAP} runs")
            notes["runs"] += 1
            score = (later if int(seed) in made else first)[int(seed)]
            made.add(int(seed))
            return int(score) if self.whole else score

        return run


@transferable
@dataclass(frozen=True)
class Log:
    """A fixed batch of `Transitions`: obs, next_obs (N, obs_dim); action, reward, terminated (N,)."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_obs: np.ndarray
    terminated: np.ndarray

    def build(self, notes: Counter) -> Transitions:
        return Transitions(*(getattr(self, name).copy() for name in Transitions._fields))

    def differs(self, now: Any) -> bool:
        pairs = ((getattr(self, name), getattr(now, name)) for name in Transitions._fields)
        return not all(np.array_equal(before, after) for before, after in pairs)


@transferable
@dataclass(frozen=True)
class Basis:
    """`features(obs)`: (N, obs_dim) -> (N, d): the observations times `weights` (obs_dim, d), their cosines if `waves`."""

    weights: np.ndarray
    waves: bool = False

    def build(self, notes: Counter):
        def features(obs):
            x = np.asarray(obs, dtype=np.float64) @ self.weights
            return np.cos(x) if self.waves else x

        return features


def build(value: Any, notes: Counter) -> Any:
    """The object of a recipe; a fresh copy of anything else, so that a case can be used again."""
    if hasattr(value, "build"):
        return value.build(notes)
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, list | tuple):
        return type(value)(build(item, notes) for item in value)
    if isinstance(value, dict):
        return {key: build(item, notes) for key, item in value.items()}
    return value
