"""Lesson 04: returns, targets and TD prediction. Keys as in `lesson_00`."""

from collections import defaultdict

import numpy as np

from .lesson_05 import disguised, spoiled

# ------------------------------------------------------------------------------- mc_prediction


def to_go(rewards, gamma):
    g, out = 0.0, []
    for r in reversed(list(rewards)):
        g = r + gamma * g
        out.append(g)
    return out[::-1]


def visits(first, count=None, start=0.0, ret=to_go, seen=None):
    """Means over visits, with the rule for what counts and what is divided by exchangeable."""

    def mc_prediction(episodes, gamma, n_states, first_visit):
        total, number = np.full(n_states, start), np.zeros(n_states)
        for states, rewards in episodes:
            g = ret(rewards, gamma)
            for t in range(len(states)):
                if first(list(states), t, first_visit):
                    total[states[t]] += g[t]
                    number[states[t]] += 1
        divisor = np.maximum(number, 1) if count is None else count(number, episodes)
        return total / divisor

    return mc_prediction


def as_asked(states, t, first_visit):
    return not first_visit or states[t] not in states[:t]


def first_by_episode_number(episodes, gamma, n_states, first_visit):
    """Keeps the visited set over all episodes: later episodes add nothing."""
    total, number, seen = np.zeros(n_states), np.zeros(n_states), set()
    for states, rewards in episodes:
        g = to_go(rewards, gamma)
        for t, s in enumerate(states):
            if not first_visit or s not in seen:
                seen.add(s)
                total[s] += g[t]
                number[s] += 1
    return total / np.maximum(number, 1)


def mean_of_episode_means(episodes, gamma, n_states, first_visit):
    per_episode = [[] for _ in range(n_states)]
    for states, rewards in episodes:
        g = to_go(rewards, gamma)
        for s in set(map(int, states)):
            own = [g[t] for t in range(len(states)) if states[t] == s]
            per_episode[s].append(own[0] if first_visit else np.mean(own))
    return np.array([np.mean(x) if x else 0.0 for x in per_episode])


def running(step):
    def mc_prediction(episodes, gamma, n_states, first_visit):
        v, n = np.zeros(n_states), np.zeros(n_states, dtype=int)
        for states, rewards in episodes:
            g = to_go(rewards, gamma)
            for t in range(len(states)):
                if as_asked(list(states), t, first_visit):
                    n[states[t]] += 1
                    v[states[t]] += step(n[states[t]]) * (g[t] - v[states[t]])
        return v

    return mc_prediction


def integer_returns(rewards, gamma):
    g = np.zeros_like(rewards)
    for t, value in enumerate(to_go(rewards, gamma)):
        g[t] = value
    return g


def remembered(episodes, gamma, n_states, first_visit, found=defaultdict(list)):  # noqa: B006
    """The default argument keeps what earlier calls have seen."""
    for states, rewards in episodes:
        g = to_go(rewards, gamma)
        for t, s in enumerate(states):
            if as_asked(list(states), t, first_visit):
                found[int(s)].append(g[t])
    return np.array([np.mean(found[s]) if s in found else 0.0 for s in range(n_states)])


def never_reset(episodes, gamma, n_states, first_visit):
    """g runs on from one episode into the next."""
    total, number, g = np.zeros(n_states), np.zeros(n_states), 0.0
    for states, rewards in episodes:
        for t in reversed(range(len(states))):
            g = rewards[t] + gamma * g
            if as_asked(list(states), t, first_visit):
                total[states[t]] += g
                number[states[t]] += 1
    return total / np.maximum(number, 1)


def repeated_index(episodes, gamma, n_states, first_visit):
    """Of a state that occurs twice in the index, NumPy adds the last only."""
    total, number = np.zeros(n_states), np.zeros(n_states)
    for states, rewards in episodes:
        g = np.array(to_go(rewards, gamma))
        if first_visit:
            total[states] += g
            number[states] += 1
        else:
            np.add.at(total, states, g)
            np.add.at(number, states, 1)
    return total / np.maximum(number, 1)


