"""Random MDPs and policies for properties that must hold on all of them."""

from typing import NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

few = settings(max_examples=30, deadline=None, derandomize=True)


class Problem(NamedTuple):
    P: np.ndarray
    R: np.ndarray
    pi: np.ndarray
    start: np.ndarray
    gamma: float
    rng: np.random.Generator  # to go on with


@st.composite
def problems(draw) -> Problem:
    """1–6 states, 1–4 actions, sparse or dense, γ from 0 to 0.95, policy stochastic or one-hot."""
    n_states, n_actions = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    gamma = draw(st.sampled_from([0.0, 0.3, 0.9, 0.95]))
    concentration = draw(st.sampled_from([0.05, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def rows(*shape: int) -> np.ndarray:
        weights = rng.gamma(concentration, size=shape) + 1e-12
        return weights / weights.sum(axis=-1, keepdims=True)

    pi = rows(n_states, n_actions)
    if draw(st.booleans()):
        pi = np.eye(n_actions)[rng.integers(n_actions, size=n_states)]
    P = rows(n_states, n_actions, n_states)
    return Problem(P, rng.normal(size=pi.shape), pi, rows(n_states), gamma, rng)
