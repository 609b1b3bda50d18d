"""The command line: help that helps, and one sentence with status 2 for what cannot be used."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_lesson import FORM

from rlcourse import __version__, checker
from rlcourse.lessons import paths

ROOT = Path(__file__).parents[1]


def run(*arguments, cwd=ROOT, **more):
    command = [sys.executable, "-m", "rlcourse", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "100"}
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", cwd=cwd, env=environment, **more
    )


def test_version():
    assert run("--version").stdout == f"rlcourse {__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        "build",
        "start",
        "lab",
        "update",
        "reset",
        "show",
        "verify",
        "progress",
        "exercises",
        "explain",
        "grade",
    ],
)
def test_help_says_what_and_gives_an_example(command):
    assert command in run("--help").stdout
    told = run(command, "--help")
    assert told.returncode == 0
    assert re.search(rf"Examples?: rlcourse {command}", told.stdout)


def test_exercises_as_json():
    rows = json.loads(run("exercises", "--json").stdout)
    assert [row["name"] for row in rows] == list(checker.names())
    for row in rows:
        exercise = checker.get(row["name"])
        assert list(row) == ["name", "lesson", "number", "points", "mistakes"]
        assert row["lesson"] == exercise.lesson
        assert row["points"] == exercise.points
        assert row["mistakes"] == [mistake.name for mistake in exercise.mistakes]
        assert len(row["mistakes"]) >= 3


def test_exercises_of_one_lesson():
    for given in (["--lesson", "00"], ["0"], ["00_returns.py"]):
        rows = json.loads(run("exercises", *given, "--json").stdout)
        assert [row["name"] for row in rows] == list(checker.names("00"))
    table = run("exercises", "--lesson", "00").stdout
    assert all(name in table for name in checker.names("00"))


def test_a_mistake_is_explained_wherever_it_is_known():
    exercise = checker.get("discounted_return")
    mistake = exercise.mistakes[0]
    for given in ([mistake.name, "--lesson", "00"], [exercise.number]):
        told = run("explain", *given)
        assert f"{exercise.number} {exercise.name}: {mistake.name}" in told.stdout
        assert mistake.why.split()[0] in told.stdout and "Try:" in told.stdout
    unknown = run("explain", "no-such-thing", "--lesson", "00")
    assert unknown.returncode == 2 and "rlcourse exercises" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("build", "77"), '"77"'),
        (("exercises", "--lesson", "seven"), '"seven"'),
        (("verify", "no such.ipynb"), "no such.ipynb"),
        (("verify", "README.md"), "README.md"),
        (("verify", "notebooks"), "no notebook of the course in notebooks"),
        (("progress", "no/such/folder"), "no/such/folder"),
        (("progress", "rlcourse"), "rlcourse"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_status_2(tmp_path, arguments, named):
    course = tmp_path / "course"
    for folder in ("rlcourse", "solutions", "notebooks"):
        (course / folder).mkdir(parents=True)
    (course / "solutions" / "00_start.py").write_text("# %%\n")
    (course / "README.md").write_text("# Not a notebook\n")
    told = run(*arguments, cwd=course)
    assert told.returncode == 2
    assert told.stdout == ""
    assert named in told.stderr
    assert "Traceback" not in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [("bild",), ("verify",), ("progress", "--timeout", "soon")])
def test_a_slip_on_the_command_line_is_status_2(arguments):
    told = run(*arguments)
    assert told.returncode == 2
    assert "Traceback" not in told.stderr


@pytest.fixture
def checkout(tmp_path):
    """A small checkout with one lesson of no exercises."""
    for folder in ("rlcourse/exercises", "solutions", "notebooks"):
        (tmp_path / folder).mkdir(parents=True)
    source = tmp_path / "solutions" / "77_trial.py"
    source.write_text("# %% [markdown]\n# # 77 · A trial\n\n# %%\nx = 1\n\n" + FORM)
    return tmp_path


def test_build_then_check(checkout):
    notebook = checkout / "notebooks" / "77_trial.ipynb"
    before = run("build", "--check", cwd=checkout)
    assert (before.returncode, notebook.exists()) == (1, False)
    assert "77_trial.ipynb is out of date" in before.stdout
    assert run("build", cwd=checkout).returncode == 0
    assert run("build", "--check", "77", cwd=checkout / "solutions").returncode == 0
    notebook.write_text(notebook.read_text().replace("x = 1", "x = 2"))
    assert run("build", "--check", cwd=checkout).returncode == 1
    assert "x = 2" in notebook.read_text()


def test_build_keeps_what_somebody_wrote_until_it_is_told_otherwise(checkout):
    notebook = checkout / "notebooks" / "77_trial.ipynb"
    run("build", cwd=checkout)
    notebook.write_text(notebook.read_text().replace("x = 1", "x = 2"))
    refused = run("build", cwd=checkout)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "77_trial.ipynb: 1 cell of one's own" in refused.stderr and "--force" in refused.stderr
    assert "x = 2" in notebook.read_text()
    assert run("build", "--force", cwd=checkout).returncode == 0
    assert "x = 1" in notebook.read_text()
    assert "x = 2" in notebook.with_name("77_trial.ipynb.bak").read_text()


def test_the_help_lists_what_authors_need_last():
    told = run("--help").stdout
    assert told.index("For authors") > max(told.index(f" {name} ") for name in ("verify", "report"))
    assert "│ build " in told[told.index("For authors") :]


def test_check_names_a_notebook_without_a_source(checkout):
    run("build", cwd=checkout)
    shutil.copy(checkout / "notebooks" / "77_trial.ipynb", checkout / "notebooks" / "78_gone.ipynb")
    told = run("build", "--check", cwd=checkout)
    assert told.returncode == 1
    assert "78_gone.ipynb has no source" in told.stdout


def test_a_refused_lesson_keeps_every_notebook_as_it_was(checkout):
    (checkout / "solutions" / "78_bad.py").write_text("# %%\n### BEGIN SOLUTION\n")
    told = run("build", cwd=checkout)
    assert told.returncode == 2
    assert told.stderr.startswith("78_bad.py, cell 1 (line 1): ")
    assert list((checkout / "notebooks").iterdir()) == []


def test_outside_a_checkout_the_package_says_where_it_is(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert paths.root() == ROOT


# As on a Windows that writes in its old alphabet, and on a Linux that was told nothing.
OLD_ALPHABETS = [
    {"PYTHONIOENCODING": "cp1252"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize(
    "alphabet",
    [OLD_ALPHABETS[0], pytest.param(OLD_ALPHABETS[1], marks=pytest.mark.full)],
    ids=["cp1252", "ascii"],
)
def test_any_alphabet_and_any_folder_will_do(alphabet, tmp_path):
    folder = tmp_path / "Мой курс – été"

    def in_it(*arguments, cwd=tmp_path):
        command = [sys.executable, "-m", "rlcourse", *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "0"} | alphabet
        return subprocess.run(command, capture_output=True, cwd=cwd, env=environment)

    assert in_it("start", folder).returncode == 0
    for lesson in checker.lessons()[1:]:
        next(folder.glob(f"{lesson}_*")).unlink()
    for arguments in (("progress",), ("reset", "0.1")):
        told = in_it(*arguments, cwd=folder)
        assert (told.returncode, told.stderr) == (0, b""), told.stderr.decode("utf-8", "replace")
        assert told.stdout
    tried = in_it("show", "0.1", cwd=folder)
    assert tried.returncode == 2 and b"Traceback" not in tried.stderr


@pytest.mark.full
@pytest.mark.parametrize("alphabet", OLD_ALPHABETS, ids=["cp1252", "ascii"])
def test_verify_in_any_alphabet(alphabet, tmp_path):
    folder = tmp_path / "Мой курс – été"
    assert run("start", folder).returncode == 0
    command = [sys.executable, "-m", "rlcourse", "verify", "00"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "0"} | alphabet
    told = subprocess.run(command, capture_output=True, cwd=folder, env=environment)
    assert told.returncode == 1, told.stderr.decode("utf-8", "replace")
    assert b"0 of 5 solved" in told.stdout and told.stdout.count(b"not written yet") == 5


def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m rlcourse exercises --json | head -n 1"
    told = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT)
    assert told.stdout == "[\n"
    assert told.stderr == ""


def test_typer_and_rich_are_only_for_the_command_line():
    program = (
        "import sys; import rlcourse.lessons.paths, rlcourse.lessons.notebook, rlcourse.lessons.build, rlcourse.lessons.verify\n"
        "print(*sorted({'typer', 'rich', 'torch', 'jupytext', 'IPython'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert re.fullmatch(r"\s*", told.stdout), told.stdout
