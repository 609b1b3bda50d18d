"""Putting a figure on the page of a notebook, with words for those who cannot see it."""

from __future__ import annotations

import base64
import html
import io
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def show(figure: Figure | Axes, alt: str) -> None:
    """Display the figure with `alt`, the words that say to somebody who cannot see it what it shows.

    In a notebook it becomes an image with that text; elsewhere it is only closed.
    Raises ValueError if `alt` is empty.
    """
    figure = figure_of(figure)
    require_alt(alt)
    if in_notebook():
        display_markup(as_image(figure, alt), alt)
    plt.close(figure)  # or the notebook shows it a second time, without its words


def as_image(figure: Figure | Axes, alt: str, *, quick: bool = False) -> str:
    """The figure as an HTML image that carries its words; `quick`: less sharp, in half the time."""
    figure = figure_of(figure)
    buffer = io.BytesIO()
    how = {"dpi": 110, "pil_kwargs": {"compress_level": 1}} if quick else {}
    figure.savefig(buffer, format="png", **how)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    width = round(figure.get_figwidth() * mpl.rcParams["figure.dpi"])
    return (
        f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt)}" '
        f'style="width: {width}px; max-width: 100%">'
    )


def figure_of(figure: Figure | Axes | np.ndarray) -> Figure:
    """The figure that axes, or an array of them, belong to. Raises TypeError for anything else."""
    if isinstance(figure, np.ndarray):
        figure = figure.flat[0]
    figure = getattr(figure, "figure", figure)
    if not isinstance(figure, Figure):
        raise TypeError(f"show() takes a figure or its axes, not {type(figure).__name__}.")
    return figure


def require_alt(alt: str) -> None:
    """Raises ValueError if there are no words for the figure."""
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError("Say in `alt` what the figure shows, for those who cannot see it.")


def in_notebook() -> bool:
    """Whether somebody's page is there to show things on."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None


def display_markup(
    markup: str,
    words: str,
    *,
    display_id: str | None = None,
    update: bool = False,
    metadata: dict | None = None,
) -> None:
    """Put HTML on the page, and its words where no HTML is shown; or, to `update`, in place of what it put there."""
    from IPython.display import display

    bundle = {"text/html": markup, "text/plain": words}
    display(bundle, raw=True, metadata=metadata, display_id=display_id, update=update)
