"""Actor-critics: each update is the step that single rows, differentiated one by one, add up to."""

import copy
import math

import numpy as np
import pytest
import torch
from probes import Bandit, Reach

from rlcourse.lab.on_policy import Rollout
from rlcourse.policies.actor_critic import (
    A2C,
    OneStepActorCritic,
    QActorCritic,
    a2c_loss,
    a2c_update,
    one_step_actor_critic_update,
    q_actor_critic_update,
    td_error,
)
from rlcourse.policies.agents import end_to_end
from rlcourse.policies.distributions import log_prob_and_entropy

GAMMA = 0.9


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def make_rollout(rng, rows, act_dim=None, columns=None):
    shape = (rows,) if columns is None else (rows, columns)
    obs, next_obs = torch.from_numpy(rng.normal(size=(2, *shape, 1)).astype(np.float32))
    reward = torch.from_numpy(rng.normal(size=shape).astype(np.float32))
    ends = torch.from_numpy((rng.random((2, *shape)) < 0.3).astype(np.float32))
    if act_dim is None:
        action = torch.from_numpy(rng.integers(2, size=shape))
    else:
        action = torch.from_numpy(rng.normal(size=(*shape, act_dim)).astype(np.float32))
    return Rollout(obs, action, reward, next_obs, *ends)


def weights_of(*networks):
    return [p for network in networks for p in network.parameters()]


def sgd(networks, lr=0.1):
    return torch.optim.SGD(weights_of(*networks), lr=lr)


def assert_moved_by(networks, before, gradient, lr=0.1):
    """Every weight is its old self minus lr times the gradient given."""
    for p, old, g in zip(weights_of(*networks), before, gradient, strict=True):
        torch.testing.assert_close(p.detach(), old - lr * g, rtol=1e-4, atol=1e-6)


def gradient_of(scalar, networks):
    parts = torch.autograd.grad(scalar, weights_of(*networks), allow_unused=True)
    return [
        torch.zeros_like(p) if g is None else g
        for p, g in zip(weights_of(*networks), parts, strict=True)
    ]


def test_td_error_row_by_row(rng):
    r, v, w = rng.normal(size=(3, 5))
    d = np.array([0, 1, 0, 1, 0])
    delta = td_error(*map(torch.from_numpy, (r, v, w, d)), GAMMA)
    expected = [r[i] - v[i] if d[i] else r[i] + GAMMA * w[i] - v[i] for i in range(5)]
    assert delta.tolist() == pytest.approx(expected)
    flags = torch.from_numpy(d.astype(bool))
    assert td_error(*map(torch.from_numpy, (r, v, w)), flags, GAMMA).tolist() == delta.tolist()


def test_log_prob_and_entropy_against_torch_distributions(rng):
    logits = torch.from_numpy(rng.normal(size=(6, 3)))
    action = torch.from_numpy(rng.integers(3, size=6))
    log_prob, entropy = log_prob_and_entropy(logits, action)
    oracle = torch.distributions.Categorical(logits=logits)
    torch.testing.assert_close(log_prob, oracle.log_prob(action))
    torch.testing.assert_close(entropy, oracle.entropy())
    mean, log_std, point = torch.from_numpy(rng.normal(size=(3, 6, 2)))
    log_prob, entropy = log_prob_and_entropy((mean, log_std), point)
    oracle = torch.distributions.Normal(mean, log_std.exp())
    torch.testing.assert_close(log_prob, oracle.log_prob(point).sum(1))
    torch.testing.assert_close(entropy, oracle.entropy().sum(1))


@pytest.mark.parametrize("terminated", [0.0, 1.0])
@pytest.mark.parametrize("discount", [1.0, 0.6])
def test_one_step_actor_critic_takes_the_book_s_step(rng, terminated, discount):
    agent = OneStepActorCritic.for_env(Bandit(), hidden=(5,))
    row = make_rollout(rng, 1)._replace(terminated=torch.tensor([terminated]))
    before_pi = [p.detach().clone() for p in weights_of(agent.policy)]
    before_v = [p.detach().clone() for p in weights_of(agent.v_net)]
    v, v_next = agent.v_net(row.obs)[0], agent.v_net(row.next_obs)[0].item()
    delta = row.reward[0].item() + GAMMA * (1 - terminated) * v_next - v.item()
    log_pi = agent.policy(row.obs).log_softmax(1)[0, row.action[0]]
    up_v, up_pi = gradient_of(v, [agent.v_net]), gradient_of(log_pi, [agent.policy])

    got, shrunk = one_step_actor_critic_update(
        agent.policy, agent.v_net, sgd([agent.policy]), sgd([agent.v_net]), row, GAMMA, discount
    )
    assert got.item() == pytest.approx(delta, rel=1e-5)
    assert shrunk == pytest.approx(GAMMA * discount)
    assert_moved_by([agent.v_net], before_v, [-delta * g for g in up_v])
    assert_moved_by([agent.policy], before_pi, [-discount * delta * g for g in up_pi])


