"""Lesson 06's claims, over more seeds and worlds than it has time for; Sutton & Barto's figures 9.1, 9.2, 9.5."""

from types import SimpleNamespace

import numpy as np
import pytest
from running import left_by

from rlcourse.values import features, linear

pytestmark = pytest.mark.full  # what the lesson says of its experiments, run again

SEEDS = range(1000, 1006)


@pytest.fixture(scope="module")
def lesson():
    return SimpleNamespace(**left_by("06"))


def learned(lesson, learn, x, step_size, episodes, seeds=SEEDS):
    """Weights (seeds, k) and errors (seeds, 1) after so many episodes."""
    runs = [lesson.walked(learn, x, step_size, episodes, seed) for seed in seeds]
    return np.array([w for w, _ in runs]), np.array([errors for _, errors in runs])


def random_world(rng, n_states=6, n_features=3):
    """A chain without ends, its stationary distribution, rewards and features."""
    chain = rng.dirichlet(np.ones(n_states), size=n_states)
    mu = np.linalg.matrix_power(chain, 400)[0]
    return chain, mu, rng.normal(size=n_states), rng.normal(size=(n_states, n_features))


def test_figure_9_1_the_book_s_distribution_and_its_staircase(lesson):
    """The book: 1.37 % of the time at the start, 0.17 % beside it, 0.0147 % at the ends; a factor over 3 in group 1."""
    share = lesson.mu
    assert round(100 * share[500], 2) == 1.37
    assert [round(100 * share[s], 2) for s in (499, 501)] == [0.17, 0.17]
    assert [round(100 * share[s], 4) for s in (0, 999)] == pytest.approx([0.0147, 0.0147], abs=1e-4)
    assert 3 < share[99] / share[0] < 3.3
    w, _ = learned(lesson, linear.gradient_mc, lesson.groups, 2e-4, 3000)
    error = w.std(axis=0, ddof=1) / np.sqrt(len(SEEDS))
    # 3000 walks have forgotten w = 0 in all but e^-2.4 of the rarest group: from the fifth on, in all.
    assert np.all(np.abs(w.mean(axis=0) - lesson.best)[3:7] < 4 * error[3:7] + 0.01)
    assert np.all(np.diff(w.mean(axis=0)) > 0)


def test_gradient_monte_carlo_leans_inwards_where_groups_are_unevenly_visited(lesson):
    """The lean of the outer stairs, from the mean step: SGD's mean is the best fit by μ, not the plain mean."""
    n, x = lesson.visits, lesson.groups
    w = np.zeros(10)
    for _ in range(200_000):
        w = w + 2e-3 * (x.T @ (n * lesson.truth) - (n @ x) * w)
    np.testing.assert_allclose(w, lesson.best, atol=1e-6)
    means = lesson.truth.reshape(10, 100).mean(axis=1)
    assert w[0] - means[0] > 0.01 and means[-1] - w[-1] > 0.01


def test_a_longer_step_ends_where_its_last_walks_take_it(lesson):
    """2000 walks at 10⁻³ beside 3000 at 2·10⁻⁴: what is left is the noise of the last ones, and its luck."""
    ends = {
        alpha: learned(lesson, linear.gradient_mc, lesson.groups, alpha, walks, SEEDS[:4])[1][:, -1]
        for alpha, walks in ((2e-4, 3000), (1e-3, 2000))
    }
    assert ends[1e-3].mean() > 1.1 * ends[2e-4].mean()
    assert np.ptp(ends[1e-3]) > np.ptp(ends[2e-4])


def test_td_hovers_around_its_fixed_point_the_closer_the_smaller_the_step(lesson):
    distance = {}
    for alpha in (0.1, 0.01):
        w, _ = learned(lesson, linear.semi_gradient_td, lesson.groups, alpha, 2000, SEEDS[:3])
        distance[alpha] = np.abs(w - lesson.stands).max(axis=1)
    assert distance[0.1].min() > distance[0.01].max()


def test_with_a_group_for_each_state_nothing_is_paid(lesson):
    table = np.eye(1000)
    np.testing.assert_allclose(lesson.best_weights(table), lesson.truth, atol=1e-9)
    np.testing.assert_allclose(lesson.fixed_point(table), lesson.truth, atol=1e-9)


