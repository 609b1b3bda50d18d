"""Grading on a Dask cluster: a real scheduler and two workers, in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time

import pytest
from submitting import notebook, target

from rlcourse.grading.command import grade
from rlcourse.grading.executors import cluster
from rlcourse.grading.sandbox import Sandbox

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """The address of a scheduler with two workers."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    common = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
    commands = [["scheduler", "--port", "0", *common]] + 2 * [
        ["worker", "--nthreads", "1", "--no-nanny", "--local-directory", str(folder), *common]
    ]
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("w"))
        processes = []
        for command in commands:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *command], stdout=log, stderr=log, cwd=folder
            )
            stack.callback(_stop, process)
            processes.append(process)
        yield _address(file, processes)


def _stop(process):
    # One at a time, the scheduler last: a worker that is told to stop by a signal and by the
    # closing scheduler at once may forget to (seen with distributed 2026.8), so it is not asked for ever.
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _address(file, processes):
    from distributed import Client

    deadline = time.monotonic() + 900
    while not file.exists() or not file.read_text():
        assert time.monotonic() < deadline and processes[0].poll() is None
        time.sleep(0.05)
    address = json.loads(file.read_text())["address"]
    with Client(address, timeout="900s", set_as_default=False) as client:
        client.wait_for_workers(2, timeout=900)
    return address


@pytest.mark.full
def test_a_cluster_gives_the_same_results(scheduler, tmp_path):
    folder = tmp_path / "class"
    folder.mkdir()
    for i in range(4):
        (folder / f"right {i}.ipynb").write_text(notebook())
        (folder / f"wrong {i}.ipynb").write_text(
            target("return reward + gamma * q_next.max(axis=1)")
        )
    (folder / "exit.ipynb").write_text(target("import os; os._exit(0)"))
    (folder / "no notebook.ipynb").write_text("no notebook")
    here = grade("05", folder, tmp_path / "here", seconds=20)
    there = grade("05", folder, tmp_path / "there", seconds=20, scheduler=scheduler)
    assert there == here
    for name in ("results.json", "grades.csv", "report.html"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_both_workers_work(scheduler):
    with cluster(scheduler, Sandbox(frozenset())) as executor:
        slow = "__import__('time').sleep(0.3) or __import__('os').getpid()"
        pids = {future.result() for future in [executor.submit(eval, slow) for _ in range(8)]}
    assert len(pids) == 2 and os.getpid() not in pids


@pytest.mark.full
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "foo://bar:1"])
def test_no_scheduler_is_told_in_one_sentence(tmp_path, address):
    """In a process of its own: what is left of a client complains when the process ends."""
    (tmp_path / "a.ipynb").write_text(notebook())
    command = [sys.executable, "-m", "rlcourse", "grade", "05", str(tmp_path / "a.ipynb")]
    command += ["--out", str(tmp_path / "out"), "--cluster", address]
    process = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert process.returncode == 2
    (said,) = process.stderr.splitlines()
    assert said.startswith(f"No Dask scheduler answers at {address}: give its address")
    assert not (tmp_path / "out").exists()
