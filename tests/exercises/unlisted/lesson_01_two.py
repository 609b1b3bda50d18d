"""Lesson 01 as published code gets it wrong: keys of WRONG with " + " make two mistakes at once."""

import numpy as np

from unlisted import halves


def backwards(rewards, gamma, update, turn=True, start=0):
    g, out = 0.0, []
    for r in list(rewards)[::-1][start:]:
        g = update(r, g, gamma)
        out.append(g)
    out += [0.0] * start
    return np.array(out[::-1] if turn else out, dtype=float)


def forwards(rewards, gamma, update):
    g, out = 0.0, []
    for r in rewards:
        g = update(r, g, gamma)
        out.append(g)
    return np.array(out, dtype=float)


def bellman(r, g, gamma):
    return r + gamma * g


def shorter(rewards, gamma):
    g = np.zeros(len(rewards))
    for t in range(len(rewards) - 2, -1, -1):
        g[t] = rewards[t] + gamma * g[t + 1]
    return g


def matrices(P, R, pi):
    return np.einsum("sa,sat->st", pi, P), np.einsum("sa,sa->s", pi, R)


def walk(
    P,
    R,
    pi,
    start,
    horizon,
    rng,
    first=None,
    act=None,
    move=None,
    pay=lambda R, s, a, s2: R[s, a],
    states=lambda x: x,
):
    s = rng.choice(len(start), p=start) if first is None else first(rng, start)
    S, A, G = [s], [], []
    for _ in range(horizon):
        a = rng.choice(pi.shape[1], p=pi[s]) if act is None else act(rng, pi, s)
        s2 = rng.choice(len(P), p=P[s, a]) if move is None else move(rng, P, s, a)
        A.append(a)
        G.append(pay(R, s, a, s2))
        S.append(s2)
        s = s2
    return np.array(states(S), dtype=int), np.array(A, dtype=int), np.array(G, dtype=float)


def walking(**parts):
    return lambda *given: walk(*given, **parts)


def evenly(rng, pi, s):
    return rng.integers(pi.shape[1])


def geometric(P_pi, start, gamma, n, factor=None, right=True):
    d, p = np.zeros(len(start)), start.copy()
    for t in range(n):
        d += (1 - gamma if factor is None else factor) * gamma**t * p
        p = p @ P_pi if right else P_pi @ p
    return d


