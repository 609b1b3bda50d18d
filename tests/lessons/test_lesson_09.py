"""Lesson 09's observations, over more seeds than its cells show."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from running import left_by

from rlcourse.values.double_dqn import DoubleDQN
from rlcourse.values.dqn import DQN
from rlcourse.values.ensembles import EnsembleDQN
from rlcourse.values.prioritised import PERDQN, prioritise

pytestmark = pytest.mark.full  # what the lesson says of its experiments, run again

SEEDS = (2, 3)  # the lesson has 0 and 1


@pytest.fixture(scope="module")
def lesson():
    return SimpleNamespace(**left_by("09"))


@pytest.fixture(scope="module")
def promised(lesson):
    """rule -> what the labels promise at the end, of the lesson's pairs of memories and of two others."""
    found = {name: [run.promised[-1] for run in those] for name, those in lesson.runs.items()}
    for seed in SEEDS:
        pair = [lesson.lucky_memory(10 * seed + i) for i in range(2)]
        found["DQN"].append(lesson.learn(lesson.plain, pair, seed=seed).promised[-1])
        for name, (label, n_nets, own) in lesson.rules.items():
            memories = pair if own else pair[:1]
            found[name].append(lesson.learn(label, memories, n_nets, seed).promised[-1])
    return {name: np.array(each) for name, each in found.items()}


def test_the_labels_of_a_dqn_promise_about_one_where_all_is_worth_nothing(promised):
    assert promised["DQN"].min() > 0.8
    assert 1.1 < promised["DQN"].mean() < 1.7


def test_opinions_from_the_same_memory_hardly_help(promised):
    for name in ("double, slow copy", "min of 2, same batches"):
        ratio = promised[name] / promised["DQN"]
        assert (ratio > 0.7).all() and ratio.mean() < 1, name


def test_two_memories_make_the_second_opinion_worth_something(promised):
    double, least = promised["double, a memory each"], promised["min of 2, a memory each"]
    assert abs(double.mean()) < 0.25 and np.abs(double).max() < 0.6
    assert double.min() < 0 < double.max()  # on either side for single pairs
    assert (least < 0.5 * promised["DQN"]).all() and (least > double).all() and least.min() > 0.1


def test_the_bias_falls_with_fewer_games_and_more_data_and_grows_with_time(lesson):
    for seed in (20,):
        ends = {
            name: lesson.learn(lesson.plain, [lesson.lucky_memory(seed, **memory)], **time).promised[-1]
            for name, memory, time in (
                ("two games", {"games": 2}, {}),
                ("8000", {"n": 8_000}, {}),
                ("longer", {}, {"updates": 2_000}),
                ("as it was", {}, {}),
            )
        }  # fmt: skip
        assert max(ends["two games"], ends["8000"]) < 0.8 * ends["as it was"] < 0.8 * ends["longer"]


@pytest.fixture(scope="module")
def lived(lesson):
    """agent -> four runs in the casino; the lesson's, of seeds 0 and 1, among them."""
    found = {
        "DQN": [*lesson.lived["DQN"], *(lesson.live(DQN, seed) for seed in SEEDS)],
        "double": [*lesson.lived["double DQN"], *(lesson.live(DoubleDQN, seed) for seed in SEEDS)],
    }
    per = [lesson.live(PERDQN, seed, beta_steps=2_000) for seed in (0, 1, *SEEDS)]
    return found | {"PER": per}


def test_in_the_casino_everybody_comes_down_after_having_played(lived):
    for those in lived.values():
        for run in those:
            assert run.believed.max() > run.believed[-1]
            assert abs(run.believed[-1]) < 0.3
            assert run.leaves[3:6].max() < 0.4  # steps 2000 to 3000: it plays
            assert (run.true <= 0).all() and run.true.min() < -0.9


def test_double_dqn_believes_in_a_little_less_and_priorities_change_nothing_to_be_seen(lived):
    most = {name: np.array([run.believed.max() for run in those]) for name, those in lived.items()}
    assert (most["double"] < most["DQN"]).all()
    assert (most["DQN"] - most["double"]).max() < np.ptp(
        most["double"]
    )  # "its own seeds lie further apart"
    assert abs(most["PER"].mean() - most["DQN"].mean()) < most["DQN"].std()


def test_copies_by_episodes_run_away_and_copies_by_updates_do_not(lesson):
    for seed in (1, 2):
        updates = lesson.with_copies(DQN, seed, target_every=100)
        episodes = lesson.with_copies(lesson.CopiesByEpisodes, seed)
        assert episodes.copies > 10 * updates.copies and episodes.episodes > 2 * updates.episodes
        assert episodes.returned < 20 < 100 < updates.returned
        assert updates.believed < 100 < 10_000 < episodes.believed


