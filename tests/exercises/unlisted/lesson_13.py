"""Lesson 13: the score function, the pathwise gradient, Stein's residual and the climb. Keys as in `lesson_00`."""

import math
from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal

from rlcourse.continuous import stein

LOG_2_PI = math.log(2 * math.pi)

# ----------------------------------------------------------------------------- gaussian_log_prob


def log_prob(
    z2=lambda a, m, s: ((a - m) / s.exp()) ** 2, det=lambda s: s, over=lambda x: x.sum(-1)
):
    def gaussian_log_prob(a, mean, log_std):
        return over(-0.5 * z2(a, mean, log_std) - det(log_std) - 0.5 * LOG_2_PI)

    return gaussian_log_prob  # fmt: skip


def by_multivariate(a, mean, log_std):
    covariance = torch.diag_embed((2 * log_std.double().expand(a.shape)).exp())
    density = MultivariateNormal(mean.double().expand(a.shape), covariance)
    return density.log_prob(a.double()).float()


def by_nll(a, mean, log_std):
    loss = nn.GaussianNLLLoss(full=True, eps=0.0, reduction="none")
    variance = (2 * log_std).exp().expand(a.shape)
    return -loss(mean.expand(a.shape), a, variance).sum(dim=1)


def expanded(a, mean, log_std):
    """(a² − 2aμ + μ²)/σ²: cancels where the policy is narrow, and not there only."""
    return log_prob(lambda a, m, s: (a**2 - 2 * a * m + m**2) / (2 * s).exp())(a, mean, log_std)


def dims_of_the_mean(a, mean, log_std):
    """The constant counted by the first axis of what came."""
    z = (a - mean) / log_std.exp()
    return -0.5 * (z**2 + 2 * log_std).sum(-1) - 0.5 * len(mean) * LOG_2_PI


def first_row_for_all(a, mean, log_std):
    m, s = (x if x.ndim == 1 else x[0] for x in (mean, log_std))
    return log_prob()(a, m, s)


def clipped_z(limit):
    return log_prob(lambda a, m, s: ((a - m) / s.exp()).clamp(-limit, limit) ** 2)


def without_grad(a, mean, log_std):
    with torch.no_grad():
        return log_prob()(a, mean, log_std)


def sample_as_data(a, mean, log_std):
    return log_prob()(a.detach(), mean, log_std)


def mean_as_data(a, mean, log_std):
    return log_prob()(a, mean.detach(), log_std)


def width_as_data(a, mean, log_std):
    return log_prob()(a, mean, log_std.detach())


LOG_PROB_WRONG = {
    "no-constant/half of π": lambda a, m, s: log_prob()(a, m, s) + 0.5 * math.log(2) * a.shape[1],
    "no-constant/log π": lambda a, m, s: log_prob()(a, m, s) - 0.5 * math.log(math.pi),
    "columns kept": lambda a, m, s: log_prob()(a, m, s)[:, None],
    "scalar": lambda a, m, s: log_prob()(a, m, s).mean(),
    "not summed": log_prob(over=lambda x: x),
    "first dimension only": log_prob(over=lambda x: x[..., 0]),
    "constant by rows": dims_of_the_mean,
    "first row's policy": first_row_for_all,
    "z held to 10": clipped_z(10.0),
    "z held to 50": clipped_z(50.0),
    "log of σ plus 1e-8": log_prob(det=lambda s: (s.exp() + 1e-4).log()),
    "variance plus 1e-8": log_prob(lambda a, m, s: (a - m) ** 2 / ((2 * s).exp() + 1e-8)),
    "variance plus 1e-12": log_prob(lambda a, m, s: (a - m) ** 2 / ((2 * s).exp() + 1e-12)),
    "absolute": log_prob(lambda a, m, s: ((a - m) / s.exp()).abs()),
    "without a graph": without_grad,
    "a detached": sample_as_data,
    "μ detached": mean_as_data,
    "log σ detached": width_as_data,
    "floored": lambda a, m, s: log_prob()(a, m, s).clamp(min=-100.0),
    "capped at 0": lambda a, m, s: log_prob()(a, m, s).clamp(max=0.0),
    "density": lambda a, m, s: log_prob()(a, m, s).exp(),
    "tanh": lambda a, m, s: log_prob()(a, m, s) - (1 - torch.tanh(a) ** 2 + 1e-6).log().sum(-1),
    "base 2": lambda a, m, s: log_prob()(a, m, s) / math.log(2),
    "from a list": lambda a, m, s: torch.tensor(log_prob()(a, m, s).tolist()),
    "standard": lambda a, m, s: log_prob()(a, torch.zeros_like(m), torch.zeros_like(s)),
    "a negated": lambda a, m, s: log_prob()(-a, m, s),
}
LOG_PROB_RIGHT = {
    "multivariate": by_multivariate,
    "GaussianNLLLoss": by_nll,
    "two sums": lambda a, m, s: (
        -0.5 * (((a - m) / s.exp()) ** 2).sum(-1)
        - s.expand(a.shape).sum(-1)
        - a.shape[-1] * LOG_2_PI / 2
    ),
    "logarithm of the width": log_prob(det=lambda s: s.exp().log()),
    "precision": log_prob(lambda a, m, s: (a - m) ** 2 * (-2 * s).exp()),
    "einsum": lambda a, m, s: torch.einsum("bd->b", Normal(m, s.exp()).log_prob(a)),
    "row by row": lambda a, m, s: torch.stack(
        [log_prob()(x, y, z) for x, y, z in zip(a, m.expand(a.shape), s.expand(a.shape), strict=True)]
    ),
    "in double": lambda a, m, s: log_prob()(a.double(), m.double(), s.double()).float(),
}  # fmt: skip
LOG_PROB_NAMED = {
    "variance-for-deviation/Normal of the root": lambda a, m, s: (
        Normal(m, s.exp().sqrt()).log_prob(a).sum(-1)
    ),
    "no-log-determinant/by hand": lambda a, m, s: (
        -0.5 * ((a - m) ** 2 / (2 * s).exp() + LOG_2_PI).sum(-1)
    ),
    "mean-over-dimensions/of torch's": lambda a, m, s: Normal(m, s.exp()).log_prob(a).mean(dim=1),
    "density-first/of torch's": lambda a, m, s: Normal(m, s.exp()).log_prob(a).exp().prod(-1).log(),
    "over-the-batch/all": lambda a, m, s: Normal(m, s.exp()).log_prob(a).sum(),
    "eps-in-the-width/Spinning Up": lambda a, m, s: (
        -0.5 * (((a - m) / (s.exp() + 1e-8)) ** 2 + 2 * s + LOG_2_PI)
    ).sum(dim=1),
    "log-std-for-std/by hand": lambda a, m, s: (
        -(0.5 * ((a - m) / s) ** 2 + s + 0.5 * LOG_2_PI).sum(-1)
    ),
    "sign/loss": lambda a, m, s: -Normal(m, s.exp()).log_prob(a).sum(-1),
}

