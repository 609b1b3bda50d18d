"""Temporary folders: one's own is removed at the end, and what killed processes have left at the next start."""

import contextlib
import os
import subprocess
import sys
import tempfile

import pytest

from rlcourse.lessons.scratch import Held, Lock, temporary_folder

MAKES = """
import os, sys
from rlcourse.lessons.scratch import temporary_folder
with temporary_folder() as folder:
    (folder / "file").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
    os._exit(9)
"""


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_only_what_nobody_uses_is_removed(scratch):
    (scratch / "rlcourse-of-another-kind").mkdir()
    how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", MAKES], **how) as other:
        there = other.stdout.readline().strip()
        with temporary_folder() as own:
            assert os.path.exists(f"{there}/file")
            assert len(list(scratch.iterdir())) == 3
        assert not own.exists()
        other.communicate("")
    assert os.path.exists(f"{there}/file")
    with temporary_folder() as own:
        assert {path.name for path in scratch.iterdir()} == {own.name, "rlcourse-of-another-kind"}


def test_a_fork_does_not_keep_the_lock_of_whoever_released_it(tmp_path):
    lock = Lock(tmp_path / "lock")
    with pytest.raises(Held, match=f"process {os.getpid()}"):
        Lock(tmp_path / "lock")
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    lock.release()
    Lock(tmp_path / "lock").release()
    os.close(writer)
    os.waitpid(child, 0)
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_removed_meanwhile_is_not_the_lock(tmp_path):
    """Who waited at a door that is gone must not stand in another room than the next one."""
    path = tmp_path / "lock"
    first = Lock(path)
    opened = path.open("a+")
    first.release()
    second = Lock(path)
    with contextlib.closing(opened), pytest.raises(Held):
        Lock(path)
    second.release()
