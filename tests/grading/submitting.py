"""Submissions of lesson 05: the solved lesson with some answers replaced."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat

from rlcourse import checker
from rlcourse.lessons.build import build_notebook
from rlcourse.lessons.notebook import exercise_in

SOURCE = next((Path(__file__).parents[2] / "solutions").glob("05_*.py"))
NAMES = checker.names("05")
POINTS = sum(checker.get(name).points for name in NAMES)
SOLVED = build_notebook(SOURCE, solved=True)


def notebook(**answers: str | None) -> str:
    """The solved lesson with some answers replaced, or their cells left out (None)."""
    copy = nbformat.from_dict(json.loads(json.dumps(SOLVED)))
    kept = []
    for cell in copy.cells:
        name = exercise_in(cell)
        if name in answers:
            if answers[name] is None:
                continue
            cell.source = answers[name]
        kept.append(cell)
    copy.cells = kept
    return nbformat.writes(copy)


def target(body: str, before: str = "") -> str:
    """A notebook whose q_learning_target is another."""
    head = "def q_learning_target(reward, q_next, terminated, gamma):"
    return notebook(q_learning_target=f"{before}\n{head}\n    {body}\n")


RIGHT = "return reward + gamma * (1.0 - np.asarray(terminated, float)) * q_next.max(axis=1)"
LOST = POINTS - checker.get("q_learning_target").points
