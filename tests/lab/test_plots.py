"""Figures say what they show, show what they are given, and stay readable."""

import base64
import contextlib
import io
import re
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.quiver import Quiver
from nbclient import NotebookClient

from rlcourse.lab import plots
from rlcourse.lab.progress import progress, seeds


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
    slider, still = notebook.cells[2].outputs
    assert "application/vnd.jupyter.widget-view+json" in slider.data
    assert slider.data["text/plain"] == "k = 1 (run this cell to drag it)"
    assert 'alt="ones spread"' in still.data["text/html"]
    assert still.metadata.rlcourse.seconds > 0
    assert len(still.data["text/html"]) < 100_000


# --- sliders -----------------------------------------------------------------------------------


def lines_of(value):
    return plots.curves({"a": np.arange(3.0) * value}, xlabel="x", ylabel="y")


@pytest.mark.parametrize(
    ("values", "alt", "words"),
    [([], "a line", "at least one value"), ([1], " ", "what the figure")],
)
def test_a_slider_needs_values_and_words(values, alt, words):
    with pytest.raises(ValueError, match=words):
        plots.slide(lines_of, values, name="γ", alt=alt)


def test_outside_a_notebook_a_slider_draws_its_first_position_only():
    drawn = []
    plots.slide(lambda v: drawn.append(v) or lines_of(v), [1, 2, 3], name="γ", alt="a line")
    assert drawn == [2]
    assert plt.get_fignums() == []


def test_a_slider_changes_the_picture_below_it_and_draws_each_once():
    cells = [
        "from rlcourse.lab import plots, sliders; import ipywidgets; drawn = []\n"
        "def draw(value):\n"
        "    drawn.append(value)\n"
        "    return plots.bars({'a': value}, ylabel='y')\n"
        "plots.slide(draw, [0.5, 1.0, 2.0], name='γ', alt='one bar', start=0)",
        "import warnings; warnings.simplefilter('ignore')\n"
        "(slider,) = [w for w in ipywidgets.widget.Widget.widgets.values()"
        " if isinstance(w, ipywidgets.SelectionSlider)]\n"
        "slider.value = 2; slider.value = 0; slider.value = 2\n"
        "print(drawn, slider.description, [label for label, _ in slider.options])",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=1800, kernel_name="python3").execute()
    said = "".join(o.text for o in notebook.cells[1].outputs if o.output_type == "stream")
    assert said == "[0.5, 2.0] γ ['0.5', '1', '2']\n"
    # nbclient keeps a display up to date: what stands under the first cell is the last picture.
    first = notebook.cells[0].outputs[1].data["text/html"]
    assert first.startswith('<img src="data:image/png;base64,') and 'alt="one bar"' in first


# --- curves and bars ---------------------------------------------------------------------------


def test_curves_of_few_seeds_draw_each_and_their_mean():
    runs = np.arange(3.0)[:, None] + np.array([0.0, 10.0, 20.0])
    ax = plots.curves({"agent": runs}, xlabel="episode", ylabel="return")
    thick, *thin = ax.lines
    assert thick.get_ydata() == pytest.approx([1, 11, 21])
    assert [line.get_ydata()[0] for line in thin] == [0, 1, 2]
    assert all(line.get_linewidth() < thick.get_linewidth() / 2 for line in thin)
    assert ax.get_legend().get_title().get_text() == "mean; thin: each of 3 seeds"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["agent"]


def test_many_seeds_are_a_band():
    ax = plots.curves({"agent": np.zeros((11, 4))}, xlabel="episode", ylabel="return")
    assert len(ax.lines) == 1
    assert "band: middle half of 11 seeds" in ax.get_legend().get_title().get_text()


def test_a_method_keeps_its_colour():
    ax = plots.curves(
        {"random": np.zeros(2), "Q-learning, your target": np.ones(2)}, xlabel="x", ylabel="y"
    )
    assert [line.get_color() for line in ax.lines] == [plots.INK, plots.PALETTE["blue"]]
    assert plots.color_of("double Q-learning") == plots.PALETTE["orange"]
    assert plots.color_of("nobody's method") is None


def test_every_colour_stands_out_on_a_light_page_and_on_a_dark_one():
    def luminance(color):
        rgb = np.array(to_rgb(color))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    def contrast(a, b):
        darker, lighter = sorted((luminance(a), luminance(b)))
        return (lighter + 0.05) / (darker + 0.05)

    for page in ("#FFFFFF", "#111111"):
        assert min(contrast(color, page) for color in plots.PALETTE.values()) > 3
        assert contrast(plots.INK, page) > 4  # words


def test_a_figure_has_no_sheet_of_its_own():
    from PIL import Image

    from rlcourse.lab.page import as_image

    markup = as_image(plots.curves({"a": np.arange(3.0)}, xlabel="x", ylabel="y"), "a line")
    png = base64.b64decode(re.search(r"base64,([^\"]+)", markup)[1])
    assert Image.open(io.BytesIO(png)).convert("RGBA").getpixel((2, 2))[3] == 0


def test_curves_draw_the_mean_and_the_middle_half():
    runs = np.arange(5.0)[:, None] + np.array([0.0, 10.0, 20.0])
    ax = plots.curves({"agent": runs}, xlabel="episode", ylabel="return", spread="interquartile")
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
    assert texts(ax) == ["−25", "−50"]


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
    assert not any(image.get_visible() for image in ax.images)  # no white sheet on a dark page


def test_action_values_are_four_triangles_a_cell_that_point_where_they_lead():
    q = np.array([[1.0, -2.0, 0.0, 1.0], [5.0, 5.0, 5.0, 5.0], [9.0, 9.0, 9.0, 9.0]])
    ax = plots.grid_q(q, (1, 3), without=[2])
    (triangles,) = [c for c in ax.collections if type(c) is PolyCollection]
    middles = [path.vertices[:3].mean(axis=0) for path in triangles.get_paths()[:4]]
    assert [tuple(np.sign(np.round(m, 9)).astype(int)) for m in middles] == [
        (0, -1),
        (1, 0),
        (0, 1),
        (-1, 0),
    ]
    # 0 is neither written nor painted, nor anything of the state that is left blank.
    assert [face[3] for face in triangles.get_facecolors()[:4]] == [1, 1, 0, 1]
    assert not any(image.get_visible() for image in ax.images)
    assert sorted(t.get_text() for t in ax.texts) == sorted(["1.0", "1.0", "−2.0", *["5.0"] * 4])
    (arrows,) = [c for c in ax.collections if isinstance(c, Quiver)]
    assert sorted(zip(arrows.U.tolist(), arrows.V.tolist(), strict=True)) == [
        (-0.15, 0),
        (0, -0.15),
    ]
    assert not plots.grid_q(q, (1, 3), digits=None, arrows=False).texts


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
class Screen(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_says_which_seed_it_is_at():
    with contextlib.redirect_stdout(Screen()) as screen:
        for seed in seeds([7, 8]):
            assert list(progress(range(2), f"run {seed}")) == [0, 1]
        list(progress(range(2), "after"))
    assert "seed 1 of 2 · run 7" in screen.getvalue()
    assert "seed 2 of 2 · run 8" in screen.getvalue()
    assert "after" in screen.getvalue() and "of 2 · after" not in screen.getvalue()


def test_what_is_not_known_yet_is_not_shown():
    known = iter([float("nan"), 1.25])
    with contextlib.redirect_stdout(Screen()) as screen:
        for _ in progress(range(2), "DQN", episode_return=lambda: next(known)):
            time.sleep(0.15)
    assert "episode_return=1.2" in screen.getvalue() and "nan" not in screen.getvalue()


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
