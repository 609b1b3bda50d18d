r"""Two rooms in which no policy earns more than 0, so that a critic's overestimation shows (lesson 15).

In the `LOTTERY` every step pays a draw from $\mathcal N(0, 0.03^2)$, wherever you are and whatever you do: all true
values are exactly 0. In the `CASINO` only the right half pays, from $\mathcal N(-0.2, 0.3^2)$, and the left half nothing:
Sutton & Barto's example 6.7 made continuous. What a critic says above 0 is error, and an agent that believes it gambles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from matplotlib.axes import Axes
from PIL import Image, ImageDraw

from rlcourse.lab import plots
from rlcourse.lab.agents import OffPolicyAgent
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.progress import seeds as one_by_one
from rlcourse.lab.videos import write_gif

EPISODE = 50


@dataclass(frozen=True)
class Room:
    """The square $[-1, 1]^2$; where $x_1$ > wall a step pays luck of mean −loss and deviation luck."""

    wall: float
    loss: float
    luck: float

    def env(self) -> gym.Env:
        """The room as an environment with a time limit, which ends an episode and never a value."""
        return gym.wrappers.TimeLimit(Walk(self), max_episode_steps=EPISODE)

    def plays(self, x: np.ndarray) -> np.ndarray:
        """Whether one plays at the places x (..., 2)."""
        return x[..., 0] > self.wall

    def expected_reward(self, x: np.ndarray) -> np.ndarray:
        """The mean reward for leaving x: (..., 2) → (...)."""
        return np.where(self.plays(x), -self.loss, 0.0)


LOTTERY = Room(wall=-2.0, loss=0.0, luck=0.03)
CASINO = Room(wall=0.0, loss=0.2, luck=0.3)


def moved(x: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Where one stands after a step: a fifth of the action further, inside the room."""
    return np.clip(x + 0.2 * np.asarray(action, dtype=np.float64), -1.0, 1.0)


