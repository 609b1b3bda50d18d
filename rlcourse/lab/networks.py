"""The networks that the agents share, and how a target network follows its online one.

Batch first: `obs` (B, obs_dim), `action` (B, act_dim), both float32. A network with one number an
example returns `(B,)`, never `(B, 1)`: against a target of shape (B,) that would broadcast to (B, B).
PyTorch's default initialisation; draw it under `rlcourse.lab.seeding.torch_seed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

HIDDEN = (64, 64)


def mlp(sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers from sizes[0] to sizes[-1] with `activation` between them, none after the last."""
    # In place: what went into a ReLU is not needed again, and memory is what small networks wait for.
    between = partial(nn.ReLU, inplace=True) if activation is nn.ReLU else activation
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), between()]
    return nn.Sequential(*layers[:-1])


class QNetwork(nn.Module):
    """Q(s, ·) of a finite number of actions: obs (B, obs_dim) → (B, n_actions)."""

    def __init__(self, obs_dim: int, n_actions: int, hidden: Sequence[int] = HIDDEN):
        super().__init__()
        self.layers = mlp([obs_dim, *hidden, n_actions])

    def forward(self, obs: Tensor) -> Tensor:
        return self.layers(obs)


class ValueNetwork(nn.Module):
    """V(s): obs (B, obs_dim) → (B,)."""

    def __init__(
        self,
        obs_dim: int,
        hidden: Sequence[int] = HIDDEN,
        activation: type[nn.Module] = nn.ReLU,
    ):
        super().__init__()
        self.layers = mlp([obs_dim, *hidden, 1], activation)

    def forward(self, obs: Tensor) -> Tensor:
        return self.layers(obs).squeeze(-1)


class Critic(nn.Module):
    """Q(s, a) of continuous actions: obs (B, obs_dim), action (B, act_dim) → (B,)."""

    def __init__(self, obs_dim: int, act_dim: int, hidden: Sequence[int] = HIDDEN):
        super().__init__()
        self.layers = mlp([obs_dim + act_dim, *hidden, 1])

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        return self.layers(torch.cat([obs, action], dim=-1)).squeeze(-1)


class Actor(nn.Module):
    """A deterministic policy μ(s) in (−1, 1)^act_dim: obs (B, obs_dim) → (B, act_dim)."""

    def __init__(self, obs_dim: int, act_dim: int, hidden: Sequence[int] = HIDDEN):
        super().__init__()
        self.layers = mlp([obs_dim, *hidden, act_dim])

    def forward(self, obs: Tensor) -> Tensor:
        return self.layers(obs).tanh()


class GaussianPolicy(nn.Module):
    """Mean and log σ of a diagonal Gaussian, both from the state: obs → (B, act_dim), (B, act_dim).

    log σ is clamped to `log_std_range`, outside of which densities over- or underflow.
    """

    def __init__(
        self,
        obs_dim: int,
        act_dim: int,
        hidden: Sequence[int] = HIDDEN,
        log_std_range: tuple[float, float] = (-20.0, 2.0),
    ):
        super().__init__()
        self.layers = mlp([obs_dim, *hidden, 2 * act_dim])
        self.log_std_range = log_std_range

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.layers(obs).chunk(2, dim=-1)
        return mean, log_std.clamp(*self.log_std_range)


def polyak_update(target: nn.Module, online: nn.Module, rho: float) -> None:
    r"""$\phi_{targ} \leftarrow \rho\,\phi_{targ} + (1-\rho)\,\phi$, in place — Lillicrap et al. 2016, τ = 1−ρ.

    target, online: modules of the same shape; rho: in [0, 1], 0 copies (a hard update), 1 does
    nothing. The Parameters of `target` stay the same objects; `online` is unchanged.
    """
    with torch.no_grad():
        for theirs, ours in zip(target.parameters(), online.parameters(), strict=True):
            theirs.lerp_(ours, 1 - rho)
