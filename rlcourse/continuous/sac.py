r"""Soft actor-critic, in both forms: with a value network, and without one (lessons 18 and 19).

Soft policy iteration with networks: critics regress on the soft Bellman backup, the policy is
projected onto $e^{Q/\alpha}/Z$ by the pathwise gradient. The first form learns V too and keeps α
fixed; the second bootstraps from target critics and may learn α from a bound on the entropy.

Networks: `policy(obs) -> (mean, log_std)` of the Gaussian before tanh, `critic(obs, action) -> (B,)`,
`v_net(obs) -> (B,)`; actions live in (−1, 1)^D inside the agent and are scaled to the environment's
box at its border. α is in units of reward per nat, entropies are those of the action in (−1, 1)^D.

Sources: Haarnoja et al. 2018a (arXiv 1801.01290; first form); Haarnoja et al. 2018b (arXiv 1812.05905;
second form, temperature); Fujimoto et al. 2018 for the two critics.

Differences from the papers: α multiplies the entropy (the first paper scales the reward by 1/α
instead); the second form's critic loss is a plain mean square, without ½, as TD3's is; a time limit
does not end the bootstrap; tanh's log-determinant in a form that cannot overflow; log α is what
the optimiser moves, so α stays positive; acting greedily means tanh of the mean; PyTorch's default
initialisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import mse_loss, softplus

from rlcourse.lab.agents import Preset, functions_for
from rlcourse.lab.networks import (
    HIDDEN,
    Critic,
    GaussianPolicy,
    ValueNetwork,
    output_of,
    polyak_update,
)
from rlcourse.lab.optim import Adam, descend
from rlcourse.lab.seeding import torch_seed

from .agent import BoxAgent, adam, frozen
from .noise import standard_normal
from .stein import gaussian_log_prob

# ------------------------------------------------------------------------- the equations they share


def squashed_log_prob(u, mean, log_std) -> torch.Tensor:
    r"""$\log\pi(\tanh u) = \log\mathcal N(u;\mu,\sigma) - \sum_j \log(1-\tanh^2 u_j)$ — Haarnoja et al. 2018a, eq. 21.

    With $\log(1-\tanh^2 u) = 2\,(\log 2 - u - \mathrm{softplus}(-2u))$, exact for every u, where $1-\tanh^2 u$
    rounds to 0 beyond |u| ≈ 9.

    u: (B, D) before tanh; mean, log_std: (B, D). Returns (B,), in nats; differentiable in all three.
    """
    log_det = 2 * (math.log(2) - u - softplus(-2 * u))
    return gaussian_log_prob(u, mean, log_std) - log_det.sum(dim=-1)


def sac_policy_loss(q1, q2, log_prob, alpha) -> torch.Tensor:
    r"""$\frac1B \sum [\alpha \log\pi_\theta(\tilde a_\theta|s) - \min_j Q_{\phi_j}(s, \tilde a_\theta)]$ — Haarnoja et al. 2018b, eq. 9.

    q1, q2, log_prob: (B,) at the policy's own action ã, which carries the gradient; alpha: number or
    0-d tensor, not trained here. Returns a scalar.
    """
    alpha = torch.as_tensor(alpha).detach()
    return (alpha * log_prob - torch.minimum(q1, q2)).mean()


def squashed_action(policy, obs, noise, squashed_log_prob=squashed_log_prob):
    r"""$\tilde a = \tanh(\mu_\theta(s) + \sigma_\theta(s)\,\xi)$ and $\log\pi_\theta(\tilde a|s)$ — 2018b, eq. 8.

    obs: (B, obs_dim); noise: (B, D), standard normal. Returns (B, D) and (B,), with gradients.
    """
    mean, log_std = policy(obs)
    u = mean + log_std.exp() * noise
    return torch.tanh(u), squashed_log_prob(u, mean, log_std)


# ------------------------------------------------------------------ the first form: a value network


def sac_v_target(q1, q2, log_prob, alpha) -> torch.Tensor:
    r"""$\min_j Q_{\phi_j}(s,\tilde a) - \alpha \log\pi(\tilde a|s)$, one sample of the soft value — 2018a, eqs. 3, 5.

    q1, q2, log_prob: (B,), all at the same ã drawn from the current policy. Returns (B,), detached.
    """
    return (torch.minimum(q1, q2) - alpha * log_prob).detach()


def sac_q_target_v1(reward, v_next, terminated, gamma) -> torch.Tensor:
    r"""$y = r + \gamma(1-d)\, V_{\psi_{targ}}(s')$ — Haarnoja et al. 2018a, eq. 8.

    All (B,); the entropy is inside V already. Returns (B,), detached from every argument.
    """
    return torch.where(terminated == 1, reward, reward + gamma * v_next).detach()


def sac_v1_policy_loss(
    policy, critic1, critic2, obs, noise, alpha, *, squashed_action=squashed_action
) -> torch.Tensor:
    r"""$\frac1B \sum [\alpha \log\pi_\theta(\tilde a_\theta|s) - \min_j Q_{\phi_j}(s, \tilde a_\theta)]$,
    $\tilde a_\theta = f_\theta(\xi; s)$ — 2018a, eq. 12, whose gradient is eq. 13.

    policy(obs) -> mean, log_std; critic(obs, action) -> (B,); noise: (B, D), standard normal; alpha: a
    number. Returns a scalar; its gradient reaches the policy through the action, in Q and in log π. It
    reaches the critics' weights too: who steps decides who moves.
    """
    action, log_prob = squashed_action(policy, obs, noise)
    q = torch.minimum(critic1(obs, action), critic2(obs, action))
    return (alpha * log_prob - q).mean()


def factored_projection(curvature, alpha) -> tuple[np.ndarray, float]:
    r"""$\sigma_i = \sqrt{\alpha/K_{ii}}$ and $D_{KL} = \tfrac12 (\sum_i \log K_{ii} - \log\det K)$: where the policy's
    descent ends for $Q(a) = Q_{max} - \tfrac12 (a-m)^\top K (a-m)$ on all of $\mathbb R^D$.

    $e^{Q/\alpha}/Z$ is $\mathcal N(m, \alpha K^{-1})$; among Gaussians with one σ a dimension and no correlation,
    these σ minimise $D_{KL}(\pi \| e^{Q/\alpha}/Z)$ — 2018a, eq. 10, in a case with a closed form.

    curvature: K (D, D), symmetric, positive definite; alpha > 0. Returns (D,) and nats.
    """
    K = np.asarray(curvature, dtype=np.float64)
    diagonal = np.diag(K)
    # Of the scaled matrix, whose diagonal is 1: the difference of two large logarithms would cancel.
    scale = np.sqrt(diagonal)
    _, log_det = np.linalg.slogdet(K / scale[:, None] / scale)
    return np.sqrt(alpha / diagonal), max(0.0, -0.5 * float(log_det))


def sac_v1_update(
    agent_state,
    batch,
    noise,
    *,
    squashed_action=squashed_action,
    sac_v_target=sac_v_target,
    sac_q_target_v1=sac_q_target_v1,
    sac_v1_policy_loss=sac_v1_policy_loss,
    polyak_update=polyak_update,
) -> dict[str, torch.Tensor]:
    """One gradient step of Algorithm 1 of 2018a, in place: V, both critics, policy, target of V.

    agent_state: policy, v_net, v_targ, critic1, critic2, policy_optimizer, v_optimizer,
    critic_optimizer (both critics), alpha, gamma, rho. batch: obs, action, reward, next_obs,
    terminated; noise: (B, D), standard normal: one fresh action a state serves V and the policy.
    V and Q have ½ mean squared errors (eqs. 5 and 7). Returns the losses before their steps.
    """
    me = agent_state
    with torch.no_grad():
        action, log_prob = squashed_action(me.policy, batch.obs, noise)
        q1, q2 = me.critic1(batch.obs, action), me.critic2(batch.obs, action)
        v_next = me.v_targ(batch.next_obs)
    v_loss = 0.5 * mse_loss(me.v_net(batch.obs), sac_v_target(q1, q2, log_prob, me.alpha))
    descend(me.v_optimizer, v_loss)

    y = sac_q_target_v1(batch.reward, v_next, batch.terminated, me.gamma)
    critic_loss = 0.5 * mse_loss(me.critic1(batch.obs, batch.action), y)
    critic_loss = critic_loss + 0.5 * mse_loss(me.critic2(batch.obs, batch.action), y)
    descend(me.critic_optimizer, critic_loss)

    drawn_by = functions_for(me, sac_v1_policy_loss)
    with frozen(
        me.critic1, me.critic2
    ):  # the same noise, and a policy that has not moved: the same ã
        policy_loss = sac_v1_policy_loss(
            me.policy, me.critic1, me.critic2, batch.obs, noise, me.alpha, **drawn_by
        )
    descend(me.policy_optimizer, policy_loss)

    polyak_update(me.v_targ, me.v_net, me.rho)
    return {
        "v_loss": v_loss.detach(),
        "critic_loss": critic_loss.detach(),
        "policy_loss": policy_loss.detach(),
    }


# ------------------------------------------------------- the second form: target critics, and α learned


def sac_target(reward, q1_next, q2_next, log_prob_next, terminated, gamma, alpha) -> torch.Tensor:
    r"""$y = r + \gamma(1-d)\,[\min_j Q_{\phi_{targ,j}}(s',\tilde a') - \alpha \log\pi_\theta(\tilde a'|s')]$ — 2018b, eqs. 2, 3, 6.

    All (B,); ã' fresh from the current policy; alpha: number or 0-d tensor. Returns (B,), detached
    from every argument.
    """
    soft_v_next = torch.minimum(q1_next, q2_next) - alpha * log_prob_next
    # Chosen, not multiplied by 1 − d: 0 times a NaN behind the end would be NaN.
    return torch.where(terminated == 1, reward, reward + gamma * soft_v_next).detach()


def temperature_loss(log_alpha, log_prob, target_entropy) -> torch.Tensor:
    r"""$J(\alpha) = -\frac1B \sum \alpha\,(\log\pi(a|s) + \bar{\mathcal H})$, $\alpha = e^{\log\alpha}$ — 2018b, eq. 18.

    log_alpha: 0-d, trained; log_prob: (B,), a number here; target_entropy: nats. Returns a scalar: α
    grows while the entropy −log π is below $\bar{\mathcal H}$.
    """
    return -(log_alpha.exp() * (log_prob.detach() + target_entropy)).mean()


def default_target_entropy(act_dim) -> float:
    r"""$\bar{\mathcal H} = -\dim(\mathcal A)$ nats, in (−1, 1)^D — Haarnoja et al. 2018b, appendix D."""
    return -float(act_dim)


def quadratic_temperature(curvature, target_entropy=None) -> float:
    r"""$\alpha^* = \frac{1}{2\pi e} \big(\prod_i k_i\big)^{1/D} e^{2\bar{\mathcal H}/D}$: where `temperature_loss`
    stops in a world of one step with $Q(a) = Q_{max} - \tfrac12 \sum_i k_i (a_i - m_i)^2$ on all of $\mathbb R^D$.

    The soft-optimal policy is $\mathcal N(m, \mathrm{diag}(\alpha/k))$, its entropy
    $\tfrac12 \sum_i \log(2\pi e\,\alpha/k_i)$; $\alpha^*$ makes that the target — the fixed point of 2018b, eqs. 17
    and 18, in the one case with a closed form.

    curvature: (D,), $k_i > 0$, reward per squared action; target_entropy: nats, or None for `default_target_entropy`.
    Returns α*, reward per nat. By the mean of log k: the product of 200 curvatures is no float64.
    """
    k = np.asarray(curvature, dtype=np.float64)
    goal = default_target_entropy(len(k)) if target_entropy is None else target_entropy
    return float(np.exp(np.log(k).mean() + 2 * goal / len(k) - 1) / (2 * np.pi))


def sac_critic_update(
    agent_state,
    batch,
    next_noise,
    *,
    squashed_log_prob=squashed_log_prob,
    sac_target=sac_target,
) -> torch.Tensor:
    r"""The critics' half of a step of Algorithm 1 of 2018b, in place: one step down
    $\frac1B \sum (Q_{\phi_1}(s,a) - y)^2 + \frac1B \sum (Q_{\phi_2}(s,a) - y)^2$, eq. 5 without its ½.

    agent_state: policy, critic1, critic2, critic1_targ, critic2_targ, critic_optimizer (both
    critics), log_alpha (0-d), gamma. batch: obs, action, reward, next_obs, terminated, actions in
    (−1, 1); next_noise: (B, D), standard normal, for ã' at s'. Returns the loss before the step.
    """
    me = agent_state
    with torch.no_grad():
        a_next, log_prob_next = squashed_action(
            me.policy, batch.next_obs, next_noise, squashed_log_prob
        )
        q1_next = me.critic1_targ(batch.next_obs, a_next)
        q2_next = me.critic2_targ(batch.next_obs, a_next)
        alpha = me.log_alpha.exp()
    y = sac_target(batch.reward, q1_next, q2_next, log_prob_next, batch.terminated, me.gamma, alpha)
    loss = mse_loss(me.critic1(batch.obs, batch.action), y)
    loss = loss + mse_loss(me.critic2(batch.obs, batch.action), y)
    descend(me.critic_optimizer, loss)
    return loss.detach()


def sac_update(
    agent_state,
    batch,
    noise,
    next_noise,
    *,
    sac_critic_update=sac_critic_update,
    squashed_log_prob=squashed_log_prob,
    sac_policy_loss=sac_policy_loss,
    temperature_loss=temperature_loss,
    polyak_update=polyak_update,
) -> dict[str, torch.Tensor]:
    """One gradient step of Algorithm 1 of 2018b, in place: critics, policy, temperature, both targets.

    agent_state: what `sac_critic_update` needs, and policy_optimizer, alpha_optimizer (None: α is
    fixed), target_entropy (None: `default_target_entropy`), rho. batch: obs, action, reward,
    next_obs, terminated, actions in (−1, 1); noise, next_noise: (B, D), standard normal, for ã at s
    and ã' at s'. Returns the losses before their steps, and the α they were made with.
    """
    me = agent_state
    alpha = me.log_alpha.detach().exp()
    critic_loss = sac_critic_update(me, batch, next_noise, **functions_for(me, sac_critic_update))

    action, log_prob = squashed_action(me.policy, batch.obs, noise, squashed_log_prob)
    with frozen(me.critic1, me.critic2):
        q1, q2 = me.critic1(batch.obs, action), me.critic2(batch.obs, action)
    policy_loss = sac_policy_loss(q1, q2, log_prob, alpha)
    descend(me.policy_optimizer, policy_loss)

    if me.alpha_optimizer is not None:
        goal = me.target_entropy
        goal = default_target_entropy(action.shape[1]) if goal is None else goal
        descend(me.alpha_optimizer, temperature_loss(me.log_alpha, log_prob, goal))

    polyak_update(me.critic1_targ, me.critic1, me.rho)
    polyak_update(me.critic2_targ, me.critic2, me.rho)
    return {
        "critic_loss": torch.as_tensor(critic_loss),
        "policy_loss": policy_loss.detach(),
        "alpha": alpha,
        "entropy": -log_prob.detach().mean(),
    }


# ---------------------------------------------------------------------------------------- the agents


class SquashedGaussianAgent(BoxAgent):
    """How both forms act: tanh of a draw from the Gaussian; tanh of its mean when not exploring."""

    def choose(self, obs, rng, explore):
        mean, log_std = output_of(self.policy, obs)
        if explore:
            mean = mean + np.exp(log_std) * rng.standard_normal(mean.shape, dtype=np.float32)
        return np.tanh(mean)


@dataclass
class SACWithValue(SquashedGaussianAgent):
    """The first form: policy, two critics, V and its slow copy; α is fixed.

    alpha: reward per nat; gamma: discount; rho: Polyak; lr: of all networks; seed: of the first
    weights. The functions below can be replaced.
    """

    hidden: Sequence[int] = HIDDEN
    alpha: float = 0.2
    gamma: float = 0.98
    rho: float = 0.99
    lr: float = 1e-3
    seed: int = 0
    squashed_action: Callable = squashed_action
    sac_v_target: Callable = sac_v_target
    sac_q_target_v1: Callable = sac_q_target_v1
    sac_v1_policy_loss: Callable = sac_v1_policy_loss
    polyak_update: Callable = polyak_update
    sac_v1_update: Callable = sac_v1_update

    def __post_init__(self) -> None:
        super().__post_init__()
        with torch_seed(self.seed):
            self.policy = GaussianPolicy(self.obs_dim, self.act_dim, self.hidden)
            self.v_net = ValueNetwork(self.obs_dim, self.hidden)
            self.critic1 = Critic(self.obs_dim, self.act_dim, self.hidden)
            self.critic2 = Critic(self.obs_dim, self.act_dim, self.hidden)
        self.v_targ = deepcopy(self.v_net)
        self.policy_optimizer = adam(self.policy, lr=self.lr)
        self.v_optimizer = adam(self.v_net, lr=self.lr)
        self.critic_optimizer = adam(self.critic1, self.critic2, lr=self.lr)

    def learn(self, batch, rng):
        noise = standard_normal(batch.action.shape, rng)
        return self.sac_v1_update(self, batch, noise, **functions_for(self, self.sac_v1_update))


@dataclass
class SAC(SquashedGaussianAgent):
    """The second form: policy, two critics and their slow copies; α learned or fixed.

    alpha: where α starts, reward per nat; learn_alpha: whether it moves; target_entropy: nats, in
    (−1, 1)^D (None: `sac_update` takes the default); gamma: discount; rho: Polyak; lr: of all
    networks and of log α; seed: of the first weights. The functions below can be replaced.
    """

    hidden: Sequence[int] = HIDDEN
    alpha: float = 0.2
    learn_alpha: bool = True
    target_entropy: float | None = None
    gamma: float = 0.98
    rho: float = 0.99
    lr: float = 1e-3
    seed: int = 0
    squashed_log_prob: Callable = squashed_log_prob
    sac_target: Callable = sac_target
    sac_policy_loss: Callable = sac_policy_loss
    temperature_loss: Callable = temperature_loss
    polyak_update: Callable = polyak_update
    sac_critic_update: Callable = sac_critic_update
    sac_update: Callable = sac_update

    def __post_init__(self) -> None:
        super().__post_init__()
        with torch_seed(self.seed):
            self.policy = GaussianPolicy(self.obs_dim, self.act_dim, self.hidden)
            self.critic1 = Critic(self.obs_dim, self.act_dim, self.hidden)
            self.critic2 = Critic(self.obs_dim, self.act_dim, self.hidden)
        self.critic1_targ, self.critic2_targ = deepcopy(self.critic1), deepcopy(self.critic2)
        self.policy_optimizer = adam(self.policy, lr=self.lr)
        self.critic_optimizer = adam(self.critic1, self.critic2, lr=self.lr)
        self.log_alpha = torch.tensor(math.log(self.alpha), requires_grad=self.learn_alpha)
        self.alpha_optimizer = None
        if self.learn_alpha:
            self.alpha_optimizer = Adam([self.log_alpha], self.lr)

    def learn(self, batch, rng):
        noise, next_noise = standard_normal((2, *batch.action.shape), rng)
        return self.sac_update(
            self, batch, noise, next_noise, **functions_for(self, self.sac_update)
        )


_PENDULUM = {"steps": 10_000, "warmup": 1_000, "batch_size": 128}
PENDULUM_WITH_VALUE = Preset("Pendulum-v1", {}, _PENDULUM)
PENDULUM_FIXED = Preset("Pendulum-v1", {"learn_alpha": False}, _PENDULUM)
PENDULUM_LEARNED = Preset("Pendulum-v1", {}, _PENDULUM)
