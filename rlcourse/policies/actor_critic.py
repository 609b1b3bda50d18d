"""Actor-critic: Q actor-critic, one-step actor-critic, advantage actor-critic (lesson 11).

Sutton & Barto §13.5; Mnih et al. 2016, "Asynchronous methods for deep reinforcement learning" (A2C
is its synchronous form); GAE in `gae.py`.

Differences from the papers
- Q actor-critic: a batch of transitions and one step of each network instead of a step of each
  after every transition; the actor sees the critic from before its step.
- One-step actor-critic: networks and Adam instead of features and plain ascent.
- A2C: Adam instead of RMSProp, one process with N environments instead of N processes; λ = 1 with
  rollouts of n steps is the paper's n-step return, other λ are GAE.
- All: the learning rate falls linearly to zero over the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from rlcourse.lab.agents import functions_for
from rlcourse.lab.on_policy import Rollout
from rlcourse.lab.optim import descend
from rlcourse.policies.agents import OnPolicyAgent, end_to_end, flat_rows
from rlcourse.policies.distributions import log_prob_and_entropy, log_prob_of
from rlcourse.policies.gae import gae

# ------------------------------------------------------------------------------------ equations


def td_error(reward, value, next_value, terminated, gamma) -> Tensor:
    r"""$\delta = r + \gamma(1-d)V(s') - V(s)$ — S&B (13.12)–(13.14).

    All (B,); plain arithmetic, gradients pass. Returns (B,).
    """
    # Chosen, not multiplied by 1 − d: 0 times a NaN behind the end would be NaN.
    return reward + gamma * torch.where(terminated == 1, 0.0, next_value) - value


def a2c_loss(log_prob, value, entropy, adv, returns, value_coef, entropy_coef) -> Tensor:
    r"""$-\frac1B\sum\log\pi\,\hat A + \frac{c_v}{2B}\sum(R-V)^2 - \frac{c_e}{B}\sum\mathcal H$.

    Mnih et al. 2016, §4 (A3C) with the critic's loss weighed. All (B,); adv and returns are data
    and used as given. Returns a scalar.
    """
    policy_loss = -(log_prob * adv.detach()).mean()
    value_loss = 0.5 * (returns.detach() - value).square().mean()
    return policy_loss + value_coef * value_loss - entropy_coef * entropy.mean()


# -------------------------------------------------------------------------------------- updates


def one_step_actor_critic_update(
    policy, v_net, policy_optimizer, v_optimizer, batch, gamma, discount
) -> tuple[Tensor, float]:
    r"""One transition of the one-step actor-critic — S&B §13.5, box.

    $w \leftarrow w + \alpha_w\,\delta\,\nabla V(s)$,
    $\theta \leftarrow \theta + \alpha_\theta\,I\,\delta\,\nabla\log\pi(a|s)$, $I \leftarrow \gamma I$.

    batch: a `Rollout` of one row; `discount`: the book's I, 1 at the start of an episode. δ is
    that of the weights before either step. Returns (δ (1,), γI).
    """
    value = v_net(batch.obs)
    with torch.no_grad():
        next_value = v_net(batch.next_obs)
    delta = td_error(batch.reward, value, next_value, batch.terminated, gamma)
    log_prob = log_prob_of(policy(batch.obs), batch.action)

    v_loss = 0.5 * delta.square().mean()
    policy_loss = -discount * (delta.detach() * log_prob).mean()
    descend(v_optimizer, v_loss)
    descend(policy_optimizer, policy_loss)
    return delta.detach(), gamma * discount


def q_actor_critic_update(
    policy, q_net, policy_optimizer, q_optimizer, batch, next_action, gamma
) -> tuple[Tensor, Tensor]:
    r"""The critic learns by SARSA, the actor is weighed by Q itself — seed 002 §7; S&B §13.5.

    $L_Q = \frac{1}{2B}\sum (r + \gamma(1-d)Q(s',a') - Q(s,a))^2$, $a' \sim \pi(\cdot|s')$, and
    $L_\pi = -\frac1B\sum Q(s,a)\log\pi(a|s)$, both of the weights before any step.

    batch: a `Rollout` (B, …); next_action: (B,) int64. Returns (policy loss, Q loss).
    """
    q = _taken(q_net(batch.obs), batch.action)
    with torch.no_grad():
        q_next = _taken(q_net(batch.next_obs), next_action)
    q_loss = 0.5 * td_error(batch.reward, q, q_next, batch.terminated, gamma).square().mean()
    policy_loss = -(q.detach() * log_prob_of(policy(batch.obs), batch.action)).mean()
    descend(q_optimizer, q_loss)
    descend(policy_optimizer, policy_loss)
    return policy_loss.detach(), q_loss.detach()


def a2c_update(agent_state, rollout, *, gae=gae, a2c_loss=a2c_loss) -> Tensor:
    """One step of the advantage actor-critic — Mnih et al. 2016, with GAE (Schulman et al. 2016).

    agent_state: policy, v_net, optimizer (over both), gamma, lam, value_coef, entropy_coef,
    max_grad_norm; rollout: a `Rollout`. `gae` and `a2c_loss` may be another's. Returns the loss
    before the step.
    """
    s = agent_state
    value = s.v_net(rollout.obs)
    with torch.no_grad():
        next_value = s.v_net(rollout.next_obs)
    adv, returns = gae(
        rollout.reward,
        value.detach(),
        next_value,
        rollout.terminated,
        rollout.truncated,
        s.gamma,
        s.lam,
    )
    log_prob, entropy = log_prob_and_entropy(s.policy(rollout.obs), rollout.action)
    total = a2c_loss(log_prob, value, entropy, adv, returns, s.value_coef, s.entropy_coef)
    descend(s.optimizer, total, s.max_grad_norm)
    return total.detach()


def _taken(q: Tensor, action: Tensor) -> Tensor:
    """Q(s, a) of the actions taken: (B, A), (B,) → (B,)."""
    return q.gather(-1, action.unsqueeze(-1)).squeeze(-1)


# --------------------------------------------------------------------------------------- agents


@dataclass(kw_only=True, eq=False)
class OneStepActorCritic(OnPolicyAgent):
    """S&B §13.5, box: one transition, one step of both networks.

    discount_actor: whether I falls by γ within an episode, as in the book, or stays 1.
    """

    horizon: int | None = 1
    lr: float = 2.5e-4
    v_lr: float = 1e-3
    gamma: float = 0.99
    discount_actor: bool = False
    one_step_actor_critic_update: Callable = one_step_actor_critic_update

    def build(self) -> None:
        self.policy, self.v_net = self.new_policy(), self.new_v_net()
        self.policy_optimizer = self.adam(self.policy)
        self.v_optimizer = self.adam(self.v_net, lr=self.v_lr)
        self.discount = 1.0

    def update(self, rollout: Rollout, rng: np.random.Generator) -> dict[str, Tensor]:
        batch = flat_rows(rollout)
        delta, shrunk = self.one_step_actor_critic_update(
            self.policy,
            self.v_net,
            self.policy_optimizer,
            self.v_optimizer,
            batch,
            self.gamma,
            self.discount,
        )
        ended = bool(batch.terminated + batch.truncated)
        self.discount = shrunk if self.discount_actor and not ended else 1.0
        return {"value loss": 0.5 * delta.detach().square().mean()}


@dataclass(kw_only=True, eq=False)
class QActorCritic(OnPolicyAgent):
    """Seed 002 §7: a critic of actions, whose values weigh the actor's scores."""

    n_envs: int = 8
    horizon: int | None = 8
    lr: float = 5e-4
    q_lr: float = 5e-3
    gamma: float = 0.99
    q_actor_critic_update: Callable = q_actor_critic_update

    finite_only: ClassVar[bool] = True

    def build(self) -> None:
        self.policy, self.q_net = self.new_policy(), self.new_q_net()
        self.policy_optimizer = self.adam(self.policy)
        self.q_optimizer = self.adam(self.q_net, lr=self.q_lr)

    def update(self, rollout: Rollout, rng: np.random.Generator) -> dict[str, Tensor]:
        batch = flat_rows(rollout)
        next_action = torch.from_numpy(self.draw(batch.next_obs.numpy(), rng))
        policy_loss, q_loss = self.q_actor_critic_update(
            self.policy,
            self.q_net,
            self.policy_optimizer,
            self.q_optimizer,
            batch,
            next_action,
            self.gamma,
        )
        return {"policy loss": policy_loss, "Q loss": q_loss}


@dataclass(kw_only=True, eq=False)
class A2C(OnPolicyAgent):
    """The advantage actor-critic, for finite sets of actions and for boxes.

    lam = 1 is the n-step return of the paper with n = horizon; less is GAE. `a2c_update` gets the rollouts
    of all environments as one, (T, …): see `end_to_end`.
    """

    n_envs: int = 8
    horizon: int | None = 16
    lr: float = 2e-3
    gamma: float = 0.98
    lam: float = 0.9
    value_coef: float = 0.5
    entropy_coef: float = 0.01
    max_grad_norm: float = 0.5
    gae: Callable = gae
    a2c_loss: Callable = a2c_loss
    a2c_update: Callable = a2c_update

    def build(self) -> None:
        self.build_actor_critic()

    def update(self, rollout: Rollout, rng: np.random.Generator) -> dict[str, Tensor]:
        functions = functions_for(self, self.a2c_update)
        return {"loss": self.a2c_update(self, end_to_end(rollout), **functions)}
