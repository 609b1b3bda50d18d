"""Sutton & Barto's tabular experiments as plain data: a lesson computes here and draws itself.

Each function is one figure or example of the book at the book's settings, with its numbers as
arguments. Where a lesson has students write the method, the method is an argument too, so that
their own code makes the figure. Runs and step sizes are computed side by side, as array axes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rlcourse.lab.progress import progress

from . import control
from .dynamic_programming import (
    greedy_policy,
    policy_iteration,
    q_from_v,
    solve_bellman,
    value_iteration,
)
from .envs import RecordReturns, TabularEnv
from .gridworlds import Gridworld, book_5x5, cliff_walk
from .mdp import random_walk_values

# ------------------------------------------------------- the 5×5 gridworld (figures 3.2 and 3.5)


def book_values(gamma: float = 0.9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Example 3.5's gridworld: figures 3.2 (values of the random policy) and 3.5 (optimal ones).

    gamma: in [0, 1). Returns the uniform policy's values (5, 5), the optimal values (5, 5), and
    which actions are optimal, (25, 4) bool: several where they tie (to 1e-9).
    """
    mdp = book_5x5(gamma).mdp
    uniform = np.full(mdp.R.shape, 1 / mdp.n_actions)
    v_uniform = solve_bellman(mdp.P, mdp.R, uniform, gamma)
    _, v_star, _ = policy_iteration(mdp.P, mdp.R, gamma)
    q_star = q_from_v(v_star, mdp.P, mdp.R, gamma)
    optimal = q_star > q_star.max(axis=1, keepdims=True) - 1e-9
    return v_uniform.reshape(5, 5), v_star.reshape(5, 5), optimal


# -------------------------------------------------- random walks (example 6.2, figure 7.2)

MONTE_CARLO = np.inf  # as a number of steps: the return to the end of the episode


def walk_errors(
    n_states: int,
    n_steps: Sequence[float],
    step_sizes: Sequence[float],
    rng: np.random.Generator,
    *,
    episodes: int = 10,
    runs: int = 100,
    left: float = -1.0,
    initial: float = 0.0,
) -> np.ndarray:
    r"""RMS error of n-step TD on the random walk, after every episode, averaged over runs.

    $v(s_t) \leftarrow v(s_t) + \alpha\,[G_{t:t+n} - v(s_t)]$ — S&B (7.2), γ = 1; n = 1 is TD(0),
    `MONTE_CARLO` is constant-α every-visit MC. A walk pays `left` or 1 at its end. All n and α see
    the same walks. The error is over the non-terminal states, whose estimates start at `initial`.

    n_states: not counting the two ends; n_steps: ≥ 1; step_sizes: in (0, 1].
    Returns (len(n_steps), len(step_sizes), episodes).
    """
    alpha = np.asarray(step_sizes, dtype=np.float64)
    truth = random_walk_values(n_states, left)[1:-1, None]
    walks = [_walks(n_states, runs, rng) for _ in range(episodes)]
    errors = np.zeros((len(n_steps), len(alpha), episodes))
    for i, n in enumerate(n_steps):
        v = np.full((runs, n_states + 2, len(alpha)), float(initial))
        for k, (states, lengths) in enumerate(walks):
            reached_right = states[np.arange(runs), lengths] == n_states + 1
            outcome = np.where(reached_right, 1.0, left)  # the only reward: the last one
            for t in range(lengths.max()):
                run = np.flatnonzero(lengths > t)
                target = np.broadcast_to(outcome[run, None], (len(run), len(alpha))).copy()
                if t + n < lengths.max():
                    inside = lengths[run] > t + n  # the others' windows reach the end: no bootstrap
                    target[inside] = v[run[inside], states[run[inside], t + int(n)]]
                s = states[run, t]
                v[run, s] += alpha * (target - v[run, s])
            errors[i, :, k] = np.sqrt(np.mean((v[:, 1:-1] - truth) ** 2, axis=1)).mean(axis=0)
    return errors


