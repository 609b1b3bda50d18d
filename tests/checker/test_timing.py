"""Where a limit and Ctrl-C may land, what time they count, and what is said when the course itself fails."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import rlcourse
from rlcourse.checker import authorship, check, get, judge
from rlcourse.checker.judging import CourseFault
from rlcourse.checker.timing import WALL, TimeLimit, careful_interrupts, time_limit

HERE = Path(__file__).parent
ENGINE = Path(rlcourse.__file__).parent / "checker" / "made_up.py"


def burn(seconds):
    """Use the processor for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def for_ever():
    while True:
        pass


def in_a_thread(act):
    """What `act()` returns in a thread that is not the main one."""
    said = []
    thread = threading.Thread(target=lambda: said.append(act()))
    thread.start()
    thread.join()
    return said[0]


def stopped(act, seconds=0.1):
    try:
        with time_limit(seconds):
            act()
    except TimeLimit:
        return True
    return False


EVERYWHERE = pytest.mark.parametrize(
    "run", [lambda act: act(), in_a_thread], ids=["main", "thread"]
)


# ---------------------------------------------------------------------------------------- the clocks


@EVERYWHERE
def test_a_busy_loop_is_stopped_by_the_processor_time_that_it_used(run, monkeypatch):
    monkeypatch.setattr("rlcourse.checker.timing.WALL", 600.0)

    def used():
        began = time.thread_time()
        assert stopped(for_ever)
        return time.thread_time() - began

    assert run(used) >= 0.1


def test_time_that_others_use_is_not_counted():
    # What a busy machine does to an answer: the clock on the wall goes on, its own does not.
    assert not stopped(lambda: time.sleep(1.5), seconds=0.5)


def test_a_sleeper_is_stopped_by_the_clock_on_the_wall():
    began = time.monotonic()
    assert stopped(lambda: time.sleep(3600))
    assert time.monotonic() - began >= WALL * 0.1


@EVERYWHERE
def test_one_that_returns_in_time_is_left_alone_afterwards(run):
    def act():
        assert not stopped(lambda: burn(0.05), seconds=0.5)
        burn(0.6)
        return True

    assert run(act)


@pytest.mark.parametrize("missing", ["setitimer", "pthread_kill", "SIGALRM"])
def test_no_system_without_a_limit(monkeypatch, missing):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.delattr(signal, missing)
    assert stopped(for_ever)
    assert signal.getsignal(signal.SIGINT) is before


def swallows(kind):
    while True:
        try:
            for_ever()
        except kind:
            continue


@pytest.mark.parametrize("kind", [Exception, BaseException])
def test_an_answer_cannot_swallow_its_limit(kind):
    before = sys.gettrace()
    assert stopped(lambda: swallows(kind))
    assert sys.gettrace() is before


@EVERYWHERE
def test_judge_keeps_the_limit(run):
    def answer(rewards, gamma):
        for_ever()

    verdict = run(lambda: judge(answer, "discounted_return", seconds=0.2))
    assert verdict.rung == "time" and verdict.headline == "takes too long"


def test_the_handlers_are_as_they_were():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)]
    stopped(for_ever)
    with contextlib.suppress(KeyboardInterrupt), careful_interrupts():
        signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)] == before
    assert not any("_watch" in thread.name for thread in threading.enumerate())


# ------------------------------------------------------------------------------- where it may land


