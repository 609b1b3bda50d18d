"""Marks given by hand: read without guessing, applied last, kept."""

from __future__ import annotations

import re

import pytest
from made_up_class import EXERCISES, mark, record, result, unreadable

from rlcourse import checker
from rlcourse.grading import feedback, report, results
from rlcourse.grading.overrides import (
    Override,
    apply,
    kept,
    nothing_handed_in,
    read_overrides,
    sentence,
)
from rlcourse.lessons.paths import UsageError

HEAD = "student,exercise,points,reason,who,when\n"
BLANK = [mark(i, "not attempted", source="") for i in range(len(EXERCISES))]
POINTS = sum(points for _, points in EXERCISES)


def read(tmp_path, *rows, head=HEAD):
    path = tmp_path / "overrides.csv"
    path.write_text(head + "\n".join(rows), encoding="utf-8")
    return read_overrides(path, "05")


def by_hand(student, exercise, points, **more):
    return Override(student, "05", exercise, points, "a reason", "rb", "2026-11-24", **more)


def applied(records, *overrides, absent=lambda student: None):
    return apply(records, overrides, absent, BLANK)


def test_exercises_by_name_and_number_and_whole_lessons(tmp_path):
    number = {name: i for i, name in enumerate(checker.names("05"), start=1)}["sarsa"]
    found = read(
        tmp_path,
        "jane,sarsa,1.5,because,rb,2026-11-24",
        f"ben,5.{number},excused,ill,,",
        "zoe,05,7,agreed,,",
        "eve,5,Excused,ill,,",  # as a spreadsheet writes 05
        "ann,01,3,of another lesson,,",
    )
    told = [(o.student, o.exercise, o.points) for o in found]
    assert told == [("jane", "sarsa", 1.5), ("ben", "sarsa", None), ("zoe", "", 7.0), ("eve", "", None)]  # fmt: skip
    assert (found[0].reason, found[0].who, found[0].when) == ("because", "rb", "2026-11-24")


def test_the_later_row_counts(tmp_path):
    found = read(tmp_path, "jane,sarsa,1,first,,", "Jane,sarsa,2,second,,")
    assert [(o.points, o.reason) for o in found] == [(2.0, "second")]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("jane,sarza,1,x,,", ["row 2", '"sarza"', 'did you mean "sarsa"?']),
        ("jane,5.99,1,x,,", ["row 2", "5.99"]),
        ("jane,77,1,x,,", ["row 2", '"77"']),
        ("jane,sarsa,many,x,,", ["row 2", "'many'", '"excused"']),
        ("jane,sarsa,-1,x,,", ["'-1'"]),
        ("jane,sarsa,nan,x,,", ["'nan'"]),
        ("jane,sarsa,99,x,,", ["row 2", "is worth", "not 99"]),
        ("jane,sarsa,1,,,", ["row 2", "the column reason is empty"]),
        (",sarsa,1,x,,", ["the column student is empty"]),
        ("jane,,1,x,,", ["the column exercise is empty"]),
        ("jane,sarsa,,x,,", ["the column points is empty"]),
    ],
)
def test_every_mistake_is_named(tmp_path, row, said):
    with pytest.raises(UsageError) as refused:
        read(tmp_path, row)
    assert all(word in str(refused.value) for word in [*said, "overrides.csv"])


def test_missing_columns_are_named(tmp_path):
    with pytest.raises(UsageError, match="no column 'reason'"):
        read(tmp_path, "jane,sarsa,1", head="student,exercise,points\n")
    assert read(tmp_path, "jane,sarsa,1,why", head="student,exercise,points,reason\n")


def test_a_mark_of_an_exercise(tmp_path):
    wrong = record("jane", mark(0), mark(1), mark(2, "failed"), mark(3))
    (found,), unused = applied([wrong], by_hand("jane", "double_q_target", 1.5))
    assert not unused and found["score"] == wrong["score"] + 1.5
    changed = found["exercises"][2]
    assert (changed["score"], changed["state"]) == (1.5, "failed")
    assert changed["override"] == {"points": 1.5, "before": 0, "reason": "a reason", "who": "rb", "when": "2026-11-24"}  # fmt: skip
    assert wrong["exercises"][2]["score"] == 0  # what was given is not changed


def test_it_comes_after_the_penalty_for_lateness():
    late = record("jane", mark(0), mark(1), mark(2, "failed"), mark(3), penalty=0.5, late_days=1)
    late["score"] -= 0.5
    (found,), _ = applied([late], by_hand("jane", "double_q_target", 2))
    assert found["score"] == late["score"] + 2 and found["penalty"] == 0.5


def test_excused_from_an_exercise():
    wrong = record("jane", mark(0), mark(1), mark(2, "failed"), mark(3))
    right = record("zoe")
    (first, second), _ = applied(
        [wrong, right], by_hand("jane", "double_q_target", None), by_hand("zoe", "sarsa", None)
    )
    assert (first["score"], first["points"]) == (wrong["score"], POINTS - 2)
    assert (second["score"], second["points"]) == (POINTS - 3, POINTS - 3)
    extra = record("eve", mark(0), mark(1), mark(2), mark(3, extra=True), points=POINTS - 3)
    (third,), _ = applied([extra], by_hand("eve", "sarsa", None))
    assert (third["score"], third["points"]) == (POINTS - 3, POINTS - 3)


