"""Linear prediction and control against linear solves, loops, and the figures of Sutton & Barto."""

from collections import namedtuple

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rlcourse.values import features, linear
from rlcourse.values.fitted_q import fitted_q_iteration, fitted_q_targets

Arrays = namedtuple("Arrays", "obs action reward next_obs terminated")


def test_bases_column_by_column():
    s = np.array([0.0, 0.25, 1.0])
    powers, waves = (features.basis_features(s, 2, basis) for basis in ("polynomial", "fourier"))
    assert_allclose(powers, [[1, 0, 0], [1, 0.25, 0.0625], [1, 1, 1]])
    assert_allclose(waves, [[1, 1, 1], [1, 0.5**0.5, 0], [1, -1, 1]], atol=1e-15)
    for basis in ("polynomial", "fourier"):
        assert features.basis_features(np.zeros(0), 3, basis).shape == (0, 4)
        assert_allclose(features.basis_features(s, 0, basis), np.ones((3, 1)))
    with pytest.raises(ValueError, match="not 'tiles'"):
        features.basis_features(s, 2, "tiles")


def test_fourier_columns_are_orthogonal():
    n = 2000
    x = features.basis_features((np.arange(n) + 0.5) / n, 5, "fourier")  # midpoint rule, exact here
    assert_allclose(x.T @ x / n, np.diag([1] + [0.5] * 5), atol=1e-12)


def test_tiles_by_a_loop():
    rng = np.random.default_rng(0)
    low, high, tiles, tilings = np.array([-1.0, 0.0, 2.0]), np.array([1.0, 5.0, 3.0]), 4, 3
    obs = rng.uniform(low - 0.5, high + 0.5, size=(200, 3))
    expected = np.zeros((200, tilings), dtype=int)
    for n, o in enumerate(obs):
        for k in range(tilings):
            index = k
            for j in range(3):
                part = min(max((o[j] - low[j]) / (high[j] - low[j]), 0), 1)
                index = index * (tiles + 1) + int(tiles * part + k / tilings)
            expected[n, k] = index
    got = features.tile_indices(obs, low, high, tiles, tilings)
    assert np.array_equal(got, expected) and got.dtype == np.int64
    x = features.tile_features(obs, low, high, tiles, tilings)
    assert x.shape == (200, tilings * 5**3) and np.all(x.sum(axis=1) == tilings)
    assert np.all(np.take_along_axis(x, got, axis=1) == 1)


def test_blocks_of_actions():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    got = features.state_action_features(x, np.array([2, 0]), 3)
    assert_allclose(got, [[0, 0, 0, 0, 1, 2], [3, 4, 0, 0, 0, 0]])
    assert features.state_action_features(np.zeros((0, 2)), np.zeros(0, int), 3).shape == (0, 6)


def slope(loss, w, eps=1e-6):
    return np.array([(loss(w + eps * e) - loss(w - eps * e)) / (2 * eps) for e in np.eye(len(w))])


@pytest.mark.parametrize("terminated", [0, 1, True, False])
def test_updates_descend_their_squared_error(terminated):
    rng = np.random.default_rng(1)
    w, x, x_next = rng.normal(size=(3, 4))
    before = w.copy()
    got = linear.gradient_mc_episode(w, x[None], np.array([2.5]), 0.3, 0.1)
    assert_allclose(got, w - 0.1 * slope(lambda v: 0.5 * (2.5 - x @ v) ** 2, w), rtol=1e-6)
    y = -1.0 + (0.0 if terminated else 0.9 * (x_next @ w))
    got = linear.semi_gradient_td_update(w, x, -1.0, x_next, terminated, 0.9, 0.1)
    assert_allclose(got, w - 0.1 * slope(lambda v: 0.5 * (y - x @ v) ** 2, w), rtol=1e-6)
    assert np.array_equal(w, before)


def test_an_episode_of_gradient_mc_is_a_chain_of_single_steps():
    rng = np.random.default_rng(6)
    w, x, r = rng.normal(size=3), rng.normal(size=(4, 3)), np.array([2, -1, 0, 3])
    expected = w.copy()
    for t in range(4):
        g = sum(0.5 ** (k - t) * r[k] for k in range(t, 4))
        expected = expected + 0.2 * (g - sum(x[t] * expected)) * x[t]
    before = w.copy()
    assert_allclose(linear.gradient_mc_episode(w, x, r, 0.5, 0.2), expected)
    assert np.array_equal(w, before)


