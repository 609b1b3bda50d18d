"""Policies that are tables: the worlds and samples on which lesson 10 checks the policy gradient.

An MDP here is P (S, A, S), R (S, A), start (S,), all float64 tensors; rows of P may sum to less than
1, and the rest is termination.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from rlcourse.policies.reinforce import grad_log_softmax, softmax_policy
from rlcourse.tabular import dynamic_programming
from rlcourse.tabular import mdp as tabular_mdp

LEFT, RIGHT = 0, 1


class TableMDP(NamedTuple):
    """P (S, A, S), R (S, A), start (S,), float64."""

    P: Tensor
    R: Tensor
    start: Tensor


# ------------------------------------------------------------------------------------- worlds


def short_corridor() -> TableMDP:
    """S&B example 13.1: three cells and the goal, −1 a step; in the second cell the actions are swapped."""
    P = torch.zeros(3, 2, 3, dtype=torch.float64)
    P[0, LEFT, 0] = P[0, RIGHT, 1] = 1.0
    P[1, LEFT, 2] = P[1, RIGHT, 0] = 1.0
    P[2, LEFT, 1] = 1.0  # right, from the third cell, reaches the goal: a row that sums to 0
    start = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    return TableMDP(P, -torch.ones(3, 2, dtype=torch.float64), start)


def random_mdp(n_states: int, n_actions: int, rng: np.random.Generator, go_on=0.9) -> TableMDP:
    """Dirichlet transitions, a random start; every step ends the episode with probability 1 − go_on.

    Rewards are normal, and some states are better places than others, whatever is done there.
    """
    P = go_on * rng.dirichlet(np.ones(n_states), size=(n_states, n_actions))
    R = rng.normal(size=(n_states, n_actions)) + 3 * rng.normal(size=(n_states, 1))
    start = rng.dirichlet(np.ones(n_states))
    return TableMDP(*(torch.from_numpy(x) for x in (P, R, start)))


def chain(n: int, rewards) -> TableMDP:
    """From state 0 to n − 1, one step each, and out: action 1 pays rewards[s], action 0 nothing."""
    P = torch.zeros(n, 2, n, dtype=torch.float64)
    P[torch.arange(n - 1), :, torch.arange(1, n)] = 1.0
    R = torch.stack([torch.zeros(n), torch.as_tensor(rewards)], dim=1).double()
    return TableMDP(P, R, torch.eye(n, dtype=torch.float64)[0])


def state_values(mdp: TableMDP, logits: Tensor, gamma: float) -> np.ndarray:
    """V^π (S,) of the softmax of logits (S, A), from the Bellman equation."""
    P, R, _ = (x.numpy() for x in mdp)
    return dynamic_programming.solve_bellman(P, R, softmax_policy(logits).numpy(), gamma)


def visits(mdp: TableMDP, logits: Tensor, gamma: float) -> np.ndarray:
    r"""$n_\gamma(s) = \sum_t \gamma^t \Pr(s_t = s)$ (S,), not a distribution; for γ = 1: steps spent in s."""
    P, _, start = (x.numpy() for x in mdp)
    P_pi = tabular_mdp.policy_transition(P, softmax_policy(logits).numpy())
    return np.linalg.solve(np.eye(len(start)) - gamma * P_pi.T, start)


def gae_moments(mdp: TableMDP, logits: Tensor, value: np.ndarray, gamma: float, lam: float):
    r"""Mean and second moment of $\hat A_t = \sum_k (\gamma\lambda)^k\delta_{t+k}$, given $s_t = s$ and $a_t = a$.

    Of an episode recorded to its terminal end. From $\hat A_t = \delta_t + \gamma\lambda\hat A_{t+1}$, with m(s) the mean
    of the next $\hat A$: $m = \mathbb E\delta + \gamma\lambda P m$ and
    $M = \mathbb E[\delta^2 + 2\gamma\lambda\,\delta\,m(s')] + (\gamma\lambda)^2 P M$, two linear systems.

    value: (S,), the critic, right or wrong; gamma · lam < 1, or every policy terminates. Returns two (S, A) arrays.
    """
    P, R, _ = (x.numpy() for x in mdp)
    pi, carry = softmax_policy(logits).numpy(), gamma * lam
    P_pi = tabular_mdp.policy_transition(P, pi)
    eye, ends = np.eye(len(value)), 1 - P.sum(axis=2)
    at_end = R - value[:, None]
    delta = at_end[:, :, None] + gamma * value
    mean_delta = (P * delta).sum(axis=2) + ends * at_end
    m = np.linalg.solve(eye - carry * P_pi, (pi * mean_delta).sum(axis=1))
    known = (P * (delta**2 + 2 * carry * delta * m)).sum(axis=2) + ends * at_end**2
    square = np.linalg.solve(eye - carry**2 * P_pi, (pi * known).sum(axis=1))
    return mean_delta + carry * P @ m, known + carry**2 * P @ square


class TableWorld(gym.Env):
    """A `TableMDP` as an environment; with `blind`, every state looks like state 0."""

    def __init__(self, mdp: TableMDP, blind: bool = False) -> None:
        n_states, n_actions = mdp.R.shape
        self.observation_space = gym.spaces.Discrete(1 if blind else n_states)
        self.action_space = gym.spaces.Discrete(n_actions)
        self._rewards, self._blind = mdp.R.tolist(), blind
        self._reach = mdp.P.numpy().cumsum(axis=2)
        self._begin = mdp.start.numpy().cumsum()
        self.state = 0

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        u = self.np_random.random() * self._begin[-1]
        self.state = int(self._begin.searchsorted(u, side="right"))
        return self._seen(), {}

    def step(self, action: int):
        reward = self._rewards[self.state][action]
        reach = self._reach[self.state, action]
        # Beyond the last cumulative sum lies termination.
        next_state = int(reach.searchsorted(self.np_random.random(), side="right"))
        terminated = next_state == len(reach)
        self.state = self.state if terminated else next_state
        return self._seen(), reward, terminated, False, {}

    def _seen(self) -> int:
        return 0 if self._blind else self.state


class TablePolicy(nn.Module):
    """`policy(s, rng) -> (action, log_prob)`: a softmax over row s of `logits` (S, A), float32.

    softmax: (B, A) logits → (B, A) probabilities.
    """

    def __init__(self, logits, softmax: Callable[[Tensor], Tensor] = softmax_policy) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.as_tensor(logits, dtype=torch.float32).clone())
        self.softmax = softmax

    def forward(self, s: int, rng: np.random.Generator) -> tuple[int, Tensor]:
        pi = self.softmax(self.logits[s : s + 1])[0]
        cumulative = pi.detach().numpy().cumsum()
        u = rng.random() * cumulative[-1]
        action = min(int(cumulative.searchsorted(u, side="right")), len(cumulative) - 1)
        return action, pi[action].log()


# ------------------------------------------------------------------------------------ samples


class Episodes(NamedTuple):
    """Steps of n episodes side by side: state, action int64, reward float64, alive bool, each (n, T)."""

    state: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    alive: np.ndarray


def sample_episodes(mdp: TableMDP, logits: Tensor, n: int, rng: np.random.Generator) -> Episodes:
    """n whole episodes under the softmax of logits (S, A); where not alive, reward is 0."""
    reach, R = mdp.P.numpy().cumsum(axis=2), mdp.R.numpy()
    choose = softmax_policy(logits).numpy().cumsum(axis=1)
    n_states, n_actions = R.shape
    begin = mdp.start.numpy().cumsum()
    s = _pick(np.broadcast_to(begin, (n, n_states)), rng).clip(max=n_states - 1)
    alive, steps = np.ones(n, dtype=bool), []
    while alive.any():
        a = _pick(choose[s], rng).clip(max=n_actions - 1)
        steps.append((s, a, np.where(alive, R[s, a], 0.0), alive))
        s_next = _pick(reach[s, a], rng)
        alive = alive & (s_next < n_states)
        s = np.where(alive, s_next, s)
    return Episodes(*(np.stack(column, axis=1) for column in zip(*steps, strict=True)))


def _pick(cumulative: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An index a row, by cumulative sums (n, k); k where the draw lies beyond the last."""
    return (rng.random((len(cumulative), 1)) >= cumulative).sum(axis=1)


def rewards_to_come(episodes: Episodes, gamma: float) -> np.ndarray:
    """G_t of every step, (n, T)."""
    returns = np.zeros_like(episodes.reward)
    following = np.zeros(len(returns))
    for t in reversed(range(returns.shape[1])):
        following = episodes.reward[:, t] + gamma * following
        returns[:, t] = following
    return returns


def episode_gradients(
    episodes: Episodes,
    weight: np.ndarray,
    logits: Tensor,
    score: Callable[[Tensor, Tensor], Tensor] = grad_log_softmax,
) -> np.ndarray:
    r"""$\sum_t w_t\,\nabla_\theta\log\pi(a_t|s_t)$ of every episode, (n, S, A).

    weight: (n, T), what multiplies each step's score; score: (B, A) logits, (B,) actions → (B, A).
    """
    n_states, n_actions = logits.shape
    # A score depends on s and a alone: it is asked for once a pair, however many steps there are.
    s, a = (torch.from_numpy(x.ravel()) for x in np.indices((n_states, n_actions)))
    scores = score(logits[s], a).numpy().reshape(n_states, n_actions, n_actions)
    row, t = np.nonzero(episodes.alive)
    pair = (row * n_states + episodes.state[row, t]) * n_actions + episodes.action[row, t]
    size = len(weight) * n_states * n_actions
    total = np.bincount(pair, weights=weight[row, t], minlength=size)
    return np.einsum("nsa,sab->nsb", total.reshape(-1, n_states, n_actions), scores)
