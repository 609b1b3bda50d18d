"""Lesson 14: DDPG's pieces. Keys as in `lesson_00`."""

import math
from copy import deepcopy

import numpy as np
import torch
from torch import nn

from rlcourse.continuous import ddpg
from rlcourse.lab.networks import polyak_update


def held(critic):
    return deepcopy(critic).requires_grad_(False)


def loss_of(make):
    """A loss of Q at μ(s), with the critic held."""
    return lambda actor, critic, obs: make(held(critic)(obs, actor(obs)))


def through_vjp(actor, critic, obs):
    """Right: the mean row by row, with flags put back in a `finally`."""
    parameters = list(critic.parameters())
    try:
        for p in parameters:
            p.requires_grad = False
        rows = [critic(s[None], actor(s[None]))[0] for s in obs]
        return -torch.stack(rows).mean()
    finally:
        for p in parameters:
            p.requires_grad = True


def label(q_of, form=lambda b, g, q: b.reward + g * (1 - b.terminated) * q):
    @torch.no_grad()
    def ddpg_target(actor_targ, critic_targ, batch, gamma):
        return form(batch, gamma, q_of(actor_targ, critic_targ, batch))

    return ddpg_target


def q_next(actor, critic, b):
    return critic(b.next_obs, actor(b.next_obs))


def row_by_row(actor_targ, critic_targ, batch, gamma):
    y = []
    for r, s, d in zip(batch.reward, batch.next_obs, batch.terminated, strict=True):
        q = critic_targ(s[None], actor_targ(s[None])).item()
        y.append(r.item() + (0.0 if d else gamma * q))
    return torch.tensor(y)


def scaled(f):
    return lambda a, low, high: f(a, low, high)


def broadcast(x, a):
    return np.broadcast_to(np.asarray(x), np.shape(a)[-1:])


def by_interp(a, low, high):
    """Right: a table of two points for each dimension."""
    a_ = np.asarray(a, float)
    lo, hi = broadcast(low, a_), broadcast(high, a_)
    flat = a_.reshape(-1, a_.shape[-1])
    out = [[np.interp(x, [-1, 1], [lo[j], hi[j]]) for j, x in enumerate(row)] for row in flat]
    return torch.tensor(np.reshape(out, a_.shape), dtype=torch.float32)


def explored(
    step=lambda e, low, high: (high - low) / 2 * e, clip=lambda x, low, high: x.clip(low, high)
):
    return lambda a, e, low, high: clip(a + step(e, low, high), low, high)


def one_by_one(a, e, low, high):
    """Right: every number by itself."""
    out = torch.empty_like(a).reshape(-1, a.shape[-1])
    lo, hi = (torch.as_tensor(x, dtype=a.dtype).expand(a.shape[-1]) for x in (low, high))
    for i, (row, noise) in enumerate(zip(a.reshape(out.shape), e.reshape(out.shape), strict=True)):
        for j in range(len(row)):
            x = float(row[j]) + 0.5 * float(hi[j] - lo[j]) * float(noise[j])
            out[i, j] = max(float(lo[j]), min(float(hi[j]), x))
    return out.reshape(a.shape)


def in_place(x, xi, t, s, dt):
    x *= 1 - t * dt
    x += s * math.sqrt(dt) * xi
    return x


