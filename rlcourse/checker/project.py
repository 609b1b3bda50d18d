"""The verdict on a project: which rule was broken, or how many runs reached the mark (lesson 20)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rlcourse.lab.budget import RUNS, Task
from rlcourse.lab.progress import counter

from .declaration import Exercise
from .faults import failed_run
from .judging import FAILED, NOT_ATTEMPTED, PASSED, Verdict
from .playing import names_in, reachable
from .timing import SECONDS_A_RUN
from .trials import (
    Broken,
    Failed,
    LocalStudent,
    Report,
    Seeds,
    Student,
    keeps_rules,
    run_test,
    trial_steps,
)

TRIALS = 3  # trainings in which the rules are looked at
RULES = 2  # points for the rules; the rest is for the test


@dataclass(frozen=True)
class Project:
    """How an exercise is judged that is a project. task_of: which task an answer has chosen; raises NoTask.

    finished: modules whose functions are not to be used, as "rlcourse.values".
    """

    task_of: Callable[[Callable[..., Any]], Task]
    finished: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Of the processor, that judging may take at most: the trials, and every run."""
        return (TRIALS + RUNS) * SECONDS_A_RUN

    def judge(
        self, function: Any, exercise: Exercise, entropy: int | Sequence[int], test: bool = True
    ) -> Verdict:
        """The verdict on a function in this process. test: False looks at the rules alone."""
        try:
            task = self.task_of(function)
        except NoTask as reason:
            return _told(
                exercise, "form", "no task", str(reason), "Choose one of the table above the cell."
            )
        if used := reaches_for(function, self.finished):
            return broken(exercise, Broken("finished-agent", f"It uses `{used}`."))
        with _watched(test) as tell:
            return verdict_on(
                LocalStudent(function), exercise, task, Seeds.drawn(entropy), tell, test
            )


class NoTask(Exception):
    """The answer chooses no task that can be judged; the sentence says why."""


def verdict_on(
    student: Student,
    exercise: Exercise,
    task: Task,
    seeds: Seeds,
    tell: Callable[[str, int, int], None] = lambda name, taken, of: None,
    test: bool = True,
) -> Verdict:
    """Rules, then the test: what is said of a project, wherever it runs."""
    try:
        keeps_rules(student, task, seeds, tell)
        if not test:
            return Verdict(exercise.name, exercise.number, PASSED, headline="keeps the rules")
        report = run_test(student, task, seeds, tell)
    except Broken as rule:
        return broken(exercise, rule)
    except Failed as failed:
        return _fate(exercise, failed, task, student.seconds)
    return reported(exercise, report, student.seconds)


def reported(exercise: Exercise, report: Report, seconds: float) -> Verdict:
    """The verdict on a project that keeps the rules; seconds: that a run had."""
    lines = report.lines()
    counts = {"passed": report.good, "total": len(report.scores)}
    if report.passed:
        return Verdict(
            exercise.name, exercise.number, PASSED, headline=f"right in {report.good} runs",
            explanation="\n".join(lines), earned=exercise.points, **counts,
        )  # fmt: skip
    rung, headline = "values", f"{report.good} of {len(report.scores)} runs reached the mark"
    instead = "Draw the returns of one failed seed while it learns: does it not learn, or not keep what it has learned?"
    if report.failures:
        last = report.failures[-1]
        fate = _fate(exercise, last, report.task, seconds, report.late)
        rung, headline, instead = fate.rung, fate.headline, fate.instead
        lines.insert(0, fate.explanation)
    return Verdict(
        exercise.name, exercise.number, FAILED, rung, None, headline, "\n".join(lines), instead,
        earned=RULES, **counts,
    )  # fmt: skip


def broken(exercise: Exercise, rule: Broken) -> Verdict:
    """The verdict on a project that breaks a rule."""
    known = next((m for m in exercise.mistakes if m.name == rule.name), None)
    if known is None:
        headline = _HEADLINES.get(rule.name, rule.name)
        return _told(exercise, "conduct", headline, rule.told, _NEXT.get(rule.name, ""))
    return Verdict(
        exercise.name, exercise.number, FAILED, "conduct", known.name, known.name,
        " ".join(filter(None, [known.why, rule.told])), known.instead,
    )  # fmt: skip


_HEADLINES = {"form": "wrong form", "not-reset": "steps before the first reset"}
_NEXT = {
    "form": "Print what `act` returns for one observation and for three.",
    "no-action": "Print what you give to step(): one action, as the environment's action_space has them.",
    "not-reset": "Call reset(seed=…) once for each environment before its first step.",
}


def _told(exercise: Exercise, rung: str, headline: str, text: str, instead: str) -> Verdict:
    """A verdict without a mistake that is known by name."""
    return Verdict(exercise.name, exercise.number, FAILED, rung, None, headline, text, instead)


def _fate(
    exercise: Exercise, failed: Failed, task: Task, seconds: float, late: Sequence[int] = ()
) -> Verdict:
    """The verdict on an answer that did not come to its end."""
    if failed.state == "timeout":
        trial = f"{failed.taken:,} of the {trial_steps(task):,} steps of a trial"
        steps = f"{', '.join(f'{n:,}' for n in late)} of {task.steps:,} steps" if late else trial
        return _told(
            exercise,
            "time",
            "not trained in time",
            f"In {seconds:g} seconds of processor time it got {steps}.",
            "Time one update and one step: fewer updates for each step, smaller networks, several copies at a time.",
        )
    if failed.state != FAILED:
        return _told(exercise, failed.state, failed.state, failed.failure.message, "")
    fault = failed_run(exercise, failed.failure)
    if fault.rung == "written":
        return Verdict(
            exercise.name, exercise.number, NOT_ATTEMPTED, "written", headline="not written yet",
            explanation="The cell still raises NotImplementedError.",
            instead="Replace that line by your answer, run the cell, then run the check again.",
        )  # fmt: skip
    return _told(exercise, fault.rung, fault.headline, fault.text, fault.instead)


def reaches_for(function: Any, finished: Sequence[str]) -> str:
    """A name by which a function, or one that it calls, uses one of these modules; or ""."""
    for one in reachable(function):
        for name in names_in(one.__code__):
            value = one.__globals__.get(name)
            home = getattr(value, "__module__", None) or getattr(value, "__name__", "") or ""
            for where in (name, home if isinstance(home, str) else ""):
                if where.startswith(tuple(finished)):
                    return name
    return ""


@contextlib.contextmanager
def _watched(test: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar that says which run it is at, and how many of its steps are taken."""
    with counter("the rules" if not test else "your agent") as bar:

        def tell(name: str, taken: int, of: int) -> None:
            bar.move(name, taken, of)

        yield tell
