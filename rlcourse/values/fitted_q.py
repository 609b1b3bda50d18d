"""Fitted Q-iteration: control from a fixed batch by repeated regression (lesson 07). NumPy only.

Ernst, Geurts & Wehenkel 2005; Gordon 1995 for when it converges. Differences from the paper: linear
least squares for trees, one regression for every action.
"""

from __future__ import annotations

import numpy as np

from .linear import least_squares_values


def fitted_q_targets(r, q_next, terminated, gamma) -> np.ndarray:
    r"""$y_n = r_n + \gamma(1-d_n)\max_{a'} q_{n,a'}$ — Ernst et al. 2005, Figure 1.

    r, terminated: (N,); q_next: (N, n_actions). Returns (N,).
    """
    v_next = np.max(q_next, axis=1).astype(np.float64)
    return r + gamma * np.where(terminated, 0.0, v_next)  # chosen: 0 · inf would be NaN


def fitted_q_iteration(batch, features, n_actions, gamma, iterations) -> np.ndarray:
    """From w = 0, `iterations` times: targets from the old w, then a least-squares fit for each action.

    batch: obs, action, reward, next_obs, terminated as arrays; features(obs) -> (N, d). An action
    without rows keeps its weights. Returns w (n_actions, d): q̂(s, a) = w_aᵀx(s).
    """
    x, x_next = features(batch.obs), features(batch.next_obs)
    w = np.zeros((n_actions, x.shape[1]))
    for _ in range(iterations):
        y = fitted_q_targets(batch.reward, x_next @ w.T, batch.terminated, gamma)
        for a in range(n_actions):
            rows = np.asarray(batch.action) == a
            if rows.any():
                w[a] = least_squares_values(x[rows], y[rows])
    return w
