"""The ladder: from what came out of a function to a verdict that names the mistake.

Rungs, in order, and the first that fails is told: written? callable as asked? ran without an
exception? right form? inputs left alone? right values? used the environment as asked?
Below the first two, a known mistake that explains the outcome is named before anything general.
"""

from __future__ import annotations

import contextlib
import re
import signal
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .comparing import common_tag, difference, ill_formed, right, same_answer
from .declaration import Exercise, Mistake
from .harness import Case, Failure, Outcome, TimeLimit, run
from .registry import get

SECONDS = 20.0

PASSED, FAILED, NOT_ATTEMPTED = "passed", "failed", "not attempted"


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

    Raises Unknown if there is no such exercise.
    """
    return judge_exercise(function, get(name or getattr(function, "__name__", "?")), seed, seconds)


def judge_exercise(
    function: Any, exercise: Exercise, seed: int | Sequence[int] = 0, seconds: float = SECONDS
) -> Verdict:
    """`judge` for a declaration in hand, registered or not."""
    cases = cases_of(exercise, seed)
    outcomes = outcomes_of(function, exercise, cases, seconds)

    def repeats() -> bool:
        return len(outcomes) < len(cases) or _repeats(function, exercise, cases[0], outcomes[0])

    return verdict(exercise, cases, outcomes, repeats)


def outcomes_of(
    function: Any, exercise: Exercise, cases: Sequence[Case], seconds: float = SECONDS
) -> list[Outcome]:
    """Run `function` on the cases; stops early at a stub, a wrong signature or a time limit."""
    outcomes: list[Outcome] = []
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


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimit in the block after `seconds`, where the system can (Unix, main thread)."""
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not usable:
        yield
        return

    def stop(_signal: int, _frame: Any) -> None:
        raise TimeLimit

    previous = signal.signal(signal.SIGALRM, stop)
    # Repeats, in case the first one is swallowed by a bare `except:`.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


# ------------------------------------------------------------------------------------ the ladder


