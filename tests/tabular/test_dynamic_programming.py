"""Dynamic programming against linear solves, enumeration of all policies, and the book's tables."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from random_mdps import few, problems

from rlcourse.tabular.dynamic_programming import (
    advantage,
    bellman_backup,
    bellman_optimality_backup,
    greedy_policy,
    policy_evaluation,
    policy_iteration,
    q_from_v,
    solve_bellman,
    suboptimality_bound,
    v_from_q,
    value_iteration,
)
from rlcourse.tabular.gridworlds import book_5x5, cliff_walk
from rlcourse.tabular.mdp import discounted_occupancy, expected_return, policy_transition


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
