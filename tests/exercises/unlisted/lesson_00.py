"""Lesson 00. A key of NAMED is the mistake's name, `/` and what sets this version apart."""

from functools import partial

import numpy as np


def total(weight, rewards, gamma):
    g = 0.0
    for t in range(len(rewards)):
        g = g + weight(t, len(rewards), gamma) * rewards[t]
    return float(g)


def returns(weight):
    return partial(total, weight)


def discounts_in_place(rewards, gamma):
    for t in range(len(rewards)):
        rewards[t] = rewards[t] * gamma**t
    return float(np.sum(rewards))


def integer_buffer(rewards, gamma):
    weighted = np.empty_like(rewards)
    for t, r in enumerate(rewards):
        weighted[t] = gamma**t * r
    return float(weighted.sum())


def flags_loop(rule):
    return lambda terminated, truncated: np.array(
        [float(rule(bool(d), bool(c))) for d, c in zip(terminated, truncated, strict=True)]
    )


def clears_flags(terminated, truncated):
    terminated[truncated.astype(bool)] = 0
    return 1.0 - terminated.astype(float)


def errors(prediction, target):
    return [float(p) - float(y) for p, y in zip(np.ravel(prediction), target, strict=True)]


def subtracts_in_place(prediction, target):
    prediction -= target.reshape(prediction.shape)
    return float(np.mean(prediction**2))


def episode(env, policy, rng, *, resets=1, cap=None, dtype=np.float64, form=np.array, extra=False):
    for _ in range(resets):
        s, _ = env.reset()
    rewards, d, c = [], False, False
    while not (d or c) and (cap is None or len(rewards) < cap):
        s, r, d, c, _ = env.step(policy(s, rng))
        rewards.append(r)
    if extra:
        policy(s, rng)
    return form(np.asarray(rewards, dtype=dtype)), d


def running(env, policy, rng):
    """Recursive for some steps at a time is too deep for long episodes: a deque of chunks instead."""
    state = env.reset()[0]
    out = np.empty(0)
    while True:
        state, r, *flags, _ = env.step(policy(state, rng))
        out = np.append(out, r)
        if any(flags):
            return [out, np.array(flags[0])]


def stops_when(rule, record=True, result=lambda d, c: d, moves=True):
    def run_episode(env, policy, rng):
        s = first = env.reset()[0]
        rewards = np.zeros(0)
        for _ in iter(int, 1):
            s_next, r, d, c, _ = env.step(policy(s if moves else first, rng))
            if not record and rule(d, c):
                return rewards, result(d, c)
            rewards = np.concatenate([rewards, [r]])
            s = s_next
            if rule(d, c):
                return rewards, result(d, c)

    return run_episode


def either(d, c):
    return d or c


def default_list(env, policy, rng, rewards=[]):  # noqa: B006
    r, d = episode(env, policy, rng)
    rewards.extend(r)
    return np.array(rewards), d


def one_action(env, policy, rng):
    a, rewards, d, c = policy(env.reset()[0], rng), [], False, False
    while not (d or c):
        _, r, d, c, _ = env.step(a)
        rewards.append(r)
    return np.array(rewards), d


def one_step_late(env, policy, rng):
    """The policy sees the state before the one that it is in."""
    s = before = env.reset()[0]
    rewards, d, c = [], False, False
    while not (d or c):
        a, before = policy(before, rng), s
        s, r, d, c, _ = env.step(a)
        rewards.append(r)
    return np.array(rewards), d


def remembers(key):
    """A return that is computed once for each `key(rewards, gamma)`."""
    known = {}
    return lambda r, g: known.setdefault(key(r, g), total(lambda t, T, g: g**t, r, g))


