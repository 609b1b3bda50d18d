"""Every lesson with networks, run whole: solved, unsolved, and with every exercise wrong."""

from __future__ import annotations

import pytest
from running import (
    WAYS,
    WITH_NETWORKS,
    checks,
    printed,
    printed_on_stderr,
    run,
    run_whole,
    with_answers,
)

from rlcourse import checker


@pytest.mark.parametrize("solved", WAYS, ids=["solved", "unsolved"])
@pytest.mark.parametrize("source", WITH_NETWORKS, ids=lambda path: path.stem)
def test_a_lesson_runs_whole(source, solved, tmp_path):
    run_whole(source, solved, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("source", WITH_NETWORKS, ids=lambda path: path.stem)
def test_a_lesson_runs_to_its_end_with_every_exercise_wrong(source, tmp_path):
    names = checker.names(source.stem[:2])
    wrong = {name: f"def {name}(*given):\n    return given[0]\n" for name in names}
    notebook = with_answers(source, **wrong)
    run(notebook, tmp_path)
    shown = checks(notebook)
    assert list(shown) == list(names)
    for name, text in shown.items():
        assert text.startswith("✗") and "goes on with the reference" in text, name
    assert "reference function" in printed(notebook)
    assert printed_on_stderr(notebook) == []
