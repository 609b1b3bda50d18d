r"""Twin delayed DDPG: three repairs of DDPG's overestimation (lesson 15).

The smaller of two critics makes the target, the actor and all targets move less often than the critics,
and noise on the target action smooths the critic's peaks. `clipped_bias` says what the minimum costs.

Networks: `actor(obs) -> (B, D)`, `critic(obs, action) -> (B,)`; actions live in (−1, 1)^D inside the
agent, so σ and c are in half-widths of the environment's box, which its border scales to.

Source: Fujimoto, van Hoof & Meger 2018, *Addressing function approximation error in actor-critic
methods* (arXiv 1802.09477), Algorithm 1; Clark 1961, *The greatest of a finite set of random variables*
(Operations Research 9), for the mean of a minimum.

Differences from the paper: a time limit does not end the bootstrap (the authors' code agrees, the
pseudocode is silent); the actor does not see the warm-up; PyTorch's default initialisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial

import torch
from torch.nn.functional import mse_loss

from rlcourse.lab.agents import Preset, functions_for
from rlcourse.lab.networks import HIDDEN, Actor, Critic, polyak_update
from rlcourse.lab.optim import descend
from rlcourse.lab.seeding import torch_seed

from .agent import adam
from .ddpg import NoisyAgent, ddpg_actor_loss
from .noise import GaussianNoise, OrnsteinUhlenbeckNoise, explore_action, standard_normal

# ------------------------------------------------------------------------------------ the equations


def smoothed_target_action(mu_next, noise, sigma, clip, low, high) -> torch.Tensor:
    r"""$\mathrm{clip}(\mu_{targ}(s') + \mathrm{clip}(\sigma\xi, -c, c),\; low,\; high)$ — Fujimoto et al. 2018, eq. 14.

    mu_next: (B, D) from the target actor; noise: (B, D), standard normal; sigma, clip > 0, in the
    action's units; low, high: (D,) or floats, the box. Returns (B, D).
    """
    held = (sigma * noise).clamp(-clip, clip)
    return (mu_next + held).clip(low, high)


def clipped_double_q_target(reward, q1_next, q2_next, terminated, gamma) -> torch.Tensor:
    r"""$y = r + \gamma(1-d)\, \min_i Q_{\phi_{targ,i}}(s', a')$ — Fujimoto et al. 2018, eq. 10.

    All (B,); gamma: in [0, 1]. One target for both critics. Returns (B,), detached from both.
    """
    q_next = torch.minimum(q1_next, q2_next).detach()
    return torch.where(terminated == 1, reward, reward + gamma * q_next)


def clipped_bias(sigma_1, sigma_2, rho) -> float:
    r"""$\mathbb E[\min(Q_1,Q_2)] - Q = -\sqrt{(\sigma_1^2+\sigma_2^2-2\rho\,\sigma_1\sigma_2)/2\pi}$ — after Clark 1961.

    How far the smaller of two unbiased estimates lies below the truth: $Q_i \sim N(Q, \sigma_i^2)$, jointly
    Gaussian. sigma_1, sigma_2: > 0, deviations, in the unit of a value; rho: their correlation, in [−1, 1].
    Clark gives the mean of the larger of two Gaussians; that of the smaller one is its mirror image.
    """
    variance = sigma_1**2 + sigma_2**2 - 2 * rho * sigma_1 * sigma_2  # of the difference
    return -math.sqrt(max(variance, 0.0) / (2 * math.pi))  # rounding may leave −1e-17


def delayed(step, every) -> bool:
    r"""Whether update number `step` (from 1) moves actor and targets: $step \bmod every = 0$ — Algorithm 1."""
    return step % every == 0


# ------------------------------------------------------------------------------------- the algorithm


def td3_critic_update(
    agent_state,
    batch,
    noise,
    *,
    smoothed_target_action=smoothed_target_action,
    clipped_double_q_target=clipped_double_q_target,
) -> torch.Tensor:
    """The critics' half of a round of Algorithm 1, in place: one target, one step of both critics.

    agent_state: actor_targ, critic1, critic2, critic1_targ, critic2_targ, critic_optimizer (both critics), gamma,
    sigma, clip, low, high. batch: obs, action, reward, next_obs, terminated; noise: (B, D), standard normal.
    Returns the sum of the two mean squared errors before the step, (), detached.
    """
    me = agent_state
    with torch.no_grad():
        mu_next = me.actor_targ(batch.next_obs)
        a_next = smoothed_target_action(mu_next, noise, me.sigma, me.clip, me.low, me.high)
        q1_next = me.critic1_targ(batch.next_obs, a_next)
        q2_next = me.critic2_targ(batch.next_obs, a_next)
    y = clipped_double_q_target(batch.reward, q1_next, q2_next, batch.terminated, me.gamma)
    loss = mse_loss(me.critic1(batch.obs, batch.action), y)
    loss = loss + mse_loss(me.critic2(batch.obs, batch.action), y)
    descend(me.critic_optimizer, loss)
    return loss.detach()


def td3_update(
    agent_state,
    batch,
    noise,
    step,
    *,
    td3_critic_update=td3_critic_update,
    delayed=delayed,
    ddpg_actor_loss=ddpg_actor_loss,
    polyak_update=polyak_update,
) -> dict[str, torch.Tensor]:
    """One round of Algorithm 1, in place: both critics; when it is time, the actor and all three targets.

    agent_state: what `td3_critic_update` needs, and actor, actor_optimizer, rho, every. batch, noise: as there;
    step: from 1. Returns the losses before their steps; "actor_loss" only when there was one.
    """
    me = agent_state
    losses = {"critic_loss": td3_critic_update(me, batch, noise)}
    if delayed(step, me.every):
        loss = ddpg_actor_loss(me.actor, me.critic1, batch.obs)
        descend(me.actor_optimizer, loss)
        losses["actor_loss"] = loss.detach()
        polyak_update(me.critic1_targ, me.critic1, me.rho)
        polyak_update(me.critic2_targ, me.critic2, me.rho)
        polyak_update(me.actor_targ, me.actor, me.rho)
    return losses


# ----------------------------------------------------------------------------------------- the agent


@dataclass
class TD3(NoisyAgent):
    """A deterministic actor, two critics, slow copies of all three; noise only while exploring.

    gamma: discount; rho: Polyak; lr: of all networks; sigma, clip: of the target action's noise; every:
    updates of the critics between two of the actor; noise: what `explore_action` adds; all widths in
    half-widths of the box; seed: of the first weights. The functions below can be replaced.
    """

    hidden: Sequence[int] = HIDDEN
    gamma: float = 0.98
    rho: float = 0.99
    lr: float = 1e-3
    sigma: float = 0.2
    clip: float = 0.5
    every: int = 2
    noise: GaussianNoise | OrnsteinUhlenbeckNoise = field(default_factory=GaussianNoise)
    seed: int = 0
    smoothed_target_action: Callable = smoothed_target_action
    clipped_double_q_target: Callable = clipped_double_q_target
    td3_critic_update: Callable = td3_critic_update
    delayed: Callable = delayed
    ddpg_actor_loss: Callable = ddpg_actor_loss
    explore_action: Callable = explore_action
    polyak_update: Callable = polyak_update
    td3_update: Callable = td3_update

    def __post_init__(self) -> None:
        super().__post_init__()
        with torch_seed(self.seed):
            self.actor = Actor(self.obs_dim, self.act_dim, self.hidden)
            self.critic1 = Critic(self.obs_dim, self.act_dim, self.hidden)
            self.critic2 = Critic(self.obs_dim, self.act_dim, self.hidden)
        self.actor_targ = deepcopy(self.actor)
        self.critic1_targ, self.critic2_targ = deepcopy(self.critic1), deepcopy(self.critic2)
        self.actor_optimizer = adam(self.actor, lr=self.lr)
        self.critic_optimizer = adam(self.critic1, self.critic2, lr=self.lr)
        self.low, self.high = -1.0, 1.0
        self.step = 0

    def learn(self, batch, rng):
        self.step += 1
        noise = standard_normal(batch.action.shape, rng)
        functions = functions_for(self, self.td3_update)
        if "td3_critic_update" in functions:  # which asks for functions of the agent's in its turn
            critics = self.td3_critic_update
            functions["td3_critic_update"] = partial(critics, **functions_for(self, critics))
        return self.td3_update(self, batch, noise, self.step, **functions)


PENDULUM = Preset("Pendulum-v1", {}, {"steps": 10_000, "warmup": 1_000, "batch_size": 128})
