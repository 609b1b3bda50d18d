"""Lesson 12: Proximal policy optimisation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import mse_loss

from rlcourse.checker.comparing import same
from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    anything,
    composable,
    number,
    numbers,
    several,
    tensor,
)
from rlcourse.checker.harness import Case
from rlcourse.checker.networks import (
    ATOL,
    RTOL,
    AgentState,
    Optimizer,
    Reused,
    both_signs,
    network,
    recording,
)
from rlcourse.checker.networks import tensor as recipe
from rlcourse.checker.plain import Tensor
from rlcourse.checker.probes import Rng
from rlcourse.exercises.network_targets import NOT_REDUCED, REDUCTIONS, td_target
from rlcourse.policies import ppo

# ------------------------------------------------------------------------------- the two losses

# From log π and log π_old to what stands for the ratio.
_RATIOS: dict[str, Callable] = {
    "ρ": lambda new, old: torch.exp(new - old),
    "difference": lambda new, old: new - old,
    "1 + difference": lambda new, old: 1 + new - old,
    "upside-down": lambda new, old: torch.exp(old - new),
    "quotient of logs": lambda new, old: new / old,
    "quotient": lambda new, old: new.exp() / old.exp(),
    "quotient, a little more below": lambda new, old: new.exp() / (old.exp() + 1e-8),
    "quotient, more below": lambda new, old: new.exp() / (old.exp() + 1e-6),
    "log π": lambda new, old: new + 0.0 * old,
    "π": lambda new, old: new.exp() + 0.0 * old,
    "detached": lambda new, old: torch.exp(new - old).detach(),
    "mean": lambda new, old: torch.exp(new - old).mean().expand_as(new),
}
_ADVANTAGES: dict[str, Callable] = {
    "A": lambda adv: adv,
    "centred": lambda adv: adv - adv.mean(),
    "standardised": lambda adv: (adv - adv.mean()) / (adv.std(unbiased=False) + 1e-8),
    "standardised, n − 1": lambda adv: (adv - adv.mean()) / (adv.std() + 1e-8),
}
_STANDARDISED = [name for name in _ADVANTAGES if name != "A"]
# From ρ, A and ε to a row's objective.
_OBJECTIVES: dict[str, Callable] = {
    "min": lambda r, a, e: torch.minimum(r * a, r.clamp(1 - e, 1 + e) * a),
    "max": lambda r, a, e: torch.maximum(r * a, r.clamp(1 - e, 1 + e) * a),
    "product clipped": lambda r, a, e: torch.minimum(r * a, (r * a).clamp(1 - e, 1 + e)),
    "product clipped alone": lambda r, a, e: (r * a).clamp(1 - e, 1 + e),
    "clipped alone": lambda r, a, e: r.clamp(1 - e, 1 + e) * a,
    "above only": lambda r, a, e: torch.minimum(r * a, r.clamp(max=1 + e) * a),
    "above only, alone": lambda r, a, e: r.clamp(max=1 + e) * a,
    "below only": lambda r, a, e: torch.minimum(r * a, r.clamp(min=1 - e) * a),
    "no clip": lambda r, a, e: r * a,
    "min before the product": lambda r, a, e: torch.minimum(r, r.clamp(1 - e, 1 + e)) * a,
    "0 ± ε": lambda r, a, e: torch.minimum(r * a, r.clamp(-e, e) * a),
    "log ρ clipped": lambda r, a, e: torch.minimum(r * a, r.log().clamp(-e, e).exp() * a),
    "1/(1 + ε)": lambda r, a, e: torch.minimum(r * a, r.clamp(1 / (1 + e), 1 + e) * a),
    "ε of one's own": lambda r, a, e: torch.minimum(r * a, r.clamp(0.8, 1.2) * a),
}


def _min_of_means(r, a, e):
    return torch.minimum((r * a).mean(), (r.clamp(1 - e, 1 + e) * a).mean())


@composable
def _clip_loss(
    ratio: str = "ρ",
    objective: str = "min",
    advantage: str = "A",
    sign: float = -1.0,
    reduce: str = "mean",
    old_data: bool = True,
    adv_data: bool = True,
) -> Callable:
    """`ppo_clip_loss` with its parts exchangeable; old_data, adv_data: whether they are detached."""

    def ppo_clip_loss(log_prob, log_prob_old, adv, clip):
        old = log_prob_old.detach() if old_data else log_prob_old
        a = _ADVANTAGES[advantage](adv.detach() if adv_data else adv)
        rows = _OBJECTIVES[objective](_RATIOS[ratio](log_prob, old), a, clip)
        return sign * REDUCTIONS[reduce](rows)

    return ppo_clip_loss


def _of_the_means(log_prob, log_prob_old, adv, clip):
    return -_min_of_means(torch.exp(log_prob - log_prob_old.detach()), adv.detach(), clip)


def _all_pairs(log_prob, log_prob_old, adv, clip):
    ratio = torch.exp(log_prob - log_prob_old.detach())[:, None]
    return -_OBJECTIVES["min"](ratio, adv.detach(), clip).mean()


def _spinning_up(log_prob, log_prob_old, adv, clip):
    """min(ρA, g(ε, A))."""
    a = adv.detach()
    g = torch.where(a >= 0, (1 + clip) * a, (1 - clip) * a)
    return -torch.min(torch.exp(log_prob - log_prob_old.detach()) * a, g).mean()


def _larger_of_losses(log_prob, log_prob_old, adv, clip):
    ratio, a = (log_prob - log_prob_old.detach()).exp(), adv.detach()
    return torch.max(-a * ratio, -a * torch.clamp(ratio, 1 - clip, 1 + clip)).mean()


def _by_the_sign(log_prob, log_prob_old, adv, clip):
    with torch.no_grad():
        old, a = log_prob_old.clone(), adv.clone()
    ratio = torch.exp(log_prob - old)
    rows = torch.where(a > 0, ratio.clamp(max=1 + clip), ratio.clamp(min=1 - clip)) * a
    return -rows.sum() / len(rows)


def _row_by_row(log_prob, log_prob_old, adv, clip):
    total = 0.0
    for new, old, a in zip(log_prob, log_prob_old.tolist(), adv.tolist(), strict=True):
        ratio = torch.exp(new - old)
        flat = float(ratio) > 1 + clip if a > 0 else float(ratio) < 1 - clip
        total = total - a * (min(max(float(ratio), 1 - clip), 1 + clip) if flat else ratio)
    return total / len(adv) if torch.is_tensor(total) else 0.0 * log_prob.sum() + total / len(adv)


def _columns(rng: np.random.Generator, n: int, far: float, low: float = 0.0):
    """log π_old, log π and A: ratios below, within and above any interval, of both signs of A."""
    old = low - rng.exponential(size=n)
    moved = far * rng.choice([-1.0, 1.0], size=n) * rng.uniform(0.2, 1.0, size=n)
    return old + moved, old, 2 * rng.normal(size=n)


def _clip_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, *tags, n=8, far=0.8, clip=0.2, low=0.0, ratios=None, adv=None, data=True):
        new, old, drawn = _columns(rng, n, far, low)
        if ratios is not None:
            new = old + np.log(ratios)
        inputs = {
            "log_prob": recipe(new, grad=True),
            # Data, even if somebody hands over tensors that want gradients.
            "log_prob_old": recipe(old, grad=data),
            "adv": recipe(drawn if adv is None else np.array(adv), grad=data),
            "clip": clip,
        }
        return Case(name, inputs, tags)

    six = [0.5, 1.02, 1.7, 0.55, 0.97, 1.6]
    return [
        case("ratios below, within and above, both signs of A",
             ratios=six, adv=[2.0, 1.5, 1.0, -2.0, -1.0, -1.5], n=6),
        case("a batch of eight"),
        case("a wide interval", n=9, clip=0.5, far=1.4),
        case("a narrow interval", n=7, clip=0.05, far=0.3, data=False),
        case("one row, A > 0", "B = 1", n=1, ratios=[1.6], adv=[1.3]),
        case("one row, A < 0", "B = 1", n=1, ratios=[1.5], adv=[-0.7]),
        case("A > 0 in every row", n=5, ratios=[0.4, 0.9, 1.1, 1.5, 2.5], adv=[1.0, 2.0, 0.5, 3.0, 1.0]),
        case("A < 0 in every row", n=5, ratios=[0.4, 0.9, 1.1, 1.5, 2.5], adv=[-1.0, -2.0, -0.5, -3.0, -1.0]),
        case("the policy has not moved", n=5, ratios=[1.0] * 5),
        case("densities, of which some are above 1", n=6, low=2.0, clip=0.3),
        case("very unlikely actions", "very unlikely actions", n=6, low=-150.0, data=False),
    ]  # fmt: skip


def _alike_but_for_leaks(*data: str) -> Callable:
    """A mistake is known by its loss and the gradients of what is trained; data may get one besides."""

    def alike(case: Case, answer: dict, mistake: dict) -> bool:
        given, known = answer["value"], mistake["value"]
        if not (isinstance(given, Tensor) and same(given.data, known.data, RTOL, ATOL)):
            return False
        for mine, theirs in zip(answer["gradients"], mistake["gradients"], strict=True):
            for name in theirs:
                leak = name in data
                if leak and np.any(mine[name]) >= np.any(theirs[name]):
                    continue
                if leak or not same(mine[name], theirs[name], RTOL, ATOL):
                    return False
        return True

    return alike


_LOSS_SIGN = (
    "The sign is the other way round: minimising this makes actions with positive advantages *less* likely.",
    "What does the optimiser do with a loss: make it large or small?",
)
_NOT_EXPONENTIATED = (
    "You use the difference of the logarithms (or 1 plus it) for the ratio. A difference of logs is the *log* of the "
    "ratio.",
    "What is log π − log π_old if nothing has changed? And ρ?",
)
_UPSIDE_DOWN = (
    "Your ratio is the old policy over the new one. The data were drawn from the old policy and the new one is "
    "evaluated: new over old.",
    "An action that has become twice as likely: what is its ρ?",
)
_RATIO_OF_LOGS = (
    "You divide one log-probability by the other. The quotient of logarithms is not the logarithm of the quotient.",
    "Both log-probabilities are −2: what is ρ? Now take −2 and −1.",
)
_UNDERFLOW = (
    "You take both exponentials and then divide. An action of log-probability −150 gives 0/0 in float32 (and a small "
    "number below makes it 0 in place of ρ).",
    "Which operation on the two logarithms belongs to a division of the probabilities? Do it first.",
)
_OLD_GRADIENT = (
    "The value is right, but a gradient flows into `log_prob_old`. The old policy is frozen data: it was written down "
    "when the action was taken.",
    "How do you get a tensor's numbers without its history?",
)
_ADV_GRADIENT = (
    "The value is right, but a gradient flows into `adv`. An advantage is data for the policy's loss; through it the "
    "critic would be moved.",
    "How do you get a tensor's numbers without its history?",
)
_ADV_CHANGED = (
    "You centre or standardise the advantages inside. Use them as they are given; normalising is the caller's choice "
    "(and minibatches of a rollout are to have one common scale).",
    "Leave `adv` unchanged here.",
)
_SUMMED = (
    "This is the sum over the batch. The equation has a mean: divide by B.",
    "How does your loss change when every row is given twice? It should not.",
)
_POLICY_DETACHED = (
    "The value is right, but no gradient reaches `log_prob`: the policy would never learn.",
    "Which of the inputs are data, and which one is to be moved?",
)
_LOG_PROB_FOR_RATIO = (
    "You weigh the advantage with log π (or with π) in place of the ratio. Where the policy has moved that is another "
    "number and another gradient: the surrogate is the ratio times A.",
    "What is the first factor of (12.4)?",
)


ppo_clip_loss = Exercise(
    "ppo_clip_loss",
    reference=ppo.ppo_clip_loss,
    cases=_clip_cases,
    returns=tensor(),
    points=3,
    equation="(12.7)",
    parts=["importance_ratio"],
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    alike=_alike_but_for_leaks("log_prob_old", "adv"),
    mistakes=[
        Mistake("not-exponentiated", *_NOT_EXPONENTIATED, _clip_loss("difference"), _clip_loss("1 + difference")),
        Mistake("upside-down", *_UPSIDE_DOWN, _clip_loss("upside-down")),
        Mistake("ratio-of-logs", *_RATIO_OF_LOGS, _clip_loss("quotient of logs")),
        Mistake("old-gradient", *_OLD_GRADIENT, _clip_loss(old_data=False), _clip_loss(old_data=False, adv_data=False)),
        Mistake("adv-gradient", *_ADV_GRADIENT, _clip_loss(adv_data=False)),
        Mistake(
            "underflow", *_UNDERFLOW,
            _clip_loss("quotient"),
            _clip_loss("quotient, a little more below"),
            _clip_loss("quotient, more below"),
        ),
        Mistake(
            "max-for-min",
            "You take the larger of the two terms: the optimistic one. The bound must be the pessimistic one of the "
            "two, or it is no bound.",
            "Take A = 1 and ρ = 2. Which of the two terms gives a reward for going on?",
            _clip_loss(objective="max"),
        ),
        Mistake(
            "clips-the-product",
            "You clip ρA. The interval around 1 is one for the *ratio*; advantages may be of any size and sign.",
            "Clip first, multiply then: what does your function give for ρ = 1 and A = −3?",
            _clip_loss(objective="product clipped"),
            _clip_loss(objective="product clipped alone"),
        ),
        Mistake("sign", *_LOSS_SIGN, _clip_loss(sign=1.0), _clip_loss(objective="max", sign=1.0)),
        Mistake(
            "no-minimum",
            "You use the clipped term alone. Then a ratio that has gone *wrong* (A > 0 and ρ too small, or A < 0 and ρ "
            "too large) gets no gradient to come back.",
            "What is the slope at ρ = 0.5 for A > 0 in the figure? And of your loss?",
            _clip_loss(objective="clipped alone"),
        ),
        Mistake(
            "one-sided",
            "You clip on one side only (or take the minimum of the two *ratios*, which comes to that). For A > 0 the "
            "upper end must hold, for A < 0 the lower one.",
            "For which sign of A is a small ratio what the surrogate rewards?",
            _clip_loss(objective="above only"),
            _clip_loss(objective="below only"),
            _clip_loss(objective="above only, alone"),
        ),
        Mistake(
            "no-clipping",
            "This is the surrogate (12.4): nothing is clipped.",
            "Which argument of the function have you not used?",
            _clip_loss(objective="no clip"),
        ),
        Mistake(
            "other-interval",
            "Your interval is not [1 − ε, 1 + ε]: it lies around 0, or is one for log ρ, or has 1/(1 + ε) as its lower "
            "end, or an ε of your own.",
            "Put ε = 0.5. Between which two ratios is nothing clipped? And in your code?",
            *(_clip_loss(objective=o) for o in ("0 ± ε", "log ρ clipped", "1/(1 + ε)", "ε of one's own")),
        ),
        Mistake(
            "minimum-of-the-means",
            "You average first, and take the minimum of two means. The minimum belongs to each row: one row's clip has "
            "nothing to do with another's.",
            "How many comparisons does your minimum make? It should be one a row.",
            _of_the_means,
        ),
        Mistake(
            "all-pairs",
            "Every ratio meets every advantage, or all rows share their mean ratio. Row i's ratio belongs with row i's "
            "advantage.",
            "Print the shape of the product before you average: are there B × B entries?",
            _all_pairs,
            _clip_loss("mean"),
        ),
        Mistake("log-prob-for-ratio", *_LOG_PROB_FOR_RATIO, _clip_loss("log π"), _clip_loss("π"),
                _clip_loss("log π", objective="no clip")),
        Mistake("standardised", *_ADV_CHANGED, *(_clip_loss(advantage=a) for a in _STANDARDISED)),
        Mistake("sum", *_SUMMED, _clip_loss(reduce="sum")),
        Mistake("not-averaged", *NOT_REDUCED, _clip_loss(reduce="none")),
        Mistake("policy-detached", *_POLICY_DETACHED, _clip_loss("detached")),
    ],
    also_correct=[_clip_loss(), _spinning_up, _larger_of_losses, _by_the_sign, _row_by_row],
)  # fmt: skip

# -------------------------------------------------------------------------------- small_step_kl


def _step_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, n_actions, *tags, scale=1.0, size=1.0, logits=None, step=None):
        h = scale * rng.normal(size=(n, n_actions)) if logits is None else np.array(logits)
        x = size * rng.normal(size=(n, n_actions)) if step is None else np.array(step)
        return Case(name, {"logits": Tensor(h), "step": Tensor(x)}, tags)

    uneven = np.array([[2.0, 0.0, -1.0], [-1.5, 1.0, 0.5], [0.0, 0.7, -2.0]])
    return [
        case("five states, three actions", 5, 3),
        case("as many states as actions", 4, 4, "B = A"),
        case("one state", 1, 4, "B = 1"),
        case("two actions", 3, 2, "A = 2"),
        case("h = 0", 3, 4, "h = 0", scale=0.0),
        case("one number added to all preferences of a state", 3, 3, "the same for all actions", logits=uneven,
             step=np.array([[2.0], [-1.5], [0.7]]) * np.ones(3)),
        case("a step and its double", 2, 3, logits=uneven[[0, 0]], step=[[0.4, -1.0, 0.9], [0.8, -2.0, 1.8]]),
        case("large steps", 4, 3, size=4.0),
        case("small steps", 4, 3, size=0.05),
        case("preferences of ±30", 2, 3, logits=[[30.0, -30.0, 29.0], [-30.0, -31.0, 30.0]], size=2.0),
        case("many actions", 2, 9),
    ]  # fmt: skip


# From π, x and the plain mean's weights to a row's number (before the factor).
_FORMS: dict[str, Callable] = {
    "variance": lambda pi, x: (pi * (x - (pi * x).sum(1, keepdim=True)) ** 2).sum(1),
    "not centred": lambda pi, x: (pi * x**2).sum(1),
    "plain variance": lambda pi, x: x.var(dim=1, unbiased=False),
    "plain sum": lambda pi, x: ((x - x.mean(1, keepdim=True)) ** 2).sum(1),
    "plain variance, n − 1": lambda pi, x: x.var(dim=1),
    "plain mean": lambda pi, x: (pi * (x - x.mean(1, keepdim=True)) ** 2).sum(1),
    "weighed mean only": lambda pi, x: ((x - (pi * x).sum(1, keepdim=True)) ** 2).sum(1),
    "euclidean": lambda pi, x: (x**2).sum(1),
    "euclidean, mean": lambda pi, x: (x**2).mean(1),
    "diagonal": lambda pi, x: (pi * (1 - pi) * x**2).sum(1),
    "added": lambda pi, x: (pi * x**2).sum(1) + (pi * x).sum(1) ** 2,
    "not squared": lambda pi, x: (pi * x**2).sum(1) - (pi * x).sum(1),
    "squares of the terms": lambda pi, x: (pi * x**2).sum(1) - ((pi * x) ** 2).sum(1),
    "of probabilities": lambda pi, x: (x**2 / pi).sum(1),
    "deviation": lambda pi, x: (
        (pi * (x - (pi * x).sum(1, keepdim=True)) ** 2).sum(1).clamp(min=0).sqrt()
    ),
    "kept": lambda pi, x: (pi * (x - (pi * x).sum(1, keepdim=True)) ** 2).sum(1, keepdim=True),
    "batch mean": lambda pi, x: (pi * (x - (pi * x).sum(1, keepdim=True)) ** 2).sum(1).mean(),
    "divided by A": lambda pi, x: (pi * (x - (pi * x).sum(1, keepdim=True)) ** 2).mean(1),
}


@composable
def _quadratic(
    form: str = "variance", factor: float = 0.5, at: str = "h", dim: int = 1
) -> Callable:
    """½ Var_π(x) with its parts exchangeable; at: where π is taken, "h" or "h + x"."""

    def small_step_kl(logits, step):
        pi = torch.softmax(logits if at == "h" else logits + step, dim=dim)
        return factor * _FORMS[form](pi, step)

    return small_step_kl


def _kl_itself(logits, step):
    return ppo.categorical_kl(logits, logits + step)


def _kl_of_log_sum(logits, step):
    pi = torch.softmax(logits, dim=1)
    return torch.log((pi * step.exp()).sum(1)) - (pi * step).sum(1)


def _by_fisher(logits, step):
    pi = torch.softmax(logits, dim=1)
    fisher = torch.diag_embed(pi) - pi[:, :, None] * pi[:, None, :]
    return torch.einsum("ba,bac,bc->b", step, fisher, step) / 2


def _by_scores(logits, step):
    """Half the mean of (∇log π(a) · x)²."""
    pi = torch.softmax(logits, dim=1)
    scores = torch.eye(pi.shape[1], dtype=pi.dtype) - pi[:, None, :]
    return 0.5 * (pi * torch.einsum("bac,bc->ba", scores, step) ** 2).sum(1)


def _by_pairs(logits, step):
    pi = torch.softmax(logits, dim=1)
    apart = (step[:, :, None] - step[:, None, :]) ** 2
    return (pi[:, :, None] * pi[:, None, :] * apart).sum((1, 2)) / 4


def _by_hessian(logits, step):
    out = []
    for h, x in zip(logits, step, strict=True):

        def kl(y, h=h):
            log_p, log_q = torch.log_softmax(h, 0), torch.log_softmax(h + y, 0)
            return (log_p.exp() * (log_p - log_q)).sum()

        out.append(0.5 * x @ torch.autograd.functional.hessian(kl, torch.zeros_like(x)) @ x)
    return torch.stack(out)  # fmt: skip


small_step_kl = Exercise(
    "small_step_kl",
    reference=ppo.small_step_kl,
    cases=_step_cases,
    returns=tensor(),
    points=2,
    equation="(12.9)",
    rtol=1e-6,
    atol=1e-9,
    mistakes=[
        Mistake(
            "no-half",
            "Twice too much. The second term of Taylor's series carries ½.",
            "Expand $e^x$ to second order. What stands before $x^2$?",
            _quadratic(factor=1.0),
        ),
        Mistake(
            "not-centred",
            "Half the mean of $x^2$: the square of the mean is missing. It comes from the logarithm, whose own second "
            "term is $-u^2/2$.",
            "One number added to all preferences changes no probability: what should the KL be? And what do you get?",
            _quadratic("not centred"),
            _quadratic("not centred", factor=1.0),
        ),
        Mistake(
            "unweighted",
            "Your squares, or the mean that they are measured from, are not weighed by π. An action that is never taken "
            "cannot be missed.",
            "Where does π stand in the sum that you expanded?",
            *(
                _quadratic(form)
                for form in (
                    "plain variance", "plain sum", "plain variance, n − 1", "plain mean", "weighed mean only",
                )
            ),
        ),
        Mistake(
            "kl-itself",
            "This is the KL, exactly. Asked is its quadratic part: twice the step must give four times the value.",
            "Which terms of $e^x$ and of $\\log(1+u)$ do you keep?",
            _kl_itself,
            lambda logits, step: ppo.categorical_kl(logits + step, logits),
            _kl_of_log_sum,
        ),
        Mistake(
            "euclidean",
            "This is how far the *preferences* moved. The policy may not have moved at all.",
            "Where does `logits` enter?",
            _quadratic("euclidean"),
            _quadratic("euclidean", factor=1.0),
            _quadratic("euclidean, mean"),
        ),
        Mistake(
            "diagonal-only",
            "You use the diagonal of F alone, π(1 − π). Raising one preference lowers the probabilities of all others: F "
            "has entries off the diagonal.",
            "What does your formula give if all preferences are raised alike?",
            _quadratic("diagonal"),
            _quadratic("squares of the terms"),
        ),
        Mistake(
            "outer-product",
            "Mean of the square *minus* the *square* of the mean: you add the two, or forgot to square the second.",
            "Put the same number c into all entries of x. Which combination gives 0 for every c?",
            _quadratic("added"),
            _quadratic("not squared"),
        ),
        Mistake(
            "new-policy",
            "Your weights are those of the new policy. The expansion is around x = 0: the weights are those of the policy "
            "you stand on.",
            "At which policy are the derivatives of a Taylor series taken?",
            _quadratic(at="h + x"),
        ),
        Mistake(
            "sign",
            "Yours is negative. A KL never is, and neither is its second order.",
            "Which of the two terms, mean of the square or square of the mean, is the larger one?",
            _quadratic(factor=-0.5),
        ),
        Mistake(
            "another-quadratic",
            "Your formula has the right ingredients in another form: a deviation in place of a variance, or the "
            "distance for steps of the *probabilities*, $x^2/\\pi$.",
            "x is added to the preferences. What does doubling it do to your number?",
            _quadratic("deviation"),
            _quadratic("of probabilities"),
        ),
        Mistake(
            "divided-by-actions",
            "You divide by the number of actions as well. The weights π make the average already: they sum to 1.",
            "What stands in front of the sum over actions in the KL?",
            _quadratic("divided by A"),
        ),
        Mistake(
            "one-number",
            "You average over the states. Asked is one number a state, (B,).",
            "Does your first number change when only the other rows do? It should not.",
            _quadratic("batch mean"),
        ),
        Mistake(
            "column",
            "Your numbers come as a column, (B, 1). One number a row is of shape (B,).",
            "Which reduction keeps the dimension that it sums over?",
            _quadratic("kept"),
        ),
        Mistake(
            "over-the-batch",
            "Your probabilities are normalised along the batch: each row is one state's policy and must sum to 1.",
            "Along which dimension do the actions run?",
            _quadratic(dim=0),
        ),
    ],
    also_correct=[_quadratic(), _by_fisher, _by_scores, _by_pairs, _by_hessian],
)  # fmt: skip

# ------------------------------------------------------------------------------------ policy_kl


def _kl_cases(rng: np.random.Generator) -> list[Case]:
    def softmaxes(name, n, n_actions, *tags, far=1.0, shift=0.0, old=None, new=None):
        p = rng.normal(size=(n, n_actions)) if old is None else np.array(old)
        q = p + far * rng.normal(size=(n, n_actions)) if new is None else np.array(new)
        # Preferences carry a constant that softmax removes.
        p, q = (x + shift * rng.normal(size=(len(x), 1)) for x in (p, q))
        return Case(name, {"old": recipe(p), "new": recipe(q, grad=True)}, (*tags, "softmaxes"))

    def gaussians(name, n, act_dim, *tags, far=1.0, wider=0.6):
        mean, log_std = rng.normal(size=(n, act_dim)), 0.5 * rng.normal(size=(n, act_dim))
        new_mean = mean + far * rng.normal(size=mean.shape)
        new_log_std = log_std + wider * rng.normal(size=mean.shape)
        inputs = {
            "old": (recipe(mean), recipe(log_std)),
            "new": (recipe(new_mean, grad=True), recipe(new_log_std, grad=True)),
        }
        return Case(name, inputs, (*tags, "Gaussians"))

    return [
        softmaxes("five states, three actions", 5, 3, shift=1.0),
        gaussians("four states, actions of two numbers", 4, 2),
        softmaxes("as many states as actions", 4, 4, "B = A", shift=2.0),
        gaussians("as many states as numbers in an action", 3, 3, "B = D"),
        softmaxes("one state", 1, 4, "B = 1"),
        gaussians("one state, actions of one number", 1, 1, "B = 1"),
        softmaxes("the same policy", 3, 3, "equal policies", far=0.0, shift=1.0),
        gaussians("the same Gaussians", 3, 2, "equal policies", far=0.0, wider=0.0),
        softmaxes("a probability that underflows", 2, 3, "0 · log 0",
                  old=[[200.0, 0.0, 1.0], [0.0, 3.0, -190.0]], new=[[4.0, 0.0, 1.0], [0.0, 1.0, -5.0]]),
        gaussians("actions of one number", 5, 1, "D = 1"),
        gaussians("many numbers", 2, 6, wider=0.3),
        softmaxes("two states", 2, 5, far=2.0),
    ]  # fmt: skip


# From log p, log q and the preferences to the terms of the sum over actions.
_SOFTMAX_TERMS: dict[str, Callable] = {
    "p (log p − log q)": lambda p, q, hp, hq: p.exp() * (p - q),
    "preferences": lambda p, q, hp, hq: p.exp() * (hp - hq),
    "log of softmax": lambda p, q, hp, hq: p.exp() * (p.exp().log() - q.exp().log()),
    "log of softmax of p": lambda p, q, hp, hq: p.exp() * (p.exp().log() - q),
    "log of the quotient": lambda p, q, hp, hq: p.exp() * (p.exp() / q.exp()).log(),
    "cross-entropy": lambda p, q, hp, hq: -p.exp() * q,
    "not weighed": lambda p, q, hp, hq: p - q,
    "both orders": lambda p, q, hp, hq: (p.exp() - q.exp()) * (p - q),
    "q-weighed": lambda p, q, hp, hq: q.exp() * (p - q),
    "new detached": lambda p, q, hp, hq: p.exp() * (p - q.detach()),
}
_LOG_TERMS: dict[str, Callable] = {
    "log σ_q/σ_p": lambda sp, sq: sq - sp,
    "log σ_p/σ_q": lambda sp, sq: sp - sq,
    "none": lambda sp, sq: 0.0 * sq,
    "σ_q/σ_p": lambda sp, sq: (sq - sp).exp(),
}
_WIDTHS: dict[str, Callable] = {
    "variance": lambda log_std: (2 * log_std).exp(),
    "std": lambda log_std: log_std.exp(),
}


def _gaussian_terms(
    old, new, log="log σ_q/σ_p", half="each", below="q", width="variance", mean=True
):
    """(B, D): the KL of each dimension, with its parts exchangeable; half "once": of all dimensions together."""
    (mp, sp), (mq, sq) = old, new
    var_p, var_q = (_WIDTHS[width](s) for s in (sp, sq))
    apart = (mp - mq) ** 2 if mean else 0.0
    if below == "q":
        ratio = (var_p + apart) / (2 * var_q)
    elif below == "p":
        ratio = (var_p + apart) / (2 * var_p)
    else:  # the quotient of the variances upside-down
        ratio = (var_q + apart) / (2 * var_p)
    off = {"each": 0.5, "none": 0.0, "once": 0.5 / mq.shape[-1], "one": 1.0}[half]
    return _LOG_TERMS[log](sp, sq) + ratio - off  # fmt: skip


_KL_REDUCTIONS: dict[str, Callable] = {
    "sum": lambda terms: terms.sum(-1),
    "mean": lambda terms: terms.mean(-1),
    "batch mean": lambda terms: terms.sum(-1).mean(),
    "batch sum": lambda terms: terms.sum(),
    "mean of all": lambda terms: terms.mean(),
    "none": lambda terms: terms,
    "over the states": lambda terms: terms.sum(0),
}


@composable
def _kl(
    terms: str = "p (log p − log q)",
    log: str = "log σ_q/σ_p",
    half: str = "each",
    below: str = "q",
    width: str = "variance",
    mean: bool = True,
    swap: tuple[str, ...] = (),
    sign: float = 1.0,
    softmax_reduce: str = "sum",
    gaussian_reduce: str = "sum",
    dim: int = -1,
    detach: bool = False,
) -> Callable:
    """`policy_kl` with its parts exchangeable; swap: for which kinds the arguments are."""

    def policy_kl(old, new):
        kind = "gaussian" if isinstance(new, tuple) else "softmax"
        p, q = (new, old) if kind in swap else (old, new)
        if kind == "gaussian":
            each = _gaussian_terms(p, q, log, half, below, width, mean)
            out = sign * _KL_REDUCTIONS[gaussian_reduce](each)
        else:
            log_p, log_q = torch.log_softmax(p, dim), torch.log_softmax(q, dim)
            each = _SOFTMAX_TERMS[terms](log_p, log_q, p, q)
            out = sign * _KL_REDUCTIONS[softmax_reduce](each)
        return out.detach() if detach else out

    return policy_kl


def _always_softmax(by_function: bool) -> Callable:
    def policy_kl(old, new):
        if by_function:
            log_p, log_q = torch.log_softmax(old, -1), torch.log_softmax(new, -1)
        else:
            log_p, log_q = old.log_softmax(-1), new.log_softmax(-1)
        return (log_p.exp() * (log_p - log_q)).sum(-1)

    return policy_kl


def _means_as_logits(old, new):
    pair = (old[0], new[0]) if isinstance(new, tuple) else (old, new)
    return ppo.categorical_kl(*pair)


def _always_gaussian(old, new):
    (mean_p, log_std_p), (mean_q, log_std_q) = old, new
    return ppo.gaussian_kl(mean_p, log_std_p, mean_q, log_std_q)


def _by_distributions(old, new):
    from torch.distributions import Categorical, Independent, Normal, kl_divergence

    if isinstance(new, tuple):
        p, q = (Independent(Normal(mean, log_std.exp()), 1) for mean, log_std in (old, new))
    else:
        p, q = Categorical(logits=old), Categorical(logits=new)
    return kl_divergence(p, q)


def _by_covariances(old, new):
    from torch.distributions import MultivariateNormal, kl_divergence

    if not isinstance(new, tuple):
        return torch.nn.functional.kl_div(
            new.log_softmax(1), old.log_softmax(1), reduction="none", log_target=True
        ).sum(1)
    p, q = (MultivariateNormal(mean, torch.diag_embed((2 * s).exp())) for mean, s in (old, new))
    return kl_divergence(p, q)


def _by_ratios(old, new):
    if type(new) is not tuple:
        p = torch.softmax(old, dim=1)
        cross = torch.logsumexp(new, 1) - (p * new).sum(1)
        return cross - (torch.logsumexp(old, 1) - (p * old).sum(1))
    r = (old[1] - new[1]).exp()
    z = (old[0] - new[0]) / new[1].exp()
    return 0.5 * (r**2 + z**2 - 1 - 2 * r.log()).sum(dim=1)


policy_kl = Exercise(
    "policy_kl",
    reference=ppo.policy_kl,
    cases=_kl_cases,
    returns=tensor(),
    points=3,
    equation="(12.13)",
    parts=["categorical_kl", "gaussian_kl"],
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "one-kind-only",
            "Your function knows one kind of policy. What does the policy hand you: a row of preferences, or a mean and "
            "a width?",
            "`isinstance(new, tuple)` tells which; each of the two has a formula of its own.",
            _always_softmax(True),
            _always_softmax(False),
            _means_as_logits,
            _always_gaussian,
        ),
        Mistake(
            "swapped",
            "This is KL(new ‖ old). KL is not symmetric: (12.13) weighs by the first policy, the one that collected "
            "the data. (`F.kl_div(input, target)` has its arguments the other way round.)",
            "Under which policy is the mean taken in KL(old ‖ new)?",
            _kl(swap=("softmax", "gaussian")),
            _kl(swap=("softmax",)),
            _kl(swap=("gaussian",)),
        ),
        Mistake(
            "sign",
            "Yours is negative. A KL never is.",
            "Is it the mean of log p − log q, or of log q − log p?",
            _kl(sign=-1.0),
        ),
        Mistake(
            "logits-not-normalised",
            "You subtract preferences where log-probabilities stand. They carry a constant that softmax removes.",
            "What do you get when 1 is added to every preference of `new`?",
            _kl("preferences"),
        ),
        Mistake(
            "log-of-zero",
            "You take the softmax, and then its logarithm. A probability that underflows to 0 makes 0 · log 0, which is "
            "NaN.",
            "Which function gives log-probabilities without going through probabilities?",
            _kl("log of softmax"),
            _kl("log of softmax of p"),
            _kl("log of the quotient"),
        ),
        Mistake(
            "cross-entropy",
            "This is the cross-entropy. Subtract the entropy of the first policy: KL(p ‖ p) is 0.",
            "What does your function give if both policies are the same?",
            _kl("cross-entropy"),
        ),
        Mistake(
            "not-weighed",
            "The logarithms of the two policies are not weighed with the probabilities of the first, or with those of "
            "the second, or of both.",
            "Over which policy's actions does (12.13) average?",
            _kl("not weighed"),
            _kl("q-weighed"),
            _kl("both orders"),
        ),
        Mistake(
            "no-half",
            "The −½ of a dimension is missing, or stands there once for all of them (or is −1). KL(p ‖ p) must be 0, "
            "however many dimensions there are.",
            "Put two equal Gaussians of three dimensions into your formula.",
            _kl(half="none"),
            _kl(half="once"),
            _kl(half="one"),
        ),
        Mistake(
            "mean-over-dimensions",
            "You average over the dimensions of an action (or over the actions). Independent dimensions: log-densities "
            "add, so KLs add; and over actions the weights p make the mean already.",
            "What is the KL of two policies whose actions have ten dimensions, all alike?",
            _kl(gaussian_reduce="mean"),
            _kl(softmax_reduce="mean", gaussian_reduce="mean"),
            _kl(softmax_reduce="mean"),
        ),
        Mistake(
            "std-for-variance",
            "Where variances stand you have σ: the square of $e^{\\log\\sigma}$ is $e^{2\\log\\sigma}$.",
            "What unit has $(\\mu_p-\\mu_q)^2$? And what you divide it by?",
            _kl(width="std"),
        ),
        Mistake(
            "log-term-inverted",
            "The logarithm of the quotient of the widths is upside-down, or missing, or no logarithm: $\\sigma_q$ is on "
            "top.",
            "Equal means, and q ten times as wide as p: the KL must be positive, and grow like a logarithm.",
            *(_kl(log=log) for log in _LOG_TERMS if log != "log σ_q/σ_p"),
        ),
        Mistake(
            "divides-by-p",
            "You measure in the width of p. Distances are measured in q's width: it is log q that is averaged.",
            "Where does $(a-\\mu_q)^2$ come from, and what does it stand over?",
            _kl(below="p"),
            _kl(below="upside-down"),
        ),
        Mistake(
            "means-forgotten",
            "The distance of the means is missing: two Gaussians of the same width differ if their means do.",
            "Which two tensors of the tuples have you not used?",
            _kl(mean=False),
        ),
        Mistake(
            "batch-mean",
            "You return one number for the whole batch. Asked is one KL a state, (B,).",
            "Over which dimensions does (12.13) sum?",
            *(
                _kl(softmax_reduce=r, gaussian_reduce=r)
                for r in ("batch mean", "batch sum", "mean of all")
            ),
            lambda old, new: (
                ppo.policy_kl(old, new)
                if isinstance(new, tuple)
                else torch.nn.functional.kl_div(
                    new.log_softmax(1), old.softmax(1), reduction="batchmean"
                )
            ),
        ),
        Mistake(
            "not-summed",
            "You return a number for every action, or for every dimension. Asked is one KL a state: their sum.",
            "Which shape should your result have?",
            _kl(softmax_reduce="none", gaussian_reduce="none"),
            _kl(softmax_reduce="none"),
            _kl(gaussian_reduce="none"),
        ),
        Mistake(
            "over-the-states",
            "You sum, or normalise, along the states. Each row is a state of its own.",
            "Along which dimension do the actions run?",
            _kl(softmax_reduce="over the states", gaussian_reduce="over the states"),
            _kl(dim=0),
            _kl(softmax_reduce="over the states"),
            _kl(gaussian_reduce="over the states"),
        ),
        Mistake(
            "detached",
            "The value is right, but no gradient reaches `new`: a penalty made of it would hold nothing back.",
            "Which of the two policies is to be moved?",
            _kl(detach=True),
            _kl("new detached"),
        ),
    ],
    also_correct=[_kl(), _by_distributions, _by_covariances, _by_ratios],
)  # fmt: skip

# ---------------------------------------------------------------------------------- ppo_kl_loss


def _kl_loss_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, *tags, n=6, far=0.6, coef=0.7, low=0.0, data=True, same_policy=False):
        new, old, adv = _columns(rng, n, far, low)
        kl = rng.exponential(0.5, size=n)
        if same_policy:
            new, kl = old.copy(), np.zeros(n)
        inputs = {
            "log_prob": recipe(new, grad=True),
            "log_prob_old": recipe(old, grad=data),
            "adv": recipe(adv, grad=data),
            "kl": recipe(kl, grad=True),
            "kl_coef": coef,
        }
        return Case(name, inputs, tags)

    return [
        case("a batch of six"),
        case("a batch of nine", n=9, coef=3.0),
        case("one row", "B = 1", n=1),
        case("β = 0", "β = 0", coef=0.0),
        case("a large β", n=4, coef=40.0, data=False),
        case("the policy has not moved", n=5, same_policy=True),
        case("ratios far from 1", n=7, far=1.5),
        case("densities, of which some are above 1", n=5, low=2.0),
        case("very unlikely actions", "very unlikely actions", n=5, low=-150.0, data=False),
    ]


_PENALTIES: dict[str, Callable] = {
    "mean": lambda kl, a: kl.mean(),
    "sum": lambda kl, a: kl.sum(),
    "detached": lambda kl, a: kl.detach().mean(),
    "weighed": lambda kl, a: (a * kl).mean(),
    "squared": lambda kl, a: (kl**2).mean(),
    "of the mean, squared": lambda kl, a: kl.mean() ** 2,
    "largest": lambda kl, a: kl.max(),
    "first": lambda kl, a: kl[0],
    "none": lambda kl, a: 0.0 * kl.sum(),
}


@composable
def _kl_loss(
    ratio: str = "ρ",
    penalty: str = "mean",
    penalty_sign: float = 1.0,
    sign: float = -1.0,
    coef: str = "β",
    objective: str = "no clip",
    advantage: str = "A",
    reduce: str = "mean",
    old_data: bool = True,
    adv_data: bool = True,
) -> Callable:
    """`ppo_kl_loss` with its parts exchangeable."""

    def ppo_kl_loss(log_prob, log_prob_old, adv, kl, kl_coef):
        old = log_prob_old.detach() if old_data else log_prob_old
        a = _ADVANTAGES[advantage](adv.detach() if adv_data else adv)
        rows = _OBJECTIVES[objective](_RATIOS[ratio](log_prob, old), a, 0.2)
        beta = {"β": kl_coef, "1": 1.0, "½ β": kl_coef / 2}[coef]
        return sign * REDUCTIONS[reduce](rows) + penalty_sign * beta * _PENALTIES[penalty](kl, a)

    return ppo_kl_loss


def _one_mean(log_prob, log_prob_old, adv, kl, kl_coef):
    with torch.no_grad():
        old, a = log_prob_old + 0.0, adv + 0.0
    return (kl_coef * kl - torch.exp(log_prob - old) * a).mean()


def _kl_loss_by_loop(log_prob, log_prob_old, adv, kl, kl_coef):
    total = 0.0
    for new, old, a, far in zip(log_prob, log_prob_old.tolist(), adv.tolist(), kl, strict=True):
        total = total - torch.exp(new - old) * a + kl_coef * far
    return total / len(kl)


def _not_reduced(log_prob, log_prob_old, adv, kl, kl_coef):
    return kl_coef * kl - torch.exp(log_prob - log_prob_old.detach()) * adv.detach()


ppo_kl_loss = Exercise(
    "ppo_kl_loss",
    reference=ppo.ppo_kl_loss,
    cases=_kl_loss_cases,
    returns=tensor(),
    points=1,
    equation="(12.14)",
    parts=["importance_ratio"],
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    alike=_alike_but_for_leaks("log_prob_old", "adv"),
    mistakes=[
        Mistake(
            "penalty-subtracted",
            "You subtract β·KL from the loss, and so reward going away from the old policy.",
            "Should the loss be larger or smaller when the policy has gone far?",
            _kl_loss(penalty_sign=-1.0),
        ),
        Mistake("sign", *_LOSS_SIGN, _kl_loss(sign=1.0), _kl_loss(sign=1.0, penalty_sign=-1.0)),
        Mistake(
            "penalty-detached",
            "The value is right, but no gradient flows through the KL: nothing holds the policy back.",
            "Which inputs are data? `kl` is none of them.",
            _kl_loss(penalty="detached"),
        ),
        Mistake("log-prob-for-ratio", *_LOG_PROB_FOR_RATIO, _kl_loss("log π"), _kl_loss("π")),
        Mistake(
            "penalty-summed",
            "The KLs are summed beside a mean: β would depend on the batch size.",
            "How does your loss change when every row is given twice? It should not.",
            _kl_loss(penalty="sum"),
        ),
        Mistake(
            "weighed-by-advantage",
            "Your penalty is multiplied by A: A·(ρ − β KL). A row with A < 0 would then be paid for going away. The "
            "penalty does not depend on A.",
            "How far does the bracket reach that A stands before?",
            _kl_loss(penalty="weighed"),
        ),
        Mistake(
            "penalty-misshapen",
            "The penalty is not β times the mean KL: you square it, halve it, or take one row's for all.",
            "What is your loss if the advantages are all 0?",
            *(_kl_loss(penalty=p) for p in ("squared", "of the mean, squared", "largest", "first")),
            _kl_loss(coef="½ β"),
        ),
        Mistake(
            "penalty-forgotten",
            "Your loss has no penalty, or one without its β.",
            "Which argument of the function have you not used?",
            _kl_loss(penalty="none"),
            _kl_loss(coef="1"),
        ),
        Mistake(
            "clipped-too",
            "You clip as well. Here the penalty alone holds the policy: (12.14) has no clip.",
            "Compare the first term of (12.14) with yours.",
            _kl_loss(objective="min"),
            _kl_loss(objective="clipped alone"),
        ),
        Mistake("not-exponentiated", *_NOT_EXPONENTIATED, _kl_loss("difference"), _kl_loss("1 + difference")),
        Mistake("upside-down", *_UPSIDE_DOWN, _kl_loss("upside-down")),
        Mistake("ratio-of-logs", *_RATIO_OF_LOGS, _kl_loss("quotient of logs")),
        Mistake(
            "underflow", *_UNDERFLOW,
            _kl_loss("quotient"),
            _kl_loss("quotient, a little more below"),
            _kl_loss("quotient, more below"),
        ),
        Mistake("old-gradient", *_OLD_GRADIENT, _kl_loss(old_data=False), _kl_loss(old_data=False, adv_data=False)),
        Mistake("adv-gradient", *_ADV_GRADIENT, _kl_loss(adv_data=False)),
        Mistake("standardised", *_ADV_CHANGED, *(_kl_loss(advantage=a) for a in _STANDARDISED)),
        Mistake("sum", *_SUMMED, _kl_loss(reduce="sum", penalty="sum"), _kl_loss(reduce="sum")),
        Mistake("not-averaged", *NOT_REDUCED, _not_reduced, _kl_loss(reduce="none")),
        Mistake("policy-detached", *_POLICY_DETACHED, _kl_loss("detached")),
    ],
    also_correct=[_kl_loss(), _one_mean, _kl_loss_by_loop],
)  # fmt: skip

# ------------------------------------------------------------------------- adapt_kl_coefficient


def _adapt_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, share, *tags, coef=None, target=None, low=0.5, high=1.5, factor=2.0):
        target = float(rng.uniform(0.005, 0.05)) if target is None else target
        inputs = {
            "coef": float(rng.uniform(0.2, 5.0)) if coef is None else coef,
            "kl": share * target,
            "target": target,
            "beta_low": low,
            "beta_high": high,
            "factor": factor,
        }
        return Case(name, inputs, tags)

    exact = 2.0**-6  # products and quotients with it are exact: the border is the border
    return [
        case("too far", 2.5),
        case("not far enough", 0.2),
        case("in between", 1.1),
        case("a little above the target", 1.4, low=0.3, high=1.6, factor=3.0),
        case("a little below the target", 0.7, low=0.6, high=1.8, factor=1.5),
        case("far off, a wide zone", 6.0, low=0.1, high=5.0, factor=4.0),
        case("near 0, a wide zone", 0.05, low=0.1, high=5.0, factor=4.0),
        case("within a wide zone", 3.0, low=0.1, high=5.0, factor=4.0),
        case("low within a wide zone", 0.2, low=0.1, high=5.0, factor=4.0),
        case("exactly on the upper border", 1.5, "on a border", target=exact),
        case("exactly on the lower border", 0.5, "on a border", target=exact),
        case("a large target", 2.0, target=3.0, factor=1.25),
        case("a large target, hardly moved", 0.3, target=3.0, factor=1.25),
        case("a large target, in between", 0.9, target=3.0, factor=1.25),
        case("no movement at all", 0.0),
        case("a tiny coefficient", 2.0, coef=1e-4, factor=3.0),
        case("a tiny coefficient, too large", 0.1, coef=1e-4, factor=3.0),
    ]


@composable
def _adapt(
    above: str = "coef · factor",
    below: str = "coef / factor",
    upper: str = "high · target",
    lower: str = "low · target",
    borders: bool = False,
    factor_is: str = "factor",
) -> Callable:
    """`adapt_kl_coefficient` with its parts exchangeable; borders: whether they count as outside."""
    changes = {
        "coef · factor": lambda c, f: c * f,
        "coef / factor": lambda c, f: c / f,
        "coef + factor": lambda c, f: c + f,
        "coef − factor": lambda c, f: c - f,
        "factor": lambda c, f: f,
        "coef": lambda c, f: c,
    }
    limits = {
        "high · target": lambda t, lo, hi: hi * t,
        "low · target": lambda t, lo, hi: lo * t,
        "high": lambda t, lo, hi: hi,
        "low": lambda t, lo, hi: lo,
        "target": lambda t, lo, hi: t,
        "1.5 target": lambda t, lo, hi: 1.5 * t,
        "target / 1.5": lambda t, lo, hi: t / 1.5,
        "target + high": lambda t, lo, hi: t + hi,
        "target − low": lambda t, lo, hi: t - lo,
    }

    def adapt_kl_coefficient(coef, kl, target, beta_low, beta_high, factor):
        f = {"factor": factor, "2": 2.0, "1.5": 1.5}[factor_is]
        high, low = (limits[x](target, beta_low, beta_high) for x in (upper, lower))
        if kl > high or (borders and kl == high):
            return float(changes[above](coef, f))
        if kl < low or (borders and kl == low):
            return float(changes[below](coef, f))
        return float(coef)

    return adapt_kl_coefficient


def _by_power(coef, kl, target, beta_low, beta_high, factor):
    return coef * factor ** (int(kl > beta_high * target) - int(kl < beta_low * target))


def _by_clip(coef, kl, target, beta_low, beta_high, factor):
    clipped = min(max(kl, beta_low * target), beta_high * target)
    return coef if kl == clipped else coef * (factor if kl > clipped else 1 / factor)


adapt_kl_coefficient = Exercise(
    "adapt_kl_coefficient",
    reference=ppo.adapt_kl_coefficient,
    cases=_adapt_cases,
    returns=number(),
    points=1,
    equation="(12.15)",
    mistakes=[
        Mistake(
            "reversed",
            "The factor works the wrong way. Too far from the old policy needs a *stronger* penalty.",
            "The KL was twice its target. Should β grow or shrink?",
            _adapt("coef / factor", "coef · factor"),
        ),
        Mistake(
            "target-forgotten",
            "You compare the KL with the β alone, or add them to the target: β_high and β_low *multiply* the target.",
            "A target of 0.01 and β_high = 1.5: above which KL does the coefficient grow?",
            _adapt(upper="high", lower="low"),
            _adapt(upper="target + high", lower="target − low"),
        ),
        Mistake(
            "no-dead-zone",
            "Your coefficient changes however near the KL is to its target. Between the two borders it stays.",
            "What is asked where the KL is exactly the target?",
            _adapt(upper="target", lower="target"),
            lambda coef, kl, target, beta_low, beta_high, factor: (
                coef * factor if kl > target else coef / factor
            ),
            lambda coef, kl, target, beta_low, beta_high, factor: (
                coef * factor if kl > beta_high * target else coef / factor
            ),
            lambda coef, kl, target, beta_low, beta_high, factor: (
                coef / factor if kl < beta_low * target else coef * factor
            ),
        ),
        Mistake(
            "thresholds-exchanged",
            "The two borders have changed places: raise above β_high·target, lower below β_low·target.",
            "Which of the two is larger than 1?",
            _adapt(upper="low · target", lower="high · target"),
        ),
        Mistake(
            "adds",
            "You add and subtract the factor. Multiply and divide: then the coefficient stays positive, whatever its "
            "size is.",
            "The coefficient is 0.0001. What do you make of it?",
            _adapt("coef + factor", "coef − factor"),
        ),
        Mistake(
            "hard-coded",
            "You use the paper's 1.5 and 2. Here they are arguments.",
            "Which arguments of the function have you not used?",
            _adapt(upper="1.5 target", lower="target / 1.5", factor_is="2"),
            _adapt(upper="1.5 target", lower="target / 1.5"),
            _adapt(factor_is="2"),
            _adapt(factor_is="1.5"),
        ),
        Mistake(
            "one-way",
            "Your coefficient only grows, or only shrinks. It has to do both, or it ends at 0 or at infinity.",
            "Which of the two lines of (12.15) is missing?",
            _adapt(below="coef"),
            _adapt(above="coef"),
        ),
        Mistake(
            "borders-count",
            "On a border the coefficient stays: (12.15) has > and <.",
            "What do you return where the KL is exactly β_high·target?",
            _adapt(borders=True),
        ),
        Mistake(
            "factor-returned",
            "You return the factor. What is asked is the new coefficient: the old one times the factor, or over it.",
            "What does `coef` do in your function?",
            _adapt(above="factor", below="factor"),
            lambda coef, kl, target, beta_low, beta_high, factor: (
                factor ** (int(kl > beta_high * target) - int(kl < beta_low * target))
            ),
        ),
    ],
    also_correct=[_adapt(), _by_power, _by_clip],
)  # fmt: skip

# ------------------------------------------------------------------------------------ ppo_batch


def _parts(rng: np.random.Generator, obs: np.ndarray, n_actions: int) -> dict:
    """A policy and a critic whose values have both signs at these observations."""
    n_in = obs.shape[1]
    v_net = network(rng, "v", n_in)
    return {
        "policy": network(rng, "logits", n_in, n_actions),
        "v_net": both_signs(v_net, obs) if len(obs) > 1 else v_net,
    }


def _batch_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, terminated, truncated, *tags, gamma=0.9, lam=0.8, scale=1.0, n_actions=3):
        rollout = recording(
            rng,
            len(terminated),
            2,
            n_actions=n_actions,
            terminated=np.flatnonzero(terminated),
            truncated=np.flatnonzero(truncated),
            scale=scale,
        )
        parts = _parts(rng, rollout.obs, n_actions)
        parts |= {"gamma": gamma, "lam": lam}
        return Case(name, {"agent_state": AgentState(parts), "rollout": rollout}, tags)

    none = [0] * 8
    middle, later = [0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0, 0]
    return [
        case("one end of each kind", middle, later),
        case("no end", none, none, "no end"),
        case("an end in the middle", middle, none),
        case("a time limit in the middle", none, middle, "time limits"),
        case("a time limit in the last row", none, [0] * 7 + [1], "time limits"),
        case("a terminal state in the last row", [0] * 7 + [1], none),
        case("both flags at once", middle, middle),
        case("λ = 0", middle, later, "λ = 0", lam=0.0),
        case("λ = 1", middle, later, lam=1.0),
        case("γ = 1, large rewards", [0, 1, 0, 0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
             gamma=1.0, scale=50.0),
        case("tiny rewards", [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0], scale=0.01, n_actions=6),
        case("a long rollout", [0, 0, 0, 0, 1] * 6, [0, 0, 1, 0, 0] * 6, gamma=0.95, lam=0.95, n_actions=2),
    ]  # fmt: skip


def _values(s, rollout, next_is: str, attached: bool):
    with torch.set_grad_enabled(attached):
        value = s.v_net(rollout.obs)
        if next_is == "next_obs":
            return value, s.v_net(rollout.next_obs)
        return value, torch.cat([value[1:], s.v_net(rollout.next_obs[-1:])])


def _gae_of(rollout, value, next_value, gamma, lam, mask: str, cut: str, power: str):
    """The recursion, row by row. mask: what takes the bootstrap away; cut: what ends the recursion."""
    d, c = rollout.terminated, rollout.truncated
    masks = {
        "terminated": d, "nothing": torch.zeros_like(d), "either": torch.maximum(d, c), "truncated": c,
        "next row's": torch.cat([d[1:], torch.zeros(1)]),
    }  # fmt: skip
    cuts = {"either": torch.maximum(d, c)} | {k: v for k, v in masks.items() if k != "either"}
    cuts["next row's"] = torch.cat([torch.maximum(d, c)[1:], torch.zeros(1)])
    delta = td_target(rollout.reward, next_value, masks[mask], gamma) - value
    carry = {"γλ": gamma * lam, "γ": gamma, "λ": lam, "0": 0.0}[power]
    following, rows = torch.zeros(()), []
    for t in reversed(range(len(delta))):
        following = delta[t] + carry * (1 - cuts[cut][t]) * following
        rows.append(following)
    return torch.stack(rows[::-1]), delta


_SCALED: dict[str, Callable] = {
    "standardised": lambda x: (x - x.mean()) / (x.std(unbiased=False) + 1e-8),
    "as it is": lambda x: x,
    "centred": lambda x: x - x.mean(),
    "scaled": lambda x: x / (x.std(unbiased=False) + 1e-8),
    "over the variance": lambda x: (x - x.mean()) / (x.var(unbiased=False) + 1e-8),
    "multiplied": lambda x: (x - x.mean()) * (x.std(unbiased=False) + 1e-8),
    "over the largest": lambda x: x / (x.abs().max() + 1e-8),
    "into [0, 1]": lambda x: (x - x.min()) / (x.max() - x.min() + 1e-8),
}
_TARGETS: dict[str, Callable] = {
    "Â + V": lambda raw, adv, delta, value, reward: raw + value,
    "standardised Â + V": lambda raw, adv, delta, value, reward: adv + value,
    "standardised": lambda raw, adv, delta, value, reward: _SCALED["standardised"](raw + value),
    "δ + V": lambda raw, adv, delta, value, reward: delta + value,
    "Â": lambda raw, adv, delta, value, reward: raw,
    "V": lambda raw, adv, delta, value, reward: value,
    "r": lambda raw, adv, delta, value, reward: reward,
}


def _log_probs(s, rollout, of: str):
    action = rollout.action[:, None]
    logits = s.policy(rollout.next_obs if of == "next_obs" else rollout.obs)
    if of == "preferences":
        return logits.gather(1, action)[:, 0]
    if of == "probabilities":
        return torch.softmax(logits, 1).gather(1, action)[:, 0]
    if of == "likeliest":
        return torch.log_softmax(logits, 1).amax(1)
    if of == "entropy":
        return (torch.softmax(logits, 1) * torch.log_softmax(logits, 1)).sum(1)
    if of == "over the batch":
        return torch.log_softmax(logits, 0).gather(1, action)[:, 0]
    return torch.log_softmax(logits, 1).gather(1, action)[:, 0]


@composable
def _batch(
    next_is: str = "next_obs",
    mask: str = "terminated",
    cut: str = "either",
    power: str = "γλ",
    scale: str = "standardised",
    ddof: int = 0,
    targets: str = "Â + V",
    log_prob: str = "taken",
    attached: tuple[str, ...] = (),
    order: tuple[int, ...] = (0, 1, 2, 3, 4),
) -> Callable:
    """`ppo_batch` with its parts exchangeable; attached: "old", "values": what hangs on its graph."""

    def ppo_batch(agent_state, rollout):
        s = agent_state
        value, next_value = _values(s, rollout, next_is, "values" in attached)
        with torch.set_grad_enabled("old" in attached):
            log_prob_old = _log_probs(s, rollout, log_prob)
        raw, delta = _gae_of(rollout, value, next_value, s.gamma, s.lam, mask, cut, power)
        adv = _SCALED[scale](raw)
        if ddof:
            adv = (raw - raw.mean()) / (raw.std() + 1e-8)
        returns = _TARGETS[targets](raw, adv, delta, value, rollout.reward)
        columns = (rollout.obs, rollout.action, log_prob_old, adv, returns)
        return ppo.PPOBatch(*(columns[i] for i in order))

    return ppo_batch


def _sample_spread(agent_state, rollout):
    """Right as well: 1/(N − 1) under the root."""
    return _batch(ddof=1)(agent_state, rollout)


def _one_pass(agent_state, rollout):
    """Both observations through the critic at once, `Categorical`, a triangular solve."""
    s, n = agent_state, len(rollout.reward)
    with torch.no_grad():
        both = s.v_net(torch.cat([rollout.obs, rollout.next_obs]))
        value, next_value = both[:n], both[n:]
        pi = torch.distributions.Categorical(logits=s.policy(rollout.obs))
        log_prob_old = pi.log_prob(rollout.action)
        delta = rollout.reward + s.gamma * (1 - rollout.terminated) * next_value - value
        carry = s.gamma * s.lam * (1 - torch.maximum(rollout.terminated, rollout.truncated))
        system = torch.eye(n) - torch.diag(carry[:-1], 1)
        raw = torch.linalg.solve_triangular(system, delta[:, None], upper=True)[:, 0]
        returns = raw + value
        adv = (raw - raw.mean()) / (raw.var(unbiased=False).sqrt() + 1e-8)
    return rollout.obs, rollout.action, log_prob_old, adv, returns


def _batch_by_arrays(agent_state, rollout):
    from rlcourse.policies.gae import gae

    s = agent_state
    value, next_value = s.v_net(rollout.obs).detach(), s.v_net(rollout.next_obs).detach()
    adv, returns = gae(rollout.reward.numpy(), value.numpy(), next_value.numpy(), rollout.terminated.numpy(),
                       rollout.truncated.numpy(), s.gamma, s.lam)  # fmt: skip
    adv = (adv - np.mean(adv)) / (np.std(adv) + 1e-8)
    logits = s.policy(rollout.obs).detach()
    log_pi = (logits - logits.logsumexp(1, keepdim=True))[range(len(adv)), rollout.action]
    return [rollout.obs, rollout.action, log_pi, torch.from_numpy(adv), torch.from_numpy(returns)]


_TERMINAL = (
    "Your advantages bootstrap through a terminal state. After it nothing is left to come: its value is 0, whatever the "
    "critic says there.",
    "Which flag says that s′ is terminal, and what does your TD error read in such a row?",
)
_NO_BOOTSTRAP = (
    "You take the bootstrap away at a time limit as well. The time limit is not the end of the world: V(s′) stays. Only "
    "`terminated` masks it.",
    "Two masks: which flag takes the value of s′ away, and which ones end the recursion?",
)
_NEXT_ROW = (
    "You take V of the next *row* for V of the next observation. After an end the next row is a reset state.",
    "Where is `rollout.next_obs` in your function?",
)

ppo_batch = Exercise(
    "ppo_batch",
    reference=ppo.ppo_batch,
    cases=_batch_cases,
    returns=several(
        obs=tensor(), action=anything(), log_prob_old=tensor(), adv=tensor(), returns=tensor()
    ),
    points=3,
    equation="(12.16)",
    parts=["standardise"],
    rtol=RTOL,
    atol=2e-5,
    variants=[_sample_spread],
    mistakes=[
        Mistake(
            "standardised-returns",
            "Your targets are made of the standardised advantages. The critic predicts rewards, in their own units.",
            "In which order do you standardise and add V?",
            _batch(targets="standardised Â + V"),
            _batch(targets="standardised Â + V", ddof=1),
        ),
        Mistake(
            "target-standardised",
            "You standardise the returns too. Then V would no longer be in units of reward, and the next TD errors "
            "would be made of two different scales.",
            "Which of the two columns is for the policy, and which for the critic?",
            _batch(targets="standardised"),
        ),
        Mistake(
            "old-with-gradient",
            "`log_prob_old` hangs on the policy's graph. It is frozen data: with the graph, the gradient of log π − log "
            "π_old would be 0 at the first step.",
            "What do you wrap around what is only to be *known*?",
            _batch(attached=("old",)),
            _batch(attached=("old", "values")),
        ),
        Mistake(
            "values-with-gradient",
            "Advantages or returns hang on the critic's graph. They are data for both losses.",
            "Which evaluations of V are to be differentiated here? None.",
            _batch(attached=("values",)),
        ),
        Mistake(
            "not-standardised",
            "Your advantages do not have mean 0 and spread 1 over the rows of the rollout: then one step size fits every "
            "reward.",
            "Print the mean of your advantages, and their standard deviation.",
            *(_batch(scale=scale) for scale in _SCALED if scale != "standardised"),
        ),
        Mistake("terminal-bootstrap", *_TERMINAL, _batch(mask="nothing"), _batch(mask="next row's")),
        Mistake("truncation-not-bootstrapped", *_NO_BOOTSTRAP, _batch(mask="either")),
        Mistake(
            "flags-exchanged",
            "The wrong flag takes the bootstrap away: `truncated` in the place of `terminated`.",
            "Which flag says that s′ is terminal?",
            _batch(mask="truncated"),
            _batch(mask="truncated", cut="truncated"),
        ),
        Mistake(
            "carries-across-truncation",
            "Your recursion carries the advantage across an end: across time limits, or across all. The next row belongs "
            "to another episode.",
            "What is $\\hat A_{t+1}$ in the row after an end? May row t know of it?",
            _batch(cut="terminated"),
            _batch(cut="nothing"),
            _batch(cut="truncated"),
            _batch(cut="next row's"),
        ),
        Mistake("next-row-value", *_NEXT_ROW, _batch(next_is="next row")),
        Mistake(
            "wrong-log-prob",
            "`log_prob_old` is not the log-probability of what was done, where it was done: you give the preference, the "
            "probability, the likeliest action's, or that at s′.",
            "Which two columns of the rollout belong to log π_old(a|s)?",
            *(
                _batch(log_prob=of)
                for of in ("preferences", "probabilities", "likeliest", "next_obs", "entropy", "over the batch")
            ),
        ),
        Mistake(
            "one-step-targets",
            "Your targets are δ + V, one step long, whatever λ is. Targets and advantages come from one λ: Â + V.",
            "What does `gae` return besides the advantages?",
            _batch(targets="δ + V"),
        ),
        Mistake(
            "other-targets",
            "The targets of the critic are Â + V. You give one of the two alone, or the reward.",
            "If the critic were perfect, what would Â be on average, and what should its target be?",
            *(_batch(targets=t) for t in ("Â", "V", "r")),
        ),
        Mistake(
            "other-lambda",
            "The recursion carries γλ of the next advantage. Yours carries γ, λ or nothing.",
            "Which two numbers of `agent_state` does `gae` take?",
            *(_batch(power=p) for p in ("γ", "λ", "0")),
        ),
        Mistake(
            "columns-exchanged",
            "The columns are right, and stand in another order: observations, actions, log π_old, advantages, returns.",
            "Read the first line of the docstring.",
            _batch(order=(0, 1, 2, 4, 3)),
            _batch(order=(0, 1, 3, 2, 4)),
            _batch(order=(0, 1, 3, 4, 2)),
        ),
    ],
    also_correct=[_batch(), _one_pass, _batch_by_arrays],
)  # fmt: skip

# ----------------------------------------------------------------------------------- ppo_update


def _update_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, *tags, n=10, epochs=2, size=4, clip=0.2, norm=0.6, entropy=0.05, value=0.7,
             lr=0.3, kind="sgd", adv_scale=1.0):  # fmt: skip
        obs = rng.normal(size=(n, 2)).astype(np.float32)
        parts = _parts(rng, obs, 3)
        parts |= {
            "optimizer": Optimizer(["policy", "v_net"], lr, kind),
            "clip": clip,
            "epochs": epochs,
            "minibatch_size": size,
            "value_coef": value,
            "entropy_coef": entropy,
            "max_grad_norm": norm,
        }
        action = rng.integers(3, size=n)
        policy = parts["policy"].build(None)
        with torch.no_grad():
            log_pi = torch.log_softmax(policy(torch.from_numpy(obs)), 1).numpy()
        # As if some updates lay between then and now: ratios on both sides of the interval.
        old = log_pi[np.arange(n), action] + 0.4 * rng.normal(size=n)
        columns = {
            "obs": obs,
            "action": action,
            "log_prob_old": old.astype(np.float32),
            "adv": (adv_scale * (rng.normal(size=n) + 0.5)).astype(np.float32),
            "returns": (2 * rng.normal(size=n) + 1).astype(np.float32),
        }
        inputs = {
            "agent_state": AgentState(parts),
            "batch": Reused(**columns),
            "rng": Rng(int(rng.integers(2**31))),
        }
        return Case(name, inputs, tags)

    return [
        case("one epoch, minibatches of equal size", n=8, epochs=1),
        case("two epochs, a short minibatch at the end"),
        case("three epochs, no entropy", epochs=3, entropy=0.0, size=5, norm=50.0),
        case("one minibatch an epoch", n=6, size=6, epochs=3, clip=0.1),
        case("minibatches larger than the batch", n=5, size=64, epochs=2),
        case("minibatches of one row", n=4, size=1, epochs=2, lr=0.1),
        case("momentum", n=7, size=3, epochs=2, kind="momentum", lr=0.1),
        case("Adam, a wide interval", n=9, size=4, epochs=2, kind="adam", lr=0.02, clip=0.4, norm=0.1),
        case("large advantages, long gradients", n=9, size=4, adv_scale=6.0, norm=0.3),
    ]  # fmt: skip


_ENTROPY_SIGNS = {"−": -1.0, "+": 1.0, "none": 0.0}


@composable
def _update(
    old: str = "stored",
    order: str = "anew",
    last: str = "kept",
    misaligned: str = "",
    step: str = "each minibatch",
    clear: str = "before",
    clip_norm: str = "jointly",
    value: str = "½ mean square",
    entropy: str = "−",
    entropy_of: str = "entropy",
    value_coef: bool = True,
    advantage: str = "A",
    objective: str = "min",
    ratio: str = "ρ",
    policy_sign: float = -1.0,
    epochs: str = "all",
    returned: str = "each loss",
    early: float = 0.0,
    reduce: str = "mean",
) -> Callable:
    """`ppo_update` with one thing done otherwise."""
    clip_loss = _clip_loss(ratio, objective, advantage, policy_sign, reduce)

    def ppo_update(agent_state, batch, rng):
        s, n = agent_state, len(batch.adv)
        losses, first, v_old, at_epoch = [], None, None, None
        with torch.no_grad():
            v_old = s.v_net(batch.obs)
        for _ in range({"all": s.epochs, "one": 1, "one more": s.epochs + 1}[epochs]):
            if order == "anew":
                permuted = rng.permutation(n)
            elif order == "once":
                first = permuted = rng.permutation(n) if first is None else first
            elif order == "with replacement":
                permuted = rng.integers(n, size=n)
            else:
                permuted = np.arange(n)
            permuted = torch.from_numpy(np.array(permuted))
            with torch.no_grad():
                at_epoch = torch.log_softmax(s.policy(batch.obs), 1)[torch.arange(n), batch.action]
            starts = range(0, n, s.minibatch_size)
            if last == "dropped":
                starts = [i for i in starts if i + s.minibatch_size <= n] or [0]
            if step == "each epoch":
                s.optimizer.zero_grad()
            for i in starts:
                rows = permuted[i : i + s.minibatch_size]
                unpermuted = torch.arange(i, i + len(rows))
                here = {
                    name: column[unpermuted if misaligned == name else rows]
                    for name, column in batch._asdict().items()
                }
                log_pi = torch.log_softmax(s.policy(here["obs"]), 1)
                log_prob = log_pi.gather(1, here["action"][:, None])[:, 0]
                before = {
                    "stored": here["log_prob_old"],
                    "current": log_prob.detach(),
                    "of the epoch": at_epoch[rows],
                }[old]
                loss = clip_loss(log_prob, before, here["adv"], s.clip)
                loss = loss + (s.value_coef if value_coef else 1.0) * _VALUES[value](
                    s.v_net(here["obs"]), here["returns"], v_old[rows], s.clip
                )
                spread = {
                    "entropy": -(log_pi.exp() * log_pi).sum(1).mean(),
                    "log π": -log_prob.mean(),
                    "sum": -(log_pi.exp() * log_pi).sum(),
                    "mean": -(log_pi.exp() * log_pi).mean(),
                }[entropy_of]
                loss = loss + _ENTROPY_SIGNS[entropy] * s.entropy_coef * spread
                if clear == "before" and step != "each epoch":
                    s.optimizer.zero_grad()
                loss.backward()
                if step == "each minibatch":
                    _clip_norms(s, clip_norm)
                    s.optimizer.step()
                    if clear == "after":
                        s.optimizer.zero_grad()
                losses.append(loss.detach())
                if early and float((before - log_prob.detach()).mean()) > early:
                    return torch.stack(losses)
            if step == "each epoch":
                _clip_norms(s, clip_norm)
                s.optimizer.step()
        kept = {
            "each loss": lambda: torch.stack(losses),
            "their mean": lambda: torch.stack(losses).mean(),
            "the last": lambda: losses[-1],
            "the last epoch's": lambda: torch.stack(losses[-len(starts) :]),
            "an epoch's mean": lambda: torch.stack(losses).reshape(-1, len(starts)).mean(1),
        }
        return kept[returned]()

    return ppo_update  # fmt: skip


def _clip_norms(s, how: str) -> None:
    networks = {"jointly": [(s.policy, s.v_net)], "each network": [(s.policy,), (s.v_net,)],
                "policy only": [(s.policy,)], "not": []}  # fmt: skip
    if how == "values":
        torch.nn.utils.clip_grad_value_(
            [*s.policy.parameters(), *s.v_net.parameters()], s.max_grad_norm
        )
        return
    for group in networks[how]:
        weights = [w for net in group for w in net.parameters()]
        torch.nn.utils.clip_grad_norm_(weights, s.max_grad_norm)


def _clipped_value(v, returns, v_old, clip):
    near = v_old + (v - v_old).clamp(-clip, clip)
    return 0.5 * torch.maximum((v - returns) ** 2, (near - returns) ** 2).mean()


_VALUES: dict[str, Callable] = {
    "½ mean square": lambda v, returns, v_old, clip: 0.5 * mse_loss(v, returns),
    "mean square": lambda v, returns, v_old, clip: mse_loss(v, returns),
    "½ sum": lambda v, returns, v_old, clip: 0.5 * ((v - returns) ** 2).sum(),
    "huber": lambda v, returns, v_old, clip: torch.nn.functional.huber_loss(v, returns),
    "clipped": _clipped_value,
    "none": lambda v, returns, v_old, clip: 0.0 * v.sum(),
    "all pairs": lambda v, returns, v_old, clip: 0.5 * ((v[:, None] - returns) ** 2).mean(),
}


def _permuted_copies(agent_state, batch, rng):
    s, losses = agent_state, []
    weights = list(s.policy.parameters()) + list(s.v_net.parameters())
    for _ in range(s.epochs):
        order = torch.as_tensor(rng.permutation(batch.adv.shape[0]))
        parts = zip(*(column[order].split(s.minibatch_size) for column in batch), strict=True)
        for obs, action, old, adv, returns in parts:
            pi = torch.distributions.Categorical(logits=s.policy(obs))
            ratio = (pi.log_prob(action) - old).exp()
            policy_loss = torch.max(-ratio * adv, -ratio.clip(1 - s.clip, 1 + s.clip) * adv).mean()
            value_loss = ((s.v_net(obs) - returns) ** 2).mean() / 2
            loss = policy_loss + s.value_coef * value_loss - s.entropy_coef * pi.entropy().mean()
            s.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, s.max_grad_norm)
            s.optimizer.step()
            losses.append(loss.item())
    return losses


def _three_backwards(agent_state, batch, rng):
    s = agent_state
    n, size = len(batch.obs), s.minibatch_size
    out = np.zeros(s.epochs * -(-n // size))
    k = 0
    for _epoch in range(s.epochs):
        order = rng.permutation(n)
        for begin in range(0, n, size):
            rows = order[begin : begin + size]
            logits = s.policy(batch.obs[rows])
            log_pi = logits - torch.logsumexp(logits, 1, keepdim=True)
            log_prob = log_pi[torch.arange(len(rows)), batch.action[rows]]
            losses = (
                _spinning_up(log_prob, batch.log_prob_old[rows], batch.adv[rows], s.clip),
                s.value_coef * 0.5 * mse_loss(s.v_net(batch.obs[rows]), batch.returns[rows]),
                s.entropy_coef * (log_pi.exp() * log_pi).sum(1).mean(),
            )
            s.optimizer.zero_grad(set_to_none=False)
            for loss in losses:
                loss.backward(retain_graph=True)
            weights = [w for group in s.optimizer.param_groups for w in group["params"]]
            torch.nn.utils.clip_grad_norm_(weights, s.max_grad_norm)
            s.optimizer.step()
            out[k] = float(sum(losses))
            k += 1
    return out


ppo_update = Exercise(
    "ppo_update",
    reference=ppo.ppo_update,
    cases=_update_cases,
    returns=numbers(),
    points=4,
    equation="(12.17)",
    parts=["ppo_kl_update"],
    call="stepping",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "recomputes-old",
            "You compute log π_old anew, from the policy of now (or of the epoch's beginning). The ratio is then always 1 "
            "at that moment: nothing is ever clipped, and the policy may run as far as it likes.",
            "Which policy has drawn the actions? Where were its log-probabilities written down?",
            _update(old="current"),
            _update(old="of the epoch"),
        ),
        Mistake(
            "no-shuffling",
            "The rows come in the order of time. Neighbouring steps are alike; mix them.",
            "Which argument of the function have you not used?",
            _update(order="never"),
        ),
        Mistake(
            "one-permutation",
            "You draw one order and keep it for all epochs. Draw a new one every epoch: then other rows meet.",
            "Inside which loop does `rng.permutation` stand?",
            _update(order="once"),
        ),
        Mistake(
            "with-replacement",
            "You draw rows with replacement: some come twice in an epoch, others never. An epoch visits every row once.",
            "Which method of a generator gives every index exactly once?",
            _update(order="with replacement"),
        ),
        Mistake(
            "last-minibatch-dropped",
            "The short minibatch at the end is left out. Those rows were paid for.",
            "Ten rows in fours: how many minibatches are there?",
            _update(last="dropped"),
        ),
        Mistake(
            "misaligned",
            "One of the columns is not indexed by the permutation. Actions are credited with what belongs to other "
            "steps.",
            "How many columns has a `PPOBatch`, and how many do you index?",
            *(
                _update(misaligned=name)
                for name in ("adv", "returns", "log_prob_old", "action", "obs")
            ),
        ),
        Mistake(
            "one-step-an-epoch",
            "The gradients of an epoch's minibatches are added up, and one step is made. One step a minibatch: the next "
            "one begins from where the last has led.",
            "Inside which loop does the optimiser's `step()` stand?",
            _update(step="each epoch"),
        ),
        Mistake(
            "never-steps",
            "The weights stay where they are.",
            "Is the optimiser's `step()` called, and does it find gradients when it is?",
            _update(step="never"),
        ),
        Mistake(
            "gradients-pile-up",
            "Gradients of earlier backward passes are still there when you step: `.grad` adds up until it is cleared.",
            "What stands in `.grad` when your function is called? Somebody else's backward pass may have left it.",
            _update(clear="never"),
            _update(clear="after"),
        ),
        Mistake(
            "no-clipping",
            "The gradient's norm is not limited as asked: one norm over all the parameters of both networks, before the "
            "step.",
            "Where does `max_grad_norm` enter, and over which weights?",
            _update(clip_norm="not"),
            _update(clip_norm="each network"),
            _update(clip_norm="policy only"),
            _update(clip_norm="values"),
        ),
        Mistake(
            "no-half",
            "The critic's loss lacks its ½, or its factor c_v: (12.17) has c_v · ½ of the mean square.",
            "Compare the second term of (12.17) with yours, factor by factor.",
            _update(value="mean square"),
            _update(value_coef=False),
        ),
        Mistake(
            "value-clipped",
            "You clip the value as well, as some programs do. (12.17) has the plain square.",
            "Where does ε stand in (12.17)?",
            _update(value="clipped"),
        ),
        Mistake(
            "other-value-loss",
            "The critic's loss is not the mean square of R − V: it is a sum, Huber's, made of all pairs, or missing.",
            "What does the second term of (12.17) say, for each row?",
            *(_update(value=v) for v in ("½ sum", "huber", "all pairs", "none")),
        ),
        Mistake(
            "entropy-sign",
            "The entropy is added to the loss, or left out. It is a *bonus*: the loss must fall when it rises.",
            "What does a loss with + c_e · entropy make of exploration?",
            _update(entropy="+"),
            _update(entropy="none"),
        ),
        Mistake(
            "other-entropy",
            "Your entropy is not the policy's: −log π of the action that was taken is a sample of it, with another "
            "gradient; and over the actions it is a sum, over the rows a mean.",
            "$\\mathcal H = -\\sum_b\\pi(b)\\log\\pi(b)$: what is summed, and what is averaged?",
            *(_update(entropy_of=e) for e in ("log π", "sum", "mean")),
        ),
        Mistake(
            "standardised",
            "You standardise the advantages of each minibatch. Use them as they are given: `ppo_batch` has done it, once "
            "for the whole rollout.",
            "Leave `adv` unchanged here.",
            *(_update(advantage=a) for a in _STANDARDISED),
        ),
        Mistake(
            "not-clipped-surrogate",
            "The policy's part of your loss is not (12.7): it is not clipped, or clipped alone, or the larger of the two "
            "terms, or has the other sign.",
            "Did you use your own `ppo_clip_loss`?",
            *(_update(objective=o) for o in ("no clip", "clipped alone", "max", "above only")),
            _update(policy_sign=1.0),
            _update(reduce="sum"),
        ),
        Mistake(
            "epochs-ignored",
            "You go through the rollout once, whatever `epochs` says (or once too often).",
            "Which attribute of `agent_state` says how often the data are used?",
            _update(epochs="one"),
            _update(epochs="one more"),
        ),
        Mistake(
            "stops-early",
            "You stop when the policy has gone some way. Some programs do; (12.17) goes through all the epochs.",
            "How many losses do you return, and how many are asked for?",
            _update(early=0.01),
            _update(early=0.02),
        ),
        Mistake(
            "losses-condensed",
            "The steps are right, but not all losses are returned: one for every minibatch, in order, is asked for.",
            "Read the last line of the docstring.",
            *(
                _update(returned=r)
                for r in ("their mean", "the last", "the last epoch's", "an epoch's mean")
            ),
        ),
    ],
    also_correct=[_update(), _permuted_copies, _three_backwards],
)  # fmt: skip

LESSON = Lesson(
    "12",
    "Proximal policy optimisation",
    [
        ppo_clip_loss,
        small_step_kl,
        policy_kl,
        ppo_kl_loss,
        adapt_kl_coefficient,
        ppo_batch,
        ppo_update,
    ],
    torch=True,
)
