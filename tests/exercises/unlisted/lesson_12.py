"""Lesson 12: the two losses, the two KLs, the price, the batch and the update. Keys as in `lesson_00`."""

import math

import numpy as np
import torch
from torch.nn import functional as F

# ------------------------------------------------------------------------------- ppo_clip_loss


def clipped(ratio, adv, clip):
    return torch.min(ratio * adv, ratio.clamp(1 - clip, 1 + clip) * adv)


def rho(new, old):
    return (new - old.detach()).exp()


def clip_loss(new, old, adv, clip):
    return -clipped(rho(new, old), adv.detach(), clip).mean()


def straight_through(new, old, adv, clip):
    """The right value with the gradient of the surrogate everywhere."""
    surrogate = (rho(new, old) * adv.detach()).mean()
    return (-clipped(rho(new, old), adv.detach(), clip).mean() + surrogate).detach() - surrogate


def by_masks(new, old, adv, clip):
    ratio, a = rho(new, old), adv.detach()
    flat = ((a > 0) & (ratio > 1 + clip)) | ((a < 0) & (ratio < 1 - clip))
    edge = torch.where(a > 0, 1 + clip, 1 - clip)
    return -torch.where(flat, edge * a, ratio * a).mean()


def relu_form(new, old, adv, clip):
    """ρA minus what lies beyond the edge."""
    ratio, a = rho(new, old), adv.detach()
    return -(ratio * a - F.relu(ratio - 1 - clip) * F.relu(a) - F.relu(1 - clip - ratio) * F.relu(-a)).mean()  # fmt: skip


def by_signed_sum(new, old, adv, clip):
    """min(x, y) = (x + y − |x − y|)/2; the kink has slope 0 on both sides within the interval."""
    ratio, a = rho(new, old), adv.detach()
    x, y = ratio * a, ratio.clip(1 - clip, 1 + clip) * a
    return -((x + y - (x - y).abs()) / 2).mean()


CLIP_WRONG = {
    "constant": lambda n, o, a, c: torch.zeros((), requires_grad=True),
    "float": lambda n, o, a, c: float(clip_loss(n, o, a, c)),
    "shape-(1,)": lambda n, o, a, c: clip_loss(n, o, a, c)[None],
    "straight-through": straight_through,
    "half": lambda n, o, a, c: 0.5 * clip_loss(n, o, a, c),
    "a-little-more": lambda n, o, a, c: clip_loss(n, o, a, c) + 1e-3,
    "median": lambda n, o, a, c: -clipped(rho(n, o), a.detach(), c).median(),
    "divided-by-b-plus-one": lambda n, o, a, c: clip_loss(n, o, a, c) * len(n) / (len(n) + 1),
    "ratio-minus-one": lambda n, o, a, c: clip_loss(n, o, a, c) + a.detach().mean(),
    "absolute-advantage": lambda n, o, a, c: clip_loss(n, o, a.abs(), c),
    "only-good-rows": lambda n, o, a, c: clip_loss(n, o, a.clamp(min=0), c),
    "only-bad-rows": lambda n, o, a, c: clip_loss(n, o, a.clamp(max=0), c),
    "upper-end-twice": lambda n, o, a, c: (
        -torch.min(rho(n, o) * a.detach(), rho(n, o).clamp(1 - c, 1 + 2 * c) * a.detach()).mean()
    ),
    "outside-thrown-away": lambda n, o, a, c: (
        -(rho(n, o) * a.detach() * ((rho(n, o) - 1).abs() <= c)).mean()
    ),
    "mean-over-the-inside": lambda n, o, a, c: (
        -(rho(n, o) * a.detach())[(rho(n, o) - 1).abs() <= c].sum() / len(n)
    ),
    "signs-exchanged": lambda n, o, a, c: (
        -torch.where(a > 0, rho(n, o).clamp(min=1 - c), rho(n, o).clamp(max=1 + c))
        .mul(a.detach())
        .mean()
    ),
    "log-ratio-clamped-at-one": lambda n, o, a, c: clip_loss((n - o).clamp(max=0.0) + o, o, a, c),
    "penalty-for-distance": lambda n, o, a, c: clip_loss(n, o, a, c) + c * (rho(n, o) - 1).pow(2).mean(),
    "one-ratio-for-all": lambda n, o, a, c: (
        -clipped((n.mean() - o.detach().mean()).exp(), a.detach(), c).mean()
    ),
    "trajectory-ratio": lambda n, o, a, c: -clipped(rho(n, o).prod(), a.detach(), c).mean(),
    "new-old-swapped-in-gradient": lambda n, o, a, c: -clipped((n.detach() - o).exp(), a.detach(), c).mean(),
    "numpy": lambda n, o, a, c: np.float32(clip_loss(n, o, a, c).item()),
}  # fmt: skip
CLIP_RIGHT = {
    "masks": by_masks,
    "relu": relu_form,
    "minimum-by-hand": by_signed_sum,
    "expm1": lambda n, o, a, c: (
        -clipped(1 + torch.expm1(n - o.detach()), a.detach(), c).sum() / a.numel()
    ),
    "stacked": lambda n, o, a, c: (
        -torch.stack(
            [rho(n, o) * a.detach(), rho(n, o).clamp(1 - c, 1 + c) * a.detach()]
        ).amin(0).mean()
    ),
    "double": lambda n, o, a, c: clip_loss(n.double(), o.double(), a.double(), c).float(),
}  # fmt: skip
CLIP_NAMED = {
    "max-for-min/torch.max": lambda n, o, a, c: (
        -torch.max(rho(n, o) * a.detach(), rho(n, o).clamp(1 - c, 1 + c) * a.detach()).mean()
    ),
    "one-sided/minimum-of-ratios": lambda n, o, a, c: (
        -(torch.min(rho(n, o), rho(n, o).clamp(1 - c, 1 + c)) * a.detach()).mean()
    ),
    "no-minimum/clip": lambda n, o, a, c: (
        -(torch.clip(rho(n, o), 1 - c, 1 + c) * a.detach()).mean()
    ),
    "sum/loop": lambda n, o, a, c: -sum(clipped(rho(n, o), a.detach(), c)),
    "not-exponentiated/plain": lambda n, o, a, c: -clipped(n - o.detach(), a.detach(), c).mean(),
    "old-gradient/no-detach": lambda n, o, a, c: -clipped((n - o).exp(), a.detach(), c).mean(),
    "underflow/division": lambda n, o, a, c: (
        -clipped(n.exp() / o.detach().exp(), a.detach(), c).mean()
    ),
}

