"""Transitions in NumPy, for the lessons before PyTorch; `replay.Batch` is the same in tensors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Transitions(NamedTuple):
    """N transitions, row by row: obs, next_obs (N, obs_dim); action (N,) int; reward, terminated (N,)."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_obs: np.ndarray
    terminated: np.ndarray
