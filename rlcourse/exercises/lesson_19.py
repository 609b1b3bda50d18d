"""Lesson 19: Soft actor-critic with a learned temperature."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations
from types import SimpleNamespace
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch.nn.functional import mse_loss, softplus

from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    composable,
    figures,
    loss_value,
    number,
    tensor,
)
from rlcourse.checker.harness import Case
from rlcourse.checker.material import attached_too
from rlcourse.checker.networks import ATOL, RTOL, AgentState, Optimizer, network, transitions
from rlcourse.checker.networks import tensor as made
from rlcourse.continuous import sac
from rlcourse.continuous.agent import frozen
from rlcourse.continuous.stein import gaussian_log_prob
from rlcourse.exercises.network_targets import (
    NOT_REDUCED,
    PICKS,
    REDUCTIONS,
    stepper,
    target_mistakes,
    td_target,
)
from rlcourse.lab.networks import polyak_update
from rlcourse.lab.optim import descend

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


# The bonus for randomness, −α log π, and what is written in its place.
_BONUSES: dict[str, Callable] = {
    "−α log π": lambda alpha, log_prob: -alpha * log_prob,
    "none": lambda alpha, log_prob: 0.0 * log_prob,
    "α log π": lambda alpha, log_prob: alpha * log_prob,
    "−log π": lambda alpha, log_prob: -log_prob,
    "log π": lambda alpha, log_prob: log_prob,
    "−exp(α) log π": lambda alpha, log_prob: -torch.as_tensor(alpha).exp() * log_prob,
    "−α π": lambda alpha, log_prob: -alpha * log_prob.exp(),
    "−α π log π": lambda alpha, log_prob: -alpha * log_prob.exp() * log_prob,
    "−α mean log π": lambda alpha, log_prob: -alpha * log_prob.mean(),
}


@composable
def _target(
    critic: str = "smaller",
    bonus: str = "−α log π",
    mask: str = "next",
    discount: str = "next",
    detach: bool = True,
    apart: str = "",
) -> Callable:
    """The target with one thing changed; apart: where a bonus outside the bracket goes."""

    def sac_target(reward, q1_next, q2_next, log_prob_next, terminated, gamma, alpha):
        value = PICKS[critic](q1_next, q2_next)
        soft = _BONUSES[bonus](alpha, log_prob_next)
        if not apart:
            value, outside = value + soft, 0.0
        elif apart == "undiscounted":
            outside = (1 - terminated) * soft
        else:
            outside = gamma * soft if apart == "terminals" else soft
        y = td_target(reward, value, terminated, gamma, mask, discount) + outside
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
            *_either(bonus="none"),
        ),
        Mistake(
            "entropy-sign",
            "You add α log π. The bonus is α times the entropy, and the entropy is the mean of *minus* "
            "log π: as written, your agent is paid for being predictable.",
            "An unlikely action has a log π far below zero. Should it raise the target or lower it?",
            *_either(bonus="α log π"),
        ),
        Mistake(
            "alpha-missing",
            "log π enters without its factor α. α is the price of a nat: it turns an entropy into reward.",
            "Which argument of the function have you not used?",
            *_either(bonus="−log π"),
            *_either(bonus="log π"),
        ),
        Mistake(
            "another-alpha",
            "You take the exponential of `alpha`. What is passed in is α itself already: only log α needs that.",
            "What is `alpha` here: the temperature, or its logarithm?",
            *_either(bonus="−exp(α) log π"),
        ),
        Mistake(
            "another-entropy",
            "Your bonus is not −α log π of the row's own action: you use π itself, weigh log π with π, or average log π "
            "over the batch. ã′ was drawn from π, so (19.6) needs no weight and no mean.",
            "What is done to `log_prob_next` in (19.6), and what in your code?",
            *_either(bonus="−α π"),
            *_either(bonus="−α π log π"),
            *_either(bonus="−α mean log π"),
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
            *_either(critic="mean"),
        ),
        Mistake(
            "max",
            "You take the larger of the two critics: that adds to the overestimation instead of holding "
            "it down.",
            "Which of the two would you trust, if both tend to be too high?",
            *_either(critic="larger"),
        ),
        Mistake(
            "sum-of-critics",
            "You add the two critics. Each of them estimates the whole value: their sum is about twice of it.",
            "If both critics said 10, what should a target make of it?",
            *_either(critic="sum"),
        ),
        Mistake(
            "one-critic",
            "Only one of the two critics enters your target. In every row the smaller of the two counts, "
            "now the one and now the other.",
            "Change `q1_next` and `q2_next` in turn: does your result notice both?",
            *_either(critic="first"),
            *_either(critic="second"),
        ),
        Mistake(
            "min-over-the-batch",
            "You take one minimum over the whole batch, or one of the critics for all of it. Row i belongs to "
            "transition i: compare the two critics entry by entry.",
            "How many comparisons does your minimum make? It should be one a row.",
            *_either(critic="smallest of all"),
            *_either(critic="critic of the smallest"),
            *_either(critic="critic of the smaller mean"),
        ),
        *target_mistakes(
            _either,
            (
                "Your target goes on through a terminal state. Nothing comes after it: neither a value nor a "
                "bonus, whatever numbers stand there.",
                "What is the right target for a row with `terminated` = 1? And what is yours?",
            ),
            (
                "What follows in s′ enters without γ. It comes one step later, so it counts γ of itself.",
                "Where does γ stand in (19.6), and what does it multiply?",
            ),
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
    also_correct=[_target(), _rows_target, _target_under_no_grad],
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


# What stands before the bracket of (19.15), and in its place.
_FACTORS: dict[str, Callable] = {
    "α": torch.exp,
    "log α": lambda x: x,
    "α detached": lambda x: x.detach().exp(),
    "log α detached": lambda x: x.detach(),
    "α log α": lambda x: x * x.exp(),
    "exp α": lambda x: x.exp().exp(),
    "α²": lambda x: x.exp().square(),
    "softplus": softplus,
    "none": lambda x: 1.0,
}
_AIMS: dict[str, Callable] = {
    "+ H̄": lambda log_prob, target: log_prob + target,
    "− H̄": lambda log_prob, target: log_prob - target,
    "+ |H̄|": lambda log_prob, target: log_prob + abs(target),
    "− |H̄|": lambda log_prob, target: log_prob - abs(target),
    "none": lambda log_prob, target: log_prob,
    "of π": lambda log_prob, target: log_prob.exp() + target,
    "squared": lambda log_prob, target: (log_prob + target).square(),
}


@composable
def _temperature(
    sign: float = -1.0,
    aim: str = "+ H̄",
    factor: str = "α",
    detach: bool = True,
    reduce: str = "mean",
):
    """J(α) with its parts exchangeable; aim: the bracket."""

    def temperature_loss(log_alpha, log_prob, target_entropy):
        log_prob = log_prob.detach() if detach else log_prob
        product = _FACTORS[factor](log_alpha) * _AIMS[aim](log_prob, target_entropy)
        return sign * REDUCTIONS[reduce](product)

    return temperature_loss


def _factors_and_detach(**parts) -> list[Callable]:
    """The mistake, made with α or log α as the factor, and with or without stopping the gradient."""
    ways = [(f, d) for f in ("α", "log α") for d in (True, False)]
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


def _with_log_alpha(log_alpha, log_prob, target_entropy):
    """Right as well: log α before the bracket. Its value is another one, its gradient's sign is not."""
    return _temperature(factor="log α")(log_alpha, log_prob, target_entropy)


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
    variants=[_with_log_alpha],
    remarks=[
        (
            _with_log_alpha,
            "Your factor is log α where (19.15) has α, as in many libraries. Its gradient has the same sign, but not "
            "the factor α: with a small temperature your α moves faster than that of (19.15), with a large one slower.",
        )
    ],
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
            _temperature(detach=False, factor="log α"),
        ),
        Mistake(
            "target-sign",
            "You subtract the target where (19.15) adds it. log π is *minus* an entropy: its distance "
            "to the target is log π + H̄.",
            "If the entropy −log π equals the target exactly, what is the bracket? And yours?",
            *_factors_and_detach(aim="− H̄"),
            *_factors_and_detach(aim="− H̄", sign=1.0),
        ),
        Mistake(
            "alpha-detached",
            "No gradient reaches `log_alpha`: α is a mere number in your loss, so it will never move.",
            "Which step on the way from `log_alpha` to the loss takes it out of the graph?",
            _temperature(factor="α detached"),
            _temperature(factor="α detached", detach=False),
            lambda la, lp, t: _temperature()(la, lp, t).detach(),
            _alpha_item,
            _temperature(factor="log α detached"),
            _temperature(factor="log α detached", detach=False),
        ),
        Mistake(
            "sum",
            "You add the rows up. J is an average over states: with a sum the step would grow with "
            "the batch.",
            "What should the loss of a batch be in which every row stands twice?",
            *_factors_and_detach(reduce="sum"),
        ),
        Mistake(
            "log-alpha-times-alpha",
            "You multiply by the exponential twice, or by `log_alpha` and α together. One factor stands "
            "before the bracket.",
            "How does α come from `log_alpha`, and how often does it occur in (19.15)?",
            _temperature(factor="α log α"),
            _temperature(factor="exp α"),
            _temperature(factor="α²"),
        ),
        Mistake(
            "no-target",
            "The target does not occur in your loss. Without it α does not know what to aim at.",
            "Which argument have you not used?",
            *_factors_and_detach(aim="none"),
        ),
        Mistake(
            "absolute-target",
            "You take the target without its sign. H̄ is a bound for the entropy as it is, and that may well be "
            "negative: densities are not probabilities.",
            "For which sign of the target is your bracket that of (19.15), and for which is it not?",
            *_factors_and_detach(aim="+ |H̄|"),
            *_factors_and_detach(aim="− |H̄|"),
        ),
        Mistake(
            "alpha-missing",
            "α does not occur in your loss, so there is nothing that could move it.",
            "Which argument have you not used? It should be the one that gets the gradient.",
            _temperature(factor="none"),
            _temperature(factor="none", detach=False),
        ),
        Mistake("not-averaged", *NOT_REDUCED, *_factors_and_detach(reduce="none")),
        Mistake(
            "softplus-for-exp",
            "You make α from `log_alpha` by softplus. As its name says, it is the logarithm of α.",
            "Which function turns a logarithm back?",
            _temperature(factor="softplus"),
            _temperature(factor="softplus", detach=False),
        ),
        Mistake(
            "probabilities",
            "You use π where log π stands: an entropy is a mean of −log π.",
            "`log_prob` is a logarithm already. What is done to it in (19.15)?",
            *_factors_and_detach(aim="of π"),
        ),
        Mistake(
            "squared",
            "You square the distance to the target. A square has no sign: α would move the same way whether there is "
            "too much entropy or too little.",
            "Which way should α move if the bracket is positive, and which way if it is negative?",
            *_factors_and_detach(aim="squared"),
        ),
    ],
    also_correct=[_temperature(), _with_numbers, _by_entropy],
)

