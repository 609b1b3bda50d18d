"""Lesson 17: soft Q-learning's pieces. Keys as in `lesson_00`."""

import math

import numpy as np
import torch
from torch.nn import functional as F

from rlcourse.continuous import soft_q


def distances(x, y):
    return ((x[..., :, None, :] - y[..., None, :, :]) ** 2).sum(dim=-1)


def kernel_of_reversed(x, y, h):
    return torch.exp(-distances(y, x).transpose(-1, -2) / h)


def kernel_by_norms(x, y, h):
    xx, yy = (x**2).sum(-1)[..., :, None], (y**2).sum(-1)[..., None, :]
    return torch.exp(-((xx + yy - 2 * x @ y.transpose(-1, -2)) / h))


def kernel_in_place(x, y, h):
    x -= 0.5
    return soft_q.rbf_kernel(x + 0.5, y, h)


def value(inside=lambda q, lq, a: q / a - lq, outside=lambda x, a: a * x):
    def soft_value_estimate(q, log_q_proposal, alpha):
        x = inside(q, log_q_proposal, alpha)
        return outside(torch.logsumexp(x, dim=1) - math.log(q.shape[1]), alpha)

    return soft_value_estimate


def value_by_softmax(q, log_q_proposal, alpha):
    """log Σ e^x = x_0 − log softmax(x)_0"""
    x = q / alpha - log_q_proposal
    return alpha * (x[:, 0] - torch.log_softmax(x, dim=1)[:, 0] - math.log(q.shape[1]))


def value_by_logaddexp(q, log_q_proposal, alpha):
    x = (q / alpha - log_q_proposal).unbind(dim=1)
    total = x[0]
    for each in x[1:]:
        total = torch.logaddexp(total, each)
    return (total - math.log(len(x))) * alpha


def direction_by_jacobian(x, score, y, h):
    """One state at a time by the Jacobian of the kernel's columns."""
    if x.ndim > 2:
        h = torch.as_tensor(h)
        each = h if h.ndim > 2 else [h] * len(x)
        parts = zip(x, score, y, each, strict=True)
        return torch.stack([direction_by_jacobian(*part) for part in parts])
    k = soft_q.rbf_kernel(x, y, h)
    slopes = torch.func.jacrev(lambda z: soft_q.rbf_kernel(z, y, h).sum(dim=0))(x)  # (M, K, D)
    return (k.T @ score + slopes.sum(dim=1)) / len(x)


def direction_in_numpy(x, score, y, h):
    x, score, y = (t.double().numpy() for t in (x, score, y))
    h = np.asarray(h, dtype=np.float64)
    d = y[..., None, :, :] - x[..., :, None, :]
    k = np.exp(-(d**2).sum(axis=-1) / h)
    out = np.einsum("...km,...kd->...md", k, score) + np.einsum("...km,...kmd->...md", 2 * k / h, d)
    return torch.from_numpy((out / x.shape[-2]).astype(np.float32))


def without_self(x, score, y, h):
    k = soft_q.rbf_kernel(x, y, h)
    k = torch.where(distances(x, y) == 0, 0.0, k)
    push = (2 * k / h)[..., None] * (y[..., None, :, :] - x[..., :, None, :])
    return (k.transpose(-1, -2) @ score + push.sum(dim=-3)) / x.shape[-2]


def score_by_func(q_net, obs, u, alpha):
    def log_p(v, s):
        q = q_net(s[None], torch.tanh(v)[None])[0]
        return q / alpha - 2 * (F.softplus(2 * v) - v - math.log(2)).sum()

    each = torch.vmap(torch.vmap(torch.func.grad(log_p), (0, None)), (0, 0))
    return each(u, obs).detach()


def score_by_given_inputs(q_net, obs, u, alpha):
    v = u.clone().requires_grad_()
    rows = obs[:, None].expand(-1, u.shape[1], -1).flatten(0, 1)
    q = q_net(rows, torch.tanh(v).flatten(0, 1))
    total = (q / alpha).sum() + 2 * (math.log(2) - v - F.softplus(-2 * v)).sum()
    total.backward(inputs=[v])
    return v.grad


