"""DQN and its kin learn CartPole to their mark, with the preset, in at least four of the seeds 0 to 4."""

import pytest

from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.values.double_dqn import DoubleDQN
from rlcourse.values.dqn import CARTPOLE, DQN
from rlcourse.values.ensembles import EnsembleDQN
from rlcourse.values.prioritised import PERDQN


def learns(kind, settings, seed) -> bool:
    agent = kind.for_env(CARTPOLE.env, seed=seed, **CARTPOLE.agent, **settings)
    history = train_off_policy(agent, CARTPOLE.env, seed=seed, **CARTPOLE.training)
    assert history.steps <= 100_000
    # The final policy, 20 episodes of at most 500, from other starts than those it was stopped by.
    return evaluate(agent, CARTPOLE.env, 20, seed=10_000).mean() >= 475


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "settings"),
    [(DQN, {}), (DoubleDQN, {}), (PERDQN, {}), (EnsembleDQN, {"mode": "min", "size": 2})],
)
def test_the_pole_is_balanced(kind, settings):
    assert sum(learns(kind, settings, seed) for seed in range(5)) >= 4
