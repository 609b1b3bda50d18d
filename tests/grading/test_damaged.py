"""A thousand damaged notebooks: each is graded, or named with a reason; none ends in a traceback."""

from __future__ import annotations

import json
import os
import random

import pytest
from submitting import POINTS, notebook

from rlcourse import checker
from rlcourse.grading import marking, sandbox
from rlcourse.grading.marking import Course, mark
from rlcourse.grading.results import as_json
from rlcourse.grading.sandbox import Answer, Sandbox
from rlcourse.grading.submissions import Submission

N = 1000


def _small() -> bytes:
    """The solved lesson without its text and experiments: small, so that a thousand take seconds."""
    tree = json.loads(notebook())
    words = ("import numpy", *(f"def {name}(" for name in checker.names("05")))
    tree["cells"] = [c for c in tree["cells"] if any(w in "".join(c["source"]) for w in words)]
    return json.dumps(tree).encode()


WHOLE = _small()


def flipped(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 3, 30, 300))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def cut_off(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def cut_out(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.randrange(5000)]


def repeated(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start:start] = data[start : start + rng.randrange(5000)]


def nested(data: bytearray, rng: random.Random) -> None:
    depth = rng.choice((100, 2000, 100_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    at = data.index(b'"cells":') + len(b'"cells":')
    data[at:at] = opening * depth + b"1" + closing * depth + b', "cells":'


def encoded(data: bytearray, rng: random.Random) -> None:
    encoding = rng.choice(
        ("utf-16", "utf-16-be", "utf-32", "latin-1", "utf-7", "cp037", "shift-jis")
    )
    data[:] = data.decode().encode(encoding, errors="replace")


def with_bytes_of_another_encoding(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = rng.randbytes(rng.randrange(1, 20))


def _tree(change):
    """Damage to the notebook's tree, not to its bytes."""

    def damage(data: bytearray, rng: random.Random) -> None:
        tree = json.loads(data)
        change(tree, rng)
        data[:] = json.dumps(tree).encode()

    damage.__name__ = change.__name__
    return damage


ODD = [
    None,
    True,
    -1,
    1e308,
    float("nan"),
    "",
    "\ud800",
    "\0",
    [],
    [[]],
    {},
    {"a": 1},
    "x" * 100_000,
]


@_tree
def fields_missing(tree, rng):
    for cell in tree["cells"]:
        for key in list(cell):
            if rng.random() < 0.1:
                del cell[key]
    tree.pop(rng.choice(list(tree)))


@_tree
def fields_odd(tree, rng):
    for cell in tree["cells"]:
        for key in list(cell):
            if rng.random() < 0.05:
                cell[key] = rng.choice(ODD)
    tree[rng.choice(list(tree))] = rng.choice(ODD) if rng.random() < 0.3 else tree["cells"]


@_tree
def ids_twice(tree, rng):
    for cell in tree["cells"]:
        cell["id"] = rng.choice(("same", "", 5))
        cell["metadata"] = rng.choice((cell["metadata"], {}, None))


@_tree
def huge_cells(tree, rng):
    lines = rng.choice(("x = 1\n", "# ä\n", "(", "\\\n", "    ", "def f(): pass\n", "'" * 3))
    cell = rng.choice([c for c in tree["cells"] if c["cell_type"] == "code"])
    cell["source"] = lines * rng.choice((1000, 20_000))


@_tree
def sources_damaged(tree, rng):
    for cell in tree["cells"]:
        if cell["cell_type"] == "code" and rng.random() < 0.3:
            text = bytearray("".join(cell["source"]).encode() or b" ")
            rng.choice((flipped, cut_off, cut_out, repeated))(text, rng)
            cell["source"] = text.decode(errors="replace")


@_tree
def shuffled(tree, rng):
    rng.shuffle(tree["cells"])
    tree["cells"] = tree["cells"] * rng.choice((1, 1, 2, 20))


DAMAGES = [flipped, cut_off, cut_out, repeated, nested, encoded, with_bytes_of_another_encoding, fields_missing, fields_odd,
           ids_twice, huge_cells, sources_damaged, shuffled]  # fmt: skip


def damaged(i: int) -> bytes:
    rng = random.Random(i)
    data = bytearray(WHOLE)
    DAMAGES[i % len(DAMAGES)](data, rng)
    return bytes(data)


def check(record) -> None:
    """A record that says what became of the submission, and can be written."""
    assert record["state"] in ("graded", "unreadable", "another notebook"), record["reason"]
    assert record["reason"] if record["state"] != "graded" else record["exercises"]
    assert "Traceback" not in str(record)
    assert json.loads(as_json(record).encode()) == record


@pytest.mark.full
def test_a_thousand_damaged_notebooks_are_graded_or_named(monkeypatch):
    """Everything but the running of what was extracted, which the next test does."""
    monkeypatch.setattr(
        Sandbox, "run", lambda self, tasks: {t["name"]: Answer(fate="crash") for t in tasks}
    )
    monkeypatch.setattr(marking, "cases_of", lambda exercise, seed: [])
    course = Course("05", Sandbox(frozenset()))
    states = []
    for i in range(N):
        record = mark(course, Submission(f"student {i}", f"{i}.ipynb", damaged(i)))
        check(record)
        states.append(record["state"])
    # Neither all readable nor all refused: the damage is of both kinds.
    assert 100 < states.count("graded") < N - 100


@pytest.fixture(scope="module")
def course():
    walls = sandbox.bubblewrap() is not None
    box = Sandbox(frozenset(checker.names("05")), seconds=2, walls=walls)
    yield Course("05", box)
    sandbox._station(box, os.getpid()).close()
    sandbox._station.cache_clear()


@pytest.mark.parametrize(
    "i",
    [pytest.param(i, marks=pytest.mark.full if i >= 8 else ()) for i in range(2 * len(DAMAGES))],
)
def test_damaged_notebooks_run_as_far_as_they_go(course, i):
    record = mark(course, Submission("anna", "anna.ipynb", damaged(1000 + i)))
    check(record)
    assert 0 <= record["score"] <= POINTS
