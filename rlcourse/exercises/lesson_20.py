"""Lesson 20: the capstone: what a few runs of an agent say, and a test with known error rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist, mean, variance

import numpy as np

from rlcourse.checker.comparing import same
from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    array,
    boolean,
    composable,
    integer,
    number,
    row_of,
    several,
)
from rlcourse.checker.harness import Case, Outcome
from rlcourse.checker.probes import Rng, Runs, Statistic
from rlcourse.checker.recognising import known_run
from rlcourse.lab import statistics
from rlcourse.policies.own_agent import train_agent

from . import own_agent

# ---------------------------------------------------------------------------- interquartile_mean


def _pools(rng: np.random.Generator) -> list[Case]:
    def case(name: str, scores: np.ndarray, *tags: str) -> Case:
        return Case(name, {"scores": scores}, tags)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape) * 20 + rng.uniform(-200, 200)

    def skewed(*shape: int) -> np.ndarray:
        return -(rng.gamma(0.7, size=shape)) * 50

    failed = normal(10, 6)
    failed[rng.integers(10)] -= 1_000
    whole, table = "whole-number scores", "several tasks"
    return [
        case("ten runs of one task", skewed(10)),
        case("five runs", skewed(5), "n = 5"),
        case("eight runs", skewed(8)),
        case("five runs of three tasks", normal(5, 3), table),
        case("as many runs as tasks", skewed(4, 4), table),
        case("ten runs of six tasks, of which one run failed", failed, table),
        case("eleven runs of two tasks", skewed(11, 2), table),
        case("one run of seven tasks", skewed(1, 7), table),
        case("three axes", skewed(2, 3, 5), table),
        case("seven runs", skewed(7)),
        case("six runs", normal(6)),
        case("four runs", skewed(4)),
        case("three runs", skewed(3), "n ≤ 3"),
        case("two runs", skewed(2), "n ≤ 3"),
        case("one run", normal(1), "n ≤ 3"),
        case("whole numbers, seven runs of two tasks", rng.integers(-50, 500, (7, 2)), whole, table),
        case("whole numbers, nine runs, many alike", rng.integers(0, 3, size=9), whole, "ties"),
        case("a hundred runs, the best one first", np.sort(skewed(100))[::-1].copy()),
        case("scores of both signs around 0", rng.normal(size=(6, 3)), table),
    ]  # fmt: skip


CUTS: dict[str, Callable[[int], tuple[int, int]]] = {
    "floor": lambda n: (n // 4, n // 4),
    "a quarter in all": lambda n: (n // 8, n // 8),
    "a third": lambda n: (n // 3, n // 3),
    "ceil": lambda n: (-(-n // 4), -(-n // 4)),
    "nearest": lambda n: (int(n / 4 + 0.5), int(n / 4 + 0.5)),
    "to even": lambda n: (round(n / 4), round(n / 4)),
    "from n//4 to 3n//4": lambda n: (n // 4, n - 3 * n // 4),
    "from ⌈n/4⌉ to ⌈3n/4⌉": lambda n: (-(-n // 4), n // 4),
    "worst quarter": lambda n: (n // 4, 0),
    "best quarter": lambda n: (0, n // 4),
    "worst half": lambda n: (n // 2, 0),
    "best half": lambda n: (0, n // 2),
}


@composable
def _iqm(
    cut: str = "floor",
    pool: str = "all",
    order: str = "sorted",
    dropped: str = "cut",
    divide: str = "kept",
    in_place: bool = False,
) -> Callable:
    """The interquartile mean with its parts exchangeable, so that each mistake differs in one.

    cut: how many go at either end; pool: what is put into one row; dropped: what becomes of those.
    """

    def interquartile_mean(scores):
        if pool == "each task" and scores.ndim > 1:
            return float(np.apply_along_axis(middle, 0, scores).mean())
        if pool == "each task, not averaged" and scores.ndim > 1:
            return np.apply_along_axis(middle, 0, scores)
        if pool == "each run" and scores.ndim > 1:
            return float(np.apply_along_axis(middle, -1, scores).mean())
        if pool == "means of runs":
            scores = np.mean(scores, axis=1)
        if pool == "means of runs, if there are tasks" and scores.ndim > 1:
            scores = scores.mean(axis=-1)
        if pool == "means of tasks" and scores.ndim > 1:
            scores = scores.mean(axis=0)
        return middle(scores)

    def middle(scores):
        if in_place:
            x = scores.reshape(-1)
            x.sort()
        else:
            x = {
                "sorted": lambda: np.sort(scores, axis=None),
                "as they come": lambda: np.ravel(scores),
                "within rows": lambda: np.sort(scores).ravel(),
                "by column": lambda: np.sort(scores, axis=0).ravel(),
            }[order]()
        n = len(x)
        low, high = CUTS[cut](n)
        kept = x[low : n - high]
        if dropped == "clipped":
            kept = np.clip(x, x[low], x[n - high - 1])
        with np.errstate(all="ignore"):
            count = {"kept": len(kept), "all": n, "half": n / 2, "one end": n - low}[divide]
            return float(kept.sum() / np.float64(count))

    return interquartile_mean


def _between(scores, strictly: bool = False, clipped: bool = False, method: str = "linear"):
    """The mean of what lies between the quartiles, or of what is moved there."""
    low, high = np.quantile(scores, [0.25, 0.75], method=method)
    if clipped:
        return float(np.clip(scores, low, high).mean())
    inside = (scores > low) & (scores < high) if strictly else (scores >= low) & (scores <= high)
    with np.errstate(all="ignore"):
        return float(np.float64(scores[inside].sum()) / inside.sum())


def _fractions_of_scores(scores):
    """Exactly half the weight: what stands on the border counts in part."""
    x = np.sort(scores, axis=None)
    n = len(x)
    places = np.arange(n)
    share = np.minimum(places + 1, 3 * n / 4) - np.maximum(places, n / 4)
    return float(np.maximum(share, 0) @ x / (n / 2))


def _by_pops(scores):
    left = sorted(np.asarray(scores, dtype=float).ravel().tolist())
    for _ in range(len(left) // 4):
        left.pop()
        left.pop(0)
    return sum(left) / len(left)


def _by_partition(scores):
    x = np.array(scores, dtype=float).flatten()
    n, cut = x.size, x.size // 4
    x = np.partition(x, [cut, n - cut - 1])
    return x[cut : n - cut].mean()


def _by_ranks(scores):
    x = np.asarray(scores).reshape(-1)
    ranks = np.argsort(np.argsort(x, kind="stable"))
    cut = len(x) // 4
    return np.average(x, weights=(ranks >= cut) & (ranks < len(x) - cut))


interquartile_mean = Exercise(
    "interquartile_mean",
    reference=statistics.interquartile_mean,
    cases=_pools,
    returns=number(),
    points=1,
    equation="(20.1)",
    mistakes=[
        Mistake(
            "mean",
            "You average all scores: one run that fails pulls a mean as far as it likes. Asked is the mean of the middle "
            "*half*.",
            "Which scores should not count at all?",
            lambda scores: float(np.mean(scores)),
        ),
        Mistake(
            "median",
            "You return the median: one score, or two. Asked is the mean of the middle *half*.",
            "How many of eight scores does (20.1) average?",
            lambda scores: float(np.median(scores)),
        ),
        Mistake(
            "between-the-quartiles",
            "You keep what lies between the two quantiles. Cut by count: with ten scores, two at each end, wherever the "
            "quantiles fall.",
            "How many scores do you keep of ten? And of ten of which nine are alike?",
            _between,
            lambda scores: _between(scores, strictly=True),
        ),
        Mistake(
            "per-task",
            "You trim within a task, or average over tasks or runs first. All runs of all tasks go into one row: a run that "
            "failed must be able to fall out.",
            "How many numbers are left to sort when you cut? It should be all of them.",
            _iqm(pool="each task"),
            _iqm(pool="each task, not averaged"),
            _iqm(pool="means of runs"),
            _iqm(pool="means of runs, if there are tasks"),
            _iqm(pool="means of tasks"),
            _iqm(pool="each run"),
        ),
        Mistake(
            "a-quarter-in-all",
            "You cut a quarter of the scores in all. A quarter goes *at each end*; half is left.",
            "How many of eight scores are left?",
            _iqm(cut="a quarter in all"),
        ),
        Mistake(
            "one-sided",
            "You cut at one end only. That moves the mean: what is taken from the best must be taken from the worst.",
            "What should come out for scores that are symmetric around 0?",
            _iqm(cut="worst quarter"),
            _iqm(cut="best quarter"),
            _iqm(cut="worst half"),
            _iqm(cut="best half"),
        ),
        Mistake(
            "rounded",
            "You round the number to cut up, or to the nearest, at one end or both. It is rounded down at each end: five "
            "scores lose one at each end.",
            "Which of five sorted scores do you keep? And which of six, which of seven?",
            _iqm(cut="ceil"),
            _iqm(cut="nearest"),
            _iqm(cut="to even"),
            _iqm(cut="from n//4 to 3n//4"),
            _iqm(cut="from ⌈n/4⌉ to ⌈3n/4⌉"),
        ),
        Mistake(
            "fractions-of-scores",
            "You count the scores at the border in part. (20.1) cuts whole scores: ⌊n/4⌋ of them at each end.",
            "Which weight does each of five sorted scores get from you?",
            _fractions_of_scores,
        ),
        Mistake(
            "clipped-not-cut",
            "You move the outer scores to the border. Outliers are dropped, not moved.",
            "How many numbers do you average?",
            _iqm(dropped="clipped"),
            lambda scores: _between(scores, clipped=True),
        ),
        Mistake(
            "divides-by-all",
            "You divide by something else than the number of scores that you have added up. Divide by what is left.",
            "What should come out if all scores are 1?",
            _iqm(divide="all"),
            _iqm(divide="half"),
            _iqm(divide="one end"),
        ),
        Mistake(
            "not-sorted",
            "You cut before all scores stand in order. Cut the smallest and the largest, not the first and the last.",
            "Print what you cut off. What does `np.sort` do with a table, if nobody says otherwise?",
            _iqm(order="as they come"),
            _iqm(order="within rows"),
            _iqm(order="by column"),
        ),
        Mistake(
            "the-range",
            "You return how *wide* the middle half is. Asked is its mean.",
            "What should come out if all scores are 7?",
            lambda scores: float(np.subtract(*np.quantile(scores, [0.75, 0.25]))),
        ),
        Mistake(
            "middle-of-the-quartiles",
            "You average the two quartiles: two places of the row. Asked is the mean of all that stands between.",
            "How many scores does (20.1) average of twelve?",
            lambda scores: float(np.quantile(scores, [0.25, 0.75]).mean()),
        ),
        Mistake(
            "changes-in-place",
            "Your function puts the caller's scores into order. They belong to runs and tasks, and are needed as they were.",
            "`x.sort()` works in place, and `ravel` and `reshape` hand out the same memory; `np.sort(x)` makes a new array.",
            _iqm(in_place=True),
        ),
    ],
    also_correct=[_iqm(), _by_pops, _by_partition, _by_ranks],
)

# ---------------------------------------------------------------------------- bootstrap_interval


def _experiments(rng: np.random.Generator) -> list[Case]:
    def case(name, scores, statistic, level, draws, *tags) -> Case:
        inputs = {"scores": scores, "rng": Rng(int(rng.integers(2**31)))}
        inputs |= {"statistic": Statistic(statistic), "level": level, "draws": draws}
        return Case(name, inputs, tags)

    def table(n: int, tasks: int) -> np.ndarray:
        return -rng.gamma(1.0, size=(n, tasks)) * 30 + rng.uniform(-100, 100, size=tasks)

    one, square = "one task", "as many runs as tasks"
    normal, far = rng.normal(size=(5, 3)), np.array([0.0, 100.0, 1_000.0])
    return [
        case("five runs of three tasks, mean", table(5, 3), "mean", 0.95, 40),
        case("ten runs of two tasks, middle half", table(10, 2), "middle", 0.95, 30),
        case("five runs of one task", table(5, 1), "mean", 0.9, 40, one),
        case("three runs of one task, middle half", table(3, 1), "middle", 0.95, 30, one),
        case("four runs of four tasks", table(4, 4), "mean", 0.8, 30, square),
        case("three runs of five tasks, the worst task", table(3, 5), "worst task", 0.95, 30),
        case("eight runs, mean of the first task", table(8, 3), "first task", 0.9, 40),
        case("six runs, median", table(6, 2), "median", 0.5, 30, "level ½"),
        case("seven runs, the smallest score", table(7, 2), "smallest", 0.99, 30),
        case("tasks far apart", normal + far, "median", 0.95, 30),
        case("whole-number scores", rng.integers(-9, 10, size=(6, 3)), "mean", 0.95, 30),
        case("twenty runs, twenty draws", table(20, 2), "mean", 0.7, 20),
        case("all runs alike", np.tile(rng.normal(size=3), (5, 1)), "mean", 0.95, 20, "no spread"),
    ]  # fmt: skip


def _drawn(how: str, scores: np.ndarray, g: np.random.Generator) -> np.ndarray:
    """One resample."""
    n, tasks = scores.shape
    columns = np.arange(tasks)
    return {
        "each task": lambda: scores[g.integers(n, size=(n, tasks)), columns],
        "rows": lambda: scores[g.integers(n, size=n)],
        "columns": lambda: scores[:, g.integers(tasks, size=tasks)],
        "within runs": lambda: np.take_along_axis(scores, g.integers(tasks, size=(n, tasks)), 1),
        "rows and columns": lambda: scores[g.integers(n, size=n)][:, g.integers(tasks, size=tasks)],
        "one urn": lambda: scores.ravel()[g.integers(n * tasks, size=(n, tasks))],
        "shuffled rows": lambda: g.permutation(scores),
        "shuffled": lambda: g.permuted(scores, axis=0),
        "rows left": lambda: scores[g.choice(n, size=n, replace=False)],
        "one fewer": lambda: scores[g.integers(n, size=(n - 1, tasks)), columns],
        "never the last": lambda: scores[g.integers(n - 1, size=(n, tasks)), columns],
        "one more": lambda: scores[g.integers(n, size=(n + 1, tasks)), columns],
        "task by task": lambda: scores[g.integers(n, size=(tasks, n)).T, columns],
        "run by run, by task": lambda: np.stack(
            [[scores[g.integers(n), t] for t in columns] for _ in range(n)]
        ),
        "shares of 1": lambda: scores[(g.random((n, tasks)) * n).astype(int), columns],
    }[how]()


@composable
def _bootstrap(
    draw: str = "each task",
    interval: str = "percentile",
    tails: str = "half",
    statistic: str = "given",
    of: str = "draws",
    source: str = "given",
    method: str = "linear",
    high_first: bool = False,
    centre: str = "scores",
    ddof: int = 0,
    z: float | None = None,
    more: int = 0,
) -> Callable:
    """A bootstrap interval with its parts exchangeable, so that each mistake differs in one.

    centre, ddof, z: of a normal interval alone; z None: as the level says. more: draws.
    """
    given = statistic

    def bootstrap_interval(scores, rng, statistic, level, draws):
        scores = np.asarray(scores, dtype=float)
        g = rng if source == "given" else np.random.default_rng(0)
        measure = {"mean": np.mean, "median": np.median}.get(given, statistic)
        measure = statistics.interquartile_mean if given == "middle" else measure
        if of == "draws":
            values = np.array([measure(_drawn(draw, scores, g)) for _ in range(draws + more)])
        else:
            values = scores.ravel() if of == "scores" else scores.mean(axis=1)
        low, high = {
            "half": ((1 - level) / 2, (1 + level) / 2),
            "whole": (1 - level, level),
            "percent": ((1 - level) / 200, (1 + level) / 200),
            "all": (0.0, 1.0),
            "quartiles": (0.25, 0.75),
            "95 %": (0.025, 0.975),
        }[tails]
        low, high = np.quantile(values, [low, high], method=method)
        if interval == "reflected":
            low, high = 2 * measure(scores) - high, 2 * measure(scores) - low
        elif interval != "percentile":
            middle = measure(scores) if centre == "scores" else values.mean()
            error = values.std(ddof=ddof)
            if interval == "formula":
                middle, error = scores.mean(), scores.std(ddof=ddof) / math.sqrt(scores.size)
            times = NormalDist().inv_cdf((1 + level) / 2) if z is None else z
            low, high = middle - times * error, middle + times * error
        return (float(high), float(low)) if high_first else (float(low), float(high))

    return bootstrap_interval


NORMAL = [
    _bootstrap(interval="normal", centre=centre, ddof=ddof, z=z)
    for z in (None, 1.96, 2.0)
    for centre in ("scores", "draws")
    for ddof in (0, 1)
]
FORMULA = [_bootstrap(interval="formula", ddof=ddof, z=z) for z in (None, 1.96) for ddof in (1, 0)]
OF_SCORES = [_bootstrap(of="scores"), _bootstrap(of="runs")]


def _each_tasks_draws_at_once(scores, rng, statistic, level, draws):
    n, tasks = scores.shape
    rows = np.stack([rng.integers(n, size=(draws, n)) for _ in range(tasks)], axis=-1)
    values = [statistic(scores[drawn, np.arange(tasks)]) for drawn in rows]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _leave_one_out(of_all: bool) -> Callable:
    """The jackknife's values, from the smallest to the largest, or between their quantiles."""

    def bootstrap_interval(scores, rng, statistic, level, draws):
        values = [statistic(np.delete(scores, i, axis=0)) for i in range(len(scores))]
        ends = (0.0, 1.0) if of_all else ((1 - level) / 2, (1 + level) / 2)
        low, high = np.quantile(values, ends)
        return float(low), float(high)

    return bootstrap_interval


