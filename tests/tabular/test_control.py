"""Control: targets against one another, loops against a tape by hand and against known Q*."""

from statistics import NormalDist

import numpy as np
import pytest
from gymnasium.spaces import Discrete
from hypothesis import given
from hypothesis import strategies as st
from random_mdps import few

from rlcourse.tabular.control import (
    double_q_learning,
    double_q_target,
    epsilon_greedy,
    epsilon_greedy_probabilities,
    expected_max,
    expected_sarsa,
    expected_sarsa_target,
    q_learning,
    q_learning_target,
    sarsa,
    sarsa_target,
    sarsa_targets,
)
from rlcourse.tabular.dynamic_programming import (
    bellman_optimality_backup,
    greedy_policy,
    q_from_v,
    solve_bellman,
    value_iteration,
)
from rlcourse.tabular.envs import TabularEnv
from rlcourse.tabular.mdp import garnet

# -------------------------------------------------------------------------------------- acting


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("q_row", [[0.0, 2.0, 2.0], [-3.0, -1.0, -2.0, -4.0], [7.0], [0.0] * 3])
def test_epsilon_greedy_frequencies(q_row, epsilon):
    q_row, draws, rng = np.array(q_row), 3000, np.random.default_rng(0)
    p = np.full(len(q_row), epsilon / len(q_row))
    p[list(q_row).index(max(q_row))] += 1 - epsilon
    np.testing.assert_allclose(epsilon_greedy_probabilities(q_row, epsilon), p)
    actions = [epsilon_greedy(q_row, epsilon, rng) for _ in range(draws)]
    count = np.bincount(actions, minlength=len(p))
    assert (np.abs(count - draws * p) <= 5 * np.sqrt(draws * p * (1 - p)) + 1e-9).all()
    assert {type(a) for a in actions} == {int}


# ------------------------------------------------------------------------------------- targets


@st.composite
def batches(draw):
    """reward, two tables' rows at s', π(·|s'), a', terminated (any of three dtypes), γ."""
    n, n_actions = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([bool, int, float]))
    return {
        "reward": rng.normal(size=n),
        "qa": rng.normal(size=(n, n_actions)) - draw(st.sampled_from([0.0, 10.0])),
        "qb": rng.normal(size=(n, n_actions)),
        "pi": rng.dirichlet(np.ones(n_actions), size=n),
        "action": rng.integers(n_actions, size=n),
        "terminated": (rng.random(n) < 0.4).astype(dtype),
        "gamma": draw(st.sampled_from([0.0, 0.9, 1.0])),
    }


@few
@given(batches())
def test_targets_row_by_row(batch):
    r, qa, qb, pi, action, d, gamma = batch.values()
    sampled, expected = sarsa_targets(r, qa, action, pi, d, gamma)
    found = {
        "sarsa": sarsa_target(r, qa, action, d, gamma),
        "expected": expected_sarsa_target(r, qa, pi, d, gamma),
        "sarsa of both": sampled,
        "expected of both": expected,
        "q": q_learning_target(r, qa, d, gamma),
        "double": double_q_target(r, qa, qb, d, gamma),
    }
    for i in range(len(r)):
        best = max(range(qa.shape[1]), key=lambda a: qa[i, a])
        ahead = {
            "sarsa": qa[i, action[i]],
            "expected": sum(p * x for p, x in zip(pi[i], qa[i], strict=True)),
            "q": max(qa[i]),
            "double": qb[i, best],
        }
        for name, y in found.items():
            value = ahead[name.split()[0]]
            assert y[i] == pytest.approx(r[i] if d[i] else r[i] + gamma * value), name
    assert {y.shape for y in found.values()} == {r.shape}


@few
@given(batches())
def test_the_targets_are_one_family(batch):
    r, qa, _, pi, action, d, gamma = batch.values()
    q_target = q_learning_target(r, qa, d, gamma)
    greedy = greedy_policy(qa)
    np.testing.assert_allclose(expected_sarsa_target(r, qa, greedy, d, gamma), q_target)
    np.testing.assert_allclose(sarsa_target(r, qa, qa.argmax(axis=1), d, gamma), q_target)
    np.testing.assert_allclose(double_q_target(r, qa, qa, d, gamma), q_target)
    one_hot = np.eye(qa.shape[1])[action]
    np.testing.assert_allclose(
        expected_sarsa_target(r, qa, one_hot, d, gamma), sarsa_target(r, qa, action, d, gamma)
    )
    # the expectation of SARSA's target over a' is expected SARSA's
    each = [
        sarsa_target(r, qa, np.full(len(r), a), d, gamma) * pi[:, a] for a in range(qa.shape[1])
    ]
    np.testing.assert_allclose(
        sum(each), expected_sarsa_target(r, qa, pi, d, gamma), rtol=1e-9, atol=1e-12
    )


