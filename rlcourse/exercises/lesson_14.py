"""Lesson 14: DDPG."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from torch.nn.functional import mse_loss, smooth_l1_loss

from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    composable,
    figures,
    numbers,
    row_of,
)
from rlcourse.checker.declaration import tensor as tensor_form
from rlcourse.checker.harness import Case
from rlcourse.checker.networks import (
    ATOL,
    RTOL,
    AgentState,
    Network,
    Optimizer,
    Transitions,
    both_signs,
    network,
    tensor,
    transitions,
)
from rlcourse.continuous import agent, ddpg, noise
from rlcourse.exercises.network_targets import (
    NOT_REDUCED,
    REWARD_MASKED,
    target_mistakes,
    td_target,
)
from rlcourse.lab.networks import polyak_update

# ------------------------------------------------------------------------------- ddpg_actor_loss


def _critic_of(rng, obs: np.ndarray, actor: Network) -> Network:
    """A critic whose values at the actor's own actions have both signs, where there are two rows or more."""
    with torch.no_grad():
        action = actor.build(Counter())(torch.from_numpy(obs)).numpy()
    critic = network(rng, "critic", obs.shape[1] + action.shape[1])
    return both_signs(critic, obs, action) if len(obs) > 1 else critic


def _loss_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, obs_dim, act_dim, *tags) -> Case:
        actor = network(rng, "actor", obs_dim, act_dim)
        obs = rng.normal(size=(n, obs_dim)).astype(np.float32)
        critic = _critic_of(rng, obs, actor)
        return Case(name, {"actor": actor, "critic": critic, "obs": tensor(obs)}, tags)

    return [
        case("a batch of six", 6, 3, 2),
        case("as many rows as dimensions", 3, 3, 3, "B = D"),
        case("one row", 1, 4, 2, "B = 1"),
        case("one action", 7, 2, 1, "D = 1"),
        case("a batch of twenty", 20, 3, 2),
    ]


_REDUCE: dict[str, Callable] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "max": torch.max,
    "min": torch.min,
    "none": lambda x: x,
    "mean, over B": lambda x: x.mean() / len(x),
    "square": lambda x: (x**2).mean(),
}


def _held(critic: Callable) -> Callable:
    """The critic with its weights as numbers: gradients go through, and reach none of its weights."""
    weights = {k: p.detach() for k, p in critic.named_parameters()}
    return lambda *given: torch.func.functional_call(critic, weights, given)


@composable
def _actor_loss(
    sign: float = -1.0,
    reduce: str = "mean",
    critic_held: bool = True,
    path: str = "through",
    left: str = "as they were",
) -> Callable:
    """The loss with its parts exchangeable.

    path: "through" the critic into the action; "action" or "answer" cut off; "value" for value times action,
    "actions" for the action alone. left: the critic's flags afterwards.
    """

    def ddpg_actor_loss(actor, critic, obs):
        judge = _held(critic) if critic_held else critic
        mu = actor(obs)
        if path == "action":
            q = judge(obs, mu.detach())
        elif path == "answer":
            q = judge(obs, mu).detach()
        elif path == "value":
            q = judge(obs, mu).detach() * mu.sum(dim=-1)
        elif path == "actions":
            q = mu.sum(dim=-1)
        else:
            q = judge(obs, mu)
        out = sign * _REDUCE[reduce](q)
        if left == "frozen":
            for p in critic.parameters():
                p.requires_grad_(False)
        return out

    return ddpg_actor_loss


def _frozen_first(put_back: bool) -> Callable:
    def ddpg_actor_loss(actor, critic, obs):
        flags = [p.requires_grad for p in critic.parameters()]
        for p in critic.parameters():
            p.requires_grad_(False)
        loss = -critic(obs, actor(obs)).mean()
        if put_back:
            for p, flag in zip(critic.parameters(), flags, strict=True):
                p.requires_grad_(flag)
        return loss

    return ddpg_actor_loss


def _slope_as_a_constant(actor, critic, obs):
    """Right: the value of the loss, and its gradient by the slope of Q."""
    mu = actor(obs)
    leaf = mu.detach().requires_grad_()
    q = critic(obs, leaf)
    (slope,) = torch.autograd.grad(q.sum(), leaf)
    path = (slope * mu).sum() / len(obs)
    return -(q.mean().detach() + path - path.detach())


ddpg_actor_loss = Exercise(
    "ddpg_actor_loss",
    reference=ddpg.ddpg_actor_loss,
    cases=_loss_cases,
    returns=tensor_form(),
    points=2,
    equation="(14.5)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "sign",
            "Your loss is the value itself. An optimiser descends: it would look for the worst action.",
            "Which sign stands before the sum in (14.5)?",
            _actor_loss(sign=1.0),
            _actor_loss(sign=1.0, critic_held=False),
        ),
        Mistake(
            "critic-gets-gradients",
            "The number is right, but its gradient reaches the critic's weights too. The critic judges; with this "
            "gradient it would learn to flatter.",
            "For whose weights would `backward()` of your loss leave something in `.grad`?",
            _actor_loss(critic_held=False),
        ),
        Mistake(
            "action-detached",
            "No gradient arrives at the actor: the action, or the critic's answer, is cut off. Holding the critic's "
            "*weights* fixed is not switching off gradients: they must run through it to the action.",
            "Follow the path from θ to Q. Where does it break?",
            _actor_loss(path="action"),
            _actor_loss(path="action", critic_held=False),
            _actor_loss(path="answer"),
        ),
        Mistake(
            "sum",
            "The batch is divided by B not at all, or twice. (14.5) is a mean: otherwise the step would grow with the "
            "batch.",
            "What should happen to your loss if every state comes twice in the batch? Nothing.",
            _actor_loss(reduce="sum"),
            _actor_loss(reduce="sum", critic_held=False),
            _actor_loss(reduce="mean, over B"),
        ),
        Mistake(
            "value-times-action",
            "You multiply the action with Q's *value*. That pushes every action upwards where Q is large; the slope of Q "
            "says which way.",
            "What happens to your gradient if 100 is added to Q? Nothing should.",
            _actor_loss(path="value"),
        ),
        Mistake(
            "critic-frozen-for-good",
            "The critic's weights want no gradients any more when you are done: whoever trains it next gets nothing.",
            "What did `requires_grad` say before your call? Put it back.",
            _actor_loss(left="frozen"),
            _frozen_first(put_back=False),
        ),
        Mistake(
            "best-of-the-batch",
            "You take the largest or smallest value of the batch. Every state's action is to become better.",
            "How many states does the sum in (14.5) run over?",
            _actor_loss(reduce="max"),
            _actor_loss(reduce="min"),
            _actor_loss(reduce="max", critic_held=False),
            _actor_loss(reduce="min", critic_held=False),
        ),
        Mistake(
            "critic-forgotten",
            "The critic does not enter: your loss pushes every action up, whatever it is worth.",
            "Which argument of the function have you not used?",
            _actor_loss(path="actions"),
        ),
        Mistake("not-reduced", *NOT_REDUCED, _actor_loss(reduce="none")),
    ],
    also_correct=[
        _actor_loss(),
        _frozen_first(put_back=True),
        lambda actor, critic, obs: -deepcopy(critic).requires_grad_(False)(obs, actor(obs)).mean(),
        _slope_as_a_constant,
    ],
)  # fmt: skip

