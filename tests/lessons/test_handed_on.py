"""A lesson begins with the equation that the one before handed on, letter by letter."""

from __future__ import annotations

import itertools
import re

import jupytext
import pytest
from running import SOURCES

PAIRS = [
    (before, after)
    for before, after in itertools.pairwise(SOURCES)
    if int(after.stem[:2]) == int(before.stem[:2]) + 1
]


def displayed(source, heading):
    """The displayed equations of the cell under this heading, without their numbers."""
    (cell,) = (
        cell.source for cell in jupytext.read(source).cells if cell.source.startswith(heading)
    )
    found = re.findall(r"\$\$(.*?)\$\$", cell, re.DOTALL)
    return [re.sub(r"\s*\\tag\{[\d.]+\}", "", equation).strip() for equation in found]


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=lambda path: path.stem[:2])
def test_the_equation_handed_on_is_the_one_inherited(before, after):
    assert displayed(before, "## What we hand on")[0] in displayed(after, "## What we inherit")
