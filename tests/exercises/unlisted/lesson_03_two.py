"""Lesson 03 as published code gets it wrong: keys of WRONG with " + " make two mistakes at once."""

import numpy as np

from .lesson_03 import forked


def iterate(
    P,
    R,
    gamma,
    tolerance,
    v=lambda q: q.max(axis=1),
    sweep=lambda P, R, v, gamma: R + gamma * P @ v,
    moved=lambda new, old: np.abs(new - old).max(),
    count=0,
    old_table=False,
):
    q, n = np.zeros(R.shape), 0
    while True:
        new = sweep(P, R, v(q), gamma)
        n += 1
        if moved(new, q) < tolerance or n > 5000:
            return (q if old_table else new), n + count
        q = new


def iterating(**parts):
    return lambda *given: iterate(*given, **parts)


MEAN = {"v": lambda q: q.mean(axis=1)}
NORM = {"moved": lambda new, old: np.linalg.norm(new - old)}
SIGNED = {"moved": lambda new, old: (new - old).max()}


def improve(
    P, R, gamma, q=lambda P, R, v, gamma: R + gamma * P @ v, count=0, accuracy=None, pick=np.argmax
):
    best, rounds, rows = np.zeros(len(R), dtype=int), 0, np.arange(len(R))
    v = np.zeros(len(R))
    while True:
        if accuracy is None:
            v = np.linalg.solve(np.eye(len(R)) - gamma * P[rows, best], R[rows, best])
        else:
            v, moved = np.zeros(len(R)), 1.0
            while moved >= accuracy:
                new = R[rows, best] + gamma * P[rows, best] @ v
                v, moved = new, np.abs(new - v).max()
        new = pick(q(P, R, v, gamma), axis=1)
        rounds += 1
        if (new == best).all() or rounds > 100:
            return np.eye(R.shape[1])[best], v, rounds + count
        best = new


def improving(**parts):
    return lambda *given: improve(*given, **parts)


UNDISCOUNTED = {"q": lambda P, R, v, gamma: R + P @ v}


def residual(v, P, R, g):
    return (R + g * P @ v).max(axis=1) - v


NAMED = {
    "greedy_policy": {
        "worst-action/argmin": lambda q: np.eye(q.shape[1])[np.argmin(q, axis=1)],
        "largest-size/abs": lambda q: np.eye(q.shape[1])[np.abs(q).argmax(axis=1)],
        "proportional/softmax": lambda q: np.exp(q) / np.exp(q).sum(axis=1, keepdims=True),
        "one-action-for-all/argmax": lambda q: (q == q.max()) * 1.0,
    },
    "bellman_optimality_backup": {
        "best-of-all-states/max": lambda q, P, R, g: R + g * np.max(q),
        "sum-over-actions/sum": lambda q, P, R, g: R + g * P @ q.sum(axis=1),
        "worst-action/min": lambda q, P, R, g: R + g * P @ q.min(axis=1),
        "index-for-value/argmax": lambda q, P, R, g: R + g * P @ q.argmax(axis=1),
        "no-gamma/sum": lambda q, P, R, g: R + P @ q.max(axis=1),
        "reward-missing/product": lambda q, P, R, g: g * (P @ q.max(axis=1)),
        "own-entry/q": lambda q, P, R, g: R + g * q,
    },
    "value_iteration": {
        "other-norm/norm": iterating(**NORM),
        "changes-squared/max": iterating(moved=lambda new, old: ((new - old) ** 2).max()),
        "last-sweep-thrown-away/old": iterating(old_table=True),
        "counts-one-too-many/from-one": iterating(count=1),
        "gamma-on-reward/sum": iterating(sweep=lambda P, R, v, g: g * (R + P @ v)),
        "evaluates-uniform/mean": iterating(**MEAN),
        "signed-differences/max": iterating(**SIGNED),
    },
    "policy_iteration": {
        "loose-evaluation/0.01": improving(accuracy=1e-2),
        "worst-action/argmin": improving(pick=np.argmin),
        "greedy-on-reward/R": improving(q=lambda P, R, v, g: R),
    },
    "suboptimality_bound": {
        "not-divided/2": lambda v, P, R, g: float(2 * np.abs(residual(v, P, R, g)).max()),
        "multiplied-not-divided/product": lambda v, P, R, g: float(
            2 * (1 - g) * np.abs(residual(v, P, R, g)).max()
        ),
        "every-action/max": lambda v, P, R, g: float(
            2 / (1 - g) * np.abs(R + g * P @ v - v[:, None]).max()
        ),
        "no-gamma/backup": lambda v, P, R, g: float(
            2 / (1 - g) * np.abs(residual(v, P, R, 1)).max()
        ),
        "nothing-subtracted/backup": lambda v, P, R, g: float(
            2 / (1 - g) * np.abs((R + g * P @ v).max(axis=1)).max()
        ),
    },
}

