"""Lesson 02: the Bellman equation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

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
from rlcourse.checker.material import random_mdp, random_policy
from rlcourse.tabular import dynamic_programming as dp
from rlcourse.tabular.mdp import policy_reward, policy_transition

from .targets import (
    ALL_ALIKE,
    AVERAGED_TWICE,
    COUNT_GAMMA,
    GAMMA_MISPLACED,
    NO_GAMMA,
    REWARD_MISSING,
    STOPPING,
    looked_ahead,
    weights,
)

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


NO_PROBABILITIES = (
    "You add up the values of the next states without their probabilities. Weigh each next state by how likely "
    "it is."
)
GAMMA_ON_REWARD = (
    "You discount the reward too. It comes now; only what comes a step later is discounted."
)
OWN_VALUE = "You use the value of the state itself. The value that counts is the *next* state's."
WHERE_TO = "Which argument tells you where an action leads?"
BEST_NEXT = "You take the best of the next states that can be reached. You choose the action, not where the world puts you."
BEST_OF_ALL = "You take the best of *all* states, reachable or not. What counts is where this action leads, and how likely."
WHO_DECIDES = "Who decides which s′ comes after s and a, and how?"
MEAN_OF_ALL = "You average over all states as if each were equally likely to come next. p(s′|s, a) gives their weights."
LIKELIEST_NEXT = (
    "You use only the likeliest next state's value. Every next state counts, by its probability."
)
AVERAGED_OVER_NEXT = (
    "You weigh the next states by p and then divide by their number as well. The probabilities alone make the "
    "average: they sum to 1."
)
LARGEST_TERM = "You take the largest of the products p(s′|s, a) v(s′). The equation adds them up."
BACKWARDS = (
    "You sum over the states that one comes *from*. The sum runs over s′, the last index of P."
)
INDICES = "Which index of P does your sum run over? Which ones stay?"


def of_the_next(make: Callable, left_out: Sequence[str] = ()) -> list[Mistake]:
    """The mistakes that a look ahead can make, each by `make(**options of looked_ahead)`."""
    told = [
        Mistake("gamma-on-reward", GAMMA_ON_REWARD, COUNT_GAMMA, make(of_reward=1)),
        Mistake("no-gamma", NO_GAMMA, COUNT_GAMMA, make(of_next=0)),
        Mistake("gamma-misplaced", GAMMA_MISPLACED, COUNT_GAMMA, make(of_reward=1, of_next=0)),
        Mistake(
            "reward-missing", REWARD_MISSING, "What should come out at γ = 0?", make(of_reward=None)
        ),
        Mistake(
            "no-probabilities",
            NO_PROBABILITIES,
            "What should come out if all states are worth the same?",
            make(to="sum of the reachable"),
            make(to="sum of all"),
        ),
        Mistake("own-value", OWN_VALUE, WHERE_TO, make(to="own")),
        Mistake("best-next-state", BEST_NEXT, WHO_DECIDES, make(to="best reachable")),
        Mistake("best-of-all-states", BEST_OF_ALL, WHO_DECIDES, make(to="best of all")),
        Mistake("mean-of-states", MEAN_OF_ALL, WHO_DECIDES, make(to="mean of all")),
        Mistake("likeliest-next-state", LIKELIEST_NEXT, WHO_DECIDES, make(to="likeliest")),
        Mistake(
            "averaged-over-next",
            AVERAGED_OVER_NEXT,
            "What should come out if all states are worth the same?",
            make(to="averaged twice"),
        ),
        Mistake("largest-term", LARGEST_TERM, INDICES, make(to="largest term")),
        Mistake("backwards", BACKWARDS, INDICES, make(to="backwards")),
    ]
    return [mistake for mistake in told if mistake.name not in left_out]


# ------------------------------------------------------------------------------ q_and_advantage


def _any_table(rng, P, R, pi, gamma, shift: float = 0.0) -> dict:
    v = rng.normal(size=len(R)) * 3 + shift
    return {"v": v, "P": P, "R": R, "pi": pi, "gamma": gamma}


def _q_and_advantage_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n_states, n_actions, *tags, shift=0.0) -> Case:
        P, R = random_mdp(rng, n_states, n_actions)
        pi = random_policy(rng, n_states, n_actions)
        return Case(name, _any_table(rng, P, R, pi, 0.9, shift), tags)

    return [
        *mdp_cases(_any_table)(rng),
        case("values all negative", 4, 3, "negative values", shift=-30.0),
        case("more actions than states", 2, 6),
    ]


# How the values that are subtracted are made of a table and lined up with q.
LINED_UP: dict[str, Callable] = {
    "states": lambda table, over: over(table, axis=1)[:, None],
    "actions": lambda table, over: over(table, axis=1),
    "columns": lambda table, over: over(table, axis=0)[None],
    "all": lambda table, over: over(table),
    "all, averaged": lambda table, over: over(table) / table.size,
    "states, averaged": lambda table, over: over(table, axis=1).mean(),
}
PAIRED: dict[str, Callable] = {
    "not summed": lambda q, pi: pi * q,
    "all pairs": lambda q, pi: pi @ q.T,
    "all pairs, turned": lambda q, pi: q @ pi.T,
}


def _subtracted(kind: str, lined_up: str, q: np.ndarray, pi: np.ndarray, v: np.ndarray):
    """kind: weights of the actions whose sum it is, "max", "largest share", "v" or one of PAIRED."""
    if kind in PAIRED:
        return PAIRED[kind](q, pi)
    if kind == "v":
        return v[:, None] if lined_up == "states" else v
    if kind in ("max", "largest share"):
        return LINED_UP[lined_up](q if kind == "max" else pi * q, np.max)
    return LINED_UP[lined_up](weights(kind, pi) * q, np.sum)


COMPARED: dict[str, Callable] = {
    "minus": lambda q, value, pi: q - value,
    "only q weighted": lambda q, value, pi: pi * q - value,
    "divided": lambda q, value, pi: q / value,
    "value only": lambda q, value, pi: value,
}


@composable
def _looked_and_compared(
    of_reward: int | None = 0,
    of_next: int = 1,
    to: str = "expected",
    next_sign: int = 1,
    kind: str = "pi",
    lined_up: str = "states",
    compared: str = "minus",
    sign: int = 1,
    weighted: bool = False,
    exchanged: bool = False,
) -> Callable:
    """q and the advantage with their parts exchangeable.

    next_sign: of what comes next; kind, lined_up: what is subtracted (`_subtracted`), the latter "actions"
    where an axis is missing; exchanged: whether the advantage is returned first.
    """

    def q_and_advantage(v, P, R, pi, gamma):
        q = looked_ahead(P, R, v, gamma, of_reward, of_next, to)
        if next_sign < 0:
            q = 2 * looked_ahead(P, R, v, gamma, of_reward, of_next, "nothing") - q
        adv = sign * COMPARED[compared](q, _subtracted(kind, lined_up, q, pi, v), pi)
        adv = pi * adv if weighted else adv
        return (adv, q) if exchanged else (q, adv)

    return q_and_advantage


def _value_for_advantage(column: bool) -> Callable:
    def q_and_advantage(v, P, R, pi, gamma):
        q = dp.q_from_v(v, P, R, gamma)
        value = dp.v_from_q(q, pi)
        return q, value[:, None] if column else value

    return q_and_advantage


def _q_and_advantage_by_loop(v, P, R, pi, gamma):
    q, adv = np.zeros(R.shape), np.zeros(R.shape)
    for s, a in np.ndindex(R.shape):
        q[s, a] = R[s, a] + gamma * sum(p * value for p, value in zip(P[s, a], v, strict=True))
    for s in range(len(R)):
        adv[s] = q[s] - pi[s] @ q[s]
    return q, adv


def _with(q: Callable, adv: Callable) -> Callable:
    """Both tables by formulas: q(v, P, R, gamma), adv(q, pi)."""

    def q_and_advantage(v, P, R, pi, gamma):
        table = q(v, P, R, gamma)
        return table, adv(table, pi)

    return q_and_advantage


_QUICK = dp.q_from_v
MEAN_OF_ADVANTAGES = "What is the mean of your advantages under π? It should be 0 in every state."
SHAPE_SUBTRACTED = "Print the shapes of both sides of your subtraction."

q_and_advantage = Exercise(
    "q_and_advantage",
    reference=dp.q_and_advantage,
    cases=_q_and_advantage_cases,
    returns=several(q=array(), adv=array()),
    points=2,
    equation="(2.7)",
    parts=["q_from_v", "v_from_q", "advantage"],
    mistakes=[
        *of_the_next(_looked_and_compared),
        Mistake(
            "next-subtracted",
            "In q you subtract what comes next. It is added: a good next state makes an action better.",
            "Which sign stands before γ in equation (2.5)?",
            _looked_and_compared(next_sign=-1),
        ),
        Mistake(
            "minus-max",
            "You subtract the best action's value, so no advantage is ever positive. Compare with what π gets on "
            "average, not with the best: that is lesson 03.",
            MEAN_OF_ADVANTAGES,
            _looked_and_compared(kind="max"),
        ),
        Mistake(
            "minus-plain-mean",
            "You subtract the plain mean over the actions. The value is the mean *under π*.",
            MEAN_OF_ADVANTAGES,
            _looked_and_compared(kind="equal"),
        ),
        Mistake(
            "minus-v",
            "You subtract the `v` that was passed in. That is right only if it is V^π already; for any other table "
            "what π gets on average has to come out of q.",
            MEAN_OF_ADVANTAGES,
            _looked_and_compared(kind="v"),
        ),
        Mistake(
            "wrong-axis",
            "You subtract the value of state number a from column a: NumPy lined the values up with the actions, and "
            "complains only where S ≠ A. They need the shape (S, 1).",
            SHAPE_SUBTRACTED,
            _looked_and_compared(lined_up="actions"),
        ),
        Mistake(
            "likeliest-action",
            "You subtract the value of the likeliest action. Every action counts, by its probability.",
            MEAN_OF_ADVANTAGES,
            _looked_and_compared(kind="likeliest"),
        ),
        Mistake(
            "unweighted-sum",
            "You subtract the plain sum of the actions' values. An average has weights that sum to 1: π.",
            MEAN_OF_ADVANTAGES,
            _looked_and_compared(kind="none"),
        ),
        Mistake(
            "averaged-twice",
            AVERAGED_TWICE,
            MEAN_OF_ADVANTAGES,
            _looked_and_compared(kind="pi, averaged"),
        ),
        Mistake(
            "largest-share",
            "You subtract the largest of the products π(b|s) q(s, b). Equation (2.7) adds them up.",
            MEAN_OF_ADVANTAGES,
            _looked_and_compared(kind="largest share"),
        ),
        Mistake(
            "sum-over-states",
            "You sum over the states, so that one number an action is subtracted. There should be one number a state.",
            "Which axis are the actions? Print the shape of what you subtract.",
            _looked_and_compared(lined_up="columns"),
        ),
        Mistake(
            "one-number",
            "You subtract one and the same number everywhere, made of the whole table. There should be one a state.",
            "Over which index does the sum in equation (2.7) run? Which one stays?",
            _looked_and_compared(lined_up="all"),
            _looked_and_compared(lined_up="all, averaged"),
            _looked_and_compared(lined_up="states, averaged"),
        ),
        Mistake(
            "not-summed",
            "You weigh every value by π, but do not add them up: each action is compared with its own share.",
            "Over which index does the sum in equation (2.7) run?",
            _looked_and_compared(kind="not summed"),
        ),
        Mistake(
            "all-pairs",
            "Every row of π meets every row of q: you get (S, S). The row π(·|s) belongs to state s alone.",
            "Print the shape of your product. Which of its entries do you need?",
            _looked_and_compared(kind="all pairs"),
            _looked_and_compared(kind="all pairs, turned"),
        ),
        Mistake(
            "sign",
            "The sign of the advantage is turned round: a better action should have a positive one.",
            "Which of the two is subtracted from which in equation (2.7)?",
            _looked_and_compared(sign=-1),
        ),
        Mistake(
            "weighted",
            "You multiply the difference by π. The advantage itself is not weighted; only its mean is.",
            "What is the advantage of an action that π never takes? Not 0 by itself.",
            _looked_and_compared(weighted=True),
        ),
        Mistake(
            "only-q-weighted",
            "You subtract the value from π(a|s) q(s, a). In equation (2.7) q stands alone: only its mean is weighed.",
            MEAN_OF_ADVANTAGES,
            _looked_and_compared(compared="only q weighted"),
        ),
        Mistake(
            "divided",
            "You divide by the value. An advantage is a difference: 0 for an action that is as good as the average.",
            "What comes out for an action that is worth exactly the average?",
            _looked_and_compared(compared="divided"),
        ),
        Mistake(
            "value-only",
            "In the place of the advantages you return what is to be subtracted. Asked is how much better than that "
            "each *action* is.",
            "Which term of equation (2.7) is missing?",
            _value_for_advantage(column=True),
            _value_for_advantage(column=False),
        ),
        Mistake(
            "results-exchanged",
            "Both tables are right, in the other order: q comes first, then the advantages.",
            "What does the docstring say is returned?",
            _looked_and_compared(exchanged=True),
        ),
    ],
    also_correct=[
        _looked_and_compared(),
        _q_and_advantage_by_loop,
        _with(lambda v, P, R, g: R + g * np.einsum("sat,t->sa", P, v),
              lambda q, pi: q - np.einsum("sa,sa->s", pi, q)[:, None]),
        _with(lambda v, P, R, g: (P * (R[:, :, None] + g * v)).sum(axis=2),
              lambda q, pi: q - np.average(q, axis=1, weights=pi)[:, None]),
        _with(lambda v, P, R, g: R + g * np.tensordot(P, v, axes=1), lambda q, pi: (q.T - (pi * q).sum(axis=1)).T),
        _with(_QUICK, lambda q, pi: q - np.diag(pi @ q.T)[:, None]),
        _with(_QUICK, lambda q, pi: (pi[:, None, :] * (q[:, :, None] - q[:, None, :])).sum(axis=2)),
        _with(_QUICK, lambda q, pi: q - (pi * q).sum(axis=1, keepdims=True)),
    ],
)  # fmt: skip

# -------------------------------------------------------------------------------- bellman_backup


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


def _backed_up(v, P, R, pi, gamma, kind, paid, of_reward, of_next, to) -> np.ndarray:
    q = looked_ahead(P, R, v, gamma, of_reward, of_next, to)
    if kind == "best":
        return q.max(axis=1)
    w = weights(kind, pi)
    corrected = 0.0 if paid is None else ((weights(paid, pi) - w) * R).sum(axis=1)
    return (w * q).sum(axis=1) + corrected


@composable
def backup(
    kind: str = "pi",
    paid: str | None = None,
    of_reward: int | None = 0,
    of_next: int = 1,
    to: str = "expected",
    in_place: bool = False,
) -> Callable:
    """A backup for a policy with its parts exchangeable.

    kind: the weights of the actions, or "best"; paid: those of their rewards, if others;
    in_place: whether later states read the new values of earlier ones.
    """
    options = kind, paid, of_reward, of_next, to

    def bellman_backup(v, P, R, pi, gamma):
        if not in_place:
            return _backed_up(v, P, R, pi, gamma, *options)
        v, plain = v.copy(), kind != "best" and paid is None and to == "expected"
        w = weights(kind, pi) if plain else None
        for s in range(len(v)):
            if plain:  # the same, and quicker
                now = 0.0 if of_reward is None else float(gamma) ** of_reward * R[s]
                v[s] = w[s] @ (now + float(gamma) ** of_next * P[s] @ v)
            else:
                v[s] = _backed_up(v, P, R, pi, gamma, *options)[s]
        return v

    return bellman_backup


POLICY_IGNORED = (
    "You average over the actions as if all were equally likely. π gives their weights."
)
REWARD_UNWEIGHTED = "You weigh the next values by π, but not the rewards: each action's reward counts as often as π takes it."

bellman_backup = Exercise(
    "bellman_backup",
    reference=dp.bellman_backup,
    cases=mdp_cases(_any_table),
    returns=array(),
    points=1,
    equation="(2.8)",
    mistakes=[
        *of_the_next(
            backup, left_out=("likeliest-next-state", "largest-term", "averaged-over-next")
        ),
        Mistake(
            "max-not-mean",
            "You take the best action. That backup belongs to the optimal policy (lesson 03); this one follows π.",
            "Which argument have you not used?",
            backup("best"),
        ),
        Mistake(
            "in-place-sweep",
            "Later states read the new values of earlier ones. That is a fine way to *find* V^π, but it is not "
            "T^π v: every state is to be backed up from the same old v.",
            "Does your loop write into the array that it reads from?",
            backup(in_place=True),
            _into_v,
        ),
        Mistake(
            "ignores-policy", POLICY_IGNORED, "Which argument have you not used?", backup("equal")
        ),
        Mistake("averaged-twice", AVERAGED_TWICE, ALL_ALIKE, backup("pi, averaged")),
        Mistake(
            "unweighted-sum",
            "You add up all actions without weights. Only one is taken at a time: weigh each by π(a|s).",
            ALL_ALIKE,
            backup("none"),
        ),
        Mistake(
            "likeliest-action",
            "You back up only the likeliest action. Every action counts, by its probability.",
            "Try a state with probabilities 0.6 and 0.4.",
            backup("likeliest"),
        ),
        Mistake(
            "reward-unweighted",
            REWARD_UNWEIGHTED,
            "Over which terms does the sum over a in equation (2.8) reach?",
            backup(paid="equal"),
            backup(paid="none"),
        ),
    ],
    also_correct=[
        backup(),
        _backup_by_loop,
        lambda v, P, R, pi, g: policy_reward(R, pi) + g * policy_transition(P, pi) @ v,
        lambda v, P, R, pi, g: (
            np.einsum("sa,sa->s", pi, R) + g * np.einsum("sa,sat,t->s", pi, P, v)
        ),
    ],
)

# --------------------------------------------------------------------------------- solve_bellman


@composable
def _solution(
    sign: int = -1,
    transposed: bool = False,
    identity: str = "eye",
    paid: str = "pi",
    moves: str = "pi",
    of_reward: int = 0,
    scaled: bool = False,
    solver: str = "solve",
) -> Callable:
    """V^π by a linear system, with its parts exchangeable; paid, moves: the weights in r^π and in P^π."""

    def solve_bellman(P, R, pi, gamma):
        n = len(R)
        P_pi = np.einsum("sa,sat->st", weights(moves, pi), P)
        r_pi = float(gamma) ** of_reward * (weights(paid, pi) * R).sum(axis=1)
        left = (np.eye(n) if identity == "eye" else np.ones((n, n))) + sign * gamma * (
            P_pi.T if transposed else P_pi
        )
        right = (1 - gamma) * r_pi if scaled else r_pi
        if solver == "lstsq":
            return np.linalg.lstsq(left, right, rcond=None)[0]
        return np.linalg.solve(left, right)

    return solve_bellman


def _cut_short(n_sweeps: int) -> Callable:
    """Sweeps from 0, so many whatever γ is."""

    def solve_bellman(P, R, pi, gamma):
        v = np.zeros(len(R))
        for _ in range(n_sweeps):
            v = policy_reward(R, pi) + gamma * policy_transition(P, pi) @ v
        return v

    return solve_bellman


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
            _solution(sign=1),
        ),
        Mistake(
            "no-gamma",
            "Your matrix is singular: it has no inverse, and numbers that come out mean nothing. So it is when γ is "
            "missing: the rows of I − P^π sum to 0.",
            "What do the rows of a Markov chain's matrix sum to? Then what do those of I minus it?",
            lambda P, R, pi, g: np.linalg.solve(
                _without_gamma(policy_transition(P, pi), g), policy_reward(R, pi)
            ),
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
            _solution(transposed=True),
        ),
        Mistake(
            "ones-not-identity",
            "You wrote 1 − γP: NumPy subtracts from *every* entry. The identity has ones only on the diagonal.",
            "Print 1 − M and the identity minus M for a small M.",
            _solution(identity="ones"),
            _solution(identity="ones", solver="lstsq"),
        ),
        Mistake(
            "reward-unweighted",
            "Your right-hand side is not the reward under π: it has to be weighed by the policy, as in "
            "`policy_chain` of lesson 01.",
            "Compare your right-hand side with equation (1.5).",
            _solution(paid="equal"),
            _solution(paid="none"),
            _solution(paid="pi, averaged"),
            _solution(paid="likeliest"),
            lambda P, R, pi, g: np.linalg.solve(
                np.eye(len(R)) - g * policy_transition(P, pi), R.max(axis=1)
            ),
        ),
        Mistake(
            "transition-unweighted",
            "Your matrix is not P^π: the moves have to be weighed by the policy, as in `policy_chain` of lesson 01.",
            "Compare your matrix with equation (1.4). What do its rows sum to?",
            _solution(moves="equal"),
            _solution(moves="none"),
            _solution(moves="pi, averaged"),
            _solution(moves="likeliest"),
        ),
        Mistake(
            "policy-ignored",
            "π decides nothing in your result: rewards and moves are plain averages or sums over the actions.",
            "Which argument have you not used?",
            _solution(paid="equal", moves="equal"),
            _solution(paid="none", moves="none"),
        ),
        Mistake(
            "gamma-on-reward",
            GAMMA_ON_REWARD,
            "What should come out at γ = 0?",
            _solution(of_reward=1),
        ),
        Mistake(
            "scaled",
            "You multiply by 1 − γ. That makes a distribution of the occupancy (lesson 01); values are sums.",
            "If every step pays 1, what is each state worth?",
            _solution(scaled=True),
        ),
        Mistake(
            "cut-short",
            "You stop after a fixed number of sweeps, before the values have settled. How many it takes depends on γ; "
            "a linear system needs none.",
            "By which factor does a sweep bring you nearer to V^π at γ = 0.9?",
            *map(_cut_short, (1, 2, 3, 5, 10, 20, 50, 100)),
        ),
    ],
    also_correct=[
        _solution(),
        _iterated,
        _through_q,
        lambda P, R, pi, g: np.linalg.inv(np.eye(len(R)) - g * policy_transition(P, pi)) @ policy_reward(R, pi),
        lambda P, R, pi, g: np.linalg.lstsq(
            np.eye(len(R)) - g * policy_transition(P, pi), policy_reward(R, pi), rcond=None
        )[0],
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------- stopping_bound


def _exact_count(tolerance: float, gamma: float, first_change: float) -> float:
    """At which real number of sweeps the change falls to the tolerance."""
    return 1 + np.log(tolerance / first_change) / np.log(gamma)


def _stopping_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, gamma, ratio, *tags) -> Case:
        """ratio: the first change in tolerances."""
        tolerance = 10 ** rng.uniform(-6, -1)
        while gamma > 0 and ratio > 0:
            n = _exact_count(tolerance, gamma, ratio * tolerance)
            if abs(n - round(n)) > 1e-6:
                break
            ratio *= 1.001  # or rounding would decide how many sweeps it takes
        inputs = {"tolerance": tolerance, "gamma": gamma, "first_change": ratio * tolerance}
        return Case(name, inputs, tags)

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    return [
        case("γ = 0.9", 0.9, between(1e3, 1e5)),
        case("γ near 1", 0.99, between(1e4, 1e6)),
        case("a small γ", between(0.2, 0.4), between(1e2, 1e4)),
        case("any γ", between(0.6, 0.95), between(1e2, 1e6)),
        case("a first change just above the tolerance", 0.9, between(1.01, 1.08)),
        case("a first change below the tolerance", 0.9, between(0.1, 0.5), "nothing to do"),
        case("a first change far below the tolerance", 0.5, between(1e-4, 1e-2), "nothing to do"),
        case("a first change just below the tolerance", 0.8, between(0.9, 0.97), "nothing to do"),
        case("nothing changed at all", 0.95, 0.0, "nothing to do", "first_change = 0"),
        case("γ = 0", 0.0, between(1e2, 1e4), "γ = 0"),
        case("γ = 0, again", 0.0, between(2, 9), "γ = 0"),
        case("γ = 0, a first change below the tolerance", 0.0, between(0.1, 0.5), "γ = 0", "nothing to do"),
    ]  # fmt: skip


ERROR_BOUNDS: dict[str, Callable] = {
    "γ/(1 − γ)": lambda tol, g, first, k: g / (1 - g) * tol,
    "1/(1 − γ)": lambda tol, g, first, k: tol / (1 - g),
    "1": lambda tol, g, first, k: tol,
    "γ": lambda tol, g, first, k: g * tol,
    "(1 − γ)/γ": lambda tol, g, first, k: (1 - g) / g * tol,
    "(1 − γ)/γ, infinite": lambda tol, g, first, k: float((1 - g) * tol / np.float64(g)),
    "1 − γ": lambda tol, g, first, k: (1 - g) * tol,
    "1/γ": lambda tol, g, first, k: tol / g,
    "2γ/(1 − γ)": lambda tol, g, first, k: 2 * g / (1 - g) * tol,
    "by the first change": lambda tol, g, first, k: g**k / (1 - g) * first,
}


def _first_below(limit: float, gamma: float, change: float, k: int = 1) -> int:
    """The smallest number, from k on, at which `change`, times γ for each further one, is below the limit."""
    while change >= limit:
        k, change = k + 1, gamma * change
    return k


def _by_logarithm(tolerance, gamma, first_change, to_whole=math.ceil) -> int:
    """1 + the quotient of the logarithms, made whole; 1 or 2 where there is no logarithm."""
    if gamma == 0 or first_change == 0:
        return 1 if first_change < tolerance else 2
    return 1 + to_whole(math.log(tolerance / first_change) / math.log(gamma))


def _at_least_one(count: Callable) -> Callable:
    return lambda *given: max(1, count(*given))


def _half_handled(tolerance, gamma, first_change) -> int:
    """By logarithms, with γ = 0 forgotten."""
    if first_change < tolerance:
        return 1
    return 1 + math.ceil(math.log(tolerance / first_change) / math.log(gamma))


COUNTS: dict[str, Callable] = {
    "right": lambda tol, g, first: _first_below(tol, g, first),
    "γ^k": lambda tol, g, first: _first_below(tol, g, g * first),
    "γ^k, from 0": lambda tol, g, first: _first_below(tol, g, first, k=0),
    "one more": lambda tol, g, first: _first_below(tol, g, first) + 1,
    "one more, if there are any": lambda tol, g, first: (
        1 if first < tol else _first_below(tol, g, first) + 1
    ),
    "rounded down": _at_least_one(lambda *given: _by_logarithm(*given, to_whole=math.floor)),
    "rounded down, below 1 too": lambda *given: _by_logarithm(*given, to_whole=math.floor),
    "by the error": lambda tol, g, first: _first_below(tol, g, g * first / (1 - g)),
    "by the error, from 0": lambda tol, g, first: _first_below(tol, g, first / (1 - g), k=0),
    "by the error before": lambda tol, g, first: _first_below(tol, g, first / (1 - g)),
    "below 1": _by_logarithm,
    "0 for none": lambda tol, g, first: 0 if first < tol else _first_below(tol, g, first),
    "γ = 0 forgotten": _half_handled,
    "undiscounted": lambda tol, g, first: max(1, math.ceil(first / tol)),
}


@composable
def _promised(error: str = "γ/(1 − γ)", count: str = "right") -> Callable:
    """Both promises with their parts exchangeable."""

    def stopping_bound(tolerance, gamma, first_change):
        sweeps = COUNTS[count](tolerance, gamma, first_change)
        right = COUNTS["right"](tolerance, gamma, first_change)
        return ERROR_BOUNDS[error](tolerance, gamma, first_change, right), sweeps

    return stopping_bound


NO_LOGARITHM = ("ValueError", "ZeroDivisionError", "OverflowError")


def _shows_nothing_to_do(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    """Right but where a logarithm is negative or of 0: there no count, or an exception, at least once."""

    def edge(case: Case) -> bool:
        return "nothing to do" in case.tags or "γ = 0" in case.tags

    def state(case: Case, outcome: Outcome) -> str:
        if outcome.failure is not None:
            return "odd" if edge(case) and outcome.failure.type_name in NO_LOGARITHM else "other"
        error, sweeps = dp.stopping_bound(*case.inputs.values())
        value = outcome.value
        pair = isinstance(value, tuple | list) and len(value) == 2
        numbers = pair and all(
            np.ndim(x) == 0 and isinstance(x, int | float | np.number) for x in value
        )
        if not numbers or not np.isclose(value[0], error, rtol=1e-9, atol=1e-10):
            return "other"
        if value[1] == sweeps:
            return "right"
        # Whatever was written for the edges, one of them has got the other's number, or none.
        return "odd" if edge(case) and value[1] <= 2 else "other"

    states = [state(*pair) for pair in zip(cases, outcomes, strict=False)]
    return len(outcomes) == len(cases) and "other" not in states and "odd" in states


def _stopping_by_base_2(tolerance, gamma, first_change):
    error = tolerance * gamma / (1 - gamma)
    if first_change < tolerance:
        return error, 1
    if gamma == 0:
        return error, 2
    return error, 1 + math.ceil(math.log2(first_change / tolerance) / -math.log2(gamma))


def _stopping_by_geometric_sum(tolerance, gamma, first_change):
    """All that is left to come, γ tol + γ² tol + …, in closed form; the sweeps by counting."""
    k = 1
    while gamma ** (k - 1) * first_change > tolerance:
        k += 1
    return tolerance / (1 - gamma) - tolerance, k


WHAT_IS_LEFT = "The next sweep can still move the table by γ·tolerance. And the one after that? And all of them together?"
STILL_CHANGES = "By how much, at most, does the sweep that you name still change the table? And the one before it?"

stopping_bound = Exercise(
    "stopping_bound",
    reference=dp.stopping_bound,
    cases=_stopping_cases,
    returns=several(error=number(), sweeps=integer()),
    points=2,
    equation="(2.12)",
    mistakes=[
        Mistake(
            "bound-of-the-old-table",
            "tolerance/(1 − γ) is true of the table *before* the last sweep. The one that is returned is one contraction "
            "better.",
            "Of which two tables does (2.12) compare the distances to V^π? Which one is returned?",
            _promised(error="1/(1 − γ)"),
        ),
        Mistake(
            "tolerance-for-error",
            "You promise an error of `tolerance`. A small change is not a small error: what is left to change adds up.",
            WHAT_IS_LEFT,
            _promised(error="1"),
        ),
        Mistake(
            "next-sweep-only",
            "γ·tolerance bounds by how much the *next* sweep changes the table. V^π lies at the end of all of them.",
            WHAT_IS_LEFT,
            _promised(error="γ"),
        ),
        Mistake(
            "inverted",
            "Your bound falls as γ comes near to 1. There sweeps contract least, so it must grow.",
            "What should your bound be at γ = 0, where one sweep is exact?",
            *(_promised(error=how) for how in ("(1 − γ)/γ", "(1 − γ)/γ, infinite", "1 − γ", "1/γ")),
        ),
        Mistake(
            "doubled",
            "Your bound is true, and twice as large as what follows from (2.12): only one distance is to be bounded, that "
            "of the table returned to V^π.",
            "How often did you use the triangle inequality?",
            _promised(error="2γ/(1 − γ)"),
        ),
        Mistake(
            "by-the-first-change",
            "Your error counts on as many sweeps as the worst case needs. They may stop sooner; all that is known then is "
            "that the last change was below `tolerance`.",
            "Does your error promise something to who stops sooner than you count?",
            _promised(error="by the first change"),
        ),
        Mistake(
            "one-sweep-less",
            "Your number of sweeps is one too small, at γ = 0 as well. So it is when sweep k is taken to change the table "
            "by γ^k·first_change: the first sweep has changed it by γ⁰ of that.",
            "By how much does the first sweep change the table? And the second, at most?",
            _promised(count="γ^k"),
            _promised(count="γ^k, from 0"),
        ),
        Mistake(
            "one-sweep-more",
            "Your number of sweeps is one too large: the sweep whose change is small enough is the last one.",
            STILL_CHANGES,
            _promised(count="one more"),
            _promised(count="one more, if there are any"),
        ),
        Mistake(
            "rounds-down",
            "Your number of sweeps is one too small, as it comes out when a number that is not whole is rounded down: at "
            "that sweep the change is still too large.",
            STILL_CHANGES,
            _promised(count="rounded down"),
            _promised(count="rounded down, below 1 too"),
        ),
        Mistake(
            "by-the-error",
            "You count sweeps until the *error* is small enough. The loop looks at the change of a sweep: it does not know "
            "the error.",
            "Which of the two does the rule for stopping compare with `tolerance`?",
            _promised(count="by the error"),
            _promised(count="by the error, from 0"),
            _promised(count="by the error before"),
        ),
        Mistake(
            "nothing-to-do",
            "Your number of sweeps is right, except at the edges: where the first change is below `tolerance` already (or "
            "0), or where γ = 0. A logarithm gives no count there. It takes one sweep to see that nothing changes.",
            "What does your function say for first_change = 0? And for γ = 0 and a large first change?",
            _promised(count="below 1"),
            _promised(count="0 for none"),
            _promised(count="γ = 0 forgotten"),
            shows=_shows_nothing_to_do,
        ),
        Mistake(
            "undiscounted",
            "You divide the first change by `tolerance`, as if every sweep took away the same amount. It takes away a "
            "*share*: each change is at most γ times the one before.",
            "How large is the change of the third sweep, at most, if the first was 1 and γ = 0.5?",
            _promised(count="undiscounted"),
        ),
    ],
    also_correct=[_promised(), _stopping_by_base_2, _stopping_by_geometric_sum],
)

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
NEVER = 400  # what has not settled by then has no γ


MEASURES: dict[str, Callable] = {
    "largest": lambda change: np.abs(change).max(),
    "size of the sum": lambda change: abs(change.sum()),
    "size of the mean": lambda change: abs(change.mean()),
    "sum": np.sum,
    "mean": np.mean,
    "highest": np.max,
    "lowest": lambda change: (-change).max(),
    "size of the highest": lambda change: abs(change.max()),
    "mean of sizes": lambda change: np.abs(change).mean(),
    "smallest": lambda change: np.abs(change).min(),
    "sum of sizes": lambda change: np.abs(change).sum(),
    "2-norm": lambda change: np.sqrt((change**2).sum()),
    "rms": lambda change: np.sqrt((change**2).mean()),
    "mean square": lambda change: (change**2).mean(),
    "sum of squares": lambda change: (change**2).sum(),
    "largest square": lambda change: (change**2).max(),
}
SIGNED = ("size of the sum", "size of the mean", "sum", "mean")
WITHOUT_SIZE = ("highest", "lowest", "size of the highest")
OTHER_NORMS = ("sum of sizes", "2-norm", "rms")
SQUARES = ("mean square", "sum of squares", "largest square")
THRESHOLDS: dict[str, Callable] = {
    "tolerance": lambda tolerance, gamma: tolerance,
    "by 1 − γ": lambda tolerance, gamma: tolerance * (1 - gamma),
    "by (1 − γ)/γ": lambda tolerance, gamma: np.float64(tolerance * (1 - gamma)) / gamma,
    "by (1 − γ)/2γ": lambda tolerance, gamma: np.float64(tolerance * (1 - gamma)) / (2 * gamma),
    "over 1 − γ": lambda tolerance, gamma: np.float64(tolerance) / (1 - gamma),
}


TESTS: dict[str, Callable] = {
    "isclose": lambda new, old: np.allclose(new, old),
    "equal": np.array_equal,
}
DIFFERENCES: dict[str, Callable] = {
    "of the highest": lambda new, old: abs(new.max() - old.max()),
    "of the rows' highest": lambda new, old: np.abs(new.max(axis=1) - old.max(axis=1)).max(),
    "of the largest sizes": lambda new, old: abs(np.abs(new).max() - np.abs(old).max()),
    "of the largest sizes, signed": lambda new, old: np.abs(new).max() - np.abs(old).max(),
}


def settled(measure: str, threshold: str, new, old, gamma, tolerance) -> bool:
    """Whether a loop that measures so stops here: by a size of the change, a difference, or a test."""
    if measure in TESTS:
        return bool(TESTS[measure](new, old))
    if measure == "largest, or equal to it":
        return bool(np.abs(new - old).max() <= tolerance)
    moved = (
        DIFFERENCES[measure](new, old) if measure in DIFFERENCES else MEASURES[measure](new - old)
    )
    return bool(moved < THRESHOLDS[threshold](tolerance, gamma))


@composable
def _evaluating(
    measure: str = "largest",
    threshold: str = "tolerance",
    in_place: bool = False,
    most: int = MAX_SWEEPS,
    counted: int = 0,
    returned: str = "new",
    kind: str = "pi",
    paid: str | None = None,
    of_reward: int | None = 0,
    of_next: int = 1,
    to: str = "expected",
) -> Callable:
    """Policy evaluation with its parts exchangeable: the sweep's as in `backup`."""
    sweep = backup(kind, paid, of_reward, of_next, to, in_place)

    def policy_evaluation(P, R, pi, gamma, tolerance):
        v, sweeps, done = np.zeros(len(R)), 0, False
        while not done and sweeps < most:
            old, v, sweeps = v, sweep(v, P, R, pi, gamma), sweeps + 1
            done = settled(measure, threshold, v, old, gamma, tolerance)
        return (v if returned == "new" else old), sweeps + counted

    return policy_evaluation


