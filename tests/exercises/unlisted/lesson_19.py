"""Lesson 19: SAC's target, losses, its temperature on paper, and its step. Keys as in `lesson_00`."""

import math
import statistics
from copy import deepcopy

import numpy as np
import torch
from torch.nn.functional import huber_loss, mse_loss

from rlcourse.continuous.sac import squashed_action, squashed_log_prob
from rlcourse.lab.networks import polyak_update


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


def of_width(
    middle=lambda k: math.exp(math.fsum(map(math.log, k)) / len(k)),
    variance=lambda h: math.exp(2 * h) / (2 * math.pi * math.e),
    each=lambda goal, dim: goal / dim,
    default=lambda dim: -dim,
    given=lambda goal: goal is not None,
    alpha=lambda k, v: k * v,
    finish=float,
):
    """α* by the variance that one dimension needs for its share of the entropy."""

    def quadratic_temperature(curvature, target_entropy=None):
        dim = len(curvature)
        goal = target_entropy if given(target_entropy) else default(dim)
        return finish(alpha(middle(curvature), variance(each(goal, dim))))

    return quadratic_temperature


def newton(curvature, target_entropy=None):
    """The entropy is linear in log α: one step of Newton's arrives."""
    goal = -curvature.size if target_entropy is None else target_entropy
    sigma = np.sqrt(1 / curvature)
    entropy = np.sum(np.log(sigma) + 0.5 * np.log(2 * np.pi * np.e))
    return np.exp((goal - entropy) / (curvature.size / 2))


def rooted(curvature, target_entropy=None):
    alpha = 1.0
    for k in curvature:
        alpha *= (k / (2 * math.pi * math.e)) ** (1 / len(curvature))
    return alpha * math.exp(2 * (-1 if target_entropy is None else target_entropy / len(curvature)))


def sampled(curvature, target_entropy=None):
    """Right but for its noise."""
    rng = np.random.default_rng(0)
    dim = len(curvature)
    goal = -dim if target_entropy is None else target_entropy
    z = rng.standard_normal((1000, dim))
    entropy = np.mean(0.5 * np.sum(z**2 + np.log(2 * np.pi / curvature), axis=1))
    return float(np.exp(2 * (goal - entropy) / dim))


def changes_curvature(curvature, target_entropy=None):
    curvature /= curvature[0]
    return of_width()(curvature, target_entropy)


def half(
    *,
    act=squashed_action,
    obs_of=lambda batch: batch.next_obs,
    action_of=lambda batch, a: a,
    slow=lambda s: (s.critic1_targ, s.critic2_targ),
    smaller=lambda q: q.min(dim=0).values,
    alpha=lambda s: s.log_alpha.exp(),
    soft=lambda q, alpha, lp: q - alpha * lp,
    label=lambda r, v, d, gamma: r + gamma * (1.0 - d) * v,
    regressed=lambda batch: batch.action,
    distance=mse_loss,
    total=lambda losses: losses[0] + losses[1],
    clear=True,
    times=1,
    finish=lambda loss, s, batch: loss.item(),
):
    """The critics' half in the style of published agents: both critics stacked."""

    def sac_critic_update(agent_state, batch, next_noise):
        s = agent_state
        with torch.no_grad():
            a, lp = act(s.policy, obs_of(batch), next_noise)
            q = torch.stack([c(batch.next_obs, action_of(batch, a)) for c in slow(s)])
            y = label(batch.reward, soft(smaller(q), alpha(s), lp), batch.terminated, s.gamma)
        for _ in range(times):
            losses = [
                distance(c(batch.obs, regressed(batch)), y[i] if y.ndim == 2 else y)
                for i, c in enumerate((s.critic1, s.critic2))
            ]
            loss = total(losses)
            if clear:
                s.critic_optimizer.zero_grad()
            loss.backward()
            s.critic_optimizer.step()
        return finish(loss, s, batch)

    return sac_critic_update


