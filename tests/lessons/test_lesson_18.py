"""What lesson 18 says of its figures, asserted on the numbers that its own cells compute."""

import numpy as np
import pytest
from running import left_by

pytestmark = pytest.mark.full  # what the lesson says of its experiments, run again

RETURN, V, ENTROPY = 0, 1, 2  # the columns of a look


@pytest.fixture(scope="module")
def lesson():
    return left_by("18")


def test_the_estimates_of_the_gradient(lesson):
    means = {name: rows.mean(dim=0) for name, rows in lesson["estimates"].items()}
    spread = {name: rows.std(dim=0) for name, rows in lesson["estimates"].items()}
    np.testing.assert_allclose(means["(18.14)"], lesson["differences"], atol=1e-8)
    np.testing.assert_allclose(means["without its first term"], means["(18.14)"], atol=1e-3)
    np.testing.assert_allclose(means["score function"], means["(18.14)"], atol=5e-3)
    assert (spread["without its first term"] < spread["(18.14)"]).all()
    assert spread["score function"][0] < spread["(18.14)"][0]
    assert (spread["score function, Q + 10"] > 5 * spread["(18.14)"]).all()


def test_one_hump_is_found_and_of_two_one_is_chosen(lesson):
    left_over = lesson["left_over"]
    assert max(left_over["one hump", "after"]) < 0.05
    left, middle, right = left_over["two humps", "after"]
    assert right < left < middle
    assert np.allclose(lesson["places"], [-0.6, 0.0, 0.6], atol=0.12)


def test_the_descent_ends_where_paper_says(lesson):
    np.testing.assert_allclose(lesson["reached"], lesson["std"], rtol=0.1)
    assert (lesson["std"] < np.sqrt(np.diag(lesson["covariance"]))).all()


def test_the_temperatures(lesson):
    looks = lesson["looks_of"]
    assert lesson["final"] > -200
    assert looks["α = 2.0"][-1, RETURN] < looks["α = 0.2"][-1, RETURN] - 500
    assert looks["α = 2.0"][-1, ENTROPY] > 0.4
    assert looks["α = 0.001"][-1, ENTROPY] < -4


@pytest.mark.parametrize("seed", [0, 1])
def test_a_copy_that_is_not_slow_sends_v_down(lesson, seed):
    train = lesson["train"]
    right = lesson["looks_mine"] if seed == 0 else train(seed)[1]
    bug = lesson["looks_theirs"]
    if seed:
        bug = train(seed, polyak_update=lesson["colleagues_polyak"])[1]
    assert bug[:3, V].min() < 1.5 * right[:3, V].min()
    assert np.isfinite(bug).all()


def test_the_value_network_errs_more_than_one_draw(lesson):
    assert lesson["of_network"] > lesson["of_one_draw"]
