"""Lesson 02 as published code gets it wrong: keys of WRONG with " + " make two mistakes at once."""

import numpy as np

from .lesson_02 import ceiled, counted, promise, with_advantage, with_q, with_value


def sweeps_of(
    P,
    R,
    pi,
    gamma,
    tolerance,
    q=lambda P, R, v, gamma: R + gamma * P @ v,
    mean=lambda pi, q: (pi * q).sum(axis=1),
    moved=lambda new, old: np.abs(new - old).max(),
    enough=lambda tolerance, gamma: tolerance,
    count=0,
    old_table=False,
):
    v, n = np.zeros(len(R)), 0
    while True:
        new = mean(pi, q(P, R, v, gamma))
        n += 1
        stop = moved(new, v) < enough(tolerance, gamma)
        if stop or n > 5000:
            return (v if old_table else new), n + count
        v = new


def swept(**parts):
    return lambda *given: sweeps_of(*given, **parts)


def both(q, value):
    return q, q - value(q)[:, None]


MEAN = {"mean": lambda pi, q: q.mean(axis=1)}
MAX = {"mean": lambda pi, q: q.max(axis=1)}
NORM = {"moved": lambda new, old: np.linalg.norm(new - old)}
SIGNED = {"moved": lambda new, old: (new - old).max()}
AVERAGE = {"moved": lambda new, old: np.abs(new - old).mean()}


def system(P, R, pi):
    return np.eye(len(R)), np.einsum("sa,sat->st", pi, P), (pi * R).sum(axis=1)


def by_system(solve):
    return lambda P, R, pi, g: solve(*system(P, R, pi), R, g)


