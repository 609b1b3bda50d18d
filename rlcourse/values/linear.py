"""Linear prediction and control: gradient Monte Carlo, TD(0), LSTD, SARSA (lessons 06 and 07). NumPy only.

Sutton & Barto chapters 9 and 10. Weights w (d,) give v̂(s) = x(s)ᵀw; weights (n_actions, d) give
q̂(s, a) = w_aᵀx(s).

Differences from the book: time limits end an episode and not the bootstrap; LSTD solves once from
sums instead of updating an inverse step by step (Sherman–Morrison).
"""

from __future__ import annotations

import numpy as np

from rlcourse.tabular.returns import returns_to_go

from .features import tile_indices

# --- the equations: prediction ------------------------------------------------------------------


def gradient_mc_episode(w, x, r, gamma, step_size) -> np.ndarray:
    r"""$w \leftarrow w + \alpha\,(g_t - x_t^\top w)\,x_t$ for t = 0, …, T−1 — S&B §9.3, box "Gradient Monte Carlo".

    $g_t = \sum_{k \ge t}\gamma^{k-t} r_k$; every step starts from the weights that the last one left.
    w: (d,); x: (T, d), features of the states of a finished episode; r: (T,), may be whole numbers.
    Returns new weights (d,).
    """
    for x_t, g in zip(x, returns_to_go(r, gamma), strict=True):
        w = w + step_size * (g - x_t @ w) * x_t
    return w


def semi_gradient_td_update(w, x, r, x_next, terminated, gamma, step_size) -> np.ndarray:
    r"""$w + \alpha\,[r + \gamma(1-d)\,x'^\top w - x^\top w]\,x$ — S&B §9.3, box "Semi-gradient TD(0)".

    w, x, x_next: (d,); x_next may hold anything where terminated. Returns new weights (d,).
    """
    v_next = 0.0 if terminated else x_next @ w
    return w + step_size * (r + gamma * v_next - x @ w) * x


def two_state_fixed_point(x, r, p, q, gamma) -> float:
    r"""Where expected semi-gradient TD(0) stands still: two states, one weight, $\hat v(i) = x_i w$.

    $w = \frac{q\,x_0 r_0 + p\,x_1 r_1}{(1-\gamma)(q x_0^2 + p x_1^2) + \gamma\,p\,q\,(x_0-x_1)^2}$: S&B (9.11)–(9.12)
    with $\mu = (q, p)/(p+q)$, the states being updated as often as the policy visits them.

    x: (2,); r: (2,), rewards for leaving; p, q: in (0, 1], of going from 0 to 1 and from 1 to 0 (it stays
    otherwise); gamma: in [0, 1], below 1 if $x_0 = x_1$. Returns a float.
    """
    square = (1 - gamma) * (q * x[0] ** 2 + p * x[1] ** 2) + gamma * p * q * (x[0] - x[1]) ** 2
    return float((q * x[0] * r[0] + p * x[1] * r[1]) / square)


def lstd(x, r, x_next, terminated, gamma, ridge) -> np.ndarray:
    r"""$\hat A w = \hat b$: $\hat A = \sum_n x_n(x_n - \gamma(1-d_n)x'_n)^\top + ridge\,I$, $\hat b = \sum_n r_n x_n$.

    S&B (9.20)–(9.21), ridge their ε. x, x_next: (N, d); r, terminated: (N,). Returns w (d,).
    Raises LinAlgError when Â is singular (ridge = 0 and too little data).
    """
    x_next = np.where(np.asarray(terminated, dtype=bool)[:, None], 0.0, x_next)
    a = x.T @ (x - gamma * x_next) + ridge * np.eye(x.shape[1])
    return np.linalg.solve(a, x.T @ np.asarray(r, dtype=np.float64))


def least_squares_values(x, v) -> np.ndarray:
    r"""$\arg\min_w \sum_n (v_n - x_n^\top w)^2$, of least norm: where replayed SGD ends from w = 0 (seed 003).

    x: (N, d); v: (N,). Returns w (d,); a feature that was never active gets weight 0.
    """
    return np.linalg.lstsq(x, v, rcond=None)[0]


# --- the equations: control ---------------------------------------------------------------------


