"""Every lesson, run whole: solved, and with answers that are missing and wrong; and what holds of all texts."""

from __future__ import annotations

import re

import pytest
from lab_browser import chromium
from pages_browser import slide_faults
from running import (
    LONGEST_LINE,
    PROJECT,
    SLIDER_SECONDS,
    SLOWEST,
    SOURCES,
    checks,
    printed,
    printed_on_stderr,
    require_affordable,
    sliders,
    unwritten_then_wrong,
    with_answers,
)

from rlcourse import checker
from rlcourse.lessons import slides
from rlcourse.lessons.build import build_notebook
from rlcourse.lessons.running import run


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_solved_lesson_runs_whole(source, tmp_path):
    notebook = build_notebook(source, solved=True)
    cost = run(notebook, tmp_path)
    shown = checks(notebook.cells)
    assert list(shown) == list(checker.names(source.stem[:2]))
    for name, text in shown.items():
        expected = checker.expected_output(name)["text/plain"]
        # A project's verdict goes on with its scores, which the processor's rounding may change.
        assert text == expected or (name == PROJECT and text.startswith(f"{expected}\n"))
    assert printed_on_stderr(notebook) == [], "no warning is left on a student's screen"
    long = [line for line in printed(notebook).splitlines() if len(line) > LONGEST_LINE]
    assert not long, long
    answered_in = sliders(notebook)
    assert answered_in and max(answered_in) < SLOWEST * SLIDER_SECONDS
    require_affordable(cost, source)


@pytest.mark.full
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_lesson_runs_whole_with_no_answer_and_with_wrong_ones(source, tmp_path):
    """Each exercise is first not written and then wrong; either way the lesson goes on with the reference."""
    notebook, added = unwritten_then_wrong(source)
    cost = run(notebook, tmp_path)
    wrong = {cell.id for cell in added}
    unwritten = [cell for cell in notebook.cells if cell.id not in wrong]
    before, after = checks(unwritten), checks(added)
    assert list(before) == list(after) == list(checker.names(source.stem[:2]))
    for name in before:
        assert before[name].startswith("○") and "not written yet" in before[name], name
        assert after[name].startswith("✗") and "goes on with the reference" in after[name], name
    assert "reference function" in printed(notebook)
    assert printed_on_stderr(notebook) == []
    require_affordable(cost, source)
    if chromium():
        # Running is what costs most, so the lesson's slides are looked at here, too.
        notebook.cells = unwritten
        deck = tmp_path / "slides.html"
        slides.write_deck(notebook, deck, solved=False)
        _, faults = slide_faults(deck)
        assert not faults, faults


@pytest.mark.full
def test_lesson_05_with_the_mask_forgotten_names_the_mistake_and_runs_on(tmp_path):
    source = next(path for path in SOURCES if path.stem.startswith("05"))
    without_mask = (
        "def q_learning_target(reward, q_next, terminated, gamma):\n"
        "    return reward + gamma * q_next.max(axis=1)\n"
    )
    notebook = with_answers(source, q_learning_target=without_mask)
    run(notebook, tmp_path)
    shown = checks(notebook.cells)
    assert "bootstraps through a terminal state" in shown["q_learning_target"]
    assert checker.get("q_learning_target").equation in shown["q_learning_target"]
    right = [name for name, text in shown.items() if text.startswith("✓")]
    assert len(right) == len(shown) - 1
    assert "with the reference for q_learning_target" in printed(notebook)


def test_every_equation_that_a_check_points_at_is_in_its_lesson():
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        for exercise in checker.lesson(source.stem[:2]):
            number = exercise.equation.strip("()")
            assert rf"\tag{{{number}}}" in text, f"{exercise.name}: no equation ({number})"


def test_no_lesson_refers_to_an_equation_of_its_own_that_is_not_there():
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        lesson = str(int(source.stem[:2]))
        tagged = set(re.findall(r"\\tag\{(\d+\.\d+)\}", text))
        referred = set(re.findall(rf"\(({lesson}\.\d+)\)", text))
        assert referred <= tagged, f"{source.name}: {sorted(referred - tagged)}"
        numbers = [int(tag.split(".")[1]) for tag in re.findall(r"\\tag\{(\d+\.\d+)\}", text)]
        assert numbers == list(range(1, len(numbers) + 1)), f"{source.name}: {numbers}"
