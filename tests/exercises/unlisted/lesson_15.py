"""Lesson 15: TD3's pieces. Keys as in `lesson_00`."""

import math
from statistics import NormalDist

import numpy as np
import torch
from scipy import integrate
from torch import nn
from torch.nn import functional as F

from rlcourse.continuous import td3
from rlcourse.lab.networks import polyak_update

from . import also_named


def smooth(
    noise=lambda xi, s, c: torch.clamp(xi * s, -c, c), box=lambda a, low, high: a.clip(low, high)
):
    def smoothed_target_action(mu_next, noise_, sigma, clip, low, high):
        return box(mu_next + noise(noise_, sigma, clip), low, high)

    return smoothed_target_action  # fmt: skip


def loop(mu_next, noise, sigma, clip, low, high):
    out = torch.empty_like(mu_next)
    for i, row in enumerate(mu_next):
        for j, a in enumerate(row):
            lo, hi = (float(torch.as_tensor(b).expand(len(row))[j]) for b in (low, high))
            out[i, j] = min(
                max(float(a) + min(max(sigma * float(noise[i, j]), -clip), clip), lo), hi
            )
    return out  # fmt: skip


def in_place(mu_next, noise, sigma, clip, low, high):
    mu_next += (sigma * noise).clamp(-clip, clip)
    return mu_next.clip(low, high)


def target(pick=torch.min, form=lambda r, g, d, q: r + g * (1 - d) * q):
    def clipped_double_q_target(reward, q1_next, q2_next, terminated, gamma):
        return form(reward, gamma, terminated, pick(q1_next, q2_next).detach())

    return clipped_double_q_target


RIGHT_SMOOTH, RIGHT_TARGET = smooth(), target()


def whole(**parts):
    """Algorithm 1 in one piece, with lines exchangeable."""
    p = {
        "noise": lambda xi: xi, "next_obs": lambda b: b.next_obs, "action": lambda b, mu: b.action,
        "mask": lambda b: 1 - b.terminated, "actor_critic": "critic1", "due": lambda j, e: j % e == 0,
        "order": ("critic1", "critic2", "actor"), "reduce": torch.mean, "target_first": False, "gamma": None,
        "box": lambda me: (me.low, me.high), "targ": "_targ", "attached": False, "always": (), "follow": polyak_update,
        "clear": ("before", "before"), "critics_due": lambda j, e: True,
    } | parts  # fmt: skip

    def td3_update(agent_state, batch, noise, step):
        me = agent_state
        next_obs = p["next_obs"](batch)
        gamma = me.gamma if p["gamma"] is None else p["gamma"]

        def follow(names=p["order"]):
            for name in names:
                p["follow"](getattr(me, name + "_targ"), getattr(me, name), me.rho)

        def step_of(i, loss):
            optimizer, when = (me.critic_optimizer, me.actor_optimizer)[i], p["clear"][i]
            for now, act in enumerate((loss.backward, optimizer.step, lambda: None)):
                if when == ("before", "between", "after")[now]:
                    optimizer.zero_grad()
                act()

        for optimizer, when in zip(
            (me.critic_optimizer, me.actor_optimizer), p["clear"], strict=True
        ):
            if when == "start":
                optimizer.zero_grad()
        with torch.set_grad_enabled(p["attached"]):
            a = td3.smoothed_target_action(
                me.actor_targ(next_obs), p["noise"](noise), me.sigma, me.clip, *p["box"](me)
            )
            q = torch.minimum(
                *(getattr(me, c + p["targ"])(next_obs, a) for c in ("critic1", "critic2"))
            )
            y = batch.reward + gamma * p["mask"](batch) * q
        action = p["action"](batch, me.actor)
        loss = sum(p["reduce"]((c(batch.obs, action) - y) ** 2) for c in (me.critic1, me.critic2))
        if p["critics_due"](step, me.every):
            step_of(0, loss)
        follow(() if p["due"](step, me.every) else p["always"])
        if p["due"](step, me.every):
            if p["target_first"]:
                follow()
            actor_loss = -p["reduce"](
                getattr(me, p["actor_critic"])(batch.obs, me.actor(batch.obs))
            )
            step_of(1, actor_loss)
            if not p["target_first"]:
                follow()
        return {"loss": loss.item()}

    return td3_update


def counts_for_itself(agent_state, batch, noise, step):
    agent_state.count = getattr(agent_state, "count", 0) + 1
    return whole()(agent_state, batch, noise, agent_state.count)


def shared(target, online, rho):
    for slow, fast in zip(target.parameters(), online.parameters(), strict=True):
        slow.data = fast.data


def replaced(target, online, rho):
    for name in ("first", "last"):
        slow, fast = getattr(target, name), getattr(online, name)
        for part in ("weight", "bias"):
            mixed = rho * getattr(slow, part) + (1 - rho) * getattr(fast, part)
            setattr(slow, part, nn.Parameter(mixed.detach()))


