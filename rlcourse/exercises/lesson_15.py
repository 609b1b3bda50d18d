"""Lesson 15: TD3."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.nn.functional import mse_loss, smooth_l1_loss

from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    composable,
    figures,
    loss_value,
    number,
)
from rlcourse.checker.declaration import tensor as tensor_form
from rlcourse.checker.harness import Case
from rlcourse.checker.material import attached_too
from rlcourse.checker.networks import (
    ATOL,
    RTOL,
    AgentState,
    Optimizer,
    network,
    tensor,
    transitions,
)
from rlcourse.continuous import td3
from rlcourse.exercises.network_targets import (
    MASK_INVERTED,
    PICKS,
    REWARD_DISCOUNTED,
    REWARD_MASKED,
    target_mistakes,
    td_target,
)
from rlcourse.lab.networks import polyak_update

# ------------------------------------------------------------------------ smoothed_target_action


def _smoothing_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, low, high, *tags, sigma=0.2, clip=0.5, spread=1.0, reach=0.98) -> Case:
        low, high = np.asarray(low, float), np.asarray(high, float)
        dims = max(low.size, high.size)
        middle, half = (low + high) / 2, (high - low) / 2
        mu = middle + half * rng.uniform(-reach, reach, size=(n, dims))
        # Rows at the border too, where a noise of either sign matters.
        mu[: n // 3] = np.where(rng.random((n // 3, dims)) < 0.5, low, high)
        noise = np.clip(rng.normal(size=(n, dims)) * spread, -6, 6)
        as_given = [float(x) if x.ndim == 0 else tensor(x) for x in (low, high)]
        inputs = {"mu_next": tensor(mu), "noise": tensor(noise), "sigma": sigma, "clip": clip}
        return Case(name, inputs | {"low": as_given[0], "high": as_given[1]}, tags)

    wide = "a wide box"
    return [
        case("actions in (−1, 1)", 24, -1.0, 1.0, spread=2.0),
        case("large noise, small clip", 24, -1.0, 1.0, sigma=0.7, clip=0.3),
        case("σ above 1", 24, -8.0, 8.0, wide, sigma=1.6, clip=2.5),
        case("a clip that is never reached", 24, -9.0, 9.0, wide, sigma=0.3, clip=4.0),
        case("a clip larger than 1", 24, -9.0, 9.0, wide, sigma=0.6, clip=1.4, spread=2.5),
        case("a box that differs by dimension", 24, [-1.0, -0.2, -3.0], [0.5, 0.3, 2.0],
             "the box differs by dimension", sigma=0.4),
        case("a box that is not symmetric", 24, [0.5, -4.0], [2.5, -1.0],
             "the box differs by dimension", sigma=0.5, clip=0.7),
        case("one action, bounds as (1,)", 24, [-2.0], [2.0], sigma=0.5),
        case("a policy that leaves the box by itself", 24, -1.0, 1.0, sigma=0.4, reach=1.5),
        case("one row", 1, [-1.0, -1.0], [1.0, 1.0], sigma=0.8),
        case("as many rows as dimensions", 3, [-1.0, -2.0, -0.3], [1.0, 0.4, 3.0],
             "the box differs by dimension", sigma=0.6),
    ]  # fmt: skip


# The scaled noise before and after the inner clip; the action's bounds.
_NOISES: dict[str, Callable] = {
    "σ ξ": lambda xi, s: s * xi,
    "σ² ξ": lambda xi, s: s**2 * xi,
    "√σ ξ": lambda xi, s: s**0.5 * xi,
    "ξ": lambda xi, s: xi,
    "none": lambda xi, s: 0.0 * xi,
    "−σ ξ": lambda xi, s: -s * xi,
}
_INNER: dict[str, Callable] = {
    "clip": lambda e, xi, s, c, low, high: e.clamp(-c, c),
    "none": lambda e, xi, s, c, low, high: e,
    "before scaling": lambda e, xi, s, c, low, high: s * xi.clamp(-c, c),
    "from 0": lambda e, xi, s, c, low, high: e.clamp(0.0, c),
    "above only": lambda e, xi, s, c, low, high: e.clamp(max=c),
    "box": lambda e, xi, s, c, low, high: _box(e, low, high),
}
_OUTER: dict[str, Callable] = {
    "box": lambda a, c, low, high: _box(a, low, high),
    "none": lambda a, c, low, high: a,
    "clip": lambda a, c, low, high: a.clamp(-c, c),
    "±1": lambda a, c, low, high: a.clamp(-1.0, 1.0),
    "tanh": lambda a, c, low, high: torch.tanh(a),
    "±high": lambda a, c, low, high: _box(a, -_t(high), high),
    "high only": lambda a, c, low, high: torch.minimum(a, _t(high)),
    "lowest, highest": lambda a, c, low, high: _one_bound(a, low.min(), high.max()),
    "highest, lowest": lambda a, c, low, high: _one_bound(a, low.max(), high.min()),
    "of the first": lambda a, c, low, high: _one_bound(a, low.flatten()[0], high.flatten()[0]),
    "of the last": lambda a, c, low, high: _one_bound(a, low.flatten()[-1], high.flatten()[-1]),
    "means": lambda a, c, low, high: _one_bound(a, low.mean(), high.mean()),
}
_ONE_BOUND = ("lowest, highest", "highest, lowest", "of the first", "of the last", "means")


@composable
def _smoothed(
    noise: str = "σ ξ", inner: str = "clip", outer: str = "box", first: str = "none"
) -> Callable:
    """The smoothed action with its parts exchangeable; first: what is done to μ before the noise is added."""

    def smoothed_target_action(mu_next, noise_, sigma, clip, low, high):
        low, high = _t(low), _t(high)
        epsilon = _INNER[inner](_NOISES[noise](noise_, sigma), noise_, sigma, clip, low, high)
        return _OUTER[outer](_OUTER[first](mu_next, clip, low, high) + epsilon, clip, low, high)

    return smoothed_target_action


def _t(bound):
    return torch.as_tensor(bound, dtype=torch.float32)


def _box(a, low, high):
    return torch.clip(a, _t(low), _t(high))


def _one_bound(a, low, high):
    return a.clamp(float(low), float(high))


smoothed_target_action = Exercise(
    "smoothed_target_action",
    reference=td3.smoothed_target_action,
    cases=_smoothing_cases,
    returns=tensor_form(),
    points=2,
    equation="(15.8)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "noise-not-clipped",
            "The noise is never held between −c and c. A normal draw can be as large as it likes, and then "
            "the target looks at an action far away from the policy's.",
            "Which argument of the function have you not used? There are two clips in the equation.",
            _smoothed(inner="none"),
        ),
        Mistake(
            "action-not-clipped",
            "The noisy action may leave the box. No replay holds an action from out there, so the critic's "
            "value for it is made up.",
            "What is the largest action your function can return when μ(s') is at the border?",
            _smoothed(outer="none"),
        ),
        Mistake(
            "clips-noise-before-scaling",
            "You clip ξ at ±c and scale afterwards, or clip σξ at ±σc, which is the same. Then the noise reaches up to "
            "σc, and c is no longer in the units of an action.",
            "In what order do σ and the inner clip stand in the equation?",
            _smoothed(inner="before scaling"),
        ),
        Mistake(
            "variance-for-deviation",
            "You scale the noise with σ² or √σ. A standard normal times σ has the standard deviation σ.",
            "What is the standard deviation of k·ξ, if ξ has the standard deviation 1?",
            _smoothed(noise="σ² ξ"),
            _smoothed(noise="√σ ξ"),
        ),
        Mistake(
            "noise-not-scaled",
            "σ multiplies nothing: your noise has the standard deviation 1 until it is clipped.",
            "Which argument of the function have you not used?",
            _smoothed(noise="ξ"),
        ),
        Mistake(
            "no-noise",
            "The noise does not enter: your action is that of the policy, held in the box. The smoothing is the whole "
            "point of (15.8).",
            "Which arguments of the function have you not used?",
            _smoothed(noise="none"),
        ),
        Mistake(
            "noise-on-one-side",
            "Your noise is clipped at one end only, or at 0: it is to be held between −c and c, and to push either way.",
            "What are the smallest and the largest number that your inner clip lets through?",
            _smoothed(inner="from 0"),
            _smoothed(inner="above only"),
        ),
        Mistake(
            "one-bound-for-all",
            "You use one lowest and one highest number for all dimensions. The box has its own bounds in each "
            "dimension of the action.",
            "`low` and `high` may be tensors of shape (D,). Which functions of torch accept those as bounds?",
            *(_smoothed(outer=bounds) for bounds in _ONE_BOUND),
        ),
        Mistake(
            "another-box",
            "You clip or squash the action into a box of your own: between −1 and 1, or between −`high` and `high`. The "
            "action's own bounds are given, and need not be symmetric.",
            "What does your function return for an action of 7 in the box from 5 to 9?",
            _smoothed(outer="±1"),
            _smoothed(outer="±high"),
            _smoothed(outer="tanh"),
        ),
        Mistake(
            "clips-before-adding",
            "You bring the policy's action into the box and add the noise afterwards, so the sum can leave it "
            "again. The outer clip encloses the whole sum.",
            "Count the brackets of the equation: what stands inside the outer one?",
            _smoothed(outer="none", first="box"),
            _smoothed(outer="none", first="box", inner="none"),
        ),
        Mistake(
            "clips-to-noise-bound",
            "You clip the action to ±c. That is the bound of the noise; the action has its own, `low` and `high`.",
            "Which of the two clips in the equation belongs to which pair of bounds?",
            lambda mu, xi, s, c, low, high: (mu + (s * xi).clamp(-c, c)).clamp(-0.5, 0.5),
            _smoothed(outer="clip"),
            _smoothed(outer="clip", inner="none"),
            _smoothed(outer="clip", inner="box"),
        ),
        Mistake(
            "noise-clipped-to-the-box",
            "You hold the noise between `low` and `high`. Those are the action's bounds; the noise has its own, ±c.",
            "Which of the two clips in the equation belongs to which pair of bounds?",
            _smoothed(inner="box"),
        ),
        Mistake(
            "noise-subtracted",
            "You subtract the noise. A draw is as likely as its negative, but `noise` is given and (15.8) adds it.",
            "Which sign stands before the noise?",
            _smoothed(noise="−σ ξ"),
        ),
    ],
    also_correct=[
        _smoothed(),
        lambda mu, xi, s, c, low, high: torch.minimum(
            torch.maximum(mu + torch.clamp(s * xi, min=-c, max=c), _t(low)), _t(high)
        ),
        lambda mu, xi, s, c, low, high: (mu + s * xi.clamp(-c / s, c / s)).clip(_t(low), _t(high)),
    ],
)  # fmt: skip

# ----------------------------------------------------------------------- clipped_double_q_target


def _target_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, gamma, *tags, shift=0.0, ended=None, apart=1.0) -> Case:
        flags = rng.random(n) < 0.4 if ended is None else np.full(n, ended)
        if ended is None and n > 1:
            flags[rng.permutation(n)[:2]] = False, True
        q1 = rng.normal(size=n) * 3 + shift
        q2 = q1 + apart * rng.normal(size=n) * 2
        # What a critic says of a terminal state is anybody's guess.
        q1[flags] += 40 * rng.choice([-1.0, 1.0])
        q2[flags] -= 30 * rng.choice([-1.0, 1.0])
        inputs = {
            "reward": tensor(rng.normal(size=n) * 2),
            "q1_next": tensor(q1, grad=True),
            "q2_next": tensor(q2, grad=True),
            "terminated": tensor(flags.astype(np.float64)),
            "gamma": gamma,
        }
        return Case(name, inputs, tags)

    return [
        case("a batch of eight", 8, 0.98),
        case("γ = ½", 9, 0.5),
        case("values all negative", 8, 0.95, "negative values", shift=-20.0),
        case("values all positive", 8, 0.9, shift=20.0),
        case("one transition", 1, 0.9, "B = 1", ended=False),
        case("one transition, terminal", 1, 0.9, "B = 1", ended=True),
        case("γ = 0", 5, 0.0, "γ = 0"),
        case("γ = 1", 5, 1.0, "γ = 1"),
        case("nothing terminates", 6, 0.97, ended=False),
        case("two critics that agree", 6, 0.97, apart=0.0),
    ]


@composable
def _double(
    pick: str = "smaller", mask: str = "next", discount: str = "next", detach: bool = True
) -> Callable:
    """The target with its parts exchangeable; mask, discount: as in `td_target`."""

    def clipped_double_q_target(reward, q1_next, q2_next, terminated, gamma):
        value = PICKS[pick](q1_next, q2_next)
        value = value.detach() if detach else value
        return td_target(reward, value, terminated, gamma, mask, discount)

    return clipped_double_q_target


_MINIMA = ("smaller", "smaller, the second if equal", "smaller, the first if equal")


def _attached(pick: str, half: int | None) -> Callable:
    """The right numbers with a gradient, `half` of the two critics' values taken out of the graph."""

    def clipped_double_q_target(reward, q1_next, q2_next, terminated, gamma):
        values = [x.detach() if i == half else x for i, x in enumerate((q1_next, q2_next))]
        return _double(pick, detach=False)(reward, *values, terminated, gamma)

    return clipped_double_q_target