# ------------------------------------------------------------------------------- small_step_kl


def variance(h, x):
    pi = torch.softmax(h, 1)
    return (pi * x * x).sum(1) - (pi * x).sum(1) ** 2


def by_jvp(h, x):
    """Half of x · (the derivative of the softmax along x)."""
    _, along = torch.func.jvp(lambda y: torch.softmax(y, 1), (h,), (x,))
    return 0.5 * (x * along).sum(1)


def by_second_derivative(h, x):
    def log_sum(t):
        return torch.logsumexp(h + t * x, 1)

    def slope(t):
        return torch.func.jvp(log_sum, (t,), (torch.ones(()).double(),))[1]

    return torch.func.jvp(slope, (torch.zeros(()).double(),), (torch.ones(()).double(),))[1] / 2


def by_loops(h, x):
    out = []
    for row, step in zip(h.tolist(), x.tolist(), strict=True):
        top = max(row)
        weight = [math.exp(r - top) for r in row]
        total = sum(weight)
        mean = sum(w * s for w, s in zip(weight, step, strict=True)) / total
        out.append(sum(w * (s - mean) ** 2 for w, s in zip(weight, step, strict=True)) / total / 2)
    return torch.tensor(out, dtype=torch.float64)


STEP_WRONG = {
    "zeros": lambda h, x: torch.zeros(len(h)).double(),
    "quarter": lambda h, x: variance(h, x) / 4,
    "single-precision": lambda h, x: 0.5 * variance(h.float(), x.float()).double() * 1.0001,
    "absolute": lambda h, x: 0.5 * (torch.softmax(h, 1) * (x - (torch.softmax(h, 1) * x).sum(1, keepdim=True)).abs()).sum(1),
    "centred-at-the-likeliest": lambda h, x: 0.5 * (torch.softmax(h, 1) * (x - x.gather(1, h.argmax(1, keepdim=True))) ** 2).sum(1),
    "logits-as-weights": lambda h, x: 0.5 * (h * x**2).sum(1),
    "both-policies": lambda h, x: 0.25 * (variance(h, x) + variance(h + x, x)),
    "middle-policy": lambda h, x: 0.5 * variance(h + x / 2, x),
    "second-moment-of-new": lambda h, x: 0.5 * ((torch.softmax(h + x, 1) - torch.softmax(h, 1)) ** 2).sum(1),
    "chi-square": lambda h, x: 0.5 * ((torch.softmax(h + x, 1) - torch.softmax(h, 1)) ** 2 / torch.softmax(h, 1)).sum(1),
    "third-order-too": lambda h, x: 0.5 * variance(h, x) + (torch.softmax(h, 1) * (x - (torch.softmax(h, 1) * x).sum(1, keepdim=True)) ** 3).sum(1) / 6,
    "two-actions-only": lambda h, x: 0.5 * torch.softmax(h, 1).prod(1) * (x[:, 0] - x[:, -1]) ** 2,
    "scaled-by-actions": lambda h, x: 0.5 * variance(h, x) * h.shape[1],
    "numpy": lambda h, x: 0.5 * variance(h, x).numpy(),
    "over-states": lambda h, x: 0.5 * variance(h.T, x.T),
}  # fmt: skip
STEP_RIGHT = {
    "moments": lambda h, x: 0.5 * variance(h, x),
    "jvp": by_jvp,
    "second-derivative": by_second_derivative,
    "loops": by_loops,
    "covariance": lambda h, x: torch.stack(
        [0.5 * torch.cov(r, correction=0, aweights=torch.softmax(k, 0)) for k, r in zip(h, x, strict=True)]
    ),
}  # fmt: skip
STEP_NAMED = {
    "no-half/moments": variance,
    "not-centred/einsum": lambda h, x: 0.5 * torch.einsum("ba,ba,ba->b", torch.softmax(h, 1), x, x),
    "euclidean/norm": lambda h, x: 0.5 * x.norm(dim=1) ** 2,
    "kl-itself/library": lambda h, x: F.kl_div(
        torch.log_softmax(h + x, 1), torch.log_softmax(h, 1), log_target=True, reduction="none"
    ).sum(1),
}

