"""What scores of a few runs say, and what they do not: means of the middle, intervals, tests, verdicts.

A run is a seed: the episodes of one run are averaged first, into one score, and higher is better. A
table of scores is (runs, tasks), or (runs,) where there is one task. NumPy alone, float64.

Sources: Agarwal et al. 2021, *Deep reinforcement learning at the edge of the statistical precipice*
(arXiv 2108.13264), §4, with the definitions of its library rliable; Colas et al. 2018 (1806.08295) and
2019 (1904.06979) for tests between two agents. Equation numbers are lesson 20's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import count

import numpy as np

ROUNDING = 1e-12  # what a sum of probabilities may be off: a rate that is met exactly is met
MOST_RUNS = 500  # of `required_runs`: nobody makes more to judge one agent
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(100)  # made once: that takes milliseconds


def _table(scores) -> np.ndarray:
    """scores as (runs, tasks) float64."""
    scores = np.asarray(scores, dtype=np.float64)
    return scores.reshape(len(scores), -1)


def interquartile_mean(scores) -> float:
    """The mean of the middle half of all scores, (20.1).

    scores: any shape; all are pooled and sorted, ⌊n/4⌋ are cut off at each end. With three scores or
    fewer it is the plain mean. Agarwal et al. §4.3; `scipy.stats.trim_mean(scores, 0.25, axis=None)`.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64), axis=None)
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def bootstrap_interval(
    scores,
    rng: np.random.Generator,
    statistic: Callable[[np.ndarray], float] = interquartile_mean,
    level: float = 0.95,
    draws: int = 2_000,
) -> tuple[float, float]:
    """A percentile interval for `statistic`, by drawing the runs of each task anew, (20.2).

    scores: (runs,), or (runs, tasks). `draws` times: row indices `rng.integers(runs, size=(runs, tasks))`,
    so that each task has its own (stratified); then the quantiles (1 − level)/2 and (1 + level)/2 of the
    statistics of these tables. Returns (low, high). Agarwal et al. §4.1. With the few runs that are usual,
    the interval is too narrow rather than too wide: five runs cannot show what the sixth would do.
    """
    scores = _table(scores)
    n_runs, n_tasks = scores.shape
    values = [
        statistic(scores[rng.integers(n_runs, size=(n_runs, n_tasks)), np.arange(n_tasks)])
        for _ in range(draws)
    ]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def probability_of_improvement(x, y) -> float:
    """How often a run of x beats a run of y on the same task, mean over tasks, (20.3).

    x (n, tasks), y (m, tasks); all n·m pairs of a task count, a tie for half. In each task it is
    U/(nm) of Mann and Whitney; P(x, y) + P(y, x) = 1. Agarwal et al. §4.3.
    """
    x, y = _table(x), _table(y)
    above = np.sign(x[:, None, :] - y[None, :, :])  # (n, m, tasks): 1, 0 or -1
    return float((1 + above).mean() / 2)


def performance_profile(scores, thresholds) -> np.ndarray:
    """The share of runs whose score is above τ, mean over tasks, for every threshold τ, (20.4).

    scores (runs, tasks), thresholds (T,) in any order. Returns (T,). Strictly above: the area under
    the curve is the mean of non-negative scores. Agarwal et al. §4.2, where it is the run-score distribution.
    """
    scores, thresholds = _table(scores), np.asarray(thresholds, dtype=np.float64)
    return (scores[:, :, None] > thresholds).mean(axis=(0, 1))


def welch_t(x, y) -> tuple[float, float]:
    """Welch's t of the difference between two means, and its degrees of freedom ν, (20.5).

    x (n,), y (m,), n, m ≥ 2. t = (x̄ − ȳ)/√(a + b) with a = s_x²/n and b = s_y²/m, s² with n − 1;
    ν = (a + b)² / (a²/(n − 1) + b²/(m − 1)). Welch 1947. `two_sided_p` makes a p-value of them.
    Raises ValueError where no error can be estimated.
    """
    x, y = (np.asarray(scores, dtype=np.float64) for scores in (x, y))
    if min(x.size, y.size) < 2:
        raise ValueError("a spread needs two runs of each agent")
    a, b = (scores.var(ddof=1) / scores.size for scores in (x, y))
    if a + b == 0:
        raise ValueError(
            "all runs of each agent have the same score: there is no spread to compare with"
        )
    dof = (a + b) ** 2 / (a**2 / (x.size - 1) + b**2 / (y.size - 1))
    return float((x.mean() - y.mean()) / math.sqrt(a + b)), float(dof)


