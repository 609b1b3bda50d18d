"""Lesson 10: the softmax, its score, the exact gradient, the best baseline, the losses and the loop. Keys as in `lesson_00`."""

import numpy as np
import torch

from . import also_named

# ------------------------------------------------------------------------------- softmax_policy


def softmax(x, dim=1):
    return torch.softmax(x, dim=dim)


def rowwise(logits):
    rows = []
    for row in logits:
        weight = torch.exp(row - max(row))
        rows.append(weight / sum(weight))
    return torch.stack(rows)


def in_place(logits):
    with torch.no_grad():
        logits -= logits.amax(dim=1, keepdim=True)
    return softmax(logits)


SOFTMAX_WRONG = {
    "numpy": lambda x: softmax(x).detach().numpy(),
    "detached": lambda x: softmax(x).detach(),
    "transposed": lambda x: softmax(x).T,
    "all-at-once": lambda x: softmax(x.flatten(), dim=0).reshape(x.shape),
    "sigmoid": torch.sigmoid,
    "absolute": lambda x: x.abs() / x.abs().sum(1, keepdim=True),
    "minimum-subtracted": lambda x: (
        (x - x.amin(1, keepdim=True)).exp()
        / (x - x.amin(1, keepdim=True)).exp().sum(1, keepdim=True)
    ),
    "cold": lambda x: softmax(2 * x),
    "powers-of-two": lambda x: softmax(x * np.log(2)),
    "clamped": lambda x: softmax(x.clamp(-5, 5)),
    "in-place": in_place,
    "double": lambda x: softmax(x).double() + 1e-3,
    "one-in-a-thousand": lambda x: softmax(x) * 1.001,
    "first-row": lambda x: softmax(x)[:1].expand_as(x),
}
SOFTMAX_RIGHT = {
    "rowwise": rowwise,
    "functional": lambda x: torch.nn.functional.softmax(x, dim=-1),
    "log-softmax": lambda x: torch.log_softmax(x, dim=1).exp(),
    "module": lambda x: torch.nn.Softmax(dim=1)(x),
    "detached-maximum": lambda x: (
        (x - x.amax(1, keepdim=True).detach()).exp()
        / (x - x.amax(1, keepdim=True).detach()).exp().sum(1, keepdim=True)
    ),
}
SOFTMAX_NAMED = {
    "over-the-batch/functional": lambda x: torch.nn.functional.softmax(x, dim=0),
    "overflow/loop": lambda x: torch.stack([r.exp() / r.exp().sum() for r in x]),
    "one-maximum-for-all/amax": lambda x: (
        (x - x.amax()).exp() / (x - x.amax()).exp().sum(-1, keepdim=True)
    ),
    "overflow/a-little-more-below": lambda x: x.exp() / (x.exp().sum(1, keepdim=True) + 1e-6),
    "overflow/einsum": lambda x: torch.einsum("ba,b->ba", x.exp(), 1 / x.exp().sum(1)),
    "one-maximum-for-all/number": lambda x: (
        (x - x.max().item()).exp() / (x - x.max().item()).exp().sum(-1, keepdim=True)
    ),
    "not-normalised/maximum": lambda x: (x - x.max()).exp(),
    "log-probabilities/functional": lambda x: torch.nn.functional.log_softmax(x, dim=-1),
}

# ----------------------------------------------------------------------------- grad_log_softmax


def score(x, a):
    return torch.eye(x.shape[1])[a] - softmax(x)


def scatter(x, a):
    return (-softmax(x)).scatter_add(1, a[:, None], torch.ones(len(a), 1))


