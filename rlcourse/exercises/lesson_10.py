"""Lesson 10: The policy gradient."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np
import torch

from rlcourse.checker.comparing import difference, same
from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    array,
    composable,
    several,
    tensor,
)
from rlcourse.checker.harness import Case
from rlcourse.checker.material import random_distribution, random_env, random_mdp
from rlcourse.checker.networks import ATOL, RTOL, SoftmaxTable
from rlcourse.checker.networks import tensor as recipe
from rlcourse.checker.plain import Tensor
from rlcourse.checker.probes import Env, Rng, build
from rlcourse.exercises.network_targets import NOT_REDUCED, REDUCTIONS
from rlcourse.exercises.targets import ALL_ALIKE
from rlcourse.policies import reinforce as methods
from rlcourse.tabular.returns import returns_to_go

# -------------------------------------------------------------------------------- softmax_policy


def _logit_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, logits, *tags: str) -> Case:
        return Case(name, {"logits": recipe(logits, grad=True)}, tags)

    # Saturated rows: float32 rounds a logsumexp of a thousand too coarsely for close calls.
    large = "preferences of a thousand"
    return [
        case("a batch of five, three actions", rng.normal(size=(5, 3))),
        case("as many rows as actions", rng.normal(size=(4, 4)) * 2, "B = A"),
        case("one row", rng.normal(size=(1, 4)), "B = 1"),
        case("one action", rng.normal(size=(3, 1)), "A = 1"),
        case("preferences all negative", rng.normal(size=(4, 3)) - 8.0),
        case("preferences of a thousand", [[1000.0, 900.0, 0.0], [0.0, 1000.0, -1000.0]], large),
        case("preferences of minus a thousand", [[-1000.0, -1200.0], [-1000.0, -2000.0]], large),
        case("rows far apart", [[900.0, 800.0], [-800.0, -900.0], [0.0, 1.0]], large),
    ]


def _same_probabilities(case: Case, answer: dict, mistake: dict) -> bool:
    """A mistake is known by its numbers: where they are NaN, the gradients may be anything."""
    given, known = answer["value"], mistake["value"]
    return isinstance(given, Tensor) and same(given.data, known.data, RTOL, ATOL)


def _share(logits, minus: float = 0.0, dim: int = 1, more: float = 0.0):
    """The exponentials over their sum along a dimension, after subtracting, with a little more below."""
    weight = (logits - minus).exp()
    return weight / (weight.sum(dim=dim, keepdim=True) + more)


softmax_policy = Exercise(
    "softmax_policy",
    reference=methods.softmax_policy,
    cases=_logit_cases,
    returns=tensor(),
    points=1,
    equation="(10.2)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    alike=_same_probabilities,
    mistakes=[
        Mistake(
            "over-the-batch",
            "You normalise along the batch. Each *row* is one state's policy, so each row must sum "
            "to 1; other states have nothing to do with it.",
            "Add up the rows of your result, and then its columns. Which of the two gives ones?",
            lambda logits: torch.softmax(logits, dim=0),
            lambda logits: _share(logits, dim=0),
            lambda logits: _share(logits, logits.amax(1, keepdim=True), dim=0),
        ),
        Mistake(
            "overflow",
            "The formula is right, but `exp(1000)` is inf, and inf/inf is NaN. Only differences of "
            "preferences count in (10.2), so you may subtract something first.",
            "What must be subtracted from a row so that its largest exponent becomes 0?",
            _share,
            lambda logits: _share(logits, more=1e-8),
            lambda logits: _share(logits, more=1e-6),
            lambda logits: torch.exp(logits - torch.log(logits.exp().sum(1, keepdim=True))),
        ),
        Mistake(
            "one-maximum-for-all",
            "You subtract one maximum for the whole batch. A row that lies far below it becomes "
            "0/0: every row needs a maximum of its own.",
            "What are the exponentials of the row (−800, −900) if you subtract 900?",
            lambda logits: _share(logits, logits.max()),
            lambda logits: _share(logits, logits.max(), more=1e-8),
        ),
        Mistake(
            "not-normalised",
            "These are the exponentials alone. Probabilities of a row sum to 1: divide by the row's "
            "sum, the denominator of (10.2).",
            "What do the rows of your result add up to?",
            lambda logits: logits.exp(),
            lambda logits: (logits - logits.amax(dim=1, keepdim=True)).exp(),
            lambda logits: (logits - logits.max()).exp(),
        ),
        Mistake(
            "log-probabilities",
            "These are log π(a|s): none of them is positive. The probabilities themselves were asked "
            "for.",
            "Which function turns a logarithm back?",
            lambda logits: torch.log_softmax(logits, dim=1),
            lambda logits: logits - logits.exp().sum(dim=1, keepdim=True).log(),
            lambda logits: torch.softmax(logits, dim=1).log(),
        ),
    ],
    also_correct=[
        lambda logits: torch.softmax(logits, dim=1),
        lambda logits: (logits - logits.logsumexp(dim=1, keepdim=True)).exp(),
        lambda logits: torch.stack(
            [(row - row.max()).exp() / (row - row.max()).exp().sum() for row in logits]
        ),
    ],
)

# ------------------------------------------------------------------------------ grad_log_softmax


def _score_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, n: int, n_actions: int, *tags: str, scale=1.5, action=None) -> Case:
        drawn = rng.integers(n_actions, size=n) if action is None else np.array(action)
        inputs = {"logits": recipe(scale * rng.normal(size=(n, n_actions)))}
        return Case(name, inputs | {"action": Tensor(drawn)}, tags)

    return [
        case("a batch of six, three actions", 6, 3),
        case("as many rows as actions", 4, 4, "B = A"),
        case("one row", 1, 4, "B = 1"),
        case("one action", 3, 1, "A = 1"),
        case("the same action in every row", 5, 3, action=[1] * 5),
        case("every action once", 3, 3, "B = A", action=[1, 2, 0]),
        case("nearly certain policies", 5, 3, scale=8.0),
        case("preferences of hundreds", 4, 3, scale=300.0),
    ]


def _ones(logits, action):
    return torch.nn.functional.one_hot(action, logits.shape[1]).float()


def _pi(logits):
    return torch.softmax(logits, dim=1)


def _score_by_autograd(logits, action):
    leaf = logits.clone().requires_grad_()
    log_pi = torch.log_softmax(leaf, dim=1)
    return torch.autograd.grad(log_pi[torch.arange(len(action)), action].sum(), leaf)[0]


def _score_by_cross_entropy(logits, action):
    leaf = logits.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(leaf, action, reduction="sum")
    return -torch.autograd.grad(loss, leaf)[0]


def _score_by_loop(logits, action):
    out = -_pi(logits)
    for b, a in enumerate(action.tolist()):
        out[b, a] += 1
    return out


_FORMS: dict[str, Callable] = {
    "e − π": lambda e, pi: e - pi,
    "e": lambda e, pi: e,
    "e (1 − π)": lambda e, pi: e * (1 - pi),
    "−π": lambda e, pi: -pi,
    "1 − π": lambda e, pi: 1 - pi,
    "e − π(a)": lambda e, pi: e - (e * pi).sum(dim=1, keepdim=True),
    "e π": lambda e, pi: e * pi,
}
_BATCHES: dict[str, Callable] = {
    "rows": lambda x: x,
    "divided": lambda x: x / len(x),
    "mean": lambda x: x.mean(dim=0),
    "mean in every row": lambda x: x.mean(dim=0, keepdim=True).expand_as(x),
    "sum": lambda x: x.sum(dim=0),
}


@composable
def _score(
    form: str = "e − π", factor: str = "1", sign: float = 1.0, dim: int = 1, batch: str = "rows"
) -> Callable:
    """The score with its parts exchangeable; dim: of the softmax; batch: what becomes of the rows."""

    def grad_log_softmax(logits, action):
        e, pi = _ones(logits, action), torch.softmax(logits, dim=dim)
        factors = {"1": 1.0, "π(a)": (e * pi).sum(dim=1, keepdim=True), "π": pi}
        return _BATCHES[batch](sign * factors[factor] * _FORMS[form](e, pi))

    return grad_log_softmax


def _all_rows(logits, action):
    out = -_pi(logits)
    out[:, action] += 1
    return out


def _taken_only(logits, action):
    out, rows = torch.zeros_like(logits), torch.arange(len(action))
    out[rows, action] = 1 - _pi(logits)[rows, action]
    return out


grad_log_softmax = Exercise(
    "grad_log_softmax",
    reference=methods.grad_log_softmax,
    cases=_score_cases,
    returns=tensor(),
    points=2,
    equation="(10.9)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "only-the-taken-entry",
            "Only the entry of the action that was taken is filled. Pushing one action up pushes the "
            "others down: their entries are −π(b), because the denominator of the softmax knows "
            "every preference.",
            "What do your rows sum to? Adding a constant to all preferences changes nothing, so it "
            "must be 0.",
            _score("e (1 − π)"),
            _taken_only,
        ),
        Mistake(
            "one-hot-only",
            "You return e_a alone, the derivative of h_a. The other term of log π(a), the logarithm "
            "of the denominator, depends on every preference too.",
            "Write log π(a) as a difference of two terms, and differentiate both.",
            _score("e"),
            lambda logits, action: torch.nn.functional.one_hot(action, logits.shape[1]),
        ),
        Mistake(
            "sign",
            "This is π − e_a: the gradient of the cross-entropy *loss*, which is −log π(a). The score "
            "points the other way, towards the action that was taken.",
            "Is the entry of the taken action positive?",
            _score(sign=-1.0),
        ),
        Mistake(
            "gradient-of-pi",
            "This is ∇π(a|s), a factor π(a|s) too small. The gradient of the *logarithm* is ∇π/π: "
            "that is the whole trick of (10.7).",
            "By which number do you have to divide each row?",
            _score(factor="π(a)"),
        ),
        Mistake(
            "weighed-with-pi",
            "You multiply every entry with its own π(b). The score is the gradient of one logarithm, log π(a): nothing "
            "is weighed or averaged over actions in it.",
            "Is there a π before the bracket in (10.9)?",
            _score(factor="π"),
        ),
        Mistake(
            "taken-entry-forgotten",
            "This is −π in every entry, or π in one of them: the 1 of the action that was taken is missing.",
            "Is the entry of the taken action positive? The action that was taken is pushed up.",
            _score("−π"),
            _score("e π"),
        ),
        Mistake(
            "one-in-every-entry",
            "You write 1 − π(b) into every entry. Only the action that was taken has the 1; the others are pushed down.",
            "What do your rows sum to? Adding a constant to all preferences changes nothing, so it must be 0.",
            _score("1 − π"),
        ),
        Mistake(
            "one-probability-for-all",
            "You subtract π(a), the taken action's probability, from every entry. Each action has its own.",
            "What is the derivative of log Σ exp(h) for h_b?",
            _score("e − π(a)"),
        ),
        Mistake(
            "batch-mean",
            "You averaged over the batch. Each row is a score of its own, to be weighed with its own "
            "return later.",
            "Does your first row change when you add more rows below it? It should not.",
            _score(batch="divided"),
            _score(batch="mean in every row"),
            _score(batch="mean"),
        ),
        Mistake(
            "batch-sum",
            "You added up the batch's rows. Each row is a score of its own, to be weighed with its own return later.",
            "Which shape should your result have?",
            _score(batch="sum"),
        ),
        Mistake(
            "every-action-in-every-row",
            "`x[:, action]` takes, in *every* row, the columns of *all* the actions. Row b has one "
            "action: the b-th.",
            "Index with a pair of index arrays: which rows, and which column in each of them.",
            _all_rows,
        ),
        Mistake(
            "over-the-batch",
            "Your probabilities are normalised along the batch: each row is one state's policy and "
            "must sum to 1.",
            "Along which dimension do the actions run?",
            _score(dim=0),
        ),
    ],
    also_correct=[_score(), _score_by_autograd, _score_by_cross_entropy, _score_by_loop],
)

# ------------------------------------------------------------------------- exact_policy_gradient


def _mdp_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n_states, n_actions, gamma, *tags, go_on=1.0, start=None, scale=1.0) -> Case:
        P, R = random_mdp(rng, n_states, n_actions)
        first = random_distribution(rng, n_states) if start is None else np.eye(n_states)[start]
        logits = scale * rng.normal(size=(n_states, n_actions))
        parts = {"P": go_on * P, "R": R, "start": first, "logits": logits}
        return Case(name, {k: Tensor(x) for k, x in parts.items()} | {"gamma": gamma}, tags)

    ends = "episodes that end"
    return [
        case("four states, three actions", 4, 3, 0.9),
        case("as many states as actions", 3, 3, 0.8, "S = A"),
        case("two states and actions, ending", 2, 2, 0.95, "S = A", ends, go_on=0.8),
        case("a start in the first state", 5, 2, 0.9, start=0),
        case("episodes that end, γ = 1", 4, 3, 1.0, ends, "γ = 1", go_on=0.75),
        case("γ = 0", 4, 2, 0.0, "γ = 0"),
        case("one state", 1, 4, 0.9, "S = 1"),
        case("one action", 3, 1, 0.9, "A = 1"),
        case("a nearly certain policy", 3, 2, 0.7, scale=4.0),
        case("three states, two actions, γ = 1", 3, 2, 1.0, ends, "γ = 1", go_on=0.6, start=2),
    ]


def _visits(P_pi, start, gamma, eye):
    return torch.linalg.solve(eye - gamma * P_pi.T, start)


def _all_visits(P_pi, start, gamma, eye):
    return torch.linalg.pinv(eye - P_pi.T, rcond=1e-9) @ start


def _long_after(P_pi, start, gamma, eye):
    return torch.linalg.matrix_power(P_pi.T, 1000) @ start


def _time_average(P_pi, start, gamma, eye):
    total, d = torch.zeros_like(start), start
    for _ in range(1000):
        total, d = total + d, P_pi.T @ d
    return total / 1000


def _eigenvector(P_pi, start, gamma, eye):
    values, vectors = torch.linalg.eig(P_pi.T)
    d = vectors[:, values.abs().argmax()].real
    return d / d.sum()


_STATES: dict[str, Callable] = {
    "visits": _visits,
    "undiscounted": _all_visits,
    "long after": _long_after,
    "time average": _time_average,
    "eigenvector": _eigenvector,
    "start": lambda P_pi, start, gamma, eye: start,
    "uniform": lambda P_pi, start, gamma, eye: torch.ones_like(start),
    "uniform start": lambda P_pi, start, gamma, eye: _visits(
        P_pi, torch.ones_like(start) / len(start), gamma, eye
    ),
    "1 − γ": lambda *a: (1 - a[2]) * _visits(*a),
    "normalised": lambda *a: _visits(*a) / _visits(*a).sum(),
    "transposed": lambda P_pi, start, gamma, eye: _visits(P_pi.T, start, gamma, eye),
}
_ADVANTAGES: dict[str, Callable] = {
    "Q − V": lambda pi, q, v: q - v[:, None],
    "Q": lambda pi, q, v: q,
    "Q − mean": lambda pi, q, v: q - q.mean(dim=1, keepdim=True),
}


@composable
def _weighted_by(
    states: str = "visits",
    advantage: str = "Q − V",
    with_pi: bool = True,
    sign: float = 1.0,
    q_gamma: bool = True,
    q_of: str = "both",
    pi_dim: int = 1,
) -> Callable:
    """The gradient with other weights of the states, or another factor beside them."""

    def exact_policy_gradient(P, R, start, logits, gamma):
        pi = torch.softmax(logits, dim=pi_dim)
        P_pi = torch.einsum("sa,sat->st", pi, P)
        eye = torch.eye(len(start), dtype=P.dtype)
        v = torch.linalg.solve(eye - gamma * P_pi, (pi * R).sum(1))
        later = (gamma if q_gamma else 1.0) * (P @ v)
        q = {"both": R + later, "reward": R, "later": later}[q_of]
        factor = _ADVANTAGES[advantage](pi, q, v)
        weights = _STATES[states](P_pi, start, gamma, eye)
        return sign * weights[:, None] * (pi * factor if with_pi else factor)

    return exact_policy_gradient


def _gradient_by_autograd(P, R, start, logits, gamma):
    leaf = logits.clone().requires_grad_()
    pi = torch.softmax(leaf, dim=1)
    P_pi = torch.einsum("sa,sat->st", pi, P)
    advance = torch.eye(len(start), dtype=P.dtype) - gamma * P_pi
    return torch.autograd.grad(start @ torch.linalg.solve(advance, (pi * R).sum(1)), leaf)[0]


def _gradient_by_jacobian(P, R, start, logits, gamma):
    pi = torch.softmax(logits, dim=1)
    P_pi = torch.einsum("sa,sat->st", pi, P)
    eye = torch.eye(len(start), dtype=P.dtype)
    q = R + gamma * P @ torch.linalg.solve(eye - gamma * P_pi, (pi * R).sum(1))
    d = torch.linalg.inv(eye - gamma * P_pi).T @ start
    out = torch.zeros_like(logits)
    n_states, n_actions = logits.shape
    for s in range(n_states):
        for a in range(n_actions):
            for b in range(n_actions):
                out[s, a] += d[s] * pi[s, b] * (float(a == b) - pi[s, a]) * q[s, b]
    return out


def _solves_without_gamma(cases, outcomes) -> bool:
    """The visits were asked of I − P_πᵀ: where no episode ends that is singular, and only the direction is left."""
    for case, outcome in zip(cases, outcomes, strict=False):
        if outcome.failure is not None:
            if "LinAlgError" not in outcome.failure.type_name:
                return False
            continue
        inputs = build(case.inputs, Counter())
        ends = bool((inputs["P"].sum(dim=2) < 1 - 1e-6).any())
        wrong = _weighted_by("undiscounted" if ends else "eigenvector")(**inputs).numpy().ravel()
        if not isinstance(outcome.value, Tensor) or outcome.value.data.size != wrong.size:
            return False
        answer = outcome.value.data.ravel()
        if ends and not same(answer, wrong, 1e-6, 1e-9):
            return False
        if not ends and np.isfinite(answer).all() and np.linalg.norm(wrong) > 1e-9:
            cosine = answer @ wrong / (np.linalg.norm(answer) * np.linalg.norm(wrong) + 1e-300)
            if abs(cosine) < 1 - 1e-5:
                return False
    return True


def _told_of_gradient(case: Case, answer: Tensor, right: Tensor) -> str:
    """The usual words, or what the rows tell: all right up to a factor each, or none that sums to 0."""
    said = difference(exact_policy_gradient, case, answer, right)
    if "places" not in said:
        return said
    if not same(answer.data.sum(axis=1), np.zeros(len(right.data)), 0.0, 1e-7):
        return (
            f"{said} Its rows do not sum to 0, and they should: to raise all preferences of a state by the "
            "same amount changes nothing."
        )
    along = (answer.data * right.data).sum(axis=1) / ((right.data**2).sum(axis=1) + 1e-300)
    # Two numbers whose sum is 0 always point along each other.
    if right.data.shape[1] > 2 and same(answer.data, along[:, None] * right.data, 1e-6, 1e-9):
        return (
            f"{said} Every row is right but for a factor: it is the states that have wrong weights."
        )
    return said


exact_policy_gradient = Exercise(
    "exact_policy_gradient",
    reference=methods.exact_policy_gradient,
    cases=_mdp_cases,
    returns=tensor(),
    points=3,
    equation="(10.17)",
    rtol=1e-6,
    atol=1e-9,
    tells=_told_of_gradient,
    mistakes=[
        Mistake(
            "undiscounted-states",
            "Your weights of the states do not discount. The theorem weighs a state that is visited "
            "at time t by γ^t: that comes from the γ in the recursion (10.13).",
            "Which linear system do the weights n_γ solve? It has a γ in it.",
            *(
                _weighted_by(s)
                for s in ("undiscounted", "long after", "time average", "eigenvector")
            ),
            shows=_solves_without_gamma,
        ),
        Mistake(
            "start-only",
            "You weigh the states by `start`, where episodes begin. Later states depend on θ as "
            "well: their terms in (10.14) are missing.",
            "What does (10.14) sum over besides the first state?",
            _weighted_by("start"),
        ),
        Mistake(
            "normalised-occupancy",
            "A factor 1 − γ too much: this is lesson 01's occupancy, a distribution. J is not an "
            "average here: the visits sum to 1/(1 − γ) in a world that never ends.",
            "What does Σ_s n_γ(s) come to if no episode ever ends?",
            _weighted_by("1 − γ"),
            _weighted_by("normalised"),
        ),
        Mistake(
            "transpose",
            "You solve for the visits with P_π itself. Visits flow *forwards*, from s to s', so the "
            "sum runs over where we came from: the matrix is transposed.",
            "Write n_γ(s') = start(s') + γ Σ_s … and see over which index of P_π(s'|s) you sum.",
            _weighted_by("transposed"),
        ),
        Mistake(
            "q-without-v",
            "You use Q where (10.17) has Q − V. The softmax's own gradient subtracts the mean: raising "
            "one preference takes probability away from all the other actions.",
            "What is Σ_b π(b) (1[b=a] − π(a)) Q(b)?",
            _weighted_by(advantage="Q"),
        ),
        Mistake(
            "pi-forgotten",
            "The factor π(a|s) is missing. ∇π is π ∇log π: an action that is hardly ever taken hardly "
            "matters.",
            "Count the factors of (10.17).",
            _weighted_by(with_pi=False),
        ),
        Mistake(
            "sign",
            "Everything is right but the sign. (10.17) is the gradient of J itself, which points "
            "uphill; nobody asked for a loss.",
            "Should an action that is better than average get a positive entry?",
            _weighted_by(sign=-1.0),
        ),
        Mistake(
            "no-gamma-in-q",
            "Your Q does not discount what comes after the step: Q = r + γ Σ p V, (10.10).",
            "Where does γ stand in the second half of (10.10)?",
            _weighted_by(q_gamma=False),
        ),
        Mistake(
            "half-of-q",
            "Your Q is the reward alone, or what comes after it alone. Q = r + γ Σ p V, (10.10), is both.",
            "Write (10.10) down, and count its terms in your code.",
            _weighted_by(q_of="reward"),
            _weighted_by(q_of="later"),
        ),
        Mistake(
            "every-state-alike",
            "You give every state the same weight, or let episodes begin in any state alike. How often a state is "
            "visited depends on where episodes begin, `start`, and on the policy.",
            "Where does `start` enter your weights?",
            _weighted_by("uniform"),
            _weighted_by("uniform start"),
        ),
        Mistake(
            "plain-mean-for-v",
            "You subtract the plain mean of the row's Q. V is their mean *under the policy*.",
            "Which actions does a policy take often? V should be near their Q.",
            _weighted_by(advantage="Q − mean"),
        ),
        Mistake(
            "over-the-batch",
            "Your probabilities are normalised along the states: each row is one state's policy and must sum to 1.",
            "Along which dimension of `logits` do the actions run?",
            _weighted_by(pi_dim=0),
        ),
    ],
    also_correct=[_weighted_by(), _gradient_by_autograd, _gradient_by_jacobian],
)

# --------------------------------------------------------------------------------- reinforce_loss


def _loss_cases(with_value: bool) -> Callable[[np.random.Generator], list[Case]]:
    def cases(rng: np.random.Generator) -> list[Case]:
        def case(name: str, n: int, *tags: str, shift=0.0, grad=True, up=0.0) -> Case:
            # The returns want a gradient where a student has to refuse it.
            inputs = {
                "log_prob": recipe(up - rng.exponential(size=n), grad=True),
                "returns": recipe(3 * rng.normal(size=n) + shift, grad=grad),
            }
            if with_value:
                inputs["value"] = recipe(2 * rng.normal(size=n) + shift / 2, grad=True)
            return Case(name, inputs, tags)

        return [
            case("a batch of six", 6),
            case("a batch of five, returns without a gradient", 5, grad=False),
            case("one step", 1, "B = 1"),
            case("returns all positive", 7, shift=20.0),
            case("returns all negative", 4, shift=-20.0, grad=False),
            case("two steps", 2),
            case("a long episode", 40, shift=5.0),
            case("densities, of which some are above 1", 9, up=1.0),
        ]

    return cases


def _reinforce_loss_by_loop(log_prob, returns):
    total = 0.0
    for log_pi, g in zip(log_prob, returns, strict=True):
        total = total - log_pi * float(g.detach())
    return total / len(log_prob)


def _reinforce_loss_no_grad(log_prob, returns):
    with torch.no_grad():
        g = returns.clone()
    return -(g * log_prob).sum() / g.numel()


_WEIGHTS: dict[str, Callable] = {
    "G": lambda g: g,
    "centred": lambda g: g - g.mean(),
    "standardised": lambda g: (g - g.mean()) / (g.std(unbiased=False) + 1e-8),
    "standardised, n − 1": lambda g: (g - g.mean()) / (g.std() + 1e-8),
    "over their spread": lambda g: g / (g.std() + 1e-8),
    "mean": lambda g: g.mean().expand_as(g),
    "first": lambda g: g[0].expand_as(g),
}
_SCORES: dict[str, Callable] = {
    "log π": lambda log_prob: log_prob,
    "π": torch.exp,
    "log log π": torch.log,
    "detached": lambda log_prob: log_prob.detach(),
    "sum": lambda log_prob: log_prob.sum(),
    "mean": lambda log_prob: log_prob.mean(),
    "column": lambda log_prob: log_prob[:, None],
}


@composable
def _weighed(
    score: str = "log π",
    weight: str = "G",
    sign: float = -1.0,
    detach: bool = True,
    reduce: str = "mean",
) -> Callable:
    """(10.22) with its parts exchangeable."""

    def reinforce_loss(log_prob, returns):
        g = _WEIGHTS[weight](returns.detach() if detach else returns)
        return sign * REDUCTIONS[reduce](_SCORES[score](log_prob) * g)

    return reinforce_loss


def _losses_alike(case: Case, answer: dict, mistake: dict) -> bool:
    """A mistake is known by its losses and their gradients; the returns may get one besides."""
    of_returns = [[part.get("returns", 0.0) for part in x["gradients"]] for x in (answer, mistake)]
    leaks, should_leak = (any(map(np.any, gradients)) for gradients in of_returns)
    own, known = (
        [{k: g for k, g in part.items() if k != "returns"} for part in x["gradients"]]
        for x in (answer, mistake)
    )
    values = _values(answer["value"]), _values(mistake["value"])
    return (
        all(x is not None for x in values[0])
        and leaks >= should_leak
        and same(*values, RTOL, ATOL)
        and same(own, known, RTOL, ATOL)
    )


def _values(losses) -> list:
    """The numbers of one tensor or several; None for whatever is no tensor."""
    parts = losses if isinstance(losses, tuple | list) else [losses]
    return [x.data if isinstance(x, Tensor) else None for x in parts]


GIVEN_AWAY = "What does the optimiser do with a loss: make it large or small?"

reinforce_loss = Exercise(
    "reinforce_loss",
    reference=methods.reinforce_loss,
    cases=_loss_cases(with_value=False),
    returns=tensor(),
    points=1,
    equation="(10.22)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    alike=_losses_alike,
    mistakes=[
        Mistake(
            "sign",
            "The sign is the other way round: minimising this makes actions with high returns *less* "
            "likely.",
            GIVEN_AWAY,
            _weighed(sign=1.0),
        ),
        Mistake(
            "return-gradient",
            "The value is right, but a gradient flows into the returns. A return is a number that was "
            "observed, not something that θ computes.",
            "How do you get a tensor's numbers without its history?",
            _weighed(detach=False),
        ),
        Mistake(
            "sum",
            "This is the sum over the batch. (10.22) is a mean: divide by B.",
            "How does your loss change when every step is given twice? It should not.",
            _weighed(reduce="sum"),
        ),
        Mistake(
            "product-of-means",
            "You multiply one mean with another, or average over all pairs: every action is credited with the "
            "*mean* return. "
            "Each action is to be credited with its own: multiply row by row, then take the mean.",
            "Shapes first: is what you average of shape (B,), with one product for each step?",
            _weighed(score="mean"),
            _weighed(weight="mean"),
            _weighed(score="column"),
        ),
        Mistake(
            "b-by-b",
            "Every log-probability is multiplied with every return, and not only with its own. Row i belongs "
            "with row i.",
            "Print the shape of the product before you sum: are there B × B entries? Or is one of the factors a sum?",
            lambda log_prob, returns: -(log_prob[:, None] * returns.detach()).sum(1).mean(),
            _weighed(score="column", reduce="sum"),
            _weighed(score="sum"),
        ),
        Mistake(
            "probabilities",
            "You use π where log π stands. The likelihood ratio (10.7) is what brings the logarithm "
            "in: without it frequent actions are pushed twice.",
            "`log_prob` is a logarithm already.",
            _weighed(score="π"),
        ),
        Mistake(
            "baseline-subtracted",
            "You subtract the mean of the returns (and perhaps divide by their spread). That is a "
            "good idea, and the next section's subject; (10.22) takes the returns as they are.",
            "Leave the returns unchanged here.",
            *(_weighed(weight=w) for w in ("centred", "standardised", "standardised, n − 1")),
        ),
        Mistake(
            "one-return-for-all",
            "Every step is weighed with the same return, the first one. Each action is to be credited with its own.",
            "Is your weight of shape (B,), and does its row i come from `returns[i]` alone?",
            _weighed(weight="first"),
        ),
        Mistake(
            "divided-by-their-spread",
            "You divide the returns by their spread. (10.22) takes the returns as they are.",
            "Leave the returns unchanged here.",
            _weighed(weight="over their spread"),
        ),
        Mistake("not-averaged", *NOT_REDUCED, _weighed(reduce="none")),
        Mistake(
            "log-of-a-logarithm",
            "You take the logarithm of `log_prob`: it is one already, and mostly negative.",
            "What is the logarithm of a negative number?",
            _weighed(score="log log π"),
        ),
        Mistake(
            "policy-detached",
            "The value is right, but no gradient reaches `log_prob`: the policy would never learn.",
            "Which of the two factors is data, and which one is to be moved?",
            _weighed(score="detached"),
        ),
    ],
    also_correct=[
        _weighed(),
        lambda log_prob, returns: -torch.dot(log_prob, returns.detach()) / len(returns),
        _reinforce_loss_by_loop,
        _reinforce_loss_no_grad,
    ],
)

# ------------------------------------------------------------------------------ optimal_baseline


def _baseline_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, n: int, n_actions: int, *tags: str, scale=1.0, shift=0.0) -> Case:
        weight = np.exp(scale * rng.normal(size=(n, n_actions)).clip(-2, 2))
        inputs = {
            "pi": Tensor(weight / weight.sum(axis=1, keepdims=True)),
            "q": Tensor(2 * rng.normal(size=(n, n_actions)) + shift),
        }
        return Case(name, inputs, tags)

    return [
        case("five states, three actions", 5, 3),
        case("as many states as actions", 4, 4, "B = A"),
        case("one state", 1, 4, "B = 1"),
        case("two actions", 3, 2, "A = 2"),
        case("two states, two actions", 2, 2, "A = 2"),
        case("values all positive", 4, 3, shift=20.0),
        case("values all negative", 6, 4, shift=-20.0),
        case("nearly certain policies", 3, 3, scale=1.5),
        case("many actions", 2, 10),
        case("all actions equally likely", 3, 4, "uniform policies", scale=0.0),
    ]


def _squared_length(pi):
    return 1 - 2 * pi + pi.square().sum(dim=1, keepdim=True)


# (B, A): what stands for the squared length of each action's score.
_LENGTHS: dict[str, Callable] = {
    "squared": _squared_length,
    "not squared": lambda pi: _squared_length(pi).sqrt(),
    "taken entry": lambda pi: (1 - pi).square(),
    "other entries": lambda pi: pi.square().sum(dim=1, keepdim=True) - pi.square(),
    "cross term left out": lambda pi: 1 + pi.square().sum(dim=1, keepdim=True),
    "cross term added": lambda pi: _squared_length(pi) + 4 * pi,
    "cross term once": lambda pi: _squared_length(pi) + pi,
    "last term left out": lambda pi: 1 - 2 * pi,
    "of ∇π": lambda pi: pi.square() * _squared_length(pi),
    "1": torch.ones_like,
    "1 over it": lambda pi: 1 / _squared_length(pi),
    "1 − π": lambda pi: 1 - pi,
}
_PROBABILITIES: dict[str, Callable] = {
    "π": lambda pi: pi,
    "softmax of π": lambda pi: torch.softmax(pi, dim=1),
}


def _by_component(pi, q, weight):
    """A best baseline for every component of the gradient, (B, A)."""
    squares = (torch.eye(pi.shape[1]) - pi[:, None, :]).square() * pi[:, :, None]
    return (squares * q[:, :, None]).sum(dim=1) / squares.sum(dim=1)


# From (π, q, weights) to b, where the weights above and below the line are the same.
_AVERAGES: dict[str, Callable] = {
    "all states": lambda pi, q, w: ((w * q).sum() / w.sum()).expand(len(q)),
    "all states, one number": lambda pi, q, w: (w * q).sum() / w.sum(),
    "over the states": lambda pi, q, w: (w * q).sum(dim=0) / w.sum(dim=0),
    "mean b": lambda pi, q, w: ((w * q).sum(dim=1) / w.sum(dim=1)).mean().expand(len(q)),
    "components": _by_component,
    "numerator": lambda pi, q, w: (w * q).sum(dim=1),
    "mean of the numerator": lambda pi, q, w: (w * q).mean(dim=1),
    "kept": lambda pi, q, w: ((w * q).sum(dim=1) / w.sum(dim=1))[:, None],
}


@composable
def _best(
    length: str = "squared",
    pi_in: str = "both",
    average: str = "rows",
    factor: float = 1.0,
    pi_of: str = "π",
) -> Callable:
    """The best baseline with its parts exchangeable; pi_in: "both" sums, the one "above", "below" or "neither"."""

    def optimal_baseline(pi, q):
        pi = _PROBABILITIES[pi_of](pi)
        squared = _LENGTHS[length](pi)
        above = pi * squared if pi_in in ("both", "above") else squared
        below = pi * squared if pi_in in ("both", "below") else squared
        if average != "rows":
            return factor * _AVERAGES[average](pi, q, above)
        return factor * (above * q).sum(dim=1) / below.sum(dim=1)

    return optimal_baseline


def _baseline_by_autograd(pi, q):
    """The scores by autograd, for every action of every state."""
    out = []
    for row, values in zip(pi, q, strict=True):
        scores = torch.autograd.functional.jacobian(lambda h: torch.log_softmax(h, 0), row.log())
        weight = row * scores.square().sum(dim=1)
        out.append(weight @ values / weight.sum())
    return torch.stack(out)


def _baseline_by_scores(pi, q):
    above = below = 0.0
    for a in range(pi.shape[1]):
        action = torch.full((len(pi),), a)
        weight = pi[:, a] * methods.grad_log_softmax(pi.log(), action).norm(dim=1) ** 2
        above, below = above + weight * q[:, a], below + weight
    return above / below


def _baseline_by_newton(pi, q):
    """The second moment is a parabola in b: one step of Newton's method from anywhere is enough."""
    b = torch.full((len(pi),), 3.0, dtype=pi.dtype, requires_grad=True)
    weight = pi * (1 - 2 * pi + (pi * pi).sum(dim=1, keepdim=True))
    moment = (weight * (q - b[:, None]) ** 2).sum()
    (slope,) = torch.autograd.grad(moment, b, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), b)
    return (b - slope / curvature).detach()