# ------------------------------------------------------------------------------------ policy_kl


def softmax_kl(p, q):
    p, q = torch.log_softmax(p, 1), torch.log_softmax(q, 1)
    return (p.exp() * (p - q)).sum(1)


def normal_kl(p, q):
    (m, s), (n, t) = p, q
    return (t - s + ((2 * s).exp() + (m - n) ** 2) / (2 * (2 * t).exp()) - 0.5).sum(1)


def of_both(discrete=softmax_kl, gaussian=normal_kl):
    return lambda old, new: (gaussian if isinstance(new, tuple) else discrete)(old, new)


KL_WRONG = {
    "halved": of_both(lambda p, q: softmax_kl(p, q) / 2, lambda p, q: normal_kl(p, q) / 2),
    "symmetrised": of_both(
        lambda p, q: (softmax_kl(p, q) + softmax_kl(q, p)) / 2,
        lambda p, q: (normal_kl(p, q) + normal_kl(q, p)) / 2,
    ),
    "base-two": of_both(lambda p, q: softmax_kl(p, q) / math.log(2), lambda p, q: normal_kl(p, q) / math.log(2)),
    "total-variation": of_both(lambda p, q: (p.softmax(1) - q.softmax(1)).abs().sum(1) / 2),
    "clamped-probabilities": of_both(
        lambda p, q: (p.softmax(1).clamp(1e-3) * (p.softmax(1).clamp(1e-3).log() - q.log_softmax(1))).sum(1)
    ),
    "with-a-little-more": of_both(
        lambda p, q: (p.softmax(1) * ((p.softmax(1) + 1e-3).log() - (q.softmax(1) + 1e-3).log())).sum(1)
    ),
    "sampled": of_both(lambda p, q: p.log_softmax(1).amax(1) - q.log_softmax(1).amax(1)),
    "second-order": of_both(lambda p, q: 0.5 * (p.softmax(1) * (p.log_softmax(1) - q.log_softmax(1)) ** 2).sum(1)),
    "mean-square": of_both(gaussian=lambda p, q: 0.5 * ((p[0] - q[0]) ** 2).sum(1)),
    "same-widths": of_both(gaussian=lambda p, q: ((p[0] - q[0]) ** 2 / (2 * (2 * q[1]).exp())).sum(1)),
    "distance-not-squared": of_both(
        gaussian=lambda p, q: normal_kl(p, q) + (((p[0] - q[0]).abs() - (p[0] - q[0]) ** 2) / (2 * (2 * q[1]).exp())).sum(1)
    ),
    "first-dimension": of_both(gaussian=lambda p, q: normal_kl(tuple(x[:, :1] for x in p), tuple(x[:, :1] for x in q))),
    "log-std-ignored-in-old": of_both(gaussian=lambda p, q: normal_kl((p[0], q[1]), q)),
    "joint": of_both(gaussian=lambda p, q: normal_kl(p, q).prod(0, keepdim=True).expand(len(p[0]))),
    "clipped-at-zero": of_both(lambda p, q: (p.log_softmax(1) - q.log_softmax(1)).clamp(min=0).mul(p.softmax(1)).sum(1)),
    "sigmoid": of_both(lambda p, q: (p.sigmoid() * (F.logsigmoid(p) - F.logsigmoid(q))).sum(1)),
    "column": of_both(lambda p, q: softmax_kl(p, q)[:, None], lambda p, q: normal_kl(p, q)[:, None]),
    "numpy": lambda old, new: of_both()(old, new).detach().numpy(),
    "entropies": of_both(lambda p, q: (q.softmax(1) * q.log_softmax(1)).sum(1) * -1 + (p.softmax(1) * p.log_softmax(1)).sum(1)),
}  # fmt: skip
KL_RIGHT = {
    "by-length": lambda old, new: normal_kl(old, new) if len(old) == 2 and type(old) is tuple else softmax_kl(old, new),
    "by-tensor": lambda old, new: softmax_kl(old, new) if torch.is_tensor(new) else normal_kl(old, new),
    "matrix-product": of_both(
        lambda p, q: torch.einsum("ba,ba->b", p.softmax(-1), p.log_softmax(-1) - q.log_softmax(-1))
    ),
    "log-sum-exp": of_both(
        lambda p, q: (
            (p.softmax(1) * (p - q)).sum(1) - p.logsumexp(1) + q.logsumexp(1)
        )
    ),
    "by-variances": of_both(
        gaussian=lambda p, q: 0.5 * (
            (2 * (q[1] - p[1])) + torch.exp(2 * (p[1] - q[1])) - 1 + ((p[0] - q[0]) / q[1].exp()).square()
        ).sum(-1)
    ),
    "row-by-row": lambda old, new: torch.stack(
        [
            of_both()(tuple(x[i : i + 1] for x in old), tuple(x[i : i + 1] for x in new))[0]
            if isinstance(new, tuple)
            else of_both()(old[i : i + 1], new[i : i + 1])[0]
            for i in range(len(new[0]) if isinstance(new, tuple) else len(new))
        ]
    ),
}  # fmt: skip
KL_NAMED = {
    "swapped/kl_div": of_both(
        lambda p, q: F.kl_div(p.log_softmax(1), q.log_softmax(1), log_target=True, reduction="none").sum(1),
        lambda p, q: normal_kl(q, p),
    ),
    "cross-entropy/library": of_both(lambda p, q: F.cross_entropy(q, p.softmax(1), reduction="none")),
    "std-for-variance/written-out": of_both(
        gaussian=lambda p, q: (q[1] - p[1] + (p[1].exp() + (p[0] - q[0]) ** 2) / (2 * q[1].exp()) - 0.5).sum(1)
    ),
    "batch-mean/mean": lambda old, new: of_both()(old, new).mean(),
    "one-kind-only/logits": lambda old, new: softmax_kl(old, new),
}  # fmt: skip

