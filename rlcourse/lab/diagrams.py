"""Diagrams of lessons 00 and 01: an agent and its world, and an MDP as a graph with its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from .plots import INK, PALETTE, axes

STATE_RADIUS, ACTION_RADIUS = 0.55, 0.13


def agent_and_world() -> Axes:
    """The loop: the agent's action goes to the world, reward and next state come back."""
    ax = _canvas((7.0, 3.0), (-0.9, 10.9), (0, 5))
    for y, name, rule, color in (
        (3.7, "agent", r"$a_t \sim \pi(\cdot\,|\,s_t)$", "blue"),
        (0.3, "world", r"$r_t,\ s_{t+1}$ follow from $s_t,\ a_t$", "green"),
    ):
        box = FancyBboxPatch(
            (2.6, y), 4.8, 1.0, boxstyle="round,pad=0.1", linewidth=2,
            facecolor="none", edgecolor=PALETTE[color],
        )  # fmt: skip
        ax.add_patch(box)
        ax.text(5, y + 0.68, name, ha="center", va="center", weight="bold", color=PALETTE[color])
        ax.text(5, y + 0.22, rule, ha="center", va="center")
    for (x, y), (to_x, to_y), bend, label, at in (
        ((7.6, 4.2), (7.6, 0.8), 0.55, "action\n$a_t$", (9.4, 2.5)),
        ((2.4, 0.6), (2.4, 4.4), 0.7, "next state\n$s_{t+1}$", (0.1, 2.5)),
        ((2.4, 1.1), (2.4, 3.9), 0.3, "reward\n$r_t$", (2.9, 2.5)),
    ):
        _arrow(ax, (x, y), (to_x, to_y), bend, linewidth=2)
        ax.text(*at, label, ha="center", va="center")
    return ax


def mdp_graph(
    P: np.ndarray,
    R: np.ndarray,
    *,
    places: Sequence[tuple[float, float]],
    dots: Mapping[tuple[int, int], tuple[float, float]],
    states: Sequence[str],
    actions: Sequence[str],
) -> Axes:
    """An MDP as a graph: open circles are states, dots are actions with their reward, arrows carry p(s'|s, a).

    P: (S, A, S); R: (S, A); places: of the states; dots: of the actions that are drawn, (s, a) -> (x, y).
    """
    points = np.array([*places, *dots.values()])
    low, high = points.min(axis=0) - 1.1, points.max(axis=0) + 1.1
    ax = _canvas((11.0, 11.0 * (high - low)[1] / (high - low)[0]), *zip(low, high, strict=True))
    for (s, a), dot in dots.items():
        color = list(PALETTE.values())[a]
        _arrow(ax, places[s], dot, 0.0, gap=(STATE_RADIUS, ACTION_RADIUS), color=color, head=False)
        for t in np.flatnonzero(P[s, a]):
            beside = _arrow(
                ax, dot, places[t], 0.25, gap=(ACTION_RADIUS, STATE_RADIUS), color=color
            )
            ax.text(*beside, f"{P[s, a, t]:g}", ha="center", va="center", fontsize=11, color=color)
        ax.add_patch(Circle(dot, ACTION_RADIUS, color=color, zorder=3))
        side = 1 if dot[1] > places[s][1] else -1
        ax.text(
            dot[0], dot[1] + side * 0.2, f"{actions[a]}: {R[s, a]:g}".replace("-", "−"), color=color,
            ha="center", va="bottom" if side > 0 else "top", weight="bold",
        )  # fmt: skip
    for place, name in zip(places, states, strict=True):
        ax.add_patch(Circle(place, STATE_RADIUS, facecolor="none", edgecolor=INK, lw=1.8, zorder=3))
        ax.text(*place, name, ha="center", va="center", zorder=4)
    return ax


def _canvas(
    size: tuple[float, float], across: tuple[float, float], up: tuple[float, float]
) -> Axes:
    ax = axes(size=size)
    ax.set(xlim=across, ylim=up, aspect="equal")
    ax.axis("off")
    return ax


def _arrow(
    ax: Axes,
    start: Sequence[float],
    end: Sequence[float],
    bend: float,
    *,
    gap: tuple[float, float] = (0.0, 0.0),
    color: str = INK,
    head: bool = True,
    linewidth: float = 1.6,
) -> np.ndarray:
    """A line or an arrow, bent to the left by `bend` of its length; returns a place beside the middle of its bow."""
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    along = end - start
    left = np.array([-along[1], along[0]], dtype=float)
    control = (start + end) / 2 + bend * left  # of a quadratic curve: as matplotlib's arc3 has it

    def off(point, distance):
        way = control - point
        return point + distance * way / np.linalg.norm(way)

    ax.add_patch(
        FancyArrowPatch(
            off(start, gap[0]),
            off(end, gap[1]),
            connectionstyle=f"arc3,rad={-bend}",
            arrowstyle="-|>" if head else "-",
            mutation_scale=16,
            color=color,
            linewidth=linewidth,
            shrinkA=0,
            shrinkB=0,
            zorder=2,
        )
    )
    left /= np.linalg.norm(left)
    return (start + 2 * control + end) / 4 + (0.22 + 0.16 * abs(left[0])) * left  # a number is wide