def _baseline_by_loops(pi, q):
    out = torch.zeros_like(q[:, 0])
    for s in range(len(pi)):
        above = below = 0.0
        for a in range(pi.shape[1]):
            square = sum((float(a == b) - float(pi[s, b])) ** 2 for b in range(pi.shape[1]))
            above += float(pi[s, a]) * square * float(q[s, a])
            below += float(pi[s, a]) * square
        out[s] = above / below
    return out


optimal_baseline = Exercise(
    "optimal_baseline",
    reference=methods.optimal_baseline,
    cases=_baseline_cases,
    returns=tensor(),
    points=2,
    equation="(10.25)",
    rtol=1e-8,
    atol=1e-9,
    mistakes=[
        Mistake(
            "mean-value",
            "This is V^π, the mean of Q under π. It is a good baseline and not the best: an action with a longer score "
            "adds more to the noise, so its Q should pull harder.",
            "Is ‖∇log π(a|s)‖ the same for every action? Put π = (0.9, 0.1) into (10.9).",
            lambda pi, q: (pi * q).sum(dim=1),
            _best("1"),
            _best("cross term left out"),
        ),
        Mistake(
            "pi-forgotten",
            "The π of the expectation is missing, above the line, below it or in both places: (10.25) is a mean over "
            "actions that are drawn from π.",
            "Write (10.25) out as a sum over a. What stands before each square?",
            _best(pi_in="neither"),
            _best(pi_in="above"),
            _best(pi_in="below"),
        ),
        Mistake(
            "only-the-taken-entry",
            "You use (1 − π_a)², the square of one entry. The score has an entry for every action, and all of them are "
            "noise. (With two actions there is no difference.)",
            "How long is the vector e_a − π if there are three actions?",
            _best("taken entry"),
        ),
        Mistake(
            "taken-entry-left-out",
            "You use the entries of the actions that were *not* taken, Σ π_b² over b ≠ a. The score has an entry for the "
            "action that was taken as well, its largest. (With two actions there is no difference.)",
            "How long is the vector e_a − π if there are three actions?",
            _best("other entries"),
        ),
        Mistake(
            "square-multiplied-out-wrongly",
            "Your ‖e_a − π‖² is not multiplied out rightly: look at the term with π_a and at the one with the squares.",
            "Take two actions and π = (½, ½): what is e_1 − π, what is its squared length, and what is yours?",
            _best("cross term added"),
            _best("cross term once"),
            _best("last term left out"),
        ),
        Mistake(
            "length-not-squared",
            "You weigh with the length of the score. (10.25) is a mean of *squares*: the length enters squared.",
            "What becomes of ‖x (q − b)‖² when x is twice as long?",
            _best("not squared"),
        ),
        Mistake(
            "divided-by-the-length",
            "You divide by the squared length of the score, where (10.25) multiplies: the longer a score, the more it "
            "matters what is left of its Q.",
            "Which action makes more noise, one with a long score or one with a short one?",
            _best("1 over it"),
        ),
        Mistake(
            "plain-mean",
            "This is the plain mean of the Q: weights are missing. What is minimised is a mean under π, and the scores "
            "in it differ in length.",
            "Should an action that is never taken have a say in b?",
            lambda pi, q: q.mean(dim=1),
        ),
        Mistake(
            "two-actions-stretched",
            "Weights of 1 − π_a are right for two actions, and stretched to more they are not: from three actions on, "
            "the squared length of e_a − π takes more than π_a to write down.",
            "Compute both weights by hand for π = (0.6, 0.3, 0.1).",
            _best("1 − π", pi_in="neither"),
        ),
        Mistake(
            "gradient-of-pi",
            "You weigh with the length of ∇π. The sampled gradient has ∇log π, which is ∇π over π(a|s): (10.7).",
            "Which of the two stands in (10.25)?",
            _best("of ∇π"),
            _best("of ∇π", pi_in="neither"),
        ),
        Mistake(
            "not-normalised",
            "The denominator is missing. The best b is an average of the Q: its weights sum to 1.",
            ALL_ALIKE,
            _best(average="numerator"),
            _best(average="mean of the numerator"),
        ),
        Mistake(
            "factor-lost",
            "You are off by a factor: −1, 2 or ½. In the derivative of (q − b)² the 2 and the sign belong to both of its "
            "terms, and so they cancel.",
            ALL_ALIKE,
            _best(factor=-1.0),
            _best(factor=2.0),
            _best(factor=0.5),
        ),
        Mistake(
            "over-the-batch",
            "Your sums run over the states. Each row is a state of its own, and has a baseline of its own: (B,).",
            "Does your first number change when only the other rows do? It should not.",
            *(
                _best(average=a)
                for a in ("all states", "all states, one number", "over the states", "mean b")
            ),
        ),
        Mistake(
            "one-for-each-component",
            "This is a best baseline for every component of the gradient, (B, A). That makes still less noise, but asked "
            "for is one number a state, for the whole squared length.",
            "Over which index does the squared length ‖·‖² sum?",
            _best(average="components"),
        ),
        Mistake(
            "probabilities-again",
            "You take the softmax of `pi`. These are probabilities already.",
            "What do the rows of `pi` sum to?",
            _best(pi_of="softmax of π"),
        ),
        Mistake(
            "column",
            "Your numbers come as a column, (B, 1). One number a row is of shape (B,): subtracted from (B,) returns, a "
            "column would pair every state with every other.",
            "Which reduction keeps the dimension that it sums over?",
            _best(average="kept"),
        ),
    ],
    also_correct=[
        _best(),
        _baseline_by_autograd,
        _baseline_by_scores,
        _baseline_by_newton,
        _baseline_by_loops,
    ],
)


