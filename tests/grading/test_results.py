"""Every student has a page of their own, whatever they are called."""

from __future__ import annotations

import pytest

from rlcourse.grading.results import file_names


@pytest.mark.parametrize(
    "students",
    [
        ["Anna", "anna", "anna-64537e90", "anna-a0379c51", "Anna-7e4b5f6c"],
        ["A", "a", "a-ca978112", "a-559aead0", "A-559aead0", "a-559AEAD0_"],
        ["half\ufffd", "half\ufffd"],  # two that differed in what no file can hold
        ["Zo\u00eb", "Zoe\u0308"],  # the same file on some systems
        ["x" * 300 + "1", "x" * 300 + "2"],
        ["..", ".", "", "/", "a/b", "a_b"],
    ],
)
def test_no_two_students_share_a_page(students):
    records = [{"student": name} for name in students]
    named = file_names(records)
    assert [record for _, record in named] == records
    names = [name.casefold() for name, _ in named]
    assert len(set(names)) == len(students)
    assert all(name.strip(". ") and "/" not in name and len(name.encode()) < 200 for name in names)
