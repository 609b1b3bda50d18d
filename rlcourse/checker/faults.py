"""The first rung on which an outcome fails, and what is said of it in general."""

from __future__ import annotations

import builtins
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from .comparing import difference, ill_formed, right
from .declaration import Exercise
from .harness import Case, Failure, Outcome


@dataclass(frozen=True)
class Fault:
    rung: str
    headline: str
    text: str
    instead: str


def fault_of(
    exercise: Exercise, case: Case, outcome: Outcome, accepted: Sequence[Outcome]
) -> Fault | None:
    """The first rung on which this outcome fails, or None. `accepted`: of each right function."""
    if outcome.failure is not None:
        return failed_run(exercise, outcome.failure)
    for reference in accepted:
        agrees = right(exercise, case, outcome.value, reference.value)
        form = ill_formed(exercise, outcome.value, reference.value)
        conduct = any(outcome.notes.get(k) != reference.notes.get(k) for k in exercise.notes)
        if agrees and not form and not conduct and not outcome.changed:
            return None
    reference = accepted[0]
    form = ill_formed(exercise, outcome.value, reference.value)
    chooser = _never_asked(exercise, case, outcome, reference)
    if chooser:
        text = f"Your loop never calls `{chooser}`: somebody else chose its actions."
        instead = "Which argument of your function says how to choose an action? Ask it before every step."
        return Fault("conduct", f"never asks `{chooser}`", text, instead)
    if form:
        return Fault(
            "form",
            "wrong form",
            form[0].upper() + form[1:],
            "Look at what the docstring says is returned.",
        )
    if outcome.changed:
        return _changed_input(outcome.changed)
    if not any(right(exercise, case, outcome.value, r.value) for r in accepted):
        text = ""
        if exercise.tells is not None:
            text = exercise.tells(case, outcome.value, reference.value)
        elif exercise.agrees is None:
            text = difference(exercise, case, outcome.value, reference.value)
        instead = f"Compare your code with equation {exercise.equation}, term by term."
        if exercise.returns.kind == "figures":
            instead = "Compare your steps with the lesson's, one by one and in their order."
        return Fault(
            "values", "wrong values", text or "Your result is not what the equation gives.", instead
        )
    for key in exercise.notes:
        if outcome.notes.get(key) != reference.notes.get(key):
            misused = {"rng": "`rng`", "runs": "`run`"}.get(key, "the environment")
            return Fault(
                "conduct",
                f"wrong use of {misused}",
                _conduct(key, outcome, reference),
                "Walk through one short run on paper, and count.",
            )
    return None


def _never_asked(exercise: Exercise, case: Case, outcome: Outcome, reference: Outcome) -> str:
    """The argument that chooses actions, if a loop took steps without a single call of it.

    Told before the form: an episode of other actions has another length, which says nothing.
    """
    if "choices" not in exercise.notes or outcome.notes.get("choices") or outcome.value is None:
        return ""
    if not (outcome.notes.get("steps") and reference.notes.get("choices")):
        return ""
    named = (name for name, value in case.inputs.items() if getattr(value, "chooses", False))
    return next(named, "policy")


def _changed_input(changed: Sequence[str]) -> Fault:
    """What became of the inputs: numbers, a flag, or gradients left behind."""
    headline = "changes its input"
    plainly = [name for name in changed if not name.endswith((".grad", ".requires_grad"))]
    if plainly:
        names = " and ".join(f"`{name}`" for name in plainly)
        text = f"Your function changes its argument {names} in place; the caller still needs the old values."
        return Fault("inputs", headline, text, "Work on a copy, or build a new array.")
    name, _, what = changed[0].rpartition(".")
    if what == "grad":
        text = (
            f"Your function leaves gradients behind in `{name}`, which was only lent: `.grad` adds up, "
            "and whoever steps its optimiser next goes along them as well."
        )
        instead = (
            "`torch.autograd.grad` returns the gradients that you ask for and leaves `.grad` alone."
        )
        return Fault("inputs", headline, text, instead)
    text = (
        f"`requires_grad` of `{name}` is not what it was when your function got it: who wants "
        "gradients is for the caller to say."
    )
    instead = "Work on a tensor of your own, `x.detach().requires_grad_()`, or put the flag back."
    return Fault("inputs", headline, text, instead)


