"""Steps are counted over all copies, and whoever asks for too many, or at the wrong time, is told which."""

import gymnasium as gym
import numpy as np
import pytest

from rlcourse.checker.playing import EnvMaker
from rlcourse.lab.budget import MAX_COPIES, TASKS, BudgetSpent, Host, Refused, Task

CARTPOLE = TASKS["CartPole-v1"]


def host_and_maker(allowed, task=CARTPOLE):
    host = Host(task, allowed)
    return host, EnvMaker(host.ask, task.env, task.spaces)


def test_what_comes_back_is_what_the_environment_says():
    _, make_env = host_and_maker(40)
    env, truth = make_env(), gym.make("CartPole-v1")
    assert np.array_equal(env.reset(seed=3)[0], truth.reset(seed=3)[0])
    for step in range(40):
        got, real = env.step(step % 2), truth.step(step % 2)
        assert np.array_equal(got[0], real[0]) and got[1:4] == real[1:4]
        if real[2]:
            assert np.array_equal(env.reset()[0], truth.reset()[0])


def test_the_budget_is_of_all_copies_together():
    host, make_env = host_and_maker(5)
    envs = [make_env() for _ in range(2)]
    for number, env in enumerate(envs):
        env.reset(seed=number)
    for step in range(5):
        envs[step % 2].step(0)
    with pytest.raises(BudgetSpent, match="no step is left"):
        envs[1].step(0)
    assert (host.taken, host.misuse) == (5, "over-budget")


@pytest.mark.parametrize(
    ("task", "steps", "misuse"),
    [
        (CARTPOLE, 60, "steps-after-the-end"),
        (TASKS["Pendulum-v1"], 201, "waits-for-terminated"),
    ],
)
def test_no_step_after_an_end(task, steps, misuse):
    host, make_env = host_and_maker(1_000, task)
    env = make_env()
    env.reset(seed=0)
    action = 0 if task is CARTPOLE else np.zeros(1, np.float32)
    with pytest.raises(Refused):
        for _ in range(steps):
            env.step(action)
    assert host.misuse == misuse and host.episodes == 1
    env.reset()
    env.step(action)  # goes on after a reset
    assert host.misuse == misuse  # and is not forgotten


@pytest.mark.parametrize("action", [2, -1, 0.0, None, "0", [0, 1], np.nan])
def test_what_is_no_action_is_refused(action):
    host, make_env = host_and_maker(10)
    env = make_env()
    env.reset(seed=0)
    with pytest.raises(Refused, match="no action"):
        env.step(action)
    assert (host.misuse, host.taken) == ("no-action", 0)


@pytest.mark.parametrize("action", [1, np.int64(1), np.array(1), np.array([1])])
def test_an_action_may_be_any_integer(action):
    _, make_env = host_and_maker(10)
    env = make_env()
    env.reset(seed=0)
    env.step(action)


def test_actions_beyond_the_box_are_cut_to_it():
    host, make_env = host_and_maker(10, TASKS["Pendulum-v1"])
    one, other = make_env(), make_env()
    one.reset(seed=0), other.reset(seed=0)
    assert np.array_equal(one.step(np.array([9.0]))[0], other.step(np.array([2.0]))[0])
    with pytest.raises(Refused):
        one.step(np.array([np.inf]))
    assert host.taken == 2


def test_a_step_before_the_first_reset_and_too_many_copies_are_refused():
    host, make_env = host_and_maker(10)
    with pytest.raises(Refused, match="first step"):
        make_env().step(0)
    assert host.misuse == "not-reset"
    with pytest.raises(Refused, match=f"{MAX_COPIES} copies"):
        for _ in range(MAX_COPIES):
            make_env()


def test_the_trace_tells_runs_apart():
    def trace(seed, actions):
        host, make_env = host_and_maker(10)
        env = make_env()
        env.reset(seed=seed)
        for action in actions:
            env.step(action)
        return host.trace()

    assert trace(1, [0, 1, 0]) == trace(1, [0, 1, 0])
    assert (
        len({trace(1, [0, 1, 0]), trace(2, [0, 1, 0]), trace(1, [0, 1, 1]), trace(1, [0, 1])}) == 4
    )


def test_draws_of_a_space_that_nobody_seeded_are_noted():
    _, make_env = host_and_maker(10)
    env = make_env()
    env.action_space.sample()
    assert make_env.sampled == 1
    env.action_space.seed(1)
    env.action_space.sample()
    assert make_env.sampled == 1


def test_the_table_is_as_announced():
    told = {task.env: (task.steps, task.mark) for task in TASKS.values()}
    assert told == {
        "CartPole-v1": (50_000, 400),
        "Acrobot-v1": (100_000, -100),
        "Pendulum-v1": (10_000, -200),
        "MountainCar-v0": (100_000, -160),
    }


def test_spaces_without_a_finite_box_are_refused():
    from gymnasium.spaces import Box, MultiBinary

    from rlcourse.lab.budget import require_spaces
    from rlcourse.lab.environments import SpaceError

    class Other(gym.Env):
        observation_space = Box(-1, 1, (2,))

        def __init__(self, actions):
            self.action_space = actions

    for actions in (MultiBinary(3), Box(-np.inf, np.inf, (1,)), Box(-1, 1, (2, 2))):
        with pytest.raises(SpaceError):
            require_spaces(Other(actions))


def test_a_tasks_spaces_are_its_environments():
    observations, actions = Task("Acrobot-v1", 10, 0.0).spaces
    env = gym.make("Acrobot-v1")
    assert (observations, actions) == (env.observation_space, env.action_space)
