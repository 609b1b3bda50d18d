"""Lesson 04's observations, over its seeds: what the lesson says is what its own cells compute."""

from types import SimpleNamespace

import numpy as np
import pytest
from running import left_by

from rlcourse.tabular.envs import TabularEnv
from rlcourse.tabular.figures import MONTE_CARLO, n_step_curves
from rlcourse.tabular.prediction import lambda_returns, mc_prediction, td_prediction

pytestmark = pytest.mark.full  # what the lesson says of its experiments, run again

SEEDS = range(1000, 1010)


@pytest.fixture(scope="module")
def lesson():
    return SimpleNamespace(**left_by("04"))


def made(world, seed, wrap=lambda env: env, **settings):
    env = wrap(TabularEnv(world, **settings))
    env.reset(seed=seed)
    return env


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_both_views_ask_for_the_same_changes(lesson, gamma, lam):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        states, rewards = rng.integers(5, size=(7,)), rng.normal(size=7)
        v = rng.normal(size=5)
        ended = np.arange(7) == 6
        g = lambda_returns(rewards, np.append(v[states[1:]], 0.0), ended, gamma, lam)
        forward = np.zeros(5)
        np.add.at(forward, states, g - v[states])
        backward = lesson.backward_view(states, rewards, v, gamma, lam)
        np.testing.assert_allclose(backward, forward, atol=1e-12)


def test_monte_carlo_is_ahead_at_first_and_td_has_caught_up_in_the_end(lesson):
    errors = {"td": [], "mc": []}
    for n in (lesson.counts[lesson.EARLY], lesson.counts[-1]):
        td = [
            td_prediction(made(lesson.walk, seed), lesson.policy, n, 0.1, 1.0, None)
            for seed in SEEDS
        ]
        mc = [
            mc_prediction(lesson.walks(made(lesson.walk, seed), n), 1.0, 21, True) for seed in SEEDS
        ]
        errors["td"].append(np.mean([lesson.rms(v) for v in td]))
        errors["mc"].append(np.mean([lesson.rms(v) for v in mc]))
    assert errors["mc"][0] < errors["td"][0] / 1.3
    assert errors["td"][1] < 1.3 * errors["mc"][1]


def test_a_cut_taken_for_an_end_pulls_the_values_towards_zero(lesson):
    for seed in SEEDS[:3]:
        settings = (lesson.policy, 4000, 0.03, 1.0, None)
        right = td_prediction(made(lesson.anywhere, seed, max_steps=15), *settings)
        wrong = td_prediction(
            made(lesson.anywhere, seed, lesson.CutIsTheEnd, max_steps=15), *settings
        )
        assert lesson.rms(right) < lesson.rms(wrong) / 2
        assert np.abs(wrong[1:-1]).mean() < 0.7 * np.abs(lesson.true_values[1:-1]).mean()


def test_the_best_n_lies_between_and_a_larger_n_wants_a_smaller_step(lesson):
    for seed in SEEDS[:3]:
        u = n_step_curves(np.random.default_rng(seed), lesson.steps, lesson.alphas, runs=60)
        lowest = u.min(axis=1)
        assert 0 < lowest.argmin() < len(lowest) - 1
        best = dict(zip(lesson.steps, lesson.alphas[u.argmin(axis=1)], strict=True))
        assert best[1] > best[8] > best[MONTE_CARLO]


def test_batch_td_finds_the_likeliest_models_values():
    """On random data: the fixed point of the summed changes is (I − P̂)⁻¹ r̂ — S&B §6.3."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        s, s_next, r = rng.integers(3, size=60), rng.integers(4, size=60), rng.normal(size=60)
        visits = np.bincount(s, minlength=3)
        likeliest = np.zeros((3, 4))
        np.add.at(likeliest, (s, s_next), 1.0)
        likeliest /= visits[:, None]
        mean = np.bincount(s, weights=r, minlength=3) / visits
        expected = np.linalg.solve(np.eye(3) - likeliest[:, :3], mean)
        v = np.zeros(4)  # 3 is terminal
        for _ in range(3000):
            change = np.zeros(4)
            np.add.at(change, s, r + np.where(s_next == 3, 0.0, v[s_next]) - v[s])
            v += 0.02 * change
        np.testing.assert_allclose(v[:3], expected, atol=1e-6)
