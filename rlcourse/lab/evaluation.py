"""How good an agent is: greedy episodes, and the same over many seeds.

What their scores say, and how surely, is computed in `statistics`, whose functions can be imported from
here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

import numpy as np

from .agents import Policy
from .environments import MakeEnv, maker
from .seeding import generators, one_thread
from .statistics import (
    bootstrap_interval,
    interquartile_mean,
    judge_runs,
    pass_probability,
    performance_profile,
    probability_of_improvement,
    required_runs,
    solved_in,
    two_sided_p,
    welch_t,
)

__all__ = [
    "Solved",
    "bootstrap_interval",
    "evaluate",
    "interquartile_mean",
    "judge_runs",
    "pass_probability",
    "performance_profile",
    "probability_of_improvement",
    "required_runs",
    "run_seeds",
    "solved_in",
    "two_sided_p",
    "welch_t",
]

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
