"""What the agents of Part III share: networks, acting, learning rates, the step of an optimiser."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from rlcourse.lab.environments import MakeEnv, action_box, action_count, maker, observation_size
from rlcourse.lab.networks import HIDDEN, QNetwork, ValueNetwork, mlp, output_of
from rlcourse.lab.on_policy import Rollout
from rlcourse.lab.optim import Adam, weights_of
from rlcourse.lab.seeding import torch_seed
from rlcourse.policies.distributions import greedy_action, sample_action


class CategoricalPolicy(nn.Module):
    """Logits of a softmax: obs (..., obs_dim) → (..., n_actions); nearly uniform at first."""

    def __init__(self, obs_dim: int, n_actions: int, hidden=HIDDEN) -> None:
        super().__init__()
        self.layers = mlp([obs_dim, *hidden, n_actions], nn.Tanh)
        orthogonal(self.layers, last_gain=0.01)

    def forward(self, obs: Tensor) -> Tensor:
        return self.layers.forward(obs)

    def numpy(self, obs: np.ndarray) -> np.ndarray:
        return self.layers.numpy(obs)


class BoxPolicy(nn.Module):
    """Mean from a network, log σ one weight for each dimension: obs → (..., act_dim) twice."""

    def __init__(self, obs_dim: int, act_dim: int, hidden=HIDDEN, log_std: float = -0.5) -> None:
        super().__init__()
        self.layers = mlp([obs_dim, *hidden, act_dim], nn.Tanh)
        self.log_std = nn.Parameter(torch.full((act_dim,), log_std))
        orthogonal(self.layers, last_gain=0.01)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.layers.forward(obs)
        # A sum, not a view of the weight: an old policy's output must outlive the next step.
        return mean, self.log_std + torch.zeros_like(mean)

    def numpy(self, obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = self.layers.numpy(obs)
        return mean, self.log_std.detach().numpy() + np.zeros_like(mean)


def orthogonal(layers: nn.Sequential, last_gain: float) -> None:
    """Orthogonal weights of gain √2, `last_gain` in the last layer; biases 0. In place."""
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    for layer in linear:
        nn.init.orthogonal_(layer.weight, last_gain if layer is linear[-1] else math.sqrt(2))
        nn.init.zeros_(layer.bias)


def standardise(adv: Tensor) -> Tensor:
    """(A − mean) / std over all rows; of a single row, or of equal ones, zeros."""
    centred = adv - adv.mean()
    return centred / (centred.square().mean().sqrt() + 1e-8)


def flat_rows(rollout: Rollout) -> Rollout:
    """The rows of all environments below each other: (T, N, …) → (T·N, …)."""
    return Rollout(*(column.flatten(0, rollout.reward.ndim - 1) for column in rollout))


def end_to_end(rollout: Rollout) -> Rollout:
    """The N environments of a rollout one after the other: (T, N, …) → (N·T, …); (T, …) as it is.

    The last row of each is marked truncated: nothing is carried over the seam, and the value of where the
    recording stopped is still read. So advantages, targets and the mean loss are what they were.
    """
    if rollout.reward.ndim == 1:
        return rollout
    truncated = rollout.truncated.clone()
    truncated[-1] = 1
    columns = rollout._replace(truncated=truncated)
    return Rollout(*(column.transpose(0, 1).flatten(0, 1) for column in columns))


@dataclass(kw_only=True, eq=False)
class OnPolicyAgent:
    """Settings, networks and acting; a method adds its equations, `build` and `update`.

    n_envs: environments side by side; horizon: steps of each in a rollout, or None for `episodes`
    whole episodes. seed: of the first weights. The learning rates fall linearly to `lr_end` times
    their first value. Actions of a box are drawn in units of the box, [−1, 1], and clipped to it for
    the environment; what is learned from is the unclipped one, for log π is that of what was drawn.
    """

    obs_dim: int
    n_actions: int | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    seed: int = 0
    n_envs: int = 1
    horizon: int | None = None
    episodes: int = 1
    hidden: tuple[int, ...] = HIDDEN
    lr: float = 1e-3
    lr_end: float = 0.0
    optimizers: list[Adam] = field(default_factory=list, init=False, repr=False)

    finite_only: ClassVar[bool] = False

    @classmethod
    def for_env(cls, env: MakeEnv | gym.Env, **settings):
        """The agent for an environment's spaces; `env` as the training loop takes it, or made.

        Raises SpaceError for observations that are no row of numbers, for a box without an end, and for
        any box where the method needs a finite set of actions.
        """
        made = env if isinstance(env, gym.Env) else maker(env)()
        obs_dim, space = observation_size(made.observation_space), made.action_space
        if made is not env:
            made.close()
        if cls.finite_only or isinstance(space, gym.spaces.Discrete):
            return cls(obs_dim=obs_dim, n_actions=action_count(space), **settings)
        low, high = action_box(space)
        return cls(obs_dim=obs_dim, low=low, high=high, **settings)

    def __post_init__(self) -> None:
        if self.horizon is None and self.n_envs != 1:
            raise ValueError("Whole episodes are collected in one environment: n_envs must be 1.")
        with torch_seed(self.seed):
            self.build()

    def build(self) -> None:
        """Make the networks and optimisers."""
        raise NotImplementedError

    def update(self, rollout: Rollout, rng: np.random.Generator) -> dict[str, Tensor]:
        """Learn from a rollout (T, n_envs, …); the losses before the step, by name."""
        raise NotImplementedError

    def new_policy(self) -> nn.Module:
        if self.n_actions is None:
            return BoxPolicy(self.obs_dim, len(self.low), self.hidden)
        return CategoricalPolicy(self.obs_dim, self.n_actions, self.hidden)

    def new_v_net(self) -> ValueNetwork:
        v_net = ValueNetwork(self.obs_dim, self.hidden, nn.Tanh)
        orthogonal(v_net.layers, last_gain=1.0)
        return v_net

    def new_q_net(self) -> QNetwork:
        return QNetwork(self.obs_dim, self.n_actions, self.hidden)

    def build_actor_critic(self) -> None:
        """Both networks under one optimiser."""
        self.policy, self.v_net = self.new_policy(), self.new_v_net()
        self.optimizer = self.adam(self.policy, self.v_net)

    def adam(self, *networks: nn.Module, lr: float | None = None) -> Adam:
        """One optimiser over these networks, whose learning rate `anneal` lets fall."""
        optimizer = Adam(weights_of(*networks), lr or self.lr, eps=1e-5)
        for group in optimizer.param_groups:
            group["first_lr"] = group["lr"]
        self.optimizers.append(optimizer)
        return optimizer

    def anneal(self, done: float) -> None:
        """Set the learning rates for the share `done` of the run, in [0, 1]."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["first_lr"] * (1 - done * (1 - self.lr_end))

    def draw(self, obs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """An action for every row of obs (N, obs_dim), in the policy's own units."""
        return sample_action(self._outputs(obs), rng)

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """From the policy's units to the environment's: [−1, 1] is the box, the rest is clipped."""
        if self.n_actions is not None:
            return action
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        # The second clip: rounding may leave the box by one unit in the last place.
        return (middle + half * action.clip(-1, 1)).clip(self.low, self.high)

    def act(self, obs: np.ndarray, rng: np.random.Generator, explore: bool = True) -> np.ndarray:
        """The environment's actions for every row: drawn, or the most likely ones."""
        if explore:
            return self.to_env(self.draw(obs, rng))
        return self.to_env(greedy_action(self._outputs(obs)))

    def _outputs(self, obs: np.ndarray) -> Any:
        """The policy's output without gradient, in NumPy."""
        return output_of(self.policy, obs)
