"""Part of the points for a property that an answer has, where the declaration gives some."""

from __future__ import annotations

import numpy as np

from rlcourse.checker import get
from rlcourse.checker.judging import judge_exercise


def ends_ignored(rewards, v_boot, terminated, gamma):
    powers = gamma ** np.arange(len(rewards))
    return float(powers @ rewards + gamma ** len(rewards) * v_boot)


def earned(function, seed=0):
    return judge_exercise(function, get("n_step_return"), seed).earned


def test_right_wherever_no_episode_ends_earns_a_part():
    assert [earned(ends_ignored, seed) for seed in range(3)] == [1, 1, 1]


def test_a_right_answer_earns_all():
    exercise = get("n_step_return")
    assert earned(exercise.reference) == exercise.points


def test_other_wrong_answers_earn_nothing():
    assert earned(lambda *a: 2 * ends_ignored(*a)) == 0
    assert earned(lambda rewards, *a: float(rewards[0])) == 0


def test_what_stops_half_way_earns_nothing():
    def stops(rewards, v_boot, terminated, gamma):
        if terminated.any():
            raise NotImplementedError
        return ends_ignored(rewards, v_boot, terminated, gamma)

    assert earned(stops) == 0
