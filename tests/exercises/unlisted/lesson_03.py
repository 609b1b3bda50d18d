"""Lesson 03. A key of NAMED is the mistake's name, `/` and what sets this version apart."""

from functools import reduce

import numpy as np

# ------------------------------------------------------------------------------------ parts of answers


def one_hot(actions, n_actions):
    return np.eye(n_actions)[actions]


def look_ahead(v, P, R, gamma):
    return R + gamma * np.einsum("sat,t->sa", P, v)


def exact(P, R, actions, gamma):
    s = np.arange(len(R))
    return np.linalg.solve(np.eye(len(R)) - gamma * P[s, actions], R[s, actions])


def largest(new, old):
    return np.abs(new - old).max()


def swept(
    stop=lambda new, old, tolerance: largest(new, old) < tolerance,
    backup=lambda q, P, R, gamma: look_ahead(q.max(axis=1), P, R, gamma),
    start=0.0,
    most=3000,
    result=lambda new, old: new,
):
    """Value iteration with its parts exchangeable."""

    def value_iteration(P, R, gamma, tolerance):
        q = np.full(R.shape, start)
        for sweeps in range(1, most + 1):
            new = backup(q, P, R, gamma)
            if stop(new, q, tolerance) or sweeps == most:
                return result(new, q), sweeps
            q = new

    return value_iteration


def improved(
    start=lambda R: np.zeros(len(R), dtype=int),
    evaluate=exact,
    improve=lambda actions, q: q.argmax(axis=1),
    most=100,
    result=lambda actions, v, rounds, n: (one_hot(actions, n), v, rounds),
):
    """Policy iteration with its parts exchangeable; actions (S,)."""

    def policy_iteration(P, R, gamma):
        actions = start(R)
        for rounds in range(1, most + 1):
            v = evaluate(P, R, actions, gamma)
            new = improve(actions, look_ahead(v, P, R, gamma))
            if (new == actions).all() or rounds == most:
                return result(actions, v, rounds, R.shape[1])
            actions = new

    return policy_iteration


def greedy_by_rule(q, first_is_best):
    pi = np.zeros(q.shape)
    for s, row in enumerate(q):
        best, value = 0, first_is_best
        for a, x in enumerate(row):
            if x > value:
                best, value = a, x
        pi[s, best] = 1.0
    return pi


def forked(
    q=lambda near, far, n, m, g: [near * g ** (n - 1), far * g ** (m - 1)],
    advantage=lambda q: q - np.max(q),
    even=lambda near, far, n, m: (near / far) ** (1 / (m - n)),
):
    """The crossroads with another part: both values, what is made of them, the discount."""

    def crossroads(near, far, n_near, n_far, gamma):
        values = np.array(q(near, far, n_near, n_far, gamma), dtype=float)
        return advantage(values), even(near, far, n_near, n_far)

    return crossroads


def walked(near, far, n_near, n_far, gamma):
    """Both corridors walked back from the treasure, one step at a time."""
    ways = []
    for treasure, steps in ((near, n_near), (far, n_far)):
        value = float(treasure)
        for _ in range(steps - 1):
            value *= gamma
        ways.append(value)
    best = max(ways)
    low, high = 0.0, 1.0
    for _ in range(60):
        g = (low + high) / 2
        low, high = (low, g) if far * g ** (n_far - 1) > near * g ** (n_near - 1) else (g, high)
    return np.array([way - best for way in ways]), high


def spoils_q(q):
    q[:] = one_hot(q.argmax(axis=1), q.shape[1])
    return q


def nearly_best(q):
    """The first action within 1e-6 of the best."""
    return one_hot((q >= q.max(axis=1, keepdims=True) - 1e-6).argmax(axis=1), q.shape[1])


def tie_by_chance(q):
    best = q == q.max(axis=1, keepdims=True)
    noise = np.random.default_rng(0).random(q.shape)
    return one_hot(np.where(best, noise, -1.0).argmax(axis=1), q.shape[1])


def backup_into_q(q, P, R, gamma):
    for s, a in np.ndindex(R.shape):
        q[s, a] = R[s, a] + gamma * P[s, a] @ q.max(axis=1)
    return q


def rows_in_place(q, P, R, gamma):
    q = q.copy()
    for s in range(len(q)):
        q[s] = R[s] + gamma * P[s] @ q.max(axis=1)
    return q


def optimal_v(P, R, gamma):
    return improved()(P, R, gamma)[1]


