"""Lesson 05: the mean of the larger of two estimates. Keys as in `lesson_00` and `lesson_05_two`."""

import math
from functools import partial

import numpy as np

PDF_AT_0 = 1 / math.sqrt(2 * math.pi)


def clark(m, a, b, theta=lambda a, b: np.sqrt(a**2 + b**2), density=PDF_AT_0):
    """Clark's formula for equal means: μ Φ(0) + μ Φ(0) + θ φ(0)."""
    return m * 0.5 + m * 0.5 + theta(a, b) * density


def with_spread(theta, **more):
    return partial(clark, theta=theta, **more)


def simulated(m, a, b):
    x, y = np.random.default_rng(0).normal(size=(2, 100_000))
    return float(np.maximum(m + a * x, m + b * y).mean())


def on_a_grid(n):
    """The mean of the maximum by the trapezium rule over the difference, in so many strips."""

    def integral(m, a, b):
        z = np.linspace(-9, 9, n + 1)
        density = np.exp(-z * z / 2) * PDF_AT_0
        inner = 0.5 * np.abs(z) * density
        return float(m + math.hypot(a, b) * (inner.sum() - inner[[0, -1]].sum() / 2) * 18 / n)

    return integral


def by_cdf(m, a, b):
    """E max = μ + ∫ z dF, with the halves z > 0 and z < 0 done in closed form, primitive by primitive."""
    theta = (a**2 + b**2) ** 0.5
    primitive = {z: -math.exp(-(z**2) / 2) * PDF_AT_0 for z in (0.0, 40.0)}
    return m + theta / 2 * 2 * (primitive[40.0] - primitive[0.0])


def by_polar_angle(m, a, b):
    """Polar coordinates: the radius and the angle of two independent standard normal numbers."""
    radius, theta = math.sqrt(math.pi / 2), abs(complex(a, b))
    angle = np.linspace(0, math.pi, 1_001)
    mean_of_positive_sine = float(np.trapezoid(np.sin(angle), angle)) / (2 * math.pi)
    return m + theta * radius * mean_of_positive_sine


def exactly_by_polar_angle(m, a, b):
    return m + abs(complex(a, b)) * math.sqrt(math.pi / 2) * 2 / (2 * math.pi)


WRONG = {
    "expected_max": {
        "simulated": simulated,
        "coarse-grid": on_a_grid(100),
        "polar-grid": by_polar_angle,
        "larger-mean": lambda m, a, b: max(m + a, m + b),
        "one-deviation-up": lambda m, a, b: m + max(a, b),
        "median": lambda m, a, b: m + 0.5449 * math.hypot(a, b) / math.sqrt(2),
        "rounded-pi": lambda m, a, b: m + math.hypot(a, b) / math.sqrt(2 * 3.14),
        "of-uniform-noise": lambda m, a, b: m + math.sqrt(3) * (a + b) / 2 / 3,
        "geometric-mean": lambda m, a, b: m + math.sqrt(a * b / math.pi),
        "correlated": lambda m, a, b: m + PDF_AT_0 * math.sqrt(a * a + b * b - a * b),
        "root-of-the-sum-of-deviations": lambda m, a, b: m + math.sqrt((a + b) / (2 * math.pi)),
        "deviation-in-the-root": lambda m, a, b: m + math.sqrt(math.hypot(a, b) / (2 * math.pi)),
        "pi-outside": lambda m, a, b: m + math.hypot(a, b) / (2 * math.pi),
        "two-outside": lambda m, a, b: m + math.hypot(a, b) / (2 * math.sqrt(math.pi)),
        "upside-down": lambda m, a, b: m + math.hypot(a, b) * math.sqrt(2 * math.pi),
        "mean-squared-too": lambda m, a, b: math.sqrt(m * m + (a * a + b * b) / (2 * math.pi)),
        "array": lambda m, a, b: np.array([clark(m, a, b)]),
        "text": lambda m, a, b: f"{clark(m, a, b):.6f}",
        "pair": lambda m, a, b: (m, math.hypot(a, b) * PDF_AT_0),
        "fails-at-zero": lambda m, a, b: m + (a * a + b * b) / math.hypot(a, b) * PDF_AT_0,
        "single-precision": lambda m, a, b: float(np.float32(clark(m, a, b))),
        "bias-only + half-missing": lambda m, a, b: math.hypot(a, b) * 2 * PDF_AT_0,
        "deviations-added + half-missing": lambda m, a, b: m + (a + b) * math.sqrt(2 / math.pi),
        "deviations-added + bias-only": lambda m, a, b: (a + b) * PDF_AT_0,
        "equal-spreads + bias-only": lambda m, a, b: a / math.sqrt(math.pi),
        "equal-spreads + half-missing": lambda m, a, b: m + 2 * max(a, b) / math.sqrt(math.pi),
        "difference-of-variances + half-missing": lambda m, a, b: (
            m + 2 * PDF_AT_0 * math.sqrt(abs(a * a - b * b))
        ),
        "no-root + bias-only": lambda m, a, b: (a * a + b * b) / (2 * math.pi),
        "smaller-one + deviations-added": lambda m, a, b: m - (a + b) * PDF_AT_0,
        "smaller-one + half-missing": lambda m, a, b: m - 2 * math.hypot(a, b) * PDF_AT_0,
    }
}

