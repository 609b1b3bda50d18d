"""One training loop for all on-policy agents: collect a rollout, let the agent learn, forget it.

An **on-policy agent** has `n_envs`, `horizon` (steps of each environment in a rollout, or None for
`episodes` whole episodes), `draw(obs, rng)`, `to_env(action)`, `update(rollout, rng) -> losses` and
`anneal(done)`; see `rlcourse.policies.agents.OnPolicyAgent`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .agents import History
from .environments import MakeEnv, action_box, action_count, observation_size, vector_env
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


def train_on_policy(agent, make_env: MakeEnv, steps: int, seed: int) -> History:
    """Let the agent act for a rollout and learn from it, in turns, for `steps` transitions in all.

    make_env: a Gymnasium id, or a function that makes an environment; `agent.n_envs` copies act
    together. The last rollout is shorter where `steps` ask for it (whole episodes are finished).

    The same seed gives the same run (the first weights are the agent's). Ctrl-C ends the training
    early: the agent keeps what it has learned, and the history says `interrupted`.
    Raises TrainingError when a loss is not finite, SpaceError when the environment is of the wrong kind.
    """
    envs = vector_env(make_env, agent.n_envs)
    history = History()
    began = time.perf_counter()
    try:
        with one_thread():
            _train(agent, envs, history, steps, seed)
    except KeyboardInterrupt:
        history.interrupted = True
    finally:
        envs.close()
        history.seconds = time.perf_counter() - began
    return history


def _train(agent, envs, history: History, steps: int, seed: int) -> None:
    if observation_size(envs.single_observation_space) != agent.obs_dim:
        raise ValueError(
            f"The agent takes observations of {agent.obs_dim} numbers; the environment's are "
            f"{envs.single_observation_space}."
        )
    fits = action_box if agent.n_actions is None else action_count
    fits(envs.single_action_space)
    act_rng, update_rng, env_rng = generators(seed, 3)
    transitions = _transitions(agent, envs, history, act_rng, env_rng)
    bar = progress(
        _rollouts(agent, transitions, history, steps),
        type(agent).__name__,
        episode_return=lambda: f"{history.recent_return():.1f}",
    )
    for rollout in bar:
        agent.anneal(min(history.steps / steps, 1.0))
        losses = agent.update(rollout, update_rng)
        history.updates += 1
        history.record_losses(losses)


def _transitions(agent, envs, history: History, act_rng, env_rng) -> Iterator[tuple]:
    """One step of all environments after the other, each environment reset as it ends."""
    n = envs.num_envs
    obs, _ = envs.reset(seed=[int(s) for s in env_rng.integers(2**31, size=n)])
    returns, lengths = np.zeros(n), np.zeros(n, dtype=np.int64)
    while True:
        obs = obs.astype(np.float32)  # a copy: the environments write into their own array
        action = agent.draw(obs, act_rng)
        next_obs, reward, terminated, truncated, _ = envs.step(agent.to_env(action))
        history.steps += n
        returns += reward
        lengths += 1
        ended = terminated | truncated
        transition = (obs, action, reward, next_obs.astype(np.float32), terminated, truncated)
        if ended.any():
            for i in np.flatnonzero(ended):
                history.episode_steps.append(history.steps)
                history.episode_returns.append(float(returns[i]))
                history.episode_lengths.append(int(lengths[i]))
            returns[ended], lengths[ended] = 0.0, 0
            next_obs, _ = envs.reset(options={"reset_mask": ended})
        yield transition
        obs = next_obs


def _rollouts(agent, transitions, history: History, steps: int) -> Iterator[Rollout]:
    """Rollouts until `steps` transitions have been seen."""
    while history.steps < steps:
        rows = []
        if agent.horizon is None:
            wanted = len(history.episode_returns) + agent.episodes
            while len(history.episode_returns) < wanted:
                rows.append(next(transitions))
        else:
            left = math.ceil((steps - history.steps) / agent.n_envs)
            rows = [next(transitions) for _ in range(min(agent.horizon, left))]
        obs, action, *numbers = (np.stack(column) for column in zip(*rows, strict=True))
        reward, next_obs, terminated, truncated = (x.astype(np.float32) for x in numbers)
        columns = (obs, action, reward, next_obs, terminated, truncated)
        yield Rollout(*map(torch.from_numpy, columns))