LEFT_OUT = [_leave_one_out(of_all=False), _leave_one_out(of_all=True)]


def _draws_nothing(scores, rng, statistic, level, draws):
    return None


def _shows_own_generator(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    """Whether intervals are about as they should be, though `rng` was never asked."""
    off = []
    for case, outcome in zip(cases, outcomes, strict=False):
        untouched = known_run(_draws_nothing, case, None).notes["rng"]
        if outcome.failure or outcome.changed or outcome.notes.get("rng") != untouched:
            return False
        if not (isinstance(outcome.value, tuple) and [*map(type, outcome.value)] == [float] * 2):
            return False
        right = known_run(statistics.bootstrap_interval, case, None).value
        off.append(np.abs(np.subtract(outcome.value, right)).mean() / (np.ptp(right) + 1e-9))
    # Two bootstraps of some 30 draws differ by an eighth of their width.
    if np.mean(off) > 0.25:
        return False
    # What needs no generator is another mistake.
    return not any(
        all(
            same(o.value, known_run(f, c, None).value)
            for c, o in zip(cases, outcomes, strict=False)
        )
        for f in (*FORMULA, *OF_SCORES, *LEFT_OUT)
    )


def _in_one_call(scores, rng, statistic, level, draws):
    n, tasks = scores.shape
    rows = rng.integers(n, size=(draws, n, tasks))
    values = [statistic(np.take_along_axis(scores, drawn, axis=0)) for drawn in rows]
    return tuple(np.percentile(values, [50 - 50 * level, 50 + 50 * level]))


def _flat_indices(scores, rng, statistic, level, draws):
    n, tasks = scores.shape
    flat, values = scores.ravel(), []
    for _ in range(draws):
        rows = rng.choice(n, size=(n, tasks))
        values.append(statistic(flat[rows * tasks + np.arange(tasks)]))
    return np.quantile(values, ((1 - level) / 2, 1 - (1 - level) / 2))


def _interpolated_by_hand(scores, rng, statistic, level, draws):
    n, tasks = scores.shape
    values = []
    for _ in range(draws):
        rows = rng.integers(0, n, (n, tasks))
        table = [[scores[rows[i, t], t] for t in range(tasks)] for i in range(n)]
        values.append(statistic(np.array(table)))
    values.sort()

    def quantile(share):
        place = share * (len(values) - 1)
        below = min(int(place), len(values) - 2)
        return values[below] + (place - below) * (values[below + 1] - values[below])

    return quantile((1 - level) / 2), quantile((1 + level) / 2)


ONCE_MORE = "Write down one resample of three runs and two tasks. Which scores can stand in its first column?"
WHICH_ENDS = "Which share of the draws lies below your lower end, and which above the upper one?"

bootstrap_interval = Exercise(
    "bootstrap_interval",
    reference=statistics.bootstrap_interval,
    cases=_experiments,
    returns=row_of("low", "high"),
    points=3,
    equation="(20.2)",
    notes=["rng"],
    mistakes=[
        Mistake(
            "rows-together",
            "You draw whole rows, one index for all tasks. Runs of different tasks have nothing to do with each other: draw "
            "each column by itself.",
            ONCE_MORE,
            _bootstrap(draw="rows"),
        ),
        Mistake(
            "wrong-axis",
            "You draw tasks, not runs. What would be new if you did it again? The seeds.",
            "Which axis of `scores` are the runs? " + ONCE_MORE,
            _bootstrap(draw="columns"),
            _bootstrap(draw="within runs"),
            _bootstrap(draw="rows and columns"),
        ),
        Mistake(
            "one-urn",
            "You mix all scores in one urn. A score of one task cannot turn up in another.",
            ONCE_MORE,
            _bootstrap(draw="one urn"),
        ),
        Mistake(
            "without-replacement",
            "You draw without putting back: the same numbers again, in another order, and no spread.",
            "Can a run stand in a resample twice? It must be able to.",
            _bootstrap(draw="shuffled rows"),
            _bootstrap(draw="shuffled"),
            _bootstrap(draw="rows left"),
        ),
        Mistake(
            "one-run-fewer",
            "Your resamples hold another number of runs than there were, or one run is never drawn. Draw as many as there "
            "were, from all of them.",
            "Which is the largest index that your line can draw, and how many does it draw?",
            _bootstrap(draw="one fewer"),
            _bootstrap(draw="never the last"),
            _bootstrap(draw="one more"),
        ),
        Mistake(
            "another-order",
            "Your draws are as good as those asked for, but they come in another order, so nobody can compare. One resample "
            "after the other; within one, an index for every run and task, in the order of `scores`.",
            "Which `size` gives the indices of one resample in one call of `rng.integers`?",
            _bootstrap(draw="task by task"),
            _bootstrap(draw="shares of 1"),
            _each_tasks_draws_at_once,
        ),
        Mistake(
            "draws-miscounted",
            "You draw one resample more, or one fewer, than `draws`.",
            "How often does your loop go round if `draws` is 3?",
            _bootstrap(more=1),
            _bootstrap(more=-1),
        ),
        Mistake(
            "half-a-tail",
            "Your interval leaves out 1 − level at each end. At 95 % it is 5 % in all, 2.5 % at each end.",
            WHICH_ENDS,
            _bootstrap(tails="whole"),
        ),
        Mistake(
            "level-ignored",
            "You take the same quantiles whatever `level` says.",
            WHICH_ENDS,
            _bootstrap(tails="95 %"),
            _bootstrap(tails="all"),
            _bootstrap(tails="quartiles"),
        ),
        Mistake(
            "percent",
            "Your quantiles are a hundred times too small: `np.percentile` counts to 100, `np.quantile` to 1.",
            WHICH_ENDS,
            _bootstrap(tails="percent"),
        ),
        Mistake(
            "normal-approximation",
            "You go so many standard errors to either side. (20.2) takes quantiles of the draws: skew is allowed.",
            "Is your interval as long to the left of the estimate as to the right? Should it be?",
            *NORMAL,
            *FORMULA,
        ),
        Mistake(
            "reflected",
            "You reflect the quantiles at the estimate. That is the *basic* interval; asked is the percentile one.",
            WHICH_ENDS,
            _bootstrap(interval="reflected"),
        ),
        Mistake(
            "mean-always",
            "You compute a statistic of your own choice. Call the statistic you were given.",
            "Which argument have you not used?",
            _bootstrap(statistic="mean"),
            _bootstrap(statistic="middle"),
            _bootstrap(statistic="median"),
        ),
        Mistake(
            "quantiles-of-the-scores",
            "You take quantiles of the scores, asked are those of the statistic: the spread of runs is not the uncertainty "
            "of their mean.",
            "What should happen to the interval when there are a hundred times as many runs?",
            *OF_SCORES,
        ),
        Mistake(
            "leave-one-out",
            "You leave out one run at a time: those tables are far more alike than experiments are. Draw as many runs as "
            "there were, with putting back.",
            ONCE_MORE + " Which of them can stand there twice?",
            *LEFT_OUT,
        ),
        Mistake(
            "not-interpolated",
            "You take one of the draws for a quantile. Between two draws it is interpolated linearly, as `np.quantile` does "
            "if nobody says otherwise.",
            "What is the quantile ½ of two draws?",
            *(
                _bootstrap(method=method)
                for method in ("lower", "higher", "nearest", "inverted_cdf", "midpoint")
            ),
        ),
        Mistake(
            "high-first",
            "The two ends have changed places: (low, high).",
            "Which of the two numbers should be the smaller one?",
            _bootstrap(high_first=True),
        ),
        Mistake(
            "own-generator",
            "You draw from a generator of your own, not from `rng`: nobody can repeat what you found, and two agents judged "
            "with the same seed are no longer judged by the same draws.",
            "Which argument have you not used?",
            _bootstrap(source="own"),
            shows=_shows_own_generator,
        ),
    ],
    also_correct=[
        _bootstrap(),
        _in_one_call,
        _flat_indices,
        _interpolated_by_hand,
        _bootstrap(draw="run by run, by task"),
    ],
)

# ------------------------------------------------------------------- probability_of_improvement


def _two_agents(rng: np.random.Generator) -> list[Case]:
    def case(name: str, x: np.ndarray, y: np.ndarray, *tags: str) -> Case:
        return Case(name, {"x": x, "y": y}, tags)

    def normal(n: int, tasks: int, ahead: float = 0.0) -> np.ndarray:
        return rng.normal(size=(n, tasks)) * 10 + ahead

    def few_values(n: int, tasks: int) -> np.ndarray:
        return rng.integers(0, 4, size=(n, tasks))

    far, lead = np.array([[0.0, 500.0, -500.0], [30.0, -8.0, -8.0]])
    same_ones = few_values(4, 2)
    ties, unequal = "ties", "n ≠ m"
    return [
        case("five runs against five, three tasks", normal(5, 3, 4), normal(5, 3)),
        case("five runs against eight, two tasks", normal(5, 2, 6), normal(8, 2), unequal),
        case("seven runs against four, one task", normal(7, 1), normal(4, 1, 3), unequal, "one task"),
        case("few values, five against five", few_values(5, 3), few_values(5, 3), ties),
        case("few values, six against three", few_values(6, 2), few_values(3, 2), ties, unequal),
        case("few values, three against seven", few_values(3, 4), few_values(7, 4), ties, unequal),
        case("twice the same table", same_ones, same_ones.copy(), ties, "x = y"),
        case("all scores alike", np.full((4, 2), 3.0), np.full((3, 2), 3.0), ties, unequal),
        case("tasks far apart", normal(4, 3, 3) + far, normal(6, 3) + far, unequal),
        case("ahead in one task, behind in two", normal(5, 3) + lead, normal(5, 3)),
        case("one very good run", np.append(normal(5, 1), [[500.0]], 0), normal(6, 1, 5), "one task"),
        case("x wins every time", normal(4, 2, 100), normal(3, 2), unequal, "always"),
        case("x loses every time", normal(3, 2, -100), normal(4, 2), unequal, "always"),
        case("one run against six", normal(1, 3, 2), normal(6, 3), unequal),
        case("six runs against one", normal(6, 3), normal(1, 3, 2), unequal),
        case("as many runs as tasks", few_values(4, 4), few_values(4, 4), ties),
    ]  # fmt: skip


@composable
def _improvement(
    tie: float = 0.5,
    pairs: str = "all",
    tasks: str = "averaged",
    reversed_: bool = False,
    signed: bool = False,
) -> Callable:
    """P(X > Y) with its parts exchangeable, so that each mistake differs in one.

    tie: what a tie counts; pairs: who meets whom; tasks: what is done with them.
    """

    def probability_of_improvement(x, y):
        x, y = (y, x) if reversed_ else (x, y)
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if tasks == "in one urn":
            x, y = x.reshape(-1, 1), y.reshape(-1, 1)
        if tasks == "averaged first":
            x, y = (scores.mean(axis=1, keepdims=True) for scores in (x, y))
        if pairs == "means":
            x, y = (scores.mean(axis=0, keepdims=True) for scores in (x, y))
        if pairs == "medians":
            x, y = (np.median(scores, axis=0, keepdims=True) for scores in (x, y))
        if pairs == "best":
            x, y = (scores.max(axis=0, keepdims=True) for scores in (x, y))
        if pairs == "mean of y":
            y = y.mean(axis=0, keepdims=True)
        if pairs == "shortest":
            n = min(len(x), len(y))
            a, b = x[:n], y[:n]
        elif pairs == "run by run":
            a, b = x, y
        else:
            a, b = x[:, None], y[None]
        won = (a > b) + tie * (a == b)
        won = won - (1 - tie) * (a == b) - (a < b) if signed else won
        p = won.mean(axis=tuple(range(won.ndim - 1)))
        p = {"sum": p.sum, "best": p.max, "worst": p.min, "product": p.prod}.get(tasks, p.mean)()
        return float(p)

    return probability_of_improvement


@lru_cache
def _ways(n: int, m: int) -> tuple[int, ...]:
    """How many orders of n x and m y have U = 0, 1, …, nm."""
    if n == 0 or m == 0:
        return (1,)
    counts = np.zeros(n * m + 1, dtype=object)
    counts[m:] += _ways(n - 1, m)  # the largest is an x, above all y
    counts[: n * (m - 1) + 1] += _ways(n, m - 1)
    return tuple(counts)


def _mann_whitney(x, y, exact: bool, two_sided: bool = True) -> float:
    """Mann and Whitney's p-value of one task, by counting or by the normal distribution."""
    n, m = len(x), len(y)
    u = float(((x[:, None] > y) + 0.5 * (x[:, None] == y)).sum())
    top = max(u, n * m - u) if two_sided else u
    if exact:
        ways = _ways(n, m)
        p = sum(ways[math.ceil(top) :]) / sum(ways)
    else:
        _, alike = np.unique(np.concatenate([x, y]), return_counts=True)
        total = n + m
        shared = float((alike**3 - alike).sum()) / (total * (total - 1))
        error = math.sqrt(n * m / 12 * (total + 1 - shared))
        with np.errstate(all="ignore"):
            z = float(np.float64(top - n * m / 2 - 0.5) / error)
        p = 0.5 * math.erfc(z / math.sqrt(2)) if z == z else 1.0
    return min(1.0, (1 + two_sided) * p)


def _p_values(x, y, exact: bool | None = None) -> float:
    """The mean p-value of the tasks; exact None: as SciPy chooses."""
    ps = []
    for a, b in zip(np.transpose(x), np.transpose(y), strict=True):
        ties = len(np.unique(np.concatenate([a, b]))) < len(a) + len(b)
        counted = exact is not False and not ties and min(len(a), len(b)) <= 8
        ps.append(_mann_whitney(a.astype(float), b.astype(float), counted))
    return float(np.mean(ps))


def _by_sorting(x, y):
    shares = []
    for t in range(x.shape[1]):
        row = np.sort(y[:, t])
        below = np.searchsorted(row, x[:, t], side="left")
        not_above = np.searchsorted(row, x[:, t], side="right")
        shares.append((below + not_above).mean() / (2 * len(row)))
    return float(np.mean(shares))


def _by_rank_sums(x, y):
    n, m = len(x), len(y)
    u = 0.0
    for t in range(x.shape[1]):
        both = np.concatenate([x[:, t], y[:, t]])
        ranks = [(both < score).sum() + ((both == score).sum() + 1) / 2 for score in x[:, t]]
        u += sum(ranks) - n * (n + 1) / 2
    return u / (n * m * x.shape[1])


def _by_counting(x, y):
    points = 0
    for t in range(x.shape[1]):
        for mine in x[:, t]:
            for theirs in y[:, t]:
                points += 2 if mine > theirs else 1 if mine == theirs else 0
    return points / (2 * x.shape[0] * y.shape[0] * x.shape[1])


def _run_by_run(x, y):
    """As `x > y` does it: without a result where there is no partner."""
    return float(((x > y) + 0.5 * (x == y)).mean())


EVERY_PAIR = (
    "How many comparisons are there between three runs of x and two of y? And in your code?"
)

probability_of_improvement = Exercise(
    "probability_of_improvement",
    reference=statistics.probability_of_improvement,
    cases=_two_agents,
    returns=number(),
    points=2,
    equation="(20.3)",
    mistakes=[
        Mistake(
            "ties-are-losses",
            "A tie counts nothing in your sum. A tie is half a win for each.",
            "What should come out for twice the same table?",
            _improvement(tie=0.0),
        ),
        Mistake(
            "ties-are-wins",
            "A tie counts as a win in your sum. It is half a win for each: P(x, y) and P(y, x) add up to 1.",
            "What should come out for twice the same table?",
            _improvement(tie=1.0),
        ),
        Mistake(
            "paired",
            "You compare run i with run i. Seed 3 of x and seed 3 of y have nothing in common: all n·m pairs.",
            EVERY_PAIR,
            _improvement(pairs="shortest"),
            _run_by_run,
            _improvement(pairs="run by run", tie=0.0),
        ),
        Mistake(
            "compares-means",
            "You compare one number of x with one of y: a mean, a median, the best. Asked is how *often* a run of x beats a "
            "run of y, not whether x does on the whole.",
            EVERY_PAIR,
            _improvement(pairs="means"),
            _improvement(pairs="means", tie=0.0),
            _improvement(pairs="means", tasks="in one urn"),
            _improvement(pairs="medians"),
            _improvement(pairs="best"),
            _improvement(pairs="mean of y"),
        ),
        Mistake(
            "one-urn",
            "You compare scores of different tasks. Only scores of the same task can be compared.",
            "What is a score of 200 in CartPole against one of −200 in Pendulum?",
            _improvement(tasks="in one urn"),
        ),
        Mistake(
            "reversed",
            "You have the probability that y beats x. It is x over y.",
            "What should come out if every run of x is better than every run of y?",
            _improvement(reversed_=True),
        ),
        Mistake(
            "never-below-half",
            "Your number is never below ½: you take whichever agent is ahead. It is x over y, ahead or behind.",
            "What should come out if every run of x is worse than every run of y?",
            lambda x, y: (lambda p: max(p, 1 - p))(_improvement()(x, y)),
        ),
        Mistake(
            "wins-minus-losses",
            "You subtract the losses, so your number lies between −1 and 1. A probability is asked: add 1, halve.",
            "What should come out if every run of x is worse than every run of y?",
            _improvement(signed=True),
        ),
        Mistake(
            "the-p-value",
            "You return the p-value of the test. A small p says that it is not ½; it does not say how far.",
            "What should come out if every run of x is better than every run of y?",
            _p_values,
            lambda x, y: _p_values(x, y, exact=False),
        ),
        Mistake(
            "sum-over-tasks",
            "You add the tasks up. A probability is at most 1: average.",
            "What is the largest number that your code can return?",
            _improvement(tasks="sum"),
        ),
        Mistake(
            "averaged-first",
            "You average a run over the tasks before you compare. Every run counts by itself, in each task.",
            EVERY_PAIR,
            _improvement(tasks="averaged first"),
        ),
        Mistake(
            "one-task-for-all",
            "You take one task for all, the best or the worst, or multiply. (20.3) averages over tasks.",
            "What do you return if x wins always in one task and never in the other?",
            _improvement(tasks="best"),
            _improvement(tasks="worst"),
            _improvement(tasks="product"),
        ),
    ],
    also_correct=[
        _improvement(),
        _by_sorting,
        _by_rank_sums,
        _by_counting,
        lambda x, y: float(np.mean((1 + np.sign(x[:, None].astype(float) - y[None])) / 2)),
    ],
)

# -------------------------------------------------------------------------- performance_profile


def _curves(rng: np.random.Generator) -> list[Case]:
    def case(name: str, scores: np.ndarray, thresholds, *tags: str) -> Case:
        return Case(name, {"scores": scores, "thresholds": np.asarray(thresholds)}, tags)

    def normal(n: int, tasks: int) -> np.ndarray:
        return rng.normal(size=(n, tasks)) * 10 + rng.normal(size=tasks) * 3

    few = rng.integers(0, 5, size=(6, 3))
    hit, disorder = "τ hits a score", "τ in any order"
    scores = normal(5, 2)
    mixed = rng.permutation(np.linspace(-15, 15, 9))
    return [
        case("five runs of three tasks", normal(5, 3), np.linspace(-20, 20, 8)),
        case("ten runs of two tasks, τ in any order", normal(10, 2), mixed, disorder),
        case("thresholds fall", normal(7, 3), np.linspace(15, -15, 6), disorder),
        case("whole numbers", few, rng.permutation(5), hit, disorder),
        case("thresholds between whole numbers", few, np.arange(-0.5, 5)),
        case("each score is a threshold", scores, np.sort(scores.ravel()), hit),
        case("as many thresholds as runs", normal(4, 2), [-9.0, 0.0, 3.0, 8.0], "T = n"),
        case("as many thresholds as tasks", normal(6, 3), [-5.0, 0.0, 6.0], "T = tasks"),
        case("all three alike", normal(4, 4), [-8.0, -1.0, 2.0, 9.0], "T = n", "T = tasks"),
        case("one task", normal(8, 1), [-4.0, 1.0, 7.0], "one task"),
        case("one run", normal(1, 4), [-3.0, 0.0, 5.0], "one run"),
        case("one threshold", normal(5, 3), [1.0], "T = 1"),
        case("the same threshold twice", few, [2.0, 3.5, 2.0], hit, disorder),
        case("all above, all below", normal(5, 2), [-1e4, 1e4]),
        case("one run failed", np.vstack([np.full((1, 3), -500.0), normal(4, 3)]), mixed, disorder),
    ]  # fmt: skip


@composable
def _profile(
    compare: str = ">",
    counted: str = "each",
    scale: str = "share",
    order: str = "as given",
    axis: str = "averaged",
) -> Callable:
    """A performance profile with its parts exchangeable, so that each mistake differs in one."""

    def performance_profile(scores, thresholds):
        scores, tau = np.asarray(scores, dtype=float), np.asarray(thresholds, dtype=float)
        tau = {
            "as given": lambda: tau,
            "rising": lambda: np.sort(tau),
            "falling": lambda: np.sort(tau)[::-1],
        }[order]()
        if counted == "means of runs":
            scores = scores.mean(axis=1, keepdims=True)
        if counted == "means of tasks":
            scores = scores.mean(axis=0, keepdims=True)
        x = scores[:, :, None]
        above = {
            ">": lambda: x > tau,
            "≥": lambda: x >= tau,
            "<": lambda: x < tau,
            "≤": lambda: x <= tau,
            "=": lambda: x == tau,
        }[compare]()
        if counted in ("in all tasks", "in some task"):
            how = np.all if counted == "in all tasks" else np.any
            above = how(above, axis=1, keepdims=True)
        if axis == "a curve a task":
            return above.mean(axis=0).T
        if axis == "a row a task":
            return above.mean(axis=0)
        if axis == "a curve a run":
            return above.mean(axis=1).T
        share = above.mean(axis=(0, 1))
        share = share * above.shape[1] if axis == "summed" else share
        share = share * above.shape[0] if axis == "runs summed" else share
        if scale == "counts":
            return share * above.shape[0] * above.shape[1]
        if scale == "whole counts":
            return above.sum(axis=(0, 1))
        return share * 100 if scale == "percent" else share

    return performance_profile


def _mean_excess(scores, thresholds):
    """How far above, not how often."""
    return np.array([np.maximum(scores - tau, 0).mean() for tau in thresholds])


def _profile_by_search(scores, thresholds):
    n = len(scores)
    curves = [1 - np.searchsorted(np.sort(row), thresholds, "right") / n for row in scores.T]
    return np.mean(curves, axis=0)


def _profile_by_loops(scores, thresholds):
    n, tasks = scores.shape
    curve = []
    for tau in thresholds:
        by_task = [sum(1 for i in range(n) if scores[i, t] > tau) / n for t in range(tasks)]
        curve.append(sum(by_task) / tasks)
    return np.array(curve)


ONE_RUN_ABOVE = "Two runs, two tasks, τ = 0: which tables of scores give ¼?"

performance_profile = Exercise(
    "performance_profile",
    reference=statistics.performance_profile,
    cases=_curves,
    returns=array(),
    points=1,
    equation="(20.4)",
    mistakes=[
        Mistake(
            "at-least",
            "You count scores that are exactly τ. Above τ, not at it.",
            "What should the profile of scores that are all 0 be at τ = 0?",
            _profile(compare="≥"),
        ),
        Mistake(
            "distribution-function",
            "You count what lies below. That is the distribution function; the profile is one minus it: the curve falls.",
            "What should come out at a τ that every run is above?",
            _profile(compare="≤"),
            _profile(compare="<"),
        ),
        Mistake(
            "averaged-first",
            "You average before you compare. It is the profile of *runs*: averages hide the failed ones.",
            ONE_RUN_ABOVE,
            _profile(counted="means of tasks"),
            _profile(counted="means of runs"),
        ),
        Mistake(
            "all-tasks-at-once",
            "A run counts in your sum if it is above τ in every task, or in some. Each task counts by itself.",
            ONE_RUN_ABOVE,
            _profile(counted="in all tasks"),
            _profile(counted="in some task"),
        ),
        Mistake(
            "counts",
            "You return counts, or a sum over tasks. A share between 0 and 1 is asked.",
            "What should come out at a τ that every run is above?",
            _profile(scale="counts"),
            _profile(scale="whole counts"),
            _profile(axis="summed"),
            _profile(axis="runs summed"),
        ),
        Mistake(
            "percent",
            "You return percent. It is a share: between 0 and 1.",
            "What is the largest number that your code can return?",
            _profile(scale="percent"),
        ),
        Mistake(
            "sorted",
            "You put the thresholds into order. Entry k of the result belongs to τ_k, wherever it stands.",
            "What do you return for thresholds that fall?",
            _profile(order="rising"),
            _profile(order="falling"),
        ),
        Mistake(
            "one-curve-a-task",
            "You return a curve for each task, or each run. One curve is asked: average over the tasks.",
            "Print the shape of your result; it should be that of `thresholds`.",
            _profile(axis="a curve a task"),
            _profile(axis="a row a task"),
            _profile(axis="a curve a run"),
        ),
        Mistake(
            "how-far-above",
            "You average how *far* scores lie above τ. Asked is how often they do.",
            "What is the contribution of one run that lies 100 above τ?",
            _mean_excess,
        ),
    ],
    also_correct=[_profile(), _profile_by_search, _profile_by_loops],
)

# --------------------------------------------------------------------------------------- welch_t


def _two_samples(rng: np.random.Generator) -> list[Case]:
    def case(name: str, x: np.ndarray, y: np.ndarray, *tags: str) -> Case:
        return Case(name, {"x": x, "y": y}, tags)

    def normal(n: int, spread: float, mean: float = 0.0) -> np.ndarray:
        return rng.normal(size=n) * spread + mean + rng.normal()

    equal, unequal, least = "n = m", "n ≠ m", "two runs"
    ends = np.array([-1.0, 1.0])
    return [
        case("five runs against eight", normal(5, 3, 10), normal(8, 9), unequal),
        case("twenty runs against five of five times the spread", normal(20, 1), normal(5, 5, 3), unequal),
        case("four runs against nine, x behind", normal(4, 6, -20), normal(9, 2), unequal),
        case("five runs against five", normal(5, 4, -140), normal(5, 30, -150), equal),
        case("three runs against three", normal(3, 2, 5), normal(3, 7), equal),
        case("two runs against two", normal(2, 3, 4), normal(2, 1), equal, least),
        case("two runs against six", normal(2, 5), normal(6, 2, 3), unequal, least),
        case("seven runs against two", normal(7, 5), normal(2, 2, 3), unequal, least),
        case("x without spread", np.full(6, 4.0), normal(4, 2), unequal, "no spread in one"),
        case("y without spread", normal(5, 3), np.full(3, -1.0), unequal, "no spread in one"),
        case("whole numbers", rng.permutation([2, 5, 9, 14, 3]), rng.permutation([1, 1, 8, 3, 20, 7, 2])),
        case("equal means", ends * rng.uniform(1, 2), np.append(ends, 0.0) * rng.uniform(3, 5), "t = 0"),
        case("a failed run in each", np.append(normal(9, 4), -300), np.append(normal(6, 4), -290), unequal),
    ]  # fmt: skip


@composable
def _welch(
    spread: str = "each its own",
    ddof: int = 1,
    error: str = "of the means",
    dof: str = "Welch",
    sign: str = "x − y",
    gives: str = "t, dof",
) -> Callable:
    """Welch's test with its parts exchangeable, so that each mistake differs in one."""

    def welch_t(x, y):
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        n, m = len(x), len(y)
        v, w = x.var(ddof=ddof), y.var(ddof=ddof)
        if spread == "pooled":
            v = w = ((n - 1) * v + (m - 1) * w) / (n + m - 2)
        if spread == "averaged":
            v = w = (v + w) / 2
        if spread == "of both together":
            v = w = np.concatenate([x, y]).var(ddof=ddof)
        if spread == "n − 1 in the error":
            a, b = v / (n - 1), w / (m - 1)
        else:
            a, b = v / n, w / m
        se = {
            "of the means": lambda: math.sqrt(a + b),
            "spread": lambda: math.sqrt(v + w),
            "spread everywhere": lambda: math.sqrt(v + w),
            "by the root of n": lambda: math.sqrt(v / math.sqrt(n) + w / math.sqrt(m)),
            "by all runs": lambda: math.sqrt((v + w) / (n + m)),
            "deviations": lambda: math.sqrt(math.sqrt(v) / n + math.sqrt(w) / m),
            "deviations everywhere": lambda: math.sqrt(math.sqrt(v) / n + math.sqrt(w) / m),
            "added": lambda: math.sqrt(a) + math.sqrt(b),
            "no root": lambda: a + b,
        }[error]()
        if error == "spread everywhere":
            a, b = v, w
        if error == "deviations everywhere":
            a, b = math.sqrt(v) / n, math.sqrt(w) / m
        with np.errstate(all="ignore"):
            nu = {
                "Welch": lambda: (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1)),
                "n": lambda: (a + b) ** 2 / (a**2 / n + b**2 / m),
                "n + 1, less 2": lambda: (a + b) ** 2 / (a**2 / (n + 1) + b**2 / (m + 1)) - 2,
                "not squared": lambda: (a + b) ** 2 / (a / (n - 1) + b / (m - 1)),
                "nothing squared": lambda: (a + b) / (a / (n - 1) + b / (m - 1)),
                "n − 1 squared": lambda: (a + b) ** 2 / ((a / (n - 1)) ** 2 + (b / (m - 1)) ** 2),
                "of the sum": lambda: (a**2 + b**2) / (a**2 / (n - 1) + b**2 / (m - 1)),
                "exchanged": lambda: (a + b) ** 2 / (a**2 / (m - 1) + b**2 / (n - 1)),
                "Student": lambda: n + m - 2,
                "n + m − 1": lambda: n + m - 1,
                "smaller": lambda: min(n, m) - 1,
            }[dof]()
        t = (y.mean() - x.mean() if sign == "y − x" else x.mean() - y.mean()) / se
        t = abs(t) if sign == "absolute" else t
        t, nu = float(t), float(nu)
        if gives == "t, dof":
            return t, nu
        p = statistics.two_sided_p(t, nu)
        return {"t, p": (t, p), "p": p, "dof, t": (nu, t), "t": t}[gives]

    return welch_t


