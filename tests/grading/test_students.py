"""Whose file is whose, until when, and which attempt counts."""

from __future__ import annotations

import json
import os
import time
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from submitting import LOST, POINTS, notebook, target

from rlcourse.grading.command import grade
from rlcourse.grading.rules import BEST, Rules
from rlcourse.grading.students import Roster, Student, read_roster
from rlcourse.grading.submissions import Submission, collect
from rlcourse.lessons.paths import UsageError

CLASS = Roster(
    [
        Student("4711", "Jane Doe", "jane.doe@uni.edu"),
        Student("4712", "Ben Ørsted", "b.orsted@uni.edu"),
        Student("4713", "María del Carmen López", "lopez@uni.edu"),
        Student("4714", "李 小龙", "bruce@uni.edu"),
        Student("4715", "Smith, Anna", "asmith@uni.edu"),
        Student("4716", "John Smith", "jsmith@uni.edu"),
        Student("90210", "Anna Smith", "anna2@uni.edu"),
    ]
)


@pytest.mark.parametrize(
    ("name", "id"),
    [
        # Canvas: the sorted name squeezed, the person's number, the file's number, the file
        ("doejane_55555_98765_05_control", "4711"),
        ("doejane_LATE_55555_98765_05_control-1", "4711"),
        ("lopezmariadelcarmen_1_2_hw", "4713"),
        ("lopezdelcarmenmaria_1_2_hw", None),  # no way to write that name
        ("lopezmariadelcarmen_4713_2_hw", "4713"),
        ("delcarmenlopezmaria_1_2_hw", "4713"),
        ("nobody_4716_3_hw", "4716"),
        ("smithanna_90210_3_hw", "90210"),  # two of that name, and the number decides
        ("smithanna_77_3_hw", None),
        # Moodle: the full name, the submission's number
        ("Jane Doe_1234567_assignsubmission_file_", "4711"),
        ("María del Carmen López_99_assignsubmission_file_", "4713"),
        ("李 小龙_99_assignsubmission_file_", "4714"),
        ("Anna Smith_99_assignsubmission_file_", None),
        ("Jim Doe_4711_assignsubmission_file_", None),  # Moodle's number is no id
        # names of one's own choice
        ("4711", "4711"),
        ("4711_homework", "4711"),
        ("homework 5 jane.doe@uni.edu", "4711"),
        ("jsmith-lesson05", "4716"),
        ("Doe, Jane", "4711"),
        ("JANE-DOE", "4711"),
        ("jane", None),
        ("47110", None),
        ("Jane Doe and John Smith", None),
        ("", None),
    ],
)
def test_whose_file_it_is(name, id):
    found = CLASS.find(name)
    assert (found and found.id) == id


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,email\n1,a@b\n", "name"),
        ("id,name\n", "lists no students"),
        ("id,name\n1,A\n1,B\n", "twice"),
        ("", "id"),
    ],
)
def test_a_list_that_cannot_be_used(tmp_path, text, said):
    (tmp_path / "class.csv").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_roster(tmp_path / "class.csv")


def test_a_list_as_spreadsheets_write_it(tmp_path):
    (tmp_path / "class.csv").write_text(
        "\ufeffEmail;ID;Name\n jane@uni.edu ;4711;Jane Doe\n;;\n", "utf-8"
    )
    roster = read_roster(tmp_path / "class.csv")
    assert roster.students == {"4711": Student("4711", "Jane Doe", "jane@uni.edu")}


# --------------------------------------------------------------------------------- late and again

DEADLINE = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)


def late(seconds, penalty=10.0, score=8.0):
    time = None if seconds is None else DEADLINE.timestamp() + seconds
    record = {"student": "a", "file": "a.ipynb", "score": score, "notes": []}
    submission = Submission("a", "a.ipynb", b"", time=time)
    (found,) = Rules(DEADLINE, penalty).apply([submission], [record])
    return found