def by_autograd(agent_state, batch, next_noise):
    """Right: gradients asked for, and laid where the optimiser looks for them."""
    s = agent_state
    with torch.no_grad():
        a, lp = squashed_action(s.policy, batch.next_obs, next_noise)
        q1, q2 = s.critic1_targ(batch.next_obs, a), s.critic2_targ(batch.next_obs, a)
        v = torch.where(q1 < q2, q1, q2) - float(s.log_alpha.exp()) * lp
        y = torch.where(batch.terminated > 0.5, batch.reward, batch.reward + s.gamma * v)
    loss = sum(((c(batch.obs, batch.action) - y) ** 2).mean() for c in (s.critic1, s.critic2))
    weights = [*s.critic1.parameters(), *s.critic2.parameters()]
    for w, g in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        w.grad = g
    s.critic_optimizer.step()
    return loss.detach()


def target_by_numpy(agent_state, batch, next_noise):
    """Right: the label as an array, which no gradient can flow through."""
    s = agent_state
    a, lp = squashed_action(s.policy, batch.next_obs, next_noise)
    q = [c(batch.next_obs, a).detach().numpy() for c in (s.critic1_targ, s.critic2_targ)]
    v = np.minimum(*q) - math.exp(s.log_alpha.item()) * lp.detach().numpy()
    y = batch.reward.numpy() + s.gamma * v * (batch.terminated.numpy() == 0)
    errors = [c(batch.obs, batch.action) - torch.as_tensor(y) for c in (s.critic1, s.critic2)]
    loss = torch.cat(errors).square().sum() / len(y)
    s.critic_optimizer.zero_grad(set_to_none=False)
    loss.backward()
    s.critic_optimizer.step()
    return float(loss)


def policy_too(agent_state, batch, next_noise):
    loss = half()(agent_state, batch, next_noise)
    with torch.no_grad():
        for p in agent_state.policy.parameters():
            p -= 0.01
    return loss


def slow_copies_too(agent_state, batch, next_noise):
    loss = half()(agent_state, batch, next_noise)
    polyak_update(agent_state.critic1_targ, agent_state.critic1, 0.9)
    polyak_update(agent_state.critic2_targ, agent_state.critic2, 0.9)
    return loss


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
    factor=torch.exp,
    targ="_targ",
    attached=False,
    clear="before",
    judged=lambda a: a,
    judged_by=("critic1", "critic2"),
    default=lambda action: -action.shape[1],
    given=lambda goal: goal is not None,
    result=lambda figures: figures,
):
    """The step, by this file's own arithmetic, with one thing done otherwise."""

    def descend(optimizer, loss):
        if clear == "before":
            optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
        if clear == "after":
            optimizer.zero_grad()

    def sac_update(agent_state, batch, noise, next_noise):
        s = agent_state
        alpha = float(s.log_alpha.detach().exp())
        if clear == "start":
            for optimizer in (s.critic_optimizer, s.policy_optimizer, s.alpha_optimizer):
                if optimizer is not None:
                    optimizer.zero_grad()
        with torch.set_grad_enabled(attached):
            a_next, lp_next = next_policy(s.policy, batch.next_obs, next_noise)
            q1, q2 = (getattr(s, c + targ)(batch.next_obs, a_next) for c in ("critic1", "critic2"))
            v = torch.minimum(q1, q2) - (alpha * lp_next if alpha_for_target else 0)
            y = batch.reward + s.gamma * (1 - batch.terminated) * v
        for _ in range(steps):
            loss = critic_loss(s.critic1(batch.obs, batch.action), y)
            if both:
                loss = loss + critic_loss(s.critic2(batch.obs, batch.action), y)
            descend(s.critic_optimizer, loss)
        mean, log_std = s.policy(batch.obs)
        u = mean + log_std.exp() * noise
        lp = squashed_log_prob(u, mean, log_std)
        a = judged(u.tanh())
        q = policy_q(*(getattr(s, critic)(batch.obs, a) for critic in judged_by))
        policy_loss = ((alpha if alpha_for_policy else 0.0) * lp - q).mean()
        descend(s.policy_optimizer, policy_loss)
        if s.alpha_optimizer is not None:
            goal = s.target_entropy if given(s.target_entropy) else default(batch.action)
            missing = shortfall(lp.detach(), goal).mean()
            descend(s.alpha_optimizer, -factor(s.log_alpha) * missing)
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


