"""Recipes of tensors and networks, and the reports of functions that use them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from rlcourse.checker.comparing import difference
from rlcourse.checker.declaration import (
    Exercise,
    Mistake,
    anything,
    loss_value,
    numbers,
    several,
    tensor,
)
from rlcourse.checker.following import following
from rlcourse.checker.harness import Case, run
from rlcourse.checker.judging import judge_exercise
from rlcourse.checker.networks import (
    ATOL,
    RTOL,
    AgentState,
    Network,
    Optimizer,
    SoftmaxTable,
    both_signs,
    network,
    transitions,
)
from rlcourse.checker.networks import tensor as leaf
from rlcourse.checker.plain import decode, encode
from rlcourse.checker.probes import Env, Rng, Shown


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


# ------------------------------------------------------------------ what is lent stays as it was


def judged(reference, answer, cases, returns, call=None, mistakes=()):
    """The verdict on `answer` of an exercise made for this test."""
    mock = Exercise(
        "f", reference, lambda rng: cases, returns, 1, "(13.1)", list(mistakes), call=call,
        rtol=RTOL, atol=ATOL,
    )  # fmt: skip
    return judge_exercise(answer, mock)


@pytest.fixture
def judges(rng):
    """An actor's loss through a critic that is only lent."""
    inputs = {"actor": network(rng, "actor", 3, 2), "critic": network(rng, "critic", 5)}
    return [Case("a batch", inputs | {"obs": leaf(rng.normal(size=(6, 3)))})]


def actor_loss(actor, critic, obs):
    for p in critic.parameters():
        p.requires_grad_(False)
    loss = -critic(obs, actor(obs)).mean()
    for p in critic.parameters():
        p.requires_grad_(True)
    return loss


def frozen_for_good(actor, critic, obs):
    for p in critic.parameters():
        p.requires_grad_(False)
    return -critic(obs, actor(obs)).mean()


def one_bias_frozen(actor, critic, obs):
    critic.last.bias.requires_grad_(False)
    return _with_detached_critic(actor, critic, obs)


def _with_detached_critic(actor, critic, obs):
    weights = {k: p.detach() for k, p in critic.named_parameters()}
    return -torch.func.functional_call(critic, weights, (obs, actor(obs))).mean()


@pytest.mark.parametrize("wrong", [frozen_for_good, one_bias_frozen])
def test_a_network_frozen_for_good_is_seen(wrong, judges):
    verdict = judged(actor_loss, wrong, judges, tensor(), "gradients")
    assert not verdict.ok and "wants no gradients any more" in verdict.explanation


@pytest.mark.parametrize("right", [actor_loss, _with_detached_critic])
def test_a_network_frozen_for_a_while_is_none(right, judges):
    assert judged(actor_loss, right, judges, tensor(), "gradients").ok


def test_slow_copies_may_be_frozen(rng):
    nets = {"q_net": network(rng, "q", 3, 2), "target_net": network(rng, "q", 3, 2)}
    case = Case("x", nets | {"obs": leaf(rng.normal(size=(4, 3)))})

    def loss(q_net, target_net, obs):
        target_net.requires_grad_(False)
        return ((q_net(obs) - target_net(obs)) ** 2).mean()

    assert run(loss, case, "gradients").value["frozen"] == []


def test_an_update_that_freezes_a_part_is_seen(agent):
    def freezes(state, batch):
        loss = step(state, batch)
        state.other.requires_grad_(False)
        return loss

    assert run(freezes, agent, "updates").value["frozen"] == ["other"]
    said = differs("updates", loss_value(), step, freezes, agent)
    assert "wants no gradients any more" in said


X = [Case("x", {"x": leaf([1.0, 2.0]), "batch": transitions(np.random.default_rng(0), 3, 2, act_dim=1)})]  # fmt: skip


def double(x, batch):
    return 2 * x


def switches_on(x, batch):
    x.requires_grad_(True)
    return 2 * x.detach()


def switches_on_in_a_batch(x, batch):
    batch.obs.requires_grad_(True)
    return 2 * x


