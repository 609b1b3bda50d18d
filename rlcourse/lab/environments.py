"""Environments as the loops use them: several at once, resets in plain view, and of the right kind.

`make_env` is everywhere a function of no arguments that returns a new Gymnasium environment, or the
name of a registered one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from .agents import History

MakeEnv = Callable[[], gym.Env] | str


class SpaceError(ValueError):
    """The environment's observations or actions are not of the kind that the agent needs."""


def maker(make_env: MakeEnv) -> Callable[[], gym.Env]:
    """`make_env` itself, or for a name the function that makes that environment."""
    return partial(gym.make, make_env) if isinstance(make_env, str) else make_env


def vector_env(make_env: MakeEnv, n_envs: int) -> SyncVectorEnv:
    """n_envs copies, stepped together. None resets itself (AutoresetMode.DISABLED).

    So `step` always returns the true next observation, of an ended episode too, and no step after an
    end is ever mistaken for a transition. After an end call `reset(options={"reset_mask": ended})`.
    """
    make = maker(make_env)
    return SyncVectorEnv([make] * n_envs, autoreset_mode=AutoresetMode.DISABLED)


class Copies:
    """n copies of an environment stepped one after the other, each reset in the step that ends it.

    Gymnasium calls this SAME_STEP; its `SyncVectorEnv` does the same with twice the bookkeeping,
    which is what much of the time of a small network is spent on. `obs` (n, obs_dim) float32 is what
    to act on next; `step` returns the true next observation, of an ended episode too, so no reset is
    ever mistaken for a transition.
    """

    def __init__(self, make_env: MakeEnv, n: int, rng: np.random.Generator) -> None:
        self.envs = [_unchecked(make_env) for _ in range(n)]
        self.observation_space = self.envs[0].observation_space
        self.action_space = self.envs[0].action_space
        self.finite = isinstance(self.action_space, Discrete)
        self.obs_dim = observation_size(self.observation_space)
        self.obs = np.empty((n, self.obs_dim), np.float32)
        for i, env in enumerate(self.envs):
            self.obs[i], _ = env.reset(seed=int(rng.integers(2**31)))
        self.returns, self.lengths = [0.0] * n, [0] * n

    def step(self, action: np.ndarray, history: History) -> tuple[np.ndarray, ...]:
        """reward (n,), true next observations (n, obs_dim), terminated (n,), truncated (n,)."""
        history.steps += len(self.envs)
        next_obs, numbers = np.empty_like(self.obs), []
        # Plain integers: a Discrete space takes far longer to recognise NumPy's.
        actions = action.tolist() if self.finite else action
        for i, env in enumerate(self.envs):
            obs, reward, terminated, truncated, _ = env.step(actions[i])
            next_obs[i] = obs
            numbers.append((reward, terminated, truncated))
            self.returns[i] += float(reward)
            self.lengths[i] += 1
            if terminated or truncated:
                history.episode_steps.append(history.steps)
                history.episode_returns.append(self.returns[i])
                history.episode_lengths.append(self.lengths[i])
                self.returns[i], self.lengths[i] = 0.0, 0
                obs, _ = env.reset()
            self.obs[i] = obs
        reward, terminated, truncated = np.array(numbers, np.float32).T
        return reward, next_obs, terminated, truncated

    def check_observations(self, obs_dim: int) -> None:
        """Stop before the first step if the agent takes observations of another size."""
        if self.obs_dim != obs_dim:
            raise ValueError(
                f"The agent takes observations of {obs_dim} numbers; the environment's are "
                f"{self.observation_space}."
            )

    def close(self) -> None:
        for env in self.envs:
            env.close()


def _unchecked(make_env: MakeEnv) -> gym.Env:
    """A new environment; by name, without the checker that would look at each of its steps."""
    return gym.make(make_env, disable_env_checker=True) if isinstance(make_env, str) else make_env()


def observation_size(space: Space) -> int:
    """The length of an observation, a Box of one dimension. Raises SpaceError for anything else."""
    if not isinstance(space, Box) or len(space.shape) != 1:
        raise SpaceError(
            f"The networks here take observations that are one row of numbers; this environment's are "
            f"{space}. Wrap it, for example in gymnasium.wrappers.FlattenObservation."
        )
    return int(space.shape[0])


def action_count(space: Space) -> int:
    """The number of actions of a Discrete space that counts from 0. Raises SpaceError otherwise."""
    if not isinstance(space, Discrete):
        raise SpaceError(
            f"This agent chooses from a finite number of actions; this environment's are {space}. "
            f"For boxes there are DDPG, TD3 and SAC."
        )
    if space.start != 0:
        raise SpaceError(f"Actions are counted from 0 here; this environment's from {space.start}.")
    return int(space.n)


def action_box(space: Space) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest action, each (act_dim,) float32, of a finite Box of one dimension.

    Raises SpaceError for another kind of space, another rank, or a side without an end.
    """
    if not isinstance(space, Box) or len(space.shape) != 1:
        raise SpaceError(
            f"This agent's actions are a row of numbers between bounds; this environment's are "
            f"{space}. For a finite number of actions there are DQN, A2C and PPO."
        )
    if not space.is_bounded("both"):
        raise SpaceError(
            f"This agent scales its actions to the box of the environment, but {space} has no end "
            f"on some side. Give it bounds, for example with gymnasium.wrappers.RescaleAction or "
            f"an action_space of your own."
        )
    return space.low.astype(np.float32), space.high.astype(np.float32)


def uniform_actions(space: Space, n: int, rng: np.random.Generator) -> np.ndarray:
    """n actions drawn uniformly: (n,) int64 of a Discrete space, (n, act_dim) float32 of a finite Box."""
    if isinstance(space, Discrete):
        return rng.integers(action_count(space), size=n)
    low, high = action_box(space)
    return rng.uniform(low, high, size=(n, len(low))).astype(np.float32)
