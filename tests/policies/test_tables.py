"""The worlds and samples of lesson 10, against sums over all paths, autograd and the loop itself."""

import numpy as np
import pytest
import torch

from rlcourse.policies import tables
from rlcourse.policies.gae import gae
from rlcourse.policies.reinforce import exact_policy_gradient, softmax_policy


@pytest.fixture
def rng():
    return np.random.default_rng(100)


def by_summing(mdp, logits, gamma, steps=2000):
    """Visits and start value by walking the distribution of states, no linear solve."""
    P, R, start = (x.numpy() for x in mdp)
    pi = torch.softmax(logits, dim=1).numpy()
    visits, value, d = np.zeros_like(start), 0.0, start
    for t in range(steps):
        visits = visits + gamma**t * d
        value += gamma**t * (d[:, None] * pi * R).sum()
        d = np.einsum("s,sa,sat->t", d, pi, P)
    return visits, value


@pytest.mark.parametrize("gamma", [0.0, 0.7, 1.0])
def test_values_and_visits_are_the_sums_over_time(gamma, rng):
    mdp = tables.random_mdp(4, 3, rng, go_on=0.8)
    logits = torch.from_numpy(rng.normal(size=(4, 3)))
    visits, value = by_summing(mdp, logits, gamma)
    assert tables.visits(mdp, logits, gamma) == pytest.approx(visits)
    assert mdp.start.numpy() @ tables.state_values(mdp, logits, gamma) == pytest.approx(value)


def test_random_worlds_end_with_the_same_probability_everywhere(rng):
    mdp = tables.random_mdp(5, 2, rng, go_on=0.7)
    assert torch.allclose(mdp.P.sum(dim=2), torch.full((5, 2), 0.7, dtype=torch.float64))
    assert float(mdp.start.sum()) == pytest.approx(1)


def test_the_chain_is_walked_once_and_pays_action_one():
    rewards = [1.0, -2.0, 3.0]
    mdp = tables.chain(3, rewards)
    right = torch.tensor([[0.0, 50.0]]).expand(3, 2).double()
    assert tables.visits(mdp, right, 1.0) == pytest.approx(np.ones(3))
    assert tables.state_values(mdp, right, 0.5) == pytest.approx([0.75, -0.5, 3.0])
    assert tables.state_values(mdp, -right, 0.5) == pytest.approx(np.zeros(3))


def test_short_corridor_is_worth_what_the_book_says():
    p = 2 - np.sqrt(2)
    pair = torch.log(torch.tensor([[1 - p, p]], dtype=torch.float64)).expand(3, 2)
    v = tables.state_values(tables.short_corridor(), pair, 1.0)
    assert v[0] == pytest.approx(-(6 + 4 * np.sqrt(2)))
    assert v[0] == pytest.approx(-11.66, abs=0.005)


@pytest.mark.parametrize("blind", [False, True])
def test_world_and_side_by_side_samples_have_the_mdp_s_mean_return(blind, rng):
    mdp = tables.random_mdp(3, 2, rng, go_on=0.7)
    logits = torch.zeros(3, 2, dtype=torch.float64)
    _, value = by_summing(mdp, logits, 1.0)
    env, returns = tables.TableWorld(mdp, blind), []
    env.reset(seed=1)
    for _ in range(4000):
        obs, _ = env.reset()
        total, over = 0.0, False
        while not over:
            assert obs in env.observation_space and (not blind or obs == 0)
            obs, reward, over, _, _ = env.step(int(rng.integers(2)))
            total += reward
        returns.append(total)
    episodes = tables.sample_episodes(mdp, logits, 4000, rng)
    for sample in (np.array(returns), episodes.reward.sum(axis=1)):
        assert abs(sample.mean() - value) < 4.5 * sample.std() / np.sqrt(len(sample))
        assert sample.std() > 0


def test_rewards_to_come_are_the_discounted_sums(rng):
    reward = rng.normal(size=(2, 5))
    episodes = tables.Episodes(reward, reward, reward, np.ones((2, 5), dtype=bool))
    got = tables.rewards_to_come(episodes, 0.6)
    for i, t in np.ndindex(2, 5):
        assert got[i, t] == pytest.approx(sum(0.6**k * r for k, r in enumerate(reward[i, t:])))


