"""Lesson 05: the loops of SARSA and Q-learning. Keys as in `lesson_00`."""

import numpy as np


def sarsa(
    target=lambda r, g, d, c, q, s2, a2: r + (0.0 if d else g * q[s2][a2]),
    first=lambda select, q, s, rng: select(q[s], rng),
    again=lambda select, q, s, s2, a, rng: select(q[s2], rng),
    goes_on=lambda a, a2: a2,
    form=lambda q, y, alpha: q + alpha * (y - q),
    start=np.zeros,
    after=lambda env: None,
    count=lambda n: n,
    most=10**9,
):
    def loop(env, select, episodes, step_size, gamma, rng):
        q = start((env.observation_space.n, env.action_space.n))
        for _ in range(count(episodes)):
            s, _ = env.reset()
            a, d, c, steps = first(select, q, s, rng), False, False, 0
            while not (d or c) and steps < most:
                s2, r, d, c, _ = env.step(a)
                a2 = again(select, q, s, s2, a, rng)
                q[s, a] = form(q[s, a], target(r, gamma, d, c, q, s2, a2), step_size)
                s, a, steps = s2, goes_on(a, a2), steps + 1
            after(env)
        return q

    return loop


def sarsa_without_a_last_choice(env, select, episodes, step_size, gamma, rng):
    """No choice at a terminal state; tables as dictionaries."""
    n_s, n_a = env.observation_space.n, env.action_space.n
    q = {s: np.zeros(n_a) for s in range(n_s)}
    for _ in range(episodes):
        s = env.reset()[0]
        a = select(q[s], rng)
        while True:
            s2, r, d, c, _ = env.step(a)
            if d:
                q[s][a] += step_size * (r - q[s][a])
                break
            a2 = select(q[s2], rng)
            q[s][a] += step_size * (r + gamma * q[s2][a2] - q[s][a])
            if c:
                break
            s, a = s2, a2
    return np.array([q[s] for s in range(n_s)])


def q_learning(
    best=lambda q, s, s2: max(q[s2]),
    target=lambda r, g, d, c, y: r + (0.0 if d else g * y),
    choose=lambda select, q, s, rng: select(q[s], rng),
    form=lambda q, y, alpha: (1 - alpha) * q + alpha * y,
    start=np.zeros,
    moves=True,
    after=lambda env: None,
    count=lambda n: n,
    extra=lambda select, q, s, rng: None,
    most=10**9,
):
    def loop(env, select, episodes, step_size, gamma, rng):
        q = start((env.observation_space.n, env.action_space.n))
        for _ in range(count(episodes)):
            s, _ = env.reset()
            d, c, steps = False, False, 0
            while not (d or c) and steps < most:
                a = choose(select, q, s, rng)
                s2, r, d, c, _ = env.step(a)
                q[s, a] = form(q[s, a], target(r, gamma, d, c, best(q, s, s2)), step_size)
                extra(select, q, s2, rng)
                s, steps = s2 if moves else s, steps + 1
            after(env)
        return q

    return loop


class Kept:
    """Starts from the table of an earlier call."""

    def __init__(self):
        self.tables = {}

    def __call__(self, shape):
        return self.tables.setdefault(shape, np.zeros(shape))


def sarsa_that_never_chooses_at_an_end(best):
    """`best` of the next row and the next action; at a time limit there is none."""

    def loop(env, select, episodes, step_size, gamma, rng):
        q = np.zeros((env.observation_space.n, env.action_space.n))
        for _ in range(episodes):
            s, _ = env.reset()
            a, done = select(q[s], rng), False
            while not done:
                s2, r, d, c, _ = env.step(a)
                done = d or c
                a2 = None if done else select(q[s2], rng)
                q[s, a] += step_size * (r + gamma * (0.0 if d else best(q[s2], a2)) - q[s, a])
                s, a = s2, a2
        return q

    return loop


def sarsa_with_a_row_for_the_end(env, select, episodes, step_size, gamma, rng):
    """Terminal states share a last row, which stays at 0."""
    q = np.zeros((env.observation_space.n + 1, env.action_space.n))
    for _ in range(episodes):
        s, d, c = env.reset()[0], False, False
        a = select(q[s], rng)
        while not (d or c):
            s2, r, d, c, _ = env.step(a)
            s2 = -1 if d else s2
            a2 = select(q[s2], rng)
            q[s, a] += step_size * (r + gamma * q[s2, a2] - q[s, a])
            s, a = s2, a2
    return q[:-1]


