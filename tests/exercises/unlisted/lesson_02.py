"""Lesson 02. A key of NAMED is the mistake's name, `/` and what sets this version apart."""

import math
from collections import namedtuple
from functools import reduce

import numpy as np

# ------------------------------------------------------------------------------------ parts of answers


def policy_matrices(P, R, pi):
    return np.einsum("sa,sat->st", pi, P), np.einsum("sa,sa->s", pi, R)


def backed_up(v, P, R, pi, gamma):
    P_pi, r_pi = policy_matrices(P, R, pi)
    return r_pi + gamma * P_pi @ v


def exact(P, R, pi, gamma):
    P_pi, r_pi = policy_matrices(P, R, pi)
    return np.linalg.solve(np.eye(len(R)) - gamma * P_pi, r_pi)


def swept(stop, start=0.0, most=3000, result=lambda new, old: new):
    """Policy evaluation with another rule for stopping: stop(new, old, tolerance, gamma)."""

    def policy_evaluation(P, R, pi, gamma, tolerance):
        v = np.full(len(R), start)
        for sweeps in range(1, most + 1):
            new = backed_up(v, P, R, pi, gamma)
            if stop(new, v, tolerance, gamma) or sweeps == most:
                return result(new, v), sweeps
            v = new

    return policy_evaluation


def largest(new, old):
    return np.abs(new - old).max()


def with_q(q):
    """The exercise with q(v, P, R, gamma) in the place of the right table."""

    def q_and_advantage(v, P, R, pi, gamma):
        table = q(v, P, R, gamma)
        return table, table - (pi * table).sum(axis=1, keepdims=True)

    return q_and_advantage


def with_advantage(advantage):
    """The exercise with advantage(q, pi) on the right table."""

    def q_and_advantage(v, P, R, pi, gamma):
        q = R + gamma * (P @ v)
        return q, advantage(q, pi)

    return q_and_advantage


def with_value(value):
    """The exercise with value(q, pi) (S,) subtracted from the right table."""
    return with_advantage(lambda q, pi: q - value(q, pi)[:, None])


def whole(q, values, advantages):
    """One table of answers of three: key -> answer."""
    return (
        {f"{key}, q": with_q(f) for key, f in q.items()}
        | {f"{key}, value": with_value(f) for key, f in values.items()}
        | {f"{key}, advantage": with_advantage(f) for key, f in advantages.items()}
    )


def k_of_while(tolerance, gamma, first_change):
    k = 0
    while first_change >= tolerance:
        first_change *= gamma
        k += 1
    return k


def promise(error=lambda tol, g, f: tol * g / (1 - g), sweeps=None):
    """The exercise with another error or another number of sweeps."""

    def stopping_bound(tolerance, gamma, first_change):
        return error(tolerance, gamma, first_change), (sweeps or counted)(
            tolerance, gamma, first_change
        )

    return stopping_bound


def counted(tolerance, gamma, first_change):
    k = 1
    while gamma ** (k - 1) * first_change >= tolerance:
        k += 1
    return k


def ceiled(tolerance, gamma, first_change, add=1, whole=np.ceil):
    """By logarithms wherever there are some."""
    if first_change < tolerance:
        return 1
    if gamma == 0:
        return 2
    return int(whole(np.log(tolerance / first_change) / np.log(gamma))) + add


def sweeps_of_a_loop(tolerance, gamma, first_change):
    """One state with a loop meets the bound exactly: sweep it."""
    v, k = 0.0, 0
    while True:
        old, v, k = v, first_change + gamma * v, k + 1
        if abs(v - old) < tolerance or k > 10_000:
            return k


def spoils_v(v, P, R, gamma):
    v *= gamma
    return R + P @ v


def spoils_pi(q, pi):
    pi *= q
    return pi.sum(axis=1)


def spoils_q(q, pi):
    q -= (pi * q).sum(axis=1, keepdims=True)
    return q


def backup_into_v(v, P, R, pi, gamma):
    v[:] = backed_up(v, P, R, pi, gamma)
    return v


def backwards_in_place(v, P, R, pi, gamma):
    v = v.copy()
    for s in reversed(range(len(v))):
        v[s] = pi[s] @ (R[s] + gamma * P[s] @ v)
    return v


def last_state_forgotten(v, P, R, pi, gamma):
    new = np.zeros(len(v))
    for s in range(len(v) - 1):
        new[s] = pi[s] @ (R[s] + gamma * P[s] @ v)
    return new


def loops_swapped(v, P, R, gamma):
    q = np.zeros(R.shape)
    for s in range(R.shape[0]):
        for a in range(R.shape[1]):
            for t in range(len(v)):
                q[s, a] += R[s, a] + gamma * P[s, a, t] * v[t]  # the reward once for each t
    return q