def _paired(x, y):
    """By differences of runs; as NumPy does it where there are not as many."""
    d = np.asarray(x) - np.asarray(y)
    return float(d.mean() / (d.std(ddof=1) / math.sqrt(len(d)))), float(len(d) - 1)


def _paired_while_there_are_two(x, y):
    n = min(len(x), len(y))
    return _paired(x[:n], y[:n])


def _by_the_standard_library(x, y):
    x, y = [float(score) for score in x], [float(score) for score in y]
    a, b = variance(x) / len(x), variance(y) / len(y)
    share = a / (a + b)
    nu = 1 / (share**2 / (len(x) - 1) + (1 - share) ** 2 / (len(y) - 1))
    return (mean(x) - mean(y)) / (a + b) ** 0.5, nu


def _by_sums_of_squares(x, y):
    errors = [float(((s - s.mean()) ** 2).sum()) / (len(s) * (len(s) - 1)) for s in (x, y)]
    below = sum(e * e / (len(s) - 1) for e, s in zip(errors, (x, y), strict=True))
    return np.array([(x.mean() - y.mean()) / np.sqrt(sum(errors)), sum(errors) ** 2 / below])


SMALL_EXAMPLE = "Take x = [0, 2] and y = [0, 2, 4] and write down a, b and both results by hand."