def by_the_chain_rule(agent_state, batch, noise, step):
    """Right: dQ/da first, then through the actor."""
    me, figures = agent_state, whole(due=lambda j, e: False)(agent_state, batch, noise, step)
    if step % me.every == 0:
        action = me.actor(batch.obs)
        leaf = action.detach().requires_grad_()
        (slope,) = torch.autograd.grad(me.critic1(batch.obs, leaf).mean(), leaf)
        me.actor_optimizer.zero_grad()
        action.backward(-slope)
        me.actor_optimizer.step()
        for name in ("actor", "critic1", "critic2"):
            polyak_update(getattr(me, f"{name}_targ"), getattr(me, name), me.rho)
    return figures


def moves_critics(alone):
    """The actor's gradient moves the critics: by itself after their own step, or in one sum with it."""

    def td3_update(agent_state, batch, noise, step):
        me, due = agent_state, step % agent_state.every == 0
        with torch.no_grad():
            mu = me.actor_targ(batch.next_obs)
            a = td3.smoothed_target_action(mu, noise, me.sigma, me.clip, me.low, me.high)
            q1, q2 = me.critic1_targ(batch.next_obs, a), me.critic2_targ(batch.next_obs, a)
            y = td3.clipped_double_q_target(batch.reward, q1, q2, batch.terminated, me.gamma)
        me.critic_optimizer.zero_grad()
        me.actor_optimizer.zero_grad()
        loss = sum(((c(batch.obs, batch.action) - y) ** 2).mean() for c in (me.critic1, me.critic2))
        if alone:
            loss.backward()
            me.critic_optimizer.step()
            me.critic_optimizer.zero_grad()
            loss = 0.0
        if due:
            loss = loss - me.critic1(batch.obs, me.actor(batch.obs)).mean()
        if due or not alone:
            loss.backward()
            me.critic_optimizer.step()
        if due:
            me.actor_optimizer.step()
            for name in ("actor", "critic1", "critic2"):
                polyak_update(getattr(me, f"{name}_targ"), getattr(me, name), me.rho)
        return {"loss": float(loss)}

    return td3_update


def frozen_critic(agent_state, batch, noise, step):
    """Right: the critic's weights want no gradient while the actor learns."""
    me = agent_state
    a = td3.smoothed_target_action(
        me.actor_targ(batch.next_obs), noise, me.sigma, me.clip, me.low, me.high
    )
    q1, q2 = me.critic1_targ(batch.next_obs, a), me.critic2_targ(batch.next_obs, a)
    y = td3.clipped_double_q_target(batch.reward, q1, q2, batch.terminated, me.gamma)
    losses = [
        nn.functional.mse_loss(c(batch.obs, batch.action), y) for c in (me.critic1, me.critic2)
    ]
    me.critic_optimizer.zero_grad(set_to_none=False)
    torch.stack(losses).sum().backward()
    me.critic_optimizer.step()
    if step % me.every:
        return {"critic1": losses[0].detach(), "critic2": float(losses[1])}
    for weight in me.critic1.parameters():
        weight.requires_grad_(False)
    me.actor_optimizer.zero_grad()
    value = me.critic1(batch.obs, me.actor(batch.obs)).mean()
    value.neg().backward()
    me.actor_optimizer.step()
    for weight in me.critic1.parameters():
        weight.requires_grad_(True)
    with torch.no_grad():
        for name in ("actor", "critic2", "critic1"):
            slow, fast = getattr(me, f"{name}_targ").state_dict(), getattr(me, name).state_dict()
            for key in slow:
                slow[key].copy_(me.rho * slow[key] + (1 - me.rho) * fast[key])
    return {"value": float(value)}  # fmt: skip


def theta(s, t, rho):
    return math.sqrt(max(s * s - 2 * rho * s * t + t * t, 0.0))


SHARE = 1 / math.sqrt(2 * math.pi)


def bias(spread=theta, share=SHARE):
    return lambda s, t, rho: -spread(s, t, rho) * share


def through_covariances(c):
    """−√(cᵀΣc / 2π)."""

    def clipped_bias(s, t, rho):
        covariance = np.array([[s * s, rho * s * t], [rho * s * t, t * t]])
        return -np.sqrt(np.maximum(c @ covariance @ c, 0.0) / (2 * np.pi))

    return clipped_bias


def by_quad(s, t, rho):
    """Right: the mean of −|D|/2 over the difference D, which is Gaussian."""
    spread = theta(s, t, rho)
    if spread == 0:
        return 0.0
    density = NormalDist().pdf
    half, _ = integrate.quad(lambda x: x * density(x), 0, 12, epsabs=1e-13)
    return -spread * half