SCORE_WRONG = {
    "list": lambda x, a: score(x, a).tolist(),
    "columns-not-counted": lambda x, a: torch.nn.functional.one_hot(a) - softmax(x),
    "one-number-a-row": lambda x, a: torch.log_softmax(x, 1)[torch.arange(len(a)), a],
    "next-action": lambda x, a: score(x, (a + 1) % x.shape[1]),
    "greedy-action": lambda x, a: score(x, x.argmax(1)),
    "first-action": lambda x, a: score(x, torch.zeros_like(a)),
    "normalised": lambda x, a: score(x, a) / (score(x, a).norm(dim=1, keepdim=True) + 1e-8),
    "minus-uniform": lambda x, a: torch.eye(x.shape[1])[a] - 1 / x.shape[1],
    "twice": lambda x, a: 2 * score(x, a),
    "summed": lambda x, a: score(x, a).sum(dim=0, keepdim=True).expand_as(x),
    "transposed": lambda x, a: score(x, a).T,
    "zeros": lambda x, a: torch.zeros_like(x),
    "logits-for-pi": lambda x, a: torch.eye(x.shape[1])[a] - x,
    "log-pi": lambda x, a: torch.eye(x.shape[1])[a] - torch.log_softmax(x, 1),
    "divided-by-pi": lambda x, a: score(x, a) / softmax(x).gather(1, a[:, None]),
}
SCORE_RIGHT = {
    "scatter": scatter,
    "comparison": lambda x, a: (torch.arange(x.shape[1]) == a[:, None]).float() - softmax(x),
    "where": lambda x, a: torch.where(
        torch.arange(x.shape[1])[None] == a[:, None], 1 - softmax(x), -softmax(x)
    ),
    "jacobian": lambda x, a: torch.stack(
        [
            torch.autograd.functional.jacobian(lambda r, k=k: torch.log_softmax(r, 0)[k], row)
            for row, k in zip(x, a.tolist(), strict=True)
        ]
    ),
}
SCORE_NAMED = {
    "only-the-taken-entry/eye": lambda x, a: torch.eye(x.shape[1])[a] * score(x, a),
    "one-hot-only/eye": lambda x, a: torch.eye(x.shape[1])[a],
    "sign/eye": lambda x, a: -score(x, a),
    "gradient-of-pi/eye": lambda x, a: score(x, a) * softmax(x)[range(len(a)), a][:, None],
    "batch-mean/eye": lambda x, a: score(x, a) / x.shape[0],
}

# ------------------------------------------------------------------------- exact_policy_gradient


def gradient(pi_of=softmax, matrix=lambda P_pi, g: g * P_pi, last=lambda d, pi, q, v: 0, **parts):
    def exact_policy_gradient(P, R, start, logits, gamma):
        pi = pi_of(logits)
        P_pi = (pi[:, :, None] * P).sum(dim=1)
        eye = torch.eye(len(start), dtype=torch.float64)
        v = torch.linalg.inv(eye - matrix(P_pi, gamma)) @ (pi * parts.get("R", lambda r: r)(R)).sum(
            1
        )
        q = R + gamma * torch.einsum("sat,t->sa", P, v)
        d = start @ torch.linalg.inv(eye - gamma * P_pi)
        return parts.get("end", lambda d, pi, q, v: d[:, None] * pi * (q - v[:, None]))(d, pi, q, v)

    return exact_policy_gradient


def truncated(P, R, start, logits, gamma, steps=20):
    """The first twenty steps only."""
    pi = softmax(logits)
    P_pi = torch.einsum("sa,sat->st", pi, P)
    v, d, visits = torch.zeros_like(start), start, torch.zeros_like(start)
    for _ in range(steps):
        v = (pi * R).sum(1) + gamma * P_pi @ v
        visits, d = visits + d, gamma * (d @ P_pi)
    q = R + gamma * P @ v
    return visits[:, None] * pi * (q - v[:, None])


