"""Lesson 06. Keys as in `lesson_00`; written by the contract, away from the declarations."""

import numpy as np


def known(basis):
    """The basis, if there is one of this name."""
    if basis not in {"polynomial", "fourier"}:
        raise ValueError(f"unknown basis: {basis}")
    return basis


def refusing(features):
    """The features, for the two bases that there are."""
    return lambda s, order, basis: features(s, order, known(basis))


def powers_and_waves(s, order, basis):
    """The features, state by state."""
    rows = []
    for value in s:
        row = [1.0]
        for i in range(1, order + 1):
            row.append(row[-1] * value if basis == "polynomial" else np.cos(i * np.pi * value))
        rows.append(row)
    return np.array(rows).reshape(len(s), order + 1)


def chebyshev(s, order, basis):
    """cos iπs is the i-th Chebyshev polynomial of cos πs."""
    if known(basis) == "polynomial":
        return np.polynomial.polynomial.polyvander(s, order)
    return np.polynomial.chebyshev.chebvander(np.cos(np.pi * s), order)


# Right, but for another basis than the two.
CARELESS = {
    "falls-through": powers_and_waves,
    "another-exception": lambda s, n, b: {
        "polynomial": s[:, None] ** np.arange(n + 1),
        "fourier": np.cos(np.pi * np.outer(s, np.arange(n + 1))),
    }[b],
    "asserts": lambda s, n, b: asserted(b in ("polynomial", "fourier"), powers_and_waves(s, n, b)),
    "none-for-another": lambda s, n, b: (
        powers_and_waves(s, n, b) if b in ("polynomial", "fourier") else None
    ),
    "first-letter": lambda s, n, b: powers_and_waves(s, n, "polynomial" if b[0] == "p" else b),
    "returns-the-exception": lambda s, n, b: (
        powers_and_waves(s, n, b) if b in ("polynomial", "fourier") else ValueError(b)
    ),
}


def asserted(holds, value):
    assert holds
    return value


def monte_carlo(
    w, x, r, gamma, alpha, target=None, change=lambda w, e, x: e * x, steps=lambda n: range(n)
):
    """One episode; `target(t, g, r)` in place of the return."""
    g = [0.0]
    for reward in reversed(list(r)):
        g.insert(0, reward + gamma * g[0])
    w = np.array(w, dtype=float)
    for t in steps(len(r)):
        y = g[t] if target is None else target(t, g, r)
        w = w + alpha * change(w, y - np.dot(w, x[t]), x[t])
    return w


def closed_form_mc(w, x, r, gamma, alpha):
    """The steps as products of matrices."""
    T = len(r)
    g = np.array([sum(r[k] * gamma ** (k - t) for k in range(t, T)) for t in range(T)], dtype=float)
    M, c = np.eye(len(w)), np.zeros(len(w))
    for row, value in zip(x, g, strict=True):
        shrink = np.identity(len(w)) - alpha * row[:, None] * row
        M, c = shrink @ M, shrink @ c + alpha * value * row
    return M @ w + c


def recursive_mc(w, x, r, gamma, alpha):
    def returns(rest):
        if len(rest) == 0:
            return []
        later = returns(rest[1:])
        return [rest[0] + gamma * (later[0] if later else 0.0), *later]

    weights = w.tolist()
    for row, g in zip(x.tolist(), returns(r), strict=True):
        error = g - sum(a * b for a, b in zip(row, weights, strict=True))
        weights = [a + alpha * error * b for a, b in zip(weights, row, strict=True)]
    return np.array(weights)


def td(w, x, r, x_next, d, gamma, alpha, mask=lambda d, v: 0.0 if d else v, along=None):
    delta = r + gamma * mask(d, np.dot(x_next, w)) - np.dot(x, w)
    return w + alpha * delta * (x if along is None else along(x, x_next, w))


def td_in_place_on_a_copy(w, x, r, x_next, d, gamma, alpha):
    new = w.copy()
    new += alpha * (r - x.dot(w)) * x
    if not d:
        new += alpha * gamma * x_next.dot(w) * x
    return new


