r"""Maximum entropy in tables: soft values, the soft Bellman equation, soft policy iteration (lesson 16).

The objective is $J(\pi) = \mathbb E[\sum_t \gamma^t (r_t + \alpha \mathcal H(\pi(\cdot|s_t)))]$.
`P[s, a, s']`, `R[s, a]`, `pi[s, a]`, `q[s, a]`, `v[s]`; float64; `alpha` > 0 is the temperature, in
units of reward per nat. Q leaves out the first entropy bonus, because its first action is given.
Nothing here changes its arguments. α → 0 gives lesson 03 back.

Source: Haarnoja et al. 2018 (SAC, arXiv 1801.01290), §4.1, which sets α = 1; α as in
arXiv 1812.05905, §4.1.

Differences from the paper: evaluation solves the linear system instead of iterating the backup, and
iteration stops when no entry of Q changes any more by more than a tolerance.
"""

from __future__ import annotations

import numpy as np

from .dynamic_programming import q_from_v
from .mdp import policy_transition


def entropy(p) -> np.ndarray:
    r"""$\mathcal H(p) = -\sum_a p_a \log p_a$ in nats, with $0 \log 0 = 0$.

    p: (..., A), rows sum to 1, zeros allowed. Returns (...,), between 0 and log A.
    """
    p = np.asarray(p, dtype=np.float64)
    return 0.0 - np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)  # 0, not −0


def soft_value(q, pi, alpha) -> np.ndarray:
    r"""$V^\pi(s) = \sum_a \pi(a|s)\,[Q^\pi(s,a) - \alpha \log \pi(a|s)]$ — SAC eq. 3.

    q, pi: (S, A); alpha ≥ 0. Returns (S,). An action of probability 0 counts for nothing.
    """
    return np.sum(pi * q, axis=-1) + alpha * entropy(pi)


def soft_bellman_backup(q, P, R, pi, gamma, alpha) -> np.ndarray:
    r"""$(B^\pi q)(s,a) = r(s,a) + \gamma \sum_{s'} p(s'|s,a)\, V(s')$, V from `soft_value` — SAC eq. 2.

    A γ-contraction in the maximum norm (Lemma 1). The entropy of the first step is not in it.

    q, R, pi: (S, A); P: (S, A, S); gamma: in [0, 1]; alpha ≥ 0. Returns a new (S, A).
    """
    return q_from_v(soft_value(q, pi, alpha), P, R, gamma)


def soft_policy_evaluation(P, R, pi, gamma, alpha) -> np.ndarray:
    r"""The fixed point of $B^\pi$: $(I - \gamma P^\pi) V = r^\pi + \alpha \mathcal H(\pi)$, Q from V.

    P: (S, A, S); R, pi: (S, A); gamma: in [0, 1); alpha ≥ 0. Returns $Q^\pi$ (S, A).
    """
    system = np.eye(len(R)) - gamma * policy_transition(P, pi)
    return q_from_v(np.linalg.solve(system, soft_value(R, pi, alpha)), P, R, gamma)


def soft_improvement(q, alpha) -> np.ndarray:
    r"""$\pi(a|s) = e^{q(s,a)/\alpha} / \sum_b e^{q(s,b)/\alpha}$ — SAC eq. 4 over all policies.

    The minimiser of $KL(\pi \| e^{q/\alpha}/Z)$; the row's maximum is subtracted first.

    q: (S, A), of any size; alpha > 0. Returns (S, A), rows sum to 1.
    """
    weight = np.exp((q - np.max(q, axis=-1, keepdims=True)) / alpha)
    return weight / weight.sum(axis=-1, keepdims=True)


def leave_or_stay(gain, cost, n_stay, alpha) -> tuple[float, float]:
    r"""Soft-optimal value, and probability of leaving, of one state with one way out; γ = 1.

    One action ends the episode and pays `gain`; nothing comes after, no bonus either. m = `n_stay` others
    cost `cost` each and lead back. From $V = \alpha \log \sum_a e^{Q(a)/\alpha}$, with $x = e^{V/\alpha}$:
    $x = e^{g/\alpha} + m\,e^{-c/\alpha} x$, so $p = 1 - m\,e^{-c/\alpha}$ and $V = g - \alpha \log p$ while
    $\alpha < c / \log m$; from there on no finite V solves it: a round pays $\alpha \log m \ge c$. The linear
    equation in x is that of Todorov 2007.

    gain: a float; cost > 0; n_stay: an int ≥ 1; alpha > 0. Returns two floats, (inf, 0.0) above the threshold.
    """
    stay = n_stay * np.exp(-cost / alpha)  # e^{−c/α} in each of the m ways
    if stay >= 1:
        return float("inf"), 0.0
    return float(gain - alpha * np.log1p(-stay)), float(1 - stay)


def soft_policy_iteration(P, R, gamma, alpha, tolerance) -> tuple[np.ndarray, np.ndarray, int]:
    r"""Evaluate softly, improve softly, until $\max|Q_{new} - Q_{old}|$ < tolerance — SAC Theorem 1.

    Starts from the uniform policy; Q never falls from round to round (Lemma 2).

    P: (S, A, S); R: (S, A); gamma: in [0, 1); alpha, tolerance > 0. Returns pi (S, A), its Q (S, A),
    and the number of evaluations, the confirming one included. At the end π = softmax(Q/α) but for
    the last improvement, which changed Q by less than `tolerance`.
    """
    pi = np.full(R.shape, 1 / R.shape[1])
    q = soft_policy_evaluation(P, R, pi, gamma, alpha)
    rounds = 1
    while True:
        pi = soft_improvement(q, alpha)
        q_new = soft_policy_evaluation(P, R, pi, gamma, alpha)
        rounds += 1
        if np.max(np.abs(q_new - q)) < tolerance:
            return pi, q_new, rounds
        q = q_new