@pytest.mark.parametrize(
    ("seconds", "days", "penalty"),
    [
        (-1, 0, 0), (0, 0, 0), (1, 1, 0.8), (86_400, 1, 0.8), (86_401, 2, 1.6), (20 * 86_400, 20, 8.0),
    ],
)  # fmt: skip
def test_every_day_begun_costs(seconds, days, penalty):
    record = late(seconds)
    assert (record["late_days"], record["penalty"], record["score"]) == (days, penalty, 8 - penalty)
    assert bool(record["notes"]) == bool(days)


def test_an_unknown_time_is_told_and_costs_nothing():
    record = late(None)
    assert record["score"] == 8 and "not known" in record["notes"][0]
    assert "late_days" not in record


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (
            ["doejane_55_1_hw.ipynb", "doejane_55_2_hw-1.ipynb", "roeben_LATE_56_3_hw.ipynb"],
            ["doejane_55", "roeben_56"],
        ),
        (
            ["Jane Doe_77_assignsubmission_file_/hw.ipynb",
             "Jane Doe_77_assignsubmission_onlinetext_/onlinetext.html",
             "Jane Doe_78_assignsubmission_file_/hw.ipynb"],
            ["Jane Doe_77", "Jane Doe_78"],
        ),
        (
            ["doejane_55_1_hw.ipynb", "doejane_55_2_hw.ipynb", "ben.ipynb"],  # somebody's own choice
            ["ben", "doejane_55_1_hw", "doejane_55_2_hw"],
        ),
    ],
    ids=["canvas", "moodle", "neither"],
)  # fmt: skip
def test_a_platform_says_who_it_is_without_a_list(tmp_path, files, found):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    submissions = collect(tmp_path, "05")
    assert [s.student for s in submissions] == found
    assert all(s.data is not None for s in submissions)


CANVAS_FILES = ("doejane_55_1_hw.ipynb", "roeben_LATE_56_2_hw.ipynb")


def judged(files, deadline=DEADLINE, clock="", seconds=5 * 86_400):
    when = deadline.timestamp() + seconds
    found = [Submission(f, f, b"", time=when, clock=clock) for f in files]
    records = [{"student": f, "file": f, "score": 8.0, "notes": []} for f in files]
    return Rules(deadline, 10.0).apply(found, records)


def test_canvas_says_itself_who_was_late():
    """The files bear the time of the download, five days after the deadline."""
    jane, ben = judged(CANVAS_FILES)
    assert (jane["late_days"], jane["score"], jane["notes"]) == (0, 8.0, [])
    assert ben["score"] == 8.0 and "late_days" not in ben
    assert ben["notes"] == ["Canvas says that it came late, but not when: no points were taken off"]


def test_a_name_like_canvas_s_among_others_excuses_nobody():
    jane, _ = judged(("doejane_55_1_hw.ipynb", "ben.ipynb"))
    assert jane["late_days"] == 5


def test_by_whose_clock_somebody_was_late_is_said():
    (late,) = judged(["ben.ipynb"], clock="by a clock")
    assert late["notes"] == ["5 days late, by a clock"]


@pytest.fixture
def in_berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system cannot change its time zone")
@pytest.mark.parametrize(("hours", "days"), [(1, 1), (24.9, 1), (25, 1), (25.1, 2)])
def test_a_day_of_25_hours_is_one_day(in_berlin, hours, days):
    (late,) = judged(["a.ipynb"], datetime(2026, 10, 24, 23, 59), seconds=hours * 3600)
    assert late["late_days"] == days


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system cannot change its time zone")
@pytest.mark.parametrize(
    ("local", "said"),
    [
        (datetime(2026, 3, 29, 2, 30), ("does not exist", "01:30+01:00", "03:30+02:00")),
        (datetime(2026, 10, 25, 2, 30), ("comes twice", "02:30+02:00", "02:30+01:00")),
    ],
)
def test_a_deadline_in_the_night_of_the_clocks_is_refused(in_berlin, local, said):
    with pytest.raises(UsageError) as refused:
        Rules(local)
    assert all(word in str(refused.value) for word in said)
    Rules(local.replace(tzinfo=UTC))


def test_without_a_deadline_nothing_is_added():
    record = {"student": "a", "file": "a", "score": 8, "notes": []}
    assert Rules().apply([Submission("a", "a", b"")], [record]) == [record]


