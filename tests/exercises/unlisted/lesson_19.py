"""Lesson 19: SAC's target, losses and step. Keys as in `lesson_00`."""

import numpy as np
import torch

from rlcourse.continuous.sac import squashed_action, squashed_log_prob


def rows_target(future, form=lambda r, y, d, g: r if d else r + g * y, finish=lambda y: y):
    """A target built row by row; `future(q1, q2, log_prob, alpha)` is the next state's soft value."""

    def sac_target(reward, q1_next, q2_next, log_prob_next, terminated, gamma, alpha):
        columns = (reward, q1_next, q2_next, log_prob_next, terminated)
        r, q1, q2, lp, d = (x.detach().numpy() for x in columns)
        a = float(alpha)
        y = [form(r[i], future(q1[i], q2[i], lp[i], a), d[i], gamma) for i in range(len(r))]
        return finish(torch.tensor(np.array(y, dtype=np.float32)))

    return sac_target


def soft(q1, q2, lp, a):
    return min(q1, q2) - a * lp


right_target = rows_target(soft)


def shifted_rows(reward, q1, q2, lp, d, gamma, alpha):
    return right_target(reward, q1.roll(1), q2.roll(1), lp.roll(1), d, gamma, alpha)


def masked_in_place(reward, q1, q2, lp, d, gamma, alpha):
    with torch.no_grad():
        lp[d > 0] = 0.0
    return right_target(reward, q1, q2, lp, d, gamma, alpha)


def column(*given):
    return right_target(*given)[:, None]


def temperature(reduce=lambda x: x.mean(), factor=torch.exp, inside=lambda lp, t: lp + t):
    def temperature_loss(log_alpha, log_prob, target_entropy):
        return -reduce(factor(log_alpha) * inside(log_prob.detach(), target_entropy))

    return temperature_loss


def absolute_distance(log_alpha, log_prob, target_entropy):
    return log_alpha.exp() * (log_prob.detach().mean() + target_entropy).abs()


def squared_distance(log_alpha, log_prob, target_entropy):
    return log_alpha.exp() * (log_prob.detach().mean() + target_entropy) ** 2


def under_no_grad(log_alpha, log_prob, target_entropy):
    with torch.no_grad():
        return temperature()(log_alpha, log_prob, target_entropy)


def number_of_it(log_alpha, log_prob, target_entropy):
    return temperature()(log_alpha, log_prob, target_entropy).item()


def own_backward(log_alpha, log_prob, target_entropy):
    loss = temperature()(log_alpha, log_prob, target_entropy)
    loss.backward()
    return loss


def loss_by(critic, combine=lambda alpha, lp, q: alpha * lp - q, reduce=lambda x: x.mean()):
    def sac_policy_loss(q1, q2, log_prob, alpha):
        alpha = alpha.detach() if isinstance(alpha, torch.Tensor) else alpha
        return reduce(combine(alpha, log_prob, critic(q1, q2)))

    return sac_policy_loss


def smaller(q1, q2):
    return torch.stack((q1, q2)).amin(0)


def either(q1, q2):
    return 0.5 * (q1 + q2) - 0.5 * (q1 - q2).abs()


