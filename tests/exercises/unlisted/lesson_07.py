"""Lesson 07's exercises, answered by the contract alone."""

import itertools

import numpy as np


def cells_of(obs, low, high, n, K, floor=np.floor):
    box = np.asarray(high) - np.asarray(low)
    inside = np.minimum(np.maximum(obs, low), high)
    return [floor(n * ((inside - low) / box) + k / K).astype(int) for k in range(K)]


def tiles(index, **how):
    def answer(obs, low, high, n, K):
        cells = cells_of(obs, low, high, n, K, **how)
        columns = [index(k, c, n, K) for k, c in enumerate(cells)]
        return np.stack(columns, axis=1) if columns else np.zeros((len(obs), 0), dtype=int)

    return answer


def horner(k, c, n, K, start=None, side=1):
    total = np.full(len(c), k if start is None else start)
    for column in c.T:
        total = total * (n + side) + column
    return total


def by_hashing(obs, low, high, n, K):
    """Indices handed out in the order in which tiles are met: one for each tile, but not the one asked for."""
    known = {}
    rows = zip(*cells_of(obs, low, high, n, K), strict=True)
    return np.array(
        [[known.setdefault((k, *c), len(known)) for k, c in enumerate(row)] for row in rows]
    ).reshape(len(obs), K)


def blocks_with(fill):
    def answer(x, action, n):
        out = np.zeros((len(x), n * x.shape[1]))
        for row, (features, a) in enumerate(zip(x, action, strict=True)):
            fill(out[row].reshape(n, -1), features, int(a))
        return out

    return answer


def own_block(block, x, a):
    block[a] = x


def sarsa(
    target=lambda w, x, y, b, r, d, g: r + g * (not d) * (w[b] @ y),
    change=lambda delta, x, y, alpha: alpha * delta * x,
    row=lambda a, b: a,
    told=lambda w: w,
):
    def answer(w, x, a, r, y, b, d, g, alpha):
        new = np.array(w)
        delta = target(w, x, y, b, r, d, g) - w[a] @ x
        new[row(a, b)] = w[row(a, b)] + change(delta, x, y, alpha)
        return told(new)

    return answer


def normal(x, v, add=0.0):
    return np.linalg.solve(x.T @ x + add * np.eye(x.shape[1]), x.T @ v)


def matrix(x, P, d, g):
    return sum(
        d[s] * np.outer(x[s], x[s] - g * sum(P[s, t] * x[t] for t in range(len(P))))
        for s in range(len(P))
    )


def steps(of, A=matrix):
    return lambda x, P, d, g: float(of(np.linalg.eigvals(A(x, P, d, g))))


def square_out(lam):
    worst = min(2 * z.real / (z * z.conjugate()).real for z in lam)
    return max(worst, 0.0)


def stable(A, alpha):
    return np.abs(np.linalg.eigvals(np.eye(len(A)) - alpha * A)).max() < 1


def by_search(x, P, d, g):
    """The spectral radius itself, halved down to the border."""
    A = matrix(x, P, d, g)
    low, high = 1e-7, 1e5
    if not stable(A, low):
        return 0.0
    for _ in range(100):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if stable(A, middle) else (low, middle)
    return float(low)


def by_grid(x, P, d, g):
    """The largest of a thousand step sizes that works."""
    A = matrix(x, P, d, g)
    return float(max([a for a in np.geomspace(1e-3, 1e3, 1_000) if stable(A, a)], default=0.0))


def fitted(
    label=lambda r, g, d, q, a: r + g * (1 - np.asarray(d, dtype=float)) * q.max(axis=1),
    solve=lambda x, y: np.linalg.pinv(x) @ y,
    rounds=lambda n: n,
    start=0.0,
    end=lambda w: w,
):
    def answer(batch, features, n_actions, gamma, iterations):
        w = np.full((n_actions, features(batch.obs).shape[1]), start)
        for _ in range(rounds(iterations)):
            q = features(batch.next_obs) @ w.T
            y = label(batch.reward, gamma, batch.terminated, q, batch.action)
            new = np.full_like(w, start)
            for a in set(batch.action.tolist()):
                mine = np.flatnonzero(batch.action == a)
                new[a] = solve(features(batch.obs[mine]), y[mine])
            w = new
        return end(w)

    return answer


