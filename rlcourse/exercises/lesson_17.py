"""Lesson 17: soft Q-learning."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.distributions.transforms import TanhTransform
from torch.nn.functional import mse_loss, softplus

from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    composable,
    figures,
    numbers,
    row_of,
    tensor,
)
from rlcourse.checker.harness import Case, Outcome
from rlcourse.checker.networks import ATOL, RTOL, AgentState, Optimizer, network, transitions
from rlcourse.checker.networks import tensor as recipe
from rlcourse.continuous import soft_q
from rlcourse.exercises.network_targets import (
    target_mistakes,
    td_target,
)
from rlcourse.lab.networks import polyak_update

CLOSE = {"rtol": 1e-5, "atol": 1e-6}

# --------------------------------------------------------------------------- soft_value_estimate


def _value_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, b, k, alpha, density, *tags, scale=1.0, shift=0.0) -> Case:
        log_q = {
            "each": lambda: recipe(rng.normal(size=(b, k)) - 0.5),
            "shared": lambda: recipe(rng.normal(size=k) - 0.5),
            "uniform": lambda: -2 * math.log(2),
        }[density]()
        q = scale * rng.normal(size=(b, k)) + shift
        return Case(name, {"q": recipe(q), "log_q_proposal": log_q, "alpha": alpha}, tags)

    return [
        case("six states, five actions", 6, 5, 0.5, "each"),
        case("a uniform proposal in two dimensions", 5, 7, 0.3, "uniform"),
        case("densities of shape (K,)", 5, 3, 2.0, "shared"),
        case("as many states as actions", 4, 4, 0.7, "shared", "B = K"),
        case("one action a state", 4, 1, 0.4, "each", "K = 1"),
        case("one state", 1, 6, 1.5, "each", "B = 1"),
        case("Q/α in the thousands", 5, 4, 0.01, "each", "large Q/α", shift=45.0),
        case("Q/α below minus three thousand", 5, 4, 0.01, "uniform", "large Q/α", shift=-40.0),
        case("values far apart", 4, 5, 0.02, "each", scale=20.0),
        case("a high temperature", 4, 6, 20.0, "each"),
    ]


_EXPONENTS: dict[str, Callable] = {
    "Q/α − log q": lambda q, lq, a: q / a - lq,
    "Q/α": lambda q, lq, a: q / a,
    "Q/α + log q": lambda q, lq, a: q / a + lq,
    "Q − log q": lambda q, lq, a: q - lq,
    "(Q − log q)/α": lambda q, lq, a: (q - lq) / a,
    "αQ − log q": lambda q, lq, a: a * q - lq,
}
_TOGETHER: dict[str, Callable] = {
    "log of the mean": lambda x: torch.logsumexp(x, dim=1) - math.log(x.shape[1]),
    "log of the sum": lambda x: torch.logsumexp(x, dim=1),
    "mean": lambda x: x.mean(dim=1),
    "sum": lambda x: x.sum(dim=1),
    "max": lambda x: x.max(dim=1).values,
    "max, no mean": lambda x: x.max(dim=1).values - math.log(x.shape[1]),
    "plain": lambda x: x.exp().mean(dim=1).log(),
    "plain, guarded": lambda x: (x.exp().mean(dim=1) + 1e-8).log(),
    "plain, summed": lambda x: x.exp().sum(dim=1).log(),
    "plain, clamped": lambda x: x.clamp(-50, 50).exp().mean(dim=1).log(),
    "no logarithm": lambda x: x.exp().mean(dim=1),
    "over states": lambda x: torch.logsumexp(x, dim=0) - math.log(len(x)),
    "over all": lambda x: torch.logsumexp(x.flatten(), 0).expand(len(x)) - math.log(x.numel()),
    "log of B": lambda x: torch.logsumexp(x, dim=1) - math.log(len(x)),
}


@composable
def _value(
    exponent: str = "Q/α − log q", together: str = "log of the mean", outside: str = "α"
) -> Callable:
    """The estimate with its parts exchangeable; outside: "α", "1" or "1/α" times the logarithm."""

    def soft_value_estimate(q, log_q_proposal, alpha):
        factor = {"α": alpha, "1": 1.0, "1/α": 1 / alpha}[outside]
        return factor * _TOGETHER[together](_EXPONENTS[exponent](q, log_q_proposal, alpha))

    return soft_value_estimate


def _plain_ratio(q, log_q_proposal, alpha):
    density = torch.as_tensor(log_q_proposal).exp()
    return alpha * ((q / alpha).exp() / density).mean(dim=1).log()


def _value_in_numpy(q, log_q_proposal, alpha):
    x = q.double().numpy() / alpha - np.asarray(log_q_proposal, dtype=np.float64)
    top = x.max(axis=1)
    v = alpha * (top + np.log(np.exp(x - top[:, None]).mean(axis=1)))
    return torch.from_numpy(v.astype(np.float32))


def _shifted(q, log_q_proposal, alpha):
    top = q.max(dim=1, keepdim=True).values
    ratio = ((q - top) / alpha - log_q_proposal).exp()
    return top[:, 0] + alpha * ratio.mean(dim=1).log()


def _state_by_state(q, log_q_proposal, alpha):
    x = q / alpha - torch.as_tensor(log_q_proposal)
    return torch.stack([alpha * torch.logsumexp(row - math.log(len(row)), dim=0) for row in x])


soft_value_estimate = Exercise(
    "soft_value_estimate",
    reference=soft_q.soft_value_estimate,
    cases=_value_cases,
    returns=numbers(as_tensor=True),
    points=2,
    equation="(17.4)",
    **CLOSE,
    mistakes=[
        Mistake(
            "mean-of-logs",
            "You average Q/α − log q′ and never leave the logarithm. It stands outside the mean: the log of a mean is "
            "more than the mean of the logs.",
            "In which order do log, mean and exp come in (17.4), read from the left?",
            _value(together="mean"),
            _value(together="sum"),
        ),
        Mistake(
            "no-proposal",
            "The proposal's density does not enter: you average where you draw often. Dividing by the density turns the "
            "mean into the integral.",
            "Which argument of the function have you not used?",
            _value("Q/α"),
        ),
        Mistake(
            "density-sign",
            "You multiply by the density. Actions that are drawn often count *less*: minus log q′.",
            "What is the logarithm of e^x / q′?",
            _value("Q/α + log q"),
        ),
        Mistake(
            "sum-not-mean",
            "You add the K terms up and never divide by K: V would grow with the number of samples.",
            "What should happen to V if every action is drawn twice?",
            _value(together="log of the sum"),
            _value(together="plain, summed"),
            _value(together="log of B"),
        ),
        Mistake(
            "no-temperature",
            "α does not enter on both sides. Divide by α inside, multiply by α outside.",
            "If all actions are worth the same q, on (−1, 1) with a uniform proposal, what is V? In your function?",
            _value("Q − log q"),
            _value("Q − log q", outside="1"),
            _value(outside="1"),
            _value(outside="1/α"),
            _value("αQ − log q"),
            _value("αQ − log q", outside="1/α"),
        ),
        Mistake(
            "density-tempered",
            "You divide log q′ by α together with Q. Only Q is measured in α; the density belongs to the integral.",
            "What exactly stands in the exponent of (17.4), and what under the fraction's bar?",
            _value("(Q − log q)/α"),
        ),
        Mistake(
            "overflow",
            "You exponentiate first and take the logarithm afterwards. e^5000 is inf, e^−5000 is 0: take the largest "
            "exponent out first, or use `logsumexp`.",
            "What is exp(100) in float32?",
            _value(together="plain"),
            _plain_ratio,
            _value(together="plain, guarded"),
            _value(together="plain, clamped"),
        ),
        Mistake(
            "hard-max",
            "You take the largest value. That is the limit α → 0; here every action counts a little.",
            "What does the lesson before say of α log Σ e^{Q/α} at a temperature above 0?",
            lambda q, lq, a: q.max(dim=1).values,
            _value(together="max"),
            _value(together="max, no mean"),
            _value("Q/α", together="max"),
        ),
        Mistake(
            "over-the-states",
            "Your mean runs over the states, or over everything. One value a state: average along the actions' axis.",
            "Does V of the first state change when you append another state? It should not.",
            _value(together="over states"),
            _value(together="over all"),
        ),
    ],
    also_correct=[_value(), _value_in_numpy, _shifted, _state_by_state],
)

# ------------------------------------------------------------------------------------ rbf_kernel


def _cloud(rng, *shape, spread=0.8) -> np.ndarray:
    return spread * rng.normal(size=shape)


def _kernel_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, x, y, h, *tags) -> Case:
        return Case(name, {"x": recipe(x), "y": recipe(y), "bandwidth": h}, tags)

    own = _cloud(rng, 4, 2)
    each = recipe(rng.uniform(0.4, 2.0, size=(3, 1, 1)))
    return [
        case("four x, three y, two dimensions", _cloud(rng, 4, 2), _cloud(rng, 3, 2), 0.7),
        case("three states", _cloud(rng, 3, 4, 2), _cloud(rng, 3, 5, 2), each),
        case("one dimension", _cloud(rng, 5, 1), _cloud(rng, 3, 1), 2.5, "D = 1"),
        case("as many y as x", _cloud(rng, 4, 3), _cloud(rng, 4, 3), 1.7, "K = M"),
        case("y is x", own, own, recipe(np.array(0.3)), "y is x"),
        case("one x, one y", _cloud(rng, 2, 1, 2), _cloud(rng, 2, 1, 2), 0.5),
        case("a bandwidth for each pair", _cloud(rng, 3, 2), _cloud(rng, 3, 2),
             recipe(rng.uniform(0.4, 2.0, size=(3, 3))), "K = M"),
        case("a state, rows and dimensions alike", _cloud(rng, 3, 3, 3), _cloud(rng, 3, 3, 3), 3.0),
    ]  # fmt: skip


def _pairs(x, y):
    return x[..., :, None, :] - y[..., None, :, :]


_DISTANCES: dict[str, Callable] = {
    "squared": lambda x, y: _pairs(x, y).square().sum(dim=-1),
    "not squared": lambda x, y: _pairs(x, y).square().sum(dim=-1).sqrt(),
    "absolute": lambda x, y: _pairs(x, y).abs().sum(dim=-1),
    "mean": lambda x, y: _pairs(x, y).square().mean(dim=-1),
    "square of the sum": lambda x, y: _pairs(x, y).sum(dim=-1).square(),
    "partners": lambda x, y: (x - y).square().sum(dim=-1),
    "partners, kept": lambda x, y: (x - y).square().sum(dim=-1, keepdim=True),
    "product": lambda x, y: -2 * x @ y.transpose(-1, -2),
}
_KERNELS: dict[str, Callable] = {
    "e^{−d²/h}": lambda d2, h: torch.exp(-d2 / h),
    "e^{−d²/2h²}": lambda d2, h: torch.exp(-d2 / (2 * h**2)),
    "e^{−d²/2h}": lambda d2, h: torch.exp(-d2 / (2 * h)),
    "e^{−d²/h²}": lambda d2, h: torch.exp(-d2 / h**2),
    "e^{−d²}/h": lambda d2, h: torch.exp(-d2) / h,
    "e^{−h d²}": lambda d2, h: torch.exp(-h * d2),
    "e^{−d²}": lambda d2, h: torch.exp(-d2),
    "e^{d²/h}": lambda d2, h: torch.exp(d2 / h),
    "−d²/h": lambda d2, h: -d2 / h,
    "1 − d²/h": lambda d2, h: 1 - d2 / h,
    "1/(1 + d²/h)": lambda d2, h: 1 / (1 + d2 / h),
}


@composable
def _kernel(distance: str = "squared", form: str = "e^{−d²/h}", after: str = "") -> Callable:
    """The kernel with its parts exchangeable; after: "transposed" or normalised over an axis."""

    def rbf_kernel(x, y, bandwidth):
        k = _KERNELS[form](_DISTANCES[distance](x, y), bandwidth)
        if after == "transposed":
            return k.transpose(-1, -2)
        if after in ("x", "y", "all"):
            return k / k.sum(dim={"x": -2, "y": -1, "all": (-2, -1)}[after], keepdim=True)
        if after == "density":
            return k / (math.pi * torch.as_tensor(bandwidth)) ** (x.shape[-1] / 2)
        return k

    return rbf_kernel


def _kernel_by_dimensions(x, y, bandwidth):
    """Right: a product over the dimensions."""
    h = torch.as_tensor(bandwidth)
    return torch.exp(-(_pairs(x, y) ** 2) / h[..., None]).prod(dim=-1)


def _kernel_a_dimension(x, y, bandwidth):
    return torch.exp(-(_pairs(x, y) ** 2) / torch.as_tensor(bandwidth)[..., None])


def _kernel_by_loops(x, y, bandwidth):
    k = torch.zeros(*x.shape[:-1], y.shape[-2])
    h = torch.as_tensor(bandwidth).expand(k.shape)
    for i in range(x.shape[-2]):
        for j in range(y.shape[-2]):
            d2 = ((x[..., i, :] - y[..., j, :]) ** 2).sum(dim=-1)
            k[..., i, j] = torch.exp(-d2 / h[..., i, j])
    return k


rbf_kernel = Exercise(
    "rbf_kernel",
    reference=soft_q.rbf_kernel,
    cases=_kernel_cases,
    returns=numbers(as_tensor=True),
    points=1,
    equation="(17.10)",
    **CLOSE,
    mistakes=[
        Mistake(
            "not-squared",
            "You divide the distance by h, not its square.",
            "What stands between the bars of (17.10), and what above them?",
            _kernel("not squared"),
            _kernel("absolute"),
        ),
        Mistake(
            "bandwidth-as-sigma",
            "You take h for a σ or a length scale. h is what the squared distance is divided by; the σ of a library is "
            "another number.",
            "At which distance is your kernel e^−1? It should be √h.",
            *(_kernel(form=f) for f in ("e^{−d²/2h²}", "e^{−d²/2h}", "e^{−d²/h²}")),
        ),
        Mistake(
            "bandwidth-outside",
            "h stands at the wrong place, or nowhere: it belongs under the squared distance, inside the exponential.",
            "What is k(x, x), for any h? And how does the kernel change when h grows?",
            *(_kernel(form=f) for f in ("e^{−d²}/h", "e^{−h d²}", "e^{−d²}")),
        ),
        Mistake(
            "transposed",
            "Rows and columns are exchanged. Row i is x_i, column j is y_j; with K = M nothing complains.",
            "What is the shape of your result for four x and three y?",
            _kernel(after="transposed"),
            lambda x, y, h: _kernel()(y, x, h),
        ),
        Mistake(
            "not-summed",
            "The squares are not summed over the dimensions. A distance is one number: sum the squares over the last axis.",
            "How far is (3, 4) from (0, 0)?",
            _kernel_a_dimension,
            _kernel("mean"),
            _kernel("square of the sum"),
        ),
        Mistake(
            "partners-only",
            "You compare x_i with y_i only. Every x meets every y: two new axes.",
            "How many numbers should come out for four x and three y?",
            _kernel("partners"),
            _kernel("partners, kept"),
        ),
        Mistake(
            "normalised",
            "You make a density or weights of it: k(x, x) is 1, and nothing is divided by a sum.",
            "What is your k(x, x)?",
            *(_kernel(after=a) for a in ("x", "y", "all", "density")),
        ),
        Mistake(
            "sign",
            "Your kernel grows with the distance: the minus is missing.",
            "Which of two particles should weigh more, the near one or the far one?",
            _kernel(form="e^{d²/h}"),
        ),
    ],
    also_correct=[
        _kernel(),
        lambda x, y, h: torch.exp(-(torch.cdist(x, y) ** 2) / h),
        _kernel_by_dimensions,
        _kernel_by_loops,
    ],
)

# ------------------------------------------------------------------------------ median_bandwidth


def _bandwidth_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, x, y, *tags, grad=False) -> Case:
        return Case(name, {"x": recipe(x, grad=grad), "y": recipe(y)}, tags)

    # K·M is odd throughout: the lower median and the mean of the two middle ones agree.
    cloud, single = _cloud(rng, 3, 5, 2), _cloud(rng, 4, 1, 2)
    widths = np.array([0.3, 1.0, 4.0])[:, None, None]
    same = np.repeat(_cloud(rng, 2, 1, 2), 3, axis=1)
    return [
        case("five x, three y", _cloud(rng, 5, 2), _cloud(rng, 3, 2)),
        case("three states of different widths, y is x", widths * cloud, widths * cloud, "y is x"),
        case("three states, seven x, five y", _cloud(rng, 3, 7, 2), _cloud(rng, 3, 5, 2)),
        case("x wants a gradient", _cloud(rng, 2, 5, 3), _cloud(rng, 2, 3, 3), grad=True),
        case("one dimension, far apart", 9 * _cloud(rng, 5, 1), 9 * _cloud(rng, 5, 1), "D = 1"),
        case("one particle a state, y is x", single, single, "K = 1", "no distance"),
        case("one x, three y", _cloud(rng, 2, 1, 2), _cloud(rng, 2, 3, 2), "K = 1"),
        case("all particles in one place", same, same, "no distance"),
        case("very near to each other", 0.02 * _cloud(rng, 3, 2), 0.02 * _cloud(rng, 3, 2), "no distance"),
    ]  # fmt: skip


_OF_DISTANCES: dict[str, Callable] = {
    "squared": lambda x, y: _pairs(x, y).square().sum(dim=-1),
    "plain": lambda x, y: _pairs(x, y).square().sum(dim=-1).sqrt(),
    "mean": lambda x, y: _pairs(x, y).square().mean(dim=-1),
}
_LOGS: dict[str, Callable] = {
    "log(K+1)": lambda x, y: math.log(x.shape[-2] + 1),
    "log K": lambda x, y: torch.tensor(float(x.shape[-2])).log(),
    "log(B+1)": lambda x, y: math.log(x.shape[0] + 1),
    "2 log B + 1": lambda x, y: 2 * math.log(x.shape[0]) + 1,
    "log of all + 1": lambda x, y: math.log(x.shape[:-1].numel() + 1),
    "log(M+1)": lambda x, y: math.log(y.shape[-2] + 1),
    "log(K·M+1)": lambda x, y: math.log(x.shape[-2] * y.shape[-2] + 1),
    "2 log(K+1)": lambda x, y: 2 * math.log(x.shape[-2] + 1),
    "nothing": lambda x, y: 1.0,
}
_FLOORS: dict[str, Callable] = {
    "at least": lambda h: h.clamp_min(1e-3),
    "added": lambda h: h + 1e-3,
    "none": lambda h: h,
    "added, tiny": lambda h: h + 1e-8,
    "tiny": lambda h: h.clamp_min(1e-8),
}


def _median(d2, over):
    if over == "state":
        return d2.flatten(-2).median(dim=-1).values[..., None, None]
    if over in ("x", "y"):
        return d2.median(dim={"x": -2, "y": -1}[over], keepdim=True).values
    if over == "mean":
        return d2.mean(dim=(-2, -1), keepdim=True)
    if over == "max":
        return d2.amax(dim=(-2, -1), keepdim=True)
    whole = d2.flatten().median()
    return whole if over == "all, one" else whole.expand(*d2.shape[:-2], 1, 1)


@composable
def _bandwidth(
    distance: str = "squared",
    log: str = "log(K+1)",
    over: str = "state",
    floor: str = "at least",
    detach: bool = True,
) -> Callable:
    """The bandwidth with its parts exchangeable; over: what the median runs over, or "mean", "max" for it."""

    def median_bandwidth(x, y):
        x = x.detach() if detach else x
        middle = _median(_OF_DISTANCES[distance](x, y), over)
        return _FLOORS[floor](middle / _LOGS[log](x, y))

    return median_bandwidth


def _bandwidth_in_numpy(x, y):
    a, b = x.detach().double().numpy(), y.detach().double().numpy()
    d2 = ((a[..., :, None, :] - b[..., None, :, :]) ** 2).sum(axis=-1)
    h = np.median(d2, axis=(-2, -1), keepdims=True) / np.log(a.shape[-2] + 1)
    return torch.from_numpy(np.maximum(h, 1e-3).astype(np.float32))


def _squared_afterwards(x, y):
    d = torch.cdist(x.detach(), y.detach(), compute_mode="donot_use_mm_for_euclid_dist")
    med = torch.quantile(d.flatten(-2), 0.5, dim=-1, keepdim=True)[..., None]
    return torch.clamp(med**2 / math.log(1 + x.shape[-2]), min=1e-3)


def _by_sorting(x, y):
    with torch.no_grad():
        d2 = _pairs(x, y).square().sum(dim=-1).flatten(-2).sort(dim=-1).values
        n = d2.shape[-1]
        middle = (d2[..., (n - 1) // 2] + d2[..., n // 2]) / 2
        h = middle / np.log(x.shape[-2] + 1)
        return torch.where(h < 1e-3, 1e-3, h)[..., None, None]


median_bandwidth = Exercise(
    "median_bandwidth",
    reference=soft_q.median_bandwidth,
    cases=_bandwidth_cases,
    returns=tensor(),
    points=1,
    equation="(17.11)",
    **CLOSE,
    mistakes=[
        Mistake(
            "distance-not-squared",
            "You take the median of the distances themselves. h is compared with squared distances.",
            "If all particles move apart to twice the distance, h should grow how many times?",
            _bandwidth("plain"),
        ),
        Mistake(
            "batch-for-particles",
            "The logarithm does not count the K particles x of a state. How many *particles* share a state decides how "
            "wide each must reach.",
            "Does your h of the first state change when a state is appended to the batch?",
            *(_bandwidth(log=log) for log in ("log(B+1)", "2 log B + 1", "log of all + 1", "log(M+1)", "log(K·M+1)")),
        ),
        Mistake(
            "log-k",
            "You divide by log K, which is 0 for one particle. K + 1 keeps it finite.",
            "What is log 1?",
            _bandwidth(log="log K"),
        ),
        Mistake(
            "no-log",
            "The logarithm is missing. It makes the kernels of K particles add up to about 1.",
            "What is Σ_k e^{−med/h}, if all distances are alike and h is yours?",
            _bandwidth(log="nothing"),
        ),
        Mistake(
            "one-for-the-batch",
            "You take one median over all states. Each state has its own cloud.",
            "How many numbers should come out for three states?",
            _bandwidth(over="all"),
            _bandwidth(over="all, one"),
        ),
        Mistake(
            "median-per-particle",
            "Your median runs along one axis only. All K·M distances of the state make one number.",
            "What is the shape of your result for five x and three y?",
            _bandwidth(over="x"),
            _bandwidth(over="y"),
        ),
        Mistake(
            "mean-for-median",
            "You take the mean of the distances. One particle far away should not widen it for all.",
            "What happens to your h if one of 100 particles stands a thousand away?",
            _bandwidth(over="mean"),
        ),
        Mistake(
            "no-floor",
            "h can become 0, or the floor is added to it. It is max(h, 10⁻³): a division by 0 follows otherwise.",
            "What is your h if all particles are in one place?",
            *(_bandwidth(floor=f) for f in ("none", "added", "added, tiny", "tiny")),
        ),
        Mistake(
            "gradient-left-in",
            "The numbers are right, but a gradient flows through h. The bandwidth is a setting of this step, no path for "
            "gradients.",
            "How do you tell torch that a tensor is a mere number from here on?",
            _bandwidth(detach=False),
        ),
    ],
    also_correct=[_bandwidth(), _bandwidth_in_numpy, _squared_afterwards, _by_sorting],
)  # fmt: skip

# -------------------------------------------------------------------------------- svgd_direction


def _direction_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, x, y, h, *tags) -> Case:
        given = {"x": recipe(x), "score": recipe(rng.normal(size=x.shape)), "y": recipe(y)}
        return Case(name, given | {"bandwidth": h}, tags)

    own, single = _cloud(rng, 3, 4, 2), _cloud(rng, 2, 1, 3)
    each = recipe(rng.uniform(0.4, 2.0, size=(3, 1, 1)))
    return [
        case("four x, three y", _cloud(rng, 4, 2), _cloud(rng, 3, 2), 0.7),
        case("as many y as x", _cloud(rng, 4, 2), _cloud(rng, 4, 2), 1.6, "K = M"),
        case("y is x, three states", own, own, each, "y is x"),
        case("three states, five x, two y", _cloud(rng, 3, 5, 2), _cloud(rng, 3, 2, 2), each),
        case("one particle, y is x", single, single, 0.5, "y is x", "K = 1"),
        case("one dimension", _cloud(rng, 5, 1), _cloud(rng, 3, 1), recipe(np.array(2.5)), "D = 1"),
        case("states, particles and dimensions alike", _cloud(rng, 3, 3, 3), _cloud(rng, 3, 3, 3), each),
        case("two x, six y", _cloud(rng, 2, 2), _cloud(rng, 6, 2), 0.4),
        case("a bandwidth for each pair", _cloud(rng, 3, 2), _cloud(rng, 4, 2),
             recipe(rng.uniform(0.4, 2.0, size=(3, 4)))),
    ]  # fmt: skip


_PULLS: dict[str, Callable] = {
    "kᵀ score": lambda k, score: k.transpose(-1, -2) @ score,
    "k score": lambda k, score: k @ score,
    "own": lambda k, score: len(k.transpose(0, -2)) * score,
    "own, over K": lambda k, score: score,
    "all": lambda k, score: score.sum(dim=-2, keepdim=True),
    "none": lambda k, score: 0.0,
}
_SLOPES: dict[str, Callable] = {
    "2/h": lambda h: 2 / h,
    "2": lambda h: 2.0,
    "1/h": lambda h: 1 / h,
    "2/h²": lambda h: 2 / h**2,
    "1": lambda h: 1.0,
}
_DIVISORS: dict[str, Callable] = {
    "K": lambda k: k.shape[-2],
    "1": lambda k: 1,
    "M": lambda k: k.shape[-1],
    "Σ k": lambda k: k.sum(dim=-2)[..., None],
    "K·M": lambda k: k.shape[-2] * k.shape[-1],
}


@composable
def _direction(
    pull: str = "kᵀ score",
    push: float = 1.0,
    slope: str = "2/h",
    divisor: str = "K",
    over: str = "x",
    without_kernel: bool = False,
) -> Callable:
    """SVGD's direction with its parts exchangeable; push: what the repulsion counts; over: what it is summed over."""

    def svgd_direction(x, score, y, bandwidth):
        k = _kernel()(x, y, bandwidth)
        weight = torch.ones_like(k) if without_kernel else k
        each = (_SLOPES[slope](bandwidth) * weight)[..., None] * -_pairs(x, y)  # by x, (K, M, D)
        away = each.sum(dim={"x": -3, "y": -2}[over])
        return (_PULLS[pull](k, score) + push * away) / _DIVISORS[divisor](k)

    return svgd_direction