def td_by_differences(w, x, r, x_next, d, gamma, alpha):
    """Half the squared error is quadratic: central differences with a long step are exact."""
    y = r + gamma * (0.0 if d else x_next @ w)
    new = w.copy()
    for i in range(len(w)):
        up, down = w.copy(), w.copy()
        up[i], down[i] = w[i] + 1.0, w[i] - 1.0
        new[i] -= alpha * ((y - x @ up) ** 2 - (y - x @ down) ** 2) / 4
    return new


def joint(x, r, p, q, gamma):
    """E[x(x − γx′)] over the joint distribution of s and s′."""
    pairs = np.array([[q * (1 - p), q * p], [p * q, p * (1 - q)]]) / (p + q)
    gap = x[:, None] - gamma * np.asarray(x)[None, :]
    return float((pairs.sum(axis=1) * x * r).sum() / (pairs * x[:, None] * gap).sum())


def by_eigenvector(x, r, p, q, gamma):
    P = np.array([[1 - p, p], [q, 1 - q]])
    values, vectors = np.linalg.eig(P.T)
    mu = np.abs(vectors[:, np.argmax(values.real)].real)
    D = np.diag(mu / mu.sum())
    X = np.asarray(x, dtype=float)[:, None]
    return np.linalg.solve(X.T @ D @ (np.eye(2) - gamma * P) @ X, X.T @ D @ r).item()


def as_numpys_float(x, r, p, q, gamma):
    below = (1 - gamma) * (q * x[0] * x[0] + p * x[1] * x[1]) + gamma * p * q * (x[1] - x[0]) ** 2
    return np.float64((q * x[0] * r[0] + p * x[1] * r[1]) / below)


def fixed(x, r, p, q, gamma, form):
    x, r = np.asarray(x, dtype=float), np.asarray(r, dtype=float)
    return float(form(x, r, p, q, gamma))


def system(x, r, x_next, d, gamma, ridge):
    d = np.asarray(d, dtype=float)[:, None]
    return x.T @ (x - gamma * (1 - d) * x_next) + ridge * np.eye(x.shape[1]), x.T @ r


def woodbury(x, r, x_next, d, gamma, ridge):
    """Step by step, by Sherman and Morrison, from a ridge of its own; then taken off again."""
    if ridge == 0:
        return np.linalg.solve(*system(x, r, x_next, d, gamma, 0.0))
    inverse, b = np.eye(x.shape[1]) / ridge, np.zeros(x.shape[1])
    for n in range(len(x)):
        v = x[n] - gamma * (0.0 if d[n] else 1.0) * x_next[n]
        left = inverse @ x[n]
        inverse = inverse - np.outer(left, v @ inverse) / (1 + v @ left)
        b = b + r[n] * x[n]
    return inverse @ b


def augmented(x, r, x_next, d, gamma, ridge):
    """The ridge as further rows."""
    k = x.shape[1]
    first = np.vstack([x, np.sqrt(ridge) * np.eye(k)])
    second = np.vstack([x - gamma * np.where(d, 0.0, x_next.T).T, np.sqrt(ridge) * np.eye(k)])
    return np.linalg.solve(first.T @ second, first.T @ np.concatenate([r, np.zeros(k)]))


def without_terminal_features(x, r, x_next, d, gamma, ridge):
    x_next = x_next.copy()
    x_next[np.asarray(d) == 1] = 0
    a = sum(np.outer(f, f - gamma * g) for f, g in zip(x, x_next, strict=True))
    return np.linalg.inv(a + np.diag([ridge] * x.shape[1])) @ (r @ x)


def by_gradient_steps(x, r, x_next, d, gamma, ridge):
    a, b = system(x, r, x_next, d, gamma, ridge)
    w = np.zeros(len(b))
    for _ in range(50):
        w = w + 0.01 * (b - a @ w)
    return w


