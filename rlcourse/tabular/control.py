"""Learning to act from experience: SARSA, expected SARSA, Q-learning, double Q (lesson 05)."""

from __future__ import annotations

import math

import numpy as np

# --------------------------------------------------------------------------------------- acting


def epsilon_greedy(q_row, epsilon, rng) -> int:
    r"""$\pi(a) = \frac{\varepsilon}{A} + (1-\varepsilon)\,\mathbb 1[a = \arg\max_b q(b)]$ — S&B §2.2.

    q_row: (A,); epsilon: in [0, 1]; rng: a `numpy.random.Generator`. Returns an index; on ties the
    first of the best is the greedy one.
    """
    if rng.random() < epsilon:
        return int(rng.integers(len(q_row)))
    return int(np.argmax(q_row))


# -------------------------------------------------------------------------------------- targets


def _bootstrapped(reward, value_next, terminated, gamma) -> np.ndarray:
    """r + γ(1 − d) · (value of s'), and r where d = 1 whatever stands there: 0 · inf would be NaN."""
    value_next = np.asarray(value_next, dtype=np.float64)
    return reward + gamma * np.where(terminated, 0.0, value_next)


def sarsa_target(reward, q_next, action_next, terminated, gamma) -> np.ndarray:
    r"""$y = r + \gamma (1-d)\, Q(s', a')$ — S&B (6.7).

    reward, terminated: (B,); q_next: (B, A), rows Q(s'_i, ·), anything where terminated;
    action_next: (B,) int. Returns (B,).
    """
    return _bootstrapped(reward, q_next[np.arange(len(q_next)), action_next], terminated, gamma)


def expected_sarsa_target(reward, q_next, pi_next, terminated, gamma) -> np.ndarray:
    r"""$y = r + \gamma (1-d) \sum_{a'} \pi(a'|s')\, Q(s', a')$ — S&B (6.9).

    reward, terminated: (B,); q_next, pi_next: (B, A). Returns (B,).
    """
    q_next = np.where(np.asarray(terminated, dtype=bool)[:, None], 0.0, q_next)
    return _bootstrapped(reward, (pi_next * q_next).sum(axis=1), terminated, gamma)


def sarsa_targets(
    reward, q_next, action_next, pi_next, terminated, gamma
) -> tuple[np.ndarray, np.ndarray]:
    """`sarsa_target` and `expected_sarsa_target` of the same transitions; arguments as there.

    The second is the mean of the first over a' ~ pi. Returns (sampled, expected), (B,) each.
    """
    sampled = sarsa_target(reward, q_next, action_next, terminated, gamma)
    return sampled, expected_sarsa_target(reward, q_next, pi_next, terminated, gamma)


def q_learning_target(reward, q_next, terminated, gamma) -> np.ndarray:
    r"""$y = r + \gamma (1-d) \max_{a'} Q(s', a')$ — S&B (6.8).

    reward, terminated: (B,); q_next: (B, A). Returns (B,).
    """
    return _bootstrapped(reward, q_next.max(axis=1), terminated, gamma)


def double_q_target(reward, qa_next, qb_next, terminated, gamma) -> np.ndarray:
    r"""$y = r + \gamma (1-d)\, Q_B(s', \arg\max_{a'} Q_A(s', a'))$, for updating A — S&B (6.10).

    A selects, B evaluates (van Hasselt 2010, algorithm 1). reward, terminated: (B,);
    qa_next, qb_next: (B, A). Returns (B,).
    """
    best = qa_next.argmax(axis=1)
    return _bootstrapped(reward, qb_next[np.arange(len(best)), best], terminated, gamma)


def expected_max(mean, sigma_1, sigma_2) -> float:
    r"""$\mathbb E[\max(X_1, X_2)] = \mu + \sqrt{(\sigma_1^2 + \sigma_2^2) / 2\pi}$ — Clark 1961, equal means.

    X_1 ~ N(mean, sigma_1²) and X_2 ~ N(mean, sigma_2²) are independent: two unbiased estimates of
    actions that are worth the same. mean: any number; sigma_1, sigma_2: standard deviations ≥ 0, in
    the unit of the mean. max(x, y) is the middle of x and y plus half their distance, which is that
    of N(0, sigma_1² + sigma_2²) from 0.
    """
    return mean + math.hypot(sigma_1, sigma_2) / math.sqrt(2 * math.pi)


