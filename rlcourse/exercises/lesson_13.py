"""Lesson 13: Stein's identity and two gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.distributions import Independent, Normal

from rlcourse.checker.comparing import same
from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    composable,
    numbers,
    several,
    tensor,
)
from rlcourse.checker.harness import Case, Outcome
from rlcourse.checker.networks import ATOL, RTOL, network
from rlcourse.checker.networks import tensor as recipe
from rlcourse.checker.plain import Tensor
from rlcourse.continuous import stein

_HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
ESTIMATES = several(for_mean=numbers(as_tensor=True), for_log_std=numbers(as_tensor=True))


def _policy(rng, n, dims, shape, log_std=(-1.2, 0.6)) -> tuple[np.ndarray, np.ndarray]:
    """A mean and a log σ; shape: "rows", (n, dims) each; "shared", (dims,) each; "mixed", one of each."""
    sizes = {
        "rows": [(n, dims)] * 2,
        "shared": [(dims,)] * 2,
        "mixed": [(n, dims), (dims,)],
    }[shape]
    return rng.normal(size=sizes[0]), rng.uniform(*log_std, size=sizes[1])


# Where a wrong broadcast goes unnoticed, and where a batch or a policy is one of one.
_SIZES = (
    ("a batch of six, two dimensions", 6, 2, "rows", ()),
    ("mean and log σ of shape (D,)", 5, 3, "shared", ("mean and log σ of shape (D,)",)),
    ("as many rows as dimensions", 3, 3, "rows", ("B = D",)),
    (
        "as many rows as dimensions, mean and log σ of shape (D,)",
        4,
        4,
        "shared",
        ("B = D", "mean and log σ of shape (D,)"),
    ),
    ("a mean a row, one log σ for all", 5, 2, "mixed", ()),
    ("one row", 1, 3, "shared", ("B = 1",)),
    ("one dimension", 6, 1, "rows", ("D = 1",)),
    ("one row, one dimension", 1, 1, "rows", ("B = 1", "D = 1")),
)

# ----------------------------------------------------------------------------- gaussian_log_prob


def _log_prob_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, z, mean, log_std, *tags: str) -> Case:
        given = {"a": mean + np.exp(log_std) * z, "mean": mean, "log_std": log_std}
        return Case(name, {k: recipe(x, grad=True) for k, x in given.items()}, tags)

    def plain(name, n, dims, shape, tags) -> Case:
        return case(name, 1.3 * rng.normal(size=(n, dims)), *_policy(rng, n, dims, shape), *tags)

    signs = rng.choice([-1.0, 1.0], size=(4, 2))
    narrow = np.array([[-12.5, -11.5], [-12.0, -14.5], [-12.5, -10.5], [-14.5, -12.5]])
    return [
        *(plain(*size) for size in _SIZES),
        case("actions at the mean", np.zeros((4, 2)), *_policy(rng, 4, 2, "rows")),
        case("sixty deviations from the mean", 60 * signs, *_policy(rng, 4, 2, "rows"), "far out"),
        case(
            "a very narrow policy",
            signs * rng.uniform(1.8, 2.2, size=(4, 2)),
            np.zeros((4, 2)),
            narrow,
            "very narrow",
        ),
        case(
            "a very wide policy",
            rng.normal(size=(4, 2)),
            *_policy(rng, 4, 2, "shared", (2.3, 3.0)),
            "very wide",
        ),
    ]


_WIDTHS: dict[str, Callable] = {
    "exp": lambda s: s.exp(),
    "exp of half": lambda s: (s / 2).exp(),
    "exp of double": lambda s: (2 * s).exp(),
    "log": lambda s: s,
    "+ 1e-8": lambda s: s.exp() + 1e-8,
    "+ 1e-6": lambda s: s.exp() + 1e-6,
    "+ 1e-5": lambda s: s.exp() + 1e-5,
    "+ 1e-7": lambda s: s.exp() + 1e-7,
    "clamped to −20, 2": lambda s: s.clamp(-20, 2).exp(),
    "clamped to −10, 2": lambda s: s.clamp(-10, 2).exp(),
    "clamped to −5, 2": lambda s: s.clamp(-5, 2).exp(),
    "clamped to −2, 2": lambda s: s.clamp(-2, 2).exp(),
    "clamped to −20, 1": lambda s: s.clamp(-20, 1).exp(),
    "clamped from −10": lambda s: s.clamp(min=-10).exp(),
    "clamped at 1e-6": lambda s: s.exp().clamp(min=1e-6),
    "clamped at 1e-5": lambda s: s.exp().clamp(min=1e-5),
}
_SQUARES: dict[str, Callable] = {
    "whole": lambda off, sigma: (off / sigma) ** 2,
    "over σ": lambda off, sigma: off**2 / sigma,
    "not squared": lambda off, sigma: off / sigma,
}
_DETERMINANTS: dict[str, Callable] = {
    "sum": lambda log_sigma, s: log_sigma,
    "none": lambda log_sigma, s: torch.zeros_like(log_sigma),
    "other sign": lambda log_sigma, s: -log_sigma,
    "half": lambda log_sigma, s: log_sigma / 2,
    "double": lambda log_sigma, s: 2 * log_sigma,
    "log σ as it is": lambda log_sigma, s: s,
}
_OVER: dict[str, Callable] = {
    "dimensions": lambda x: x.sum(dim=-1),
    "dimensions, mean": lambda x: x.mean(dim=-1),
    "rows": lambda x: x.sum(dim=0),
    "rows, mean": lambda x: x.mean(dim=0),
    "all": lambda x: x.sum(),
    "all, mean": lambda x: x.mean(),
    "all, in every row": lambda x: x.sum().expand(len(x)),
    "nothing": lambda x: x,
    "mean of the sums": lambda x: x.sum(dim=-1).mean(),
}


@composable
def _log_prob(
    width: str = "exp",
    square: str = "whole",
    half: float = 0.5,
    determinant: str = "sum",
    constant: str = "each",
    over: str = "dimensions",
    sign: float = -1.0,
    detach: bool = False,
) -> Callable:
    """log π with its parts exchangeable; constant: "each", "once", "none" or "log 2π" without its half."""

    def gaussian_log_prob(a, mean, log_std):
        sigma = _WIDTHS[width](log_std)
        each = half * _SQUARES[square](a - mean, sigma)
        each = each + _DETERMINANTS[determinant](sigma.log(), log_std)
        each = each + {"each": 1.0, "log 2π": 2.0}.get(constant, 0.0) * _HALF_LOG_2_PI
        out = sign * _OVER[over](each)
        out = out - _HALF_LOG_2_PI if constant == "once" else out
        return out.detach() if detach else out

    return gaussian_log_prob


def _determinant_of_the_batch(a, mean, log_std):
    z = (a - mean) / log_std.exp()
    constant = _HALF_LOG_2_PI * a.shape[1]
    return -0.5 * (z**2).sum(dim=-1) - log_std.expand(a.shape).sum() - constant


def _determinant_as_given(a, mean, log_std):
    """Right for a shared log σ; with a log σ a row, the batch's sum is in every row."""
    z = (a - mean) / log_std.exp()
    return -0.5 * (z**2).sum(dim=-1) - log_std.sum() - _HALF_LOG_2_PI * a.shape[1]


def _density(a, mean, log_std):
    sigma = log_std.exp()
    return (-0.5 * ((a - mean) / sigma) ** 2).exp() / (sigma * math.sqrt(2 * math.pi))


def _density_first(more: float, product: bool = True) -> Callable:
    if product:
        return lambda a, mean, log_std: (_density(a, mean, log_std).prod(dim=-1) + more).log()
    return lambda a, mean, log_std: (_density(a, mean, log_std) + more).log().sum(dim=-1)


def _density_held(least: float, product: bool = True) -> Callable:
    """The density kept above a least value, and its logarithm then."""
    if product:
        return lambda a, mean, log_std: _density(a, mean, log_std).prod(-1).clamp(min=least).log()
    return lambda a, mean, log_std: _density(a, mean, log_std).clamp(min=least).log().sum(-1)


