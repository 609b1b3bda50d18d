"""Imports point one way, and a student waits for none of them."""

import ast
import graphlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import rlcourse

PACKAGE = Path(rlcourse.__file__).parent
# Who may import whom: a room only from rooms that stand below it. The parts of the course stand in
# the order in which they are taught, so that a later one can use what an earlier one has derived;
# the checker finds declarations by name, at run time, and knows no part of the course.
BELOW = {
    "lab": set(),
    "tabular": {"lab"},
    "values": {"lab", "tabular"},
    "policies": {"lab", "tabular", "values"},
    "continuous": {"lab", "tabular", "values", "policies"},
    "checker": {"lab"},
}
BELOW["exercises"] = {*BELOW}
BELOW["setup"] = set()  # it runs before anything is installed
BELOW["lessons"] = {"checker"}
BELOW["grading"] = {"checker", "lessons", "lab"}  # the environments of projects are its own
BELOW["cli"] = {"checker", "lessons", "grading"}
IN_NUMPY = [*(f"{number:02d}" for number in range(8)), "16"]


def names_imported(source: str, module: str, is_package: bool = False) -> set[str]:
    """The full names of what this source imports, anywhere in it."""
    parents = module.split(".") if is_package else module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*base, *filter(None, [node.module])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def rooms_imported(
    source: str, module: str, package: str = "rlcourse", is_package: bool = False
) -> set[str]:
    """The rooms of `package` (its direct children) that this source imports, anywhere in it."""
    paths = (name.split(".") for name in names_imported(source, module, is_package))
    return {path[1] for path in paths if path[0] == package and len(path) > 1}


def imported(file: Path, module: str) -> set[str]:
    """The modules that a file imports, `from . import module` and `from .module import name` alike."""
    names = names_imported(file.read_text(encoding="utf-8"), module, file.stem == "__init__")
    return names | {name.rpartition(".")[0] for name in names}


def imports_of_rooms(package: Path) -> dict[str, set[str]]:
    """For every room and top-level module, which of the others it imports."""
    children = {
        p.stem for p in package.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    graph: dict[str, set[str]] = {child: set() for child in children - {"__init__"}}
    for file in package.rglob("*.py"):
        path = file.relative_to(package.parent).with_suffix("")
        is_package = path.name == "__init__"
        module = ".".join(path.parent.parts if is_package else path.parts)
        if room := module.partition(".")[2].partition(".")[0]:
            seen = rooms_imported(
                file.read_text(encoding="utf-8"), module, package.name, is_package
            )
            graph[room] |= seen & (children - {room})
    return graph


def against_the_order(graph: dict[str, set[str]]) -> list[str]:
    """Every import of one room by another that does not stand behind it."""
    return [
        f"{room} imports {other}"
        for room, others in sorted(graph.items())
        for other in sorted(others - BELOW.get(room, others))
    ]


def test_rooms_import_only_what_stands_before_them():
    graph = imports_of_rooms(PACKAGE)
    assert set(graph) == {*BELOW, "__main__"}, "the rooms of the design, and no loose file"
    assert against_the_order(graph) == []


@pytest.mark.parametrize(
    "room", ["checker", "cli", "grading", "lab", "lessons", "policies", "values"]
)
def test_the_files_of_a_room_do_not_import_each_other_in_a_circle(room):
    files = {
        str(file.relative_to(PACKAGE.parent).with_suffix("")).replace("/", "."): file
        for file in (PACKAGE / room).rglob("*.py")
    }
    graph = {module: imported(file, module) & files.keys() for module, file in files.items()}
    list(graphlib.TopologicalSorter(graph).static_order())


def test_an_import_against_the_order_is_seen(tmp_path):
    package = tmp_path / "rlcourse"
    for room, source in {
        "lab": "def late():\n    from ..tabular import mdp\n",
        "tabular": "from rlcourse.lab import plots\nimport rlcourse.values.features\n",
        "values": "import numpy\n",
        "checker": "from ..exercises import lesson_00\n",
        "exercises": "from .. import grading\n",
        "grading": "",
    }.items():
        (package / room).mkdir(parents=True)
        (package / room / "__init__.py").write_text("")
        (package / room / "module.py").write_text(source)
    (package / "__init__.py").write_text("")
    assert against_the_order(imports_of_rooms(package)) == [
        "checker imports exercises",
        "exercises imports grading",
        "lab imports tabular",
        "tabular imports values",
    ]


# The time is measured inside the process, so it is the import's and not the interpreter's start; and it is
# the processor's, so that a busy machine makes no import slow.
PROBE = """
import json, sys, time
start = time.process_time()
{code}
print(json.dumps([time.process_time() - start, sorted(m for m in sys.modules if "." not in m)]))
"""


def run_probe(code: str) -> tuple[float, set[str]]:
    answer = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code)], capture_output=True, text=True, timeout=900
    )
    assert answer.returncode == 0, answer.stderr
    seconds, modules = json.loads(answer.stdout)
    return seconds, set(modules)


@pytest.mark.parametrize(
    "code",
    [
        "import rlcourse",
        *(f"from rlcourse import exercises; exercises.lesson({number!r})" for number in IN_NUMPY),
    ],
)
def test_lessons_in_numpy_import_in_half_a_second_without_torch(code):
    tries = [run_probe(code) for _ in range(3)]
    assert not tries[0][1] & {"torch", "scipy", "matplotlib"}
    assert min(seconds for seconds, _ in tries) < 0.5


def test_a_check_of_lesson_00_imports_no_other_lesson_and_no_torch():
    code = """
from rlcourse.checker import check
def discounted_return(rewards, gamma): return 0.0
with __import__("contextlib").redirect_stdout(None): check(discounted_return)
lessons = [m for m in sys.modules if m.startswith("rlcourse.exercises.lesson")]
assert lessons == ["rlcourse.exercises.lesson_00"], lessons
"""
    _, modules = run_probe(code)
    assert not modules & {"torch", "scipy", "matplotlib"}
