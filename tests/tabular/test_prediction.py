"""Prediction: the family of returns against its definitions, and the loops against known values."""

import numpy as np
import pytest
from gymnasium.spaces import Discrete
from hypothesis import given
from hypothesis import strategies as st
from random_mdps import few

from rlcourse.tabular.envs import TabularEnv
from rlcourse.tabular.mdp import chain, random_walk, random_walk_values
from rlcourse.tabular.prediction import (
    lambda_returns,
    lambda_weights,
    mc_prediction,
    n_step_return,
    n_step_td_prediction,
    td0_target,
    td_prediction,
)

gammas = st.sampled_from([0.0, 0.5, 0.9, 1.0])


@st.composite
def segments(draw):
    """Successive steps with ends in them: rewards, V(s_{t+1}), terminated."""
    length = draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    terminated = rng.random(length) < draw(st.sampled_from([0.0, 0.3]))
    dtype = draw(st.sampled_from([bool, int, float]))
    return rng.normal(size=length), rng.normal(size=length), terminated.astype(dtype)


def partial_return(rewards, v_next, terminated, gamma, t, n):
    """G_{t:t+n} written out: rewards one by one until the window or the episode ends."""
    total = 0.0
    for k in range(n):
        total += gamma**k * rewards[t + k]
        if terminated[t + k]:
            return total
    return total + gamma**n * v_next[t + n - 1]


@few
@given(segments(), gammas)
def test_n_step_returns(segment, gamma):
    rewards, v_next, terminated = segment
    for n in range(1, len(rewards) + 1):
        expected = partial_return(rewards, v_next, terminated, gamma, 0, n)
        found = n_step_return(rewards[:n], v_next[n - 1], terminated[:n], gamma)
        assert found == pytest.approx(expected, abs=1e-12)
        assert isinstance(found, float)


@few
@given(segments(), gammas)
def test_one_step_is_td0(segment, gamma):
    rewards, v_next, terminated = segment
    expected = [
        n_step_return(rewards[t : t + 1], v_next[t], terminated[t : t + 1], gamma)
        for t in range(len(rewards))
    ]
    found = td0_target(rewards, v_next, terminated, gamma)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(lambda_returns(*segment, gamma, 0.0), expected, atol=1e-12)


@few
@given(segments(), gammas)
def test_lambda_one_is_monte_carlo(segment, gamma):
    rewards, v_next, terminated = segment
    expected = [
        partial_return(rewards, v_next, terminated, gamma, t, len(rewards) - t)
        for t in range(len(rewards))
    ]
    np.testing.assert_allclose(lambda_returns(*segment, gamma, 1.0), expected, atol=1e-12)


@few
@given(segments(), gammas, st.sampled_from([0.1, 0.5, 0.95]))
def test_lambda_return_is_the_mixture_of_n_step_returns(segment, gamma, lam):
    """(1−λ) Σ_n λ^{n−1} G_{t:t+n} + λ^{T−t−1} G_{t:T} — S&B (12.3)."""
    rewards, *_ = segment
    for t, found in enumerate(lambda_returns(*segment, gamma, lam)):
        last = len(rewards) - t
        mixture = lam ** (last - 1) * partial_return(*segment, gamma, t, last)
        for n in range(1, last):
            mixture += (1 - lam) * lam ** (n - 1) * partial_return(*segment, gamma, t, n)
        assert found == pytest.approx(mixture, abs=1e-12)


@few
@given(st.integers(1, 8), gammas, st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.integers(0, 2**32 - 1))
def test_lambda_weights_mix_the_returns_of_an_episode(steps_left, gamma, lam, seed):
    """Both sums against the recursion: Σ w_n G_{0:n} = G^λ_0, and Σ f_k r_k where all values are 0."""
    rng = np.random.default_rng(seed)
    rewards, v_next = rng.normal(size=(2, steps_left))
    terminated = np.arange(steps_left) == steps_left - 1
    on_returns, on_rewards = lambda_weights(steps_left, gamma, lam)
    assert on_returns.shape == on_rewards.shape == (steps_left,)
    assert on_returns.sum() == pytest.approx(1)
    mixture = sum(
        w * partial_return(rewards, v_next, terminated, gamma, 0, n)
        for n, w in enumerate(on_returns, start=1)
    )
    expected = lambda_returns(rewards, v_next, terminated, gamma, lam)[0]
    assert mixture == pytest.approx(expected, abs=1e-12)
    without_values = lambda_returns(rewards, 0 * v_next, terminated, gamma, lam)[0]
    assert on_rewards @ rewards == pytest.approx(without_values, abs=1e-12)


def test_lambda_weights_are_the_chances_of_a_coin():
    """Go on with probability λ after each step: w_n is the chance to stop after n, at most N, steps."""
    rng, lam, steps_left, runs = np.random.default_rng(0), 0.7, 5, 200_000
    lengths = np.minimum(rng.geometric(1 - lam, size=runs), steps_left)
    on_returns, on_rewards = lambda_weights(steps_left, 0.9, lam)
    counted = np.bincount(lengths, minlength=steps_left + 1)[1:] / runs
    np.testing.assert_allclose(on_returns, counted, atol=4 * 0.5 / np.sqrt(runs))
    reached = [0.9**k * np.mean(lengths > k) for k in range(steps_left)]
    np.testing.assert_allclose(on_rewards, reached, atol=4 * 0.5 / np.sqrt(runs))


def test_whole_numbers_for_gamma_and_lambda_give_floats():
    for lam, expected in ((0, [1, 0, 0]), (1, [0, 0, 1])):
        on_returns, on_rewards = lambda_weights(3, 1, lam)
        assert on_returns.tolist() == expected and on_returns.dtype == np.float64
        assert on_rewards.tolist() == [1, lam, lam] and on_rewards.dtype == np.float64


