"""What lesson 17 says of its experiments, over more seeds."""

import math

import numpy as np
import pytest
import torch

from rlcourse.continuous import hills
from rlcourse.continuous.hills import ALPHA, two_hills
from rlcourse.continuous.soft_q import (
    Sampler,
    median_bandwidth,
    rbf_kernel,
    soft_policy_score,
    soft_value_estimate,
    svgd_direction,
    two_particles,
)
from rlcourse.lab.seeding import torch_seed

pytestmark = pytest.mark.full  # what the lesson says of its experiments, run again


class Dot(Sampler):
    def forward(self, obs, noise):
        return super().forward(obs, noise) - noise


def new(kind, seed):
    with torch_seed(seed):
        return kind(1, 1, (64, 64))


def trained(kind, seed, q_net=two_hills, **changes):
    sampler = new(kind, seed)
    return sampler, hills.fit_sampler(sampler, q_net, seed=seed, updates=600, **changes)


def no_repulsion(x, score, y, bandwidth):
    return (rbf_kernel(x, y, bandwidth)[..., None] * score[..., :, None, :]).mean(dim=-3)


def test_the_known_q_has_its_formula_and_its_shares():
    obs, a = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.6], [-0.6]])
    low = math.exp(-20 * 1.2**2)
    expected = torch.tensor([1 + low, 0.85 + low])
    torch.testing.assert_close(two_hills(obs, a), expected)
    line, p = hills.density(two_hills, 0.0, ALPHA)
    assert p.sum() * (line[1] - line[0]) == pytest.approx(1)
    assert hills.shares(line, p)[0] == pytest.approx(0.5)
    assert hills.total_variation(np.repeat(line, 50), two_hills, 0.0, ALPHA) > 0.3


def test_the_bias_for_many_draws_is_that_of_the_second_order():
    rng = np.random.default_rng(1)
    fine = ((torch.arange(4000, dtype=torch.float64) + 0.5) / 2000 - 1)[:, None]
    q = two_hills(torch.zeros_like(fine), fine)
    truth = float(ALPHA * (torch.logsumexp(q / ALPHA, 0) + math.log(2 / 4000)))
    w = torch.exp(q / ALPHA)
    for k in (64, 128):  # for fewer the next order counts as well
        a = torch.from_numpy(rng.uniform(-1, 1, size=(20_000 * k, 1)))
        values = two_hills(torch.zeros_like(a), a).reshape(-1, k)
        v = soft_value_estimate(values, -math.log(2), ALPHA)
        predicted = -ALPHA * float(w.var() / w.mean() ** 2) / (2 * k)
        assert float(v.mean()) - truth == pytest.approx(predicted, abs=0.001)


def test_two_particles_come_to_rest_where_the_formula_says():
    x = torch.tensor([[0.1], [0.9]], dtype=torch.float64)
    for _ in range(4000):
        x = x + 0.2 * svgd_direction(x, -(x - 0.4) / 1.44, x, 2.0)
    assert sorted(x[:, 0].tolist()) == pytest.approx(two_particles(0.4, 1.2, 2.0), abs=1e-9)


def test_two_particles_feel_each_other_with_the_median():
    pair = torch.tensor([[0.0], [1.0]])
    assert float(median_bandwidth(pair, pair)) == pytest.approx(0.5 / math.log(3))


@pytest.mark.parametrize("seed", range(5))
def test_a_sampler_that_starts_spread_out_keeps_both_hills(seed):
    sampler, _ = trained(Sampler, seed)
    for s in (0.0, 1.0):
        left, between = hills.shares(hills.drawn(sampler, s))
        true_left, _ = hills.shares(*hills.density(two_hills, s, ALPHA))
        assert abs(left - true_left) < 0.2
        assert between < 0.08


def test_a_sampler_that_starts_as_a_dot_may_lose_a_hill_for_good():
    assert max(hills.drawn(new(Dot, seed), 0.0).std() for seed in range(8)) < 0.2
    lost = [hills.shares(hills.drawn(trained(Dot, seed)[0], 0.0))[0] for seed in range(5)]
    assert min(min(x, 1 - x) for x in lost) < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_a_gaussian_lies_across_the_gap_or_on_one_hill(seed):
    actions = hills.drawn_gaussian(hills.fit_gaussian(two_hills, seed=seed, updates=600), 0.0)
    left, between = hills.shares(actions)
    assert between > 0.1 or min(left, 1 - left) < 0.1
    assert hills.total_variation(actions, two_hills, 0.0, ALPHA) > 0.4


@pytest.mark.parametrize("seed", range(3))
def test_without_repulsion_the_sampler_is_further_from_the_density(seed):
    alone, _ = trained(Sampler, seed, svgd_direction=no_repulsion)
    right, _ = trained(Sampler, seed)
    tv = [hills.total_variation(hills.drawn(x, 0.0), two_hills, 0.0, ALPHA) for x in (alone, right)]
    assert tv[0] > tv[1] + 0.2


@pytest.mark.parametrize("seed", range(3))
def test_the_silent_bug_runs_to_the_border_and_looks_converged(seed):
    def rising(obs, action):
        return action[:, 0] / 2

    def without_determinant(q_net, obs, u, alpha):
        return soft_policy_score(q_net, obs, u, alpha) + 2 * torch.tanh(u)

    _, bug = trained(Sampler, seed, rising, soft_policy_score=without_determinant)
    _, right = trained(Sampler, seed, rising)
    assert bug["size"][-50:].mean() > 0.9 > right["size"][-50:].mean()
    assert bug["length"][-50:].mean() < bug["length"][:50].mean() / 4
