"""Lesson 00's pencil exercise, as others write it: a key "a + b" of WRONG makes two mistakes at once."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np


def geometric(c, g, n, *, start=0, stop=0, guard=True):
    """c(γ^start + … + γ^(n−1+stop)) by the usual formula, start over 1 − γ."""
    if guard and g == 1:
        return c * n
    return c * (g**start - g ** (n + stop)) / (1 - g)


def least(c, g, n, most):
    return float(c * sum(g**t for t in range(int(min(n, most)))))


def fused(c, g, n):
    """An array in a scalar's place, as code that is written for batches has it."""
    g, n = np.atleast_1d(np.asarray(g, dtype=float)), np.atleast_1d(np.asarray(n, dtype=float))
    ratio = np.divide(1 - g**n, 1 - g, out=n.copy(), where=g != 1)
    return c * ratio


def by_squares(c, g, n):
    """(1 − γ^n)/(1 − γ) as a product over the binary digits of n: S_2k = S_k (1 + γ^k)."""
    if n == math.inf:
        return c / (1 - g)

    def weights(n):
        if n == 0:
            return 0.0, 1.0
        total, power = weights(n // 2)
        total, power = total * (1 + power), power * power
        return (1 + g * total, power * g) if n % 2 else (total, power)

    return c * weights(n)[0]


def exact(c, g, n):
    if g == 1 or n == math.inf or n > 10**4:
        return c * n if g == 1 else c / (1 - g)
    return float(
        Fraction(c) * (1 - Fraction(Decimal(repr(g))) ** n) / (1 - Fraction(Decimal(repr(g))))
    )


WRONG = {
    "constant_return": {
        "ten-steps": lambda c, g, n: geometric(c, g, 10),
        "hard-coded-gamma": lambda c, g, n: geometric(c, 0.9, n),
        "no-reward": lambda c, g, n: geometric(1, g, n),
        "absolute": lambda c, g, n: abs(geometric(c, g, n)),
        "mean-over-steps": lambda c, g, n: geometric(c, g, n) / n,
        "rounded": lambda c, g, n: round(geometric(c, g, n), 4),
        "integer-division": lambda c, g, n: float(c * n) if g == 1 else c * (1 - g**n) // (1 - g),
        "array": fused,
        "one-in-a-million": lambda c, g, n: geometric(c, g, n) * (1 + 1e-6),
        "single-precision": lambda c, g, n: float(np.float32(geometric(c, g, n))),
        "zero-without-discount": lambda c, g, n: 0.0 if g == 1 else geometric(c, g, n),
        "no-end-forgotten": lambda c, g, n: geometric(c, g, n) if n < math.inf else math.inf,
        "zero-at-gamma-0": lambda c, g, n: 0.0 if g == 0 else geometric(c, g, n),
        "continuous-time": lambda c, g, n: c * n if g == 1 else c * (1 - math.exp(-n * (1 - g))) / (1 - g),
        "array-of-weights": lambda c, g, n: float(c * np.power(float(g), np.arange(n)).sum()),
        "denominator-with-n": lambda c, g, n: c * n if g == 1 else c * (1 - g) / (1 - g**n),
        "one-term-too-many + first-discounted": lambda c, g, n: geometric(c, g, n, start=1, stop=2),
        "one-term-too-many + gamma-one": lambda c, g, n: geometric(c, g, n, stop=1, guard=False),
        "first-discounted + gamma-one": lambda c, g, n: g * geometric(c, g, n, guard=False),
        "endless + first-discounted": lambda c, g, n: c * n if g == 1 else g * c / (1 - g),
        "one-term-too-many + numerator-missing": lambda c, g, n: c * n if g == 1 else c * (1 - g ** (n + 1)),
        "sign + one-term-too-many": lambda c, g, n: -(c * n) if g == 1 else -geometric(c, g, n, stop=1),
        "sign + first-discounted": lambda c, g, n: -g * geometric(c, g, n),
    },
}  # fmt: skip

RIGHT = {
    "constant_return": {
        "two-endless-ones": lambda c, g, n: c * n if g == 1 else c / (1 - g) - g**n * c / (1 - g),
        "negative-exponential": lambda c, g, n: (
            n * c if (g in (0, 1) and n == 0) or g == 1
            else c if g == 0
            else c * -np.expm1(n * np.log(g)) / (1 - g)
        ),
        "product-over-digits": by_squares,
        "fractions": exact,
        "zero-d-array": lambda c, g, n: np.array(geometric(c, float(g), n)),
        "numerator-turned": lambda c, g, n: c * n if g == 1 else (c * g**n - c) / (g - 1),
        "numpy-scalars": lambda c, g, n: np.where(
            g == 1, c * n, c * (1 - np.float64(g) ** n) / (1 - np.float64(g) * (g != 1))
        ),
        "extra-arguments": lambda reward, gamma, n_steps, start=0: geometric(reward, gamma, n_steps),
    },
}  # fmt: skip

NAMED = {
    "constant_return": {
        "one-term-too-many/difference": lambda c, g, n: geometric(c, g, n, stop=1),
        "one-term-too-few/guarded": lambda c, g, n: (
            c * (n - 1) if g == 1 else c * (1 - np.float64(g) ** (n - 1)) / (1 - g) if n or g else -math.inf
        ),
        "first-discounted/difference": lambda c, g, n: c * n if g == 1 else geometric(c, g, n, start=1, stop=1),
        "first-reward-lost/difference": lambda c, g, n: c * (n - 1) if g == 1 else geometric(c, g, n, start=1),
        "endless/horizon": lambda c, g, n: c * (1 / (1 - g)),
        "endless/guarded": lambda c, g, n: c * n if g == 1 else c * (1 - g) ** -1,
        "gamma-one/difference": lambda c, g, n: geometric(c, g, n, guard=False),
        "gamma-one/nan": lambda c, g, n: c * (np.float64(1) - np.float64(g) ** n) / (1 - np.float64(g)),
        "numerator-missing/two-terms": lambda c, g, n: c - c * g**n,
        "numerator-missing/guarded": lambda c, g, n: n * c if g == 1 else c - c * g**n,
        "sign/turned": lambda c, g, n: c * n if g == 1 else geometric(c, g, n) * -1,
        "multiplied-not-power/product": lambda c, g, n: c * n if g == 1 else c * (1 - n * g) / (1 - g),
        "undiscounted/product": lambda c, g, n: n * c,
        "cut-off/thousand": lambda c, g, n: least(c, g, n, 1000),
        "plus-for-minus/below": lambda c, g, n: c * n if g == 1 else c * (1 - g**n) / (g + 1),
    },
}  # fmt: skip
