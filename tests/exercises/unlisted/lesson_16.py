"""Lesson 16. A key of NAMED is the mistake's name, `/` and what sets this version apart."""

import math
from functools import reduce

import numpy as np
from scipy.special import entr, logsumexp, softmax, xlogy

# ------------------------------------------------------------------------------------ parts of answers


def h(pi):
    return entr(pi).sum(axis=-1)


def value(q, pi, alpha):
    return (pi * q).sum(axis=1) + alpha * h(pi)


def ahead(v, P, R, gamma):
    return R + gamma * np.einsum("sat,t->sa", P, v)


def solved(P, R, pi, gamma, alpha):
    P_pi = np.einsum("sa,sat->st", pi, P)
    v = np.linalg.solve(np.eye(len(R)) - gamma * P_pi, (pi * R).sum(axis=1) + alpha * h(pi))
    return ahead(v, P, R, gamma)


def backup_with(v_of):
    return lambda q, P, R, pi, gamma, alpha: ahead(v_of(q, pi, alpha), P, R, gamma)


def solved_with(bonus=h, reward=lambda R, gamma: R, last=lambda q: q):
    """Evaluation with another bonus (S,), another reward or another last step."""

    def soft_policy_evaluation(P, R, pi, gamma, alpha):
        P_pi = np.einsum("sa,sat->st", pi, P)
        right = (pi * reward(R, gamma)).sum(axis=1) + alpha * bonus(pi)
        return last(ahead(np.linalg.solve(np.eye(len(R)) - gamma * P_pi, right), P, R, gamma))

    return soft_policy_evaluation


def left(
    stay=lambda g, c, m, a: m * np.exp(-c / a),
    v=lambda g, c, m, a, p: g - a * np.log(p),
    above=(np.inf, 0.0),
    limit=1.0,
    p=lambda stay: 1 - stay,
):
    """leave_or_stay with another part; limit: of `stay`, from which on `above` is returned."""

    def leave_or_stay(gain, cost, n_stay, alpha):
        s = stay(gain, cost, n_stay, alpha)
        if s >= limit:
            return above
        return float(v(gain, cost, n_stay, alpha, p(s))), float(p(s))

    return leave_or_stay


def iterated(
    start=lambda R: np.full(R.shape, 1 / R.shape[1]),
    evaluate=solved,
    improve=lambda q, alpha: softmax(q / alpha, axis=1),
    stop=lambda new, old, pi, old_pi, tol: np.abs(new - old).max() < tol,
    most=300,
    result=lambda pi, q, n: (pi, q, n),
):
    """Soft policy iteration with its parts exchangeable."""

    def soft_policy_iteration(P, R, gamma, alpha, tolerance):
        pi = start(R)
        q, n = evaluate(P, R, pi, gamma, alpha), 1
        while n < most:
            old, old_pi = q, pi
            pi = improve(q, alpha)
            q, n = evaluate(P, R, pi, gamma, alpha), n + 1
            if stop(q, old, pi, old_pi, tolerance):
                break
        return result(pi, q, n)

    return soft_policy_iteration


def with_an_alias(P, R, gamma, alpha, tolerance):
    pi, n = np.full(R.shape, 1 / R.shape[1]), 1
    q = solved(P, R, pi, gamma, alpha)
    while True:
        old = q
        pi = softmax(q / alpha, axis=1)
        q[:] = solved(P, R, pi, gamma, alpha)
        n += 1
        if np.abs(q - old).max() < tolerance:
            return pi, q, n


def improved_at_once_and_in_place(q, alpha):
    q -= q.max(axis=1, keepdims=True)
    return softmax(q / alpha, axis=1)


def into_first_result(q, P, R, pi, gamma, alpha, kept=[]):  # noqa: B006 — that is the mistake
    if not kept or kept[0].shape != R.shape:
        kept[:] = [np.zeros(R.shape)]
    kept[0] += ahead(value(q, pi, alpha), P, R, gamma)
    return kept[0].copy()


def cleans_p(p):
    p[p == 0] = 1.0
    return -(p * np.log(p)).sum(axis=-1)


def one_action_a_time(q, P, R, pi, gamma, alpha):
    q = q.copy()
    for a in range(q.shape[1]):
        q[:, a] = R[:, a] + gamma * P[:, a] @ value(q, pi, alpha)
    return q


