"""Lesson 18: squashed Gaussians, the labels and losses of SAC's first form, a projection, a step. Keys as in `lesson_00`."""

import math

import numpy as np
import torch
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution
from torch.nn.functional import huber_loss, logsigmoid, mse_loss, softplus

from rlcourse.continuous.sac import squashed_action, squashed_log_prob
from rlcourse.lab.networks import polyak_update


def log_det(u):
    return 2 * (math.log(2) - u - softplus(-2 * u))


def log_normal(u, mean, log_std):
    return -0.5 * ((u - mean) / log_std.exp()) ** 2 - log_std - 0.5 * math.log(2 * math.pi)


def density(each=lambda u, m, s: log_normal(u, m, s) - log_det(u), finish=lambda x: x.sum(-1)):
    return lambda u, mean, log_std: finish(each(u, mean, log_std))


def by_columns(u, mean, log_std):
    total = 0
    for j in range(u.shape[1]):
        m, s = mean[:, j], log_std[:, j]
        total = total + log_normal(u[:, j], m, s) - log_det(u[:, j])
    return total


def under_no_grad(function):
    def answer(*given):
        with torch.no_grad():
            return function(*given)

    return answer


def in_place(u, mean, log_std):
    with torch.no_grad():
        u.clamp_(-9, 9)
    return squashed_log_prob(u, mean, log_std)


def exponent(function):
    """The density in place of its logarithm."""
    return lambda *given: function(*given).exp()


def floored(u, mean, log_std):
    return squashed_log_prob(u, mean, log_std).clamp(min=-20.0)


def one_value_for_all(u, mean, log_std):
    return squashed_log_prob(u, mean, log_std).sum().expand(len(u))


def drawn(u_of, log_prob_of=squashed_log_prob, action_of=torch.tanh, finish=lambda a, lp: (a, lp)):
    def answer(policy, obs, noise):
        mean, log_std = policy(obs)
        u = u_of(mean, log_std, noise)
        return finish(action_of(u), log_prob_of(u, mean, log_std))

    return answer


def reparametrised(mean, log_std, noise):
    return mean + log_std.exp() * noise


def one_noise(mean, log_std, noise):
    return mean + log_std.exp() * noise[:1]


def one_dimension(mean, log_std, noise):
    return mean + log_std.exp() * noise[:, :1]


def label(pick=torch.minimum, soft=lambda q, alpha, lp: q - alpha * lp, finish=torch.Tensor.detach):
    return lambda q1, q2, log_prob, alpha: finish(soft(pick(q1, q2), alpha, log_prob))


def target(form=lambda r, v, d, g: r + g * (1 - d) * v, finish=torch.Tensor.detach):
    return lambda r, v, d, g: finish(form(r, v, d, g))


def rows_of_target(r, v, d, g):
    rows = zip(r.tolist(), v.tolist(), d.tolist(), strict=True)
    return torch.tensor([a if over else a + g * b for a, b, over in rows])


def loss(
    act=squashed_action,
    judge=torch.minimum,
    rows=lambda alpha, lp, q: alpha * lp - q,
    finish=torch.mean,
    obs_of=lambda obs: obs,
):
    def answer(policy, critic1, critic2, obs, noise, alpha):
        a, lp = act(policy, obs, noise)
        at = obs_of(obs)
        return finish(rows(alpha, lp, judge(critic1(at, a), critic2(at, a))))

    return answer


def reversed_obs(policy, critic1, critic2, obs, noise, alpha):
    return loss(obs_of=lambda x: x.flip(0))(policy, critic1, critic2, obs, noise, alpha)


def gaussian_density(policy, obs, noise):
    mean, log_std = policy(obs)
    u = mean + log_std.exp() * noise
    return u.tanh(), Normal(mean, log_std.exp()).log_prob(u).sum(-1)


def critics_left_frozen(policy, critic1, critic2, obs, noise, alpha):
    for critic in (critic1, critic2):
        for p in critic.parameters():
            p.requires_grad_(False)
    return loss()(policy, critic1, critic2, obs, noise, alpha)