def _minus_infinity(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    """Far out, and nowhere else, the logarithm of 0."""
    if len(outcomes) < len(cases):
        return False

    def infinite(outcome: Outcome) -> bool:
        value = outcome.value.get("value") if isinstance(outcome.value, dict) else None
        return isinstance(value, Tensor) and bool(np.isneginf(value.data).any())

    return [infinite(o) for o in outcomes] == ["far out" in case.tags for case in cases]


def _density_of_the_sum(a, mean, log_std):
    """The exponentials multiplied in one: −∞ far out as well."""
    sigma = log_std.exp().expand(a.shape)
    z = (a - mean) / sigma
    density = (-0.5 * (z**2).sum(dim=-1)).exp() / (sigma * math.sqrt(2 * math.pi)).prod(dim=-1)
    return density.log()


def _by_normal(a, mean, log_std):
    return torch.exp(Normal(mean, log_std.exp()).log_prob(a)).log().sum(dim=-1)


def _variance_taken(a, mean, log_std):
    return Normal(mean, (log_std / 2).exp()).log_prob(a).sum(dim=-1)


def _one_by_one(a, mean, log_std):
    mean, log_std = mean.expand(a.shape), log_std.expand(a.shape)
    total = torch.zeros(len(a))
    for j in range(a.shape[1]):
        z = (a[:, j] - mean[:, j]) / log_std[:, j].exp()
        total = total - z**2 / 2 - log_std[:, j] - _HALF_LOG_2_PI
    return total


def _alike_log_prob(case: Case, answer: dict, mistake: dict) -> bool:
    """Where a mistake's numbers are infinite its gradients may be anything."""
    mine, theirs = answer["value"], mistake["value"]
    if not (isinstance(mine, Tensor) and isinstance(theirs, Tensor)):
        return False
    if not same(mine.data, theirs.data, RTOL, ATOL):
        return False
    if not np.isfinite(theirs.data).all():
        return True
    return same(answer["gradients"], mistake["gradients"], RTOL, ATOL)


gaussian_log_prob = Exercise(
    "gaussian_log_prob",
    reference=stein.gaussian_log_prob,
    cases=_log_prob_cases,
    returns=tensor(),
    points=1,
    equation="(13.5)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    alike=_alike_log_prob,
    mistakes=[
        Mistake(
            "no-log-determinant",
            "log σ is left out of your sum, or enters with the other sign. A wide density is low: the area under it "
            "must stay 1.",
            "What does your function say of a = μ, for σ = 1 and for σ = 10? Which density is the higher one there?",
            _log_prob(determinant="none"),
            _log_prob(determinant="other sign"),
        ),
        Mistake(
            "no-constant",
            "½ log 2π is left out, or taken once for all dimensions, or without its ½. Each dimension brings its own "
            "√(2π).",
            "What is the density of a standard normal at 0, in one dimension? And in three?",
            _log_prob(constant="none"),
            _log_prob(constant="once"),
            _log_prob(constant="log 2π"),
        ),
        Mistake(
            "variance-for-deviation",
            "You take exp(`log_std`) for the variance: you divide the square by σ, or halve log σ. `log_std` is the "
            "logarithm of σ, and squared is (a − μ)/σ as a whole.",
            "What is the standard deviation of your density if `log_std` is log 2?",
            _log_prob(width="exp of half"),
            _log_prob(square="over σ"),
            _log_prob(determinant="half"),
            _variance_taken,
            _log_prob(width="exp of double"),
            _log_prob(determinant="double"),
        ),
        Mistake(
            "log-std-for-std",
            "You divide by log σ. Exponentiate first: a logarithm may be negative, a width may not.",
            "What is σ if `log_std` is 0?",
            _log_prob(width="log", determinant="log σ as it is"),
            _log_prob(width="log"),
        ),
        Mistake(
            "mean-over-dimensions",
            "You take the mean over the dimensions. Independent dimensions: probabilities multiply, so logarithms add.",
            "What is log(p · q), if log p = −1 and log q = −3?",
            _log_prob(over="dimensions, mean"),
        ),
        Mistake(
            "over-the-batch",
            "Your sum runs over the rows, all of it or a part. One number a row: add along the last axis.",
            "Does your first number change when you add more rows to the batch? It should not.",
            _log_prob(over="all"),
            _log_prob(over="rows"),
            _log_prob(over="all, in every row"),
            _log_prob(over="all, mean"),
            _log_prob(over="rows, mean"),
            _log_prob(over="mean of the sums"),
            _determinant_of_the_batch,
            _determinant_as_given,
        ),
        Mistake(
            "density-first",
            "You form the density and take its logarithm afterwards. Far out the density is 0 in float32: never leave "
            "the logarithm.",
            "What is exp(−1800) in float32, and what is the logarithm of that?",
            _density_first(0.0),
            _density_first(0.0, product=False),
            _density_of_the_sum,
            _by_normal,
            *(_density_first(more) for more in (1e-8, 1e-6, 1e-10, 1e-12)),
            *(_density_first(more, product=False) for more in (1e-8, 1e-6, 1e-10, 1e-12)),
            *(_density_held(least) for least in (1e-8, 1e-12, 1e-30, 1e-38)),
            *(_density_held(least, product=False) for least in (1e-8, 1e-12, 1e-30, 1e-38)),
            shows=_minus_infinity,
        ),
        Mistake(
            "eps-in-the-width",
            "Something is added to σ, or σ is held within bounds. Nothing here divides by zero, and a policy may become "
            "as narrow as it likes.",
            "What is σ if `log_std` is −12.5, and what is it in your function?",
            *(_log_prob(width=w) for w in _WIDTHS if w[0] in "+c"),
            *(_log_prob(width=w, determinant="log σ as it is") for w in _WIDTHS if w[0] in "+c"),
        ),
        Mistake(
            "sign",
            "This is −log π, what is called a loss. A likely action has the *larger* log-probability.",
            "Where is your function larger: at the mean, or far away from it?",
            _log_prob(sign=1.0),
        ),
        Mistake(
            "no-half",
            "The square has lost its ½. It is what makes σ² the variance.",
            "What is the derivative of your function for a, divided by (a − μ)?",
            _log_prob(half=1.0),
        ),
        Mistake(
            "not-squared",
            "The distance from the mean enters without its square: an action below the mean would be likelier than the "
            "mean itself.",
            "What does your function say one σ above the mean, and one σ below? A bell is symmetric.",
            _log_prob(square="not squared"),
        ),
        Mistake(
            "no-gradient",
            "The numbers are right, but no gradient flows through them. Whoever trains a policy differentiates this very "
            "function.",
            "Which line of yours cuts the graph: `detach`, `no_grad`, `.item()`, or a new tensor?",
            _log_prob(detach=True),
        ),
    ],
    also_correct=[
        _log_prob(),
        lambda a, mean, log_std: Normal(mean, log_std.exp()).log_prob(a).sum(-1),
        lambda a, mean, log_std: Independent(
            Normal(mean.expand(a.shape), log_std.exp().expand(a.shape)), 1
        ).log_prob(a),
        _one_by_one,
    ],
)

# ----------------------------------------------------------------------- score_function_gradient


def _score_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, dims, shape, tags=(), q=None, log_std=(-1.2, 0.6), grad=True) -> Case:
        mean, log_std = _policy(rng, n, dims, shape, log_std)
        given = {
            "noise": recipe(rng.normal(size=(n, dims))),
            "mean": recipe(mean, grad=grad),
            "log_std": recipe(log_std, grad=grad),
            "q": network(rng, "v", dims) if q is None else q,
        }
        return Case(name, given, tuple(tags))

    def values(n: int, shift: float = 0.0, grad: bool = False) -> Tensor:
        return recipe(shift + 2 * rng.normal(size=n), grad=grad)

    attached = "a Q that hangs on the actions"
    return [
        *(case(*size, q=values(size[1])) for size in _SIZES),
        case("a Q that hangs on the actions", 6, 2, "rows", (attached,)),
        case("as many rows as dimensions, a Q that hangs on the actions", 3, 3, "shared", ("B = D", attached)),
        case("one dimension, a Q that hangs on the actions", 5, 1, "rows", ("D = 1", attached)),
        case("values about a hundred", 6, 2, "rows", q=values(6, 100.0)),
        case("values about minus a hundred", 5, 2, "shared", q=values(5, -100.0)),
        case("a narrow policy", 5, 2, "rows", q=values(5), log_std=(-5.0, -4.0)),
        case("a mean and a log σ that want no gradient", 5, 2, "rows", q=values(5), grad=False),
        case("values that want a gradient", 5, 3, "rows", q=values(5, grad=True)),
    ]  # fmt: skip


_OF_MEAN: dict[str, Callable] = {
    "z/σ": lambda z, sigma: z / sigma,
    "z": lambda z, sigma: z,
    "z/σ²": lambda z, sigma: z / sigma**2,
    "(a − μ)": lambda z, sigma: z * sigma,
    "moves along": lambda z, sigma: torch.zeros_like(z),
}
_OF_LOG_STD: dict[str, Callable] = {
    "z² − 1": lambda z, sigma: z**2 - 1,
    "z²": lambda z, sigma: z**2,
    "z² + 1": lambda z, sigma: z**2 + 1,
    "1 − z²": lambda z, sigma: 1 - z**2,
    "over σ": lambda z, sigma: (z**2 - 1) / sigma,
    "half": lambda z, sigma: (z**2 - 1) / 2,
    "z²/σ": lambda z, sigma: z**2 / sigma,
    "z²/σ − 1/σ²": lambda z, sigma: z**2 / sigma - 1 / sigma**2,
    "(a − μ)²/σ − 1": lambda z, sigma: z**2 * sigma - 1,
    "z − 1": lambda z, sigma: z - 1,
    "moves along": lambda z, sigma: -torch.ones_like(z),
}
_ROWS: dict[str, Callable] = {
    "each": lambda x: x,
    "divided": lambda x: x / len(x),
    "mean": lambda x: x.mean(dim=0),
    "mean in every row": lambda x: x.mean(dim=0, keepdim=True).expand_as(x),
    "sum": lambda x: x.sum(dim=0),
    "sum in every row": lambda x: x.sum(dim=0, keepdim=True).expand_as(x),
    "dimensions": lambda x: x.sum(dim=-1),
}
_CENTRED: dict[str, Callable] = {
    "as given": lambda q: q,
    "centred": lambda q: q - q.mean(),
    "standardised": lambda q: (q - q.mean()) / (q.std() + 1e-8),
    "standardised, biased": lambda q: (q - q.mean()) / (q.std(unbiased=False) + 1e-8),
    "standardised, bare": lambda q: (q - q.mean()) / q.std(),
    "scaled": lambda q: q / (q.std() + 1e-8),
    "median": lambda q: q - q.median(),
    "others": lambda q: q - (q.sum() - q) / max(len(q) - 1, 1),
    "none": lambda q: torch.ones_like(q),
}
_AXES: dict[str, Callable] = {"row": lambda q: q[:, None], "column": lambda q: q}