_either = attached_too(_double)


clipped_double_q_target = Exercise(
    "clipped_double_q_target",
    reference=td3.clipped_double_q_target,
    cases=_target_cases,
    returns=tensor_form(),
    points=1,
    equation="(15.10)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "max",
            "You take the larger of the two estimates. That is the disease, not the cure: errors upwards are "
            "what the actor looks for.",
            "Which of two estimates would a careful person believe?",
            *_either(pick="larger"),
        ),
        Mistake(
            "mean",
            "You take the mean of the two critics. Averaging makes the noise smaller, but it does not lean "
            "against the upward pull.",
            "What does the equation do with its two numbers?",
            *_either(pick="mean"),
        ),
        Mistake(
            "first-critic-only",
            "Only one of the two critics is used. That is DDPG's target.",
            "Which of the arguments does your result not depend on?",
            *_either(pick="first"),
            *_either(pick="second"),
        ),
        Mistake(
            "terminal-bootstrap",
            "Your target bootstraps through a terminal state. After it comes nothing, whatever the critics say.",
            "What is the right target for a row with `terminated` = 1? And what is yours?",
            *_either(mask="nothing"),
        ),
        Mistake(
            "no-gamma",
            "The next state's value enters without γ: it comes one step later, so it counts γ of itself.",
            "How often does γ stand in the equation, and before what?",
            *_either(discount="nothing"),
        ),
        Mistake(
            "gradient-into-target",
            "The numbers are right, but a gradient flows through your target into the critics that made it. "
            "A target is a label: it must stand still while the critic moves.",
            "How do you tell torch that a tensor is a mere number from here on?",
            *(_double(pick, detach=False) for pick in _MINIMA),
            *(_attached(pick, half) for pick in _MINIMA for half in (0, 1)),
        ),
        Mistake(
            "min-over-the-batch",
            "You take one minimum over the whole batch, or one of the critics for all of it. The smaller estimate "
            "has to be chosen for each transition by itself.",
            "How many comparisons does your minimum make? It should be one a row.",
            *_either(pick="smallest of all"),
            *_either(pick="critic of the smallest"),
            *_either(pick="critic of the smaller mean"),
            *_either(pick="smallest of all, repeated"),
        ),
        Mistake(
            "sum-of-critics",
            "You add the two critics. Each of them estimates the whole value: their sum is about twice of it.",
            "If both critics said 10, what should a target make of it?",
            *_either(pick="sum"),
        ),
        Mistake("masks-reward", *REWARD_MASKED, *_either(mask="all")),
        Mistake("mask-inverted", *MASK_INVERTED, *_either(mask="inverted")),
        Mistake("reward-discounted", *REWARD_DISCOUNTED, *_either(discount="all")),
    ],
    also_correct=[
        _double(),
        lambda r, a, b, d, g: (r + g * (1 - d) * torch.stack([a, b]).min(dim=0).values).detach(),
        lambda r, a, b, d, g: r + torch.where(d > 0, 0.0, g * torch.min(a.detach(), b.detach())),
        lambda r, a, b, d, g: torch.min(r + g * (1 - d) * a, r + g * (1 - d) * b).detach(),
    ],
)