def test_ties_take_the_first_and_terminal_rows_are_not_used():
    qa, qb = np.array([[1.0, 1.0], [0.0, 1e30]]), np.array([[5.0, 7.0], [1e30, 1e30]])
    found = double_q_target(np.array([0, 3]), qa, qb, np.array([0, 1]), 1.0)
    assert found.tolist() == [5, 3]


@few
@given(st.integers(0, 2**32 - 1))
def test_the_mean_q_learning_target_is_the_optimality_backup(seed):
    """E over s' of the sampled target is T*q: what Q-learning approximates, exactly summed."""
    mdp = garnet(4, 3, 3, np.random.default_rng(seed))
    q = np.random.default_rng([seed, 1]).normal(size=(4, 3))
    mean = np.zeros((4, 3))
    for s, a in np.ndindex(4, 3):
        y = q_learning_target(np.full(4, mdp.R[s, a]), q, np.zeros(4), mdp.gamma)
        mean[s, a] = mdp.P[s, a] @ y
    np.testing.assert_allclose(mean, bellman_optimality_backup(q, mdp.P, mdp.R, mdp.gamma))


# ------------------------------------------------------------------------- the larger of two


def mean_of_the_larger(means, sigmas):
    """∫ x dF₁F₂ over both densities, by the trapezium rule: exact to rounding for smooth densities."""
    dists = [NormalDist(m, s) for m, s in zip(means, sigmas, strict=True)]
    reach = 9 * max(sigmas)
    x = np.linspace(min(means) - reach, max(means) + reach, 4001)
    pdf, cdf = (np.array([[getattr(d, f)(z) for z in x] for d in dists]) for f in ("pdf", "cdf"))
    return float(np.trapezoid(x * (pdf[0] * cdf[1] + pdf[1] * cdf[0]), x))


@pytest.mark.parametrize("sigmas", [(1.0, 1.0), (0.5, 2.0), (3.0, 0.7), (1e-2, 1.5e-2)])
@pytest.mark.parametrize("mean", [0.0, -2.5, 4.0])
def test_the_mean_of_the_larger_of_two_estimates(mean, sigmas):
    expected = mean_of_the_larger((mean, mean), sigmas)
    assert expected_max(mean, *sigmas) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_known_means_of_the_larger():
    assert expected_max(2.0, 0.0, 0.0) == 2.0
    assert expected_max(0.0, 1.0, 1.0) == pytest.approx(1 / np.sqrt(np.pi))
    # one action is known exactly: the mean of the positive part of a normal number
    assert expected_max(0.0, 0.0, 1.0) == pytest.approx(NormalDist().pdf(0.0))
    x, y = np.random.default_rng(0).normal(size=(2, 200_000))
    larger = np.maximum(1 + 0.5 * x, 1 + 2.0 * y)
    error = larger.std() / np.sqrt(len(x))
    assert abs(expected_max(1.0, 0.5, 2.0) - larger.mean()) < 4 * error


finite = st.floats(-100, 100)
spreads = st.floats(0, 100)


@few
@given(finite, spreads, spreads, st.floats(0.01, 10), finite)
def test_the_bias_of_the_larger_has_the_unit_of_a_value(mean, a, b, scale, shift):
    here = expected_max(mean, a, b)
    assert here >= mean and here == expected_max(mean, b, a)
    there = expected_max(scale * mean + shift, scale * a, scale * b)
    assert there == pytest.approx(scale * here + shift, abs=1e-9)
    assert expected_max(mean, a + 1, b) > here


# --------------------------------------------------------------------------------------- loops


class Tape:
    """Replays (action expected, reward, s', terminated, truncated) and refuses anything else."""

    def __init__(self, episodes, n_states, n_actions):
        self.episodes = iter(episodes)
        self.observation_space, self.action_space = Discrete(n_states), Discrete(n_actions)
        self.steps = []

    def reset(self, **kwargs):
        assert not kwargs and not self.steps, "seeded, or reset in the middle"
        start, self.steps = next(self.episodes)
        self.steps = list(self.steps)
        return start, {}

    def step(self, action):
        expected, *outcome = self.steps.pop(0)
        assert action == expected
        return outcome[1], outcome[0], outcome[2], outcome[3], {}


def worst(q_row, _rng):
    return int(np.argmin(q_row))


