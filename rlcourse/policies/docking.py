"""A ship to be docked: a box of actions for lesson 12, cheap, with a best policy that can be computed."""

from __future__ import annotations

import gymnasium as gym
import numpy as np

DT, THRUST, FUEL = 0.2, 2.0, 0.1
STEPS = 40
# z' = F z + G a for z = (position, velocity).
F = np.array([[1.0, DT], [0.0, 1.0]])
G = np.array([0.0, DT * THRUST])


class Docking(gym.Env):
    """A ship on a line, to be brought to rest at 0 by a thruster.

    Observation: position and velocity, (2,) float32. Action: the thrust, (1,) in [−1, 1]. Reward:
    $-(x^2 + 0.1\\,a^2)$. Starts anywhere in [−1, 1] at rest; cut off after 40 steps.
    """

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.x = self.v = 0.0
        self.clock = 0

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        self.x, self.v, self.clock = float(self.np_random.uniform(-1, 1)), 0.0, 0
        return np.array([self.x, self.v], np.float32), {}

    def step(self, action):
        a = min(max(float(action[0]), -1.0), 1.0)
        reward = -(self.x**2 + FUEL * a * a)
        self.x, self.v = self.x + DT * self.v, self.v + DT * THRUST * a
        self.clock += 1
        obs = np.array([self.x, self.v], np.float32)
        return obs, reward, False, self.clock >= STEPS, {}


def best_gain(gamma: float, sweeps: int = 2_000) -> np.ndarray:
    r"""K (2,) of the best linear policy $a = -Kz$ without bounds on a: Riccati's equation, by iteration.

    $V(z) = -z^\top M z$, $M \leftarrow Q + \gamma F^\top M F - \gamma F^\top M G K$ with
    $K = \gamma\,G^\top M F / (0.1 + \gamma\,G^\top M G)$: the Bellman equation of a quadratic.
    """
    Q = np.diag([1.0, 0.0])
    M = Q
    for _ in range(sweeps):
        K = gamma * (G @ M @ F) / (FUEL + gamma * (G @ M @ G))
        M = Q + gamma * F.T @ M @ F - gamma * np.outer(F.T @ M @ G, K)
    return K


class Linear:
    """$a = -Kz$, for whoever evaluates or draws it."""

    def __init__(self, gain: np.ndarray) -> None:
        self.gain = gain

    def act(self, obs: np.ndarray, rng: np.random.Generator, explore: bool = True) -> np.ndarray:
        return (-(obs @ self.gain)[:, None]).clip(-1, 1).astype(np.float32)