welch_t = Exercise(
    "welch_t",
    reference=statistics.welch_t,
    cases=_two_samples,
    returns=row_of("t", "dof"),
    points=2,
    equation="(20.5)",
    mistakes=[
        Mistake(
            "pooled",
            "You pool the two spreads: that is Student's test. Agents differ in spread: DDPG's seeds are not SAC's.",
            "What becomes of your error if the agent with five runs spreads five times as far as the one with twenty?",
            _welch(spread="pooled", dof="Student"),
            _welch(spread="pooled"),
            _welch(spread="averaged", dof="Student"),
            _welch(spread="averaged"),
            _welch(spread="of both together", dof="Student"),
            _welch(spread="of both together"),
        ),
        Mistake(
            "divides-by-n",
            "Your variances divide by n. It is n − 1: five runs know four things about their spread.",
            "What does `np.var` divide by, if nobody says otherwise?",
            _welch(ddof=0),
        ),
        Mistake(
            "n-1-twice",
            "You divide by n − 1 where the variance of a *mean* is asked. s² has its n − 1 within; the mean of n runs has "
            "the variance s²/n.",
            SMALL_EXAMPLE,
            _welch(spread="n − 1 in the error"),
        ),
        Mistake(
            "spread-not-error",
            "Your error does not shrink as it should with more runs. The question is about means: the variance of a mean of "
            "n runs is s²/n.",
            "What should happen to t if every run is there four times?",
            _welch(error="spread"),
            _welch(error="spread everywhere"),
            _welch(error="by the root of n"),
            _welch(error="by all runs"),
        ),
        Mistake(
            "std-for-variance",
            "You have deviations under the root. It is s², not s.",
            "In which unit is your error, if scores are in metres?",
            _welch(error="deviations"),
            _welch(error="deviations everywhere"),
            _welch(error="no root"),
        ),
        Mistake(
            "errors-added",
            "You add the two errors. Variances add, deviations do not.",
            "Which side of a right triangle is the longest, and how long is it?",
            _welch(error="added"),
        ),
        Mistake(
            "students-dof",
            "Your ν is n + m − 2, or n + m − 1: that is for two agents of one spread.",
            "Which ν should there be if one of the agents does not spread at all?",
            _welch(dof="Student"),
            _welch(dof="n + m − 1"),
        ),
        Mistake(
            "smaller-dof",
            "Your ν is that of the shorter list. That is safe, and too careful: (20.5) weighs both.",
            "Which ν should there be if the shorter list does not spread at all?",
            _welch(dof="smaller"),
        ),
        Mistake(
            "dof-denominators",
            "Your ν is not that of (20.5): look at what is squared there, and at what divides.",
            SMALL_EXAMPLE,
            _welch(dof="n"),
            _welch(dof="n + 1, less 2"),
            _welch(dof="not squared"),
            _welch(dof="nothing squared"),
            _welch(dof="n − 1 squared"),
            _welch(dof="of the sum"),
            _welch(dof="exchanged"),
        ),
        Mistake(
            "sign",
            "Your t is y minus x. It is positive where x is ahead: t says which one is ahead.",
            "What should the sign be if every run of x is better?",
            _welch(sign="y − x"),
        ),
        Mistake(
            "absolute",
            "You return the size of t. Keep its sign: t says which one is ahead.",
            "What should come out if x and y change places?",
            _welch(sign="absolute"),
        ),
        Mistake(
            "paired",
            "You subtract run i from run i. Seeds of different agents are no pairs.",
            "What should happen to t if the runs of y are listed in another order?",
            _paired,
            _paired_while_there_are_two,
        ),
        Mistake(
            "returns-p",
            "You return p, or t alone. t and ν are asked; p follows from them.",
            "Which two numbers does the docstring promise?",
            _welch(gives="t, p"),
            _welch(gives="p"),
            _welch(gives="t"),
        ),
        Mistake(
            "dof-first",
            "The two results have changed places: (t, ν).",
            "Which of the two can be negative?",
            _welch(gives="dof, t"),
        ),
    ],
    also_correct=[_welch(), _by_the_standard_library, _by_sums_of_squares],
)

