"""Probe environments: each fails for one reason, and its right answer is known.

After Andy Jones, *Debugging RL, without the agonizing pain*. One number to look at; two actions, or, given
an `action_space`, whatever the probe's reward makes of it.
"""

import gymnasium as gym
import numpy as np


def box(low=-1.0, high=1.0):
    """A box of one action."""
    return gym.spaces.Box(np.float32([low]), np.float32([high]))


class Probe(gym.Env):
    """One number to look at, episodes of `length` steps, ended by a state or, if `cut`, by a time limit."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    length = 1
    cut = False

    def __init__(self, action_space=None):
        if action_space is not None:
            self.action_space = action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.look(), {}

    def look(self):
        self.seen = self.number()
        return np.array([self.seen], dtype=np.float32)

    def number(self) -> float:
        return 1.0

    def reward(self, action) -> float:
        return 1.0

    def step(self, action):
        assert self.action_space.contains(action), action
        reward = self.reward(action)
        self.t += 1
        over = self.t >= self.length
        return self.look(), reward, over and not self.cut, over and self.cut, {}


class Constant(Probe):
    """1: V = 1, whatever is done. Does the loss reach the weights?"""


class Signs(Probe):
    """2: V(±1) = ±1. Does the gradient reach the input?"""

    def number(self) -> float:
        return float(self.np_random.choice([-1.0, 1.0]))

    def reward(self, action) -> float:
        return self.seen


class TwoSteps(Probe):
    """3: the reward comes at the second step: V(0) = γ, V(1) = 1."""

    length = 2

    def number(self) -> float:
        return float(self.t)

    def reward(self, action) -> float:
        return float(self.t)


class Bandit(Probe):
    """4: action 1 pays 1, action 0 costs 1."""

    def reward(self, action) -> float:
        return 1.0 if action == 1 else -1.0


class Matching(Signs):
    """5: the action has to fit the observation."""

    def reward(self, action) -> float:
        return 1.0 if (action == 1) == (self.seen > 0) else -1.0


class Cut(Probe):
    """6: reward 1 for ever, a time limit after 4 steps: V = 1/(1−γ), whatever the clock says."""

    length = 4
    cut = True


class Reach(Probe):
    """7: a box [−3, 5], best at 3: −(a − 3)²/4, outside of [−1, 1]."""

    action_space = box(-3.0, 5.0)

    def reward(self, action) -> float:
        return -float((action[0] - 3) ** 2) / 4


class Crooked(Signs):
    """8: a box [2, 10]; best are 3 at −1 and 8 at 1: range, batching and policy."""

    action_space = box(2.0, 10.0)

    def reward(self, action) -> float:
        best = 8.0 if self.seen > 0 else 3.0
        return -float(((action[0] - best) / 4) ** 2)


class Corridor(Probe):
    """S&B example 13.1: −1 a step, the second of three states reversed."""

    def reset(self, *, seed=None, options=None):
        self.place = 0
        return super().reset(seed=seed)

    def step(self, action):
        right = (action == 1) != (self.place == 1)
        self.place = self.place + 1 if right else max(self.place - 1, 0)
        return self.look(), -1.0, self.place == 3, False, {}


class Hill(Probe):
    """One step in a box, paid by `height(a)`, a number to a number."""

    def __init__(self, height, action_space=None):
        super().__init__(box() if action_space is None else action_space)
        self.height = height

    def reward(self, action) -> float:
        return float(self.height(float(action[0])))
