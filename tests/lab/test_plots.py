"""Figures say what they show, show what they are given, and stay readable."""

import base64
import re
import subprocess
import sys

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from nbclient import NotebookClient

from rlcourse.lab import plots
from rlcourse.lab.progress import progress


@pytest.fixture(autouse=True)
def close_all():
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


# --- show --------------------------------------------------------------------------------------


@pytest.mark.parametrize("alt", ["", "   ", None])
def test_a_figure_without_words_is_refused(alt):
    with pytest.raises(ValueError, match="what the figure shows"):
        plots.show(plots.axes(), alt=alt)


def test_show_takes_figures_and_axes_only():
    with pytest.raises(TypeError, match="not list"):
        plots.show([1, 2], alt="two numbers")


def test_outside_a_notebook_the_figure_is_only_closed(capsys):
    plots.show(plots.axes(1, 2), alt="two empty axes")
    assert plt.get_fignums() == []
    assert capsys.readouterr().out == ""


def test_in_a_notebook_every_figure_is_shown_once_with_its_words():
    cells = [
        "from rlcourse.lab import plots",
        "plots.show(plots.bars({'a': 1.0}, ylabel='y'), alt='one bar, <b> & \"c\"')",
        "plots.animate_values([[0.0, 1.0], [1.0, 1.0]], (1, 2), alt='ones spread')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=1800, kernel_name="python3").execute()
    assert notebook.cells[0].outputs == []
    (picture,) = notebook.cells[1].outputs
    assert picture.data["text/plain"] == 'one bar, <b> & "c"'
    markup = picture.data["text/html"]
    assert 'alt="one bar, &lt;b&gt; &amp; &quot;c&quot;"' in markup
    png = base64.b64decode(re.search(r"base64,([^\"]+)", markup)[1])
    assert png.startswith(b"\x89PNG") and len(png) < 100_000
    (player,) = notebook.cells[2].outputs
    assert 'aria-label="ones spread"' in player.data["text/html"]
    assert len(player.data["text/html"]) < 200_000


# --- curves and bars ---------------------------------------------------------------------------


def test_curves_draw_the_mean_and_the_middle_half():
    runs = np.arange(5.0)[:, None] + np.array([0.0, 10.0, 20.0])
    ax = plots.curves({"agent": runs}, xlabel="episode", ylabel="return")
    assert ax.lines[0].get_ydata() == pytest.approx([2, 12, 22])
    assert ax.lines[0].get_xdata() == pytest.approx([1, 2, 3])
    corners = ax.collections[0].get_paths()[0].vertices
    assert {tuple(corner) for corner in corners} >= {(1, 1), (3, 21), (1, 3), (3, 23)}
    assert ax.get_legend().get_title().get_text() == "mean; band: middle half of 5 seeds"


def test_the_band_can_reach_from_lowest_to_highest():
    ax = plots.curves(
        {"a": np.array([[0.0], [1.0], [8.0]])}, xlabel="x", ylabel="y", spread="min-max"
    )
    assert ax.collections[0].get_paths()[0].vertices[:, 1].max() == 8
    assert "lowest to highest of 3 seeds" in ax.get_legend().get_title().get_text()


def test_a_single_curve_claims_no_spread():
    ax = plots.curves({"a": np.arange(3.0)}, [2, 4, 8], xlabel="x", ylabel="y")
    assert len(ax.collections) == 0
    assert ax.get_legend().get_title().get_text() in ("", "None")
    assert ax.lines[0].get_xdata() == pytest.approx([2, 4, 8])


def test_smoothing_averages_over_points_already_seen():
    ax = plots.curves({"a": np.array([2.0, 4.0, 9.0, 1.0])}, xlabel="x", ylabel="y", smooth=2)
    assert ax.lines[0].get_ydata() == pytest.approx([2, 3, 6.5, 5])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"spread": "95%"}, "interquartile, min-max"), ({"smooth": 0}, "at least 1")],
)
def test_impossible_wishes_for_curves_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        plots.curves({"a": np.zeros(3)}, xlabel="x", ylabel="y", **arguments)


def test_bars_show_means_and_say_the_number():
    ax = plots.bars({"SARSA": np.array([-20.0, -30.0]), "Q": -50.0}, ylabel="return", digits=0)
    assert [bar.get_height() for bar in ax.patches] == [-25, -50]
    assert texts(ax) == ["-25", "-50"]


