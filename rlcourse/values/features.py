"""Features for linear values: v̂(s; w) = x(s)ᵀw (lessons 06 and 07). Batch first, float64.

Differences from the book: the bases are in one dimension; tilings are displaced equally along the
diagonal and are not hashed (S&B §9.5.4 prefers displacements by odd numbers, to avoid diagonal stripes).
"""

from __future__ import annotations

import numpy as np


def basis_features(s, order, basis) -> np.ndarray:
    r"""A constant and `order` functions of one number — S&B (9.17), (9.18) in one dimension.

    basis "polynomial": $x_i(s) = s^i$; "fourier": $x_i(s) = \cos(i\pi s)$ for s in [0, 1]; $i = 0, \dots,$ order.
    s: (N,), not rescaled; order: int ≥ 0. Returns (N, order+1), the constant first.
    Raises ValueError for another basis.
    """
    s, i = np.asarray(s, dtype=np.float64)[:, None], np.arange(order + 1)
    if basis == "polynomial":
        return s**i
    if basis == "fourier":
        return np.cos(np.pi * s * i)
    raise ValueError(f'The basis is "polynomial" or "fourier", not {basis!r}.')


def state_aggregation(s, n_states, n_groups) -> np.ndarray:
    r"""$x_i(s) = 1$ where s lies in group i, 0 elsewhere: neighbours share a weight — S&B §9.3.

    s: (N,) int in {0, …, n_states−1}, cut into `n_groups` groups of equal width. Returns (N, n_groups).
    """
    return np.eye(n_groups)[np.asarray(s) * n_groups // n_states]


def tile_indices(obs, low, high, n_tiles, n_tilings) -> np.ndarray:
    r"""The active tile of each tiling — S&B §9.5.4, equal diagonal displacements.

    $u = n_{tiles}(\mathrm{clip}(o, low, high) - low)/(high - low)$; in tiling k the cell along dimension j is
    $c_j = \lfloor u_j + k/n_{tilings} \rfloor$; with $m = n_{tiles}+1$ cells a side the index is
    $k\,m^D + \sum_j c_j m^{D-1-j}$.

    obs: (N, D); low, high: (D,). Returns (N, n_tilings) int64 in {0, …, n_tilings·m^D − 1}.
    """
    obs, low, high = (np.asarray(a, dtype=np.float64) for a in (obs, low, high))
    u = n_tiles * (np.clip(obs, low, high) - low) / (high - low)
    shift = np.arange(n_tilings)[:, None] / n_tilings
    cells = np.floor(u[:, None, :] + shift).astype(np.int64)  # (N, n_tilings, D)
    side, dims = n_tiles + 1, obs.shape[1]
    strides = side ** np.arange(dims - 1, -1, -1)
    return np.arange(n_tilings) * side**dims + cells @ strides


def tile_features(obs, low, high, n_tiles, n_tilings) -> np.ndarray:
    """`tile_indices` as ones among zeros: (N, n_tilings·(n_tiles+1)^D) with n_tilings ones a row."""
    index = tile_indices(obs, low, high, n_tiles, n_tilings)
    x = np.zeros((len(index), n_tilings * (n_tiles + 1) ** np.shape(obs)[1]))
    np.put_along_axis(x, index, 1.0, axis=1)
    return x


def state_action_features(x, action, n_actions) -> np.ndarray:
    r"""x in the block of its action, zeros elsewhere, so $\hat q(s,a;w) = x(s,a)^\top w$ — S&B §10.1.

    x: (N, d); action: (N,) int. Returns (N, n_actions·d): columns a·d, …, (a+1)·d − 1 hold x.
    """
    x = np.asarray(x, dtype=np.float64)
    one_hot = np.eye(n_actions)[np.asarray(action, dtype=np.int64)]
    return (one_hot[:, :, None] * x[:, None, :]).reshape(len(x), n_actions * x.shape[1])