def _slope_of(q, a):
    """∇_a Q along the graph that the values came with; zeros if there is none."""
    if not (q.requires_grad and a.requires_grad):
        return torch.zeros_like(a)
    found = torch.autograd.grad(q.sum(), a, retain_graph=True, allow_unused=True)[0]
    return torch.zeros_like(a) if found is None else found


@composable
def _score(
    of_mean: str = "z/σ",
    of_log_std: str = "z² − 1",
    signs: tuple[float, float] = (1.0, 1.0),
    rows: str = "each",
    centre: str = "as given",
    slope: str = "none",
    axis: str = "row",
) -> Callable:
    """Williams' estimates with their parts exchangeable; slope: "none", "added" or "times log π"."""

    def score_function_gradient(a, mean, log_std, q):
        sigma = log_std.detach().exp()
        z = (a - mean).detach() / sigma
        weight = _AXES[axis](_CENTRED[centre](q.detach()))
        parts = [_OF_MEAN[of_mean](z, sigma), _OF_LOG_STD[of_log_std](z, sigma)]
        out = [sign * weight * part for sign, part in zip(signs, parts, strict=True)]
        if slope != "none":
            along = _slope_of(q, a)
            if slope == "times log π":
                along = along * _log_prob()(a, mean, log_std).detach()[:, None]
            out = [out[0] + along, out[1] + along * (z * sigma)]
        return tuple(_ROWS[rows](part.expand(a.shape)) for part in out)

    return score_function_gradient


def _score_of_what_came(through: bool, q_too: bool) -> Callable:
    """The gradient for the very tensors that were passed in, whatever hangs on them."""

    def score_function_gradient(a, mean, log_std, q):
        log_pi = _log_prob()(a if through else a.detach(), mean, log_std)
        total = (log_pi * (q if q_too else q.detach())).sum()
        return torch.autograd.grad(total, (mean, log_std), retain_graph=True)

    return score_function_gradient


def _score_by_own_leaves(a, mean, log_std, q):
    m = mean.detach().expand(a.shape).clone().requires_grad_()
    s = log_std.detach().expand(a.shape).clone().requires_grad_()
    return torch.autograd.grad((_log_prob()(a.detach(), m, s) * q.detach()).sum(), (m, s))


def _score_by_variance(a, mean, log_std, q):
    variance = torch.exp(2 * log_std)
    off = a - mean
    return (
        torch.einsum("b,bd->bd", q, off / variance),
        torch.einsum("b,bd->bd", q, off**2 / variance - 1),
    )


def _score_by_vmap(a, mean, log_std, q):
    def one(a, m, s):
        return -(((a - m) / s.exp()) ** 2 / 2 + s).sum()

    shape = a.shape
    m, s = mean.detach().expand(shape), log_std.detach().expand(shape)
    found = torch.vmap(torch.func.grad(one, argnums=(1, 2)))(a.detach(), m, s)
    return tuple(q.detach()[:, None] * part for part in found)


score_function_gradient = Exercise(
    "score_function_gradient",
    reference=stein.score_function_gradient,
    cases=_score_cases,
    returns=ESTIMATES,
    points=2,
    equation="(13.8)",
    call="with_sample",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "sign",
            "A sign is turned round. The score points from the mean to the sample: a good sample draws the mean to "
            "itself.",
            "In one dimension, with Q = 1 and a above μ: is your estimate for the mean positive?",
            _score(signs=(-1.0, 1.0)),
            _score(signs=(-1.0, -1.0)),
            _score(signs=(1.0, -1.0)),
        ),
        Mistake(
            "std-for-variance",
            "The power of σ below a − μ is wrong: there is one from z and one more. Differentiate ½z² for μ: the inner "
            "derivative brings a second 1/σ.",
            "What is the derivative of z = (a − μ)/σ for μ?",
            _score(of_mean="z"),
            _score(of_mean="z/σ²"),
            _score(of_mean="(a − μ)"),
        ),
        Mistake(
            "no-minus-one",
            "Your estimate for log σ lacks its −1. Scores have mean 0, and z² alone has mean 1: that is the "
            "log-determinant's share.",
            "What is the mean of your estimate for log σ if Q is 1 everywhere? It should be 0.",
            _score(of_log_std="z²"),
            _score(of_log_std="z² + 1"),
        ),
        Mistake(
            "gradient-of-sigma",
            "This is the gradient for σ, or for log σ². The parameter is log σ, and ∂σ/∂log σ = σ.",
            "By what does z change if log σ grows by a little?",
            _score(of_log_std="over σ"),
            _score(of_log_std="half"),
        ),
        Mistake(
            "through-the-sample",
            "Your gradient runs through the sample: 0 for the mean, −Q for log σ. If the sample moves along with μ, "
            "a − μ does not change: here the sample is data.",
            "What hangs on `a` when it comes in? How do you tell torch that it is a mere number?",
            _score_of_what_came(through=True, q_too=False),
            _score(of_mean="moves along", of_log_std="moves along"),
        ),
        Mistake(
            "slope-counted-too",
            "The graph behind `q` is differentiated as well. Q is a number here; its slope belongs to the other "
            "estimator.",
            "What hangs on `q` when it comes in? Where in your code does its gradient stop?",
            _score(slope="times log π"),
            _score(slope="added"),
            _score_of_what_came(through=False, q_too=True),
            _score_of_what_came(through=True, q_too=True),
        ),
        Mistake(
            "averaged",
            "You averaged over the batch, or added it up. One estimate a row: their spread is what we want to see.",
            "Does your first row change when you add more rows below it? It should not.",
            _score(rows="mean"),
            _score(rows="divided"),
            _score(rows="mean in every row"),
            _score(rows="sum"),
            _score(rows="sum in every row"),
        ),
        Mistake(
            "baseline-inside",
            "You centre or scale the values of Q. Use Q as it is given: a mean that contains the row's own Q shrinks the "
            "gradient by 1 − 1/B.",
            "What does your function return for a batch of one row?",
            *(_score(centre=c) for c in _CENTRED if c not in ("as given", "none")),
        ),
        Mistake(
            "q-forgotten",
            "These are the scores alone: Q does not enter. Without it every action is as good as any other.",
            "Which argument of the function have you not used?",
            _score(centre="none"),
        ),
        Mistake(
            "row-for-column",
            "`q` meets your scores along the wrong axis: row i has its own Q. Give it an axis of length 1.",
            "Which shapes does torch line up, (B,) with (B, D): from the left, or from the right?",
            _score(axis="column"),
        ),
    ],
    also_correct=[
        _score(),
        _score_by_own_leaves,
        _score_by_variance,
        _score_by_vmap,
        lambda a, m, s, q: (
            q.unsqueeze(1) * (a - m) / s.exp() / s.exp(),
            q.unsqueeze(1) * ((a - m) / s.exp() - 1) * ((a - m) / s.exp() + 1),
        ),
    ],
)

# -------------------------------------------------------------------------------- stein_residual


def _residual_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, dims, shape, tags=(), phi=None, slope=None, z=None, grad=False) -> Case:
        mean, log_std = _policy(rng, n, dims, shape)
        z = rng.normal(size=(n, dims)) if z is None else z
        given = {
            "a": mean + np.exp(log_std) * z,
            "mean": mean,
            "log_std": log_std,
            "phi": 2 * rng.normal(size=n) if phi is None else np.full(n, phi),
            "grad_phi": rng.normal(size=(n, dims)) if slope is None else np.full((n, dims), slope),
        }
        return Case(name, {k: recipe(x, grad=grad) for k, x in given.items()}, tuple(tags))

    return [
        *(case(*size) for size in _SIZES),
        case("φ = 1, a baseline", 6, 2, "rows", ("φ = 1",), phi=1.0, slope=0.0),
        case("φ = 0 with a slope", 5, 2, "shared", ("φ = 0",), phi=0.0),
        case("actions at the mean", 5, 3, "rows", ("a = μ",), z=np.zeros((5, 3))),
        case("tensors that want gradients", 5, 2, "rows", grad=True),
    ]


@composable
def _residual(
    score: float = -1.0,
    power: int = 2,
    phi: str = "on the score",
    slope: float = 1.0,
    rows: str = "each",
    axis: str = "row",
) -> Callable:
    """Stein's residual with its parts exchangeable; phi: "on the score", "nowhere", "on both"."""

    def stein_residual(a, mean, log_std, phi_, grad_phi):
        grad_log_pi = score * (a - mean) / log_std.exp() ** power
        weight = torch.ones_like(phi_) if phi == "nowhere" else phi_
        on_slope = _AXES[axis](phi_) if phi == "on both" else 1.0
        return _ROWS[rows](_AXES[axis](weight) * grad_log_pi + slope * on_slope * grad_phi)

    return stein_residual


def _residual_by_autograd(a, mean, log_std, phi, grad_phi):
    own = a.detach().clone().requires_grad_()
    log_pi = _log_prob()(own, mean.detach(), log_std.detach()).sum()
    return torch.autograd.grad(log_pi, own)[0] * phi[:, None] + grad_phi


