"""A run that is killed at any moment goes on where it was: nothing is lost, nothing graded twice."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from submitting import notebook, target

import rlcourse
from rlcourse import checker
from rlcourse.grading import command, resume
from rlcourse.grading.command import grade
from rlcourse.grading.judges import Basis, basis_of, declarations
from rlcourse.grading.marking import Course, Task
from rlcourse.grading.resume import Again, Entry, Journal, key_of, plan
from rlcourse.grading.sandbox import Sandbox
from rlcourse.grading.stage import sealed_names
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

    def mark_and_stop(course, tasks, executor, done):
        def done_and_stop(task, record):
            done(task, record)
            marked.append(task.submission.student)
            if len(marked) == 7:
                raise KeyboardInterrupt

        mark_all(course, tasks, executor, done_and_stop)

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


def wait_for_a_record(process, out):
    journal = out / resume.NAME
    deadline = time.monotonic() + 900
    while not (journal.exists() and journal.read_bytes()) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.005)


@pytest.mark.full
def test_ended_by_sigterm_is_as_tidy_as_ctrl_c_and_what_a_killed_run_leaves_is_removed(tmp_path):
    there, scratch = tmp_path / "class", tmp_path / "scratch"
    for folder in (there, scratch):
        folder.mkdir()
    for i in range(8):
        waits = "import time; time.sleep(9)" if i else "return 0"
        (there / f"{i}.ipynb").write_text(target(waits))
    command = [sys.executable, "-m", "rlcourse", "grade", "05", there, "--workers", "2", "--out"]
    environment = os.environ | {"TMPDIR": str(scratch)}

    def begin(out):
        return subprocess.Popen(
            [*command, out], env=environment, start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    killed = begin(tmp_path / "killed")
    wait_for_a_record(killed, tmp_path / "killed")
    end(killed)
    killed.communicate()
    (left,) = scratch.iterdir()
    ended = begin(tmp_path / "ended")
    wait_for_a_record(ended, tmp_path / "ended")
    assert not left.exists() and list(scratch.iterdir())
    ended.terminate()
    out, errors = ended.communicate(timeout=600)
    assert ended.returncode == 143
    assert "of 8 submissions: the same command with --resume goes on" in " ".join(out.split())
    assert errors == "Stopped.\n"
    assert list(scratch.iterdir()) == []


def test_a_full_disk_at_the_end_is_told_with_the_way_on(folder, tmp_path, monkeypatch):
    def full(*_):
        raise UsageError("Cannot write results.json: No space left on device.")

    few = tmp_path / "few"
    few.mkdir()
    (few / "a.ipynb").write_bytes((folder / "student 01.ipynb").read_bytes())
    monkeypatch.setattr(command, "write_atomically", full)
    with pytest.raises(command.Interrupted, match=r"No space left .* with --resume only writes it"):
        grade(LESSON, few, tmp_path / "out", workers=1)


def test_a_worker_that_is_killed_is_told_in_one_sentence(folder, tmp_path):
    process = run(folder, tmp_path / "out", stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)  # fmt: skip
    wait_for_a_record(process, tmp_path / "out")
    with contextlib.suppress(psutil.NoSuchProcess):
        workers = [p for p in psutil.Process(process.pid).children() if "bwrap" not in p.name()]
        os.kill(workers[0].pid, signal.SIGKILL)
    _, said = process.communicate(timeout=1800)
    assert "Traceback" not in said
    if process.returncode:  # or it was done before
        assert process.returncode == 2 and "--resume" in said and said.count("\n") == 1


# ------------------------------------------------------------------------------------ the journal


def task(student="anna", **more):
    return Task(Submission(student, f"{student}.ipynb", b"data", **more))


BASIS = Basis("s", {"f": ("engine", "f"), "g": ("engine", "g")})


def record(score, student="anna"):
    marks = [{"name": name, "state": "passed"} for name in "fg"]
    return {"student": student, "file": f"{student}.ipynb", "state": "graded", "score": score, "exercises": marks}  # fmt: skip


def scores(journal):
    return {entry.record["student"]: entry.record["score"] for entry in journal.entries.values()}


@pytest.mark.parametrize("cut", [2, 5, 30])
def test_a_line_cut_off_by_a_power_cut_is_passed_over(tmp_path, cut):
    with Journal(tmp_path, resume=False) as journal:
        journal.add(task(), BASIS, record(1))
        journal.add(task("ü" * 20), BASIS, record(2, "ü" * 20))
    path = tmp_path / resume.NAME
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(tmp_path, resume=True) as again:
        assert scores(again) == {"anna": 1}
        again.add(task("ben"), BASIS, record(2, "ben"))
    with Journal(tmp_path, resume=True) as third:
        assert scores(third) == {"anna": 1, "ben": 2}
        assert third.entries[key_of(task().submission)].basis == BASIS
    with Journal(tmp_path, resume=False) as anew:
        assert anew.entries == {}


def test_a_full_disk_is_told_once_and_nothing_is_lost(tmp_path):
    """A limit on the file's size stands for it: from then on nothing is taken, nor when the file is closed."""
    with pytest.raises(OSError, match="too large"), Journal(tmp_path, resume=False) as journal:
        journal.add(task(), BASIS, record(1))
        full = (tmp_path / resume.NAME).stat().st_size + 10
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, limits[1]))
        try:
            journal.add(task("ben"), BASIS, record(2, "ben"))
        finally:
            with contextlib.suppress(ValueError):
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with Journal(tmp_path, resume=True) as again:
        assert scores(again) == {"anna": 1}