@pytest.mark.parametrize(("wrong", "name"), [(switches_on, "x"), (switches_on_in_a_batch, "batch")])
@pytest.mark.parametrize("call", [None, "gradients"])
def test_requires_grad_switched_on_is_seen(wrong, name, call):
    assert run(wrong, X[0], call).changed == (f"{name}.requires_grad",)
    verdict = judged(double, wrong, X, tensor(), call)
    assert verdict.rung == "inputs" and f"`requires_grad` of `{name}`" in verdict.explanation


@pytest.fixture
def slopes(rng):
    """A slope by a network that is only lent, in a plain call."""
    inputs = {"q_function": network(rng, "v", 2), "a": leaf(rng.normal(size=(5, 2)), grad=True)}
    return [Case("five actions", inputs)]


def slope(q_function, a):
    own = a.detach().clone().requires_grad_()
    return torch.autograd.grad(q_function(own).sum(), own)[0]


def by_backward(q_function, a):
    own = a.detach().clone().requires_grad_()
    q_function(own).sum().backward()
    return own.grad


def by_backward_for_own(q_function, a):
    own = a.detach().clone().requires_grad_()
    q_function(own).sum().backward(inputs=[own])
    return own.grad


def through_the_callers_leaf(q_function, a):
    q_function(a).sum().backward(inputs=[a])
    return a.grad.clone()


def with_other_weights(q_function, a):
    found = slope(q_function, a)
    with torch.no_grad():
        q_function.last.bias.add_(1)
    return found


@pytest.mark.parametrize(
    ("wrong", "changed", "said"),
    [
        (by_backward, "q_function.grad", "gradients behind in `q_function`"),
        (through_the_callers_leaf, "a.grad", "gradients behind in `a`"),
        (with_other_weights, "q_function", "changes its argument `q_function`"),
    ],
)
def test_what_a_plain_call_leaves_behind_is_seen(wrong, changed, said, slopes):
    assert run(wrong, slopes[0]).changed == (changed,)
    assert said in judged(slope, wrong, slopes, numbers()).explanation


# ----------------------------------------------------------------- numbers, whatever their graph


def by_func_grad(q_function, a):
    return torch.func.grad(lambda x: q_function(x).sum())(a)


def by_vjp(q_function, a):
    values, pull = torch.func.vjp(q_function, a)
    return pull(torch.ones_like(values))[0]


def by_functional_call(q_function, a):
    weights = dict(q_function.named_parameters())
    return torch.func.grad(lambda x: torch.func.functional_call(q_function, weights, x).sum())(a)


@pytest.mark.parametrize("call", [None, "gradients"])
@pytest.mark.parametrize("right", [by_func_grad, by_vjp, by_functional_call, by_backward_for_own])
def test_numbers_are_right_whatever_their_graph(right, call, slopes):
    assert judged(slope, right, slopes, numbers(), call).ok

    def twice(f):
        return lambda *given: (f(*given), f(*given))

    form = several(first=numbers(), second=numbers())
    assert judged(twice(slope), twice(right), slopes, form, call).ok


def test_an_array_will_do_unless_a_tensor_is_asked_for(slopes):
    def as_array(q_function, a):
        return by_vjp(q_function, a).detach().numpy()

    assert judged(slope, as_array, slopes, numbers()).ok
    verdict = judged(slope, as_array, slopes, numbers(as_tensor=True))
    assert verdict.rung == "form" and "should be a tensor" in verdict.explanation


@pytest.mark.parametrize("made_up", [{"returned": 5}, {"value": 1, "gradients": 2}])
def test_a_made_up_report_is_a_wrong_form(made_up, slopes):
    assert judged(slope, lambda *given: made_up, slopes, numbers()).rung == "form"


def test_wrong_numbers_are_told_as_such_whatever_their_graph(slopes):
    for call in (None, "gradients"):
        verdict = judged(slope, lambda *given: -by_vjp(*given), slopes, numbers(), call)
        assert "opposite sign" in verdict.explanation


def test_of_a_tuple_the_graph_counts_where_it_is_asked_for(slopes):
    form = several(slope=numbers(), loss=tensor())

    def both(q_function, a):
        return slope(q_function, a), q_function(a).mean()

    def with_a_graph(q_function, a):
        return by_vjp(q_function, a), q_function(a).mean()

    def cut(q_function, a):
        return slope(q_function, a), q_function(a).mean().detach()

    for call in (None, "gradients"):
        assert judged(both, with_a_graph, slopes, form, call).ok
        assert "no gradient can flow" in judged(both, cut, slopes, form, call).explanation