def test_attempts_are_ordered_as_people_count(tmp_path):
    names = ["hw.ipynb", "hw-1.ipynb", "hw-2.ipynb", "hw-10.ipynb"]
    (tmp_path / "anna").mkdir()
    for name in names:
        (tmp_path / "anna" / name).write_text("x")
    assert [s.file for s in collect(tmp_path, "05", every_attempt=True)] == [f"anna/{n}" for n in names]  # fmt: skip
    (last,) = collect(tmp_path, "05")
    assert last.file == "anna/hw-10.ipynb" and "hw-2.ipynb" in last.notes[0]


def test_the_best_attempt_counts_after_its_penalty():
    submissions = [
        Submission("a", f"{i}.ipynb", b"", time=DEADLINE.timestamp() + 86_400 * i) for i in range(3)
    ]
    records = [{"student": "a", "file": f"{i}.ipynb", "state": "graded", "score": s, "notes": []} for i, s in enumerate((7, 8, 8.5))]  # fmt: skip
    (best,) = Rules(DEADLINE, 10.0, BEST).apply(submissions, records)
    assert (best["file"], best["score"]) == ("1.ipynb", 7.2)
    assert "best of 3" in best["notes"][-1]


def test_a_class_with_all_of_it(tmp_path):
    """Canvas's and Moodle's names, two attempts, one late, one missing, one stranger; then in a zip."""
    folder = tmp_path / "class"
    good, bad = notebook(), target("return 0")
    files = {
        "doejane_55_1_hw.ipynb": (good, 0),
        "doejane_55_2_hw-1.ipynb": (bad, 0),
        "Ben Ørsted_77_assignsubmission_file_/hw.ipynb": (good, 30 * 3600),
        "stranger.ipynb": (bad, 0),
    }
    for name, (text, seconds) in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (DEADLINE.timestamp() + seconds,) * 2)
    roster = tmp_path / "class.csv"
    rows = ["id,name,email", "4711,Jane Doe,jane@uni.edu", "4712,Ben Ørsted,", "4713,Zoë Zhu,z@uni.edu"]  # fmt: skip
    roster.write_text("\n".join(rows), encoding="utf-8")
    rules = Rules(DEADLINE, 10.0, BEST)
    result = grade("05", folder, tmp_path / "out", students=roster, rules=rules, seconds=5)
    ben, jane, stranger = sorted(result["submissions"], key=lambda r: r.get("name", "~"))
    assert (jane["student"], jane["email"], jane["score"]) == ("4711", "jane@uni.edu", POINTS)
    assert jane["file"] == "doejane_55_1_hw.ipynb" and jane["late_days"] == 0
    assert (ben["student"], ben["late_days"]) == ("4712", 2) and "email" not in ben
    assert ben["score"] == pytest.approx(0.8 * POINTS) and ben["penalty"] == pytest.approx(0.2 * POINTS)  # fmt: skip
    assert stranger["score"] == LOST and "nobody on the list" in stranger["notes"][-1]
    assert result["missing"] == [{"id": "4713", "name": "Zoë Zhu", "email": "z@uni.edu"}]
    written = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert written == result
    # A zip keeps local times, in steps of two seconds.
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        for name in files:
            archive.write(folder / name, name)
    zipped = collect(tmp_path / "class.zip", "05", CLASS.id_of)
    times = {s.student: s.time for s in zipped}
    assert abs(times["4712"] - DEADLINE.timestamp() - 30 * 3600) <= 2


def test_results_with_all_of_it_keep_to_the_schema(tmp_path):
    from rlcourse.grading.results import read

    folder = tmp_path / "class"
    folder.mkdir()
    (folder / "jane.ipynb").write_text(target("return 0"))
    (tmp_path / "class.csv").write_text("id,name,email\n1,Jane,jane@uni.edu\n2,Ben,\n")
    rules = Rules(datetime.now() - timedelta(days=3), 5.0)
    result = grade("05", folder, tmp_path / "out", students=tmp_path / "class.csv", rules=rules)
    assert result["submissions"][0]["late_days"] in (3, 4)
    assert read(tmp_path / "out") == result
