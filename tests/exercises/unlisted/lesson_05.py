"""Lesson 05: the targets and ε-greedy. Keys as in `lesson_00`."""

import random

import numpy as np


def rows(future, mask=lambda y, d: 0.0 if d else y, form=lambda r, y, g: r + g * y):
    """A target built row by row; `future` gets the row's inputs between reward and terminated."""

    def target(reward, *given):
        *tables, terminated, gamma = given
        out = np.zeros(len(reward))
        for i in range(len(reward)):
            out[i] = form(reward[i], mask(future(*(x[i] for x in tables)), terminated[i]), gamma)
        return out

    return target


def unmasked(y, d):
    return y


def spoiled(right):
    """What goes wrong with any target, whatever it bootstraps from."""

    def zeroes_in_place(reward, table, *rest):
        table[rest[-2].astype(bool)] = 0.0
        return right(reward, table, *rest)

    return {
        "column": lambda *a: right(*a)[:, None],
        "list": lambda *a: list(right(*a)),
        "single-precision": lambda *a: right(*a).astype(np.float32),
        "one-in-a-million": lambda *a: right(*a) * (1 + 1e-6),
        "hard-coded-gamma": lambda *a: right(*a[:-1], 0.9),
        "batch-mean": lambda *a: np.full(len(a[0]), right(*a).mean()),
        "summed": lambda *a: float(right(*a).sum()),
        "gamma-squared": lambda *a: right(*a[:-1], a[-1] ** 2),
        "mask-inverted": lambda *a: right(*a[:-2], 1.0 - a[-2], a[-1]),
        "any-end-ends-all": lambda *a: right(*a[:-2], np.full(len(a[0]), a[-2].any()), a[-1]),
        "no-reward": lambda *a: right(*a) - a[0],
        "reward-twice": lambda *a: right(*a) + a[0],
        "fails-on-bool": lambda *a: right(*a) + 0 * (1 - a[-2] if a[-2].dtype != bool else -a[-2]),
        "zeroes-in-place": zeroes_in_place,
    }


def disguised(right):
    """What is right with any target, however it is dressed."""
    return {
        "keyword": lambda *a, extra=None: right(*a),
        "integer-flags": lambda *a: right(*a[:-2], np.array(a[-2], dtype=np.int8), a[-1]),
        "one-row-at-a-time": lambda *a: np.concatenate(
            [right(*(x[i : i + 1] for x in a[:-1]), a[-1]) for i in range(len(a[0]))]
        ),
        "backwards": lambda *a: right(*(x[::-1] for x in a[:-1]), a[-1])[::-1],
    }


def in_pairs(table):
    """Answers for either of SARSA's two targets become answers for `sarsa_targets`, the other target right."""
    right = [rows(FUTURE[part]) for part in ("sarsa_target", "expected_sarsa_target")]

    def sampled(mine):
        return lambda r, q, a, pi, d, g: (mine(r, q, a, d, g), right[1](r, q, pi, d, g))

    def expected(mine):
        return lambda r, q, a, pi, d, g: (right[0](r, q, a, d, g), mine(r, q, pi, d, g))

    pairs = table.setdefault("sarsa_targets", {})
    for part, lift in (("sarsa_target", sampled), ("expected_sarsa_target", expected)):
        for key, mine in table.pop(part, {}).items():
            pairs[f"{key}/{lift.__name__}"] = lift(mine)


FUTURE = {
    "sarsa_target": lambda q, a: q[a],
    "expected_sarsa_target": lambda q, pi: sum(p * x for p, x in zip(pi, q, strict=True)),
    "q_learning_target": lambda q: max(q),
    "double_q_target": lambda qa, qb: qb[max(range(len(qa)), key=lambda a: qa[a])],
}
EXCHANGED = {
    "sarsa_target": lambda q, a: q[a - 1],
    "expected_sarsa_target": lambda q, pi: sum(p * x for p, x in zip(pi, q[::-1], strict=True)),
    "q_learning_target": lambda q: min(q),
    "double_q_target": lambda qa, qb: (qa.max() + qb.max()) / 2,
}


def coin(explore, greedy=lambda q, rng: int(np.argmax(q)), flip=lambda e, rng: rng.random() < e):
    def epsilon_greedy(q_row, epsilon, rng):
        return explore(q_row, rng) if flip(epsilon, rng) else greedy(q_row, rng)

    return epsilon_greedy


def uniform(q, rng):
    return int(rng.integers(len(q)))


def last_best(q, rng):
    return len(q) - 1 - int(np.argmax(q[::-1]))


