"""How the lessons write what they write in mathematics: one spelling for a thing, one meaning for a letter."""

from __future__ import annotations

import re
from collections.abc import Iterator

# The course's spelling, and what is found in its place.
SPELLINGS: dict[str, str] = {
    r"_{\text{targ}}": r"_\{?(?<!\\text\{)(\\(mathrm|operatorname|textrm|mathit)\{)?targ\b",
    r"\pi_{\text{old}}": r"_\{?(\\(mathrm|operatorname)\{)?old\b",
    r"\text{start}": r"(?<!\\text\{)(?<![A-Za-z])start\b",
    r"\text{low}": r"(?<!\\text\{)(?<![A-Za-z])low\b",
    r"\text{high}": r"(?<!\\text\{)(?<![A-Za-z])high\b",
    r"\mathrm{clip}": r"\\(operatorname|text)\{clip\}|(?<![A-Za-z{])clip\b",
    r"\mathrm{Var}": r"\\(operatorname|text)\{Var\}|(?<![A-Za-z{])Var\b",
}
# d is termination: d, d_t, d_i, d(s, a, s') of a transition. A distribution over states is not.
_OCCUPANCY = re.compile(r"(?<![A-Za-z\\])d(?=\^|_\{?\\(gamma|pi)|\(s\))")

_MATHEMATICS = re.compile(r"\$\$(.*?)\$\$|(?<!\$)\$([^$]+?)\$(?!\$)", re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`|^```.*?^```", re.DOTALL | re.MULTILINE)


def mathematics(text: str) -> Iterator[str]:
    """What stands between dollars in a markdown cell."""
    for displayed, inline in _MATHEMATICS.findall(_CODE.sub("", text)):
        yield displayed or inline


def problems(text: str) -> Iterator[str]:
    """Every other spelling, and every second meaning of a letter, in a markdown cell."""
    for formula in mathematics(text):
        for ours, other in SPELLINGS.items():
            if found := re.search(other, formula):
                yield f"write {ours!r}, not {found[0]!r}, in ${formula.strip()[:60]}$"
        if _OCCUPANCY.search(formula):
            yield (
                f"d is termination and nothing else (an occupancy is η^π, visits are n), in ${formula.strip()[:60]}$"
            )