# ------------------------------------------------------------------------------ pass_probability


def _tests_of_runs(rng: np.random.Generator) -> list[Case]:
    def case(p: float, runs: int, needed: int, *tags: str) -> Case:
        name = f"{needed} of {runs} needed, p = {p:.3g}"
        return Case(name, {"p": p, "runs": runs, "needed": needed}, tags)

    def chance() -> float:
        return float(rng.uniform(0.15, 0.85))

    nothing, too_many, certain = "needed ≤ 0", "needed > runs", "p = 0 or 1"
    return [
        case(0.9, 5, 3),
        case(0.2, 5, 3),
        case(chance(), 7, 3),
        case(chance(), 12, 8),
        case(0.5, 10, 5),
        case(chance(), 5, 5, "every run needed"),
        case(chance(), 6, 1, "one needed"),
        case(chance(), 1, 1, "one needed", "every run needed"),
        case(chance(), 4, 0, nothing),
        case(chance(), 4, -2, nothing),
        case(0.0, 4, 0, nothing, certain),
        case(chance(), 5, 6, too_many),
        case(1.0, 3, 5, too_many, certain),
        case(0.0, 5, 2, certain),
        case(1.0, 5, 5, certain),
        case(1.0, 6, 2, certain),
        case(float(rng.uniform(0.3, 0.4)), 30, 11),
        case(float(rng.uniform(0.55, 0.6)), 200, 121, "many runs"),
        case(0.97, 100, 95, "many runs"),
    ]