def test_lstd_without_the_mask_is_worse_the_more_it_sees_and_only_the_ridge_holds_it(lesson):
    errors = {1.0: [], 1e-3: []}
    for seed in range(1000, 1016):
        (s, rewards, s_next, _), ends = lesson.logged(300, seed)
        for ridge, rows in errors.items():
            row = []
            for n in (ends[k - 1] for k in (10, 100, 300)):
                steps = lesson.groups[s[:n]], rewards[:n], lesson.groups[s_next[:n]]
                w = linear.lstd(*steps, np.zeros(n), 1.0, ridge)
                row.append(lesson.value_error(lesson.groups @ w))
            rows.append(row)
    few, more, most = np.mean(errors[1.0], axis=0)
    assert most > 1.4 * more > 1.4 * few
    ratio = np.mean(errors[1e-3]) / np.mean(
        errors[1.0]
    )  # the constant is most of it, and goes like 1 / ridge
    assert 800 < ratio < 1200


def test_the_conditions_of_the_two_bases(lesson):
    for order, least in ((5, 1e7), (10, 1e14), (20, 1e16)):
        cond = {}
        for basis in ("polynomial", "fourier"):
            x = features.basis_features(lesson.place, order, basis)
            cond[basis] = np.linalg.cond(x.T @ (lesson.visits[:, None] * x))
        assert cond["fourier"] < 20 < least < cond["polynomial"]


def test_figure_9_2_td_ends_at_its_fixed_point_not_at_the_best_fit(lesson):
    w, _ = learned(lesson, linear.semi_gradient_td, lesson.groups, 0.01, 2000)
    error = w.std(axis=0, ddof=1) / np.sqrt(len(SEEDS))
    assert np.all(np.abs(w.mean(axis=0) - lesson.stands) < 4 * error + 0.01)
    # The book's left panel: the ends of TD's staircase stay well inside the true values' stairs.
    assert np.all(np.abs(w[:, [0, -1]]).max(axis=0) < np.abs(lesson.best[[0, -1]]))
    errors = {
        k: [lesson.value_error(v) for v in stairs.values()] for k, stairs in lesson.stairs.items()
    }
    gaps = [fixed - best for k, (best, fixed) in errors.items() if k >= 5]
    assert all(gap > 0 for gap in gaps) and gaps == sorted(gaps, reverse=True)


def test_figure_9_2_right_a_middle_n_is_best_and_a_larger_n_wants_a_smaller_step(lesson):
    """The book's axis runs from 0.25 to 0.55: n = 4 lies lowest, under 0.3; without learning it is 0.54."""
    alphas = np.arange(0, 1.01, 0.1)
    u = {
        n: np.mean([lesson.n_step_errors(n, alphas, seed) for seed in range(1000, 1015)], axis=0)
        for n in (1, 2, 4, 8, 16, 32, 64, 512)
    }
    lowest = {n: errors.min() for n, errors in u.items()}
    assert min(lowest, key=lowest.get) == 4 and 0.25 < lowest[4] < 0.3
    assert 0.3 < lowest[1] < 0.4 and 0.45 < lowest[512] < 0.55
    best = [alphas[errors.argmin()] for errors in u.values()]
    assert best == sorted(best, reverse=True) and best[0] >= 0.7
    assert np.allclose([errors[0] for errors in u.values()], 0.543, atol=1e-3)


def test_figure_9_5_fourier_is_ahead_of_polynomials(lesson):
    """The book's bands: after 2000 walks Fourier near 0.1 and below, polynomials above it at either order."""
    for order, seeds in ((5, SEEDS), (10, SEEDS[:3])):
        ends = {}
        for basis, alpha in (("polynomial", 1e-4), ("fourier", 5e-5)):
            x = features.basis_features(lesson.place, order, basis)
            ends[basis] = learned(lesson, linear.gradient_mc, x, alpha, 2000, seeds)[1][:, -1]
        assert np.all(ends["fourier"] < ends["polynomial"])
        assert ends["fourier"].mean() < 0.13 < ends["polynomial"].mean() < 0.25


def test_semi_gradient_td_misses_exactly_the_targets_part(lesson):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        w, x, x_next = rng.normal(size=(3, 4))
        r, d, gamma = rng.normal(), seed % 2, 0.9
        half = lesson.semi_gradient_td_update(w, x, r, x_next, d, gamma, 1.0) - w
        slopes = [
            (
                (r + gamma * (1 - d) * x_next @ (w + e) - x @ (w + e)) ** 2
                - (r + gamma * (1 - d) * x_next @ (w - e) - x @ (w - e)) ** 2
            )
            / 4e-5
            for e in 1e-5 * np.eye(4)
        ]
        delta = r + gamma * (1 - d) * x_next @ w - x @ w
        np.testing.assert_allclose(
            -np.array(slopes), half - delta * gamma * (1 - d) * x_next, atol=1e-6
        )


