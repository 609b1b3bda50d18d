"""The statistics of lesson 20 against SciPy, by enumeration and by simulation; and what the lesson says of them."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from seeds import SEEDS

from rlcourse.lab import evaluation, statistics
from rlcourse.lab.statistics import (
    bootstrap_interval,
    interquartile_mean,
    judge_runs,
    pass_probability,
    performance_profile,
    probability_of_improvement,
    required_runs,
    solved_in,
    two_sided_p,
    welch_t,
)

SHAPES = [
    *((n,) for n in range(1, 29)),
    *((n, tasks) for n in range(1, 7) for tasks in range(1, 5)),
]


def test_whoever_runs_agents_finds_them_where_agents_are_run():
    assert evaluation.welch_t is statistics.welch_t
    assert solved_in([1, 5, 5.5], 5) == 2


# -------------------------------------------------------------------------------- single numbers


@pytest.mark.parametrize("seed", SEEDS)
def test_interquartile_mean_is_scipys_trimmed_mean(seed):
    rng = np.random.default_rng(seed)
    assert len(SHAPES) == 52
    for shape in SHAPES:
        scores = rng.normal(size=shape)
        assert interquartile_mean(scores) == pytest.approx(
            stats.trim_mean(scores, 0.25, axis=None), rel=1e-13, abs=1e-14
        )
    assert interquartile_mean([5, 1, 9, 100]) == 7.0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("values", [2, 5, 10**6])
def test_improvement_is_mann_and_whitneys_u(seed, values):
    rng = np.random.default_rng(seed)
    for n, m, tasks in [(5, 5, 1), (3, 8, 4), (9, 2, 3), (1, 1, 2)]:
        x, y = rng.integers(values, size=(n, tasks)), rng.integers(values, size=(m, tasks))
        u = stats.mannwhitneyu(x, y, axis=0, method="asymptotic").statistic
        p = probability_of_improvement(x, y)
        assert p == pytest.approx(np.mean(u / (n * m)), rel=1e-12)
        assert p + probability_of_improvement(y, x) == pytest.approx(1, rel=1e-12)
        assert probability_of_improvement(x, x) == 0.5
    assert probability_of_improvement([2.0, 3.0], [1.0, 3.0]) == 0.625  # one task, no axis for it


@pytest.mark.parametrize("seed", SEEDS)
def test_the_profile_is_the_mean_of_the_tasks_survival_functions(seed):
    rng = np.random.default_rng(seed)
    scores, thresholds = rng.integers(0, 9, size=(7, 3)), rng.permutation(np.arange(-1, 10, 0.5))
    tasks = [stats.ecdf(column).sf.evaluate(thresholds) for column in scores.T]
    profile = performance_profile(scores, thresholds)
    assert profile.dtype == np.float64
    assert profile == pytest.approx(np.mean(tasks, axis=0), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_area_under_the_profile_is_the_mean_and_that_of_its_middle_half_the_middle_mean(seed):
    scores = np.random.default_rng(seed).gamma(2.0, size=(8, 5))  # of 40, whole quarters are cut
    edges = np.linspace(0, scores.max(), 4_001)
    middles, width = (edges[1:] + edges[:-1]) / 2, edges[1]
    profile = performance_profile(scores, middles)
    assert width * profile.sum() == pytest.approx(scores.mean(), abs=width)
    middle_half = np.clip((profile - 0.25) * 2, 0, 1)
    assert width * middle_half.sum() == pytest.approx(interquartile_mean(scores), abs=2 * width)


@pytest.mark.parametrize("seed", SEEDS)
def test_welch_is_scipys(seed):
    rng = np.random.default_rng(seed)
    for n, m in [(2, 2), (2, 9), (5, 5), (20, 5), (100, 30)]:
        x, y = rng.normal(3, rng.uniform(0.1, 9), size=n), rng.normal(2, 1, size=m)
        theirs = stats.ttest_ind(x, y, equal_var=False)
        t, dof = welch_t(x, y)
        assert (t, dof) == pytest.approx((theirs.statistic, theirs.df), rel=1e-11)
        assert two_sided_p(t, dof) == pytest.approx(theirs.pvalue, rel=1e-7, abs=1e-12)


def test_welch_says_where_there_is_nothing_to_estimate():
    with pytest.raises(ValueError, match="two runs of each"):
        welch_t([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="no spread"):
        welch_t([1.0, 1.0], [2.0, 2.0])


@pytest.mark.parametrize("dof", [1, 1.3, 2, 3.7, 8, 40, 1_000])
def test_two_sided_p_is_students(dof):
    for t in (0.0, 0.1, -0.7, 2.0, -3.5, 10.0, 1_000.0):
        assert two_sided_p(t, dof) == pytest.approx(2 * stats.t.sf(abs(t), dof), abs=1e-9)


# --------------------------------------------------------------------------------- the bootstrap


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", [(5, 3), (4, 4), (12, 1)])
def test_the_bootstrap_draws_each_task_by_itself(seed, shape):
    n, tasks = shape
    scores = np.random.default_rng(seed).normal(size=shape)
    rows = np.random.default_rng(seed + 1).integers(n, size=(200, n, tasks))
    means = [[scores[rows[d, :, t], t] for t in range(tasks)] for d in range(200)]
    by_hand = np.percentile(np.mean(means, axis=(1, 2)), [5, 95])
    rng = np.random.default_rng(seed + 1)
    assert bootstrap_interval(scores, rng, np.mean, 0.9, 200) == pytest.approx(by_hand, rel=1e-12)
    after = np.random.default_rng(seed + 1)
    after.integers(n, size=(200, n, tasks))
    assert rng.bit_generator.state == after.bit_generator.state


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bootstrap_agrees_with_scipys(seed):
    scores = np.random.default_rng(seed).gamma(1.0, size=25)
    ours = bootstrap_interval(scores, np.random.default_rng(1), np.mean, 0.9, 4_000)
    theirs = stats.bootstrap(
        (scores,), np.mean, confidence_level=0.9, n_resamples=4_000, method="percentile", rng=2
    ).confidence_interval
    # A quantile 5 % of 4,000 draws has an error of 0.033 standard deviations; two of them, four times.
    assert ours == pytest.approx(tuple(theirs), abs=0.19 * scores.std() / 5)


def test_runs_are_drawn_within_their_task():
    scores = np.array([[0.0, 100.0]] * 6)  # no spread within a task: none in the interval
    assert bootstrap_interval(scores, np.random.default_rng(0), np.mean) == (50.0, 50.0)


# -------------------------------------------------------------------------------- k of n runs


@pytest.mark.parametrize("runs", [1, 2, 5, 20, 200])
def test_pass_probability_is_the_binomials(runs):
    needed = np.arange(-1, runs + 2)
    for p in (0.0, 0.2, 0.5, 0.9, 0.999, 1.0):
        ours = [pass_probability(p, runs, int(k)) for k in needed]
        assert ours == pytest.approx(stats.binom.sf(needed - 1, runs, p), rel=1e-10, abs=1e-14)


RATES = list(product((0.01, 0.05, 0.2), repeat=2))


@pytest.mark.parametrize("pair", [(0.9, 0.5), (0.9, 0.2), (0.7, 0.4), (1.0, 0.8), (0.5, 0.0)])
def test_required_runs_are_the_fewest_that_hold_both_rates(pair):
    p_good, p_bad = pair
    for false_fail, false_pass in RATES:
        for n in range(1, 200):
            k = np.arange(n + 2)
            fails, passes = stats.binom.cdf(k - 1, n, p_good), stats.binom.sf(k - 1, n, p_bad)
            fits = k[(fails <= false_fail + 1e-12) & (passes <= false_pass + 1e-12)]
            if fits.size:
                break
        assert [(n, needed) for needed in fits] == [
            required_runs(p_good, p_bad, false_fail, false_pass)
        ], "one k, for so few runs"


def test_more_runs_do_not_always_help():
    def feasible(n):
        return any(
            1 - pass_probability(0.9, n, k) <= 0.05 and pass_probability(0.5, n, k) <= 0.05
            for k in range(n + 1)
        )

    assert required_runs(0.9, 0.5, 0.05, 0.05) == (13, 10)
    assert [n for n in range(1, 17) if feasible(n)] == [13, 14, 16]


def test_a_rate_that_is_met_exactly_is_met():
    assert required_runs(1.0, 0.5, 0.05, 0.125) == (3, 3)
    assert required_runs(0.5, 0.0, 0.125, 0.05) == (3, 1)


def test_required_runs_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="below p_good"):
        required_runs(0.5, 0.5, 0.05, 0.05)
    with pytest.raises(ValueError, match="500 runs do not tell"):
        required_runs(0.5, 0.499, 0.01, 0.01)


@pytest.mark.parametrize("n", [1, 3, 5, 7])
def test_judging_stops_when_no_rest_could_change_the_verdict_and_not_before(n):
    """All series of n runs, for all numbers that may be needed."""
    patterns = list(product([0.0, 1.0], repeat=n))
    for needed in range(1, n + 1):
        for pattern in patterns:
            asked = []
            passed, scores = judge_runs(
                lambda seed, pattern=pattern, asked=asked: asked.append(seed) or pattern[seed],
                range(n), 1.0, needed,
            )  # fmt: skip
            made = len(scores)
            assert asked == list(range(made)) and scores.tolist() == list(pattern[:made])
            assert passed == (sum(pattern) >= needed)

            def verdicts(m, pattern=pattern, needed=needed):
                return {sum(p) >= needed for p in patterns if p[:m] == pattern[:m]}

            assert len(verdicts(made)) == 1 and len(verdicts(made - 1)) == 2


def test_judging_runs_without_a_score():
    passed, scores = judge_runs(lambda seed: float("nan"), [4, 5, 6], 0.0, 2)
    assert not passed and np.isnan(scores).all() and len(scores) == 2
    assert judge_runs(lambda seed: 1, [4, 5], 1, 1)[1].dtype == np.float64


def test_a_verdict_that_stands_beforehand_takes_no_run():
    assert judge_runs(float, [], 0.0, 0)[0] is True
    passed, scores = judge_runs(float, [1, 2], 0.0, 3)
    assert passed is False and scores.shape == (0,)


# --------------------------------------------------- what the test of the project promises: 3 of 5


def runs_made(p, n=5, needed=3):
    """The mean number of runs until the verdict, over all series."""
    total = 0.0
    for pattern in product([0.0, 1.0], repeat=n):
        good = sum(pattern)
        made = len(
            judge_runs(lambda seed, pattern=pattern: pattern[seed], range(n), 1.0, needed)[1]
        )
        total += p**good * (1 - p) ** (n - good) * made
    return total


def test_the_rates_that_are_stated_of_three_in_five():
    fails = {p: round(100 * (1 - pass_probability(p, 5, 3)), 2) for p in (0.95, 0.9, 0.8)}
    assert fails == {0.95: 0.12, 0.9: 0.86, 0.8: 5.79}
    passes = {p: round(100 * pass_probability(p, 5, 3), 2) for p in (0.2, 0.3, 0.5)}
    assert passes == {0.2: 5.79, 0.3: 16.31, 0.5: 50.0}
    once = 1 - pass_probability(0.9, 5, 3)
    assert round(300 * once, 1) == 2.6 and round(100 * once**2, 3) == 0.007
    assert round(100 * (1 - (1 - pass_probability(0.2, 5, 3)) ** 2), 1) == 11.2
    assert (round(runs_made(0.9), 2), round(runs_made(0.2), 2)) == (3.32, 3.63)


def test_what_ten_good_runs_of_ten_show():
    """Clopper and Pearson's bound: the p of which all were good with a chance of 5 %."""
    for runs, bound in ((10, 0.741), (29, 0.902)):
        exact = stats.binomtest(runs, runs, alternative="greater").proportion_ci(0.95, "exact").low
        assert round(exact, 3) == bound
        assert pass_probability(exact, runs, runs) == pytest.approx(0.05)
    assert round(100 * (1 - pass_probability(0.05 ** (1 / 10), 5, 3)), 1) == 11.3


