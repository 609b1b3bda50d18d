"""The gate: what must hold of every declaration before a student meets it.

`problems(exercise)` returns sentences; an empty list lets the exercise through. The gate is itself
tested on declarations that are broken on purpose.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .declaration import Exercise
from .judging import FAILED, NOT_ATTEMPTED, Verdict, cases_of, judge_on
from .recognising import remembering

SEEDS = (0, 1, 2)
MIN_MISTAKES = 3


def problems(exercise: Exercise, seeds: Sequence[int] = SEEDS) -> list[str]:
    """Everything that is wrong with a declaration, judged on the cases of several seeds."""
    found = list(_wording(exercise))
    for seed in seeds:
        with remembering():
            found += [f"seed {seed}: {problem}" for problem in _behaviour(exercise, seed)]
    return found


def _wording(exercise: Exercise) -> Iterator[str]:
    mistakes = exercise.mistakes
    if len(mistakes) < MIN_MISTAKES:
        yield f"only {len(mistakes)} mistakes are declared; at least {MIN_MISTAKES} are needed"
    for what in ("name", "why"):
        texts = [getattr(m, what) for m in mistakes]
        yield from (
            f"two mistakes share the {what} {t!r}" for t in {t for t in texts if texts.count(t) > 1}
        )
    for mistake in mistakes:
        if not (mistake.why.strip() and mistake.instead.strip()):
            yield f"mistake {mistake.name!r} does not say why it is wrong and what to try"
        if not mistake.implementations:
            yield f"mistake {mistake.name!r} has no implementation"
    if not exercise.reference.__doc__:
        yield "the reference has no docstring"
    if exercise.reference.__name__ != exercise.name:
        yield f"the reference is called {exercise.reference.__name__!r}"


def _behaviour(exercise: Exercise, seed: int) -> Iterator[str]:
    if exercise.project is not None:
        yield from _conduct(exercise, seed)
        return
    cases = cases_of(exercise, seed)

    def verdict_of(function: Callable[..., Any], naming: bool = True) -> Verdict:
        return judge_on(cases, function, exercise, naming=naming)

    if verdict_of(stub).state != NOT_ATTEMPTED:
        yield "a stub is not reported as not written"
    for function in (exercise.reference, *exercise.variants, *exercise.also_correct):
        verdict = verdict_of(function)
        if not verdict.ok:
            yield f"a right answer, {_called(function)}, is rejected: {verdict.headline}: {verdict.explanation}"
    for mistake in exercise.mistakes:
        for function in mistake.implementations:
            verdict = verdict_of(function)
            if verdict.state != FAILED:
                yield f"the mistake {mistake.name!r} ({_called(function)}) passes"
            elif verdict.mistake != mistake.name:
                yield (
                    f"the mistake {mistake.name!r} ({_called(function)}) is called "
                    f"{verdict.mistake!r} ({verdict.headline}: {verdict.explanation})"
                )
    for label, function, may_earn in lazy_answers(exercise, seed):
        verdict = verdict_of(function, naming=False)
        if verdict.state != FAILED:
            yield f"{label} passes"
        elif verdict.earned and not may_earn:
            yield f"{label} earns points"
    tags = {tag for case in cases for tag in case.tags}
    for tag in exercise.partial.keys() - tags:
        yield f"no case has the property {tag!r} that points are given for"


def _conduct(exercise: Exercise, seed: int) -> Iterator[str]:
    """The same for a project, whose answers have no values: its rules. (That right ones pass the test takes minutes.)"""

    def verdict_of(function: Callable[..., Any], test: bool = True) -> Verdict:
        return exercise.project.judge(function, exercise, seed, test)

    if verdict_of(stub).state != NOT_ATTEMPTED:
        yield "a stub is not reported as not written"
    for function in (exercise.reference, *exercise.also_correct):
        verdict = verdict_of(function, test=False)
        if not verdict.ok:
            yield f"a right answer, {_called(function)}, is rejected: {verdict.headline}: {verdict.explanation}"
    for mistake in exercise.mistakes:
        for function in mistake.implementations:
            verdict = verdict_of(function)
            if verdict.mistake != mistake.name:
                yield f"the mistake {mistake.name!r} ({_called(function)}) is called {verdict.mistake!r}"
    names = list(inspect.signature(exercise.reference).parameters)
    lazy = {f"the input `{name}` returned": lambda *g, i=i: g[i] for i, name in enumerate(names)}
    lazy |= {"the constant 0": lambda *_: 0.0, "nothing": lambda *_: None}
    for label, function in lazy.items():
        verdict = verdict_of(function)
        if verdict.state != FAILED or verdict.earned:
            yield f"{label} passes, or earns points"


def stub(*_arguments: Any) -> None:
    """What a student's copy holds before anything is written."""
    raise NotImplementedError("Exercise 0.0: stub")


def lazy_answers(exercise: Exercise, seed: int) -> Iterator[tuple[str, Callable[..., Any], bool]]:
    """Answers without thought: constants, an argument handed back, an argument never looked at.

    The last part says whether some of the points may be deserved: what ignores an argument can be
    right wherever that makes no difference.
    """
    cases = cases_of(exercise, seed)
    first = exercise.call is None
    example = exercise.reference(*_arguments(exercise, cases[0])) if first else None
    for number in (0.0, 1.0):
        yield f"the constant {number:g}", lambda *_, x=number: _filled(example, x), False
    yield "nothing", lambda *_: None, False
    names = list(inspect.signature(exercise.reference).parameters)
    for index, name in enumerate(names):
        yield f"the input `{name}` returned", lambda *given, i=index: given[i], False
        if name in exercise.may_ignore or name not in cases[0].inputs:
            continue
        fixed = {repr(case.inputs[name]) for case in cases if name in case.inputs}
        if len(fixed) < 2:
            yield (
                f"a function that ignores `{name}` (it is the same in every case)",
                exercise.reference,
                True,
            )
            continue
        yield f"a function that ignores `{name}`", _ignoring(exercise.reference, index), True


def _ignoring(function: Callable[..., Any], index: int) -> Callable[..., Any]:
    """`function` with one argument frozen at the first value it ever had."""
    seen: list[Any] = []

    def frozen(*given: Any) -> Any:
        seen.append(given[index]) if not seen else None
        return function(*given[:index], seen[0], *given[index + 1 :])

    return frozen


def _arguments(exercise: Exercise, case: Any) -> list[Any]:
    from collections import Counter

    from .probes import build

    return [build(value, Counter()) for value in case.inputs.values()]


def _filled(example: Any, number: float) -> Any:
    if isinstance(example, tuple):
        return tuple(_filled(item, number) for item in example)
    if isinstance(example, np.ndarray):
        return np.full_like(example, number)
    if hasattr(example, "fill_"):  # a tensor
        return example.detach().clone().fill_(number)
    return type(example)(number) if isinstance(example, bool | int | float) else number


def _called(function: Callable[..., Any]) -> str:
    line = getattr(getattr(function, "__code__", None), "co_firstlineno", "?")
    return f"{getattr(function, '__name__', 'function')} at line {line}"
