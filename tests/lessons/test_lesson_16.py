"""What lesson 16 says, over more worlds and seeds than it shows."""

from itertools import pairwise

import numpy as np
import pytest
from running import left_by

from rlcourse.tabular import dynamic_programming as dp
from rlcourse.tabular import gridworlds, mdp, soft
from rlcourse.tabular.mdp import policy_transition

pytestmark = pytest.mark.full

SEEDS = range(10)
ALPHA, GAMMA = 0.5, 0.9


@pytest.fixture(scope="module")
def lesson():
    return left_by("16")


def world(seed, n_states=20):
    rng = np.random.default_rng(seed)
    m = mdp.garnet(n_states, 4, 3, rng, GAMMA)
    return m.P, m.R, rng.dirichlet(np.ones(4), size=n_states), rng


def largest(x):
    return np.abs(x).max()


def test_the_two_buttons(lesson):
    share = 1 / (1 + np.e)  # of button B: the softmax of 1 and 0
    assert abs(lesson["best"] - share) < 0.005
    assert share == pytest.approx(0.27, abs=0.002)
    assert np.log(1 + np.e) == pytest.approx(1.31, abs=0.005)


@pytest.mark.parametrize("seed", SEEDS)
def test_lemma_1(seed):
    P, R, pi, rng = world(seed)
    q = soft.soft_policy_evaluation(P, R, pi, GAMMA, ALPHA)
    bonus = ALPHA * P @ soft.entropy(pi)
    for factor, low, high in ((GAMMA, 0.0, 1e-12), (1.0, 0.1, 2.0)):  # the γ that the proof lacks
        reward = R + factor * bonus
        other = dp.q_from_v(dp.solve_bellman(P, reward, pi, GAMMA), P, reward, GAMMA)
        assert low <= largest(other - q) <= high
    for _ in range(300):
        pair = rng.normal(size=(2, 20, 4)) * 10 ** rng.uniform(-3, 3)
        after = [soft.soft_bellman_backup(x, P, R, pi, GAMMA, ALPHA) for x in pair]
        assert largest(after[0] - after[1]) <= GAMMA * largest(pair[0] - pair[1]) + 1e-9
    shifted = soft.soft_bellman_backup(q + 1, P, R, pi, GAMMA, ALPHA)
    np.testing.assert_allclose(shifted, q + GAMMA)


@pytest.mark.parametrize("seed", range(4))
def test_q_leaves_out_the_first_bonus(seed):
    P, R, pi, rng = world(seed, n_states=8)
    q = soft.soft_policy_evaluation(P, R, pi, GAMMA, ALPHA)
    bonuses = ALPHA * soft.entropy(pi)
    n, horizon = 8000, 90
    state, action, total = np.zeros(n, dtype=int), np.ones(n, dtype=int), np.zeros(n)
    for t in range(horizon):
        if t:
            total += GAMMA**t * bonuses[state]
            action = (rng.random((n, 1)) > pi[state].cumsum(axis=1)[:, :-1]).sum(axis=1)
        total += GAMMA**t * R[state, action]
        state = (rng.random((n, 1)) > P[state, action].cumsum(axis=1)[:, :-1]).sum(axis=1)
    error = total.std() / np.sqrt(n)
    assert abs(total.mean() - q[0, 1]) < 4.5 * error
    assert abs(total.mean() - q[0, 1] - bonuses[0]) > 5 * error  # what counting it would say


