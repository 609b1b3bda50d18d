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

from rlcourse import paths
from rlcourse.notebook import exercise_in, is_untouched, lesson_in, read_notebook
from rlcourse.paths import UsageError

if TYPE_CHECKING:
    from nbformat import NotebookNode

SECONDS_PER_EXERCISE = 20.0
# Importing a lesson's declarations, torch among them, is not the answer's time.
_SECONDS_TO_START = 60.0
SOLVED, OPEN = "passed", "not attempted"


@dataclass
class Standing:
    """One exercise: state "passed", "failed", "not attempted", "timeout" or "crash"."""

    name: str
    number: str
    points: float
    state: str = OPEN
    reason: str = ""


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
            standing.exercises.append(Standing(name, exercise.number, exercise.points))
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


# ------------------------------------------------------------------------------------ the answers


def definitions(nb: NotebookNode) -> list[str]:
    """The source of the answers, and of the imports and helpers that they use, in order."""
    kept: list[tuple[bool, str, set[str], set[str]]] = []
    for cell in nb.cells:
        if cell.cell_type != "code":
            continue
        try:
            body = ast.parse(cell.source).body
        except SyntaxError:
            continue
        if exercise_in(cell):
            kept.append((True, cell.source, set(), _used(*body)))
            continue
        for node in body:
            if bound := _bound(node):
                kept.append((False, ast.unparse(node), bound, _used(node)))
    needed = set().union(*(used for answer, _, _, used in kept if answer))
    while more := set().union(*(u for _, _, bound, u in kept if bound & needed)) - needed:
        needed |= more
    return [source for answer, source, bound, _ in kept if answer or bound & needed]


def _used(*nodes: ast.AST) -> set[str]:
    return {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}


def _bound(node: ast.stmt) -> set[str]:
    """The names that an import or a definition binds; nothing for code that does something."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    return set()


# ---------------------------------------------------------------------------------- the judgement


def _judge_lesson(standing: LessonStanding, nb: NotebookNode, seconds: float) -> None:
    """Fill in the states; a process that hangs or dies costs its exercise and no other."""
    cells = {exercise_in(cell): cell for cell in nb.cells if exercise_in(cell)}
    left = []
    for exercise in standing.exercises:
        cell = cells.get(exercise.name)
        if cell is None:
            exercise.state, exercise.reason = "failed", "its answer cell is missing"
            continue
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            exercise.state = "failed"
            exercise.reason = f"SyntaxError: {error.msg}, line {error.lineno}"
            continue
        # A cell as it was released needs no process to be called open.
        if not is_untouched(cell):
            left.append(exercise)
    sources = definitions(nb)
    known: dict[str, bool] = {e.name: False for e in standing.exercises if e not in left}
    while left:
        for exercise, (state, reason) in zip(
            list(left), _judged(sources, left, known, seconds), strict=False
        ):
            exercise.state, exercise.reason = state, reason
            known[exercise.name] = state == SOLVED
            left.remove(exercise)


def _judged(
    sources: list[str], exercises: list[Standing], known: dict[str, bool], seconds: float
) -> Iterator[tuple[str, str]]:
    """One verdict after the other from a worker; the last one may be that it did not answer."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "rlcourse.progress"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    lines: queue.Queue[bytes] = queue.Queue()

    def listen() -> None:
        for line in worker.stdout:
            lines.put(line)
        lines.put(b"")

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    task = {"sources": sources, "names": [e.name for e in exercises], "known": known}
    try:
        worker.stdin.write(json.dumps(task).encode())
        worker.stdin.close()
        limit = seconds + _SECONDS_TO_START
        for _ in exercises:
            try:
                line = lines.get(timeout=limit)
            except queue.Empty:
                yield "timeout", f"no answer after {seconds:g} seconds"
                return
            if not line:
                yield "crash", "the process ended before it answered"
                return
            yield tuple(json.loads(line))
            limit = seconds + 5  # The judge has its own clock, and says more; this one is the last.
    finally:
        worker.kill()
        worker.wait()
        listener.join()
        worker.stdout.close()


def _work() -> None:
    """The worker: answers to stdin's exercises, a JSON line each; what they print is dropped."""
    import contextlib

    from rlcourse import exercises

    task = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    namespace: dict[str, Any] = {"__name__": "answers"}
    for source in task["sources"]:
        # What fails here is missed by the exercise that needs it, and told there.
        with contextlib.suppress(Exception):
            exec(compile(source, "<answer>", "exec"), namespace)
    for name, solved in task["known"].items():
        if not solved:
            namespace[name] = exercises.get(name).reference
    for name in task["names"]:
        if name in namespace:
            verdict = exercises.judge(namespace[name], name)
            state, reason = verdict.state, "" if verdict.ok else verdict.headline
        else:
            state, reason = "failed", "its cell defines no function of this name"
        if state != SOLVED:
            # As in the notebook: later answers go on with the reference.
            namespace[name] = exercises.get(name).reference
        print(json.dumps([state, reason]), file=answers, flush=True)


if __name__ == "__main__":
    _work()
