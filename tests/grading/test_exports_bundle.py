"""The autograder bundle, run as Gradescope runs it: its folders, its two scripts, its results.json."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from test_exports import GRADESCOPE, rlcourse

from rlcourse import checker
from rlcourse.lessons.build import build_notebook
from rlcourse.lessons.notebook import exercise_in

SOURCE = next((Path(__file__).parents[2] / "solutions").glob("05_*.py"))
POINTS = sum(checker.get(name).points for name in checker.names("05"))
METADATA = {"id": 5, "users": [{"email": "ada@x.org", "id": 3, "name": "Ada"}]}

# What an image has before setup.sh: here they only write down how they were called, and the Python
# of the "virtual environment" is the one that runs these tests.
TOOLS = {
    "apt-get": 'echo "apt-get $*" >> "$LOG"',
    "python3": """
case "$1 $2" in
    "-m venv")
        mkdir -p "$3/bin"
        printf '#!/bin/sh\\n[ "$2" = pip ] && echo "pip $*" >> "$LOG" && exit\\nexec {python} "$@"\\n' > "$3/bin/python"
        chmod +x "$3/bin/python" ;;
    *) exec {python} "$@" ;;
esac""".replace("{python}", sys.executable),
}


@pytest.fixture(scope="module")
def gradescope(tmp_path_factory):
    """(/autograder after the image was built, the environment, what the tools were asked for)."""
    home = tmp_path_factory.mktemp("gradescope")
    autograder, tools, log = home / "autograder", home / "tools", home / "log"
    process = rlcourse(
        "bundle", "05", "--out", home / "autograder.zip", "--secret", "of the course"
    )
    assert process.returncode == 0, process.stderr
    for folder in (autograder / "source", tools):
        folder.mkdir(parents=True)
    for name, script in TOOLS.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    # unzip keeps the permissions that the archive names; zipfile does not.
    with zipfile.ZipFile(home / "autograder.zip") as archive:
        for info in archive.infolist():
            Path(archive.extract(info, autograder / "source")).chmod(info.external_attr >> 16)
    environment = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "LOG": str(log)}
    setup = subprocess.run(
        [autograder / "source" / "setup.sh"],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert setup.returncode == 0, setup.stderr
    script = autograder / "run_autograder"
    script.write_bytes((autograder / "source" / "run_autograder").read_bytes())
    script.chmod(0o755)
    return autograder, environment, log.read_text()


def graded(gradescope, files, metadata=METADATA):
    """results.json of a submission: a name -> content."""
    autograder, environment, _ = gradescope
    for folder in ("submission", "results"):
        subprocess.run(["rm", "-rf", autograder / folder], check=True)
        (autograder / folder).mkdir()
    for name, content in files.items():
        (autograder / "submission" / name).parent.mkdir(parents=True, exist_ok=True)
        (autograder / "submission" / name).write_text(content, encoding="utf-8")
    (autograder / "submission_metadata.json").write_text(json.dumps(metadata))
    run = subprocess.run(
        [autograder / "run_autograder"], env=environment, cwd="/", capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    tree = json.loads((autograder / "results" / "results.json").read_text("utf-8"))
    jsonschema.validate(tree, GRADESCOPE)
    return tree


def notebook(answer=None):
    """The solved lesson, with another q_learning_target if one is given."""
    made = build_notebook(SOURCE, solved=True)
    for cell in made.cells:
        if answer is not None and exercise_in(cell) == "q_learning_target":
            cell.source = (
                f"def q_learning_target(reward, q_next, terminated, gamma):\n    {answer}\n"
            )
    return nbformat.writes(made)


def test_the_image_is_built_from_what_the_bundle_lists(gradescope):
    _, _, log = gradescope
    assert re.search(r"apt-get install .*\bbubblewrap\b", log)
    assert re.search(r"pip .*-r \S*/source/requirements.txt", log)


@pytest.mark.full
def test_a_right_and_a_wrong_answer(gradescope):
    right = graded(gradescope, {"my homework (1).ipynb": notebook()})
    assert right["score"] == POINTS and len(right["tests"]) == len(checker.names("05"))
    wrong = graded(
        gradescope, {"a/b/05.ipynb": notebook("return reward + gamma * q_next.max(axis=1)")}
    )
    assert wrong["score"] == POINTS - 1
    (test,) = [test for test in wrong["tests"] if test["status"] == "failed"]
    assert test["name"] == "q_learning_target" and test["tags"] == ["bootstraps-terminal"]


@pytest.mark.parametrize(
    "files", [{}, {"essay.txt": "dear teacher"}, {"05.ipynb": "not a notebook"}]
)
def test_what_cannot_be_marked_gets_no_points_and_a_reason(gradescope, files):
    tree = graded(gradescope, files, metadata={})
    assert tree["score"] == 0 and "could not be marked" in tree["output"]


def test_a_submission_cannot_put_modules_in_the_graders_way(gradescope):
    poison = "raise SystemExit('poisoned')"
    files = {"05.ipynb": notebook(), "rich.py": poison, "rlcourse/__init__.py": poison}
    assert graded(gradescope, files)["score"] == POINTS


@pytest.mark.full
def test_the_requirements_are_all_that_grading_imports(gradescope):
    autograder, environment, _ = gradescope
    graded(gradescope, {"05.ipynb": notebook()})
    script = (
        "import sys, runpy; sys.argv = ['x', sys.argv[1]]\n"
        "runpy.run_module('rlcourse.grading.exports.gradescope', run_name='__main__')\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, autograder],
        env=environment | {"PYTHONPATH": str(autograder / "source")}, cwd=autograder,
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    belongs = importlib.metadata.packages_distributions()
    imported = {canonicalize_name(d) for m in run.stdout.split() for d in belongs.get(m, ())}
    lines = (autograder / "source" / "requirements.txt").read_text().splitlines()
    allowed, todo = set(), [Requirement(line).name for line in lines]
    while todo:
        name = canonicalize_name(todo.pop())
        if name not in allowed:
            allowed.add(name)
            needed = map(Requirement, importlib.metadata.requires(name) or ())
            todo += [r.name for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    assert {"numpy", "rich"} <= imported
    assert imported - allowed - {"rlcourse", "pip", "setuptools"} == set()


def test_the_bundle_holds_the_course_and_nothing_else(tmp_path):
    for name in ("a.zip", "b.zip"):
        told = rlcourse("bundle", "5", "--secret", "s", "--out", tmp_path / name)
        assert told.returncode == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert rlcourse("bundle", "5", "--out", tmp_path / "drawn.zip").returncode == 0
    with zipfile.ZipFile(tmp_path / "drawn.zip") as archive:
        assert len(json.loads(archive.read("settings.json"))["secret"]) == 32
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names = archive.namelist()
        assert json.loads(archive.read("settings.json"))["lesson"] == "05"
    assert {"setup.sh", "run_autograder", "rlcourse/grading/worker.py"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or "solutions" in name]
    process = rlcourse("bundle", "77", "--out", tmp_path / "c.zip")
    assert process.returncode == 2 and "77" in process.stderr and not (tmp_path / "c.zip").exists()
    process = rlcourse("bundle", "05", "--out", tmp_path)
    assert process.returncode == 2 and "is a folder" in process.stderr
    process = rlcourse("bundle", "05", "--out", tmp_path / "no" / "where.zip")
    assert process.returncode == 2 and "where.zip" in process.stderr