# ----------------------------------------------------- the default target, of two exercises below

# dimensions -> the target entropy where None is given, and what is taken in its place.
_DEFAULTS: dict[str, Callable] = {
    "−D": lambda dim: -float(dim),
    "D": float,
    "−1": lambda dim: -1.0,
    "−log D": lambda dim: -math.log(dim),
    "log D": math.log,
    "−log(D + 1)": lambda dim: -math.log(dim + 1),
    "D log 2": lambda dim: dim * math.log(2),
    "−D log 2": lambda dim: -dim * math.log(2),
    "0": lambda dim: 0.0,
}


def _goal(target_entropy, dim: int, default: str, unset: str):
    """The target in use. unset: what counts as none given, "None", "0 too" or "nothing"."""
    missing = {"None": target_entropy is None, "0 too": not target_entropy, "nothing": False}
    return _DEFAULTS[default](dim) if missing[unset] else target_entropy


def _default_mistakes(make: Callable) -> list[Mistake]:
    """What goes wrong where `target_entropy` is None; `make(default=…, unset=…)`."""
    return [
        Mistake(
            "positive",
            "Where `target_entropy` is None, your target is positive. The default is made for actions in (−1, 1)^D, "
            "where nobody has more than log 2 ≈ 0.69 nats a dimension: such a constraint could never be kept, and α "
            "would grow without end.",
            "Look at the sign in (19.17).",
            make(default="D"),
        ),
        Mistake(
            "minus-one-always",
            "Where `target_entropy` is None, your target is the same for any number of dimensions. The entropies of "
            "independent dimensions add up: the target has to count them.",
            "What would −1 nat in all mean for an action of six numbers?",
            make(default="−1"),
        ),
        Mistake(
            "log-of-dim",
            "Where `target_entropy` is None, you take a logarithm of the number of dimensions. That is the entropy of "
            "a choice among so many *things*; here are so many numbers, each with an entropy of its own.",
            "Entropies of independent parts add up. What do D parts of −1 nat make?",
            *(make(default=way) for way in ("−log D", "log D", "−log(D + 1)")),
        ),
        Mistake(
            "uniform-entropy",
            "Where `target_entropy` is None, you take (plus or minus) the entropy of the uniform policy, the most "
            "random there is. The default lies one nat below *zero* for each dimension.",
            "Compare (19.17) with the first of the landmarks above it.",
            make(default="D log 2"),
            make(default="−D log 2"),
        ),
        Mistake(
            "default-forgotten",
            "`target_entropy` may be None, and None is no number: then the target is the default.",
            "What is your target where None is given? Ask for it before you calculate with it.",
            make(unset="nothing"),
            make(default="0"),
        ),
        Mistake(
            "zero-for-none",
            "A target of 0 nats is a target: your function takes it for none, and puts the default in its place.",
            "What is the truth value of 0.0 in Python? Ask for None by name.",
            make(unset="0 too"),
        ),
    ]