@pytest.mark.parametrize("alpha", [0.1, 0.5, 3.0])
def test_lemma_2_and_its_gain(alpha):
    smallest = 0.0
    for seed in range(40):
        P, R, pi, _ = world(seed, n_states=8)
        for _ in range(5):
            q = soft.soft_policy_evaluation(P, R, pi, GAMMA, alpha)
            new = soft.soft_improvement(q, alpha)
            log_new = (q - q.max(axis=1, keepdims=True)) / alpha
            log_new -= np.log(np.exp(log_new).sum(axis=1, keepdims=True))
            safe = np.where(pi > 0, pi, 1.0)
            divergence = (pi * (np.log(safe) - log_new)).sum(axis=1)
            gain = soft.soft_value(q, new, alpha) - soft.soft_value(q, pi, alpha)
            np.testing.assert_allclose(gain, alpha * divergence, atol=1e-9)
            assert divergence.min() > -1e-12
            risen = soft.soft_policy_evaluation(P, R, new, GAMMA, alpha) - q
            smallest, pi = min(smallest, risen.min()), new
    assert smallest > -1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_lemma_3(lesson, seed):
    P, R, pi, rng = world(seed)
    best = np.zeros(R.shape)
    for _ in range(500):
        best = R + GAMMA * P @ lesson["soft_maximum"](best, ALPHA)
    found_pi, found, rounds = soft.soft_policy_iteration(P, R, GAMMA, ALPHA, 1e-10)
    assert largest(found - best) < 1e-9 and 4 <= rounds <= 8
    assert largest(found_pi - soft.soft_improvement(best, ALPHA)) < 1e-9
    for _ in range(50):
        other = rng.dirichlet(rng.choice([0.1, 1.0, 10.0]) * np.ones(4), size=20)
        assert (soft.soft_policy_evaluation(P, R, other, GAMMA, ALPHA) <= best + 1e-9).all()
    policy, errors = pi, []
    for _ in range(7):
        q = soft.soft_policy_evaluation(P, R, policy, GAMMA, ALPHA)
        errors.append(largest(q - best))
        policy = soft.soft_improvement(q, ALPHA)
    assert all(b <= GAMMA * a + 1e-9 for a, b in pairwise(errors))
    assert errors[5] < 1e-6  # far sooner than γ a round
    # ≥ and not >: without a future every policy has the same Q
    now = [soft.soft_policy_evaluation(P, R, p, 0.0, ALPHA) for p in (pi, found_pi)]
    np.testing.assert_array_equal(*now)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_low_temperature_gives_lesson_03(seed):
    P, R, _, _ = world(seed)
    hard, _ = dp.value_iteration(P, R, GAMMA, 1e-12)
    earned = []
    for alpha in (1.0, 0.3, 0.1, 0.03, 0.01):
        policy, q, _ = soft.soft_policy_iteration(P, R, GAMMA, alpha, 1e-10)
        assert (q >= hard - 1e-9).all()
        assert (q - hard).max() <= GAMMA * alpha * np.log(4) / (1 - GAMMA)
        earned.append(dp.solve_bellman(P, R, policy, GAMMA).mean())
    assert earned == sorted(earned)
    assert hard.max(axis=1).mean() - earned[-1] < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_the_discounted_entropy_grows_with_the_temperature_and_is_the_slope(lesson, seed):
    P, R, _, _ = world(seed)

    def best_at(alpha):
        policy, q, _ = soft.soft_policy_iteration(P, R, GAMMA, alpha, 1e-12)
        left = np.eye(20) - GAMMA * policy_transition(P, policy)
        return soft.soft_value(q, policy, alpha), np.linalg.solve(left, soft.entropy(policy))

    collected = np.array([best_at(alpha)[1] for alpha in np.geomspace(0.01, 10, 40)])
    assert np.diff(collected, axis=0).min() > -1e-9
    for alpha in (0.05, 0.2, 1.0, 5.0):
        step = 1e-4 * alpha
        slope = (best_at(alpha + step)[0] - best_at(alpha - step)[0]) / (2 * step)
        np.testing.assert_allclose(slope, best_at(alpha)[1], atol=1e-5)


def test_only_the_price_matters():
    P, R, pi, _ = world(3)
    q = soft.soft_policy_evaluation(P, R, pi, GAMMA, 0.37)
    np.testing.assert_allclose(0.37 * soft.soft_policy_evaluation(P, R / 0.37, pi, GAMMA, 1.0), q)