def _walks(n_states: int, runs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One walk for each run, from the middle to an end.

    Returns states (runs, longest + 1), which stay in the end once they are there, and the lengths.
    """
    s = np.full(runs, (n_states + 1) // 2)
    steps = [s]
    while (moving := (s > 0) & (s <= n_states)).any():
        s = s + np.where(rng.random(runs) < 0.5, -1, 1) * moving
        steps.append(s)
    states = np.stack(steps, axis=1)
    return states, ((states > 0) & (states <= n_states)).sum(axis=1)


def td_against_mc(
    rng: np.random.Generator,
    td_step_sizes: Sequence[float] = (0.05, 0.1, 0.15),
    mc_step_sizes: Sequence[float] = (0.01, 0.02, 0.03, 0.04),
    episodes: int = 100,
    runs: int = 100,
) -> tuple[np.ndarray, np.ndarray]:
    """Example 6.2, right: the five-state walk's RMS error by episode, estimates starting at ½.

    Returns the curves of TD(0) (step sizes, episodes) and of constant-α MC, likewise.
    """
    step_sizes = [*td_step_sizes, *mc_step_sizes]
    td, mc = walk_errors(
        5,
        [1, MONTE_CARLO],
        step_sizes,
        rng,
        episodes=episodes,
        runs=runs,
        left=0.0,
        initial=0.5,
    )
    return td[: len(td_step_sizes)], mc[len(td_step_sizes) :]


def n_step_curves(
    rng: np.random.Generator,
    n_steps: Sequence[float] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    step_sizes: Sequence[float] = tuple(np.linspace(0.05, 1.0, 20)),
    episodes: int = 10,
    runs: int = 100,
) -> np.ndarray:
    """Figure 7.2: the 19-state walk's RMS error, averaged over the first `episodes` episodes.

    With n_steps = (1, MONTE_CARLO): TD(0) against Monte Carlo as a function of the step size.
    Returns (len(n_steps), len(step_sizes)).
    """
    errors = walk_errors(19, n_steps, step_sizes, rng, episodes=episodes, runs=runs)
    return errors.mean(axis=2)


# ------------------------------------------------------------------ cliff walking (example 6.6)


@dataclass(frozen=True)
class CliffResult:
    """What one method did on the cliff.

    returns: (runs, episodes) sums of rewards while learning; q: (runs, S, A) the final tables;
    paths: for every run the states that its greedy policy walks through (see `greedy_path`).
    """

    returns: np.ndarray
    q: np.ndarray
    paths: list[list[int]]


def cliff_experiment(
    loops: Mapping[str, Callable],
    rng: np.random.Generator,
    *,
    runs: int = 10,
    episodes: int = 500,
    step_size: float = 0.5,
    epsilon: float = 0.1,
    epsilon_greedy: Callable = control.epsilon_greedy,
    world: Gridworld | None = None,
    max_steps: int = 2000,
) -> dict[str, CliffResult]:
    """Example 6.6: what each method earns while it learns, and the path it learns.

    loops: name -> loop(env, select, episodes, step_size, gamma, rng) -> q (S, A), such as
    `control.sarsa` or a student's own; epsilon_greedy(q_row, epsilon, rng) -> int makes `select`;
    max_steps: where an episode is cut off, so that no policy can wander for ever.
    """
    world = cliff_walk() if world is None else world

    def select(q_row, generator):
        return epsilon_greedy(q_row, epsilon, generator)

    results = {}
    for name, loop in loops.items():
        returns, tables = [], []
        for _ in progress(range(runs), name):
            env = TabularEnv(world, max_steps=max_steps)
            env.reset(seed=int(rng.integers(2**31)))
            recorded = RecordReturns(env)
            q = loop(recorded, select, episodes, step_size, world.mdp.gamma, rng)
            returns.append(recorded.returns[:episodes])
            tables.append(q)
        paths = [greedy_path(world, q) for q in tables]
        results[name] = CliffResult(np.array(returns), np.array(tables), paths)
    return results


def greedy_path(world: Gridworld, q: np.ndarray, max_steps: int = 100) -> list[int]:
    """The states from the likeliest start on if the likeliest thing always happens.

    Ends in a terminal state, or where the path meets itself or `max_steps`: a policy may walk in
    circles. q: (S, A).
    """
    mdp = world.mdp
    path = [int(np.argmax(mdp.start))]
    while not mdp.terminal[path[-1]] and len(path) <= max_steps:
        s = int(np.argmax(mdp.P[path[-1], np.argmax(q[path[-1]])]))
        path.append(s)
        if s in path[:-1]:
            break
    return path


def two_optima(world: Gridworld, epsilon: float) -> dict[str, tuple[list[int], float]]:
    r"""Where SARSA and Q-learning settle if one step in 1/ε is random, and what that earns meanwhile.

    SARSA: the fixed point $q = R + \gamma P\,[(1-\varepsilon)\max_a q + \varepsilon\,\mathrm{mean}_a\,q]$, which
    is $Q^\pi$ of its own ε-greedy policy, the best of the ε-soft ones (S&B §5.4). Q-learning: $Q^*$.
    epsilon: in [0, 1]. Returns name -> the greedy path, and the expected return of an episode from the
    start when the policy acts ε-greedily.
    """
    mdp = world.mdp
    # After an end comes nothing: an absorbing row would make the system singular at γ = 1.
    P = mdp.P * ~mdp.terminal[:, None, None]

    def exploring(q: np.ndarray) -> np.ndarray:
        """V of the policy that is ε-greedy on q."""
        pi = (1 - epsilon) * greedy_policy(q) + epsilon / mdp.n_actions
        return solve_bellman(P, mdp.R, pi, mdp.gamma)

    optimal, _ = value_iteration(P, mdp.R, mdp.gamma, 1e-12)
    q, settled = optimal, False
    while not settled:
        better = q_from_v(exploring(q), P, mdp.R, mdp.gamma)
        q, settled = better, np.allclose(better, q, rtol=1e-10, atol=1e-10)
    return {
        name: (greedy_path(world, table), float(mdp.start @ exploring(table)))
        for name, table in {"SARSA": q, "Q-learning": optimal}.items()
    }


# ------------------------------------------------------------- maximisation bias (figure 6.5)


def maximisation_bias(
    rng: np.random.Generator,
    *,
    runs: int = 2000,
    episodes: int = 300,
    n_actions: int = 10,
    step_size: float = 0.1,
    epsilon: float = 0.1,
    mean: float = -0.1,
    std: float = 1.0,
    q_learning_target: Callable = control.q_learning_target,
    double_q_target: Callable = control.double_q_target,
) -> dict[str, np.ndarray]:
    """Figure 6.5: how often Q-learning and double Q-learning go left from A, episode by episode.

    Right ends with 0; left leads to B with 0, where each of `n_actions` actions ends with a reward
    from N(mean, std²). So left is wrong, and an ε-greedy policy that knows takes it with ε/2. Ties
    are broken at random, as in the book. The targets see all runs as one batch.
    Returns the fractions of runs (episodes,) under "Q-learning" and "double Q-learning".
    """
    return {
        "Q-learning": _left_actions(
            1,
            lambda reward, q, d: q_learning_target(reward, q[0], d, 1.0),
            (rng, runs, episodes, n_actions, step_size, epsilon, mean, std),
        ),
        "double Q-learning": _left_actions(
            2,
            lambda reward, q, d: double_q_target(reward, q[0], q[1], d, 1.0),
            (rng, runs, episodes, n_actions, step_size, epsilon, mean, std),
        ),
    }


LEFT, RIGHT = 0, 1


def _left_actions(n_tables: int, target: Callable, settings: tuple) -> np.ndarray:
    """Fraction of left actions; target(reward, q_next, d), where q_next[0] is to be updated."""
    rng, runs, episodes, n_actions, step_size, epsilon, mean, std = settings
    q_a = np.zeros((n_tables, runs, 2))
    q_b = np.zeros((n_tables, runs, n_actions))
    fraction = np.zeros(episodes)

    def update(q, run, action, reward, q_next, d):
        """Move table `updated[run]` of these runs; double Q tosses the coin anew at each step."""
        coin = rng.integers(n_tables, size=len(run))
        ordered = np.stack([q_next[(coin + k) % n_tables, run] for k in range(n_tables)])
        y = target(reward, ordered, np.full(len(run), d))
        q[coin, run, action] += step_size * (y - q[coin, run, action])

    for k in range(episodes):
        action = _epsilon_greedy_rows(q_a.sum(axis=0), epsilon, rng)
        left, right = np.flatnonzero(action == LEFT), np.flatnonzero(action == RIGHT)
        fraction[k] = len(left) / runs
        update(q_a, right, RIGHT, np.zeros(len(right)), q_b, 1.0)
        update(q_a, left, LEFT, np.zeros(len(left)), q_b, 0.0)
        action = _epsilon_greedy_rows(q_b.sum(axis=0)[left], epsilon, rng)
        update(q_b, left, action, rng.normal(mean, std, size=len(left)), q_b, 1.0)
    return fraction


def _epsilon_greedy_rows(q: np.ndarray, epsilon: float, rng: np.random.Generator) -> np.ndarray:
    """An ε-greedy action for each row of q (N, A), ties broken at random."""
    best = q == q.max(axis=1, keepdims=True)
    greedy = np.where(best, rng.random(q.shape), -1.0).argmax(axis=1)
    explore = rng.random(len(q)) < epsilon
    return np.where(explore, rng.integers(q.shape[1], size=len(q)), greedy)


# --------------------------------------------------------- the bias of a maximum, measured


def bias_of_the_maximum(
    n_actions: Sequence[int],
    rng: np.random.Generator,
    *,
    samples: int = 10,
    repeats: int = 10_000,
) -> tuple[np.ndarray, np.ndarray]:
    r"""$\mathbb E[\max_a \hat Q(a)]$ when every true value is 0, for one and for two estimates.

    $\hat Q(a)$ is the mean of `samples` standard normal rewards, N(0, 1/samples). Double estimation
    selects by one half of the samples and evaluates by the other half, and is unbiased here.
    Returns the mean over `repeats` of the single and of the double estimate, (len(n_actions),) each.
    """
    single, double = [], []
    for n in n_actions:
        halves = rng.normal(scale=np.sqrt(2 / samples), size=(2, repeats, n))
        single.append(halves.mean(axis=0).max(axis=1).mean())
        selected = halves[0].argmax(axis=1)
        double.append(halves[1][np.arange(repeats), selected].mean())
    return np.array(single), np.array(double)