# ------------------------------------------------------------------------- quadratic_temperature


def _quadratic_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, dim, target, *tags, powers=(-1.0, 1.0), same=False):
        k = 10 ** rng.uniform(*powers, size=dim)
        inputs = {"curvature": np.full(dim, k[0]) if same else k, "target_entropy": target}
        return Case(name, inputs, tags)

    draw = rng.uniform
    none, one = "`target_entropy` is None", "D = 1"
    return [
        case("two dimensions", 2, float(draw(-3.0, -2.2))),
        case("one dimension", 1, float(draw(-2.0, -1.2)), one),
        case("three dimensions, the default target", 3, None, none),
        case("one dimension, the default target", 1, None, none, one),
        case("five equal curvatures, the default target", 5, None, none, same=True),
        case("a target of 0 nats", 3, 0.0),
        case("a target above 0", 2, float(draw(0.5, 1.5))),
        case("200 steep dimensions", 200, -float(draw(100, 180)), "D = 200", powers=(1.2, 3.0)),
        case("200 flat dimensions", 200, None, none, "D = 200", powers=(-3.0, -1.2)),
    ]


# The logarithm of the one k that stands for all of them.
_MEANS: dict[str, Callable] = {
    "of logarithms": lambda k: np.log(k).mean(),
    "arithmetic": lambda k: np.log(k.mean()),
    "harmonic": lambda k: -np.log((1 / k).mean()),
    "inverted": lambda k: -np.log(k).mean(),
    "arithmetic, inverted": lambda k: -np.log(k.mean()),
    "root of the product": lambda k: np.log(np.prod(k)) / len(k),
    "product": lambda k: np.log(k).sum(),
    "largest": lambda k: np.log(k.max()),
    "smallest": lambda k: np.log(k.min()),
    "first": lambda k: np.log(k[0]),
    "none": lambda k: 0.0,
}
# log α, from the logarithms of that k and of the variance that has the right entropy.
_SPREADS: dict[str, Callable] = {
    "σ² = α/k": lambda log_k, log_v: log_k + log_v,
    "σ = α/k": lambda log_k, log_v: log_k + log_v / 2,
    "σ² = k/α": lambda log_k, log_v: log_k - log_v,
    "σ² = α/2k": lambda log_k, log_v: log_k + log_v + math.log(2),
    "σ² = 2α/k": lambda log_k, log_v: log_k + log_v - math.log(2),
}
_GAUSSIANS = {"2πe": 2 * math.pi * math.e, "2π": 2 * math.pi, "πe": math.pi * math.e}
_GAUSSIANS |= {"2e": 2 * math.e, "e": math.e, "1": 1.0}


@composable
def _quadratic(
    mean: str = "of logarithms",
    spread: str = "σ² = α/k",
    constant: str = "2πe",
    twice: float = 2.0,
    shared: bool = True,
    default: str = "−D",
    unset: str = "None",
    result: str = "α",
) -> Callable:
    """α* with its parts exchangeable; twice: the factor of the target in log σ²; shared: by the D dimensions."""

    def quadratic_temperature(curvature, target_entropy=None):
        dim = len(curvature)
        goal = _goal(target_entropy, dim, default, unset)
        log_v = twice * goal / (dim if shared else 1) - math.log(_GAUSSIANS[constant])
        log_alpha = _SPREADS[spread](_MEANS[mean](curvature), log_v)
        return float(log_alpha if result == "log α" else np.exp(log_alpha))

    return quadratic_temperature


def _by_bisection(curvature, target_entropy=None):
    """The root of the entropy in log α, with nothing solved on paper."""
    goal = -len(curvature) if target_entropy is None else target_entropy
    low, high = -100.0, 100.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        entropy = 0.5 * np.sum(np.log(2 * np.pi * np.e) + middle - np.log(curvature))
        low, high = (middle, high) if entropy < goal else (low, middle)
    return np.exp((low + high) / 2)


def _by_factors(curvature, target_entropy=None):
    """A D-th root of each factor, so that no product leaves float64."""
    dim = curvature.size
    goal = -dim if target_entropy is None else target_entropy
    return np.prod(curvature ** (1 / dim)) * np.exp(2 * goal / dim) / (2 * np.pi * np.e)


