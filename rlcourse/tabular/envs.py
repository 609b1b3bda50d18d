"""An MDP as a Gymnasium environment, and episodes recorded while somebody learns in one."""

from __future__ import annotations

from typing import ClassVar

import gymnasium as gym
import numpy as np

from .gridworlds import Gridworld
from .mdp import MDP


class TabularEnv(gym.Env):
    """Experience from an MDP: observations and actions are the indices of states and actions.

    mdp: an `MDP` or a `Gridworld` (whose map `render()` then prints); max_steps: a time limit,
    reported as `truncated`; arriving in a terminal state is `terminated`; both may be true at once.
    """

    metadata: ClassVar[dict] = {"render_modes": ["ansi"], "render_fps": 4}

    def __init__(
        self, mdp: MDP | Gridworld, max_steps: int | None = None, render_mode: str | None = None
    ):
        self.grid = mdp if isinstance(mdp, Gridworld) else None
        self.mdp = mdp.mdp if isinstance(mdp, Gridworld) else mdp
        if max_steps is not None and max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, not {max_steps}")
        self.max_steps, self.render_mode = max_steps, render_mode
        self.observation_space = gym.spaces.Discrete(self.mdp.n_states)
        self.action_space = gym.spaces.Discrete(self.mdp.n_actions)
        # Sampling by cumulative sums: np.random's own `choice` costs ten times as much a step.
        self._reach, self._begin = self.mdp.P.cumsum(axis=2), self.mdp.start.cumsum()
        self._state, self._steps = 0, 0

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        self._state, self._steps = self._draw(self._begin), 0
        return self._state, {}

    def step(self, action: int):
        mdp, s = self.mdp, self._state
        s_next = self._draw(self._reach[s, action])
        reward = mdp.R[s, action] if mdp.R_next is None else mdp.R_next[s, action, s_next]
        if mdp.reward_std is not None:
            reward += mdp.reward_std[s, action] * self.np_random.standard_normal()
        self._state, self._steps = s_next, self._steps + 1
        truncated = self.max_steps is not None and self._steps >= self.max_steps
        return s_next, float(reward), bool(mdp.terminal[s_next]), truncated, {}

    def _draw(self, cumulative: np.ndarray) -> int:
        index = int(np.searchsorted(cumulative, self.np_random.random(), side="right"))
        return min(index, len(cumulative) - 1)  # rounding may leave the last sum below 1

    def render(self) -> str | None:
        if self.render_mode != "ansi":
            return None
        return self.grid.text(self._state) if self.grid else f"state {self._state}"


class RecordReturns(gym.Wrapper):
    """Keeps the undiscounted return and the length of every episode: `returns`, `lengths`."""

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self.returns: list[float] = []
        self.lengths: list[int] = []
        self._total, self._length = 0.0, 0

    def reset(self, **kwargs):
        self._total, self._length = 0.0, 0
        return self.env.reset(**kwargs)

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._total += reward
        self._length += 1
        if terminated or truncated:
            self.returns.append(self._total)
            self.lengths.append(self._length)
        return observation, reward, terminated, truncated, info