def residual(v, P, R, gamma):
    return np.abs(look_ahead(v, P, R, gamma).max(axis=1) - v).max()


def one_state_improved(actions, q):
    """Improves the first state that can be improved, and no other."""
    new = actions.copy()
    better = np.flatnonzero(q.max(axis=1) > q[np.arange(len(q)), actions] + 1e-9)
    if better.size:
        new[better[0]] = q[better[0]].argmax()
    return new


def by_series(terms):
    def evaluate(P, R, actions, gamma):
        s, v = np.arange(len(R)), np.zeros(len(R))
        for _ in range(terms):
            v = R[s, actions] + gamma * P[s, actions] @ v
        return v

    return evaluate


def into_first_result(q, P, R, gamma, result=[]):  # noqa: B006 — that is the mistake
    """Adds to what an earlier call with the same shapes returned."""
    if not result or result[0].shape != R.shape:
        result[:] = [np.zeros(R.shape)]
    result[0] += look_ahead(q.max(axis=1), P, R, gamma)
    return result[0].copy()


def best_so_far_not_reset(q):
    pi, best, action = np.zeros(q.shape), -np.inf, 0
    for s, row in enumerate(q):
        for a, x in enumerate(row):
            if x > best:
                best, action = x, a
        pi[s, action] = 1.0
    return pi


def box(P, R, gamma, tolerance, gather=max, start=0.0, of=abs, size=abs, sweeps=0):
    """Single entries in place: delta = gather(delta, of(new - old)), until size(delta) < tolerance."""
    q, delta = np.zeros(R.shape), np.inf
    while size(delta) >= tolerance:
        delta, sweeps = start, sweeps + 1
        for s, a in np.ndindex(R.shape):
            old, q[s, a] = q[s, a], R[s, a] + gamma * P[s, a] @ q.max(axis=1)
            delta = gather(delta, of(q[s, a] - old))
    return q, sweeps


def boxed(**parts):
    return lambda *given: box(*given, **parts)


def with_an_alias(P, R, gamma, tolerance):
    q, sweeps, delta = np.zeros(R.shape), 0, np.inf
    while delta >= tolerance:
        old, sweeps = q, sweeps + 1
        for s, a in np.ndindex(R.shape):
            q[s, a] = R[s, a] + gamma * P[s, a] @ q.max(axis=1)
        delta = largest(q, old)
    return q, sweeps


def by_values(P, R, gamma, tolerance, result=lambda v, q: v):
    """Value iteration on v, tested on v."""
    v, sweeps = np.zeros(len(R)), 0
    while True:
        old, v, sweeps = v, look_ahead(v, P, R, gamma).max(axis=1), sweeps + 1
        if largest(v, old) < tolerance:
            return result(v, look_ahead(v, P, R, gamma)), sweeps


def until_policy_stays(P, R, gamma, tolerance):
    q, policy = np.zeros(R.shape), None
    for sweeps in range(1, 3000):
        q = look_ahead(q.max(axis=1), P, R, gamma)
        old, policy = policy, q.argmax(axis=1)
        if old is not None and (old == policy).all():
            return q, sweeps


def best_next_state(P, R, gamma):
    actions = np.zeros(len(R), dtype=int)
    for rounds in range(1, 61):
        v = exact(P, R, actions, gamma)
        new = (R + gamma * np.where(P > 0, v, -np.inf).max(axis=2)).argmax(axis=1)
        if (new == actions).all() or rounds == 60:
            return one_hot(actions, R.shape[1]), v, rounds
        actions = new


def stops_at_equal_sums(P, R, gamma):
    actions, rounds = np.zeros(len(R), dtype=int), 0
    while True:
        v, rounds = exact(P, R, actions, gamma), rounds + 1
        old, actions = actions, look_ahead(v, P, R, gamma).argmax(axis=1)
        if actions.sum() == old.sum():
            return one_hot(old, R.shape[1]), v, rounds


def with_an_alias_of_pi(P, R, gamma):
    pi, rounds = one_hot(np.zeros(len(R), dtype=int), R.shape[1]), 0
    while True:
        old, v, rounds = pi, exact(P, R, pi.argmax(axis=1), gamma), rounds + 1
        pi[:] = one_hot(look_ahead(v, P, R, gamma).argmax(axis=1), R.shape[1])
        if (pi == old).all():
            return pi, v, rounds


