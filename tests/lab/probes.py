"""Probe environments: each fails for one reason, and its right answer is known.

After Andy Jones, *Debugging RL, without the agonizing pain*. One number to look at, two actions.
"""

import gymnasium as gym
import numpy as np


class Probe(gym.Env):
    """Episodes of `length` steps; `reward(seen, action, last)`; the end is a state, or with `cut` a limit."""

    observation_space = gym.spaces.Box(-10, 10, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, reward, length=1, cut=False, draw=lambda rng: 0.0, look=None):
        self.reward, self.length, self.cut = reward, length, cut
        self.draw, self.look = draw, look or (lambda t, seen: seen)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.seen = 0, self.draw(self.np_random)
        return self._obs(), {}

    def step(self, action):
        self.t += 1
        over = self.t >= self.length
        reward = float(self.reward(self.seen, action, over))
        return self._obs(), reward, over and not self.cut, over and self.cut, {}

    def _obs(self):
        return np.array([self.look(self.t, self.seen)], dtype=np.float32)


def sign(rng):
    return float(rng.choice([-1.0, 1.0]))


def constant():
    """Q = 1 everywhere: does the loss reach the weights?"""
    return Probe(lambda seen, action, last: 1.0)


def observed():
    """Q(±1, ·) = ±1: does the gradient reach the input?"""
    return Probe(lambda seen, action, last: seen, draw=sign)


def discounted():
    """Two steps, 1 at the end: Q = γ at 0 and 1 at 1."""
    return Probe(lambda seen, action, last: float(last), length=2, look=lambda t, seen: float(t))


def acted():
    """Action 1 pays 1, action 0 costs 1."""
    return Probe(lambda seen, action, last: 2.0 * action - 1)


def both():
    """1 for the action that the observation's sign asks for, otherwise −1."""
    return Probe(lambda seen, action, last: seen * (2.0 * action - 1), draw=sign)


def cut():
    """Reward 1 a step for ever, cut after 8: Q = 1/(1−γ), whatever the clock says."""
    return Probe(lambda seen, action, last: 1.0, length=8, cut=True)