NAMED = {
    "q_and_advantage": {
        "gamma-misplaced/sum": with_q(lambda v, P, R, g: g * R + P @ v),
        "reward-missing/product": with_q(lambda v, P, R, g: g * (P @ v)),
        "best-of-all-states/max": with_q(lambda v, P, R, g: R + g * np.max(v)),
        "averaged-over-next/mean": with_q(lambda v, P, R, g: R + g * (P * v).mean(axis=2)),
        "largest-term/max": with_q(lambda v, P, R, g: R + g * (P * v).max(axis=2)),
        "likeliest-next-state/argmax": with_q(lambda v, P, R, g: R + g * v[P.argmax(axis=-1)]),
        "next-subtracted/minus": with_q(lambda v, P, R, g: R - g * (P @ v)),
        "mean-of-states/mean": with_q(lambda v, P, R, g: R + g * v.mean()),
        "no-gamma/sum": with_q(lambda v, P, R, g: R + P @ v),
        "gamma-on-reward/sum": with_q(lambda v, P, R, g: g * (R + P @ v)),
        "own-value/v": with_q(lambda v, P, R, g: R + g * v[:, None]),
        "averaged-twice/mean": with_value(lambda q, pi: np.mean(pi * q, axis=1)),
        "one-number/sum": with_advantage(lambda q, pi: q - np.sum(pi * q)),
        "one-number/of values": with_advantage(lambda q, pi: q - (pi * q).sum(axis=1).mean()),
        "all-pairs/matmul": with_advantage(lambda q, pi: q - pi @ q.T),
        "not-summed/product": with_advantage(lambda q, pi: q - q * pi),
        "largest-share/max": with_value(lambda q, pi: np.max(pi * q, axis=1)),
        "likeliest-action/index": with_value(
            lambda q, pi: np.array([r[p.argmax()] for r, p in zip(q, pi)])  # noqa: B905
        ),
        "unweighted-sum/sum": with_advantage(lambda q, pi: q - q.sum(axis=1, keepdims=True)),
        "averaged-twice/keepdims": with_advantage(
            lambda q, pi: q - (pi * q).mean(axis=1, keepdims=True)
        ),
        "sum-over-states/axis": with_advantage(lambda q, pi: q - (pi * q).sum(axis=0)),
        "divided/ratio": with_advantage(lambda q, pi: q / (pi * q).sum(axis=1, keepdims=True)),
        "only-q-weighted/product": with_advantage(
            lambda q, pi: pi * q - (pi * q).sum(axis=1, keepdims=True)
        ),
        "value-only/sum": with_advantage(lambda q, pi: (pi * q).sum(axis=1)),
        "sign/minus": with_advantage(lambda q, pi: (pi * q).sum(axis=1, keepdims=True) - q),
        "wrong-axis/sum": with_advantage(lambda q, pi: q - (pi * q).sum(axis=1)),
        "minus-v/subtracted": lambda v, P, R, pi, g: (R + g * P @ v, R + g * P @ v - v[:, None]),
        "minus-v/td error": lambda v, P, R, pi, g: (
            R + g * P @ v,
            R + g * P @ v - np.reshape(v, (-1, 1)),
        ),
        "results-exchanged/tuple": lambda *given: with_advantage(
            lambda q, pi: q - (pi * q).sum(axis=1, keepdims=True)
        )(*given)[::-1],
    },
    "bellman_backup": {
        "averaged-twice/mean": lambda v, P, R, pi, g: (pi * (R + g * P @ v)).mean(axis=1),
        "unweighted-sum/sum": lambda v, P, R, pi, g: (R + g * P @ v).sum(axis=1),
        "reward-unweighted/mean": lambda v, P, R, pi, g: (
            R.mean(axis=1) + g * (pi * (P @ v)).sum(axis=1)
        ),
        "own-value/v": lambda v, P, R, pi, g: (pi * R).sum(axis=1) + g * v,
        "reward-missing/product": lambda v, P, R, pi, g: g * (pi * (P @ v)).sum(axis=1),
        "best-of-all-states/max": lambda v, P, R, pi, g: (pi * (R + g * v.max())).sum(axis=1),
        "gamma-misplaced/sum": lambda v, P, R, pi, g: (pi * (g * R + P @ v)).sum(axis=1),
    },
    "solve_bellman": {
        "transition-unweighted/mean": lambda P, R, pi, g: np.linalg.solve(
            np.eye(len(R)) - g * P.mean(axis=1), (pi * R).sum(axis=1)
        ),
        "policy-ignored/means": lambda P, R, pi, g: np.linalg.solve(
            np.eye(len(R)) - g * P.mean(axis=1), R.mean(axis=1)
        ),
        "gamma-on-reward/product": by_system(
            lambda eye, p, r, R, g: np.linalg.solve(eye - g * p, g * r)
        ),
        "scaled/product": by_system(
            lambda eye, p, r, R, g: (1 - g) * np.linalg.solve(eye - g * p, r)
        ),
        "reward-unweighted/mean": by_system(
            lambda eye, p, r, R, g: np.linalg.inv(eye - g * p) @ R.mean(axis=1)
        ),
        "cut-short/one-backup": by_system(lambda eye, p, r, R, g: r + g * p @ r),
    },
    "policy_evaluation": {
        "other-norm/norm": swept(**NORM),
        "changes-squared/max": swept(moved=lambda new, old: ((new - old) ** 2).max()),
        "last-sweep-thrown-away/old": swept(old_table=True),
        "counts-one-too-many/from-one": swept(count=1),
        "gamma-on-reward/sum": swept(q=lambda P, R, v, g: g * (R + P @ v)),
        "max-not-mean/max": swept(**MAX),
        "ignores-policy/mean": swept(**MEAN),
        "averaged-twice/mean": swept(mean=lambda pi, q: (pi * q).mean(axis=1)),
    },
}