def _terms(p: float, runs: int) -> np.ndarray:
    """The chance of exactly k good runs, k = 0, …, runs."""
    return np.array([math.comb(runs, k) * p**k * (1 - p) ** (runs - k) for k in range(runs + 1)])


@composable
def _passes(
    counted: str = "at least",
    orders: bool = True,
    failures: bool = True,
    p_is: str = "good",
) -> Callable:
    """P(at least k of n) with its parts exchangeable, so that each mistake differs in one."""

    def pass_probability(p, runs, needed):
        p = 1 - p if p_is == "bad" else p
        k = np.arange(runs + 1)
        chance = np.array([math.comb(runs, i) for i in k], dtype=float) if orders else 1.0
        chance = chance * float(p) ** k
        chance = chance * (1 - float(p)) ** (runs - k) if failures else chance
        which = {
            "at least": k >= needed,
            "more than": k > needed,
            "exactly": k == needed,
            "at most": k <= needed,
            "fewer": k < needed,
            "at least, not all": (k >= needed) & (k < runs),
        }[counted]
        return float((chance * which).sum())

    return pass_probability


def _near_a_bell(p, runs, needed, correction: float = 0.5):
    error = math.sqrt(runs * p * (1 - p))
    if error == 0:
        return float(runs * p >= needed)
    return 1 - NormalDist(runs * p, error).cdf(needed - correction)


def _by_poisson(p, runs, needed):
    rare = [
        math.exp(-runs * p) * (runs * p) ** k / math.factorial(k) for k in range(max(needed, 0))
    ]
    return 1 - math.fsum(rare)


def _by_hoeffding(p, runs, needed):
    gap = max(needed / runs - p, 0.0)
    return math.exp(-2 * runs * gap**2)


def _simulated(p, runs, needed):
    good = np.random.default_rng(0).binomial(runs, p, size=10_000)
    return float((good >= needed).mean())


