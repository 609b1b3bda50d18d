"""Lesson 11: advantages, the critic's errors, and the updates of two networks. Keys as in `lesson_00`."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

# ------------------------------------------------------------------- advantages, by other ways


def td(r, v, w, d, gamma):
    return r + gamma * (1 - d) * w - v


def either(d, c):
    return torch.maximum(d, c)


def gae_matrix(r, v, w, d, c, gamma, lam):
    """Right: every weight of every TD error in one matrix, products of what is carried."""
    n, carry = len(r), (gamma * lam * (1 - either(d, c))).double()
    weight = torch.zeros(n, n, dtype=torch.float64)
    for t in range(n):
        for k in range(t, n):
            weight[t, k] = carry[t:k].prod()
    adv = (weight @ td(r, v, w, d, gamma).double()).float()
    return adv, adv + v


def gae_mixture(r, v, w, d, c, gamma, lam):
    """Right: n-step advantages, mixed by hand."""
    n, adv = len(r), torch.zeros(len(r), dtype=torch.float64)
    for t in range(n):
        last = next((k for k in range(t, n) if d[k] or c[k]), n - 1)
        longest, left = last - t + 1, 1.0
        total = 0.0
        for m in range(1, longest + 1):
            k = t + m - 1
            step = sum(gamma**i * float(r[t + i]) for i in range(m))
            step += gamma**m * (1 - float(d[k])) * float(w[k]) - float(v[t])
            share = left if m == longest else (1 - lam) * lam ** (m - 1)
            total, left = total + share * step, left - share
        adv[t] = total
    return adv.float(), adv.float() + v


def gae_numpy(r, v, w, d, c, gamma, lam):
    """Right: NumPy inside, tensors outside; in place on arrays of its own."""
    r, v_, w, d, c = (np.array(x, dtype=np.float64) for x in (r, v, w, d, c))
    adv = r + gamma * w * (d == 0) - v_
    for t in range(len(adv) - 2, -1, -1):
        if not (d[t] or c[t]):
            adv[t] += gamma * lam * adv[t + 1]
    return torch.tensor(adv, dtype=torch.float32), torch.tensor(adv + v_, dtype=torch.float32)


def gae_flip(r, v, w, d, c, gamma, lam):
    """Right: a recursion over the flipped rows, float64 throughout."""
    out, a = [], 0.0
    for x in zip(*(y.flip(0).double() for y in (r, v, w, d, c)), strict=True):
        a = x[0] + gamma * x[2] * (1 - x[3]) - x[1] + (0 if x[3] or x[4] else gamma * lam * a)
        out.append(a)
    adv = torch.stack(out).flip(0)
    return [adv, adv + v]


def gae_inside(function):
    """`function` of δ, V, the carried factor and the flags, for advantages that go wrong."""

    def gae(r, v, w, d, c, gamma, lam):
        adv = function(td(r, v, w, d, gamma), v, gamma, lam, d, c)
        return adv, adv + v

    return gae


def right_gae(r, v, w, d, c, gamma, lam):
    return gae_numpy(r, v, w, d, c, gamma, lam)


def changed_in_place(r, v, w, d, c, gamma, lam):
    r += gamma * (1 - d) * w - v
    for t in range(len(r) - 2, -1, -1):
        r[t] += gamma * lam * (1 - max(d[t], c[t])) * r[t + 1]
    return r, r + v


def normalised(r, v, w, d, c, gamma, lam):
    adv, returns = gae_numpy(r, v, w, d, c, gamma, lam)
    return (adv - adv.mean()) / (adv.std() + 1e-8), returns


def swapped_parts(r, v, w, d, c, gamma, lam):
    return gae_numpy(r, v, w, d, c, gamma, lam)[::-1]


def clipped(r, v, w, d, c, gamma, lam):
    adv, returns = gae_numpy(r, v, w, d, c, gamma, lam)
    return adv.clamp(min=0), returns


def from_the_second_row(r, v, w, d, c, gamma, lam):
    adv, returns = gae_numpy(r, v, w, d, c, gamma, lam)
    adv[0] = 0
    return adv, returns


def value_of_s_everywhere(r, v, w, d, c, gamma, lam):
    return gae_numpy(r, v, v, d, c, gamma, lam)


def fixed_lambda(r, v, w, d, c, gamma, lam):
    return gae_numpy(r, v, w, d, c, gamma, 0.95)


def fixed_gamma(r, v, w, d, c, gamma, lam):
    return gae_numpy(r, v, w, d, c, 0.99, lam)


def flags_exchanged(r, v, w, d, c, gamma, lam):
    return gae_numpy(r, v, w, c, d, gamma, lam)


def terminal_beats_nothing(r, v, w, d, c, gamma, lam):
    """Where both flags are set it believes the clock."""
    return gae_numpy(r, v, w, d * (1 - c), c, gamma, lam)


def rollout_wraps(r, v, w, d, c, gamma, lam):
    adv = gae_numpy(r, v, w, d, c, gamma, lam)[0]
    adv = adv + gamma * lam * (1 - either(d, c)) * adv[0] * (torch.arange(len(r)) == len(r) - 1)
    return adv, adv + v


def two_terms(r, v, w, d, c, gamma, lam):
    delta = td(r, v, w, d, gamma)
    adv = delta + gamma * lam * (1 - either(d, c)) * torch.cat([delta[1:], 0 * delta[:1]])
    return adv, adv + v


def monte_carlo(r, v, w, d, c, gamma, lam):
    return gae_numpy(r, v, w, d, c, gamma, 1.0)


def rewards_only(r, v, w, d, c, gamma, lam):
    return gae_numpy(r, v, 0 * w, d, c, gamma, lam)


def lists(r, v, w, d, c, gamma, lam):
    return tuple(x.tolist() for x in gae_numpy(r, v, w, d, c, gamma, lam))


def columns(r, v, w, d, c, gamma, lam):
    return tuple(x[:, None] for x in gae_numpy(r, v, w, d, c, gamma, lam))


def last_terminal(r, v, w, d, c, gamma, lam):
    d = d.clone()
    if not c[-1]:
        d[-1] = 1
    return gae_numpy(r, v, w, d, c, gamma, lam)


def lam_at_the_bootstrap(r, v, w, d, c, gamma, lam):
    """λ-returns that mix with V(s) in the place of V(s′)."""
    returns = torch.zeros_like(v)
    for t in reversed(range(len(r))):
        stop = t == len(r) - 1 or d[t] or c[t]
        follows = w[t] if stop else (1 - lam) * v[t] + lam * returns[t + 1]
        returns[t] = r[t] + gamma * (1 - d[t]) * follows
    return returns - v, returns


# ---- n steps


def n_by_sums(r, v, w, d, c, gamma, n):
    """Right: cumulative sums of discounted TD errors within each episode."""
    adv = torch.zeros(len(r), dtype=torch.float64)
    start = 0
    ends = [k for k in range(len(r)) if d[k] or c[k] or k == len(r) - 1]
    for end in ends:
        delta = td(r, v, w, d, gamma)[start : end + 1].double()
        for t in range(len(delta)):
            window = delta[t : t + n]
            adv[start + t] = window @ (gamma ** torch.arange(len(window), dtype=torch.float64))
        start = end + 1
    return adv.float(), adv.float() + v


def n_recursive(r, v, w, d, c, gamma, n):
    """Right: a function that calls itself."""

    def target(t, k):
        if d[t]:
            return float(r[t])
        if k == 1 or c[t] or t + 1 == len(r):
            return float(r[t]) + gamma * float(w[t])
        return float(r[t]) + gamma * target(t + 1, k - 1)

    returns = torch.tensor([target(t, n) for t in range(len(r))])
    return returns - v, returns


def n_changed(**change):
    """`n_recursive` with something wrong before or after."""

    def n_step_advantage(r, v, w, d, c, gamma, n):
        n = change.get("n", lambda n: n)(n)
        adv, returns = n_recursive(r, v, w, d, c, change.get("gamma", gamma), n)
        return change.get("out", lambda adv, returns, v: (adv, returns))(adv, returns, v)

    return n_step_advantage


def n_as_lambda(r, v, w, d, c, gamma, n):
    return gae_numpy(r, v, w, d, c, gamma, 1 - 1 / n)


def n_without_short_windows(r, v, w, d, c, gamma, n):
    """Windows that reach beyond the recording are cut to the TD error."""
    adv, _ = n_recursive(r, v, w, d, c, gamma, n)
    delta = td(r, v, w, d, gamma)
    for t in range(len(r)):
        if t + n > len(r):
            adv[t] = delta[t]
    return adv, adv + v


def n_both_flags(r, v, w, d, c, gamma, n):
    return n_recursive(r, v, w, d * (1 - c), c, gamma, n)


def n_of_first_value(r, v, w, d, c, gamma, n):
    returns = n_recursive(r, v, w, d, c, gamma, n)[1]
    return returns - v[0], returns


# --------------------------------------------------------------------------- critic_error_weights


def c_right(steps, terminated, gamma, lam):
    c = [-1.0] + [gamma * (1 - lam) * (gamma * lam) ** (k - 1) for k in range(1, steps)]
    return torch.tensor([*c, gamma * (1 - terminated) * (gamma * lam) ** (steps - 1)])


def c_by_differences(steps, terminated, gamma, lam):
    """Right: N differences of neighbouring powers, as an array."""
    carried = np.concatenate([[0.0], gamma * (gamma * lam) ** np.arange(steps)])
    if terminated:
        carried[-1] = 0.0
    own = np.append((gamma * lam) ** np.arange(steps), 0.0)
    return carried - own


def c_by_probing(steps, terminated, gamma, lam):
    """Right: finite differences of an advantage that is linear."""

    def adv(v):
        d = torch.zeros(steps, dtype=torch.float64)
        d[-1] = terminated
        delta = gamma * (1 - d) * v[1:] - v[:-1]
        return sum((gamma * lam) ** k * delta[k] for k in range(steps))

    zero = torch.zeros(steps + 1, dtype=torch.float64)
    return torch.stack([adv(zero + row) - adv(zero) for row in torch.eye(steps + 1).double()])


C_WRONG = {
    "absolute": lambda *x: c_right(*x).abs(),
    "reversed": lambda *x: c_right(*x).flip(0),
    "cumulative": lambda *x: c_right(*x).cumsum(0),
    "summing-to-zero": lambda *x: c_right(*x) - c_right(*x).mean(),
    "without-the-first": lambda *x: c_right(*x)[1:],
    "always-terminal": lambda n, d, g, lam: c_right(n, 1, g, lam),
    "never-terminal": lambda n, d, g, lam: c_right(n, 0, g, lam),
    "lam-one": lambda n, d, g, lam: c_right(n, d, g, 1.0),
    "lam-zero": lambda n, d, g, lam: c_right(n, d, g, 0.0),
    "gamma-one": lambda n, d, g, lam: c_right(n, d, 1.0, lam),
    "own-discounted": lambda n, d, g, lam: c_right(n, d, g, lam) * torch.tensor([g] + n * [1.0]),
    "row": lambda *x: c_right(*x)[None],
    "list": lambda *x: c_right(*x).tolist(),
    "ints": lambda *x: c_right(*x).long(),
    "sum": lambda *x: c_right(*x).sum(),
    "terminal-keeps-a-share": lambda n, d, g, lam: (
        c_right(n, 0, g, lam) - d * (g * lam) ** n * torch.eye(n + 1)[-1]
    ),
}

# ------------------------------------------------------------------------------- two networks


def picked(table, action):
    return (table * F.one_hot(action, table.shape[1])).sum(1)


def score(policy, batch):
    return -F.cross_entropy(policy(batch.obs), batch.action, reduction="none")


def go(optimizers, losses):
    for optimizer in optimizers:
        optimizer.zero_grad()
    for loss in losses:
        loss.backward()
    for optimizer in optimizers:
        optimizer.step()


def one_step(**p):
    """The one-step update with lines exchangeable."""

    def one_step_actor_critic_update(policy, v_net, policy_opt, v_opt, batch, gamma, discount):
        v, w = v_net(batch.obs), v_net(batch.next_obs).detach()
        w = p.get("next", lambda w, v, b: w * (1 - b.terminated))(w, v, batch)
        delta = p.get("delta", lambda r, g, w, v: r + g * w - v)(batch.reward, gamma, w, v)
        weight = p.get("weight", lambda d, i: i * d)(delta.detach(), discount)
        v_loss = p.get("v_loss", lambda d, i: 0.5 * d**2)(delta, discount).mean()
        actor = p.get("actor", lambda s, w: -(s * w))(score(policy, batch), weight).mean()
        p.get("go", go)((policy_opt, v_opt), (actor, v_loss))
        new_i = p.get("i", lambda i, g, b: g * i)(discount, gamma, batch)
        return p.get("out", lambda d, i: (d.detach(), i))(delta, new_i)

    return one_step_actor_critic_update


def go_twice(optimizers, losses):
    go(optimizers, losses)
    for optimizer in optimizers:
        optimizer.step()


def go_in_one(optimizers, losses):
    for optimizer in optimizers:
        optimizer.zero_grad()
    sum(losses).backward()
    for optimizer in reversed(optimizers):
        optimizer.step()


def go_clipped(optimizers, losses):
    for optimizer in optimizers:
        optimizer.zero_grad()
    for loss in losses:
        loss.backward()
    for optimizer in optimizers:
        nn.utils.clip_grad_norm_([w for g in optimizer.param_groups for w in g["params"]], 0.5)
        optimizer.step()


def go_swapped(optimizers, losses):
    """Each optimiser's gradients are cleared when the other's are there."""
    losses[0].backward()
    optimizers[1].zero_grad()
    losses[1].backward()
    optimizers[0].zero_grad()
    for optimizer in optimizers:
        optimizer.step()


ONE_WRONG = {
    "clipped-delta": one_step(weight=lambda d, i: i * d.clamp(-1, 1)),
    "positive-delta": one_step(weight=lambda d, i: i * d.clamp(min=0)),
    "squared-i": one_step(weight=lambda d, i: i**2 * d),
    "root-i": one_step(weight=lambda d, i: i**0.5 * d),
    "divided-by-i": one_step(weight=lambda d, i: d / i),
    "sign-of-delta": one_step(weight=lambda d, i: i * d.sign()),
    "squared-delta": one_step(weight=lambda d, i: i * d**2),
    "constant-weight": one_step(weight=lambda d, i: i * torch.ones_like(d)),
    "absolute-error": one_step(v_loss=lambda d, i: d.abs()),
    "huber": one_step(v_loss=lambda d, i: F.huber_loss(d, 0 * d, reduction="none")),
    "critic-away": one_step(v_loss=lambda d, i: -0.5 * d**2),
    "critic-of-i-squared": one_step(v_loss=lambda d, i: 0.5 * i**2 * d**2),
    "probability": one_step(actor=lambda s, w: -(s.exp() * w)),
    "bootstraps-from-s": one_step(next=lambda w, v, b: v.detach() * (1 - b.terminated)),
    "no-bootstrap": one_step(next=lambda w, v, b: 0 * w),
    "no-value": one_step(delta=lambda r, g, w, v: r + g * w - 0 * v),
    "two-steps": one_step(go=go_twice),
    "clips": one_step(go=go_clipped),
    "cleared-by-the-other": one_step(go=go_swapped),
    "i-restarts-at-ends": one_step(i=lambda i, g, b: 1.0 if b.terminated else g * i),
    "i-falls-by-one": one_step(i=lambda i, g, b: i - g),
    "i-dies-at-ends": one_step(i=lambda i, g, b: g * i * (1 - b.terminated).item()),
    "squared-error-returned": one_step(out=lambda d, i: (0.5 * d.detach() ** 2, i)),
    "only-delta": one_step(out=lambda d, i: d.detach()),
    "exchanged": one_step(out=lambda d, i: (i, d.detach())),
    "weight-returned": one_step(out=lambda d, i: (i * d.detach(), i)),
    "minus-delta": one_step(out=lambda d, i: (-d.detach(), i)),
}


def v_frozen(policy, v_net, policy_opt, v_opt, batch, gamma, discount):
    """Right: gradients by `autograd.grad`, written into `.grad`."""
    value = v_net(batch.obs)
    with torch.no_grad():
        target = batch.reward + gamma * torch.where(
            batch.terminated.bool(), torch.zeros(()), v_net(batch.next_obs)
        )
    delta = target - value
    for net, loss, opt in (
        (v_net, delta.pow(2).sum() / 2, v_opt),
        (policy, -(discount * delta.detach() * score(policy, batch)).sum(), policy_opt),
    ):
        weights = list(net.parameters())
        for w, g in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            w.grad = g
        opt.step()
    return delta.item(), torch.tensor(gamma * discount)


def q_step(**p):
    """The Q update with lines exchangeable."""

    def q_actor_critic_update(policy, q_net, policy_opt, q_opt, batch, next_action, gamma):
        table, after = q_net(batch.obs), q_net(batch.next_obs).detach()
        q = picked(table, batch.action)
        ahead = p.get("ahead", lambda after, a, b, pi: picked(after, a))(
            after, next_action, batch, torch.softmax(policy(batch.next_obs), 1).detach()
        )
        y = p.get("y", lambda r, g, d, x: r + g * (1 - d) * x)(
            batch.reward, gamma, batch.terminated, ahead
        )
        q_loss = p.get("q_loss", lambda q, y: 0.5 * ((q - y) ** 2).mean())(q, y)
        weight = p.get("weight", lambda q, t: q)(q.detach(), table.detach())
        actor = p.get("actor", lambda s, w: -(s * w).mean())(score(policy, batch), weight)
        p.get("go", go)((policy_opt, q_opt), (actor, q_loss))
        return p.get("out", lambda a, q: (a.detach(), q.detach()))(actor, q_loss)

    return q_actor_critic_update


Q_WRONG = {
    "standardised": q_step(weight=lambda q, t: (q - q.mean()) / (q.std(unbiased=False) + 1e-8)),
    "centred": q_step(weight=lambda q, t: q - q.mean()),
    "minus-the-mean-action": q_step(weight=lambda q, t: q - t.mean(1)),
    "minus-the-best": q_step(weight=lambda q, t: q - t.max(1).values),
    "best": q_step(weight=lambda q, t: t.max(1).values),
    "positive": q_step(weight=lambda q, t: q.clamp(min=0)),
    "softmax-of-q": q_step(weight=lambda q, t: torch.softmax(q, 0)),
    "min": q_step(ahead=lambda after, a, b, pi: after.min(1).values),
    "mean-of-all": q_step(ahead=lambda after, a, b, pi: after.mean(1)),
    "likeliest": q_step(ahead=lambda after, a, b, pi: picked(after, pi.argmax(1))),
    "first-action": q_step(ahead=lambda after, a, b, pi: after[:, 0]),
    "mean-next-value": q_step(ahead=lambda after, a, b, pi: picked(after, a).mean().expand(len(a))),
    "every-pair": q_step(q_loss=lambda q, y: 0.5 * ((q[:, None] - y) ** 2).mean()),
    "absolute-error": q_step(q_loss=lambda q, y: (q - y).abs().mean()),
    "huber": q_step(q_loss=lambda q, y: F.smooth_l1_loss(q, y)),
    "mean-then-square": q_step(q_loss=lambda q, y: 0.5 * (q - y).mean() ** 2),
    "probability": q_step(actor=lambda s, w: -(s.exp() * w).mean()),
    "means-multiplied": q_step(actor=lambda s, w: -s.mean() * w.mean()),
    "gamma-squared": q_step(y=lambda r, g, d, x: r + g**2 * (1 - d) * x),
    "no-bootstrap": q_step(y=lambda r, g, d, x: r),
    "no-reward": q_step(y=lambda r, g, d, x: g * (1 - d) * x),
    "minus-the-next": q_step(y=lambda r, g, d, x: r - g * (1 - d) * x),
    "two-steps": q_step(go=go_twice),
    "clips": q_step(go=go_clipped),
    "cleared-by-the-other": q_step(go=go_swapped),
    "sum-returned": q_step(out=lambda a, q: (a + q).detach()),
    "roots": q_step(out=lambda a, q: (a.detach(), q.detach().sqrt())),
    "three": q_step(out=lambda a, q: (a.detach(), q.detach(), 0.0)),
}


def q_row_by_row(policy, q_net, policy_opt, q_opt, batch, next_action, gamma):
    """Right: a loop over the rows, gradients added up by several backward calls."""
    policy_opt.zero_grad()
    q_opt.zero_grad()
    n, totals = len(batch.reward), [0.0, 0.0]
    for i in range(n):
        q = q_net(batch.obs[i : i + 1])[0, batch.action[i]]
        with torch.no_grad():
            x = q_net(batch.next_obs[i : i + 1])[0, next_action[i]]
            y = batch.reward[i] + (0 if batch.terminated[i] else gamma * x)
        log_pi = torch.log_softmax(policy(batch.obs[i : i + 1]), 1)[0, batch.action[i]]
        parts = -q.item() * log_pi / n, (y - q) ** 2 / (2 * n)
        for k, part in enumerate(parts):
            part.backward()
            totals[k] += part.item()
    q_opt.step()
    policy_opt.step()
    return totals


# ------------------------------------------------------------------------------------- a2c_loss


def loss_of(**p):
    def a2c_loss(log_prob, value, entropy, adv, returns, value_coef, entropy_coef):
        a, g = adv.detach(), returns.detach()
        a = p.get("a", lambda a: a)(a)
        actor = p.get("actor", lambda s, a: -(s * a).mean())(log_prob, a)
        critic = p.get("critic", lambda v, g: 0.5 * (v - g).pow(2).mean())(value, g)
        bonus = p.get("bonus", lambda h: h.mean())(entropy)
        return p.get("total", lambda x, y, z, cv, ce: x + cv * y - ce * z)(
            actor, critic, bonus, value_coef, entropy_coef
        )

    return a2c_loss


A2C_LOSS_WRONG = {
    "positive-advantages": loss_of(a=lambda a: a.clamp(min=0)),
    "signs-of-advantages": loss_of(a=lambda a: a.sign()),
    "scaled-advantages": loss_of(a=lambda a: a / (a.abs().max() + 1e-8)),
    "probability": loss_of(actor=lambda s, a: -(s.exp() * a).mean()),
    "means-multiplied": loss_of(actor=lambda s, a: -s.mean() * a.mean()),
    "mean-squared-outside": loss_of(critic=lambda v, g: 0.5 * (v - g).mean() ** 2),
    "huber": loss_of(critic=lambda v, g: F.huber_loss(v, g)),
    "entropy-summed": loss_of(bonus=lambda h: h.sum()),
    "entropy-detached": loss_of(bonus=lambda h: h.mean().detach()),
    "critic-detached": loss_of(critic=lambda v, g: 0.5 * (v.detach() - g).pow(2).mean()),
    "coefs-on-all": loss_of(total=lambda x, y, z, cv, ce: cv * (x + y) - ce * z),
    "fixed-coefs": loss_of(total=lambda x, y, z, cv, ce: x + 0.5 * y - 0.01 * z),
    "divided-by-three": loss_of(total=lambda x, y, z, cv, ce: (x + cv * y - ce * z) / 3),
    "entropy-clipped": loss_of(total=lambda x, y, z, cv, ce: x + cv * y - ce * z.clamp(max=0.5)),
    "tuple": loss_of(total=lambda x, y, z, cv, ce: (x, cv * y, ce * z)),
    "float": loss_of(total=lambda x, y, z, cv, ce: float(x + cv * y - ce * z)),
    "one-row": loss_of(total=lambda x, y, z, cv, ce: (x + cv * y - ce * z)[None]),
    "detached": loss_of(total=lambda x, y, z, cv, ce: (x + cv * y - ce * z).detach()),
}


def loss_by_rows(log_prob, value, entropy, adv, returns, value_coef, entropy_coef):
    """Right: a loop over the rows."""
    total = 0.0
    for s, v, h, a, g in zip(log_prob, value, entropy, adv, returns, strict=True):
        total = total - s * a.item() + value_coef * (g.item() - v) ** 2 / 2 - entropy_coef * h
    return total / len(adv)


def loss_by_stack(log_prob, value, entropy, adv, returns, value_coef, entropy_coef):
    """Right: one product of a matrix of columns with the coefficients."""
    with torch.no_grad():
        a, g = adv.clone(), returns.clone()
    table = torch.stack([log_prob * a, (value - g).square(), entropy], dim=1)
    return (table @ torch.tensor([-1.0, value_coef / 2, -entropy_coef])).mean()


# ----------------------------------------------------------------------------------- a2c_update


def whole(**p):
    """The whole step with lines exchangeable."""

    def a2c_update(agent_state, rollout):
        me, b = agent_state, rollout
        with torch.no_grad():
            v, w = me.v_net(b.obs), me.v_net(b.next_obs)
            v, w = p.get("values", lambda v, w, b: (v, w))(v, w, b)
            flags = p.get("flags", lambda b: (b.terminated, b.truncated))(b)
            gamma, lam = p.get("numbers", lambda me: (me.gamma, me.lam))(me)
            adv, returns = gae_flip(b.reward, v, w, *flags, gamma, lam)
            adv, returns = adv.float(), returns.float()
            adv, returns = p.get("data", lambda adv, returns, b: (adv, returns))(adv, returns, b)
        dist = torch.distributions.Categorical(
            logits=p.get("policy", lambda me, b: me.policy(b.obs))(me, b)
        )
        log_prob = dist.log_prob(p.get("action", lambda b: b.action)(b))
        loss = p.get("loss", loss_by_stack)(
            log_prob,
            p.get("predict", lambda me, b: me.v_net(b.obs))(me, b),
            dist.entropy(),
            adv,
            returns,
            me.value_coef,
            me.entropy_coef,
        )
        me.optimizer.zero_grad()
        p.get("back", lambda loss: loss.backward())(loss)
        weights = [*me.policy.parameters(), *me.v_net.parameters()]
        p.get("clip", nn.utils.clip_grad_norm_)(weights, me.max_grad_norm)
        for _ in range(p.get("steps", 1)):
            me.optimizer.step()
        return p.get("out", lambda loss, me: loss.item())(loss, me)

    return a2c_update  # fmt: skip


def always_to_the_norm(weights, norm):
    """Gradients of this very length, longer ones and shorter ones."""
    total = torch.stack([w.grad.norm() for w in weights]).norm()
    for w in weights:
        w.grad *= norm / total


def clip_squared(weights, norm):
    total = sum((w.grad**2).sum() for w in weights)
    for w in weights:
        w.grad *= min(1.0, norm / float(total))


A2C_WRONG = {
    "td-targets": whole(data=lambda adv, ret, b: (adv, adv)),
    "advantages-summing-to-zero": whole(data=lambda adv, ret, b: (adv - adv.mean(), ret)),
    "rewards-for-advantages": whole(data=lambda adv, ret, b: (b.reward, ret)),
    "returns-for-advantages": whole(data=lambda adv, ret, b: (ret, ret)),
    "advantages-rolled": whole(data=lambda adv, ret, b: (adv.roll(1), ret.roll(1))),
    "advantages-reversed": whole(data=lambda adv, ret, b: (adv.flip(0), ret.flip(0))),
    "flags-exchanged": whole(flags=lambda b: (b.truncated, b.terminated)),
    "no-ends": whole(flags=lambda b: (0 * b.terminated, 0 * b.truncated)),
    "clock-beats-death": whole(flags=lambda b: (b.terminated * (1 - b.truncated), b.truncated)),
    "fixed-gamma": whole(numbers=lambda me: (0.99, me.lam)),
    "fixed-lam": whole(numbers=lambda me: (me.gamma, 0.95)),
    "gamma-and-lam-exchanged": whole(numbers=lambda me: (me.lam, me.gamma)),
    "values-exchanged": whole(values=lambda v, w, b: (w, v)),
    "no-values": whole(values=lambda v, w, b: (0 * v, 0 * w)),
    "next-policy": whole(policy=lambda me, b: me.policy(b.next_obs)),
    "next-prediction": whole(predict=lambda me, b: me.v_net(b.next_obs)),
    "critic-frozen": whole(predict=lambda me, b: me.v_net(b.obs).detach()),
    "greedy-action": whole(action=lambda b: 0 * b.action),
    "two-steps": whole(steps=2),
    "no-steps": whole(steps=0),
    "always-this-norm": whole(clip=always_to_the_norm),
    "squared-norm": whole(clip=clip_squared),
    "clips-to-one": whole(clip=lambda weights, norm: nn.utils.clip_grad_norm_(weights, 1.0)),
    "clips-in-max-norm": whole(
        clip=lambda weights, norm: nn.utils.clip_grad_norm_(weights, norm, norm_type=float("inf"))
    ),
    "half-the-loss": whole(out=lambda loss, me: loss.item() / 2),
    "loss-with-a-sign": whole(out=lambda loss, me: -loss.item()),
    "nothing-returned": whole(out=lambda loss, me: None),
    "uphill": whole(back=lambda loss: (-loss).backward()),
    "summed-loss": whole(
        loss=lambda s, v, h, a, g, cv, ce: len(a) * loss_by_rows(s, v, h, a, g, cv, ce)
    ),
}


def once_and_detached(agent_state, rollout):
    """Right: V is evaluated once for both of its uses; gradients by autograd, clipped by hand."""
    me, b = agent_state, rollout
    value = me.v_net(b.obs)
    with torch.no_grad():
        following = me.v_net(b.next_obs)
    adv, returns = gae_numpy(
        b.reward, value.detach(), following, b.terminated, b.truncated, me.gamma, me.lam
    )
    pi = torch.softmax(me.policy(b.obs), dim=1)
    entropy = torch.special.entr(pi).sum(1)
    log_prob = picked(pi, b.action).log()
    loss = loss_by_rows(log_prob, value, entropy, adv, returns, me.value_coef, me.entropy_coef)
    weights = [*me.v_net.parameters(), *me.policy.parameters()]
    grads = torch.autograd.grad(loss, weights)
    norm = torch.cat([g.flatten() for g in grads]).norm()
    for w, g in zip(weights, grads, strict=True):
        w.grad = g * torch.clamp(me.max_grad_norm / (norm + 1e-6), max=1.0)
    me.optimizer.step()
    return loss


WRONG = {
    "n_step_advantage": {
        "n-fixed": n_changed(n=lambda n: 3),
        "one-less": n_changed(n=lambda n: max(n - 1, 1)),
        "all": n_changed(n=lambda n: 10**6),
        "fixed-gamma": n_changed(gamma=0.9),
        "undiscounted": n_changed(gamma=1.0),
        "exchanged": n_changed(out=lambda a, r, v: (r, a)),
        "rows-reversed": n_changed(out=lambda a, r, v: (a.flip(0), r.flip(0))),
        "shifted": n_changed(out=lambda a, r, v: (a.roll(1), r.roll(1))),
        "clipped": n_changed(out=lambda a, r, v: (a.clamp(min=0), r)),
        "mean": n_changed(out=lambda a, r, v: (a.mean(), r.mean())),
        "centred": n_changed(out=lambda a, r, v: (a - a.mean(), r)),
        "ints": n_changed(out=lambda a, r, v: (a.long(), r.long())),
        "lists": n_changed(out=lambda a, r, v: (a.tolist(), r.tolist())),
        "alone": n_changed(out=lambda a, r, v: a),
        "target-plus-value": n_changed(out=lambda a, r, v: (a, r + v)),
        "as-lambda": n_as_lambda,
        "short-windows-are-td": n_without_short_windows,
        "clock-beats-death": n_both_flags,
        "first-value": n_of_first_value,
    },
    "gae": {
        "in-place": changed_in_place,
        "normalised": normalised,
        "parts-exchanged": swapped_parts,
        "clipped": clipped,
        "first-row-zero": from_the_second_row,
        "own-value": value_of_s_everywhere,
        "fixed-lam": fixed_lambda,
        "fixed-gamma": fixed_gamma,
        "flags-exchanged": flags_exchanged,
        "clock-beats-death": terminal_beats_nothing,
        "wraps": rollout_wraps,
        "two-terms": two_terms,
        "monte-carlo": monte_carlo,
        "rewards-only": rewards_only,
        "lists": lists,
        "columns": columns,
        "last-row-terminal": last_terminal,
        "mixes-with-v": lam_at_the_bootstrap,
        "cumulative": gae_inside(lambda x, v, g, lam, d, c: x.flip(0).cumsum(0).flip(0)),
        "mean-error": gae_inside(lambda x, v, g, lam, d, c: x.mean().expand_as(x)),
        "lam-on-delta": gae_inside(lambda x, v, g, lam, d, c: lam * x),
    },
    "critic_error_weights": C_WRONG,
    "one_step_actor_critic_update": ONE_WRONG,
    "q_actor_critic_update": Q_WRONG,
    "a2c_loss": A2C_LOSS_WRONG,
    "a2c_update": A2C_WRONG,
}

RIGHT = {
    "n_step_advantage": {"sums": n_by_sums, "recursive": n_recursive},
    "gae": {"matrix": gae_matrix, "mixture": gae_mixture, "numpy": gae_numpy, "flip": gae_flip},
    "critic_error_weights": {
        "formula": c_right,
        "differences": c_by_differences,
        "probing": c_by_probing,
    },
    "one_step_actor_critic_update": {
        "lines": one_step(),
        "in-one": one_step(go=go_in_one),
        "autograd": v_frozen,
        "floats": one_step(out=lambda d, i: [float(d), float(i)]),
    },
    "q_actor_critic_update": {
        "lines": q_step(),
        "in-one": q_step(go=go_in_one),
        "rows": q_row_by_row,
    },
    "a2c_loss": {"lines": loss_of(), "rows": loss_by_rows, "stack": loss_by_stack},
    "a2c_update": {
        "lines": whole(),
        "rows": whole(loss=loss_by_rows),
        "once": once_and_detached,
        "attached-return": whole(out=lambda loss, me: loss),
    },
}
