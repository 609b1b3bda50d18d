"""A regression with PyTorch, step by step: the primer of lesson 08."""

from __future__ import annotations

from torch import Tensor


def training_step(net, optimizer, x, y) -> Tensor:
    r"""One step of the optimiser on $\frac1B \sum_b (f_\theta(x_b) - y_b)^2$, in place (lesson 08, (8.3)).

    net: (B, n) → (B, 1); x: (B, n); y: (B,). Returns the loss before the step, 0-d and detached.
    """
    loss = (net(x).squeeze(1) - y).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()