def _score_of_the_first(x, score, y, bandwidth):
    """The score is taken of y's own particle, whole; the repulsion is a mean."""
    return score + _direction(pull="none")(x, score, y, bandwidth)


def _kernel_differentiated(minus: bool) -> Callable:
    def svgd_direction(x, score, y, bandwidth):
        x = x.detach().requires_grad_()
        k = _kernel()(x, y.detach(), bandwidth)
        slope = torch.autograd.grad(k.sum(), x)[0]
        away = -slope if minus else slope
        return (k.detach().transpose(-1, -2) @ score + away) / x.shape[-2]

    return svgd_direction


def _one_y_at_a_time(x, score, y, bandwidth):
    """Right: autograd of each column of the kernel."""
    x = x.detach().requires_grad_()
    k = _kernel()(x, y, bandwidth)
    found = []
    for j in range(y.shape[-2]):
        slope = torch.autograd.grad(k[..., j].sum(), x, retain_graph=True)[0]
        found.append((k[..., j].detach()[..., None] * score + slope).mean(dim=-2))
    return torch.stack(found, dim=-2)


def _by_a_copy_of_y(x, score, y, bandwidth):
    """Right: minus the gradient by y."""
    y = y.detach().clone().requires_grad_()
    k = _kernel()(x.detach(), y, bandwidth)
    slope = torch.autograd.grad(k.sum(), y)[0]
    return (k.detach().transpose(-1, -2) @ score - slope) / x.shape[-2]


