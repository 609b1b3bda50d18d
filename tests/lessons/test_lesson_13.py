"""What lesson 13 says of its experiments, over more seeds and draws than it has room for."""

import math

import numpy as np
import pytest
import torch
from running import left_by

from rlcourse.continuous import stein

pytestmark = pytest.mark.full

GOAL = torch.tensor([2.0, -1.0])


@pytest.fixture(scope="module")
def lesson():
    return left_by("13")


def climbed(
    height, estimator, seeds=range(100, 120), batch=8, step_size=0.02, steps=300, lower=0.0
):
    """Distances from the top, (seeds, steps + 1), and the last log σ, (seeds, 2)."""
    ends, widths = [], []
    for seed in seeds:
        xi = torch.randn(steps, batch, 2, generator=torch.Generator().manual_seed(seed))
        means, log_stds = stein.fit_policy(
            lambda a: height - lower - (a - GOAL).square().sum(-1),
            torch.zeros(2), torch.zeros(2), xi, step_size, estimator,
        )  # fmt: skip
        ends.append((means - GOAL).norm(dim=1).numpy())
        widths.append(log_stds[-1].numpy())
    return np.array(ends), np.array(widths)


@pytest.fixture(scope="module")
def climbs():
    return {
        (c, estimator): climbed(c, estimator)
        for c in (0.0, 10.0)
        for estimator in ("score", "pathwise")
    }


def test_both_estimators_arrive_where_the_height_is_0_the_pathwise_one_nearer(climbs):
    score, path = climbs[0.0, "score"][0], climbs[0.0, "pathwise"][0]
    assert np.median(path[:, -50:]) < np.median(score[:, -50:]) < 0.06
    assert (score[:, -1] < 0.15).all() and (path[:, -1] < 0.05).all()
    for estimator in ("score", "pathwise"):
        assert np.exp(np.median(climbs[0.0, estimator][1])) == pytest.approx(0.2, abs=0.02)


def test_a_height_of_10_changes_nothing_for_the_slope_and_throws_the_score_function_off(climbs):
    score, path = climbs[10.0, "score"][0], climbs[10.0, "pathwise"][0]
    np.testing.assert_allclose(path, climbs[0.0, "pathwise"][0], atol=1e-4)
    assert np.nanmedian(score[:, -50:]) > 0.8
    assert np.nanmedian(np.nanmin(score, axis=1)) < 0.2, "it has been near"


def test_the_distance_at_rest_is_what_the_balance_of_noise_and_pull_says(climbs):
    """(13.27) with v = 24σ² (by hand, c = 0, two dimensions), 4σ² and c²/σ²."""
    v_of = {
        (0.0, "score"): lambda s: 24 * s**2,
        (0.0, "pathwise"): lambda s: 4 * s**2,
        (10.0, "score"): lambda s: 100 / s**2,
    }
    for key, v in v_of.items():
        off, log_stds = climbs[key]
        sigma = math.exp(np.nanmedian(log_stds))
        says = math.sqrt(2 * math.log(2) * 0.02 * v(sigma) / (4 * 0.98 * 8))
        assert np.nanmedian(off[:, -50:]) == pytest.approx(says, rel=0.4), key


def test_more_draws_or_a_baseline_or_a_smaller_step_help_as_much_as_the_balance_says():
    few = np.nanmedian(climbed(10.0, "score", range(10))[0][:, -50:])
    more = np.nanmedian(climbed(10.0, "score", range(10), batch=64)[0][:, -50:])
    many = np.nanmedian(climbed(10.0, "score", range(5), batch=512)[0][:, -50:])
    assert 1.5 < few / more < 5 and 1.5 < more / many < 5
    lowered = np.nanmedian(climbed(10.0, "score", range(10), lower=9.9)[0][:, -50:])
    assert lowered < 0.05
    slow = climbed(10.0, "score", range(4), step_size=0.002, steps=3000)[0]
    assert np.nanmedian(slow[:, -500:]) < few / 2


def test_the_lesson_s_own_climbs_end_as_its_text_says(lesson):
    ends = lesson["ends"]
    assert ends[0.0, "pathwise"] < 0.02 < ends[0.0, "score"] < 0.05 and ends[10.0, "score"] > 0.8
    changed = np.nanmedian(lesson["distances"](lesson["changed"][0])[:, -1])
    assert 0.3 < changed < ends[10.0, "score"], "64 draws do not save it"
    off = lesson["off"][lesson["one_seed"]]
    assert np.nanmin(off) < 0.1 < 1 < off[-1]


