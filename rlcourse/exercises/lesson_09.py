"""Lesson 09: Overestimation and prioritised replay."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.nn.functional import huber_loss, one_hot, smooth_l1_loss

from rlcourse.checker.comparing import describe, difference, same
from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    anything,
    composable,
    number,
    several,
    tensor,
)
from rlcourse.checker.harness import Case
from rlcourse.checker.material import attached_too
from rlcourse.checker.networks import ATOL, RTOL
from rlcourse.checker.networks import tensor as recipe
from rlcourse.exercises.network_targets import (
    NOT_REDUCED,
    REDUCTIONS,
    networks_and_batch,
    target_mistakes,
    td_target,
)
from rlcourse.exercises.targets import but_for_the_refusal, told_of_refusal
from rlcourse.values import double_dqn, ensembles, prioritised

TERMINAL = (
    "You bootstrap from a state that ended the episode. After a terminal state nothing is left to come: its value "
    "is 0, whatever the networks say there.",
    "What does 1 − d multiply in the equation, and is it there in your code?",
)
NO_GAMMA = (
    "The next state's value enters your target undiscounted. It lies one step ahead: it is worth γ of itself.",
    "Where is `gamma` used in your code?",
)


def _flags(rng: np.random.Generator, n: int, ended: bool | None) -> np.ndarray:
    flags = rng.random(n) < 0.4 if ended is None else np.full(n, ended)
    if ended is None and n > 1:
        flags[rng.permutation(n)[:2]] = False, True
    return flags


# ----------------------------------------------------------------------------- double_dqn_target


def _double_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, n_actions, gamma, *tags, shift=0.0, ended=None, ties=False) -> Case:
        online, target = rng.normal(size=(2, n, n_actions)) * 2 + shift
        if ties:
            online = np.round(online / 2)
        flags = _flags(rng, n, ended)
        # What a network says of a terminal state is anybody's guess.
        target[flags] += 40 * rng.choice([-1.0, 1.0])
        inputs = {
            "reward": recipe(rng.normal(size=n) * 2),
            "q_next_online": recipe(online),
            "q_next_target": recipe(target),
            "terminated": recipe(flags.astype(np.float64)),
            "gamma": gamma,
        }
        return Case(name, inputs, tags)

    return [
        case("a batch of twelve", 12, 4, 0.97),
        case("γ = ½", 9, 3, 0.5),
        case("as many rows as actions", 4, 4, 0.9, "B = A"),
        case("values all negative", 8, 3, 0.95, "negative values", shift=-20.0),
        case("two actions tie", 14, 5, 0.9, "ties", ties=True),
        case("one action", 5, 1, 0.9, "A = 1"),
        case("one transition", 1, 6, 0.9, "B = 1", ended=False),
        case("one transition, terminal", 1, 3, 0.9, "B = 1", ended=True),
        case("γ = 0", 5, 3, 0.0, "γ = 0"),
        case("γ = 1, and nothing terminates", 7, 3, 1.0, "γ = 1", ended=False),
    ]


_rows = torch.arange
# What is made of the two networks' values: (B,).
_JUDGED: dict[str, Callable] = {
    "online chooses": lambda o, t: t[_rows(len(t)), o.argmax(dim=1)],
    "target chooses": lambda o, t: o[_rows(len(o)), t.argmax(dim=1)],
    "target alone": lambda o, t: t.amax(dim=1),
    "online alone": lambda o, t: o.amax(dim=1),
    "smaller maximum": lambda o, t: torch.minimum(o.amax(dim=1), t.amax(dim=1)),
    "maximum of the smaller": lambda o, t: torch.minimum(o, t).amax(dim=1),
    "mean of both": lambda o, t: (o.amax(dim=1) + t.amax(dim=1)) / 2,
    "maximum of the mean": lambda o, t: ((o + t) / 2).amax(dim=1),
    "best of the batch": lambda o, t: t[_rows(len(t)), o.mean(dim=0).argmax()],
    "every row": lambda o, t: t[:, o.argmax(dim=1)],
    "index": lambda o, t: o.argmax(dim=1),
    "column": lambda o, t: t.gather(1, o.argmax(dim=1, keepdim=True)),
}


@composable
def _double(judged: str = "online chooses", mask: str = "next", discount: str = "next") -> Callable:
    """The target with its parts exchangeable; mask, discount: as in `td_target`."""

    def double_dqn_target(reward, q_next_online, q_next_target, terminated, gamma):
        value = _JUDGED[judged](q_next_online, q_next_target)
        return td_target(reward, value, terminated, gamma, mask, discount)

    return double_dqn_target


def _double_by_loop(reward, q_next_online, q_next_target, terminated, gamma):
    y = reward.clone()
    for b in range(len(reward)):
        if not terminated[b]:
            best = max(range(q_next_online.shape[1]), key=lambda a: q_next_online[b, a].item())
            y[b] += gamma * q_next_target[b, best]
    return y


double_dqn_target = Exercise(
    "double_dqn_target",
    reference=double_dqn.double_dqn_target,
    cases=_double_cases,
    returns=tensor(),
    points=1,
    equation="(9.3)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "roles-swapped",
            "The slow copy chooses and the online network judges. It is the other way round: the network being trained "
            "chooses, the other one judges.",
            "Whose arg max stands inside (9.3), and whose value outside?",
            _double("target chooses"),
        ),
        Mistake(
            "plain-dqn",
            "The slow copy chooses *and* judges: that is the target of DQN. The same noise picks the action and prices "
            "it.",
            "Which argument have you not used?",
            _double("target alone"),
        ),
        Mistake(
            "online-only",
            "The online network chooses and judges: there is no second opinion, and the target moves with every step.",
            "Which argument have you not used?",
            _double("online alone"),
        ),
        Mistake(
            "smaller-maximum",
            "You take the smaller of the two maxima. Each network still picks its own luckiest action; in (9.3) one of "
            "them picks, and it is not asked for a value.",
            "How many actions does your target look at in each row? There is one.",
            _double("smaller maximum"),
        ),
        Mistake(
            "elementwise-minimum",
            "You take the smaller value of every action first, and the best of these. That is the rule of an ensemble, "
            "which comes next; here one network chooses and the other one judges.",
            "Where is the arg max in your code?",
            _double("maximum of the smaller"),
        ),
        Mistake(
            "mean-of-both",
            "You take a mean of the two networks. In (9.3) one chooses, and only the other one's value counts.",
            "Where is the arg max in your code?",
            _double("mean of both"),
            _double("maximum of the mean"),
        ),
        Mistake(
            "action-for-value",
            "Your target holds *which* action was chosen, as if that were its value. It is a place to look up.",
            "What do you do with the index that `argmax` returns?",
            _double("index"),
        ),
        Mistake(
            "b-by-b",
            "Broadcasting paired every row with every other: you have B × B numbers. Look at the shapes.",
            "Print the shape of the chosen values, of `reward` and of their sum. All should be (B,).",
            _double("column"),
            _double("every row"),
        ),
        *target_mistakes(_double, TERMINAL, NO_GAMMA),
    ],
    also_correct=[
        _double(),
        lambda r, o, t, d, g: r + g * (1 - d) * t.gather(1, o.argmax(1, keepdim=True)).squeeze(1),
        lambda r, o, t, d, g: r + g * (1 - d) * (t * one_hot(o.argmax(1), t.shape[1])).sum(1),
        lambda r, o, t, d, g: torch.where(d.bool(), r, r + g * t[range(len(t)), o.max(1).indices]),
        _double_by_loop,
    ],
)

# ------------------------------------------------------------------------------- ensemble_target


def _ensemble_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, size, n, n_actions, mode, *tags, gamma=0.9, subset=None, shift=0.0, ended=None) -> Case:  # fmt: skip
        q = rng.normal(size=(size, n, n_actions)) * 2 + shift
        flags = _flags(rng, n, ended)
        q[:, flags] += 40 * rng.choice([-1.0, 1.0])
        inputs = {
            "q_next_ensemble": recipe(q),
            "mode": mode,
            "reward": recipe(rng.normal(size=n) * 2),
            "terminated": recipe(flags.astype(np.float64)),
            "gamma": gamma,
            "subset": None if subset is None else recipe(np.array(subset)),
        }
        return Case(name, inputs, (mode, *tags))

    one, other = (int(i) for i in rng.permutation(5)[:2])
    return [
        case("the smallest of three", 3, 8, 4, "min"),
        case("the mean of three", 3, 8, 4, "mean", gamma=0.95),
        case("two members of five", 5, 8, 4, "subset", gamma=0.5, subset=[one, other]),
        case("one member of four", 4, 6, 3, "subset", subset=[int(rng.integers(1, 4))]),
        case("three members of four, in another order", 4, 7, 3, "subset", subset=[3, 0, 2]),
        case("as many members as rows and as actions", 3, 3, 3, "min", "E = B = A"),
        case("the same for the mean", 3, 3, 3, "mean", "E = B = A", gamma=1.0),
        case("the same for a subset", 4, 4, 4, "subset", "E = B = A", subset=[2, 1]),
        case("one member", 1, 6, 4, "min", "E = 1"),
        case("one row, values all negative", 3, 1, 4, "min", "B = 1", shift=-20.0, ended=False),
        case("the mean for one row", 2, 1, 5, "mean", "B = 1", ended=False),
        case("one action", 4, 6, 1, "min", "A = 1"),
        case("all rows terminate", 3, 5, 3, "mean", ended=True),
        case("γ = 0", 3, 5, 3, "min", "γ = 0", gamma=0.0),
        case("two members, nothing terminates", 2, 6, 3, "mean", gamma=0.98, ended=False),
    ]


# (members that vote: (E, B, A), mode) -> (B,): what is worth most in s′.
_VOTES: dict[str, Callable] = {
    "first over the ensemble": lambda q, fold: fold(q, 0).amax(dim=1),
    "first over the actions": lambda q, fold: fold(q.amax(dim=2), 0),
    "over the batch": lambda q, fold: fold(q, 1).amax(dim=0),
    "over the actions": lambda q, fold: fold(q, 2).amax(dim=0),
    "no maximum": lambda q, fold: fold(q, 0).mean(dim=1),
    "smallest action": lambda q, fold: fold(q, 0).amin(dim=1),
}
_FOLDS: dict[str, Callable] = {
    "min": lambda q, dim: q.amin(dim=dim),
    "mean": lambda q, dim: q.mean(dim=dim),
    "max": lambda q, dim: q.amax(dim=dim),
    "sum": lambda q, dim: q.sum(dim=dim),
    "median": lambda q, dim: q.median(dim=dim).values,
    "first": lambda q, dim: q.select(dim, 0),
}
_RIGHT_FOLDS = {"min": "min", "mean": "mean", "subset": "min"}


def _folds(**changes: str) -> tuple[tuple[str, str], ...]:
    return tuple((_RIGHT_FOLDS | changes).items())


@composable
def _ensemble(
    vote: str = "first over the ensemble",
    folds: tuple[tuple[str, str], ...] = _folds(),
    voters: str = "subset",
    mask: str = "next",
    discount: str = "next",
    refuses: bool = True,
) -> Callable:
    """The target with its parts exchangeable; voters: "subset", "all" or "as many" (the first ones)."""

    def ensemble_target(q_next_ensemble, mode, reward, terminated, gamma, subset=None):
        if mode not in dict(folds):
            if refuses:
                raise ValueError(mode)
            mode = "min"
        q = q_next_ensemble
        if mode == "subset" and voters != "all":
            q = q[subset] if voters == "subset" else q[: len(subset)]
        value = _VOTES[vote](q, _FOLDS[dict(folds)[mode]])
        return td_target(reward, value, terminated, gamma, mask, discount)

    return ensemble_target


def _ensemble_by_loop(q, mode, reward, terminated, gamma, subset=None):
    if mode not in ("min", "mean", "subset"):
        raise ValueError(f"unknown mode {mode}")
    members = [q[int(e)] for e in (subset if mode == "subset" else range(len(q)))]
    together = members[0]
    for one in members[1:]:
        together = together + one if mode == "mean" else torch.minimum(together, one)
    together = together / len(members) if mode == "mean" else together
    return torch.where(terminated == 1, reward, reward + gamma * together.max(dim=1).values)


def _ensemble_by_where(q, mode, reward, terminated, gamma, subset=None):
    if mode == "subset":
        q, mode = torch.index_select(q, 0, subset), "min"
    if mode == "min":
        low = q[0]
        for e in range(1, q.size(0)):
            low = torch.where(q[e] < low, q[e], low)
    elif mode == "mean":
        low = torch.einsum("eba->ba", q) / q.size(0)
    else:
        raise ValueError
    return reward + gamma * (1 - terminated) * low.gather(1, low.argmax(1, True))[:, 0]


_close = partial(same, rtol=RTOL, atol=ATOL)


def _told_of_modes(case: Case, answer: dict, right: dict) -> str:
    if _close(answer["value"], right["value"]):
        return told_of_refusal("The three modes are right", "mode", answer)
    return difference(ensemble_target, case, answer, right)


ensemble_target = Exercise(
    "ensemble_target",
    reference=ensembles.ensemble_target,
    cases=_ensemble_cases,
    returns=tensor(),
    points=2,
    equation="(9.4)",
    call="refusing",
    rtol=RTOL,
    atol=ATOL,
    alike=but_for_the_refusal(_close),
    tells=_told_of_modes,
    mistakes=[
        Mistake(
            "max-over-ensemble",
            "You take the *largest* of the critics where the smallest is asked for. That makes the bias larger.",
            'Which member does mode "min" believe?',
            _ensemble(folds=_folds(min="max", subset="max")),
            _ensemble(folds=_folds(min="max")),
            _ensemble(folds=_folds(subset="max")),
            _ensemble(folds=_folds(min="max", mean="max", subset="max")),
        ),
        Mistake(
            "max-first",
            "Your maximum over the actions comes before the ensemble is put together. Then each critic picks its own "
            "best action; that is never smaller than the other order.",
            "What is the shape of your numbers when you take the maximum? It should be (B, A).",
            _ensemble("first over the actions"),
        ),
        Mistake(
            "subset-ignored",
            'In mode "subset" you ask all members. Only the members in `subset` vote.',
            "Where does `subset` enter your code?",
            _ensemble(voters="all"),
        ),
        Mistake(
            "subset-is-a-number",
            "You ask as many members as `subset` has, but the first ones. It holds *which* members vote: their indices.",
            "What would a subset [2, 0] mean?",
            _ensemble(voters="as many"),
        ),
        Mistake(
            "mean-over-subset",
            "You average the members of the subset. REDQ takes the smallest of its subset.",
            'What is the bar over Q in (9.4) for mode "subset"?',
            _ensemble(folds=_folds(subset="mean")),
        ),
        Mistake(
            "min-for-mean",
            'In mode "mean" you take the smallest of the members. It asks for their mean.',
            'What is the bar over Q in (9.4) for mode "mean"?',
            _ensemble(folds=_folds(mean="min")),
        ),
        Mistake(
            "sum-for-mean",
            'In mode "mean" you add the members up. Each of them estimates the whole value: their sum is E times as '
            "large.",
            "If all members said 10, what should come out?",
            _ensemble(folds=_folds(mean="sum")),
        ),
        Mistake(
            "no-maximum",
            "You do not take the best action of the ensemble's values, but their mean or the worst. The maximum over the "
            "actions is still there in (9.4).",
            "What would your function make of an ensemble of one member?",
            _ensemble("no maximum"),
            _ensemble("smallest action"),
        ),
        Mistake(
            "wrong-axis",
            "You fold the batch or the actions where the ensemble should be folded. The ensemble is axis 0.",
            "Which of the three axes is to be gone after the first step, and which after the second?",
            _ensemble("over the batch"),
            _ensemble("over the actions"),
        ),
        *target_mistakes(_ensemble, TERMINAL, NO_GAMMA),
        Mistake(
            "any-mode",
            "The three modes are right, but another one is taken for one of them. A name that is spelt wrongly would "
            "train for hours as something else: raise ValueError.",
            'What does your function do with mode "median"?',
            _ensemble(refuses=False),
        ),
    ],
    also_correct=[_ensemble(), _ensemble_by_loop, _ensemble_by_where],
)

# ---------------------------------------------------------------------------------- maxmin_bias


def _bias_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, width, n_actions, n_critics, *tags) -> Case:
        inputs = {"width": width, "n_actions": n_actions, "n_critics": n_critics}
        return Case(name, inputs, tags)

    def drawn() -> float:
        return float(rng.uniform(0.3, 3.0))

    m, n = int(rng.integers(6, 10)), int(rng.integers(3, 5))
    return [
        case("several actions, two critics", drawn(), m, 2),
        case("two actions, several critics", drawn(), 2, n, "negative"),
        case("as many critics as actions", drawn(), 4, 4),
        case("one critic", drawn(), m, 1, "N = 1"),
        case("one critic, two actions", 1.0, 2, 1, "N = 1"),
        case("one action", drawn(), 1, n, "M = 1", "negative"),
        case("one action, one critic", drawn(), 1, 1, "M = 1", "N = 1"),
        case("many actions", drawn(), 60, n),
        case("many critics", drawn(), m, 25, "negative"),
        case("a whole number for the width", 3, 5, 2),
        case("errors in the hundreds", 100 * drawn(), 12, 3),
        case("no error at all", 0.0, m, n, "width 0"),
    ]


def _product(m: int, n: int) -> float:
    return math.prod(i / (i + 1 / n) for i in range(1, m + 1))


def _exact(m: int, n: int) -> float:
    return 1 - 2 * _product(m, n)


# (M, N) -> the bias for errors uniform in (−1, 1).
_BIASES: dict[str, Callable] = {
    "right": _exact,
    "max first": lambda m, n: -_exact(n, m),
    "exchanged": lambda m, n: _exact(n, m),
    "one critic": lambda m, n: (m - 1) / (m + 1),
    "one action": lambda m, n: -(n - 1) / (n + 1),
    "not centred": lambda m, n: 1 - _product(m, n),
    "t": lambda m, n: _product(m, n),
    "largest of all": lambda m, n: (m * n - 1) / (m * n + 1),
    "smallest of all": lambda m, n: -(m * n - 1) / (m * n + 1),
    "added": lambda m, n: (m - 1) / (m + 1) - (n - 1) / (n + 1),
    "divided by n": lambda m, n: (m - 1) / (m + 1) / n,
    "averaged": lambda m, n: (m - 1) / (m + 1) / math.sqrt(n),
    "never negative": lambda m, n: max(0.0, _exact(m, n)),
    "absolute": lambda m, n: abs(_exact(m, n)),
    "a factor less": lambda m, n: 1 - 2 * _product(m - 1, n),
    "a factor more": lambda m, n: 1 - 2 * _product(m + 1, n),
}


@composable
def _bias(which: str = "right", scale: float = 1.0) -> Callable:
    """The bias with its parts exchangeable."""

    def maxmin_bias(width, n_actions, n_critics):
        return scale * width * _BIASES[which](n_actions, n_critics)

    return maxmin_bias


def _simulated(width, n_actions, n_critics):
    errors = np.random.default_rng(0).uniform(-width, width, size=(2_000, n_critics, n_actions))
    return float(errors.min(axis=1).max(axis=1).mean())


def _looks_drawn(cases, outcomes) -> bool:
    """Near the truth in every case, and at it in none where there is noise at all."""
    off = 0
    for case, outcome in zip(cases, outcomes, strict=True):
        width, m, n = case.inputs.values()
        if type(outcome.value) not in (int, float) or not math.isfinite(outcome.value):
            return False
        distance = abs(outcome.value - width * _exact(m, n))
        if distance > 0.06 * width:
            return False
        off += distance > 1e-8 * width
    return off >= len(cases) - 1


def _by_quadrature(width, n_actions, n_critics):
    # x = u^N has a bend at 0 that is none in s = u^(N·M)-free form: integrate 1 − 2(1 − u^N)^M as it stands.
    node, weight = np.polynomial.legendre.leggauss(300)
    u = (node + 1) / 2
    return float(width * (1 - (weight * (1 - u**n_critics) ** n_actions).sum()))


def _by_fractions(width, n_actions, n_critics):
    from fractions import Fraction

    t = sum(
        Fraction((-1) ** k * math.comb(n_actions, k), k * n_critics + 1)
        for k in range(n_actions + 1)
    )
    return width * float(1 - 2 * t)


def _by_gamma(width, n_actions, n_critics):
    log_t = math.lgamma(1 + 1 / n_critics) + math.lgamma(n_actions + 1)
    return width * (1 - 2 * math.exp(log_t - math.lgamma(n_actions + 1 + 1 / n_critics)))


def _by_recursion(width, n_actions, n_critics):
    def t(m):
        return 1.0 if m == 0 else t(m - 1) * n_critics * m / (n_critics * m + 1)

    return width - 2 * width * t(n_actions)


maxmin_bias = Exercise(
    "maxmin_bias",
    reference=ensembles.maxmin_bias,
    cases=_bias_cases,
    returns=number(),
    points=2,
    equation="(9.5)",
    mistakes=[
        Mistake(
            "max-first",
            "This is the bias of the smallest of the critics' maxima. First over the critics, then over the actions, as "
            "in `ensemble_target`.",
            "What is the smallest of N errors of *one* action, and how is it spread? Begin there.",
            _bias("max first"),
        ),
        Mistake(
            "exchanged",
            "You have M where N belongs, and N where M does. The minimum over the N critics is inside.",
            "Which number of yours should come out for one critic? And for one action?",
            _bias("exchanged"),
        ),
        Mistake(
            "one-critic",
            "The number of critics does not enter: this is the bias of one critic's maximum, that of lesson 05.",
            "Where does the smallest of N come in?",
            _bias("one critic"),
        ),
        Mistake(
            "one-action",
            "The number of actions does not enter: this is how far the smallest of N critics lies below the truth, for "
            "one action.",
            "Where does the largest of M come in?",
            _bias("one action"),
        ),
        Mistake(
            "not-centred",
            "Your answer is that for errors between 0 and `width`. They lie on both sides of 0.",
            "What should come out for one action and one critic?",
            _bias("not centred"),
            _bias("t"),
            _bias("not centred", scale=2.0),
        ),
        Mistake(
            "half-width",
            "Your answer is half as large as it should be, or twice. (−width, width) is 2·width long, and 0 is its "
            "middle.",
            "One critic and very many actions: how large is the largest error nearly?",
            _bias(scale=0.5),
            _bias(scale=2.0),
        ),
        Mistake(
            "sign",
            "The sign is turned round: how far the *truth* lies above the estimate.",
            "Lesson 05: on which side of the truth is the maximum of one critic's estimates?",
            _bias(scale=-1.0),
        ),
        Mistake(
            "all-of-them",
            "You take one extreme of all M·N errors. There is a minimum for each action, and then a maximum of these.",
            "Write the errors as a table, a column an action. What is taken from a column, and what from the row that "
            "is left?",
            _bias("largest of all"),
            _bias("smallest of all"),
        ),
        Mistake(
            "adds-the-biases",
            "You add the maximum's bias and the minimum's. The minimum is no longer uniform when the maximum is taken.",
            "How is the smallest of N uniform errors spread? Is it uniform?",
            _bias("added"),
        ),
        Mistake(
            "averaged",
            "You divide the bias of one critic by N or by its root. That would be a *mean* of critics, and only roughly.",
            "What does a minimum do to one action's errors that a mean does not?",
            _bias("averaged"),
            _bias("divided by n"),
        ),
        Mistake(
            "never-negative",
            "Your bias is cut off at 0, or has lost its sign. Too many critics do push it below 0.",
            "One action, two critics: on which side of the truth is the smaller one on average?",
            _bias("never negative"),
            _bias("absolute"),
        ),
        Mistake(
            "simulated",
            "Your numbers are near the right ones and never at them: drawn at random, or from a rule of thumb. Derive it: "
            "the answer is exact.",
            "With which probability does the smallest of N errors exceed x? Begin with that.",
            _simulated,
            shows=_looks_drawn,
        ),
        Mistake(
            "off-by-one",
            "There is one factor too few, or too many: M counts all the actions.",
            "M = 1 and N = 1 must give 0. What does your formula say?",
            _bias("a factor less"),
            _bias("a factor more"),
        ),
    ],
    also_correct=[_bias(), _by_gamma, _by_quadrature, _by_fractions, _by_recursion],
)

# -------------------------------------------------------------------------------------- SumTree


def _tree_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, capacity, *tags, rounds=3, sets=None, exact=True, zeros=0.3) -> Case:
        """exact: priorities in quarters, so that a mass can lie on a border and no sum is rounded."""
        steps: list[tuple] = [("total",)]
        p = np.zeros(capacity)
        sets = sets or capacity
        for _ in range(rounds):
            for i in rng.permutation(capacity)[:sets]:
                value = float(rng.integers(1, 20)) / 4 if exact else float(rng.uniform(0.05, 3))
                p[i] = 0.0 if rng.random() < zeros else value
                steps.append(("set", int(i), float(p[i])))
            if not p.any():
                p[0] = 1.0
                steps.append(("set", 0, 1.0))
            steps.append(("total",))
            upper = np.cumsum(p)
            total = float(upper[-1])
            borders = np.unique(np.concatenate([[0.0], upper]))
            middles = (borders[1:] + borders[:-1]) / 2
            masses = np.concatenate([borders[:-1], middles]) if exact else middles
            masses = masses[masses < total]
            chosen = rng.permutation(len(masses))[:24]
            steps += [("find", float(masses[i])) for i in chosen]
            if exact:
                steps.append(("find", 0.0))
        return Case(name, {"capacity": capacity, "steps": steps}, tags)

    odd, again = "a capacity that is no power of two", "priorities set again"
    return [
        case("four leaves, each set once", 4, rounds=1, zeros=0.0),
        case("eight leaves, set again and again", 8, again, rounds=4),
        case("real numbers", 16, again, exact=False, zeros=0.0),
        case("three leaves", 3, odd, rounds=1, zeros=0.0),
        case("five leaves", 5, odd, again),
        case("six leaves", 6, odd, again, rounds=4),
        case("thirteen leaves, most of them 0", 13, odd, again, zeros=0.7),
        case("one leaf", 1, "one leaf", again, rounds=4),
        case("two leaves", 2, again, rounds=4),
        case("a memory that is not full yet", 11, odd, sets=4),
        case("two hundred leaves", 200, odd, again, rounds=2, exact=False),
    ]


@composable
def _tree(
    *,
    writes: str = "replaces",
    climbs: str = "all",
    right_at: str = ">=",
    reduces: bool = True,
    layout: str = "padded",
    gives: str = "leaf",
    totals: str = "root",
) -> type:
    """A tree in one list, with its parts exchangeable. layout "packed": leaf i at node capacity − 1 + i."""

    class SumTree:
        def __init__(self, capacity):
            self.n = capacity
            self.first = 1 << (capacity - 1).bit_length() if layout == "padded" else capacity
            self.sums = [0.0] * (2 * self.first)

        def set(self, index, priority):
            node = index + self.first
            change = priority - self.sums[node]
            if writes == "adds":
                change = priority
            above = priority if writes == "adds above" else change
            self.sums[node] += change
            while node > 1:
                node //= 2
                self.sums[node] += above
                if climbs == "parent":
                    break
            if climbs == "none":
                self.sums[node] -= above

        def total(self):
            if totals == "largest":
                return max(self.sums[self.first :])
            if totals == "mean":
                return self.sums[1] / self.n
            return self.sums[1] if self.first > 1 else self.sums[self.first]

        def find(self, mass):
            node = 1
            while node < self.first:
                node *= 2
                left = self.sums[node]
                if mass > left or (right_at == ">=" and mass == left):
                    mass -= left if reduces else 0.0
                    node += 1
                if node >= len(self.sums):
                    break
            if gives == "priority":
                return self.sums[node]
            return node if gives == "node" else node - self.first

    return SumTree


def _packed(**parts) -> type:
    """The tree of many a web page: node 0 is the root, leaf i is node capacity − 1 + i, whatever the capacity."""
    subtracts = parts.get("gives", "leaf") == "leaf"

    class SumTree:
        def __init__(self, capacity):
            self.capacity, self.tree = capacity, np.zeros(2 * capacity - 1)

        def set(self, index, priority):
            node = index + self.capacity - 1
            change = priority - self.tree[node]
            self.tree[node] = priority
            while node:
                node = (node - 1) // 2
                self.tree[node] += change

        def total(self):
            return self.tree[0]

        def find(self, mass):
            node = 0
            while 2 * node + 1 < len(self.tree):
                node = 2 * node + 1
                if mass >= self.tree[node]:
                    mass -= self.tree[node]
                    node += 1
            return node - self.capacity + 1 if subtracts else node

    return SumTree


class _Levels:
    """Right: a list of levels, leaves first; a level of odd length gets a 0."""

    def __init__(self, capacity):
        self.levels = [[0.0] * capacity]
        while len(self.levels[-1]) > 1:
            if len(self.levels[-1]) % 2:
                self.levels[-1].append(0.0)
            self.levels.append([0.0] * (len(self.levels[-1]) // 2))

    def set(self, index, priority):
        self.levels[0][index] = priority
        for below, level in zip(self.levels, self.levels[1:], strict=False):
            index //= 2
            level[index] = below[2 * index] + below[2 * index + 1]

    def total(self):
        return self.levels[-1][0]

    def find(self, mass):
        i = 0
        for level in reversed(self.levels[:-1]):
            i *= 2
            if mass >= level[i]:
                mass -= level[i]
                i += 1
        return i


class _Flat:
    """Right: no tree at all."""

    def __init__(self, capacity):
        self.p = np.zeros(capacity)

    def set(self, index, priority):
        self.p[index] = priority

    def total(self):
        return self.p.sum()

    def find(self, mass):
        return np.searchsorted(np.cumsum(self.p), mass, side="right")


def _same_told(case: Case, value, reference) -> bool:
    return all(_as_asked(*pair) == "" for pair in _pairs(case, value, reference))


def _pairs(case: Case, value, reference):
    asked = [step for step in case.inputs["steps"] if step[0] != "set"]
    return list(zip(asked, value["told"], reference["told"], strict=True))


def _as_asked(step: tuple, mine, right) -> str:
    """What is wrong with the answer to one question; "" if nothing."""
    if step[0] == "find":
        if type(mine) is not int:
            return f"`find` should return the index of a leaf, an int; yours is {describe(mine)}."
        return "" if mine == right else "wrong leaf"
    single = mine.item() if isinstance(mine, np.ndarray) and mine.shape == () else mine
    if type(single) not in (int, float):
        return f"`total` should return one number; yours is {describe(mine)}."
    return "" if math.isclose(single, right, rel_tol=1e-9, abs_tol=1e-9) else "wrong total"


def _told_of_tree(case: Case, answer, right) -> str:
    capacity = case.inputs["capacity"]
    wrong = [
        (step, mine, good, problem)
        for step, mine, good in _pairs(case, answer, right)
        if (problem := _as_asked(step, mine, good))
    ]
    step, mine, good, problem = wrong[0]
    if problem not in ("wrong leaf", "wrong total"):
        return problem
    if problem == "wrong total":
        return "`total` is not the sum of the priorities that the leaves have now."
    if not any(each[3] == "wrong total" for each in wrong) and not 0 <= mine < capacity:
        return f"`total` is right, but `find` returns {mine}, where the leaves are 0 to {capacity - 1}."
    side = "on the left of" if mine < good else "beyond"
    zero = (
        " For a mass of 0 that is the first leaf whose priority is not 0." if step[1] == 0 else ""
    )
    return f"`find` returns a leaf {side} the one in whose piece the mass lies.{zero}"


SumTree = Exercise(
    "SumTree",
    reference=prioritised.SumTree,
    cases=_tree_cases,
    returns=anything(),
    points=3,
    equation="(9.7)",
    call="summing",
    agrees=_same_told,
    alike=lambda case, answer, mistake: same(answer, mistake),
    tells=_told_of_tree,
    mistakes=[
        Mistake(
            "adds",
            "`set` adds where it should replace: to the old priority of the leaf, or the whole priority, not its "
            "change, to the nodes above. `total` must equal the sum of the leaves.",
            "Set the same leaf to 1 twice. What is the total?",
            _tree(writes="adds"),
            _tree(writes="adds above"),
        ),
        Mistake(
            "mass-not-reduced",
            "When your search turns right, it goes on with the mass it came with. On the right, counting starts at 0 "
            "again: what lies on the left has been passed.",
            "Four leaves of 1 each: follow a mass of 3.5 down the tree by hand.",
            _tree(reduces=False),
            _tree(reduces=False, right_at=">"),
        ),
        Mistake(
            "border-left",
            "A mass that equals the left sum goes left in your tree. A border belongs to the next leaf: mass 0 must not "
            "find a leaf of priority 0.",
            "The left child holds 0. Where should a mass of 0 go?",
            _tree(right_at=">"),
        ),
        Mistake(
            "leaves-out-of-order",
            "The leaves of your tree do not lie in order where the capacity is no power of two: they end on two levels, "
            "and the search meets the lower ones first. Every leaf is found as often as it should be, but not at its "
            "mass. Pad to a power of two.",
            "Draw your tree for three leaves. Which leaf is the leftmost one?",
            _packed(),
            _tree(layout="packed"),
        ),
        Mistake(
            "node-number",
            "Your search returns the number of a *node* of the tree. Leaves are counted from 0: subtract where they "
            "begin.",
            "What does your tree find when only leaf 0 has a priority?",
            _tree(gives="node"),
            _packed(gives="node"),
            _tree(gives="node", layout="packed"),
        ),
        Mistake(
            "parent-only",
            "The change does not reach the root: it stops one level up, or in the leaf. Every node above a leaf holds "
            "its priority.",
            "How many nodes change when one leaf of eight does?",
            _tree(climbs="parent"),
        ),
        Mistake(
            "priority-for-index",
            "`find` returns the priority of the leaf that it found. Asked for is which leaf: its index.",
            "What will the memory do with what `find` returns?",
            _tree(gives="priority"),
        ),
        Mistake(
            "not-the-sum",
            "`total` is the largest of the priorities, or their mean. It should be their sum.",
            "Two leaves of 1 each: what is the total?",
            _tree(totals="largest"),
            _tree(totals="mean"),
        ),
    ],
    also_correct=[_tree(), _Levels, _Flat],
)

# ----------------------------------------------------------------------------------- prioritise


def _priority_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, batch, *tags, exponent=0.6, eps=0.05, beta=0.4, zeros=0, scale=1.0, drawn=None) -> Case:  # fmt: skip
        td_error = rng.normal(size=n) * 2 * scale
        td_error[rng.permutation(n)[:zeros]] = 0.0
        if n > 1:
            td_error[:2] = abs(td_error[0]), -abs(td_error[1])
        if drawn is None:
            drawn = rng.integers(n, size=batch)
        inputs = {
            "td_error": recipe(td_error),
            "drawn": recipe(np.asarray(drawn, dtype=np.int64)),
            "exponent": exponent,
            "eps": eps,
            "beta": beta,
        }
        return Case(name, inputs, tags)

    return [
        case("four drawn of twelve", 12, 4, drawn=[7, 0, 1, 4]),
        case("as many drawn as there are, in another order", 6, 6, "B = n", drawn=[4, 2, 0, 1, 3, 5]),
        case("a slot is drawn twice", 9, 5, "twice", drawn=[3, 8, 3, 1, 0], exponent=0.8, beta=0.7),
        case("more drawn than there are", 5, 14, exponent=0.9, beta=0.5),
        case("errors of 0", 10, 6, "errors of 0", zeros=4, eps=0.01, beta=0.9),
        case("exponent 1, β = 1", 8, 5, exponent=1.0, beta=1.0),
        case("exponent 0: uniform", 8, 5, "exponent 0", exponent=0.0),
        case("exponent 2", 7, 4, exponent=2.0, eps=0.3),
        case("β = 0: no weights", 8, 5, "β = 0", beta=0.0),
        case("one transition in the memory", 1, 1, "n = 1", drawn=[0]),
        case("one drawn", 8, 1, "B = 1"),
        case("small errors, large ε", 8, 5, eps=0.5, scale=0.1),
        case("a large memory", 400, 32, beta=0.6),
    ]  # fmt: skip


# (δ, α, ε) -> what is divided by its sum.
_PRIORITIES: dict[str, Callable] = {
    "right": lambda e, a, eps: (e.abs() + eps) ** a,
    "signed": lambda e, a, eps: (e + eps) ** a,
    "cut off": lambda e, a, eps: (e.clamp(min=0) + eps) ** a,
    "signed, cut off": lambda e, a, eps: (e + eps).clamp(min=0) ** a,
    "eps outside": lambda e, a, eps: e.abs() ** a + eps,
    "no eps": lambda e, a, eps: e.abs() ** a,
    "at least eps": lambda e, a, eps: e.abs().clamp(min=eps) ** a,
    "square": lambda e, a, eps: (e**2 + eps) ** a,
    "squared": lambda e, a, eps: (e.abs() + eps) ** (2 * a),
    "softmax": lambda e, a, eps: torch.exp(a * (e.abs() + eps)),
    "no exponent": lambda e, a, eps: e.abs() + eps,
    "exponent outside": lambda e, a, eps: a * (e.abs() + eps),
}
_NORMALISED: dict[str, Callable] = {
    "sum": lambda p, a: p / p.sum(),
    "none": lambda p, a: p,
    "max": lambda p, a: p / p.max(),
    "softmax": lambda p, a: torch.softmax(p, dim=0),
}
# (P of all, slots, β) -> weights.
_WEIGHTS: dict[str, Callable] = {
    "right": lambda P, i, b: _over(P[i] ** -b, torch.max),
    "not normalised": lambda P, i, b: (len(P) * P[i]) ** -b,
    "not normalised, without n": lambda P, i, b: P[i] ** -b,
    "maximum of all": lambda P, i, b: P[i] ** -b / (P**-b).max(),
    "of all": lambda P, i, b: _over(P**-b, torch.max),
    "inverse": lambda P, i, b: _over(P[i] ** b, torch.max),
    "by the sum": lambda P, i, b: _over(P[i] ** -b, torch.sum),
    "by the mean": lambda P, i, b: _over(P[i] ** -b, torch.mean),
    "beta ignored": lambda P, i, b: _over(P[i] ** -1.0, torch.max),
    "one minus beta": lambda P, i, b: _over(P[i] ** (b - 1.0), torch.max),
    "max before the power": lambda P, i, b: (P[i] / P[i].max()) ** -b,
    "max of all before the power": lambda P, i, b: (P[i] / P.max()) ** -b,
    "of the first": lambda P, i, b: _over(P[: len(i)] ** -b, torch.max),
}


def _over(w, by):
    return w / by(w)


@composable
def _prioritised(
    priority: str = "right", normalised: str = "sum", among: str = "all", weights: str = "right", first: bool = False
) -> Callable:  # fmt: skip
    """Probabilities and weights with their parts exchangeable; first: divides by the sum before the power."""

    def prioritise(td_error, drawn, exponent, eps, beta):
        p = _PRIORITIES[priority](td_error, 1.0 if first else exponent, eps)
        prob = _NORMALISED[normalised](p, exponent)
        prob = prob**exponent if first else prob
        weight = _WEIGHTS[weights](prob, drawn, beta)
        if among == "drawn":
            prob = _NORMALISED[normalised](p[drawn], exponent)
        return prob, weight

    return prioritise


def _by_logarithms(td_error, drawn, exponent, eps, beta):
    log_p = exponent * torch.log(td_error.abs() + eps)
    log_w = -beta * log_p[drawn]
    return torch.softmax(log_p, dim=0), torch.exp(log_w - log_w.max())


def _by_ratio(td_error, drawn, exponent, eps, beta):
    p = torch.pow(torch.abs(td_error) + eps, exponent)
    return p / torch.sum(p), torch.pow(p[drawn].min() / p[drawn], beta)


def _by_numpy(td_error, drawn, exponent, eps, beta):
    p = (np.abs(td_error.numpy()) + eps) ** exponent
    p = p / p.sum()
    w = (len(p) * p[drawn.numpy()]) ** (-beta)
    return torch.from_numpy(p), torch.from_numpy(w / w.max())


prioritise = Exercise(
    "prioritise",
    reference=prioritised.prioritise,
    cases=_priority_cases,
    returns=several(prob=tensor(), weight=tensor()),
    points=2,
    equation="(9.8)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "no-absolute-value",
            "The error enters with its sign, so what disappoints has no priority at all (or NaN). A surprise is a "
            "surprise in both directions.",
            "What is p in (9.6) for δ = −2?",
            _prioritised("signed"),
            _prioritised("cut off"),
            _prioritised("signed, cut off"),
        ),
        Mistake(
            "eps-outside",
            "ε is added after the power. It belongs to the priority, before the power.",
            "How far does the bracket reach that the exponent stands behind?",
            _prioritised("eps outside"),
        ),
        Mistake(
            "eps-missing",
            "ε is missing, or used as a floor only. It is added to every |δ|, so that a transition whose error happens "
            "to be 0 can be drawn again.",
            "What is P for δ = 0?",
            _prioritised("no eps"),
            _prioritised("at least eps"),
        ),
        Mistake(
            "normalised-first",
            "You divide by the sum and take the power afterwards. These do not sum to 1.",
            "Print the sum of your probabilities.",
            _prioritised(first=True),
        ),
        Mistake(
            "not-normalised",
            "Your first result holds priorities, or shares of the largest one. Probabilities sum to 1.",
            "Print the sum of your probabilities.",
            _prioritised(normalised="none"),
            _prioritised(normalised="max"),
        ),
        Mistake(
            "softmax",
            "A softmax of |δ| is another distribution: the exponential lets one large error take all. (9.6) has a power.",
            "Compare e² with 2 to the power 0.6: how much likelier does an error of 2 make a transition?",
            _prioritised("softmax"),
            _prioritised(normalised="softmax"),
        ),
        Mistake(
            "squared",
            "Your priority is the error's square. It is |δ|; the exponent says how much it counts.",
            "How much likelier is |δ| = 2 than |δ| = 1 with exponent 1 (and a tiny ε)?",
            _prioritised("square"),
            _prioritised("squared"),
        ),
        Mistake(
            "exponent-ignored",
            "The exponent is no power in your code: it is missing, or a mere factor, which cancels. Exponent 0 must be "
            "uniform.",
            "What do you get for exponent 0?",
            _prioritised("no exponent"),
            _prioritised("exponent outside"),
        ),
        Mistake(
            "among-the-drawn",
            "Your probabilities are those within the batch. A probability is relative to all that could have been drawn.",
            "How many numbers should the first result hold?",
            _prioritised(among="drawn"),
        ),
        Mistake(
            "weights-of-all",
            "You return a weight for every transition of the memory. Only what was drawn is learned from.",
            "How many numbers should the second result hold? Which argument says of which transitions?",
            _prioritised(weights="of all"),
        ),
        Mistake(
            "first-ones-weighed",
            "You weigh the first transitions of the memory. `drawn` says in which slots the batch lies.",
            "Where does `drawn` enter your weights?",
            _prioritised(weights="of the first"),
        ),
        Mistake(
            "weights-not-normalised",
            "Your weights are not divided by the largest. Weights above 1 enlarge the step.",
            "How large is the largest of your weights?",
            _prioritised(weights="not normalised"),
            _prioritised(weights="not normalised, without n"),
        ),
        Mistake(
            "max-of-the-buffer",
            "You divide by the largest weight in the whole memory. The maximum is that of the batch; the rarest "
            "transition may never be drawn.",
            "How large is the largest of your weights in the batch?",
            _prioritised(weights="maximum of all"),
        ),
        Mistake(
            "inverse",
            "Your weights grow with the probability. What is drawn too often must count less.",
            "Which sign has the exponent β in (9.8)?",
            _prioritised(weights="inverse"),
        ),
        Mistake(
            "sum-normalised",
            "You divide the weights by their sum or their mean. The largest weight must be 1.",
            "How large is the largest of your weights?",
            _prioritised(weights="by the sum"),
            _prioritised(weights="by the mean"),
        ),
        Mistake(
            "beta-ignored",
            "β does not decide how much is corrected: your exponent is −1, or 1 − β. β anneals the correction; at 0 there "
            "is none.",
            "Which weights do you get for β = 0?",
            _prioritised(weights="beta ignored"),
            _prioritised(weights="one minus beta"),
        ),
        Mistake(
            "max-before-power",
            "You divide the probabilities by their largest before the power, or the weights by their smallest, which is the "
            "same. Under a negative exponent the weights are all ≥ 1 now: take the max of the weights.",
            "How large is the smallest of your weights?",
            _prioritised(weights="max before the power"),
            _prioritised(weights="max of all before the power"),
        ),
    ],
    also_correct=[_prioritised(), _by_logarithms, _by_ratio, _by_numpy],
)

# --------------------------------------------------------------------------------- per_dqn_loss


def _per_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, n: int, *tags: str, gamma=0.9, weight=None, **more) -> Case:
        given = networks_and_batch(rng, n, **more)
        if weight is None:
            weight = rng.uniform(0.1, 0.9, size=n)
            weight[rng.integers(n)] = 1.0
        return Case(name, given | {"weight": recipe(weight), "gamma": gamma}, tags)

    return [
        case("a batch of eight", 8),
        case("large errors", 8, "errors beyond 1", scale=20.0),
        case("errors near 1", 12, "errors beyond 1", scale=1.5),
        case("small errors", 6, scale=0.05, gamma=0.1),
        case("as many rows as actions", 4, "B = A"),
        case("one row, of weight 0.3", 1, "B = 1", terminated=[0], weight=np.array([0.3])),
        case("one row, and it terminates", 1, "B = 1", terminated=[1]),
        case("all weights 1", 6, "weights 1", weight=np.ones(6), gamma=0.5),
        case("all rows terminate", 6, "terminated rows", terminated=[1] * 6),
        case("γ = 0", 5, "γ = 0", gamma=0.0),
        case("one action, and γ = 1", 4, "A = 1", "γ = 1", n_actions=1, gamma=1.0),
        case("all values negative", 5, lower=8.0),
    ]


def _huber(e):
    return torch.where(e.abs() <= 1, e**2 / 2, e.abs() - 0.5)


# (w, e = Q − y) -> one number a row, or the loss itself.
_WEIGHED: dict[str, Callable] = {
    "outside": lambda w, e: (w * _huber(e)).mean(),
    "squared": lambda w, e: (w**2 * _huber(e)).mean(),
    "squared error": lambda w, e: ((w * e) ** 2).mean(),
    "half squared error": lambda w, e: ((w * e) ** 2 / 2).mean(),
    "inside": lambda w, e: _huber(w * e).mean(),
    "means": lambda w, e: w.mean() * _huber(e).mean(),
    "none": lambda w, e: _huber(e).mean(),
    "over the weights": lambda w, e: (w * _huber(e)).sum() / w.sum(),
    "sum": lambda w, e: (w * _huber(e)).sum(),
    "rows": lambda w, e: w * _huber(e),
    "column": lambda w, e: (w[:, None] * _huber(e)).mean(),
    "mse": lambda w, e: (w * e**2).mean(),
    "half mse": lambda w, e: (w * e**2 / 2).mean(),
    "absolute": lambda w, e: (w * e.abs()).mean(),
    "inverse": lambda w, e: (_huber(e) / w).mean(),
    "root": lambda w, e: (w.sqrt() * _huber(e)).mean(),
}
# (w, y − Q) -> what is returned as errors.
_ERRORS: dict[str, Callable] = {
    "right": lambda w, e: e.detach(),
    "attached": lambda w, e: e,
    "reversed": lambda w, e: -e.detach(),
    "absolute": lambda w, e: e.detach().abs(),
    "huber": lambda w, e: _huber(e).detach(),
    "square": lambda w, e: (e**2).detach(),
    "half square": lambda w, e: (e**2 / 2).detach(),
    "weighted huber": lambda w, e: (w * _huber(e)).detach(),
    "weighted": lambda w, e: (w * e).detach(),
    "clipped": lambda w, e: e.detach().clamp(-1, 1),
    "cut off": lambda w, e: e.detach().clamp(min=0),
    "huber, attached": lambda w, e: _huber(e),
}
_BEST: dict[str, Callable] = {
    "max": lambda q: q.amax(dim=1),
    "mean": lambda q: q.mean(dim=1),
    "column": lambda q: q.amax(dim=1, keepdim=True),
}
_PICKS: dict[str, Callable] = {
    "taken": lambda q, a: q[_rows(len(q)), a],
    "greedy": lambda q, a: q.amax(dim=1),
    "every row": lambda q, a: q[:, a],
    "column": lambda q, a: q.gather(1, a[:, None]),
}


@composable
def _per(
    *,
    weighed: str = "outside",
    error: str = "right",
    labels: str = "target_net",
    next_obs: str = "next_obs",
    detach: bool = True,
    best: str = "max",
    pick: str = "taken",
    mask: str = "next",
    discount: str = "next",
    order: tuple[int, int] = (0, 1),
) -> Callable:
    """Loss and errors with their parts exchangeable; labels: a network, or "double"."""

    def per_dqn_loss(q_net, target_net, batch, weight, gamma):
        obs = getattr(batch, next_obs)
        if labels == "double":
            value = target_net(obs)[_rows(len(obs)), q_net(obs).argmax(dim=1)]
        else:
            value = _BEST[best]({"q_net": q_net, "target_net": target_net}[labels](obs))
        y = td_target(batch.reward, value, batch.terminated, gamma, mask, discount)
        y = y.detach() if detach else y
        q = _PICKS[pick](q_net(batch.obs), batch.action)
        results = _WEIGHED[weighed](weight, q - y), _ERRORS[error](weight, y - q)
        return tuple(results[i] for i in order)

    return per_dqn_loss


_either = attached_too(_per)


def _per_by(distance: Callable, error: Callable = lambda y, q: (y - q).detach()) -> Callable:
    """Right, with a weighted mean of one's own of (Q, y, w)."""

    def per_dqn_loss(q_net, target_net, batch, weight, gamma):
        with torch.no_grad():
            q_next = target_net(batch.next_obs).max(1).values
            y = torch.where(batch.terminated == 1, batch.reward, batch.reward + gamma * q_next)
        q = q_net(batch.obs).gather(1, batch.action.view(-1, 1)).view(-1)
        return distance(q, y, weight), error(y, q)

    return per_dqn_loss