def _in_matrices(x, score, y, bandwidth):
    k = _kernel()(x, y, bandwidth).transpose(-1, -2)  # (M, K)
    h = torch.as_tensor(bandwidth)
    w = k * 2 / (h.transpose(-1, -2) if h.ndim > 1 else h)
    return (k @ score + y * w.sum(dim=-1, keepdim=True) - w @ x) / x.shape[-2]


def _direction_by_loops(x, score, y, bandwidth):
    h = torch.as_tensor(bandwidth, dtype=x.dtype).expand(*x.shape[:-1], y.shape[-2])
    out = torch.zeros_like(y)
    for j in range(y.shape[-2]):
        for i in range(x.shape[-2]):
            apart = y[..., j, :] - x[..., i, :]
            hij = h[..., i, j, None]
            k = torch.exp(-(apart**2).sum(dim=-1, keepdim=True) / hij)
            out[..., j, :] += k * (score[..., i, :] + 2 * apart / hij) / x.shape[-2]
    return out


svgd_direction = Exercise(
    "svgd_direction",
    reference=soft_q.svgd_direction,
    cases=_direction_cases,
    returns=numbers(as_tensor=True),
    points=3,
    equation="(17.9)",
    **CLOSE,
    mistakes=[
        Mistake(
            "attraction",
            "Your second term pulls the particles together. Its sign is turned, or ∇ was taken by the wrong argument, which "
            "for this kernel is the same: ∇ is by x_i, the particle that pushes, not by y_j, the one that moves. It must "
            "push y_j *away*.",
            "Two particles, both scores 0: which way should each of them go?",
            _direction(push=-1.0),
        ),
        Mistake(
            "no-repulsion",
            "Your direction has the first term only. All particles climb to the same peak: something has to keep them apart.",
            "Two particles in different places, both scores 0: what is your direction?",
            _direction(push=0.0),
        ),
        Mistake(
            "no-score",
            "Your direction has the second term only. The particles fly apart, and nobody tells them where p is high.",
            "Which argument of the function have you not used?",
            _direction(pull="none"),
        ),
        Mistake(
            "summed-over-the-moved",
            "Your repulsion is summed over the y_j, as autograd of the sum over all pairs gives it. For a given y_j sum over "
            "the x_i.",
            "What is the shape of your second term for four x and three y? It should be that of y.",
            _direction(over="y"),
            _direction(over="y", push=-1.0),
            _kernel_differentiated(minus=False),
            _kernel_differentiated(minus=True),
        ),
        Mistake(
            "slope-without-h",
            "The kernel's slope is off by a factor: differentiate e^{−d²/h}, and the inner derivative brings 2/h.",
            "What is the derivative of e^{−x²/h}?",
            *(_direction(slope=s) for s in ("2", "1/h", "2/h²", "1")),
        ),
        Mistake(
            "slope-without-kernel",
            "Your repulsion does not weaken with the distance: the kernel itself has got lost when you differentiated it.",
            "What is the derivative of e^{−x²/h}? Which factor stays as it is?",
            _direction(without_kernel=True),
        ),
        Mistake(
            "own-score-only",
            "Each particle follows its own score. The first term is shared: a particle follows its neighbours' scores, "
            "weighed by k.",
            "Does the first term of your direction change when a neighbour's score does?",
            _direction(pull="own"),
            _direction(pull="own, over K"),
            _score_of_the_first,
        ),
        Mistake(
            "scores-not-weighed",
            "The scores are averaged without the kernel. A far particle's score should count less.",
            "What multiplies the score in (17.9)?",
            _direction(pull="all"),
        ),
        Mistake(
            "not-transposed",
            "You multiply k and the scores the wrong way round. Rows of k are x, columns y: sum over rows.",
            "Which index is summed over in (17.9), and which axis of k is that?",
            _direction(pull="k score"),
        ),
        Mistake(
            "sum",
            "You do not divide by K, or not by K: Δ is a mean over the x_i.",
            "What should happen to Δ if every x_i stands there twice?",
            *(_direction(divisor=d) for d in ("1", "M", "K·M")),
        ),
        Mistake(
            "normalised-weights",
            "You divide by the sum of the kernels. That is mean shift; SVGD divides by K.",
            "What stands before the sum in (17.9)?",
            _direction(divisor="Σ k"),
        ),
    ],
    also_correct=[
        _direction(),
        _one_y_at_a_time,
        _by_a_copy_of_y,
        _in_matrices,
        _direction_by_loops,
    ],
)