quadratic_temperature = Exercise(
    "quadratic_temperature",
    reference=sac.quadratic_temperature,
    cases=_quadratic_cases,
    returns=number(),
    points=2,
    equation="(19.18)",
    atol=1e-13,  # a flat Q has a temperature of some 1e-5
    mistakes=[
        Mistake(
            "entropy-not-per-dimension",
            "You give every dimension the whole target. It is the entropy of the action as a whole: the entropies of "
            "its D dimensions add up to it.",
            "Take D dimensions with the same k. How much entropy has each of them, if all together have H̄?",
            _quadratic(shared=False),
        ),
        Mistake(
            "half-missing",
            "The target enters your exponent once where the variance asks for it twice: entropy grows with log σ, and "
            "what you solve for is proportional to σ².",
            "Solve the entropy of one Gaussian for its *variance*, step by step.",
            _quadratic(twice=1.0),
        ),
        Mistake(
            "arithmetic-mean",
            "You average the curvatures (or their inverses, the variances) as they are. Entropies add up, and the "
            "entropy of each dimension holds the *logarithm* of its k.",
            "Write the entropy as a sum over i. In which form does k_i stand in it?",
            _quadratic(mean="arithmetic"),
            _quadratic(mean="harmonic"),
        ),
        Mistake(
            "curvature-inverted",
            "The curvature is on the wrong side of the fraction. A steeper Q needs a *higher* temperature for the "
            "same spread.",
            "Double every k: Q is twice as steep. Does your α rise or fall?",
            _quadratic(mean="inverted"),
            _quadratic(mean="arithmetic, inverted"),
        ),
        Mistake(
            "no-e",
            "The e is missing in your entropy. The normaliser of a Gaussian gives 2πσ²; the mean of its exponent adds "
            "one half in every dimension.",
            "What is the mean of ½(a − m)²/σ² under the Gaussian itself?",
            _quadratic(constant="2π"),
        ),
        Mistake(
            "another-constant",
            "The constant in your entropy of a Gaussian is another one: the π of its normaliser is missing, and perhaps more.",
            "Write down the density of N(m, σ²), and take the mean of minus its logarithm.",
            *(_quadratic(constant=constant) for constant in ("2e", "e", "1")),
        ),
        Mistake(
            "target-sign",
            "The target enters with the wrong sign: more entropy is to need *more* temperature, and with yours it "
            "needs less.",
            "Raise the target. Does your α rise or fall?",
            _quadratic(twice=-2.0),
            _quadratic(twice=-1.0),
        ),
        *_default_mistakes(_quadratic),
        Mistake(
            "deviation-for-variance",
            "You take α/k for the standard deviation. Compare the exponent, −k(a − m)²/2α, with a Gaussian's: it is "
            "the variance.",
            "What stands under (a − m)² in the density of N(m, σ²)?",
            _quadratic(spread="σ = α/k"),
        ),
        Mistake(
            "precision-for-variance",
            "Your Gaussian is turned round: its variance is k/α. With a higher temperature the policy becomes wider, "
            "not narrower.",
            "What does e^{Q/α} become for α → ∞?",
            _quadratic(spread="σ² = k/α"),
        ),
        Mistake(
            "factor-of-two",
            "Your α is twice or half of what it should be. Q has a ½ before its square, the exponent of a Gaussian has one "
            "as well, and its normaliser has a 2: one of the three went astray.",
            "Write the two exponents below each other, Q(a)/α and the Gaussian's, each with its ½. What is the variance?",
            _quadratic(spread="σ² = α/2k"),
            _quadratic(spread="σ² = 2α/k"),
            _quadratic(constant="πe"),
        ),
        Mistake(
            "no-root",
            "You take the product of all curvatures as it is. α belongs to each of the D dimensions alike, so it "
            "occurs D times in the entropy.",
            "Take D dimensions with the same k. Should α grow with D as k^D does?",
            _quadratic(mean="product"),
        ),
        Mistake(
            "one-curvature",
            "Only one of the curvatures enters your result. Every dimension has its share in the entropy.",
            "Change the curvatures one by one: does your result notice each of them?",
            *(_quadratic(mean=one) for one in ("largest", "smallest", "first")),
        ),
        Mistake(
            "curvature-missing",
            "The curvature does not occur in your result. How far a policy spreads at a given α depends on how steep "
            "Q is.",
            "Which argument have you not used?",
            _quadratic(mean="none"),
        ),
        Mistake(
            "product-overflows",
            "Your formula is right, but the product of 200 curvatures is no float64: it becomes infinite, or 0, before "
            "the root is taken.",
            "What is the logarithm of a product, and of a root?",
            _quadratic(mean="root of the product"),
        ),
        Mistake(
            "log-of-alpha",
            "You return the logarithm of α. What is asked for is α itself, a price, and positive.",
            "Which of the two do you solve for, and what is returned?",
            _quadratic(result="log α"),
        ),
    ],
    also_correct=[_quadratic(), _by_bisection, _by_factors],
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


# The first term of (19.19), and what is written in its place.
_COSTS: dict[str, Callable] = {
    "α log π": lambda alpha, log_prob: alpha * log_prob,
    "−α log π": lambda alpha, log_prob: -alpha * log_prob,
    "none": lambda alpha, log_prob: 0.0 * log_prob,
    "log π": lambda alpha, log_prob: log_prob,
    "−log π": lambda alpha, log_prob: -log_prob,
    "exp(α) log π": lambda alpha, log_prob: torch.as_tensor(alpha).exp() * log_prob,
    "α π": lambda alpha, log_prob: alpha * log_prob.exp(),
}


@composable
def _policy_loss(
    critic: str = "smaller",
    sign: float = 1.0,
    cost: str = "α log π",
    value: float = 1.0,
    detach: tuple[str, ...] = (),
    trained: bool = False,
    reduce: str = "mean",
):
    """(19.19) with its parts exchangeable; detach: "q", "log_prob", both or none of them."""

    def sac_policy_loss(q1, q2, log_prob, alpha):
        if not trained:
            alpha = torch.as_tensor(alpha).detach()
        q1, q2 = (x.detach() if "q" in detach else x for x in (q1, q2))
        log_prob = log_prob.detach() if "log_prob" in detach else log_prob
        rows = _COSTS[cost](alpha, log_prob) - value * PICKS[critic](q1, q2)
        return sign * REDUCTIONS[reduce](rows)

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
            _policy_loss(cost="−α log π"),
            _policy_loss(cost="−α log π", trained=True),
            _policy_loss(cost="−α log π", sign=-1.0),
            _policy_loss(cost="−α log π", sign=-1.0, trained=True),
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
            _policy_loss(critic="first"),
            _policy_loss(critic="second"),
            _policy_loss(critic="first", trained=True),
            _policy_loss(critic="second", trained=True),
        ),
        Mistake(
            "mean-of-critics",
            "You average the two critics. (19.19) takes the smaller one in every row.",
            "Which function compares two tensors entry by entry?",
            _policy_loss(critic="mean"),
            _policy_loss(critic="mean", trained=True),
        ),
        Mistake(
            "max",
            "You take the larger critic: the policy would climb whichever error is highest.",
            "What stands before Q in (19.19)?",
            _policy_loss(critic="larger"),
            _policy_loss(critic="larger", trained=True),
        ),
        Mistake(
            "no-entropy",
            "The entropy term is missing: this is the loss of a deterministic actor, and the policy will "
            "shrink to one.",
            "Which two arguments have you not used?",
            _policy_loss(cost="none"),
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
            _policy_loss(reduce="sum"),
            _policy_loss(reduce="sum", trained=True),
        ),
        Mistake("not-averaged", *NOT_REDUCED, _policy_loss(reduce="none")),
        Mistake(
            "alpha-missing",
            "log π enters without its factor α: every temperature is 1 for your policy.",
            "Which argument of the function have you not used?",
            _policy_loss(cost="log π"),
            _policy_loss(cost="−log π"),
        ),
        Mistake(
            "another-alpha",
            "You take the exponential of `alpha`. What is passed in is α itself already: only log α needs that.",
            "What is `alpha` here: the temperature, or its logarithm?",
            _policy_loss(cost="exp(α) log π"),
            _policy_loss(cost="exp(α) log π", trained=True),
        ),
        Mistake(
            "probabilities",
            "You use π where log π stands: the entropy is the mean of −log π under π, and the draw of ã is that mean's.",
            "`log_prob` is a logarithm already. What is done to it in (19.19)?",
            _policy_loss(cost="α π"),
            _policy_loss(cost="α π", trained=True),
        ),
        Mistake(
            "sum-of-critics",
            "You add the two critics, so Q counts about twice against the entropy. (19.19) takes the smaller of them.",
            "If both critics said 10, what should the policy make of it?",
            _policy_loss(critic="sum"),
            _policy_loss(critic="sum", trained=True),
        ),
        Mistake(
            "min-over-the-batch",
            "You take one minimum over the whole batch, or one of the critics for all of it. Each row has its own "
            "smaller critic.",
            "How many comparisons does your minimum make? It should be one a row.",
            _policy_loss(critic="smallest of all"),
            _policy_loss(critic="critic of the smallest"),
            _policy_loss(critic="critic of the smaller mean"),
        ),
        Mistake(
            "no-value",
            "Q is missing: your policy only cares for its entropy, and will become as random as it can.",
            "Which two arguments of the function have you not used?",
            _policy_loss(value=0.0),
            _policy_loss(value=0.0, trained=True),
        ),
    ],
    also_correct=[_policy_loss(), _split_means, _where],
)

# ---------------------------------------------------------------- what both whole steps are made of


