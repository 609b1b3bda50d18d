"""Fitted Q-iteration: control from a fixed batch by repeated regression (lesson 07). NumPy only.

Ernst, Geurts & Wehenkel 2005; Gordon 1995 for when it converges; Riedmiller 2005 for networks. Differences from the paper: linear
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


def fitted_q_iteration(
    batch,
    features,
    n_actions,
    gamma,
    iterations,
    *,
    target=fitted_q_targets,
    fit=least_squares_values,
    look=None,
) -> np.ndarray:
    """From w = 0, `iterations` times: targets from the old w, then a least-squares fit for each action.

    batch: obs, action, reward, next_obs, terminated as arrays; features(obs) -> (N, d). An action
    without rows keeps its weights. target, fit: as `fitted_q_targets`, `least_squares_values`;
    look(k, w): after the k-th iteration. Returns w (n_actions, d): q̂(s, a) = w_aᵀx(s).
    """
    x, x_next = features(batch.obs), features(batch.next_obs)
    w = np.zeros((n_actions, x.shape[1]))
    for k in range(iterations):
        y = target(batch.reward, x_next @ w.T, batch.terminated, gamma)
        for a in range(n_actions):
            rows = np.asarray(batch.action) == a
            if rows.any():
                w[a] = fit(x[rows], y[rows])
        if look is not None:
            look(k + 1, w.copy())
    return w


class SmallNetwork:
    """One hidden layer of tanh and a head for every action, its gradients by hand; inputs about as large as 1.

    q(obs): (N, obs_dim) -> (N, n_actions). `fit` takes steps of Adam (Kingma & Ba 2015) on all rows at once.
    """

    def __init__(self, obs_dim: int, n_actions: int, hidden: int, rng: np.random.Generator):
        self.weights = [
            rng.normal(size=(obs_dim, hidden)),
            rng.normal(size=hidden) / 2,
            np.zeros((hidden, n_actions)),
            np.zeros(n_actions),
        ]
        self._moments = [[np.zeros_like(w), np.zeros_like(w)] for w in self.weights]
        self._steps = 0

    def q(self, obs) -> np.ndarray:
        return self._layers(obs)[1]

    def _layers(self, obs) -> tuple[np.ndarray, np.ndarray]:
        first, bias, last, offset = self.weights
        h = np.tanh(obs @ first + bias)
        return h, h @ last + offset

    def gradients(self, obs, action, y) -> list[np.ndarray]:
        """Of the mean of (q(obs, action) − y)², for every weight; y counts as a constant."""
        h, q = self._layers(obs)
        rows = np.arange(len(action))
        error = np.zeros_like(q)  # only the head of the action taken
        error[rows, action] = 2 * (q[rows, action] - y) / len(action)
        below = (error @ self.weights[2].T) * (1 - h**2)
        return [obs.T @ below, below.sum(axis=0), h.T @ error, error.sum(axis=0)]

    def fit(self, obs, action, y, steps: int, step_size: float = 0.01) -> None:
        for _ in range(steps):
            self._steps += 1
            for i, g in enumerate(self.gradients(obs, action, y)):
                mean, square = self._moments[i]
                mean += 0.1 * (g - mean)
                square += 0.001 * (g**2 - square)
                size = np.sqrt(square / (1 - 0.999**self._steps)) + 1e-8
                self.weights[i] -= step_size * mean / (1 - 0.9**self._steps) / size


def neural_fitted_q(
    batch,
    n_actions,
    gamma,
    iterations,
    rng,
    *,
    hidden: int = 32,
    steps: int = 30,
    target=fitted_q_targets,
    look=None,
) -> SmallNetwork:
    """Fitted Q-iteration with a small network: the regression is `steps` steps on all rows, never finished.

    After Riedmiller 2005 (which starts each regression from new weights; ours goes on from the last). batch: as in
    `fitted_q_iteration`, its observations about as large as 1; look(k, q): after the k-th iteration.
    """
    network = SmallNetwork(batch.obs.shape[1], n_actions, hidden, rng)
    for k in range(iterations):
        y = target(batch.reward, network.q(batch.next_obs), batch.terminated, gamma)
        network.fit(batch.obs, batch.action, y, steps)
        if look is not None:
            look(k + 1, network.q)
    return network
