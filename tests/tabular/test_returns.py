"""Returns against the literal sum, episodes against an environment that refuses to be misused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_mdps import few

from rlcourse.tabular.returns import (
    bootstrap_mask,
    coin_stopped_return,
    constant_return,
    discounted_return,
    mean_squared_error,
    returns_to_go,
    run_episode,
)

rewards = st.lists(st.integers(-5, 5) | st.floats(-10, 10), max_size=12)
gammas = st.sampled_from([0.0, 0.25, 0.9, 1.0])


@few
@given(rewards, gammas)
def test_return_is_the_sum_of_powers(rewards, gamma):
    expected = sum(gamma**t * r for t, r in enumerate(rewards))
    assert discounted_return(np.array(rewards), gamma) == pytest.approx(expected, abs=1e-12)


@few
@given(rewards, gammas)
def test_returns_to_go_is_the_double_sum(rewards, gamma):
    n = len(rewards)
    expected = [sum(gamma ** (k - t) * rewards[k] for k in range(t, n)) for t in range(n)]
    found = returns_to_go(np.array(rewards), gamma)
    assert found.shape == (n,) and found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-12)


# ------------------------------------------------------------------------------- closed forms


@few
@given(st.integers(-5, 5) | st.floats(-10, 10), gammas | st.floats(0, 0.99), st.integers(0, 60))
def test_constant_return_is_the_sum(reward, gamma, n):
    found = constant_return(reward, gamma, n)
    assert type(found) is float
    assert found == pytest.approx(discounted_return(np.full(n, reward), gamma), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("gamma", [0, 0.0, 0.5, 0.99, 0.9999])
def test_constant_return_without_end_is_what_a_step_more_does_not_change(gamma):
    g = constant_return(3, gamma, math.inf)
    assert g == pytest.approx(3 + gamma * g)
    assert constant_return(3, gamma, 10**15) == pytest.approx(g)


def test_constant_return_at_the_edges():
    assert [constant_return(2.5, gamma, 0) for gamma in (0.0, 0.5, 1.0)] == [0.0] * 3
    assert constant_return(-2, 1, 10**15) == -2e15


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("reward", [2, -0.5, 0.0])
def test_coin_stopped_return_against_the_series_over_all_lengths(reward, gamma):
    steps = np.arange(1, 20_000)
    probability = (1 - gamma) * gamma ** (steps - 1)
    mean = probability @ (reward * steps)
    variance = probability @ (reward * steps - mean) ** 2
    found = coin_stopped_return(reward, gamma)
    assert found == pytest.approx((mean, math.sqrt(variance)), rel=1e-9, abs=1e-12)
    assert found[0] == pytest.approx(constant_return(reward, gamma, math.inf))


def test_coin_stopped_return_against_tosses():
    rng, n = np.random.default_rng(0), 20_000
    going, steps = np.ones(n, dtype=bool), np.zeros(n)
    while going.any():
        steps[going] += 1
        going &= rng.random(n) < 0.8
    mean, std = coin_stopped_return(-2.0, 0.8)
    assert abs((-2 * steps).mean() - mean) < 5 * std / math.sqrt(n)
    fourth = ((-2 * steps - mean) ** 4).mean()  # of it comes the error of a measured variance
    assert abs((2 * steps).var() - std**2) < 5 * math.sqrt((fourth - std**4) / n)


def test_whole_numbers_become_floats():
    assert returns_to_go(np.array([1, 0, 1]), 0.5).tolist() == [1.25, 0.5, 1.0]
    assert isinstance(discounted_return(np.array([1, 2]), 1), float)
    assert discounted_return(np.array([]), 0.9) == 0.0


def test_a_long_tail_does_not_underflow():
    found = returns_to_go(np.ones(400), 0.1)
    np.testing.assert_allclose(found[:300], 1 / 0.9, rtol=1e-14)


@pytest.mark.parametrize("dtype", [bool, int, float])
def test_only_a_terminal_state_stops_the_bootstrap(dtype):
    terminated = np.array([0, 1, 0, 1], dtype=dtype)
    truncated = np.array([0, 0, 1, 1], dtype=dtype)
    assert bootstrap_mask(terminated, truncated).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_mean_squared_error_pairs_rows(shape):
    prediction = np.array([1, 2, 4]).reshape(shape)
    assert mean_squared_error(prediction, np.array([1, 0, 1])) == pytest.approx((0 + 4 + 9) / 3)


class Script:
    """Plays the given steps and refuses anything after the end; states count up from 0."""

    def __init__(self, steps):
        self.steps, self.t, self.resets = steps, None, 0

    def reset(self):
        self.t, self.resets = 0, self.resets + 1
        return 0, {}

    def step(self, action):
        assert action == 10 * self.t, "the policy saw another state"
        reward, terminated, truncated = self.steps[self.t]
        self.t += 1
        return self.t, reward, terminated, truncated, {}


@pytest.mark.parametrize(
    ("ending", "terminal"),
    [((True, False), True), ((False, True), False), ((True, True), True)],
)
def test_run_episode(ending, terminal):
    steps = [(k, False, False) for k in range(149)] + [(7, *ending)]
    env, generator = Script(steps), np.random.default_rng(0)

    def policy(s, rng):
        assert rng is generator
        return 10 * s

    found, terminated = run_episode(env, policy, generator)
    assert found.tolist() == [*range(149), 7] and found.dtype == np.float64
    assert terminated is terminal and env.resets == 1
