"""One training loop for all on-policy agents: collect a rollout, let the agent learn, forget it.

N copies of a Gymnasium environment are stepped side by side and reset in the same step in which an
episode ends (Gymnasium calls this SAME_STEP). `next_obs` is always what the step led to, never the
reset's observation, and the reset itself is no transition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch

from rlcourse.lab.progress import progress


class Rollout(NamedTuple):
    """Transitions in the order of time: every field (T, …), or (T, N, …) for N environments.

    `next_obs[t]` is what step t led to, also where the episode ended there and `obs[t + 1]` is a
    reset's; terminated, truncated: 0/1 float32.
    """

    obs: torch.Tensor
    action: torch.Tensor
    reward: torch.Tensor
    next_obs: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor


def check_spaces(observation_space, action_space, agent: str, discrete_only: bool = False) -> None:
    """Raise ValueError with a sentence unless an agent with networks can work with these spaces."""
    if not isinstance(observation_space, gym.spaces.Box):
        raise ValueError(
            f"{agent} reads observations from a Box of numbers, not from {observation_space}."
        )
    if isinstance(action_space, gym.spaces.Discrete):
        return
    if discrete_only or not isinstance(action_space, gym.spaces.Box):
        kinds = "a Discrete action space" if discrete_only else "a Discrete or Box action space"
        raise ValueError(f"{agent} needs {kinds}, not {action_space}.")
    if not action_space.is_bounded():
        raise ValueError(
            f"{agent} scales its actions to the box, so every bound must be finite: {action_space}."
        )


@dataclass
class OnPolicyHistory:
    """What happened in a run: after every episode, the environment steps so far and its return."""

    steps: list[int] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    total_steps: int = 0
    interrupted: bool = False

    def running_return(self, last: int = 20) -> float:
        """The mean return of the last episodes; NaN before the first has ended."""
        return float(np.mean(self.returns[-last:])) if self.returns else math.nan


class Environments:
    """N copies of an environment, seeded apart, stepped one after the other without ceremony."""

    def __init__(self, make: str | Callable[[], gym.Env], n: int, seed: int) -> None:
        # The checker would test every step of an environment that thousands use.
        build = (
            (lambda: gym.make(make, disable_env_checker=True)) if isinstance(make, str) else make
        )
        self.envs = [build() for _ in range(n)]
        first = self.envs[0]
        self.obs = np.zeros((n, math.prod(first.observation_space.shape)), dtype=np.float32)
        for i, env in enumerate(self.envs):
            self.obs[i] = env.reset(seed=seed + i)[0].ravel()
        self.totals = [0.0] * n

    def step(self, actions, next_obs, reward, terminated, truncated) -> list[float]:
        """Step every environment into the rows given; `self.obs` is what to act on next.

        Returns the returns of the episodes that ended in this step.
        """
        finished, totals = [], self.totals
        for i, env in enumerate(self.envs):
            obs, r, end, cut, _ = env.step(actions[i])
            next_obs[i] = obs.ravel()
            reward[i] = r
            totals[i] += r
            if end or cut:
                terminated[i], truncated[i] = end, cut
                finished.append(float(totals[i]))
                totals[i] = 0.0
                obs, _ = env.reset()
            self.obs[i] = obs.ravel()
        return finished

    def close(self) -> None:
        for env in self.envs:
            env.close()


def train_on_policy(agent, env, steps: int, seed: int = 0) -> OnPolicyHistory:
    """Train until `steps` environment steps are used (all environments together).

    agent: n_envs, horizon (or None, and then `episodes` whole ones), `act(obs, rng)`,
    `to_env(action)`, `update(rollout, rng) -> loss`, `anneal(done)`; env: a Gymnasium id, or a
    function that makes one. The same seed gives the same numbers. Ctrl-C ends the run and keeps
    what was learnt. Raises FloatingPointError when the loss is no number any more.
    """
    rng = np.random.default_rng(seed)
    envs = Environments(env, agent.n_envs, seed=int(rng.integers(2**31)))
    history = OnPolicyHistory()
    bar = progress(
        _rollouts(agent, envs, history, steps, rng),
        type(agent).__name__,
        episode_return=history.running_return,
    )
    try:
        for rollout in bar:
            agent.anneal(min(history.total_steps / steps, 1.0))
            loss = float(agent.update(rollout, rng).mean())
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"The loss became {loss} after {history.total_steps} steps: a smaller learning "
                    "rate or a smaller gradient norm usually helps."
                )
            history.losses.append(loss)
    except KeyboardInterrupt:
        history.interrupted = True
    finally:
        envs.close()
    return history


def _rollouts(agent, envs: Environments, history, steps: int, rng) -> Iterator[Rollout]:
    while history.total_steps < steps:
        if agent.horizon is None:
            yield _episodes(agent, envs, history, steps, rng)
        else:
            left = math.ceil((steps - history.total_steps) / len(envs.envs))
            yield _collect(agent, envs, history, min(agent.horizon, left), rng)


def _collect(agent, envs: Environments, history, horizon: int, rng) -> Rollout:
    """`horizon` steps of every environment."""
    shape = (horizon, len(envs.envs))
    obs = np.empty((*shape, envs.obs.shape[1]), dtype=np.float32)
    next_obs = np.empty_like(obs)
    reward, terminated, truncated = np.zeros((3, *shape), dtype=np.float32)
    actions = []
    for t in range(horizon):
        obs[t] = envs.obs
        action = agent.act(obs[t], rng)
        actions.append(action)
        finished = envs.step(
            agent.to_env(action).tolist() if action.ndim == 1 else agent.to_env(action),
            next_obs[t],
            reward[t],
            terminated[t],
            truncated[t],
        )
        history.total_steps += shape[1]
        history.returns += finished
        history.steps += [history.total_steps] * len(finished)
    columns = (obs, np.stack(actions), reward, next_obs, terminated, truncated)
    return Rollout(*map(torch.from_numpy, columns))


def _episodes(agent, envs: Environments, history, steps: int, rng) -> Rollout:
    """Whole episodes of one environment, as one long rollout."""
    pieces, wanted = [], len(history.returns) + agent.episodes
    while len(history.returns) < wanted:
        pieces.append(_collect(agent, envs, history, 1, rng))
    return Rollout(*(torch.cat(column) for column in zip(*pieces, strict=True)))
