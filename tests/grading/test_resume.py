"""A run that is killed at any moment goes on where it was: nothing is lost, nothing graded twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from submitting import notebook, target

from rlcourse import checker
from rlcourse.grading import command, resume
from rlcourse.grading.command import grade
from rlcourse.grading.marking import Course
from rlcourse.grading.resume import Journal, key_of
from rlcourse.grading.sandbox import Sandbox
from rlcourse.grading.submissions import Submission
from rlcourse.lessons.paths import UsageError

LESSON, NAMES = "01", checker.names("01")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve small submissions of lesson 01: wrong answers, and what cannot be read."""
    folder = tmp_path_factory.mktemp("class")
    for i in range(12):
        source = f"def {NAMES[0]}(*arguments):\n    return {i}"
        cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": source}
        tree = {"cells": [cell], "metadata": {"rlcourse": {"lesson": LESSON}}, "nbformat": 4, "nbformat_minor": 5}  # fmt: skip
        text = json.dumps(tree) if i % 5 else json.dumps(tree)[:50]
        (folder / f"student {i:02}.ipynb").write_text(text)
    return folder


def run(folder, out, *more, **how):
    command = [sys.executable, "-m", "rlcourse", "grade", LESSON, str(folder), "--out", str(out)]
    return subprocess.Popen(
        [*command, "--workers", "2", "--secret", "", *more], start_new_session=True, **how
    )


def bytes_of(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != resume.NAME
    }