def test_loops_use_the_updates_that_they_are_given():
    env, rng, policy = _walk(3)
    groups = np.eye(10)[np.arange(1000) // 100]
    seen = []

    def episode(w, x, r, gamma, step_size):
        seen.append((x.shape[0], r[-1], gamma, step_size))
        return w + 1

    w = linear.gradient_mc(env, policy, groups.__getitem__, np.zeros(10), 3, 0.5, 1.0, rng, episode)
    assert_allclose(w, 3) and all(abs(last) == 1 for _, last, *_ in seen)
    steps = []

    def update(w, x, r, x_next, terminated, gamma, step_size):
        steps.append(terminated)
        return w + 1

    w = linear.semi_gradient_td(
        env, policy, groups.__getitem__, np.zeros(10), 2, 0.5, 1.0, rng, update
    )
    assert sum(steps) == 2 and steps[-1]
    assert_allclose(w, len(steps))


def test_two_states_fixed_point_is_lstds_and_the_updates():
    """Against LSTD on every kind of step in proportion, and against the mean update itself."""
    rng = np.random.default_rng(7)
    for _ in range(50):
        x, r = rng.normal(size=2) * 2, rng.normal(size=2)
        p, q = rng.integers(1, 11, size=2) / 10
        gamma = rng.choice([0.0, 0.5, 0.9, 1.0])
        w = linear.two_state_fixed_point(x, r, p, q, gamma)
        s, t = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
        often = np.array([q * (1 - p), q * p, p * q, p * (1 - q)])  # of each kind of step
        rows = np.repeat(np.arange(4), np.round(often * 100).astype(int))
        ours = linear.lstd(
            x[s[rows], None], r[s[rows]], x[t[rows], None], np.zeros(len(rows)), gamma, 0.0
        )
        assert_allclose(ours, [w], rtol=1e-8)
        drift = [
            n
            * (
                linear.semi_gradient_td_update(np.array([w]), x[[i]], r[i], x[[j]], 0, gamma, 1.0)
                - w
            )
            for n, i, j in zip(often, s, t, strict=True)
        ]
        assert_allclose(sum(drift), 0, atol=1e-9 * (1 + abs(w)) * 10)


def test_the_worst_two_state_chain_stays_below_the_bound():
    """Tsitsiklis & Van Roy's 1/(1 − γ²), by brute force: VE at the fixed point over the least VE."""
    rng = np.random.default_rng(8)
    gamma, worst = 0.9, 0.0
    for _ in range(2000):
        p, q = rng.uniform(0.01, 1, size=2)
        x, v = rng.normal(size=(2, 2))
        P, mu = np.array([[1 - p, p], [q, 1 - q]]), np.array([q, p]) / (p + q)
        w = linear.two_state_fixed_point(x, v - gamma * P @ v, p, q, gamma)
        least = mu @ (v - x * (mu @ (x * v) / (mu @ x**2))) ** 2
        worst = max(worst, mu @ (v - x * w) ** 2 / least)
    assert 2 < worst <= 1 / (1 - gamma**2)


@pytest.mark.parametrize("terminated", [0, 1])
def test_sarsa_is_td_on_block_features(terminated):
    rng = np.random.default_rng(2)
    w, (x, x_next) = rng.normal(size=(3, 4)), rng.normal(size=(2, 4))
    before = w.copy()
    got = linear.semi_gradient_sarsa_update(w, x, 2, -1.0, x_next, 0, terminated, 0.9, 0.3)
    blocks = [
        features.state_action_features(v[None], np.array([a]), 3)[0]
        for v, a in ((x, 2), (x_next, 0))
    ]
    flat = linear.semi_gradient_td_update(
        w.ravel(), blocks[0], -1.0, blocks[1], terminated, 0.9, 0.3
    )
    assert_allclose(got.ravel(), flat)
    assert np.array_equal(w, before)


def test_lstd_is_exact_on_a_chain_seen_in_proportion():
    P = np.array([[0.5, 0.5, 0], [0.25, 0.25, 0.5], [0.5, 0, 0.5]])
    r = np.array([1.0, -2.0, 0.5])
    rows = [(s, t) for s in range(3) for t in range(3) for _ in range(int(P[s, t] * 4))]
    s, t = np.array(rows).T
    w = linear.lstd(np.eye(3)[s], r[s], np.eye(3)[t], np.zeros(len(s)), 0.9, 0.0)
    assert_allclose(w, np.linalg.solve(np.eye(3) - 0.9 * P, r))
    ended = linear.lstd(np.eye(3)[s], r[s], np.eye(3)[t], np.ones(len(s), bool), 0.9, 0.0)
    assert_allclose(ended, r)


def test_lstd_is_where_expected_td_stands_still():
    rng = np.random.default_rng(3)
    x, x_next = rng.normal(size=(2, 40, 5))
    r, d = rng.normal(size=40), rng.random(40) < 0.2
    w = linear.lstd(x, r, x_next, d, 0.9, 0.0)
    drift = sum(
        linear.semi_gradient_td_update(w, x[n], r[n], x_next[n], d[n], 0.9, 1.0) - w
        for n in range(40)
    )
    assert_allclose(drift, 0, atol=1e-10)


def test_least_squares_is_orthogonal_and_of_least_norm():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(20, 4))
    x[:, 2] = 0
    v = rng.normal(size=20)
    w = linear.least_squares_values(x, v)
    assert_allclose(x.T @ (v - x @ w), 0, atol=1e-12)
    assert abs(w[2]) < 1e-12


