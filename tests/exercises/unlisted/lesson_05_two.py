"""Lesson 05 as published code gets it wrong: keys of WRONG with " + " make two mistakes at once."""

import numpy as np

from .lesson_05 import in_pairs


def learner(
    env,
    select,
    episodes,
    alpha,
    gamma,
    rng,
    value=lambda q, s, s2: np.max(q[s2]),
    over=lambda d, c: d,
    target=lambda r, g, live, y: r + g * live * y,
    update=lambda q, y, alpha: q + alpha * (y - q),
    ends=lambda d, c: d or c,
    begin=None,
):
    q = np.zeros((env.observation_space.n, env.action_space.n))
    for _ in range(episodes):
        if begin is not None:
            q = begin(q)
        s, _ = env.reset()
        finished = False
        while not finished:
            a = select(q[s], rng)
            s2, r, d, c, _ = env.step(a)
            y = target(r, gamma, 1 - int(over(d, c)), value(q, s, s2))
            q[s, a] = update(q[s, a], y, alpha)
            s = s2
            finished = ends(d, c)
    return q


def learning(**parts):
    return lambda *given: learner(*given, **parts)


def on_policy(
    env,
    select,
    episodes,
    alpha,
    gamma,
    rng,
    over=lambda d, c: d,
    target=lambda r, g, live, y: r + g * live * y,
    update=lambda q, y, alpha: q + alpha * (y - q),
    ends=lambda d, c: d or c,
):
    q = np.zeros((env.observation_space.n, env.action_space.n))
    for _ in range(episodes):
        s, _ = env.reset()
        a = select(q[s], rng)
        while True:
            s2, r, d, c, _ = env.step(a)
            a2 = select(q[s2], rng)
            y = target(r, gamma, 1 - int(over(d, c)), q[s2, a2])
            q[s, a] = update(q[s, a], y, alpha)
            s, a = s2, a2
            if ends(d, c):
                break
    return q


def on(**parts):
    return lambda *given: on_policy(*given, **parts)


UNDISCOUNTED = {"target": lambda r, g, live, y: r + live * y}
ALL_DISCOUNTED = {"target": lambda r, g, live, y: g * (r + live * y)}
WHOLE = {"update": lambda q, y, alpha: y}
ADDED = {"update": lambda q, y, alpha: q + alpha * y}
ERROR = {"update": lambda q, y, alpha: alpha * (y - q)}
SWAPPED = {"update": lambda q, y, alpha: alpha * q + (1 - alpha) * y}
AWAY = {"update": lambda q, y, alpha: q - alpha * (y - q)}
DONE = {"over": lambda d, c: d or c}
NOTHING = {"over": lambda d, c: False}
CLOCK = {"over": lambda d, c: c}


def rows(q):
    return np.arange(len(q))


def alive(d):
    return 1.0 - np.asarray(d, dtype=float)