# ---------------------------------------------------------------------------------- ppo_kl_loss


def kl_loss(new, old, adv, kl, coef):
    return -(rho(new, old) * adv.detach()).mean() + coef * kl.mean()


PENALTY_WRONG = {
    "constant": lambda n, o, a, k, b: torch.zeros((), requires_grad=True),
    "half-penalty": lambda n, o, a, k, b: kl_loss(n, o, a, k, 0.5 * b),
    "penalty-of-the-ratio": lambda n, o, a, k, b: kl_loss(n, o, a, (rho(n, o) - 1) ** 2, b),
    "kl-from-the-data": lambda n, o, a, k, b: kl_loss(n, o, a, o.detach() - n, b),
    "penalty-averaged-twice": lambda n, o, a, k, b: kl_loss(n, o, a, k / len(k), b),
    "coefficient-squared": lambda n, o, a, k, b: kl_loss(n, o, a, k, b * b),
    "coefficient-exponential": lambda n, o, a, k, b: kl_loss(n, o, a, k, math.exp(b)),
    "penalty-on-positive-rows": lambda n, o, a, k, b: kl_loss(n, o, a, k * (a.detach() > 0), b),
    "divided": lambda n, o, a, k, b: kl_loss(n, o, a, k, b) / (1 + b),
    "root": lambda n, o, a, k, b: kl_loss(n, o, a, (k + 1e-12).sqrt(), b),
    "float": lambda n, o, a, k, b: kl_loss(n, o, a, k, b).item(),
    "ratio-minus-one": lambda n, o, a, k, b: kl_loss(n, o, a, k, b) + a.detach().mean(),
    "hinge": lambda n, o, a, k, b: kl_loss(n, o, a, (k - 0.01).clamp(min=0), b),
    "gradient-scaled": lambda n, o, a, k, b: kl_loss(n, o, a, 2 * k - k.detach(), b),
    "all-pairs": lambda n, o, a, k, b: -(rho(n, o)[:, None] * a.detach()).mean() + b * k.mean(),
}
PENALTY_RIGHT = {
    "dot": lambda n, o, a, k, b: (b * k.sum() - torch.dot(rho(n, o), a.detach())) / len(n),
    "pieces": lambda n, o, a, k, b: sum(
        (b * k[i] - rho(n, o)[i] * a[i].detach()) / len(n) for i in range(len(n))
    ),
    "torch-coefficient": lambda n, o, a, k, b: kl_loss(n, o, a, k, torch.tensor(b)),
}
PENALTY_NAMED = {
    "penalty-subtracted/minus": lambda n, o, a, k, b: kl_loss(n, o, a, k, -b),
    "penalty-detached/item": lambda n, o, a, k, b: kl_loss(n, o, a, k.detach(), b),
    "weighed-by-advantage/bracket": lambda n, o, a, k, b: (
        -(a.detach() * (rho(n, o) - b * k)).mean()
    ),
    "penalty-summed/sum": lambda n, o, a, k, b: -(rho(n, o) * a.detach()).mean() + b * torch.sum(k),
}

