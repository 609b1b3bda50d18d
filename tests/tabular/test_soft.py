"""Soft policy iteration against linear algebra by loops, its own lemmas, and the limit α → 0."""

import numpy as np
import pytest

from rlcourse.tabular.dynamic_programming import value_iteration
from rlcourse.tabular.soft import (
    entropy,
    leave_or_stay,
    soft_bellman_backup,
    soft_improvement,
    soft_policy_evaluation,
    soft_policy_iteration,
    soft_value,
)

SHAPES = [(4, 3), (3, 3), (1, 4), (5, 1)]


def random_mdp(rng, n_states, n_actions):
    P = rng.dirichlet(np.ones(n_states), size=(n_states, n_actions))
    R = rng.normal(size=(n_states, n_actions))
    pi = rng.dirichlet(np.ones(n_actions), size=n_states)
    return P, R, pi


def backup_by_loops(q, P, R, pi, gamma, alpha):
    n_states, n_actions = R.shape
    new = np.zeros_like(q)
    for s in range(n_states):
        for a in range(n_actions):
            new[s, a] = R[s, a]
            for t in range(n_states):
                for b in range(n_actions):
                    bonus = alpha * np.log(pi[t, b]) if pi[t, b] > 0 else 0.0
                    new[s, a] += gamma * P[s, a, t] * pi[t, b] * (q[t, b] - bonus)
    return new


def soft_value_iteration(P, R, gamma, alpha, sweeps):
    """The other way to the same fixed point: V = α log Σ exp(Q/α), no policy anywhere."""
    q = np.zeros_like(R)
    for _ in range(sweeps):
        v = alpha * np.logaddexp.reduce(q / alpha, axis=1)
        q = R + gamma * P @ v
    return q