NAMED = {
    "sarsa_target": {
        "gamma-on-reward/sum": lambda r, q, a, d, g: g * (r + alive(d) * q[rows(q), a]),
        "gamma-misplaced/sum": lambda r, q, a, d, g: g * r + alive(d) * q[rows(q), a],
        "masks-reward/product": lambda r, q, a, d, g: alive(d) * (r + g * q[rows(q), a]),
        "mask-inverted/product": lambda r, q, a, d, g: r + g * np.asarray(d) * q[rows(q), a],
        "reward-missing/product": lambda r, q, a, d, g: g * alive(d) * q[rows(q), a],
        "action-for-value/product": lambda r, q, a, d, g: r + g * alive(d) * a,
        "sum-over-actions/sum": lambda r, q, a, d, g: r + g * alive(d) * q.sum(axis=1),
    },
    "expected_sarsa_target": {
        "averaged-twice/mean": lambda r, q, pi, d, g: r + g * alive(d) * np.mean(pi * q, axis=1),
        "unweighted-sum/sum": lambda r, q, pi, d, g: r + g * alive(d) * q.sum(axis=1),
        "one-number/sum": lambda r, q, pi, d, g: r + g * alive(d) * np.sum(pi * q),
        "masks-reward/product": lambda r, q, pi, d, g: alive(d) * (r + g * np.sum(pi * q, axis=1)),
        "gamma-on-reward/sum": lambda r, q, pi, d, g: g * (r + alive(d) * np.sum(pi * q, axis=1)),
        "mask-inverted/product": lambda r, q, pi, d, g: r + g * d * np.sum(pi * q, axis=1),
    },
    "q_learning_target": {
        "no-gamma/sum": lambda r, q, d, g: r + alive(d) * q.max(axis=1),
        "worst-action/min": lambda r, q, d, g: r + g * alive(d) * q.min(axis=1),
        "sum-over-actions/sum": lambda r, q, d, g: r + g * alive(d) * q.sum(axis=1),
        "mask-inverted/product": lambda r, q, d, g: r + g * d * q.max(axis=1),
        "reward-missing/product": lambda r, q, d, g: g * alive(d) * q.max(axis=1),
        "wrong-axis/max": lambda r, q, d, g: r + g * alive(d) * q.max(axis=0),
    },
    "double_q_target": {
        "no-gamma/sum": lambda r, qa, qb, d, g: r + alive(d) * qb[rows(qa), qa.argmax(axis=1)],
        "mean-of-both/max": lambda r, qa, qb, d, g: r + g * alive(d) * ((qa + qb) / 2).max(axis=1),
        "both-select/sum": lambda r, qa, qb, d, g: (
            r + g * alive(d) * qb[rows(qa), (qa + qb).argmax(axis=1)]
        ),
        "index-for-value/argmax": lambda r, qa, qb, d, g: r + g * alive(d) * qa.argmax(axis=1),
        "masks-reward/product": lambda r, qa, qb, d, g: (
            alive(d) * (r + g * qb[rows(qa), qa.argmax(axis=1)])
        ),
    },
    "sarsa": {
        "no-gamma/loop": on(**UNDISCOUNTED),
        "gamma-on-reward/loop": on(**ALL_DISCOUNTED),
        "no-step-size/loop": on(**WHOLE),
        "prediction-not-subtracted/loop": on(**ADDED),
        "overwritten-by-error/loop": on(**ERROR),
        "shares-swapped/loop": on(**SWAPPED),
        "sign/loop": on(**AWAY),
        "truncated-for-terminated/loop": on(**CLOCK),
        "ignores-truncation/loop": on(ends=lambda d, c: d),
        "masks-truncation/loop": on(**DONE),
        "bootstraps-terminal/loop": on(**NOTHING),
    },
    "q_learning": {
        "no-gamma/loop": learning(**UNDISCOUNTED),
        "no-step-size/loop": learning(**WHOLE),
        "prediction-not-subtracted/loop": learning(**ADDED),
        "overwritten-by-error/loop": learning(**ERROR),
        "shares-swapped/loop": learning(**SWAPPED),
        "sign/loop": learning(**AWAY),
        "truncated-for-terminated/loop": learning(**CLOCK),
        "begins-anew/loop": learning(begin=np.zeros_like),
        "argmax-for-max/loop": learning(value=lambda q, s, s2: np.argmax(q[s2])),
        "mean-over-actions/loop": learning(value=lambda q, s, s2: np.mean(q[s2])),
        "own-max/loop": learning(value=lambda q, s, s2: np.max(q[s])),
    },
}

