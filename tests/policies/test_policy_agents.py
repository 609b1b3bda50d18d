"""Acting: the draws follow the policy, greedy is its mode, and actions fit the environment."""

import numpy as np
import pytest
import torch
from probes import Bandit, Matching, Reach

from rlcourse.policies.actor_critic import A2C
from rlcourse.policies.distributions import sample_action
from rlcourse.policies.ppo import PPO
from rlcourse.policies.reinforce import Reinforce


@pytest.fixture
def rng():
    return np.random.default_rng(13)


def test_draws_have_the_softmax_s_frequencies(rng):
    """A χ² test with 4 degrees of freedom: a right sampler fails it once in 10⁵ seeds."""
    logits = np.array([0.0, 1.0, -1.0, 2.0, 0.5], dtype=np.float32)
    n = 40_000
    counts = np.bincount(sample_action(np.tile(logits, (n, 1)), rng), minlength=5)
    expected = n * np.exp(logits) / np.exp(logits).sum()
    assert ((counts - expected) ** 2 / expected).sum() < 28.5


def test_gaussian_draws_have_their_moments(rng):
    mean, log_std = np.float32([1.0, -2.0]), np.float32([0.0, -1.0])
    n = 40_000
    draws = sample_action((np.tile(mean, (n, 1)), np.tile(log_std, (n, 1))), rng)
    assert draws.dtype == np.float32
    z = (draws - mean) / np.exp(log_std)
    assert np.abs(z.mean(axis=0)).max() < 4.5 / np.sqrt(n)
    assert np.abs((z**2).mean(axis=0) - 1).max() < 4.5 * np.sqrt(2 / n)


def test_acting_uses_the_policy_s_own_numbers(rng):
    """NumPy's forward pass is the module's; greedy takes its largest logit."""
    agent = PPO.for_env(Matching, hidden=(7, 7))
    with torch.no_grad():
        agent.policy.layers[-1].weight.mul_(100)  # away from the uniform first policy
    obs = rng.normal(size=(50, 1)).astype(np.float32)
    logits = agent.policy(torch.from_numpy(obs)).detach()
    np.testing.assert_allclose(agent._outputs(obs), logits.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(agent.act(obs, rng, explore=False), logits.argmax(1).numpy())
    assert agent.act(obs, rng).dtype == np.int64


def test_a_policy_of_one_s_own_acts(rng):
    agent = A2C.for_env(Bandit)
    agent.policy = lambda obs: torch.tensor([[0.0, 50.0]]).expand(len(obs), 2)
    assert agent.act(np.ones((4, 1), np.float32), rng).tolist() == [1, 1, 1, 1]


def test_a_box_is_reached_end_to_end_and_not_left():
    agent = A2C.for_env(Reach)
    actions = agent.to_env(np.array([[-7.0], [-1.0], [0.0], [0.5], [1.0], [9.0]], np.float32))
    assert actions.ravel().tolist() == [-3, -3, 1, 3, 5, 5]


def test_unknown_settings_are_refused():
    with pytest.raises(TypeError, match="clipp"):
        PPO.for_env(Bandit, clipp=0.1)


def test_whole_episodes_come_from_one_environment():
    with pytest.raises(ValueError, match="n_envs must be 1"):
        Reinforce.for_env(Bandit, n_envs=2)
