"""Large classes: every kind of submission gets one verdict, whoever sends it, and speed does not fall."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from submitting import CLASS, POINTS, RIGHT, target

pytestmark = pytest.mark.full

# Those that use up their time limit would measure the limit.
SLOW = ("infinite loop.ipynb", "loop that swallows all.ipynb", "prints 50 MB.ipynb")
KINDS = {name: content for name, (content, *_) in CLASS.items() if name not in SLOW}
CHOSEN = list(KINDS)[:21]
MIB = 1024  # ru_maxrss counts in KiB
# A small process between pytest and the grader: a process counts the memory of the one that it was forked from.
MEASURING = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
# The alphabets, signs and lengths that names come in; a sheet's formulas among them.
STYLES = (
    "{} Doe", "doe_jane_{}", "Zoë Müller {}", "山田太郎{}", "Иванова {}", "محمد {}", "O'Brien {}",
    "Núñez, María {}", "=1+{}", "-{}", "@{}", "{} & Söhne", "a{}" + "b" * 90, "İpek {}", "{}%20x",
    "ελένη {}", "ẞ{}ß", "🙂 {}", "von  der   {}", "#{};,",
)  # fmt: skip


@dataclass
class Run:
    """What grading a folder gave, and what it cost: processor seconds and the largest process, in MiB."""

    records: dict[str, dict[str, Any]]
    cpu: float
    memory: float


def graded(folder: Path, out: Path, secret: str = "s") -> Run:
    command = [sys.executable, "-m", "rlcourse", "grade", "05", str(folder), "--out", str(out)]
    measured = [sys.executable, "-c", MEASURING, *command, "--secret", secret]
    process = subprocess.run(measured, capture_output=True, text=True, check=True)
    cpu, memory = map(float, process.stdout.split()[-2:])
    records = json.loads((out / "results.json").read_text(encoding="utf-8"))["submissions"]
    return Run({r["file"]: r for r in records}, cpu, memory / MIB)


def written(folder: Path, submissions: dict[str, str | bytes]) -> Path:
    folder.mkdir()
    for name, content in submissions.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def verdict(record):
    """What a record decides: states, marks and the mistakes that were named."""
    exercises = [
        (m["name"], m["state"], m["mistake"], m["rung"], m["score"]) for m in record["exercises"]
    ]
    return record["state"], record["score"], exercises


@pytest.fixture(scope="module")
def three_hundred(tmp_path_factory):
    """300 submissions of 21 kinds, and one alone, graded one after the other."""
    folder = tmp_path_factory.mktemp("sizes")
    many = {f"{i:03} {CHOSEN[i % 21]}": KINDS[CHOSEN[i % 21]] for i in range(300)}
    alone = written(folder / "one", {"one.ipynb": KINDS["right.ipynb"]})
    class_of_300 = graded(written(folder / "many", many), folder / "out many")
    return class_of_300, graded(alone, folder / "out one")


def test_three_hundred_of_21_kinds_get_a_verdict_a_kind(three_hundred):
    run, _ = three_hundred
    assert len(run.records) == 300
    for kind in CHOSEN:
        verdicts = [verdict(r) for file, r in run.records.items() if file[4:] == kind]
        assert len(verdicts) >= 14
        assert all(v == verdicts[0] for v in verdicts), kind
        _, state, score, _, mistake = CLASS[kind]
        assert verdicts[0][:2] == (state, score), kind
        assert mistake is None or mistake in [m for _, _, m, *_ in verdicts[0][2]], kind


def test_a_class_of_three_hundred_costs_at_most_36_submissions(three_hundred):
    many, one = three_hundred
    assert many.cpu < 36 * one.cpu
    assert many.memory < 200


def test_two_hundred_right_ones_under_twenty_kinds_of_names_have_full_marks(tmp_path):
    right = (
        KINDS["right.ipynb"],
        KINDS["right in a loop.ipynb"],
        target(RIGHT),
        target("return np.where(terminated, reward, reward + gamma * q_next.max(axis=1))"),
    )
    class_ = {
        f"{style.format(i)}.ipynb": right[i % len(right)] for style in STYLES for i in range(10)
    }
    run = graded(written(tmp_path / "class", class_), tmp_path / "out")
    assert len(run.records) == len(class_) == 200
    assert {file: r["score"] for file, r in run.records.items() if r["score"] != POINTS} == {}


def test_no_verdict_hangs_on_the_secret(tmp_path):
    folder = written(tmp_path / "class", {name: KINDS[name] for name in CHOSEN})
    runs = [
        graded(folder, tmp_path / secret, secret).records
        for secret in ("one", "two", "three", "été", "5" * 200)
    ]
    assert len({tuple(r["seed"]) for run in runs for r in run.values() if "seed" in r}) > 5 * 15
    first, *others = ({file: verdict(r) for file, r in run.items()} for run in runs)
    for other in others:
        assert other == first