# --- grids -------------------------------------------------------------------------------------


def test_numbers_stand_in_their_cells_and_walls_are_dark():
    cells = [(0, 0), (0, 2), (1, 0), (1, 1), (1, 2)]  # (0, 1) is a wall
    ax = plots.grid_values([1.04, -2, 0, -0.04, 5], (2, 3), cells=cells, labels={4: "G"})
    at = {text.get_position(): text.get_text() for text in ax.texts[:5]}
    assert at == {(0, 0): "1.0", (2, 0): "−2.0", (0, 1): "0.0", (1, 1): "0.0", (2, 1): "5.0"}
    assert texts(ax)[5:] == ["G"]
    walls = [p.get_xy() for p in ax.patches if p.get_facecolor()[:3] == to_rgb(plots.WALL)]
    assert walls == [(0.5, -0.5)]


def test_states_and_cells_must_match():
    with pytest.raises(ValueError, match=r"3 states do not fit 4 cells of a 2×2 grid"):
        plots.grid_values([1, 2, 3], (2, 2))


def test_arrows_point_where_the_policy_goes():
    pi = np.array([[0.5, 0, 0.5, 0], [0, 0, 0, 1.0], [1.0, 0, 0, 0]])
    ax = plots.grid_policy(pi, (1, 3), without=[2])
    steps = [np.sign(np.subtract(text.xy, text.xyann)).tolist() for text in ax.texts]
    assert steps == [[0, -1], [0, 1], [-1, 0]]  # up, down (rows grow downwards), left


def test_every_maximal_action_gets_its_share():
    q = [[1, 1, 0], [0, 0, 3], [2, 2, 2 - 1e-12]]
    assert plots.maximal_actions(q) == pytest.approx(
        np.array([[0.5, 0.5, 0], [0, 0, 1], [1 / 3, 1 / 3, 1 / 3]])
    )


def test_paths_pass_near_the_centres_of_their_cells():
    ax = plots.grid_path({"safe": [0, 1, 2, 5], "short": [0, 3, 4, 5]}, (2, 3))
    safe = np.column_stack(ax.lines[0].get_data())
    assert np.abs(safe - [[0, 0], [1, 0], [2, 0], [2, 1]]).max() < 0.3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["safe", "short"]


def test_nothing_to_animate_is_said():
    with pytest.raises(ValueError, match="no tables of values"):
        plots.animate_values([], (2, 2), alt="nothing")


# --- style -------------------------------------------------------------------------------------


def luminance(color):
    rgb = np.asarray(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("value", np.linspace(-1, 1, 41))
def test_numbers_contrast_with_their_cell(value):
    ax = plots.grid_values([value, 1.0], (1, 2))
    cell = luminance(plots.VALUES((value + 1) / 2))
    ink = luminance(ax.texts[0].get_color())
    light, dark = max(cell, ink), min(cell, ink)
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG AA


def test_lines_differ_in_more_than_their_colour():
    ax = plots.curves({str(i): np.full(2, float(i)) for i in range(8)}, xlabel="x", ylabel="y")
    dashes = {str(line._dash_pattern) for line in ax.lines}
    assert len(dashes) == len({line.get_color() for line in ax.lines}) == 8


def test_an_unknown_size_names_the_known_ones():
    with pytest.raises(ValueError, match="single, wide, tall, small"):
        plots.axes(size="huge")


# --- progress ----------------------------------------------------------------------------------


def test_progress_passes_everything_on_and_is_quiet_here(capsys):
    assert list(progress(range(5), "learning", episode_return=lambda: 1 / 0)) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_progress_shows_itself_in_a_terminal():
    import os
    import pty
    import termios

    script = (
        "from rlcourse.lab.progress import progress\n"
        "import time\n"
        "for i in progress(range(4), 'learning', episode_return=lambda: i): time.sleep(0.15)\n"
    )
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    subprocess.run(
        [sys.executable, "-c", script], stdout=theirs, stderr=theirs, check=True, timeout=1800
    )
    os.set_blocking(ours, False)  # nothing written is an error, not a wait without end
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    os.close(theirs)
    assert "learning" in shown and "episode_return=" in shown
