"""Environments of a few lines whose answers are known: what the tests of Part III act in."""

import gymnasium as gym
import numpy as np


class Small(gym.Env):
    """One number to look at, episodes of `length` steps, ended by a state or by a time limit."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    length = 1
    cut = False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.look(), {}

    def look(self):
        self.seen = 1.0
        return np.array([self.seen], dtype=np.float32)

    def reward(self, action) -> float:
        return 1.0

    def step(self, action):
        reward = self.reward(action)
        self.t += 1
        over = self.t >= self.length
        return self.look(), reward, over and not self.cut, over and self.cut, {}


class Constant(Small):
    """Probe 1: V = 1, whatever is done."""


class ValueFromObservation(Small):
    """Probe 2: V(±1) = ±1."""

    def look(self):
        self.seen = float(self.np_random.choice([-1.0, 1.0]))
        return np.array([self.seen], dtype=np.float32)

    def reward(self, action) -> float:
        return self.seen


class TwoSteps(Small):
    """Probe 3: the reward comes at the second step: V(0) = γ, V(1) = 1."""

    length = 2

    def look(self):
        return np.array([float(self.t)], dtype=np.float32)

    def reward(self, action) -> float:
        return float(self.t)


class Bandit(Small):
    """Probe 4: action 1 pays 1, action 0 costs 1."""

    def reward(self, action) -> float:
        return 1.0 if action == 1 else -1.0


class Matching(ValueFromObservation):
    """Probe 5: the action has to fit the observation."""

    def reward(self, action) -> float:
        return 1.0 if (action == 1) == (self.seen > 0) else -1.0


class Cut(Small):
    """Probe 6: reward 1 for ever, a time limit after 4 steps: V = 1/(1−γ)."""

    length = 4
    cut = True


class Reach(Small):
    """Probe 7: a box [−3, 5], best at 3: −(a − 3)²/4, outside of [−1, 1]."""

    action_space = gym.spaces.Box(-3.0, 5.0, (1,), np.float32)

    def reward(self, action) -> float:
        assert self.action_space.contains(action), action
        return -float((action[0] - 3) ** 2) / 4


class Corridor(Small):
    """S&B example 13.1: −1 a step, the second of three states reversed."""

    def look(self):
        return np.array([1.0], dtype=np.float32)

    def reset(self, *, seed=None, options=None):
        self.place = 0
        return super().reset(seed=seed)

    def step(self, action):
        right = (action == 1) != (self.place == 1)
        self.place = self.place + 1 if right else max(self.place - 1, 0)
        return self.look(), -1.0, self.place == 3, False, {}
