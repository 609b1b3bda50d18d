"""What a class has agreed on, all together, and what of it exports hand on."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from made_up_class import EXERCISES, mark, record, result
from test_exports import export, rlcourse

from rlcourse import checker
from rlcourse.grading import overrides, results
from rlcourse.grading.assignment import Assignment, Groups
from rlcourse.grading.course_file import CourseFile, read_course
from rlcourse.grading.finishing import by_hand, finish, read_current
from rlcourse.grading.rules import Rules
from rlcourse.grading.students import Roster, Student
from rlcourse.grading.submissions import Submission
from rlcourse.lessons.paths import UsageError

DUE = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
CLASS = Roster([Student(s, s.title(), "") for s in ("ann", "ben", "jane", "zoe")])
POINTS = sum(points for _, points in EXERCISES)
README = Path(results.__file__).with_name("README.md").read_text(encoding="utf-8")
HEAD = "student,exercise,points,reason,who,when\n"


def whole(student, **more):
    """All right in lesson 05 as it is: every exercise of it."""
    marks = [
        mark(0, name=e.name, number=e.number, score=e.points, points=e.points)
        for e in checker.lesson("05")
    ]
    made = record(student, *marks, **more)
    return made | {"points": made["score"]}


def given(student, exercise, points):
    return overrides.Override(student, "05", exercise, points, "a reason")


def test_everything_in_its_order():
    """Part of a lesson, extra credit, a group, one extension, a penalty, and then the marks by hand."""
    names = checker.names("05")
    worth = {exercise.name: exercise.points for exercise in checker.lesson("05")}
    asked = Assignment(names[:3], (names[3],), Groups({"red": ("ben", "jane")}))
    rules = Rules(DUE, 50.0, extensions={"ben": DUE + timedelta(days=1)})
    handed = [Submission("red", "red.ipynb", b"", time=(DUE + timedelta(days=1)).timestamp())]
    hand = [given("ben", names[0], 0), given("ann", "", None), given("jane", names[3], None)]
    hand += [given("eve", "", 1), given("zoe", names[1], worth[names[1]])]
    done = finish("05", handed, [whole("red")], asked, rules, CLASS, "", hand)
    ann, ben, jane, zoe = done.records
    reached, possible = sum(worth[n] for n in names[:4]), sum(worth[n] for n in names[:3])
    assert (ben["score"], ben["points"]) == (reached - worth[names[0]], possible)
    assert jane["score"] == reached / 2 - worth[names[3]] and jane["points"] == possible
    assert (ben["name"], ben["group"], ben["late_days"], jane["late_days"]) == ("Ben", "red", 0, 1)
    assert results.is_excused(ann) and ann["exercises"] == []
    assert zoe["score"] == worth[names[1]] and [m["name"] for m in zoe["exercises"]] == [*names[:4]]
    assert done.missing == [] and done.notes == ["'eve' is nobody here: not applied"]


def test_without_agreements_a_record_is_what_it_was():
    before = whole("jane")
    done = finish(
        "05", [Submission("jane", "jane.ipynb", b"")], [before], Assignment(), Rules(), Roster(()), "", ()
    )  # fmt: skip
    assert done.records == [before] and done.missing == [] and done.notes == []


def test_where_marks_by_hand_come_from(tmp_path):
    named = (given("jane", "", 2),)
    assert by_hand(Assignment(overrides=named), tmp_path, "05") == (named, "")
    assert by_hand(Assignment(), tmp_path, "05") == ((), "")
    told = given("jane", "", 3).told | {"before": 7}
    (tmp_path / "results.json").write_text(results.as_json(result(record("jane", override=told))))
    kept, note = by_hand(Assignment(), tmp_path, "05")
    assert [o.points for o in kept] == [3] and "kept from the results" in note
    (tmp_path / overrides.FILE).write_text(f"{HEAD}jane,05,4,x,,\n")
    found, note = by_hand(Assignment(), tmp_path, "05")
    assert [o.points for o in found] == [4] and note == ""
    (tmp_path / overrides.FILE).write_text(HEAD)
    assert by_hand(Assignment(), tmp_path, "05") == ((), "")  # taken back, on purpose


def test_results_that_are_older_than_the_marks_by_hand_are_not_handed_on(tmp_path):
    rows = f"{HEAD}jane,sarsa,1,x,rb,\nred,05,5,y,rb,\nann,04,1,z,,\nnobody,05,1,z,,\n"
    (tmp_path / overrides.FILE).write_text(rows)
    hand = overrides.read_overrides(tmp_path / overrides.FILE, "05")
    records = [record("jane"), record("ben", group="red"), record("zoe", group="red")]
    made, _ = overrides.apply(records, hand, lambda name: None, [])
    (tmp_path / "results.json").write_text(results.as_json(result(*made)))
    assert read_current(tmp_path, CourseFile()) == result(*made)
    for changed in (rows.replace("sarsa,1", "sarsa,2"), rows.replace("red,05", "ben,05"), HEAD, f"{rows}zoe,q_learning_target,1,w,,\n"):  # fmt: skip
        (tmp_path / overrides.FILE).write_text(changed)
        with pytest.raises(UsageError, match="again with --resume"):
            read_current(tmp_path, CourseFile())
        told = rlcourse("report", tmp_path, "--out", tmp_path / "report.html")
        assert told.returncode == 2 and not (tmp_path / "report.html").exists()


def test_the_readme_s_course_file(tmp_path):
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (rows,) = re.findall(r"```\n(student,.*?)```", README, re.DOTALL)
    (tmp_path / "class.csv").write_text("id,name,email\njane,Jane,\nben,Ben,\n")
    (tmp_path / "groups.csv").write_text("group,student\nred,jane\nred,ben\n")
    (tmp_path / "overrides.csv").write_text(rows)
    (tmp_path / "course.toml").write_text(block.replace('exercise_files = ["ours.py"]', ""))
    course = read_course(tmp_path)
    assert course.rules("05").extensions["ben"] == course.lesson("05").deadline + timedelta(days=2)
    assert course.terms("05")["assignment"].extra == ("q_learning",)
    assert {o.student for o in course.terms("05")["assignment"].overrides} == {"jane", "ben", "zoe", "red"}  # fmt: skip


# ----------------------------------------------------------------------------------- handing on

EXCUSED = {"excused": True, "before": 7, "reason": "ill", "who": "", "when": ""}


@pytest.fixture
def graded(tmp_path):
    """ada has all, ben is excused from the lesson, zoe from an exercise, eve has extra credit."""
    marks = [mark(i) for i in range(3)]
    zoe = record(
        "zoe", *marks, mark(3, score=0, override=EXCUSED | {"before": 0}), points=POINTS - 3
    )
    made = result(
        record("ada"), record("ben", override=EXCUSED), zoe,
        record("eve", *marks, mark(3, extra=True), points=POINTS - 3),
    )  # fmt: skip
    (tmp_path / "results.json").write_text(results.as_json(made))
    return tmp_path / "results.json"


def test_canvas_has_a_word_for_excused(graded, tmp_path):
    head = "Student,ID,SIS User ID,SIS Login ID,Section,HW05 (1)\n    Points Possible,,,,,14.00\n"
    book = tmp_path / "book.csv"
    book.write_text(head + ",1,ada,,,\n,2,ben,,,\n,3,zoe,,,\n,4,eve,,,\n")
    told = export(graded, "canvas", tmp_path / "upload.csv", "--gradebook", book)
    assert "ben: excused, EX in Canvas" in told
    text = (tmp_path / "upload.csv").read_text()
    marks = {row["SIS User ID"]: row["HW05 (1)"] for row in csv.DictReader(io.StringIO(text))}
    # zoe has all that was left to reach; eve has 7 of 4.
    assert marks == {"": "14.00", "ada": "14", "ben": "EX", "zoe": "14", "eve": "24.5"}
    again = export(graded, "canvas", tmp_path / "again.csv", "--gradebook", tmp_path / "upload.csv")
    assert "kept as they were" not in again
    book.write_text(head + ",2,ben,,,5\n,1,ada,,,EX\n")
    kept = export(graded, "canvas", tmp_path / "kept.csv", "--gradebook", book)
    assert "ben (5)" in kept and "ada (EX)" in kept


def test_the_column_is_that_of_the_course_file(graded, tmp_path):
    book = tmp_path / "book.csv"
    head = "Student,ID,SIS User ID,SIS Login ID,Section,HW05 (1),HW06 (2)\n"
    book.write_text(f"{head}    Points Possible,,,,,7,7\n,1,ada,,,,\n")
    (tmp_path / "course.toml").write_text('[lessons.05]\ncolumn = "HW05"\n')
    out = tmp_path / "upload.csv"
    assert rlcourse("export", graded, "--to", "canvas", "--out", out, "--gradebook", book).returncode  # fmt: skip
    export(graded, "canvas", out, "--gradebook", book, "--course", tmp_path)
    assert "HW05" in out.read_text() and "HW06" not in out.read_text()
    export(graded, "canvas", out, "--gradebook", book, "--course", tmp_path, "--column", "HW06")
    assert "HW06" in out.read_text()  # the command line wins


def test_others_leave_the_excused_out_or_say_so(graded, tmp_path):
    assert "ben: excused, no mark" in export(graded, "gradescope", tmp_path / "gradescope")
    assert {p.name for p in (tmp_path / "gradescope").iterdir()} == {"ada", "zoe", "eve"}
    export(graded, "moodle", tmp_path / "moodle.csv")
    assert "ben" not in (tmp_path / "moodle.csv").read_text()
    export(graded, "junit", tmp_path / "marks.xml")
    suites = {suite.get("name"): suite for suite in ET.parse(tmp_path / "marks.xml").getroot()}
    assert any("excused" in skipped.get("message") for skipped in suites["ben"].iter("skipped"))
    assert suites["ben"].get("tests") == "1" and suites["ada"].get("tests") == "4"