def frozen_and_thawed(policy, critic1, critic2, obs, noise, alpha):
    weights = [*critic1.parameters(), *critic2.parameters()]
    for p in weights:
        p.requires_grad_(False)
    value = loss()(policy, critic1, critic2, obs, noise, alpha)
    for p in weights:
        p.requires_grad_(True)
    return value


def steps_the_policy(policy, critic1, critic2, obs, noise, alpha):
    value = loss()(policy, critic1, critic2, obs, noise, alpha)
    with torch.no_grad():
        for p in policy.parameters():
            p -= 0.01
    return value


def functional(policy, critic1, critic2, obs, noise, alpha):
    """Right: detached copies of the critics' weights."""
    a, lp = squashed_action(policy, obs, noise)
    q = [
        torch.func.functional_call(c, {k: p.detach() for k, p in c.named_parameters()}, (obs, a))
        for c in (critic1, critic2)
    ]
    return torch.stack([alpha * lp - x for x in q]).amax(0).mean()


def by_distributions(policy, critic1, critic2, obs, noise, alpha):
    mean, log_std = policy(obs)
    pi = TransformedDistribution(Normal(mean, log_std.exp()), TanhTransform(cache_size=1))
    a = pi.transforms[0](mean + log_std.exp() * noise)
    q1, q2 = critic1(obs, a), critic2(obs, a)
    q = torch.where(q1 <= q2, q1, q2)
    return (alpha * pi.log_prob(a).sum(-1) - q).sum() / len(obs)


def projection(
    std=lambda K, alpha: np.sqrt(alpha / np.diag(K)),
    kl=lambda K, alpha: 0.5 * (np.log(np.diag(K)).sum() - np.linalg.slogdet(K)[1]),
):
    return lambda K, alpha: (std(K, alpha), float(kl(K, alpha)))


def by_eigenvalues(K, alpha):
    """Right: the logarithm of a determinant is the sum of those of the eigenvalues."""
    k = np.einsum("ii->i", K)
    return alpha**0.5 * k**-0.5, 0.5 * float(
        np.sum(np.log(k)) - np.log(np.linalg.eigvalsh(K)).sum()
    )


def by_descent(K, alpha):
    """Right: Newton's steps on log σ, each dimension for itself."""
    log_std = np.zeros(len(K))
    k = np.diag(K) / alpha
    for _ in range(200):
        pull = k * np.exp(2 * log_std)
        log_std -= np.clip((pull - 1) / (2 * pull), -1, 1)
    inner = np.linalg.cholesky(K / np.sqrt(np.outer(np.diag(K), np.diag(K))))
    return np.exp(log_std), float(-np.log(np.diag(inner)).sum())


def changes_curvature(K, alpha):
    result = projection()(K.copy(), alpha)
    K /= K[0, 0]
    return result


def step(
    *,
    act=squashed_action,
    label_of=lambda q1, q2, lp, alpha: torch.minimum(q1, q2) - alpha * lp,
    y_of=lambda r, v, d, g: r + g * (1 - d) * v,
    distance=mse_loss,
    value_net="v_targ",
    judges=torch.minimum,
    cost=lambda alpha, lp, q: alpha * lp - q,
    slow=lambda p, x, rho: rho * p + (1 - rho) * x,
    clear=True,
    again=1,
    policy_action=lambda a, batch: a,
    v_action=lambda a, batch: a,
    result=lambda: {"loss": 0.0},
    fresh=None,
    before_policy=lambda s: None,
):
    """The step by this file's own arithmetic, with one thing done otherwise."""

    def descend(optimizer, value):
        if clear:
            optimizer.zero_grad(set_to_none=False)
        value.backward()
        optimizer.step()

    def answer(agent_state, batch, noise):
        s = agent_state
        with torch.no_grad():
            a, lp = act(s.policy, batch.obs, noise)
            at = v_action(a, batch)
            told = label_of(s.critic1(batch.obs, at), s.critic2(batch.obs, at), lp, s.alpha)
            v = getattr(s, value_net)(batch.next_obs)
            y = y_of(batch.reward, v, batch.terminated, s.gamma)
        for _ in range(again):
            descend(s.v_optimizer, distance(s.v_net(batch.obs), told) / 2)
            critic = sum(distance(c(batch.obs, batch.action), y) for c in (s.critic1, s.critic2))
            descend(s.critic_optimizer, critic / 2)
        before_policy(s)
        a, lp = act(s.policy, batch.obs, noise if fresh is None else fresh(noise))
        at = policy_action(a, batch)
        q = judges(s.critic1(batch.obs, at), s.critic2(batch.obs, at))
        descend(s.policy_optimizer, cost(s.alpha, lp, q).mean())
        with torch.no_grad():
            for p, x in zip(s.v_targ.parameters(), s.v_net.parameters(), strict=True):
                p.copy_(slow(p, x, s.rho))
        return result()

    return answer