def only_likely_states(v, P, R, gamma):
    return R + gamma * v[P.argmax(axis=2)]


def series_of_100(P, R, pi, gamma):
    v = np.zeros(len(R))
    for _ in range(100):
        v = backed_up(v, P, R, pi, gamma)
    return v


def one_state_at_a_time_until_quiet(P, R, pi, gamma, tolerance):
    """Stops at the first *state* that hardly changes."""
    v, sweeps = np.zeros(len(R)), 0
    while True:
        sweeps += 1
        for s in range(len(R)):
            old, v[s] = v[s], pi[s] @ (R[s] + gamma * P[s] @ v)
            if abs(old - v[s]) < tolerance:
                return v, sweeps


def delta_of_last_state(P, R, pi, gamma, tolerance):
    """The box without its max: delta is overwritten by every state."""
    v, sweeps = np.zeros(len(R)), 0
    while True:
        sweeps += 1
        for s in range(len(R)):
            old, v[s] = v[s], pi[s] @ (R[s] + gamma * P[s] @ v)
            delta = abs(old - v[s])
        if delta < tolerance:
            return v, sweeps


def into_first_result(v, P, R, gamma, result=[]):  # noqa: B006 — that is the mistake
    """Adds to what an earlier call with the same shapes returned."""
    if not result or result[0].shape != R.shape:
        result[:] = [np.zeros(R.shape)]
    result[0] += R + gamma * P @ v
    return result[0].copy()


def new_axis_only_where_needed(q, pi):
    v = (pi * q).sum(axis=1)
    return q - v if q.shape[0] == q.shape[1] else q - v[:, None]


def box(P, R, pi, gamma, tolerance, gather=max, start=0.0, of=abs, size=abs, most=3000):
    """The book's box, in place: delta = gather(delta, of(new - old)), until size(delta) < tolerance."""
    v, sweeps, delta = np.zeros(len(R)), 0, np.inf
    while size(delta) >= tolerance and sweeps < most:
        delta, sweeps = start, sweeps + 1
        for s in range(len(R)):
            old, v[s] = v[s], pi[s] @ (R[s] + gamma * P[s] @ v)
            delta = gather(delta, of(v[s] - old))
    return v, sweeps


def boxed(**parts):
    return lambda *given: box(*given, **parts)


def with_an_alias(P, R, pi, gamma, tolerance):
    v, sweeps, delta = np.zeros(len(R)), 0, np.inf
    while delta >= tolerance:
        new = v
        for s in range(len(R)):
            new[s] = pi[s] @ (R[s] + gamma * P[s] @ v)
        delta, v, sweeps = np.abs(new - v).max(), new, sweeps + 1
    return v, sweeps


def counted_by_range(P, R, pi, gamma, tolerance):
    v = np.zeros(len(R))
    for sweeps in range(10_000):
        old, v = v, backed_up(v, P, R, pi, gamma)
        if largest(v, old) < tolerance:
            return v, sweeps


WRONG_Q = {
    "adds to an earlier result": into_first_result,
    "P of the first state": lambda v, P, R, gamma: R + gamma * (P[0] @ v),
    "sums over s, not over s′": lambda v, P, R, gamma: R + gamma * np.einsum("sat,s->sa", P, v),
    "sums over actions": lambda v, P, R, gamma: R + gamma * (P @ v).sum(axis=1, keepdims=True),
    "γ = 0.9 by heart": lambda v, P, R, gamma: R + 0.9 * (P @ v),
    "γ squared": lambda v, P, R, gamma: R + gamma**2 * (P @ v),
    "minus": lambda v, P, R, gamma: R - gamma * (P @ v),
    "no reward": lambda v, P, R, gamma: gamma * (P @ v),
    "the likeliest next state": only_likely_states,
    "reward once for each next state": loops_swapped,
    "float32": lambda v, P, R, gamma: (R + gamma * (P @ v)).astype(np.float32),
    "float32 on the way": lambda v, P, R, gamma: R + gamma * (P.astype(np.float32) @ v.astype(np.float32)),
    "a list": lambda v, P, R, gamma: (R + gamma * (P @ v)).tolist(),
    "an axis too many": lambda v, P, R, gamma: (R + gamma * (P @ v))[:, :, None],
    "actions first": lambda v, P, R, gamma: (R + gamma * (P @ v)).T,
    "rounded": lambda v, P, R, gamma: np.round(R + gamma * (P @ v), 6),
    "changes v": spoils_v,
}  # fmt: skip