# ----------------------------------------------------------------------------------- ddpg_target


def _target_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, gamma, *tags, obs_dim=3, act_dim=2, **more) -> Case:
        batch: Transitions = transitions(rng, n, obs_dim, act_dim=act_dim, **more)
        actor = network(rng, "actor", obs_dim, act_dim)
        living = batch.next_obs[batch.terminated == 0]
        asked = living if len(living) > 1 else batch.next_obs
        inputs = {"actor_targ": actor, "critic_targ": _critic_of(rng, asked, actor)}
        return Case(name, inputs | {"batch": batch, "gamma": gamma}, tags)

    return [
        case("a batch of eight", 8, 0.98),
        case("γ = ½", 9, 0.5, act_dim=1),
        case("as many rows as dimensions", 3, 0.9, "B = D", act_dim=3),
        case("nothing terminates", 6, 0.97, terminated=[0] * 6),
        case("everything terminates", 5, 0.97, "terminated rows", terminated=[1] * 5),
        case("one transition", 1, 0.9, "B = 1", terminated=[0]),
        case("one transition, terminal", 1, 0.9, "B = 1", "terminated rows", terminated=[1]),
        case("γ = 0", 6, 0.0, "γ = 0"),
        case("γ = 1", 6, 1.0, "γ = 1"),
        case("large rewards", 6, 0.9, scale=8.0),
    ]


@composable
def _target(
    mask: str = "next",
    discount: str = "next",
    detach: str = "both",
    acts_at: str = "next_obs",
    judged_at: str = "next_obs",
    action: str = "mu",
    reward: float = 1.0,
    clip: str = "",
) -> Callable:
    """y with its parts exchangeable; detach: "both", "actor", "critic" or "none" are kept out of the graph."""

    def ddpg_target(actor_targ, critic_targ, batch, gamma):
        mu = actor_targ(getattr(batch, acts_at)) if action == "mu" else batch.action
        mu = mu.detach() if detach in ("both", "actor") else mu
        judge = critic_targ if detach in ("none", "actor") else _held(critic_targ)
        q = judge(getattr(batch, judged_at), mu)
        q = q.detach() if detach == "both" else q
        q = {"above": q.clamp(min=0), "below": q.clamp(max=0)}.get(clip, q)
        return td_target(reward * batch.reward, q, batch.terminated, gamma, mask, discount)

    return ddpg_target


def _living_rows(actor_targ, critic_targ, batch, gamma):
    y, alive = batch.reward.clone(), batch.terminated == 0
    if alive.any():
        s = batch.next_obs[alive]
        with torch.no_grad():
            y[alive] += gamma * critic_targ(s, actor_targ(s))
    return y


@torch.no_grad()
def _under_no_grad(actor_targ, critic_targ, batch, gamma):
    q = critic_targ(batch.next_obs, actor_targ(batch.next_obs))
    return batch.reward + gamma * torch.where(batch.terminated > 0.5, torch.zeros_like(q), q)


ddpg_target = Exercise(
    "ddpg_target",
    reference=ddpg.ddpg_target,
    cases=_target_cases,
    returns=tensor_form(),
    points=2,
    equation="(14.6)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "terminal-bootstrap",
            "Your target looks ahead where the episode has ended: (1 − d) is left out, or the wrong way round. After a "
            "terminal state nothing is left to come, whatever the critic says there.",
            "What is the right target for a row with `terminated` = 1? And what is yours?",
            *(_target(mask=m, detach=d) for m in ("nothing", "inverted") for d in ("both", "none")),
        ),
        Mistake("masks-reward", *REWARD_MASKED, *(_target(mask="all", detach=d) for d in ("both", "none"))),
        Mistake(
            "no-gamma",
            "γ does not stand where it should: the next value lies one step ahead, and the reward does not.",
            "How often does γ stand in (14.6), and before what?",
            *(_target(discount=x, detach=d) for x in ("nothing", "all") for d in ("both", "none")),
        ),
        Mistake(
            "reward-forgotten",
            "The reward is missing. A Bellman target begins with what was just paid.",
            "Which field of `batch` have you not used?",
            *(_target(reward=0.0, detach=d) for d in ("both", "none")),
        ),
        Mistake(
            "wrong-state",
            "A network is asked at s. Both are asked at s′: the action that will be taken *there*.",
            "Which observations do you give to the actor, and which to the critic?",
            *(_target(acts_at=a, judged_at=j) for a, j in (("obs", "next_obs"), ("next_obs", "obs"), ("obs", "obs"))),
            _target(acts_at="obs", judged_at="obs", detach="none"),
        ),
        Mistake(
            "replayed-action",
            "You ask for the value of `batch.action`. It was chosen in s, by an older policy; the target asks what the "
            "slow actor would do in s′.",
            "Which network says what is done in s′?",
            _target(action="replayed"),
            _target(action="replayed", judged_at="obs"),
            _target(action="replayed", detach="none"),
        ),
        Mistake(
            "gradient-into-target",
            "The numbers are right, but a gradient flows through your target into the networks that made it. A target is "
            "a label: it stands still while the critic moves.",
            "How do you tell torch that a tensor is a mere number from here on?",
            *(_target(detach=d) for d in ("none", "actor", "critic")),
        ),
        Mistake(
            "cut-off-at-0",
            "You cut the next value off at 0. Values may have either sign.",
            "What is the target for γ = 1, r = 0 and a next value of −5? And for +5?",
            _target(clip="above"),
            _target(clip="below"),
        ),
    ],
    also_correct=[
        _target(),
        _living_rows,
        _under_no_grad,
        lambda actor, critic, b, g: (
            b.reward
            + g * (1 - b.terminated) * critic(b.next_obs, actor(b.next_obs))
        ).detach(),
    ],
)  # fmt: skip

# ---------------------------------------------------------------------------------- scale_action


def _bounds(low, high, as_tensor: bool) -> dict:
    """Bounds as floats where they are single numbers, else as tensors or arrays (D,)."""
    made = {}
    for name, x in (("low", low), ("high", high)):
        x = np.asarray(x, float)
        made[name] = float(x) if x.ndim == 0 else (tensor(x) if as_tensor else x)
    return made


# The boxes of both exercises: name, low, high, D.
_BOXES = (
    ("the box of Pendulum, ±2", -2.0, 2.0, 1, ()),
    ("from 0 to 5", 0.0, 5.0, 2, ("not symmetric",)),
    ("a box that differs by dimension", [-1.0, 0.5, -7.0], [0.2, 2.5, -3.0], 3, ("differs by dimension",)),
    ("a box far from 0", [0.5], [2.5], 1, ("not symmetric",)),
    ("a wide box and a narrow one", [-200.0, -0.01], [200.0, 0.01], 2, ("differs by dimension",)),
)  # fmt: skip