# --------------------------------------------------------------------------------- baseline_loss

_BASELINES: dict[str, Callable] = {
    "b": lambda g, b: b,
    "−b": lambda g, b: -b,
    "none": lambda g, b: 0.0 * b,
    "mean of b": lambda g, b: b.mean(),
    "mean of G": lambda g, b: g.mean(),
}


@composable
def _both(
    sign: float = -1.0,
    score: str = "log π",
    baseline: str = "b",
    advantage: str = "G",
    half: float = 0.5,
    policy_cut: bool = True,
    value_cut: bool = False,
    value_sign: float = 1.0,
    value_mean: bool = False,
    data: bool = True,
    policy_reduce: str = "mean",
    value_reduce: str = "mean",
    distance: str = "square",
    order: str = "policy, value",
) -> Callable:
    """`baseline_loss` with one thing changed; advantage: what is done to G − b, as in `_WEIGHTS`."""

    def baseline_loss(log_prob, returns, value):
        g = returns.detach() if data else returns
        b = value.detach() if policy_cut else value
        own = value.detach() if value_cut else value
        own = own.mean() if value_mean else own
        adv = _WEIGHTS[advantage](g - _BASELINES[baseline](g, b))
        policy_loss = sign * REDUCTIONS[policy_reduce](_SCORES[score](log_prob) * adv)
        error = g - own
        if distance == "huber":
            rows = torch.where(error.abs() < 1, error**2 / 2, error.abs() - 0.5)
        else:
            rows = half * (error**2 if distance == "square" else error.abs())
        value_loss = value_sign * REDUCTIONS[value_reduce](rows)
        if order == "added":
            return policy_loss + value_loss
        losses = policy_loss, value_loss
        return losses if order == "policy, value" else losses[::-1]

    return baseline_loss


