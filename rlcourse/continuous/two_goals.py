"""A point between two goals: a task with two best answers, of which a Gaussian can give one."""

from __future__ import annotations

import gymnasium as gym
import numpy as np


class TwoGoals(gym.Env):
    """A point in the plane starts near (0, 0); goals lie at (−1, 0) and (1, 0).

    Observation: the position, (2,) float32. Action: a displacement in [−1, 1]², of which a fifth is
    made. Reward: minus half the distance to the nearer goal, minus 0.1 ‖a‖²; 3 more on reaching a
    goal (nearer than 0.2), which ends the episode. The plane ends at ±1.5. Both goals are worth the same from
    the start, so the best policy under maximum entropy visits each in half of the episodes.
    `info["goal"]` is −1 or 1 when a goal has been reached.
    """

    GOALS = np.array([[-1.0, 0.0], [1.0, 0.0]])

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(-1.5, 1.5, (2,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.position = np.zeros(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.position = self.np_random.normal(0, 0.05, size=2)
        return self.position.astype(np.float32), {}

    def step(self, action):
        action = np.asarray(action, dtype=np.float64)
        self.position = np.clip(self.position + 0.2 * action, -1.5, 1.5)
        distance = np.linalg.norm(self.GOALS - self.position, axis=1)
        reached = bool(distance.min() < 0.2)
        reward = -0.5 * distance.min() - 0.1 * float(action @ action) + 3.0 * reached
        info = {"goal": int(np.sign(self.GOALS[distance.argmin(), 0]))} if reached else {}
        return self.position.astype(np.float32), reward, reached, False, info


def two_goals(max_steps: int = 30) -> gym.Env:
    """The task with its time limit."""
    return gym.wrappers.TimeLimit(TwoGoals(), max_episode_steps=max_steps)