WRONG_VALUES = {
    "squeezed": lambda q, pi: np.squeeze((pi * q).sum(axis=1)),
    "logarithms": lambda q, pi: (np.exp(np.log(pi)) * q + 0 * np.log(pi)).sum(axis=1),
    "weighted by the square": lambda q, pi: (pi**2 * q).sum(axis=1),
    "a column": lambda q, pi: (pi * q).sum(axis=1, keepdims=True),
    "one number": lambda q, pi: (pi * q).sum(),
    "arguments changed round": lambda q, pi: (q / q.sum(axis=1, keepdims=True) * pi).sum(axis=1),
    "softmax of q": lambda q, pi: (np.exp(q) / np.exp(q).sum(axis=1, keepdims=True) * q).sum(axis=1),
    "first two actions": lambda q, pi: (pi * q)[:, :2].sum(axis=1),
    "the whole product": lambda q, pi: pi @ q.T,
    "zero where negative": lambda q, pi: np.maximum((pi * q).sum(axis=1), 0.0),
    "float32": lambda q, pi: (pi * q).sum(axis=1).astype(np.float32),
    "a list": lambda q, pi: [float(p @ row) for p, row in zip(pi, q, strict=True)],
    "changes pi": spoils_pi,
}  # fmt: skip

WRONG_ADVANTAGES = {
    "a new axis only where needed": new_axis_only_where_needed,
    "minus the running mean": lambda q, pi: q - np.cumsum(pi * q, axis=1),
    "of the whole table": lambda q, pi: q - (pi * q).sum(),
    "of the wrong axis": lambda q, pi: q - (pi * q).sum(axis=0),
    "minus the smallest": lambda q, pi: q - q.min(axis=1, keepdims=True),
    "scaled": lambda q, pi: (q - (pi * q).sum(axis=1, keepdims=True)) / (q.std(axis=1, keepdims=True) + 1e-8),
    "only of taken actions": lambda q, pi: np.where(pi > 0.5, q - (pi * q).sum(axis=1, keepdims=True), 0.0),
    "its absolute value": lambda q, pi: np.abs(q - (pi * q).sum(axis=1, keepdims=True)),
    "never negative": lambda q, pi: np.maximum(q - (pi * q).sum(axis=1, keepdims=True), 0.0),
    "the mean": lambda q, pi: (pi * (q - (pi * q).sum(axis=1, keepdims=True))).sum(axis=1),
    "minus the likeliest action's": lambda q, pi: q - q[np.arange(len(q)), pi.argmax(axis=1)][:, None],
    "float32": lambda q, pi: (q - (pi * q).sum(axis=1, keepdims=True)).astype(np.float32),
    "changes q": spoils_q,
}  # fmt: skip

