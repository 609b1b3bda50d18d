"""Generalised advantage estimation (lesson 11): a λ-return of advantages.

Schulman, Moritz, Levine, Jordan & Abbeel 2016, "High-dimensional continuous control using
generalized advantage estimation" (arXiv 1506.02438).

Differences from the paper: the sum of eq. 16 is infinite, here an episode or the rollout ends it;
a time limit bootstraps from the value of the observation it cut off at (Pardo et al. 2018).
"""

from __future__ import annotations

import numpy as np
import torch


def gae(reward, value, next_value, terminated, truncated, gamma, lam):
    r"""$\hat A_t = \delta_t + \gamma\lambda\,(1-\max(d_t,c_t))\,\hat A_{t+1}$ and $\hat A + V$.

    $\delta_t = r_t + \gamma(1-d_t)V(s'_t) - V(s_t)$, $\hat A_T = 0$ — Schulman et al. 2016, eq.
    16. Two masks: only `terminated` (d) takes the bootstrap away, but either flag ends the
    recursion, for the next row belongs to another episode. λ = 0 is the TD error, λ = 1 the return
    minus V.

    Every argument (T,), or (T, N) for N environments side by side, as tensors or arrays;
    `next_value[t]` is V of the observation that step t led to, never of a reset. gamma, lam: in
    [0, 1]. Returns (adv, returns), shaped like `reward`, of `value`'s dtype: data, no gradient.
    """
    reward, value, next_value, terminated, truncated, wrap = _as_arrays(
        reward, value, next_value, terminated, truncated
    )
    # Chosen, not multiplied by 1 − d: 0 times a NaN on the other side of an end would be NaN.
    delta = reward + gamma * np.where(terminated, 0, next_value) - value
    ends = np.maximum(terminated, truncated) == 1
    adv = np.empty_like(delta)
    following = np.zeros_like(delta[0]) if len(delta) else None
    for t in reversed(range(len(delta))):
        following = delta[t] + gamma * lam * np.where(ends[t], 0, following)
        adv[t] = following
    return wrap(adv), wrap(adv + value)


def n_step_advantage(reward, value, next_value, terminated, truncated, gamma, n):
    r"""$\hat A^{(n)}_t = \sum_{k<n} \gamma^k r_{t+k} + \gamma^n V - V(s_t)$, and $\hat A^{(n)} + V$.

    The sum ends earlier where the episode or the rollout does, and bootstraps there, unless a
    terminal state ended it — Mnih et al. 2016, §4 (A3C), S&B (7.4). Arguments as `gae`; n ≥ 1.
    n = 1 is the TD error; n ≥ T is GAE with λ = 1.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    reward, value, next_value, terminated, truncated, wrap = _as_arrays(
        reward, value, next_value, terminated, truncated
    )
    delta = reward + gamma * np.where(terminated, 0, next_value) - value
    carry = gamma * (1 - np.maximum(terminated, truncated))
    # Telescoping: the n-step advantage is the sum of n discounted TD errors.
    adv, weight = delta.copy(), np.ones_like(delta)
    for k in range(1, min(n, len(delta))):
        weight = weight[:-1] * carry[k - 1 : -1]
        adv[:-k] += weight * np.where(weight == 0, 0, delta[k:])
    return wrap(adv), wrap(adv + value)


def critic_error_weights(steps, terminated, gamma, lam):
    r"""$c_k = \partial\hat A_0 / \partial V(s_k)$ of $\hat A_0 = \sum_{k<N} (\gamma\lambda)^k \delta_k$, (N + 1,) float32.

    $c_0 = -1$, $c_k = (1-\lambda)\gamma(\gamma\lambda)^{k-1}$ between, $c_N = (1-d)\gamma(\gamma\lambda)^{N-1}$: what
    an error of the critic in $s_k$ does to the advantage in $s_0$ — the telescoping of Schulman et al. 2016, eqs.
    11–16, collected by states.

    steps: N ≥ 1; terminated: d, 1 if the step to $s_N$ ended the episode, 0 if it was cut off there.
    """
    c = np.zeros(steps + 1)
    carried = (gamma * lam) ** np.arange(steps)
    c[:-1] -= carried
    # V(s') stands in every TD error, with γ; after a terminal end not in the last one.
    c[1:] += gamma * carried * np.append(np.ones(steps - 1), 1 - terminated)
    return torch.from_numpy(c).float()


def _as_arrays(*arguments):
    """The arguments as floating arrays, and what brings a result back to where they came from."""
    value = arguments[1]
    if isinstance(value, torch.Tensor):
        dtype = value.detach().numpy().dtype
        arrays = [np.asarray(torch.as_tensor(x).detach(), dtype=dtype) for x in arguments]
        return *arrays, torch.from_numpy
    dtype = np.result_type(np.asarray(value).dtype, np.float32)
    return *(np.asarray(x, dtype=dtype) for x in arguments), np.asarray
