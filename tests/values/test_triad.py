"""The mean update, its largest step size and Baird's world, against simulation and closed forms; logs and the network."""

import gymnasium as gym
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rlcourse.values import features, fitted_q, linear, mountain_car, triad


def random_problem(seed, n=6, k=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, k)), rng.dirichlet(np.ones(n), size=n), rng.dirichlet(np.ones(n))


def test_the_matrix_is_the_mean_of_sampled_updates():
    x, P, d = random_problem(0)
    rng, gamma = np.random.default_rng(1), 0.9
    w, r = rng.normal(size=3), rng.normal(size=6)
    mean = sum(
        d[s] * P[s, t] * (linear.semi_gradient_td_update(w, x[s], r[s], x[t], 0, gamma, 1.0) - w)
        for s in range(6)
        for t in range(6)
    )
    assert_allclose(mean, x.T @ (d * r) - triad.update_matrix(x, P, d, gamma) @ w)


@pytest.mark.parametrize("seed", range(8))
def test_the_largest_step_is_where_the_spectral_radius_is_one(seed):
    x, P, d = random_problem(seed)
    for shares in (d, triad.stationary_distribution(P)):
        A = triad.update_matrix(x, P, shares, 0.95)
        limit = triad.largest_step_size(x, P, shares, 0.95)
        radius = [np.abs(np.linalg.eigvals(np.eye(3) - a * A)).max() for a in (1e-6, limit)]
        if limit == 0:
            assert radius[0] > 1
        else:
            assert radius[0] < 1
            assert np.isclose(radius[1], 1)


def test_two_states_by_hand():
    """S&B §11.2: values w and 2w; only the first updated: A = 1 − 2γ; only the second: 4(1 − γ)."""
    x, P = np.array([[1.0], [2.0]]), np.array([[0.0, 1.0], [0.0, 1.0]])
    first, second = np.eye(2)
    assert_allclose(triad.largest_step_size(x, P, first, 0.3), 2 / (1 - 0.6))
    assert triad.largest_step_size(x, P, first, 0.6) == 0.0
    assert_allclose(triad.largest_step_size(x, P, second, 0.9), 2 / (4 * 0.1))


def test_the_policys_own_shares_always_allow_a_step():
    for seed in range(200):
        x, P, _ = random_problem(seed)
        assert triad.largest_step_size(x, P, triad.stationary_distribution(P), 0.99) > 0


def test_stationary_distribution():
    _, P, _ = random_problem(3)
    mu = triad.stationary_distribution(P)
    assert_allclose(mu, np.linalg.matrix_power(P, 200)[0], atol=1e-12)
    assert_allclose(triad.stationary_distribution(np.array([[0.0, 1.0], [0.0, 1.0]])), [0, 1], atol=1e-12)  # fmt: skip


def test_bairds_values_are_those_of_the_books_sweeps():
    values = triad.baird_values(1000)
    assert_allclose(values, linear.baird(1000) @ triad.baird_features().T, rtol=1e-9)
    assert np.abs(values[-1]).max() > 600 > 12 == np.abs(values[0]).max()


@pytest.mark.parametrize("leg", ["bootstrapping", "off_policy", "shared"])
def test_any_leg_removed_and_it_holds(leg):
    """All three closed: without bootstrapping and in a table by powers, on-policy by one weight's decay."""
    n, alpha, gamma = 3000, 0.01, 0.99
    values = triad.baird_values(n, alpha, gamma, **{leg: False})
    x, start = triad.baird_features(), triad.baird_features() @ triad.START
    if leg == "bootstrapping":
        exact = np.linalg.matrix_power(np.eye(7) - alpha / 7 * x @ x.T, n) @ start
    elif leg == "shared":
        backup = np.eye(7) - alpha / 7 * (np.eye(7) - gamma * triad.SOLID)
        exact = np.linalg.matrix_power(backup, n) @ start
    else:
        last = start[6] * (1 - alpha * (1 - gamma) * 5) ** n  # ‖x‖² = 5
        # w moved along x_7 alone, by (v_7 − 12) / 5; the others hold 2 w_8's share of it.
        exact = np.append(start[:6] + 2 * (last - start[6]) / 5, last)
    assert_allclose(values[-1], exact, atol=1e-9)


