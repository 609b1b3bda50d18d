"""What lesson 10 says of its figures, asserted on the numbers that its own cells compute."""

import numpy as np
import pytest
import torch
from running import left_by

pytestmark = pytest.mark.full  # what the lesson says of its experiments, run again


@pytest.fixture(scope="module")
def lesson():
    return left_by("10")


def test_exact_ascent_finds_the_best_coin(lesson):
    path = np.array(lesson["path"])
    assert path[0] == pytest.approx(0.05) and (np.diff(path) > -1e-9).all()
    assert path[-1] == pytest.approx(2 - np.sqrt(2), abs=1e-6)


def test_a_wide_policy_finds_the_high_hill_and_a_narrow_one_the_low_hill(lesson):
    ends = {
        sigma: [
            lesson["ascend"](-2.0, np.log(sigma), np.random.default_rng(seed))[-1, 0]
            for seed in range(10)
        ]
        for sigma in (0.4, 2.0)
    }
    assert np.abs(np.add(ends[0.4], 1.5)).max() < 0.3
    assert np.abs(np.subtract(ends[2.0], 1.5)).max() < 0.3


def test_a_search_without_a_gradient_loses_its_way_where_there_are_many_parameters(lesson):
    def cosines(n_states):
        generators = map(np.random.default_rng, range(4))
        return np.array([lesson["cosines_of_both"](n_states, rng) for rng in generators])

    few, many = cosines(2), cosines(32)
    assert np.median(few[:, 1]) > 0.9 and (few[:, 0] > 0.9).all()
    assert (many[:, 1] < 0.4).all() and (many[:, 0] > 0.75).all()


def test_of_what_the_value_leaves_the_best_baseline_takes_from_nothing_to_nearly_all(lesson):
    none, value, best = (
        lesson["spread"](b).numpy()
        for b in (torch.zeros(4).double(), lesson["v_richer"], lesson["b_star"])
    )
    assert (value < 0.01 * none).all()
    assert (best <= value).all()
    assert (best / value).max() > 0.95 and (best / value).min() < 0.2


def test_a_mean_over_the_steps_of_an_episode_is_not_the_gradient(lesson):
    cosines = lesson["cosines_of_sum_and_mean"]
    assert cosines["sum"].min() > cosines["mean over T"].max()


def test_the_state_s_value_is_the_best_of_three_baselines_in_both_worlds(lesson):
    variances = lesson["variances"]
    for bonus in (0, 5):
        ours = variances[bonus, "V(s)"]
        assert ours < variances[bonus, "0"] and ours < variances[bonus, "mean return"]
    assert variances[5, "0"] > 10 * variances[0, "0"]
    assert variances[5, "V(s)"] < variances[5, "0"] / 4
    assert variances[0, "mean return"] > 0.9 * variances[0, "0"], "a constant need not help"


def test_practice_s_direction_comes_close_as_gamma_goes_to_one(lesson):
    cosines = lesson["cosines"]
    assert (cosines > 0).all() and (np.diff(cosines.mean(axis=0)) > -1e-6).all()
    assert 0.7 < cosines[:, 0].mean() < 0.9
    assert (cosines[:, lesson["gammas"].index(0.99)] > 0.999).all()


def test_error_falls_like_one_over_root_n_only_where_the_factor_is_kept(lesson):
    counts = lesson["counts"]
    slope = {
        name: np.polyfit(np.log(counts[-12:]), np.log(e.mean(axis=0)[-12:]), 1)[0]
        for name, e in lesson["errors"].items()
    }
    assert slope["γᵗ kept, b = 0"] == pytest.approx(-0.5, abs=0.12)
    assert slope["γᵗ kept, b = V(s)"] == pytest.approx(-0.5, abs=0.12)
    assert slope["γᵗ dropped, b = V(s)"] > -0.15
    with_v, without = (lesson["errors"][f"γᵗ kept, b = {b}"].mean() for b in ("V(s)", "0"))
    assert with_v < without


def test_every_run_in_the_corridor_leaves_the_greedy_policies_behind(lesson):
    for totals, p in lesson["runs_in_corridor"]:
        assert totals[-50:].mean() > -20
        assert 0.35 < p < 0.85


def test_the_factor_makes_the_late_choice_slower_to_learn(lesson):
    dropped, kept = lesson["learned"]["γᵗ dropped"], lesson["learned"]["γᵗ kept"]
    assert dropped[:, :60].mean() > kept[:, :60].mean() + 0.1
    assert dropped[:, -20:].mean() > 0.95


def test_the_baseline_is_ahead_on_cartpole(lesson):
    train, more = lesson["cartpole_runs"], range(3, 5)
    with_baseline = np.concatenate(
        [lesson["with_baseline"], train(lesson["ReinforceBaseline"], more)[1]]
    )
    plain = np.concatenate([lesson["plain"], train(lesson["Reinforce"], more)[1]])
    assert with_baseline[:, -1].mean() > 1.3 * plain[:, -1].mean()
    assert (with_baseline.mean(axis=1) > plain.mean(axis=1)).all()
    assert plain[:, -1].min() > 3 * lesson["never"]
    assert max(lesson["scores"]) > 400


def test_without_a_baseline_one_episode_a_step_collapses(lesson):
    curves = lesson["curves"]
    assert (curves["without, 1 a step"][:, 19] < 20).all()
    assert (curves["with, 1 a step"][:, 19] > 100).all()


def test_the_colleague_s_agents_learn_less_and_their_returns_say_why(lesson):
    assert (lesson["odd"][:, -1] < 0.75 * lesson["with_baseline"][:, -1]).all()
    for agent in lesson["suspects"]:
        first, second = agent.returns[agent.ends].tolist()
        assert first > 10 and second == pytest.approx(1.0)
