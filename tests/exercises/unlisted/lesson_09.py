"""Lesson 09: second opinions, a bias on paper, a tree of sums, priorities. Keys as in `lesson_00`."""

import bisect
import itertools
import math
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional as F

# ---------------------------------------------------------------------------------- second opinions


def double(
    value=lambda o, t: t[torch.arange(len(t)), o.argmax(1)],
    label=lambda r, v, d, g: r + g * (1 - d) * v,
):
    return lambda r, o, t, d, g: label(r, value(o, t), d, g)


def last_of_equals(o, t):
    flipped = o.flip(1).argmax(1)
    return t[torch.arange(len(t)), o.shape[1] - 1 - flipped]


DOUBLE_WRONG = {
    "last-of-equals": double(last_of_equals),
    "worst-action": double(lambda o, t: t[torch.arange(len(t)), o.argmin(1)]),
    "second-action": double(lambda o, t: t[:, 0]),
    "one-action-for-all": double(lambda o, t: t[:, o.sum(0).argmax()]),
    "largest-magnitude": double(lambda o, t: t[torch.arange(len(t)), o.abs().argmax(1)]),
    "softmax-weighted": double(lambda o, t: (torch.softmax(o, 1) * t).sum(1)),
    "ties-averaged": double(lambda o, t: ((o == o.amax(1, True)).float() * t).sum(1) / (o == o.amax(1, True)).sum(1)),
    "larger-of-both": double(lambda o, t: torch.maximum(o.amax(1), t.amax(1))),
    "never-below-0": double(label=lambda r, v, d, g: r + g * (1 - d) * v.clamp(min=0)),
    "gamma-squared": double(label=lambda r, v, d, g: r + g**2 * (1 - d) * v),
    "gamma-fixed": double(label=lambda r, v, d, g: r + 0.97 * (1 - d) * v),
    "clipped-reward": double(label=lambda r, v, d, g: r.clamp(-1, 1) + g * (1 - d) * v),
    "integers": double(label=lambda r, v, d, g: (r + g * (1 - d) * v).long()),
    "numpy": double(label=lambda r, v, d, g: (r + g * (1 - d) * v).numpy()),
    "mean-over-batch": double(label=lambda r, v, d, g: (r + g * (1 - d) * v).mean()),
    "column": double(label=lambda r, v, d, g: (r + g * (1 - d) * v)[:, None]),
    "reward-in-place": double(label=lambda r, v, d, g: r.add_(g * (1 - d) * v)),
    "roles-swapped + no-gamma": double(lambda o, t: o[torch.arange(len(o)), t.argmax(1)], lambda r, v, d, g: r + (1 - d) * v),
    "plain-dqn + terminal-bootstrap": double(lambda o, t: t.amax(1), lambda r, v, d, g: r + g * v),
}  # fmt: skip
DOUBLE_RIGHT = {
    "diagonal": double(lambda o, t: t[:, o.argmax(1)].diagonal()),
    "take-along-dim": double(lambda o, t: torch.take_along_dim(t, o.argmax(1)[:, None], 1)[:, 0]),
    "numpy-inside": lambda r, o, t, d, g: torch.from_numpy(
        r.numpy() + g * (1 - d.numpy()) * t.numpy()[np.arange(len(t)), o.numpy().argmax(1)]
    ),
    "double-precision": double(label=lambda r, v, d, g: r.double() + g * (1 - d.double()) * v.double()),
    "masked-afterwards": double(label=lambda r, v, d, g: (r + g * v) * (1 - d) + r * d),
    "vmap": lambda r, o, t, d, g: torch.func.vmap(lambda a, b, c, e: a + g * (1 - e) * c[b.argmax()])(r, o, t, d),
}  # fmt: skip

# --------------------------------------------------------------------------------------- ensembles


