"""Lesson 01. A key of NAMED is the mistake's name, `/` and what sets this version apart."""

from functools import partial
from itertools import accumulate

import numpy as np

from unlisted import halves

# ------------------------------------------------------------------------------------ parts of answers


def to_go(rewards, gamma, last=0.0, dtype=float, first=0):
    g, result = last, np.zeros(len(rewards), dtype=dtype)
    for t in range(len(rewards) - 1, first - 1, -1):
        g = rewards[t] + gamma * g
        result[t] = g
    return result


def accumulates_in_place(rewards, gamma):
    for t in range(len(rewards) - 2, -1, -1):
        rewards[t] += gamma * rewards[t + 1]
    return rewards


def chain_of(P, pi, weight=lambda pi, s, a: pi[s, a], actions=None):
    S, A, _ = P.shape
    result = np.zeros((S, S))
    for s in range(S):
        for a in range(A if actions is None else min(actions, A)):
            result[s] += weight(pi, s, a) * P[s, a]
    return result


def spoils_P(P, pi):
    P *= pi[:, :, None]
    return P.sum(axis=1)


def spoils_R(R, pi):
    R *= pi
    return R.sum(axis=1)


def occupancy(P_pi, start, gamma):
    return np.linalg.solve(np.eye(len(start)) - gamma * P_pi.T, (1 - gamma) * start)


def after(steps, weight=lambda gamma, t: (1 - gamma) * gamma**t, normalise=False):
    """The occupancy, from a number of steps only."""

    def discounted_occupancy(P_pi, start, gamma):
        d, p = np.zeros(len(start)), start.copy()
        for t in range(steps):
            d += weight(gamma, t) * p
            p = p @ P_pi
        return d / d.sum() if normalise else d

    return discounted_occupancy


def spoils_start(P_pi, start, gamma):
    start *= 1 - gamma
    return np.linalg.solve(np.eye(len(start)) - gamma * P_pi.T, start)


def j(P, R, pi, start, gamma, mean_reward=None):
    mean_reward = (pi * R).sum(axis=1) if mean_reward is None else mean_reward
    return float(occupancy(chain_of(P, pi), start, gamma) @ mean_reward / (1 - gamma))


def j_after(steps):
    def expected_return(P, R, pi, start, gamma):
        p, total, P_pi = start.copy(), 0.0, chain_of(P, pi)
        for t in range(steps):
            total += gamma**t * float(p @ (pi * R).sum(axis=1))
            p = p @ P_pi
        return total

    return expected_return


def j_by_sampling(P, R, pi, start, gamma):
    rng, total = np.random.default_rng(0), 0.0
    for _ in range(50):
        s = rng.choice(len(start), p=start)
        for t in range(50):
            a = rng.choice(len(pi[s]), p=pi[s])
            total += gamma**t * R[s, a]
            s = rng.choice(len(start), p=P[s, a])
    return total / 50


def walk(
    P,
    R,
    pi,
    start,
    horizon,
    rng,
    *,
    pick=None,
    pay=None,
    form=tuple,
    extra=0,
    move_first=False,
    move=None,
):
    """Sampling with its parts exchangeable: `pick(rng, row)` draws, `pay(R, s, a, t)` pays."""
    pick = pick or (lambda rng, row: int(rng.choice(len(row), p=row)))
    pay = pay or (lambda R, s, a, t: float(R[s, a]))
    states, actions, rewards = [pick(rng, start)], [], []
    for t in range(horizon + extra):
        s = states[-1]
        if move_first:
            states.append(pick(rng, pi[s] @ P[s]))
        actions.append(pick(rng, pi[s]))
        rewards.append(pay(R, s, actions[-1], t))
        if not move_first:
            to = pick(rng, P[s, actions[-1]])
            states.append(move(P[s, actions[-1]]) if move else to)
    return form((np.array(states, int), np.array(actions, int), np.array(rewards, float)))


def walking(**parts):
    return partial(walk, **parts)


def first_state_not_kept(*given):
    states, actions, rewards = walk(*given)
    states[0] = 0
    return states, actions, rewards


