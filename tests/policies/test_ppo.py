"""PPO's equations against torch.distributions, quadrature and the plain policy gradient."""

import copy
import math

import numpy as np
import pytest
import torch
from probes import Bandit, Reach

from rlcourse.lab.on_policy import Rollout
from rlcourse.policies import ppo
from rlcourse.policies.agents import standardise
from rlcourse.policies.gae import gae
from rlcourse.policies.ppo import (
    PPO,
    PPOKL,
    PPOBatch,
    adapt_kl_coefficient,
    categorical_kl,
    clipped_value_loss,
    gaussian_kl,
    importance_ratio,
    policy_kl,
    ppo_clip_loss,
    ppo_kl_loss,
    ppo_kl_update,
    ppo_update,
    small_step_kl,
)
from rlcourse.policies.reinforce import reinforce_loss


@pytest.fixture
def rng():
    return np.random.default_rng(12)


def columns(rng, n, size=9):
    return [torch.tensor(c, requires_grad=True) for c in rng.normal(size=(n, size))]


def test_ratio_is_a_quotient_and_survives_the_unlikely():
    new, old = torch.tensor([-150.0, math.log(0.2)]), torch.tensor([-151.0, math.log(0.5)])
    old.requires_grad_()
    ratio = importance_ratio(new.requires_grad_(), old)
    assert ratio.tolist() == pytest.approx([math.e, 0.4])
    assert torch.autograd.grad(ratio.sum(), old, allow_unused=True)[0] is None


def test_ratio_one_gives_the_plain_policy_gradient(rng):
    log_prob, adv = columns(rng, 2)
    plain = torch.autograd.grad(reinforce_loss(log_prob, adv), log_prob)[0]
    zero = torch.zeros_like(log_prob)
    for loss in (
        ppo_clip_loss(log_prob, log_prob.detach(), adv, 0.2),
        ppo_kl_loss(log_prob, log_prob.detach(), adv, zero, 3.0),
    ):
        torch.testing.assert_close(torch.autograd.grad(loss, log_prob)[0], plain)
        assert loss.item() == pytest.approx(-adv.mean().item())


def test_clip_loss_case_by_case():
    """The six cases of figure 1 of the paper: ρ below, within and above, A of both signs."""
    ratio = [0.5, 1.0, 1.5, 0.5, 1.0, 1.5]
    adv = [2.0, 2.0, 2.0, -2.0, -2.0, -2.0]
    value = [1.0, 2.0, 2.4, -1.6, -2.0, -3.0]
    slope = [2.0, 2.0, 0.0, 0.0, -2.0, -2.0]
    log_prob = torch.tensor(ratio, dtype=torch.float64).log().requires_grad_()
    weights = torch.tensor(adv, dtype=torch.float64, requires_grad=True)
    old = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    loss = ppo_clip_loss(log_prob, old, weights, 0.2)
    assert loss.item() == pytest.approx(-sum(value) / 6)
    gradient, *data = torch.autograd.grad(loss, (log_prob, old, weights), allow_unused=True)
    by_hand = [-s * r / 6 for s, r in zip(slope, ratio, strict=True)]
    assert gradient.tolist() == pytest.approx(by_hand)
    assert data == [None, None]


def test_categorical_kl_against_the_sum_and_the_library(rng):
    p, q = torch.from_numpy(rng.normal(size=(2, 8, 4)))
    kl = categorical_kl(p, q)
    library = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=p), torch.distributions.Categorical(logits=q)
    )
    torch.testing.assert_close(kl, library)
    for row, a, b in zip(kl.tolist(), p.exp().tolist(), q.exp().tolist(), strict=True):
        pairs = [(x / sum(a), y / sum(b)) for x, y in zip(a, b, strict=True)]
        assert row == pytest.approx(sum(x * math.log(x / y) for x, y in pairs))
    assert (kl > 0).all()
    torch.testing.assert_close(categorical_kl(p, p + 3.0), torch.zeros(8, dtype=torch.float64))
    certain = torch.tensor([[0.0, -2000.0]], dtype=torch.float64)
    assert categorical_kl(certain, torch.zeros(1, 2)).item() == pytest.approx(math.log(2))