# --------------------------------------------------------------------------------- two_particles


def _pair_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, ratio, std=None, *tags) -> Case:
        std = float(rng.uniform(0.5, 3.0)) if std is None else std
        mean = float(rng.uniform(0.5, 3.0) * rng.choice([-1.0, 1.0]))
        return Case(name, {"mean": mean, "std": std, "bandwidth": ratio * std**2}, tags)

    return [
        case("a bandwidth like the variance", float(rng.uniform(0.6, 1.8))),
        case("a narrow target", float(rng.uniform(0.5, 1.5)), float(rng.uniform(0.2, 0.4))),
        case("a wide target", float(rng.uniform(0.5, 1.5)), float(rng.uniform(4.0, 7.0))),
        case("a narrow kernel", 0.05),
        case("a very narrow kernel", 1e-4, None, "narrow"),
        case("a wide kernel", float(rng.uniform(8.0, 12.0)), None, "wide"),
        case("a very wide kernel", 1e6, None, "wide"),
    ]


@composable
def _pair(
    inside: str = "1 + 4σ²/h",
    half: float = 0.5,
    kernel: str = "d²/h",
    root: bool = True,
    missing: str = "μ",
) -> Callable:
    """The standstill with its parts exchangeable; missing: what is returned where no root exists, "μ" or "nan"."""

    def two_particles(mean, std, bandwidth):
        h = {
            "d²/h": bandwidth,
            "d²/2h²": 2 * bandwidth**2,
            "d²/2h": 2 * bandwidth,
            "d²/h²": bandwidth**2,
        }[kernel]
        x = {
            "1 + 4σ²/h": lambda: 1 + 4 * std**2 / h,
            "4σ²/h": lambda: 4 * std**2 / h,
            "2σ²/h": lambda: 2 * std**2 / h,
            "4σ²/h − 1": lambda: 4 * std**2 / h - 1,
            "1 + 4σ²": lambda: 1 + 4 * std**2,
            "1 + 2σ²/h": lambda: 1 + 2 * std**2 / h,
            "1 + σ²/h": lambda: 1 + std**2 / h,
            "1 + 4σ²/h²": lambda: 1 + 4 * std**2 / h**2,
            "1 + 4σ/h": lambda: 1 + 4 * std / h,
            "1 + 4/σ²h": lambda: 1 + 4 / (std**2 * h),
        }[inside]()  # fmt: skip
        if x <= 1:
            return (mean, mean) if missing == "μ" else (math.nan, math.nan)
        squared = h * math.log(x)
        away = half * math.sqrt(squared) if root else half**2 * squared
        return mean - away, mean + away

    return two_particles  # fmt: skip