NAMED = {
    "returns_to_go": {
        "undiscounted/cumsum": lambda r, g: np.cumsum(np.asarray(r, float)[::-1])[::-1],
        "reversed/list": lambda r, g: backwards(r, g, bellman, turn=False),
        "first-discounted/loop": lambda r, g: backwards(r, g, lambda x, y, g: g * (x + y)),
        "gamma-misplaced/loop": lambda r, g: backwards(r, g, lambda x, y, g: g * x + y),
        "last-reward-lost/range": shorter,
        "mean-not-sum/loop": lambda r, g: backwards(r, g, bellman) / max(len(r), 1),
        "forward/loop": lambda r, g: forwards(r, g, bellman),
        "own-reward-missing/loop": lambda r, g: np.append(
            backwards(r, g, bellman)[1:], [0.0] * bool(len(r))
        ),
        "discounted-from-start/loop": lambda r, g: (
            backwards(r, g, bellman) * np.array([g**t for t in range(len(r))])
        ),
    },
    "policy_chain": halves(
        {
            "averaged-twice/mean": lambda P, pi: (pi[..., None] * P).mean(axis=1),
            "all-pairs/matmul": lambda P, pi: np.matmul(pi, P),
            "all-pairs/dot": lambda P, pi: pi.dot(P).swapaxes(0, 1),
            "not-lined-up/product": lambda P, pi: np.sum(P * pi, axis=1),
            "not-summed/product": lambda P, pi: P * pi[..., None],
            "sum-over-states/axis": lambda P, pi: np.sum(pi[..., None] * P, axis=0),
            "largest/max": lambda P, pi: np.max(P, axis=1),
            "first-action/index": lambda P, pi: P[:, 0].copy(),
            "transposed/einsum": lambda P, pi: np.einsum("sa,sat->ts", pi, P),
            "likeliest-action/index": lambda P, pi: np.array(
                [P[s, np.argmax(pi[s])] for s in range(len(P))]
            ),
        },
        {
            "averaged-twice/mean": lambda R, pi: np.mean(R * pi, axis=1),
            "all-pairs/matmul": lambda R, pi: R @ pi.T,
            "not-summed/product": lambda R, pi: R * pi,
            "one-number/sum": lambda R, pi: float(np.sum(R * pi)),
            "likeliest-action/index": lambda R, pi: np.array(
                [float(R[s][pi[s].argmax()]) for s in range(len(R))]
            ),
            "largest-share/max": lambda R, pi: np.max(R * pi, axis=1),
            "sum-over-states/axis": lambda R, pi: np.sum(R * pi, axis=0),
            "unweighted-mean/mean": lambda R, pi: np.mean(R, axis=1),
            "best-action/max": lambda R, pi: np.max(R, axis=1),
        },
    ),
    "discounted_occupancy": {
        "ones-not-identity/plain": lambda P, start, g: np.linalg.solve(
            1 - g * P.T, (1 - g) * start
        ),
        "no-gamma/inverse": lambda P, start, g: (
            (1 - g) * np.linalg.inv(np.eye(len(P)) - P.T) @ start
        ),
        "cut-short/hundred": lambda P, start, g: geometric(P, start, g, 100),
        "cut-short/one-step": lambda P, start, g: (1 - g) * start + g * (1 - g) * P.T @ start,
        "wrong-factor/gamma": lambda P, start, g: (
            g * np.linalg.solve(np.eye(len(P)) - g * P.T, start)
        ),
        "wrong-factor/division": lambda P, start, g: (
            np.linalg.solve(np.eye(len(P)) - g * P.T, start) / (1 - g)
        ),
        "unnormalised/inverse": lambda P, start, g: start @ np.linalg.inv(np.eye(len(P)) - g * P),
        "not-transposed/inverse": lambda P, start, g: (
            (1 - g) * np.linalg.inv(np.eye(len(P)) - g * P) @ start
        ),
    },
    "expected_return": {
        "not-divided/occupancy": lambda P, R, pi, start, g: float(
            np.linalg.solve(np.eye(len(R)) - g * matrices(P, R, pi)[0].T, (1 - g) * start)
            @ matrices(P, R, pi)[1]
        ),
        "divided-twice/values": lambda P, R, pi, start, g: float(
            start
            @ np.linalg.solve(np.eye(len(R)) - g * matrices(P, R, pi)[0], matrices(P, R, pi)[1])
            / (1 - g)
        ),
        "reward-unweighted/mean": lambda P, R, pi, start, g: float(
            start @ np.linalg.solve(np.eye(len(R)) - g * matrices(P, R, pi)[0], R.mean(axis=1))
        ),
        "reward-unweighted/sum": lambda P, R, pi, start, g: float(
            start @ np.linalg.solve(np.eye(len(R)) - g * matrices(P, R, pi)[0], R.sum(axis=1))
        ),
        "transition-unweighted/mean": lambda P, R, pi, start, g: float(
            start @ np.linalg.solve(np.eye(len(R)) - g * P.mean(axis=1), matrices(P, R, pi)[1])
        ),
        "policy-ignored/means": lambda P, R, pi, start, g: float(
            start @ np.linalg.solve(np.eye(len(R)) - g * P.mean(axis=1), R.mean(axis=1))
        ),
        "start-ignored/mean": lambda P, R, pi, start, g: float(
            np.linalg.solve(
                np.eye(len(R)) - g * matrices(P, R, pi)[0], matrices(P, R, pi)[1]
            ).mean()
        ),
        "transposed/values": lambda P, R, pi, start, g: float(
            start
            @ np.linalg.solve(np.eye(len(R)) - g * matrices(P, R, pi)[0].T, matrices(P, R, pi)[1])
        ),
    },
    "sample_trajectory": {
        "greedy-actions/argmax": walking(act=lambda rng, pi, s: pi[s].argmax()),
        "mean-reward/dot": lambda P, R, pi, start, horizon, rng: walk(
            P, R, pi, start, horizon, rng, pay=lambda R, s, a, s2: float(pi[s] @ R[s])
        ),
        "first-state-missing/list": walking(states=lambda x: x[1:]),
        "last-state-missing/list": walking(states=lambda x: x[:-1]),
        "uniform-actions/integers": walking(act=evenly),
        "uniform-moves/integers": walking(move=lambda rng, P, s, a: rng.integers(len(P))),
        "reward-on-arrival/index": walking(pay=lambda R, s, a, s2: R[s2, a]),
        "start-ignored/zero": walking(first=lambda rng, start: 0),
        "likeliest-next-state/argmax": walking(move=lambda rng, P, s, a: P[s, a].argmax()),
        "steps-miscounted/one-more": lambda P, R, pi, start, horizon, rng: walk(
            P, R, pi, start, horizon + 1, rng
        ),
    },
}

