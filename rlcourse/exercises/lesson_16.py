"""Lesson 16: maximum entropy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    array,
    composable,
    integer,
    row_of,
    several,
)
from rlcourse.checker.harness import Case
from rlcourse.checker.material import random_mdp, random_policy
from rlcourse.tabular import dynamic_programming as dp
from rlcourse.tabular import soft
from rlcourse.tabular.mdp import policy_transition

from .lesson_02 import mdp_cases, of_the_next
from .targets import STOPPING, ahead, looked_ahead

# Warnings are silent while answers are judged; NaN is what some of these mistakes are known by.

# ------------------------------------------------------------------------------- shared material

LOGARITHMS: dict[str, Callable] = {
    "natural": np.log,
    "base 2": np.log2,
    "base 10": np.log10,
    "p + 1e-8": lambda p: np.log(p + 1e-8),
    "p + 1e-6": lambda p: np.log(p + 1e-6),
    "p + 1e-9": lambda p: np.log(p + 1e-9),
}


def surprise(pi: np.ndarray, zeros: str = "left out", log: str = "natural") -> np.ndarray:
    """−log π; zeros: of a probability 0 "left out" (0), or "as they are" (infinite)."""
    safe = np.where(pi > 0, pi, 1.0) if zeros == "left out" else pi
    return -LOGARITHMS[log](safe)


def with_zeros(rng: np.random.Generator, n_states: int, n_actions: int) -> np.ndarray:
    """pi (S, A): in every row an action of probability 0, in every third row one of 1e-13 in its place."""
    pi = random_policy(rng, n_states, n_actions)
    for s, row in enumerate(pi):
        row[rng.integers(n_actions)] = 0.0
        row /= row.sum()
        if s % 3 == 0:
            row[row.argmin()] = 1e-13
    return pi


BASE = "α is in reward per nat: take the natural logarithm."
ZERO = "An action of probability 0 counts for nothing: 0·log 0 is 0. NumPy says that it is NaN."
ZERO_NEXT = (
    "Take the logarithm only where the probability is above 0. Where else could a NaN come from?"
)

# --------------------------------------------------------------------------------------- entropy


def _distributions(rng: np.random.Generator) -> list[Case]:
    def case(name, p, *tags) -> Case:
        return Case(name, {"p": np.asarray(p, dtype=float)}, tags)

    tiny = np.array([[1.0, 1e-13, 0.0], [0.5, 0.5, 1e-13], [1.0, 0.0, 1e-300], [1 - 1e-9, 1e-9, 0]])
    many = np.zeros((2, 200))
    many[[0, 1], [3, 150]] = 1.0
    return [
        case("five distributions over three actions", random_policy(rng, 5, 3)),
        case("as many distributions as actions", random_policy(rng, 4, 4), "S = A"),
        case("two actions", random_policy(rng, 3, 2)),
        case("one distribution, not a table", random_policy(rng, 1, 4)[0], "one distribution"),
        case("one sure distribution, not a table", [0.0, 1.0], "one distribution", "zeros"),
        case("a table in a table", random_policy(rng, 6, 3).reshape(2, 3, 3)),
        case("uniform ones", np.full((3, 5), 0.2)),
        case("one-hot rows", np.eye(4)[rng.integers(4, size=6)], "zeros"),
        case("rows with zeros", with_zeros(rng, 6, 4), "zeros"),
        case("tiny probabilities", tiny, "zeros"),
        case("one-hot rows of 200 actions", many, "zeros"),
        case("one state", random_policy(rng, 1, 6), "S = 1"),
        case("one action", np.ones((4, 1)), "A = 1"),
    ]


WEIGHTS: dict[str, Callable] = {
    "p": lambda p: p,
    "none": np.ones_like,
    "p²": lambda p: p**2,
}
SCALED: dict[str, Callable] = {
    "no": lambda h, n: h,
    "to 1": lambda h, n: h / np.log(n),
    "exponential": lambda h, n: np.exp(h),
    "below uniform": lambda h, n: np.log(n) - h,
}


@composable
def _entropy(
    weight: str = "p",
    log: str = "natural",
    sign: int = 1,
    gather: str = "sum",
    axis: int | None = -1,
    zeros: str = "left out",
    scaled: str = "no",
) -> Callable:
    """The entropy with its parts exchangeable."""

    def entropy(p):
        terms = sign * WEIGHTS[weight](p) * surprise(p, zeros, log)
        return SCALED[scaled](getattr(terms, gather)(axis=axis), p.shape[-1])

    return entropy


def _entropy_mended_late(p):
    return np.nan_to_num(-(p * np.log(p)).sum(axis=-1))


def _clipped(least: float) -> Callable:
    def entropy(p):
        p = np.clip(p, least, 1.0)
        return -(p * np.log(p)).sum(axis=-1)

    return entropy


def _entropy_by_loop(p):
    total = np.zeros(p.shape[:-1])
    for where in np.ndindex(p.shape[:-1]):
        total[where] = sum(-x * np.log(x) for x in p[where] if x > 0)
    return total


def _entropy_mended_in_time(p):
    with np.errstate(all="ignore"):
        return -np.nan_to_num(p * np.log(p)).sum(axis=-1)


def _entropy_where(p):
    return -(p * np.log(p, out=np.zeros_like(p), where=p > 0)).sum(axis=-1)


entropy = Exercise(
    "entropy",
    reference=soft.entropy,
    cases=_distributions,
    returns=array(),
    points=1,
    equation="(16.2)",
    mistakes=[
        Mistake(
            "zero-log-zero",
            "NaN comes out where a probability is 0. 0·log 0 counts as 0: take the logarithm only where p > 0. (To mend "
            "the NaN of the whole *sum* loses the terms beside it.)",
            "What is the entropy of (½, ½, 0)? And that of (½, ½)?",
            _entropy(zeros="as they are"),
            _entropy_mended_late,
        ),
        Mistake(
            "sign",
            "Your entropies are negative. Logarithms of probabilities are negative: entropy is *minus* their mean.",
            "Which sign does log p have for p < 1?",
            _entropy(sign=-1),
            _entropy(sign=-1, zeros="as they are"),
        ),
        Mistake(
            "unweighted",
            "You add up or average −log p without weights. Entropy is the *expected* surprise: weigh −log p by p.",
            "Under which distribution is the mean in equation (16.2) taken?",
            _entropy(weight="none"),
            _entropy(weight="none", gather="mean"),
            _entropy(weight="none", zeros="as they are"),
            _entropy(weight="none", gather="mean", zeros="as they are"),
        ),
        Mistake(
            "mean-not-sum",
            "You divide by the number of actions. p is the weight already; the terms are added up.",
            "What comes out for a fair coin? It should be log 2.",
            _entropy(gather="mean"),
            _entropy(gather="mean", zeros="as they are"),
        ),
        Mistake(
            "other-base",
            "Your logarithm has another base. " + BASE,
            "What should come out for a fair coin? log 2 = 0.693 nats, or 1 bit.",
            _entropy(log="base 2"),
            _entropy(log="base 10"),
            _entropy(log="base 2", zeros="as they are"),
        ),
        Mistake(
            "epsilon-inside",
            "You add a little to p, or clip it, to be safe from log 0. A sure policy has entropy 0, not 1e-8 of something: "
            "treat zeros as zeros.",
            "What should come out for (1, 0, 0), to the last digit?",
            _entropy(log="p + 1e-8", zeros="as they are"),
            _entropy(log="p + 1e-6", zeros="as they are"),
            _entropy(log="p + 1e-9", zeros="as they are"),
            _clipped(1e-8),
            _clipped(1e-6),
            _clipped(1e-10),
            _clipped(1e-12),
        ),
        Mistake(
            "one-number",
            "You add up over the whole table. There is one number for each distribution: sum over the last axis.",
            "What shape has your result for a table of five distributions?",
            _entropy(axis=None),
            _entropy(axis=None, zeros="as they are"),
            _entropy(axis=None, gather="mean"),
        ),
        Mistake(
            "wrong-axis",
            "You sum over the states. Each row is a distribution: sum over the *last* axis.",
            "What shape should come out for five distributions over three actions?",
            _entropy(axis=0),
            _entropy(axis=0, zeros="as they are"),
        ),
        Mistake(
            "rescaled",
            "Your number is made of the entropy, but is another: divided by log A, taken as an exponent, or subtracted from "
            "log A.",
            "What should come out for a fair coin? And for a fair die?",
            _entropy(scaled="to 1"),
            _entropy(scaled="exponential"),
            _entropy(scaled="below uniform"),
        ),
    ],
    also_correct=[
        _entropy(),
        _entropy_by_loop,
        _entropy_mended_in_time,
        _entropy_where,
        lambda p: -(p * np.log(np.maximum(p, np.finfo(float).tiny))).sum(axis=-1),
    ],
)

# ------------------------------------------------------------------------------------ soft_value


def _value_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n_states, n_actions, alpha, *tags, pi=None, scale=3.0, shift=0.0) -> Case:
        q = rng.normal(size=(n_states, n_actions)) * scale + shift
        pi = random_policy(rng, n_states, n_actions) if pi is None else pi
        return Case(name, {"q": q, "pi": pi, "alpha": alpha}, tags)

    sure = random_policy(rng, 5, 3, deterministic=True)
    return [
        case("four states, three actions", 4, 3, 0.5),
        case("the same shapes, another α", 4, 3, 2.0),
        case("as many states as actions", 4, 4, 0.7, "S = A"),
        case("α = 1", 5, 3, 1.0, "α = 1"),
        case("α = 0", 5, 3, 0.0, "α = 0"),
        case("α = 0 and rows with zeros", 4, 3, 0.0, "α = 0", "zeros", pi=with_zeros(rng, 4, 3)),
        case("a sure policy", 5, 3, 0.5, "zeros", pi=sure),
        case("rows with zeros", 6, 4, 0.3, "zeros", pi=with_zeros(rng, 6, 4)),
        case("values all negative", 4, 3, 0.5, "negative values", shift=-30.0),
        case("very large values", 4, 3, 20.0, scale=1e5),
        case("one state", 1, 4, 0.5, "S = 1"),
        case("one action", 4, 1, 0.5, "A = 1"),
        case("more actions than states", 2, 6, 1.5),
    ]


def _log_sum_exp(q, alpha):
    best = q.max(axis=1)
    return best + alpha * np.log(np.exp((q - best[:, None]) / alpha).sum(axis=1))


WHOSE: dict[str, Callable] = {
    "π": lambda q, alpha, pi: pi,
    "the best": lambda q, alpha, pi: dp.greedy_policy(q),
    "the softmax": lambda q, alpha, pi: soft.soft_improvement(q, alpha),
    "the uniform": lambda q, alpha, pi: np.full_like(pi, 1 / pi.shape[1]),
}
TEMPERED: dict[str, Callable] = {
    "α": lambda q, bonus, alpha: q + alpha * bonus,
    "1": lambda q, bonus, alpha: q + bonus,
    "none": lambda q, bonus, alpha: q + 0 * bonus,
    "α on both": lambda q, bonus, alpha: alpha * (q + bonus),
    "1/α on q": lambda q, bonus, alpha: q / alpha + bonus,
    "1/α": lambda q, bonus, alpha: q + bonus / alpha,
    "α on q": lambda q, bonus, alpha: alpha * q + bonus,
}


@composable
def _valued(
    sign: int = 1,
    tempered: str = "α",
    q_weighed: bool = True,
    log_weighed: bool = True,
    gather: str = "sum",
    whose: str = "π",
    axis: int = 1,
    zeros: str = "left out",
) -> Callable:
    """The soft value with its parts exchangeable; whose: the policy that it is of."""

    def soft_value(q, pi, alpha):
        pi = WHOSE[whose](q, alpha, pi)
        bonus = sign * surprise(pi, zeros) * (pi if log_weighed else 1.0)
        return getattr(TEMPERED[tempered](pi * q if q_weighed else q, bonus, alpha), gather)(
            axis=axis
        )

    return soft_value


def _value_by_loop(q, pi, alpha):
    v = np.zeros(len(q))
    for s, a in np.ndindex(q.shape):
        if pi[s, a] > 0:
            v[s] += pi[s, a] * (q[s, a] - alpha * np.log(pi[s, a]))
    return v


def _value_by_divergence(q, pi, alpha):
    """α(log Z − KL(π‖softmax))."""
    if alpha == 0:
        return dp.v_from_q(q, pi)
    best = q.max(axis=1, keepdims=True)
    log_best = (q - best) / alpha - np.log(np.exp((q - best) / alpha).sum(axis=1, keepdims=True))
    log_pi = np.log(np.where(pi > 0, pi, 1.0))
    return _log_sum_exp(q, alpha) - alpha * (pi * (log_pi - log_best)).sum(axis=1)


NAMES_OF_THE_BONUS = {
    "sign": (
        "You add α log π to Q. log π is negative: *subtracting* it pays for randomness, adding it punishes it.",
        "What is a policy worth that is sure, and what one that draws, if all actions are worth the same?",
    ),
    "no-temperature": (
        "The bonus is not multiplied by α. α converts nats into reward.",
        "Which argument have you not used? What should come out for α = 0?",
    ),
}

soft_value = Exercise(
    "soft_value",
    reference=soft.soft_value,
    cases=_value_cases,
    returns=array(),
    points=1,
    equation="(16.6)",
    mistakes=[
        Mistake("sign", *NAMES_OF_THE_BONUS["sign"], _valued(sign=-1)),
        Mistake(
            "no-temperature",
            *NAMES_OF_THE_BONUS["no-temperature"],
            _valued(tempered="1"),
            _valued(tempered="1", zeros="as they are"),
        ),
        Mistake(
            "no-entropy",
            "You take the mean of Q alone. That is lesson 02's value: the bonus of *this* state belongs to V.",
            "Which argument have you not used?",
            _valued(tempered="none"),
        ),
        Mistake(
            "log-not-weighted",
            "You add up −α log π without weights. Both terms stand inside the expectation: weigh both by π.",
            "Over which terms does the sum over a in equation (16.6) reach?",
            _valued(log_weighed=False),
            _valued(log_weighed=False, zeros="as they are"),
        ),
        Mistake(
            "q-not-weighted",
            "You add up Q without weights. Both terms stand inside the expectation: weigh both by π.",
            "What should come out for α = 0 and a sure policy?",
            _valued(q_weighed=False),
            _valued(q_weighed=False, log_weighed=False),
            _valued(q_weighed=False, log_weighed=False, gather="mean"),
        ),
        Mistake(
            "mean-not-sum",
            "You weigh by π and then average over the actions as well. π is the weight already: add up.",
            "What should come out for α = 0 if all actions are worth 1?",
            _valued(gather="mean"),
            _valued(gather="mean", zeros="as they are"),
        ),
        Mistake(
            "hard-or-log-sum-exp",
            "That is the value of the best policy, the greedy one or the softmax. This one is about the π you were given.",
            "Which argument have you not used?",
            lambda q, pi, alpha: q.max(axis=1),
            lambda q, pi, alpha: _log_sum_exp(q, alpha),
            lambda q, pi, alpha: alpha * np.log(np.exp(q / alpha).sum(axis=1)),
            lambda q, pi, alpha: np.log(np.exp(q).sum(axis=1)),
        ),
        Mistake(
            "temperature-elsewhere",
            "α stands before the wrong term, or divides. It multiplies log π and nothing else.",
            "What should come out for α = 0? And what has your α done to Q?",
            _valued(tempered="α on both"),
            _valued(tempered="1/α on q"),
            _valued(tempered="α on q"),
            _valued(tempered="1/α"),
        ),
        Mistake("zero-log-zero", ZERO, ZERO_NEXT, _valued(zeros="as they are")),
        Mistake(
            "wrong-axis",
            "You sum over the states, so that one number an action comes out. There should be one a *state*.",
            "Which axis are the actions?",
            _valued(axis=0),
            _valued(axis=0, zeros="as they are"),
        ),
    ],
    also_correct=[
        _valued(),
        _value_by_loop,
        _value_by_divergence,
        lambda q, pi, alpha: np.diag(pi @ (q + alpha * surprise(pi)).T).copy(),
        lambda q, pi, alpha: dp.v_from_q(q, pi) + alpha * soft.entropy(pi),
    ],
)  # fmt: skip

# --------------------------------------------------------------------------- soft_bellman_backup


def _table(rng, P, R, pi, gamma) -> dict:
    alpha = float(rng.uniform(0.3, 0.8) if rng.random() < 0.5 else rng.uniform(1.3, 3))
    q = rng.normal(size=R.shape) * 3 - 1
    return {"q": q, "P": P, "R": R, "pi": pi, "gamma": gamma, "alpha": alpha}


def _backup_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n_states, n_actions, *tags, scale=1.0, **given) -> Case:
        P, R = random_mdp(rng, n_states, n_actions)
        pi = given.pop("pi", random_policy(rng, n_states, n_actions))
        inputs = _table(rng, P, R * scale, pi, 0.9) | given
        return Case(name, inputs | {"q": inputs["q"] * scale}, tags)

    return [
        *mdp_cases(_table)(rng),
        case("α = 0", 4, 3, "α = 0", alpha=0.0),
        case("α = 0 and rows with zeros", 4, 3, "α = 0", "zeros", alpha=0.0, pi=with_zeros(rng, 4, 3)),
        case("rows with zeros", 5, 4, "zeros", pi=with_zeros(rng, 5, 4)),
        case("very large rewards", 4, 3, scale=1e5, alpha=20.0),
        case("more actions than states", 2, 6),
    ]  # fmt: skip


FIRST: dict[str, Callable] = {
    "none": lambda pi, zeros: 0.0,
    "entropy": lambda pi, zeros: (pi * surprise(pi, zeros)).sum(axis=1, keepdims=True),
    "surprise": lambda pi, zeros: surprise(pi, zeros),
}


@composable
def _soft_backup(
    sign: int = 1,
    tempered: str = "α",
    whose: str = "π",
    of_reward: int | None = 0,
    of_next: int = 1,
    of_bonus: int | None = None,
    to: str = "expected",
    bonus_of: str = "next",
    first: str = "none",
    log_weighed: bool = True,
    zeros: str = "left out",
    way: str = "at once",
) -> Callable:
    """B^π with its parts exchangeable.

    of_reward, of_next, of_bonus: powers of γ before r, E[Q] and the bonus (None: as before E[Q]); to: what becomes of the next states;
    bonus_of: whose entropy, the "next" state's or the "own"; first: what is added for the first action;
    way: "at once", or with later "rows" or "entries" reading the new values of earlier ones.
    """

    def soft_bellman_backup(q, P, R, pi, gamma, alpha):
        pi_used = WHOSE[whose](q, alpha, pi)
        price = {"α": alpha, "1": 1.0, "none": 0.0}[tempered] * sign
        h = price * (surprise(pi_used, zeros) * (pi_used if log_weighed else 1.0)).sum(axis=1)

        def whole(v):
            if bonus_of == "next" and of_bonus is None:
                new = looked_ahead(P, R, v + h, gamma, of_reward, of_next, to)
            else:
                new = looked_ahead(P, R, v, gamma, of_reward, of_next, to)
                next_h = h[:, None] if bonus_of == "own" else ahead(to, P, h)
                new = new + float(gamma) ** (of_next if of_bonus is None else of_bonus) * next_h
            return new + price * FIRST[first](pi_used, zeros)

        if way == "at once":
            return whole((pi_used * q).sum(axis=1))
        q = q.copy()
        for s in range(len(q)):
            if way == "rows":
                q[s] = whole((pi_used * q).sum(axis=1))[s]
            else:
                for a in range(q.shape[1]):
                    q[s, a] = whole((pi_used * q).sum(axis=1))[s, a]
        return q

    return soft_bellman_backup


def _backup_into_q(q, P, R, pi, gamma, alpha):
    for s, a in np.ndindex(R.shape):
        q[s, a] = R[s, a] + gamma * P[s, a] @ soft.soft_value(q, pi, alpha)
    return q


def _optimal_soft_backup(q, P, R, pi, gamma, alpha):
    return R + gamma * P @ _log_sum_exp(q, alpha)


def _soft_backup_by_loop(q, P, R, pi, gamma, alpha):
    n_states, n_actions = R.shape
    new = np.zeros(R.shape)
    for s, a in np.ndindex(R.shape):
        total = 0.0
        for t in range(n_states):
            for b in range(n_actions):
                if pi[t, b] > 0:
                    total += P[s, a, t] * pi[t, b] * (q[t, b] - alpha * np.log(pi[t, b]))
        new[s, a] = R[s, a] + gamma * total
    return new


def _augmented_reward_backup(q, P, R, pi, gamma, alpha):
    reward = R + gamma * alpha * np.einsum("sat,t->sa", P, soft.entropy(pi))
    return reward + gamma * np.einsum("sat,tb,tb->sa", P, pi, q)


ENTROPY_OF_NEXT = "What has become of −α log π in V(s′)?"
FIRST_STEP = (
    "You pay the bonus of the first step too. Q's first action is *given*, nothing about it is random: its bonus belongs "
    "to V(s), not to Q(s, a)."
)

soft_bellman_backup = Exercise(
    "soft_bellman_backup",
    reference=soft.soft_bellman_backup,
    cases=_backup_cases,
    returns=array(),
    points=2,
    equation="(16.8)",
    parts=["q_from_v"],
    mistakes=[
        Mistake(
            "first-step-entropy",
            FIRST_STEP,
            "What is Q(s, a) for γ = 0?",
            _soft_backup(first="entropy"),
            _soft_backup(first="surprise"),
            _soft_backup(first="surprise", zeros="as they are"),
        ),
        Mistake(
            "entropy-not-discounted",
            "γ stands before Q(s′, a′) and not before the bonus. The bonus is earned one step later, like the value that "
            "it belongs to: γ for both.",
            "Over which terms does γ reach in equation (16.7)? What should come out for γ = 0?",
            _soft_backup(of_bonus=0),
        ),
        Mistake(
            "entropy-of-this-state",
            "You use the entropy at s. The one that counts is the *next* state's.",
            "Which state does V stand for in equation (16.7)?",
            _soft_backup(bonus_of="own"),
            _soft_backup(bonus_of="own", of_bonus=0),
        ),
        Mistake(
            "no-entropy",
            "That is lesson 02's backup: the next state's value is the mean of Q, without its bonus.",
            ENTROPY_OF_NEXT,
            _soft_backup(tempered="none"),
        ),
        Mistake("sign", *NAMES_OF_THE_BONUS["sign"], _soft_backup(sign=-1)),
        Mistake(
            "no-temperature", *NAMES_OF_THE_BONUS["no-temperature"], _soft_backup(tempered="1")
        ),
        Mistake(
            "log-not-weighted",
            "You add up −α log π without weights. Both terms stand inside the expectation: weigh both by π.",
            "Compute the next state's value by your `soft_value`, and compare.",
            _soft_backup(log_weighed=False),
            _soft_backup(log_weighed=False, zeros="as they are"),
        ),
        Mistake(
            "optimal-backup",
            "You take the next state's value under the best policy, greedy or soft. That backup belongs to the optimal "
            "policy; evaluate the π that is given.",
            "Which argument have you not used?",
            _optimal_soft_backup,
            lambda q, P, R, pi, gamma, alpha: R + gamma * P @ q.max(axis=1),
            lambda q, P, R, pi, gamma, alpha: R + gamma * P @ (alpha * np.log(np.exp(q / alpha).sum(axis=1))),
            lambda q, P, R, pi, gamma, alpha: R + gamma * P @ np.log(np.exp(q).sum(axis=1)),
        ),
        Mistake("zero-log-zero", ZERO, ZERO_NEXT, _soft_backup(zeros="as they are")),
        *of_the_next(_soft_backup),
        Mistake(
            "same-action-again",
            "You use Q of the same action at the next state. The next action is drawn anew, from π(·|s′).",
            "Over which letters are the two means in equation (16.7) taken?",
            lambda q, P, R, pi, gamma, alpha: R
            + gamma * (np.einsum("sat,ta->sa", P, q) + alpha * P @ soft.entropy(pi)),
            lambda q, P, R, pi, gamma, alpha: R + gamma * np.einsum("sat,ta->sa", P, q + alpha * surprise(pi)),
        ),
        Mistake(
            "own-policy",
            "You draw the next action by the policy of the state that is *left*. It is drawn at s′, from π(·|s′).",
            "Which row of π says what happens at s′?",
            lambda q, P, R, pi, gamma, alpha: R
            + gamma * np.einsum("sat,tb,sb->sa", P, q, pi) + gamma * alpha * soft.entropy(pi)[:, None],
        ),
        Mistake(
            "in-place-sweep",
            "Later entries read the new values of earlier ones. That is a fine way to *find* Q^π, but it is not B^π q: "
            "every entry is to be backed up from the same old q.",
            "Does your loop write into the array that it reads from?",
            _soft_backup(way="rows"),
            _soft_backup(way="entries"),
            _backup_into_q,
        ),
    ],
    also_correct=[
        _soft_backup(),
        _soft_backup_by_loop,
        _augmented_reward_backup,
        lambda q, P, R, pi, g, alpha: R + g * np.einsum("sat,tb,tb->sa", P, pi, q + alpha * surprise(pi)),
        lambda q, P, R, pi, g, alpha: (P * (R[:, :, None] + g * soft.soft_value(q, pi, alpha))).sum(axis=2),
    ],
)  # fmt: skip

# ------------------------------------------------------------------------ soft_policy_evaluation


def _evaluation_cases(rng: np.random.Generator) -> list[Case]:
    def of(P, R, pi, gamma, alpha) -> dict:
        return {"P": P, "R": R, "pi": pi, "gamma": gamma, "alpha": alpha}

    def inputs(rng, P, R, pi, gamma) -> dict:
        return of(P, R, pi, gamma, _table(rng, P, R, pi, gamma)["alpha"])

    def case(name, n_states, n_actions, gamma, alpha, *tags, pi=None, scale=1.0) -> Case:
        P, R = random_mdp(rng, n_states, n_actions)
        pi = random_policy(rng, n_states, n_actions) if pi is None else pi
        return Case(name, of(P, R * scale, pi, gamma, alpha), tags)

    return [
        *mdp_cases(inputs, gamma_one=False)(rng),
        case("γ near 1", 5, 3, 0.99, 0.5, "γ = 0.99"),
        case("α = 0", 4, 3, 0.9, 0.0, "α = 0"),
        case("α = 0 and rows with zeros", 4, 3, 0.8, 0.0, "α = 0", "zeros", pi=with_zeros(rng, 4, 3)),
        case("rows with zeros", 5, 4, 0.9, 0.6, "zeros", pi=with_zeros(rng, 5, 4)),
        case("very large rewards", 4, 3, 0.5, 30.0, scale=1e5),
        case("more actions than states", 2, 6, 0.9, 0.5),
    ]  # fmt: skip


@composable
def _solved(
    sign: int = 1,
    tempered: str = "α",
    bonus: str = "beside r",
    of_reward: int = 0,
    of_last: int = 1,
    returned: str = "q",
    matrix_sign: int = -1,
    transposed: bool = False,
    log_weighed: bool = True,
    zeros: str = "left out",
) -> Callable:
    """Q^π by a linear system for V, with its parts exchangeable.

    bonus: "beside r", "once" after solving, or "first" for the first action as well;
    of_last: the power of γ in the last look ahead.
    """

    def soft_policy_evaluation(P, R, pi, gamma, alpha):
        n = len(R)
        price = {"α": alpha, "1": 1.0, "none": 0.0}[tempered] * sign
        h = price * (surprise(pi, zeros) * (pi if log_weighed else 1.0)).sum(axis=1)
        r_pi = float(gamma) ** of_reward * (pi * R).sum(axis=1)
        P_pi = policy_transition(P, pi)
        left = np.eye(n) + matrix_sign * gamma * (P_pi.T if transposed else P_pi)
        v = np.linalg.solve(left, r_pi + (0 if bonus == "once" else h))
        v = v + h if bonus == "once" else v
        if returned == "v":
            return v
        q = R + float(gamma) ** of_last * (P @ v)
        return q + h[:, None] if bonus == "first" else q

    return soft_policy_evaluation


def _by_backups(n_sweeps: int | None = None, tolerance: float = 0.0, start: str = "0") -> Callable:
    """So many backups from 0, or until no entry changes by more than the tolerance."""

    def soft_policy_evaluation(P, R, pi, gamma, alpha):
        q = np.zeros(R.shape) if start == "0" else R.copy()
        for _ in range(n_sweeps or 5000):
            old, q = q, soft.soft_bellman_backup(q, P, R, pi, gamma, alpha)
            if n_sweeps is None and np.abs(q - old).max() <= tolerance:
                break
        return q

    return soft_policy_evaluation


def _hard_values(P, R, pi, gamma):
    """Lesson 02's Q^π."""
    return dp.q_from_v(dp.solve_bellman(P, R, pi, gamma), P, R, gamma)


