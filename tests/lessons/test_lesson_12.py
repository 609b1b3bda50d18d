"""What lesson 12 says of its figures, asserted on the numbers that its own cells compute, with more seeds."""

import numpy as np
import pytest
import torch
from running import left_by

pytestmark = pytest.mark.full  # what the lesson says of its experiments, run again


@pytest.fixture(scope="module")
def lesson():
    return left_by("12")


def test_the_share_of_the_data_falls_as_the_exponential_says(lesson):
    xi = lesson["xi"]
    for u in (0.1, 0.3, 0.5, 1.0):
        ratio = np.exp(u * xi - u**2 / 2)
        share = ratio.sum() ** 2 / (ratio**2).sum() / len(ratio)
        assert share == pytest.approx(np.exp(-(u**2)), rel=0.05)


def test_the_clip_holds_the_worst_of_forty_batches_and_pays_in_the_mean(lesson):
    more = [lesson["sample_rows"](64, np.random.default_rng(seed)) for seed in range(15, 40)]
    before, gained = lesson["start_value"](lesson["begin"]), {}
    for name, loss in lesson["losses"].items():
        ways = [*lesson["paths"][name], *(lesson["climb"](*batch, loss) for batch in more)]
        gained[name] = np.array([way[-1, 1] for way in ways]) - before
        assert all(way[-1, 0] > 0.01 for way in ways)  # the surrogate is what is climbed
    alone = gained.pop("surrogate alone")
    for restrained in gained.values():
        assert alone.min() < 3 * restrained.min() < 0
        assert alone.mean() > 1.5 * restrained.mean() > 0
    worst_of_15 = {name: g[:15].min() for name, g in gained.items()}
    assert alone[:15].min() == pytest.approx(-4.2, abs=0.5)
    assert all(g == pytest.approx(-0.4, abs=0.15) for g in worst_of_15.values())


def test_ratios_stay_with_the_clip_and_leave_without(lesson):
    held, free = lesson["by_epoch"]["clip 0.2"], lesson["by_epoch"]["no clip"]
    assert max(told["outside"] for told in held) < 0.1
    assert held[-1]["outside"] > 0, "the clip does not hold them all"
    assert free[-1]["outside"] > 0.5 and free[-1]["KL"] > 20 * held[-1]["KL"]
    assert free[-1]["share"] < 0.85 < held[-1]["share"]


def test_twenty_epochs_pay_with_the_clip_only(lesson):
    more, runs = range(2, 4), lesson["cartpole_runs"]
    scores = {
        name: np.r_[
            lesson["scores"](lesson["results"][name][0]),
            lesson["scores"](runs(which=more, **settings)[0]),
        ]
        for name, settings in {
            "PPO, 20 epochs": {"epochs": 20},
            "no clip, 20 epochs": {"epochs": 20, "clip": 1e9},
        }.items()
    }
    held, free = scores["PPO, 20 epochs"], scores["no clip, 20 epochs"]
    assert (held > free).all() and held.mean() > free.mean() + 150
    assert (held > 350).all()
    once = lesson["scores"](lesson["results"]["PPO, 1 epoch"][0])
    assert (once < 250).all()


def test_without_the_clip_an_update_goes_tens_of_times_as_far(lesson):
    far = {
        name: np.median(lesson["kl_of_updates"](agents))
        for name, (agents, _) in lesson["results"].items()
    }
    assert far["no clip, 20 epochs"] > 20 * far["PPO, 20 epochs"]
    assert far["PPO, 20 epochs"] > 5 * far["PPO, 1 epoch"]


def test_the_penalty_keeps_near_its_target_until_the_step_size_ends(lesson):
    agents, _ = lesson["penalised"]["PPO-KL, 20 epochs"]
    assert (lesson["scores"](agents) > 450).all()
    for agent in agents:
        kl, beta = (np.array([told[what] for told in agent.seen]) for what in ("KL", "β"))
        assert 0.003 < np.median(kl[:18]) < 0.02
        steps = np.abs(np.log2(beta[1:] / beta[:-1]))
        assert np.isin(steps.round(6), (0.0, 1.0)).all() and steps.sum() > 2
        assert beta[-1] < 1


def test_the_ship_docks_with_a_restraint_and_leaves_without(lesson):
    docked, more = lesson["docked"], range(2, 4)
    functions = {"ppo_kl_loss": lesson["ppo_kl_loss"], "policy_kl": lesson["policy_kl"]}
    returns = {
        "clip": docked(which=more)[1],
        "penalty": docked(lesson["PPOKL"], which=more, **(functions | {"horizon": 64}))[1],
    }
    for name, found in returns.items():
        found = np.r_[lesson["in_the_box"][name][1], found]
        assert (found > lesson["best_return"] - 0.6).all(), name
    assert min(lesson["in_the_box"]["neither"][1]) < -1000


def test_of_three_details_the_small_last_layer_is_worth_its_line(lesson):
    details = {name: np.array(returns) for name, (_, returns) in lesson["details"].items()}
    more = lesson["docked"](lesson["Opinionated"], which=range(3, 5), steps=5_000)[1]
    loud = np.r_[details.pop("last layer 100 times larger"), more]
    assert sorted(loud)[1] < -5, "at least two of five far off"
    assert all(returns.min() > -6 for returns in details.values())


def test_a_fixed_price_needs_standardised_advantages(lesson):
    """The second question at the end: what a fixed β makes of rewards in hundredths."""
    fixed = {"world": lesson["Hundredths"], "which": range(2), "factor": 1.0, "horizon": 64}
    standardised = lesson["docked"](lesson["PPOKL"], **fixed)[1]
    plain = lesson["docked"](lesson["PPOKL"], ppo_batch=lesson["as_it_came"], **fixed)[1]
    assert min(standardised) > max(plain)


def test_the_colleague_s_ratio_is_always_one_and_its_entropy_gone(lesson):
    assert (lesson["scores"](lesson["suspects"]) < 100).all()
    for agent in lesson["suspects"]:
        assert agent.clipped_rows == 0
        outside, entropy = (
            np.array([told[x] for told in agent.seen]) for x in ("outside", "entropy")
        )
        assert outside[:6].mean() > max(lesson["right"]) + 0.15
        assert entropy[-1] < 0.1 < min(lesson["right_entropy"])


def test_the_bound_holds_for_other_worlds_and_steps(lesson):
    tables, kl_of_step = lesson["tables"], lesson["kl_of_step"]
    for seed in range(10):
        rng = np.random.default_rng(seed)
        world = tables.random_mdp(5, 3, rng, go_on=0.9)
        h, x = torch.from_numpy(rng.normal(size=(2, 5, 3)))
        gamma, start = 0.9, world.start.numpy()
        v = torch.from_numpy(tables.state_values(world, h, gamma))
        A = world.R + gamma * world.P @ v - v[:, None]
        n = torch.from_numpy(tables.visits(world, h, gamma))
        for size in (0.01, 0.1, 1.0):
            gain = float(n @ (torch.softmax(h + size * x, 1) * A).sum(1))
            off = 4 * gamma * float(A.abs().max()) / (1 - gamma) ** 2
            far = float(kl_of_step(h, size * x).max())
            new = float(start @ tables.state_values(world, h + size * x, gamma))
            assert new >= float(start @ v.numpy()) + gain - off * far