stein_residual = Exercise(
    "stein_residual",
    reference=stein.stein_residual,
    cases=_residual_cases,
    returns=numbers(as_tensor=True),
    points=1,
    equation="(13.14)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "sign",
            "Your score points away from the mean: that is ∇_μ log π. In (13.14) it is the slope for *a*, and log π falls "
            "when a moves away from μ: the slope points back.",
            "For a above μ: does log π grow or fall when a grows?",
            _residual(score=1.0),
        ),
        Mistake(
            "negated",
            "Both terms have the other sign. The mean of that is 0 as well, but the identity is about ∇_a(πφ)/π: both "
            "terms with a plus.",
            "What should come out where φ = 0 and its slope is 1?",
            _residual(score=1.0, slope=-1.0),
        ),
        Mistake(
            "slope-subtracted",
            "You subtract ∇φ. The product rule adds.",
            "Differentiate π·φ for a, and divide by π.",
            _residual(slope=-1.0),
        ),
        Mistake(
            "std-for-variance",
            "Your score divides by a wrong power of σ. The slope of ½z² for a is z/σ: one σ from z, one from the inner "
            "derivative.",
            "What is the derivative of z = (a − μ)/σ for a?",
            _residual(power=1),
            _residual(power=3),
            _residual(power=0),
        ),
        Mistake(
            "phi-forgotten",
            "φ stands on no term, or on both. Only the score is multiplied with φ; the other term has its slope already.",
            "What should come out where φ = 0? And where φ = 1 and its slope is 0?",
            _residual(phi="nowhere"),
            _residual(phi="on both"),
        ),
        Mistake(
            "slope-forgotten",
            "This is the score times φ. That alone has mean −E[∇φ].",
            "Which argument of the function have you not used?",
            _residual(slope=0.0),
        ),
        Mistake(
            "score-forgotten",
            "This is the slope of φ alone. The score of the policy is missing beside it.",
            "Which arguments of the function have you not used?",
            _residual(score=0.0),
        ),
        Mistake(
            "summed",
            "You add up or average, over the dimensions or over the batch. One identity for each dimension, one residual "
            "for each sample.",
            "Which shape should your result have?",
            *(_residual(rows=r) for r in _ROWS if r != "each"),
        ),
        Mistake(
            "row-for-column",
            "`phi` meets your score along the wrong axis. Row i has its own φ: give it an axis of length 1.",
            "Which shapes does torch line up, (B,) with (B, D): from the left, or from the right?",
            _residual(axis="column"),
        ),
    ],
    also_correct=[
        _residual(),
        _residual_by_autograd,
        lambda a, m, s, phi, g: torch.addcmul(g, phi.unsqueeze(-1), (m - a) / (2 * s).exp()),
        lambda a, m, s, phi, g: g - torch.einsum("b,bd->bd", phi, (a - m) * torch.exp(-s) ** 2),
    ],
)

# ----------------------------------------------------------------------------- pathwise_gradient


def _pathwise_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, dims, shape, tags=(), log_std=(-1.2, 0.6), noise=None, grad=False) -> Case:
        mean, log_std = _policy(rng, n, dims, shape, log_std)
        given = {
            "noise": recipe(rng.normal(size=(n, dims)) if noise is None else noise),
            "mean": recipe(mean, grad=grad),
            "log_std": recipe(log_std, grad=grad),
            "q_function": network(rng, "v", dims),
        }
        return Case(name, given, tuple(tags))

    return [
        *(case(*size) for size in _SIZES),
        case("no noise at all", 5, 2, "rows", ("ξ = 0",), noise=np.zeros((5, 2))),
        case("no noise, mean and log σ of shape (D,)", 4, 3, "shared", ("ξ = 0",), noise=np.zeros((4, 3))),
        case("a wide policy", 6, 2, "rows", log_std=(0.5, 0.9)),
        case("a narrow policy", 6, 2, "shared", log_std=(-5.0, -4.0)),
        case("a mean and a log σ that want gradients", 6, 2, "rows", grad=True),
        case("both of shape (D,), wanting gradients", 5, 2, "shared", grad=True),
    ]  # fmt: skip


# σ as a function of `log_std`, and its derivative.
_SIGMAS: dict[str, tuple[Callable, Callable]] = {
    "exp": (torch.exp, torch.exp),
    "log": (lambda s: s, torch.ones_like),
    "half": (lambda s: (s / 2).exp(), lambda s: (s / 2).exp() / 2),
    "double": (lambda s: (2 * s).exp(), lambda s: 2 * (2 * s).exp()),
    "softplus": (torch.nn.functional.softplus, torch.sigmoid),
}
_JACOBIANS: dict[str, Callable] = {
    "σξ": lambda sigma, slope, xi: slope * xi,
    "σξ by hand": lambda sigma, slope, xi: sigma * xi,
    "ξ": lambda sigma, slope, xi: xi,
    "σ": lambda sigma, slope, xi: sigma.expand_as(xi),
    "1": lambda sigma, slope, xi: torch.ones_like(xi),
    "σ²ξ": lambda sigma, slope, xi: sigma**2 * xi,
    "a": lambda sigma, slope, xi: sigma * xi,  # the mean is added below
}


@composable
def _pathwise(
    sigma: str = "exp",
    jacobian: str = "σξ",
    what: str = "slope",
    where: str = "sample",
    rows: str = "each",
    sign: float = 1.0,
    xi_sign: float = 1.0,
) -> Callable:
    """The pathwise estimates with their parts exchangeable.

    what: "slope" of Q, its "value", "score" for value times score, or "zeros"; where: "sample" or "mean".
    """

    def pathwise_gradient(noise, mean, log_std, q_function):
        mean, log_std = mean.detach(), log_std.detach()
        width, derivative = (f(log_std).expand_as(noise) for f in _SIGMAS[sigma])
        xi = xi_sign * noise
        a = (mean + width * xi if where == "sample" else mean.expand_as(noise)).clone()
        a.requires_grad_()
        q = q_function(a)
        if what == "score":
            q = q.detach()[:, None]
            out = (q * xi / width, q * (xi**2 - 1))
        else:
            weight = {
                "slope": lambda: torch.autograd.grad(q.sum(), a)[0],
                "value": lambda: q.detach()[:, None].expand_as(noise),
                "zeros": lambda: torch.zeros_like(noise),
                "one": lambda: torch.ones_like(noise),
            }[what]()
            factor = _JACOBIANS[jacobian](width, derivative, xi)
            out = (weight, (factor + mean if jacobian == "a" else factor) * weight)
        return tuple(_ROWS[rows](sign * part) for part in out)

    return pathwise_gradient


def _leaves_in_one(mean, log_std, noise, rows: bool):
    if rows:
        mean, log_std = mean.expand(noise.shape), log_std.expand(noise.shape)
    return [x.detach().clone().requires_grad_() for x in (mean, log_std)]


def _pathwise_by_autograd(rows: bool = True, mean_of_q: bool = False, spread: bool = False):
    """Own leaves of (B, D), or of the shapes that came; spread: the result repeated in every row."""

    def pathwise_gradient(noise, mean, log_std, q_function):
        m, s = _leaves_in_one(mean, log_std, noise, rows)
        q = q_function(m + s.exp() * noise)
        found = torch.autograd.grad(q.mean() if mean_of_q else q.sum(), (m, s))
        return tuple(g.expand(noise.shape) if spread else g for g in found)

    return pathwise_gradient


def _no_path(how: str) -> Callable:
    """The sample is made without a graph."""

    def pathwise_gradient(noise, mean, log_std, q_function):
        m, s = _leaves_in_one(mean, log_std, noise, rows=True)
        if how == "no_grad throughout":
            with torch.no_grad():
                q = q_function(m + s.exp() * noise)
        elif how == "sample":
            with torch.no_grad():
                a = m + s.exp() * noise
            q = q_function(a)
        else:
            q = q_function((m + s.exp() * noise).detach())
        return torch.autograd.grad(q.sum(), (m, s))

    return pathwise_gradient