def by_the_conditional_mean(s, t, rho):
    """Right: where critic 2 is the smaller one, summed over a fine grid of their difference's sign."""
    spread = theta(s, t, rho)
    # E[Q₁; D < 0] + E[Q₂; D > 0] with D = Q₁ − Q₂: each is a covariance with D, times its density at 0.
    at_0 = 0.0 if spread == 0 else 1 / (spread * math.sqrt(2 * math.pi))
    with_first, with_second = s * s - rho * s * t, rho * s * t - t * t
    return -with_first * at_0 + with_second * at_0


def simulated(s, t, rho):
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((2, 100_000))
    y = rho * x + math.sqrt(1 - rho**2) * z
    return float(np.minimum(s * x, t * y).mean())


def half(**parts):
    """The critics' half as the paper's authors write it, with lines exchangeable."""
    p = {
        "noise": lambda xi, me: (xi * me.sigma).clamp(-me.clip, me.clip),
        "action": lambda me, b, held: (me.actor_targ(b.next_obs) + held).clamp(me.low, me.high),
        "asks": lambda me: (me.critic1_targ, me.critic2_targ), "pick": torch.min,
        "y": lambda me, b, q: b.reward + (1 - b.terminated) * me.gamma * q,
        "at": lambda me, b: b.action, "loss": F.mse_loss, "total": lambda a, b: a + b, "steps": 1, "first": lambda me: None,
        "late": lambda me: None, "returns": lambda loss: loss.item(), "after": lambda me: None,
    } | parts  # fmt: skip

    def td3_critic_update(agent_state, batch, noise):
        me = agent_state
        with torch.no_grad():
            next_action = p["action"](me, batch, p["noise"](noise, me))
            target_Q1, target_Q2 = (critic(batch.next_obs, next_action) for critic in p["asks"](me))
            target_Q = p["y"](me, batch, p["pick"](target_Q1, target_Q2))
        at = p["at"](me, batch)
        current_Q1, current_Q2 = me.critic1(batch.obs, at), me.critic2(batch.obs, at)
        critic_loss = p["total"](p["loss"](current_Q1, target_Q), p["loss"](current_Q2, target_Q))
        if "first" not in parts:
            me.critic_optimizer.zero_grad()
        p["first"](me)
        critic_loss.backward()
        p["late"](me)
        for _ in range(p["steps"]):
            me.critic_optimizer.step()
        p["after"](me)
        return p["returns"](critic_loss)

    return td3_critic_update


def crossed(agent_state, batch, noise):
    """Each critic learns from the other's slow copy."""
    me = agent_state
    with torch.no_grad():
        a = td3.smoothed_target_action(
            me.actor_targ(batch.next_obs), noise, me.sigma, me.clip, me.low, me.high
        )
        ys = [
            batch.reward + me.gamma * (1 - batch.terminated) * critic(batch.next_obs, a)
            for critic in (me.critic2_targ, me.critic1_targ)
        ]
    pairs = zip((me.critic1, me.critic2), ys, strict=True)
    loss = sum(F.mse_loss(critic(batch.obs, batch.action), y) for critic, y in pairs)
    me.critic_optimizer.zero_grad()
    loss.backward()
    me.critic_optimizer.step()
    return loss.item()


def each_its_own(agent_state, batch, noise):
    """Each critic learns from its own slow copy."""
    me, losses = agent_state, []
    for critic, slow in ((me.critic1, me.critic1_targ), (me.critic2, me.critic2_targ)):
        with torch.no_grad():
            mu = me.actor_targ(batch.next_obs)
            a = td3.smoothed_target_action(mu, noise, me.sigma, me.clip, me.low, me.high)
            y = batch.reward + me.gamma * (1 - batch.terminated) * slow(batch.next_obs, a)
        losses.append(F.mse_loss(critic(batch.obs, batch.action), y))
    me.critic_optimizer.zero_grad()
    sum(losses).backward()
    me.critic_optimizer.step()
    return float(sum(losses))


def critic_by_critic(agent_state, batch, noise):
    """Right: two losses, two backward passes, two steps, of which each moves one critic."""
    me, total = agent_state, 0.0
    with torch.no_grad():
        a = td3.smoothed_target_action(
            me.actor_targ(batch.next_obs), noise, me.sigma, me.clip, me.low, me.high
        )
        q = torch.minimum(me.critic1_targ(batch.next_obs, a), me.critic2_targ(batch.next_obs, a))
        y = td3.clipped_double_q_target(batch.reward, q, q, batch.terminated, me.gamma)
    for critic in (me.critic1, me.critic2):
        me.critic_optimizer.zero_grad()
        loss = F.mse_loss(critic(batch.obs, batch.action), y)
        loss.backward()
        me.critic_optimizer.step()
        total += loss.item()
    return total


