"""The mark of a project on an environment of one's own choice."""

import pytest

from rlcourse.continuous.halfway import halfway_task


@pytest.mark.parametrize(("env", "steps"), [("CartPole-v1", 512), ("Pendulum-v1", 300)])
def test_the_mark_lies_between_chance_and_the_best_there_is(env, steps):
    task = halfway_task(env, steps)
    worst, best = {"CartPole-v1": (15, 500), "Pendulum-v1": (-1_800, 0)}[env]
    assert (task.env, task.steps) == (env, steps) and worst < task.mark < best
    assert task == halfway_task(env, steps)  # the same seed gives the same mark