@pytest.fixture
def slow_module(tmp_path, monkeypatch):
    """A module whose import takes three times the limit, and calls something on the way."""
    name = "slow_to_import"
    source = "import time\ndef burn():\n    end = time.thread_time() + 0.3\n"
    source += "    while time.thread_time() < end: pass\nburn()\nWHOLE = True\n"
    (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


@EVERYWHERE
def test_a_limit_waits_for_the_end_of_an_import(slow_module, run):
    def act():
        __import__(slow_module)
        for_ever()

    assert run(lambda: stopped(act))
    assert sys.modules[slow_module].WHOLE


def test_ctrl_c_waits_for_the_end_of_an_import(slow_module):
    def act():
        __import__(slow_module)
        for_ever()

    presser = threading.Timer(0.05, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), careful_interrupts():
        presser.start()
        act()
    assert sys.modules[slow_module].WHOLE


def engine(text):
    """A function of the course's own engine."""
    space = {"burn_until": lambda: None, "time": time}
    exec(compile(text, str(ENGINE), "exec"), space)
    return space["engine"]


CHANGES_SOMETHING = """
def engine(state):
    state.append("changed")
    end = time.thread_time() + 0.3
    while time.thread_time() < end: pass
    state.append("put back")
"""


@EVERYWHERE
def test_a_limit_does_not_land_in_the_engine(run):
    state = []
    change = engine(CHANGES_SOMETHING)

    def act():
        change(state)
        for_ever()

    assert run(lambda: stopped(act))
    assert state == ["changed", "put back"]


def test_ctrl_c_in_the_engine_comes_at_its_end():
    state = []
    change = engine(CHANGES_SOMETHING)
    presser = threading.Timer(0.05, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), careful_interrupts():
        presser.start()
        change(state)
    assert state == ["changed", "put back"]


def test_ctrl_c_does_what_it_did_before():
    heard = []
    for handler in (lambda *_: heard.append(1), signal.SIG_IGN):
        before = signal.signal(signal.SIGINT, handler)
        try:
            with careful_interrupts():
                signal.raise_signal(signal.SIGINT)
        finally:
            signal.signal(signal.SIGINT, before)
    assert heard == [1]


def test_a_limit_is_not_somebody_elses_alarm():
    heard = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
    try:
        with time_limit(5):
            signal.raise_signal(signal.SIGALRM)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert heard == [1]


# -------------------------------------------------------------------------- Ctrl-C at any moment

FIRST_CHECK = 7.0  # processor seconds of the first check with torch, all imports among them
LATER_CHECK = 0.3


def interrupted_at(moments):
    ended = subprocess.run(
        [sys.executable, str(HERE / "interrupted.py"), *map(str, moments)],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, (moments, ended.stderr)
    said = json.loads(ended.stdout.splitlines()[-1])
    assert said["wrong"] == [] and "stdout was not put back" not in said["ended"], (moments, said)
    return said["ended"]


def random_moments(seed, n):
    """The first in the first check, which imports torch and the lesson; the others in later ones."""
    rng = random.Random(seed)
    return [rng.uniform(0, FIRST_CHECK), *(rng.uniform(0, LATER_CHECK) for _ in range(n - 1))]


@pytest.mark.full
def test_a_kernel_that_was_interrupted_checks_right_afterwards():
    assert "interrupted" in interrupted_at(random_moments(0, 6))


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 11))
def test_a_kernel_that_was_interrupted_at_any_moment_checks_right_afterwards(seed):
    """Two hundred moments, ten of them within a first check."""
    assert "interrupted" in interrupted_at(random_moments(seed, 20))


# ------------------------------------------------------------------------------- a loaded machine

BUSY = "import itertools\nfor _ in itertools.count(): pass"
FIRST_TORCH_CHECK = """
from rlcourse.checker import check, get
check(get("dqn_update").reference, "dqn_update")
"""


@pytest.mark.full
def test_a_right_answer_is_right_on_a_loaded_machine():
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(4)]
    try:
        ended = subprocess.run(
            [sys.executable, "-c", FIRST_TORCH_CHECK], capture_output=True, text=True
        )
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert "dqn_update: right" in ended.stdout, ended.stdout + ended.stderr


# Every answer of a lesson with networks, right ones and wrong ones, and which modules they had to import.
NEW_MODULES = """
import sys
from rlcourse.checker import lesson, lessons
from rlcourse.checker.harness import run
from rlcourse.checker.judging import cases_of
exercises = [e for number in lessons() if lesson(number).torch for e in lesson(number)]
sys.modules["rlcourse.checker.networks"].warm_up()
before = set(sys.modules)
for e in exercises:
    case = cases_of(e)[0]
    for f in (e.reference, *e.variants, *e.also_correct, *(f for m in e.mistakes for f in m.implementations)):
        run(f, case, e.call)
print(sorted(set(sys.modules) - before))
"""


@pytest.mark.full
def test_after_the_warm_up_no_answer_has_to_import_anything():
    ended = subprocess.run([sys.executable, "-c", NEW_MODULES], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "[]"


# ------------------------------------------------------------------------------ the course's fault


def discounted_return(rewards, gamma):
    return 0.0


def test_a_reference_that_fails_is_no_fault_of_the_answer(monkeypatch, capsys):
    def broken(rewards, gamma):
        raise AttributeError("module 'sympy' has no attribute 'printing'")

    exercise = get("discounted_return")
    monkeypatch.setattr(exercise, "reference", broken)
    assert check(discounted_return) is discounted_return
    captured = capsys.readouterr()
    assert "discounted_return: could not be checked" in captured.out
    for word in (
        "course's fault, not your answer's",
        "has no attribute",
        "Kernel → Restart",
        "report",
    ):
        assert word in captured.out
    assert "Traceback" not in captured.out + captured.err
    assert authorship("discounted_return") == "your function"
    with pytest.raises(CourseFault):
        judge(discounted_return)


def test_declarations_that_cannot_be_imported_are_no_fault_of_the_answer(monkeypatch, capsys):
    def half_imported(name):
        raise ImportError("cannot import name 'Tensor' from partially initialized module 'torch'")

    monkeypatch.setattr("rlcourse.checker.checking.get", half_imported)
    assert check(discounted_return) is discounted_return
    assert "could not be checked" in capsys.readouterr().out