def _shows_simulated(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    """Whether shares of some round number of experiments came out, each about as it should."""
    values = [outcome.value for outcome in outcomes]
    if len(values) < len(cases) or not all(type(value) in (int, float) for value in values):
        return False
    right = np.array([statistics.pass_probability(**case.inputs) for case in cases])
    for n in (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000):
        counts = np.array(values) * n
        whole = np.abs(counts - np.round(counts)) < 1e-6
        near = np.abs(values - right) <= 5 * np.sqrt(right * (1 - right) / n) + 1e-9
        if (whole & near).all():
            return True
    return False


def _run_after_run(p, runs, needed):
    """chances[k]: of k good ones among those made so far."""
    chances = [1.0] + [0.0] * runs
    for _ in range(runs):
        chances = [
            (1 - p) * chances[k] + (p * chances[k - 1] if k else 0.0) for k in range(runs + 1)
        ]
    return sum(chances[max(needed, 0) :])


def _by_the_last_one_needed(p, runs, needed):
    """The needed-th good run is run number k."""
    if needed <= 0:
        return 1.0
    return math.fsum(
        math.comb(k - 1, needed - 1) * p**needed * (1 - p) ** (k - needed)
        for k in range(needed, runs + 1)
    )


def _in_fractions(p, runs, needed):
    p, total = Fraction(p), Fraction(0)
    for k in range(max(0, needed), runs + 1):
        total += math.comb(runs, k) * p**k * (1 - p) ** (runs - k)
    return float(total)


WRITE_OUT = "Write down all outcomes of three runs, S or F each, with the chance of each. Which of them pass?"

pass_probability = Exercise(
    "pass_probability",
    reference=statistics.pass_probability,
    cases=_tests_of_runs,
    returns=number(),
    points=1,
    equation="(20.6)",
    mistakes=[
        Mistake(
            "more-than",
            "You count from k + 1 on. At least k: k itself counts.",
            "What should come out if one run is needed of one?",
            _passes(counted="more than"),
        ),
        Mistake(
            "exactly",
            "You have the chance of exactly k good runs. More than needed is enough as well.",
            WRITE_OUT,
            _passes(counted="exactly"),
        ),
        Mistake(
            "at-most",
            "You add up the terms on the other side of k. That is the chance to fail.",
            "Should your number rise or fall when more runs are needed?",
            _passes(counted="fewer"),
            _passes(counted="at most"),
        ),
        Mistake(
            "not-all",
            "Your sum ends before the last term: all runs may be good.",
            "What should come out if every run is needed? Where does `range` end?",
            _passes(counted="at least, not all"),
        ),
        Mistake(
            "nothing-needed",
            "You fail somebody of whom nothing is asked. Where no good run is needed, the chance is 1.",
            "Which terms does the sum of (20.6) have if 0 are needed?",
            lambda p, runs, needed: _passes()(p, runs, needed) if needed > 0 else 0.0,
            lambda p, runs, needed: _passes()(p, runs, needed) if needed >= 0 else 0.0,
        ),
        Mistake(
            "more-than-there-are",
            "You pass somebody who cannot: with more good runs needed than there are runs, the chance is 0.",
            "Which terms does the sum of (20.6) have if 6 of 5 are needed?",
            lambda p, runs, needed: _passes()(p, runs, min(needed, runs)),
            lambda p, runs, needed: _passes()(p, runs, needed) if needed <= runs else 1.0,
        ),
        Mistake(
            "orders-not-counted",
            "You count each number of good runs once. SSF, SFS and FSS are three ways.",
            WRITE_OUT,
            _passes(orders=False),
        ),
        Mistake(
            "failures-not-counted",
            "You leave out the runs that fail: their chance is a factor, too.",
            WRITE_OUT,
            _passes(failures=False),
        ),
        Mistake(
            "all-of-them",
            "You multiply the chances of so many good runs. Which runs succeed does not matter.",
            WRITE_OUT,
            lambda p, runs, needed: float(p) ** runs,
            lambda p, runs, needed: float(p) ** max(needed, 0),
            lambda p, runs, needed: float(p) ** needed if needed <= runs else 0.0,
        ),
        Mistake(
            "at-least-one",
            "You have the chance that at least one run is good. This is what picking the best seed does to you.",
            "Which argument have you not used?",
            lambda p, runs, needed: 1 - (1 - float(p)) ** runs,
        ),
        Mistake(
            "expected-is-enough",
            "You ask whether enough runs are good on average. np is an average, not a chance.",
            "What is the chance of two heads in four throws of a coin?",
            lambda p, runs, needed: float(runs * p >= needed),
            lambda p, runs, needed: float(runs * p > needed),
        ),
        Mistake(
            "p-exchanged",
            "p and 1 − p have changed places: p is the chance of a *good* run.",
            "Should your number rise or fall when p rises?",
            _passes(p_is="bad"),
        ),
        Mistake(
            "approximated",
            "You have an approximation. n is small: add the terms up.",
            "How many terms has the sum of (20.6) for 3 of 5? Write them down.",
            _near_a_bell,
            lambda p, runs, needed: _near_a_bell(p, runs, needed, correction=0.0),
            _by_poisson,
            _by_hoeffding,
            _simulated,
            shows=_shows_simulated,
        ),
    ],
    also_correct=[_passes(), _run_after_run, _by_the_last_one_needed, _in_fractions],
)

# --------------------------------------------------------------------------------- required_runs


def _plans(rng: np.random.Generator) -> list[Case]:
    def case(name, p_good, p_bad, false_fail, false_pass, *tags) -> Case:
        inputs = {"p_good": p_good, "p_bad": p_bad}
        return Case(name, inputs | {"false_fail": false_fail, "false_pass": false_pass}, tags)

    def drawn(gap: tuple[float, float], false_fail: float, false_pass: float) -> Case:
        p_good = float(rng.uniform(0.55, 0.95))
        p_bad = p_good - float(rng.uniform(*gap))
        return case(f"{p_good:.2f} against {p_bad:.2f}", p_good, p_bad, false_fail, false_pass)

    met = "a rate is met exactly"
    return [
        case("0.9 against 0.5, both rates 5 %", 0.9, 0.5, 0.05, 0.05, "holes"),
        case("0.9 against 0.2, rates 1 % and 6 %", 0.9, 0.2, 0.01, 0.06),
        case("0.8 against 0.5, rates 5 % and 10 %", 0.8, 0.5, 0.05, 0.1),
        case("0.8 against 0.5, rates 10 % and 5 %", 0.8, 0.5, 0.1, 0.05),
        case("one run is enough", 0.98, 0.02, 0.05, 0.05, "one run"),
        case("agents that never fail", 1.0, 0.5, 0.05, 0.125, met, "p = 0 or 1"),
        case("agents that never pass", 0.5, 0.0, 0.125, 0.05, met, "p = 0 or 1"),
        case("never a false fail", 1.0, 0.75, 0.0, 0.1, "p = 0 or 1"),
        case("both below ½", 0.4, 0.1, 0.1, 0.1),
        case("many runs", 0.75, 0.55, 0.05, 0.1, "many runs"),
        case("more runs still", 0.65, 0.5, 0.06, 0.08, "many runs"),
        case("0.7 against 0.4, rates 20 % and 1 %", 0.7, 0.4, 0.2, 0.01),
        drawn((0.3, 0.5), 0.05, 0.1),
        drawn((0.25, 0.45), 0.1, 0.02),
        drawn((0.25, 0.5), 0.02, 0.2),
    ]


@lru_cache(maxsize=8192)
def _tails(p: float, n: int) -> np.ndarray:
    """P(at least k of n), k = 0, …, n + 1."""
    return np.append(_terms(p, n)[::-1].cumsum()[::-1], 0.0)


def _bell_tails(p: float, n: int, correction: float) -> np.ndarray:
    error = math.sqrt(n * p * (1 - p))
    k = np.arange(n + 2)
    if error == 0:
        return (n * p >= k).astype(float)
    return np.array([1 - NormalDist(n * p, error).cdf(i - correction) for i in k])


MARKS: dict[str, Callable] = {
    "majority": lambda n, good, bad: n // 2 + 1,
    "half": lambda n, good, bad: (n + 1) // 2,
    "every run": lambda n, good, bad: n,
    "all but one": lambda n, good, bad: max(n - 1, 1),
    "expected": lambda n, good, bad: round(n * good),
    "expected, up": lambda n, good, bad: math.ceil(n * good),
    "expected, down": lambda n, good, bad: math.floor(n * good),
    "halfway": lambda n, good, bad: round(n * (good + bad) / 2),
    "halfway, up": lambda n, good, bad: math.ceil(n * (good + bad) / 2),
    "halfway, down": lambda n, good, bad: math.floor(n * (good + bad) / 2),
    "above the bad": lambda n, good, bad: math.floor(n * bad) + 1,
}
TOO_MANY = 200


@composable
def _plan(
    errors: str = "both",
    marks: str = "searched",
    least: int = 0,
    strict: str = "",
    fail_rate: str = "false_fail",
    pass_rate: str = "false_pass",
    numbers: tuple[int, int] = (1, 1),
    tails: str = "exact",
    beyond: int = 0,
    gives: str = "runs, needed",
) -> Callable:
    """The search for the smallest test with its parts exchangeable, so that each mistake differs in one.

    errors: which are looked at; marks: which k are tried, from `least` on; strict: the rates that must
    not be met; fail_rate, pass_rate: what each chance is held against; numbers: of runs, first and step;
    tails: of a binomial, or of a bell; beyond: 1 where "more than k" is counted.
    """

    def required_runs(p_good, p_bad, false_fail, false_pass):
        rates = {"false_fail": false_fail, "false_pass": false_pass}
        rates |= {"1 − false_fail": 1 - false_fail, "1 − false_pass": 1 - false_pass}
        may_fail, may_pass = (
            rates[rate] + (-1 if rate in strict else 1) * 1e-12 for rate in (fail_rate, pass_rate)
        )
        for n in range(numbers[0], TOO_MANY, numbers[1]):
            good, bad = (_tail(p, n, tails) for p in (p_good, p_bad))
            tried = range(least, n + 1 if errors == "false passes" else n + 2)
            if marks != "searched":
                tried = [MARKS[marks](n, p_good, p_bad)]
            for k in tried:
                fails, passes = 1 - good[k] > may_fail, bad[k] > may_pass
                if errors == "sum":
                    bad_plan = 1 - good[k] + bad[k] > may_fail + may_pass
                else:
                    bad_plan = (fails and errors != "false passes") or (
                        passes and errors != "false fails"
                    )
                if not bad_plan:
                    k = k - beyond
                    return {
                        "runs, needed": (n, k),
                        "needed, runs": (k, n),
                        "runs, failures": (n, n - k),
                    }[gives]
        return None

    return required_runs


def _tail(p: float, n: int, kind: str) -> np.ndarray:
    if kind == "exact":
        return _tails(p, n)
    return _bell_tails(p, n, 0.5 if kind == "bell, corrected" else 0.0)


def _bisection(first: int) -> Callable:
    """As if all numbers above one that will do would do as well; first: of the upper end."""

    def required_runs(p_good, p_bad, false_fail, false_pass):
        def needed(n):
            good, bad = _tails(p_good, n), _tails(p_bad, n)
            fits = (1 - good <= false_fail + 1e-12) & (bad <= false_pass + 1e-12)
            return int(np.argmax(fits)) if fits.any() else None

        low, high = 1, first
        while needed(high) is None:
            low, high = high + 1, 2 * high
        while low < high:
            middle = (low + high) // 2
            if needed(middle) is None:
                low = middle + 1
            else:
                high = middle
        return high, needed(high)

    return required_runs


def _by_formula(mark: str) -> Callable:
    """The sample size of textbooks."""

    def required_runs(p_good, p_bad, false_fail, false_pass):
        z_fail, z_pass = (NormalDist().inv_cdf(1 - rate) for rate in (false_fail, false_pass))
        s_good, s_bad = (math.sqrt(p * (1 - p)) for p in (p_good, p_bad))
        n = max(1, math.ceil(((z_fail * s_good + z_pass * s_bad) / (p_good - p_bad)) ** 2))
        return n, {
            "bad": math.ceil(n * p_bad + z_pass * s_bad * math.sqrt(n)),
            "good": math.floor(n * p_good - z_fail * s_good * math.sqrt(n)),
        }[mark]

    return required_runs


def _from_the_strictest_down(p_good, p_bad, false_fail, false_pass):
    n = 0
    while True:
        n += 1
        for k in range(n, -1, -1):
            passes = _passes()(p_bad, n, k)
            if passes > false_pass + 1e-12:
                break
            if 1 - _passes()(p_good, n, k) <= false_fail + 1e-12:
                return n, k


def _both_distributions_grown(p_good, p_bad, false_fail, false_pass):
    good, bad, n = np.ones(1), np.ones(1), 0
    while True:
        n += 1
        good = np.convolve(good, [1 - p_good, p_good])
        bad = np.convolve(bad, [1 - p_bad, p_bad])
        fails = np.append(0.0, good.cumsum()[:-1])
        passes = bad[::-1].cumsum()[::-1]
        fits = np.flatnonzero((fails <= false_fail + 1e-12) & (passes <= false_pass + 1e-12))
        if fits.size:
            return n, fits[0]


TRY_TWO = "Take p_good = 0.9 and p_bad = 0.5 and make a table of both chances for n = 1, 2, 3 and every k."

required_runs = Exercise(
    "required_runs",
    reference=statistics.required_runs,
    cases=_plans,
    returns=several(runs=integer(), needed=integer()),
    points=2,
    equation="(20.7)",
    seconds=10.0,  # a search that never ends is no rare answer
    mistakes=[
        Mistake(
            "one-error-only",
            "You look at one of the two errors. Ask for nothing and nobody fails; ask for everything and nobody passes: both "
            "at once.",
            "How often does the agent with p_good fail your test, and how often does the one with p_bad pass it?",
            _plan(errors="false fails", least=1),
            _plan(errors="false fails"),
            _plan(errors="false passes"),
            _plan(errors="sum"),
        ),
        Mistake(
            "rates-exchanged",
            "The two rates have changed places. Good agents *fail* by mistake, bad ones *pass*.",
            "Which rate belongs to the agent with p_good?",
            _plan(fail_rate="false_pass", pass_rate="false_fail"),
        ),
        Mistake(
            "power-for-rate",
            "You hold a chance against 1 minus its rate. The rate is 1 minus the power.",
            "Which of your two chances should be small?",
            _plan(pass_rate="1 − false_pass"),
            _plan(fail_rate="1 − false_fail"),
            _plan(fail_rate="1 − false_fail", pass_rate="1 − false_pass"),
        ),
        Mistake(
            "strictly-below",
            "You ask for less than the rate. At most: the rate itself is allowed.",
            "What is the chance of three heads in three throws, and is it at most 0.125?",
            _plan(strict="false_fail false_pass"),
            _plan(strict="false_fail"),
            _plan(strict="false_pass"),
        ),
        Mistake(
            "fixed-k",
            "You try one k for every n. Search k: it follows from the two rates.",
            TRY_TWO,
            *(_plan(marks=marks) for marks in MARKS),
        ),
        Mistake(
            "more-than-k",
            "Your k is one too low: with *more than* k of n your test is right, and (20.6) asks for at least k.",
            "Put your result into `pass_probability`. Are both rates held?",
            _plan(beyond=1),
        ),
        Mistake(
            "failures-allowed",
            "You return how many runs may fail. Asked is how many are *needed*.",
            "Put your result into `pass_probability`. Are both rates held?",
            _plan(gives="runs, failures"),
        ),
        Mistake(
            "order",
            "Your two results have changed places: (runs, needed).",
            "Which of the two cannot be the smaller one?",
            _plan(gives="needed, runs"),
        ),
        Mistake(
            "bisection",
            "You bisect. More runs do not always help: k moves in steps, and a number may do where the next one does not.",
            "0.9 against 0.5 at 5 % each: do 13 runs do? 14? 15?",
            *(_bisection(first) for first in (1, 100, 128, 50, 200)),
        ),
        Mistake(
            "odd-only",
            "You leave numbers of runs out. Every number of runs from 1 on may do, even ones as well.",
            "Which numbers of runs does your loop try, the first five?",
            _plan(numbers=(1, 2)),
            _plan(numbers=(2, 2)),
        ),
        Mistake(
            "at-least-five",
            "Your search starts too late. Every number of runs from 1 on may do.",
            "0.98 against 0.02 at 5 % each: does one run tell them apart?",
            _plan(numbers=(5, 1)),
            _plan(numbers=(3, 1)),
            _plan(numbers=(2, 1)),
        ),
        Mistake(
            "approximated",
            "You use the normal distribution. n is small: add the terms of (20.6) up.",
            "Put your result into `pass_probability`. Are both rates held, and would fewer runs do?",
            _plan(tails="bell"),
            _plan(tails="bell, corrected"),
            _by_formula("bad"),
            _by_formula("good"),
        ),
    ],
    also_correct=[_plan(), _from_the_strictest_down, _both_distributions_grown],
)

# ------------------------------------------------------------------------------------ judge_runs


def _series(rng: np.random.Generator) -> list[Case]:
    def case(
        name: str, pattern: str, needed: int, *tags: str, mark: float | None = None, whole=False
    ) -> Case:
        """G: good, B: bad, T: exactly the mark, J: just below, N: no score, W: far above, D: far below."""
        mark = float(rng.integers(-200, 400)) if mark is None else mark

        def gap() -> float:
            return float(rng.integers(1, 30)) if whole else float(rng.uniform(1, 30))

        def score(sign: str) -> float:
            far = {"G": gap(), "B": -gap(), "T": 0.0, "N": math.nan, "W": 2_000 + gap()}
            far["J"] = -1e-6 * max(1.0, abs(mark))
            return mark + far.get(sign, -2_000 - gap())

        n = len(pattern)
        seeds = [int(seed) for seed in rng.choice(10_000, size=n, replace=False)]
        # A second try of a bad run is good, and the other way round: who tries again sees it.
        scores = [score(sign) for sign in pattern]
        again = [score("B" if sign in "GTW" else "G") for sign in pattern]
        run = Runs(tuple(seeds), tuple(scores), tuple(again), whole)
        return Case(name, {"run": run, "seeds": seeds, "mark": mark, "needed": needed}, tags)

    early_pass, early_fail = "passed before the last run", "failed before the last run"
    last, nan = "decided by the last run", "a run without a score"
    return [
        case("the first three of five are good", "GGGBG", 3, early_pass),
        case("the first three of five are bad", "BBBGG", 3, early_fail),
        case("the first five of seven are good", "GGGGGBB", 4, early_pass),
        case("the first five of seven are bad", "BBBBBGB", 4, early_fail),
        case("good and bad in turn", "GBGBG", 3, last),
        case("bad and good in turn", "BGBGB", 3, last),
        case("three good ones, not in a row", "GBGGB", 3, early_pass),
        case("a failure, then three good ones", "BGGGB", 3, early_pass),
        case("two good ones are not enough", "GGBBB", 3, last),
        case("one good one, four needed of seven", "BGBBBGG", 4, early_fail),
        case("four of seven", "GBGBGGB", 4, early_pass),
        case("one very bad run, three good ones", "DGGGB", 3, early_pass, "a mean misleads"),
        case("one very good run, the others bad", "WBBBB", 3, early_fail, "a mean misleads"),
        case("exactly the mark", "TBTBT", 3, last, "exactly the mark"),
        case("exactly the mark, twice", "BTTGB", 3, early_pass, "exactly the mark"),
        case("just below the mark", "GJJGJ", 3, last, "just below the mark"),
        case("a run without a score", "NGNGG", 3, last, nan),
        case("runs without a score", "NNGNG", 3, early_fail, nan),
        case("every run needed, all good", "GGGG", 4, last, "every run needed"),
        case("every run needed, the second is bad", "GBGG", 4, early_fail, "every run needed"),
        case("one needed, the third is good", "BBGGB", 1, early_pass, "one needed"),
        case("one needed, none is good", "BBBB", 1, last, "one needed"),
        case("one run, good", "G", 1, last, "one run"),
        case("one run, bad", "B", 1, last, "one run"),
        case("nine of ten", "GGGGBGGGGG", 9, last),
        case("mark 0, five of eight", "BGGBGBGG", 5, last, mark=0.0),
        case("whole-number scores", "GBGGB", 3, early_pass, "whole-number scores", whole=True),
    ]  # fmt: skip


@composable
def _judge(
    stops: str = "decided",
    good_if: str = "≥",
    late: tuple[int, int] = (0, 0),
    verdict: str = "count",
    seeds_used: str = "each",
    again: str = "",
    keeps: str = "all",
    row: bool = False,
    early_verdict: str = "count",
) -> Callable:
    """Judging runs one by one with its parts exchangeable, so that each mistake differs in one.

    stops: when; late: how many good, and bad, ones more it takes to stop (−1: fewer); again: whether a bad
    run gets another try, and which score is "kept"; row: only runs of good ones count.
    """

    def judge_runs(run, seeds, mark, needed):
        n, good, bad, scores = len(seeds), 0, 0, []
        for seed in seeds:
            seed = seeds[0] if seeds_used == "first" else seed
            score = run(seed)
            if again and not is_good(score, mark):
                if again == "both kept":
                    scores.append(score)
                score = run(seed)
            scores.append(score)
            if is_good(score, mark):
                good += 1
            else:
                bad, good = bad + 1, 0 if row and good < needed else good
            passed = good >= needed + late[0]
            failed = bad >= n - needed + 1 + late[1]
            if row:
                failed = good < needed and good + n - len(scores) < needed
            if stops in ("decided", "passed") and passed:
                break
            if stops in ("decided", "failed") and failed:
                break
            if stops == "first failure" and bad:
                break
            if stops == "first success" and good:
                break
        kept = np.array(scores, dtype=float)
        with np.errstate(all="ignore"):
            passes = {
                "count": lambda: good >= needed,
                "as it stopped": lambda: good >= needed + late[0],
                "mean": lambda: kept.mean() >= mark,
                "median": lambda: np.median(kept) >= mark,
                "best": lambda: (kept >= mark).any(),
                "all": lambda: (kept >= mark).all(),
                "more than": lambda: good > needed,
            }[verdict]()
        if keeps == "good":
            kept = kept[kept >= mark]
        if keeps == "flags":
            kept = (kept >= mark).astype(float)
        if keeps in ("padded", "padded by nan"):
            filler = 0.0 if keeps == "padded" else np.nan
            kept = np.append(kept, np.full(n - len(kept), filler))
        if keeps == "verdict alone":
            return bool(passes)
        return bool(passes), kept

    def is_good(score, mark):
        return {
            "≥": score >= mark,
            ">": score > mark,
            "not <": not score < mark,
            "≤": score <= mark,
        }[good_if]

    return judge_runs


def _by_counting_down(run, seeds, mark, needed):
    to_go, may_fail = needed, len(seeds) - needed
    scores, i = [], 0
    while to_go > 0 and may_fail >= 0:
        scores.append(float(run(seeds[i])))
        if scores[-1] >= mark:
            to_go -= 1
        else:
            may_fail -= 1
        i += 1
    return to_go == 0, np.array(scores)


def _by_generator(run, seeds, mark, needed):
    def until_decided():
        good = 0
        for made, seed in enumerate(seeds, start=1):
            score = run(seed)
            good += bool(score >= mark)
            yield score
            if good == needed or good + len(seeds) - made < needed:
                return

    scores = np.fromiter(until_decided(), dtype=np.float64)
    # Whatever the last run was has settled it.
    return bool(scores[-1] >= mark), scores


BY_HAND = "Go through the runs good, bad, bad, good, bad by hand, three needed of five. After which is it decided?"

judge_runs = Exercise(
    "judge_runs",
    reference=statistics.judge_runs,
    cases=_series,
    returns=several(passed=boolean(), scores=array()),
    points=2,
    equation="(20.8)",
    notes=["runs"],
    mistakes=[
        Mistake(
            "never-stops",
            "You make every run. Stop as soon as the verdict stands. Decided means: whatever the rest does.",
            "Three of five needed, and the first three are good: what could the other two change?",
            _judge(stops="never"),
        ),
        Mistake(
            "stops-for-one-verdict-only",
            "You stop early for one of the two verdicts. A pass can stand before the last run, and so can a failure.",
            "Three of five needed: after which runs is it decided if all are good? And if all are bad?",
            _judge(stops="passed"),
            _judge(stops="failed"),
        ),
        Mistake(
            "one-run-late",
            "You stop one run too late: nothing could change any more.",
            BY_HAND,
            _judge(late=(1, 0)),
            _judge(late=(0, 1)),
            _judge(late=(1, 1)),
        ),
        Mistake(
            "one-run-early",
            "You stop one run too early: what is left could still change the verdict.",
            BY_HAND,
            _judge(late=(0, -1)),
            _judge(late=(-1, 0)),
            _judge(late=(-1, -1)),
            _judge(late=(-1, 0), verdict="as it stopped"),
            _judge(late=(-1, -1), verdict="as it stopped"),
        ),
        Mistake(
            "stops-at-the-first-failure",
            "You stop at the first bad run. Some may fail: `needed` of all is asked.",
            BY_HAND,
            _judge(stops="first failure"),
        ),
        Mistake(
            "mean-against-the-mark",
            "You hold a mean against the mark. One very bad run would fail three good ones; one very good would pass four "
            "bad ones: count.",
            "What do you say of the scores 500, 500, 500, −2000, 500 and the mark 400?",
            _judge(stops="never", verdict="mean"),
            _judge(verdict="mean"),
            _judge(stops="never", verdict="median"),
        ),
        Mistake(
            "best-run",
            "One good run is enough for you. At least one of five: p = 0.2 passes two times in three.",
            "Which argument have you not used?",
            _judge(stops="first success", verdict="best"),
            _judge(stops="never", verdict="best"),
            _judge(verdict="best"),
        ),
        Mistake(
            "another-try",
            "You run a failed seed again. Then the false-pass rate is another: every seed has one try.",
            "How often do you call `run` for a seed?",
            _judge(again="second kept"),
            _judge(again="both kept"),
            _judge(again="second kept", stops="never"),
        ),
        Mistake(
            "same-seed",
            "You run the same seed every time. One run, five times.",
            "Which seed does your second run get?",
            _judge(seeds_used="first"),
        ),
        Mistake(
            "above-the-mark",
            "A run that is exactly at the mark is bad for you. Reaching it is enough.",
            "Is 400 good if the mark is 400?",
            _judge(good_if=">"),
        ),
        Mistake(
            "nan-is-good",
            "A run without a score is good for you. It has not reached the mark.",
            "Print `float('nan') < 400`, and `not float('nan') < 400`.",
            _judge(good_if="not <"),
        ),
        Mistake(
            "low-is-good",
            "Your runs are good below the mark. Scores are returns: higher is better.",
            "Is 500 good if the mark is 400?",
            _judge(good_if="≤"),
        ),
        Mistake(
            "keeps-the-good-ones",
            "You keep the good scores alone, or only which were good. Report every run.",
            "How many runs were made, and how many scores do you return?",
            _judge(keeps="good"),
            _judge(keeps="flags"),
        ),
        Mistake(
            "padded",
            "You return scores of runs that were never made. Those that were run, and no others.",
            "How many runs were made, and how many scores do you return?",
            _judge(keeps="padded"),
            _judge(keeps="padded by nan"),
        ),
        Mistake(
            "in-a-row",
            "You ask for good runs in a row. Any three of five different runs will do.",
            "Do good, bad, good, bad, good pass, three needed?",
            _judge(row=True),
            _judge(row=True, stops="passed"),
        ),
        Mistake(
            "more-than-needed",
            "You ask for more good runs than needed. `needed` of them are enough.",
            "One needed of one, and it is good: what do you say?",
            _judge(verdict="more than"),
            _judge(verdict="more than", late=(1, -1)),
        ),
    ],
    also_correct=[_judge(), _by_counting_down, _by_generator],
)

project = Exercise("train_agent", reference=train_agent, **own_agent.DECLARED)

LESSON = Lesson(
    "20",
    "Capstone",
    [
        interquartile_mean,
        bootstrap_interval,
        probability_of_improvement,
        performance_profile,
        welch_t,
        pass_probability,
        required_runs,
        judge_runs,
        project,
    ],
)