# ---------------------------------------------------------------------------------- clipped_bias


def _bias_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, sigma_1, sigma_2, rho, *tags) -> Case:
        return Case(name, {"sigma_1": sigma_1, "sigma_2": sigma_2, "rho": rho}, tags)

    def drawn(low=0.3, high=3.0) -> float:
        return float(rng.uniform(low, high))

    # So large that ρ in place of the covariance leaves a variance that has a root: it is told by its numbers.
    one, other = drawn(0.3, 0.9), drawn(1.4, 4.0)
    # Powers of two: of the difference nothing is left, whatever the algebra.
    power = float(2.0 ** rng.integers(1, 4))
    return [
        case("errors that agree in part", one, other, drawn(0.2, 0.8)),
        case("the same, exchanged", other, one, drawn(0.2, 0.8)),
        case("errors that disagree", drawn(1.1, 2.5), drawn(0.2, 0.9), -drawn(0.2, 0.8)),
        case("equal spreads", other, other, drawn(0.2, 0.8), "equal spreads"),
        case("independent errors", drawn(0.2, 0.9), drawn(1.1, 3.0), 0.0, "ρ = 0"),
        case("independent, equal spreads", other, other, 0.0, "ρ = 0", "equal spreads"),
        case("the same critic twice", power, power, 1.0, "ρ = 1", "equal spreads"),
        case(
            "one error is a multiple of the other", drawn(1.5, 2.0), drawn(2.5, 4.0), 1.0, "ρ = 1"
        ),
        case("errors that are opposite", one, other, -1.0, "ρ = −1"),
        case("values in the hundreds", 100 * drawn(), 100 * drawn(), drawn(0.1, 0.9)),
        case("values in the thousandths", 0.001 * drawn(), 0.001 * drawn(), -drawn(0.1, 0.9)),
    ]