WRONG = {
    "q_and_advantage": whole(WRONG_Q, WRONG_VALUES, WRONG_ADVANTAGES) | {
        "only q": lambda v, P, R, pi, g: R + g * P @ v,
        "only the advantage": lambda *given: with_advantage(lambda q, pi: q - (pi * q).sum(1, keepdims=True))(*given)[1],
        "the value as well": lambda *given: (*with_q(lambda v, P, R, g: R + g * P @ v)(*given), given[0]),
        "one array of both": lambda *given: np.stack(with_q(lambda v, P, R, g: R + g * P @ v)(*given)),
        "the values of V^π": lambda v, P, R, pi, g: (
            R + g * P @ v, R + g * P @ v - exact(P, R, pi, min(g, 0.99))[:, None]
        ),
        "q of V^π": lambda v, P, R, pi, g: with_q(lambda v, P, R, g: R + g * P @ v)(
            exact(P, R, pi, min(g, 0.99)), P, R, pi, g
        ),
        "q after a backup": lambda v, P, R, pi, g: with_q(lambda v, P, R, g: R + g * P @ v)(
            backed_up(v, P, R, pi, g), P, R, pi, g
        ),
        "minus v of the next state": lambda v, P, R, pi, g: (R + g * P @ v, R + g * P @ v - P @ v),
    },
    "stopping_bound": {
        "the error squared": promise(lambda tol, g, f: tol * g / (1 - g) ** 2),
        "γ squared": promise(lambda tol, g, f: tol * g**2 / (1 - g)),
        "γ over one plus γ": promise(lambda tol, g, f: tol * g / (1 + g)),
        "one plus γ": promise(lambda tol, g, f: tol * (1 + g)),
        "of the first change": promise(lambda tol, g, f: f * g / (1 - g)),
        "γ = 0.9 by heart": promise(lambda tol, g, f: 9.0 * tol),
        "a rounded error": promise(lambda tol, g, f: round(tol * g / (1 - g), 6)),
        "an error in float32": promise(lambda tol, g, f: float(np.float32(tol * g / (1 - g)))),
        "ten terms of the sum": promise(lambda tol, g, f: tol * sum(g**k for k in range(1, 11))),
        "sweeps as a float": promise(sweeps=lambda *given: float(counted(*given))),
        "sweeps not whole": promise(sweeps=lambda tol, g, f: 1 + np.log(tol / max(f, tol)) / np.log(max(g, 1e-9))),
        "sweeps rounded": promise(sweeps=lambda *given: ceiled(*given, whole=np.round)),
        "at most 100 sweeps": promise(sweeps=lambda *given: min(100, counted(*given))),
        "logarithm of 10 and of e": promise(
            sweeps=lambda tol, g, f: 1 if f < tol else 2 if g == 0 else 1 + int(np.ceil(np.log10(tol / f) / np.log(g)))
        ),
        "the horizon": promise(sweeps=lambda tol, g, f: int(np.ceil(1 / (1 - g)))),
        "no sweep is needed": promise(sweeps=lambda tol, g, f: 0),
        "only the error": lambda tol, g, f: tol * g / (1 - g),
        "sweeps first": lambda tol, g, f: (counted(tol, g, f), tol * g / (1 - g)),
        "nan where γ = 0": lambda tol, g, f: (tol * g / (1 - g), counted(tol, g, f) if g else np.nan),
    },
    "bellman_backup": {
        "changes v": backup_into_v,
        "in place, backwards": backwards_in_place,
        "last state forgotten": last_state_forgotten,
        "two backups": lambda v, P, R, pi, g: backed_up(backed_up(v, P, R, pi, g), P, R, pi, g),
        "half a step": lambda v, P, R, pi, g: 0.5 * v + 0.5 * backed_up(v, P, R, pi, g),
        "transposed": lambda v, P, R, pi, g: policy_matrices(P, R, pi)[1] + g * policy_matrices(P, R, pi)[0].T @ v,
        "reward without π": lambda v, P, R, pi, g: R.mean(axis=1) + g * policy_matrices(P, R, pi)[0] @ v,
        "the likeliest action": lambda v, P, R, pi, g: (R + g * P @ v)[np.arange(len(v)), pi.argmax(axis=1)],
        "the change instead": lambda v, P, R, pi, g: backed_up(v, P, R, pi, g) - v,
        "no reward": lambda v, P, R, pi, g: backed_up(v, P, 0 * R, pi, g),
        "the table of actions": lambda v, P, R, pi, g: pi * (R + g * P @ v),
        "γ = 0.9 by heart": lambda v, P, R, pi, g: backed_up(v, P, R, pi, 0.9),
        "a column": lambda v, P, R, pi, g: backed_up(v, P, R, pi, g)[:, None],
        "V^π at once": lambda v, P, R, pi, g: exact(P, R, pi, min(g, 0.99)),
    },
    "solve_bellman": {
        "100 sweeps": series_of_100,
        "until it moves by 1e-6": lambda P, R, pi, g: swept(lambda new, old, *_: largest(new, old) < 1e-6)(
            P, R, pi, g, 0.0
        )[0],
        "γ on the reward": lambda P, R, pi, g: g * exact(P, R, pi, g),
        "the average reward": lambda P, R, pi, g: (1 - g) * exact(P, R, pi, g),
        "uniform policy": lambda P, R, pi, g: exact(P, R, np.full(R.shape, 1 / R.shape[1]), g),
        "likeliest actions": lambda P, R, pi, g: exact(P, R, np.eye(R.shape[1])[pi.argmax(axis=1)], g),
        "P averaged over actions": lambda P, R, pi, g: np.linalg.solve(
            np.eye(len(R)) - g * P.mean(axis=1), policy_matrices(P, R, pi)[1]
        ),
        "γ on the identity": lambda P, R, pi, g: np.linalg.solve(
            g * np.eye(len(R)) - policy_matrices(P, R, pi)[0] + 1e-9, policy_matrices(P, R, pi)[1]
        ),
        "multiplied, not solved": lambda P, R, pi, g: (np.eye(len(R)) - g * policy_matrices(P, R, pi)[0])
        @ policy_matrices(P, R, pi)[1],
        "γ = 0.9 by heart": lambda P, R, pi, g: exact(P, R, pi, 0.9),
        "γ nudged": lambda P, R, pi, g: exact(P, R, pi, g * (1 - 1e-6)),
        "a column": lambda P, R, pi, g: exact(P, R, pi, g)[:, None],
        "float32": lambda P, R, pi, g: exact(P, R, pi, g).astype(np.float32),
    },
    "policy_evaluation": {
        "change of absolute values": swept(lambda new, old, tol, g: (np.abs(new) - np.abs(old)).max() < tol),
        "delta starts at 1": lambda P, R, pi, g, tol: box(P, R, pi, g, tol, start=1.0, most=400),
        "capped by range": lambda *given: box(*given, most=90),
        "the old v": swept(lambda new, old, tol, g: largest(new, old) < tol, result=lambda new, old: old),
        "a fixed tolerance": swept(lambda new, old, tol, g: largest(new, old) < 1e-6),
        "relative change": swept(lambda new, old, tol, g: largest(new, old) < tol * (1e-12 + np.abs(new).max())),
        "Euclidean norm": swept(lambda new, old, tol, g: np.linalg.norm(new - old) < tol),
        "sum of changes": swept(lambda new, old, tol, g: np.abs(new - old).sum() < tol),
        "any state settled": swept(lambda new, old, tol, g: (np.abs(new - old) < tol).any()),
        "first state": swept(lambda new, old, tol, g: abs(new[0] - old[0]) < tol),
        "last state": swept(lambda new, old, tol, g: abs(new[-1] - old[-1]) < tol),
        "difference of the largest": swept(lambda new, old, tol, g: abs(new.max() - old.max()) < tol),
        "squared change": swept(lambda new, old, tol, g: ((new - old) ** 2).max() < tol),
        "np.allclose": swept(lambda new, old, tol, g: np.allclose(new, old, atol=tol)),
        "starts at ones": swept(lambda new, old, tol, g: largest(new, old) < tol, start=1.0),
        "the error's bound": swept(lambda new, old, tol, g: g * largest(new, old) < tol * (1 - g + (g == 1))),
        "at most 50 sweeps": swept(lambda new, old, tol, g: largest(new, old) < tol, most=50),
        "until a state is quiet": one_state_at_a_time_until_quiet,
        "delta without its max": delta_of_last_state,
        "exactly": lambda P, R, pi, g, tol: (exact(P, R, pi, min(g, 1 - 1e-9)), 1),
        "only v": lambda *given: swept(lambda new, old, tol, g: largest(new, old) < tol)(*given)[0],
        "sweeps as a float": lambda *given: (lambda v, n: (v, float(n)))(
            *swept(lambda new, old, tol, g: largest(new, old) < tol)(*given)
        ),
        "sweeps first": lambda *given: swept(lambda new, old, tol, g: largest(new, old) < tol)(*given)[::-1],
    },
}  # fmt: skip