def test_gaussian_kl_against_quadrature_and_the_library(rng):
    mean_p, mean_q = torch.from_numpy(rng.normal(size=(2, 5, 3)))
    log_std_p, log_std_q = torch.from_numpy(0.5 * rng.normal(size=(2, 5, 3)))
    kl = gaussian_kl(mean_p, log_std_p, mean_q, log_std_q)
    p, q = (
        torch.distributions.Normal(m, s.exp())
        for m, s in ((mean_p, log_std_p), (mean_q, log_std_q))
    )
    torch.testing.assert_close(kl, torch.distributions.kl_divergence(p, q).sum(1))
    x = torch.linspace(-40, 40, 200_001, dtype=torch.float64)[:, None, None]
    integrand = p.log_prob(x).exp() * (p.log_prob(x) - q.log_prob(x))
    torch.testing.assert_close(kl, (integrand.sum(0) * 80 / 200_000).sum(1))
    same = gaussian_kl(mean_p, log_std_p, mean_p, log_std_p)
    torch.testing.assert_close(same, torch.zeros(5, dtype=torch.float64))


def test_kl_is_fisher_s_quadratic_form_nearby(rng):
    """KL(π_h‖π_{h+ε}) ≈ ½ εᵀ(diag π − ππᵀ)ε."""
    h, direction = torch.from_numpy(rng.normal(size=(2, 1, 4)))
    pi = torch.softmax(h, 1)[0]
    step = 1e-4 * direction
    fisher = torch.diag(pi) - torch.outer(pi, pi)
    expected = 0.5 * (step @ fisher @ step.T).item()
    assert categorical_kl(h, h + step).item() == pytest.approx(expected, rel=1e-3)


def test_small_step_kl_is_half_a_variance_and_the_second_derivative(rng):
    h, x = torch.from_numpy(rng.normal(size=(2, 6, 5)))
    for row, step, found in zip(h, x, small_step_kl(h, x).tolist(), strict=True):
        pi = torch.softmax(row, 0).numpy()
        moved = [float(categorical_kl(row[None], (row + t * step)[None])) for t in (-1e-3, 1e-3)]
        assert found == pytest.approx(sum(moved) / 2e-6, rel=1e-5)  # the third order cancels
        draws = rng.choice(step.numpy(), p=pi, size=200_000)
        assert found == pytest.approx(draws.var() / 2, rel=0.03)
    torch.testing.assert_close(small_step_kl(h, 2 * x), 4 * small_step_kl(h, x))
    torch.testing.assert_close(small_step_kl(h, 3 + torch.zeros_like(h)), torch.zeros(6).double())


