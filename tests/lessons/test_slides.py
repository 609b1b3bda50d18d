"""Slides: how a lesson is cut into parts. Whether a slide holds them, a browser measures: run_whole, test_site."""

import ast

import pytest
from nbformat import v4

from rlcourse.lessons import slides
from rlcourse.lessons.build import build_notebook
from rlcourse.lessons.linking import Atlas
from rlcourse.lessons.paths import lesson_files, solutions_folder

SOURCES = lesson_files(solutions_folder(), ".py")


def cut(*cells, solved=False):
    return slides.parts(v4.new_notebook(cells=list(cells)), solved=solved)


def text(part):
    return "".join(part.blocks)


def test_headings_cut_and_only_those_of_the_first_two_ranks_open_a_column():
    parts = cut(
        v4.new_markdown_cell("# A\n\na\n\n## B\n\nb\n\n### C\n\nc"), v4.new_markdown_cell("d")
    )
    assert [(part.title, part.opens) for part in parts] == [("A", True), ("B", True), ("C", False)]
    assert "<p>d</p>" in text(parts[2])


def test_what_is_folded_is_for_the_speaker():
    (part,) = cut(
        v4.new_markdown_cell(
            "## Q\n\nVote.\n\n<details><summary>Why?</summary>\n\n$x$ is C.\n</details>"
        )
    )
    assert "C." not in text(part) and "Vote." in text(part)
    assert "Why?" in part.notes[0] and r"\(x\)" in part.notes[0]


def figure(*tags):
    shown = v4.new_output("display_data", data={"text/html": "<img alt='c'>", "text/plain": "c"})
    cell = v4.new_code_cell("plots.show(ax)", outputs=[shown])
    cell.metadata.tags = list(tags)
    return cell


def test_code_that_plots_stays_away_and_its_figure_does_not():
    (part,) = cut(v4.new_markdown_cell("## A"), figure("hide-input"))
    assert "plots" not in text(part) and "<img alt='c'>" in text(part)
    (part,) = cut(v4.new_markdown_cell("## A"), figure())
    assert "plots" in text(part)


def test_imports_are_nothing_to_look_at():
    (part,) = cut(v4.new_markdown_cell("## A"), v4.new_code_cell("import numpy as np"))
    assert "numpy" not in text(part)


def exercise_parts(solved):
    """The parts of lesson 02 around its first exercise, its check as a student's copy would leave it."""
    notebook = build_notebook(SOURCES["02"], solved=solved, atlas=Atlas())
    parts = slides.parts(notebook, solved=solved)
    first = next(i for i, part in enumerate(parts) if part.title.startswith("Exercise 2.1"))
    return parts[first : first + 3]


def test_an_exercise_shows_its_task_and_equation_and_what_to_write():
    task, after, _ = exercise_parts(solved=False)
    assert r"\tag{2.5}" in text(task) and r"\tag{2.7}" in text(task)
    assert "NotImplementedError" not in text(task) and "✓" not in text(task)
    assert "is <em>any</em> table" in "".join(task.notes)  # a detail of the task
    assert "Which index does the look ahead sum over" in "".join(task.notes)  # a hint
    assert text(after).startswith("<p>Do (2.5), (2.6) and (2.7) fit together?")


def test_with_answers_each_has_its_own_part_with_its_check():
    task, answer, after = exercise_parts(solved=True)
    assert "keepdims" not in text(task)
    assert "keepdims" in text(answer) and "q_and_advantage" in text(answer)
    assert text(after).startswith("<p>Do (2.5)")


def test_what_is_to_be_found_on_paper_is_not_given_away():
    notebook = build_notebook(SOURCES["02"], atlas=Atlas())
    parts = slides.parts(notebook, solved=False)
    task = next(part for part in parts if part.title.startswith("Exercise 2.4"))
    assert "on paper" in text(task) and r"\tag" not in text(task)


@pytest.mark.parametrize("number", SOURCES)
def test_no_stub_and_no_judgement_of_one_is_on_a_slide_of_any_lesson(number):
    notebook = build_notebook(SOURCES[number], atlas=Atlas())
    parts = slides.parts(notebook, solved=False)
    code = [
        block for part in parts for block in part.blocks if block.startswith('<div class="code">')
    ]
    assert code and not any("NotImplementedError" in block for block in code)
    shown = [
        block for part in parts for block in part.blocks if block.startswith('<div class="shown"')
    ]
    assert not any("not run yet" in block for block in shown)
    exercises = [part for part in parts if part.title.startswith("Exercise ") and part.notes]
    assert exercises and all('<div class="code">' in text(part) for part in exercises)


def test_a_signature_is_python_without_words_and_without_an_answer():
    source = (
        'class A:\n    """Words."""\n\n    def f(self, x):\n        """More\n        words."""\n'
        '        raise NotImplementedError("Exercise 1.1: f")\n'
    )
    shown = slides.signature(source)
    assert "ords" not in shown and "NotImplementedError" not in shown and "..." in shown
    ast.parse(shown)


def test_text_in_a_formula_is_escaped():
    (part,) = cut(v4.new_markdown_cell("## A\n\n$a < b$ and\n\n$$c > d$$"))
    assert r"\(a &lt; b\)" in text(part) and r"\[c &gt; d\]" in text(part)
