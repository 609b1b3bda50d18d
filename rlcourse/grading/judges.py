"""What a mark rests on, as digests: a mended exercise is graded again, and nothing else.

Three things may change a record besides the notebook: the settings of the run, the engine (whatever
runs and compares answers, and the package as a student's code sees it), and an exercise's declaration
with all that it uses. Comments and layout count for nothing.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import rlcourse
from rlcourse.checker import registry
from rlcourse.lessons.extract import binds, needs
from rlcourse.lessons.scratch import temporary_folder

from .marking import Course
from .stage import make_stage

_ENGINE = (
    *("checker/*.py", "lessons/extract.py", "lessons/reading.py", "lessons/clock.py"),
    *("grading/marking.py", "grading/project.py", "grading/sandbox.py", "grading/stage.py"),
)  # walls and worker go into the stage


@dataclass(frozen=True)
class Basis:
    """Digests of what a record rests on; exercises: name -> those of the engine and of its declaration."""

    settings: str
    exercises: dict[str, tuple[str, str]]


def basis_of(course: Course) -> Basis:
    """What the records of this run rest on."""
    sandbox = course.sandbox
    limits = (sandbox.seconds, sandbox.memory, sandbox.kind, sandbox.torch, sandbox.run_seconds)
    runs = engine(sandbox.sealed, Path(sandbox.stage) if sandbox.stage else None)
    declared = declarations(course.lesson, Path(rlcourse.__file__).parent, course.own)
    return Basis(
        _digest([json.dumps([course.lesson, course.secret, *limits])]),
        {name: (runs, digest) for name, digest in declared.items()},
    )


def engine(sealed: frozenset[str], stage: Path | None) -> str:
    """A digest of all that runs and compares answers, whatever the exercise.

    sealed: names of the exercises whose answers the stage lacks; stage: where it is, if it is made already.
    """
    package = Path(rlcourse.__file__).parent
    files = sorted(path for pattern in _ENGINE for path in package.glob(pattern))
    with temporary_folder() as folder:
        stage = stage or make_stage(folder / "stage", sealed)
        seen = sorted(path for path in stage.rglob("*.py") if "__pycache__" not in path.parts)
        named = [(path.relative_to(package), path) for path in files]
        named += [(path.relative_to(stage), path) for path in seen]
        return _digest(f"{name.as_posix()}\0{_plain(path)}" for name, path in named)


def _plain(path: Path) -> str:
    return ast.unparse(ast.parse(path.read_text(encoding="utf-8")))


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0\0".join(texts).encode(errors="surrogatepass")).hexdigest()[:32]


# ---------------------------------------------------------------------------------- declarations


def declarations(lesson: str, package: Path, own: Iterable[str] = ()) -> dict[str, str]:
    """exercise -> a digest of its declaration and of all that this uses, anywhere in the course.

    package: the folder `rlcourse` to look into; own: files of exercises that are not the course's, each of
    which counts as a whole. Of every module only the statements count that are needed; where that cannot be
    told, the whole module.
    """
    module = f"exercises.lesson_{lesson}"
    foreign = _digest(Path(path).read_text(encoding="utf-8") for path in own)
    digests = {}
    for name in registry.names(lesson):
        first = _declared(_module(package, module), name)
        digests[name] = _digest(sorted(_slice(module, first, package))) if first else foreign
    return digests


@dataclass(frozen=True)
class _Module:
    """A module of the package, statement by statement."""

    statements: tuple[ast.stmt, ...]
    binding: dict[str, tuple[int, ...]]  # name -> the statements that define or change it
    always: tuple[int, ...]  # what binds nothing, and may do anything


@cache
def _module(package: Path, name: str) -> _Module:
    path = _path(package, name)
    statements = tuple(ast.parse(path.read_text(encoding="utf-8")).body)
    binding: dict[str, list[int]] = {}
    always = []
    for index, statement in enumerate(statements):
        bound = binds(statement)
        for key in bound:
            binding.setdefault(key, []).append(index)
        if not bound and not _is_text(statement):
            always.append(index)
    return _Module(statements, {k: tuple(v) for k, v in binding.items()}, tuple(always))


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _path(package: Path, module: str) -> Path:
    """The file of a module, named from the package on ("tabular.control"; "" is the package itself)."""
    below = package.joinpath(*filter(None, module.split(".")))
    return below.with_suffix(".py") if below.with_suffix(".py").is_file() else below / "__init__.py"


def _declared(module: _Module, name: str) -> tuple[int, ...]:
    """The statements of a lesson's module in which `Exercise("name", …)` stands."""
    return tuple(
        index
        for index, statement in enumerate(module.statements)
        for node in ast.walk(statement)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "Exercise"
        and node.args
        and getattr(node.args[0], "value", None) == name
    )


