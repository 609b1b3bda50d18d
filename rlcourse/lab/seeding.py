"""Randomness from one seed, and one thread where the networks are small.

Every draw of an experiment comes from a generator that was made here, so the same seed gives the
same numbers: exploration, replay, the environments' starts and the networks' first weights each have
a stream of their own, and more of one does not shift another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def generators(seed: int, n: int) -> list[np.random.Generator]:
    """n independent generators from one seed (`SeedSequence.spawn`): same seed, same streams."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(n)]


@contextmanager
def torch_seed(seed: int) -> Iterator[None]:
    """Inside, torch draws from `seed`; outside, its global generator goes on as if nothing had been.

    For what torch draws without being given a generator: the first weights of a layer.
    """
    before = torch.get_rng_state()
    # Not `torch.manual_seed`, which writes a stack trace each time and seeds devices that are not used.
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch uses one thread: a product of 64 × 64 numbers is over before a second one wakes up.

    On a laptop with few cores two threads made such networks up to ten times slower, and sums
    that are split between threads need not come out the same twice.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
