"""What the pages of the site say of a class."""

import pytest

from rlcourse.grading.announcing import notices
from rlcourse.grading.course_file import CourseFile, read_course
from rlcourse.lessons.front import Notices
from rlcourse.lessons.paths import UsageError

AGREED = """
name = "Reinforcement learning"
term = "Winter 2026/27"
zone = "Europe/Berlin"
penalty = 10
[lessons.05]
deadline = 2026-11-20T23:59:00
exercises = ["5.1", "5.2", "sarsa"]
extra = ["5.2"]
[lessons.06]
weight = 2
"""


def read(folder, text):
    (folder / "course.toml").write_text(text, encoding="utf-8")
    return read_course(folder / "course.toml")


def test_a_deadline_and_what_counts(tmp_path):
    said = notices(read(tmp_path, AGREED), ["04", "05", "06"])
    assert said.course == "Reinforcement learning · Winter 2026/27"
    assert said.due == {"05": "Due Friday, 20 November 2026, 23:59 (Europe/Berlin)."}
    assert said.lessons == {
        "05": "Due **Friday, 20 November 2026, 23:59** (Europe/Berlin). Each day late costs 10 % of the points "
        "reached. Asked: 5.1, 5.6. Extra credit: 5.2."
    }


def test_without_a_course_file_nothing_is_said():
    assert notices(CourseFile(), ["04", "05"]) == Notices()


def test_an_exercise_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"lessons\.05"):
        notices(read(tmp_path, AGREED.replace("5.1", "5.99")), ["05"])