WRONG = {
    "sarsa_target": {
        "bootstraps-terminal + no-gamma": lambda r, q, a, d, g: r + q[rows(q), a],
        "max + bootstraps-terminal": lambda r, q, a, d, g: r + g * q.max(axis=1),
        "max + no-gamma": lambda r, q, a, d, g: r + alive(d) * q.max(axis=1),
        "mean-over-actions + bootstraps-terminal": lambda r, q, a, d, g: r + g * q.mean(axis=1),
        "gamma-on-reward + bootstraps-terminal": lambda r, q, a, d, g: g * (r + q[rows(q), a]),
        "max + masks-reward": lambda r, q, a, d, g: alive(d) * (r + g * q.max(axis=1)),
    },
    "expected_sarsa_target": {
        "bootstraps-terminal + averaged-twice": lambda r, q, pi, d, g: (
            r + g * (pi * q).mean(axis=1)
        ),
        "bootstraps-terminal + unweighted-mean": lambda r, q, pi, d, g: r + g * q.mean(axis=1),
        "greedy-expectation + no-gamma": lambda r, q, pi, d, g: r + alive(d) * q.max(axis=1),
        "greedy-expectation + bootstraps-terminal": lambda r, q, pi, d, g: r + g * q.max(axis=1),
        "one-number + bootstraps-terminal": lambda r, q, pi, d, g: r + g * (pi * q).sum(),
        "masks-reward + averaged-twice": lambda r, q, pi, d, g: (
            alive(d) * (r + g * (pi * q).mean(axis=1))
        ),
    },
    "q_learning_target": {
        "bootstraps-terminal + max-over-all": lambda r, q, d, g: r + g * q.max(),
        "bootstraps-terminal + argmax-for-max": lambda r, q, d, g: r + g * q.argmax(axis=1),
        "bootstraps-terminal + no-gamma": lambda r, q, d, g: r + q.max(axis=1),
        "argmax-for-max + masks-reward": lambda r, q, d, g: alive(d) * (r + g * q.argmax(axis=1)),
        "mask-inverted + no-gamma": lambda r, q, d, g: r + d * q.max(axis=1),
        "mean-over-actions + gamma-on-reward": lambda r, q, d, g: (
            g * (r + alive(d) * q.mean(axis=1))
        ),
    },
    "double_q_target": {
        "same-table + bootstraps-terminal": lambda r, qa, qb, d, g: r + g * qa.max(axis=1),
        "swapped + bootstraps-terminal": lambda r, qa, qb, d, g: (
            r + g * qa[rows(qa), qb.argmax(axis=1)]
        ),
        "swapped + no-gamma": lambda r, qa, qb, d, g: (
            r + alive(d) * qa[rows(qa), qb.argmax(axis=1)]
        ),
        "min-of-both + bootstraps-terminal": lambda r, qa, qb, d, g: (
            r + g * np.minimum(qa, qb).max(axis=1)
        ),
        "same-table + masks-reward": lambda r, qa, qb, d, g: alive(d) * (r + g * qb.max(axis=1)),
    },
    "sarsa": {
        "no-gamma + bootstraps-terminal": on(**UNDISCOUNTED, **NOTHING),
        "no-gamma + masks-truncation": on(**UNDISCOUNTED, **DONE),
        "no-step-size + bootstraps-terminal": on(**WHOLE, **NOTHING),
        "no-step-size + masks-truncation": on(**WHOLE, **DONE),
        "shares-swapped + no-gamma": on(**SWAPPED, **UNDISCOUNTED),
        "prediction-not-subtracted + masks-truncation": on(**ADDED, **DONE),
    },
    "q_learning": {
        "no-gamma + bootstraps-terminal": learning(**UNDISCOUNTED, **NOTHING),
        "no-gamma + masks-truncation": learning(**UNDISCOUNTED, **DONE),
        "own-max + bootstraps-terminal": learning(**NOTHING, value=lambda q, s, s2: np.max(q[s])),
        "own-max + masks-truncation": learning(**DONE, value=lambda q, s, s2: np.max(q[s])),
        "mean-over-actions + masks-truncation": learning(
            **DONE, value=lambda q, s, s2: np.mean(q[s2])
        ),
        "no-step-size + masks-truncation": learning(**WHOLE, **DONE),
    },
}


def both(r, q, a, pi, d, g, mask=alive, form=lambda r, live, y, g: r + g * live * y):
    """Both targets in one go, as a library with one function for both would have it."""
    future = np.stack([q[rows(q), a], (q * pi).sum(-1)])
    sampled, expected = form(r, mask(d), future, g)
    return sampled, expected


def in_both(**parts):
    return lambda *given: both(*given, **parts)


def each(of_sampled, of_expected):
    """The future of each target, with the mask and γ in place."""

    def targets(r, q, a, pi, d, g):
        return (
            r + np.where(d, 0.0, g * of_sampled(q, a, pi)),
            r + np.where(d, 0.0, g * of_expected(q, a, pi)),
        )

    return targets


def drawn(q, a, pi):
    return np.array([row[i] for row, i in zip(q, a, strict=True)])


def mean(q, a, pi):
    return (q[:, None, :] @ pi[:, :, None]).squeeze((1, 2))


def unmasked(d):
    return np.ones(len(d))


def no_discount(r, live, y, g):
    return r + live * y


