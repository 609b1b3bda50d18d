"""Answers that no declaration lists: wrong ones must fail, right ones pass, known mistakes be named."""

import importlib
import pkgutil

import pytest
import unlisted

from rlcourse.checker import get
from rlcourse.checker.judging import cases_of, judge_exercise, judge_on
from rlcourse.checker.recognising import remembering

# There are thousands; `make test` has the gate.
pytestmark = pytest.mark.full

LESSONS = [
    importlib.import_module(f"unlisted.{m.name}") for m in pkgutil.iter_modules(unlisted.__path__)
]


def answers(table: str, with_names: bool = False) -> list:
    """(exercise, answer) pairs of one table of all lessons, the answer's key as the test's name.

    A key "a + b" says that the answer makes both of these mistakes. with_names: a third part, the mistake: what stands in the key before a "/".
    """
    return [
        pytest.param(
            *(exercise, answer, *([key.split("/")[0]] if with_names else [])),
            id=f"{exercise}-{key}",
        )
        for lesson in LESSONS
        for exercise, answers in getattr(lesson, table, {}).items()
        for key, answer in answers.items()
    ]


class Shared:
    """The cases of one exercise at a time, and what the course's own functions do on them."""

    name = None

    def judge(self, name, answer, seed, **how):
        if name != self.name:
            self.name, self.cases, self.memory = name, {}, {}
        if seed not in self.cases:
            self.cases[seed] = cases_of(get(name), seed)
        with remembering(self.memory):
            return judge_on(self.cases[seed], answer, get(name), **how)


@pytest.fixture(scope="module")
def shared():
    return Shared()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("exercise", "answer", "names"), answers("WRONG", with_names=True))
def test_a_wrong_answer_fails(exercise, answer, names, seed, shared, monkeypatch):
    # A slow machine finds the same pairs, later.
    monkeypatch.setattr("rlcourse.checker.recognising.SECONDS_TOGETHER", 30.0)
    both = names.split(" + ") if " + " in names else []  # two known mistakes at once
    verdict = shared.judge(exercise, answer, seed, naming=bool(both))
    assert verdict.state == "failed"
    assert not both or verdict.mistake in both


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("exercise", "answer"), answers("UNNAMED"))
def test_a_wrong_answer_is_not_called_by_the_name_of_another(exercise, answer, seed, shared):
    verdict = shared.judge(exercise, answer, seed)
    assert (verdict.state, verdict.mistake) == ("failed", None)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("exercise", "answer"), answers("RIGHT"))
def test_an_unusual_right_answer_passes(exercise, answer, seed, shared):
    verdict = shared.judge(exercise, answer, seed)
    assert verdict.ok, f"{verdict.headline}: {verdict.explanation}"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("exercise", "answer", "name"), answers("NAMED", with_names=True))
def test_a_known_mistake_is_called_by_its_name(exercise, answer, name, seed, shared):
    if seed == 0:  # as a student's check: nothing was run before
        verdict = judge_exercise(answer, get(exercise), seed)
    else:
        verdict = shared.judge(exercise, answer, seed)
    assert verdict.mistake == name