def test_the_agent_s_discount_starts_anew_after_an_end(rng):
    agent = OneStepActorCritic.for_env(Bandit(), hidden=(5,), discount_actor=True, gamma=0.5)
    seen = []
    for end in (0.0, 0.0, 1.0, 0.0):
        row = make_rollout(rng, 1, columns=1)
        flags = torch.tensor([[end]]), torch.tensor([[0.0]])
        agent.update(row._replace(terminated=flags[0], truncated=flags[1]), rng)
        seen.append(agent.discount)
    assert seen == [0.5, 0.25, 1.0, 0.5]


def test_q_actor_critic_takes_both_steps_from_the_weights_before(rng):
    agent = QActorCritic.for_env(Bandit(), hidden=(5,))
    B = 6
    batch, a_next = make_rollout(rng, B), torch.from_numpy(rng.integers(2, size=B))
    before_pi = [p.detach().clone() for p in weights_of(agent.policy)]
    before_q = [p.detach().clone() for p in weights_of(agent.q_net)]
    step_pi = [torch.zeros_like(p) for p in before_pi]
    step_q = [torch.zeros_like(p) for p in before_q]
    losses = [0.0, 0.0]
    for b in range(B):
        q = agent.q_net(batch.obs[b])[batch.action[b]]
        bootstrap = agent.q_net(batch.next_obs[b])[a_next[b]].item()
        y = batch.reward[b].item() + GAMMA * (1 - batch.terminated[b].item()) * bootstrap
        log_pi = agent.policy(batch.obs[b]).log_softmax(0)[batch.action[b]]
        losses[0] -= q.item() * log_pi.item() / B
        losses[1] += 0.5 * (y - q.item()) ** 2 / B
        for total, g in zip(step_pi, gradient_of(log_pi, [agent.policy]), strict=True):
            total -= q.item() * g / B
        for total, g in zip(step_q, gradient_of(q, [agent.q_net]), strict=True):
            total -= (y - q.item()) * g / B
    got = q_actor_critic_update(
        agent.policy, agent.q_net, sgd([agent.policy]), sgd([agent.q_net]), batch, a_next, GAMMA
    )
    assert [x.item() for x in got] == pytest.approx(losses, rel=1e-4)
    assert_moved_by([agent.q_net], before_q, step_q)
    assert_moved_by([agent.policy], before_pi, step_pi)


def test_a2c_loss_by_a_loop_and_its_gradients(rng):
    columns = [torch.tensor(c, requires_grad=True) for c in rng.normal(size=(5, 7))]
    loss = a2c_loss(*columns, value_coef=0.7, entropy_coef=0.3)
    rows = list(zip(*(c.tolist() for c in columns), strict=True))
    by_hand = sum(-x * a + 0.35 * (g - v) ** 2 - 0.3 * h for x, v, h, a, g in rows) / 7
    assert loss.item() == pytest.approx(by_hand)
    log_prob, value, entropy, adv, returns = torch.autograd.grad(loss, columns, allow_unused=True)
    assert adv is None and returns is None
    assert log_prob.tolist() == pytest.approx([-a / 7 for _, _, _, a, _ in rows])
    assert value.tolist() == pytest.approx([0.7 * (v - g) / 7 for _, v, _, _, g in rows])
    assert entropy.tolist() == pytest.approx([-0.3 / 7] * 7)


def gaussian_log_density(agent, obs, action):
    mean, log_std = agent.policy(obs)
    return torch.distributions.Normal(mean, log_std.exp()).log_prob(action).sum()


