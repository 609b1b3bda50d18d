"""The networks that the agents share, and how a target network follows its online one.

Batch first: `obs` (B, obs_dim), `action` (B, act_dim), both float32. A network with one number an
example returns `(B,)`, never `(B, 1)`: against a target of shape (B,) that would broadcast to (B, B).
PyTorch's default initialisation; draw it under `rlcourse.lab.seeding.torch_seed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

HIDDEN = (64, 64)
FEW_ROWS = (
    4  # so many are over in NumPy before torch has begun; of more its products wait for threads
)


class MLP(nn.Sequential):
    """Linear layers with ReLU or tanh between them: x (..., n) → (..., m)."""

    def forward(self, x: Tensor) -> Tensor:
        # `layer.forward`: calling the module looks for hooks, as long as a small layer takes.
        for layer in self:
            x = layer.forward(x)
        return x

    def numpy(self, x: np.ndarray) -> np.ndarray:
        """The same without gradient: of a few rows NumPy has made the numbers before torch begins."""
        with np.errstate(over="ignore", invalid="ignore"):  # as torch, which is silent
            for layer in self:
                if isinstance(layer, nn.Linear):
                    x = x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
                elif isinstance(layer, nn.ReLU):
                    x = np.maximum(x, 0)
                else:
                    x = np.tanh(x)
        return x


def mlp(sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> MLP:
    """Linear layers from sizes[0] to sizes[-1] with `activation`, nn.ReLU or nn.Tanh, between them,
    none after the last."""
    # In place: what went into a ReLU is not needed again, and memory is what small networks wait for.
    between = partial(nn.ReLU, inplace=True) if activation is nn.ReLU else activation
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), between()]
    return MLP(*layers[:-1])


def output_of(network: Any, *inputs: np.ndarray) -> Any:
    """What a network makes of arrays (N, …), without gradient, as an array or a tuple of arrays.

    By the network's own `numpy` where it has one and rows are few, which is sooner; any callable on
    tensors will do.
    """
    inputs = tuple(np.asarray(x, np.float32) for x in inputs)
    if len(inputs[0]) <= FEW_ROWS and hasattr(network, "numpy"):
        return network.numpy(*inputs)
    with torch.no_grad():
        output = network(*map(torch.from_numpy, inputs))
    return tuple(x.numpy() for x in output) if isinstance(output, tuple) else output.numpy()


class QNetwork(nn.Module):
    """Q(s, ·) of a finite number of actions: obs (B, obs_dim) → (B, n_actions)."""

    def __init__(self, obs_dim: int, n_actions: int, hidden: Sequence[int] = HIDDEN):
        super().__init__()
        self.layers = mlp([obs_dim, *hidden, n_actions])

    def forward(self, obs: Tensor) -> Tensor:
        return self.layers.forward(obs)

    def numpy(self, obs: np.ndarray) -> np.ndarray:
        return self.layers.numpy(obs)


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
        return self.layers.forward(obs).squeeze(-1)


class Critic(nn.Module):
    """Q(s, a) of continuous actions: obs (B, obs_dim), action (B, act_dim) → (B,)."""

    def __init__(self, obs_dim: int, act_dim: int, hidden: Sequence[int] = HIDDEN):
        super().__init__()
        self.layers = mlp([obs_dim + act_dim, *hidden, 1])

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        return self.layers.forward(torch.cat([obs, action], dim=-1)).squeeze(-1)


class Actor(nn.Module):
    """A deterministic policy μ(s) in (−1, 1)^act_dim: obs (B, obs_dim) → (B, act_dim)."""

    def __init__(self, obs_dim: int, act_dim: int, hidden: Sequence[int] = HIDDEN):
        super().__init__()
        self.layers = mlp([obs_dim, *hidden, act_dim])

    def forward(self, obs: Tensor) -> Tensor:
        return self.layers.forward(obs).tanh()

    def numpy(self, obs: np.ndarray) -> np.ndarray:
        return np.tanh(self.layers.numpy(obs))


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
        mean, log_std = self.layers.forward(obs).chunk(2, dim=-1)
        return mean, log_std.clamp(*self.log_std_range)

    def numpy(self, obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, log_std = np.split(self.layers.numpy(obs), 2, axis=-1)
        return mean, log_std.clip(*self.log_std_range)


def polyak_update(target: nn.Module, online: nn.Module, rho: float) -> None:
    r"""$\phi_{targ} \leftarrow \rho\,\phi_{targ} + (1-\rho)\,\phi$, in place — Lillicrap et al. 2016, τ = 1−ρ.

    target, online: modules of the same shape; rho: in [0, 1], 0 copies (a hard update), 1 does
    nothing. The Parameters of `target` stay the same objects; `online` is unchanged.
    """
    with torch.no_grad():
        for theirs, ours in zip(target.parameters(), online.parameters(), strict=True):
            theirs.lerp_(ours, 1 - rho)