# ---------------------------------------------------------------------------------------- loops


def _one(*transition) -> list[np.ndarray]:
    """A transition as a batch of one, so that loops call the targets they are made of."""
    return [np.asarray(part)[None] for part in transition]


def sarsa(env, select, episodes, step_size, gamma, rng) -> np.ndarray:
    r"""$q(s,a) \leftarrow q(s,a) + \alpha\,[\,r + \gamma(1-d)\,q(s',a') - q(s,a)\,]$ — S&B §6.4.

    env: finite, Gymnasium's API; select(q_row, rng) -> int. The a' of the target is the action
    taken next. A truncated step bootstraps. Returns q (S, A), which starts at 0.
    """
    q = np.zeros((env.observation_space.n, env.action_space.n))
    for _ in range(episodes):
        s, _ = env.reset()
        a = select(q[s], rng)
        terminated = truncated = False
        while not (terminated or truncated):
            s_next, reward, terminated, truncated, _ = env.step(a)
            a_next = select(q[s_next], rng)
            y = sarsa_target(*_one(reward, q[s_next], a_next, terminated), gamma)[0]
            q[s, a] += step_size * (y - q[s, a])
            s, a = s_next, a_next
    return q


def q_learning(
    env, select, episodes, step_size, gamma, rng, *, target=q_learning_target, initial=0.0
) -> np.ndarray:
    r"""$q(s,a) \leftarrow q(s,a) + \alpha\,[\,r + \gamma(1-d) \max_{a'} q(s',a') - q(s,a)\,]$ — S&B §6.5.

    As `sarsa`, but the target is greedy whatever `select` does; one `select` a step. `target` may be
    another function with the arguments of `q_learning_target`: a student's; `initial` fills the table.
    """
    q = np.full((env.observation_space.n, env.action_space.n), float(initial))
    for _ in range(episodes):
        s, _ = env.reset()
        terminated = truncated = False
        while not (terminated or truncated):
            a = select(q[s], rng)
            s_next, reward, terminated, truncated, _ = env.step(a)
            y = target(*_one(reward, q[s_next], terminated), gamma)[0]
            q[s, a] += step_size * (y - q[s, a])
            s = s_next
    return q


def expected_sarsa(
    env, epsilon, episodes, step_size, gamma, rng, *, target=expected_sarsa_target
) -> np.ndarray:
    """As `sarsa`, with the expectation over the ε-greedy policy in place of its sample.

    `target` may be another function with the arguments of `expected_sarsa_target`.
    """
    q = np.zeros((env.observation_space.n, env.action_space.n))
    for _ in range(episodes):
        s, _ = env.reset()
        terminated = truncated = False
        while not (terminated or truncated):
            a = epsilon_greedy(q[s], epsilon, rng)
            s_next, reward, terminated, truncated, _ = env.step(a)
            pi_next = epsilon_greedy_probabilities(q[s_next], epsilon)
            y = target(*_one(reward, q[s_next], pi_next, terminated), gamma)[0]
            q[s, a] += step_size * (y - q[s, a])
            s = s_next
    return q


def epsilon_greedy_probabilities(q_row, epsilon) -> np.ndarray:
    """The distribution (A,) that `epsilon_greedy` draws from."""
    probabilities = np.full(len(q_row), epsilon / len(q_row))
    probabilities[np.argmax(q_row)] += 1 - epsilon
    return probabilities


def double_q_learning(
    env, select, episodes, step_size, gamma, rng
) -> tuple[np.ndarray, np.ndarray]:
    """Two tables; a coin says which one is updated, the other evaluates — S&B §6.7, box.

    `select` sees the row of their sum. Returns both tables (S, A).
    """
    tables = np.zeros((2, env.observation_space.n, env.action_space.n))
    for _ in range(episodes):
        s, _ = env.reset()
        terminated = truncated = False
        while not (terminated or truncated):
            a = select(tables[:, s].sum(axis=0), rng)
            s_next, reward, terminated, truncated, _ = env.step(a)
            qa, qb = tables if rng.random() < 0.5 else tables[::-1]
            y = double_q_target(*_one(reward, qa[s_next], qb[s_next], terminated), gamma)[0]
            qa[s, a] += step_size * (y - qa[s, a])
            s = s_next
    return tables[0], tables[1]
