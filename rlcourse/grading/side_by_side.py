"""Two answers beside each other, as HTML: what they have in common is marked."""

from __future__ import annotations

import difflib
import html
from collections.abc import Sequence

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from .similarity import tokens

STYLE = """
.beside { display: grid; grid-template-columns: 1fr 1fr; gap: 1em; margin: 0.6em 0 1.6em }
.beside > div { min-width: 0 } .beside h3 { margin: 0 0 0.3em } .beside pre { margin: 0 }
.beside .hll { display: block; box-shadow: -3px 0 0 var(--wrong); background: none }
@media print { details.pair { display: block } .beside pre { white-space: pre-wrap } }
"""


def in_common(first: str, second: str) -> tuple[list[int], list[int]]:
    """The lines, from 1, that stand in both texts in the same order, whatever their variables are called.

    Empty lines and comments are in common with nothing.
    """
    lines = [[tokens(line) for line in text.splitlines()] for text in (first, second)]
    matcher = difflib.SequenceMatcher(None, *lines, autojunk=False)
    found: tuple[list[int], list[int]] = ([], [])
    for block in matcher.get_matching_blocks():
        for k in range(block.size):
            if lines[0][block.a + k]:
                found[0].append(block.a + k + 1)
                found[1].append(block.b + k + 1)
    return found


def beside(titles: Sequence[str], texts: Sequence[str]) -> str:
    """Two columns with highlighted code; titles: plain text."""
    # The lexer would drop empty lines in front, and the numbers of the lines with them.
    bare = [text.strip("\n") for text in texts]
    columns = (
        f"<div><h3>{html.escape(title)}</h3>"
        f"{highlight(text, PythonLexer(stripnl=False), HtmlFormatter(hl_lines=common))}</div>"
        for title, text, common in zip(titles, bare, in_common(*bare), strict=True)
    )
    return f'<div class="beside">{"".join(columns)}</div>'
