"""DQN and its kin against loops, finite differences, and plain NumPy."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from rlcourse.lab.networks import QNetwork, polyak_update
from rlcourse.lab.replay import Batch, ReplayBuffer
from rlcourse.values import double_dqn, dqn, ensembles, primer, prioritised


def make_batch(seed=0, n=16, obs_dim=3, n_actions=4):
    rng = np.random.default_rng(seed)
    return Batch(
        torch.from_numpy(rng.normal(size=(n, obs_dim)).astype(np.float32)),
        torch.from_numpy(rng.integers(n_actions, size=n)),
        torch.from_numpy((3 * rng.normal(size=n)).astype(np.float32)),
        torch.from_numpy(rng.normal(size=(n, obs_dim)).astype(np.float32)),
        torch.from_numpy((rng.random(n) < 0.3).astype(np.float32)),
    )


def make_nets(n=2, double=False):
    torch.manual_seed(0)
    nets = [QNetwork(3, 4, (8,)) for _ in range(n)]
    return [net.double() for net in nets] if double else nets


def huber(e):
    return 0.5 * e * e if abs(e) <= 1 else abs(e) - 0.5


def q_by_hand(net, obs):
    first, last = net.layers[0], net.layers[2]
    h = np.maximum(obs @ first.weight.detach().numpy().T + first.bias.detach().numpy(), 0)
    return h @ last.weight.detach().numpy().T + last.bias.detach().numpy()


def loss_by_loop(q_net, target_net, batch, gamma, weight=None, choose_net=None):
    columns = [c.numpy() for c in batch]
    total = 0.0
    for b, (obs, a, r, next_obs, d) in enumerate(zip(*columns, strict=True)):
        q_next = q_by_hand(target_net, next_obs)
        best = np.argmax(q_next if choose_net is None else q_by_hand(choose_net, next_obs))
        y = r + (0 if d else gamma * q_next[best])
        total += (1.0 if weight is None else weight[b]) * huber(q_by_hand(q_net, obs)[a] - y)
    return total / len(columns[0])


def test_epsilon_is_a_line_and_then_its_floor():
    got = [dqn.epsilon_schedule(t, 1.0, 0.1, 10) for t in (0, 5, 10, 1000)]
    assert got == pytest.approx([1, 0.55, 0.1, 0.1])


def test_losses_by_a_loop():
    batch, (q_net, target_net) = make_batch(), make_nets()
    expected = loss_by_loop(q_net, target_net, batch, 0.9)
    assert dqn.dqn_loss(q_net, target_net, batch, 0.9).item() == pytest.approx(expected, rel=1e-5)
    expected = loss_by_loop(q_net, target_net, batch, 0.9, choose_net=q_net)
    got = double_dqn.double_dqn_loss(q_net, target_net, batch, 0.9)
    assert got.item() == pytest.approx(expected, rel=1e-5)
    weight = torch.linspace(0.1, 1, 16)
    expected = loss_by_loop(q_net, target_net, batch, 0.9, weight=weight.numpy())
    loss, error = prioritised.per_dqn_loss(q_net, target_net, batch, weight, 0.9)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    y = dqn.dqn_target(batch.reward, target_net(batch.next_obs), batch.terminated, 0.9)
    q = q_net(batch.obs)[torch.arange(16), batch.action]
    assert_close(error, (y - q).detach())
    assert not error.requires_grad


def test_a_step_by_finite_differences():
    batch = Batch(*(c.double() if c.is_floating_point() else c for c in make_batch(1)))
    q_net, target_net = make_nets(double=True)
    state = SimpleNamespace(
        q_net=q_net, target_net=target_net, gamma=0.9, rho=0.7, max_grad_norm=0.05
    )
    state.optimizer = torch.optim.SGD(q_net.parameters(), lr=0.5)
    start = [p.detach().clone() for p in q_net.parameters()]
    old_target = [p.detach().clone() for p in target_net.parameters()]
    slopes = []
    for p in q_net.parameters():
        slope = torch.zeros_like(p)
        flat, out = p.data.view(-1), slope.view(-1)
        for i in range(len(flat)):
            keep = flat[i].item()
            flat[i] = keep + 1e-6
            up = loss_by_loop(q_net, target_net, batch, 0.9)
            flat[i] = keep - 1e-6
            out[i] = (up - loss_by_loop(q_net, target_net, batch, 0.9)) / 2e-6
            flat[i] = keep
        slopes.append(slope)
    for p in q_net.parameters():
        p.grad = torch.full_like(p, 7.0)  # left over from before: must not count
    norm = torch.sqrt(sum((g * g).sum() for g in slopes))
    assert norm > 0.05  # or clipping would not be seen
    loss = dqn.dqn_update(state, batch)
    assert not loss.requires_grad
    for p, before, g, t, t0 in zip(
        q_net.parameters(), start, slopes, target_net.parameters(), old_target, strict=True
    ):
        new = before - 0.5 * g * 0.05 / norm
        assert_close(p.detach(), new, rtol=1e-4, atol=1e-7)
        assert_close(t.detach(), 0.7 * t0 + 0.3 * new, rtol=1e-4, atol=1e-7)


def test_polyak():
    online, target = make_nets()
    before, kept = [p.detach().clone() for p in target.parameters()], list(target.parameters())
    polyak_update(target, online, 1.0)
    assert all(torch.equal(p, b) for p, b in zip(target.parameters(), before, strict=True))
    polyak_update(target, online, 0.0)
    for p, k, o in zip(target.parameters(), kept, online.parameters(), strict=True):
        assert p is k and torch.equal(p, o) and p.data_ptr() != o.data_ptr()


def test_double_with_equal_networks_is_dqn():
    r, d, q = torch.randn(6), torch.tensor([0.0, 1, 0, 0, 1, 0]), torch.randn(6, 3)
    expected = dqn.dqn_target(r, q, d, 0.9)
    assert_close(double_dqn.double_dqn_target(r, q, q, d, 0.9), expected)
    judged = torch.randn(6, 3)
    by_loop = [r[b] + 0.9 * (1 - d[b]) * judged[b, int(q[b].argmax())] for b in range(6)]
    assert_close(double_dqn.double_dqn_target(r, q, judged, d, 0.9), torch.stack(by_loop))


@pytest.mark.parametrize("mode", ["min", "mean", "subset"])
def test_ensembles_by_a_loop(mode):
    q, r, d = (
        np.random.default_rng(0).normal(size=(4, 5, 3)),
        np.arange(5.0),
        np.array([0, 1, 0, 0, 1]),
    )
    members = [1, 3] if mode == "subset" else range(4)
    fold = np.mean if mode == "mean" else np.min
    expected = [
        r[b] + 0.9 * (1 - d[b]) * max(fold([q[e, b, a] for e in members]) for a in range(3))
        for b in range(5)
    ]
    subset = torch.tensor([1, 3])
    args = (torch.from_numpy(v) for v in (q, r, d))
    q, r, d = args
    assert_close(ensembles.ensemble_target(q, mode, r, d, 0.9, subset), torch.tensor(expected))


def test_another_mode_is_refused():
    with pytest.raises(ValueError, match="median"):
        ensembles.ensemble_target(
            torch.zeros(1, 1, 1), "median", torch.zeros(1), torch.zeros(1), 0.9
        )


@pytest.mark.parametrize("capacity", [1, 2, 5, 8, 13])
def test_sum_tree_is_a_cumulative_sum(capacity):
    rng = np.random.default_rng(capacity)
    tree, p = prioritised.SumTree(capacity), np.zeros(capacity)
    assert tree.total() == 0
    for _ in range(50):
        i, value = int(rng.integers(capacity)), float(rng.integers(4))  # exact: borders are hit
        tree.set(i, value)
        p[i] = value
        assert tree.total() == p.sum()
        for mass in np.arange(0, p.sum(), 0.5):
            assert tree.find(mass) == np.searchsorted(np.cumsum(p), mass, side="right")
    if p.sum():
        masses = rng.uniform(0, p.sum(), 20)
        assert np.array_equal(
            tree.find(masses), np.searchsorted(np.cumsum(p), masses, side="right")
        )


def test_probabilities_and_weights():
    error = torch.tensor([-2.0, 0.0, 1.0, 0.5])
    drawn = torch.tensor([3, 0, 3])
    p = (np.array([2.0, 0.0, 1.0, 0.5]) + 0.1) ** 0.6
    prob, weight = prioritised.prioritise(error, drawn, 0.6, 0.1, 0.5)
    assert_close(prob, torch.tensor(p / p.sum(), dtype=torch.float32))
    w = (4 * p / p.sum())[[3, 0, 3]] ** -0.5
    assert_close(weight, torch.tensor(w / w.max(), dtype=torch.float32))
    prob, weight = prioritised.prioritise(error, drawn, 0.0, 0.1, 0.0)
    assert_close(prob, torch.full((4,), 0.25))
    assert_close(weight, torch.ones(3))


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_fully_weighted_draws_have_the_uniform_mean(exponent):
    """Σ P_i w_i x_i is, up to the common factor, the plain mean: Schaul et al. 2016, §3.4 at β = 1."""
    rng = np.random.default_rng(0)
    error, x = torch.from_numpy(rng.normal(size=50)), torch.from_numpy(rng.normal(size=50))
    prob, weight = prioritised.prioritise(error, torch.arange(50), exponent, 0.01, 1.0)
    assert float((prob * weight * x).sum() / (prob * weight).sum()) == pytest.approx(x.mean())


def test_an_ensemble_of_uniform_errors_has_the_bias_of_the_formula():
    """By the binomial sum in exact fractions, by the Beta function, and by drawing."""
    from fractions import Fraction
    from math import comb, gamma

    for m, n in [(1, 1), (1, 5), (2, 1), (2, 2), (9, 2), (9, 8), (18, 5)]:
        t = sum(Fraction((-1) ** k * comb(m, k) * 1, 1) / (k * n + 1) for k in range(m + 1))
        assert ensembles.maxmin_bias(3.0, m, n) == pytest.approx(3 * float(1 - 2 * t), abs=1e-12)
        beta = gamma(1 + 1 / n) * gamma(m + 1) / gamma(m + 1 + 1 / n)
        assert ensembles.maxmin_bias(3.0, m, n) == pytest.approx(3 * (1 - 2 * beta), abs=1e-12)
        drawn = np.random.default_rng(0).uniform(-3, 3, size=(20_000, n, m)).min(1).max(1)
        assert ensembles.maxmin_bias(3.0, m, n) == pytest.approx(drawn.mean(), abs=0.05)
    assert ensembles.maxmin_bias(1.0, 9, 1) == pytest.approx(8 / 10)  # lesson 05's, of M uniforms


def test_members_learn_from_their_own_share():
    agent = ensembles.EnsembleDQN(obs_dim=1, n_actions=2, size=3, share=0.5, hidden=(4,), seed=1)
    replay = agent.make_replay(400)
    columns = np.ones((400, 1)), np.zeros(400, int), np.ones(400), np.zeros((400, 1)), np.zeros(400)
    replay.extend(*columns)
    batch = replay.rows(np.arange(400))
    assert batch.mine.shape == (3, 400)
    assert (batch.mine.mean(dim=1) - 0.5).abs().max() < 0.1
    agree = (batch.mine[0] == batch.mine[1]).float().mean()
    assert abs(float(agree) - 0.5) < 0.1
    assert torch.equal(replay.rows(np.arange(400)).mine, batch.mine)  # whose it is stays
    batch = batch._replace(mine=torch.zeros(3, 400))
    batch.mine[1] = 1.0
    before = [p.detach().clone() for p in agent.q_net.parameters()]
    agent.update(batch, np.random.default_rng(0))
    moved = [bool((p != b).any()) for p, b in zip(agent.q_net.parameters(), before, strict=True)]
    assert not any(moved[:4] + moved[8:]) and any(moved[4:8])


class ListTree:
    """A tree as a student may write it: one index, one mass."""

    def __init__(self, capacity):
        self.p = [0.0] * capacity

    def set(self, index, priority):
        assert type(index) is int and type(priority) is float
        self.p[index] = priority

    def total(self):
        return sum(self.p)

    def find(self, mass):
        assert type(mass) is float
        return int(np.searchsorted(np.cumsum(self.p), mass, side="right"))


def test_a_tree_and_a_function_of_ones_own_serve_the_prioritised_agent():
    calls = []

    def prioritise(*given):
        calls.append(len(given[0]))
        return prioritised.prioritise(*given)

    runs = []
    for settings in ({}, {"tree": ListTree, "prioritise": prioritise}):
        agent = prioritised.PERDQN(obs_dim=1, n_actions=2, hidden=(4,), **settings)
        replay, rng = agent.make_replay(20), np.random.default_rng(0)
        for i in range(30):
            replay.add([i / 30], i % 2, float(i % 3), [0.1], i % 4 == 0)
        losses = [float(agent.update(replay.sample(8, rng))["loss"]) for _ in range(20)]
        runs.append(losses)
    assert runs[0] == runs[1]
    assert set(calls) == {2, 8, 9}  # what is added, a batch to be weighed, a batch's new errors


def test_double_dqn_takes_a_target_of_ones_own():
    calls = []

    def target(*given):
        calls.append(given)
        return double_dqn.double_dqn_target(*given)

    agent = double_dqn.DoubleDQN(obs_dim=3, n_actions=4, double_dqn_target=target)
    agent.update(make_batch(0))
    assert len(calls) == 1


def test_prioritised_replay_draws_in_proportion():
    rng = np.random.default_rng(0)
    replay = prioritised.PrioritisedReplay(8, 1, exponent=0.5, eps=0.25)
    for i in range(11):  # three are overwritten
        replay.add([i], 0, float(i), [i], False)
    errors = np.arange(8.0)
    replay.set_errors(np.arange(8), errors)
    expected = np.sqrt(errors + 0.25) / np.sqrt(errors + 0.25).sum()
    batch = replay.sample(64_000, rng)
    counts = np.bincount(batch.slot, minlength=8) / 64_000
    np.testing.assert_allclose(counts, expected, atol=2e-3)
    assert np.array_equal(batch.td_error.numpy(), errors[batch.slot].astype(np.float32))
    w = (expected[batch.slot] / expected[batch.slot].min()) ** -0.7
    np.testing.assert_allclose(replay.weights(batch, 0.7).numpy(), w, rtol=1e-4)
    assert torch.equal(batch.reward, batch.obs[:, 0])
    assert set(batch.reward.int().tolist()) == set(range(3, 11))


@given(
    kappa=st.floats(0, 3).filter(lambda k: abs(k - 1) > 0.01),
    eta=st.floats(0.01, 1),
    every=st.integers(1, 60),
)
def test_a_copy_makes_of_the_error_what_steps_towards_a_fixed_label_make(kappa, eta, every):
    c, goal = 0.7, 0.7 / (1 - kappa)
    p = goal + 2.0
    label = c + kappa * p
    for _ in range(every):
        p = (1 - eta) * p + eta * label
    factor, per_step = dqn.copy_factor(kappa, eta, every)
    assert (p - goal) / 2.0 == pytest.approx(factor, rel=1e-9, abs=1e-9)
    assert per_step**every == pytest.approx(factor, rel=1e-9, abs=1e-12)
    assert (factor < 1) == (kappa < 1)  # a copy delays, it does not cure


def test_a_copy_every_step_is_a_fresh_label_and_a_very_late_one_is_a_fitted_iteration():
    for kappa, eta in ((0.0, 0.3), (0.9, 0.1), (1.4, 0.5)):
        assert dqn.copy_factor(kappa, eta, 1)[0] == pytest.approx(1 - eta * (1 - kappa))
        assert dqn.copy_factor(kappa, eta, 10_000)[0] == pytest.approx(kappa)
    assert dqn.copy_factor(0.0, 1.0, 5) == (0.0, 0.0)


class Corridor:
    """Cells 0, 1, 2, …; terminated in cell `end`, truncated after `limit` steps; it may not be stepped further."""

    def __init__(self, end, limit):
        self.end, self.limit = end, limit
        self.action_space = SimpleNamespace(n=2)
        self.resets, self.running = 0, False

    def reset(self):
        self.resets, self.cell, self.clock, self.running = self.resets + 1, 0, 0, True
        return self.seen(), {}

    def seen(self):
        return np.array([self.cell, self.resets], np.float32)

    def step(self, action):
        assert self.running and type(action) is int
        self.cell, self.clock = self.cell + action, self.clock + 1
        terminated, truncated = self.cell == self.end, self.clock == self.limit
        self.running = not (terminated or truncated)
        return self.seen(), 10.0 * self.cell + action, terminated, truncated, {}


def linear_q(*rows):
    """Q(s, ·) = rows of numbers, whatever s."""
    net = torch.nn.Linear(2, len(rows))
    with torch.no_grad():
        net.weight.zero_()
        net.bias.copy_(torch.tensor(rows))
    return net


def played(env, agent, n, seed=0):
    buffer, rng = ReplayBuffer(100, 2), np.random.default_rng(seed)
    agent.obs, _ = env.reset()
    returned = [dqn.play_step(env, agent, buffer, rng) for _ in range(n)]
    return buffer.rows(np.arange(n)), returned


@pytest.mark.parametrize(("end", "limit"), [(3, 99), (99, 3), (3, 3)])
def test_a_step_of_play_stores_where_it_led_and_begins_anew_after_either_end(end, limit):
    env, agent = Corridor(end, limit), SimpleNamespace(q_net=linear_q(0.0, 1.0), epsilon=0.0)
    rows, returned = played(env, agent, 7)
    assert rows.obs.tolist() == [[0, 1], [1, 1], [2, 1], [0, 2], [1, 2], [2, 2], [0, 3]]
    assert rows.next_obs.tolist() == [[1, 1], [2, 1], [3, 1], [1, 2], [2, 2], [3, 2], [1, 3]]
    assert rows.terminated.tolist() == [0, 0, end == 3, 0, 0, end == 3, 0]
    assert returned == [(11.0, False), (21.0, False), (31.0, True)] * 2 + [(11.0, False)]
    assert agent.obs.tolist() == [1, 3] and env.resets == 3
    assert all(p.grad is None for p in agent.q_net.parameters())


def test_play_is_greedy_but_for_epsilon_of_the_time():
    n = 4000
    env, agent = Corridor(10**9, 10**9), SimpleNamespace(q_net=linear_q(1.0, 0.0), epsilon=0.3)
    buffer, rng = ReplayBuffer(n, 2), np.random.default_rng(1)
    agent.obs, _ = env.reset()
    for _ in range(n):
        dqn.play_step(env, agent, buffer, rng)
    share = buffer.rows(np.arange(n)).action.double().mean().item()
    assert abs(share - 0.15) < 5 * np.sqrt(0.15 * 0.85 / n)  # half of the random ones


def test_a_fitted_training_step_is_gradient_descent_on_the_mean_square():
    torch.manual_seed(0)
    net = torch.nn.Linear(2, 1).double()
    x, y = torch.randn(7, 2).double(), torch.randn(7).double()
    w, b = net.weight.detach().numpy()[0].copy(), net.bias.item()
    for p in net.parameters():
        p.grad = torch.ones_like(p)  # somebody else's
    found = primer.training_step(net, torch.optim.SGD(net.parameters(), lr=0.1), x, y)
    error = x.numpy() @ w + b - y.numpy()
    assert found.item() == pytest.approx(np.mean(error**2))
    np.testing.assert_allclose(net.weight.detach().numpy()[0], w - 0.1 * 2 * error @ x.numpy() / 7)
    assert net.bias.item() == pytest.approx(b - 0.1 * 2 * error.mean())


def test_training_steps_solve_a_regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    y = x @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=40)
    best, residual, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(40)]), y)
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 1).double()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    columns = torch.from_numpy(x), torch.from_numpy(y)
    losses = [primer.training_step(net, optimizer, *columns).item() for _ in range(500)]
    np.testing.assert_allclose(net.weight.detach().numpy()[0], best[:3], atol=1e-6)
    assert losses[-1] == pytest.approx(residual[0] / 40)
    assert (np.diff(losses) <= 1e-12).all()
