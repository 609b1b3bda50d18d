"""Lesson 03: optimality and dynamic programming."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from rlcourse.checker.declaration import Exercise, Lesson, Mistake, array, integer, number, several
from rlcourse.checker.harness import Case, Outcome
from rlcourse.checker.material import random_mdp
from rlcourse.tabular import dynamic_programming as dp

from .lesson_02 import (
    COUNT_GAMMA,
    GAMMA_ON_REWARD,
    MAX_SWEEPS,
    best_reachable,
    mdp_cases,
    stopping,
    sweep_mdps,
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
    ],
    also_correct=[_greedy_by_loop, _greedy_by_put, _greedy_by_cumsum],
)

# --------------------------------------------------------------------- bellman_optimality_backup


def _optimality_by_loop(q, P, R, gamma):
    new = np.zeros(R.shape)
    for s, a in np.ndindex(R.shape):
        new[s, a] = R[s, a] + gamma * sum(P[s, a, t] * max(q[t]) for t in range(len(q)))
    return new


bellman_optimality_backup = Exercise(
    "bellman_optimality_backup",
    reference=dp.bellman_optimality_backup,
    cases=mdp_cases(
        lambda rng, P, R, pi, g: {"q": rng.normal(size=R.shape) * 3 - 1, "P": P, "R": R, "gamma": g}
    ),
    returns=array(),
    points=2,
    equation="(3.5)",
    mistakes=[
        Mistake(
            "mean-over-actions",
            "You average over the next actions: that evaluates the uniform policy. The best action is asked for.",
            "Compare equation (3.5) with the backup of lesson 02. What has taken the place of the mean?",
            lambda q, P, R, g: R + g * (P @ q.mean(axis=1)),
        ),
        Mistake(
            "best-next-state",
            "You take the best of the next states. The world picks s′, by p; you only pick a′.",
            "Which of the two, s′ and a′, does the maximum in (3.5) run over?",
            lambda q, P, R, g: R + g * best_reachable(P, q.max(axis=1)),
            lambda q, P, R, g: R + g * q.max(),
        ),
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
            lambda q, P, R, g: R + g * (P @ q.max(axis=0)),
            lambda q, P, R, g: R + g * q.max(axis=0),
        ),
        Mistake(
            "gamma-on-reward",
            GAMMA_ON_REWARD,
            COUNT_GAMMA,
            lambda q, P, R, g: g * (R + P @ q.max(axis=1)),
        ),
        Mistake(
            "own-max",
            "You use the maximum of the state itself. The one that counts is the *next* state's.",
            "Which argument tells you where an action leads?",
            lambda q, P, R, g: R + g * q.max(axis=1, keepdims=True),
        ),
    ],
    also_correct=[
        _optimality_by_loop,
        lambda q, P, R, g: R + g * np.einsum("sat,t->sa", P, q.max(axis=1)),
        lambda q, P, R, g: R + g * (P @ (dp.greedy_policy(q) * q).sum(axis=1)),
        lambda q, P, R, g: (P * (R[:, :, None] + g * np.sort(q, axis=1)[:, -1])).sum(axis=2),
    ],
)

# ------------------------------------------------------------------------------- value_iteration


def _iteration_cases(rng: np.random.Generator) -> list[Case]:
    names = ("P", "R", "gamma", "tolerance")
    return [
        Case(name, {key: inputs[key] for key in names}, tags)
        for name, tags, inputs in sweep_mdps(rng)
    ]


def _rows_in_place(q, P, R, gamma, next_value=np.max):
    q = q.copy()
    for s in range(len(q)):
        q[s] = R[s] + gamma * P[s] @ next_value(q, axis=1)
    return q


def _entries_in_place(q, P, R, gamma, next_value=np.max):
    q, v = q.copy(), next_value(q, axis=1)
    for s, a in np.ndindex(q.shape):
        q[s, a] = R[s, a] + gamma * P[s, a].dot(v)
        v[s] = next_value(q[s])
    return q


SWEEPS = (dp.bellman_optimality_backup, _rows_in_place, _entries_in_place)


def _iterating(
    change: Callable = lambda new, old: np.abs(new - old).max(),
    sweep: Callable = dp.bellman_optimality_backup,
    most: int = MAX_SWEEPS,
    counted: int = 0,
    result: Callable = lambda q: q,
) -> Callable:
    """Value iteration with its parts exchangeable."""

    def value_iteration(P, R, gamma, tolerance):
        q, sweeps, settled = np.zeros(R.shape), 0, False
        while not settled and sweeps < most:
            new = sweep(q, P, R, gamma)
            settled = change(new, q) < tolerance
            q, sweeps = new, sweeps + 1
        return result(q), sweeps + counted

    return value_iteration


_stopping = partial(stopping, loop=_iterating, sweeps=SWEEPS)


def _until_policy_settles(
    patience: int = 1, sweep: Callable = dp.bellman_optimality_backup, first: bool = True
) -> Callable:
    """first: whether the policy after the first sweep is compared with that of the zeros."""

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


def _uniform_backup(q, P, R, gamma):
    return R + gamma * (P @ q.mean(axis=1))


value_iteration = Exercise(
    "value_iteration",
    reference=dp.value_iteration,
    cases=_iteration_cases,
    returns=several(q=array(), sweeps=integer()),
    points=3,
    equation="(3.7)",
    variants=[_iterating(sweep=_rows_in_place), _iterating(sweep=_entries_in_place)],
    mistakes=[
        Mistake(
            "signed-differences",
            "The changes keep their signs: changes in one direction look settled, or rises and falls cancel. Take "
            "absolute values first.",
            "What does your test say if every reward is −1? And if one entry rises by 1 and another falls by 1?",
            *_stopping(lambda change: abs(change.sum())),
            *_stopping(np.max),
            *_stopping(np.sum, sweeps=SWEEPS[::2]),
            *_stopping(lambda change: abs(change.max()), sweeps=SWEEPS[::2]),
            *_stopping(lambda change: (-change).max(), sweeps=SWEEPS[::2]),
            *_stopping(lambda change: abs(change.mean()), sweeps=SWEEPS[:1]),
            *_stopping(np.mean, sweeps=SWEEPS[:1]),
        ),
        Mistake(
            "one-sweep",
            "You sweep once. T* only looks one step ahead: repeat it until nothing changes.",
            "Where is the loop around your sweep? And if there is one: is the old q that you compare with a copy?",
            *(_iterating(most=1, sweep=sweep) for sweep in SWEEPS),
        ),
        Mistake(
            "mean-change",
            "You look at the mean change. One entry may still be moving while all others rest: take the largest.",
            "How small is the mean change if one of a thousand entries still moves by 1?",
            *_stopping(lambda change: np.abs(change).mean()),
        ),
        Mistake(
            "any-entry-settled",
            "You stop as soon as *one* entry hardly changes. All of them must have settled.",
            "`any` or `all`? Smallest or largest change?",
            *_stopping(lambda change: np.abs(change).min()),
        ),
        Mistake(
            "change-of-maximum",
            "You measure how the largest values change. They settle sooner than the table: an action that is not the "
            "best one may still be moving.",
            "Over which entries does the task take the largest change?",
            *(
                _iterating(
                    change=lambda new, old: np.abs(new.max(axis=1) - old.max(axis=1)).max(),
                    sweep=sweep,
                )
                for sweep in SWEEPS
            ),
            _iterating(change=lambda new, old: abs(new.max() - old.max())),
            _iterating(change=lambda new, old: np.abs(new).max() - np.abs(old).max()),
            _iterating(change=lambda new, old: abs(np.abs(new).max() - np.abs(old).max())),
            _values_only(_best_values),
            _values_only(_best_values_in_place),
        ),
        Mistake(
            "uncounted-sweep",
            "Your q has been swept once more than you count. Return the table that passed the test.",
            "What happens to q between your test and your `return`?",
            _swept_once_more,
        ),
        Mistake(
            "policy-settled",
            "You stop when the greedy policy no longer changes. The policy is often right long before the values are, and "
            "a pause is not the end either.",
            "Whose changes does the task ask you to measure?",
            *(_until_policy_settles(sweep=sweep) for sweep in SWEEPS),
            *(_until_policy_settles(sweep=sweep, first=False) for sweep in SWEEPS),
            _until_policy_settles(2),
            _until_policy_settles(3),
        ),
        Mistake(
            "evaluates-uniform",
            "You average over the next actions: that converges to the values of the uniform policy.",
            "What is the difference between this loop and `policy_evaluation`?",
            _iterating(sweep=_uniform_backup),
            _iterating(sweep=partial(_rows_in_place, next_value=np.mean)),
            _iterating(sweep=partial(_entries_in_place, next_value=np.mean)),
        ),
        Mistake(
            "returns-v",
            "You return one number a state. The table over states *and* actions is asked for.",
            "What is the shape of q? And of your result?",
            _iterating(result=lambda q: q.max(axis=1)),
            shows=_one_number_a_state,
        ),
        Mistake(
            "last-sweep-not-counted",
            "Your number of sweeps is one too small: the sweep that finds no change was a sweep too.",
            "How many sweeps does it take to notice that all rewards are 0?",
            *(_iterating(counted=-1, sweep=sweep) for sweep in SWEEPS),
        ),
    ],
    also_correct=[_iterating(), _values_beside, _iterating(sweep=_optimality_by_loop)],
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


def _policy_alike(case: Case, a, b) -> bool:
    """All three, except that which of two copies of an action is taken tells nothing."""
    if not (isinstance(a, tuple | list) and isinstance(b, tuple | list) and len(a) == len(b) == 3):
        return False
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


def _improving(
    evaluate: Callable = lambda P, R, pi, gamma, v: dp.solve_bellman(P, R, pi, gamma),
    improve: Callable = lambda v, P, R, gamma: dp.greedy_policy(dp.q_from_v(v, P, R, gamma)),
    stop: Callable = lambda pi, new, v, old_v: np.array_equal(pi, new),
    most: int = 200,
    counted: int = 0,
    result: Callable = lambda pi, v, new, old_v: (pi, v),
    start: Callable = lambda R: np.eye(R.shape[1])[np.zeros(len(R), dtype=int)],
) -> Callable:
    """Policy iteration with its parts exchangeable."""

    def policy_iteration(P, R, gamma):
        pi = start(R)
        v, rounds = np.zeros(len(R)), 0
        while True:
            old_v, v = v, evaluate(P, R, pi, gamma, v)
            new = improve(v, P, R, gamma)
            rounds += 1
            if stop(pi, new, v, old_v if rounds > 1 else None) or rounds >= most:
                return *result(pi, v, new, old_v), rounds + counted
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


def _one_backup(P, R, pi, gamma, v):
    return dp.bellman_backup(v, P, R, pi, gamma)


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


def _by_sweeps(P, R, pi, gamma, v):
    return dp.policy_evaluation(P, R, pi, gamma, 1e-13)[0]


def _by_inverse(P, R, pi, gamma, v):
    P_pi = np.einsum("sa,sat->st", pi, P)
    return np.linalg.inv(np.eye(len(R)) - gamma * P_pi) @ (pi * R).sum(axis=1)


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
    equation="(3.8)",
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
            "How often can a policy change before it repeats? And a vector of floats?",
            _compares_values,
            _improving(stop=lambda pi, new, v, old_v: old_v is not None and (v == old_v).all()),
            _improving(stop=lambda pi, new, v, old_v: old_v is not None and np.allclose(v, old_v)),
        ),
        Mistake(
            "one-sweep-evaluation",
            "You only make one backup for each policy. That is value iteration; here the evaluation is exact.",
            "Which function of lesson 02 gives V^π exactly?",
            _improving(evaluate=_one_backup),
            _improving(
                evaluate=lambda P, R, pi, g, v: dp.bellman_backup(np.zeros(len(R)), P, R, pi, g)
            ),
        ),
        Mistake(
            "greedy-on-reward",
            "You improve on the next reward alone. Improve on Q^π: reward and all that follows.",
            "Is γ used anywhere in your improvement?",
            _improving(improve=lambda v, P, R, gamma: dp.greedy_policy(R)),
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
            _improving(most=200, result=lambda pi, v, new, old_v: (pi, old_v)),
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
            _improving(start=dp.greedy_policy),
            _improving(start=lambda R: np.eye(R.shape[1])[np.full(len(R), R.shape[1] - 1)]),
            _improving(start=lambda R: np.full(R.shape, 1 / R.shape[1])),
        ),
    ],
    also_correct=[_improving(), _improving(evaluate=_by_sweeps), _improving(evaluate=_by_inverse)],
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


def _bound(
    norm: Callable = lambda d: np.abs(d).max(),
    factor: Callable = lambda gamma: 2 / (1 - gamma),
    error: Callable = lambda v, P, R, gamma: dp.q_from_v(v, P, R, gamma).max(axis=1) - v,
) -> Callable:
    """The bound with its parts exchangeable."""

    def suboptimality_bound(v, P, R, gamma):
        return float(factor(gamma) * norm(error(v, P, R, gamma)))

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
    equation="(3.10)",
    # A V* found by sweeps is one all the same.
    alike=lambda case, a, b: isinstance(a, float) and np.isclose(a, b, rtol=1e-5, atol=1e-3),
    mistakes=[
        Mistake(
            "no-factor-2",
            "Without the 2 this bounds ‖v − V*‖: how wrong the table is. What acting on it costs is bounded by twice that.",
            "In the proof two distances are added. Which two?",
            _bound(factor=lambda g: 1 / (1 - g)),
        ),
        Mistake(
            "not-max-norm",
            "ε is not the largest residual. The contraction is in the max norm, so the bound is too.",
            "Over the states, which norm does equation (3.10) take?",
            _bound(norm=lambda d: np.abs(d).mean()),
            _bound(norm=np.linalg.norm),
            _bound(norm=lambda d: np.abs(d).sum()),
            _bound(norm=lambda d: np.sqrt(np.mean(d**2))),
            _bound(norm=lambda d: np.mean(d**2)),
            _bound(norm=lambda d: np.sum(d**2)),
        ),
        Mistake(
            "no-absolute-value",
            "You take the largest residual with its sign. v may be too high as well as too low.",
            "What does your function say about a v that is 60 too high everywhere?",
            _bound(norm=np.max),
            _bound(norm=lambda d: (-d).max()),
            _bound(norm=lambda d: abs(d.max())),
            _bound(norm=lambda d: d.max(initial=0.0)),
            _bound(norm=lambda d: (-d).max(initial=0.0)),
        ),
        Mistake(
            "sharper-bound",
            "2γε/(1 − γ) is true as well, but it is another theorem. The function returns the bound that is proved here.",
            "Compare the numerator with that of equation (3.10).",
            _bound(factor=lambda g: 2 * g / (1 - g)),
        ),
        Mistake(
            "error-not-residual",
            "Your ε is the distance to V*. V* is what we do not have: ε is how much *one backup* changes v.",
            "Can your function be computed without solving the MDP?",
            _bound(error=lambda v, P, R, g: dp.policy_iteration(P, R, g)[1] - v),
        ),
        Mistake(
            "policy-backup",
            "You average over the actions. The residual is that of the optimality backup, with a maximum.",
            "Which backup has V* as its fixed point?",
            _bound(error=lambda v, P, R, g: dp.q_from_v(v, P, R, g).mean(axis=1) - v),
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
        value_iteration,
        policy_iteration,
        suboptimality_bound,
    ],
)
