"""Small budgets, at least four of the seeds 0 to 4: each agent swings the pendulum up; soft Q keeps two goals.

The full marks (10 000 steps, −200) belong to `make bench`. Untrained and random policies
get about −1200; the best possible is about −130 here (20 starts), its spread over starts about 80.
"""

import gymnasium as gym
import numpy as np
import pytest

from rlcourse.continuous import ddpg, sac, soft_q, td3
from rlcourse.continuous.two_goals import two_goals
from rlcourse.lab.environments import vector_env
from rlcourse.lab.off_policy import train_off_policy

SYSTEMS = {
    "DDPG": (ddpg.DDPG, ddpg.PENDULUM),
    "TD3": (td3.TD3, td3.PENDULUM),
    "SAC with V": (sac.SACWithValue, sac.PENDULUM_WITH_VALUE),
    "SAC, fixed": (sac.SAC, sac.PENDULUM_FIXED),
    "SAC, learned": (sac.SAC, sac.PENDULUM_LEARNED),
    "soft Q": (soft_q.SoftQ, soft_q.PENDULUM),
}


def pendulum_returns(agent) -> np.ndarray:
    """20 episodes of the greedy policy."""
    envs = vector_env("Pendulum-v1", 20)
    obs, _ = envs.reset(seed=0)
    total, rng = np.zeros(20), np.random.default_rng(0)
    for _ in range(200):
        obs, reward, *_ = envs.step(agent.act(obs, rng, explore=False))
        total += reward
    envs.close()
    return total


@pytest.mark.full
@pytest.mark.parametrize("name", SYSTEMS)
def test_pendulum(name):
    assert sum(swings_up(*SYSTEMS[name], seed) for seed in range(5)) >= 4


def swings_up(cls, preset, seed) -> bool:
    agent = cls.for_env(preset.env, seed=seed, **preset.agent)
    train_off_policy(agent, preset.env, seed=seed, **{**preset.training, "steps": 6_000})
    return pendulum_returns(agent).mean() > -300


@pytest.mark.full
def test_two_goals():
    assert sum(both_goals_kept(seed) for seed in range(5)) >= 4


def both_goals_kept(seed) -> bool:
    preset = soft_q.TWO_GOALS
    agent = soft_q.SoftQ.for_env(two_goals, seed=seed, **preset.agent)
    train_off_policy(agent, two_goals, seed=seed, **preset.training)
    goals = goals_reached(agent, two_goals(), episodes=100)
    return min(np.mean(goals == -1), np.mean(goals == 1)) >= 0.3


def goals_reached(agent, env: gym.Env, episodes: int) -> np.ndarray:
    """−1, 1, or 0 for none, of each episode with the sampler's own draws."""
    rng = np.random.default_rng(0)
    goals = np.zeros(episodes)
    env.reset(seed=0)
    for i in range(episodes):
        obs, _ = env.reset()
        ended = False
        while not ended:
            obs, _, terminated, truncated, info = env.step(agent.act(obs[None], rng)[0])
            ended = terminated or truncated
        goals[i] = info.get("goal", 0)
    return goals
