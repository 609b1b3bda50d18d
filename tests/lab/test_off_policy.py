"""The off-policy loop: what it stores, that it repeats itself, and how it stops."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from rlcourse.lab.agents import TrainingError
from rlcourse.lab.environments import SpaceError, action_box, action_count, observation_size
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.values.dqn import DQN, dqn_loss


class Counter(gym.Env):
    """Observes the time; ends by a state at `end`, is cut at `limit`."""

    observation_space = gym.spaces.Box(0, 100, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, end=5, limit=7):
        self.end, self.limit, self.over = end, limit, True

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.over = 0, False
        return np.array([0], np.float32), {}

    def step(self, action):
        assert not self.over, "stepped after an end"
        self.t += 1
        terminated, truncated = self.t >= self.end, self.t >= self.limit
        self.over = terminated or truncated
        return np.array([self.t], np.float32), 1.0, terminated, truncated, {}


@pytest.mark.parametrize("n_envs", [1, 3])
@pytest.mark.parametrize("end, limit", [(5, 7), (7, 5)])
def test_every_row_is_a_transition_that_happened(n_envs, end, limit):
    agent = DQN(obs_dim=1, n_actions=2)
    memory = agent.make_replay(60)
    agent.make_replay = lambda capacity: memory
    history = train_off_policy(
        agent, lambda: Counter(end, limit), 60, seed=0, n_envs=n_envs, warmup=60
    )
    rows = memory.rows(np.arange(60))
    t = np.repeat(np.arange(60 // n_envs) % 5, n_envs)
    assert rows.obs[:, 0].tolist() == t.tolist()
    assert rows.next_obs[:, 0].tolist() == (t + 1).tolist()  # the true one, not a reset's
    assert rows.terminated.tolist() == [float(end == 5 and s == 4) for s in t]
    assert history.episode_returns == [5.0] * 12 and history.episode_lengths == [5] * 12
    ends = range(5 * n_envs, 61, 5 * n_envs)
    assert history.episode_steps == [step for step in ends for _ in range(n_envs)]
    assert history.steps == 60 and history.updates == 0


def test_the_agent_is_told_where_episodes_begin():
    agent, told = DQN(obs_dim=1, n_actions=2), []
    agent.begin_episodes = lambda rows: told.append(rows.tolist())
    lengths = iter([2, 3])  # two copies, whose episodes have other lengths
    train_off_policy(agent, lambda: Counter(next(lengths)), 12, seed=0, n_envs=2, warmup=12)
    both, first, second = [True, True], [True, False], [False, True]
    assert told == [both, first, second, first, both]


def run(seed=0, steps=300, **settings):
    agent = DQN(obs_dim=1, n_actions=2, hidden=(8,), epsilon_steps=100, **settings)
    history = train_off_policy(agent, Counter, steps, seed, warmup=50, train_every=2, updates=3)
    return history, torch.nn.utils.parameters_to_vector(agent.q_net.parameters()).detach()


def test_the_same_seed_is_the_same_run():
    (one, weights), (two, same), (_, other) = run(), run(), run(seed=1)
    assert torch.equal(weights, same) and not torch.equal(weights, other)
    assert one.losses == two.losses and one.losses["loss"]
    assert one.updates == 3 * 250 / 2
    before = torch.get_num_threads()
    torch.manual_seed(123)  # the world's generator plays no part, and is left alone
    state = torch.random.get_rng_state()
    assert torch.equal(run()[1], weights)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == before


def test_ctrl_c_keeps_what_was_learned():
    calls = []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return dqn_loss(*args)

    history, weights = run(dqn_loss=interrupted)
    assert history.interrupted and history.updates == 19 and 50 < history.steps < 300
    start = DQN(obs_dim=1, n_actions=2, hidden=(8,))
    assert not torch.equal(
        weights, torch.nn.utils.parameters_to_vector(start.q_net.parameters()).detach()
    )


def test_a_loss_that_is_not_a_number_stops():
    with pytest.raises(TrainingError, match="loss is nan after 100 updates"):
        run(dqn_loss=lambda *args: dqn_loss(*args) * float("nan"))


def test_stop_when():
    agent, asked = DQN(obs_dim=1, n_actions=2), []

    def enough(_agent, step):
        asked.append(step)
        return step >= 200

    history = train_off_policy(
        agent, Counter, 1000, 0, warmup=1000, stop_when=enough, stop_every=100
    )
    assert asked == [100, 200] and history.steps == 200 and not history.interrupted


def test_a_students_loss_trains_the_agent():
    calls = []

    def mine(*args):
        calls.append(1)
        return dqn_loss(*args)

    assert run(dqn_loss=mine)[0].updates == len(calls)


def test_wrong_spaces_are_refused_with_a_sentence():
    with pytest.raises(SpaceError, match="finite number of actions"):
        DQN.for_env("Pendulum-v1")
    with pytest.raises(SpaceError, match="one row of numbers"):
        observation_size(gym.spaces.Discrete(3))
    with pytest.raises(SpaceError, match="counted from 0"):
        action_count(gym.spaces.Discrete(3, start=1))
    with pytest.raises(SpaceError, match="has no end"):
        action_box(gym.spaces.Box(0, np.inf, (2,)))
    with pytest.raises(SpaceError, match="DQN"):
        action_box(gym.spaces.Discrete(2))
    with pytest.raises(ValueError, match="observations of 1 numbers"):
        train_off_policy(DQN(obs_dim=1, n_actions=2), "CartPole-v1", 10, 0)