def one_hot(episodes, gamma, n_states, first_visit):
    total, number = np.zeros(n_states), np.zeros(n_states)
    for states, rewards in episodes:
        ahead = np.arange(len(states)) - np.arange(len(states))[:, None]
        visits = np.eye(n_states)[states]
        visits *= visits.cumsum(axis=0) == 1 if first_visit else 1
        total += visits.T @ (np.triu(float(gamma) ** np.maximum(ahead, 0)) @ rewards)
        number += visits.sum(axis=0)
    return np.divide(total, number, out=np.zeros(n_states), where=number > 0)


def by_dictionary(episodes, gamma, n_states, first_visit):
    found = {s: [] for s in range(n_states)}
    for states, rewards in episodes:
        g, firsts = to_go(rewards, gamma), {}
        for t in reversed(range(len(states))):
            firsts[int(states[t])] = g[t]
            if not first_visit:
                found[int(states[t])].append(g[t])
        if first_visit:
            for s, value in firsts.items():
                found[s].append(value)
    return np.array([sum(x) / len(x) if x else 0.0 for x in found.values()])


# ------------------------------------------------------------------------------ n_step_return


def n_step(keep=lambda d, k: d, boot=lambda g, n: g**n, weight=lambda g, k: g**k, lose=0, last=0.0):
    """Forward sum with its parts exchangeable; `keep` says which flag ends the window."""

    def n_step_return(rewards, v_boot, terminated, gamma):
        total = 0.0
        for k in range(len(rewards)):
            total += weight(gamma, k) * rewards[k]
            if keep(terminated[k], k):
                return float(total)
        return float(total + boot(gamma, len(rewards)) * v_boot)

    return n_step_return


def masked_product(rewards, v_boot, terminated, gamma):
    alive = np.concatenate([[1.0], np.cumprod(1.0 - np.asarray(terminated, float))])
    powers = gamma ** np.arange(len(rewards) + 1)
    return float((powers * alive) @ np.append(rewards, v_boot))


def cut(rewards, v_boot, terminated, gamma):
    ends = np.flatnonzero(terminated)
    if len(ends):
        return np.polyval(rewards[: ends[0] + 1][::-1], gamma)
    return np.polyval(np.append(rewards, v_boot)[::-1], gamma)


def last_end(rewards, v_boot, terminated, gamma):
    ends = np.flatnonzero(terminated)
    m = len(rewards) if not len(ends) else ends[-1] + 1
    g = gamma ** np.arange(m) @ rewards[:m]
    return float(g + (0 if len(ends) else gamma ** len(rewards) * v_boot))


def end_at_zero_is_none(rewards, v_boot, terminated, gamma):
    """`if end:` where `if end is not None:` was meant."""
    end = next((k for k in range(len(rewards)) if terminated[k]), None)
    rewards = rewards[: end + 1] if end else np.append(rewards, v_boot)
    return float(np.polyval(rewards[::-1], gamma))


def loop_else(rewards, v_boot, terminated, gamma):
    total, weight = 0.0, 1.0
    for r, d in zip(rewards, terminated, strict=True):
        if d:
            break
        total, weight = total + weight * r, weight * gamma
    else:
        total += weight * v_boot
    return float(total)


# ------------------------------------------------------------------------------ lambda_weights


def weigh(
    own=lambda lam, n: (1 - lam) * lam ** (n - 1),
    last=lambda lam, N: lam ** (N - 1),
    factor=lambda gamma, lam, k, w: gamma**k * sum(w[k:]),
    after=lambda w: w,
):
    """One weight after the other, n from 1, with its parts exchangeable; `factor` of reward k."""

    def lambda_weights(steps_left, gamma, lam):
        w = [own(lam, n) for n in range(1, steps_left)]
        w = after([*w, last(lam, steps_left)])
        f = [factor(gamma, lam, k, w) for k in range(steps_left)]
        return np.array(w, dtype=float), np.array(f, dtype=float)

    return lambda_weights