def test_the_ratio_of_variances_grows_with_the_dimension():
    """By hand, for Q = −|a − g|², |g| = 1, σ = 1, with m = E[Q] = −(D + 1): sums over D components."""

    def exact(D):
        # Q = −(1 + |ξ|² − 2 ξ·g); E[Q²|ξ|²] − |∇|² by the moments of |ξ|² and of (ξ·g)².
        r2, r4, r6 = D, D * (D + 2), D * (D + 2) * (D + 4)
        square = r2 + 2 * r4 + r6 + 4 * r4 / D  # E[(1 + r²)² r² + 4 (ξ·g)² r²]
        return (square - 4) / (4 * D)

    for D, said in ((1, 7.5), (4, 16.5), (16, 100.0), (64, 1157.0)):
        assert exact(D) == pytest.approx(said, rel=0.02)


def test_the_ratio_in_the_lesson_is_that(lesson):
    score, centred = lesson["ratios"].values()
    np.testing.assert_allclose(score, [7.5, 16.5, 100, 1157], rtol=0.12)
    np.testing.assert_allclose(centred, [4.5, 5.3, 11.1, 35.1], rtol=0.12)


def test_variances_by_hand(lesson):
    for height, sigma, said in (
        (0, 1, (30, 18, 4)),
        (10, 1, (50, 18, 4)),
        (100, 1, (9230, 18, 4)),
        (0, 0.1, (114.16, 8.1, 0.04)),
        (0, 0.01, (10_014, 8.001, 0.0004)),
    ):
        measured = lesson["three_variances"](height, math.log(sigma))
        np.testing.assert_allclose(measured, said, rtol=2e-3)


def test_the_score_function_wins_on_a_wave_from_k_between_1_and_one_and_a_quarter(lesson):
    """sin(ka + ½), μ = 0, σ = 1: closed forms of both variances, from E cos(ka) = e^(−k²/2)."""

    def exact(k):
        mean = k * math.exp(-(k**2) / 2) * math.cos(0.5)
        value = 0.5 * (1 - math.cos(1) * (1 - 4 * k**2) * math.exp(-2 * k**2))  # E[sin² ξ²]
        slope = k**2 / 2 * (1 + math.cos(1) * math.exp(-2 * k**2))
        return value - mean**2, slope - mean**2

    for k in (0.5, 1, 2, 4, 12):
        np.testing.assert_allclose(lesson["wave_variances"](k), exact(k), rtol=1e-4)  # 60 nodes
    assert exact(1)[0] > exact(1)[1] and exact(1.25)[0] < exact(1.25)[1]


def test_the_batch_s_own_mean_shrinks_the_gradient_by_1_over_b():
    xi = torch.randn(400_000, 4, generator=torch.Generator().manual_seed(9))
    one, none = torch.zeros(1), torch.zeros(1)
    for b, said in ((xi.mean(1, keepdim=True), 0.75), ((xi.sum(1, keepdim=True) - xi) / 3, 1.0)):
        rows, _ = stein.score_function_gradient(xi.reshape(-1, 1), one, none, (xi - b).reshape(-1))
        assert float(rows.mean()) == pytest.approx(said, abs=0.006)


@pytest.mark.parametrize("seed", range(4))
def test_the_silent_bug_never_moves_the_mean_and_shrinks_the_width(lesson, seed):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)

    def sample(policy):
        return policy.mean + policy.stddev * torch.randn(64, 2, generator=generator)

    stuck = lesson["colleagues_climb"](sample)
    assert np.abs(stuck[:, 0]).max() < 1e-5 and stuck[-1, 1].max() < 0.05
    cured = lesson["colleagues_climb"](lambda policy: sample(policy).detach())
    assert np.linalg.norm(cured[:, 0] - GOAL.numpy(), axis=1).min() < 1


def test_the_actor_learns_the_best_action_from_the_slope_alone(lesson):
    values = [
        float(lesson["known"](lesson["shown"], torch.tensor(a)[:, None]).mean())
        for a in lesson["learned"].values()
    ]
    assert values == sorted(values) and values[0] < -0.3 and values[-1] > -0.01
