"""The project of lesson 20: which tasks there are, and how an agent of one's own breaks the rules.

No answer is right or wrong by its values here: see `rlcourse.checker.trials`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from rlcourse.checker.declaration import Mistake, anything
from rlcourse.checker.project import NoTask, Project
from rlcourse.lab.budget import TASKS, Task

CHOICE = "TASK"  # the name of the constant in the answer's cell that says which task it is


def task_of(function: Callable[..., Any]) -> Task:
    """The task that an answer has chosen, by the constant beside it; CartPole where there is none.

    Raises NoTask.
    """
    chosen = getattr(function, "__globals__", {}).get(CHOICE, next(iter(TASKS)))
    return task_named(chosen)


def task_named(chosen: Any) -> Task:
    """One of the table by its id, or a `Task` of one's own. Raises NoTask where it cannot be made."""
    if isinstance(chosen, Task):
        task = chosen
    elif isinstance(chosen, str) and chosen in TASKS:
        return TASKS[chosen]
    else:
        raise NoTask(
            f"`{CHOICE}` is {chosen!r}. It is one of {', '.join(TASKS)}, or a task of your own with its budget "
            f'and its mark: `{CHOICE} = Task("LunarLander-v3", steps=100_000, mark=0.0)`.'
        )
    try:
        _ = task.spaces
    except Exception as error:
        raise NoTask(f"{task.env} cannot be used: {_why_not(task.env, error)}") from error
    return task


# What Gymnasium's environments need that the course does not install, and how it is had.
_EXTRAS = {"mujoco": "mujoco", "box2d": "box2d"}


def _why_not(env: str, error: Exception) -> str:
    """Why an environment cannot be made, in one sentence, with the line that mends it where one does."""
    try:
        entry = str(gym.spec(env).entry_point).lower()
    except gym.error.Error:
        entry = ""
    missing = isinstance(error, ImportError | gym.error.DependencyNotInstalled)
    for word, extra in _EXTRAS.items():
        if word in entry and missing:
            return f"it needs another package: `pip install 'rlcourse[{extra}]'`."
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


# ---------------------------------------------------------------------- wrong ways to play, by name


class _Lines:
    """Acts by the largest of a few linear functions of the observation."""

    def __init__(self, weights: np.ndarray, noise: float = 0.0, each: bool = True):
        self.weights, self.noise, self.each, self.calls = weights, noise, each, 0

    def act(self, obs, rng, explore=True):
        values = obs @ self.weights
        if self.noise:
            values = values + self.noise * rng.normal(size=values.shape)
        action = values.argmax(axis=1)
        return action if self.each else action[:1]