def _scale_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, low, high, dims, tags=(), as_tensor=True, row=False) -> Case:
        a = rng.uniform(-0.98, 0.98, size=(n, dims))
        a[0] = rng.choice([-1.0, 1.0], size=dims)
        a = a[-1] if row else a
        given = {"action": tensor(a) if as_tensor else a} | _bounds(low, high, as_tensor)
        return Case(name, given, tuple(tags))

    return [
        *(case(name, 5, low, high, d, tags) for name, low, high, d, tags in _BOXES),
        *(case(f"{name}, in arrays", 4, low, high, d, tags, as_tensor=False)
          for name, low, high, d, tags in _BOXES[1:3]),
        case("as many rows as dimensions", 3, [-1.0, 0.5, -7.0], [0.2, 2.5, -3.0], 3, ("B = D", "differs by dimension")),
        case("one action alone", 2, [-1.0, 2.0], [3.0, 2.5], 2, ("(D,)", "differs by dimension"), row=True),
        case("one row", 1, [-1.0, 2.0], [3.0, 2.5], 2, ("B = 1", "differs by dimension")),
    ]  # fmt: skip


def _one(bounds: str) -> Callable:
    """One lowest and one highest number for all dimensions."""

    def of(low, high):
        low, high = (torch.as_tensor(x, dtype=torch.float64).reshape(-1) for x in (low, high))
        pair = {
            "first": (low[0], high[0]),
            "last": (low[-1], high[-1]),
            "outermost": (low.min(), high.max()),
            "innermost": (low.max(), high.min()),
            "mean": (low.mean(), high.mean()),
        }[bounds]
        return tuple(map(float, pair))

    return of


_ONE_BOUND = ("first", "last", "outermost", "innermost", "mean")


def _squash(a):
    return torch.tanh(torch.as_tensor(a))


_SCALES: dict[str, Callable] = {
    "right": lambda a, low, high: 0.5 * (low + high) + 0.5 * (high - low) * a,
    "as it is": lambda a, low, high: a * 1.0,
    "clipped": lambda a, low, high: (a * 1.0).clip(low, high),
    "times high": lambda a, low, high: a * high,
    "times high, clipped": lambda a, low, high: (a * high).clip(low, high),
    "no middle": lambda a, low, high: 0.5 * (high - low) * a,
    "no middle, clipped": lambda a, low, high: (0.5 * (high - low) * a).clip(low, high),
    "whole width": lambda a, low, high: 0.5 * (low + high) + (high - low) * a,
    "whole width, clipped": lambda a, low, high: (0.5 * (low + high) + (high - low) * a).clip(low, high),
    "from (0, 1)": lambda a, low, high: low + (high - low) * a,
    "from (0, 1), clipped": lambda a, low, high: (low + (high - low) * a).clip(low, high),
    "sum for middle": lambda a, low, high: (low + high) + 0.5 * (high - low) * a,
    "inverse": lambda a, low, high: (a - 0.5 * (low + high)) / (0.5 * (high - low)),
    "inverse, clipped": lambda a, low, high: ((a - 0.5 * (low + high)) / (0.5 * (high - low))).clip(-1.0, 1.0),
    "upside down": lambda a, low, high: 0.5 * (low + high) - 0.5 * (high - low) * a,
    "half for low": lambda a, low, high: low + 0.5 * (high - low) * a,
}  # fmt: skip


@composable
def _scale(how: str = "right", bounds: str = "each", squash: bool = False) -> Callable:
    """The scaling with its parts exchangeable."""

    def scale_action(action, low, high):
        if bounds != "each":
            low, high = _one(bounds)(low, high)
        return _SCALES[how](_squash(action) if squash else action, low, high)

    return scale_action


scale_action = Exercise(
    "scale_action",
    reference=agent.scale_action,
    cases=_scale_cases,
    returns=numbers(),
    points=1,
    equation="(14.9)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "not-scaled",
            "The action comes back as it was, or clipped to the box. The actor's tanh ends at 1; where does the box end?",
            "What does your function make of a = 1, if the box goes from −2 to 2?",
            _scale("as it is"),
            _scale("clipped"),
        ),
        Mistake(
            "times-high",
            "You multiply by `high`. That is right only if the box is symmetric.",
            "What comes out for a = −1?",
            _scale("times high"),
            _scale("times high, clipped"),
        ),
        Mistake(
            "no-middle",
            "You stretch the action, but do not move it: 0 should land in the middle of the box, and yours does not.",
            "Where is the middle of the box from 0 to 5?",
            _scale("no middle"),
            _scale("no middle, clipped"),
            _scale("sum for middle"),
        ),
        Mistake(
            "whole-width",
            "You stretch by the whole width of the box, or take a for a number between 0 and 1. From −1 to 1 is a length "
            "of 2.",
            "What does your function make of a = −1 and of a = 1?",
            _scale("whole width"),
            _scale("whole width, clipped"),
            _scale("from (0, 1)"),
            _scale("from (0, 1), clipped"),
            _scale("half for low"),
        ),
        Mistake(
            "one-bound-for-all",
            "You use one lowest and one highest number for all dimensions. Each dimension has its own bounds.",
            "`low` and `high` may have shape (D,). Which of their numbers have you used?",
            *(_scale(bounds=b) for b in _ONE_BOUND),
        ),
        Mistake(
            "inverse",
            "You go from the box to (−1, 1). Which of the two does the environment want?",
            "What does your function make of a = 1, if the box goes from 0 to 5?",
            _scale("inverse"),
            _scale("inverse, clipped"),
        ),
        Mistake(
            "squashed-again",
            "There is a tanh in your function. The actor has done that already: its action 1 should reach the border.",
            "What is tanh(1), and where does it land?",
            _scale(squash=True),
        ),
        Mistake(
            "upside-down",
            "−1 lands on `high`. The lowest action belongs on the lowest border.",
            "What does your function make of a = −1?",
            _scale("upside down"),
        ),
    ],
    also_correct=[
        _scale(),
        lambda a, low, high: low + (high - low) * (a + 1) / 2,
        lambda a, low, high: (1 - a) / 2 * low + (1 + a) / 2 * high,
        lambda a, low, high: (low + high + (high - low) * a) / 2,
    ],
)  # fmt: skip

# -------------------------------------------------------------------------------- explore_action