@pytest.mark.parametrize("max_grad_norm", [1e9, 0.05])
@pytest.mark.parametrize("env", [Bandit, Reach])
def test_a2c_update_against_a_loop_over_rows(rng, env, max_grad_norm):
    agent = A2C.for_env(
        env(),
        hidden=(5,),
        entropy_coef=0.2,
        max_grad_norm=max_grad_norm,
    )
    networks, T = [agent.policy, agent.v_net], 8
    agent.optimizer = sgd(networks)
    rollout = make_rollout(rng, T, act_dim=1 if env is Reach else None)
    before = [p.detach().clone() for p in weights_of(*networks)]
    v = [agent.v_net(o).item() for o in rollout.obs]
    v_next = [agent.v_net(o).item() for o in rollout.next_obs]
    total = [torch.zeros_like(p) for p in before]
    for t in range(T):
        adv, weight = 0.0, 1.0
        for k in range(t, T):
            alive = 1 - rollout.terminated[k].item()
            adv += weight * (rollout.reward[k].item() + agent.gamma * alive * v_next[k] - v[k])
            if rollout.terminated[k] or rollout.truncated[k]:
                break
            weight *= agent.gamma * agent.lam
        obs, action = rollout.obs[t], rollout.action[t]
        if env is Bandit:
            oracle = torch.distributions.Categorical(logits=agent.policy(obs))
            log_pi, entropy = oracle.log_prob(action), oracle.entropy()
        else:
            log_pi = gaussian_log_density(agent, obs, action)
            entropy = agent.policy(obs)[1].sum() + 0.5 * math.log(2 * math.pi * math.e)
        value = agent.v_net(obs)
        loss = -adv * log_pi + 0.25 * (adv + v[t] - value) ** 2 - 0.2 * entropy
        for part, g in zip(total, gradient_of(loss / T, networks), strict=True):
            part += g
    norm = math.sqrt(sum(float((g**2).sum()) for g in total))
    scale = min(1.0, max_grad_norm / norm)
    a2c_update(agent, rollout)
    assert_moved_by(networks, before, [scale * g for g in total])


def test_a2c_update_of_columns_is_that_of_all_rows(rng):
    """(T, N) and (T,) agree when every row is an episode of its own."""
    one = A2C.for_env(Bandit(), hidden=(5,))
    other = copy.deepcopy(one)
    grid = make_rollout(rng, 4, columns=3)._replace(terminated=torch.ones(4, 3))
    flat = Rollout(*(column.flatten(0, 1) for column in grid))
    assert a2c_update(one, grid).item() == pytest.approx(a2c_update(other, flat).item(), rel=1e-5)
    for p, q in zip(weights_of(one.policy), weights_of(other.policy), strict=True):
        torch.testing.assert_close(p, q)


def test_a_replacement_drives_the_agent(rng):
    calls = []

    def my_loss(*arguments):
        calls.append(len(arguments))
        return a2c_loss(*arguments)

    agent = A2C.for_env(Bandit(), hidden=(5,), a2c_loss=my_loss)
    agent.update(make_rollout(rng, 4, columns=2), rng)
    assert calls == [7]
    whole = A2C.for_env(Bandit(), a2c_update=lambda state, rollout: state.gamma)
    assert whole.update(make_rollout(rng, 4), rng) == {"loss": whole.gamma}


@pytest.mark.parametrize("lam", [0.0, 0.7, 1.0])
def test_end_to_end_is_the_same_update(rng, lam):
    """(T, N) side by side and (N·T,) with the seams marked truncated: the same loss, the same weights."""
    one = A2C.for_env(Bandit(), hidden=(5,), lam=lam)
    other = copy.deepcopy(one)
    grid = make_rollout(rng, 6, columns=3)
    line = end_to_end(grid)
    assert line.reward.tolist() == grid.reward.T.flatten().tolist()
    assert line.truncated[5::6].tolist() == [1, 1, 1]
    assert a2c_update(one, grid).item() == pytest.approx(a2c_update(other, line).item(), rel=1e-5)
    for p, q in zip(weights_of(one.policy), weights_of(other.policy), strict=True):
        torch.testing.assert_close(p, q)
    assert end_to_end(line) is line


def test_an_update_gets_the_recordings_as_one(rng):
    seen = []
    agent = A2C.for_env(Bandit(), a2c_update=lambda state, rollout: seen.append(rollout) or 0.0)
    agent.update(make_rollout(rng, 4, columns=3), rng)
    assert seen[0].reward.shape == (12,)
