"""MDPs: what a policy makes of them, against enumeration and series; and what is refused."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from random_mdps import few, problems

from rlcourse.tabular.mdp import (
    MDP,
    chain,
    discounted_occupancy,
    expected_return,
    garnet,
    maximisation_bias_mdp,
    policy_chain,
    policy_reward,
    policy_transition,
    random_walk,
    random_walk_values,
    sample_trajectory,
    two_corridors,
)


@few
@given(problems())
def test_a_policy_makes_a_markov_chain(problem):
    P, R, pi, *_ = problem
    n_states, n_actions = pi.shape
    P_pi, r_pi = policy_chain(P, R, pi)
    assert (P_pi == policy_transition(P, pi)).all() and (r_pi == policy_reward(R, pi)).all()
    np.testing.assert_allclose(P_pi.sum(axis=1), 1.0)
    for s in range(n_states):
        assert r_pi[s] == pytest.approx(sum(pi[s, a] * R[s, a] for a in range(n_actions)))
        for t in range(n_states):
            mixed = sum(pi[s, a] * P[s, a, t] for a in range(n_actions))
            assert P_pi[s, t] == pytest.approx(mixed, abs=1e-14)


@few
@given(problems())
def test_occupancy_is_the_series(problem):
    P, R, pi, start, gamma, _ = problem
    P_pi = policy_transition(P, pi)
    series, p, total, weight = np.zeros_like(start), start.copy(), 0.0, 1.0
    for _ in range(800):  # 0.95**800 < 1e-17
        series += (1 - gamma) * weight * p
        total += weight * p @ policy_reward(R, pi)
        p, weight = p @ P_pi, weight * gamma
    d = discounted_occupancy(P_pi, start, gamma)
    np.testing.assert_allclose(d, series, atol=1e-12)
    assert d.sum() == pytest.approx(1.0)
    assert expected_return(P, R, pi, start, gamma) == pytest.approx(total, abs=1e-10)


@few
@given(problems())
def test_occupancy_is_where_the_coin_stops_the_walk(problem):
    """A chain with a second copy of every state, in which a walk that the coin has stopped stays for good."""
    P, _, pi, start, gamma, _ = problem
    P_pi, n = policy_transition(P, pi), len(start)
    stops = np.block([[gamma * P_pi, (1 - gamma) * np.eye(n)], [np.zeros((n, n)), np.eye(n)]])
    after = np.r_[start, np.zeros(n)] @ np.linalg.matrix_power(stops, 1024)  # 0.95**1024 < 1e-22
    np.testing.assert_allclose(after[n:], discounted_occupancy(P_pi, start, gamma), atol=1e-12)


def test_expected_return_is_the_mean_over_all_trajectories():
    """Brute force: every trajectory of an MDP whose second step ends in an absorbing state."""
    rng = np.random.default_rng(3)
    P = np.zeros((5, 2, 5))
    P[0, :, 1:4] = rng.dirichlet(np.ones(3), size=2)
    P[1:4, :, 4] = P[4, :, 4] = 1.0
    R, pi = rng.normal(size=(5, 2)), rng.dirichlet(np.ones(2), size=5)
    R[4] = 0.0
    mean = sum(
        pi[0, a] * P[0, a, s] * pi[s, b] * (R[0, a] + 0.7 * R[s, b])
        for a, s, b in itertools.product(range(2), range(1, 4), range(2))
    )
    assert expected_return(P, R, pi, np.eye(5)[0], 0.7) == pytest.approx(mean)


@few
@given(problems())
def test_trajectories_follow_the_stream_that_is_promised(problem):
    P, R, pi, start, _, rng = problem
    seed = int(rng.integers(2**31))
    states, actions, rewards = sample_trajectory(P, R, pi, start, 6, np.random.default_rng(seed))
    again = np.random.default_rng(seed)

    def draw(p):  # one uniform number a draw, by the inverse distribution function
        return np.searchsorted(np.cumsum(p) / np.sum(p), again.random(), side="right")

    s = draw(start)
    for t in range(6):
        assert states[t] == s
        assert actions[t] == draw(pi[s])
        assert rewards[t] == R[s, actions[t]]
        s = draw(P[s, actions[t]])
    assert states[6] == s


def test_an_empty_trajectory_has_one_state():
    mdp = chain(3)
    states, actions, rewards = sample_trajectory(
        mdp.P, mdp.R.astype(int), np.full((3, 2), 0.5), mdp.start, 0, np.random.default_rng(0)
    )
    assert states.tolist() == [0] and actions.shape == rewards.shape == (0,)
    assert actions.dtype == np.int64 and rewards.dtype == np.float64


def test_empirical_return_agrees_with_the_occupancy():
    mdp = garnet(4, 2, 3, np.random.default_rng(0), gamma=0.5)
    pi = np.full((4, 2), 0.5)
    rng = np.random.default_rng(1)
    weights = 0.5 ** np.arange(30)
    samples = [
        sample_trajectory(mdp.P, mdp.R, pi, mdp.start, 30, rng)[2] @ weights for _ in range(600)
    ]
    error = np.std(samples) / np.sqrt(600)
    expected = expected_return(mdp.P, mdp.R, pi, mdp.start, 0.5)
    assert abs(np.mean(samples) - expected) < 5 * error


# ---------------------------------------------------------------------------- what is refused


def good() -> dict:
    return dataclasses.asdict(chain(3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"P": np.ones((3, 2, 2)) / 2}, r"P must be \(S, A, S\)"),
        ({"R": np.zeros(3)}, r"R \(S, A\)"),
        ({"P": np.full((3, 2, 3), 0.5)}, r"P\[0, 0\] is no distribution: it sums to 1.5"),
        ({"P": np.full((3, 2, 3), np.nan)}, r"P\[0, 0\]"),
        ({"start": np.array([0.5, 0.6, -0.1])}, "start must be a distribution over 3 states"),
        ({"start": np.array([1.0, 0.0])}, "start must be a distribution over 3 states"),
        ({"gamma": 1.1}, r"gamma must lie in \[0, 1\], not 1.1"),
        ({"terminal": [True, False, False]}, "terminal state 0 must lead to itself"),
        ({"terminal": [True]}, r"terminal must be \(3,\)"),
        ({"R": np.full((3, 2), np.inf)}, "R must be finite"),
        ({"R_next": np.ones((3, 2, 3))}, "R is not the mean of R_next"),
        ({"reward_std": np.full((3, 2), -1.0)}, "reward_std must not be negative"),
    ],
)
def test_refusals_name_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        MDP(**(good() | change))


def test_lists_are_taken_and_nothing_is_shared_with_the_caller():
    P = np.ones((1, 1, 1))
    mdp = MDP(P, [[1]], [1], 0.5)
    P[:] = 0
    assert mdp.P.item() == 1 and mdp.R.dtype == np.float64 and not mdp.terminal.any()
    with pytest.raises(dataclasses.FrozenInstanceError):
        mdp.gamma = 0.9


# ------------------------------------------------------------------------------- small MDPs


@pytest.mark.parametrize(
    ("n", "left"),
    [(5, 0.0), (19, -1.0)],
)
def test_the_walks_true_values_solve_its_equation(n, left):
    mdp, v = random_walk(n, left), random_walk_values(n, left)
    np.testing.assert_allclose(mdp.R[:, 0] + mdp.P[:, 0] @ v, v, atol=1e-12)
    assert mdp.start[(n + 1) // 2] == 1 and v[[0, -1]].tolist() == [0, 0]
    if n == 5:  # example 6.2 prints them
        np.testing.assert_allclose(v[1:-1], np.arange(1, 6) / 6)
    else:
        np.testing.assert_allclose(v[1:-1], np.arange(-18, 19, 2) / 20)


def test_the_chain_pays_at_its_end():
    mdp = chain(4)
    assert mdp.P.argmax(axis=2).tolist() == [[0, 1], [0, 2], [1, 3], [3, 3]]
    assert mdp.R.tolist() == [[0, 0], [0, 0], [0, 1], [0, 0]]
    assert mdp.start.tolist() == [1, 0, 0, 0] and mdp.terminal.tolist() == [False] * 3 + [True]


def test_two_corridors_lead_to_their_treasures():
    mdp = two_corridors(2.0, 5.0, n_near=1, n_far=3, gamma=0.9)
    assert mdp.P.argmax(axis=2).tolist() == [[3, 1], [2, 2], [3, 3], [3, 3]]
    assert mdp.R.tolist() == [[2, 0], [0, 0], [5, 5], [0, 0]]
    assert mdp.start.tolist() == [1, 0, 0, 0] and mdp.terminal.tolist() == [False] * 3 + [True]
    for near, far in ((2, 4), (3, 1)):
        mdp = two_corridors(1.0, 1.0, near, far, 1.0)
        for action, steps in enumerate((near, far)):
            state, paid = 0, []
            while not mdp.terminal[state]:
                paid.append(mdp.R[state, action])
                state = mdp.P[state, action].argmax()
            assert paid == [0.0] * (steps - 1) + [1.0]
    with pytest.raises(ValueError, match="at least one step away"):
        two_corridors(1.0, 2.0, 0, 2, 0.9)


def test_garnet_has_the_branching_asked_for():
    mdp = garnet(7, 3, 2, np.random.default_rng(0))
    assert ((mdp.P > 0).sum(axis=2) == 2).all()
    again = garnet(7, 3, 2, np.random.default_rng(0))
    assert (mdp.P == again.P).all() and (mdp.R == again.R).all()
    with pytest.raises(ValueError, match="branching must lie in 1 … 7, not 8"):
        garnet(7, 3, 8, np.random.default_rng(0))


def test_left_is_wrong_in_the_maximisation_bias_example():
    mdp = maximisation_bias_mdp()
    v_b = mdp.R[1].max()
    assert v_b == pytest.approx(-0.1) and mdp.P[0, 0, 1] == 1
    assert (mdp.P[0, 1:, 2] == 1).all() and not mdp.R[0].any()
    assert (mdp.reward_std[1] == 1).all() and not mdp.reward_std[[0, 2]].any()