# -------------------------------------------------------------------------------- unusual right ones


def loop_of_three(v, P, R, gamma):
    q = np.copy(R)
    for s, a, t in np.ndindex(P.shape):
        q[s, a] += gamma * P[s, a, t] * v[t]
    return q


def in_place_with_numpy_count(P, R, pi, gamma, tolerance):
    """The book's box; a count by NumPy, a list that is turned into an array at the end."""
    v, sweeps, delta = [0.0] * len(R), np.int64(0), np.inf
    while delta > tolerance:
        delta = 0.0
        for s in range(len(R)):
            old = v[s]
            v[s] = float(pi[s] @ (R[s] + gamma * P[s] @ np.array(v)))
            delta = max(delta, abs(old - v[s]))
        sweeps += 1
    return np.array(v), sweeps


def all_settled(P, R, pi, gamma, tolerance):
    P_pi, r_pi = policy_matrices(P, R, pi)
    old, v, n = np.full(len(R), np.inf), np.zeros(len(R)), 0
    while not np.all(np.abs(v - old) < tolerance):
        old, v, n = v, r_pi + gamma * P_pi @ v, n + 1
    return [v, n]


def by_q_sweeps(P, R, pi, gamma, tolerance):
    v, n = np.zeros(len(R)), 0
    while True:
        q = R + gamma * np.tensordot(P, v, axes=1)
        change, v, n = np.linalg.norm((pi * q).sum(axis=1) - v, np.inf), (pi * q).sum(axis=1), n + 1
        if change <= tolerance:
            return v, n


def neumann(P, R, pi, gamma):
    """(I − γP)⁻¹ = Π (I + (γP)^(2^k))."""
    M, v = gamma * policy_matrices(P, R, pi)[0], policy_matrices(P, R, pi)[1]
    for _ in range(12):
        v, M = v + M @ v, M @ M
    return v


