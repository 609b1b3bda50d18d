"""Lesson 03: optimality and dynamic programming."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    array,
    composable,
    integer,
    number,
    several,
)
from rlcourse.checker.harness import Case, Outcome
from rlcourse.checker.material import random_mdp
from rlcourse.tabular import dynamic_programming as dp
from rlcourse.tabular.mdp import two_corridors

from .lesson_02 import (
    DIFFERENCES,
    GAMMA_ON_REWARD,
    MAX_SWEEPS,
    NEVER,
    OTHER_NORMS,
    SQUARES,
    THRESHOLDS,
    mdp_cases,
    never_settles,
    of_the_next,
    settled,
    sweep_mdps,
)
from .targets import (
    COUNT_GAMMA,
    GAMMA_MISPLACED,
    NO_GAMMA,
    REWARD_MISSING,
    STOPPING,
    looked_ahead,
)

# --------------------------------------------------------------------------------- greedy_policy


def _rows(rng: np.random.Generator) -> list[Case]:
    def case(name, q, *tags) -> Case:
        return Case(name, {"q": np.asarray(q, dtype=float)}, tags)

    ties = rng.integers(3, size=(30, 4)).astype(float)
    ties[0] = 1.0
    near = np.array([[1.0, 1.0 + 1e-7, 0.0], [2.0, 0.0, 2.0 + 1e-7]])
    return [
        case("four states, three actions", rng.normal(size=(4, 3))),
        case("the same shape again, other numbers", rng.normal(size=(4, 3))),
        case("as many states as actions", rng.normal(size=(4, 4)), "S = A"),
        case("two actions", rng.normal(size=(5, 2))),
        case("values that tie", ties, "ties"),
        case("a tie of the last two", [[0.0, 1.0, 1.0], [3.0, -1.0, 3.0]], "ties"),
        case("values that differ by 1e-7", near),
        case("values all negative", rng.normal(size=(4, 3)) - 9.0, "negative values"),
        case("one state", rng.normal(size=(1, 5)), "S = 1"),
        case("one action", rng.normal(size=(4, 1)), "A = 1"),
        case("more actions than states", rng.normal(size=(2, 6))),
    ]


def _best(q: np.ndarray) -> np.ndarray:
    return (q == q.max(axis=1, keepdims=True)).astype(float)


def _nearly_best(q: np.ndarray) -> np.ndarray:
    return np.isclose(q, q.max(axis=1, keepdims=True)).astype(float)


def _shared(best: np.ndarray) -> np.ndarray:
    return best / best.sum(axis=1, keepdims=True)


def _set_for_each_state(q):
    pi = np.zeros(q.shape)
    pi[np.arange(len(q)), q.argmax(axis=0)] = 1.0
    return pi


def _greedy_tells(_case: Case, value: np.ndarray, reference: np.ndarray) -> str:
    if not np.isin(value, (0.0, 1.0)).all():
        return (
            "A greedy policy is sure of its action, but your rows hold other numbers than 0 and 1."
        )
    if (value.sum(axis=1) != 1).any():
        return "A policy takes one action in each state, but not all of your rows sum to 1."
    wrong = (value != reference).any(axis=1).sum()
    return f"Your policy takes another action than the first of the best in {wrong} of {len(value)} states."


def _greedy_by_loop(q):
    pi = np.zeros(q.shape)
    for s in range(q.shape[0]):
        best = 0
        for a in range(1, q.shape[1]):
            if q[s, a] > q[s, best]:
                best = a
        pi[s, best] = 1.0
    return pi


def _greedy_from_0(q, none):
    """none: whether a row without a positive value gets no action, or the first."""
    pi = np.zeros(q.shape)
    for s, row in enumerate(q):
        best, action = 0.0, None if none else 0
        for a, value in enumerate(row):
            if value > best:
                best, action = value, a
        if action is not None:
            pi[s, action] = 1.0
    return pi


def _greedy_by_put(q):
    pi = np.zeros_like(q)
    np.put_along_axis(pi, q.argmax(axis=1)[:, None], 1.0, axis=1)
    return pi


def _greedy_by_cumsum(q):
    best = _best(q)
    return best * (best.cumsum(axis=1) == 1)


greedy_policy = Exercise(
    "greedy_policy",
    reference=dp.greedy_policy,
    cases=_rows,
    returns=array(),
    points=1,
    equation="(3.2)",
    tells=_greedy_tells,
    mistakes=[
        Mistake(
            "values",
            "You return the largest *value*. A policy says how likely each action is, not what it is worth.",
            "What do the rows of a policy sum to?",
            lambda q: q.max(axis=1),
            lambda q: q.max(axis=1, keepdims=True),
            lambda q: q.max(axis=1).tolist(),
            lambda q: np.repeat(q.max(axis=1, keepdims=True), q.shape[1], axis=1),
            lambda q: _best(q) * q,
        ),
        Mistake(
            "indices",
            "You return which action is best, one index a state. Make rows of probabilities of them.",
            "What is the shape of `pi[s, a]`? And of your result?",
            lambda q: q.argmax(axis=1),
            lambda q: q.argmax(axis=1).astype(float),
            lambda q: q.argmax(axis=1)[:, None],
            lambda q: q.argmax(axis=1).tolist(),
        ),
        Mistake(
            "splits-ties",
            "Where several actions are best you give each an equal share. That is optimal too, but here the *first* is "
            "asked for.",
            "Which index does `argmax` give on a tie?",
            lambda q: _shared(_best(q)),
            lambda q: _shared(_nearly_best(q)),
        ),
        Mistake(
            "all-the-best",
            "Where several actions are best you give each of them probability 1: such rows sum to more than 1.",
            "Print the sums of your rows.",
            _best,
            _nearly_best,
        ),
        Mistake(
            "last-index",
            "Where several actions are best you take the last one. On a tie the first index wins.",
            "If you compare in a loop: is it `>` or `>=`?",
            lambda q: np.eye(q.shape[1])[q.shape[1] - 1 - q[:, ::-1].argmax(axis=1)],
        ),
        Mistake(
            "wrong-axis",
            "You look for the best *state* of each action. Each state, a row, chooses among its actions.",
            "Along which axis does `argmax` have to run?",
            lambda q: np.eye(q.shape[0])[q.argmax(axis=0)].T,
            lambda q: np.eye(q.shape[0])[q.argmax(axis=0)],
            lambda q: np.eye(q.shape[1])[q.argmax(axis=0)],
            lambda q: (q == q.max(axis=0)).astype(float),
            lambda q: q.argmax(axis=0),
            _set_for_each_state,
        ),
        Mistake(
            "worst-action",
            "You take the action of the *smallest* value. Greedy is the best one.",
            "`argmin` or `argmax`?",
            lambda q: np.eye(q.shape[1])[q.argmin(axis=1)],
        ),
        Mistake(
            "largest-size",
            "You take the value that is farthest from 0. −9 is large in size, and still worse than −1.",
            "What should come out for a row of negative values?",
            lambda q: np.eye(q.shape[1])[np.abs(q).argmax(axis=1)],
        ),
        Mistake(
            "best-starts-at-0",
            "Your search begins with 0 as the best value so far: in a row of negative values nothing beats it.",
            "What does your loop do with the row [−2, −1]?",
            partial(_greedy_from_0, none=True),
            partial(_greedy_from_0, none=False),
        ),
        Mistake(
            "proportional",
            "Your rows give better actions a greater share (a softmax, or the values over their sum). A greedy policy is "
            "sure of its action.",
            "Which entries of a greedy policy are neither 0 nor 1?",
            lambda q: _shared(np.exp(q)),
            lambda q: _shared(np.exp(q - q.max(axis=1, keepdims=True))),
            _shared,
        ),
        Mistake(
            "one-action-for-all",
            "You choose one action for the whole table. Each state chooses its own.",
            "Which axis does your `argmax` run along? How many indices does it give?",
            lambda q: np.eye(q.shape[1])[np.full(len(q), q.argmax() % q.shape[1])],
            lambda q: np.eye(q.shape[1])[q.argmax()],
            lambda q: (q == q.max()).astype(float),
        ),
    ],
    also_correct=[_greedy_by_loop, _greedy_by_put, _greedy_by_cumsum],
)

# --------------------------------------------------------------------- bellman_optimality_backup


def _optimality_by_loop(q, P, R, gamma):
    new = np.zeros(R.shape)
    for s, a in np.ndindex(R.shape):
        new[s, a] = R[s, a] + gamma * sum(P[s, a, t] * max(q[t]) for t in range(len(q)))
    return new


NEXT_VALUES: dict[str, Callable] = {
    "max": np.max,
    "mean": np.mean,
    "min": np.min,
    "sum": np.sum,
    "index": np.argmax,
}


@composable
def optimality_backup(
    of: str = "max",
    of_reward: int | None = 0,
    of_next: int = 1,
    to: str = "expected",
    axis: int = 1,
    way: str = "at once",
) -> Callable:
    """T* with its parts exchangeable.

    of: what becomes of the next actions' values; axis: what that runs over; way: "at once", or with
    later "rows" or later "entries" reading the new values of earlier ones.
    """
    value = NEXT_VALUES[of]

    def bellman_optimality_backup(q, P, R, gamma):
        v = value(q, axis=axis)
        if way == "at once":
            return looked_ahead(P, R, v, gamma, of_reward, of_next, to)
        q, v = q.copy(), np.array(v, dtype=float)
        now = np.zeros(R.shape) if of_reward is None else float(gamma) ** of_reward * R
        later = float(gamma) ** of_next
        for s in range(len(q)):
            for a in range(q.shape[1]):
                if way == "rows" and a:
                    break
                entry = s if way == "rows" else (s, a)
                if to == "expected":
                    q[entry] = now[entry] + later * P[entry].dot(v)
                else:
                    q[entry] = looked_ahead(P, R, v, gamma, of_reward, of_next, to)[entry]
                v[s] = q[s].max() if of == "max" else value(q[s])
        return q

    return bellman_optimality_backup


bellman_optimality_backup = Exercise(
    "bellman_optimality_backup",
    reference=dp.bellman_optimality_backup,
    cases=mdp_cases(
        lambda rng, P, R, pi, g: {"q": rng.normal(size=R.shape) * 3 - 1, "P": P, "R": R, "gamma": g}
    ),
    returns=array(),
    points=2,
    equation="(3.6)",
    mistakes=[
        Mistake(
            "mean-over-actions",
            "You average over the next actions: that evaluates the uniform policy. The best action is asked for.",
            "Compare equation (3.6) with the backup of lesson 02. What has taken the place of the mean?",
            optimality_backup("mean"),
        ),
        Mistake(
            "sum-over-actions",
            "You add up the values of all next actions. Only one is taken: the best.",
            "Compare equation (3.6) with the backup of lesson 02. What has taken the place of the mean?",
            optimality_backup("sum"),
        ),
        Mistake(
            "worst-action",
            "You take the smallest value of the next actions. The best action is asked for.",
            "`min` or `max`?",
            optimality_backup("min"),
        ),
        Mistake(
            "index-for-value",
            "You use the *index* of the best action. An index is not worth anything: its value is.",
            "What does `argmax` return, and what does `max`?",
            optimality_backup("index"),
        ),
        *of_the_next(optimality_backup, left_out=["own-value"]),
        Mistake(
            "max-outside",
            "Your maximum stands outside the sum over s′: one a′ for all next states. But you see s′ *before* you "
            "choose, so each s′ has its own best action.",
            "In which order do things happen: first s′, or first a′?",
            lambda q, P, R, g: R + g * np.einsum("sat,tb->sab", P, q).max(axis=2),
        ),
        Mistake(
            "wrong-axis",
            "Your maximum runs over the states and gives one number an action. What is needed is the value of each "
            "*state*: a maximum over its actions.",
            "Which axis of q are the actions?",
            optimality_backup(axis=0),
            lambda q, P, R, g: R + g * q.max(axis=0),
        ),
        Mistake(
            "own-max",
            "You use the maximum of the state itself. The one that counts is the *next* state's.",
            "Which argument tells you where an action leads?",
            optimality_backup(to="own"),
        ),
        Mistake(
            "own-entry",
            "You use the entry of s and a itself. What comes next is the value of the *next* state.",
            "Which argument tells you where an action leads?",
            lambda q, P, R, g: R + g * q,
        ),
        Mistake(
            "in-place-sweep",
            "Later entries read the new values of earlier ones. That is a fine way to *find* Q*, but it is not T* q: "
            "every entry is to be backed up from the same old q.",
            "Does your loop write into the array that it reads from?",
            optimality_backup(way="rows"),
            optimality_backup(way="entries"),
        ),
    ],
    also_correct=[
        optimality_backup(),
        _optimality_by_loop,
        lambda q, P, R, g: R + g * np.einsum("sat,t->sa", P, q.max(axis=1)),
        lambda q, P, R, g: R + g * (P @ (dp.greedy_policy(q) * q).sum(axis=1)),
        lambda q, P, R, g: (P * (R[:, :, None] + g * np.sort(q, axis=1)[:, -1])).sum(axis=2),
    ],
)

# ------------------------------------------------------------------------------------ crossroads


def _crossroads_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n_near, n_far, where, *tags, whole=False) -> Case:
        """where: γ, or by how much it lies beyond the discount at which both are worth the same."""
        near = float(rng.uniform(1, 5))
        far = near * float(rng.uniform(1.3, 4))
        if whole:
            near, far = 2, 7
        gamma = where if isinstance(where, float) else where((near / far) ** (1 / (n_far - n_near)))
        inputs = {"near": near, "far": far, "n_near": n_near, "n_far": n_far, "gamma": gamma}
        return Case(name, inputs, tags)

    def above(even: float) -> float:
        return even + (1 - even) * float(rng.uniform(0.2, 0.8))

    def below(even: float) -> float:
        return even * float(rng.uniform(0.4, 0.9))

    return [
        case("the far treasure is worth the walk", 2, 5, above, "far wins"),
        case("the near treasure is worth more", 2, 5, below, "near wins"),
        case("the near treasure one step away", 1, 4, below, "near wins"),
        case("one step from one to the other", 3, 4, above, "far wins"),
        case("one step from one to the other, both near", 1, 2, below, "near wins"),
        case("a long walk", 4, 30, above, "far wins"),
        case("two long walks", 20, 23, below, "near wins"),
        case("rewards that are whole numbers", 2, 4, 0.8, whole=True),
        case("γ = 0, a treasure at the first step", 1, 3, 0.0, "γ = 0"),
        case("γ = 0, no treasure at the first step", 2, 3, 0.0, "γ = 0"),
        case("γ = 1", 3, 8, 1.0, "γ = 1", "far wins"),
    ]


# What is subtracted from q, (2,) or one number.
BASELINES: dict[str, Callable] = {
    "best": lambda q: q.max(),
    "mean": lambda q: q.mean(),
    "nothing": lambda q: 0.0,
    "worst": lambda q: q.min(),
    "other": lambda q: q[::-1],
    "far": lambda q: q[1],
    "near": lambda q: q[0],
    "sum": lambda q: q.sum(),
}
EVEN: dict[str, Callable] = {
    "right": lambda ratio, n_near, n_far: ratio ** (1 / (n_far - n_near)),
    "inverted": lambda ratio, n_near, n_far: ratio ** (-1 / (n_far - n_near)),
    "all the way": lambda ratio, n_near, n_far: ratio ** (1 / n_far),
    "all the way, less one": lambda ratio, n_near, n_far: ratio ** (1 / (n_far - 1)),
    "the sum of the ways": lambda ratio, n_near, n_far: ratio ** (1 / (n_far + n_near)),
    "one step between": lambda ratio, n_near, n_far: ratio ** (1 / (n_far - n_near + 1)),
    "quotient of the ways": lambda ratio, n_near, n_far: ratio ** (n_near / n_far),
    "no root": lambda ratio, n_near, n_far: ratio,
    "divided": lambda ratio, n_near, n_far: ratio / (n_far - n_near),
    "power": lambda ratio, n_near, n_far: ratio ** (n_far - n_near),
    "logarithm": lambda ratio, n_near, n_far: float(np.log(ratio) / (n_far - n_near)),
}


@composable
def _chosen(
    late: int = 0,
    discounted: bool = True,
    baseline: str = "best",
    sign: int = 1,
    exchanged: bool = False,
    even: str = "right",
) -> Callable:
    """Both results with their parts exchangeable; late: powers of γ too many."""

    def crossroads(near, far, n_near, n_far, gamma):
        powers = np.array([n_near, n_far]) - 1 + late
        g = gamma if discounted else 1.0
        with np.errstate(divide="ignore"):  # γ^−1, where one power is missing
            q = float(g) ** powers.astype(float) * np.array([near, far], dtype=float)
        advantages = sign * (q - BASELINES[baseline](q))
        if exchanged:
            advantages = advantages[::-1].copy()
        return advantages, EVEN[even](near / far, n_near, n_far)

    return crossroads


def _crossroads_by_bisection(near, far, n_near, n_far, gamma):
    q = [near * gamma ** (n_near - 1), far * gamma ** (n_far - 1)]
    low, high = 0.0, 1.0
    while high - low > 1e-13:
        middle = (low + high) / 2
        low, high = (middle, high) if far * middle ** (n_far - n_near) < near else (low, middle)
    return np.array([q[0] - max(q), q[1] - max(q)], dtype=float), low


def _crossroads_by_sweeps(near, far, n_near, n_far, gamma):
    world = two_corridors(near, far, n_near, n_far, gamma)
    q, _ = dp.value_iteration(world.P, world.R, gamma, 1e-13)
    even = np.exp((np.log(near) - np.log(far)) / (n_far - n_near))
    return dp.advantage(q, dp.greedy_policy(q))[0], even


EVEN_AGAIN = "At your γ, are both actions worth the same? Put it into both values."

crossroads = Exercise(
    "crossroads",
    reference=dp.crossroads,
    cases=_crossroads_cases,
    returns=several(advantages=array(), gamma_even=number()),
    points=2,
    equation="(3.5)",
    mistakes=[
        Mistake(
            "one-power-too-many",
            "Your values carry one power of γ too many: the reward of the first step counts fully, γ⁰ = 1, so that of step "
            "n carries γ^(n−1).",
            "What should come out at γ = 0 for a treasure that the first step pays?",
            _chosen(late=1),
        ),
        Mistake(
            "undiscounted",
            "Your advantages know no γ: a treasure counts the same however late it comes.",
            "Which argument have you not used? Which action should be best at γ = 0?",
            _chosen(discounted=False),
        ),
        Mistake(
            "minus-mean",
            "You subtract the mean of both values. V* is the value of the *best* action: the optimal policy does not take "
            "the other.",
            "What is the largest advantage that the optimal policy leaves?",
            _chosen(baseline="mean"),
        ),
        Mistake(
            "sign",
            "Your advantages are V* − Q*. No action is better than what the optimal policy does: none may be positive.",
            "Which of the two is subtracted from which in equation (2.7)?",
            _chosen(sign=-1),
        ),
        Mistake(
            "values",
            "You return the values Q* themselves. An advantage is what is left when V* is subtracted.",
            "What should be the advantage of the best action?",
            _chosen(baseline="nothing"),
        ),
        Mistake(
            "minus-worst",
            "You subtract the value of the *worse* action. V* is that of the better one.",
            "Which action does the optimal policy take?",
            _chosen(baseline="worst"),
        ),
        Mistake(
            "minus-the-other",
            "You subtract the other action's value from each, so that one of them comes out positive. From both the same "
            "number is subtracted: V*.",
            "What is the largest advantage that the optimal policy leaves?",
            _chosen(baseline="other"),
        ),
        Mistake(
            "always-the-same-action",
            "You subtract the value of one and the same action, whatever γ is. Which of them is the best depends on γ.",
            "Which treasure wins near γ = 0, and which at γ = 1?",
            _chosen(baseline="far"),
            _chosen(baseline="near"),
        ),
        Mistake(
            "minus-sum",
            "You subtract the sum of both values. Only one action is taken: V* is the value of the best.",
            "What should be the advantage of the best action?",
            _chosen(baseline="sum"),
        ),
        Mistake(
            "results-exchanged",
            "Your two advantages stand in the other order: action 0 leads to the near treasure.",
            "What is the index of the action that leads to `far`?",
            _chosen(exchanged=True),
        ),
        Mistake(
            "ratio-inverted",
            "Your γ_even is above 1: near and far have changed places. A discount lies below 1.",
            EVEN_AGAIN,
            _chosen(even="inverted"),
        ),
        Mistake(
            "steps-not-difference",
            "The root in your γ_even does not go by how much *longer* the way to the far treasure is. The steps that both "
            "ways have cancel.",
            EVEN_AGAIN,
            *(
                _chosen(even=how)
                for how in (
                    "all the way",
                    "all the way, less one",
                    "the sum of the ways",
                    "one step between",
                    "quotient of the ways",
                )
            ),
        ),
        Mistake(
            "no-root",
            "near/far is a *power* of γ_even: every step by which the far way is longer brings one more γ.",
            EVEN_AGAIN,
            _chosen(even="no root"),
        ),
        Mistake(
            "power-for-root",
            "You raise near/far to the number of steps, or divide it by them. It is γ_even that is raised: solve for it.",
            EVEN_AGAIN,
            _chosen(even="power"),
            _chosen(even="divided"),
        ),
        Mistake(
            "logarithm-left",
            "Your γ_even is below 0: it is the *logarithm* of the discount. One step is left.",
            EVEN_AGAIN,
            _chosen(even="logarithm"),
        ),
    ],
    also_correct=[_chosen(), _crossroads_by_bisection, _crossroads_by_sweeps],
)

# ------------------------------------------------------------------------------- value_iteration


def _iteration_cases(rng: np.random.Generator) -> list[Case]:
    names = ("P", "R", "gamma", "tolerance")
    return [
        Case(name, {key: inputs[key] for key in names}, tags)
        for name, tags, inputs in sweep_mdps(rng)
    ]


WAYS = ("at once", "rows", "entries")


@composable
def _iterating(
    measure: str = "largest",
    threshold: str = "tolerance",
    way: str = "at once",
    most: int = MAX_SWEEPS,
    counted: int = 0,
    returned: str = "q",
    of: str = "max",
    of_reward: int | None = 0,
    of_next: int = 1,
    to: str = "expected",
) -> Callable:
    """Value iteration with its parts exchangeable: the sweep's as in `optimality_backup`."""
    sweep = optimality_backup(of, of_reward, of_next, to, way=way)

    def value_iteration(P, R, gamma, tolerance):
        q, sweeps, done = np.zeros(R.shape), 0, False
        while not done and sweeps < most:
            old, q, sweeps = q, sweep(q, P, R, gamma), sweeps + 1
            done = settled(measure, threshold, q, old, gamma, tolerance)
        results = {"q": lambda: q, "old": lambda: old, "v": lambda: q.max(axis=1)}
        return results[returned](), sweeps + counted

    return value_iteration


