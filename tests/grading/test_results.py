"""Every student has a page of their own, whatever they are called."""

from __future__ import annotations

import pytest
from made_up_class import record, result, unreadable

from rlcourse.grading.results import as_json, file_names, read


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


def test_results_of_the_version_before_are_read(tmp_path):
    """Version 2 has more fields; those of version 1 mean what they meant."""
    old = result(record("jane"), unreadable("zoe")) | {"schema": "rlcourse/results/v1"}
    (tmp_path / "results.json").write_text(as_json(old), encoding="utf-8")
    assert read(tmp_path) == old