_CONDUCT = {
    "resets": "called reset()",
    "steps": "called step()",
    "runs": "called run()",
    "choices": "asked for an action",  # of a policy, or of `select`
}


def _conduct(key: str, outcome: Outcome, reference: Outcome) -> str:
    if key == "rng":
        return "Your function draws more random numbers from `rng`, or fewer, than the task lists."
    counts = f"{outcome.notes.get(key, 0)} times, where {reference.notes.get(key, 0)} are right"
    return f"Your loop {_CONDUCT.get(key, key)} {counts}."


_GYMNASIUM = (
    "Gymnasium's reset() returns two values, `s, info = env.reset()`, and its step() five: observation, "
    "reward, terminated, truncated, info. What used to be `done` is terminated *or* truncated."
)

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
    "old-gym-reset": (
        "Your loop takes all that reset() returns for the state: that was Gym before version 0.26.",
        _GYMNASIUM,
    ),
    "old-gym-step": (
        "Your loop expects fewer values from step() than it returns: that was Gym before version 0.26.",
        _GYMNASIUM,
    ),
    "not-a-row": ("select() was given something that is not one row of q.", "Give it q[s]."),
    "not-a-table": (
        "statistic() was given something that is not a table of runs and tasks.",
        "It gets one resample at a time, of the shape of `scores`.",
    ),
    "not-a-seed": (
        "run() was given something that is not one of the seeds.",
        "Give it the seeds themselves, one after the other.",
    ),
}  # fmt: skip

_NO_ENVIRONMENT = (
    "no-action",
    "own-backward",
    "no-grad-left-on",
    "not-a-row",
    "not-a-table",
    "not-a-seed",
)


def failed_run(exercise: Exercise, failure: Failure) -> Fault:
    """What is said of an answer that ended in an exception, or never."""
    if failure.tag == "signature":
        text = f"It cannot be called as asked: {failure.message}."
        return Fault(
            "signature",
            "wrong signature",
            text,
            "Keep the arguments of the first line as they were given.",
        )
    if failure.tag == "time":
        text = f"There was {failure.message}: a loop that does not end?"
        return Fault(
            "time",
            "takes too long",
            text,
            "Look at what ends your loop, and whether it can ever happen.",
        )
    if failure.tag in _MISUSE:
        text, instead = _MISUSE[failure.tag]
        given = "what is given" if failure.tag in _NO_ENVIRONMENT else "the environment"
        return Fault("exception", f"wrong use of {given}", text, instead)
    if failure.unwritten:
        return Fault("written", "not written yet", "", "")
    said = f": {failure.message}" if failure.message else ""
    where = f" The line was `{failure.line}`." if failure.line else ""
    text = f"Your function raised {failure.type_name}{said}.{where}"
    instead = "Run it by hand on two or three small numbers, printing shapes."
    if failure.type_name == "NameError":
        instead = _meant(exercise, failure)
    return Fault("exception", failure.type_name, text, instead)


def _meant(exercise: Exercise, failure: Failure) -> str:
    """What to try where a name is not defined: the argument, the builtin or the other word of the line."""
    unknown = re.search(r"name '(\w+)'", failure.message)
    if unknown is None:
        return "Look for a name that is spelt in two ways."
    known = {*inspect.signature(exercise.reference).parameters, *dir(builtins)}
    known |= set(re.findall(r"[A-Za-z_]\w*", failure.line))
    close = get_close_matches(unknown[1], sorted(known - {unknown[1]}), n=1)
    if close:
        return f"Did you mean `{close[0]}`?"
    return f"Define `{unknown[1]}` in your function, or import it in the same cell."
