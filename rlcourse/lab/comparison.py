"""The runs that lesson 20 compares: `comparison.json`, which `make capstone` makes (benchmarks/comparison.py).

A run is a seed: an agent that trains for a fixed number of steps and whose greedy policy plays twenty
episodes now and then, from the same starts for all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Runs:
    """All runs of one agent on one task.

    seeds: (n,) int; steps: (looks,) int, environment steps at each look; returns: (n, looks), the mean
    return of the greedy episodes there; final: (n, episodes), those of the last look, one by one; cpu:
    (n,), processor seconds of the training.
    """

    seeds: np.ndarray
    steps: np.ndarray
    returns: np.ndarray
    final: np.ndarray
    cpu: np.ndarray


@cache
def _file() -> dict[str, Any]:
    return json.loads((files("rlcourse.lab") / "comparison.json").read_text(encoding="utf-8"))


def load() -> dict[str, dict[str, Runs]]:
    """All runs: task → agent → `Runs`."""
    return {
        task: {
            name: Runs(**{k: np.array(v) for k, v in runs.items()}) for name, runs in agents.items()
        }
        for task, agents in _file()["runs"].items()
    }


def settings(task: str, agent: str) -> dict[str, Any]:
    """How an agent was made and trained there: "agent", "training", and "every", the steps between looks."""
    return _file()["settings"][task][agent]


def episodes() -> tuple[int, int]:
    """How many greedy episodes a look has, and the seed of their starts: as `evaluate` takes them."""
    return _file()["episodes"], _file()["evaluation_seed"]
