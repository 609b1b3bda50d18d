"""The student's page: what passed, what did not, which mistake, which equation, what to try next.

Self-contained HTML, in light and dark, ready to be printed; nothing in it but the student's own code
and the diagnosis: no expected values, no answers.
"""

from __future__ import annotations

import html
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from rlcourse.checker import equations
from rlcourse.checker.cards import inline

from .overrides import sentence

_KIND = {"passed": "right", "not attempted": "open"}
_SIGN = {"right": "✓", "open": "○", "wrong": "✗"}


# ------------------------------------------------------------------------------------- in words


def told(mark: dict[str, Any]) -> list[str]:
    """What the student is told of one exercise, line by line: plain text with `code` in backticks."""
    by_hand = [sentence(mark["override"], mark["points"])] if "override" in mark else []
    if mark["state"] == "passed":
        return ["Right.", *by_hand, *filter(None, [mark["explanation"]])]
    lines = [headline(mark), *by_hand, mark["explanation"]]
    if mark["mistake"] and mark["equation"]:
        lines.append(f"Look at equation {mark['equation']}.")
    if mark["next_step"]:
        lines.append(f"Try: {mark['next_step']}")
    if mark["state"] == "failed" and mark["cases"]:
        lines.append(f"Right in {mark['cases_passed']} of {mark['cases']} cases.")
    return [line for line in [*lines, mark["note"]] if line]


def headline(mark: dict[str, Any]) -> str:
    """The verdict on one exercise in a few words."""
    fixed = {"passed": "right", "not attempted": "not written yet"}
    return fixed.get(mark["state"]) or mark["headline"] or mark["state"]


def remarks(record: dict[str, Any]) -> list[str]:
    """What the student is told of the submission as a whole."""
    lines = [f"{note[:1].upper()}{note[1:]}." for note in record["notes"]]
    if record.get("penalty"):
        lines.append(f"For being late, {record['penalty']:g} points are taken off.")
    if record["state"] != "graded":
        lines.append(f"This submission could not be marked: {record['reason']}.")
    if by_hand := record.get("override"):
        lines.append(sentence(by_hand, record["points"]))
    return lines


# ------------------------------------------------------------------------------------- the page

# Shared with the class report, so that both look alike.
STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1f2328; --soft: #59636e; --code: #f6f8fa;
  --line: #d1d9e0; --right: #007a5a; --open: #0072b2; --wrong: #b84a00 }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --ink: #e6edf3; --soft: #9198a1;
  --code: #161b22; --line: #3d444d; --right: #3fb98f; --open: #6cb6ff; --wrong: #ff9a5c } }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 50em; margin: 2em auto; padding: 0 1em;
  color: var(--ink); background: var(--page); overflow-wrap: anywhere }
