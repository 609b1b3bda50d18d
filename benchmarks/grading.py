"""Grading three hundred submissions, beside nbgrader and otter-grader on the same ones: time and memory.

    python benchmarks/grading.py --lessons 05 08 --submissions 300 --peers 3

Submissions are mixed: a third right, a third with one operator of one answer changed, a third with
one answer missing. Peers grade the first few of the same submissions, and their time for one is compared:
nbgrader runs the lesson's own check cells; otter-grader, where it is installed,
runs each notebook with one test an exercise. It may want a Python of its own, which `--otter` names.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import random
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import psutil

from rlcourse import exercises
from rlcourse.lessons import paths
from rlcourse.lessons.build import build_notebook
from rlcourse.lessons.notebook import exercise_in

CHANGES = {" + ": " - ", " * ": " + ", " - ": " + ", " > ": " < ", "max": "min"}


def submissions(lesson: str, n: int) -> list[str]:
    """n notebooks of a lesson, each as JSON; the same every time."""
    source = paths.lesson_files(paths.solutions_folder(), ".py")[lesson]
    solved, empty = build_notebook(source, solved=True), build_notebook(source)
    stubs = {exercise_in(cell): cell.source for cell in empty.cells if exercise_in(cell)}
    rng = random.Random(0)
    made = []
    for i in range(n):
        copy = nbformat.from_dict(json.loads(json.dumps(solved)))
        cell = rng.choice([cell for cell in copy.cells if exercise_in(cell)])
        if i % 3 == 1:
            cell.source = changed(cell.source, rng)
        elif i % 3 == 2:
            cell.source = stubs[exercise_in(cell)]
        made.append(nbformat.writes(copy))
    return made


def changed(source: str, rng: random.Random) -> str:
    """`source` with one operator behind its docstring turned into another."""
    start = source.rfind('"""') + 3
    places = [
        (match.start(), old) for old in CHANGES for match in re.finditer(re.escape(old), source)
    ]
    places = [(at, old) for at, old in places if at > start]
    if not places:
        return source
    at, old = rng.choice(places)
    return source[:at] + CHANGES[old] + source[at + len(old) :]


# ----------------------------------------------------------------------------------------- runs


def measured(command: list[str], **how: Any) -> dict[str, float]:
    """Run a command to its end: wall-clock seconds, and the most memory of it and all it started."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how
    )
    most = 0
    while process.poll() is None:
        most = max(most, memory_of(process.pid))
        time.sleep(0.2)
    said, _ = process.communicate()
    seconds = time.perf_counter() - begun
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{said}")
    return {"seconds": seconds, "MiB": most / 2**20}


def memory_of(pid: int) -> int:
    """Bytes of a process and its descendants, shared pages counted once."""
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in family:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def ours(lesson: str, notebooks: list[str], folder: Path, workers: int) -> dict[str, float]:
    there = folder / "class"
    there.mkdir()
    for i, text in enumerate(notebooks):
        (there / f"student {i:03}.ipynb").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "rlcourse", "grade", lesson, str(there)]
    command += ["--out", str(folder / "out"), "--workers", str(workers)]
    return measured(command)


def nbgrader(lesson: str, notebooks: list[str], folder: Path) -> dict[str, float]:
    course = folder / "nbgrader"
    source = paths.lesson_files(paths.solutions_folder(), ".py")[lesson]
    (course / "source" / lesson).mkdir(parents=True)
    nbformat.write(build_notebook(source), course / "source" / lesson / "lesson.ipynb")
    for i, text in enumerate(notebooks):
        there = course / "submitted" / f"student{i}" / lesson
        there.mkdir(parents=True)
        (there / "lesson.ipynb").write_text(text, encoding="utf-8")
    (course / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'bench'\nc.ExecutePreprocessor.timeout = 600\n"
    )
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    how = {"cwd": course, "env": os.environ | {"PATH": path, "MPLBACKEND": "agg"}}
    command = [sys.executable, "-m", "nbgrader"]
    measured([*command, "generate_assignment", lesson, "--create", "--force"], **how)
    return measured([*command, "autograde", lesson, "--create"], **how)


def otter(lesson: str, notebooks: list[str], folder: Path, python: str) -> dict[str, float]:
    there = folder / "otter"
    there.mkdir()
    for i, text in enumerate(notebooks):
        (there / f"student{i}.ipynb").write_text(text, encoding="utf-8")
    with zipfile.ZipFile(there / "autograder.zip", "w") as bundle:
        bundle.writestr("otter_config.json", "{}")
        for name in exercises.names(lesson):
            bundle.writestr(f"tests/{name}.py", _OTTER_TEST.format(name=name))
    # The course and what it needs, for a Python that has only otter-grader.
    course = os.pathsep.join((str(HERE.parent), sysconfig.get_path("purelib")))
    env = os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": course}
    command = [python, "-m", "otter", "run", "-a", "autograder.zip"]
    runs = [
        measured([*command, f"student{i}.ipynb"], cwd=there, env=env) for i in range(len(notebooks))
    ]
    return {"seconds": sum(run["seconds"] for run in runs), "MiB": max(run["MiB"] for run in runs)}


_OTTER_TEST = """OK_FORMAT = True
test = {{"name": "{name}", "points": 1, "suites": [{{"type": "doctest", "cases": [{{"code":
    ">>> from rlcourse.checker import judge\\n>>> judge({name}, '{name}').ok\\nTrue"}}]}}]}}
