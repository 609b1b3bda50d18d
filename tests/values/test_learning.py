"""DQN learns CartPole to its mark, with its preset and the seed 0; all five seeds are in the benchmark."""

import pytest

from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.values.dqn import CARTPOLE, DQN


@pytest.mark.slow
def test_dqn_balances_the_pole():
    agent = DQN.for_env(CARTPOLE.env, seed=0, **CARTPOLE.agent)
    history = train_off_policy(agent, CARTPOLE.env, seed=0, **CARTPOLE.training)
    assert history.steps <= 100_000
    # The final policy, 20 episodes of at most 500: the mark is 475.
    assert evaluate(agent, CARTPOLE.env, 20, seed=10_000).mean() >= 475