def _no_path_shown(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    said = ("not require grad", "not have been used in the graph")
    failures = [o.failure for o in outcomes if o.failure is not None]
    return bool(failures) and all(
        f.type_name == "RuntimeError" and any(words in f.message for words in said)
        for f in failures
    )


def _gradients_left(how: str) -> Callable:
    """The right numbers; what was lent is not what it was."""

    def pathwise_gradient(noise, mean, log_std, q_function):
        if how == "backward":
            m, s = _leaves_in_one(mean, log_std, noise, rows=True)
            q_function(m + s.exp() * noise).sum().backward()
            return m.grad, s.grad
        if how == "flags":
            for x in (mean, log_std):
                x.requires_grad_()
        elif how == "frozen":
            for weight in q_function.parameters():
                weight.requires_grad_(False)
        return _pathwise_by_autograd()(noise, mean, log_std, q_function)

    return pathwise_gradient


def _left_behind(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    """Something lent has a gradient or a flag that it had not; a critic frozen for good is in the report."""

    def shown(outcome: Outcome) -> bool:
        if outcome.failure is not None:
            return outcome.failure.tag == "own-backward"
        frozen = isinstance(outcome.value, dict) and bool(outcome.value.get("frozen"))
        return frozen or any(name.endswith((".grad", ".requires_grad")) for name in outcome.changed)

    return any(map(shown, outcomes))


def _by_hand(noise, mean, log_std, q_function):
    a = (mean + log_std.exp() * noise).detach().requires_grad_()
    slope = torch.autograd.grad(q_function(a).sum(), a)[0]
    return slope, (a.detach() - mean) * slope


def _row_by_row(noise, mean, log_std, q_function):
    out = []
    for xi, m, s in zip(noise, mean.expand(noise.shape), log_std.expand(noise.shape), strict=True):
        m, s = m.detach().clone().requires_grad_(), s.detach().clone().requires_grad_()
        a = m + s.exp() * xi
        out.append(torch.autograd.grad(q_function(a[None]).sum(), (m, s)))
    return torch.stack([g for g, _ in out]), torch.stack([g for _, g in out])


def _by_vjp(noise, mean, log_std, q_function):
    def f(m, s):
        return q_function(m + torch.exp(s) * noise)

    shape = noise.shape
    q, pull = torch.func.vjp(f, mean.detach().expand(shape), log_std.detach().expand(shape))
    return pull(torch.ones_like(q))


def _backward_for_own(noise, mean, log_std, q_function):
    m, s = _leaves_in_one(mean, log_std, noise, rows=True)
    q_function(m + s.exp() * noise).sum().backward(inputs=[m, s])
    return m.grad, s.grad


pathwise_gradient = Exercise(
    "pathwise_gradient",
    reference=stein.pathwise_gradient,
    cases=_pathwise_cases,
    returns=ESTIMATES,
    points=2,
    equation="(13.17)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "leaves-gradients",
            "Something that you were only lent is not as it was: Q's weights have a gradient, or want none any more, or "
            "the caller's tensors want one now. Q is only asked: `autograd.grad` for what you want, and nothing else is "
            "touched.",
            "Which tensors does your code differentiate for? Are they your own, or the caller's?",
            _gradients_left("backward"),
            _gradients_left("flags"),
            _gradients_left("frozen"),
            shows=_left_behind,
        ),
        Mistake(
            "detached-sample",
            "No gradient arrives: the sample was made without a graph. The gradient has to run through the sample: that "
            "is the whole trick.",
            "Follow the path from `mean` to Q. Where does it break? And do the tensors that you differentiate for want a "
            "gradient?",
            _pathwise(what="zeros"),
            _no_path("detach"),
            _no_path("sample"),
            _no_path("no_grad throughout"),
            shows=_no_path_shown,
        ),
        Mistake(
            "score-function-instead",
            "This is the other estimator: Q times the score. You used values of Q; this one uses its slope.",
            "What is your estimate if 100 is added to Q? Nothing should change.",
            _pathwise(what="score"),
        ),
        Mistake(
            "gradient-of-sigma",
            "Your estimate for log σ has a wrong factor before ∇Q: σ is missing, or ξ. ∂a/∂log σ = σξ.",
            "By how much does a = μ + σξ move if log σ grows by a little?",
            *(_pathwise(jacobian=j) for j in ("ξ", "σ", "1", "σ²ξ", "a")),
        ),
        Mistake(
            "value-for-slope",
            "You use Q where its slope belongs. What multiplies ∇_θ a is how Q changes with a.",
            "What does the chain rule say of Q(a(θ))?",
            _pathwise(what="value"),
        ),
        Mistake(
            "slope-forgotten",
            "This is ∇_θ a alone: Q does not enter. Without it nobody says in which direction the action should go.",
            "What does the chain rule say of Q(a(θ))? It has two factors.",
            _pathwise(what="one"),
        ),
        Mistake(
            "slope-at-the-mean",
            "You take the slope of Q at the mean. That is the deterministic limit: here the slope is taken where the "
            "sample fell.",
            "At which a do you ask Q?",
            _pathwise(where="mean"),
        ),
        Mistake(
            "wrong-width",
            "Your samples have another spread. The sample's deviation is σ = exp(log_std).",
            "How far from `mean` is your sample if `log_std` is 0 and ξ = 1?",
            *(_pathwise(sigma=s) for s in _SIGMAS if s != "exp"),
            *(_pathwise(sigma=s, jacobian="σξ by hand") for s in _SIGMAS if s != "exp"),
        ),
        Mistake(
            "not-one-a-row",
            "Your rows are mixed: added up, averaged, or divided by B. One estimate a row: differentiate the sum, for "
            "leaves of shape (B, D).",
            "Does your first row change when you add more rows below it? It should not.",
            *(_pathwise(rows=r) for r in _ROWS if r not in ("each", "dimensions")),
            _pathwise_by_autograd(mean_of_q=True),
            _pathwise_by_autograd(rows=False),
            _pathwise_by_autograd(rows=False, mean_of_q=True),
            _pathwise_by_autograd(rows=False, spread=True),
            _pathwise_by_autograd(rows=False, mean_of_q=True, spread=True),
        ),
        Mistake(
            "sign",
            "Both estimates have the opposite sign: they lead downhill. Asked is the gradient of E[Q], which is to grow.",
            "With Q(a) = a, what is the slope for the mean?",
            _pathwise(sign=-1.0),
        ),
        Mistake(
            "noise-subtracted",
            "Your sample is μ − σξ. As a distribution that is the same; but `noise` is given, and a = μ + σξ.",
            "Which sign stands before σξ in (13.15)?",
            _pathwise(xi_sign=-1.0),
        ),
    ],
    also_correct=[
        _pathwise(),
        _pathwise_by_autograd(),
        _by_hand,
        _row_by_row,
        _by_vjp,
        _backward_for_own,
    ],
)

# --------------------------------------------------------------------- optimal_constant_baseline


def _baseline_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, mean, log_std, goal, height, *tags) -> Case:
        # A baseline next to 0 would be all rounding.
        mean, log_std, goal, height = (np.array(x, float) for x in (mean, log_std, goal, height))
        best = height - (mean - goal) ** 2 - 3 * np.exp(2 * log_std)
        height = np.where((np.abs(best) < 0.3) & (height != 0), height + 2.0, height)
        given = {"mean": mean, "log_std": log_std, "goal": goal, "height": height}
        return Case(name, {k: recipe(x) for k, x in given.items()}, tags)

    def drawn(n: int = 4, scale: float = 1.5) -> np.ndarray:
        return scale * rng.normal(size=n)

    def widths(n: int = 4) -> np.ndarray:
        return rng.uniform(-1.0, 0.7, size=n)

    at = drawn(4)
    return [
        case("five problems", drawn(5), widths(5), drawn(5), drawn(5, 4.0)),
        case("σ = 1", drawn(), np.zeros(4), drawn(), drawn(4, 4.0), "σ = 1"),
        case("high values", drawn(), widths(), drawn(), 8 + drawn(4)),
        case("low values", drawn(), widths(), drawn(), -8 + drawn(4)),
        case("a best value of 0", drawn(), widths(), drawn(), np.zeros(4), "c = 0"),
        case("a mean that is at the goal", at, widths(), at, drawn(4, 4.0), "μ = g"),
        case("a narrow policy at the goal", at, np.full(4, -6.0), at, np.zeros(4), "μ = g"),
        case("a narrow policy", drawn(), np.full(4, -6.0), drawn() + 5, drawn(4, 4.0)),
        case("a wide policy", drawn(), rng.uniform(0.8, 1.2, size=4), drawn(), drawn(4, 4.0)),
        case("one problem", drawn(1), widths(1), drawn(1), drawn(1, 4.0), "B = 1"),
    ]


_SPREADS: dict[str, Callable] = {
    "σ²": lambda s: (2 * s).exp(),
    "σ": lambda s: s.exp(),
    "log σ": lambda s: s,
    "log² σ": lambda s: s**2,
    "σ⁴": lambda s: (4 * s).exp(),
}
_VARIANCES: dict[str, Callable] = {
    # w: σ², u: (μ − g)², m4, m6: the moments
    "with b": lambda w, u, m4, m6, k: k**2 / w - 2 * m4 * k + m6 * w + 4 * (m4 - 1) * u,
    "best": lambda w, u, m4, m6, k: 8 * u + 6 * w,
    "mean square": lambda w, u, m4, m6, k: 12 * u + 6 * w,
    "without the score's σ": lambda w, u, m4, m6, k: w * (8 * u + 6 * w),
    "pathwise": lambda w, u, m4, m6, k: 4 * w,
    "no distance": lambda w, u, m4, m6, k: 6 * w,
    "no spread": lambda w, u, m4, m6, k: 8 * u,
}
# c − (μ − g)² less so many σ² is the baseline.
_TIMES = {"best": 3.0, "mean": 1.0, "at the mean": 0.0}


@composable
def _baseline(
    times: str = "best",
    spread: str = "σ²",
    variance: str = "best",
    m4: float = 3.0,
    m6: float = 15.0,
    m4_of_variance: float | None = None,
    spread_of_variance: str = "",
    sign: float = -1.0,
    distance: float = -1.0,
    height: float = 1.0,
    power: float = 1.0,
) -> Callable:
    """b* and its variance with their parts exchangeable.

    variance: a name of `_VARIANCES`; "its own" is that of the baseline returned, "without a baseline" of none.
    """

    def optimal_constant_baseline(mean, log_std, goal, height_):
        w, u = _SPREADS[spread](log_std), (mean - goal) ** 2
        count = m4 if times == "best" else _TIMES[times]
        b = height * height_ + distance * u + sign * count * w
        k = {"without a baseline": height_ - u}.get(variance, count * w)
        w = _SPREADS[spread_of_variance or spread](log_std)
        form = "with b" if variance in ("its own", "without a baseline") else variance
        return b, _VARIANCES[form](w, u, m4_of_variance or m4, m6, k) ** power

    return optimal_constant_baseline


def _moment_by_moment(mean, log_std, goal, height):
    """Right: Q as a polynomial in ξ, and the moments of a standard normal."""
    d, s = mean - goal, log_std.exp()
    moment = {0: 1, 2: 1, 4: 3, 6: 15}
    q = {0: height - d**2, 1: -2 * d * s, 2: -(s**2)}
    b = sum(c * moment.get(k + 2, 0) for k, c in q.items())
    q[0] = q[0] - b
    square = sum(q[i] * q[j] * moment.get(i + j + 2, 0) for i in q for j in q)
    slope = sum(c * moment.get(k + 1, 0) for k, c in q.items())
    return b, (square - slope**2) / s**2