def with_epsilon(policy, obs, noise):
    mean, log_std = policy(obs)
    u = mean + log_std.exp() * noise
    log_prob = torch.distributions.Normal(mean, log_std.exp()).log_prob(u)
    return u.tanh(), (log_prob - torch.log(1 - u.tanh() ** 2 + 1e-6)).sum(-1)


def needs_an_optimizer(agent_state, batch, noise, next_noise):
    agent_state.alpha_optimizer.zero_grad()
    return update()(agent_state, batch, noise, next_noise)


def one_sum(moved_too):
    """Policy's and temperature's loss in one sum; `moved_too` whether the critics learn from it as well."""

    def sac_update(agent_state, batch, noise, next_noise):
        s = agent_state
        alpha = float(s.log_alpha.detach().exp())
        kept = (s.policy_optimizer, s.alpha_optimizer, s.rho)
        s.policy_optimizer, s.alpha_optimizer, s.rho = torch.optim.SGD([torch.zeros(1)]), None, 1.0
        figures = update()(s, batch, noise, next_noise)  # the critics alone
        s.policy_optimizer, s.alpha_optimizer, s.rho = kept
        action, lp = squashed_action(s.policy, batch.obs, noise)
        q = torch.minimum(s.critic1(batch.obs, action), s.critic2(batch.obs, action))
        loss = (alpha * lp - q).mean()
        optimizers = [s.policy_optimizer] + [s.critic_optimizer] * moved_too
        if s.alpha_optimizer is not None:
            goal = -noise.shape[1] if s.target_entropy is None else s.target_entropy
            loss = loss - s.log_alpha.exp() * (lp.detach() + goal).mean()
            optimizers.append(s.alpha_optimizer)
        for optimizer in (s.critic_optimizer, *optimizers):
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        polyak_update(s.critic1_targ, s.critic1, s.rho)
        polyak_update(s.critic2_targ, s.critic2, s.rho)
        return figures

    return sac_update