def by_cramers_rule(P, R, pi, gamma):
    M, r_pi = policy_matrices(P, R, pi)
    A = np.eye(len(R)) - gamma * M
    swapped = [np.where(np.arange(len(R)) == s, r_pi[:, None], A) for s in range(len(R))]
    return np.linalg.det(np.array(swapped)) / np.linalg.det(A)


class Evaluation:
    def __call__(self, P, R, pi, gamma, tolerance):
        self.v, self.sweeps = np.zeros(len(R)), 0
        while self.sweep(P, R, pi, gamma) >= tolerance:
            pass
        return self.v, self.sweeps

    def sweep(self, *mdp):
        old, self.v = self.v, backed_up(self.v, *mdp)
        self.sweeps += 1
        return np.linalg.norm(self.v - old, np.inf)


Answer = namedtuple("Answer", "v sweeps")
Tables = namedtuple("Tables", "q adv")


def halved(tolerance, gamma, first_change):
    """The smallest k by halving an interval of whole numbers."""
    low, high = 0, 1 << 20
    while high - low > 1:
        k = (low + high) // 2
        low, high = (low, k) if gamma ** (k - 1) * first_change < tolerance else (k, high)
    return high


RIGHT_Q = {
    "a masked array": lambda v, P, R, gamma: np.ma.array(R + gamma * (P @ v)),
    "three loops": loop_of_three,
    "products and a sum": lambda v, P, R, gamma: (P * v).sum(-1) * gamma + R,
    "np.dot": lambda v, P, R, gamma: np.add(R, np.multiply(gamma, np.dot(P, v))),
    "flattened": lambda v, P, R, gamma: R + gamma * (P.reshape(-1, len(v)) @ v).reshape(R.shape),
    "Fortran order": lambda v, P, R, gamma: np.asfortranarray(R + gamma * (P @ v)),
    "average": lambda v, P, R, gamma: R + gamma * np.average(np.broadcast_to(v, P.shape), axis=2, weights=P),
}  # fmt: skip

RIGHT_VALUES = {
    "reduce": lambda q, pi: reduce(np.add, (pi * q).T),
    "diagonal": lambda q, pi: np.diagonal(pi @ q.T),
    "matmul": lambda q, pi: (pi[:, None, :] @ q[:, :, None])[:, 0, 0],
    "fromiter": lambda q, pi: np.fromiter((p @ r for p, r in zip(pi, q, strict=True)), dtype=float),
    "vecdot by columns": lambda q, pi: sum(pi[:, a] * q[:, a] for a in range(q.shape[1])),
}  # fmt: skip

RIGHT_ADVANTAGES = {
    "reshape": lambda q, pi: q - (pi * q).sum(axis=1).reshape(-1, 1),
    "a matrix of differences": lambda q, pi: np.einsum("sab,sb->sa", q[:, :, None] - q[:, None, :], pi),
    "repeat": lambda q, pi: q - np.repeat((pi * q).sum(axis=1), q.shape[1]).reshape(q.shape),
    "shifted first": lambda q, pi: (q - q.max()) - (pi * (q - q.max())).sum(axis=1, keepdims=True),
}  # fmt: skip

