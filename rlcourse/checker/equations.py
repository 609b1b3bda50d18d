"""The lessons' numbered equations, so that what names one can show it.

`rlcourse/exercises/equations.json` is written by the builder from the lessons: {"5.8": LaTeX}.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files

_NUMBER = re.compile(r"\((\d{1,2}\.\d{1,2})\)")


@cache
def _all() -> dict[str, str]:
    return json.loads((files("rlcourse.exercises") / "equations.json").read_text(encoding="utf-8"))


def named_in(text: str) -> dict[str, str]:
    """The equations that a text names, "(5.4) with (5.8)", as {number: LaTeX without its tag}."""
    numbers = dict.fromkeys(_NUMBER.findall(text))
    return {number: _all()[number] for number in numbers if number in _all()}


_ARG, _ARG_SPELT = r"\arg", r"\operatorname{arg}"  # the converter does not know the first


def as_mathml(latex: str) -> str:
    """An equation as browsers set it by themselves: it needs no script and no font from elsewhere."""
    from latex2mathml.converter import convert

    return convert(latex.replace(_ARG, _ARG_SPELT), display="block")
