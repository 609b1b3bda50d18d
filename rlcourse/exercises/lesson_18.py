"""Lesson 18: Soft actor-critic, first form."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch
from torch.nn.functional import mse_loss, softplus

from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    array,
    composable,
    figures,
    number,
    several,
    tensor,
)
from rlcourse.checker.harness import Case
from rlcourse.checker.material import attached_too
from rlcourse.checker.networks import (
    ATOL,
    RTOL,
    AgentState,
    Network,
    Optimizer,
    network,
    transitions,
)
from rlcourse.checker.networks import tensor as made
from rlcourse.continuous import sac
from rlcourse.continuous.agent import frozen
from rlcourse.continuous.stein import gaussian_log_prob
from rlcourse.exercises.network_targets import (
    MASK_INVERTED,
    NOT_REDUCED,
    PICKS,
    REDUCTIONS,
    REWARD_DISCOUNTED,
    REWARD_MASKED,
    stepper,
    td_target,
)
from rlcourse.lab.networks import polyak_update
from rlcourse.lab.optim import descend

# A density's gradients come by several ways whose parts cancel: right formulas differ by some 1e-6 of the largest.
DENSITY_ATOL = 1e-4

# --------------------------------------------------------------------------- squashed_log_prob


def _density_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, dim, *tags, u=None, mean=None, log_std=None):
        u = 1.2 * rng.normal(size=(n, dim)) if u is None else np.asarray(u, float)
        mean = 0.6 * rng.normal(size=(n, dim)) if mean is None else mean
        log_std = rng.uniform(-1.2, 0.5, size=(n, dim)) if log_std is None else log_std
        given = {"u": u, "mean": mean, "log_std": log_std}
        return Case(name, {k: made(x, grad=True) for k, x in given.items()}, tags)

    signs = rng.choice([-1.0, 1.0], size=(4, 2))
    centre = rng.normal(size=(4, 2))
    far = signs * rng.uniform(9.5, 20.0, size=(4, 2))
    near_there = signs * rng.uniform(4.5, 8.0, size=(4, 2))
    return [
        case("actions of three numbers", 5, 3),
        case("actions of one number", 6, 1, "D = 1"),
        case("as many rows as dimensions", 3, 3, "B = D"),
        case("one row", 1, 2, "B = 1"),
        case("draws far from the mean", 4, 2, u=centre, mean=centre + 7 * signs,
             log_std=rng.uniform(-0.6, -0.3, size=(4, 2))),
        case("u = 0, where tanh has slope 1", 4, 2, "u = 0", u=np.zeros((4, 2))),
        case("u far out, beyond 9", 4, 2, "far out", u=far, mean=far + rng.normal(size=(4, 2)),
             log_std=rng.uniform(-0.3, 0.6, size=(4, 2))),
        case("u between 4 and 8", 4, 2, "far out", u=near_there,
             mean=near_there + rng.normal(size=(4, 2)), log_std=rng.uniform(-0.3, 0.6, size=(4, 2))),
    ]  # fmt: skip


def _exact(u):
    return 2 * (math.log(2) - u - softplus(-2 * u))


def _won_back(u, edge):
    """u from the clamped action, as who has stored actions only."""
    return torch.atanh(u.tanh().clamp(-1 + edge, 1 - edge))


# log(1 − tanh² u) of one dimension, and what is written in its place.
_CORRECTIONS: dict[str, Callable] = {
    "exact": _exact,
    "none": lambda u: 0.0 * u,
    "added": lambda u: -_exact(u),
    "plain": lambda u: torch.log(1 - u.tanh() ** 2),
    "plain, added": lambda u: -torch.log(1 - u.tanh() ** 2),
    "ε = 1e-6": lambda u: torch.log(1 - u.tanh() ** 2 + 1e-6),
    "ε = 1e-6, added": lambda u: -torch.log(1 - u.tanh() ** 2 + 1e-6),
    "ε = 1e-7": lambda u: torch.log(1 - u.tanh() ** 2 + 1e-7),
    "ε = 1e-8": lambda u: torch.log(1 - u.tanh() ** 2 + 1e-8),
    "ε = 1e-4": lambda u: torch.log(1 - u.tanh() ** 2 + 1e-4),
    "ε in relu": lambda u: torch.log(torch.relu(1 - u.tanh() ** 2) + 1e-6),
    "clamped": lambda u: torch.log((1 - u.tanh() ** 2).clamp(min=1e-6)),
    "of the clamped action": lambda u: torch.log(1 - u.tanh().clamp(-1 + 1e-6, 1 - 1e-6) ** 2),
    "tanh twice": lambda u: torch.log(1 - u.tanh().tanh() ** 2),
    "tanh twice, stable": lambda u: _exact(u.tanh()),
    "no square": lambda u: torch.log(1 - u.tanh().abs() + 1e-6),
    "no factor 2": lambda u: math.log(2) - u - softplus(-2 * u),
    "no log 2": lambda u: 2 * (-u - softplus(-2 * u)),
    "softplus of +2u": lambda u: 2 * (math.log(2) - u - softplus(2 * u)),
    "softplus of −u": lambda u: 2 * (math.log(2) - u - softplus(-u)),
}


def _by_variance(u, mean, log_std):
    variance = (2 * log_std).exp()
    return -(((u - mean) / variance) ** 2 / 2 + 2 * log_std + 0.5 * math.log(2 * math.pi))


def _by_logarithm(u, mean, log_std):
    return -(((u - mean) / log_std) ** 2 / 2 + log_std.abs().log() + 0.5 * math.log(2 * math.pi))


def _normal(u, mean, log_std):
    return -(((u - mean) / log_std.exp()) ** 2 / 2 + log_std + 0.5 * math.log(2 * math.pi))


# log N(u; μ, σ) of one dimension.
_NORMALS: dict[str, Callable] = {
    "right": _normal,
    "σ² for σ": _by_variance,
    "log σ for σ": _by_logarithm,
    "no −log σ": lambda u, mean, log_std: _normal(u, mean, log_std) + log_std,
    "+log σ": lambda u, mean, log_std: _normal(u, mean, log_std) + 2 * log_std,
    "no 2π": lambda u, mean, log_std: _normal(u, mean, log_std) + 0.5 * math.log(2 * math.pi),
    "at the action": lambda u, mean, log_std: _normal(u.tanh(), mean, log_std),
}


@composable
def _density(
    correction: str = "exact",
    normal: str = "right",
    reduce: str = "sum",
    cut: tuple[str, ...] = (),
    back: float = 0.0,
) -> Callable:
    """log π with its parts exchangeable; cut: what is detached; back: u is won back from a clamped action."""

    def squashed_log_prob(u, mean, log_std):
        u, mean, log_std = (
            x.detach() if name in cut else x
            for name, x in (("u", u), ("mean", mean), ("log_std", log_std))
        )
        u = _won_back(u, back) if back else u
        squeezed = _CORRECTIONS[correction](u)
        squeezed = squeezed.detach() if "determinant" in cut else squeezed
        each = _NORMALS[normal](u, mean, log_std) - squeezed
        each = each.detach() if "all" in cut else each
        return {"sum": each.sum(-1), "none": each, "mean": each.mean(-1)}.get(reduce, each.sum(0))

    return squashed_log_prob


def _log_prob_by_distributions(u, mean, log_std):
    squash = torch.distributions.TanhTransform(cache_size=1)
    pi = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(mean, log_std.exp()), squash
    )
    return pi.log_prob(squash(u)).sum(dim=1)


def _log_prob_by_sigmoids(u, mean, log_std):
    log_slope = math.log(4) + torch.nn.functional.logsigmoid(2 * u)
    log_slope = log_slope + torch.nn.functional.logsigmoid(-2 * u)
    return torch.distributions.Normal(mean, log_std.exp()).log_prob(u).sum(-1) - log_slope.sum(-1)


def _log_prob_by_cosh(u, mean, log_std):
    log_cosh = torch.logaddexp(u, -u) - math.log(2)
    pi = torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1)
    return pi.log_prob(u) + 2 * log_cosh.sum(dim=-1)


squashed_log_prob = Exercise(
    "squashed_log_prob",
    reference=sac.squashed_log_prob,
    cases=_density_cases,
    returns=tensor(),
    points=2,
    equation="(18.5)",
    call="gradients",
    rtol=RTOL,
    atol=DENSITY_ATOL,
    mistakes=[
        Mistake(
            "no-correction",
            "That is the density of u. tanh squeezes a wide range of u into a narrow one of actions, so the action has "
            "another density: (18.5) has a second term.",
            "By which factor does tanh shrink a small interval around u? Divide the density by it.",
            _density("none"),
        ),
        Mistake(
            "correction-sign",
            "The second term has the wrong sign. Where tanh is flat, many u share one action: the density is *larger* "
            "there, and the logarithm of a slope below 1 is negative.",
            "Is the density of the action near ±1 larger or smaller than that of u? And yours?",
            _density("added"),
            _density("plain, added"),
            _density("ε = 1e-6, added"),
        ),
        Mistake(
            "unstable",
            "Your formula is right on paper, but 1 − tanh² rounds to 0 for |u| above 9: then its logarithm is −∞, its "
            "gradient NaN; with a small number inside, or a clamp, both are wrong there. The action is ±1 then, and "
            "u cannot be won back from it.",
            "Use the form with softplus in (18.6), which takes u itself.",
            *(
                _density(name)
                for name in (
                    "plain",
                    "ε = 1e-6",
                    "ε = 1e-7",
                    "ε = 1e-8",
                    "ε = 1e-4",
                    "ε in relu",
                    "clamped",
                    "of the clamped action",
                )
            ),
            *(_density(back=edge) for edge in (1e-6, 1e-7, 1e-4)),
            *(_density("plain", back=edge) for edge in (1e-6, 1e-4)),
        ),
        Mistake(
            "tanh-twice",
            "You put tanh(u) where u stands in the slope: that squashes twice. The slope of tanh at u is 1 − tanh²u, "
            "one tanh, then the square.",
            "What is handed in, the number before tanh or the one after it?",
            _density("tanh twice"),
            _density("tanh twice, stable"),
        ),
        Mistake(
            "not-summed",
            "You return a number for every dimension, or their mean, or add up the rows. The dimensions are "
            "independent: their log-densities add, one sum a row.",
            "Which shape should log π of a batch have? Over which axis runs the sum in (18.5)?",
            *(_density(reduce=how) for how in ("none", "mean", "rows")),
        ),
        Mistake(
            "half-the-correction",
            "A piece of log(1 − tanh²u) is missing or wrong: its factor 2, its log 2, or what stands in softplus.",
            "Put u = 0 in: the slope is 1 there, and its logarithm must be 0. Then try u = 3 against the plain form.",
            *(
                _density(name)
                for name in ("no factor 2", "no log 2", "softplus of +2u", "softplus of −u")
            ),
        ),
        Mistake(
            "std-confused",
            "`log_std` is the logarithm of σ. You use σ² or log σ in its place, or the −log σ of the density is missing "
            "or has the wrong sign.",
            "Write down log N(u; μ, σ): where does σ stand, and where log σ?",
            *(_density(normal=name) for name in ("σ² for σ", "log σ for σ", "no −log σ", "+log σ")),
        ),
        Mistake(
            "constant-missing",
            "Your density lacks the constant ½ log 2π of every dimension: it integrates to more than 1.",
            "What is log N(0; 0, 1)?",
            _density(normal="no 2π"),
        ),
        Mistake(
            "density-of-the-action",
            "You ask the Gaussian for the density of tanh u. It is a distribution of u.",
            "At which number stands log N in (18.5)?",
            _density(normal="at the action"),
            _density("none", normal="at the action"),
        ),
        Mistake(
            "gradient-cut",
            "The value is right, but something is detached: u, μ, σ or the correction. In (18.5) all of them depend on θ.",
            "Which of the three arguments, and which of the two terms, should send a gradient back?",
            *(_density(cut=(part,)) for part in ("u", "mean", "log_std", "determinant", "all")),
            _density(cut=("mean", "log_std")),
            _density(cut=("u", "mean", "log_std")),
        ),
    ],
    also_correct=[_density(), _log_prob_by_distributions, _log_prob_by_sigmoids, _log_prob_by_cosh],
)

# ------------------------------------------------------------------------------- squashed_action


def _shifted(policy: Network, by: np.ndarray) -> Network:
    """A Gaussian policy whose means are moved by this."""
    bias = policy.weights[3].copy()
    bias[: len(by)] += by.astype(np.float32)
    return Network("gaussian", [*policy.weights[:3], bias])


def _narrow(rng: np.random.Generator, dim: int) -> Network:
    """A Gaussian policy whose log σ depends on the state and is seldom cut off."""
    policy = network(rng, "gaussian", 3, dim)
    last, bias = policy.weights[2].copy(), policy.weights[3].copy()
    last[dim:] *= 0.4
    bias[dim:] = rng.uniform(-1.0, 0.1, size=dim)
    return Network("gaussian", [*policy.weights[:2], last, bias])


def _action_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, dim, *tags, shift=None):
        policy = _narrow(rng, dim)
        if shift is not None:
            policy = _shifted(policy, shift)
        obs, noise = rng.normal(size=(n, 3)), rng.normal(size=(n, dim))
        return Case(name, {"policy": policy, "obs": made(obs), "noise": made(noise)}, tags)

    return [
        case("actions of two numbers", 5, 2),
        case("actions of one number", 6, 1, "D = 1"),
        case("as many rows as dimensions", 3, 3, "B = D"),
        case("one state", 1, 2, "B = 1"),
        case("means far out, where the action is ±1 in float32", 4, 2, "far out",
             shift=np.array([12.0, -13.0])),
    ]  # fmt: skip


_WIDTHS: dict[str, Callable] = {
    "σ": torch.exp,
    "none": torch.ones_like,
    "log σ": lambda log_std: log_std,
    "σ²": lambda log_std: (2 * log_std).exp(),
    "√σ": lambda log_std: (0.5 * log_std).exp(),
    "no noise": torch.zeros_like,
}


@composable
def _draw(
    width: str = "σ",
    squash: str = "tanh",
    density: str = "squashed",
    cut: str = "",
) -> Callable:
    """An action and its log π with their parts exchangeable; cut: "u", "action" or "all" of it without gradient."""

    def squashed_action(policy, obs, noise):
        mean, log_std = policy(obs)
        centre = mean.tanh() if squash.startswith("mean") else mean
        u = centre + _WIDTHS[width](log_std) * noise
        u = u.detach() if cut == "u" else u
        action = {
            "none": lambda: u,
            "clamp": lambda: u.clamp(-1, 1),
            "mean": lambda: u,
            "mean, clamped": lambda: u.clamp(-1, 1),
        }.get(squash, u.tanh)()
        action = action.detach() if cut == "action" else action
        at = {
            "at the action": lambda: action,
            "at the mean": lambda: mean,
            "won back": lambda: torch.atanh(action),
            "won back, clamped": lambda: torch.atanh(action.clamp(-1 + 1e-6, 1 - 1e-6)),
        }.get(density, lambda: u)()
        if density == "of u":
            log_prob = gaussian_log_prob(u, mean, log_std)
        elif density == "of u, about tanh μ":
            log_prob = gaussian_log_prob(u, centre, log_std) - _exact(u).sum(-1)
        elif density == "added":
            log_prob = gaussian_log_prob(u, mean, log_std) + _exact(u).sum(-1)
        elif density == "ε = 1e-6":
            log_prob = _density("ε = 1e-6")(u, mean, log_std)
        elif density == "plain":
            log_prob = _density("plain")(u, mean, log_std)
        else:
            log_prob = sac.squashed_log_prob(at, mean, log_std)
        if cut == "all":
            action, log_prob = action.detach(), log_prob.detach()
        if cut == "log π":
            log_prob = log_prob.detach()
        return action, log_prob

    return squashed_action


def _draws_itself(policy, obs, noise):
    return sac.squashed_action(policy, obs, torch.randn_like(noise))


def _is_a_draw_of_its_own(cases, outcomes) -> bool:
    """Every action is tanh of some u, whose log π is given; and none is the u of the noise, scaled in any known way."""
    for case, outcome in zip(cases, outcomes, strict=False):
        value = outcome.value["value"] if isinstance(outcome.value, dict) else None
        if "far out" in case.tags:
            continue
        if not isinstance(value, tuple | list) or len(value) != 2:
            return False
        arrays = [np.asarray(getattr(part, "data", part)) for part in value]
        policy = case.inputs["policy"].build(Counter())
        obs, noise = (torch.as_tensor(case.inputs[name].data) for name in ("obs", "noise"))
        with torch.no_grad():
            mean, log_std = policy(obs)
            if arrays[0].shape != mean.shape or arrays[1].shape != mean.shape[:1]:
                return False
            action, log_prob = (torch.as_tensor(x, dtype=torch.float32) for x in arrays)
            inside = (action.abs() < 0.999).all(-1)
            if not bool(((action.abs() <= 1) & action.isfinite()).all()):
                return False
            told = sac.squashed_log_prob(torch.atanh(action), mean, log_std)
            if not torch.allclose(told[inside], log_prob[inside], rtol=1e-2, atol=1e-2):
                return False
            for centre in (mean, mean.tanh()):
                for scale in _WIDTHS.values():
                    known = (centre + scale(log_std) * noise).tanh()
                    if torch.allclose(action, known, atol=1e-3):
                        return False
    return True


def _action_by_distributions(policy, obs, noise):
    mean, log_std = policy(obs)
    squash = torch.distributions.TanhTransform(cache_size=1)
    pi = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(mean, log_std.exp()), squash
    )
    action = squash(mean + log_std.exp() * noise)
    return action, pi.log_prob(action).sum(-1)


def _action_by_noise(policy, obs, noise):
    mean, log_std = policy(obs)
    u = torch.addcmul(mean, log_std.exp(), noise)
    log_normal = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    return 2 * torch.sigmoid(2 * u) - 1, (log_normal - _exact(u)).sum(dim=-1)


squashed_action = Exercise(
    "squashed_action",
    reference=sac.squashed_action,
    cases=_action_cases,
    returns=several(action=tensor(), log_prob=tensor()),
    points=2,
    equation="(18.7)",
    call="gradients",
    rtol=RTOL,
    atol=DENSITY_ATOL,
    mistakes=[
        Mistake(
            "sample-detached",
            "The numbers are right, but the gradient does not get through: u or the action was drawn without it. The "
            "action is a *function* of θ in (18.7): that is the whole trick.",
            "Which of your lines detaches, or runs under no_grad, or draws with `sample()`?",
            *(_draw(cut=part) for part in ("u", "action", "all", "log π")),
        ),
        Mistake(
            "own-noise",
            "You draw noise of your own. Here the noise is an argument: only so can the function be checked, and a draw "
            "repeated.",
            "Which argument have you not used?",
            _draws_itself,
            shows=_is_a_draw_of_its_own,
        ),
        Mistake(
            "noise-not-scaled",
            "The noise has variance 1; it is σ that stretches it, and σ is the exponential of `log_std`. You use another "
            "factor, or none, or no noise.",
            "What stands before ξ in (18.7)? What does the policy return?",
            *(_draw(width=name) for name in ("none", "log σ", "σ²", "√σ", "no noise")),
        ),
        Mistake(
            "not-squashed",
            "You return u. The action is tanh u: the environment's box ends at ±1.",
            "What is the last thing that happens to u in (18.7)?",
            _draw(squash="none"),
        ),
        Mistake(
            "clipped",
            "You clip u in place of squashing it. A clip piles all that is outside up at ±1, where there is no density, "
            "and its gradient is 0 there.",
            "Which function of u stands in (18.7)?",
            _draw(squash="clamp"),
            _draw(squash="clamp", density="of u"),
        ),
        Mistake(
            "mean-squashed",
            "You squash the mean and then add noise: the sum may leave the box. It is the sample that is squashed.",
            "In which order come noise and tanh in (18.7)?",
            _draw(squash="mean"),
            _draw(squash="mean", density="of u, about tanh μ"),
            _draw(squash="mean, clamped"),
            _draw(squash="mean, clamped", density="of u, about tanh μ"),
            _draw(squash="mean then tanh"),
            _draw(squash="mean then tanh", density="of u, about tanh μ"),
        ),
        Mistake(
            "density-of-u",
            "Your log π is that of u. The action tanh u has another density: (18.5) has a second term, and it is "
            "subtracted.",
            "Did you use your own `squashed_log_prob`?",
            _draw(density="of u"),
            _draw(density="added"),
        ),
        Mistake(
            "density-elsewhere",
            "Your log π is not taken at the u that was drawn: at the action, at the mean, or at atanh of the action, "
            "which is ±∞ or cut off where the action is ±1 in float32.",
            "You have u at hand. What does `squashed_log_prob` take first?",
            *(
                _draw(density=name)
                for name in ("at the action", "at the mean", "won back", "won back, clamped")
            ),
        ),
        Mistake(
            "unstable",
            "Your log π takes log(1 − tanh²u), with or without a small number inside: far out it is −∞ or wrong.",
            "Did you use your own `squashed_log_prob`?",
            _draw(density="ε = 1e-6"),
            _draw(density="plain"),
        ),
    ],
    also_correct=[_draw(), _action_by_distributions, _action_by_noise],
)

# ---------------------------------------------------------------------------------- sac_v_target


def _v_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, alpha, *tags, shift=0.0):
        q1, q2 = rng.normal(size=(2, n)) * 2 + shift
        if n > 1:
            q1[0], q1[1] = q2[0] - 1.0, q2[1] + 1.0  # each critic is the smaller one somewhere
        given = {"q1": q1, "q2": q2, "log_prob": rng.normal(size=n)}
        return Case(
            name, {k: made(x, grad=True) for k, x in given.items()} | {"alpha": alpha}, tags
        )

    return [
        case("a batch of eight", 8, 0.3),
        case("values all negative", 6, 0.2, "negative values", shift=-12.0),
        case("values all positive", 6, 0.4, shift=12.0),
        case("one state", 1, 0.5, "B = 1"),
        case("α = 0", 5, 0.0, "α = 0"),
        case("a large α", 7, 3.0),
    ]


# How α, log π and the value come together, and how not.
_SOFT: dict[str, Callable] = {
    "Q − α log π": lambda q, alpha, log_prob: q - alpha * log_prob,
    "Q": lambda q, alpha, log_prob: q + 0.0 * log_prob,
    "Q + α log π": lambda q, alpha, log_prob: q + alpha * log_prob,
    "Q − log π": lambda q, alpha, log_prob: q - log_prob,
    "Q/α − log π": lambda q, alpha, log_prob: q / alpha - log_prob,
    "α (Q − log π)": lambda q, alpha, log_prob: alpha * (q - log_prob),
    "αQ − log π": lambda q, alpha, log_prob: alpha * q - log_prob,
    "Q − α π log π": lambda q, alpha, log_prob: q - alpha * log_prob.exp() * log_prob,
    "Q − α π": lambda q, alpha, log_prob: q - alpha * log_prob.exp(),
    "Q − α mean log π": lambda q, alpha, log_prob: q - alpha * log_prob.mean(),
    "−α log π": lambda q, alpha, log_prob: -alpha * log_prob + 0.0 * q,
}


@composable
def _v_target(
    critic: str = "smaller", soft: str = "Q − α log π", detach: bool = True, cut: tuple = ()
):
    """V's label with its parts exchangeable; cut: which of the arguments alone are detached."""

    def sac_v_target(q1, q2, log_prob, alpha):
        q1, q2, log_prob = (x.detach() if i in cut else x for i, x in enumerate((q1, q2, log_prob)))
        label = _SOFT[soft](PICKS[critic](q1, q2), alpha, log_prob)
        return label.detach() if detach else label

    return sac_v_target