def _explore_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, low, high, dims, tags=(), spread=0.4, row=False) -> Case:
        low_, high_ = (np.broadcast_to(np.asarray(x, float), (dims,)) for x in (low, high))
        at = rng.uniform(-0.95, 0.95, size=(n, dims))
        at[: n // 3] = rng.choice([-1.0, 1.0], size=(n // 3, dims))
        xi = spread * rng.normal(size=(n, dims))
        if n > 2:
            xi[1] = rng.choice([-2.0, 2.0], size=dims)
        a = (low_ + high_) / 2 + (high_ - low_) / 2 * at
        a, xi = (a[-1], xi[-1]) if row else (a, xi)
        given = {"action": tensor(a), "noise": tensor(xi)} | _bounds(low, high, True)
        return Case(name, given, tuple(tags))

    return [
        *(case(name, 9, low, high, d, tags) for name, low, high, d, tags in _BOXES),
        case("inside the agent, ±1", 9, -1.0, 1.0, 2),
        case("small noise", 9, -2.0, 2.0, 2, spread=0.05),
        case("as many rows as dimensions", 3, [-1.0, 0.5, -7.0], [0.2, 2.5, -3.0], 3, ("B = D", "differs by dimension")),
        case("one action alone", 4, [-1.0, 2.0], [3.0, 2.5], 2, ("(D,)", "differs by dimension"), row=True),
        case("one row", 1, [-1.0, 2.0], [3.0, 2.5], 2, ("B = 1", "differs by dimension")),
    ]  # fmt: skip


_STEPS: dict[str, Callable] = {
    "half": lambda a, xi, low, high: 0.5 * (high - low) * xi,
    "as it is": lambda a, xi, low, high: xi * 1.0,
    "whole": lambda a, xi, low, high: (high - low) * xi,
    "high": lambda a, xi, low, high: high * xi,
    "none": lambda a, xi, low, high: 0.0 * xi,
    "times action": lambda a, xi, low, high: a * xi,
    "minus": lambda a, xi, low, high: -0.5 * (high - low) * xi,
    "squared": lambda a, xi, low, high: (0.5 * (high - low)) ** 2 * xi,
}


def _within(a, low, high):
    low, high = (torch.as_tensor(x, dtype=a.dtype) for x in (low, high))
    return torch.maximum(torch.minimum(a, high), low)


_CLIPS: dict[str, Callable] = {
    "box": _within,
    "none": lambda a, low, high: a,
    "±1": lambda a, low, high: a.clip(-1.0, 1.0),
    "±high": lambda a, low, high: _within(a, -torch.as_tensor(high), high),
    "above": lambda a, low, high: torch.minimum(a, torch.as_tensor(high, dtype=a.dtype)),
    "below": lambda a, low, high: torch.maximum(a, torch.as_tensor(low, dtype=a.dtype)),
}
_BEFORE: dict[str, Callable] = {
    "nothing": lambda a, low, high: a,
    "scaled": lambda a, low, high: 0.5 * (low + high) + 0.5 * (high - low) * a,
    "clipped": _within,
}


@composable
def _explore(
    step: str = "half",
    clip: str = "box",
    first: str = "nothing",
    noise_clip: str = "none",
    bounds: str = "each",
) -> Callable:
    """The noisy action with its parts exchangeable; first: what is done to the action before; bounds: of which box."""

    def explore_action(action, noise_, low, high):
        if bounds != "each":
            low, high = _one(bounds)(low, high)
        moved = _CLIPS[noise_clip](_STEPS[step](action, noise_, low, high), low, high)
        return _CLIPS[clip](_BEFORE[first](action, low, high) + moved, low, high)

    return explore_action


def _in_half_widths(action, noise_, low, high):
    """Right: into (−1, 1) and back."""
    middle, half = (low + high) / 2, (high - low) / 2
    return middle + half * ((action - middle) / half + noise_).clip(-1.0, 1.0)


def _by_where(action, noise_, low, high):
    a = action + (high - low) / 2 * noise_
    a = torch.where(a > high, torch.as_tensor(high, dtype=a.dtype), a)
    return torch.where(a < low, torch.as_tensor(low, dtype=a.dtype), a)


explore_action = Exercise(
    "explore_action",
    reference=noise.explore_action,
    cases=_explore_cases,
    returns=numbers(),
    points=1,
    equation="(14.10)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "no-clip",
            "The noisy action may leave the box, on one side or on both. No environment has such an action, and no replay "
            "an answer to it.",
            "What is the largest action your function can return when μ(s) is at the border?",
            _explore(clip="none"),
            _explore(clip="above"),
            _explore(clip="below"),
        ),
        Mistake(
            "noise-not-scaled",
            "You add the noise as it comes. It is measured in half-widths: 0.1 is a tenth of the way to the border in "
            "every box, in ±2 and in ±200.",
            "How far should a noise of 1 move the action in the box from 0 to 5?",
            _explore(step="as it is"),
            _explore(step="as it is", clip="none"),
        ),
        Mistake(
            "whole-width",
            "You scale the noise by the whole width, or by `high`. Half the box is one unit of noise.",
            "How far should a noise of 1 move an action that is in the middle of the box?",
            _explore(step="whole"),
            _explore(step="high"),
            _explore(step="squared"),
        ),
        Mistake(
            "clips-before-adding",
            "You clip the action, or the noise, and add afterwards: the sum can leave the box again. It is the sum that "
            "must be in the box.",
            "What stands inside the bracket of (14.10)?",
            _explore(clip="none", noise_clip="box"),
            _explore(clip="none", noise_clip="±1"),
        ),
        Mistake(
            "clips-to-one",
            "You clip to ±1, or to ±`high`. This box has its own bounds.",
            "What does your function return for an action of 7 in the box from 5 to 9, without noise?",
            _explore(clip="±1"),
            _explore(clip="±high"),
        ),
        Mistake(
            "one-bound-for-all",
            "You use one lowest and one highest number for all dimensions. Each dimension has its own bounds.",
            "`low` and `high` may have shape (D,). Which of their numbers have you used?",
            *(_explore(bounds=b) for b in _ONE_BOUND),
        ),
        Mistake(
            "scales-the-action",
            "You scale the action into the box once more. It is in the box already; only the noise is in half-widths.",
            "What does your function make of an action in the box, if the noise is 0?",
            _explore(first="scaled"),
            _explore(first="scaled", step="as it is"),
        ),
        Mistake(
            "multiplicative",
            "You multiply the action by 1 + ε. An action of 0 would never be explored.",
            "What does your function make of an action of 0?",
            _explore(step="times action"),
            _explore(step="times action", clip="none"),
        ),
        Mistake(
            "no-noise",
            "The noise does not enter: nothing is explored.",
            "Which argument of the function have you not used?",
            _explore(step="none"),
        ),
        Mistake(
            "noise-subtracted",
            "You subtract the noise. A draw is as likely as its negative, but `noise` is given and (14.10) adds it.",
            "Which sign stands before the noise?",
            _explore(step="minus"),
        ),
    ],
    also_correct=[
        _explore(),
        _in_half_widths,
        _by_where,
        lambda a, xi, low, high: (a + (high - low) / 2 * xi).clip(low, high),
    ],
)  # fmt: skip

# --------------------------------------------------------------------------------------- ou_step


def _ou_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, shape, theta, sigma, dt, *tags, as_tensor=True) -> Case:
        x, xi = 2 * rng.normal(size=shape), rng.normal(size=shape)
        given = {"x": x, "noise": xi}
        given = {k: tensor(v) for k, v in given.items()} if as_tensor else given
        return Case(name, given | {"theta": theta, "sigma": sigma, "dt": dt}, tags)

    return [
        case("DDPG's own, dt = 1", (4, 2), 0.15, 0.2, 1.0, "dt = 1"),
        case("a fine clock", (3, 2), 0.15, 0.7, 0.01),
        case("a quarter of a step", (5, 1), float(rng.uniform(0.5, 1.0)), 0.4, 0.25),
        case("steps longer than 1", (4, 3), float(rng.uniform(0.1, 0.3)), 0.5, 2.5),
        case("nothing is remembered", (4, 2), 0.5, 0.8, 2.0, "θ dt = 1"),
        case("an array", (4, 2), float(rng.uniform(0.2, 0.6)), 0.9, 0.5, as_tensor=False),
        case("an array of one axis", (6,), 0.3, 0.2, 0.04, as_tensor=False),
        case("one number", (), 0.4, 0.3, 0.3),
        case("three axes", (2, 3, 2), 0.9, 1.3, 0.7),
    ]