# θ², of which the bias is made; the right one is the variance of Q₁ − Q₂.
_VARIANCES: dict[str, Callable] = {
    "of the difference": lambda s, t, rho: s**2 + t**2 - 2 * rho * s * t,
    "independent": lambda s, t, rho: s**2 + t**2,
    "of the sum": lambda s, t, rho: s**2 + t**2 + 2 * rho * s * t,
    "bare rho": lambda s, t, rho: s**2 + t**2 - 2 * rho,
    "covariance once": lambda s, t, rho: s**2 + t**2 - rho * s * t,
    "variances subtracted": lambda s, t, rho: abs(s**2 - t**2),
    "deviations subtracted": lambda s, t, rho: (s - t) ** 2,
    "deviations added": lambda s, t, rho: (s + t) ** 2,
    "first spread for both": lambda s, t, rho: 2 * s**2 * (1 - rho),
    "second spread for both": lambda s, t, rho: 2 * t**2 * (1 - rho),
    "larger spread for both": lambda s, t, rho: 2 * max(s, t) ** 2 * (1 - rho),
    "mean spread for both": lambda s, t, rho: (s + t) ** 2 / 2 * (1 - rho),
    "mean variance for both": lambda s, t, rho: (s**2 + t**2) * (1 - rho),
}
# E|Q₁ − Q₂|/2 for θ = 1.
_HALVES = {
    "over": 1 / math.sqrt(2 * math.pi),
    "missing": math.sqrt(2 / math.pi),
    "under the root": 1 / math.sqrt(math.pi),
    "once more": 1 / math.sqrt(8 * math.pi),
}


@composable
def _bias(
    variance: str = "of the difference",
    half: str = "over",
    root: str = "of all",
    sign: float = -1.0,
) -> Callable:
    """The bias of the minimum with its parts exchangeable; root: "of all", "of the numbers" alone or "of nothing"."""

    def clipped_bias(sigma_1, sigma_2, rho):
        squared = max(float(_VARIANCES[variance](sigma_1, sigma_2, rho)), 0.0)
        numbers = _HALVES[half] ** (2 if root == "of nothing" else 1)
        return sign * numbers * (math.sqrt(squared) if root == "of all" else squared)

    return clipped_bias


def _bias_by_quadrature(sigma_1, sigma_2, rho):
    """Right: −½ E|N(0, θ²)|, integrated over ten deviations, Gauss and Legendre's way."""
    theta = math.sqrt(sigma_1**2 + sigma_2**2 - 2 * rho * sigma_1 * sigma_2)
    node, weight = np.polynomial.legendre.leggauss(80)
    x = 5.0 * (node + 1)
    return -theta * float((5.0 * weight * x * np.exp(-(x**2) / 2)).sum()) / math.sqrt(2 * math.pi)


clipped_bias = Exercise(
    "clipped_bias",
    reference=td3.clipped_bias,
    cases=_bias_cases,
    returns=number(),
    points=2,
    equation="(15.11)",
    mistakes=[
        Mistake(
            "sign",
            "Your bias is positive. The smaller of two numbers is never above either of them, so on average it lies "
            "below.",
            "What is the sign of min(x, y) − (x + y)/2?",
            _bias(sign=1.0),
        ),
        Mistake(
            "independent",
            "ρ does not enter: you took the two errors for independent. Errors that agree cancel in the difference of "
            "the two critics.",
            "What is the variance of X − Y if X and Y are correlated?",
            _bias("independent"),
        ),
        Mistake(
            "rho-added",
            "Errors that agree make your bias larger. You have the variance of the *sum* of the critics; the minimum "
            "looks at their difference.",
            "What should come out for ρ = 1 and equal spreads, where both critics say the same?",
            _bias("of the sum"),
        ),
        Mistake(
            "bare-rho",
            "ρ stands alone, where the covariance belongs. A covariance is ρ times both deviations.",
            "Check the units: what is added to σ₁² has to be the square of a value.",
            _bias("bare rho"),
        ),
        Mistake(
            "covariance-once",
            "The covariance enters your variance once. Multiply out the square of a difference of two errors.",
            "How many mixed terms has $(x-y)^2$?",
            _bias("covariance once"),
        ),
        Mistake(
            "half-missing",
            "You subtract the whole mean distance between the critics. Half of the distance goes below the middle.",
            "By how much does min(x, y) lie below (x + y)/2?",
            _bias(half="missing"),
        ),
        Mistake(
            "half-under-the-root",
            "Your ½ has slipped under the root, or was lost on the way out of it: your bias is √2 times too large.",
            "What is ½ √(2/π), written as one root?",
            _bias(half="under the root"),
        ),
        Mistake(
            "halved-twice",
            "Your bias is half of what it should be: the distance between the critics is halved once.",
            "Where do the two ½ in your derivation come from?",
            _bias(half="once more"),
        ),
        Mistake(
            "deviations-subtracted",
            "You take |σ₁ − σ₂| for the deviation of the difference. That is true for ρ = 1 only.",
            "Variances and covariances can be added up; deviations cannot.",
            _bias("deviations subtracted"),
        ),
        Mistake(
            "deviations-added",
            "You take σ₁ + σ₂ for the deviation of the difference. That is true for ρ = −1 only.",
            "Variances and covariances can be added up; deviations cannot.",
            _bias("deviations added"),
        ),
        Mistake(
            "difference-of-variances",
            "You subtract the variances. The variance of a difference begins with a *sum* of two variances.",
            "What is the variance of X − Y if X and Y are independent?",
            _bias("variances subtracted"),
        ),
        Mistake(
            "equal-spreads",
            "Your formula knows one spread. It is true for σ₁ = σ₂ only.",
            "Which of your steps used that the two critics are equally noisy?",
            *(_bias(f"{which} for both") for which in (
                "first spread", "second spread", "larger spread", "mean spread", "mean variance",
            )),
        ),
        Mistake(
            "no-root",
            "Your result has the unit of a value *squared*. A bias has the unit of a value.",
            "What happens to your result if all values are counted in cents instead of euros?",
            _bias(root="of nothing"),
            _bias(root="of the numbers"),
        ),
    ],
    also_correct=[
        _bias(),
        lambda s, t, rho: -np.sqrt((s - t) ** 2 + 2 * (1 - rho) * s * t) / np.sqrt(2 * np.pi),
        lambda s, t, rho: -math.hypot(s - rho * t, t * math.sqrt(1 - rho**2)) / math.sqrt(2 * math.pi),
        _bias_by_quadrature,
    ],
)  # fmt: skip

