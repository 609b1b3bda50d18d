"""What the agents of this room share: the box at their border, and functions that can be replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from rlcourse.lab.agents import OffPolicyAgent
from rlcourse.lab.environments import MakeEnv, action_box, maker, observation_size
from rlcourse.lab.optim import Adam, weights_of
from rlcourse.lab.replay import Batch


def scale_action(action, low, high):
    r"""$\tfrac12(low + high) + \tfrac12(high - low)\,a$: from (−1, 1) to the box of the environment.

    action: (B, D) or (D,); low, high: (D,) or floats. Tensors or arrays. Nothing is clipped. ±1 land on the borders.
    """
    return 0.5 * (low + high) + 0.5 * (high - low) * action


@dataclass
class BoxAgent(OffPolicyAgent):
    r"""An agent that thinks in (−1, 1)^D and acts in the box of its environment.

    obs_dim: numbers an observation; action_low, action_high: (D,), the finite box of actions. A method provides
    `choose` and `learn`, in (−1, 1)^D; `act` and `update` are for the loop, in the environment's
    units, which `scale_action` makes of the agent's; it can be replaced.
    """

    obs_dim: int
    action_low: np.ndarray
    action_high: np.ndarray
    scale_action: Callable = field(default=scale_action, kw_only=True)

    @classmethod
    def for_env(cls, env: MakeEnv, **settings: Any):
        """An agent for this environment. Raises SpaceError if its spaces are of another kind."""
        env = maker(env)()
        try:
            obs_dim = observation_size(env.observation_space)
            return cls(obs_dim, *action_box(env.action_space), **settings)
        finally:
            env.close()

    def __post_init__(self) -> None:
        low = self.action_low = np.asarray(self.action_low, np.float32)
        high = self.action_high = np.asarray(self.action_high, np.float32)
        self.act_dim = len(low)
        self.middle = torch.from_numpy((low + high) / 2)
        self.half_width = torch.from_numpy((high - low) / 2)

    def act(self, obs: np.ndarray, rng: np.random.Generator, explore: bool = True) -> np.ndarray:
        """Actions of the environment. obs: (N, obs_dim). Returns (N, D) float32, inside the box."""
        action = np.asarray(self.choose(np.asarray(obs, np.float32), rng, explore))
        scaled = np.asarray(self.scale_action(action, self.action_low, self.action_high))
        return scaled.clip(self.action_low, self.action_high)

    def update(self, batch: Batch, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """Learn from a batch with the environment's actions. Returns the losses before the step."""
        action = (batch.action - self.middle) / self.half_width
        return self.learn(batch._replace(action=action), rng)

    def choose(self, obs: np.ndarray, rng: np.random.Generator, explore: bool) -> Any:
        """Actions in (−1, 1)^D, (N, D) float32, array or tensor. obs: (N, obs_dim) float32."""
        raise NotImplementedError

    def learn(self, batch: Batch, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """`update` with the batch's actions in (−1, 1)^D."""
        raise NotImplementedError


def adam(*networks: torch.nn.Module, lr: float) -> Adam:
    """One optimiser over all weights of these networks."""
    return Adam(weights_of(*networks), lr)


@contextmanager
def frozen(*modules: torch.nn.Module) -> Iterator[None]:
    """Inside, the modules pass gradients on to their inputs but collect none for their weights."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for p in parameters:
        p.requires_grad = False
    try:
        yield
    finally:
        for p in parameters:
            p.requires_grad = True
