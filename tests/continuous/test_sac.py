"""The squashed Gaussian by quadrature; SAC's targets and losses by loops and finite differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlcourse.continuous.sac import (
    default_target_entropy,
    factored_projection,
    quadratic_temperature,
    sac_policy_loss,
    sac_q_target_v1,
    sac_target,
    sac_v1_policy_loss,
    sac_v_target,
    squashed_action,
    squashed_log_prob,
    temperature_loss,
)
from rlcourse.continuous.td3 import clipped_double_q_target


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (0.8, -1.0), (-2.0, 0.5)])
def test_density_integrates_to_one_and_has_the_right_distribution(mean, log_std):
    """∫ π(a) da over (−1, 1) in the variable a, and P(a < 0) against the normal's own distribution."""
    nodes = (np.arange(100_000) + 0.5) / 50_000 - 1
    w = np.full(100_000, 1 / 50_000)
    u = torch.tensor(np.arctanh(nodes))[:, None]
    m, s = torch.tensor([mean]).double(), torch.tensor([log_std]).double()
    density = squashed_log_prob(u, m, s).exp().numpy()
    assert w @ density == pytest.approx(1, abs=1e-3)
    below = 0.5 * (1 + math.erf(-mean / math.exp(log_std) / math.sqrt(2)))
    assert w[nodes < 0] @ density[nodes < 0] == pytest.approx(below, abs=1e-3)


def test_log_prob_is_exact_far_out():
    """At u = 20, 1 − tanh² u ≈ 4 e^(−40): float64 rounds it to 0, the stable form does not."""
    u = torch.tensor([[20.0], [-20.0], [0.3]])
    result = squashed_log_prob(u, torch.zeros(1), torch.zeros(1))
    normal = -0.5 * u[:, 0].double() ** 2 - 0.5 * math.log(2 * math.pi)
    correction = torch.tensor(
        [math.log(4) - 40, math.log(4) - 40, math.log(1 - math.tanh(0.3) ** 2)]
    )
    torch.testing.assert_close(result.double(), normal - correction.double(), rtol=1e-5, atol=1e-4)


def test_dimensions_add_up_and_samples_agree():
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(5, 3, generator=rng)
    mean, log_std = torch.randn(2, 5, 3, generator=rng)
    action, log_prob = squashed_action(lambda obs: (mean, log_std), None, noise)
    assert log_prob.shape == (5,)
    u = torch.atanh(action.double())
    single = [squashed_log_prob(u[:, [j]], mean[:, [j]], log_std[:, [j]]) for j in range(3)]
    torch.testing.assert_close(log_prob.double(), sum(single).double(), rtol=1e-3, atol=1e-3)