def ensemble(
    put=lambda q, mode, s: {"min": lambda: q.amin(0), "mean": lambda: q.mean(0), "subset": lambda: q[s].amin(0)}[mode](),
    best=lambda q: q.amax(1),
    label=lambda r, v, d, g: r + g * (1 - d) * v,
    guard=lambda mode: mode in ("min", "mean", "subset"),
    error=ValueError,
):  # fmt: skip
    def ensemble_target(q, mode, r, d, g, subset=None):
        if not guard(mode):
            raise error(mode)
        return label(r, best(put(q, mode, subset)), d, g)

    return ensemble_target


def modes(**put):
    rules = {"min": lambda q, s: q.amin(0), "mean": lambda q, s: q.mean(0), "subset": lambda q, s: q[s].amin(0)}  # fmt: skip
    rules |= put
    return lambda q, mode, s: rules[mode](q, s)


ENSEMBLE_WRONG = {
    "median": ensemble(modes(mean=lambda q, s: q.median(0).values)),
    "second-smallest": ensemble(modes(min=lambda q, s: q.sort(0).values[min(1, len(q) - 1)])),
    "mean-minus-spread": ensemble(modes(min=lambda q, s: q.mean(0) - q.std(0, unbiased=False))),
    "first-two": ensemble(modes(subset=lambda q, s: q[:2].amin(0))),
    "subset-left-out": ensemble(modes(subset=lambda q, s: q[[e for e in range(len(q)) if e not in s.tolist()]].amin(0))),
    "one-of-the-subset": ensemble(modes(subset=lambda q, s: q[s[0]])),
    "one-member-of-the-smallest-mean": ensemble(modes(min=lambda q, s: q[q.mean((1, 2)).argmin()])),
    "subset-of-actions": ensemble(modes(subset=lambda q, s: q.amin(0)[:, s.clamp(max=q.shape[2] - 1)])),
    "mean-with-ddof": ensemble(modes(mean=lambda q, s: q.sum(0) / max(len(q) - 1, 1))),
    "never-below-0": ensemble(label=lambda r, v, d, g: r + g * (1 - d) * v.clamp(min=0)),
    "key-error": ensemble(guard=lambda mode: True),
    "another-error": ensemble(error=RuntimeError),
    "none-for-other-modes": lambda q, mode, r, d, g, subset=None: ensemble()(q, mode, r, d, g, subset) if mode in ("min", "mean", "subset") else None,
    "random-subset-of-its-own": ensemble(modes(subset=lambda q, s: q[torch.randperm(len(q))[: len(s)]].amin(0))),
    "mean-of-labels": ensemble(modes(mean=lambda q, s: q.reshape(-1, q.shape[2]).mean(0, keepdim=True).expand(q.shape[1], -1))),
    "logsumexp": ensemble(best=lambda q: q.logsumexp(1)),
    "whole-batch-best": ensemble(best=lambda q: q.max().expand(len(q))),
    "gamma-fixed": ensemble(label=lambda r, v, d, g: r + 0.9 * (1 - d) * v),
    "q-in-place": ensemble(modes(min=lambda q, s: q.mul_(1).sub_(0.1).amin(0))),
    "min-for-mean + no-gamma": ensemble(modes(mean=lambda q, s: q.amin(0)), label=lambda r, v, d, g: r + (1 - d) * v),
    "mean-over-subset + terminal-bootstrap": ensemble(modes(subset=lambda q, s: q[s].mean(0)), label=lambda r, v, d, g: r + g * v),
}  # fmt: skip
ENSEMBLE_RIGHT = {
    "dictionary": ensemble(),
    "minus-max-minus": ensemble(modes(min=lambda q, s: -(-q).amax(0))),
    "sorted": ensemble(modes(min=lambda q, s: q.sort(0).values[0])),
    "unbound": ensemble(modes(mean=lambda q, s: sum(q.unbind(0)) / len(q))),
    "mask": ensemble(modes(subset=lambda q, s: torch.where(torch.isin(torch.arange(len(q)), s)[:, None, None], q, math.inf).amin(0))),
    "by-rows": lambda q, mode, r, d, g, subset=None: torch.stack(
        [ensemble()(q[:, b : b + 1], mode, r[b : b + 1], d[b : b + 1], g, subset)[0] for b in range(len(r))]
    ),
    "double-precision": lambda q, mode, r, d, g, s=None: ensemble()(q.double(), mode, r.double(), d, g, s),
}  # fmt: skip

