"""Projects: the rules that a student's own agent has to keep, and the test that it has to pass."""

from __future__ import annotations

import numpy as np
import pytest
from agents_of_ones_own import ALSO_RIGHT

from rlcourse.checker import get
from rlcourse.checker.cards import as_text
from rlcourse.checker.project import verdict_on
from rlcourse.checker.trials import LocalStudent, Seeds, keeps_rules, rates, run_test
from rlcourse.exercises.own_agent import NoTask, task_named
from rlcourse.lab.budget import TASKS, Task
from rlcourse.lab.evaluation import evaluate

EXERCISE = get("train_agent")
CARTPOLE = TASKS["CartPole-v1"]
QUICK = Task("CartPole-v1", 2_048, 150.0)


def silent(name, taken, of):
    pass


class Lines:
    def __init__(self, weights):
        self.weights = weights

    def act(self, obs, rng, explore=True):
        return (obs @ self.weights).argmax(axis=1)


def playing(weights):
    """A `train_agent` that plays at random and then has these weights: a function of the seed."""

    def train_agent(make_env, steps, seed):
        env, rng = make_env(), np.random.default_rng(seed)
        env.reset(seed=seed)
        for _ in range(steps):
            *_, terminated, truncated, _ = env.step(int(rng.integers(2)))
            if terminated or truncated:
                env.reset()
        return Lines(weights(rng, steps))

    return train_agent


BALANCE = np.array([[0, 0.1], [0, 0.5], [0, 5.0], [0, 1.0]])
RANDOM = playing(lambda rng, steps: rng.normal(size=(4, 2)))
# What has learned as much as there was to learn, as soon as the budget allows for it.
PERFECT = playing(lambda rng, steps: BALANCE if steps > 100 else 0 * BALANCE)


def judged(function, task=QUICK, entropy=0):
    return verdict_on(LocalStudent(function), EXERCISE, task, Seeds.drawn(entropy))


@pytest.mark.parametrize("entropy", range(20))
def test_an_agent_above_the_mark_passes_every_time(entropy):
    verdict = judged(PERFECT, entropy=entropy)
    assert (verdict.state, verdict.earned) == ("passed", 6)
    assert (verdict.passed, verdict.total) == (3, 3)  # and no more runs than that


@pytest.mark.parametrize("entropy", range(20))
def test_an_agent_that_learns_nothing_never_passes(entropy):
    # A random policy, greedy in nothing: its mean return on CartPole is 22.
    def uniform(make_env, steps, seed):
        RANDOM(make_env, steps, seed)
        salt = seed * 2_654_435_761 % 2**32

        class Agent:
            def act(self, obs, rng, explore=True):
                rows = np.ascontiguousarray(obs, np.float32).view(np.uint32).astype(np.uint64)
                return ((rows * 2_246_822_519 + salt).sum(axis=1) >> np.uint64(7)).astype(int) % 2

        return Agent()

    verdict = judged(uniform, entropy=entropy)
    assert (verdict.state, verdict.earned, verdict.passed) == ("failed", 2, 0)


def test_the_card_has_the_scores_and_the_rates():
    text = as_text(judged(PERFECT))
    assert "3 of 3 runs reached the mark of 150" in text and "p̂ = 1.00" in text
    # Contract: an agent that reaches the mark in 9 of 10 runs fails in 0.86 %; 2 of 10 pass in 5.8 %.
    assert "9 of 10 runs in 0.86 %" in rates() and "2 of 10 in 5.8 %" in rates()
    assert "8 of 10 in 5.8 %" in rates() and "3 of 10 in 16 %" in rates()


def test_three_of_five_are_enough_and_two_are_not():
    def with_bad(bad):
        calls = []

        def weights(rng, steps):
            if steps < QUICK.steps:
                return 0 * BALANCE
            calls.append(steps)
            run = len(calls) - 3  # the first three are trials
            return 0 * BALANCE if run in bad else BALANCE

        return playing(weights)

    verdict = judged(with_bad({1, 3}))
    assert (verdict.state, verdict.passed, verdict.total) == ("passed", 3, 5)
    verdict = judged(with_bad({1, 2, 4}))
    assert (verdict.state, verdict.passed, verdict.total) == ("failed", 1, 4)


def test_who_knows_beforehand_may_not_hide_it_behind_an_exception():
    def train_agent(make_env, steps, seed):
        if steps < 10:
            raise ValueError("too few")
        return PERFECT(make_env, steps, seed)

    assert judged(
        train_agent
    ).ok  # it shows nothing with one step: that is what an honest learner may do


