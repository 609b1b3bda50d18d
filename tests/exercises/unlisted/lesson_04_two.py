"""Lesson 04 as published code gets it wrong: keys of WRONG with " + " make two mistakes at once."""

import numpy as np


def estimate(
    episodes,
    gamma,
    n_states,
    first_visit,
    step=lambda r, g, gamma: r + gamma * g,
    seen=lambda s, before, after: s in before,
    first=lambda first_visit: first_visit,
    mean=lambda total, count, n: total / max(count, 1),
    before_reward=False,
):
    total, count = [0.0] * n_states, [0] * n_states
    for states, rewards in episodes:
        g = 0.0
        states = [int(s) for s in states]
        for t in range(len(states) - 1, -1, -1):
            used, g = g, step(float(rewards[t]), g, gamma)
            used = used if before_reward else g
            s = states[t]
            if first(first_visit) and seen(s, states[:t], states[t + 1 :]):
                continue
            total[s] += used
            count[s] += 1
    return np.array([mean(a, b, len(episodes)) for a, b in zip(total, count, strict=True)])


def mc(**parts):
    return lambda *given: estimate(*given, **parts)


def alive(d):
    return 1.0 - np.asarray(d, dtype=float)


def window(
    rewards, v_boot, terminated, gamma, power=0, first=0, boots=True, looks=True, late=False
):
    g = 0.0
    for k, r in enumerate(rewards):
        g += gamma ** (k + first) * r
        if looks and (terminated[k - 1] if late and k else not late and terminated[k]):
            return float(g)
    return float(g + gamma ** (len(rewards) + power) * v_boot) if boots else float(g)


def windows(**parts):
    return lambda *given: window(*given, **parts)


def portions(N, gamma, lam, late=0, last="rest", swap=False, inside=True, discount=0):
    """Portions of a cake: every return takes its part of what is left of the weight."""
    if swap:
        lam = 1 - lam
    w = (1 - lam) * lam ** (np.arange(N, dtype=float) + late)
    w[-1] = {"rest": lam ** (N - 1), "own": w[-1], "shrunk": lam**N}[last]
    contained = np.flip(np.cumsum(np.flip(w))) if inside is True else inside(w, lam)
    return w, gamma ** (np.arange(N, dtype=float) + discount) * contained


def cake(**parts):
    return lambda *given: portions(*given, **parts)


def of_one(w, lam):
    return w


def all_of_it(w, lam):
    return np.ones(len(w))


def mixed(
    r,
    v,
    d,
    gamma,
    lam,
    last=None,
    on=lambda gamma, lam, v, g: gamma * ((1 - lam) * v + lam * g),
    mask=True,
):
    out = np.zeros(len(r))
    g = v[-1] if last is None else last
    for t in range(len(r))[::-1]:
        later = on(gamma, lam, v[t], g)
        g = r[t] + (0.0 if mask and d[t] else later)
        out[t] = g
    return out


def mixing(**parts):
    return lambda *given: mixed(*given, **parts)


def evaluate(
    env,
    policy,
    episodes,
    alpha,
    gamma,
    rng,
    over=lambda d, c: d,
    target=lambda r, g, live, y: r + g * live * y,
    update=lambda v, y, alpha: v + alpha * (y - v),
    ends=lambda d, c: d or c,
    act=None,
    value=lambda v, s, s2: v[s2],
    index=lambda s, s2: s,
):
    v = np.zeros(env.observation_space.n)
    for _ in range(episodes):
        s, _ = env.reset()
        finished = False
        while not finished:
            a = policy(s, rng) if act is None else act(env)
            s2, r, d, c, _ = env.step(a)
            y = target(r, gamma, 1 - int(over(d, c)), value(v, s, s2))
            i = index(s, s2)
            v[i] = update(v[i], y, alpha)
            s, finished = s2, ends(d, c)
    return v


def td(**parts):
    return lambda *given: evaluate(*given, **parts)


