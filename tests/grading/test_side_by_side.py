"""Answers that are nearly the same can be looked at beside each other, in the report itself."""

from __future__ import annotations

import re

from made_up_class import mark, record, result
from test_report import Page, assert_self_contained

from rlcourse.grading import report, similarity
from rlcourse.grading.side_by_side import beside, in_common

FIRST = """
def sarsa(env, q):
    # my own idea
    total = 0

    for step in range(10):
        total += q[step] * 2
    return total
"""
SECOND = '''
def sarsa(world, values):
    """Sarsa."""
    s = 0
    print("</pre><script>alert(1)</script>")
    for i in range(10):
        s += values[i] * 2
    return s + 1
'''


def test_lines_in_common_whatever_the_variables_are_called():
    first, second = in_common(FIRST.strip("\n"), SECOND.strip("\n"))
    assert first == [1, 3, 5, 6] and second == [1, 3, 5, 6]
    assert in_common("x = 1", "def f():") == ([], []) == in_common("", "")
    assert in_common("# a\n\nx = 1", "# a\n\ny = 1") == ([3], [3])


def test_both_texts_are_shown_with_what_they_share():
    shown = beside(["jane", "<ben>"], [FIRST, SECOND])
    assert "<script>" not in shown and "&lt;ben&gt;" in shown
    marked = [re.sub(r"<[^>]*>", "", line) for line in re.findall(r'<span class="hll">(.*?)\n</span>', shown)]  # fmt: skip
    assert [line.strip() for line in marked] == [
        "def sarsa(env, q):", "total = 0", "for step in range(10):", "total += q[step] * 2",
        "def sarsa(world, values):", "s = 0", "for i in range(10):", "s += values[i] * 2",
    ]  # fmt: skip


def test_the_report_opens_them(monkeypatch):
    monkeypatch.setattr(similarity, "_solved_cells", lambda lesson: {})  # takes seconds to read
    long = "def sarsa():\n" + "\n".join(f"    x{i} = ({i} * y{i} - {i}) ** {i} + f{i}(z{i}, {i})" for i in range(30))  # fmt: skip
    whole = [mark(i) for i in range(3)]
    graded = result(
        record("jane", *whole, mark(3, source=long)),
        record("ben", *whole, mark(3, source=long.replace("x2", "other") + "\n    return '<i>'")),
        record("zoe"),
    )
    text = report.page(graded)
    page = Page(text)
    assert_self_contained(page)
    assert text.count("<details class=pair>") == 1
    opened = text.partition("<details class=pair>")[2].partition("</details>")[0]
    assert "ben and jane" in opened and "<h3>ben</h3>" in opened and "<h3>jane</h3>" in opened
    assert "&lt;i&gt;" in opened and "<i>" not in opened
    assert opened.count('class="hll"') == 62  # all but the one that only ben has