def clipped_exponent(q, alpha):
    w = np.exp(np.clip(q / alpha, -700, 700))
    return w / w.sum(axis=1, keepdims=True)


def mixed(q, alpha, share):
    return (1 - share) * softmax(q / alpha, axis=1) + share / q.shape[1]


def by_newton(gain, cost, n_stay, alpha):
    """V − g as the zero of e^{−u/α} + m e^{−c/α} − 1, by bisection in p."""
    stay = n_stay * math.exp(-cost / alpha)
    if stay >= 1:
        return math.inf, 0
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if middle + stay < 1 else (low, middle)
    return gain - alpha * math.log(high), high


def tree_of_logs(p):
    rows = p.reshape(-1, p.shape[-1])
    sums = [
        reduce(lambda t, x: t - (x * math.log(x) if x else 0.0), row, 0.0) for row in rows.tolist()
    ]
    return np.array(sums).reshape(p.shape[:-1])


def walked_back(P, R, pi, gamma, alpha):
    """The discounted sum of expected rewards and bonuses, step by step, by doubling."""
    n = len(R)
    M = gamma * np.einsum("sa,sat->st", pi, P)
    total = np.eye(n)
    for _ in range(14):  # 2^14 steps
        total, M = total + M @ total, M @ M
    return ahead(total @ ((pi * R).sum(axis=1) + alpha * h(pi)), P, R, gamma)


def anderson_free(P, R, gamma, alpha, tolerance):
    """π never formed: V by log-sum-exp in the improvement, H from (Q − V)/α."""
    n_states, n_actions = R.shape
    log_pi, n, q = np.full(R.shape, -np.log(n_actions)), 0, None
    while True:
        pi = np.exp(log_pi)
        P_pi = np.einsum("sa,sat->st", pi, P)
        v = np.linalg.solve(
            np.eye(n_states) - gamma * P_pi, (pi * (R - alpha * log_pi)).sum(axis=1)
        )
        new, n = ahead(v, P, R, gamma), n + 1
        if q is not None and (np.abs(new - q) < tolerance).all():
            return pi, new, n
        q = new
        log_pi = (q - alpha * logsumexp(q / alpha, axis=1, keepdims=True)) / alpha


# ------------------------------------------------------------------------------------------- wrong ones

