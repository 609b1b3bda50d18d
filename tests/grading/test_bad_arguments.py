"""What cannot be used: one sentence that names it, status 2, nothing written."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def grade(*arguments):
    command = [sys.executable, "-m", "rlcourse", "grade", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=1800)


def refused(process, *words):
    assert process.returncode == 2, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    for word in words:
        assert word in process.stderr


@pytest.fixture
def folder(tmp_path):
    there = tmp_path / "submissions"
    there.mkdir()
    return there


def test_a_wrong_path(tmp_path):
    refused(grade("05", tmp_path / "nowhere", "--out", tmp_path / "out"), "nowhere")
    assert not (tmp_path / "out").exists()


def test_an_unknown_lesson(folder, tmp_path):
    refused(grade("77", folder, "--out", tmp_path / "out"), "77", "05")
    assert not (tmp_path / "out").exists()


def test_an_empty_folder(folder, tmp_path):
    refused(grade("05", folder, "--out", tmp_path / "out"), "submissions")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_notebooks(folder, tmp_path):
    (folder / "essay.txt").write_text("dear teacher")
    refused(grade("05", folder, "--out", tmp_path / "out"), "no notebooks")
    assert not (tmp_path / "out").exists()


def test_a_notebook_of_another_course(folder, tmp_path):
    cell = '{"cell_type": "code", "source": "x = 1", "metadata": {}, "outputs": []}'
    (folder / "other.ipynb").write_text(
        f'{{"cells": [{cell}], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 5}}'
    )
    refused(grade("05", folder, "--out", tmp_path / "out"), "lesson 05", "other.ipynb")
    refused(grade("05", folder / "other.ipynb", "--out", tmp_path / "out"), "lesson 05")
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file(folder, tmp_path):
    (folder / "a.ipynb").write_text("{}")
    (tmp_path / "out").write_text("mine")
    refused(grade("05", folder, "--out", tmp_path / "out"), "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="/proc is Linux's folder that nobody can write to")
def test_a_folder_that_cannot_be_written_to(folder):
    (folder / "a.ipynb").write_text("{}")
    refused(grade("05", folder, "--out", "/proc/marks"), "/proc/marks")


@pytest.mark.parametrize("limit", [("--seconds", "inf"), ("--memory", 10**14)])
def test_limits_that_no_system_can_set(limit, folder, tmp_path):
    """They made every submission fail, with a zero for it."""
    (folder / "a.ipynb").write_text("{}")
    refused(grade("05", folder, "--out", tmp_path / "out", *limit), limit[0], "at most")
    assert not (tmp_path / "out").exists()


def test_a_list_of_students_in_no_known_alphabet(folder, tmp_path):
    (folder / "a.ipynb").write_text("{}")
    (tmp_path / "class.csv").write_bytes(b"id,name,email\n1,Zo\x81,z@x.edu\n")
    told = grade("05", folder, "--out", tmp_path / "out", "--students", tmp_path / "class.csv")
    refused(told, "class.csv", "UTF-8")
    assert not (tmp_path / "out").exists()


def test_a_deadline_without_a_time_of_day(folder, tmp_path):
    (folder / "a.ipynb").write_text("{}")
    for moment in ("2026-11-20", "soon"):
        refused(
            grade("05", folder, "--out", tmp_path / "out", "--deadline", moment),
            moment, "2026-11-20 23:59",
        )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_anonymous_ids_without_a_secret(folder, tmp_path):
    (folder / "a.ipynb").write_text("{}")
    told = grade("05", folder, "--out", tmp_path / "out", "--anonymous", "--secret", "")
    refused(told, "--secret is empty")
    assert not (tmp_path / "out").exists()
