"""Soft values by quadrature, kernels by finite differences, SVGD by what it must converge to."""

import math

import numpy as np
import pytest
import torch

from rlcourse.continuous.soft_q import (
    Sampler,
    SoftQ,
    median_bandwidth,
    q_of_many,
    rbf_kernel,
    soft_policy_score,
    soft_q_target,
    soft_value_estimate,
    svgd_direction,
    two_particles,
)
from rlcourse.lab.replay import Batch


def two_bumps(a):
    return np.exp(-20 * (a - 0.5) ** 2) + 0.8 * np.exp(-20 * (a + 0.5) ** 2)


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_soft_value_by_quadrature(alpha):
    """A deterministic fine grid is a uniform proposal without noise: it must give the integral."""
    nodes, w = np.polynomial.legendre.leggauss(200)
    exact = alpha * math.log(w @ np.exp(two_bumps(nodes) / alpha))
    grid = (np.arange(20_000) + 0.5) / 10_000 - 1
    q = torch.tensor(two_bumps(grid))[None]
    assert soft_value_estimate(q, -math.log(2), alpha).item() == pytest.approx(exact, abs=1e-6)


def test_soft_value_does_not_depend_on_the_proposal():
    """Two proposals, one integral: a triangle density 1 − |a| by its quantiles against the uniform one."""
    p = (np.arange(200_000) + 0.5) / 200_000
    a = np.where(p < 0.5, np.sqrt(2 * p) - 1, 1 - np.sqrt(2 - 2 * p))
    q, log_density = torch.tensor(two_bumps(a))[None], torch.tensor(np.log(1 - np.abs(a)))[None]
    nodes, w = np.polynomial.legendre.leggauss(200)
    exact = 0.5 * math.log(w @ np.exp(two_bumps(nodes) / 0.5))
    assert soft_value_estimate(q, log_density, 0.5).item() == pytest.approx(exact, abs=2e-3)


def test_soft_value_limits():
    q = torch.tensor([[3.0, -1.0, 2.0], [1e4, 0.0, 5e3]])
    hard = soft_value_estimate(q, 0.0, 1e-4)
    torch.testing.assert_close(hard, torch.tensor([3.0, 1e4]), atol=1e-3, rtol=0)
    constant = soft_value_estimate(torch.full((1, 7), 2.5), -math.log(2), 0.3)
    assert constant.item() == pytest.approx(2.5 + 0.3 * math.log(2))


def test_soft_q_target():
    y = soft_q_target(
        torch.tensor([1.0, 2.0]),
        torch.tensor([3.0, 4.0], requires_grad=True),
        torch.tensor([0.0, 1.0]),
        0.5,
    )
    assert y.tolist() == [2.5, 2.0]
    assert not y.requires_grad


def test_kernel_by_loops_and_bandwidth():
    x, y = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)).double()
    k = rbf_kernel(x, y, 0.7)
    for i, j in np.ndindex(5, 5):
        distance2 = sum((a - b) ** 2 for a, b in zip(x[i].tolist(), y[j].tolist(), strict=True))
        assert k[i, j].item() == pytest.approx(math.exp(-distance2 / 0.7))
    distances = [torch.dist(a, b).item() for a in x for b in y]
    expected = np.median(distances) ** 2 / math.log(6)
    assert median_bandwidth(x, y).item() == pytest.approx(expected)
    assert median_bandwidth(x[:1], x[:1]).item() == pytest.approx(1e-3)


def test_direction_by_loops_with_the_kernels_gradient_by_differences():
    rng = torch.Generator().manual_seed(1)
    x, score = torch.randn(2, 4, 2, generator=rng).double()
    y = torch.randn(3, 2, generator=rng).double()

    def kernel(a, b):
        return math.exp(-float(((a - b) ** 2).sum()) / 0.9)

    expected = torch.zeros(3, 2).double()
    for j in range(3):
        for i in range(4):
            slope = torch.zeros(2).double()
            for n in range(2):
                shift = 1e-6 * torch.eye(2)[n].double()
                slope[n] = (kernel(x[i] + shift, y[j]) - kernel(x[i] - shift, y[j])) / 2e-6
            expected[j] += (kernel(x[i], y[j]) * score[i] + slope) / 4
    torch.testing.assert_close(svgd_direction(x, score, y, 0.9), expected, atol=1e-8, rtol=0)


def test_one_particle_climbs_the_gradient():
    x, score = torch.tensor([[[0.3, -1.0]]]), torch.tensor([[[2.0, 5.0]]])
    torch.testing.assert_close(svgd_direction(x, score, x, 1.0), score)