def test_fitted_q_finds_the_optimal_values_of_a_table():
    rng = np.random.default_rng(5)
    S, A, gamma = 5, 3, 0.8
    step, R = rng.integers(S, size=(S, A)), rng.normal(size=(S, A))
    over = rng.random((S, A)) < 0.2
    q = np.zeros((S, A))
    for _ in range(300):
        q = R + gamma * np.where(over, 0, q[step].max(axis=2))
    s, a = (g.ravel() for g in np.meshgrid(range(S), range(A), indexing="ij"))
    batch = Arrays(s, a, R[s, a], step[s, a], over[s, a])
    w = fitted_q_iteration(batch, lambda obs: np.eye(S)[obs], A, gamma, 300)
    assert_allclose(w.T, q, atol=1e-10)
    one = fitted_q_iteration(batch, lambda obs: np.eye(S)[obs], A, gamma, 1)
    assert_allclose(one.T, R, atol=1e-12)
    assert not fitted_q_iteration(batch, lambda obs: np.eye(S)[obs], A, gamma, 0).any()


def test_fitted_q_targets_by_hand():
    got = fitted_q_targets(np.array([1, 2]), np.array([[-3.0, -1], [5, 7]]), np.array([0, 1]), 0.5)
    assert_allclose(got, [0.5, 2.0])


# --- the figures of Sutton & Barto --------------------------------------------------------------


def test_the_walks_chain_is_what_the_walk_does():
    P, r = linear.random_walk_chain(12, 3)
    env = linear.RandomWalk(np.random.default_rng(0), 12, 3)
    for s in (0, 1, 5, 11):
        env._s, counts, paid = s, np.zeros(12), []
        for _ in range(4000):
            env._s = s
            s_next, reward, terminated, _, _ = env.step(0)
            counts[s_next] += not terminated
            paid.append(reward)
        assert_allclose(counts / 4000, P[s], atol=0.04)
        assert_allclose(np.mean(paid), r[s], atol=0.04)
    assert_allclose(linear.random_walk_values(12, 3), r + P @ linear.random_walk_values(12, 3))


def test_true_values_of_the_walk():
    v = linear.random_walk_values()
    assert_allclose(v, -v[::-1], atol=1e-12)
    # Example 9.1: nearly linear, from about −0.95 to 0.95 (Figure 9.1's dashed line ends inside ±1).
    assert 0.9 < v[-1] < 1 and np.all(np.diff(v) > 0)


def _walk(seed):
    rng = np.random.default_rng(seed)
    env = linear.RandomWalk(rng)
    return env, rng, lambda s, rng: 0


def test_figure_9_1_gradient_monte_carlo():
    env, rng, policy = _walk(0)
    groups = features.state_aggregation(np.arange(1000), 1000, 10)
    w = linear.gradient_mc(env, policy, lambda s: groups[s], np.zeros(10), 5000, 1e-3, 1.0, rng)
    v = linear.random_walk_values()
    best = np.array([v[100 * i : 100 * i + 100].mean() for i in range(10)])
    # A twentieth of the book's episodes, a step size fifty times its own: every stair within 0.15.
    assert_allclose(w, best, atol=0.15)


def test_figure_9_2_td_stands_where_lstd_says():
    v, groups = (
        linear.random_walk_values(),
        features.state_aggregation(np.arange(1000), 1000, 10),
    )
    env, _, _ = _walk(1)
    xs, rs, ns, ds = [], [], [], []
    for _ in range(2000):
        s, _ = env.reset()
        over = False
        while not over:
            s_next, r, over, _, _ = env.step(0)
            xs.append(groups[s]), rs.append(r), ns.append(groups[s_next]), ds.append(over)
            s = s_next
    w = linear.lstd(np.array(xs), np.array(rs), np.array(ns), np.array(ds), 1.0, 0.0)
    means = v.reshape(10, 100).mean(axis=1)
    # Figure 9.2, left: TD's stairs are flatter than the truth's at both ends.
    assert w[0] > means[0] and w[-1] < means[-1]
    assert np.all(np.diff(w) > 0)


def test_figure_10_2_mountain_car():
    lengths = linear.mountain_car(500, seed=0)
    assert lengths[-50:].mean() <= 160


def test_figure_11_2_baird_diverges():
    path = np.abs(linear.baird(1000))
    assert path[1000].max() > 100 and path[1000].max() > 2 * path[500].max()
