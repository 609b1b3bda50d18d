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

import torch
from torch.nn.functional import mse_loss

from rlcourse.lab.networks import polyak_update

from .agent import descend, frozen

# ------------------------------------------------------------------------------------ the equations


def ddpg_target(actor_targ, critic_targ, batch, gamma) -> torch.Tensor:
    r"""$y = r + \gamma(1-d)\, Q_{\phi_{targ}}(s', \mu_{\theta_{targ}}(s'))$ — Lillicrap et al. 2016, Algorithm 1.

    batch: reward, terminated (B,), next_obs (B, obs_dim); gamma: in [0, 1]. Returns (B,), detached:
    y is a label. A time limit (`truncated`) does not mask the bootstrap.
    """
    with torch.no_grad():
        q_next = critic_targ(batch.next_obs, actor_targ(batch.next_obs))
        return batch.reward + gamma * (1 - batch.terminated) * q_next


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
) -> dict[str, float]:
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
    return {"critic_loss": critic_loss.item(), "actor_loss": actor_loss.item()}