_either_v = attached_too(_v_target)


def _v_by_halves(q1, q2, log_prob, alpha):
    with torch.no_grad():
        return 0.5 * (q1 + q2 - (q1 - q2).abs()) - alpha * log_prob


def _v_by_rows(q1, q2, log_prob, alpha):
    rows = zip(q1.tolist(), q2.tolist(), log_prob.tolist(), strict=True)
    return torch.tensor([min(a, b) - alpha * lp for a, b, lp in rows])


sac_v_target = Exercise(
    "sac_v_target",
    reference=sac.sac_v_target,
    cases=_v_cases,
    returns=tensor(),
    points=1,
    equation="(18.8)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "one-critic",
            "Only one of the two critics enters your label. Now the one, now the other is smaller: both must enter.",
            "Change `q1` and `q2` in turn: does your result notice both?",
            *_either_v(critic="first"),
            *_either_v(critic="second"),
        ),
        Mistake(
            "mean-of-critics",
            "You average or add the critics. The mean of two values that are too high is too high.",
            "What stands before $Q$ in (18.8)?",
            *_either_v(critic="mean"),
            *_either_v(critic="sum"),
        ),
        Mistake(
            "max",
            "You take the larger critic: you would trust the larger error.",
            "Which of the two would you trust, if both tend to be too high?",
            *_either_v(critic="larger"),
        ),
        Mistake(
            "entropy-sign",
            "You add α log π. log π is *minus* a bonus: it is subtracted.",
            "An unlikely action has a log π far below zero. Should it raise the label or lower it?",
            *_either_v(soft="Q + α log π"),
        ),
        Mistake(
            "no-entropy",
            "Your label is the smaller Q alone. V is the soft value: Q leaves the bonus of this step to it.",
            "Which two arguments have you not used?",
            *_either_v(soft="Q"),
        ),
        Mistake(
            "alpha-elsewhere",
            "α is reward per nat: it stands at log π, and only there. You leave it out, or it multiplies or divides Q.",
            "In which units are Q, log π and α?",
            *(
                f
                for soft in ("Q − log π", "Q/α − log π", "α (Q − log π)", "αQ − log π")
                for f in _either_v(soft=soft)
            ),
        ),
        Mistake(
            "p-log-p",
            "You weigh log π with π, use π itself, or average log π over the batch. The action was drawn from π: the "
            "expectation is over samples already.",
            "What is done to `log_prob` in (18.8), and what in your code?",
            *(
                f
                for soft in ("Q − α π log π", "Q − α π", "Q − α mean log π")
                for f in _either_v(soft=soft)
            ),
        ),
        Mistake(
            "attached",
            "The numbers are right, but a gradient can flow through your label. V should move towards it; as it is, the "
            "label would also move towards V, the critics and the policy with it.",
            "Take the finished label out of the graph: all of it, not one of its parts.",
            _v_target(detach=False),
            *(
                _v_target(detach=False, cut=parts)
                for n in (1, 2)
                for parts in combinations(range(3), n)
            ),
        ),
        Mistake(
            "min-over-the-batch",
            "You take one minimum over the whole batch, or one of the critics for all of it. One comparison a row.",
            "How many comparisons does your minimum make?",
            *(
                f
                for pick in (
                    "smallest of all",
                    "critic of the smallest",
                    "critic of the smaller mean",
                )
                for f in _either_v(critic=pick)
            ),
        ),
        Mistake(
            "no-value",
            "Q is missing from your label: it holds the bonus of this step, and nothing of what the action is worth.",
            "Which two arguments have you not used?",
            *_either_v(soft="−α log π"),
        ),
    ],
    also_correct=[_v_target(), _v_by_halves, _v_by_rows],
)