WRONG = {
    "discounted_return": {
        "last-reward-missed": lambda r, g: total(lambda t, T, g: g**t, r[:-1], g),
        "first-reward-missed": lambda r, g: float(sum(g**t * x for t, x in enumerate(r[1:]))),
        "hard-coded-gamma": lambda r, g: float(np.sum(0.9 ** np.arange(len(r)) * r)),
        "no-empty-episode": lambda r, g: float(r[0] + sum(g**t * r[t] for t in range(1, len(r)))),
        "normalised": lambda r, g: (1 - g) * total(lambda t, T, g: g**t, r, g),
        "divides-by-powers": lambda r, g: float(
            np.sum(np.cumsum(g ** np.arange(len(r))[::-1] * r) / g ** np.arange(len(r)))
        ),
        "single-precision": lambda r, g: float(
            np.sum(np.float32(g) ** np.arange(len(r), dtype=np.float32) * np.float32(r))
        ),
        "one-in-a-million": lambda r, g: total(lambda t, T, g: g**t, r, g) * (1 + 1e-6),
        "shape-one": lambda r, g: np.array([total(lambda t, T, g: g**t, r, g)]),
        "all-partial-sums": lambda r, g: np.cumsum(g ** np.arange(len(r)) * r),
        "in-place": discounts_in_place,
        "integer-buffer": integer_buffer,
        "ten-steps": lambda r, g: total(lambda t, T, g: g**t, r[:10], g),
        "prints-only": lambda r, g: print(total(lambda t, T, g: g**t, r, g)),
        "hundred-terms": lambda r, g: total(lambda t, T, g: g**t, r[:100], g),
        "absolute": lambda r, g: abs(total(lambda t, T, g: g**t, r, g)),
        "remembers-by-gamma": remembers(lambda r, g: g),
        "remembers-by-length": remembers(lambda r, g: len(r)),
        "logarithm-of-gamma": lambda r, g: float(np.exp(np.arange(len(r)) * np.log(g)) @ r),
        "weights-squared": lambda r, g: total(lambda t, T, g: g ** (2**t - 1), r, g),
    },
    "bootstrap_mask": {
        "bitwise-not": lambda d, c: ~d,
        "minus-on-bool": lambda d, c: 1 - d if d.dtype != bool else d,
        "list": lambda d, c: [1.0 - float(x) for x in d],
        "column": lambda d, c: (1.0 - d.astype(float))[:, None],
        "first-row-for-all": lambda d, c: np.full(len(d), 1.0 - float(d[0])),
        "any-row-ends-all": lambda d, c: np.full(len(d), 1.0 - float(d.any())),
        "xor": lambda d, c: 1.0 - np.logical_xor(d, c),
        "shifted": lambda d, c: np.concatenate([[1.0], 1.0 - d[:-1].astype(float)]),
        "all-ones": lambda d, c: np.ones(len(d)),
        "clears-flags": clears_flags,
        "scalar": lambda d, c: float(np.mean(1.0 - d.astype(float))),
        "of-objects": lambda d, c: np.array([not x for x in d], dtype=object),
        "either-goes-on": lambda d, c: np.logical_or(np.logical_not(d), c == d),
        "is-false": lambda d, c: np.array([x is False for x in d]),
    },
    "mean_squared_error": {
        "absolute": lambda p, y: float(np.mean(np.abs(np.ravel(p) - y))),
        "divides-by-b-minus-1": lambda p, y: sum(e * e for e in errors(p, y)) / max(len(y) - 1, 1),
        "fixed-batch": lambda p, y: sum(e * e for e in errors(p, y)) / 32,
        "variance": lambda p, y: float(np.var(np.ravel(p) - y)),
        "each-row": lambda p, y: (np.ravel(p) - y) ** 2,
        "squeezes-all": lambda p, y: float(np.mean((p[:, 0] - y) ** 2)),
        "sorted": lambda p, y: float(np.mean((np.sort(np.ravel(p)) - np.sort(y)) ** 2)),
        "single-precision": lambda p, y: float(np.mean((np.float32(p).ravel() - np.float32(y)) ** 2)),
        "negative": lambda p, y: -float(np.mean((np.ravel(p) - y) ** 2)),
        "in-place": subtracts_in_place,
        "relative": lambda p, y: float(np.mean(((np.ravel(p) - y) / y) ** 2)),
        "target-made-a-column": lambda p, y: float(np.mean((p.squeeze(-1)[:, None] - y) ** 2)),
        "first-column-of-rows": lambda p, y: float(np.mean((p[..., 0] - y) ** 2)),
        "half-of-the-sum": lambda p, y: 0.5 * sum(e * e for e in errors(p, y)),
        "matrix": lambda p, y: (lambda e: e.T @ e / len(y))(p.reshape(-1, 1) - y.reshape(-1, 1)),
    },
    "run_episode": {
        "two-resets": partial(episode, resets=2),
        "hundred-steps": partial(episode, cap=100),
        "single-precision": partial(episode, dtype=np.float32),
        "list": partial(episode, form=list),
        "column": partial(episode, form=lambda r: r[:, None]),
        "one-choice-more": partial(episode, extra=True),
        "reversed": partial(episode, form=lambda r: r[::-1]),
        "cumulative": partial(episode, form=np.cumsum),
        "truncated-for-terminated": stops_when(either, result=lambda d, c: c),
        "not-terminated": stops_when(either, result=lambda d, c: not d),
        "terminal-only-without-limit": stops_when(either, result=lambda d, c: d and not c),
        "integer-flag": stops_when(either, result=lambda d, c: int(d)),
        "stops-at-truncation-only": stops_when(lambda d, c: c),
        "exchanged-results": lambda *a: episode(*a)[::-1],
        "default-list": default_list,
        "one-action": one_action,
        "one-step-late": one_step_late,
        "never-terminated": stops_when(either, result=lambda d, c: False),
        "draws-at-the-end": lambda env, policy, rng: (episode(env, policy, rng), rng.random())[0],
        "five-steps": partial(episode, cap=5),
        "seeded": lambda env, policy, rng: (env.reset(seed=0), episode(env, policy, rng))[1],
    },
}  # fmt: skip