def impulses(steps_left, gamma, lam):
    """Each reward's factor is the λ-return of an episode in which it alone is 1, all values 0."""
    w = np.array([1.0])
    while len(w) < steps_left:
        w = np.append(1 - lam, lam * w)
    ends, nothing = np.arange(steps_left) == steps_left - 1, np.zeros(steps_left)
    rewards = np.eye(steps_left)
    return w, np.array([backwards()(r, nothing, ends, gamma, lam)[0] for r in rewards])


def by_matrix(steps_left, gamma, lam):
    """Row n of a triangle holds the discounts that the return of n steps gives its rewards."""
    lengths = np.arange(1, steps_left + 1)
    w = np.where(lengths < steps_left, 1 - lam, 1.0) * np.power(float(lam), lengths - 1)
    return w, w @ np.tril(np.broadcast_to(float(gamma) ** (lengths - 1), (steps_left, steps_left)))


def by_differences(steps_left, gamma, lam):
    left = np.append(np.cumprod(np.append(1.0, np.full(steps_left - 1, float(lam)))), 0.0)
    return -np.diff(left), left[:-1] * np.cumprod(np.append(1.0, np.full(steps_left - 1, gamma)))


def in_place(steps_left, gamma, lam):
    w, f = np.empty(steps_left), np.empty(steps_left)
    w.fill(1 - lam), f.fill(1.0)
    for i in range(1, steps_left):
        w[i:] *= lam
        f[i:] *= gamma * lam
    w[-1] += 1 - w.sum()
    return w, f


def by_logarithms(steps_left, gamma, lam):
    """λ = 0 has no logarithm."""
    with np.errstate(all="ignore"):
        k = np.arange(steps_left)
        w = (1 - lam) * np.exp(k * np.log(lam))
        w[-1] = np.exp(k[-1] * np.log(lam))
        return w, np.exp(k * (np.log(gamma) + np.log(lam)))


# ------------------------------------------------------------------------------ lambda_returns


def backwards(
    final=lambda v, r: v[-1],
    form=lambda r, g, m, lam, v, nxt: r + g * m * ((1 - lam) * v + lam * nxt),
    mask=lambda d: 1.0 - float(d),
):
    def lambda_returns(rewards, v_next, terminated, gamma, lam):
        out, nxt = np.zeros(len(rewards)), final(v_next, rewards)
        for t in range(len(rewards) - 1, -1, -1):
            nxt = form(rewards[t], gamma, mask(terminated[t]), lam, v_next[t], nxt)
            out[t] = nxt
        return out

    return lambda_returns


def mixture(rewards, v_next, terminated, gamma, lam):
    """(1 − λ) Σ λ^{n−1} G_{t:t+n} + λ^{T−t−1} G_{t:T}, straight from the definition."""
    T = len(rewards)
    out = np.zeros(T)
    for t in range(T):
        g = [masked_product(rewards[t : t + n], v_next[t + n - 1], terminated[t : t + n], gamma)
             for n in range(1, T - t + 1)]  # fmt: skip
        out[t] = (
            sum((1 - lam) * lam**i * x for i, x in enumerate(g[:-1])) + lam ** (len(g) - 1) * g[-1]
        )
    return out


def linear_system(rewards, v_next, terminated, gamma, lam):
    T = len(rewards)
    m = gamma * (1.0 - np.asarray(terminated, float))
    A, b = np.eye(T), rewards + m * (1 - lam) * v_next
    A[np.arange(T - 1), np.arange(1, T)] = -m[:-1] * lam
    b[-1] = rewards[-1] + m[-1] * v_next[-1]
    return np.linalg.solve(A, b)


def from_a_buffer(last):
    """Filled from the back; `last` of what stands behind the last step, and of its reward."""

    def lambda_returns(rewards, v_next, terminated, gamma, lam):
        T = len(rewards)
        g = np.append(np.zeros(T), last(v_next))
        for t in reversed(range(T)):
            bracket = (1 - lam) * v_next[t] + lam * g[t + 1]
            g[t] = rewards[t] + (0.0 if terminated[t] else gamma * bracket)
        return g[:-1]

    return lambda_returns


def last_is_its_reward(rewards, v_next, terminated, gamma, lam):
    v_next = np.append(v_next[:-1], 0.0)
    return from_a_buffer(lambda v: 0.0)(rewards, v_next, terminated, gamma, lam)


