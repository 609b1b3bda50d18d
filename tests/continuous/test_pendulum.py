"""The pendulums that are rolled out are Gymnasium's, and what is watched is what it says."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from rlcourse.continuous import agent, noise, pendulum
from rlcourse.continuous.ddpg import DDPG


def test_a_step_is_gymnasiums():
    env, rng = gym.make("Pendulum-v1").unwrapped, np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(50):
        state = rng.uniform([-4, -8], [4, 8])
        torque = rng.uniform(-3, 3)
        env.state = state.copy()
        obs, reward, *_ = env.step(np.array([torque]))
        angle, speed, mine = pendulum.moved(state[:1], state[1:], np.array([torque]))
        assert mine[0] == pytest.approx(reward, abs=1e-9)
        np.testing.assert_allclose(pendulum.seen(angle, speed)[0], obs, atol=1e-5)


class Still:
    def act(self, obs, rng, explore=True):
        return np.zeros((len(obs), 1), np.float32)


def test_a_pendulum_that_hangs_still_pays_pi_squared_at_each_step():
    hanging = np.array([np.pi]), np.array([0.0])
    expected = -(np.pi**2) * (1 - 0.9**50) / 0.1
    assert pendulum.returns(Still(), *hanging, 0.9, 50)[0] == pytest.approx(expected, rel=1e-6)


def test_watching_changes_nothing_of_the_run_and_repeats():
    runs = [
        pendulum.watch(
            lambda seed: DDPG.for_env("Pendulum-v1", seed=seed, hidden=(8,)), (3,), steps=300,
            look_every=every, states=20, warmup=100, batch_size=16,
        )
        for every in (100, 100, 300)
    ]  # fmt: skip
    np.testing.assert_array_equal(runs[0].believed, runs[1].believed)
    np.testing.assert_array_equal(runs[0].score[:, -1], runs[2].score[:, -1])
    assert runs[0].score.shape == (1, 3) and runs[0].met.shape == (1, 20, 3)


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_scaling_lands_on_the_borders_and_in_the_middle(kind):
    low, high = kind([-2.0, 0.0]), kind([2.0, 5.0])
    corners = kind([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
    scaled = agent.scale_action(corners, low, high)
    np.testing.assert_allclose(scaled, [[-2.0, 0.0], [0.0, 2.5], [2.0, 5.0]])


def test_an_agent_scales_with_the_function_that_it_was_given():
    one = DDPG.for_env("Pendulum-v1", scale_action=lambda a, low, high: 0 * a + 1.5)
    assert (one.act(np.zeros((2, 3), np.float32), np.random.default_rng(0)) == 1.5).all()


def test_ou_noise_steps_with_the_function_that_it_was_given():
    own = noise.OrnsteinUhlenbeckNoise(ou_step=lambda x, xi, *rest: x + 1)
    rng = np.random.default_rng(0)
    assert [own.sample((1, 1), rng).item() for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("theta", "sigma", "dt"), [(0.15, 0.2, 1.0), (0.7, 1.0, 2.0), (2.0, 0.5, 0.1)]
)
def test_ou_stationary_solves_the_covariance_equations(theta, sigma, dt):
    """A linear solve: the covariance of four neighbouring steps under one more step."""
    n = 4
    move = np.zeros((n, n))
    move[0, 0], move[1:, :-1] = 1 - theta * dt, np.eye(n - 1)
    knock = np.zeros((n, n))
    knock[0, 0] = sigma**2 * dt
    solved = np.linalg.solve(np.eye(n * n) - np.kron(move, move), knock.ravel()).reshape(n, n)
    for lag in range(n):
        deviation, correlation = noise.ou_stationary(theta, sigma, dt, lag)
        assert deviation == pytest.approx(np.sqrt(solved[0, 0]))
        assert correlation == pytest.approx(solved[0, lag] / solved[0, 0])