h1 { font-size: 1.5em; line-height: 1.25; margin-bottom: 0.2em } h2 { font-size: 1.15em }
.soft { color: var(--soft) } .right { color: var(--right) } .open { color: var(--open) }
.wrong { color: var(--wrong) }
code, pre { font-family: ui-monospace, monospace; font-size: 0.88em; background: var(--code) }
code { padding: 0.1em 0.25em; border-radius: 3px }
pre { padding: 0.8em; border-radius: 5px; overflow-x: auto; line-height: 1.4; overflow-wrap: normal }
table { border-collapse: collapse; width: 100%; font-size: 0.94em }
th, td { text-align: left; padding: 0.3em 0.8em 0.3em 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: normal }
th { font-weight: 600 } .number { text-align: right; white-space: nowrap }
@media print { :root { color-scheme: light; --page: #fff; --ink: #000; --soft: #444; --code: #fff;
  --line: #999; --right: #007a5a; --open: #0072b2; --wrong: #b84a00 }
  body { font-size: 10.5pt; max-width: none; margin: 0 } pre { white-space: pre-wrap;
  border: 1px solid var(--line) } tr, figure { break-inside: avoid } h2 { break-after: avoid } }
"""

_SECTIONS = """
section { border-left: 4px solid; padding: 0 0 0 1em; margin: 1.8em 0 }
section > * { color: var(--ink) } section h2 { margin: 0 0 0.4em; display: flex; gap: 0.5em }
section p { margin: 0.4em 0 } .equation { overflow-x: auto; margin: 0.6em 0 } section.right { border-color: var(--right) }
section.open { border-color: var(--open) } section.wrong { border-color: var(--wrong) }
h2 .points { margin-left: auto; font-weight: normal; white-space: nowrap }
nav { display: flex; flex-wrap: wrap; gap: 0.4em 1.2em; margin: 1em 0 } nav a { color: inherit }
"""

_LIGHT = HtmlFormatter(style="default")
_DARK = HtmlFormatter(style="github-dark")
HIGHLIGHT = (
    _LIGHT.get_style_defs(".highlight")
    + "@media screen and (prefers-color-scheme: dark) {"
    + _DARK.get_style_defs(".highlight")
    + "}.highlight, .highlight pre { background: var(--code) }"
    # Python of a newer version, or none at all: no red boxes around it.
    + ".highlight .err { border: 0; color: inherit; background: none }"
)


def document(title: str, body: str, style: str = "") -> str:
    """A self-contained HTML page in the course's style; `title` is plain text, `body` HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Whatever got in here from a student: nothing is loaded and nothing is run.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(title)}</title><style>{STYLE}{style}</style></head>\n"
        f"<body>\n{body}</body></html>\n"
    )


def page(record: dict[str, Any], lesson: str, title: str) -> str:
    """The feedback page of one record."""
    heading = f"Lesson {lesson} · {title}"
    said = "".join(f"<p>{html.escape(line)}</p>\n" for line in remarks(record))
    body = (
        f"<h1>{html.escape(heading)}</h1>\n<p><b>{html.escape(record['student'])}</b> · "
        f"<b>{record['score']:g}</b> of {record['points']:g} points</p>\n{said}"
        f"{_overview(record['exercises'])}{''.join(map(_section, record['exercises']))}"
    )
    return document(f"{heading}: {record['student']}", body, _SECTIONS + HIGHLIGHT)


def _overview(marks: list[dict[str, Any]]) -> str:
    links = "".join(
        f'<a href="#{_id(mark)}"><span class="{_kind(mark)}">{_SIGN[_kind(mark)]}</span> '
        f"{html.escape(mark['number'])}</a>"
        for mark in marks
    )
    return f'<nav aria-label="Exercises">{links}</nav>\n' if links else ""


def _section(mark: dict[str, Any]) -> str:
    kind = _kind(mark)
    lines = told(mark)[1:]
    text = "".join(f"<p>{inline(line)}</p>" for line in lines) + _shown(" ".join(lines))
    extra = ", extra credit" if mark.get("extra") else ""
    code = highlight(mark["source"], PythonLexer(), _LIGHT) if mark["source"].strip() else ""
    return (
        f'<section class="{kind}" id="{_id(mark)}"><h2><span class="{kind}">{_SIGN[kind]}</span>'
        f"<span>{html.escape(mark['number'])} <code>{html.escape(mark['name'])}</code>: "
        f"{inline(headline(mark))}</span>"
        f'<span class="points soft">{mark["score"]:g} of {mark["points"]:g}{extra}</span></h2>'
        f"{text}{code}</section>\n"
    )


def _shown(text: str) -> str:
    """The equations that a text names."""
    return "".join(
        f"<div class=equation>{equations.as_mathml(latex)}</div>"
        for latex in equations.named_in(text).values()
    )


def _kind(mark: dict[str, Any]) -> str:
    return _KIND.get(mark["state"], "wrong")


def _id(mark: dict[str, Any]) -> str:
    return f"exercise-{html.escape(mark['number'])}"