def _agent_parts(rng: np.random.Generator, act_dim: int, log_alpha: float, learned: bool = True):
    """Networks and log α, in the order of the recipe: the first that is wrong is told."""
    parts = {name: network(rng, "critic", 3 + act_dim) for name in ("critic1", "critic2")}
    parts["policy"] = network(rng, "gaussian", 3, act_dim)
    parts["log_alpha"] = made(np.array(log_alpha), grad=learned)
    for critic in ("critic1_targ", "critic2_targ"):
        parts[critic] = network(rng, "critic", 3 + act_dim)
    return parts | {"critic_optimizer": Optimizer(["critic1", "critic2"], 0.1), "gamma": 0.9}


def _given(rng: np.random.Generator, parts: dict, calls: int, n: int, act_dim: int, noises):
    return {
        "agent_state": AgentState(parts),
        "batch": [transitions(rng, n, 3, act_dim=act_dim) for _ in range(calls)],
        **{name: [made(x) for x in rng.normal(size=(calls, n, act_dim))] for name in noises},
    }


_ALPHAS: dict[str, Callable] = {
    "α": lambda me: me.log_alpha.detach().exp(),
    "log α": lambda me: me.log_alpha.detach().clone(),
}


def _density(correction: Callable, normal: Callable = gaussian_log_prob) -> Callable:
    """log π(tanh u), with another correction for tanh, a function of u, or another sum over the dimensions."""
    return lambda u, mean, log_std: normal(u, mean, log_std) - correction(u).sum(dim=-1)


def _log_det(u):
    return 2 * (math.log(2) - u - softplus(-2 * u))


_DENSITIES: dict[str, Callable] = {
    "squashed": sac.squashed_log_prob,
    "ε = 1e-6": _density(lambda u: torch.log(1 - u.tanh() ** 2 + 1e-6)),
    "ε = 1e-4": _density(lambda u: torch.log(1 - u.tanh() ** 2 + 1e-4)),
    "before tanh": gaussian_log_prob,
    "added": _density(lambda u: -_log_det(u)),
    "of the action": lambda u, mean, log_std: (
        gaussian_log_prob(u.tanh(), mean, log_std) - _log_det(u).sum(dim=-1)
    ),
    "of the action, no correction": lambda u, mean, log_std: gaussian_log_prob(
        u.tanh(), mean, log_std
    ),
}


@dataclass(frozen=True)
class _Regression:
    """The critics' loss (19.20) with its parts exchangeable; pick "each its own": no target for both."""

    density: str
    next_from: str
    next_action: str | None
    next_critics: str
    detach: bool
    pick: str
    bonus: str
    mask: str
    discount: str
    apart: str
    critics: tuple[str, ...]
    factor: float

    def draw(self, me, obs, noise):
        return sac.squashed_action(me.policy, obs, noise, _DENSITIES[self.density])

    def targets(self, me, batch, next_noise, alpha):
        """critic -> y."""
        with torch.set_grad_enabled(not self.detach):
            a_next, log_prob_next = self.draw(me, getattr(batch, self.next_from), next_noise)
            if self.next_action is not None:
                a_next = getattr(batch, self.next_action)
            slow = (getattr(me, f"critic{i}{self.next_critics}") for i in (1, 2))
            q = [critic(batch.next_obs, a_next) for critic in slow]
        given = batch.reward, *q, log_prob_next, batch.terminated, me.gamma, alpha
        how = self.bonus, self.mask, self.discount, self.detach, self.apart
        own = self.pick == "each its own"
        picks = ("first", "second") if own else (self.pick, self.pick)
        ys = (_target(pick, *how)(*given) for pick in picks)
        return dict(zip(("critic1", "critic2"), ys, strict=True))

    def loss(self, me, batch, next_noise, alpha, at=None, reduce="mean"):
        """at: an action to regress at in place of the batch's."""
        ys = self.targets(me, batch, next_noise, alpha)
        action = batch.action if at is None else at
        return self.factor * sum(
            mse_loss(getattr(me, name)(batch.obs, action), ys[name], reduction=reduce)
            for name in self.critics
        )


def _regression_mistakes(make: Callable, online: str, in_s: str) -> list[Mistake]:
    """What goes wrong in the critics' half; online, in_s: the names of two of them."""
    return [
        Mistake(
            "epsilon-in-log-pi",
            "Your log π holds log(1 − a² + ε). Where an action is near the border that ε is all there is, and the "
            "density comes out too small; 1 − a² can be had exactly from the number before tanh.",
            "Lesson 18's `squashed_log_prob` needs no ε, and takes u, not a = tanh u.",
            make(density="ε = 1e-6"),
            make(density="ε = 1e-4"),
        ),
        Mistake(
            "log-pi-before-tanh",
            "Your log π is that of the Gaussian before tanh, or its correction for tanh has the wrong sign. Squashing "
            "the actions into (−1, 1) makes them denser there: log π(a) has a second term.",
            "What does lesson 18's `squashed_log_prob` do with the derivative of tanh?",
            make(density="before tanh"),
            make(density="added"),
        ),
        Mistake(
            "log-pi-of-the-action",
            "You ask the Gaussian for the density of a = tanh u. It is a distribution of u, the number before tanh.",
            "What are the three arguments of lesson 18's `squashed_log_prob`?",
            make(density="of the action"),
            make(density="of the action, no correction"),
        ),
        Mistake(
            "old-action-in-the-target",
            "The action in your target is `batch.action`. That one was done in s, and chosen by an older policy; the "
            "target needs a fresh one, in s′.",
            "Where does ã′ come from in (19.6)?",
            make(next_action="action"),
        ),
        Mistake(
            in_s,
            "Your next action is drawn from the policy in s. ã′ is what π does in s′.",
            "Which observations do you give to the policy for the target?",
            make(next_from="obs"),
        ),
        Mistake(
            online,
            "Your target is built from the critics that are being trained: the label moves with every step, and they "
            "chase their own tail.",
            "What does `targ` stand for in (19.6)?",
            make(next_critics=""),
            make(next_critics="", detach=False),
        ),
        Mistake(
            "no-entropy",
            "Your target has no entropy term: this is TD3's.",
            "Compare your target with (19.6): what is subtracted from the smaller Q?",
            make(bonus="none"),
        ),
        Mistake(
            "entropy-sign",
            "Your target adds α log π: your agent is paid for being predictable.",
            "An unlikely action has a log π far below zero. Should it raise the target or lower it?",
            make(bonus="α log π"),
        ),
        Mistake(
            "entropy-outside-the-mask",
            "The bonus stands outside the bracket of (19.6): what belongs to s′ is discounted, and there is none after "
            "a terminal state.",
            "What is the right target of a row with `terminated` = 1? And with γ = 0?",
            *(make(apart=where) for where in ("undiscounted", "terminals", "both")),
        ),
        Mistake(
            "separate-targets",
            "Each critic is trained on its own bootstrap. Both learn from the smaller of the two values.",
            "How many different y does (19.6) have?",
            make(pick="each its own"),
        ),
        Mistake(
            "not-the-smaller",
            "Your target does not take the smaller of the two critics in each row: it takes the larger, the mean, the "
            "sum, or always the same one.",
            "Did you use your own `sac_target`? What becomes of the two slow critics' values?",
            *(make(pick=pick) for pick in ("larger", "mean", "first", "second", "sum")),
        ),
        *target_mistakes(
            make,
            (
                "Your target goes on through a terminal state. Nothing comes after it: neither a value nor a bonus.",
                "Where does `terminated` enter your target?",
            ),
            (
                "What follows in s′ enters your target without γ: it comes one step later.",
                "Where does `gamma` enter your target?",
            ),
        ),
        Mistake(
            "one-critic-trained",
            "Only one critic learns; the other keeps the weights that it was born with.",
            "How many squared errors does (19.20) have?",
            make(critics=("critic1",)),
            make(critics=("critic2",)),
        ),
        Mistake(
            "half-the-loss",
            "Your critics' loss is half of (19.20): their step is half as long. Some papers write it with ½; here the "
            "mean squared errors are added as they are.",
            "Is there a ½ or a mean over the two critics in (19.20)?",
            make(factor=0.5),
        ),
    ]