WRONG = {
    "entropy": {
        "log A": lambda p: np.full(p.shape[:-1], np.log(p.shape[-1])),
        "1 − Σp²": lambda p: 1 - (p**2).sum(axis=-1),
        "−log of the largest": lambda p: -np.log(p.max(axis=-1)),
        "−log Σp²": lambda p: -np.log((p**2).sum(axis=-1)),
        "of a coin": lambda p: entr(p[..., 0]) + entr(1 - p[..., 0]),
        "the largest term": lambda p: entr(p).max(axis=-1),
        "kept axis": lambda p: entr(p).sum(axis=-1, keepdims=True),
        "terms": lambda p: entr(p),
        "float32": lambda p: entr(p).sum(axis=-1).astype(np.float32),
        "rows of a table only": lambda p: entr(p).sum(axis=1),
        "changes p": cleans_p,
        "1e-7 added to p": lambda p: -(p * np.log(p + 1e-7)).sum(axis=-1),
        "cross entropy with the uniform": lambda p: -np.log(p / p.shape[-1] + 1e-300).mean(axis=-1),
        "rounded": lambda p: entr(p).sum(axis=-1).round(6),
        "a list": lambda p: entr(p).sum(axis=-1).tolist(),
        "drops small ones": lambda p: entr(np.where(p > 1e-3, p, 0)).sum(axis=-1),
    },
    "soft_value": {
        "first state": lambda q, pi, alpha: np.full(len(q), value(q, pi, alpha)[0]),
        "a number": lambda q, pi, alpha: value(q, pi, alpha).mean(),
        "a column": lambda q, pi, alpha: value(q, pi, alpha)[:, None],
        "log A for H": lambda q, pi, alpha: (pi * q).sum(axis=1) + alpha * np.log(q.shape[1]),
        "uniform mean of q": lambda q, pi, alpha: q.mean(axis=1) + alpha * h(pi),
        "√α": lambda q, pi, alpha: (pi * q).sum(axis=1) + np.sqrt(alpha) * h(pi),
        "α²": lambda q, pi, alpha: (pi * q).sum(axis=1) + alpha**2 * h(pi),
        "½α": lambda q, pi, alpha: (pi * q).sum(axis=1) + alpha / 2 * h(pi),
        "bits": lambda q, pi, alpha: (pi * q).sum(axis=1) + alpha * h(pi) / np.log(2),
        "never below 0": lambda q, pi, alpha: np.maximum(value(q, pi, alpha), 0),
        "KL from uniform": lambda q, pi, alpha: (pi * q).sum(axis=1) + alpha * (h(pi) - np.log(q.shape[1])),
        "log of q": lambda q, pi, alpha: (pi * q).sum(axis=1) - alpha * np.log(np.abs(pi * q) + 1).sum(axis=1),
        "1e-8 added to p": lambda q, pi, alpha: (pi * (q - alpha * np.log(pi + 1e-8))).sum(axis=1),
        "likeliest action": lambda q, pi, alpha: q[np.arange(len(q)), pi.argmax(axis=1)] + alpha * h(pi),
        "sign + mean-not-sum": lambda q, pi, alpha: (pi * q - alpha * entr(pi)).mean(axis=1),
        "no-temperature + log-not-weighted": lambda q, pi, alpha: (
            pi * q - np.log(np.where(pi > 0, pi, 1))
        ).sum(axis=1),
        "max plus H": lambda q, pi, alpha: q.max(axis=1) + alpha * h(pi),
        "changes q": lambda q, pi, alpha: np.multiply(q, pi, out=q).sum(axis=1) + alpha * h(pi),
    },
    "soft_bellman_backup": {
        "adds to an earlier result": into_first_result,
        "one action after the other": one_action_a_time,
        "state values": lambda q, P, R, pi, g, a: value(ahead(value(q, pi, a), P, R, g), pi, a),
        "γ = 0.9 by heart": lambda q, P, R, pi, g, a: ahead(value(q, pi, a), P, R, 0.9),
        "α = 0.5 by heart": lambda q, P, R, pi, g, a: ahead(value(q, pi, 0.5), P, R, g),
        "twice": lambda q, P, R, pi, g, a: ahead(
            value(ahead(value(q, pi, a), P, R, g), pi, a), P, R, g
        ),
        "half a step": lambda q, P, R, pi, g, a: (q + ahead(value(q, pi, a), P, R, g)) / 2,
        "γ² for the bonus": lambda q, P, R, pi, g, a: ahead(value(q, pi, a * g), P, R, g),
        "log A for H": backup_with(lambda q, pi, a: (pi * q).sum(axis=1) + a * np.log(q.shape[1])),
        "bits": backup_with(lambda q, pi, a: (pi * q).sum(axis=1) + a * h(pi) / np.log(2)),
        "1e-8 added to p": backup_with(lambda q, pi, a: (pi * (q - a * np.log(pi + 1e-8))).sum(axis=1)),
        "mean over actions": backup_with(lambda q, pi, a: (pi * (q - a * np.log(pi + 1e-300))).mean(axis=1)),
        "the reward under π": lambda q, P, R, pi, g, a: ahead(
            value(q, pi, a), P, np.repeat((pi * R).sum(axis=1)[:, None], R.shape[1], axis=1), g
        ),
        "α on the reward": lambda q, P, R, pi, g, a: ahead(value(q, pi, a), P, R * a, g),
        "reward over α": lambda q, P, R, pi, g, a: ahead(value(q, pi, 1.0), P, R / max(a, 1e-12), g),
        "sign + no-temperature": backup_with(lambda q, pi, a: (pi * q).sum(axis=1) - h(pi)),
        "no-gamma + sign": lambda q, P, R, pi, g, a: ahead(value(q, pi, -a), P, R, 1.0),
        "backup minus q": lambda q, P, R, pi, g, a: ahead(value(q, pi, a), P, R, g) - q,
        "float32": lambda q, P, R, pi, g, a: ahead(value(q, pi, a), P, R, g).astype(np.float32),
        "H in the column": lambda q, P, R, pi, g, a: R
        + g * np.einsum("sat,t->sa", P, (pi * q).sum(axis=1)) + g * a * h(pi).mean(),
    },
    "soft_policy_evaluation": {
        "the soft-optimal one backup on": lambda P, R, pi, g, a: ahead(
            value(solved(P, R, softmax(R, axis=1), g, a), pi, a), P, R, g
        ),
        "bits": solved_with(bonus=lambda pi: h(pi) / np.log(2)),
        "log A": solved_with(bonus=lambda pi: np.full(len(pi), np.log(pi.shape[1]))),
        "mean entropy": solved_with(bonus=lambda pi: np.full(len(pi), h(pi).mean())),
        "(1 − γ)": solved_with(reward=lambda R, g: (1 - g) * R),
        "rounded": solved_with(last=lambda q: q.round(6)),
        "float32": solved_with(last=lambda q: q.astype(np.float32)),
        "a list": solved_with(last=lambda q: q.tolist()),
        "transposed": solved_with(last=lambda q: q.T.copy()),
        "300 backups": lambda P, R, pi, g, a: reduce(
            lambda q, _: ahead(value(q, pi, a), P, R, g), range(300), np.zeros(R.shape)
        ),
        "√α": lambda P, R, pi, g, a: solved(P, R, pi, g, np.sqrt(a)),
        "sign + no-temperature": lambda P, R, pi, g, a: solved(P, R, pi, g, -1.0),
        "α/γ": lambda P, R, pi, g, a: solved(P, R, pi, g, a / g if g else 0.0),
        "uniform policy": lambda P, R, pi, g, a: solved(P, R, np.full(R.shape, 1 / R.shape[1]), g, a),
        "γ = 0.9 by heart": lambda P, R, pi, g, a: solved(P, R, pi, 0.9, a),
        "bonus by (1 − γ)": lambda P, R, pi, g, a: solved(P, R, pi, g, 0.0) + g * a * h(pi).mean() / (1 - g),
        "np.allclose stops": lambda P, R, pi, g, a: loose(P, R, pi, g, a),
    },
    "soft_improvement": {
        "uniform": lambda q, a: np.full(q.shape, 1 / q.shape[1]),
        "clipped exponent": clipped_exponent,
        "a little uniform": lambda q, a: mixed(q, a, 1e-6),
        "float32": lambda q, a: softmax(q / a, axis=1).astype(np.float32),
        "1e-8 added to α": lambda q, a: softmax(q / (a + 1e-8), axis=1),
        "least α of 0.01": lambda q, a: softmax(q / max(a, 0.01), axis=1),
        "sign + times-alpha": lambda q, a: softmax(-q * a, axis=1),
        "square": lambda q, a: softmax(q / a**2, axis=1),
        "base 2": lambda q, a: softmax(q / a * np.log(2), axis=1),
        "in place": improved_at_once_and_in_place,
        "shares of q": lambda q, a: (q - q.min(axis=1, keepdims=True) + a)
        / (q - q.min(axis=1, keepdims=True) + a).sum(axis=1, keepdims=True),
        "over A": lambda q, a: softmax(q / a, axis=1) / q.shape[1],
        "weights of the values": lambda q, a: softmax(q / a, axis=1) * q,
        "1e-8 added to the sum": lambda q, a: (lambda w: w / (w.sum(axis=1, keepdims=True) + 1e-8))(
            np.exp((q - q.max(axis=1, keepdims=True)) / a)
        ),
        "soft value": lambda q, a: a * logsumexp(q / a, axis=1),
        "standardised": lambda q, a: softmax((q - q.mean()) / (q.std() + 1e-12) / a, axis=1),
        "a list": lambda q, a: softmax(q / a, axis=1).tolist(),
    },
    "leave_or_stay": {
        "threshold at α = c": left(limit=np.exp(-1) * 2),
        "never the infinite": left(limit=np.inf, v=lambda g, c, m, a, p: g),
        "a large number for inf": left(above=(1e308, 0.0)),
        "inf, and leaves": left(above=(np.inf, 1.0)),
        "nan, nan": left(above=(np.nan, np.nan)),
        "None above": left(above=(None, 0.0)),
        "gain lost above": left(above=(0.0, 0.0)),
        "α = 1 by heart": left(stay=lambda g, c, m, a: m * np.exp(-c), v=lambda g, c, m, a, p: g - np.log(p)),
        "bits": left(v=lambda g, c, m, a, p: g - a * np.log2(p)),
        "log of m": left(stay=lambda g, c, m, a: np.log(m) * np.exp(-c / a)),
        "c·m": left(stay=lambda g, c, m, a: np.exp(-c * m / a)),
        "e^{−c/α} once": left(stay=lambda g, c, m, a: m * np.exp(-c / a) / (1 + m * np.exp(-c / a))),
        "square of p": left(v=lambda g, c, m, a, p: g - 2 * a * np.log(p)),
        "mean number of rounds": left(p=lambda stay: 1 / (1 - stay)),
        "γ = 0.999": left(stay=lambda g, c, m, a: m * np.exp(-c / a) * 0.999),
        "a few rounds": lambda g, c, m, a: left(
            v=lambda g, c, m, a, p: g + a * np.log(sum((m * np.exp(-c / a)) ** n for n in range(5)))
        )(g, c, m, a),
        "minus the cost": left(v=lambda g, c, m, a, p: g - c - a * np.log(p)),
        "only the value": lambda *given: left()(*given)[0],
        "rounded": lambda *given: tuple(round(x, 6) for x in left()(*given)),
        "float32": lambda *given: np.array(left()(*given), dtype=np.float32),
    },
    "soft_policy_iteration": {
        "an alias": with_an_alias,
        "np.allclose": iterated(stop=lambda new, old, pi, old_pi, tol: np.allclose(new, old)),
        "np.allclose with atol": iterated(stop=lambda new, old, pi, old_pi, tol: np.allclose(new, old, atol=tol)),
        "relative": iterated(
            stop=lambda new, old, pi, old_pi, tol: np.abs(new - old).max() < tol * np.abs(old).max()
        ),
        "row means": iterated(
            stop=lambda new, old, pi, old_pi, tol: np.abs(new - old).mean(axis=1).max() < tol
        ),
        "largest values": iterated(stop=lambda new, old, pi, old_pi, tol: abs(new.max() - old.max()) < tol),
        "state values": iterated(
            stop=lambda new, old, pi, old_pi, tol: np.abs(new.max(axis=1) - old.max(axis=1)).max() < tol
        ),
        "one row": iterated(stop=lambda new, old, pi, old_pi, tol: np.abs(new[0] - old[0]).max() < tol),
        "ten rounds": iterated(stop=lambda *_: False, most=10),
        "three rounds": iterated(stop=lambda *_: False, most=3),
        "a random start": iterated(start=lambda R: np.random.default_rng(0).dirichlet(np.ones(R.shape[1]), len(R))),
        "annealed α": iterated(improve=lambda q, a: softmax(q / (a + 1e-3), axis=1)),
        "ε-soft": iterated(improve=lambda q, a: mixed(q, a, 1e-3)),
        "policy-settled + first-round-not-counted": iterated(
            stop=lambda new, old, pi, old_pi, tol: (pi.argmax(axis=1) == old_pi.argmax(axis=1)).all(),
            result=lambda pi, q, n: (pi, q, n - 1),
        ),
        "v for q": iterated(result=lambda pi, q, n: (pi, (pi * q).sum(axis=1), n)),
        "log π": iterated(result=lambda pi, q, n: (np.log(pi + 1e-300), q, n)),
        "order": iterated(result=lambda pi, q, n: (q, pi, n)),
        "a float count": iterated(result=lambda pi, q, n: (pi, q, float(n))),
        "greedy at the end": iterated(result=lambda pi, q, n: (np.eye(pi.shape[1])[q.argmax(axis=1)], q, n)),
        "α as reward scale": iterated(evaluate=lambda P, R, pi, g, a: solved(P, R / a, pi, g, 1.0)),
        "bonus a step early": iterated(evaluate=lambda P, R, pi, g, a: solved(P, R, pi, g, a / g if g else 0.0)),
        "damped": iterated(improve=lambda q, a: 0.5 * softmax(q / a, axis=1) + 0.5 * softmax(q / (2 * a), axis=1)),
    },
}  # fmt: skip