def test_terminal_values_are_not_used_however_wild():
    reward, wild = np.array([1, 2]), np.array([1e30, 4.0])
    assert td0_target(reward, wild, np.array([True, False]), 0.5).tolist() == [1, 4]
    assert lambda_returns(reward, wild, np.array([1, 0]), 0.5, 0.5).tolist() == [1, 4]


# ------------------------------------------------------------------------------ Monte Carlo


def test_first_and_every_visit_by_hand():
    episodes = [(np.array([0, 1, 0]), np.array([1, 2, 4])), (np.array([1]), np.array([8]))]
    # γ = ½: the returns of the first episode are 1 + 1 + 1 = 3, 2 + 2 = 4, 4
    assert mc_prediction(episodes, 0.5, 4, True).tolist() == [3, 6, 0, 0]
    assert mc_prediction(episodes, 0.5, 4, False).tolist() == [3.5, 6, 0, 0]
    assert mc_prediction([], 0.9, 3, True).tolist() == [0, 0, 0]


@pytest.mark.parametrize("first_visit", [True, False])
def test_monte_carlo_finds_the_walks_values(first_visit):
    rng, episodes = np.random.default_rng(0), []
    for _ in range(1500):
        states = [3]
        while 0 < states[-1] < 6:
            states.append(states[-1] + int(rng.choice([-1, 1])))
        rewards = np.zeros(len(states) - 1)
        rewards[-1] = states[-1] == 6
        episodes.append((np.array(states[:-1]), rewards))
    v = mc_prediction(episodes, 1.0, 7, first_visit)
    # the ends' neighbours are seen first in about a third of the walks or more: error ≤ ½/√500
    np.testing.assert_allclose(v, random_walk_values(5), atol=5 * 0.5 / np.sqrt(500))


# ------------------------------------------------------------------------------------- loops


class Tape:
    """Replays fixed episodes of (s, r, s', terminated, truncated); the index at an end is real."""

    def __init__(self, episodes, n_states):
        self.episodes, self.observation_space = iter(episodes), Discrete(n_states)
        self.steps, self.s = [], None

    def reset(self, **kwargs):
        assert not kwargs and not self.steps, "seeded, or reset in the middle"
        self.steps = list(next(self.episodes))
        self.s = self.steps[0][0]
        return self.s, {}

    def step(self, action):
        s, reward, s_next, terminated, truncated = self.steps.pop(0)
        assert action == 100 + s, "the policy must be asked about the present state"
        return s_next, reward, terminated, truncated, {}


def by_state(s, _rng):
    return 100 + s


EPISODES = [
    [(0, 1.0, 1, False, False), (1, 2.0, 0, True, False)],  # 0 is terminal here, and has a value
    [(1, 0.0, 0, False, False), (0, 4.0, 1, False, True)],  # cut off: bootstraps from 1
    [(0, -1.0, 1, True, True)],  # both flags: terminal
]


def test_td_prediction_by_hand():
    v = td_prediction(Tape(EPISODES, 3), by_state, 3, 0.5, 0.5, np.random.default_rng(0))
    # episode 1: v0 = ½; v1 = 1.   episode 2: v1 = ½(1 + ½·½) = 0.625; v0 = ½(½ + 4 + ½·0.625)
    v0 = 0.5 * (0.5 + 4 + 0.5 * 0.625)
    assert v.tolist() == [0.5 * (v0 - 1), 0.625, 0]


def test_no_episodes_no_values():
    v = td_prediction(Tape([], 3), by_state, 0, 0.5, 0.5, np.random.default_rng(0))
    assert v.tolist() == [0, 0, 0] and v.dtype == np.float64


def test_one_step_td_is_td0():
    def run(method, *n):
        return method(
            Tape(EPISODES, 3), by_state, *n, 3, 0.3, 0.9, np.random.default_rng(0)
        ).tolist()

    assert run(n_step_td_prediction, 1) == run(td_prediction)


def test_many_steps_are_monte_carlo():
    """With α = 1 and n beyond the end, v is the last return seen from each state."""
    env = TabularEnv(chain(5, gamma=0.5))
    env.reset(seed=0)
    v = n_step_td_prediction(
        env, lambda s, rng: int(rng.random() < 0.7), 10**6, 1, 1.0, 0.5, np.random.default_rng(0)
    )
    # state 3's last visit is the one that wins; every other value follows its own last path
    assert v[3] == 1.0 and v[4] == 0.0
    assert all(np.log2(value).is_integer() and value < 1 for value in v[:3])


def test_the_window_shrinks_towards_an_end():
    """n = 2 in a chain walked straight to its end, with α = ½, by hand."""
    env = TabularEnv(chain(4, gamma=1.0))
    env.reset(seed=0)
    v = n_step_td_prediction(env, lambda s, rng: 1, 2, 2, 0.5, 1.0, np.random.default_rng(0))
    # 1st: v0 sees v2 = 0, v1 and v2 see the 1: [0, ½, ½]; 2nd: v0 → ½·½, v1, v2 → ¾
    assert v.tolist() == [0.25, 0.75, 0.75, 0.0]


def test_td_is_unbiased_in_the_long_run():
    env = TabularEnv(random_walk(5))
    env.reset(seed=0)
    v = td_prediction(env, lambda s, rng: 0, 1500, 0.01, 1.0, np.random.default_rng(0))
    np.testing.assert_allclose(v, random_walk_values(5), atol=0.1)
