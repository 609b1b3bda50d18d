"""How near an update comes to its matrix products, without which there is none.

The limit of one SAC update: the products of its forward and backward passes, bare, one after the other,
into memory that is there already. What the update needs beyond that time is what its code costs:
activations, losses, optimisers, Polyak, the bookkeeping of autograd and of Python.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median

import numpy as np
import torch

from rlcourse.continuous.sac import SAC
from rlcourse.lab.replay import Batch

OBS_DIM, ACT_DIM, HIDDEN, BATCH_SIZE = 3, 1, (256, 256), 256  # Pendulum-v1's
ROUNDS, REPEATS = 20, 20


def products(sizes: Sequence[int], *, weights: bool = False, inputs: str = "none"):
    """The products of a pass through linear layers, as (kind, n_in, n_out).

    forward x Wᵀ (B, n_out) for every layer; with `weights` also dW = dyᵀ x; inputs: "none", "hidden"
    (dx = dy W of all layers but the first, what a loss of one's own needs) or "all".
    """
    layers = list(pairwise(sizes))
    backward = {"none": [], "hidden": layers[1:], "all": layers}[inputs]
    return [
        *(("forward", *layer) for layer in layers),
        *(("input", *layer) for layer in backward),
        *(("weight", *layer) for layer in (layers if weights else [])),
    ]


def sac_products(obs_dim: int, act_dim: int, hidden: Sequence[int]):
    """The products of `rlcourse.continuous.sac.sac_update`, in its order."""
    policy, critic = [obs_dim, *hidden, 2 * act_dim], [obs_dim + act_dim, *hidden, 1]
    return [
        *products(policy),  # ã' at s'
        *products(critic) * 2,  # target critics
        *products(critic, weights=True, inputs="hidden") * 2,  # critics and their step
        *products(policy, weights=True, inputs="hidden"),  # ã at s, and the policy's step
        *products(critic, inputs="all") * 2,  # its value, and the way back through the critics
    ]


def multiplications(shapes, batch_size: int) -> int:
    """Multiply-adds of these products: batch · n_in · n_out each, whichever of the three it is."""
    return sum(batch_size * n_in * n_out for _, n_in, n_out in shapes)


def bare(shapes, batch_size: int) -> Callable[[], None]:
    """A function that does these products and nothing else."""
    generator = torch.Generator().manual_seed(0)
    calls = []
    for kind, n_in, n_out in shapes:
        x, dy, w = (
            torch.randn(shape, generator=generator)
            for shape in ((batch_size, n_in), (batch_size, n_out), (n_out, n_in))
        )
        left, right = {"forward": (x, w.T), "input": (dy, w), "weight": (dy.T, x)}[kind]
        calls.append((left, right, torch.empty(len(left), right.shape[1])))

    def run() -> None:
        for left, right, out in calls:
            torch.mm(left, right, out=out)

    return run


def one_update() -> Callable[[], None]:
    """A function that makes one update of SAC on a batch of random rows."""
    rng = np.random.default_rng(0)
    agent = SAC(OBS_DIM, [-2.0] * ACT_DIM, [2.0] * ACT_DIM, hidden=HIDDEN)

    def normal(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))

    action = normal(BATCH_SIZE, ACT_DIM).clamp(-2, 2)
    obs, next_obs = normal(2, BATCH_SIZE, OBS_DIM)
    batch = Batch(obs, action, normal(BATCH_SIZE), next_obs, torch.zeros(BATCH_SIZE))
    return lambda: agent.update(batch, rng)


def measure() -> dict[str, float]:
    """CPU milliseconds of one update and of its bare products, and the share: medians over rounds.

    The two are timed in turns of a few milliseconds, so that whatever else the machine does hits both.
    """
    bare_products = bare(sac_products(OBS_DIM, ACT_DIM, HIDDEN), BATCH_SIZE)
    update = one_update()
    times = []
    for _ in range(ROUNDS + 3):
        times.append((_milliseconds(bare_products), _milliseconds(update)))
    times = times[3:]
    return {
        "products_ms": median(p for p, _ in times),
        "update_ms": median(u for _, u in times),
        "share": median(p / u for p, u in times),
    }


def _milliseconds(call: Callable[[], None]) -> float:
    began = time.process_time()
    for _ in range(REPEATS):
        call()
    return 1e3 * (time.process_time() - began) / REPEATS
