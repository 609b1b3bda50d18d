"""The package as a student's code may see it: everything but the answers.

A sealed copy is made once a run. Functions that are exercises raise `Forbidden` when called, the
declarations and the grading code are left out and raise it too, and `check` hands back what it is given.
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


def __getattr__(name):
    from rlcourse import Forbidden
    if name.startswith("__"):
        raise AttributeError(name)
    raise Forbidden("rlcourse.exercises." + name)
'''

_ELSEWHERE = '''"""Not here: answers are marked elsewhere."""

from rlcourse import Forbidden

raise Forbidden(__name__)
'''

_FORBIDDEN = '''

class Forbidden(RuntimeError):
    """The course's own answer was called in place of one's own, or the checker was looked for."""
'''


def sealed_names(lesson: str) -> frozenset[str]:
    """Names of the exercises of this lesson and of later ones; what earlier ones asked for may be used.

    Read from the declarations' text: grading Part I never waits for torch.
    """
    folder = Path(rlcourse.__file__).parent / "exercises"
    sealed = [path for path in folder.glob("lesson_*.py") if path.stem >= f"lesson_{lesson}"]
    texts = (path.read_text(encoding="utf-8") for path in sealed)
    return frozenset(name for text in texts for name in _DECLARED.findall(text))


_DECLARED = re.compile(r"\bExercise\(\s*[\"'](\w+)[\"']")


def make_stage(folder: Path, exercises: Collection[str]) -> Path:
    """Write the sealed package into `folder` and return it, ready for `sys.path`."""
    source = Path(rlcourse.__file__).parent
    package = folder / "rlcourse"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        (source / "__init__.py").read_text(encoding="utf-8") + _FORBIDDEN, encoding="utf-8"
    )
    for room in ROOMS:
        for path in sorted((source / room).glob("*.py")):
            target = package / room / path.name
            target.parent.mkdir(exist_ok=True)
            target.write_text(sealed(path.read_text(encoding="utf-8"), exercises), encoding="utf-8")
    checker = package / "exercises"
    checker.mkdir()
    (checker / "__init__.py").write_text(_EXERCISES, encoding="utf-8")
    for path in sorted((source / "exercises").glob("[!_]*.py")):
        if path.name in HARNESS:
            shutil.copy(path, checker / path.name)
        else:
            (checker / path.name).write_text(_ELSEWHERE, encoding="utf-8")
    (package / "grading.py").write_text(_ELSEWHERE, encoding="utf-8")
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