_DRIFTS: dict[str, Callable] = {
    "−θ x dt": lambda x, t, dt: -t * x * dt,
    "−θ x": lambda x, t, dt: -t * x,
    "+θ x dt": lambda x, t, dt: t * x * dt,
    "+θ x": lambda x, t, dt: t * x,
    "none": lambda x, t, dt: 0.0 * x,
    "−θ x √dt": lambda x, t, dt: -t * x * dt**0.5,
    "−x dt": lambda x, t, dt: -x * dt,
}
_KICKS: dict[str, Callable] = {
    "σ √dt ξ": lambda xi, s, dt: s * dt**0.5 * xi,
    "σ dt ξ": lambda xi, s, dt: s * dt * xi,
    "σ ξ": lambda xi, s, dt: s * xi,
    "σ² √dt ξ": lambda xi, s, dt: s**2 * dt**0.5 * xi,
    "√σ √dt ξ": lambda xi, s, dt: (s * dt) ** 0.5 * xi,
    "√dt ξ": lambda xi, s, dt: dt**0.5 * xi,
    "none": lambda xi, s, dt: 0.0 * xi,
    "−σ √dt ξ": lambda xi, s, dt: -s * dt**0.5 * xi,
}


@composable
def _ou(drift: str = "−θ x dt", kick: str = "σ √dt ξ", keeps: float = 1.0) -> Callable:
    """One step with its parts exchangeable."""

    def ou_step(x, noise_, theta, sigma, dt):
        return keeps * x + _DRIFTS[drift](x, theta, dt) + _KICKS[kick](noise_, sigma, dt)

    return ou_step


def _in_place_on_a_copy(x, noise_, theta, sigma, dt):
    """Right: x itself stays as it was."""
    new = x.clone() if isinstance(x, torch.Tensor) else x.copy()
    new *= 1 - theta * dt
    new += sigma * math.sqrt(dt) * noise_
    return new


def _exact(x, xi, t, s, dt):
    kept = math.exp(-t * dt)
    return kept * x + s * math.sqrt((1 - kept**2) / (2 * t)) * xi


ou_step = Exercise(
    "ou_step",
    reference=noise.ou_step,
    cases=_ou_cases,
    returns=numbers(),
    points=1,
    equation="(14.11)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "no-sqrt-dt",
            "Your noise grows with dt. A random walk's *variance* grows with time: its deviation with √dt.",
            "Four steps of a quarter should spread as far as one whole step. Do they?",
            _ou(kick="σ dt ξ"),
        ),
        Mistake(
            "dt-forgotten",
            "dt is missing, in the drift, in the noise or in both. Half a step is half the drift, and less noise.",
            "What should your function return for a dt of almost 0?",
            _ou(kick="σ ξ"),
            _ou(drift="−θ x"),
            _ou(drift="−θ x", kick="σ ξ"),
        ),
        Mistake(
            "runs-away",
            "The drift has the wrong sign: the process is drawn back to 0, yours is driven away from it.",
            "Without noise, and from x = 1: is your next x below 1?",
            _ou(drift="+θ x dt"),
            _ou(drift="+θ x dt", kick="σ dt ξ"),
            _ou(drift="+θ x"),
        ),
        Mistake(
            "increment-only",
            "You return the change of x, not the new place. Add the step to where you are.",
            "What should come out if θ and σ are 0?",
            _ou(keeps=0.0),
        ),
        Mistake(
            "noise-only",
            "x does not enter. Then tomorrow's noise knows nothing of today's: that is Gaussian noise.",
            "Which argument of the function have you not used?",
            _ou(drift="none", keeps=0.0),
            _ou(drift="none", keeps=0.0, kick="σ ξ"),
        ),
        Mistake(
            "no-drift",
            "Nothing draws x back: this is a random walk, and it wanders off for good.",
            "Where does θ enter?",
            _ou(drift="none"),
        ),
        Mistake(
            "noise-drawn-back",
            "The fresh noise is drawn back with x. The drift is measured at the old x.",
            "From x = 0: what is the size of your step? Does it know θ? It should not.",
            lambda x, xi, t, s, dt: (x + s * math.sqrt(dt) * xi) * (1 - t * dt),
            lambda x, xi, t, s, dt: (x + s * math.sqrt(dt) * xi) / (1 + t * dt),
        ),
        Mistake(
            "exact-solution",
            "This is the same process, solved exactly over the time dt. The equation asked for is its Euler–Maruyama step.",
            "Is there an exponential in (14.11)?",
            _exact,
        ),
        Mistake(
            "sigma",
            "σ does not stand where it should: the noise has σ², √σ or no σ at all before it.",
            "What is the standard deviation of k·ξ, if ξ has the standard deviation 1?",
            _ou(kick="σ² √dt ξ"),
            _ou(kick="√σ √dt ξ"),
            _ou(kick="√dt ξ"),
        ),
        Mistake(
            "no-noise",
            "The noise does not enter: x creeps to 0 and stays there.",
            "Which argument of the function have you not used?",
            _ou(kick="none"),
        ),
        Mistake(
            "noise-subtracted",
            "You subtract the noise. A draw is as likely as its negative, but `noise` is given and (14.11) adds it.",
            "Which sign stands before the noise?",
            _ou(kick="−σ √dt ξ"),
        ),
        Mistake(
            "drift",
            "The drift is not θ x dt: θ is missing, or √dt stands in it.",
            "By which factor does x shrink in a step without noise?",
            _ou(drift="−θ x √dt"),
            _ou(drift="−x dt"),
        ),
    ],
    also_correct=[
        _ou(),
        lambda x, xi, t, s, dt: (1 - t * dt) * x + s * dt**0.5 * xi,
        lambda x, xi, t, s, dt: x + t * (0.0 - x) * dt + s * math.sqrt(dt) * xi,
        _in_place_on_a_copy,
    ],
)  # fmt: skip

# --------------------------------------------------------------------------------- ou_stationary


def _stationary_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, theta, sigma, dt, lag, *tags) -> Case:
        given = {"theta": float(theta), "sigma": float(sigma), "dt": float(dt), "lag": lag}
        return Case(name, given, tags)

    def drawn(low, high):
        return rng.uniform(low, high)

    theta = drawn(0.3, 0.8)
    return [
        case("DDPG's own, five steps later", 0.15, 0.2, 1.0, 5, "dt = 1"),
        case("one step later", theta, drawn(0.5, 2.0), 0.5, 1),
        case("three steps later", theta, drawn(0.5, 2.0), drawn(0.2, 0.8), 3),
        case("a fine clock", drawn(0.1, 0.3), drawn(0.3, 2.0), 0.02, 25),
        case("at lag 0", drawn(0.2, 0.8), drawn(0.3, 2.0), 0.7, 0, "lag 0"),
        case("steps longer than 1", drawn(0.1, 0.3), drawn(0.3, 2.0), 2.5, 4),
        case("nothing is remembered", 0.5, drawn(0.3, 2.0), 2.0, 2, "θ dt = 1"),
        case("nothing is remembered, at lag 0", 1.0, drawn(0.3, 2.0), 1.0, 0, "θ dt = 1", "lag 0"),
        case("it overshoots", drawn(0.6, 0.8), drawn(0.3, 2.0), 2.0, 1, "θ dt > 1"),
        case("it overshoots, three steps later", 1.5, drawn(0.3, 2.0), 1.0, 3, "θ dt > 1"),
    ]


