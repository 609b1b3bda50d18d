"""Returns, episodes and the two flags that end one (lessons 00 and 01)."""

from __future__ import annotations

import numpy as np


def discounted_return(rewards, gamma) -> float:
    r"""The return of a finite sequence of rewards.

    $G = \sum_{t=0}^{T-1} \gamma^t r_t$ — S&B (3.8), whose $R_{t+1}$ is our $r_t$.

    rewards: (T,), T ≥ 0, may be whole numbers; gamma: in [0, 1]. Returns a float; 0 for T = 0.
    """
    total = 0.0
    for reward in reversed(rewards):
        total = reward + gamma * total  # G_t = r_t + γ G_{t+1}
    return float(total)


def constant_return(reward, gamma, n_steps) -> float:
    r"""The return of one and the same reward c at each of n steps, in closed form.

    $\sum_{t=0}^{n-1} \gamma^t c = c\,\frac{1-\gamma^n}{1-\gamma}$; for γ = 1 it is $n\,c$, for n = ∞
    $\frac{c}{1-\gamma}$ — S&B (3.10).

    reward: any number; gamma: in [0, 1]; n_steps: a whole number ≥ 0, or `math.inf` with γ < 1.
    Returns a float; 0 for n = 0.
    """
    if gamma == 1:
        return float(n_steps * reward)
    return float(reward * (1 - float(gamma) ** n_steps) / (1 - gamma))


def coin_stopped_return(reward, gamma) -> tuple[float, float]:
    r"""Mean and standard deviation of the return of an episode that a coin ends.

    Every step pays c, undiscounted; after each the episode goes on with probability γ. The return is
    $cL$, $L \ge 1$ the number of steps. Peeling off the first step, $\mathbb E[L] = 1 + \gamma\,\mathbb E[L]$
    and $\mathbb E[L^2] = 1 + 2\gamma\,\mathbb E[L] + \gamma\,\mathbb E[L^2]$, so

    mean $= \frac{c}{1-\gamma}$, standard deviation $= |c|\,\frac{\sqrt\gamma}{1-\gamma}$ — Puterman 1994 §5.3.

    reward: any number; gamma: in [0, 1), the probability of going on. Returns two floats.
    """
    return float(reward / (1 - gamma)), float(abs(reward) * np.sqrt(gamma) / (1 - gamma))


def returns_to_go(rewards, gamma) -> np.ndarray:
    r"""The return from every step on.

    $G_t = \sum_{k \ge t} \gamma^{k-t} r_k = r_t + \gamma G_{t+1}$, $G_T = 0$ — S&B (3.8), (3.9).

    rewards: (T,), may be whole numbers; gamma: in [0, 1]. Returns (T,) float64.
    """
    returns = np.zeros(len(rewards))
    total = 0.0
    for t in reversed(range(len(rewards))):
        total = rewards[t] + gamma * total
        returns[t] = total
    return returns


def bootstrap_mask(terminated, truncated) -> np.ndarray:
    r"""1 where the next state's value counts, 0 where it does not: $m_i = 1 - d_i$.

    A time limit ends the data, not the task, so `truncated` plays no part
    (Pardo et al. 2018, arXiv 1712.00378).

    terminated, truncated: (B,) bool or 0/1. Returns (B,) float64.
    """
    return 1.0 - np.asarray(terminated, dtype=np.float64)


def mean_squared_error(prediction, target) -> float:
    r"""$\frac1B \sum_i (\hat y_i - y_i)^2$, row i with row i; no factor ½.

    prediction: (B, 1) or (B,); target: (B,), B ≥ 1. Returns a float.
    """
    # (B, 1) − (B,) would be (B, B): every prediction against every target.
    error = np.reshape(prediction, -1) - target
    return float(np.mean(error**2))


def run_episode(env, policy, rng) -> tuple[np.ndarray, bool]:
    """Run one episode of a Gymnasium environment.

    env: `reset()`, `step(a)`; policy(s, rng) -> int; rng: a `numpy.random.Generator`.
    Returns the rewards (T,) float64 in order, and whether the episode ended in a terminal state
    (not just at a time limit).
    """
    rewards = []
    s, _ = env.reset()
    terminated = truncated = False
    while not (terminated or truncated):
        s, reward, terminated, truncated, _ = env.step(policy(s, rng))
        rewards.append(reward)
    return np.array(rewards, dtype=np.float64), bool(terminated)
