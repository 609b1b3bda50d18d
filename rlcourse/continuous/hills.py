r"""A known Q with two hills, and policies that settle on $e^{Q/\alpha}$: a sampler and a squashed Gaussian (lesson 17).

Q is known, so nothing but the policy can fail. One action in (−1, 1), one observation s in [0, 1]:

$Q(s,a) = e^{-20(a-0.6)^2} + (1 - 0.15 s)\, e^{-20(a+0.6)^2}$

The right hill stays, the left one shrinks with s.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from rlcourse.lab.networks import GaussianPolicy
from rlcourse.lab.optim import descend

from . import soft_q
from .agent import adam
from .sac import squashed_action

ALPHA = 0.2
PLACE = 0.6  # of the right hill; the other stands at −PLACE


def two_hills(obs, action):
    """Q of `two_hills`. obs: (B, 1), action: (B, 1), tensors. Returns (B,)."""
    s, a = obs[:, 0], action[:, 0]
    left = torch.exp(-20 * (a + PLACE) ** 2)
    return torch.exp(-20 * (a - PLACE) ** 2) + (1 - 0.15 * s) * left


def density(q_net: Callable, s: float, alpha: float, cells: int = 400) -> tuple[np.ndarray, ...]:
    """$e^{Q(s,a)/\\alpha}/Z$ on the middles of as many cells of (−1, 1): the actions and the densities."""
    a = (np.arange(cells) + 0.5) * 2 / cells - 1
    actions = torch.from_numpy(a)[:, None]
    q = q_net(torch.full_like(actions, s), actions).numpy()
    p = np.exp((q - q.max()) / alpha)
    return a, p / (p.sum() * 2 / cells)


def shares(actions: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """The weight of the left half of (−1, 1), and of what lies between the hills, |a| < 0.25."""
    left, between = actions < 0, np.abs(actions) < 0.25
    return float(np.average(left, weights=weights)), float(np.average(between, weights=weights))


def total_variation(actions: np.ndarray, q_net: Callable, s: float, alpha: float) -> float:
    """Half the summed difference between the draws' histogram and the density, on 40 cells."""
    seen = np.histogram(actions, bins=40, range=(-1, 1))[0] / len(actions)
    true = density(q_net, s, alpha)[1].reshape(40, -1).sum(axis=1) / 200
    return float(np.abs(seen - true).sum() / 2)


def fit_sampler(
    sampler: torch.nn.Module,
    q_net: Callable,
    *,
    updates: int = 800,
    states: int = 32,
    particles: int = 16,
    alpha: float = ALPHA,
    lr: float = 3e-3,
    seed: int = 0,
    svgd_direction: Callable = soft_q.svgd_direction,
    soft_policy_score: Callable = soft_q.soft_policy_score,
    median_bandwidth: Callable = soft_q.median_bandwidth,
) -> dict[str, np.ndarray]:
    r"""The sampler's half of soft Q-learning, many times, for a Q that stands still.

    States are uniform in [0, 1]. Returns, for each update, the mean length of the direction and the mean |a|.
    """
    rng = torch.Generator().manual_seed(seed)
    optimizer = adam(sampler, lr=lr)
    lengths, sizes = [], []
    for _ in range(updates):
        obs = torch.rand(states, 1, generator=rng)
        noise = torch.randn(states, particles, 1, generator=rng)
        u = soft_q.sample_many(sampler, obs, noise)
        at = u.detach()
        score = soft_policy_score(q_net, obs, at, alpha)
        direction = svgd_direction(at, score, at, median_bandwidth(at, at)).detach()
        descend(optimizer, -(u * direction).sum(dim=-1).mean())
        lengths.append(direction.norm(dim=-1).mean().item())
        sizes.append(torch.tanh(at).abs().mean().item())
    return {"length": np.array(lengths), "size": np.array(sizes)}


def drawn(sampler: torch.nn.Module, s: float, n: int = 4000, seed: int = 1) -> np.ndarray:
    """n actions of a sampler in the state s, (n,)."""
    noise = torch.randn(n, 1, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return torch.tanh(sampler(torch.full((n, 1), s), noise))[:, 0].numpy()


def fit_gaussian(
    q_net: Callable,
    *,
    updates: int = 800,
    states: int = 32,
    particles: int = 16,
    alpha: float = ALPHA,
    lr: float = 3e-3,
    seed: int = 0,
) -> GaussianPolicy:
    r"""A squashed Gaussian that climbs $\mathbb E[Q/\alpha - \log\pi]$ by the pathwise gradient, as SAC's actor does."""
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        policy = GaussianPolicy(1, 1, (64, 64))
    optimizer = adam(policy, lr=lr)
    for _ in range(updates):
        obs = torch.rand(states, 1, generator=rng).repeat_interleave(particles, dim=0)
        action, log_pi = squashed_action(policy, obs, torch.randn(obs.shape, generator=rng))
        descend(optimizer, (log_pi - q_net(obs, action) / alpha).mean())
    return policy


def drawn_gaussian(policy: GaussianPolicy, s: float, n: int = 4000, seed: int = 1) -> np.ndarray:
    """n actions of a squashed Gaussian in the state s, (n,)."""
    xi = torch.randn(n, 1, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return squashed_action(policy, torch.full((n, 1), s), xi)[0][:, 0].numpy()
