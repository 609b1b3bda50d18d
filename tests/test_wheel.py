"""The course as a student gets it from `pip install`: a wheel in an environment of its own, no checkout."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import nbformat
import pytest

from rlcourse import __version__, checker
from rlcourse.lessons.build import build_notebook
from rlcourse.lessons.notebook import exercise_in

ROOT = Path(__file__).parents[1]
SOLVED = ("00", "05")

pytestmark = pytest.mark.full


def run(*command, cwd, **more):
    told = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        **more,
    )
    assert told.returncode == 0, f"{command}:\n{told.stdout}\n{told.stderr}"
    return told.stdout


def sources(folder):
    """A copy of what git would give to somebody, so that building leaves nothing in the checkout."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def built(source, out):
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source, cwd=source)
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built(sources(tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def newer(tmp_path_factory):
    """The next release: lesson 00 has a sentence more, and everything else is as it was."""
    folder = sources(tmp_path_factory.mktemp("next"))
    package = folder / "rlcourse" / "__init__.py"
    package.write_text(package.read_text(encoding="utf-8").replace(__version__, "99.0"))
    (path,) = (folder / "notebooks").glob("00_*.ipynb")
    nb = nbformat.read(path, 4)
    nb.cells[0].source += "\n\nA sentence of the next release."
    nbformat.write(nb, path)
    return built(folder, tmp_path_factory.mktemp("next-dist"))


def install(wheel, python):
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    run(*pip, "--no-index", "--disable-pip-version-check", wheel, cwd=wheel.parent)


def link(source, target):
    with contextlib.suppress(OSError):
        return os.link(source, target)
    return shutil.copy2(source, target)  # on another file system


@pytest.fixture(scope="module")
def student(wheel, tmp_path_factory):
    """rlcourse(…) in an environment that has the dependencies as they are here, and the wheel."""
    home = tmp_path_factory.mktemp("student")
    venv = home / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=home)
    here = Path(sysconfig.get_path("purelib"))
    there = venv / here.relative_to(sys.prefix)
    for entry in here.iterdir():
        if "rlcourse" in entry.name or entry.name == "__pycache__":
            continue
        if entry.is_dir():
            shutil.copytree(entry, there / entry.name, copy_function=link)
        else:
            link(entry, there / entry.name)
    install(wheel, venv / "bin" / "python")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
    environment["COLUMNS"] = "200"  # no sentence is broken in two

    def rlcourse(*arguments, cwd=home):
        return run(venv / "bin" / "rlcourse", *arguments, cwd=cwd, env=environment)

    rlcourse.home, rlcourse.python = home, venv / "bin" / "python"
    asked = "import rlcourse; print(rlcourse.__file__)"
    where = run(rlcourse.python, "-c", asked, cwd=home, env=environment)
    assert where.startswith(str(venv))
    yield rlcourse
    shutil.rmtree(venv)


def test_the_wheel_and_the_source_carry_every_lesson(wheel):
    run(sys.executable, "-m", "twine", "check", "--strict", *wheel.parent.iterdir(), cwd=ROOT)
    inside = set(zipfile.ZipFile(wheel).namelist())
    lessons = {
        f"rlcourse/course/{path.relative_to(ROOT).as_posix()}"
        for pattern in ("notebooks/*.ipynb", "solutions/*.py")
        for path in ROOT.glob(pattern)
    }
    assert lessons == {name for name in inside if name.startswith("rlcourse/course/")}
    package = {p.relative_to(ROOT).as_posix() for p in (ROOT / "rlcourse").rglob("*.py")}
    assert package <= inside
    assert not [name for name in inside if name.startswith(("tests", "benchmarks", "docs"))]
    (source,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"notebooks/00_start_here.ipynb", "solutions/00_start_here.py", "setup.py"} <= names


def answered(path):
    """Put every answer of the lesson into the student's notebook."""
    (source,) = (ROOT / "solutions").glob(f"{path.name[:2]}_*.py")
    answers = {exercise_in(cell): cell.source for cell in build_notebook(source, solved=True).cells}
    nb = nbformat.read(path, 4)
    for cell in nb.cells:
        if exercise_in(cell):
            cell.source = answers[exercise_in(cell)]
    nbformat.write(nb, path)


def test_a_course_from_its_first_day_to_its_update(student, newer):
    folder = student.home / "Мой курс"
    student("start", folder)
    notebooks = {path.name[:2]: path for path in folder.glob("*.ipynb")}
    assert set(notebooks) == set(checker.lessons())
    for lesson in SOLVED:
        answered(notebooks[lesson])
        total = len(checker.names(lesson))
        assert f"{total} of {total} solved" in student("verify", lesson, cwd=folder)
    solved = sum(len(checker.names(lesson)) for lesson in SOLVED)
    assert f"{solved} of {len(checker.names())} exercises solved" in student("progress", cwd=folder)
    assert "NotImplementedError" not in student("show", "5.4", cwd=folder)

    handed_in = student.home / "submissions"
    (handed_in / "anna").mkdir(parents=True)
    shutil.copy(notebooks["05"], handed_in / "anna")
    student("grade", "05", handed_in, "--out", student.home / "graded")
    result = json.loads((student.home / "graded" / "results.json").read_text(encoding="utf-8"))
    (record,) = result["submissions"]
    assert record["score"] == sum(exercise.points for exercise in checker.lesson("05"))

    before = nbformat.read(notebooks["00"], 4)
    assert "Nothing is new" in student("update", cwd=folder)
    install(newer, student.python)
    told = student("update", cwd=folder)
    assert told.startswith("00_start_here.ipynb: 1 text") and "05_" not in told
    after = nbformat.read(notebooks["00"], 4)
    assert after.cells[0].source.endswith("A sentence of the next release.")
    assert [cell.source for cell in after.cells[1:]] == [cell.source for cell in before.cells[1:]]
