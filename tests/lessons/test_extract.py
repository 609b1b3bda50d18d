"""Reading notebooks of any kind, and taking from them the definitions and nothing else."""

from __future__ import annotations

import ast
import json
import random
import time

import pytest

from rlcourse.lessons.extract import Unreadable, extract, read_cells, without_magics

NAMES = ("double", "square")


def cell(source, kind="code"):
    return {"cell_type": kind, "source": source, "metadata": {}, "outputs": []}


def notebook(*cells, **more):
    tree = {"cells": [cell(c) if isinstance(c, str) else c for c in cells]}
    return json.dumps(tree | {"metadata": {}, "nbformat": 4, "nbformat_minor": 5} | more).encode()


def run(found, name="double"):
    """What the statements taken for `name` define, run as a worker would run them."""
    space = {}
    for code_cell, indices in found.programs[name]:
        body = ast.parse(code_cell.source).body
        for index in indices:
            exec(compile(ast.Module([body[index]], []), "cell", "exec"), space)
    return space


# -------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\x89PNG\r\n\xff\xfe\x00", "not a notebook"),
        (b"%PDF-1.4", "not a notebook"),
        (b"[1, 2]", "not a notebook"),
        (b'"cells"', "not a notebook"),
        (b"null", "not a notebook"),
        (b"{}", "no cells"),
        (b'{"cells": 3}', "no cells"),
        (b'{"cells": [{"source"', "cut off"),
        (b"[" * 100_000, "not a notebook"),
        (b'{"cells": ' + b"9" * 5000 + b"}", "not a notebook"),
    ],
)
def test_what_is_no_notebook_is_said_to_be_none(data, said):
    with pytest.raises(Unreadable, match=said):
        extract(data, NAMES)


@pytest.mark.parametrize("cut", range(20, 180, 20))
def test_a_notebook_cut_short_is_said_to_be(cut):
    data = notebook("def double(x):\n    return 2 * x\n", "double(3)")
    with pytest.raises(Unreadable, match=r"cut off|not a notebook"):
        extract(data[:cut], NAMES)


@pytest.mark.parametrize("odd", [None, 3, "text", [], {}, {"cell_type": "code", "source": 3}])
def test_odd_cells_are_passed_over(odd):
    found = extract(notebook(odd, "def double(x): return 2 * x", odd), NAMES)
    assert run(found)["double"](4) == 8


def test_format_3_and_a_byte_order_mark():
    sheet = {"cells": [{"cell_type": "code", "input": ["def double(x):\n", "    return 2 * x"]}]}
    old = json.dumps({"worksheets": [3, {"cells": 3}, sheet], "nbformat": 3}).encode()
    assert run(extract(b"\xef\xbb\xbf" + old, NAMES))["double"](4) == 8


def test_utf_16():
    data = notebook("def double(x): return 2 * x").decode().encode("utf-16")
    assert run(extract(data, NAMES))["double"](4) == 8


def test_the_lesson_is_read_from_the_metadata():
    assert extract(notebook(metadata={"rlcourse": {"lesson": "05"}}), NAMES).lesson == "05"
    for odd in (None, 3, [], {"rlcourse": 3}, {"rlcourse": {"lesson": 5}}):
        assert extract(notebook(metadata=odd), NAMES).lesson is None