@pytest.fixture(scope="module")
def unbroken(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken") / "out"
    process = run(folder, out, stdout=subprocess.DEVNULL)
    assert process.wait(timeout=1800) == 0
    return bytes_of(out)


def end(process):
    """As the kernel does it when memory runs out, or somebody's hand: SIGKILL, and no warning."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    left = psutil.wait_procs(children, timeout=300)[1]
    assert not left, "workers outlive the command"


@pytest.mark.full
def test_killed_at_ten_moments_and_resumed(folder, unbroken, tmp_path):
    graded = []
    for i in range(10):
        out = tmp_path / f"out {i}"
        process = run(folder, out, stdout=subprocess.DEVNULL)
        # From the first moment to the last, whatever the machine is busy with.
        journal = out / resume.NAME
        deadline = time.monotonic() + 900
        while process.poll() is None and time.monotonic() < deadline:
            lines = journal.read_bytes().count(b"\n") if journal.exists() else 0
            if lines >= i:
                break
            time.sleep(0.005)
        if process.poll() is None:
            end(process)
        before = len(resume._read(journal)) if journal.exists() else 0
        grade(LESSON, folder, out, workers=2, resume=True)
        assert bytes_of(out) == unbroken
        graded.append(before)
    assert max(graded) > 0 and min(graded) < 12


@pytest.mark.full
def test_nothing_is_graded_twice(folder, tmp_path, monkeypatch):
    marked = []
    mark_all = command.mark_all

    def mark_and_stop(course, submissions, executor, done):
        def done_and_stop(submission, record):
            done(submission, record)
            marked.append(submission.student)
            if len(marked) == 7:
                raise KeyboardInterrupt

        mark_all(course, submissions, executor, done_and_stop)

    monkeypatch.setattr(command, "mark_all", mark_and_stop)
    with pytest.raises(KeyboardInterrupt):
        grade(LESSON, folder, tmp_path / "out", workers=1)
    assert not (tmp_path / "out" / "results.json").exists()
    grade(LESSON, folder, tmp_path / "out", workers=1, resume=True)
    assert sorted(marked) == sorted(p.stem for p in folder.iterdir())
    grade(LESSON, folder, tmp_path / "out", workers=1, resume=True)
    assert len(marked) == 12
    grade(LESSON, folder, tmp_path / "out", workers=1)
    assert len(marked) == 24, "without --resume a run begins anew"


def test_a_worker_that_is_killed_is_told_in_one_sentence(folder, tmp_path):
    process = run(folder, tmp_path / "out", stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)  # fmt: skip
    journal = tmp_path / "out" / resume.NAME
    deadline = time.monotonic() + 900
    while not (journal.exists() and journal.read_bytes()) and time.monotonic() < deadline:
        time.sleep(0.005)
    with contextlib.suppress(psutil.NoSuchProcess):
        workers = [p for p in psutil.Process(process.pid).children() if "bwrap" not in p.name()]
        os.kill(workers[0].pid, signal.SIGKILL)
    _, said = process.communicate(timeout=1800)
    assert "Traceback" not in said
    if process.returncode:  # or it was done before
        assert process.returncode == 2 and "--resume" in said and said.count("\n") == 1


# ------------------------------------------------------------------------------------ the journal


@pytest.mark.parametrize("cut", [2, 5, 30])
def test_a_line_cut_off_by_a_power_cut_is_passed_over(tmp_path, cut):
    with Journal(tmp_path, resume=False) as journal:
        journal.add("a", {"score": 1})
        journal.add("b", {"score": 2, "name": "ü" * 20})
    path = tmp_path / resume.NAME
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(tmp_path, resume=True) as again:
        assert again.records == {"a": {"score": 1}}
        again.add("b", {"score": 2})
    with Journal(tmp_path, resume=True) as third:
        assert third.records == {"a": {"score": 1}, "b": {"score": 2}}
    with Journal(tmp_path, resume=False) as anew:
        assert anew.records == {}


def test_what_may_change_a_record_changes_its_key():
    course = Course("05", Sandbox(frozenset({"f"})), "secret")
    submission = Submission("anna", "a.ipynb", b"data")
    same = Submission("anna", "a.ipynb", b"data", time=5.0)
    assert key_of(course, submission) == key_of(course, same)
    others = [
        (course, Submission("ben", "a.ipynb", b"data")),
        (course, Submission("anna", "b.ipynb", b"data")),
        (course, Submission("anna", "a.ipynb", b"dato")),
        (course, Submission("anna", "a.ipynb", None, "too large")),
        (Course("04", course.sandbox, "secret"), submission),
        (Course("05", course.sandbox, "other"), submission),
        (Course("05", Sandbox(frozenset({"f"}), seconds=3), "secret"), submission),
        (Course("05", Sandbox(frozenset({"f"}), walls=False), "secret"), submission),
    ]
    keys = [key_of(*pair) for pair in others]
    assert len({key_of(course, submission), *keys}) == len(others) + 1


def test_a_refused_run_leaves_no_folder(tmp_path):
    there = tmp_path / "class"
    there.mkdir()
    (there / "a.ipynb").write_text('{"cells": [], "metadata": {"rlcourse": {"lesson": "03"}}}')
    with pytest.raises(UsageError, match="lesson 03"):
        grade("05", there, tmp_path / "deep" / "out")
    assert not (tmp_path / "deep").exists()


def test_only_what_is_new_is_graded(tmp_path):
    there = tmp_path / "class"
    there.mkdir()
    (there / "anna.ipynb").write_text(notebook())
    first = grade("05", there, tmp_path / "out")
    (there / "ben.ipynb").write_text(target("return 0"))
    journal = (tmp_path / "out" / resume.NAME).read_bytes()
    both = grade("05", there, tmp_path / "out", resume=True)
    assert both["submissions"][0] == first["submissions"][0]
    assert (tmp_path / "out" / resume.NAME).read_bytes().startswith(journal)


@pytest.mark.full
def test_pages_of_who_is_not_there_any_more_do_not_stay(folder, tmp_path):
    """A file was renamed, or another lesson graded into the folder: nobody may get an old page."""
    few = tmp_path / "few"
    few.mkdir()
    for name in ("student 01.ipynb", "student 02.ipynb"):
        (few / name).write_bytes((folder / name).read_bytes())
    out = tmp_path / "out"
    assert run(few, out, stdout=subprocess.DEVNULL).wait(timeout=1800) == 0
    (out / "feedback" / "my notes.html").write_text("not the grader's")
    (few / "student 02.ipynb").rename(few / "Ben.ipynb")
    assert run(few, out, stdout=subprocess.DEVNULL).wait(timeout=1800) == 0
    pages = sorted(path.name for path in (out / "feedback").iterdir())
    assert pages == ["Ben.html", "my notes.html", "student 01.html"]


def test_a_secret_is_drawn_for_a_course_and_found_again(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ada.ipynb").write_text(notebook())

    def seed(out):
        result = grade("05", tmp_path / "in", tmp_path / out, secret=None, sandboxed=False)
        return result["submissions"][0]["seed"]

    first = seed("a")
    kept = tmp_path / "a" / "secret.txt"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "secret is in" in " ".join(capsys.readouterr().out.split())
    word = kept.read_text()
    assert len(word) > 30 and word.strip() not in (tmp_path / "a" / "results.json").read_text()
    assert seed("a") == first and kept.read_text() == word
    assert seed("b") != first


def test_a_refused_run_leaves_no_secret(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ada.ipynb").write_text(notebook())
    with pytest.raises(UsageError, match="No notebook of lesson 04"):
        grade("04", tmp_path / "in", tmp_path / "out", secret=None, sandboxed=False)
    assert not (tmp_path / "out").exists()