def whole(**parts):
    """Algorithm 1 in one piece, with lines exchangeable."""
    p = {
        "y": lambda me, b: b.reward + me.gamma * (1 - b.terminated) * me.critic_targ(b.next_obs, me.actor_targ(b.next_obs)),
        "error": lambda q, y: ((q - y) ** 2).mean(), "critic_steps": 1, "actor_steps": 1, "value": lambda me, b: me.critic(b.obs, me.actor(b.obs)).mean(),
        "rho": lambda me: (me.rho, me.rho), "returns": lambda c, a: {"critic": c.item(), "actor": a.item()}, "clip": None,
        "first": lambda me: None, "last": lambda me: None, "follow": polyak_update,
    } | parts  # fmt: skip

    def ddpg_update(agent_state, batch):
        me = agent_state
        p["first"](me)
        with torch.no_grad():
            y = p["y"](me, batch)
        for _ in range(p["critic_steps"]):
            critic_loss = p["error"](me.critic(batch.obs, batch.action), y)
            me.critic_optimizer.zero_grad()
            critic_loss.backward()
            if p["clip"]:
                nn.utils.clip_grad_norm_(me.critic.parameters(), p["clip"])
            me.critic_optimizer.step()
        actor_loss = -p["value"](me, batch)
        for _ in range(p["actor_steps"]):
            actor_loss = -p["value"](me, batch)
            me.actor_optimizer.zero_grad()
            actor_loss.backward()
            me.actor_optimizer.step()
        critic_rho, actor_rho = p["rho"](me)
        p["follow"](me.critic_targ, me.critic, critic_rho)
        p["follow"](me.actor_targ, me.actor, actor_rho)
        p["last"](me)
        return p["returns"](critic_loss, actor_loss)

    return ddpg_update


def replaced(target, online, rho):
    """New Parameters in place of the old ones."""
    for name in ("first", "last"):
        slow, fast = getattr(target, name), getattr(online, name)
        for part in ("weight", "bias"):
            mixed = rho * getattr(slow, part) + (1 - rho) * getattr(fast, part)
            setattr(slow, part, nn.Parameter(mixed.detach()))


def by_state_dict(target, online, rho):
    slow, fast = target.state_dict(), online.state_dict()
    target.load_state_dict({k: rho * slow[k] + (1 - rho) * fast[k] for k in slow})


def target_is_the_network(agent_state, batch):
    out = whole()(agent_state, batch)
    if agent_state.rho == 0:
        agent_state.critic_targ = agent_state.critic
        agent_state.actor_targ = agent_state.actor
    return out


def cleared_with_none(me):
    for network in (me.actor, me.critic):
        for p in network.parameters():
            p.grad = None


def one_backward_apart(agent_state, batch):
    """Right: the actor's gradient is taken for its own weights alone."""
    me = agent_state
    with torch.no_grad():
        y = ddpg.ddpg_target(me.actor_targ, me.critic_targ, batch, me.gamma)
    me.critic_optimizer.zero_grad()
    loss = nn.functional.mse_loss(me.critic(batch.obs, batch.action), y)
    loss.backward()
    me.critic_optimizer.step()
    weights = list(me.actor.parameters())
    value = me.critic(batch.obs, me.actor(batch.obs)).mean()
    for p, g in zip(weights, torch.autograd.grad(-value, weights), strict=True):
        p.grad = g
    me.actor_optimizer.step()
    by_state_dict(me.critic_targ, me.critic, me.rho)
    by_state_dict(me.actor_targ, me.actor, me.rho)
    return {"loss": loss.detach(), "value": value.detach()}


RIGHT_SCALE = scaled(lambda a, low, high: (low + high) / 2 + (high - low) / 2 * a)
RIGHT_EXPLORE, RIGHT_LABEL = explored(), label(q_next)


def ou(f):
    return lambda x, xi, t, s, dt: f(x, xi, t, s, dt)


RIGHT_OU = ou(lambda x, xi, t, s, dt: x - t * dt * x + s * math.sqrt(dt) * xi)


def settled(t, s, dt, k):
    kept = 1 - t * dt
    return s * math.sqrt(dt / (1 - kept * kept)), kept**k