@pytest.mark.parametrize("seed", range(200))
def test_damage_of_any_kind_is_read_or_refused(seed):
    rng = random.Random(seed)
    cells = [
        "import math\nk = 2",
        "%time\ndef double(x):\n    return k * x",
        "double = check(double)",
    ]
    data = bytearray(notebook(*cells, metadata={"rlcourse": {"lesson": "05"}}))
    for _ in range(rng.randrange(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    start = rng.randrange(len(data))
    if seed % 3 == 0:
        del data[start : start + rng.randrange(40)]
    if seed % 5 == 0:
        del data[start:]
    try:
        extract(bytes(data), NAMES)
    except Unreadable as reason:
        assert str(reason)


@pytest.mark.parametrize("seed", range(200))
def test_a_tree_of_any_shape_is_read_or_refused(seed):
    rng = random.Random(seed)
    tree = json.loads(notebook("def double(x): return 2 * x", "square = 3"))
    for odd in rng.sample([None, 3, -1.5, "x", "\ud800", [], [[]], {}, {"cells": 1}, True], 3):
        node, key = tree, None
        for _ in range(rng.randrange(1, 5)):
            inner = node if key is None else node[key]
            if not isinstance(inner, list | dict) or not inner:
                break
            node = inner
            key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        node[key] = odd
    try:
        extract(json.dumps(tree).encode(), NAMES)
    except Unreadable as reason:
        assert str(reason)


# --------------------------------------------------------------------------------------- magics


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("x = 7 % 3", "x = 7 % 3"),
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("if True:\n    !ls\n    x = 1", "if True:\n    pass\n    x = 1"),
        ("x?\ny = 1", "pass\ny = 1"),
        ("files = !ls\ny = 1", "pass\ny = 1"),
        ("%%bash\nls\npwd", "\n\n"),
        ("%%time\nx = 1", "pass\nx = 1"),
        ("%%capture out\nx = 1", "pass\nx = 1"),
    ],
)
def test_magics_become_pass_and_lines_keep_their_numbers(source, left):
    assert without_magics(source) == left


# -------------------------------------------------------------------------------------- slicing


def test_only_what_the_definition_needs_is_taken():
    found = extract(
        notebook(
            "import math\nimport this_is_not_installed",
            "k = 2\nunused = 1 / 0",
            "def helper(x):\n    return k * x",
            "def double(x):\n    return helper(x) + math.floor(0.5)",
            "while True: training = double(1)",
            'double = check("double")',
        ),
        NAMES,
    )
    space = run(found)
    assert space["double"](4) == 8
    assert not {"unused", "training", "this_is_not_installed"} & space.keys()


@pytest.mark.parametrize(
    "cells",
    [
        ["double = lambda x: 2 * x"],
        ["double: object = lambda x: 2 * x"],
        ["def mine(x): return 2 * x", "double = mine"],
        ["def check(f): return f", "double = check(lambda x: 2 * x)"],
        ["def check(f, name): return f", "def mine(x): return 2 * x\ndouble = check(mine, 'double')"],
        ["def check(f): return globals()[f]", "def mine(x): return 2 * x", "double = check('mine')"],
        ["try:\n    import math\nexcept ImportError:\n    pass", "def double(x): return math.prod((2, x))"],
        ["from math import *", "def double(x): return prod((2, x))"],
        ["import functools", "@functools.lru_cache\ndef double(x): return 2 * x"],
        ["if True:\n    def double(x): return 2 * x"],
        ["memo = {}", "memo['k'] = 2", "def double(x): return memo['k'] * x"],
        ["memo = []", "memo.append(2)", "def double(x): return memo[0] * x"],
        ["def double(x): return 3 * x", "def double(x): return 2 * x"],
        ["def double(x):\n    return even(x)", "def even(x): return x + x"],
        ["a, (b, double) = 1, (2, lambda x: 2 * x)"],
        ["class K:\n    two = 2", "def double(x): return K.two * x"],
        ["x = 1; double = lambda x: 2 * x"],
        ["\ndef double(x):\r\n    return 2 * x\r\n"],
    ],
)  # fmt: skip
def test_definitions_in_every_dress(cells):
    assert run(extract(notebook(*cells), NAMES))["double"](4) == 8


def test_the_last_definition_is_the_source_shown():
    data = notebook("double = lambda x: 0", "@staticmethod\ndef double(x): return 2 * x")
    assert extract(data, NAMES).sources["double"] == "@staticmethod\ndef double(x): return 2 * x"


def test_a_check_is_no_definition():
    for text in (
        'double = check("double")',
        "double = check(double)",
        "check('double')",
        "check(double)",
        "double = exercises.check(double)",
    ):
        found = extract(notebook(text), NAMES)
        assert "double" not in found.programs


def test_other_exercises_that_are_called_are_named():
    found = extract(
        notebook("def double(x): return 2 * x", "def square(x): return double(x)"), NAMES
    )
    assert found.uses == {"double": (), "square": ("double",)}


