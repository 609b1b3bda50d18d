r"""Two gradients of an expectation, and Stein's identity between them (lesson 13).

For $a = \mu + \sigma \xi$, $\xi \sim \mathcal N(0, I)$, the gradient of $\mathbb E[Q(a)]$ is the mean of

- the score-function estimate $\nabla_\theta \log \pi(a)\, Q(a)$, which needs only values of Q, and
- the pathwise estimate $\nabla_\theta a\, \nabla_a Q(a)$, which needs Q's slope and varies far less.

Shapes: `a`, `noise` (B, D); `mean`, `log_std` (B, D) or (D,); `q` (B,). Estimates are returned one
a row, (B, D), so that their spread can be measured; the estimator is the mean over rows. Nothing
here changes its arguments.

`fit_policy` climbs along either of them.

Sources: Williams 1992 (score function); Kingma & Welling 2014, §2.4 (pathwise); Stein 1981, Lemma 2;
Greensmith, Bartlett & Baxter 2004 (the best baseline); Silver et al. 2014 (deterministic policy gradient).

Differences from the papers: diagonal Gaussians only, parametrised by mean and log of the standard
deviation. Lecture notes that write Stein's identity for a baseline b(s) under ∇_a mean ∇_θ.
"""

from __future__ import annotations

import math

import torch


def gaussian_log_prob(a, mean, log_std) -> torch.Tensor:
    r"""$\log \pi(a) = -\sum_j [\tfrac12 (\frac{a_j-\mu_j}{\sigma_j})^2 + \log\sigma_j + \tfrac12\log 2\pi]$.

    a: (B, D); mean, log_std: (B, D) or (D,). Returns (B,), in nats.
    """
    z = (a - mean) * torch.exp(-log_std)
    return -(0.5 * z.square() + log_std + 0.5 * math.log(2 * math.pi)).sum(dim=-1)


def score_function_gradient(a, mean, log_std, q) -> tuple[torch.Tensor, torch.Tensor]:
    r"""$Q\,\nabla_\mu \log\pi = Q\,\frac{a-\mu}{\sigma^2}$,
    $\;Q\,\nabla_{\log\sigma} \log\pi = Q\,[(\frac{a-\mu}{\sigma})^2 - 1]$ — Williams 1992.

    a: (B, D), drawn from the policy; mean, log_std: (B, D) or (D,); q: (B,) values of Q at a.
    Returns the estimates for mean and log_std, (B, D) each. Q is a number here: a baseline may be
    subtracted from it, its slope is not used.
    """
    z = (a - mean) * torch.exp(-log_std)
    weight = q[:, None]
    return weight * z * torch.exp(-log_std), weight * (z.square() - 1)


def pathwise_gradient(noise, mean, log_std, q_function) -> tuple[torch.Tensor, torch.Tensor]:
    r"""$\nabla_\mu a\,\nabla_a Q = \nabla_a Q$, $\;\nabla_{\log\sigma} a\,\nabla_a Q = \sigma\xi\,\nabla_a Q$
    at $a = \mu + \sigma\xi$ — Kingma & Welling 2014, eq. 6 with one sample.

    noise: (B, D), standard normal; mean, log_std: (B, D) or (D,); q_function: a (B, D) → (B,), each
    row by itself. Returns the estimates for mean and log_std, (B, D) each.
    """
    mean = mean.detach().expand(noise.shape).clone().requires_grad_()
    log_std = log_std.detach().expand(noise.shape).clone().requires_grad_()
    a = mean + log_std.exp() * noise
    return torch.autograd.grad(q_function(a).sum(), (mean, log_std))


def stein_residual(a, mean, log_std, phi, grad_phi) -> torch.Tensor:
    r"""$\nabla_a \log\pi(a)\,\phi(a) + \nabla_a \phi(a)$, whose mean under π is 0 — Stein 1981, Lemma 2.

    a: (B, D); mean, log_std: (B, D) or (D,); phi: (B,) values, grad_phi: (B, D) slopes of any φ that
    grows more slowly than $1/\pi$. Returns (B, D).
    """
    grad_log_pi = -(a - mean) * torch.exp(-2 * log_std)
    return grad_log_pi * phi[:, None] + grad_phi


def deterministic_policy_gradient(actor, critic, obs) -> tuple[torch.Tensor, ...]:
    r"""$\frac1B \sum_s \nabla_\theta \mu_\theta(s)\, \nabla_a Q(s,a)|_{a=\mu_\theta(s)}$ — Silver et al. 2014, eq. 9.

    The pathwise gradient for σ → 0. actor: obs (B, obs_dim) → (B, D); critic: obs, action → (B,).
    Returns one tensor for each of the actor's parameters, in their order: the direction of ascent.
    No `.grad` is touched.
    """
    return torch.autograd.grad(critic(obs, actor(obs)).mean(), tuple(actor.parameters()))


def optimal_constant_baseline(mean, log_std, goal, height) -> tuple[torch.Tensor, torch.Tensor]:
    r"""$b^* = c - (\mu-g)^2 - 3\sigma^2$ and $\mathrm{Var} = 8(\mu-g)^2 + 6\sigma^2$ — the general weight is
    $\mathbb E[\xi^2 Q] / \mathbb E[\xi^2]$, Greensmith, Bartlett & Baxter 2004.

    The constant b that makes the variance of $(Q(a)-b)\,\xi/\sigma$ smallest, and that variance, for
    $Q(a) = c - (a-g)^2$, $a = \mu + \sigma\xi$ in one dimension. mean, log_std, goal (g), height (c): (B,), one
    problem a row. Returns (B,) each.
    """
    variance = torch.exp(2 * log_std)
    squared = (mean - goal).square()
    return height - squared - 3 * variance, 8 * squared + 6 * variance


def fit_policy(
    q_function,
    mean,
    log_std,
    noise,
    step_size,
    estimator,
    *,
    score_function_gradient=score_function_gradient,
    pathwise_gradient=pathwise_gradient,
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Climb $\mathbb E[Q(a)]$: $\mu_{k+1} = \mu_k + \eta\,\overline{g_\mu}$,
    $\;\log\sigma_{k+1} = \log\sigma_k + \eta\,\overline{g_{\log\sigma}}$.

    Bars are means over the B estimates of a step, both made from the same actions
    $a = \mu_k + \sigma_k\xi_k$.

    q_function: a (B, D) → (B,), each row by itself; mean, log_std: (D,), where to begin; noise: (K, B, D), standard
    normal, one batch a step; step_size: η; estimator: "score" or "pathwise". Returns the policies before each step
    and the last, (K + 1, D) each. The two estimators can be replaced. Raises ValueError for another name.
    """
    if estimator not in ("score", "pathwise"):
        raise ValueError(f"estimator is 'score' or 'pathwise', not {estimator!r}")
    mean, log_std = mean.detach(), log_std.detach()
    path = [(mean, log_std)]
    for xi in noise:
        if estimator == "pathwise":
            for_mean, for_log_std = pathwise_gradient(xi, mean, log_std, q_function)
        else:
            a = mean + log_std.exp() * xi
            with torch.no_grad():
                q = q_function(a)
            for_mean, for_log_std = score_function_gradient(a, mean, log_std, q)
        mean = mean + step_size * for_mean.detach().mean(dim=0)
        log_std = log_std + step_size * for_log_std.detach().mean(dim=0)
        path.append((mean, log_std))
    means, log_stds = zip(*path, strict=True)
    return torch.stack(means), torch.stack(log_stds)
