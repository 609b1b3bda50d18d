"""A lesson in part, extra credit, groups, and marking without names."""

from __future__ import annotations

import pytest
from made_up_class import EXERCISES, mark, record, result

from rlcourse.grading import anonymous, report, similarity
from rlcourse.grading.assignment import Assignment, Groups, read_groups
from rlcourse.grading.rules import BEST, Rules
from rlcourse.grading.students import Roster, Student
from rlcourse.grading.submissions import Submission
from rlcourse.lessons.paths import UsageError

WORTH = dict(EXERCISES)


def test_a_lesson_in_part():
    whole = record("jane", mark(0), mark(1), mark(2, "failed"), mark(3))
    part = Assignment(("sarsa", "double_q_target")).counted(whole, WORTH)
    assert [m["name"] for m in part["exercises"]] == ["double_q_target", "sarsa"]
    assert (part["score"], part["points"]) == (3, 5)
    assert Assignment().counted(whole, WORTH) is whole


def test_extra_credit_comes_on_top():
    extra = Assignment(extra=("sarsa",)).counted(record("jane"), WORTH)
    assert (extra["score"], extra["points"]) == (7, 4)
    assert [m.get("extra") for m in extra["exercises"]] == [None, None, None, True]
    both = Assignment(("sarsa_target",), ("sarsa",)).counted(record("jane"), WORTH)
    assert (both["score"], both["points"], len(both["exercises"])) == (4, 1, 2)


# --------------------------------------------------------------------------------------- groups

RED = Groups({"red": ("ben", "jane")})


def handed_in(*students):
    submissions = [Submission(s, f"{s}.ipynb", b"", time=float(i)) for i, s in enumerate(students)]
    return submissions, [record(s, score=i) for i, s in enumerate(students)]


def test_everybody_in_a_group_has_the_mark():
    submissions, records = RED.expand(*handed_in("jane", "zoe"))
    assert [s.student for s in submissions] == ["ben", "jane", "zoe"]
    ben, jane, zoe = records
    assert ben["group"] == jane["group"] == "red" and "group" not in zoe
    assert ben["notes"] == ["handed in by jane for the group red"] and jane["notes"] == []
    assert ben["score"] == jane["score"] == 0 and ben["file"] == "jane.ipynb"


def test_a_group_s_own_name():
    assert RED.named_in("red_05.ipynb") == "red" and RED.named_in("fred") is None
    assert Groups({"1": ("a",), "2": ("b",)}).named_in("1 or 2") is None
    submissions, _ = RED.expand(*handed_in("red"))
    assert [s.student for s in submissions] == ["ben", "jane"]


@pytest.mark.parametrize(("attempts", "file"), [("last", "jane.ipynb"), (BEST, "jane.ipynb")])
def test_two_hand_ins_of_a_group_are_two_attempts(attempts, file):
    for rules in (Rules(attempts=attempts),):
        ben, jane = rules.apply(*RED.expand(*handed_in("ben", "jane")))
        assert ben["file"] == jane["file"] == file
        assert "of 2" in ben["notes"][-1] and "ben.ipynb" in ben["notes"][-1]


def test_a_list_of_groups(tmp_path):
    path = tmp_path / "groups.csv"
    path.write_text("group,student\nred,jane\nred,ben\nblue,zoe\n")
    assert read_groups(path, Roster(())).members == {"red": ("jane", "ben"), "blue": ("zoe",)}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("red,jane\nblue,jane", "in 'red' and in 'blue'"),
        ("red,jane\nred,jane", "twice"),
        ("red,", "without a group or a student"),
        ("red,eve", "'eve' of group 'red' is no id on the students list"),
    ],
)
def test_every_mistake_in_it_is_named(tmp_path, rows, said):
    path = tmp_path / "groups.csv"
    path.write_text(f"group,student\n{rows}\n")
    with pytest.raises(UsageError, match=said):
        read_groups(path, Roster([Student("jane", "Jane", "")]))


LONG = "def sarsa():\n" + "\n".join(f"    x{i} = ({i} * y{i} - {i}) ** {i} + f{i}(z{i}, {i})" for i in range(30))  # fmt: skip


def test_one_group_s_answers_are_not_listed_as_alike(monkeypatch):
    monkeypatch.setattr(similarity, "_solved_cells", lambda lesson: {})  # takes seconds to read

    def made(student, **more):
        return record(student, *(mark(i) for i in range(3)), mark(3, source=LONG), **more)

    apart = result(made("ben"), made("jane"))
    assert [found.students for found in similarity.nearly_identical(apart)] == [("ben", "jane")]
    together = result(made("ben", group="red"), made("jane", group="red"), made("zoe"))
    assert [found.students for found in similarity.nearly_identical(together)] == [("ben", "zoe"), ("jane", "zoe")]  # fmt: skip


# ------------------------------------------------------------------------------- without names


def test_an_anonymous_id_needs_the_secret():
    assert anonymous.id_of("word", "jane") == anonymous.id_of("word", "jane")
    ids = {anonymous.id_of(secret, f"s{i}") for secret in ("a", "b") for i in range(1000)}
    assert len(ids) == 2000 and all(len(one) == 9 for one in ids)
    with pytest.raises(UsageError, match="secret"):
        anonymous.signed([record("jane")], "")


def test_a_report_without_names():
    records = [
        record(
            "4711", mark(0, "failed"), mark(1), mark(2), mark(3), id="4711", name="Jane Doe",
            email="jane@uni.edu", file="doejane_hw.ipynb", group="the reds",
            notes=["several notebooks: marked 'doejane_2.ipynb', not 'doejane_1.ipynb'"],
        ),
        record("ben", notes=["handed in by 4711 for the group the reds"]),
    ]  # fmt: skip
    graded = result(*anonymous.signed(records, "word"))
    graded["missing"] = [{"id": "4712", "name": "Zoe Zhu", "email": "z@uni.edu"}]
    masked = anonymous.masked(graded)
    page = report.page(masked)
    for name in ("4711", "Jane", "Doe", "doejane", "ben", "jane@", "Zoe", "4712"):
        assert name not in page.partition("<body>")[2].replace("been", ""), name
    assert anonymous.id_of("word", "4711") in page and "several notebooks" in page
    assert "without a submission" in page
    assert graded["submissions"][0]["name"] == "Jane Doe"  # what was given is not changed
    with pytest.raises(UsageError, match="no anonymous ids"):
        anonymous.masked(result(record("jane")))