def policy_twice(agent_state, batch, noise):
    figures = step()(agent_state, batch, noise)
    a, lp = squashed_action(agent_state.policy, batch.obs, noise)
    q = torch.minimum(agent_state.critic1(batch.obs, a), agent_state.critic2(batch.obs, a))
    agent_state.policy_optimizer.zero_grad()
    (agent_state.alpha * lp - q).mean().backward()
    agent_state.policy_optimizer.step()
    return figures


def new_slow_copy(agent_state, batch, noise):
    """The slow copy replaced by another object."""
    from copy import deepcopy

    figures = step(slow=lambda p, x, rho: p)(agent_state, batch, noise)
    copy = deepcopy(agent_state.v_targ)
    polyak_update(copy, agent_state.v_net, agent_state.rho)
    agent_state.v_targ = copy
    return figures


def shared_slow_copy(agent_state, batch, noise):
    figures = step()(agent_state, batch, noise)
    agent_state.v_targ = agent_state.v_net
    return figures


def cut_off(low, high):
    return lambda q1, q2, lp, alpha: (torch.minimum(q1, q2) - alpha * lp).clamp(low, high)


WRONG = {
    "squashed_log_prob": {
        "zeros": lambda u, m, s: 0 * u.sum(-1),
        "density": exponent(squashed_log_prob),
        "no-grad": under_no_grad(squashed_log_prob),
        "in-place": in_place,
        "floored-at-minus-20": floored,
        "one-value-for-all": one_value_for_all,
        "minus": lambda *given: -squashed_log_prob(*given),
        "keepdim": density(finish=lambda x: x.sum(-1, keepdim=True)),
        "bits": lambda *given: squashed_log_prob(*given) / math.log(2),
        "mean-ignored": density(lambda u, m, s: log_normal(u, 0 * m, s) - log_det(u)),
        "unit-width": density(lambda u, m, s: log_normal(u, m, 0 * s) - log_det(u)),
        "first-correction-only": lambda u, m, s: log_normal(u, m, s).sum(-1) - log_det(u[:, 0]),
        "correction-of-the-mean": density(lambda u, m, s: log_normal(u, m, s) - log_det(m)),
        "clipped-u": density(lambda u, m, s: log_normal(u, m, s) - log_det(u.clamp(-10, 10))),
        "wrong-half": density(lambda u, m, s: log_normal(u, m, s) - 0.5 * log_det(u)),
        "only-the-correction": lambda u, m, s: -log_det(u).sum(-1),
        "fudge": lambda *given: squashed_log_prob(*given) + 1e-3,
        "arrays": lambda *given: squashed_log_prob(*given).detach().numpy(),
    },
    "squashed_action": {
        "tuple-reversed": drawn(reparametrised, finish=lambda a, lp: (lp, a)),
        "action-alone": drawn(reparametrised, finish=lambda a, lp: a),
        "one-noise-for-all": drawn(one_noise),
        "one-noise-a-row": drawn(one_dimension),
        "width-cut-off-at-1": drawn(lambda m, s, e: m + s.clamp(-0.5, -0.4).exp() * e),
        "minus-noise": drawn(lambda m, s, e: m - s.exp() * e),
        "scaled-to-2": drawn(reparametrised, action_of=lambda u: 2 * u.tanh()),
        "sigmoid": drawn(reparametrised, action_of=torch.sigmoid),
        "no-grad": under_no_grad(squashed_action),
        "summed-to-a-number": drawn(reparametrised, finish=lambda a, lp: (a, lp.sum())),
        "column": drawn(reparametrised, finish=lambda a, lp: (a, lp[:, None])),
        "clamped-action": drawn(reparametrised, action_of=lambda u: u.tanh().clamp(-0.9, 0.9)),
        "softsign": drawn(reparametrised, action_of=torch.nn.functional.softsign),
    },
    "sac_v_target": {
        "constant": lambda q1, q2, lp, alpha: torch.zeros(len(q1)),
        "at-least-0": label(finish=lambda x: x.detach().clamp(min=0.0)),
        "at-most-0": label(finish=lambda x: x.detach().clamp(max=0.0)),
        "absolute": label(lambda a, b: torch.where(a.abs() < b.abs(), a, b)),
        "entropy-inside": lambda q1, q2, lp, alpha: torch.minimum(q1, q2 - alpha * lp).detach(),
        "number": label(finish=lambda x: x.detach().mean()),
        "column": label(finish=lambda x: x.detach()[:, None]),
        "alpha-squared": label(soft=lambda q, alpha, lp: q - alpha**2 * lp),
        "log-prob-mean": label(soft=lambda q, alpha, lp: q - alpha * lp.mean()),
        "array": label(finish=lambda x: x.detach().numpy()),
    },
    "sac_q_target_v1": {
        "v-alone": target(lambda r, v, d, g: v),
        "reward-alone": target(lambda r, v, d, g: r),
        "at-least-0": target(lambda r, v, d, g: r + g * (1 - d) * v.clamp(min=0)),
        "first-ends-all": target(lambda r, v, d, g: r + g * (1 - d[0]) * v),
        "any-ends-all": target(lambda r, v, d, g: r + g * (1 - d.max()) * v),
        "gamma-0.9": target(lambda r, v, d, g: r + 0.9 * (1 - d) * v),
        "mean": target(finish=lambda y: y.detach().mean()),
        "rolled": target(lambda r, v, d, g: r + g * (1 - d) * v.roll(1)),
        "normalised": target(lambda r, v, d, g: (1 - g) * r + g * (1 - d) * v),
        "list": target(finish=lambda y: y.tolist()),
    },
    "sac_v1_policy_loss": {
        "number": loss(finish=lambda x: x.mean().item()),
        "no-grad": under_no_grad(loss()),
        "zero": lambda *given: torch.zeros(()),
        "critics-left-frozen": critics_left_frozen,
        "steps-itself": steps_the_policy,
        "other-states": reversed_obs,
        "huber": loss(finish=lambda x: huber_loss(x, 0 * x)),
        "squared": loss(finish=lambda x: x.square().mean()),
        "median": loss(finish=torch.median),
        "first-row": loss(finish=lambda x: x[0]),
        "normalised-q": loss(rows=lambda alpha, lp, q: alpha * lp - (q - q.mean())),
        "absolute-q": loss(rows=lambda alpha, lp, q: alpha * lp - q.abs()),
        "alpha-0.2": loss(rows=lambda alpha, lp, q: 0.2 * lp - q),
        "exp-alpha": loss(rows=lambda alpha, lp, q: math.exp(alpha) * lp - q),
        "probabilities": loss(rows=lambda alpha, lp, q: alpha * lp.exp() - q),
        "half": loss(rows=lambda alpha, lp, q: 0.5 * (alpha * lp - q)),
    },
    "factored_projection": {
        "one-width-for-all": projection(
            std=lambda K, alpha: np.full(len(K), math.sqrt(alpha * len(K) / np.trace(K)))
        ),
        "row-sums": projection(std=lambda K, alpha: np.sqrt(alpha / np.abs(K).sum(1))),
        "column-norms": projection(std=lambda K, alpha: np.sqrt(alpha / np.linalg.norm(K, axis=0))),
        "log-base-2": projection(kl=lambda K, a: projection()(K, a)[1] / math.log(2)),
        "per-dimension": projection(kl=lambda K, a: projection()(K, a)[1] / len(K)),
        "det-of-inverse": projection(
            kl=lambda K, a: 0.5 * (np.log(np.diag(K)).sum() + np.linalg.slogdet(K)[1])
        ),
        "off-diagonal-squares": projection(
            kl=lambda K, a: (
                0.25 * ((K / np.sqrt(np.outer(np.diag(K), np.diag(K)))) ** 2).sum() - 0.25 * len(K)
            )
        ),
        "float32": projection(std=lambda K, a: np.sqrt(a / np.diag(K)).astype(np.float32)),
        "list": lambda K, a: (list(np.sqrt(a / np.diag(K))), projection()(K, a)[1]),
        "changes-curvature": changes_curvature,
        "matrix": projection(std=lambda K, a: np.diag(np.sqrt(a / np.diag(K)))),
    },
    "sac_v1_update": {
        "nothing": lambda *given: {"loss": 0.0},
        "twice": step(again=2),
        "policy-twice": policy_twice,
        "label-at-least-minus-1": step(label_of=cut_off(-1.0, 1e9)),
        "label-at-most-0": step(label_of=cut_off(-1e9, 0.0)),
        "huber": step(distance=huber_loss),
        "sum-of-squares": step(distance=lambda q, y: mse_loss(q, y, reduction="sum")),
        "y-at-least-0": step(y_of=lambda r, v, d, g: (r + g * (1 - d) * v).clamp(min=0)),
        "new-slow-copy": new_slow_copy,
        "shared-slow-copy": shared_slow_copy,
        "no-dictionary": step(result=lambda: 0.0),
        "nan-told": step(result=lambda: {"loss": math.nan}),
        "other-noise-for-the-policy": step(fresh=lambda noise: -noise),
        "no-noise-for-the-policy": step(fresh=torch.zeros_like),
        "greedy-label": step(act=lambda p, o, n: squashed_action(p, o, 0 * n)),
        "alpha-0.2": step(
            label_of=lambda q1, q2, lp, alpha: torch.minimum(q1, q2) - 0.2 * lp,
            cost=lambda alpha, lp, q: 0.2 * lp - q,
        ),
        "slow-added": step(slow=lambda p, x, rho: rho * p + x),
    },
}

