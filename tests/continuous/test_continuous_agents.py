"""Every agent on environments that isolate one failure each, in seconds; boxes, seeds, replacements."""

import math
from copy import deepcopy
from functools import partial

import numpy as np
import pytest
import torch
from probes import Crooked, Cut, Hill, TwoSteps, box

from rlcourse.continuous import ddpg, sac, soft_q, td3
from rlcourse.continuous.noise import OrnsteinUhlenbeckNoise
from rlcourse.lab.environments import SpaceError
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.replay import Batch

SMALL = {"hidden": (32, 32), "lr": 3e-3, "rho": 0.95}
AGENTS = {
    "DDPG": (ddpg.DDPG, {}),
    "DDPG with OU noise": (ddpg.DDPG, {"noise": OrnsteinUhlenbeckNoise()}),
    "TD3": (td3.TD3, {}),
    "SAC with V": (sac.SACWithValue, {"alpha": 0.01}),
    "SAC, fixed": (sac.SAC, {"alpha": 0.01, "learn_alpha": False}),
    "SAC, learned": (sac.SAC, {"alpha": 0.01, "target_entropy": -3.0}),
    "soft Q": (soft_q.SoftQ, {"alpha": 0.01}),
}
every_agent = pytest.mark.parametrize("name", AGENTS)


def make(name, env, **settings):
    cls, own = AGENTS[name]
    return cls.for_env(env, **{**SMALL, **deepcopy(own), **settings})


def train(agent, env, updates=500, seed=0):
    return train_off_policy(agent, env, 200 + updates, seed, warmup=200, batch_size=64)


def q_value(agent, obs, action=0.0):
    net = next(getattr(agent, n) for n in ("critic", "critic1", "q_net") if hasattr(agent, n))
    with torch.no_grad():
        return net(torch.tensor([[obs]]), torch.tensor([[action]])).item()


@pytest.mark.full
@every_agent
def test_the_best_action_depends_on_the_state_in_a_crooked_box(name):
    """Box [2, 10]; best are 3 at s = −1 and 8 at s = 1: range, batching, policy."""
    agent = make(name, Crooked)
    train(agent, Crooked, updates=800)
    obs = np.array([[-1.0], [1.0]], np.float32)
    action = agent.act(obs, np.random.default_rng(0), explore=False)
    np.testing.assert_allclose(action, [[3.0], [8.0]], atol=0.6)


@every_agent
def test_the_last_reward_is_discounted_once_a_step(name):
    """Two steps, 1 at the end: Q = γ, then 1. A terminal state is worth nothing."""
    env = partial(TwoSteps, box())
    agent = make(name, env, gamma=0.6, **_almost_no_entropy(name))
    train(agent, env)
    assert q_value(agent, 0.0) == pytest.approx(0.6, abs=0.1)
    assert q_value(agent, 1.0) == pytest.approx(1.0, abs=0.1)


@every_agent
def test_a_time_limit_is_not_the_end(name):
    """1 a step for ever, cut after 4: Q = 1/(1 − γ) = 2.5; masking the cut would give at most 2.2."""
    env = partial(Cut, box())
    agent = make(name, env, gamma=0.6, **_almost_no_entropy(name))
    train(agent, env)
    assert q_value(agent, 1.0) == pytest.approx(2.5, abs=0.25)


def _almost_no_entropy(name):
    return {"learn_alpha": False, "alpha": 1e-3} if name == "SAC, learned" else {}


@pytest.mark.parametrize("name", ["SAC with V", "SAC, fixed"])
def test_with_equal_rewards_entropy_is_what_is_left(name):
    """One step, reward 0: the best policy is uniform on (−1, 1), its entropy log 2 = 0.69."""
    env = partial(Hill, lambda a: 0.0)
    agent = make(name, env, alpha=0.5)
    train(agent, env)
    assert _entropy(agent) == pytest.approx(math.log(2), abs=0.1)


@pytest.mark.full
def test_learned_temperature_meets_its_entropy():
    env = partial(Hill, lambda a: -(a**2))
    agent = make("SAC, learned", env, alpha=0.2, target_entropy=-0.5)
    train(agent, env, updates=1500)
    assert _entropy(agent) == pytest.approx(-0.5, abs=0.2)


def _entropy(agent):
    noise = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        _, log_prob = sac.squashed_action(agent.policy, torch.ones(4000, 1), noise)
    return -log_prob.mean().item()


@pytest.mark.full
def test_soft_q_keeps_both_answers():
    """One step, rewards with peaks at ±0.6: draws near both, where one Gaussian has one hill."""
    env = partial(Hill, lambda a: math.exp(-20 * (a - 0.6) ** 2) + math.exp(-20 * (a + 0.6) ** 2))
    agent = make("soft Q", env, alpha=0.2)
    train(agent, env, updates=1500)
    a = agent.act(np.ones((1000, 1), np.float32), np.random.default_rng(0))[:, 0]
    assert (abs(a - 0.6) < 0.35).mean() > 0.25
    assert (abs(a + 0.6) < 0.35).mean() > 0.25
    assert (abs(a) < 0.2).mean() < 0.2


@every_agent
def test_the_same_seed_gives_the_same_run(name):
    env = partial(Hill, lambda a: -(a**2))
    results = []
    for seed in (3, 3, 4):
        agent = make(name, env, seed=seed)
        history = train(agent, env, updates=30, seed=seed)
        results.append((q_value(agent, 0.0), history.losses))
    assert results[0] == results[1]
    assert results[0][0] != results[2][0]