# ------------------------------------------------------------------------- adapt_kl_coefficient


def adapt(c, k, t, lo, hi, f):
    return c * f if k > hi * t else c / f if k < lo * t else c


ADAPT_WRONG = {
    "never": lambda c, k, t, lo, hi, f: c,
    "proportional": lambda c, k, t, lo, hi, f: c * k / t,
    "int": lambda c, k, t, lo, hi, f: int(adapt(c, k, t, lo, hi, f)),
    "array": lambda c, k, t, lo, hi, f: np.array([adapt(c, k, t, lo, hi, f)]),
    "squared-factor": lambda c, k, t, lo, hi, f: adapt(c, k, t, lo, hi, f * f),
    "floor": lambda c, k, t, lo, hi, f: max(adapt(c, k, t, lo, hi, f), 1.0),
    "ceiling": lambda c, k, t, lo, hi, f: min(adapt(c, k, t, lo, hi, f), 2.0),
    "divides-the-target": lambda c, k, t, lo, hi, f: adapt(c, k, t, 1 / hi, 1 / lo, f),
    "symmetric-border": lambda c, k, t, lo, hi, f: adapt(c, k, t, 1 / hi, hi, f),
    "root-of-kl": lambda c, k, t, lo, hi, f: adapt(c, k**0.5, t, lo, hi, f),
    "one-border-counts": lambda c, k, t, lo, hi, f: c * f if k >= hi * t else c / f if k < lo * t else c,
    "lower-border-counts": lambda c, k, t, lo, hi, f: c * f if k > hi * t else c / f if k <= lo * t else c,
    "toward-the-other": lambda c, k, t, lo, hi, f: c * f if k > hi * t else c * (1 - 1 / f) if k < lo * t else c,
    "none-in-between": lambda c, k, t, lo, hi, f: c * f if k > hi * t else c / f if k < lo * t else None,
}  # fmt: skip
ADAPT_RIGHT = {
    "numpy": lambda c, k, t, lo, hi, f: np.select([k > hi * t, k < lo * t], [c * f, c / f], c),
    "logarithms": lambda c, k, t, lo, hi, f: math.exp(
        math.log(c) + math.log(f) * ((k > hi * t) - (k < lo * t))
    ),
    "ifs-in-turn": lambda c, k, t, lo, hi, f: (
        (c if not k > hi * t else c * f) / (f if k < lo * t else 1)
    ),
}
ADAPT_NAMED = {
    "reversed/one-expression": lambda c, k, t, lo, hi, f: c * f ** ((k < lo * t) - (k > hi * t)),
    "no-dead-zone/two-ways": lambda c, k, t, lo, hi, f: c * f if k > t else c / f,
    "borders-count/both": lambda c, k, t, lo, hi, f: (
        c * f if k >= hi * t else c / f if k <= lo * t else c
    ),
}

