"""REINFORCE, without and with a baseline (lesson 10).

Williams 1992, "Simple statistical gradient-following algorithms for connectionist reinforcement
learning"; Sutton & Barto §13.1–13.4; the policy gradient theorem: Sutton et al. 2000.

Differences from the book
- One step per episode (or a few of them) from the weights that acted; S&B's box steps after every
  t with weights that did not choose the later actions.
- γ^t is left out unless asked for, as practice does: the direction is then no gradient of the
  discounted return (Nota & Thomas 2020), but later steps are learnt as well.
- The agent divides the loss by the root mean square of the batch's returns or advantages: a step
  size that suits returns of 10 suits those of 500. Adam, its learning rate falling linearly to zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rlcourse.lab.on_policy import Rollout
from rlcourse.lab.optim import descend
from rlcourse.policies.agents import OnPolicyAgent, flat_rows
from rlcourse.policies.distributions import log_prob_of
from rlcourse.tabular.returns import returns_to_go

# ------------------------------------------------------------------------------------ equations


def softmax_policy(logits: Tensor) -> Tensor:
    r"""$\pi(a|s) = e^{h_a} / \sum_b e^{h_b}$, over the last dimension — S&B (13.2).

    logits: (B, A). Returns (B, A), rows sum to 1. The row's maximum is subtracted first: that
    changes nothing and keeps exp finite.
    """
    weight = torch.exp(logits - logits.amax(dim=-1, keepdim=True))
    return weight / weight.sum(dim=-1, keepdim=True)


def grad_log_softmax(logits: Tensor, action: Tensor) -> Tensor:
    r"""$\nabla_h \log\pi(a_b|s_b) = e_{a_b} - \pi(\cdot|s_b)$ — S&B (13.9) with one-hot features.

    logits: (B, A); action: (B,) int64. Returns (B, A), rows sum to 0.
    """
    one_hot = torch.nn.functional.one_hot(action, logits.shape[-1])
    return one_hot - softmax_policy(logits)


def exact_policy_gradient(P: Tensor, R: Tensor, start: Tensor, logits: Tensor, gamma) -> Tensor:
    r"""$\partial J/\partial\theta_{s,a} = n_\gamma(s)\,\pi(a|s)\,(Q^\pi(s,a) - V^\pi(s))$.

    $J = \sum_s \text{start}(s) V^\pi(s)$, $n_\gamma = (I - \gamma P_\pi^\top)^{-1} \text{start}$ (visits, not a
    distribution) — the policy gradient theorem, S&B (13.5), Sutton et al. 2000, for a table of
    softmax preferences.

    P: (S, A, S), rows may sum to less than 1 and the rest is termination; R, logits: (S, A);
    start: (S,); gamma: in [0, 1], 1 only where every policy terminates. Returns (S, A).
    """
    pi = softmax_policy(logits)
    P_pi = torch.einsum("sa,sat->st", pi, P)
    advance = torch.eye(len(start), dtype=P.dtype) - gamma * P_pi
    v = torch.linalg.solve(advance, (pi * R).sum(dim=1))
    q = R + gamma * P @ v
    visits = torch.linalg.solve(advance.T, start)
    return visits[:, None] * pi * (q - v[:, None])


def reinforce_loss(log_prob: Tensor, returns: Tensor) -> Tensor:
    r"""$-\frac1B \sum_t \log\pi(a_t|s_t)\, G_t$: its gradient is the sampled −∇J — S&B (13.8).

    log_prob, returns: (B,), steps of one or more episodes; returns are data. Returns a scalar.
    """
    return -(log_prob * returns.detach()).mean()


def optimal_baseline(pi: Tensor, q: Tensor) -> Tensor:
    r"""$b^*(s) = \sum_a w_a q_a / \sum_a w_a$ with $w_a = \pi_a \|\nabla_h\log\pi_a\|^2$.

    The b that minimises $\mathbb E_{a\sim\pi}\|\nabla_h\log\pi(a|s)\,(q(s,a) - b)\|^2$, for the softmax
    of the logits h: $\|\nabla_h\log\pi_a\|^2 = \|e_a - \pi\|^2 = 1 - 2\pi_a + \sum_b \pi_b^2$ — the
    baseline of Weaver & Tao 2001 and Greensmith, Bartlett & Baxter 2004, state by state.

    pi, q: (B, A), no probability 0 or 1. Returns (B,), a value between the row's smallest and largest q.
    """
    score = torch.eye(pi.shape[1], dtype=pi.dtype) - pi[:, None, :]  # row a: e_a − π
    weight = pi * score.square().sum(dim=2)
    return (weight * q).sum(dim=1) / weight.sum(dim=1)


def baseline_loss(log_prob: Tensor, returns: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    r"""$-\frac1B \sum \log\pi\,(G - b)$ and $\tfrac12 \frac1B \sum (G - b)^2$ — S&B (13.11), §13.4.

    log_prob, returns, value (b): (B,). The policy's loss sees b as a number; only the value's loss
    trains it. Returns two scalars.
    """
    error = returns.detach() - value
    return reinforce_loss(log_prob, error), 0.5 * (error * error).mean()


# ------------------------------------------------------------------------------------- the loop


def reinforce(env, policy, optimizer, episodes, gamma, rng, keep_gamma_t=False) -> np.ndarray:
    r"""REINFORCE — S&B §13.3, box: $\theta \leftarrow \theta + \alpha \sum_t c_t G_t \nabla\log\pi(a_t|s_t)$.

    $G_t = \sum_{k \ge t} \gamma^{k-t} r_k$, $c_t = \gamma^t$ if `keep_gamma_t`, else 1. A sum over
    the episode, not a mean: dividing by T would weigh short episodes more.

    env: Gymnasium's API, one environment; policy(obs, rng) -> (action, log_prob), log_prob 0-d
    with gradient; optimizer over the policy's weights: one step an episode. Returns the
    undiscounted return of each episode, (episodes,) float64.
    """
    totals = np.zeros(episodes)
    for episode in range(episodes):
        log_probs, rewards = [], []
        obs, _ = env.reset()
        terminated = truncated = False
        while not (terminated or truncated):
            action, log_prob = policy(obs, rng)
            obs, reward, terminated, truncated, _ = env.step(action)
            log_probs.append(log_prob)
            rewards.append(float(reward))
        returns = torch.as_tensor(returns_to_go(rewards, gamma), dtype=torch.float32)
        if keep_gamma_t:
            returns = returns * gamma ** torch.arange(len(rewards))
        loss = len(rewards) * reinforce_loss(torch.stack(log_probs), returns)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        totals[episode] = sum(rewards)
    return totals


# --------------------------------------------------------------------------------------- agents


def episode_returns(reward: Tensor, terminated: Tensor, truncated: Tensor, gamma) -> Tensor:
    """G_t of every row (B,) of one or more whole episodes in the order of time."""
    ends = np.flatnonzero(np.maximum(terminated.numpy(), truncated.numpy())) + 1
    pieces = np.split(reward.numpy(), ends)
    returns = np.concatenate([returns_to_go(piece, gamma) for piece in pieces])
    return torch.as_tensor(returns, dtype=torch.float32)


@dataclass(kw_only=True, eq=False)
class Reinforce(OnPolicyAgent):
    """REINFORCE: whole episodes, then one step.

    scale: whether the loss is divided by the root mean square of what weighs the scores: a positive
    factor, so the direction stays that of (13.8), and one learning rate suits returns of any size.
    """

    episodes: int = 4
    lr: float = 2e-3
    gamma: float = 0.99
    scale: bool = True
    reinforce_loss: Callable = reinforce_loss

    def build(self) -> None:
        self.policy = self.new_policy()
        self.optimizer = self.adam(self.policy)

    def update(self, rollout: Rollout, rng: np.random.Generator) -> dict[str, Tensor]:
        rows = flat_rows(rollout)
        returns = episode_returns(rows.reward, rows.terminated, rows.truncated, self.gamma)
        log_prob = log_prob_of(self.policy(rows.obs), rows.action)
        loss = self.reinforce_loss(log_prob, returns)
        descend(self.optimizer, loss / root_mean_square(returns) if self.scale else loss)
        return {"policy loss": loss.detach()}


@dataclass(kw_only=True, eq=False)
class ReinforceBaseline(OnPolicyAgent):
    """REINFORCE with a learned baseline — S&B §13.4, box; seed 004, algorithm 1.

    scale: as in `Reinforce`, with the advantages G − b.
    """

    episodes: int = 4
    lr: float = 2e-3
    v_lr: float = 5e-3
    gamma: float = 0.99
    scale: bool = True
    baseline_loss: Callable = baseline_loss

    def build(self) -> None:
        self.policy, self.v_net = self.new_policy(), self.new_v_net()
        self.optimizer = self.adam(self.policy)
        self.v_optimizer = self.adam(self.v_net, lr=self.v_lr)

    def update(self, rollout: Rollout, rng: np.random.Generator) -> dict[str, Tensor]:
        rows = flat_rows(rollout)
        returns = episode_returns(rows.reward, rows.terminated, rows.truncated, self.gamma)
        value = self.v_net(rows.obs)
        log_prob = log_prob_of(self.policy(rows.obs), rows.action)
        loss, v_loss = self.baseline_loss(log_prob, returns, value)
        spread = root_mean_square(returns - value.detach())
        descend(self.optimizer, loss / spread if self.scale else loss)
        descend(self.v_optimizer, v_loss)
        return {"policy loss": loss.detach(), "value loss": v_loss.detach()}


def root_mean_square(x: Tensor) -> Tensor:
    """The root of the mean square, a little more than 0."""
    return x.square().mean().sqrt() + 1e-8
