"""Dynamic programming against linear solves, enumeration of all policies, and the book's tables."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from random_mdps import few, problems
from scipy.optimize import linprog

from rlcourse.tabular.dynamic_programming import (
    advantage,
    bellman_backup,
    bellman_optimality_backup,
    crossroads,
    greedy_policy,
    policy_evaluation,
    policy_iteration,
    q_and_advantage,
    q_from_v,
    solve_bellman,
    stopping_bound,
    suboptimality_bound,
    v_from_q,
    value_iteration,
)
from rlcourse.tabular.gridworlds import book_5x5, cliff_walk
from rlcourse.tabular.mdp import (
    discounted_occupancy,
    expected_return,
    policy_transition,
    two_corridors,
)


def value_by_solving(P, R, pi, gamma):
    """V^π from one linear system in Q, so by another route than the code: (I − γPΠ) Q = R."""
    n_states, n_actions = R.shape
    system = np.eye(n_states * n_actions)
    for s, a, t, b in itertools.product(*map(range, (n_states, n_actions) * 2)):
        system[s * n_actions + a, t * n_actions + b] -= gamma * P[s, a, t] * pi[t, b]
    q = np.linalg.solve(system, R.ravel()).reshape(R.shape)
    return np.array([pi[s] @ q[s] for s in range(n_states)])


def optimal_by_enumeration(P, R, gamma):
    """V* as the best, state by state, over all deterministic policies."""
    n_states, n_actions = R.shape
    policies = itertools.product(range(n_actions), repeat=n_states)
    values = [value_by_solving(P, R, np.eye(n_actions)[list(p)], gamma) for p in policies]
    return np.max(values, axis=0)


@few
@given(problems())
def test_backups_are_the_written_out_sums(problem):
    P, R, pi, _, gamma, rng = problem
    n_states, n_actions = R.shape
    v, q = rng.normal(size=n_states), rng.normal(size=R.shape)
    kept = v.copy(), q.copy()
    for s, a in np.ndindex(R.shape):
        ahead = sum(P[s, a, t] * v[t] for t in range(n_states))
        assert q_from_v(v, P, R, gamma)[s, a] == pytest.approx(R[s, a] + gamma * ahead)
        best = sum(P[s, a, t] * max(q[t]) for t in range(n_states))
        found = bellman_optimality_backup(q, P, R, gamma)[s, a]
        assert found == pytest.approx(R[s, a] + gamma * best)
    for s in range(n_states):
        mean = sum(pi[s, a] * q[s, a] for a in range(n_actions))
        assert v_from_q(q, pi)[s] == pytest.approx(mean)
        np.testing.assert_allclose(advantage(q, pi)[s], q[s] - mean, atol=1e-12)
    np.testing.assert_array_equal(v, kept[0])
    np.testing.assert_array_equal(q, kept[1])


@few
@given(problems())
def test_values_solve_the_bellman_equation(problem):
    P, R, pi, start, gamma, _ = problem
    v = solve_bellman(P, R, pi, gamma)
    np.testing.assert_allclose(v, value_by_solving(P, R, pi, gamma), atol=1e-10)
    assert start @ v == pytest.approx(expected_return(P, R, pi, start, gamma), abs=1e-10)
    np.testing.assert_allclose((pi * advantage(q_from_v(v, P, R, gamma), pi)).sum(1), 0, atol=1e-12)


@few
@given(problems())
def test_both_backups_are_contractions(problem):
    P, R, pi, _, gamma, rng = problem
    v, w = rng.normal(size=(2, len(R)))
    apart = np.abs(bellman_backup(v, P, R, pi, gamma) - bellman_backup(w, P, R, pi, gamma)).max()
    assert apart <= gamma * np.abs(v - w).max() + 1e-12
    q, u = rng.normal(size=(2, *R.shape))
    apart = np.abs(
        bellman_optimality_backup(q, P, R, gamma) - bellman_optimality_backup(u, P, R, gamma)
    ).max()
    assert apart <= gamma * np.abs(q - u).max() + 1e-12


@few
@given(problems())
def test_sweeps_stop_at_the_promised_distance(problem):
    P, R, pi, _, gamma, _ = problem
    truth, tolerance = value_by_solving(P, R, pi, gamma), 1e-4
    v, sweeps = policy_evaluation(P, R, pi, gamma, tolerance)
    assert np.abs(v - truth).max() <= gamma / (1 - gamma) * tolerance + 1e-12
    # v_k − v_{k−1} = (γP^π)^{k−1} r^π: the first k at which it is small is the number of sweeps
    change, k = (pi * R).sum(axis=1), 1
    while np.abs(change).max() >= tolerance:
        change, k = gamma * policy_transition(P, pi) @ change, k + 1
    assert sweeps == k


@few
@given(problems())
def test_looking_ahead_and_comparing_is_a_sum_over_pairs(problem):
    P, R, pi, _, gamma, rng = problem
    v = 3 * rng.normal(size=len(R))
    q, adv = q_and_advantage(v, P, R, pi, gamma)
    for s, a in np.ndindex(R.shape):
        ahead = [R[s, b] + gamma * sum(P[s, b] * v) for b in range(R.shape[1])]
        assert q[s, a] == pytest.approx(ahead[a])
        by_pairs = sum(p * (ahead[a] - other) for p, other in zip(pi[s], ahead, strict=True))
        assert adv[s, a] == pytest.approx(by_pairs, abs=1e-12)
    truth = solve_bellman(P, R, pi, gamma)
    _, true_adv = q_and_advantage(truth, P, R, pi, gamma)
    np.testing.assert_allclose(true_adv, q_from_v(truth, P, R, gamma) - truth[:, None], atol=1e-10)


@few
@given(problems())
def test_no_sweeps_break_the_promise(problem):
    P, R, pi, _, gamma, _ = problem
    truth, first = value_by_solving(P, R, pi, gamma), np.abs((pi * R).sum(axis=1)).max()
    for tolerance in (1e-4, 0.3, 10.0):
        error, at_most = stopping_bound(tolerance, gamma, first)
        v, sweeps = policy_evaluation(P, R, pi, gamma, tolerance)
        assert sweeps <= at_most
        assert np.abs(v - truth).max() <= error + 1e-12


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("reward", [0.0, 0.05, 1.0, 7.0])
def test_one_state_with_a_loop_meets_the_promised_number_of_sweeps(gamma, reward):
    """Its changes are γ^(k−1)·r, so nothing is lost in (2.12); the error is γ/(1−γ) of the last change."""
    loop, stay = np.ones((1, 1, 1)), np.ones((1, 1))
    for tolerance in (0.3, 1e-3):
        v, sweeps = policy_evaluation(loop, np.array([[reward]]), stay, gamma, tolerance)
        error, at_most = stopping_bound(tolerance, gamma, reward)
        assert sweeps == at_most
        left = reward / (1 - gamma) - v[0]
        assert left == pytest.approx(gamma / (1 - gamma) * gamma ** (sweeps - 1) * reward)
        assert left <= error + 1e-12


def test_the_promise_by_hand():
    # changes at most 8, 4, 2, 1, ½: the fifth is the first below 1; then ½ + ¼ + … of the tolerance
    assert stopping_bound(1.0, 0.5, 8.0) == (1.0, 5)
    assert stopping_bound(1.0, 0.5, 0.0) == (1.0, 1)
    assert stopping_bound(0.1, 0.0, 5.0) == (0.0, 2)


@pytest.mark.parametrize("gamma", [0.0, 0.4, 0.8, 0.95, 1.0])
@pytest.mark.parametrize(("n_near", "n_far"), [(1, 2), (1, 5), (3, 4), (4, 9)])
def test_the_crossroads_by_value_iteration(n_near, n_far, gamma):
    world = two_corridors(2.0, 5.0, n_near, n_far, gamma)
    q, sweeps = value_iteration(world.P, world.R, gamma, 1e-12)
    advantages, even = crossroads(2, 5, n_near, n_far, gamma)
    np.testing.assert_allclose(advantages, q[0] - q[0].max(), atol=1e-12)
    assert sweeps <= n_far + 1  # one step a sweep, and one that finds nothing new
    assert 0 < even < 1
    at_even = two_corridors(2.0, 5.0, n_near, n_far, even)
    q, _ = value_iteration(at_even.P, at_even.R, even, 1e-12)
    assert q[0, 0] == pytest.approx(q[0, 1])
    np.testing.assert_allclose(crossroads(2, 5, n_near, n_far, even)[0], 0, atol=1e-12)


def test_the_crossroads_by_hand():
    advantages, even = crossroads(1, 4, 1, 3, 0.25)
    assert advantages.tolist() == [0.0, -0.75] and even == 0.5
    assert crossroads(1, 4, 2, 3, 0)[0].tolist() == [0.0, 0.0]
    assert crossroads(1, 4, 1, 3, 1)[0].tolist() == [-3.0, 0.0]


@few
@given(problems())
def test_no_action_has_an_advantage_over_the_optimal_policy(problem):
    """A^{π*} ≤ 0, with equality at its actions; every policy that is not optimal leaves a positive one."""
    P, R, pi, _, gamma, _ = problem
    best, v_star, _ = policy_iteration(P, R, gamma)
    _, adv = q_and_advantage(v_star, P, R, best, gamma)
    assert (adv <= 1e-8).all()
    np.testing.assert_allclose((best * adv).sum(axis=1), 0, atol=1e-12)
    v = solve_bellman(P, R, pi, gamma)
    _, adv = q_and_advantage(v, P, R, pi, gamma)
    assert (adv.max() > 1e-7) or np.allclose(v, v_star, atol=1e-5)


@few
@given(problems())
def test_the_linear_programme_ends_at_the_optimal_values(problem):
    """min (1−γ) start·v over v ≥ r + γPv, by a solver of linear programmes: V*, and J(π*)."""
    P, R, _, start, gamma, _ = problem
    n_states, n_actions = R.shape
    rows = gamma * P.reshape(-1, n_states) - np.repeat(np.eye(n_states), n_actions, axis=0)
    weights = np.full(n_states, 1 / n_states)
    solved = linprog(weights, A_ub=rows, b_ub=-R.ravel(), bounds=(None, None))
    best, v_star, _ = policy_iteration(P, R, gamma)
    np.testing.assert_allclose(solved.x, v_star, atol=1e-6)
    # The other side: the multipliers are the occupancy that starts where the weights say.
    eta = -solved.ineqlin.marginals.reshape(R.shape)
    assert (1 - gamma) * weights @ v_star == pytest.approx((1 - gamma) * (eta * R).sum(), abs=1e-6)
    flow = eta.sum(axis=1) - weights - gamma * np.einsum("sat,sa->t", P, eta)
    np.testing.assert_allclose(flow, 0, atol=1e-6)
    assert start @ v_star == pytest.approx(expected_return(P, R, best, start, gamma), abs=1e-8)


def test_sweeps_are_counted_by_hand():
    loop, stay = np.ones((1, 1, 1)), np.ones((1, 1))
    # changes 1, ½, ¼, …: the fourth is the first below 0.2
    assert policy_evaluation(loop, np.array([[1]]), stay, 0.5, 0.2) == (np.array([1.875]), 4)
    assert value_iteration(loop, np.array([[-1]]), 0.5, 0.2) == (np.array([[-1.875]]), 4)
    assert policy_evaluation(loop, np.array([[0]]), stay, 0.5, 1e-9)[1] == 1
    assert policy_evaluation(loop, np.array([[1]]), stay, 0.5, 2.0)[1] == 1
    # rewards that cancel: +1 and −1 in two separate states
    apart = np.eye(2)[:, None, :]
    v, sweeps = policy_evaluation(apart, np.array([[1], [-1]]), np.ones((2, 1)), 0.5, 0.2)
    assert v.tolist() == [1.875, -1.875] and sweeps == 4


def test_undiscounted_episodes_are_allowed():
    mdp = cliff_walk().mdp
    q, sweeps = value_iteration(mdp.P, mdp.R, 1.0, 1e-9)
    assert q[mdp.start.argmax()].max() == -13 and sweeps < 20


@few
@given(problems())
def test_optimal_values_are_the_best_of_all_policies(problem):
    P, R, _, _, gamma, _ = problem
    P, R = P[:, :3], R[:, :3]  # at most 3^6 policies
    best = optimal_by_enumeration(P, R, gamma)
    pi, v, _ = policy_iteration(P, R, gamma)
    np.testing.assert_allclose(v, best, atol=1e-8)
    np.testing.assert_allclose(value_by_solving(P, R, pi, gamma), v, atol=1e-10)
    q, _ = value_iteration(P, R, gamma, 1e-11)
    np.testing.assert_allclose(q.max(axis=1), best, atol=1e-8)
    assert (np.sort(pi, axis=1)[:, :-1] == 0).all() and (pi.max(axis=1) == 1).all()


@few
@given(problems())
def test_the_bound_holds_for_any_table(problem):
    P, R, _, _, gamma, rng = problem
    v_star = policy_iteration(P, R, gamma)[1]
    assert suboptimality_bound(v_star, P, R, gamma) == pytest.approx(0, abs=1e-6)
    v = v_star + rng.normal(size=len(v_star))
    greedy = np.eye(R.shape[1])[(R + gamma * (P @ v)).argmax(axis=1)]
    loss = np.abs(value_by_solving(P, R, greedy, gamma) - v_star).max()
    assert loss <= suboptimality_bound(v, P, R, gamma) + 1e-10


def test_the_bound_by_hand():
    # one state, V* = 2: v = 5 has residual |1 + 2.5 − 5| = 1.5
    assert suboptimality_bound(np.array([5]), np.ones((1, 1, 1)), np.ones((1, 1)), 0.5) == 6.0


def test_greedy_takes_the_first_of_the_best():
    q = np.array([[1, 3, 3], [-2, -2, -5], [0, 0, 1]])
    pi = greedy_policy(q)
    assert pi.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]] and pi.dtype == np.float64
    assert greedy_policy(np.array([[1.0, 1.0 + 1e-7]])).tolist() == [[0, 1]]


@few
@given(problems())
def test_performance_difference_lemma(problem):
    """J(π') − J(π) = Σ d^{π'} Σ π' A^π / (1−γ) (Kakade & Langford 2002): everything at once."""
    P, R, pi, start, gamma, rng = problem
    other = rng.dirichlet(np.ones(R.shape[1]), size=len(R))
    v = solve_bellman(P, R, pi, gamma)
    adv = advantage(q_from_v(v, P, R, gamma), pi)
    d = discounted_occupancy(policy_transition(P, other), start, gamma)
    gained = expected_return(P, R, other, start, gamma) - start @ v
    assert d @ (other * adv).sum(axis=1) / (1 - gamma) == pytest.approx(gained, abs=1e-9)


def test_policy_iteration_ends_where_actions_tie():
    """The 5×5 gridworld ties in many cells, where plain argmax may go round in circles."""
    for gamma in (0.9, 0.95, 0.99):
        mdp = book_5x5(gamma).mdp
        _, v, rounds = policy_iteration(mdp.P, mdp.R, gamma)
        assert rounds <= 10
        np.testing.assert_allclose((mdp.R + gamma * mdp.P @ v).max(axis=1), v, atol=1e-8)
    mdp = book_5x5(0.9).mdp
    assert policy_iteration(mdp.P, mdp.R, 0.9)[2] == 3


def test_policy_iteration_keeps_a_tied_action():
    P, R = np.ones((1, 3, 1)), np.array([[1.0, 1.0, 1.0 + 1e-12]])
    pi, v, rounds = policy_iteration(P, R, 0.5)
    assert pi.tolist() == [[1, 0, 0]] and v == pytest.approx(2.0) and rounds == 1