def _pair_by_k(mean, std, bandwidth):
    k = bandwidth / (bandwidth + 4 * std**2)
    away = math.sqrt(-bandwidth * math.log(k)) / 2
    return mean - away, mean + away


def _pair_by_bisection(mean, std, bandwidth):
    """Right: one particle's direction, halved until nothing is left; it points outwards below the standstill."""
    low, high = 0.0, 2 * std
    for _ in range(200):
        d = (low + high) / 2
        x = 4 * d**2 / bandwidth
        outwards = d / std**2 * math.expm1(-x) + 4 * d / bandwidth * math.exp(-x)
        low, high = (d, high) if outwards > 0 else (low, d)
    return mean - low, mean + low


def _pair_as_array(mean, std, bandwidth):
    away = np.sqrt(bandwidth * np.log1p(4 * std**2 / bandwidth)) / 2
    return mean + away * np.array([-1.0, 1.0])


two_particles = Exercise(
    "two_particles",
    reference=soft_q.two_particles,
    cases=_pair_cases,
    returns=row_of("low", "high"),
    points=2,
    equation="(17.12)",
    mistakes=[
        Mistake(
            "distance-for-half",
            "You have taken the distance between the particles for half of it. They stand 2d apart: k = e^{−4d²/h}.",
            "If one particle stands at μ + d and the other at μ − d, what is the square of their distance?",
            _pair(half=1.0),
            _pair(half=math.sqrt(0.5)),
        ),
        Mistake(
            "true-spread",
            "You place them at μ ± σ. That is the limit of a very wide kernel, or of many particles.",
            "Which argument of the function have you not used?",
            lambda mean, std, bandwidth: (mean - std, mean + std),
        ),
        Mistake(
            "own-score-only",
            "Only a particle's own score pulls it in. The first term is shared: the neighbour's score counts with weight k.",
            "How many terms has the first half of (17.9) for K = 2?",
            *(_pair(x, missing=m) for x in ("4σ²/h", "2σ²/h") for m in ("μ", "nan")),
        ),
        Mistake(
            "neighbour-pulls-in",
            "The neighbour's score pulls your particle inwards. It stands on the other side of the hill: its way up is, for "
            "you, the way out.",
            "Which sign has the score of the particle on the left?",
            *(_pair("4σ²/h − 1", missing=m) for m in ("μ", "nan")),
        ),
        Mistake(
            "slope-without-h",
            "The kernel's slope is off by a factor. The inner derivative of e^{−D²/h} is 2D/h, and D = 2d.",
            "Check the units: what may stand beside a 1?",
            *(_pair(x) for x in ("1 + 4σ²", "1 + 2σ²/h", "1 + σ²/h", "1 + 4σ²/h²")),
        ),
        Mistake(
            "std-for-variance",
            "σ enters where σ² belongs, or on the wrong side of the fraction. A Gaussian's score is −(x − μ)/σ².",
            "Check the units: h is a squared distance. What is 4σ²/h?",
            _pair("1 + 4σ/h"),
            _pair("1 + 4/σ²h"),
        ),
        Mistake(
            "bandwidth-as-sigma",
            "Your result belongs to another kernel, one with a σ or a length scale. h is what the squared distance is "
            "divided by.",
            "Write down the kernel of (17.10). Where does h stand?",
            *(_pair(kernel=k) for k in ("d²/2h²", "d²/2h", "d²/h²")),
        ),
        Mistake(
            "no-root",
            "That is d². You solved for the square of the half distance.",
            "Check the units: what happens to your result if everything is measured in centimetres?",
            _pair(root=False),
        ),
        Mistake(
            "order",
            "The two positions have changed places: the smaller one comes first.",
            "Which of the two particles stands on the left?",
            lambda mean, std, bandwidth: _pair()(mean, std, bandwidth)[::-1],
        ),
        Mistake(
            "mean-missing",
            "Your particles stand around 0. The target's middle is μ.",
            "Which argument of the function have you not used?",
            lambda mean, std, bandwidth: _pair()(0.0, std, bandwidth),
        ),
    ],
    also_correct=[_pair(), _pair_by_k, _pair_by_bisection, _pair_as_array],
)

# ----------------------------------------------------------------------------- soft_policy_score


def _score_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, b, k, d, alpha, *tags, obs_dim=2, u=None) -> Case:
        u = 1.2 * rng.normal(size=(b, k, d)) if u is None else u
        given = {
            "q_net": network(rng, "critic", obs_dim + d),
            "obs": recipe(rng.normal(size=(b, obs_dim))),
            "u": recipe(u),
            "alpha": alpha,
        }
        return Case(name, given, tags)

    far = rng.choice([-1.0, 1.0], size=(3, 3, 2)) * rng.uniform(10, 40, size=(3, 3, 2))
    return [
        case("four states, three particles", 4, 3, 2, 0.3),
        case("one dimension, a high temperature", 3, 5, 1, 4.0, "D = 1"),
        case("as many states as particles", 3, 3, 2, 0.5, "B = K", obs_dim=3),
        case("one state", 1, 6, 2, 0.2, "B = 1"),
        case("one particle a state", 5, 1, 3, 0.7, "K = 1"),
        case("far out, both ways", 3, 3, 2, 0.4, "far out", u=far),
    ]


