"""Refusing a lesson that would not work for a student: with every reason, and where it is."""

from __future__ import annotations

import ast
import html
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from .notebook import check_source
from .paths import UsageError, lesson_of
from .source import (
    BEGIN,
    END,
    ROLES,
    Cell,
    Declarations,
    marker_in,
    parse,
    solution_regions,
    student_source,
)

SLIDE_TYPES = ("slide", "subslide", "fragment", "skip", "notes", "-")
OPTIONS = (*ROLES, "points", "slide", "tags", "jupyter", "title")
HINTS_AT_LEAST = 3


@dataclass(frozen=True)
class Problem:
    """One reason to refuse a lesson, and where: `cell` counts from 1, `line` is in the .py file."""

    file: Path
    cell: int | None
    line: int | None
    reason: str

    def __str__(self) -> str:
        where = self.file.name
        if self.cell:
            where += f", cell {self.cell}"
        if self.line:
            where += f" (line {self.line})"
        return f"{where}: {self.reason}"


class BuildError(UsageError):
    """A lesson is refused; `problems` holds every reason."""

    def __init__(self, problems: list[Problem]):
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def find_problems(
    path: Path, cells: list[Cell], registry: Declarations | ModuleType
) -> Iterator[Problem]:
    """Everything for which a lesson is refused."""
    lesson = lesson_of(path)
    if lesson is None:
        yield Problem(path, None, None, "the name of a lesson is NN_topic.py, as 05_control.py")
        return
    for cell in cells:
        for reason in (*_option_problems(cell), *_marker_problems(cell), *_syntax_problems(cell)):
            yield Problem(path, cell.number, cell.line, reason)
    yield from _exercise_problems(path, lesson, cells, registry)
    yield from _leaks(path, cells)


def _option_problems(cell: Cell) -> Iterator[str]:
    unknown = [option for option in cell.options if option not in OPTIONS]
    if unknown:
        yield f"unknown cell option {unknown[0]!r}; known are {', '.join(OPTIONS)}"
    roles = [role for role in ROLES if role in cell.options]
    if len(roles) > 1:
        yield f"a cell has one role, this one has {' and '.join(roles)}"
    kind = "code" if cell.role in ("exercise", "check") else "markdown"
    if cell.role and cell.kind != kind:
        yield f"a cell with {cell.role}= is a {kind} cell, not {cell.kind}"
    slide = cell.options.get("slide", "-")
    if slide not in SLIDE_TYPES:
        yield f"unknown slide type {slide!r}; known are {', '.join(SLIDE_TYPES)}"


def _marker_problems(cell: Cell) -> Iterator[str]:
    inside = False
    for line in cell.source.splitlines():
        marker = marker_in(line)
        if marker is None:
            continue
        if cell.role != "exercise":
            yield f"a solution outside an exercise cell: {line.strip()!r}"
            return
        if line.strip() != marker:
            yield f"a marker is {marker!r} on a line of its own, not {line.strip()!r}"
        if marker is BEGIN and inside:
            yield f"nested markers: {BEGIN!r} again before {END!r}"
        if marker is END and not inside:
            yield f"unpaired markers: {END!r} without {BEGIN!r}"
        inside = marker is BEGIN
    if inside:
        yield f"unpaired markers: {BEGIN!r} without {END!r}"


def _syntax_problems(cell: Cell) -> Iterator[str]:
    if cell.kind == "code":
        try:
            parse(cell.source)
        except SyntaxError as error:
            yield f"not valid Python: {error.msg}, line {error.lineno} of the cell"


