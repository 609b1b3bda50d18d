"""Which known mistake explains what an answer did."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .comparing import same_answer
from .declaration import Exercise, Mistake
from .faults import Fault
from .harness import Case, Failure, Outcome, run
from .timing import SECONDS, TimeLimit, time_limit


def recognise(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    faults: Sequence[Fault | None],
) -> tuple[Mistake | None, bool]:
    """The mistake that explains the outcomes, and whether all of them or just every wrong one.

    The weaker match (an answer that is right in cases where the plain mistake is not) needs two
    wrong cases, and only one mistake that fits, to be believed.
    """
    partial: list[Mistake] = []
    # Two wrong answers to a yes-or-no question are always the same: no sign of the same mistake.
    two_valued = exercise.returns.kind == "bool" or exercise.returns.dtype == "mask"
    repeated = sum(fault is not None for fault in faults) >= 2
    whole: list[tuple[Mistake, Callable[..., Any]]] = []
    for mistake in exercise.mistakes:
        if mistake.shows is not None and mistake.shows(cases, outcomes):
            return mistake, True
        for function in mistake.implementations:
            explained = _explained(exercise, function, cases, outcomes, faults)
            if explained == len(cases):
                whole.append((mistake, function))
            elif explained and repeated and not two_valued and mistake not in partial:
                partial.append(mistake)
    if whole:
        return _same_doing(exercise, cases, outcomes, whole), True
    return partial[0] if len(partial) == 1 else None, False


def _same_doing(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    candidates: Sequence[tuple[Mistake, Callable[..., Any]]],
) -> Mistake:
    """Of mistakes with the same outcomes the first that was noted to do the same; else the first."""
    if len(candidates) > 1:
        for mistake, function in candidates:
            if run(function, cases[0], exercise.call).notes == outcomes[0].notes:
                return mistake
    return candidates[0][0]


def _explained(
    exercise: Exercise,
    function: Callable[..., Any],
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    faults: Sequence[Fault | None],
) -> int:
    """How many outcomes this wrong function reproduces; 0 unless every wrong one is among them."""
    # Numbers speak first; what was called how often counts only where all numbers are right.
    with_notes = all(fault is None or fault.rung == "conduct" for fault in faults)
    # Wrong ones first: the first that is not reproduced settles it.
    order = sorted(range(len(outcomes)), key=lambda i: faults[i] is None)
    explained = 0
    with contextlib.suppress(TimeLimit), time_limit(SECONDS):
        for i in order:
            mistaken = run(function, cases[i], exercise.call)
            if _same_outcome(exercise, cases[i], outcomes[i], mistaken, with_notes):
                explained += 1
            else:
                return explained if faults[i] is None else 0
    return explained


def _same_outcome(exercise: Exercise, case: Case, a: Outcome, b: Outcome, with_notes: bool) -> bool:
    if a.failure is not None or b.failure is not None:
        if a.failure is None or b.failure is None:
            return False
        return _kind_of_failure(a.failure) == _kind_of_failure(b.failure)
    if a.changed != b.changed:
        return False
    if with_notes and any(a.notes.get(key) != b.notes.get(key) for key in exercise.notes):
        return False
    rule = exercise.alike or exercise.agrees
    if rule is not None:
        return bool(rule(case, a.value, b.value))
    alike = same_answer(exercise, a.value, b.value)
    any_kind = exercise.returns.dtype == "mask"
    return alike and (any_kind or _kind(a.value) == _kind(b.value))


def _kind_of_failure(failure: Failure) -> tuple[str, ...]:
    """Type and tag; of a RuntimeError, which PyTorch raises for everything, the message's words as well."""
    words = re.sub(r"\d+", "", failure.message) if failure.type_name == "RuntimeError" else ""
    return failure.type_name, failure.tag, words


def _kind(value: Any) -> Any:
    """Enough of a value's type to tell an index array from a float one."""
    if isinstance(value, np.ndarray) and value.ndim:  # a 0-d array is a number
        return value.ndim, value.dtype.kind in "iu"
    if isinstance(value, tuple | list):
        return tuple(_kind(item) for item in value)
    return None