def loose(P, R, pi, gamma, alpha):
    q = np.zeros(R.shape)
    while True:
        new = ahead(value(q, pi, alpha), P, R, gamma)
        if np.allclose(new, q):
            return new
        q = new


# ------------------------------------------------------------------------------------------- right ones

RIGHT = {
    "entropy": {
        "scipy's entr": lambda p: entr(p).sum(axis=-1),
        "scipy's xlogy": lambda p: -xlogy(p, p).sum(axis=-1),
        "lists": tree_of_logs,
        "from uniform": lambda p: np.log(p.shape[-1]) - xlogy(p, p * p.shape[-1]).sum(axis=-1),
        "nan_to_num on each": lambda p: -np.nansum(p * np.log(p), axis=-1),
        "log(p + 1e-300)": lambda p: -(p * np.log(p + 1e-300)).sum(axis=-1),
        "log of the inverse": lambda p: (p * np.log(1 / np.where(p > 0, p, 1))).sum(axis=-1),
        "base 2 and back": lambda p: -np.log(2) * (p * np.log2(np.where(p > 0, p, 1))).sum(axis=-1),
    },
    "soft_value": {
        "nansum": lambda q, pi, alpha: np.nansum(pi * q - alpha * pi * np.log(pi), axis=1),
        "xlogy": lambda q, pi, alpha: (pi * q - alpha * xlogy(pi, pi)).sum(axis=1),
        "einsum": lambda q, pi, alpha: np.einsum("sa,sa->s", pi, q + alpha * -np.log(np.where(pi > 0, pi, 1))),
        "rows": lambda q, pi, alpha: np.array([p @ x + alpha * h(p) for p, x in zip(pi, q, strict=True)]),
    },
    "soft_bellman_backup": {
        "four dimensions": lambda q, P, R, pi, g, a: (
            P[..., None] * (R[..., None, None] + g * (q + a * -np.log(np.where(pi > 0, pi, 1)))) * pi
        ).sum(axis=(2, 3)),
        "tensordot": lambda q, P, R, pi, g, a: R + g * np.tensordot(P, value(q, pi, a), 1),
        "reward and bonus apart": lambda q, P, R, pi, g, a: (R + g * a * P @ h(pi)) + g * P @ (pi * q).sum(axis=1),
    },
    "soft_policy_evaluation": {
        "powers doubled": walked_back,
        "lstsq": lambda P, R, pi, g, a: ahead(
            np.linalg.lstsq(
                np.eye(len(R)) - g * np.einsum("sa,sat->st", pi, P), (pi * R).sum(axis=1) + a * h(pi), rcond=None
            )[0], P, R, g,
        ),
        "5000 backups": lambda P, R, pi, g, a: reduce(
            lambda q, _: ahead(value(q, pi, a), P, R, g), range(5000), R
        ),
    },
    "soft_improvement": {
        "scipy": lambda q, a: softmax(q / a, axis=1),
        "log-sum-exp": lambda q, a: np.exp(q / a - logsumexp(q / a, axis=1, keepdims=True)),
        "transposed twice": lambda q, a: softmax(q.T / a, axis=0).T.copy(),
        "sorted": lambda q, a: (lambda w: w / w.sum(axis=1)[:, None])(
            np.exp(q / a - np.sort(q / a, axis=1)[:, -1:])
        ),
        "a view transposed": lambda q, a: softmax(q.T / a, axis=0).T,
    },
    "leave_or_stay": {
        "bisection": by_newton,
        "a list": lambda *given: list(left()(*given)),
        "NumPy floats": lambda *given: tuple(np.float64(x) for x in left()(*given)),
        "the threshold first": lambda g, c, m, a: (
            (math.inf, 0.0) if m > 1 and a >= c / math.log(m) else left()(g, c, m, a)
        ),
        "an integer 0": left(above=(float("inf"), 0)),
        "0-d arrays": lambda *given: tuple(np.asarray(x) for x in left()(*given)),
    },
    "soft_policy_iteration": {
        "log π kept": anderson_free,
        "powers doubled": iterated(evaluate=walked_back),
        "or equal": iterated(stop=lambda new, old, pi, old_pi, tol: np.abs(new - old).max() <= tol),
        "no absolute value: Q never falls": iterated(stop=lambda new, old, pi, old_pi, tol: (new - old).max() < tol),
        "all": iterated(stop=lambda new, old, pi, old_pi, tol: bool((np.abs(new - old) < tol).all())),
        "an int of NumPy": iterated(result=lambda pi, q, n: (pi, q, np.int64(n))),
    },
}  # fmt: skip