def label(q_function, a):
    return q_function(a).detach()


def attached(q_function, a):
    return q_function(a)


def of_a_copy(q_function, a):
    own = leaf(a.detach().numpy(), grad=True).build({})
    weights = {k: p.detach() for k, p in q_function.named_parameters()}
    return torch.func.functional_call(q_function, weights, own)


@pytest.mark.parametrize("call", [None, "gradients"])
def test_a_label_that_must_be_detached_is_still_seen_attached(call, slopes):
    mistake = Mistake("attached", "why", "instead", attached)
    verdict = judged(label, attached, slopes, tensor(), call, [mistake])
    assert verdict.mistake == "attached"
    # A graph that ends in what the answer made itself reaches nobody.
    assert judged(label, of_a_copy, slopes, tensor(), call, [mistake]).ok


# ----------------------------------------------------------------------- a sample with its graph


def score(a, mean, log_std, q):
    """Williams 1992: a and q are data, whatever hangs on them."""
    var = (2 * log_std.detach()).exp()
    a, mean, q = a.detach(), mean.detach(), q.detach()[:, None]
    return q * (a - mean) / var, q * ((a - mean) ** 2 / var - 1)


def score_by_autograd(through, q_too=False):
    def f(a, mean, log_std, q):
        a, q = (a if through else a.detach()), (q if q_too else q.detach())
        z = (a - mean) / log_std.exp()
        log_pi = (-(z**2) / 2 - log_std).sum(dim=1)
        return torch.autograd.grad((log_pi * q).sum(), (mean, log_std), retain_graph=True)

    return f


def moves_the_sample(a, mean, log_std, q):
    found = score(a, mean, log_std, q)
    a.sub_(mean)
    return found


def sampled(rng, q):
    wide = [leaf(rng.normal(size=(5, 2)), grad=True) for _ in range(2)]
    names = {"noise": leaf(rng.normal(size=(5, 2))), "mean": wide[0], "log_std": wide[1]}
    return Case("five samples", names | {"q": q})


SCORES = several(for_mean=numbers(), for_log_std=numbers())


def test_a_sample_comes_with_the_graph_that_made_it(rng):
    cases = [sampled(rng, leaf(rng.normal(size=5))), sampled(rng, network(rng, "v", 2))]
    assert judged(score, score_by_autograd(False), cases, SCORES, "with_sample").ok
    for wrong in (score_by_autograd(True), score_by_autograd(False, q_too=True)):
        verdict = judged(score, wrong, cases, SCORES, "with_sample")
        assert verdict.rung == "values"
    moved = judged(score, moves_the_sample, cases, SCORES, "with_sample")
    assert "`a` was changed in place" in moved.explanation


def test_a_gradient_through_the_sample_is_reported(rng):
    case = sampled(rng, leaf(rng.normal(size=5)))
    report = run(lambda a, mean, log_std, q: a.sum(), case, "with_sample").value
    noise, log_std = case.inputs["noise"].data, case.inputs["log_std"].data
    np.testing.assert_allclose(report["gradients"][0]["mean"], 1)
    expected = (noise * np.exp(log_std)).ravel()
    np.testing.assert_allclose(report["gradients"][0]["log_std"], expected, rtol=1e-5)


# ------------------------------------------------------------------------------ values' signs


@pytest.mark.parametrize("kind", ["q", "v", "critic"])
def test_values_of_small_networks_have_both_signs(kind):
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        net = network(rng, kind, 4, 3 if kind == "q" else 1)
        x = torch.from_numpy(rng.normal(size=(8, 4)).astype(np.float32))
        out = net.build({})(*((x[:, :2], x[:, 2:]) if kind == "critic" else (x,)))
        best = out.amax(dim=1) if kind == "q" else out
        found.append(0 < int((best > 0).sum()) < 8)
    assert sum(found) >= 37


def test_both_signs_on_a_batch(rng):
    for _ in range(20):
        obs, action = rng.normal(size=(4, 3)) + 2, rng.uniform(-1, 1, size=(4, 2))
        net = both_signs(network(rng, "critic", 5), obs, action).build({})
        given = (torch.from_numpy(x.astype(np.float32)) for x in (obs, action))
        out = net(*given)
        assert out.min() < 0 < out.max()