def others(q, rng):
    a = int(rng.integers(len(q)))
    while len(q) > 1 and a == np.argmax(q):
        a = int(rng.integers(len(q)))
    return a


def search(start, better=lambda x, best: x > best):
    """The greedy action by a search that begins with index 0 and the value `start`."""

    def greedy(q, rng):
        best, action = start, 0
        for a, x in enumerate(q):
            if better(x, best):
                best, action = x, a
        return action

    return coin(uniform, greedy)


class Decaying:
    """Explores less from call to call."""

    calls = 0

    def __call__(self, q, epsilon, rng):
        self.calls += 1
        return coin(uniform)(q, epsilon / (1 + self.calls / 1000), rng)


def at(q, action):
    return q[np.arange(len(q)), action]


def alive(d):
    return 1.0 - np.asarray(d, dtype=float)


def best_of(a):
    return a == a.max(axis=1, keepdims=True)


WRONG = {
    name: spoiled(rows(f)) | {"other-value": rows(EXCHANGED[name])} for name, f in FUTURE.items()
}
WRONG["sarsa_target"] |= {
    "flat-index": lambda r, q, a, d, g: r + g * alive(d) * np.take(q, a),
    "first-row": lambda r, q, a, d, g: r + g * alive(d) * q[0, a],
    "action-as-value": lambda r, q, a, d, g: r + g * alive(d) * a,
    "next-row's-action": lambda r, q, a, d, g: r + g * alive(d) * at(q, np.roll(a, -1)),
    "column-meets-row": lambda r, q, a, d, g: (
        r + g * alive(d) * np.take_along_axis(q, a[:, None], axis=1)
    ),
    "all-pairs-mean": lambda r, q, a, d, g: (
        r + g * alive(d) * np.take_along_axis(q, a[:, None], axis=1)
    ).mean(axis=1),
}
WRONG["expected_sarsa_target"] |= {
    "every-row's-policy": lambda r, q, pi, d, g: r + g * alive(d) * (q @ pi.T).mean(axis=1),
    "first-policy": lambda r, q, pi, d, g: r + g * alive(d) * (q @ pi[0]),
    "a-sample": lambda r, q, pi, d, g: (
        r + g * alive(d) * at(q, (pi.cumsum(1) > 0.5).argmax(axis=1))
    ),
    "best-product": lambda r, q, pi, d, g: r + g * alive(d) * (pi * q).max(axis=1),
    "weights-in-place": lambda r, q, pi, d, g: (
        r + g * alive(d) * np.multiply(q, pi, out=q).sum(axis=1)
    ),
}
WRONG["q_learning_target"] |= {
    "never-below-zero": lambda r, q, d, g: r + g * alive(d) * q.max(axis=1, initial=0.0),
    "largest-size": lambda r, q, d, g: r + g * alive(d) * np.abs(q).max(axis=1),
    "columns-best": lambda r, q, d, g: r + g * alive(d) * np.resize(q.max(axis=0), len(q)),
    "soft-maximum": lambda r, q, d, g: r + g * alive(d) * np.logaddexp.reduce(q, axis=1),
    "sorts-in-place": lambda r, q, d, g: (q.sort(axis=1), r + g * alive(d) * q[:, -1])[1],
    "masked-then-max-of-all": lambda r, q, d, g: r + g * (alive(d)[:, None] * q).max(),
}
WRONG["double_q_target"] |= {
    "last-of-the-best": lambda r, a, b, d, g: (
        r + g * alive(d) * at(b, a.shape[1] - 1 - a[:, ::-1].argmax(axis=1))
    ),
    "best-of-the-best": lambda r, a, b, d, g: (
        r + g * alive(d) * np.where(best_of(a), b, -np.inf).max(axis=1)
    ),
    "mean-of-the-best": lambda r, a, b, d, g: (
        r + g * alive(d) * np.average(b, axis=1, weights=best_of(a))
    ),
    "sum-of-the-tables-selects": lambda r, a, b, d, g: (
        r + g * alive(d) * at(b, (a + b).argmax(axis=1))
    ),
    "smaller-at-the-best": lambda r, a, b, d, g: (
        r + g * alive(d) * np.minimum(at(a, a.argmax(1)), at(b, a.argmax(1)))
    ),
    "larger-of-all": lambda r, a, b, d, g: r + g * alive(d) * np.maximum(a, b).max(axis=1),
    "masked-selection": lambda r, a, b, d, g: r + g * at(b, (alive(d)[:, None] * a).argmax(axis=1)),
}
WRONG["epsilon_greedy"] = {
    "search-from-zero": search(0.0),
    "search-keeps-the-last": search(-np.inf, better=lambda x, best: x >= best),
    "decaying": Decaying(),
    "misses-first-action": coin(lambda q, rng: int(rng.integers(1, max(len(q), 2)))),
    "one-too-many": coin(lambda q, rng: int(rng.integers(len(q) + 1))),
    "rounded": coin(lambda q, rng: round(rng.random() * (len(q) - 1))),
    "one-number-for-both": lambda q, e, rng: (
        lambda u: int(u * len(q)) if u < e else int(np.argmax(q))
    )(rng.random()),
    "normal-coin": coin(uniform, flip=lambda e, rng: rng.normal() < e),
    "epsilon-of-each": coin(uniform, flip=lambda e, rng: rng.random() < e / 3),
    "noisy-values": lambda q, e, rng: int(np.argmax(q + e * rng.normal(size=len(q)))),
    "nothing-when-exploring": lambda q, e, rng: None if rng.random() < e else int(np.argmax(q)),
    "positions": coin(uniform, lambda q, rng: np.where(q == q.max())[0]),
    "last-best": coin(uniform, last_best),
    "smallest": coin(uniform, lambda q, rng: int(np.argmin(q))),
    "largest-size": coin(uniform, lambda q, rng: int(np.argmax(np.abs(q)))),
    "four-actions": coin(lambda q, rng: int(rng.integers(4))),
    "always-random": coin(uniform, uniform),
    "own-generator": coin(lambda q, rng: int(np.random.default_rng(0).integers(len(q)))),
    "fixed-seed": lambda q, e, rng: coin(uniform)(q, e, np.random.default_rng(1)),
    "half-epsilon": coin(uniform, flip=lambda e, rng: rng.random() < e / 2),
    "value": coin(uniform, lambda q, rng: float(np.max(q))),
    "array": coin(uniform, lambda q, rng: np.array([np.argmax(q)])),
    "from-one": coin(lambda q, rng: 1 + uniform(q, rng)),
    "sorts-in-place": lambda q, e, rng: (coin(uniform)(q, e, rng), q.sort())[0],
}  # fmt: skip