# ------------------------------------------------------------------------------- td_prediction


def td(
    target=lambda r, g, d, c, v: r + (0.0 if d else g * v),
    start=lambda n: np.zeros(n),
    act=lambda policy, s, rng: policy(s, rng),
    ends=lambda d, c: d or c,
    moves=True,
    learn=lambda v, s, s2, delta, alpha: v.__setitem__(s, v[s] + alpha * delta),
    after=lambda env: None,
    episodes_of=lambda n: n,
):
    def td_prediction(env, policy, episodes, step_size, gamma, rng):
        v = start(env.observation_space.n)
        for _ in range(episodes_of(episodes)):
            s, _ = env.reset()
            d = c = False
            while not ends(d, c):
                s2, r, d, c, _ = env.step(act(policy, s, rng))
                learn(v, s, s2, target(r, gamma, d, c, v[s2]) - v[s], step_size)
                s = s2 if moves else s
            after(env)
        return v

    return td_prediction


def at_most(steps):
    def td_prediction(env, policy, episodes, step_size, gamma, rng):
        v = np.zeros(env.observation_space.n)
        for _ in range(episodes):
            s, _ = env.reset()
            for _ in range(steps):
                s2, r, d, c, _ = env.step(policy(s, rng))
                v[s] += step_size * (r + gamma * (not d) * v[s2] - v[s])
                s = s2
                if d or c:
                    break
        return v

    return td_prediction


class Kept:
    """Goes on with the table of an earlier call."""

    def __init__(self):
        self.tables = {}

    def __call__(self, env, *rest):
        return td(start=lambda n: self.tables.setdefault(n, np.zeros(n)))(env, *rest)


def recursive(env, policy, episodes, step_size, gamma, rng):
    v = np.zeros(env.observation_space.n)

    def walk(s):
        s2, r, d, c, _ = env.step(policy(s, rng))
        v[s] += step_size * (r + gamma * (1 - d) * v[s2] - v[s])
        return None if d or c else walk(s2)

    for _ in range(episodes):
        walk(env.reset()[0])
    return v


def linear(env, policy, episodes, step_size, gamma, rng):
    """Features that are unit vectors."""
    w, x = np.zeros(env.observation_space.n), np.eye(env.observation_space.n)
    for _ in range(episodes):
        s, d, c = env.reset()[0], False, False
        while not (d or c):
            s2, r, d, c, _ = env.step(policy(s, rng))
            w = w + step_size * (r + gamma * (1 - d) * x[s2] @ w - x[s] @ w) * x[s]
            s = s2
    return w


def batch_after_the_episode(env, policy, episodes, step_size, gamma, rng):
    v = np.zeros(env.observation_space.n)
    for _ in range(episodes):
        s, _ = env.reset()
        d = c = False
        seen = []
        while not (d or c):
            s2, r, d, c, _ = env.step(policy(s, rng))
            seen.append((s, r + gamma * (1 - d) * v[s2]))
            s = s2
        for s, y in seen:
            v[s] += step_size * (y - v[s])
    return v


def generator_form(env, policy, episodes, step_size, gamma, rng):
    def steps():
        for _ in range(episodes):
            s = env.reset()[0]
            while True:
                s2, r, d, c, _ = env.step(policy(s, rng))
                yield s, r, s2, bool(d)
                if d or c:
                    break
                s = s2

    v = [0.0] * env.observation_space.n
    for s, r, s2, d in steps():
        v[s] = (1 - step_size) * v[s] + step_size * (r if d else r + gamma * v[s2])
    return np.array(v)


def single(y, d):
    return y if not d else 0.0


def td0(r, v, d, g):
    return np.array([x + (0.0 if e else g * y) for x, y, e in zip(r, v, d, strict=True)])