class Weighted:
    def __call__(self, rewards, gamma=0.99, *, start=0.0):
        return np.array(start + sum(w * r for w, r in zip(self.weights(gamma), rewards)))  # noqa: B905

    def weights(self, gamma):
        w = 1.0
        while True:
            yield w
            w *= gamma


RIGHT = {
    "discounted_return": {
        "callable-object": Weighted(),
        "partial": returns(lambda t, T, g: g**t),
        "zero-d-array": lambda r, g: np.einsum("t,t->", np.float64(g) ** np.arange(len(r)), r),
        "cumprod": lambda r, g: np.float64(
            np.cumprod(np.r_[1.0, np.full(len(r), float(g))])[:-1] @ np.asarray(r, float)
        ),
        "backwards-sum": lambda r, g: float(sum(g**t * r[t] for t in range(len(r))[::-1])),
        "long-double": lambda r, g: np.sum(np.longdouble(g) ** np.arange(len(r)) * r),
        "extra-arguments": lambda rewards, gamma, *rest, **more: returns(lambda t, T, g: g**t)(
            rewards, gamma
        ),
    },
    "bootstrap_mask": {
        "xor-one": lambda d, c: np.bitwise_xor(d.astype(int), 1),
        "small-float": lambda d, c=None: (1 - d.astype(np.int8)).astype(np.float32),
        "list-comprehension": flags_loop(lambda d, c: not d),
        "table": lambda d, c: np.array([1, 0], dtype=np.uint8)[np.array(d, dtype=int)],
        "bool": lambda d, c: d < 0.5,
        "vectorize": np.vectorize(lambda d, c: 0 if d else 1),
        "zero-to-the-power": lambda d, c: 0.0 ** d.astype(float),
    },
    "mean_squared_error": {
        "norm": lambda p, y: np.linalg.norm(np.ravel(p) - y) ** 2 / y.size,
        "inner": lambda p, y: (lambda e: e @ e / e.size)(p.reshape(-1) - y),
        "expanded": lambda p, y: np.array(np.mean([e**2 for e in errors(p, y)])),
        "column-target": lambda p, y: np.mean((p.reshape(-1, 1) - y[:, None]) ** 2, axis=(0, 1)),
        "diagonal": lambda p, y: np.mean(np.diag(p.reshape(-1, 1) - y) ** 2),
        "squeeze": lambda p, y, axis=None: np.square(np.squeeze(p) - np.squeeze(y)).mean(axis=axis),
    },
    "run_episode": {
        "partial": partial(episode, dtype=float),
        "list-of-two": running,
        "numpy-bool": stops_when(either, result=lambda d, c: np.bool_(d)),
        "endless-iterator": stops_when(lambda d, c: bool(d + c)),
        "closes": lambda env, policy, rng: (episode(env, policy, rng), env.close())[0],
        "zero-d-flag": stops_when(either, result=lambda d, c: np.array(d)),
        "not-truncated-alone": stops_when(either, result=lambda d, c: d is True or bool(d)),
    },
}  # fmt: skip