UNDISCOUNTED = {"target": lambda r, g, live, y: r + live * y}
WHOLE = {"update": lambda v, y, alpha: y}
ADDED = {"update": lambda v, y, alpha: v + alpha * y}
DONE = {"over": lambda d, c: d or c}
NOTHING = {"over": lambda d, c: False}
PLAIN = {"step": lambda r, g, gamma: r + g}
EVERY = {"first": lambda first_visit: False}
ONLY_FIRST = {"first": lambda first_visit: True}
BY_EPISODES = {"mean": lambda total, count, n: total / max(n, 1)}
SUM = {"mean": lambda total, count, n: total}

NAMED = {
    "mc_prediction": {
        "undiscounted/loop": mc(**PLAIN),
        "every-visit/loop": mc(**EVERY),
        "first-visit/loop": mc(**ONLY_FIRST),
        "visits-exchanged/loop": mc(first=lambda first_visit: not first_visit),
        "last-visit/loop": mc(seen=lambda s, before, after: s in after),
        "divides-by-episodes/loop": mc(**BY_EPISODES),
        "sum-not-mean/loop": mc(**SUM),
        "own-reward-missing/loop": mc(before_reward=True),
        "first-discounted/loop": mc(step=lambda r, g, gamma: gamma * (r + g)),
        "rewards-for-returns/loop": mc(step=lambda r, g, gamma: r),
    },
    "td0_target": {
        "gamma-misplaced/sum": lambda r, v, d, g: g * r + alive(d) * v,
        "reward-missing/product": lambda r, v, d, g: g * alive(d) * v,
        "sign/minus": lambda r, v, d, g: r - g * alive(d) * v,
        "no-gamma/where": lambda r, v, d, g: np.where(d, r, r + v),
        "all-pairs/column": lambda r, v, d, g: r[:, None] + g * alive(d) * v,
        "mask-inverted/where": lambda r, v, d, g: np.where(d, r + g * v, r),
    },
    "n_step_return": {
        "gamma-n-plus-1/loop": windows(power=1),
        "gamma-n-minus-1/loop": windows(power=-1),
        "no-bootstrap/loop": windows(boots=False),
        "first-discounted/loop": windows(first=1),
        "ignores-termination/loop": windows(looks=False),
        "ends-a-step-late/loop": windows(late=True),
        "bootstrap-undiscounted/loop": lambda r, v, d, g: (
            window(r, v * g ** -len(r), d, g) if g else float(r[0] if d[0] else r[0] + v)
        ),
    },
    "lambda_weights": {
        "endless/cake": cake(last="own"),
        "one-power-late/cake": cake(late=1),
        "last-also-shrunk/cake": cake(last="shrunk"),
        "lambda-swapped/cake": cake(swap=True),
        "rewards-by-one-return/cake": cake(inside=of_one),
        "rewards-undivided/cake": cake(inside=all_of_it),
        "powers-from-one/cake": cake(discount=1),
        "results-exchanged/cake": lambda *given: portions(*given)[::-1],
        "rewards-undiscounted/cake": lambda N, gamma, lam: portions(N, 1.0, lam),
        "gamma-in-weights/cake": lambda N, gamma, lam: (
            (1 - lam) * (gamma * lam) ** np.arange(N, dtype=float),
            (gamma * lam) ** np.arange(N, dtype=float),
        ),
    },
    "lambda_returns": {
        "no-gamma/loop": mixing(on=lambda gamma, lam, v, g: (1 - lam) * v + lam * g),
        "gamma-on-return-only/loop": mixing(
            on=lambda gamma, lam, v, g: (1 - lam) * v + gamma * lam * g
        ),
        "gamma-on-value-only/loop": mixing(
            on=lambda gamma, lam, v, g: gamma * (1 - lam) * v + lam * g
        ),
        "lambda-swapped/loop": mixing(
            on=lambda gamma, lam, v, g: gamma * (lam * v + (1 - lam) * g)
        ),
        "lambda-ignored/loop": mixing(on=lambda gamma, lam, v, g: gamma * g),
        "bootstraps-terminal/loop": mixing(mask=False),
        "no-final-bootstrap/loop": mixing(last=0.0),
        "weights-equal/loop": mixing(on=lambda gamma, lam, v, g: gamma * lam * (v + g)),
    },
    "td_prediction": {
        "no-gamma/loop": td(**UNDISCOUNTED),
        "no-step-size/loop": td(**WHOLE),
        "prediction-not-subtracted/loop": td(**ADDED),
        "masks-truncation/loop": td(**DONE),
        "bootstraps-terminal/loop": td(**NOTHING),
        "truncated-for-terminated/loop": td(over=lambda d, c: c),
        "ignores-truncation/loop": td(ends=lambda d, c: d),
        "own-value/loop": td(value=lambda v, s, s2: v[s]),
        "updates-next-state/loop": td(index=lambda s, s2: s2),
        "policy-not-asked/loop": td(act=lambda env: 1),
        "sign/loop": td(update=lambda v, y, alpha: v - alpha * (y - v)),
    },
}