def test_what_the_end_does_on_the_cliff(lesson):
    cliff = gridworlds.cliff_walk(0.95)
    m = cliff.mdp
    ending = m.P * ~m.terminal
    goal = int(np.flatnonzero(m.terminal)[0])

    def arrives(policy):
        return np.linalg.matrix_power(policy_transition(m.P, policy), 200)[m.start.argmax(), goal]

    shares = []
    for alpha, expected in ((0.5, 1.0), (0.6, 0.973), (0.7, 0.572), (0.8, 0.079), (1.0, 0.0008)):
        policy, _, _ = soft.soft_policy_iteration(ending, m.R, 0.95, alpha, 1e-10)
        shares.append(arrives(policy))
        assert shares[-1] == pytest.approx(expected, abs=6e-4)
        looping, q, _ = soft.soft_policy_iteration(m.P, m.R, 0.95, alpha, 1e-10)
        assert arrives(looping) > 0.9999
        assert soft.soft_value(q, looping, alpha)[goal] == pytest.approx(alpha * np.log(4) / 0.05)
    beside = [share[cliff.cells[:, 0] == 2].sum() for share in lesson["on_the_way"].values()]
    assert beside[0] > 0.85 and beside[1] < 0.65 and beside[2] < 0.3


def test_the_one_state_against_value_iteration(lesson):
    rng = np.random.default_rng(5)
    for _ in range(60):
        m, cost, gain = int(rng.integers(2, 7)), rng.uniform(0.5, 2), rng.normal()
        alpha = rng.uniform(0.2, 0.85) * cost / np.log(m)
        found = lesson["backed_up"](gain, cost, m, alpha, 600)
        np.testing.assert_allclose(found, soft.leave_or_stay(gain, cost, m, alpha), atol=1e-9)
        assert soft.leave_or_stay(gain, cost, m, 1.01 * cost / np.log(m)) == (np.inf, 0.0)
    grown = [lesson["backed_up"](0.0, 1.0, 3, 1.0, n)[0] for n in (10, 100, 400)]
    assert grown[0] < 5 < grown[1] < 15 < 40 < grown[2]


def test_the_softmax_alone_never_lowers_a_q(lesson):
    fell = {"softmax of Q/α": [], "greedy": [], "softmax of αQ": []}
    for alpha in (0.5, 2.0):
        for name, improve in lesson["improvements"].items():
            count = 0
            for seed in range(1000, 1060):
                P, R, pi, _ = world(seed, n_states=8)
                before = soft.soft_policy_evaluation(P, R, pi, GAMMA, alpha)
                after = soft.soft_policy_evaluation(P, R, improve(before, alpha), GAMMA, alpha)
                count += (after - before).min() < -1e-9
            fell[name].append(count)
    assert fell["softmax of Q/α"] == [0, 0]
    assert fell["greedy"][0] < 10 and fell["greedy"][1] > 57
    assert fell["softmax of αQ"][0] < 3 and fell["softmax of αQ"][1] > 5


@pytest.mark.parametrize("seed", SEEDS)
def test_the_colleagues_values_are_above_what_is_possible(lesson, seed):
    P, R, _, _ = world(seed)
    policy = np.full(R.shape, 0.25)
    for _ in range(30):
        q = lesson["colleagues_evaluation"](P, R, policy, GAMMA, ALPHA)
        policy = soft.soft_improvement(q, ALPHA)
    best = soft.soft_policy_iteration(P, R, GAMMA, ALPHA, 1e-10)[1]
    assert (q - best).max() > 0.1
    honest = best - soft.soft_policy_evaluation(P, R, policy, GAMMA, ALPHA)
    assert honest.min() > -1e-9 and honest.max() < 0.02  # nobody would see it in the policy
    assert largest(lesson["colleagues_evaluation"](P, R, policy, 0.0, ALPHA) - R) > 0.1