RIGHT = {
    "q_and_advantage": whole(RIGHT_Q, RIGHT_VALUES, RIGHT_ADVANTAGES) | {
        "a named tuple": lambda *given: Tables(*with_q(lambda v, P, R, g: R + g * P @ v)(*given)),
        "a list of both": lambda *given: list(with_q(lambda v, P, R, g: R + g * P @ v)(*given)),
        "the advantage of reward and future apart": lambda v, P, R, pi, g: (
            R + g * P @ v,
            (R - (pi * R).sum(1, keepdims=True)) + g * (P @ v - (pi * (P @ v)).sum(1, keepdims=True)),
        ),
    },
    "stopping_bound": {
        "a loop with one state": promise(sweeps=sweeps_of_a_loop),
        "by logarithms of NumPy": promise(sweeps=ceiled),
        "floor of what lies above": promise(
            sweeps=lambda tol, g, f: 1 if f < tol else 2 if g == 0 else int(np.log(tol / f) / np.log(g)) + 2
        ),
        "a clipped logarithm": promise(
            sweeps=lambda tol, g, f: int(max(1, 1 + np.ceil(np.log(tol / max(f, tol / 2)) / np.log(max(g, 1e-300)))))
        ),
        "a generator": promise(
            sweeps=lambda tol, g, f: next(k for k in range(1, 10**6) if g ** (k - 1) * f < tol)
        ),
        "bisection over whole numbers": promise(sweeps=halved),
        "numbers of NumPy": lambda tol, g, f: (np.float64(tol * g / (1 - g)), np.int64(counted(tol, g, f))),
        "a list": lambda tol, g, f: [np.array(tol / (1 / g - 1) if g else 0.0), counted(tol, g, f)],
        "a long geometric sum": promise(lambda tol, g, f: tol * float(sum(g**k for k in range(1, 6000)))),
    },
    "bellman_backup": {
        "matrices": backed_up,
        "one einsum": lambda v, P, R, pi, g: np.einsum("sa,sat,sat->s", pi, P, R[:, :, None] + g * v),
        "a list turned into an array": lambda v, P, R, pi, g: np.array(
            [pi[s] @ (R[s] + g * P[s] @ v) for s in range(len(v))]
        ),
        "a copy written over": lambda v, P, R, pi, g: backup_into_v(v.copy(), P, R, pi, g),
    },
    "solve_bellman": {
        "Cramer's rule": by_cramers_rule,
        "the Neumann product": neumann,
        "pseudoinverse": lambda P, R, pi, g: np.linalg.pinv(np.eye(len(R)) - g * policy_matrices(P, R, pi)[0])
        @ policy_matrices(P, R, pi)[1],
        "signs turned": lambda P, R, pi, g: np.linalg.solve(
            g * policy_matrices(P, R, pi)[0] - np.eye(len(R)), -policy_matrices(P, R, pi)[1]
        ),
        "a column, flattened": lambda P, R, pi, g: np.linalg.solve(
            np.eye(len(R)) - g * policy_matrices(P, R, pi)[0], policy_matrices(P, R, pi)[1][:, None]
        ).ravel(),
        "2000 sweeps": lambda P, R, pi, g: swept(lambda *_: False, most=2000)(P, R, pi, g, 0.0)[0],
    },
    "policy_evaluation": {
        "an object with a state of its own": Evaluation(),
        "a named tuple, in place": lambda *given: Answer(*box(*given)),
        "in place, with `>`": in_place_with_numpy_count,
        "all settled, a list": all_settled,
        "through q": by_q_sweeps,
    },
}  # fmt: skip


NAMED_Q = {
    "best-of-all-states/of all": lambda v, P, R, gamma: R + gamma * v.max(),
    "no-probabilities/where": lambda v, P, R, gamma: R + gamma * np.where(P > 0, v, 0).sum(axis=2),
    "own-value/P summed": lambda v, P, R, gamma: R + gamma * P.sum(axis=2) * v[:, None],
    "gamma-on-reward/inside": lambda v, P, R, gamma: gamma * (P * (R[..., None] + v)).sum(axis=2),
}  # fmt: skip

NAMED_VALUES = {
    "averaged-twice/count": lambda q, pi: (pi * q).sum(axis=1) / (pi > 0).sum(axis=1),
    "minus-max/greedy": lambda q, pi: (np.eye(q.shape[1])[q.argmax(axis=1)] * q).sum(axis=1),
    "likeliest-action/take": lambda q, pi: np.take_along_axis(q, pi.argmax(axis=1)[:, None], 1)[:, 0],
}  # fmt: skip

NAMED_ADVANTAGES = {
    "sum-over-states/diagonal": lambda q, pi: q - np.diagonal(pi.T @ q),
    "minus-max/greedy rows": lambda q, pi: q - np.sort(q, axis=1)[:, -1:],
    "wrong-axis/diagonal": lambda q, pi: q - np.diag(q @ pi.T),
    "weighted/expanded": lambda q, pi: pi * q - pi * (pi * q).sum(axis=1)[:, None],
    "minus-plain-mean/transposed": lambda q, pi: (q.T - q.mean(axis=1)).T,
}  # fmt: skip