def test_sarsa_by_hand():
    tape = Tape(
        [
            # q = 0: worst is 0. After the first step q[0,0] = ½, and a' = worst(q[0]) was drawn
            # before the update, from zeros: 0 again.
            (0, [(0, 1.0, 0, False, False), (0, 3.0, 1, False, False), (0, -2.0, 0, True, False)]),
            # a truncated step bootstraps from q[1, worst]
            (0, [(1, -4.0, 1, False, True)]),
        ],
        2,
        2,
    )
    q = sarsa(tape, worst, 2, 0.5, 0.5, np.random.default_rng(0))
    q00 = 0.5  # ½(1 + ½·0)
    q00 += 0.5 * (3 + 0.5 * 0 - q00)
    q10 = -1.0  # terminal, although q[0] is not 0
    q01 = 0.5 * (-4 + 0.5 * q10)
    assert q.tolist() == [[q00, q01], [q10, 0.0]]


def test_sarsa_takes_the_action_of_its_target():
    chosen = iter([0, 1, 2, 0])  # the last one, at the terminal state, may be drawn or not
    tape = Tape(
        [(0, [(0, 1.0, 1, False, False), (1, 2.0, 0, False, False), (2, 4.0, 1, True, False)])],
        2,
        3,
    )
    q = sarsa(tape, lambda q_row, rng: next(chosen), 1, 0.5, 0.5, np.random.default_rng(0))
    assert q.tolist() == [[0.5, 0, 2], [0, 1, 0]]


def test_q_learning_by_hand():
    tape = Tape(
        [
            # after the first step q[0,0] = ½, so the worst in state 0 is now action 1
            (0, [(0, 1.0, 0, False, False), (1, 3.0, 1, False, False), (0, -2.0, 0, True, False)]),
            (1, [(0, 0.0, 0, False, True)]),
        ],
        2,
        2,
    )
    q = q_learning(tape, worst, 2, 0.5, 0.5, np.random.default_rng(0))
    q01 = 0.5 * 3.0
    q10 = 0.5 * -1.0 + 0.5 * (0 + 0.5 * q01)
    assert q.tolist() == [[0.5, q01], [q10, 0.0]]


@pytest.mark.parametrize("loop", [sarsa, q_learning])
def test_no_episodes_no_values(loop):
    q = loop(Tape([], 3, 2), worst, 0, 0.5, 0.5, np.random.default_rng(0))
    assert q.tolist() == [[0, 0]] * 3 and q.dtype == np.float64


def test_q_learning_may_start_anywhere_and_the_terminal_row_is_never_asked():
    tape = Tape([(0, [(0, 1.0, 0, False, False), (1, 2.0, 1, True, False)])], 2, 2)
    q = q_learning(tape, worst, 1, 0.5, 0.5, np.random.default_rng(0), initial=-8.0)
    # the first tie is action 0; then action 1 is the worse one
    assert q.tolist() == [[0.5 * -8 + 0.5 * (1 + 0.5 * -8), 0.5 * -8 + 0.5 * 2], [-8, -8]]


def learning_env(max_steps=50):
    mdp = garnet(4, 2, 2, np.random.default_rng(2), gamma=0.5)
    env = TabularEnv(mdp, max_steps=max_steps)
    env.reset(seed=0)
    return env, mdp


def uniform(q_row, rng):
    return int(rng.integers(len(q_row)))


def test_off_policy_loops_reach_the_optimum_and_sarsa_its_policy():
    """Random behaviour in an MDP without noise on rewards, small constant steps: Q*, and Q^uniform."""
    env, mdp = learning_env()
    optimal, _ = value_iteration(mdp.P, mdp.R, 0.5, 1e-10)
    pi = np.full((4, 2), 0.5)
    on_policy = q_from_v(solve_bellman(mdp.P, mdp.R, pi, 0.5), mdp.P, mdp.R, 0.5)
    rng = np.random.default_rng(0)

    def error(q, truth):
        return np.abs(q - truth).max() / np.ptp(truth)

    settings = (200, 0.02, 0.5, rng)
    assert error(q_learning(env, uniform, *settings), optimal) < 0.1
    assert error(sarsa(env, uniform, *settings), on_policy) < 0.1
    assert error(expected_sarsa(env, 1.0, *settings), on_policy) < 0.1
    for table in double_q_learning(env, uniform, 400, 0.02, 0.5, rng):
        assert error(table, optimal) < 0.1


def test_expected_sarsa_without_exploration_is_q_learning():
    """The same draws give the same table to the last bit of algebra."""

    def greedy(q_row, rng):
        return epsilon_greedy(q_row, 0.0, rng)

    env, _ = learning_env()
    ours = expected_sarsa(env, 0.0, 20, 0.1, 0.5, np.random.default_rng(1))
    env, _ = learning_env()
    theirs = q_learning(env, greedy, 20, 0.1, 0.5, np.random.default_rng(1))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
