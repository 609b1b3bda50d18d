"""nbgrader: a course folder whose `nbgrader autograde` gives these marks.

nbgrader would run students' code with the user's own rights, and marks what the code's process says
of itself. The folder's configuration puts the marks that the sandboxed grader found in the place of
that run, so no student's code is executed; scores, diagnoses and late penalties go into nbgrader's
grade book, where they can be reviewed, changed by hand and given back as feedback.
"""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlcourse.checker.cards import inline
from rlcourse.lessons import paths
from rlcourse.lessons.notebook import check_in, exercise_in, read_notebook
from rlcourse.lessons.paths import UsageError

from .. import feedback, results
from . import Export, Options

if TYPE_CHECKING:
    from nbformat import NotebookNode

CONFIG = '''"""nbgrader takes its marks from marks.json: no student's code is run.

Written by `rlcourse export --to nbgrader`.
"""

import hashlib
import json
from pathlib import Path

from nbformat.v4 import new_output
from nbgrader.api import Gradebook
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ComputeChecksums,
    NbGraderPreprocessor,
    SaveAutoGrades,
    SaveCells,
)
from nbgrader.utils import is_grade, is_solution

ROOT = Path(__file__).resolve().parent


class Marks(NbGraderPreprocessor):
    """Put the marks of one student where the outputs of an execution would be."""

    def preprocess(self, nb, resources):
        where = resources["nbgrader"]
        marks = json.loads((ROOT / "marks.json").read_text(encoding="utf-8"))
        if where["assignment"] not in marks or where["student"] not in marks[where["assignment"]]:
            raise RuntimeError(f"{where['student']} is not in marks.json: grade and export again.")
        record = marks[where["assignment"]][where["student"]]
        answers = [cell.source for cell in nb.cells if is_solution(cell)]
        if hashlib.sha256("\\0".join(answers).encode()).hexdigest() != record["answers"]:
            raise RuntimeError("These are not the answers that were marked: grade and export again.")
        for cell in nb.cells:
            if is_grade(cell):
                score, told = record["checks"][cell.metadata.nbgrader.grade_id]
                cell.outputs = [
                    new_output("display_data", data={"text/html": told}),
                    new_output("execute_result", data={"text/plain": str(score)}, execution_count=1),
                ]
        with Gradebook(where["db_url"]) as book:
            if record["person"]:
                book.update_or_create_student(where["student"], **record["person"])
            notebook = book.find_submission_notebook(
                where["notebook"], where["assignment"], where["student"]
            )
            notebook.late_submission_penalty = record["penalty"] or None
            book.db.commit()
        return nb, resources


c = get_config()  # noqa: F821
c.CourseDirectory.root = str(ROOT)
# The source is what students got: there is no solution in it to be taken out.
c.GenerateAssignment.preprocessors = [CheckCellMetadata, ComputeChecksums, SaveCells]
c.Autograde.autograde_preprocessors = [Marks, SaveAutoGrades, CheckCellMetadata]
'''

README = """# Lesson {lesson} for nbgrader

In this folder, with nbgrader's programs on the path:

    nbgrader generate_assignment {lesson}
    nbgrader autograde {lesson}
    nbgrader generate_feedback {lesson}

`source/` holds the notebook as students got it, `submitted/` the answers that were marked, and
`marks.json` the marks. `nbgrader autograde` runs no student's code (see `nbgrader_config.py`), and
refuses a notebook whose answers are others than those that were marked.
"""


def export(result: dict[str, Any], options: Options) -> Export:
    """source/, submitted/, marks.json, nbgrader_config.py and README.md of one lesson."""
    lesson = result["lesson"]
    path = _released(lesson)
    notebook = read_notebook(path)
    _require_same_points(notebook, path, result)
    files = {
        "README.md": README.format(lesson=lesson),
        "nbgrader_config.py": CONFIG,
        f"source/{lesson}/{path.name}": _text(notebook),
    }
    marks = {}
    for student, record in results.file_names(result["submissions"]):
        answered = _answered(notebook, record)
        files[f"submitted/{student}/{lesson}/{path.name}"] = _text(answered)
        marks[student] = _marks(answered, record)
        if "handed_in" in record:
            files[f"submitted/{student}/{lesson}/timestamp.txt"] = record["handed_in"] + "\n"
    tree = {lesson: marks}
    files["marks.json"] = json.dumps(tree, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    return Export(files)


def _released(lesson: str) -> Path:
    folder = paths.release() / "notebooks"
    found = paths.lesson_files(folder, ".ipynb")
    if lesson not in found:
        raise UsageError(
            f"There is no notebook of lesson {lesson} in {folder}: `rlcourse build` it."
        )
    return found[lesson]


def _require_same_points(notebook: NotebookNode, path: Path, result: dict[str, Any]) -> None:
    there = {
        check_in(cell): cell.metadata.nbgrader.points for cell in notebook.cells if check_in(cell)
    }
    for record in result["submissions"]:
        ours = {mark["name"]: mark["points"] for mark in record["exercises"]}
        common = ours.keys() & there.keys()
        if ours != there and common and all(ours[name] == there[name] for name in common):
            raise UsageError(
                f"{path} has {len(there)} exercises, and {len(ours)} count in the result: nbgrader marks a "
                "notebook as a whole, so a lesson assigned in part, or with exercises of your own, is for "
                "another format."
            )
        if ours and ours != there:
            raise UsageError(
                f"{path} has other exercises or points than the result: "
                "give the version of the course that graded, or grade again."
            )


def _answered(notebook: NotebookNode, record: dict[str, Any]) -> NotebookNode:
    """The released notebook with a student's answers in the exercise cells."""
    sources = {mark["name"]: mark["source"] for mark in record["exercises"]}
    answered = copy.deepcopy(notebook)
    for cell in answered.cells:
        cell.source = sources.get(exercise_in(cell)) or cell.source
    return answered


def _marks(answered: NotebookNode, record: dict[str, Any]) -> dict[str, Any]:
    answers = [cell.source for cell in answered.cells if exercise_in(cell)]
    marks = {mark["name"]: mark for mark in record["exercises"]}
    checks = {
        cell.metadata.nbgrader.grade_id: _check(marks.get(check_in(cell)), record)
        for cell in answered.cells
        if check_in(cell)
    }
    reached = sum(score for score, _ in checks.values())
    return {
        "answers": hashlib.sha256("\0".join(answers).encode()).hexdigest(),
        "checks": checks,
        "person": _person(record),
        "penalty": round(reached - record["score"], 4),
    }


def _person(record: dict[str, Any]) -> dict[str, str]:
    """What nbgrader knows of a student, as far as the students list said it."""
    last, comma, first = record.get("name", "").partition(",")
    if not comma:
        first, _, last = last.rpartition(" ")
    known = {"first_name": first, "last_name": last, "email": record.get("email", "")}
    return {key: value.strip() for key, value in known.items() if value.strip()}


def _check(mark: dict[str, Any] | None, record: dict[str, Any]) -> tuple[float, str]:
    """The score of a check cell, and what is told there, as HTML."""
    lines = feedback.told(mark) if mark else feedback.remarks(record)
    return (mark["score"] if mark else 0), "".join(f"<p>{inline(line)}</p>" for line in lines)


def _text(notebook: NotebookNode) -> str:
    import nbformat

    return nbformat.writes(notebook) + "\n"
