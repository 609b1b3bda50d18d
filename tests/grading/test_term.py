"""A whole term: lessons found in the notebooks, graded by the course file, put into one grade book."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import datetime

import pytest
from made_up_class import mark, record, result, unreadable
from submitting import notebook

from rlcourse import cli
from rlcourse.grading import anonymous, results, term
from rlcourse.grading.compare import as_csv, changes_of, compare
from rlcourse.grading.course_file import CourseFile, LessonRules
from rlcourse.grading.gradebook import Cell, gradebook, page, read, total
from rlcourse.grading.gradebook import as_csv as book_as_csv
from rlcourse.grading.submissions import collect
from rlcourse.lessons.paths import UsageError


def small(lesson=None, *sources):
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": s} for s in sources]
    metadata = {"rlcourse": {"lesson": lesson}} if lesson else {}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


SARSA, RETURN = "def sarsa(*given):\n    return 0", "def discounted_return(*given):\n    return 0"


# ----------------------------------------------------------------------- which lesson it is


@pytest.mark.parametrize(
    ("text", "name", "lesson"),
    [
        (small("05"), "hw.ipynb", "05"),
        (small("05"), "04_renamed.ipynb", "05"),  # what it says itself comes first
        (small(None, SARSA), "hw.ipynb", "05"),
        (small(None, "x = 1"), "06_topic.ipynb", "06"),
        (small(None, "x = 1"), "hw.ipynb", None),
        (small("77", SARSA), "hw.ipynb", "05"),
        ("not JSON", "05_topic.ipynb", "05"),
        ("not JSON", "hw.ipynb", None),
        ("not JSON", "99_topic.ipynb", None),
    ],
)
def test_which_lesson_a_notebook_is(text, name, lesson):
    assert term.lesson_in(text.encode(), name) == lesson


def test_the_lessons_among_what_was_handed_in(tmp_path):
    files = {
        "jane/05_a.ipynb": small("05"), "jane/01_a.ipynb": small("01"), "ben/hw.ipynb": small("01"),
        "ben/notes.txt": "x", "zoe/other.ipynb": small(None, "x = 1"), "zoe/05_b.ipynb": "{",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = term.lessons_among(tmp_path)
    assert found.files == {"01": {"jane/01_a.ipynb", "ben/hw.ipynb"}, "05": {"jane/05_a.ipynb", "zoe/05_b.ipynb"}}  # fmt: skip
    assert found.strays == ["ben/notes.txt", "zoe/other.ipynb"]
    first = collect(tmp_path, "01", only=found.files["01"])
    assert [(s.student, s.file) for s in first] == [("ben", "ben/hw.ipynb"), ("jane", "jane/01_a.ipynb")]  # fmt: skip
    (tmp_path / "eve").mkdir()
    assert term.lessons_among(tmp_path).strays[1] == "eve/"
    (tmp_path / "zoe" / "05_b.ipynb").unlink()
    with pytest.raises(UsageError, match="No notebook"):
        term.lessons_among(tmp_path / "zoe")


# ---------------------------------------------------------------------------- late days in order


def due(day):
    return LessonRules(deadline=datetime(2026, 11, day, 23, 59))


def test_late_days_are_spent_in_the_order_of_the_deadlines(tmp_path):
    course = CourseFile(late_days=3, lessons={"04": due(20), "05": due(13), "06": due(27)})
    assert term.in_order(["00", "04", "05", "06"], course) == ["05", "04", "06", "00"]
    (tmp_path / "05").mkdir()
    graded = result(record("jane", free_late_days=2), record("ben"))
    (tmp_path / "05" / "results.json").write_text(results.as_json(graded))
    days, notes = term.spent(course, "06", tmp_path)
    assert days["jane"] == 2 and days.get("ben", 0) == 0
    assert len(notes) == 1 and "lesson 04" in notes[0]
    assert term.spent(course, "05", tmp_path) == ({}, [])
    assert term.spent(CourseFile(lessons=course.lessons), "06", tmp_path) == ({}, [])


# ------------------------------------------------------------------------------- the grade book


def lesson(number, *records):
    return result(*records) | {"lesson": number, "title": f"Lesson <{number}>"}


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def excused(student):
    told = {"excused": True, "before": 0, "reason": "ill", "who": "rb", "when": ""}
    return record(student, override=told)


TERM = {
    "04": lesson("04", record("jane", score=7), record("ben", score=3.5), excused("zoe")),
    "05": lesson("05", record("jane", score=0), record("zoe", score=7), unreadable("eve")),
}


def test_a_row_a_student():
    course = CourseFile(name="RL", term="2026", lessons={"05": LessonRules(weight=3)})
    book = gradebook(TERM, course)
    rows = {row.student: row for row in book.rows}
    assert [*rows] == ["ben", "eve", "jane", "zoe"]
    assert rows["jane"].percent == pytest.approx(100 * (1 * 1 + 3 * 0) / 4)
    assert rows["ben"].percent == pytest.approx(100 * 0.5 / 4)  # nothing in lesson 05
    assert rows["zoe"].percent == pytest.approx(100)  # excused from lesson 04
    assert rows["eve"].percent == 0 and rows["ben"].cells["05"].why == "no submission"
    assert book.title == "RL · 2026"


def test_the_total_is_the_weighted_mean():
    cells = {"04": Cell(3, 4), "05": Cell(2, 8), "06": Cell(9, 8)}
    assert total(cells, dict.fromkeys(cells, 1)) == pytest.approx(100 * (0.75 + 0.25 + 1.125) / 3)
    assert total(cells, {"04": 2, "05": 0, "06": 1}) == pytest.approx(100 * (1.5 + 1.125) / 3)
    assert total({"04": Cell(0, 4, "excused")}, {"04": 1}) is None
    assert total({"04": Cell(0, 0)}, {"04": 1}) is None  # excused from all its exercises


def test_without_a_mark_there_is_no_total():
    broken = record("jane", state="grader failed", reason="x", score=0)
    book = gradebook({"04": lesson("04", broken, record("ben"))}, CourseFile())
    rows = {row.student: row for row in book.rows}
    assert rows["jane"].percent is None and rows["jane"].lacks_mark and rows["ben"].percent == 100
    assert "jane: no total" in book.notes[0]
    (_, line) = rows_of(book_as_csv(book))
    assert line["lesson 04"] == line["percent"] == ""


def test_more_free_days_than_there_are():
    """Lesson 04 was graded again, and took days that lesson 05 had taken."""
    graded = {n: lesson(n, record("jane", free_late_days=2), record("ben")) for n in ("04", "05")}
    (note,) = gradebook(graded, CourseFile(late_days=3)).notes
    assert "jane: 4 free late days" in note and "3 in the term" in note
    assert gradebook(graded, CourseFile(late_days=4)).notes == []


def test_the_table_and_the_page():
    hand = {"points": 1, "before": 7, "reason": "agreed", "who": "rb", "when": ""}
    graded = TERM | {"06": lesson("06", record("=cmd()", override=hand, score=1))}
    graded["06"]["submissions"][0]["name"] = "<b>Jane</b>"
    book = gradebook(graded, CourseFile())
    rows = {row["student"]: row for row in rows_of(book_as_csv(book))}
    assert rows["'=cmd()"]["lesson 06"] == "1" and "agreed" in rows["'=cmd()"]["by hand"]
    assert rows["zoe"]["lesson 04"] == "excused" and rows["ben"]["lesson 05"] == "no submission"
    text = page(book)
    assert "&lt;b&gt;Jane" in text and "<b>Jane" not in text and "Lesson &lt;04&gt;" in text
    assert ">1*<" in text and ">ex<" in text and ">–<" in text


def test_students_who_are_on_the_list_only(tmp_path):
    (tmp_path / "class.csv").write_text("id,name,email\njane,Jane Doe,j@x.edu\nann,Ann Lee,\n")
    book = gradebook(TERM, CourseFile(students=tmp_path / "class.csv"))
    ann = next(row for row in book.rows if row.student == "ann")
    assert (ann.name, ann.percent) == ("Ann Lee", 0) and book.notes == []


def test_results_are_read_from_folders_of_folders(tmp_path):
    for number, graded in TERM.items():
        (tmp_path / number).mkdir()
        (tmp_path / number / "results.json").write_text(results.as_json(graded))
    assert [*read([tmp_path])] == ["04", "05"] == [*read([tmp_path / "05", tmp_path / "04"])]
    with pytest.raises(UsageError, match="both results of lesson 04"):
        read([tmp_path, tmp_path / "04"])
    with pytest.raises(UsageError, match="There is no"):
        read([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no results"):
        read([tmp_path / "empty"])


# ------------------------------------------------------------------------------------- compare


def only(old, new):
    (change,) = changes_of(result(old), result(new))
    return change


def test_nothing_changed():
    assert changes_of(TERM["05"], TERM["05"]) == []


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (record("jane", mark(0), mark(1), mark(2), mark(3, "failed", mistake="sign")), "sarsa: 3 (passed), now 0 (sign, the same answer on the same inputs: the course judges otherwise)"),
        (record("jane", mark(0), mark(1), mark(2), mark(3, "failed", source="x")), "sarsa: 3 (passed), now 0 (wrong values, the answer is another)"),
        (record("jane", mark(0), mark(1), mark(2), mark(3, "failed"), seed=[4, 3, 2, 1]), "sarsa: 3 (passed), now 0 (wrong values, the same answer on other inputs)"),
        (record("jane", score=6.3, late_days=1, penalty=0.7), "days late: 0, now 1; penalty for lateness: 0, now 0.7"),
        (record("jane", mark(0), mark(1), mark(2)), "sarsa does not count any more"),
        (record("jane", mark(0), mark(1), mark(2), mark(3, extra=True), points=4), "sarsa: worth 3, now 3 extra"),
        (record("jane", file="other.ipynb", score=1), "another file counts: 'other.ipynb', not 'jane.ipynb'"),
        (unreadable("jane"), "graded, now unreadable (the file is empty)"),
        (excused("jane"), "the lesson: excused, ill"),
        (record("jane", score=1, override={"points": 1, "before": 7, "reason": "agreed", "who": "", "when": ""}), "the lesson: given by hand: 1, agreed"),
    ],
)  # fmt: skip
def test_why_a_mark_changed(new, said):
    change = only(record("jane"), new)
    assert said in "; ".join(change.reasons)
    back = only(new, record("jane"))
    assert (back.old, back.new) == (change.new, change.old) and back.reasons


def test_students_who_come_and_go():
    gone, come = changes_of(result(record("ann")), result(record("ben")))
    assert (gone.student, gone.new) == ("ann", "no submission") and "any more" in gone.reasons[0]
    assert (come.student, come.old) == ("ben", "no submission") and "not there before" in come.reasons[0]  # fmt: skip


def test_the_command_compares(tmp_path, capsys):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, records in ((old, [record("jane")]), (new, [record("jane", score=5)])):
        folder.mkdir()
        (folder / "results.json").write_text(results.as_json(result(*records)))
    with pytest.raises(SystemExit) as left:
        cli.main(["compare", str(old), str(new), "--out", str(tmp_path / "changes.csv")])
    assert left.value.code == 1
    assert "jane: 7 of 7, now 5 of 7" in capsys.readouterr().out
    (row,) = rows_of((tmp_path / "changes.csv").read_text())
    assert (row["student"], row["old"], row["new"]) == ("jane", "7 of 7", "5 of 7")
    with pytest.raises(SystemExit) as left:
        cli.main(["compare", str(old), str(old)])
    assert left.value.code == 0 and "No mark differs." in capsys.readouterr().out
    (new / "results.json").write_text(results.as_json(lesson("06", record("jane"))))
    with pytest.raises(UsageError, match="same lesson"):
        compare(old, new)
    assert as_csv([]).strip() == "lesson,student,old,new,why"


# ----------------------------------------------------------------------------- all of it at once

COURSE = """
name = "Reinforcement learning"
term = "Winter"
students = "class.csv"
groups = "groups.csv"
overrides = "overrides.csv"
results = "graded"
anonymous = true
penalty = 10