WRONG = {
    "ddpg_actor_loss": {
        "float": lambda actor, critic, obs: -critic(obs, actor(obs)).mean().item(),
        "half": loss_of(lambda q: -0.5 * q.mean()),
        "absolute": loss_of(lambda q: -q.abs().mean()),
        "square": loss_of(lambda q: -(q**2).mean()),
        "cut-off": loss_of(lambda q: -q.clamp(min=0).mean()),
        "first-row": loss_of(lambda q: -q[0]),
        "over-B+1": loss_of(lambda q: -q.sum() / (len(q) + 1)),
        "normalised": loss_of(lambda q: -q.mean() / q.abs().mean().detach()),
        "with-a-penalty": lambda actor, critic, obs: loss_of(lambda q: -q.mean())(actor, critic, obs) + 1e-2 * (actor(obs) ** 2).mean(),
        "shape-1": loss_of(lambda q: -q.mean(dim=0, keepdim=True)),
        "other-states": lambda actor, critic, obs: loss_of(lambda q: -q.mean())(actor, critic, obs.flip(0) * 0),
        "advantage": lambda actor, critic, obs: -(held(critic)(obs, actor(obs)) - held(critic)(obs, 0 * actor(obs))).mean(),
    },
    "ddpg_target": {
        "zero": lambda a, c, b, g: torch.zeros_like(b.reward),
        "reward-alone": lambda a, c, b, g: b.reward.clone(),
        "hard-coded-γ": lambda a, c, b, g: RIGHT_LABEL(a, c, b, 0.99),
        "γ-squared": lambda a, c, b, g: RIGHT_LABEL(a, c, b, g**2),
        "mean-of-the-batch": label(lambda a, c, b: q_next(a, c, b).mean()),
        "max-over-actions-tried": label(lambda a, c, b: torch.maximum(q_next(a, c, b), c(b.next_obs, b.action))),
        "double-masked-in-loss": label(q_next, lambda b, g, q: (b.reward + g * q) * (1 - b.terminated)),
        "column": label(q_next, lambda b, g, q: (b.reward + g * (1 - b.terminated) * q)[:, None]),
        "all-pairs": label(q_next, lambda b, g, q: b.reward[:, None] + g * (1 - b.terminated) * q),
        "negated": label(q_next, lambda b, g, q: b.reward - g * (1 - b.terminated) * q),
        "numpy": lambda *a: RIGHT_LABEL(*a).numpy(),
        "squashed-again": label(lambda a, c, b: c(b.next_obs, torch.tanh(a(b.next_obs)))),
        "no-action": label(lambda a, c, b: c(b.next_obs, 0 * a(b.next_obs))),
        "opposite-action": label(lambda a, c, b: c(b.next_obs, -a(b.next_obs))),
        "wants-a-gradient": lambda *a: RIGHT_LABEL(*a).requires_grad_(),
    },
    "scale_action": {
        "list": lambda *a: np.asarray(RIGHT_SCALE(*a)).tolist(),
        "low-for-middle": scaled(lambda a, low, high: low + (high - low) / 2 * a),
        "only-positive": scaled(lambda a, low, high: high * a.clip(0, 1) - low * a.clip(-1, 0)),
        "0.99-of-it": scaled(lambda a, low, high: (low + high) / 2 + 0.495 * (high - low) * a),
        "pendulums-box": scaled(lambda a, low, high: 2.0 * a),
        "in-place": lambda a, low, high: a.__imul__((high - low) / 2).__iadd__((low + high) / 2),
        "largest-bound": scaled(lambda a, low, high: a * np.abs(np.asarray(high)).max()),
        "rows-summed": lambda a, low, high: RIGHT_SCALE(a, low, high).sum(-1),
        "clipped-short": scaled(lambda a, low, high: (low + high) / 2 + (high - low) / 2 * a.clip(-0.95, 0.95)),
        "root-width": scaled(lambda a, low, high: (low + high) / 2 + ((high - low) / 2) ** 0.5 * a),
    },
    "explore_action": {
        "own-noise": lambda a, e, low, high: RIGHT_EXPLORE(a, torch.randn_like(a), low, high),
        "tenth": lambda a, e, low, high: RIGHT_EXPLORE(a, 0.1 * e, low, high),
        "one-draw-for-all": lambda a, e, low, high: RIGHT_EXPLORE(a, e[:1].expand_as(e), low, high),
        "noise-clipped-to-±1": lambda a, e, low, high: RIGHT_EXPLORE(a, e.clip(-1, 1), low, high),
        "noise-clipped-to-±½": lambda a, e, low, high: RIGHT_EXPLORE(a, e.clip(-0.5, 0.5), low, high),
        "absolute-noise": lambda a, e, low, high: RIGHT_EXPLORE(a, e.abs(), low, high),
        "reflected": explored(clip=lambda x, low, high: torch.where(x > high, 2 * high - x, torch.where(x < low, 2 * low - x, x))),
        "tanh": explored(clip=lambda x, low, high: (low + high) / 2 + (high - low) / 2 * torch.tanh((x - (low + high) / 2) / ((high - low) / 2))),
        "noise-alone": explored(clip=lambda x, low, high: (x * 0).clip(low, high)),
        "pendulums-box": lambda a, e, low, high: RIGHT_EXPLORE(a, e, -2.0, 2.0),
        "in-place": lambda a, e, low, high: a.add_((high - low) / 2 * e).clip(low, high),
        "wraps": explored(clip=lambda x, low, high: low + (x - low) % (high - low)),
        "list": lambda *a: RIGHT_EXPLORE(*a).tolist(),
    },
    "ou_step": {
        "in-place": in_place,
        "own-noise": ou(lambda x, xi, t, s, dt: RIGHT_OU(x, 0 * xi + 1, t, s, dt)),
        "hard-coded": ou(lambda x, xi, t, s, dt: RIGHT_OU(x, xi, 0.15, 0.2, dt)),
        "hard-coded-dt": ou(lambda x, xi, t, s, dt: RIGHT_OU(x, xi, t, s, 0.01)),
        "mean-of-1": ou(lambda x, xi, t, s, dt: x + t * (1 - x) * dt + s * math.sqrt(dt) * xi),
        "√2": ou(lambda x, xi, t, s, dt: RIGHT_OU(x, math.sqrt(2) * xi, t, s, dt)),
        "√2θ": ou(lambda x, xi, t, s, dt: RIGHT_OU(x, math.sqrt(2 * t) * xi, t, s, dt)),
        "over-√dt": ou(lambda x, xi, t, s, dt: x - t * x * dt + s * xi / math.sqrt(dt)),
        "θ-outside": ou(lambda x, xi, t, s, dt: x + t * (-x * dt + s * math.sqrt(dt) * xi)),
        "clipped": ou(lambda x, xi, t, s, dt: RIGHT_OU(x, xi, t, s, dt).clip(-1, 1)),
        "exchanged": ou(lambda x, xi, t, s, dt: RIGHT_OU(x, xi, s, t, dt)),
        "multiplicative": ou(lambda x, xi, t, s, dt: x - t * x * dt + s * x * math.sqrt(dt) * xi),
        "dt²": ou(lambda x, xi, t, s, dt: x - t * x * dt**2 + s * math.sqrt(dt) * xi),
    },
    "ou_stationary": {
        "exchanged": lambda *a: settled(*a)[::-1],
        "infinite-white": lambda t, s, dt, k: (s * math.sqrt(dt), 1.0 if k == 0 else 0.0),
        "root-of-the-correlation": lambda t, s, dt, k: (settled(t, s, dt, k)[0], abs(1 - t * dt) ** (k / 2)),
        "minus": lambda t, s, dt, k: (settled(t, s, dt, k)[0], -((1 - t * dt) ** k)),
        "second-order": lambda t, s, dt, k: (s / math.sqrt(2 * t) * (1 + t * dt / 4), (1 - t * dt) ** k),
        "implicit": lambda t, s, dt, k: (s / math.sqrt(2 * t + t * t * dt), (1 + t * dt) ** -k),
        "after-a-hundred-steps": lambda t, s, dt, k: (math.sqrt(s * s * dt * sum((1 - t * dt) ** (2 * j) for j in range(100))), (1 - t * dt) ** k),
        "clipped-at-0": lambda t, s, dt, k: (settled(t, s, dt, k)[0], max(1 - t * dt, 0.0) ** k),
        "deviation-alone": lambda *a: settled(*a)[0],
        "simulated": lambda t, s, dt, k: (float(np.std(s * np.random.default_rng(0).normal(size=999) * settled(t, 1, dt, k)[0])), (1 - t * dt) ** k),
    },
    "ddpg_update": {
        "two-critic-steps": whole(critic_steps=2),
        "two-actor-steps": whole(actor_steps=2),
        "actor-never": whole(actor_steps=0),
        "gradient-clipped": whole(clip=0.05),
        "copies-move-twice": whole(last=lambda me: polyak_update(me.critic_targ, me.critic, me.rho)),
        "hard-coded-ρ": whole(rho=lambda me: (0.99, 0.99)),
        "ρ-squared": whole(rho=lambda me: (me.rho**2, me.rho**2)),
        "actor's-copy-hard": whole(rho=lambda me: (me.rho, 0.0)),
        "new-parameters": whole(follow=replaced),
        "the-copy-is-the-network": target_is_the_network,
        "absolute-error": whole(error=lambda q, y: (q - y).abs().mean()),
        "root": whole(error=lambda q, y: ((q - y) ** 2).mean().sqrt()),
        "clipped-error": whole(error=lambda q, y: ((q - y).clamp(-1, 1) ** 2).mean()),
        "hard-coded-γ": whole(y=lambda me, b: ddpg.ddpg_target(me.actor_targ, me.critic_targ, b, 0.99)),
        "actor-of-next-states": whole(value=lambda me, b: me.critic(b.next_obs, me.actor(b.next_obs)).mean()),
        "penalised-actor": whole(value=lambda me, b: me.critic(b.obs, me.actor(b.obs)).mean() - 0.1 * (me.actor(b.obs) ** 2).mean()),
        "smoothed-label": whole(y=lambda me, b: b.reward + me.gamma * (1 - b.terminated) * me.critic_targ(b.next_obs, (me.actor_targ(b.next_obs) + 0.2 * torch.randn_like(b.action)).clip(-1, 1))),
        "nothing-returned": whole(returns=lambda c, a: None),
        "a-tuple": whole(returns=lambda c, a: (c.item(), a.item())),
        "critic-frozen": whole(last=lambda me: me.critic.requires_grad_(False)),
    },
}  # fmt: skip