def one_action_for_all(P, R, pi, start, horizon, rng):
    s = int(rng.choice(len(start), p=start))
    a, states = int(rng.choice(len(pi[s]), p=pi[s])), [s]
    for _ in range(horizon):
        states.append(int(rng.choice(len(start), p=P[states[-1], min(a, pi.shape[1] - 1)])))
    states, actions = np.array(states, int), np.full(horizon, a)
    return states, actions, R[states[:-1], actions].astype(float)


def draws_all_first(P, R, pi, start, horizon, rng):
    """All uniform numbers at once: the same stream, and the same place in it afterwards."""
    u = iter(rng.random(2 * horizon + 1).tolist())
    return walk(
        P, R, pi, start, horizon, u, pick=lambda u, row: int((np.cumsum(row) <= next(u)).sum())
    )


def stops_in_absorbing(P, R, pi, start, horizon, rng):
    states, actions, rewards = walk(P, R, pi, start, horizon, rng)
    stuck = [t for t in range(horizon) if P[states[t], actions[t], states[t]] == 1]
    end = stuck[0] + 1 if stuck else horizon
    return states[: end + 1], actions[:end], rewards[:end]


def no_empty_walk(P, R, pi, start, horizon, rng):
    return walk(P, R, pi, start, max(horizon, 1), rng)


def global_generator(P, R, pi, start, horizon, rng):
    return walk(P, R, pi, start, horizon, np.random)


def own_generator(P, R, pi, start, horizon, rng):
    return walk(P, R, pi, start, horizon, np.random.default_rng(0))


def always_first_action(P, R, pi, start, horizon, rng):
    return walk(P, R, np.eye(pi.shape[1])[np.zeros(len(pi), int)], start, horizon, rng)


def all_actions_first(P, R, pi, start, horizon, rng):
    """One action drawn for each state before the walk begins: a deterministic policy by chance."""
    s = int(rng.choice(len(start), p=start))
    fixed = [int(rng.choice(len(row), p=row)) for row in pi]
    states, actions = [s], []
    for _ in range(horizon):
        actions.append(fixed[states[-1]])
        states.append(int(rng.choice(len(start), p=P[states[-1], actions[-1]])))
    states, actions = np.array(states, int), np.array(actions, int)
    return states, actions, R[states[:-1], actions].astype(float)


def cdf(rng, row):
    u, at = rng.random(), 0
    cumulative = np.cumsum(row) / np.sum(row)
    while cumulative[at] <= u:
        at += 1
    return at


def rewards_at_the_end(P, R, pi, start, horizon, rng):
    S, A = pi.shape
    states, actions = np.empty(horizon + 1, dtype=np.int32), np.empty(horizon, dtype=np.int32)
    states[0] = rng.choice(np.arange(S), p=start)
    for t in range(horizon):
        actions[t] = rng.choice(np.arange(A), p=pi[states[t]])
        states[t + 1] = rng.choice(np.arange(S), p=P[states[t], actions[t]])
    return [
        states,
        actions,
        np.array([R[s, a] for s, a in zip(states, actions, strict=False)], float),
    ]


# ---------------------------------------------------------------------------------------------- tables