# ------------------------------------------------------------------------------ sac_critic_update


def _critic_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, *tags, act_dim=2, n=6, calls=1, log_alpha=-0.5):
        parts = _agent_parts(rng, act_dim, log_alpha)
        return Case(name, _given(rng, parts, calls, n, act_dim, ("next_noise",)), tags)

    return [
        case("one step, actions of two numbers"),
        case("two steps, actions of one number", "D = 1", act_dim=1, calls=2),
        case("a small α", act_dim=3, log_alpha=-1.5),
        case("α above 1", n=8, log_alpha=0.6),
        case("one transition", "B = 1", n=1),
    ]


@composable
def _critic_update(
    *,
    alpha: str = "α",
    density: str = "squashed",
    next_from: str = "next_obs",
    next_action: str | None = None,
    next_critics: str = "_targ",
    detach: bool = True,
    pick: str = "smaller",
    bonus: str = "−α log π",
    mask: str = "next",
    discount: str = "next",
    apart: str = "",
    critics: tuple[str, ...] = ("critic1", "critic2"),
    factor: float = 1.0,
    regressed: str = "batch's",
    reduce: str = "mean",
    clear: str = "before",
    returned: str = "before",
) -> Callable:
    """The critics' half with its parts exchangeable.

    regressed: at whose action in s; clear: when gradients are cleared, "before" the backward pass, "between" it and
    the step, "after" the step, or "never"; returned: the loss before or after the step.
    """
    regression = _Regression(
        density, next_from, next_action, next_critics, detach, pick, bonus, mask, discount, apart,
        critics, factor,
    )  # fmt: skip

    def sac_critic_update(agent_state, batch, next_noise):
        me, at = agent_state, None
        if regressed == "the policy's":
            at = regression.draw(me, batch.obs, next_noise)[0].detach()

        def loss():
            return regression.loss(me, batch, next_noise, _ALPHAS[alpha](me), at, reduce)

        before = loss()
        if clear == "before":
            me.critic_optimizer.zero_grad()
        before.backward()
        if clear == "between":
            me.critic_optimizer.zero_grad()
        me.critic_optimizer.step()
        if clear == "after":
            me.critic_optimizer.zero_grad()
        return (loss() if returned == "after" else before).item()

    return sac_critic_update


def _critics_written_out(agent_state, batch, next_noise):
    """Two backward passes and one step; nothing called but the networks and the density."""
    s = agent_state
    with torch.no_grad():
        mean, log_std = s.policy(batch.next_obs)
        u = mean + log_std.exp() * next_noise
        log_prob = sac.squashed_log_prob(u, mean, log_std)
        slow = [critic(batch.next_obs, u.tanh()) for critic in (s.critic1_targ, s.critic2_targ)]
        soft = torch.min(*slow) - torch.exp(s.log_alpha) * log_prob
        y = batch.reward + s.gamma * (1 - batch.terminated) * soft
    s.critic_optimizer.zero_grad()
    losses = [
        ((critic(batch.obs, batch.action) - y) ** 2).mean() for critic in (s.critic1, s.critic2)
    ]
    for loss in losses:
        loss.backward()
    s.critic_optimizer.step()
    return sum(losses)


sac_critic_update = Exercise(
    "sac_critic_update",
    reference=sac.sac_critic_update,
    cases=_critic_cases,
    returns=loss_value(),
    points=3,
    equation="(19.20)",
    call="updates",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        *_regression_mistakes(_critic_update, online="online-critics-in-target", in_s="drawn-in-s"),
        Mistake(
            "alpha-missing",
            "log π enters your target without its factor α: a nat costs a whole unit of reward.",
            "α is the price of a nat. Where does it stand in (19.6)?",
            _critic_update(bonus="−log π"),
        ),
        Mistake(
            "log-alpha-for-alpha",
            "You put log α where α stands, or take the exponential once too often. What the state holds is the "
            "logarithm; α is its exponential.",
            "Which of the two is always positive? And which one is multiplied by log π in (19.6)?",
            _critic_update(alpha="log α"),
            _critic_update(bonus="−exp(α) log π"),
        ),
        Mistake(
            "own-action",
            "Your critics regress at the policy's action. What came of that one in s nobody knows: reward and s′ belong "
            "to the action of the batch.",
            "Which action was done in s, and paid with `batch.reward`?",
            _critic_update(regressed="the policy's"),
        ),
        Mistake(
            "sum",
            "You add the squared errors up. (19.20) has means: with sums the step would grow with the batch.",
            "What should the loss of a batch be in which every row stands twice?",
            _critic_update(reduce="sum"),
        ),
        Mistake(
            "loss-after",
            "The step is right, but the loss that you return is that of the *new* weights. The step went down the loss "
            "before it.",
            "Where in your function stands the loss that you return?",
            _critic_update(returned="after"),
        ),
        Mistake(
            "gradients-pile-up",
            "Gradients of earlier backward passes are still there when you step: `.grad` adds up until it is cleared.",
            "What stands in `.grad` of the critics when your function is called? Somebody else's backward pass may "
            "have left it.",
            _critic_update(clear="never"),
            _critic_update(clear="after"),
        ),
        Mistake(
            "clears-too-late",
            "You clear the gradients between the backward pass and the step: the gradient that was about to be used is "
            "gone, and no critic moves.",
            "In which order come clear, backward, step?",
            _critic_update(clear="between"),
        ),
    ],
    also_correct=[_critic_update(), _critic_update(detach=False), _critics_written_out],
)

# ------------------------------------------------------------------------------------ sac_update