def test_clipped_value_loss_case_by_case():
    """V within ε of the old one, beyond it on the side of the return, and beyond it on the other."""
    value = torch.tensor([1.1, 2.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    returns = torch.tensor([3.0, 3.0, 3.0, 1.0]).double()
    loss = clipped_value_loss(value, torch.ones(4).double(), returns, 0.2)
    squares = [1.9**2, 1.8**2, 3.0**2, 1.0**2]
    assert loss.item() == pytest.approx(sum(squares) / 8)
    gradient = torch.autograd.grad(loss, value)[0]
    assert (4 * gradient).tolist() == pytest.approx([-1.9, 0.0, -3.0, 1.0])


def test_value_clip_is_off_unless_asked_for_and_then_used(rng):
    clipped, plain = pair(PPO, Bandit, value_clip=0.05)[0], pair(PPO, Bandit)[0]
    batch = ppo_batch(rng, plain, 10)
    first = [ppo_update(a, batch, np.random.default_rng(0)) for a in (clipped, plain)]
    assert first[0][0] == first[1][0], "nothing to clip at the first step"
    assert not torch.allclose(*first)


def test_penalised_loss_by_a_loop_and_its_gradients(rng):
    log_prob, old, adv, kl = columns(rng, 4)
    loss = ppo_kl_loss(log_prob, old, adv, kl, 0.4)
    rows = list(zip(*(c.tolist() for c in (log_prob, old, adv, kl)), strict=True))
    assert loss.item() == pytest.approx(
        sum(-math.exp(x - o) * a + 0.4 * k for x, o, a, k in rows) / 9
    )
    gradient = torch.autograd.grad(loss, (log_prob, old, adv, kl), allow_unused=True)
    assert gradient[0].tolist() == pytest.approx([-math.exp(x - o) * a / 9 for x, o, a, _ in rows])
    assert gradient[1] is None and gradient[2] is None
    assert gradient[3].tolist() == pytest.approx([0.4 / 9] * 9)


@pytest.mark.parametrize(
    ("kl", "expected"),
    [(0.031, 3.0), (0.03, 1.0), (0.02, 1.0), (0.005, 1.0), (0.0049, 1 / 3), (0.0, 1 / 3)],
)
def test_coefficient_adapts_outside_of_the_borders_only(kl, expected):
    assert adapt_kl_coefficient(1.0, kl, 0.02, 0.25, 1.5, 3.0) == pytest.approx(expected)


def test_standardised_advantages():
    adv = standardise(torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64))
    assert adv.mean().item() == pytest.approx(0.0) and adv.square().mean().item() == pytest.approx(
        1
    )
    assert standardise(torch.tensor([5.0])).tolist() == [0.0]


def ppo_batch(rng, agent, rows, act_dim=None):
    obs = torch.from_numpy(rng.normal(size=(rows, 1)).astype(np.float32))
    if act_dim:
        action = torch.from_numpy(rng.normal(size=(rows, act_dim)).astype(np.float32))
    else:
        action = torch.from_numpy(rng.integers(2, size=rows))
    adv, returns, shift = torch.from_numpy(rng.normal(size=(3, rows)).astype(np.float32))
    log_prob = oracle(agent.policy(obs)).log_prob(action).reshape(rows).detach()
    return PPOBatch(obs, action, log_prob + 0.3 * shift, adv, returns)


def oracle(output):
    if isinstance(output, tuple):
        return torch.distributions.Normal(output[0], output[1].exp())
    return torch.distributions.Categorical(logits=output)


def steps_by_hand(agent, batch, permutations, surrogate, lr):
    """The minibatch steps of PPO by plain gradient descent, row by row; returns the losses."""
    networks = [agent.policy, agent.v_net]
    losses, n = [], agent.minibatch_size
    for order in permutations:
        for start in range(0, len(order), n):
            rows = order[start : start + n].tolist()
            loss = 0.0
            for i in rows:
                pi = oracle(agent.policy(batch.obs[i]))
                ratio = torch.exp(pi.log_prob(batch.action[i]).sum() - batch.log_prob_old[i])
                value_error = batch.returns[i] - agent.v_net(batch.obs[i])
                loss = loss + surrogate(i, ratio, pi) / len(rows)
                loss = loss + agent.value_coef * 0.5 * value_error**2 / len(rows)
                loss = loss - agent.entropy_coef * pi.entropy().sum() / len(rows)
            weights = [p for network in networks for p in network.parameters()]
            gradient = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
            norm = math.sqrt(sum(float((g**2).sum()) for g in gradient))
            scale = min(1.0, agent.max_grad_norm / norm)
            with torch.no_grad():
                for p, g in zip(weights, gradient, strict=True):
                    p -= lr * scale * g
            losses.append(loss.item())
    return losses


SETTINGS = {"hidden": (5,), "epochs": 3, "minibatch_size": 4, "entropy_coef": 0.1}


def pair(cls, env, **settings):
    """Two agents alike, one of them with plain gradient descent."""
    agents = [cls.for_env(env(), **SETTINGS, **settings) for _ in "ab"]
    weights = [p for net in (agents[0].policy, agents[0].v_net) for p in net.parameters()]
    agents[0].optimizer = torch.optim.SGD(weights, lr=0.2)
    return agents


def assert_alike(one, other, atol=1e-6):
    for p, q in zip(one.policy.parameters(), other.policy.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=atol)
    for p, q in zip(one.v_net.parameters(), other.v_net.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=atol)


@pytest.mark.parametrize("max_grad_norm", [1e9, 0.1])
@pytest.mark.parametrize(("env", "act_dim"), [(Bandit, None), (Reach, 1)])
def test_ppo_update_is_the_minibatch_steps_by_hand(rng, env, act_dim, max_grad_norm):
    agent, by_hand = pair(PPO, env, max_grad_norm=max_grad_norm)
    batch = ppo_batch(rng, agent, 10, act_dim)
    copies = [c.clone() for c in batch]
    shuffle = np.random.default_rng(5)
    permutations = [shuffle.permutation(10) for _ in range(3)]

    def surrogate(i, ratio, pi):
        a, r = batch.adv[i].item(), ratio.item()
        flat = (a > 0 and r > 1.2) or (a < 0 and r < 0.8)
        return torch.tensor(-a * min(max(r, 0.8), 1.2)) if flat else -ratio * a

    losses = ppo_update(agent, batch, np.random.default_rng(5))
    expected = steps_by_hand(by_hand, batch, permutations, surrogate, 0.2)
    assert losses.tolist() == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert len(expected) == 9  # 3 epochs of 4 + 4 + 2 rows
    assert_alike(agent, by_hand)
    for before, after in zip(copies, batch, strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize(("env", "act_dim"), [(Bandit, None), (Reach, 1)])
def test_ppo_kl_update_by_hand_and_its_coefficient(rng, env, act_dim):
    agent, by_hand = pair(PPOKL, env, kl_coef=0.7, kl_target=1e-6, max_grad_norm=1e9)
    batch = ppo_batch(rng, agent, 10, act_dim)
    shuffle = np.random.default_rng(5)
    permutations = [shuffle.permutation(10) for _ in range(3)]
    with torch.no_grad():
        old = by_hand.policy(batch.obs)

    def surrogate(i, ratio, pi):
        before = oracle(tuple(x[i] for x in old) if isinstance(old, tuple) else old[i])
        return -ratio * batch.adv[i] + 0.7 * torch.distributions.kl_divergence(before, pi).sum()

    losses = ppo_kl_update(agent, batch, np.random.default_rng(5))
    expected = steps_by_hand(by_hand, batch, permutations, surrogate, 0.2)
    assert losses.tolist() == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert_alike(agent, by_hand)
    assert agent.kl_coef == 1.4  # once, though nine minibatches went by


@pytest.mark.parametrize("cls", [PPO, PPOKL])
def test_a_function_exchanged_later_is_used(rng, cls):
    """The agent asks anew at every update, and a copy of it goes on as it would have."""
    one, other = (cls.for_env(Bandit(), hidden=(6,), lr=0.02) for _ in range(2))
    name = "ppo_clip_loss" if cls is PPO else "ppo_kl_loss"
    own, calls = getattr(one, name), []
    for i in range(6):
        if i == 2:
            setattr(one, name, lambda *x: (calls.append(1), own(*x))[1])
        elif i == 4:
            setattr(one, name, own)
            one = copy.deepcopy(one)  # whose weights and moments lie elsewhere
        rollout = one_rollout(rng)._replace(
            reward=torch.from_numpy(rng.normal(size=(6, 2))).float()
        )
        for agent in (one, other):
            agent.update(rollout, np.random.default_rng(i))
        assert_alike(one, other, atol=0)
    assert len(calls) == 2 * one.epochs


def test_agent_s_batch_is_gae_on_true_next_observations(rng):
    agent = PPO.for_env(Bandit(), hidden=(5,))
    T, N = 5, 3
    obs, next_obs = torch.from_numpy(rng.normal(size=(2, T, N, 1)).astype(np.float32))
    reward = torch.from_numpy(rng.normal(size=(T, N)).astype(np.float32))
    ends = torch.from_numpy((rng.random((2, T, N)) < 0.3).astype(np.float32))
    action = torch.from_numpy(rng.integers(2, size=(T, N)))
    batch = agent.batch(Rollout(obs, action, reward, next_obs, *ends))
    adv = np.zeros((T, N))
    for n in range(N):
        for t in range(T):
            weight = 1.0
            for k in range(t, T):
                bootstrap = (1 - ends[0, k, n]) * agent.v_net(next_obs[k, n]).detach()
                error = reward[k, n] + 0.99 * bootstrap - agent.v_net(obs[k, n]).detach()
                adv[t, n] += weight * float(error)
                if ends[:, k, n].any():
                    break
                weight *= 0.99 * 0.95
    returns = adv + agent.v_net(obs).detach().numpy()
    np.testing.assert_allclose(batch.returns, returns.reshape(-1), rtol=1e-4, atol=1e-5)
    expected = (adv - adv.mean()) / adv.std()
    np.testing.assert_allclose(batch.adv, expected.reshape(-1), rtol=1e-3, atol=1e-4)
    assert torch.equal(batch.obs, obs.reshape(-1, 1))


def test_replacements_drive_the_agent(rng):
    calls = []

    def mine(name, reference):
        return lambda *x: (calls.append(name), reference(*x))[1]

    agent = PPO.for_env(Bandit(), ppo_clip_loss=mine("clip", ppo_clip_loss))
    agent.update(one_rollout(rng), rng)
    assert set(calls) == {"clip"}
    calls.clear()
    agent = PPO.for_env(Bandit(), ppo_update=mine("all", ppo_update))
    agent.update(one_rollout(rng), rng)
    assert calls == ["all"]
    calls.clear()
    agent = PPOKL.for_env(
        Bandit(),
        ppo_kl_loss=mine("kl", ppo_kl_loss),
        adapt_kl_coefficient=mine("adapt", adapt_kl_coefficient),
    )
    agent.update(one_rollout(rng), rng)
    assert calls == ["kl"] * 8 + ["adapt"]
    calls.clear()
    agent = PPOKL.for_env(
        Bandit(),
        policy_kl=mine("distance", policy_kl),
        ppo_batch=mine("batch", ppo.ppo_batch),
    )
    agent.update(one_rollout(rng), rng)
    # Eight minibatches, and one look at the end.
    assert [calls.count(x) for x in ("batch", "distance")] == [1, 9]
    calls.clear()
    agent = PPO.for_env(Bandit(), gae=mine("gae", gae))
    agent.update(one_rollout(rng), rng)
    assert calls == ["gae"]


def test_whoever_makes_the_batch_sees_one_environment_after_the_other(rng):
    """Rollouts laid end to end give the rows that the (T, N) recursion gives, in the order of time."""
    agent = PPO.for_env(Bandit(), hidden=(5,))
    T, N = 6, 4
    obs, next_obs = torch.from_numpy(rng.normal(size=(2, T, N, 1)).astype(np.float32))
    reward = torch.from_numpy(rng.normal(size=(T, N)).astype(np.float32))
    ends = torch.from_numpy((rng.random((2, T, N)) < 0.3).astype(np.float32))
    rollout = Rollout(obs, torch.from_numpy(rng.integers(2, size=(T, N))), reward, next_obs, *ends)
    seen = []
    agent.ppo_batch = lambda me, r: (seen.append(r), ppo.ppo_batch(me, r))[1]
    for column, expected in zip(agent.batch(rollout), ppo.ppo_batch(agent, rollout), strict=True):
        torch.testing.assert_close(column, expected, rtol=1e-5, atol=1e-6)
    assert seen[0].reward.shape == (T * N,) and (seen[0].truncated[T - 1 :: T] == 1).all()


def one_rollout(rng):
    obs, next_obs = torch.from_numpy(rng.normal(size=(2, 6, 2, 1)).astype(np.float32))
    action = torch.from_numpy(rng.integers(2, size=(6, 2)))
    reward, terminated, truncated = torch.zeros(3, 6, 2)
    return Rollout(obs, action, reward, next_obs, terminated, truncated)