def test_two_runs_into_one_folder(tmp_path):
    with Journal(tmp_path / "out", resume=False) as journal:
        journal.add(task(), BASIS, record(1))
        with pytest.raises(
            UsageError, match=rf"Another run .*process {os.getpid()}.*another folder"
        ):
            Journal(tmp_path / "out", resume=False)
        journal.add(task("ben"), BASIS, record(2, "ben"))
    with Journal(tmp_path / "out", resume=True) as again:
        assert scores(again) == {"anna": 1, "ben": 2}
    assert [path.name for path in (tmp_path / "out").iterdir()] == [resume.NAME]


# -------------------------------------------------------------------------- what is graded again


def test_what_is_in_a_submission_changes_its_key():
    same = Submission("anna", "a.ipynb", b"data", time=5.0)
    others = [
        Submission("anna", "a.ipynb", b"data"),
        Submission("ben", "a.ipynb", b"data"),
        Submission("anna", "b.ipynb", b"data"),
        Submission("anna", "a.ipynb", b"dato"),
        Submission("anna", "a.ipynb", None, "too large"),
    ]
    assert len({key_of(submission) for submission in (same, *others)}) == len(others)


def test_what_may_change_a_record_changes_its_basis():
    course = Course("05", Sandbox(sealed_names("05")), "secret")
    basis = basis_of(course)
    assert basis == basis_of(course)
    assert list(basis.exercises) == list(checker.names("05"))
    settings = {
        basis_of(other).settings
        for other in (
            course,
            Course("05", course.sandbox, "other"),
            Course("05", dataclasses.replace(course.sandbox, seconds=3), "secret"),
            Course("05", dataclasses.replace(course.sandbox, memory=100), "secret"),
            Course("05", dataclasses.replace(course.sandbox, run_seconds=3), "secret"),
            Course("05", dataclasses.replace(course.sandbox, walls=False), "secret"),
        )
    }
    assert len(settings) == 6


@pytest.fixture
def package(tmp_path):
    """A copy of the course, to be changed."""
    return shutil.copytree(
        Path(rlcourse.__file__).parent,
        tmp_path / "rlcourse",
        ignore=shutil.ignore_patterns("__pycache__"),
    )


def test_a_change_reaches_the_exercises_that_use_it_and_no_other(package, tmp_path):
    lesson = package / "exercises" / "lesson_05.py"
    source = lesson.read_text(encoding="utf-8")
    before = declarations("05", package)
    assert before == declarations("05", Path(rlcourse.__file__).parent)

    def changed(path, old, new):
        text = path.read_text(encoding="utf-8")
        assert old in text
        copy = shutil.copytree(package, tmp_path / str(len(list(tmp_path.iterdir()))))
        (copy / path.relative_to(package)).write_text(text.replace(old, new), encoding="utf-8")
        after = declarations("05", copy)
        return {name for name in before if before[name] != after[name]}

    assert changed(lesson, "# ----", "# ====") == set()
    assert changed(lesson, "q = rng.permutation(n)", "q = 2 * rng.permutation(n)") == {
        "epsilon_greedy"
    }
    users = {"sarsa_targets", "q_learning_target", "double_q_target"}
    assert changed(lesson, 'LOOK_AT_ENDS = "', 'LOOK_AT_ENDS = "Look: ') <= users
    assert "def _largest(" in source
    assert changed(lesson, "def _largest(", "def _largest(_more=0, *,") == {"expected_max"}
    reference = package / "tabular" / "control.py"
    assert changed(reference, "def double_q_target(", "def double_q_target(_more=0, *") == {
        "double_q_target"
    }
    shared = package / "exercises" / "targets.py"
    assert changed(shared, "def target_mistakes(", "def target_mistakes(_more=0, *") == users