def test_a_copy_for_ever_is_regression_on_still_labels():
    """Never copied again, the values go to the first labels, γ·12 everywhere."""
    values = triad.baird_values(60_000, copy_every=10**9)
    assert_allclose(values[-1], 0.99 * 12, atol=0.05)


# --- Mountain Car as data -------------------------------------------------------------------------


def test_a_log_of_everywhere_is_the_worlds_equations():
    """S&B Example 10.1: v + 0.001 a − 0.0025 cos 3p, bounded; an elastic left wall; the goal at 0.5."""
    log = mountain_car.log_of_everywhere(2000, np.random.default_rng(0))
    p, v = log.obs.T
    v2 = np.clip(v + (log.action - 1) * 0.001 - 0.0025 * np.cos(3 * p), -0.07, 0.07)
    p2 = np.clip(p + v2, -1.2, 0.6)
    v2 = np.where((p2 <= -1.2) & (v2 < 0), 0.0, v2)
    assert_allclose(log.next_obs, np.stack([p2, v2], axis=1), atol=1e-6)
    assert np.array_equal(log.terminated, (p2 >= 0.5) & (v2 >= 0)) and log.terminated.any()
    assert np.all(log.reward == -1) and set(log.action) == {0, 1, 2}
    assert np.abs(log.obs.mean(axis=0) - [-0.3, 0.0]).max() < 0.05


def test_a_log_of_chance_goes_on_from_where_it_was():
    log = mountain_car.log_of_chance(450, np.random.default_rng(0))
    follows = np.all(log.obs[1:] == log.next_obs[:-1], axis=1)
    assert list(np.flatnonzero(~follows) + 1) == [200, 400]
    assert np.all((log.obs[[0, 200, 400], 0] >= -0.6) & (log.obs[[0, 200, 400], 0] <= -0.4))


def test_a_drive_that_pushes_along_its_velocity_arrives():
    def along(obs):
        return np.array([[0.0, -1.0, 0.0]]) + np.array([[0.0, 0.0, 1.0]]) * np.sign(obs[0, 1])

    lengths = mountain_car.drive(along, 3, seed=0)
    assert lengths.shape == (3,) and lengths.max() < 200
    assert np.array_equal(mountain_car.drive(lambda obs: np.eye(3)[[1]], 2, seed=0), [500, 500])


def test_the_loop_moves_only_active_tiles_as_the_update_says():
    """Against the book's box written for active tiles: no dense features, no copies."""
    env = gym.make("MountainCar-v0", max_episode_steps=300)
    low, high = env.observation_space.low, env.observation_space.high

    def active(obs):
        return features.tile_indices(obs[None], low, high, 4, 4)[0]

    env.reset(seed=5)
    got, lengths = linear.semi_gradient_sarsa(env, active, 100, 3, 0.1, 1.0, 0.1, np.random.default_rng(5))  # fmt: skip

    env.reset(seed=5)
    rng, w = np.random.default_rng(5), np.zeros((3, 100))

    def choose(on):
        if rng.random() < 0.1:
            return int(rng.integers(3))
        q = w[:, on].sum(axis=1)
        return int(rng.choice(np.flatnonzero(q == q.max())))

    for episode in range(3):
        on, over, n = active(env.reset()[0]), False, 0
        a = choose(on)
        while not over:
            obs, r, terminated, truncated, _ = env.step(a)
            following = active(obs)
            b = choose(following)
            future = 0.0 if terminated else w[b, following].sum()
            w[a, on] += 0.1 * (r + future - w[a, on].sum())
            on, a, over, n = following, b, terminated or truncated, n + 1
        assert n == lengths[episode]
    assert_allclose(got, w, atol=1e-9)