EXACT_WRONG = {
    "rounded": lambda *a: gradient()(*a).round(decimals=4),
    "ones": lambda *a: torch.ones_like(a[3]),
    "uniform-policy": gradient(lambda x: torch.full_like(x, 1 / x.shape[1])),
    "softmax-over-states": gradient(lambda x: softmax(x, 0)),
    "undiscounted-values": gradient(matrix=lambda P_pi, g: 0.99 * g * P_pi),
    "transposed-values": gradient(matrix=lambda P_pi, g: g * P_pi.T),
    "by-the-column": gradient(
        end=lambda d, pi, q, v: (d * (pi * (q - v[:, None])).T).T.sum(0, keepdim=True).expand_as(pi)
    ),
    "summed": gradient(end=lambda d, pi, q, v: (d[:, None] * pi * (q - v[:, None])).sum()),
    "max-for-v": gradient(end=lambda d, pi, q, v: d[:, None] * pi * (q - q.amax(1, keepdim=True))),
    "mean-for-v": gradient(end=lambda d, pi, q, v: d[:, None] * pi * (q - q.mean(1, keepdim=True))),
    "policy-twice": gradient(end=lambda d, pi, q, v: d[:, None] * pi**2 * (q - v[:, None])),
    "no-states": gradient(end=lambda d, pi, q, v: pi * (q - v[:, None])),
    "truncated": truncated,
    "hard-coded-gamma": lambda P, R, s, h, gamma: gradient()(P, R, s, h, 0.9),
    "uniform-start": lambda P, R, s, h, gamma: gradient()(
        P, R, torch.ones_like(s) / len(s), h, gamma
    ),
}
EXACT_RIGHT = {
    "inverse": gradient(),
    "long-sum": lambda *a: truncated(*a, steps=2000),
    "autograd-of-the-surrogate": lambda P, R, s, h, gamma: surrogate(P, R, s, h, gamma),
    "finite": lambda P, R, s, h, gamma: central(P, R, s, h, gamma),
}


def surrogate(P, R, start, logits, gamma):
    pi = softmax(logits)
    eye = torch.eye(len(start), dtype=P.dtype)
    advance = eye - gamma * torch.einsum("sa,sat->st", pi, P)
    q = R + gamma * P @ torch.linalg.solve(advance, (pi * R).sum(1))
    d = torch.linalg.solve(advance.T, start)
    leaf = logits.detach().clone().requires_grad_()
    (d[:, None] * softmax(leaf) * q).sum().backward()
    return leaf.grad


def central(P, R, start, logits, gamma, eps=1e-4):
    """Differences of fourth order: exact enough for the tolerance."""

    def value(x):
        pi = softmax(x)
        eye = torch.eye(len(start), dtype=P.dtype)
        advance = eye - gamma * torch.einsum("sa,sat->st", pi, P)
        return start @ torch.linalg.solve(advance, (pi * R).sum(1))

    out = torch.zeros_like(logits)
    for index in np.ndindex(*logits.shape):
        e = torch.zeros_like(logits)
        e[index] = eps
        out[index] = 8 * (value(logits + e) - value(logits - e))
        out[index] -= value(logits + 2 * e) - value(logits - 2 * e)
    return out / (12 * eps)


def singular(P, R, start, logits, gamma):
    """The visits are asked of a matrix that has no inverse where no episode ends."""
    pi = softmax(logits)
    P_pi = torch.einsum("sa,sat->st", pi, P)
    eye = torch.eye(len(start), dtype=P.dtype)
    v = torch.linalg.solve(eye - gamma * P_pi, (pi * R).sum(1))
    d = torch.linalg.solve(eye - P_pi.T, start)
    return d[:, None] * pi * (R + gamma * P @ v - v[:, None])


EXACT_NAMED = {
    "undiscounted-states/solve": singular,
    "q-without-v/inverse": gradient(end=lambda d, pi, q, v: d[:, None] * pi * q),
    "pi-forgotten/inverse": gradient(end=lambda d, pi, q, v: d[:, None] * (q - v[:, None])),
    "sign/inverse": gradient(end=lambda d, pi, q, v: d[:, None] * pi * (v[:, None] - q)),
    "normalised-occupancy/after": lambda P, R, s, h, g: (1 - g) * gradient()(P, R, s, h, g),
}

# --------------------------------------------------------------------------------------- losses


def rl(log_prob, returns):
    return -torch.dot(log_prob, returns.detach()) / len(log_prob)


def bl(log_prob, returns, value, scale=1.0, policy=None, fit=None):
    g = returns.detach()
    adv = (g - value).detach() if policy is None else policy(g, value)
    fitted = ((g - value) ** 2).mean() / 2 if fit is None else fit(g, value)
    return scale * rl(log_prob, adv), fitted


