"""`rlcourse slides`: a lesson as a talk, one HTML file that needs no network and no installation.

Here a lesson is cut into parts: at its headings, before and behind every exercise. Code that only plots stays
away; what is folded in the notebook, hints and details of a task go into the speaker's notes. How much of a
part fits on a slide only a browser can tell, so the file measures itself when it is opened: deck/deck.js
divides the parts into slides. reveal.js shows them, MathJax sets the formulas; both are in the file.
"""

from __future__ import annotations

import ast
import html
import re
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from . import extras
from .form import FOLDED, ON_PAPER
from .linking import displayed_equations
from .notebook import check_in
from .pages import WIDGET

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from nbformat import NotebookNode

_DECK = Path(__file__).with_name("deck")
_HEADING = re.compile(r"^(?=#{2,3} )", re.MULTILINE)
_DETAILS = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
_ANCHOR = re.compile(r'<a id="[^"]*"></a>\s*')
_STUB = re.compile(r"^\s*raise NotImplementedError\(")
# Sections for reading at home: they are no part of a talk.
_NOT_SHOWN = ("## For readers of the sources",)


@dataclass
class Part:
    """What belongs together: one slide, or several if it is more than fits on one."""

    title: str
    opens: bool = False  # whether a new column of slides begins with it
    blocks: list[str] = field(default_factory=list)  # HTML, from top to bottom
    notes: list[str] = field(default_factory=list)  # for the speaker


def write_deck(notebook: NotebookNode, target: Path, *, solved: bool) -> None:
    """Write the slides of an executed lesson.

    solved: whether the notebook holds the answers; then each stands on a slide behind its exercise, with its
    check. Raises UsageError if reveal.js or MathJax are not installed.
    """
    from .paths import write_atomically

    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically({target: deck(parts(notebook, solved=solved))})


def parts(notebook: NotebookNode, *, solved: bool) -> list[Part]:
    """The parts of a lesson, in order."""
    cutting = _Cutting(solved)
    for cell in notebook.cells:
        cutting.take(cell)
    return [part for part in cutting.parts if part.blocks]


class _Cutting:
    """Goes through a lesson's cells, with the equations that have been shown so far."""

    def __init__(self, solved: bool) -> None:
        self.parts: list[Part] = []
        self._solved = solved
        self._equations: dict[str, str] = {}
        self._markdown = _renderer()

    def take(self, cell: NotebookNode) -> None:
        if cell.metadata.get("slideshow", {}).get("slide_type") == "skip":
            return
        name = str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
        if cell.cell_type == "markdown":
            if name.startswith("task-"):
                self._task(cell.source)
            elif str(cell.id).startswith("hints-"):
                self._text_of_hints(cell.source)
            else:
                self._text(cell.source)
        elif cell.cell_type == "code":
            if check_in(cell):
                self._check(cell)
            elif cell.metadata.get("nbgrader"):
                self._answer(cell)
            else:
                self._code(cell)

    # ------------------------------------------------------------------------------- text

    def _text(self, source: str) -> None:
        self._equations |= dict(displayed_equations(source))
        for piece in filter(str.strip, _HEADING.split(source)):
            if piece.startswith(_NOT_SHOWN):
                continue
            if piece.startswith("# "):
                self._open(piece, opens=True)
            elif piece.startswith(("## ", "### ")):
                self._open(piece, opens=piece.startswith("## "))
            part = self._current()
            part.notes += [self._unfolded(*found) for found in _DETAILS.findall(piece)]
            part.blocks.append(self._rendered(_DETAILS.sub("", piece)))

    def _task(self, source: str) -> None:
        """An exercise: its head, what to do, the equation; the rest is for the speaker to say."""
        self._open(source, opens=False)
        part = self._current()
        head, _, body = source.partition("\n\n")
        first, _, rest = body.partition("\n\n")
        part.blocks.append(self._rendered(f"{head}\n\n{first}"))
        if ON_PAPER not in head:
            named = re.findall(r"\((\d{1,2}\.\d{1,2})\)", first)
            for number in dict.fromkeys(n for n in named if n in self._equations):
                latex = f"$$\n{self._equations[number]} \\tag{{{number}}}\n$$"
                part.blocks.append(self._rendered(latex))
        if rest.strip():
            part.notes.append(self._rendered(rest))

    def _text_of_hints(self, source: str) -> None:
        self._current().notes += [self._unfolded(*found) for found in _DETAILS.findall(source)]

    def _unfolded(self, summary: str, text: str) -> str:
        return self._rendered(f"**{summary.strip()}**\n\n{text}")

    # ------------------------------------------------------------------------------- code

    def _answer(self, cell: NotebookNode) -> None:
        """What to write: only its first lines, without the answer."""
        part = self._current()
        if self._solved:
            self._on(part.title)
            self._current().blocks.append(_highlighted(cell.source))
        else:
            part.blocks.append(_highlighted(signature(cell.source)))
            part.notes.append(_highlighted(cell.source))

    def _check(self, cell: NotebookNode) -> None:
        """A check is shown where there is an answer that it judges. The next text has its own slide."""
        if self._solved:
            self._current().blocks += [_shown(output) for output in cell.outputs]
        self._on(self._current().title)

    def _code(self, cell: NotebookNode) -> None:
        part = self._current()
        if not _only_prepares(cell):
            part.blocks.append(_highlighted(cell.source))
        part.blocks += filter(None, (_shown(output) for output in cell.outputs))

    # ------------------------------------------------------------------------------- parts

    def _open(self, text: str, *, opens: bool) -> None:
        """Begin the part whose heading is the first line of a text."""
        title = text.lstrip().splitlines()[0].lstrip("# ")
        self.parts.append(Part(title.replace("`", ""), opens))

    def _on(self, title: str) -> None:
        """Go on with the same title on a slide of its own."""
        self.parts.append(Part(title))

    def _current(self) -> Part:
        if not self.parts:
            self.parts.append(Part("", opens=True))
        return self.parts[-1]

    def _rendered(self, text: str) -> str:
        return self._markdown.render(_ANCHOR.sub("", text).strip())


