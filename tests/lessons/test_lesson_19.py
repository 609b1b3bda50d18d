"""What lesson 19 says of its figures, asserted on the numbers that its own cells compute."""

import numpy as np
import pytest
from running import left_by

pytestmark = pytest.mark.full  # what the lesson says of its experiments, run again

RETURN, ALPHA, ENTROPY = 0, 1, 2  # the columns of a look


@pytest.fixture(scope="module")
def lesson():
    return left_by("19")


def test_tenfold_rewards_need_the_tenfold_price(lesson):
    found = lesson["found"]
    assert found[10] == pytest.approx(10 * found[1], rel=1e-2)
    assert all((np.diff(bought) > 0).all() for bought in lesson["entropies"].values())


def test_both_prices_arrive_at_the_closed_form(lesson):
    for path in lesson["paths"].values():
        assert np.mean(path[-200:]) == pytest.approx(lesson["alpha_star"], rel=0.1)


def test_what_sac_and_td3_share(lesson):
    same = {point for point, (theirs, ours) in lesson["table"].items() if theirs == ours}
    assert same == {
        "critics",
        "slow copies of the critics",
        "targets y for both critics",
        "y from critics 1 and 3, no bonus",
    }


def test_every_seed_swings_the_pendulum_up(lesson):
    assert len(lesson["finals"]) == 3
    assert min(lesson["finals"]) >= -200
    for runs in lesson["curves"].values():
        assert runs[..., -1].min() >= -200
    assert lesson["random_return"] < -800


def test_the_entropy_settles_at_its_target_and_the_temperature_moves(lesson):
    inside = lesson["inside"]
    assert inside[:, 0, ENTROPY].min() > -0.9, "it begins well above the target"
    assert inside[:, -5:, ENTROPY].mean(axis=1) == pytest.approx(-1.0, abs=0.3)
    assert (inside[:, :, ENTROPY] < np.log(2)).all()
    assert (np.ptp(inside[:, :, ALPHA], axis=1) > 0.03).all()


def test_the_policy_is_narrowest_upright(lesson):
    degrees = np.degrees(lesson["angle"])
    for spread in lesson["spread"]:
        assert abs(degrees[spread.argmin()]) < 30
        assert spread[np.abs(degrees) < 10].mean() < 0.8 * spread[np.abs(degrees) > 90].mean()


def test_a_large_temperature_costs_return_and_a_tiny_one_entropy(lesson):
    large, tiny, learned = (lesson["ablation"][f"α {x}"] for x in ("= 5.0", "= 0.001", "learned"))
    assert large[:, -1, RETURN].max() < learned[:, -1, RETURN].min() - 50
    assert (large[:, :, ENTROPY] > 0.4).all()
    assert tiny[:, -1, ENTROPY].max() < -4
    at_4000 = list(lesson["steps"]).index(4000)
    halfway = (large[:, at_4000, RETURN].mean() + learned[:, at_4000, RETURN].mean()) / 2
    assert tiny[:, at_4000, RETURN].min() > halfway


def test_the_bug_shows_in_entropy_and_temperature_and_in_what_the_policy_does(lesson):
    theirs = np.stack([looks for _, looks in lesson["theirs"]])
    assert (theirs[:, :, ENTROPY] > 3).all(), "more than anybody can have"
    assert (np.diff(theirs[:, :, ALPHA], axis=1) < 0).all()
    saturated = lesson["saturated"]
    assert saturated["the colleague's SAC"] > 0.9 > 0.6 > saturated["your SAC"]


def test_balancing_costs_less_with_the_policys_own_width(lesson):
    for own, even in lesson["noisy"]["balancing"]:
        assert own > even
