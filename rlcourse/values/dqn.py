r"""Deep Q-networks: Q-learning with a network, made stable by replay and a slow copy (lesson 08).

Mnih et al. 2015, *Human-level control through deep reinforcement learning*, Algorithm 1.

Differences from the paper: observations are rows of numbers, not frames; the target network follows
by Polyak averaging unless `target_every` and ρ = 0 ask for hard copies; Huber loss of the error
where the paper clips its gradient (the same thing); the gradient's norm is clipped too; Adam
instead of RMSProp; the learning rate may fall linearly; updates come in bursts.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from rlcourse.lab.agents import OffPolicyAgent, Preset
from rlcourse.lab.environments import MakeEnv, action_count, maker, observation_size
from rlcourse.lab.evaluation import Solved
from rlcourse.lab.networks import HIDDEN, QNetwork, output_of, polyak_update
from rlcourse.lab.optim import Adam, clip_gradient
from rlcourse.lab.seeding import torch_seed

# --- the equations ------------------------------------------------------------------------------


def epsilon_schedule(step, start, end, decay_steps) -> float:
    r"""$start + (end - start)\min(step / decay\_steps, 1)$ — Mnih et al. 2015, Methods.

    step: int ≥ 0; decay_steps ≥ 1. Returns a float in [end, start].
    """
    return start + (end - start) * min(step / decay_steps, 1.0)


def dqn_target(reward, q_next, terminated, gamma) -> Tensor:
    r"""$y = r + \gamma(1-d)\max_{a'} Q_{\phi_{targ}}(s', a')$ — Mnih et al. 2015, Algorithm 1.

    reward, terminated: (B,); q_next: (B, n_actions), of the target network. Returns (B,).
    """
    # Chosen, not multiplied by 1 − d: 0 times a NaN behind the end would be NaN.
    return torch.where(terminated == 1, reward, reward + gamma * q_next.amax(dim=1))


def taken(q, action) -> Tensor:
    """Q(s, a) of the action that was taken. q: (B, n_actions); action: (B,) int64. Returns (B,)."""
    return q.gather(1, action[:, None]).squeeze(1)


def dqn_loss(q_net, target_net, batch, gamma) -> Tensor:
    r"""$\frac1B \sum_b H_1(Q_\phi(s_b, a_b) - y_b)$, $H_1(e) = \tfrac12 e^2$ for $|e| \le 1$, else $|e| - \tfrac12$.

    Mnih et al. 2015, Algorithm 1 and Methods. Returns a scalar with a gradient for `q_net` only.
    """
    with torch.no_grad():
        y = dqn_target(batch.reward, target_net(batch.next_obs), batch.terminated, gamma)
    return smooth_l1_loss(taken(q_net(batch.obs), batch.action), y)


def copy_factor(kappa, eta, every) -> tuple[float, float]:
    r"""What is left of an error after C = `every` steps towards a label that stands still, and that a step.

    One prediction p, its label $y = c + \kappa p$, steps $p \leftarrow p + \eta(y - p)$. Around
    $p^* = c + \kappa p^*$ the error is $e = p - p^*$; the label, made of the first p, lies at $\kappa e$, and
    C steps leave $(1-\eta)^C$ of the way to it: $\kappa + (1-\kappa)(1-\eta)^C$, and its C-th root.
    The linear case of lesson 08, (8.12); C → ∞ is one fitted iteration.

    kappa ≥ 0, not 1; eta in (0, 1]; every: int ≥ 1. Returns two floats.
    """
    factor = kappa + (1 - kappa) * (1 - eta) ** every
    return factor, factor ** (1 / every)


# --- the algorithm ------------------------------------------------------------------------------


def play_step(env, agent, buffer, rng) -> tuple[float, bool]:
    r"""One interaction of Algorithm 1: choose ε-greedily, step, store (s, a, r, s', d), go on.

    env: a plain Gymnasium environment with finite actions; agent: q_net, epsilon, and obs (obs_dim,), which is
    moved on to what the environment shows, after an end to the next start; buffer: has `add`. Draws from rng
    a uniform number, and an action if it is below epsilon. Returns the reward, and whether the episode is over.
    """
    if rng.random() < agent.epsilon:
        action = int(rng.integers(env.action_space.n))
    else:
        action = int(output_of(agent.q_net, agent.obs[None]).argmax())
    next_obs, reward, terminated, truncated, _ = env.step(action)
    buffer.add(agent.obs, action, reward, next_obs, terminated)
    over = bool(terminated or truncated)
    agent.obs = env.reset()[0] if over else next_obs
    return float(reward), over


def dqn_update(agent_state, batch, *, dqn_loss=dqn_loss, polyak_update=polyak_update) -> Tensor:
    """One step of Algorithm 1, in place: loss, gradient, clip, step; then the target follows.

    agent_state: q_net, target_net, optimizer, gamma, rho, max_grad_norm. Returns the loss before the
    step, 0-d and detached.
    """
    me = agent_state
    loss = dqn_loss(me.q_net, me.target_net, batch, me.gamma)
    me.optimizer.zero_grad()
    loss.backward()
    clip_gradient(me.q_net.parameters(), me.max_grad_norm)
    me.optimizer.step()
    polyak_update(me.target_net, me.q_net, me.rho)
    return loss.detach()


# --- the agent ----------------------------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class DQN(OffPolicyAgent):
    """The agent of lesson 08. `dqn_update` is one `update`; with target_every > 1 the target moves
    only in every so many (hard copies: rho = 0). learning_rate_steps: updates after which a learning
    rate that falls linearly has reached a tenth; None keeps it. The functions can be replaced."""

    obs_dim: int
    n_actions: int
    hidden: tuple[int, ...] = HIDDEN
    gamma: float = 0.99
    rho: float = 0.995
    target_every: int = 1
    learning_rate: float = 1e-3
    learning_rate_steps: int | None = None
    max_grad_norm: float = 10.0
    epsilon_start: float = 1.0
    epsilon_end: float = 0.05
    epsilon_steps: int = 10_000
    seed: int = 0
    dqn_loss: Callable[..., Tensor] = dqn_loss
    polyak_update: Callable[..., None] = polyak_update
    epsilon_schedule: Callable[..., float] = epsilon_schedule

    @classmethod
    def for_env(cls, make_env: MakeEnv, **settings: Any) -> DQN:
        """An agent for this environment: finite actions, observations of one row."""
        env = maker(make_env)()
        sizes = observation_size(env.observation_space), action_count(env.action_space)
        env.close()
        return cls(obs_dim=sizes[0], n_actions=sizes[1], **settings)

    def __post_init__(self) -> None:
        with torch_seed(self.seed):
            self.q_net = QNetwork(self.obs_dim, self.n_actions, self.hidden)
        self.target_net = deepcopy(self.q_net).requires_grad_(False)
        self.optimizer = Adam(self.q_net.parameters(), self.learning_rate)
        self.steps = self.updates = 0  # actions chosen while exploring; steps of the optimiser

    def act(self, obs, rng, explore=True) -> np.ndarray:
        """ε-greedy, or greedy: obs (N, obs_dim) → (N,) int64."""
        random = np.zeros(len(obs), dtype=bool)
        if explore:
            epsilon = self.epsilon_schedule(
                self.steps, self.epsilon_start, self.epsilon_end, self.epsilon_steps
            )
            random = rng.random(len(obs)) < epsilon
            self.steps += len(obs)
            if random.all():  # the network would not be asked
                return rng.integers(self.n_actions, size=len(obs))
        action = self.q_values(obs).argmax(axis=1)
        if random.any():
            action = np.where(random, rng.integers(self.n_actions, size=len(obs)), action)
        return action

    def q_values(self, obs: np.ndarray) -> np.ndarray:
        """Q(s, ·) of the online network: obs (N, obs_dim) → (N, n_actions), without gradient."""
        return output_of(self.q_net, obs)

    def update(self, batch, rng=None) -> dict[str, Tensor]:
        """`dqn_update` with this agent's functions; nothing is drawn."""
        self.begin_update()
        return {"loss": dqn_update(self, batch, dqn_loss=self.dqn_loss, polyak_update=self.follow)}

    def begin_update(self) -> None:
        """Count it, and set the learning rate that is due."""
        self.updates += 1
        if self.learning_rate_steps:
            done = min(self.updates / self.learning_rate_steps, 1.0)
            self.optimizer.param_groups[0]["lr"] = self.learning_rate * (1 - 0.9 * done)

    def follow(self, target, online, rho) -> None:
        """The target network's turn, every `target_every` updates."""
        if self.updates % self.target_every == 0:
            self.polyak_update(target, online, rho)


def scaled_cartpole() -> gym.Env:
    """CartPole-v1, its four numbers divided by 2.4 m, 2 m/s, 0.21 rad and 2 rad/s: each about 1 at most."""
    scale = 1 / np.array([2.4, 2.0, 0.21, 2.0], dtype=np.float32)
    env = gym.make("CartPole-v1", disable_env_checker=True)
    space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float32)
    return gym.wrappers.TransformObservation(env, lambda obs: obs * scale, space)


# Few updates for each transition, and an end when 20 greedy episodes have lasted to the limit: the cart
# that drifts off the track slowly is learned late, and a perfect policy may be lost again.
CARTPOLE = Preset(
    env=scaled_cartpole,
    agent=dict(
        hidden=(64, 64),
        learning_rate=2e-3,
        learning_rate_steps=12_000,
        rho=0.98,
        epsilon_steps=8_000,
        epsilon_end=0.04,
    ),
    training=dict(
        steps=100_000,
        n_envs=8,
        train_every=8,
        updates=1,
        batch_size=128,
        stop_when=Solved(scaled_cartpole, 500.0),
        stop_every=2_000,
    ),
)
ACROBOT = Preset(
    env="Acrobot-v1",
    agent=dict(
        hidden=(64, 64),
        learning_rate=1e-3,
        learning_rate_steps=25_000,
        rho=0.99,
        epsilon_steps=10_000,
    ),
    training=dict(steps=50_000, train_every=16, updates=8, batch_size=128),
)
