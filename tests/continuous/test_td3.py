"""TD3's and DDPG's equations by loops and at their edges."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from rlcourse.continuous.ddpg import ddpg_actor_loss, ddpg_target
from rlcourse.continuous.td3 import (
    clipped_bias,
    clipped_double_q_target,
    delayed,
    smoothed_target_action,
)

SPREADS = st.floats(0.01, 100.0)
CORRELATIONS = st.floats(-1.0, 1.0)


class LinearCritic(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(3, 1)

    def forward(self, obs, action):
        return self.net(torch.cat([obs, action], -1)).squeeze(-1)


def test_smoothed_action_by_loops():
    rng = np.random.default_rng(0)
    mu, noise = rng.uniform(-1, 1, (50, 2)), 2 * rng.normal(size=(50, 2))
    low, high = np.array([-1.0, -0.2]), np.array([0.5, 1.0])
    expected = np.zeros_like(mu)
    for i, j in np.ndindex(mu.shape):
        epsilon = max(-0.5, min(0.5, 0.4 * noise[i, j]))
        expected[i, j] = max(low[j], min(high[j], mu[i, j] + epsilon))
    result = smoothed_target_action(
        *map(torch.tensor, (mu, noise)), 0.4, 0.5, torch.tensor(low), torch.tensor(high)
    )
    np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_target_by_loops_and_detached():
    q1 = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    q2 = torch.tensor([2.0, -3.0, 0.0], requires_grad=True)
    reward, terminated = torch.tensor([0.5, 0.5, 0.5]), torch.tensor([0.0, 0.0, 1.0])
    y = clipped_double_q_target(reward, q1, q2, terminated, 0.9)
    assert y.tolist() == pytest.approx([0.5 + 0.9, 0.5 - 2.7, 0.5])
    assert not y.requires_grad


def test_the_minimum_does_not_overestimate():
    """Max bias: unbiased noisy critics, one picks, both judge. E[min of two N(0,1)] = −1/√π."""
    rng = torch.Generator().manual_seed(0)
    q1, q2 = torch.randn(2, 100_000, generator=rng)
    zero = torch.zeros(100_000)
    assert clipped_double_q_target(zero, q1, q2, zero, 1.0).mean().item() == pytest.approx(
        -1 / np.sqrt(np.pi), abs=0.01
    )


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.0, 0.5, 0.95])
@pytest.mark.parametrize("sigmas", [(1.0, 1.0), (0.4, 2.5), (3.0, 0.7)])
def test_the_bias_of_the_minimum_by_quadrature(sigmas, rho):
    """E[min(X, Y)] = −∫ P(min < t) over t < 0, + ∫ P(min > t) over t > 0: no word of the difference."""
    s, t = sigmas
    both = stats.multivariate_normal(cov=[[s * s, rho * s * t], [rho * s * t, t * t]])

    def above(x):  # both are: by symmetry about 0 as likely as both below −x
        return both.cdf([-x, -x])

    grid = np.linspace(0, 8 * max(sigmas), 400)
    positive = integrate.simpson([above(x) for x in grid], x=grid)
    negative = integrate.simpson([1 - above(-x) for x in grid], x=grid)
    assert clipped_bias(s, t, rho) == pytest.approx(positive - negative, abs=1e-3 * max(sigmas))


@given(SPREADS, SPREADS, CORRELATIONS)
def test_what_holds_of_every_bias(s, t, rho):
    bias = clipped_bias(s, t, rho)
    rounding = 1e-7 * (
        s + t
    )  # where almost nothing is left of a difference, the root of its last digit
    assert isinstance(bias, float) and bias <= 0
    assert clipped_bias(t, s, rho) == pytest.approx(bias, abs=rounding)  # nobody is the first
    assert clipped_bias(7 * s, 7 * t, rho) == pytest.approx(7 * bias, abs=7 * rounding)  # the unit
    # The more the errors agree, the less is left.
    assert clipped_bias(s, t, -1.0) - rounding <= bias <= clipped_bias(s, t, 1.0) + rounding


def test_twice_the_same_critic_has_no_bias_and_opposite_ones_the_most():
    assert clipped_bias(0.7, 0.7, 1.0) == 0
    assert clipped_bias(0.7, 0.7, -1.0) == pytest.approx(-0.7 * np.sqrt(2 / np.pi))  # −E|X|


def test_independent_errors_lie_as_deep_as_a_maximum_lies_high():
    """Lesson 05's maximum, by a million draws."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 1_000_000)) * [[0.5], [2.0]]
    assert clipped_bias(0.5, 2.0, 0.0) == pytest.approx(-np.maximum(x, y).mean(), abs=0.006)


def test_delay():
    assert [step for step in range(1, 8) if delayed(step, 3)] == [3, 6]
    assert all(delayed(step, 1) for step in range(1, 5))


def test_actor_loss_moves_the_actor_only():
    actor = torch.nn.Linear(2, 1)
    critic = LinearCritic()
    net = critic.net
    obs = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
    ddpg_actor_loss(actor, critic, obs).backward()
    assert net.weight.grad is None
    assert net.weight.requires_grad
    # by the chain rule: −mean of w_a · s, and −w_a for the bias
    w_a = net.weight[0, 2].item()
    torch.testing.assert_close(actor.weight.grad[0], -w_a * obs.mean(0))
    assert actor.bias.grad.item() == pytest.approx(-w_a)


def test_ddpg_target_by_hand():
    batch = SimpleNamespace(
        reward=torch.tensor([1.0, 2.0]),
        next_obs=torch.tensor([[3.0], [4.0]]),
        terminated=torch.tensor([0.0, 1.0]),
    )
    y = ddpg_target(lambda s: 2 * s, lambda s, a: (s * a)[:, 0], batch, 0.5)
    assert y.tolist() == [1 + 0.5 * 18, 2]
