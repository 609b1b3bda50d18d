"""Figures of the lessons: one style, one palette, and no figure without words for it.

Importing this module sets matplotlib's style, so a figure that a lesson or a student draws by hand
looks like the rest. Every function draws into `ax` (or makes a figure of one of the sizes in
`SIZES`) and returns the axes; `show(ax, alt="...")` then puts the figure on the page.

Colours are Okabe and Ito's, which people with any common colour blindness tell apart; the light ones
are darkened, so that every line stands out at least 3 : 1 from a light page and from a dark one. A
figure has no sheet of its own: it is transparent, and what is written in it is `INK`, legible on both.
No figure rests on colour alone: lines differ in dash, bars carry labels, cells carry numbers. A method
keeps its colour through the course (`METHODS`). In a table of values blue is above zero, orange below,
white is zero.

Grids take plain data, not an environment: `shape = (rows, columns)`, and `cells`, the
`(row, column)` of every state in order; without `cells` the states fill the grid row by row. A
place of the grid that is nobody's cell is a wall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle

from .page import show as show
from .sliders import slide

INK = "#767676"
PALETTE = {
    "blue": "#0A7ABF",
    "orange": "#C77F00",
    "green": "#009E73",
    "vermilion": "#D55E00",
    "purple": "#BE6499",
    "sky": "#2E94D0",
    "ink": INK,
    "yellow": "#948200",
}
METHODS = {
    "SARSA": "green",
    "Q-learning": "blue",
    "expected SARSA": "purple",
    "double Q-learning": "orange",
    "Monte Carlo": "orange",
    "TD(0)": "blue",
    "LSTD": "green",
    "DQN": "blue",
    "REINFORCE": "orange",
    "A2C": "green",
    "PPO": "purple",
    "DDPG": "vermilion",
    "TD3": "sky",
    "SAC": "green",
    "random": "ink",
}  # how a label begins, the longest that fits: its colour
_DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)), (0, (3, 3))]
VALUES = LinearSegmentedColormap.from_list(
    "values", ["#D55E00", "#F6C79A", "#FFFFFF", "#8FC6E6", "#0072B2"]
)
WALL = "#555555"

SIZES = {
    "single": (7.0, 4.2),
    "wide": (11.0, 4.2),
    "tall": (7.0, 6.5),
    "small": (4.6, 3.4),
}  # inches

STYLE = {
    "figure.figsize": SIZES["single"],
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.1,
    "figure.dpi": 80,
    "savefig.dpi": 160,  # twice as many pixels as a figure is laid out in: sharp on a projector
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.labelsize": 13,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "legend.fontsize": 12,
    "legend.title_fontsize": 11,
    "legend.frameon": False,
    "lines.linewidth": 2.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "axes.axisbelow": True,
    "savefig.transparent": True,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    ),
    "axes.prop_cycle": mpl.cycler(color=list(PALETTE.values())) + mpl.cycler(linestyle=_DASHES),
}
mpl.rcParams.update(STYLE)

UP_RIGHT_DOWN_LEFT = ((-1, 0), (0, 1), (1, 0), (0, -1))  # (rows, columns) moved by each action

_SPREADS = {"interquartile": (25, 75, "middle half"), "min-max": (0, 100, "lowest to highest")}
SEEDS_APART = 10  # runs: more thin lines than these are a carpet


# --- a figure ----------------------------------------------------------------------------------


def axes(rows: int = 1, columns: int = 1, *, size: str | tuple[float, float] = "single", **kwargs):
    """A new figure's axes, as `plt.subplots` gives them; `size` is a name in `SIZES` or (width, height)."""
    if isinstance(size, str):
        if size not in SIZES:
            raise ValueError(f"There is no figure size {size!r}; the sizes are {', '.join(SIZES)}.")
        size = SIZES[size]
    return plt.subplots(rows, columns, figsize=size, **kwargs)[1]


# --- curves and bars ---------------------------------------------------------------------------


