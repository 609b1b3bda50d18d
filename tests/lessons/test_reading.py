"""Whatever Windows, platforms and students do to a notebook: all commands read it alike, or say what it is."""

from __future__ import annotations

import json

import nbformat
import pytest
from running import SOURCES

from rlcourse import checker
from rlcourse.lessons.build import build_notebook
from rlcourse.lessons.extract import extract
from rlcourse.lessons.notebook import exercise_in, lesson_in, read_notebook
from rlcourse.lessons.paths import UsageError
from rlcourse.lessons.reading import Unreadable
from rlcourse.lessons.verify import open_submission

LESSON = "00"
NAMES = checker.names(LESSON)


@pytest.fixture(scope="module")
def solved():
    return nbformat.writes(build_notebook(SOURCES[0], solved=True))


def answer_in(tree, name=NAMES[0]):
    return next(
        c for c in tree["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == name
    )


def each(kind):
    """A change of all cells of a kind."""

    def over(change):
        def damage(tree):
            for cell in tree["cells"]:
                if cell["cell_type"] == kind:
                    change(cell)

        return damage

    return over


FORMS = {
    "as it is": lambda tree: None,
    "ids that are null": each("code")(lambda cell: cell.update(id=None)),
    "ids twice": each("code")(lambda cell: cell.update(id="one")),
    "ids in a notebook of format 4.4": lambda tree: tree.update(nbformat_minor=4),
    "no ids": each("code")(lambda cell: cell.pop("id")),
    "outputs on a text": each("markdown")(lambda cell: cell.update(outputs=[], execution_count=3)),
    "no outputs": each("code")(lambda cell: cell.pop("outputs")),
    "no execution count": each("code")(lambda cell: cell.pop("execution_count")),
    "outputs of another kind": each("code")(
        lambda cell: cell.update(outputs=[{"output_type": "x"}])
    ),
    "a count that is no number": each("code")(lambda cell: cell.update(execution_count="7")),
    "a foreign key beside the metadata": lambda tree: tree.update(cells_by="somebody"),
    "a foreign key in a cell": each("code")(lambda cell: cell.update(colour="red")),
    "no metadata of the notebook's own but the course's": lambda tree: tree.update(
        metadata={"rlcourse": tree["metadata"]["rlcourse"]}
    ),
    "tags that are none": each("code")(lambda cell: cell["metadata"].update(tags="hidden")),
    "sources in one piece": each("code")(lambda cell: cell.update(source="".join(cell["source"]))),
    "an answer made text": lambda tree: answer_in(tree).update(cell_type="markdown"),
    "an answer made raw": lambda tree: answer_in(tree).update(cell_type="raw"),
}
ALPHABETS = ["utf-8", "utf-8-sig", "utf-16"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_all_commands_read_it(form, alphabet, solved, tmp_path):
    tree = json.loads(solved)
    FORMS[form](tree)
    path = tmp_path / "00_start_here.ipynb"
    path.write_bytes(json.dumps(tree, ensure_ascii=False).encode(alphabet))
    found = extract(path.read_bytes(), NAMES)  # `grade`
    assert set(found.programs) == set(NAMES) and found.lesson == LESSON
    nb = read_notebook(path)  # `progress`
    nbformat.validate(nb)
    assert lesson_in(nb, path) == LESSON
    assert {exercise_in(cell) for cell in nb.cells} - {None} == set(NAMES)
    assert open_submission(path, checker).missing == {}  # `verify`


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_an_answer_made_text_is_noted(kind, solved):
    tree = json.loads(solved)
    answer_in(tree).update(cell_type=kind)
    (note,) = extract(json.dumps(tree).encode(), NAMES).notes
    assert f"made a {kind} cell" in note


@pytest.mark.parametrize("at", ["in its body", "after its first line"])
def test_a_cell_split_inside_its_function_is_told(at, solved):
    tree = json.loads(solved)
    cell = answer_in(tree)
    source = f"def {NAMES[0]}(rewards, gamma):\n    total = 0\n    for r in reversed(rewards):\n        total = r + gamma * total\n    return total"
    cut = source.index("    for" if at == "in its body" else "    total")
    place = tree["cells"].index(cell)
    cell["source"] = source[:cut]
    tree["cells"].insert(place + 1, {"cell_type": "code", "metadata": {}, "source": source[cut:]})
    found = extract(json.dumps(tree).encode(), NAMES)
    assert "the rest stands in the next cell" in found.problems[NAMES[0]]
    assert set(found.problems) == {NAMES[0]}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!DOCTYPE html>\n<html><body>Log in", "a web page"),
        (b'\n<?xml version="1.0"?>\n<html lang="en">', "a web page"),
        (b'{"cells": [\n<<<<<<< HEAD\n {"a": 1}\n=======\n {"a": 2}\n>>>>>>> main\n]}', "a merge"),
        ('{"cells": ['.encode("utf-16"), "cut off|not a notebook"),
    ],
)
def test_what_it_is_instead_is_said(data, said, tmp_path):
    with pytest.raises(Unreadable, match=said):
        extract(data, NAMES)
    path = tmp_path / "00.ipynb"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=said):
        read_notebook(path)