RIGHT = {
    "squashed_log_prob": {
        "columns": by_columns,
        "independent": lambda u, m, s: (
            Independent(Normal(m, s.exp()), 1).log_prob(u) - log_det(u).sum(-1)
        ),
        "log-sigmoids": density(
            lambda u, m, s: (
                log_normal(u, m, s) - 2 * math.log(2) - logsigmoid(2 * u) - logsigmoid(-2 * u)
            )
        ),
        "even": density(
            lambda u, m, s: (
                log_normal(u, m, s) - 2 * (math.log(2) - u.abs() - softplus(-2 * u.abs()))
                if bool((u != 0).all())
                else log_normal(u, m, s) - log_det(u)
            )
        ),
        "einsum": density(finish=lambda x: torch.einsum("bd->b", x)),
    },
    "squashed_action": {
        "addcmul": drawn(lambda m, s, e: torch.addcmul(m, s.exp(), e)),
        "list": drawn(reparametrised, finish=lambda a, lp: [a, lp]),
        "exponents": drawn(
            reparametrised, action_of=lambda u: 1 - 2 / (1 + (2 * u.clamp(-40, 40)).exp())
        ),
    },
    "sac_v_target": {
        "no-grad": under_no_grad(label(finish=lambda x: x)),
        "either": label(lambda a, b: -torch.maximum(-a, -b)),
        "sorted": label(lambda a, b: torch.stack([a, b], 1).sort(1).values[:, 0]),
        "data": label(finish=lambda x: x.data),
    },
    "sac_q_target_v1": {
        "rows": rows_of_target,
        "where": target(lambda r, v, d, g: torch.where(d.bool(), r, r + g * v)),
        "data": lambda r, v, d, g: r.data + g * v.data * (d == 0),
        "lerp": target(lambda r, v, d, g: torch.lerp(r + g * v, r, d)),
    },
    "sac_v1_policy_loss": {
        "frozen-and-thawed": frozen_and_thawed,
        "functional": functional,
        "distributions": by_distributions,
        "split": lambda p, c1, c2, o, n, alpha: (
            alpha * squashed_action(p, o, n)[1].mean()
            - torch.stack([c(o, squashed_action(p, o, n)[0]) for c in (c1, c2)]).amin(0).mean()
        ),
    },
    "factored_projection": {
        "eigenvalues": by_eigenvalues,
        "descent": by_descent,
        "numpy-float": lambda K, a: (np.sqrt(a / K.diagonal()), np.float64(projection()(K, a)[1])),
    },
    "sac_v1_update": {
        "by-hand": step(),
        "many-figures": step(result=lambda: {"a": 1, "b": torch.tensor(2.0), "c": np.float32(3)}),
        "greedy-first": step(before_policy=lambda s: s.policy(torch.zeros(1, 3))),
    },
}