# ---------------------------------------------------------------- td3_critic_update, td3_update


def _state(rng, obs_dim, act_dim, lr, box, whole=True, **numbers) -> AgentState:
    """An agent; whole: with what only the actor's half of the step needs."""
    # In the order of the algorithm: the first that is wrong is told.
    nets = {}
    for suffix in ("", "_targ"):
        for critic in ("critic1", "critic2"):
            nets[critic + suffix] = network(rng, "critic", obs_dim + act_dim)
        nets["actor" + suffix] = network(rng, "actor", obs_dim, act_dim)
    optimizers = {"critic_optimizer": Optimizer(["critic1", "critic2"], lr / 2)}
    if whole:
        optimizers = {"actor_optimizer": Optimizer(["actor"], 2 * lr)} | optimizers
    noise = {"sigma": 0.3, "clip": 0.4, "low": box[0], "high": box[1]}
    return AgentState(nets | optimizers | numbers | noise)


def _calls(rng, calls, n, obs_dim, act_dim, **batch) -> dict:
    """The batches and noises of several calls."""
    return {
        "batch": [transitions(rng, n, obs_dim, act_dim=act_dim, **batch) for _ in range(calls)],
        "noise": [tensor(rng.normal(size=(n, act_dim))) for _ in range(calls)],
    }


def _critic_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name, n, *tags, obs_dim=3, act_dim=2, gamma=0.9, calls=1, lr=0.2, box=(-1.0, 1.0), **batch
    ):
        state = _state(rng, obs_dim, act_dim, lr, box, whole=False, gamma=gamma)
        inputs = {"agent_state": state} | _calls(rng, calls, n, obs_dim, act_dim, **batch)
        return Case(name, inputs, tags)

    return [
        case("one step, a box that is not symmetric", 6, box=(-0.3, 0.5)),
        case("three steps", 6, calls=3),
        case("one action, γ = ½", 8, act_dim=1, gamma=0.5, calls=2),
        case("one row, and it goes on", 1, "B = 1", terminated=[0], calls=2),
        case("all rows terminate", 5, "terminated rows", terminated=[1] * 5),
        case("large errors", 6, "errors beyond 1", scale=8.0, lr=0.02),
    ]  # fmt: skip


def _update_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name,
        n,
        every,
        obs_dim=3,
        act_dim=2,
        rho=0.7,
        gamma=0.9,
        calls=3,
        lr=0.2,
        first=1,
        box=(-1.0, 1.0),
    ) -> Case:
        numbers = {"gamma": gamma, "rho": rho, "every": every}
        inputs = {"agent_state": _state(rng, obs_dim, act_dim, lr, box, **numbers)}
        inputs |= _calls(rng, calls, n, obs_dim, act_dim)
        return Case(name, inputs | {"step": list(range(first, first + calls))})

    return [
        # One call in which everything moves comes first: most mistakes show there, and it costs least.
        case("one update, everything moves", 6, 1, calls=1, box=(-0.3, 0.5)),
        case("three updates, the actor at every second", 6, 2),
        case("updates 6 to 8, the actor at every fourth", 6, 4, first=6),
        case("one action, ρ = 0.95, γ = ½", 8, 2, act_dim=1, rho=0.95, gamma=0.5, calls=2),
        case("one row a batch, updates 6 and 7, the actor at every third", 1, 3, calls=2, first=6),
    ]  # fmt: skip


