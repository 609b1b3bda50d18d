"""Greedy episodes and runs of many seeds; their statistics are tested in `test_statistics`."""

import numpy as np

from rlcourse.lab.evaluation import (
    Solved,
    evaluate,
    run_seeds,
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


def test_seeds_in_order():
    assert run_seeds(abs, [-3, 2, -1]) == [3, 2, 1]
    assert run_seeds(abs, [-3, 2, -1], processes=2) == [3, 2, 1]


def test_solved_asks_for_the_mean_of_the_greedy_policy():
    mean = evaluate(Still(), "CartPole-v1", 5, seed=3).mean()
    assert 8 <= mean <= 11  # pushed to one side, the pole falls after nine steps or so
    assert Solved("CartPole-v1", mean, episodes=5, seed=3)(Still(), 1_000)
    assert not Solved("CartPole-v1", mean + 0.01, episodes=5, seed=3)(Still(), 1_000)