_LOG_DETS: dict[str, Callable] = {
    "softplus": lambda u: 2 * (math.log(2) - u - softplus(-2 * u)),
    "none": lambda u: 0.0 * u,
    "log(1 − tanh²)": lambda u: torch.log(1 - torch.tanh(u) ** 2),
    "+ 1e-6": lambda u: torch.log(1 - torch.tanh(u) ** 2 + 1e-6),
    "+ 1e-8": lambda u: torch.log(1 - torch.tanh(u) ** 2 + 1e-8),
    "+ 1e-5": lambda u: torch.log(1 - torch.tanh(u) ** 2 + 1e-5),
    "clamped": lambda u: torch.log((1 - torch.tanh(u) ** 2).clamp(min=1e-6)),
    "minus": lambda u: -2 * (math.log(2) - u - softplus(-2 * u)),
    "half": lambda u: math.log(2) - u - softplus(-2 * u),
}
_TEMPERATURES: dict[str, Callable] = {
    "Q/α + J": lambda q, j, a: q / a + j,
    "Q + J": lambda q, j, a: q + j,
    "(Q + J)/α": lambda q, j, a: (q + j) / a,
    "Q + αJ": lambda q, j, a: q + a * j,
    "αQ + J": lambda q, j, a: a * q + j,
    "J": lambda q, j, a: 0.0 * q + j,
}
_ROWS: dict[str, Callable] = {
    "state by state": lambda obs, k: obs.repeat_interleave(k, dim=0),
    "mixed": lambda obs, k: obs.repeat(k, 1),
    "first": lambda obs, k: obs[:1].expand(k * len(obs), -1),
}


def _q_of_many(q_net, obs, a, rows="state by state"):
    b, k, d = a.shape
    return q_net(_ROWS[rows](obs, k), a.reshape(b * k, d)).view(b, k)


@composable
def _score(
    det: str = "softplus",
    temperature: str = "Q/α + J",
    rows: str = "state by state",
    total: str = "sum",
    squash: bool = True,
    sign: float = 1.0,
    attached: bool = False,
) -> Callable:
    """The score with its parts exchangeable; attached: the gradient keeps its graph."""

    def soft_policy_score(q_net, obs, u, alpha):
        u = u.detach().requires_grad_()
        a = torch.tanh(u) if squash else u
        log_p = _TEMPERATURES[temperature](
            _q_of_many(q_net, obs, a, rows), _LOG_DETS[det](u).sum(dim=-1), alpha
        )
        log_p = {
            "sum": log_p.sum,
            "mean": log_p.mean,
            "mean over K": lambda: log_p.mean(dim=1).sum(),
            "mean over B": lambda: log_p.mean(dim=0).sum(),
        }[total]()
        found = torch.autograd.grad(sign * log_p, u, create_graph=attached)[0]
        return found if attached else found.detach()

    return soft_policy_score


def _by_the_action(det: str) -> Callable:
    def soft_policy_score(q_net, obs, u, alpha):
        a = torch.tanh(u).detach().requires_grad_()
        more = {
            "exact": lambda: torch.log(1 - a**2),
            "+ 1e-6": lambda: torch.log(1 - a**2 + 1e-6),
            "none": lambda: 0.0 * a,
        }[det]()
        log_p = _q_of_many(q_net, obs, a) / alpha + more.sum(dim=-1)
        return torch.autograd.grad(log_p.sum(), a)[0]

    return soft_policy_score


def _slope_of_q_and_the_determinant(q_net, obs, u, alpha):
    """The determinant is differentiated by u, Q by a."""
    return _by_the_action("none")(q_net, obs, u, alpha) - 2 * torch.tanh(u)


def _with_backward(cleared: bool) -> Callable:
    def soft_policy_score(q_net, obs, u, alpha):
        u = u.detach().requires_grad_()
        log_p = _q_of_many(q_net, obs, torch.tanh(u)) / alpha + _LOG_DETS["softplus"](u).sum(-1)
        log_p.sum().backward()
        if cleared:
            for p in q_net.parameters():
                p.grad = torch.zeros_like(p)
        return u.grad

    return soft_policy_score


def _critic_touched(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    """Gradients are left behind in the critic."""
    return any(o.failure is not None and o.failure.tag == "own-backward" for o in outcomes)


def _closed_form(q_net, obs, u, alpha):
    a = torch.tanh(u).detach().requires_grad_()
    slope = torch.autograd.grad(_q_of_many(q_net, obs, a).sum(), a)[0]
    return ((1 - a**2) * slope / alpha - 2 * a).detach()


def _by_transform(q_net, obs, u, alpha):
    u = u.detach().requires_grad_()
    a = torch.tanh(u)
    log_det = TanhTransform().log_abs_det_jacobian(u, a).sum(dim=-1)
    return torch.autograd.grad((_q_of_many(q_net, obs, a) / alpha + log_det).sum(), u)[0]


def _score_state_by_state(q_net, obs, u, alpha):
    found = []
    for s, cloud in zip(obs, u, strict=True):
        cloud = cloud.detach().requires_grad_()
        q = q_net(s.expand(len(cloud), -1), torch.tanh(cloud))
        # −2 log cosh u, without overflow
        log_det = -2 * (cloud.abs() + torch.log1p(torch.exp(-2 * cloud.abs())) - math.log(2))
        found.append(torch.autograd.grad(q.sum() / alpha + log_det.sum(), cloud)[0])
    return torch.stack(found)


soft_policy_score = Exercise(
    "soft_policy_score",
    reference=soft_q.soft_policy_score,
    cases=_score_cases,
    returns=tensor(),
    points=2,
    equation="(17.14)",
    call="gradients",
    **CLOSE,
    mistakes=[
        Mistake(
            "backward-into-the-critic",
            "You call `backward()`, and the critic's weights have gradients now. Only the slope by u is wanted: "
            "`torch.autograd.grad` leaves the weights' `.grad` alone.",
            "Which function of torch gives a gradient *back* instead of storing it?",
            _with_backward(cleared=False),
            _with_backward(cleared=True),
            shows=_critic_touched,
        ),
        Mistake(
            "no-log-determinant",
            "Your score is that of Q/α alone. tanh squeezes: a density before tanh carries log(1 − tanh²). Without it "
            "nothing stops u from running to infinity.",
            "What is your score at u = 20, where tanh is flat? Which way does a particle go from there?",
            _score("none"),
        ),
        Mistake(
            "score-of-the-action",
            "You differentiate by the action a = tanh u. The particles are the u: differentiate by u. By a it is neither the "
            "score of a nor that of u.",
            "Which factor does the chain rule bring when a = tanh u?",
            *(_by_the_action(det) for det in ("exact", "+ 1e-6", "none")),
            _slope_of_q_and_the_determinant,
        ),
        Mistake(
            "unstable-determinant",
            "1 − tanh² rounds to 0 far out, and its logarithm breaks; a small number inside makes the slope 0 where it is "
            "∓2. Rewrite it with softplus, or differentiate on paper: −2 tanh u.",
            "What is 1 − tanh²(10) in float32?",
            *(_score(det) for det in ("log(1 − tanh²)", "+ 1e-6", "+ 1e-8", "+ 1e-5", "clamped")),
        ),
        Mistake(
            "determinant-sign",
            "You subtract the log-determinant. It is added: where tanh squeezes, the density before tanh is *low*.",
            "Far out, which way should your score point: back to 0, or further out?",
            _score("minus"),
        ),
        Mistake(
            "no-temperature",
            "Q is not divided by α: the temperature does not enter, or the wrong way round.",
            "What happens to e^{Q/α} when α becomes small?",
            _score(temperature="Q + J"),
            _score(temperature="αQ + J"),
        ),
        Mistake(
            "temperature-on-both",
            "α scales the determinant as well, or the whole. Only Q is divided by α.",
            "What should your score be where Q is flat, for any α?",
            _score(temperature="(Q + J)/α"),
            _score(temperature="Q + αJ"),
        ),
        Mistake(
            "no-critic",
            "Q does not enter: your score is that of the uniform distribution of actions.",
            "Which arguments of the function have you not used?",
            _score(temperature="J"),
        ),
        Mistake(
            "states-mixed",
            "Particles meet the wrong states. Rows must go state by state: `repeat_interleave`, not `repeat`.",
            "For two states and three particles: in which order do the six rows of your observations come?",
            _score(rows="mixed"),
            _score(rows="first"),
        ),
        Mistake(
            "not-squashed",
            "Q is asked at u. Actions live in (−1, 1): the critic sees tanh u.",
            "At which action does the agent act for the particle u?",
            _score(squash=False),
        ),
        Mistake(
            "mean",
            "You differentiate a mean: every slope is divided by the number of particles. Each particle's own slope: "
            "differentiate the sum.",
            "What should happen to the first particle's score when another particle is appended? Nothing.",
            *(_score(total=t) for t in ("mean", "mean over K", "mean over B")),
        ),
        Mistake(
            "sign",
            "This is the negative. The score points uphill.",
            "Where Q rises with u, which sign should your score have?",
            _score(sign=-1.0),
        ),
        Mistake(
            "gradient-left-in",
            "The numbers are right, but a graph hangs on them. The score is a label.",
            "Did you ask for a second derivative? Which method makes a tensor a mere number?",
            _score(attached=True),
        ),
    ],
    also_correct=[_score(), _closed_form, _by_transform, _score_state_by_state],
)

# --------------------------------------------------------------------------------- soft_q_update


def _update_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name, b, k, d, *tags, obs_dim=2, alpha=0.5, gamma=0.9, rho=0.7, calls=2, lr=0.1, **batch
    ):
        state = AgentState({
            "q_net": network(rng, "critic", obs_dim + d),
            "q_targ": network(rng, "critic", obs_dim + d),
            "sampler": network(rng, "sampler", obs_dim + d, d),
            "q_optimizer": Optimizer(["q_net"], lr),
            "sampler_optimizer": Optimizer(["sampler"], 2 * lr),
            "alpha": alpha, "gamma": gamma, "rho": rho,
        })  # fmt: skip
        data = {
            "batch": [transitions(rng, b, obs_dim, act_dim=d, **batch) for _ in range(calls)],
            "proposal": [recipe(rng.uniform(-1, 1, size=(b, k, d))) for _ in range(calls)],
            "noise": [recipe(rng.normal(size=(b, k, d))) for _ in range(calls)],
        }
        return Case(name, {"agent_state": state} | data, tags)

    return [
        # One call comes first: most mistakes show there, and it costs least.
        case("one update, two dimensions", 5, 3, 2, calls=1),
        case("two updates", 4, 5, 2, alpha=0.3),
        case("one dimension", 4, 3, 1, "D = 1", gamma=0.6, alpha=1.5),
        case("three dimensions", 3, 7, 3, obs_dim=3),
        case("as many states as particles", 3, 3, 2, "B = K", rho=0.9),
        case("one state, and it goes on", 1, 5, 2, "B = 1", terminated=[0]),
        case("one particle", 4, 1, 2, "K = 1"),
        case("all rows terminate", 4, 3, 2, "terminated rows", terminated=[1] * 4),
    ]  # fmt: skip