def _baseline_by_parts(log_prob, returns, value):
    g, n = returns.clone().detach(), len(value)
    adv = torch.tensor((g - value).tolist())
    return -(log_prob @ adv) / n, ((value - g) ** 2).sum() / (2 * n)


def _all_pairs(columns: str, cut: bool = True, of: str = "both") -> Callable:
    """The difference of a column and a row, (B, B), in both losses or in that `of` one."""

    def baseline_loss(log_prob, returns, value):
        g, b = returns.detach(), value
        pairs = g[:, None] - b if columns == "returns" else g - b[:, None]
        adv, error = (pairs if of in ("both", loss) else g - b for loss in ("policy", "value"))
        return -(log_prob * (adv.detach() if cut else adv)).mean(), 0.5 * (error**2).mean()

    return baseline_loss


baseline_loss = Exercise(
    "baseline_loss",
    reference=methods.baseline_loss,
    cases=_loss_cases(with_value=True),
    returns=several(policy_loss=tensor(), value_loss=tensor()),
    points=2,
    equation="(10.26)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    alike=_losses_alike,
    mistakes=[
        Mistake(
            "baseline-trained-by-policy",
            "The policy's loss sends a gradient into the baseline. It would teach the baseline "
            "whatever makes that loss small, which is not what is true: in that loss G − b is a number.",
            "In which of the two losses is ψ to be moved, and in which is it not?",
            _both(policy_cut=False),
        ),
        Mistake(
            "sign",
            "The policy's loss has the wrong sign: actions that went better than expected would become "
            "less likely.",
            GIVEN_AWAY,
            _both(sign=1.0),
            _both(sign=1.0, policy_cut=False),
            lambda log_prob, returns, value: (
                -(log_prob * (value - returns).detach()).mean(),
                0.5 * ((returns.detach() - value) ** 2).mean(),
            ),
        ),
        Mistake(
            "baseline-added",
            "You add the baseline. Better than expected is G − b: what happened minus what was "
            "expected.",
            "What should the weight be when the return is exactly what the baseline said?",
            _both(baseline="−b"),
            _both(baseline="−b", policy_cut=False),
        ),
        Mistake(
            "no-baseline",
            "The policy's loss weighs the scores with G itself: the baseline is learned, and never "
            "used.",
            "Where does `value` stand in the first of the two losses?",
            _both(baseline="none"),
        ),
        Mistake(
            "no-half",
            "The value's loss lacks its factor ½, with which the gradient is just −(G − b).",
            "Compare the second loss of (10.26) with yours, factor by factor.",
            _both(half=1.0),
            _both(half=1.0, policy_cut=False),
        ),
        Mistake(
            "baseline-never-learns",
            "The values are right, but no gradient reaches `value` through its own loss: the baseline "
            "would stay as it is for ever.",
            "You cut one gradient too many. Which loss is ψ's only teacher?",
            _both(value_cut=True),
            _both(value_cut=True, policy_cut=False),
        ),
        Mistake(
            "return-gradient",
            "A gradient flows into the returns. They are data in both losses.",
            "Detach what was observed, before you use it twice.",
            _both(data=False),
        ),
        Mistake(
            "sum",
            "A sum over the batch stands where (10.26) has a mean: both losses are means.",
            "How do your losses change when every step is given twice? They should not.",
            _both(policy_reduce="sum", value_reduce="sum"),
            _both(policy_reduce="sum"),
            _both(value_reduce="sum"),
        ),
        Mistake(
            "all-pairs",
            "Your difference G − b has B × B entries: every return is compared with every value. Row i "
            "belongs with row i, and both come as (B,).",
            "Print the shape of the difference.",
            _all_pairs("returns"),
            _all_pairs("value"),
            _all_pairs("returns", cut=False),
            _all_pairs("value", cut=False),
            _all_pairs("returns", of="policy"),
            _all_pairs("returns", of="value"),
        ),
        Mistake(
            "swapped",
            "The two losses have changed places: the policy's comes first.",
            "Read the last line of the docstring.",
            _both(order="value, policy"),
        ),
        Mistake(
            "added-up",
            "You add the two losses. Two were asked for, in a tuple: they have two optimisers, and their sizes have "
            "nothing to do with each other.",
            "Read the last line of the docstring.",
            _both(order="added"),
            _both(order="added", policy_cut=False),
        ),
        Mistake(
            "one-baseline-for-all",
            "Every row has the same baseline, the mean of the values or of the returns. The baseline of (10.26) is b(s), "
            "a number for each state. (A row of returns minus a *column* of values, averaged over all pairs, comes to "
            "the same.)",
            "What is the baseline of row 0 in your code? Does it change when only the other rows do?",
            _both(baseline="mean of b"),
            _both(baseline="mean of b", policy_cut=False),
            _all_pairs("value", of="policy"),
            _both(baseline="mean of G"),
        ),
        Mistake(
            "one-value-for-all",
            "Your value's loss compares every return with the mean of the values. Each value answers for its own row.",
            "Which value is compared with `returns[0]` in your second loss?",
            _both(value_mean=True),
        ),
        Mistake(
            "advantage-standardised",
            "You centre or standardise G − b. (10.26) takes the differences as they are: normalising is the caller's "
            "choice.",
            "Leave the differences unchanged.",
            *(_both(advantage=a) for a in ("centred", "standardised", "standardised, n − 1")),
        ),
        Mistake(
            "no-squared-error",
            "Your value's loss is Huber's, or the absolute error. Here the errors are squared, however large they are.",
            "Compare the second loss of (10.26) with yours for an error of 10.",
            _both(distance="huber"),
            _both(distance="absolute"),
            _both(distance="absolute", half=1.0),
        ),
        Mistake(
            "value-sign",
            "Your value's loss is negative: to go down it, the baseline runs away from the returns.",
            "What is your second loss when the baseline is perfect, and what when it is not?",
            _both(value_sign=-1.0),
        ),
        Mistake(
            "probabilities",
            "You use π where log π stands.",
            "`log_prob` is a logarithm already.",
            _both(score="π"),
        ),
        Mistake(
            "policy-detached",
            "The values are right, but no gradient reaches `log_prob`: the policy would never learn.",
            "Which of the two factors in the first loss is data, and which one is to be moved?",
            _both(score="detached"),
        ),
        Mistake(
            "not-averaged",
            *NOT_REDUCED,
            _both(policy_reduce="none"),
            _both(value_reduce="none"),
            _both(policy_reduce="none", value_reduce="none"),
        ),
    ],
    also_correct=[
        _both(),
        _baseline_by_parts,
        lambda log_prob, returns, value: (
            methods.reinforce_loss(log_prob, returns - value),
            torch.nn.functional.mse_loss(value, returns.detach()) / 2,
        ),
    ],
)

