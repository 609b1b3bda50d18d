"""What lesson 20 says: of the lessons before it, of chance, and of the committed runs."""

import html
import re
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import jupytext
import numpy as np
import pytest
from running import SOURCES, left_by

from rlcourse.checker.equations import named_in
from rlcourse.lab import comparison
from rlcourse.lab.evaluation import interquartile_mean, probability_of_improvement

(LESSON,) = (path for path in SOURCES if path.stem.startswith("20"))
MAIN = ("DDPG", "TD3", "SAC", "PPO")


def plain(latex):
    """An equation without its alignment, its spaces and its number."""
    return re.sub(r"\\(tag|begin|end)\{[^}]*\}|&|\\[,;!]|\s|\\\\", "", latex)


def handed_on(lesson):
    """What stands displayed under "What we hand on", in one."""
    (source,) = (path for path in SOURCES if path.stem.startswith(lesson))
    (cell,) = (
        c.source for c in jupytext.read(source).cells if c.source.startswith("## What we hand on")
    )
    return plain("".join(re.findall(r"\$\$(.*?)\$\$", cell, re.DOTALL)))


def run_the_table():
    """What the cell with the one table leaves behind; `shown` is the HTML that it puts on the page."""
    names = {"html": html, "Path": Path, "NamedTuple": NamedTuple, "named_in": named_in}
    names["page"] = SimpleNamespace(display_markup=lambda markup, words: names.update(shown=markup))
    (cell,) = (c for c in jupytext.read(LESSON).cells if c.source.startswith("class Row("))
    exec(cell.source, names)
    return names


@pytest.fixture(scope="module")
def rows():
    return run_the_table()["TABLE"]


def test_every_row_has_an_equation_and_every_lesson_a_row(rows):
    assert {row.lesson for row in rows} == {f"{n:02d}" for n in range(2, 20)}
    for row in rows:
        assert named_in(f"({row.equation})"), row
        home = int(row.equation.split(".")[0])
        assert home - int(row.lesson) in (0, 1), "its own lesson, or the one that takes it up"


# 09 hands on the greedy policy, and is in the table for its targets.
@pytest.mark.parametrize("lesson", [f"{n:02d}" for n in range(2, 20) if n != 9])
def test_a_lessons_row_is_what_it_hands_on(rows, lesson):
    """The right side of one of its equations stands letter by letter in what the lesson hands on."""
    sides = []
    for row in rows:
        if row.lesson == lesson:
            latex = plain(named_in(f"({row.equation})")[row.equation])
            sides.append(re.split(r"=|\\leftarrow", latex, maxsplit=1)[-1].split(r"\qquad")[0])
    given = handed_on(lesson)
    # 05 hands on three targets as the cases of one; 19 writes its min over j without saying j = 1, 2.
    sides += [side.removeprefix(r"r+\gamma(1-d)").replace("_{j=1,2}", "_j") for side in sides]
    assert all(sides) and any(side.rstrip(",") in given for side in sides)


def test_every_row_opens_its_lesson_and_its_equation(tmp_path, monkeypatch, rows):
    monkeypatch.chdir(tmp_path)
    assert "<a " not in run_the_table()["shown"], "where no notebook is there is no link"
    for lesson in {row.lesson for row in rows}:
        (tmp_path / f"{lesson}_topic.ipynb").touch()
    shown = run_the_table()["shown"]
    for row in rows:
        assert f'href="{row.lesson}_topic.ipynb"' in shown
        home = f"{int(row.equation.split('.')[0]):02d}"
        assert f'href="{home}_topic.ipynb#eq-{row.equation}"' in shown


# --- the committed runs ---------------------------------------------------------------------------