def curves(
    series: Mapping[str, np.ndarray],
    x: Sequence[float] | None = None,
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    spread: str | None = None,
    smooth: int = 1,
    ax: Axes | None = None,
) -> Axes:
    """Mean over seeds with its spread: one thick line a label, `series[label]` of shape (seeds, T) or (T,).

    spread: "seeds" draws a thin line for each, "interquartile" a band over the middle half of them,
    "min-max" one from the lowest to the highest; not given, up to ten seeds are drawn one by one and of
    more the middle half. The legend says which and over how many. `smooth` averages each seed's curve
    over that many neighbouring points first (fewer at the start: only points already seen).
    """
    if spread not in (None, "seeds"):
        _spread(spread)
    ax = axes() if ax is None else ax
    notes: dict[str, set[int]] = {}
    for label, runs in series.items():
        runs = _moving_mean(np.atleast_2d(np.asarray(runs, dtype=float)), smooth)
        steps = np.arange(1, runs.shape[1] + 1) if x is None else np.asarray(x)
        (line,) = ax.plot(steps, runs.mean(axis=0), label=label, zorder=2.5)
        if color := color_of(label):
            line.set_color(color)
        if len(runs) == 1:
            continue
        how = spread or ("seeds" if len(runs) <= SEEDS_APART else "interquartile")
        if how == "seeds":
            ax.plot(steps, runs.T, color=line.get_color(), linewidth=0.8, linestyle="-", alpha=0.55)
            words = "thin: each"
        else:
            low, high, words = _spread(how)
            band = np.percentile(runs, [low, high], axis=0)
            ax.fill_between(steps, *band, color=line.get_color(), alpha=0.2, linewidth=0)
            words = f"band: {words}"
        notes.setdefault(words, set()).add(len(runs))
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.legend(title=_spread_note(notes), alignment="left")
    return ax


def color_of(label: str) -> str | None:
    """The colour of the method whose name `label` begins with (`METHODS`), if it is one."""
    fits = [method for method in METHODS if label.startswith(method)]
    return PALETTE[METHODS[max(fits, key=len)]] if fits else None


def bars(
    values: Mapping[str, np.ndarray | float],
    *,
    ylabel: str,
    title: str = "",
    spread: str = "interquartile",
    digits: int = 2,
    ax: Axes | None = None,
) -> Axes:
    """A bar a label: its number, or the mean of its (seeds,) numbers with their spread as a whisker."""
    low, high, words = _spread(spread)
    ax = axes() if ax is None else ax
    n_seeds = set()
    for i, (label, runs) in enumerate(values.items()):
        runs = np.atleast_1d(np.asarray(runs, dtype=float))
        mean = runs.mean()
        color = color_of(label) or list(PALETTE.values())[i % len(PALETTE)]
        ends = np.percentile(runs, [low, high]) if len(runs) > 1 else np.array([mean, mean])
        ax.bar(i, mean, color=color, alpha=0.85, width=0.65)
        if len(runs) > 1:
            ax.vlines(i, *ends, color=INK, linewidth=2)
            n_seeds.add(len(runs))
        above = mean >= 0  # the number stands beyond the whisker, away from zero
        ax.annotate(
            _written(mean, digits),
            (i, max(mean, ends[1]) if above else min(mean, ends[0])),
            xytext=(0, 4 if above else -4),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
        )
    ax.axhline(0, color=INK, linewidth=1, linestyle="-")
    ax.margins(y=0.14)
    ax.grid(axis="x", visible=False)
    ax.set_xticks(range(len(values)), labels=list(values))
    note = _spread_note({f"whisker: {words}": n_seeds})
    ax.set(ylabel=ylabel, title=title, xlabel=note or "")
    return ax


def _spread(spread: str) -> tuple[float, float, str]:
    if spread not in _SPREADS:
        raise ValueError(f"The spread is one of {', '.join(_SPREADS)}, not {spread!r}.")
    return _SPREADS[spread]


def _spread_note(notes: Mapping[str, set[int]]) -> str | None:
    """What stands beside the mean, and over how many seeds, in words."""
    told = []
    for words, n_seeds in notes.items():
        if n_seeds:
            count = str(min(n_seeds)) if len(n_seeds) == 1 else f"{min(n_seeds)} to {max(n_seeds)}"
            told.append(f"{words} of {count} seeds")
    return f"mean; {', '.join(told)}" if told else None


def _moving_mean(runs: np.ndarray, window: int) -> np.ndarray:
    if window < 1:
        raise ValueError(f"smooth is a number of points, at least 1, not {window}.")
    total = np.cumsum(np.pad(runs, ((0, 0), (1, 0))), axis=1)
    end = np.arange(1, runs.shape[1] + 1)
    start = np.maximum(end - window, 0)
    return (total[:, end] - total[:, start]) / (end - start)


# --- tables and grids --------------------------------------------------------------------------

_WITH_VALUES, _WITH_ACTIONS = 0.85, 1.1  # inches of a cell with one number in it, or with four