RIGHT = {name: disguised(rows(f)) for name, f in FUTURE.items()}
RIGHT["sarsa_target"] |= {
    "choose": lambda r, q, a, d, g: r + g * alive(d) * np.choose(a, q.T),
    "flat": lambda r, q, a, d, g: r + g * (1 - d) * q.ravel()[np.arange(len(q)) * q.shape[1] + a],
    "one-hot-mask": lambda r, q, a, d, g: r + g * alive(d) * q[a[:, None] == np.arange(q.shape[1])],
}
RIGHT["expected_sarsa_target"] |= {
    "row-times-column": lambda r, q, pi, d, g: (
        r + g * alive(d) * (pi[:, None] @ q[..., None])[:, 0, 0]
    ),
    "expectation-of-targets": lambda r, q, pi, d, g: (
        pi * (r[:, None] + g * alive(d)[:, None] * q)
    ).sum(axis=1),
}
RIGHT["q_learning_target"] |= {
    "reduced": lambda r, q, d, g: r + g * alive(d) * np.maximum.reduce(q, axis=1),
    "best-target": lambda r, q, d, g: (r[:, None] + g * alive(d)[:, None] * q).max(axis=1),
    "partitioned": lambda r, q, d, g: r + g * alive(d) * np.partition(q, -1, axis=1)[:, -1],
    "least-cost": lambda r, q, d, g: r - g * (1 - d) * (-q).min(axis=1),
}
RIGHT["double_q_target"] |= {
    "first-of-the-best": lambda r, a, b, d, g: (
        r + g * alive(d) * b[best_of(a) & (best_of(a).cumsum(axis=1) == 1)]
    ),
    "stable-sort": lambda r, a, b, d, g: (
        r + g * alive(d) * at(b, np.argsort(-a, axis=1, kind="stable")[:, 0])
    ),
}
RIGHT["epsilon_greedy"] = {
    "search": search(-np.inf),
    "permutation": coin(lambda q, rng: int(rng.permutation(len(q))[0])),
    "multinomial": lambda q, e, rng: int(
        rng.multinomial(1, e / len(q) + (1 - e) * (np.arange(len(q)) == np.argmax(q))).argmax()
    ),
    "others-less-often": lambda q, e, rng: (
        others(q, rng) if rng.random() < e - e / len(q) else int(np.argmax(q))
    ),
    "unsigned": coin(uniform, lambda q, rng: np.uint8(np.argmax(q))),
    "zero-d-array": coin(lambda q, rng: rng.integers(len(q)), lambda q, rng: np.array(np.argmax(q))),
    "cumulative": lambda q, e, rng: int(
        np.searchsorted(
            np.cumsum([e / len(q) + (1 - e) * (a == np.argmax(q)) for a in range(len(q) - 1)]),
            rng.random(),
            side="right",
        )
    ),
    "choice-of-lists": lambda q, e, rng: rng.choice(
        [np.argmax(q), rng.choice(len(q))], p=[1 - e, e]
    ),
    "list-index": coin(uniform, lambda q, rng: list(q).index(max(q))),
    "binomial": coin(uniform, flip=lambda e, rng: rng.binomial(1, e)),
}  # fmt: skip