def gradients_by_hand(agent_state, batch, noise):
    """Right: `autograd.grad`, put where the optimiser looks for it."""
    me = agent_state
    with torch.no_grad():
        a = td3.smoothed_target_action(
            me.actor_targ(batch.next_obs), noise, me.sigma, me.clip, me.low, me.high
        )
        both = torch.stack([c(batch.next_obs, a) for c in (me.critic1_targ, me.critic2_targ)])
        y = batch.reward + me.gamma * (1 - batch.terminated) * both.min(dim=0).values
    online = torch.stack([c(batch.obs, batch.action) for c in (me.critic1, me.critic2)])
    loss = (online - y).square().mean(dim=1).sum()
    weights = [*me.critic1.parameters(), *me.critic2.parameters()]
    for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = slope
    me.critic_optimizer.step()
    return loss


def slow_copies_follow(agent_state, batch, noise):
    loss = half()(agent_state, batch, noise)
    for name in ("critic1", "critic2"):
        polyak_update(getattr(agent_state, f"{name}_targ"), getattr(agent_state, name), 0.9)
    return loss


def half_first(agent_state, batch, noise, step):
    """Right: calls its own first half."""
    me, losses = agent_state, {"critics": half()(agent_state, batch, noise)}
    if step % me.every:
        return losses
    me.actor_optimizer.zero_grad()
    losses["actor"] = -me.critic1(batch.obs, me.actor(batch.obs)).mean()
    losses["actor"].backward()
    me.actor_optimizer.step()
    for slow, fast in (
        (me.critic1_targ, me.critic1),
        (me.critic2_targ, me.critic2),
        (me.actor_targ, me.actor),
    ):
        polyak_update(slow, fast, me.rho)
    return {name: float(loss) for name, loss in losses.items()}  # fmt: skip


def losses_first(agent_state, batch, noise, step):
    """Both losses, then both steps: the actor's graph holds weights that the critics' step overwrites."""
    me = agent_state
    with torch.no_grad():
        mu = me.actor_targ(batch.next_obs)
        a = td3.smoothed_target_action(mu, noise, me.sigma, me.clip, me.low, me.high)
        q1, q2 = me.critic1_targ(batch.next_obs, a), me.critic2_targ(batch.next_obs, a)
        y = td3.clipped_double_q_target(batch.reward, q1, q2, batch.terminated, me.gamma)
    actor_loss = -me.critic1(batch.obs, me.actor(batch.obs)).mean()
    critic_loss = sum(F.mse_loss(c(batch.obs, batch.action), y) for c in (me.critic1, me.critic2))
    me.critic_optimizer.zero_grad()
    critic_loss.backward()
    me.critic_optimizer.step()
    if step % me.every == 0:
        me.actor_optimizer.zero_grad()
        actor_loss.backward()
        me.actor_optimizer.step()
        for name in ("actor", "critic1", "critic2"):
            polyak_update(getattr(me, f"{name}_targ"), getattr(me, name), me.rho)
    return {"critic": critic_loss.item(), "actor": actor_loss.item()}