# ------------------------------------------------------------------------------------ ppo_batch


def advantages(s, r, value, next_value):
    adv, following = torch.zeros_like(r.reward), 0.0
    for t in reversed(range(len(adv))):
        delta = r.reward[t] + s.gamma * (1 - r.terminated[t]) * next_value[t] - value[t]
        end = max(float(r.terminated[t]), float(r.truncated[t]))
        following = delta + s.gamma * s.lam * (1 - end) * following
        adv[t] = following
    return adv


def columns(s, r):
    with torch.no_grad():
        value, next_value = s.v_net(r.obs), s.v_net(r.next_obs)
        old = torch.log_softmax(s.policy(r.obs), 1)[torch.arange(len(r.action)), r.action]
    adv = advantages(s, r, value, next_value)
    return r.obs, r.action, old, adv, adv + value


def standard(adv):
    return (adv - adv.mean()) / (adv.std(correction=0) + 1e-8)


def batch_of(change=lambda s, r, c: c, adv=standard):
    def ppo_batch(agent_state, rollout):
        c = list(columns(agent_state, rollout))
        c[3] = adv(c[3])
        return tuple(change(agent_state, rollout, c))

    return ppo_batch


def changed(index, f):
    def change(s, r, c):
        return [*c[:index], f(s, r, c), *c[index + 1 :]]

    return batch_of(change)


def leaves_gradients(agent_state, rollout):
    agent_state.v_net(rollout.obs).sum().backward()
    return batch_of()(agent_state, rollout)


def changes_the_rollout(agent_state, rollout):
    out = batch_of()(agent_state, rollout)
    rollout.reward.mul_(0)
    return out


def in_episodes(agent_state, rollout):
    """Standardised within every episode."""
    c = list(columns(agent_state, rollout))
    ends = torch.maximum(rollout.terminated, rollout.truncated).cumsum(0)
    episode = torch.cat([torch.zeros(1), ends[:-1]])
    for k in episode.unique():
        c[3][episode == k] = standard(c[3][episode == k])
    return tuple(c)


