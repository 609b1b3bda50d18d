r"""Gymnasium's pendulum, many at a time: what a policy truly earns, beside what its critic believes (lesson 14).

The pendulum moves without chance, so that rolling a deterministic policy out gives $Q^\mu(s, \mu(s))$ exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch

from rlcourse.lab.agents import OffPolicyAgent
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.progress import seeds as one_by_one

TORQUE, SPEED, DT, EPISODE = 2.0, 8.0, 0.05, 200


def moved(
    angle: np.ndarray, speed: np.ndarray, torque: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One step of N pendulums as Gymnasium's `Pendulum-v1` makes it: new angle, new speed, reward; all (N,).

    angle: from the top; torque: in ±2, and clipped to it.
    """
    torque = np.clip(torque, -TORQUE, TORQUE)
    off = (angle + np.pi) % (2 * np.pi) - np.pi
    reward = -(off**2 + 0.1 * speed**2 + 0.001 * torque**2)
    speed = np.clip(speed + (15.0 * np.sin(angle) + 3.0 * torque) * DT, -SPEED, SPEED)
    return angle + DT * speed, speed, reward


def seen(angle: np.ndarray, speed: np.ndarray) -> np.ndarray:
    """The observations (N, 3), float32: cos, sin, speed."""
    return np.stack([np.cos(angle), np.sin(angle), speed], axis=1).astype(np.float32)


def returns(
    agent: OffPolicyAgent, angle: np.ndarray, speed: np.ndarray, gamma: float, steps: int = EPISODE
) -> np.ndarray:
    """The discounted sum of `steps` rewards of the greedy policy from every state, (N,)."""
    total, discount = np.zeros(len(angle)), 1.0
    for _ in range(steps):
        action = agent.act(seen(angle, speed), None, explore=False)
        angle, speed, reward = moved(angle, speed, np.asarray(action, np.float64)[:, 0])
        total, discount = total + discount * reward, discount * gamma
    return total


def believed(agent: OffPolicyAgent, obs: np.ndarray) -> np.ndarray:
    r"""$Q_\phi(s, \mu_\theta(s))$ for observations (N, 3). Returns (N,)."""
    obs = torch.as_tensor(np.asarray(obs), dtype=torch.float32)
    with torch.no_grad():
        return agent.critic(obs, agent.actor(obs)).double().numpy()


class Watched(NamedTuple):
    """Training runs, looked at now and then.

    steps: (T,) of the environment; score: (runs, T), the mean return of twenty greedy episodes;
    believed, true: (runs, T), means over states that the agent has met of $Q_\\phi(s, \\mu(s))$ and of
    $Q^\\mu(s, \\mu(s))$; border: (runs, T), in how many of them |μ| > 0.99; losses: a dictionary a run;
    agents: the trained ones; met: (runs, N, 3), the states met last.
    """

    steps: np.ndarray
    score: np.ndarray
    believed: np.ndarray
    true: np.ndarray
    border: np.ndarray
    losses: list
    agents: list
    met: np.ndarray


def watch(
    make_agent: Callable[[int], OffPolicyAgent],
    seeds: Iterable[int],
    *,
    steps: int = 5_000,
    look_every: int = 500,
    states: int = 200,
    **training: int,
) -> Watched:
    """Train `make_agent(seed)` on Pendulum for every seed, and compare belief and truth as it learns.

    training: of `train_off_policy`. The starts of the greedy episodes are the same at each look. Same seeds, same
    numbers.
    """
    start = np.random.default_rng(100)
    angles, speeds = start.uniform(-np.pi, np.pi, size=20), start.uniform(-1, 1, size=20)
    runs, losses, agents, met, at = [], [], [], [], []
    for seed in one_by_one(list(seeds)):
        agent, rng = make_agent(seed), np.random.default_rng([seed, 14])
        memory = agent.make_replay(steps)
        agent.make_replay = lambda capacity, memory=memory: memory
        at, rows = [], []

        def look(agent, step, memory=memory, rng=rng, at=at, rows=rows):
            obs = memory.rows(rng.integers(len(memory), size=states)).obs.numpy()
            angle, speed = np.arctan2(obs[:, 1], obs[:, 0]), obs[:, 2].astype(np.float64)
            at.append(step)
            with torch.no_grad():
                mu = agent.actor(torch.from_numpy(obs)).numpy()
            rows.append((
                returns(agent, angles, speeds, 1.0).mean(),
                believed(agent, obs).mean(),
                returns(agent, angle, speed, agent.gamma).mean(),
                (np.abs(mu) > 0.99).mean(),
            ))  # fmt: skip
            return False

        history = train_off_policy(
            agent, "Pendulum-v1", steps, seed, stop_when=look, stop_every=look_every, **training
        )
        runs.append(rows)
        losses.append(history.losses)
        agents.append(agent)
        met.append(memory.rows(np.arange(len(memory) - states, len(memory))).obs.numpy())
    score, belief, truth, border = np.moveaxis(np.array(runs), 2, 0)
    return Watched(np.array(at), score, belief, truth, border, losses, agents, np.array(met))