# What decides whether it is an update's turn.
_RHYTHMS: dict[str, Callable] = {
    "due": lambda step, every: step % every == 0,
    "always": lambda step, every: True,
    "not due": lambda step, every: step % every != 0,
    "from 0": lambda step, every: (step - 1) % every == 0,
    "one early": lambda step, every: (step + 1) % every == 0,
    "remainder 1": lambda step, every: step % every == 1,
    "quotient": lambda step, every: bool(step // every),
    "quotient 1": lambda step, every: step // every == 1,
    "no quotient": lambda step, every: step // every == 0,
    "swapped": lambda step, every: every % step == 0,
    "never": lambda step, every: False,
}
_SMOOTHINGS: dict[str, Callable] = {
    "both": _smoothed(),
    "not scaled": _smoothed(noise="ξ"),
    "noise not clipped": _smoothed(inner="none"),
    "no box": _smoothed(outer="none"),
    "no clip at all": _smoothed(inner="none", outer="none"),
    "box of ±1": _smoothed(outer="±1"),
    "c for the box": _smoothed(outer="clip"),
    "box without noise": _smoothed(noise="none"),
    "none": lambda mu, *_: mu,
}
_LOSSES = {"mse": mse_loss, "huber": smooth_l1_loss}
_NETWORKS = ("critic1", "critic2", "actor")
_CRITICS = ("critic1", "critic2")


def _values(me, obs, action, suffix=""):
    return [getattr(me, name + suffix)(obs, action) for name in _CRITICS]


@composable
def _update(
    *,
    alone: bool = False,
    smoothing: str = "both",
    next_actor: str = "actor_targ",
    next_obs: str = "next_obs",
    next_critics: str = "_targ",
    detach: bool = True,
    pick: str = "smaller",
    mask: str = "next",
    discount: str = "next",
    critics: tuple[int, ...] = (1, 2),
    critic_action: str = "batch",
    loss: str = "mse",
    critic_reduce: str = "mean",
    half: float = 1.0,
    clear: tuple[str, ...] = ("before critics", "before actor"),
    critics_step: bool = True,
    actor_when: str = "due",
    actor_critic: str = "first",
    actor_loss_first: bool = False,
    sign: float = -1.0,
    reduce: str = "mean",
    critics_move: str = "",
    actor_first: bool = False,
    targets_when: str = "with the actor",
    always_follow: tuple[str, ...] = (),
    forgotten: tuple[str, ...] = (),
    keep: str = "rho",
) -> Callable:
    """Algorithm 1 with its steps exchangeable, so that each mistake differs in one of them.

    alone: the critics' half, `td3_critic_update`, of which the options from actor_when on say nothing;
    pick "each its own": no target for both; clear: when gradients are cleared, "before" or "after" a step of the
    "critics" or the "actor"; actor_loss_first: it is formed before the critics' step; critics_move: how the actor's
    gradient moves them: "again", added to their own; "alone"; or "at once" with their own step.
    """

    def clears(me, when, whose):
        if f"{when} {whose}" in clear:
            getattr(me, f"{whose.removesuffix('s')}_optimizer").zero_grad()

    def labels(me, batch, noise):
        seen = batch.next_obs if next_obs == "next_obs" else batch.obs
        mu = getattr(me, next_actor)(seen)
        a = _SMOOTHINGS[smoothing](mu, noise, me.sigma, me.clip, me.low, me.high)
        judged = batch.obs if next_obs == "obs throughout" else batch.next_obs
        q = _values(me, judged, a, next_critics)
        bootstraps = q if pick == "each its own" else [PICKS[pick](*q)] * 2
        given = batch.terminated, me.gamma, mask, discount
        return [td_target(batch.reward, value, *given) for value in bootstraps]

    def move_critics(me, batch, noise, at_once=False):
        with torch.set_grad_enabled(not detach):
            ys = labels(me, batch, noise)
        own = critic_action == "own"
        online = _values(me, batch.obs, me.actor(batch.obs).detach() if own else batch.action)
        losses = [
            half * _LOSSES[loss](online[i - 1], ys[i - 1], reduction=critic_reduce) for i in critics
        ]
        clears(me, "before", "critics")
        sum(losses).backward()
        if critics_step and not at_once:
            me.critic_optimizer.step()
            clears(me, "after", "critics")
        return float(sum(losses))

    def loss_of_the_actor(me, batch):
        action = me.actor(batch.obs)
        if actor_critic == "slow":
            value = me.critic1_targ(batch.obs, action)
        elif actor_critic == "first":
            value = me.critic1(batch.obs, action)
        else:
            value = PICKS[actor_critic](*_values(me, batch.obs, action))
        return sign * getattr(torch, reduce)(value)

    def move_actor(me, actor_loss):
        clears(me, "before", "actor")
        if critics_move == "alone":
            me.critic_optimizer.zero_grad()
        actor_loss.backward()
        me.actor_optimizer.step()
        clears(me, "after", "actor")
        if critics_move:
            me.critic_optimizer.step()
        return float(actor_loss)

    def td3_critic_update(agent_state, batch, noise):
        return move_critics(agent_state, batch, noise)

    def td3_update(agent_state, batch, noise, step):
        me = agent_state
        act = _RHYTHMS[actor_when](step, me.every)
        early = loss_of_the_actor(me, batch) if actor_loss_first and act else None
        losses = {}
        if actor_first and act:
            losses["actor"] = move_actor(me, loss_of_the_actor(me, batch))
        losses["critics"] = move_critics(me, batch, noise, act and critics_move == "at once")
        if act and not actor_first:
            late = loss_of_the_actor(me, batch) if early is None else early
            losses["actor"] = move_actor(me, late)
        due = act if targets_when == "with the actor" else _RHYTHMS[targets_when](step, me.every)
        rho = {"rho": me.rho, "1 - rho": 1 - me.rho, "nothing": 0.0}[keep]
        for name in _NETWORKS:
            if name in always_follow or (due and name not in forgotten):
                polyak_update(getattr(me, f"{name}_targ"), getattr(me, name), rho)
        return losses

    return td3_critic_update if alone else td3_update


_critic_update = partial(_update, alone=True)


def _errors(s, batch, noise):
    """Q − y of both critics, everything written out."""
    eps = torch.clamp(noise * s.sigma, -s.clip, s.clip)
    a = torch.clamp(s.actor_targ(batch.next_obs) + eps, s.low, s.high)
    q = torch.min(s.critic1_targ(batch.next_obs, a), s.critic2_targ(batch.next_obs, a))
    y = (batch.reward + s.gamma * (1 - batch.terminated) * q).detach()
    return [critic(batch.obs, batch.action) - y for critic in (s.critic1, s.critic2)]


def _critics_in_one_piece(one_by_one: bool) -> Callable:
    """A right first half; one_by_one: two calls of backward and one step."""

    def td3_critic_update(agent_state, batch, noise):
        first, second = _errors(agent_state, batch, noise)
        agent_state.critic_optimizer.zero_grad()
        if one_by_one:
            (first**2).mean().backward()
            (second**2).mean().backward()
        else:
            (first**2 + second**2).mean().backward()
        agent_state.critic_optimizer.step()
        return float((first**2 + second**2).mean())

    return td3_critic_update


def _critics_by_own_functions(agent_state, batch, noise):
    """Right; a gradient stays in the slow networks, which nobody steps."""
    s = agent_state
    mu = s.actor_targ(batch.next_obs)
    a = _smoothed()(mu, noise, s.sigma, s.clip, s.low, s.high)
    q1, q2 = s.critic1_targ(batch.next_obs, a), s.critic2_targ(batch.next_obs, a)
    y = _double(detach=False)(batch.reward, q1, q2, batch.terminated, s.gamma)
    online = [c(batch.obs, batch.action) for c in (s.critic1, s.critic2)]
    s.critic_optimizer.zero_grad()
    loss = mse_loss(online[0], y) + mse_loss(online[1], y)
    loss.backward()
    s.critic_optimizer.step()
    return loss


def _loss_after(agent_state, batch, noise):
    _critics_in_one_piece(False)(agent_state, batch, noise)
    return float(sum((error**2).mean() for error in _errors(agent_state, batch, noise)))


def _whole_in_one_piece(one_by_one: bool) -> Callable:
    """A right update, its second half written out."""

    def td3_update(agent_state, batch, noise, step):
        s = agent_state
        report = {"critics": _critics_in_one_piece(one_by_one)(s, batch, noise)}
        if not step % s.every:
            value = s.critic1(batch.obs, s.actor(batch.obs)).mean()
            s.actor_optimizer.zero_grad()
            (-value).backward()
            s.actor_optimizer.step()
            report["value"] = value.detach()
            for name in ("actor", "critic1", "critic2"):
                pairs = zip(getattr(s, name + "_targ").parameters(), getattr(s, name).parameters())  # noqa: B905
                for slow, fast in pairs:
                    slow.data.mul_(s.rho).add_((1 - s.rho) * fast.data)
        return report

    return td3_update


_PILE_UP = (
    "Gradients of earlier steps are still there when you call `backward()`: torch adds to them.",
    "What has to happen to the gradients before each `backward()`?",
)


def _mistakes_of_the_critics(make: Callable, one_critic: str) -> list[Mistake]:
    """What can go wrong in the critics' half, alone or in the whole step; one_critic: what that mistake is called."""
    return [
        Mistake(
            "online-actor-in-target",
            "The next action in the target comes from the actor that is being trained. It should come from its "
            "slow copy, as the critics do.",
            "Which networks of the equation for y carry the subscript targ?",
            make(next_actor="actor"),
        ),
        Mistake(
            "target-looks-at-s",
            "The target is asked for in s: the slow actor's action, or the critics' values of it as well. What follows "
            "the step lies in s′.",
            "Which observations do you give to the slow networks?",
            make(next_obs="obs"),
            make(next_obs="obs throughout"),
        ),
        Mistake(
            "not-smoothed",
            "The target looks at the action of the slow actor itself; `noise` is never used. The trick of (15.8) is "
            "missing.",
            "Which of your own functions makes the action at which the two critics are asked?",
            make(smoothing="none"),
            make(smoothing="box without noise"),
        ),
        Mistake(
            "noise-not-scaled",
            "σ multiplies nothing: the noise on the target's action has the standard deviation 1 until it is clipped.",
            "Which of the settings of `agent_state` have you not used?",
            make(smoothing="not scaled"),
        ),
        Mistake(
            "noise-not-clipped",
            "The noise on the target's action is never held between −c and c.",
            "There are two clips in (15.8). Which one have you left out?",
            make(smoothing="noise not clipped"),
        ),
        Mistake(
            "action-not-clipped",
            "The target's action may leave the box: what the noise pushed out of it is never brought back.",
            "There are two clips in (15.8). Which one have you left out? Your own `smoothed_target_action` has both.",
            make(smoothing="no box"),
            make(smoothing="no clip at all"),
        ),
        Mistake(
            "another-box",
            "The target's action is clipped to bounds that are not the box's: to ±1 or to ±c. The box has its own, "
            "`low` and `high`.",
            "In which line do `low` and `high` occur?",
            make(smoothing="box of ±1"),
            make(smoothing="c for the box"),
        ),
        Mistake(
            "online-critics-in-target",
            "The target is made by the critics that are being trained: the label moves with every step of theirs. The "
            "slow copies make the target.",
            "Which networks of the equation for y carry the subscript targ?",
            make(next_critics=""),
            make(next_critics="", detach=False),
        ),
        Mistake(
            "separate-targets",
            "Each critic is trained on its own bootstrap. Both learn from the smaller value, or the minimum does "
            "nothing.",
            "How many different y does the equation have?",
            make(pick="each its own"),
        ),
        Mistake(
            "not-the-smaller",
            "Your target does not take the smaller of the two values in each row: it takes the larger, the mean, the "
            "sum, or always the same critic's.",
            "Did you use your own `clipped_double_q_target`? What becomes of the two slow critics' values?",
            *(make(pick=pick) for pick in ("larger", "mean", "first", "second", "sum")),
        ),
        *target_mistakes(
            make,
            (
                "Your target bootstraps through a terminal state. After it comes nothing, whatever the critics say.",
                "Where does `terminated` enter your target?",
            ),
        ),
        Mistake(
            "own-action",
            "Your critics learn the value of the actor's action. Only the batch's action was tried in s, and the "
            "reward is its reward.",
            "At which action are the two critics asked in their own loss?",
            make(critic_action="own"),
        ),
        Mistake(
            one_critic,
            "Only one critic learns; the other keeps the weights that it was born with. Two estimates, two losses.",
            "How many squared errors does the critics' loss have?",
            make(critics=(1,)),
            make(critics=(2,)),
        ),
        Mistake(
            "averaged-loss",
            "Your critics' loss carries a factor ½. The two means are added, without a factor.",
            "Write out the loss of the equation for a batch of one. What is its gradient?",
            make(half=0.5),
        ),
        Mistake(
            "no-squared-error",
            "Your critics' loss is Huber's. Here the errors are squared, however large they are.",
            "Which loss function did you call, and which one does the equation write out?",
            make(loss="huber"),
        ),
        Mistake(
            "summed-loss",
            "Your critics' loss is summed over the batch. It is a mean for each critic: otherwise the step would grow "
            "with the batch.",
            "What happens to the critics' step when every row of the batch comes twice?",
            make(critic_reduce="sum"),
        ),
        Mistake(
            "critics-never-step",
            "Neither critic moves: nobody steps down their loss, or its gradients are cleared before the step.",
            "Which optimisers does `agent_state` hold, and which of them have you stepped?",
            make(critics_step=False),
        ),
    ]  # fmt: skip


td3_critic_update = Exercise(
    "td3_critic_update",
    reference=td3.td3_critic_update,
    cases=_critic_cases,
    returns=loss_value(),
    points=3,
    equation="(15.13)",
    call="updates",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        *_mistakes_of_the_critics(_critic_update, "one-critic-only"),
        Mistake(
            "gradients-pile-up",
            *_PILE_UP,
            _critic_update(clear=()),
            _critic_update(clear=("after critics",)),
        ),
        Mistake(
            "loss-after-the-step",
            "The critics move as they should, but the loss that you return is that of the new weights.",
            "The step went down *which* loss? Measure it before.",
            _loss_after,
        ),
    ],
    also_correct=[
        _critic_update(),
        _critics_in_one_piece(True),
        _critics_in_one_piece(False),
        _critics_by_own_functions,
    ],
)  # fmt: skip