def _all_ways(**parts) -> list[Callable]:
    return [_iterating(**parts, way=way) for way in WAYS]


def _stopped_by(*measures: str, ways: Sequence[str] = WAYS) -> list[Callable]:
    return [_iterating(measure=measure, way=way) for measure in measures for way in ways]


def _until_policy_settles(patience: int = 1, way: str = "at once", first: bool = True) -> Callable:
    """first: whether the policy after the first sweep is compared with that of the zeros."""
    sweep = optimality_backup(way=way)

    def value_iteration(P, R, gamma, tolerance):
        q, sweeps, quiet = np.zeros(R.shape), 0, 0
        while quiet < patience and sweeps < MAX_SWEEPS:
            new = sweep(q, P, R, gamma)
            same = (first or sweeps > 0) and (new.argmax(axis=1) == q.argmax(axis=1)).all()
            quiet = quiet + 1 if same else 0
            q, sweeps = new, sweeps + 1
        return q, sweeps

    return value_iteration


def _in_every_case(seen: Callable[[Case, Any], bool]) -> Callable[..., bool]:
    """What shows a mistake: `seen(case, value)` in all of them."""

    def shows(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
        return len(outcomes) == len(cases) and all(
            seen(case, outcome.value) for case, outcome in zip(cases, outcomes, strict=True)
        )

    return shows


@_in_every_case
def _one_number_a_state(case: Case, value) -> bool:
    q = value[0] if isinstance(value, tuple | list) and len(value) == 2 else None
    n_states = len(case.inputs["R"])
    return (
        isinstance(q, np.ndarray)
        and q.dtype.kind == "f"
        and q.shape in ((n_states,), (n_states, 1))
    )


def _values_beside(P, R, gamma, tolerance):
    """v kept beside q; the test is on q."""
    q, v, sweeps = np.zeros(R.shape), np.zeros(len(R)), 0
    while True:
        new = R + gamma * (P @ v)
        moved = np.max(np.abs(new - q))
        q, v, sweeps = new, new.max(axis=1), sweeps + 1
        if moved <= tolerance:
            return q, sweeps


def _values_only(sweep: Callable) -> Callable:
    """v is swept and tested; q is made of it at the end."""

    def value_iteration(P, R, gamma, tolerance):
        v, sweeps = np.zeros(len(R)), 0
        while True:
            old, v, sweeps = v, sweep(v, P, R, gamma), sweeps + 1
            if np.abs(v - old).max() < tolerance:
                return R + gamma * (P @ v), sweeps

    return value_iteration


def _swept_once_more(P, R, gamma, tolerance):
    q, sweeps = dp.value_iteration(P, R, gamma, tolerance)
    return dp.bellman_optimality_backup(q, P, R, gamma), sweeps


def _best_values(v, P, R, gamma):
    return dp.q_from_v(v, P, R, gamma).max(axis=1)


def _best_values_in_place(v, P, R, gamma):
    v = v.copy()
    for s in range(len(v)):
        v[s] = (R[s] + gamma * P[s] @ v).max()
    return v


_MISPLACED = [_iterating(of_next=0, of_reward=1, most=NEVER, way=way) for way in WAYS]
_UNDISCOUNTED = [_iterating(of_next=0, most=NEVER, way=way) for way in WAYS]

value_iteration = Exercise(
    "value_iteration",
    reference=dp.value_iteration,
    cases=_iteration_cases,
    returns=several(q=array(), sweeps=integer()),
    points=3,
    equation="(3.9)",
    variants=[_iterating(way="rows"), _iterating(way="entries")],
    mistakes=[
        Mistake(
            "signed-differences",
            "The changes keep their signs: changes in one direction look settled, or rises and falls cancel. Take "
            "absolute values first.",
            "What does your test say if every reward is −1? And if one entry rises by 1 and another falls by 1?",
            *_stopped_by("size of the sum", "highest"),
            *_stopped_by("sum", "size of the highest", "lowest", ways=WAYS[::2]),
            *_stopped_by("size of the mean", "mean", ways=WAYS[:1]),
        ),
        Mistake(
            "one-sweep",
            "You sweep once. T* only looks one step ahead: repeat it until nothing changes.",
            "Where is the loop around your sweep? And if there is one: is the old q that you compare with a copy?",
            *_all_ways(most=1),
        ),
        Mistake(
            "mean-change",
            "You look at the mean change. One entry may still be moving while all others rest: take the largest.",
            "Can your number be small while one of a thousand entries still moves by 1?",
            *_stopped_by("mean of sizes"),
        ),
        Mistake(
            "any-entry-settled",
            "You stop as soon as *one* entry hardly changes. All of them must have settled.",
            "`any` or `all`? Smallest or largest change?",
            *_stopped_by("smallest"),
        ),
        Mistake(
            "change-of-maximum",
            "You measure how the largest values change. They settle sooner than the table: an action that is not the "
            "best one may still be moving.",
            "When your number is small: has q settled, or only what you looked at?",
            *_stopped_by("of the rows' highest"),
            *_stopped_by(*(how for how in DIFFERENCES if "rows" not in how), ways=WAYS[:1]),
            _values_only(_best_values),
            _values_only(_best_values_in_place),
        ),
        Mistake(
            "other-norm",
            "You add the changes up, or their squares, before you compare: two worlds in one table then do not stop when "
            "the slower of them would.",
            "What does your number say of ten entries that each change by 1? And of one that does, beside nine at rest?",
            *_stopped_by(*OTHER_NORMS, ways=WAYS[:1]),
        ),
        Mistake(
            "changes-squared",
            *STOPPING["changes-squared"],
            *_stopped_by(*SQUARES, ways=WAYS[:1]),
        ),
        Mistake(
            "allclose",
            *STOPPING["allclose"],
            *_stopped_by("isclose", ways=WAYS[::2]),
        ),
        Mistake(
            "waits-for-equality",
            *STOPPING["waits-for-equality"],
            *_stopped_by("equal", ways=WAYS[::2]),
        ),
        Mistake(
            "other-threshold",
            *STOPPING["other-threshold"],
            *(_iterating(threshold=how) for how in THRESHOLDS if how != "tolerance"),
        ),
        Mistake(
            "uncounted-sweep",
            "Your q has been swept once more than you count. Return the table that passed the test.",
            "What happens to q between your test and your `return`?",
            _swept_once_more,
        ),
        Mistake(
            "last-sweep-thrown-away",
            *STOPPING["last-sweep-thrown-away"],
            *_all_ways(returned="old"),
        ),
        Mistake(
            "policy-settled",
            "You stop when the greedy policy no longer changes. The policy is often right long before the values are, and "
            "a pause is not the end either.",
            "When your test says stop: has q settled, or only what you looked at?",
            *(_until_policy_settles(way=way) for way in WAYS),
            *(_until_policy_settles(way=way, first=False) for way in WAYS),
            _until_policy_settles(2),
            _until_policy_settles(3),
        ),
        Mistake(
            "evaluates-uniform",
            "You average over the next actions: that converges to the values of the uniform policy.",
            "What is the difference between this loop and `policy_evaluation`?",
            *_all_ways(of="mean"),
        ),
        Mistake(
            "worst-action",
            "You take the smallest value of the next actions: that finds the values of the worst policy.",
            "`min` or `max`?",
            *_all_ways(of="min"),
        ),
        Mistake(
            "no-gamma",
            NO_GAMMA + " Without it the values of a task that goes on never settle.",
            COUNT_GAMMA,
            *_UNDISCOUNTED,
            shows=never_settles(_UNDISCOUNTED),
        ),
        Mistake("gamma-on-reward", GAMMA_ON_REWARD, COUNT_GAMMA, *_all_ways(of_reward=1)),
        Mistake(
            "gamma-misplaced",
            GAMMA_MISPLACED + " Without a γ there the values of a task that goes on never settle.",
            COUNT_GAMMA,
            *_MISPLACED,
            shows=never_settles(_MISPLACED),
        ),
        Mistake(
            "own-max",
            "You use the maximum of the state itself. The one that counts is the *next* state's.",
            "Which argument tells you where an action leads?",
            _iterating(to="own"),
        ),
        Mistake(
            "best-next-state",
            "You take the best of the next states that can be reached. The world picks s′, by p; you only pick a′.",
            "Which of the two, s′ and a′, does the maximum in T* run over?",
            _iterating(to="best reachable"),
        ),
        Mistake(
            "best-of-all-states",
            "You take the best of *all* states, reachable or not. What counts is where this action leads, and how "
            "likely.",
            "Which of the two, s′ and a′, does the maximum in T* run over?",
            _iterating(to="best of all"),
        ),
        Mistake(
            "returns-v",
            "You return one number a state. The table over states *and* actions is asked for.",
            "What is the shape of q? And of your result?",
            _iterating(returned="v"),
            shows=_one_number_a_state,
        ),
        Mistake(
            "last-sweep-not-counted",
            *STOPPING["last-sweep-not-counted"],
            *_all_ways(counted=-1),
        ),
        Mistake(
            "counts-one-too-many",
            *STOPPING["counts-one-too-many"],
            *_all_ways(counted=1),
        ),
    ],
    also_correct=[_iterating(), _values_beside, _iterating(measure="largest, or equal to it")],
)

# ------------------------------------------------------------------------------ policy_iteration


def _long_way(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A corridor in which the news of the prize at its end travels one state a round.

    Action 0 stays and pays a little, action 1 moves on at a cost; only the last move pays well. The way goes down
    from the last state to the first: improved one by one, the states would pass the news on in a single round.
    """
    P, R = np.zeros((n, 2, n)), np.zeros((n, 2))
    for s in range(n - 1):
        P[s, 0, s], P[s, 1, s + 1] = 1.0, 1.0
        R[s] = 0.1 + 0.01 * rng.random(), -0.2 - 0.1 * rng.random()
    P[n - 1, :, n - 1] = 1.0
    R[n - 1] = 2.0, 1.5
    return P[::-1, :, ::-1], R[::-1]


def _gamble() -> tuple[np.ndarray, np.ndarray]:
    """Action 1 of state 0 may lead to a better state, and mostly leads to a worse one."""
    P = np.eye(3)[:, None, :].repeat(2, axis=1)
    P[0, 1] = 0.0, 0.2, 0.8
    return P, np.array([[0.0, 0.0], [1.0, 0.9], [-1.0, -1.1]])


def _exchange() -> tuple[np.ndarray, np.ndarray]:
    """In the second round state 0 turns to action 1, and state 1 back to action 0: both lead to state 2."""
    P = np.eye(4)[:, None, :].repeat(2, axis=1)
    P[0, 1] = P[1, 0] = np.eye(4)[2]
    P[1, 1] = np.eye(4)[3]
    return P, np.array([[0.1, 0.0], [0.0, 0.0], [0.0, 2.0], [0.5, 0.4]])


def _hair() -> tuple[np.ndarray, np.ndarray]:
    """In state 0 action 1 is better, by less than `np.isclose` can see."""
    return np.eye(2)[:, None, :].repeat(2, axis=1), np.array([[1.0, 1.000005], [1.0, 0.5]])


def _patience() -> tuple[np.ndarray, np.ndarray]:
    """From state 0 action 1 leads to a better place: worth its step only if one looks far ahead."""
    P = np.eye(2)[:, None, :].repeat(2, axis=1)
    P[0, 1] = 0.0, 1.0
    return P, np.array([[1.0, 0.0], [1.12, 1.0]])


def _policy_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, P, R, gamma, *tags) -> Case:
        return Case(name, {"P": P, "R": R, "gamma": gamma}, tags)

    def twins(n_states: int, n_actions: int) -> tuple[np.ndarray, np.ndarray]:
        """An MDP whose last two actions are copies of each other."""
        P, R = random_mdp(rng, n_states, n_actions)
        return np.concatenate([P, P[:, -1:]], axis=1), np.concatenate([R, R[:, -1:]], axis=1)

    P, R = random_mdp(rng, 5, 3)
    settled = R.copy()
    settled[:, 0] = np.abs(R).max() + 30.0
    return [
        case("five states, three actions", P, R, 0.9),
        case("the same shapes again, other numbers", *random_mdp(rng, 5, 3), 0.8),
        case("as many states as actions", *random_mdp(rng, 4, 4), 0.8, "S = A"),
        case("a long way to the prize", *_long_way(9, rng), 0.9, "many rounds"),
        case("a gamble that does not pay", *_gamble(), 0.9),
        case("two states that exchange their actions", *_exchange(), 0.9),
        case("an action that is better by a hair", *_hair(), 0.9),
        case("a step that pays off late", *_patience(), 0.9),
        case("few reachable states", *random_mdp(rng, 10, 4, 2), 0.95),
        case("the start is optimal", P, settled, 0.5, "the start is optimal"),
        case("a deterministic world", *random_mdp(rng, 10, 3, 1), 0.5),
        # With a small γ it matters most whether it is there where the policy is improved.
        case("twelve states, γ = 0.3", *random_mdp(rng, 12, 4, 1), 0.3),
        case("twelve others, γ = 0.4", *random_mdp(rng, 12, 4, 2), 0.4),
        case("fifteen states, γ = 0.5", *random_mdp(rng, 15, 3, 1), 0.5),
        case("γ = 0", *random_mdp(rng, 12, 4, 1), 0.0, "γ = 0"),
        case("one state", *random_mdp(rng, 1, 4), 0.6, "S = 1"),
        case("one action", *random_mdp(rng, 4, 1), 0.9, "A = 1", "the start is optimal"),
        case("two actions that are copies", *twins(5, 2), 0.9, "actions that tie"),
    ]


def _policy_agrees(case: Case, value, reference) -> bool:
    """All three results; where actions tie: v, and any one-hot policy that is greedy for it."""
    if not (isinstance(value, tuple | list) and len(value) == 3):
        return False
    (pi, v, rounds), (pi_star, v_star, rounds_star) = value, reference
    if not (isinstance(pi, np.ndarray) and isinstance(v, np.ndarray)):
        return False
    if pi.shape != pi_star.shape or v.shape != v_star.shape:
        return False
    if not np.allclose(v, v_star, rtol=1e-8, atol=1e-8):
        return False
    if "actions that tie" not in case.tags:
        return bool(np.array_equal(pi, pi_star) and rounds == rounds_star)
    q = dp.q_from_v(v_star, case.inputs["P"], case.inputs["R"], case.inputs["gamma"])
    one_hot = ((pi == 0) | (pi == 1)).all() and (pi.sum(axis=1) == 1).all()
    return bool(one_hot and np.allclose((pi * q).sum(axis=1), q.max(axis=1), atol=1e-7))


ENDLESS = 99  # rounds: these worlds need ten at most


def _policy_alike(case: Case, a, b) -> bool:
    """All three, except that which of two copies of an action is taken tells nothing.

    Two loops that go to and fro for ever are alike: at which policy they gave up is chance.
    """
    if not (isinstance(a, tuple | list) and isinstance(b, tuple | list) and len(a) == len(b) == 3):
        return False
    if all(np.shape(rounds) == () and rounds >= ENDLESS for *_, rounds in (a, b)):
        return True
    ties = "actions that tie" in case.tags
    return all(
        np.shape(x) == np.shape(y) and (free or np.allclose(x, y, rtol=1e-8, atol=1e-8))
        for x, y, free in zip(a, b, (ties, False, ties), strict=True)
    )


def _policy_tells(case: Case, value, reference) -> str:
    (pi, v, rounds), (pi_star, v_star, rounds_star) = value, reference
    if not np.allclose(v, v_star, rtol=1e-8, atol=1e-8):
        own = dp.solve_bellman(case.inputs["P"], case.inputs["R"], pi, case.inputs["gamma"])
        if np.allclose(v, own, rtol=1e-8, atol=1e-8):
            return (
                "Your `v` is the value of your `pi`, but there is a better policy: does your loop end too early, or "
                "do you improve on something else than Q^π?"
            )
        if np.allclose(v, own, rtol=1e-3, atol=1e-3):
            return "Your `v` is nearly the value of your `pi`, but the evaluation is to be exact."
        return "Your `v` is not the value of your `pi`."
    if not np.array_equal(pi, pi_star):
        return "Your `v` is right, but `pi` is not a greedy policy for it, one action a state."
    more = "more" if rounds > rounds_star else "fewer"
    return f"Your `pi` and `v` are right, but you count {more} rounds than it takes."


EVALUATIONS: dict[str, Callable] = {
    "exact": lambda v, P, R, pi, g: dp.solve_bellman(P, R, pi, g),
    "one backup": lambda v, P, R, pi, g: dp.bellman_backup(v, P, R, pi, g),
    "one backup of 0": lambda v, P, R, pi, g: dp.bellman_backup(0 * v, P, R, pi, g),
    "by sweeps": lambda v, P, R, pi, g: dp.policy_evaluation(P, R, pi, g, 1e-13)[0],
    **{
        f"to {tolerance:g}": lambda v, P, R, pi, g, tol=tolerance: dp.policy_evaluation(
            P, R, pi, g, tol
        )[0]
        for tolerance in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    },
    **{
        f"to {tolerance:g}, on from the last": lambda v, P, R, pi, g, tol=tolerance: _swept_on(
            v, P, R, pi, g, tol
        )
        for tolerance in (1e-2, 1e-3, 1e-4, 1e-6)
    },
    "uniform": lambda v, P, R, pi, g: dp.solve_bellman(P, R, np.full_like(pi, 1 / pi.shape[1]), g),
}
STARTS: dict[str, Callable] = {
    "action 0": lambda R: np.eye(R.shape[1])[np.zeros(len(R), dtype=int)],
    "greedy for r": dp.greedy_policy,
    "last action": lambda R: np.eye(R.shape[1])[np.full(len(R), R.shape[1] - 1)],
    "uniform": lambda R: np.full(R.shape, 1 / R.shape[1]),
}
STOPS: dict[str, Callable] = {
    "same policy": lambda pi, new, v, old_v: np.array_equal(pi, new),
    "same values": lambda pi, new, v, old_v: old_v is not None and (v == old_v).all(),
    "close values": lambda pi, new, v, old_v: old_v is not None and np.allclose(v, old_v),
    "one state the same": lambda pi, new, v, old_v: (pi == new).all(axis=1).any(),
}


def _swept_on(v, P, R, pi, gamma, tolerance):
    while True:
        old, v = v, dp.bellman_backup(v, P, R, pi, gamma)
        if np.abs(v - old).max() < tolerance:
            return v


@composable
def _improving(
    evaluate: str = "exact",
    of_reward: int | None = 0,
    of_next: int | None = 1,
    to: str = "expected",
    worst: bool = False,
    stop: str = "same policy",
    most: int = 200,
    counted: int = 0,
    values: str = "of pi",
    start: str = "action 0",
) -> Callable:
    """Policy iteration with its parts exchangeable; of_next None: improves on the reward alone."""

    def policy_iteration(P, R, gamma):
        pi, v, rounds = STARTS[start](R), np.zeros(len(R)), 0
        while True:
            old_v, v = v, EVALUATIONS[evaluate](v, P, R, pi, gamma)
            q = R if of_next is None else looked_ahead(P, R, v, gamma, of_reward, of_next, to)
            new = dp.greedy_policy(-q if worst else q)
            rounds += 1
            if STOPS[stop](pi, new, v, old_v if rounds > 1 else None) or rounds >= most:
                return pi, (v if values == "of pi" else old_v), rounds + counted
            pi = new

    return policy_iteration


def _compares_values(P, R, gamma):
    """Stops when V is == the last V: a round late."""
    pi, v, rounds = np.eye(R.shape[1])[np.zeros(len(R), dtype=int)], None, 0
    while rounds < 200:
        new_v = dp.solve_bellman(P, R, pi, gamma)
        pi = dp.greedy_policy(dp.q_from_v(new_v, P, R, gamma))
        rounds += 1
        if v is not None and (new_v == v).all():
            return pi, new_v, rounds
        v = new_v
    return pi, v, rounds


def _one_by_one(P, R, gamma):
    """Evaluates anew after every state, so that later states improve on another policy."""
    pi, rounds, changed = np.eye(R.shape[1])[np.zeros(len(R), dtype=int)], 0, True
    while changed:
        changed, rounds = False, rounds + 1
        for s in range(len(R)):
            v = dp.solve_bellman(P, R, pi, gamma)
            q = R[s] + gamma * P[s] @ v
            if q.max() > pi[s] @ q + 1e-9:
                pi[s], changed = np.eye(len(q))[q.argmax()], True
    return pi, v, rounds


def _into_values(P, R, gamma):
    """Writes the improved values of a state into v, where later states read them."""
    pi, rounds, changed = np.eye(R.shape[1])[np.zeros(len(R), dtype=int)], 0, True
    while changed:
        v, changed, rounds = dp.solve_bellman(P, R, pi, gamma), False, rounds + 1
        for s in range(len(R)):
            q = R[s] + gamma * P[s] @ v
            if q.max() > pi[s] @ q + 1e-9:
                pi[s], v[s], changed = np.eye(len(q))[q.argmax()], q.max(), True
    return pi, v, rounds


def _by_inverse(P, R, gamma):
    best, rounds = np.zeros(len(R), dtype=int), 0
    rows = np.arange(len(R))
    while True:
        v = np.linalg.inv(np.eye(len(R)) - gamma * P[rows, best]) @ R[rows, best]
        rounds, before = rounds + 1, best
        best = (R + gamma * (P @ v)).argmax(axis=1)
        if (best == before).all():
            return np.eye(R.shape[1])[best], v, rounds


def _once(returned: str) -> Callable:
    def policy_iteration(P, R, gamma):
        start = np.eye(R.shape[1])[np.zeros(len(R), dtype=int)]
        v = dp.solve_bellman(P, R, start, gamma)
        pi = dp.greedy_policy(dp.q_from_v(v, P, R, gamma))
        return pi, (dp.solve_bellman(P, R, pi, gamma) if returned == "new" else v), 1

    return policy_iteration


@_in_every_case
def _improved_once(case: Case, value) -> bool:
    """The policy that the first round improves to, whatever v and rounds are."""
    pi = value[0] if isinstance(value, tuple | list) and len(value) == 3 else None
    best = _once("old")(*case.inputs.values())[0]
    return "actions that tie" in case.tags or (
        isinstance(pi, np.ndarray) and np.array_equal(pi, best)
    )


def _stale(P, R, gamma):
    """v is that of the policy before the one returned."""
    pi, v, rounds = np.eye(R.shape[1])[np.zeros(len(R), dtype=int)], np.zeros(len(R)), 0
    while True:
        before, v = v, dp.solve_bellman(P, R, pi, gamma)
        new = dp.greedy_policy(dp.q_from_v(v, P, R, gamma))
        rounds += 1
        if (new == pi).all():
            return pi, before, rounds
        pi = new


policy_iteration = Exercise(
    "policy_iteration",
    reference=dp.policy_iteration,
    cases=_policy_cases,
    returns=several(pi=array(), v=array(), rounds=integer()),
    points=3,
    equation="(3.10)",
    agrees=_policy_agrees,
    alike=_policy_alike,
    tells=_policy_tells,
    mistakes=[
        Mistake(
            "one-improvement",
            "You improve once and return. Evaluate the better policy, improve again, and so on until nothing changes.",
            "Where is the loop around evaluating and improving? And if there is one: is the policy that you compare "
            "with a copy?",
            _once("old"),
            _once("new"),
            shows=_improved_once,
        ),
        Mistake(
            "compares-values",
            "You stop a round late, or count one too many, as it happens if the *values* are compared with the last ones "
            "(and with rounding that may go on for ever). The policy is discrete: compare policies, and stop at the first "
            "that is unchanged.",
            "Is your “unchanged” a statement about the policy, or about floating-point values?",
            _compares_values,
            _improving(stop="same values"),
            _improving(stop="close values"),
        ),
        Mistake(
            "one-sweep-evaluation",
            "You only make one backup for each policy. That is value iteration; here the evaluation is exact.",
            "Which function of lesson 02 gives V^π exactly?",
            _improving(evaluate="one backup"),
            _improving(evaluate="one backup of 0"),
        ),
        Mistake(
            "loose-evaluation",
            "You evaluate by sweeps that stop too early: your v is only nearly V^π. Here the evaluation is exact.",
            "Which function of lesson 02 gives V^π exactly?",
            *(_improving(evaluate=how) for how in EVALUATIONS if how.startswith("to ")),
        ),
        Mistake(
            "evaluates-uniform",
            "You evaluate the uniform policy in every round. What is improved is the policy that was evaluated: "
            "evaluate the pi that you have.",
            "Which argument of your evaluation changes from round to round?",
            _improving(evaluate="uniform"),
        ),
        Mistake(
            "greedy-on-reward",
            "You improve on the next reward alone. Improve on Q^π: reward and all that follows.",
            "Is γ used anywhere in your improvement?",
            _improving(of_next=None),
        ),
        Mistake(
            "no-gamma",
            "γ is missing where you improve: the values of the next states count fully beside the reward, though they "
            "come a step later.",
            COUNT_GAMMA,
            _improving(of_next=0),
        ),
        Mistake(
            "gamma-misplaced",
            GAMMA_MISPLACED + " So it is where you improve.",
            COUNT_GAMMA,
            _improving(of_next=0, of_reward=1),
        ),
        Mistake(
            "reward-missing",
            REWARD_MISSING + " It is missing where you improve.",
            "What should be chosen at γ = 0?",
            _improving(of_reward=None),
        ),
        Mistake(
            "best-next-state",
            "You improve by the best next state that an action can reach. The world picks s′, by p: weigh each by how "
            "likely it is.",
            "Which function of lesson 02 makes Q^π of V^π?",
            _improving(to="best reachable"),
            _improving(to="likeliest"),
            _improving(to="sum of the reachable"),
        ),
        Mistake(
            "worst-action",
            "You take the action of the smallest value: that makes the policy worse in every round.",
            "`argmin` or `argmax`?",
            _improving(worst=True),
        ),
        Mistake(
            "one-state-unchanged",
            "You stop as soon as *one* state keeps its action. All of them must keep theirs.",
            "`any` or `all`?",
            _improving(stop="one state the same"),
        ),
        Mistake(
            "confirming-round-not-counted",
            "Your number of rounds is one too small: the round that finds nothing to improve was a round too.",
            "How many rounds does it take if the start is optimal already?",
            _improving(counted=-1),
        ),
        Mistake(
            "stale-values",
            "Your v belongs to a policy before the one you return. pi and v must belong together.",
            "Solve for the values of the pi that you return, and compare.",
            _stale,
            _improving(values="before"),
        ),
        Mistake(
            "one-state-at-a-time",
            "Your v changes within a round, so that later states improve on other values than earlier ones. That ends at "
            "the same policy, but a round evaluates once and improves all states on the same V^π.",
            "Is v the same array of numbers for the last state as for the first?",
            _one_by_one,
            _into_values,
        ),
        Mistake(
            "other-start",
            "What you find is optimal, but your rounds are not those asked for. So it is with another first policy than "
            "the one asked for.",
            "Which action does the first policy take in every state? If you start from a table of zeros and improve it "
            "first, you start with the greedy policy for r.",
            *(_improving(start=how) for how in STARTS if how != "action 0"),
        ),
    ],
    also_correct=[_improving(), _improving(evaluate="by sweeps"), _by_inverse],
)

# --------------------------------------------------------------------------- suboptimality_bound


def _bound_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n_states, n_actions, gamma, *tags, shift=0.0, exact=False) -> Case:
        P, R = random_mdp(rng, n_states, n_actions)
        v = rng.normal(size=n_states) * 2 + shift
        if exact:
            v = dp.policy_iteration(P, R, gamma)[1]
        return Case(name, {"v": v, "P": P, "R": R, "gamma": gamma}, tags)

    # Action 0 of state 0 pays, action 1 leads to the state that is worth more.
    P, R = np.eye(2)[:, None, :].repeat(2, axis=1), np.array([[5.0, 0.0], [5.0, 4.0]])
    P[0, 1] = 0.0, 1.0
    misled = {"v": np.array([0.0, 50.0]), "P": P, "R": R, "gamma": 0.9}
    return [
        case("four states, γ = 0.9", 4, 3, 0.9),
        case("as many states as actions", 4, 4, 0.8, "S = A"),
        case("v far too high", 5, 2, 0.9, "v too high", shift=60.0),
        case("v far too low", 5, 2, 0.9, shift=-60.0),
        case("v = V*", 5, 3, 0.9, "v = V*", exact=True),
        case("γ = 0", 4, 3, 0.0, "γ = 0"),
        case("γ = 0.5", 6, 2, 0.5),
        case("one state", 1, 3, 0.7, "S = 1"),
        case("one action", 4, 1, 0.9, "A = 1"),
        case("twenty states", 20, 3, 0.95),
        Case("an action that pays less and leads to more", misled),
    ]


NORMS: dict[str, Callable] = {
    "largest": lambda d: np.abs(d).max(),
    "mean size": lambda d: np.abs(d).mean(),
    "2-norm": np.linalg.norm,
    "sum of sizes": lambda d: np.abs(d).sum(),
    "rms": lambda d: np.sqrt(np.mean(d**2)),
    "mean square": lambda d: np.mean(d**2),
    "sum of squares": lambda d: np.sum(d**2),
    "largest square": lambda d: np.max(d**2),
    "highest": np.max,
    "lowest": lambda d: (-d).max(),
    "size of the highest": lambda d: abs(d.max()),
    "highest, or 0": lambda d: d.max(initial=0.0),
    "lowest, or 0": lambda d: (-d).max(initial=0.0),
    "size of the mean": lambda d: abs(d.mean()),
}
FACTORS: dict[str, Callable] = {
    "2/(1 − γ)": lambda gamma: 2 / (1 - gamma),
    "1/(1 − γ)": lambda gamma: 1 / (1 - gamma),
    "2γ/(1 − γ)": lambda gamma: 2 * gamma / (1 - gamma),
    "γ/(1 − γ)": lambda gamma: gamma / (1 - gamma),
    "2": lambda gamma: 2.0,
    "1": lambda gamma: 1.0,
    "2(1 − γ)": lambda gamma: 2 * (1 - gamma),
    "2/(1 − γ)²": lambda gamma: 2 / (1 - gamma) ** 2,
}
ERRORS: dict[str, Callable] = {
    "residual": lambda v, P, R, g: dp.q_from_v(v, P, R, g).max(axis=1) - v,
    "to V*": lambda v, P, R, g: dp.policy_iteration(P, R, g)[1] - v,
    "mean backup": lambda v, P, R, g: dp.q_from_v(v, P, R, g).mean(axis=1) - v,
    "without γ": lambda v, P, R, g: dp.q_from_v(v, P, R, 1.0).max(axis=1) - v,
    "γ on the reward": lambda v, P, R, g: g * dp.q_from_v(v, P, R, 1.0).max(axis=1) - v,
    "minus nothing": lambda v, P, R, g: dp.q_from_v(v, P, R, g).max(axis=1),
    "each action": lambda v, P, R, g: dp.q_from_v(v, P, R, g) - v[:, None],
    "largest reward": lambda v, P, R, g: (
        R.max(axis=1) + g * (P @ v)[np.arange(len(v)), R.argmax(axis=1)] - v
    ),
}


@composable
def _bound(norm: str = "largest", factor: str = "2/(1 − γ)", error: str = "residual") -> Callable:
    """The bound with its parts exchangeable."""

    def suboptimality_bound(v, P, R, gamma):
        return float(FACTORS[factor](gamma) * NORMS[norm](ERRORS[error](v, P, R, gamma)))

    return suboptimality_bound


def _bound_by_loop(v, P, R, gamma):
    epsilon = 0.0
    for s in range(len(v)):
        best = max(R[s, a] + gamma * P[s, a] @ v for a in range(R.shape[1]))
        epsilon = max(epsilon, abs(best - v[s]))
    return 2 * epsilon / (1 - gamma)


def _bound_by_policy(v, P, R, gamma):
    pi = dp.greedy_policy(dp.q_from_v(v, P, R, gamma))
    residual = dp.bellman_backup(v, P, R, pi, gamma) - v
    return 2 * np.linalg.norm(residual, np.inf) / (1 - gamma)


suboptimality_bound = Exercise(
    "suboptimality_bound",
    reference=dp.suboptimality_bound,
    cases=_bound_cases,
    returns=number(),
    points=2,
    equation="(3.12)",
    # A V* found by sweeps is one all the same.
    alike=lambda case, a, b: isinstance(a, float) and np.isclose(a, b, rtol=1e-5, atol=1e-3),
    mistakes=[
        Mistake(
            "no-factor-2",
            "Without the 2 this bounds ‖v − V*‖: how wrong the table is. What acting on it costs is bounded by twice that.",
            "In the proof two distances are added. Which two?",
            _bound(factor="1/(1 − γ)"),
        ),
        Mistake(
            "not-max-norm",
            "ε is not the largest residual. The contraction is in the max norm, so the bound is too.",
            "Over the states, which norm does equation (3.12) take?",
            *(
                _bound(norm=how)
                for how in (
                    "mean size",
                    "2-norm",
                    "sum of sizes",
                    "rms",
                    "mean square",
                    "sum of squares",
                )
            ),
            _bound(norm="largest square"),
        ),
        Mistake(
            "no-absolute-value",
            "You take the residuals with their signs. v may be too high as well as too low.",
            "What does your function say about a v that is 60 too high everywhere? And in half of the states?",
            *(
                _bound(norm=how)
                for how in (
                    "highest",
                    "lowest",
                    "size of the highest",
                    "highest, or 0",
                    "lowest, or 0",
                )
            ),
            _bound(norm="size of the mean"),
        ),
        Mistake(
            "sharper-bound",
            "2γε/(1 − γ) is true as well, but it is another theorem. The function returns the bound that is proved here.",
            "Compare the numerator with that of equation (3.12).",
            _bound(factor="2γ/(1 − γ)"),
        ),
        Mistake(
            "half-of-the-sharper",
            "γε/(1 − γ) bounds how far the *next* table is from V*, not what acting on this one costs.",
            "Compare your numerator with that of equation (3.12).",
            _bound(factor="γ/(1 − γ)"),
        ),
        Mistake(
            "not-divided",
            "1/(1 − γ) is missing. The loss of one step is made again and again, and discounted: these losses add up.",
            "What do the weights γ^t sum to?",
            _bound(factor="2"),
            _bound(factor="1"),
        ),
        Mistake(
            "multiplied-not-divided",
            "You multiply by 1 − γ. The bound has to *grow* as γ comes near to 1.",
            "What do the weights γ^t sum to?",
            _bound(factor="2(1 − γ)"),
        ),
        Mistake(
            "divided-twice",
            "You divide by (1 − γ)². One such factor turns the residual into a distance; there is no second.",
            "Compare the denominator with that of equation (3.12).",
            _bound(factor="2/(1 − γ)²"),
        ),
        Mistake(
            "error-not-residual",
            "Your ε is the distance to V*. V* is what we do not have: ε is how much *one backup* changes v.",
            "Can your function be computed without solving the MDP?",
            _bound(error="to V*"),
        ),
        Mistake(
            "policy-backup",
            "You average over the actions. The residual is that of the optimality backup, with a maximum.",
            "Which backup has V* as its fixed point?",
            _bound(error="mean backup"),
        ),
        Mistake(
            "every-action",
            "You take the largest residual over all *actions*. T*v takes the best action of each state first, and only "
            "then compares with v.",
            "Which comes first in equation (3.12): the maximum over a, or the difference?",
            _bound(error="each action"),
        ),
        Mistake("no-gamma", NO_GAMMA, COUNT_GAMMA, _bound(error="without γ")),
        Mistake("gamma-on-reward", GAMMA_ON_REWARD, COUNT_GAMMA, _bound(error="γ on the reward")),
        Mistake(
            "nothing-subtracted",
            "You measure T*v itself. ε is by how much the backup *changes* v.",
            "What is ε if v = V*?",
            _bound(error="minus nothing"),
        ),
        Mistake(
            "greedy-on-reward",
            "Your backup takes the action with the largest *reward*. The maximum runs over reward and what follows "
            "together.",
            "What stands inside the maximum of T*?",
            _bound(error="largest reward"),
        ),
    ],
    also_correct=[_bound(), _bound_by_loop, _bound_by_policy],
)

LESSON = Lesson(
    "03",
    "Optimality and dynamic programming",
    [
        greedy_policy,
        bellman_optimality_backup,
        crossroads,
        value_iteration,
        policy_iteration,
        suboptimality_bound,
    ],
)
