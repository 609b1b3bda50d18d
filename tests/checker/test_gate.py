"""The gate over every exercise, and the gate itself on declarations broken on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from seeds import SEEDS

from rlcourse.checker import gate, get, lesson, lessons, names, registry
from rlcourse.checker.declaration import Mistake
from rlcourse.checker.harness import Case

EXERCISES = [exercise for number in lessons() for exercise in lesson(number)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: f"{e.number} {e.name}")
def test_every_exercise_passes_the_gate(exercise, seed):
    assert gate.problems(exercise, [seed]) == []


def test_names_are_unique():
    names = [exercise.name for exercise in EXERCISES]
    assert len(names) == len(set(names))


# ---------------------------------------------------------- the gate must catch what is broken

SOUND = get("discounted_return")


def broken(**changes):
    return replace(SOUND, **changes)


def mistake(name, function, why="because", instead="look again"):
    return Mistake(name, why, instead, function)


def by_loop(rewards, gamma):
    return float(sum(gamma**t * r for t, r in enumerate(rewards)))


BROKEN = {
    "points for a property that no case has": (broken(partial={"on Sundays": 1}), "'on Sundays'"),
    "points for no thought": (
        broken(
            points=2,
            partial={"any": 1},
            cases=lambda rng: [
                *SOUND.cases(rng),
                Case("nothing", {"rewards": np.zeros(0), "gamma": 0.5}, ("any",)),
            ],
        ),
        "the constant 0 earns points",
    ),
    "a mistake that is right": (
        broken(mistakes=[*SOUND.mistakes, mistake("harmless", by_loop)]),
        "the mistake 'harmless'",
    ),
    "two mistakes that do the same": (
        broken(
            mistakes=[*SOUND.mistakes, mistake("late", lambda rewards, gamma: float(sum(rewards)))]
        ),
        "is called 'undiscounted'",
    ),
    "two mistakes of one name": (
        broken(mistakes=[*SOUND.mistakes, SOUND.mistakes[0]]),
        "share the name",
    ),
    "a right answer that is not right": (
        broken(also_correct=[lambda rewards, gamma: float(sum(rewards))]),
        "is rejected",
    ),
    "too few mistakes": (broken(mistakes=SOUND.mistakes[:2]), "only 2 mistakes"),
    "a mistake without a word": (
        broken(mistakes=[*SOUND.mistakes, mistake("mute", lambda *_: 7.0, why=" ")]),
        "does not say",
    ),
    "a mistake without a function": (
        broken(mistakes=[*SOUND.mistakes, Mistake("idea", "why", "what")]),
        "has no implementation",
    ),
    "cases in which γ never matters": (
        broken(
            cases=lambda rng: [Case("one reward", {"rewards": rng.normal(size=1), "gamma": 0.9})]
        ),
        "ignores `gamma`",
    ),
    "cases that a constant passes": (
        broken(cases=lambda rng: [Case("nothing", {"rewards": np.zeros(0), "gamma": 0.9})]),
        "the constant 0 passes",
    ),
    "a rule that accepts anything": (broken(agrees=lambda *_: True), "passes"),
    "a tolerance that accepts anything": (broken(rtol=1e9, atol=1e9), "passes"),
    "a reference under another name": (broken(reference=by_loop), "the reference is called"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_gate_catches(what):
    exercise, reason = BROKEN[what]
    found = gate.problems(exercise, seeds=[0])
    assert any(reason in problem for problem in found), found


def test_the_gate_is_silent_about_the_sound_one():
    assert gate.problems(SOUND, seeds=[0]) == []


@pytest.mark.parametrize("number", lessons())
def test_names_read_from_the_text_are_the_lessons_own_in_their_order(number):
    assert names(number) == tuple(exercise.name for exercise in lesson(number))
    parts = [part for exercise in lesson(number) for part in exercise.parts]
    assert registry.parts(number) == tuple(parts)
