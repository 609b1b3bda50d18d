"""Results of a class that nobody taught: as `rlcourse grade` would write them, made up by rules."""

from __future__ import annotations

import copy
from typing import Any

EXERCISES = (("sarsa_target", 1), ("q_learning_target", 1), ("double_q_target", 2), ("sarsa", 3))


def mark(index: int, state: str = "passed", **more: Any) -> dict[str, Any]:
    """What the result says of one exercise; index: which one of EXERCISES."""
    name, points = EXERCISES[index]
    made = {
        "name": name,
        "number": f"5.{index + 1}",
        "state": state,
        "score": points if state == "passed" else 0,
        "points": points,
        "equation": "(5.8)",
        "rung": "" if state == "passed" else "values",
        "mistake": None,
        "headline": "" if state in ("passed", "not attempted") else "wrong values",
        "explanation": "" if state == "passed" else "It is not what (5.8) says.",
        "next_step": "",
        "cases_passed": 12 if state == "passed" else 3,
        "cases": 12,
        "note": "",
        "source": f"def {name}(reward, q_next, terminated, gamma):\n    return reward\n",
    }
    return made | more


def record(student: str, *marks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One submission; all right if no marks are given."""
    exercises = list(marks) or [mark(i) for i in range(len(EXERCISES))]
    made = {
        "student": student,
        "file": f"{student}.ipynb",
        "state": "graded",
        "reason": "",
        "notes": [],
        "score": sum(m["score"] for m in exercises),
        "points": sum(points for _, points in EXERCISES),
        "seed": [1, 2, 3, 4],
        "exercises": exercises,
    }
    return made | more


def unreadable(student: str, reason: str = "the file is empty") -> dict[str, Any]:
    made = record(student, state="unreadable", reason=reason, score=0)
    made["exercises"] = []
    del made["seed"]
    return made


def result(*records: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(
        {
            "schema": "rlcourse/results/v2",
            "rlcourse": "0.1.0",
            "lesson": "05",
            "title": "SARSA and Q-learning",
            "sandbox": "bubblewrap",
            "submissions": sorted(records, key=lambda r: r["student"]),
        }
    )
