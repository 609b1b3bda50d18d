"""What lesson 11 says of its figures, over more seeds than it shows."""

import numpy as np
import pytest
from running import left_by

pytestmark = pytest.mark.full  # what the lesson says of its experiments, run again


@pytest.fixture(scope="module")
def lesson():
    return left_by("11")


def test_a_baseline_and_a_critic_together_leave_next_to_nothing(lesson):
    variance = lesson["variance"]
    assert variance["A"] < variance["G − V"] / 40 and variance["A"] < variance["Q"] / 10
    assert 0.7 < variance["G − V"] / variance["G"] < 1
    assert variance["Q + 10"] > variance["G"]


def test_with_an_exact_critic_the_td_error_is_best_and_a_wrong_one_biases_it(lesson):
    bias = {name: [b for b, _ in by.values()] for name, by in lesson["error"].items()}
    noise = {name: [v for _, v in by.values()] for name, by in lesson["error"].items()}
    assert max(bias["exact"]) < 1e-12
    for name in ("off", "zero"):
        assert (np.diff(bias[name]) < 0).all() and bias[name][-1] < 1e-12
    assert all((np.diff(v) > 0).all() for v in noise.values())


def test_the_more_data_the_larger_the_best_lambda(lesson):
    off = lesson["error"]["off"]

    def best(rows, among=tuple(off)):
        return min(among, key=lambda lam: off[lam][0] + off[lam][1] / rows)

    asked = (0.0, 0.5, 0.8, 1.0)
    assert [best(rows, asked) for rows in (16, 256, 4096)] == [0.0, 0.5, 0.8]
    found = [best(rows) for rows in np.geomspace(4, 1e6, 30)]
    assert (np.diff(found) >= 0).all()


def test_i_decides_where_states_share_their_parameters(lesson):
    ends = {
        with_i: [lesson["corridor"](with_i, seed)[-1] for seed in range(3, 8)]
        for with_i in (True, False)
    }
    assert min(ends[True]) > 0.75 and max(ends[False]) < 0.2


def test_a_masked_clock_costs_a_quarter_of_what_is_to_be_had(lesson):
    """The lesson's three seeds and two more."""
    stays = {name: list(runs[:, -1]) for name, runs in lesson["shops"].items()}
    for name, kind in {"bootstrapped": lesson["A2C"], "masked": lesson["OneMask"]}.items():
        stays[name] += [lesson["shopping"](kind, seed)[0][-1] for seed in (3, 4)]
    worth = {k: lesson["worth_without_a_clock"](np.array(p)) for k, p in stays.items()}
    assert min(worth["bootstrapped"]) > 19.9
    assert max(worth["masked"]) < 16.5 and np.mean(worth["masked"]) < 15.5
    assert np.mean(stays["masked"]) == pytest.approx(lesson["rest"], abs=0.04)


def test_on_the_pole_a2c_is_ahead_of_q_and_lambda_zero_hardly_learns(lesson):
    """Seeds beyond those of the lesson."""
    a2c, q = lesson["results"]["A2C"][2], lesson["results"]["Q actor-critic"][2]
    long, short = lesson["results"]["λ = 1"][2], lesson["results"]["λ = 0"][2]
    more = lesson["poles"](lesson["A2C"], (3, 4), a2c_update=lesson["a2c_update"])[2]
    assert min([*a2c, *more]) > max(q)
    assert min(*a2c, *long) > 2 * max(short)


def test_a_mask_one_row_late_blames_the_last_step_alone(lesson):
    runs = dict(lesson["diaries"])
    more = lesson["poles"](
        lesson["Diary"], (2,), gae=lesson["colleagues_gae"], a2c_loss=lesson["a2c_loss"]
    )
    for agent in (*runs["the colleague's"][0], *more[0]):
        late = np.mean(agent.falls[len(agent.falls) // 2 :], axis=0)
        assert late[-1] < -5 and (late[:-1] > 0).all()
    for agent in runs["A2C"][0]:
        late = np.mean(agent.falls[len(agent.falls) // 2 :], axis=0)
        assert late[-1] < 0 and late[-2] < 0 and late[-3] < 0
    explained = {
        name: [np.array(agent.pages)[100:, 1].mean() for agent in agents]
        for name, (agents, _, _) in runs.items()
    }
    assert max(explained["the colleague's"]) < 0 < min(explained["A2C"])
    assert max(*runs["the colleague's"][2], *more[2]) < 0.4 * min(runs["A2C"][2])
