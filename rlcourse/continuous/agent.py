"""What the agents of this room share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """One step down the gradient of `loss`, whatever the gradients were before."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
