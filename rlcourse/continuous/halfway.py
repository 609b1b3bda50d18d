"""A mark for a project on an environment that is in no table (lesson 20)."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete

from rlcourse.lab.budget import EPISODES, Task
from rlcourse.lab.environments import uniform_actions
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.on_policy import train_on_policy
from rlcourse.policies.ppo import PPO

from .sac import SAC


def halfway_task(env: str, steps: int, seed: int = 0) -> Task:
    r"""A task whose mark lies half way from chance to the course's own agent: $x + \tfrac12(y - x)$.

    x: the mean return of uniform actions; y: that of PPO (finite actions) or SAC (a box) after `steps`
    transitions, both as they are, untuned, with one seed: so the mark is a place to aim at, and no more. Takes
    as long as that training. env: a Gymnasium id that is installed.
    """
    task = Task(env, steps, 0.0)
    finite = isinstance(task.spaces[1], Discrete)
    agent = (PPO if finite else SAC).for_env(env, seed=seed)
    (train_on_policy if finite else train_off_policy)(agent, env, steps, seed)
    x, y = (evaluate(who, env, EPISODES, seed + 1).mean() for who in (_Uniform(env), agent))
    return Task(env, steps, float(x + 0.5 * (y - x)))


class _Uniform:
    def __init__(self, env: str):
        self.space = gym.make(env).action_space

    def act(self, obs: np.ndarray, rng: np.random.Generator, explore: bool = True) -> np.ndarray:
        return uniform_actions(self.space, len(obs), rng)
