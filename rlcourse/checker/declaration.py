"""What an exercise is: one declaration says what is asked, what is right, and how it goes wrong.

Exercise(
    "q_learning_target",
    reference=control.q_learning_target,
    cases=transition_cases,                      # rng -> list of Case
    returns=array(),                             # what a right answer looks like
    equation="(5.8)",
    points=1,
    mistakes=[Mistake("bootstraps-terminal", "why it is wrong", "what to try", wrong_function)],
    also_correct=[another_right_function],
)
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .harness import Case, Outcome
from .timing import SECONDS

Function = Callable[..., Any]


# ------------------------------------------------------------------------------ what comes back


@dataclass(frozen=True)
class Shape:
    """What a right value looks like. kind: "float", "int", "bool" (single ones), "array", "tensor",
    "numbers" (an array or a tensor), "tuple"; of updates: "loss", "figures", "anything".

    dtype (of arrays): "float" (float64), "any float" (float32 as well), "int" (any integer) or "mask"
    (bool, int or float); of a tuple "row" where an array of its numbers will do;
    items: name -> Shape, for tuples.
    """

    kind: str
    dtype: str = ""
    items: dict[str, Shape] = field(default_factory=dict)


def number() -> Shape:
    """One real number: a Python or NumPy float, or a 0-d array; a whole number will do."""
    return Shape("float")


def integer() -> Shape:
    """One integer, Python's or NumPy's; not a bool, not 3.0."""
    return Shape("int")


def boolean() -> Shape:
    """One bool, Python's or NumPy's."""
    return Shape("bool")


def array(dtype: str = "float") -> Shape:
    """A NumPy array of the reference's shape; dtype "float", "any float", "int" or "mask"."""
    return Shape("array", dtype)


def tensor() -> Shape:
    """A tensor of floats of the reference's shape; a loss is one of shape ()."""
    return Shape("tensor")


def numbers(as_tensor: bool = False) -> Shape:
    """An array or a tensor of numbers, of the reference's shape; whether a graph hangs on them, and which
    gradients would flow, is not asked (`tensor` asks). as_tensor: no array, where a lesson goes on with it."""
    return Shape("numbers", "tensor" if as_tensor else "")


def loss_value() -> Shape:
    """What an update returns: its loss, as a float or as a tensor of shape ()."""
    return Shape("loss")


def figures() -> Shape:
    """What an update returns: a dictionary of finite numbers, under names of one's own choice."""
    return Shape("figures")


def anything() -> Shape:
    """What is returned does not matter; what was done does."""
    return Shape("anything")


def several(**items: Shape) -> Shape:
    """A tuple of these, in this order; the names are used in diagnoses."""
    return Shape("tuple", items=items)


def row_of(*names: str) -> Shape:
    """Single numbers of these names: a tuple of them, or an array of as many."""
    return Shape("tuple", "row", {name: number() for name in names})


# ------------------------------------------------------------------------------------- mistakes


class Mistake:
    """A wrong answer that is known by name.

    name: as contracts list it ("bootstraps-terminal"); why: what is wrong, pointing at the
    equation; instead: what to look at or try next, without giving the answer away;
    implementations: the wrong functions themselves, one for each way of making it;
    shows: optionally, a predicate (cases, outcomes) -> bool that recognises it otherwise, where
    the numbers that come out are not determined (a singular system, say).
    """

    def __init__(
        self,
        name: str,
        why: str,
        instead: str,
        *implementations: Function,
        shows: Callable[[Sequence[Case], Sequence[Outcome]], bool] | None = None,
    ):
        self.name, self.why, self.instead = name, why, instead
        self.implementations, self.shows = implementations, shows

    def __repr__(self) -> str:
        return f"Mistake({self.name!r})"


@dataclass(frozen=True)
class Recipe:
    """How a function was made: by which maker, with which options."""

    maker: Function
    options: Mapping[str, Any]


def composable(maker: Function) -> Function:
    """A maker of answers, each of whose options can be got wrong: `_target(mask=…, discount=…)`.

    What it makes remembers its options, so that the checker can put two mistakes of one exercise
    together and recognise an answer that makes both. The right options are those of the first
    function of `also_correct` that comes from the same maker, else the maker's defaults.
    """
    signature = inspect.signature(maker)

    @functools.wraps(maker)
    def make(*given: Any, **options: Any) -> Function:
        bound = signature.bind(*given, **options)
        bound.apply_defaults()
        made = maker(*given, **options)
        made.recipe = Recipe(make, dict(bound.arguments))
        return made

    return make


# ------------------------------------------------------------------------------------ exercises


@dataclass
class Exercise:
    """One exercise; `lesson` and `number` are filled in by the `Lesson` that holds it.

    reference: the right answer; cases: rng -> cases, of which every one must be got right;
    returns: the form of a right value; equation: the number of the lesson's equation;
    mistakes: at least three; also_correct: other right functions, used by the tests only;
    variants: right functions whose *values* differ (in-place sweeps): each case may match any;
    remarks: (variant, sentence): what a right answer is told that does as this variant does;
    call: how to call, a name in `harness.CALLERS`, None for a plain call;
    notes: what environments and policies noted that must agree with the reference;
    agrees: (case, value, reference value) -> bool, in place of comparing numbers;
    alike: the same for recognising a mistake (default: `agrees`);
    by_itself: `agrees` and `tells` look at the value alone (a distribution, say): no reference is run;
    tells: (case, value, reference value) -> how a wrong value differs, in a sentence;
    partial: tag -> points earned if all cases with this tag are right, though others are not;
    rtol, atol: tolerance; may_ignore: arguments that a right answer need not use;
    seconds: the processor time that all cases together may take, where that is a part of what is asked;
    parts: functions of the package that answer a part of it, kept from answers as the reference is;
    project: a `project.Project`, where what is asked for is an agent that learns: then there are no cases.
    """

    name: str
    reference: Function
    cases: Callable[[np.random.Generator], list[Case]]
    returns: Shape
    points: int
    equation: str
    mistakes: Sequence[Mistake]
    also_correct: Sequence[Function] = ()
    variants: Sequence[Function] = ()
    remarks: Sequence[tuple[Function, str]] = ()
    call: str | None = None
    notes: Sequence[str] = ()
    agrees: Callable[[Case, Any, Any], bool] | None = None
    alike: Callable[[Case, Any, Any], bool] | None = None
    tells: Callable[[Case, Any, Any], str] | None = None
    by_itself: bool = False
    partial: Mapping[str, int] = field(default_factory=dict)
    rtol: float = 1e-9
    atol: float = 1e-10
    may_ignore: Sequence[str] = ()
    seconds: float = SECONDS
    parts: Sequence[str] = ()
    project: Any = None
    lesson: str = ""
    number: str = ""

    @property
    def title(self) -> str:
        return f"Exercise {self.number}: {self.name}"


@dataclass
class Lesson:
    """The exercises of one lesson, in the order in which they are asked.

    torch: whether cases hold tensors and networks (recipes and callers of `networks`).
    """

    id: str
    title: str
    exercises: Sequence[Exercise]
    torch: bool = False

    def __post_init__(self) -> None:
        for index, exercise in enumerate(self.exercises, start=1):
            exercise.lesson = self.id
            exercise.number = f"{int(self.id)}.{index}"

    def __iter__(self) -> Iterator[Exercise]:
        return iter(self.exercises)
