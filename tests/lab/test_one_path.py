"""One path: whoever's functions an agent trains with, it does the same; nothing leaks across an end."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.utils import clip_grad_norm_

from rlcourse.continuous import ddpg, sac, soft_q, td3
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.on_policy import train_on_policy
from rlcourse.lab.optim import Adam, clip_gradient
from rlcourse.lab.replay import Batch
from rlcourse.policies.actor_critic import A2C, td_error
from rlcourse.policies.gae import gae, n_step_advantage
from rlcourse.policies.ppo import PPO, PPOKL
from rlcourse.tabular import control, prediction
from rlcourse.values import double_dqn, dqn, ensembles, fitted_q, linear

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

OFF = {dqn.DQN: "CartPole-v1", ddpg.DDPG: "Pendulum-v1", sac.SAC: "Pendulum-v1"}
ON = (A2C, PPO, PPOKL)


def weights_after_training(kind, functions):
    """Every weight of a small agent after some updates, as one list."""
    env = OFF.get(kind, "CartPole-v1")
    agent = kind.for_env(env, hidden=(8, 8), seed=3, **functions)
    if kind in OFF:
        history = train_off_policy(agent, env, 80, seed=3, warmup=40, batch_size=16)
    else:
        history = train_on_policy(agent, env, 2 * agent.n_envs * agent.horizon, seed=3)
    assert history.updates >= 2
    networks = [v for v in vars(agent).values() if isinstance(v, torch.nn.Module)]
    return [p.detach() for network in networks for p in network.parameters()]


@pytest.mark.parametrize("kind", [*OFF, *ON], ids=lambda kind: kind.__name__)
def test_a_student_s_functions_take_the_reference_s_steps_to_the_bit(kind, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from students import handed_in

    functions = handed_in(kind)
    assert len(functions) >= 3
    assert all(f is not getattr(kind, name) for name, f in functions.items())
    pairs = zip(
        weights_after_training(kind, {}), weights_after_training(kind, functions), strict=True
    )
    for own, theirs in pairs:
        assert torch.equal(own, theirs)
    sys.modules.pop("students")


@pytest.mark.parametrize("max_norm", [0.05, 1e9])
def test_adam_and_clipping_are_those_of_torch(max_norm):
    generator = torch.Generator().manual_seed(0)
    shapes = [(5, 3), (5,), (2, 5), (2,)]
    mine, theirs = ([torch.ones(s, requires_grad=True) for s in shapes] for _ in range(2))
    own, torchs = Adam(mine, lr=0.01), torch.optim.Adam(theirs, lr=0.01, fused=True)
    for i in range(10):
        own.zero_grad(), torchs.zero_grad()
        for p, q in zip(mine, theirs, strict=True):
            if i % 3 or p.dim() == 2:  # a weight without a gradient stays, and so does its count
                p.grad = torch.randn(p.shape, generator=generator)
                q.grad = p.grad.clone()
        clip_gradient(mine, max_norm)
        clip_grad_norm_(theirs, max_norm)
        own.step(), torchs.step()
        for p, q in zip(mine, theirs, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf])
def test_what_stands_behind_an_end_never_reaches_a_target(wild):
    """Row 1 ends the episode: its target is its reward, whatever the networks say of its next state."""
    v, q = np.array([1.0, wild]), np.array([[1.0, 2.0], [wild, wild]])
    r, d, pi = np.array([0.5, 0.25]), np.array([0.0, 1.0]), np.array([[0.5, 0.5], [1.0, 0.0]])
    t = {name: torch.tensor(x, dtype=torch.float32) for name, x in
         {"v": v, "q": q, "r": r, "d": d, "zero": 0 * r}.items()}  # fmt: skip
    batch = Batch(torch.zeros(2, 1), torch.zeros(2, 1), t["r"], torch.zeros(2, 1), t["d"])
    a = np.array([0, 1])
    x, x_next = np.eye(2), np.array([[1.0, 0.0], [wild, wild]])
    targets = {
        "td0": prediction.td0_target(r, v, d, 0.9),
        "lambda": prediction.lambda_returns(r, v, d, 0.9, 0.5),
        "n-step": prediction.n_step_return(r, wild, d, 0.9),
        "sarsa": control.sarsa_target(r, q, a, d, 0.9),
        "expected sarsa": control.expected_sarsa_target(r, q, pi, d, 0.9),
        "q-learning": control.q_learning_target(r, q, d, 0.9),
        "double q": control.double_q_target(r, q, q, d, 0.9),
        "fitted q": fitted_q.fitted_q_targets(r, q, d, 0.9),
        "lstd": linear.lstd(x, r, x_next, d, 0.9, 0.0),
        "dqn": dqn.dqn_target(t["r"], t["q"], t["d"], 0.9),
        "double dqn": double_dqn.double_dqn_target(t["r"], t["q"], t["q"], t["d"], 0.9),
        "ensemble": ensembles.ensemble_target(t["q"][None], "min", t["r"], t["d"], 0.9),
        "td error": td_error(t["r"], t["zero"], t["v"], t["d"], 0.9),
        "ddpg": ddpg.ddpg_target(lambda obs: obs, lambda obs, action: t["v"], batch, 0.9),
        "td3": td3.clipped_double_q_target(t["r"], t["v"], t["v"], t["d"], 0.9),
        "sac": sac.sac_target(t["r"], t["v"], t["v"], t["v"], t["d"], 0.9, 0.5),
        "sac with v": sac.sac_q_target_v1(t["r"], t["v"], t["d"], 0.9),
        "soft q": soft_q.soft_q_target(t["r"], t["v"], t["d"], 0.9),
        "gae": gae(r, 0 * r, v, d, 0 * d, 0.9, 0.5)[0],
        "n-step advantage": n_step_advantage(r, 0 * r, v, d, 0 * d, 0.9, 2)[0],
    }
    for name, y in targets.items():
        assert np.isfinite(np.asarray(y)).all(), name
        if name not in ("n-step",):
            assert float(np.asarray(y)[1]) == pytest.approx(0.25), name


@pytest.mark.parametrize("wild", [np.nan, np.inf])
def test_an_advantage_does_not_see_the_next_episode(wild):
    """The row behind an end belongs to another episode, and may be anything."""
    r, zero, cut = np.array([1.0, wild]), np.zeros(2), np.array([1.0, 0.0])
    for ends in ((zero, cut), (cut, zero)):
        assert gae(r, zero, zero, *ends, 0.9, 0.5)[0][0] == 1
        assert n_step_advantage(r, zero, zero, *ends, 0.9, 2)[0][0] == 1


def test_two_agents_of_one_preset_have_a_noise_each():
    preset, rng = ddpg.PENDULUM_OU, np.random.default_rng(0)
    one, other = (ddpg.DDPG.for_env(preset.env, **preset.agent) for _ in range(2))
    one.act(np.zeros((2, 3), np.float32), rng)
    assert one.noise.x is not None
    assert other.noise.x is None and preset.agent["noise"].x is None