def test_episode_gradients_are_the_sums_of_weighted_scores(rng):
    mdp = tables.random_mdp(3, 2, rng, go_on=0.6)
    logits = torch.from_numpy(rng.normal(size=(3, 2)))
    episodes = tables.sample_episodes(mdp, logits, 6, rng)
    weight = rng.normal(size=episodes.reward.shape)
    got = tables.episode_gradients(episodes, weight, logits)
    for i in range(6):
        leaf = logits.clone().requires_grad_()
        total = torch.zeros((), dtype=torch.float64)
        for t in np.flatnonzero(episodes.alive[i]):
            s, a = int(episodes.state[i, t]), int(episodes.action[i, t])
            total = total + weight[i, t] * torch.log_softmax(leaf[s], dim=0)[a]
        assert got[i] == pytest.approx(torch.autograd.grad(total, leaf)[0].numpy())


def test_mean_of_sampled_gradients_is_the_exact_one(rng):
    mdp = tables.random_mdp(3, 2, rng, go_on=0.8)
    logits = torch.from_numpy(rng.normal(size=(3, 2)))
    exact = exact_policy_gradient(*mdp, logits, 0.9).numpy()
    episodes = tables.sample_episodes(mdp, logits, 20_000, rng)
    returns = tables.rewards_to_come(episodes, 0.9)
    weight = 0.9 ** np.arange(returns.shape[1]) * returns
    each = tables.episode_gradients(episodes, weight, logits)
    error = each.std(axis=0) / np.sqrt(len(each))
    assert (np.abs(each.mean(axis=0) - exact) < 4.5 * error).all()
    assert (np.abs(exact) > 4.5 * error).any()


def test_table_policy_draws_from_its_softmax_and_knows_its_log_probabilities(rng):
    logits = rng.normal(size=(2, 3))
    policy = tables.TablePolicy(logits)
    pi = softmax_policy(torch.from_numpy(logits))[1].numpy()
    actions = [policy(1, rng)[0] for _ in range(3000)]
    counts = np.bincount(actions, minlength=3)
    assert (np.abs(counts - 3000 * pi) < 4.5 * np.sqrt(3000 * pi * (1 - pi))).all()
    action, log_prob = policy(1, rng)
    assert log_prob.shape == () and log_prob.requires_grad
    assert float(log_prob.detach().exp()) == pytest.approx(pi[action], rel=1e-5)


@pytest.mark.parametrize("lam", [0.0, 0.6, 1.0])
def test_moments_of_gae_against_recorded_episodes(lam):
    """Whole episodes, their advantages by `gae`; mean and mean square for every state and action."""
    rng, gamma = np.random.default_rng(2), 0.9
    mdp = tables.random_mdp(3, 2, rng, go_on=0.8)
    logits, value = torch.from_numpy(rng.normal(size=(3, 2))), rng.normal(size=3)
    episodes = tables.sample_episodes(mdp, logits, 40_000, rng)
    v = np.where(episodes.alive, value[episodes.state], 0.0)
    v_next = np.concatenate([v[:, 1:], np.zeros((len(v), 1))], axis=1)  # 0 behind a terminal end
    last = episodes.alive & ~np.concatenate(
        [episodes.alive[:, 1:], np.zeros((len(v), 1), bool)], axis=1
    )
    columns = (episodes.reward, v, v_next, last, 0 * last)
    adv = gae(*(np.asarray(x, float).T for x in columns), gamma, lam)[0].T
    mean, square = tables.gae_moments(mdp, logits, value, gamma, lam)
    for s in range(3):
        for a in range(2):
            x = adv[episodes.alive & (episodes.state == s) & (episodes.action == a)]
            error = x.std() / np.sqrt(len(x))
            assert abs(x.mean() - mean[s, a]) < 5 * error
            assert (x**2).mean() == pytest.approx(square[s, a], rel=0.08)


def test_moments_of_gae_with_an_exact_critic_are_those_of_the_advantage():
    rng, gamma = np.random.default_rng(3), 0.9
    mdp = tables.random_mdp(4, 3, rng)
    logits = torch.from_numpy(rng.normal(size=(4, 3)))
    v = tables.state_values(mdp, logits, gamma)
    advantage = mdp.R.numpy() + gamma * mdp.P.numpy() @ v - v[:, None]
    squares = []
    for lam in (0.0, 0.5, 1.0):
        mean, square = tables.gae_moments(mdp, logits, v, gamma, lam)
        np.testing.assert_allclose(mean, advantage, atol=1e-10)
        squares.append(square)
    assert (squares[0] <= squares[1]).all() and (squares[1] <= squares[2]).all()
