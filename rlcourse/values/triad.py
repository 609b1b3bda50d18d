"""The deadly triad: when expected semi-gradient TD(0) converges, and Baird's counterexample (lesson 07). NumPy only.

Sutton & Barto §9.4 (the matrix A), §11.2–11.3 (Baird; off-policy, bootstrapping, shared weights). Everything here is
expected, without noise: every sweep is one step along the mean update, state s counted with `visits[s]`.
"""

from __future__ import annotations

import numpy as np


def update_matrix(x, P, d, gamma) -> np.ndarray:
    r"""$A = \sum_s d_s\,x_s\,(x_s - \gamma\sum_{s'}P_{ss'}x_{s'})^\top$ — S&B (9.11), the states counted with d.

    x: (S, k); P: (S, S); d: (S,). Expected TD(0) is $w \leftarrow w + \alpha(b - Aw)$. Returns (k, k).
    """
    x = np.asarray(x, dtype=np.float64)
    return (x * np.asarray(d, dtype=np.float64)[:, None]).T @ (x - gamma * np.asarray(P) @ x)


def largest_step_size(x, P, d, gamma) -> float:
    r"""$\max(0, \min_\lambda 2\,\mathrm{Re}\lambda/|\lambda|^2)$ over the eigenvalues λ of `update_matrix`.

    Expected TD(0) converges from every w exactly for step sizes α between 0 and this number: the error is multiplied by
    $I - \alpha A$, and $|1-\alpha\lambda| < 1 \iff \alpha|\lambda|^2 < 2\,\mathrm{Re}\lambda$. 0.0: for none.
    x: (S, k); P: (S, S); d: (S,). No λ may be 0 (a direction in which nothing moves).
    """
    eigenvalues = np.linalg.eigvals(update_matrix(x, P, d, gamma))
    return max(0.0, float(np.min(2 * eigenvalues.real / np.abs(eigenvalues) ** 2)))


def stationary_distribution(P) -> np.ndarray:
    """The share of time that a chain with one recurrent class spends in each state: μ = μP. P: (S, S); returns (S,)."""
    n = len(P)
    equations = np.vstack([np.eye(n) - np.asarray(P).T, np.ones(n)])
    return np.linalg.lstsq(equations, np.append(np.zeros(n), 1.0), rcond=None)[0]


# --- Baird's counterexample -----------------------------------------------------------------------

SOLID = np.tile(np.eye(7)[6], (7, 1))  # the target policy: to the seventh state, from everywhere
START = np.array([1.0, 1, 1, 1, 1, 1, 10, 1])  # S&B §11.2


def baird_features() -> np.ndarray:
    """v̂ = 2w_i + w_8 for six states, w_7 + 2w_8 for the last — S&B Figure 11.1. (7, 8)."""
    x = np.zeros((7, 8))
    x[np.arange(6), np.arange(6)], x[:6, 7], x[6, 6], x[6, 7] = 2.0, 1.0, 1.0, 2.0
    return x


def baird_values(
    sweeps: int,
    step_size: float = 0.01,
    gamma: float = 0.99,
    *,
    bootstrapping: bool = True,
    off_policy: bool = True,
    shared: bool = True,
    copy_every: int = 1,
    behaviour: bool = False,
    residual: bool = False,
) -> np.ndarray:
    """v̂ of the seven states after every sweep, (sweeps + 1, 7); all true values are 0. Three switches.

    bootstrapping: off, the target is the true return, 0; off_policy: off, the states are updated as often as the
    target policy visits them (the seventh, always), on, all alike; shared: off, a table with the same start values.
    copy_every: the target's weights are copied before every so many sweeps (a target network).
    behaviour: the policy that is judged is the one that behaves, to any state alike, whose visits these updates are.
    residual: along the whole gradient of the mean squared error, the target's part too (Baird 1995; lesson 06, (6.9)).
    """
    x = baird_features() if shared else np.eye(7)
    w = START if shared else baird_features() @ START
    visits = np.full(7, 1 / 7) if off_policy else np.eye(7)[6]
    P = np.full((7, 7), 1 / 7) if behaviour else SOLID
    along = x - gamma * P @ x if residual else x
    values = np.empty((sweeps + 1, 7))
    values[0] = x @ w
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(sweeps):
            if k % copy_every == 0:
                target = gamma * (P @ values[k]) if bootstrapping else np.zeros(7)
            w = w + step_size * (visits * (target - values[k])) @ along
            values[k + 1] = x @ w
    return values