# ------------------------------------------------------------------------------------- the bias


def t(m, n):
    return math.prod(i / (i + 1 / n) for i in range(1, m + 1))


def by_series(width, m, n):
    """The binomial sum in floats: it cancels where there are many actions."""
    total = sum((-1) ** k * math.comb(m, k) / (k * n + 1) for k in range(m + 1))
    return width * (1 - 2 * total)


def by_midpoints(width, m, n, points=2_000):
    u = (np.arange(points) + 0.5) / points
    return float(width * (1 - 2 * np.mean((1 - u**n) ** m)))


def gaussian(width, m, n):
    draws = np.random.default_rng(1).normal(0, width / math.sqrt(3), size=(500, n, m))
    return float(draws.min(1).max(1).mean())


BIAS_WRONG = {
    "with-gamma": lambda w, m, n: 0.9 * w * (1 - 2 * t(m, n)),
    "integer-division": lambda w, m, n: w * (1 - 2 * math.prod(i / (i + 1 // n) for i in range(1, m + 1))),
    "one-over-m": lambda w, m, n: w * (1 - 2 * math.prod(i / (i + 1 / m) for i in range(1, n + 1))),
    "n-for-its-inverse": lambda w, m, n: w * (1 - 2 * math.prod(i / (i + n) for i in range(1, m + 1))),
    "only-last-factor": lambda w, m, n: w * (1 - 2 * m / (m + 1 / n)),
    "sum-for-product": lambda w, m, n: w * (1 - 2 * sum(i / (i + 1 / n) for i in range(1, m + 1)) / m),
    "large-m": lambda w, m, n: w * (1 - 2 * math.gamma(1 + 1 / n) * m ** (-1 / n)),
    "width-1": lambda w, m, n: 1 - 2 * t(m, n),
    "width-squared": lambda w, m, n: w**2 * (1 - 2 * t(m, n)),
    "normal-errors": gaussian,
    "midpoints": by_midpoints,
    "rounded": lambda w, m, n: round(w * (1 - 2 * t(m, n)), 3),
    "two-critics-only": lambda w, m, n: w * (1 - 2 * t(m, 2)),
    "absolute-errors": lambda w, m, n: w * (1 - t(m, n)),
    "the-mean-of-min": lambda w, m, n: w * (2 / (n + 1) - 1),
    "an-array": lambda w, m, n: np.array([w * (1 - 2 * t(m, n))]),
    "minus-half-of-it": lambda w, m, n: -w / 2 * (1 - 2 * t(m, n)),
}  # fmt: skip
BIAS_RIGHT = {
    "numpy-prod": lambda w, m, n: w * (1 - 2 * np.prod(np.arange(1, m + 1) / (np.arange(1, m + 1) + 1 / n))),
    "accumulate": lambda w, m, n: w - 2 * w * list(itertools.accumulate(range(1, m + 1), lambda x, i: x * n * i / (n * i + 1), initial=1.0))[-1],
    "logarithms": lambda w, m, n: w * (1 - 2 * math.exp(-sum(math.log1p(1 / (n * i)) for i in range(1, m + 1)))),
    "zero-d": lambda w, m, n: np.asarray(w * (1 - 2 * t(m, n))),
    "torch": lambda w, m, n: float(w * (1 - 2 * torch.exp(
        torch.lgamma(torch.tensor(1 + 1 / n).double()) + torch.lgamma(torch.tensor(m + 1.0).double())
        - torch.lgamma(torch.tensor(m + 1 + 1 / n, dtype=torch.float64))))) if n in (1, 2, 4) else w * (1 - 2 * t(m, n)),
}  # fmt: skip

# -------------------------------------------------------------------------------------- the tree


class Cumulated:
    """Right: bisection in running sums, made anew when asked."""

    def __init__(self, capacity):
        self.p = [0.0] * capacity

    def set(self, index, priority):
        self.p[index] = float(priority)

    def total(self):
        return math.fsum(self.p)

    def find(self, mass):
        return bisect.bisect_right(list(itertools.accumulate(self.p)), mass)


class Fenwick(Cumulated):
    """Right: partial sums in a Fenwick tree."""

    def __init__(self, capacity):
        super().__init__(capacity)
        self.tree, self.top = [0.0] * (capacity + 1), 1 << (capacity.bit_length() - 1)

    def set(self, index, priority):
        change, self.p[index] = priority - self.p[index], priority
        i = index + 1
        while i < len(self.tree):
            self.tree[i] += change
            i += i & -i

    def find(self, mass):
        i, step = 0, self.top
        while step:
            if i + step < len(self.tree) and self.tree[i + step] <= mass:
                i += step
                mass -= self.tree[i]
            step //= 2
        return i


class Recursive:
    """Right: a tree of halves that may be of unequal length, node by node."""

    def __init__(self, capacity, first=0):
        self.n, self.first, self.sum = capacity, first, 0.0
        half = (capacity + 1) // 2
        self.parts = (
            [type(self)(half, first), type(self)(capacity - half, first + half)] if capacity > 1 else []
        )  # fmt: skip

    def set(self, index, priority):
        if not self.parts:
            self.sum = priority
            return
        self.parts[index >= self.parts[1].first].set(index, priority)
        self.sum = self.parts[0].sum + self.parts[1].sum

    def total(self):
        return self.sum

    def find(self, mass):
        if not self.parts:
            return self.first
        left, right = self.parts
        return left.find(mass) if mass < left.sum else right.find(mass - left.sum)


class Dictionary(Cumulated):
    """Right: only what is not 0 is kept."""

    def __init__(self, capacity):
        self.d = {}

    def set(self, index, priority):
        self.d[index] = priority

    def total(self):
        return np.sum(list(self.d.values()))

    def find(self, mass):
        for i in sorted(self.d):
            if mass < self.d[i]:
                return np.int64(i)
            mass -= self.d[i]


def spoilt(base=Cumulated, **methods):
    return type("SumTree", (base,), methods)


class Shared(Cumulated):
    p_of_all: ClassVar[dict] = {}

    def __init__(self, capacity):
        self.p = self.p_of_all.setdefault(capacity, [0.0] * capacity)
        self.p[:] = [0.0] * capacity


TREE_WRONG = {
    "bisect-left": spoilt(find=lambda self, m: bisect.bisect_left(list(itertools.accumulate(self.p)), m)),
    "one-late": spoilt(find=lambda self, m: Cumulated.find(self, m) + 1),
    "one-early": spoilt(find=lambda self, m: max(Cumulated.find(self, m) - 1, 0)),
    "largest-leaf": spoilt(find=lambda self, m: max(range(len(self.p)), key=lambda i: self.p[i])),
    "from-the-right": spoilt(find=lambda self, m: Cumulated.find(self, self.total() - m)),
    "by-share": spoilt(find=lambda self, m: int(m / self.total() * len(self.p))),
    "at-random": spoilt(find=lambda self, m: int(np.random.default_rng(0).integers(len(self.p)))),
    "a-float": spoilt(find=lambda self, m: float(Cumulated.find(self, m))),
    "a-pair": spoilt(find=lambda self, m: (Cumulated.find(self, m), 0.0)),
    "a-list": spoilt(find=lambda self, m: [Cumulated.find(self, m)]),
    "shared-by-all": Shared,
    "total-of-the-first": spoilt(total=lambda self: self.p[0]),
    "total-at-least-eps": spoilt(total=lambda self: sum(self.p) + 1e-6),
    "total-with-count": spoilt(total=lambda self: float(np.count_nonzero(self.p))),
    "total-rounded": spoilt(total=lambda self: round(sum(self.p), 1)),
    "a-property": spoilt(total=property(lambda self: sum(self.p))),
    "keeps-the-larger": spoilt(set=lambda self, i, p: self.p.__setitem__(i, max(p, self.p[i]))),
    "averages": spoilt(set=lambda self, i, p: self.p.__setitem__(i, (p + self.p[i]) / 2)),
    "zero-becomes-eps": spoilt(set=lambda self, i, p: self.p.__setitem__(i, max(p, 0.01))),
    "integers": spoilt(set=lambda self, i, p: self.p.__setitem__(i, int(p))),
    "appends": spoilt(set=lambda self, i, p: self.p.insert(i, p)),
    "wraps-around": spoilt(set=lambda self, i, p: self.p.__setitem__((i + 1) % len(self.p), p)),
    "finds-and-removes": spoilt(find=lambda self, m: (i := Cumulated.find(self, m), self.p.__setitem__(i, 0.0))[0]),
    "starts-at-one": spoilt(__init__=lambda self, n: setattr(self, "p", [1.0] * n)),
    "squares": spoilt(set=lambda self, i, p: self.p.__setitem__(i, p * p)),
}  # fmt: skip
TREE_RIGHT = {
    "bisection": Cumulated,
    "fenwick": Fenwick,
    "recursive": Recursive,
    "dictionary": Dictionary,
    "numpy-scalars": spoilt(total=lambda self: np.float64(math.fsum(self.p)), find=lambda self, m: np.int64(Cumulated.find(self, m))),
    "a-function": lambda capacity: Cumulated(capacity),
}  # fmt: skip

# ------------------------------------------------------------------------------------- priorities


def prio(
    p=lambda e, a, eps: (e.abs() + eps) ** a,
    prob=lambda p: p / p.sum(),
    weight=lambda P, i, b: (len(P) * P[i]) ** -b,
    scale=lambda w: w / w.max(),
    give=lambda P, w: (P, w),
):
    def prioritise(td_error, drawn, exponent, eps, beta):
        P = prob(p(td_error, exponent, eps))
        return give(P, scale(weight(P, drawn, beta)))

    return prioritise


def rank_based(e, a, eps):
    rank = torch.empty(len(e))
    rank[e.abs().argsort(descending=True)] = torch.arange(1.0, len(e) + 1)
    return rank**-a


PRIO_WRONG = {
    "rank-based": prio(rank_based),
    "eps-twice": prio(lambda e, a, eps: (e.abs() + 2 * eps) ** a),
    "eps-fixed": prio(lambda e, a, eps: (e.abs() + 0.05) ** a),
    "exponent-fixed": prio(lambda e, a, eps: (e.abs() + eps) ** 0.6),
    "exponent-inverted": prio(lambda e, a, eps: (e.abs() + eps) ** (1 / (a + 1e-9))),
    "negative-exponent": prio(lambda e, a, eps: (e.abs() + eps) ** -a),
    "log": prio(lambda e, a, eps: torch.log1p(e.abs() + eps) ** a),
    "clipped-at-one": prio(lambda e, a, eps: (e.abs().clamp(max=1) + eps) ** a),
    "huber": prio(lambda e, a, eps: (F.smooth_l1_loss(e, 0 * e, reduction="none") + eps) ** a),
    "only-negative": prio(lambda e, a, eps: ((-e).clamp(min=0) + eps) ** a),
    "norm": prio(prob=lambda p: p / p.norm()),
    "mean": prio(prob=lambda p: p / p.mean()),
    "uniform": prio(prob=lambda p: torch.full_like(p, 1 / len(p))),
    "beta-fixed": prio(weight=lambda P, i, b: P[i] ** -0.4),
    "beta-squared": prio(weight=lambda P, i, b: P[i] ** -(b * b)),
    "beta-half": prio(weight=lambda P, i, b: P[i] ** (-b / 2)),
    "linear-mix": prio(weight=lambda P, i, b: 1 - b + b / (len(P) * P[i])),
    "weights-sorted": prio(weight=lambda P, i, b: (P[i] ** -b).sort().values),
    "unique-slots": prio(weight=lambda P, i, b: P[i.unique()] ** -b),
    "clamped-weights": prio(scale=lambda w: w.clamp(max=1)),
    "weights-minus-max": prio(scale=lambda w: 1 + w - w.max()),
    "exchanged": prio(give=lambda P, w: (w, P)),
    "only-weights": prio(give=lambda P, w: w),
    "drawn-probabilities-returned": lambda e, i, a, eps, b: (prio()(e, i, a, eps, b)[0][i], prio()(e, i, a, eps, b)[1]),
    "numpy": prio(give=lambda P, w: (P.numpy(), w.numpy())),
    "columns": prio(give=lambda P, w: (P[:, None], w[:, None])),
    "in-place": prio(lambda e, a, eps: e.abs_().add_(eps) ** a),
    "eps-outside + inverse": prio(lambda e, a, eps: e.abs() ** a + eps, weight=lambda P, i, b: P[i] ** b),
    "squared + weights-not-normalised": prio(lambda e, a, eps: (e.abs() + eps) ** (2 * a), scale=lambda w: w),
    "not-normalised + beta-ignored": prio(prob=lambda p: p, weight=lambda P, i, b: P[i] ** -1),
}  # fmt: skip
PRIO_RIGHT = {
    "plain": prio(),
    "without-n": prio(weight=lambda P, i, b: P[i] ** -b),
    "normalize": prio(prob=lambda p: F.normalize(p, p=1, dim=0)),
    "index-select": prio(weight=lambda P, i, b: 1 / torch.index_select(P, 0, i) ** b),
    "loop": lambda e, i, a, eps, b: (
        torch.stack([(x.abs() + eps) ** a for x in e]) / sum((abs(float(x)) + eps) ** a for x in e),
        torch.tensor([min((abs(float(e[k])) + eps) ** a for k in i) ** b / (abs(float(e[j])) + eps) ** (a * b) for j in i]),
    ),
    "softmax-of-logs": lambda e, i, a, eps, b: (
        (a * (e.abs() + eps).log()).softmax(0), ((e[i].abs() + eps) / (e[i].abs() + eps).min()) ** (-a * b)
    ),
    "double-precision": lambda e, i, a, eps, b: prio()(e.double(), i, a, eps, b),
    "list-returned": prio(give=lambda P, w: [P, w]),
}  # fmt: skip

# -------------------------------------------------------------------------------- the weighted loss


def per(
    row=lambda q, y, w: w * F.smooth_l1_loss(q, y, reduction="none"),
    over=lambda rows, w: rows.mean(),
    error=lambda q, y, w: (y - q).detach(),
    y=lambda b, q, g: b.reward + g * (1 - b.terminated) * q.amax(1),
    pick=lambda q, a: q.gather(1, a[:, None])[:, 0],
    give=lambda loss, error: (loss, error),
):
    def per_dqn_loss(q_net, target_net, batch, weight, gamma):
        with torch.no_grad():
            label = y(batch, target_net(batch.next_obs), gamma)
        q = pick(q_net(batch.obs), batch.action)
        return give(over(row(q, label, weight), weight), error(q, label, weight))

    return per_dqn_loss


def weights_normalised(q, y, w):
    return w / w.max() * F.smooth_l1_loss(q, y, reduction="none")


def called_twice(q_net, target_net, batch, weight, gamma):
    """Right: the errors from a second pass."""
    loss, _ = per()(q_net, target_net, batch, weight, gamma)
    with torch.no_grad():
        y = batch.reward + gamma * (1 - batch.terminated) * target_net(batch.next_obs).amax(1)
        return loss, y - q_net(batch.obs)[torch.arange(len(y)), batch.action]


def backward_inside(q_net, target_net, batch, weight, gamma):
    loss, error = per()(q_net, target_net, batch, weight, gamma)
    loss.backward(retain_graph=True)
    return loss, error


PER_WRONG = {
    "weights-normalised-again": per(weights_normalised),
    "weights-to-sum-1": per(over=lambda rows, w: rows.mean() / w.sum()),
    "weights-minus-mean": per(lambda q, y, w: (w - w.mean()) * F.smooth_l1_loss(q, y, reduction="none")),
    "softmax-weights": per(lambda q, y, w: torch.softmax(w, 0) * F.smooth_l1_loss(q, y, reduction="none")),
    "weighted-prediction": per(lambda q, y, w: F.smooth_l1_loss(w * q, w * y, reduction="none")),
    "weighted-label": per(lambda q, y, w: F.smooth_l1_loss(q, w * y, reduction="none")),
    "beta-ten": per(lambda q, y, w: w * F.smooth_l1_loss(q, y, reduction="none", beta=0.1)),
    "huber-doubled": per(lambda q, y, w: 2 * w * F.smooth_l1_loss(q, y, reduction="none")),
    "rows-below-half-left-out": per(lambda q, y, w: (w > 0.5) * F.smooth_l1_loss(q, y, reduction="none")),
    "median": per(over=lambda rows, w: rows.median()),
    "largest": per(over=lambda rows, w: rows.max()),
    "negative": per(over=lambda rows, w: -rows.mean()),
    "detached": per(lambda q, y, w: w * F.smooth_l1_loss(q.detach(), y, reduction="none")),
    "mean-error": per(error=lambda q, y, w: (y - q).detach().mean()),
    "error-numpy": per(error=lambda q, y, w: (y - q).detach().numpy()),
    "error-column": per(error=lambda q, y, w: (y - q).detach()[:, None]),
    "error-plus-eps": per(error=lambda q, y, w: (y - q).detach() + 0.01),
    "error-over-weight": per(error=lambda q, y, w: ((y - q) / w).detach()),
    "label-returned": per(error=lambda q, y, w: y),
    "prediction-returned": per(error=lambda q, y, w: q.detach()),
    "root-of-loss": per(error=lambda q, y, w: F.smooth_l1_loss(q, y, reduction="none").sqrt().detach()),
    "loss-only": per(give=lambda loss, error: loss),
    "loss-as-float": per(give=lambda loss, error: (loss.item(), error)),
    "three-returned": per(give=lambda loss, error: (loss, error, error.abs())),
    "never-below-0": per(y=lambda b, q, g: b.reward + g * (1 - b.terminated) * q.amax(1).clamp(min=0)),
    "clipped-reward": per(y=lambda b, q, g: b.reward.clamp(-1, 1) + g * (1 - b.terminated) * q.amax(1)),
    "steps-itself": backward_inside,
    "weights-squared + error-reversed": per(lambda q, y, w: w**2 * F.smooth_l1_loss(q, y, reduction="none"), error=lambda q, y, w: (q - y).detach()),
    "weights-forgotten + terminal-bootstrap": per(lambda q, y, w: F.smooth_l1_loss(q, y, reduction="none"), y=lambda b, q, g: b.reward + g * q.amax(1)),
}  # fmt: skip
PER_RIGHT = {
    "plain": per(),
    "huber-loss": per(lambda q, y, w: w * F.huber_loss(q, y, reduction="none")),
    "einsum": per(lambda q, y, w: torch.einsum("b,b->", w, F.smooth_l1_loss(q, y, reduction="none")) / len(w)),
    "sum-over-B": per(over=lambda rows, w: rows.sum() / rows.numel()),
    "where": per(lambda q, y, w: w * torch.where((q - y).abs() < 1, 0.5 * (q - y) ** 2, (q - y).abs() - 0.5)),
    "one-hot": per(pick=lambda q, a: (q * F.one_hot(a, q.shape[1])).sum(1)),
    "second-pass": called_twice,
    "a-list": per(give=lambda loss, error: [loss, error]),
}  # fmt: skip

WRONG = {
    "double_dqn_target": DOUBLE_WRONG,
    "ensemble_target": ENSEMBLE_WRONG,
    "maxmin_bias": BIAS_WRONG,
    "SumTree": TREE_WRONG,
    "prioritise": PRIO_WRONG,
    "per_dqn_loss": PER_WRONG,
}
RIGHT = {
    "double_dqn_target": DOUBLE_RIGHT,
    "ensemble_target": ENSEMBLE_RIGHT,
    "maxmin_bias": BIAS_RIGHT,
    "SumTree": TREE_RIGHT,
    "prioritise": PRIO_RIGHT,
    "per_dqn_loss": PER_RIGHT,
}
NAMED = {
    "double_dqn_target": {
        "roles-swapped/gather": double(lambda o, t: o.gather(1, t.argmax(1, keepdim=True))[:, 0]),
        "smaller-maximum/stacked": double(lambda o, t: torch.stack([o, t]).amax(2).amin(0)),
        "b-by-b/forgot-to-squeeze": double(lambda o, t: t.gather(1, o.argmax(1)[:, None])),
    },
    "ensemble_target": {
        "max-first/stacked": lambda q, mode, r, d, g, s=None: r + g * (1 - d) * (
            q.amax(2).mean(0) if mode == "mean" else (q[s] if mode == "subset" else q).amax(2).amin(0)
        ),
        "subset-ignored/else": ensemble(modes(subset=lambda q, s: q.amin(0))),
        "any-mode/else": lambda q, mode, r, d, g, s=None: ensemble()(
            q, mode if mode in ("min", "mean") else "subset" if s is not None else "min", r, d, g, s
        ),
    },
    "maxmin_bias": {
        "exchanged/loop-over-critics": lambda w, m, n: w * (1 - 2 * t(n, m)),
        "adds-the-biases/two-fractions": lambda w, m, n: w * ((m - 1) / (m + 1) - (n - 1) / (n + 1)),
        "simulated/many": lambda w, m, n: float(
            np.random.default_rng(5).uniform(-w, w, size=(4_000, n, m)).min(1).max(1).mean()
        ),
    },
    "SumTree": {
        "border-left/bisect": TREE_WRONG["bisect-left"],
    },
    "prioritise": {
        "softmax/of-errors": prio(lambda e, a, eps: torch.exp(a * (e.abs() + eps))),
        "max-of-the-buffer/normalised-early": lambda e, i, a, eps, b: (
            prio()(e, i, a, eps, b)[0],
            (lambda w: (w / w.max())[i])(prio()(e, i, a, eps, b)[0] ** -b),
        ),
        "weights-not-normalised/scale": prio(scale=lambda w: w),
    },
    "per_dqn_loss": {
        "weights-squared/seed": per(lambda q, y, w: (w * (q - y)) ** 2),
        "weights-inside/scaled": per(lambda q, y, w: F.smooth_l1_loss(w * (q - y), 0 * q, reduction="none")),
        "product-of-means/forgot-reduction": per(lambda q, y, w: w * F.smooth_l1_loss(q, y)),
        "attached-error/no-detach": per(error=lambda q, y, w: y - q),
        "error-without-sign/abs": per(error=lambda q, y, w: (y - q).detach().abs()),
    },
}  # fmt: skip