def update(
    *,
    critic_loss=lambda q, y: ((q - y) ** 2).mean(),
    next_policy=squashed_action,
    policy_q=torch.minimum,
    alpha_for_target=True,
    alpha_for_policy=True,
    both=True,
    steps=1,
    slow=lambda p, x, rho: rho * p + (1 - rho) * x,
    slow_of=(("critic1_targ", "critic1"), ("critic2_targ", "critic2")),
    shortfall=lambda lp, goal: lp + goal,
    result=lambda figures: figures,
):
    """The step, by this file's own arithmetic, with one thing done otherwise."""

    def sac_update(agent_state, batch, noise, next_noise):
        s = agent_state
        alpha = float(s.log_alpha.detach().exp())
        with torch.no_grad():
            a_next, lp_next = next_policy(s.policy, batch.next_obs, next_noise)
            q1, q2 = s.critic1_targ(batch.next_obs, a_next), s.critic2_targ(batch.next_obs, a_next)
            v = torch.minimum(q1, q2) - (alpha * lp_next if alpha_for_target else 0)
            y = batch.reward + s.gamma * (1 - batch.terminated) * v
        for _ in range(steps):
            loss = critic_loss(s.critic1(batch.obs, batch.action), y)
            if both:
                loss = loss + critic_loss(s.critic2(batch.obs, batch.action), y)
            s.critic_optimizer.zero_grad(set_to_none=False)
            loss.backward()
            s.critic_optimizer.step()
        mean, log_std = s.policy(batch.obs)
        u = mean + log_std.exp() * noise
        lp = squashed_log_prob(u, mean, log_std)
        q = policy_q(s.critic1(batch.obs, u.tanh()), s.critic2(batch.obs, u.tanh()))
        policy_loss = ((alpha if alpha_for_policy else 0.0) * lp - q).mean()
        s.policy_optimizer.zero_grad()
        policy_loss.backward()
        s.policy_optimizer.step()
        if s.alpha_optimizer is not None:
            s.alpha_optimizer.zero_grad()
            (-s.log_alpha.exp() * shortfall(lp.detach(), s.target_entropy).mean()).backward()
            s.alpha_optimizer.step()
        with torch.no_grad():
            for target, online in slow_of:
                to, of = getattr(s, target).parameters(), getattr(s, online).parameters()
                for p, x in zip(to, of, strict=True):
                    p.copy_(slow(p, x, s.rho))
        return result({"critics": loss.item(), "policy": policy_loss.item()})

    return sac_update


def mean_action(policy, obs, noise):
    return squashed_action(policy, obs, torch.zeros_like(noise))


def unsquashed(policy, obs, noise):
    mean, log_std = policy(obs)
    u = mean + log_std.exp() * noise
    return u, squashed_log_prob(u, mean, log_std)


def gaussian_density(policy, obs, noise):
    mean, log_std = policy(obs)
    u = mean + log_std.exp() * noise
    log_prob = torch.distributions.Normal(mean, log_std.exp()).log_prob(u).sum(-1)
    return u.tanh(), log_prob


def needs_an_optimizer(agent_state, batch, noise, next_noise):
    agent_state.alpha_optimizer.zero_grad()
    return update()(agent_state, batch, noise, next_noise)


def drops_the_critics(agent_state, batch, noise, next_noise):
    """Right: the critics are frozen while the policy learns, and given free again."""
    s = agent_state
    figures = update()(s, batch, noise, next_noise)
    for critic in (s.critic1, s.critic2):
        for p in critic.parameters():
            p.grad = None
    return {name: torch.tensor(x) for name, x in figures.items()}