def _system_of_pairs(P, R, pi, gamma, alpha, of_bonus: int = 1):
    """(I − γPπ) q = r + γ^of_bonus α P H for the S·A pairs."""
    reward = R + float(gamma) ** of_bonus * alpha * (P @ soft.entropy(pi))
    move = np.einsum("sat,tb->satb", P, pi).reshape(R.size, R.size)
    return np.linalg.solve(np.eye(R.size) - gamma * move, reward.ravel()).reshape(R.shape)


def _apart(P, R, pi, gamma, alpha):
    """Values of the rewards and of the bonuses, each for itself."""
    system = np.linalg.inv(np.eye(len(R)) - gamma * policy_transition(P, pi))
    rewards, bonuses = system @ dp.v_from_q(R, pi), system @ soft.entropy(pi)
    return R + gamma * P @ rewards + gamma * alpha * P @ bonuses


soft_policy_evaluation = Exercise(
    "soft_policy_evaluation",
    reference=soft.soft_policy_evaluation,
    cases=_evaluation_cases,
    returns=array(),
    points=2,
    equation="(16.11)",
    # Backups until nothing changes by 1e-12 are right too, and leave 1e-10 at γ = 0.99.
    rtol=1e-8,
    atol=1e-9,
    parts=["q_from_v"],
    mistakes=[
        Mistake(
            "no-entropy",
            "Your right-hand side is r^π alone: these are lesson 02's values. Every state on the way pays α H: it belongs "
            "beside r^π.",
            "Which argument have you not used?",
            _solved(tempered="none"),
        ),
        Mistake(
            "first-step-entropy",
            FIRST_STEP + " V has that bonus; Q(s, a) = r + γ P V has not.",
            "What is Q(s, a) for γ = 0?",
            _solved(bonus="first"),
            lambda P, R, pi, gamma, alpha: _solved()(P, R, pi, gamma, alpha) + alpha * surprise(pi),
        ),
        Mistake(
            "returns-v",
            "You return V, one number a state. One more look ahead makes Q out of V.",
            "What is the shape of your result? How does equation (16.7) get from V to Q?",
            _solved(returned="v"),
            _solved(returned="v", zeros="as they are"),
        ),
        Mistake(
            "bonus-once",
            "You solve for the rewards and add the bonus afterwards. It is paid at *every* step: it has to go through the "
            "linear system.",
            "How often is the bonus paid on the way?",
            _solved(bonus="once"),
            lambda P, R, pi, gamma, alpha: _hard_values(P, R, pi, gamma) + alpha * soft.entropy(pi)[:, None],
        ),
        Mistake(
            "gamma-free-reward",
            "Your augmented reward lacks a γ: r + α E[H(s′)]. The *next* state's bonus comes a step later, so it counts γ "
            "of itself.",
            "At which step is the bonus of s′ paid? What should Q be for γ = 0?",
            lambda *given: _system_of_pairs(*given, of_bonus=0),
            lambda P, R, pi, gamma, alpha: _hard_values(P, R + alpha * P @ soft.entropy(pi), pi, gamma),
        ),
        Mistake(
            "too-few-backups",
            "You stop after a fixed number of backups, or too early: they have not settled. With γ = 0.99 ten backups have "
            "removed a tenth of the error.",
            "By which factor does a backup bring you nearer to Q^π? A linear system needs none.",
            *(_by_backups(n) for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
            *(_by_backups(tolerance=size) for size in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)),
            *(_by_backups(n, start="r") for n in (1, 10, 100)),
        ),
        Mistake(
            "plus-gamma",
            "The sign before γ is wrong: bringing γP^πV to the left-hand side turns it into minus.",
            "Start from V = r^π + αH + γP^πV and collect the terms with V.",
            _solved(matrix_sign=1),
        ),
        Mistake(
            "transposed",
            "You solve with the transpose of P^π. That is the occupancy's equation (lesson 01); values flow the other way.",
            "Row s of equation (16.11) talks about the states reached *from* s.",
            _solved(transposed=True),
        ),
        Mistake("sign", *NAMES_OF_THE_BONUS["sign"], _solved(sign=-1)),
        Mistake("no-temperature", *NAMES_OF_THE_BONUS["no-temperature"], _solved(tempered="1")),
        Mistake("zero-log-zero", ZERO, ZERO_NEXT, _solved(zeros="as they are")),
        Mistake(
            "log-not-weighted",
            "You add up −α log π without weights. The bonus is the *expected* surprise: weigh it by π.",
            "Compute the bonus by your `entropy`, and compare.",
            _solved(log_weighed=False),
        ),
        Mistake(
            "no-gamma",
            "In the last look ahead, from V to Q, γ is missing: V is worth γ of itself there.",
            "What should Q be for γ = 0?",
            _solved(of_last=0),
        ),
        Mistake(
            "gamma-on-reward",
            "You discount the reward too. It comes now; only what comes a step later is discounted.",
            "What should come out at γ = 0?",
            _solved(of_reward=1),
        ),
        Mistake(
            "optimal-values",
            "You return the values of the soft-optimal policy. These are those of π.",
            "Where does `pi` enter your function?",
            lambda P, R, pi, gamma, alpha: soft.soft_policy_iteration(P, R, gamma, alpha, 1e-11)[1]
            if alpha > 0
            else dp.value_iteration(P, R, gamma, 1e-12)[0],
        ),
    ],
    also_correct=[
        _solved(),
        _system_of_pairs,
        _apart,
        _by_backups(tolerance=1e-14),
        _by_backups(tolerance=1e-12),
        lambda P, R, pi, gamma, alpha: _hard_values(
            P, R + gamma * alpha * P @ soft.entropy(pi), pi, gamma
        ),
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------ soft_improvement


def _improvement_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n_states, n_actions, alpha, *tags, scale=2.0, shift=0.0) -> Case:
        q = rng.normal(size=(n_states, n_actions)) * scale + shift
        return Case(name, {"q": q, "alpha": alpha}, tags)

    def given(name, q, alpha, *tags) -> Case:
        return Case(name, {"q": np.asarray(q, dtype=float), "alpha": alpha}, tags)

    # Between rows thousands of nats, within a row a few: each row has a maximum of its own.
    steps = np.linspace(-1e5, 1e5, 5)[rng.permutation(5)]
    apart = steps[:, None] + rng.normal(size=(5, 3)) * 20
    spread = np.array([[0.0, -0.3, 0.3], [0.3, 0.2999, -0.3], [-0.1, -0.1001, -0.1002]])
    return [
        case("four states, three actions", 4, 3, 0.5),
        case("the same shapes, a higher temperature", 4, 3, 3.0),
        case("as many states as actions", 4, 4, 2.0, "S = A"),
        case("α = 1", 5, 3, 1.0, "α = 1"),
        case("values all negative", 4, 3, 0.7, "negative values", shift=-20.0),
        given("values that tie", [[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]], 0.5),
        given("rows far from each other", apart, 20.0, "large"),
        case("values near 100,000", 4, 3, 1.5, "large", shift=1e5),
        case("values near −100,000", 4, 3, 1.5, "large", shift=-1e5),
        given("6000 nats from best to worst", spread, 1e-4, "large"),
        given("one value far above the others", [[1e5, 0.0, -1e5], [0.0, 1.0, 1e5]], 50.0, "large"),
        case("a temperature of 100", 4, 3, 100.0, scale=60.0),
        case("one state", 1, 4, 0.5, "S = 1"),
        case("one action", 4, 1, 0.5, "A = 1"),
        case("more actions than states", 2, 6, 1.5),
    ]  # fmt: skip


SCALES: dict[str, Callable] = {
    "divided": lambda q, alpha: q / alpha,
    "times": lambda q, alpha: q * alpha,
    "none": lambda q, alpha: q,
    "root": lambda q, alpha: q / np.sqrt(alpha),
    "twice": lambda q, alpha: q / (2 * alpha),
}
SHIFTS: dict[str, Callable] = {
    "row": lambda x: x.max(axis=1, keepdims=True),
    "none": lambda x: 0.0,
    "table": lambda x: x.max(),
    "row's mean": lambda x: x.mean(axis=1, keepdims=True),
    "column": lambda x: x.max(axis=0, keepdims=True),
}


@composable
def _softmax(
    scale: str = "divided",
    shift: str = "row",
    sign: int = 1,
    over: int | None = 1,
    normalised: bool = True,
    log: bool = False,
) -> Callable:
    """The softmax with its parts exchangeable; over: what the weights are normalised over."""

    def soft_improvement(q, alpha):
        x = sign * SCALES[scale](q, alpha)
        weight = np.exp(x - SHIFTS[shift](x))
        if not normalised:
            return weight
        pi = weight / weight.sum(axis=over, keepdims=True)
        return np.log(pi) if log else pi

    return soft_improvement


def _softmax_transposed(q, alpha):
    x = q / alpha
    weight = np.exp(x - x.max(axis=0))
    return weight / weight.sum(axis=0)


def _softmax_by_quotients(q, alpha):
    """1 / Σ_b e^{(q_b − q_a)/α}; e^{…} may be infinite, its inverse is 0."""
    return 1 / np.exp((q[:, None, :] - q[:, :, None]) / alpha).sum(axis=2)


def _softmax_by_value(q, alpha):
    v = alpha * np.logaddexp.reduce(q / alpha, axis=1)
    return np.exp((q - v[:, None]) / alpha)


def _softmax_by_loop(q, alpha):
    pi = np.zeros(q.shape)
    for s, row in enumerate(q):
        weight = [np.exp((x - max(row)) / alpha) for x in row]
        pi[s] = np.array(weight) / sum(weight)
    return pi


soft_improvement = Exercise(
    "soft_improvement",
    reference=soft.soft_improvement,
    cases=_improvement_cases,
    returns=array(),
    points=2,
    equation="(16.13)",
    mistakes=[
        Mistake(
            "overflow",
            "e^{1000} is inf, and inf/inf is NaN; e^{−1000} is 0, and so is the sum of a row of them. Subtract the row's "
            "maximum first: the quotient stays the same.",
            "By how much may all values of a row be shifted without any change of its probabilities?",
            _softmax(shift="none"),
            _softmax(shift="row's mean"),
        ),
        Mistake(
            "table-maximum",
            "You subtract the largest value of the whole table: a row far below the best state becomes 0/0. Each row has "
            "its own maximum.",
            "Which axis does your maximum run along, and does it keep that axis?",
            _softmax(shift="table"),
            _softmax(shift="column"),
        ),
        Mistake(
            "times-alpha",
            "You multiply by α. A high temperature must make the policy *more* random: divide.",
            "What should the policy be for a very large α?",
            _softmax(scale="times"),
            _softmax(scale="times", shift="none"),
        ),
        Mistake(
            "no-temperature",
            "α is not used. It sets how much a difference in Q matters.",
            "Which argument have you not used?",
            _softmax(scale="none"),
            _softmax(scale="none", shift="none"),
        ),
        Mistake(
            "other-temperature",
            "You divide by something made of α, and not by α itself.",
            "Set the derivative of Σπ(Q − α log π) to 0 once more: what stands in the exponent?",
            _softmax(scale="root"),
            _softmax(scale="twice"),
        ),
        Mistake(
            "greedy",
            "You take the best action for sure. That is α → 0. The best *soft* policy stays random.",
            "What should the policy be for a very large α?",
            lambda q, alpha: dp.greedy_policy(q),
            lambda q, alpha: (q == q.max(axis=1, keepdims=True)).astype(float),
            lambda q, alpha: (lambda best: best / best.sum(axis=1, keepdims=True))(
                (q == q.max(axis=1, keepdims=True)).astype(float)
            ),
        ),
        Mistake(
            "wrong-axis",
            "You normalise over the states, or over the whole table. Each state's row is a distribution.",
            "What do your rows sum to?",
            _softmax(over=0),
            _softmax(over=None),
            _softmax(over=0, shift="none"),
            _softmax(over=None, shift="none"),
            _softmax(over=None, shift="table"),
            _softmax(over=0, shift="table"),
            _softmax_transposed,
        ),
        Mistake(
            "not-normalised",
            "Your weights are not divided by their sum.",
            "What do your rows sum to?",
            _softmax(normalised=False),
            _softmax(normalised=False, shift="none"),
        ),
        Mistake(
            "sign",
            "Better actions get *less*: the sign in the exponent is turned round.",
            "Which action should be the likeliest?",
            _softmax(sign=-1),
            _softmax(sign=-1, shift="none"),
        ),
        Mistake(
            "logarithms",
            "You return log π. The policy itself is asked for.",
            "What should your rows sum to?",
            _softmax(log=True),
        ),
    ],
    also_correct=[
        _softmax(),
        _softmax_by_quotients,
        _softmax_by_value,
        _softmax_by_loop,
    ],
)

# --------------------------------------------------------------------------------- leave_or_stay


def _leaving_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, alpha, n_stay, gain, cost, *tags) -> Case:
        inputs = {"gain": gain, "cost": cost, "n_stay": n_stay, "alpha": alpha}
        return Case(name, inputs, tags)

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def below(n_stay: int, share: float, gain: float, name: str, *tags, alpha: float = 0.0) -> Case:
        """α so much of the threshold c/log m; or a cost for a given α."""
        if alpha:
            return case(name, alpha, n_stay, gain, alpha * np.log(n_stay) / share, *tags)
        cost = between(0.5, 3)
        return case(name, share * cost / np.log(n_stay), n_stay, gain, cost, *tags)

    return [
        below(3, between(0.4, 0.8), between(0.5, 2), "three ways to stay"),
        below(5, between(0.6, 0.9), between(-2, -0.5), "a way out that costs", "negative gain"),
        below(3, between(0.8, 0.94), 0.0, "a way out that pays nothing"),
        below(2, 0.95, between(1, 2), "just below the threshold"),
        below(4, 0.7, between(-1, 1), "α = 1", "α = 1", alpha=1.0),
        case("one way to stay", between(0.5, 2), 1, between(-1, 1), between(0.3, 1.5), "m = 1"),
        case("one way to stay, a high temperature", between(8, 15), 1, between(1, 3), 1.0, "m = 1"),
        case("a very low temperature", 0.01, 3, between(0.5, 2), 1.0, "α near 0"),
        case("a large gain", 0.7, 3, 980.0, 1.0, "a large gain"),
        case("a large loss", 0.7, 3, -980.0, 1.0, "a large gain"),
        below(30, between(0.5, 0.9), between(0.5, 2), "thirty ways to stay"),
        below(3, 1.05, between(0.5, 2), "just above the threshold", "above the threshold"),
        below(5, between(1.5, 4), between(-2, 2), "a high temperature", "above the threshold"),
        below(2, 20.0, between(1, 2), "a very high temperature", "above the threshold"),
        below(4, 2.0, between(-2, 2), "above the threshold, α = 1", "above the threshold", alpha=1.0),
    ]  # fmt: skip