# ------------------------------------------------------------------------------- sac_q_target_v1


def _q_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, *tags, gamma=0.9, terminated=None, shift=0.0):
        d = rng.random(n) < 0.4 if terminated is None else np.full(n, terminated)
        if terminated is None and n > 1:
            d[:2] = True, False
        v = rng.normal(size=n) * 2 + shift
        v[d] += 20 * rng.choice([-1.0, 1.0])  # a value at a terminal state is anybody's guess
        inputs = {
            "reward": made(2 * rng.normal(size=n), grad=True),
            "v_next": made(v, grad=True),
            "terminated": made(d.astype(np.float32)),
            "gamma": gamma,
        }
        return Case(name, inputs, tags)

    return [
        case("a batch of eight", 8),
        case("values all negative", 6, "negative values", shift=-15.0),
        case("one transition", 1, "B = 1", terminated=False),
        case("one transition, terminal", 1, "B = 1", terminated=True),
        case("γ = 0", 5, "γ = 0", gamma=0.0),
        case("γ = 1", 5, "γ = 1", gamma=1.0),
        case("nothing terminates", 8, terminated=False, gamma=0.8),
        case("everything terminates", 4, terminated=True),
    ]


@composable
def _q_target(
    mask: str = "next", discount: str = "next", detach: bool = True, cut: tuple = (), shape="row"
):
    """The critics' target with its parts exchangeable; cut: which of the arguments alone are detached."""

    def sac_q_target_v1(reward, v_next, terminated, gamma):
        reward, v_next = (x.detach() if i in cut else x for i, x in enumerate((reward, v_next)))
        if shape == "(B, B)":
            v_next = v_next[:, None]
        if discount == "reward":
            y = gamma * reward + (1 - terminated) * v_next
        elif discount == "twice":
            y = reward + gamma**2 * (1 - terminated) * v_next
        else:
            y = td_target(reward, v_next, terminated, gamma, mask, discount)
        y = y[:, None] if shape == "column" else y
        return y.detach() if detach else y

    return sac_q_target_v1


