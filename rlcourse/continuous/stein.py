r"""Two gradients of an expectation, and Stein's identity between them (lesson 13).

For $a = \mu + \sigma \xi$, $\xi \sim \mathcal N(0, I)$, the gradient of $\mathbb E[Q(a)]$ is the mean of

- the score-function estimate $\nabla_\theta \log \pi(a)\, Q(a)$, which needs only values of Q, and
- the pathwise estimate $\nabla_\theta a\, \nabla_a Q(a)$, which needs Q's slope and varies far less.

Shapes: `a`, `noise` (B, D); `mean`, `log_std` (B, D) or (D,); `q` (B,). Estimates are returned one
a row, (B, D), so that their spread can be measured; the estimator is the mean over rows. Nothing
here changes its arguments.

Sources: Williams 1992 (score function); Kingma & Welling 2014, §2.4 (pathwise); Stein 1981, Lemma 2;
Silver et al. 2014 (deterministic policy gradient).

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