LOSS_WRONG = {
    "float": lambda x, g: float(rl(x, g).detach()),
    "vector": lambda x, g: -x * g.detach(),
    "shape-one": lambda x, g: rl(x, g).reshape(1),
    "minus-one-in-b": lambda x, g: rl(x, g) * len(x) / max(len(x) - 1, 1),
    "half": lambda x, g: rl(x, g) / 2,
    "squared": lambda x, g: -(x * g.detach() ** 2).mean(),
    "absolute": lambda x, g: rl(x, g.abs()),
    "absolute-log": lambda x, g: -rl(x.abs(), g),
    "cumulated": lambda x, g: rl(x, g.flip(0).cumsum(0)),
    "first-step": lambda x, g: -x[0] * g[0].detach(),
    "reversed": lambda x, g: rl(x, g.flip(0)),
    "clamped": lambda x, g: rl(x, g.clamp(min=0)),
    "with-entropy": lambda x, g: rl(x, g) + 0.01 * x.mean(),
    "own-backward": lambda x, g: (rl(x, g).backward(), rl(x, g))[1],
}
LOSS_RIGHT = {
    "einsum": lambda x, g: -torch.einsum("b,b->", x, g.detach()) / x.shape[0],
    "numpy-returns": lambda x, g: -(x * torch.from_numpy(g.detach().numpy())).mean(),
    "negated-first": lambda x, g: (-g.data * x).mean(),
    "list": lambda x, g: sum(-a * b for a, b in zip(x, g.tolist(), strict=True)) / len(x),
}
LOSS_NAMED = {
    "sign/dot": lambda x, g: torch.dot(x, g.detach()) / len(x),
    "sum/dot": lambda x, g: -torch.dot(x, g.detach()),
    "return-gradient/dot": lambda x, g: -torch.dot(x, g) / len(x),
    "product-of-means/outer": lambda x, g: -torch.outer(x, g.detach()).mean(),
    "baseline-subtracted/std": lambda x, g: -(x * (g - g.mean()) / (g.std() + 1e-8)).mean(),
    "probabilities/pow": lambda x, g: -(torch.e**x * g.detach()).mean(),
}

# ----------------------------------------------------------------------------- optimal_baseline


def norms(pi, p=2):
    """(B, A): the p-norm of e_a − π."""
    return (torch.eye(pi.shape[1], dtype=pi.dtype) - pi[:, None]).norm(p=p, dim=-1)


def under(w, q):
    return torch.einsum("ba,ba->b", w, q) / w.sum(-1)


def b_star(pi, q):
    return under(pi * norms(pi) ** 2, q)


def value(pi, q):
    return torch.einsum("ba,ba->b", pi, q)


def jacobians(pi):
    """(B, A, A): row a of each is ∇π_a."""
    return torch.diag_embed(pi) - pi[:, :, None] * pi[:, None, :]


def overwritten(pi, q):
    out = b_star(pi, q)
    q -= out[:, None]
    return out


def moment(pi, q, b):
    return (pi * norms(pi) ** 2 * (q - b) ** 2).sum(1)


def by_parabola(pi, q):
    low, mid, high = (moment(pi, q, b) for b in (-1.0, 0.0, 1.0))
    return 0.5 * (low - high) / (low - 2 * mid + high)


def by_least_squares(pi, q):
    root = (pi.sqrt() * norms(pi))[:, :, None]
    return torch.linalg.lstsq(root, root * q[:, :, None]).solution[:, 0, 0]


def by_covariance(pi, q):
    squares = norms(pi) ** 2
    mean = value(pi, squares)
    covariance = value(pi, (squares - mean[:, None]) * (q - value(pi, q)[:, None]))
    return value(pi, q) + covariance / mean


def in_numpy(pi, q):
    p, x = pi.numpy(), q.numpy()
    w = p * ((np.eye(p.shape[1])[None] - p[:, None, :]) ** 2).sum(-1)
    return torch.as_tensor(np.average(x, axis=1, weights=w))


def by_rows(pi, q):
    rows = []
    for p, x in zip(pi.tolist(), q.tolist(), strict=True):
        w = [a * (1 - 2 * a + sum(b * b for b in p)) for a in p]
        rows.append(sum(u * v for u, v in zip(w, x, strict=True)) / sum(w))
    return torch.tensor(rows, dtype=torch.float64)


def by_jacobian(pi, q):
    return under((jacobians(pi) ** 2).sum(-1) / pi, q)