class _Recording(_Lines):
    def act(self, obs, rng, explore=True):
        self.calls += 1
        return np.full(len(obs), (self.calls // 7) % self.weights.shape[1])


def _own_seed(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _plays(
    generator: Callable[[int], np.random.Generator] = _own_seed,
    over: Callable[[bool, bool], bool] = lambda terminated, truncated: terminated or truncated,
    more: int = 0,
    sample: bool = False,
    seeded: bool = True,
    agent: Callable[..., Any] = _Lines,
):
    """An answer that learns nothing, and breaks a rule where an option says so. more: steps beyond the budget."""

    def train_agent(make_env, steps, seed):
        env, rng = make_env(), generator(seed)
        n = int(env.action_space.n)
        obs, _ = env.reset(seed=int(rng.integers(2**31))) if seeded else env.reset()
        for _ in range(steps + more):
            action = env.action_space.sample() if sample else int(rng.integers(n))
            obs, _, terminated, truncated, _ = env.step(action)
            if over(terminated, truncated):
                obs, _ = env.reset()
        return agent(rng.normal(size=(len(obs), n)))

    return train_agent


def _episodes(make_env, steps, seed):
    env, rng = make_env(), np.random.default_rng(seed)
    for _ in range(steps):
        env.reset(seed=int(rng.integers(2**31)))
        over = False
        while not over:
            obs, _, terminated, truncated, _ = env.step(int(rng.integers(2)))
            over = terminated or truncated
    return _Lines(rng.normal(size=(len(obs), 2)))


def _keeps_stepping_at_the_limit(make_env, steps, seed):
    # By hand, and well enough to see the time limit: whoever falls early never meets it.
    env, rng = make_env(), np.random.default_rng(seed)
    obs, _ = env.reset(seed=int(rng.integers(2**31)))
    weights = np.array([[0, 0.1], [0, 0.5], [0, 5.0], [0, 1.0]])
    for _ in range(steps):
        obs, _, terminated, _, _ = env.step(int((obs @ weights).argmax()))
        if terminated:
            obs, _ = env.reset()
    return _Lines(weights)


def _remembering():
    memory = []

    def train_agent(make_env, steps, seed):
        env, rng = make_env(), np.random.default_rng(seed)
        obs, _ = env.reset(seed=int(rng.integers(2**31)))
        for _ in range(steps):
            memory.append(obs)
            lean = memory[int(rng.integers(len(memory)))][2]
            obs, _, terminated, truncated, _ = env.step(int(lean > 0))
            if terminated or truncated:
                obs, _ = env.reset()
        return _Lines(rng.normal(size=(4, 2)))

    return train_agent


def _balances(make_env, steps, seed):
    """CartPole's answer, known before."""
    trained = _plays()(make_env, steps, seed)
    trained.weights[:] = [[0, 0.1], [0, 0.5], [0, 5.0], [0, 1.0]]
    return trained


def _finished(make_env, steps, seed):
    from rlcourse.values.dqn import DQN

    return DQN(obs_dim=4, n_actions=2, seed=seed)


MISTAKES = [
    Mistake(
        "over-budget",
        "It asks for more steps than it was given. All copies together have `steps` steps.",
        "Where several copies act at once, every round takes as many steps as there are copies; looks at the "
        "policy in between cost steps as well.",
        _plays(more=1),
    ),
    Mistake(
        "counts-episodes",
        "It plays `steps` episodes. A step is one call of `step`.",
        "Count the calls of `step`, over all episodes, and stop in the middle of one if need be.",
        _episodes,
    ),
    Mistake(
        "waits-for-terminated",
        "It goes on after a time limit: an episode is over when it is terminated *or* truncated.",
        "Reset in both cases. Bootstrap through the second one only.",
        _keeps_stepping_at_the_limit,
    ),
    Mistake(
        "steps-after-the-end",
        "It calls `step` after an episode has terminated.",
        "Call `reset()` before the next step; its observation is the next one to act on.",
        _plays(over=lambda terminated, truncated: False),
    ),
    Mistake(
        "seed-unused",
        "With the same seed it does not do the same: something is drawn elsewhere than from `seed`.",
        "Look for `np.random.…`, for `default_rng()` without a seed, and for networks that are made outside "
        "`torch_seed(seed)`.",
        _plays(generator=lambda seed: np.random.default_rng()),
    ),
    Mistake(
        "every-seed-the-same",
        "With another seed it does exactly the same: five runs would be one run, five times.",
        "Is there a number where `seed` should stand?",
        _plays(generator=lambda seed: np.random.default_rng(1)),
    ),
    Mistake(
        "unseeded-sampling",
        "It draws from `action_space.sample()`, which has a generator of its own that nobody seeded.",
        "Draw from a generator made of `seed`, or seed the space once: `action_space.seed(…)`.",
        _plays(sample=True),
    ),
    Mistake(
        "unseeded-start",
        "With the same seed its episodes begin elsewhere: the first reset of a copy was given no seed.",
        "`env.reset(seed=…)` once for each copy, with a number that follows from `seed`; then without.",
        _plays(seeded=False),
    ),
    Mistake(
        "remembers-earlier-runs",
        "The second run with the same seed goes on from the first: a variable outside the function lives on. "
        "Each seed starts from nothing.",
        "Make tables, networks, buffers and counters inside the function.",
        _remembering(),
    ),
    Mistake(
        "explores-when-judged",
        "With `explore=False` its actions still depend on `rng`. What is judged is the greedy policy.",
        "Return the best action, or the mean, when `explore` is false.",
        _plays(agent=lambda weights: _Lines(weights, noise=1.0)),
    ),
    Mistake(
        "one-action-for-all",
        "`act` gets many observations, a row each, and returns fewer actions than rows.",
        "Return one action a row: take the largest along axis 1.",
        _plays(agent=lambda weights: _Lines(weights, each=False)),
    ),
    Mistake(
        "returns-the-table",
        "What it returns has no `act`: a table or a network is no agent yet.",
        "Return an object with `act(obs, rng, explore=False)`.",
        _plays(agent=lambda weights: weights),
    ),
    Mistake(
        "knew-before-learning",
        "With a budget of a single step it reaches the mark as well: it knew the answer before it learned.",
        "Start from weights that say nothing.",
        _balances,
    ),
    Mistake(
        "plays-back-its-best-episode",
        "The same observation gets another action the second time: it plays something back and ignores `obs`. "
        "Look at the score from other starts.",
        "Let the action follow from the observation alone.",
        _plays(agent=_Recording),
    ),
    Mistake(
        "finished-agent",
        "It uses one of the course's finished agents. The project is your own.",
        "Networks, replay and loops of `rlcourse.lab` are yours to use, and your own functions of earlier lessons.",
        _finished,
    ),
]

FINISHED = ("rlcourse.values", "rlcourse.policies", "rlcourse.continuous")
DECLARED = {
    "cases": lambda rng: [],
    "returns": anything(),
    "points": 6,
    "equation": "(20.8)",
    "mistakes": MISTAKES,
    "project": Project(task_of, FINISHED),
}