def _by_quadrature(mean, log_std, goal, height):
    """Right: in double precision; the estimate without a constant, its square completed afterwards."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    xi, w = torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())
    m, s, g, c = (x.double()[:, None] for x in (mean, log_std, goal, height))
    sigma = s.exp()
    q = c - (m + sigma * xi - g) ** 2
    b = (w * xi**2 * q).sum(dim=1, keepdim=True)
    each = (q - b) * xi / sigma
    middle = (w * each).sum(dim=1, keepdim=True)
    return b[:, 0], (w * (each - middle) ** 2).sum(dim=1)


def _by_parabola(mean, log_std, goal, height):
    """Right: the variance at three baselines, and the vertex of the parabola through them."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    w = weights / weights.sum()
    out = []
    for m, s, g, c in zip(
        *(x.double().numpy() for x in (mean, log_std, goal, height)), strict=True
    ):
        sigma = np.exp(s)
        q = c - (m + sigma * nodes - g) ** 2

        def variance(b, q=q, sigma=sigma):
            each = (q - b) * nodes / sigma
            return w @ each**2 - (w @ each) ** 2

        middle, h = w @ q, max(sigma**2, 1e-3)
        low, here, high = (variance(middle + k * h) for k in (-1, 0, 1))
        b = middle - h * (high - low) / (2 * (high - 2 * here + low))
        out.append((b, variance(b)))
    found = torch.tensor(np.array(out))
    return found[:, 0], found[:, 1]


optimal_constant_baseline = Exercise(
    "optimal_constant_baseline",
    reference=stein.optimal_constant_baseline,
    cases=_baseline_cases,
    returns=several(baseline=numbers(), variance=numbers()),
    points=2,
    equation="(13.22)",
    rtol=1e-3,
    atol=1e-8,
    mistakes=[
        Mistake(
            "mean-of-q",
            "Your baseline is the mean of Q. Samples far out move μ most: weigh Q by the squared score before you "
            "average.",
            "The variance is a parabola in b. Where is its slope 0?",
            _baseline("mean"),
            _baseline("mean", variance="its own"),
        ),
        Mistake(
            "value-at-the-mean",
            "Your baseline lacks its σ²: it is Q at the mean. Q at the mean is not the mean of Q, and the best baseline is "
            "neither.",
            "For μ = g and c = 0, Q is at most 0. Can a good guess of it be 0?",
            _baseline("at the mean"),
            _baseline("at the mean", variance="its own"),
        ),
        Mistake(
            "fourth-moment",
            "A moment of ξ is wrong. For a standard normal the fourth moment is 3, the sixth 15.",
            "Integrate by parts: $\\mathbb E[\\xi^{n+1}] = n\\,\\mathbb E[\\xi^{n-1}]$.",
            _baseline(variance="its own", m4=1.0),
            _baseline(variance="its own", m4=2.0),
            *(_baseline(variance="its own", m4=m4, m6=m6) for m4, m6 in (
                (1.0, 1.0), (2.0, 6.0), (2.0, 8.0), (2.0, 4.0), (3.0, 5.0), (3.0, 6.0), (3.0, 10.0), (3.0, 12.0),
                (1.0, 3.0), (4.0, 15.0),
            )),
            _baseline(m4=2.0),
            *(_baseline(variance="its own", m4_of_variance=m4) for m4 in (1.0, 2.0)),
        ),
        Mistake(
            "mean-square",
            "This is the mean of the squared estimate. Variance: minus the squared mean, and the mean is −2(μ − g).",
            "What is left of your variance where σ is almost 0? Compare it with the square of the gradient.",
            _baseline(variance="mean square"),
        ),
        Mistake(
            "no-baseline",
            "The variance is the one without a baseline. Put b* in before you square.",
            "Does your variance depend on c? It must not: adding a constant to Q adds it to b* as well.",
            _baseline(variance="without a baseline"),
        ),
        Mistake(
            "score-without-sigma",
            "This is the variance of (Q − b)ξ. The score of μ is ξ/σ.",
            "By which power of σ does the variance change if every estimate is divided by σ?",
            _baseline(variance="without the score's σ"),
        ),
        Mistake(
            "sigma-for-variance",
            "σ, or log σ, stands where σ² belongs. Variances: $e^{2\\log\\sigma}$.",
            "Which unit has σ, if a is a length? And (μ − g)²?",
            _baseline(spread="σ"),
            _baseline(spread="log σ"),
            _baseline(spread="log² σ"),
            *(_baseline(spread=w, spread_of_variance="σ²") for w in ("σ", "log σ", "log² σ")),
            *(_baseline(spread_of_variance=w) for w in ("σ", "log σ", "log² σ")),
        ),
        Mistake(
            "deviation",
            "You return the standard deviation. Asked is the variance.",
            "Is there a root in your last line?",
            _baseline(power=0.5),
        ),
        Mistake(
            "pathwise-variance",
            "4σ² is the variance of the pathwise estimate. That is the other estimator.",
            "Which of the two has a baseline?",
            _baseline(variance="pathwise"),
        ),
        Mistake(
            "sign",
            "Your baseline lies above what Q can reach, or has the wrong sign before (μ − g)². All values of Q lie below c, "
            "and so does every average of them.",
            "For μ = g and c = 0: is your baseline negative?",
            _baseline(sign=1.0),
            _baseline(distance=1.0),
            _baseline(sign=1.0, distance=1.0),
        ),
        Mistake(
            "height-forgotten",
            "Your baseline does not know c. If every Q grows by 7, so does the best thing to subtract.",
            "Which argument of the function have you not used?",
            _baseline(height=0.0),
        ),
    ],
    also_correct=[_baseline(), _moment_by_moment, _by_quadrature, _by_parabola],
)  # fmt: skip

# ----------------------------------------------------------------- deterministic_policy_gradient


def _actor_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, obs_dim, act_dim, *tags) -> Case:
        given = {
            "actor": network(rng, "actor", obs_dim, act_dim),
            "critic": network(rng, "critic", obs_dim + act_dim),
            "obs": recipe(rng.normal(size=(n, obs_dim))),
        }
        return Case(name, given, tags)

    return [
        case("a batch of six", 6, 3, 2),
        case("as many rows as dimensions", 3, 3, 3, "B = D"),
        case("one row", 1, 4, 2, "B = 1"),
        case("one action", 7, 2, 1, "D = 1"),
        case("one observation", 5, 1, 2),
        case("a batch of twenty", 20, 3, 2),
    ]


def _weights_of(actor) -> tuple:
    return tuple(actor.parameters())


def _slopes(actor, critic, obs):
    action = actor(obs).detach().requires_grad_()
    return torch.autograd.grad(critic(obs, action).sum(), action)[0]


_OBJECTIVES: dict[str, Callable] = {
    "Q": lambda actor, critic, obs: critic(obs, actor(obs)),
    "value times action": lambda actor, critic, obs: (
        critic(obs, actor(obs)).detach() * actor(obs).sum(dim=-1)
    ),
    "action": lambda actor, critic, obs: actor(obs).sum(dim=-1),
    "means multiplied": lambda actor, critic, obs: (
        (actor(obs).mean(dim=0) * _slopes(actor, critic, obs).mean(dim=0)).sum().expand(len(obs))
    ),
    "log of the slope's sign": lambda actor, critic, obs: (
        actor(obs) * _slopes(actor, critic, obs).sign()
    ).sum(dim=-1),
    "cut": lambda actor, critic, obs: 0.0 * critic(obs, actor(obs)),
}
_BATCHES: dict[str, Callable] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "mean, over B": lambda x: x.mean() / len(x),
}


@composable
def _deterministic(
    objective: str = "Q", batch: str = "mean", sign: float = 1.0, of: str = "actor"
) -> Callable:
    """The deterministic gradient with its parts exchangeable; of: whose weights: "actor", "critic", "both"."""

    def deterministic_policy_gradient(actor, critic, obs):
        weights = {
            "actor": _weights_of(actor),
            "critic": _weights_of(critic),
            "both": (*_weights_of(actor), *_weights_of(critic)),
        }[of]
        total = sign * _BATCHES[batch](_OBJECTIVES[objective](actor, critic, obs))
        found = torch.autograd.grad(total, weights, allow_unused=True)
        return tuple(
            torch.zeros_like(w) if g is None else g for g, w in zip(found, weights, strict=True)
        )

    return deterministic_policy_gradient


def _mean_of_all_actions(actor, critic, obs):
    return torch.autograd.grad(actor(obs).mean(), _weights_of(actor))


def _value_times_mean_action(actor, critic, obs):
    total = (critic(obs, actor(obs)).detach()[:, None] * actor(obs)).mean()
    return torch.autograd.grad(total, _weights_of(actor))


def _cut_off(how: str) -> Callable:
    def deterministic_policy_gradient(actor, critic, obs):
        if how == "action":
            q = critic(obs, actor(obs).detach())
        elif how == "no_grad action":
            with torch.no_grad():
                action = actor(obs)
            q = critic(obs, action)
        else:
            with torch.no_grad():
                q = critic(obs, actor(obs))
        if how == "answer, of its own":
            q = q.requires_grad_()
        return torch.autograd.grad(q.mean(), _weights_of(actor))

    return deterministic_policy_gradient


