"""Mountain Car as data: logs of it, and drives by given values (lesson 07). NumPy and Gymnasium.

The box of S&B Example 10.1: position −1.2 to 0.6, velocity −0.07 to 0.07; actions 0, 1, 2 push left, not, right;
every step costs 1.
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np

from rlcourse.lab.transitions import Transitions

LOW, HIGH = np.array([-1.2, -0.07]), np.array([0.6, 0.07])
PUSHES = 3


def _collected(rows: list[tuple]) -> Transitions:
    obs, action, reward, next_obs, terminated = zip(*rows, strict=True)
    return Transitions(
        np.array(obs), np.array(action), np.array(reward), np.array(next_obs), np.array(terminated)
    )


def log_of_everywhere(n: int, rng: np.random.Generator) -> Transitions:
    """One step from each of n states drawn uniformly from the box, the action at random."""
    env = gym.make("MountainCar-v0").unwrapped
    env.reset()
    rows = []
    for obs in rng.uniform(LOW, HIGH, size=(n, 2)):
        env.state = tuple(obs)
        action = int(rng.integers(PUSHES))
        next_obs, reward, terminated, *_ = env.step(action)
        rows.append((obs, action, reward, next_obs.astype(np.float64), terminated))
    return _collected(rows)


def log_of_chance(n: int, rng: np.random.Generator) -> Transitions:
    """n steps of the policy that acts at random, from the usual start; episodes are cut after 200."""
    env = gym.make("MountainCar-v0")
    obs, _ = env.reset(seed=int(rng.integers(2**31)))
    rows = []
    while len(rows) < n:
        action = int(rng.integers(PUSHES))
        next_obs, reward, terminated, truncated, _ = env.step(action)
        rows.append(
            (obs.astype(np.float64), action, reward, next_obs.astype(np.float64), terminated)
        )
        obs = env.reset()[0] if terminated or truncated else next_obs
    return _collected(rows)


def drive(q, episodes: int, seed: int, cap: int = 500) -> np.ndarray:
    """The lengths of episodes that are greedy in q(obs) -> (1, 3), cut after `cap` steps. (episodes,) int."""
    env = gym.make("MountainCar-v0", max_episode_steps=cap)
    env.reset(seed=seed)
    lengths = np.zeros(episodes, dtype=np.int64)
    for episode in range(episodes):
        obs, _ = env.reset()
        over = False
        while not over:
            obs, _, terminated, truncated, _ = env.step(int(np.argmax(q(obs[None])[0])))
            over = terminated or truncated
            lengths[episode] += 1
    return lengths
