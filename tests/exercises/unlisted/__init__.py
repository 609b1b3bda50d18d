"""Answers written by the contract alone, for `test_unlisted.py`: one module a lesson."""

import numpy as np


def also_named(named, wrong, listed):
    """Put wrong answers that have a name by now into `named` as well; listed: exercise -> key -> name."""
    for exercise, names in listed.items():
        known = {f"{name}/{key}": wrong[exercise][key] for key, name in names.items()}
        named[exercise] = named.get(exercise, {}) | known


def halves(of_P, of_R):
    """Answers to `policy_chain` from two tables of answers to one half of it, the other half being right."""

    def with_rewards(f):
        return lambda P, R, pi: (f(P, pi), np.einsum("sa,sa->s", pi, R))

    def with_moves(f):
        return lambda P, R, pi: (np.einsum("sa,sat->st", pi, P), f(R, pi))

    def told(key, half):
        return f"{key}, {half}" if "/" in key else f"{key}/{half}"

    return {told(key, "moves"): with_rewards(f) for key, f in of_P.items()} | {
        told(key, "rewards"): with_moves(f) for key, f in of_R.items()
    }
