"""Exploration noise: the process's moments in closed form, the box's borders."""

import math

import numpy as np
import pytest
import torch

from rlcourse.continuous.noise import GaussianNoise, OrnsteinUhlenbeckNoise, explore_action, ou_step


def test_ou_step_by_hand():
    x, xi = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 0.0]])
    expected = [[1 - 0.15 * 1 * 0.04 + 0.2 * 0.2 * 0.5, -2 + 0.15 * 2 * 0.04]]
    assert ou_step(x, xi, 0.15, 0.2, 0.04).tolist() == [pytest.approx(expected[0])]
    assert x.tolist() == [[1, -2]]


@pytest.mark.parametrize("dt", [1.0, 0.25])
def test_ou_settles_at_its_variance(dt):
    """Variance by iterating var ← (1 − θ dt)² var + σ² dt; samples from 20 000 processes."""
    theta, sigma, variance = 0.15, 0.2, 0.0
    rng = torch.Generator().manual_seed(0)
    x = torch.zeros(20_000)
    for _ in range(int(40 / dt)):
        variance = (1 - theta * dt) ** 2 * variance + sigma**2 * dt
        x = ou_step(x, torch.randn(20_000, generator=rng), theta, sigma, dt)
    assert variance == pytest.approx(sigma**2 / (2 * theta - theta**2 * dt), rel=1e-4)
    assert x.var().item() == pytest.approx(variance, rel=0.05)
    assert x.mean().item() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_exploration_scales_to_the_box_and_stays_in_it(kind):
    low, high = kind([-1.0, 0.0]), kind([3.0, 10.0])
    action = kind([[0.0, 5.0], [2.9, 9.5], [-1.0, 0.0]])
    noise = kind([[0.5, -0.1], [1.0, 0.2], [-1.0, -0.3]])
    result = explore_action(action, noise, low, high)
    np.testing.assert_allclose(result, [[1.0, 4.5], [3.0, 10.0], [-1.0, 0.0]], rtol=1e-6)


def test_noise_repeats_with_its_generator_and_starts_anew():
    noise = OrnsteinUhlenbeckNoise()
    runs = []
    for _ in range(2):
        rng = np.random.default_rng(1)
        runs.append([noise.sample((2, 1), rng) for _ in range(3)])
        noise.reset()
    torch.testing.assert_close(runs[0], runs[1])
    assert noise.x is None


def test_noise_starts_anew_in_the_rows_whose_episode_begins():
    noise, rng = OrnsteinUhlenbeckNoise(theta=0.5, sigma=1.0, dt=1.0), np.random.default_rng(1)
    before = noise.sample((3, 2), rng)
    noise.reset(np.array([False, True, False]))
    xi = np.random.default_rng(2).standard_normal((3, 2), dtype=np.float32)
    after = noise.sample((3, 2), np.random.default_rng(2)).numpy()
    np.testing.assert_allclose(after[1], xi[1], rtol=1e-6)
    np.testing.assert_allclose(after[::2], 0.5 * before.numpy()[::2] + xi[::2], rtol=1e-6)
    noise.reset(np.ones(3, dtype=bool))
    assert noise.sample((1, 2), rng).shape == (1, 2)  # as many environments as there are now


def test_gaussian_noise_has_its_width():
    sample = GaussianNoise(0.3).sample((20_000, 1), np.random.default_rng(2))
    assert sample.std().item() == pytest.approx(0.3, rel=0.03)
    assert abs(sample.mean().item()) < 4 * 0.3 / math.sqrt(20_000)
