"""The student's page: what passed, what did not, which mistake, and what to try next.

Self-contained HTML; nothing in it but the student's own code and the diagnosis: no expected values,
no answers.
"""

from __future__ import annotations

import html
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from rlcourse.exercises.checking import inline

_COLOUR = {"passed": "#009e73", "not attempted": "#56b4e9"}
_SIGN = {"passed": "✓", "not attempted": "○"}
_FORMAT = HtmlFormatter(nowrap=False, style="default")

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 48em; margin: 2em auto; padding: 0 1em; color: #222 }
section { border-left: 5px solid; padding: 2px 1em; margin: 1.4em 0; break-inside: avoid }
h1 { font-size: 1.5em } h2 { font-size: 1.1em; margin: 0.3em 0 }
pre { background: #f6f6f6; padding: 0.7em; overflow-x: auto; font-size: 0.85em }
.score { float: right; color: #555 } code { background: #f1f1f1; padding: 0 0.2em }
"""


def page(record: dict[str, Any], lesson: str, title: str) -> str:
    """The feedback page of one record."""
    body = "".join(map(_section, record["exercises"]))
    if record["state"] != "graded":
        body = f"<p>This submission could not be marked: {html.escape(record['reason'])}.</p>"
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in record["notes"])
    heading = f"Lesson {lesson} · {html.escape(title)}"
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{heading}</title>'
        f"<style>{_STYLE}{_FORMAT.get_style_defs('.highlight')}</style></head><body>"
        f"<h1>{heading}</h1><p>{html.escape(record['student'])} · "
        f"<b>{record['score']:g} of {record['points']:g} points</b></p>{notes}{body}</body></html>\n"
    )


def _section(mark: dict[str, Any]) -> str:
    state = mark["state"]
    told = {"passed": "right"}.get(state, mark["headline"] or state)
    lines = [mark["explanation"]]
    if mark["mistake"]:
        lines.append(f"Look at equation {mark['equation']}.")
    if mark["next_step"]:
        lines.append(f"Try: {mark['next_step']}")
    if state == "failed" and mark["cases"]:
        lines.append(f"Right in {mark['cases_passed']} of {mark['cases']} cases.")
    lines.append(mark["note"])
    text = "".join(f"<p>{inline(line)}</p>" for line in lines if line and state != "passed")
    code = highlight(mark["source"], PythonLexer(), _FORMAT) if mark["source"] else ""
    return (
        f'<section style="border-color:{_COLOUR.get(state, "#d55e00")}">'
        f'<span class="score">{mark["score"]:g} / {mark["points"]:g}</span>'
        f"<h2>{_SIGN.get(state, '✗')} {mark['number']} <code>{mark['name']}</code>: "
        f"{html.escape(told)}</h2>{text}{code}</section>"
    )
