"""The two gradients and Stein's identity, against quadrature and finite differences."""

import math

import numpy as np
import pytest
import torch

from rlcourse.continuous.stein import (
    deterministic_policy_gradient,
    fit_policy,
    gaussian_log_prob,
    optimal_constant_baseline,
    pathwise_gradient,
    score_function_gradient,
    stein_residual,
)

# Probabilists' Gauss–Hermite: E[f(ξ)] = Σ w f(x) / √(2π), exact for polynomials up to degree 119.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = WEIGHTS / math.sqrt(2 * math.pi)
XI = torch.tensor(NODES)[:, None]
W = torch.tensor(WEIGHTS)
MEAN, LOG_STD = torch.tensor([0.3], dtype=torch.float64), torch.tensor([-0.4], dtype=torch.float64)


def smooth_q(a):
    return torch.sin(2 * a[:, 0]) + 0.5 * a[:, 0] ** 2


def expected_q(mean, log_std):
    a = mean + math.exp(log_std) * NODES
    return float(WEIGHTS @ (np.sin(2 * a) + 0.5 * a**2))


def exact_gradients():
    """Central differences of the quadrature, which neither estimator uses."""
    m, s, h = MEAN.item(), LOG_STD.item(), 1e-5
    d_mean = (expected_q(m + h, s) - expected_q(m - h, s)) / (2 * h)
    d_log_std = (expected_q(m, s + h) - expected_q(m, s - h)) / (2 * h)
    return d_mean, d_log_std


def test_log_prob_is_a_normalised_density_in_two_dimensions():
    mean, log_std = torch.tensor([0.5, -1.0]), torch.tensor([-0.7, 0.4])
    grid = torch.linspace(-12, 12, 1201)
    a = torch.cartesian_prod(grid, grid)
    density = gaussian_log_prob(a, mean, log_std).double().exp()
    cell = (grid[1] - grid[0]) ** 2
    assert density.sum() * cell == pytest.approx(1, abs=1e-4)
    assert (density[:, None] * a).sum(0).mul(cell).tolist() == pytest.approx([0.5, -1], abs=1e-3)


def test_log_prob_of_a_standard_normal_at_its_mean():
    value = gaussian_log_prob(torch.zeros(2, 3), torch.zeros(3), torch.zeros(3))
    assert value.shape == (2,)
    assert value.tolist() == pytest.approx([-1.5 * math.log(2 * math.pi)] * 2, rel=1e-6)


def test_both_estimators_have_the_exact_gradient_as_mean():
    a = MEAN + LOG_STD.exp() * XI
    score = score_function_gradient(a, MEAN, LOG_STD, smooth_q(a))
    path = pathwise_gradient(XI, MEAN, LOG_STD, smooth_q)
    for estimate in (score, path):
        means = [float((W[:, None] * part).sum()) for part in estimate]
        assert means == pytest.approx(exact_gradients(), rel=1e-7)


def test_an_offset_in_q_costs_only_the_score_function_variance():
    """Q = a² + c, μ = 0, σ = 1, exactly: Var[(a² + c) a] = 15 + 6c + c², Var[2a] = 4 for every c."""
    xi, mean, log_std = XI, torch.zeros(1).double(), torch.zeros(1).double()
    for c in (0.0, 10.0):
        score, _ = score_function_gradient(xi, mean, log_std, xi[:, 0] ** 2 + c)
        path, _ = pathwise_gradient(xi, mean, log_std, lambda a, c=c: a[:, 0] ** 2 + c)
        variance = [float(W @ g[:, 0] ** 2 - (W @ g[:, 0]) ** 2) for g in (score, path)]
        assert variance == pytest.approx([15 + 6 * c + c**2, 4], rel=1e-9)


def test_steins_identity_by_quadrature():
    a = MEAN + LOG_STD.exp() * XI
    phi, grad_phi = torch.sin(a[:, 0]) * a[:, 0], torch.sin(a) + a * torch.cos(a)
    residual = stein_residual(a, MEAN, LOG_STD, phi, grad_phi)
    assert float((W[:, None] * residual).sum()) == pytest.approx(0, abs=1e-10)
    assert residual.abs().max() > 0.1
    # a constant baseline: ∇_a log π alone
    residual = stein_residual(
        a, MEAN, LOG_STD, torch.ones(60).double(), torch.zeros(60, 1).double()
    )
    assert float((W[:, None] * residual).sum()) == pytest.approx(0, abs=1e-12)


def test_shapes_and_inputs_left_alone():
    mean, log_std = torch.zeros(4, 2, requires_grad=True), torch.zeros(2)
    noise = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
    path = pathwise_gradient(noise, mean, log_std, lambda a: a.square().sum(-1))
    score = score_function_gradient(noise, mean, log_std, torch.ones(4))
    assert [g.shape for g in (*path, *score)] == [(4, 2)] * 4
    assert mean.grad is None


def test_deterministic_gradient_by_finite_differences():
    torch.manual_seed(0)
    actor = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)
    ).double()
    critic_net = torch.nn.Sequential(
        torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    ).double()

    def critic(obs, action):
        return critic_net(torch.cat([obs, action], dim=-1)).squeeze(-1)

    obs = torch.randn(7, 3).double()
    gradient = deterministic_policy_gradient(actor, critic, obs)
    step = 1e-5
    for p, g in zip(actor.parameters(), gradient, strict=True):
        flat = p.data.view(-1)
        for i in range(flat.numel()):
            flat[i] += step
            above = critic(obs, actor(obs)).mean().item()
            flat[i] -= 2 * step
            below = critic(obs, actor(obs)).mean().item()
            flat[i] += step
            assert g.view(-1)[i].item() == pytest.approx((above - below) / (2 * step), abs=1e-8)
    assert all(p.grad is None for p in actor.parameters())


