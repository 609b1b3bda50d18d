"""Lesson 05: the targets and ε-greedy. Keys as in `lesson_00`."""

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


WRONG = {
    name: spoiled(rows(f)) | {"other-value": rows(EXCHANGED[name])} for name, f in FUTURE.items()
}
WRONG["epsilon_greedy"] = {
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
RIGHT["epsilon_greedy"] = {
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
}
NAMED["epsilon_greedy"] = {
    "never-greedy-when-exploring/rejection": coin(others),
    "epsilon-swapped/flip": coin(uniform, flip=lambda e, rng: rng.random() > e),
    "random-ties/shuffled": coin(
        uniform, lambda q, rng: max(rng.permutation(len(q)), key=lambda a: q[a])
    ),
    "always-greedy/loop": lambda q, e, rng: max(range(len(q)), key=lambda a: q[a]),
    "global-generator/coin": coin(uniform, flip=lambda e, rng: np.random.rand() < e),  # noqa: NPY002
    "misses-last-action/scaled": coin(lambda q, rng: int(rng.random() * (len(q) - 1))),
}  # fmt: skip
