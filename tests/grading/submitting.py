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

# Thirty submissions, many of them odd. name -> (content, state of the submission, score, state of q_learning_target, its mistake)
CLASS = {
    "right.ipynb": (notebook(), "graded", POINTS, "passed", None),
    "right in a loop.ipynb": (
        target("return np.array([r if d else r + gamma * max(q) for r, q, d in zip(reward, q_next, terminated)])"),
        "graded", POINTS, "passed", None),
    "no mask.ipynb": (target("return reward + gamma * q_next.max(axis=1)"), "graded", LOST, "failed", "bootstraps-terminal"),
    "mean.ipynb": (target(RIGHT.replace("max", "mean")), "graded", LOST, "failed", "mean-over-actions"),
    "argmax.ipynb": (target(RIGHT.replace("max", "argmax")), "graded", LOST, "failed", "argmax-for-max"),
    "all max.ipynb": (target(RIGHT.replace("axis=1", "")), "graded", LOST, "failed", "max-over-all"),
    "nobody declared this.ipynb": (target(RIGHT + " + 0.01"), "graded", LOST, "failed", None),
    "returns a list.ipynb": (target(RIGHT.replace("return ", "return list(") + ")"), "graded", LOST, "failed", None),
    "empty.ipynb": (nbformat.writes(build_notebook(SOURCE)), "graded", 0, "not attempted", None),
    "one cell missing.ipynb": (notebook(q_learning_target=None), "graded", LOST, "not attempted", None),
    "all cells missing.ipynb": (notebook(**dict.fromkeys(NAMES)), "graded", 0, "not attempted", None),
    "syntax error.ipynb": (target("return reward +"), "graded", LOST, "failed", None),
    "name error.ipynb": (target("return rewards"), "graded", LOST, "failed", None),
    "infinite loop.ipynb": (target("while True: pass"), "graded", LOST, "timeout", None),
    "loop that swallows all.ipynb": (
        target("while True:\n        try:\n            while True: pass\n        except BaseException: pass"),
        "graded", LOST, "timeout", None),
    "exit.ipynb": (target("import os; os._exit(0)"), "graded", LOST, "crash", None),
    "sys exit.ipynb": (target("raise SystemExit(0)"), "graded", LOST, "failed", None),
    "segfault.ipynb": (target("import ctypes; ctypes.string_at(0)"), "graded", LOST, "crash", None),
    "prints 50 MB.ipynb": (target("print('x' * 50_000_000); " + RIGHT), "graded", POINTS, "passed", None),
    "warns.ipynb": (target("import warnings; warnings.warn('careful'); " + RIGHT), "graded", POINTS, "passed", None),
    "calls the course's.ipynb": (
        target("from rlcourse.tabular.control import q_learning_target as f; return f(reward, q_next, terminated, gamma)"),
        "graded", LOST, "forbidden", None),
    "equals everything.ipynb": (
        target("return type('E', (), {'__eq__': lambda s, o: True, '__hash__': None})()"),
        "graded", LOST, "failed", None),
    "helper elsewhere.ipynb": (
        target("return helper(reward, q_next, terminated, gamma)", f"def helper(reward, q_next, terminated, gamma):\n    {RIGHT}\n"),
        "graded", POINTS, "passed", None),
    "magics.ipynb": (target(RIGHT, "%timeit 1\n!ls\n"), "graded", POINTS, "passed", None),
    "not a notebook.ipynb": (b"\x89PNG\r\n\xff\xfe\x00", "unreadable", 0, None, None),
    "truncated.ipynb": (notebook()[:2000], "unreadable", 0, None, None),
    "nothing at all.ipynb": (b"", "unreadable", 0, None, None),
    "essay.pdf": (b"%PDF-1.4", "unreadable", 0, None, None),
    "宿題 № 5 — été.ipynb": (notebook(), "graded", POINTS, "passed", None),
    "with a mark.ipynb": (b"\xef\xbb\xbf" + notebook().encode(), "graded", POINTS, "passed", None),
}  # fmt: skip