RIGHT = {
    "ddpg_actor_loss": {
        "row-by-row": through_vjp,
        "sum-over-B": loss_of(lambda q: -(q.sum() / q.numel())),
        "einsum": loss_of(lambda q: torch.einsum("b->", q) / -len(q)),
    },
    "ddpg_target": {
        "row-by-row": row_by_row,
        "multiplied-out": label(q_next, lambda b, g, q: b.reward + g * q - g * q * b.terminated),
        "masked_fill": label(q_next, lambda b, g, q: torch.add(b.reward, q.masked_fill(b.terminated > 0, 0.0), alpha=g)),
        "deep-copies": lambda a, c, b, g: RIGHT_LABEL(held(a), held(c), b, g),
    },
    "scale_action": {
        "table": by_interp,
        "from-0-to-1": scaled(lambda a, low, high: (a + 1) / 2 * (high - low) + low),
        "from-above": scaled(lambda a, low, high: high - (1 - a) * (high - low) / 2),
    },
    "explore_action": {
        "one-by-one": one_by_one,
        "clamp": explored(clip=lambda x, low, high: torch.clamp(x, low, high)),
        "max-min": explored(clip=lambda x, low, high: torch.maximum(torch.minimum(x, torch.as_tensor(high)), torch.as_tensor(low))),
        "steps-cut": lambda a, e, low, high: a + torch.minimum(torch.maximum((high - low) / 2 * e, low - a), high - a),
    },
    "ou_step": {
        "NumPy's-root": ou(lambda x, xi, t, s, dt: (1 - t * dt) * x + s * np.sqrt(dt) * xi),
        "numpy-throughout": ou(lambda x, xi, t, s, dt: np.asarray(x) * (1 - t * dt) + s * math.sqrt(dt) * np.asarray(xi)),
    },
    "ou_stationary": {
        "settled": settled,
        "numpy": lambda t, s, dt, k: (np.sqrt(s**2 * dt / (t * dt * (2 - t * dt))), np.power(1 - t * dt, k)),
        "an-array": lambda *a: np.array(settled(*a)),
    },
    "ddpg_update": {
        "in-one-piece": whole(),
        "for-the-actor-alone": one_backward_apart,
        "state-dicts": whole(follow=by_state_dict),
        "cleared-by-hand": whole(first=cleared_with_none),
    },
}  # fmt: skip