def chooses_after_learning(future, at_end=True):
    """`future` of the next row as it was, the next action from the row as it is; `at_end`: also after the last."""

    def loop(env, select, episodes, step_size, gamma, rng):
        q = np.zeros((env.observation_space.n, env.action_space.n))
        for _ in range(episodes):
            s, d, c = env.reset()[0], False, False
            a = select(q[s], rng)
            while not (d or c):
                s2, r, d, c, _ = env.step(a)
                q[s, a] += step_size * (r + gamma * (not d) * future(q[s2], select, rng) - q[s, a])
                s = s2
                if at_end or not (d or c):
                    a = select(q[s], rng)
        return q

    return loop


def best(row, select, rng):
    return row.max()


def drawn(row, select, rng):
    return row[select(row, rng)]


def q_learning_that_asks_in_the_target(env, select, episodes, step_size, gamma, rng):
    q = np.zeros((env.observation_space.n, env.action_space.n))
    for _ in range(episodes):
        s, d, c = env.reset()[0], False, False
        while not (d or c):
            a = select(q[s], rng)
            s2, r, d, c, _ = env.step(a)
            q[s, a] += step_size * (r + gamma * (1 - d) * q[s2, select(q[s2], rng)] - q[s, a])
            s = s2
    return q


def recursive(env, select, episodes, step_size, gamma, rng):
    q = np.zeros((env.observation_space.n, env.action_space.n))

    def walk(s):
        a = select(q[s].tolist(), rng)
        s2, r, d, c, _ = env.step(a)
        q[s, a] += step_size * (r + (0.0 if d else gamma * max(q[s2])) - q[s, a])
        return None if d or c else walk(s2)

    for _ in range(episodes):
        walk(env.reset()[0])
    return q


def whole_numbers(shape):
    return np.zeros(shape, dtype=int)


def spoiled(loop):
    """What goes wrong with either loop."""
    return {
        "starts-at-one": loop(start=np.ones),
        "kept-table": loop(start=Kept()),
        "at-most-100": loop(most=100),
        "at-most-200": loop(most=200),
        "whole-number-table": loop(start=whole_numbers),
        "single-precision-table": loop(start=lambda n: np.zeros(n, dtype=np.float32)),
        "random-start": loop(start=lambda n: np.random.default_rng(0).normal(size=n)),
        "resets-after-the-last": loop(after=lambda env: env.reset()),
        "one-episode-more": loop(count=lambda n: n + 1),
        "one-episode-only": loop(count=lambda n: min(n, 1)),
        "step-size-ignored": loop(form=lambda q, y, alpha: y),
        "adds-up": loop(form=lambda q, y, alpha: q + alpha * y),
        "minus": loop(form=lambda q, y, alpha: q - alpha * (y - q)),
        "half-step": loop(form=lambda q, y, alpha: q + alpha / 2 * (y - q)),
        "list": lambda *a: loop()(*a).tolist(),
        "transposed": lambda *a: loop()(*a).T.copy(),
        "greedy-policy": lambda *a: loop()(*a).argmax(axis=1),
        "hard-coded-gamma": lambda env, select, n, alpha, g, rng: loop()(env, select, n, alpha, 0.9, rng),
        "seeded-resets": lambda env, select, n, alpha, g, rng: (env.reset(seed=1), loop()(env, select, n, alpha, g, rng))[1],
        "own-generator": lambda env, select, n, alpha, g, rng: loop()(env, select, n, alpha, g, np.random.default_rng(3)),
    }  # fmt: skip