def table(
    matrix: np.ndarray,
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    title: str = "",
    digits: int = 2,
    ax: Axes | None = None,
) -> Axes:
    """A matrix as coloured cells with numbers: a transition matrix, a table of action values."""
    matrix = np.asarray(matrix, dtype=float)
    ax = axes(size=_size_for(matrix.shape)) if ax is None else ax
    _cells(ax, matrix, digits, limit=np.abs(matrix).max(initial=0.0))
    for axis, names in ((ax.yaxis, rows), (ax.xaxis, columns)):
        n = matrix.shape[0 if axis is ax.yaxis else 1]
        axis.set_ticks(range(n), labels=range(n) if names is None else names)
    ax.xaxis.tick_top()
    ax.set_title(title)
    return ax


def grid_values(
    v: np.ndarray,
    shape: tuple[int, int],
    *,
    cells: Sequence[tuple[int, int]] | None = None,
    labels: Mapping[int, str] | None = None,
    title: str = "",
    digits: int = 1,
    limit: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The values v (S,) on their grid, walls dark, `labels[state]` written in a cell's corner.

    `limit` is the |value| of full colour, so that several grids can share one scale.
    """
    v = np.asarray(v, dtype=float)
    ax = axes(size=_size_for(shape)) if ax is None else ax
    _grid(ax, v, shape, cells, labels, title, digits, limit)
    return ax


def grid_policy(
    pi: np.ndarray,
    shape: tuple[int, int],
    *,
    cells: Sequence[tuple[int, int]] | None = None,
    labels: Mapping[int, str] | None = None,
    moves: Sequence[tuple[int, int]] = UP_RIGHT_DOWN_LEFT,
    without: Sequence[int] = (),
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """An arrow for every action that pi (S, A) may take, the likelier the longer.

    `moves[a]` is the (rows, columns) that action a moves; `without` lists the states that get no
    arrows (terminal ones). For all maximal actions of a table q pass `maximal_actions(q)`.
    """
    pi = np.asarray(pi, dtype=float)
    ax = axes(size=_size_for(shape)) if ax is None else ax
    places = _grid(ax, np.zeros(len(pi)), shape, cells, labels, title, None, 1.0, transparent=True)
    for state in np.setdiff1d(np.arange(len(pi)), without):
        row, column = places[state]
        for probability, (down, right) in zip(pi[state], moves, strict=True):
            if probability > 1e-9:
                length = 0.22 + 0.2 * probability / pi[state].max()
                ax.annotate(
                    "",
                    (column + right * length, row + down * length),
                    (column, row),
                    arrowprops={
                        "arrowstyle": "-|>",
                        "color": PALETTE["blue"],
                        "lw": 2,
                        "shrinkA": 0,
                        "shrinkB": 0,
                    },
                )
    return ax


def grid_q(
    q: np.ndarray,
    shape: tuple[int, int],
    *,
    cells: Sequence[tuple[int, int]] | None = None,
    labels: Mapping[int, str] | None = None,
    moves: Sequence[tuple[int, int]] = UP_RIGHT_DOWN_LEFT,
    without: Sequence[int] = (),
    title: str = "",
    digits: int | None = 1,
    limit: float | None = None,
    arrows: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """The action values q (S, 4) on their grid: every cell is cut into the four triangles of its moves.

    `arrows` points along every best action (ties to 1e-9) of a state whose actions differ; `without` lists
    the states that are left blank (terminal ones); `limit` is the |value| of full colour. A value of 0, of
    which nothing is known yet, is neither written nor painted, and none is written without `digits`.
    """
    q = np.asarray(q, dtype=float)
    cell = _WITH_VALUES if digits is None else _WITH_ACTIONS
    ax = axes(size=_size_for(shape, cell=cell)) if ax is None else ax
    places = _grid(ax, np.zeros(len(q)), shape, cells, None, title, None, 1.0, transparent=True)
    norm = _norm(np.abs(q).max(initial=0.0) if limit is None else limit)
    shown = np.setdiff1d(np.arange(len(q)), without)
    triangles, colours, inks = [], [], dict.fromkeys(range(len(q)), INK)
    for state in shown:
        centre = places[state][::-1].astype(float)
        for value, (down, right) in zip(q[state], moves, strict=True):
            ahead, across = np.array([right, down]) / 2, np.array([down, right]) / 2
            triangles.append([centre, centre + ahead + across, centre + ahead - across])
            colours.append(VALUES(norm(value)) if value != 0 else "none")
            if value == 0:
                continue
            ink = _ink_on(colours[-1])
            if down + right < 0:  # it reaches into the corner of the label
                inks[state] = ink
            if digits is not None:
                text, at = _written(value, digits), centre + 0.7 * ahead
                ax.text(
                    *at, text, ha="center", va="center", fontsize=min(9, 34 / len(text)), color=ink
                )
    for state, label in (labels or {}).items():
        _in_corner(ax, places[state], label, inks[state])
    ax.add_collection(
        PolyCollection(triangles, facecolors=colours, edgecolors="#BBBBBB", linewidths=0.5)
    )
    if arrows:
        best = maximal_actions(q) * (np.ptp(q, axis=1) > 1e-9)[:, None]
        tips = [(s, np.array(moves[a][::-1])) for s in shown for a in np.flatnonzero(best[s])]
        if tips:
            tails = np.array([places[s][::-1] for s, _ in tips], dtype=float)
            long, wide = (0.26, 0.035) if digits is None else (0.15, 0.03)  # no number in the way
            ahead = np.array([move for _, move in tips]) * long
            ink = [INK if q[s].max() == 0 else "black" for s, _ in tips]
            ax.quiver(*tails.T, *ahead.T, angles="xy", units="xy", scale_units="xy", scale=1,
                      width=wide, headwidth=4, headlength=4, headaxislength=4, color=ink, zorder=3)  # fmt: skip
    return ax


def grid_path(
    paths: Mapping[str, Sequence[int]],
    shape: tuple[int, int],
    *,
    cells: Sequence[tuple[int, int]] | None = None,
    labels: Mapping[int, str] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """The states that each policy passes, as a line through the grid, one a label.

    Lines are drawn a little beside one another, so that paths sharing a cell both stay visible.
    """
    ax = axes(size=_size_for(shape, legend=True)) if ax is None else ax
    n_states = shape[0] * shape[1] if cells is None else len(cells)
    places = _grid(ax, np.zeros(n_states), shape, cells, labels, title, None, 1.0, transparent=True)
    offsets = np.linspace(-0.12, 0.12, len(paths)) if len(paths) > 1 else [0.0]
    for (label, path), offset in zip(paths.items(), offsets, strict=True):
        line = np.array([places[state] for state in path], dtype=float) + offset
        (drawn,) = ax.plot(line[:, 1], line[:, 0], label=label, linewidth=3)
        if color := color_of(label):
            drawn.set_color(color)
        ax.plot(*line[0, ::-1], "o", color=drawn.get_color(), markersize=9)
        if len(line) > 1:
            ax.annotate(
                "",
                line[-1, ::-1],
                line[-2, ::-1],
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": drawn.get_color(),
                    "lw": 3,
                    "mutation_scale": 22,
                    "shrinkB": 0,
                },
            )
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=min(len(paths), 3))
    return ax


def maximal_actions(q: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
    """(S, A) probabilities, equal over every action within `tolerance` of its state's best."""
    q = np.asarray(q, dtype=float)
    best = q >= q.max(axis=1, keepdims=True) - tolerance
    return best / best.sum(axis=1, keepdims=True)


def animate_values(
    values: Sequence[np.ndarray],
    shape: tuple[int, int],
    *,
    alt: str,
    cells: Sequence[tuple[int, int]] | None = None,
    labels: Mapping[int, str] | None = None,
    title: str = "after {k} sweeps",
    digits: int = 1,
    milliseconds: int = 500,
) -> None:
    """Show the tables of values one after another, with a slider: information spreading over a grid.

    `title` may name the frame's number `{k}` (0 for the first). One colour scale for all frames.
    """
    if len(values) == 0:
        raise ValueError("There are no tables of values to animate.")
    limit = max(np.abs(v).max(initial=0.0) for v in values)

    def draw(k: int) -> Axes:
        return grid_values(
            values[k],
            shape,
            cells=cells,
            labels=labels,
            title=title.format(k=k),
            digits=digits,
            limit=limit,
        )

    slide(
        draw,
        range(len(values)),
        name="k",
        alt=alt,
        start=len(values) - 1,
        milliseconds=milliseconds,
    )


def _size_for(
    shape: tuple[int, int], legend: bool = False, cell: float = _WITH_VALUES
) -> tuple[float, float]:
    """Cells as large as numbers in them need, in a figure no wider than the page."""
    rows, columns = shape
    cell = _cell_inches(shape, cell)
    return columns * cell + 0.4, rows * cell + 0.8 + 0.5 * legend


def _cell_inches(shape: tuple[int, int], largest: float = _WITH_VALUES) -> float:
    return min(largest, SIZES["wide"][0] / shape[1])


def _written(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    text = text.removeprefix("-") if float(text) == 0 else text  # −0.0 is 0.0
    return text.replace("-", "−")


def _grid(
    ax, v, shape, cells, labels, title, digits, limit, *, transparent: bool = False
) -> np.ndarray:
    """Draw the values, or nothing but cells, on their grid; return the (row, column) of every state."""
    rows, columns = shape
    if cells is None:
        cells = [divmod(i, columns) for i in range(rows * columns)]
    if len(cells) != len(v):
        raise ValueError(
            f"{len(v)} states do not fit {len(cells)} cells of a {rows}×{columns} grid."
        )
    places = np.asarray(cells, dtype=int)
    board = np.full(shape, np.nan)
    board[places[:, 0], places[:, 1]] = v
    limit = np.abs(v).max() if limit is None else limit
    _cells(ax, board, digits, limit)
    if transparent:
        ax.images[0].set_visible(False)
    ax.set_xticks([])
    ax.set_yticks([])
    for state, label in (labels or {}).items():
        ink = INK if transparent else _ink_on(VALUES(_norm(limit)(v[state])))
        _in_corner(ax, places[state], label, ink)
    ax.set_title(title)
    return places


def _in_corner(ax: Axes, place: np.ndarray, label: str, ink: str) -> None:
    row, column = place
    ax.text(column - 0.43, row - 0.45, label, va="top", fontsize=11, weight="bold", color=ink)


def _cells(ax: Axes, board: np.ndarray, digits: int | None, limit: float) -> None:
    """Colour by value and write the numbers; a NaN is a wall."""
    norm = _norm(limit)
    ax.imshow(board, cmap=VALUES, norm=norm)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    for (row, column), value in np.ndenumerate(board):
        wall = np.isnan(value)
        ax.add_patch(
            Rectangle(
                (column - 0.5, row - 0.5),
                1,
                1,
                facecolor=WALL if wall else "none",
                edgecolor="#999999",
                linewidth=1,
                clip_on=False,
            )
        )
        if digits is not None and not wall:
            text = _written(value, digits)
            ax.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize=min(12, 84 * _cell_inches(board.shape) / len(text)),
                color=_ink_on(VALUES(norm(value))),
            )


def _norm(limit: float) -> Normalize:
    return Normalize(-(limit or 1.0), limit or 1.0)  # all zeros: white, not a division by zero


def _ink_on(rgba: tuple[float, float, float, float]) -> str:
    """Black or white, whichever has more contrast (WCAG relative luminance) on this colour."""
    rgb = np.asarray(rgba[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "white"


# --- backup diagrams ---------------------------------------------------------------------------


def backup_diagrams(
    diagrams: Mapping[str, Sequence[int]],
    *,
    root: str = "state",
    maximum: Sequence[str] = (),
) -> Axes:
    """Backup diagrams side by side: open circles are states, filled ones actions.

    `diagrams[title]` gives the number of branches below the root and at each further level: (3, 2) is
    three actions with two next states each; ones make a sampled path. Those named in `maximum` carry
    the arc that stands for a max over the actions below it.
    """
    kinds = ("state", "action")
    if root not in kinds:
        raise ValueError(f"The root is a state or an action, not {root!r}.")
    depth = max(len(levels) for levels in diagrams.values())
    ax = axes(size=(min(2.9 * len(diagrams) + 0.4, SIZES["wide"][0]), 1.0 * depth + 1.2))
    left = 0.0
    for title, levels in diagrams.items():
        width = max(int(np.prod(levels)), 2)
        _tree(ax, left + width / 2, 0.0, width, levels, kinds.index(root), title in maximum)
        ax.text(left + width / 2, 0.5, title, ha="center", va="bottom", fontsize=14)
        left += width + 1.0
    ax.set(xlim=(-0.3, left - 0.7), ylim=(-depth - 0.3, 1.1))
    ax.axis("off")
    return ax


def _tree(
    ax: Axes, x: float, y: float, width: float, levels: Sequence[int], kind: int, arc: bool
) -> None:
    if levels:
        branches, *below = levels
        children = x + width * ((np.arange(branches) + 0.5) / branches - 0.5)
        for child in children:
            ax.plot([x, child], [y, y - 1], color=INK, linewidth=1.6, linestyle="-", zorder=1)
            _tree(ax, child, y - 1, width / branches, below, 1 - kind, arc)
        if arc and kind == 0 and branches > 1:
            ends = np.arctan2(children[[0, -1]] - x, 1.0)  # the angles of the outermost branches
            angle = np.linspace(*ends, 30)
            bow = (x + 0.42 * np.sin(angle), y - 0.42 * np.cos(angle))
            ax.plot(*bow, color=PALETTE["vermilion"], linewidth=2.5, linestyle="-", zorder=1.5)
    face = INK if kind == 1 else "white"
    ax.plot(
        x,
        y,
        "o",
        markersize=9 if kind == 1 else 15,
        color=INK,
        markerfacecolor=face,
        markeredgewidth=1.6,
        zorder=2,
    )
