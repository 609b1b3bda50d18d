"""A step down the gradient, for every agent and whoever's functions it trains with.

With 64 units most of an update is bookkeeping, not numbers. What can be left out without touching an
equation is left out here, once: for the reference and for a student's functions alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress
from typing import Any

import torch
from torch import Tensor, nn


class Adam:
    r"""$m \leftarrow \beta_1 m + (1-\beta_1) g$, $v \leftarrow \beta_2 v + (1-\beta_2) g^2$,
    $\theta \leftarrow \theta - \alpha\,\hat m / (\sqrt{\hat v} + \epsilon)$ — Kingma & Ba 2015, algorithm 1.

    The numbers are those of `torch.optim.Adam(weights, lr, fused=True)`, whose kernel this calls; what it
    leaves out are closures, hooks, profiling, and the seconds that the first optimiser of torch's
    spends on importing a compiler. `zero_grad`, `step` and `param_groups` are all that is used here of an
    optimiser, so any of torch's can stand in its place.

    weights: leaves that want gradients; lr: α, may be changed in `param_groups[0]["lr"]`; betas, eps: as
    in the paper. Raises ValueError if there are no weights.
    """

    def __init__(
        self,
        weights: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        weights = list(weights)
        if not weights:
            raise ValueError("An optimiser needs weights to move.")
        self.param_groups: list[dict[str, Any]] = [
            {"params": weights, "lr": lr, "betas": betas, "eps": eps}
        ]
        self.m, self.v = ([torch.zeros_like(w) for w in weights] for _ in range(2))
        self.t = torch.zeros(len(weights))  # steps of every weight

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients; or fill them with zeros."""
        for w in self.param_groups[0]["params"]:
            if set_to_none:
                w.grad = None
            elif w.grad is not None:
                w.grad = torch.zeros_like(w.grad)

    @torch.no_grad()
    def step(self) -> None:
        """One step of every weight that has a gradient."""
        group = self.param_groups[0]
        weights, m, v, t = group["params"], self.m, self.v, self.t
        gradients = [w.grad for w in weights]
        has = [g is not None for g in gradients]
        if not any(has):
            return
        if all(has):
            t += 1
            t = t.unbind()
        else:
            t += torch.tensor(has)
            weights, gradients, m, v, t = (
                list(compress(column, has)) for column in (weights, gradients, m, v, t.unbind())
            )
        beta_1, beta_2 = group["betas"]
        # torch.optim.adam.adam is this call with half as much again around it.
        torch._fused_adam_(weights, gradients, m, v, [], t, lr=group["lr"], beta1=beta_1,
                           beta2=beta_2, eps=group["eps"], weight_decay=0.0, amsgrad=False,
                           maximize=False)  # fmt: skip


def weights_of(*networks: nn.Module) -> list[nn.Parameter]:
    """All weights of these networks, in order."""
    return [w for network in networks for w in network.parameters()]


def clip_gradient(weights: Iterable[Tensor], max_norm: float) -> None:
    r"""$g \leftarrow g \cdot \min(1,\; c / \|g\|)$ of all gradients as one vector, in place.

    What `torch.nn.utils.clip_grad_norm_` does, sooner for small networks on the CPU. max_norm: c > 0.
    """
    gradients = [w.grad for w in weights if w.grad is not None]
    if not gradients:
        return
    norm = float(torch.stack(torch._foreach_norm(gradients)).norm())
    if norm > max_norm:
        torch._foreach_mul_(gradients, max_norm / (norm + 1e-6))


def descend(optimizer: Any, loss: Tensor, max_grad_norm: float | None = None) -> None:
    """One step down the gradient of `loss`, whatever the gradients were before.

    max_grad_norm: to which the joint gradient of all of the optimiser's weights is cut; None: it is not.
    """
    optimizer.zero_grad()
    loss.backward()
    if max_grad_norm is not None:
        groups = optimizer.param_groups
        clip_gradient([w for group in groups for w in group["params"]], max_grad_norm)
    optimizer.step()