NAMED = {
    "squashed_log_prob": {
        "no-correction/distributions": lambda u, m, s: Normal(m, s.exp()).log_prob(u).sum(-1),
        "unstable/published": density(
            lambda u, m, s: log_normal(u, m, s) - torch.log(1 - u.tanh().pow(2) + 1e-6)
        ),
        "not-summed/plain": density(finish=lambda x: x),
        "half-the-correction/no-2": density(lambda u, m, s: log_normal(u, m, s) - log_det(u) / 2),
    },
    "squashed_action": {
        "own-noise/sample": drawn(lambda m, s, e: Normal(m, s.exp()).rsample()),
        "sample-detached/no-grad": under_no_grad(squashed_action),
        "noise-not-scaled/added": drawn(lambda m, s, e: m + e),
        "density-of-u/distributions": gaussian_density,
    },
    "sac_v_target": {
        "max/by-hand": label(torch.maximum),
        "no-entropy/by-hand": label(soft=lambda q, alpha, lp: q),
        "attached/by-hand": label(finish=lambda x: x),
        "min-over-the-batch/item": label(lambda a, b: min(a.min(), b.min())),
    },
    "sac_q_target_v1": {
        "terminal-bootstrap/by-hand": target(lambda r, v, d, g: r + g * v),
        "attached/v-alone-detached": target(
            lambda r, v, d, g: r + g * (1 - d) * v.detach(), finish=lambda y: y
        ),
        "mask-inverted/by-hand": target(lambda r, v, d, g: r + g * d * v),
    },
    "sac_v1_policy_loss": {
        "first-critic-only/released-code": loss(judge=lambda a, b: a),
        "no-entropy/by-hand": loss(rows=lambda alpha, lp, q: -q),
        "no-tanh-correction/by-hand": loss(act=gaussian_density),
        "sign/by-hand": loss(finish=lambda x: -x.mean()),
        "sum/by-hand": loss(finish=torch.sum),
    },
    "factored_projection": {
        "marginals/solve": projection(
            std=lambda K, a: np.sqrt(a * np.diag(np.linalg.solve(K, np.eye(len(K)))))
        ),
        "nothing-left/zero": projection(kl=lambda K, a: 0),
        "variance/by-hand": projection(std=lambda K, a: a / np.diag(K)),
    },
    "sac_v1_update": {
        "online-v/by-hand": step(value_net="v_net"),
        "polyak-reversed/by-hand": step(slow=lambda p, x, rho: (1 - rho) * p + rho * x),
        "hard-copy/by-hand": step(slow=lambda p, x, rho: x),
        "target-frozen/by-hand": step(slow=lambda p, x, rho: p),
        "gradients-pile-up/never": step(clear=False),
        "old-action-in-v/by-hand": step(v_action=lambda a, batch: batch.action),
        "old-action-in-the-policy-loss/by-hand": step(policy_action=lambda a, batch: batch.action),
        "one-critic/policy": step(judges=lambda a, b: a),
    },
}