def _stays(kind: str, gain, cost, m, alpha) -> float:
    """m e^{−c/α}, or wrongly so."""
    price = np.exp(-cost / alpha)
    return {
        "right": lambda: m * price,
        "one way": lambda: price,
        "one more": lambda: (m + 1) * price,
        "all alike": lambda: m * price / (m + 1),
        "with the gain": lambda: m * np.exp(-(cost + gain) / alpha),
        "with the gain added": lambda: m * np.exp((gain - cost) / alpha),
        "no α": lambda: m * np.exp(-cost),
        "no cost": lambda: float(m),
        "times α": lambda: m * np.exp(-cost * alpha),
    }[kind]()


PROBABILITIES: dict[str, Callable] = {
    "right": lambda stays, gain, cost, m, alpha: 1 - stays,
    "one step": lambda stays, gain, cost, m, alpha: (
        1 / (1 + m * np.exp((-cost - gain) / alpha))  # softmax of g and −c
    ),
    "two steps": lambda stays, gain, cost, m, alpha: 1 / (1 + stays),
    "staying": lambda stays, gain, cost, m, alpha: stays,
}
VALUES: dict[str, Callable] = {
    "right": lambda gain, cost, m, alpha, p: gain - alpha * np.log(p),
    "in one logarithm": lambda gain, cost, m, alpha, p: alpha * np.log(np.exp(gain / alpha) / p),
    "paid only": lambda gain, cost, m, alpha, p: gain - cost * (1 - p) / p,
    "sign": lambda gain, cost, m, alpha, p: gain + alpha * np.log(p),
    "gain": lambda gain, cost, m, alpha, p: gain,
    "log p without α": lambda gain, cost, m, alpha, p: gain - np.log(p),
    "bonus at the end": lambda gain, cost, m, alpha, p: (
        gain + alpha * np.log(m + 1) - alpha * np.log(p)
    ),
    "softmax": lambda gain, cost, m, alpha, p: (
        alpha * np.logaddexp(gain / alpha, np.log(m) - cost / alpha)
    ),
    "divided": lambda gain, cost, m, alpha, p: gain / alpha - np.log(p),
    "no gain": lambda gain, cost, m, alpha, p: -alpha * np.log(p),
}