# --- fitted Q -------------------------------------------------------------------------------------


def test_the_networks_gradients_by_finite_differences():
    rng = np.random.default_rng(0)
    network = fitted_q.SmallNetwork(2, 3, 5, rng)
    network.weights = [rng.normal(size=w.shape) for w in network.weights]
    obs, action, y = rng.normal(size=(7, 2)), rng.integers(3, size=7), rng.normal(size=7)

    def loss():
        return np.mean((network.q(obs)[np.arange(7), action] - y) ** 2)

    for w, g in zip(network.weights, network.gradients(obs, action, y), strict=True):
        for place in np.ndindex(w.shape):
            middle = w[place]
            w[place] = middle + 1e-6
            above = loss()
            w[place] = middle - 1e-6
            below, w[place] = loss(), middle
            assert np.isclose((above - below) / 2e-6, g[place], atol=1e-7)


def test_the_network_fits_and_its_steps_are_adams():
    rng = np.random.default_rng(1)
    network = fitted_q.SmallNetwork(2, 2, 16, rng)
    obs, action = rng.uniform(-1, 1, size=(200, 2)), rng.integers(2, size=200)
    y = np.sin(2 * obs[:, 0]) * (1 + action) + obs[:, 1]
    before = [w.copy() for w in network.weights]
    gradients = network.gradients(obs, action, y)
    network.fit(obs, action, y, 1)
    for old, new, g in zip(before, network.weights, gradients, strict=True):
        assert_allclose(new, old - 0.01 * g / (np.abs(g) + 1e-8), atol=1e-9)  # Adam's first step
    network.fit(obs, action, y, 1500)
    assert np.mean((network.q(obs)[np.arange(200), action] - y) ** 2) < 0.01 * y.var()


def test_neural_fitted_q_finds_the_values_of_a_small_world():
    """Four states in a row, to the left or right; the end pays: γ^steps, as one-hot rows."""
    s, a = (index.ravel() for index in np.indices((4, 2)))
    after = np.clip(s + 2 * a - 1, 0, 3)
    over = (s == 3) & (a == 1)
    log = mountain_car.Transitions(np.eye(4)[s], a, over * 1.0, np.eye(4)[after], over)
    q = np.zeros((4, 2))
    for _ in range(100):
        q[s, a] = over + 0.8 * np.where(over, 0.0, q[after].max(axis=1))
    seen = []
    network = fitted_q.neural_fitted_q(
        log, 2, 0.8, 60, np.random.default_rng(0), steps=60, look=lambda k, q: seen.append(k)
    )
    assert_allclose(network.q(np.eye(4)), q, atol=0.05)
    assert seen == list(range(1, 61))


def test_fitted_q_takes_another_target_and_another_fit():
    log = mountain_car.log_of_everywhere(200, np.random.default_rng(0))
    called = []

    def target(r, q_next, d, gamma):
        called.append("target")
        return np.full(len(r), -3.0)

    def fit(x, y):
        called.append("fit")
        return np.full(x.shape[1], y.mean())

    w = fitted_q.fitted_q_iteration(log, lambda o: np.ones((len(o), 2)), 3, 0.9, 2, target=target, fit=fit)  # fmt: skip
    assert_allclose(w, -3.0)
    assert called == ["target", "fit", "fit", "fit"] * 2


def test_mountain_car_takes_tiles_and_update():
    seen = []

    def tiles(*given):
        seen.append("tiles")
        return features.tile_indices(*given)

    def update(*given):
        seen.append("update")
        return linear.semi_gradient_sarsa_update(*given)

    looks = []
    lengths = linear.mountain_car(
        2, 0, max_steps=50, tiles=tiles, update=update, look=lambda k, w: looks.append((k, w.shape))
    )
    assert seen.count("update") == lengths.sum() == 100 and seen.count("tiles") == 102
    assert looks == [(1, (3, 648)), (2, (3, 648))]
