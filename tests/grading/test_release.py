"""What students get of a lesson: nothing of the answers, nothing by accident."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import nbformat
import pytest
from nbformat import v4

from rlcourse import checker, cli
from rlcourse.grading import release
from rlcourse.grading.course_file import CourseFile, LessonRules
from rlcourse.lessons import build, paths
from rlcourse.lessons.notebook import exercise_in
from rlcourse.lessons.paths import UsageError

DUE = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
COURSE = CourseFile(
    name="Reinforcement learning", term="Winter", penalty=10, grace=15, late_days=3, attempts="best",
    lessons={"01": LessonRules(deadline=DUE, exercises=(checker.names("01")[0],), extra=(checker.names("01")[1],))},
    extensions={"jane": {"01": DUE + timedelta(days=7)}},
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("release") / "lesson 01"
    release.write(release.unsolved("01", COURSE), out)
    return out


def test_a_folder_to_work_in(folder):
    source = paths.lesson_files(paths.solutions_folder(), ".py")["01"]
    names = {p.name for p in folder.iterdir()}
    assert names == {f"{source.stem}.ipynb", "README.md", "requirements.txt"}
    nb = nbformat.read(folder / f"{source.stem}.ipynb", as_version=4)
    nbformat.validate(nb)
    answers = {c.exercise: build.solved_source(c.source) for c in build.read_cells(source) if c.role == "exercise"}  # fmt: skip
    cells = {exercise_in(cell): cell.source for cell in nb.cells if exercise_in(cell)}
    assert {*cells} == {*answers} == {*checker.names("01")}
    assert all("NotImplementedError" in cells[name] and cells[name] != answers[name] for name in cells)  # fmt: skip
    assert not any(cell.get("outputs") and "solved" in str(cell.outputs) for cell in nb.cells)


def test_no_link_leads_out_of_it(folder):
    (notebook,) = folder.glob("*.ipynb")
    assert ".ipynb" not in "".join("".join(c["source"]) for c in json.loads(notebook.read_text())["cells"] if c["cell_type"] == "markdown")  # fmt: skip


def test_the_readme_says_what_is_asked(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    first, second, third = (checker.get(name) for name in checker.names("01")[:3])
    assert f"| {first.number} | `{first.name}` | {first.points:g} |" in text
    assert f"`{second.name}` | {second.points:g} (extra credit) |" in text
    assert f"`{third.name}` | not asked |" in text and f"\n{first.points:g} points." in text
    for said in ("Friday, 20 November 2026, 23:59** (UTC)", "15 minutes", "10 %", "3 days late are free", "the best counts"):  # fmt: skip
        assert said in text
    plain = release._readme("01", "01.ipynb", CourseFile())
    assert "Due" not in plain and "not asked" not in plain


def test_nothing_else_goes_out_with_it(tmp_path):
    made = release.Release({"a.ipynb": "new", "README.md": "new"}, [])
    out = tmp_path / "out"
    release.write(made, out)
    release.write(made, out)  # an earlier release of the same
    (out / "a_solved.ipynb").write_text("answers")
    with pytest.raises(UsageError, match="give a folder of its own"):
        release.write(made, out)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        release.write(made, tmp_path / "file")


@pytest.mark.parametrize("hours", [-1, 7 * 24, 7 * 24 + 0.2])
def test_the_answers_wait_for_the_last_who_may_hand_in(hours):
    with pytest.raises(UsageError, match="2026-11-28 00:14 for jane, so its answers stay here: with --early"):  # fmt: skip
        release.solved("01", COURSE, now=DUE + timedelta(hours=hours))


def test_the_answers_after_it(monkeypatch):
    """A notebook of two cells in the lesson's place: to run one is for the last test."""
    built = []

    def build_notebook(source, solved):
        cells = [v4.new_markdown_cell("[Lesson 00](00_start.ipynb#eq-0.1)"), v4.new_code_cell("1 + 1")]  # fmt: skip
        built.append((source.stem, solved))
        return v4.new_notebook(cells=cells)

    monkeypatch.setattr(release.build, "build_notebook", build_notebook)
    monkeypatch.setattr(release.running, "run", lambda nb, folder: None)
    for now, early in ((DUE + timedelta(days=8), False), (DUE, True)):
        made = release.solved("01", COURSE, now=now, early=early)
    (stem, solved), _ = built
    assert solved and made.files.keys() == {f"{stem}_solved.ipynb", f"{stem}_solved.html"}
    cells = json.loads(made.files[f"{stem}_solved.ipynb"])["cells"]
    assert "".join(cells[0]["source"]) == "Lesson 00"
    assert "<html" in made.files[f"{stem}_solved.html"] and "00_start" not in str(made.files)


def test_a_lesson_that_is_not_there():
    with pytest.raises(UsageError, match="77"):
        release.unsolved("77", CourseFile())


@pytest.mark.full
def test_the_command_releases_twice(tmp_path, monkeypatch, capsys):
    (tmp_path / "course.toml").write_text("[lessons.01]\ndeadline = 2000-01-01T12:00:00\n")
    for more in ((), ("--solved",)):
        out = tmp_path / f"out{len(more)}"
        with pytest.raises(SystemExit) as left:
            cli.main(["release", "01", "--out", str(out), "--course", str(tmp_path), *more])
        assert left.value.code == 0, capsys.readouterr().err
    (solved,) = (tmp_path / "out1").glob("*.ipynb")
    nb = nbformat.read(solved, as_version=4)
    checks = [cell for cell in nb.cells if cell.cell_type == "code" and "check(" in cell.source]
    assert checks and all("✓" in str(cell.outputs) for cell in checks if " = check(" in cell.source)
    (page,) = (tmp_path / "out1").glob("*.html")
    assert "NotImplementedError" not in page.read_text(encoding="utf-8")
