"""Lesson 04: returns, targets and TD prediction. Keys as in `lesson_00`."""

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
        "first-episode-only": lambda e, g, n, f: visits(as_asked)(e[:1], g, n, f),
    },
    "td0_target": spoiled(td0) | {
        "current-value": lambda r, v, d, g: r + g * (1 - d.astype(float)) * v - v,
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
        "reversed-rewards": lambda r, v, d, g: n_step()(r[::-1], v, d[::-1], g),
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
        "shifted-values": lambda r, v, d, g, lam: backwards()(r, np.roll(v, 1), d, g, lam),
        "whole-number-result": lambda *a: backwards()(*a).astype(int),
    },
    "td_prediction": {
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
        "bincount": lambda e, g, n, f: visits(as_asked)(e, g, n, f) + 0.0,
    },
    "td0_target": disguised(td0),
    "n_step_return": {
        "masked-product": masked_product,
        "cut": cut,
        "forward": n_step(),
        "zero-d-array": lambda *a: np.array(masked_product(*a)),
    },
    "lambda_returns": {
        "mixture": mixture,
        "linear-system": linear_system,
        "value-plus-difference": backwards(
            form=lambda r, g, m, lam, v, nxt: r + g * m * (v + lam * (nxt - v))
        ),
    },
    "td_prediction": {
        "generator": generator_form,
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
        "last-flag-only/forward": lambda r, v, d, g: float(
            g ** np.arange(len(r)) @ r + (0.0 if d[-1] else g ** len(r) * v)
        ),
        "last-reward-lost/cut": lambda r, v, d, g: (
            n_step()(r, v, d, g)
            if not np.any(d)
            else float(g ** np.arange(np.argmax(d)) @ r[: np.argmax(d)])
        ),
    },
    "lambda_returns": {
        "lambda-swapped/call": lambda r, v, d, g, lam: backwards()(r, v, d, g, 1 - lam),
        "bootstraps-terminal/mask": backwards(mask=lambda d: 1.0),
        "no-final-bootstrap/zero": backwards(final=lambda v, r: 0.0),
        "gamma-on-value-only/form": backwards(form=lambda r, g, m, lam, v, nxt: r + m * ((1 - lam) * g * v + lam * nxt)),
        "weights-above-one/form": backwards(form=lambda r, g, m, lam, v, nxt: r + g * m * (v + lam * nxt)),
    },
    "td_prediction": {
        "bootstraps-terminal/target": td(target=lambda r, g, d, c, v: r + g * v),
        "masks-truncation/target": td(target=lambda r, g, d, c, v: r + g * (1 - (d or c)) * v),
        "ignores-truncation/loop": td(ends=lambda d, c: d),
        "never-moves/loop": td(moves=False),
        "no-gamma/target": td(target=lambda r, g, d, c, v: r + (1 - d) * v),
        "updates-next-state/learn": td(learn=lambda v, s, s2, delta, a: v.__setitem__(s2, v[s2] + a * delta)),
    },
}  # fmt: skip