def test_an_agent_with_shares_of_one_memory_learns_the_casino(lesson):
    run = lesson.live(EnsembleDQN, 0, size=2, share=0.5)
    assert abs(run.believed[-1]) < 0.3 < run.leaves.max()


def test_the_truth_of_a_policy_that_plays_in_a_share_of_the_states(lesson):
    """-0.1 (p + p² γ + p³ γ² + …), by living it."""

    class Half:
        def act(self, x):
            return 0 if x < 0 else 8

    env, policy, earned = lesson.casino(), Half(), []
    obs, _ = env.reset(seed=0)
    for _ in range(4_000):
        total, weight, over = 0.0, 1.0, False
        while not over:
            action = policy.act(obs[0])
            obs, reward, over, cut, _ = env.step(action)
            total, weight, over = total + weight * reward, 0.9 * weight, over or cut
        obs, _ = env.reset()
        earned.append(total)
    said = -0.1 * 0.5 / (1 - 0.9 * 0.5)
    assert np.mean(earned) == pytest.approx(said, abs=4 * np.std(earned) / np.sqrt(4_000))


def test_in_cartpole_the_values_are_still_climbing(lesson):
    believed, earned = lesson.both.T
    assert believed.mean() < 40 < 80 < earned.mean()


def test_the_cliffwalk_grows_as_it_should(lesson):
    count = {
        (n, name): np.median([lesson.updates_needed(n, seed=seed, **way)[0] for seed in range(3, 8)])
        for n in (6, 8, 10)
        for name, way in lesson.ways.items()
    }  # fmt: skip
    for n in (6, 8):
        assert 2.5 < count[n + 2, "uniform"] / count[n, "uniform"] < 6
        assert 1.2 < count[n + 2, "oracle"] / count[n, "oracle"] < 2.2
    for n in (6, 8, 10):
        order = ["oracle", "greedy", "α = 1, ε = 0.0001", "α = 0.6, ε = 0.01", "uniform"]
        assert sorted(order, key=lambda name: count[n, name]) == order
    assert count[10, "uniform"] > 8 * count[10, "α = 1, ε = 0.0001"]
    assert 2 < count[10, "uniform"] / count[10, "α = 0.6, ε = 0.01"] < 5


def test_small_errors_in_the_batch_are_the_bad_sign(lesson):
    for seed in (3, 4, 5):
        (awake, much), (asleep, little) = (
            lesson.updates_needed(10, "priority", seed, told=told) for told in (True, False)
        )
        assert asleep > 7 * awake and much > 5 * little


def test_the_more_greedy_the_faster_where_nothing_is_random(lesson):
    counts = [
        np.mean([lesson.updates_needed(8, "priority", s, exponent=a)[0] for s in range(3, 8)])
        for a in (0.0, 0.3, 0.6, 1.0, 1.5)
    ]
    assert counts == sorted(counts, reverse=True)


def test_weights_bring_the_mean_back(lesson):
    found = list(lesson.estimates.values())
    assert found == sorted(found, reverse=True)
    assert found[0] > 2 * found[-1]


def test_the_weighted_gradient_is_the_uniform_one(lesson):
    assert lesson.angle["w"] < 0.2
    assert min(lesson.angle["no weight"], lesson.angle["w²"]) > 5


def test_who_reads_only_good_news_believes_in_it_with_every_seed(lesson):
    runs = lesson.met["colleague"] + [
        lesson.live(PERDQN, seed, 3_000, per_dqn_loss=lesson.colleague_loss, beta_steps=2_000)
        for seed in (2, 3)
    ]
    for run in runs:
        assert run.believed[-1] > 3 and run.true[-1] < -0.9
        assert run.loss < 0.2
    healthy = lesson.met["yours"]
    for good, bad in zip(healthy, lesson.met["colleague"], strict=True):
        assert good.believed.max() < 1 and bad.loss < 1.2 * good.loss


def test_a_memory_of_luck_has_a_mean_reward_of_zero(lesson):
    rows = lesson.lucky_memory(3, n=500, games=4).rows(np.arange(500))
    assert abs(rows.reward.mean()) < 1e-6 and rows.action.unique().tolist() == [0, 1, 2, 3]
    assert (rows.terminated == 0).all() and abs(float(rows.reward.std()) - 1) < 0.15


def test_the_lessons_functions_are_the_packages(lesson):
    error, drawn = torch.randn(20), torch.tensor([3, 3, 19])
    for mine, theirs in zip(lesson.prioritise(error, drawn, 0.6, 0.1, 0.4), prioritise(error, drawn, 0.6, 0.1, 0.4), strict=True):  # fmt: skip
        torch.testing.assert_close(mine, theirs)
