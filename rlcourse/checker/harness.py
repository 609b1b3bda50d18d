"""Runs a function on a case and reports what happened, as plain data.

This is the only part of the checker that ever shares a process with a student's code under grading,
so it holds no answer: inputs go in, an `Outcome` comes out, and somebody else compares.
"""

from __future__ import annotations

import builtins
import contextlib
import inspect
import io
import os
import re
import sys
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from .plain import plain, transferable
from .probes import Misuse, ResetResult, StepResult, build
from .timing import TimeLimit

PRINTED_LIMIT = 400
PACKAGE = str(Path(__file__).parent.parent)
# Whose lines are not the student's: the course's and Python's own.
FOREIGN = (PACKAGE + os.sep, str(Path(os.__file__).parent) + os.sep)


@transferable
@dataclass(frozen=True)
class Case:
    """One set of inputs.

    name: what is special about it, as a noun phrase that a diagnosis can quote ("an episode that
    ends in the middle"); inputs: argument name -> plain data or a recipe of `probes`, in the order
    of the signature; tags: properties shared with other cases ("terminated rows", "gamma = 0"),
    by which the checker says where an answer is wrong.
    """

    name: str
    inputs: dict[str, Any]
    tags: tuple[str, ...] = ()


@transferable
@dataclass(frozen=True)
class Failure:
    """An exception: its type, a tag where an environment was misused, its message and line."""

    type_name: str
    tag: str
    message: str
    line: str

    @property
    def unwritten(self) -> bool:
        """Whether the exercise's own line still raised it; PyTorch raises NotImplementedError as well."""
        return self.type_name == "NotImplementedError" and (
            not self.line or self.type_name in self.line
        )


@transferable
@dataclass(frozen=True)
class Outcome:
    """What became of one call: a value or a failure, the inputs that were changed, notes, prints.

    changed: names; "x.requires_grad" where only that flag of a tensor or a network is another one,
    "x.grad" where gradients were left behind.
    """

    value: Any = None
    failure: Failure | None = None
    changed: tuple[str, ...] = ()
    notes: dict[str, int] = field(default_factory=dict)
    printed: str = ""


CALLERS: dict[str, Callable[..., Any]] = {}


def caller(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: a way of calling other than once with all inputs; named by a declaration.

    It gets the student's function and the inputs by name and returns a report, a dictionary of what is to be
    judged; under `notes` may stand counts of what was done, which only tell like mistakes apart.
    """
    CALLERS[function.__name__] = function
    return function


def run(function: Callable[..., Any], case: Case, call: str | None = None) -> Outcome:
    """Call `function` on a fresh copy of the case's inputs and report the outcome.

    Warnings and printing cost nothing: both are kept off the screen, the first lines of what was
    printed are reported. KeyboardInterrupt and time limits pass through.
    """
    notes: Counter = Counter()
    inputs = {name: build(value, notes) for name, value in case.inputs.items()}
    lent = {id(tensor) for tensor in _tensors(list(inputs.values()))}
    printed = _Head()
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(_Head()),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
        ):
            warnings.simplefilter("ignore")
            if call is None:
                mismatch = signature_mismatch(function, len(inputs))
                if mismatch:
                    return Outcome(failure=Failure("TypeError", "signature", mismatch, ""))
                value = plain(function(*inputs.values()), given=lent)
            else:
                value = CALLERS[call](function, **inputs)
                notes.update(value.pop("notes", {}))
                value = plain(value, given=lent)
    except (KeyboardInterrupt, TimeLimit):
        raise
    except BaseException as error:
        return Outcome(failure=failure_of(error), notes=dict(notes), printed=printed.text)
    for given in inputs.values():
        if isinstance(given, np.random.Generator):
            # Where a generator stands afterwards tells whether exactly the right draws were made.
            notes["rng"] = zlib.crc32(repr(given.bit_generator.state).encode())
    # Ways of calling report on weights and gradients themselves: there some are meant to change.
    changed = _changed(inputs, case.inputs, touched=call is None)
    return Outcome(value=value, changed=changed, notes=dict(notes), printed=printed.text)


def failure_of(error: BaseException) -> Failure:
    """An exception as plain data."""
    message = str(error)[:500] if type(error).__str__ in _HARMLESS_STR else ""
    tag = error.tag if isinstance(error, Misuse) else _old_gym(error, message)
    return Failure(type(error).__name__, tag, message, _line_of(error))


# Python's own exceptions; a class of one's own might run anything when it is asked for its message.
_HARMLESS_STR = {
    t.__str__
    for t in (*vars(builtins).values(), *vars(np.exceptions).values())
    if isinstance(t, type) and issubclass(t, BaseException)
}


class _Head(io.TextIOBase):
    """A stream that keeps its beginning and forgets the rest, however much is printed."""

    def __init__(self) -> None:
        self.text = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if len(self.text) < PRINTED_LIMIT:
            self.text = (self.text + text)[:PRINTED_LIMIT]
        return len(text)


def signature_mismatch(function: Callable[..., Any], n_inputs: int) -> str:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind(*range(n_inputs))
    except TypeError as error:
        return f"{error} (your signature: {signature})"
    return ""


def _line_of(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if _own(f.filename)]
    return (own[-1].line or "") if own else ""


def _own(filename: str) -> bool:
    """Whether code is the student's: a notebook's cell or a file of their own, nothing that was lent."""
    # Generated code and frozen modules are "<string>", "<frozen …>"; IPython's cells "<ipython-…>".
    if filename.startswith("<"):
        return not filename.startswith(("<frozen", "<string", "<__array_function__", "<attrs"))
    installed = "site-packages" in filename or "dist-packages" in filename
    return not installed and not filename.startswith(FOREIGN)


def _old_gym(error: BaseException, message: str) -> str:
    """The tag of a failure that comes of Gym before 0.26: one value from reset(), four from step()."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [frame for frame in frames if _own(frame.f_code.co_filename)]
    if not own:
        return ""
    line = _line_of(error)
    names = set(re.findall(r"\w+", line))
    # Whoever unpacks or indexes what came back uses the state under another name.
    held = {type(x) for name, x in own[-1].f_locals.items() if name in names or not line}
    if "too many values to unpack" in message:
        called = re.search(r"\.\s*step\s*\(", line)
        return "old-gym-step" if called or StepResult in held else ""
    for kind, tag in ((ResetResult, "old-gym-reset"), (StepResult, "old-gym-step")):
        if kind in held or kind.__name__ in message:
            return tag
    return ""


def _tensors(value: Any) -> Iterator[Any]:
    """All tensors among the inputs, the weights of networks included."""
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, torch.nn.Module):
        yield from value.parameters()
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict | SimpleNamespace):
        yield from _tensors(
            list(value.values() if isinstance(value, dict) else vars(value).values())
        )