NAMED = {
    "entropy": {
        "zero-log-zero/nan_to_num of the sum": lambda p: np.nan_to_num(-np.sum(p * np.log(p), axis=-1)),
        "epsilon-inside/1e-8 in one line": lambda p: -(p * np.log(p + 1e-8)).sum(axis=-1),
        "sign/xlogy": lambda p: xlogy(p, p).sum(axis=-1),
        "other-base/log2 by quotient": lambda p: h(p) / np.log(2),
        "rescaled/perplexity": lambda p: np.exp(h(p)),
    },
    "soft_value": {
        "sign/minus α H": lambda q, pi, a: (pi * q).sum(axis=1) - a * h(pi),
        "hard-or-log-sum-exp/scipy": lambda q, pi, a: a * logsumexp(q / a, axis=1),
        "no-entropy/einsum": lambda q, pi, a: np.einsum("sa,sa->s", q, pi),
    },
    "soft_bellman_backup": {
        "entropy-not-discounted/two terms": lambda q, P, R, pi, g, a: R
        + a * P @ h(pi) + g * P @ (pi * q).sum(axis=1),
        "first-step-entropy/own bonus": lambda q, P, R, pi, g, a: ahead(value(q, pi, a), P, R, g)
        + a * h(pi)[:, None],
        "entropy-of-this-state/own": lambda q, P, R, pi, g, a: R
        + g * (P @ (pi * q).sum(axis=1) + a * h(pi)[:, None]),
        "no-gamma/anywhere": lambda q, P, R, pi, g, a: ahead(value(q, pi, a), P, R, 1.0),
        "gamma-on-reward/all": lambda q, P, R, pi, g, a: g * ahead(value(q, pi, a), P, R, 1.0),
        "optimal-backup/scipy": lambda q, P, R, pi, g, a: R + g * P @ (a * logsumexp(q / a, axis=1)),
    },
    "soft_policy_evaluation": {
        "gamma-free-reward/by backups": lambda P, R, pi, g, a: reduce(
            lambda q, _: R + a * P @ h(pi) + g * P @ (pi * q).sum(axis=1), range(4000), R
        ),
        "no-entropy/α = 0": lambda P, R, pi, g, a: solved(P, R, pi, g, 0.0),
        "bonus-once/in Q": lambda P, R, pi, g, a: ahead(
            (pi * solved(P, R, pi, g, 0.0)).sum(axis=1) + a * h(pi), P, R, g
        ),
        "too-few-backups/until 1e-6": lambda P, R, pi, g, a: solved(P, R, pi, g, a) * 0
        + until(P, R, pi, g, a, 1e-6),
    },
    "soft_improvement": {
        "times-alpha/scipy": lambda q, a: softmax(q * a, axis=1),
        "no-temperature/scipy": lambda q, a: softmax(q, axis=1),
        "wrong-axis/scipy": lambda q, a: softmax(q / a, axis=0),
        "sign/scipy": lambda q, a: softmax(-q / a, axis=1),
        "overflow/exp": lambda q, a: np.exp(q / a) / np.exp(q / a).sum(axis=1, keepdims=True),
    },
    "leave_or_stay": {
        "no-threshold/NaN": lambda g, c, m, a: (
            (np.nan if m * np.exp(-c / a) >= 1 else g - a * np.log(1 - m * np.exp(-c / a))),
            1 - m * np.exp(-c / a),
        ),
        "one-way-to-stay/math": lambda g, c, m, a: (
            g - a * math.log(1 - math.exp(-c / a)), 1 - math.exp(-c / a)
        ),
        "sign/plus": left(v=lambda g, c, m, a, p: g + a * np.log(p)),
        "results-exchanged/tuple": lambda *given: left()(*given)[::-1],
        "sign/an array": lambda *given: np.array(left(v=lambda g, c, m, a, p: g + a * np.log(p))(*given)),
    },
    "soft_policy_iteration": {
        "policy-settled/argmax": iterated(
            stop=lambda new, old, pi, old_pi, tol: (pi.argmax(axis=1) == old_pi.argmax(axis=1)).all()
        ),
        "mean-or-signed-change/mean": iterated(stop=lambda new, old, pi, old_pi, tol: np.abs(new - old).mean() < tol),
        "greedy-improvement/one-hot": iterated(improve=lambda q, a: np.eye(q.shape[1])[q.argmax(axis=1)], most=200),
        "stale-values/improved once more": lambda P, R, g, a, tol: (
            lambda pi, q, n: (softmax(q / a, axis=1), q, n)
        )(*iterated()(P, R, g, a, tol)),
        "first-round-not-counted/n − 1": iterated(result=lambda pi, q, n: (pi, q, n - 1)),
        "one-improvement/two rounds": iterated(most=2),
    },
}  # fmt: skip


def until(P, R, pi, gamma, alpha, tolerance):
    q, moved = np.zeros(R.shape), np.inf
    while moved > tolerance:
        q, old = ahead(value(q, pi, alpha), P, R, gamma), q
        moved = np.abs(q - old).max()
    return q