def test_a_whole_lesson():
    (given, excused), _ = applied(
        [record("jane"), unreadable("zoe")], by_hand("jane", "", 1), by_hand("zoe", "", None)
    )
    assert given["score"] == 1 and given["override"]["before"] == POINTS
    assert results.is_excused(excused) and not results.is_excused(given)
    broken = record("eve", state="grader failed", reason="x", score=0)
    (mended,), _ = applied([broken], by_hand("eve", "", 5))
    assert results.has_mark(mended) and not results.has_mark(broken)


def test_of_a_notebook_that_could_not_be_read():
    """The teacher has read it on paper: the other exercises are not attempted."""
    (found,), _ = applied([unreadable("zoe")], by_hand("zoe", "sarsa", 3))
    assert found["score"] == 3 and len(found["exercises"]) == len(EXERCISES)
    assert {m["state"] for m in found["exercises"]} == {"not attempted"}


def test_whoever_handed_in_nothing():
    student = {"id": "4711", "name": "Jane Doe", "email": ""}
    absent = {"4711": nothing_handed_in(student, POINTS)}.get
    (jane, zoe), unused = applied([record("zoe")], by_hand("4711", "", None), absent=absent)
    assert results.is_excused(jane) and jane["state"] == "no submission" and not unused
    assert (jane["name"], "email" in jane, zoe["student"]) == ("Jane Doe", False, "zoe")


def test_students_are_found_by_what_identifies_them():
    known = record("4711", id="4711", email="jane@uni.edu", anonymous="K7F2-Q9MX")
    for name in ("4711", "JANE@uni.edu", "k7f2-q9mx"):
        (found,), unused = applied([known], by_hand(name, "", 1))
        assert found["score"] == 1 and not unused
    _, unused = applied([known], by_hand("jane", "", 1, line=7))
    assert unused == ["overrides.csv, row 7: 'jane' is nobody here: not applied"]


def test_a_group_is_all_of_its_students():
    pair = [record("jane", group="red"), record("ben", group="red"), record("zoe")]
    found, unused = applied(pair, by_hand("red", "", 2))
    assert [r["score"] for r in found] == [2, 2, POINTS] and not unused
    found, _ = applied(pair, by_hand("jane", "", 2))
    assert [r["score"] for r in found] == [POINTS, 2, POINTS]


def test_an_exercise_that_does_not_count_is_told():
    (found,), _ = applied([record("jane")], by_hand("jane", "epsilon_greedy", 1))
    assert found["score"] == POINTS and "does not count here" in found["notes"][-1]


def test_they_can_be_taken_out_of_a_result_again():
    rows = [by_hand("jane", "sarsa", 1.0), by_hand("jane", "", None), by_hand("zoe", "", 3.0)]
    records, _ = applied([record("jane"), record("zoe")], *rows)
    assert {*kept(result(*records))} == {*rows}
    again, _ = applied([record("jane"), record("zoe")], *kept(result(*records)))
    assert again == records


def test_the_student_is_told():
    wrong = record("jane", mark(0), mark(1), mark(2, "failed"), mark(3, "failed"))
    (found,), _ = applied(
        [wrong], by_hand("jane", "double_q_target", 1.5), by_hand("jane", "sarsa", None)
    )
    page = feedback.page(found, "05", "SARSA")
    assert "Marked by hand: 1.5 of 2 (before: 0). a reason (rb 2026-11-24)" in page
    assert "Excused. a reason (rb 2026-11-24)" in page
    (whole,), _ = applied([record("zoe")], by_hand("zoe", "", 1))
    page = feedback.page(whole, "05", "SARSA")
    assert f"Marked by hand: 1 of {POINTS} (before: {POINTS})" in page and f"<b>1</b> of {POINTS}" in page  # fmt: skip
    assert sentence({"excused": True, "before": 2, "reason": "ill", "who": "", "when": ""}, 2) == "Excused. ill"  # fmt: skip


def test_the_report_lists_them():
    records, _ = applied([record("jane"), record("zoe")], by_hand("zoe", "", None), by_hand("jane", "sarsa", 1))  # fmt: skip
    text = report.page(result(*records)).partition("Marks given by hand</h2>")[2]
    rows = [re.sub("<[^>]*>", "|", row) for row in text.partition("</table>")[0].split("\n")[1:]]
    assert any("jane" in row and "sarsa" in row and "1 of 3 (before: 3)" in row for row in rows)
    assert any("zoe" in row and "the lesson" in row and "Excused. a reason" in row for row in rows)
    assert "Marks given by hand" not in report.page(result(record("jane")))


def test_the_table_of_grades_says_so():
    records, _ = applied([record("jane"), record("zoe")], by_hand("zoe", "", None), by_hand("jane", "sarsa", 1))  # fmt: skip
    rows = results.as_csv(result(*records)).splitlines()
    assert rows[0].endswith(",by hand") and rows[1].endswith(',"sarsa: 3 → 1, a reason"')
    assert rows[2].split(",")[3] == "excused"
    assert "by hand" not in results.as_csv(result(record("jane")))