def alive(d):
    return 1 - np.asarray(d, dtype=float)


def in_halves(batch, features, n_actions, gamma, iterations):
    """Gauss's elimination for tables only: a mean for every feature."""
    w = np.zeros((n_actions, features(batch.obs).shape[1]))
    x = features(batch.obs)
    for _ in range(iterations):
        y = batch.reward + gamma * alive(batch.terminated) * (features(batch.next_obs) @ w.T).max(1)
        for a in range(n_actions):
            mine = x[batch.action == a]
            w[a] = mine.T @ y[batch.action == a] / np.maximum((mine**2).sum(0), 1e-9)
    return w


def stops_when_settled(batch, features, n_actions, gamma, iterations):
    before, k = None, 0
    while k < iterations:
        k += 1
        now = fitted()(batch, features, n_actions, gamma, k)
        if before is not None and np.abs(now - before).max() < 1.0:
            return now
        before = now
    return fitted()(batch, features, n_actions, gamma, iterations)


RIGHT = {
    "tile_indices": {
        "Horner": tiles(horner),
        "int8 to int64": lambda *g: tiles(horner)(*g).astype(np.int64),
        "floor division": lambda o, lo, hi, n, K: tiles(
            horner, floor=lambda u: np.floor_divide(u, 1.0)
        )(o, lo, hi, n, K),
        "ravel_multi_index": tiles(
            lambda k, c, n, K: np.ravel_multi_index(
                (np.full(len(c), k), *c.T), (K, *[n + 1] * c.shape[1])
            )
        ),
        "meshgrid": tiles(
            lambda k, c, n, K: (
                k * (n + 1) ** c.shape[1]
                + sum(column * (n + 1) ** power for power, column in enumerate(reversed(list(c.T))))
            )
        ),
    },
    "state_action_features": {
        "kron": lambda x, a, n: np.array(
            [np.kron(np.eye(n)[b], row) for row, b in zip(x, a, strict=True)]
        ).reshape(len(x), n * x.shape[1]),
        "loop": blocks_with(own_block),
        "tile and mask": lambda x, a, n: (
            np.tile(x, (1, n)) * (np.arange(n * x.shape[1]) // x.shape[1] == a[:, None])
        ),
    },
    "semi_gradient_sarsa_update": {
        "loop": sarsa(),
        "matrix": lambda w, x, a, r, y, b, d, g, alpha: np.array(
            [
                row
                + alpha * (a == k) * (r + (0 if d else g * np.dot(w[b], y)) - np.dot(row, x)) * x
                for k, row in enumerate(w)
            ]
        ),
        "shares": lambda w, x, a, r, y, b, d, g, alpha: (
            w + alpha * np.eye(len(w))[:, [a]] * ((r + g * (1.0 - d) * (w @ y)[b]) - (w @ x)[a]) * x
        ),
    },
    "least_squares_values": {
        "pinv": lambda x, v: v @ np.linalg.pinv(x).T,
        "limit of ridges": lambda x, v: x.T @ np.linalg.pinv(x @ x.T, rcond=1e-11) @ v,
        "hermitian": lambda x, v: np.linalg.pinv(x.T @ x, hermitian=True, rcond=1e-11) @ x.T @ v,
    },
    "largest_step_size": {
        "loop": steps(square_out),
        "search": by_search,
        "zero-dimensional": lambda *g: np.array(steps(square_out)(*g)),
    },
    "fitted_q_iteration": {
        "loop": fitted(),
        "where": fitted(
            label=lambda r, g, d, q, a: np.where(d, r, r + g * np.sort(q, axis=1)[:, -1])
        ),
        "svd": fitted(
            solve=lambda x, y: np.linalg.lstsq(x, y[:, None], rcond=1e-11)[0].ravel(),
        ),
        "recursive": lambda batch, f, n, g, k: (
            fitted()(batch, f, n, g, k) if k else np.zeros((n, f(batch.obs).shape[1]))
        ),
    },
}

WRONG = {
    "tile_indices": {
        "zeros": lambda o, lo, hi, n, K: np.zeros((len(o), K), dtype=int),
        "the tiling's number": lambda o, lo, hi, n, K: np.tile(np.arange(K), (len(o), 1)),
        "floats": lambda *g: tiles(horner)(*g).astype(float),
        "transposed": lambda *g: tiles(horner)(*g).T,
        "hashed": by_hashing,
        "odd displacements": lambda o, lo, hi, n, K: np.stack(
            [
                horner(
                    k,
                    np.floor(
                        n * (np.clip(o, lo, hi) - lo) / (hi - lo)
                        + (k * (2 * np.arange(o.shape[1]) + 1) / K) % 1
                    ).astype(int),
                    n,
                    K,
                )
                for k in range(K)
            ],
            axis=1,
        ),
        "cells wrapped": tiles(lambda k, c, n, K: horner(k, c % n, n, K)),
        "cells cut at n - 1": tiles(lambda k, c, n, K: horner(k, np.minimum(c, n - 1), n, K)),
        "one dimension only": tiles(lambda k, c, n, K: k * (n + 1) ** c.shape[1] + c[:, 0]),
        "two dimensions only": tiles(
            lambda k, c, n, K: k * (n + 1) ** 2 + c[:, 0] * (n + 1) + c[:, -1]
        ),
        "sum of cells": tiles(lambda k, c, n, K: k * (n + 1) ** c.shape[1] + c.sum(axis=1)),
        "blocks of n^D": tiles(lambda k, c, n, K: k * n ** c.shape[1] + horner(0, c, n, K)),
        "eight tiles": lambda o, lo, hi, n, K: tiles(horner)(o, lo, hi, 8, K),
        "eight tilings": lambda o, lo, hi, n, K: tiles(horner)(o, lo, hi, n, 8)[:, :K],
        "from 1 on": lambda *g: tiles(horner)(*g) + 1,
        "one-hot": lambda o, lo, hi, n, K: np.eye(K * (n + 1) ** o.shape[1])[
            tiles(horner)(o, lo, hi, n, K)
        ].sum(axis=1),
        "low forgotten": lambda o, lo, hi, n, K: tiles(horner)(o - lo, 0 * lo, hi, n, K),
        "absolute values": lambda o, lo, hi, n, K: tiles(horner)(np.abs(o), lo, hi, n, K),
    },
    "state_action_features": {
        "zeros": lambda x, a, n: np.zeros((len(x), n * x.shape[1])),
        "ones in the block": blocks_with(lambda block, x, a: block.__setitem__(a, 1.0)),
        "one-hot alone": lambda x, a, n: np.eye(n)[a],
        "first row for all": lambda x, a, n: blocks_with(own_block)(
            np.repeat(x[:1], len(x), axis=0), a, n
        ),
        "square only": lambda x, a, n: (
            np.einsum("na,na->na", np.eye(n)[a], x) if x.shape[1] == n else x
        ),
        "blocks reversed": blocks_with(
            lambda block, x, a: block.__setitem__(len(block) - 1 - a, x)
        ),
        "features reversed": blocks_with(lambda block, x, a: block.__setitem__(a, x[::-1])),
        "x minus": blocks_with(lambda block, x, a: block.__setitem__(a, -x)),
        "this and later blocks": blocks_with(
            lambda block, x, a: block.__setitem__(slice(a, None), x)
        ),
        "all but this": blocks_with(
            lambda block, x, a: block.__setitem__(np.arange(len(block)) != a, x)
        ),
        "float32": lambda x, a, n: blocks_with(own_block)(x, a, n).astype(np.float32),
        "list": lambda x, a, n: blocks_with(own_block)(x, a, n).tolist(),
    },
    "semi_gradient_sarsa_update": {
        "nothing learned": lambda w, *_: w.copy(),
        "squared step": sarsa(change=lambda delta, x, y, alpha: alpha**2 * delta * x),
        "factor two": sarsa(change=lambda delta, x, y, alpha: 2 * alpha * delta * x),
        "halved": sarsa(change=lambda delta, x, y, alpha: alpha * delta * x / 2),
        "per feature": sarsa(change=lambda delta, x, y, alpha: alpha / len(x) * delta * x),
        "normalised": sarsa(change=lambda delta, x, y, alpha: alpha * delta * x / (x @ x)),
        "sign of the error": sarsa(change=lambda delta, x, y, alpha: alpha * np.sign(delta) * x),
        "error clipped": sarsa(change=lambda delta, x, y, alpha: alpha * np.clip(delta, -1, 1) * x),
        "binary features": sarsa(change=lambda delta, x, y, alpha: alpha * delta * (x > 0)),
        "absolute features": sarsa(change=lambda delta, x, y, alpha: alpha * delta * np.abs(x)),
        "minimum": sarsa(lambda w, x, y, b, r, d, g: r + g * (not d) * (w @ y).min()),
        "sum of actions": sarsa(lambda w, x, y, b, r, d, g: r + g * (not d) * (w @ y).sum()),
        "γ twice": sarsa(lambda w, x, y, b, r, d, g: r + g * g * (not d) * (w[b] @ y)),
        "reward −1": sarsa(lambda w, x, y, b, r, d, g: -1 + g * (not d) * (w[b] @ y)),
        "value never above 0": sarsa(
            lambda w, x, y, b, r, d, g: r + g * (not d) * min(w[b] @ y, 0.0)
        ),
        "d is True": sarsa(lambda w, x, y, b, r, d, g: r + g * (d is not True) * (w[b] @ y)),
        "whole numbers": sarsa(told=lambda w: np.round(w)),
        "flat": sarsa(told=np.ravel),
        "the row alone": lambda w, x, a, *rest: sarsa()(w, x, a, *rest)[a],
        "last row": sarsa(row=lambda a, b: -1),
    },
    "least_squares_values": {
        "zeros": lambda x, v: np.zeros(x.shape[1]),
        "means": lambda x, v: np.full(x.shape[1], v.mean()),
        "rows first": lambda x, v: np.linalg.lstsq(x[: x.shape[1]], v[: x.shape[1]], rcond=None)[0],
        "cut off too early": lambda x, v: np.linalg.pinv(x, rcond=0.3) @ v,
        "least absolute": lambda x, v: np.linalg.lstsq(
            x / np.sqrt(np.abs(v) + 1e-3)[:, None], v / np.sqrt(np.abs(v) + 1e-3), rcond=None
        )[0],
        "not negative": lambda x, v: np.maximum(np.linalg.lstsq(x, v, rcond=None)[0], 0.0),
        "sign": lambda x, v: -np.linalg.lstsq(x, v, rcond=None)[0],
        "column": lambda x, v: np.linalg.lstsq(x, v[:, None], rcond=None)[0],
        "some gradient steps": lambda x, v: (
            sum(
                (np.linalg.matrix_power(np.eye(x.shape[1]) - 0.01 * x.T @ x, k) for k in range(50)),
                np.zeros((x.shape[1], x.shape[1])),
            )
            @ (0.01 * x.T @ v)
        ),
        "float32": lambda x, v: np.linalg.lstsq(x, v, rcond=None)[0].astype(np.float32),
        "features scaled": lambda x, v: np.linalg.lstsq(
            x / (np.abs(x).max(0) + 1e-9), v, rcond=None
        )[0],
        "small ridge": lambda x, v: normal(x, v, 1e-4),
    },
    "largest_step_size": {
        "one": lambda *g: 1.0,
        "two": lambda *g: 2.0,
        "zero": lambda *g: 0.0,
        "of the trace": lambda x, P, d, g: 2 / abs(np.trace(matrix(x, P, d, g))),
        "of the norm": lambda x, P, d, g: 2 / np.linalg.norm(matrix(x, P, d, g)),
        "of the spectral norm": lambda x, P, d, g: 2 / np.linalg.norm(matrix(x, P, d, g), 2),
        "one over the largest": steps(lambda lam: max(0.0, 1 / np.abs(lam).max())),
        "without A's square": steps(lambda lam: max(0.0, (2 * lam.real / np.abs(lam)).min())),
        "real part squared": steps(lambda lam: max(0.0, (2 * lam.real / lam.real**2).min())),
        "determinant": lambda x, P, d, g: max(0.0, 2 / np.linalg.det(matrix(x, P, d, g))),
        "of I − γP": lambda x, P, d, g: square_out(np.linalg.eigvals(np.eye(len(P)) - g * P)),
        "a table's": lambda x, P, d, g: square_out(
            np.linalg.eigvals(np.diag(d) @ (np.eye(len(P)) - g * P))
        ),
        "of a grid": by_grid,
        "sum of squares": steps(
            lambda lam: max(0.0, (2 * lam.real / np.abs(lam) ** 2).mean()),
        ),
        "infinite if none": steps(
            lambda lam: square_out(lam) or np.inf,
        ),
        "complex": lambda x, P, d, g: 2 / np.linalg.eigvals(matrix(x, P, d, g))[0],
        "a bit less": lambda *g: 0.999 * steps(square_out)(*g),
        "1 − γ": lambda x, P, d, g: (1 - g) * steps(square_out)(x, P, d, g),
        "d squared": steps(square_out, lambda x, P, d, g: matrix(x, P, d**2, g)),
        "largest d for all": steps(square_out, lambda x, P, d, g: matrix(x, P, 0 * d + d.max(), g)),
        "γ halved": steps(square_out, lambda x, P, d, g: matrix(x, P, d, g / 2)),
    },
    "fitted_q_iteration": {
        "zeros": lambda b, f, n, g, k: np.zeros((n, f(b.obs).shape[1])),
        "a mean for every feature": in_halves,
        "stops when settled": stops_when_settled,
        "at most two rounds": fitted(rounds=lambda n: min(n, 2)),
        "always one round": fitted(rounds=lambda n: 1),
        "γ twice": fitted(lambda r, g, d, q, a: r + g * g * alive(d) * q.max(axis=1)),
        "γ⁰ in the first": fitted(lambda r, g, d, q, a: r + alive(d) * q.max(axis=1)),
        "values never above 0": fitted(
            lambda r, g, d, q, a: r + g * alive(d) * np.minimum(q.max(axis=1), 0.0)
        ),
        "softmax": fitted(lambda r, g, d, q, a: r + g * alive(d) * np.log(np.exp(q).sum(axis=1))),
        "second best": fitted(
            lambda r, g, d, q, a: r + g * alive(d) * np.sort(q, axis=1)[:, -2:][:, 0]
        ),
        "median": fitted(lambda r, g, d, q, a: r + g * alive(d) * np.median(q, axis=1)),
        "action 0": fitted(lambda r, g, d, q, a: r + g * alive(d) * q[:, 0]),
        "column maxima": fitted(
            lambda r, g, d, q, a: r + g * alive(d) * np.resize(q.max(axis=0), len(r))
        ),
        "labels clipped": fitted(
            lambda r, g, d, q, a: np.clip(r + g * alive(d) * q.max(axis=1), -1, 1)
        ),
        "small ridge": fitted(solve=lambda x, y: normal(x, y, 1e-5)),
        "half way": fitted(solve=lambda x, y: np.linalg.pinv(x) @ y / 2),
        "rounded": fitted(end=lambda w: np.round(w, 3)),
        "flat": fitted(end=np.ravel),
        "mean of the actions": fitted(end=lambda w: 0 * w + w.mean(axis=0)),
        "list": fitted(end=list),
        "float32": fitted(end=lambda w: w.astype(np.float32)),
    },
}

NAMED = {
    "tile_indices": {
        "same-tiling/Horner": lambda o, lo, hi, n, K: np.stack(
            [horner(k, cells_of(o, lo, hi, n, K)[0], n, K) for k in range(K)], axis=1
        ),
        "shared-weights/Horner": tiles(lambda k, c, n, K: horner(0, c, n, K)),
        "side-too-short/Horner": tiles(lambda k, c, n, K: horner(k, c, n, K, side=0)),
        "rounds/round": tiles(horner, floor=np.round),
        "last-dimension-slowest/Horner": tiles(lambda k, c, n, K: horner(k, c[:, ::-1], n, K)),
    },
    "state_action_features": {
        "interleaved/transposed": lambda x, a, n: np.array(
            [np.kron(row, np.eye(n)[b]) for row, b in zip(x, a, strict=True)]
        ).reshape(len(x), n * x.shape[1]),
        "every-block/tile": lambda x, a, n: np.tile(x, (1, n)),
        "action-as-number/column": lambda x, a, n: np.c_[x, a],
    },
    "semi_gradient_sarsa_update": {
        "max/loop": sarsa(lambda w, x, y, b, r, d, g: r + g * (not d) * max(w @ y)),
        "terminal-bootstrap/loop": sarsa(lambda w, x, y, b, r, d, g: r + g * (w[b] @ y)),
        "no-gamma/loop": sarsa(lambda w, x, y, b, r, d, g: r + (not d) * (w[b] @ y)),
        "masks-reward/loop": sarsa(lambda w, x, y, b, r, d, g: (not d) * (r + g * (w[b] @ y))),
        "next-row/loop": sarsa(row=lambda a, b: b),
        "wrong-gradient/loop": sarsa(change=lambda delta, x, y, alpha: alpha * delta * y),
        "no-step-size/loop": sarsa(change=lambda delta, x, y, alpha: delta * x),
    },
    "least_squares_values": {
        "singular/cholesky": lambda x, v: np.linalg.solve(np.einsum("ni,nj", x, x), v @ x),
        "fitted-values/product": lambda x, v: x @ (np.linalg.pinv(x) @ v),
        "not-inverted/sum": lambda x, v: sum(b * a for a, b in zip(x, v, strict=True)),
        "ridge/one": lambda x, v: normal(x, v, 1.0),
    },
    "largest_step_size": {
        "magnitude-only/loop": steps(
            lambda lam: 0.0 if lam.real.min() <= 0 else 2 / np.abs(lam).max()
        ),
        "real-part-only/loop": steps(
            lambda lam: 0.0 if lam.real.min() <= 0 else 2 / lam.real.max()
        ),
        "one-for-two/loop": steps(lambda lam: square_out(lam) / 2),
        "weights-forgotten/loop": steps(
            square_out, lambda x, P, d, g: matrix(x, P, np.ones(len(d)), g)
        ),
        "transposed/loop": steps(square_out, lambda x, P, d, g: matrix(x, P.T, d, g)),
        "no-gamma/loop": steps(square_out, lambda x, P, d, g: matrix(x, P, d, 1.0)),
        "negative-step/loop": steps(lambda lam: (2 * lam.real / np.abs(lam) ** 2).min()),
    },
    "fitted_q_iteration": {
        "mean-over-actions/loop": fitted(
            lambda r, g, d, q, a: r + g * alive(d) * q.mean(axis=1)
        ),
        "terminal-bootstrap/loop": fitted(lambda r, g, d, q, a: r + g * q.max(axis=1)),
        "current-action-value/loop": fitted(
            lambda r, g, d, q, a: r + g * alive(d) * q[np.arange(len(r)), a]
        ),
        "off-by-one/loop": fitted(rounds=lambda n: n + 1),
        "argmax/loop": fitted(lambda r, g, d, q, a: r + g * alive(d) * q.argmax(axis=1)),
        "never-below-zero/loop": fitted(
            lambda r, g, d, q, a: r + g * alive(d) * np.maximum(q.max(axis=1), 0)
        ),
        "transposed/loop": fitted(end=lambda w: w.T),
    },
}  # fmt: skip

_TARGETS = {
    "max": lambda w, y, b: (w @ y).max(),
    "same": lambda w, y, b: w[b] @ y,
}
for (value, pick), gamma in itertools.product(_TARGETS.items(), (False, True)):
    if value == "max":  # two known mistakes at once
        first = "max + terminal-bootstrap" if gamma else "max + no-gamma"
        WRONG["semi_gradient_sarsa_update"][first] = sarsa(
            lambda w, x, y, b, r, d, g, pick=pick, gamma=gamma: (
                r + g * pick(w, y, b) if gamma else r + (not d) * pick(w, y, b)
            )
        )
