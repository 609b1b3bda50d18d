"""The course folder, given to the real nbgrader: its grade book holds our marks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from made_up_class import record, result, unreadable

from rlcourse import checker
from rlcourse.grading.exports import Options, nbgrader, write
from rlcourse.lessons import paths
from rlcourse.lessons.paths import UsageError

pytestmark = pytest.mark.full  # the real nbgrader takes its time

NAMES = checker.names("05")
# It would give full marks, and more, where nbgrader runs it.
HOSTILE = (
    "import os\n"
    "open(os.path.expanduser('{trace}'), 'w').write('I ran')\n"
    "get_ipython().input_transformers_cleanup.append(lambda lines: ['1000000\\n'])\n"
    "def q_learning_target(*args):\n    return 0\n"
)


def marks(wrong=(), source="def answer():\n    return 1\n", **scores):
    """Marks of lesson 05; `wrong` failed, `scores` in part."""
    made = []
    for name in NAMES:
        exercise = checker.get(name)
        state = "failed" if name in wrong or name in scores else "passed"
        made.append(
            {
                "name": name,
                "number": exercise.number,
                "state": state,
                "score": scores.get(name, 0 if name in wrong else exercise.points),
                "points": exercise.points,
                "equation": exercise.equation,
                "rung": "" if state == "passed" else "values",
                "mistake": "bootstraps-terminal" if name in wrong else None,
                "headline": "" if state == "passed" else "bootstraps-terminal",
                "explanation": "" if state == "passed" else "After the end <comes> nothing.",
                "next_step": "",
                "cases_passed": 3,
                "cases": 12,
                "note": "",
                "source": source,
            }
        )
    return made


ADA = {
    "name": "Lovelace, Ada",
    "email": "ada@example.org",
    "handed_in": "2026-11-21T10:11:12+00:00",
}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The folder, after nbgrader went through it: (folder, what it said, our result)."""
    folder = tmp_path_factory.mktemp("nbgrader") / "course"
    trace = folder.parent / "trace"
    points = sum(checker.get(name).points for name in NAMES)

    def one(student, *made, **more):
        return record(student, *made, points=points, **more)

    ours = result(
        one("ada", *marks(), score=points - 2.5, **ADA),  # handed in late
        one("ben ten", *marks(wrong=["q_learning_target", "sarsa"], q_learning=1.5)),
        one("mallory", *marks(wrong=NAMES, source=HOSTILE.format(trace=trace))),
        one("zoe", *marks(source="def answer():\n    return 'before'\n")),
        unreadable("dan") | {"points": points},
    )
    write(nbgrader.export(ours, Options()).files, folder)
    (changed,) = (folder / "submitted" / "zoe" / "05").glob("*.ipynb")
    changed.write_text(changed.read_text("utf-8").replace("before", "after"), encoding="utf-8")
    said = [run(folder, "generate_assignment", "05"), run(folder, "autograde", "05")]
    assert not trace.exists(), "nbgrader ran a student's code"
    return folder, said, ours


def run(folder, *arguments):
    # nbgrader starts alembic, which lies beside it.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=1800,
    )


def test_nbgrader_is_content_but_with_an_answer_that_was_not_marked(course):
    folder, (generated, autograded), _ = course
    assert generated.returncode == 0, generated.stderr
    assert "not the answers that were marked" in autograded.stderr
    failed = [line for line in autograded.stderr.splitlines() if "There was an error" in line]
    assert failed and all("zoe" in line for line in failed), autograded.stderr
    assert sorted(path.parent.name for path in (folder / "autograded").glob("*/05")) == [
        "ada", "ben ten", "dan", "mallory"]  # fmt: skip


def test_every_mark_in_the_grade_book_is_ours(course):
    from nbgrader.api import Gradebook

    folder, _, ours = course
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        for one in ours["submissions"]:
            if one["student"] == "zoe":
                continue
            submission = book.find_submission("05", one["student"])
            assert submission.score - submission.late_submission_penalty == one["score"]
            assert submission.max_score == one["points"]
            assert not submission.needs_manual_grade
            (notebook,) = submission.notebooks
            grades = {grade.name.removeprefix("check-"): grade for grade in notebook.grades}
            assert set(grades) == set(NAMES)
            for mark in one["exercises"]:
                assert grades[mark["name"]].score == mark["score"], (one["student"], mark["name"])


def test_the_grade_book_knows_who_it_is_and_when_it_was_handed_in(course):
    from nbgrader.api import Gradebook

    folder, _, _ = course
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        ada, ben = book.find_student("ada"), book.find_student("ben ten")
        assert (ada.first_name, ada.last_name, ada.email) == ("Ada", "Lovelace", ADA["email"])
        assert (ben.first_name, ben.email) == (None, None)
        when = book.find_submission("05", "ada").timestamp
        assert when.isoformat() + "+00:00" == ADA["handed_in"]
        assert book.find_submission("05", "ben ten").timestamp is None


def test_the_diagnosis_is_in_the_autograded_notebook(course):
    folder, _, _ = course
    (file,) = (folder / "autograded" / "ben ten" / "05").glob("*.ipynb")
    cells = {
        c.metadata.get("nbgrader", {}).get("grade_id"): c for c in nbformat.read(file, 4).cells
    }
    shown = cells["check-sarsa"].outputs[0].data["text/html"]
    assert "bootstraps-terminal" in shown and "&lt;comes&gt;" in shown
    assert cells["sarsa"].source == "def answer():\n    return 1\n"


def test_what_is_released_is_what_students_got(course):
    folder, _, _ = course
    (released,) = (folder / "release" / "05").glob("*.ipynb")
    ours = paths.lesson_files(paths.notebooks_folder(), ".ipynb")["05"]
    pairs = zip(nbformat.read(released, 4).cells, nbformat.read(ours, 4).cells, strict=True)
    assert all(theirs.source == cell.source for theirs, cell in pairs)


def test_points_that_differ_from_the_notebooks_are_refused():
    other = marks()
    other[0]["points"] = 50
    with pytest.raises(UsageError, match="other exercises or points"):
        nbgrader.export(result(record("ada", *other)), Options())


def test_the_export_is_plain_json_of_no_version_of_python(course):
    folder, _, ours = course
    marked = json.loads((folder / "marks.json").read_text("utf-8"))["05"]
    assert {student: sum(score for score, _ in one["checks"].values()) - one["penalty"]
            for student, one in marked.items()} == {
        one["student"]: one["score"] for one in ours["submissions"]}  # fmt: skip