@composable
def _left(
    stays: str = "right",
    p: str = "right",
    value: str = "right",
    above: str = "infinite",
    exchanged: bool = False,
) -> Callable:
    """Both results with their parts exchangeable; above: what is said above the threshold.

    "infinite": (inf, 0); "as below": the formulas go on, V is NaN; "clipped": p is 0 there, and V what follows;
    "gain": (gain, 1), leaves for sure; "zero": (gain, 0); "never": (−inf, 0).
    """

    def leave_or_stay(gain, cost, n_stay, alpha):
        with np.errstate(all="ignore"):
            stay = _stays(stays, gain, cost, n_stay, alpha)
            threshold = stay >= 1 and p in ("right", "staying")
            answers = {"infinite": (np.inf, 0.0), "gain": (gain, 1.0), "zero": (gain, 0.0),
                       "never": (-np.inf, 0.0), "zeros": (0.0, 0.0), "nan": (np.nan, 0.0)}  # fmt: skip
            if threshold and above in answers:
                v, leave = answers[above]
            else:
                leave = PROBABILITIES[p](stay, gain, cost, n_stay, alpha)
                leave = max(leave, 0.0) if above == "clipped" else leave
                v = VALUES[value](gain, cost, n_stay, alpha, np.float64(leave))
        pair = float(v), float(leave)
        return pair[::-1] if exchanged else pair

    return leave_or_stay


