"""What lesson 14 says it shows, over more seeds than it has time for."""

import numpy as np
import pytest
from torch.nn.functional import mse_loss

from rlcourse.continuous.ddpg import DDPG, ddpg_target
from rlcourse.continuous.noise import GaussianNoise, OrnsteinUhlenbeckNoise
from rlcourse.continuous.pendulum import watch
from rlcourse.lab.networks import polyak_update

pytestmark = pytest.mark.full  # what the lesson says of its experiments, run again

SETTINGS = {"gamma": 0.95, "rho": 0.97, "lr": 5e-3}
TRAINING = {"n_envs": 4, "warmup": 800, "train_every": 4, "batch_size": 128}
BY_CHANCE = -1200  # about what uniform torques earn


def flattering(me, batch):
    """The colleague's update: the actor's gradient waits in the critic's `.grad`."""
    y = ddpg_target(me.actor_targ, me.critic_targ, batch, me.gamma)
    critic_loss = mse_loss(me.critic(batch.obs, batch.action), y)
    critic_loss.backward()
    me.critic_optimizer.step()
    me.critic_optimizer.zero_grad()
    actor_loss = -me.critic(batch.obs, me.actor(batch.obs)).mean()
    actor_loss.backward()
    me.actor_optimizer.step()
    me.actor_optimizer.zero_grad()
    polyak_update(me.critic_targ, me.critic, me.rho)
    polyak_update(me.actor_targ, me.actor, me.rho)
    return {"critic_loss": critic_loss.detach(), "actor_loss": actor_loss.detach()}


def runs_of(seeds, **changes):
    def make(seed):
        return DDPG.for_env("Pendulum-v1", seed=seed, **(SETTINGS | changes))

    return watch(make, seeds, look_every=1_000, **TRAINING)


@pytest.fixture(scope="module")
def plain():
    return runs_of(range(5))


def test_five_thousand_steps_are_enough(plain):
    assert (plain.score.max(axis=1) > BY_CHANCE / 2).all()
    assert np.median(plain.score[:, -1]) > -250


def test_belief_comes_down_to_the_truth(plain):
    error = plain.believed - plain.true
    assert (error[:, 0] > 50).all() and np.median(np.abs(error[:, -1])) < 15


def test_a_flattering_critic_promises_more_than_is_true(plain):
    flattered = runs_of(range(4), ddpg_update=flattering)
    error = (flattered.believed - flattered.true)[:, -1]
    assert error.mean() > 20
    assert error.min() > np.median((plain.believed - plain.true)[:, -1])
    assert np.median(flattered.score[:, -1]) < np.median(plain.score[:, -1])


def test_without_slow_copies_the_losses_are_large_and_returns_do_not_stay(plain):
    fast = runs_of(range(3), rho=0.0)
    first = [run["critic_loss"][0] for run in fast.losses]
    assert min(first) > max(run["critic_loss"][0] for run in plain.losses)
    assert fast.score[:, -1].mean() < plain.score[:, -1].mean()


@pytest.mark.parametrize(
    "noise", [OrnsteinUhlenbeckNoise(), GaussianNoise(0.38), GaussianNoise(0.0)]
)
def test_pendulum_is_learnt_with_any_noise(noise):
    assert (runs_of((0, 1), noise=noise).score.max(axis=1) > BY_CHANCE / 2).all()