def test_equal_scores_leave_only_repulsion():
    x = torch.tensor([[0.0], [1.0]])
    direction = svgd_direction(x, torch.zeros(2, 1), x, 1.0)
    assert direction[0] < 0 < direction[1]


def test_particles_reach_a_known_gaussian():
    """Score of N(1, 0.5²): the particles' mean and variance must become the density's."""
    x = torch.linspace(-3, -2, 60).double()[:, None]
    for _ in range(3000):
        x = x + 0.02 * svgd_direction(x, -(x - 1) / 0.25, x, median_bandwidth(x, x))
    assert x.mean().item() == pytest.approx(1, abs=0.02)
    assert x.std().item() == pytest.approx(0.5, abs=0.05)


def test_particles_keep_both_modes():
    x = torch.linspace(-1, 1, 40).double()[:, None]

    def score(x):
        near, far = torch.exp(-8 * (x - 1) ** 2), torch.exp(-8 * (x + 1) ** 2)
        return -16 * ((x - 1) * near + (x + 1) * far) / (near + far)

    for _ in range(1000):
        x = x + 0.02 * svgd_direction(x, score(x), x, median_bandwidth(x, x))
    assert 0.4 < (x > 0).double().mean().item() < 0.6
    assert x.abs().mean().item() == pytest.approx(1, abs=0.2)


def test_score_by_differences():
    def q_net(obs, action):
        return obs[:, 0] * torch.sin(3 * action[:, 0]) + action[:, 1] ** 2

    rng = torch.Generator().manual_seed(2)
    obs, u = torch.randn(3, 1, generator=rng).double(), torch.randn(3, 4, 2, generator=rng).double()
    score = soft_policy_score(q_net, obs, u, 0.5)

    def log_p(s, x):
        a = np.tanh(x)
        return (s * np.sin(3 * a[0]) + a[1] ** 2) / 0.5 + np.sum(np.log(1 - a**2))

    for b, k, n in np.ndindex(3, 4, 2):
        shift = 1e-6 * np.eye(2)[n]
        above, below = (log_p(obs[b, 0].item(), u[b, k].numpy() + e) for e in (shift, -shift))
        assert score[b, k, n].item() == pytest.approx((above - below) / 2e-6, abs=1e-6)


def test_many_actions_meet_their_own_state():
    obs, actions = torch.tensor([[1.0], [10.0]]), torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]])
    assert q_of_many(lambda s, a: (s * a)[:, 0], obs, actions).tolist() == [[1, 2], [30, 40]]


@pytest.mark.parametrize(("std", "h"), [(0.5, 0.01), (1.0, 1.0), (2.0, 30.0)])
def test_two_particles_do_not_move_where_they_stand_still(std, h):
    x = torch.tensor(two_particles(0.7, std, h), dtype=torch.float64)[:, None]
    direction = svgd_direction(x, -(x - 0.7) / std**2, x, h)
    assert x[0] < 0.7 < x[1]
    torch.testing.assert_close(direction, torch.zeros_like(x), atol=1e-12, rtol=0)


def test_two_particles_feel_each_other():
    """The median of 0, 0, 1, 1 is ½; the lower one is 0, and leaves the kernel without reach."""
    pair = torch.tensor([[0.0], [1.0]])
    assert median_bandwidth(pair, pair).item() == pytest.approx(0.5 / math.log(3))


def test_a_new_sampler_is_spread_out_and_says_the_same_in_numpy():
    sampler = Sampler(3, 2)
    rng = np.random.default_rng(0)
    obs, noise = (rng.standard_normal((500, n), dtype=np.float32) for n in (3, 2))
    u = sampler(torch.from_numpy(obs), torch.from_numpy(noise)).detach().numpy()
    assert (np.abs(u.std(axis=0) - 1) < 0.3).all()
    np.testing.assert_allclose(sampler.numpy(obs, noise), u, rtol=1e-5, atol=1e-5)


def test_the_score_of_the_agent_can_be_replaced():
    asked = []

    def score(q_net, obs, u, alpha):
        asked.append(u.requires_grad)
        return soft_policy_score(q_net, obs, u, alpha)

    low, high = -np.ones(2, np.float32), np.ones(2, np.float32)
    agent = SoftQ(3, low, high, soft_policy_score=score, particles=4)
    rng = np.random.default_rng(0)
    obs, action, next_obs = (torch.rand(5, n) for n in (3, 2, 3))
    agent.update(Batch(obs, action, torch.rand(5), next_obs, torch.zeros(5)), rng)
    assert asked == [False]
