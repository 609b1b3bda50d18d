"""What the declarations of several lessons are made of: weights of actions, looks ahead, sentences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlcourse.checker.declaration import composable

NO_GAMMA = (
    "The next state's value enters without γ: it comes one step later, so it counts γ of itself."
)
COUNT_GAMMA = "How often does γ stand in the equation, and before what?"
GAMMA_MISPLACED = (
    "γ stands before the wrong term: you discount the reward that comes now, and not the value that comes a step "
    "later."
)
REWARD_MISSING = "The reward is missing: what comes now counts in full, beside what comes later."
AVERAGED_TWICE = (
    "You weigh by π and then divide by the number of actions as well. The weights alone make the average: they sum "
    "to 1."
)
ALL_ALIKE = "What should come out if all actions are worth the same?"


def weights(kind: str, pi: np.ndarray) -> np.ndarray:
    """(S, A): what the actions are weighed with, π or another."""
    n_actions = pi.shape[1]
    return {
        "pi": lambda: pi,
        "none": lambda: np.ones_like(pi),
        "equal": lambda: np.full_like(pi, 1 / n_actions),
        "pi, averaged": lambda: pi / n_actions,
        "likeliest": lambda: np.eye(n_actions)[pi.argmax(axis=1)],
        "first": lambda: np.eye(n_actions)[np.zeros(len(pi), dtype=int)],
    }[kind]()


@composable
def weighed(kind: str = "pi", axis: int | None = 1) -> Callable:
    """A table's mean under π with its parts exchangeable; axis: what the sum runs over."""

    def mean_under(table, pi):
        total = (weights(kind, pi) * table).sum(axis=axis)
        return float(total) if axis is None else total

    return mean_under


def ahead(kind: str, P: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(S, A): what the next state is worth, its mean under p or another."""
    n_actions, own = P.shape[1], np.arange(len(P))
    return {
        "expected": lambda: P @ v,
        "sum of the reachable": lambda: (P > 0).astype(float) @ v,
        "sum of all": lambda: np.full(P.shape[:2], v.sum()),
        "mean of all": lambda: np.full(P.shape[:2], v.mean()),
        "averaged twice": lambda: P @ v / len(v),
        "own": lambda: np.repeat(v[own][:, None], n_actions, axis=1),
        "best reachable": lambda: np.where(P > 0, v, -np.inf).max(axis=2),
        "best of all": lambda: np.full(P.shape[:2], v.max()),
        "likeliest": lambda: v[P.argmax(axis=2)],
        "largest term": lambda: (P * v).max(axis=2),
        "backwards": lambda: np.einsum("sat,s->ta", P, v),
    }[kind]()


def looked_ahead(
    P: np.ndarray, R: np.ndarray, v: np.ndarray, gamma: float, of_reward, of_next: int, to: str
) -> np.ndarray:
    """(S, A): γ^of_reward r + γ^of_next v′; of_reward None: without the reward."""
    reward = 0.0 if of_reward is None else float(gamma) ** of_reward * R
    return reward + float(gamma) ** of_next * ahead(to, P, v)
