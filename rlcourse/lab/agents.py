"""What an agent is to the loops, and what a loop hands back.

An **off-policy agent** is a dataclass derived from `OffPolicyAgent` with

- `act(obs, rng, explore=True)`: obs (N, obs_dim), any N → actions of the *environment*, NumPy: (N,)
  int64, or (N, act_dim) float32 within its box. explore=False is the greedy policy and draws nothing.
- `update(batch, rng)`: one step from a `replay.Batch` with the environment's actions; returns the
  losses before the step by name, as floats or 0-d tensors (no `.item()`: the loop looks at some).
- `make_replay(capacity)`: the memory it learns from; uniform unless the agent says otherwise.
- `begin_episodes(rows)`: told by the loop where an episode begins; nothing to do unless the agent says so.
- the attributes that the contract of its update names (`q_net`, `target_net`, `optimizer`, …).

Whatever randomness they need comes from `rng`, a NumPy generator. The pure functions of its method are
fields of the agent (`DQN(..., dqn_loss=mine)`): so a student's function trains the agent.
For evaluation and videos anything with `act` will do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np

from .replay import Batch, ReplayBuffer


class TrainingError(RuntimeError):
    """Training cannot go on: the sentence says what was seen and what usually causes it."""


class Policy(Protocol):
    """Whatever can be evaluated."""

    def act(
        self, obs: np.ndarray, rng: np.random.Generator, explore: bool = True
    ) -> np.ndarray: ...


class OffPolicyAgent:
    """Base of the off-policy agents; see the module's text for what they provide."""

    obs_dim: int
    act_dim: int | None = None  # None: a finite number of actions

    def act(self, obs: np.ndarray, rng: np.random.Generator, explore: bool = True) -> np.ndarray:
        raise NotImplementedError

    def update(self, batch: Batch, rng: np.random.Generator | None = None) -> dict[str, Any]:
        raise NotImplementedError

    def begin_episodes(self, rows: np.ndarray) -> None:
        """The next actions of these rows, (n_envs,) bool, are the first ones of new episodes."""

    def make_replay(self, capacity: int) -> ReplayBuffer:
        return ReplayBuffer(capacity, self.obs_dim, self.act_dim)


def functions_for(agent: Any, update: Callable) -> dict[str, Callable]:
    """The agent's own functions for those that `update` takes by keyword (behind a `*`), by name."""
    asked = update.__kwdefaults__ or {} if hasattr(update, "__kwdefaults__") else {}
    return {name: getattr(agent, name, own) for name, own in asked.items()}


class Preset(NamedTuple):
    """Hyperparameters that are known to work: `train_off_policy(DQN.for_env(env, **p.agent), env, **p.training)`."""

    env: str | Callable[[], gym.Env]
    agent: dict[str, Any]
    training: dict[str, Any]


@dataclass
class History:
    """What happened while an agent learned.

    episode_steps, episode_returns, episode_lengths: (episodes,), in order of their ends;
    episode_steps counts environment steps over all copies. losses: by name, (n,) float64, taken now
    and then, with the updates at which they were taken in loss_updates. steps, updates: totals.
    interrupted: somebody pressed Ctrl-C; the agent keeps what it had learned.
    """

    episode_steps: list[int] = field(default_factory=list)
    episode_returns: list[float] = field(default_factory=list)
    episode_lengths: list[int] = field(default_factory=list)
    loss_updates: list[int] = field(default_factory=list)
    losses: dict[str, list[float]] = field(default_factory=dict)
    steps: int = 0
    updates: int = 0
    seconds: float = 0.0
    interrupted: bool = False

    def recent_return(self, episodes: int = 20) -> float:
        """The mean return of the last episodes; NaN before the first has ended."""
        recent = self.episode_returns[-episodes:]
        return sum(recent) / len(recent) if recent else float("nan")

    def record_losses(self, losses: dict[str, Any]) -> None:
        """Keep these losses, and stop with a `TrainingError` if one of them is not finite."""
        self.loss_updates.append(self.updates)
        for name, value in losses.items():
            value = float(value)
            if not np.isfinite(value):
                raise TrainingError(
                    f"{name} is {value} after {self.updates} updates and {self.steps} steps of the "
                    f"environment. The usual reasons: a learning rate that is too large, a logarithm "
                    f"or a root of something that reached 0, a division by a spread of 0."
                )
            self.losses.setdefault(name, []).append(value)
