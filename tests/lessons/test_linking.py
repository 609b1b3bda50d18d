"""Links and anchors in the students' notebooks, and the equations that the checks show."""

import json
from pathlib import Path

import nbformat
import pytest

from rlcourse.checker import equations, names
from rlcourse.checker.registry import get
from rlcourse.lessons import build, paths
from rlcourse.lessons.linking import Atlas, linked, missing_references
from rlcourse.lessons.source import Cell, read_cells

SOURCES = paths.lesson_files(Path(__file__).parents[2] / "solutions", ".py")

ATLAS = Atlas(
    {"04": "04 · Sampling", "05": "05 · Control", "08": "08 · Networks"},
    {"04": "04_sampling.ipynb", "05": "05_control.ipynb", "08": "08_networks.ipynb"},
    {"04": {"4.2": "v"}, "05": {"5.1": "q", "5.10": "q"}},
)


def made(text, lesson="05"):
    return linked([Cell(1, 1, "markdown", text), Cell(2, 2, "markdown", "End.")], lesson, ATLAS)[
        0
    ].source


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("by (5.1), then", "by [(5.1)](#eq-5.1), then"),
        ("(5.10)", "[(5.10)](#eq-5.10)"),
        ("by (4.2)", "by [(4.2)](04_sampling.ipynb#eq-4.2)"),
        ("their (4.2) is (5.1)", "their (4.2) is [(5.1)](#eq-5.1)"),
        ("their (5.10) our (5.1)", "their (5.10) our [(5.1)](#eq-5.1)"),
        ("their values; see (5.1)", "their values; see [(5.1)](#eq-5.1)"),
        ("as lesson 04 and Lesson 08", "as [lesson 04](04_sampling.ipynb) and [Lesson 08](08_networks.ipynb)"),
        ("[a table](x.ipynb) of lesson 04", "[a table](x.ipynb) of [lesson 04](04_sampling.ipynb)"),
    ],
)  # fmt: skip
def test_what_is_there_is_linked(text, expected):
    assert made(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "(5.2) is not there, nor (6.1), nor lesson 06",
        "lesson 05 is this one",
        "Sutton & Barto (5.1), S&B (4.2), the book's (5.1)",
        "Their theorem (5.1), their η(s) in (4.2), and our sum is their (4.2) and (5.1)",
        "f(5.1) and `(5.1)` and $x = (5.1)$ and $$y = (5.1)$$",
        "```\n(5.1) of lesson 04\n```",
        "# Heading with (5.1) and lesson 04",
        "[see (5.1)](elsewhere.html)",
        "<details><summary>What does (5.1) of lesson 04 say?</summary>",
    ],
)
def test_what_is_not_there_or_not_text_is_left_alone(text):
    assert made(text) == text


def test_the_tags_of_an_equation_become_anchors_before_it():
    text = "So\n\n$$a \\tag{5.1}$$\n\nand $$b$$"
    assert made(text) == 'So\n\n<a id="eq-5.1"></a>\n\n$$a \\tag{5.1}$$\n\nand $$b$$'


def test_the_map_leads_to_what_exists():
    line = "Part I · 03 → 04 → **05** → 08 → Part II"
    assert made(f"# 05 · Control\n\n{line}") == (
        "# 05 · Control\n\nPart I · 03 → [04](04_sampling.ipynb) → **05** → [08](08_networks.ipynb) → Part II"
    )


def test_the_last_text_of_a_lesson_leads_on():
    cells = linked([Cell(1, 1, "markdown", "End."), Cell(2, 2, "code", "1")], "05", ATLAS)
    assert cells[0].source == (
        "End.\n\n---\n← [04 · Sampling](04_sampling.ipynb) · [08 · Networks](08_networks.ipynb) →"
    )
    first = linked([Cell(1, 1, "markdown", "End.")], "04", ATLAS)[0].source
    assert first.endswith("---\n[05 · Control](05_control.ipynb) →")


def test_a_number_of_an_equation_that_is_not_there_is_found():
    cells = [Cell(7, 1, "markdown", "by (5.1) and (5.4), S&B (5.9), `(5.8)`, $(5.7)$; (9.9)")]
    assert [(cell.number, n) for cell, n in missing_references(cells, "05", ATLAS)] == [(7, "5.4")]


def test_every_equation_that_a_lesson_names_is_there():
    atlas = Atlas.of(SOURCES.values())
    for lesson, source in SOURCES.items():
        assert list(missing_references(read_cells(source), lesson, atlas)) == [], lesson


def test_every_link_of_the_notebooks_leads_somewhere():
    import re

    texts = build.build(SOURCES.values(), Path())
    anchors = {
        path.name: set(re.findall(r'<a id=\\"([^\\"]+)', text)) for path, text in texts.items()
    }
    for path, text in texts.items():
        for cell in nbformat.reads(text, as_version=4).cells:
            if cell.cell_type != "markdown":
                continue
            for place in re.findall(r"\]\(([^)\s]*\.ipynb[^)\s]*|#eq-[^)\s]+)\)", cell.source):
                name, _, anchor = place.partition("#")
                assert (name or path.name) in anchors, place
                assert not anchor or anchor in anchors[name or path.name], place


def test_the_checks_know_the_equations_that_they_name():
    known = json.loads(paths.equations_file().read_text(encoding="utf-8"))
    assert known == json.loads(build.equations(Atlas.of(SOURCES.values())))
    for name in names():
        assert equations.named_in(get(name).equation), name