def for_two_rounds(P, R, gamma):
    actions = np.zeros(len(R), dtype=int)
    for rounds in (1, 2):
        v = exact(P, R, actions, gamma)
        actions = look_ahead(v, P, R, gamma).argmax(axis=1) if rounds == 1 else actions
    return one_hot(actions, R.shape[1]), v, rounds


def state_by_state(P, R, gamma):
    actions, rounds, changed = [0] * len(R), 0, True
    while changed:
        changed, rounds = False, rounds + 1
        for s in range(len(R)):
            v = exact(P, R, np.array(actions), gamma)
            q = look_ahead(v, P, R, gamma)[s]
            if q.max() > q[actions[s]] + 1e-9:
                actions[s], changed = int(q.argmax()), True
    return one_hot(np.array(actions), R.shape[1]), v, rounds


def nearly_optimal_v(P, R, gamma):
    return by_values(P, R, gamma, 1e-6)[0]


WRONG = {
    "greedy_policy": {
        "half and half of two": lambda q: one_hot(q.argmax(axis=1), q.shape[1])
        if q.shape[1] != 2
        else np.full(q.shape, 0.5),
        "the best so far is not reset": best_so_far_not_reset,
        "the worst action": lambda q: one_hot(q.argmin(axis=1), q.shape[1]),
        "largest absolute value": lambda q: one_hot(np.abs(q).argmax(axis=1), q.shape[1]),
        "softmax": lambda q: np.exp(q - q.max()) / np.exp(q - q.max()).sum(axis=1, keepdims=True),
        "a sharp softmax": lambda q: (lambda e: e / e.sum(axis=1, keepdims=True))(np.exp(1e3 * (q - q.max(axis=1, keepdims=True)))),
        "one state for all": lambda q: one_hot(np.full(len(q), q.sum(axis=0).argmax()), q.shape[1]),
        "best entry of the table": lambda q: (q == q.max()).astype(float),
        "better than 0": lambda q: greedy_by_rule(q, 0.0),
        "nearly best": nearly_best,
        "np.isclose": lambda q: one_hot(np.isclose(q, q.max(axis=1, keepdims=True)).argmax(axis=1), q.shape[1]),
        "ties by chance": tie_by_chance,
        "ε-greedy": lambda q: 0.9 * one_hot(q.argmax(axis=1), q.shape[1]) + 0.1 / q.shape[1],
        "integers": lambda q: np.eye(q.shape[1], dtype=int)[q.argmax(axis=1)],
        "booleans": lambda q: np.arange(q.shape[1]) == q.argmax(axis=1)[:, None],
        "float32": lambda q: np.eye(q.shape[1], dtype=np.float32)[q.argmax(axis=1)],
        "three actions": lambda q: np.eye(3)[np.minimum(q.argmax(axis=1), 2)],
        "a list": lambda q: one_hot(q.argmax(axis=1), q.shape[1]).tolist(),
        "changes q": spoils_q,
    },
    "bellman_optimality_backup": {
        "adds to an earlier result": into_first_result,
        "the state's own greedy action": lambda q, P, R, g: R
        + g * np.einsum("sat,tb,sb->sa", P, q, one_hot(q.argmax(axis=1), q.shape[1])),
        "changes q": backup_into_q,
        "rows in place": rows_in_place,
        "state values": lambda q, P, R, g: look_ahead(q.max(axis=1), P, R, g).max(axis=1),
        "no γ": lambda q, P, R, g: look_ahead(q.max(axis=1), P, R, 1.0),
        "γ = 0.9 by heart": lambda q, P, R, g: look_ahead(q.max(axis=1), P, R, 0.9),
        "no reward": lambda q, P, R, g: g * P @ q.max(axis=1),
        "best reward": lambda q, P, R, g: R.max(axis=1, keepdims=True) + g * P @ q.max(axis=1),
        "smallest": lambda q, P, R, g: look_ahead(q.min(axis=1), P, R, g),
        "largest of all": lambda q, P, R, g: R + g * q.max(),
        "the likeliest next state": lambda q, P, R, g: R + g * q.max(axis=1)[P.argmax(axis=2)],
        "the same action again": lambda q, P, R, g: R + g * np.einsum("sat,ta->sa", P, q),
        "never below 0": lambda q, P, R, g: look_ahead(np.maximum(q.max(axis=1), 0.0), P, R, g),
        "in absolute value": lambda q, P, R, g: look_ahead(np.abs(q).max(axis=1), P, R, g),
        "soft maximum": lambda q, P, R, g: look_ahead(np.log(np.exp(q).sum(axis=1)), P, R, g),
        "twice": lambda q, P, R, g: look_ahead(look_ahead(q.max(axis=1), P, R, g).max(axis=1), P, R, g),
        "half a step": lambda q, P, R, g: 0.5 * q + 0.5 * look_ahead(q.max(axis=1), P, R, g),
        "the change": lambda q, P, R, g: look_ahead(q.max(axis=1), P, R, g) - q,
        "float32": lambda q, P, R, g: look_ahead(q.max(axis=1), P, R, g).astype(np.float32),
    },
    "crossroads": {
        "γ^(n − 2)": forked(lambda near, far, n, m, g: [near * g ** max(n - 2, 0), far * g ** max(m - 2, 0)]),
        "γ·n": forked(lambda near, far, n, m, g: [near * g * (n - 1), far * g * (m - 1)]),
        "only the far one discounted": forked(lambda near, far, n, m, g: [near, far * g ** (m - n)]),
        "every step paid": forked(
            lambda near, far, n, m, g: [near * sum(g**k for k in range(n)), far * sum(g**k for k in range(m))]
        ),
        "divided by the steps": forked(lambda near, far, n, m, g: [near / n, far / m]),
        "γ = 0.9 by heart": forked(lambda near, far, n, m, g: [near * 0.9 ** (n - 1), far * 0.9 ** (m - 1)]),
        "relative to V*": forked(advantage=lambda q: q / max(q.max(), 1e-300) - 1),
        "in absolute value": forked(advantage=lambda q: np.abs(q - q.max())),
        "the greedy policy": forked(advantage=lambda q: np.eye(2)[q.argmax()]),
        "the value of the best only": forked(advantage=lambda q: np.full(2, q.max())),
        "minus half of the best": forked(advantage=lambda q: q - q.max() / 2),
        "softmax average": forked(advantage=lambda q: q - np.exp(q - q.max()) @ q / np.exp(q - q.max()).sum()),
        "a tuple of advantages": forked(advantage=lambda q: tuple(q - q.max())),
        "a column": forked(advantage=lambda q: (q - q.max())[:, None]),
        "float32": forked(advantage=lambda q: (q - q.max()).astype(np.float32)),
        "a square root": forked(even=lambda near, far, n, m: (near / far) ** 0.5),
        "1 − near/far": forked(even=lambda near, far, n, m: 1 - near / far),
        "the steps' mean": forked(even=lambda near, far, n, m: (near / far) ** (2 / (n + m))),
        "rounded": forked(even=lambda near, far, n, m: round((near / far) ** (1 / (m - n)), 4)),
        "a grid of γ": forked(
            even=lambda near, far, n, m: min(np.linspace(0.01, 1, 100), key=lambda g: abs(near - far * g ** (m - n)))
        ),
        "γ itself": lambda near, far, n, m, g: (forked()(near, far, n, m, g)[0], g),
        "0⁰ is not a number": forked(
            lambda near, far, n, m, g: np.array([near, far]) * np.exp(np.array([n - 1, m - 1]) * np.log(g))
            if g
            else [np.nan, np.nan]
        ),
    },
    "value_iteration": {
        "change of absolute values": swept(lambda new, old, tol: largest(np.abs(new), np.abs(old)) < tol),
        "mean of each row": swept(lambda new, old, tol: np.abs(new - old).mean(axis=1).max() < tol),
        "mean of each column": swept(lambda new, old, tol: np.abs(new - old).mean(axis=0).max() < tol),
        "the old q": swept(result=lambda new, old: old),
        "tested on the values": swept(lambda new, old, tol: largest(new.max(axis=1), old.max(axis=1)) < tol),
        "tested on the first row": swept(lambda new, old, tol: largest(new[0], old[0]) < tol),
        "tested on the last row": swept(lambda new, old, tol: largest(new[-1], old[-1]) < tol),
        "Euclidean norm": swept(lambda new, old, tol: np.linalg.norm(new - old) < tol),
        "spectral norm": swept(lambda new, old, tol: np.linalg.norm(new - old, 2) < tol),
        "row sums": swept(lambda new, old, tol: np.linalg.norm(new - old, np.inf) < tol),
        "np.allclose": swept(lambda new, old, tol: np.allclose(new, old, atol=tol)),
        "a fixed tolerance": swept(lambda new, old, tol: largest(new, old) < 1e-6),
        "starts at ones": swept(start=1.0),
        "starts at -10": swept(start=-10.0),
        "100 sweeps": swept(lambda *_: False, most=100),
        "at most 50 sweeps": swept(most=50),
        "no γ, at most 200 sweeps": swept(backup=lambda q, P, R, g: look_ahead(q.max(axis=1), P, R, 1.0), most=200),
        "one max for all": swept(backup=lambda q, P, R, g: R + g * q.max(), most=500),
        "max outside": swept(backup=lambda q, P, R, g: R + g * np.einsum("sat,tb->sab", P, q).max(axis=2)),
        "the policy": lambda *given: (lambda q, n: (one_hot(q.argmax(axis=1), q.shape[1]), n))(*swept()(*given)),
        "only q": lambda *given: swept()(*given)[0],
        "sweeps first": lambda *given: swept()(*given)[::-1],
        "one sweep too many": lambda *given: (lambda q, n: (q, n + 1))(*swept()(*given)),
        "float32": lambda *given: (lambda q, n: (q.astype(np.float32), n))(*swept()(*given)),
    },
    "policy_iteration": {
        "as many changes to and fro": stops_at_equal_sums,
        "better by more than 0.1": improved(
            improve=lambda actions, q: np.where(
                q.max(axis=1) > q[np.arange(len(q)), actions] + 0.1, q.argmax(axis=1), actions
            )
        ),
        "better by np.isclose": improved(
            improve=lambda actions, q: np.where(
                np.isclose(q.max(axis=1), q[np.arange(len(q)), actions]), actions, q.argmax(axis=1)
            )
        ),
        "three sweeps, exact at the end": lambda P, R, g: (lambda pi, v, n: (pi, exact(P, R, pi.argmax(axis=1), g), n))(
            *improved(evaluate=by_series(3))(P, R, g)
        ),
        "best next state": best_next_state,
        "starts with the worst reward": improved(start=lambda R: R.argmin(axis=1)),
        "one state a round": improved(improve=one_state_improved),
        "at most three rounds": improved(most=3),
        "20 sweeps of evaluation": improved(evaluate=by_series(20)),
        "the worst": improved(improve=lambda actions, q: q.argmin(axis=1)),
        "γ = 0.9 by heart": lambda P, R, g: improved()(P, R, 0.9),
        "γ missing in the improvement": lambda P, R, g: improved(
            evaluate=lambda P, R, a, _: exact(P, R, a, g)
        )(P, R, 1.0),
        "actions": improved(result=lambda actions, v, rounds, n: (actions, v, rounds)),
        "integer rows": improved(result=lambda a, v, rounds, n: (np.eye(n, dtype=int)[a], v, rounds)),
        "v rounded": improved(result=lambda a, v, rounds, n: (one_hot(a, n), v.round(5), rounds)),
        "no rounds": improved(result=lambda a, v, rounds, n: (one_hot(a, n), v)),
        "v first": improved(result=lambda a, v, rounds, n: (v, one_hot(a, n), rounds)),
        "rounds doubled": improved(result=lambda a, v, rounds, n: (one_hot(a, n), v, 2 * rounds)),
        "rounds as a float": improved(result=lambda a, v, rounds, n: (one_hot(a, n), v, float(rounds))),
        "q for v": lambda P, R, g: (lambda pi, v, n: (pi, look_ahead(v, P, R, g), n))(*improved()(P, R, g)),
        "the uniform policy's values": lambda P, R, g: (
            improved()(P, R, g)[0],
            np.linalg.solve(np.eye(len(R)) - g * P.mean(axis=1), R.mean(axis=1)),
            improved()(P, R, g)[2],
        ),
        "all the best": lambda P, R, g: (lambda pi, v, n: (pi * 0.5 + 0.5 * np.roll(pi, 1, axis=1), v, n))(
            *improved()(P, R, g)
        ),
    },
    "suboptimality_bound": {
        "greedy for the reward": lambda v, P, R, g: 2
        * largest(look_ahead(v, P, R, g)[np.arange(len(v)), R.argmax(axis=1)], v)
        / (1 - g),
        "ε alone": lambda v, P, R, g: residual(v, P, R, g),
        "2ε": lambda v, P, R, g: 2 * residual(v, P, R, g),
        "squared horizon": lambda v, P, R, g: 2 * residual(v, P, R, g) / (1 - g) ** 2,
        "2ε(1 − γ)": lambda v, P, R, g: 2 * residual(v, P, R, g) * (1 - g),
        "ε and γ": lambda v, P, R, g: residual(v, P, R, g) * (1 + g) / (1 - g),
        "γ = 0.9 by heart": lambda v, P, R, g: 2 * residual(v, P, R, g) / (1 - 0.9),
        "1 − γ forgotten in brackets": lambda v, P, R, g: 2 * residual(v, P, R, g) / 1 - g,
        "the span": lambda v, P, R, g: 2 * np.ptp(look_ahead(v, P, R, g).max(axis=1) - v) / (1 - g),
        "difference of the largest": lambda v, P, R, g: 2
        * abs(look_ahead(v, P, R, g).max() - v.max())
        / (1 - g),
        "first state": lambda v, P, R, g: 2 * abs(look_ahead(v, P, R, g).max(axis=1) - v)[0] / (1 - g),
        "smallest": lambda v, P, R, g: 2 * np.abs(look_ahead(v, P, R, g).max(axis=1) - v).min() / (1 - g),
        "over all actions": lambda v, P, R, g: 2 * np.abs(look_ahead(v, P, R, g) - v[:, None]).max() / (1 - g),
        "the true cost": lambda v, P, R, g: np.abs(
            exact(P, R, look_ahead(v, P, R, g).argmax(axis=1), g) - optimal_v(P, R, g)
        ).max(),
        "no γ in the backup": lambda v, P, R, g: 2 * residual(v, P, R, 1.0) / (1 - g),
        "one a state": lambda v, P, R, g: 2 * np.abs(look_ahead(v, P, R, g).max(axis=1) - v) / (1 - g),
        "rounded": lambda v, P, R, g: round(2 * residual(v, P, R, g) / (1 - g), 4),
        "float32": lambda v, P, R, g: np.float32(2 * residual(v, P, R, g) / (1 - g)),
    },
}  # fmt: skip