def own_slow_policy(agent_state, batch, noise, next_noise):
    s = agent_state
    if not hasattr(s, "policy_slow"):
        s.policy_slow = deepcopy(s.policy)
    by_it = update(next_policy=lambda _policy, *given: squashed_action(s.policy_slow, *given))
    figures = by_it(s, batch, noise, next_noise)
    polyak_update(s.policy_slow, s.policy, s.rho)
    return figures


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
    "quadratic_temperature": {
        "half": of_width(default=lambda dim: -dim / 2),
        "squared": of_width(default=lambda dim: -float(dim**2)),
        "one-more": of_width(default=lambda dim: -float(dim + 1)),
        "zero": of_width(default=lambda dim: 0.0),
        "text": of_width(default=str),
        "tensor": of_width(finish=torch.tensor),
        "array": of_width(finish=lambda x: np.array([x])),
        "median": of_width(middle=np.median),
        "quadratic-mean": of_width(middle=lambda k: math.sqrt(np.mean(k**2))),
        "product-of-roots": of_width(middle=lambda k: float(np.prod(np.sqrt(k)))),
        "variance-itself": of_width(alpha=lambda k, v: v),
        "uniform-for-gaussian": of_width(variance=lambda h: math.exp(2 * h) / 12),
        "laplace-for-gaussian": of_width(variance=lambda h: 2 * (math.exp(h) / (2 * math.e)) ** 2),
        "bits": of_width(variance=lambda h: 2 ** (2 * h) / (2 * math.pi * math.e)),
        "sampled": sampled,
        "changes-its-input": changes_curvature,
        "half-missing + no-e": of_width(variance=lambda h: math.exp(h) / (2 * math.pi)),
        "arithmetic-mean + half-missing": of_width(
            middle=np.mean, variance=lambda h: math.exp(h) / (2 * math.pi * math.e)
        ),
        "curvature-inverted + minus-one-always": of_width(
            default=lambda dim: -1, alpha=lambda k, v: v / k
        ),
        "no-e + positive": of_width(
            default=abs, variance=lambda h: math.exp(2 * h) / (2 * math.pi)
        ),
    },
    "sac_critic_update": {
        "nothing": lambda *given: 0.0,
        "returns-nothing": half(finish=lambda *given: None),
        "returns-both-losses": half(finish=lambda loss, *given: (loss.item() / 2, loss.item() / 2)),
        "returns-a-dictionary": half(finish=lambda loss, *given: {"loss": loss.item()}),
        "returns-the-mean-of-both": half(finish=lambda loss, *given: loss.item() / 2),
        "absolute-loss": half(distance=lambda q, y: (q - y).abs().mean()),
        "huber-loss": half(distance=huber_loss),
        "product-of-losses": half(total=lambda losses: losses[0] * losses[1]),
        "weighted-losses": half(total=lambda losses: 0.7 * losses[0] + 1.3 * losses[1]),
        "two-steps": half(times=2),
        "mean-next-action": half(act=lambda policy, obs, noise: mean_action(policy, obs, noise)),
        "next-action-not-squashed": half(act=lambda *given: unsquashed(*given)),
        "noise-negated": half(act=lambda policy, obs, noise: squashed_action(policy, obs, -noise)),
        "label-not-below-zero": half(label=lambda r, v, d, g: (r + g * (1 - d) * v).clamp(min=0)),
        "one-slow-critic-twice": half(slow=lambda s: (s.critic2_targ, s.critic2_targ)),
        "one-slow-one-online": half(slow=lambda s: (s.critic1_targ, s.critic2)),
        "min-over-the-batch": half(smaller=lambda q: q.min().expand(q.shape[1])),
        "probability": half(soft=lambda q, alpha, lp: q - alpha * lp.exp()),
        "policy-moves-too": policy_too,
        "slow-copies-move-too": slow_copies_too,
        "no-entropy + half-the-loss": half(
            soft=lambda q, alpha, lp: q, total=lambda losses: sum(losses) / 2
        ),
        "terminal-bootstrap + gradients-pile-up": half(
            label=lambda r, v, d, g: r + g * v, clear=False
        ),
        "drawn-in-s + one-critic-trained": half(
            obs_of=lambda batch: batch.obs, total=lambda losses: losses[0]
        ),
        "online-critics-in-target + no-gamma": half(
            slow=lambda s: (s.critic1, s.critic2), label=lambda r, v, d, g: r + (1 - d) * v
        ),
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
        "half": update(default=lambda action: -action.shape[1] / 2),
        "squared": update(default=lambda action: -float(action.shape[1] ** 2)),
        "one-more": update(default=lambda action: -float(action.shape[1] + 1)),
        "zero": update(default=lambda action: 0.0),
        "text": update(default=lambda action: str(-action.shape[1])),
        "always-the-default": update(given=lambda goal: False),
        "half-slow-judges": update(judged_by=("critic1", "critic2_targ")),
        "no-entropy + slow-critics-judge": update(
            alpha_for_target=False, judged_by=("critic1_targ", "critic2_targ")
        ),
        "temperature-reversed + polyak-reversed": update(
            factor=lambda x: -x.exp(), slow=lambda p, x, rho: (1 - rho) * p + rho * x
        ),
        "no-entropy + positive": update(
            alpha_for_target=False, default=lambda action: action.shape[1]
        ),
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
    "quadratic_temperature": {
        "by-width": of_width(),
        "integer": of_width(default=lambda dim: -int(dim)),
        "product": of_width(default=lambda dim: -1.0 * dim),
        "sum": of_width(default=lambda dim: -sum(1.0 for _ in range(dim))),
        "geometric-mean": of_width(middle=lambda k: statistics.geometric_mean(k)),
        "base-ten": of_width(middle=lambda k: 10 ** np.log10(k).mean()),
        "numpy-float": of_width(finish=np.float64),
        "array-of-no-dimension": of_width(finish=np.array),
        "newton": newton,
        "roots": rooted,
    },
    "sac_critic_update": {
        "stacked": half(),
        "tensor": half(finish=lambda loss, *given: loss),
        "sorted": half(smaller=lambda q: q.sort(dim=0).values[0]),
        "masked-fill": half(label=lambda r, v, d, g: r + g * v.masked_fill(d.bool(), 0.0)),
        "mean-by-hand": half(distance=lambda q, y: (q - y).pow(2).sum() / len(y)),
        "by-autograd": by_autograd,
        "target-by-numpy": target_by_numpy,
    },
    "sac_policy_loss": {
        "stacked": loss_by(smaller),
        "half-the-distance": loss_by(either),
        "negated-mean": lambda q1, q2, lp, a: -(torch.min(q1, q2) - float(a) * lp).mean(),
    },
    "sac_update": {
        "own-arithmetic": update(),
        "gradients-dropped": drops_the_critics,
        "cleared-at-the-start": update(clear="start"),
        "target-attached": update(attached=True),
        "one-sum": one_sum(moved_too=False),
        "lerp": update(slow=lambda p, x, rho: torch.lerp(p, x, 1 - rho)),
        "default-as-a-tensor": update(
            default=lambda action: torch.tensor([-float(action.shape[-1])])
        ),
        "default-by-a-row": update(default=lambda action: -len(action[0])),
    },
}

