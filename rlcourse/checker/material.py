"""What several lessons' declarations are made of: random MDPs, policies, flags, environments; pairs of mistakes.

Everything is drawn from the generator that is passed in. Names of cases and tags are written where
the cases are, in the lesson modules.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .probes import Env

FLAG_TYPES = (np.bool_, np.int64, np.float64)


def random_mdp(
    rng: np.random.Generator, n_states: int, n_actions: int, branching: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """P (S, A, S) with `branching` reachable states each (default: all), R (S, A) of both signs."""
    k = n_states if branching is None else min(branching, n_states)
    P = np.zeros((n_states, n_actions, n_states))
    for s in range(n_states):
        for a in range(n_actions):
            reachable = rng.choice(n_states, size=k, replace=False)
            P[s, a, reachable] = random_distribution(rng, k)
    return P, rng.normal(size=(n_states, n_actions)) * 2


def random_distribution(rng: np.random.Generator, n: int) -> np.ndarray:
    """Probabilities (n,), none of them tiny."""
    weights = rng.uniform(0.2, 1.0, size=n)
    return weights / weights.sum()


def random_policy(
    rng: np.random.Generator, n_states: int, n_actions: int, deterministic: bool = False
) -> np.ndarray:
    """pi (S, A): rows of probabilities, or one-hot rows."""
    if deterministic:
        return np.eye(n_actions)[rng.integers(n_actions, size=n_states)]
    return np.stack([random_distribution(rng, n_actions) for _ in range(n_states)])


def flags(
    rng: np.random.Generator, n: int, dtype: type = np.float64, share: float = 0.4
) -> np.ndarray:
    """0/1 flags (n,) of a dtype; for n ≥ 2 both values occur."""
    values = rng.random(n) < share
    if n >= 2:
        one, other = rng.choice(n, size=2, replace=False)
        values[one], values[other] = True, False
    return values.astype(dtype)


def random_env(
    rng: np.random.Generator,
    n_states: int = 5,
    n_actions: int = 3,
    *,
    ends: float = 0.0,
    limit: int | None = None,
    deterministic: bool = False,
) -> Env:
    """A random finite environment with distinct rewards and some states that are their own successors.

    ends: share of state-action pairs whose step is terminal (at least one if positive);
    limit: steps until truncation; deterministic: one next state for each pair.
    """
    P, R = random_mdp(rng, n_states, n_actions, 1 if deterministic else min(3, n_states))
    for s in range(0, n_states, 2):
        a = rng.integers(n_actions)
        P[s, a] = (
            0.5 * P[s, a] + 0.5 * np.eye(n_states)[s] if not deterministic else np.eye(n_states)[s]
        )
    terminal = rng.random((n_states, n_actions)) < ends
    if ends > 0:
        terminal[rng.integers(n_states), rng.integers(n_actions)] = True
    start = random_distribution(rng, n_states)
    return Env(P, R, terminal, start, limit, int(rng.integers(2**31)), noise=0.5)


def attached_too(make: Callable) -> Callable[..., tuple[Callable, Callable]]:
    """A maker of pairs: the answer `make(**parts)`, and the same with its gradient left in."""
    return lambda **parts: (make(**parts), make(**parts, detach=False))