def componentwise(pi, q):
    squares = pi[:, :, None] * (torch.eye(pi.shape[1], dtype=pi.dtype) - pi[:, None]) ** 2
    return torch.einsum("bac,ba->bc", squares, q) / squares.sum(1)


OPTIMAL_WRONG = {
    "greedy": lambda pi, q: q.max(dim=1).values,
    "likeliest": lambda pi, q: q.gather(1, pi.argmax(1, keepdim=True))[:, 0],
    "median": lambda pi, q: q.median(dim=1).values,
    "root-mean-square": lambda pi, q: value(pi, q * q).sqrt(),
    "root-of-the-moment": lambda pi, q: moment(pi, q, 0.0).sqrt(),
    "what-is-minimised": lambda pi, q: moment(pi, q, value(pi, q)[:, None]),
    "advantage": lambda pi, q: q - b_star(pi, q)[:, None],
    "beyond-the-value": lambda pi, q: b_star(pi, q) - value(pi, q),
    "half-way-to-the-value": lambda pi, q: (b_star(pi, q) + value(pi, q)) / 2,
    "third-power": lambda pi, q: under(pi * norms(pi) ** 3, q),
    "fourth-power": lambda pi, q: under(pi * norms(pi) ** 4, q),
    "spread-of-a-coin": lambda pi, q: under(pi * (1 - pi), q),
    "entropy": lambda pi, q: under(-pi * pi.log(), q),
    "surprise": lambda pi, q: under(-pi.log(), q),
    "inverse-probabilities": lambda pi, q: under(1 / pi, q),
    "squared-values": lambda pi, q: (pi * norms(pi) ** 2 * q * q).sum(1) / value(pi * norms(pi) ** 2, q),
    "single-precision": lambda pi, q: b_star(pi.float(), q.float()),
    "numpy": lambda pi, q: b_star(pi, q).numpy(),
    "list": lambda pi, q: b_star(pi, q).tolist(),
    "in-place": overwritten,
    "first-row": lambda pi, q: b_star(pi[:1], q[:1]).expand(len(pi)),
    "transposed": lambda pi, q: b_star(pi.T, q.T),
    "scores": lambda pi, q: norms(pi),
    "pi-forgotten + not-normalised": lambda pi, q: (norms(pi) ** 2 * q).sum(1),
    "only-the-taken-entry + over-the-batch": lambda pi, q: (
        (pi * (1 - pi) ** 2 * q).sum() / (pi * (1 - pi) ** 2).sum()
    ).repeat(len(pi)),
    "length-not-squared + pi-forgotten": lambda pi, q: under(norms(pi), q),
    "gradient-of-pi + not-normalised": lambda pi, q: (
        pi * (jacobians(pi) ** 2).sum(-1) * q
    ).sum(1),
    "probabilities-again + only-the-taken-entry": lambda pi, q: under(
        softmax(pi) * (1 - softmax(pi)) ** 2, q
    ),
    "length-not-squared + factor-lost": lambda pi, q: -under(pi * norms(pi), q),
}  # fmt: skip
OPTIMAL_RIGHT = {
    "parabola": by_parabola,
    "least-squares": by_least_squares,
    "covariance": by_covariance,
    "numpy-average": in_numpy,
    "rows": by_rows,
    "jacobian": by_jacobian,
    "two-norms": b_star,
    "double": lambda pi, q: b_star(pi.double(), q.double()),
}
OPTIMAL_NAMED = {
    "mean-value/einsum": value,
    "mean-value/expected-length": lambda pi, q: under(pi * (1 - (pi**2).sum(1, keepdim=True)), q),
    "mean-value/numpy": lambda pi, q: torch.as_tensor(
        np.average(q.numpy(), axis=1, weights=pi.numpy())
    ),
    "pi-forgotten/norm": lambda pi, q: under(norms(pi) ** 2, q),
    "only-the-taken-entry/largest": lambda pi, q: under(pi * norms(pi, float("inf")) ** 2, q),
    "only-the-taken-entry/absolute": lambda pi, q: under(pi * norms(pi, 1) ** 2, q),
    "length-not-squared/norm": lambda pi, q: under(pi * norms(pi), q),
    "gradient-of-pi/jacobian": lambda pi, q: under(pi * (jacobians(pi) ** 2).sum(-1), q),
    "gradient-of-pi/jacobian-alone": lambda pi, q: under((jacobians(pi) ** 2).sum(-1), q),
    "plain-mean/numpy": lambda pi, q: torch.as_tensor(q.numpy().mean(axis=1)),
    "not-normalised/norm": lambda pi, q: value(pi, norms(pi) ** 2 * q),
    "over-the-batch/all": lambda pi, q: torch.full_like(
        q[:, 0], float((pi * norms(pi) ** 2 * q).sum() / (pi * norms(pi) ** 2).sum())
    ),
    "one-for-each-component/einsum": componentwise,
    "two-actions-stretched/average": lambda pi, q: ((1 - pi) * q).sum(1) / (pi.shape[1] - 1),
    "factor-lost/twice": lambda pi, q: 2 * b_star(pi, q),
    "column/keepdim": lambda pi, q: b_star(pi, q).unsqueeze(1),
}