# -------------------------------------------------------------------------------------- reinforce


def _loop_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, gamma, keep, *tags, episodes=1, lr=0.1, env=None) -> Case:
        env = random_env(rng, 4, 3, ends=0.3, limit=12) if env is None else env
        n_states, n_actions = env.R.shape
        inputs = {
            "env": env,
            "policy": SoftmaxTable(0.5 * rng.normal(size=(n_states, n_actions))),
            "lr": lr,
            "episodes": episodes,
            "gamma": gamma,
            "rng": Rng(int(rng.integers(2**31))),
            "keep_gamma_t": keep,
        }
        return Case(name, inputs, tags)

    one = np.ones(1)
    bandit = Env(np.ones((1, 2, 1)), np.array([[1.0, -2.0]]), np.ones((1, 2)), one, None, 7, 0.5)
    endless = "a time limit ends every episode"
    kept = "keep_gamma_t=True"
    return [
        case("one episode", 0.9, None),
        case("three episodes", 0.8, None, episodes=3),
        case("the weights γ^t asked for", 0.7, True, kept, episodes=2),
        case("the weights γ^t asked for, one episode", 0.9, True, kept),
        case("the weights γ^t declined", 0.7, False, episodes=2),
        case("episodes of one step", 0.9, None, episodes=3, env=bandit),
        case("a time limit", 0.9, None, endless, episodes=2, env=random_env(rng, 3, 2, limit=6)),
        case(
            "a time limit, γ^t kept", 0.5, True, endless, kept, env=random_env(rng, 4, 2, limit=5)
        ),
        case("γ = 1", 1.0, True, "γ = 1", kept, episodes=2, lr=0.03),
        case("γ = 0", 0.0, None, "γ = 0", episodes=2),
        case("a larger step", 0.9, None, episodes=2, lr=0.3),
    ]


