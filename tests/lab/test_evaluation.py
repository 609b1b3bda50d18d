"""Evaluation, and the statistics against scipy's."""

import numpy as np
import pytest
from scipy.stats import trim_mean

from rlcourse.lab.evaluation import (
    Solved,
    bootstrap_interval,
    evaluate,
    interquartile_mean,
    run_seeds,
    solved_in,
)


class Still:
    """Always action 0."""

    def act(self, obs, rng, explore=True):
        assert not explore
        return np.zeros(len(obs), dtype=np.int64)


def test_one_whole_episode_from_each_environment():
    returns = evaluate(Still(), "CartPole-v1", 30, seed=3)
    assert returns.shape == (30,) and returns.min() >= 8 and returns.max() <= 11
    assert np.array_equal(returns, evaluate(Still(), "CartPole-v1", 30, seed=3))
    assert len(set(returns)) > 1


@pytest.mark.parametrize("shape", [(1,), (5,), (8,), (7, 3)])
def test_interquartile_mean(shape):
    scores = np.random.default_rng(0).normal(size=shape)
    assert interquartile_mean(scores) == pytest.approx(trim_mean(scores.ravel(), 0.25))


def test_interval_of_a_mean_is_the_normal_one():
    scores = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_interval(scores, np.random.default_rng(1), np.mean)
    error = scores.std() / 20
    # The quantiles of 2 000 draws are off by about 0.05 standard errors.
    assert low == pytest.approx(scores.mean() - 1.96 * error, abs=0.25 * error)
    assert high == pytest.approx(scores.mean() + 1.96 * error, abs=0.25 * error)


def test_runs_are_drawn_within_their_task():
    scores = np.array([[0.0, 100.0]] * 6)  # no spread within a task: none in the interval
    assert bootstrap_interval(scores, np.random.default_rng(0), np.mean) == (50.0, 50.0)


def test_seeds_in_order():
    assert run_seeds(abs, [-3, 2, -1]) == [3, 2, 1]
    assert run_seeds(abs, [-3, 2, -1], processes=2) == [3, 2, 1]
    assert solved_in([1, 5, 5.5], 5) == 2


def test_solved_asks_for_the_mean_of_the_greedy_policy():
    mean = evaluate(Still(), "CartPole-v1", 5, seed=3).mean()
    assert 8 <= mean <= 11  # pushed to one side, the pole falls after nine steps or so
    assert Solved("CartPole-v1", mean, episodes=5, seed=3)(Still(), 1_000)
    assert not Solved("CartPole-v1", mean + 0.01, episodes=5, seed=3)(Still(), 1_000)
