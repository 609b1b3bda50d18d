"""Recipes of tensors and networks, and the reports of functions that use them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from rlcourse.checker.comparing import difference
from rlcourse.checker.declaration import Exercise, anything, loss_value, several, tensor
from rlcourse.checker.harness import Case, run
from rlcourse.checker.networks import (
    ATOL,
    RTOL,
    AgentState,
    Network,
    Optimizer,
    SoftmaxTable,
    network,
    transitions,
)
from rlcourse.checker.networks import tensor as leaf
from rlcourse.checker.plain import decode, encode


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def exercise(call, returns):
    return Exercise(
        "f", lambda: None, lambda rng: [], returns, 1, "(8.1)", [], call=call, rtol=RTOL, atol=ATOL
    )


def differs(call, returns, right, wrong, case):
    a, b = run(wrong, case, call), run(right, case, call)
    assert b.failure is None
    return difference(exercise(call, returns), case, a.value, b.value) if not a.failure else ""


# ------------------------------------------------------------------------------------ recipes


@pytest.mark.parametrize("kind", ["q", "logits", "v", "critic", "actor", "gaussian"])
def test_a_network_is_what_its_kind_says(kind, rng):
    act_dim, n = 2, 5
    n_in = 3 + act_dim if kind == "critic" else 3
    net = network(rng, kind, n_in, 1 if kind in ("v", "critic") else act_dim).build({})
    obs, action = torch.randn(n, 3), torch.randn(n, act_dim)
    out = net(obs, action) if kind == "critic" else net(obs)
    if kind == "gaussian":
        assert [tuple(x.shape) for x in out] == [(n, act_dim)] * 2
    else:
        assert tuple(out.shape) == ((n,) if kind in ("v", "critic") else (n, act_dim))
    assert all(p.requires_grad for p in net.parameters())


def test_a_case_with_networks_survives_json(rng):
    inputs = {
        "agent_state": AgentState(
            {"q_net": network(rng, "q", 3, 2), "optimizer": Optimizer(["q_net"], 0.1), "rho": 0.9}
        ),
        "batch": [transitions(rng, 4, 3, n_actions=2), transitions(rng, 4, 3, act_dim=2)],
        "x": leaf([1.0, 2.0], grad=True),
        "policy": SoftmaxTable(np.zeros((2, 2))),
    }
    case = Case("all of them", inputs)
    again = decode(json.loads(json.dumps(encode(case))))
    assert repr(again) == repr(case)
    net = again.inputs["agent_state"].build({}).q_net
    kept = inputs["agent_state"].parts["q_net"]
    assert isinstance(kept, Network)
    np.testing.assert_array_equal(net.first.weight.detach().numpy(), kept.weights[0])


def test_a_changed_input_is_seen(rng):
    case = Case("x", {"x": leaf([1.0, 2.0]), "batch": transitions(rng, 3, 2, n_actions=2)})
    assert run(lambda x, batch: x + 1, case).changed == ()
    assert run(lambda x, batch: x.add_(1), case).changed == ("x",)
    assert run(lambda x, batch: batch.reward.zero_() + 1, case).changed == ("batch",)


# ------------------------------------------------------------------------------------ gradients


def test_gradients_agree_with_finite_differences(rng):
    net, obs = network(rng, "v", 3), rng.normal(size=(4, 3)).astype(np.float32)
    case = Case("a network", {"v_net": net, "obs": leaf(obs)})
    report = run(lambda v_net, obs: (v_net(obs) ** 2).mean(), case, "gradients").value
    module = net.build({}).double()

    def loss(flat):
        torch.nn.utils.vector_to_parameters(torch.from_numpy(flat), module.parameters())
        return (module(torch.from_numpy(obs).double()) ** 2).mean().item()

    flat = np.concatenate([w.ravel() for w in net.weights]).astype(np.float64)
    steps = 1e-6 * np.eye(len(flat))
    numeric = [(loss(flat + h) - loss(flat - h)) / 2e-6 for h in steps]
    np.testing.assert_allclose(report["gradients"][0]["v_net"], numeric, rtol=1e-3, atol=1e-4)


def squared(x, y):
    return ((x - y.detach()) ** 2).mean()


PAIR = Case("two leaves", {"x": leaf([1.0, 2.0], grad=True), "y": leaf([0.5, 3.0], grad=True)})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda x, y: ((x - y) ** 2).mean(), "reaches `y`, where none should"),
        (lambda x, y: ((x.detach() - y.detach()) ** 2).mean(), "no gradient can flow"),
        (
            lambda x, y: ((2 * x.detach() - x - y.detach()) ** 2).mean(),
            "reaches `x` has the opposite sign",
        ),
        (lambda x, y: -squared(x, y), "opposite sign"),
        (lambda x, y: 2 * squared(x, y), "factor, 2"),
    ],
)
def test_a_wrong_gradient_is_told(wrong, said):
    assert said in differs("gradients", tensor(), squared, wrong, PAIR)


def test_the_part_of_a_tuple_is_told():
    form = several(first=tensor(), second=tensor())
    text = differs(
        "gradients",
        form,
        lambda x, y: (squared(x, y), squared(y, x)),
        lambda x, y: (squared(x, y), ((y - x) ** 2).mean()),
        PAIR,
    )
    assert "`second`" in text and "`x`" in text


def test_who_differentiates_by_himself_is_told():
    def own(x, y):
        loss = squared(x, y)
        loss.backward()
        return loss

    assert run(own, PAIR, "gradients").failure.tag == "own-backward"


# -------------------------------------------------------------------------------------- updates


def step(state, batch):
    loss = (state.net(batch.obs) ** 2).mean()
    state.optimizer.zero_grad()
    loss.backward()
    state.optimizer.step()
    return loss.detach()


def without_clearing(state, batch):
    loss = (state.net(batch.obs) ** 2).mean()
    loss.backward()
    state.optimizer.step()
    return float(loss)


def nothing(state, batch):
    return float((state.net(batch.obs) ** 2).mean())


def uphill(state, batch):
    loss = (state.net(batch.obs) ** 2).mean()
    state.optimizer.zero_grad()
    (-loss).backward()
    state.optimizer.step()
    return float(loss)


def moves_the_other(state, batch):
    with torch.no_grad():
        state.other.first.bias.add_(1)
    return step(state, batch)


def replaces(state, batch):
    loss = step(state, batch)
    state.net.first.bias = torch.nn.Parameter(state.net.first.bias.detach().clone())
    return loss


def shares(state, batch):
    loss = step(state, batch)
    with torch.no_grad():
        state.other.first.bias.data = state.net.first.bias.data
    return loss


@pytest.fixture
def agent(rng):
    parts = {"net": network(rng, "v", 3), "other": network(rng, "v", 3)}
    state = AgentState(parts | {"optimizer": Optimizer(["net"], 0.1)})
    return Case(
        "three", {"state": state, "batch": [transitions(rng, 5, 3, n_actions=2) for _ in range(3)]}
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (without_clearing, "`net` is not where it should be after call 1 of 3"),
        (nothing, "`net` has not moved after call 1"),
        (uphill, "the opposite way"),
        (moves_the_other, "`other` has moved after call 1 of 3, where it should have stayed"),
        (replaces, "replaced by another tensor"),
        (lambda s, b: 2 * step(s, b), "not the loss"),
    ],
)
def test_a_wrong_update_is_told(wrong, said, agent):
    assert said in differs("updates", loss_value(), step, wrong, agent)


def test_a_shared_memory_is_seen(agent):
    assert not run(shares, agent, "updates").value["own_memory"]
    assert run(step, agent, "updates").value["own_memory"]


def test_a_float_and_a_tensor_are_both_losses(agent):
    def as_float(state, batch):
        return step(state, batch).item()

    assert differs("updates", loss_value(), step, as_float, agent) == ""
    assert differs("updates", anything(), step, lambda s, b: [step(s, b)], agent) == ""


def test_the_global_generator_is_left_alone(agent):
    def noisy(state, batch):
        return step(state, batch) + torch.rand(())

    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first, second = (run(noisy, agent, "updates").value["returned"] for _ in range(2))
    assert [float(x.data) for x in first] == [float(x.data) for x in second]
    assert torch.rand(1) == expected
