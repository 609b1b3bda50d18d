"""Answers that no declaration lists: wrong ones must fail, right ones pass, known mistakes be named."""

import importlib
import pkgutil

import pytest
import unlisted

from rlcourse.checker import get
from rlcourse.checker.judging import judge_exercise

SEEDS = (0, 1, 2)
LESSONS = [
    importlib.import_module(f"unlisted.{m.name}") for m in pkgutil.iter_modules(unlisted.__path__)
]


def answers(table: str) -> list:
    """(exercise, answer) pairs of one table of all lessons, the answer's key as the test's name."""
    return [
        pytest.param(exercise, answer, id=f"{exercise}-{key}")
        for lesson in LESSONS
        for exercise, answers in getattr(lesson, table, {}).items()
        for key, answer in answers.items()
    ]


@pytest.mark.parametrize(("exercise", "answer"), answers("WRONG"))
def test_a_wrong_answer_fails(exercise, answer):
    for seed in SEEDS:
        assert judge_exercise(answer, get(exercise), seed).state == "failed", f"seed {seed}"


@pytest.mark.parametrize(("exercise", "answer"), answers("UNNAMED"))
def test_a_wrong_answer_is_not_called_by_the_name_of_another(exercise, answer):
    for seed in SEEDS:
        verdict = judge_exercise(answer, get(exercise), seed)
        assert (verdict.state, verdict.mistake) == ("failed", None), f"seed {seed}"


@pytest.mark.parametrize(("exercise", "answer"), answers("RIGHT"))
def test_an_unusual_right_answer_passes(exercise, answer):
    for seed in SEEDS:
        verdict = judge_exercise(answer, get(exercise), seed)
        assert verdict.ok, f"seed {seed}: {verdict.headline}: {verdict.explanation}"


@pytest.mark.parametrize(("exercise", "answer"), answers("NAMED"))
def test_a_known_mistake_is_called_by_its_name(exercise, answer, request):
    name = request.node.callspec.id.removeprefix(f"{exercise}-").split("/")[0]
    for seed in SEEDS:
        assert judge_exercise(answer, get(exercise), seed).mistake == name, f"seed {seed}"