class Walk(gym.Env):
    """A walk through a room. Observation: x, (2,) float32; action: (2,) in [−1, 1]. No state is terminal."""

    def __init__(self, room: Room) -> None:
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.room = room
        self.x = np.zeros(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = self.np_random.uniform(-1, 1, size=2)
        return self.x.astype(np.float32), {}

    def step(self, action):
        luck = self.room.luck * self.np_random.normal() if self.room.plays(self.x) else 0.0
        reward = float(self.room.expected_reward(self.x) + luck)
        self.x = moved(self.x, action)
        return self.x.astype(np.float32), reward, False, False, {}


class RandomWalk:
    """The policy that draws its action evenly from the box, with a generator of its own."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def act(self, obs, rng, explore=True):
        return self.rng.uniform(-1, 1, size=(len(obs), 2))


# ----------------------------------------------------------------------- what is true, what is believed


def true_values(agent: OffPolicyAgent, obs: np.ndarray, gamma: float, room: Room) -> np.ndarray:
    r"""$Q^\mu(s, \mu(s))$ of the agent's policy, by rolling it out from every row of obs (N, 2).

    The room is deterministic but for the luck, which no action changes: a rollout that adds up mean
    rewards is the expectation. It ends where γ^t falls below 0.001. gamma: in [0, 1). Returns (N,).
    """
    x = np.asarray(obs, dtype=np.float64)
    total, discount = np.zeros(len(x)), 1.0
    while discount > 1e-3:
        action = agent.act(x.astype(np.float32), None, explore=False)
        total += discount * room.expected_reward(x)
        x, discount = moved(x, action), discount * gamma
    return total


def believed_values(agent: OffPolicyAgent, obs: np.ndarray) -> np.ndarray:
    """$Q_\\phi(s, \\mu(s))$, by the agent's only or first critic; obs (N, 2). Returns (N,)."""
    critic = getattr(agent, "critic", None) or agent.critic1
    obs = torch.as_tensor(np.asarray(obs), dtype=torch.float32)
    with torch.no_grad():
        return critic(obs, agent.actor(obs)).double().numpy()


class Watched(NamedTuple):
    """Training runs, looked at now and then.

    steps: (T,) of the environment; believed, true: (runs, T), means over states of the agent's replay of
    $Q_\\phi(s, \\mu(s))$ and of $Q^\\mu(s, \\mu(s))$; agents: the trained ones.
    """

    steps: np.ndarray
    believed: np.ndarray
    true: np.ndarray
    agents: list

    @property
    def error(self) -> np.ndarray:
        """(runs, T): how much too high the critic is."""
        return self.believed - self.true


def watch(
    make_agent: Callable[[int], OffPolicyAgent],
    room: Room,
    seeds: Iterable[int],
    *,
    steps: int = 900,
    warmup: int = 100,
    look_every: int = 100,
    states: int = 200,
) -> Watched:
    """Train `make_agent(seed)` in the room for every seed, comparing belief and truth as it learns.

    The states that are compared are drawn from the agent's own replay. Same seeds, same numbers.
    """
    believed, true, agents, at = [], [], [], []
    for seed in one_by_one(list(seeds)):
        agent, rng = make_agent(seed), np.random.default_rng([seed, 15])
        memory = agent.make_replay(steps)
        agent.make_replay = lambda capacity, memory=memory: memory
        at, rows = [], []

        def look(agent, step, memory=memory, rng=rng, at=at, rows=rows):
            obs = memory.rows(rng.integers(len(memory), size=states)).obs.numpy()
            at.append(step)
            truth = true_values(agent, obs, agent.gamma, room)
            rows.append((believed_values(agent, obs).mean(), truth.mean()))
            return False

        train_off_policy(
            agent, room.env, steps, seed, warmup=warmup, stop_when=look, stop_every=look_every
        )
        believed.append([b for b, _ in rows])
        true.append([t for _, t in rows])
        agents.append(agent)
    return Watched(np.array(at), np.array(believed), np.array(true), agents)


# ------------------------------------------------------------------------------------- the picture


def draw_beliefs(agents: dict[str, OffPolicyAgent]) -> Axes:
    """A map of the casino an agent: colour is what its critic believes, arrows are what its actor does."""
    fine, coarse = _grid(41), _grid(9)
    maps = {name: believed_values(agent, fine).reshape(41, 41) for name, agent in agents.items()}
    limit = max(np.abs(m).max() for m in maps.values())
    axes = plots.axes(1, len(agents), size="wide", squeeze=False)[0]
    for ax, (name, agent) in zip(axes, agents.items(), strict=True):
        image = ax.imshow(
            maps[name],
            extent=(-1, 1, -1, 1),
            origin="lower",
            cmap=plots.VALUES,
            vmin=-limit,
            vmax=limit,
        )
        arrows = agent.act(coarse, None, explore=False)
        ax.quiver(*coarse.T, *arrows.T, scale=18, width=0.006)
        ax.axvline(CASINO.wall, color=plots.INK, linewidth=1.2, linestyle="--")
        ax.set(title=name, xlabel="nothing  ←  $x_1$  →  casino", yticks=[-1, 0, 1])
        ax.set_xticks([-1, 0, 1])
        ax.grid(visible=False)
    axes[0].set_ylabel("$x_2$")
    axes[-1].figure.colorbar(image, ax=list(axes), label="believed value", shrink=0.9)
    return axes[0]


def _grid(n: int) -> np.ndarray:
    """(n², 2) float32, row by row from below."""
    line = np.linspace(-1, 1, n, dtype=np.float32)
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def film(
    agents: dict[str, OffPolicyAgent], room: Room, path: str, seed: int, steps: int = 40
) -> None:
    """Write an animated GIF: twelve visitors an agent, from the same places, the policies side by side.

    Grey is where one plays, the rest is transparent. Left to right in the order of `agents`.
    """
    side, gap, radius = 150, 10, 5
    start = np.random.default_rng(seed).uniform(-1, 1, size=(12, 2))
    places = {name: start.copy() for name in agents}
    wall = int((np.clip(room.wall, -1, 1) + 1) / 2 * side)
    frames = []
    for _ in range(steps):
        image = Image.new("RGB", (len(agents) * (side + gap) - gap, side), "white")
        draw = ImageDraw.Draw(image)
        for i, (name, agent) in enumerate(agents.items()):
            left = i * (side + gap)
            draw.rectangle((left + wall, 0, left + side - 1, side - 1), fill="#BBBBBB")
            draw.rectangle((left, 0, left + side - 1, side - 1), outline=plots.INK)
            for x, y in (places[name] * (0.92, -0.92) + 1) / 2 * side:
                dot = (left + x - radius, y - radius, left + x + radius, y + radius)
                draw.ellipse(dot, fill=plots.PALETTE["blue"])
            action = agent.act(places[name].astype(np.float32), None, explore=False)
            places[name] = moved(places[name], action)
        frames.append(np.asarray(image))
    write_gif(frames, path, fps=8, width=frames[0].shape[1], through=(255, 255, 255))