def score_clamped(q_net, obs, u, alpha):
    return soft_q.soft_policy_score(q_net, obs, u.clamp(-5, 5), alpha)


def update(**hooks):
    def soft_q_update(agent_state, batch, proposal, noise):
        return soft_q.soft_q_update(agent_state, batch, proposal, noise, **hooks)

    return soft_q_update


def positive_labels(reward, v_next, terminated, gamma):
    return soft_q.soft_q_target(reward, v_next, terminated, gamma).clamp(min=0)


def clipped(u_limit):
    """The score only within bounds: a particle further out stands still."""

    def score(q_net, obs, u, alpha):
        return soft_q.soft_policy_score(q_net, obs, u, alpha) * (u.abs() < u_limit)

    return score


def normed(x, score, y, h):
    found = soft_q.svgd_direction(x, score, y, h)
    return found / found.norm(dim=-1, keepdim=True).clamp(min=1e-6)


def own_kernel_twice(agent_state, batch, proposal, noise):
    soft_q.soft_q_update(agent_state, batch, proposal, noise)
    return soft_q.soft_q_update(agent_state, batch, proposal, noise)


def proposal_for_noise(agent_state, batch, proposal, noise):
    return soft_q.soft_q_update(agent_state, batch, proposal, proposal)


def noise_for_proposal(agent_state, batch, proposal, noise):
    return soft_q.soft_q_update(agent_state, batch, torch.tanh(noise), noise)


def nothing(agent_state, batch, proposal, noise):
    return {"q_loss": 0.0}


def returns_nothing(agent_state, batch, proposal, noise):
    soft_q.soft_q_update(agent_state, batch, proposal, noise)


def entropy_regularised(agent_state, batch, proposal, noise):
    return soft_q.soft_q_update(
        agent_state, batch._replace(reward=batch.reward + 0.1), proposal, noise
    )


def pair(half):
    return lambda mean, std, h: (mean - half(std, h), mean + half(std, h))


def by_newton(mean, std, h):
    """k (1 + 4σ²/h) = 1 with k = e^{−4d²/h}, for d, by Newton's steps in log."""
    target = math.log1p(4 * std**2 / h)
    x = 1.0
    for _ in range(200):
        x = x - (x * x - target) / (2 * x)
    return mean - x * math.sqrt(h) / 2, mean + x * math.sqrt(h) / 2


