"""`rlcourse verify`: a completed notebook through nbval, with what right answers show at the checks.

A temporary copy takes the student's cells and puts every check cell back, with the output that a right
answer gives, so whatever a notebook was saved with, it is held against the right answer.
The module is also the pytest plugin that reports each cell to the parent, line by line.
"""

from __future__ import annotations

import ast
import copy
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlcourse.lessons.extract import Extraction, extract_file
from rlcourse.lessons.notebook import (
    GOES_ON,
    check_in,
    check_source,
    lesson_by_exercises,
    lesson_in,
    read_notebook,
)
from rlcourse.lessons.paths import UsageError, lesson_files
from rlcourse.lessons.running import ONE_THREAD
from rlcourse.lessons.scratch import temporary_folder

if TYPE_CHECKING:
    from nbformat import NotebookNode

SECONDS_PER_CELL = 120.0


@dataclass(frozen=True)
class Answer:
    """What came of one exercise; `reason` is the first line of the check's diagnosis.

    why: what a mistake that is known by name means, and what to try next.
    """

    name: str
    number: str
    solved: bool
    reason: str = ""
    why: str = ""


@dataclass
class Report:
    """What came of one notebook; `errors` are cells that failed besides the checks."""

    path: Path
    answers: list[Answer] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.errors and all(answer.solved for answer in self.answers)


@dataclass
class Submission:
    """A notebook of the course that can be run: its lesson, and the copy with the checks put back.

    missing: exercise -> why it is not solved, whatever is shown: a cell is missing, or is no Python;
    names: the exercises that are asked for.
    """

    path: Path
    lesson: str
    copy: NotebookNode
    missing: dict[str, str]
    names: tuple[str, ...]


def notebooks_in(path: Path) -> list[Path]:
    """A notebook itself, or those of the course in a folder, in order. Raises UsageError if it has none."""
    if not path.is_dir():
        return [path]
    found = list(lesson_files(path, ".ipynb").values())
    if not found:
        raise UsageError(
            f"There is no notebook of the course in {path}: they are named NN_topic.ipynb."
        )
    return found


def open_submission(path: Path, registry: Any, only: Collection[str] = ()) -> Submission:
    """Read a student's notebook and put back the released checks; the file is not touched.

    only: exercises, by name or number ("5.4"): then nothing is run but what their answers need.

    Raises:
        UsageError: not a file, not a notebook, not one of this course, or without such an exercise.
    """
    nb = read_notebook(path)
    lesson = _lesson(nb, path, registry)
    if lesson not in registry.lessons():
        raise UsageError(
            f"{path} is not a lesson of this course: "
            f"give a notebook of lesson {', '.join(registry.lessons())}."
        )
    found = extract_file(path, registry.names(lesson))
    missing = {name: f"its cell {problem}" for name, problem in found.problems.items()}
    for name in registry.names(lesson):
        if name not in found.programs and name not in found.problems:
            missing[name] = "its answer cell is missing"
        elif not any(check_in(cell) == name for cell in nb.cells):
            missing[name] = "its check cell is missing"
    names, copied = registry.names(lesson), released_copy(nb, lesson, registry)
    if only:
        names = _chosen(only, path, lesson, registry)
        copied = _only(copied, names, found)
    return Submission(path, lesson, copied, missing, names)


def _lesson(nb: NotebookNode, path: Path, registry: Any) -> str | None:
    """By its metadata, else by the exercises in it, else by the file's name."""
    course = nb.metadata.get("rlcourse", {}).get("lesson")
    if course in registry.lessons():
        return course
    found = lesson_by_exercises(nb, registry.names, registry.lessons())
    return found or lesson_in(nb, path)


def _chosen(only: Collection[str], path: Path, lesson: str, registry: Any) -> tuple[str, ...]:
    known = {text: n for n in registry.names(lesson) for text in (n, registry.get(n).number)}
    for text in only:
        if text not in known:
            numbers = ", ".join(registry.get(name).number for name in registry.names(lesson))
            raise UsageError(f'{path} has no exercise "{text}": choose from {numbers}.')
    return tuple(dict.fromkeys(known[text] for text in only))


def _only(nb: NotebookNode, names: Collection[str], found: Extraction) -> NotebookNode:
    """What the answers to these exercises need, cell by cell, with their checks.

    An exercise whose function an answer calls comes with its own check, which hands the reference on.
    """
    from nbformat import v4

    needed = {*names}
    asked = list(names)
    while asked:
        more = set(found.uses.get(asked.pop(), ())) - needed
        needed |= more
        asked += more
    chosen: dict[int, set[int]] = {}
    for name in needed:
        for cell, indices in found.programs.get(name, ()):
            chosen.setdefault(cell.number, set()).update(indices)
    sources = {cell.number: cell.source for n in needed for cell, _ in found.programs.get(n, ())}
    cells = [v4.new_code_cell("from rlcourse.checker import check")]
    for number, cell in enumerate(nb.cells, start=1):
        if number in chosen:
            body = ast.parse(sources[number]).body
            kept = ast.Module([body[index] for index in sorted(chosen[number])], [])
            cells.append(v4.new_code_cell(ast.unparse(kept)))
        if check_in(cell) in needed:
            cells.append(cell)
    nb.cells = cells
    return nb


