"""Lesson 03: the cases of policy iteration are long enough, and rounding decides none of them."""

import numpy as np
import pytest
from unlisted.lesson_03 import NAMED, RIGHT, WRONG, improved, look_ahead, optimal_v

from rlcourse.checker import get, lesson
from rlcourse.checker.judging import cases_of


@pytest.mark.parametrize("seed", range(3))
def test_some_case_needs_at_least_five_rounds(seed):
    exercise = get("policy_iteration")
    rounds = [improved()(**case.inputs)[2] for case in cases_of(exercise, seed)]
    assert max(rounds) >= 5 and min(rounds) == 1


@pytest.mark.parametrize("seed", range(20))
def test_only_copied_actions_tie(seed):
    """Nowhere else may rounding decide which action, and so how many rounds."""
    for case in cases_of(get("policy_iteration"), seed):
        P, R, gamma = case.inputs.values()
        q = np.sort(look_ahead(optimal_v(P, R, gamma), P, R, gamma), axis=1)
        if R.shape[1] > 1 and "actions that tie" not in case.tags:
            assert (q[:, -1] - q[:, -2] > 1e-6).all(), case.name


def test_every_exercise_is_tried():
    names = {exercise.name for exercise in lesson("03")}
    assert set(WRONG) == set(RIGHT) == set(NAMED) == names
