"""What a student does first, in a real browser: open lesson 00, run it, see the checks."""

import shutil
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from lab_browser import chromium, opened, served

from rlcourse import checker

ROOT = Path(__file__).parents[1]
QUIET = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
}
# Every cell in the page, also those that are scrolled out of sight.
WHOLE = QUIET | {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}
OVERRIDES = Path(sys.prefix, "share/jupyter/lab/settings/overrides.json")

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        chromium() is None,
        reason="no browser: install Chromium or Chrome (on Debian and Ubuntu the package chromium)",
    ),
]

# With this header JupyterLab need not ask which kernel a percent file wants.
KERNEL = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

"""

# What stands under the check cells: one text a cell, in order. A folded cell has no editor.
CHECKS = """
[...document.querySelectorAll('.jp-CodeCell')]
  .filter(cell => /(\\w+) = check\\("\\1"\\)/.test(cell.querySelector('.cm-content')?.textContent))
  .map(cell => [...cell.querySelectorAll('.jp-OutputArea-output')].map(o => o.textContent).join())
"""


def lesson(pattern: str) -> Path:
    (file,) = ROOT.glob(pattern)
    return file


def test_a_student_opens_lesson_00_and_runs_it(tmp_path):
    shutil.copy(lesson("notebooks/00_*.ipynb"), tmp_path / "lesson.ipynb")
    with served(tmp_path, WHOLE) as server, opened(server, "lesson.ipynb") as page:
        page.run_all()
        checks, errors = page.evaluate(CHECKS), page.errors()
    assert errors == []
    assert len(checks) == len(checker.names("00"))
    for name, shown in zip(checker.names("00"), checks, strict=True):
        assert "○" in shown and "not written yet" in shown, f"{name}: {shown}"


def test_run_all_goes_on_after_a_cell_that_python_cannot_read(tmp_path):
    notebook = nbformat.read(lesson("notebooks/00_*.ipynb"), 4)
    (answer,) = (cell for cell in notebook.cells if cell.id == "exercise-discounted_return")
    answer.source = "def discounted_return(rewards, gamma:\n    return 0.0"
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    with served(tmp_path, WHOLE) as server, opened(server, "lesson.ipynb") as page:
        page.run_all()
        # The command is over with the first exception; the cells go on.
        page.wait(f"{CHECKS.strip()}.slice(1).every(text => text.includes('not written yet'))", 120)
        checks, errors = page.evaluate(CHECKS), page.errors()
    assert len(checks) == len(checker.names("00"))
    assert "SyntaxError" in checks[0] and "line 1" in checks[0]
    assert len(errors) == 1 and errors[0].startswith("SyntaxError")


def test_the_solved_lesson_opens_as_a_notebook_and_every_check_is_green(tmp_path):
    notebook = jupytext.read(lesson("solutions/00_*.py"))
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, tmp_path / "solved.ipynb")
    with served(tmp_path, WHOLE) as server, opened(server, "solved.ipynb") as page:
        page.run_all()
        checks, errors = page.evaluate(CHECKS), page.errors()
        pictures = page.evaluate(
            "[...document.querySelectorAll('.jp-OutputArea img')].map(i => i.alt)"
        )
    assert errors == []
    assert len(checks) == len(checker.names("00"))
    assert all("✓" in shown for shown in checks), checks
    assert all(pictures), "a figure without words for it"


@pytest.mark.skipif(not OVERRIDES.exists(), reason="this environment was not set up by make")
def test_a_double_click_opens_a_percent_file_as_a_notebook(tmp_path):
    cells = "# %% [markdown]\n# # A title\n\n# %%\nprint(6 * 7)\n"
    (tmp_path / "lesson.py").write_text(KERNEL + cells)
    item = "document.querySelector('.jp-DirListing-item[title*=\"lesson.py\"]')"
    with served(tmp_path, WHOLE) as server, opened(server) as page:
        page.wait(f"!!{item}")
        page.evaluate(f"{item}.dispatchEvent(new MouseEvent('dblclick', {{bubbles: true}}))")
        page.wait("document.querySelector('.jp-Notebook h1')?.innerText.startsWith('A title')")
        page.run_all()
        shown = page.evaluate("document.querySelector('.jp-Notebook .jp-OutputArea').innerText")
    assert shown.strip() == "42"


WRONG = """def discounted_return(rewards, gamma):
    return sum(gamma ** (t + 1) * r for t, r in enumerate(rewards))"""
SLIDER = """
import numpy as np
from rlcourse.lab import plots

def draw(power):
    return plots.curves({"a power": np.arange(5.0) ** power}, xlabel="x", ylabel="y")

