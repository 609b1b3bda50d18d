r"""Prioritised experience replay: what surprises is seen again sooner (lesson 09).

Schaul et al. 2016, *Prioritized experience replay*, Algorithm 1, proportional variant.

Differences from the paper: plain DQN's target instead of double DQN's (hand `per_dqn_loss` another to
have it); the weight multiplies the Huber loss instead of a clipped error; the maximum that weights are
divided by is the batch's; β rises with the number of updates; the hyperparameters are small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from rlcourse.lab.replay import ReplayBuffer

from .dqn import DQN, dqn_target, dqn_update, taken

# --- the equations ------------------------------------------------------------------------------


def priority_probabilities(td_error, exponent, eps) -> Tensor:
    r"""$P_i = p_i^\alpha / \sum_k p_k^\alpha$ with $p_i = |\delta_i| + \epsilon$ — Schaul et al. 2016, eq. 1.

    td_error: (n,); exponent α ≥ 0, 0 is uniform; eps > 0. Returns (n,), sums to 1.
    """
    priority = (td_error.abs() + eps) ** exponent
    return priority / priority.sum()


def importance_weights(prob, n, beta) -> Tensor:
    r"""$w_i = (n P_i)^{-\beta} / \max_j (n P_j)^{-\beta}$ — Schaul et al. 2016, §3.4; max over the batch given.

    prob: (B,) > 0; n: transitions in the buffer; beta: in [0, 1]. Returns (B,), the largest is 1.
    """
    weight = (n * prob) ** -beta
    return weight / weight.max()


def per_dqn_loss(q_net, target_net, batch, weight, gamma) -> tuple[Tensor, Tensor]:
    r"""$\frac1B \sum_b w_b\,H_1(Q_\phi(s_b,a_b) - y_b)$ and $y - Q$ — Schaul et al. 2016, Algorithm 1.

    weight: (B,), y as in `dqn_target`. Returns a scalar with a gradient for `q_net` only, and the
    signed errors (B,), detached: the new priorities are their magnitudes.
    """
    with torch.no_grad():
        y = dqn_target(batch.reward, target_net(batch.next_obs), batch.terminated, gamma)
    q = taken(q_net(batch.obs), batch.action)
    loss = (weight * smooth_l1_loss(q, y, reduction="none")).mean()
    return loss, (y - q).detach()


class SumTree:
    """Priorities as the leaves of a binary tree of sums: set and find in O(log n) — Schaul et al. 2016, B.2.1.

    Node i has the children 2i and 2i+1, node 1 is the root, leaf j is node `leaves` + j; the number of
    leaves is padded to a power of two, or they would not lie in order. `set` and `find` take one index
    or mass, or (B,) arrays of them.
    """

    def __init__(self, capacity: int):
        if capacity < 1:
            raise ValueError(f"A sum tree needs a leaf; capacity is {capacity}.")
        self.capacity = capacity
        self._depth = (capacity - 1).bit_length()
        self._leaves = 1 << self._depth
        self._sums = np.zeros(2 * self._leaves)

    def set(self, index, priority) -> None:
        """Replace the priorities (≥ 0) of these leaves, and the sums above them; of repeated ones the last counts."""
        node = np.atleast_1d(index) + self._leaves
        self._sums[node] = priority
        for _ in range(self._depth):
            node = node >> 1
            self._sums[node] = self._sums[2 * node] + self._sums[2 * node + 1]

    def get(self, index) -> np.ndarray:
        """The priorities of these leaves."""
        return self._sums[np.asarray(index) + self._leaves]

    def total(self) -> float:
        """The sum of all priorities."""
        return float(self._sums[1])

    def find(self, mass):
        """The smallest i with p_0 + … + p_i > mass, for 0 ≤ mass < total: an int, or (B,) of them."""
        left_over = np.atleast_1d(np.asarray(mass, dtype=np.float64)).copy()
        node = np.ones(left_over.shape, dtype=np.int64)
        for _ in range(self._depth):
            node = 2 * node
            left = self._sums[node]
            # Rounding may leave a mass beyond a branch that is empty on the right: stay on the left.
            right = (left_over >= left) & (self._sums[node + 1] > 0)
            left_over -= np.where(right, left, 0.0)
            node = node + right
        index = node - self._leaves
        return int(index[0]) if np.ndim(mass) == 0 else index


# --- the memory and the agent -------------------------------------------------------------------


class PrioritisedBatch(NamedTuple):
    """A `Batch`, with the slots it came from and the probabilities they were drawn with, (B,) each."""

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor
    slot: np.ndarray
    prob: Tensor


class PrioritisedReplay(ReplayBuffer):
    """A replay buffer that draws slot i with probability p_i^α / Σ p_k^α; new ones get the largest p so far."""

    def __init__(self, capacity, obs_dim, act_dim=None, exponent: float = 0.6, eps: float = 1e-2):
        super().__init__(capacity, obs_dim, act_dim)
        self.exponent, self.eps, self.max_priority = exponent, eps, 1.0
        self._tree = SumTree(capacity)

    def _write(self, slots, *transition) -> None:
        super()._write(slots, *transition)
        self._tree.set(slots, self.max_priority**self.exponent)

    def sample(self, batch_size, rng) -> PrioritisedBatch:
        """One draw from each of B equal slices of the total mass (Algorithm 1's stratification)."""
        if not self.added:
            raise ValueError("The replay buffer is empty: add transitions before sampling.")
        total = self._tree.total()
        mass = (np.arange(batch_size) + rng.random(batch_size)) * (total / batch_size)
        slot = self._tree.find(mass)
        prob = torch.from_numpy((self._tree.get(slot) / total).astype(np.float32))
        return PrioritisedBatch(*self.rows(slot), slot, prob)

    def set_errors(self, slot: np.ndarray, td_error: np.ndarray) -> None:
        """New priorities p = |δ| + ε for these slots."""
        priority = np.abs(td_error) + self.eps
        self.max_priority = max(self.max_priority, float(priority.max()))
        self._tree.set(slot, priority**self.exponent)


@dataclass(eq=False, kw_only=True)
class PERDQN(DQN):
    """DQN on prioritised replay: draw by priority, weigh the loss, give the drawn their new priorities."""

    exponent: float = 0.6
    priority_eps: float = 1e-2
    beta_start: float = 0.4
    beta_steps: int = 25_000
    importance_weights: Callable[..., Tensor] = importance_weights
    per_dqn_loss: Callable[..., tuple[Tensor, Tensor]] = per_dqn_loss

    def make_replay(self, capacity: int) -> PrioritisedReplay:
        self.replay = PrioritisedReplay(
            capacity, self.obs_dim, exponent=self.exponent, eps=self.priority_eps
        )
        return self.replay

    def update(self, batch: PrioritisedBatch, rng=None) -> dict[str, Tensor]:
        """Algorithm 1, lines 9–15: weights, weighted step, new priorities."""
        self.begin_update()
        beta = min(self.beta_start + (1 - self.beta_start) * self.updates / self.beta_steps, 1.0)
        weight = self.importance_weights(batch.prob, len(self.replay), beta)
        errors = []

        def weighted_loss(q_net, target_net, batch, gamma):
            loss, td_error = self.per_dqn_loss(q_net, target_net, batch, weight, gamma)
            errors.append(td_error)
            return loss

        loss = dqn_update(self, batch, dqn_loss=weighted_loss, polyak_update=self.follow)
        self.replay.set_errors(batch.slot, errors[0].numpy())
        return {"loss": loss}
