"""What lesson 00 says of its two policies, over all seeds of its experiment."""

import numpy as np
from running import left_by

from rlcourse.tabular.envs import TabularEnv
from rlcourse.tabular.returns import discounted_return, run_episode


def test_a_shorter_time_limit_makes_both_policies_look_worse():
    lesson = left_by("00", without="CartPole")
    maze, policies = lesson["maze"], lesson["policies"]
    assert lesson["G"]["right and up"].mean() > lesson["G"]["at random"].mean()
    for name, policy in policies.items():
        rng, env = np.random.default_rng(0), TabularEnv(maze, max_steps=8)
        env.reset(seed=0)
        played = [run_episode(env, policy, rng) for _ in range(300)]
        short = np.mean([discounted_return(rewards, maze.mdp.gamma) for rewards, _ in played])
        assert np.mean([terminated for _, terminated in played]) < lesson["arrived"][name].mean()
        assert short < lesson["G"][name].mean()