def _rewards_so_far(rewards, gamma):
    """Returns of the rewards in the wrong order, as the recursion gives them that runs forwards."""
    return returns_to_go(rewards[::-1], gamma)[::-1].copy()


def _centred(g):
    return g - g.mean()


# From (rewards, γ) to what weighs the scores of an episode's steps.
_RETURNS: dict[str, Callable] = {
    "G_t": returns_to_go,
    "G_0": lambda r, gamma: np.full(len(r), returns_to_go(r, gamma)[0]),
    "sum of all": lambda r, gamma: np.full(len(r), sum(r)),
    "r_t": lambda r, gamma: np.asarray(r, float),
    "undiscounted": lambda r, gamma: returns_to_go(r, 1.0),
    "past": _rewards_so_far,
    "past, undiscounted": lambda r, gamma: np.cumsum(r),
    "past, in reverse": lambda r, gamma: returns_to_go(r[::-1], gamma),
    "from the end": lambda r, gamma: returns_to_go(r, gamma)[::-1].copy(),
    "from the start": lambda r, gamma: gamma ** np.arange(len(r)) * returns_to_go(r, gamma),
    "γ G_t": lambda r, gamma: gamma * returns_to_go(r, gamma),
}
_CENTRES: dict[str, Callable] = {
    "none": lambda g: g,
    "centred": _centred,
    "standardised": lambda g: _standardised_rows(g),
    "standardised, n − 1": lambda g: _standardised_rows(g, 1),
    "standardised from 2": lambda g: _standardised_rows(g, 1, 2),
}
# c_t, of (γ, t, keep_gamma_t).
_C: dict[str, Callable] = {
    "as asked": lambda gamma, t, keep: gamma**t if keep else np.ones(len(t)),
    "never": lambda gamma, t, keep: np.ones(len(t)),
    "always": lambda gamma, t, keep: gamma**t + 0.0 * t,
    "inverted": lambda gamma, t, keep: np.ones(len(t)) if keep else gamma**t + 0.0 * t,
    "from t + 1": lambda gamma, t, keep: gamma ** (t + 1) if keep else np.ones(len(t)),
    "backwards": lambda gamma, t, keep: gamma ** t[::-1] if keep else np.ones(len(t)),
}
_TOTALS: dict[str, Callable] = {
    "sum": lambda rewards, gamma: sum(rewards),
    "discounted": lambda rewards, gamma: returns_to_go(rewards, gamma)[0],
    "length": lambda rewards, gamma: len(rewards),
}