_DEVIATIONS: dict[str, Callable] = {
    "right": lambda t, s, dt: math.sqrt(s**2 * dt / (1 - (1 - t * dt) ** 2)),
    "continuous": lambda t, s, dt: s / math.sqrt(2 * t),
    "variance": lambda t, s, dt: s**2 * dt / (1 - (1 - t * dt) ** 2),
    "σ dt": lambda t, s, dt: s * dt / math.sqrt(1 - (1 - t * dt) ** 2),
    "no dt": lambda t, s, dt: s / math.sqrt(1 - (1 - t * dt) ** 2),
    "dt forgotten": lambda t, s, dt: math.sqrt(s**2 * dt / max(1 - (1 - t) ** 2, 1e-9)),
    "both forgotten": lambda t, s, dt: math.sqrt(s**2 / max(1 - (1 - t) ** 2, 1e-9)),
    "kept like the value": lambda t, s, dt: math.sqrt(s**2 * dt / (t * dt)),
    "deviations added": lambda t, s, dt: s * math.sqrt(dt) / (t * dt),
    "of one step": lambda t, s, dt: s * math.sqrt(dt),
    "two θ dt": lambda t, s, dt: math.sqrt(s**2 * dt / (2 * t)),
    "sigma": lambda t, s, dt: s,
}
_CORRELATIONS: dict[str, Callable] = {
    "right": lambda t, s, dt, k: (1 - t * dt) ** k,
    "continuous": lambda t, s, dt, k: math.exp(-t * dt * k),
    "dt forgotten": lambda t, s, dt, k: (1 - t) ** k,
    "lag in time": lambda t, s, dt, k: abs(1 - t * dt) ** (k * dt),
    "linear": lambda t, s, dt, k: 1 - t * dt * k,
    "no sign": lambda t, s, dt, k: abs(1 - t * dt) ** k,
    "covariance": lambda t, s, dt, k: (1 - t * dt) ** k * s**2 * dt / (1 - (1 - t * dt) ** 2),
    "twice": lambda t, s, dt, k: (1 - t * dt) ** (2 * k),
    "one step": lambda t, s, dt, k: 1 - t * dt,
    "one more": lambda t, s, dt, k: (1 - t * dt) ** (k + 1),
    "one less": lambda t, s, dt, k: (1 - t * dt) ** max(k - 1, 0),
}


@composable
def _stationary(deviation: str = "right", correlation: str = "right") -> Callable:
    """What the process settles at, with both parts exchangeable."""

    def ou_stationary(theta, sigma, dt, lag):
        return (
            float(_DEVIATIONS[deviation](theta, sigma, dt)),
            float(_CORRELATIONS[correlation](theta, sigma, dt, lag)),
        )

    return ou_stationary


def _by_the_recursion(theta, sigma, dt, lag):
    """Right: the variance, step by step, until it stands."""
    variance = 0.0
    for _ in range(20_000):
        variance = (1 - theta * dt) ** 2 * variance + sigma**2 * dt
    covariance = variance
    for _ in range(lag):
        covariance *= 1 - theta * dt
    return math.sqrt(variance), covariance / variance


ou_stationary = Exercise(
    "ou_stationary",
    reference=noise.ou_stationary,
    cases=_stationary_cases,
    returns=row_of("deviation", "correlation"),
    points=2,
    equation="(14.12)",
    mistakes=[
        Mistake(
            "continuous",
            "These are the limits for dt → 0, in one of the two or in both. Asked is what the *steps* do: at θ dt = 1 nothing "
            "at all is remembered.",
            "By which factor does one step of (14.11) multiply x?",
            _stationary("continuous", "continuous"),
            _stationary("continuous"),
            _stationary(correlation="continuous"),
        ),
        Mistake(
            "variance-for-deviation",
            "This is the variance. The deviation is its root, and has σ's unit but for the time.",
            "What happens to your result if σ is doubled? The deviation doubles.",
            _stationary("variance"),
        ),
        Mistake(
            "no-sqrt-dt",
            "The noise of one step does not enter as it should. It has variance σ² dt.",
            "What does (14.11) add to x in one step, and what is the variance of that?",
            _stationary("σ dt"),
            _stationary("no dt"),
        ),
        Mistake(
            "dt-forgotten",
            "You have 1 − θ where 1 − θ dt belongs. That is what one step keeps of x.",
            "By which factor does one step of (14.11) multiply x?",
            _stationary("dt forgotten", "dt forgotten"),
            _stationary("both forgotten", "dt forgotten"),
            _stationary(correlation="dt forgotten"),
            _stationary("dt forgotten"),
        ),
        Mistake(
            "kept-like-the-value",
            "You let a step keep the share 1 − θ dt of the variance. What multiplies x by k multiplies its variance by k².",
            "What is the variance of ½ x, if that of x is 1?",
            _stationary("kept like the value"),
        ),
        Mistake(
            "deviations-added",
            "You add deviations. The fresh noise is independent of x: variances add, deviations do not.",
            "What is the deviation of a sum of two independent numbers of deviation 3 and 4?",
            _stationary("deviations added"),
        ),
        Mistake(
            "one-step-only",
            "This is the deviation of one step's noise, or σ. What earlier steps left behind is missing.",
            "From x = 0 the first step has this deviation. And the second?",
            _stationary("of one step"),
            _stationary("sigma"),
        ),
        Mistake(
            "units",
            "A factor dt is left over, or lost on the way: your deviation is √dt times the limit for small steps.",
            "Let θ dt be very small. What should be left of your formula? See the text above the exercise.",
            _stationary("two θ dt"),
        ),
        Mistake(
            "lag-in-time",
            "`lag` counts steps, and each step keeps the same *share* of what was left. You count time, or subtract the same "
            "amount each time.",
            "What is left of 1 after three steps, if each keeps a half?",
            _stationary(correlation="lag in time"),
            _stationary(correlation="linear"),
        ),
        Mistake(
            "no-sign",
            "Your correlation is never negative. Beyond θ dt = 1 each step overshoots to the other side.",
            "Without noise, from x = 1 and with θ dt = 1.5: where is x after one step, and after two?",
            _stationary(correlation="no sign"),
        ),
        Mistake(
            "covariance",
            "Your correlation is not 1 at lag 0, or does not lose one factor a step: it is a covariance that is not divided "
            "by the variance, or its power is not `lag`.",
            "At lag 0 x is compared with itself. What should come out?",
            _stationary(correlation="covariance"),
            _stationary(correlation="twice"),
            _stationary(correlation="one step"),
            _stationary(correlation="one more"),
            _stationary(correlation="one less"),
        ),
    ],
    also_correct=[
        _stationary(),
        lambda t, s, dt, k: (s / math.sqrt(2 * t - t**2 * dt), (1 - t * dt) ** k),
        _by_the_recursion,
        lambda t, s, dt, k: (
            s * math.sqrt(dt * sum((1 - t * dt) ** (2 * j) for j in range(20_000))),
            math.prod([1 - t * dt] * k),
        ),
    ],
)  # fmt: skip

# ----------------------------------------------------------------------------------- ddpg_update