td3_update = Exercise(
    "td3_update",
    reference=td3.td3_update,
    cases=_update_cases,
    returns=figures(),
    points=4,
    equation="(15.14)",
    parts=["delayed"],
    call="updates",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        *_mistakes_of_the_critics(_update, "one-critic-trained"),
        Mistake(
            "gradients-pile-up",
            *_PILE_UP,
            _update(clear=()),
            _update(clear=("before actor",)),
            _update(clear=("before critics",)),
            _update(clear=("after critics", "after actor")),
            _update(clear=("before critics", "after actor")),
        ),
        Mistake(
            "actor-loss-too-early",
            "You form the actor's loss before the critics' step, and differentiate it afterwards: the weights that it "
            "was made of have been overwritten, and PyTorch refuses. The actor follows the critic that has already "
            "learned from this batch.",
            "Which line of your function calls critic 1 with the actor's action, and where does the critics' step "
            "stand?",
            _update(actor_loss_first=True),
        ),
        Mistake(
            "actor-before-critics",
            "The actor moves first, along the old critic. It should follow the critic that has already learned "
            "from this batch.",
            "In which order do the lines of the algorithm come?",
            _update(actor_first=True),
        ),
        Mistake(
            "inverted",
            "The actor moves at the updates at which it should rest, and rests when it is due.",
            "For every = 3: at which of the updates 1 to 6 does your actor move?",
            _update(actor_when="not due"),
        ),
        Mistake(
            "off-by-one",
            "The actor moves at the wrong updates: they are counted from 1, and with `every` = 3 it is the third, the "
            "sixth and so on that move it.",
            "For every = 3: at which of the updates 1 to 6 does your actor move?",
            _update(actor_when="from 0"),
            _update(actor_when="one early"),
            _update(actor_when="remainder 1"),
        ),
        Mistake(
            "integer-division",
            "You ask for the quotient `step // every`, which says how often `every` has gone by. What says whether a "
            "division comes out even is its remainder.",
            "Which operator gives the remainder of a division?",
            _update(actor_when="quotient"),
            _update(actor_when="quotient 1"),
            _update(actor_when="no quotient"),
        ),
        Mistake(
            "swapped",
            "You divide `every` by `step`. It is the step that has to be a multiple of `every`.",
            "For every = 2: does your actor move at update 4?",
            _update(actor_when="swapped"),
        ),
        Mistake(
            "actor-every-step",
            "The actor moves at every update, whatever `every` says: the critics get no time to settle.",
            "Where in your function do `step` and `every` meet, and what depends on the answer?",
            _update(actor_when="always", targets_when="due"),
            _update(actor_when="always"),
        ),
        Mistake(
            "actor-never-moves",
            "The actor never moves. Either nothing steps it, or no gradient reaches it: if Q is taken at "
            "`batch.action`, or at a detached action, it is no function of the actor's weights.",
            "What are the actor's gradients at update 2 with every = 2, after the `backward()` of its loss?",
            _update(actor_when="never"),
            _update(actor_when="never", targets_when="due"),
        ),
        Mistake(
            "min-in-the-actor-loss",
            "Your actor climbs the smaller of the two critics. The minimum belongs into the target; the actor "
            "follows critic 1 alone.",
            "Compare the actor's loss in the equation with yours: how many critics has it?",
            _update(actor_critic="smaller"),
        ),
        Mistake(
            "both-critics-in-the-actor-loss",
            "Your actor climbs both critics, added up or averaged. It follows critic 1 alone.",
            "Compare the actor's loss in the equation with yours: how many critics has it?",
            _update(actor_critic="sum"),
            _update(actor_critic="mean"),
        ),
        Mistake(
            "another-critic-in-the-actor-loss",
            "Your actor climbs critic 2, or the slow copy of a critic. It is critic 1 that it follows, as it is now.",
            "Which index and which subscript has Q in the actor's loss?",
            _update(actor_critic="second"),
            _update(actor_critic="slow"),
        ),
        Mistake(
            "sign",
            "Your actor walks downhill on Q: it learns the worst action. An optimiser minimises, so the loss "
            "is minus the value.",
            "Which sign has the actor's loss in the equation?",
            _update(sign=1.0),
        ),
        Mistake(
            "sum",
            "Your actor's loss is a sum over the batch. It is a mean: otherwise the step would grow with the batch.",
            "What happens to the actor's step when every row of the batch comes twice?",
            _update(reduce="sum"),
        ),
        Mistake(
            "critics-move-with-the-actor",
            "A critic moves when the actor does: the gradient of the actor's loss has reached its weights. It "
            "would learn to flatter the actor.",
            "Which optimiser is stepped after the actor's loss, and what are its gradients at that moment?",
            *(_update(critics_move=how) for how in ("again", "alone", "at once")),
        ),
        Mistake(
            "targets-every-step",
            "Target networks move while the actor rests: then the labels drift under an actor that stands still, and "
            "the critics never meet the same question twice.",
            "Between two moves of the actor, do your labels stand still?",
            _update(targets_when="always"),
            _update(always_follow=("critic1", "critic2")),
        ),
        Mistake(
            "targets-never-move",
            "No slow network ever moves: the target stays that of the first weights.",
            "What comes after the actor's step in the algorithm?",
            _update(targets_when="never"),
        ),
        Mistake(
            "target-forgotten",
            "Not all three target networks move.",
            "How many networks have a slow copy? Count your calls of `polyak_update`.",
            *(_update(forgotten=(name,)) for name in ("actor", "critic1", "critic2")),
            _update(forgotten=("critic1", "critic2")),
        ),
        Mistake(
            "polyak-reversed",
            "ρ and 1 − ρ have changed places: your targets become almost the trained networks at once. With ρ "
            "near 1 they should hardly move.",
            "What should happen to the target networks at ρ = 1?",
            _update(keep="1 - rho"),
        ),
        Mistake(
            "hard-copies",
            "The slow networks are made equal to the trained ones: there is nothing slow about them.",
            "Where does `rho` enter?",
            _update(keep="nothing"),
        ),
    ],
    also_correct=[
        _update(),
        _whole_in_one_piece(True),
        _whole_in_one_piece(False),
    ],
)  # fmt: skip

LESSON = Lesson(
    "15",
    "TD3",
    [
        smoothed_target_action,
        clipped_double_q_target,
        clipped_bias,
        td3_critic_update,
        td3_update,
    ],
    torch=True,
)