def released_copy(nb: NotebookNode, lesson: str, registry: Any) -> NotebookNode:
    """The notebook with the checks as released, what they should show, and nothing else to compare."""
    from nbformat import v4

    nb = copy.deepcopy(nb)
    known = registry.names(lesson)
    for cell in nb.cells:
        if cell.cell_type != "code":
            continue
        tags = cell.metadata.get("tags", [])
        # `raises-exception` lets Run All go on in JupyterLab; here a cell that stops is told.
        cell.metadata["tags"] = [
            tag for tag in tags if tag != GOES_ON and not str(tag).startswith("nbval-")
        ]
        cell.outputs, cell.execution_count = [], None
        name = check_in(cell)
        if name in known:
            cell.source = check_source(name)
            cell.metadata["tags"] = ["nbval-check-output"]
            cell.execution_count = 1
            bundle = dict(registry.expected_output(name))
            cell.outputs = [v4.new_output("display_data", data=bundle)]
    return nb


def verify(
    submission: Submission,
    registry: Any,
    seconds: float = SECONDS_PER_CELL,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Run the notebook and say of each exercise whether it is solved.

    `seconds` is the limit for one cell; `progress` is told after every cell.
    """
    cells = [cell for cell in submission.copy.cells if cell.cell_type == "code"]
    names = submission.names
    records = _run(submission, seconds, lambda done: progress(done, len(cells)))
    report = Report(submission.path)
    reasons: dict[str, str] = {}
    late, echoes = "", 0  # the first cell that took too long, and what failed for want of it
    for index, cell in enumerate(cells):
        name = check_in(cell)
        record = records.get(index, {"failed": True, "reason": "was not reached"})
        if not record["failed"]:
            continue
        reason = record["reason"]
        if record.get("late"):
            late = late or f"code cell {index + 1}"
            reason = f"took longer than {seconds:g} seconds; --timeout gives it more"
        elif late and reason.startswith(("NameError", "was not reached")):
            reason, echoes = f"was not judged, because {late} took too long", echoes + 1
            if name not in names:
                continue
        if name in names:
            reasons.setdefault(name, reason)
        else:
            report.errors.append(f"code cell {index + 1}: {reason}")
    if echoes:
        report.errors.append(f"{echoes} later cells failed for want of what {late} would have made")
    for name in names:
        exercise, reason = registry.get(name), submission.missing.get(name) or reasons.get(name, "")
        report.answers.append(
            Answer(name, exercise.number, not reason, reason, _why(exercise, reason))
        )
    return report


def _why(exercise: Any, reason: str) -> str:
    """What a mistake means whose name is a diagnosis; of another diagnosis nothing."""
    named = reason.removeprefix("first: ")
    mistake = next((m for m in exercise.mistakes if m.name == named), None)
    return f"{mistake.why} Try: {mistake.instead}" if mistake else ""


def _run(
    submission: Submission, seconds: float, progress: Callable[[int], None]
) -> dict[int, dict[str, Any]]:
    """Run nbval on the copy in a folder of its own; a record for each code cell that was reached."""
    import nbformat

    with temporary_folder() as folder:
        notebook, records, log = (folder / n for n in ("lesson.ipynb", "cells.jsonl", "log.txt"))
        notebook.write_text(nbformat.writes(submission.copy), encoding="utf-8")
        (folder / "pytest.ini").write_text("[pytest]\n")
        records.touch()
        package = str(Path(__file__).resolve().parents[2])
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        environment |= ONE_THREAD | {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
            "RLCOURSE_VERIFY_RECORDS": str(records),
        }
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider"),
            *(
                "-p",
                "nbval.plugin",
                "-p",
                "rlcourse.lessons.verify",
                "-c",
                str(folder / "pytest.ini"),
            ),
            *("--rootdir", str(folder), "--nbval-lax", "--nbval-current-env"),
            *(f"--nbval-cell-timeout={seconds:g}", "--color=no", str(notebook)),
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                while process.poll() is None:
                    progress(len(_records(records)))
                    time.sleep(0.1)
            finally:
                _stop(process)
        found = _records(records)
        progress(len(found))
        # 0: all as released, 1: some cell is not. Anything else is no verdict on the notebook.
        if process.returncode not in (0, 1):
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise UsageError(
                f"{submission.path} could not be run: {lines[-1] if lines else 'pytest stopped'}. "
                "Install the course again, with `make setup` or pip."
            )
        return found


def _records(path: Path) -> dict[int, dict[str, Any]]:
    # The last line may still be on its way.
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return {record["cell"]: record for record in map(json.loads, lines)}


def _stop(process: subprocess.Popen) -> None:
    """End pytest, which ends the kernel; the whole session if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# ------------------------------------------------------------------------------ the pytest plugin


def pytest_runtest_makereport(item: Any, call: Any) -> None:
    """Append what came of one cell to the parent's file."""
    if call.when != "call" or "RLCOURSE_VERIFY_RECORDS" not in os.environ:
        return
    record = {"cell": item.cell_num, "failed": call.excinfo is not None, "reason": ""}
    if call.excinfo is not None:
        record["reason"] = _reason(item.test_outputs or [], call.excinfo.value)
        record["late"] = "Timeout of" in str(call.excinfo.value)
    with open(os.environ["RLCOURSE_VERIFY_RECORDS"], "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def _reason(outputs: Iterable[dict[str, Any]], error: BaseException) -> str:
    """One line: the exception, else the first line of the diagnosis, else nbval's message."""
    for output in outputs:
        if output["output_type"] == "error" and output["ename"] != "KeyboardInterrupt":
            return f"{output['ename']}: {output['evalue']}".split("\n")[0][:200]
    for output in outputs:
        shown = output.get("data", {}).get("text/plain", "")
        if shown.startswith(("✗", "○", "!")):
            # "✗ 5.3 q_learning_target: no-mask": the name is said beside it already.
            return re.sub(r"^. (?:[\d.]+ )?\w+: ", "", shown.split("\n")[0])
    return str(error).split("\n")[0]