# ----------------------------------------------------------------------- score_function_gradient


def score(of_mean=lambda z, s: z / s, of_log=lambda z, s: z**2 - 1, weigh=lambda q: q[:, None]):
    def score_function_gradient(a, mean, log_std, q):
        sigma = log_std.exp()
        z = (a - mean) / sigma
        return weigh(q) * of_mean(z, sigma), weigh(q) * of_log(z, sigma)

    return score_function_gradient


def by_log_prob(total, detach_a=True, detach_q=True):
    """Own leaves of (B, D), and torch's log-probability."""

    def score_function_gradient(a, mean, log_std, q):
        m, s = (x.detach().expand(a.shape).clone().requires_grad_() for x in (mean, log_std))
        a, q = (a.detach() if detach_a else a), (q.detach() if detach_q else q)
        each = Normal(m, s.exp()).log_prob(a).sum(-1)
        return torch.autograd.grad(total(each, q), (m, s))

    return score_function_gradient


def writes_into_q(a, mean, log_std, q):
    q = q.detach()
    found = score()(a, mean, log_std, q.clone())
    q -= q.mean()
    return found


def backward_on_the_given(a, mean, log_std, q):
    (Normal(mean, log_std.exp()).log_prob(a.detach()).sum(-1) * q.detach()).sum().backward()
    return mean.grad, log_std.grad


def swapped(a, mean, log_std, q):
    return score()(a, mean, log_std, q)[::-1]


def jacobian_rows(a, mean, log_std, q):
    def weighed(m, s):
        z = (a.detach() - m) / s.exp()
        return (-(z**2) / 2 - s).sum(-1) * q.detach()

    given = [x.detach().expand(a.shape).clone() for x in (mean, log_std)]
    found = torch.autograd.functional.jacobian(weighed, tuple(given))
    rows = torch.arange(len(a))
    return tuple(j[rows, rows] for j in found)