def _update_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name, n, *tags, obs_dim=3, act_dim=2, gamma=0.9, rho=0.7, calls=2, lr=0.2, scale=1.0
    ) -> Case:
        nets = {}
        for suffix in ("_targ", ""):
            nets["critic" + suffix] = network(rng, "critic", obs_dim + act_dim)
            nets["actor" + suffix] = network(rng, "actor", obs_dim, act_dim)
        optimizers = {
            "actor_optimizer": Optimizer(["actor"], 2 * lr),
            "critic_optimizer": Optimizer(["critic"], lr / 2),
        }
        state = AgentState(nets | optimizers | {"gamma": gamma, "rho": rho})
        batches = [transitions(rng, n, obs_dim, act_dim=act_dim, scale=scale) for _ in range(calls)]
        return Case(name, {"agent_state": state, "batch": batches}, tags)

    return [
        # One call comes first: most mistakes show there, and it costs least.
        case("one update", 6, calls=1),
        case("three updates", 6, calls=3),
        case("slow copies that are made anew, ρ = 0", 6, "ρ = 0", rho=0.0),
        case("slow copies that stand still, ρ = 1", 6, "ρ = 1", rho=1.0, calls=1),
        case("one action, γ = ½", 8, act_dim=1, gamma=0.5, calls=1, rho=0.95),
        case("batches of one", 1, "B = 1", calls=2),
        case("large errors", 6, "errors beyond 1", scale=8.0, lr=0.02),
    ]  # fmt: skip


_LOSSES = {"mse": mse_loss, "huber": smooth_l1_loss}


@composable
def _update(
    *,
    next_actor: str = "actor_targ",
    next_critic: str = "critic_targ",
    acts_at: str = "next_obs",
    judged_at: str = "next_obs",
    next_action: str = "mu",
    detach: bool = True,
    mask: str = "next",
    discount: str = "next",
    critic_action: str = "batch",
    loss: str = "mse",
    critic_reduce: str = "mean",
    half: float = 1.0,
    critic_steps: bool = True,
    clear: tuple[str, ...] = ("before critic", "before actor"),
    critic_moves: str = "",
    actor_when: str = "after",
    actor_action: str = "mu",
    actor_critic: str = "critic",
    sign: float = -1.0,
    reduce: str = "mean",
    follow: str = "last",
    forgotten: tuple[str, ...] = (),
    keep: str = "rho",
    moves: str = "targets",
) -> Callable:
    """The round with its steps exchangeable, so that each mistake differs in one of them.

    clear: when gradients are cleared, "before" the backward() or "after" the step of the "critic" or the "actor";
    critic_moves: how the actor's gradient moves the critic: "again", added to its own in a second step; "alone", in a
    second step; or "at once" with its own. actor_when: "after" the critic's step; "before" it; "along the old" critic
    but stepped later; "too early", its loss formed before the step and differentiated after it.
    """

    def ddpg_update(agent_state, batch):
        me = agent_state

        def clears(when, whose):
            if f"{when} {whose}" in clear:
                getattr(me, f"{whose}_optimizer").zero_grad()

        def actor_loss():
            mu = me.actor(batch.obs) if actor_action != "batch" else batch.action
            mu = mu.detach() if actor_action == "detached" else mu
            return sign * getattr(torch, reduce)(getattr(me, actor_critic)(batch.obs, mu))

        def slow_copies():
            rho = {"rho": me.rho, "1 - rho": 1 - me.rho, "nothing": 0.0}[keep]
            for name in ("actor", "critic"):
                if name in forgotten:
                    continue
                nets = getattr(me, f"{name}_targ"), getattr(me, name)
                polyak_update(*(nets if moves == "targets" else nets[::-1]), rho)

        def move_actor(of):
            clears("before", "actor")
            if critic_moves == "alone":
                me.critic_optimizer.zero_grad()
            of.backward()
            me.actor_optimizer.step()
            clears("after", "actor")
            if critic_moves in ("again", "alone"):
                me.critic_optimizer.step()
            return float(of)

        if follow == "first":
            slow_copies()
        early = actor_loss() if actor_when == "too early" else None
        losses = {}
        if actor_when == "before":
            losses["actor"] = move_actor(actor_loss())
        with torch.set_grad_enabled(not detach):
            mu = getattr(me, next_actor)(getattr(batch, acts_at))
            mu = batch.action if next_action == "replayed" else mu
            q = getattr(me, next_critic)(getattr(batch, judged_at), mu)
            y = td_target(batch.reward, q, batch.terminated, me.gamma, mask, discount)
        own = me.actor(batch.obs).detach() if critic_action == "own" else batch.action
        online = me.critic(batch.obs, own)
        critic_loss = half * _LOSSES[loss](online, y, reduction=critic_reduce)
        if critic_moves == "at once":
            clears("before", "critic")
            clears("before", "actor")
            late = actor_loss()
            (critic_loss + late).backward()
            me.critic_optimizer.step()
            me.actor_optimizer.step()
            slow_copies()
            return {"critic": float(critic_loss), "actor": float(late)}
        if actor_when == "along the old":
            with torch.enable_grad():
                weights = list(me.actor.parameters())
                kept = torch.autograd.grad(actor_loss(), weights, allow_unused=True)
        clears("before", "critic")
        critic_loss.backward()
        if critic_steps:
            me.critic_optimizer.step()
        clears("after", "critic")
        losses["critic"] = float(critic_loss)
        if follow == "between":
            slow_copies()
        if actor_when == "along the old":
            for p, g in zip(weights, kept, strict=True):
                p.grad = g
            me.actor_optimizer.step()
        elif actor_when == "after" and actor_action == "mu":
            losses["actor"] = move_actor(actor_loss())
        elif actor_when == "too early":
            losses["actor"] = move_actor(early)
        elif actor_action != "mu":
            clears("before", "actor")
            lost = actor_loss()
            lost.backward()
            me.actor_optimizer.step()
            losses["actor"] = float(lost)
        if follow == "last":
            slow_copies()
        return losses

    return ddpg_update


def _aliased(agent_state, batch):
    """The slow copies are the trained networks themselves from then on."""
    out = _update(forgotten=("actor", "critic"))(agent_state, batch)
    me = agent_state
    for name in ("actor", "critic"):
        slow, fast = getattr(me, f"{name}_targ"), getattr(me, name)
        if me.rho == 0:
            for p, q in zip(slow.parameters(), fast.parameters(), strict=True):
                p.data = q.data
        else:
            polyak_update(slow, fast, me.rho)
    return out


def _critic_held_for_the_actor(agent_state, batch):
    """Right: the critic's weights want no gradient while the actor learns."""
    me = agent_state
    y = _target()(me.actor_targ, me.critic_targ, batch, me.gamma)
    critic_loss = ((me.critic(batch.obs, batch.action) - y) ** 2).mean()
    me.critic_optimizer.zero_grad()
    critic_loss.backward()
    me.critic_optimizer.step()
    actor_loss = _frozen_first(put_back=True)(me.actor, me.critic, batch.obs)
    me.actor_optimizer.zero_grad()
    actor_loss.backward()
    me.actor_optimizer.step()
    for name in ("critic", "actor"):
        slow, fast = getattr(me, f"{name}_targ"), getattr(me, name).state_dict()
        slow.load_state_dict(
            {k: me.rho * v + (1 - me.rho) * fast[k] for k, v in slow.state_dict().items()}
        )
    return {"critic": critic_loss.item(), "actor": actor_loss.item()}  # fmt: skip