WRONG = {
    "bellman_optimality_backup": {
        "mean-over-actions + no-gamma": lambda q, P, R, g: R + P @ q.mean(axis=1),
        "best-of-all-states + no-gamma": lambda q, P, R, g: R + q.max(),
        "own-max + no-gamma": lambda q, P, R, g: R + q.max(axis=1, keepdims=True),
        "mean-over-actions + gamma-on-reward": lambda q, P, R, g: g * (R + P @ q.mean(axis=1)),
        "own-max + gamma-on-reward": lambda q, P, R, g: g * (R + q.max(axis=1, keepdims=True)),
    },
    "crossroads": {
        "one-power-too-many + minus-mean": forked(
            lambda near, far, n, m, g: [near * g**n, far * g**m], lambda q: q - q.mean()
        ),
        "one-power-too-many + no-root": forked(
            lambda near, far, n, m, g: [near * g**n, far * g**m], even=lambda near, far, n, m: near / far
        ),
        "values + ratio-inverted": forked(
            advantage=lambda q: q, even=lambda near, far, n, m: (far / near) ** (1 / (m - n))
        ),
        "sign + steps-not-difference": forked(
            advantage=lambda q: q.max() - q, even=lambda near, far, n, m: (near / far) ** (1 / m)
        ),
        "minus-mean + no-root": forked(
            advantage=lambda q: q - q.mean(), even=lambda near, far, n, m: near / far
        ),
        "values + one-power-too-many": forked(
            lambda near, far, n, m, g: [near * g**n, far * g**m], lambda q: q
        ),
        "sign + ratio-inverted": forked(
            advantage=lambda q: q.max() - q, even=lambda near, far, n, m: (far / near) ** (1 / (m - n))
        ),
    },
    "value_iteration": {
        # Never settles at γ = 1; stopped after 5000 sweeps.
        "own-max, v": iterating(sweep=lambda P, R, v, g: R + g * v[:, None]),
        "evaluates-uniform and other-norm": iterating(**MEAN, **NORM),
        "evaluates-uniform + counts-one-too-many": iterating(**MEAN, count=1),
        "other-norm + last-sweep-not-counted": iterating(**NORM, count=-1),
        "signed-differences and last-sweep-not-counted": iterating(**SIGNED, count=-1),
    },
    "policy_iteration": {
        # Goes to and fro for ever; stopped after a hundred rounds.
        "no-gamma, improvement": improving(**UNDISCOUNTED),
        "gamma-misplaced, improvement": improving(q=lambda P, R, v, g: g * R + P @ v),
        "no-gamma + confirming-round-not-counted": improving(**UNDISCOUNTED, count=-1),
        "loose-evaluation + no-gamma": improving(**UNDISCOUNTED, accuracy=1e-4),
        "greedy-on-reward + confirming-round-not-counted": improving(
            q=lambda P, R, v, g: R, count=-1
        ),
    },
    "suboptimality_bound": {
        "no-factor-2 + not-max-norm": lambda v, P, R, g: float(
            np.abs(residual(v, P, R, g)).mean() / (1 - g)
        ),
        "sharper-bound + not-max-norm": lambda v, P, R, g: float(
            2 * g / (1 - g) * np.linalg.norm(residual(v, P, R, g))
        ),
        "no-factor-2 + no-absolute-value": lambda v, P, R, g: float(
            residual(v, P, R, g).max() / (1 - g)
        ),
        "not-divided + not-max-norm": lambda v, P, R, g: float(
            2 * np.linalg.norm(residual(v, P, R, g))
        ),
        "no-factor-2 + policy-backup": lambda v, P, R, g: float(
            np.abs((R + g * P @ v).mean(axis=1) - v).max() / (1 - g)
        ),
    },
}  # fmt: skip