WRONG = {
    "sac_target": {
        "shifted-rows": shifted_rows,
        "masked-in-place": masked_in_place,
        "column": column,
        "array": rows_target(soft, finish=lambda y: y.numpy()),
        "list": rows_target(soft, finish=list),
        "mean": rows_target(soft, finish=lambda y: y.mean()),
        "double-precision-off": rows_target(soft, finish=lambda y: y * (1 + 1e-3)),
        "probability-for-log": rows_target(lambda q1, q2, lp, a: min(q1, q2) - a * np.exp(lp)),
        "bonus-without-alpha": rows_target(lambda q1, q2, lp, a: min(q1, q2) - lp),
        "min-of-soft-and-hard": rows_target(lambda q1, q2, lp, a: min(q1 - a * lp, q2)),
        "reward-masked": rows_target(soft, form=lambda r, y, d, g: (1 - d) * (r + g * y)),
        "gamma-on-reward": rows_target(soft, form=lambda r, y, d, g: g * (r + (1 - d) * y)),
        "gamma-twice": rows_target(soft, form=lambda r, y, d, g: r + g * g * (1 - d) * y),
        "mask-inverted": rows_target(soft, form=lambda r, y, d, g: r + g * d * y),
        "reward-scaled": rows_target(soft, form=lambda r, y, d, g: r / 2 + g * (1 - d) * y),
        "always-bonus": rows_target(lambda q1, q2, lp, a: min(q1, q2) + a * abs(lp)),
    },
    "temperature_loss": {
        "absolute": absolute_distance,
        "squared": squared_distance,
        "under-no-grad": under_no_grad,
        "number": number_of_it,
        "own-backward": own_backward,
        "per-row": temperature(reduce=lambda x: x),
        "median": temperature(reduce=lambda x: x.median() + 0 * x.sum()),
        "root": temperature(factor=lambda x: (0.5 * x).exp()),
        "softplus": temperature(factor=torch.nn.functional.softplus),
        "negative-exponent": temperature(factor=lambda x: (-x).exp()),
        "probability": temperature(inside=lambda lp, t: lp.exp() + t),
        "doubled": temperature(factor=lambda x: 2 * x.exp()),
        "target-alone": temperature(inside=lambda lp, t: 0 * lp + t),
    },
    "default_target_entropy": {
        "half": lambda act_dim: -act_dim / 2,
        "squared": lambda act_dim: -float(act_dim**2),
        "one-more": lambda act_dim: -float(act_dim + 1),
        "tensor": lambda act_dim: torch.tensor([-float(act_dim)]),
        "zero": lambda act_dim: 0.0,
        "text": lambda act_dim: str(-act_dim),
    },
    "sac_policy_loss": {
        "per-row": loss_by(smaller, reduce=lambda x: x),
        "min-over-the-batch": loss_by(lambda a, b: torch.cat([a, b]).min()),
        "no-alpha": loss_by(smaller, lambda alpha, lp, q: lp - q),
        "alpha-on-q": loss_by(smaller, lambda alpha, lp, q: lp - alpha * q),
        "alpha-on-both": loss_by(smaller, lambda alpha, lp, q: alpha * (lp - q)),
        "sum-of-critics": loss_by(lambda a, b: a + b),
        "probability": loss_by(smaller, lambda alpha, lp, q: alpha * lp.exp() - q),
        "score-function": loss_by(smaller, lambda alpha, lp, q: lp * (alpha * lp - q).detach()),
        "squared": loss_by(smaller, lambda alpha, lp, q: (alpha * lp - q) ** 2),
        "number": lambda *given: loss_by(smaller)(*given).item(),
        "two-backwards": lambda *given: loss_by(smaller)(*given) * torch.ones(1),
    },
    "sac_update": {
        "nothing": lambda *given: {"loss": 0.0},
        "returns-nothing": update(result=lambda figures: None),
        "returns-a-list": update(result=lambda figures: list(figures.values())),
        "absolute-loss": update(critic_loss=lambda q, y: (q - y).abs().mean()),
        "summed-loss": update(critic_loss=lambda q, y: ((q - y) ** 2).sum()),
        "one-critic-learns": update(both=False),
        "two-steps": update(steps=2),
        "mean-next-action": update(next_policy=mean_action),
        "next-action-not-squashed": update(next_policy=unsquashed),
        "density-not-squashed": update(next_policy=gaussian_density),
        "no-bonus-in-the-target": update(alpha_for_target=False),
        "no-entropy-in-the-policy": update(alpha_for_policy=False),
        "policy-follows-the-mean": update(policy_q=lambda a, b: (a + b) / 2),
        "policy-follows-the-larger": update(policy_q=torch.maximum),
        "one-slow-copy": update(slow_of=(("critic1_targ", "critic1"),)),
        "slow-copies-crossed": update(
            slow_of=(("critic1_targ", "critic2"), ("critic2_targ", "critic1"))
        ),
        "online-follows-slow": update(
            slow_of=(("critic1", "critic1_targ"), ("critic2", "critic2_targ"))
        ),
        "target-of-plus": update(shortfall=lambda lp, goal: lp - goal),
        "no-fixed-alpha": needs_an_optimizer,
        "hard-coded-rho": update(slow=lambda p, x, rho: 0.9 * p + 0.1 * x),
    },
}

