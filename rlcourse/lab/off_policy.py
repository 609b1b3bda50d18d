"""One training loop for every agent that learns from replay."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from .agents import History, OffPolicyAgent
from .environments import Copies, MakeEnv, uniform_actions
from .progress import progress
from .seeding import generators, one_thread

LOSSES_EVERY = 100  # updates between two looks at the losses: a look waits for the numbers


def train_off_policy(
    agent: OffPolicyAgent,
    make_env: MakeEnv,
    steps: int,
    seed: int,
    *,
    n_envs: int = 1,
    warmup: int = 1_000,
    train_every: int = 1,
    updates: int = 1,
    batch_size: int = 64,
    capacity: int = 100_000,
    stop_when: Callable[[OffPolicyAgent, int], bool] | None = None,
    stop_every: int = 1_000,
) -> History:
    """Let the agent act in the environment and learn from replay, in turns.

    steps: transitions in all, over the `n_envs` copies that act together. The first `warmup` actions
    are uniform and nothing is learned; from then on, `updates` steps of the agent follow every
    `train_every` transitions (bursts are cheaper than the same number of single ones). Stored is
    `terminated`: a time limit ends an episode and not the bootstrap; next_obs is always the true one.
    stop_when(agent, steps so far) is asked every `stop_every` steps and may end the training.

    The same seed gives the same run (the first weights are the agent's). Ctrl-C ends the training
    early: the agent keeps what it has learned, and the history says `interrupted`.
    Raises TrainingError when a loss is not finite, SpaceError when the environment is of the wrong kind.
    """
    act_rng, replay_rng, env_rng = generators(seed, 3)
    envs = Copies(make_env, n_envs, env_rng)
    history = History()
    began = time.perf_counter()
    try:
        with one_thread():
            _train(agent, envs, history, steps, act_rng, replay_rng, warmup, train_every, updates,
                   batch_size, capacity, stop_when, stop_every)  # fmt: skip
    except KeyboardInterrupt:
        history.interrupted = True
    finally:
        envs.close()
        history.seconds = time.perf_counter() - began
    return history


def _train(agent, envs, history, steps, act_rng, replay_rng, warmup, train_every, updates,
           batch_size, capacity, stop_when, stop_every) -> None:  # fmt: skip
    n = len(envs.envs)
    envs.check_observations(agent.obs_dim)
    uniform_actions(envs.action_space, 1, np.random.default_rng(0))  # of the right kind?
    replay = agent.make_replay(capacity)
    agent.begin_episodes(np.ones(n, dtype=bool))
    due = next_stop = 0
    losses = {}
    bar = progress(
        range(0, steps, n),
        type(agent).__name__,
        episode_return=history.recent_return,
    )
    for _ in bar:
        if history.steps < warmup:
            action = uniform_actions(envs.action_space, n, act_rng)
        else:
            action = agent.act(envs.obs, act_rng)
        obs = envs.obs.copy()
        reward, next_obs, terminated, truncated = envs.step(action, history)
        replay.extend(obs, action, reward, next_obs, terminated)
        ended = (terminated + truncated) > 0
        if ended.any():
            agent.begin_episodes(ended)

        if history.steps > warmup:
            due += n
            while due >= train_every:
                due -= train_every
                for _ in range(updates):
                    losses = agent.update(replay.sample(batch_size, replay_rng), replay_rng)
                    history.updates += 1
                    if history.updates % LOSSES_EVERY == 0:
                        history.record_losses(losses)
        if stop_when is not None and history.steps >= next_stop + stop_every:
            next_stop = history.steps
            if stop_when(agent, history.steps):
                break
    if losses and history.updates % LOSSES_EVERY:
        history.record_losses(losses)
