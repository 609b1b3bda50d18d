"""What is said of an exception: whose line it was, and whether the loop was written for the old Gym."""

from __future__ import annotations

import linecache
import random
import statistics
from collections import defaultdict
from types import ModuleType

import numpy as np
import pytest

from rlcourse.checker.declaration import Exercise, array
from rlcourse.checker.harness import Case, run
from rlcourse.checker.judging import judge_exercise
from rlcourse.checker.material import random_env, random_policy
from rlcourse.checker.probes import Policy, Rng, Select

# ------------------------------------------------------------------------------- whose line it is


def too_many(x):
    return random.sample(list(x), 9)


def mean_of_nothing(x):
    return statistics.mean(x[:0])


def solves_nothing(x):
    return np.linalg.solve(np.zeros((2, 2)), x)


def deep_in_a_helper(x):
    return max(x, key=lambda one: one.upper())


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (too_many, "return random.sample(list(x), 9)"),
        (mean_of_nothing, "return statistics.mean(x[:0])"),
        (solves_nothing, "return np.linalg.solve(np.zeros((2, 2)), x)"),
        (deep_in_a_helper, "return max(x, key=lambda one: one.upper())"),
    ],
)
def test_the_line_is_the_students(function, line):
    assert run(function, Case("x", {"x": np.zeros(2)})).failure.line == line


@pytest.mark.parametrize("filename", ["cell 3", "/tmp/ipykernel_7/12.py", "<ipython-input-4-abc>"])
def test_a_cell_is_a_file_of_their_own(filename):
    source = "import random\ndef f(x):\n    return random.sample([], 3)\n"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    cell = ModuleType("cell")
    exec(compile(source, filename, "exec"), vars(cell))
    assert run(cell.f, Case("x", {"x": 1})).failure.line == "return random.sample([], 3)"


# ------------------------------------------------------------------------------------ the old Gym


def walk(env, policy, rng):
    """A right loop: the rewards of one episode."""
    s, _ = env.reset()
    rewards, over = [], False
    while not over:
        s, r, terminated, truncated, _ = env.step(policy(s, rng))
        rewards.append(r)
        over = terminated or truncated
    return np.array(rewards)


def _cases(rng):
    inputs = {"env": random_env(rng, limit=4), "policy": Policy(random_policy(rng, 5, 3))}
    return [Case("four steps", inputs | {"rng": Rng(3)})]


WALK = Exercise("walk", walk, _cases, array(), 1, "(0.1)", [], notes=["resets", "steps", "choices"])


def whole_reset_for_the_policy(env, policy, rng):
    s = env.reset()
    env.step(policy(s, rng))


def whole_reset_for_an_array(env, policy, rng):
    q, s = np.zeros((5, 3)), env.reset()
    return q[s]


def whole_reset_for_a_dictionary(env, policy, rng):
    q = defaultdict(float)
    s = env.reset()
    for a in range(3):
        q[s, a] += 1


def whole_reset_in_a_helper(env, policy, rng):
    def best(state):
        return int(np.argmax(np.eye(5)[state]))

    start = env.reset()
    return best(start)


def whole_reset_at_once(env, policy, rng):
    return int(env.reset())


def four_from_step(env, policy, rng):
    s, _ = env.reset()
    s, r, done, _ = env.step(policy(s, rng))
    return r, done


def three_from_step(env, policy, rng):
    s = env.reset()[0]
    s, r, done = env.step(policy(s, rng))
    return r, done


def four_on_the_next_line(env, policy, rng):
    s, _ = env.reset()
    came_back = env.step(policy(s, rng))
    s, r, done, _ = came_back
    return r, done


def whole_step(env, policy, rng):
    s, _ = env.reset()
    s = env.step(policy(s, rng))
    return policy(s, rng)


def another_four(env, policy, rng):
    s, _ = env.reset()
    s, r, terminated, truncated, _ = env.step(policy(s, rng))
    row = (s, r, terminated, truncated, 0)
    a, b, c, d = row
    return a, b, c, d


def another_index(env, policy, rng):
    both = env.reset()
    s = both[0]
    return np.zeros(5)[s, 7]


@pytest.mark.parametrize(
    ("function", "tag"),
    [
        (whole_reset_for_the_policy, "old-gym-reset"),
        (whole_reset_for_an_array, "old-gym-reset"),
        (whole_reset_for_a_dictionary, "old-gym-reset"),
        (whole_reset_in_a_helper, "old-gym-reset"),
        (whole_reset_at_once, "old-gym-reset"),
        (four_from_step, "old-gym-step"),
        (three_from_step, "old-gym-step"),
        (four_on_the_next_line, "old-gym-step"),
        (whole_step, "old-gym-step"),
        (another_four, ""),
        (another_index, ""),
    ],
)
def test_a_loop_for_the_old_gym_is_known(function, tag):
    assert run(function, *_cases(np.random.default_rng(0))).failure.tag == tag


def test_a_row_of_the_whole_reset_is_known():
    def f(env, select, rng):
        return select(env.reset(), rng)

    case = Case("x", {"env": random_env(np.random.default_rng(0)), "select": Select("greedy")})
    case.inputs["rng"] = Rng(0)
    assert run(f, case).failure.tag == "old-gym-reset"


def test_both_sides_of_the_old_gym_are_told():
    reset, step = (judge_exercise(f, WALK) for f in (whole_reset_for_an_array, four_from_step))
    assert "two values" in reset.instead and "0.26" in reset.explanation
    assert "five" in step.instead and "terminated *or* truncated" in step.instead
    assert judge_exercise(walk, WALK).ok


# ----------------------------------------------------------------------------- a policy unasked


def unasked(env, policy, rng):
    return walk(env, lambda s, rng: 0, rng)[:2]


def test_a_policy_that_is_never_asked_is_told_before_a_shape():
    verdict = judge_exercise(unasked, WALK)
    assert verdict.rung == "conduct" and "`policy`" in verdict.explanation
    nothing = judge_exercise(lambda env, policy, rng: None, WALK)
    assert nothing.rung == "form"
