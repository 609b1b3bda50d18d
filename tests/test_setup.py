"""`python -m rlcourse.setup`, with and without make: what a student gets, and what the tests add."""

import subprocess
import sys
from pathlib import Path

import pytest

from rlcourse import setup

ROOT = Path(__file__).parents[1]


@pytest.fixture
def told(monkeypatch, tmp_path):
    """The commands that a set-up in an empty checkout would run; none of them is run."""
    commands = []

    def run(command, **_):
        commands.append([str(part) for part in command])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.delenv("MAKELEVEL", raising=False)
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(setup, "works", lambda python: python.exists())
    monkeypatch.setattr(setup.subprocess, "run", run)
    (tmp_path / ".venv").mkdir()
    return commands


def stamps(folder):
    return {p.name: p.read_text(encoding="utf-8") for p in (folder / ".venv").glob(".set-up*")}


def test_a_student_gets_the_course_and_no_tests(told, tmp_path, capsys):
    setup.main([])
    venv, builder, course = told
    assert venv[:4] == [sys.executable, "-m", "venv", "--clear"]
    assert builder[-1].startswith("setuptools") and course[-2:] == ["--editable", "."]
    assert all("constraints.txt" in command for command in (builder, course))
    assert stamps(tmp_path) == {".set-up": f"{tmp_path}\n"}
    assert not (tmp_path / ".venv" / "etc").exists()
    assert "start my-course" in capsys.readouterr().out


def test_the_tests_get_both_stamps(told, tmp_path):
    setup.main(["--test"])
    assert told[-1][-1] == ".[test]"
    assert set(stamps(tmp_path)) == {".set-up", ".set-up-test"}
    assert (tmp_path / ".venv/share/jupyter/lab/settings/overrides.json").is_file()


def test_the_site_gets_its_own(told, tmp_path):
    setup.main(["--site", "--test"])
    assert told[-1][-1] == ".[test,site]"
    assert set(stamps(tmp_path)) == {".set-up", ".set-up-test", ".set-up-site"}


def test_a_set_up_that_stopped_leaves_no_stamp(told, tmp_path, monkeypatch, capsys):
    (tmp_path / ".venv" / ".set-up").write_text("of before")
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(setup.subprocess, "run", lambda command, **_: failed)
    with pytest.raises(SystemExit) as left:
        setup.main([])
    assert left.value.code == 2 and stamps(tmp_path) == {}
    assert "The set-up did not finish" in capsys.readouterr().err


def test_windows_keeps_its_programs_elsewhere():
    assert setup.python_of(Path(".venv"), "nt") == Path(".venv/Scripts/python.exe")
    assert setup.python_of(Path(".venv"), "posix") == Path(".venv/bin/python")


def test_an_old_python_is_told_so(monkeypatch):
    monkeypatch.setattr(setup.sys, "version_info", (3, 10, 2))
    with pytest.raises(setup.NotSetUp, match=r"needs Python 3\.11 or newer, and this is 3\.10"):
        setup.require_python()


def test_it_needs_nothing_but_python(tmp_path):
    told = subprocess.run(
        [sys.executable, "-S", "-m", "rlcourse.setup", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0 and "--test" in told.stdout


@pytest.mark.parametrize(("goal", "wanted"), [("lab", ""), ("test", "--test"), ("site", "--site")])
def test_make_asks_for_as_much_as_its_goal_needs(goal, wanted, tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    told = subprocess.run(["make", "-n", goal], cwd=tmp_path, capture_output=True, text=True)
    (line,) = [line for line in told.stdout.splitlines() if "-m rlcourse.setup" in line]
    assert line.split("rlcourse.setup")[1].split() == wanted.split()
