r"""Noise for policies that have none of their own: Gaussian and Ornstein–Uhlenbeck (lesson 14).

Noise is measured in half-widths of the action box: 0.1 is a tenth of the way from the middle to the
border, whatever the environment's units.

Sources: Uhlenbeck & Ornstein 1930; Lillicrap et al. 2016 (DDPG), §3 and §7; Fujimoto et al. 2018 (TD3),
§6.1, who find independent Gaussian noise as good.

Differences from the papers: dt is explicit and the step carries its √dt (Euler–Maruyama); the noise is
scaled to the box.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch


def ou_step(x, noise, theta, sigma, dt):
    r"""$x + \theta(0 - x)\,dt + \sigma\sqrt{dt}\,\xi$: one Euler–Maruyama step towards the mean 0.

    Its variance settles at $\sigma^2 / (2\theta - \theta^2 dt)$.

    x: the process now; noise: standard normal ξ, same shape; theta (1/time), sigma
    (1/√time), dt (time) > 0, θ dt < 2. Tensors or arrays. Returns the new x.
    """
    return x - theta * x * dt + sigma * math.sqrt(dt) * noise


def ou_stationary(theta, sigma, dt, lag) -> tuple[float, float]:
    r"""$\frac{\sigma}{\sqrt{2\theta - \theta^2 dt}}$ and $(1-\theta\,dt)^{lag}$: what `ou_step` settles at.

    The deviation of x, and its correlation with itself `lag` steps later, from
    $\mathrm{Var} = (1-\theta\,dt)^2\,\mathrm{Var} + \sigma^2 dt$. As dt → 0 they are $\sigma/\sqrt{2\theta}$ and
    $e^{-\theta t}$ — Uhlenbeck & Ornstein 1930.

    theta (1/time), sigma (1/√time), dt (time) > 0, θ dt < 2; lag: steps, a whole number ≥ 0. Returns floats.
    """
    kept = 1 - theta * dt
    return sigma * math.sqrt(dt / (1 - kept**2)), kept**lag


def explore_action(action, noise, low, high):
    r"""$\mathrm{clip}(a + \tfrac12(high - low)\,\epsilon,\; low,\; high)$ — DDPG's line 8, in the box.

    action: (B, D) or (D,), in the box; noise: same shape, in half-widths of the box; low, high: (D,)
    or floats. Tensors or arrays. Returns the action to take.
    """
    return (action + 0.5 * (high - low) * noise).clip(low, high)


def standard_normal(shape: tuple[int, ...], rng: np.random.Generator) -> torch.Tensor:
    """ξ ~ N(0, I), float32."""
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


@dataclass
class GaussianNoise:
    """Independent draws $\\sigma\\xi$; `sigma` in half-widths of the action box."""

    sigma: float = 0.1

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> torch.Tensor:
        return self.sigma * standard_normal(shape, rng)

    def reset(self, rows: np.ndarray | None = None) -> None:
        """Nothing is remembered."""


@dataclass
class OrnsteinUhlenbeckNoise:
    """`ou_step` over time: noise that stays on one side for about $1/(\\theta\\,dt)$ steps.

    Its standard deviation is that of `ou_stationary`, in half-widths of the action box. The step can be replaced.
    """

    theta: float = 0.15
    sigma: float = 0.2
    dt: float = 1.0
    x: torch.Tensor | None = None
    ou_step: Callable = ou_step

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> torch.Tensor:
        if self.x is None or self.x.shape != shape:
            self.x = torch.zeros(shape)
        xi = standard_normal(shape, rng)
        self.x = torch.as_tensor(self.ou_step(self.x, xi, self.theta, self.sigma, self.dt))
        return self.x

    def reset(self, rows: np.ndarray | None = None) -> None:
        """Start again from 0: the rows that are True in (B,) bool, or all of them."""
        if rows is None or rows.all():
            self.x = None
        elif self.x is not None:
            self.x = self.x.masked_fill(torch.from_numpy(rows)[:, None], 0.0)
