"""One update of each algorithm against the same step computed in NumPy without autograd."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from by_hand import (
    ACT,
    BATCH,
    GAMMA,
    RHO,
    STEP_SIZE,
    Actor,
    Critic,
    Policy,
    Sampler,
    Value,
    assert_weights,
    averaged,
    descended,
    forward,
    make_batch,
    other,
    rows,
    sgd,
    weights,
    with_stale_gradients,
)

from rlcourse.continuous.ddpg import ddpg_update
from rlcourse.continuous.sac import sac_critic_update, sac_update, sac_v1_update
from rlcourse.continuous.soft_q import soft_q_update
from rlcourse.continuous.td3 import td3_critic_update, td3_update


def q(w, s, a):
    return forward(w, s, a)[0]


def mu(w, s):
    return np.tanh(forward(w, s))


def squashed(w, s, xi):
    """ã and its log-probability, by the change of variables as it stands in the book."""
    out = forward(w, s)
    mean, std = out[:ACT], np.exp(out[ACT:])
    u = mean + std * xi
    log_normal = -0.5 * np.log(2 * np.pi) - np.log(std) - (u - mean) ** 2 / (2 * std**2)
    return np.tanh(u), np.sum(log_normal - np.log(1 - np.tanh(u) ** 2))


def test_ddpg():
    batch, _, _ = make_batch()
    actor, critic = Actor(), Critic()
    state = SimpleNamespace(
        actor=actor, critic=critic, actor_targ=other(actor), critic_targ=other(critic),
        actor_optimizer=sgd(actor), critic_optimizer=sgd(critic), gamma=GAMMA, rho=RHO,
    )  # fmt: skip
    with_stale_gradients(state)
    a, c, at, ct = (weights(n) for n in (actor, critic, state.actor_targ, state.critic_targ))
    data = rows(batch)

    y = [r + GAMMA * (0 if d else q(ct, s2, mu(at, s2))) for _, _, r, s2, d in data]
    c_new = descended(
        lambda w: sum((q(w, s, b) - t) ** 2 for (s, b, *_), t in zip(data, y, strict=True)) / BATCH,
        c,
    )
    a_new = descended(lambda w: -sum(q(c_new, s, mu(w, s)) for s, *_ in data) / BATCH, a)

    losses = ddpg_update(state, batch)
    assert_weights(critic, c_new)
    assert_weights(actor, a_new)
    assert_weights(state.critic_targ, averaged(ct, c_new))
    assert_weights(state.actor_targ, averaged(at, a_new))
    assert losses["actor_loss"] == pytest.approx(
        -np.mean([q(c_new, s, mu(a, s)) for s, *_ in data])
    )


@pytest.mark.parametrize("step", [3, 4])
def test_td3(step):
    batch, xi, _ = make_batch()
    actor, c1, c2 = Actor(), Critic(), Critic()
    low, high = np.array([-1.0, -0.4]), np.array([1.0, 0.6])
    state = SimpleNamespace(
        actor=actor, critic1=c1, critic2=c2,
        actor_targ=other(actor), critic1_targ=other(c1), critic2_targ=other(c2),
        actor_optimizer=sgd(actor), critic_optimizer=sgd(c1, c2), gamma=GAMMA, rho=RHO,
        sigma=0.5, clip=0.3, low=torch.tensor(low), high=torch.tensor(high), every=2,
    )  # fmt: skip
    with_stale_gradients(state)
    a, w1, w2 = weights(actor), weights(c1), weights(c2)
    at, t1, t2 = (weights(n) for n in (state.actor_targ, state.critic1_targ, state.critic2_targ))
    data, noise = rows(batch), xi.numpy()

    y = []
    for (_, _, r, s2, d), e in zip(data, noise, strict=True):
        a2 = np.clip(mu(at, s2) + np.clip(0.5 * e, -0.3, 0.3), low, high)
        y.append(r + GAMMA * (1 - d) * min(q(t1, s2, a2), q(t2, s2, a2)))

    def critic_loss(w):
        return sum((q(w, s, b) - t) ** 2 for (s, b, *_), t in zip(data, y, strict=True)) / BATCH

    w1_new, w2_new = descended(critic_loss, w1), descended(critic_loss, w2)
    moved = step == 4
    a_new = a
    if moved:
        a_new = descended(lambda w: -sum(q(w1_new, s, mu(w, s)) for s, *_ in data) / BATCH, a)

    alone = copy.deepcopy(state)
    alone.critic_optimizer = sgd(alone.critic1, alone.critic2)
    loss = td3_critic_update(alone, batch, xi)
    assert loss.item() == pytest.approx(critic_loss(w1) + critic_loss(w2))
    assert_weights(alone.critic1, w1_new)
    assert_weights(alone.critic2, w2_new)
    for kept, before in ((alone.actor, a), (alone.actor_targ, at), (alone.critic1_targ, t1)):
        assert_weights(kept, before)

    losses = td3_update(state, batch, xi, step)
    assert_weights(c1, w1_new)
    assert_weights(c2, w2_new)
    assert_weights(actor, a_new)
    assert_weights(state.critic1_targ, averaged(t1, w1_new) if moved else t1)
    assert_weights(state.critic2_targ, averaged(t2, w2_new) if moved else t2)
    assert_weights(state.actor_targ, averaged(at, a_new) if moved else at)
    assert ("actor_loss" in losses) == moved


@pytest.mark.parametrize(
    ("learned", "target"),
    [(True, -2.0), (False, -2.0), (True, None), (True, 0.0)],
    ids=["learned", "fixed", "default target", "target 0"],
)
def test_sac(learned, target):
    batch, xi, xi_next = make_batch()
    policy, c1, c2 = Policy(), Critic(), Critic()
    log_alpha = torch.tensor(-0.5, dtype=torch.float64, requires_grad=True)
    state = SimpleNamespace(
        policy=policy, critic1=c1, critic2=c2, critic1_targ=other(c1), critic2_targ=other(c2),
        policy_optimizer=sgd(policy), critic_optimizer=sgd(c1, c2), log_alpha=log_alpha,
        alpha_optimizer=torch.optim.SGD([log_alpha], lr=STEP_SIZE) if learned else None,
        target_entropy=target, gamma=GAMMA, rho=RHO,
    )  # fmt: skip
    with_stale_gradients(state)
    p, w1, w2 = weights(policy), weights(c1), weights(c2)
    t1, t2 = weights(state.critic1_targ), weights(state.critic2_targ)
    data, noise, noise_next, alpha = rows(batch), xi.numpy(), xi_next.numpy(), np.exp(-0.5)

    y = []
    for (_, _, r, s2, d), e in zip(data, noise_next, strict=True):
        a2, log_pi = squashed(p, s2, e)
        y.append(r + GAMMA * (1 - d) * (min(q(t1, s2, a2), q(t2, s2, a2)) - alpha * log_pi))

    def critic_loss(w):
        return sum((q(w, s, b) - t) ** 2 for (s, b, *_), t in zip(data, y, strict=True)) / BATCH

    w1_new, w2_new = descended(critic_loss, w1), descended(critic_loss, w2)

    def policy_loss(w):
        total = 0.0
        for (s, *_), e in zip(data, noise, strict=True):
            b, log_pi = squashed(w, s, e)
            total += alpha * log_pi - min(q(w1_new, s, b), q(w2_new, s, b))
        return total / BATCH

    p_new = descended(policy_loss, p)
    log_pi = np.mean([squashed(p, s, e)[1] for (s, *_), e in zip(data, noise, strict=True)])
    # dJ/d log α = −α (mean log π + H̄)
    goal = -xi.shape[1] if target is None else target
    log_alpha_new = -0.5 + STEP_SIZE * alpha * (log_pi + goal) if learned else -0.5

    half = copy.deepcopy(state)
    loss = sac_critic_update(half, batch, xi_next)
    assert loss == pytest.approx(critic_loss(w1) + critic_loss(w2))
    assert_weights(half.critic1, w1_new)
    assert_weights(half.critic2, w2_new)
    for part, before in (
        ("policy", p), ("critic1_targ", t1), ("critic2_targ", t2)
    ):  # fmt: skip
        assert_weights(getattr(half, part), before)
    assert half.log_alpha.item() == -0.5

    losses = sac_update(state, batch, xi, xi_next)
    assert losses["critic_loss"] == pytest.approx(loss.item())
    assert_weights(c1, w1_new)
    assert_weights(c2, w2_new)
    assert_weights(policy, p_new)
    assert_weights(state.critic1_targ, averaged(t1, w1_new))
    assert_weights(state.critic2_targ, averaged(t2, w2_new))
    assert log_alpha.item() == pytest.approx(log_alpha_new, abs=1e-12)
    assert losses["alpha"] == pytest.approx(alpha)
    assert losses["entropy"] == pytest.approx(-log_pi)


def test_sac_with_a_value_network():
    batch, xi, _ = make_batch()
    policy, v_net, c1, c2 = Policy(), Value(), Critic(), Critic()
    state = SimpleNamespace(
        policy=policy, v_net=v_net, v_targ=other(v_net), critic1=c1, critic2=c2,
        policy_optimizer=sgd(policy), v_optimizer=sgd(v_net), critic_optimizer=sgd(c1, c2),
        alpha=0.4, gamma=GAMMA, rho=RHO,
    )  # fmt: skip
    with_stale_gradients(state)
    p, v, vt, w1, w2 = (weights(n) for n in (policy, v_net, state.v_targ, c1, c2))
    data, noise = rows(batch), xi.numpy()

    drawn = [squashed(p, s, e) for (s, *_), e in zip(data, noise, strict=True)]
    v_label = [
        min(q(w1, s, b), q(w2, s, b)) - 0.4 * log_pi
        for (s, *_), (b, log_pi) in zip(data, drawn, strict=True)
    ]
    v_new = descended(
        lambda w: 0.5 * np.mean([(forward(w, s)[0] - t) ** 2 for (s, *_), t in zip(data, v_label, strict=True)]), v
    )  # fmt: skip
    y = [r + GAMMA * (1 - d) * forward(vt, s2)[0] for _, _, r, s2, d in data]

    def critic_loss(w):
        return (
            0.5 * sum((q(w, s, b) - t) ** 2 for (s, b, *_), t in zip(data, y, strict=True)) / BATCH
        )

    w1_new, w2_new = descended(critic_loss, w1), descended(critic_loss, w2)

    def policy_loss(w):
        total = 0.0
        for (s, *_), e in zip(data, noise, strict=True):
            b, log_pi = squashed(w, s, e)
            total += 0.4 * log_pi - min(q(w1_new, s, b), q(w2_new, s, b))
        return total / BATCH

    p_new = descended(policy_loss, p)

    sac_v1_update(state, batch, xi)
    assert_weights(v_net, v_new)
    assert_weights(c1, w1_new)
    assert_weights(c2, w2_new)
    assert_weights(policy, p_new)
    assert_weights(state.v_targ, averaged(vt, v_new))


def test_soft_q():
    batch, _, _ = make_batch()
    particles, alpha = 4, 0.5
    q_net, sampler = Critic(), Sampler()
    proposal = torch.rand(BATCH, particles, ACT).double() * 2 - 1
    noise = torch.randn(BATCH, particles, ACT).double()
    state = SimpleNamespace(
        q_net=q_net, q_targ=other(q_net), sampler=sampler, q_optimizer=sgd(q_net),
        sampler_optimizer=sgd(sampler), alpha=alpha, gamma=GAMMA, rho=RHO,
    )  # fmt: skip
    with_stale_gradients(state)
    w, t, f = weights(q_net), weights(state.q_targ), weights(sampler)
    data = rows(batch)

    y = []
    for (_, _, r, s2, d), actions in zip(data, proposal.numpy(), strict=True):
        # a uniform proposal on (−1, 1)² has density ¼
        v = alpha * np.log(np.mean([np.exp(q(t, s2, b) / alpha) / 0.25 for b in actions]))
        y.append(r + GAMMA * (1 - d) * v)
    w_new = descended(
        lambda x: 0.5 * np.mean([(q(x, s, b) - yi) ** 2 for (s, b, *_), yi in zip(data, y, strict=True)]), w
    )  # fmt: skip

    directions = []
    for (s, *_), e in zip(data, noise.numpy(), strict=True):
        u = np.array([forward(f, s, xi) for xi in e])

        def log_p(x, s=s):
            return q(w_new, s, np.tanh(x)) / alpha + np.sum(np.log(1 - np.tanh(x) ** 2))

        score = np.zeros_like(u)
        for i, j in np.ndindex(u.shape):
            shift = np.eye(ACT)[j] * 1e-5
            score[i, j] = (log_p(u[i] + shift) - log_p(u[i] - shift)) / 2e-5
        distance2 = np.array([[np.sum((x - z) ** 2) for z in u] for x in u])
        h = max(np.median(distance2) / np.log(particles + 1), 1e-3)
        direction = np.zeros_like(u)
        for j in range(particles):
            for i in range(particles):
                k = np.exp(-distance2[i, j] / h)
                direction[j] += (k * score[i] - 2 / h * (u[i] - u[j]) * k) / particles
        directions.append(direction)

    def sampler_loss(x):
        total = 0.0
        for (s, *_), e, direction in zip(data, noise.numpy(), directions, strict=True):
            total -= sum(forward(x, s, xi) @ g for xi, g in zip(e, direction, strict=True))
        return total / (BATCH * particles)

    f_new = descended(sampler_loss, f)

    soft_q_update(state, batch, proposal, noise)
    assert_weights(q_net, w_new)
    assert_weights(sampler, f_new)
    assert_weights(state.q_targ, averaged(t, w_new))
