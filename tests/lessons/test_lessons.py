"""Every lesson without networks, run whole: solved and unsolved; and what holds of all texts."""

from __future__ import annotations

import re

import pytest
from running import (
    SOURCES,
    WAYS,
    WITH_NETWORKS,
    checks,
    printed,
    run,
    run_whole,
    with_answers,
)

from rlcourse import checker

TABULAR = [source for source in SOURCES if source not in WITH_NETWORKS]


@pytest.mark.parametrize("solved", WAYS, ids=["solved", "unsolved"])
@pytest.mark.parametrize("source", TABULAR, ids=lambda path: path.stem)
def test_a_lesson_runs_whole(source, solved, tmp_path):
    run_whole(source, solved, tmp_path)


@pytest.mark.full
def test_lesson_05_with_the_mask_forgotten_names_the_mistake_and_runs_on(tmp_path):
    source = next(path for path in SOURCES if path.stem.startswith("05"))
    without_mask = (
        "def q_learning_target(reward, q_next, terminated, gamma):\n"
        "    return reward + gamma * q_next.max(axis=1)\n"
    )
    notebook = with_answers(source, q_learning_target=without_mask)
    run(notebook, tmp_path)
    shown = checks(notebook)
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