def target(reward, terminated, critic_targ, next_obs, next_action):
    return (reward + 0.9 * (1 - terminated) * critic_targ(next_obs, next_action)).detach()


def clipped_target(reward, terminated, critic_targ, next_obs, next_action):
    value = critic_targ(next_obs, next_action).clamp(min=0)
    return (reward + 0.9 * (1 - terminated) * value).detach()


def pessimist(reward, terminated, critic_targ, next_obs, next_action):
    value = critic_targ(next_obs, next_action).clamp(max=0)
    return (reward + 0.9 * (1 - terminated) * value).detach()


def _targets(rng, n, made_for_the_batch):
    row, critic = transitions(rng, n, 3, act_dim=2), network(rng, "critic", 5)
    if made_for_the_batch:
        alive = row.terminated == 0
        critic = both_signs(critic, row.next_obs[alive], row.action[alive])
    inputs = {"reward": leaf(row.reward), "terminated": leaf(row.terminated)}
    inputs |= {"critic_targ": critic, "next_obs": leaf(row.next_obs)}
    return Case(f"{n} rows", inputs | {"next_action": leaf(row.action)})


@pytest.mark.parametrize("made_for_the_batch", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_a_target_clipped_at_zero_fails(seed, made_for_the_batch):
    rng = np.random.default_rng(seed)
    sizes = [5] if made_for_the_batch else [8, 12, 6]
    cases = [_targets(rng, n, made_for_the_batch) for n in sizes]
    for wrong in (clipped_target, pessimist):
        assert not judged(target, wrong, cases, tensor(), "gradients").ok


# ----------------------------------------------------------- an average within a larger update


def follow(slow, fast, rho):
    with torch.no_grad():
        for p, o in zip(slow.parameters(), fast.parameters(), strict=True):
            p.lerp_(o, 1 - rho)


def whole_update(share=lambda rho: rho, leader="net", first=False, move=follow):
    """One step of a network, and the slow copy that follows it."""

    def update(state, batch):
        if first:
            move(state.net_targ, getattr(state, leader), share(state.rho))
        loss = step(state, batch)
        if not first:
            move(state.net_targ, getattr(state, leader), share(state.rho))
        return loss

    return update


def adds(slow, fast, rho):
    with torch.no_grad():
        for p, o in zip(slow.parameters(), fast.parameters(), strict=True):
            p.add_(o, alpha=1 - rho)


@pytest.fixture
def slow_copy(rng):
    parts = {k: network(rng, "v", 3) for k in ("net", "other", "net_targ")}
    state = AgentState(parts | {"optimizer": Optimizer(["net"], 0.1), "rho": 0.8})
    batches = [transitions(rng, 5, 3, n_actions=2) for _ in range(2)]
    return Case("two", {"state": state, "batch": batches})


def test_how_a_slow_copy_follows_is_read_off_its_weights(slow_copy):
    weights = run(whole_update(), slow_copy, "updates").value["weights"]
    found = following(weights, "net_targ", 2)
    assert (found.towards, found.fresh) == ("net", True) and found.share == pytest.approx(0.2, 1e-3)
    assert following(weights, "net") is None and following(weights, "other") is None
    early = run(whole_update(first=True), slow_copy, "updates").value["weights"]
    assert following(early, "net_targ").fresh is False


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (whole_update(share=lambda rho: 1 - rho), "two weights of the average exchanged"),
        (whole_update(leader="other"), "follows `other`"),
        (whole_update(first=True), "`net` had before its step"),
        (whole_update(share=lambda rho: 0.99), "not far enough"),
        (whole_update(share=lambda rho: 0.0), "too far"),
        (whole_update(move=adds), "does not go along the line to `net`"),
        (whole_update(move=lambda *_: None), "`net_targ` has not moved"),
    ],
)
def test_an_average_that_is_private_to_an_update_is_told(wrong, said, slow_copy):
    assert said in differs("updates", loss_value(), whole_update(), wrong, slow_copy)


