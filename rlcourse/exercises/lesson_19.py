"""Lesson 19: Soft actor-critic with a learned temperature."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import combinations
from types import SimpleNamespace
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch.nn.functional import mse_loss

from rlcourse.checker.declaration import Exercise, Lesson, Mistake, figures, number, tensor
from rlcourse.checker.harness import Case
from rlcourse.checker.material import attached_too
from rlcourse.checker.networks import ATOL, RTOL, AgentState, Optimizer, network, transitions
from rlcourse.checker.networks import tensor as made
from rlcourse.continuous import sac
from rlcourse.continuous.agent import descend, frozen
from rlcourse.lab.networks import polyak_update

# ------------------------------------------------------------------------------------ sac_target


def _target_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, *tags, gamma=0.9, alpha=0.3, terminated=None, shift=0.0):
        d = rng.random(n) < 0.4 if terminated is None else np.full(n, terminated)
        if terminated is None and n > 1:
            d[:2] = True, False
        q1, q2, log_prob = rng.normal(size=(3, n)) * 2 + shift
        for given in (q1, q2, log_prob):  # what was computed at a terminal state is anybody's guess
            given[d] += 20 * rng.choice([-1.0, 1.0])
        reward = made(2 * rng.normal(size=n), grad=True)
        q1, q2, log_prob = (made(x, grad=True) for x in (q1, q2, log_prob))
        d = made(d.astype(np.float32))
        names = ("reward", "q1_next", "q2_next", "log_prob_next", "terminated", "gamma", "alpha")
        values = (reward, q1, q2, log_prob, d, gamma, alpha)
        return Case(name, dict(zip(names, values, strict=True)), tags)

    return [
        case("a batch of eight", 8),
        case("values all negative", 6, "negative values", shift=-15.0),
        case("one transition", 1, "B = 1", terminated=False),
        case("one transition, terminal", 1, "B = 1", terminated=True),
        case("α = 0", 6, "α = 0", alpha=0.0),
        case("α as a tensor", 6, "α as a tensor", alpha=made(np.array(0.7), grad=True)),
        case("a large α", 7, alpha=4.0),
        case("γ = 0", 5, "γ = 0", gamma=0.0),
        case("γ = 1", 5, "γ = 1", gamma=1.0),
        case("nothing terminates", 8, terminated=False),
    ]


def _target(critic=torch.minimum, bonus=-1.0, mask=True, discount=True, detach=True, apart=None):
    """The target with one thing changed; apart: where a bonus outside the bracket goes."""

    def sac_target(reward, q1_next, q2_next, log_prob_next, terminated, gamma, alpha):
        alive = (1 - terminated) if mask else 1.0
        gamma = gamma if discount else 1.0
        soft = bonus * alpha * log_prob_next
        value = critic(q1_next, q2_next)
        if apart == "undiscounted":
            y = reward + gamma * alive * value + alive * soft
        elif apart == "terminals":
            y = reward + gamma * alive * value + gamma * soft
        elif apart == "both":
            y = reward + gamma * alive * value + soft
        else:
            y = reward + gamma * alive * (value + soft)
        return y.detach() if detach else y

    return sac_target


_either = attached_too(_target)


def _rows_target(reward, q1_next, q2_next, log_prob_next, terminated, gamma, alpha):
    y = reward.detach().clone()
    for i in range(len(y)):
        if not terminated[i]:
            y[i] += gamma * (min(q1_next[i], q2_next[i]) - alpha * log_prob_next[i]).item()
    return y


def _target_under_no_grad(reward, q1_next, q2_next, log_prob_next, terminated, gamma, alpha):
    with torch.no_grad():
        q = torch.stack([q1_next, q2_next]).min(dim=0).values
        return reward + torch.where(terminated > 0, 0.0, gamma * (q - alpha * log_prob_next))


def _half_detached(*parts: int) -> Callable:
    """The right value, with only some of the arguments taken out of the graph."""

    def sac_target(*given):
        given = [
            x.detach() if i in parts and torch.is_tensor(x) else x for i, x in enumerate(given)
        ]
        return _target(detach=False)(*given)

    return sac_target


sac_target = Exercise(
    "sac_target",
    reference=sac.sac_target,
    cases=_target_cases,
    returns=tensor(),
    points=2,
    equation="(19.6)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "no-entropy",
            "Your target has no entropy term: this is TD3's. In (19.6) what follows in s′ is worth the "
            "smaller Q *and* the bonus for the randomness of ã′.",
            "Which two arguments of the function have you not used?",
            *_either(bonus=0.0),
        ),
        Mistake(
            "entropy-sign",
            "You add α log π. The bonus is α times the entropy, and the entropy is the mean of *minus* "
            "log π: as written, your agent is paid for being predictable.",
            "An unlikely action has a log π far below zero. Should it raise the target or lower it?",
            *_either(bonus=1.0),
        ),
        Mistake(
            "entropy-outside-the-mask",
            "The bonus stands outside the bracket of (19.6). It belongs to s′: it is discounted by γ "
            "like everything there, and after a terminal state there is no action to be random.",
            "What is the right target of a row with `terminated` = 1? And with γ = 0?",
            *_either(apart="undiscounted"),
            *_either(apart="terminals"),
            *_either(apart="both"),
        ),
        Mistake(
            "mean-of-critics",
            "You average the two critics. An average of two values that are too high is too high: the "
            "*smaller* one holds the overestimation down.",
            "What stands before $Q$ in (19.6), and what does lesson 15 say about it?",
            *_either(critic=lambda a, b: (a + b) / 2),
        ),
        Mistake(
            "max",
            "You take the larger of the two critics: that adds to the overestimation instead of holding "
            "it down.",
            "Which of the two would you trust, if both tend to be too high?",
            *_either(critic=torch.maximum),
        ),
        Mistake(
            "one-critic",
            "Only one of the two critics enters your target. In every row the smaller of the two counts, "
            "now the one and now the other.",
            "Change `q1_next` and `q2_next` in turn: does your result notice both?",
            *_either(critic=lambda a, b: a),
            *_either(critic=lambda a, b: b),
        ),
        Mistake(
            "min-over-the-batch",
            "You take one minimum over the whole batch, or one of the critics for all of it. Row i belongs to "
            "transition i: compare the two critics entry by entry.",
            "How many comparisons does your minimum make? It should be one a row.",
            *_either(critic=lambda a, b: torch.min(a.min(), b.min())),
            *_either(critic=lambda a, b: a if a.min() < b.min() else b),
            *_either(critic=lambda a, b: a if a.mean() < b.mean() else b),
        ),
        Mistake(
            "terminal-bootstrap",
            "Your target goes on through a terminal state. Nothing comes after it: neither a value nor a "
            "bonus, whatever numbers stand there.",
            "What is the right target for a row with `terminated` = 1? And what is yours?",
            *_either(mask=False),
        ),
        Mistake(
            "no-gamma",
            "What follows in s′ enters without γ. It comes one step later, so it counts γ of itself.",
            "Where does γ stand in (19.6), and what does it multiply?",
            *_either(discount=False),
        ),
        Mistake(
            "gradient-into-target",
            "The numbers are right, but a gradient can flow through your target. The critics should move "
            "towards it; as it is, it would also move towards them, and the policy with it.",
            "Take the finished target out of the graph: all of it, not one of its parts.",
            _target(detach=False),
            _half_detached(1, 2),
            _half_detached(3),
            _half_detached(1, 2, 3),
            _half_detached(0, 1, 2, 3),
            _half_detached(0, 3, 6),
        ),
    ],
    also_correct=[_rows_target, _target_under_no_grad],
)

# ------------------------------------------------------------------------------ temperature_loss


def _temperature_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, log_alpha, target, *tags, entropy=None):
        log_prob = rng.normal(size=n)
        if entropy is not None:
            log_prob += -entropy - log_prob.mean()
        inputs = {
            "log_alpha": made(np.array(float(log_alpha)), grad=True),
            "log_prob": made(log_prob, grad=True),
            "target_entropy": float(target),
        }
        return Case(name, inputs, tags)

    draw = rng.uniform
    return [
        case("too little entropy", 8, draw(-1.5, -0.5), -1.0, entropy=-3.0),
        case("too much entropy", 8, draw(-1.5, -0.5), -2.0, entropy=0.4),
        case("α = 1", 6, 0.0, -1.0, "α = 1", entropy=draw(-3, -2)),
        case("α above 1", 7, draw(0.5, 1.0), -3.0, entropy=-1.0),
        case("one row", 1, draw(-1.0, 1.0), -1.0, "B = 1", entropy=0.5),
        case("a positive target", 5, draw(-1.0, -0.2), 1.5, entropy=0.2),
        case("target 0", 5, draw(-1.0, -0.2), 0.0, entropy=1.0),
    ]


def _temperature(sign=-1.0, target=1.0, factor=torch.exp, detach=True, reduce=torch.mean):
    def temperature_loss(log_alpha, log_prob, target_entropy):
        log_prob = log_prob.detach() if detach else log_prob
        return sign * reduce(factor(log_alpha) * (log_prob + target * target_entropy))

    return temperature_loss


def _factors_and_detach(**parts) -> list[Callable]:
    """The mistake, made with α or log α as the factor, and with or without stopping the gradient."""
    ways = [(f, d) for f in (torch.exp, _identity) for d in (True, False)]
    return [_temperature(**parts, factor=f, detach=d) for f, d in ways]


def _alpha_item(log_alpha, log_prob, target_entropy):
    return -(log_alpha.exp().item() * (log_prob + target_entropy)).mean()


def _with_numbers(log_alpha, log_prob, target_entropy):
    shortfall = float(log_prob.mean()) + target_entropy
    return -log_alpha.exp() * shortfall


def _by_entropy(log_alpha, log_prob, target_entropy):
    with torch.no_grad():
        entropy = -log_prob.mean()
    return torch.exp(log_alpha) * (entropy - target_entropy)


def _identity(x):
    return x


temperature_loss = Exercise(
    "temperature_loss",
    reference=sac.temperature_loss,
    cases=_temperature_cases,
    returns=tensor(),
    points=2,
    equation="(19.15)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    variants=[_temperature(factor=_identity)],
    mistakes=[
        Mistake(
            "sign",
            "The sign is reversed: with too little entropy your α falls, and with too much it grows. "
            "Each step makes the next one worse.",
            "Take a policy with far too little entropy. In which direction must α move, and which sign "
            "has the gradient then?",
            *_factors_and_detach(sign=1.0),
        ),
        Mistake(
            "gradient-into-the-policy",
            "The value is right, but its gradient also reaches `log_prob`, and through it the policy. "
            "There, (19.15) would only change the entropy wherever that is cheap: the policy has its own "
            "loss.",
            "In J(α) the log-probabilities are numbers. Which of the two factors wants a gradient?",
            _temperature(detach=False),
            _temperature(detach=False, factor=_identity),
        ),
        Mistake(
            "target-sign",
            "You subtract the target where (19.15) adds it. log π is *minus* an entropy: its distance "
            "to the target is log π + H̄.",
            "If the entropy −log π equals the target exactly, what is the bracket? And yours?",
            *_factors_and_detach(target=-1.0),
            *_factors_and_detach(target=-1.0, sign=1.0),
        ),
        Mistake(
            "alpha-detached",
            "No gradient reaches `log_alpha`: α is a mere number in your loss, so it will never move.",
            "Which step on the way from `log_alpha` to the loss takes it out of the graph?",
            _temperature(factor=lambda x: x.detach().exp()),
            _temperature(factor=lambda x: x.detach().exp(), detach=False),
            lambda la, lp, t: _temperature()(la, lp, t).detach(),
            _alpha_item,
            _temperature(factor=lambda x: x.detach()),
            _temperature(factor=lambda x: x.detach(), detach=False),
        ),
        Mistake(
            "sum",
            "You add the rows up. J is an average over states: with a sum the step would grow with "
            "the batch.",
            "What should the loss of a batch be in which every row stands twice?",
            *_factors_and_detach(reduce=torch.sum),
        ),
        Mistake(
            "log-alpha-times-alpha",
            "You multiply by the exponential twice, or by `log_alpha` and α together. One factor stands "
            "before the bracket.",
            "How does α come from `log_alpha`, and how often does it occur in (19.15)?",
            _temperature(factor=lambda x: x * x.exp()),
            _temperature(factor=lambda x: x.exp().exp()),
            _temperature(factor=lambda x: x.exp().square()),
        ),
        Mistake(
            "no-target",
            "The target does not occur in your loss. Without it α does not know what to aim at.",
            "Which argument have you not used?",
            *_factors_and_detach(target=0.0),
        ),
    ],
    also_correct=[_with_numbers, _by_entropy],
)

# ------------------------------------------------------------------------ default_target_entropy


def _dim_cases(rng: np.random.Generator) -> list[Case]:
    dims = [1, 2, 3, 6, int(rng.integers(7, 30))]
    return [Case(f"act_dim = {n}", {"act_dim": n}) for n in dims]


default_target_entropy = Exercise(
    "default_target_entropy",
    reference=sac.default_target_entropy,
    cases=_dim_cases,
    returns=number(),
    points=1,
    equation="(19.18)",
    mistakes=[
        Mistake(
            "positive",
            "Your target is positive. More than log 2 ≈ 0.69 nats a dimension nobody has, on (−1, 1): "
            "the constraint could never be kept, and α would grow without end.",
            "Look at the sign in (19.18).",
            lambda act_dim: float(act_dim),
            lambda act_dim: act_dim,
        ),
        Mistake(
            "minus-one-always",
            "Your target is the same for any number of dimensions. The entropies of independent "
            "dimensions add up, so the target grows with them.",
            "What would −1 nat in all mean for an action of six numbers?",
            lambda act_dim: -1.0,
        ),
        Mistake(
            "log-of-dim",
            "You take a logarithm of the number of dimensions. That is the entropy of a choice among so "
            "many *things*; here are so many numbers, each with an entropy of its own.",
            "Entropies of independent parts add up. What do D parts of −1 nat make?",
            lambda act_dim: -float(np.log(act_dim)),
            lambda act_dim: float(np.log(act_dim)),
            lambda act_dim: -float(np.log(act_dim + 1)),
        ),
        Mistake(
            "uniform-entropy",
            "That is (plus or minus) the entropy of the uniform policy, the most random there is. The target is "
            "one nat below *zero* for each dimension.",
            "Compare (19.18) with the first of the landmarks above it.",
            lambda act_dim: act_dim * float(np.log(2)),
            lambda act_dim: -act_dim * float(np.log(2)),
        ),
    ],
    also_correct=[lambda act_dim: -act_dim, lambda act_dim: np.float64(-act_dim)],
)

# ------------------------------------------------------------------------------- sac_policy_loss


def _loss_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, alpha, *tags, shift=0.0):
        q1, q2 = rng.normal(size=(2, n)) * 2 + shift
        if n > 1:
            q1[0], q1[1] = q2[0] - 1.0, q2[1] + 1.0  # each critic is the smaller one somewhere
        inputs = {
            "q1": made(q1, grad=True),
            "q2": made(q2, grad=True),
            "log_prob": made(rng.normal(size=n), grad=True),
            "alpha": alpha,
        }
        return Case(name, inputs, tags)

    return [
        case("a batch of eight", 8, 0.3),
        case("values all negative", 6, 0.2, "negative values", shift=-12.0),
        case("one state", 1, 0.5, "B = 1"),
        case("α as a tensor", 6, made(np.array(0.7), grad=True), "α as a tensor"),
        case("α = 0", 5, 0.0, "α = 0"),
        case("a large α", 7, 3.0),
    ]


def _policy_loss(
    critic=torch.minimum, sign=1.0, entropy=1.0, detach=(), trained=False, mean=torch.mean
):
    def sac_policy_loss(q1, q2, log_prob, alpha):
        if not trained:
            alpha = torch.as_tensor(alpha).detach()
        q1, q2 = (x.detach() if "q" in detach else x for x in (q1, q2))
        log_prob = log_prob.detach() if "log_prob" in detach else log_prob
        return sign * mean(entropy * alpha * log_prob - critic(q1, q2))

    return sac_policy_loss


def _split_means(q1, q2, log_prob, alpha):
    alpha = float(alpha)
    return alpha * log_prob.mean() - torch.stack([q1, q2], dim=1).amin(dim=1).mean()


def _detached_whole(q1, q2, log_prob, alpha):
    return _policy_loss()(q1, q2, log_prob, alpha).detach()


def _where(q1, q2, log_prob, alpha):
    q = torch.where(q1 < q2, q1, q2)
    if torch.is_tensor(alpha):
        alpha = alpha.item()
    return -(q - alpha * log_prob).sum() / len(q)


def _average(a, b):
    return (a + b) / 2


sac_policy_loss = Exercise(
    "sac_policy_loss",
    reference=sac.sac_policy_loss,
    cases=_loss_cases,
    returns=tensor(),
    points=2,
    equation="(19.19)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "sign",
            "The sign is reversed: going down your loss makes Q small and the policy predictable.",
            "A loss is made small. Which of Q and log π should become small?",
            _policy_loss(sign=-1.0),
            _policy_loss(sign=-1.0, trained=True),
        ),
        Mistake(
            "entropy-sign",
            "The two terms have the same sign. The policy should make Q large and log π small.",
            "Read (19.19) again: what is subtracted from what?",
            _policy_loss(entropy=-1.0),
            _policy_loss(entropy=-1.0, trained=True),
            _policy_loss(entropy=-1.0, sign=-1.0),
            _policy_loss(entropy=-1.0, sign=-1.0, trained=True),
        ),
        Mistake(
            "sample-detached",
            "The value is right, but the gradient does not get through to the policy: Q, or log π, or both "
            "were taken out of the graph. The action is a function of θ, and Q and log π are functions of "
            "the action.",
            "What may be detached here, and what may not? Only one of the four arguments is a mere number.",
            *(
                _policy_loss(detach=parts, trained=trained)
                for parts in (("q",), ("log_prob",), ("q", "log_prob"))
                for trained in (False, True)
            ),
            _detached_whole,
        ),
        Mistake(
            "first-critic-only",
            "You listen to one critic only. TD3's actor does that; SAC's policy takes the smaller of the two, row "
            "by row.",
            "Which of the arguments have you not used?",
            _policy_loss(critic=lambda a, b: a),
            _policy_loss(critic=lambda a, b: b),
            _policy_loss(critic=lambda a, b: a, trained=True),
            _policy_loss(critic=lambda a, b: b, trained=True),
        ),
        Mistake(
            "mean-of-critics",
            "You average the two critics. (19.19) takes the smaller one in every row.",
            "Which function compares two tensors entry by entry?",
            _policy_loss(critic=_average),
            _policy_loss(critic=_average, trained=True),
        ),
        Mistake(
            "max",
            "You take the larger critic: the policy would climb whichever error is highest.",
            "What stands before Q in (19.19)?",
            _policy_loss(critic=torch.maximum),
            _policy_loss(critic=torch.maximum, trained=True),
        ),
        Mistake(
            "no-entropy",
            "The entropy term is missing: this is the loss of a deterministic actor, and the policy will "
            "shrink to one.",
            "Which two arguments have you not used?",
            _policy_loss(entropy=0.0),
        ),
        Mistake(
            "alpha-trained-here",
            "The value is right, but a gradient reaches `alpha`. This loss would drive α to wherever α log π is "
            "least; α has a loss of its own, (19.15).",
            "α may come as a number or as a tensor. How do you make sure that it is a mere number in both cases?",
            _policy_loss(trained=True),
        ),
        Mistake(
            "sum",
            "You add the rows up. (19.19) is a mean: with a sum the step would grow with the batch.",
            "What should the loss of a batch be in which every row stands twice?",
            _policy_loss(mean=torch.sum),
            _policy_loss(mean=torch.sum, trained=True),
        ),
    ],
    also_correct=[_split_means, _where],
)

# ------------------------------------------------------------------------------------ sac_update


def _update_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name, *tags, act_dim=2, n=6, calls=2, rho=0.9, log_alpha=-0.5, learned=True, target=None
    ):
        # In the order of the recipe: the first that is wrong is told.
        parts = {name: network(rng, "critic", 3 + act_dim) for name in ("critic1", "critic2")}
        parts["policy"] = network(rng, "gaussian", 3, act_dim)
        parts["log_alpha"] = made(np.array(log_alpha), grad=learned)
        for critic in ("critic1_targ", "critic2_targ"):
            parts[critic] = network(rng, "critic", 3 + act_dim)
        parts |= {
            "policy_optimizer": Optimizer(["policy"], 0.1),
            "critic_optimizer": Optimizer(["critic1", "critic2"], 0.1),
            "alpha_optimizer": Optimizer(["log_alpha"], 0.2) if learned else None,
            "target_entropy": float(-act_dim if target is None else target),
            "gamma": 0.9,
            "rho": rho,
        }
        noise, next_noise = rng.normal(size=(2, calls, n, act_dim))
        inputs = {
            "agent_state": AgentState(parts),
            "batch": [transitions(rng, n, 3, act_dim=act_dim) for _ in range(calls)],
            "noise": [made(x) for x in noise],
            "next_noise": [made(x) for x in next_noise],
        }
        return Case(name, inputs, tags)

    return [
        case("two steps, actions of two numbers"),
        case("three steps, actions of one number", "D = 1", act_dim=1, calls=3),
        case("slow copies that follow at once, α above 1", "ρ = 0", rho=0.0, log_alpha=0.6),
        case("slow copies that stay, a small α", "ρ = 1", rho=1.0, log_alpha=-1.5, target=-6.0),
        case("one transition", "B = 1", n=1),
        case("α fixed: `alpha_optimizer` is None", "`alpha_optimizer` is None", learned=False),
    ]


def _alpha(me):
    return me.log_alpha.detach().exp()


def _update(
    *,
    alpha_of: Callable = _alpha,
    noises: Callable = lambda noise, next_noise: (noise, next_noise),
    online_critics: bool = False,
    attached: bool = False,
    next_from: str = "next_obs",
    next_action: str | None = None,
    target: Callable = sac.sac_target,
    factor: float = 1.0,
    order: str = "critics, policy, temperature",
    judged: str | None = None,
    critics_move: str = "",
    policy_loss_of: Callable = sac.sac_policy_loss,
    temperature: Callable = sac.temperature_loss,
    again: bool = False,
    clear: tuple[str, ...] = ("critic", "policy", "alpha"),
    clear_after: bool = False,
    polyak: Callable = polyak_update,
) -> Callable:
    """The whole step, with one thing done otherwise.

    critics_move: how the policy's gradient moves them, "again" (added to their own) or "alone"; clear: whose gradients
    are cleared before a step; clear_after: after it instead.
    """

    def step(me, name, loss):
        optimizer = getattr(me, f"{name}_optimizer")
        if name in clear and not clear_after:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if clear_after:
            optimizer.zero_grad()

    def critics(me, batch, next_noise, alpha):
        with torch.set_grad_enabled(attached):
            a_next, log_prob_next = sac.squashed_action(
                me.policy, getattr(batch, next_from), next_noise
            )
            if next_action is not None:
                a_next = getattr(batch, next_action)
            slow = "" if online_critics else "_targ"
            q1_next = getattr(me, f"critic1{slow}")(batch.next_obs, a_next)
            q2_next = getattr(me, f"critic2{slow}")(batch.next_obs, a_next)
        y = target(batch.reward, q1_next, q2_next, log_prob_next, batch.terminated, me.gamma, alpha)
        loss = mse_loss(me.critic1(batch.obs, batch.action), y)
        step(me, "critic", factor * (loss + mse_loss(me.critic2(batch.obs, batch.action), y)))

    def policy(me, batch, noise, alpha):
        action, log_prob = sac.squashed_action(me.policy, batch.obs, noise)
        at = action if judged is None else getattr(batch, judged)
        q1, q2 = me.critic1(batch.obs, at), me.critic2(batch.obs, at)
        if critics_move == "alone":
            me.critic_optimizer.zero_grad()
        step(me, "policy", policy_loss_of(q1, q2, log_prob, alpha))
        if critics_move:
            me.critic_optimizer.step()
        return log_prob.detach()

    def learn_alpha(me, batch, noise, log_prob):
        if me.alpha_optimizer is None or temperature is None:
            return
        if log_prob is None:
            _, log_prob = sac.squashed_action(me.policy, batch.obs, noise)
        step(me, "alpha", temperature(me.log_alpha, log_prob, me.target_entropy))

    def sac_update(agent_state, batch, noise, next_noise):
        me = agent_state
        noise, next_noise = noises(noise, next_noise)
        alpha, log_prob = alpha_of(me), None
        for part in order.split(", "):
            if part == "critics":
                critics(me, batch, next_noise, alpha)
            elif part == "policy":
                log_prob = policy(me, batch, noise, alpha)
            else:
                learn_alpha(me, batch, noise, None if again else log_prob)
                alpha = alpha_of(me)
        polyak(me.critic1_targ, me.critic1, me.rho)
        polyak(me.critic2_targ, me.critic2, me.rho)
        return {"alpha": float(alpha)}

    return sac_update


def _joint(agent_state, batch, noise, next_noise):
    """Both losses added up, one backward pass, both optimisers: the critics climb their own value."""
    me, alpha = agent_state, _alpha(agent_state)
    with torch.no_grad():
        a_next, log_prob_next = sac.squashed_action(me.policy, batch.next_obs, next_noise)
        q1_next = me.critic1_targ(batch.next_obs, a_next)
        q2_next = me.critic2_targ(batch.next_obs, a_next)
    y = sac.sac_target(
        batch.reward, q1_next, q2_next, log_prob_next, batch.terminated, me.gamma, alpha
    )
    loss = mse_loss(me.critic1(batch.obs, batch.action), y)
    loss = loss + mse_loss(me.critic2(batch.obs, batch.action), y)
    action, log_prob = sac.squashed_action(me.policy, batch.obs, noise)
    q1, q2 = me.critic1(batch.obs, action), me.critic2(batch.obs, action)
    loss = loss + sac.sac_policy_loss(q1, q2, log_prob, alpha)
    me.critic_optimizer.zero_grad()
    me.policy_optimizer.zero_grad()
    loss.backward()
    me.critic_optimizer.step()
    me.policy_optimizer.step()
    if me.alpha_optimizer is not None:
        descend(me.alpha_optimizer, sac.temperature_loss(me.log_alpha, log_prob, me.target_entropy))
    polyak_update(me.critic1_targ, me.critic1, me.rho)
    polyak_update(me.critic2_targ, me.critic2, me.rho)
    return {"loss": loss.item()}


def _with_a_slow_policy() -> Callable:
    """The next action from a slow copy of the policy that the function keeps for itself."""
    kept: WeakKeyDictionary[torch.nn.Module, torch.nn.Module] = WeakKeyDictionary()

    def sac_update(agent_state, batch, noise, next_noise):
        me, online = agent_state, agent_state.policy
        slow = kept.setdefault(online, deepcopy(online))
        calls = iter([slow])

        class Switched(SimpleNamespace):
            """The state, whose policy is the slow one the first time it is asked for."""

            @property
            def policy(self):
                return next(calls, online)

        parts = {name: part for name, part in vars(me).items() if name != "policy"}
        figures = _update()(Switched(**parts), batch, noise, next_noise)
        polyak_update(slow, online, me.rho)
        return figures

    return sac_update


def _asked_for_a_slow_policy(_cases, outcomes) -> bool:
    failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
    return any(
        failure.type_name == "AttributeError"
        and any(name in failure.message for name in ("policy_targ", "actor_targ", "target_policy"))
        for failure in failures
    )


def _hard_copy(target, online, _rho):
    polyak_update(target, online, 0.0)


def _log_alpha_as_factor(log_alpha, log_prob, target_entropy):
    return -(log_alpha * (log_prob.detach() + target_entropy)).mean()


def _exp_of_alpha(log_alpha, log_prob, target_entropy):
    return sac.temperature_loss(log_alpha.exp(), log_prob, target_entropy)


def _written_out(agent_state, batch, noise, next_noise):
    """Nothing called but the networks and the density; one loss a critic; slow copies by hand."""
    s = agent_state
    with torch.no_grad():
        alpha = torch.exp(s.log_alpha).item()
        mean, log_std = s.policy(batch.next_obs)
        u = mean + log_std.exp() * next_noise
        log_prob_next = sac.squashed_log_prob(u, mean, log_std)
        q = torch.min(
            s.critic1_targ(batch.next_obs, u.tanh()), s.critic2_targ(batch.next_obs, u.tanh())
        )
        y = batch.reward + s.gamma * (1 - batch.terminated) * (q - alpha * log_prob_next)
    s.critic_optimizer.zero_grad()
    for critic in (s.critic1, s.critic2):
        ((critic(batch.obs, batch.action) - y) ** 2).mean().backward()
    s.critic_optimizer.step()
    with frozen(s.critic1, s.critic2):
        action, log_prob = sac.squashed_action(s.policy, batch.obs, noise)
        q = torch.min(s.critic1(batch.obs, action), s.critic2(batch.obs, action))
        policy_loss = (alpha * log_prob - q).mean()
        descend(s.policy_optimizer, policy_loss)
    with torch.no_grad():
        for slow, fast in ((s.critic1_targ, s.critic1), (s.critic2_targ, s.critic2)):
            for p, x in zip(slow.parameters(), fast.parameters(), strict=True):
                p.copy_(s.rho * p + (1 - s.rho) * x)
    if s.alpha_optimizer is not None:
        entropy = -log_prob.detach().mean()
        descend(s.alpha_optimizer, s.log_alpha.exp() * (entropy - s.target_entropy))
    return {"policy": policy_loss, "alpha": alpha}


sac_update = Exercise(
    "sac_update",
    reference=sac.sac_update,
    cases=_update_cases,
    returns=figures(),
    points=4,
    equation="(19.20)",
    call="updates",
    rtol=RTOL,
    atol=ATOL,
    variants=[_update(temperature=_log_alpha_as_factor)],
    mistakes=[
        Mistake(
            "target-policy-used",
            "You look for a slow copy of the policy, as TD3 has one. SAC has none: the next action is drawn "
            "from the policy of now.",
            "Which policy stands under the tilde in (19.6)?",
            _with_a_slow_policy(),
            shows=_asked_for_a_slow_policy,
        ),
        Mistake(
            "old-action-in-the-policy-loss",
            "In your policy's loss the critics judge an action that is no function of θ: `batch.action`, which somebody "
            "did long ago, or one that was detached. They say nothing to the policy, and only the entropy is left.",
            "At which action are Q and log π taken in (19.19)?",
            _update(judged="action"),
        ),
        Mistake(
            "old-action-in-the-target",
            "The action in your target is `batch.action`. That one was done in s; the target needs a fresh "
            "one, in s′.",
            "Where does ã′ come from in (19.6)?",
            _update(next_action="action"),
        ),
        Mistake(
            "next-action-drawn-in-s",
            "Your next action is drawn from the policy in s. It is what π does in s′.",
            "Which observations do you give to the policy for the target?",
            _update(next_from="obs"),
        ),
        Mistake(
            "online-critics-in-the-target",
            "Your target is built from the critics that are being trained: they chase their own tail.",
            "What does `targ` stand for in (19.6)?",
            _update(online_critics=True),
            _update(online_critics=True, attached=True, target=_target(detach=False)),
        ),
        Mistake(
            "critics-move-with-the-policy",
            "The critics move in the policy's step as well, and there they move so as to make *themselves* "
            "larger. They are judges: only (19.20) may move them.",
            "Which optimiser steps after which backward pass, and what was cleared before it?",
            _update(critics_move="again"),
            _update(critics_move="alone"),
            _joint,
        ),
        Mistake(
            "polyak-reversed",
            "ρ and 1 − ρ have changed places: the slow copies are nearly new after every step.",
            "ρ is near 1. What should a slow copy keep of itself?",
            _update(polyak=lambda target, online, rho: polyak_update(target, online, 1 - rho)),
        ),
        Mistake(
            "slow-copies-not-updated",
            "The slow copies of the critics never move: the target stays that of the first weights.",
            "What is the last line of the recipe?",
            _update(polyak=lambda *_: None),
        ),
        Mistake(
            "hard-copies",
            "The slow copies are made equal to the critics in every step: there is nothing slow about them.",
            "Where does `rho` enter?",
            _update(polyak=_hard_copy),
        ),
        Mistake(
            "noise-reused",
            "The same noise makes both actions. The one in s′ has `next_noise`, the one in s has `noise`.",
            "Which two arguments are random, and where is each of them used?",
            _update(noises=lambda noise, next_noise: (noise, noise)),
            _update(noises=lambda noise, next_noise: (next_noise, next_noise)),
        ),
        Mistake(
            "noise-exchanged",
            "The two noises have changed places: `next_noise` is for the action in s′.",
            "Which noise belongs to which observations?",
            _update(noises=lambda noise, next_noise: (next_noise, noise)),
        ),
        Mistake(
            "alpha-in-place-of-log-alpha",
            "α and its logarithm are mixed up. What the optimiser moves is log α, which may be negative; α is its "
            "exponential, and never is.",
            "Where in your step do you need α, and where log α? What does `temperature_loss` take?",
            _update(alpha_of=lambda me: me.log_alpha.detach().clone()),
            _update(temperature=_exp_of_alpha),
            _update(alpha_of=lambda me: me.log_alpha.detach().clone(), temperature=_exp_of_alpha),
            _update(
                alpha_of=lambda me: me.log_alpha.detach().clone(), temperature=_log_alpha_as_factor
            ),
        ),
        Mistake(
            "temperature-skipped",
            "α never moves: the third step is missing.",
            "Which optimiser of `agent_state` have you not used?",
            _update(temperature=None),
        ),
        Mistake(
            "temperature-reversed",
            "α moves the wrong way: it falls while there is too little entropy.",
            "Do you give `temperature_loss` the log-probabilities, or the entropies?",
            _update(temperature=lambda *a: -sac.temperature_loss(*a)),
            _update(temperature=lambda *a: -_log_alpha_as_factor(*a)),
        ),
        Mistake(
            "wrong-order",
            "The steps are not in the order of the recipe: critics, policy, temperature. The policy listens to "
            "critics that have just learned, and all of them use the α from before the step.",
            "Number your three backward passes, and compare with the recipe.",
            _update(order="policy, critics, temperature"),
            _update(order="temperature, critics, policy"),
            _update(order="critics, temperature, policy"),
        ),
        Mistake(
            "log-prob-drawn-again",
            "You evaluate the policy anew for the temperature, after it has moved. The log-probabilities of the "
            "policy's own step are asked for (and are free).",
            "Which log-probabilities do you have already?",
            _update(again=True),
        ),
        Mistake(
            "gradients-pile-up",
            "Gradients of earlier backward passes are still there when you step. The policy's loss leaves some in "
            "the critics, too.",
            "Before each of the three backward passes: who clears what?",
            *(
                _update(clear=some)
                for n in range(3)
                for some in combinations(("critic", "policy", "alpha"), n)
            ),
            _update(clear_after=True),
        ),
        Mistake(
            "half-the-loss",
            "Your critics' loss is half of (19.20): their step is half as long. Some papers write it with ½; here the "
            "mean squared errors are added as they are.",
            "Is there a ½ or a mean over the two critics in (19.20)?",
            _update(factor=0.5),
        ),
        Mistake(
            "first-critic-only",
            "Your policy listens to one critic. That is TD3; in (19.19) it is the smaller of the two.",
            "Did you use your own `sac_policy_loss`, and give it both critics?",
            _update(policy_loss_of=lambda q1, q2, lp, a: (a * lp - q1).mean()),
            _update(policy_loss_of=lambda q1, q2, lp, a: (a * lp - q2).mean()),
        ),
    ],
    also_correct=[_update(), _written_out],
)

LESSON = Lesson(
    "19",
    "Soft actor-critic with a learned temperature",
    [sac_target, temperature_loss, default_target_entropy, sac_policy_loss, sac_update],
    torch=True,
)
