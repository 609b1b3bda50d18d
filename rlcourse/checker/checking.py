"""`check`: shows the verdict where the student looks, and returns the function to go on with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from . import namespace
from .cards import card, inline, rendered, show
from .declaration import Exercise
from .judging import NOT_ATTEMPTED, PASSED, Verdict, judge_exercise
from .registry import Unknown, get

# The state of each exercise at its last check: whose function the lesson goes on with.
_stands: dict[str, str] = {}


def check(answer: str | Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
    """Check an answer: one line when right, a diagnosis when wrong.

    answer: the name of the answer, which is looked up where the check is called, so that the check can
    tell why there is none; or the function itself. name: of the exercise, if the function is called
    otherwise: a demonstration, which does not change what `authorship` says.
    Returns the function to go on with: the student's if it is right, the reference if not, so that
    the lesson runs to its end. HTML in a notebook, plain text elsewhere.
    """
    names = namespace.names_seen_from(sys._getframe(1))
    if not isinstance(answer, str):
        if not callable(answer):
            _refuse('check() wants the name of your function: write check("f").')
            return answer
        # A lambda and a callable object have a name, but none of an exercise.
        called = getattr(answer, "__name__", type(answer).__name__)
        names = {**names, called: answer}
    else:
        called = answer
    try:
        exercise = get(name or called)
    except Unknown as unknown:
        _refuse(f"{unknown} An answer is written as `def` and the exercise's name.")
        return names.get(called)
    if name is not None:
        return _demonstrated(exercise, called, names)
    before = _stands.get(exercise.name, NOT_ATTEMPTED)
    result = namespace.nothing_to_judge(exercise, called, names, namespace.cells_run(), before)
    result = result or judge_exercise(names[called], exercise)
    show(rendered(result))
    _stands[exercise.name] = result.state
    return names[called] if result.ok else exercise.reference


def _demonstrated(exercise: Exercise, called: str, names: dict[str, Any]) -> Callable[..., Any]:
    """Judge a function that is there to be looked at: the lesson goes on as it would without it."""
    if called not in names:
        _refuse(f"`{called}` is not defined.")
        return exercise.reference
    result = judge_exercise(names[called], exercise)
    show(rendered(result, going_on=False))
    return names[called] if result.ok else exercise.reference


def _refuse(sentence: str) -> None:
    html = card(f"<b>✗</b> {inline(sentence)}", "wrong")
    show({"text/plain": f"✗ {sentence}", "text/html": html})


def authorship(*names: str) -> str:
    """Who wrote the functions of an experiment: "your functions", or for which the reference stands in.

    For captions: `f"trained with {authorship('q_learning', 'epsilon_greedy')}"`.
    """
    stand_ins = _stand_ins(names)
    if not stand_ins:
        return "your functions" if len(names) > 1 else "your function"
    if len(stand_ins) == len(names):
        return "the reference functions" if len(names) > 1 else "the reference function"
    return f"your functions, with the reference for {' and '.join(stand_ins)}"


def whose(*names: str) -> str:
    """The same in a word, for the legend of a figure: "your", "the reference's" or "partly your".

    `f"{whose('q_learning')} Q-learning"`.
    """
    stand_ins = _stand_ins(names)
    if not stand_ins:
        return "your"
    return "the reference's" if len(stand_ins) == len(names) else "partly your"


def _stand_ins(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if _stands.get(name) != PASSED]


def released_output(name: str) -> dict[str, str]:
    """What stands under a check before anybody has run it, as a mimebundle: built notebooks carry it."""
    exercise = get(name)
    unrun = Verdict(exercise.name, exercise.number, NOT_ATTEMPTED, headline="not run yet")
    return rendered(unrun, going_on=False)


def expected_output(name: str) -> dict[str, str]:
    """What a right answer's check shows, as a mimebundle: `rlcourse verify` compares with it."""
    exercise = get(name)
    return rendered(Verdict(exercise.name, exercise.number, PASSED))