def _update_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name, *tags, act_dim=2, n=6, calls=2, rho=0.9, log_alpha=-0.5, learned=True, target="−D"
    ):
        parts = _agent_parts(rng, act_dim, log_alpha, learned) | {
            "policy_optimizer": Optimizer(["policy"], 0.1),
            "alpha_optimizer": Optimizer(["log_alpha"], 0.2) if learned else None,
            "target_entropy": float(-act_dim) if target == "−D" else target,
            "rho": rho,
        }
        return Case(name, _given(rng, parts, calls, n, act_dim, ("noise", "next_noise")), tags)

    return [
        # One step comes first: most mistakes show there, and it costs least.
        case("one step, actions of two numbers", calls=1),
        case("two steps, actions of one number", "D = 1", act_dim=1),
        case(
            "slow copies that follow at once, α above 1", "ρ = 0", calls=1, rho=0.0, log_alpha=0.6
        ),
        case(
            "slow copies that stay, a small α",
            "ρ = 1",
            calls=1,
            rho=1.0,
            log_alpha=-1.5,
            target=-6.0,
        ),
        case("one transition, a target of 0 nats", "B = 1", n=1, calls=1, target=0.0),
        case(
            "α fixed: `alpha_optimizer` is None",
            "`alpha_optimizer` is None",
            calls=1,
            learned=False,
        ),
        case(
            "the default target, actions of four numbers",
            "`target_entropy` is None",
            act_dim=4,
            n=7,
            calls=1,
            target=None,
        ),
    ]


# Which of the two noises the action in s and the one in s′ get.
_NOISES: dict[str, Callable] = {
    "as given": lambda noise, next_noise: (noise, next_noise),
    "exchanged": lambda noise, next_noise: (next_noise, noise),
    "noise twice": lambda noise, next_noise: (noise, noise),
    "next_noise twice": lambda noise, next_noise: (next_noise, next_noise),
}
# How many dimensions the actions of a batch have, and what is counted in their place.
_COUNTS: dict[str, Callable] = {
    "columns": lambda action: action.shape[1],
    "rows": len,
    "numbers": lambda action: action.numel(),
}


@composable
def _update(
    *,
    alpha: str = "α",
    noises: str = "as given",
    density: str = "squashed",
    next_from: str = "next_obs",
    next_action: str | None = None,
    next_critics: str = "_targ",
    detach: bool = True,
    pick: str = "smaller",
    bonus: str = "−α log π",
    mask: str = "next",
    discount: str = "next",
    apart: str = "",
    critics: tuple[str, ...] = ("critic1", "critic2"),
    factor: float = 1.0,
    order: str = "critics, policy, temperature",
    judges: str = "",
    judged: str | None = None,
    policy_pick: str = "smaller",
    cost: str = "α log π",
    sign: float = 1.0,
    critics_move: str = "",
    temperature: bool = True,
    temperature_sign: float = -1.0,
    aim: str = "+ H̄",
    temperature_factor: str = "α",
    again: bool = False,
    default: str = "−D",
    unset: str = "None",
    count: str = "columns",
    clear: tuple[str, ...] = ("critic", "policy", "alpha"),
    clear_after: bool = False,
    keep: str = "rho",
    forgotten: tuple[str, ...] = (),
    follow: str = "last",
) -> Callable:
    """The whole step, with one thing done otherwise.

    critics_move: how the policy's gradient moves them, "again" (added to their own) or "alone"; count: what is
    taken for the number of dimensions; clear: whose gradients are cleared before a step; clear_after: after it
    instead; follow: when the slow copies move, "last" or right after the critics.
    """
    regression = _Regression(
        density, next_from, next_action, next_critics, detach, pick, bonus, mask, discount, apart,
        critics, factor,
    )  # fmt: skip
    policy_loss = _policy_loss(policy_pick, sign, cost)
    temperature_loss = _temperature(temperature_sign, aim, temperature_factor)

    step = stepper(clear, clear_after)

    def move_policy(me, batch, noise, alpha_now):
        action, log_prob = regression.draw(me, batch.obs, noise)
        at = action if judged is None else getattr(batch, judged)
        q = [getattr(me, f"critic{i}{judges}")(batch.obs, at) for i in (1, 2)]
        if critics_move == "alone":
            me.critic_optimizer.zero_grad()
        step(me, "policy", policy_loss(*q, log_prob, alpha_now))
        if critics_move:
            me.critic_optimizer.step()
        return log_prob.detach()

    def move_alpha(me, batch, noise, log_prob):
        if me.alpha_optimizer is None or not temperature:
            return
        if log_prob is None:
            _, log_prob = regression.draw(me, batch.obs, noise)
        goal = _goal(me.target_entropy, _COUNTS[count](batch.action), default, unset)
        step(me, "alpha", temperature_loss(me.log_alpha, log_prob, goal))

    def move_slow_copies(me):
        rho = {"rho": me.rho, "1 - rho": 1 - me.rho, "nothing": 0.0, "all": 1.0}[keep]
        for name in ("critic1", "critic2"):
            if name not in forgotten:
                polyak_update(getattr(me, f"{name}_targ"), getattr(me, name), rho)

    def sac_update(agent_state, batch, noise, next_noise):
        me = agent_state
        noise, next_noise = _NOISES[noises](noise, next_noise)
        alpha_now, log_prob = _ALPHAS[alpha](me), None
        for part in order.split(", "):
            if part == "critics":
                step(me, "critic", regression.loss(me, batch, next_noise, alpha_now))
                if follow == "critics":
                    move_slow_copies(me)
            elif part == "policy":
                log_prob = move_policy(me, batch, noise, alpha_now)
            else:
                move_alpha(me, batch, noise, None if again else log_prob)
                alpha_now = _ALPHAS[alpha](me)
        if follow == "last":
            move_slow_copies(me)
        return {"alpha": float(alpha_now)}

    return sac_update


def _joint(agent_state, batch, noise, next_noise):
    """Both losses added up, one backward pass, both optimisers: the critics climb their own value."""
    me, alpha = agent_state, _ALPHAS["α"](agent_state)
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
        goal = _goal(me.target_entropy, batch.action.shape[1], "−D", "None")
        descend(me.alpha_optimizer, sac.temperature_loss(me.log_alpha, log_prob, goal))
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
        goal = -noise.shape[-1] if s.target_entropy is None else s.target_entropy
        descend(s.alpha_optimizer, s.log_alpha.exp() * (-log_prob.detach().mean() - goal))
    return {"policy": policy_loss, "alpha": alpha}


def _in_two_halves(agent_state, batch, noise, next_noise):
    """The critics by the exercise before; the slow copies follow at once."""
    s = agent_state
    alpha = s.log_alpha.exp().item()
    loss = sac.sac_critic_update(s, batch, next_noise)
    polyak_update(s.critic1_targ, s.critic1, s.rho)
    polyak_update(s.critic2_targ, s.critic2, s.rho)
    action, log_prob = sac.squashed_action(s.policy, batch.obs, noise)
    q1, q2 = s.critic1(batch.obs, action), s.critic2(batch.obs, action)
    descend(s.policy_optimizer, sac.sac_policy_loss(q1, q2, log_prob, alpha))
    if s.alpha_optimizer is not None:
        goal = s.target_entropy if s.target_entropy is not None else -batch.action.size(1)
        descend(s.alpha_optimizer, sac.temperature_loss(s.log_alpha, log_prob, goal))
    return {"critics": loss}


