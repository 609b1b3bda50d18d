"""What the agents of Part III share: networks, settings, acting."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from rlcourse.lab.on_policy import check_spaces
from rlcourse.policies.distributions import greedy_action, sample_action


class Scalar(nn.Module):
    """A network with one output as a function to (...): no column is left to broadcast wrongly."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, obs: Tensor) -> Tensor:
        return self.net(obs).squeeze(-1)


class Gaussian(nn.Module):
    """Mean from a network, log σ a weight of its own for every dimension of the action."""

    def __init__(self, net: nn.Module, act_dim: int, log_std: float = -0.5) -> None:
        super().__init__()
        self.net = net
        self.log_std = nn.Parameter(torch.full((act_dim,), log_std))

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.net(obs)
        return mean, self.log_std.expand_as(mean)


def mlp(sizes: tuple[int, ...], last_gain: float, rng: torch.Generator) -> nn.Sequential:
    """tanh between linear layers; orthogonal weights of gain √2 and `last_gain`, zero biases."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        last = i == len(sizes) - 2
        # skip_init: the global generator is neither read nor moved on.
        linear = nn.utils.skip_init(nn.Linear, n_in, n_out)
        nn.init.orthogonal_(linear.weight, last_gain if last else math.sqrt(2), generator=rng)
        nn.init.zeros_(linear.bias)
        layers += [linear] if last else [linear, nn.Tanh()]
    return nn.Sequential(*layers)


def make_policy(observation_space, action_space, hidden, rng: torch.Generator) -> nn.Module:
    """Logits (..., A) for a `Discrete`, (mean, log_std) for a `Box`; nearly uniform at first."""
    obs_dim = math.prod(observation_space.shape)
    if isinstance(action_space, gym.spaces.Discrete):
        return mlp((obs_dim, *hidden, int(action_space.n)), 0.01, rng)
    act_dim = math.prod(action_space.shape)
    return Gaussian(mlp((obs_dim, *hidden, act_dim), 0.01, rng), act_dim)


def make_v_net(observation_space, hidden, rng: torch.Generator) -> nn.Module:
    """V(s), (..., obs_dim) → (...)."""
    return Scalar(mlp((math.prod(observation_space.shape), *hidden, 1), 1.0, rng))


def make_q_net(observation_space, action_space, hidden, rng: torch.Generator) -> nn.Module:
    """Q(s, ·), (..., obs_dim) → (..., A)."""
    return mlp((math.prod(observation_space.shape), *hidden, int(action_space.n)), 1.0, rng)


def descend(optimizer, loss: Tensor, max_grad_norm: float | None = None) -> None:
    """Clear, backward, clip the joint norm of all of the optimiser's weights, step."""
    optimizer.zero_grad()
    loss.backward()
    if max_grad_norm is not None:
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(weights, max_grad_norm)
    optimizer.step()


def standardise(adv: Tensor) -> Tensor:
    """(A − mean) / std over all rows; of a single row, or of equal ones, zeros."""
    centred = adv - adv.mean()
    return centred / (centred.square().mean().sqrt() + 1e-8)


class OnPolicyAgent:
    """Settings by keyword, spaces checked, networks built from a seed, actions from the policy.

    A subclass lists its settings as class attributes and in `functions` the equations that the
    keywords may replace: `PPO(obs_space, act_space, clip=0.1, gae=my_gae)`. It builds its networks
    in `build` and learns from a rollout in `update(rollout, rng) -> loss`.

    n_envs: environments side by side; horizon: steps of each in a rollout, or None for `episodes`
    whole episodes (of one environment).
    """

    n_envs: int = 1
    horizon: int | None = None
    episodes: int = 1
    hidden: tuple[int, ...] = (64, 64)
    lr: float = 1e-3
    lr_end: float = 0.0
    discrete_only: ClassVar[bool] = False
    functions: ClassVar[dict[str, Callable[..., Any] | None]] = {}

    def __init__(self, observation_space, action_space, seed: int = 0, **settings: Any) -> None:
        check_spaces(observation_space, action_space, type(self).__name__, self.discrete_only)
        self.observation_space, self.action_space = observation_space, action_space
        self.optimizers: list[torch.optim.Optimizer] = []
        for name, function in self.functions.items():
            setattr(self, name, settings.pop(name, function))
        for name, value in settings.items():
            if name.startswith("_") or callable(getattr(type(self), name, len)):
                raise TypeError(f"{type(self).__name__} has no setting '{name}'.")
            setattr(self, name, value)
        if isinstance(action_space, gym.spaces.Box):
            self._middle = ((action_space.high + action_space.low) / 2).astype(np.float32)
            self._half = ((action_space.high - action_space.low) / 2).astype(np.float32)
        self.build(torch.Generator().manual_seed(seed))

    def build(self, rng: torch.Generator) -> None:
        raise NotImplementedError

    def update(self, rollout, rng: np.random.Generator) -> Tensor:
        raise NotImplementedError

    def adam(self, *networks: nn.Module, lr: float | None = None) -> torch.optim.Adam:
        weights = [p for network in networks for p in network.parameters()]
        optimizer = torch.optim.Adam(weights, lr=lr or self.lr, eps=1e-5, fused=True)
        self.optimizers.append(optimizer)
        for group in optimizer.param_groups:
            group["first_lr"] = group["lr"]
        return optimizer

    def anneal(self, done: float) -> None:
        """Set the learning rates for the share `done` of the run, in [0, 1]: a straight line."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["first_lr"] * (1 - done * (1 - self.lr_end))

    def act(self, obs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw an action for every row of obs (N, obs_dim), in the policy's own units."""
        with torch.inference_mode():
            return sample_action(self.policy(torch.from_numpy(obs)), rng)

    def greedy(self, obs: np.ndarray) -> np.ndarray:
        """The most likely action for every row, in the environment's units."""
        with torch.inference_mode():
            return self.to_env(greedy_action(self.policy(torch.from_numpy(obs))))

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """From the policy's units to the environment's: [−1, 1] is the box, the rest is clipped.

        The stored action stays unclipped: log π is that of what was drawn.
        """
        if isinstance(self.action_space, gym.spaces.Discrete):
            return action + self.action_space.start
        scaled = self._middle + self._half * np.clip(action, -1, 1).reshape(-1, *self._half.shape)
        return scaled.astype(self.action_space.dtype)