WRONG = {
    "returns_to_go": {
        "list": lambda r, g: list(to_go(r, g)),
        "column": lambda r, g: to_go(r, g)[:, None],
        "single-precision": partial(to_go, dtype=np.float32),
        "like-the-rewards": lambda r, g: to_go(r, g, dtype=r.dtype),
        "in-place": accumulates_in_place,
        "reversed-result": lambda r, g: to_go(r, g)[::-1],
        "first-left-out": partial(to_go, first=1),
        "undiscounted": lambda r, g: to_go(r, 1.0),
        "hard-coded-gamma": lambda r, g: to_go(r, 0.9),
        "one-step-more": lambda r, g: np.append(to_go(r, g), 0.0),
        "last-counted-twice": lambda r, g: to_go(r, g, last=r[-1] if len(r) else 0.0),
        "two-terms": lambda r, g: r + g * np.append(r[1:], np.zeros(min(len(r), 1))),
        "means": lambda r, g: to_go(r, g) / np.arange(len(r), 0, -1),
        "first-only": lambda r, g: float(np.sum(float(g) ** np.arange(len(r)) * r)),
        "no-empty-episode": lambda r, g: to_go(r, g) if len(r) else np.zeros(1),
        "fifty-terms": lambda r, g: np.array(
            [sum(g**k * x for k, x in enumerate(r[t : t + 50])) for t in range(len(r))], float
        ),
        "undoes-by-division": lambda r, g: np.cumsum((r * float(g) ** np.arange(len(r)))[::-1])[::-1]
        / np.maximum(float(g) ** np.arange(len(r)), 1e-300),
    },
    "policy_chain": halves(
        {
            "three-actions": partial(chain_of, actions=3),
            "keeps-the-actions": lambda P, pi: pi[:, :, None] * P,
            "rows-normalised": lambda P, pi: P.sum(axis=1) / P.sum(axis=(1, 2))[:, None],
            "first-state's-policy": partial(chain_of, weight=lambda pi, s, a: pi[0, a]),
            "squared": partial(chain_of, weight=lambda pi, s, a: pi[s, a] ** 2),
            "in-place": spoils_P,
            "list": lambda P, pi: chain_of(P, pi).tolist(),
            "single-precision": lambda P, pi: chain_of(P, pi).astype(np.float32),
            "mean-of-products": lambda P, pi: (pi[:, :, None] * P).mean(axis=1),
            "two-steps": lambda P, pi: chain_of(P, pi) @ chain_of(P, pi),
            "first-action": lambda P, pi: P[:, 0],
            "sums-over-s": lambda P, pi: np.einsum("sa,sat->at", pi, P),
            "rounded": lambda P, pi: chain_of(P, pi).round(6),
            "squeezes-all": lambda P, pi: (pi[:, None] @ P).squeeze(),
            "last-action-missed": partial(
                chain_of, weight=lambda pi, s, a: pi[s, a] * (a < pi.shape[1] - 1)
            ),
        },
        {
            "one-number": lambda R, pi: float((pi * R).sum()),
            "column": lambda R, pi: (pi * R).sum(axis=1, keepdims=True),
            "matrix": lambda R, pi: R @ pi.T,
            "products": lambda R, pi: pi * R,
            "likeliest-action": lambda R, pi: R[np.arange(len(R)), pi.argmax(axis=1)] * 1.0,
            "whole-numbers": lambda R, pi: (pi * R).sum(axis=1).astype(R.dtype),
            "first-state's-policy": lambda R, pi: R @ pi[0],
            "in-place": spoils_R,
            "list": lambda R, pi: [float(p @ r) for p, r in zip(pi, R, strict=True)],
            "centred": lambda R, pi: (pi * R).sum(axis=1) - R.mean(axis=1),
            "first-three-actions": lambda R, pi: (pi * R)[:, :3].sum(axis=1),
            "running-total": lambda R, pi: np.cumsum((pi * R).sum(axis=1)),
        },
    ),
    "discounted_occupancy": {
        "hundred-steps": after(100),
        "hundred-sweeps": lambda P, start, g: after(100)(P, start, g)
        + g**100 * start @ np.linalg.matrix_power(P, 100),
        "thousand-steps-normalised-late": after(300, normalise=True),
        "undiscounted-average": after(500, weight=lambda gamma, t: 1 / 500),
        "one-step-more-discount": after(5000, weight=lambda g, t: (1 - g) * g ** (t + 1)),
        "no-discount-factor": lambda P, start, g: np.linalg.solve(
            np.eye(len(start)) - 0.9 * P.T, 0.1 * start
        ),
        "gamma-on-the-start": lambda P, start, g: np.linalg.solve(
            np.eye(len(start)) - g * P.T, g * start
        ),
        "clipped": lambda P, start, g: np.maximum(occupancy(P, start, g), 1e-3),
        "row": lambda P, start, g: occupancy(P, start, g)[None],
        "in-place": spoils_start,
        "start-first-state": lambda P, start, g: occupancy(P, np.eye(len(start))[0], g),
        "start-likeliest-state": lambda P, start, g: occupancy(
            P, np.eye(len(start))[start.argmax()], g
        ),
        "single-precision": lambda P, start, g: occupancy(P, start, g).astype(np.float32),
        "next-states": lambda P, start, g: occupancy(P, start, g) @ P,
    },
    "expected_return": {
        "array": lambda *a: np.array([j(*a)]),
        "by-sampling": j_by_sampling,
        "hundred-steps": j_after(100),
        "hard-coded-gamma": lambda P, R, pi, start, g: j(P, R, pi, start, 0.9),
        "actions-alike": lambda P, R, pi, start, g: j(
            P, R, np.full(pi.shape, 1 / pi.shape[1]), start, g
        ),
        "rewards-of-actions-alike": lambda *a: j(*a, mean_reward=a[1].mean(axis=1)),
        "best-rewards": lambda *a: j(*a, mean_reward=a[1].max(axis=1)),
        "divided-twice": lambda *a: j(*a) / (1 - a[-1]),
        "from-the-first-state": lambda P, R, pi, start, g: j(P, R, pi, np.eye(len(start))[0], g),
        "every-state": lambda P, R, pi, start, g: np.linalg.solve(
            np.eye(len(start)) - g * chain_of(P, pi), (pi * R).sum(axis=1)
        ),
        "rounded": lambda *a: round(j(*a), 3),
        "not-transposed": lambda P, R, pi, start, g: float(
            np.linalg.solve(np.eye(len(start)) - g * chain_of(P, pi), start)
            @ (pi * R).sum(axis=1)
        ),
    },
    "sample_trajectory": {
        "stops-in-absorbing": stops_in_absorbing,
        "no-empty-walk": no_empty_walk,
        "one-step-more": walking(extra=1),
        "one-step-less": walking(extra=-1),
        "global-generator": global_generator,
        "own-generator": own_generator,
        "first-action": always_first_action,
        "actions-before-the-walk": all_actions_first,
        "state-before-action": walking(move_first=True),
        "discounts": walking(pay=lambda R, s, a, t: 0.9**t * R[s, a]),
        "mean-rewards": walking(pay=lambda R, s, a, t: R[s].mean()),
        "lists": walking(form=lambda parts: [part.tolist() for part in parts]),
        "in-another-order": walking(form=lambda parts: (parts[0], parts[2], parts[1])),
        "states-as-floats": walking(form=lambda parts: (parts[0] * 1.0, *parts[1:])),
        "one-draw-too-many": lambda *a: (walk(*a), a[-1].random())[0],
        "one-action-for-all": one_action_for_all,
        "likeliest-action": walking(
            pick=lambda rng, row: int(rng.choice(len(row), p=row)) if len(row) > 3 else row.argmax()
        ),
        "copies-the-generator": lambda *a: walk(*a[:-1], __import__("copy").deepcopy(a[-1])),
        "total": walking(form=lambda parts: (*parts[:2], parts[2].sum())),
    },
}  # fmt: skip


