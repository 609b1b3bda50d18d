"""Lesson 02: the Bellman equation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from rlcourse.checker.declaration import Exercise, Lesson, Mistake, array, integer, several
from rlcourse.checker.harness import Case, Outcome
from rlcourse.checker.material import random_mdp, random_policy
from rlcourse.tabular import dynamic_programming as dp
from rlcourse.tabular.mdp import policy_reward, policy_transition

# ------------------------------------------------------------------------------- shared material


def mdp_cases(
    make: Callable, gamma_one: bool = True
) -> Callable[[np.random.Generator], list[Case]]:
    """Cases over many MDPs; `make(rng, P, R, pi, gamma)` says which inputs they have."""

    def cases(rng: np.random.Generator) -> list[Case]:
        def case(
            name, n_states, n_actions, gamma, *tags, branching=None, deterministic=False
        ) -> Case:
            P, R = random_mdp(rng, n_states, n_actions, branching)
            pi = random_policy(rng, n_states, n_actions, deterministic)
            return Case(name, make(rng, P, R, pi, gamma), tags)

        made = [
            case("four states, three actions", 4, 3, 0.9),
            case("the same shapes again, other numbers", 4, 3, 0.7),
            case("as many states as actions", 4, 4, 0.8, "S = A"),
            case("few reachable states", 6, 2, 0.9, branching=2),
            case("a deterministic policy", 5, 3, 0.7, "deterministic policy", deterministic=True),
            case("a deterministic world", 5, 2, 0.9, branching=1),
            case("one state", 1, 3, 0.5, "S = 1"),
            case("one action", 4, 1, 0.9, "A = 1"),
            case("γ = 0", 4, 3, 0.0, "γ = 0"),
        ]
        return [*made, case("γ = 1", 3, 3, 1.0, "γ = 1", "S = A")] if gamma_one else made

    return cases


def reachable(P: np.ndarray) -> np.ndarray:
    """(S, A, S): 1 where s' can be reached."""
    return (P > 0).astype(float)