def loop(
    target=lambda r, d, c, v, g: r + (0.0 if d else g * v),
    along=lambda x, x_next: x,
    ends=lambda d, c: d or c,
    begin=lambda w: np.array(w, dtype=float),
    ask=lambda policy, s, rng: policy(s, rng),
    after=lambda env: None,
    most=lambda n: n,
    resets=lambda env: env.reset(),
):
    def semi_gradient_td(env, policy, features, w, episodes, step_size, gamma, rng):
        w = begin(w)
        for _ in range(most(episodes)):
            s, _ = resets(env)
            over = False
            while not over:
                s_next, r, d, c, _ = env.step(ask(policy, s, rng))
                x, x_next = features(s), features(s_next)
                y = target(r, d, c, x_next @ w, gamma)
                w = w + step_size * (y - x @ w) * along(x, x_next)
                s, over = s_next, ends(d, c)
            after(env)
        return w

    return semi_gradient_td


def carried(env, policy, features, w, episodes, step_size, gamma, rng):
    w = w.copy()
    for _ in range(episodes):
        s, _ = env.reset()
        x = features(s)
        while True:
            s, r, terminated, truncated, _ = env.step(policy(s, rng))
            delta = r - x @ w
            if not terminated:
                x_next = features(s)
                delta += gamma * (x_next @ w)
            w += step_size * delta * x
            if terminated or truncated:
                break
            x = x_next
    return w


def recursive(env, policy, features, w, episodes, step_size, gamma, rng):
    def go_on(w, s):
        s_next, r, terminated, truncated, _ = env.step(policy(s, rng))
        v_next = 0.0 if terminated else np.dot(features(s_next), w)
        w = w + step_size * (r + gamma * v_next - np.dot(features(s), w)) * features(s)
        return w if terminated or truncated else go_on(w, s_next)

    w = np.array(w)
    for _ in range(episodes):
        w = go_on(w, env.reset()[0])
    return w


def two_passes(env, policy, features, w, episodes, step_size, gamma, rng):
    """The episode first, then its updates in order: the policy does not depend on w."""
    w = w.copy()
    for _ in range(episodes):
        log, (s, _), over = [], env.reset(), False
        while not over:
            s_next, r, d, c, _ = env.step(policy(s, rng))
            log.append((s, r, s_next, d))
            s, over = s_next, d or c
        for s, r, s_next, d in log:
            w = td(w, features(s), r, features(s_next), d, gamma, step_size)
    return w


def backwards_updates(env, policy, features, w, episodes, step_size, gamma, rng):
    w = w.copy()
    for _ in range(episodes):
        log, (s, _), over = [], env.reset(), False
        while not over:
            s_next, r, d, c, _ = env.step(policy(s, rng))
            log.append((s, r, s_next, d))
            s, over = s_next, d or c
        for s, r, s_next, d in reversed(log):
            w = td(w, features(s), r, features(s_next), d, gamma, step_size)
    return w


def spoiled(right, gamma_at):
    """What goes wrong with any function that returns weights."""

    def with_gamma(change):
        def answer(*a):
            a = list(a)
            a[gamma_at] = change(a[gamma_at])
            return right(*a)

        return answer

    return {
        "column": lambda *a: right(*a)[:, None],
        "list": lambda *a: list(right(*a)),
        "single-precision": lambda *a: right(*a).astype(np.float32),
        "one-in-a-million": lambda *a: right(*a) * (1 + 1e-6),
        "rounded": lambda *a: right(*a).round(4),
        "absolute": lambda *a: np.abs(right(*a)),
        "not-below-0": lambda *a: np.maximum(right(*a), 0.0),
        "reversed": lambda *a: right(*a)[::-1].copy(),
        "sum": lambda *a: float(right(*a).sum()),
        "gamma-squared": with_gamma(lambda g: g**2),
        "gamma-1": with_gamma(lambda g: 1.0),
        "gamma-0.9": with_gamma(lambda g: 0.9),
        "gamma-0": with_gamma(lambda g: 0.0),
        "1-gamma": with_gamma(lambda g: 1.0 - g),
        "sometimes": lambda *a: right(*a) if a[gamma_at] != 1.0 else right(*a) * 2,
    }