WRONG = {
    "sarsa": spoiled(sarsa)
    | {
        "min": sarsa(target=lambda r, g, d, c, q, s2, a2: r + (0 if d else g * q[s2].min())),
        "mean": sarsa(target=lambda r, g, d, c, q, s2, a2: r + (0 if d else g * q[s2].mean())),
        "first-action-in-target": sarsa(
            target=lambda r, g, d, c, q, s2, a2: r + g * (1 - d) * q[s2, 0]
        ),
        "first-of-the-two-draws": sarsa(
            again=lambda select, q, s, s2, a, rng: (select(q[s2], rng), select(q[s2], rng))[0]
        ),
        "greedy-after-a-cut": sarsa_that_never_chooses_at_an_end(
            lambda row, a2: row.max() if a2 is None else row[a2]
        ),
        "the-whole-table": sarsa(again=lambda select, q, s, s2, a, rng: select(q, rng)),
        "greedy-first": sarsa(first=lambda select, q, s, rng: int(np.argmax(q[s]))),
        "greedy-next": sarsa(again=lambda select, q, s, s2, a, rng: int(np.argmax(q[s2]))),
        "asks-twice": sarsa(
            again=lambda select, q, s, s2, a, rng: (select(q[s2], rng), select(q[s2], rng))[1]
        ),
        "no-gamma": sarsa(target=lambda r, g, d, c, q, s2, a2: r + (0 if d else q[s2][a2])),
    },
    "q_learning": spoiled(q_learning)
    | {
        "min": q_learning(best=lambda q, s, s2: min(q[s2])),
        "mean": q_learning(best=lambda q, s, s2: q[s2].mean()),
        "max-of-the-table": q_learning(best=lambda q, s, s2: q.max()),
        "argmax": q_learning(best=lambda q, s, s2: int(q[s2].argmax())),
        "no-gamma": q_learning(target=lambda r, g, d, c, y: r + (0 if d else y)),
        "never-moves": q_learning(moves=False),
        "never-below-zero": q_learning(best=lambda q, s, s2: max(0.0, q[s2].max())),
        "draws-ahead-at-the-end": chooses_after_learning(best),
        "column": q_learning(best=lambda q, s, s2: q[:, int(q[s2].argmax())].max()),
        "random-behaviour": q_learning(
            choose=lambda select, q, s, rng: int(rng.integers(q.shape[1]))
        ),
        "asks-once-more": q_learning(extra=lambda select, q, s, rng: select(q[s], rng)),
    },
}

RIGHT = {
    "sarsa": {
        "no-choice-at-the-end": sarsa_without_a_last_choice,
        "row-for-the-end": sarsa_with_a_row_for_the_end,
        "weighted": sarsa(form=lambda q, y, alpha: (1 - alpha) * q + alpha * y),
        "bool-arithmetic": sarsa(
            target=lambda r, g, d, c, q, s2, a2: r + g * (not d) * q[s2, a2]
        ),
    },
    "q_learning": {
        "draws-ahead": chooses_after_learning(best, at_end=False),
        "recursive": recursive,
        "plus": q_learning(form=lambda q, y, alpha: q + alpha * (y - q)),
        "look-up": q_learning(best=lambda q, s, s2: q[s2, q[s2].argmax()]),
        "sorted": q_learning(best=lambda q, s, s2: sorted(q[s2])[-1]),
    },
}  # fmt: skip

NAMED = {
    "sarsa": {
        "action-from-old-state/loop": sarsa(again=lambda select, q, s, s2, a, rng: select(q[s], rng)),
        "max/loop": sarsa(target=lambda r, g, d, c, q, s2, a2: r + (0 if d else g * max(q[s2]))),
        "chooses-again/after-learning": chooses_after_learning(drawn),
        "chooses-again/in-the-target": q_learning_that_asks_in_the_target,
        "max/no-choice-at-an-end": sarsa_that_never_chooses_at_an_end(lambda row, a2: row.max()),
        "max/q-learning": q_learning(),
        "masks-truncation/no-choice-at-an-end": sarsa_that_never_chooses_at_an_end(
            lambda row, a2: 0.0 if a2 is None else row[a2]
        ),
        "stale-action/loop": sarsa(goes_on=lambda a, a2: a),
        "bootstraps-terminal/loop": sarsa(target=lambda r, g, d, c, q, s2, a2: r + g * q[s2, a2]),
        "masks-truncation/loop": sarsa(
            target=lambda r, g, d, c, q, s2, a2: r + (0 if d or c else g * q[s2, a2])
        ),
    },
    "q_learning": {
        "sarsa-target/asks": q_learning_that_asks_in_the_target,
        "sarsa-target/sarsa": sarsa(),
        "never-explores/loop": q_learning(choose=lambda select, q, s, rng: int(np.argmax(q[s]))),
        "own-max/loop": q_learning(best=lambda q, s, s2: q[s].max()),
        "bootstraps-terminal/loop": q_learning(target=lambda r, g, d, c, y: r + g * y),
        "masks-truncation/loop": q_learning(
            target=lambda r, g, d, c, y: r + (0 if d or c else g * y)
        ),
    },
}  # fmt: skip