_either_q = attached_too(_q_target)


def _q_by_where(reward, v_next, terminated, gamma):
    return reward.detach() + gamma * torch.where(terminated > 0.5, 0.0, v_next.detach())


def _q_by_addcmul(reward, v_next, terminated, gamma):
    with torch.no_grad():
        return torch.addcmul(reward, v_next.masked_fill(terminated.bool(), 0.0), gamma + 0 * v_next)


sac_q_target_v1 = Exercise(
    "sac_q_target_v1",
    reference=sac.sac_q_target_v1,
    cases=_q_cases,
    returns=tensor(),
    points=1,
    equation="(18.11)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "terminal-bootstrap",
            "Your target goes on through a terminal state. Nothing comes after it, whatever number stands there.",
            "What is the right target of a row with `terminated` = 1? And what is yours?",
            *_either_q(mask="nothing"),
        ),
        Mistake(
            "no-gamma",
            "What follows in s′ enters without γ, or with its square. It comes one step later: it counts γ of itself.",
            "Where does γ stand in (18.11), and how often?",
            *_either_q(discount="nothing"),
            *_either_q(discount="twice"),
        ),
        Mistake("mask-on-everything", *REWARD_MASKED, *_either_q(mask="all")),
        Mistake("mask-inverted", *MASK_INVERTED, *_either_q(mask="inverted")),
        Mistake(
            "gamma-on-the-reward",
            *REWARD_DISCOUNTED,
            *_either_q(discount="all"),
            *_either_q(discount="reward"),
        ),
        Mistake(
            "attached",
            "The numbers are right, but a gradient can flow through your target. V's slow copy must not be trained by "
            "the critics' loss, and a target is a number in *all* of its parts.",
            "Take the finished target out of the graph.",
            _q_target(detach=False),
            _q_target(detach=False, cut=(0,)),
            _q_target(detach=False, cut=(1,)),
        ),
        Mistake(
            "b-by-b",
            "Your target has another shape than (B,): a column, or a table of every row with every other, which is what "
            "(B,) and (B, 1) make together.",
            "Print the shapes of the three tensors and of your result.",
            *_either_q(shape="(B, B)"),
            *_either_q(shape="column"),
        ),
    ],
    also_correct=[_q_target(), _q_by_where, _q_by_addcmul],
)

# ---------------------------------------------------------------------------- sac_v1_policy_loss


def _loss_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, dim, alpha, *tags):
        inputs = {
            "policy": _narrow(rng, dim),
            "critic1": network(rng, "critic", 3 + dim),
            "critic2": network(rng, "critic", 3 + dim),
            "obs": made(rng.normal(size=(n, 3))),
            "noise": made(rng.normal(size=(n, dim))),
            "alpha": alpha,
        }
        return Case(name, inputs, tags)

    return [
        case("actions of two numbers", 8, 2, 0.3),
        case("actions of one number", 9, 1, 0.5, "D = 1"),
        case("as many rows as dimensions", 3, 3, 0.7, "B = D"),
        case("one state", 1, 2, 0.4, "B = 1"),
        case("α = 0", 7, 2, 0.0, "α = 0"),
        case("a large α", 8, 2, 3.0),
    ]


# (α log π, Q) -> a row of the loss; some need α itself.
_ROWS: dict[str, Callable] = {
    "α log π − Q": lambda alpha, log_prob, q: alpha * log_prob - q,
    "Q − α log π": lambda alpha, log_prob, q: q - alpha * log_prob,
    "−α log π − Q": lambda alpha, log_prob, q: -alpha * log_prob - q,
    "α log π + Q": lambda alpha, log_prob, q: alpha * log_prob + q,
    "−Q": lambda alpha, log_prob, q: 0.0 * log_prob - q,
    "α log π": lambda alpha, log_prob, q: alpha * log_prob + 0.0 * q,
    "log π − Q": lambda alpha, log_prob, q: log_prob - q,
    "log π − Q/α": lambda alpha, log_prob, q: log_prob - q / alpha,
    "log π − αQ": lambda alpha, log_prob, q: log_prob - alpha * q,
    "α (log π − Q)": lambda alpha, log_prob, q: alpha * (log_prob - q),
}