def semi_gradient_sarsa_update(
    w, x, action, r, x_next, action_next, terminated, gamma, step_size
) -> np.ndarray:
    r"""$\delta = r + \gamma(1-d)\,w_{a'}^\top x' - w_a^\top x$; row a becomes $w_a + \alpha\delta x$ — S&B (10.1)–(10.2).

    w: (n_actions, d); x, x_next: (d,). Returns new weights (n_actions, d).
    """
    w = np.array(w, dtype=np.float64)
    q_next = 0.0 if terminated else w[action_next] @ x_next
    w[action] += step_size * (r + gamma * q_next - w[action] @ x) * x
    return w


# --- the loops ----------------------------------------------------------------------------------


def gradient_mc(
    env, policy, features, w, episodes, step_size, gamma, rng, episode=gradient_mc_episode
) -> np.ndarray:
    """Gradient Monte Carlo — S&B §9.3, box: it learns from an episode when that is over.

    Arguments as in `semi_gradient_td`; episodes must end (a time limit cuts the return short);
    episode: one finished episode's updates, as `gradient_mc_episode`.
    """
    w = np.array(w, dtype=np.float64)
    for _ in range(episodes):
        xs, rewards, over = [], [], False
        s, _ = env.reset()
        while not over:
            xs.append(features(s))
            s, r, terminated, truncated, _ = env.step(policy(s, rng))
            rewards.append(r)
            over = terminated or truncated
        w = episode(w, np.array(xs), np.array(rewards), gamma, step_size)
    return w


def semi_gradient_td(
    env, policy, features, w, episodes, step_size, gamma, rng, update=semi_gradient_td_update
) -> np.ndarray:
    """Semi-gradient TD(0) — S&B §9.3, box: one update a step, with the weights just changed.

    env: Gymnasium's API; policy(s, rng) -> action, one call a step; features(s) -> (d,); w: (d,);
    update: one step's, as `semi_gradient_td_update`.
    A truncated step ends the episode and bootstraps. Returns the final weights (d,), new.
    """
    w = np.array(w, dtype=np.float64)
    for _ in range(episodes):
        s, _ = env.reset()
        over = False
        while not over:
            s_next, r, terminated, truncated, _ = env.step(policy(s, rng))
            w = update(w, features(s), r, features(s_next), terminated, gamma, step_size)
            s, over = s_next, terminated or truncated
    return w


def semi_gradient_sarsa(
    env,
    active,
    n_features,
    episodes,
    step_size,
    gamma,
    epsilon,
    rng,
    w=None,
    *,
    update=semi_gradient_sarsa_update,
    look=None,
) -> tuple[np.ndarray, np.ndarray]:
    """Episodic semi-gradient SARSA on binary features — S&B §10.1, box.

    env: finite actions; active(obs) -> (k,) int, the features that are 1 (`tile_indices` of one row);
    ε-greedy with ties broken at random; w: start weights, zeros by default (optimistic on Mountain Car);
    update: as `semi_gradient_sarsa_update`; look(k, w): called with the weights after the k-th episode.
    Returns the weights (n_actions, n_features) and the length of every episode (episodes,) int.
    """
    n_actions = int(env.action_space.n)
    w = np.zeros((n_actions, n_features)) if w is None else np.array(w, dtype=np.float64)
    lengths = np.zeros(episodes, dtype=np.int64)

    def look_at(obs):
        """The features of obs, and the action chosen there."""
        on = active(obs)
        x = np.zeros(n_features)
        x[on] = 1.0
        if rng.random() < epsilon:
            return x, int(rng.integers(n_actions))
        q = w[:, on].sum(axis=1)
        return x, int(rng.choice(np.flatnonzero(q == q.max())))

    for episode in range(episodes):
        obs, _ = env.reset()
        x, action = look_at(obs)
        over = False
        while not over:
            obs, r, terminated, truncated, _ = env.step(action)
            x_next, action_next = look_at(obs)
            w = update(w, x, action, r, x_next, action_next, terminated, gamma, step_size)
            x, action = x_next, action_next
            over = terminated or truncated
            lengths[episode] += 1
        if look is not None:
            look(episode + 1, w)
    return w, lengths


