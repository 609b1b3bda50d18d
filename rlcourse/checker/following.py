"""A network that follows another: read off the weights before and after an update.

A moving average, θ' ← ρ θ' + (1 − ρ) θ, leaves its trace in the report of `updates`: the slow weights
have moved along the line to other weights. Whose, whether those of before or after their own
step, and how far, says what was wrong with an average that no exercise of its own asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

FEWEST = 5  # Of very few weights every step lies near some line.


@dataclass(frozen=True)
class Following:
    """`towards`: name of the part; `fresh`: its weights of after this call; `share`: of the way."""

    towards: str
    fresh: bool
    share: float


def following(weights: dict[str, np.ndarray], name: str, call: int = 1) -> Following | None:
    """Along the line to which other part `name` has moved in a call; None if it moved otherwise.

    weights: as `updates` reports them, part -> (1 + calls, n). Of several that fit the nearest: a share of 1
    of one network's weights may be any share of another's only by chance.
    """
    own = weights[name]
    if own.ndim != 2 or own.shape[1] < FEWEST:
        return None
    step = own[call] - own[call - 1]
    if not np.any(step):
        return None
    best, fits = None, 1e-3  # float32 weights, of which small differences are taken
    for other, theirs in weights.items():
        if other == name or theirs.shape != own.shape:
            continue
        for fresh in (True, False):
            way = theirs[call if fresh else call - 1] - own[call - 1]
            length = float(way @ way)
            share = float(step @ way) / length if length else 0.0
            off = float(np.linalg.norm(step - share * way) / np.linalg.norm(step))
            if off < fits:
                best, fits = Following(other, fresh, share), off
    return best


def how_it_follows(value: Any, reference: Any, name: str, call: int) -> str:
    """What is wrong with how `name` follows, as the end of a sentence; "" if that is not it."""
    right = following(reference, name, call)
    if right is None:
        return ""
    mine = following(value, name, call)
    if mine is None:
        return f"does not go along the line to `{right.towards}`"
    if mine.towards != right.towards:
        return f"follows `{mine.towards}`, where it should follow `{right.towards}`,"
    if mine.fresh != right.fresh:
        when = "before" if right.fresh else "after"
        return f"follows the weights that `{right.towards}` had {when} its step"
    if np.isclose(mine.share, 1 - right.share, rtol=0, atol=2e-3):
        return f"follows `{right.towards}` with the two weights of the average exchanged"
    if np.isclose(mine.share, right.share, rtol=0, atol=2e-3):
        return ""  # It follows well, but what it follows is wrong itself.
    far = "too far" if mine.share > right.share else "not far enough"
    return f"follows `{right.towards}` {far}"