WRONG = {
    "mc_prediction": {
        "visited-set-over-all-episodes": first_by_episode_number,
        "mean-of-episode-means": mean_of_episode_means,
        "constant-step": running(lambda n: 0.1),
        "off-by-one-count": visits(as_asked, lambda n, e: n + 1),
        "list": lambda *a: list(visits(as_asked)(*a)),
        "single-precision": lambda *a: visits(as_asked)(*a).astype(np.float32),
        "whole-numbers": lambda *a: visits(as_asked)(*a).astype(int),
        "starts-at-one": visits(as_asked, start=1.0),
        "forward-returns": visits(as_asked, ret=lambda r, g: to_go(r[::-1], g)[::-1]),
        "own-reward-missing": visits(as_asked, ret=lambda r, g: [*(g * x for x in to_go(r, g)[1:]), 0.0]),
        "only-seen-states": lambda e, g, n, f: visits(as_asked)(e, g, n, f)[: 1 + max((int(max(s)) for s, _ in e), default=0)],
        "hard-coded-gamma": lambda e, g, n, f: visits(as_asked)(e, 0.9, n, f),
        "flag-swapped": lambda e, g, n, f: visits(as_asked)(e, g, n, not f),
        "integer-returns": visits(as_asked, ret=integer_returns),
        "remembered": remembered,
        "never-reset": never_reset,
        "discounted-from-the-start": visits(as_asked, ret=lambda r, g: np.cumsum((g ** np.arange(len(r)) * r)[::-1])[::-1]),
        "nothing-is-the-first": visits(lambda s, t, f: not f or s[t] not in s[: t + 1]),
        "none-before-the-last": visits(lambda s, t, f: not f or s[t] not in s[: t - 1]),
        "empty-fails": lambda e, g, n, f: (np.concatenate([s for s, _ in e]), visits(as_asked)(e, g, n, f))[1],
        "first-episode-only": lambda e, g, n, f: visits(as_asked)(e[:1], g, n, f),
    },
    "td0_target": spoiled(td0) | {
        "current-value": lambda r, v, d, g: r + g * (1 - d.astype(float)) * v - v,
        "rolled-mask": lambda r, v, d, g: td0(r, v, np.roll(d, 1), g),
        "indexed-by-numbers": lambda r, v, d, g: r + g * np.where(np.isin(np.arange(len(r)), d.astype(int)), 0.0, v),
        "powers-of-gamma": lambda r, v, d, g: r + g ** np.arange(1, len(r) + 1) * ~d.astype(bool) * v,
        "reversed-value": lambda r, v, d, g: td0(r, v[::-1], d, g),
    },
    "n_step_return": {
        "one-power-too-many": n_step(weight=lambda g, k: g ** (k + 1)),
        "boot-power-n-plus-1": n_step(boot=lambda g, n: g ** (n + 1)),
        "boot-undiscounted": n_step(boot=lambda g, n: 1.0),
        "no-bootstrap": n_step(boot=lambda g, n: 0.0),
        "last-end-counts": last_end,
        "mean": lambda r, v, d, g: n_step()(r, v, d, g) / len(r),
        "hard-coded-gamma": lambda r, v, d, g: n_step()(r, v, d, 0.9),
        "array": lambda *a: np.array([n_step()(*a)]),
        "any-end-gives-first-reward": lambda r, v, d, g: float(r[0]) if np.any(d) else n_step()(r, v, d, g),
        "ignores-first-flag": n_step(keep=lambda d, k: d and k > 0),
        "mask-not-accumulated": lambda r, v, d, g: float(
            g ** np.arange(len(r)) @ (r * np.append(1.0, 1.0 - d[:-1])) + g ** len(r) * v * (1.0 - d[-1])
        ),
        "single-precision": lambda *a: np.float32(n_step()(*a)),
        "reversed-rewards": lambda r, v, d, g: n_step()(r[::-1], v, d[::-1], g),
    },
    "lambda_weights": {
        "lists": lambda *a: tuple(map(list, weigh()(*a))),
        "columns": lambda *a: tuple(x[:, None] for x in weigh()(*a)),
        "one-return-more": lambda n, g, lam: weigh()(n + 1, g, lam),
        "single-precision": lambda *a: tuple(x.astype(np.float32) for x in weigh()(*a)),
        "whole-numbers": lambda *a: tuple(x.astype(int) for x in weigh()(*a)),
        "weights-only": lambda *a: weigh()(*a)[0],
        "equal-weights": weigh(after=lambda w: [1 / len(w)] * len(w)),
        "rest-to-the-first": weigh(last=lambda lam, N: (1 - lam) * lam ** (N - 1), after=lambda w: [1 - sum(w[1:]), *w[1:]]),
        "rest-to-all-alike": weigh(last=lambda lam, N: (1 - lam) * lam ** (N - 1), after=lambda w: [x + (1 - sum(w)) / len(w) for x in w]),
        "longest-first": weigh(after=lambda w: w[::-1]),
        "hard-coded-lambda": lambda n, g, lam: weigh()(n, g, 0.9),
        "hard-coded-gamma": lambda n, g, lam: weigh()(n, 0.9, lam),
        "arguments-exchanged": lambda n, g, lam: weigh()(n, lam, g),
        "no-power-of-zero": by_logarithms,
        "rewards-latest-first": lambda *a: (weigh()(*a)[0], weigh()(*a)[1][::-1]),
        "last-reward-whole": weigh(factor=lambda g, lam, k, w: g**k * (1 if k == len(w) - 1 else lam**k)),
        "rewards-shrink-by-distance": weigh(factor=lambda g, lam, k, w: g * lam**k),
        "rewards-not-of-the-last": weigh(factor=lambda g, lam, k, w: g**k * sum(w[k:-1])),
        "discount-of-the-return": weigh(factor=lambda g, lam, k, w: sum(g**n * x for n, x in enumerate(w) if n >= k)),
        "halves": weigh(own=lambda lam, n: 0.5**n, last=lambda lam, N: 0.5 ** (N - 1)),
        "lambda-to-n-squared": weigh(own=lambda lam, n: (1 - lam) * lam ** (n - 1) ** 2),
    },
    "lambda_returns": {
        "list": lambda *a: list(backwards()(*a)),
        "column": lambda *a: backwards()(*a)[:, None],
        "gamma-lam-product-only": backwards(form=lambda r, g, m, lam, v, nxt: r + g * m * lam * nxt),
        "advantage": lambda r, v, d, g, lam: backwards()(r, v, d, g, lam) - v,
        "last-step-weighs-lambda": backwards(final=lambda v, r: r[-1]),
        "first-flag-for-all": lambda r, v, d, g, lam: backwards()(r, v, np.full(len(d), d[0]), g, lam),
        "never-carries-anything": backwards(form=lambda r, g, m, lam, v, nxt: r + g * m * v),
        "lam-squared": lambda r, v, d, g, lam: backwards()(r, v, d, g, lam**2),
        "forgets-last": lambda *a: backwards()(*a)[:-1],
        "masks-return-not-value": backwards(
            form=lambda r, g, m, lam, v, nxt: r + g * ((1 - lam) * v + lam * m * nxt)
        ),
        "reward-shared-too": backwards(
            form=lambda r, g, m, lam, v, nxt: (1 - lam) * (r + g * m * v) + lam * g * m * nxt
        ),
        "shifted-values": lambda r, v, d, g, lam: backwards()(r, np.roll(v, 1), d, g, lam),
        "whole-number-result": lambda *a: backwards()(*a).astype(int),
    },
    "td_prediction": {
        "at-most-100": at_most(100),
        "at-most-200": at_most(200),
        "kept-table": Kept(),
        "own-actions": td(act=lambda policy, s, rng: int(rng.integers(2))),
        "starts-at-one": td(start=np.ones),
        "first-action-always": td(act=lambda policy, s, rng: 0),
        "asks-twice": td(act=lambda policy, s, rng: (policy(s, rng), policy(s, rng))[1]),
        "resets-after-the-last": td(after=lambda env: env.reset()),
        "one-episode-more": td(episodes_of=lambda n: n + 1),
        "one-episode-less": td(episodes_of=lambda n: max(n - 1, 0)),
        "after-the-episode": batch_after_the_episode,
        "adds-up": td(learn=lambda v, s, s2, delta, a: v.__setitem__(s, v[s] + delta)),
        "replaces": td(target=lambda r, g, d, c, v: r),
        "minus": td(learn=lambda v, s, s2, delta, a: v.__setitem__(s, v[s] - a * delta)),
        "single-precision": lambda *a: td()(*a).astype(np.float32),
        "table-as-list": lambda *a: list(td()(*a)),
        "whole-number-table": td(start=lambda n: np.zeros(n, dtype=int)),
        "five-states": td(start=lambda n: np.zeros(max(n, 7))),
        "inverted-mask": td(target=lambda r, g, d, c, v: r + (g * v if d else 0.0)),
    },
}  # fmt: skip

