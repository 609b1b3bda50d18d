"""How a verdict looks: a small card in a notebook, plain text anywhere else, saying the same."""

from __future__ import annotations

import html
import os
import re
import sys

from . import equations
from .judging import FAILED, NOT_ATTEMPTED, PASSED, Verdict
from .registry import get


def show(bundle: dict[str, str]) -> None:
    """Display a mimebundle in a notebook; print its plain text anywhere else."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None and getattr(shell, "kernel", None) is not None:
        from IPython.display import display

        display(bundle, raw=True)
    else:
        print(bundle["text/plain"])


def rendered(result: Verdict, going_on: bool = True) -> dict[str, str]:
    """A verdict as plain text and as HTML, saying the same.

    going_on: whether the lesson's next cells use the function that the check returns.
    """
    return {"text/plain": as_text(result, going_on), "text/html": as_html(result, going_on)}


_SIGN = {PASSED: "✓", FAILED: "✗", NOT_ATTEMPTED: "○"}
_CLASS = {PASSED: "right", FAILED: "wrong", NOT_ATTEMPTED: "open"}
_GOING_ON = "The lesson goes on with the reference in place of your function."


def _lines(result: Verdict, going_on: bool) -> list[str]:
    """The verdict's sentences below the headline; of a right answer at most a remark."""
    if result.ok:
        # nbval compares what a check shows with the line for a right answer, to the letter.
        compared = "RLCOURSE_VERIFY_RECORDS" in os.environ
        return [] if compared else list(filter(None, result.explanation.split("\n")))
    exercise = get(result.exercise)
    lines = result.explanation.split("\n")
    if result.state == FAILED and result.mistake and exercise.equation:
        lines.append(f"Look at equation {exercise.equation}.")
    if result.instead:
        lines.append(f"Try: {result.instead}")
    if result.printed and result.state == FAILED:
        lines.append("It printed: " + " | ".join(result.printed.splitlines()[:3]))
    return [line for line in [*lines, _GOING_ON if going_on else ""] if line]


def _told(result: Verdict) -> str:
    return "right" if result.ok else result.headline


def fault_rendered(name: str, reason: str) -> dict[str, str]:
    """What is shown where an answer could not be judged, as plain text and as HTML."""
    told = "could not be checked"
    lines = [
        f"This is the course's fault, not your answer's: {' '.join(reason.split())}.",
        "Try: restart the kernel (menu Kernel → Restart Kernel), run the cells from the top, check again. "
        "If this card comes back, please report it, with the line above.",
        "The lesson goes on with your function as it is.",
    ]
    title = f"<b>!</b> <code>{html.escape(name)}</code>: <b>{told}</b>"
    return {
        "text/plain": "\n".join([f"! {name}: {told}", *(f"  {line}" for line in lines)]),
        "text/html": card(title, "unchecked", *map(inline, lines)),
    }


def as_text(result: Verdict, going_on: bool = True) -> str:
    """The verdict as plain text."""
    head = f"{_SIGN[result.state]} {result.number} {result.exercise}: {_told(result)}"
    body = _lines(result, going_on)
    return "\n".join([head, *(f"  {line}" for line in body)])


def as_html(result: Verdict, going_on: bool = True) -> str:
    """The verdict as a small card, legible in light and dark themes."""
    body = _lines(result, going_on)
    head = f"<code>{html.escape(result.exercise)}</code>"
    title = f"<b>{_SIGN[result.state]} {result.number}</b> {head}: <b>{inline(_told(result))}</b>"
    shown = [_typeset(latex) for latex in _equations(body)]
    return card(title, _CLASS[result.state], *map(inline, body), *shown)


# Set by VS Code and by Colab for the kernels that they start.
_WITHOUT_MATHJAX = ("VSCODE_PID", "VSCODE_CWD", "COLAB_RELEASE_TAG")


def _typeset(latex: str) -> str:
    """An equation for the page: LaTeX, which JupyterLab sets as in its texts, or MathML where nobody would."""
    if any(name in os.environ for name in _WITHOUT_MATHJAX):
        return equations.as_mathml(latex)
    return f"$${html.escape(latex, quote=False)}$$"


def _equations(lines: list[str]) -> list[str]:
    """What the sentences name by its number, as LaTeX."""
    return list(equations.named_in(" ".join(lines)).values())


_COLOUR = {"right": "#009e73", "wrong": "#d55e00", "open": "#56b4e9", "unchecked": "#e69f00"}


def card(title: str, kind: str, *paragraphs: str) -> str:
    style = f"border-left:4px solid {_COLOUR[kind]};padding:4px 12px;margin:2px 0;max-width:46em"
    body = "".join(f'<div style="margin-top:4px">{text}</div>' for text in paragraphs)
    return f'<div style="{style}">{title}{body}</div>'


def inline(text: str) -> str:
    """Escape, then `code` and *emphasis* as HTML."""
    escaped = html.escape(text, quote=False)
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return re.sub(r"(?<!\w)\*(\w[^*]*)\*(?!\w)", r"<i>\1</i>", escaped)
