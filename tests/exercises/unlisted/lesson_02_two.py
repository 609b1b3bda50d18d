"""Lesson 02 as published code gets it wrong: keys of WRONG with " + " make two mistakes at once."""

import numpy as np


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
    "q_from_v": {
        "gamma-misplaced/sum": lambda v, P, R, g: g * R + P @ v,
        "reward-missing/product": lambda v, P, R, g: g * (P @ v),
        "best-of-all-states/max": lambda v, P, R, g: R + g * np.max(v),
        "averaged-over-next/mean": lambda v, P, R, g: R + g * (P * v).mean(axis=2),
        "largest-term/max": lambda v, P, R, g: R + g * (P * v).max(axis=2),
        "likeliest-next-state/argmax": lambda v, P, R, g: R + g * v[P.argmax(axis=-1)],
        "sign/minus": lambda v, P, R, g: R - g * (P @ v),
        "mean-of-states/mean": lambda v, P, R, g: R + g * v.mean(),
    },
    "v_from_q": {
        "averaged-twice/mean": lambda q, pi: np.mean(pi * q, axis=1),
        "one-number/sum": lambda q, pi: np.sum(pi * q),
        "all-pairs/matmul": lambda q, pi: pi @ q.T,
        "not-summed/product": lambda q, pi: q * pi,
        "largest-share/max": lambda q, pi: np.max(pi * q, axis=1),
        "likeliest-action/index": lambda q, pi: np.array([r[p.argmax()] for r, p in zip(q, pi)]),  # noqa: B905
    },
    "advantage": {
        "unweighted-sum/sum": lambda q, pi: q - q.sum(axis=1, keepdims=True),
        "averaged-twice/mean": lambda q, pi: q - (pi * q).mean(axis=1, keepdims=True),
        "one-number/sum": lambda q, pi: q - (pi * q).sum(),
        "sum-over-states/axis": lambda q, pi: q - (pi * q).sum(axis=0),
        "divided/ratio": lambda q, pi: q / (pi * q).sum(axis=1, keepdims=True),
        "only-q-weighted/product": lambda q, pi: pi * q - (pi * q).sum(axis=1, keepdims=True),
        "value-only/sum": lambda q, pi: (pi * q).sum(axis=1),
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
    "q_from_v": {
        "no-gamma + no-probabilities": lambda v, P, R, g: R + v.sum(),
        "no-gamma + best-next-state": lambda v, P, R, g: R + np.where(P > 0, v, -np.inf).max(axis=2),
        "own-value + no-gamma": lambda v, P, R, g: R + v[:, None],
        "gamma-on-reward + best-of-all-states": lambda v, P, R, g: g * (R + v.max()),
        "reward-missing + no-gamma": lambda v, P, R, g: P @ v,
    },
    "v_from_q": {
        "unweighted-mean + sum-over-states": lambda q, pi: q.sum(axis=0) / q.shape[1],
        "unweighted-sum + one-number": lambda q, pi: float(q.sum()),
    },
    "advantage": {
        "sign + minus-plain-mean": lambda q, pi: q.mean(axis=1, keepdims=True) - q,
        "minus-max + weighted": lambda q, pi: pi * (q - q.max(axis=1, keepdims=True)),
        "sign + minus-max": lambda q, pi: q.max(axis=1, keepdims=True) - q,
        "wrong-axis + minus-plain-mean": lambda q, pi: q - q.mean(axis=1),
        "sign + weighted": lambda q, pi: pi * ((pi * q).sum(axis=1, keepdims=True) - q),
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