def _slice(module: str, first: Iterable[int], package: Path) -> Iterator[str]:
    """The text of statements and of all that they need, each with the name of its module."""
    asked = [(module, index) for index in first]
    seen: set[tuple[str, int]] = set()
    while asked:
        place = asked.pop()
        if place in seen:
            continue
        seen.add(place)
        name, index = place
        here = _module(package, name)
        statement = here.statements[index]
        asked += [(name, other) for other in here.always]
        yield f"{name}: {ast.unparse(statement)}"
        if isinstance(statement, ast.ImportFrom | ast.Import):
            continue  # What it brings is followed where its names are looked up.
        for wanted, attribute in _needs(statement):
            asked += _found(name, wanted, attribute, package)


def _needs(statement: ast.stmt) -> Iterator[tuple[str, str | None]]:
    """(name, None) of what a statement looks up in its module, or (name, attribute) where only that is wanted."""
    wanted = needs(ast.unparse(statement))
    bases = set()
    for node in ast.walk(statement):  # from the outside in
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            bases.add(node.value)
            if node.value.id in wanted:
                yield node.value.id, node.attr
        elif isinstance(node, ast.Name) and node.id in wanted and node not in bases:
            yield node.id, None


def _found(
    module: str, name: str, attribute: str | None, package: Path
) -> Iterator[tuple[str, int]]:
    """The statements that a name looked up in a module stands for, wherever in the course they are."""
    here = _module(package, module)
    for index in here.binding.get(name, ()):
        yield module, index
        for source, imported in _imported(module, here.statements[index], name, package):
            if imported is None and attribute is None:
                there = _module(package, source)
                yield from ((source, other) for other in range(len(there.statements)))
            else:
                yield from _found(source, imported or attribute, None, package)


def _imported(
    module: str, statement: ast.stmt, name: str, package: Path
) -> Iterator[tuple[str, str | None]]:
    """(module of the course, name in it) for what an import calls `name`; (module, None) for a module.

    The checker is engine, and counts as a whole already.
    """
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom):
            base = _absolute(module, node, package)
            for alias in node.names if base is not None else ():
                if (alias.asname or alias.name) != name:
                    continue
                whole = f"{base}.{alias.name}".lstrip(".")
                is_module = _path(package, whole).is_file()
                found.append((whole, None) if is_module else (base, alias.name))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                ours = alias.name.startswith("rlcourse.")
                if ours and (alias.asname or alias.name.split(".")[0]) == name:
                    found.append((alias.name.removeprefix("rlcourse."), None))
    return ((m, n) for m, n in found if not f"{m}.".startswith("checker."))


def _absolute(module: str, node: ast.ImportFrom, package: Path) -> str | None:
    """The module that is imported from, named from the package on; None if it is none of the course's."""
    if not node.level:
        whole = node.module or ""
        if whole != "rlcourse" and not whole.startswith("rlcourse."):
            return None
        return whole.removeprefix("rlcourse").lstrip(".")
    parts = module.split(".")
    is_package = _path(package, module).name == "__init__.py"
    up = node.level - 1 if is_package else node.level
    kept = parts[: len(parts) - up]
    return ".".join([*kept, *filter(None, [node.module])])