@composable
def _policy_loss(
    critic: str = "smaller",
    row: str = "α log π − Q",
    cut: str = "",
    density: str = "squashed",
    seen: str = "action",
    reduce: str = "mean",
    score: str = "",
    of_means: bool = False,
    freeze: bool = False,
):
    """The policy's loss with its parts exchangeable.

    cut: "action", "Q", "log π", "direct" (μ and σ in log π alone) or "all"; seen: what the critics judge, the
    "action", "u", tanh of the mean ("greedy") or another draw ("another"); score: the score-function form, its sample
    "detached" or "attached"; of_means: the smaller mean; freeze: the critics collect no gradients.
    """

    def loss(policy, critic1, critic2, obs, noise, alpha):
        mean, log_std = policy(obs)
        u = mean + log_std.exp() * noise
        u = u.detach() if score == "detached" or cut == "action" else u
        how = {"squashed": "exact", "of u": "none", "ε": "ε = 1e-6", "added": "added"}[density]
        parts = (mean.detach(), log_std.detach()) if cut == "direct" else (mean, log_std)
        log_prob = _density(how)(u, *parts)
        judged = {
            "action": u.tanh,
            "u": lambda: u,
            "greedy": mean.tanh,
            "another": lambda: (mean - log_std.exp() * noise).tanh(),
        }[seen]()
        judged = judged.detach() if cut in ("action", "only the judged") else judged
        q1, q2 = critic1(obs, judged), critic2(obs, judged)
        if of_means:
            q1, q2 = q1.mean(), q2.mean()
        q = PICKS[critic](q1, q2)
        q = q.detach() if cut == "Q" else q
        log_prob = log_prob.detach() if cut == "log π" else log_prob
        rows = _ROWS[row](alpha, log_prob, q)
        if score:
            rows = log_prob * rows.detach()
        total = REDUCTIONS[reduce](rows)
        return total.detach() if cut == "all" else total

    def sac_v1_policy_loss(policy, critic1, critic2, obs, noise, alpha):
        if not freeze:
            return loss(policy, critic1, critic2, obs, noise, alpha)
        with frozen(critic1, critic2):
            return loss(policy, critic1, critic2, obs, noise, alpha)

    return sac_v1_policy_loss


def _free_or_frozen(**parts):
    """The same wrong answer with critics that collect gradients, and with frozen ones."""
    return _policy_loss(**parts), _policy_loss(**parts, freeze=True)


def _surrogate(policy, critic1, critic2, obs, noise, alpha):
    """Eq. (18.14) by hand: a number whose gradient is made of ∇_a Q and ∇_a log π."""
    action, log_prob = sac.squashed_action(policy, obs, noise)
    with frozen(critic1, critic2):
        at = action.detach().requires_grad_()
        q = torch.minimum(critic1(obs, at), critic2(obs, at))
        (slope,) = torch.autograd.grad(q.sum(), at)
    moves = (action * slope).sum(-1)
    return (alpha * log_prob - moves + moves.detach() - q.detach()).mean()


def _loss_by_rows(policy, critic1, critic2, obs, noise, alpha):
    total = 0.0
    for i in range(len(obs)):
        a, log_prob = sac.squashed_action(policy, obs[i : i + 1], noise[i : i + 1])
        q1, q2 = critic1(obs[i : i + 1], a), critic2(obs[i : i + 1], a)
        total = total + alpha * log_prob[0] - (q1 if q1 < q2 else q2)[0]
    return total / len(obs)


sac_v1_policy_loss = Exercise(
    "sac_v1_policy_loss",
    reference=sac.sac_v1_policy_loss,
    cases=_loss_cases,
    returns=tensor(),
    points=2,
    equation="(18.13)",
    call="gradients",
    rtol=RTOL,
    atol=DENSITY_ATOL,
    variants=[_policy_loss(freeze=True)],
    mistakes=[
        Mistake(
            "sign",
            "The sign is reversed: going down your loss makes Q small.",
            "A loss is made small. Which of Q and log π should become small?",
            *_free_or_frozen(row="Q − α log π"),
            *_free_or_frozen(row="α log π + Q"),
        ),
        Mistake(
            "entropy-sign",
            "Both terms have one sign: your policy is paid for being predictable.",
            "Read (18.13) again: what is subtracted from what?",
            *_free_or_frozen(row="−α log π − Q"),
        ),
        Mistake(
            "sample-detached",
            "The value is right, but the action carries no gradient, or log π or the whole loss carries none. With the "
            "action taken out of the graph only the entropy is left to learn from.",
            "The action is a function of θ, and Q and log π are functions of the action. What did you detach?",
            *_free_or_frozen(cut="action"),
            *_free_or_frozen(cut="log π"),
            *_free_or_frozen(cut="all"),
        ),
        Mistake(
            "q-detached",
            "Q gives the policy no gradient: it was detached, computed under no_grad, or asked for an action that was "
            "detached. ∇ₐQ is what tells the policy where to go: freeze the critics' *weights*, not Q.",
            "What should Q depend on here, and what should not move?",
            *_free_or_frozen(cut="Q"),
            *_free_or_frozen(cut="only the judged"),
        ),
        Mistake(
            "score-function",
            "That is the score-function gradient: log π times a number. It is unbiased, but it throws ∇ₐQ away (lesson "
            "13), and without a baseline it is mostly noise. (18.13) goes through the action.",
            "What in your loss depends on the action with its gradient attached?",
            *_free_or_frozen(score="detached"),
            *_free_or_frozen(score="attached"),
        ),
        Mistake(
            "direct-term-left-out",
            "Your gradient lacks the term in which θ moves log π at a fixed action. It has mean 0 (lesson 10's baseline "
            "argument), so leaving it out is unbiased and even less noisy; but it is not the gradient of (18.13).",
            "Which of the arguments of `squashed_log_prob` did you detach?",
            *_free_or_frozen(cut="direct"),
        ),
        Mistake(
            "first-critic-only",
            "You listen to one critic only. In (18.13) it is the smaller of the two, row by row.",
            "Which of the arguments have you not used?",
            *_free_or_frozen(critic="first"),
            *_free_or_frozen(critic="second"),
        ),
        Mistake(
            "mean-of-critics",
            "You average or add the critics. (18.13) takes the smaller one in every row.",
            "Which function compares two tensors entry by entry?",
            *_free_or_frozen(critic="mean"),
            *_free_or_frozen(critic="sum"),
        ),
        Mistake(
            "max",
            "You take the larger critic: the policy would climb whichever error is highest.",
            "What stands before Q in (18.13)?",
            *_free_or_frozen(critic="larger"),
        ),
        Mistake(
            "min-of-means",
            "You take one critic, or one value, for the whole batch. The smaller one of *each row* counts.",
            "Before or after the mean over the batch: when are the critics compared?",
            *_free_or_frozen(of_means=True),
            *_free_or_frozen(critic="smallest of all"),
            *_free_or_frozen(critic="critic of the smallest"),
        ),
        Mistake(
            "no-entropy",
            "The entropy term is missing: this is the loss of a deterministic actor, and the policy will shrink to one.",
            "Which argument have you not used?",
            *_free_or_frozen(row="−Q"),
        ),
        Mistake(
            "no-value",
            "Q is missing: your policy only cares for its entropy.",
            "Which two arguments have you not used?",
            *_free_or_frozen(row="α log π"),
        ),
        Mistake(
            "alpha-elsewhere",
            "α does not stand at log π, or not only there. (18.13) is α *times* the KL: rewards keep their unit.",
            "In which units are Q, log π and α?",
            *(
                f
                for row in ("log π − Q", "log π − Q/α", "log π − αQ", "α (log π − Q)")
                for f in _free_or_frozen(row=row)
            ),
        ),
        Mistake(
            "no-tanh-correction",
            "Your log π is that of u, or its second term has the wrong sign. The action tanh u has another density, (18.5).",
            "Did you use your own `squashed_action`?",
            *_free_or_frozen(density="of u"),
            *_free_or_frozen(density="added"),
        ),
        Mistake(
            "critic-sees-u",
            "Your critics judge u. They know actions in (−1, 1) only.",
            "What does `squashed_action` return first?",
            *_free_or_frozen(seen="u"),
        ),
        Mistake(
            "greedy-action",
            "Your critics judge another action than the one whose log π you take: tanh of the mean, or another draw. Q and "
            "log π stand at the same ã in (18.13).",
            "How many actions does your function make? It should be one a row.",
            *_free_or_frozen(seen="greedy"),
            *_free_or_frozen(seen="another"),
        ),
        Mistake(
            "sum",
            "You add the rows up. (18.13) is a mean: with a sum the step would grow with the batch.",
            "What should the loss of a batch be in which every row stands twice?",
            *_free_or_frozen(reduce="sum"),
        ),
        Mistake("not-averaged", *NOT_REDUCED, *_free_or_frozen(reduce="none")),
    ],
    also_correct=[_policy_loss(), _surrogate, _loss_by_rows],
)

# --------------------------------------------------------------------------- factored_projection


