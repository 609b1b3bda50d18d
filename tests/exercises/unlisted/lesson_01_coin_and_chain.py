"""Lesson 01: the coin, as others write it, and both halves of a policy's chain at once."""

import math

import numpy as np


def length(g):
    """Mean and variance of the number of steps, by the second factorial moment."""
    mean = 1 / (1 - g)
    return mean, 2 * g / (1 - g) ** 2 + mean - mean**2


def coin(c, g, mean=lambda c, m: c * m, std=lambda c, var: abs(c) * math.sqrt(var)):
    m, var = length(g)
    return mean(c, m), std(c, var)


def coining(**parts):
    return lambda reward, gamma: coin(reward, gamma, **parts)


def tossed(c, g):
    lengths = np.random.default_rng(0).geometric(1 - g, size=20_000)
    return float(c * lengths.mean()), float(abs(c) * lengths.std())


def series(most):
    def coin_stopped_return(reward, gamma):
        k = np.arange(1, most + 1)
        p = (1 - gamma) * float(gamma) ** (k - 1)
        mean = p @ k
        return reward * mean, abs(reward) * np.sqrt(p @ k**2 - mean**2)

    return coin_stopped_return


def chain(P, R, pi, w=lambda pi: pi, u=lambda pi: pi, form=tuple):
    return form((np.einsum("sa,sat->st", w(pi), P), (u(pi) * R).sum(axis=1)))


def chaining(**parts):
    return lambda P, R, pi: chain(P, R, pi, **parts)


def alike(pi):
    return np.ones_like(pi) / pi.shape[1]


def ones(pi):
    return np.ones_like(pi)


def likeliest(pi):
    return (pi == pi.max(axis=1, keepdims=True)) * 1.0


def spoils_pi(P, R, pi):
    pi /= pi.sum(axis=1, keepdims=True) * pi.shape[1]
    return chain(P, R, pi)


def augmented(P, R, pi):
    """The rewards as one more column: one product for both."""
    both = np.einsum("sa,sax->sx", pi, np.concatenate([P, R[:, :, None]], axis=2))
    return both[:, :-1], both[:, -1].copy()


def state_by_state(P, R, pi):
    rows = [(p @ q, p @ r) for p, q, r in zip(pi, P, R, strict=True)]
    return [np.array([row[0] for row in rows]), np.array([row[1] for row in rows])]


WRONG = {
    "coin_stopped_return": {
        "simulated": tossed,
        "hundred-tosses": series(100),
        "one-number": lambda c, g: coin(c, g)[0],
        "array": lambda c, g: np.array(coin(c, g)),
        "three-numbers": lambda c, g: (*coin(c, g), length(g)[1]),
        "hard-coded-gamma": lambda c, g: coin(c, 0.9),
        "rounded": lambda c, g: tuple(round(x, 4) for x in coin(c, g)),
        "absolute-mean": coining(mean=lambda c, m: abs(c) * m),
        "poisson": coining(std=lambda c, var: abs(c) * math.sqrt((1 + math.sqrt(1 + 4 * var)) / 2)),
        "standard-error": lambda c, g: (coin(c, g)[0], coin(c, g)[1] * math.sqrt(1 - g)),
        "one-toss": lambda c, g: (c / (1 - g), abs(c) * math.sqrt(g * (1 - g))),
        "root-of-all": lambda c, g: (c / (1 - g), abs(c) * math.sqrt(g / (1 - g))),
        "median": lambda c, g: (c * max(1, math.ceil(math.log(0.5) / math.log(g))) if g else c, coin(c, g)[1]),
        "discounted-too": lambda c, g: (c / (1 - g**2), coin(c, g)[1]),
        "variance + second-moment": lambda c, g: (c / (1 - g), c**2 * (1 + g) / (1 - g) ** 2),
        "variance + negative-spread": lambda c, g: (c / (1 - g), c * abs(c) * g / (1 - g) ** 2),
        "variance + reward-not-squared": lambda c, g: (c / (1 - g), c * g / (1 - g) ** 2),
        "failures-counted + variance": lambda c, g: (c * g / (1 - g), c**2 * g / (1 - g) ** 2),
        "failures-counted + negative-spread": lambda c, g: (c * g / (1 - g), c * math.sqrt(g) / (1 - g)),
        "failures-counted + no-root-of-gamma": lambda c, g: (c * g / (1 - g), abs(c) * g / (1 - g)),
        "second-moment + negative-spread": lambda c, g: (c / (1 - g), c * math.sqrt(1 + g) / (1 - g)),
        "no-root-of-gamma + negative-spread": lambda c, g: (c / (1 - g), c * g / (1 - g)),
    },
    "policy_chain": {
        "list-of-lists": chaining(form=lambda both: tuple(x.tolist() for x in both)),
        "one-array": chaining(form=lambda both: np.column_stack(both)),
        "only-the-matrix": chaining(form=lambda both: both[0]),
        "three-parts": chaining(form=lambda both: (*both, both[0].sum(axis=1))),
        "column": chaining(form=lambda both: (both[0], both[1][:, None])),
        "single-precision": chaining(form=lambda both: tuple(x.astype(np.float32) for x in both)),
        "dictionary": chaining(form=lambda both: dict(zip("Pr", both, strict=True))),
        "in-place": spoils_pi,
        "rewards-after-the-move": lambda P, R, pi: (lambda p, r: (p, p @ r))(*chain(P, R, pi)),
        "policy-squared": chaining(w=lambda pi: pi**2, u=lambda pi: pi**2),
        "ties-kept": chaining(w=lambda pi: pi.round(1)),
        "mean-over-actions + unweighted-sum": chaining(w=alike, u=ones),
        "sum-over-actions + unweighted-mean": chaining(w=ones, u=alike),
        "likeliest-action + best-action": lambda P, R, pi: (
            chain(P, R, pi, w=likeliest)[0], R.max(axis=1) * 1.0
        ),
        "transposed + unweighted-mean": chaining(u=alike, form=lambda both: (both[0].T.copy(), both[1])),
        "transposed + likeliest-action": chaining(
            w=likeliest, u=likeliest, form=lambda both: (both[0].T.copy(), both[1])
        ),
        "results-exchanged + mean-over-actions": chaining(w=alike, form=lambda both: both[::-1]),
        "next-state-policy + sum-over-states": lambda P, R, pi: (
            np.einsum("ta,sat->st", pi, P), (pi * R).sum(axis=0)
        ),
    },
}  # fmt: skip

