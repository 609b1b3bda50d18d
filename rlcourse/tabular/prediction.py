"""Estimating a policy's values from experience: Monte Carlo, TD(0), n steps, λ (lesson 04)."""

from __future__ import annotations

import numpy as np

from .returns import returns_to_go


def mc_prediction(episodes, gamma, n_states, first_visit) -> np.ndarray:
    """The mean of the returns that followed the visits to each state — S&B §5.1.

    episodes: a list of (states, rewards), both (T,): s_0 … s_{T−1} and the reward for leaving each;
    gamma: in [0, 1]; first_visit: only the first visit to a state in an episode counts.
    Returns v (n_states,); 0 where there was no visit.
    """
    total, visits = np.zeros(n_states), np.zeros(n_states)
    for states, rewards in episodes:
        returns = returns_to_go(rewards, gamma)
        for t, s in enumerate(states):
            if first_visit and s in states[:t]:
                continue
            total[s] += returns[t]
            visits[s] += 1
    return total / np.maximum(visits, 1)


def td0_target(reward, v_next, terminated, gamma) -> np.ndarray:
    r"""$y = r + \gamma (1-d)\, v(s')$ — S&B (6.2).

    reward, v_next, terminated: (B,); v_next is any number where terminated. Returns (B,).
    """
    # Chosen, not multiplied by 1 − d: 0 · inf would be NaN.
    return reward + gamma * np.where(terminated, 0.0, np.asarray(v_next, dtype=np.float64))


def n_step_return(rewards, v_boot, terminated, gamma) -> float:
    r"""$\sum_{k<n} \gamma^k r_k + \gamma^n v(s_{t+n})$ — S&B (7.1); nothing counts after an end.

    Backwards: $g \leftarrow v$; $g \leftarrow r_k + \gamma (1 - d_k)\, g$.

    rewards, terminated: (n,), n ≥ 1, of successive steps; v_boot: $v(s_{t+n})$. Returns a float.
    """
    g = v_boot
    for reward, d in zip(reversed(rewards), reversed(terminated), strict=True):
        g = reward + gamma * (0.0 if d else g)
    return float(g)


def lambda_weights(steps_left, gamma, lam) -> tuple[np.ndarray, np.ndarray]:
    r"""What a λ-return is made of, $N$ steps before the end of the episode — S&B (12.3).

    The return of n steps weighs $w_n = (1-\lambda)\lambda^{n-1}$ for n < N, and the last one, which is
    the whole rest of the episode, $w_N = \lambda^{N-1}$: all that longer ones would have had. The reward
    k steps ahead is in every return with n > k: $\gamma^k \sum_{n>k} w_n = (\gamma\lambda)^k$.

    steps_left: N ≥ 1; gamma, lam: in [0, 1].
    Returns on_returns (N,) for n = 1 … N, which sum to 1, and on_rewards (N,) for k = 0 … N − 1.
    """
    k = np.arange(steps_left)
    on_returns = (1.0 - lam) * float(lam) ** k  # k = n − 1
    on_returns[-1] = float(lam) ** k[-1]
    return on_returns, float(gamma * lam) ** k


def lambda_returns(rewards, v_next, terminated, gamma, lam) -> np.ndarray:
    r"""$G_t = r_t + \gamma (1-d_t)\,[(1-\lambda) v(s_{t+1}) + \lambda G_{t+1}]$, $G_T := v(s_T)$.

    The recursion of S&B (12.3), (12.9) and (12.18); λ = 0 is `td0_target`, λ = 1 the return to the end.

    rewards, v_next, terminated: (T,), T ≥ 1; v_next[t] = v(s_{t+1}); gamma, lam: in [0, 1].
    Returns (T,).
    """
    returns = np.zeros(len(rewards))
    g = v_next[-1]
    for t in reversed(range(len(rewards))):
        g = rewards[t] + gamma * (0.0 if terminated[t] else (1 - lam) * v_next[t] + lam * g)
        returns[t] = g
    return returns


def td_prediction(env, policy, episodes, step_size, gamma, rng) -> np.ndarray:
    r"""Tabular TD(0): $v(s) \leftarrow v(s) + \alpha\,[\,r + \gamma(1-d)\,v(s') - v(s)\,]$ — S&B §6.1.

    env: finite, Gymnasium's API; policy(s, rng) -> int; episodes ≥ 0; step_size α in (0, 1].
    A truncated step ends the episode but bootstraps. Returns v (S,), which starts at 0.
    """
    v = np.zeros(env.observation_space.n)
    for _ in range(episodes):
        s, _ = env.reset()
        terminated = truncated = False
        while not (terminated or truncated):
            s_next, reward, terminated, truncated, _ = env.step(policy(s, rng))
            v[s] += step_size * (td0_target(reward, v[s_next], terminated, gamma) - v[s])
            s = s_next
    return v


def n_step_td_prediction(env, policy, n, episodes, step_size, gamma, rng, v=None) -> np.ndarray:
    """n-step TD: v(s_t) moves towards the n-step return, n steps later — S&B §7.1, box.

    As `td_prediction` (n = 1 is that method), n ≥ 1; v: (S,) start values, default 0.
    """
    v = np.zeros(env.observation_space.n) if v is None else v.astype(np.float64)
    for _ in range(episodes):
        s, _ = env.reset()
        states, rewards, flags = [s], [], []
        ended = False
        while not ended or rewards:
            if not ended:
                s, reward, terminated, truncated, _ = env.step(policy(s, rng))
                states.append(s)
                rewards.append(reward)
                flags.append(terminated)
                ended = terminated or truncated
            if ended or len(rewards) == n:
                g = n_step_return(rewards, v[states[-1]], flags, gamma)
                v[states[0]] += step_size * (g - v[states[0]])
                del states[0], rewards[0], flags[0]
    return v
