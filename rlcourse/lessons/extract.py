"""From a notebook to the statements that define each exercise, and nothing else.

Training and demonstration cells are never run: for every exercise only its definition is taken, and
the imports, helpers and constants that it needs by name, wherever they stand.
"""

from __future__ import annotations

import ast
import re
import symtable
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .paths import UsageError
from .reading import Unreadable, is_answer, metadata_of, source_of, tree_of

# Nobody writes this much; reading it would keep the others waiting.
MAX_CELL, MAX_CODE = 200_000, 500_000
SECONDS = 4.0  # of the processor, for reading one notebook's code


class _Clock:
    """The processor time that reading a notebook may take."""

    def __init__(self, seconds: float):
        self.seconds, self.end = seconds, time.thread_time() + seconds

    def check(self) -> None:
        """Raise Unreadable if it is over."""
        if time.thread_time() > self.end:
            raise Unreadable(f"reading its code takes more than {self.seconds:g} seconds")


@dataclass(frozen=True)
class CodeCell:
    """A code cell: its place among all cells (from 1), its source without magics, and what it is by now."""

    number: int
    source: str
    kind: str = "code"


@dataclass
class Extraction:
    """What a notebook says about the exercises asked for.

    programs: exercise -> [(cell, indices of the top-level statements to run)], in order;
    problems: exercise -> why its cell cannot be run, to complete "your cell …"; sources: exercise -> the student's text;
    uses: exercise -> other exercises whose functions it calls. An exercise in neither `programs`
    nor `problems` is not in the notebook. notes: what a teacher should know; lesson: from the notebook's
    metadata, or None.
    """

    programs: dict[str, list[tuple[CodeCell, list[int]]]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    uses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lesson: str | None = None


# ------------------------------------------------------------------------------- reading the file


def read_cells(data: bytes, seconds: float = SECONDS) -> tuple[list[CodeCell], str | None]:
    """The code cells of a notebook (format 3 or 4), and the lesson that its metadata names.

    An answer cell counts as code, also where it was made text. Raises Unreadable.
    """
    clock = _Clock(seconds)
    tree = tree_of(data)
    course = metadata_of(tree).get("rlcourse")
    lesson = course.get("lesson") if isinstance(course, dict) else None
    kinds = [cell.get("cell_type") for cell in tree["cells"]]
    sources = {
        number: source_of(cell)
        for number, (cell, kind) in enumerate(zip(tree["cells"], kinds, strict=True), start=1)
        if kind == "code" or is_answer(cell)
    }
    if sum(min(len(source), MAX_CELL) for source in sources.values()) > MAX_CODE:
        raise Unreadable(f"its code has more than {MAX_CODE} characters")
    code = [CodeCell(n, without_magics(s, clock.check), kinds[n - 1]) for n, s in sources.items()]
    return code, lesson if isinstance(lesson, str) else None


_MAGIC = re.compile(r"^(\s*)(?:[\w.]+\s*=\s*)?[%!?].*|^(\s*)[\w.]+\?{1,2}\s*$")
_AROUND_PYTHON = re.compile(
    r"\s*%%(time|capture|prun)\b"
)  # The rest of such a cell is run as it is.


def without_magics(source: str, check: Callable[[], None] = lambda: None) -> str:
    """Replace IPython's lines (`%magic`, `!shell`, `name?`) by `pass`, keeping line numbers.

    Of a cell in another language (`%%bash`) nothing remains.
    """
    if len(source) > MAX_CELL:
        return source
    lines = source.split("\n")
    if source.lstrip().startswith("%%") and not _AROUND_PYTHON.match(source):
        return "\n".join("" for _ in lines)
    # One after another, where Python stumbles: `% n` may also be the second line of a formula.
    for _ in range(20):
        check()
        try:
            ast.parse("\n".join(lines))
            return "\n".join(lines)
        except SyntaxError as error:
            at = (error.lineno or 0) - 1
        except (ValueError, RecursionError, MemoryError):
            break
        if not 0 <= at < len(lines) or not _MAGIC.match(lines[at]):
            break
        lines[at] = _MAGIC.sub(r"\1\2pass", lines[at])
    return "\n".join(_MAGIC.sub(r"\1\2pass", line) for line in lines)


# ------------------------------------------------------------------------------------- slicing


@dataclass(frozen=True)
class _Statement:
    cell: CodeCell
    index: int
    binds: frozenset[str]
    text: str
    is_import: bool

    @cached_property
    def needs(self) -> set[str]:
        return needs(self.text)  # Takes longest, and few statements are asked for theirs.


def extract_file(path: Path, names: Sequence[str]) -> Extraction:
    """What the notebook in a file says about the exercises `names`. Raises UsageError."""
    try:
        return extract(path.read_bytes(), names)
    except Unreadable as reason:
        raise UsageError(f"{path} cannot be read: {reason}.") from None


def extract(data: bytes, names: Sequence[str], seconds: float = SECONDS) -> Extraction:
    """What the notebook in `data` says about the exercises `names`.

    seconds: of the processor, that it may take. Raises Unreadable.
    """
    clock = _Clock(seconds)
    cells, lesson = read_cells(data, seconds)
    found = Extraction(lesson=lesson)
    statements: list[_Statement] = []
    broken: dict[str, tuple[int, str]] = {}  # exercise -> the last cell that is broken, and why
    before: CodeCell | None = None

    def breaks(cell: CodeCell, why: str) -> None:
        defined = (name for name in names if _mentions_definition(cell.source, name))
        broken.update((name, (cell.number, why)) for name in defined)

    for cell in cells:
        if cell.kind != "code":
            found.notes.append(
                f"cell {cell.number} is an answer made a {cell.kind} cell: read as code"
            )
        if before and _goes_on_with(before, cell):
            breaks(before, _SPLIT)
        before = cell
        try:
            statements += _statements(cell, clock)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            breaks(cell, _syntax(error, cell))
    modules = {name for s in statements if s.is_import for name in s.binds}
    for name in names:
        definitions = [s for s in statements if name in s.binds and not s.is_import]
        number, why = broken.get(name, (0, ""))
        if why and (not definitions or number >= definitions[-1].cell.number):
            found.problems[name] = why
            found.sources[name] = _broken_source(cells, name)
        elif definitions:
            needed, asked = _closure(name, statements, modules, clock)
            found.programs[name] = _by_cell(needed)
            found.sources[name] = definitions[-1].text
            found.uses[name] = tuple(n for n in names if n != name and n in asked)
    return found


def _statements(cell: CodeCell, clock: _Clock) -> Iterable[_Statement]:
    if len(cell.source) > MAX_CELL:
        raise ValueError(f"more than {MAX_CELL} characters")
    tree = ast.parse(cell.source)
    # As Python counts lines and columns: not at every character that str.splitlines takes for an end.
    lines = [line.encode() for line in re.split(r"\r\n|\r|\n", cell.source)]
    for index, node in enumerate(tree.body):
        clock.check()
        if _is_check(node):
            continue
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        yield _Statement(cell, index, frozenset(binds(node)), _text_of(node, lines), is_import)


def _text_of(node: ast.stmt, lines: list[bytes]) -> str:
    """A statement's text, with its decorators, and with the comments behind it that belong to it.

    (ast.get_source_segment splits the whole cell each time.)
    """
    decorators = getattr(node, "decorator_list", [])
    first, start = node.lineno - 1, node.col_offset
    if decorators:
        first, start = min(d.lineno for d in decorators) - 1, 0
    own, rest = lines[first : node.end_lineno], lines[node.end_lineno - 1][node.end_col_offset :]
    if not rest.strip().startswith(b"#"):
        own[-1] = own[-1][: node.end_col_offset]
    own[0] = own[0][start:]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        own += _comments(lines[node.end_lineno :])
    return b"\n".join(own).decode()


def _comments(lines: list[bytes]) -> list[bytes]:
    """The indented comments with which these lines begin, and the empty lines between them."""
    last = 0
    for count, line in enumerate(lines, start=1):
        if line.strip() and not re.match(rb"[ \t]+#", line):
            break
        if line.strip():
            last = count
    return lines[:last]


def _is_check(node: ast.stmt) -> bool:
    """`f = check("f")`, or `check(f)`: the check belongs to the notebook, not to the answer.

    `f = check(g)` does both, and stays: `g` is the answer.
    """
    call = getattr(node, "value", None)
    if not isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr) or not isinstance(
        call, ast.Call
    ):
        return False
    if getattr(call.func, "id", getattr(call.func, "attr", "")) != "check":
        return False
    checked = {argument.id for argument in call.args if isinstance(argument, ast.Name)}
    if call.args and isinstance(call.args[0], ast.Constant):
        checked.add(call.args[0].value)
    return binds(node) <= checked