# --- the experiments of the book ----------------------------------------------------------------


def random_walk_chain(n_states: int = 1000, reach: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """The walk of `RandomWalk` as a chain: P (S, S), whose rows lack what leaves, and r (S,). S&B Example 9.1."""
    jump = np.abs(np.subtract.outer(np.arange(n_states), np.arange(n_states)))
    P = np.where((jump > 0) & (jump <= reach), 1.0, 0.0) / (2 * reach)
    beyond = np.maximum(reach - np.arange(n_states), 0) / (2 * reach)  # jumps past the left end
    return P, beyond[::-1] - beyond


def random_walk_values(n_states: int = 1000, reach: int = 100) -> np.ndarray:
    """The true values of the walk under γ = 1, by a linear solve: (n_states,). S&B Example 9.1."""
    P, r = random_walk_chain(n_states, reach)
    return np.linalg.solve(np.eye(n_states) - P, r)


class RandomWalk:
    """The 1000-state random walk — S&B Example 9.1; Gymnasium's API, the action does not matter.

    From the middle, jumps of 1 to `reach` states to either side, equally likely. All jumps past an end
    terminate there: reward −1 on the left, +1 on the right, 0 elsewhere.
    """

    def __init__(self, rng: np.random.Generator, n_states: int = 1000, reach: int = 100):
        self.n_states, self.reach, self._rng = n_states, reach, rng
        self._s = n_states // 2

    def reset(self, *, seed=None, options=None):
        self._s = self.n_states // 2
        return self._s, {}

    def step(self, action):
        jump = int(self._rng.integers(1, self.reach + 1))
        s = self._s + (jump if self._rng.random() < 0.5 else -jump)
        terminated = not 0 <= s < self.n_states
        reward = float(np.sign(s)) if terminated else 0.0
        self._s = min(max(s, 0), self.n_states - 1)
        return self._s, (-1.0 if s < 0 else reward), terminated, False, {}


def mountain_car(
    episodes: int,
    seed: int,
    epsilon: float = 0.0,
    *,
    n_tiles: int = 8,
    n_tilings: int = 8,
    step_size: float = 0.5 / 8,
    max_steps: int = 10_000,
    tiles=tile_indices,
    update=semi_gradient_sarsa_update,
    look=None,
) -> np.ndarray:
    """SARSA with 8 tilings of 8 × 8 tiles on MountainCar-v0 — S&B Example 10.1, Figure 10.2 (α = 0.5/8).

    The car gets the book's time: episodes are cut after 10 000 steps, not after Gymnasium's 200.
    tiles, update: as `tile_indices`, `semi_gradient_sarsa_update`; look(k, w): after the k-th episode.
    Returns the length of every episode (episodes,).
    """
    import gymnasium as gym

    env = gym.make("MountainCar-v0", max_episode_steps=max_steps)
    low, high = env.observation_space.low, env.observation_space.high
    env.reset(seed=seed)

    def active(obs):
        return tiles(obs[None], low, high, n_tiles, n_tilings)[0]

    rng, n_features = np.random.default_rng(seed), n_tilings * (n_tiles + 1) ** 2
    parts = {"update": update, "look": look}
    return semi_gradient_sarsa(
        env, active, n_features, episodes, step_size, 1.0, epsilon, rng, **parts
    )[1]


def baird(steps: int, step_size: float = 0.01, gamma: float = 0.99) -> np.ndarray:
    """Baird's counterexample, semi-gradient DP — S&B Figure 11.2, right; weights (steps+1, 8) that diverge.

    Seven states, v̂ = 2w_i + w_8 for six of them and w_7 + 2w_8 for the last; the target policy always
    goes to the last; all rewards are 0, so the true values are too. Every sweep updates all states.
    """
    x = np.zeros((7, 8))
    x[np.arange(6), np.arange(6)], x[:6, 7], x[6, 6], x[6, 7] = 2.0, 1.0, 1.0, 2.0
    w = np.ones(8)
    w[6] = 10.0
    path = [w]
    for _ in range(steps):
        delta = gamma * (x[6] @ w) - x @ w
        w = w + step_size / 7 * delta @ x
        path.append(w)
    return np.array(path)