WRONG = {
    "soft_value_estimate": {
        "constant": lambda q, lq, a: torch.zeros(len(q)),
        "first-action": lambda q, lq, a: q[:, 0],
        "keeps-an-axis": lambda q, lq, a: value()(q, lq, a)[:, None],
        "one-number": lambda q, lq, a: value()(q, lq, a).mean(),
        "median": lambda q, lq, a: a * (q / a - lq).median(dim=1).values,
        "clipped-at-0": lambda q, lq, a: value()(q, lq, a).clamp(min=0),
        "log-base-2": value(outside=lambda x, a: a * x / math.log(2)),
        "density-not-log": value(lambda q, lq, a: q / a - torch.as_tensor(lq).exp()),
        "mean-plus-variance": lambda q, lq, a: (q - a * lq).mean(1) + (q - a * lq).var(1, correction=0) / (2 * a),
        "self-normalised": lambda q, lq, a: (torch.softmax(q / a - lq, dim=1) * q).sum(dim=1),
    },
    "rbf_kernel": {
        "constant": lambda x, y, h: torch.ones(*x.shape[:-1], y.shape[-2]),
        "x-only": lambda x, y, h: soft_q.rbf_kernel(x, x, h),
        "manhattan-squared": lambda x, y, h: torch.exp(-((x[..., :, None, :] - y[..., None, :, :]).abs().sum(-1) ** 2) / h),
        "largest-dimension": lambda x, y, h: torch.exp(-((x[..., :, None, :] - y[..., None, :, :]) ** 2).amax(-1) / h),
        "plus-eps": lambda x, y, h: torch.exp(-distances(x, y) / (h + 1e-2)),
        "in-place": kernel_in_place,
        "h-of-the-first-state": lambda x, y, h: torch.exp(-distances(x, y) / torch.as_tensor(h).flatten()[0]),
    },
    "median_bandwidth": {
        "constant": lambda x, y: torch.ones(*x.shape[:-2], 1, 1),
        "no-axes": lambda x, y: soft_q.median_bandwidth(x, y)[..., 0, 0],
        "x-only": lambda x, y: soft_q.median_bandwidth(x, x),
        "without-zeros": lambda x, y: (
            torch.nanmedian(torch.where(distances(x, y) == 0, math.nan, distances(x, y)).detach().flatten(-2), -1)
            .values.nan_to_num(0.0) / math.log(x.shape[-2] + 1)
        ).clamp(min=1e-3)[..., None, None],
        "median-squared-twice": lambda x, y: (soft_q.median_bandwidth(x, y) ** 2).clamp(min=1e-3),
        "over-two": lambda x, y: (soft_q.median_bandwidth(x, y) / 2).clamp(min=1e-3),
        "capped": lambda x, y: soft_q.median_bandwidth(x, y).clamp(max=1.0),
        "floor-too-high": lambda x, y: soft_q.median_bandwidth(x, y).clamp(min=1e-2),
    },
    "svgd_direction": {
        "constant": lambda x, s, y, h: torch.zeros_like(y),
        "y-ignored": lambda x, s, y, h: soft_q.svgd_direction(x, s, x, h),
        "without-self": without_self,
        "unit-length": normed,
        "repulsion-twice": lambda x, s, y, h: 2 * soft_q.svgd_direction(x, s, y, h) - soft_q.svgd_direction(x, s, y, h + 1e-9) + soft_q.svgd_direction(x, 0 * s, y, h),
        "h-doubled": lambda x, s, y, h: soft_q.svgd_direction(x, s, y, 2 * h),
        "times-h": lambda x, s, y, h: soft_q.svgd_direction(x, s * 0.5, y, h) * 2,
    },
    "two_particles": {
        "both-in-the-middle": lambda mean, std, h: (mean, mean),
        "log-1p-of-half": pair(lambda s, h: 0.5 * math.sqrt(h * math.log(1 + 2 * s / math.sqrt(h)))),
        "first-order": pair(lambda s, h: s * math.sqrt(max(0.0, 1 - 2 * s**2 / h))),
        "log10": pair(lambda s, h: 0.5 * math.sqrt(h * math.log10(1 + 4 * s**2 / h))),
        "mean-scaled": lambda mean, std, h: tuple(std * m for m in soft_q.two_particles(mean, 1.0, h)),
        "h-ignored": pair(lambda s, h: 0.5 * math.sqrt(s**2 * math.log(5))),
    },
    "soft_policy_score": {
        "constant": lambda q, obs, u, a: torch.zeros_like(u),
        "clamped": score_clamped,
        "q-only-at-0": lambda q, obs, u, a: soft_q.soft_policy_score(q, obs, 0 * u, a) - 2 * torch.tanh(u),
        "one-determinant-for-all": lambda q, obs, u, a: soft_q.soft_policy_score(q, obs, u, a) - 2 * (torch.tanh(u).sum(-1, keepdim=True) - torch.tanh(u)),
        "determinant-twice": lambda q, obs, u, a: soft_q.soft_policy_score(q, obs, u, a) - 2 * torch.tanh(u),
        "flat": lambda q, obs, u, a: soft_q.soft_policy_score(q, obs, u, a).flatten(0, 1),
        "alpha-squared": lambda q, obs, u, a: soft_q.soft_policy_score(q, obs, u, a**2),
    },
    "soft_q_update": {
        "nothing": nothing,
        "returns-nothing": returns_nothing,
        "twice": own_kernel_twice,
        "proposal-for-noise": proposal_for_noise,
        "noise-for-proposal": noise_for_proposal,
        "positive-labels": update(soft_q_target=positive_labels),
        "unit-directions": update(svgd_direction=normed),
        "bandwidth-halved": update(median_bandwidth=lambda x, y: soft_q.median_bandwidth(x, y) / 2),
        "score-cut-off": update(soft_policy_score=clipped(0.5)),
        "slow-copy-untouched-at-first": update(polyak_update=lambda target, online, rho: None),
        "shifted-reward": entropy_regularised,
        "alpha-1-for-the-score": update(soft_policy_score=lambda q, obs, u, a: soft_q.soft_policy_score(q, obs, u, 1.0)),
    },
}  # fmt: skip