WRONG = {
    "smoothed_target_action": {
        "list": lambda *a: RIGHT_SMOOTH(*a).tolist(),
        "numpy": lambda *a: RIGHT_SMOOTH(*a).numpy(),
        "subtracts": lambda mu, xi, *a: RIGHT_SMOOTH(mu, -xi, *a),
        "one-draw-for-all": lambda mu, xi, *a: RIGHT_SMOOTH(mu, xi[:1].expand_as(xi), *a),
        "one-draw-a-row": lambda mu, xi, *a: RIGHT_SMOOTH(mu, xi.mean(1, keepdim=True).expand_as(xi), *a),
        "own-noise": lambda mu, xi, *a: RIGHT_SMOOTH(mu, torch.randn_like(mu), *a),
        "hard-coded": lambda mu, xi, s, c, low, high: RIGHT_SMOOTH(mu, xi, 0.2, 0.5, low, high),
        "hard-coded-box": lambda mu, xi, s, c, low, high: RIGHT_SMOOTH(mu, xi, s, c, -1.0, 1.0),
        "positive-noise": smooth(lambda xi, s, c: (s * xi).clamp(0, c)),
        "clips-above-only": smooth(lambda xi, s, c: (s * xi).clamp(max=c)),
        "tanh-for-clip": smooth(lambda xi, s, c: c * torch.tanh(s * xi / c)),
        "high-only": smooth(box=lambda a, low, high: torch.minimum(a, torch.as_tensor(high))),
        "in-place": in_place,
        "no-noise": lambda mu, xi, s, c, low, high: mu.clip(low, high),
        "sigma-divides": smooth(lambda xi, s, c: (xi / s).clamp(-c, c)),
        "box-around-zero": smooth(box=lambda a, low, high: a.clip(-torch.as_tensor(high), torch.as_tensor(high))),
        "resamples-as-zero": smooth(lambda xi, s, c: torch.where((s * xi).abs() > c, 0.0, s * xi)),
        "noise-in-place": lambda mu, xi, *a: RIGHT_SMOOTH(mu, xi.mul_(0.99), *a),
    },
    "clipped_double_q_target": {
        "column": lambda *a: RIGHT_TARGET(*a)[:, None],
        "list": lambda *a: RIGHT_TARGET(*a).tolist(),
        "float": lambda *a: float(RIGHT_TARGET(*a).mean()),
        "hard-coded-gamma": lambda r, a, b, d, g: RIGHT_TARGET(r, a, b, d, 0.99),
        "mask-inverted": lambda r, a, b, d, g: RIGHT_TARGET(r, a, b, 1 - d, g),
        "no-reward": lambda r, a, b, d, g: RIGHT_TARGET(0 * r, a, b, d, g),
        "gamma-on-all": target(form=lambda r, g, d, q: g * (r + (1 - d) * q)),
        "smaller-size": target(lambda a, b: torch.where(a.abs() < b.abs(), a, b)),
        "sum": target(lambda a, b: a + b),
        "softened": target(lambda a, b: 0.75 * torch.min(a, b) + 0.25 * torch.max(a, b)),
        "half-attached": lambda r, a, b, d, g: r + g * (1 - d) * torch.min(a.detach(), b),
        "any-end-ends-all": lambda r, a, b, d, g: RIGHT_TARGET(r, a, b, d.max().expand_as(d), g),
        "gamma-squared": lambda r, a, b, d, g: RIGHT_TARGET(r, a, b, d, g**2),
        "masks-one-critic": lambda r, a, b, d, g: RIGHT_TARGET(r, (1 - d) * a, b, 0 * d, g),
        "drops-terminals": lambda r, a, b, d, g: RIGHT_TARGET(r, a, b, d, g)[d == 0],
        "soft-minimum": target(lambda a, b: (torch.softmax(-torch.stack([a, b]), 0) * torch.stack([a, b])).sum(0)),
    },
    "clipped_bias": {
        "rho-squared": bias(lambda s, t, rho: theta(s, t, rho**2)),
        "size-of-rho": bias(lambda s, t, rho: theta(s, t, abs(rho))),
        "one-critic": bias(lambda s, t, rho: s),
        "smaller-spread": bias(lambda s, t, rho: min(s, t)),
        "conditional-spread": bias(lambda s, t, rho: t * math.sqrt(1 - rho**2)),
        "shared-part": bias(lambda s, t, rho: math.sqrt(abs(rho) * s * t)),
        "one-minus-rho": bias(lambda s, t, rho: math.hypot(s, t) * (1 - rho)),
        "numbers-turned-over": bias(share=math.sqrt(math.pi / 2) / 2),
        "without-the-two": bias(share=1 / math.pi),
        "median": bias(share=NormalDist().inv_cdf(0.75) / 2),
        "simulated": simulated,
        "rounded": lambda *a: round(bias()(*a), 4),
        "array": lambda *a: np.array([bias()(*a)]),
        "text": lambda *a: str(bias()(*a)),
        "variance-returned": lambda s, t, rho: theta(s, t, rho) ** 2,
        "sign + independent": lambda s, t, rho: math.hypot(s, t) / math.sqrt(2 * math.pi),
        "half-missing + rho-added": bias(lambda s, t, rho: theta(s, t, -rho), math.sqrt(2 / math.pi)),
        "covariance-once + no-root": lambda s, t, rho: -(s * s + t * t - rho * s * t) / (2 * math.pi),
    },
    "td3_critic_update": {
        "one-noise-for-all": half(noise=lambda xi, me: (xi[:1].expand_as(xi) * me.sigma).clamp(-me.clip, me.clip) + 0.1),
        "negative-noise": half(noise=lambda xi, me: ((xi - 1) * me.sigma).clamp(-me.clip, me.clip)),
        "own-noise": half(noise=lambda xi, me: (torch.randn_like(xi) * me.sigma).clamp(-me.clip, me.clip)),
        "settings-of-the-paper": half(noise=lambda xi, me: (xi * 0.2).clamp(-0.5, 0.5)),
        "old-action-in-the-target": half(action=lambda me, b, held: (b.action + held).clamp(me.low, me.high)),
        "slow-and-fast": half(asks=lambda me: (me.critic1_targ, me.critic1)),
        "crossed": crossed,
        "absolute-errors": half(loss=F.l1_loss),
        "largest-error": half(loss=lambda q, y: ((q - y) ** 2).max()),
        "smaller-loss": half(total=torch.minimum),
        "difference-of-losses": half(total=lambda a, b: a - b),
        "two-steps": half(steps=2),
        "gradients-clipped": half(late=lambda me: nn.utils.clip_grad_norm_(me.critic1.parameters(), 0.1)),
        "slow-copies-follow": slow_copies_follow,
        "hard-coded-gamma": half(y=lambda me, b, q: b.reward + (1 - b.terminated) * 0.99 * q),
        "any-end-ends-all": half(y=lambda me, b, q: b.reward + (1 - b.terminated.max()) * me.gamma * q),
        "nothing-returned": half(returns=lambda loss: None),
        "root-returned": half(returns=lambda loss: math.sqrt(loss.item())),
        "uphill": half(total=lambda a, b: -a - b),
        "not-smoothed + terminal-bootstrap": half(
            noise=lambda xi, me: 0.0 * xi, y=lambda me, b, q: b.reward + me.gamma * q
        ),
        "online-actor-in-target + no-gamma": half(
            action=lambda me, b, held: (me.actor(b.next_obs) + held).clamp(me.low, me.high),
            y=lambda me, b, q: b.reward + (1 - b.terminated) * q,
        ),
        "gradients-pile-up + not-the-smaller": half(first=lambda me: None, pick=torch.max),
    },
    "td3_update": {
        "masks-nothing": whole(mask=lambda b: 1.0),
        "mask-inverted": whole(mask=lambda b: b.terminated),
        "hard-coded-gamma": whole(gamma=0.99),
        "old-obs-in-target": whole(next_obs=lambda b: b.obs),
        "actor-action-in-the-critic": whole(action=lambda b, mu: mu(b.obs).detach()),
        "second-critic-for-the-actor": whole(actor_critic="critic2"),
        "target-critic-for-the-actor": whole(actor_critic="critic1_targ"),
        "one-noise-for-all": whole(noise=lambda xi: xi[:1].expand_as(xi) + 0.0 * xi + 0.3),
        "negative-noise": whole(noise=lambda xi: xi - 1.0),
        "summed-losses": whole(reduce=lambda x: x.sum() * 1.7),
        "counts-from-zero": whole(due=lambda j, e: (j - 1) % e == 0),
        "targets-before-actor": whole(target_first=True),
        "critic-target-twice": whole(order=("critic1", "critic1", "critic2", "actor")),
        "nothing-returned": lambda *a: [whole()(*a), None][1],
        "only-critics": whole(due=lambda j, e: False),
        "every-step-but-fixed-2": whole(due=lambda j, e: j % 2 == 0),
        "first-too": whole(due=lambda j, e: j == 1 or j % e == 0),
        "only-first-time": whole(due=lambda j, e: j == e),
        "targets-rest-while-the-actor-moves": whole(due=lambda j, e: j % e == 0, order=(), always=("actor", "critic1", "critic2")),
        "terminal-bootstrap + another-critic-in-the-actor-loss": whole(mask=lambda b: 1.0, actor_critic="critic2"),
        "off-by-one + terminal-bootstrap": whole(due=lambda j, e: (j - 1) % e == 0, mask=lambda b: 1.0),
        "counts-for-itself": counts_for_itself,
        "hard-coded-box": whole(box=lambda me: (-1.0, 1.0)),
    },
}  # fmt: skip

