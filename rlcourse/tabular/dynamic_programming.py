"""The Bellman equations, solved when the MDP is known (lessons 02 and 03).

`P[s, a, s']`, `R[s, a]`, `pi[s, a]`, `v[s]`, `q[s, a]`; float64. Nothing here changes its arguments.
"""

from __future__ import annotations

import numpy as np

from .mdp import policy_reward, policy_transition

# ------------------------------------------------------------------- the Bellman expectation equation


def q_from_v(v, P, R, gamma) -> np.ndarray:
    r"""$Q(s,a) = r(s,a) + \gamma \sum_{s'} p(s'|s,a)\, V(s')$ — S&B (4.6).

    v: (S,); P: (S, A, S); R: (S, A); gamma: in [0, 1]. Returns (S, A).
    """
    return R + gamma * (P @ v)


def v_from_q(q, pi) -> np.ndarray:
    r"""$V^\pi(s) = \sum_a \pi(a|s)\, Q^\pi(s,a)$ — S&B exercise 3.18.

    q, pi: (S, A). Returns (S,).
    """
    return (pi * q).sum(axis=1)


def advantage(q, pi) -> np.ndarray:
    r"""$A^\pi(s,a) = Q^\pi(s,a) - V^\pi(s)$; its mean under π is 0 in every state.

    q, pi: (S, A). Returns (S, A).
    """
    return q - v_from_q(q, pi)[:, None]


def q_and_advantage(v, P, R, pi, gamma) -> tuple[np.ndarray, np.ndarray]:
    r"""One look ahead from a table v, and how much better than π's mean each action then is.

    $q(s,a) = r(s,a) + \gamma \sum_{s'} p(s'|s,a)\, v(s')$ — S&B (4.6);
    $adv(s,a) = q(s,a) - \sum_b \pi(b|s)\, q(s,b)$ — S&B exercise 3.18. With $v = V^\pi$ these are
    $Q^\pi$ and $A^\pi$; for any other v the mean of q is not v, and it is the mean that is subtracted.

    v: (S,), any table; P: (S, A, S); R, pi: (S, A); gamma: in [0, 1]. Returns two arrays (S, A).
    """
    q = q_from_v(v, P, R, gamma)
    return q, advantage(q, pi)


def bellman_backup(v, P, R, pi, gamma) -> np.ndarray:
    r"""$(T^\pi v)(s) = \sum_a \pi(a|s)\,[r(s,a) + \gamma \sum_{s'} p(s'|s,a)\, v(s')]$ — S&B (4.5).

    v: (S,); P: (S, A, S); R, pi: (S, A); gamma: in [0, 1]. Returns a new (S,): all states are
    backed up from the same v.
    """
    return v_from_q(q_from_v(v, P, R, gamma), pi)


def solve_bellman(P, R, pi, gamma) -> np.ndarray:
    r"""The fixed point of $T^\pi$: $(I - \gamma P^\pi)\, V^\pi = r^\pi$ — S&B (3.14) as matrices.

    P: (S, A, S); R, pi: (S, A); gamma: in [0, 1). Returns $V^\pi$ (S,).
    """
    P_pi = policy_transition(P, pi)
    return np.linalg.solve(np.eye(len(P_pi)) - gamma * P_pi, policy_reward(R, pi))


def stopping_bound(tolerance, gamma, first_change) -> tuple[float, int]:
    r"""What sweeps that stop promise: the largest error left, and when they have stopped at the latest.

    Sweeps $v_k = T^\pi v_{k-1}$ stop after the first with $\|v_k - v_{k-1}\|_\infty <$ tolerance.
    Then $\|v_k - V^\pi\|_\infty \le \gamma\,(\|v_{k-1} - v_k\|_\infty + \|v_k - V^\pi\|_\infty)$,
    hence error $= \frac{\gamma}{1-\gamma}$ tolerance; and $\|v_k - v_{k-1}\|_\infty \le
    \gamma^{k-1} \|v_1 - v_0\|_\infty$ — Puterman 1994 §6.3.

    tolerance > 0; gamma: in [0, 1); first_change: $\|v_1 - v_0\|_\infty \ge 0$.
    Returns the error, a float, and the number of sweeps, the smallest k ≥ 1 with
    $\gamma^{k-1}$ first_change < tolerance.
    """
    sweeps, change = 1, first_change
    while change >= tolerance:
        sweeps, change = sweeps + 1, gamma * change
    return float(gamma / (1 - gamma) * tolerance), sweeps