_DENSITIES: dict[str, Callable] = {
    "−D log 2": lambda d: -d * math.log(2),
    "0": lambda d: 0.0,
    "D log 2": lambda d: d * math.log(2),
    "−log 2": lambda d: -math.log(2),
    "log 2": lambda d: math.log(2),
    "−D": lambda d: -float(d),
}
_REDUCED: dict[str, Callable] = {
    "mean": lambda x: x.sum(dim=-1).mean(),
    "sum": lambda x: x.sum(),
    "over K": lambda x: x.sum(dim=(0, 2)).mean(),
    "over B": lambda x: x.sum(dim=(1, 2)).mean(),
    "over all": lambda x: x.mean(),
}


@composable
def _update(
    *,
    value: str = "soft",
    density: str = "−D log 2",
    target_net: str = "q_targ",
    target_obs: str = "next_obs",
    detach_target: bool = True,
    mask: str = "next",
    discount: str = "next",
    half: float = 0.5,
    reduce: str = "mean",
    critic_at: str = "batch",
    clear: tuple[str, ...] = ("q", "sampler"),
    steps: tuple[str, ...] = ("q", "sampler"),
    order: str = "critic first",
    score_net: str = "q_net",
    direction: str = "svgd",
    push: float = 1.0,
    det: str = "softplus",
    sign: float = -1.0,
    total: str = "mean",
    through: bool = False,
    moves: str = "u",
    cloud: str = "states",
    bandwidth: str = "states",
    rows: str = "state by state",
    rows_of: tuple[str, ...] = ("value", "sampler", "score"),
    critic_again: str = "",
    keep: str = "rho",
    follows: str = "last",
) -> Callable:
    """Algorithm 1 with its steps exchangeable.

    direction: "svgd", the "score", or the slope of "Q" or of "Q/α"; rows: how states meet particles in `rows_of`;
    critic_again: "alone" or "at once", how the sampler's gradient moves the critic; follows: when q_targ moves.
    """

    def arranged(where):
        return rows if where in rows_of else "state by state"

    def label(me, batch, proposal):
        net, obs = getattr(me, target_net), getattr(batch, target_obs)
        q = _q_of_many(net, obs, proposal, arranged("value"))
        log_q = _DENSITIES[density](proposal.shape[-1])
        if value == "soft":
            v = _value()(q, log_q, me.alpha)
        elif value == "max":
            v = q.max(dim=1).values
        elif value == "mean":
            v = q.mean(dim=1)
        else:
            v = _value(value)(q, log_q, me.alpha)
        return td_target(batch.reward, v, batch.terminated, me.gamma, mask, discount)

    def critic(me, batch, proposal):
        with torch.set_grad_enabled(not detach_target):
            y = label(me, batch, proposal)
        loss = half * mse_loss(me.q_net(batch.obs, batch.action), y, reduction=reduce)
        if "q" in clear:
            me.q_optimizer.zero_grad()
        loss.backward()
        if "q" in steps:
            me.q_optimizer.step()
        return float(loss)

    def wanted(me, batch, u):
        """The direction of each particle."""
        net = getattr(me, score_net)
        score = _score(det, rows=arranged("score"))(net, batch.obs, u, me.alpha)
        at = u if through else u.detach()
        x = torch.tanh(at) if cloud == "actions" else at
        if direction == "score":
            return score
        if direction in ("Q", "Q/α"):
            v = u.detach().requires_grad_()
            q = _q_of_many(net, batch.obs, torch.tanh(v)) / (me.alpha if direction == "Q/α" else 1)
            return torch.autograd.grad(q.sum(), v)[0]
        if cloud == "batch":
            x, score = x.reshape(1, -1, x.shape[-1]), score.reshape(1, -1, x.shape[-1])
        h = _bandwidth(over="all" if bandwidth == "batch" else "state")(x, x)
        h = 1.0 if bandwidth == "1" else h
        return _direction(push=push)(x, score, x, h).reshape(u.shape)

    def actor(me, batch, noise):
        b, k, d = noise.shape
        u = me.sampler(_ROWS[arranged("sampler")](batch.obs, k), noise.reshape(b * k, d)).view(
            b, k, d
        )
        phi = wanted(me, batch, u)
        moved = torch.tanh(u) if moves == "a" else u
        loss = sign * _REDUCED[total](moved * phi)
        if "sampler" in clear:
            me.sampler_optimizer.zero_grad()
        loss.backward()
        if "sampler" in steps:
            me.sampler_optimizer.step()
        if critic_again:
            if critic_again == "alone":
                me.q_optimizer.zero_grad()
            v = me.sampler(batch.obs.repeat_interleave(k, dim=0), noise.reshape(b * k, d)).detach()
            (-_q_of_many(me.q_net, batch.obs, torch.tanh(v).view(b, k, d)).mean()).backward()
            me.q_optimizer.step()
        return float(loss)

    def follow(me):
        rho = {"rho": me.rho, "1 - rho": 1 - me.rho, "nothing": 0.0}[keep]
        polyak_update(me.q_targ, me.q_net, rho)

    def soft_q_update(agent_state, batch, proposal, noise):
        me = agent_state
        if follows == "first":
            follow(me)
        if order == "critic first":
            losses = {"q": critic(me, batch, proposal)}
            if follows == "middle":
                follow(me)
            losses["sampler"] = actor(me, batch, noise)
        else:
            losses = {"sampler": actor(me, batch, noise)}
            losses["q"] = critic(me, batch, proposal)
        if follows == "last":
            follow(me)
        return losses

    return soft_q_update  # fmt: skip


def _pieces(agent_state, batch, proposal, noise, move) -> dict:
    """A right update, everything written out; move(sampler_optimizer, u, Δ): the sampler's step."""
    s = agent_state
    b, k, d = proposal.shape
    with torch.no_grad():
        q = s.q_targ(batch.next_obs.repeat_interleave(k, 0), proposal.reshape(-1, d)).reshape(b, k)
        v = s.alpha * (torch.logsumexp(q / s.alpha, dim=1) - math.log(k) + d * math.log(2))
        y = batch.reward + s.gamma * (1 - batch.terminated) * v
    error = s.q_net(batch.obs, batch.action) - y
    s.q_optimizer.zero_grad()
    ((error**2).sum() / (2 * b)).backward()
    s.q_optimizer.step()
    u = s.sampler(batch.obs.repeat_interleave(k, 0), noise.reshape(-1, d)).reshape(b, k, d)
    score = _closed_form(s.q_net, batch.obs, u.detach(), s.alpha)
    x = u.detach()
    phi = _direction_by_loops(x, score, x, _bandwidth_in_numpy(x, x))
    s.sampler_optimizer.zero_grad()
    move(u, phi)
    s.sampler_optimizer.step()
    with torch.no_grad():
        for slow, fast in zip(s.q_targ.parameters(), s.q_net.parameters(), strict=True):
            slow.lerp_(fast, 1 - s.rho)
    return {"q": float((error**2).mean())}