def _exercise_problems(
    path: Path, lesson: str, cells: list[Cell], registry: Declarations | ModuleType
) -> Iterator[Problem]:
    everywhere = registry.names()
    ours = tuple(name for name in everywhere if registry.get(name).lesson == lesson)
    found: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        if cell.role is None:
            continue
        name = cell.exercise
        at = (path, cell.number, cell.line)
        if name not in everywhere:
            yield Problem(*at, f"unknown exercise {name!r}: rlcourse.exercises does not declare it")
            continue
        if name not in ours:
            yield Problem(*at, f"exercise {name!r} is of lesson {registry.get(name).lesson}")
            continue
        if (cell.role, name) in found:
            first = found[cell.role, name].number
            yield Problem(*at, f"repeated exercise {name!r}: cell {first} is its {cell.role} cell")
            continue
        found[cell.role, name] = cell
        for reason in _role_problems(cell, registry.get(name)):
            yield Problem(*at, reason)

    for name in ours:
        parts = {role: found.get((role, name)) for role in ROLES}
        if parts["exercise"] is None:
            yield Problem(
                path, None, None, f"exercise {name!r} is declared but has no exercise cell"
            )
            continue
        at = (path, parts["exercise"].number, parts["exercise"].line)
        for role in ROLES:
            if parts[role] is None:
                yield Problem(*at, f"exercise {name!r} has no {role} cell")
        numbers = [part.number for part in parts.values() if part]
        if numbers != sorted(numbers):
            yield Problem(*at, f"the cells of {name!r} are not in the order {', '.join(ROLES)}")


def _role_problems(cell: Cell, exercise: Any) -> Iterator[str]:
    name = exercise.name
    if cell.role == "task":
        heading = f"### Exercise {exercise.number} · `{name}`"
        if cell.source.split("\n", 1)[0].strip() != heading:
            yield f"the task begins with the line {heading!r}"
        said = re.search(r"\*\*Points\*\*:?\s*(\d+)", cell.source)
        if said and int(said[1]) != exercise.points:
            yield f"the task of {name!r} says {said[1]} points, declared are {exercise.points}"
    elif cell.role == "hints":
        count = len(re.findall(r"<details\b", cell.source))
        if count < HINTS_AT_LEAST:
            yield f"fewer than {HINTS_AT_LEAST} hints for {name!r}: {count} <details>"
        if count != len(re.findall(r"</details>", cell.source)):
            yield f"a hint of {name!r} is not closed: as many </details> as <details>"
    elif cell.role == "check":
        call = check_source(name)
        if cell.source.strip() != call:
            yield f"the check cell of {name!r} is exactly {call!r}"
    elif cell.role == "exercise":
        points = cell.options.get("points")
        if points != exercise.points:
            yield f"points={points} for {name!r} differ from the declared {exercise.points}"
        if not list(_marker_problems(cell)) and not list(_syntax_problems(cell)):
            yield from _stub_problems(cell, exercise)


def _stub_problems(cell: Cell, exercise: Any) -> Iterator[str]:
    name = exercise.name
    if not _answered(cell):
        yield f"exercise {name!r} has no solution between {BEGIN!r} and {END!r}"
        return
    if name not in _functions(parse(cell.source)):
        defined = ", ".join(_functions(parse(cell.source))) or "none"
        yield f"the exercise cell defines no function {name!r} (it defines: {defined})"
        return
    try:
        stub = _functions(parse(student_source(cell.source, exercise.title))).get(name)
    except SyntaxError:
        stub = None
    if stub is None or not any(isinstance(node, ast.Raise) for node in ast.walk(stub)):
        yield f"no function stub is left of {name!r}: the markers belong inside the function"


def _answered(cell: Cell) -> bool:
    return any(_statements(region) for region in solution_regions(cell.source))


def _statements(region: str) -> list[ast.stmt]:
    try:
        return parse(region).body
    except SyntaxError:
        return []


def _functions(tree: ast.Module) -> dict[str, ast.stmt]:
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


# ------------------------------------------------------------------------------------------ leaks

# A piece of an answer is worth hiding from so many operations on: fewer are everyday Python.
_LINE_OPERATIONS, _PART_OPERATIONS = 3, 4
_OPERATION = (
    ast.BinOp,
    ast.BoolOp,
    ast.Compare,
    ast.Call,
    ast.Subscript,
    ast.IfExp,
    ast.comprehension,
    ast.Lambda,
)


def _operations(node: ast.AST) -> int:
    return sum(isinstance(part, _OPERATION) for part in ast.walk(node))


