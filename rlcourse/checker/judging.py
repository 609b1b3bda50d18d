"""The ladder: from what came out of a function to a verdict that names the mistake.

Rungs, in order, and the first that fails is told: written? callable as asked? ran without an
exception? right form? inputs left alone? right values? used the environment as asked?
Below the first two, a known mistake that explains the outcome is named before anything general.
"""

from __future__ import annotations

import contextlib
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .comparing import same_answer, unpacked
from .declaration import Exercise
from .faults import Fault, fault_of
from .harness import Case, Failure, Outcome, run
from .recognising import Extent, known_run, recognise, remembering
from .registry import get
from .telling import located, rows_in_common, where
from .timing import SECONDS, TimeLimit, time_limit

PASSED, FAILED, NOT_ATTEMPTED = "passed", "failed", "not attempted"


class CourseFault(RuntimeError):
    """The course's own answer fails here, so nobody's can be judged: the kernel is damaged, or the course is."""


@dataclass(frozen=True)
class Verdict:
    """What is to be said of an answer.

    state: "passed", "failed" or "not attempted"; rung: where the ladder stopped ("written",
    "signature", "exception", "form", "inputs", "values", "conduct", "time", "" when passed);
    mistake: the name of the mistake that was recognised, or None; headline: one line;
    explanation: what is wrong; instead: what to try next; case: what was special about the first
    case that failed; passed, total: cases; printed: what the function printed there, its beginning;
    earned: points, part of them where the declaration gives some for a property.
    """

    exercise: str
    number: str
    state: str
    rung: str = ""
    mistake: str | None = None
    headline: str = ""
    explanation: str = ""
    instead: str = ""
    case: str = ""
    passed: int = 0
    total: int = 0
    printed: str = ""
    earned: int = 0

    @property
    def ok(self) -> bool:
        return self.state == PASSED


def cases_of(exercise: Exercise, seed: int | Sequence[int] = 0) -> list[Case]:
    """The exercise's cases for a seed; the same seed gives the same cases."""
    entropy = [seed] if isinstance(seed, int) else list(seed)
    rng = np.random.default_rng([*entropy, zlib.crc32(exercise.name.encode())])
    return exercise.cases(rng)


def judge(
    function: Any, name: str | None = None, seed: int | Sequence[int] = 0, seconds: float = SECONDS
) -> Verdict:
    """Judge `function` as an answer to the exercise `name` (default: the function's own name).

    Raises Unknown if there is no such exercise, CourseFault if the reference fails.
    """
    return judge_exercise(function, get(name or getattr(function, "__name__", "?")), seed, seconds)


def judge_exercise(
    function: Any, exercise: Exercise, seed: int | Sequence[int] = 0, seconds: float = SECONDS
) -> Verdict:
    """`judge` for a declaration in hand, registered or not. A project has a time of its own."""
    if exercise.project is not None:
        return exercise.project.judge(function, exercise, seed)
    return judge_on(cases_of(exercise, seed), function, exercise, seconds)


def judge_on(
    cases: Sequence[Case],
    function: Any,
    exercise: Exercise,
    seconds: float = SECONDS,
    naming: bool = True,
) -> Verdict:
    """`judge_exercise` on cases in hand. naming: whether a known mistake is looked for, which takes longest."""
    if networks := sys.modules.get(f"{__package__}.networks"):  # imported by lessons that need it
        networks.warm_up()
    outcomes = outcomes_of(function, exercise, cases, seconds)

    def repeats() -> bool:
        return len(outcomes) < len(cases) or _repeats(function, exercise, cases[0], outcomes[0])

    return verdict(exercise, cases, outcomes, repeats, naming)


def outcomes_of(
    function: Any, exercise: Exercise, cases: Sequence[Case], seconds: float = SECONDS
) -> list[Outcome]:
    """Run `function` on the cases; stops early at a stub, a wrong signature or a time limit."""
    outcomes: list[Outcome] = []
    seconds = min(seconds, exercise.seconds)
    if not callable(function):
        problem = f"{exercise.name} should be a function; it is of type {type(function).__name__}"
        return [Outcome(failure=Failure("TypeError", "signature", problem, ""))]
    try:
        with time_limit(seconds):
            for case in cases:
                outcomes.append(run(function, case, exercise.call))
                if _stops(outcomes[-1]):
                    break
    except TimeLimit:
        limit = f"no answer after {seconds:g} seconds"
        outcomes.append(Outcome(failure=Failure("TimeLimit", "time", limit, "")))
    return outcomes


def _repeats(function: Callable[..., Any], exercise: Exercise, case: Case, before: Outcome) -> bool:
    """Whether a case that gave a value gives the same value again, whatever was called in between."""
    with contextlib.suppress(TimeLimit), time_limit(SECONDS):
        now = run(function, case, exercise.call)
        valued = before.failure is None and now.failure is None
        return not valued or same_answer(exercise, before.value, now.value)
    return True


def _stops(outcome: Outcome) -> bool:
    failure = outcome.failure
    return failure is not None and (failure.unwritten or failure.tag == "signature")


# ------------------------------------------------------------------------------------ the ladder


