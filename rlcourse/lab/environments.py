"""Environments as the loops use them: several at once, reset by hand, and of the right kind.

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
