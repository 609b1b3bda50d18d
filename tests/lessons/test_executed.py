"""Executed lessons: a record is used as long as its word holds, and no longer."""

import json

import pytest
from nbformat import v4

from rlcourse.lessons import executed as module
from rlcourse.lessons.executed import executed
from rlcourse.lessons.linking import Atlas
from rlcourse.lessons.paths import UsageError


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A lesson of one cell, a package of one module, and a kernel that only counts how often it ran."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "values.py").write_text("v = 1\n")
    text = {"code": "1 + 1"}
    runs = []

    def built(source, *, solved, atlas):
        cell = v4.new_code_cell(text["code"] + ("  # solved" if solved else ""))
        cell.id = "code-1"
        return v4.new_notebook(cells=[cell])

    def run(notebook, folder):
        runs.append(notebook.cells[0].source)
        shown, asking = notebook.cells
        shown.outputs = [v4.new_output("stream", text=f"run {len(runs)}")]
        imported = json.dumps([str(package / "values.py"), "/elsewhere/numpy.py"])
        asking.outputs = [v4.new_output("stream", text=imported)]

    monkeypatch.setattr(module, "PACKAGE", package)
    monkeypatch.setattr(module, "build_notebook", built)
    monkeypatch.setattr(module.running, "run", run)

    def shown(solved=False):
        module._digest.cache_clear()  # another process begins
        notebook = executed(
            tmp_path / "05_small.py", tmp_path / "store", solved=solved, atlas=Atlas()
        )
        (cell,) = notebook.cells
        return cell.outputs[0].text

    return shown, text, package


def test_a_second_time_nothing_is_run(course):
    shown, _, _ = course
    assert [shown(), shown()] == ["run 1", "run 1"]


def test_answers_are_another_record(course):
    shown, _, _ = course
    assert [shown(), shown(solved=True), shown(), shown(solved=True)] == [
        "run 1",
        "run 2",
        "run 1",
        "run 2",
    ]


def test_other_code_is_run_anew(course):
    shown, text, _ = course
    assert shown() == "run 1"
    text["code"] = "2 + 2"
    assert shown() == "run 2"


def test_a_changed_module_of_the_course_makes_it_run_anew(course):
    shown, _, package = course
    assert shown() == "run 1"
    (package / "values.py").write_text("v = 2\n")
    assert [shown(), shown()] == ["run 2", "run 2"]
    (package / "values.py").unlink()
    assert shown() == "run 3"


def test_other_libraries_make_it_run_anew(course, monkeypatch):
    shown, _, _ = course
    assert shown() == "run 1"
    monkeypatch.setattr(module, "_libraries", lambda: {"numpy": "0.1"})
    assert shown() == "run 2"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"code": 1}'])
def test_a_record_that_cannot_be_read_is_made_anew(course, text, tmp_path):
    shown, _, _ = course
    shown()
    (tmp_path / "store" / "05_small-student.json").write_text(text)
    assert shown() == "run 2"


def test_a_cell_that_fails_is_told_and_not_recorded(course, tmp_path, monkeypatch):
    from nbclient.exceptions import CellExecutionError

    shown, _, _ = course

    def run(notebook, folder):
        raise CellExecutionError("1 / 0", "ZeroDivisionError", "division by zero")

    monkeypatch.setattr(module.running, "run", run)
    with pytest.raises(UsageError, match=r"05_small\.py: a cell fails"):
        shown()
    assert not (tmp_path / "store").exists()
