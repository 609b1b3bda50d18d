"""Lesson 00 as published code gets it wrong: keys of WRONG with " + " make two mistakes at once."""

import numpy as np


def summed(rewards, gamma, start=0, reverse=False):
    g, k = 0.0, start
    for r in list(rewards)[::-1] if reverse else rewards:
        g += gamma**k * r
        k += 1
    return float(g)


def once(rewards, gamma):
    return float(rewards[0] + gamma * sum(rewards[1:])) if len(rewards) else 0.0


def growing(rewards, gamma):
    g, weight = 0.0, gamma
    for r in rewards:
        g += weight * r
        weight *= weight
    return g


def not_an_array(terminated, truncated):
    if terminated:
        return np.zeros_like(terminated)
    return np.ones_like(terminated)


def played(
    env,
    policy,
    rng,
    over=lambda d, c: d or c,
    flag=lambda d, c: d,
    first=True,
    last=True,
    moves=True,
    act=None,
    inside=False,
    out=np.array,
):
    s, _ = env.reset()
    rewards = []
    while True:
        a = policy(s, rng) if act is None else act(env, policy, s, rng)
        s2, r, d, c, _ = env.step(a)
        if last or not over(d, c):
            rewards.append(r)
        if moves:
            s = s2
        if over(d, c):
            return out(rewards if first else rewards[1:]), flag(d, c)
        if inside:
            s, _ = env.reset()


def play(**parts):
    return lambda env, policy, rng: played(env, policy, rng, **parts)


def asked_once(env, policy, rng):
    s, _ = env.reset()
    a = policy(s, rng)
    kept = []
    d = c = False
    while not (d or c):
        _, r, d, c, _ = env.step(a)
        kept.append(r)
    return np.array(kept), d


NAMED = {
    "discounted_return": {
        "first-discounted/counter": lambda r, g: summed(r, g, 1),
        "weights-reversed/list": lambda r, g: summed(r, g, 0, True),
        "discounted-once/slice": once,
        "discounted-once/whole-sum": lambda r, g: float(g * np.sum(r)),
        "weights-squared/running": growing,
        "last-reward-lost/range": lambda r, g: float(sum(g**t * r[t] for t in range(len(r) - 1))),
        "first-reward-lost/range": lambda r, g: float(sum(g**t * r[t] for t in range(1, len(r)))),
        "first-grown/enumerate": lambda r, g: sum(x * g ** (t - 1) for t, x in enumerate(r)),
        "undiscounted/sum": lambda r, g: float(sum(r)),
        "multiplied-not-power/dot": lambda r, g: float(np.arange(len(r)) * g @ r),
    },
    "bootstrap_mask": {
        "bitwise-not/plain": lambda d, c: ~d,
        "bitwise-not/either": lambda d, c: ~(d | c),
        "compares-flags/equal": lambda d, c: (d == c) * 1.0,
        "compares-flags/xor": lambda d, c: 1 - np.logical_xor(d, c),
        "not-elementwise/if": not_an_array,
        "not-elementwise/and": lambda d, c: 1.0 if not d and not c else 0.0,
        "not-elementwise/or": lambda d, c: 1.0 - (d or c),
        "flags-subtracted/in-turn": lambda d, c: 1.0 - d.astype(float) - c.astype(float),
        "needs-both/product": lambda d, c: 1.0 - d.astype(float) * c.astype(float),
        "truncated-instead/cast": lambda d, c: 1.0 - c.astype(float),
        "inverted/bool": lambda d, c: d.astype(bool),
        "masks-truncation/maximum": lambda d, c: 1.0 - np.maximum(d, c),
    },
    "mean_squared_error": {
        "all-pairs/mean": lambda p, y: float(((p - y) ** 2).mean()),
        "all-pairs/by-length": lambda p, y: float(((p - y) ** 2).sum() / len(y)),
        "half/flat": lambda p, y: float(0.5 * ((p.flatten() - y) ** 2).mean()),
        "variance/flat": lambda p, y: float(np.var(p.flatten() - y)),
        "absolute-not-squared/flat": lambda p, y: float(np.abs(p.flatten() - y).mean()),
        "not-squared/flat": lambda p, y: float((p.flatten() - y).mean()),
        "negative/flat": lambda p, y: float(-((p.flatten() - y) ** 2).mean()),
        "divides-by-b-minus-1/flat": lambda p, y: sum((p.flatten() - y) ** 2) / max(1, len(y) - 1),
        "root/flat": lambda p, y: float((((p.flatten() - y) ** 2).mean()) ** 0.5),
        "sum-not-mean/flat": lambda p, y: float(((p.flatten() - y) ** 2).sum()),
    },
    "run_episode": {
        "policy-not-asked/zero": play(act=lambda env, policy, s, rng: 0),
        "policy-not-asked/random": play(
            act=lambda env, policy, s, rng: int(rng.integers(env.action_space.n))
        ),
        "policy-asked-once/while": asked_once,
        "resets-every-step/inside": play(inside=True),
        "waits-for-truncated/loop": play(over=lambda d, c: c),
        "waits-for-both/loop": play(over=lambda d, c: d and c),
        "first-reward-lost/slice": play(first=False),
        "truncated-for-terminated/loop": play(flag=lambda d, c: c),
        "flag-inverted/loop": play(flag=lambda d, c: not d),
        "not-truncated/loop": play(flag=lambda d, c: not c),
        "running-sums/loop": play(out=np.cumsum),
        "reversed/loop": play(out=lambda rewards: np.array(rewards[::-1])),
        "one-number/loop": play(out=lambda rewards: rewards[-1]),
    },
}

