"""How good an agent is: greedy episodes, many seeds, and intervals that say what is not known.

Agarwal et al. 2021, *Deep reinforcement learning at the edge of the statistical precipice*: the
interquartile mean over runs and tasks, with a percentile bootstrap that draws runs anew within each
task (stratified). Own code, a few lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

import numpy as np

from .agents import Policy
from .environments import MakeEnv, maker
from .seeding import generators, one_thread

T = TypeVar("T")


def evaluate(agent: Policy, make_env: MakeEnv, episodes: int, seed: int) -> np.ndarray:
    """The undiscounted returns of the greedy policy, (episodes,) float64.

    Every episode has an environment of its own, so that short ones do not count more often than long
    ones; all that still run are decided together. The same seed gives the same starts.
    """
    act_rng, env_rng = generators(seed, 2)
    envs = [maker(make_env)() for _ in range(episodes)]
    seeds = env_rng.integers(2**31, size=episodes)
    obs = [env.reset(seed=int(s))[0] for env, s in zip(envs, seeds, strict=True)]
    returns = np.zeros(episodes)
    running = list(range(episodes))
    with one_thread():
        while running:
            actions = agent.act(np.stack([obs[i] for i in running]), act_rng, explore=False)
            still = []
            for i, action in zip(running, actions, strict=True):
                obs[i], reward, terminated, truncated, _ = envs[i].step(action)
                returns[i] += reward
                if not (terminated or truncated):
                    still.append(i)
            running = still
    for env in envs:
        env.close()
    return returns


@dataclass(frozen=True)
class Solved:
    """For `stop_when`: whether the greedy policy's mean return over `episodes` episodes reaches `mark`.

    seed: of the starts, which are others than those of a later judgement; their steps are not counted.
    """

    make_env: MakeEnv
    mark: float
    episodes: int = 20
    seed: int = 20_000

    def __call__(self, agent: Policy, steps: int) -> bool:
        return evaluate(agent, self.make_env, self.episodes, self.seed).mean() >= self.mark


def run_seeds(train: Callable[[int], T], seeds: Iterable[int], processes: int = 1) -> list[T]:
    """[train(seed) for every seed], in order; in `processes` processes if more than one.

    With processes `train` must be a function at the top level of a module, and its result plain data.
    """
    if processes == 1:
        return [train(seed) for seed in seeds]
    # spawn: a fork of a process that has used torch's threads may never come back.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(train, seeds))


def interquartile_mean(scores) -> float:
    """The mean of the middle half of all scores: a quarter (rounded down) is cut off at each end."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64), axis=None)
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def bootstrap_interval(
    scores,
    rng: np.random.Generator,
    statistic: Callable[[np.ndarray], float] = interquartile_mean,
    level: float = 0.95,
    draws: int = 2_000,
) -> tuple[float, float]:
    """A percentile interval for `statistic`, by drawing the runs of each task anew.

    scores: (runs,), or (runs, tasks). Returns (low, high). With the few runs that are usual, the
    interval is too narrow rather than too wide: five runs cannot show what the sixth would do.
    """
    scores = np.asarray(scores, dtype=np.float64)
    scores = scores.reshape(len(scores), -1)
    n_runs, n_tasks = scores.shape
    values = [
        statistic(scores[rng.integers(n_runs, size=(n_runs, n_tasks)), np.arange(n_tasks)])
        for _ in range(draws)
    ]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def solved_in(scores: Sequence[float], mark: float) -> int:
    """How many of these runs reach the mark."""
    return int(np.sum(np.asarray(scores) >= mark))