per_dqn_loss = Exercise(
    "per_dqn_loss",
    reference=prioritised.per_dqn_loss,
    cases=_per_cases,
    returns=several(loss=tensor(), td_error=tensor()),
    points=2,
    equation="(9.9)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "weights-squared",
            "The weight is squared with the error, or on its own. The weight multiplies the loss, it is not squared with "
            "the error.",
            "By which factor is the gradient of a row of weight ½ smaller than that of a row of weight 1?",
            _per(weighed="squared"),
            _per(weighed="squared error"),
            _per(weighed="half squared error"),
        ),
        Mistake(
            "weights-inside",
            "You weigh the error before H₁ sees it. Outliers slip back under the threshold, and small errors are weighed "
            "by w².",
            "What stands inside the bracket of H₁ in (9.9)?",
            _per(weighed="inside"),
        ),
        Mistake(
            "product-of-means",
            "You multiply two means (so does a column of weights that meets a row of losses). Each sample has its own "
            "weight: multiply row by row, then average.",
            "What is your loss if the row with the large error has weight 0?",
            _per(weighed="means"),
            _per(weighed="column"),
        ),
        Mistake(
            "weights-forgotten",
            "The weights do not enter your loss: it is that of plain DQN. Prioritised sampling is biased without them.",
            "Where is `weight` used in your code?",
            _per(weighed="none"),
        ),
        Mistake(
            "divided-by-the-weights",
            "You divide by the sum of the weights. (9.9) divides by B: where all of a batch counts little, the step is "
            "to be small.",
            "What should halving all weights do to the loss?",
            _per(weighed="over the weights"),
        ),
        Mistake(
            "other-weight",
            "Your loss is weighed with another power of the weight: its inverse or its root.",
            "What should halving all weights do to the loss?",
            _per(weighed="inverse"),
            _per(weighed="root"),
        ),
        Mistake(
            "attached-error",
            "A gradient hangs on the errors that you return. Priorities are numbers: detach.",
            "What will the memory do with the errors? Does it need to know where they come from?",
            _per(error="attached"),
        ),
        Mistake(
            "loss-as-priority",
            "What you return as errors are losses: H₁ of them, or their squares. Return the error itself.",
            "What is the second result for a row with y = 3 and Q = 1?",
            *(_per(error=e) for e in ("huber", "square", "half square", "weighted huber", "huber, attached")),
        ),
        Mistake(
            "error-without-sign",
            "You return |δ|, or the error cut off. The memory takes the absolute value itself: return the error as it is, "
            "y − Q.",
            "What is the second result for a row with y = 1 and Q = 3?",
            *(_per(error=e) for e in ("absolute", "cut off", "clipped")),
        ),
        Mistake(
            "error-reversed",
            "Your errors are Q − y. A TD error is what the label says more than the prediction: y − Q.",
            "Is the error positive when things went better than expected?",
            _per(error="reversed"),
        ),
        Mistake(
            "error-weighed",
            "You weigh the errors that you return. The weight corrects the *loss* for how often a row is drawn; the next "
            "priority is about the surprise alone.",
            "What does (9.6) make priorities of?",
            _per(error="weighted"),
        ),
        Mistake(
            "results-exchanged",
            "The two results have changed places: first the loss, then the errors.",
            "Read the last line of the docstring again.",
            _per(order=(1, 0)),
        ),
        Mistake(
            "target-gradient",
            "A gradient flows into the label. y is a label, not a prediction: it says where to go, and is not there to "
            "be moved.",
            "Which line makes the labels? Compute it where autograd does not look.",
            _per(detach=False),
        ),
        Mistake(
            "online-target",
            "Your labels come from `q_net` itself. They are made by the slow copy, `target_net`.",
            "There are two networks among your arguments. What is each of them asked?",
            *_either(labels="q_net"),
        ),
        Mistake(
            "double-dqn",
            "Your labels are those of double DQN. A good idea, but (9.9) takes y as it is in (9.1): the slow copy does "
            "both.",
            "How many networks does (9.1) ask about s′?",
            *_either(labels="double"),
        ),
        Mistake(
            "labels-from-s",
            "Your labels look at s again. What is left to come after the step lies in s′.",
            "Which of the five fields of the batch does the label need besides reward and d?",
            *_either(next_obs="obs"),
        ),
        Mistake(
            "wrong-action",
            "You compare the label with the value of the best action in s. Only the action that was taken was tried "
            "out: its value is the one to correct.",
            "Which of the five fields of the batch is never used in your code?",
            *_either(pick="greedy"),
        ),
        Mistake(
            "b-by-b",
            "A column (B, 1) met a row (B,), so every sample was paired with every other one of the batch.",
            "Print the shapes of predictions, labels and weights. All three should be (B,).",
            *_either(pick="column"),
            *_either(pick="every row"),
            *_either(best="column"),
        ),
        Mistake(
            "not-the-best",
            "You do not take the best action's value in s′ but the mean. Q-learning looks ahead to a greedy policy.",
            "What stands before Q in (9.1)?",
            *_either(best="mean"),
        ),
        *target_mistakes(_either, TERMINAL, NO_GAMMA),
        Mistake(
            "another-distance",
            "Your loss is not H₁: it is a square, or an absolute value. Beyond an error of 1 the loss goes on as a "
            "straight line, below it is ½e².",
            "Compare your loss with (8.10) for an error of ½ and one of 10.",
            _per(weighed="mse"),
            _per(weighed="half mse"),
            _per(weighed="absolute"),
        ),
        Mistake(
            "sum",
            "You add up the samples' losses. (9.9) is a mean: otherwise the step would grow with the batch.",
            "What happens to your loss when every row of the batch comes twice?",
            _per(weighed="sum"),
        ),
        Mistake("not-averaged", *NOT_REDUCED, _per(weighed="rows")),
        Mistake(
            "blocked",
            "The values are right, but no gradient reaches `q_net`: the prediction is a mere number, too.",
            "Which lines stand inside your `torch.no_grad()` block, or behind a `detach()`?",
            torch.no_grad()(_per()),
        ),
    ],
    also_correct=[
        _per(),
        _per_by(lambda q, y, w: (w * smooth_l1_loss(q, y, reduction="none")).mean()),
        _per_by(lambda q, y, w: w @ huber_loss(q, y, reduction="none") / len(w)),
        _per_by(lambda q, y, w: torch.stack([w[b] * huber_loss(q[b], y[b]) for b in range(len(w))]).mean()),
        _per_by(lambda q, y, w: REDUCTIONS["mean"](w * _huber(q - y)), error=lambda y, q: -(q.detach() - y)),
    ],
)  # fmt: skip

LESSON = Lesson(
    "09",
    "Overestimation and prioritised replay",
    [double_dqn_target, ensemble_target, maxmin_bias, SumTree, prioritise, per_dqn_loss],
    torch=True,
)