def test_networks_in_a_list_are_watched(rng):
    parts = {"critics": [network(rng, "v", 3), network(rng, "v", 3)], "net": network(rng, "v", 3)}
    state = AgentState(parts | {"optimizer": Optimizer(["net"], 0.1)})
    case = Case("x", {"state": state, "batch": transitions(rng, 5, 3, n_actions=2)})

    def moves_a_critic(state, batch):
        with torch.no_grad():
            state.critics[1].last.bias.add_(1)
        return step(state, batch)

    said = differs("updates", loss_value(), step, moves_a_critic, case)
    assert "`critics[1]` has moved" in said


# ------------------------------------------------------------------------- training, and acting


@pytest.mark.parametrize(
    ("order", "steps", "stepped_first"),
    [
        (["clear", "gradient", "step"], 1, 0),
        (["clear", "gradient"], 0, 0),
        (["clear", "step", "gradient"], 1, 1),
        (["gradient", "clear", "step"], 1, 0),
    ],
)
@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam"])
def test_of_a_training_step_the_order_is_noted(order, steps, stepped_first, kind, rng):
    def function(net, optimizer, x, y):
        loss = ((net(x)[:, 0] - y) ** 2).mean()
        moves = {"clear": optimizer.zero_grad, "gradient": loss.backward, "step": optimizer.step}
        for what in order:
            moves[what]()
        return loss.item()

    state = AgentState({"net": network(rng, "q", 2, 1), "optimizer": Optimizer(["net"], 0.1, kind)})
    inputs = {
        "state": state,
        "x": [leaf(rng.normal(size=(4, 2)))],
        "y": [leaf(rng.normal(size=4))],
    }
    outcome = run(function, Case("c", decode(encode(inputs))), "fitting")
    assert outcome.failure is None
    assert (outcome.notes["steps"], outcome.notes["stepped_first"]) == (steps, stepped_first)
    before, after = outcome.value["weights"]["net"]
    assert (before != after).any() == (order == ["clear", "gradient", "step"])


def shown_world(rng):
    ends = np.zeros((3, 2))
    ends[1] = 1  # 0 → 1 → 2, and the step to 2 is terminal
    P = np.zeros((3, 2, 3))
    P[np.arange(3), :, np.minimum(np.arange(3) + 1, 2)] = 1
    world = Env(P, rng.normal(size=(3, 2)), ends, np.array([1.0, 0, 0]), None, 0)
    agent = AgentState({"q_net": network(rng, "q", 2, 2), "epsilon": 0.5})
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    return {"env": Shown(world, rows), "agent": agent, "calls": 3, "rng": Rng(0)}


def test_what_a_step_of_play_stores_and_shows_is_reported(rng):
    def function(env, agent, buffer, rng):
        obs, action = agent.obs, int(rng.integers(2))
        next_obs, reward, terminated, truncated, _ = env.step(action)
        buffer.add(obs, action, reward, next_obs, terminated)
        next_obs += 100  # whoever stores must have copied
        agent.obs = env.reset()[0] if terminated else env.rows[1].copy()
        return reward, terminated or truncated

    outcome = run(function, Case("c", decode(encode(shown_world(rng)))), "playing")
    assert outcome.failure is None
    stored = outcome.value["stored"]
    assert [x.tolist() for x in stored["obs"]] == [[0, 1], [2, 3], [0, 1]]
    assert [x.tolist() for x in stored["next_obs"]] == [[2, 3], [4, 5], [2, 3]]
    assert stored["terminated"] == [False, True, False]
    assert [over for _, over in outcome.value["returned"]] == [False, True, False]
    assert [x.tolist() for x in outcome.value["shown"]] == [[2, 3], [0, 1], [2, 3]]
    assert outcome.notes["resets"] == 2 and outcome.notes["steps"] == 3
    assert not outcome.value["gradients_left"]


@pytest.mark.parametrize(
    ("action", "tag"),
    [(1.0, "bad-action"), (torch.tensor(1), "bad-action"), (True, "bad-action"), (2, "bad-action"),
     (1, ""), (np.int64(1), ""), (np.array(1), "")],
)  # fmt: skip
def test_an_environment_that_shows_rows_takes_integers_only(action, tag, rng):
    def function(env, agent, buffer, rng):
        env.reset()
        env.step(action)
        return 0.0, False

    failure = run(function, Case("c", shown_world(rng)), "playing").failure
    assert (failure.tag if failure else "") == tag
