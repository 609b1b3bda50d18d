"""The package as a student's code may see it: everything but the answers.

A sealed copy is made once a run. Functions that are exercises raise `Forbidden` when called, and so do
their helpers and what the course has still to come to, where the same equations have other names. The
declarations and the grading code are left out and raise it too, and `check` hands back what it is given.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Collection
from pathlib import Path

import rlcourse
from rlcourse.checker import registry

ROOMS = ("lab", "tabular", "values", "policies", "continuous")
BASIC = ("lab", "tabular")  # worlds and tools, which answers may use
HARNESS = ("plain.py", "probes.py", "timing.py", "harness.py", "networks.py", "playing.py")
PROJECT = "train_agent"

_CHECKER = '''"""The checker is not here: answers are marked elsewhere."""


def check(answer, name=None):
    if isinstance(answer, str):
        import sys
        return sys._getframe(1).f_globals[answer]
    return answer


def authorship(*names):
    return ""


whose = authorship


def __getattr__(name):
    from rlcourse import Forbidden
    if name.startswith("__"):
        raise AttributeError(name)
    raise Forbidden(__name__ + "." + name)
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
    """The exercises of this lesson and of later ones, and their parts; what earlier ones asked for may be used.

    Read from the declarations' text: grading Part I never waits for torch.
    """
    later = [number for number in registry.lessons() if number >= lesson]
    return frozenset(
        name for number in later for name in (*registry.names(number), *registry.parts(number))
    )


def make_stage(folder: Path, exercises: Collection[str]) -> Path:
    """Write the sealed package into `folder` and return it, ready for `sys.path`."""
    source = Path(rlcourse.__file__).parent
    package = folder / "rlcourse"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        (source / "__init__.py").read_text(encoding="utf-8") + _FORBIDDEN, encoding="utf-8"
    )
    answers, own = _definition_of(exercises), _definition_of(_first(exercises))
    # A project's answer is an agent: the course's finished ones are answers, all of them.
    project, reached = PROJECT in _first(exercises), False
    for room in ROOMS:
        texts = {
            path.stem: path.read_text(encoding="utf-8") for path in (source / room).glob("*.py")
        }
        holders = {name for name, text in texts.items() if answers.search(text)}
        (package / room).mkdir()
        for name, text in texts.items():
            whole = reached or (room not in BASIC and (project or _goes_on_from(text, holders)))
            (package / room / f"{name}.py").write_text(
                sealed(text, exercises, whole), encoding="utf-8"
            )
        # Whatever is in the rooms after the lesson's own, the course has still to come to. (A later lesson
        # may go back to an earlier room, as 16 does to the tables.)
        reached = reached or (room != "lab" and any(map(own.search, texts.values())))
    for room in ("checker", "exercises"):
        (package / room).mkdir()
        (package / room / "__init__.py").write_text(_CHECKER, encoding="utf-8")
        for path in sorted((source / room).glob("[!_]*.py")):
            if room == "checker" and path.name in HARNESS:
                shutil.copy(path, package / room / path.name)
            else:
                (package / room / path.name).write_text(_ELSEWHERE, encoding="utf-8")
    for name in ("grading", "lessons"):
        (package / f"{name}.py").write_text(_ELSEWHERE, encoding="utf-8")
    for name in ("worker.py", "walls.py", "player.py"):
        shutil.copy(source / "grading" / name, folder / name)
    return folder


def _first(exercises: Collection[str]) -> Collection[str]:
    """Those of the exercises that are the earliest lesson's."""
    own = (set(exercises) & set(registry.names(number)) for number in registry.lessons())
    return next(filter(None, own), exercises)


def _definition_of(names: Collection[str]) -> re.Pattern[str]:
    return re.compile(rf"^(?:def|class) (?:{'|'.join(sorted(names)) or '(?!)'})\b", re.MULTILINE)


def _goes_on_from(source: str, modules: Collection[str]) -> bool:
    """Whether `source` imports one of these modules of its own room: what is built on an answer comes later."""
    imports = re.findall(r"^from \.(\w*) import (\w+)", source, re.MULTILINE)
    return any((module or name) in modules for module, name in imports)


def sealed(source: str, exercises: Collection[str], whole: bool = False) -> str:
    """`source` with the body of every function or class named like an exercise replaced, and of what
    only they call; whole: of every function."""
    tree = ast.parse(source)
    names = {*exercises, *_helpers(tree, exercises)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (whole or node.name in names):
            node.body = ast.parse(
                f"from rlcourse import Forbidden\nraise Forbidden({node.name!r})"
            ).body
        elif isinstance(node, ast.ClassDef) and node.name in exercises:
            node.body = ast.parse(
                "def __init__(self, *args, **kwargs):\n"
                f"    from rlcourse import Forbidden\n    raise Forbidden({node.name!r})"
            ).body
    return ast.unparse(tree)


def _helpers(tree: ast.Module, exercises: Collection[str]) -> set[str]:
    """The private functions of a module that nothing but its exercises needs."""
    uses = {
        node: {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        for node in tree.body
        if getattr(node, "name", "") not in exercises
    }
    private = {
        node.name: node
        for node in uses
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_")
    }
    asked = [name for node in uses if node not in private.values() for name in uses[node]]
    while asked:
        if helper := private.pop(asked.pop(), None):
            asked += uses[helper]
    return set(private)
