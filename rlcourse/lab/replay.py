"""Replay: a ring of transitions, drawn from uniformly and with replacement.

Lin 1992; Mnih et al. 2015. What is stored is `terminated`, never `terminated or truncated`: a time
limit ends the episode, not the value of what would have come.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Batch(NamedTuple):
    """B transitions, row by row: obs, next_obs (B, obs_dim) float32; action (B,) int64 or
    (B, act_dim) float32; reward, terminated (B,) float32, terminated 1 where next_obs is terminal."""

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor


class PPOBatch(NamedTuple):
    """The rows of a rollout as PPO uses them again and again: (N, …) each, none with gradient."""

    obs: Tensor
    action: Tensor
    log_prob_old: Tensor
    adv: Tensor
    returns: Tensor


class ReplayBuffer:
    """The last `capacity` transitions; the n-th one added (from 0) lies in slot n mod capacity.

    obs_dim: numbers an observation; act_dim: None for finite actions (stored as int64), otherwise
    numbers an action (stored as float32). Everything is copied in and copied out.
    """

    def __init__(self, capacity: int, obs_dim: int, act_dim: int | None = None):
        if capacity < 1:
            raise ValueError(
                f"A replay buffer needs room for a transition; capacity is {capacity}."
            )
        self.capacity = capacity
        self.added = 0
        # NumPy, not torch: writing one row of a tensor costs ten times as much.
        self._obs = np.zeros((capacity, obs_dim), np.float32)
        self._next_obs = np.zeros((capacity, obs_dim), np.float32)
        if act_dim is None:
            self._action = np.zeros(capacity, np.int64)
        else:
            self._action = np.zeros((capacity, act_dim), np.float32)
        self._reward = np.zeros(capacity, np.float32)
        self._terminated = np.zeros(capacity, np.float32)

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, obs, action, reward, next_obs, terminated) -> None:
        """Store one transition over the oldest one."""
        self._write(self.added % self.capacity, obs, action, reward, next_obs, terminated)
        self.added += 1

    def extend(self, obs, action, reward, next_obs, terminated) -> None:
        """Store n ≤ capacity transitions, a row each, in order: n calls of `add` in one."""
        slots = np.arange(self.added, self.added + len(reward)) % self.capacity
        self._write(slots, obs, action, reward, next_obs, terminated)
        self.added += len(reward)

    def sample(self, batch_size: int, rng: np.random.Generator) -> Batch:
        """A batch of the slots `rng.integers(len(self), size=batch_size)`.

        Raises ValueError if nothing has been stored yet.
        """
        if not self.added:
            raise ValueError("The replay buffer is empty: add transitions before sampling.")
        return self.rows(rng.integers(len(self), size=batch_size))

    def rows(self, slots: np.ndarray) -> Batch:
        """The transitions in these slots, (B,) int, as a batch of tensors with memory of their own."""
        columns = (self._obs, self._action, self._reward, self._next_obs, self._terminated)
        return Batch(*(torch.from_numpy(column.take(slots, axis=0)) for column in columns))

    def _write(self, slots, obs, action, reward, next_obs, terminated) -> None:
        self._obs[slots] = obs
        self._action[slots] = action
        self._reward[slots] = reward
        self._next_obs[slots] = next_obs
        self._terminated[slots] = terminated