RIGHT = {
    "mc_prediction": {
        "running-mean": running(lambda n: 1 / n),
        "dictionary": by_dictionary,
        "one-hot": one_hot,
        "bincount": lambda e, g, n, f: visits(as_asked)(e, g, n, f) + 0.0,
    },
    "td0_target": disguised(td0),
    "n_step_return": {
        "masked-product": masked_product,
        "cut": cut,
        "forward": n_step(),
        "zero-d-array": lambda *a: np.array(masked_product(*a)),
        "linear-system": lambda r, v, d, g: linear_system(r, np.append(0 * r[1:], v), d, g, 1.0)[0],
    },
    "lambda_weights": {
        "one-after-the-other": weigh(),
        "impulses": impulses,
        "matrix": by_matrix,
        "differences": by_differences,
        "in-place": in_place,
    },
    "lambda_returns": {
        "mixture": mixture,
        "buffer": from_a_buffer(lambda v: v[-1]),
        "linear-system": linear_system,
        "value-plus-difference": backwards(
            form=lambda r, g, m, lam, v, nxt: r + g * m * (v + lam * (nxt - v))
        ),
    },
    "td_prediction": {
        "generator": generator_form,
        "recursive": recursive,
        "linear": linear,
        "closes": lambda env, *rest: (td()(env, *rest), env.close())[0],
        "weighted": td(learn=lambda v, s, s2, delta, a: v.__setitem__(s, (1 - a) * v[s] + a * (delta + v[s]))),
        "empty-then-filled": td(start=lambda n: np.full(n, 0.0)),
    },
}  # fmt: skip