# -------------------------------------------------------------------------------- unusual right ones


def single_entries_in_place(P, R, gamma, tolerance):
    q, n = np.zeros(R.shape), 0
    while True:
        delta, n = 0.0, n + 1
        for s in range(R.shape[0]):
            for a in range(R.shape[1]):
                old, q[s, a] = q[s, a], R[s, a] + gamma * P[s, a] @ q.max(axis=1)
                delta = max(delta, abs(q[s, a] - old))
        if delta <= tolerance:
            return q, n


def hysteresis(actions, q):
    """The rule of the text: keep the present action unless another is better by a hair."""
    better = q.max(axis=1) > q[np.arange(len(q)), actions] + 1e-9
    return np.where(better, q.argmax(axis=1), actions)


def last_of_the_best(actions, q):
    return q.shape[1] - 1 - q[:, ::-1].argmax(axis=1)


def howard(P, R, gamma):
    """By states and lists, `while changed`."""
    n_states, n_actions = R.shape
    policy, rounds, changed = [0] * n_states, 0, True
    while changed:
        v, rounds, changed = exact(P, R, np.array(policy), gamma), rounds + 1, False
        for s in range(n_states):
            q = [R[s, a] + gamma * P[s, a] @ v for a in range(n_actions)]
            best = max(range(n_actions), key=q.__getitem__)
            if q[best] > q[policy[s]] + 1e-10:
                policy[s], changed = best, True
    return [one_hot(np.array(policy), n_actions), v, rounds]


