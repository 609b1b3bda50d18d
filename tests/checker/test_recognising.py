"""Two mistakes at once: the first is named, with the word that there is more; and no name is guessed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlcourse.checker.declaration import Exercise, Lesson, Mistake, array, composable
from rlcourse.checker.harness import Case
from rlcourse.checker.judging import judge_exercise


def td_target(reward, value, terminated, gamma):
    """Reward now, and the next state's value where the episode goes on."""
    return reward + gamma * (1 - terminated) * value


@composable
def _target(mask="future", discount=True, sign=1):
    def target(reward, value, terminated, gamma):
        future = sign * value * (1 if mask == "none" else 1 - terminated)
        total = reward + (gamma if discount else 1) * future
        return total * (1 - terminated) if mask == "all" else total

    return target


def _cases(rng):
    def case(n, gamma):
        ended = np.zeros(n)
        ended[rng.permutation(n)[: n // 3]] = 1.0
        reward, value = rng.normal(size=(2, n))
        inputs = {"reward": reward, "value": value, "terminated": ended, "gamma": gamma}
        return Case(f"{n} rows, γ = {gamma}", inputs)

    return [case(n, gamma) for n in (4, 6, 9) for gamma in (0.9, 0.5)]


def _mistake(name, *functions):
    return Mistake(name, f"It is {name}.", "Look again.", *functions)


EXERCISE = Exercise(
    "td_target",
    td_target,
    _cases,
    array(),
    points=1,
    equation="(4.1)",
    mistakes=[
        _mistake("no-mask", _target(mask="none")),
        _mistake("all-masked", _target(mask="all")),
        _mistake("no-discount", _target(discount=False)),
        _mistake("sign", _target(sign=-1)),
    ],
    also_correct=[_target()],
)
Lesson("04", "Targets", [EXERCISE])


def told(function):
    return judge_exercise(function, EXERCISE)


def test_one_mistake_is_named_alone():
    verdict = told(lambda r, v, d, g: r + g * v)
    assert (verdict.mistake, verdict.headline) == ("no-mask", "no-mask")
    assert "not all" not in verdict.explanation


@pytest.mark.parametrize(
    ("function", "first"),
    [
        (lambda r, v, d, g: r + v, "no-mask"),
        (lambda r, v, d, g: r - v * (1 - d), "no-discount"),
        (lambda r, v, d, g: (r - g * v) * (1 - d), "all-masked"),
    ],
)
def test_of_two_mistakes_the_first_is_named_and_that_there_is_more(function, first):
    verdict = told(function)
    assert (verdict.mistake, verdict.headline) == (first, f"first: {first}")
    assert "not all that differs" in verdict.explanation


def test_a_mistake_that_explains_most_is_named_and_that_there_is_more():
    def forgets_the_mask_and_rounds_the_first(r, v, d, g):
        out = r + g * v
        out[0] = round(out[0], 1)
        return out

    def same_at_one_place(r, v, d, g):
        out = td_target(r, v, d, g)
        out[np.argmax(d)] = (r + g * v)[np.argmax(d)]
        out[np.argmin(d)] += 1
        return out

    ended_only = replace_cases(share=0.7)
    verdict = judge_exercise(forgets_the_mask_and_rounds_the_first, ended_only)
    assert (verdict.mistake, verdict.headline) == ("no-mask", "first: no-mask")
    assert judge_exercise(same_at_one_place, ended_only).mistake is None


def replace_cases(share):
    def cases(rng):
        made = _cases(rng)
        for case in made:
            n = len(case.inputs["reward"])
            case.inputs["terminated"][:] = np.arange(n) < share * n
        return made

    return replace(EXERCISE, cases=cases)


@pytest.mark.parametrize(
    "function",
    [
        lambda r, v, d, g: 0 * r,
        lambda r, v, d, g: r + 2 * g * v * (1 - d),
        lambda r, v, d, g: abs(td_target(r, v, d, g)),
        lambda r, v, d, g: np.where(d, v, r + g * v),
    ],
)
def test_what_no_mistake_explains_gets_no_name(function):
    assert told(function).mistake is None


def test_rows_are_said_and_what_they_have_in_common():
    def negative_rewards_dropped(r, v, d, g):
        return np.where(r < 0, 0.0, r) + g * (1 - d) * v

    assert (
        "exactly in the rows where `reward` is negative"
        in told(negative_rewards_dropped).explanation
    )


def test_the_text_of_a_right_answer_with_a_remark():
    def half_right(r, v, d, g):
        return td_target(r, v, d, g) * (1 + 1e-12)

    sentence = "A little more than the equation."
    exercise = replace(
        EXERCISE, variants=[half_right], remarks=[(half_right, sentence)], rtol=1e-14, atol=0.0
    )
    verdict = judge_exercise(half_right, exercise)
    assert verdict.ok and verdict.explanation == sentence
    assert judge_exercise(td_target, exercise).explanation == ""
