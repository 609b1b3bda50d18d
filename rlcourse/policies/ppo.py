"""Proximal policy optimisation, clipped and with a KL penalty (lesson 12).

Schulman, Wolski, Dhariwal, Radford & Klimov 2017, "Proximal policy optimization algorithms" (arXiv
1707.06347); the names of the adaptive penalty's borders: Heess et al. 2017 (arXiv 1707.02286).

Differences from the paper
- Separate networks for policy and value instead of shared weights; ½ in the critic's loss.
- Advantages are standardised once per rollout, over all of it; orthogonal initial weights, the
  policy's last layer small; the gradient's norm is clipped; the learning rate falls linearly to
  zero (all from the authors' code, not their text).
- A time limit bootstraps; the values of the end of a rollout are those of the true next
  observation.
- PPO-KL: the coefficient adapts once per rollout, on the mean KL after the last epoch, and does not
  fall below a floor: while a policy hardly moves the rule halves it without end, and then it is not
  there when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from rlcourse.lab.agents import functions_for
from rlcourse.lab.on_policy import Rollout
from rlcourse.lab.optim import descend
from rlcourse.lab.replay import PPOBatch
from rlcourse.policies.agents import OnPolicyAgent, end_to_end, standardise
from rlcourse.policies.distributions import PolicyOutput, log_prob_and_entropy, log_prob_of
from rlcourse.policies.gae import gae

# ------------------------------------------------------------------------------------ equations


def importance_ratio(log_prob: Tensor, log_prob_old: Tensor) -> Tensor:
    r"""$\rho = \pi_\theta(a|s) / \pi_{old}(a|s) = \exp(\log\pi_\theta - \log\pi_{old})$.

    Schulman et al. 2017, §3. Both (B,); the old one is data. Subtracting first survives
    log-probabilities whose exponential underflows. Returns (B,).
    """
    return torch.exp(log_prob - log_prob_old.detach())


def ppo_clip_loss(log_prob: Tensor, log_prob_old: Tensor, adv: Tensor, clip: float) -> Tensor:
    r"""$-\frac1B \sum \min(\rho A,\ \mathrm{clip}(\rho, 1-\epsilon, 1+\epsilon) A)$.

    Schulman et al. 2017, eq. 7: a lower bound on the surrogate $\rho A$, without a reward for
    moving ρ out of $[1-\epsilon, 1+\epsilon]$. All (B,); adv is data, used as given. Returns a
    scalar.
    """
    ratio, adv = importance_ratio(log_prob, log_prob_old), adv.detach()
    return -torch.minimum(ratio * adv, ratio.clamp(1 - clip, 1 + clip) * adv).mean()


def categorical_kl(logits_p: Tensor, logits_q: Tensor) -> Tensor:
    r"""$\mathrm{KL}(p\|q) = \sum_a p_a (\log p_a - \log q_a)$, of two softmaxes, in nats.

    logits_p, logits_q: (B, A). Returns (B,).
    """
    log_p, log_q = torch.log_softmax(logits_p, dim=-1), torch.log_softmax(logits_q, dim=-1)
    return (log_p.exp() * (log_p - log_q)).sum(dim=-1)


def gaussian_kl(mean_p: Tensor, log_std_p: Tensor, mean_q: Tensor, log_std_q: Tensor) -> Tensor:
    r"""KL(p‖q) of two diagonal Gaussians, in nats.

    $\sum_j \log\frac{\sigma_{q,j}}{\sigma_{p,j}} + \frac{\sigma_{p,j}^2 +
    (\mu_{p,j}-\mu_{q,j})^2}{2\sigma_{q,j}^2} - \frac12$. All (B, D). Returns (B,).
    """
    difference = log_std_p - log_std_q
    distance = (mean_p - mean_q) * torch.exp(-log_std_q)
    return (-difference + 0.5 * (torch.exp(2 * difference) + distance.square() - 1)).sum(dim=-1)


def policy_kl(old: PolicyOutput, new: PolicyOutput) -> Tensor:
    r"""$\mathrm{KL}(\pi_{old}(\cdot|s)\,\|\,\pi_\theta(\cdot|s))$ a row: how far a policy has gone from another.

    Schulman et al. 2017, eq. 8. Two softmaxes by their logits (B, A) each, or two diagonal
    Gaussians by their (mean, log_std), (B, D) each. Differentiable in both. Returns (B,).
    """
    return gaussian_kl(*old, *new) if isinstance(new, tuple) else categorical_kl(old, new)


def small_step_kl(logits: Tensor, step: Tensor) -> Tensor:
    r"""$\frac12 x^\top F x = \frac12\mathrm{Var}_{a\sim\pi}(x_a)$, $F = \mathrm{diag}(\pi) - \pi\pi^\top$.

    The second order of $\mathrm{KL}(\pi_h\|\pi_{h+x})$ for π = softmax(h): F is the Fisher matrix
    (Kakade 2001; Schulman et al. 2015, appendix C). logits: h; step: x; (B, A). Returns (B,).
    """
    pi = torch.softmax(logits, dim=-1)
    centred = step - (pi * step).sum(dim=-1, keepdim=True)
    return 0.5 * (pi * centred.square()).sum(dim=-1)


def ppo_kl_loss(log_prob, log_prob_old, adv, kl, kl_coef) -> Tensor:
    r"""$-\frac1B\sum \rho A + \beta\,\frac1B\sum \mathrm{KL}(\pi_{old}\|\pi_\theta)$.

    Schulman et al. 2017, eq. 8. All (B,); adv is data; kl carries the gradient of the penalty.
    Returns a scalar.
    """
    return kl_coef * kl.mean() - (importance_ratio(log_prob, log_prob_old) * adv.detach()).mean()


def adapt_kl_coefficient(coef, kl, target, beta_low, beta_high, factor) -> float:
    r"""β·factor if KL > β_high·target, β/factor if KL < β_low·target, else β.

    Heess et al. 2017, algorithm 1; Schulman et al. 2017, §4, has 1/1.5, 1.5 and 2. coef > 0;
    kl: the mean after an update; beta_low < 1 < beta_high; factor > 1. Returns a float.
    """
    if kl > beta_high * target:
        return coef * factor
    if kl < beta_low * target:
        return coef / factor
    return coef


# -------------------------------------------------------------------------------------- updates


def ppo_batch(agent_state, rollout: Rollout, *, gae=gae) -> PPOBatch:
    r"""What must be known before the first step: $\log\pi_{old}$, $\hat A$ and $\hat R = \hat A + V$.

    Schulman et al. 2017, algorithm 1 and eq. 11; the advantages are standardised over all rows,
    after the targets were made. agent_state: policy, v_net, gamma, lam; rollout: (T, …), or
    (T, N, …) for N environments. `gae` may be another's. Returns the rows, N·T of them.
    """
    s = agent_state
    with torch.no_grad():
        value, next_value = s.v_net(rollout.obs), s.v_net(rollout.next_obs)
        log_prob_old = log_prob_of(s.policy(rollout.obs), rollout.action)
    ends = rollout.terminated, rollout.truncated
    adv, returns = gae(rollout.reward, value, next_value, *ends, s.gamma, s.lam)
    columns = (rollout.obs, rollout.action, log_prob_old, standardise(adv), returns)
    return PPOBatch(*(column.flatten(0, rollout.reward.ndim - 1) for column in columns))


def ppo_update(agent_state, batch, rng, *, ppo_clip_loss=ppo_clip_loss) -> Tensor:
    """Epochs of minibatch steps on one rollout — Schulman et al. 2017, algorithm 1 and eq. 9.

    agent_state: policy, v_net, optimizer (over both), clip, epochs, minibatch_size, value_coef,
    entropy_coef, max_grad_norm; batch: a `PPOBatch`, never changed; rng: a
    `numpy.random.Generator`, one permutation an epoch. `ppo_clip_loss` may be another's. Returns
    the minibatch losses in order, (epochs · ⌈N / minibatch_size⌉,).
    """

    def surrogate(rows: PPOBatch, output: PolicyOutput, log_prob: Tensor) -> Tensor:
        return ppo_clip_loss(log_prob, rows.log_prob_old, rows.adv, agent_state.clip)

    return _minibatch_steps(agent_state, batch, rng, surrogate)


def ppo_kl_update(
    agent_state,
    batch,
    rng,
    *,
    ppo_kl_loss=ppo_kl_loss,
    policy_kl=policy_kl,
    adapt_kl_coefficient=adapt_kl_coefficient,
) -> Tensor:
    """As `ppo_update` with the penalised surrogate; then the coefficient adapts, once.

    Schulman et al. 2017, §4. agent_state has, instead of clip: kl_coef, kl_target, beta_low,
    beta_high, factor; its kl_coef is replaced. The functions may be another's. Returns the minibatch
    losses.
    """
    s = agent_state
    with torch.no_grad():
        old = s.policy(batch.obs)

    def surrogate(rows: PPOBatch, output: PolicyOutput, log_prob: Tensor, *old: Tensor) -> Tensor:
        kl = policy_kl(old if len(old) > 1 else old[0], output)
        return ppo_kl_loss(log_prob, rows.log_prob_old, rows.adv, kl, s.kl_coef)

    columns = old if isinstance(old, tuple) else (old,)
    losses = _minibatch_steps(s, batch, rng, surrogate, columns)
    with torch.no_grad():
        kl = float(policy_kl(old, s.policy(batch.obs)).mean())
    s.kl_coef = adapt_kl_coefficient(s.kl_coef, kl, s.kl_target, s.beta_low, s.beta_high, s.factor)
    return losses


def clipped_value_loss(value: Tensor, value_old: Tensor, returns: Tensor, clip: float) -> Tensor:
    r"""$\frac{1}{2B}\sum\max\big((R-V)^2,\ (R-V_{old}-\mathrm{clip}(V-V_{old},-\epsilon,\epsilon))^2\big)$.

    What the authors' code does and their text has not. All (B,); the old values and returns are
    data. Returns a scalar.
    """
    near = value_old + (value - value_old).clamp(-clip, clip)
    return 0.5 * torch.maximum((returns - value).square(), (returns - near).square()).mean()


def _minibatch_steps(agent_state, batch, rng, surrogate, extra: tuple[Tensor, ...] = ()) -> Tensor:
    """surrogate + c_v · ½ mean (R − V)² − c_e · mean entropy, a step a minibatch, shuffled anew an epoch."""
    s, losses = agent_state, []
    value_clip = getattr(s, "value_clip", None)
    if value_clip is not None:
        with torch.no_grad():
            extra = (*extra, s.v_net(batch.obs))
    for _ in range(s.epochs):
        order = torch.from_numpy(rng.permutation(len(batch.adv)))
        columns = [column[order].split(s.minibatch_size) for column in (*batch, *extra)]
        for minibatch in zip(*columns, strict=True):
            rows = PPOBatch(*minibatch[: len(batch)])
            output = s.policy(rows.obs)
            more = minibatch[len(batch) :]
            value = s.v_net(rows.obs)
            if value_clip is None:
                value_loss = 0.5 * mse_loss(value, rows.returns)
            else:
                *more, value_old = more
                value_loss = clipped_value_loss(value, value_old, rows.returns, value_clip)
            if s.entropy_coef:
                log_prob, entropy = log_prob_and_entropy(output, rows.action)
            else:
                log_prob = log_prob_of(output, rows.action)
            loss = surrogate(rows, output, log_prob, *more)
            loss = loss + s.value_coef * value_loss
            if s.entropy_coef:
                loss = loss - s.entropy_coef * entropy.mean()
            descend(s.optimizer, loss, s.max_grad_norm)
            losses.append(loss.detach())
    return torch.stack(losses)


# --------------------------------------------------------------------------------------- agents


@dataclass(kw_only=True, eq=False)
class PPO(OnPolicyAgent):
    """PPO-Clip for finite sets of actions and for boxes; the presets suit the classic tasks.

    value_clip: ε of a value that is clipped like the ratio (`clipped_value_loss`); None: it is not.
    """

    n_envs: int = 8
    horizon: int | None = 64
    lr: float = 2e-3
    gamma: float = 0.99
    lam: float = 0.95
    clip: float = 0.2
    epochs: int = 8
    minibatch_size: int = 256
    value_coef: float = 0.5
    entropy_coef: float = 0.0
    max_grad_norm: float = 0.5
    value_clip: float | None = None
    gae: Callable = gae
    ppo_batch: Callable = ppo_batch
    ppo_clip_loss: Callable = ppo_clip_loss
    ppo_update: Callable = ppo_update

    def build(self) -> None:
        self.build_actor_critic()

    def update(self, rollout: Rollout, rng: np.random.Generator) -> dict[str, Tensor]:
        batch, functions = self.batch(rollout), functions_for(self, self.ppo_update)
        losses = self.ppo_update(self, batch, rng, **functions)
        return {"loss": torch.as_tensor(losses).detach().mean()}

    def batch(self, rollout: Rollout) -> PPOBatch:
        """Values, advantages and log π_old of a rollout, by `ppo_batch`; its rows in the order of time.

        `ppo_batch` gets the rollouts of all environments as one, (T, …): see `end_to_end`.
        """
        rows = self.ppo_batch(self, end_to_end(rollout), **functions_for(self, self.ppo_batch))
        if rollout.reward.ndim == 1:
            return PPOBatch(*rows)
        lengths = rollout.reward.shape[::-1]
        in_time = (c.unflatten(0, lengths).transpose(0, 1).flatten(0, 1) for c in rows)
        return PPOBatch(*in_time)


@dataclass(kw_only=True, eq=False)
class PPOKL(PPO):
    """PPO with the adaptive KL penalty. kl_coef_min: the coefficient's floor (0: none, as in the paper)."""

    horizon: int | None = 128
    lr: float = 3e-3
    kl_coef: float = 1.0
    kl_coef_min: float = 1.0
    kl_target: float = 0.01
    beta_low: float = 1 / 1.5
    beta_high: float = 1.5
    factor: float = 2.0
    ppo_kl_loss: Callable = ppo_kl_loss
    policy_kl: Callable = policy_kl
    adapt_kl_coefficient: Callable = adapt_kl_coefficient
    ppo_kl_update: Callable = ppo_kl_update

    def update(self, rollout: Rollout, rng: np.random.Generator) -> dict[str, Tensor]:
        batch, functions = self.batch(rollout), functions_for(self, self.ppo_kl_update)
        losses = self.ppo_kl_update(self, batch, rng, **functions)
        self.kl_coef = max(self.kl_coef, self.kl_coef_min)
        return {"loss": torch.as_tensor(losses).detach().mean()}
