"""DQN and its kin learn CartPole to their mark, with the preset and the seed 0; all five seeds are in the benchmark."""

import pytest

from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.values.double_dqn import DoubleDQN
from rlcourse.values.dqn import CARTPOLE, DQN
from rlcourse.values.ensembles import EnsembleDQN
from rlcourse.values.prioritised import PERDQN


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "settings"),
    [(DQN, {}), (DoubleDQN, {}), (PERDQN, {}), (EnsembleDQN, {"mode": "min", "size": 2})],
)
def test_the_pole_is_balanced(kind, settings):
    agent = kind.for_env(CARTPOLE.env, seed=0, **CARTPOLE.agent, **settings)
    history = train_off_policy(agent, CARTPOLE.env, seed=0, **CARTPOLE.training)
    assert history.steps <= 100_000
    # The final policy, 20 episodes of at most 500, from other starts than those it was stopped by.
    assert evaluate(agent, CARTPOLE.env, 20, seed=10_000).mean() >= 475
