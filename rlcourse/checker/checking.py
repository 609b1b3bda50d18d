"""`check`: shows the verdict where the student looks, and returns the function to go on with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .cards import card, fault_rendered, inline, rendered, show
from .judging import PASSED, CourseFault, Verdict, judge_exercise
from .registry import Unknown, get
from .timing import careful_interrupts

# Whose function the lesson goes on with, for the captions of its experiments.
_going_on_with_reference: dict[str, bool] = {}


def check(function: Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
    """Check an answer: one line when right, a diagnosis when wrong.

    function: the answer; name: of the exercise, if the function is called otherwise (such a check
    is for looking: it does not change what `authorship` says).
    Returns the function to go on with: `function` if it is right, the reference if not, so that
    the lesson runs to its end; `function` as well if it could not be checked. HTML in a notebook, plain
    text elsewhere.
    """
    with careful_interrupts():
        return _checked(function, name)


def _checked(function: Callable[..., Any], name: str | None) -> Callable[..., Any]:
    if not callable(function):
        _refuse("check() wants a function: write check(f), with nothing behind the f.")
        return function
    # A lambda and a callable object have a name, but none of an exercise.
    asked = name or getattr(function, "__name__", type(function).__name__)
    try:
        exercise = get(asked)
        result = judge_exercise(function, exercise)
    except Unknown as unknown:
        _refuse(f"{unknown} An answer is written as `def` and the exercise's name.")
        return function
    except Exception as error:
        # Whatever it is, it is none of the answer's: those are caught where it runs.
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, CourseFault):
            reason = str(error)
        show(fault_rendered(asked, reason))
        if name is None:
            _going_on_with_reference[asked] = False
        return function
    show(rendered(result))
    if name is None:
        _going_on_with_reference[exercise.name] = not result.ok
    return function if result.ok else exercise.reference


def _refuse(sentence: str) -> None:
    html = card(f"<b>✗</b> {inline(sentence)}", "wrong")
    show({"text/plain": f"✗ {sentence}", "text/html": html})


def authorship(*names: str) -> str:
    """Who wrote the functions of an experiment: "your functions", or for which the reference stands in.

    For captions: `f"trained with {authorship('q_learning', 'epsilon_greedy')}"`.
    """
    stand_ins = [name for name in names if _going_on_with_reference.get(name, True)]
    if not stand_ins:
        return "your functions" if len(names) > 1 else "your function"
    if len(stand_ins) == len(names):
        return "the reference functions" if len(names) > 1 else "the reference function"
    return f"your functions, with the reference for {' and '.join(stand_ins)}"


def released_output(name: str) -> dict[str, str]:
    """What a right answer's check shows, as a mimebundle: the built notebooks carry it."""
    exercise = get(name)
    return rendered(Verdict(exercise.name, exercise.number, PASSED))
