"""course.toml: what it says is done, what cannot be used is refused with a sentence, options win."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from rlcourse import checker
from rlcourse.grading.course_file import KEYS, LESSON_KEYS, CourseFile, find, read_course
from rlcourse.grading.rules import Rules
from rlcourse.grading.submissions import Submission
from rlcourse.lessons.paths import UsageError

BERLIN = ZoneInfo("Europe/Berlin")

WHOLE = """
name = "Reinforcement learning"
term = "Winter 2026/27"
zone = "Europe/Berlin"
students = "class.csv"
groups = "groups.csv"
overrides = "overrides.csv"
results = "graded"
secret_env = "OUR_SECRET"
anonymous = true
penalty = 10
grace = 15
attempts = "best"
late_days = 4

[lessons.04]
deadline = 2026-11-13T23:59:00

[lessons.05]
deadline = 2026-11-20T23:59:00
penalty = 20
grace = 0
attempts = "last"
exercises = ["5.1", "sarsa", "q_learning"]
extra = ["q_learning"]
weight = 2
column = "HW05"

[extensions.jane]
05 = 2026-11-27T23:59:00
04 = 2

[extensions.ben]
all = 1
"""


def written(folder, text, **files):
    files = {"class": "id,name,email\njane,Jane Doe,\nben,Ben Roe,\nzoe,Zoe Zhu,\n", "groups": "group,student\nred,jane\nred,ben\n", "overrides": "student,exercise,points,reason\n"} | files  # fmt: skip
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")
    path = folder / "course.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def course(tmp_path):
    return read_course(written(tmp_path, WHOLE))


def test_every_key_is_read(course, tmp_path):
    """All keys stand in the example, so that none is read and forgotten."""
    for key in {*KEYS} - {"exercise_files"}:
        assert f"\n{key} = " in WHOLE or f"[{key}." in WHOLE, key
    for key in LESSON_KEYS:
        assert f"\n{key} = " in WHOLE.partition("[lessons.05]")[2], key
    assert (course.name, course.term, course.zone) == (
        "Reinforcement learning",
        "Winter 2026/27",
        BERLIN,
    )
    assert course.students == tmp_path / "class.csv" and course.results == tmp_path / "graded"
    own = course.lesson("05")
    assert (own.weight, own.column, course.lesson("04").weight) == (2, "HW05", 1)
    assert course.lesson("06") == type(own)()


def test_a_lesson_s_rules_come_before_the_course_s(course):
    first, second = course.rules("04"), course.rules("05")
    assert (first.penalty, first.grace, first.attempts) == (10, timedelta(minutes=15), "best")
    assert (second.penalty, second.grace, second.attempts) == (20, timedelta(), "last")
    assert second.deadline == datetime(2026, 11, 20, 23, 59, tzinfo=BERLIN)
    assert first.late_days == 4 and course.rules("06").deadline is None


def test_options_come_before_the_file(course):
    given = course.rules("05", deadline=datetime(2026, 12, 1, 12, 0), penalty=0.0, attempts="best")
    assert given.deadline == datetime(2026, 12, 1, 12, 0, tzinfo=BERLIN)  # in the course's zone
    assert (given.penalty, given.attempts) == (0.0, "best")
    abroad = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
    assert course.rules("05", deadline=abroad).deadline == abroad


def test_options_for_files_come_before_it(course, tmp_path):
    agreed = course.terms("05")
    assert agreed["students"] == tmp_path / "class.csv" and agreed["assignment"].anonymous
    assert agreed["course_named"] == {"name": "Reinforcement learning", "term": "Winter 2026/27"}
    (tmp_path / "others.csv").write_text("id,name,email\njane,Jane,\nben,Ben,\n")
    (tmp_path / "hand.csv").write_text("student,exercise,points,reason\njane,05,1,x\n")
    given = {"students": tmp_path / "others.csv", "overrides": tmp_path / "hand.csv", "anonymous": False}  # fmt: skip
    agreed = course.terms("05", **given)
    assert agreed["students"] == tmp_path / "others.csv" and not agreed["assignment"].anonymous
    assert [o.points for o in agreed["assignment"].overrides] == [1]
    assert CourseFile().terms("05")["course_named"] is None


def test_extensions(course):
    assert course.rules("05").extensions == {
        "jane": datetime(2026, 11, 27, 23, 59, tzinfo=BERLIN),
        "ben": datetime(2026, 11, 21, 23, 59, tzinfo=BERLIN),
    }
    assert course.rules("04").extensions["jane"] == datetime(2026, 11, 15, 23, 59, tzinfo=BERLIN)
    assert course.rules("06").extensions == {}  # without a deadline nothing can be later


def test_what_is_asked(course):
    asked = course.assignment("05", course.roster())
    assert asked.exercises == (checker.names("05")[0], "sarsa", "q_learning")
    assert asked.extra == ("q_learning",) and asked.anonymous
    assert asked.groups.members == {"red": ("jane", "ben")} and asked.overrides == ()


def test_which_lessons_were_due_before(course):
    assert course.before("05") == ("04",) and course.before("04") == () == course.before("06")


def test_the_secret_is_in_the_environment(course, monkeypatch):
    monkeypatch.delenv("OUR_SECRET", raising=False)
    with pytest.raises(UsageError, match="OUR_SECRET, which is not set"):
        course.secret()
    monkeypatch.setenv("OUR_SECRET", "word")
    assert course.secret() == "word"
    assert CourseFile().secret() is None


def test_nothing_is_needed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find(None) == CourseFile() and CourseFile().rules("05") == Rules()
    assert read_course(written(tmp_path, "")).rules("05") == Rules()
    written(tmp_path, 'name = "Ours"')
    assert find(None).name == "Ours"  # the one of this folder


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('nmae = "x"', ['no key "nmae"', 'did you mean "name"?']),
        ("[lessons.05]\ndedline = 2026-11-20T23:59:00", ['no key "dedline" in [lessons.05]', '"deadline"?']),
        ("colour = 1", ['no key "colour"', "there are name, term"]),
        ("name = 3", ["name is 3", "a text in quotes"]),
        ("penalty = \"ten\"", ['penalty is "ten"', "0 to 100"]),
        ("penalty = 101", ["penalty is 101", "0 to 100"]),
        ("penalty = true", ["penalty is true"]),
        ("penalty = nan", ["penalty is nan"]),
        ("[lessons.05]\ngrace = -1", ["grace in [lessons.05] is -1", "minutes"]),
        ("late_days = 1.5", ["late_days is 1.5", "whole number"]),
        ('attempts = "first"', ['attempts is "first"', '"last" or "best"']),
        ('anonymous = "yes"', ['anonymous is "yes"', "true or false"]),
        ('zone = "Berlin"', ['zone is "Berlin"', "Europe/Berlin", "tzdata"]),
        ('zone = "../etc"', ['zone is "../etc"']),
        ("[lessons.05]\ndeadline = 2026-11-20", ["deadline in [lessons.05] is 2026-11-20", "day and time"]),
        ('[lessons.05]\ndeadline = "soon"', ['deadline in [lessons.05] is "soon"', "2026-11-20T23:59:00"]),
        ("[lessons.05]\ndeadline = 5", ["deadline in [lessons.05] is 5"]),
        ("[lessons.05]\ndeadline = 2026-13-20T23:59:00", ["is not TOML", "line 2"]),
        ('zone = "Europe/Berlin"\n[lessons.05]\ndeadline = 2026-03-29T02:30:00', ["deadline in [lessons.05]", "does not exist"]),
        ("[lessons.77]\nweight = 1", ['no lesson "77"']),
        ("[lessons]\n05 = 3", ["05 in [lessons] is 3", "a table"]),
        ("lessons = 3", ["lessons is 3", "tables"]),
        ("[lessons.05]\nweight = 1\n[lessons.5]\nweight = 1", ["lesson 05 stands twice"]),
        ('[lessons.05]\nexercises = ["sarza"]', ["exercises in [lessons.05]", '"sarza"', 'did you mean "sarsa"?']),
        ('[lessons.05]\nexercises = ["5.99"]', ['"5.99"']),
        ('[lessons.05]\nexercises = "sarsa"', ['exercises in [lessons.05] is "sarsa"', "a list"]),
        ("[lessons.05]\nexercises = []", ["exercises in [lessons.05] is []"]),
        ('[lessons.05]\nexercises = ["sarsa"]\nextra = ["5.6"]', ["no exercise that counts"]),
        ('students = "nowhere.csv"', ["students: there is no file", "nowhere.csv"]),
        ('students = "class.csv"\n[extensions.jan]\n05 = 1', ["no student has the id 'jan'", 'did you mean "jane"?']),
        ("[extensions]\njane = 3", ["jane in [extensions] is 3"]),
        ("[extensions.jane]\n05 = 0", ["05 in [extensions.jane] is 0", "or days"]),
        ("[extensions.jane]\n05 = true", ["05 in [extensions.jane] is true"]),
        ("[extensions.jane]\n77 = 1", ['no lesson "77"']),
        ("[extensions.jane]\nall = 2026-11-20T23:59:00", ["all in [extensions.jane]", "for one lesson"]),
        ('zone = "Europe/Berlin"\n[lessons.05]\ndeadline = 2026-10-24T02:30:00\n[extensions.jane]\n05 = 1', ["comes twice"]),
        ("name = ", ["is not TOML", "in quotes"]),
        ('exercise_files = ["nowhere.py"]', ["exercise_files: there is no file"]),
    ],
)  # fmt: skip
def test_every_mistake_is_named(tmp_path, text, said):
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as refused:
        read_course(path)
    told = str(refused.value)
    assert told.startswith(str(path)) and "\n" not in told
    assert all(word in told for word in said), told


def test_files_that_are_none(tmp_path):
    with pytest.raises(UsageError, match="Cannot read"):
        read_course(tmp_path / "nowhere.toml")
    (tmp_path / "course.toml").write_bytes(b'name = "Zo\xeb"')
    with pytest.raises(UsageError, match="not in UTF-8"):
        read_course(tmp_path)
    (tmp_path / "course.toml").write_bytes('\ufeffname = "Zoë"'.encode())
    assert read_course(tmp_path).name == "Zoë"


# ------------------------------------------------------------------------------- late days, grace

DUE = datetime(2026, 11, 20, 23, 59, tzinfo=BERLIN)


def late(rules, days, score=8.0):
    submission = Submission("jane", "hw.ipynb", b"", time=DUE.timestamp() + days * 86_400)
    record = {"student": "jane", "file": "hw.ipynb", "state": "graded", "score": score, "notes": []}
    (found,) = rules.apply([submission], [record])
    return found


@pytest.mark.parametrize(("minutes", "days"), [(-1, 0), (15, 0), (15.1, 1), (24 * 60, 1), (24 * 60 + 1, 2)])  # fmt: skip
def test_grace_forgives_minutes_and_no_day(minutes, days):
    rules = Rules(DUE, 10.0, grace=timedelta(minutes=15))
    assert late(rules, minutes / (24 * 60))["late_days"] == days


@pytest.mark.parametrize(
    ("days", "spent", "free", "penalty"),
    [(1, 0, 1, 0), (3, 0, 3, 0), (4, 0, 3, 0.8), (2, 2, 1, 0.8), (2, 3, 0, 1.6), (2, 9, 0, 1.6)],
)
def test_late_days_are_spent_before_points(days, spent, free, penalty):
    record = late(Rules(DUE, 10.0, late_days=3, spent={"jane": spent}), days)
    assert record.get("free_late_days", 0) == free
    assert record["penalty"] == pytest.approx(penalty)
    assert record["score"] == pytest.approx(8 - penalty)


def test_a_late_day_is_not_spent_on_nothing():
    assert "free_late_days" not in late(Rules(DUE, 10.0, late_days=3), 2, score=0)


def test_an_extension_is_a_deadline_of_one_s_own():
    rules = Rules(DUE, 10.0, extensions={"jane": DUE + timedelta(days=7)})
    assert late(rules, 7)["late_days"] == 0 and late(rules, 8)["late_days"] == 1
    assert "extended to 2026-11-27 23:59" in late(rules, 8)["notes"][-1]
    without = Rules(None, 10.0, extensions={"ben": DUE})
    assert "late_days" not in late(without, 9)
