"""The student's own agent, judged: rules without chance first, then "k of n runs reach the mark" (lesson 20).

An answer `train_agent(make_env, steps, seed) -> agent` is no pure function whose values could be compared.
What can be: what it did to the environments, which `lab.budget.Host` holds and counts, and what its agent
answers to observations. Both come from a `Student`, which is the function itself in a notebook
(`LocalStudent`) and a sandboxed process in grading; everything else here is the same for both.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Discrete

from rlcourse.lab.budget import (
    EPISODES,
    NEEDED,
    OVER_BUDGET,
    REFUSALS,
    RUNS,
    Host,
    Task,
)
from rlcourse.lab.evaluation import evaluate, judge_runs, pass_probability
from rlcourse.lab.seeding import one_thread

from .harness import Failure, failure_of
from .judging import FAILED
from .plain import Tensor
from .playing import EnvMaker, Unfit, called, greedy, without_act
from .timing import SECONDS_A_RUN, TimeLimit, time_limit

# A trial: a tenth of the budget, so many steps at least, a multiple.
SHARE, FEWEST, WHOLE = 10, 2_048, 64
CONTROLS = 3  # untrained agents
REPEATS = 50  # calls in a row, in which nothing may change
PROBES = 64  # observations on which agents are compared
SLACK = 2  # of these probes may differ: a network's last digits depend on what else is in the batch


class Failed(Exception):
    """The answer's code did not come to its end. state: "failed", or as `rlcourse grade` has it.

    taken: steps that it had got by then.
    """

    taken = 0

    def __init__(self, failure: Failure, state: str = FAILED):
        super().__init__(failure.message)
        self.failure, self.state = failure, state


class Broken(Exception):
    """A rule was broken. name: of the mistake; told: what was seen, in a sentence or ""."""

    def __init__(self, name: str, told: str = ""):
        super().__init__(told or name)
        self.name, self.told = name, told


@dataclass
class Trained:
    """What came back from one call of `train_agent`.

    act(obs, seed): the greedy actions, plain; raises Failed. type_name: of what was returned, where it has
    no `act`; sampled: how often `action_space.sample` drew without a seed; remembers: a name outside the
    function that holds something else than before the call, or "".
    """

    act: Callable[[np.ndarray, int], Any]
    type_name: str = ""
    sampled: int = 0
    remembers: str = ""


class Student(Protocol):
    """Whose function is judged, wherever it runs. seconds: of the processor, for one training."""

    seconds: float

    def fresh(self) -> None:
        """Forget what earlier calls left behind, as far as that can be had."""

    def train(self, host: Host, steps: int, seed: int) -> Trained:
        """Call the function once; its environments are the host's. Raises Failed."""


@dataclass
class Report:
    """What the judgement came to. scores: of the runs that were made; taken: steps of each; late: the steps
    that a run had got when its time was over; fates: states of runs that did not come to their end."""

    task: Task
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))
    taken: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)
    passed: bool = False

    @property
    def good(self) -> int:
        return int(np.sum(self.scores >= self.task.mark))

    def lines(self) -> list[str]:
        """What is said of the runs and of the test, for the card and for the feedback page."""
        made = len(self.scores)
        scores = ", ".join("none" if np.isnan(s) else f"{s:.1f}" for s in self.scores)
        steps = ", ".join(f"{n:,}" for n in self.taken)
        return [
            f"{self.task.env}: {self.good} of {made} runs reached the mark of {self.task.mark:g}; {NEEDED} of "
            f"{RUNS} are needed. Mean returns of {EPISODES} greedy episodes: {scores}. "
            f"Steps taken: {steps} of {self.task.steps:,}.",
            f"p̂ = {self.good / made:.2f} from {made} runs. {rates()}",
        ]


def rates() -> str:
    """The error rates of the test, in two sentences."""

    def fails(p: float) -> str:
        return f"{100 * (1 - pass_probability(p, RUNS, NEEDED)):.2g} %"

    def passes(p: float) -> str:
        return f"{100 * pass_probability(p, RUNS, NEEDED):.2g} %"

    return (
        f"By chance the test fails an agent that reaches the mark in 9 of 10 runs in {fails(0.9)}, in 8 of 10 in "
        f"{fails(0.8)}; it passes one that reaches it in 2 of 10 in {passes(0.2)}, in 3 of 10 in {passes(0.3)}."
    )


# ------------------------------------------------------------------------------------ the judgement


@dataclass(frozen=True)
class Seeds:
    """Everything that is drawn for one judgement."""

    trial: int
    other: int
    controls: tuple[int, ...]
    runs: tuple[int, ...]
    starts: tuple[int, ...]  # of the judged episodes, a seed a run
    probes: int

    @classmethod
    def drawn(cls, entropy: int | Sequence[int]) -> Seeds:
        rng = np.random.default_rng(entropy)
        draw = [int(s) for s in rng.choice(2**31, size=3 + CONTROLS + 2 * RUNS, replace=False)]
        controls, runs = draw[3 : 3 + CONTROLS], draw[3 + CONTROLS :]
        return cls(draw[0], draw[1], tuple(controls), tuple(runs[:RUNS]), tuple(runs[RUNS:]), draw[2])  # fmt: skip


