"""The same steps as `a2c_update`, `ppo_update` and `ppo_kl_update`, with the derivative by hand.

For networks of 64 units most of an update is bookkeeping: a node in autograd's graph for every
operation, an entry of the optimiser for every weight matrix. Here the policy and the value network are
one vector of weights, both go through a layer in one product, and the chain rule is written out. Nothing
is approximated: the tests hold each step against the readable update. An agent takes this way
by itself where its functions are the package's own; hand it one of yours and autograd is back.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from rlcourse.lab.flat import FlatWeights, linear_parts


class Joint:
    r"""Two tanh networks of equal hidden sizes, obs → … → n and obs → … → 1, side by side.

    Layer by layer $h_0 = s$, $z_k = W_k h_{k-1} + b_k$, $h_k = \tanh z_k$; backwards
    $\partial_{z_k} = (1-h_k^2)\,\partial_{h_k}$, $\partial_{W_k} = \sum \partial_{z_k} h_{k-1}^\top$,
    $\partial_{b_k} = \sum \partial_{z_k}$, $\partial_{h_{k-1}} = W_k^\top \partial_{z_k}$.

    policy, v_net: linear layers with tanh between them; optimizer: Adam over both. The memory of the
    weights moves into `flat`; `flat.gradient` is that of the last `backward`.
    """

    def __init__(self, policy: nn.Sequential, v_net: nn.Sequential, optimizer) -> None:
        self.flat = FlatWeights(self._parts(policy, v_net), optimizer)
        n_layers = len(linear_parts(policy)) // 2
        self.weights = _layers(self.flat, self.flat.vector, n_layers)
        self.gradients = _layers(self.flat, self.flat.gradient, n_layers)

    @staticmethod
    def _parts(policy: nn.Sequential, v_net: nn.Sequential) -> list[nn.Parameter]:
        """Layer by layer: both networks' parts of it lie next to each other, one product serves both."""
        ours, theirs = linear_parts(policy), linear_parts(v_net)
        by_layer = zip(ours[::2], theirs[::2], ours[1::2], theirs[1::2], strict=True)
        return [part for layer in by_layer for part in layer]

    def fits(self, policy: nn.Sequential, v_net: nn.Sequential, optimizer) -> bool:
        """Whether it was made of these, and they still lie in its memory."""
        return self.flat.optimizer is optimizer and self.flat.holds(self._parts(policy, v_net))

    def forward(self, obs: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """obs (B, obs_dim) → outputs of the policy (B, n) and values (B,)."""
        *hidden, (w_pi, b_pi), (w_v, b_v) = self.weights
        self.h = [obs.expand(2, *obs.shape)]
        for w, b in hidden:
            z = torch.baddbmm(b, self.h[-1], w.mT)
            np.tanh(z.numpy(), out=z.numpy())  # several times as fast as torch's
            self.h.append(z)
        h_pi, h_v = self.h[-1]
        output, value = torch.addmm(b_pi, h_pi, w_pi.T), torch.addmm(b_v, h_v, w_v.T)
        return output.numpy(), value.numpy()[:, 0]

    def backward(self, d_output: np.ndarray, d_value: np.ndarray) -> None:
        """∂loss/∂outputs (B, n) and ∂loss/∂values (B,) of the last `forward` → `gradient`."""
        h, (*hidden, (w_pi, _), (w_v, _)) = self.h, self.weights
        *d_hidden, (dw_pi, db_pi), (dw_v, db_v) = self.gradients
        d_pi, d_v = torch.from_numpy(d_output), torch.from_numpy(d_value[:, None])
        d_h = torch.empty_like(h[-1])
        torch.mm(d_pi, w_pi, out=d_h[0])
        torch.mm(d_v, w_v, out=d_h[1])
        torch.mm(d_pi.T, h[-1][0], out=dw_pi)
        torch.mm(d_v.T, h[-1][1], out=dw_v)
        db_pi.copy_(torch.from_numpy(d_output.sum(axis=0)))
        db_v.fill_(float(d_value.sum()))
        for k in reversed(range(len(hidden))):
            d_z = torch.ops.aten.tanh_backward(d_h, h[k + 1])
            dw, db = d_hidden[k]
            torch.bmm(d_z.mT, h[k], out=dw)
            torch.sum(d_z, dim=1, keepdim=True, out=db)
            if k:
                d_h = torch.bmm(d_z, hidden[k][0])


def _layers(flat: FlatWeights, vector: Tensor, n_layers: int) -> list[tuple[Tensor, Tensor]]:
    """(W, b) of both networks for each hidden layer, then the policy's last and the critic's."""
    parts = flat.split(vector)
    layers, start = [], 0
    for k in range(n_layers - 1):
        w, b = parts[4 * k], parts[4 * k + 2].numel()
        middle, end = start + 2 * w.numel(), start + 2 * (w.numel() + b)
        layers.append((vector[start:middle].view(2, *w.shape), vector[middle:end].view(2, 1, b)))
        start = end
    w_pi, w_v, b_pi, b_v = parts[-4:]
    return [*layers, (w_pi, b_pi), (w_v, b_v)]


class Softmax:
    """What a step needs of softmaxes with these logits (B, A), in NumPy."""

    def __init__(self, logits: np.ndarray, action: np.ndarray) -> None:
        shifted = logits - logits.max(axis=1, keepdims=True)
        self.log_pi = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.pi, self.rows, self.action = np.exp(self.log_pi), np.arange(len(logits)), action
        self.log_prob = self.log_pi[self.rows, action]

    def entropy(self) -> np.ndarray:
        return -(self.pi * self.log_pi).sum(axis=1)

    def pull(self, slope: np.ndarray) -> np.ndarray:
        """Σ slope · ∂log π(a): slope_b (e_a − π), (B, A)."""
        d = -slope[:, None] * self.pi
        d[self.rows, self.action] += slope
        return d

    def pull_entropy(self) -> np.ndarray:
        """∂H/∂h = −π (log π + H)."""
        return -self.pi * (self.log_pi + self.entropy()[:, None])

    def kl_from(self, old: Softmax) -> np.ndarray:
        return (old.pi * (old.log_pi - self.log_pi)).sum(axis=1)

    def pull_kl_from(self, old: Softmax) -> np.ndarray:
        """∂KL(old‖π)/∂h = π − π_old."""
        return self.pi - old.pi


# A surrogate gives its loss, ∂loss/∂log π(a) of each row, and what reaches the logits another way.
Surrogate = Callable[[Softmax], tuple[float, np.ndarray, np.ndarray | float]]


def plain_surrogate(pi: Softmax, adv: np.ndarray):
    """−mean log π · A, the first term of `a2c_loss`."""
    return -float((pi.log_prob * adv).mean()), -adv / len(adv), 0.0


def clip_surrogate(pi: Softmax, log_prob_old: np.ndarray, adv: np.ndarray, clip: float):
    """`ppo_clip_loss`: a row beyond the border on the side its advantage pulls to has no slope."""
    ratio = np.exp(pi.log_prob - log_prob_old)
    weighed = ratio * adv
    beyond = np.where(adv > 0, ratio > 1 + clip, ratio < 1 - clip)
    loss = -np.minimum(weighed, ratio.clip(1 - clip, 1 + clip) * adv).mean()
    return float(loss), np.where(beyond, np.float32(0), -weighed / len(adv)), 0.0


def kl_surrogate(pi: Softmax, log_prob_old: np.ndarray, adv: np.ndarray, old: Softmax, coef: float):
    """`ppo_kl_loss`."""
    weighed = np.exp(pi.log_prob - log_prob_old) * adv
    loss = coef * pi.kl_from(old).mean() - weighed.mean()
    return float(loss), -weighed / len(adv), coef / len(adv) * pi.pull_kl_from(old)


def step(
    agent, obs: Tensor, action: np.ndarray, returns: np.ndarray, surrogate: Surrogate
) -> float:
    """One minibatch: surrogate + c_v · ½ mean (R − V)² − c_e · mean entropy; returns that loss."""
    joint, n = agent.joint, len(action)
    with torch.no_grad():
        logits, value = joint.forward(obs)
        pi, error = Softmax(logits, action), value - returns
        loss, slope, d_logits = surrogate(pi)
        d_logits = d_logits + pi.pull(slope)
        loss += agent.value_coef * 0.5 * float((error * error).mean())
        if agent.entropy_coef:
            loss -= agent.entropy_coef * float(pi.entropy().mean())
            d_logits -= agent.entropy_coef / n * pi.pull_entropy()
        joint.backward(d_logits, agent.value_coef / n * error)
    if agent.max_grad_norm is not None:
        joint.flat.clip(agent.max_grad_norm)
    joint.flat.adam()
    return loss


def minibatch_steps(agent, batch, rng: np.random.Generator, surrogate) -> Tensor:
    """The epochs of `ppo_update`, drawing the same permutations; surrogate(pi, rows of the batch)."""
    obs, action, log_prob_old, adv, returns = (column.numpy() for column in batch)
    losses = []
    for _ in range(agent.epochs):
        order = rng.permutation(len(adv))
        for start in range(0, len(adv), agent.minibatch_size):
            rows = order[start : start + agent.minibatch_size]

            def of_rows(pi: Softmax, rows=rows):
                return surrogate(pi, rows, log_prob_old[rows], adv[rows])

            losses.append(
                step(agent, torch.from_numpy(obs[rows]), action[rows], returns[rows], of_rows)
            )
    return torch.tensor(losses)