UNNAMED = {
    "bootstrap_mask": {
        # Right but for the last row: where there is one row only, 1 is what `inverted` gives too.
        "last-row-missed": lambda d, c: np.append(1.0 - d[:-1].astype(float), 1.0),
    },
}


NAMED = {
    "discounted_return": {
        "first-discounted/powers": returns(lambda t, T, g: g ** (t + 1)),
        "undiscounted/loop": returns(lambda t, T, g: 1.0),
        "undiscounted/zero-d": lambda r, g: np.array(r.sum()),
        "mean-not-sum/no-guard": lambda r, g: sum(g**t * x for t, x in enumerate(r)) / len(r),
        "mean-not-sum/undiscounted": lambda r, g: r.mean() if len(r) else 0.0,
        "mean-not-sum/weights": returns(lambda t, T, g: g**t / T),
        "weights-reversed/powers": returns(lambda t, T, g: g ** (T - 1 - t)),
        "weights-reversed/forward": lambda r, g: __import__("functools").reduce(
            lambda acc, x: g * acc + x, r, 0.0
        ),
        "multiplied-not-power/from-one": returns(lambda t, T, g: 1.0 if t == 0 else g * t),
    },
    "bootstrap_mask": {
        "masks-truncation/loop": flags_loop(lambda d, c: not d and not c),
        "masks-truncation/product": lambda d, c: (1.0 - d.astype(float)) * (1.0 - c.astype(float)),
        "inverted/loop": flags_loop(lambda d, c: d),
        "inverted/as-given": lambda d, c: d.copy(),
        "masks-truncation/whole-numbers": lambda d, c: np.where(d.astype(bool) | c.astype(bool), 0, 1),
        "truncated-instead/whole-numbers": lambda d, c: 1 - c.astype(int),
        "truncated-instead/loop": flags_loop(lambda d, c: not c),
        "truncation-wins/loop": flags_loop(lambda d, c: True if c else not d),
    },
    "mean_squared_error": {
        "all-pairs/loops": lambda p, y: float(
            np.mean([[(float(a) - b) ** 2 for b in y] for a in np.ravel(p)])
        ),
        "all-pairs/only-columns": lambda p, y: np.square(p - y).mean(),
        "all-pairs/only-rows": lambda p, y: np.square(p - y[:, None]).mean(),
        "all-pairs/zero-d": lambda p, y: np.array(np.mean(np.subtract.outer(p, y) ** 2)),
        "sum-not-mean/loop": lambda p, y: sum(e**2 for e in errors(p, y)),
        "half/loop": lambda p, y: sum(0.5 * e**2 for e in errors(p, y)) / len(y),
        "root/norm": lambda p, y: np.linalg.norm(errors(p, y)) / len(y) ** 0.5,
        "mean-before-square/loop": lambda p, y: (sum(errors(p, y)) / len(y)) ** 2,
    },
    "run_episode": {
        "waits-for-terminated/loop": stops_when(lambda d, c: d),
        "stale-state/loop": stops_when(either, moves=False),
        "last-reward-lost/early-return": stops_when(either, record=False),
        "done-not-terminated/loop": stops_when(either, result=either),
        "done-not-terminated/always": stops_when(either, result=lambda d, c: True),
        "total-only/zero-d": lambda *a: (lambda r, d: (np.array(r.sum()), d))(*episode(*a)),
        "total-only/cumulative": lambda *a: (lambda r, d: (float(np.cumsum(r)[-1]), d))(*episode(*a)),
    },
}  # fmt: skip
