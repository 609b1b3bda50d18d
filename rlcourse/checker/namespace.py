"""What an exercise's name stands for in the student's notebook, and why it may stand for nothing.

A check gets the answer by its name, so it can also speak where there is no answer to judge: the cell
did not run, it stopped with an error, its function is called otherwise, or what is there is the
course's own function, left by an earlier check.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import FrameType, FunctionType
from typing import Any

from . import registry
from .declaration import Exercise
from .judging import FAILED, NOT_ATTEMPTED, Verdict

_AGAIN = "then run the check again."


def names_seen_from(frame: FrameType) -> dict[str, Any]:
    """Every name that the calling code could use: in a notebook, those of its cells."""
    return {**frame.f_globals, **frame.f_locals}


def cells_run() -> list[str] | None:
    """The sources of the notebook's cells, in the order in which they ran; None where that is not known.

    Outside IPython nobody notes them, nor does IPython for who runs it without a history, as nbval does.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    cells = list(shell.user_ns.get("In", ())) if shell else []
    return cells if any(cells) else None


def is_the_courses(function: Any, exercise: Exercise) -> bool:
    """Whether this is the reference, or anything else that the course itself defines."""
    module = getattr(function, "__module__", None)
    ours = isinstance(module, str) and module.split(".")[0] == "rlcourse"
    return ours or function is exercise.reference


def nothing_to_judge(
    exercise: Exercise,
    name: str,
    names: Mapping[str, Any],
    cells: Sequence[str] | None,
    before: str = NOT_ATTEMPTED,
) -> Verdict | None:
    """Why `names[name]` is no answer of the student's, as a verdict; None if it is one.

    cells: the sources that ran, where that is known; before: the state at the last check.
    """

    def told(headline: str, explanation: str, instead: str, state: str = FAILED) -> Verdict:
        return Verdict(
            exercise.name, exercise.number, state, "defined",
            headline=headline, explanation=explanation, instead=instead,
        )  # fmt: skip

    ran = cells or ()
    at = _last_definition(ran, name)
    theirs = name in names and not is_the_courses(names[name], exercise)
    # With an answer in place, a name that is nearly the same is a helper's.
    spelt, spelt_at = ("", -1) if theirs else _spelt_otherwise(name, names, ran)
    broken = _syntax_error(ran[max(at, spelt_at)]) if max(at, spelt_at) >= 0 else None
    if broken is not None:
        kind = type(broken).__name__
        line = f"`{broken.text.strip()}`: " if broken.text and broken.text.strip() else ""
        return told(
            kind,
            f"Your cell stopped with a {kind} in line {broken.lineno} ({line}{broken.msg}). "
            "Python ran nothing of it, so there is no new function to check.",
            f"Mend that line, run your cell, {_AGAIN}",
        )
    slip = f"your cell defines `{spelt}`; did you mean that?" if spelt and spelt_at >= at else ""
    renamed = f"Write `{name}` in place of `{spelt}`, run your cell, {_AGAIN}"
    if name not in names:
        if slip:
            return told("not defined", f"`{name}` is not defined: {slip}", renamed)
        if at >= 0:
            return told(
                "not defined",
                f"`{name}` is not defined: your cell stopped before it was.",
                f"Read the error under your cell, mend it, run your cell, {_AGAIN}",
            )
        unrun = cells is not None
        return told(
            "not run yet" if unrun else "not defined",
            f"`{name}` is not defined: the cell above has not been run"
            + ("." if unrun else ", or it stopped with an error."),
            f"Run the cell that defines it, {_AGAIN}",
            NOT_ATTEMPTED,
        )
    value = names[name]
    if not callable(value):
        return told(
            "not a function",
            f"`{name}` is no function here, but of type {type(value).__name__}: "
            "another cell has given the name to something else.",
            f"Use another name there, run your own cell again, {_AGAIN}",
        )
    if not theirs:
        return told(
            "this is the course's function",
            f"`{name}` is the course's function here, not yours"
            + (f": {slip}" if slip else "; an earlier check has put it there."),
            renamed if slip else f"Run your own cell again, {_AGAIN}",
            FAILED if before == FAILED or slip else NOT_ATTEMPTED,
        )
    return None


def _last_definition(cells: Sequence[str], name: str) -> int:
    """The number of the last cell that defines `name`, whether Python can read it or not; -1 if none."""
    # IPython turns a cell under `%%time` into one line, with `\\n` for its ends of lines.
    pattern = re.compile(
        rf"(?:^|\\n)[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+{name}\b|^{name}[ \t]*=(?!=)(?!.*\bcheck\()",
        re.MULTILINE,
    )
    found = (number for number in reversed(range(len(cells))) if pattern.search(cells[number]))
    return next(found, -1)


def _spelt_otherwise(name: str, names: Mapping[str, Any], cells: Sequence[str]) -> tuple[str, int]:
    """The student's own function whose name is nearly `name`, and the number of its cell; or ("", -1)."""
    own = {
        key
        for key, value in names.items()
        if isinstance(value, FunctionType | type) and value.__module__ == names.get("__name__")
    }
    candidates = (own | set(_defined_in(cells))) - set(registry.names())
    close = get_close_matches(name, sorted(candidates), n=1, cutoff=0.8)
    return (close[0], _last_definition(cells, close[0])) if close else ("", -1)


def _defined_in(cells: Sequence[str]) -> Iterator[str]:
    for source in cells:
        yield from re.findall(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", source, re.MULTILINE)


def _syntax_error(source: str) -> SyntaxError | None:
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        compile(source, "<cell>", "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError):  # Python said so itself, under the cell
        return None
    return None