def _projection_cases(rng: np.random.Generator) -> list[Case]:
    def coupled(dim, spread=0.7, size=1.0):
        """Symmetric, positive definite, no two directions alike."""
        turn, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
        K = size * (turn * np.exp(spread * rng.normal(size=dim))) @ turn.T
        return (K + K.T) / 2

    def case(name, K, alpha, *tags):
        return Case(name, {"curvature": K, "alpha": alpha}, tags)

    r = rng.uniform(0.6, 0.9)
    return [
        case("two coupled dimensions", np.array([[4.0, 6.0 * r], [6.0 * r, 9.0]]), 0.5),
        case("three coupled dimensions", coupled(3), 0.2),
        case("five coupled dimensions, α above 1", coupled(5), 2.5),
        case("one dimension", np.array([[rng.uniform(2.0, 5.0)]]), 0.3, "D = 1"),
        case("no coupling: K is diagonal", np.diag(rng.uniform(0.5, 6.0, size=3)), 0.7, "K diagonal"),
        case("60 dimensions, curvatures of a million", coupled(60, 0.5, 1e6), 0.4, "many dimensions"),
        case("60 dimensions, curvatures of a millionth", coupled(60, 0.5, 1e-6), 0.4, "many dimensions"),
    ]  # fmt: skip


_SPREADS: dict[str, Callable] = {
    "√(α/K_ii)": lambda K, alpha: np.sqrt(alpha / np.diag(K)),
    "marginals": lambda K, alpha: np.sqrt(alpha * np.diag(np.linalg.inv(K))),
    "principal axes": lambda K, alpha: np.sqrt(alpha / np.linalg.eigvalsh(K)),
    "principal axes, largest first": lambda K, alpha: np.sqrt(alpha / np.linalg.eigvalsh(K)[::-1]),
    "α/K_ii": lambda K, alpha: alpha / np.diag(K),
    "√(K_ii/α)": lambda K, alpha: np.sqrt(np.diag(K) / alpha),
    "√(1/K_ii)": lambda K, alpha: np.sqrt(1 / np.diag(K)),
    "√(αK_ii)": lambda K, alpha: np.sqrt(alpha * np.diag(K)),
    "√(α/2K_ii)": lambda K, alpha: np.sqrt(alpha / (2 * np.diag(K))),
    "√(2α/K_ii)": lambda K, alpha: np.sqrt(2 * alpha / np.diag(K)),
}


def _twice_kl(K):
    return float(np.log(np.diag(K)).sum() - np.linalg.slogdet(K)[1])


_LEFT: dict[str, Callable] = {
    "½": lambda K, alpha: 0.5 * _twice_kl(K),
    "no ½": lambda K, alpha: _twice_kl(K),
    "−½": lambda K, alpha: -0.5 * _twice_kl(K),
    "×α": lambda K, alpha: 0.5 * alpha * _twice_kl(K),
    "/α": lambda K, alpha: 0.5 * _twice_kl(K) / alpha,
    "0": lambda K, alpha: 0.0,
    "of the marginals": lambda K, alpha: (
        0.5 * (np.log(np.diag(np.linalg.inv(K))).sum() + np.linalg.slogdet(K)[1])
    ),
    # KL from the product of the marginals to the target.
    "marginals against the target": lambda K, alpha: (
        0.5
        * (
            float(np.diag(K) @ np.diag(np.linalg.inv(K))) - len(K)
            - np.log(np.diag(np.linalg.inv(K))).sum() - np.linalg.slogdet(K)[1]
        )
    ),
    "products": lambda K, alpha: float(0.5 * np.log(np.prod(np.diag(K)) / np.linalg.det(K))),
}  # fmt: skip


@composable
def _projection(std: str = "√(α/K_ii)", kl: str = "½"):
    def factored_projection(curvature, alpha):
        return _SPREADS[std](curvature, alpha), float(_LEFT[kl](curvature, alpha))

    return factored_projection


def _by_schur(curvature, alpha):
    """The deviation of each number given all the others, by blocks; the KL of two Gaussians as it stands."""
    D = len(curvature)
    covariance = alpha * np.linalg.inv(curvature)
    variances = np.empty(D)
    for i in range(D):
        rest = np.delete(np.arange(D), i)
        inner, across = covariance[np.ix_(rest, rest)], covariance[rest, i]
        variances[i] = (
            covariance[i, i] - across @ np.linalg.solve(inner, across)
            if D > 1
            else covariance[i, i]
        )
    trace = np.trace(curvature @ np.diag(variances)) / alpha
    log_ratio = np.linalg.slogdet(covariance)[1] - np.log(variances).sum()
    return np.sqrt(variances), 0.5 * (trace - D + log_ratio)  # fmt: skip


def _by_cholesky(curvature, alpha):
    factor = np.linalg.cholesky(curvature)
    log_det = 2 * sum(math.log(x) for x in np.diagonal(factor))
    k = [curvature[i, i] for i in range(len(curvature))]
    return np.array([math.sqrt(alpha / x) for x in k]), (sum(map(math.log, k)) - log_det) / 2


def _by_scaling(curvature, alpha):
    K = torch.as_tensor(curvature)
    diagonal = K.diagonal()
    scaled = K / torch.sqrt(diagonal[:, None] * diagonal)
    return (alpha / diagonal).sqrt().numpy(), -0.5 * torch.logdet(scaled).item()


factored_projection = Exercise(
    "factored_projection",
    reference=sac.factored_projection,
    cases=_projection_cases,
    returns=several(std=array(), kl=number()),
    points=2,
    equation="(18.15)",
    rtol=1e-9,
    atol=1e-9,
    mistakes=[
        Mistake(
            "marginals",
            "Your σ are those of the target's own marginals. That Gaussian minimises the KL the other way round; yours is "
            "weighed by π, and pays for every place where the target is thin.",
            "Differentiate J for one σ. Which numbers of K are left in it?",
            _projection("marginals"),
            _projection("marginals", "of the marginals"),
            _projection("marginals", "marginals against the target"),
        ),
        Mistake(
            "principal-axes",
            "Your σ are the target's widths along its own axes. The policy's axes are the coordinates: it cannot turn.",
            "Which covariances can π have, with one σ a dimension?",
            _projection("principal axes"),
            _projection("principal axes, largest first"),
            _projection("principal axes", "0"),
            _projection("principal axes, largest first", "0"),
        ),
        Mistake(
            "variance",
            "You return variances: exp(−Ka²/2α) has the *variance* α/K.",
            "Asked is σ, in the unit of the action.",
            _projection("α/K_ii"),
        ),
        Mistake(
            "temperature-upside-down",
            "α and K have changed places, or one of them is missing or on the wrong side. Hotter is wider; steeper is "
            "narrower.",
            "What should σ do for α → 0? And for a K that grows?",
            *(_projection(name) for name in ("√(K_ii/α)", "√(1/K_ii)", "√(αK_ii)")),
        ),
        Mistake(
            "factor-of-two",
            "Your variance is twice or half of what it should be. Q has a ½, and so has the exponent of a Gaussian.",
            "Write the two exponents below each other, Q(a)/α and the Gaussian's, each with its ½.",
            *(_projection(name) for name in ("√(α/2K_ii)", "√(2α/K_ii)")),
        ),
        Mistake(
            "kl-half",
            "The ½ of the KL is missing: both Gaussians' log-densities carry ½ log det.",
            "What is log det's factor in the log-density of a Gaussian?",
            _projection(kl="no ½"),
        ),
        Mistake(
            "kl-sign",
            "Your KL is negative. A KL never is: det K ≤ ∏ K_ii (Hadamard).",
            "Which of the two Gaussians is the larger, and which stands first in the KL?",
            _projection(kl="−½"),
        ),
        Mistake(
            "kl-in-reward",
            "Your KL is multiplied or divided by α. J is α times the KL; asked is the KL, in nats. α cancels: both "
            "Gaussians are stretched alike.",
            "What does a change of α do to the two ellipses?",
            _projection(kl="×α"),
            _projection(kl="/α"),
        ),
        Mistake(
            "nothing-left",
            "The mean and each width fit; the correlation does not, and no σ mends it: the KL is not 0.",
            "Put μ and your σ back into J, and compare with −α log Z.",
            _projection(kl="0"),
        ),
        Mistake(
            "product-overflows",
            "Your formula is right, but a determinant or a product of 60 numbers of this size is no float64: it is "
            "infinite, or 0, before the logarithm is taken.",
            "What is the logarithm of a product? NumPy has a function for the logarithm of a determinant.",
            _projection(kl="products"),
        ),
    ],
    also_correct=[_projection(), _by_cholesky, _by_scaling, _by_schur],
)

# ---------------------------------------------------------------------------------- sac_v1_update


