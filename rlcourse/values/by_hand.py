r"""The same steps as `dqn_update` and its kin, with the derivative by hand.

Most of an update of 64 units is bookkeeping: autograd's graph, one weight matrix after the other. Here the
weights are one vector, and the chain rule is written out. Nothing is approximated: the tests hold each
step against the readable one. An agent goes this way by itself while its functions and networks are the
package's own; hand it one of yours and autograd is back.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rlcourse.lab.flat import FlatWeights, linear_parts
from rlcourse.lab.networks import QNetwork


class QByHand:
    r"""A Q-network and its target, linear layers with ReLU between them.

    $z_k = W_k h_{k-1} + b_k$, $h_k = \max(z_k, 0)$; backwards $\partial_{z_k} = 1_{h_k>0}\,\partial_{h_k}$,
    $\partial_{W_k} = \partial_{z_k}^\top h_{k-1}$, $\partial_{b_k} = \sum \partial_{z_k}$,
    $\partial_{h_{k-1}} = \partial_{z_k} W_k$.
    """

    def __init__(self, q_net: QNetwork, target_net: QNetwork, optimizer: torch.optim.Adam) -> None:
        self.online = FlatWeights(linear_parts(q_net.layers), optimizer)
        self.target = FlatWeights(linear_parts(target_net.layers))
        self.weights, self.gradients, self.target_weights = (
            _layers(*args)
            for args in (
                (self.online, self.online.vector),
                (self.online, self.online.gradient),
                (self.target, self.target.vector),
            )
        )

    def fits(self, q_net, target_net, optimizer) -> bool:
        """Whether it was made of these, and they still lie in its memory."""
        return (
            self.online.optimizer is optimizer
            and self.online.holds(linear_parts(q_net.layers))
            and self.target.holds(linear_parts(target_net.layers))
        )

    def q(self, obs: np.ndarray) -> np.ndarray:
        """Q(s, ·) of the online network: obs (N, obs_dim) → (N, n_actions)."""
        with torch.inference_mode():
            return forward(self.weights, torch.as_tensor(obs, dtype=torch.float32))[-1].numpy()

    def step(self, batch, gamma, max_grad_norm, *, double=False, weight: Tensor | None = None):
        r"""One step of $\frac1B \sum_b w_b H_1(Q(s_b, a_b) - y_b)$, y as in `dqn_target` or `double_dqn_target`.

        weight: (B,), 1 without it. Returns the loss before the step, a float, and $y - Q$, (B,) NumPy.
        """
        with torch.inference_mode():
            q_next = forward(self.target_weights, batch.next_obs)[-1].numpy()
            rows = np.arange(len(q_next))
            if double:
                best = forward(self.weights, batch.next_obs)[-1].numpy().argmax(axis=1)
                v_next = q_next[rows, best]
            else:
                v_next = q_next.max(axis=1)
            h = forward(self.weights, batch.obs)
            reward, ended, action = (
                column.numpy() for column in (batch.reward, batch.terminated, batch.action)
            )
            y = reward + np.float32(gamma) * (1 - ended) * v_next
            error = h[-1].numpy()[rows, action] - y
            slope = error.clip(-1, 1)  # Huber's derivative, and slope · (error − slope/2) is Huber
            share = slope / len(y) if weight is None else slope * weight.numpy() / len(y)
            loss = float(share @ (error - slope / 2))

            d_q = torch.zeros_like(h[-1])
            d_q.numpy()[rows, action] = share
            self._backward(batch.obs, h, d_q)
            self.online.clip(max_grad_norm)
            self.online.adam()
        return loss, -error

    def _backward(self, obs: Tensor, h: list[Tensor], d: Tensor) -> None:
        """∂loss/∂Q → `gradients`."""
        inputs = [obs, *h[:-1]]
        for k in reversed(range(len(h))):
            (w, _), (dw, db) = self.weights[k], self.gradients[k]
            torch.mm(d.T, inputs[k], out=dw)
            torch.sum(d, dim=0, out=db)
            if k:
                d = torch.ops.aten.threshold_backward(torch.mm(d, w), inputs[k], 0)

    def follow(self, rho: float) -> None:
        """`polyak_update` of the two vectors."""
        with torch.inference_mode():
            self.target.vector.lerp_(self.online.vector, 1 - rho)


def forward(weights, obs: Tensor) -> list[Tensor]:
    """What every layer makes of obs (B, obs_dim), the last Q(s, ·) (B, n_actions)."""
    h = []
    for w, b in weights:
        z = torch.addmm(b, h[-1].relu_() if h else obs, w.T)
        h.append(z)
    return h


def _layers(flat: FlatWeights, vector: Tensor) -> list[tuple[Tensor, Tensor]]:
    parts = flat.split(vector)
    return list(zip(parts[::2], parts[1::2], strict=True))