# -------------------------------------------------------------------------------- baseline_loss

BASELINE_WRONG = {
    "only-the-policy": lambda x, g, b: bl(x, g, b)[0],
    "sum-of-both": lambda x, g, b: sum(bl(x, g, b)),
    "absolute-error": lambda x, g, b: bl(x, g, b, fit=lambda g, b: (g - b).abs().mean()),
    "huber": lambda x, g, b: bl(x, g, b, fit=lambda g, b: torch.nn.functional.smooth_l1_loss(b, g)),
    "all-pairs": lambda x, g, b: bl(x, g, b, fit=lambda g, b: ((g[:, None] - b) ** 2).mean() / 2),
    "standardised": lambda x, g, b: bl(
        x,
        g,
        b,
        policy=lambda g, b: (g - b).detach() / ((g - b).detach().std(unbiased=False) + 1e-8),
    ),
    "mean-as-baseline": lambda x, g, b: bl(x, g, b, policy=lambda g, b: g - g.mean()),
    "baseline-alone": lambda x, g, b: bl(x, g, b, policy=lambda g, b: -b.detach()),
    "value-fits-policy": lambda x, g, b: bl(x, g, b, fit=lambda g, b: ((x - b) ** 2).mean() / 2),
    "policy-halved": lambda x, g, b: bl(x, g, b, scale=0.5),
    "clipped": lambda x, g, b: bl(x, g, b, policy=lambda g, b: (g - b).detach().clamp(-1, 1)),
    "floats": lambda x, g, b: tuple(float(y.detach()) for y in bl(x, g, b)),
    "value-uphill": lambda x, g, b: bl(x, g, b, fit=lambda g, b: -((g - b) ** 2).mean() / 2),
}
BASELINE_RIGHT = {
    "own-functions": bl,
    "list": lambda x, g, b: list(bl(x, g, b)),
    "variance-form": lambda x, g, b: bl(
        x, g, b, fit=lambda g, b: (b * b / 2 - b * g).mean() + (g * g).mean() / 2
    ),
    "no-grad": lambda x, g, b: (
        rl(x, torch.as_tensor((g - b).detach().numpy())),
        0.5 * torch.nn.functional.mse_loss(b, g.detach()),
    ),
}
BASELINE_NAMED = {
    "no-half/mse": lambda x, g, b: bl(x, g, b, fit=lambda g, b: torch.nn.functional.mse_loss(b, g)),
    "sign/policy": lambda x, g, b: bl(x, g, b, scale=-1.0),
    "baseline-added/policy": lambda x, g, b: bl(x, g, b, policy=lambda g, b: (g + b).detach()),
    "no-half/leaky": lambda x, g, b: (bl(x, g, b)[0], torch.nn.functional.mse_loss(b, g)),
    "return-gradient/policy": lambda x, g, b: (-(x * (g - b.detach())).mean(), bl(x, g, b)[1]),
    "sum/value": lambda x, g, b: bl(x, g, b, fit=lambda g, b: ((g - b) ** 2).sum() / 2),
    "all-pairs/policy": lambda x, g, b: (
        -(x * (g[:, None] - b).detach()).mean(),
        bl(x, g, b)[1],
    ),
    "swapped/tuple": lambda x, g, b: (bl(x, g, b)[1], bl(x, g, b)[0]),
}

