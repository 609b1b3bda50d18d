"""The figures of the class report, as SVG elements of the page: they take its colours, light or dark."""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .results import shortened

COLOURS = {"right": "#009E73", "wrong": "#D55E00", "stopped": "#CC79A7", "not attempted": "#999999"}

# Drawn in a colour that nothing else has, and replaced by the page's own: light or dark.
_INK = "#010203"


def bars(found: Sequence[Any]) -> str:
    """A bar an exercise: how many are right, wrong, stopped, not attempted. found: `report.items`."""
    figure, axes = _axes(len(found))
    left = np.zeros(len(found))
    widest = max(item.groups.total() for item in found)
    for group, colour in COLOURS.items():
        counts = np.array([item.groups[group] for item in found])
        if not counts.any():
            continue
        axes.barh(range(len(found)), counts, left=left, color=colour, label=group, height=0.7)
        for y, (count, start) in enumerate(zip(counts, left, strict=True)):
            if count >= 0.015 * widest:  # a narrower piece has no room for a number
                axes.text(
                    start + count / 2, y, str(count), ha="center", va="center", color="#000000"
                )
        left += counts
    axes.set_yticks(range(len(found)), [f"{item.number} {item.name}" for item in found])
    axes.set_xlabel("submissions")
    axes.set_xlim(0, widest)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, labelcolor=_INK)
    told = "; ".join(
        f"{i.number} {i.name}: " + ", ".join(f"{i.groups[g]} {g}" for g in COLOURS if i.groups[g])
        for i in found
    )
    return _inline(figure, "bars", f"Submissions for each exercise. {told}.")


def histogram(scores: list[float], most: float) -> str:
    """How many submissions reached how many points."""
    figure, axes = _axes(4)
    edges = np.arange(-0.5, most + 1.5) if most <= 40 else np.linspace(0, most, 21)
    counts, _ = np.histogram(scores, edges)
    middles = (edges[1:] + edges[:-1]) / 2
    axes.bar(middles, counts, width=0.85 * np.diff(edges), color="#0072B2")
    axes.invert_yaxis()
    axes.set_xlabel("points")
    axes.set_ylabel("submissions")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.get_major_locator().set_params(integer=True)
    pairs = zip(middles, counts, strict=True)
    told = ", ".join(f"{count} with {middle:g}" for middle, count in pairs if count)
    return _inline(figure, "points", f"Submissions by points, of {most:g}: {told}.")


def frequencies(shown: Sequence[Any]) -> str:
    """A bar a mistake: how many made it. shown: of `report.misconceptions`."""
    figure, axes = _axes(len(shown))
    counts = [len(one.students) for one in shown]
    colours = ["#D55E00" if one.known else "#999999" for one in shown]
    bars = axes.barh(range(len(shown)), counts, color=colours, height=0.7)
    axes.bar_label(bars, padding=4, color=_INK)
    names = [f"{one.number} {shortened(one.name, 34)}" for one in shown]
    # A student's exception may have a name of dollars, which is no formula.
    axes.set_yticks(range(len(shown)), names, parse_math=False)
    axes.set_xlabel("made by")
    axes.xaxis.get_major_locator().set_params(integer=True)
    told = ", ".join(f"{one.number} {one.name}: {n}" for one, n in zip(shown, counts, strict=True))
    return _inline(
        figure, "mistakes", f"The most frequent mistakes, and how many made each: {told}."
    )


def _axes(rows: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 1.1 + 0.36 * rows), layout="constrained")
    axes = figure.add_subplot()
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_INK)
    axes.tick_params(colors=_INK, length=0)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    return figure, axes


def _inline(figure: Any, name: str, alt: str) -> str:
    """A figure as an SVG element of the page, with words for those who do not see it."""
    import matplotlib as mpl

    stream = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), warnings.catch_warnings():
        # Text stays text: the browser has the letters that the font measured here has not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Every figure has an `axes_1`; in one page an id is for one element.
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg).replace("url(#", f"url(#{name}-")
    label = html.escape(alt, quote=True)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return f"<figure>{svg}</figure>\n"