def _all_ways_through(gain, cost, n_stay, alpha):
    """α log Σ_n (m e^{−c/α})^n over all numbers of rounds."""
    ratio = n_stay * np.exp(-cost / alpha)
    if ratio >= 1:
        return np.inf, 0.0
    total, term = 0.0, 1.0
    while term > 1e-18 * total:
        total, term = total + term, term * ratio
    return gain + alpha * np.log(total), 1 / total


def _by_value_iteration(gain, cost, n_stay, alpha):
    """The table with an ending column of zeros, γ = 1; in units of the gain, so that nothing overflows."""
    if n_stay > 1 and alpha >= cost / np.log(n_stay):
        return float("inf"), 0.0
    v, old = 0.0, -1.0  # V − gain
    while v - old > 1e-16 * (1 + v):
        old = v
        v = alpha * np.logaddexp(0.0, np.log(n_stay) + (v - cost) / alpha)
    return gain + v, np.exp(-v / alpha)


AS_BELOW = [
    _left(above="as below"),
    _left(above="gain"),
    _left(above="zero"),
    _left(above="never"),
    _left(above="zeros"),
    _left(above="nan"),
]

leave_or_stay = Exercise(
    "leave_or_stay",
    reference=soft.leave_or_stay,
    cases=_leaving_cases,
    returns=row_of("value", "p_leave"),
    points=2,
    equation="(16.14)",
    mistakes=[
        Mistake(
            "no-threshold",
            "At high temperatures your probability of leaving is negative, or your value is not the limit it stands for. A "
            "negative probability says that no finite V solves the equation: at this temperature wandering earns more "
            "than it costs, round after round.",
            "What does V become in the end, and how often does such an agent leave?",
            *AS_BELOW,
        ),
        Mistake(
            "one-way-to-stay",
            "There is not one action that stays but m (and none besides). Each of them adds its own term to the sum.",
            "How many terms has the sum over a in equation (16.14)?",
            _left(stays="one way"),
            _left(stays="one way", above="as below"),
            _left(stays="one more"),
            _left(stays="one more", above="as below"),
            _left(stays="all alike"),
        ),
        Mistake(
            "one-step",
            "You look one step (or two) ahead. Who stays has the whole state once more: V stands in Q(stay) too.",
            "What is Q of an action that stays? It is not −c alone.",
            _left(p="one step", value="softmax"),
            _left(p="one step"),
            _left(p="two steps"),
            _left(p="two steps", value="softmax"),
        ),
        Mistake(
            "gain-in-the-probability",
            "The gain has come into the probability. A larger gain lifts staying as much as leaving: you will get it anyway.",
            "By how much do V, Q(leave) and Q(stay) change if the gain grows by 1?",
            _left(stays="with the gain"),
            _left(stays="with the gain", above="as below"),
            _left(stays="with the gain added"),
        ),
        Mistake(
            "no-bonus",
            "That is what the agent is *paid* on average. V counts α nats a visit as well.",
            "How large is V − Q(leave), by π = e^{(Q − V)/α}?",
            _left(value="paid only"),
            _left(value="paid only", above="as below"),
        ),
        Mistake(
            "sign",
            "Your value is not above Q(leave). Having the choice is worth something: V lies *above* the gain, by −α log p.",
            "Solve π(leave) = e^{(Q − V)/α} for V.",
            _left(value="sign"),
            _left(value="sign", above="as below"),
            _left(value="gain"),
        ),
        Mistake(
            "no-temperature",
            "α is missing, inside or outside the logarithm. It converts nats into reward, both ways.",
            "Which units has c/α? And α log p?",
            _left(stays="no α"),
            _left(stays="no α", above="as below"),
            _left(value="log p without α"),
            _left(stays="no α", value="log p without α"),
            _left(stays="times α"),
            _left(value="divided"),
        ),
        Mistake(
            "bonus-after-the-end",
            "You add a bonus to the gain. After the end nobody chooses: there is nothing to be random about.",
            "What is Q(leave)?",
            _left(value="bonus at the end"),
        ),
        Mistake(
            "staying",
            "You return the probability of staying.",
            "What should it be for a very low temperature?",
            _left(p="staying"),
        ),
        Mistake(
            "gain-missing",
            "The gain is missing in your value.",
            "Which argument have you not used?",
            _left(value="no gain"),
        ),
        Mistake(
            "cost-missing",
            "The cost is missing: staying would be free, and nobody would ever leave.",
            "Which argument have you not used? What is Q of an action that stays?",
            _left(stays="no cost"),
            _left(stays="no cost", above="as below"),
        ),
        Mistake(
            "results-exchanged",
            "Your two results stand in the other order.",
            "The value comes first, then the probability of leaving.",
            _left(exchanged=True),
        ),
        Mistake(
            "overflow",
            "e^{g/α} is too large for a number, or too small. Take g out of the logarithm on paper first.",
            "What is log(e^{x}/p), without computing e^{x}?",
            _left(value="in one logarithm"),
        ),
    ],
    also_correct=[
        _left(),
        _left(above="clipped"),
        _all_ways_through,
        _by_value_iteration,
        lambda *given: np.array(_left()(*given)),
        lambda gain, cost, n_stay, alpha: (
            (gain - alpha * np.log1p(-np.exp(np.log(n_stay) - cost / alpha)), -np.expm1(np.log(n_stay) - cost / alpha))
            if np.log(n_stay) < cost / alpha
            else (np.inf, 0)
        ),
    ],
)  # fmt: skip