# Returns of 20 episodes of a run. The mark is where exactly nine runs of ten, or two, reach it.
def normal_runs(p):
    mark = -140 - 10 / np.sqrt(20) * stats.norm.ppf(p)
    return (lambda rng: rng.normal(-140, 10, size=20)), mark


def skewed_runs(p):
    mark = -stats.gamma.ppf(p, 20, scale=50 / 20)
    return (lambda rng: -rng.exponential(50, size=20)), mark


def bimodal_runs(p):
    """One run in twenty never learns, whatever the mark; p of all runs reach it."""
    mark = -140 - 10 / np.sqrt(20) * stats.norm.ppf(p / 0.95)
    return (lambda rng: rng.normal(-140 if rng.random() < 0.95 else -1_200, 10, size=20)), mark


KINDS = {"normal": normal_runs, "skewed": skewed_runs, "bimodal": bimodal_runs}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [0.9, 0.2])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_stated_rates_hold_of_synthetic_returns(kind, p, seed):
    """2,000 agents judged: 0.86 % of those with p = 0.9 fail, 5.8 % of those with p = 0.2 pass."""
    rng, agents = np.random.default_rng([seed, len(kind)]), 2_000
    episodes, mark = KINDS[kind](p)

    def run(_):
        return episodes(rng).mean()

    verdicts = [judge_runs(run, range(5), mark, 3) for _ in range(agents)]
    passes = sum(passed for passed, _ in verdicts)
    wrong = agents - passes if p > 0.5 else passes
    rate = {0.9: 0.0086, 0.2: 0.0579}[p]
    # One seed in ten thousand lies beyond either bound, if the rates are as stated.
    assert stats.binom.ppf(0.0001, agents, rate) <= wrong <= stats.binom.ppf(0.9999, agents, rate)
    made = np.array([len(scores) for _, scores in verdicts])
    assert made.mean() == pytest.approx(runs_made(p), abs=4 * made.std() / np.sqrt(agents))


