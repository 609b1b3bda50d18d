"""A lesson that is not in the course's form is refused, with the reason."""

from pathlib import Path

import pytest
from small_lesson import LESSON

from rlcourse.lessons import notation, paths
from rlcourse.lessons.form import form_problems
from rlcourse.lessons.linking import Atlas
from rlcourse.lessons.source import read_cells

SOURCES = paths.lesson_files(Path(__file__).parents[2] / "solutions", ".py")


def reasons(text, tmp_path):
    path = tmp_path / "05_small.py"
    path.write_text(text, encoding="utf-8")
    return [problem.reason for problem in form_problems(path, read_cells(path), Atlas.of([path]))]


def test_the_small_lesson_is_in_form(tmp_path):
    assert reasons(LESSON, tmp_path) == []


@pytest.mark.parametrize("lesson", SOURCES)
def test_every_lesson_is_in_form(lesson):
    source = SOURCES[lesson]
    found = form_problems(source, read_cells(source), Atlas.of(SOURCES.values()))
    assert [str(problem) for problem in found] == []


@pytest.mark.parametrize(
    ("written", "instead", "reason"),
    [
        ("✎ on paper", "", "on paper"),
        ("plots.slide(draw", "print(draw", "slider"),
        ('# %% tags=["hide-input"]', "# %%", "a cell that plots is folded"),
        ("### Talk to your neighbour", "### A question", "no question"),
        ("**A** yes · **B** no", "yes or no", "options to vote on"),
        ("## Summary", "## In short", "no cell '## Summary'"),
        ("# - five\n", "", "5 bullets"),
        ("# - three more\n", "", "three to five"),
        ("<details><summary>Two slips</summary>", "Two slips", "folded"),
        ("## What we hand on", "## The end", "no cell '## What we hand on'"),
        ("Bootstrap from", "By (5.9), bootstrap from", "no equation (5.9)"),
        (r"\gamma (1 - d)", r"\gamma d_\gamma(s)", "d is termination"),
    ],
)
def test_what_is_missing_is_named(written, instead, reason, tmp_path):
    assert written in LESSON
    assert any(reason in told for told in reasons(LESSON.replace(written, instead, 1), tmp_path))


def test_the_last_cells_come_in_their_order(tmp_path):
    swapped = LESSON.replace("## Summary", "## X").replace("## Where this went", "## Summary")
    swapped = swapped.replace("## X", "## Where this went")
    assert any("in this order" in told for told in reasons(swapped, tmp_path))


def test_a_long_lesson_has_a_break(tmp_path):
    long = LESSON.replace("# Prerequisites: none.", "# " + "word " * 5000)
    assert any("two sittings" in told for told in reasons(long, tmp_path))
    broken = long.replace(
        "# %% [markdown]\n# ## Targets",
        "# %% [markdown]\n# ## Break\n\n# %% [markdown]\n# ## Targets",
    )
    assert not any("two sittings" in told for told in reasons(broken, tmp_path))


@pytest.mark.parametrize(
    "formula",
    [
        r"\phi_{targ}", r"\phi_{\mathrm{targ}}", r"\pi_{old}", r"start(s)", r"clip(a, low, high)",
        r"\operatorname{Var}X", r"d^\pi(s)", r"d_\gamma", r"\sum_s d(s)",
    ],
)  # fmt: skip
def test_other_spellings_are_refused(formula):
    assert list(notation.problems(f"Then ${formula}$ is there."))


@pytest.mark.parametrize(
    "text",
    [
        r"$\phi_{\text{targ}}$", r"$\phi_{\text{targ},i}$", r"$\text{start}(s)$", r"$(1-d)\,d_t\,d_{t+1}$",
        r"$\mathrm{clip}(a, \text{low}, \text{high})$", "the code says `start(s)`", r"$\mathrm{Var}[X]$",
        r"$\mathrm d x$ and $\theta_{\text{old}}$", "$(1-d_i)$ and $d$",
    ],
)  # fmt: skip
def test_ours_are_not(text):
    assert list(notation.problems(text)) == []