# ------------------------------------------------------------------------- soft_policy_iteration


def _changes(P, R, gamma, alpha) -> list[np.ndarray]:
    """By how much each round after the first moves q, entry by entry, until nothing moves any more."""
    q = soft.soft_policy_evaluation(P, R, np.full(R.shape, 1 / R.shape[1]), gamma, alpha)
    changes = []
    while not changes or np.abs(changes[-1]).max() > 1e-12 * max(1, np.abs(q).max()):
        new = soft.soft_policy_evaluation(P, R, soft.soft_improvement(q, alpha), gamma, alpha)
        changes.append(new - q)
        q = new
        if len(changes) > 50:
            break
    return changes


APART = 1.4  # a change so near to the tolerance might stop one right loop and not another


def _clear(changes: list[np.ndarray], tolerance: float) -> bool:
    """Whether no round's largest change is near the tolerance, and rounding is far below it."""
    sizes = np.array([np.abs(change).max() for change in changes])
    away = (sizes > APART * tolerance) | (sizes < tolerance / APART)
    return bool(away.all() and sizes[-1] < tolerance / 100)


def _iteration_cases(rng: np.random.Generator) -> list[Case]:
    def drawn(n_states, n_actions, branching=None):
        return random_mdp(rng, n_states, n_actions, branching)

    def case(name, make, gamma, alpha, tolerance, *tags) -> Case:
        """make: () -> P, R; tolerance: a number, or changes -> one or None. Drawn again until it is clear."""
        for _ in range(200):
            P, R = make()
            changes = _changes(P, R, gamma, alpha)
            size = (
                tolerance(changes)
                if callable(tolerance)
                else tolerance * float(rng.uniform(0.5, 2))
            )
            if size and _clear(changes, size):
                inputs = {"P": P, "R": R, "gamma": gamma, "alpha": alpha, "tolerance": size}
                return Case(name, inputs, tags)
        raise AssertionError(f"no MDP found for {name!r}")

    def beside_resting(first=0):
        """Four states from `first` on among forty that are settled from the start: all their actions are copies."""
        P, R = np.zeros((44, 3, 44)), np.zeros((44, 3))
        for s in range(44):
            P[s, :, s] = 1.0
            R[s] = rng.normal()
        moving = slice(first, first + 4)
        P[moving] = 0.0
        P[moving, :, moving], R[moving] = drawn(4, 3)
        return P, R

    def aside():
        """One entry moves, once: the last action of state 0, never the best, leads to the one state with a choice."""
        P, R = np.zeros((3, 6, 3)), rng.normal(size=(3, 6))
        P[:, :, 2] = 1.0
        P[0, 5] = 0.0, 1.0, 0.0
        R[0, 5], R[1] = -20.0, 3 * R[1]
        R[2] = R[2, 0]
        return P, R

    def alike():
        """Ten copies of one world of three states: many entries move by the same."""
        P1, R1 = drawn(3, 2)
        P = np.zeros((30, 2, 30))
        for k in range(0, 30, 3):
            P[k : k + 3, :, k : k + 3] = P1
        return P, np.tile(R1, (10, 1))

    def between(of_most, of_few, least=1e-8):
        """A tolerance between two measures of some round's change, the smaller of which stops too soon."""

        def tolerance(changes):
            for change in changes[1:]:
                low, high = of_most(np.abs(change)), of_few(np.abs(change))
                if high > 3 * low and high > least:
                    return float(np.sqrt(max(low, high / 30) * high))
            return None

        return tolerance

    def times(factor, least=1e-7):
        """So many times the largest change of some round after the first improvement."""

        def tolerance(changes):
            sizes = [np.abs(change).max() for change in changes[1:]]
            return (
                factor * float(rng.choice(fine))
                if (fine := [x for x in sizes if x > least])
                else None
            )

        return tolerance

    def mostly(change):
        return np.sqrt((change**2).mean())

    return [
        case("four states, three actions", lambda: drawn(4, 3), 0.9, 0.5, 1e-8),
        case("as many states as actions", lambda: drawn(4, 4), 0.8, 1.5, 1e-8, "S = A"),
        case("few reachable states", lambda: drawn(8, 3, 2), 0.9, 0.3, 1e-9),
        case("a low temperature", lambda: drawn(6, 3, 2), 0.9, 0.05, 1e-8, "small α"),
        case("a high temperature", lambda: drawn(5, 4), 0.9, 10.0, 1e-7, "large α"),
        case("α = 1", lambda: drawn(5, 3), 0.85, 1.0, 1e-8, "α = 1"),
        case("γ near 1", lambda: drawn(5, 3, 2), 0.98, 0.5, 1e-7),
        case("a coarse tolerance", lambda: drawn(6, 3, 2), 0.9, 0.5, 0.05, "a coarse tolerance"),
        case("a tolerance that the first improvement meets", lambda: drawn(4, 3), 0.9, 0.5, 1e4,
             "a coarse tolerance"),
        case("most states at rest from the start", beside_resting, 0.9, 0.5, between(np.mean, np.max),
             "most at rest"),
        case("most states at rest, again", lambda: beside_resting(40), 0.9, 0.4, between(mostly, np.max),
             "most at rest"),
        case("an action that is never best learns last", aside, 0.9, 0.5, lambda changes: changes[0].max() / 3),
        case("many states that move alike", alike, 0.9, 0.4, times(1.6), "all alike"),
        case("many states that move alike, again", alike, 0.9, 0.4, times(1 / 5), "all alike"),
        case("many states that move alike, γ = 0.5", alike, 0.5, 0.4, times(4), "all alike"),
        case("a tolerance below the change of a round", lambda: drawn(6, 3, 2), 0.95, 0.5, times(1 / 3)),
        case("a tolerance above the change of a round", lambda: drawn(6, 3, 2), 0.95, 0.5, times(3)),
        case("the policy settles before the values", lambda: drawn(6, 3, 2), 0.95, 2.0,
             lambda changes: 1e-9, "fine"),
        case("one state", lambda: drawn(1, 3), 0.7, 0.5, 1e-8, "S = 1"),
        case("one action", lambda: drawn(4, 1), 0.9, 0.5, 1e-8, "A = 1"),
        case("γ = 0", lambda: drawn(4, 3), 0.0, 0.5, 1e-8, "γ = 0"),
    ]  # fmt: skip