def best_reachable(P: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(S, A): the largest v among the states that can be reached."""
    return np.where(P > 0, v, -np.inf).max(axis=2)


NO_PROBABILITIES = (
    "You add up the values of the next states without their probabilities. Weigh each next state by how likely "
    "it is."
)
NO_GAMMA = (
    "The next state's value enters without γ: it comes one step later, so it counts γ of itself."
)
GAMMA_ON_REWARD = (
    "You discount the reward too. It comes now; only what comes a step later is discounted."
)
COUNT_GAMMA = "How often does γ stand in the equation, and before what?"

# ------------------------------------------------------------------------------------- q_from_v


def _q_from_v_by_loop(v, P, R, gamma):
    q = np.zeros(R.shape)
    for s, a in np.ndindex(R.shape):
        q[s, a] = R[s, a] + gamma * sum(p * value for p, value in zip(P[s, a], v, strict=True))
    return q


q_from_v = Exercise(
    "q_from_v",
    reference=dp.q_from_v,
    cases=mdp_cases(lambda rng, P, R, pi, g: {"v": rng.normal(size=len(R)) * 3, "P": P, "R": R, "gamma": g}),
    returns=array(),
    points=1,
    equation="(2.5)",
    mistakes=[
        Mistake(
            "gamma-on-reward", GAMMA_ON_REWARD, COUNT_GAMMA, lambda v, P, R, gamma: gamma * (R + P @ v)
        ),
        Mistake("no-gamma", NO_GAMMA, COUNT_GAMMA, lambda v, P, R, gamma: R + P @ v),
        Mistake(
            "no-probabilities",
            NO_PROBABILITIES,
            "What should come out if all states are worth the same?",
            lambda v, P, R, gamma: R + gamma * (reachable(P) @ v),
            lambda v, P, R, gamma: R + gamma * v.sum(),
        ),
        Mistake(
            "own-value",
            "You use the value of the state itself. The value that counts is the *next* state's.",
            "Which argument tells you where an action leads?",
            lambda v, P, R, gamma: R + gamma * v[:, None],
        ),
        Mistake(
            "best-next-state",
            "You take the best of the next states. You choose the action, not where the world puts you.",
            "Who decides which s′ comes after s and a, and how?",
            lambda v, P, R, gamma: R + gamma * best_reachable(P, v),
            lambda v, P, R, gamma: R + gamma * v.max(),
        ),
    ],
    also_correct=[
        _q_from_v_by_loop,
        lambda v, P, R, gamma: R + gamma * np.einsum("sat,t->sa", P, v),
        lambda v, P, R, gamma: (P * (R[:, :, None] + gamma * v)).sum(axis=2),
        lambda v, P, R, gamma: R + gamma * np.tensordot(P, v, axes=1),
    ],
)  # fmt: skip

# -------------------------------------------------------------------------- v_from_q, advantage


def _table_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n_states, n_actions, *tags, shift=0.0, deterministic=False) -> Case:
        q = rng.normal(size=(n_states, n_actions)) * 2 + shift
        return Case(
            name, {"q": q, "pi": random_policy(rng, n_states, n_actions, deterministic)}, tags
        )

    return [
        case("four states, three actions", 4, 3),
        case("the same shapes again, other numbers", 4, 3),
        case("as many states as actions", 4, 4, "S = A"),
        case("a deterministic policy", 5, 3, "deterministic policy", deterministic=True),
        case("values all negative", 4, 3, "negative values", shift=-9.0),
        case("one state", 1, 4, "S = 1"),
        case("one action", 4, 1, "A = 1"),
        case("more actions than states", 2, 6),
    ]


v_from_q = Exercise(
    "v_from_q",
    reference=dp.v_from_q,
    cases=_table_cases,
    returns=array(),
    points=1,
    equation="(2.6)",
    mistakes=[
        Mistake(
            "max-not-mean",
            "You take the best action's value. That is the value of the greedy policy (lesson 03); this one acts "
            "by π.",
            "What should come out for a policy that never takes the best action?",
            lambda q, pi: q.max(axis=1),
        ),
        Mistake(
            "unweighted-mean",
            "You average over the actions as if all were equally likely. π gives the weights.",
            "Which argument have you not used?",
            lambda q, pi: q.mean(axis=1),
        ),
        Mistake(
            "averaged-twice",
            "You weigh by π and then divide by the number of actions as well. The weights alone make the average: "
            "they sum to 1.",
            "What should come out if all actions are worth the same?",
            lambda q, pi: (pi * q).mean(axis=1),
        ),
        Mistake(
            "unweighted-sum",
            "You add up the values of all actions. An average has weights that sum to 1: π.",
            "What should come out if all actions are worth the same?",
            lambda q, pi: q.sum(axis=1),
        ),
        Mistake(
            "sum-over-states",
            "You sum over the states. One number is asked for each state.",
            "Which axis are the actions? Print the shape of your result.",
            lambda q, pi: (pi * q).sum(axis=0),
        ),
        Mistake(
            "likeliest-action",
            "You use only the likeliest action's value. Every action counts, by its probability.",
            "Try a state with probabilities 0.6 and 0.4.",
            lambda q, pi: q[np.arange(len(q)), pi.argmax(axis=1)],
        ),
    ],
    also_correct=[
        lambda q, pi: np.einsum("sa,sa->s", q, pi),
        lambda q, pi: np.average(q, axis=1, weights=pi),
        lambda q, pi: np.diag(pi @ q.T).copy(),
        lambda q, pi: np.array([pi[s] @ q[s] for s in range(len(q))]),
    ],
)


def _mean_under(q: np.ndarray, pi: np.ndarray) -> np.ndarray:
    return (pi * q).sum(axis=1, keepdims=True)


advantage = Exercise(
    "advantage",
    reference=dp.advantage,
    cases=_table_cases,
    returns=array(),
    points=1,
    equation="(2.7)",
    mistakes=[
        Mistake(
            "minus-max",
            "You subtract the best action's value, so no advantage is ever positive. Compare with what π gets on "
            "average, not with the best.",
            "What is the mean of your advantages under π? It should be 0.",
            lambda q, pi: q - q.max(axis=1, keepdims=True),
        ),
        Mistake(
            "minus-plain-mean",
            "You subtract the plain mean over the actions. V is the mean *under π*.",
            "What is the mean of your advantages under π? It should be 0.",
            lambda q, pi: q - q.mean(axis=1, keepdims=True),
        ),
        Mistake(
            "sign",
            "The sign is turned round: a better action should have a positive advantage.",
            "Which of the two is subtracted from which in equation (2.7)?",
            lambda q, pi: _mean_under(q, pi) - q,
        ),
        Mistake(
            "wrong-axis",
            "You subtract the value of state number a from column a: NumPy lined V up with the actions. V needs the "
            "shape (S, 1).",
            "Print the shapes of both sides of your subtraction.",
            lambda q, pi: q - _mean_under(q, pi)[:, 0],
        ),
        Mistake(
            "weighted",
            "You multiply the difference by π. The advantage itself is not weighted; only its mean is.",
            "What is the advantage of an action that π never takes? Not 0 by itself.",
            lambda q, pi: pi * (q - _mean_under(q, pi)),
        ),
    ],
    also_correct=[
        lambda q, pi: q - _mean_under(q, pi),
        lambda q, pi: (q.T - (pi * q).sum(axis=1)).T,
        lambda q, pi: (pi[:, None, :] * (q[:, :, None] - q[:, None, :])).sum(axis=2),
        lambda q, pi: np.array([row - row @ p for row, p in zip(q, pi, strict=True)]),
    ],
)

# -------------------------------------------------------------------------------- bellman_backup


def _backup_inputs(rng, P, R, pi, gamma) -> dict:
    return {"v": rng.normal(size=len(R)) * 3, "P": P, "R": R, "pi": pi, "gamma": gamma}


def _into_v(v, P, R, pi, gamma):
    for s in range(len(v)):
        v[s] = pi[s] @ (R[s] + gamma * P[s] @ v)
    return v


def _in_place(v, P, R, pi, gamma):
    return _into_v(v.copy(), P, R, pi, gamma)


def _backup_by_loop(v, P, R, pi, gamma):
    new = np.empty_like(v)
    for s in range(len(v)):
        new[s] = sum(pi[s, a] * (R[s, a] + gamma * P[s, a] @ v) for a in range(R.shape[1]))
    return new


bellman_backup = Exercise(
    "bellman_backup",
    reference=dp.bellman_backup,
    cases=mdp_cases(_backup_inputs),
    returns=array(),
    points=1,
    equation="(2.8)",
    mistakes=[
        Mistake(
            "gamma-on-reward",
            GAMMA_ON_REWARD,
            COUNT_GAMMA,
            lambda v, P, R, pi, g: g * dp.bellman_backup(v, P, R, pi, 1.0),
        ),
        Mistake(
            "no-gamma",
            NO_GAMMA,
            COUNT_GAMMA,
            lambda v, P, R, pi, g: dp.bellman_backup(v, P, R, pi, 1.0),
        ),
        Mistake(
            "no-probabilities",
            NO_PROBABILITIES,
            "Which three things does equation (2.8) multiply for each s′?",
            lambda v, P, R, pi, g: dp.v_from_q(R + g * (reachable(P) @ v), pi),
            lambda v, P, R, pi, g: dp.v_from_q(R + g * v.sum(), pi),
        ),
        Mistake(
            "max-not-mean",
            "You take the best action. That backup belongs to the optimal policy (lesson 03); this one follows π.",
            "Which argument have you not used?",
            lambda v, P, R, pi, g: dp.q_from_v(v, P, R, g).max(axis=1),
        ),
        Mistake(
            "in-place-sweep",
            "Later states read the new values of earlier ones. That is a fine way to *find* V^π, but it is not "
            "T^π v: every state is to be backed up from the same old v.",
            "Does your loop write into the array that it reads from?",
            _in_place,
            _into_v,
        ),
        Mistake(
            "ignores-policy",
            "You average over the actions as if all were equally likely. π gives their weights.",
            "Which argument have you not used?",
            lambda v, P, R, pi, g: dp.q_from_v(v, P, R, g).mean(axis=1),
        ),
    ],
    also_correct=[
        _backup_by_loop,
        lambda v, P, R, pi, g: policy_reward(R, pi) + g * policy_transition(P, pi) @ v,
        lambda v, P, R, pi, g: (
            np.einsum("sa,sa->s", pi, R) + g * np.einsum("sa,sat,t->s", pi, P, v)
        ),
    ],
)

# --------------------------------------------------------------------------------- solve_bellman


def _solved(matrix: Callable, right: Callable = policy_reward) -> Callable:
    """V^π by a linear solve with another matrix or another right-hand side."""

    def solve(P, R, pi, gamma):
        return np.linalg.solve(matrix(policy_transition(P, pi), gamma), right(R, pi))

    return solve


def _without_gamma(P_pi, gamma):
    return np.eye(len(P_pi)) - P_pi


def _shows_singular(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    """I − P^π is singular: an exception, or enormous numbers that it takes nearly to 0."""

    def singular(case: Case, outcome: Outcome) -> bool:
        if outcome.failure is not None:
            known = outcome.failure.type_name == "LinAlgError"
            return known and "ingular" in outcome.failure.message
        P, R, pi, gamma = case.inputs.values()
        bound = np.abs(R).max() / (1 - gamma)
        value = outcome.value
        if not (isinstance(value, np.ndarray) and value.shape == (len(R),)):
            return False
        left = np.abs(_without_gamma(policy_transition(P, pi), gamma) @ value).max()
        return np.isfinite(left) and np.abs(value).max() > max(1e6 * bound, 1e3 * left)

    def undefined(outcome: Outcome) -> bool:
        return isinstance(outcome.value, np.ndarray) and not np.isfinite(outcome.value).all()

    with np.errstate(invalid="ignore"):
        shown = [singular(*pair) for pair in zip(cases, outcomes, strict=False)]
    odd = [found or undefined(outcome) for found, outcome in zip(shown, outcomes, strict=True)]
    return len(outcomes) == len(cases) and all(odd) and any(shown)


def _iterated(P, R, pi, gamma):
    v = np.zeros(len(R))
    while True:
        new = policy_reward(R, pi) + gamma * policy_transition(P, pi) @ v
        if np.abs(new - v).max() < 1e-12:
            return new
        v = new


def _through_q(P, R, pi, gamma):
    n_states, n_actions = R.shape
    move = np.einsum("sat,tb->satb", P, pi).reshape(n_states * n_actions, -1)
    q = np.linalg.solve(np.eye(n_states * n_actions) - gamma * move, R.ravel())
    return (pi * q.reshape(R.shape)).sum(axis=1)


solve_bellman = Exercise(
    "solve_bellman",
    reference=dp.solve_bellman,
    cases=mdp_cases(
        lambda rng, P, R, pi, g: {"P": P, "R": R, "pi": pi, "gamma": g}, gamma_one=False
    ),
    returns=array(),
    points=2,
    equation="(2.10)",
    # Iterating until nothing changes by 1e-12 is right too, and leaves 1e-11.
    rtol=1e-8,
    atol=1e-9,
    mistakes=[
        Mistake(
            "plus-gamma",
            "The sign before γ is wrong: bringing γP^πV to the left-hand side turns it into minus.",
            "Start from V = r^π + γP^πV and collect the terms with V.",
            _solved(lambda P_pi, g: np.eye(len(P_pi)) + g * P_pi),
        ),
        Mistake(
            "no-gamma",
            "Your matrix is singular: it has no inverse, and numbers that come out mean nothing. So it is when γ is "
            "missing: the rows of I − P^π sum to 0.",
            "What do the rows of a Markov chain's matrix sum to? Then what do those of I minus it?",
            _solved(_without_gamma),
            lambda P, R, pi, g: np.linalg.lstsq(
                _without_gamma(policy_transition(P, pi), g), policy_reward(R, pi), rcond=None
            )[0],
            shows=_shows_singular,
        ),
        Mistake(
            "transposed",
            "You solve with the transpose of P^π. That is the occupancy's equation (lesson 01); values flow the "
            "other way.",
            "Row s of equation (2.10) talks about the states reached *from* s.",
            _solved(lambda P_pi, g: np.eye(len(P_pi)) - g * P_pi.T),
        ),
        Mistake(
            "ones-not-identity",
            "You wrote 1 − γP: NumPy subtracts from *every* entry. The identity has ones only on the diagonal.",
            "Print 1 − M and the identity minus M for a small M.",
            _solved(lambda P_pi, g: 1 - g * P_pi),
            lambda P, R, pi, g: np.linalg.lstsq(
                1 - g * policy_transition(P, pi), policy_reward(R, pi), rcond=None
            )[0],
        ),
        Mistake(
            "reward-unweighted",
            "Your right-hand side is not the reward under π: it has to be weighed by the policy, as in "
            "`policy_reward`.",
            "Compare your right-hand side with equation (1.5).",
            _solved(lambda P_pi, g: np.eye(len(P_pi)) - g * P_pi, lambda R, pi: R.mean(axis=1)),
            _solved(lambda P_pi, g: np.eye(len(P_pi)) - g * P_pi, lambda R, pi: R.max(axis=1)),
            _solved(lambda P_pi, g: np.eye(len(P_pi)) - g * P_pi, lambda R, pi: R.sum(axis=1)),
        ),
    ],
    also_correct=[
        _iterated,
        _through_q,
        lambda P, R, pi, g: np.linalg.inv(np.eye(len(R)) - g * policy_transition(P, pi)) @ policy_reward(R, pi),
        lambda P, R, pi, g: np.linalg.lstsq(
            np.eye(len(R)) - g * policy_transition(P, pi), policy_reward(R, pi), rcond=None
        )[0],
    ],
)  # fmt: skip

# ----------------------------------------------------------------------------- policy_evaluation


def sweep_mdps(rng: np.random.Generator) -> list[tuple[str, tuple, dict]]:
    """MDPs on which rules for stopping differ: (name, tags, {P, R, gamma, tolerance})."""

    def made(name, P, R, gamma, tolerance, *tags):
        return name, tags, {"P": P, "R": R, "gamma": gamma, "tolerance": tolerance}

    def random(n_states, n_actions, branching=None):
        return random_mdp(rng, n_states, n_actions, branching)

    def separate(n, n_actions):
        """n states that only lead to themselves."""
        return np.repeat(np.eye(n)[:, None, :], n_actions, axis=1)

    P, R = random(4, 3)
    swap = np.array([[1.0, 1.0], [-1.0, -1.0]])
    lengthy = np.zeros((5, 2, 5))
    for s in range(4):
        lengthy[s, :, s + 1] = 1.0
    lengthy[4, :, 4] = 1.0

    def slow(state):
        """One state that is paid for ever, beside two where nothing happens."""
        return separate(3, 2), np.eye(3)[state][:, None].repeat(2, axis=1)

    # The second sweep turns signs and leaves every |v| as it was.
    turns = np.array([1.0, -2.0, 4.0, -8.0, 0.0])[:, None].repeat(2, axis=1)

    # In state 0 action 0 is paid for ever, action 1 leaves for where nothing happens.
    leaving = separate(2, 2)
    leaving[0, 1] = leaving[1, 1]

    # Action 1 of state 0 is never best, and learns a sweep later than all values: q moves, v rests.
    aside = np.zeros((3, 2, 3))
    aside[0, 0, 2] = aside[0, 1, 1] = 1.0
    aside[1, :, 2] = aside[2, :, 2] = 1.0
    return [
        # First, since here v is the same in place: what is told of a wrong count is true of both.
        made("an action that is never best learns last", aside,
             np.array([[10.0, 0.0], [1.0, 1.0], [0.0, 0.0]]), 0.9, 1e-6, "v settles before q"),
        made("four states", P, R, 0.9, 1e-6),
        made("as many states as actions", *random(3, 3), 0.8, 1e-8, "S = A"),
        made("rewards that cancel", separate(2, 2), swap, 0.9, 1e-4, "rewards that cancel"),
        made("rewards all negative", P, -np.abs(R) - 1, 0.9, 1e-6, "negative rewards"),
        made("rewards all positive", P, np.abs(R) + 1, 0.9, 1e-6),
        made("the first state settles long after the others", *slow(0), 0.9, 1e-5, "one slow state"),
        made("the last state settles long after the others", *slow(2), 0.9, 1e-5, "one slow state"),
        made("one action settles long after the other", leaving, np.array([[1.0, 0.0], [0.0, 0.0]]), 0.9, 1e-5,
             "one slow action"),
        made("no rewards", P, np.zeros_like(R), 0.9, 1e-6, "R = 0"),
        made("a tolerance so large that one sweep is enough", P, R, 0.9, 1e3, "a large tolerance"),
        made("an episode of four steps, γ = 1", lengthy, np.array([[-1.0, -1.0]] * 4 + [[0.0, 0.0]]), 1.0, 1e-6,
             "γ = 1"),
        made("an episode with gains and losses in turn, γ = 1", lengthy, turns, 1.0, 1e-6, "γ = 1"),
        made("one state", *random(1, 2), 0.5, 1e-7, "S = 1"),
        made("γ = 0", P, R, 0.0, 1e-6, "γ = 0"),
        made("a coarse tolerance", *random(6, 2, 2), 0.95, 0.05),
    ]  # fmt: skip


def _evaluation_cases(rng: np.random.Generator) -> list[Case]:
    cases = []
    for i, (name, tags, inputs) in enumerate(sweep_mdps(rng)):
        pi = random_policy(rng, *inputs["R"].shape, deterministic=i % 4 == 3)
        order = {"P": inputs["P"], "R": inputs["R"], "pi": pi}
        cases.append(Case(name, order | {k: inputs[k] for k in ("gamma", "tolerance")}, tags))
    return cases


MAX_SWEEPS = 3000


def _evaluating(
    change: Callable = lambda new, old: np.abs(new - old).max(),
    sweep: Callable = dp.bellman_backup,
    most: int = MAX_SWEEPS,
    counted: int = 0,
    at_most: bool = False,
) -> Callable:
    """Policy evaluation with its parts exchangeable."""

    def policy_evaluation(P, R, pi, gamma, tolerance):
        v = np.zeros(len(R))
        sweeps, settled = 0, False
        while not settled and sweeps < most:
            new = sweep(v, P, R, pi, gamma)
            moved = change(new, v)
            v, sweeps = new, sweeps + 1
            settled = moved < tolerance or (at_most and moved == tolerance)
        return v, sweeps + counted

    return policy_evaluation


def stopping(measure: Callable, loop: Callable, sweeps: Sequence[Callable]) -> list[Callable]:
    """`loop` with several kinds of sweep, stopped by `measure(new - old)`."""
    return [loop(change=lambda new, old: measure(new - old), sweep=sweep) for sweep in sweeps]


_stopping = partial(stopping, loop=_evaluating, sweeps=(dp.bellman_backup, _in_place))


def _same_array(P, R, pi, gamma, tolerance):
    v, sweeps = np.zeros(len(R)), 0
    while True:
        old = v  # a second name, not a second array
        for s in range(len(v)):
            v[s] = pi[s] @ (R[s] + gamma * P[s] @ v)
        sweeps += 1
        if np.abs(v - old).max() < tolerance:
            return v, sweeps


def _sutton_and_barto(P, R, pi, gamma, tolerance):
    """The book's box: one array, states in order."""
    v, sweeps = np.zeros(len(R)), 0
    while True:
        delta = 0.0
        for s in range(len(v)):
            old = v[s]
            v[s] = sum(pi[s, a] * (R[s, a] + gamma * P[s, a] @ v) for a in range(R.shape[1]))
            delta = max(delta, abs(old - v[s]))
        sweeps += 1
        if delta < tolerance:
            return v, sweeps


policy_evaluation = Exercise(
    "policy_evaluation",
    reference=dp.policy_evaluation,
    cases=_evaluation_cases,
    returns=several(v=array(), sweeps=integer()),
    points=3,
    equation="(2.11)",
    variants=[_evaluating(sweep=_in_place)],
    mistakes=[
        Mistake(
            "signed-differences",
            "You add up the changes with their signs, so that changes of opposite sign cancel. Take absolute values "
            "first.",
            "What does your test say if one state rises by 1 and another falls by 1?",
            *_stopping(lambda change: abs(change.sum())),
            *_stopping(lambda change: abs(change.mean())),
            *_stopping(np.sum),
            *_stopping(np.mean),
        ),
        Mistake(
            "no-absolute-value",
            "You look for the largest change with its sign: changes in one direction, of falling values say, look "
            "settled. Take absolute values first.",
            "What does your test say if every reward is −1? And if every reward is 1?",
            *_stopping(np.max),
            *_stopping(lambda change: (-change).max()),
            *_stopping(lambda change: abs(change.max())),
        ),
        Mistake(
            "one-sweep",
            "You sweep once. One backup only looks one step ahead: repeat it until nothing changes.",
            "Where is the loop around your sweep? And if there is one: is the old v that you compare with a copy?",
            _evaluating(most=1),
        ),
        Mistake(
            "mean-change",
            "You look at the mean change. One state may still be moving while all others rest: take the largest.",
            "How small is the mean change if one of a thousand states still moves by 1?",
            *_stopping(lambda change: np.abs(change).mean()),
        ),
        Mistake(
            "any-state-settled",
            "You stop as soon as *one* state hardly changes. All of them must have settled.",
            "`any` or `all`? Smallest or largest change?",
            *_stopping(lambda change: np.abs(change).min()),
        ),
        Mistake(
            "last-sweep-not-counted",
            "Your number of sweeps is one too small: the sweep that finds no change was a sweep too.",
            "How many sweeps does it take to notice that all rewards are 0?",
            _evaluating(counted=-1),
            _evaluating(counted=-1, sweep=_in_place),
        ),
        Mistake(
            "old-and-new-same-array",
            "You stop after one sweep. So it is when old and new are the same array, and nothing ever differs from "
            "itself: an assignment makes a second *name*, not a second array.",
            "What does `old is v` say just before your test?",
            _same_array,
        ),
    ],
    also_correct=[
        _evaluating(),
        _evaluating(at_most=True),
        _sutton_and_barto,
        _evaluating(sweep=_backup_by_loop),
    ],
)

LESSON = Lesson(
    "02",
    "The Bellman equation",
    [q_from_v, v_from_q, advantage, bellman_backup, solve_bellman, policy_evaluation],
)