BATCH_WRONG = {
    "adv-for-returns": changed(4, lambda s, r, c: c[3]),
    "returns-shifted": changed(4, lambda s, r, c: c[4].roll(1)),
    "in-reverse": changed(3, lambda s, r, c: c[3].flip(0)),
    "probability-ratio": changed(2, lambda s, r, c: torch.zeros_like(c[2])),
    "negative": changed(3, lambda s, r, c: -c[3]),
    "clipped-advantages": changed(3, lambda s, r, c: c[3].clamp(-1, 1)),
    "spread-two": changed(3, lambda s, r, c: 2 * c[3]),
    "median": batch_of(adv=lambda a: (a - a.median()) / a.std(correction=0)),
    "root-mean-square": batch_of(adv=lambda a: a / a.square().mean().sqrt()),
    "softmax": batch_of(adv=lambda a: torch.softmax(a, 0)),
    "a-large-epsilon": batch_of(adv=lambda a: (a - a.mean()) / (a.std() + 0.1)),
    "within-episodes": in_episodes,
    "next-obs": changed(0, lambda s, r, c: r.next_obs),
    "one-hot": changed(1, lambda s, r, c: F.one_hot(r.action, 6).float()),
    "float-actions": changed(1, lambda s, r, c: r.action[:, None]),
    "sum-of-log-probs": changed(2, lambda s, r, c: c[2].cumsum(0)),
    "returns-discounted": changed(4, lambda s, r, c: s.gamma * c[4]),
    "returns-minus": changed(4, lambda s, r, c: c[4] - 2 * s.v_net(r.obs).detach()),
    "four-columns": batch_of(lambda s, r, c: c[:4]),
    "dictionary": lambda s, r: dict(enumerate(batch_of()(s, r))),
    "leaves-gradients": leaves_gradients,
    "changes-the-rollout": changes_the_rollout,
    "shuffled": batch_of(lambda s, r, c: [x[torch.randperm(len(x))] for x in c]),
    "columns-as-(n,1)": batch_of(lambda s, r, c: [*c[:3], c[3][:, None], c[4][:, None]]),
}
BATCH_RIGHT = {
    "loop": batch_of(),
    "sample-spread": batch_of(adv=lambda a: (a - a.mean()) / (a.std() + 1e-8)),
    "copies": batch_of(lambda s, r, c: [x.clone() for x in c]),
    "no-epsilon": batch_of(adv=lambda a: (a - a.mean()) / a.std(unbiased=False)),
    "double": batch_of(lambda s, r, c: [*c[:3], c[3].double().float(), c[4]]),
}
BATCH_NAMED = {
    "not-standardised/plain": batch_of(adv=lambda a: a),
    "columns-exchanged/last-two": batch_of(lambda s, r, c: [*c[:3], c[4], c[3]]),
    "wrong-log-prob/likeliest": changed(
        2, lambda s, r, c: torch.log_softmax(s.policy(r.obs), 1).detach().max(1).values
    ),
}

# ----------------------------------------------------------------------------------- ppo_update


def update(
    loss_of=clip_loss,
    rows_of=None,
    after=lambda s, loss: None,
    weigh=lambda s, p, v, h: p + s.value_coef * v - s.entropy_coef * h,
    step=lambda s: s.optimizer.step(),
    given=lambda losses: torch.stack(losses),
    before=lambda s: None,
):
    def ppo_update(agent_state, batch, rng):
        s, losses = agent_state, []
        for epoch in range(s.epochs):
            order = torch.from_numpy(rng.permutation(len(batch.adv)))
            for rows in order.split(s.minibatch_size):
                if rows_of is not None:
                    rows = rows_of(rows, epoch)
                before(s)
                log_pi = torch.log_softmax(s.policy(batch.obs[rows]), 1)
                log_prob = log_pi[torch.arange(len(rows)), batch.action[rows]]
                p = loss_of(log_prob, batch.log_prob_old[rows], batch.adv[rows], s.clip)
                v = 0.5 * F.mse_loss(s.v_net(batch.obs[rows]), batch.returns[rows])
                loss = weigh(s, p, v, -(log_pi.exp() * log_pi).sum(1).mean())
                s.optimizer.zero_grad()
                loss.backward()
                weights = [w for g in s.optimizer.param_groups for w in g["params"]]
                torch.nn.utils.clip_grad_norm_(weights, s.max_grad_norm)
                step(s)
                after(s, loss)
                losses.append(loss.detach())
        return given(losses)

    return ppo_update


def changes_the_batch(agent_state, batch, rng):
    losses = update()(agent_state, batch, rng)
    batch.log_prob_old.zero_()
    return losses


def fresh_optimizer(s):
    weights = [*s.policy.parameters(), *s.v_net.parameters()]
    torch.optim.SGD(weights, lr=0.3).step()


def no_grad_left(agent_state, batch, rng):
    losses = update()(agent_state, batch, rng)
    agent_state.optimizer.zero_grad()
    return losses


def two_optimizers_worth(agent_state, batch, rng):
    """The right steps, but the whole of every update twice."""
    update()(agent_state, batch, rng)
    return update()(agent_state, batch, rng)


