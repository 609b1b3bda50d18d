"""Experiments of Part II as plain data: a lesson computes here and draws itself."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch

from rlcourse.lab.environments import MakeEnv, action_count, observation_size, vector_env
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.progress import progress
from rlcourse.lab.replay import ReplayBuffer
from rlcourse.lab.seeding import generators, one_thread

from .dqn import DQN


def random_memory(make_env: MakeEnv, n: int, seed: int, n_envs: int = 1) -> ReplayBuffer:
    """n transitions of the policy that acts at random, one environment after the other's row."""
    act_rng, env_rng = generators(seed, 2)
    envs = vector_env(make_env, n_envs)
    memory = ReplayBuffer(n, observation_size(envs.single_observation_space))
    n_actions = action_count(envs.single_action_space)
    obs, _ = envs.reset(seed=[int(s) for s in env_rng.integers(2**31, size=n_envs)])
    while len(memory) < n:
        action = act_rng.integers(n_actions, size=n_envs)
        next_obs, reward, terminated, truncated, _ = envs.step(action)
        memory.extend(obs, action, reward, next_obs, terminated)
        ended = terminated | truncated
        if ended.any():
            next_obs, _ = envs.reset(options={"reset_mask": ended})
        obs = next_obs
    envs.close()
    return memory


def largest_values(agent: DQN, obs: torch.Tensor) -> np.ndarray:
    r"""$\max_a Q_\phi(s, a)$ of every row of `obs`, (B,) float64."""
    with torch.inference_mode():
        return agent.q_net(obs).amax(dim=1).double().numpy()


def values_while_learning(
    agents: Sequence[DQN],
    memory: ReplayBuffer,
    updates: int,
    *,
    batch_size: int = 64,
    every: int = 20,
    probes: int = 500,
    label: str = "a fixed memory",
) -> np.ndarray:
    r"""The mean of $\max_a Q_\phi(s, a)$ over some states of the memory, as agents learn from it and
    from nothing else. Taken before every `every`-th update.

    Agent i draws its batches with the seed i. Returns (agents, updates / every).
    """
    obs = memory.rows(np.linspace(0, len(memory) - 1, probes).astype(int)).obs
    means = np.zeros((len(agents), -(-updates // every)))
    with one_thread():
        for i, agent in enumerate(progress(agents, label)):
            rng = np.random.default_rng(i)
            for k in range(updates):
                if k % every == 0:
                    means[i, k // every] = largest_values(agent, obs).mean()
                agent.update(memory.sample(batch_size, rng), rng)
    return means


class Watch:
    """A `stop_when` that keeps notes: the greedy return and the values, every time it is asked.

    It stops the training as soon as the mean return of `episodes` greedy episodes reaches `mark`.
    steps, returns, values: one entry a look; values are means of max Q over the states of `obs`.
    kept: the weights of the network at the look with the highest return, the first of equal ones; a `state_dict`.
    """

    def __init__(
        self,
        make_env: MakeEnv,
        mark: float,
        seed: int,
        *,
        episodes: int = 20,
        obs: torch.Tensor | None = None,
    ):
        self.make_env, self.mark, self.seed, self.episodes = make_env, mark, seed, episodes
        self.obs = obs
        self.steps: list[int] = []
        self.returns: list[float] = []
        self.values: list[float] = []
        self.kept: dict[str, torch.Tensor] = {}

    def __call__(self, agent: DQN, steps: int) -> bool:
        self.steps.append(steps)
        found = float(evaluate(agent, self.make_env, self.episodes, self.seed).mean())
        if not self.returns or found > max(self.returns):
            self.kept = deepcopy(agent.q_net.state_dict())
        self.returns.append(found)
        if self.obs is not None:
            self.values.append(float(largest_values(agent, self.obs).mean()))
        return self.returns[-1] >= self.mark
