"""Markov decision processes as arrays, what a policy makes of them, and the small ones of the books.

`P[s, a, s']`, `R[s, a]`, `pi[s, a]`, `start[s]`; float64. r(s, a) is the mean reward for leaving s
by a.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class MDP:
    """A finite MDP, checked when it is made.

    P: (S, A, S), rows sum to 1; R: (S, A) mean rewards; start: (S,) a distribution; gamma: in
    [0, 1]; terminal: (S,) bool, absorbing states without reward that end an episode (default:
    none). R_next: (S, A, S) rewards where they depend on s' (then R must be their mean), reward_std:
    (S, A) of normal noise on the rewards: both matter only to somebody who samples.
    Raises ValueError, naming the array and the state.
    """

    P: np.ndarray
    R: np.ndarray
    start: np.ndarray
    gamma: float
    terminal: np.ndarray | None = None
    R_next: np.ndarray | None = None
    reward_std: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("P", "R", "start", "R_next", "reward_std"):
            if getattr(self, name) is not None:
                self._set(name, np.array(getattr(self, name), dtype=np.float64))
        if self.R.ndim != 2 or self.P.shape != (*self.R.shape, len(self.R)):
            raise ValueError(
                f"P must be (S, A, S) and R (S, A): got {self.P.shape}, {self.R.shape}"
            )
        ends = np.zeros(self.n_states) if self.terminal is None else self.terminal
        self._set("terminal", np.array(ends, dtype=bool))
        for name, shape in (
            ("terminal", (self.n_states,)),
            ("R_next", self.P.shape),
            ("reward_std", self.R.shape),
        ):
            if getattr(self, name) is not None and getattr(self, name).shape != shape:
                raise ValueError(f"{name} must be {shape}, not {getattr(self, name).shape}")
        if not np.isfinite(self.R).all():
            raise ValueError("R must be finite")
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma must lie in [0, 1], not {self.gamma}")
        if self.start.shape != (self.n_states,) or not _is_distribution(self.start):
            raise ValueError(f"start must be a distribution over {self.n_states} states")
        for s, a in np.ndindex(self.R.shape):
            if not _is_distribution(self.P[s, a]):
                raise ValueError(f"P[{s}, {a}] is no distribution: it sums to {self.P[s, a].sum()}")
        for s in np.flatnonzero(self.terminal):
            if not (self.P[s, :, s] == 1).all() or self.R[s].any():
                raise ValueError(f"terminal state {s} must lead to itself without reward")
        if self.R_next is not None and not np.allclose((self.P * self.R_next).sum(2), self.R):
            raise ValueError("R is not the mean of R_next under P")
        if self.reward_std is not None and not (self.reward_std >= 0).all():
            raise ValueError("reward_std must not be negative")

    def _set(self, name: str, value: np.ndarray) -> None:
        object.__setattr__(self, name, value)  # the dataclass is frozen

    @property
    def n_states(self) -> int:
        return self.R.shape[0]

    @property
    def n_actions(self) -> int:
        return self.R.shape[1]


def _is_distribution(p: np.ndarray) -> bool:
    return bool((p >= 0).all() and abs(p.sum() - 1) < 1e-9)


# --------------------------------------------------------------- what a policy makes of an MDP


def policy_transition(P, pi) -> np.ndarray:
    r"""$P^\pi(s'|s) = \sum_a \pi(a|s)\, p(s'|s,a)$: a policy turns an MDP into a Markov chain.

    P: (S, A, S); pi: (S, A). Returns (S, S) [s, s'], rows sum to 1. Puterman 1994 §5.6.
    """
    return np.einsum("sa,sat->st", pi, P)


def policy_reward(R, pi) -> np.ndarray:
    r"""$r^\pi(s) = \sum_a \pi(a|s)\, r(s,a)$.

    R: (S, A), may be whole numbers; pi: (S, A). Returns (S,).
    """
    return (pi * R).sum(axis=1)


def policy_chain(P, R, pi) -> tuple[np.ndarray, np.ndarray]:
    r"""What is left of an MDP when a policy is fixed: a Markov chain with rewards.

    $P^\pi(s'|s) = \sum_a \pi(a|s)\, p(s'|s,a)$ and $r^\pi(s) = \sum_a \pi(a|s)\, r(s,a)$
    — Puterman 1994 §5.6.

    P: (S, A, S); R: (S, A), may be whole numbers; pi: (S, A). Returns (S, S) [s, s'] and (S,).
    """
    return policy_transition(P, pi), policy_reward(R, pi)


def discounted_occupancy(P_pi, start, gamma) -> np.ndarray:
    r"""$\eta^\pi(s) = (1-\gamma) \sum_{t \ge 0} \gamma^t \Pr(s_t = s)$, a distribution.

    Solves $(I - \gamma P_\pi^\top)\, \eta^\pi = (1-\gamma)\, start$ — Puterman 1994 §6.9; Kakade &
    Langford 2002. S&B (9.2) leaves out the factor 1−γ.

    P_pi: (S, S); start: (S,); gamma: in [0, 1). Returns (S,).
    """
    return np.linalg.solve(np.eye(len(start)) - gamma * P_pi.T, (1 - gamma) * start)


def expected_return(P, R, pi, start, gamma) -> float:
    r"""$J(\pi) = \mathbb E_\tau[\sum_t \gamma^t r_t] = \frac{1}{1-\gamma} \sum_s \eta^\pi(s)\, r^\pi(s)$.

    P: (S, A, S); R, pi: (S, A); start: (S,); gamma: in [0, 1). Returns a float.
    """
    P_pi, r_pi = policy_chain(P, R, pi)
    return float(discounted_occupancy(P_pi, start, gamma) @ r_pi / (1 - gamma))


def sample_trajectory(P, R, pi, start, horizon, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""$s_0 \sim start$; then $a_t \sim \pi(\cdot|s_t)$, $r_t = R[s_t,a_t]$, $s_{t+1} \sim P[s_t,a_t]$.

    Every draw is one `rng.choice(n, p=row)`, in this order. Absorbing states are walked on in.
    Returns states (T+1,) int, actions (T,) int, rewards (T,) float64 with T = horizon ≥ 0.
    """
    n_states, n_actions = pi.shape
    states = np.zeros(horizon + 1, dtype=np.int64)
    actions = np.zeros(horizon, dtype=np.int64)
    states[0] = rng.choice(n_states, p=start)
    for t in range(horizon):
        actions[t] = rng.choice(n_actions, p=pi[states[t]])
        states[t + 1] = rng.choice(n_states, p=P[states[t], actions[t]])
    return states, actions, np.asarray(R[states[:-1], actions], dtype=np.float64)


# ------------------------------------------------------------------------------- small MDPs


def garnet(n_states: int, n_actions: int, branching: int, rng, gamma: float = 0.9) -> MDP:
    """A random MDP: from every (s, a) to `branching` states, with standard normal rewards.

    Archibald, McKinnon & Thomas 1995. Raises ValueError unless 1 ≤ branching ≤ n_states.
    """
    if not 1 <= branching <= n_states:
        raise ValueError(f"branching must lie in 1 … {n_states}, not {branching}")
    P = np.zeros((n_states, n_actions, n_states))
    for s, a in np.ndindex(n_states, n_actions):
        reached = rng.choice(n_states, size=branching, replace=False)
        P[s, a, reached] = rng.dirichlet(np.ones(branching))
    start = np.full(n_states, 1 / n_states)
    return MDP(P, rng.normal(size=(n_states, n_actions)), start, gamma)


def random_walk(n: int, left: float = 0.0, right: float = 1.0, gamma: float = 1.0) -> MDP:
    """States 1 … n in a row between two terminal ones, 0 and n+1; one action, a fair coin's step.

    Leaving at the left end pays `left`, at the right end `right`; it starts in the middle.
    S&B example 6.2 (n = 5) and 7.1 (n = 19, left −1).
    """
    n_states = n + 2
    P = np.zeros((n_states, 1, n_states))
    R_next = np.zeros_like(P)
    for s in range(1, n + 1):
        P[s, 0, [s - 1, s + 1]] = 0.5
    P[0, 0, 0] = P[-1, 0, -1] = 1.0
    R_next[1, 0, 0], R_next[n, 0, n + 1] = left, right
    return _with_ends(P, R_next, start=(n + 1) // 2, terminal=[0, n + 1], gamma=gamma)


def random_walk_values(n: int, left: float = 0.0, right: float = 1.0) -> np.ndarray:
    """The walk's true values (n+2,) for γ = 1: a straight line from end to end, 0 in the ends."""
    values = left + (right - left) * np.arange(n + 2) / (n + 1)
    values[[0, -1]] = 0.0
    return values


def chain(n: int, gamma: float = 0.9) -> MDP:
    """States 0 … n−1 in a row, actions 0 (left) and 1 (right); only reaching the last one pays, 1."""
    P = np.zeros((n, 2, n))
    R_next = np.zeros_like(P)
    for s in range(n - 1):
        P[s, 0, max(s - 1, 0)] = P[s, 1, s + 1] = 1.0
    P[n - 1, :, n - 1] = 1.0
    R_next[n - 2, 1, n - 1] = 1.0
    return _with_ends(P, R_next, start=0, terminal=[n - 1], gamma=gamma)


def two_corridors(near: float, far: float, n_near: int, n_far: int, gamma: float) -> MDP:
    """One decision, in state 0, then corridors without a choice; a treasure ends the episode.

    Action 0 leads to a treasure of `near` that the n_near-th step pays, action 1 to one of `far`
    that the n_far-th step pays; nothing else is paid. The last state is terminal. The corridors'
    two actions are copies of each other. Raises ValueError unless 1 ≤ n_near and 1 ≤ n_far.
    """
    if min(n_near, n_far) < 1:
        raise ValueError(f"a treasure is at least one step away, not {min(n_near, n_far)}")
    n_states = n_near + n_far
    P, R = np.zeros((n_states, 2, n_states)), np.zeros((n_states, 2))
    end = n_states - 1
    inner = (range(1, n_near), range(n_near, end))
    for action, (treasure, corridor) in enumerate(zip((near, far), inner, strict=True)):
        way = [*corridor, end]
        P[0, action, way[0]] = 1.0
        for here, there in pairwise(way):
            P[here, :, there] = 1.0
        if len(way) == 1:
            R[0, action] = treasure
        else:
            R[way[-2]] = treasure
    P[end, :, end] = 1.0
    return MDP(P, R, np.eye(n_states)[0], gamma, np.arange(n_states) == end)


def maximisation_bias_mdp(n_actions: int = 10, mean: float = -0.1, std: float = 1.0) -> MDP:
    """The MDP of S&B example 6.7, on which a maximum of estimates goes wrong.

    State 0 (A): action 1 (right) ends at once with 0, action 0 (left) leads to state 1 (B) with 0;
    in B each of `n_actions` actions ends with a reward from N(mean, std²). State 2 is terminal. In
    A all further actions are copies of "right".
    """
    P = np.zeros((3, n_actions, 3))
    P[0, 0, 1] = 1.0
    P[0, 1:, 2] = P[1, :, 2] = P[2, :, 2] = 1.0
    R, reward_std = np.zeros((3, n_actions)), np.zeros((3, n_actions))
    R[1], reward_std[1] = mean, std
    terminal = np.array([False, False, True])
    return MDP(P, R, np.eye(3)[0], 1.0, terminal, reward_std=reward_std)


def _with_ends(P, R_next, start: int, terminal: list[int], gamma: float) -> MDP:
    n_states = len(P)
    flags = np.isin(np.arange(n_states), terminal)
    return MDP(P, (P * R_next).sum(axis=2), np.eye(n_states)[start], gamma, flags, R_next)