def trial_steps(task: Task) -> int:
    """The budget of the runs in which the rules are looked at."""
    tenth = max(task.steps // SHARE, FEWEST) // WHOLE * WHOLE
    return min(tenth, task.steps)


def keeps_rules(
    student: Student, task: Task, seeds: Seeds, tell: Callable[[str, int, int], None]
) -> None:
    """Look at the rules, in which there is no chance. Raises Broken, Failed."""
    steps, probes = trial_steps(task), observations(task, seeds.probes)

    def trial(seed: int, name: str) -> tuple[Trained, str, np.ndarray, Host]:
        host = Host(task, steps, lambda taken: tell(name, taken, steps))
        trained = _trained(student, host, steps, seed)
        try:
            _require_rules(student, task, host)
            return trained, host.trace(), _chosen(trained, task, probes), host
        finally:
            host.close()

    student.fresh()
    first, done, chosen, host = trial(seeds.trial, "rules, 1 of 3")
    _require_rows(first, task, probes)
    _require_greedy(first, task, probes, chosen)
    again, done_again, chosen_again, _ = trial(seeds.trial, "the same seed again")
    if done != done_again or not _alike(chosen, chosen_again, task):
        raise _why_not_again(again, host)
    _, done_other, chosen_other, _ = trial(seeds.other, "another seed")
    if done_other == done and _alike(chosen, chosen_other, task):
        raise Broken("every-seed-the-same")
    known = [
        untrained(student, task, seed, start, tell)
        for seed, start in zip(seeds.controls, seeds.starts, strict=False)
    ]
    if all(score >= task.mark for score in known):
        told = ", ".join(f"{score:.1f}" for score in known)
        raise Broken("knew-before-learning", f"With a budget of one step it reached {told}.")


def untrained(
    student: Student, task: Task, seed: int, start: int, tell: Callable[[str, int, int], None]
) -> float:
    """The score of the same function with a budget of one step; NaN where no agent comes of that."""
    tell("a budget of one step", 1, 1)
    # Who steps several copies at once takes a step of each; that much is granted.
    host = Host(task, WHOLE)
    try:
        trained = student.train(host, 1, seed)
        return float(evaluate(_Policy(trained, task), task.make, EPISODES, start).mean())
    except (Failed, Broken):
        return float("nan")
    finally:
        host.close()


def run_test(
    student: Student, task: Task, seeds: Seeds, tell: Callable[[str, int, int], None]
) -> Report:
    """The test: `judge_runs` over RUNS seeds, of which NEEDED have to reach the mark. Raises Broken."""
    report = Report(task)
    starts = dict(zip(seeds.runs, seeds.starts, strict=True))

    def run(seed: int) -> float:
        number = len(report.taken) + 1
        student.fresh()
        host = Host(
            task, task.steps, lambda taken: tell(f"run {number} of {RUNS}", taken, task.steps)
        )
        try:
            trained = _trained(student, host, task.steps, seed)
            _require_rules(student, task, host)
            return float(evaluate(_Policy(trained, task), task.make, EPISODES, starts[seed]).mean())
        except Failed as failed:
            report.failures.append(failed)
            if failed.state == "timeout":
                report.late.append(host.taken)
            return float("nan")
        finally:
            report.taken.append(host.taken)
            host.close()

    report.passed, report.scores = judge_runs(run, seeds.runs, task.mark, NEEDED)
    return report


def observations(task: Task, seed: int) -> np.ndarray:
    """PROBES observations that random actions lead to, on which agents are compared."""
    env = task.make()
    rng = np.random.default_rng(seed)
    env.action_space.seed(int(rng.integers(2**31)))
    obs, _ = env.reset(seed=int(rng.integers(2**31)))
    rows = []
    while len(rows) < PROBES:
        for _ in range(3):
            obs, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                obs, _ = env.reset()
        rows.append(obs)
    env.close()
    return np.stack(rows)


# ---------------------------------------------------------------------------------------- the rules


def _trained(student: Student, host: Host, steps: int, seed: int) -> Trained:
    """One training. A misuse of the environment is told before the exception that it led to. Raises Broken, Failed."""
    try:
        trained = student.train(host, steps, seed)
    except Failed as failed:
        failed.taken = host.taken
        _require_rules(student, host.task, host)
        raise
    if trained.type_name:
        raise Broken("returns-the-table", f"It returned {trained.type_name}.")
    return trained


def _require_rules(student: Student, task: Task, host: Host) -> None:
    """Raises Broken if the environments were not used as agreed, caught or not."""
    if not host.misuse:
        return
    if host.misuse == OVER_BUDGET and _counts_episodes(student, task):
        raise Broken("counts-episodes")
    told = f"After {host.taken:,} steps it was refused one: {REFUSALS[host.misuse]}."
    raise Broken(host.misuse, told)


def _counts_episodes(student: Student, task: Task) -> bool:
    """Whether the function, asked for a few steps and left alone, ends after as many episodes."""
    few = 3
    host = Host(task, FEWEST)
    try:
        student.train(host, few, 0)
    except Failed:
        return False
    finally:
        host.close()
    return host.episodes == few and host.taken > few


def _why_not_again(again: Trained, first: Host) -> Broken:
    """Why the same seed did not give the same run."""
    if again.remembers:
        return Broken(
            "remembers-earlier-runs", f"`{again.remembers}` is not what it was before the run."
        )
    if again.sampled:
        return Broken("unseeded-sampling")
    return Broken("unseeded-start" if first.unseeded else "seed-unused")


def _require_rows(trained: Trained, task: Task, probes: np.ndarray) -> None:
    for n in (1, PROBES):
        _actions(trained, task, probes[:n], 0)


def _require_greedy(trained: Trained, task: Task, probes: np.ndarray, chosen: np.ndarray) -> None:
    """The greedy action follows from the observation alone, whatever was asked before and is drawn."""
    for seed in (*[0] * REPEATS, 1, 2):
        again = _actions(trained, task, probes, seed)
        if not _alike(chosen, again, task):
            ignored = all((x == x[0]).all() for x in (chosen, again))
            raise Broken("plays-back-its-best-episode" if ignored else "explores-when-judged")
    if not _alike(chosen, _actions(trained, task, probes[::-1].copy(), 0)[::-1], task):
        raise Broken("form", "The action for an observation depends on the row that it stands in.")


def _chosen(trained: Trained, task: Task, probes: np.ndarray) -> np.ndarray:
    return _actions(trained, task, probes, 0)


def _alike(one: np.ndarray, other: np.ndarray, task: Task) -> bool:
    different = np.abs(one.astype(float) - other) > 1e-3
    return int(different.reshape(len(one), -1).any(axis=1).sum()) <= SLACK


def _actions(trained: Trained, task: Task, obs: np.ndarray, seed: int) -> np.ndarray:
    """One action a row, as the environments take them. Raises Broken where they are none, Failed."""
    given = trained.act(obs, seed)
    given = given.data if isinstance(given, Tensor) else given
    space = task.spaces[1]
    finite = isinstance(space, Discrete)
    wanted = (len(obs),) if finite else (len(obs), *space.shape)
    try:
        array = np.asarray(given)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in ("iu" if finite else "f"):
        kind = "integers" if finite else "floats"
        raise Broken(
            "form", f"`act` should return {kind}, (N,) or (N, D); it returned {_kind(given)}."
        )
    if array.shape != wanted:
        told = f"For {len(obs)} observations `act` returned the shape {array.shape}; {wanted} is asked for."
        raise Broken("one-action-for-all" if array.size < np.prod(wanted) else "form", told)
    if finite and not ((array >= space.start) & (array < space.start + space.n)).all():
        raise Broken("form", f"An action is one of {space.start} to {space.start + space.n - 1}.")
    if not finite:
        if not np.isfinite(array).all():
            raise Broken("form", "An action of `act` is NaN or infinite.")
        array = np.clip(array, space.low, space.high)
    return array


def _kind(value: Any) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


class _Policy:
    """What `evaluate` takes."""

    def __init__(self, trained: Trained, task: Task):
        self.trained, self.task = trained, task

    def act(self, obs: np.ndarray, rng: np.random.Generator, explore: bool = True) -> np.ndarray:
        return _actions(self.trained, self.task, obs, int(rng.integers(2**31)))


# ------------------------------------------------------------------------- the function in a notebook


class LocalStudent:
    """The function itself, called here."""

    def __init__(self, function: Callable[..., Any], seconds: float = SECONDS_A_RUN):
        self.function, self.seconds = function, seconds

    def fresh(self) -> None:
        """What it keeps in variables outside cannot be told from what it needs: the rules look for it."""

    def train(self, host: Host, steps: int, seed: int) -> Trained:
        maker = EnvMaker(host.ask, host.task.env, host.task.spaces)
        with _stopped(), time_limit(self.seconds):
            agent, remembers = called(self.function, maker, steps, seed)
        return Trained(self._acting(agent), without_act(agent), maker.sampled, remembers)

    def _acting(self, agent: Any) -> Callable[[np.ndarray, int], Any]:
        def act(obs: np.ndarray, seed: int) -> Any:
            with _stopped(), time_limit(self.seconds):
                return greedy(agent, obs, seed)

        return act


@contextlib.contextmanager
def _stopped() -> Iterator[None]:
    """Inside runs the answer's code, without a word on the screen. Raises Failed.

    Its time limit stands in the caller's own `with`: a limit holds in the frame that enters it.
    """
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
            one_thread(),
        ):
            warnings.simplefilter("ignore")
            yield
    except TimeLimit:
        raise Failed(Failure("TimeLimit", "time", "", ""), "timeout") from None
    except KeyboardInterrupt:
        raise
    except Unfit as unfit:
        raise Failed(unfit.failure) from None
    except BaseException as error:
        raise Failed(failure_of(error)) from None