NAMED = {
    name: {"bootstraps-terminal/loop": rows(future, unmasked)} for name, future in FUTURE.items()
}
for name in ("sarsa_target", "expected_sarsa_target"):
    NAMED[name]["no-gamma/loop"] = rows(FUTURE[name], form=lambda r, y, g: r + y)
NAMED["sarsa_target"] |= {
    "max/loop": rows(lambda q, a: sorted(q)[-1]),
    "mean-over-actions/loop": rows(lambda q, a: sum(q) / len(q)),
    "all-rows/where": lambda r, q, a, d, g: np.where(d, r, r + g * q[:, a]),
    "all-rows/column-mask": lambda r, q, a, d, g: r + g * alive(d)[:, None] * q[:, a],
    "all-rows/transposed": lambda r, q, a, d, g: r + g * alive(d) * q.T[a],
}
NAMED["expected_sarsa_target"] |= {
    "greedy-expectation/loop": rows(lambda q, pi: sorted(q)[-1]),
    "unweighted-mean/loop": rows(lambda q, pi: sum(q) / len(q)),
    "likeliest-action/loop": rows(lambda q, pi: q[list(pi).index(max(pi))]),
}
NAMED["q_learning_target"] |= {
    "argmax-for-max/loop": rows(lambda q: list(q).index(max(q))),
    "max-over-all/where": lambda r, q, d, g: np.where(d, r, r + g * np.max(q)),
    "mean-over-actions/loop": rows(lambda q: sum(q) / len(q)),
    "masks-reward/where": lambda r, q, d, g: np.where(d, 0.0, r + g * q.max(axis=-1)),
    "gamma-on-reward/loop": rows(FUTURE["q_learning_target"], form=lambda r, y, g: g * r + g * y),
}
NAMED["double_q_target"] |= {
    "same-table/loop": rows(lambda qa, qb: sorted(qa)[-1]),
    "same-table/other": rows(lambda qa, qb: sorted(qb)[-1]),
    "swapped/loop": rows(lambda qa, qb: qa[list(qb).index(max(qb))]),
    "min-of-both/loop": rows(lambda qa, qb: min(max(qa), max(qb))),
    "all-rows/where": lambda r, qa, qb, d, g: np.where(d, r, r + g * qb[:, np.argmax(qa, 1)]),
    "all-rows/column-mask": lambda r, a, b, d, g: (
        r + g * alive(d)[:, None] * b[:, a.argmax(axis=1)]
    ),
    "all-rows/transposed": lambda r, a, b, d, g: r + g * alive(d) * b.T[a.argmax(axis=1)],
}
NAMED["epsilon_greedy"] = {
    "never-greedy-when-exploring/rejection": coin(others),
    "epsilon-swapped/flip": coin(uniform, flip=lambda e, rng: rng.random() > e),
    "random-ties/shuffled": coin(
        uniform, lambda q, rng: max(rng.permutation(len(q)), key=lambda a: q[a])
    ),
    "always-greedy/loop": lambda q, e, rng: max(range(len(q)), key=lambda a: q[a]),
    "global-generator/coin": coin(uniform, flip=lambda e, rng: np.random.rand() < e),  # noqa: NPY002
    "global-generator/python": lambda q, e, rng: coin(
        lambda q, rng: random.randrange(len(q)), flip=lambda e, rng: random.random() < e
    )(q, e, rng),
    "random-ties/noise": coin(
        uniform, lambda q, rng: int(np.argmax(q + 1e-9 * rng.random(len(q))))
    ),
    "misses-last-action/scaled": coin(lambda q, rng: int(rng.random() * (len(q) - 1))),
}  # fmt: skip

for table in (WRONG, RIGHT, NAMED):
    in_pairs(table)