RIGHT = {
    "coin_stopped_return": {
        "factorial-moment": coin,
        "long-series": series(60_000),
        "list": lambda c, g: list(coin(c, g)),
        "numpy-scalars": lambda c, g: (np.float64(c) / (1 - g), np.abs(c) * np.sqrt(g) / (1 - g)),
        "zero-d-arrays": lambda c, g: tuple(map(np.array, coin(c, g))),
        "odds": lambda c, g: (lambda odds: (c * (1 + odds), abs(c) * (odds * (1 + odds)) ** 0.5))(g / (1 - g)),
        "linear-system": lambda c, g: (
            lambda m: (c * m[0], abs(c) * np.sqrt(m[1] - m[0] ** 2))
        )(np.linalg.solve([[1 - g, 0.0], [-2 * g, 1 - g]], [1.0, 1.0])),
    },
    "policy_chain": {
        "augmented": augmented,
        "state-by-state": state_by_state,
        "block-diagonal": lambda P, R, pi: (
            lambda Pi: (Pi @ P.reshape(R.size, -1), Pi @ R.reshape(-1))
        )(np.kron(np.eye(len(R)), np.ones(R.shape[1])) * pi.reshape(-1)),
        "list-of-two": chaining(form=list),
        "fortran-order": chaining(form=lambda both: tuple(map(np.asfortranarray, both))),
        "normalised-again": chaining(form=lambda both: (both[0] / both[0].sum(axis=1, keepdims=True), both[1])),
    },
}  # fmt: skip

NAMED = {
    "coin_stopped_return": {
        "failures-counted/minus-one": coining(mean=lambda c, m: c * (m - 1)),
        "one-step-too-many/plus-one": coining(mean=lambda c, m: c * (m + 1)),
        "other-probability/numpy": lambda c, g: (
            np.float64(c) / g, abs(c) * np.sqrt(1 - np.float64(g)) / g
        ),
        "other-probability/mean-only": lambda c, g: (c / g, coin(c, g)[1]),
        "variance/product": coining(std=lambda c, var: c * c * var),
        "second-moment/root": lambda c, g: (c / (1 - g), abs(c) * math.sqrt(length(g)[1] + length(g)[0] ** 2)),
        "negative-spread/product": coining(std=lambda c, var: c * var**0.5),
        "no-root-of-gamma/fraction": lambda c, g: (c / (1 - g), abs(c * g / (1 - g))),
        "spread-is-the-mean/exponential": coining(std=lambda c, var: abs(c) * (0.5 + math.sqrt(0.25 + var))),
        "no-spread/zero": lambda c, g: (c / (1 - g), 0.0),
        "reward-not-squared/absolute": coining(std=lambda c, var: math.sqrt(abs(c) * var)),
        "reward-missing/length": lambda c, g: (length(g)[0], length(g)[1] ** 0.5),
        "results-exchanged/tuple": lambda c, g: coin(c, g)[::-1],
    },
    "policy_chain": {
        "mean-over-actions/both": lambda P, R, pi: (P.mean(axis=1), R.mean(axis=1)),
        "sum-over-actions/both": lambda P, R, pi: (P.sum(axis=1), R.sum(axis=1)),
        "likeliest-action/both": chaining(w=likeliest, u=likeliest),
        "likeliest-action/index": lambda P, R, pi: (
            lambda s, a: (P[s, a], R[s, a] * 1.0)
        )(np.arange(len(R)), pi.argmax(axis=1)),
        "averaged-twice/both": chaining(w=lambda pi: pi / pi.shape[1], u=lambda pi: pi / pi.shape[1]),
        "not-summed/both": lambda P, R, pi: (pi[..., None] * P, pi * R),
        "all-pairs/both": lambda P, R, pi: (np.tensordot(pi, P, axes=(1, 1)), pi @ R.T),
        "first-action/both": lambda P, R, pi: (P[:, 0].copy(), R[:, 0] * 1.0),
        "results-exchanged/tuple": chaining(form=lambda both: both[::-1]),
        "transposed/swapaxes": chaining(form=lambda both: (both[0].swapaxes(0, 1), both[1])),
        "next-state-policy/product": lambda P, R, pi: (
            (P * pi.T[None]).sum(axis=1), (pi * R).sum(axis=1)
        ),
    },
}  # fmt: skip
