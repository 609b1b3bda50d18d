"""Pages of the site: what MyST reads, made from what Jupyter shows."""

import base64

import pytest
from nbformat import v4

from rlcourse.lessons.build import build_notebook
from rlcourse.lessons.front import PARTS, course_map, read_head
from rlcourse.lessons.pages import WIDGET, Figures, page
from rlcourse.lessons.paths import lesson_files, solutions_folder

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SOURCES = lesson_files(solutions_folder(), ".py")


def paged(*cells, released=None, under_title="", figure=lambda png: "figures/x.png"):
    notebook = v4.new_notebook(cells=list(cells))
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    return page(notebook, released=released, figure=figure, under_title=under_title).cells


def test_an_anchor_becomes_a_target_that_the_build_knows():
    (cell,) = paged(v4.new_markdown_cell('Text\n\n<a id="eq-2.4"></a>\n\n$$v \\tag{2.4}$$'))
    assert "\n(eq-2.4)=\n" in cell.source and "<a id" not in cell.source


def test_mathematics_in_the_title_of_what_is_folded_is_set():
    (cell,) = paged(
        v4.new_markdown_cell("<details><summary>Is $a < b$?</summary>\n\n$c$</details>")
    )
    assert r'<span class="math notranslate nohighlight">\(a &lt; b\)</span>' in cell.source
    assert "$c$" in cell.source


def test_downloads_stand_under_the_title_and_nowhere_else():
    cells = paged(
        v4.new_markdown_cell("# 02 · Title\n\nText"),
        v4.new_markdown_cell("# Again"),
        under_title="take it",
    )
    assert cells[0].source.split("\n\n")[:2] == ["# 02 · Title", "take it"]
    assert "take it" not in cells[1].source


def check_cell():
    shown = v4.new_output("display_data", data={"text/plain": "○ not written yet"})
    return v4.new_code_cell('f = check("f")', outputs=[shown])


def test_a_check_stands_as_it_was_released():
    (cell,) = paged(check_cell(), released=lambda name: {"text/plain": f"{name} not run yet"})
    assert cell.outputs[0].data["text/plain"] == "f not run yet"


def test_an_instructor_sees_what_the_check_said():
    (cell,) = paged(check_cell())
    assert cell.outputs[0].data["text/plain"] == "○ not written yet"


def test_a_slider_is_a_still_that_says_where_it_stands():
    view = {WIDGET: {"model_id": "1"}, "text/plain": "γ = 0.9 (run this cell to drag it)"}
    (cell,) = paged(v4.new_code_cell("slide()", outputs=[v4.new_output("display_data", data=view)]))
    assert WIDGET not in cell.outputs[0].data
    assert "γ = 0.9" in cell.outputs[0].data["text/html"]
    assert "run this cell" not in cell.outputs[0].data["text/html"]


def test_a_picture_becomes_a_file_and_keeps_its_words(tmp_path):
    figures = Figures(tmp_path, "../figures/")
    data = base64.b64encode(PNG).decode()
    markup = f'<img src="data:image/png;base64,{data}" alt="a curve" style="width: 9px">'
    output = v4.new_output("display_data", data={"text/html": markup, "text/plain": "a curve"})
    (cell,) = paged(v4.new_code_cell("show()", outputs=[output]), figure=figures)
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == PNG
    assert f'<img src="../figures/{file.name}" alt="a curve"' in cell.outputs[0].data["text/html"]
    (tmp_path / "0123.png").write_bytes(PNG)
    figures.sweep()
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("number", SOURCES)
def test_the_map_knows_of_every_lesson_what_it_takes_and_builds_on(number):
    head = read_head(SOURCES[number])
    assert head.number == number and head.part in PARTS
    assert "minutes alone" in head.time and head.builds_on
    shown = course_map([head], {number: [("the notebook", "downloads/x.ipynb")]}, {})
    assert head.time in shown and f'href="lessons/{head.stem}.html"' in shown
    assert 'href="downloads/x.ipynb"' in shown and "due" not in shown
    assert '<span class="due">Due &lt;soon&gt;</span>' in course_map(
        [head], {}, {number: "Due <soon>"}
    )


def test_no_answer_is_on_a_page_of_the_students():
    source = SOURCES["02"]
    notebook = build_notebook(source)
    text = "\n".join(cell.source for cell in paged(*notebook.cells))
    assert 'raise NotImplementedError("Exercise 2.1: q_and_advantage")' in text
    assert "keepdims" not in text and "BEGIN SOLUTION" not in text