def _by_the_slope(agent_state, batch):
    """Right: the slope of Q by hand, and backwards through the actor."""
    me = agent_state
    y = _target()(me.actor_targ, me.critic_targ, batch, me.gamma)
    error = me.critic(batch.obs, batch.action) - y
    weights = list(me.critic.parameters())
    for p, g in zip(weights, torch.autograd.grad((error**2).mean(), weights), strict=True):
        p.grad = g
    me.critic_optimizer.step()
    action = me.actor(batch.obs)
    leaf = action.detach().requires_grad_()
    (slope,) = torch.autograd.grad(me.critic(batch.obs, leaf).sum(), leaf)
    me.actor_optimizer.zero_grad()
    action.backward(-slope / len(slope))
    me.actor_optimizer.step()
    with torch.no_grad():
        for slow, fast in ((me.actor_targ, me.actor), (me.critic_targ, me.critic)):
            for p, q in zip(slow.parameters(), fast.parameters(), strict=True):
                p.lerp_(q, 1 - me.rho)
    return {"error": (error**2).mean().detach()}


ddpg_update = Exercise(
    "ddpg_update",
    reference=ddpg.ddpg_update,
    cases=_update_cases,
    returns=figures(),
    points=4,
    equation="(14.14)",
    call="updates",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "online-actor-in-target",
            "The next action in the target comes from the actor that is being trained. It should come from its slow copy, "
            "as the value does.",
            "Which networks in the equation of y carry targ?",
            _update(next_actor="actor"),
        ),
        Mistake(
            "online-critic-in-target",
            "The critic that is being trained makes its own labels: it would chase its own tail. The slow copy makes them.",
            "Which networks in the equation of y carry targ?",
            _update(next_critic="critic"),
            _update(next_critic="critic", detach=False),
            _update(next_critic="critic", next_actor="actor"),
        ),
        Mistake(
            "critic-moves-with-the-actor",
            "The gradient of the actor's loss reaches a step of the critic: in the same step, in a second one, or in the "
            "next, because it was left lying in `.grad`. The critic learns to flatter.",
            "Whose gradients does the critic's optimiser find when it steps? In every call?",
            _update(critic_moves="again"),
            _update(critic_moves="alone"),
            _update(critic_moves="at once"),
            _update(clear=("after critic", "before actor")),
        ),
        Mistake(
            "gradients-pile-up",
            "Gradients of earlier steps are still there when you call `backward()`: `.grad` adds up until it is cleared.",
            "What has to happen to the gradients before each `backward()`? Somebody else's may be lying there.",
            _update(clear=()),
            _update(clear=("before actor",)),
            _update(clear=("before critic",)),
            _update(clear=("after critic", "after actor")),
            _update(clear=("before critic", "after actor")),
        ),
        Mistake(
            "actor-before-critic",
            "The actor moves first, or along the critic as it was before its step. First the critic learns, then the actor "
            "follows it.",
            "Which line of yours asks the critic for the value of μ(s), and where does the critic's step stand?",
            _update(actor_when="before"),
            _update(actor_when="along the old"),
            _update(actor_when="too early"),
        ),
        Mistake(
            "replayed-action-in-the-actor-loss",
            "The actor never moves: Q is asked at the batch's action, or at one that is cut off. The gradient reaches θ "
            "only through μ(s).",
            "What are the actor's gradients after the `backward()` of its loss?",
            _update(actor_action="batch"),
            _update(actor_action="detached"),
        ),
        Mistake(
            "actor-climbs-the-target-critic",
            "Your actor climbs the slow copy. That one is for labels; the actor follows the critic of now.",
            "Which subscript has Q in the actor's loss?",
            _update(actor_critic="critic_targ"),
        ),
        Mistake(
            "sign",
            "Your actor walks downhill on Q: it learns the worst action. An optimiser descends, so the loss is minus the "
            "value.",
            "Which sign has the actor's loss in (14.5)?",
            _update(sign=1.0),
        ),
        Mistake(
            "polyak-reversed",
            "ρ and 1 − ρ have changed places, or ρ is not used. At ρ = 1 nothing should move.",
            "What becomes of your slow copies at ρ = 1, and at ρ = 0?",
            _update(keep="1 - rho"),
            _update(keep="nothing"),
        ),
        Mistake(
            "target-forgotten",
            "Not both slow copies follow. Two networks have one.",
            "Count your calls of `polyak_update`.",
            *(_update(forgotten=x) for x in (("actor",), ("critic",), ("actor", "critic"))),
        ),
        Mistake(
            "targets-first",
            "The slow copies move before the steps, or between them. They follow what was learnt in this update.",
            "Which weights does each of your slow copies follow, the old ones or the new?",
            _update(follow="first"),
            _update(follow="between"),
        ),
        Mistake(
            "the-trained-networks-follow",
            "It is the trained networks that follow their slow copies: the arguments of `polyak_update` have changed places.",
            "Which of the two networks learns, and which one follows?",
            _update(moves="online"),
        ),
        Mistake(
            "aliased",
            "At ρ = 0 a slow copy shares its memory with the network that it copies: there is no copy any more.",
            "Copy the numbers into the weights; do not hand over the tensor that holds them.",
            _aliased,
        ),
        Mistake(
            "half",
            "The critic's loss carries a ½, is Huber's, or is a sum. (14.7) is the mean of the squared errors, as it stands.",
            "Write out the loss for a batch of two. What is its gradient?",
            _update(half=0.5),
            _update(loss="huber"),
            _update(critic_reduce="sum"),
        ),
        Mistake(
            "summed-actor-loss",
            "Your actor's loss is a sum over the batch. It is a mean: otherwise the step would grow with the batch.",
            "What happens to the actor's step when every row of the batch comes twice?",
            _update(reduce="sum"),
        ),
        *target_mistakes(
            _update,
            (
                "Your target looks ahead where the episode has ended. After it comes nothing, whatever the critic says.",
                "Where does `terminated` enter your target?",
            ),
        ),
        Mistake(
            "target-looks-at-s",
            "The target is asked for in s: the slow actor's action, or the value of it as well. What follows the step lies "
            "in s′.",
            "Which observations do you give to the slow networks?",
            _update(acts_at="obs"),
            _update(acts_at="obs", judged_at="obs"),
        ),
        Mistake(
            "replayed-action-in-the-target",
            "The target asks for the value of the batch's action. It was chosen in s; the target asks what the slow actor "
            "would do in s′.",
            "Which network says what is done in s′?",
            _update(next_action="replayed"),
        ),
        Mistake(
            "own-action",
            "Your critic learns the value of the actor's action. Only the batch's action was tried in s, and the reward is "
            "its reward.",
            "At which action is the critic asked in its own loss?",
            _update(critic_action="own"),
        ),
        Mistake(
            "critic-never-steps",
            "The critic never moves: nobody steps down its loss.",
            "Which optimisers does `agent_state` hold, and which of them have you stepped?",
            _update(critic_steps=False),
        ),
    ],
    also_correct=[
        _update(),
        _critic_held_for_the_actor,
        _by_the_slope,
    ],
)  # fmt: skip

LESSON = Lesson(
    "14",
    "DDPG",
    [
        ddpg_actor_loss,
        ddpg_target,
        scale_action,
        explore_action,
        ou_step,
        ou_stationary,
        ddpg_update,
    ],
    torch=True,
)