def two_sided_p(t: float, dof: float) -> float:
    """The probability that Student's t with `dof` ≥ 1 degrees of freedom is at least as far from 0 as t.

    `2 * scipy.stats.t.sf(abs(t), dof)`, to nine places: with t = √ν tan θ the density is as cos^(ν−1) θ.
    """
    end = math.atan(abs(t) / math.sqrt(dof))
    within = end / 2 * _WEIGHTS @ np.cos(end / 2 * (_NODES + 1)) ** (dof - 1)
    log_whole = math.lgamma(dof / 2) - math.lgamma((dof + 1) / 2) + math.log(math.pi) / 2
    return max(0.0, 1 - 2 * float(within) * math.exp(-log_whole))


def pass_probability(p: float, runs: int, needed: int) -> float:
    """The probability that at least `needed` of `runs` runs are good, (20.6).

    Each is good with probability p, whatever the others are: Σ_{k ≥ needed} C(runs, k) p^k (1 − p)^(runs − k).
    1 if nothing is needed, 0 if more than there are.
    """
    terms = (
        math.comb(runs, k) * p**k * (1 - p) ** (runs - k) for k in range(max(needed, 0), runs + 1)
    )
    return 1.0 if needed <= 0 else math.fsum(terms)


def required_runs(
    p_good: float, p_bad: float, false_fail: float, false_pass: float
) -> tuple[int, int]:
    """The smallest test that holds both error rates: (runs, needed), (20.7).

    The fewest runs for which some `needed` has 1 − pass_probability(p_good, runs, needed) ≤ false_fail
    and pass_probability(p_bad, runs, needed) ≤ false_pass; for so few runs only one does.
    0 ≤ p_bad < p_good ≤ 1. More runs do not always help, so they are counted up, not bisected.
    Raises ValueError if p_bad is not below p_good, or 500 runs are not enough.
    """
    if not 0 <= p_bad < p_good <= 1:
        raise ValueError(f"p_bad must be below p_good; they are {p_bad:g} and {p_good:g}")
    needed = 0
    for runs in count(1):
        if runs > MOST_RUNS:
            raise ValueError(
                f"{MOST_RUNS} runs do not tell {p_good:g} from {p_bad:g} at these rates"
            )
        # The strictest mark at which good agents fail seldom enough: it never falls with more runs.
        while 1 - pass_probability(p_good, runs, needed + 1) <= false_fail + ROUNDING:
            needed += 1
        if pass_probability(p_bad, runs, needed) <= false_pass + ROUNDING:
            return runs, needed


def judge_runs(
    run: Callable[[int], float], seeds: Iterable[int], mark: float, needed: int
) -> tuple[bool, np.ndarray]:
    """Whether `needed` of the runs reach the mark, and no run more than it takes to tell, (20.8).

    run(seed) -> score, called once a seed and in their order; a run is good if its score is at least
    `mark` (NaN is not). It stops as soon as `needed` are good, or so many are not that the rest could not
    make up for it; the rest would not change the verdict, so its error rates are those of all runs.
    Returns (passed, the scores of the runs that were made, float64).
    """
    seeds = list(seeds)
    scores: list[float] = []
    good = 0
    for seed in seeds:
        left = len(seeds) - len(scores)
        if good >= needed or good + left < needed:
            break
        scores.append(float(run(seed)))
        good += scores[-1] >= mark
    return good >= needed, np.array(scores, dtype=np.float64)


def solved_in(scores: Sequence[float], mark: float) -> int:
    """How many of these runs reach the mark."""
    return int(np.sum(np.asarray(scores) >= mark))