# -------------------------------------------------------------- what lesson 20 says of few seeds

MANY = 20_000


def failing_runs(rng, *shape):
    """15 % fail."""
    failed = rng.random(shape) < 0.15
    return np.where(failed, rng.normal(-1_000, 100, shape), rng.normal(-140, 8, shape))


def spreads(rng, draw, runs):
    """Standard deviations of mean, median and interquartile mean of so many runs."""
    scores = draw(rng, MANY, runs)
    middle = stats.trim_mean(scores, 0.25, axis=1)
    return np.array([scores.mean(axis=1).std(), np.median(scores, axis=1).std(), middle.std()])


# Errors of these standard deviations: 1 % where runs are normal, 3 % where most of them comes of few.
@pytest.mark.full
@pytest.mark.parametrize("seed", SEEDS)
def test_why_the_interquartile_mean(seed):
    rng = np.random.default_rng(seed)
    assert spreads(rng, failing_runs, 5) == pytest.approx([138, 124, 126], rel=0.06)
    assert spreads(rng, failing_runs, 10) == pytest.approx([98, 44, 77], rel=0.1)
    normal = spreads(rng, lambda rng, *shape: rng.normal(size=shape), 10)
    assert normal == pytest.approx([0.317, 0.372, 0.337], rel=0.03)
    many = failing_runs(rng, 400_000)
    assert interquartile_mean(many) == pytest.approx(-142, abs=0.5)
    assert many.mean() == pytest.approx(-269, abs=3)