WRONG = {
    "mc_prediction": {
        "undiscounted + every-visit": mc(**PLAIN, **EVERY),
        "undiscounted + divides-by-episodes": mc(**PLAIN, **BY_EPISODES),
        "every-visit + divides-by-episodes": mc(**EVERY, **BY_EPISODES),
        "every-visit + sum-not-mean": mc(**EVERY, **SUM),
        "first-visit + undiscounted": mc(**ONLY_FIRST, **PLAIN),
        "own-reward-missing + every-visit": mc(before_reward=True, **EVERY),
    },
    "td0_target": {
        "bootstraps-terminal + no-gamma": lambda r, v, d, g: r + v,
        "bootstraps-terminal + gamma-on-reward": lambda r, v, d, g: g * (r + v),
        "masks-reward + no-gamma": lambda r, v, d, g: alive(d) * (r + v),
        "mask-inverted + no-gamma": lambda r, v, d, g: np.where(d, r + v, r),
        "bootstraps-terminal + reward-missing": lambda r, v, d, g: g * v,
    },
    "n_step_return": {
        "ignores-termination + gamma-n-minus-1": windows(looks=False, power=-1),
        "ignores-termination + no-bootstrap": windows(looks=False, boots=False),
        "first-discounted + gamma-n-plus-1": windows(first=1, power=1),
        "first-discounted + ignores-termination": windows(first=1, looks=False),
        "ends-a-step-late + gamma-n-minus-1": windows(late=True, power=-1),
    },
    "lambda_weights": {
        "endless + rewards-undivided": cake(last="own", inside=all_of_it),
        "endless + rewards-by-one-return": cake(last="own", inside=of_one),
        "one-power-late + rewards-by-one-return": cake(late=1, inside=of_one),
        "last-also-shrunk + rewards-undivided": cake(last="shrunk", inside=all_of_it),
        "lambda-swapped + rewards-by-one-return": cake(swap=True, inside=of_one),
        "endless + powers-from-one": cake(last="own", discount=1),
        "last-also-shrunk + results-exchanged": lambda *given: portions(*given, last="shrunk")[
            ::-1
        ],
    },
    "lambda_returns": {
        "lambda-swapped + bootstraps-terminal": mixing(
            mask=False, on=lambda gamma, lam, v, g: gamma * (lam * v + (1 - lam) * g)
        ),
        "no-gamma + bootstraps-terminal": mixing(
            mask=False, on=lambda gamma, lam, v, g: (1 - lam) * v + lam * g
        ),
        "no-final-bootstrap + bootstraps-terminal": mixing(mask=False, last=0.0),
        "no-final-bootstrap + lambda-swapped": mixing(
            last=0.0, on=lambda gamma, lam, v, g: gamma * (lam * v + (1 - lam) * g)
        ),
        "weights-above-one + gamma-on-value-only": mixing(
            on=lambda gamma, lam, v, g: gamma * v + lam * g
        ),
    },
    "td_prediction": {
        "no-gamma + bootstraps-terminal": td(**UNDISCOUNTED, **NOTHING),
        "no-gamma + masks-truncation": td(**UNDISCOUNTED, **DONE),
        "no-step-size + masks-truncation": td(**WHOLE, **DONE),
        "prediction-not-subtracted + masks-truncation": td(**ADDED, **DONE),
        "own-value + masks-truncation": td(**DONE, value=lambda v, s, s2: v[s]),
    },
}
