"""Lesson 02: what is called singular is singular."""

import numpy as np
import pytest
from unlisted.lesson_02 import NAMED, RIGHT, WRONG, policy_matrices

from rlcourse.checker import get, lesson
from rlcourse.checker.judging import judge_exercise


def blown_up(P, R, pi, gamma):
    v = np.zeros(len(R))
    for _ in range(2000):
        v = (pi * R).sum(axis=1) + gamma * 2 * P.sum(axis=1) @ v
    return v


NOT_SINGULAR = {
    "not a number": lambda P, R, pi, gamma: np.full(len(R), np.nan),
    "infinite": lambda P, R, pi, gamma: np.full(len(R), np.inf),
    "blown up": blown_up,
    "inverse of a vector": lambda P, R, pi, gamma: np.linalg.inv(policy_matrices(P, R, pi)[1]) @ R,
}


@pytest.mark.parametrize("what", NOT_SINGULAR)
def test_only_a_singular_matrix_is_called_one(what):
    verdict = judge_exercise(NOT_SINGULAR[what], get("solve_bellman"), 0)
    assert (verdict.state, verdict.mistake) == ("failed", None)


def test_every_exercise_is_tried():
    names = {exercise.name for exercise in lesson("02")}
    assert set(WRONG) == set(RIGHT) == set(NAMED) == names