def _leaks(path: Path, cells: list[Cell]) -> Iterator[Problem]:
    """Answers that can be read in the students' copy, spacing and comments apart."""
    answers: dict[str, dict[str, ast.AST]] = {}
    bodies: dict[str, str] = {}
    for cell in cells:
        if cell.role != "exercise" or list(_marker_problems(cell)) or list(_syntax_problems(cell)):
            continue
        answers[cell.exercise] = {
            ast.dump(piece): piece
            for region in solution_regions(cell.source)
            for statement in _statements(region)
            for piece in _telling_pieces(statement)
        }
        function = _functions(parse(cell.source)).get(cell.exercise)
        if isinstance(function, ast.FunctionDef) and _answered(cell):
            bodies[_behaviour(function)] = cell.exercise

    for cell in cells:
        trees = list(_readable_code(cell))
        shown = {ast.dump(node) for tree in trees for node in ast.walk(tree)}
        for name, pieces in answers.items():
            leaked = [piece for dump, piece in pieces.items() if dump in shown]
            if leaked:
                text = ast.unparse(max(leaked, key=_operations)).split("\n")[0]
                reason = f"a solution leaks: {text!r} is of the answer to {name!r}"
                yield Problem(path, cell.number, cell.line, reason)
        for node in (node for tree in trees for node in ast.walk(tree)):
            name = None
            if isinstance(node, ast.FunctionDef | ast.Lambda):
                name = bodies.get(_behaviour(node))
            if name is None and isinstance(node, ast.FunctionDef) and cell.role != "exercise":
                name = node.name if node.name in answers and not _is_stub(node) else None
            if name is not None:
                reason = f"a solution leaks: a function that answers {name!r}"
                yield Problem(path, cell.number, cell.line, reason)
                break


def _telling_pieces(statement: ast.stmt) -> Iterator[ast.AST]:
    """The lines of a statement, and their parts, that would give the answer away."""
    for node in ast.walk(statement):
        if isinstance(node, ast.stmt):
            simple = not hasattr(node, "body")
            if simple and _operations(node) >= _LINE_OPERATIONS:
                yield node
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr) and _operations(child) >= _LINE_OPERATIONS:
                    yield child
        elif isinstance(node, ast.expr) and _operations(node) >= _PART_OPERATIONS:
            yield node


def _behaviour(function: ast.FunctionDef | ast.Lambda) -> str:
    """A function without its name, docstring and annotations, to see the same one under another name."""
    arguments = [a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)]
    if isinstance(function, ast.Lambda):
        body: list[ast.stmt] = [ast.Return(function.body)]
    else:
        body = _without_docstring(function)
    return f"{arguments} {[ast.dump(statement) for statement in body]}"


def _without_docstring(function: ast.FunctionDef) -> list[ast.stmt]:
    has_docstring = ast.get_docstring(function, clean=False) is not None
    return function.body[has_docstring:]


def _is_stub(function: ast.FunctionDef) -> bool:
    """Whether a function only says what it takes: `...`, `pass`, or a raise."""
    return all(
        isinstance(statement, ast.Pass | ast.Raise)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in _without_docstring(function)
    )


def _readable_code(cell: Cell) -> Iterator[ast.Module]:
    """All Python that a student can read in a cell: code, comments, strings, fences, plain lines."""
    if cell.kind != "code":
        text = html.unescape(cell.source)
        fenced = re.findall(
            r"^[ \t]*(```+|~~~+)[^\n]*\n(.*?)^[ \t]*\1", text, re.DOTALL | re.MULTILINE
        )
        spans = re.findall(r"`([^`\n]+)`", text)
        tagged = re.findall(r"<(?:code|pre)\b[^>]*>(.*?)</(?:code|pre)>", text, re.DOTALL)
        texts = [*(body for _, body in fenced), *spans, *tagged, *text.splitlines()]
        for piece in texts:
            yield from _fragments(re.sub(r"</?\w+[^<>]*>", "", piece))
        return
    source = cell.source
    if cell.role == "exercise":
        if list(_marker_problems(cell)):
            return
        source = student_source(source, "")
    try:
        tree = parse(source)
    except SyntaxError:
        return
    yield tree
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for line in (
                node.value,
                *node.value.splitlines(),
                *re.findall(r"`([^`\n]+)`", node.value),
            ):
                yield from _fragments(line)
    for comment in re.findall(r"#+[ \t]?(.*)", source):
        yield from _fragments(comment)


def _fragments(text: str) -> Iterator[ast.Module]:
    """The text as Python, whole or else line by line."""
    text = textwrap.dedent(text)
    for candidate in (text, *text.splitlines()) if "\n" in text else (text,):
        line = candidate.strip()
        try:
            yield parse(f"{line} pass" if line.endswith(":") else line)
        except (SyntaxError, ValueError):
            continue
        if candidate is text:
            return