NAMED = {
    "mc_prediction": {
        "every-visit/loop": visits(lambda s, t, f: True),
        "first-visit/loop": visits(lambda s, t, f: s[t] not in s[:t]),
        "last-visit/loop": visits(lambda s, t, f: not f or s[t] not in s[t + 1 :]),
        "undiscounted/cumsum": visits(as_asked, ret=lambda r, g: np.cumsum(r[::-1])[::-1]),
        "divides-by-episodes/loop": visits(as_asked, lambda n, e: max(len(e), 1)),
        "divides-by-episodes/numbers": lambda e, g, n, f: np.array(
            [x / len(e) for x in visits(as_asked, lambda number, e: 1)(e, g, n, f).tolist()]
        ),
        "last-visit/index": repeated_index,
        "nan-unvisited/mean-of-none": lambda e, g, n, f: np.where(
            visits(as_asked, ret=lambda r, g: np.ones(len(r)))(e, g, n, f), visits(as_asked)(e, g, n, f), np.nan
        ),
    },
    "td0_target": {
        "bootstraps-terminal/loop": lambda r, v, d, g: np.array([x + g * y for x, y in zip(r, v, strict=True)]),
        "no-gamma/where": lambda r, v, d, g: np.where(d, r, r + v),
        "gamma-on-reward/where": lambda r, v, d, g: np.where(d, g * r, g * (r + v)),
        "masks-reward/where": lambda r, v, d, g: np.where(d, 0.0, r + g * v),
        "mask-inverted/where": lambda r, v, d, g: np.where(d, r + g * v, r),
    },
    "n_step_return": {
        "gamma-n-minus-1/forward": n_step(boot=lambda g, n: g ** (n - 1)),
        "ignores-termination/forward": n_step(keep=lambda d, k: False),
        "ignores-termination/end-at-zero": end_at_zero_is_none,
        "last-reward-lost/loop-else": loop_else,
        "rewards-after-end/product": lambda r, v, d, g: float(
            g ** np.arange(len(r)) @ r + g ** len(r) * v * np.prod(1.0 - d)
        ),
        "last-flag-only/forward": lambda r, v, d, g: float(
            g ** np.arange(len(r)) @ r + (0.0 if d[-1] else g ** len(r) * v)
        ),
        "last-reward-lost/cut": lambda r, v, d, g: (
            n_step()(r, v, d, g)
            if not np.any(d)
            else float(g ** np.arange(np.argmax(d)) @ r[: np.argmax(d)])
        ),
    },
    "lambda_weights": {
        "endless/loop": weigh(last=lambda lam, N: (1 - lam) * lam ** (N - 1)),
        "endless/closed": weigh(last=lambda lam, N: (1 - lam) * lam ** (N - 1), factor=lambda g, lam, k, w: (g * lam) ** k),
        "one-power-late/enumerate": weigh(own=lambda lam, n: (1 - lam) * lam**n),
        "one-power-late/endless": weigh(own=lambda lam, n: (1 - lam) * lam**n, last=lambda lam, N: (1 - lam) * lam**N),
        "lambda-swapped/loop": weigh(own=lambda lam, n: lam * (1 - lam) ** (n - 1), last=lambda lam, N: (1 - lam) ** (N - 1)),
        "last-also-shrunk/N": weigh(last=lambda lam, N: lam**N),
        "last-also-shrunk/plus": weigh(last=lambda lam, N: (1 - lam) * lam ** (N - 1) + lam ** (N - 1)),
        "rewards-by-one-return/product": weigh(factor=lambda g, lam, k, w: g**k * w[k]),
        "rewards-undivided/powers": weigh(factor=lambda g, lam, k, w: g**k),
        "return-too-short/slice": weigh(factor=lambda g, lam, k, w: g**k * sum(w[max(k - 1, 0) :])),
        "adds-the-shorter/slice": weigh(factor=lambda g, lam, k, w: g**k * sum(w[: k + 1])),
        "unshared/loop": weigh(own=lambda lam, n: lam ** (n - 1)),
        "renormalised/numpy": weigh(
            last=lambda lam, N: (1 - lam) * lam ** (N - 1), after=lambda w: np.array(w) / np.float64(sum(w))
        ),
    },
    "lambda_returns": {
        "lambda-swapped/call": lambda r, v, d, g, lam: backwards()(r, v, d, g, 1 - lam),
        "bootstraps-terminal/mask": backwards(mask=lambda d: 1.0),
        "no-final-bootstrap/zero": backwards(final=lambda v, r: 0.0),
        "no-final-bootstrap/buffer": from_a_buffer(lambda v: 0.0),
        "no-final-bootstrap/reward": last_is_its_reward,
        "carries-across-end/form": backwards(
            form=lambda r, g, m, lam, v, nxt: r + g * ((1 - lam) * m * v + lam * nxt)
        ),
        "gamma-on-value-only/form": backwards(form=lambda r, g, m, lam, v, nxt: r + m * ((1 - lam) * g * v + lam * nxt)),
        "weights-above-one/form": backwards(form=lambda r, g, m, lam, v, nxt: r + g * m * (v + lam * nxt)),
    },
    "td_prediction": {
        "bootstraps-terminal/target": td(target=lambda r, g, d, c, v: r + g * v),
        "masks-truncation/target": td(target=lambda r, g, d, c, v: r + g * (1 - (d or c)) * v),
        "ignores-truncation/loop": td(ends=lambda d, c: d),
        "never-moves/loop": td(moves=False),
        "no-gamma/target": td(target=lambda r, g, d, c, v: r + (1 - d) * v),
        "updates-next-state/moves-first": td(
            learn=lambda v, s, s2, delta, a: v.__setitem__(s2, v[s2] + a * (delta + v[s] - v[s2]))
        ),
        "updates-next-state/learn": td(learn=lambda v, s, s2, delta, a: v.__setitem__(s2, v[s2] + a * delta)),
    },
}  # fmt: skip
