"""The on-policy loop: what a rollout holds, where it stops, and that a seed is a run."""

import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from probes import Bandit, Reach

from rlcourse.lab.agents import TrainingError
from rlcourse.lab.environments import SpaceError
from rlcourse.lab.on_policy import train_on_policy
from rlcourse.policies.actor_critic import A2C, QActorCritic
from rlcourse.policies.reinforce import Reinforce


class Counter(gym.Env):
    """Counts its steps from 0; every `length`-th ends the episode, by turns terminal and cut."""

    observation_space = gym.spaces.Box(0, np.inf, (2,), np.float32)
    action_space = gym.spaces.Discrete(3)
    length = 3

    def __init__(self):
        self.episode = -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode += 1
        self.t = 0
        return self.look(), {}

    def look(self):
        return np.array([self.episode, self.t], dtype=np.float32)

    def step(self, action):
        assert self.t < self.length, "stepped after an end"
        self.t += 1
        over = self.t == self.length
        terminal = self.episode % 2 == 0
        return self.look(), float(self.t), over and terminal, over and not terminal, {}


class Watcher(A2C):
    """Keeps the rollouts and learns nothing."""

    def update(self, rollout, rng):
        self.seen = [*getattr(self, "seen", []), rollout]
        return {"loss": torch.tensor(0.0)}


def test_rollouts_hold_true_next_observations_and_no_reset():
    agent = Watcher.for_env(Counter, n_envs=2, horizon=4)
    history = train_on_policy(agent, Counter, 20, seed=0)
    assert [r.reward.shape for r in agent.seen] == [(4, 2), (4, 2), (2, 2)]
    obs, action, reward, next_obs, terminated, truncated = (
        torch.cat(field) for field in zip(*agent.seen, strict=True)
    )
    for n in range(2):
        for t in range(10):
            episode, place = divmod(t, 3)
            assert obs[t, n].tolist() == [episode, place]
            assert next_obs[t, n].tolist() == [episode, place + 1]
            assert reward[t, n] == place + 1
            over = place == 2
            assert terminated[t, n] == (over and episode % 2 == 0)
            assert truncated[t, n] == (over and episode % 2 == 1)
    assert action.dtype == torch.int64 and set(action.flatten().tolist()) <= {0, 1, 2}
    assert {x.dtype for x in (obs, reward, next_obs, terminated, truncated)} == {torch.float32}
    assert history.steps == 20 and history.updates == 3
    assert history.episode_returns == [6.0] * 6 and history.episode_lengths == [3] * 6
    assert history.episode_steps == [6, 6, 12, 12, 18, 18]


class EpisodeWatcher(Reinforce):
    update = Watcher.update


def test_whole_episodes_where_the_method_needs_them():
    agent = EpisodeWatcher.for_env(Counter, episodes=2)
    history = train_on_policy(agent, Counter, 10, seed=0)
    assert [len(r.reward) for r in agent.seen] == [6, 6]
    assert history.steps == 12


@pytest.mark.parametrize("env", [Bandit, Reach])
def test_a_seed_is_a_run(env):
    def run(seed):
        torch.rand(1)  # the global generator plays no part
        agent = A2C.for_env(env, seed=seed, horizon=4, n_envs=2)
        history = train_on_policy(agent, env, 80, seed=seed)
        return history, [p.detach().clone() for p in agent.policy.parameters()]

    (first, weights), (again, same), (other, _) = run(1), run(1), run(2)
    assert first.episode_returns == again.episode_returns != other.episode_returns
    assert first.losses == again.losses
    assert all(torch.equal(p, q) for p, q in zip(weights, same, strict=True))


def test_ctrl_c_keeps_what_was_learned():
    class Impatient(A2C):
        def update(self, rollout, rng):
            if self.rounds == 3:
                raise KeyboardInterrupt
            self.rounds += 1
            return super().update(rollout, rng)

        rounds = 0

    agent = Impatient.for_env(Bandit, n_envs=2, horizon=4)
    before = [p.detach().clone() for p in agent.policy.parameters()]
    history = train_on_policy(agent, Bandit, 800, seed=0)
    assert history.interrupted and history.updates == 3 and history.steps == 32
    assert any((p != q).any() for p, q in zip(before, agent.policy.parameters(), strict=True))


def test_a_loss_that_is_no_number_stops_with_a_sentence():
    def broken(*arguments):
        return torch.tensor(math.nan, requires_grad=True)

    agent = A2C.for_env(Bandit, a2c_loss=broken, max_grad_norm=None)
    with pytest.raises(TrainingError, match=r"loss is nan after 1 updates and 128 steps"):
        train_on_policy(agent, Bandit, 1000, seed=0)


def test_learning_rates_fall_in_a_straight_line():
    seen = []

    class Noting(Watcher):
        def update(self, rollout, rng):
            seen.append(self.optimizer.param_groups[0]["lr"])
            return super().update(rollout, rng)

    agent = Noting.for_env(Bandit, n_envs=2, horizon=5, lr=0.1, lr_end=0.5)
    train_on_policy(agent, Bandit, 40, seed=0)
    # before the first update a quarter of the steps is used
    assert seen == pytest.approx([0.0875, 0.075, 0.0625, 0.05])


class Unbounded(Bandit):
    action_space = gym.spaces.Box(-np.inf, 1.0, (1,), np.float32)


class Table(Bandit):
    observation_space = gym.spaces.Discrete(5)


class Several(Bandit):
    action_space = gym.spaces.MultiDiscrete([2, 2])


@pytest.mark.parametrize(
    ("agent", "env", "sentence"),
    [
        (A2C, Unbounded, "has no end"),
        (A2C, Table, "one row of numbers"),
        (A2C, Several, "between bounds"),
        (QActorCritic, Reach, "finite number of actions"),
    ],
)
def test_the_wrong_kind_of_space_is_named(agent, env, sentence):
    with pytest.raises(SpaceError, match=sentence):
        agent.for_env(env)


def test_an_agent_of_another_environment_is_refused():
    with pytest.raises(SpaceError, match="between bounds"):
        train_on_policy(A2C.for_env(Reach), Bandit, 100, seed=0)
    with pytest.raises(ValueError, match="observations of 1 numbers"):
        train_on_policy(A2C.for_env(Bandit), Counter, 100, seed=0)


def test_stop_when():
    agent, asked = Watcher.for_env(Counter, n_envs=2, horizon=4), []

    def enough(_agent, step):
        asked.append(step)
        return step >= 40

    history = train_on_policy(agent, Counter, 400, seed=0, stop_when=enough, stop_every=20)
    assert asked == [
        24,
        48,
    ]  # rollouts of 8 transitions: the first one at or after 20, then 20 more
    assert history.steps == 48 and not history.interrupted