def _touched(how: str) -> Callable:
    """The right numbers; the networks are not what they were."""

    def deterministic_policy_gradient(actor, critic, obs):
        if how == "frozen":
            for weight in critic.parameters():
                weight.requires_grad_(False)
            return _deterministic()(actor, critic, obs)
        critic(obs, actor(obs)).mean().backward()
        found = tuple(p.grad.clone() for p in actor.parameters())
        if how == "actor cleared":
            for p in actor.parameters():
                p.grad = None
        return found

    return deterministic_policy_gradient


def _through_the_action(actor, critic, obs):
    action = actor(obs)
    slope = _slopes(actor, critic, obs)
    return torch.autograd.grad(action, _weights_of(actor), grad_outputs=slope / len(obs))


def _state_by_state(actor, critic, obs):
    total = None
    for s in obs:
        found = torch.autograd.grad(critic(s[None], actor(s[None])).sum(), _weights_of(actor))
        total = found if total is None else [x + g for x, g in zip(total, found, strict=True)]
    return [x / len(obs) for x in total]


def _functional(actor, critic, obs):
    weights = {k: p.detach() for k, p in actor.named_parameters()}

    def objective(w):
        return critic(obs, torch.func.functional_call(actor, w, (obs,))).mean()

    return tuple(torch.func.grad(objective)(weights).values())


def _on_copies(actor, critic, obs):
    from copy import deepcopy

    own, judge = deepcopy(actor), deepcopy(critic)
    judge(obs, own(obs)).mean().backward()
    return [p.grad for p in own.parameters()]


