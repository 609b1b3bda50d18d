"""Double DQN: one network chooses the next action, the other says what it is worth (lesson 09).

van Hasselt, Guez & Silver 2016, *Deep reinforcement learning with double Q-learning*. Differences from
the paper: those of `rlcourse.values.dqn`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from .dqn import DQN, dqn_update, taken


def double_dqn_target(reward, q_next_online, q_next_target, terminated, gamma) -> Tensor:
    r"""$y = r + \gamma(1-d)\,Q_{targ}(s', \arg\max_{a'} Q_{online}(s', a'))$ — van Hasselt et al. 2016, eq. 4.

    reward, terminated: (B,); both q_next: (B, n_actions). Returns (B,).
    """
    q_next = taken(q_next_target, q_next_online.argmax(dim=1))
    return torch.where(terminated == 1, reward, reward + gamma * q_next)


def double_dqn_loss(
    q_net, target_net, batch, gamma, *, double_dqn_target=double_dqn_target
) -> Tensor:
    """`dqn_loss` with `double_dqn_target`: a scalar with a gradient for `q_net` only, through Q(s, a)."""
    with torch.no_grad():
        q_next, judged = q_net(batch.next_obs), target_net(batch.next_obs)
        y = double_dqn_target(batch.reward, q_next, judged, batch.terminated, gamma)
    return smooth_l1_loss(taken(q_net(batch.obs), batch.action), y)


@dataclass(eq=False, kw_only=True)
class DoubleDQN(DQN):
    """DQN with another target; nothing else changes. A `dqn_loss` of one's own makes its labels itself."""

    dqn_loss: Callable[..., Tensor] = double_dqn_loss
    double_dqn_target: Callable[..., Tensor] = double_dqn_target

    def update(self, batch, rng=None) -> dict[str, Tensor]:
        """As DQN's, with this agent's functions."""
        self.begin_update()
        loss = self.dqn_loss
        if loss is double_dqn_loss:
            loss = partial(loss, double_dqn_target=self.double_dqn_target)
        return {"loss": dqn_update(self, batch, dqn_loss=loss, polyak_update=self.follow)}