SCORE_WRONG = {
    "averaged/loss of the mean": by_log_prob(lambda each, q: (each * q).mean()),
    "exchanged": swapped,
    "q squared": score(weigh=lambda q: q[:, None] ** 2),
    "q's sign": score(weigh=lambda q: q[:, None].sign()),
    "q at least 0": score(weigh=lambda q: q[:, None].clamp(min=0)),
    "softmax of q": score(weigh=lambda q: torch.softmax(q, 0)[:, None]),
    "q of the first": score(weigh=lambda q: q[0]),
    "σ forgotten": score(of_mean=lambda z, s: z * s),
    "variance once more": score(of_mean=lambda z, s: z / s**3),
    "abs": score(of_mean=lambda z, s: z.abs() / s),
    "for log σ: z": score(of_log=lambda z, s: z),
    "for log σ: z⁴": score(of_log=lambda z, s: z**4 - 3),
    "for log σ: of σ²": score(of_log=lambda z, s: (z**2 - 1) / (2 * s**2)),
    "for log σ: at least 0": score(of_log=lambda z, s: (z**2 - 1).clamp(min=0)),
    "for log σ: summed": score(of_log=lambda z, s: (z**2 - 1).sum(-1, keepdim=True).expand_as(z)),
    "only the mean's": lambda a, m, s, q: score()(a, m, s, q)[0],
    "stacked": lambda a, m, s, q: torch.stack(score()(a, m, s, q)),
    "product of both": by_log_prob(lambda each, q: each.sum() * q.sum()),
    "q not detached": lambda a, m, s, q: (
        score()(a, m, s, q)[0] + (torch.autograd.grad(q.sum(), a, retain_graph=True)[0] if q.grad_fn else 0),
        score()(a, m, s, q)[1],
    ),
    "leaves .grad": backward_on_the_given,
    "clipped score": score(of_mean=lambda z, s: (z / s).clamp(-3, 3)),
    "half": lambda a, m, s, q: tuple(g / 2 for g in score()(a, m, s, q)),
    "√q": score(weigh=lambda q: q[:, None].abs().sqrt() * q[:, None].sign()),
    "reward above the mean only": score(weigh=lambda q: torch.where(q > q.mean(), q, 0 * q)[:, None]),
    "baseline of the first half": score(weigh=lambda q: (q - q[: max(len(q) // 2, 1)].mean())[:, None]),
    "as numpy": lambda a, m, s, q: tuple(g.detach().numpy() for g in score()(a, m, s, q)),
}  # fmt: skip
SCORE_RIGHT = {
    "own leaves": by_log_prob(lambda each, q: (each * q).sum()),
    "grad_outputs": by_log_prob(lambda each, q: (each * q).flip(0).sum()),
    "a list": lambda a, m, s, q: list(score()(a, m, s, q)),
    "jacobian": jacobian_rows,
    "transposed": lambda a, m, s, q: (
        (q * ((a - m) / (2 * s).exp()).T).T,
        (q * ((((a - m) / s.exp()) ** 2 - 1).T)).T,
    ),
    "diag": lambda a, m, s, q: tuple(
        torch.diag(q) @ part for part in score(weigh=lambda q: 1.0)(a, m, s, q)
    ),
    "with the graph": score(),
    "under no_grad": torch.no_grad()(score()),
}
SCORE_NAMED = {
    "std-for-variance/autograd of z": score(of_mean=lambda z, s: z),
    "no-minus-one/as a square": score(of_log=lambda z, s: z.square()),
    "gradient-of-sigma/(a−μ)²/σ³ − 1/σ": score(of_log=lambda z, s: z**2 / s - 1 / s),
    "averaged/loss": by_log_prob(lambda each, q: (each * q).mean()),
    "baseline-inside/mean": score(weigh=lambda q: (q - q.mean())[:, None]),
    "baseline-inside/standardised": score(
        weigh=lambda q: ((q - q.mean()) / (q.std() + 1e-8))[:, None]
    ),
    "sign/of both": lambda a, m, s, q: tuple(-g for g in score()(a, m, s, q)),
}

# -------------------------------------------------------------------------------- stein_residual


def residual(score_of=lambda a, m, s: (m - a) / (2 * s).exp(), join=lambda g, p, d: g * p + d):
    def stein_residual(a, mean, log_std, phi, grad_phi):
        return join(score_of(a, mean, log_std), phi[:, None], grad_phi)

    return stein_residual


def residual_in_place(a, mean, log_std, phi, grad_phi):
    with torch.no_grad():
        return grad_phi.add_(residual()(a, mean, log_std, phi, 0.0))


def residual_by_autograd(a, mean, log_std, phi, grad_phi):
    own = a.detach().clone().requires_grad_()
    log_pi = Normal(mean, log_std.exp()).log_prob(own).sum()
    return phi[:, None] * torch.autograd.grad(log_pi, own)[0] + grad_phi


RESIDUAL_WRONG = {
    "in place": residual_in_place,
    "phi squared": residual(join=lambda g, p, d: g * p**2 + d),
    "product": residual(join=lambda g, p, d: g * p * d),
    "variance as log": residual(lambda a, m, s: (m - a) / s.exp()),
    "log σ for σ²": residual(lambda a, m, s: (m - a) / s),
    "half": residual(lambda a, m, s: (m - a) / (2 * (2 * s).exp())),
    "score of log σ": residual(lambda a, m, s: ((a - m) / s.exp()) ** 2 - 1),
    "mean forgotten": residual(lambda a, m, s: -a / (2 * s).exp()),
    "centred": lambda *x: residual()(*x) - residual()(*x).mean(0),
    "zeros": lambda a, *x: torch.zeros_like(a),
    "absolute": lambda *x: residual()(*x).abs(),
    "squared": lambda *x: residual()(*x) ** 2,
    "column kept of phi": residual(join=lambda g, p, d: (g * p).sum(-1, keepdim=True) + d),
    "slope of the first dimension": residual(join=lambda g, p, d: g * p + d[:, :1]),
    "slope averaged": residual(join=lambda g, p, d: g * p + d.mean(0)),
    "phi averaged": residual(join=lambda g, p, d: g * p.mean() + d),
    "with π": lambda a, m, s, p, d: log_prob()(a, m, s).exp()[:, None] * residual()(a, m, s, p, d),
}
RESIDUAL_RIGHT = {
    "autograd": residual_by_autograd,
    "loop": lambda a, m, s, p, d: torch.stack(
        [
            -(x - y) / z.exp() ** 2 * p[i] + d[i]
            for i, (x, y, z) in enumerate(zip(a, m.expand(a.shape), s.expand(a.shape), strict=True))
        ]
    ),
    "transposed": lambda a, m, s, p, d: (p * ((m - a) / (2 * s).exp()).T).T + d,
    "in double": lambda *x: residual()(*(y.double() for y in x)).float(),
}
RESIDUAL_NAMED = {
    "sign/of autograd for the mean": residual(lambda a, m, s: (a - m) / (2 * s).exp()),
    "slope-forgotten/the score alone": residual(join=lambda g, p, d: g * p),
    "phi-forgotten/sum of slopes": residual(join=lambda g, p, d: g + d),
    "summed/rows": lambda *x: residual()(*x).mean(0),
    "std-for-variance/z": residual(lambda a, m, s: -(a - m) / s.exp()),
}

# ----------------------------------------------------------------------------- pathwise_gradient


def pathwise(
    of_q=lambda q: q.sum(), sample=lambda m, s, xi: m + s.exp() * xi, give=lambda m, s: (m, s)
):
    def pathwise_gradient(noise, mean, log_std, q_function):
        m, s = (x.detach().expand(noise.shape).clone().requires_grad_() for x in (mean, log_std))
        found = torch.autograd.grad(of_q(q_function(sample(m, s, noise))), (m, s))
        return give(*found)

    return pathwise_gradient  # fmt: skip


def by_finite_differences(noise, mean, log_std, q_function):
    a = (mean + log_std.exp() * noise).detach()
    slope = torch.zeros_like(a)
    h = 1e-2
    with torch.no_grad():
        for j in range(a.shape[1]):
            step = torch.zeros_like(a)
            step[:, j] = h
            slope[:, j] = (q_function(a + step) - q_function(a - step)) / (2 * h)
    return slope, (a - mean) * slope


def draws_its_own(noise, mean, log_std, q_function):
    return pathwise()(torch.randn_like(noise), mean, log_std, q_function)


def on_a_copy(noise, mean, log_std, q_function):
    return pathwise()(noise, mean, log_std, deepcopy(q_function))


def backward_on_a_copy(noise, mean, log_std, q_function):
    own = deepcopy(q_function)
    m, s = (x.detach().expand(noise.shape).clone().requires_grad_() for x in (mean, log_std))
    own(m + s.exp() * noise).sum().backward()
    return m.grad, s.grad


def by_jacobian(noise, mean, log_std, q_function):
    def values(a):
        return q_function(a)

    a = (mean + log_std.exp() * noise).detach()
    rows = torch.arange(len(a))
    slope = torch.autograd.functional.jacobian(values, a)[rows, rows]
    return slope, log_std.detach().exp() * noise * slope


def by_vmap(noise, mean, log_std, q_function):
    def one(m, s, xi):
        return q_function((m + s.exp() * xi)[None])[0]

    shape = noise.shape
    given = mean.detach().expand(shape), log_std.detach().expand(shape), noise
    return torch.vmap(torch.func.grad(one, argnums=(0, 1)))(*given)


def cleans_up(noise, mean, log_std, q_function):
    """backward(), and what it left is wiped away: the caller's own gradients would go with it."""
    m, s = (x.detach().expand(noise.shape).clone().requires_grad_() for x in (mean, log_std))
    q_function(m + s.exp() * noise).sum().backward()
    for weight in q_function.parameters():
        weight.grad = None
    return m.grad, s.grad


PATHWISE_WRONG = {
    "finite differences, coarse": lambda *x: tuple(
        (10 * g).round() / 10 for g in by_finite_differences(*x)
    ),
    "its own noise": draws_its_own,
    "squared": pathwise(lambda q: (q**2).sum()),
    "largest": pathwise(lambda q: q.max()),
    "exchanged": pathwise(give=lambda m, s: (s, m)),
    "log σ's over σ": pathwise(sample=lambda m, s, xi: m + s.exp() * xi, give=lambda m, s: (m, s / 2)),
    "noise not scaled": pathwise(sample=lambda m, s, xi: m + xi + 0 * s),
    "tanh": pathwise(sample=lambda m, s, xi: torch.tanh(m + s.exp() * xi)),
    "σ plus 1e-2": pathwise(sample=lambda m, s, xi: m + (s.exp() + 1e-2) * xi),
    "clamped": pathwise(sample=lambda m, s, xi: (m + s.exp() * xi).clamp(-1, 1)),
    "log σ clamped": pathwise(sample=lambda m, s, xi: m + s.clamp(-2, 0.4).exp() * xi),
    "mean of q": pathwise(lambda q: q.mean()),
    "negative": pathwise(lambda q: -q.sum()),
    "only the mean's": pathwise(give=lambda m, s: m),
    "stacked": pathwise(give=lambda m, s: torch.stack((m, s))),
    "summed over dimensions": pathwise(give=lambda m, s: (m.sum(-1, keepdim=True).expand_as(m), s)),
    "first dimension's σξ": lambda xi, m, s, q: (
        pathwise()(xi, m, s, q)[0],
        (s.exp().detach() * xi)[:, :1] * pathwise()(xi, m, s, q)[0],
    ),
    "the mean's gradient twice": pathwise(give=lambda m, s: (m, m)),
    "averaged by dimension": pathwise(give=lambda m, s: (m / m.shape[1], s / m.shape[1])),
    "the sign alone": pathwise(give=lambda m, s: (m.sign(), s.sign())),
    "clipped gradients": pathwise(give=lambda m, s: (m.clamp(-0.3, 0.3), s.clamp(-0.3, 0.3))),
    "and the score": lambda xi, m, s, q: tuple(
        p + g
        for p, g in zip(
            pathwise()(xi, m, s, q),
            score()(m + s.exp() * xi, m, s, q(m + s.exp() * xi).detach()),
            strict=True,
        )
    ),
}  # fmt: skip
PATHWISE_RIGHT = {
    "a copy of Q": on_a_copy,
    "backward on a copy": backward_on_a_copy,
    "jacobian": by_jacobian,
    "vmap": by_vmap,
    "a list": pathwise(give=lambda m, s: [m, s]),
    "grad_outputs": lambda xi, m, s, q: (
        torch.autograd.grad(
            q(a := (m + s.exp() * xi).detach().requires_grad_()), a, torch.ones(len(xi))
        )
        * 1
        + ((a - m) * torch.autograd.grad(q(a).sum(), a)[0],)
    ),
    "rsample's noise": lambda xi, m, s, q: pathwise()(xi, m.clone(), s.clone(), q),
    "backward, wiped": cleans_up,
}
PATHWISE_NAMED = {
    "detached-sample/item": lambda xi, m, s, q: tuple(
        torch.zeros_like(xi) for _ in range(2)
    ),
    "not-one-a-row/mean": pathwise(lambda q: q.mean()),
    "wrong-width/variance": pathwise(sample=lambda m, s, xi: m + (0.5 * s).exp() * xi),
    "slope-at-the-mean/by autograd": lambda xi, m, s, q: (
        (g := torch.autograd.grad(q((a := m.detach().expand(xi.shape).clone().requires_grad_())).sum(), a)[0]),
        s.detach().exp() * xi * g,
    ),
    "sign/loss": pathwise(lambda q: -q.sum()),
    "score-function-instead/q times score": lambda xi, m, s, q: score()(
        m + s.exp() * xi, m, s, q(m + s.exp() * xi)
    ),
}  # fmt: skip

# --------------------------------------------------------------------- optimal_constant_baseline


def best(b=lambda w, u, c: c - u - 3 * w, v=lambda w, u, c: 8 * u + 6 * w):
    def optimal_constant_baseline(mean, log_std, goal, height):
        w, u = (2 * log_std).exp(), (mean - goal) ** 2
        return b(w, u, height), v(w, u, height)

    return optimal_constant_baseline


def simulated(mean, log_std, goal, height):
    xi = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    q = height - (mean + log_std.exp() * xi - goal) ** 2
    b = (xi**2 * q).mean(0) / (xi**2).mean(0)
    return b, ((q - b) * xi / log_std.exp()).var(0)


def scanned(mean, log_std, goal, height):
    b = torch.stack([height + k for k in torch.linspace(-30, 0, 61)])
    w, u = (2 * log_std).exp(), (mean - goal) ** 2
    k = height - u - b
    variance = k**2 / w - 6 * k + 15 * w + 8 * u
    at = variance.argmin(0)
    rows = torch.arange(len(mean))
    return b[at, rows], variance[at, rows]


def covariance_form(mean, log_std, goal, height):
    """Cov(score², …): b* = Cov(ĝ₀, s)/Var(s) with the score s."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    w = weights / weights.sum()
    m, s, g, c = (x.double().numpy()[:, None] for x in (mean, log_std, goal, height))
    sigma = np.exp(s)
    z = nodes / sigma
    q = c - (m + sigma * nodes - g) ** 2
    b = ((q * z * z) @ w) / ((z * z) @ w)
    each = (q - b[:, None]) * z
    return torch.tensor(b), torch.tensor(((each - (each @ w)[:, None]) ** 2) @ w)


BASELINE_WRONG = {
    "simulated": simulated,
    "scanned": scanned,
    "5σ²": best(b=lambda w, u, c: c - u - 5 * w),
    "2σ²": best(b=lambda w, u, c: c - u - 2 * w),
    "twice the distance": best(b=lambda w, u, c: c - 2 * u - 3 * w),
    "no distance": best(b=lambda w, u, c: c - 3 * w),
    "constant": best(b=lambda w, u, c: c),
    "no spread": best(v=lambda w, u, c: 8 * u),
    "no slope": best(v=lambda w, u, c: 6 * w),
    "with E[Q]": best(v=lambda w, u, c: 8 * u + 10 * w),
    "with Q(μ)": best(v=lambda w, u, c: 8 * u + 15 * w),
    "4 u": best(v=lambda w, u, c: 4 * u + 6 * w),
    "2 u": best(v=lambda w, u, c: 2 * u + 6 * w),
    "9 w": best(v=lambda w, u, c: 8 * u + 9 * w),
    "right for σ = 1 only": best(
        b=lambda w, u, c: c - u - 3 * w**2, v=lambda w, u, c: 8 * u + 6 * w**2
    ),
    "right for μ = g only": best(b=lambda w, u, c: c - 3 * w, v=lambda w, u, c: 6 * w),
    "squared distance twice": best(
        b=lambda w, u, c: c - u**2 - 3 * w, v=lambda w, u, c: 8 * u**2 + 6 * w
    ),
    "averaged": lambda *x: tuple(y.mean().expand_as(y) for y in best()(*x)),
    "exchanged": lambda *x: best()(*x)[::-1],
    "divided by B": lambda *x: (best()(*x)[0], best()(*x)[1] / len(x[0])),
    "at most 0": lambda *x: (best()(*x)[0].clamp(max=0), best()(*x)[1]),
    "for log σ": best(b=lambda w, u, c: c - u - 7.4 * w),
}
BASELINE_RIGHT = {
    "covariances": covariance_form,
    "numpy": lambda *x: tuple(y.numpy() for y in best()(*x)),
    "in double": lambda *x: best()(*(y.double() for y in x)),
    "a loop": lambda *x: tuple(
        torch.tensor(part)
        for part in zip(
            *(
                (c - (m - g) ** 2 - 3 * math.exp(2 * s), 8 * (m - g) ** 2 + 6 * math.exp(2 * s))
                for m, s, g, c in zip(*(y.tolist() for y in x), strict=True)
            ),
            strict=True,
        )
    ),
    "by Q(μ)": best(v=lambda w, u, c: 2 * (2 * u**0.5) ** 2 + 6 * w),
}
BASELINE_NAMED = {
    "mean-of-q/with its variance": best(lambda w, u, c: c - u - w, lambda w, u, c: 8 * u + 10 * w),
    "value-at-the-mean/with its variance": best(
        lambda w, u, c: c - u, lambda w, u, c: 8 * u + 15 * w
    ),
    "deviation/root": best(v=lambda w, u, c: (8 * u + 6 * w) ** 0.5),
    "mean-square/12": best(v=lambda w, u, c: 12 * u + 6 * w),
    "pathwise-variance/4": best(v=lambda w, u, c: 4 * w),
    "no-baseline/c": best(v=lambda w, u, c: (c - u) ** 2 / w - 6 * (c - u) + 15 * w + 8 * u),
    "score-without-sigma/σ²": best(v=lambda w, u, c: w * (8 * u + 6 * w)),
}

# ----------------------------------------------------------------- deterministic_policy_gradient


def ascent(value=lambda q: q.mean(), give=tuple):
    def deterministic_policy_gradient(actor, critic, obs):
        found = torch.autograd.grad(value(critic(obs, actor(obs))), list(actor.parameters()))
        return give(found)

    return deterministic_policy_gradient


def by_jacobians(actor, critic, obs):
    """Each state's Jacobian of the action for all weights, times that state's slope."""
    total = [torch.zeros_like(p) for p in actor.parameters()]
    for s in obs:
        a = actor(s[None])[0]
        own = a.detach()[None].requires_grad_()
        slope = torch.autograd.grad(critic(s[None], own).sum(), own)[0][0]
        for j in range(len(a)):
            found = torch.autograd.grad(a[j], list(actor.parameters()), retain_graph=True)
            total = [t + slope[j] * g / len(obs) for t, g in zip(total, found, strict=True)]
    return total


def from_a_loss(actor, critic, obs):
    return [
        -g for g in torch.autograd.grad(-critic(obs, actor(obs)).mean(), list(actor.parameters()))
    ]


def puts_flags_back(actor, critic, obs):
    for p in critic.parameters():
        p.requires_grad_(False)
    found = ascent()(actor, critic, obs)
    for p in critic.parameters():
        p.requires_grad_(True)
    return found


def steps_too(actor, critic, obs):
    found = ascent()(actor, critic, obs)
    with torch.no_grad():
        for p, g in zip(actor.parameters(), found, strict=True):
            p += 0.1 * g
    return found


def weights_only(actor, critic, obs):
    found = ascent()(actor, critic, obs)
    return tuple(g if g.ndim > 1 else torch.zeros_like(g) for g in found)


def clipped(actor, critic, obs):
    found = ascent()(actor, critic, obs)
    norm = torch.sqrt(sum((g**2).sum() for g in found))
    return tuple(g / norm.clamp(min=1e-8) for g in found)


def slope_at_zero(actor, critic, obs):
    action = actor(obs)
    zero = torch.zeros_like(action, requires_grad=True)
    slope = torch.autograd.grad(critic(obs, zero).sum(), zero)[0]
    return torch.autograd.grad((action * slope).sum(-1).mean(), list(actor.parameters()))


ACTOR_WRONG = {
    "steps as well": steps_too,
    "weights without biases": weights_only,
    "normalised": clipped,
    "slope at 0": slope_at_zero,
    "max": ascent(lambda q: q.max()),
    "squared": ascent(lambda q: (q**2).mean()),
    "first state": ascent(lambda q: q[0]),
    "median": ascent(lambda q: q.median()),
    "half": ascent(lambda q: 0.5 * q.mean()),
    "flattened": ascent(give=lambda g: torch.cat([x.flatten() for x in g])),
    "reversed": ascent(give=lambda g: tuple(g)[::-1]),
    "a dictionary": ascent(give=lambda g: dict(enumerate(g))),
    "zeros": ascent(lambda q: 0 * q.sum()),
    "softplus": ascent(lambda q: nn.functional.softplus(q).mean()),
    "advantage": ascent(lambda q: (q * (q - q.mean()).detach()).mean()),
    "obs shuffled": lambda actor, critic, obs: torch.autograd.grad(
        critic(obs.roll(1, 0) + 0.1, actor(obs)).mean(), list(actor.parameters())
    ),
    "as numpy": ascent(give=lambda g: tuple(x.numpy() for x in g)),
}
ACTOR_RIGHT = {
    "jacobians": by_jacobians,
    "from a loss": from_a_loss,
    "a list": ascent(give=list),
    "flags put back": puts_flags_back,
    "sum over len": ascent(lambda q: q.sum() / len(q)),
}
ACTOR_NAMED = {
    "descent/loss": ascent(lambda q: -q.mean()),
    "sum/of the batch": ascent(lambda q: q.sum()),
    "critic-touched/all": lambda actor, critic, obs: torch.autograd.grad(
        critic(obs, actor(obs)).mean(), [*actor.parameters(), *critic.parameters()]
    ),
    "value-for-slope/detached": lambda actor, critic, obs: torch.autograd.grad(
        (critic(obs, actor(obs)).detach()[:, None] * actor(obs)).sum(-1).mean(),
        list(actor.parameters()),
    ),
}

# ------------------------------------------------------------------------------------ fit_policy


def fit(**parts):
    """The climb with lines exchangeable."""
    p = {"xi": lambda noise, k: noise[k], "mean": lambda g: g.mean(0), "eta": lambda eta, k, n: eta, "keep": list,
         "log": lambda s, g, eta: s + eta * g, "q": lambda q, a: q(a), "final": lambda m, s: (m, s),
         "kind": lambda kind: kind, "steps": len, "m": lambda m: m, "both": None} | parts  # fmt: skip

    def fit_policy(q_function, mean, log_std, noise, step_size, estimator):
        m, s = mean.detach().clone(), log_std.detach().clone()
        ms, ss = [m], [s]
        for k in range(p["steps"](noise)):
            xi = p["xi"](noise, k)
            eta = p["eta"](step_size, k, len(noise))
            if p["kind"](estimator) == "pathwise":
                g, h = stein.pathwise_gradient(xi, m, s, lambda a: p["q"](q_function, a))
            else:
                a = m + s.exp() * xi
                with torch.no_grad():
                    q = p["q"](q_function, a)
                g, h = stein.score_function_gradient(a, m, s, q)
            m, s = p["m"](m + eta * p["mean"](g)), p["log"](s, p["mean"](h), eta)
            ms.append(m)
            ss.append(s)
        return p["final"](torch.stack(ms), torch.stack(ss))

    return fit_policy


def in_the_callers_tensors(q_function, mean, log_std, noise, step_size, estimator):
    means, widths = fit()(q_function, mean, log_std, noise, step_size, estimator)
    with torch.no_grad():
        mean.copy_(means[-1])
        log_std.copy_(widths[-1])
    return means, widths


def by_adam(q_function, mean, log_std, noise, step_size, estimator):
    m, s = (x.detach().clone().requires_grad_() for x in (mean, log_std))
    optimizer = torch.optim.Adam([m, s], lr=step_size)
    ms, ss = [m.detach().clone()], [s.detach().clone()]
    for xi in noise:
        optimizer.zero_grad()
        (-q_function(m + s.exp() * xi).mean()).backward(inputs=[m, s])
        optimizer.step()
        ms.append(m.detach().clone())
        ss.append(s.detach().clone())
    return torch.stack(ms), torch.stack(ss)


def with_momentum(q_function, mean, log_std, noise, step_size, estimator):
    velocity, m, s = [0.0, 0.0], mean.detach(), log_std.detach()
    ms, ss = [m], [s]
    for xi in noise:
        after = fit()(q_function, m, s, xi[None], step_size, estimator)
        velocity = [0.9 * v + (x[1] - x[0]) for v, x in zip(velocity, after, strict=True)]
        m, s = m + velocity[0], s + velocity[1]
        ms.append(m)
        ss.append(s)
    return torch.stack(ms), torch.stack(ss)


def recursive(q_function, mean, log_std, noise, step_size, estimator):
    if not len(noise):
        return mean.detach()[None].clone(), log_std.detach()[None].clone()
    before = recursive(q_function, mean, log_std, noise[:-1], step_size, estimator)
    step = fit()(q_function, before[0][-1], before[1][-1], noise[-1:], step_size, estimator)
    return tuple(torch.cat([b, x[1:]]) for b, x in zip(before, step, strict=True))


def surrogate(q_function, mean, log_std, noise, step_size, estimator):
    """Right: gradients of a surrogate, written out; tensors that stay attached."""
    m, s = mean.detach().clone().requires_grad_(), log_std.detach().clone().requires_grad_()
    ms, ss = [m], [s]
    for xi in noise:
        m, s = ms[-1].detach().requires_grad_(), ss[-1].detach().requires_grad_()
        a = m + s.exp() * xi
        if estimator == "score":
            a = a.detach()
            total = (Normal(m, s.exp()).log_prob(a).sum(-1) * q_function(a).detach()).mean()
        else:
            total = q_function(a).mean()
        g, h = torch.autograd.grad(total, (m, s))
        ms.append(m.detach() + step_size * g)
        ss.append(s.detach() + step_size * h)
    return torch.stack(ms), torch.stack(ss)


def joint(q_function, mean, log_std, noise, step_size, estimator):
    """Right: one tensor for both parameters."""
    path = torch.stack([mean.detach(), log_std.detach()])[None]
    for xi in noise:
        after = fit()(q_function, *path[-1], xi[None], step_size, estimator)
        path = torch.cat([path, torch.stack([after[0][1], after[1][1]])[None]])
    return path[:, 0], path[:, 1]


FIT_WRONG = {
    "writes into the caller's": in_the_callers_tensors,
    "Adam": by_adam,
    "momentum": with_momentum,
    "one step": fit(steps=lambda noise: min(len(noise), 1)),
    "one too few": fit(steps=lambda noise: max(len(noise) - 1, 0)),
    "noise backwards": fit(xi=lambda noise, k: noise[len(noise) - 1 - k]),
    "noise of the first row": fit(xi=lambda noise, k: noise[k, :1]),
    "mean noise": fit(xi=lambda noise, k: noise[k].mean(0, keepdim=True)),
    "noise standardised": fit(xi=lambda noise, k: noise[k] - noise[k].mean(0)),
    "median": fit(mean=lambda g: g.median(0).values),
    "decaying": fit(eta=lambda eta, k, n: eta / (1 + 0.1 * k)),
    "half the step": fit(eta=lambda eta, k, n: eta / 2),
    "η squared": fit(eta=lambda eta, k, n: eta**2),
    "signs": fit(mean=lambda g: g.mean(0).sign()),
    "clipped": fit(mean=lambda g: g.mean(0).clamp(-0.2, 0.2)),
    "log σ held": fit(log=lambda s, g, eta: (s + eta * g).clamp(-0.5, 0.2)),
    "log σ downhill": fit(log=lambda s, g, eta: s - eta * g),
    "log σ at half speed": fit(log=lambda s, g, eta: s + 0.5 * eta * g),
    "σ times": fit(log=lambda s, g, eta: s * (1 + eta * g)),
    "one width for all": fit(log=lambda s, g, eta: s + eta * g.mean()),
    "widths returned": fit(final=lambda m, s: (m, s.exp())),
    "exchanged": fit(final=lambda m, s: (s, m)),
    "averaged path": fit(final=lambda m, s: (m.cumsum(0) / torch.arange(1, len(m) + 1)[:, None], s)),
    "one result": fit(final=lambda m, s: m),
    "mean held in a box": fit(m=lambda m: m.clamp(-1, 1)),
    "baseline": fit(q=lambda q, a: q(a) - q(a).mean()),
    "Q squared": fit(q=lambda q, a: q(a) ** 2),
    "transposed": fit(final=lambda m, s: (m.T, s.T)),
    "as numpy": fit(final=lambda m, s: (m.numpy(), s.numpy())),
}  # fmt: skip
FIT_RIGHT = {
    "recursive": recursive,
    "surrogate": surrogate,
    "joint": joint,
    "sum over B": fit(mean=lambda g: g.sum(0) / len(g)),
    "a list": fit(final=lambda m, s: [m, s]),
    "by index": fit(xi=lambda noise, k: noise[k].clone()),
}
FIT_NAMED = {
    "descends/loss": fit(mean=lambda g: -g.mean(0)),
    "sum-not-mean/rows": fit(mean=lambda g: g.sum(0)),
    "same-noise/first": fit(xi=lambda noise, k: noise[0]),
    "estimators-exchanged/one name": fit(kind=lambda kind: "pathwise"),
    "path-incomplete/no start": fit(final=lambda m, s: (m[1:], s[1:])),
    "path-incomplete/no end": fit(final=lambda m, s: (m[:-1], s[:-1])),
    "sigma-step/log of it": fit(log=lambda s, g, eta: (s.exp() + eta * g).log()),
}

WRONG = {
    "gaussian_log_prob": LOG_PROB_WRONG,
    "score_function_gradient": SCORE_WRONG,
    "stein_residual": RESIDUAL_WRONG,
    "pathwise_gradient": PATHWISE_WRONG,
    "optimal_constant_baseline": BASELINE_WRONG,
    "deterministic_policy_gradient": ACTOR_WRONG,
    "fit_policy": FIT_WRONG,
}
RIGHT = {
    "gaussian_log_prob": LOG_PROB_RIGHT,
    "score_function_gradient": SCORE_RIGHT,
    "stein_residual": RESIDUAL_RIGHT,
    "pathwise_gradient": PATHWISE_RIGHT,
    "optimal_constant_baseline": BASELINE_RIGHT,
    "deterministic_policy_gradient": ACTOR_RIGHT,
    "fit_policy": FIT_RIGHT,
}
NAMED = {
    "gaussian_log_prob": LOG_PROB_NAMED,
    "score_function_gradient": SCORE_NAMED,
    "stein_residual": RESIDUAL_NAMED,
    "pathwise_gradient": PATHWISE_NAMED,
    "optimal_constant_baseline": BASELINE_NAMED,
    "deterministic_policy_gradient": ACTOR_NAMED,
    "fit_policy": FIT_NAMED,
}