def test_narrow_policies_give_the_deterministic_gradient():
    """σ → 0: the pathwise gradient for the mean is ∇_a Q at the mean."""
    noise = torch.randn(50, 2, generator=torch.Generator().manual_seed(2))
    path, _ = pathwise_gradient(
        noise, torch.tensor([0.5, -0.5]), torch.full((2,), -12.0), lambda a: (a**3).sum(-1)
    )
    torch.testing.assert_close(path, torch.full((50, 2), 0.75), atol=1e-3, rtol=0)


def test_the_best_constant_baseline_is_the_vertex_of_the_variance():
    """The variance at three constants by quadrature is a parabola; its vertex and its lowest value."""
    problems = [(0.0, 0.0, 1.0, 10.0), (0.5, -1.0, 1.5, 0.0), (-1.0, 0.4, 2.0, -3.0), (1.0, -6.0, 1.0, 0.0)]  # fmt: skip
    given = [torch.tensor(column, dtype=torch.float64) for column in zip(*problems, strict=True)]
    baseline, variance = optimal_constant_baseline(*given)
    for i, (mean, log_std, goal, height) in enumerate(problems):
        sigma = math.exp(log_std)
        q = height - (mean + sigma * NODES - goal) ** 2

        def spread(b, q=q, sigma=sigma):
            each = (q - b) * NODES / sigma
            return WEIGHTS @ each**2 - (WEIGHTS @ each) ** 2

        middle, h = float(WEIGHTS @ q), sigma**2
        low, here, high = spread(middle - h), spread(middle), spread(middle + h)
        vertex = middle - h * (high - low) / (2 * (high - 2 * here + low))
        assert baseline[i].item() == pytest.approx(vertex, rel=1e-6, abs=1e-9)
        assert variance[i].item() == pytest.approx(spread(vertex), rel=1e-6)


def climb(estimator, **more):
    noise = torch.randn(40, 16, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    goal = torch.tensor([1.0, -1.0]).double()
    start = torch.zeros(2).double()
    return fit_policy(
        lambda a: -(a - goal).square().sum(-1), start, start, noise, 0.05, estimator, **more
    )


@pytest.mark.parametrize("estimator", ["score", "pathwise"])
def test_the_climb_follows_the_exact_one_in_the_mean(estimator):
    """E[Q] = c − |μ − g|² − Σσ²: exact steps are −2η(μ − g) and −2ησ². One step, many draws."""
    goal, mean = torch.tensor([1.0, -1.0]).double(), torch.tensor([0.2, 0.5]).double()
    log_std = torch.tensor([-0.5, 0.3]).double()
    noise = torch.randn(
        1, 200_000, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64
    )
    means, log_stds = fit_policy(
        lambda a: 3 - (a - goal).square().sum(-1), mean, log_std, noise, 0.1, estimator
    )
    torch.testing.assert_close(means[0], mean)
    torch.testing.assert_close(means[1], mean - 0.2 * (mean - goal), atol=4e-3, rtol=0)
    torch.testing.assert_close(log_stds[1], log_std - 0.2 * (2 * log_std).exp(), atol=8e-3, rtol=0)


def test_the_pathwise_climb_is_gradient_descent_on_the_batch():
    means, log_stds = climb("pathwise")
    m, s = (torch.zeros(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    noise = torch.randn(40, 16, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    goal, optimizer = torch.tensor([1.0, -1.0]).double(), torch.optim.SGD([m, s], lr=0.05)
    for xi in noise:
        optimizer.zero_grad()
        (m + s.exp() * xi - goal).square().sum(-1).mean().backward()
        optimizer.step()
    torch.testing.assert_close(means[-1], m.detach())
    torch.testing.assert_close(log_stds[-1], s.detach())


def test_the_climb_uses_the_estimators_that_it_is_given():
    asked = []

    def score(a, mean, log_std, q):
        asked.append("score")
        return torch.zeros_like(a), torch.ones_like(a)

    means, log_stds = climb("score", score_function_gradient=score)
    assert len(asked) == 40 and means.abs().max() == 0
    assert log_stds[-1].tolist() == pytest.approx([2.0, 2.0])

    def path(noise, mean, log_std, q_function):
        asked.append("pathwise")
        return torch.ones_like(noise), torch.zeros_like(noise)

    assert climb("pathwise", pathwise_gradient=path)[0][-1].tolist() == pytest.approx([2.0, 2.0])


def test_the_climb_keeps_its_path_and_what_it_was_lent():
    net = torch.nn.Linear(2, 1)
    mean, log_std = torch.zeros(2, requires_grad=True), torch.zeros(2)
    noise = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(0))
    for estimator in ("score", "pathwise"):
        means, log_stds = fit_policy(
            lambda a: net(a).squeeze(-1), mean, log_std, noise, 0.1, estimator
        )
        assert means.shape == log_stds.shape == (4, 2) and not means.requires_grad
        assert len({tuple(row) for row in means.tolist()}) == 4
        start = fit_policy(lambda a: net(a).squeeze(-1), mean, log_std, noise[:0], 0.1, estimator)
        assert [part.tolist() for part in start] == [[[0, 0]], [[0, 0]]]
    assert mean.grad is None and all(p.grad is None for p in net.parameters())
    with pytest.raises(ValueError, match="'score' or 'pathwise'"):
        fit_policy(lambda a: net(a).squeeze(-1), mean, log_std, noise, 0.1, "reinforce")
