"""An instructor's own exercises: the README's example through the gate and through grading."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rlcourse import checker, cli
from rlcourse.checker import gate, registry
from rlcourse.grading import results
from rlcourse.grading.course_file import read_course
from rlcourse.grading.stage import sealed_names
from rlcourse.lessons.paths import UsageError

README = Path(results.__file__).with_name("README.md").read_text(encoding="utf-8")
EXAMPLE = next(
    block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "EXERCISES" in block
)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What is added here is added for one test."""
    monkeypatch.setattr(registry, "_own", {})


def written(folder, text, name="ours.py"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_the_example_passes_the_gate(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["gate", str(written(tmp_path, EXAMPLE))])
    assert left.value.code == 0 and "effective_horizon: all right" in capsys.readouterr().out


def test_the_gate_says_what_is_wrong(tmp_path, capsys):
    text = EXAMPLE.replace("lambda gamma: 1 - gamma", "lambda gamma: 1 / (1 - gamma)")
    with pytest.raises(SystemExit) as left:
        cli.main(["gate", str(written(tmp_path, text))])
    assert left.value.code == 1 and "the mistake 'inverted'" in capsys.readouterr().out


def test_it_stands_behind_the_course_s(tmp_path):
    before = checker.names("01")
    (own,) = checker.add(written(tmp_path, EXAMPLE))
    assert checker.names("01") == (*before, "effective_horizon")
    assert own.lesson == "01" and own.number == f"1.{len(before) + 1}"
    assert checker.get("effective_horizon") is own
    assert [e.name for e in checker.lesson("01")][-1] == "effective_horizon"
    assert checker.add(tmp_path / "ours.py") == (own,)  # a second time it is there already
    assert gate.problems(own) == [] and "effective_horizon" in sealed_names("01")


def test_the_course_file_brings_it(tmp_path):
    written(tmp_path, EXAMPLE)
    text = 'exercise_files = ["ours.py"]\n[lessons.01]\nexercises = ["effective_horizon"]\n'
    course = read_course(written(tmp_path, text, "course.toml"))
    assert course.chosen("01")[0] == ("effective_horizon",)
    assert course.exercise_files == (str(tmp_path / "ours.py"),)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('LESSON = "01"', "", 'write LESSON = "05" into it'),
        ('LESSON = "01"', 'LESSON = "77"', "which lesson it adds to"),
        ("EXERCISES = [", "OTHERS = [", "lists no exercises"),
        ("EXERCISES = [", "EXERCISES = [3,", "in EXERCISES stands 3"),
        ("effective_horizon", "discounted_return", "is called 'discounted_return' already"),
        ("import Case", "import Cases", "cannot be run: ImportError"),
        ("def effective", "def effective(", "cannot be run: SyntaxError"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, old, new, said):
    path = written(tmp_path, EXAMPLE.replace(old, new))
    with pytest.raises(checker.Unusable, match=re.escape(said)) as refused:
        checker.add(path)
    assert str(path) in str(refused.value)
    text = written(tmp_path, 'exercise_files = ["ours.py"]', "course.toml")
    with pytest.raises(UsageError, match=re.escape(said)):
        read_course(text)


@pytest.mark.full
def test_it_is_graded(tmp_path):
    """By two new processes a student; and again only when its file has changed."""
    written(tmp_path, EXAMPLE)
    written(tmp_path, 'exercise_files = ["ours.py"]\n[lessons.01]\nexercises = ["effective_horizon"]\n', "course.toml")  # fmt: skip
    bodies = {"jane": "1 / (1 - gamma)", "ben": "gamma / (1 - gamma)"}
    (tmp_path / "class").mkdir()
    for student, body in bodies.items():
        cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": f"def effective_horizon(gamma):\n    return {body}"}  # fmt: skip
        tree = {"cells": [cell], "metadata": {"rlcourse": {"lesson": "01"}}, "nbformat": 4, "nbformat_minor": 5}  # fmt: skip
        written(tmp_path / "class", json.dumps(tree), f"{student}.ipynb")
    command = ["grade", "01", str(tmp_path / "class"), "--out", str(tmp_path / "out"), "--course", str(tmp_path)]  # fmt: skip

    def graded(*more):
        with pytest.raises(SystemExit) as left:
            cli.main([*command, *more])
        assert left.value.code == 0
        records = results.read(tmp_path / "out")["submissions"]
        return {record["student"]: record for record in records}

    first = graded()
    assert (first["jane"]["score"], first["jane"]["points"]) == (1, 1)
    assert (first["ben"]["score"], first["ben"]["exercises"][0]["mistake"]) == (0, "starts-late")
    assert graded("--resume") == first
    written(tmp_path, EXAMPLE.replace('"starts-late"', '"begins-late"'))
    registry._own.clear()
    assert graded("--resume")["ben"]["exercises"][0]["mistake"] == "begins-late"