# ------------------------------------------------------------------------------------ cells


def signature(source: str) -> str:
    """An exercise's code without docstrings and without what stands for the answer."""
    lines = source.splitlines()
    hidden: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            said = node.body[0]
            hidden |= set(range(said.lineno - 1, said.end_lineno))
    kept = [line for i, line in enumerate(lines) if i not in hidden]
    kept = [
        re.sub(r"raise NotImplementedError\(.*\)", "...", line) if _STUB.match(line) else line
        for line in kept
    ]
    return "\n".join(kept)


def _only_prepares(cell: NotebookNode) -> bool:
    """Whether a code cell is none to look at: it plots, or only imports."""
    if FOLDED in cell.metadata.get("tags", []):
        return True
    try:
        body = ast.parse(cell.source).body
    except SyntaxError:  # IPython's own
        return False
    return all(isinstance(node, ast.Import | ast.ImportFrom) for node in body)


def _shown(output: NotebookNode) -> str:
    """A cell's output as HTML; a slider is a still, and its position is said in the picture's words."""
    if output.output_type == "stream":
        return f'<pre class="out">{html.escape(output.text.rstrip())}</pre>'
    data = output.get("data", {})
    if WIDGET in data:
        return ""
    if "text/html" in data:
        return f'<div class="shown">{data["text/html"]}</div>'
    return f'<pre class="out">{html.escape(data.get("text/plain", ""))}</pre>'


def _highlighted(source: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return highlight(source, PythonLexer(), HtmlFormatter(cssclass="code", wrapcode=True))


def _renderer() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def maths(latex: str, options: dict) -> str:
        opening, closing = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
        return f"{opening}{html.escape(latex.strip())}{closing}"

    markdown = MarkdownIt("commonmark").enable("table")
    return markdown.use(dollarmath_plugin, renderer=maths, double_inline=True)


# ------------------------------------------------------------------------------------ the file


def deck(cut: list[Part]) -> str:
    """The file: the parts, and everything that shows them."""
    from pygments.formatters import HtmlFormatter

    def style(name: str, within: str = "") -> str:
        return HtmlFormatter(style=name).get_style_defs(f"{within}.code")

    dark = f"@media (prefers-color-scheme: dark) {{ {style('github-dark')} }}"
    return Template(_own("deck.html")).substitute(
        title=html.escape(cut[0].title),
        reveal_css=_text(extras.reveal("dist/reveal.css")),
        deck_css=_own("deck.css"),
        code_css=f"{style('tango')}\n{dark}",
        parts="\n".join(map(_section, cut)),
        mathjax=_script(extras.mathjax()),
        reveal=_script(extras.reveal("dist/reveal.js")),
        notes=_script(extras.reveal("plugin/notes/notes.js")),
        deck=_own("deck.js"),
    )


def _section(part: Part) -> str:
    notes = f'<aside class="notes">{"".join(part.notes)}</aside>' if part.notes else ""
    opens = " data-opens" if part.opens else ""
    return f'<div class="part"{opens}>{"".join(part.blocks)}{notes}</div>'


def _own(name: str) -> str:
    return _text(_DECK / name)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _script(file: Path) -> str:
    """A script's text, fit to stand within a page."""
    text = re.sub(r"^//# sourceMappingURL=.*$", "", _text(file), flags=re.MULTILINE)
    return text.replace("</script", r"<\/script")