def test_entropy_of_known_distributions():
    p = np.array([[0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0], [0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(entropy(p), [np.log(4), 0, np.log(2)], atol=1e-15)
    assert entropy(np.array([0, 1])) == 0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gamma", [0.0, 0.9])
def test_backup_agrees_with_loops(shape, gamma):
    P, R, pi = random_mdp(np.random.default_rng(1), *shape)
    pi[0] = np.eye(shape[1])[0]
    q = np.random.default_rng(2).normal(size=shape)
    q_before = q.copy()
    new = soft_bellman_backup(q, P, R, pi, gamma, 0.7)
    np.testing.assert_allclose(new, backup_by_loops(q, P, R, pi, gamma, 0.7), rtol=1e-12)
    np.testing.assert_array_equal(q, q_before)


def test_backup_contracts_and_evaluation_is_its_fixed_point():
    rng = np.random.default_rng(3)
    P, R, pi = random_mdp(rng, 6, 4)
    q1, q2 = rng.normal(size=(2, 6, 4))
    gap = np.abs(q1 - q2).max()
    gap_after = np.abs(
        soft_bellman_backup(q1, P, R, pi, 0.9, 0.5) - soft_bellman_backup(q2, P, R, pi, 0.9, 0.5)
    ).max()
    assert gap_after <= 0.9 * gap
    q = np.zeros((6, 4))
    for _ in range(400):
        q = backup_by_loops(q, P, R, pi, 0.9, 0.5)
    np.testing.assert_allclose(soft_policy_evaluation(P, R, pi, 0.9, 0.5), q, rtol=1e-9)


def test_first_step_carries_no_entropy():
    """One state, γ = 0: Q is the reward alone; V has the bonus."""
    pi = np.full((1, 2), 0.5)
    R = np.array([[1.0, 2.0]])
    q = soft_bellman_backup(np.zeros((1, 2)), np.ones((1, 2, 1)), R, pi, 0.0, 3.0)
    np.testing.assert_array_equal(q, R)
    np.testing.assert_allclose(soft_value(q, pi, 3.0), [1.5 + 3 * np.log(2)])


def test_improvement_is_the_best_policy_and_survives_any_size():
    rng = np.random.default_rng(4)
    q = rng.normal(size=(3, 4))
    pi = soft_improvement(q, 0.3)
    np.testing.assert_allclose(pi.sum(axis=1), 1)
    best = soft_value(q, pi, 0.3)
    np.testing.assert_allclose(best, 0.3 * np.log(np.exp(q / 0.3).sum(axis=1)), rtol=1e-12)
    for other in rng.dirichlet(np.ones(4), size=(200, 3)):
        assert (soft_value(q, other, 0.3) <= best + 1e-12).all()
    huge = soft_improvement(np.array([[1e4, 1e4 - 1, -1e4]]), 0.5)
    np.testing.assert_allclose(huge, [[1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2)), 0]], atol=1e-15)


@pytest.mark.parametrize("alpha", [0.05, 0.5, 5.0])
def test_iteration_finds_the_fixed_point_of_soft_value_iteration(alpha):
    P, R, _ = random_mdp(np.random.default_rng(5), 6, 3)
    pi, q, rounds = soft_policy_iteration(P, R, 0.9, alpha, 1e-10)
    oracle = soft_value_iteration(P, R, 0.9, alpha, 400)
    np.testing.assert_allclose(q, oracle, atol=1e-8)
    weight = np.exp((oracle - oracle.max(axis=1, keepdims=True)) / alpha)
    np.testing.assert_allclose(pi, weight / weight.sum(axis=1, keepdims=True), atol=1e-7)
    assert 2 <= rounds < 50


def test_q_never_falls():
    P, R, pi = random_mdp(np.random.default_rng(6), 5, 4)
    q = soft_policy_evaluation(P, R, pi, 0.95, 0.4)
    for _ in range(8):
        pi = soft_improvement(q, 0.4)
        q_new = soft_policy_evaluation(P, R, pi, 0.95, 0.4)
        assert (q_new >= q - 1e-9).all()
        q = q_new


def test_small_temperature_gives_the_hard_values():
    P, R, _ = random_mdp(np.random.default_rng(7), 6, 3)
    hard, _ = value_iteration(P, R, 0.9, 1e-12)
    alpha = 1e-4
    pi, q, _ = soft_policy_iteration(P, R, 0.9, alpha, 1e-10)
    # soft minus hard lies between 0 and the most entropy there is, α log A γ/(1 − γ)
    assert (q >= hard - 1e-9).all()
    assert (q - hard).max() <= alpha * np.log(3) * 9 + 1e-9
    np.testing.assert_allclose(pi, np.eye(3)[hard.argmax(axis=1)], atol=1e-6)


def test_nothing_ever_happening_costs_nothing():
    """An impossible action changes neither entropy nor value, and no −0 comes out of a sure policy."""
    q, pi = np.array([[1.0, -1e5, 2.0]]), np.array([[0.25, 0.0, 0.75]])
    np.testing.assert_array_equal(entropy(pi), entropy(pi[:, [0, 2]]))
    np.testing.assert_array_equal(
        soft_value(q, pi, 0.3), soft_value(q[:, [0, 2]], pi[:, [0, 2]], 0.3)
    )
    assert not np.signbit(entropy(np.eye(3))).any()


def test_values_by_walking_the_tree_of_three_steps():
    """γ so small that four steps are all there is to see: sums over every path, bonus by bonus."""
    P, R, pi = random_mdp(np.random.default_rng(8), 3, 2)
    gamma, alpha = 1e-4, 0.7

    def v(s, depth):
        bonus = -sum(p * np.log(p) for p in pi[s])
        return alpha * bonus + sum(pi[s, a] * q(s, a, depth) for a in range(2))

    def q(s, a, depth):
        later = sum(P[s, a, t] * v(t, depth - 1) for t in range(3)) if depth else 0.0
        return R[s, a] + gamma * later

    solved = soft_policy_evaluation(P, R, pi, gamma, alpha)
    walked = [[q(s, a, 3) for a in range(2)] for s in range(3)]
    np.testing.assert_allclose(solved, walked, atol=1e-13)


@pytest.mark.parametrize("gain", [-2.0, 0.0, 700.0])
@pytest.mark.parametrize("n_stay", [1, 2, 5])
def test_leave_or_stay_satisfies_its_own_equation(gain, n_stay):
    """V = α log Σ e^{Q/α} with V in Q(stay); π = e^{(Q − V)/α}; and a sum over all numbers of rounds."""
    cost, alpha = 1.3, 0.5
    v, p = leave_or_stay(gain, cost, n_stay, alpha)
    q = np.array([gain, *[v - cost] * n_stay])
    assert np.isclose(alpha * np.logaddexp.reduce(q / alpha), v, rtol=1e-12)
    assert np.isclose(np.exp((gain - v) / alpha), p, rtol=1e-9)
    # what is paid, and a bonus for each visit, add up to V
    stays = (1 - p) ** np.arange(4000)
    rounds = (p * stays * np.arange(4000)).sum()
    surprise = -p * np.log(p) - (1 - p) * np.log((1 - p) / n_stay)
    assert np.isclose(gain - cost * rounds + alpha * surprise * (1 + rounds), v, rtol=1e-9)


def test_leave_or_stay_has_its_threshold_where_a_round_pays():
    threshold = 2.0 / np.log(3)
    assert leave_or_stay(1.0, 2.0, 3, threshold * (1 + 1e-9)) == (np.inf, 0.0)
    v, p = leave_or_stay(1.0, 2.0, 3, threshold * (1 - 1e-9))
    assert np.isfinite(v) and 0 < p < 1e-7
    assert leave_or_stay(1.0, 2.0, 1, 1e6)[1] > 0  # one way to stay: none
    assert leave_or_stay(-5.0, 1.0, 4, 1e-3) == (-5.0, 1.0)
