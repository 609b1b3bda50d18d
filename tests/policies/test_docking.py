"""The ship: its motion by hand, its best policy by a search, and by the Bellman equation of quadratics."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from rlcourse.lab.evaluation import evaluate
from rlcourse.policies.docking import STEPS, Docking, F, G, Linear, best_gain


@pytest.mark.filterwarnings("ignore::UserWarning")  # a box without end is what is meant here
def test_it_is_an_environment_cut_off_after_its_time():
    check_env(Docking(), skip_render_check=True)
    env = Docking()
    env.reset(seed=0)
    ends = [env.step(np.zeros(1))[2:4] for _ in range(STEPS)]
    assert ends == [(False, False)] * (STEPS - 1) + [(False, True)]


def test_a_step_is_the_linear_motion_and_its_cost():
    env, rng = Docking(), np.random.default_rng(0)
    obs, _ = env.reset(seed=1)
    z = np.array([env.x, env.v])
    assert obs == pytest.approx(z) and -1 <= z[0] <= 1 and z[1] == 0
    for a in rng.uniform(-1.5, 1.5, size=20):
        thrust = np.clip(a, -1, 1)
        obs, reward, *_ = env.step(np.array([a]))
        assert reward == pytest.approx(-(z[0] ** 2) - 0.1 * thrust**2)
        z = F @ z + G * thrust
        assert obs == pytest.approx(z, abs=1e-6)


@pytest.mark.parametrize("gamma", [0.9, 0.95, 0.99])
def test_no_linear_policy_is_better_than_the_computed_one(gamma):
    """V of a = −Kz solves M = Q + 0.1 KKᵀ + γ (F − GK)ᵀ M (F − GK): by linear equations, for any K."""

    def value(K):
        closed = F - np.outer(G, K)
        cost = np.diag([1.0, 0.0]) + 0.1 * np.outer(K, K)
        system = np.eye(4) - gamma * np.kron(closed.T, closed.T)
        return np.linalg.solve(system, cost.ravel()).reshape(2, 2)

    best = best_gain(gamma)
    M, rng = value(best), np.random.default_rng(0)
    for _ in range(200):
        other = best + rng.choice([0.01, 0.1, 0.5]) * rng.normal(size=2)
        if np.abs(np.linalg.eigvals(np.sqrt(gamma) * (F - np.outer(G, other)))).max() < 1:
            assert (np.linalg.eigvalsh(value(other) - M) > -1e-9).all()


def test_with_bounds_it_is_still_hard_to_beat():
    gain = best_gain(0.95)
    score = evaluate(Linear(gain), Docking, episodes=60, seed=0).mean()
    for scale in ((0.5, 0.5), (2.0, 2.0), (1.0, 0.5), (0.5, 1.0)):
        assert evaluate(Linear(gain * scale), Docking, episodes=60, seed=0).mean() < score + 0.02