def _update_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, *tags, dim=2, n=6, calls=1, rho=0.9, alpha=0.6, terminated=None):
        parts = {
            "v_net": network(rng, "v", 3),
            "critic1": network(rng, "critic", 3 + dim),
            "critic2": network(rng, "critic", 3 + dim),
            "policy": _narrow(rng, dim),
            "v_targ": network(rng, "v", 3),
            "policy_optimizer": Optimizer(["policy"], 0.1),
            "v_optimizer": Optimizer(["v_net"], 0.1),
            "critic_optimizer": Optimizer(["critic1", "critic2"], 0.1),
            "alpha": alpha,
            "gamma": 0.9,
            "rho": rho,
        }
        flags = None if terminated is None else [terminated] * n
        inputs = {
            "agent_state": AgentState(parts),
            "batch": [transitions(rng, n, 3, act_dim=dim, terminated=flags) for _ in range(calls)],
            "noise": [made(x) for x in rng.normal(size=(calls, n, dim))],
        }
        return Case(name, inputs, tags)

    return [
        case("one step, actions of two numbers"),
        case("two steps, actions of one number", "D = 1", dim=1, calls=2),
        case("a slow copy that follows at once, α above 1", "ρ = 0", rho=0.0, alpha=1.6),
        case("a slow copy that stays, a small α", "ρ = 1", rho=1.0, alpha=0.15),
        case("one transition", "B = 1", n=1),
        case("every transition ends", "terminal", n=5, terminated=1),
    ]


_KEPT: dict[str, Callable] = {
    "ρ": lambda rho: rho,
    "1 − ρ": lambda rho: 1 - rho,
    "nothing": lambda rho: 0.0,
    "all": lambda rho: 1.0,
}


@composable
def _update(
    *,
    label_action: str = "fresh",
    label_obs: str = "obs",
    label_pick: str = "smaller",
    label_soft: str = "Q − α log π",
    label_masked: bool = False,
    label_joint: bool = False,
    next_v: str = "v_targ",
    next_at: str = "next_obs",
    twice: str = "",
    mask: str = "next",
    discount: str = "next",
    regressed: str = "batch's",
    critic_error: str = "each",
    critics: tuple[str, ...] = ("critic1", "critic2"),
    judged: str = "fresh",
    policy_pick: str = "smaller",
    policy_row: str = "α log π − Q",
    score: bool = False,
    density: str = "exact",
    critics_move: bool = False,
    half: tuple[str, ...] = ("v", "q"),
    order: str = "v, critics, policy, slow",
    keep: str = "ρ",
    follows: str = "v_targ",
    clear: tuple[str, ...] = ("v", "critic", "policy"),
    clear_after: bool = False,
) -> Callable:
    """The whole step, with one thing done otherwise.

    label_action: what V's label judges, "fresh", "batch" or "batch, own log π"; label_obs: where ã is drawn for it;
    label_joint: V's label keeps its graph in one backward pass with the critics; twice: a second bonus in y, of "s" or
    "s'"; critic_error: "each" its own, or of their "minimum" or "mean"; half: which losses have their ½.
    """

    step = stepper(clear, clear_after)

    def draw(me, obs, noise):
        mean, log_std = me.policy(obs)
        u = mean + log_std.exp() * noise
        return u.tanh(), _density(density)(u, mean, log_std), (mean, log_std)

    def label_of(me, batch, noise):
        action, log_prob, (mean, log_std) = draw(me, getattr(batch, label_obs), noise)
        if label_action != "fresh":
            action = batch.action
            if label_action == "batch, own log π":
                log_prob = _density(density)(_won_back(torch.atanh(action), 1e-6), mean, log_std)
        q = PICKS[label_pick](me.critic1(batch.obs, action), me.critic2(batch.obs, action))
        label = _SOFT[label_soft](q, me.alpha, log_prob)
        label = (1 - batch.terminated) * label if label_masked else label
        return label if label_joint else label.detach()

    def v_loss(me, batch, noise):
        error = mse_loss(me.v_net(batch.obs), label_of(me, batch, noise))
        return (0.5 if "v" in half else 1.0) * error

    def critic_loss(me, batch, noise, early=None):
        with torch.no_grad():
            if early is None:
                v = getattr(me, next_v)(getattr(batch, next_at))
            else:
                v = early
            if twice:
                v = (
                    v
                    - me.alpha * draw(me, batch.next_obs if twice == "s'" else batch.obs, noise)[1]
                )
            y = td_target(batch.reward, v, batch.terminated, me.gamma, mask, discount)
        action = batch.action
        if regressed == "the policy's":
            action = draw(me, batch.obs, noise)[0].detach()
        q = [getattr(me, name)(batch.obs, action) for name in critics]
        if critic_error == "minimum":
            errors = mse_loss(torch.minimum(*q), y)
        elif critic_error == "mean":
            errors = mse_loss((q[0] + q[1]) / 2, y)
        else:
            errors = sum(mse_loss(x, y) for x in q)
        return (0.5 if "q" in half else 1.0) * errors

    def move_policy(me, batch, noise):
        action, log_prob, _ = draw(me, batch.obs, noise)
        if score:
            action = action.detach()
        at = {"batch": batch.action, "detached": action.detach()}.get(judged, action)
        q = PICKS[policy_pick](me.critic1(batch.obs, at), me.critic2(batch.obs, at))
        rows = _ROWS[policy_row](me.alpha, log_prob, q)
        step(me, "policy", (log_prob * rows.detach() if score else rows).mean())
        if critics_move:
            me.critic_optimizer.step()

    def sac_v1_update(agent_state, batch, noise):
        me, early = agent_state, None
        if next_v == "v_net, before its step":
            early = me.v_net(batch.next_obs).detach()
        for part in order.split(", "):
            if part == "v" and label_joint:
                for name in ("v", "critic"):
                    getattr(me, f"{name}_optimizer").zero_grad()
                (v_loss(me, batch, noise) + critic_loss(me, batch, noise)).backward()
                me.v_optimizer.step()
                me.critic_optimizer.step()
            elif part == "v":
                step(me, "v", v_loss(me, batch, noise))
            elif part == "critics" and not label_joint:
                step(me, "critic", critic_loss(me, batch, noise, early))
            elif part == "policy":
                move_policy(me, batch, noise)
            elif part == "slow":
                other = {"v_targ": "v_net", "v_net": "v_targ"}[follows]
                polyak_update(getattr(me, follows), getattr(me, other), _KEPT[keep](me.rho))
        return {"done": 1.0}

    return sac_v1_update


def _in_one_backward(agent_state, batch, noise):
    """V and the critics share nothing: one backward pass for both, and the policy by the exercise before."""
    s = agent_state
    with torch.no_grad():
        a, log_prob = sac.squashed_action(s.policy, batch.obs, noise)
        label = torch.min(s.critic1(batch.obs, a), s.critic2(batch.obs, a)) - s.alpha * log_prob
        y = batch.reward + s.gamma * (1 - batch.terminated) * s.v_targ(batch.next_obs)
    error = (s.v_net(batch.obs) - label) ** 2
    for critic in (s.critic1, s.critic2):
        error = error + (critic(batch.obs, batch.action) - y) ** 2
    s.v_optimizer.zero_grad()
    s.critic_optimizer.zero_grad()
    (error.mean() / 2).backward()
    s.v_optimizer.step()
    s.critic_optimizer.step()
    loss = sac.sac_v1_policy_loss(s.policy, s.critic1, s.critic2, batch.obs, noise, s.alpha)
    descend(s.policy_optimizer, loss)
    with torch.no_grad():
        for slow, fast in zip(s.v_targ.parameters(), s.v_net.parameters(), strict=True):
            slow.lerp_(fast, 1 - s.rho)
    return {"errors": error.mean().item(), "policy": loss.item()}


def _by_autograd(agent_state, batch, noise):
    """ã drawn once, gradients asked for by name, the slow copy loaded."""
    s = agent_state
    a, log_prob = sac.squashed_action(s.policy, batch.obs, noise)
    q = torch.stack([s.critic1(batch.obs, a), s.critic2(batch.obs, a)]).amin(0)
    label = (q - s.alpha * log_prob).detach()
    y = sac.sac_q_target_v1(batch.reward, s.v_targ(batch.next_obs), batch.terminated, s.gamma)

    def down(optimizer, loss, *networks):
        weights = [w for net in networks for w in net.parameters()]
        for w, g in zip(
            weights, torch.autograd.grad(loss, weights, retain_graph=True), strict=True
        ):
            w.grad = g
        optimizer.step()

    down(s.v_optimizer, 0.5 * mse_loss(s.v_net(batch.obs), label), s.v_net)
    losses = [0.5 * mse_loss(c(batch.obs, batch.action), y) for c in (s.critic1, s.critic2)]
    down(s.critic_optimizer, sum(losses), s.critic1, s.critic2)
    q = torch.stack([s.critic1(batch.obs, a), s.critic2(batch.obs, a)]).amin(0)
    down(s.policy_optimizer, (s.alpha * log_prob - q).mean(), s.policy)
    fast = s.v_net.state_dict()
    s.v_targ.load_state_dict(
        {k: s.rho * slow + (1 - s.rho) * fast[k] for k, slow in s.v_targ.state_dict().items()}
    )
    return {"critics": losses[0].item()}