SETTLED: dict[str, Callable] = {
    "largest": lambda d: np.abs(d).max(),
    "mean": lambda d: np.abs(d).mean(),
    "sum": lambda d: np.abs(d).sum(),
    "smallest": lambda d: np.abs(d).min(),
    "signed mean": np.mean,
    "signed sum": np.sum,
    "lowest": np.min,
    "2-norm": lambda d: np.sqrt((d**2).sum()),
    "rms": lambda d: np.sqrt((d**2).mean()),
    "largest square": lambda d: (d**2).max(),
    "mean square": lambda d: (d**2).mean(),
}
MOST = 200

IMPROVED: dict[str, Callable] = {
    "softmax": soft.soft_improvement,
    "greedy": lambda q, alpha: dp.greedy_policy(q),
    "no α": lambda q, alpha: soft.soft_improvement(q, 1.0),
    "times α": lambda q, alpha: soft.soft_improvement(q, 1 / alpha),
}
EVALUATED: dict[str, Callable] = {
    "exactly": lambda q, P, R, pi, gamma, alpha: soft.soft_policy_evaluation(
        P, R, pi, gamma, alpha
    ),
    "one backup": soft.soft_bellman_backup,
    "ten backups": lambda q, P, R, pi, gamma, alpha: _by_backups(10)(P, R, pi, gamma, alpha),
    "without entropy": lambda q, P, R, pi, gamma, alpha: _hard_values(P, R, pi, gamma),
    "first bonus too": lambda q, *rest: _solved(bonus="first")(*rest),
    "no α": lambda q, P, R, pi, gamma, alpha: soft.soft_policy_evaluation(P, R, pi, gamma, 1.0),
}
THRESHOLDS: dict[str, Callable] = {
    "tolerance": lambda tolerance, gamma: tolerance,
    "1e-6": lambda tolerance, gamma: 1e-6,
    "by 1 − γ": lambda tolerance, gamma: tolerance * (1 - gamma),
    "over 1 − γ": lambda tolerance, gamma: tolerance / (1 - gamma),
}