def binds(node: ast.stmt) -> set[str]:
    """The names that a top-level statement defines or changes."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    bound: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            bound.add(part.id)
        elif isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(part.name)
        elif isinstance(part, ast.Import | ast.ImportFrom):
            bound |= binds(part)
        elif isinstance(part, ast.Attribute | ast.Subscript) and isinstance(part.ctx, ast.Store):
            bound |= {_base(part)}
    called = node.value.func if _is_call(node) else None
    if isinstance(called, ast.Attribute):
        bound.add(_base(called))  # cache.append(…) changes cache
    return bound - {""}


def _is_call(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def _base(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


_CHECKED_BY_NAME = re.compile(r"""\bcheck\(["'](\w+)["']""")


def needs(text: str) -> set[str]:
    """The global names that a statement looks up, in itself or in the functions that it defines."""
    try:
        table = symtable.symtable(text, "cell", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    needed = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    needed |= set(_CHECKED_BY_NAME.findall(text))
    tables = list(table.get_children())
    while tables:
        inner = tables.pop()
        needed |= {s.get_name() for s in inner.get_symbols() if s.is_global() and s.is_referenced()}
        tables += inner.get_children()
    return needed


def _closure(
    name: str, statements: list[_Statement], modules: set[str], clock: _Clock
) -> tuple[list[_Statement], set[str]]:
    """The statements that `name` needs, in the notebook's order, and every name they look up."""
    binding: dict[str, list[int]] = {}
    for i, statement in enumerate(statements):
        for bound in statement.binds:
            binding.setdefault(bound, []).append(i)
    # `import *` may bring any name; TASK says which task a project is for, whether the function looks or not.
    asked, seen, chosen = [name, "*", "TASK"], set(), set()
    while asked:
        clock.check()
        wanted = asked.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        for i in binding.get(wanted, ()):
            # `np.random.seed(0)` does not define np; only its import does.
            if i in chosen or (wanted in modules and not statements[i].is_import):
                continue
            chosen.add(i)
            asked += statements[i].needs
    return [statements[i] for i in sorted(chosen)], seen


def _by_cell(statements: list[_Statement]) -> list[tuple[CodeCell, list[int]]]:
    program: list[tuple[CodeCell, list[int]]] = []
    for statement in statements:
        if not program or program[-1][0] is not statement.cell:
            program.append((statement.cell, []))
        program[-1][1].append(statement.index)
    return program


# --------------------------------------------------------------------------------- broken cells


def _mentions_definition(source: str, name: str) -> bool:
    # Blanks of its own line only: `\s` would try every run of empty lines from each of its lines.
    return (
        re.search(rf"^[ \t]*(async[ \t]+)?def[ \t]+{re.escape(name)}\b", source, re.MULTILINE)
        is not None
    )


_SPLIT = "was split inside its function: the rest stands in the next cell. Make one cell of both"


def _goes_on_with(before: CodeCell, cell: CodeCell) -> bool:
    """Whether a cell begins in the middle of the function with which the one before it ends."""
    first = next((line for line in cell.source.split("\n") if line.strip()), "")
    last = next((line for line in reversed(before.source.split("\n")) if line.strip()), "")
    inside = last.startswith((" ", "\t")) or last.rstrip().endswith(":")
    return inside and first.startswith((" ", "\t")) and not first.lstrip().startswith("#")


def _syntax(error: Exception, cell: CodeCell) -> str:
    if isinstance(error, SyntaxError):
        return f"has a syntax error in line {error.lineno}: {error.msg}"
    return f"cannot be read as Python ({str(error)[:100] or type(error).__name__})"


def _broken_source(cells: list[CodeCell], name: str) -> str:
    return next(c.source for c in reversed(cells) if _mentions_definition(c.source, name))