def covered(rng, draw, mean, runs, statistic, repetitions=400, draws=300):
    """How often a 95 % interval of so many runs holds what it should."""
    hits = 0
    for _ in range(repetitions):
        low, high = bootstrap_interval(draw(rng, runs, 1), rng, statistic, 0.95, draws)
        hits += low <= mean <= high
    return hits / repetitions


def normal(rng, *shape):
    return rng.normal(size=shape)


@pytest.mark.full
@pytest.mark.parametrize("seed", SEEDS)
def test_how_wrong_a_95_percent_interval_is(seed):
    rng = np.random.default_rng(seed)
    # A share of 400 has an error of 0.02 at most, here and in what is written: three of both together.
    shares = [covered(rng, normal, 0.0, n, np.mean) for n in (3, 5, 10, 20, 50)]
    assert shares == pytest.approx([0.73, 0.80, 0.91, 0.92, 0.93], abs=0.085)
    shares = [covered(rng, normal, 0.0, n, interquartile_mean) for n in (3, 5, 10, 20)]
    assert shares == pytest.approx([0.69, 0.90, 0.94, 0.94], abs=0.085)
    mean = 0.15 * -1_000 + 0.85 * -140
    shares = [covered(rng, failing_runs, mean, n, np.mean) for n in (3, 5, 10, 20, 50)]
    assert shares == pytest.approx([0.38, 0.57, 0.80, 0.89, 0.94], abs=0.085)


def rejected(rng, n, m, spread_x=1.0, spread_y=1.0, apart=0.0, repetitions=4_000):
    """The shares of Welch's and of Student's tests with p < 5 %."""
    x = rng.normal(apart, spread_x, size=(repetitions, n))
    y = rng.normal(0.0, spread_y, size=(repetitions, m))
    welch = np.mean([two_sided_p(*welch_t(a, b)) < 0.05 for a, b in zip(x, y, strict=True)])
    return welch, np.mean(stats.ttest_ind(x, y, axis=1).pvalue < 0.05)


@pytest.mark.full
@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_tests_of_two_agents_do(seed):
    rng = np.random.default_rng(seed)
    # Shares of 4,000 have errors of 0.0035 at 5 % and 0.008 at a half: three of them, and rounding.
    assert rejected(rng, 5, 5) == pytest.approx((0.044, 0.049), abs=0.012)
    welch, student = rejected(rng, 20, 5, 1.0, 5.0)
    assert welch == pytest.approx(0.052, abs=0.012) and student == pytest.approx(0.345, abs=0.03)
    power = [rejected(rng, n, n, apart=1.0)[0] for n in (3, 5, 10, 17, 20)]
    assert power == pytest.approx([0.12, 0.27, 0.57, 0.80, 0.87], abs=0.03)


@pytest.mark.full
@pytest.mark.parametrize("seed", SEEDS)
def test_what_picking_the_best_seeds_adds(seed):
    runs = np.sort(np.random.default_rng(seed).normal(size=(MANY, 10)), axis=1)
    assert runs[:, 5:].mean() == pytest.approx(0.74, abs=0.015)
    fives = np.random.default_rng(seed + 10).normal(size=(MANY, 5))
    assert fives.max(axis=1).mean() == pytest.approx(1.16, abs=0.02)