def _episode(env, policy, rng) -> tuple[list, list]:
    log_probs, rewards, ended = [], [], False
    obs, _ = env.reset()
    while not ended:
        action, log_prob = policy(obs, rng)
        obs, reward, terminated, truncated, _ = env.step(action)
        log_probs.append(log_prob)
        rewards.append(reward)
        ended = terminated or truncated
    return log_probs, rewards


@composable
def _learns(
    weigh: str = "G_t",
    centre: str = "none",
    c: str = "as asked",
    sign: float = 1.0,
    mean: bool = False,
    clear: bool = True,
    total: str = "sum",
    step: str = "each episode",
) -> Callable:
    """`reinforce` with one thing changed."""

    def reinforce(env, policy, optimizer, episodes, gamma, rng, keep_gamma_t=False):
        totals = []
        for _ in range(episodes):
            log_probs, rewards = _episode(env, policy, rng)
            t = np.arange(len(rewards))
            weights = _CENTRES[centre](_RETURNS[weigh](rewards, gamma))
            weights = _C[c](gamma, t, keep_gamma_t) * weights
            products = torch.stack(log_probs) * torch.as_tensor(weights, dtype=torch.float32)
            loss = -sign * (products.mean() if mean else products.sum())
            if clear:
                optimizer.zero_grad()
            loss.backward()
            if step == "each episode":
                optimizer.step()
            totals.append(_TOTALS[total](rewards, gamma))
        if step == "once":
            optimizer.step()
        return np.array(totals, dtype=float)

    return reinforce