@remembering()
@np.errstate(all="ignore")  # where answers diverge, so do their differences
def verdict(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    repeats: Callable[[], bool] = lambda: True,
    naming: bool = True,
) -> Verdict:
    """Compare outcomes with the reference's and say what is wrong, if anything.

    `outcomes` may come from another process; there may be fewer than cases, if the run stopped.
    repeats: whether the first case gives the same value again, for who can call the function; asked at most
    once, when nothing else explains a wrong answer. naming: whether a known mistake is looked for.
    """
    outcomes = [replace(outcome, value=unpacked(exercise, outcome.value)) for outcome in outcomes]
    accepted = [_reference_outcomes(exercise, f, cases) for f in _right_functions(exercise)]
    faults = [
        fault_of(exercise, case, outcome, [run_of_one[i] for run_of_one in accepted])
        for i, (case, outcome) in enumerate(zip(cases, outcomes, strict=False))
    ]
    missing = len(cases) - len(outcomes)
    passed = sum(fault is None for fault in faults)
    total = len(cases)
    if passed == total:
        line = f"right in all {total} cases"
        return Verdict(
            exercise.name, exercise.number, PASSED, "", None, line,
            explanation=_remark(exercise, cases, outcomes, accepted[0]),
            passed=passed, total=total, earned=exercise.points,
        )  # fmt: skip
    if not any(faults):
        return _told(
            exercise, "time", "The run stopped before all cases were answered.", "", passed, total
        )

    first = next(i for i, fault in enumerate(faults) if fault is not None)
    outcome, fault = outcomes[first], faults[first]
    failure = outcome.failure
    if failure is not None and failure.unwritten:
        return Verdict(
            exercise.name, exercise.number, NOT_ATTEMPTED, "written",
            headline="not written yet", total=total,
            explanation="The cell still raises NotImplementedError.",
            instead="Replace that line by your answer, run the cell, then run the check again.",
        )  # fmt: skip
    common = dict(
        exercise=exercise.name, number=exercise.number, state=FAILED, case=cases[first].name,
        passed=passed, total=total, printed=outcome.printed,
        earned=_earned_in_part(exercise, cases, faults),
    )  # fmt: skip
    wrong = [fault is not None for fault in faults] + [True] * missing
    if naming and (failure is None or failure.tag != "signature"):
        known = recognise(exercise, cases, outcomes, accepted[0], faults)
        if known is not None:
            mistake, why = known.mistake, known.mistake.why
            if known.extent is Extent.WRONG:
                # Who makes a mistake here and there is not to read that it is made always.
                why = f"{why} {where(cases, wrong, first)}"
            more = known.extent is Extent.FIRST
            return Verdict(
                **common, rung=fault.rung, mistake=mistake.name,
                headline=f"first: {mistake.name}" if more else mistake.name,
                explanation=f"{why} {_MORE}" if more else why, instead=mistake.instead,
            )  # fmt: skip
    if fault.rung in ("values", "conduct") and not repeats():
        return Verdict(
            **common, rung=fault.rung, headline="not the same twice",
            explanation="Called again with the same inputs, your function gives another result: something is "
            "kept from one call to the next, or is drawn at random without being asked for.",
            instead="Look for variables outside your function, and for default values that it changes.",
        )  # fmt: skip
    text = located(cases, wrong, faults, first)
    if fault.rung == "values" and not missing:
        text = rows_in_common(exercise, cases, outcomes, accepted[0]) or text
    return Verdict(
        **common, rung=fault.rung, headline=fault.headline, explanation=text, instead=fault.instead,
    )  # fmt: skip


def _remark(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    reference: Sequence[Outcome],
) -> str:
    """What is worth saying of a right answer that does what a variant does, and the reference does not."""

    def alike(others: Sequence[Outcome]) -> bool:
        pairs = zip(outcomes, others, strict=True)
        return all(same_answer(exercise, mine.value, other.value) for mine, other in pairs)

    for variant, sentence in exercise.remarks:
        did = [known_run(variant, case, exercise.call) for case in cases]
        if alike(did) and not alike(reference):
            return sentence
    return ""


_MORE = "This is not all that differs: put it right first, then check again."


def _earned_in_part(
    exercise: Exercise, cases: Sequence[Case], faults: Sequence[Fault | None]
) -> int:
    """Points for the properties of which every case is right; fewer than the whole, and none unanswered."""
    right_ones = {i for i, fault in enumerate(faults) if fault is None}
    earned = sum(
        points
        for tag, points in exercise.partial.items()
        if all(i in right_ones for i, case in enumerate(cases) if tag in case.tags)
    )
    return min(earned, exercise.points - 1)


def _told(
    exercise: Exercise, rung: str, text: str, instead: str, passed: int, total: int
) -> Verdict:
    return Verdict(
        exercise.name, exercise.number, FAILED, rung, None, "not finished", text, instead,
        passed=passed, total=total,
    )  # fmt: skip


def _right_functions(exercise: Exercise) -> list[Callable[..., Any]]:
    return [exercise.reference, *exercise.variants]


def _reference_outcomes(
    exercise: Exercise, function: Callable[..., Any], cases: Sequence[Case]
) -> list[Outcome]:
    if exercise.by_itself:
        return [Outcome()] * len(cases)
    results = [known_run(function, case, exercise.call) for case in cases]
    for case, result in zip(cases, results, strict=True):
        if result.failure is not None:
            told = f"{result.failure.type_name}: {result.failure.message}"
            raise CourseFault(
                f"the course's own {exercise.name} fails on {case.name!r} with {told}"
            )
    return results