def test_log_prob_gradient_by_finite_differences():
    u, mean, log_std = torch.randn(
        3, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    inputs = [x.requires_grad_() for x in (u, mean, log_std)]
    assert torch.autograd.gradcheck(squashed_log_prob, inputs)


def tensors(seed, n, *, grad=False):
    rng = torch.Generator().manual_seed(seed)
    return [
        torch.randn(5, generator=rng, dtype=torch.float64).requires_grad_(grad) for _ in range(n)
    ]


def test_targets_by_loops():
    r, q1, q2, log_pi, v = tensors(2, 5, grad=True)
    d = torch.tensor([0, 1, 0, 1, 0]).double()
    y = sac_target(r, q1, q2, log_pi, d, 0.9, 0.3)
    v_label = sac_v_target(q1, q2, log_pi, 0.3)
    y1 = sac_q_target_v1(r, v, d, 0.9)
    for i in range(5):
        soft = min(q1[i].item(), q2[i].item()) - 0.3 * log_pi[i].item()
        assert v_label[i].item() == pytest.approx(soft)
        assert y[i].item() == pytest.approx(r[i].item() + (0 if d[i] else 0.9 * soft))
        assert y1[i].item() == pytest.approx(r[i].item() + (0 if d[i] else 0.9 * v[i].item()))
    assert not y.requires_grad
    assert not v_label.requires_grad


def test_no_temperature_gives_td3s_target():
    r, q1, q2, log_pi = tensors(3, 4)
    d = torch.tensor([0, 1, 0, 1, 0]).double()
    torch.testing.assert_close(
        sac_target(r, q1, q2, log_pi, d, 0.9, 0.0), clipped_double_q_target(r, q1, q2, d, 0.9)
    )


def test_policy_loss_and_who_gets_a_gradient():
    q1, q2, log_pi = tensors(4, 3, grad=True)
    alpha = torch.tensor(0.7, requires_grad=True)
    loss = sac_policy_loss(q1, q2, log_pi, alpha)
    expected = np.mean(
        [
            0.7 * lp - min(a, b)
            for a, b, lp in zip(q1.tolist(), q2.tolist(), log_pi.tolist(), strict=True)
        ]
    )
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    loss.backward()
    assert alpha.grad is None
    torch.testing.assert_close(q1.grad, torch.where(q1 < q2, -0.2, 0.0).double())
    torch.testing.assert_close(log_pi.grad, torch.full((5,), 0.14).double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("target", [-3.0, 3.0])
def test_temperature_follows_the_constraint(target):
    """dJ/d log α by differences; α rises exactly when the entropy is below its target."""
    (log_pi,) = tensors(5, 1, grad=True)
    log_alpha = torch.tensor(-0.4, dtype=torch.float64, requires_grad=True)
    temperature_loss(log_alpha, log_pi, target).backward()

    def loss_at(x):
        return -np.mean([math.exp(x) * (lp + target) for lp in log_pi.tolist()])

    difference = (loss_at(-0.4 + 1e-6) - loss_at(-0.4 - 1e-6)) / 2e-6
    assert log_alpha.grad.item() == pytest.approx(difference, rel=1e-6)
    entropy = -log_pi.mean().item()
    assert (log_alpha.grad.item() < 0) == (entropy < target)
    assert log_pi.grad is None


def test_default_target_entropy():
    assert [default_target_entropy(n) for n in (1, 6)] == [-1.0, -6.0]


def entropy_by_quadrature(k, alpha):
    """−∫ π log π of π ∝ e^(−k x²/2α), from the definition: nothing is known of any Gaussian here."""
    x = np.linspace(-12, 12, 40_001) * math.sqrt(alpha / k)
    weight = np.exp(-0.5 * k * x**2 / alpha)
    step = x[1] - x[0]
    pi = weight / (weight.sum() * step)
    return -np.sum(pi * np.log(np.where(pi > 0, pi, 1.0))) * step


@settings(max_examples=40, deadline=None)
@given(
    curvature=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=6),
    per_dimension=st.one_of(st.none(), st.floats(-4.0, 2.0)),
)
def test_quadratic_temperature_gives_the_soft_optimum_the_target_entropy(curvature, per_dimension):
    goal = None if per_dimension is None else per_dimension * len(curvature)
    alpha = quadratic_temperature(np.array(curvature), goal)
    has = sum(entropy_by_quadrature(k, alpha) for k in curvature)
    wanted = default_target_entropy(len(curvature)) if goal is None else goal
    assert has == pytest.approx(wanted, abs=1e-6 * len(curvature))


def test_quadratic_temperature_is_where_the_temperatures_loss_stops():
    """Its gradient at α*, over many samples of the soft optimum, is zero within four standard errors."""
    k = torch.tensor([1.0, 10.0, 0.3], dtype=torch.float64)
    alpha = quadratic_temperature(k.numpy())
    assert alpha == pytest.approx(0.01143, abs=5e-6)
    noise = torch.randn(40_000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    soft_optimum = torch.distributions.Normal(torch.zeros(3).double(), (alpha / k).sqrt())
    log_prob = soft_optimum.log_prob(noise * (alpha / k).sqrt()).sum(dim=1)
    for factor, sign in ((0.5, -1), (1.0, 0), (2.0, 1)):
        log_alpha = torch.tensor(math.log(factor * alpha), requires_grad=True)
        shift = -1.5 * math.log(factor)  # the soft optimum of another α is wider in every direction
        temperature_loss(log_alpha, log_prob + shift, -3.0).backward()
        slope = log_alpha.grad.item() / (factor * alpha)
        if sign:
            assert sign * slope > 0.5
        else:
            assert abs(slope) < 4 * log_prob.std().item() / math.sqrt(len(log_prob))


@pytest.mark.parametrize("power", [-3, 0, 3])
def test_quadratic_temperature_in_many_dimensions(power):
    """(19.17) asks for the same in every dimension; 200 equal curvatures have a product beyond float64."""
    one = quadratic_temperature(np.array([10.0**power]))
    assert one == pytest.approx(10.0**power / (2 * math.pi * math.e**3), rel=1e-12)
    assert quadratic_temperature(np.full(200, 10.0**power)) == pytest.approx(one, rel=1e-12)
    stretched = quadratic_temperature(7 * np.full(3, 10.0**power), -2.0)
    assert stretched == pytest.approx(
        7 * quadratic_temperature(np.full(3, 10.0**power), -2.0), rel=1e-12
    )


def test_no_gradient_flows_through_the_first_forms_target():
    r, v = tensors(7, 2, grad=True)
    assert not sac_q_target_v1(r, v, torch.zeros(5).double(), 0.9).requires_grad


def test_the_first_forms_policy_loss_by_loops_and_its_gradient_by_differences():
    rng = torch.Generator().manual_seed(8)
    noise, w1, w2 = torch.randn(3, 4, 2, dtype=torch.float64, generator=rng)
    parameters = torch.randn(2, 4, 2, dtype=torch.float64, generator=rng).requires_grad_()

    def loss(p):
        return sac_v1_policy_loss(
            lambda obs: (p[0], p[1]),
            lambda obs, a: (w1 * a).sum(-1),
            lambda obs, a: (w2 * a).square().sum(-1),
            None,
            noise,
            0.3,
        )

    rows = []
    for i in range(4):
        m, s = parameters[0, i].tolist(), parameters[1, i].tolist()
        u = [m[j] + math.exp(s[j]) * noise[i, j].item() for j in range(2)]
        log_pi = sum(
            -0.5 * noise[i, j].item() ** 2
            - s[j]
            - 0.5 * math.log(2 * math.pi)
            - math.log(1 - math.tanh(u[j]) ** 2)
            for j in range(2)
        )
        q1 = sum(w1[i, j].item() * math.tanh(u[j]) for j in range(2))
        q2 = sum((w2[i, j].item() * math.tanh(u[j])) ** 2 for j in range(2))
        rows.append(0.3 * log_pi - min(q1, q2))
    assert loss(parameters).item() == pytest.approx(np.mean(rows))
    assert torch.autograd.gradcheck(loss, [parameters])


@pytest.mark.parametrize("r", [0.0, 0.5, 0.8, 0.9, 0.99])
def test_the_projection_of_two_coupled_dimensions(r):
    std, kl = factored_projection(np.array([[4.0, 6 * r], [6 * r, 9.0]]), 0.5)
    np.testing.assert_allclose(std, [math.sqrt(0.125), math.sqrt(0.5 / 9)])
    assert kl == pytest.approx(-0.5 * math.log(1 - r**2), abs=1e-12)


def test_no_other_widths_are_nearer():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    K, alpha = root @ root.T + np.eye(4), 0.7
    covariance = alpha * np.linalg.inv(K)

    def divergence(std):  # of two Gaussians with one mean
        trace = (np.diag(K) * std**2).sum() / alpha
        log_ratio = np.linalg.slogdet(covariance)[1] - 2 * np.log(std).sum()
        return 0.5 * (trace - 4 + log_ratio)

    std, kl = factored_projection(K, alpha)
    assert divergence(std) == pytest.approx(kl, rel=1e-10)
    for _ in range(50):
        assert divergence(std * np.exp(0.1 * rng.normal(size=4))) > kl
