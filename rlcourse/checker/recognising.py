"""Which known mistake explains what an answer did: one of them, two at once, or the first of more."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations
from typing import Any

import numpy as np

from .comparing import differing, same_answer
from .declaration import Exercise, Mistake, Recipe
from .faults import Fault
from .harness import Case, Failure, Outcome, run
from .plain import Tensor
from .timing import SECONDS, TimeLimit, time_limit

Memory = dict[tuple[Callable[..., Any], int, str | None], Outcome]
_memory: Memory | None = None


@contextlib.contextmanager
def remembering(memory: Memory | None = None) -> Iterator[None]:
    """In this block the course's own functions, right and wrong ones, run once on a case.

    The cases must outlive the block: they are known by their identity. A block within one is part of it.
    memory: one that outlives the block, for who keeps the cases as long.
    """
    global _memory
    if memory is None:
        memory = {} if _memory is None else _memory
    outer, _memory = _memory, memory
    try:
        yield
    finally:
        _memory = outer


def known_run(function: Callable[..., Any], case: Case, call: str | None) -> Outcome:
    """`run` for a function of a declaration."""
    if _memory is None:
        return run(function, case, call)
    key = (function, id(case), call)
    if key not in _memory:
        _memory[key] = run(function, case, call)
    return _memory[key]


class Extent(Enum):
    """How much of what an answer did its mistake explains."""

    WHOLE = "all of it"
    WRONG = "every case that is wrong, though the plain mistake would be wrong in more"
    FIRST = "a part: there is more to put right"


@dataclass(frozen=True)
class Recognised:
    """A known mistake, and how much of the answer it explains."""

    mistake: Mistake
    extent: Extent


@dataclass
class _Observed:
    """What an answer did on the cases, beside what is right, and what is wrong with it."""

    exercise: Exercise
    cases: Sequence[Case]
    outcomes: Sequence[Outcome]
    right: Sequence[Outcome]
    faults: Sequence[Fault | None]

    @property
    def wrong(self) -> list[int]:
        return [i for i, fault in enumerate(self.faults) if fault is not None]

    @property
    def two_valued(self) -> bool:
        """Two wrong answers to a yes-or-no question are always the same: no sign of one mistake."""
        return self.exercise.returns.kind == "bool" or self.exercise.returns.dtype == "mask"


def recognise(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    right: Sequence[Outcome],
    faults: Sequence[Fault | None],
) -> Recognised | None:
    """The mistake that explains the outcomes. right: what the reference did.

    One mistake alone is looked for first, then two of one maker together, then the one that explains
    most of what is wrong.
    """
    observed = _Observed(exercise, cases, outcomes, right, faults)
    with contextlib.suppress(TimeLimit), time_limit(SECONDS):
        return _alone(observed) or _first_of_two(observed) or _visible(observed)
    return None


# ------------------------------------------------------------------------------- one alone


def _alone(observed: _Observed) -> Recognised | None:
    """The mistake that explains all the outcomes, or else every wrong one.

    The weaker match (an answer that is right in cases where the plain mistake is not) needs two
    wrong cases, and only one mistake that fits, to be believed.
    """
    exercise, cases, outcomes = observed.exercise, observed.cases, observed.outcomes
    partial: list[Mistake] = []
    repeated = len(observed.wrong) >= 2
    whole: list[tuple[Mistake, Callable[..., Any]]] = []
    for mistake in exercise.mistakes:
        if mistake.shows is not None and mistake.shows(cases, outcomes):
            return Recognised(mistake, Extent.WHOLE)
        for function in mistake.implementations:
            explained = _explained(observed, function)
            if explained == len(cases):
                whole.append((mistake, function))
            elif explained and repeated and not observed.two_valued and mistake not in partial:
                partial.append(mistake)
    if whole:
        return Recognised(_same_doing(exercise, cases, outcomes, whole), Extent.WHOLE)
    return Recognised(partial[0], Extent.WRONG) if len(partial) == 1 else None


def _same_doing(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    candidates: Sequence[tuple[Mistake, Callable[..., Any]]],
) -> Mistake:
    """Of mistakes with the same outcomes the first that was noted to do the same; else the first."""
    if len(candidates) > 1:
        for mistake, function in candidates:
            if known_run(function, cases[0], exercise.call).notes == outcomes[0].notes:
                return mistake
    return candidates[0][0]


def _explained(observed: _Observed, function: Callable[..., Any]) -> int:
    """How many outcomes this wrong function reproduces; 0 unless every wrong one is among them."""
    exercise, cases, outcomes = observed.exercise, observed.cases, observed.outcomes
    faults = observed.faults
    # Numbers speak first; what was called how often counts only where all numbers are right.
    with_notes = all(fault is None or fault.rung == "conduct" for fault in faults)
    # Wrong ones first: the first that is not reproduced settles it.
    order = sorted(range(len(outcomes)), key=lambda i: faults[i] is None)
    explained = 0
    for i in order:
        mistaken = known_run(function, cases[i], exercise.call)
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


# ------------------------------------------------------------------------------- two at once


SECONDS_TOGETHER = 1.0  # of the processor: loops have a thousand pairs, the likely ones come first


def _first_of_two(observed: _Observed) -> Recognised | None:
    """The first of two mistakes that together explain everything, where a maker can make both."""
    if observed.exercise.returns.kind == "bool":
        return None
    began = time.process_time()
    for first, function in _pairs(observed.exercise):
        if _explained(observed, function) == len(observed.cases):
            return Recognised(first, Extent.FIRST)
        if time.process_time() - began > SECONDS_TOGETHER:
            break
    return None


def _pairs(exercise: Exercise) -> Iterator[tuple[Mistake, Callable[..., Any]]]:
    """Two mistakes in one function, for all that change different options of the same maker.

    The usual way of making each comes first, then the others.
    """
    made = [
        (mistake, way, recipe.maker, right, _changes(recipe, right))
        for mistake in exercise.mistakes
        for way, recipe in enumerate(map(_recipe, mistake.implementations))
        if recipe is not None and (right := _right_options(exercise, recipe.maker)) is not None
    ]
    pairs = sorted(combinations(made, 2), key=lambda pair: pair[0][1] + pair[1][1])
    for (one, _, maker, right, changed), (other, _, maker_2, _, changed_2) in pairs:
        both = changed.keys() & changed_2.keys()
        # An option that both set alike, as working in place, is no clash.
        apart = all(_same_option(changed[k], changed_2[k]) for k in both)
        more = changed.keys() - both and changed_2.keys() - both
        if one is not other and maker is maker_2 and apart and more:
            with contextlib.suppress(TypeError, ValueError):  # options that exclude each other
                made_both = maker(**(right | changed | changed_2))
                yield from ((one, f) for f in _functions(made_both))


def _functions(made: Any) -> tuple[Callable[..., Any], ...]:
    return made if isinstance(made, tuple) else (made,)


def _recipe(function: Callable[..., Any]) -> Recipe | None:
    return getattr(function, "recipe", None)


def _right_options(exercise: Exercise, maker: Callable[..., Any]) -> dict[str, Any] | None:
    """Those of the first right answer from this maker."""
    for function in exercise.also_correct:
        recipe = _recipe(function)
        if recipe is not None and recipe.maker is maker:
            return dict(recipe.options)
    return None


def _changes(recipe: Recipe, right: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in recipe.options.items() if not _same_option(v, right.get(k))}


def _same_option(a: Any, b: Any) -> bool:
    """Equal, or two functions written alike: a lambda is another object wherever it is written."""
    codes = [getattr(x, "__code__", None) for x in (a, b)]
    if None in codes:
        return a is b or (type(a) is type(b) and a == b)
    parts = [
        (c.co_code, c.co_consts, c.co_names, x.__closure__)
        for c, x in zip(codes, (a, b), strict=True)
    ]
    return parts[0] == parts[1]


# ------------------------------------------------------------------------- the most of what is wrong

SHARE, CASES, PLACES = 2 / 3, 2, 3
UPDATES = 3  # cases of whole updates that are looked at


@dataclass
class _Evidence:
    """How well one wrong function agrees with the answer where either of them is not right.

    cases, places: in how many cases, and single numbers, both are wrong and the same; odd_cases,
    odd_places: in how many either is wrong and they differ; parts: networks that the first call
    moved alike and not as it should, wherever it moved them wrongly.
    """

    cases: int = 0
    odd_cases: int = 0
    places: int = 0
    odd_places: int = 0
    parts: int = 0

    @property
    def believed(self) -> bool:
        most_cases = self.cases >= CASES and self.cases > SHARE * (self.cases + self.odd_cases)
        most_places = self.places >= PLACES and self.places > SHARE * (
            self.places + self.odd_places
        )
        return most_cases or most_places or self.parts > 0

    @property
    def key(self) -> tuple[int, int, int]:
        return self.cases, self.parts, self.places


def _visible(observed: _Observed) -> Recognised | None:
    """The one mistake that reproduces most of what is wrong; None if none does, or two as well."""
    form = observed.exercise.returns
    # Integers are easily hit, and so is the sweep at which a loop stops.
    counted = any(
        part.kind == "int" or part.dtype == "int" for part in (form, *form.items.values())
    )
    if observed.two_valued or counted:
        return None
    looked_at = [i for i, outcome in enumerate(observed.outcomes) if outcome.failure is None]
    if observed.exercise.call is not None:  # slow, and of reports only the weights are looked at
        looked_at = looked_at[:UPDATES]
    if sum(observed.faults[i] is not None for i in looked_at) < CASES:
        return None
    found, began = [], time.process_time()
    for mistake in observed.exercise.mistakes:
        if time.process_time() - began > SECONDS_TOGETHER:
            return None
        evidence = [_evidence(observed, f, looked_at) for f in mistake.implementations]
        if believed := [each.key for each in evidence if each.believed]:
            found.append((max(believed), mistake))
    found.sort(key=lambda pair: pair[0], reverse=True)
    if not found or (len(found) > 1 and found[0][0] == found[1][0]):
        return None
    return Recognised(found[0][1], Extent.FIRST)


def _evidence(
    observed: _Observed, function: Callable[..., Any], looked_at: Sequence[int]
) -> _Evidence:
    exercise, seen = observed.exercise, _Evidence()
    parts: dict[str, list[bool]] = {}
    for i in looked_at:
        answer, theirs = observed.outcomes[i].value, observed.right[i].value
        mistaken = known_run(function, observed.cases[i], exercise.call)
        if exercise.call is not None:
            # What a report holds besides the weights is too easily alike: a gradient of 0, a right value.
            for name, verdict in _moved_alike(exercise, answer, theirs, mistaken.value):
                parts.setdefault(name, []).append(verdict)
            continue
        mine, right, other = map(_numbers, (answer, theirs, mistaken.value))
        same_places = odd_places = 0
        for place in right:
            if place not in mine or mine[place].shape != right[place].shape:
                odd_places += right[place].size
                continue
            a, b = mine[place], right[place]
            made = other.get(place)
            if made is None or made.shape != b.shape:
                made = np.full_like(b, np.nan)
            # A zero is easily had by other ways.
            alike = ~differing(exercise, a, made) & (a != 0)
            astray = differing(exercise, a, b) | differing(exercise, made, b)
            same_places += int((astray & alike).sum())
            odd_places += int((astray & ~alike).sum())
        seen.places += same_places
        seen.odd_places += odd_places
        seen.cases += bool(same_places and not odd_places)
        seen.odd_cases += bool(odd_places)
    seen.parts = sum(len(verdicts) >= CASES and all(verdicts) for verdicts in parts.values())
    return seen


def _numbers(value: Any, place: str = "") -> dict[str, np.ndarray]:
    """The floats of a value by their place in it: an integer is easily hit."""
    if isinstance(value, Tensor):
        value = value.data
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, tuple | list):
        items = list(enumerate(value))
    elif isinstance(value, np.ndarray | np.generic) or type(value) is float:
        array = np.asarray(value)
        return {place: array} if array.dtype.kind == "f" and array.size else {}
    else:
        return {}
    parts = [_numbers(item, f"{place}/{key}") for key, item in items]
    return {key: array for part in parts for key, array in part.items()}


def _moved_alike(
    exercise: Exercise, answer: Any, right: Any, mistaken: Any
) -> Iterator[tuple[str, bool]]:
    """Of every network that the answer's first call moved wrongly: whether the mistake moves it so."""
    weights = [v.get("weights") if isinstance(v, dict) else None for v in (answer, right, mistaken)]
    if not all(isinstance(tree, dict) for tree in weights):
        return
    mine, theirs, other = weights
    for name in mine.keys() & theirs.keys() & other.keys():
        a, b, made = mine[name], theirs[name], other[name]
        if min(map(len, (a, b, made))) < 2 or not a.shape[1:] == b.shape[1:] == made.shape[1:]:
            continue
        if differing(exercise, a[1], b[1]).any():
            moved = bool(differing(exercise, a[1], a[0]).any())
            yield name, moved and not differing(exercise, a[1], made[1]).any()