RIGHT = {
    "returns_to_go": {
        "accumulate": lambda r, g: np.fromiter(
            list(accumulate(r[::-1].tolist(), lambda after, x: x + g * after))[::-1], dtype=float
        ),
        "sums-of-slices": lambda r, g: np.array(
            [np.dot(float(g) ** np.arange(len(r) - t), r[t:]) for t in range(len(r))], dtype=float
        ),
        "triangular-solve": lambda r, g: np.linalg.solve(
            np.eye(len(r)) - g * np.eye(len(r), k=1), r.astype(float)
        ),
        "grows-at-the-front": lambda r, g: (lambda out: np.array(out, dtype=np.float64))(
            [polynomial for t in range(len(r)) for polynomial in [np.polyval(r[t:][::-1], g)]]
        ),
        "long-double": partial(to_go, dtype=np.longdouble),
        "convolution": lambda r, g: np.convolve(r[::-1], float(g) ** np.arange(len(r)))[: len(r)][::-1]
        if len(r)
        else np.zeros(0),
        "extra-arguments": lambda rewards, gamma, last=0.0: to_go(rewards, gamma, last),
    },
    "policy_chain": halves(
        {
            "loops": chain_of,
            "tensordot": lambda P, pi: np.stack(
                [np.tensordot(p, q, axes=1) for p, q in zip(pi, P, strict=True)]
            ),
            "other-order": lambda P, pi: np.einsum("ast,sa->st", P.transpose(1, 0, 2), pi),
            "average": lambda P, pi: np.array(
                [np.average(q, axis=0, weights=p) for p, q in zip(pi, P, strict=True)]
            ),
            "fortran-order": lambda P, pi: np.asfortranarray(chain_of(P, pi)),
        },
        {
            "loops": lambda R, pi: np.array(
                [sum(pi[s, a] * R[s, a] for a in range(R.shape[1])) for s in range(len(R))]
            ),
            "batched-matmul": lambda R, pi: (R[:, None, :] @ pi[:, :, None])[:, 0, 0],
            "by-actions": lambda R, pi: sum(pi[:, a] * R[:, a] for a in range(R.shape[1])),
            "vecdot": lambda R, pi: np.trace(R[:, :, None] * pi[:, None, :], axis1=1, axis2=2),
        },
    ),
    "discounted_occupancy": {
        "row-vector": lambda P, start, g: (1 - g) * start @ np.linalg.inv(np.eye(len(start)) - g * P),
        "solved-with-the-transpose-outside": lambda P, start, g: np.linalg.solve(
            (np.eye(len(start)) - g * P).T, start * (1 - g)
        ),
        "series": after(5000),
        "least-squares": lambda P, start, g: np.linalg.lstsq(
            np.eye(len(start)) - g * P.T, (1 - g) * start, rcond=None
        )[0],
        "squared-powers": lambda P, start, g: (1 - g) * start @ np.linalg.multi_dot(
            [np.eye(len(start)) + np.linalg.matrix_power(g * P, 2**k) for k in range(14)]
        ),
    },
    "expected_return": {
        "zero-d-array": lambda *a: np.array(j(*a)),
        "long-series": j_after(5000),
        "by-pairs": lambda P, R, pi, start, g: np.float64(
            np.sum(
                np.linalg.solve(
                    np.eye(R.size)
                    - g * np.einsum("sat,tb->satb", P, pi).reshape(R.size, R.size),
                    R.ravel(),
                ).reshape(R.shape)
                * pi
                * start[:, None]
            )
        ),
    },
    "sample_trajectory": {
        "cumulative-by-hand": walking(pick=cdf),
        "rewards-at-the-end": rewards_at_the_end,
        "list-of-three": walking(form=list),
        "draws-all-first": draws_all_first,
        "small-integers": walking(form=lambda parts: (parts[0].astype(np.int16), *parts[1:])),
        "over-a-range": walking(pick=lambda rng, row: rng.choice(range(len(row)), p=list(row))),
    },
}  # fmt: skip


