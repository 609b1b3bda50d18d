"""Whose time is over: what counts is the processor time of the submission, not how busy the machine is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from submitting import RIGHT, notebook, target

from rlcourse import checker, cli
from rlcourse.grading import sandbox as sandboxes
from rlcourse.grading.marking import Course, mark
from rlcourse.grading.sandbox import Sandbox, bubblewrap
from rlcourse.grading.submissions import Submission
from rlcourse.lessons import clock

SECONDS = 1
WITH_WALLS = pytest.param(
    True, marks=pytest.mark.skipif(bubblewrap() is None, reason="needs bubblewrap"), id="walls"
)
BUSY = "import itertools\nfor _ in itertools.count(): pass"
# Half of the limit, of the processor's time, once.
BURN = """
import functools, time
@functools.cache
def burn():
    end = time.process_time() + 0.5
    while time.process_time() < end: pass
"""


@pytest.fixture(params=[WITH_WALLS, pytest.param(False, id="no walls")])
def course(request):
    sandbox = Sandbox(frozenset(checker.names("05")), seconds=SECONDS, walls=request.param)
    yield Course("05", sandbox)
    sandboxes._station(sandbox, os.getpid()).close()
    sandboxes._station.cache_clear()


def state(course, text):
    record = mark(course, Submission("a", "a.ipynb", text.encode()))
    states = {m["name"]: m["state"] for m in record["exercises"]}
    others = {s for name, s in states.items() if name != "q_learning_target"}
    assert others == {"passed"}, "time is kept for each exercise"
    return states["q_learning_target"]


def test_a_busy_loop_is_late(course):
    assert state(course, target("while True: pass")) == "timeout"


def test_a_sleeper_is_late(course):
    assert state(course, target("import time; time.sleep(3600)")) == "timeout"


def test_one_that_has_to_wait_for_the_processor_is_not(course):
    # Asleep one and a half times the limit: what a busy machine makes of a right answer.
    wait = "import functools, time\nsleep = functools.cache(time.sleep)"
    assert state(course, target(f"sleep(1.5); {RIGHT}", wait)) == "passed"


@pytest.mark.full
def test_a_right_answer_is_right_on_a_loaded_machine(course):
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(4)]
    try:
        assert state(course, target(f"burn(); {RIGHT}", BURN)) == "passed"
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("used_each", "asked"),
    [(1.0, 1), (0.5, 2), (0.25, 4), (0.0, 6)],
    ids=["busy", "half the time", "a quarter of it", "asleep"],
)
def test_how_long_is_waited(monkeypatch, used_each, asked):
    """`ask` never answers; a second passes at each, of which the worker gets `used_each`."""
    now = [0.0, 0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: now[0])

    def ask(left):
        now[0] += 1
        now[1] += 1
        return "late"

    assert clock.in_time(ask, lambda: used_each * now[0], 1.0, "late") == "late"
    assert now[1] == asked


def test_a_failing_reference_costs_no_marks_silently(monkeypatch):
    def broken(*_inputs):
        raise AttributeError("half imported")

    monkeypatch.setattr(checker.get("q_learning_target"), "reference", broken)
    sandbox = Sandbox(frozenset(checker.names("05")), walls=False)
    record = mark(Course("05", sandbox), Submission("a", "a.ipynb", notebook().encode()))
    assert record["state"] == "grader failed"
    for word in ("no fault of the student's", "q_learning_target", "half imported", "report this"):
        assert word in record["reason"]


def test_a_run_with_somebody_unmarked_does_not_end_well(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("rlcourse.grading.marking._mark_submission", lambda *_: 1 / 0)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ada.ipynb").write_text(notebook())
    arguments = [
        "grade",
        "05",
        str(tmp_path / "in"),
        "--out",
        str(tmp_path / "out"),
        "--no-sandbox",
    ]
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 1
    assert "No mark, because the grader failed: ada" in capsys.readouterr().out
