"""Ensembles of critics against overestimation: Maxmin, averaged DQN, REDQ (lesson 09).

Lan et al. 2020 (Maxmin Q-learning); Anschel et al. 2017 (Averaged-DQN); Chen et al. 2021 (REDQ).

Differences from the papers: averaged DQN averages members trained side by side, not the last K
copies of one network; REDQ's rule is used with finite actions; where members are not to learn from the
same transitions, each has a random share of one memory (Osband et al. 2016, *Bootstrapped DQN*, Appendix D).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from rlcourse.lab.networks import QNetwork
from rlcourse.lab.optim import Adam
from rlcourse.lab.replay import ReplayBuffer
from rlcourse.lab.seeding import torch_seed

from .dqn import DQN, dqn_loss, dqn_update, taken


def ensemble_target(q_next_ensemble, mode, reward, terminated, gamma, subset=None) -> Tensor:
    r"""$y = r + \gamma(1-d)\max_{a'} \bar Q(s', a')$ with $\bar Q$ over the ensemble, before the max over actions.

    "min": $\min_e Q_e$ (Maxmin); "mean": $\frac1E\sum_e Q_e$ (Averaged-DQN); "subset": the min over the members
    in `subset`, (M,) int64 (REDQ). q_next_ensemble: (E, B, n_actions); reward, terminated: (B,).
    Returns (B,). Raises ValueError for another mode.
    """
    if mode == "min":
        q_next = q_next_ensemble.amin(dim=0)
    elif mode == "mean":
        q_next = q_next_ensemble.mean(dim=0)
    elif mode == "subset":
        q_next = q_next_ensemble[subset].amin(dim=0)
    else:
        raise ValueError(f"mode is 'min', 'mean' or 'subset', not {mode!r}")
    return torch.where(terminated == 1, reward, reward + gamma * q_next.amax(dim=1))


def maxmin_bias(width, n_actions, n_critics) -> float:
    r"""How far $\max_a \min_e Q_e(s, a)$ lies above the truth on average: $w\,(1-2t)$, $t=\prod_{i=1}^{M}\frac{i}{i+1/N}$.

    All M = `n_actions` actions are worth the same, and each of N = `n_critics` is wrong about each by an
    independent error, uniform in (−w, w). Lan et al. 2020, theorem 1, without its γ and with w for its τ.

    width: w ≥ 0; n_actions, n_critics: int ≥ 1. Returns a float in (−w, w).
    """
    t = 1.0
    for i in range(1, n_actions + 1):
        t *= i / (i + 1 / n_critics)
    return width * (1 - 2 * t)


class SharedOut(NamedTuple):
    """A `Batch`, and `mine` (E, B): 1 where the member learns from the transition, else 0."""

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor
    mine: Tensor


class SharedReplay(ReplayBuffer):
    """A memory of which each of `members` sees its own share: which, is drawn when a transition is stored."""

    def __init__(self, capacity, obs_dim, act_dim=None, *, members: int, share: float, seed: int):
        super().__init__(capacity, obs_dim, act_dim)
        self.share, self._rng = share, np.random.default_rng(seed)
        self._mine = np.zeros((capacity, members), np.float32)

    def _write(self, slots, *transition) -> None:
        super()._write(slots, *transition)
        self._mine[slots] = self._rng.random((np.size(slots), self._mine.shape[1])) < self.share

    def rows(self, slots) -> SharedOut:
        return SharedOut(*super().rows(slots), torch.from_numpy(self._mine[slots].T))


class QEnsemble(nn.Module):
    """`size` Q-networks: members(obs) → (E, B, n_actions); called, their mean (B, n_actions)."""

    def __init__(self, size: int, obs_dim: int, n_actions: int, hidden):
        super().__init__()
        self.nets = nn.ModuleList(QNetwork(obs_dim, n_actions, hidden) for _ in range(size))

    def members(self, obs: Tensor) -> Tensor:
        return torch.stack([net(obs) for net in self.nets])

    def forward(self, obs: Tensor) -> Tensor:
        return self.members(obs).mean(dim=0)


@dataclass(eq=False, kw_only=True)
class EnsembleDQN(DQN):
    """DQN whose members share one target made of all of them; acts on the members' mean.

    share: of the transitions, that each member learns from; below 1 its memory is a `SharedReplay`, so that
    members do not all believe in the same lucky rewards.
    """

    size: int = 3
    mode: str = "min"
    subset_size: int = 2
    share: float = 1.0
    ensemble_target: Callable[..., Tensor] = ensemble_target

    def __post_init__(self) -> None:
        super().__post_init__()
        with torch_seed(self.seed):
            self.q_net = QEnsemble(self.size, self.obs_dim, self.n_actions, self.hidden)
        self.target_net = deepcopy(self.q_net).requires_grad_(False)
        self.optimizer = Adam(self.q_net.parameters(), self.learning_rate)
        self.subset: Tensor | None = None

    def make_replay(self, capacity: int) -> ReplayBuffer:
        if self.share == 1.0:
            return super().make_replay(capacity)
        return SharedReplay(
            capacity, self.obs_dim, members=self.size, share=self.share, seed=self.seed
        )

    def update(self, batch, rng=None) -> dict[str, Tensor]:
        """As DQN's; with mode "subset" the members that vote are drawn from `rng` first.

        A `dqn_loss` of one's own is called with the ensembles as q_net and target_net.
        """
        if self.mode == "subset":
            members = rng.choice(self.size, size=self.subset_size, replace=False)
            self.subset = torch.from_numpy(members)
        self.begin_update()
        loss = self.ensemble_loss if self.dqn_loss is dqn_loss else self.dqn_loss
        return {"loss": dqn_update(self, batch, dqn_loss=loss, polyak_update=self.follow)}

    def ensemble_loss(self, q_net, target_net, batch, gamma) -> Tensor:
        """The mean over members, and over the transitions that are theirs, of their Huber loss against the one target."""
        with torch.no_grad():
            y = self.ensemble_target(
                target_net.members(batch.next_obs),
                self.mode,
                batch.reward,
                batch.terminated,
                gamma,
                self.subset,
            )
        q = torch.stack([taken(net(batch.obs), batch.action) for net in q_net.nets])
        if not isinstance(batch, SharedOut):
            return smooth_l1_loss(q, y.expand_as(q))
        losses = batch.mine * smooth_l1_loss(q, y.expand_as(q), reduction="none")
        return losses.sum() / batch.mine.sum().clamp(min=1.0)
