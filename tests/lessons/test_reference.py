"""Docstrings as reStructuredText: formulas set, code as code, nothing else marked."""

from rlcourse.lessons.reference import rst


def test_a_formula_and_code_are_set_and_the_rest_stands_letter_by_letter():
    assert rst("$x^2$ of `f(x)`, for x* and q_next.") == [
        r"\ :math:`x^2`\  of \ ``f(x)``\ , for x\* and q\_next.",
        "",
    ]


def test_paragraphs_and_lists_are_kept():
    lines = rst("One\ntwo.\n\n- first\n  and more\n- second")
    assert lines == ["One two.", "", "", "- first and more", "", "- second", ""]


def test_an_indented_block_is_shown_as_it_is():
    assert rst("See\n\n    a = 1\n      b\n\nend") == [
        "See",
        "",
        "::",
        "",
        "       a = 1",
        "         b",
        "",
        "end",
        "",
    ]