# -------------------------------------------------------------------------------------- the loop


def play(env, policy, rng, flags=lambda terminated, truncated: terminated or truncated):
    log_probs, rewards = [], []
    obs, _ = env.reset()
    while True:
        action, log_prob = policy(obs, rng)
        obs, reward, terminated, truncated, _ = env.step(action)
        log_probs.append(log_prob)
        rewards.append(reward)
        if flags(terminated, truncated):
            return log_probs, rewards


def standardised(g):
    return ((g - g.mean()) / (g.std() + 1e-8)).tolist()


def loop(
    weights=lambda r, g: [sum(g**k * x for k, x in enumerate(r[t:])) for t in range(len(r))],
    totals=sum,
    loss=lambda log_probs, w: -sum(x * y for x, y in zip(log_probs, w, strict=True)),
    steps=1,
    extra_reset=False,
    after=lambda optimizer: None,
    flags=lambda terminated, truncated: terminated or truncated,
):
    def reinforce(env, policy, optimizer, episodes, gamma, rng, keep_gamma_t=False):
        out = []
        for _ in range(episodes):
            log_probs, rewards = play(env, policy, rng, flags)
            w = weights(rewards, gamma)
            if keep_gamma_t:
                w = [gamma**t * x for t, x in enumerate(w)]
            optimizer.zero_grad()
            loss(log_probs, w).backward()
            for _ in range(steps):
                optimizer.step()
            after(optimizer)
            out.append(totals(rewards))
        if extra_reset:
            env.reset()
        return np.array(out, dtype=float)

    return reinforce


def one_step_at_the_end(env, policy, optimizer, episodes, gamma, rng, keep_gamma_t=False):
    """All episodes with the first weights."""
    optimizer.zero_grad()
    out = []
    for _ in range(episodes):
        log_probs, rewards = play(env, policy, rng)
        for t, x in enumerate(log_probs):
            g = sum(gamma**k * r for k, r in enumerate(rewards[t:]))
            (-(gamma**t if keep_gamma_t else 1) * g * x).backward(retain_graph=True)
        out.append(sum(rewards))
    optimizer.step()
    return np.array(out)


def halve(optimizer):
    for group in optimizer.param_groups:
        group["lr"] *= 0.5


LOOP_WRONG = {
    "one-step-at-the-end": one_step_at_the_end,
    "two-steps": loop(steps=2),
    "extra-reset": loop(extra_reset=True),
    "learning-rate-halved": loop(after=halve),
    "last-step-left-out": loop(loss=lambda x, w: -sum(a * b for a, b in zip(x[:-1], w, strict=False)) + 0 * x[0]),
    "product-of-sums": loop(loss=lambda x, w: -sum(x) * sum(w)),
    "mean-return": loop(totals=lambda r: sum(r) / len(r)),
    "lengths": loop(totals=len),
    "last-reward": loop(totals=lambda r: r[-1]),
    "probabilities": loop(loss=lambda x, w: -sum(a.exp() * b for a, b in zip(x, w, strict=True))),
    "gamma-once-more": loop(
        weights=lambda r, g: [sum(g ** (k + 1) * x for k, x in enumerate(r[t:])) for t in range(len(r))]
    ),
    "starts-one-late": loop(
        weights=lambda r, g: [sum(g**k * x for k, x in enumerate(r[t + 1 :])) for t in range(len(r))]
    ),
    "never-truncated": loop(flags=lambda terminated, truncated: terminated),
    "never-terminated": loop(flags=lambda terminated, truncated: truncated),
    "list": lambda *a, **k: loop()(*a, **k).tolist(),
    "column": lambda *a, **k: loop()(*a, **k)[:, None],
    "nothing": lambda *a, **k: (loop()(*a, **k), None)[1],
    "own-generator": lambda e, p, o, n, g, rng, k=False: loop()(e, p, o, n, g, np.random.default_rng(0), k),
}  # fmt: skip


