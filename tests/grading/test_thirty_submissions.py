"""`rlcourse grade 05` on a class of thirty, of whom many send something odd."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import pytest
from submitting import CLASS

from rlcourse.grading import results


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The class, graded through the command line: (completed process, folder of results)."""
    folder = tmp_path_factory.mktemp("class")
    for name, (content, *_) in CLASS.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)
    out = tmp_path_factory.mktemp("out")
    return grade(folder, out), out, folder


def grade(folder, out, *more):
    command = [sys.executable, "-m", "rlcourse", "grade", "05", str(folder), "--out", str(out)]
    return subprocess.run(
        [*command, "--seconds", "4", "--secret", "s", *more],
        capture_output=True,
        text=True,
        timeout=1800,
    )


def test_the_class_has_thirty():
    assert len(CLASS) == 30


def test_exits_with_0_and_a_summary(graded):
    process, _, _ = graded
    assert process.returncode == 0, process.stderr
    assert "Traceback" not in process.stdout + process.stderr
    readable = sum(state == "graded" for _, state, *_ in CLASS.values())
    assert f"{readable} of 30 submissions graded" in process.stdout


@pytest.mark.parametrize("name", CLASS)
def test_each_gets_what_it_deserves(graded, name):
    _, out, _ = graded
    records = {r["file"]: r for r in json.loads((out / "results.json").read_text())["submissions"]}
    _, state, score, told, mistake = CLASS[name]
    record = records[name]
    assert record["state"] == state, record["reason"]
    assert record["score"] == score, [
        (m["name"], m["state"], m["headline"]) for m in record["exercises"]
    ]
    if state != "graded":
        assert record["reason"]
        return
    mark = next(m for m in record["exercises"] if m["name"] == "q_learning_target")
    assert (mark["state"], mark["mistake"]) == (told, mistake), mark


def test_none_is_lost(graded):
    _, out, _ = graded
    rows = list(csv.DictReader(io.StringIO((out / "grades.csv").read_text(encoding="utf-8"))))
    assert {row["file"] for row in rows} == set(CLASS)
    assert len(list((out / "feedback").glob("*.html"))) == 30


def test_the_same_submissions_give_the_same_bytes(graded, tmp_path):
    _, _, folder = graded
    zipped = tmp_path / "class.zip"
    chosen = ["right.ipynb", "no mask.ipynb", "truncated.ipynb"]
    for copy in ("a", "b"):
        (tmp_path / copy).mkdir()
        for name in chosen:
            (tmp_path / copy / name).write_bytes((folder / name).read_bytes())
        assert grade(tmp_path / copy, tmp_path / f"out {copy}").returncode == 0
    first = (tmp_path / "out a" / "results.json").read_bytes()
    assert first == (tmp_path / "out b" / "results.json").read_bytes()
    with zipfile.ZipFile(zipped, "w") as archive:
        for name in chosen:
            archive.write(folder / name, name)
    assert grade(zipped, tmp_path / "out zip").returncode == 0
    assert first == (tmp_path / "out zip" / "results.json").read_bytes()


def test_the_results_keep_to_the_published_schema(graded):
    _, out, _ = graded
    schema = json.loads((Path(results.__file__).parent / "results.schema.json").read_text())
    jsonschema.validate(json.loads((out / "results.json").read_text()), schema)


def test_feedback_names_the_mistake_and_gives_nothing_away(graded):
    _, out, _ = graded
    page = (out / "feedback" / "no mask.html").read_text(encoding="utf-8")
    assert "bootstraps-terminal" in page and "(5.8)" in page
    assert "cdn" not in page and "<script" not in page


def test_students_get_different_inputs(graded):
    _, out, _ = graded
    records = json.loads((out / "results.json").read_text())["submissions"]
    seeds = [tuple(record["seed"]) for record in records if record["state"] == "graded"]
    assert len(set(seeds)) == len(seeds)