def _several_backward(env, policy, optimizer, episodes, gamma, rng, keep_gamma_t=False):
    out = np.zeros(episodes)
    for k in range(episodes):
        obs, _ = env.reset()
        steps = []
        while True:
            action, log_prob = policy(obs, rng)
            obs, reward, terminated, truncated, _ = env.step(action)
            steps.append((log_prob, reward))
            out[k] += reward
            if terminated or truncated:
                break
        optimizer.zero_grad()
        for t, (log_prob, _) in enumerate(steps):
            g = sum(gamma**i * r for i, (_, r) in enumerate(steps[t:]))
            (-(gamma**t if keep_gamma_t else 1.0) * g * log_prob).backward(retain_graph=True)
        optimizer.step()
    return out


def _steps_at_every_t(env, policy, optimizer, episodes, gamma, rng, keep_gamma_t=False):
    totals = []
    for _ in range(episodes):
        log_probs, rewards = _episode(env, policy, rng)
        for t, g in enumerate(returns_to_go(rewards, gamma)):
            optimizer.zero_grad()
            (-(gamma**t if keep_gamma_t else 1.0) * g * log_probs[t]).backward()
            optimizer.step()
        totals.append(sum(rewards))
    return np.array(totals)


def _backwards_loop(env, policy, optimizer, episodes, gamma, rng, keep_gamma_t=False):
    """G by the recursion, from the end; T × mean for the sum."""
    totals = np.zeros(episodes)
    for k in range(episodes):
        log_probs, rewards = [], []
        obs, _ = env.reset()
        terminated = truncated = False
        while not terminated and not truncated:
            action, log_prob = policy(obs, rng)
            obs, reward, terminated, truncated, _ = env.step(action)
            log_probs.append(log_prob)
            rewards.append(reward)
        g, weights = 0.0, []
        for t in reversed(range(len(rewards))):
            g = rewards[t] + gamma * g
            weights.insert(0, g * (gamma**t if keep_gamma_t else 1))
        loss = len(rewards) * -(torch.stack(log_probs) * torch.tensor(weights)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        totals[k] = sum(rewards)
    return totals


reinforce = Exercise(
    "reinforce",
    reference=methods.reinforce,
    cases=_loop_cases,
    returns=array("any float"),
    points=4,
    equation="(10.28)",
    call="policy_learning",
    notes=("resets", "steps", "choices", "rng"),
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "first-return-for-all",
            "Every step is weighed with G_0, the return of the whole episode. An action cannot change "
            "what came before it: its weight is the return from there on.",
            "Which rewards does the sum in G_t begin with?",
            _learns("G_0"),
            _learns("sum of all"),
        ),
        Mistake(
            "rewards-for-returns",
            "Every step is weighed with its own reward. An action is credited with everything that "
            "*follows* it, which is what G_t adds up.",
            "What would an action get that pays nothing now and everything later?",
            _learns("r_t"),
        ),
        Mistake(
            "mean-over-steps",
            "You divide by the length of the episode. Then a step of a short episode weighs more than one of a "
            "long episode, and the mean over many episodes is no longer ∇J, (10.21).",
            "Two episodes, one of 2 steps and one of 200: does a step of the short one weigh as much as a step "
            "of the long one in (10.21)? And in your loss?",
            _learns(mean=True),
        ),
        Mistake(
            "sign",
            "The weights moved the opposite way: the optimiser goes *down* the loss, so the loss is "
            "minus what is to grow.",
            GIVEN_AWAY,
            _learns(sign=-1.0),
            _learns(sign=-1.0, mean=True),
        ),
        Mistake(
            "gradients-pile-up",
            "From the second episode on, the gradients of the earlier ones are still there: "
            "`backward()` adds to what it finds.",
            "Which call forgets old gradients, and when is it due?",
            _learns(clear=False),
            _learns(clear=False, mean=True),
        ),
        Mistake(
            "gamma-t-wrong",
            "The weights c_t are not right. They are γ^t, counted from t = 0, if `keep_gamma_t` is "
            "set, and 1 if it is not.",
            "What is c_0? And what does your function do when the argument is left out?",
            *(_learns(c=c) for c in ("inverted", "from t + 1", "backwards")),
        ),
        Mistake(
            "keep-gamma-t-ignored",
            "Your function does the same whether `keep_gamma_t` is set or not. If it is, each term of (10.28) has its "
            "weight c_t = γ^t; if it is not, c_t is 1.",
            "Where does your code ask for `keep_gamma_t`?",
            _learns(c="never"),
            _learns(c="always"),
        ),
        Mistake(
            "undiscounted",
            "Your returns do not discount: G_t weighs the reward k steps later with γ^k.",
            "Where does `gamma` enter your returns?",
            _learns("undiscounted"),
        ),
        Mistake(
            "past-rewards",
            "Your returns add up what came *before*: the sum runs the wrong way. G_t begins with the reward at t and "
            "goes on to the end.",
            "Which way does the recursion G_t = r_t + γ G_{t+1} run?",
            _learns("past"),
            _learns("past, undiscounted"),
            _learns("past, in reverse"),
        ),
        Mistake(
            "baseline-subtracted",
            "You centre or standardise the returns of the episode. (10.28) takes them as they are. (The "
            "mean of one episode's returns knows the actions: as a baseline it is not even free.)",
            "Leave the returns unchanged.",
            *(_learns(centre=centre) for centre in _CENTRES if centre != "none"),
        ),
        Mistake(
            "discounted-totals",
            "The weights are right, but what you return is discounted. The learning curve shows what "
            "was collected: the plain sum of an episode's rewards.",
            "Look at the last line of the docstring.",
            _learns(total="discounted"),
        ),
        Mistake(
            "lengths-returned",
            "The weights are right, but what you return are the numbers of steps: the learning curve shows the sum of "
            "an episode's rewards.",
            "Look at the last line of the docstring.",
            _learns(total="length"),
        ),
        Mistake(
            "returns-in-reverse",
            "Your returns stand in the wrong order: the last step is weighed with G_0, and the first with the last reward "
            "alone.",
            "The recursion starts at the end. In which order does your list hold what it gives?",
            _learns("from the end"),
        ),
        Mistake(
            "reward-discounted",
            "Your G_t is γ times too small: r_t, the reward of the very step, counts whole.",
            "In G_t, what is r_t multiplied with?",
            _learns("γ G_t"),
        ),
        Mistake(
            "discounted-from-the-start",
            "Your G_t weighs a reward by the time since the episode *began*. The reward k steps after t counts γ^k, "
            "whatever t is.",
            "In G_3, what is r_3 multiplied with?",
            _learns("from the start"),
        ),
        Mistake(
            "step-at-every-t",
            "The optimiser steps at every t. Then the later scores are those of weights that never acted; here all "
            "of an episode's terms belong to one step, (10.28).",
            "Where does `step()` stand: inside the loop over t, or behind it?",
            _steps_at_every_t,
        ),
        Mistake(
            "never-steps",
            "The weights stay where they are.",
            "Is the optimiser's `step()` called, and does it find gradients when it is?",
            _learns(step="never"),
        ),
        Mistake(
            "one-step-in-all",
            "The optimiser steps once, after the last episode. Each episode is to be played by the weights that the one "
            "before it has left: one step an episode.",
            "Where does `step()` stand: inside the loop over episodes, or behind it?",
            _learns(step="once"),
            _learns(step="once", clear=False),
        ),
    ],
    also_correct=[_learns(), _several_backward, _backwards_loop],
)


def _standardised_rows(g: np.ndarray, ddof: int = 0, from_length: int = 1) -> np.ndarray:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (g - g.mean()) / (g.std(ddof=ddof) + 1e-8) if len(g) >= from_length else g


LESSON = Lesson(
    "10",
    "The policy gradient",
    [
        softmax_policy,
        grad_log_softmax,
        exact_policy_gradient,
        reinforce_loss,
        optimal_baseline,
        baseline_loss,
        reinforce,
    ],
    torch=True,
)
