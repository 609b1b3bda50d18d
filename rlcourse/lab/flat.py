"""The weights of small networks as one vector, for agents that write their derivative out by hand.

With 64 units an optimiser spends its time on going from one weight matrix to the next, not on numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


def linear_parts(layers: nn.Sequential) -> list[nn.Parameter]:
    """Weight and bias of every other layer, the linear ones of `rlcourse.lab.networks.mlp`."""
    # Not layers.parameters(), nor layers[::2]: the one searches, the other builds a new Sequential.
    linear = tuple(layers._modules.values())[::2]
    return [layer._parameters[name] for layer in linear for name in ("weight", "bias")]


class FlatWeights:
    r"""Parameters side by side in `vector`, their `gradient` in another, and Adam on both.

    $m \leftarrow \beta_1 m + (1-\beta_1) g$, $v \leftarrow \beta_2 v + (1-\beta_2) g^2$,
    $\theta \leftarrow \theta - \alpha\,\hat m / (\sqrt{\hat v} + \epsilon)$ — Kingma & Ba 2015, algorithm 1.

    The memory of the parameters moves into `vector`, that of the optimiser's moments into `m` and `v`: a
    step of `adam` and one of `optimizer` are the same, and may take turns. optimizer: a
    torch.optim.Adam over these parameters, or None for weights that none moves.
    """

    def __init__(self, parts: Sequence[nn.Parameter], optimizer: torch.optim.Adam | None = None):
        self.parts, self.optimizer = list(parts), optimizer
        self.vector = torch.cat([part.detach().flatten() for part in self.parts])
        self.gradient, self.m, self.v = (torch.zeros_like(self.vector) for _ in range(3))
        self.steps = torch.zeros(len(self.parts))
        pieces = [self.split(x) for x in (self.vector, self.m, self.v)]
        for part, step, weight, m, v in zip(self.parts, self.steps, *pieces, strict=True):
            part.data = weight
            if optimizer is None:
                continue
            before = optimizer.state[part]
            if before:
                step.copy_(before["step"]), m.copy_(before["exp_avg"])
                v.copy_(before["exp_avg_sq"])
            before.update(step=step, exp_avg=m, exp_avg_sq=v)

    def split(self, vector: Tensor) -> list[Tensor]:
        """Views of a vector as long as all weights, one shaped like each of the parameters."""
        pieces = vector.split([part.numel() for part in self.parts])
        return [piece.view(part.shape) for piece, part in zip(pieces, self.parts, strict=True)]

    def holds(self, parts: Sequence[nn.Parameter]) -> bool:
        """Whether these are the parameters, and their memory is still the vector (a deep copy's is not)."""
        address, size = self.vector.data_ptr(), self.vector.element_size()
        for part, own in zip(parts, self.parts, strict=True):
            if part is not own or part.data_ptr() != address:
                return False
            address += size * part.numel()
        return True

    def clip(self, max_grad_norm: float) -> None:
        """Scale the gradient to that norm if it is longer, as `clip_grad_norm_` does."""
        g = self.gradient.numpy()
        norm = math.sqrt(g @ g)
        if norm > max_grad_norm:
            g *= max_grad_norm / (norm + 1e-6)

    def adam(self) -> None:
        """One step with the optimiser's settings."""
        settings = self.optimizer.param_groups[0]
        lr, (beta_1, beta_2), eps = settings["lr"], settings["betas"], settings["eps"]
        w, g, m, v = (x.numpy() for x in (self.vector, self.gradient, self.m, self.v))
        self.steps += 1
        t = float(self.steps[0])
        m += (1 - beta_1) * (g - m)
        v += (1 - beta_2) * (g * g - v)
        spread = np.sqrt(v)
        spread *= 1 / math.sqrt(1 - beta_2**t)
        spread += eps
        np.divide(m, spread, out=spread)
        spread *= lr / (1 - beta_1**t)
        w -= spread