def test_a_syntax_error_costs_its_own_cell_only():
    found = extract(
        notebook("def double(x):\n    return 2 *", "def square(x): return x * x"), NAMES
    )
    assert "line 2" in found.problems["double"]
    assert "double" not in found.programs
    assert run(found, "square")["square"](3) == 9


def test_a_broken_attempt_counts_only_when_it_comes_last():
    good, bad = "def double(x): return 2 * x", "def double(x):\n    return 2 *"
    assert "double" in extract(notebook(bad, good), NAMES).programs
    assert "double" in extract(notebook(good, bad), NAMES).problems


@pytest.mark.parametrize(
    "source", ["-" * 200_000 + "1", "(" * 5_000, "x = 1\0", "x = '\ud800'", "\\"]
)
def test_hostile_sources_cost_their_own_cell_only(source):
    found = extract(notebook(source, "def double(x): return 2 * x"), NAMES)
    assert run(found)["double"](4) == 8


def test_cells_are_numbered_as_they_stand_in_the_notebook():
    cells, _ = read_cells(notebook(cell("# text", "markdown"), "x = 1"))
    assert [c.number for c in cells] == [2]


SLOW = {
    "empty lines in a broken cell": ["def double(:\n" + "\n" * 100_000, "(" + "\n" * 100_000],
    "imports of everything": ["from os import *\n" * 10_000, "x = 1\n" + "double = [" + ", ".join(f"n{i}" for i in range(10_000)) + "]", *(";".join(f"n{i} = 1" for i in range(k, k + 2_000)) for k in range(0, 10_000, 2_000))],
}  # fmt: skip


@pytest.mark.parametrize("name", SLOW)
def test_no_notebook_keeps_the_grader_busy(name):
    """Nobody keeps the time of this part from outside. (It took minutes.)"""
    begun = time.process_time()
    extract(notebook(*SLOW[name]), NAMES)
    assert time.process_time() - begun < 8


def test_too_much_code_and_too_many_parts_are_refused_before_they_are_parsed():
    with pytest.raises(Unreadable, match="more than 500000 characters"):
        extract(notebook(*["x\n" * 100_000] * 3), NAMES)
    with pytest.raises(Unreadable, match="more than 4000000 parts"):
        extract(b'{"cells": [' + b"[]," * 4_000_000 + b"[]]}", NAMES)


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline\ndef double(x):\n    return (12 * x\n        % (10 * x))",
        "!pip list\ndef double(x):\n    return int('%d'\n        % (2 * x))",
    ],
)
def test_a_formula_that_goes_on_with_a_percent_sign_is_no_magic(source):
    assert run(extract(notebook(source), NAMES))["double"](3) == 6


STUMBLES = "\n".join(["x = 1"] * 20_000) + "\n%m\n" * 200  # Python reads all of it again for each
CROWDED = ";".join(["a = 1"] * 30_000)  # each statement is cut out of one long line


@pytest.mark.parametrize("source", [STUMBLES, CROWDED], ids=["magics", "one line"])
def test_reading_a_notebook_has_a_limit(source):
    began = time.thread_time()
    with pytest.raises(Unreadable, match=r"more than 0\.3 seconds"):
        extract(notebook(source, source), ["f"], seconds=0.3)
    assert time.thread_time() - began < 2.5, "but for the one step that ran when it was over"


COMMENTED = """\
# Not mine.
@wraps
def f(x):
    # first
    if x:
        return 1  # inside
    return 2  # behind

    # I was not sure here.

\t# Nor here.

# Of the next one.
y = 3  # y
def g(): return 1  # short
z = 1; w = 2
"""


def test_comments_behind_a_statement_belong_to_it():
    sources = extract(notebook(COMMENTED), ["f", "g", "y", "z"]).sources
    assert sources["f"].startswith("@wraps\ndef f") and sources["f"].endswith("\n\t# Nor here.")
    assert "return 2  # behind\n\n    # I was" in sources["f"]
    assert sources["g"] == "def g(): return 1  # short"
    assert (sources["y"], sources["z"]) == ("y = 3  # y", "z = 1")
