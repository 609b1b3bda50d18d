"""Lesson 00: a closed form is asked for, and who adds up one by one is told so, and soon."""

import time

import pytest

from rlcourse.checker import get
from rlcourse.checker.judging import judge_exercise


def by_generator(reward, gamma, n_steps):
    return float(sum(reward * gamma**t for t in range(n_steps)))


def by_loop(reward, gamma, n_steps):
    total, weight, t = 0.0, 1.0, 0
    while t < n_steps:
        total, weight, t = total + weight * reward, weight * gamma, t + 1
    return total


def by_recursion(reward, gamma, n_steps):
    return reward + gamma * by_recursion(reward, gamma, n_steps - 1) if n_steps else 0.0


@pytest.mark.parametrize("answer", [by_generator, by_loop, by_recursion])
def test_who_adds_up_is_told_by_name_and_soon(answer):
    before = time.process_time()
    verdict = judge_exercise(answer, get("constant_return"))
    assert (verdict.state, verdict.mistake) == ("failed", "added-up")
    assert time.process_time() - before < 10  # 2 s for the answer; a slow machine has time to spare


def test_a_wrong_sum_is_not_said_to_be_right_but_slow():
    verdict = judge_exercise(lambda c, g, n: by_generator(c, g, n + 1), get("constant_return"))
    assert verdict.state == "failed" and verdict.mistake != "added-up"
