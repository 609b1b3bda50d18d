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

import numpy as np
import torch
from torch import Tensor

from .agents import History
from .environments import Copies, MakeEnv, action_box, action_count
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
        envs.check_observations(agent.obs_dim)
        (action_box if agent.n_actions is None else action_count)(envs.action_space)
        with one_thread():
            _train(agent, envs, history, steps, act_rng, update_rng, stop_when, stop_every)
    except KeyboardInterrupt:
        history.interrupted = True
    finally:
        envs.close()
        history.seconds = time.perf_counter() - began
    return history


def _train(agent, envs: Copies, history: History, steps: int, act_rng, update_rng, stop_when,
           stop_every) -> None:  # fmt: skip
    next_stop = 0
    bar = progress(
        _rollouts(agent, envs, history, steps, act_rng),
        type(agent).__name__,
        episode_return=history.recent_return,
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