def _by_given_gradient(agent_state, batch, proposal, noise):
    return _pieces(
        agent_state, batch, proposal, noise,
        lambda u, phi: u.backward(gradient=-phi / u.shape[:2].numel()),
    )  # fmt: skip


def _by_moved_labels(agent_state, batch, proposal, noise):
    def move(u, phi):
        label = (u + phi).detach()
        (0.5 * (u - label).square().sum() / u.shape[:2].numel()).backward()

    return _pieces(agent_state, batch, proposal, noise, move)


_REPULSION = (
    "Nothing keeps the particles apart: the second term of (17.9) is missing.",
    "Which of your own functions gives the direction? Does it have both terms?",
)

soft_q_update = Exercise(
    "soft_q_update",
    reference=soft_q.soft_q_update,
    cases=_update_cases,
    returns=figures(),
    points=4,
    equation="(17.17)",
    call="updates",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        *target_mistakes(
            _update,
            (
                "Your target bootstraps through a terminal state. After it comes nothing, whatever the critic says.",
                "Where does `terminated` enter your target?",
            ),
        ),
        Mistake(
            "online-target",
            "The target is made by the critic that is being trained: the label moves with every step. The slow copy "
            "makes the target.",
            "Which network of (17.17) carries the subscript targ?",
            _update(target_net="q_net"),
            _update(target_net="q_net", detach_target=False),
        ),
        Mistake(
            "target-looks-at-s",
            "The soft value in your target is that of s. What follows the step lies in s′.",
            "Which observations do you give to the slow network?",
            _update(target_obs="obs"),
        ),
        Mistake(
            "proposal-density",
            "The proposal's density is not the right one. A uniform draw from (−1, 1)^D has the density 2^−D, and its "
            "logarithm is negative.",
            "How large is the box (−1, 1)^D, and by what do you divide so that its density integrates to 1?",
            *(_update(density=d) for d in ("0", "D log 2", "−log 2", "log 2", "−D")),
        ),
        Mistake(
            "not-soft",
            "The next state's value is a maximum or a mean of the K values, not the soft one.",
            "Which of your own functions gives V̂?",
            _update(value="max"),
            _update(value="mean"),
        ),
        Mistake(
            "no-temperature",
            "Inside your soft value Q is not divided by α.",
            "Did you hand `alpha` on?",
            _update(value="Q − log q"),
        ),
        Mistake(
            "no-half",
            "½ is missing from the critic's loss, or there twice. With ½ the gradient is the error itself.",
            "Write out the critic's loss for a batch of one. What is its gradient?",
            _update(half=1.0),
            _update(half=0.25),
        ),
        Mistake(
            "summed-loss",
            "The critic's loss is summed over the batch: the step would grow with it. It is a mean.",
            "What happens to the critic's step when every row of the batch comes twice?",
            _update(reduce="sum"),
            _update(reduce="sum", half=1.0),
        ),
        Mistake(
            "gradients-pile-up",
            "Gradients of earlier steps are still there when you call `backward()`: torch adds to them.",
            "What has to happen to the gradients before each `backward()`?",
            _update(clear=("q",)),
            _update(clear=("sampler",)),
            _update(clear=()),
        ),
        Mistake(
            "sampler-on-the-old-critic",
            "The sampler follows a critic that has not learned from this batch, or the slow one. First the critic, then the "
            "sampler against what it has learned.",
            "In which order do the lines of the algorithm come, and which network does the score look at?",
            _update(order="sampler first"),
            _update(score_net="q_targ"),
        ),
        Mistake(
            "climbs-q",
            "Each particle climbs by itself, on Q or on log p. That is DDPG with noise: all particles end on one peak.",
            "Where in your function do two particles of a state meet?",
            *(_update(direction=d) for d in ("Q", "Q/α", "score")),
        ),
        Mistake("no-repulsion", *_REPULSION, _update(push=0.0)),
        Mistake(
            "attraction",
            "The particles are pulled together: the second term of (17.9) has the wrong sign.",
            "Two particles, both scores 0: which way should each of them go?",
            _update(push=-1.0),
        ),
        Mistake(
            "no-log-determinant",
            "The score lacks the log-determinant of tanh: nothing stops the particles from running to infinity.",
            "Did you use your own `soft_policy_score`?",
            _update(det="none"),
        ),
        Mistake(
            "sign",
            "The particles move against Δ. An optimiser goes downhill; Δ is where the particles should go.",
            "Which sign makes u grow where Δ is positive?",
            _update(sign=1.0),
        ),
        Mistake(
            "mean-of-everything",
            "The sampler's loss is not the mean over the B·K particles of their products: a sum, or a mean over fewer or "
            "more numbers.",
            "How often is your loss divided? The sum over the dimensions stays a sum.",
            *(_update(total=t) for t in ("sum", "over K", "over B", "over all")),
        ),
        Mistake(
            "direction-not-detached",
            "A gradient flows through Δ. Δ is a label: only u = f(s, ξ) carries gradient.",
            "What does your `svgd_direction` know about the sampler's weights?",
            _update(through=True),
        ),
        Mistake(
            "moves-the-action",
            "Something lives after tanh that belongs before it. Particles, kernel, score and step: all before tanh.",
            "At which places of the sampler's half does your function call tanh? One is enough, inside the score.",
            _update(moves="a"),
            _update(cloud="actions"),
            _update(cloud="actions", moves="a"),
        ),
        Mistake(
            "one-cloud",
            "Particles of different states feel each other, or share one bandwidth. Each state has its own particles.",
            "What is the shape of the particles that you hand to your own functions?",
            _update(cloud="batch"),
            _update(bandwidth="batch"),
        ),
        Mistake(
            "bandwidth-fixed",
            "Your kernel has a fixed bandwidth. It is the median's, and new for every step.",
            "Which of your own functions have you not used?",
            _update(bandwidth="1"),
        ),
        Mistake(
            "states-mixed",
            "Actions or particles meet the wrong states. Rows go state by state: `repeat_interleave`, not `repeat`.",
            "For two states and three particles: in which order do the six rows of your observations come?",
            _update(rows="mixed"),
            *(_update(rows="mixed", rows_of=(where,)) for where in ("value", "sampler", "score")),
            _update(rows="mixed", rows_of=("value", "sampler")),
        ),
        Mistake(
            "critic-moves-with-the-sampler",
            "The critic moves when the sampler does. Only the sampler's weights may move then.",
            "Which optimisers are stepped in the sampler's half, and what are their gradients at that moment?",
            _update(critic_again="alone"),
            _update(critic_again="at once"),
        ),
        Mistake(
            "half-of-it",
            "One of the two networks never moves: there are two losses and two steps.",
            "Which optimisers does `agent_state` hold, and which of them have you stepped?",
            _update(steps=("q",)),
            _update(steps=("sampler",)),
        ),
        Mistake(
            "polyak-reversed",
            "ρ and 1 − ρ have changed places, or ρ does not enter. With ρ near 1 the slow copy should hardly move.",
            "What should happen to the slow copy at ρ = 1?",
            _update(keep="1 - rho"),
            _update(keep="nothing"),
        ),
        Mistake(
            "target-misplaced",
            "The slow copy never follows, or before the critic has made its step.",
            "Where does `polyak_update` stand in the algorithm?",
            _update(follows="first"),
            _update(follows="never"),
        ),
    ],
    also_correct=[
        _update(),
        _update(follows="middle"),
        _by_given_gradient,
        _by_moved_labels,
    ],
)

LESSON = Lesson(
    "17",
    "Soft Q-learning",
    [
        soft_value_estimate,
        rbf_kernel,
        median_bandwidth,
        svgd_direction,
        two_particles,
        soft_policy_score,
        soft_q_update,
    ],
    torch=True,
)
