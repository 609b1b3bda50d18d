"""Lesson 07's observations, over its seeds: what the lesson says is what its own cells compute."""

from types import SimpleNamespace

import numpy as np
import pytest
from running import left_by

from rlcourse.values import fitted_q, linear, triad
from rlcourse.values import mountain_car as car

pytestmark = pytest.mark.full  # what the lesson says of its experiments, run again


@pytest.fixture(scope="module")
def lesson():
    return SimpleNamespace(**left_by("07"))


def log_of(n, seed):
    return car.log_of_everywhere(n, np.random.default_rng(seed))


def fitted(log, features, iterations=100):
    w = fitted_q.fitted_q_iteration(log, features, 3, 0.99, iterations)
    return lambda obs: features(obs) @ w.T


def test_the_car_gets_out_with_every_seed():
    for seed in range(2, 5):
        lengths = linear.mountain_car(100, seed)
        assert lengths[90:].mean() < 160 < 600 < lengths[:3].mean()


def test_the_drive_begins_to_the_left(lesson):
    assert lesson.path[0, 0] > lesson.path[5, 0]
    assert lesson.path[:, 0].min() < -0.9


def test_one_tiling_is_slower_and_equal_ones_are_one(lesson):
    for seed in (1, 2):
        eight = linear.mountain_car(40, seed, max_steps=1_000)
        one = linear.mountain_car(40, seed, max_steps=1_000, n_tilings=1, step_size=0.5)
        assert one.mean() > 2 * eight.mean()
        equal = linear.mountain_car(10, seed, max_steps=1_000, tiles=lesson.same_cells)
        assert np.array_equal(equal, one[:10])


def test_a_constant_step_hovers_and_a_falling_one_arrives():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        s = rng.uniform(size=50)
        x = np.cos(np.pi * s[:, None] * np.arange(4))
        v = np.sin(5 * s) + rng.normal(size=50) / 2
        best = linear.least_squares_values(x, v)
        W, distance = np.zeros((2, 4)), []
        for k, n in enumerate(rng.integers(50, size=30_000)):
            alpha = np.array([0.1, 0.1 / (1 + k / 100)])
            W = W + (alpha * (v[n] - W @ x[n]))[:, None] * x[n]
            distance.append(np.abs(W - best).max(axis=1))
        constant, falling = np.mean(distance[-5_000:], axis=0)
        assert constant > 5 * falling
        assert falling < 0.03


def test_every_leg_removed_holds_for_every_discount(lesson):
    for gamma in (0.5, 0.8, 0.9, 0.95, 0.99):
        for name, leg in lesson.legs.items():
            largest = np.abs(triad.baird_values(5_000, gamma=gamma, **leg)).max(axis=1)
            falls = name != "all three on" or gamma < 0.9
            assert (largest[-1] < 12) == falls, (gamma, name)


def test_judging_the_behaviour_and_the_residual_gradient_hold_for_every_discount(lesson):
    for gamma in (0.5, 0.8, 0.9, 0.95, 0.99):
        for name, leg in lesson.ways_out.items():
            largest = np.abs(triad.baird_values(5_000, gamma=gamma, **leg)).max(axis=1)
            assert largest[-1] < largest[1_000] < 12, (gamma, name)


def test_random_shares_may_leave_no_step_size():
    none = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        P, x = rng.dirichlet(np.ones(6), size=6), rng.normal(size=(6, 3))
        assert triad.largest_step_size(x, P, triad.stationary_distribution(P), 0.99) > 0
        none += triad.largest_step_size(x, P, rng.dirichlet(np.ones(6)), 0.99) == 0
    assert 4 < none < 100


def test_only_the_averager_keeps_its_bounds(lesson):
    for seed in range(2):
        log = log_of(3_000, seed)
        values = {name: fitted(log, f)(log.obs) for name, f in lesson.kinds.items()}
        assert -100 < values["one tiling"].min() < values["one tiling"].max() <= -1 + 1e-9
        assert min(values["waves"].max(), values["four tilings"].max()) > 0


def test_ten_thousand_rows_drive_and_are_no_averager(lesson):
    for seed in range(3):
        for rows, most in ((3_000, 300), (10_000, 200)):
            log = log_of(rows, seed)
            w = lesson.fitted_at(log, lesson.four, (10, 100))
            early, late = (lambda obs, w=w[k]: lesson.four(obs) @ w.T for k in (10, 100))
            assert car.drive(early, 3, seed=1).mean() == 500
            assert car.drive(late, 3, seed=1).mean() < most, (seed, rows)
            assert 0 < late(log.obs).max() < 15, (seed, rows)


def test_prepared_regressions_are_the_same_fitted_q_iteration(lesson):
    log = log_of(3_000, 5)
    w = lesson.fitted_at(log, lesson.four, (10,))[10]
    solved = fitted_q.fitted_q_iteration(log, lesson.four, 3, 0.99, 10)
    assert np.allclose(w, solved)


def test_the_waves_drive_by_every_log(lesson):
    for seed in range(4):
        q = fitted(log_of(3_000, seed), lesson.fourier)
        assert car.drive(q, 5, seed=1).mean() < 200


def test_a_network_drives_by_most_logs(lesson):
    means = []
    for seed in range(4):
        log = log_of(1_000, seed)
        log = log._replace(obs=lesson.scaled(log.obs), next_obs=lesson.scaled(log.next_obs))
        network = fitted_q.neural_fitted_q(log, 3, 0.99, 100, np.random.default_rng(seed))
        values = network.q(log.obs)
        assert -100 < values.min() < values.max() < 20
        q = (lambda net: lambda obs: net.q(lesson.scaled(obs)))(network)
        means.append(car.drive(q, 5, seed=1).mean())
    assert np.median(means) < 300


def test_a_log_without_the_goal_sinks_towards_its_bound(lesson):
    features = lesson.kinds["one tiling"]
    for seed in range(2):
        log = car.log_of_chance(3_000, np.random.default_rng(seed))
        assert not log.terminated.any()
        means = [fitted(log, features, k)(log.obs).max(axis=1).mean() for k in (10, 50, 100)]
        assert means[0] > means[1] > means[2] > -100
        assert car.drive(fitted(log, features), 1, seed=seed)[0] == 500


def test_300_rows_diverge_without_an_error_and_3000_do_not(lesson):
    features = lesson.kinds["four tilings"]
    for seed in range(3):
        for rows, diverges in ((300, True), (3_000, False)):
            log = log_of(rows, seed)
            q = fitted(log, features, 60)
            largest = np.abs(q(log.next_obs)).max()
            assert (largest > 1_000) == diverges, (seed, rows, largest)
            assert diverges or largest < 100


def test_the_silent_bug_is_silent_in_the_fit(lesson):
    few, many = lesson.runs[300], lesson.runs[3_000]
    assert few[5:, 0].max() < 0.3 and many[:, 0].max() < 0.1
    assert few[-1, 1] > 1e4 and many[:, 1].max() < 100


def test_the_repairs_keep_300_rows_in_bounds(lesson):
    for seed in range(4):
        log = log_of(300, seed)
        for name in ("waves", "one tiling"):
            values = fitted(log, lesson.kinds[name], 60)(log.next_obs)
            assert np.abs(values).max() < 100, (seed, name)