RIGHT = {
    "soft_value_estimate": {
        "softmax": value_by_softmax,
        "logaddexp": value_by_logaddexp,
        "log-k-inside": lambda q, lq, a: a * torch.logsumexp(q / a - lq - math.log(q.shape[1]), dim=1),
        "float64": lambda q, lq, a: value()(q.double(), torch.as_tensor(lq).double(), a).float(),
    },
    "rbf_kernel": {
        "transposed-twice": kernel_of_reversed,
        "norms": kernel_by_norms,
        "power": lambda x, y, h: math.e ** (-distances(x, y) / h),
    },
    "median_bandwidth": {
        "nanmedian": lambda x, y: (torch.nanmedian(distances(x, y).detach().flatten(-2), dim=-1, keepdim=True).values[..., None] / math.log1p(x.shape[-2])).clamp(1e-3),
        "kthvalue": lambda x, y: torch.maximum(
            distances(x.detach(), y).flatten(-2).kthvalue((x.shape[-2] * y.shape[-2] + 1) // 2, dim=-1).values[..., None, None] / math.log(x.shape[-2] + 1),
            torch.tensor(1e-3),
        ),
    },
    "svgd_direction": {"jacobian": direction_by_jacobian, "numpy": direction_in_numpy},
    "two_particles": {
        "newton": by_newton,
        "difference-of-logs": pair(lambda s, h: math.sqrt(h * (math.log(h + 4 * s**2) - math.log(h))) / 2),
        "numpy-floats": pair(lambda s, h: np.sqrt(h) / 2 * np.sqrt(np.log1p((2 * s) ** 2 / h))),
    },
    "soft_policy_score": {"vmap": score_by_func, "backward-to-inputs": score_by_given_inputs},
    "soft_q_update": {
        "hooks": update(),
        "returns-tensors": lambda me, batch, proposal, noise: {
            k: torch.as_tensor(v) for k, v in soft_q.soft_q_update(me, batch, proposal, noise).items()
        },
        "lerp": update(polyak_update=lambda target, online, rho: [
            p.data.lerp_(o.data, 1 - rho) for p, o in zip(target.parameters(), online.parameters(), strict=True)
        ]),
    },
}  # fmt: skip

# Other ways of making a mistake that is listed.
NAMED = {
    "soft_value_estimate": {
        "mean-of-logs/by-hand": lambda q, lq, a: (q - a * torch.as_tensor(lq)).mean(dim=1),
        "no-proposal/log-mean": lambda q, lq, a: a * (torch.logsumexp(q / a, 1) - math.log(q.shape[1])),
    },
    "svgd_direction": {
        "attraction/by-y": lambda x, s, y, h: 2 * soft_q.svgd_direction(x, s, y, h) - soft_q.svgd_direction(x, s, y, h) - 2 * soft_q.svgd_direction(x, 0 * s, y, h),
        "no-repulsion/kernel-mean": lambda x, s, y, h: (soft_q.rbf_kernel(x, y, h)[..., None] * s[..., :, None, :]).mean(dim=-3),
    },
    "two_particles": {"true-spread/array": lambda m, s, h: np.array([m - s, m + s])},
    "soft_q_update": {
        "no-repulsion/hook": update(svgd_direction=lambda x, s, y, h: (soft_q.rbf_kernel(x, y, h)[..., None] * s[..., :, None, :]).mean(dim=-3)),
        "climbs-q/score": update(svgd_direction=lambda x, s, y, h: s),
    },
}  # fmt: skip
