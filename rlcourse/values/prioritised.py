r"""Prioritised experience replay: what surprises is seen again sooner (lesson 09).

Schaul et al. 2016, *Prioritized experience replay*, Algorithm 1, proportional variant.

Differences from the paper: plain DQN's target instead of double DQN's (hand `per_dqn_loss` another to
have it); the weight multiplies the Huber loss instead of a clipped error; the maximum that weights are
divided by is the batch's; β rises with the number of updates; the hyperparameters are small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from rlcourse.lab.replay import ReplayBuffer

from .dqn import DQN, dqn_target, dqn_update, taken

# --- the equations ------------------------------------------------------------------------------


def prioritise(td_error, drawn, exponent, eps, beta) -> tuple[Tensor, Tensor]:
    r"""$P_i = p_i^\alpha / \sum_k p_k^\alpha$, $p_i = |\delta_i| + \epsilon$, and $w_j = (n P_{i_j})^{-\beta} / \max_k (n P_{i_k})^{-\beta}$.

    Schaul et al. 2016, eq. 1 (proportional) and §3.4; the maximum is over the batch.

    td_error: (n,), of all transitions in the memory; drawn: (B,) int64, the slots of a batch; exponent α ≥ 0, 0 is
    uniform; eps > 0; beta in [0, 1]. Returns (n,), which sums to 1, and (B,), of which the largest is 1.
    """
    priority = (td_error.abs() + eps) ** exponent
    prob = priority / priority.sum()
    weight = (len(prob) * prob[drawn]) ** -beta
    return prob, weight / weight.max()


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
    """A `Batch`, with the slots it came from and the errors that these were drawn for, (B,) each."""

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor
    slot: np.ndarray
    td_error: Tensor


class OneByOne:
    """Gives a tree whose `set` and `find` take one index, one mass, several of them in turn."""

    def __init__(self, tree: Any):
        self.tree = tree

    def set(self, index, priority) -> None:
        pairs = np.broadcast_arrays(np.atleast_1d(index), np.atleast_1d(priority))
        for i, p in zip(*(column.tolist() for column in pairs), strict=True):
            self.tree.set(i, p)

    def total(self) -> float:
        return float(self.tree.total())

    def find(self, mass: np.ndarray) -> np.ndarray:
        return np.array([int(self.tree.find(m)) for m in mass.tolist()])


class PrioritisedReplay(ReplayBuffer):
    """A replay buffer that draws slot i with probability p_i^α / Σ p_k^α; new ones get the largest |δ| so far.

    The tree holds p^α in units of that of an error of 1: two calls of `prioritise`, with a few errors each, say all
    that is needed, for the sum over the whole memory is the tree's and cancels in the weights. tree: makes one
    from the capacity, with `set`, `total`, `find`.
    """

    def __init__(
        self, capacity, obs_dim, act_dim=None, exponent: float = 0.6, eps: float = 1e-2,
        tree: Callable[[int], Any] = SumTree, prioritise: Callable[..., tuple[Tensor, Tensor]] = prioritise,
    ):  # fmt: skip
        super().__init__(capacity, obs_dim, act_dim)
        self.exponent, self.eps, self.prioritise = exponent, eps, prioritise
        self.largest_error = 1.0
        self._errors = np.zeros(capacity, np.float32)
        made = tree(capacity)
        self._tree = made if isinstance(made, SumTree) else OneByOne(made)

    def _write(self, slots, *transition) -> None:
        super()._write(slots, *transition)
        slots = np.atleast_1d(slots)
        self.set_errors(slots, np.full(len(slots), self.largest_error, np.float32))

    def sample(self, batch_size, rng) -> PrioritisedBatch:
        """One draw from each of B equal slices of the total mass (Algorithm 1's stratification)."""
        if not self.added:
            raise ValueError("The replay buffer is empty: add transitions before sampling.")
        slice_ = self._tree.total() / batch_size
        slot = self._tree.find((np.arange(batch_size) + rng.random(batch_size)) * slice_)
        slot = np.minimum(slot, len(self) - 1)  # what rounding finds beyond the last one
        return PrioritisedBatch(*self.rows(slot), slot, torch.from_numpy(self._errors[slot]))

    def weights(self, batch: PrioritisedBatch, beta: float) -> Tensor:
        """The importance weights of a batch, (B,)."""
        everyone = torch.arange(len(batch.slot))
        return self.prioritise(batch.td_error, everyone, self.exponent, self.eps, beta)[1]

    def set_errors(self, slot: np.ndarray, td_error: np.ndarray) -> None:
        """New errors δ for these slots, and so new priorities."""
        self._errors[slot] = td_error
        self.largest_error = max(self.largest_error, float(np.abs(td_error).max()))
        with_one = torch.from_numpy(np.append(td_error, 1.0).astype(np.float32))
        prob, _ = self.prioritise(with_one, torch.zeros(1, dtype=torch.int64), self.exponent, self.eps, 0.0)  # fmt: skip
        prob = prob.double().numpy()
        self._tree.set(slot, prob[:-1] / prob[-1])


@dataclass(eq=False, kw_only=True)
class PERDQN(DQN):
    """DQN on prioritised replay: draw by priority, weigh the loss, give the drawn their new priorities."""

    exponent: float = 0.6
    priority_eps: float = 1e-2
    beta_start: float = 0.4
    beta_steps: int = 25_000
    tree: Callable[[int], Any] = SumTree
    prioritise: Callable[..., tuple[Tensor, Tensor]] = prioritise
    per_dqn_loss: Callable[..., tuple[Tensor, Tensor]] = per_dqn_loss

    def make_replay(self, capacity: int) -> PrioritisedReplay:
        self.replay = PrioritisedReplay(
            capacity, self.obs_dim, exponent=self.exponent, eps=self.priority_eps,
            tree=self.tree, prioritise=self.prioritise,
        )  # fmt: skip
        return self.replay

    def update(self, batch: PrioritisedBatch, rng=None) -> dict[str, Tensor]:
        """Algorithm 1, lines 9–15: weights, weighted step, new priorities."""
        self.begin_update()
        beta = min(self.beta_start + (1 - self.beta_start) * self.updates / self.beta_steps, 1.0)
        weight = self.replay.weights(batch, beta)
        errors = []

        def weighted_loss(q_net, target_net, batch, gamma):
            loss, td_error = self.per_dqn_loss(q_net, target_net, batch, weight, gamma)
            errors.append(td_error)
            return loss

        loss = dqn_update(self, batch, dqn_loss=weighted_loss, polyak_update=self.follow)
        self.replay.set_errors(batch.slot, errors[0].numpy())
        return {"loss": loss}
