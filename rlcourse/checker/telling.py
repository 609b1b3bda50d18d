"""Where an answer is wrong, over all cases: in every one, in those of one kind, in these."""

from __future__ import annotations

from collections.abc import Sequence

from .comparing import common_tag, rows_with, wrong_rows
from .declaration import Exercise
from .faults import Fault
from .harness import Case, Outcome

LISTED = 3
_SIZES = ("is too large.", "is too small.")


def located(
    cases: Sequence[Case], wrong: Sequence[bool], faults: Sequence[Fault | None], first: int
) -> str:
    """The first fault's text, and where it holds: in every case, in those of one kind, or in this one."""
    fault = faults[first]
    texts = {each.text for each in faults if each is not None}
    if fault.rung == "signature" or (all(wrong) and len(texts) == 1):
        return fault.text
    return f"{fault.text} {_sizes(texts)}{where(cases, wrong, first)}"


def _sizes(texts: set[str]) -> str:
    """Whether single numbers that are too large in one case are too small in another."""
    both = all(any(text.endswith(end) for text in texts) for end in _SIZES)
    only_sizes = all(text.endswith(_SIZES) for text in texts)
    return "In other cases it errs to the other side. " if both and only_sizes else ""


def rows_in_common(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    right: Sequence[Outcome],
) -> str:
    """What all wrong rows of all cases have in common and no right row has; "" if there is nothing."""
    if exercise.agrees is not None or any(outcome.failure for outcome in outcomes):
        return ""
    shared: set[str] | None = None
    n_wrong = n_right = 0
    for case, outcome, reference in zip(cases, outcomes, right, strict=False):
        rows = wrong_rows(exercise, outcome.value, reference.value)
        if rows is None:
            return ""
        exact = {
            what for what, which in rows_with(case, len(rows)).items() if (which == rows).all()
        }
        shared = exact if shared is None else shared & exact
        n_wrong, n_right = n_wrong + rows.sum(), n_right + (~rows).sum()
    if not shared or min(n_wrong, n_right) < 3:  # a few rows have some property or other
        return ""
    return f"Your result is wrong exactly in the rows where {min(shared)}, in every case."


def where(cases: Sequence[Case], wrong: Sequence[bool], first: int) -> str:
    """In which cases an answer is wrong: by what they have in common, else by their names."""
    if all(wrong):
        return f"It is wrong in every case; the first: {cases[first].name}."
    if sum(wrong) == 1:  # that one case has some property or other proves nothing
        return f"Only one case is wrong: {cases[first].name}."
    if tag := common_tag(cases, wrong):
        return f"This happens exactly where: {tag}."
    names = [case.name for case, bad in zip(cases, wrong, strict=True) if bad]
    if right_tag := common_tag(cases, [not bad for bad in wrong]):
        return f"It is right only where: {right_tag}."
    listed = "; ".join(dict.fromkeys(names[:LISTED]))
    more = " …" if len(names) > LISTED else ""
    return f"It is wrong in {len(names)} of {len(cases)} cases: {listed}{more}."