"""


# --------------------------------------------------------------------------------------- report

HERE = Path(__file__).parent
HEAD = """# Grading a class

Written by `benchmarks/grading.py` from [grading.json](grading.json). {processors} processors, Python {python}. Ours grades with that many
workers, each submission in a sandbox; a peer grades one after the other, as its command does, and the fewer of them.
Seconds are wall-clock, set-up included.

| lesson | | submissions | seconds | seconds each | MiB | times ours |
|---|---|---|---|---|---|---|
"""


def table(results: dict[str, Any]) -> str:
    text = HEAD.format(**results["machine"])
    for lesson, rows in sorted(results["lessons"].items()):
        one = rows["rlcourse"]["seconds"] / rows["rlcourse"]["submissions"]
        for name, row in rows.items():
            each = row["seconds"] / row["submissions"]
            ratio = "" if name == "rlcourse" else f"{each / one:.0f}"
            text += f"| {lesson} | {name} | {row['submissions']} | {row['seconds']:.1f} | {each:.3f} | {row['MiB']:.0f} | {ratio} |\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lessons", nargs="+", default=["05", "08"])
    parser.add_argument("--submissions", type=int, default=300)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--peers", type=int, default=3, help="how many of them the peers grade")
    # Not resolved: the link in a virtual environment is what makes it one.
    parser.add_argument("--otter", metavar="PYTHON", type=os.path.abspath,
                        help="the Python that has otter-grader")  # fmt: skip
    given = parser.parse_args()
    peers = {"nbgrader": nbgrader, "otter": partial(otter, python=given.otter or sys.executable)}
    found = {
        name: (name == "otter" and given.otter) or importlib.util.find_spec(name) for name in peers
    }
    machine = {"processors": os.cpu_count(), "python": platform.python_version()}
    results: dict[str, Any] = {"machine": machine, "lessons": {}}
    for lesson in given.lessons:
        notebooks = submissions(lesson, given.submissions)
        rows = results["lessons"][lesson] = {}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            rows["rlcourse"] = ours(lesson, notebooks, folder, given.workers)
            rows["rlcourse"]["submissions"] = len(notebooks)
            for peer, grade in peers.items():
                if given.peers and found[peer]:
                    rows[peer] = grade(lesson, notebooks[: given.peers], folder)
                    rows[peer]["submissions"] = given.peers
        (HERE / "grading.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (HERE / "grading.md").write_text(table(results), encoding="utf-8")
    print(table(results))
    for peer in peers:
        if given.peers and not found[peer]:
            print(f"{peer} is not installed: not measured.")


if __name__ == "__main__":
    main()