RIGHT = {
    "expected_max": {
        "clark": clark,
        "primitive": by_cdf,
        "polar": exactly_by_polar_angle,
        "whole-numbers-kept": lambda m, a, b: m + np.hypot(a, b) / np.sqrt(2 * np.pi),
        "zero-d-array": lambda m, a, b: np.asarray(clark(m, a, b)),
        "gamma-function": lambda m, a, b: m + math.hypot(a, b) / (math.sqrt(2) * math.gamma(0.5)),
        "error-function's-slope": lambda m, a, b: (
            m + math.hypot(a, b) / 2 * (math.erf(1e-7) / 1e-7) / math.sqrt(2)
        ),
        "through-the-minimum": lambda m, a, b: 2 * m - clark(m, a, b, density=-PDF_AT_0),
        "power": lambda m, a, b: m + (2 * math.pi / (a**2 + b**2)) ** -0.5 if a or b else m,
    }
}

NAMED = {
    "expected_max": {
        "deviations-added/clark": with_spread(lambda a, b: a + b),
        "equal-spreads/first": lambda m, a, b: m + a / math.pi**0.5,
        "equal-spreads/second": lambda m, a, b: m + b / math.pi**0.5,
        "equal-spreads/mean": lambda m, a, b: m + 0.5 * (a + b) / np.sqrt(np.pi),
        "equal-spreads/larger": lambda m, a, b: m + np.maximum(a, b) / np.sqrt(np.pi),
        "half-missing/root": lambda m, a, b: m + math.sqrt(2 * (a * a + b * b) / math.pi),
        "bias-only/density": lambda m, a, b: clark(0.0, a, b),
        "no-bias/larger-of-the-means": lambda m, a, b: max(m, m),
        "difference-of-variances/larger-first": with_spread(
            lambda a, b: math.sqrt(max(a, b) ** 2 - min(a, b) ** 2)
        ),
        "deviations-subtracted/clark": with_spread(lambda a, b: max(a, b) - min(a, b)),
        "no-root/fraction": lambda m, a, b: m + (a**2 + b**2) / (2 * math.pi),
        "no-root/of-the-variance": lambda m, a, b: m + (a**2 + b**2) * PDF_AT_0,
        "variances-averaged/mean": with_spread(lambda a, b: np.mean([a**2, b**2]) ** 0.5),
        "deviation-for-distance/half": lambda m, a, b: m + math.hypot(a, b) / 2,
        "one-spread-for-two/root": lambda m, a, b: m + math.sqrt((a * a + b * b) / math.pi),
        "smaller-one/minus": with_spread(lambda a, b: -math.hypot(a, b)),
        "middle-doubled/sum": lambda m, a, b: m + m + math.hypot(a, b) * PDF_AT_0,
    }
}