def policy_evaluation(P, R, pi, gamma, tolerance) -> tuple[np.ndarray, int]:
    r"""Iterate $v \leftarrow T^\pi v$ from 0 until nothing changes by `tolerance` — S&B §4.1.

    Stops after the first sweep with $\max_s |v_{new}(s) - v_{old}(s)| <$ tolerance; what that
    promises, if γ < 1, says `stopping_bound`.

    P: (S, A, S); R, pi: (S, A); gamma: in [0, 1], 1 only where every policy reaches an absorbing
    state without reward; tolerance > 0. Returns v (S,) and the number of sweeps, the last included.
    """
    v = np.zeros(len(R))
    sweeps = 0
    while True:
        v_new = bellman_backup(v, P, R, pi, gamma)
        sweeps += 1
        if np.max(np.abs(v_new - v)) < tolerance:
            return v_new, sweeps
        v = v_new


# -------------------------------------------------------------------- the Bellman optimality equation


def greedy_policy(q) -> np.ndarray:
    r"""$\pi(a|s) = 1$ for $a = \arg\max_b q(s,b)$, the first index on ties — S&B (4.9).

    q: (S, A). Returns one-hot rows (S, A), float64.
    """
    n_actions = q.shape[1]
    return np.eye(n_actions)[q.argmax(axis=1)]


def bellman_optimality_backup(q, P, R, gamma) -> np.ndarray:
    r"""$(T^* q)(s,a) = r(s,a) + \gamma \sum_{s'} p(s'|s,a) \max_{a'} q(s',a')$ — S&B (3.20).

    q, R: (S, A); P: (S, A, S); gamma: in [0, 1]. Returns a new (S, A).
    """
    return q_from_v(q.max(axis=1), P, R, gamma)


def crossroads(near, far, n_near, n_far, gamma) -> tuple[np.ndarray, float]:
    r"""One decision: the near treasure, which the n_near-th step pays, or the far one, at the n_far-th.

    $Q^*(0) = \gamma^{n_{near}-1}$ near, $Q^*(1) = \gamma^{n_{far}-1}$ far, from the optimality equation
    (S&B (3.20)) along corridors without a choice; $A^{\pi^*} = Q^* - V^*$ with $V^* = \max_a Q^*$, so it
    is never positive, and 0 for the best action. Both actions are worth the same at
    $\gamma_{even} = (near/far)^{1/(n_{far}-n_{near})}$. `mdp.two_corridors` is this world as an MDP.

    near, far: rewards with 0 < near < far; n_near, n_far: whole numbers of steps with
    1 ≤ n_near < n_far; gamma: in [0, 1].
    Returns the advantages (2,) and gamma_even, a float in (0, 1), which does not depend on gamma.
    """
    q = np.array([gamma ** (n_near - 1) * near, gamma ** (n_far - 1) * far], dtype=np.float64)
    return q - q.max(), float((near / far) ** (1 / (n_far - n_near)))


def value_iteration(P, R, gamma, tolerance) -> tuple[np.ndarray, int]:
    r"""Iterate $q \leftarrow T^* q$ from 0 until no entry changes by `tolerance` — S&B (4.10) for q.

    P: (S, A, S); R: (S, A); gamma: in [0, 1], 1 only for episodic tasks as in
    `policy_evaluation`; tolerance > 0. Returns q (S, A) and the number of sweeps.
    """
    q = np.zeros(R.shape)
    sweeps = 0
    while True:
        q_new = bellman_optimality_backup(q, P, R, gamma)
        sweeps += 1
        if np.max(np.abs(q_new - q)) < tolerance:
            return q_new, sweeps
        q = q_new


def policy_iteration(P, R, gamma) -> tuple[np.ndarray, np.ndarray, int]:
    r"""Evaluate exactly, improve greedily, until the policy is unchanged — S&B §4.3.

    Starts with action 0 everywhere. An action is exchanged only for one that is better by more
    than 1e-9: that is what guarantees an end where actions tie (S&B exercise 4.4).

    P: (S, A, S); R: (S, A); gamma: in [0, 1). Returns pi (S, A) one-hot, $V^\pi$ (S,), and the
    number of rounds, the confirming one included.
    """
    n_states, n_actions = R.shape
    states = np.arange(n_states)
    action = np.zeros(n_states, dtype=np.int64)
    rounds = 0
    while True:
        pi = np.eye(n_actions)[action]
        v = solve_bellman(P, R, pi, gamma)
        q = q_from_v(v, P, R, gamma)
        rounds += 1
        better = q.max(axis=1) > q[states, action] + 1e-9
        if not better.any():
            return pi, v, rounds
        action = np.where(better, q.argmax(axis=1), action)


def suboptimality_bound(v, P, R, gamma) -> float:
    r"""What acting greedily on a wrong v can cost at most.

    $\|V^{\pi_v} - V^*\|_\infty \le \frac{2\varepsilon}{1-\gamma}$ with the Bellman residual
    $\varepsilon = \|T^* v - v\|_\infty$ (Williams & Baird 1993 sharpen it by a factor γ).

    v: (S,), any table; P: (S, A, S); R: (S, A); gamma: in [0, 1). Returns a float.
    """
    residual = np.max(np.abs(q_from_v(v, P, R, gamma).max(axis=1) - v))
    return float(2 * residual / (1 - gamma))