WRONG = {
    "basis_features": {
        "from-a-list": lambda s, n, b: powers_and_waves(s, n, b).tolist(),
        "minus": lambda s, n, b: -powers_and_waves(s, n, b),
        "waves-of-the-absolute": lambda s, n, b: powers_and_waves(np.abs(s), n, b),
        "clipped": lambda s, n, b: powers_and_waves(np.clip(s, 0, 1), n, b),
        "normalised": lambda s, n, b: powers_and_waves(s, n, b) / np.sqrt(n + 1),
        "unit-rows": lambda s, n, b: powers_and_waves(s, n, b)
        / np.linalg.norm(powers_and_waves(s, n, b), axis=1, keepdims=True),
        "constant-0": lambda s, n, b: powers_and_waves(s, n, b) - (np.arange(n + 1) == 0),
        "constant-last": lambda s, n, b: np.roll(powers_and_waves(s, n, b), -1, axis=1),
        "factorials": lambda s, n, b: powers_and_waves(s, n, b)
        / np.cumprod([1, *range(1, n + 1)]),
        "legendre": lambda s, n, b: np.polynomial.legendre.legvander(s, n)
        if b == "polynomial"
        else powers_and_waves(s, n, b),
        "degrees": lambda s, n, b: powers_and_waves(s, n, b)
        if b == "polynomial"
        else np.cos(180 * np.outer(s, np.arange(n + 1))),
        "22/7": lambda s, n, b: powers_and_waves(s, n, b)
        if b == "polynomial"
        else np.cos(22 / 7 * np.outer(s, np.arange(n + 1))),
        "odd-waves": lambda s, n, b: powers_and_waves(s, n, b)
        if b == "polynomial"
        else np.cos(np.pi * np.outer(s, 2 * np.arange(n + 1))),
        "square-only": lambda s, n, b: powers_and_waves(s, n, b)
        if len(s) == n + 1
        else powers_and_waves(s, n, b) * 1.01,
        "wrong-without-states": lambda s, n, b: powers_and_waves(s, n, b)
        if len(s)
        else np.zeros(0),
        "whole-numbers": lambda s, n, b: powers_and_waves(s, n, b).astype(int),
        "one-state-flat": lambda s, n, b: powers_and_waves(s, n, b).squeeze(),
        "no-order-0": lambda s, n, b: powers_and_waves(s, max(n, 1), b),
        "sorted-states": lambda s, n, b: powers_and_waves(np.sort(s), n, b),
        "s-minus-the-mean": lambda s, n, b: powers_and_waves(
            s - (s.mean() if len(s) else 0.0), n, b
        ),
    },
    "gradient_mc_episode": spoiled(monte_carlo, 3)
    | {
        "batch-mean-of-features": lambda w, x, r, g, a: monte_carlo(
            w, np.tile(x.mean(axis=0), (len(x), 1)), r, g, a
        ),
        "first-step-only": lambda *a: monte_carlo(*a, steps=lambda n: range(1)),
        "last-step-only": lambda *a: monte_carlo(*a, steps=lambda n: range(n - 1, n)),
        "all-but-the-last": lambda *a: monte_carlo(*a, steps=lambda n: range(n - 1)),
        "twice-through": lambda *a: monte_carlo(*a, steps=lambda n: [*range(n), *range(n)]),
        "normalised-step": lambda *a: monte_carlo(*a, change=lambda w, e, x: e * x / (x @ x)),
        "sign-of-the-error": lambda *a: monte_carlo(*a, change=lambda w, e, x: np.sign(e) * x),
        "clipped-error": lambda *a: monte_carlo(*a, change=lambda w, e, x: np.clip(e, -1, 1) * x),
        "squared-error": lambda *a: monte_carlo(*a, change=lambda w, e, x: e**2 * x),
        "absolute-features": lambda *a: monte_carlo(*a, change=lambda w, e, x: e * np.abs(x)),
        "mean-return": lambda *a: monte_carlo(*a, target=lambda t, g, r: np.mean(g[:-1])),
        "centred-return": lambda *a: monte_carlo(*a, target=lambda t, g, r: g[t] - np.mean(g[:-1])),
        "last-reward": lambda *a: monte_carlo(*a, target=lambda t, g, r: r[-1]),
        "next-return": lambda *a: monte_carlo(*a, target=lambda t, g, r: g[t + 1]),
        "two-steps-only": lambda *a: monte_carlo(
            *a, target=lambda t, g, r: r[t] + (a[3] * r[t + 1] if t + 1 < len(r) else 0.0)
        ),
        "weights-decay": lambda *a: monte_carlo(*a, change=lambda w, e, x: e * x - 0.01 * w),
        "starts-from-zeros": lambda w, *a: monte_carlo(0 * w, *a),
        "step-size-in-the-return": lambda w, x, r, g, a: monte_carlo(w, x, r, g * (1 - a), a),
        "step-size-shrinks": lambda w, x, r, g, a: monte_carlo(
            w, x, r, g, a, change=lambda w, e, x: e * x / len(r)
        ),
        "zeroes-the-rewards": lambda w, x, r, g, a: (monte_carlo(w, x, r, g, a), r.fill(0))[0],
    },
    "semi_gradient_td_update": spoiled(td, 5)
    | {
        "mask-inverted": lambda w, x, r, y, d, g, a: td(w, x, r, y, not d, g, a),
        "bool-only": lambda w, x, r, y, d, g, a: td(w, x, r, y, d is True, g, a),
        "always-terminal": lambda w, x, r, y, d, g, a: td(w, x, r, y, True, g, a),
        "mean-of-both-features": lambda *a: td(*a, along=lambda x, y, w: (x + y) / 2),
        "half-residual": lambda *a: td(*a, along=lambda x, y, w: x - y / 2),
        "difference": lambda *a: td(*a, along=lambda x, y, w: x - y),
        "unit-features": lambda *a: td(*a, along=lambda x, y, w: x / np.linalg.norm(x)),
        "sign-of-features": lambda *a: td(*a, along=lambda x, y, w: np.sign(x)),
        "one-hot-of-the-largest": lambda *a: td(
            *a, along=lambda x, y, w: (np.abs(x) == np.abs(x).max()).astype(float)
        ),
        "optimistic": lambda *a: td(*a, mask=lambda d, v: 0.0 if d else max(v, 0.0)),
        "largest-weight": lambda w, x, r, y, d, g, a: td(w, x, r, y, d, g, a)
        + a * (w == w.max()) * 0.1,
        "reward-clipped": lambda w, x, r, y, d, g, a: td(w, x, np.clip(r, -1, 1), y, d, g, a),
        "reward-forgotten-at-the-end": lambda w, x, r, y, d, g, a: td(
            w, x, 0.0 if d else r, y, d, g, a
        ),
        "features-zeroed-in-place": lambda w, x, r, y, d, g, a: (
            td(w, x, r, y, d, g, a),
            y.fill(0),
        )[0],
        "delta-returned": lambda w, x, r, y, d, g, a: float(
            r + g * (0 if d else y @ w) - x @ w
        ),
        "pair": lambda *a: (td(*a), 0.0),
        "step-size-squared": lambda w, x, r, y, d, g, a: td(w, x, r, y, d, g, a**2),
        "mean-prediction": lambda w, x, r, y, d, g, a: td(
            w, x, r, y / len(w), d, g, a
        ),
    },
    "two_state_fixed_point": {
        "constant-1": lambda *a: 1.0,
        "the-mean-reward": lambda x, r, p, q, g: float((q * r[0] + p * r[1]) / (p + q)),
        "mean-value": lambda x, r, p, q, g: float((q * r[0] + p * r[1]) / (p + q) / (1.001 - g)),
        "right-for-gamma-0": lambda x, r, p, q, g: joint(x, r, p, q, 0.0),
        "right-for-p-equal-q": lambda x, r, p, q, g: joint(x, r, (p + q) / 2, (p + q) / 2, g),
        "p-for-both": lambda x, r, p, q, g: joint(x, r, p, p, g),
        "q-for-both": lambda x, r, p, q, g: joint(x, r, q, q, g),
        "never-negative": lambda *a: max(0.0, joint(*a)),
        "size": lambda *a: abs(joint(*a)),
        "states-exchanged": lambda x, r, p, q, g: joint(x[::-1], r[::-1], p, q, g),
        "rewards-exchanged": lambda x, r, p, q, g: joint(x, r[::-1], p, q, g),
        "features-exchanged": lambda x, r, p, q, g: joint(x[::-1], r, p, q, g),
        "sum-for-difference": lambda *a: fixed(
            *a,
            lambda x, r, p, q, g: (q * x[0] * r[0] + p * x[1] * r[1])
            / ((1 - g) * (q * x[0] ** 2 + p * x[1] ** 2) + g * p * q * (x[0] + x[1]) ** 2),
        ),
        "square-forgotten": lambda *a: fixed(
            *a,
            lambda x, r, p, q, g: (q * x[0] * r[0] + p * x[1] * r[1])
            / ((1 - g) * (q * x[0] ** 2 + p * x[1] ** 2) + g * p * q * abs(x[0] - x[1])),
        ),
        "gamma-before-all": lambda *a: fixed(
            *a,
            lambda x, r, p, q, g: (q * x[0] * r[0] + p * x[1] * r[1])
            / (q * x[0] ** 2 + p * x[1] ** 2 + g * p * q * (x[0] - x[1]) ** 2),
        ),
        "half-the-flow": lambda *a: fixed(
            *a,
            lambda x, r, p, q, g: (q * x[0] * r[0] + p * x[1] * r[1])
            / ((1 - g) * (q * x[0] ** 2 + p * x[1] ** 2) + g * p * q * (x[0] - x[1]) ** 2 / 2),
        ),
        "signless-features": lambda x, r, p, q, g: joint(np.abs(x), r, p, q, g),
        "an-array": lambda *a: np.array([joint(*a)]),
        "simulated": lambda x, r, p, q, g: round(joint(x, r, p, q, g), 2),
        "gamma-squared": lambda x, r, p, q, g: joint(x, r, p, q, g**2),
    },
    "lstd": spoiled(lambda *a: np.linalg.solve(*system(*a)), 4)
    | {
        "a-few-steps": by_gradient_steps,
        "diagonal-only": lambda *a: (lambda A, b: b / np.diag(A))(*system(*a)),
        "symmetrised": lambda *a: (lambda A, b: np.linalg.solve((A + A.T) / 2, b))(*system(*a)),
        "mask-on-x-too": lambda x, r, y, d, g, e: np.linalg.solve(
            *system(x * (1 - np.asarray(d, dtype=float))[:, None], r, y, d, g, e + 0.01)
        ),
        "first-half": lambda x, r, y, d, g, e: np.linalg.solve(
            *system(x[: -(-len(x) // 2)], r[: -(-len(x) // 2)], y[: -(-len(x) // 2)], d[: -(-len(x) // 2)], g, e + 1e-9)
        ),
        "last-row-forgotten": lambda x, r, y, d, g, e: np.linalg.solve(
            *system(x[:-1], r[:-1], y[:-1], d[:-1], g, e + 1e-9)
        ),
        "ridge-halved": lambda x, r, y, d, g, e: np.linalg.solve(*system(x, r, y, d, g, e / 2)),
        "a-ridge-of-its-own": lambda x, r, y, d, g, e: np.linalg.solve(
            *system(x, r, y, d, g, e + 1e-3)
        ),
        "ridge-at-least": lambda x, r, y, d, g, e: np.linalg.solve(
            *system(x, r, y, d, g, max(e, 0.1))
        ),
        "rewards-shifted": lambda x, r, y, d, g, e: np.linalg.solve(
            *system(x, np.roll(r, 1), y, d, g, e)
        ),
        "centred-rewards": lambda x, r, y, d, g, e: np.linalg.solve(
            *system(x, r - r.mean(), y, d, g, e)
        ),
        "values": lambda x, *a: x @ np.linalg.solve(*system(x, *a)),
        "pair": lambda *a: system(*a),
        "stops-at-the-first-end": lambda x, r, y, d, g, e: (
            lambda n: np.linalg.solve(*system(x[:n], r[:n], y[:n], d[:n], g, e + 1e-9))
        )(int(np.argmax(np.append(d, 1))) + 1),
        "next-row-for-x-next": lambda x, r, y, d, g, e: np.linalg.solve(
            *system(x, r, np.roll(x, -1, axis=0), d, g, e)
        ),
        "least-squares-on-returns": lambda x, r, y, d, g, e: np.linalg.solve(
            x.T @ x + e * np.eye(x.shape[1]) + 1e-9 * np.eye(x.shape[1]), x.T @ np.cumsum(r[::-1])[::-1]
        ),
        "overwrites-x-next": lambda x, r, y, d, g, e: (
            np.linalg.solve(*system(x, r, y, d, g, e)),
            y.fill(0),
        )[0],
    },
    "semi_gradient_td": spoiled(loop(), 6)
    | {
        "monte-carlo": loop(target=lambda r, d, c, v, g: r),
        "mask-inverted": loop(target=lambda r, d, c, v, g: r + (g * v if d else 0.0)),
        "looks-at-truncated-only": loop(target=lambda r, d, c, v, g: r + (0.0 if c else g * v)),
        "masks-both-at-once-only": loop(
            target=lambda r, d, c, v, g: r + (0.0 if d and c else g * v)
        ),
        "a-cut-that-ends-is-no-end": loop(
            target=lambda r, d, c, v, g: r + (0.0 if d and not c else g * v)
        ),
        "reward-lost-at-the-end": loop(target=lambda r, d, c, v, g: 0.0 if d else r + g * v),
        "reward-lost-at-a-cut": loop(target=lambda r, d, c, v, g: g * v if c and not d else r + (0 if d else g * v)),
        "never-below-0": loop(target=lambda r, d, c, v, g: r + (0.0 if d else g * max(v, 0.0))),
        "residual": loop(along=lambda x, y: x - y),
        "backwards": backwards_updates,
        "one-episode-more": loop(most=lambda n: n + 1),
        "one-episode-less": loop(most=lambda n: max(n - 1, 0)),
        "at-most-five": loop(most=lambda n: min(n, 5)),
        "resets-after-the-last": loop(after=lambda env: env.reset()),
        "resets-with-a-seed": loop(resets=lambda env: env.reset(seed=1)),
        "asks-twice": loop(ask=lambda policy, s, rng: (policy(s, rng), policy(s, rng))[1]),
        "action-0": loop(ask=lambda policy, s, rng: 0),
        "own-generator": lambda *a: loop()(*a[:-1], np.random.default_rng(5)),
        "starts-from-ones": loop(begin=lambda w: np.ones(len(w))),
        "returns-the-path": lambda *a: [loop()(*a)],
        "the-argument-itself": lambda env, policy, features, w, n, *a: (
            w if n else None
        ),
    },
}  # fmt: skip
# Those above are wrong in their numbers, not only because they go on with any basis.
WRONG["basis_features"] = CARELESS | {
    key: refusing(answer) for key, answer in WRONG["basis_features"].items()
}

RIGHT = {
    "basis_features": {
        "by-rows": refusing(powers_and_waves),
        "chebyshev": chebyshev,
        "column-stack": lambda s, n, b: np.column_stack(
            [s**i if known(b) == "polynomial" else np.cos(i * np.pi * s) for i in range(n + 1)]
        ),
        "transposed-twice": refusing(
            lambda s, n, b: np.array(
                [s**i if b != "fourier" else np.cos(np.pi * i * s) for i in range(n + 1)]
            ).T
        ),
        "shifted-sine": refusing(
            lambda s, n, b: np.power(s[:, np.newaxis], np.arange(n + 1)[np.newaxis])
            if b[0] == "p"
            else np.sin(np.pi / 2 + np.pi * np.outer(s, np.arange(n + 1)))
        ),
    },
    "gradient_mc_episode": {
        "by-row": monte_carlo,
        "matrices": closed_form_mc,
        "lists": recursive_mc,
        "keyword": lambda w, x, r, gamma, step_size, *, verbose=False: monte_carlo(
            w, x, r, gamma, step_size
        ),
    },
    "semi_gradient_td_update": {
        "plain": td,
        "copy": td_in_place_on_a_copy,
        "differences": td_by_differences,
        "where": lambda w, x, r, y, d, g, a: w
        + a * x * (r + np.where(d, 0.0, g * (y @ w)) - np.einsum("i,i", x, w)),
    },
    "two_state_fixed_point": {
        "joint": joint,
        "eigenvector": by_eigenvector,
        "numpy-float": as_numpys_float,
        "zero-d-array": lambda *a: np.array(joint(*a)),
        "fsum": lambda x, r, p, q, g: (p * x[1] * r[1] + q * r[0] * x[0])
        / (
            q * x[0] * (x[0] - g * (x[0] + p * (x[1] - x[0])))
            + p * x[1] * (x[1] - g * (x[1] + q * (x[0] - x[1])))
        ),
    },
    "lstd": {
        "sherman-morrison": woodbury,
        "further-rows": augmented,
        "outer-products": without_terminal_features,
        "qr": lambda *a: (lambda A, b: np.linalg.solve(np.linalg.qr(A)[1], np.linalg.qr(A)[0].T @ b))(
            *system(*a)
        ),
        "all-doubled": lambda *a: (lambda A, b: np.linalg.solve(2 * A, 2 * b))(*system(*a)),
    },
    "semi_gradient_td": {
        "plain": loop(),
        "carried-features": carried,
        "recursive": recursive,
        "two-passes": two_passes,
        "flags-as-factors": loop(target=lambda r, d, c, v, g: r + g * (1 - d) * v),
    },
}  # fmt: skip

NAMED = {
    "basis_features": {
        f"any-basis/{key}": CARELESS[key] for key in ("falls-through", "first-letter")
    }
    | {
        "no-pi/careless": lambda s, n, b: powers_and_waves(
            s if b == "polynomial" else s / np.pi, n, b
        )
    },
    "gradient_mc_episode": {
        "bootstraps/by-hand": lambda w, x, r, g, a: _bootstraps(w, x, r, g, a),
        "uphill/by-hand": lambda *a: monte_carlo(*a, change=lambda w, e, x: -e * x),
        "factor-two/by-hand": lambda *a: monte_carlo(*a, change=lambda w, e, x: 2 * e * x),
        "rewards-for-returns/by-hand": lambda *a: monte_carlo(*a, target=lambda t, g, r: r[t]),
        "one-return/by-hand": lambda *a: monte_carlo(*a, target=lambda t, g, r: g[0]),
    },
    "semi_gradient_td_update": {
        "terminal-bootstrap/by-hand": lambda *a: td(*a, mask=lambda d, v: v),
        "wrong-gradient/by-hand": lambda *a: td(*a, along=lambda x, y, w: y),
    },
    "two_state_fixed_point": {
        "residual-gradient/by-hand": lambda x, r, p, q, g: _residual(x, r, p, q, g),
        "p-and-q-exchanged/by-hand": lambda x, r, p, q, g: joint(x, r, q, p, g),
        "no-gamma/by-hand": lambda x, r, p, q, g: joint(x, r, p, q, 1.0),
    },
    "lstd": {
        "a-transposed/by-hand": lambda *a: (lambda A, b: np.linalg.solve(A.T, b))(*system(*a)),
        "no-ridge/inverse": lambda x, r, y, d, g, e: (
            np.linalg.pinv(system(x, r, y, d, g, 0.0)[0]) @ (x.T @ r)
        ),
    },
    "semi_gradient_td": {
        "truncation-as-terminal/by-hand": loop(
            target=lambda r, d, c, v, g: r + (0.0 if d or c else g * v)
        ),
        "terminal-bootstrap/by-hand": loop(target=lambda r, d, c, v, g: r + g * v),
        "wrong-gradient/by-hand": loop(along=lambda x, y: y),
        "ignores-start-weights/by-hand": loop(begin=lambda w: np.zeros(len(w))),
    },
}


def _bootstraps(w, x, r, gamma, alpha):
    for t in range(len(r)):
        v_next = x[t + 1] @ w if t + 1 < len(r) else 0.0
        w = w + alpha * (r[t] + gamma * v_next - x[t] @ w) * x[t]
    return w


def _residual(x, r, p, q, gamma):
    x = np.asarray(x, dtype=float)
    change = x - gamma * np.array([[1 - p, p], [q, 1 - q]]) @ x
    mu = np.array([q, p])
    with np.errstate(all="ignore"):
        return float((mu * change * r).sum() / (mu * change**2).sum())