deterministic_policy_gradient = Exercise(
    "deterministic_policy_gradient",
    reference=stein.deterministic_policy_gradient,
    cases=_actor_cases,
    returns=several(
        first_weights=numbers(as_tensor=True),
        first_bias=numbers(as_tensor=True),
        last_weights=numbers(as_tensor=True),
        last_bias=numbers(as_tensor=True),
    ),
    points=2,
    equation="(13.25)",
    call="gradients",
    rtol=RTOL,
    atol=1e-6,
    mistakes=[
        Mistake(
            "critic-touched",
            "The critic's gradients are among your results, or stay behind in `.grad`, or its weights are frozen for good. "
            "The critic is asked and stays as it was.",
            "For whose weights do you ask `torch.autograd.grad`? Did you call `backward()`?",
            _touched("left"),
            _touched("actor cleared"),
            _touched("frozen"),
            _deterministic(of="critic"),
            _deterministic(of="both"),
            shows=_left_behind,
        ),
        Mistake(
            "action-detached",
            "No gradient arrives: the action, or the critic's answer, is cut off. The gradient has to run through the "
            "critic into the action, and on into θ.",
            "Follow the path from θ to Q. Where does it break?",
            _deterministic(objective="cut"),
            *(_cut_off(how) for how in ("action", "no_grad action", "answer", "answer, of its own")),
            shows=_no_path_shown,
        ),
        Mistake(
            "descent",
            "This is the negative. Ascent was asked for: the minus belongs to the loss of the next lesson.",
            "Which way do the weights have to move for Q to grow?",
            _deterministic(sign=-1.0),
        ),
        Mistake(
            "sum",
            "The batch is divided by B not at all, or twice. An expectation over states: a mean, once.",
            "What should happen to your gradient if every state comes twice in the batch? Nothing.",
            _deterministic(batch="sum"),
            _deterministic(batch="mean, over B"),
        ),
        Mistake(
            "value-for-slope",
            "You multiply ∇μ with Q. The chain rule asks how Q changes with a, not how large it is.",
            "What happens to your gradient if 100 is added to Q? Nothing should.",
            _deterministic(objective="value times action"),
            _value_times_mean_action,
        ),
        Mistake(
            "slope-forgotten",
            "This is ∇μ alone. Without the critic nobody says in which direction the action should go.",
            "Which argument of the function have you not used?",
            _deterministic(objective="action"),
            _mean_of_all_actions,
        ),
        Mistake(
            "means-multiplied",
            "You average the slopes and the Jacobians by themselves. Each state's slope meets the Jacobian of the same "
            "state: multiply, then average.",
            "Two states, in which Q rises and falls with a: is there nothing to be learnt?",
            _deterministic(objective="means multiplied"),
        ),
        Mistake(
            "sign-of-the-slope",
            "Only the sign of Q's slope enters. Where Q is steep, more is to be won.",
            "What happens to your gradient if Q is doubled? It should double as well.",
            _deterministic(objective="log of the slope's sign"),
        ),
    ],
    also_correct=[
        _deterministic(),
        _through_the_action,
        _state_by_state,
        _functional,
        _on_copies,
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------------ fit_policy


def _fit_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, steps, n, dims, estimator, *tags, step_size=0.2, grad=False) -> Case:
        given = {
            "q_function": network(rng, "v", dims),
            "mean": recipe(rng.normal(size=dims), grad=grad),
            "log_std": recipe(rng.uniform(-0.8, 0.3, size=dims), grad=grad),
            "noise": recipe(rng.normal(size=(steps, n, dims))),
            "step_size": step_size,
            "estimator": estimator,
        }
        return Case(name, given, (estimator, *tags))

    return [
        case("one step, pathwise", 1, 6, 2, "pathwise", step_size=0.4),
        case("one step, by the score", 1, 6, 2, "score", step_size=0.4),
        case("four steps, pathwise", 4, 6, 2, "pathwise"),
        case("four steps, by the score", 4, 6, 2, "score"),
        case("three steps, rows and dimensions, pathwise", 3, 3, 3, "pathwise", "K = B = D"),
        case("three steps, rows and dimensions, by the score", 3, 3, 3, "score", "K = B = D"),
        case("one row a batch, pathwise", 3, 1, 2, "pathwise", "B = 1"),
        case("one row a batch, by the score", 3, 1, 2, "score", "B = 1", step_size=0.1),
        case("one dimension, pathwise", 3, 5, 1, "pathwise", "D = 1"),
        case("one dimension, by the score", 3, 5, 1, "score", "D = 1"),
        case("no step at all, pathwise", 0, 4, 2, "pathwise", "K = 0"),
        case("no step at all, by the score", 0, 4, 3, "score", "K = 0"),
        case("a mean and a log σ that want gradients", 2, 5, 2, "pathwise", grad=True),
        case("the same by the score", 2, 5, 2, "score", grad=True),
    ]


_KINDS: dict[str, Callable] = {
    "as asked": lambda estimator: estimator,
    "exchanged": lambda estimator: {"score": "pathwise", "pathwise": "score"}[estimator],
    "score": lambda estimator: "score",
    "pathwise": lambda estimator: "pathwise",
}
_PATHS: dict[str, Callable] = {
    "whole": lambda path: path,
    "no start": lambda path: path[1:],
    "no end": lambda path: path[:-1],
    "last in every row": lambda path: [path[-1]] * len(path),
    "start in every row": lambda path: [path[0]] * len(path),
    "backwards": lambda path: path[::-1],
    "last alone": lambda path: path[-1:],
    "last": lambda path: path[-1],
}
_MEANS: dict[str, Callable] = {
    "mean": lambda g: g.mean(dim=0),
    "sum": lambda g: g.sum(dim=0),
    "mean, over B": lambda g: g.mean(dim=0) / len(g),
    "first": lambda g: g[0],
    "mean of all": lambda g: g.mean().expand(g.shape[1]),
}


@composable
def _fit(
    sign: float = 1.0,
    bar: str = "mean",
    actions: str = "now",
    noise_of: str = "each step",
    order: str = "together",
    moves: str = "log σ",
    kind: str = "as asked",
    path: str = "whole",
    steps: str = "all",
    frozen: str = "",
    centre: str = "as given",
    step: str = "η",
) -> Callable:
    """The climb with its parts exchangeable.

    actions: "now"; drawn from the "start", or with its "σ", but scored now; "start throughout" scores there as
    well; order: "together", "mean first", "log σ first", or "actions kept", scored from the new mean;
    frozen: a parameter that does not move.
    """

    def estimates(q_function, mean, log_std, a, xi, estimator):
        slopes = a.clone().requires_grad_()
        q = q_function(slopes)
        if estimator == "pathwise":
            slope = torch.autograd.grad(q.sum(), slopes)[0]
            return slope, xi * log_std.exp() * slope
        q, z = _CENTRED[centre](q.detach())[:, None], (a - mean) / log_std.exp()
        return q * z / log_std.exp(), q * (z**2 - 1)

    def fit_policy(q_function, mean, log_std, noise, step_size, estimator):
        mean, log_std, estimator = mean.detach(), log_std.detach(), _KINDS[kind](estimator)
        first = mean, log_std
        path_of = [(mean, log_std)]
        total = noise[:-1] if steps == "one fewer" and len(noise) else noise
        for k, xi in enumerate(total):
            xi = {"each step": xi, "first": noise[0], "last": noise[-1]}[noise_of]
            xi = xi.mean(dim=0, keepdim=True) if noise_of == "mean" else xi
            eta = {
                "η": step_size,
                "1": 1.0,
                "η/(k+1)": step_size / (k + 1),
            }[step]

            def gradients(mean, log_std, xi=xi):
                m, s = {
                    "now": (mean, log_std),
                    "start": first,
                    "start throughout": first,
                    "σ": (mean, first[1]),
                    "σ throughout": (mean, first[1]),
                }[actions]
                at = m + s.exp() * xi
                scored = (m, s) if actions.endswith("throughout") else (mean, log_std)
                for_mean, for_log = estimates(q_function, *scored, at, xi, estimator)
                return sign * _MEANS[bar](for_mean), sign * _MEANS[bar](for_log)

            def moved(log_std, g, eta=eta):
                return {
                    "log σ": lambda: log_std + eta * g,
                    "σ": lambda: (log_std.exp() + eta * g).log(),
                    "σ by its own gradient": lambda: (
                        log_std.exp() + eta * g / log_std.exp()
                    ).log(),
                    "σ kept positive": lambda: (log_std.exp() + eta * g).clamp(min=1e-6).log(),
                }[moves]()

            for_mean, for_log = gradients(mean, log_std)
            if order == "actions kept":
                at = mean + log_std.exp() * xi
                for_log = estimates(q_function, mean + eta * for_mean, log_std, at, xi, estimator)[
                    1
                ]
                for_log = sign * _MEANS[bar](for_log)
            elif order == "mean first":
                for_log = gradients(mean + eta * for_mean, log_std)[1]
            elif order == "log σ first":
                for_mean = gradients(mean, moved(log_std, for_log))[0]
            mean = mean if frozen == "mean" else mean + eta * for_mean
            log_std = log_std if frozen == "log σ" else moved(log_std, for_log)
            path_of.append((mean, log_std))
        chosen = _PATHS[path](path_of)
        if path == "last":
            return chosen
        means, log_stds = zip(*chosen, strict=True) if chosen else ((), ())
        return torch.stack(means), torch.stack(log_stds)

    return fit_policy


def _cut(rows: slice) -> Callable:
    """The whole path, and of it these rows: for K = 0 there may be none."""

    def fit_policy(q_function, mean, log_std, noise, step_size, estimator):
        found = _fit()(q_function, mean, log_std, noise, step_size, estimator)
        return tuple(part[rows] for part in found)

    return fit_policy


def _one_tensor_in_place(q_function, mean, log_std, noise, step_size, estimator):
    """A list of one and the same two tensors."""
    mean, log_std = mean.detach().clone(), log_std.detach().clone()
    means, log_stds = [mean], [log_std]
    for xi in noise:
        after = _fit()(q_function, mean, log_std, xi[None], step_size, estimator)
        mean.copy_(after[0][1])
        log_std.copy_(after[1][1])
        means.append(mean)
        log_stds.append(log_std)
    return torch.stack(means), torch.stack(log_stds)


def _by_sgd(q_function, mean, log_std, noise, step_size, estimator):
    """Right: plain gradient descent on losses whose gradients are the two estimates."""
    m, s = (x.detach().clone().requires_grad_() for x in (mean, log_std))
    optimizer = torch.optim.SGD([m, s], lr=step_size)
    means, log_stds = [m.detach().clone()], [s.detach().clone()]
    for xi in noise:
        a = m + s.exp() * xi
        if estimator == "pathwise":
            loss = -q_function(a).mean()
        else:
            a = a.detach()
            loss = -(_log_prob()(a, m, s) * q_function(a).detach()).mean()
        optimizer.zero_grad()
        loss.backward(inputs=[m, s])
        optimizer.step()
        means.append(m.detach().clone())
        log_stds.append(s.detach().clone())
    return torch.stack(means), torch.stack(log_stds)


def _row_after_row(q_function, mean, log_std, noise, step_size, estimator):
    """Right: arrays filled row by row."""
    means = torch.zeros(len(noise) + 1, len(mean))
    log_stds = torch.zeros_like(means)
    means[0], log_stds[0] = mean.detach(), log_std.detach()
    for k in range(len(noise)):
        m, s = means[k].clone(), log_stds[k].clone()
        if estimator == "pathwise":
            pair = _by_hand(noise[k], m, s, q_function)
        else:
            a = m + s.exp() * noise[k]
            pair = _score_by_variance(a, m, s, q_function(a).detach())
        means[k + 1] = m + step_size * pair[0].sum(0) / noise.shape[1]
        log_stds[k + 1] = s + step_size * pair[1].sum(0) / noise.shape[1]
    return means, log_stds


def _fit_by_vmap(q_function, mean, log_std, noise, step_size, estimator):
    """Right: a gradient a sample by `vmap`."""

    def path(m, s, xi):
        return q_function((m + s.exp() * xi)[None])[0]

    def score(m, s, a, q):
        return -q * (((a - m) / s.exp()) ** 2 / 2 + s).sum()

    m, s = mean.detach(), log_std.detach()
    means, log_stds = [m], [s]
    for xi in noise:
        if estimator == "pathwise":
            found = torch.vmap(torch.func.grad(path, argnums=(0, 1)), (None, None, 0))(m, s, xi)
        else:
            a = m + s.exp() * xi
            q = q_function(a).detach()
            found = torch.vmap(torch.func.grad(score, argnums=(0, 1)), (None, None, 0, 0))(
                m, s, a, q
            )
        m, s = (x + step_size * g.mean(dim=0).detach() for x, g in zip((m, s), found, strict=True))
        means.append(m)
        log_stds.append(s)
    return torch.stack(means), torch.stack(log_stds)


fit_policy = Exercise(
    "fit_policy",
    reference=stein.fit_policy,
    cases=_fit_cases,
    returns=several(means=numbers(as_tensor=True), log_stds=numbers(as_tensor=True)),
    points=3,
    equation="(13.26)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "leaves-gradients",
            "Something that you were only lent is not as it was: Q's weights have a gradient, or want none any more, or "
            "the caller's tensors want one now.",
            "Which function of yours takes the estimates? It leaves everything as it was.",
            lambda q, m, s, xi, eta, kind: (q(xi.reshape(-1, len(m))).sum().backward(), _fit()(q, m, s, xi, eta, kind))[1],
            lambda q, m, s, xi, eta, kind: (m.requires_grad_(), s.requires_grad_(), _fit()(q, m, s, xi, eta, kind))[2],
            shows=_left_behind,
        ),
        Mistake(
            "descends",
            "You go downhill. E[Q] is to grow.",
            "With which sign does the gradient enter (13.26)?",
            _fit(sign=-1.0),
        ),
        Mistake(
            "sum-not-mean",
            "You add the estimates of a batch up. The step would grow with the batch.",
            "What stands under the bars of (13.26)?",
            _fit(bar="sum"),
        ),
        Mistake(
            "stale-policy",
            "Your actions, or their σ, come from the policy at the start. After a step the policy is another: sample from "
            "the new one.",
            "Which μ and σ make the actions of the second step?",
            *(_fit(actions=a) for a in ("start", "start throughout", "σ", "σ throughout")),
        ),
        Mistake(
            "same-noise",
            "Every step uses the same batch of noise. A fresh batch each step: otherwise you climb one sample's Q.",
            "Which index does `noise` have in your loop?",
            _fit(noise_of="first"),
            _fit(noise_of="last"),
        ),
        Mistake(
            "one-after-the-other",
            "The second parameter's gradient is taken where the first has moved to already. Both gradients belong to the "
            "same policy.",
            "How often do you draw actions in one step? Once is enough.",
            _fit(order="mean first"),
            _fit(order="log σ first"),
            _fit(order="actions kept"),
        ),
        Mistake(
            "sigma-step",
            "You add the step to σ. The parameter is log σ: so σ stays positive.",
            "Which of the two does (13.26) move?",
            _fit(moves="σ"),
            _fit(moves="σ kept positive"),
            _fit(moves="σ by its own gradient"),
        ),
        Mistake(
            "estimators-exchanged",
            "You use the other estimator, or always the same one. Which of the two needs only values of Q?",
            "Which two names may `estimator` have, and what belongs to each?",
            _fit(kind="exchanged"),
            _fit(kind="score"),
            _fit(kind="pathwise"),
        ),
        Mistake(
            "path-incomplete",
            "The path is not whole: the start or the end is missing, or every row is the same. Row k is the policy before "
            "step k; a list keeps references, not copies.",
            "How many rows should there be for K = 0? And which policy is in the first row?",
            *(_fit(path=p) for p in _PATHS if p != "whole"),
            *(_cut(rows) for rows in (slice(1, None), slice(None, -1), slice(-1, None))),
            _one_tensor_in_place,
            _fit(steps="one fewer"),
        ),
        Mistake(
            "one-parameter-stands-still",
            "One of the two parameters never moves. Both are learned, from the same actions.",
            "Which of your two results has equal rows?",
            _fit(frozen="mean"),
            _fit(frozen="log σ"),
        ),
        Mistake(
            "baseline-inside",
            "You centre or scale the values of Q. No baseline was asked for here: what it changes is the next experiment.",
            "What do you do with Q before it meets the score?",
            *(_fit(centre=c) for c in ("centred", "standardised", "standardised, biased", "others")),
        ),
        Mistake(
            "another-step",
            "Your steps have another length: η does not enter, or shrinks as you go.",
            "What multiplies the bars of (13.26)?",
            *(_fit(step=s) for s in ("1", "η/(k+1)")),
            _fit(bar="mean, over B"),
        ),
    ],
    also_correct=[_fit(), _by_sgd, _row_after_row, _fit_by_vmap],
)  # fmt: skip


LESSON = Lesson(
    "13",
    "Stein's identity and two gradients",
    [
        gaussian_log_prob,
        score_function_gradient,
        stein_residual,
        pathwise_gradient,
        optimal_constant_baseline,
        deterministic_policy_gradient,
        fit_policy,
    ],
    torch=True,
)