def test_the_file_is_what_its_command_would_make(monkeypatch):
    """Settings, seeds and looks are those of benchmarks/comparison.py; a run's last look is the mean of its episodes."""
    monkeypatch.syspath_prepend(LESSON.parents[1] / "benchmarks")
    import comparison as made

    runs = comparison.load()
    assert list(runs) == list(made.ENTRIES)
    for task, entries in made.ENTRIES.items():
        assert list(runs[task]) == list(entries)
        for name, entry in entries.items():
            x, n = runs[task][name], made.SEEDS[task]
            assert n >= 10 and x.seeds.tolist() == list(range(made.FIRST_SEED, made.FIRST_SEED + n))
            assert comparison.settings(task, name) == entry.settings()
            assert x.steps.tolist() == list(
                range(entry.every, entry.training["steps"] + 1, entry.every)
            )
            assert x.returns.shape == (n, len(x.steps)) and x.final.shape == (n, made.EPISODES)
            assert np.allclose(x.final.mean(axis=1), x.returns[:, -1], atol=0.11)  # both rounded
            assert len(x.cpu) == n and x.cpu.min() > 0
    assert made.RESULTS.stat().st_size < 60_000


def ends(task, name):
    return comparison.load()[task][name].returns[:, -1]


def test_what_is_said_of_pendulum():
    ddpg, td3, sac, ppo = (ends("Pendulum-v1", name) for name in MAIN)
    assert max(map(interquartile_mean, (ddpg, td3, ppo))) < interquartile_mean(sac)
    assert (sac > -150).sum() == 9, "nine of its ten runs"
    assert len(ddpg) / 2 < (ddpg > -150).sum() < len(ddpg) and (ddpg < -200).any()
    assert (td3 < -150).mean() > 0.8 and (ppo < -150).all()  # still on their way
    assert probability_of_improvement(sac, td3) == pytest.approx(0.98, abs=0.005)
    assert td3.min().round() == -829


def test_what_is_said_of_mountain_car():
    """The order is turned round; DDPG has two kinds of runs, and no middle is like any of them."""
    ddpg, td3, sac, ppo = (ends("MountainCarContinuous-v0", name) for name in MAIN)
    assert np.abs([*sac, *ppo]).max() < 0.05, "they do nothing"
    assert (td3 > 50).mean() > 0.5 and (ddpg > 80).sum() == (ddpg < -90).sum() == len(ddpg) / 2
    for middle in (ddpg.mean(), np.median(ddpg), interquartile_mean(ddpg)):
        assert abs(middle) < 10 < np.abs(ddpg - middle).min()
    assert interquartile_mean(td3) > interquartile_mean(ddpg)


@pytest.fixture(scope="module")
def lesson():
    return left_by("20", without='check("train_agent")')


@pytest.mark.full
def test_what_the_figures_show(lesson):
    scatter = lesson["scatter"]
    for n in (5, 10, 20):
        normal, failing = scatter["normal, σ = 1", n], scatter["15 % fail", n]
        assert normal["mean"] < normal["IQM"] < normal["median"]
        assert failing["IQM"] < failing["mean"]
    for shares in lesson["held"].values():
        assert shares[0] < 0.85 and shares[-1] > 0.9
    assert lesson["held"]["15 % fail, mean"][1] < 0.7
    student, welch = lesson["false"]["20 + 5 runs, spreads 1 and 5"].values()
    assert student > 0.25 and welch < 0.07


@pytest.mark.full
def test_the_colleagues_intervals_are_narrower(lesson):
    for name, (his, yours) in lesson["widths"].items():
        assert name == "SAC" or 0.2 < his / yours < 0.4
    assert 0.5 < np.divide(*lesson["widths"]["SAC"]) < 2


@pytest.mark.full
def test_which_pairs_are_told_apart(lesson):
    told = {key for key, (_, p_value) in lesson["tests"].items() if p_value < 0.05 / 6}
    car = "MountainCarContinuous-v0"
    assert told == {("Pendulum-v1", "SAC", "PPO"), (car, "TD3", "SAC"), (car, "TD3", "PPO")}