RIGHT = {
    "smoothed_target_action": {
        "loop": loop,
        "where": smooth(lambda xi, s, c: torch.where((s * xi).abs() > c, c * xi.sign(), s * xi)),
        "min-max": smooth(box=lambda a, low, high: torch.max(torch.min(a, torch.as_tensor(high)), torch.as_tensor(low))),
        "medians": lambda mu, xi, s, c, low, high: torch.stack([
            torch.as_tensor(low).expand_as(mu), torch.clip(mu + s * xi, mu - c, mu + c),
            torch.as_tensor(high).expand_as(mu),
        ]).median(0).values,
        "named-extra": lambda mu, xi, sigma, clip, low, high, extra=None: RIGHT_SMOOTH(mu, xi, sigma, clip, low, high),
    },
    "clipped_double_q_target": {
        "sort": target(lambda a, b: torch.stack([a, b], 1).sort(1).values[:, 0]),
        "half-sum": target(lambda a, b: (a + b - (a - b).abs()) / 2),
        "lerp": target(form=lambda r, g, d, q: torch.lerp(r + g * q, r, d)),
        "clone": lambda r, a, b, d, g: r + g * (1.0 - d) * torch.minimum(a.data, b.data),
        "by-rows": lambda r, a, b, d, g: torch.stack(
            [x if e else x + g * min(float(p), float(q)) for x, p, q, e in zip(r, a, b, d, strict=True)]
        ),
    },
    "clipped_bias": {
        "covariance-matrix": through_covariances(np.array([1.0, -1.0])),
        "density-at-0": lambda s, t, rho: -theta(s, t, rho) * NormalDist().pdf(0),
        "quad": by_quad,
        "conditional-mean": by_the_conditional_mean,
        "a-power": lambda s, t, rho: -((abs(s * s + t * t - 2 * rho * s * t) / 2 / math.pi) ** 0.5),
        "a-0-d-array": lambda s, t, rho: np.array(-theta(s, t, rho) / np.sqrt(2 * np.pi)),
        "by-the-maximum": lambda s, t, rho: 0.0 - theta(s, -t, -rho) / math.sqrt(2 * math.pi),
    },
    "td3_critic_update": {
        "as-published": half(),
        "critic-by-critic": critic_by_critic,
        "gradients-by-hand": gradients_by_hand,
        "cleared-afterwards-too": half(after=lambda me: me.critic_optimizer.zero_grad()),
        "filled-with-zeros": half(first=lambda me: me.critic_optimizer.zero_grad(set_to_none=False)),
        "networks-cleared": half(first=lambda me: (me.critic1.zero_grad(), me.critic2.zero_grad())),
        "a-tensor": half(returns=lambda loss: loss.detach()),
        "the-package": lambda agent_state, batch, noise: td3.td3_critic_update(agent_state, batch, noise),
    },
    "td3_update": {
        "one-piece": whole(),
        "frozen-critic": frozen_critic,
        "reverse-order": whole(order=("actor", "critic2", "critic1")),
        "cleared-at-the-start": whole(clear=("start", "start")),
        "target-attached": whole(attached=True),
        "chain-rule": by_the_chain_rule,
        "numpy-bool": whole(due=lambda j, e: np.mod(j, e) == 0),
        "divmod": whole(due=lambda j, e: divmod(j, e)[1] == 0),
        "fraction": whole(due=lambda j, e: (j / e).is_integer()),
        "common-divisor": whole(due=lambda j, e: math.gcd(j, e) == e),
        "not-a-remainder": whole(due=lambda j, e: not j % e),
        "own-first-half": half_first,
        "the-package": lambda agent_state, batch, noise, step: td3.td3_update(agent_state, batch, noise, step),
    },
}  # fmt: skip