@composable
def _iterating(
    improve: str = "softmax",
    evaluate: str = "exactly",
    measure: str = "largest",
    threshold: str = "tolerance",
    most: int = MOST,
    returned: str = "together",
    counted: int = 0,
    start: str = "uniform",
) -> Callable:
    """Soft policy iteration with its parts exchangeable.

    measure: of q's change, or "argmax" or "policy": what no longer changes;
    returned: "together", "old q", "old pi", "once more" improved, or "old both".
    """

    def soft_policy_iteration(P, R, gamma, alpha, tolerance):
        pi = np.full(R.shape, 1 / R.shape[1])
        if start == "r":
            pi = soft.soft_improvement(R, alpha)
        elif start == "action 0":
            pi = np.eye(R.shape[1])[np.zeros(len(R), dtype=int)]
        q = EVALUATED[evaluate](np.zeros(R.shape), P, R, pi, gamma, alpha)
        if start == "zeros":
            q = np.zeros(R.shape)
        rounds = 0 if start == "zeros" else 1
        done = False
        while not done and rounds < most:
            old_pi, old_q = pi, q
            pi = IMPROVED[improve](q, alpha)
            q = EVALUATED[evaluate](q, P, R, pi, gamma, alpha)
            rounds += 1
            limit = THRESHOLDS[threshold](tolerance, gamma)
            if measure == "argmax":
                done = (pi.argmax(axis=1) == old_pi.argmax(axis=1)).all()
            elif measure == "policy":
                done = np.abs(pi - old_pi).max() < limit
            else:
                done = SETTLED[measure](q - old_q) < limit
        pair = {
            "together": lambda: (pi, q),
            "old q": lambda: (pi, old_q),
            "old pi": lambda: (old_pi, q),
            "old both": lambda: (old_pi, old_q),
            "once more": lambda: (IMPROVED[improve](q, alpha), q),
        }[returned]()
        return *pair, rounds + counted

    return soft_policy_iteration


def _with_log_pi(P, R, gamma, alpha, tolerance):
    """log π kept in place of π, and the S·A system."""
    log_pi = np.full(R.shape, -np.log(R.shape[1]))
    q, rounds, moved = None, 0, np.inf
    while True:
        old, q = q, _system_of_pairs(P, R, np.exp(log_pi), gamma, alpha)
        rounds += 1
        moved = np.inf if old is None else np.abs(q - old).max()
        if moved <= tolerance:
            return np.exp(log_pi), q, rounds
        log_pi = q / alpha - np.logaddexp.reduce(q / alpha, axis=1, keepdims=True)


def _with_backups(P, R, gamma, alpha, tolerance):
    pi, q, rounds = np.full(R.shape, 1 / R.shape[1]), np.full(R.shape, np.inf), 0
    while True:
        old, q, rounds = q, _by_backups(tolerance=1e-15)(P, R, pi, gamma, alpha), rounds + 1
        if np.abs(q - old).max() < tolerance:
            return pi, q, rounds
        pi = soft.soft_improvement(q, alpha)


def _with_inverse(P, R, gamma, alpha, tolerance):
    pi, rounds = np.full(R.shape, 1 / R.shape[1]), 1
    q = _apart(P, R, pi, gamma, alpha)
    while True:
        pi, rounds, old = soft.soft_improvement(q, alpha), rounds + 1, q
        q = _apart(P, R, pi, gamma, alpha)
        if not (np.abs(q - old) >= tolerance).any():
            return pi, q, rounds


def _soft_value_iteration(P, R, gamma, alpha, tolerance):
    """No policy on the way: V = α log Σ e^{Q/α}, backed up."""
    q, rounds = np.zeros(R.shape), 0
    while rounds < 3000:
        old, q, rounds = q, R + gamma * P @ _log_sum_exp(q, alpha), rounds + 1
        if np.abs(q - old).max() < tolerance:
            break
    return soft.soft_improvement(q, alpha), q, rounds


TEST_ON_Q = "When your test says stop: has Q settled, or only what you looked at?"

soft_policy_iteration = Exercise(
    "soft_policy_iteration",
    reference=soft.soft_policy_iteration,
    cases=_iteration_cases,
    returns=several(pi=array(), q=array(), rounds=integer()),
    points=3,
    equation="(16.17)",
    # Evaluations that leave 1e-12 are right too; divided by a small α they leave 1e-10 in π.
    rtol=1e-8,
    atol=1e-9,
    mistakes=[
        Mistake(
            "one-improvement",
            "You improve once and return. Better is not best: repeat until Q stops rising.",
            "Where is the loop around evaluating and improving? And if there is one: is the q that you compare with a copy?",
            _iterating(most=2),
            _iterating(most=2, returned="old q"),
        ),
        Mistake(
            "one-backup",
            "You make one backup (or a few) for each policy. Evaluation is exact here; one backup a round is soft value "
            "iteration, which needs far more rounds.",
            "Which function of this lesson gives Q^π exactly?",
            _iterating(evaluate="one backup", most=3000),
            _iterating(evaluate="one backup", start="zeros", most=3000),
            _iterating(evaluate="ten backups"),
            _soft_value_iteration,
        ),
        Mistake(
            "greedy-improvement",
            "You take the best action for sure. Hard improvement throws the entropy away that the next evaluation pays for.",
            "Which policy maximises Σπ(Q − α log π)?",
            _iterating(improve="greedy"),
            _iterating(improve="greedy", most=2),
        ),
        Mistake(
            "evaluates-without-entropy",
            "You evaluate as in lesson 02. The values must include the bonus that they are improved for.",
            "What becomes of α in your evaluation?",
            _iterating(evaluate="without entropy"),
        ),
        Mistake(
            "improves-without-temperature",
            "Your improvement does not divide by α: it is the best policy at another temperature.",
            "What stands in the exponent of equation (16.13)?",
            _iterating(improve="no α"),
            _iterating(improve="times α"),
        ),
        Mistake(
            "evaluates-without-temperature",
            "Your evaluation pays the bonus at another temperature than α.",
            "What becomes of α in your evaluation?",
            _iterating(evaluate="no α"),
        ),
        Mistake(
            "first-step-entropy",
            FIRST_STEP + " Your evaluation counts it.",
            "What is Q(s, a) for γ = 0?",
            _iterating(evaluate="first bonus too"),
        ),
        Mistake(
            "stale-values",
            "Your pi and q belong to different policies: q is that of the policy before, or pi was improved once more. They "
            "must belong together.",
            "Evaluate the pi that you return, and compare with your q.",
            _iterating(returned="old q"),
            _iterating(returned="old pi"),
            _iterating(returned="once more"),
        ),
        Mistake(
            "last-round-thrown-away",
            "You return policy and values of the round *before* the last. The round that found them settled has made them "
            "better.",
            "Which of your two tables do you return, the old one or the new one?",
            _iterating(returned="old both"),
        ),
        Mistake(
            "policy-settled",
            "You stop when the *policy* no longer changes. The test is on Q: a policy may look settled while its values "
            "still move.",
            TEST_ON_Q,
            _iterating(measure="argmax"),
            _iterating(measure="policy"),
        ),
        Mistake(
            "mean-or-signed-change",
            "You look at the mean, the sum or the smallest of the changes, or at one with its sign. One entry may still rise "
            "while the others rest: take the largest, of absolute values.",
            "Can your number be small while one of a hundred entries still moves by 1? And large while none moves by more "
            "than `tolerance`?",
            *(
                _iterating(measure=how)
                for how in (
                    "mean", "sum", "smallest", "signed mean", "signed sum", "lowest", "2-norm", "rms"
                )
            ),
        ),
        Mistake(
            "changes-squared",
            *STOPPING["changes-squared"],
            _iterating(measure="largest square"),
            _iterating(measure="mean square"),
        ),
        Mistake(
            "other-threshold",
            "You do not compare with `tolerance` itself but with another number.",
            "Where does `tolerance` enter your test?",
            *(_iterating(threshold=how) for how in THRESHOLDS if how != "tolerance"),
        ),
        Mistake(
            "first-round-not-counted",
            "Your number of rounds is one too small. The evaluation of the uniform policy was a round too, and so is the "
            "last one.",
            "Which is the smallest number of rounds that is possible?",
            _iterating(counted=-1),
        ),
        Mistake(
            "counts-one-too-many",
            "Your number of rounds is one too large: count the evaluations that were made.",
            "How many evaluations does it take if all actions are copies of each other?",
            _iterating(counted=1),
        ),
        Mistake(
            "other-start",
            "Where you end is right, but your rounds are not those asked for. So it is with another first policy than the "
            "uniform one.",
            "Which policy is evaluated in the first round? If you start from a table of zeros, the uniform policy is your "
            "*second*.",
            _iterating(start="r"),
            _iterating(start="action 0"),
            _iterating(start="zeros"),
        ),
    ],
    also_correct=[
        _iterating(),
        _with_log_pi,
        _with_backups,
        _with_inverse,
    ],
)  # fmt: skip

LESSON = Lesson(
    "16",
    "Maximum entropy",
    [
        entropy,
        soft_value,
        soft_bellman_backup,
        soft_policy_evaluation,
        soft_improvement,
        leave_or_stay,
        soft_policy_iteration,
    ],
)