RIGHT = {
    "sac_target": {
        "row-by-row": right_target,
        "sorted": lambda r, q1, q2, lp, d, g, a: (
            r + (1 - d) * g * (torch.stack([q1, q2]).sort(0).values[0] - a * lp)
        ).detach(),
        "half-the-distance": lambda r, q1, q2, lp, d, g, a: (
            (r + g * (1 - d) * (either(q1, q2) - a * lp)).data
        ),
        "filled": lambda r, q1, q2, lp, d, g, a: (
            r + g * (torch.min(q1, q2) - a * lp).masked_fill(d.bool(), 0.0)
        ).detach(),
    },
    "temperature_loss": {
        "mean-first": lambda la, lp, t: -la.exp() * (lp.detach().mean() + t),
        "data": lambda la, lp, t: (torch.exp(la) * (-lp.data - t)).mean(),
        "log-alpha-itself": lambda la, lp, t: -(la * (lp + t).detach()).mean(),
        "sum-by-length": lambda la, lp, t: -(la.exp() * (lp.detach() + t)).sum() / len(lp),
    },
    "default_target_entropy": {
        "integer": lambda act_dim: -int(act_dim),
        "product": lambda act_dim: -1.0 * act_dim,
        "sum": lambda act_dim: -sum(1.0 for _ in range(act_dim)),
    },
    "sac_policy_loss": {
        "stacked": loss_by(smaller),
        "half-the-distance": loss_by(either),
        "negated-mean": lambda q1, q2, lp, a: -(torch.min(q1, q2) - float(a) * lp).mean(),
    },
    "sac_update": {
        "own-arithmetic": update(),
        "gradients-dropped": drops_the_critics,
        "lerp": update(slow=lambda p, x, rho: torch.lerp(p, x, 1 - rho)),
    },
}

NAMED = {
    "sac_target": {
        "no-entropy/rows": rows_target(lambda q1, q2, lp, a: min(q1, q2)),
        "entropy-sign/rows": rows_target(lambda q1, q2, lp, a: min(q1, q2) + a * lp),
        "max/rows": rows_target(lambda q1, q2, lp, a: max(q1, q2) - a * lp),
        "mean-of-critics/rows": rows_target(lambda q1, q2, lp, a: (q1 + q2) / 2 - a * lp),
        "terminal-bootstrap/rows": rows_target(soft, form=lambda r, y, d, g: r + g * y),
    },
    "temperature_loss": {
        "sign/mean-first": lambda la, lp, t: la.exp() * (lp.detach().mean() + t),
        "sum/by-hand": temperature(reduce=lambda x: x.mean() * len(x)),
        "alpha-detached/item": lambda la, lp, t: (
            torch.tensor(np.exp(la.item())) * -(lp.detach() + t)
        ).mean(),
    },
    "default_target_entropy": {
        "positive/abs": lambda act_dim: abs(float(act_dim)),
        "minus-one-always/integer": lambda act_dim: -1,
    },
    "sac_policy_loss": {
        "first-critic-only/by-hand": loss_by(lambda a, b: a),
        "no-entropy/by-hand": loss_by(smaller, lambda alpha, lp, q: -q),
        "entropy-sign/by-hand": loss_by(smaller, lambda alpha, lp, q: -alpha * lp - q),
    },
    "sac_update": {
        "polyak-reversed/by-hand": update(slow=lambda p, x, rho: (1 - rho) * p + rho * x),
        "hard-copies/by-hand": update(slow=lambda p, x, rho: x),
        "first-critic-only/by-hand": update(policy_q=lambda a, b: a),
    },
}