plots.slide(draw, [1, 2, 3], name="power", alt="a power of x", start=0)
"""
IMAGE = "[...document.querySelectorAll('.jp-OutputArea img')].find(i => i.alt === 'a power of x')"


def test_a_card_sets_its_equation_and_a_figure_has_its_slider(tmp_path):
    notebook = nbformat.read(lesson("notebooks/00_*.ipynb"), 4)
    (answer,) = (cell for cell in notebook.cells if cell.id == "exercise-discounted_return")
    answer.source = WRONG
    notebook.cells.append(nbformat.v4.new_code_cell(SLIDER))
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    with served(tmp_path, WHOLE) as server, opened(server, "lesson.ipynb") as page:
        page.run_all()
        page.wait(
            "[...document.querySelectorAll('.jp-OutputArea')].some(o => o.innerText.includes('discounted_return')"
            " && o.querySelector('mjx-container, .MathJax'))"
        )
        page.wait(f"!!{IMAGE} && !!document.querySelector('.jp-OutputArea .noUi-target')")


# The figure of lesson 00 that has a slider: what it shows, and what its slider says.
FIGURE = "document.querySelector('.jp-OutputArea:has(.noUi-target)')"
SHOWN = f"{FIGURE}?.querySelector('img')?.src"
SAID = f"{FIGURE}?.querySelector('.widget-readout')?.textContent.trim()"


def middle(page, element):
    """Where an element is, scrolled into sight: [x, y] of its middle."""
    return page.evaluate(
        f"(e => {{ e.scrollIntoView({{block: 'center'}}); const b = e.getBoundingClientRect(); "
        f"return [b.x + b.width / 2, b.y + b.height / 2] }})({element})"
    )


def mouse(page, kind, x, y):
    page.call(
        "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1
    )


def click(page, element):
    x, y = middle(page, element)
    mouse(page, "mousePressed", x, y)
    mouse(page, "mouseReleased", x, y)


def test_a_slider_moves_by_mouse_and_key_and_links_lead_on(tmp_path):
    for file in lesson("notebooks/00_*.ipynb"), lesson("notebooks/01_*.ipynb"):
        shutil.copy(file, tmp_path / file.name)
    first = lesson("notebooks/00_*.ipynb").name
    with served(tmp_path, WHOLE) as server, opened(server, first) as page:
        page.run_all()
        page.wait(f"{SHOWN}?.startsWith('data:image/png') && {SAID} === '0.9'")
        handle = f"{FIGURE}.querySelector('.noUi-handle')"
        x, y = middle(page, handle)
        end = page.evaluate(f"{FIGURE}.querySelector('.noUi-base').getBoundingClientRect().right")
        page.evaluate(f"window.before = {SHOWN}")
        mouse(page, "mousePressed", x, y)
        mouse(page, "mouseMoved", end, y)
        mouse(page, "mouseReleased", end, y)
        page.wait(f"{SAID} === '0.975' && {SHOWN} !== window.before")
        page.evaluate(f"window.before = {SHOWN}")
        for kind in "rawKeyDown", "keyUp":
            key = {"key": "ArrowLeft", "code": "ArrowLeft", "windowsVirtualKeyCode": 37}
            page.call("Input.dispatchKeyEvent", type=kind, **key)
        page.wait(f"{SAID} === '0.95' && {SHOWN} !== window.before")
        assert page.evaluate(f"{FIGURE}.querySelector('img').alt").startswith("The weight")
        links = "[...document.querySelectorAll('.jp-RenderedMarkdown a')]"
        scrolled = "document.querySelector('.jp-WindowedPanel-outer').scrollTop"
        middle(page, f"{links}.findLast(a => a.innerText === '(0.1)')")
        page.evaluate(f"window.before = {scrolled}")
        click(page, f"{links}.findLast(a => a.innerText === '(0.1)')")
        page.wait(f"{scrolled} < window.before - 1000")  # it stands at the beginning of the lesson
        click(page, f"{links}.findLast(a => a.innerText.startsWith('01 · '))")
        page.wait("document.title.startsWith('01_') || location.href.includes('/01_')")


WIDTH = 1000
# How far the rightmost part of a displayed equation, its number too, stands out of the text's column.
TOO_WIDE = """
[...document.querySelectorAll('.jp-RenderedHTMLCommon.jp-RenderedMarkdown')].flatMap(text => {
  const edge = text.getBoundingClientRect().right - parseFloat(getComputedStyle(text).paddingRight);
  const beyond = e => Math.max(...[...e.querySelectorAll('*')].map(part => part.getBoundingClientRect())
    .filter(box => box.width).map(box => box.right)) - edge;
  return [...text.querySelectorAll('mjx-container[display=true], .MathJax[display=true]')]
    .filter(e => beyond(e) > 2)
    .map(e => `${Math.round(beyond(e))} pixels: ${e.parentElement.textContent.slice(0, 60)}`)
})
"""
SET = "document.querySelectorAll('mjx-container[display=true], .MathJax[display=true]').length"


LESSONS = sorted(ROOT.glob("notebooks/*.ipynb"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """JupyterLab serving the lessons' texts, and how many displayed equations each of them has."""
    folder, displayed = tmp_path_factory.mktemp("texts"), {}
    for source in LESSONS:
        notebook = nbformat.read(source, 4)
        notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
        displayed[source.name] = sum(cell.source.count("$$") // 2 for cell in notebook.cells)
        nbformat.write(notebook, folder / source.name)
    with served(folder, WHOLE) as server:
        yield server, displayed


@pytest.mark.parametrize("lesson", [source.name for source in LESSONS])
def test_no_displayed_equation_is_wider_than_its_column(texts, lesson):
    server, displayed = texts
    with opened(server, lesson, width=WIDTH) as page:
        page.wait(f"{SET} >= {displayed[lesson]}")
        assert page.evaluate(TOO_WIDE) == []