def _changed(now: dict[str, Any], before: dict[str, Any], touched: bool) -> tuple[str, ...]:
    """Names of the inputs that are not what they were; `touched`: networks and `.grad` included."""
    found = []
    for name, value in before.items():
        how = _differs(now[name], value) or (touched and _touched(now[name], value))
        if how:
            found.append(f"{name}.{how}" if how in ("grad", "requires_grad") else name)
    return tuple(found)


def _touched(now: Any, before: Any) -> str:
    """What a plain call left behind in networks and tensors: "values", "requires_grad" or "grad"."""
    if hasattr(before, "touched"):
        return before.touched(now)
    if isinstance(before, list | tuple):
        return next(filter(None, map(_touched, now, before)), "")
    return ""


def _differs(now: Any, before: Any) -> bool | str:
    """Whether an input was changed in place: plain data, or a recipe that can tell, and how."""
    if hasattr(before, "differs"):
        return before.differs(now)
    if isinstance(before, np.ndarray):
        return not (
            isinstance(now, np.ndarray)
            and now.shape == before.shape
            and np.array_equal(now, before, equal_nan=before.dtype.kind == "f")
        )
    if isinstance(before, list | tuple):
        if len(now) != len(before):
            return True
        return next(filter(None, map(_differs, now, before)), False)
    if isinstance(before, dict):
        return now.keys() != before.keys() or any(_differs(now[k], before[k]) for k in before)
    return False


# --------------------------------------------------------------------------- ways of calling

DRAWS = 2200
REPEATED = 100
UNKNOWN_CHOICE = "median"  # neither a basis nor an ensemble's mode


@caller
def draws(function: Callable[..., Any], seed: int, **inputs: Any) -> dict[str, Any]:
    """Call a sampler many times with one generator, and report how its draws are distributed.

    `function(*inputs, rng)` must return an index below A = len(first input). Reports `counts` (A,),
    `again`: how often a draw equals the one before, `repeats`: whether a second run with the same
    seed gives the same draws, `unchanged`: whether the inputs are; or, where something else than
    an index came back, that as `example`.
    """
    arguments = build(list(inputs.values()), Counter())
    n = len(arguments[0])
    mismatch = signature_mismatch(function, len(arguments) + 1)
    if mismatch:
        raise Misuse("signature", mismatch)

    def run_of(length: int) -> list[Any]:
        rng = np.random.default_rng(seed)
        return [_index(plain(function(*arguments, rng))) for _ in range(length)]

    drawn = run_of(DRAWS)
    odd = [x for x in drawn if type(x) is not int or not 0 <= x < n]
    if odd:
        return {"example": odd[0]}
    sequence = np.array(drawn)
    return {
        "counts": np.bincount(sequence, minlength=n),
        "again": int(np.count_nonzero(sequence[1:] == sequence[:-1])),
        "repeats": run_of(REPEATED) == drawn[:REPEATED],
        "unchanged": not _differs(arguments, list(inputs.values())),
    }


@caller
def choosing(function: Callable[..., Any], **inputs: Any) -> dict[str, Any]:
    """Call with the choice by name that comes last, and once more with a name that there is not.

    Report: `value`; `refused`: what the second call raised.
    """
    mismatch = signature_mismatch(function, len(inputs))
    if mismatch:
        raise Misuse("signature", mismatch)
    *others, choice = inputs.values()
    return {
        "value": function(*others, choice),
        "refused": refused(function, [*others, UNKNOWN_CHOICE]),
    }


def refused(function: Callable[..., Any], arguments: Sequence[Any]) -> str:
    """The type of what a call raised that should not go through; "nothing" if it did."""
    try:
        function(*arguments)
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__
    return "nothing"


def _index(x: Any) -> Any:
    """A 0-d integer array counts as an integer."""
    is_index = isinstance(x, np.ndarray) and x.shape == () and x.dtype.kind in "iu"
    return int(x) if is_index else x


@caller
def summing(
    make: Callable[..., Any], capacity: int, steps: list[tuple[Any, ...]]
) -> dict[str, Any]:
    """Make a tree of sums and do as the steps say: ("set", index, priority), ("total",) or ("find", mass).

    A second tree is made first and filled in between: what two of them share is seen. Report: `told`, what the
    totals and finds of the first gave, in order.
    """
    mismatch = signature_mismatch(make, 1)
    if mismatch:
        raise Misuse("signature", mismatch)
    tree, other = make(capacity), make(capacity)
    told = []
    for name, *given in steps:
        result = getattr(tree, name)(*given)
        if name == "set":
            other.set(capacity - 1 - given[0], 7.0)
        else:
            told.append(_index(plain(result)))
    return {"told": told}