UPDATE_WRONG = {
    "nothing": lambda s, b, rng: torch.zeros(s.epochs * -(-len(b.adv) // s.minibatch_size)),
    "twice": two_optimizers_worth,
    "sorted-rows": update(rows_of=lambda rows, epoch: rows.sort().values[:-1] if len(rows) > 1 else rows),
    "first-rows-again": update(rows_of=lambda rows, epoch: torch.arange(len(rows))),
    "half-the-rows": update(rows_of=lambda rows, epoch: rows[: max(1, len(rows) // 2)]),
    "entropy-doubled": update(weigh=lambda s, p, v, h: p + s.value_coef * v - 2 * s.entropy_coef * h),
    "value-weighs-policy": update(weigh=lambda s, p, v, h: s.value_coef * (p + v) - s.entropy_coef * h),
    "policy-alone": update(weigh=lambda s, p, v, h: p - s.entropy_coef * h),
    "critic-alone": update(weigh=lambda s, p, v, h: s.value_coef * v),
    "coefficients-exchanged": update(weigh=lambda s, p, v, h: p + s.entropy_coef * v - s.value_coef * h),
    "entropy-of-the-value": update(weigh=lambda s, p, v, h: p + s.value_coef * v + s.entropy_coef * v),
    "divided-by-epochs": update(weigh=lambda s, p, v, h: (p + s.value_coef * v - s.entropy_coef * h) / s.epochs),
    "step-twice": update(after=lambda s, loss: s.optimizer.step()),
    "own-optimizer": update(step=fresh_optimizer),
    "sum-returned": update(given=lambda losses: torch.stack(losses).sum()),
    "one-loss-short": update(given=lambda losses: torch.stack(losses[:-1])),
    "in-reverse": update(given=lambda losses: torch.stack(losses[::-1])),
    "column": update(given=lambda losses: torch.stack(losses)[:, None]),
    "losses-as-text": update(given=lambda losses: [str(float(x)) for x in losses]),
    "none-returned": update(given=lambda losses: None),
    "changes-the-batch": changes_the_batch,
    "decays": update(after=lambda s, loss: [w.data.mul_(0.999) for w in s.policy.parameters()]),
    "clip-shrinks": update(loss_of=lambda n, o, a, c: clip_loss(n, o, a, 0.9 * c)),
    "positive-only": update(loss_of=lambda n, o, a, c: clip_loss(n, o, a.clamp(min=0), c)),
    "log-prob-loss": update(loss_of=lambda n, o, a, c: -(n * a).mean()),
}  # fmt: skip
UPDATE_RIGHT = {
    "tensor": update(),
    "list-of-floats": update(given=lambda losses: [x.item() for x in losses]),
    "array": update(given=lambda losses: np.array([float(x) for x in losses], dtype=np.float32)),
    "tuple-of-tensors": update(given=tuple),
    "gradients-cleared-at-the-end": no_grad_left,
    "masks": update(loss_of=by_masks),
    "train-mode": update(before=lambda s: s.policy.train()),
}
UPDATE_NAMED = {
    "recomputes-old/detached": update(loss_of=lambda n, o, a, c: clip_loss(n, n.detach(), a, c)),
    "entropy-sign/plus": update(weigh=lambda s, p, v, h: p + s.value_coef * v + s.entropy_coef * h),
    "no-half/doubled": update(
        weigh=lambda s, p, v, h: p + s.value_coef * 2 * v - s.entropy_coef * h
    ),
    "losses-condensed/mean": update(given=lambda losses: torch.stack(losses).mean()),
}

WRONG = {
    "ppo_clip_loss": CLIP_WRONG,
    "small_step_kl": STEP_WRONG,
    "policy_kl": KL_WRONG,
    "ppo_kl_loss": PENALTY_WRONG,
    "adapt_kl_coefficient": ADAPT_WRONG,
    "ppo_batch": BATCH_WRONG,
    "ppo_update": UPDATE_WRONG,
}
RIGHT = {
    "ppo_clip_loss": CLIP_RIGHT,
    "small_step_kl": STEP_RIGHT,
    "policy_kl": KL_RIGHT,
    "ppo_kl_loss": PENALTY_RIGHT,
    "adapt_kl_coefficient": ADAPT_RIGHT,
    "ppo_batch": BATCH_RIGHT,
    "ppo_update": UPDATE_RIGHT,
}
NAMED = {
    "ppo_clip_loss": CLIP_NAMED,
    "small_step_kl": STEP_NAMED,
    "policy_kl": KL_NAMED,
    "ppo_kl_loss": PENALTY_NAMED,
    "adapt_kl_coefficient": ADAPT_NAMED,
    "ppo_batch": BATCH_NAMED,
    "ppo_update": UPDATE_NAMED,
}
