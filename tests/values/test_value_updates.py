"""One `update` of every value-based agent against the same step by loops and finite differences.

The target of each is a loop over rows, its gradient a difference quotient in float64; then what becomes
of an agent when functions and networks are exchanged.
"""

import copy

import numpy as np
import pytest
import torch
from test_dqn import huber, make_batch, q_by_hand

from rlcourse.values.double_dqn import DoubleDQN, double_dqn_loss
from rlcourse.values.dqn import DQN, dqn_loss
from rlcourse.values.ensembles import EnsembleDQN
from rlcourse.values.prioritised import PERDQN, PrioritisedBatch, per_dqn_loss

GAMMA, RHO, CLIP = 0.9, 0.7, 0.05
SIZES = {"obs_dim": 3, "n_actions": 4, "hidden": (5,), "gamma": GAMMA, "rho": RHO}
ERRORS = np.linspace(-0.5, 2.0, 16).astype(np.float32)
KINDS = {
    "DQN": (DQN, {}),
    "double": (DoubleDQN, {}),
    "PER": (PERDQN, {"beta_start": 0.4, "beta_steps": 10}),
    "maxmin": (EnsembleDQN, {"mode": "min"}),
    "averaged": (EnsembleDQN, {"mode": "mean"}),
    "redq": (EnsembleDQN, {"mode": "subset"}),
}
every_kind = pytest.mark.parametrize("name", KINDS)


def make(name, **settings):
    """An agent whose target network is another network, so that mixing them up shows."""
    cls, own = KINDS[name]
    agent = cls(**SIZES | own | settings)
    if cls is PERDQN:
        agent.make_replay(16).extend(*(np.zeros((16, 3)), np.zeros(16, int), np.zeros(16)),
                                     np.zeros((16, 3)), np.zeros(16))  # fmt: skip
    other = torch.Generator().manual_seed(7)
    for p in agent.target_net.parameters():
        p.add_(0.3 * torch.randn(p.shape, generator=other))
    return agent


def batch_for(name, seed=1):
    batch = make_batch(seed)
    if name != "PER":
        return batch
    return PrioritisedBatch(*batch, np.arange(16), torch.from_numpy(ERRORS))


def members(net):
    return list(net.nets) if hasattr(net, "nets") else [net]


def expected_step(name, agent, batch):
    """(loss, gradients as (members, parameters), errors) of one step; agent's networks in float64."""
    online, target = (members(copy.deepcopy(n).double()) for n in (agent.q_net, agent.target_net))
    rows = list(zip(*(column.numpy() for column in batch[:5]), strict=True))
    voting = [0, 1, 2]
    if name == "redq":
        voting = np.random.default_rng(3).choice(3, size=2, replace=False)
    weight = np.ones(16)
    if name == "PER":
        beta = 0.4 + 0.6 / 10  # after one update of ten
        weight = ((np.abs(ERRORS) + 0.01) ** 0.6) ** -beta
        weight = weight / weight.max()
    y = []
    for _, _, r, s, d in rows:
        q = np.array([q_by_hand(target[i], s) for i in (voting if len(target) > 1 else [0])])
        q = q.mean(axis=0) if name == "averaged" else q.min(axis=0)
        best = np.argmax(q_by_hand(online[0], s) if name == "double" else q)
        y.append(r + (0 if d else GAMMA * q[best]))

    def loss():
        total = 0.0
        for net in online:
            for (s, a, *_), t, w in zip(rows, y, weight, strict=True):
                total += w * huber(q_by_hand(net, s)[a] - t)
        return total / (len(rows) * len(online))

    slopes = []
    for p in (p for net in online for p in net.parameters()):
        flat, slope = p.data.view(-1), torch.zeros_like(p.data)
        for i in range(len(flat)):
            keep = flat[i].item()
            ends = []
            for shift in (1e-6, -1e-6):
                flat[i] = keep + shift
                ends.append(loss())
            flat[i] = keep
            slope.view(-1)[i] = (ends[0] - ends[1]) / 2e-6
        slopes.append(slope)
    errors = [t - q_by_hand(online[0], s)[a] for (s, a, *_), t in zip(rows, y, strict=True)]
    return loss(), slopes, np.array(errors)


@every_kind
def test_update_is_the_step_computed_apart(name):
    agent, batch = make(name, max_grad_norm=CLIP), batch_for(name)
    agent.optimizer = torch.optim.SGD(agent.q_net.parameters(), lr=0.5)
    before = [p.detach().clone() for p in agent.q_net.parameters()]
    old_target = [p.clone() for p in agent.target_net.parameters()]
    loss, slopes, errors = expected_step(name, agent, batch)
    norm = torch.sqrt(sum((g * g).sum() for g in slopes))
    assert norm > CLIP  # or clipping would not be seen

    got = agent.update(batch, np.random.default_rng(3))["loss"]
    assert float(got) == pytest.approx(loss, rel=1e-5)
    networks = agent.q_net.parameters(), agent.target_net.parameters()
    for p, t, g, p0, t0 in zip(*networks, slopes, before, old_target, strict=True):
        new = p0 - (0.5 * CLIP / norm * g).float()
        torch.testing.assert_close(p.detach(), new, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(t, RHO * t0 + (1 - RHO) * new, rtol=1e-4, atol=1e-6)
    if name == "PER":
        # Slice by slice of the whole mass, the tree finds each slot as often as its priority says.
        priorities = (np.abs(errors) + 0.01) ** 0.6
        total = agent.replay._tree.total()
        assert total == pytest.approx(priorities.sum() / 1.01**0.6, rel=1e-4)
        found = agent.replay._tree.find((np.arange(20_000) + 0.5) / 20_000 * total)
        shares = np.bincount(found, minlength=16) / 20_000
        np.testing.assert_allclose(shares, priorities / priorities.sum(), atol=2e-4)


def run(name, agent, updates):
    """The losses of some updates."""
    rng = np.random.default_rng(3)
    return [float(agent.update(batch_for(name, i), rng)["loss"]) for i in range(updates)]


def assert_alike(one, other):
    for net in ("q_net", "target_net"):
        pairs = zip(getattr(one, net).parameters(), getattr(other, net).parameters(), strict=True)
        for p, q in pairs:
            assert torch.equal(p, q)


@every_kind
def test_copies_and_other_networks_go_on(name):
    one, other = (make(name, learning_rate=0.01) for _ in range(2))
    assert run(name, one, 3) == run(name, other, 3)
    one = copy.deepcopy(one)  # whose weights and moments lie elsewhere
    assert run(name, one, 3) == run(name, other, 3)
    assert_alike(one, other)
    for each in (one, other):
        each.target_net = copy.deepcopy(each.q_net).requires_grad_(False)
    assert run(name, one, 3) == run(name, other, 3)
    assert_alike(one, other)


@pytest.mark.parametrize(
    ("name", "field", "function"),
    [
        ("DQN", "dqn_loss", dqn_loss),
        ("DQN", "dqn_loss", double_dqn_loss),
        ("double", "dqn_loss", double_dqn_loss),
        ("PER", "per_dqn_loss", per_dqn_loss),
        ("maxmin", "dqn_loss", lambda q_net, *rest: dqn_loss(q_net, *rest)),
    ],
)
def test_a_function_handed_over_at_any_time_is_used(name, field, function):
    calls = []

    def mine(*args):
        calls.append(1)
        return function(*args)

    agent = make(name)
    run(name, agent, 2)
    setattr(agent, field, mine)
    run(name, agent, 3)
    assert len(calls) == 3