UNNAMED = {
    "returns_to_go": {
        "logarithm-of-gamma": lambda r, g: np.array(
            [np.exp(np.arange(len(r) - t) * np.log(g)) @ r[t:] for t in range(len(r))], float
        ),
        "undoes-the-recursion": lambda r, g: np.array(
            list(accumulate(r[:-1], lambda G, x: (G - x) / np.float64(g), initial=to_go(r, g)[0]))
            if len(r)
            else [],
            float,
        ),
    },
    "sample_trajectory": {"first-state-not-kept": first_state_not_kept},
}


NAMED = {
    "returns_to_go": {
        "one-return-for-all/product": lambda r, g: to_go(r, g)[0] * np.ones(len(r))
        if len(r)
        else np.zeros(0),
        "forward/accumulate": lambda r, g: np.array(
            list(accumulate(r, lambda past, x: g * past + x)), float
        ),
        "discounted-from-start/loop": lambda r, g: np.array(
            [sum(g**k * r[k] for k in range(t, len(r))) for t in range(len(r))], float
        ),
        "divides-by-powers/plain-numbers": lambda r, g: np.array(
            [
                sum(g**k * x for k, x in enumerate(r.tolist()) if k >= t) / g**t
                for t in range(len(r))
            ],
            float,
        ),
        "divides-by-powers/negative-powers": lambda r, g: to_go(r * float(g) ** np.arange(len(r)), 1.0)
        * float(g) ** -np.arange(len(r), dtype=float),
        "divides-by-powers/nan-to-num": lambda r, g: np.nan_to_num(
            (lambda w: np.cumsum((w * r)[::-1])[::-1] / w)(float(g) ** np.arange(len(r)))
        ),
        "own-reward-missing/sums": lambda r, g: np.array(
            [sum(g ** (k - t) * r[k] for k in range(t + 1, len(r))) for t in range(len(r))], float
        ),
        "own-reward-missing/next-return": lambda r, g: np.append(
            to_go(r, g)[1:], np.zeros(min(len(r), 1))
        ),
    },
    "policy_chain": halves(
        {
            "mean-over-actions/loop": partial(chain_of, weight=lambda pi, s, a: 1 / pi.shape[1]),
            "sum-over-actions/loop": partial(chain_of, weight=lambda pi, s, a: 1.0),
            "transposed/einsum": lambda P, pi: np.einsum("sa,sat->ts", pi, P),
            "likeliest-action/loop": partial(
                chain_of, weight=lambda pi, s, a: float(a == np.argmax(pi[s]))
            ),
        },
        {
            "unweighted-mean/loop": lambda R, pi: np.array([sum(row) / len(row) for row in R], float),
            "unweighted-sum/as-given": lambda R, pi: R.sum(axis=1),
            "best-action/as-given": lambda R, pi: np.max(R, axis=1),
            "unweighted-sum/loop": lambda R, pi: np.array([sum(row) for row in R], float),
            "best-action/loop": lambda R, pi: np.array([max(row) for row in R], float),
            "sum-over-states/einsum": lambda R, pi: np.einsum("sa,sa->a", R, pi),
        },
    ),
    "discounted_occupancy": {
        "unnormalised/series": after(5000, weight=lambda gamma, t: gamma**t),
        "not-transposed/inverse": lambda P, start, g: np.linalg.inv(np.eye(len(start)) - g * P)
        @ start
        * (1 - g),
        "plus-gamma/inverse": lambda P, start, g: (1 - g)
        * np.linalg.inv(np.eye(len(start)) + g * P.T)
        @ start,
        "start-ignored/eigenvector": lambda P, start, g: (
            lambda values, vectors: (lambda x: x / x.sum())(vectors[:, values.real.argmax()].real)
        )(*np.linalg.eig(P.T)),
        "start-ignored/first-state": lambda P, start, g: occupancy(P, np.eye(len(start))[0], g),
        "start-not-counted/divided-by-its-sum": lambda P, start, g: (
            lambda d: d / d.sum()
        )(occupancy(P, start, g) - (1 - g) * start),
        "start-ignored/uniform-series": lambda P, start, g: after(5000)(
            P, np.ones(len(start)) / len(start), g
        ),
        "start-not-counted/discounted-once": after(
            5000, weight=lambda g, t: (1 - g) * g**t * (t > 0)
        ),
    },
    "expected_return": {
        "not-divided/occupancy": lambda *a: (1 - a[-1]) * j(*a),
        "first-reward-only/one-step": j_after(1),
        "first-discounted/series": lambda *a: a[-1] * j_after(5000)(*a),
        "start-ignored/first-state": lambda P, R, pi, start, g: j(P, R, pi, np.eye(len(start))[0], g),
        "start-ignored/mean-over-states": lambda P, R, pi, start, g: j(
            P, R, pi, np.ones(len(start)) / len(start), g
        ),
    },
    "sample_trajectory": {
        "uniform-actions/row": lambda P, R, pi, start, horizon, rng: walk(
            P, R, np.full(pi.shape, 1 / pi.shape[1]), start, horizon, rng
        ),
        "last-state-missing/cut": walking(form=lambda parts: (parts[0][:-1], *parts[1:])),
        "reward-on-arrival/shifted": lambda *a: (
            lambda states, actions, rewards: (states, actions, a[1][states[1:], actions])
        )(*walk(*a)),
        "likeliest-next-state/drawn-in-vain": walking(
            pick=lambda rng, row: rng.choice(len(row), p=row), move=np.argmax
        ),
        "start-ignored/likeliest": lambda P, R, pi, start, horizon, rng: walk(
            P, R, pi, np.eye(len(start))[start.argmax()], horizon, rng
        ),
        "start-ignored/uniform": lambda P, R, pi, start, horizon, rng: walk(
            P, R, pi, np.full(len(start), 1 / len(start)), horizon, rng
        ),
    },
}  # fmt: skip