def entries(*records, basis=BASIS):
    return {key_of(task(r["student"]).submission): Entry(basis, r) for r in records}


def planned(submissions, there, basis=BASIS, again=None):
    tasks, lines = plan([t.submission for t in submissions], there, basis, again)
    return [(t.submission.student, t.exercises, t.before is not None) for t in tasks], " ".join(
        lines
    )


def test_one_mended_exercise_is_graded_again_alone():
    there = entries(record(1), record(2, "ben"))
    mended = Basis("s", BASIS.exercises | {"g": ("engine", "another")})
    assert planned([task(), task("ben")], there) == ([], "")
    tasks, told = planned([task(), task("ben"), task("new")], there, mended)
    assert tasks == [("anna", ("g",), True), ("ben", ("g",), True), ("new", (), False)]
    assert "of g: 2 submissions." in told
    engine = Basis("s", {name: ("mended", name) for name in "fg"})
    assert planned([task()], there, engine)[0] == [("anna", (), False)]
    other = Basis("t", BASIS.exercises)
    tasks, told = planned([task()], there, other)
    assert tasks == [("anna", (), False)] and "secret" in told
    changed = Task(Submission("anna", "anna.ipynb", b"mended"))
    tasks, told = planned([changed], there)
    assert tasks == [("anna", (), False)] and "the notebook has changed: 1 submission." in told
    failed = entries(record(0) | {"state": "grader failed"})
    assert planned([task()], failed)[0] == [("anna", (), False)]
    unread = entries(record(0) | {"state": "unreadable"})
    assert planned([task()], unread)[0] == []
    assert planned([task()], unread, mended)[0] == [("anna", (), False)]


def test_what_was_asked_for_is_graded_again_and_nothing_else():
    there = entries(record(1), record(2, "ben"))
    both = [task(), task("ben")]
    assert planned(both, there, again=Again(("g",)))[0] == [
        ("anna", ("g",), True),
        ("ben", ("g",), True),
    ]
    assert planned(both, there, again=Again((), ("ben",)))[0] == [("ben", (), False)]
    assert planned(both, there, again=Again(("f",), ("ben",)))[0] == [("ben", ("f",), True)]
    mended = Basis("s", {name: ("mended", name) for name in "fg"})
    tasks, told = planned(both, there, mended, Again((), ("ben",)))
    assert tasks == [("ben", (), False)] and "Kept" in told and "1 submission" in told


def test_the_marks_that_are_kept_rest_on_what_they_rested_on(tmp_path):
    mended = Basis("s", {name: ("mended", name) for name in "fg"})
    with Journal(tmp_path, resume=False) as journal:
        journal.add(task(), BASIS, record(1))
        again = Task(task().submission, ("g",), record(1))
        journal.add(again, mended, record(3))
        (entry,) = journal.entries.values()
        assert entry.basis.exercises == {"f": ("engine", "f"), "g": ("mended", "g")}


@pytest.mark.full
def test_an_exercise_graded_again_gives_the_record_of_a_whole_run(tmp_path):
    """In place of a mended declaration: the mark of before is another, and has to come right."""
    there, out = tmp_path / "class", tmp_path / "out"
    there.mkdir()
    (there / "anna.ipynb").write_text(notebook())
    (there / "ben.ipynb").write_text(target("return 0"))
    whole = grade("05", there, out, secret="s")
    journal = out / resume.NAME
    journal.write_text(journal.read_text().replace('"state": "passed"', '"state": "failed"'))
    numbers = {name: checker.get(name).number for name in checker.names("05")}
    with pytest.raises(UsageError, match=r'Lesson 05 has no exercise "4\.1"'):
        grade("05", there, out, secret="s", again=["4.1"])
    with pytest.raises(UsageError, match=r"by 'Ana'. Did you mean 'anna'"):
        grade("05", there, out, secret="s", again_of=["Ana"])
    half = grade("05", there, out, secret="s", again=[numbers["q_learning_target"]])
    states = [[m["state"] for m in r["exercises"]] for r in half["submissions"]]
    assert [s.count("passed") for s in states] == [1, 0]
    again = grade("05", there, out, secret="s", again_of=["anna"])
    assert again["submissions"] == [whole["submissions"][0], half["submissions"][1]]
    assert grade("05", there, out, secret="s", again=list(numbers)) == whole


def test_nothing_can_be_graded_again_where_there_was_no_run(tmp_path):
    (tmp_path / "anna.ipynb").write_text(notebook())
    with pytest.raises(UsageError, match="There is no earlier run in"):
        grade("05", tmp_path / "anna.ipynb", tmp_path / "out", again=["5.1"])
    assert not (tmp_path / "out").exists()


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