NAMED["sarsa_targets"] = {
    "bootstraps-terminal/both": in_both(mask=unmasked),
    "no-gamma/both": in_both(form=no_discount),
    "gamma-on-reward/both": in_both(form=lambda r, live, y, g: g * (r + live * y)),
    "gamma-misplaced/both": in_both(form=lambda r, live, y, g: g * r + live * y),
    "masks-reward/both": in_both(form=lambda r, live, y, g: live * (r + g * y)),
    "mask-inverted/both": in_both(mask=lambda d: np.asarray(d, dtype=float)),
    "reward-missing/both": in_both(form=lambda r, live, y, g: g * live * y),
    "max/each": each(lambda q, a, pi: np.sort(q, axis=1)[:, -1], mean),
    "mean-over-actions/each": each(lambda q, a, pi: q.mean(1), mean),
    "first-action/each": each(lambda q, a, pi: q[:, 0], mean),
    "greedy-expectation/each": each(drawn, lambda q, a, pi: q[rows(q), q.argmax(1)]),
    "unweighted-mean/each": each(drawn, lambda q, a, pi: np.average(q, axis=1)),
    "likeliest-action/each": each(drawn, lambda q, a, pi: q[rows(q), np.argmax(pi, 1)]),
    "largest-share/each": each(drawn, lambda q, a, pi: np.max(q * pi, 1)),
    "sum-over-rows/each": lambda r, q, a, pi, d, g: (
        r + g * alive(d) * drawn(q, a, pi), r + g * alive(d) * np.sum(pi * q, axis=0)),
    "order-swapped/unpacked": lambda *given: both(*given)[::-1],
    "same-twice/one-variable": each(drawn, drawn),
    "same-twice/the-other": each(mean, mean),
}  # fmt: skip
WRONG["sarsa_targets"] = {
    "max + greedy-expectation": each(lambda q, a, pi: q.max(1), lambda q, a, pi: q.max(1)),
    "mean-over-actions + unweighted-mean": each(
        lambda q, a, pi: q.mean(1), lambda q, a, pi: q.mean(1)
    ),
    "bootstraps-terminal + no-gamma": in_both(mask=unmasked, form=no_discount),
    "bootstraps-terminal + order-swapped": lambda *given: both(*given, mask=unmasked)[::-1],
    "no-gamma + same-twice": lambda *given: both(*given, form=no_discount)[:1] * 2,
    "likeliest-action + masks-reward": lambda r, q, a, pi, d, g: (
        alive(d) * (r + g * q[rows(q), a]),
        alive(d) * (r + g * q[rows(q), pi.argmax(1)]),
    ),
    "one-array": lambda *given: np.stack(both(*given)),
    "sampled-alone": lambda *given: both(*given)[0],
    "three": lambda *given: (*both(*given), 0.0),
    "dictionary": lambda *given: dict(zip(("sampled", "expected"), both(*given), strict=True)),
    "weighs-the-drawn-action": each(lambda q, a, pi: pi[rows(q), a] * q[rows(q), a], mean),
    "policy-of-the-next-row": each(drawn, lambda q, a, pi: (np.roll(pi, 1, axis=0) * q).sum(1)),
    "argmax-of-the-policy": each(drawn, lambda q, a, pi: pi.argmax(axis=1)),
    "mean-of-both": lambda *given: (sum(both(*given)) / 2,) * 2,
    "uniform-share": each(drawn, lambda q, a, pi: (q * pi).sum(1) / pi.sum(0).sum()),
    "draws-its-own-action": lambda r, q, a, pi, d, g: both(r, q, pi.argmax(1), pi, d, g),
    "probabilities-in-place": lambda r, q, a, pi, d, g: (
        pi.__imul__(alive(d)[:, None]), both(r, q, a, pi, d, g))[1],
    "zeroes-in-place": lambda r, q, a, pi, d, g: (
        q.__imul__(alive(d)[:, None]), both(r, q, a, pi, d, g))[1],
}  # fmt: skip
RIGHT = {
    "sarsa_targets": {
        "stacked": both,
        "list-of-two": lambda *given: list(both(*given)),
        "matrix-products": each(drawn, mean),
        "masked-table": lambda r, q, a, pi, d, g: tuple(
            r + g * (w * np.where(np.asarray(d, dtype=bool)[:, None], 0.0, q)).sum(axis=1)
            for w in (np.arange(q.shape[1]) == a[:, None], pi)
        ),
        "cost-to-go": lambda r, q, a, pi, d, g: tuple(
            -(-r - g * (1 - np.array(d, int)) * y) for y in (drawn(q, a, pi), mean(q, a, pi))
        ),
        "expected-by-sampled": lambda r, q, a, pi, d, g: (
            both(r, q, a, pi, d, g)[0],
            sum(pi[:, k] * both(r, q, np.full(len(q), k), pi, d, g)[0] for k in range(q.shape[1])),
        ),
    }
}

for table in (NAMED, WRONG):
    in_pairs(table)