def update_in_the_box(agent, batch, rng):
    """The step of the agent's method (held against loops in test_updates), with its draws, in this order."""
    shape = batch.action.shape
    if isinstance(agent, soft_q.SoftQ):
        shape = (len(batch.obs), agent.particles, shape[1])
        proposal = torch.from_numpy(2 * rng.random(shape, dtype=np.float32) - 1)
        soft_q.soft_q_update(agent, batch, proposal, normal(shape, rng))
    elif isinstance(agent, sac.SAC):
        sac.sac_update(agent, batch, normal(shape, rng), normal(shape, rng))
    elif isinstance(agent, sac.SACWithValue):
        sac.sac_v1_update(agent, batch, normal(shape, rng))
    elif isinstance(agent, td3.TD3):
        agent.step += 1
        td3.td3_update(agent, batch, normal(shape, rng), agent.step)
    else:
        ddpg.ddpg_update(agent, batch)


def normal(shape, rng):
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


@every_agent
def test_update_is_its_step_on_actions_in_units_of_the_box(name):
    cls, own = AGENTS[name]
    agent = cls(3, np.array([-3.0, 5.0]), np.array([1.0, 7.0]), **SMALL, **deepcopy(own))
    other, rng = deepcopy(agent), np.random.default_rng(1)
    for i in range(4):
        obs, next_obs = rng.normal(size=(2, 8, 3)).astype(np.float32)
        unit = rng.uniform(-1, 1, size=(8, 2)).astype(np.float32)
        reward, ended = rng.normal(size=8).astype(np.float32), np.float32(rng.random(8) < 0.3)
        columns = [torch.from_numpy(x) for x in (obs, unit, reward, next_obs, ended)]
        batch = Batch(*columns)
        # −1 is the lower border, 1 the upper one.
        scaled = batch.action * torch.tensor([2.0, 1.0]) + torch.tensor([-1.0, 6.0])
        agent.update(batch._replace(action=scaled), np.random.default_rng(i))
        update_in_the_box(other, batch, np.random.default_rng(i))
    for network in (n for n, value in vars(agent).items() if isinstance(value, torch.nn.Module)):
        pairs = zip(
            getattr(agent, network).parameters(), getattr(other, network).parameters(), strict=True
        )
        for p, q in pairs:
            torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-5)


@every_agent
def test_actions_stay_in_any_finite_box(name):
    cls, own = AGENTS[name]
    agent = cls(3, np.array([-0.3, 5.0]), np.array([0.1, 500.0]), **own)
    obs = 100 * np.random.default_rng(0).normal(size=(200, 3))
    for explore in (True, False):
        action = agent.act(obs.astype(np.float32), np.random.default_rng(1), explore)
        assert action.shape == (200, 2)
        assert action.dtype == np.float32
        assert (action >= agent.action_low).all()
        assert (action <= agent.action_high).all()


@every_agent
def test_acting_greedily_draws_nothing(name):
    agent = AGENTS[name][0](3, [-1.0], [1.0])
    rng = np.random.default_rng(5)
    obs = np.ones((2, 3), np.float32)
    first = agent.act(obs, rng, explore=False)
    np.testing.assert_array_equal(first, agent.act(obs, rng, explore=False))
    assert rng.random() == np.random.default_rng(5).random()


@every_agent
def test_wrong_spaces_are_refused_with_a_sentence(name):
    with pytest.raises(SpaceError, match="finite number of actions"):
        AGENTS[name][0].for_env("CartPole-v1")
    endless = partial(Hill, lambda a: 0.0, box(high=np.inf))
    with pytest.raises(SpaceError, match="no end"):
        AGENTS[name][0].for_env(endless)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("DDPG", "ddpg_target"),
        ("DDPG", "ddpg_actor_loss"),
        ("DDPG", "polyak_update"),
        ("DDPG", "scale_action"),
        ("DDPG", "explore_action"),
        ("TD3", "smoothed_target_action"),
        ("TD3", "clipped_double_q_target"),
        ("TD3", "td3_critic_update"),
        ("TD3", "ddpg_actor_loss"),
        ("SAC with V", "squashed_action"),
        ("SAC with V", "sac_v1_policy_loss"),
        ("SAC with V", "sac_v_target"),
        ("SAC with V", "sac_q_target_v1"),
        ("SAC, learned", "squashed_log_prob"),
        ("SAC, learned", "sac_target"),
        ("SAC, learned", "sac_policy_loss"),
        ("SAC, learned", "sac_critic_update"),
        ("SAC, learned", "temperature_loss"),
        ("soft Q", "soft_value_estimate"),
        ("soft Q", "svgd_direction"),
    ],
)
def test_a_students_function_trains_the_agent(name, function):
    env = partial(Hill, lambda a: -(a**2))
    calls = []

    def own(*args, **kwargs):
        calls.append(1)
        return getattr(AGENTS[name][0], function)(*args, **kwargs)

    replaced = make(name, env, **{function: own})
    plain = make(name, env)
    train(replaced, env, updates=10)
    train(plain, env, updates=10)
    assert len(calls) >= 5
    assert q_value(replaced, 0.0) == q_value(plain, 0.0)


@pytest.mark.parametrize(
    ("name", "function"),
    [("DDPG", "ddpg_update"), ("TD3", "td3_update"), ("SAC, fixed", "sac_update"),
     ("SAC with V", "sac_v1_update"), ("soft Q", "soft_q_update")],
)  # fmt: skip
def test_a_students_whole_update_trains_the_agent(name, function):
    calls = []

    def own(agent_state, batch, *randomness):
        calls.append(len(batch.obs))
        return {"loss": 0.0}

    env = partial(Hill, lambda a: -(a**2))
    train(make(name, env, **{function: own}), env, updates=10)
    assert calls == [64] * 10