@np.errstate(all="ignore")  # where answers diverge, so do their differences
def verdict(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    repeats: Callable[[], bool] = lambda: True,
) -> Verdict:
    """Compare outcomes with the reference's and say what is wrong, if anything.

    `outcomes` may come from another process; there may be fewer than cases, if the run stopped.
    repeats: whether the first case gives the same value again, for who can call the function; asked at most
    once, when nothing else explains a wrong answer.
    """
    accepted = [_reference_outcomes(exercise, f, cases) for f in _right_functions(exercise)]
    faults = [
        _fault(exercise, case, outcome, [run_of_one[i] for run_of_one in accepted])
        for i, (case, outcome) in enumerate(zip(cases, outcomes, strict=False))
    ]
    missing = len(cases) - len(outcomes)
    passed = sum(fault is None for fault in faults)
    total = len(cases)
    if passed == total:
        line = f"right in all {total} cases"
        return Verdict(
            exercise.name, exercise.number, PASSED, "", None, line,
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
    if failure is None or failure.tag != "signature":
        mistake, whole = _recognise(exercise, cases, outcomes, faults)
        if mistake is not None:
            # Who makes a mistake here and there is not to read that it is made always.
            why = mistake.why if whole else f"{mistake.why} {_where(cases, wrong, first)}"
            return Verdict(
                **common, rung=fault.rung, mistake=mistake.name,
                headline=mistake.name, explanation=why, instead=mistake.instead,
            )  # fmt: skip
    if fault.rung in ("values", "conduct") and not repeats():
        return Verdict(
            **common, rung=fault.rung, headline="not the same twice",
            explanation="Called again with the same inputs, your function gives another result: something is "
            "kept from one call to the next, or is drawn at random without being asked for.",
            instead="Look for variables outside your function, and for default values that it changes.",
        )  # fmt: skip
    return Verdict(
        **common, rung=fault.rung, headline=fault.headline,
        explanation=_located(cases, wrong, faults, first), instead=fault.instead,
    )  # fmt: skip


def _earned_in_part(
    exercise: Exercise, cases: Sequence[Case], faults: Sequence[_Fault | None]
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
    results = [run(function, case, exercise.call) for case in cases]
    for case, result in zip(cases, results, strict=True):
        if result.failure is not None:
            problem = f"{exercise.name}: the reference fails on {case.name!r}: {result.failure}"
            raise RuntimeError(problem)
    return results


@dataclass(frozen=True)
class _Fault:
    rung: str
    headline: str
    text: str
    instead: str


def _fault(
    exercise: Exercise, case: Case, outcome: Outcome, accepted: Sequence[Outcome]
) -> _Fault | None:
    """The first rung on which this outcome fails, or None. `accepted`: of each right function."""
    if outcome.failure is not None:
        return _failed_run(exercise, outcome.failure)
    for reference in accepted:
        agrees = right(exercise, case, outcome.value, reference.value)
        form = ill_formed(exercise, outcome.value, reference.value)
        conduct = any(outcome.notes.get(k) != reference.notes.get(k) for k in exercise.notes)
        if agrees and not form and not conduct and not outcome.changed:
            return None
    reference = accepted[0]
    form = ill_formed(exercise, outcome.value, reference.value)
    if form:
        return _Fault(
            "form",
            "wrong form",
            form[0].upper() + form[1:],
            "Look at what the docstring says is returned.",
        )
    if outcome.changed:
        names = " and ".join(f"`{name}`" for name in outcome.changed)
        text = f"Your function changes its argument {names} in place; the caller still needs the old values."
        return _Fault("inputs", "changes its input", text, "Work on a copy, or build a new array.")
    if not any(right(exercise, case, outcome.value, r.value) for r in accepted):
        text = ""
        if exercise.tells is not None:
            text = exercise.tells(case, outcome.value, reference.value)
        elif exercise.agrees is None:
            text = difference(exercise, case, outcome.value, reference.value)
        instead = f"Compare your code with equation {exercise.equation}, term by term."
        if exercise.returns.kind == "figures":
            instead = "Compare your steps with the lesson's, one by one and in their order."
        return _Fault(
            "values", "wrong values", text or "Your result is not what the equation gives.", instead
        )
    for key in exercise.notes:
        if outcome.notes.get(key) != reference.notes.get(key):
            misused = "`rng`" if key == "rng" else "the environment"
            return _Fault(
                "conduct",
                f"wrong use of {misused}",
                _conduct(key, outcome, reference),
                "Walk through one short run on paper, and count.",
            )
    return None


_CONDUCT = {
    "resets": "called reset()",
    "steps": "called step()",
    "choices": "asked for an action",  # of a policy, or of `select`
}


def _conduct(key: str, outcome: Outcome, reference: Outcome) -> str:
    if key == "rng":
        return "Your function draws more random numbers from `rng`, or fewer, than the task lists."
    counts = f"{outcome.notes.get(key, 0)} times, where {reference.notes.get(key, 0)} are right"
    return f"Your loop {_CONDUCT.get(key, key)} {counts}."


_MISUSE = {
    "stepped-after-end": (
        "Your loop called step() after the episode had ended.",
        "An episode ends when terminated *or* truncated is true; leave the loop then.",
    ),
    "reset-with-seed": (
        "Your loop calls reset() with a seed, so that every episode would be the same one.",
        "Call reset() without arguments, once an episode.",
    ),
    "never-ends": (
        "Your loop never came to an end.",
        "What changes from one round to the next? Look at the condition that ends the loop.",
    ),
    "bad-action": (
        "Your loop gave step() something that is no action.",
        "An action is one integer from 0 to A − 1.",
    ),
    "own-action": (
        "Your loop draws an action from the action space itself; whoever chooses was passed in.",
        "Which argument of your function says how to choose an action? It needs `rng` to do so.",
    ),
    "no-action": (
        "A critic was called with one argument.",
        "Q(s, a) needs both: the observations, and then the actions.",
    ),
    "own-backward": (
        "Your function calls backward() itself; it should return its result and leave that to the caller.",
        "Return the tensor; do not step, and do not differentiate.",
    ),
    "no-grad-left-on": (
        "Your function switches gradients off and leaves them off, for everybody who comes after it.",
        "A block `with torch.no_grad():` ends where its indentation ends.",
    ),
    "not-a-row": ("select() was given something that is not one row of q.", "Give it q[s]."),
}  # fmt: skip

_NO_ENVIRONMENT = ("no-action", "own-backward", "no-grad-left-on", "not-a-row")


def _failed_run(exercise: Exercise, failure: Failure) -> _Fault:
    if failure.tag == "signature":
        text = f"It cannot be called as asked: {failure.message}."
        return _Fault(
            "signature",
            "wrong signature",
            text,
            "Keep the arguments of the first line as they were given.",
        )
    if failure.tag == "time":
        text = f"There was {failure.message}: a loop that does not end?"
        return _Fault(
            "time",
            "takes too long",
            text,
            "Look at what ends your loop, and whether it can ever happen.",
        )
    if failure.tag in _MISUSE:
        text, instead = _MISUSE[failure.tag]
        given = "what is given" if failure.tag in _NO_ENVIRONMENT else "the environment"
        return _Fault("exception", f"wrong use of {given}", text, instead)
    if failure.unwritten:
        return _Fault("written", "not written yet", "", "")
    said = f": {failure.message}" if failure.message else ""
    where = f" The line was `{failure.line}`." if failure.line else ""
    text = f"Your function raised {failure.type_name}{said}.{where}"
    return _Fault(
        "exception",
        failure.type_name,
        text,
        "Run it by hand on two or three small numbers, printing shapes.",
    )


def _located(
    cases: Sequence[Case], wrong: Sequence[bool], faults: Sequence[_Fault | None], first: int
) -> str:
    """The first fault's text, and where it holds: in every case, in those of one kind, or in this one."""
    fault = faults[first]
    everywhere = all(wrong) and len({each.text for each in faults}) == 1
    if everywhere or fault.rung == "signature":
        return fault.text
    return f"{fault.text} {_where(cases, wrong, first)}"


def _where(cases: Sequence[Case], wrong: Sequence[bool], first: int) -> str:
    if sum(wrong) == 1:  # that one case has some property or other proves nothing
        return f"Only one case is wrong: {cases[first].name}."
    tag = common_tag(cases, wrong)
    return f"This happens exactly where: {tag}." if tag else f"The case: {cases[first].name}."


# --------------------------------------------------------------------------------- known mistakes


def _recognise(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    faults: Sequence[_Fault | None],
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
    faults: Sequence[_Fault | None],
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