RIGHT = {
    "greedy_policy": {
        "from below": lambda q: greedy_by_rule(q, -np.inf),
        "comparing with a column": lambda q: (np.arange(q.shape[1]) == q.argmax(axis=1)[:, None]) * 1.0,
        "list.index": lambda q: np.array([[float(a == list(row).index(max(row))) for a in range(len(row))] for row in q]),
        "a stable sort": lambda q: one_hot(np.argsort(-q, axis=1, kind="stable")[:, 0], q.shape[1]),
        "lexsort by index": lambda q: np.stack([one_hot(np.flatnonzero(row == row.max())[0], len(row)) for row in q]),
    },
    "bellman_optimality_backup": {
        "fold": lambda q, P, R, g: R + g * P @ reduce(np.maximum, q.T),
        "one einsum over the greedy rows": lambda q, P, R, g: R
        + g * np.einsum("sat,tb,tb->sa", P, one_hot(q.argmax(axis=1), q.shape[1]), q),
        "reduce": lambda q, P, R, g: R + g * np.dot(P, np.maximum.reduce(q, axis=1)),
        "reward inside": lambda q, P, R, g: ((R[..., None] + g * np.max(q, axis=-1)) * P).sum(-1),
        "amax of columns": lambda q, P, R, g: R + P @ (g * np.amax(q.T, axis=0)),
        "a copy written over": lambda q, P, R, g: np.copyto(new := q.copy(), look_ahead(q.max(axis=1), P, R, g)) or new,
    },
    "crossroads": {
        "walked back": walked,
        "logarithms": forked(even=lambda near, far, n, m: np.exp(np.log(near / far) / (m - n))),
        "powers of ten": forked(even=lambda near, far, n, m: 10 ** ((np.log10(near) - np.log10(far)) / (m - n))),
        "the common steps taken out": forked(
            lambda near, far, n, m, g: np.array([near, far * g ** (m - n)]) * g ** (n - 1)
        ),
        "np.roots": forked(
            even=lambda near, far, n, m: max(
                x.real for x in np.roots([far, *[0] * (m - n - 1), -near]) if abs(x.imag) < 1e-9
            )
        ),
        "minimum with 0": forked(advantage=lambda q: np.minimum(q - q[::-1], 0.0)),
        "np.maximum.reduce": forked(advantage=lambda q: q - np.maximum.reduce(q)),
    },
    "value_iteration": {
        "single entries in place, ≤": single_entries_in_place,
        "rows in place": swept(backup=rows_in_place),
        "all entries": swept(lambda new, old, tol: bool(np.all(np.abs(new - old) < tol))),
        "ravelled norm, ≤": swept(lambda new, old, tol: np.linalg.norm((new - old).ravel(), np.inf) <= tol),
        "a list, a count by NumPy": lambda *given: (lambda q, n: [q, np.int64(n)])(*swept()(*given)),
    },
    "policy_iteration": {
        "plain argmax": improved(),
        "by a hair": improved(improve=hysteresis),
        "last of the best": improved(improve=last_of_the_best),
        "lists": howard,
        "1000 sweeps of evaluation": improved(evaluate=by_series(1000)),
        "a count by NumPy": improved(result=lambda a, v, rounds, n: (one_hot(a, n), v, np.int64(rounds))),
    },
    "suboptimality_bound": {
        "infinity norm": lambda v, P, R, g: 2
        / (1 - g)
        * np.linalg.norm(look_ahead(v, P, R, g).max(axis=1) - v, ord=np.inf),
        "two inequalities": lambda v, P, R, g: 2
        * max((look_ahead(v, P, R, g).max(1) - v).max(), (v - look_ahead(v, P, R, g).max(1)).max())
        / (1 - g),
        "the sum of both triangles": lambda v, P, R, g: residual(v, P, R, g) / (1 - g) * 1 + residual(v, P, R, g) / (1 - g),
        "an array without axes": lambda v, P, R, g: np.array(2 * residual(v, P, R, g) / (1 - g)),
    },
}  # fmt: skip


