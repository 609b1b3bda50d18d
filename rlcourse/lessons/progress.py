"""`rlcourse progress`: which exercises are solved, judged afresh.

Stored outputs say what was once shown, not what is there now; so the answers themselves are taken
from the notebooks and judged in processes of their own, each exercise with a time limit.
"""

from __future__ import annotations

import ast
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlcourse.lessons import paths
from rlcourse.lessons.clock import in_time, processor_seconds
from rlcourse.lessons.extract import extract_file
from rlcourse.lessons.notebook import exercise_in, is_untouched, lesson_in, read_notebook
from rlcourse.lessons.paths import UsageError

if TYPE_CHECKING:
    from nbformat import NotebookNode

SECONDS_PER_EXERCISE = 20.0
# Importing a lesson's declarations, torch among them, is not the answer's time.
_SECONDS_TO_START = 60.0
SOLVED, OPEN = "passed", "not attempted"


@dataclass
class Standing:
    """One exercise: state "passed", "failed", "not attempted", "timeout" or "crash"; seconds: that judging it
    may take at least, where an agent has to learn for it."""

    name: str
    number: str
    points: float
    state: str = OPEN
    reason: str = ""
    seconds: float = 0.0


@dataclass
class LessonStanding:
    """One lesson: its notebook, or None with the reason why there is none to look at."""

    lesson: str
    title: str
    notebook: Path | None
    problem: str = ""
    exercises: list[Standing] = field(default_factory=list)


def progress(
    folder: Path, registry: Any, seconds: float = SECONDS_PER_EXERCISE
) -> list[LessonStanding]:
    """Where the student stands in every lesson whose notebook is, or should be, in `folder`.

    Raises:
        UsageError: no such folder, or no notebook of the course in it.
    """
    files = paths.lesson_files(folder, ".ipynb")
    notebooks: dict[str, NotebookNode] = {}
    problems: dict[str, str] = {}
    for lesson, path in files.items():
        try:
            nb = read_notebook(path)
        except UsageError as error:
            problems[lesson] = str(error)
            continue
        if lesson_in(nb, path) == lesson:
            notebooks[lesson] = nb
    if not notebooks and not problems:
        raise UsageError(
            f"There is no notebook of the course in {folder}: "
            "give the folder of your notebooks, for example `rlcourse progress notebooks`."
        )
    standings = []
    for lesson in registry.lessons():
        nb = notebooks.get(lesson)
        problem = problems.get(lesson, "" if nb else f"no notebook of lesson {lesson} in {folder}")
        standing = LessonStanding(lesson, _title(nb), files.get(lesson), problem)
        for name in registry.names(lesson):
            exercise = registry.get(name)
            project = getattr(exercise, "project", None)
            standing.exercises.append(
                Standing(
                    name,
                    exercise.number,
                    exercise.points,
                    seconds=project.seconds if project else 0.0,
                )
            )
        standings.append(standing)
    ready = [s for s in standings if s.lesson in notebooks]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(lambda s: _judge_lesson(s, notebooks[s.lesson], seconds), ready))
    return standings


def _title(nb: NotebookNode | None) -> str:
    for cell in nb.cells if nb else ():
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            return cell.source.split("\n")[0].removeprefix("# ")
    return ""


# ---------------------------------------------------------------------------------- the judgement


def _judge_lesson(standing: LessonStanding, nb: NotebookNode, seconds: float) -> None:
    """Fill in the states; a process that hangs or dies costs its exercise and no other."""
    found = extract_file(standing.notebook, [e.name for e in standing.exercises])
    released = {exercise_in(cell) for cell in nb.cells if exercise_in(cell) and is_untouched(cell)}
    tasks: list[dict[str, Any]] = []
    for exercise in standing.exercises:
        name = exercise.name
        if name in found.problems:
            exercise.state, exercise.reason = "failed", found.problems[name]
        elif name not in found.programs:
            exercise.state, exercise.reason = "failed", "its answer cell is missing"
        elif name not in released:  # A cell as it was released needs no process to be called open.
            program = [_text(cell.source, chosen) for cell, chosen in found.programs[name]]
            tasks.append({"name": name, "program": program, "uses": found.uses.get(name, ()),
                          "seconds": max(seconds, exercise.seconds)})  # fmt: skip
    states = {exercise.name: exercise for exercise in standing.exercises}
    while tasks:
        solved = [e.name for e in standing.exercises if e.state == SOLVED]
        for state, reason in _judged(tasks, solved):
            exercise = states[tasks.pop(0)["name"]]
            exercise.state, exercise.reason = state, reason


def _text(source: str, chosen: list[int]) -> str:
    body = ast.parse(source).body
    return ast.unparse(ast.Module([body[index] for index in chosen], []))


def _judged(tasks: list[dict[str, Any]], solved: list[str]) -> Iterator[tuple[str, str]]:
    """One verdict after the other from a worker; the last one may be that it did not answer."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "rlcourse.lessons.progress"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    lines: queue.Queue[bytes] = queue.Queue()

    def line_within(left: float) -> bytes | None:
        try:
            return lines.get(timeout=left)
        except queue.Empty:
            return None

    def listen() -> None:
        for line in worker.stdout:
            lines.put(line)
        lines.put(b"")

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        worker.stdin.write(json.dumps({"tasks": tasks, "solved": solved}).encode())
        worker.stdin.close()
        starting = _SECONDS_TO_START
        for task in list(tasks):
            # The judge has its own clock, and says more; this one is the last.
            limit = task["seconds"] + starting
            line = in_time(line_within, lambda: processor_seconds(worker.pid), limit, None)
            if line is None:
                yield "timeout", f"no answer after {task['seconds']:g} seconds"
                return
            if not line:
                yield "crash", "the process ended before it answered"
                return
            yield tuple(json.loads(line))
            starting = 5.0
    finally:
        worker.kill()
        worker.wait()
        listener.join()
        worker.stdout.close()


def _work() -> None:
    """The worker: answers to stdin's exercises, a JSON line each; what they print is dropped."""
    from rlcourse import checker
    from rlcourse.checker.judging import CourseFault

    request = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    solved = set(request["solved"])
    for task in request["tasks"]:
        name = task["name"]
        namespace: dict[str, Any] = {"__name__": "answers"}
        problem = "its cell defines no function of this name"
        for source in task["program"]:
            try:
                exec(compile(source, "<answer>", "exec"), namespace)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}".split("\n")[0]
        # As in the notebook: where an answer that it calls is not right, the reference steps in.
        namespace |= {n: checker.get(n).reference for n in task["uses"] if n not in solved}
        state, reason = "failed", problem
        if name in namespace:
            try:
                verdict = checker.judge(namespace[name], name)
                state, reason = verdict.state, "" if verdict.ok else verdict.headline
            except CourseFault as fault:
                reason = f"could not be checked: {fault}"
        if state == SOLVED:
            solved.add(name)
        print(json.dumps([state, reason]), file=answers, flush=True)


if __name__ == "__main__":
    _work()