def test_residual_gradients_are_too_flat_and_the_reason_is_the_noise(lesson):
    """E δ² = (E δ)² + the variance of what follows, on random chains; and its least is where the lesson says."""
    for seed in SEEDS:
        chain, _, r, x = random_world(np.random.default_rng(seed))
        w = np.random.default_rng(seed).normal(size=3)
        v = x @ w
        delta = r[:, None] + 0.9 * v - v[:, None]  # of every pair s, s'
        mean = (chain * delta).sum(axis=1)
        noise = 0.81 * ((chain * v**2).sum(axis=1) - (chain @ v) ** 2)
        np.testing.assert_allclose((chain * delta**2).sum(axis=1), mean**2 + noise)
    (s, rewards, s_next, over), _ = lesson.logged(4000, 0)
    x = lesson.groups[s]
    change = x - np.where(over[:, None], 0.0, lesson.groups[s_next])
    sampled = np.linalg.solve(change.T @ change, change.T @ rewards)
    np.testing.assert_allclose(sampled, lesson.residual_weights(lesson.groups), atol=0.03)


def test_the_small_worlds_residual_values_are_a_half_three_quarters_and_a_quarter():
    rows = np.array([[1, -1, 0], [1, 0, -1], [0, 1, 0], [0, 0, 1]], dtype=float)  # x − x'
    w = np.linalg.lstsq(rows, np.array([0.0, 0, 1, 0]), rcond=None)[0]
    np.testing.assert_allclose(w, [0.5, 0.75, 0.25])


def test_the_bound_holds_and_the_matrix_is_positive_on_policy_only():
    negative = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        chain, mu, r, x = random_world(rng)
        gamma = rng.uniform(0.5, 0.99)
        v = np.linalg.solve(np.eye(6) - gamma * chain, r)
        a = (x.T * mu) @ (x - gamma * chain @ x)
        fixed = x @ np.linalg.solve(a, x.T @ (mu * r))
        best = x @ np.linalg.lstsq(np.sqrt(mu)[:, None] * x, np.sqrt(mu) * v, rcond=None)[0]
        errors = [mu @ (v - y) ** 2 for y in (fixed, best)]
        assert errors[0] <= errors[1] / (1 - gamma**2) * (1 + 1e-9)
        for _ in range(20):
            y = rng.normal(size=6)
            assert mu @ (chain @ y) ** 2 <= mu @ y**2 * (1 + 1e-12)
        assert np.linalg.eigvalsh(a + a.T)[0] > 0
        other = rng.dirichlet(np.full(6, 0.2))
        off = (x.T * other) @ (x - gamma * chain @ x)
        negative += np.linalg.eigvalsh(off + off.T)[0] < 0
    assert negative > 20  # with other shares of time it may be anything


def test_lstd_needs_no_step_size_and_does_not_beat_the_best_one(lesson):
    (lstd,) = (
        np.mean(runs, axis=0) for name, runs in lesson.race.items() if name.startswith("LSTD")
    )
    td = [np.mean(runs, axis=0) for name, runs in lesson.race.items() if name.startswith("TD(0)")]
    assert len(td) == 3
    assert np.all(np.diff(lstd) < 0)
    assert abs(lstd[-1] - lesson.value_error(lesson.groups @ lesson.stands)) < 0.01
    assert np.all(np.min(td, axis=0)[1:] < lstd[1:] + 0.01)
    assert td[0][1] > lstd[1] and td[2][-1] > lstd[-1]  # too short, too long


def test_without_the_mask_values_leave_the_range_of_the_rewards(lesson):
    for seed in SEEDS[:4]:
        rng = np.random.default_rng(seed)
        env = lesson.EndsAreCuts(rng)
        w = linear.semi_gradient_td(
            env, lesson.policy, lesson.groups.__getitem__, np.zeros(10), 300, 0.1, 1.0, rng
        )
        assert w[0] < -1.5 and w[-1] > 1.5


def test_a_large_ridge_pulls_the_weights_towards_0(lesson):
    (s, rewards, s_next, over), _ = lesson.logged(300, 7)
    steps = lesson.groups[s], rewards, lesson.groups[s_next], over, 1.0
    none, small, large = (linear.lstd(*steps, ridge) for ridge in (0.0, 1e-3, 100.0))
    assert np.abs(small - none).max() < 1e-3
    assert np.abs(large).max() < 0.7 * np.abs(none).max()


def test_the_wrong_waves(lesson):
    """cos 2πis is the same at both ends; without π the fit is hardly worse."""
    smallest = {}
    for name, factor in (("π", np.pi), ("2π", 2 * np.pi), ("1", 1.0)):
        x = np.cos(factor * np.outer(lesson.place, np.arange(6)))
        smallest[name] = lesson.value_error(x @ lesson.best_weights(x))
    assert smallest["2π"] > 40 * smallest["π"] and smallest["1"] < 2 * smallest["π"]
