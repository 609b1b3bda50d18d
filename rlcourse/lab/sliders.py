"""A figure that answers to a slider, and a still of itself where nobody can drag.

`slide(draw, values, name="γ", alt=...)` shows the figure that `draw(value)` makes, with a slider over the
values above it. Where no kernel runs (a web page, slides, a printout) the figure for the first position
stays as it is, an image with its words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .page import as_image, display_markup, figure_of, in_notebook, require_alt


def slide(
    draw: Callable[[Any], Figure | Axes],
    values: Sequence[Any],
    *,
    name: str,
    alt: str,
    start: int | None = None,
    milliseconds: int | None = None,
) -> None:
    """Show the figure of `draw(value)` for the value that a slider points to.

    name: what stands beside the slider, with the value; alt: what the figure shows at any position, in
    words; start: the first position (an index of `values`; the middle if not given); milliseconds: a
    button plays the positions one after another, so fast. Every figure is drawn once, when it is first
    asked for. Raises ValueError if there are no values, or no words.
    """
    require_alt(alt)
    values = list(values)
    if not values:
        raise ValueError("A slider needs at least one value.")
    start = len(values) // 2 if start is None else start
    pictures: dict[int, str] = {}

    def picture(position: int) -> str:
        if position not in pictures:
            figure = figure_of(draw(values[position]))
            pictures[position] = as_image(figure, alt, quick=True)
            plt.close(figure)
        return pictures[position]

    if not in_notebook():
        picture(start)
        return
    began = time.process_time()
    picture(start)
    handle = _sliding(picture, [_told(value) for value in values], name, start, milliseconds)
    display_markup(
        picture(start),
        alt,
        display_id=handle,
        metadata={"rlcourse": {"seconds": time.process_time() - began}},
    )


def _sliding(
    picture: Callable[[int], str],
    labels: list[str],
    name: str,
    start: int,
    milliseconds: int | None,
) -> str:
    """Put the slider on the page; returns the name of the display that it will change."""
    import uuid

    import ipywidgets as widgets
    from IPython.display import display

    handle = uuid.uuid4().hex
    slider = widgets.SelectionSlider(
        options=[(label, i) for i, label in enumerate(labels)],
        value=start,
        description=name,
        style={"description_width": "initial"},
        layout={"width": "420px"},
    )

    def moved(change: dict[str, Any]) -> None:
        display_markup(picture(change["new"]), "", display_id=handle, update=True)

    slider.observe(moved, names="value")
    controls = [slider]
    if milliseconds is not None:
        player = widgets.Play(min=0, max=len(labels) - 1, value=start, interval=milliseconds)
        widgets.link((player, "value"), (slider, "value"))
        controls.insert(0, player)
    box = widgets.HBox(controls)
    # The text is what stands there where no kernel runs.
    said = f"{name} = {labels[start]} (run this cell to drag it)"
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    display({"application/vnd.jupyter.widget-view+json": view, "text/plain": said}, raw=True)
    return handle


def _told(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