NAMED = {
    "greedy_policy": {
        "values/at the best": lambda q: np.where(q == q.max(axis=1, keepdims=True), q, 0.0),
        "values/list": lambda q: [max(row) for row in q.tolist()],
        "indices/list": lambda q: [int(row.argmax()) for row in q],
        "indices/column": lambda q: q.argmax(axis=1, keepdims=True),
        "splits-ties/nearly": lambda q: (lambda best: best / best.sum(axis=1, keepdims=True))(
            np.isclose(q, q.max(axis=1, keepdims=True)) * 1.0
        ),
        "all-the-best/nearly": lambda q: np.isclose(q, q.max(axis=1, keepdims=True)) * 1.0,
        "last-index/dict": lambda q: np.stack([one_hot({x: a for a, x in enumerate(row)}[max(row)], len(row)) for row in q]),
        "wrong-axis/mask": lambda q: (q == q.max(axis=0)) * 1.0,
        "wrong-axis/indices": lambda q: q.argmax(axis=0),
    },
    "bellman_optimality_backup": {
        "best-of-all-states/of all": lambda q, P, R, g: R + g * q.max(),
        "max-outside/reward inside": lambda q, P, R, g: (R[..., None] + g * P @ q).max(axis=2),
        "own-max/P summed": lambda q, P, R, g: R + g * np.einsum("sat,s->sa", P, q.max(axis=1)),
    },
    "crossroads": {
        "one-power-too-many/n": forked(lambda near, far, n, m, g: [near * g**n, far * g**m]),
        "minus-mean/half": forked(advantage=lambda q: np.array([(q[0] - q[1]) / 2, (q[1] - q[0]) / 2])),
        "sign/loss": forked(advantage=lambda q: max(q) - q),
        "values/q": forked(advantage=lambda q: q),
        "minus-the-other/difference": forked(advantage=lambda q: np.array([q[0] - q[1], q[1] - q[0]])),
        "minus-worst/min": forked(advantage=lambda q: q - min(q)),
        "always-the-same-action/far": forked(advantage=lambda q: q - q[-1]),
        "ratio-inverted/far over near": forked(even=lambda near, far, n, m: (far / near) ** (1 / (m - n))),
        "ratio-inverted/steps turned": forked(even=lambda near, far, n, m: (near / far) ** (1 / (n - m))),
        "steps-not-difference/far": forked(even=lambda near, far, n, m: (near / far) ** (1 / m)),
        "steps-not-difference/far − 1": forked(even=lambda near, far, n, m: np.exp(np.log(near / far) / (m - 1))),
        "no-root/quotient": forked(even=lambda near, far, n, m: near / far),
        "power-for-root/power": forked(even=lambda near, far, n, m: (near / far) ** (m - n)),
        "logarithm-left/quotient": forked(even=lambda near, far, n, m: (np.log(near) - np.log(far)) / (m - n)),
        "undiscounted/treasures": forked(lambda near, far, n, m, g: [near, far]),
        "results-exchanged/far first": forked(lambda near, far, n, m, g: [far * g ** (m - 1), near * g ** (n - 1)]),
    },
    "value_iteration": {
        "signed-differences/box": boxed(of=float, size=float),
        "signed-differences/box, added up": boxed(gather=lambda delta, change: delta + change, of=float),
        "signed-differences/too late": swept(lambda new, old, tol: abs((new - old).max()) < tol),
        "one-sweep/alias": with_an_alias,
        "one-sweep/rewards": lambda P, R, g, tol: (R.copy(), 1),
        "mean-change/box": lambda P, R, g, tol: box(P, R, g, tol * R.size, gather=lambda delta, change: delta + change),
        "any-entry-settled/box": boxed(gather=min, start=np.inf),
        "change-of-maximum/largest of all": swept(lambda new, old, tol: abs(new.max() - old.max()) < tol),
        "uncounted-sweep/after": lambda P, R, g, tol: (lambda q, n: (look_ahead(q.max(axis=1), P, R, g), n))(
            *swept()(P, R, g, tol)
        ),
        "change-of-maximum/on v": lambda *given: by_values(*given, result=lambda v, q: q),
        "policy-settled/from None": until_policy_stays,
        "evaluates-uniform/einsum": swept(
            backup=lambda q, P, R, g: R + g * np.einsum("sat,tb->sa", P, q) / q.shape[1]
        ),
        "returns-v/on v": by_values,
        "returns-v/in place": swept(backup=rows_in_place, result=lambda new, old: new.max(axis=1, keepdims=True)),
        "last-sweep-not-counted/box": boxed(sweeps=-1),
    },
    "policy_iteration": {
        "one-improvement/alias": with_an_alias_of_pi,
        "one-improvement/two rounds": for_two_rounds,
        "one-state-at-a-time/list": state_by_state,
        "greedy-on-reward/loop": lambda P, R, g: improved(improve=lambda actions, q: R.argmax(axis=1))(P, R, g),
        "confirming-round-not-counted/last tie": improved(
            improve=last_of_the_best, result=lambda actions, v, rounds, n: (one_hot(actions, n), v, rounds - 1)
        ),
    },
    "suboptimality_bound": {
        "no-absolute-value/too late": lambda v, P, R, g: 2
        * abs((look_ahead(v, P, R, g).max(axis=1) - v).max())
        / (1 - g),
        "no-absolute-value/from 0": lambda v, P, R, g: 2
        * max(0.0, *(look_ahead(v, P, R, g).max(axis=1) - v))
        / (1 - g),
        "not-max-norm/squares": lambda v, P, R, g: 2
        * ((look_ahead(v, P, R, g).max(axis=1) - v) ** 2).mean()
        / (1 - g),
        "error-not-residual/by sweeps": lambda v, P, R, g: 2 * largest(nearly_optimal_v(P, R, g), v) / (1 - g),
    },
}  # fmt: skip