def _log_alpha_as_factor(agent_state, batch, noise, next_noise):
    """Right as well: log α before the bracket of the temperature's loss, as many libraries have it."""
    return _update(temperature_factor="log α")(agent_state, batch, noise, next_noise)


sac_update = Exercise(
    "sac_update",
    reference=sac.sac_update,
    cases=_update_cases,
    returns=figures(),
    points=4,
    equation="(19.21)",
    parts=["default_target_entropy"],
    call="updates",
    rtol=RTOL,
    atol=ATOL,
    variants=[_log_alpha_as_factor],
    mistakes=[
        Mistake(
            "target-policy-used",
            "You look for a slow copy of the policy, as TD3 has one. SAC has none: the next action is drawn "
            "from the policy of now.",
            "Which policy stands under the tilde in (19.6)?",
            _with_a_slow_policy(),
            shows=_asked_for_a_slow_policy,
        ),
        *_regression_mistakes(
            _update, online="online-critics-in-the-target", in_s="next-action-drawn-in-s"
        ),
        Mistake(
            "alpha-missing",
            "log π enters without its factor α: in the target, in the policy's loss, or in both.",
            "α is the price of a nat. Where does it stand in (19.6) and in (19.19)?",
            _update(bonus="−log π"),
            _update(cost="log π"),
            _update(bonus="−log π", cost="log π"),
        ),
        Mistake(
            "old-action-in-the-policy-loss",
            "In your policy's loss the critics judge an action that is no function of θ: `batch.action`, which somebody "
            "did long ago, or one that was detached. They say nothing to the policy, and only the entropy is left.",
            "At which action are Q and log π taken in (19.19)?",
            _update(judged="action"),
        ),
        Mistake(
            "slow-critics-judge",
            "In your step the slow copies judge the policy's action. They stand still so that a critic's *label* does; "
            "the policy regresses on nothing, and what they say is an old opinion.",
            "Whose opinion does the policy follow, the newest or the slow copies'?",
            _update(judges="_targ"),
        ),
        Mistake(
            "first-critic-only",
            "Your policy listens to one critic. That is TD3; in (19.19) it is the smaller of the two.",
            "Did you use your own `sac_policy_loss`, and give it both critics?",
            _update(policy_pick="first"),
            _update(policy_pick="second"),
        ),
        Mistake(
            "mean-of-critics",
            "Your policy's loss averages the two critics, adds them, or takes the larger. In (19.19) it is the smaller "
            "of the two, row by row.",
            "Did you use your own `sac_policy_loss`?",
            *(_update(policy_pick=pick) for pick in ("mean", "sum", "larger")),
        ),
        Mistake(
            "policy-sign",
            "The policy goes the wrong way: it makes Q small, or its actions predictable, or both.",
            "A loss is made small. Which of Q and log π should become small?",
            _update(sign=-1.0),
            _update(cost="−α log π"),
            _update(sign=-1.0, cost="−α log π"),
        ),
        Mistake(
            "no-entropy-in-the-policy-loss",
            "The entropy is missing in your policy's loss: it is that of a deterministic actor, and the policy will "
            "shrink to one.",
            "What does (19.19) hold besides Q?",
            _update(cost="none"),
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
            _update(keep="1 - rho"),
        ),
        Mistake(
            "slow-copies-not-updated",
            "The slow copies of the critics never move: the target stays that of the first weights.",
            "What is the last part of (19.21)?",
            _update(keep="all"),
        ),
        Mistake(
            "slow-copy-forgotten",
            "Only one of the two slow copies moves.",
            "How many critics are there? Count your calls of `polyak_update`.",
            _update(forgotten=("critic1",)),
            _update(forgotten=("critic2",)),
        ),
        Mistake(
            "hard-copies",
            "The slow copies are made equal to the critics in every step: there is nothing slow about them.",
            "Where does `rho` enter?",
            _update(keep="nothing"),
        ),
        Mistake(
            "noise-reused",
            "The same noise makes both actions. The one in s′ has `next_noise`, the one in s has `noise`.",
            "Which two arguments are random, and where is each of them used?",
            _update(noises="noise twice"),
            _update(noises="next_noise twice"),
        ),
        Mistake(
            "noise-exchanged",
            "The two noises have changed places: `next_noise` is for the action in s′.",
            "Which noise belongs to which observations?",
            _update(noises="exchanged"),
        ),
        Mistake(
            "alpha-in-place-of-log-alpha",
            "α and its logarithm are mixed up. What the optimiser moves is log α, which may be negative; α is its "
            "exponential, and never is.",
            "Where in your step do you need α, and where log α? What does `temperature_loss` take?",
            _update(alpha="log α"),
            _update(temperature_factor="exp α"),
            _update(alpha="log α", temperature_factor="exp α"),
            _update(alpha="log α", temperature_factor="log α"),
        ),
        Mistake(
            "temperature-skipped",
            "α never moves: the third step is missing.",
            "Which optimiser of `agent_state` have you not used?",
            _update(temperature=False),
        ),
        Mistake(
            "temperature-reversed",
            "α moves the wrong way: it falls while there is too little entropy.",
            "Do you give `temperature_loss` the log-probabilities, or the entropies?",
            _update(temperature_sign=1.0),
            _update(temperature_sign=1.0, temperature_factor="log α"),
        ),
        Mistake(
            "temperature-without-target",
            "α does not aim at `target_entropy`: it is subtracted from log π where (19.15) adds it, or left out.",
            "If the entropy −log π equals the target exactly, what is the bracket of (19.15)? And yours?",
            *(
                _update(aim=aim, temperature_factor=factor)
                for aim in ("− H̄", "none")
                for factor in ("α", "log α")
            ),
        ),
        Mistake(
            "wrong-order",
            "The steps are not in the order of (19.21): critics, policy, temperature, all with the α from before the "
            "step.",
            "Number your three backward passes, and compare with (19.21).",
            _update(order="policy, critics, temperature"),
            _update(order="temperature, critics, policy"),
            _update(order="critics, temperature, policy"),
        ),
        *_default_mistakes(_update),
        Mistake(
            "rows-for-dimensions",
            "Where `target_entropy` is None, you count the rows of the batch, or all of its numbers, for the dimensions "
            "of an action.",
            "Which part of `batch.action.shape` is the number of rows, and which that of the numbers in one action?",
            _update(count="rows"),
            _update(count="numbers"),
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
    ],
    also_correct=[_update(), _update(follow="critics"), _written_out, _in_two_halves],
)

LESSON = Lesson(
    "19",
    "Soft actor-critic with a learned temperature",
    [
        sac_target,
        temperature_loss,
        quadratic_temperature,
        sac_policy_loss,
        sac_critic_update,
        sac_update,
    ],
    torch=True,
)
