"""Lesson 20. Keys as in `lesson_00`; written by the contract, away from the declarations."""

import bisect
import heapq
import itertools
import math
from functools import cache

import numpy as np
from scipy import stats


def flat(scores):
    return sorted(float(score) for score in np.asarray(scores).ravel())


def middle(cut=lambda n: n // 4, mean=lambda x: sum(x) / len(x)):
    """The mean of what is left of the sorted scores."""

    def interquartile_mean(scores):
        x = flat(scores)
        k = cut(len(x))
        return float(mean(x[k : len(x) - k]))

    return interquartile_mean


def by_heaps(scores):
    x = flat(scores)
    k = len(x) // 4
    return (sum(x) - sum(heapq.nlargest(k, x)) - sum(heapq.nsmallest(k, x))) / (len(x) - 2 * k)


def recursive_middle(scores, left=None):
    x = flat(scores)
    left = len(x) // 4 if left is None else left
    return sum(x) / len(x) if left == 0 else recursive_middle(x[1:-1], left - 1)


def mask_of_extremes(scores):
    x = np.array(scores, dtype=float).ravel()
    keep = np.ones(x.size, dtype=bool)
    for _ in range(x.size // 4):
        keep[np.flatnonzero(keep)[np.argmin(x[keep])]] = False
        keep[np.flatnonzero(keep)[np.argmax(x[keep])]] = False
    return np.average(x, weights=keep)


def bootstrap(
    resample=None,
    ends=lambda level: ((1 - level) / 2, (1 + level) / 2),
    value=lambda statistic, table, scores: statistic(table),
    after=lambda low, high, statistic, scores: (low, high),
    count=lambda draws: draws,
    spoil=lambda rng: None,
):
    def bootstrap_interval(scores, rng, statistic, level, draws):
        n, tasks = scores.shape
        spoil(rng)
        seen = []
        for _ in range(count(draws)):
            if resample is None:
                table = np.empty((n, tasks))
                index = rng.integers(low=0, high=n, size=(n, tasks))
                for t in range(tasks):
                    table[:, t] = scores[index[:, t], t]
            else:
                table = resample(scores, rng)
            seen.append(value(statistic, table, scores))
        low, high = (float(np.quantile(seen, end)) for end in ends(level))
        return after(low, high, statistic, scores)

    return bootstrap_interval


def one_hot_resamples(scores, rng, statistic, level, draws):
    """Rows picked by products with one-hot rows."""
    n, tasks = scores.shape
    values = np.empty(draws)
    for d in range(draws):
        picks = np.eye(n)[rng.integers(n, size=(n, tasks))]
        values[d] = statistic(np.einsum("itk,kt->it", picks, scores))
    return [*np.percentile(values, (100 * (1 - level) / 2, 100 * (1 + level) / 2))]


def weighted_only(scores, rng, statistic, level, draws):
    """Weights instead of resamples: a Bayesian bootstrap."""
    n, tasks = scores.shape
    weights = rng.dirichlet(np.ones(n), size=(draws, tasks))
    means = np.einsum("dtn,nt->d", weights, scores) / tasks
    return tuple(np.quantile(means, [(1 - level) / 2, (1 + level) / 2]))


def student_t_interval(scores, rng, statistic, level, draws):
    n = scores.size
    half = stats.t.ppf((1 + level) / 2, n - 1) * scores.std(ddof=1) / math.sqrt(n)
    return float(scores.mean() - half), float(scores.mean() + half)


def jackknife(scores, rng, statistic, level, draws):
    """Tukey's standard error to either side."""
    n = len(scores)
    values = np.array([statistic(np.delete(scores, i, axis=0)) for i in range(n)])
    half = stats.norm.ppf((1 + level) / 2) * math.sqrt(
        (n - 1) / n * ((values - values.mean()) ** 2).sum()
    )
    return float(statistic(scores) - half), float(statistic(scores) + half)


def improvement(points=lambda a, b: 1.0 if a > b else 0.5 if a == b else 0.0, average=np.mean):
    """Pair by pair."""

    def probability_of_improvement(x, y):
        tasks = [
            np.mean([[points(a, b) for b in y[:, t]] for a in x[:, t]]) for t in range(x.shape[1])
        ]
        return float(average(tasks))

    return probability_of_improvement


def sorted_pairs(x, y):
    x, y = np.sort(x, axis=0), np.sort(y, axis=0)
    n = min(len(x), len(y))
    return float(((x[:n] > y[:n]) + 0.5 * (x[:n] == y[:n])).mean())


def by_bisection(x, y):
    total = 0
    for mine, theirs in zip(x.T.tolist(), y.T.tolist(), strict=True):
        theirs.sort()
        total += sum(bisect.bisect_left(theirs, s) + bisect.bisect_right(theirs, s) for s in mine)
    return total / (2 * len(x) * len(y) * x.shape[1])


def merged_ranks(x, y):
    """U from ranks, ties averaged."""
    n, m = len(x), len(y)
    ranks = stats.rankdata(np.concatenate([x, y]), axis=0)
    return ((ranks[:n].sum(axis=0) - n * (n + 1) / 2) / (n * m)).mean()


def weighted_tasks(x, y):
    """Tasks weighed by how many different scores they have."""
    p = [float(improvement()(x[:, [t]], y[:, [t]])) for t in range(x.shape[1])]
    return float(np.average(p, weights=[1 + np.ptp(x[:, t]) for t in range(x.shape[1])]))


def gauss_improvement(x, y):
    gap = x.mean(axis=0) - y.mean(axis=0)
    spread = np.sqrt(x.var(axis=0) + y.var(axis=0)) + 1e-12
    return float(stats.norm.cdf(gap / spread).mean())


def cohens_d(x, y):
    spread = np.sqrt((x.var(axis=0) + y.var(axis=0)) / 2) + 1e-12
    return float(((x.mean(axis=0) - y.mean(axis=0)) / spread).mean())


def profile(share=lambda column, tau: np.mean(column > tau), average=np.mean):
    def performance_profile(scores, thresholds):
        return np.array(
            [float(average([share(column, tau) for column in scores.T])) for tau in thresholds]
        )

    return performance_profile


def sorted_and_back(scores, thresholds):
    order = np.argsort(thresholds)
    curve = np.empty(len(thresholds))
    every = np.sort(scores, axis=None)
    curve[order] = (
        1 - np.searchsorted(every, np.asarray(thresholds)[order], side="right") / every.size
    )
    return curve


def welch(
    variance=lambda x: float(np.var(x, ddof=1)),
    location=np.mean,
    dof=lambda a, b, n, m: (a + b) ** 2 / (a * a / (n - 1) + b * b / (m - 1)),
    error=lambda a, b: math.sqrt(a + b),
    finish=lambda t, nu: (t, nu),
):
    def welch_t(x, y):
        n, m = len(x), len(y)
        a, b = variance(x) / n, variance(y) / m
        with np.errstate(all="ignore"):
            t = float((location(x) - location(y)) / np.float64(error(a, b)))
            return finish(t, float(dof(a, b, n, m)))

    return welch_t


def by_scipy(x, y):
    result = stats.ttest_ind(x, y, equal_var=False)
    return result.statistic, result.df


def harmonic_dof(a, b, n, m):
    """ν as a weighted harmonic mean."""
    c, d = a / (a + b), b / (a + b)
    return 1.0 / (c * c / (n - 1) + d * d / (m - 1))


def at_least(term=lambda p, n, k: math.comb(n, k) * p**k * (1 - p) ** (n - k), first=lambda k: k):
    def pass_probability(p, runs, needed):
        return float(sum(term(p, runs, k) for k in range(max(first(needed), 0), runs + 1)))

    return pass_probability


def recursive_pass(p, runs, needed):
    @cache
    def chance(n, k):
        if k <= 0:
            return 1.0
        return 0.0 if k > n else p * chance(n - 1, k - 1) + (1 - p) * chance(n - 1, k)

    return chance(runs, needed)


def incomplete_beta(p, runs, needed):
    from scipy.special import betainc

    if needed <= 0:
        return 1.0
    return 0.0 if needed > runs else betainc(needed, runs - needed + 1, p)


def ratios(p, runs, needed):
    """Each term from the one before."""
    if needed <= 0:
        return 1.0
    if p in (0, 1) or needed > runs:
        return float(p == 1 and needed <= runs)
    term, total = (1 - p) ** runs, 0.0
    for k in range(runs + 1):
        total += term if k >= needed else 0.0
        term *= (runs - k) / (k + 1) * p / (1 - p)
    return total


def series(p, runs, needed):
    """All series of runs, where there are few; else convolution."""
    if runs <= 10:
        return sum(
            math.prod(p if good else 1 - p for good in pattern)
            for pattern in itertools.product((0, 1), repeat=runs)
            if sum(pattern) >= needed
        )
    chances = np.array([1.0])
    for _ in range(runs):
        chances = np.convolve(chances, [1 - p, p])
    return chances[max(needed, 0) :].sum()


def plan(
    holds=lambda fails, passes, a, b: fails <= a + 1e-12 and passes <= b + 1e-12,
    numbers=lambda: range(1, 250),
    ks=lambda n: range(n + 1),
    tail=lambda p, n, k: stats.binom.sf(k - 1, n, p),
    finish=lambda n, k: (n, k),
):
    def required_runs(p_good, p_bad, false_fail, false_pass):
        for n in numbers():
            k = np.array(list(ks(n)))
            fails, passes = 1 - tail(p_good, n, k), tail(p_bad, n, k)
            for mark, fail, success in zip(k, fails, passes, strict=True):
                if holds(fail, success, false_fail, false_pass):
                    return finish(n, int(mark))
        return None

    return required_runs


def by_quantiles(p_good, p_bad, false_fail, false_pass):
    """The largest k that good agents reach, the smallest that bad ones do not."""
    for n in itertools.count(1):
        may_be = [
            k for k in range(n + 1) if stats.binom.cdf(k - 1, n, p_good) <= false_fail + 1e-12
        ]
        least = next(
            k for k in range(n + 2) if stats.binom.sf(k - 1, n, p_bad) <= false_pass + 1e-12
        )
        if least <= max(may_be):
            return np.int64(n), np.int64(least)


def doubled_steps(p_good, p_bad, false_fail, false_pass):
    """Tries 1, 2, 4, …, and is content."""
    n = 1
    while True:
        if found := plan(numbers=lambda n=n: [n])(p_good, p_bad, false_fail, false_pass):
            return found
        n *= 2


def first_of_steady(p_good, p_bad, false_fail, false_pass):
    """From where on every number will do."""
    found = [
        plan(numbers=lambda n=n: [n])(p_good, p_bad, false_fail, false_pass) for n in range(1, 160)
    ]
    last = max((i for i, each in enumerate(found) if each is None), default=-1)
    return found[last + 1]


def swaps(p_good, p_bad, false_fail, false_pass):
    return plan()(1 - p_bad, 1 - p_good, false_pass, false_fail)


def judge(
    good=lambda score, mark, scores: score >= mark,
    over=lambda good, bad, n, needed: good >= needed or bad > n - needed,
    passed=lambda good, bad, n, needed: good >= needed,
    order=list,
    ask=lambda run, seed: run(seed),
    kept=lambda scores, mark: np.array(scores, dtype=float),
):
    def judge_runs(run, seeds, mark, needed):
        scores, wins = [], 0
        for seed in order(seeds):
            scores.append(ask(run, seed))
            wins += bool(good(scores[-1], mark, scores))
            if over(wins, len(scores) - wins, len(seeds), needed):
                break
        wins, losses = wins, len(scores) - wins
        return bool(passed(wins, losses, len(seeds), needed)), kept(scores, mark)

    return judge_runs


def recursive_judge(run, seeds, mark, needed, scores=()):
    if needed == 0 or needed > len(seeds):
        return needed == 0, np.array(scores, dtype=np.float64)
    score = run(seeds[0])
    return recursive_judge(run, seeds[1:], mark, needed - (score >= mark), (*scores, score))


def judge_with_a_table(run, seeds, mark, needed):
    scores = np.full(len(seeds), -np.inf)
    for i, seed in enumerate(seeds):
        scores[i] = run(seed)
        good = int(np.sum(scores[: i + 1] >= mark))
        open_ones = len(seeds) - i - 1
        if not good < needed <= good + open_ones:
            return np.bool_(good >= needed), scores[: i + 1]
    return None


def all_at_once(run, seeds, mark, needed):
    """Every run is made, and cut off afterwards."""
    scores = np.array([float(run(seed)) for seed in seeds])
    good = np.cumsum(scores >= mark)
    made = np.arange(1, len(scores) + 1)
    end = np.flatnonzero((good >= needed) | (made - good > len(scores) - needed))[0]
    return bool(good[end] >= needed), scores[: end + 1]


def looks_twice(run, seeds, mark, needed):
    """Asks once whether a run is good, and once for its score."""
    scores, good = [], 0
    for seed in seeds:
        good += run(seed) >= mark
        scores.append(run(seed))
        if good >= needed or good + len(seeds) - len(scores) < needed:
            break
    return bool(good >= needed), np.array(scores, dtype=float)


def changes_its_seeds(run, seeds, mark, needed):
    n, scores, good = len(seeds), [], 0
    while good < needed and good + n - len(scores) >= needed:
        scores.append(float(run(seeds.pop(0))))
        good += scores[-1] >= mark
    return good >= needed, np.array(scores)


def unseeded(scores, rng, statistic, level, draws):
    g = np.random.default_rng()
    n, tasks = scores.shape
    values = [
        statistic(scores[g.integers(n, size=(n, tasks)), np.arange(tasks)]) for _ in range(draws)
    ]
    return tuple(np.quantile(values, [(1 - level) / 2, (1 + level) / 2]))


def sampled(p, runs, needed):
    good = np.random.default_rng().random((100_000, runs)) < p
    return float((good.sum(axis=1) >= needed).mean())


WRONG = {
    "interquartile_mean": {
        "geometric": lambda x: float(np.exp(np.log(np.abs(np.asarray(flat(x))) + 1).mean()) - 1),
        "trimean": lambda x: float(np.quantile(x, [0.25, 0.5, 0.5, 0.75]).mean()),
        "midrange": lambda x: float((np.max(x) + np.min(x)) / 2),
        "tenth-at-each-end": middle(cut=lambda n: n // 10),
        "at-least-one": middle(cut=lambda n: max(n // 4, 1) if n > 2 else 0),
        "one-at-each-end": middle(cut=lambda n: 1 if n > 2 else 0),
        "cut-of-runs": lambda x: middle(cut=lambda n: len(x) // 4)(x),
        "root-mean-square": middle(mean=lambda x: math.sqrt(sum(s * s for s in x) / len(x))),
        "whole-number": lambda x: float(int(middle()(x))),
        "float32": lambda x: np.float32(middle()(x)),
        "sorted-by-size": lambda x: (lambda y, k: float(np.mean(y[k : len(y) - k])))(
            sorted(np.ravel(x), key=abs), np.size(x) // 4
        ),
        "different-scores-only": lambda x: middle()(np.unique(x)),
        "first-task": lambda x: middle()(x[:, 0] if np.ndim(x) > 1 else x),
        "huber": lambda x: float(np.clip(x, *np.quantile(x, [0.1, 0.9])).mean()),
        "nothing-where-few": lambda x: middle()(x) if np.size(x) > 3 else 0.0,
        "median-where-few": lambda x: middle()(x) if np.size(x) > 3 else float(np.median(x)),
    },
    "bootstrap_interval": {
        "bayesian": weighted_only,
        "student": student_t_interval,
        "jackknife-errors": jackknife,
        "two-draws-more": bootstrap(count=lambda draws: draws + 2),
        "half-the-draws": bootstrap(count=lambda draws: draws // 2),
        "always-200": bootstrap(count=lambda draws: 200),
        "throws-one-away": bootstrap(spoil=lambda rng: rng.random()),
        "adds-the-estimate": bootstrap(value=lambda f, table, scores: (f(table) + f(scores)) / 2),
        "differences": bootstrap(value=lambda f, table, scores: f(table) - f(scores)),
        "of-absolute-scores": bootstrap(value=lambda f, table, scores: f(np.abs(table))),
        "transposed-table": bootstrap(value=lambda f, table, scores: f(table.T)),
        "flat-table": bootstrap(value=lambda f, table, scores: f(table.ravel())),
        "task-by-task-statistic": bootstrap(
            value=lambda f, table, scores: np.mean([f(table[:, [t]]) for t in range(table.shape[1])])
        ),
        "smoothed": bootstrap(
            resample=lambda scores, rng: scores[rng.integers(len(scores), size=scores.shape), range(scores.shape[1])]
            + rng.normal(size=scores.shape)
        ),
        "centred": bootstrap(after=lambda low, high, f, x: (low + f(x) - (low + high) / 2, high + f(x) - (low + high) / 2)),
        "symmetric": bootstrap(after=lambda low, high, f, x: (f(x) - (high - low) / 2, f(x) + (high - low) / 2)),
        "width": bootstrap(after=lambda low, high, f, x: (0.0, high - low)),
        "one-end": bootstrap(ends=lambda level: (0.0, level)),
        "other-end": bootstrap(ends=lambda level: (1 - level, 1.0)),
        "holds-the-estimate": bootstrap(after=lambda low, high, f, x: (min(low, f(x) - 1), max(high, f(x) + 1))),
        "three-numbers": bootstrap(after=lambda low, high, f, x: (low, f(x), high)),
        "quarter-tails": bootstrap(ends=lambda level: ((1 - level) / 4, (3 + level) / 4)),
    },
    "probability_of_improvement": {
        "sorted-pairs": sorted_pairs,
        "gauss": gauss_improvement,
        "effect-size": cohens_d,
        "weighted-tasks": weighted_tasks,
        "median-over-tasks": improvement(average=np.median),
        "geometric-over-tasks": improvement(average=lambda p: np.exp(np.log(np.maximum(p, 1e-12)).mean())),
        "ties-left-out": lambda x, y: float(
            np.nan_to_num((x[:, None] > y).sum() / np.maximum((x[:, None] != y).sum(), 1))
        ),
        "ties-a-third": improvement(points=lambda a, b: 1.0 if a > b else 1 / 3 if a == b else 0.0),
        "by-amount": improvement(points=lambda a, b: max(a - b, 0.0)),
        "odds": lambda x, y: (lambda p: float(p / (1 - p + 1e-9)))(improvement()(x, y)),
        "divides-by-n-squared": lambda x, y: improvement()(x, y) * len(y) / len(x),
        "divides-by-n-plus-m": lambda x, y: float(
            ((x[:, None] > y) + 0.5 * (x[:, None] == y)).sum() / ((len(x) + len(y)) * x.shape[1])
        ),
        "nearly-a-tie": improvement(points=lambda a, b: 0.5 if abs(a - b) < 0.5 else float(a > b)),
        "best-of-y": lambda x, y: float((x > y.max(axis=0)).mean()),
        "percent": lambda x, y: 100 * improvement()(x, y),
        "yes-or-no": lambda x, y: float(improvement()(x, y) > 0.5),
    },
    "performance_profile": {
        "median-over-tasks": profile(average=np.median),
        "worst-task": profile(average=np.min),
        "half-at-the-mark": profile(lambda column, tau: np.mean(column > tau) + 0.5 * np.mean(column == tau)),
        "absolute": profile(lambda column, tau: np.mean(np.abs(column) > tau)),
        "next-threshold": lambda x, tau: np.roll(profile()(x, tau), 1),
        "from-1-down": lambda x, tau: np.maximum(profile()(x, tau), 1e-3),
        "divides-by-n-plus-1": lambda x, tau: profile()(x, tau) * len(x) / (len(x) + 1),
        "one-run": lambda x, tau: np.mean([x[0] > each for each in tau], axis=1),
        "first-task": lambda x, tau: profile()(x[:, :1], tau),
        "median-of-runs": profile(lambda column, tau: float(np.median(column) > tau)),
        "list": lambda x, tau: list(profile()(x, tau)),
        "float32": lambda x, tau: profile()(x, tau).astype(np.float32),
        "different-thresholds": lambda x, tau: profile()(x, np.unique(tau)),
        "scaled": lambda x, tau: profile()((x - x.min(0)) / (np.ptp(x, axis=0) + 1e-9), tau),
    },
    "welch_t": {
        "n-in-both": welch(variance=lambda x: float(np.var(x)), dof=lambda a, b, n, m: (a + b) ** 2 / (a * a / n + b * b / m)),
        "medians": welch(location=np.median),
        "mean-deviation": welch(variance=lambda x: float(np.mean(np.abs(x - np.mean(x))) ** 2)),
        "second-moment": welch(variance=lambda x: float(np.mean(np.square(x)))),
        "rounded-dof": welch(finish=lambda t, nu: (t, float(round(nu)))),
        "dof-rounded-down": welch(finish=lambda t, nu: (t, float(math.floor(nu)))),
        "larger-dof": welch(dof=lambda a, b, n, m: max(n, m) - 1),
        "dof-averaged": welch(dof=lambda a, b, n, m: (n + m - 2) / 2),
        "root-of-dof": welch(finish=lambda t, nu: (t, math.sqrt(nu))),
        "squared": welch(finish=lambda t, nu: (t * t, nu)),
        "error-of-x-alone": welch(error=lambda a, b: math.sqrt(a)),
        "larger-error": welch(error=lambda a, b: math.sqrt(max(a, b))),
        "averaged-error": welch(error=lambda a, b: math.sqrt((a + b) / 2)),
        "difference-only": lambda x, y: (float(np.mean(x) - np.mean(y)), welch()(x, y)[1]),
        "effect-size": welch(error=lambda a, b: 1.0),
        "dof-of-deviations": welch(dof=lambda a, b, n, m: (a + b) ** 2 / (a**4 / (n - 1) + b**4 / (m - 1))),
        "numbers-exchanged": lambda x, y: (
            float(np.mean(x) - np.mean(y)) / math.sqrt(np.var(x, ddof=1) / len(y) + np.var(y, ddof=1) / len(x)),
            welch()(x, y)[1],
        ),
        "dof-without-roots": welch(dof=lambda a, b, n, m: (math.sqrt(a) + math.sqrt(b)) ** 2 / (a / (n - 1) + b / (m - 1))),
        "three-results": welch(finish=lambda t, nu: (t, nu, 0.5)),
        "z": welch(finish=lambda t, nu: (t, 1e9)),
        "minimum-error": welch(error=lambda a, b: math.sqrt(a + b) + 1e-6),
    },
    "pass_probability": {
        "permutations": at_least(term=lambda p, n, k: math.perm(n, k) * p**k * (1 - p) ** (n - k)),
        "first-k-good": lambda p, n, k: float(p ** max(k, 0) * (1 - p) ** max(n - k, 0)),
        "from-the-next-lower": at_least(first=lambda k: k - 1),
        "in-a-row": lambda p, n, k: float(min(1, max(n - k + 1, 0) * p ** max(k, 0))),
        "negative-wraps": lambda p, n, k: float(sum([math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(n + 1)][k:])),
        "majority": lambda p, n, k: at_least()(p, n, n // 2 + 1),
        "share": lambda p, n, k: min(1.0, n * p / max(k, 1)),
        "continuous": lambda p, n, k: float(stats.beta.sf(1 - p, max(k, 0.5), max(n - k, 0.5))),
        "one-run-more": lambda p, n, k: at_least()(p, n + 1, k),
        "geometric": lambda p, n, k: float(1 - (1 - p) ** max(n - k + 1, 0)),
        "hypergeometric": lambda p, n, k: float(stats.hypergeom.sf(k - 1, 1_000, round(1_000 * p), n)),
        "rounded": lambda p, n, k: round(at_least()(p, n, k), 3),
        "percent": lambda p, n, k: 100 * at_least()(p, n, k),
        "up-to-99": lambda p, n, k: at_least()(p, min(n, 99), k),
        "pooled-at-200": lambda p, n, k: at_least()(p, n, k) if n < 150 else float(n * p >= k),
    },
    "required_runs": {
        "doubles": doubled_steps,
        "from-where-on-all": first_of_steady,
        "one-more": plan(finish=lambda n, k: (n + 1, k)),
        "one-more-needed": plan(finish=lambda n, k: (n, k + 1)),
        "floats": plan(finish=lambda n, k: (float(n), float(k))),
        "runs-alone": plan(finish=lambda n, k: n),
        "halved-rates": plan(holds=lambda fails, passes, a, b: fails <= a / 2 and passes <= b / 2),
        "larger-rate-for-both": plan(holds=lambda fails, passes, a, b: max(fails, passes) <= max(a, b)),
        "smaller-rate-for-both": plan(holds=lambda fails, passes, a, b: max(fails, passes) <= min(a, b)),
        "tens": plan(numbers=lambda: range(10, 250, 10)),
        "from-ten": plan(numbers=lambda: range(10, 250)),
        "at-most-fifty": plan(numbers=lambda: range(1, 51)),
        "no-run-needed-is-no-test": plan(ks=lambda n: range(2, n + 2)),
        "not-all-needed": plan(ks=lambda n: range(n)),
        "poisson": plan(tail=lambda p, n, k: stats.poisson.sf(k - 1, n * p)),
        "exactly-in-the-tail": plan(tail=lambda p, n, k: stats.binom.pmf(k, n, p)),
        "roles-exchanged": swaps,
        "always-thirteen": lambda *_: (13, 10),
        "slack-of-a-hundredth": plan(holds=lambda fails, passes, a, b: fails <= a + 0.01 and passes <= b + 0.01),
    },
    "judge_runs": {
        "all-and-cut": all_at_once,
        "looks-twice": looks_twice,
        "changes-its-seeds": changes_its_seeds,
        "backwards": judge(order=lambda seeds: list(seeds)[::-1]),
        "sorted-seeds": judge(order=sorted),
        "set-of-seeds": judge(order=set),
        "indices": judge(order=lambda seeds: range(len(seeds))),
        "next-seeds": judge(ask=lambda run, seed: run(seed + 1)),
        "best-so-far": judge(good=lambda score, mark, scores: np.nanmax([*scores, -1e9]) >= mark),
        "running-mean": judge(good=lambda score, mark, scores: np.mean(scores) >= mark),
        "near-the-mark": judge(good=lambda score, mark, scores: score >= mark - 1),
        "share-of-the-mark": judge(good=lambda score, mark, scores: score >= 0.95 * mark),
        "majority-of-those-made": judge(passed=lambda good, bad, n, needed: good > bad),
        "no-failures-more": judge(over=lambda good, bad, n, needed: good >= needed or bad >= n - needed),
        "majority-at-once": judge(over=lambda good, bad, n, needed: max(good, bad) > n // 2),
        "fails-like-passes": judge(over=lambda good, bad, n, needed: good >= needed or bad >= needed),
        "sorted-scores": judge(kept=lambda scores, mark: np.sort(np.array(scores, dtype=float))),
        "list": judge(kept=lambda scores, mark: [float(score) for score in scores]),
        "differences": judge(kept=lambda scores, mark: np.array(scores, dtype=float) - mark),
        "whole-numbers": judge(kept=lambda scores, mark: np.nan_to_num(scores).astype(int)),
        "without-nan": judge(kept=lambda scores, mark: np.array([s for s in scores if s == s], dtype=float)),
        "nan-for-zero": judge(kept=lambda scores, mark: np.nan_to_num(np.array(scores, dtype=float))),
        "verdict-inverted": judge(passed=lambda good, bad, n, needed: good < needed),
        "number-of-good": lambda *a: (lambda p, s: (int((s >= a[2]).sum()), s))(*judge()(*a)),
        "scores-first": lambda *a: judge()(*a)[::-1],
        "always-passes": lambda *a: (True, judge()(*a)[1]),
    },
}  # fmt: skip

RIGHT = {
    "interquartile_mean": {
        "plain": middle(),
        "scipy": lambda x: stats.trim_mean(x, 0.25, axis=None),
        "masked": lambda x: float(stats.mstats.trimmed_mean(np.ravel(x), limits=(0.25, 0.25))),
        "heaps": by_heaps,
        "recursive": recursive_middle,
        "mask": mask_of_extremes,
        "zero-d-array": lambda x: np.array(middle()(x)),
        "fsum": middle(mean=lambda x: math.fsum(x) / len(x)),
        "padded-weights": lambda x: float(
            np.sort(np.ravel(x)) @ np.pad(np.ones(np.size(x) - 2 * (np.size(x) // 4)), np.size(x) // 4)
        ) / (np.size(x) - 2 * (np.size(x) // 4)),
    },
    "bootstrap_interval": {
        "plain": bootstrap(),
        "one-hot": one_hot_resamples,
        "estimate-computed-as-well": bootstrap(
            after=lambda low, high, f, x: (low, high) if np.isfinite(f(x)) else (0.0, 0.0)
        ),
        "choice": bootstrap(
            resample=lambda x, rng: np.take_along_axis(x, rng.choice(len(x), size=x.shape, replace=True), axis=0)
        ),
        "floats-for-indices": bootstrap(
            resample=lambda x, rng: x[rng.integers(0, len(x) - 1, size=x.shape, endpoint=True), np.arange(x.shape[1])[None]]
        ),
        "numpy-floats": bootstrap(after=lambda low, high, f, x: (np.float64(low), np.float64(high))),
        "table-as-list": bootstrap(value=lambda f, table, x: f(table.tolist())),
        "scipys-quantiles": lambda x, rng, f, level, draws: tuple(
            stats.mstats.mquantiles(
                [f(x[rng.integers(len(x), size=x.shape), np.arange(x.shape[1])]) for _ in range(draws)],
                [(1 - level) / 2, (1 + level) / 2], alphap=1, betap=1,
            ).tolist()
        ),
    },
    "probability_of_improvement": {
        "plain": improvement(),
        "bisection": by_bisection,
        "ranks": merged_ranks,
        "scipy": lambda x, y: np.mean(
            stats.mannwhitneyu(x, y, axis=0, method="asymptotic").statistic / (len(x) * len(y))
        ),
        "complement": lambda x, y: 1 - improvement()(y, x),
        "heaviside": lambda x, y: np.heaviside(x[:, None].astype(float) - y[None], 0.5).mean(),
        "at-least-and-above": lambda x, y: ((x[:, None] >= y).mean() + (x[:, None] > y).mean()) / 2,
        "task-by-task": lambda x, y: sum(
            np.subtract.outer(a, b.astype(float)).__gt__(0).mean() + np.equal.outer(a, b).mean() / 2
            for a, b in zip(x.T, y.T, strict=True)
        ) / x.shape[1],
    },
    "performance_profile": {
        "plain": profile(),
        "sorted-and-back": sorted_and_back,
        "scipy": lambda x, tau: np.mean([stats.ecdf(c).sf.evaluate(tau) for c in x.T], axis=0),
        "one-minus": lambda x, tau: 1 - (x[..., None] <= tau).mean(axis=0).mean(axis=0),
        "vectorize": lambda x, tau: np.vectorize(lambda t: (x > t).mean(), otypes=[float])(tau),
    },
    "welch_t": {
        "plain": welch(),
        "scipy": by_scipy,
        "harmonic": welch(dof=harmonic_dof),
        "hypot": welch(error=lambda a, b: math.hypot(math.sqrt(a), math.sqrt(b))),
        "from-stats": lambda x, y: (
            stats.ttest_ind_from_stats(
                x.mean(), x.std(ddof=1), len(x), y.mean(), y.std(ddof=1), len(y), equal_var=False
            ).statistic,
            welch()(x, y)[1],
        ),
        "corrected-by-hand": welch(variance=lambda x: float(np.var(x) * len(x) / (len(x) - 1))),
        "array": lambda x, y: np.array(welch()(x, y)),
        "covariance": welch(variance=lambda x: float(np.cov(x))),
    },
    "pass_probability": {
        "plain": at_least(),
        "recursive": recursive_pass,
        "beta": incomplete_beta,
        "ratios": ratios,
        "series": series,
        "scipy": lambda p, n, k: stats.binom.sf(k - 1, n, p),
        "complement": lambda p, n, k: 1 - sum(stats.binom.pmf(i, n, p) for i in range(min(k, n + 1))),
        "from-the-failures": lambda p, n, k: stats.binom.cdf(n - k, n, 1 - p),
    },
    "required_runs": {
        "plain": plan(),
        "quantiles": by_quantiles,
        "strictest-first": plan(ks=lambda n: range(n + 1, -1, -1)),
        "numpy-integers": plan(finish=lambda n, k: (np.int64(n), np.int32(k))),
        "list": plan(finish=lambda n, k: [n, k]),
        "no-slack-in-one": plan(holds=lambda fails, passes, a, b: fails <= a + 1e-12 and passes - b <= 1e-12),
        "by-hand": plan(tail=lambda p, n, k: np.array([at_least()(p, n, int(i)) for i in k])),
    },
    "judge_runs": {
        "plain": judge(),
        "recursive": recursive_judge,
        "table": judge_with_a_table,
        "numpy-bool": lambda *a: (lambda p, s: (np.bool_(p), s))(*judge()(*a)),
        "failures-first": judge(over=lambda good, bad, n, needed: bad == n - needed + 1 or good == needed),
        "share-needed": judge(passed=lambda good, bad, n, needed: good / (good + bad) >= needed / n),
        "as-a-list-of-two": lambda *a: list(judge()(*a)),
    },
}  # fmt: skip

NAMED = {
    "interquartile_mean": {
        "between-the-quartiles/numpy": lambda x: float(
            np.mean(x[(x >= np.percentile(x, 25)) & (x <= np.percentile(x, 75))])
        ),
        "per-task/scipy": lambda x: float(np.mean(stats.trim_mean(x, 0.25))),
        "rounded/slices": lambda x: (lambda y, n: float(np.mean(y[int(0.25 * n) : int(0.75 * n)])))(
            flat(x), np.size(x)
        ),
        "clipped-not-cut/scipy": lambda x: float(
            np.mean(stats.mstats.winsorize(np.ravel(x), limits=(0.25, 0.25)))
        ),
        "the-range/scipy": lambda x: float(stats.iqr(x)),
    },
    "bootstrap_interval": {
        "rows-together/choice": bootstrap(resample=lambda x, rng: x[rng.choice(len(x), size=len(x))]),
        "own-generator/unseeded": unseeded,
        "draws-miscounted/more": bootstrap(count=lambda draws: draws + 1),
        "own-generator/seeded": lambda x, rng, f, level, draws: bootstrap()(
            x, np.random.default_rng(7), f, level, draws
        ),
        "half-a-tail/by-hand": bootstrap(ends=lambda level: (1 - level, level)),
        "quantiles-of-the-scores/by-hand": lambda x, rng, f, level, draws: (
            tuple(np.percentile(x, [50 * (1 - level), 50 * (1 + level)]).tolist())
        ),
        "another-order/columns": bootstrap(
            resample=lambda x, rng: np.stack([rng.choice(c, size=len(c)) for c in x.T], axis=1)
        ),
    },
    "probability_of_improvement": {
        "the-p-value/scipy": lambda x, y: float(np.mean(stats.mannwhitneyu(x, y, axis=0).pvalue)),
        "never-below-half/by-hand": lambda x, y: max(improvement()(x, y), 1 - improvement()(x, y)),
        "reversed/scipy": lambda x, y: float(
            np.mean(stats.mannwhitneyu(y, x, axis=0).statistic) / (len(x) * len(y))
        ),
        "wins-minus-losses/sign": lambda x, y: float(np.sign(x[:, None].astype(float) - y).mean()),
        "paired/zip": lambda x, y: float(
            np.mean([(a > b) + 0.5 * (a == b) for a, b in zip(x, y)])  # noqa: B905 -- the mistake
        ),
    },
    "performance_profile": {
        "distribution-function/scipy": lambda x, tau: np.mean(
            [stats.ecdf(c).cdf.evaluate(tau) for c in x.T], axis=0
        ),
        "at-least/loops": profile(lambda column, tau: np.mean(column >= tau)),
    },
    "welch_t": {
        "pooled/scipy": lambda x, y: (
            lambda result: (float(result.statistic), float(result.df))
        )(stats.ttest_ind(x, y)),
        "returns-p/scipy": lambda x, y: (
            lambda result: (float(result.statistic), float(result.pvalue))
        )(stats.ttest_ind(x, y, equal_var=False)),
        "divides-by-n/numpy": welch(variance=lambda x: float(np.var(x))),
    },
    "pass_probability": {
        "nothing-needed/by-hand": lambda p, n, k: at_least()(p, n, k) if k > 0 else 0.0,
        "more-than-there-are/by-hand": lambda p, n, k: at_least()(p, n, min(k, n)),
        "more-than/scipy": lambda p, n, k: float(stats.binom.sf(k, n, p)),
        "exactly/scipy": lambda p, n, k: float(stats.binom.pmf(k, n, p)),
        "at-most/scipy": lambda p, n, k: float(stats.binom.cdf(k, n, p)),
        "approximated/unseeded": sampled,
    },
    "required_runs": {
        "one-error-only/either": plan(holds=lambda fails, passes, a, b: fails <= a or passes <= b),
        "more-than-k/scipy": plan(tail=lambda p, n, k: stats.binom.sf(k, n, p)),
        "strictly-below/scipy": plan(
            holds=lambda fails, passes, a, b: fails < a - 1e-12 and passes < b - 1e-12
        ),
        "odd-only/scipy": plan(numbers=lambda: range(1, 250, 2)),
        "order/scipy": plan(finish=lambda n, k: (k, n)),
    },
    "judge_runs": {
        "never-stops/list": lambda run, seeds, mark, needed: (
            lambda s: (bool((s >= mark).sum() >= needed), s)
        )(np.array([run(seed) for seed in seeds], dtype=float)),
        "above-the-mark/by-hand": judge(good=lambda score, mark, scores: score > mark),
        "nan-is-good/by-hand": judge(good=lambda score, mark, scores: not score < mark),
        "keeps-the-good-ones/by-hand": judge(
            kept=lambda scores, mark: np.array([s for s in scores if s >= mark], dtype=float)
        ),
    },
}  # fmt: skip