[lessons.05]
deadline = "2026-11-20 23:59"
exercises = ["5.1", "5.2", "sarsa"]
extra = ["sarsa"]
weight = 2

[extensions.zoe]
05 = 7
"""


@pytest.mark.full
def test_a_term_by_its_course_file(tmp_path, monkeypatch, capsys):
    """Two lessons, a group, an extension, a lesson in part, marks by hand, and then a second run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "course.toml").write_text(COURSE)
    (tmp_path / "class.csv").write_text("id,name,email\njane,Jane Doe,\nben,Ben Roe,\nzoe,Zoe Zhu,\nann,Ann Lee,\n")  # fmt: skip
    (tmp_path / "groups.csv").write_text("group,student\nred,jane\nred,ben\n")
    head = "student,exercise,points,reason,who,when\n"
    (tmp_path / "overrides.csv").write_text(f"{head}ben,5.1,0,copied,rb,today\nann,05,excused,ill,rb,today\n")  # fmt: skip
    handed = {"red/hw.ipynb": notebook(), "zoe/hw.ipynb": notebook(sarsa=None), "zoe/01.ipynb": small("01", RETURN)}  # fmt: skip
    late = datetime(2026, 11, 22, 12, 0).timestamp()
    for name, text in handed.items():
        path = tmp_path / "submissions" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (late, late))
    command = ["grade", "all", "submissions", "--secret", "word", "--seconds", "5"]
    with pytest.raises(SystemExit) as left:
        cli.main(command)
    assert left.value.code == 0, capsys.readouterr().err
    graded = results.read(tmp_path / "graded" / "05")
    records = {r["student"]: r for r in graded["submissions"]}
    assert [*records] == ["ann", "ben", "jane", "zoe"]
    two = records["jane"]["points"]
    assert [m["name"] for m in records["jane"]["exercises"]][-1] == "sarsa"
    full = sum(m["points"] for m in records["jane"]["exercises"])
    assert (
        records["jane"]["score"] == pytest.approx(full * 0.8) and records["jane"]["late_days"] == 2
    )
    assert (records["zoe"]["score"], records["zoe"]["late_days"]) == (two, 0)
    first = records["ben"]["exercises"][0]
    assert first["score"] == 0 and first["override"]["before"] == first["points"]
    assert records["ben"]["score"] == pytest.approx(full * 0.8 - first["points"])
    assert results.is_excused(records["ann"]) and records["ann"]["state"] == "no submission"
    assert graded["course"] == {"name": "Reinforcement learning", "term": "Winter"}
    rows = {row["student"]: row for row in rows_of((tmp_path / "graded" / "gradebook.csv").read_text())}  # fmt: skip
    assert rows["ann"]["lesson 05"] == "excused" and rows["zoe"]["lesson 01"] == "0"
    zoe = anonymous.id_of("word", "zoe")
    marking = (tmp_path / "graded" / "05" / "marking" / f"{zoe}.html").read_text()
    report = (tmp_path / "graded" / "05" / "report.html").read_text()
    assert (
        "zoe" not in marking.casefold() and "Jane Doe" not in report and "Reinforcement" in report
    )

    # Marks given by hand outlive a run, and handing on waits for one when they change.
    (tmp_path / "overrides.csv").write_text(f"{head}ben,05,3,agreed,rb,today\n")
    with pytest.raises(SystemExit) as left:
        cli.main(["export", "graded/05", "--to", "junit", "--out", "marks.xml"])
    assert left.value.code == 2 and "--resume" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        cli.main([*command, "--resume", "--with-names"])
    assert left.value.code == 0
    again = {r["student"]: r for r in results.read(tmp_path / "graded" / "05")["submissions"]}
    assert again["ben"]["score"] == 3 and again["jane"] == {k: v for k, v in records["jane"].items() if k != "anonymous"}  # fmt: skip
    assert "ann" not in again and not list((tmp_path / "graded" / "05" / "marking").iterdir())
    (tmp_path / "course.toml").write_text(COURSE.replace('overrides = "overrides.csv"\n', ""))
    with pytest.raises(SystemExit) as left:
        cli.main([*command, "--resume"])
    kept = {r["student"]: r for r in results.read(tmp_path / "graded" / "05")["submissions"]}
    assert kept["ben"]["score"] == 3 and "kept from the results" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        cli.main(["export", "graded/05", "--to", "junit", "--out", "marks.xml"])
    assert left.value.code == 0