WRONG = {
    "discounted_return": {
        "first-discounted + mean-not-sum": lambda r, g: summed(r, g, 1) / max(len(r), 1),
        "first-discounted + weights-reversed": lambda r, g: summed(r, g, 1, True),
        "weights-reversed + mean-not-sum": lambda r, g: summed(r, g, 0, True) / max(len(r), 1),
        "first-discounted + last-reward-lost": lambda r, g: summed(r[:-1], g, 1),
        "last-reward-lost + mean-not-sum": lambda r, g: summed(r[:-1], g) / max(len(r), 1),
        "weights-reversed + last-reward-lost": lambda r, g: float(
            sum(g ** (len(r) - 1 - t) * r[t] for t in range(len(r) - 1))
        ),
        "undiscounted + last-reward-lost": lambda r, g: float(np.sum(r[:-1])),
        "multiplied-not-power + last-reward-lost": lambda r, g: float(
            sum(g * t * r[t] for t in range(len(r) - 1))
        ),
        "first-reward-lost + mean-not-sum": lambda r, g: (
            sum(g**t * r[t] for t in range(1, len(r))) / max(len(r), 1)
        ),
    },
    "bootstrap_mask": {
        "masks-truncation + inverted": lambda d, c: np.logical_or(d, c),
        "truncated-instead + inverted": lambda d, c: np.array(c) * 1.0,
        "truncation-wins + inverted": lambda d, c: d * (1.0 - c),
        "needs-both + inverted": lambda d, c: d * c * 1.0,
    },
    "mean_squared_error": {
        "all-pairs + half": lambda p, y: float(0.5 * ((p - y) ** 2).mean()),
        "all-pairs + sum-not-mean": lambda p, y: float(((p - y) ** 2).sum()),
        "all-pairs + root": lambda p, y: float(np.sqrt(((p - y) ** 2).mean())),
        "all-pairs + absolute-not-squared": lambda p, y: float(np.abs(p - y).mean()),
        "half + sum-not-mean": lambda p, y: float(0.5 * ((p.ravel() - y) ** 2).sum()),
        "root + sum-not-mean": lambda p, y: float(np.linalg.norm(p.ravel() - y)),
        "root + half": lambda p, y: float(0.5 * np.sqrt(((p.ravel() - y) ** 2).mean())),
        "mean-before-square + half": lambda p, y: float(0.5 * (p.ravel() - y).mean() ** 2),
        "absolute-not-squared + sum-not-mean": lambda p, y: float(np.abs(p.ravel() - y).sum()),
    },
    "run_episode": {
        "last-reward-lost + done-not-terminated": play(last=False, flag=lambda d, c: d or c),
        "stale-state + done-not-terminated": play(moves=False, flag=lambda d, c: d or c),
        "stale-state + last-reward-lost": play(moves=False, last=False),
        "total-only + done-not-terminated": play(
            out=lambda rewards: float(sum(rewards)), flag=lambda d, c: d or c
        ),
        "last-reward-lost + total-only": play(last=False, out=lambda rewards: float(sum(rewards))),
        "stale-state + total-only": play(moves=False, out=lambda rewards: float(sum(rewards))),
        "stale-state + waits-for-terminated": play(moves=False, over=lambda d, c: d),
        "truncated-for-terminated + last-reward-lost": play(last=False, flag=lambda d, c: c),
    },
}