sac_v1_update = Exercise(
    "sac_v1_update",
    reference=sac.sac_v1_update,
    cases=_update_cases,
    returns=figures(),
    points=4,
    equation="(18.16)",
    call="updates",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "old-action-in-v",
            "V's label judges `batch.action`. V is the value of the policy of *now*; old actions are for Q.",
            "Which action stands in (18.8), and who draws it?",
            _update(label_action="batch"),
            _update(label_action="batch, own log π"),
        ),
        Mistake(
            "old-action-in-the-policy-loss",
            "In your policy's loss the critics judge `batch.action`, or one that was detached. It is no function of θ: "
            "only the entropy is left to learn from.",
            "At which action are Q and log π taken in (18.13)?",
            _update(judged="batch"),
            _update(judged="detached"),
        ),
        Mistake(
            "online-v",
            "Your y asks `v_net`, which moves with every step: the critics chase their own tail (lesson 08).",
            "Which of the two value networks stands in (18.11)?",
            _update(next_v="v_net"),
            _update(next_v="v_net, before its step"),
        ),
        Mistake(
            "v-of-s",
            "A state and the next one are mixed up: y asks V in s, or ã is drawn in s′ and judged in s.",
            "In which state stands V in (18.11)? Where is ã drawn in (18.8), and where is it judged?",
            _update(next_at="obs"),
            _update(label_obs="next_obs"),
        ),
        Mistake(
            "entropy-twice",
            "Your y has a bonus of its own. V(s′) holds the bonus of s′ already.",
            "Which losses hold log π in (18.16)? There are two.",
            _update(twice="s'"),
            _update(twice="s"),
        ),
        Mistake(
            "entropy-sign",
            "log π has the wrong sign, in V's label or in the policy's loss: log π is minus a bonus.",
            "Compare with (18.8) and (18.13), sign by sign.",
            _update(label_soft="Q + α log π"),
            _update(policy_row="−α log π − Q"),
            _update(label_soft="Q + α log π", policy_row="−α log π − Q"),
        ),
        Mistake(
            "policy-sign",
            "The policy goes the wrong way: it makes Q small.",
            "A loss is made small. Which of Q and log π should become small?",
            _update(policy_row="Q − α log π"),
            _update(policy_row="α log π + Q"),
        ),
        Mistake(
            "no-entropy",
            "The bonus is missing: in V's label, in the policy's loss, or in both.",
            "Where does log π stand in (18.8), and where in (18.13)?",
            _update(label_soft="Q"),
            _update(policy_row="−Q"),
            _update(label_soft="Q", policy_row="−Q"),
        ),
        Mistake(
            "alpha-missing",
            "log π enters without its factor α: in V's label, in the policy's loss, or in both.",
            "α is the price of a nat. Where does it stand in (18.8) and in (18.13)?",
            _update(label_soft="Q − log π"),
            _update(policy_row="log π − Q"),
            _update(label_soft="Q − log π", policy_row="log π − Q"),
        ),
        Mistake(
            "one-critic",
            "V's label or the policy's loss listens to one critic. Now the one, now the other is smaller: both must enter.",
            "Did you use your own `sac_v_target` and `sac_v1_policy_loss`, with both critics?",
            *(_update(label_pick=pick) for pick in ("first", "second")),
            *(_update(policy_pick=pick) for pick in ("first", "second")),
            _update(label_pick="first", policy_pick="first"),
        ),
        Mistake(
            "not-the-smaller",
            "V's label or the policy's loss takes the larger, the mean or the sum of the two critics.",
            "What stands before Q in (18.8) and (18.13)?",
            *(_update(label_pick=pick) for pick in ("larger", "mean", "sum")),
            *(_update(policy_pick=pick) for pick in ("larger", "mean", "sum")),
        ),
        Mistake(
            "one-critic-trained",
            "Only one critic learns; the other keeps the weights that it was born with.",
            "How many squared errors does (18.12) have?",
            _update(critics=("critic1",)),
            _update(critics=("critic2",)),
        ),
        Mistake(
            "own-action",
            "Your critics regress at the policy's action. Reward and s′ belong to the action of the batch.",
            "Which action was done in s, and paid with `batch.reward`?",
            _update(regressed="the policy's"),
        ),
        Mistake(
            "terminal-bootstrap",
            "Your y goes on through a terminal state. Nothing comes after it.",
            "Where does `terminated` enter (18.11)?",
            _update(mask="nothing"),
        ),
        Mistake("mask-inverted", *MASK_INVERTED, _update(mask="inverted")),
        Mistake("reward-masked", *REWARD_MASKED, _update(mask="all")),
        Mistake(
            "label-masked",
            "You put (1 − d) on V's label as well. d says something about s′; V's label is asked in s, where the "
            "episode still went on.",
            "Which state does `terminated` describe?",
            _update(label_masked=True),
        ),
        Mistake(
            "no-gamma",
            "What follows in s′ enters your y without γ.",
            "Where does γ stand in (18.11)?",
            _update(discount="nothing"),
        ),
        Mistake("gamma-on-the-reward", *REWARD_DISCOUNTED, _update(discount="all")),
        Mistake(
            "no-tanh-correction",
            "Your log π is that of u, or its correction has the wrong sign.",
            "Did you use your own `squashed_action`?",
            _update(density="none"),
            _update(density="added"),
        ),
        Mistake(
            "score-function",
            "Your policy learns by log π times a number: ∇ₐQ is thrown away.",
            "Did you use your own `sac_v1_policy_loss`?",
            _update(score=True),
        ),
        Mistake(
            "critics-move-with-the-policy",
            "The critics move in the policy's step as well, so as to make *themselves* larger. They are judges: only "
            "(18.12) moves them.",
            "Which optimiser steps after which backward pass?",
            _update(critics_move=True),
        ),
        Mistake(
            "v-moves-the-critics",
            "V's label kept its graph, and the critics have learned from V's loss. A label is a number: detach it.",
            "Did you use your own `sac_v_target`?",
            _update(label_joint=True),
        ),
        Mistake(
            "critics-through-their-minimum",
            "Your critics share one error, that of their minimum or of their mean. Each critic regresses by itself, or the "
            "other one never learns.",
            "How many squared errors does (18.12) have?",
            _update(critic_error="minimum"),
            _update(critic_error="mean"),
        ),
        Mistake(
            "wrong-order",
            "The steps are not in the order of (18.16): V, critics, policy, slow copy.",
            "Number your backward passes and compare with the recipe.",
            *(
                _update(order=order)
                for order in (
                    "policy, v, critics, slow",
                    "v, policy, critics, slow",
                    "critics, v, policy, slow",
                    "critics, policy, v, slow",
                    "policy, critics, v, slow",
                    "slow, v, critics, policy",
                    "v, slow, critics, policy",
                )
            ),
        ),
        Mistake(
            "polyak-reversed",
            "ρ and 1 − ρ have changed places: the slow copy is nearly new after every step.",
            "ρ is near 1: how much does the slow copy keep of itself?",
            _update(keep="1 − ρ"),
        ),
        Mistake(
            "target-frozen",
            "The slow copy never moves.",
            "The recipe's last line is missing.",
            _update(keep="all"),
            _update(order="v, critics, policy"),
        ),
        Mistake(
            "hard-copy",
            "The slow copy is made equal to V in every step: there is nothing slow about it.",
            "Where does ρ enter?",
            _update(keep="nothing"),
        ),
        Mistake(
            "wrong-network",
            "You move `v_net` towards its slow copy. The slow one follows; the other leads.",
            "Which of the two arguments of `polyak_update` is changed?",
            _update(follows="v_net"),
        ),
        Mistake(
            "no-half",
            "A ½ is missing: (18.9) and (18.12) have one before each mean square.",
            "Compare your losses with (18.9) and (18.12), factor by factor.",
            *(_update(half=some) for some in ((), ("v",), ("q",))),
        ),
        Mistake(
            "gradients-pile-up",
            "Gradients of earlier backward passes are still there when you step. The policy's loss leaves some in the "
            "critics, too.",
            "Before each of the three backward passes: who clears what?",
            *(
                _update(clear=some)
                for n in range(3)
                for some in combinations(("v", "critic", "policy"), n)
            ),
            _update(clear_after=True),
        ),
    ],
    also_correct=[_update(), _in_one_backward, _by_autograd],
)

LESSON = Lesson(
    "18",
    "Soft actor-critic, first form",
    [
        squashed_log_prob,
        squashed_action,
        sac_v_target,
        sac_q_target_v1,
        sac_v1_policy_loss,
        factored_projection,
        sac_v1_update,
    ],
    torch=True,
)
