r"""Deep deterministic policy gradient: Q-learning whose max over actions is a network (lesson 14).

$\max_a Q(s,a) \approx Q(s, \mu_\theta(s))$. The critic regresses on a target made by slow copies of both
networks, the actor climbs the critic, noise explores.

Networks: `actor(obs) -> (B, D)`, `critic(obs, action) -> (B,)`; actions live in (−1, 1)^D inside the
agent and are scaled to the environment's box at its border.

Source: Lillicrap et al. 2016, *Continuous control with deep reinforcement learning*
(arXiv 1509.02971), Algorithm 1; Silver et al. 2014 for the actor's gradient.

Differences from the paper: a time limit does not end the bootstrap; Gaussian noise unless OU is asked
for; no batch normalisation, no weight decay, PyTorch's default initialisation; both networks use one learning rate; one
warm-up of uniform actions before the first update.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch.nn.functional import mse_loss

from rlcourse.lab.agents import Preset, functions_for
from rlcourse.lab.networks import HIDDEN, Actor, Critic, output_of, polyak_update
from rlcourse.lab.optim import descend
from rlcourse.lab.seeding import torch_seed

from .agent import BoxAgent, adam, frozen
from .noise import GaussianNoise, OrnsteinUhlenbeckNoise, explore_action

# ------------------------------------------------------------------------------------ the equations


def ddpg_target(actor_targ, critic_targ, batch, gamma) -> torch.Tensor:
    r"""$y = r + \gamma(1-d)\, Q_{\phi_{targ}}(s', \mu_{\theta_{targ}}(s'))$ — Lillicrap et al. 2016, Algorithm 1.

    batch: reward, terminated (B,), next_obs (B, obs_dim); gamma: in [0, 1]. Returns (B,), detached:
    y is a label. A time limit (`truncated`) does not mask the bootstrap.
    """
    with torch.no_grad():
        q_next = critic_targ(batch.next_obs, actor_targ(batch.next_obs))
        # Chosen, not multiplied by 1 − d: 0 times a NaN behind the end would be NaN.
        return torch.where(batch.terminated == 1, batch.reward, batch.reward + gamma * q_next)


def ddpg_actor_loss(actor, critic, obs) -> torch.Tensor:
    r"""$-\frac1B \sum_s Q_\phi(s, \mu_\theta(s))$, whose descent is the deterministic policy gradient (eq. 6).

    obs: (B, obs_dim). Returns a scalar with a gradient for the actor only: the critic judges, it does
    not learn to flatter.
    """
    with frozen(critic):
        return -critic(obs, actor(obs)).mean()


# ------------------------------------------------------------------------------------- the algorithm


def ddpg_update(
    agent_state,
    batch,
    *,
    ddpg_target=ddpg_target,
    ddpg_actor_loss=ddpg_actor_loss,
    polyak_update=polyak_update,
) -> dict[str, torch.Tensor]:
    """One round of Algorithm 1, in place: critic, actor against the new critic, both targets.

    agent_state: actor, critic, actor_targ, critic_targ, actor_optimizer, critic_optimizer, gamma, rho.
    batch: obs, action, reward, next_obs, terminated. Returns the two losses before their steps.
    """
    me = agent_state
    y = ddpg_target(me.actor_targ, me.critic_targ, batch, me.gamma)
    critic_loss = mse_loss(me.critic(batch.obs, batch.action), y)
    descend(me.critic_optimizer, critic_loss)

    actor_loss = ddpg_actor_loss(me.actor, me.critic, batch.obs)
    descend(me.actor_optimizer, actor_loss)

    polyak_update(me.critic_targ, me.critic, me.rho)
    polyak_update(me.actor_targ, me.actor, me.rho)
    return {"critic_loss": critic_loss.detach(), "actor_loss": actor_loss.detach()}


# ----------------------------------------------------------------------------------------- the agent


class NoisyAgent(BoxAgent):
    """How DDPG and TD3 act: the actor's own action, and noise around it while exploring."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # Noise may remember where it is: agents that were given the same have one each.
        self.noise = deepcopy(self.noise)

    def choose(self, obs, rng, explore):
        action = output_of(self.actor, obs)
        if not explore:
            return action
        noise = self.noise.sample(action.shape, rng)
        return self.explore_action(torch.from_numpy(action), noise, -1.0, 1.0)

    def begin_episodes(self, rows):
        self.noise.reset(rows)


@dataclass
class DDPG(NoisyAgent):
    """A deterministic actor, one critic, slow copies of both; noise only while exploring.

    gamma: discount; rho: Polyak; lr: of both networks; noise: what `explore_action` adds, in
    half-widths of the box; seed: of the first weights. The functions below can be replaced.
    """

    hidden: Sequence[int] = HIDDEN
    gamma: float = 0.98
    rho: float = 0.99
    lr: float = 1e-3
    noise: GaussianNoise | OrnsteinUhlenbeckNoise = field(default_factory=GaussianNoise)
    seed: int = 0
    ddpg_target: Callable = ddpg_target
    ddpg_actor_loss: Callable = ddpg_actor_loss
    explore_action: Callable = explore_action
    polyak_update: Callable = polyak_update
    ddpg_update: Callable = ddpg_update

    def __post_init__(self) -> None:
        super().__post_init__()
        with torch_seed(self.seed):
            self.actor = Actor(self.obs_dim, self.act_dim, self.hidden)
            self.critic = Critic(self.obs_dim, self.act_dim, self.hidden)
        self.actor_targ, self.critic_targ = deepcopy(self.actor), deepcopy(self.critic)
        self.actor_optimizer = adam(self.actor, lr=self.lr)
        self.critic_optimizer = adam(self.critic, lr=self.lr)

    def learn(self, batch, rng):
        return self.ddpg_update(self, batch, **functions_for(self, self.ddpg_update))


PENDULUM = Preset("Pendulum-v1", {}, {"steps": 10_000, "warmup": 1_000, "batch_size": 128})
PENDULUM_OU = PENDULUM._replace(agent={"noise": OrnsteinUhlenbeckNoise()})