WRONG = {
    "q_and_advantage": {
        "no-gamma + no-probabilities": with_q(lambda v, P, R, g: R + v.sum()),
        "no-gamma + best-next-state": with_q(lambda v, P, R, g: R + np.where(P > 0, v, -np.inf).max(axis=2)),
        "own-value + no-gamma": with_q(lambda v, P, R, g: R + v[:, None]),
        "gamma-on-reward + best-of-all-states": with_q(lambda v, P, R, g: g * (R + v.max())),
        "reward-missing + no-gamma": with_q(lambda v, P, R, g: P @ v),
        "minus-plain-mean + sum-over-states": with_advantage(lambda q, pi: q - q.sum(axis=0) / q.shape[1]),
        "unweighted-sum + one-number": with_advantage(lambda q, pi: q - q.sum()),
        "sign + minus-plain-mean": with_advantage(lambda q, pi: q.mean(axis=1, keepdims=True) - q),
        "minus-max + weighted": with_advantage(lambda q, pi: pi * (q - q.max(axis=1, keepdims=True))),
        "sign + minus-max": with_advantage(lambda q, pi: q.max(axis=1, keepdims=True) - q),
        "wrong-axis + minus-plain-mean": with_advantage(lambda q, pi: q - q.mean(axis=1)),
        "sign + weighted": with_advantage(lambda q, pi: pi * ((pi * q).sum(axis=1, keepdims=True) - q)),
        "no-gamma + minus-max": lambda v, P, R, pi, g: both(R + P @ v, lambda q: q.max(axis=1)),
        "own-value + minus-plain-mean": lambda v, P, R, pi, g: both(R + g * v[:, None], lambda q: q.mean(axis=1)),
        "gamma-on-reward + minus-v": lambda v, P, R, pi, g: both(g * (R + P @ v), lambda q: v),
        "no-probabilities + likeliest-action": lambda v, P, R, pi, g: both(
            R + g * (P > 0) @ v, lambda q: q[np.arange(len(q)), pi.argmax(axis=1)]
        ),
    },
    "stopping_bound": {
        "tolerance-for-error + one-sweep-less": promise(
            lambda tol, g, f: tol, lambda tol, g, f: next(k for k in range(1, 10**6) if g**k * f < tol)
        ),
        "bound-of-the-old-table + one-sweep-more": promise(
            lambda tol, g, f: tol / (1 - g), lambda *given: counted(*given) + 1
        ),
        "bound-of-the-old-table + rounds-down": promise(
            lambda tol, g, f: tol / (1 - g), lambda *given: ceiled(*given, whole=np.floor)
        ),
        "tolerance-for-error + by-the-error": promise(
            lambda tol, g, f: tol,
            lambda tol, g, f: next(k for k in range(1, 10**6) if g**k * f / (1 - g) < tol),
        ),
        "next-sweep-only + one-sweep-more": promise(
            lambda tol, g, f: g * tol, lambda *given: counted(*given) + 1
        ),
        "doubled + one-sweep-less": promise(
            lambda tol, g, f: 2 * g * tol / (1 - g),
            lambda tol, g, f: next(k for k in range(1, 10**6) if g**k * f < tol),
        ),
        "inverted + one-sweep-more": promise(
            lambda tol, g, f: (1 - g) * tol, lambda *given: counted(*given) + 1
        ),
    },
    "bellman_backup": {
        "max-not-mean + no-gamma": lambda v, P, R, pi, g: (R + P @ v).max(axis=1),
        "ignores-policy + no-gamma": lambda v, P, R, pi, g: (R + P @ v).mean(axis=1),
        "ignores-policy + no-probabilities": lambda v, P, R, pi, g: (R + g * v.sum()).mean(axis=1),
        "max-not-mean + gamma-on-reward": lambda v, P, R, pi, g: g * (R + P @ v).max(axis=1),
        "no-gamma + own-value": lambda v, P, R, pi, g: (pi * R).sum(axis=1) + v,
    },
    "solve_bellman": {
        "plus-gamma + transposed": by_system(lambda eye, p, r, R, g: np.linalg.solve(eye + g * p.T, r)),
        "plus-gamma + reward-unweighted": by_system(
            lambda eye, p, r, R, g: np.linalg.solve(eye + g * p, R.mean(axis=1))
        ),
        "transposed + reward-unweighted": by_system(
            lambda eye, p, r, R, g: np.linalg.solve(eye - g * p.T, R.mean(axis=1))
        ),
        "ones-not-identity + reward-unweighted": by_system(
            lambda eye, p, r, R, g: np.linalg.solve(1 - g * p, R.mean(axis=1))
        ),
        "scaled + transposed": by_system(
            lambda eye, p, r, R, g: np.linalg.solve(eye - g * p.T, (1 - g) * r)
        ),
    },
    "policy_evaluation": {
        "max-not-mean + counts-one-too-many": swept(**MAX, count=1),
        "ignores-policy + mean-change": swept(**MEAN, **AVERAGE),
        "ignores-policy + no-absolute-value": swept(**MEAN, **SIGNED),
        "other-norm + last-sweep-not-counted": swept(**NORM, count=-1),
        "max-not-mean and other-norm": swept(**MAX, **NORM),
    },
}  # fmt: skip
