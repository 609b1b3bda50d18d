"""One training loop for all on-policy agents: collect a rollout, let the agent learn, forget it.

An **on-policy agent** has `n_envs`, `horizon` (steps of each environment in a rollout, or None for
`episodes` whole episodes), `draw(obs, rng)`, `to_env(action)`, `update(rollout, rng) -> losses` and
`anneal(done)`; see `rlcourse.policies.agents.OnPolicyAgent`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from .agents import History
from .environments import MakeEnv, action_box, action_count, observation_size
from .progress import progress
from .seeding import generators, one_thread


class Rollout(NamedTuple):
    """Transitions in the order of time: every field (T, …), or (T, N, …) for N environments.

    `next_obs[t]` is what step t led to, also where the episode ended there and `obs[t + 1]` is a
    reset's; terminated, truncated: 0/1 float32. No row is a reset.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor
    truncated: Tensor


def train_on_policy(
    agent,
    make_env: MakeEnv,
    steps: int,
    seed: int,
    *,
    stop_when: Callable[..., bool] | None = None,
    stop_every: int = 1_000,
) -> History:
    """Let the agent act for a rollout and learn from it, in turns, for `steps` transitions in all.

    make_env: a Gymnasium id, or a function that makes an environment; `agent.n_envs` copies act
    together. The last rollout is shorter where `steps` ask for it (whole episodes are finished).
    stop_when(agent, steps so far) is asked every `stop_every` steps, after an update, and may end the
    training.

    The same seed gives the same run (the first weights are the agent's). Ctrl-C ends the training
    early: the agent keeps what it has learned, and the history says `interrupted`.
    Raises TrainingError when a loss is not finite, SpaceError when the environment is of the wrong kind.
    """
    act_rng, update_rng, env_rng = generators(seed, 3)
    envs = Copies(make_env, agent.n_envs, env_rng)
    history = History()
    began = time.perf_counter()
    try:
        _fit(agent, envs)
        with one_thread():
            _train(agent, envs, history, steps, act_rng, update_rng, stop_when, stop_every)
    except KeyboardInterrupt:
        history.interrupted = True
    finally:
        envs.close()
        history.seconds = time.perf_counter() - began
    return history


def _fit(agent, envs: Copies) -> None:
    """Stop before the first step if this agent and this environment do not speak of the same numbers."""
    if envs.obs_dim != agent.obs_dim:
        raise ValueError(
            f"The agent takes observations of {agent.obs_dim} numbers; the environment's are "
            f"{envs.observation_space}."
        )
    (action_box if agent.n_actions is None else action_count)(envs.action_space)


def _train(agent, envs: Copies, history: History, steps: int, act_rng, update_rng, stop_when,
           stop_every) -> None:  # fmt: skip
    next_stop = 0
    bar = progress(
        _rollouts(agent, envs, history, steps, act_rng),
        type(agent).__name__,
        episode_return=lambda: f"{history.recent_return():.1f}",
    )
    for rollout in bar:
        agent.anneal(min(history.steps / steps, 1.0))
        losses = agent.update(rollout, update_rng)
        history.updates += 1
        history.record_losses(losses)
        if stop_when is not None and history.steps >= next_stop + stop_every:
            next_stop = history.steps
            if stop_when(agent, history.steps):
                break


class Copies:
    """n copies of an environment stepped one after the other, each reset in the step that ends it.

    Gymnasium calls this SAME_STEP; its `SyncVectorEnv` does the same with twice the bookkeeping,
    which is what the time of a small network's rollout is spent on. `obs` (n, obs_dim) float32 is what
    to act on next.
    """

    def __init__(self, make_env: MakeEnv, n: int, rng: np.random.Generator) -> None:
        self.envs = [_make(make_env) for _ in range(n)]
        self.observation_space = self.envs[0].observation_space
        self.action_space = self.envs[0].action_space
        self.finite = isinstance(self.action_space, Discrete)
        self.obs_dim = observation_size(self.observation_space)
        self.obs = np.empty((n, self.obs_dim), np.float32)
        for i, env in enumerate(self.envs):
            self.obs[i], _ = env.reset(seed=int(rng.integers(2**31)))
        self.returns, self.lengths = [0.0] * n, [0] * n

    def step(self, action: np.ndarray, history: History) -> tuple[np.ndarray, ...]:
        """reward (n,), true next observations (n, obs_dim), terminated (n,), truncated (n,)."""
        history.steps += len(self.envs)
        next_obs, numbers = np.empty_like(self.obs), []
        # Plain integers: a Discrete space takes far longer to recognise NumPy's.
        actions = action.tolist() if self.finite else action
        for i, env in enumerate(self.envs):
            obs, reward, terminated, truncated, _ = env.step(actions[i])
            next_obs[i] = obs
            numbers.append((reward, terminated, truncated))
            self.returns[i] += float(reward)
            self.lengths[i] += 1
            if terminated or truncated:
                history.episode_steps.append(history.steps)
                history.episode_returns.append(self.returns[i])
                history.episode_lengths.append(self.lengths[i])
                self.returns[i], self.lengths[i] = 0.0, 0
                obs, _ = env.reset()
            self.obs[i] = obs
        reward, terminated, truncated = np.array(numbers, np.float32).T
        return reward, next_obs, terminated, truncated

    def close(self) -> None:
        for env in self.envs:
            env.close()


def _make(make_env: MakeEnv) -> gym.Env:
    """A new environment; by name, without the checker that would look at each of its steps."""
    return gym.make(make_env, disable_env_checker=True) if isinstance(make_env, str) else make_env()


def _rollouts(agent, envs: Copies, history: History, steps: int, rng) -> Iterator[Rollout]:
    """Rollouts until `steps` transitions have been seen."""

    def transition() -> tuple[np.ndarray, ...]:
        obs = envs.obs.copy()
        action = agent.draw(obs, rng)
        return obs, action, *envs.step(agent.to_env(action), history)

    while history.steps < steps:
        rows = []
        if agent.horizon is None:
            wanted = len(history.episode_returns) + agent.episodes
            while len(history.episode_returns) < wanted:
                rows.append(transition())
        else:
            left = math.ceil((steps - history.steps) / agent.n_envs)
            rows = [transition() for _ in range(min(agent.horizon, left))]
        yield Rollout(*(torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True)))
