"""Lesson 08's observations, over its seeds: what the lesson says is what its own cells compute."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from running import left_by

from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.replay import ReplayBuffer
from rlcourse.values.assembled import AssembledDQN
from rlcourse.values.dqn import DQN
from rlcourse.values.figures import Watch, random_memory, values_while_learning

pytestmark = pytest.mark.full  # what the lesson says of its experiments, run again

BOUND = 100.0  # 1 / (1 - gamma): every reward is 1


@pytest.fixture(scope="module")
def lesson():
    return SimpleNamespace(**left_by("08", without="record_episode"))


def test_consecutive_steps_are_correlated_and_drawn_ones_are_not(lesson):
    together, drawn = (
        lesson.correlation["consecutive steps"],
        lesson.correlation["drawn from the memory"],
    )
    assert together[1] > 0.8
    assert np.abs(drawn[1:]).max() < 0.05
    assert lesson.bracket["consecutive steps"] > 5


def test_the_label_flees_almost_as_fast_as_the_prediction_comes(lesson):
    same, other = map(np.array, lesson.kappa.values())
    assert min(len(same), len(other)) > 50
    assert np.median(same) > 0.9 and np.abs(np.median(other)) < 0.5
    assert np.mean(same > 1) > 0.05


def test_without_a_target_network_values_leave_every_bound(lesson):
    alone, followed = lesson.chased.values()
    assert alone.shape == followed.shape == (2, 50)
    assert alone[:, -1].min() > 10 * BOUND
    assert followed[:, -1].min() > 10
    assert followed.max() < BOUND / 2


def test_a_slow_copy_only_slows_the_chase_on_a_fixed_memory(lesson):
    fast, slow = (
        values_while_learning(lesson.agents(rho)[:2], lesson.memory, 4_001, every=1_000)
        for rho in (0.95, 0.98)
    )
    assert fast[:, 1].max() < 50 < BOUND < fast[:, -1].min()
    assert slow[:, 1].max() < 25  # "near 20 after 1000 steps"
    assert (slow[:, 1:] < fast[:, 1:]).all()
    assert (np.diff(fast) > 0).all() and (np.diff(slow) > 0).all()


def test_the_loop_of_ten_lines_learns(lesson):
    for seed in (1, 2):
        agent = lesson.live_and_learn(seed, 4_000).agent
        returned = evaluate(agent, lesson.cart_pole, 20, seed=2_000).mean()
        assert returned > 3 * lesson.random_return, seed


def test_one_outlier_rules_the_square_and_not_huber(lesson):
    ratios = {name: line[-1] / line[0] for name, line in lesson.pull.items()}
    assert ratios["½ squared error"] > 4 * ratios["Huber"]
    assert ratios["Huber"] < 1.5


def test_a_network_of_ones_own_shows_its_layers_and_its_loss(lesson, capsys):
    class Listed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers, self.out = [torch.nn.Linear(1, 32)], torch.nn.Linear(32, 1)

        def forward(self, x):
            return self.out(torch.tanh(self.layers[0](x)))

    assert lesson.straight > 0.1
    assert lesson.looked_over(lesson.Curve) < 0.015
    assert capsys.readouterr().out.count("a gradient") == 4
    lesson.looked_over(Listed)
    assert capsys.readouterr().out.count("a gradient") == 2  # what is in a list is not registered


def test_the_agents_balance_the_pole(lesson):
    for seed, run in enumerate(lesson.runs):
        assert evaluate(run.agent, lesson.cart_pole, 20, seed=2_000 + seed).mean() >= 475, seed
    assert lesson.random_return < 30


def test_every_curve_has_the_same_steps_and_what_is_learned_is_lost_again(lesson):
    looks = [run.watch.steps for run in lesson.runs]
    assert looks == [list(range(2_000, 24_001, 2_000))] * 3
    for run in lesson.runs:
        returns = np.array(run.watch.returns)
        best = returns.argmax()
        assert returns[best] >= 475 and returns[best:].min() < 0.8 * returns[best]


def test_the_parts_train_the_agent_that_the_reference_trains(lesson):
    assert lesson.alike >= 0.5 * lesson.n


def test_the_agent_pushes_towards_the_fall(lesson):
    falling = (lesson.angles > 0.05) & (lesson.speeds > 0.5)
    assert np.mean(lesson.difference[falling] > 0) > 0.9
    assert np.mean(lesson.difference[falling[::-1, ::-1]] < 0) > 0.9


def test_no_target_network_makes_a_policy_worse_than_chance(lesson):
    for run in lesson.changed:
        assert run.watch.returns[-1] < 12 < lesson.random_return
        assert run.watch.values[-1] > 10 * BOUND


def test_the_silent_bug_shows_in_values_and_returns_and_not_in_the_loss(lesson):
    healthy, colleague = lesson.met["usual"], lesson.met["colleague"]
    believed = []
    for good, bad in zip(healthy, colleague, strict=True):
        loss = [np.mean(run.history.losses["loss"][-5:]) for run in (good, bad)]
        assert loss[1] < loss[0] / 5
        assert bad.watch.returns[-1] < 15 < 50 < good.watch.returns[-1]
        with torch.no_grad():
            upright, falling = bad.agent.q_net(lesson.upright_and_falling).amax(dim=1)
            _, healthy_falling = good.agent.q_net(lesson.upright_and_falling).amax(dim=1)
        assert min(upright, falling) > 10  # more than anything is worth, 1 / (1 - 0.9)
        believed.append((upright.item(), falling.item()))
        assert healthy_falling < 5
    upright, falling = np.mean(believed, axis=0)
    assert falling > upright and falling > 15


# ------------------------------------------------------------- what the lesson's cells lean on


class Remembers:
    """A buffer without `extend`."""

    def __init__(self, capacity, obs_dim):
        self.inner = ReplayBuffer(capacity, obs_dim)

    def __len__(self):
        return len(self.inner)

    def add(self, *transition):
        self.inner.add(*transition)

    def sample(self, batch_size, rng):
        return self.inner.sample(batch_size, rng)


def test_an_assembled_agent_uses_every_part():
    calls = []
    agent = AssembledDQN(
        obs_dim=2,
        n_actions=2,
        replay=Remembers,
        dqn_update=lambda state, batch: calls.append((state, batch)) or 0.25,
    )
    replay = agent.make_replay(5)
    rng = np.random.default_rng(0)
    columns = [
        rng.normal(size=(3, 2)),
        np.arange(3),
        np.ones(3),
        rng.normal(size=(3, 2)),
        np.zeros(3, bool),
    ]
    replay.extend(*columns)
    replay.extend(*columns)
    assert len(replay) == 5
    batch = replay.sample(4, rng)
    assert agent.update(batch) == {"loss": 0.25}
    assert calls[0][0] is agent and calls[0][1] is batch


def test_the_reference_step_takes_the_parts_that_were_handed_in():
    seen = []

    def loss(q_net, target_net, batch, gamma):
        seen.append("loss")
        return q_net(batch.obs).sum()

    agent = AssembledDQN(
        obs_dim=2, n_actions=2, dqn_loss=loss, polyak_update=lambda *given: seen.append("polyak")
    )
    replay = agent.make_replay(5)
    replay.extend(np.zeros((2, 2)), np.zeros(2, int), np.ones(2), np.zeros((2, 2)), np.zeros(2))
    agent.update(replay.sample(2, np.random.default_rng(0)))
    assert seen == ["loss", "polyak"]


def test_an_assembled_agent_refuses_hard_copies():
    with pytest.raises(ValueError, match="target_every"):
        AssembledDQN(obs_dim=2, n_actions=2, target_every=5)


def test_a_random_memory_holds_whole_episodes_of_true_transitions():
    memory = random_memory("CartPole-v1", 300, seed=3)
    rows = memory.rows(np.arange(300))
    follows = (rows.next_obs[:-1] == rows.obs[1:]).all(dim=1)
    assert torch.equal(~follows, rows.terminated[:-1].bool())  # a new episode after each fall, only
    assert rows.action.unique().tolist() == [0, 1]
    assert torch.equal(rows.obs, random_memory("CartPole-v1", 300, seed=3).rows(np.arange(300)).obs)


def test_values_while_learning_begin_with_those_of_the_first_weights():
    memory = random_memory("CartPole-v1", 200, seed=0)
    agents = [DQN(obs_dim=4, n_actions=2, seed=seed) for seed in (0, 1)]
    with torch.no_grad():
        obs = memory.rows(np.arange(200)).obs
        first = [agent.q_net(obs).amax(dim=1).mean().item() for agent in agents]
    values = values_while_learning(agents, memory, 25, every=10, probes=200)
    assert values.shape == (2, 3)
    np.testing.assert_allclose(values[:, 0], first, rtol=1e-5)


def test_watch_stops_at_the_mark():
    agent = DQN(obs_dim=4, n_actions=2)
    low, high = (Watch("CartPole-v1", mark, seed=0, episodes=2) for mark in (1, 501))
    assert low(agent, 10) and not high(agent, 10)
    assert low.returns == high.returns and low.steps == [10] and low.values == []
