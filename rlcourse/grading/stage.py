"""The package as a student's code may see it: everything but the answers.

A sealed copy is made once a run. Functions that are exercises raise `Forbidden` when called, the
declarations and the grading code are left out, and `check` hands back what it is given.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Collection
from pathlib import Path

import rlcourse

ROOMS = ("lab", "tabular", "values", "policies", "continuous")
HARNESS = ("plain.py", "probes.py", "harness.py", "networks.py")

_EXERCISES = '''"""The checker is not here: answers are marked elsewhere."""


def check(function, name=None):
    return function


def authorship(*names):
    return ""
'''

_FORBIDDEN = '''

class Forbidden(RuntimeError):
    """The course's own answer was called in place of one's own."""
'''


def sealed_names() -> frozenset[str]:
    """Names of all exercises, read from the declarations' text: grading Part I never waits for torch."""
    folder = Path(rlcourse.__file__).parent / "exercises"
    texts = (path.read_text(encoding="utf-8") for path in folder.glob("lesson_*.py"))
    return frozenset(name for text in texts for name in _DECLARED.findall(text))


_DECLARED = re.compile(r"\bExercise\(\s*[\"'](\w+)[\"']")


def make_stage(folder: Path, exercises: Collection[str]) -> Path:
    """Write the sealed package into `folder` and return it, ready for `sys.path`."""
    source = Path(rlcourse.__file__).parent
    package = folder / "rlcourse"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text((source / "__init__.py").read_text() + _FORBIDDEN)
    for room in ROOMS:
        for path in sorted((source / room).glob("*.py")):
            target = package / room / path.name
            target.parent.mkdir(exist_ok=True)
            target.write_text(sealed(path.read_text(), exercises))
    checker = package / "exercises"
    checker.mkdir()
    (checker / "__init__.py").write_text(_EXERCISES)
    for name in HARNESS:
        shutil.copy(source / "exercises" / name, checker / name)
    for name in ("worker.py", "walls.py"):
        shutil.copy(source / "grading" / name, folder / name)
    return folder


def sealed(source: str, exercises: Collection[str]) -> str:
    """`source` with the body of every function or class named like an exercise replaced."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in exercises:
            node.body = ast.parse(
                f"from rlcourse import Forbidden\nraise Forbidden({node.name!r})"
            ).body
        elif isinstance(node, ast.ClassDef) and node.name in exercises:
            node.body = ast.parse(
                "def __init__(self, *args, **kwargs):\n"
                f"    from rlcourse import Forbidden\n    raise Forbidden({node.name!r})"
            ).body
    return ast.unparse(tree)