NAMED = {
    "sac_target": {
        "no-entropy/rows": rows_target(lambda q1, q2, lp, a: min(q1, q2)),
        "entropy-sign/rows": rows_target(lambda q1, q2, lp, a: min(q1, q2) + a * lp),
        "max/rows": rows_target(lambda q1, q2, lp, a: max(q1, q2) - a * lp),
        "mean-of-critics/rows": rows_target(lambda q1, q2, lp, a: (q1 + q2) / 2 - a * lp),
        "terminal-bootstrap/rows": rows_target(soft, form=lambda r, y, d, g: r + g * y),
        "one-critic/attached": lambda r, q1, q2, lp, d, g, a: r + g * (1 - d) * (q2 - a * lp),
        "no-gamma/attached": lambda r, q1, q2, lp, d, g, a: (
            r + (1 - d) * (torch.min(q1, q2) - a * lp)
        ),
        "min-over-the-batch/one-critic-for-all": lambda r, q1, q2, lp, d, g, a: (
            r + g * (1 - d) * (min(q1, q2, key=torch.mean) - a * lp)
        ).detach(),
        "gradient-into-target/half": lambda r, q1, q2, lp, d, g, a: (
            r + g * (1 - d) * (torch.min(q1, q2).detach() - a * lp)
        ),
    },
    "temperature_loss": {
        "sign/mean-first": lambda la, lp, t: la.exp() * (lp.detach().mean() + t),
        "sum/by-hand": temperature(reduce=lambda x: x.mean() * len(x)),
        "sum/attached": lambda la, lp, t: -(la.exp() * (lp + t)).sum(),
        "sign/log-alpha-attached": lambda la, lp, t: la * (lp + t).mean(),
        "target-sign/turned": lambda la, lp, t: (la.exp() * (lp - t)).mean(),
        "no-target/attached": lambda la, lp, t: -(la.exp() * lp).mean(),
        "alpha-detached/log-alpha": lambda la, lp, t: -(la.item() * (lp + t)).mean(),
        "alpha-detached/item": lambda la, lp, t: (
            torch.tensor(np.exp(la.item())) * -(lp.detach() + t)
        ).mean(),
    },
    "quadratic_temperature": {
        "positive/abs": of_width(default=abs),
        "minus-one-always/integer": of_width(default=lambda dim: -1),
        "log-of-dim/by-hand": of_width(default=lambda dim: -math.log(dim)),
        "zero-for-none/or": of_width(given=bool),
        "default-forgotten/none": of_width(given=lambda goal: True),
        "entropy-not-per-dimension/whole": of_width(each=lambda goal, dim: goal),
        "half-missing/by-width": of_width(variance=lambda h: math.exp(h) / (2 * math.pi * math.e)),
        "no-e/by-width": of_width(variance=lambda h: math.exp(2 * h) / (2 * math.pi)),
        "target-sign/turned": of_width(each=lambda goal, dim: -goal / dim),
        "arithmetic-mean/sum": of_width(middle=lambda k: sum(k) / len(k)),
        "arithmetic-mean/of-variances": of_width(middle=statistics.harmonic_mean),
        "curvature-inverted/divided": of_width(alpha=lambda k, v: v / k),
        "deviation-for-variance/root": of_width(alpha=lambda k, v: k * math.sqrt(v)),
        "precision-for-variance/divided": of_width(alpha=lambda k, v: k / v),
        "factor-of-two/doubled": of_width(alpha=lambda k, v: 2 * k * v),
        "one-curvature/last-of-the-sorted": of_width(middle=lambda k: sorted(k)[-1]),
        "product-overflows/prod": of_width(middle=lambda k: np.prod(k) ** (1 / len(k))),
        "log-of-alpha/by-hand": of_width(finish=math.log),
    },
    "sac_critic_update": {
        "online-critics-in-target/stacked": half(slow=lambda s: (s.critic1, s.critic2)),
        "old-action-in-the-target/stacked": half(action_of=lambda batch, a: batch.action),
        "drawn-in-s/stacked": half(obs_of=lambda batch: batch.obs),
        "separate-targets/stacked": half(
            smaller=lambda q: q, soft=lambda q, alpha, lp: q - alpha * lp
        ),
        "not-the-smaller/max": half(smaller=lambda q: q.amax(dim=0)),
        "not-the-smaller/mean": half(smaller=lambda q: q.mean(dim=0)),
        "no-entropy/stacked": half(soft=lambda q, alpha, lp: q),
        "entropy-sign/stacked": half(soft=lambda q, alpha, lp: q + alpha * lp),
        "log-alpha-for-alpha/stacked": half(alpha=lambda s: s.log_alpha),
        "alpha-missing/stacked": half(alpha=lambda s: 1.0),
        "terminal-bootstrap/stacked": half(label=lambda r, v, d, g: r + g * v),
        "no-gamma/stacked": half(label=lambda r, v, d, g: r + (1 - d) * v),
        "half-the-loss/mean-of-both": half(total=lambda losses: sum(losses) / 2),
        "one-critic-trained/second": half(total=lambda losses: losses[1]),
        "sum/stacked": half(distance=lambda q, y: ((q - y) ** 2).sum()),
        "gradients-pile-up/stacked": half(clear=False),
        "log-pi-before-tanh/distributions": half(act=lambda *given: gaussian_density(*given)),
        "epsilon-in-log-pi/published": half(act=lambda *given: with_epsilon(*given)),
    },
    "sac_policy_loss": {
        "first-critic-only/by-hand": loss_by(lambda a, b: a),
        "no-entropy/by-hand": loss_by(smaller, lambda alpha, lp, q: -q),
        "entropy-sign/by-hand": loss_by(smaller, lambda alpha, lp, q: -alpha * lp - q),
        "entropy-sign/turned": loss_by(smaller, lambda alpha, lp, q: alpha * lp + q),
        "first-critic-only/second-trained": lambda q1, q2, lp, a: (a * lp - q2).mean(),
        "sample-detached/trained": lambda q1, q2, lp, a: (a * lp - torch.min(q1, q2).data).mean(),
    },
    "sac_update": {
        "polyak-reversed/by-hand": update(slow=lambda p, x, rho: (1 - rho) * p + rho * x),
        "hard-copies/by-hand": update(slow=lambda p, x, rho: x),
        "first-critic-only/by-hand": update(policy_q=lambda a, b: a),
        "first-critic-only/second": update(policy_q=lambda a, b: b),
        "gradients-pile-up/never-cleared": update(clear=None),
        "gradients-pile-up/afterwards": update(clear="after"),
        "critics-move-with-the-policy/alone": one_sum(moved_too=True),
        "temperature-reversed/log-alpha": update(factor=lambda x: -x),
        "online-critics-in-the-target/attached": update(targ="", attached=True),
        "old-action-in-the-policy-loss/detached": update(judged=torch.detach),
        "target-policy-used/own-copy": own_slow_policy,
        "slow-critics-judge/by-hand": update(judged_by=("critic1_targ", "critic2_targ")),
        "positive/by-hand": update(default=lambda action: action.shape[1]),
        "minus-one-always/by-hand": update(default=lambda action: -1.0),
        "log-of-dim/by-hand": update(default=lambda action: -math.log(action.shape[1])),
        "zero-for-none/or": update(given=bool),
        "default-forgotten/none": update(given=lambda goal: True),
        "rows-for-dimensions/len": update(default=lambda action: -len(action)),
    },
}

UNNAMED = {
    # Fails on numbers; it says nothing of gradients.
    "sac_target": {"alpha-has-no-item": lambda *given: right_target(*given[:6], given[6].item())},
}
