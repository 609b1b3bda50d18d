"""Every value-based agent on every probe. Learning from 600 batches of 32, lr 3e-3: all within 0.1."""

import numpy as np
import probes
import pytest
import torch

from rlcourse.lab.off_policy import train_off_policy
from rlcourse.values.double_dqn import DoubleDQN
from rlcourse.values.dqn import DQN
from rlcourse.values.ensembles import EnsembleDQN
from rlcourse.values.prioritised import PERDQN

AGENTS = {
    "dqn": (DQN, {}),
    "hard target": (DQN, {"rho": 0.0, "target_every": 20}),
    "double": (DoubleDQN, {}),
    "maxmin": (EnsembleDQN, {"mode": "min"}),
    "averaged": (EnsembleDQN, {"mode": "mean"}),
    "redq": (EnsembleDQN, {"mode": "subset"}),
    "per": (PERDQN, {}),
}
every_agent = pytest.mark.parametrize("name", AGENTS)
GAMMA = 0.8


def learned(name, env):
    kind, settings = AGENTS[name]
    settings = {"rho": 0.95, "hidden": (32,), "gamma": GAMMA, "learning_rate": 3e-3} | settings
    agent = kind.for_env(env, epsilon_start=1.0, epsilon_end=1.0, **settings)
    train_off_policy(agent, env, 800, seed=0, warmup=200, batch_size=32)

    def q(obs):
        with torch.no_grad():
            return agent.q_net(torch.tensor([[obs]])).numpy()[0]

    return agent, q


@every_agent
def test_constant_value(name):
    np.testing.assert_allclose(learned(name, probes.Constant)[1](1.0), 1.0, atol=0.1)


@every_agent
def test_value_from_the_observation(name):
    q = learned(name, probes.Signs)[1]
    np.testing.assert_allclose([q(-1.0), q(1.0)], [[-1, -1], [1, 1]], atol=0.1)


@every_agent
def test_discounting(name):
    q = learned(name, probes.TwoSteps)[1]
    np.testing.assert_allclose([q(0.0), q(1.0)], [[GAMMA] * 2, [1, 1]], atol=0.1)


@every_agent
def test_value_of_the_action(name):
    agent, q = learned(name, probes.Bandit)
    np.testing.assert_allclose(q(1.0), [-1, 1], atol=0.1)
    assert agent.act(np.ones((1, 1)), None, explore=False) == [1]


@every_agent
def test_observation_and_action(name):
    agent, q = learned(name, probes.Matching)
    np.testing.assert_allclose([q(-1.0), q(1.0)], [[1, -1], [-1, 1]], atol=0.1)
    assert agent.act(np.array([[-1.0], [1.0]]), None, explore=False).tolist() == [0, 1]


@every_agent
def test_a_time_limit_is_not_the_end(name):
    # 1/(1−γ) = 5; taking the limit for an end would give about 2 (the obs does not tell the time).
    np.testing.assert_allclose(learned(name, probes.Cut)[1](1.0), 5.0, atol=0.5)