NAMED = {
    "q_and_advantage": whole(NAMED_Q, NAMED_VALUES, NAMED_ADVANTAGES),
    "stopping_bound": {
        "bound-of-the-old-table/horizon": promise(lambda tol, g, f: tol * (1 / (1 - g))),
        "bound-of-the-old-table/all terms": promise(lambda tol, g, f: tol + tol * g / (1 - g)),
        "tolerance-for-error/np": promise(lambda tol, g, f: np.float64(tol)),
        "inverted/quotient": promise(lambda tol, g, f: tol / (g / (1 - g))),
        "inverted/product": promise(lambda tol, g, f: tol * (1 - g)),
        "next-sweep-only/product": promise(lambda tol, g, f: g * tol),
        "doubled/two distances": promise(lambda tol, g, f: 2 * g * tol / (1 - g)),
        "one-sweep-less/while": promise(sweeps=lambda tol, g, f: k_of_while(tol, g, f)),
        "one-sweep-less/from 1": promise(
            sweeps=lambda tol, g, f: next(k for k in range(1, 10**6) if g**k * f < tol)
        ),
        "one-sweep-more/range": promise(
            sweeps=lambda tol, g, f: next(k for k in range(1, 10**6) if g ** (k - 1) * f < tol) + 1
        ),
        "one-sweep-more/logarithm": promise(sweeps=lambda *given: ceiled(*given, add=2) if given[2] >= given[0] else 1),
        "rounds-down/int": promise(
            sweeps=lambda tol, g, f: 1 if f < tol else 2 if g == 0 else 1 + int(np.log(tol / f) / np.log(g))
        ),
        "by-the-error/logarithm": promise(
            sweeps=lambda tol, g, f: 1 if g == 0 or f < tol else int(np.ceil(np.log(tol * (1 - g) / f) / np.log(g)))
        ),
        "by-the-error/γ/(1 − γ)": promise(
            sweeps=lambda tol, g, f: next(k for k in range(1, 10**6) if g / (1 - g) * g ** (k - 1) * f < tol)
        ),
        "nothing-to-do/negative": promise(
            sweeps=lambda tol, g, f: 2 if g == 0 else 1 if f == 0 else 1 + int(np.ceil(np.log(tol / f) / np.log(g)))
        ),
        "nothing-to-do/logarithms of 0": promise(
            sweeps=lambda tol, g, f: 1 + math.ceil(math.log(tol / f) / math.log(g))
        ),
        "nothing-to-do/at γ = 0 only": promise(
            sweeps=lambda tol, g, f: 1 if f < tol else 1 + math.ceil((math.log(tol) - math.log(f)) / math.log(g))
        ),
        "nothing-to-do/infinite": promise(
            sweeps=lambda tol, g, f: max(1, 1 + int(np.ceil((np.log(tol) - np.log(f)) / np.log(g))))
        ),
        "by-the-first-change/a priori": lambda tol, g, f: (
            g ** counted(tol, g, f) / (1 - g) * f, counted(tol, g, f)
        ),
    },
    "bellman_backup": {
        "in-place-sweep/into-v": lambda v, P, R, pi, g: [
            v.__setitem__(s, pi[s] @ (R[s] + g * P[s] @ v)) for s in range(len(v))
        ] and v,
        "ignores-policy/matrices": lambda v, P, R, pi, g: R.mean(axis=1) + g * P.mean(axis=1) @ v,
        "no-gamma/matrices": lambda v, P, R, pi, g: backed_up(v, P, R, pi, 1.0),
    },
    "solve_bellman": {
        "no-gamma/inverse": lambda P, R, pi, g: np.linalg.inv(np.eye(len(R)) - policy_matrices(P, R, pi)[0])
        @ policy_matrices(P, R, pi)[1],
        "no-gamma/nearly": lambda P, R, pi, g: np.linalg.solve(
            (1 + 1e-12) * np.eye(len(R)) - policy_matrices(P, R, pi)[0], policy_matrices(P, R, pi)[1]
        ),
        "no-gamma/pseudoinverse": lambda P, R, pi, g: np.linalg.pinv(
            np.eye(len(R)) - policy_matrices(P, R, pi)[0]
        ) @ policy_matrices(P, R, pi)[1],
        "ones-not-identity/pseudoinverse": lambda P, R, pi, g: np.linalg.pinv(
            1 - g * policy_matrices(P, R, pi)[0]
        ) @ policy_matrices(P, R, pi)[1],
        "transposed/from the left": lambda P, R, pi, g: policy_matrices(P, R, pi)[1]
        @ np.linalg.inv(np.eye(len(R)) - g * policy_matrices(P, R, pi)[0]),
    },
    "policy_evaluation": {
        "signed-differences/box": boxed(gather=lambda delta, change: delta + change, of=float),
        "signed-differences/sums": swept(lambda new, old, tol, g: abs(new.sum() - old.sum()) < tol),
        "no-absolute-value/box": boxed(of=float),
        "no-absolute-value/old minus new": swept(lambda new, old, tol, g: (old - new).max() < tol),
        "no-absolute-value/too late": swept(lambda new, old, tol, g: abs((new - old).max()) < tol),
        "any-state-settled/box": boxed(gather=min, start=np.inf),
        "mean-change/box": lambda P, R, pi, g, tol: box(
            P, R, pi, g, tol * len(R), gather=lambda delta, change: delta + change
        ),
        "one-sweep/rewards": lambda P, R, pi, g, tol: ((pi * R).sum(axis=1), 1),
        "last-sweep-not-counted/range": counted_by_range,
        "old-and-new-same-array/new is v": with_an_alias,
    },
}  # fmt: skip