def both_ways(measures: Sequence[str], loop: Callable) -> list[Callable]:
    """`loop` stopped by each of these measures, on tables swept at once and in place."""
    return [loop(measure=measure, in_place=way) for measure in measures for way in (False, True)]


def never_settles(loops: Sequence[Callable]) -> Callable[..., bool]:
    """What shows that a loop is one of those given, which do not end on some case: right up to where time is up."""

    def alike(loop: Callable, cases: Sequence[Case], ended: Sequence[Outcome]) -> bool:
        made = [loop(*case.inputs.values()) for case in cases]
        return made[-1][1] >= NEVER and all(
            isinstance(o.value, tuple | list)
            and len(o.value) == 2
            and np.shape(o.value[0]) == table.shape
            and np.allclose(o.value[0], table)
            and o.value[1] == sweeps
            for o, (table, sweeps) in zip(ended, made, strict=False)
        )

    def shows(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
        *ended, last = outcomes
        late = last.failure is not None and last.failure.tag == "time"
        return late and any(alike(loop, cases[: len(outcomes)], ended) for loop in loops)

    return shows


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


_UNDISCOUNTED = [_evaluating(of_next=0, most=NEVER, in_place=way) for way in (False, True)]

_OTHER_THRESHOLDS = [_evaluating(threshold=how) for how in THRESHOLDS if how != "tolerance"]

policy_evaluation = Exercise(
    "policy_evaluation",
    reference=dp.policy_evaluation,
    cases=_evaluation_cases,
    returns=several(v=array(), sweeps=integer()),
    points=3,
    equation="(2.11)",
    variants=[_evaluating(in_place=True)],
    mistakes=[
        Mistake(
            "signed-differences",
            "You add up the changes with their signs, so that changes of opposite sign cancel. Take absolute values "
            "first.",
            "Can your number be small while a state still moves? Say one rises by 1 and another falls by 1.",
            *both_ways(SIGNED, _evaluating),
        ),
        Mistake(
            "no-absolute-value",
            "You look for the largest change with its sign: changes in one direction, of falling values say, look "
            "settled. Take absolute values first.",
            "Can your number be small while a state still moves? Say every reward is −1. And if every reward is 1?",
            *both_ways(WITHOUT_SIZE, _evaluating),
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
            "Can your number be small while one of a thousand states still moves by 1?",
            *both_ways(["mean of sizes"], _evaluating),
        ),
        Mistake(
            "any-state-settled",
            "You stop as soon as *one* state hardly changes. All of them must have settled.",
            "`any` or `all`? Smallest or largest change?",
            *both_ways(["smallest"], _evaluating),
        ),
        Mistake(
            "other-norm",
            "You add the changes up, or their squares, before you compare: two worlds in one table then do not stop when "
            "the slower of them would.",
            "What does your number say of ten states that each change by 1? And of one that does, beside nine at rest?",
            *both_ways(OTHER_NORMS, _evaluating),
        ),
        Mistake(
            "changes-squared",
            *STOPPING["changes-squared"],
            *both_ways(SQUARES, _evaluating),
        ),
        Mistake(
            "difference-of-maxima",
            "You compare the largest *values* before and after. They may rest while other states still move: take the "
            "differences first, then the largest of them.",
            "Which comes first, the maximum or the difference?",
            *both_ways(["of the highest"], _evaluating),
        ),
        Mistake(
            "allclose",
            *STOPPING["allclose"],
            *both_ways(["isclose"], _evaluating),
        ),
        Mistake(
            "waits-for-equality",
            *STOPPING["waits-for-equality"],
            *both_ways(["equal"], _evaluating),
        ),
        Mistake(
            "other-threshold",
            *STOPPING["other-threshold"],
            *_OTHER_THRESHOLDS,
            shows=never_settles(_OTHER_THRESHOLDS),  # as for γ = 1, where nothing is below 0
        ),
        Mistake(
            "last-sweep-not-counted",
            *STOPPING["last-sweep-not-counted"],
            _evaluating(counted=-1),
            _evaluating(counted=-1, in_place=True),
        ),
        Mistake(
            "counts-one-too-many",
            *STOPPING["counts-one-too-many"],
            _evaluating(counted=1),
            _evaluating(counted=1, in_place=True),
        ),
        Mistake(
            "last-sweep-thrown-away",
            *STOPPING["last-sweep-thrown-away"],
            _evaluating(returned="old"),
        ),
        Mistake(
            "old-and-new-same-array",
            "You stop after one sweep. So it is when old and new are the same array, and nothing ever differs from "
            "itself: an assignment makes a second *name*, not a second array.",
            "What does `old is v` say just before your test?",
            _same_array,
        ),
        Mistake(
            "no-gamma",
            NO_GAMMA + " Without it the values of a task that goes on never settle.",
            COUNT_GAMMA,
            *_UNDISCOUNTED,
            shows=never_settles(_UNDISCOUNTED),
        ),
        Mistake(
            "gamma-on-reward",
            GAMMA_ON_REWARD,
            COUNT_GAMMA,
            *(_evaluating(of_reward=1, in_place=way) for way in (False, True)),
        ),
        Mistake(
            "max-not-mean",
            "You take the best action in your sweep. That finds the values of the optimal policy (lesson 03); these are "
            "those of π.",
            "Where does `pi` enter your sweep?",
            *(_evaluating(kind="best", in_place=way) for way in (False, True)),
        ),
        Mistake(
            "ignores-policy",
            POLICY_IGNORED,
            "Where does `pi` enter your sweep?",
            *(_evaluating(kind="equal", in_place=way) for way in (False, True)),
        ),
        Mistake(
            "averaged-twice",
            AVERAGED_TWICE,
            ALL_ALIKE,
            *(_evaluating(kind="pi, averaged", in_place=way) for way in (False, True)),
        ),
        Mistake(
            "likeliest-action",
            "You back up only the likeliest action. Every action counts, by its probability.",
            "Try a state with probabilities 0.6 and 0.4.",
            *(_evaluating(kind="likeliest", in_place=way) for way in (False, True)),
        ),
        Mistake(
            "reward-unweighted",
            REWARD_UNWEIGHTED,
            "Compare the reward in your sweep with equation (1.5).",
            _evaluating(paid="equal"),
            _evaluating(paid="none"),
        ),
        Mistake("own-value", OWN_VALUE, WHERE_TO, _evaluating(to="own")),
    ],
    also_correct=[
        _evaluating(),
        _evaluating(measure="largest, or equal to it"),
        _sutton_and_barto,
    ],
)

LESSON = Lesson(
    "02",
    "The Bellman equation",
    [q_and_advantage, bellman_backup, solve_bellman, stopping_bound, policy_evaluation],
)