NAMED = {
    "smoothed_target_action": {
        "noise-not-clipped/plus": lambda mu, xi, s, c, low, high: (mu + s * xi).clip(low, high),
        "action-not-clipped/plus": lambda mu, xi, s, c, low, high: mu + (s * xi).clamp(-c, c),
        "clips-noise-before-scaling/min": smooth(lambda xi, s, c: torch.clamp(xi, min=-c, max=c) * s),
        "variance-for-deviation/power": smooth(lambda xi, s, c: (xi * s * s).clamp(-c, c)),
        "one-bound-for-all/last": smooth(box=lambda a, low, high: a.clip(*(float(np.ravel(x)[-1]) for x in (low, high)))),
        "clips-to-noise-bound/exchanged": lambda mu, xi, s, c, low, high: (mu + (s * xi).clip(low, high)).clip(-c, c),
    },
    "clipped_double_q_target": {
        "max/stack": target(lambda a, b: torch.stack([a, b]).max(0).values),
        "mean/stack": target(lambda a, b: torch.stack([a, b]).mean(0)),
        "first-critic-only/plain": lambda r, a, b, d, g: (r + g * (1 - d) * a).detach(),
        "gradient-into-target/plain": lambda r, a, b, d, g: r + g * (1 - d) * torch.min(a, b),
        "gradient-into-target/where": lambda r, a, b, d, g: r + g * (1 - d) * torch.where(a < b, a, b),
        "gradient-into-target/half": lambda r, a, b, d, g: r + g * (1 - d) * torch.min(a.detach(), b),
        "terminal-bootstrap/plain": lambda r, a, b, d, g: r + g * torch.min(a, b).detach(),
    },
    "clipped_bias": {
        "sign/max": lambda s, t, rho: theta(s, t, rho) / math.sqrt(2 * math.pi),
        "independent/hypot": bias(lambda s, t, rho: math.hypot(s, t)),
        "rho-added/matrix": through_covariances(np.array([1.0, 1.0])),
        "bare-rho/numpy": lambda s, t, rho: -np.sqrt((s**2 + t**2 - 2 * rho) / (2 * np.pi)),
        "half-missing/root": bias(share=math.sqrt(2 / math.pi)),
        "deviations-subtracted/size": bias(lambda s, t, rho: abs(t - s)),
        "deviations-added/sum": bias(lambda s, t, rho: s + t),
        "equal-spreads/first": lambda s, t, rho: -s * math.sqrt((1 - rho) / math.pi),
        "equal-spreads/pooled": lambda s, t, rho: -math.sqrt((s * s + t * t) / 2 * (1 - rho) / math.pi),
        "no-root/variance": lambda s, t, rho: -(theta(s, t, rho) ** 2) / (2 * math.pi),
        "half-under-the-root/pi": bias(share=1 / math.sqrt(math.pi)),
    },
    "td3_critic_update": {
        "online-actor-in-target/published": half(
            action=lambda me, b, held: (me.actor(b.next_obs) + held).clamp(me.low, me.high)
        ),
        "online-critics-in-target/published": half(asks=lambda me: (me.critic1, me.critic2)),
        "separate-targets/loop": each_its_own,
        "not-smoothed/published": half(noise=lambda xi, me: 0.0),
        "own-action/published": half(at=lambda me, b: me.actor(b.obs).detach()),
        "own-action/attached": half(at=lambda me, b: me.actor(b.obs)),
        "one-critic-only/published": half(total=lambda a, b: a),
        "terminal-bootstrap/published": half(y=lambda me, b, q: b.reward + me.gamma * q),
        "gradients-pile-up/published": half(first=lambda me: None),
        "averaged-loss/published": half(total=lambda a, b: (a + b) / 2),
        "critics-never-step/cleared-too-late": half(late=lambda me: me.critic_optimizer.zero_grad()),
        "critics-never-step/no-step": half(steps=0),
        "no-squared-error/published": half(loss=F.huber_loss),
        "summed-loss/published": half(loss=lambda q, y: ((q - y) ** 2).sum()),
        "target-looks-at-s/published": half(
            action=lambda me, b, held: (me.actor_targ(b.obs) + held).clamp(me.low, me.high)
        ),
    },
    "td3_update": {
        "actor-every-step/due": lambda agent_state, batch, noise, step: whole(due=lambda j, e: True)(
            agent_state, batch, noise, step
        ),
        "inverted/bool": whole(due=lambda j, e: bool(j % e)),
        "inverted/remainder": whole(due=lambda j, e: j % e),
        "off-by-one/shift": whole(due=lambda j, e: not (j - 1) % e),
        "integer-division/due": whole(due=lambda j, e: j // e),
        "swapped/due": whole(due=lambda j, e: not e % j),
        "actor-loss-too-early/both-losses-first": losses_first,
        "targets-every-step/all": whole(always=("actor", "critic1", "critic2")),
        "target-forgotten/actor": whole(order=("critic1", "critic2")),
        "not-smoothed/zero": whole(noise=lambda xi: 0 * xi),
        "gradients-pile-up/actor": whole(clear=("before", None)),
        "gradients-pile-up/both": whole(clear=(None, None)),
        "gradients-pile-up/afterwards": whole(clear=("after", "after")),
        "critics-move-with-the-actor/alone": moves_critics(alone=True),
        "critics-move-with-the-actor/one-sum": moves_critics(alone=False),
        "targets-every-step/critics": whole(always=("critic1", "critic2")),
        "online-critics-in-target/attached": whole(targ="", attached=True),
    },
}  # fmt: skip

# Nothing is known of what was meant.
UNNAMED = {
    "td3_update": {
        "cleared-too-late": whole(clear=("between", "between")),
        "greater": whole(due=lambda j, e: j > e),
        "bits": whole(due=lambda j, e: bool(j & e)),
        "odd": whole(due=lambda j, e: j % 2 == 1),
        "divisor-in-common": whole(due=lambda j, e: math.gcd(j, e) > 1),
        "all-but-the-last": whole(due=lambda j, e: j % e != e - 1),
        "critics-rest-too": whole(critics_due=lambda j, e: j % e == 0),
        "memory-shared": whole(follow=shared),
        "weights-replaced": whole(follow=replaced),
    },
}

# Wrong answers of which the mistake is listed by now.
_LISTED = {
    "smoothed_target_action": {
        "subtracts": "noise-subtracted",
        "hard-coded-box": "another-box",
        "positive-noise": "noise-on-one-side",
        "clips-above-only": "noise-on-one-side",
        "no-noise": "no-noise",
        "box-around-zero": "another-box",
    },
    "clipped_double_q_target": {
        "mask-inverted": "mask-inverted",
        "gamma-on-all": "reward-discounted",
        "sum": "sum-of-critics",
    },
    "td3_update": {
        "masks-nothing": "terminal-bootstrap",
        "mask-inverted": "mask-inverted",
        "old-obs-in-target": "target-looks-at-s",
        "actor-action-in-the-critic": "own-action",
        "second-critic-for-the-actor": "another-critic-in-the-actor-loss",
        "target-critic-for-the-actor": "another-critic-in-the-actor-loss",
        "counts-from-zero": "off-by-one",
        "only-critics": "actor-never-moves",
        "hard-coded-box": "another-box",
    },
}
also_named(NAMED, WRONG, _LISTED)