def step_by_step(env, policy, optimizer, episodes, gamma, rng, keep_gamma_t=False):
    """A step at every t, as in the book's box."""
    out = []
    for _ in range(episodes):
        log_probs, rewards = play(env, policy, rng)
        for t, x in enumerate(log_probs):
            g = sum(gamma**k * r for k, r in enumerate(rewards[t:]))
            optimizer.zero_grad()
            (-(gamma**t if keep_gamma_t else 1) * g * x).backward()
            optimizer.step()
        out.append(sum(rewards))
    return np.array(out)


LOOP_RIGHT = {
    "plain": loop(),
    "single-precision": lambda *a, **k: loop()(*a, **k).astype(np.float32),
    "dot": loop(loss=lambda x, w: -torch.stack(x) @ torch.tensor(w, dtype=torch.float32)),
    "keyword": lambda env, policy, optimizer, episodes, gamma, rng, keep_gamma_t=False: loop()(
        env, policy, optimizer, episodes, gamma, rng, keep_gamma_t=keep_gamma_t
    ),
    "cleared-afterwards": loop(after=lambda optimizer: optimizer.zero_grad()),
}
LOOP_NAMED = {
    "sign/loop": loop(loss=lambda x, w: sum(a * b for a, b in zip(x, w, strict=True))),
    "mean-over-steps/loop": loop(
        loss=lambda x, w: -sum(a * b for a, b in zip(x, w, strict=True)) / len(x)
    ),
    "rewards-for-returns/loop": loop(weights=lambda r, g: r),
    "first-return-for-all/loop": loop(
        weights=lambda r, g: [sum(g**k * x for k, x in enumerate(r))] * len(r)
    ),
    "undiscounted/loop": loop(weights=lambda r, g: [sum(r[t:]) for t in range(len(r))]),
    "never-steps/loop": loop(steps=0),
    "step-at-every-t/book": step_by_step,
    "discounted-from-the-start/loop": loop(
        weights=lambda r, g: [sum(g**k * r[k] for k in range(t, len(r))) for t in range(len(r))]
    ),
    "baseline-subtracted/torch": loop(
        weights=lambda r, g: standardised(
            torch.tensor([sum(g**k * x for k, x in enumerate(r[t:])) for t in range(len(r))])
        )
    ),
}

WRONG = {
    "softmax_policy": SOFTMAX_WRONG,
    "grad_log_softmax": SCORE_WRONG,
    "exact_policy_gradient": EXACT_WRONG,
    "reinforce_loss": LOSS_WRONG,
    "optimal_baseline": OPTIMAL_WRONG,
    "baseline_loss": BASELINE_WRONG,
    "reinforce": LOOP_WRONG,
}
RIGHT = {
    "softmax_policy": SOFTMAX_RIGHT,
    "grad_log_softmax": SCORE_RIGHT,
    "exact_policy_gradient": EXACT_RIGHT,
    "reinforce_loss": LOSS_RIGHT,
    "optimal_baseline": OPTIMAL_RIGHT,
    "baseline_loss": BASELINE_RIGHT,
    "reinforce": LOOP_RIGHT,
}
NAMED = {
    "softmax_policy": SOFTMAX_NAMED,
    "grad_log_softmax": SCORE_NAMED,
    "exact_policy_gradient": EXACT_NAMED,
    "reinforce_loss": LOSS_NAMED,
    "optimal_baseline": OPTIMAL_NAMED,
    "baseline_loss": BASELINE_NAMED,
    "reinforce": LOOP_NAMED,
}

# Wrong answers of which the mistake is listed by now.
_LISTED = {
    "exact_policy_gradient": {
        "softmax-over-states": "over-the-batch",
        "mean-for-v": "plain-mean-for-v",
        "no-states": "every-state-alike",
        "uniform-start": "every-state-alike",
    },
    "reinforce_loss": {
        "vector": "not-averaged",
    },
    "baseline_loss": {
        "sum-of-both": "added-up",
        "absolute-error": "no-squared-error",
        "huber": "no-squared-error",
        "mean-as-baseline": "one-baseline-for-all",
        "value-uphill": "value-sign",
    },
    "reinforce": {
        "one-step-at-the-end": "one-step-in-all",
        "lengths": "lengths-returned",
        "gamma-once-more": "reward-discounted",
    },
}
also_named(NAMED, WRONG, _LISTED)