WRONG = {
    "returns_to_go": {
        "forward + undiscounted": lambda r, g: np.cumsum(np.asarray(r, float)),
        "forward + discounted-from-start": lambda r, g: forwards(r, g, bellman)
        * np.array([g**t for t in range(len(r))]),
        "first-discounted + reversed": lambda r, g: backwards(r, g, lambda x, y, g: g * (x + y), False),
        "undiscounted + reversed": lambda r, g: np.cumsum(np.asarray(r, float)[::-1]),
        "one-return-for-all + undiscounted": lambda r, g: np.full(len(r), float(np.sum(r))),
        "own-reward-missing + undiscounted": lambda r, g: np.cumsum(np.asarray(r, float)[::-1])[::-1] - r,
        "undiscounted + mean-not-sum": lambda r, g: np.cumsum(np.asarray(r, float)[::-1])[::-1]
        / np.arange(len(r), 0, -1),
        "forward + first-discounted": lambda r, g: forwards(r, g, lambda x, y, g: g * (x + y)),
        "skips one, at the wrong end": lambda r, g: backwards(r, g, bellman, True, 1)[::-1].copy(),
        "cumulative products": lambda r, g: np.cumsum(np.cumprod(np.full(len(r), g)) * r),
    },
    "policy_chain": halves(
        {
            "mean-over-actions + transposed": lambda P, pi: P.mean(axis=1).T.copy(),
            "sum-over-actions + transposed": lambda P, pi: P.sum(axis=1).T.copy(),
            "likeliest-action + transposed": lambda P, pi: np.array(
                [P[s, np.argmax(pi[s])] for s in range(len(P))]
            ).T.copy(),
            "averaged-twice + transposed": lambda P, pi: (pi[..., None] * P).mean(axis=1).T.copy(),
            "next-state-policy + transposed": lambda P, pi: np.einsum("ta,sat->ts", pi, P),
            "column sums": lambda P, pi: (lambda m: m / m.sum(axis=0))(np.einsum("sa,sat->st", pi, P)),
        },
        {
            "averaged-twice + sum-over-states": lambda R, pi: (pi * R).sum(axis=0) / R.shape[1],
            "unweighted-mean + sum-over-states": lambda R, pi: R.sum(axis=0) / R.shape[1],
            "unweighted-sum + sum-over-states": lambda R, pi: R.sum(axis=0) * 1.0,
            "mean over states": lambda R, pi: R.mean(axis=0),
            "unweighted-sum + one-number": lambda R, pi: float(R.sum()),
        },
    ),
    "discounted_occupancy": {
        "unnormalised + not-transposed": lambda P, start, g: np.linalg.solve(
            np.eye(len(P)) - g * P, start
        ),
        "unnormalised + plus-gamma": lambda P, start, g: np.linalg.solve(
            np.eye(len(P)) + g * P.T, start
        ),
        "not-transposed + plus-gamma": lambda P, start, g: np.linalg.solve(
            np.eye(len(P)) + g * P, (1 - g) * start
        ),
        "unnormalised + start-ignored": lambda P, start, g: np.linalg.solve(
            np.eye(len(P)) - g * P.T, np.full(len(P), 1 / len(P))
        ),
        "ones-not-identity + unnormalised": lambda P, start, g: np.linalg.solve(1 - g * P.T, start),
        "unnormalised + start-not-counted": lambda P, start, g: np.linalg.solve(
            np.eye(len(P)) - g * P.T, P.T @ start
        ),
        "not-transposed + ones-not-identity": lambda P, start, g: np.linalg.solve(
            1 - g * P, (1 - g) * start
        ),
        "cut-short and unnormalised": lambda P, start, g: geometric(P, start, g, 100, 1.0),
    },
    "expected_return": {
        "not-divided + start-ignored": lambda P, R, pi, start, g: (1 - g) * float(
            np.linalg.solve(np.eye(len(R)) - g * matrices(P, R, pi)[0], matrices(P, R, pi)[1]).mean()
        ),
        "not-divided + reward-unweighted": lambda P, R, pi, start, g: (1 - g) * float(
            start @ np.linalg.solve(np.eye(len(R)) - g * matrices(P, R, pi)[0], R.mean(axis=1))
        ),
        "not-divided + transposed": lambda P, R, pi, start, g: (1 - g) * float(
            start @ np.linalg.solve(np.eye(len(R)) - g * matrices(P, R, pi)[0].T, matrices(P, R, pi)[1])
        ),
        "divided-twice + start-ignored": lambda P, R, pi, start, g: float(
            np.linalg.solve(np.eye(len(R)) - g * matrices(P, R, pi)[0], matrices(P, R, pi)[1]).mean()
            / (1 - g)
        ),
        "first-discounted + not-divided": lambda P, R, pi, start, g: g * (1 - g) * float(
            start @ np.linalg.solve(np.eye(len(R)) - g * matrices(P, R, pi)[0], matrices(P, R, pi)[1])
        ),
        "start-ignored + reward-unweighted": lambda P, R, pi, start, g: float(
            np.linalg.solve(np.eye(len(R)) - g * matrices(P, R, pi)[0], R.mean(axis=1)).mean()
        ),
        "first-reward-only and reward-unweighted": lambda P, R, pi, start, g: float(
            start @ R.mean(axis=1)
        ),
    },
    "sample_trajectory": {
        "uniform-actions + last-state-missing": walking(act=evenly, states=lambda x: x[:-1]),
        "uniform-actions + reward-on-arrival": walking(act=evenly, pay=lambda R, s, a, s2: R[s2, a]),
        "start-ignored + reward-on-arrival": walking(
            first=lambda rng, start: 0, pay=lambda R, s, a, s2: R[s2, a]
        ),
        "start-ignored + uniform-actions": walking(first=lambda rng, start: 0, act=evenly),
        "greedy-actions + start-ignored": walking(
            first=lambda rng, start: 0, act=lambda rng, pi, s: pi[s].argmax()
        ),
        "reward-on-arrival + last-state-missing": walking(
            states=lambda x: x[:-1], pay=lambda R, s, a, s2: R[s2, a]
        ),
        "start-ignored + last-state-missing": walking(
            first=lambda rng, start: 0, states=lambda x: x[:-1]
        ),
    },
}  # fmt: skip