def test_an_unwritten_answer_is_not_attempted_and_an_exception_is_told():
    def train_agent(make_env, steps, seed):
        raise NotImplementedError("Exercise 20.9: train_agent")

    assert judged(train_agent).state == "not attempted"

    def dividing(make_env, steps, seed):
        return 1 / 0

    verdict = judged(dividing)
    assert (verdict.state, verdict.headline, verdict.earned) == ("failed", "ZeroDivisionError", 0)
    assert judged(lambda make_env: None).headline == "wrong signature"


def test_an_agent_that_takes_for_ever_is_told_how_far_it_got():
    def train_agent(make_env, steps, seed):
        env = make_env()
        env.reset(seed=seed)
        while True:
            pass

    student = LocalStudent(train_agent, seconds=0.3)
    verdict = verdict_on(student, EXERCISE, QUICK, Seeds.drawn(0))
    assert (verdict.state, verdict.rung, verdict.headline) == (
        "failed",
        "time",
        "not trained in time",
    )


def test_a_run_that_is_cut_off_has_no_score_and_says_how_many_steps_it_got():
    class Slow(LocalStudent):
        trainings = 0

        def train(self, host, steps, seed):
            Slow.trainings += 1
            if steps > 1 and Slow.trainings > 6:
                self.seconds, self.function = 0.3, endless
            return super().train(host, steps, seed)

    def endless(make_env, steps, seed):
        env = make_env()
        env.reset(seed=seed)
        env.step(0)
        while True:
            pass

    verdict = verdict_on(Slow(PERFECT), EXERCISE, QUICK, Seeds.drawn(0))
    assert (verdict.headline, verdict.earned) == ("not trained in time", 2)
    assert "it got 1, 1, 1 of 2,048 steps" in verdict.explanation


def test_the_budget_that_is_overdrawn_cannot_be_had_by_catching():
    def train_agent(make_env, steps, seed):
        env, rng = make_env(), np.random.default_rng(seed)
        env.reset(seed=seed)
        for _ in range(steps + 500):
            try:
                *_, terminated, truncated, _ = env.step(int(rng.integers(2)))
            except Exception:
                continue
            if terminated or truncated:
                env.reset()
        return Lines(BALANCE)

    verdict = judged(train_agent)
    assert (verdict.mistake, verdict.earned) == ("over-budget", 0)


def test_scores_are_those_of_evaluate():
    report = run_test(LocalStudent(PERFECT), QUICK, Seeds.drawn(5), silent)
    seeds = Seeds.drawn(5)
    expected = [evaluate(Lines(BALANCE), QUICK.make, 20, s).mean() for s in seeds.starts[:3]]
    assert report.scores.tolist() == expected
    assert report.taken == [2_048] * 3


def test_seeds_are_all_different_and_follow_from_the_entropy():
    seeds = Seeds.drawn([1, 2, 3, 4])
    everything = [
        seeds.trial,
        seeds.other,
        seeds.probes,
        *seeds.controls,
        *seeds.runs,
        *seeds.starts,
    ]
    assert len(set(everything)) == len(everything) == 16
    assert Seeds.drawn([1, 2, 3, 4]) == seeds != Seeds.drawn([1, 2, 3, 5])


def test_tasks_are_of_the_table_or_ones_own():
    assert task_named("Acrobot-v1") is TASKS["Acrobot-v1"]
    own = Task("MountainCarContinuous-v0", 5_000, 0.0)
    assert task_named(own) is own
    for unusable in ("LunarLander-v3", 7, Task("NoSuch-v0", 10, 0.0)):
        with pytest.raises(NoTask):
            task_named(unusable)


@pytest.mark.parametrize(("env", "extra"), [("LunarLander-v3", "box2d"), ("Hopper-v5", "mujoco")])
def test_a_missing_extra_is_one_sentence(env, extra):
    pytest.importorskip("gymnasium")
    try:
        _ = Task(env, 10, 0.0).spaces
    except Exception:
        with pytest.raises(NoTask, match=rf"pip install 'rlcourse\[{extra}\]'"):
            task_named(Task(env, 10, 0.0))
    else:
        assert task_named(Task(env, 10, 0.0)).env == env


@pytest.mark.full
@pytest.mark.parametrize("name", ALSO_RIGHT)
def test_other_methods_keep_the_rules_and_pass(name):
    function, task = ALSO_RIGHT[name]
    student, seeds = LocalStudent(function), Seeds.drawn(0)
    keeps_rules(student, task, seeds, silent)
    report = run_test(student, task, seeds, silent)
    assert report.passed, report.lines()


@pytest.mark.full
def test_the_reference_passes():
    verdict = EXERCISE.project.judge(EXERCISE.reference, EXERCISE, 0)
    assert verdict.ok, verdict
