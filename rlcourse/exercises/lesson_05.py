"""Lesson 05: SARSA and Q-learning."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from statistics import NormalDist

import numpy as np

from rlcourse.checker.comparing import describe
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
from rlcourse.checker.harness import DRAWS, Case
from rlcourse.checker.material import flags, random_env, random_policy
from rlcourse.checker.probes import Rng, Select
from rlcourse.tabular import control

from .lesson_00 import FLAGS, never_asked
from .targets import (
    AVERAGED_TWICE,
    COUNT_GAMMA,
    UPDATES,
    one_step,
    sampled_target,
    target_mistakes,
    update_mistakes,
)

# -------------------------------------------------------------------------------- epsilon_greedy


def _row_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, q_row: np.ndarray, epsilon: float, *tags: str) -> Case:
        seed = int(rng.integers(2**31))
        return Case(name, {"q_row": np.asarray(q_row), "epsilon": epsilon, "seed": seed}, tags)

    def row(n: int, shift: float = 0.0) -> np.ndarray:
        q = rng.permutation(n) + rng.uniform(0, 0.5, size=n) + shift
        # Never the first: a search that finds nothing better than its start must be seen.
        return np.roll(q, 1) if np.argmax(q) == 0 else q

    tie = "the best value occurs twice"
    return [
        case("ε = 0", row(4), 0.0, "ε = 0"),
        case("ε = 0, and the best value occurs twice", [1.0, 2.0, 0.5, 2.0], 0.0, "ε = 0", tie),
        case("ε = 0.2, four actions", row(4), 0.2),
        case("ε = ½, three actions", row(3), 0.5),
        case("ε = ½, and the best value occurs twice", [0.3, 1.5, 1.5], 0.5, tie),
        case("ε = ½, all values negative", row(5, shift=-6.0), 0.5),
        case("ε = ½, the last action is the best", [-1.0, 0.0, 2.0], 0.5),
        case("ε = 1", row(4), 1.0, "ε = 1"),
        case("one action only", [0.7], 0.5, "A = 1"),
        case("all values zero, ε = 0.3", np.zeros(3), 0.3, tie),
    ]


def _probabilities(case: Case) -> np.ndarray:
    q_row, epsilon = case.inputs["q_row"], case.inputs["epsilon"]
    p = np.full(len(q_row), epsilon / len(q_row))
    p[np.argmax(q_row)] += 1 - epsilon
    return p


def _close(count: np.ndarray, p: np.ndarray, errors: float) -> np.ndarray:
    """Counts of DRAWS draws within so many standard errors of probability p."""
    deviation = errors * np.sqrt(DRAWS * p * (1 - p))
    return np.abs(count - DRAWS * p) <= deviation + 1e-9


def _greedy_agrees(case: Case, value: dict, _reference: dict) -> bool:
    if "counts" not in value or not (value["repeats"] and value["unchanged"]):
        return False
    p = _probabilities(case)
    independent = _close(np.array([value["again"] + np.sum(p**2)]), np.array([np.sum(p**2)]), 6.0)
    return bool(_close(value["counts"], p, 5.0).all() and independent.all())


def _greedy_alike(_case: Case, a: dict, b: dict) -> bool:
    if "counts" not in a or "counts" not in b or len(a["counts"]) != len(b["counts"]):
        return a.keys() == b.keys() and "example" in a and a["example"] == b["example"]
    if a["repeats"] != b["repeats"]:
        return False
    p = (a["counts"] + b["counts"]) / (2 * DRAWS)
    deviation = 5 * np.sqrt(2 * DRAWS * p * (1 - p))
    return bool((np.abs(a["counts"] - b["counts"]) <= deviation + 1e-9).all())


def _greedy_tells(case: Case, value: dict, _reference: dict) -> str:
    if "counts" not in value:
        n = len(case.inputs["q_row"])
        odd = value["example"]
        shown = (
            str(odd) if type(odd) is int else describe(odd).replace("of type", "something of type")
        )
        return f"Every call should return an index from 0 to {n - 1}; one returned {shown}."
    if not value["unchanged"]:
        return "Your function changes `q_row` in place; the caller still needs it."
    if not value["repeats"]:
        return (
            "Two runs with the same seed differ: something is drawn elsewhere than from `rng`, or is "
            "kept from one call to the next."
        )
    p, best = _probabilities(case), int(np.argmax(case.inputs["q_row"]))
    if not _close(value["counts"], p, 5.0).all():
        what = (
            "the greedy action" if not _close(value["counts"], p, 5.0)[best] else "another action"
        )
        often = "often" if np.sum(value["counts"][best]) < DRAWS * p[best] else "seldom"
        often = often if what != "the greedy action" else {"often": "seldom"}.get(often, "often")
        return f"In {DRAWS} calls {what} is chosen too {often} for equation (5.5)."
    return "Successive calls are not independent of each other."


PICKS: dict[str, Callable] = {
    "any": lambda q, rng: rng.integers(len(q)),
    "others": lambda q, rng: rng.choice([a for a in range(len(q)) if a != np.argmax(q)]),
    "others, if any": lambda q, rng: (
        0 if len(q) == 1 else rng.choice([a for a in range(len(q)) if a != np.argmax(q)])
    ),
    "all but the last": lambda q, rng: rng.integers(len(q) - 1),
    "all but the last, if any": lambda q, rng: rng.integers(max(len(q) - 1, 1)),
    "all but the first": lambda q, rng: rng.integers(min(1, len(q) - 1), len(q)),
    "0": lambda q, rng: 0,
}
BESTS: dict[str, Callable] = {
    "first": lambda q, rng: np.argmax(q),
    "random": lambda q, rng: rng.choice(np.flatnonzero(q == np.max(q))),
    "last": lambda q, rng: len(q) - 1 - np.argmax(np.asarray(q)[::-1]),
    "worst": lambda q, rng: np.argmin(q),
    "largest size": lambda q, rng: np.argmax(np.abs(q)),
}


@composable
def _explore(pick: str = "any", best: str = "first", explores: str = "with ε") -> Callable:
    """An ε-greedy rule whose exploring draw, greedy choice, or share of exploring is another."""

    def epsilon_greedy(q_row, epsilon, rng):
        share = {
            "with ε": epsilon,
            "with 1 − ε": 1 - epsilon,
            "never": -1.0,
            "always": 2.0,
            "half the time": epsilon / 2,
            "with ε²": epsilon**2,
            "with 0.1": 0.1,
        }[explores]
        choices = (PICKS[pick], BESTS[best])
        return int(choices[0 if rng.random() < share else 1](q_row, rng))

    return epsilon_greedy


def _global_generator(q_row, epsilon, rng):
    if np.random.random() < epsilon:  # noqa: NPY002 - this is the mistake
        return int(np.random.randint(len(q_row)))  # noqa: NPY002
    return int(np.argmax(q_row))


def _global_choice(q_row, epsilon, rng):
    if rng.random() < epsilon:
        return int(np.random.choice(len(q_row)))  # noqa: NPY002 - this is the mistake
    return int(np.argmax(q_row))


def _one_draw(q_row, epsilon, rng):
    u = rng.random()
    return int(u / epsilon * len(q_row)) if u < epsilon else int(np.argmax(q_row))


def _by_probabilities(q_row, epsilon, rng):
    p = np.full(len(q_row), epsilon / len(q_row))
    p[np.argmax(q_row)] += 1 - epsilon
    return rng.choice(len(q_row), p=p)


def _action_first(q_row, epsilon, rng):
    action = rng.integers(len(q_row))
    return action if rng.random() < epsilon else np.argmax(q_row)


epsilon_greedy = Exercise(
    "epsilon_greedy",
    reference=control.epsilon_greedy,
    cases=_row_cases,
    returns=integer(),
    points=1,
    equation="(5.5)",
    call="draws",
    agrees=_greedy_agrees,
    alike=_greedy_alike,
    tells=_greedy_tells,
    by_itself=True,
    mistakes=[
        Mistake(
            "never-greedy-when-exploring",
            "When you explore you leave the greedy action out: ε is shared by the other A − 1. "
            "Exploring draws from *all* actions, the best one too.",
            "With ε = 1 every action should be equally likely. Is it?",
            _explore("others"),
            _explore("others, if any"),
        ),
        Mistake(
            "epsilon-swapped",
            "ε and 1 − ε have changed places: you explore with probability 1 − ε. A small ε means "
            "mostly greedy.",
            "What does your function do at ε = 0, always?",
            _explore(explores="with 1 − ε"),
        ),
        Mistake(
            "random-ties",
            "Where several actions are best you draw one of them. That is reasonable, but here the "
            "*first* is asked for, so that runs can be compared.",
            "Which index does `argmax` give when the largest value occurs twice?",
            _explore(best="random"),
        ),
        Mistake(
            "last-tie",
            "Where several actions are best you take the last one. Here the *first* is asked for, so that runs can be "
            "compared.",
            "If you compare in a loop: is it `>` or `>=`?",
            _explore(best="last"),
        ),
        Mistake(
            "worst-action",
            "Your greedy choice is the action of the *smallest* value.",
            "`argmin` or `argmax`?",
            _explore(best="worst"),
        ),
        Mistake(
            "largest-size",
            "Your greedy choice is the value that is farthest from 0. −9 is large in size, and still worse than −1.",
            "What should happen in a row of negative values?",
            _explore(best="largest size"),
        ),
        Mistake(
            "always-greedy",
            "ε is never used: you always take the greedy action. What is never tried is never learnt.",
            "Which of the two branches can `epsilon` lead to in your code?",
            _explore(explores="never"),
        ),
        Mistake(
            "never-greedy",
            "You draw at random always, whatever ε is: what has been learnt is never used.",
            "What should your function do at ε = 0, always?",
            _explore(explores="always"),
        ),
        Mistake(
            "another-epsilon",
            "You explore with another probability than ε: a number of your own, or ε changed on the way.",
            "How often should your function draw at random at ε = ½?",
            _explore(explores="half the time"),
            _explore(explores="with ε²"),
            _explore(explores="with 0.1"),
        ),
        Mistake(
            "one-action-when-exploring",
            "When you explore you always take the same action. Exploring draws from *all* actions, each equally likely.",
            "With ε = 1 every action should be equally likely. Is it?",
            _explore("0"),
        ),
        Mistake(
            "misses-first-action",
            "Your exploring draw never gives action 0. Exploring draws from *all* actions.",
            "Which numbers can `rng.integers(1, 3)` return?",
            _explore("all but the first"),
        ),
        Mistake(
            "global-generator",
            "Some of your randomness does not come from `rng` but from another generator, such as that "
            "of `np.random`: the run cannot be repeated.",
            "Every random number has to be drawn from the generator that was passed in.",
            _global_generator,
            _global_choice,
        ),
        Mistake(
            "misses-last-action",
            "Your exploring draw never gives the last action: the upper end of `rng.integers` is "
            "already excluded.",
            "Which numbers can `rng.integers(3)` return?",
            _explore("all but the last"),
            _explore("all but the last, if any"),
        ),
    ],
    also_correct=[_explore(), _one_draw, _by_probabilities, _action_first],
)

# --------------------------------------------------------------------------------------- targets

TERMINAL_ROW = (
    "Your target bootstraps through a terminal state. After a terminal state comes nothing: its row "
    "of q is not to be used, whatever numbers stand in it."
)
LOOK_AT_ENDS = "What is the right target for a row with `terminated` = 1? And what is yours?"


def transition_cases(*also: str) -> Callable[[np.random.Generator], list[Case]]:
    """Batches of transitions; `also` names further inputs: "action_next", "pi_next", "qb_next"."""

    def cases(rng: np.random.Generator) -> list[Case]:
        def case(
            name, n, n_actions, dtype, gamma, *tags, shift=0.0, ended=None, ties=False
        ) -> Case:
            terminated = flags(rng, n, dtype) if ended is None else np.full(n, ended, dtype=dtype)
            tables = {}
            for table in ("q_next", "qb_next")[: 2 if "qb_next" in also else 1]:
                q = rng.normal(size=(n, n_actions)) * 3 + shift
                # What stands in the row of a terminal state is anybody's guess.
                q[terminated.astype(bool)] += 50 * rng.choice([-1.0, 1.0])
                tables[table] = q
            if ties:  # two actions are best in every row
                two = rng.permuted(np.tile(np.arange(n_actions), (n, 1)), axis=1)[:, :2]
                best = tables["q_next"].max(axis=1, keepdims=True) + 1
                np.put_along_axis(tables["q_next"], two, best, axis=1)
            inputs = {"reward": rng.normal(size=n) * 2}
            if "qb_next" in also:
                inputs |= {"qa_next": tables["q_next"], "qb_next": tables["qb_next"]}
            else:
                inputs["q_next"] = tables["q_next"]
            if "action_next" in also:
                inputs["action_next"] = rng.integers(n_actions, size=n)
            if "pi_next" in also:
                inputs["pi_next"] = random_policy(rng, n, n_actions, "one-hot π" in tags)
            return Case(name, inputs | {"terminated": terminated, "gamma": gamma}, tags)

        made = [
            case("a batch of six, four actions", 6, 4, np.float64, 0.9),
            case("as many rows as actions", 5, 5, np.float64, 0.8, "B = A"),
            case("`terminated` as bool", 7, 3, np.bool_, 0.9, "`terminated` as bool"),
            case("`terminated` as int", 7, 3, np.int64, 0.9, "`terminated` as int"),
            case("values all negative", 6, 3, np.float64, 0.95, "negative values", shift=-20.0),
            case("one transition", 1, 4, np.float64, 0.9, "B = 1", ended=0),
            case("one transition, terminal", 1, 4, np.float64, 0.9, "B = 1", ended=1),
            case("one action", 5, 1, np.float64, 0.7, "A = 1"),
            case("γ = 0", 5, 3, np.float64, 0.0, "γ = 0"),
            case("γ = 1, more actions than rows", 3, 5, np.float64, 1.0, "γ = 1"),
            case("nothing terminates", 8, 3, np.bool_, 0.9, ended=False),
            case("values that tie", 12, 4, np.float64, 0.9, "ties", ties=True),
        ]
        if "pi_next" in also:
            made.append(case("a deterministic policy", 6, 4, np.float64, 0.9, "one-hot π"))
        return made

    return cases


FUTURES: dict[str, Callable] = {
    # of one table
    "max": lambda q, *_: q.max(axis=1),
    "index": lambda q, *_: q.argmax(axis=1),
    "max of all": lambda q, *_: np.full(len(q), q.max()),
    "mean": lambda q, *_: q.mean(axis=1),
    "sum": lambda q, *_: q.sum(axis=1),
    "min": lambda q, *_: q.min(axis=1),
    "first": lambda q, *_: q[:, 0],
    "column": lambda q, *_: q.max(axis=0),
    "largest size": lambda q, *_: np.abs(q).max(axis=1),
    # of a table and what each row does next, or may do
    "taken": lambda q, a: q[_rows(q), a],
    "number": lambda q, a: a,
    "under π": lambda q, pi: (pi * q).sum(axis=1),
    "under π, averaged": lambda q, pi: (pi * q).mean(axis=1),
    "under π, all": lambda q, pi: np.full(len(q), (pi * q).sum()),
    "under π, columns": lambda q, pi: (pi * q).sum(axis=0),
    "likeliest": lambda q, pi: q[_rows(q), pi.argmax(axis=1)],
    "largest share": lambda q, pi: (pi * q).max(axis=1),
    # of two tables
    "a selects, b says": lambda qa, qb: qb[_rows(qa), qa.argmax(axis=1)],
    "b selects, a says": lambda qa, qb: qa[_rows(qa), qb.argmax(axis=1)],
    "max of b": lambda qa, qb: qb.max(axis=1),
    "smaller maximum": lambda qa, qb: np.minimum(qa.max(axis=1), qb.max(axis=1)),
    "maximum of the smaller": lambda qa, qb: np.minimum(qa, qb).max(axis=1),
    "mean of maxima": lambda qa, qb: (qa.max(axis=1) + qb.max(axis=1)) / 2,
    "maximum of the mean": lambda qa, qb: ((qa + qb) / 2).max(axis=1),
    "maximum of the sum": lambda qa, qb: (qa + qb).max(axis=1),
    "sum selects, b says": lambda qa, qb: qb[_rows(qa), (qa + qb).argmax(axis=1)],
    "index of a": lambda qa, qb: qa.argmax(axis=1),
    "mean of b": lambda qa, qb: qb.mean(axis=1),
}  # fmt: skip


@composable
def _target(
    future: str, mask: str = "future", discount: str = "future", paid: bool = True
) -> Callable:
    """A one-step target with its parts exchangeable; future: the next value; the rest as in `one_step`."""

    def target(reward, *given):
        *tables, terminated, gamma = given
        value = FUTURES[future](*tables)
        return one_step(reward, value, terminated, gamma, mask, discount, paid)

    return target


def _mistakes(future: str) -> list[Mistake]:
    return target_mistakes(partial(_target, future), TERMINAL_ROW, LOOK_AT_ENDS, COUNT_GAMMA)


def _rows(q_next: np.ndarray) -> np.ndarray:
    return np.arange(len(q_next))


def _loop(row_target: Callable) -> Callable:
    """A target computed row by row, in plain Python."""

    def target(reward, *given):
        *tables, terminated, gamma = given
        rows = zip(reward, terminated, *tables, strict=True)
        return np.array(
            [r if d else r + gamma * row_target(*row) for r, d, *row in rows], dtype=np.float64
        )

    return target


@composable
def _both(
    sampled: str = "taken",
    expected: str = "under π",
    masks: tuple[str, str] = ("future", "future"),
    discounts: tuple[str, str] = ("future", "future"),
    paid: tuple[bool, bool] = (True, True),
    back: tuple[int, int] = (0, 1),
) -> Callable:
    """SARSA's target and expected SARSA's, each with its parts exchangeable; back: which two come back."""

    def sarsa_targets(reward, q_next, action_next, pi_next, terminated, gamma):
        values = FUTURES[sampled](q_next, action_next), FUTURES[expected](q_next, pi_next)
        parts = zip(values, masks, discounts, paid, strict=True)
        ys = [
            one_step(reward, value, terminated, gamma, mask, discount, is_paid)
            for value, mask, discount, is_paid in parts
        ]
        return ys[back[0]], ys[back[1]]

    return sarsa_targets


_RIGHT = {"masks": "future", "discounts": "future", "paid": True}


def _in_both(**options) -> tuple[Callable, ...]:
    """A mistake made in both targets, in the first alone, in the second alone."""
    names = {"mask": "masks", "discount": "discounts", "paid": "paid"}
    changes = {names[name]: wrong for name, wrong in options.items()}
    return tuple(
        _both(**{k: (w if in_1 else _RIGHT[k], w if in_2 else _RIGHT[k]) for k, w in changes.items()})
        for in_1, in_2 in ((True, True), (True, False), (False, True))
    )  # fmt: skip


def _all_pairs(pick: Callable) -> Callable:
    """`pick` of r, q, a, d (floats) and γ is the sampled target, with rows paired with every action."""

    def sarsa_targets(reward, q_next, action_next, pi_next, terminated, gamma):
        d = np.asarray(terminated, dtype=float)
        sampled = pick(reward, q_next[:, action_next], d, gamma)
        return sampled, control.expected_sarsa_target(reward, q_next, pi_next, terminated, gamma)

    return sarsa_targets


def _by_row(mask: Callable = lambda y, d: 0.0 if d else y) -> Callable:
    """Both targets in plain Python, one transition after the other."""

    def sarsa_targets(reward, q_next, action_next, pi_next, terminated, gamma):
        pairs = []
        for r, q, a, pi, d in zip(reward, q_next, action_next, pi_next, terminated, strict=True):
            mean = sum(p * x for p, x in zip(pi, q, strict=True))
            pairs.append([r + gamma * mask(y, d) for y in (q[a], mean)])
        sampled, expected = np.array(pairs).T
        return sampled, expected

    return sarsa_targets


def _as_one_hot(r, q, a, pi, d, g):
    """The sampled target as the expected one under a policy that is sure of a'."""
    return tuple(
        r + g * np.logical_not(d) * (p * q).sum(axis=1) for p in (np.eye(q.shape[1])[a], pi)
    )


def _expected_of_targets(r, q, a, pi, d, g):
    """The targets of all actions first, then the one that was drawn and their mean."""
    each = r[:, None] + g * np.where(d, 0.0, q.T).T
    return np.take_along_axis(each, a[:, None], axis=1)[:, 0], np.average(each, axis=1, weights=pi)


sarsa_targets = Exercise(
    "sarsa_targets",
    reference=control.sarsa_targets,
    cases=transition_cases("action_next", "pi_next"),
    returns=several(sampled=array(), expected=array()),
    points=2,
    equation="(5.6)",
    parts=["sarsa_target", "expected_sarsa_target"],
    mistakes=[
        *target_mistakes(_in_both, TERMINAL_ROW, LOOK_AT_ENDS, COUNT_GAMMA),
        Mistake(
            "max",
            "Your sampled target takes the largest value of the next row: that is Q-learning. SARSA evaluates the "
            "action it will take.",
            "Which argument tells you the action that was drawn?",
            _both(sampled="max"),
        ),
        Mistake(
            "all-rows",
            "`q_next[:, action_next]` takes every action for every row, a (B, B) array. Row i belongs "
            "to action i.",
            "Print the shape of what you pick out of `q_next`. You want one number a row.",
            _all_pairs(lambda r, q, d, g: r + g * (1.0 - d) * q),
            _all_pairs(lambda r, q, d, g: r + g * (1.0 - d)[:, None] * q),
            _all_pairs(lambda r, q, d, g: r[:, None] + g * (1.0 - d)[:, None] * q),
            _all_pairs(lambda r, q, d, g: r + g * (1.0 - d) * q.T),
        ),
        Mistake(
            "mean-over-actions",
            "Your sampled target averages over all next actions. One action was drawn: its value is the sample.",
            "Where in equation (5.6) does a′ come from?",
            _both(sampled="mean"),
        ),
        Mistake(
            "sum-over-actions",
            "Your sampled target adds up the values of all next actions. One action was drawn: its value is the "
            "sample.",
            "Where in equation (5.6) does a′ come from?",
            _both(sampled="sum"),
        ),
        Mistake(
            "action-for-value",
            "Your sampled target uses the *number* of the next action. What counts is what `q_next` says of it.",
            "What is action 2 worth? Where is that written?",
            _both(sampled="number"),
        ),
        Mistake(
            "first-action",
            "Your sampled target takes the value of action 0 in every row. SARSA evaluates the action it will take.",
            "Where in equation (5.6) does a′ come from?",
            _both(sampled="first"),
        ),
        Mistake(
            "greedy-expectation",
            "Your expected target takes the largest value: that is the expectation under the greedy policy. It has to "
            "be taken under the policy that acts.",
            "Which argument tells you how likely each next action is?",
            _both(expected="max"),
        ),
        Mistake(
            "unweighted-mean",
            "Your expected target averages over the actions as if all were equally likely. π gives the weights.",
            "What should happen to an action that the policy never takes?",
            _both(expected="mean"),
        ),
        Mistake(
            "averaged-twice",
            AVERAGED_TWICE,
            "What should the expectation be if all actions are worth the same?",
            _both(expected="under π, averaged"),
        ),
        Mistake(
            "unweighted-sum",
            "Your expected target adds up the values of all actions. An expectation has weights that sum to 1: π.",
            "What should the expectation be if all actions are worth the same?",
            _both(expected="sum"),
        ),
        Mistake(
            "likeliest-action",
            "Your expected target uses only the value of the likeliest action. Every action counts, by its "
            "probability.",
            "Try a row with probabilities 0.6 and 0.4: which values must enter?",
            _both(expected="likeliest"),
        ),
        Mistake(
            "largest-share",
            "Your expected target takes the largest of the products π(a|s′) q(s′, a). Equation (5.7) adds them up.",
            "What should the expectation be if all actions are worth the same?",
            _both(expected="largest share"),
        ),
        Mistake(
            "one-number",
            "Your expected target sums over the whole batch. Each transition has its own next state, and so its own "
            "expectation.",
            "Which axis are the actions? Print the shape of your expectation.",
            _both(expected="under π, all"),
        ),
        Mistake(
            "sum-over-rows",
            "Your expected target sums over the rows of the batch. Each transition has its own expectation, over the "
            "actions.",
            "Which axis are the actions? Print the shape of your expectation.",
            _both(expected="under π, columns"),
        ),
        Mistake(
            "order-swapped",
            "Your two results have changed places: first the sampled target, then the expected one.",
            "Compare the last line of the task with your `return`.",
            _both(back=(1, 0)),
        ),
        Mistake(
            "same-twice",
            "Your two results are the same one: the task asks for the sampled target and for the expected one.",
            "Which of the arguments `action_next` and `pi_next` has no part in your results?",
            _both(back=(0, 0)),
            _both(back=(1, 1)),
        ),
    ],
    also_correct=[
        _both(),
        _by_row(),
        _as_one_hot,
        _expected_of_targets,
        lambda r, q, a, pi, d, g: (
            r + np.where(d, 0.0, g * q[_rows(q), a]),
            np.where(d, r, r + g * np.einsum("ba,ba->b", pi, q)),
        ),
        lambda r, q, a, pi, d, g: [
            r + g * np.logical_not(d) * np.diag(x) for x in (q[:, a], q @ pi.T)
        ],
    ],
)

q_learning_target = Exercise(
    "q_learning_target",
    reference=control.q_learning_target,
    cases=transition_cases(),
    returns=array(),
    points=1,
    equation="(5.8)",
    mistakes=[
        *_mistakes("max"),
        Mistake(
            "argmax-for-max",
            "You use the *index* of the best action. An index is not worth anything: its value is.",
            "What does `argmax` return, and what does `max`?",
            _target("index"),
        ),
        Mistake(
            "max-over-all",
            "You take one maximum over the whole table. Each transition has its own next state, and so "
            "its own maximum: one a row.",
            "Which axis of `q_next` are the actions? Print the shape of your maximum.",
            _target("max of all"),
        ),
        Mistake(
            "mean-over-actions",
            "You average over the next actions. Q-learning's target assumes the *best* action next.",
            "Compare equation (5.8) with expected SARSA's under a uniform policy.",
            _target("mean"),
        ),
        Mistake(
            "sum-over-actions",
            "You add up the values of all next actions. Only one is taken: the best.",
            "Compare equation (5.8) with your line, symbol by symbol.",
            _target("sum"),
        ),
        Mistake(
            "worst-action",
            "You take the smallest value of the next row. Q-learning's target assumes the *best* action next.",
            "`min` or `max`?",
            _target("min"),
        ),
        Mistake(
            "largest-size",
            "You take the value that is largest in *size*. −9 is large in size, and still worse than −1.",
            "What should come out for a row of negative values?",
            _target("largest size"),
        ),
        Mistake(
            "first-action",
            "You take the value of action 0 in every row. Q-learning's target assumes the *best* action next.",
            "Which axis of `q_next` are the actions, and what happens along it?",
            _target("first"),
        ),
        Mistake(
            "wrong-axis",
            "Your maximum runs over the batch and gives one number an action. Each transition has its own.",
            "Which axis of `q_next` are the actions? Print the shape of your maximum.",
            _target("column"),
        ),
    ],
    also_correct=[
        _target("max"),
        lambda r, q, d, g: np.where(d, r, r + g * q.max(axis=1)),
        lambda r, q, d, g: (r[:, None] + g * (1.0 - d)[:, None] * q).max(axis=1),
        lambda r, q, d, g: r + g * (1.0 - d) * q[_rows(q), q.argmax(axis=1)],
        _loop(max),
        lambda r, q, d, g: r + g * np.logical_not(d) * np.sort(q, axis=1)[:, -1],
    ],
)

# --------------------------------------------------------------------------------- expected_max


def _estimates(rng: np.random.Generator) -> list[Case]:
    def case(name: str, mean: float, sigma_1: float, sigma_2: float, *tags: str) -> Case:
        return Case(name, {"mean": mean, "sigma_1": sigma_1, "sigma_2": sigma_2}, tags)

    mean, low, high = (float(x) for x in rng.uniform([1, 0.2, 2], [3, 0.9, 4]))
    return [
        case("different spreads", mean, low, high),
        case("different spreads, exchanged", mean, high, low),
        case("the same spread", mean, high, high, "σ₁ = σ₂"),
        case("a negative mean", -2 * mean, high, low),
        case("a mean of 0", 0.0, low, high),
        case("the first action is known exactly", -mean, 0.0, high, "one spread 0"),
        case("the second action is known exactly", mean, high, 0.0, "one spread 0"),
        case("both actions are known exactly", mean, 0.0, 0.0, "both spreads 0"),
        case("whole numbers", 2, 3, 4),
        case("spreads far apart", 10 * mean, low / 100, 10 * high),
        case("small spreads", 0.0, low / 1000, high / 1000),
    ]


SPREADS: dict[str, Callable] = {
    "of the difference": math.hypot,
    "added": lambda a, b: a + b,
    "subtracted": lambda a, b: abs(a - b),
    "of subtracted variances": lambda a, b: math.sqrt(abs(a**2 - b**2)),
    "of averaged variances": lambda a, b: math.sqrt((a**2 + b**2) / 2),
    # as if both estimates were spread like this one
    "first": lambda a, b: math.sqrt(2) * a,
    "second": lambda a, b: math.sqrt(2) * b,
    "mean": lambda a, b: (a + b) / math.sqrt(2),
    "larger": lambda a, b: math.sqrt(2) * max(a, b),
    "smaller": lambda a, b: math.sqrt(2) * min(a, b),
}
DISTANCE = math.sqrt(2 / math.pi)  # the mean of |N(0, 1)|


@composable
def _largest(
    spread: str = "of the difference",
    share: float = 0.5,
    distance: float = DISTANCE,
    middle: float = 1.0,
    side: float = 1.0,
    power: str = "none",
) -> Callable:
    """The mean of the larger estimate with its parts exchangeable.

    share: of the distance; distance: mean of |N(0, 1)|; middle: how often the mean enters; power: what
    was squared and not rooted, the "variance" or the whole "bias".
    """

    def expected_max(mean, sigma_1, sigma_2):
        theta = SPREADS[spread](sigma_1, sigma_2)
        bias = share * distance * (theta**2 if power == "variance" else theta)
        return middle * mean + side * (bias**2 if power == "bias" else bias)

    return expected_max


def _by_integration(mean, sigma_1, sigma_2):
    """∫ |z| density of the difference, by Gauss and Legendre."""
    theta = math.sqrt(sigma_1**2 + sigma_2**2)
    nodes, weights = np.polynomial.legendre.leggauss(80)
    z = 5 * (nodes + 1)  # 0 to 10 standard deviations, and the other half likewise
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return mean + 0.5 * theta * 2 * 5 * float(weights @ (z * density))


VARIANCE = "Let both spreads be 3. How is $X_1 - X_2$ spread, and by which rule?"

expected_max = Exercise(
    "expected_max",
    reference=control.expected_max,
    cases=_estimates,
    returns=number(),
    points=2,
    equation="(5.10)",
    mistakes=[
        Mistake(
            "deviations-added",
            "You add the two standard deviations. For independent noise the *variances* add, the deviations do not.",
            VARIANCE,
            _largest("added"),
        ),
        Mistake(
            "equal-spreads",
            "Your formula holds for σ₁ = σ₂ only: one number stands for both spreads.",
            "What does it say if one action is known exactly, and the other is not? Try both ways round.",
            *map(_largest, ("first", "second", "mean", "larger", "smaller")),
        ),
        Mistake(
            "half-missing",
            "The ½ of equation (5.10) before the distance is missing: the larger number lies *half* their distance "
            "above the middle.",
            "Try it with 4 and 10: how far is the larger one from their middle?",
            _largest(share=1.0),
        ),
        Mistake(
            "bias-only",
            "You return how far the maximum lies above μ. Asked for is the mean of the maximum itself.",
            "What should come out when both actions are known exactly?",
            _largest(middle=0.0),
        ),
        Mistake(
            "no-bias",
            "You return μ. Each estimate is right on average; the larger of the two is not: (5.9).",
            "Draw two dice a few times. What is the mean of one die, and of the larger one?",
            _largest(side=0.0),
        ),
        Mistake(
            "difference-of-variances",
            "You subtract the variances. The noise of a difference is *larger* than that of either part: its variance "
            "is a sum, too.",
            VARIANCE,
            _largest("of subtracted variances"),
        ),
        Mistake(
            "deviations-subtracted",
            "You subtract the standard deviations: two equally noisy estimates would never differ.",
            VARIANCE,
            _largest("subtracted"),
        ),
        Mistake(
            "no-root",
            "A square root is missing: your bias is measured in squares. If all rewards are doubled, the bias has to "
            "double, not to grow fourfold: it has the unit of a value.",
            "Which of your factors is a variance, and which is a deviation?",
            _largest(power="bias"),
            _largest(power="variance"),
        ),
        Mistake(
            "variances-averaged",
            "You take the mean of the two variances. Both noises are in the difference, whole.",
            VARIANCE,
            _largest("of averaged variances"),
        ),
        Mistake(
            "deviation-for-distance",
            "You take the standard deviation of the difference for its mean distance from 0. They are not the same "
            "number: the lesson gives the mean of |N(0, θ²)| beside (5.10).",
            "How far from 0 is a normal number on average?",
            _largest(distance=1.0),
        ),
        Mistake(
            "one-spread-for-two",
            "The deviation of the difference stands where that of *one* estimate belongs: for σ₁ = σ₂ your bias is "
            "√2 times too large.",
            "Put σ₁ = σ₂ into your formula, and go through the steps with (5.10) once more for that case.",
            _largest(share=math.sqrt(0.5)),
        ),
        Mistake(
            "smaller-one",
            "That is the mean of the *smaller* estimate: it lies below the middle, the larger one above.",
            "Which sign stands before the distance in equation (5.10)?",
            _largest(side=-1.0),
        ),
        Mistake(
            "middle-doubled",
            "The mean enters twice. The middle of two numbers is *half* their sum.",
            "What should come out when both actions are known exactly?",
            _largest(middle=2.0),
        ),
    ],
    also_correct=[
        _largest(),
        _by_integration,
        lambda mean, a, b: mean + ((a * a + b * b) / (2 * math.pi)) ** 0.5,
        lambda mean, a, b: np.float64(mean) + np.linalg.norm([a, b]) * NormalDist().pdf(0.0),
        lambda mean, a, b: (2 * mean + math.sqrt(2 / math.pi) * abs(complex(a, b))) / 2,
    ],
)

# ------------------------------------------------------------------------------ double_q_target

double_q_target = Exercise(
    "double_q_target",
    reference=control.double_q_target,
    cases=transition_cases("qb_next"),
    returns=array(),
    points=2,
    equation="(5.12)",
    mistakes=[
        *_mistakes("a selects, b says"),
        Mistake(
            "same-table",
            "The same table selects the action and says what it is worth. Its noise does both, and that "
            "is what biases the maximum.",
            "Two roles, two tables: which one chooses, which one is asked for the value?",
            _target("max"),
            _target("max of b"),
        ),
        Mistake(
            "swapped",
            "The roles are exchanged: the table being updated (A) selects, the other one (B) evaluates.",
            "This target is for updating A. Read equation (5.12) from the inside out.",
            _target("b selects, a says"),
        ),
        Mistake(
            "min-of-both",
            "You take the smaller of the two maxima. That is TD3's idea, lesson 15; double Q-learning "
            "splits selecting from evaluating.",
            "How many maxima are there in equation (5.12)?",
            _target("smaller maximum"),
            _target("maximum of the smaller"),
        ),
        Mistake(
            "mean-of-both",
            "You mix the two tables before or after the maximum. In double Q-learning one selects and the other one, "
            "alone, says what that is worth.",
            "Two roles, two tables: which one chooses, which one is asked for the value?",
            _target("mean of maxima"),
            _target("maximum of the mean"),
            _target("maximum of the sum"),
        ),
        Mistake(
            "both-select",
            "Both tables together select the action. Here the table being updated (A) selects by itself.",
            "Read equation (5.12) from the inside out: whose row does the argmax look at?",
            _target("sum selects, b says"),
        ),
        Mistake(
            "index-for-value",
            "You use the *index* of the selected action. What counts is what B says it is worth.",
            "What does `argmax` return, and what does equation (5.12) do with it?",
            _target("index of a"),
        ),
        Mistake(
            "mean-over-actions",
            "You average over the actions of B. One action is selected, by A; B says what that one is worth.",
            "Where is A used in your target?",
            _target("mean of b"),
        ),
        Mistake(
            "all-rows",
            "`qb_next[:, best]` takes every row's best action for every row, a (B, B) array. Row i goes "
            "with its own best action.",
            "Print the shape of what you pick out of `qb_next`. You want one number a row.",
            lambda r, qa, qb, d, g: r + g * (1.0 - d) * qb[:, qa.argmax(axis=1)],
            lambda r, qa, qb, d, g: r + g * (1.0 - d)[:, None] * qb[:, qa.argmax(axis=1)],
            lambda r, qa, qb, d, g: r[:, None] + g * (1.0 - d)[:, None] * qb[:, qa.argmax(axis=1)],
            lambda r, qa, qb, d, g: r + g * (1.0 - d) * qb[:, qa.argmax(axis=1)].T,
        ),
    ],
    also_correct=[
        _target("a selects, b says"),
        lambda r, qa, qb, d, g: (
            r + g * (1.0 - d) * np.take_along_axis(qb, qa.argmax(1)[:, None], axis=1)[:, 0]
        ),
        lambda r, qa, qb, d, g: (
            r + g * (1.0 - d) * (qb * np.eye(qa.shape[1])[qa.argmax(axis=1)]).sum(axis=1)
        ),
        _loop(lambda qa, qb: qb[int(np.argmax(qa))]),
        lambda r, qa, qb, d, g: np.where(d, r, r + g * qb[_rows(qa), qa.argmax(axis=1)]),
    ],
)

# ----------------------------------------------------------------------------------------- loops


def _control_cases(stochastic_ends: bool) -> Callable[[np.random.Generator], list[Case]]:
    """Runs of a control loop. Stochastic `select` meets terminal states only where a choice there is settled."""

    def cases(rng: np.random.Generator) -> list[Case]:
        def case(name, env, select, episodes, step_size, gamma, *tags) -> Case:
            seed = int(rng.integers(2**31))
            inputs = {"env": env, "select": select, "episodes": episodes}
            inputs |= {"step_size": step_size, "gamma": gamma, "rng": Rng(seed)}
            return Case(name, inputs, tags)

        greedy, second, worst = Select("greedy"), Select("second"), Select("worst")
        exploring, terminal, cut = Select("epsilon-greedy", 0.3), "terminal ends", "time limits"
        both = random_env(rng, 4, 2, ends=0.2, limit=1)
        both.ends[:] = True
        costly = random_env(rng, limit=9)
        costly.R[:] = -1.0 - np.abs(costly.R)
        made = [
            case("ends in terminal states", random_env(rng, ends=0.3, limit=40), greedy, 12, 0.5, 0.9, terminal),
            case("the second-best action", random_env(rng, 6, 3, ends=0.2, limit=40), second, 12, 0.3, 0.8, terminal),
            case("the worst action", random_env(rng, 4, 4, ends=0.2, limit=40), worst, 10, 0.4, 0.95, terminal),
            case("cut off after 7 steps", random_env(rng, limit=7), greedy, 10, 0.5, 0.9, cut),
            case("cut off, with exploration", random_env(rng, limit=12), exploring, 10, 0.5, 0.9, cut),
            case("an episode of 250 steps", random_env(rng, 4, 2, limit=250), exploring, 1, 0.2, 0.95, cut),
            case("negative rewards only", costly, exploring, 6, 0.5, 0.9, cut),
            case("deterministic, with exploration", random_env(rng, limit=15, deterministic=True), exploring, 8, 0.5, 0.9, cut),
            case("both flags at once", both, greedy, 10, 0.5, 0.9, terminal),
            case("γ = 0", random_env(rng, limit=9), exploring, 5, 0.5, 0.0, cut, "γ = 0"),
            case("step size 1", random_env(rng, limit=9), exploring, 5, 1.0, 0.9, cut),
            case("one action", random_env(rng, 3, 1, ends=0.3, limit=9), greedy, 5, 0.5, 0.9),
            case("no episodes", random_env(rng, limit=9), greedy, 0, 0.5, 0.9, "no episodes"),
        ]  # fmt: skip
        if stochastic_ends:
            env = random_env(rng, ends=0.25, limit=40)
            made.append(
                case("terminal ends, with exploration", env, exploring, 12, 0.4, 0.9, terminal)
            )
        return made

    return cases


ROW_VALUES: dict[str, Callable] = {
    "max": np.max,
    "mean": np.mean,
    "min": np.min,
    "index": np.argmax,
}


@composable
def _sarsa_with(
    chooses_in: str = "s'",
    future: str = "a'",
    masks: str = "terminated",
    chooses_first: bool = True,
    chooses_again: bool = False,
    chooses_after: bool = False,
    keeps_action: bool = False,
    chooses_unless: str = "never",
    discount: str = "future",
    paid: bool = True,
    update: str = "towards",
    updates: str = "s, a",
    ends_on: str = "either",
    moves: bool = True,
    most: int | None = None,
    forgets: bool = False,
) -> Callable:
    """SARSA with its parts exchangeable, so that each mistake differs in one of them.

    future: the value of "a'", or of the row of s'; chooses_in: whose row a' is chosen in;
    chooses_unless: the flags after which nothing is chosen; updates: which entry.
    """

    def sarsa(env, select, episodes, step_size, gamma, rng):
        shape = env.observation_space.n, env.action_space.n
        q = np.zeros(shape)
        for _ in range(episodes if most is None else min(episodes, most)):
            q = np.zeros(shape) if forgets else q
            s, _ = env.reset()
            a = select(q[s], rng) if chooses_first else 0
            done = False
            while not done:
                if chooses_again:
                    a = select(q[s], rng)
                s_next, reward, *flags, _ = env.step(a)
                done = FLAGS[ends_on](*flags)
                a_next = 0
                if not FLAGS[chooses_unless](*flags):
                    a_next = select(q[s_next if chooses_in == "s'" else s], rng)
                row = q[s_next]
                value = row[a_next] if future == "a'" else ROW_VALUES[future](row)
                y = sampled_target(reward, value, FLAGS[masks](*flags), gamma, discount, paid)
                entry = {"s, a": (s, a), "s', a'": (s_next, a_next)}[updates]
                q[entry] = UPDATES[update](q[entry], y, step_size)
                if chooses_after:
                    a_next = select(q[s_next], rng)
                s, a = s_next if moves else s, (a if keeps_action else a_next)
        return q

    return sarsa


def _sarsa_through_target(env, select, episodes, step_size, gamma, rng):
    q = np.zeros((env.observation_space.n, env.action_space.n))
    for _ in range(episodes):
        (s, _), ended = env.reset(), False
        a = select(q[s], rng)
        while not ended:
            s_next, reward, terminated, truncated, _ = env.step(a)
            ended = terminated or truncated
            a_next = None if terminated else select(q[s_next], rng)
            batch = np.array([reward]), q[[s_next]], np.array([a_next or 0]), np.array([terminated])
            y = control.sarsa_target(*batch, gamma)[0]
            q[s, a] = (1 - step_size) * q[s, a] + step_size * y
            s, a = s_next, a_next
    return q


LOOP_TERMINAL = (
    "Your loop bootstraps from a state that ended the episode. A terminal state is worth 0, whatever "
    "stands at its index in the table."
)
LOOP_TRUNCATION = (
    "You do not bootstrap where a time limit cut the episode. The clock ran out, the task did not: the "
    "next state still has a value."
)
WHICH_FLAG = "Which of the two flags belongs into the target, and which only ends the loop?"


def _both_ways(**parts) -> tuple[Callable, ...]:
    """A mistake made by loops that choose an action at a terminal state, and by loops that do not."""
    return _sarsa_with(**parts), _sarsa_with(**parts, chooses_unless="terminated")


def _all_ways(**parts) -> tuple[Callable, ...]:
    """The same where the action at the end is not used: by loops that never choose there, too."""
    return *_both_ways(**parts), _sarsa_with(**parts, chooses_unless="either")


sarsa = Exercise(
    "sarsa",
    reference=control.sarsa,
    cases=_control_cases(stochastic_ends=False),
    returns=array(),
    points=3,
    equation="(5.6)",
    notes=["resets", "steps"],
    mistakes=[
        Mistake(
            "action-from-old-state",
            "You choose the next action by looking at the row of the state you have just left. a′ is "
            "taken in s′: look at its row.",
            "Which state will your next `step` start from?",
            *_both_ways(chooses_in="s"),
        ),
        Mistake(
            "chooses-again",
            "You draw a fresh action at each step, so the action in the target is not the one that is "
            "taken. In SARSA they are the same.",
            "Print the action in the target and the action of the next `step`: how often do they differ?",
            *_both_ways(chooses_again=True),
            *_both_ways(chooses_again=True, chooses_first=False),
            *_both_ways(chooses_after=True),
        ),
        Mistake(
            "select-not-asked",
            "`select` is never asked: your actions come from elsewhere.",
            "Which argument of your function is never used? What does it need, to choose?",
            lambda *arguments: _q_learning_with(behaviour="greedy")(*arguments),
            shows=never_asked,
        ),
        Mistake(
            "max",
            "Your target takes the largest value of s′: that is Q-learning. SARSA learns about the policy "
            "that acts.",
            "Compare equations (5.6) and (5.8): which one has a maximum?",
            *_all_ways(future="max"),
            lambda *arguments: _q_learning_with()(*arguments),
        ),
        Mistake(
            "stale-action",
            "The action never becomes a′: you repeat the first action of the episode, and the action in the target is "
            "not the one that is taken.",
            "Each round ends by moving on. What has to move besides the state?",
            *_both_ways(keeps_action=True),
        ),
        Mistake("bootstraps-terminal", LOOP_TERMINAL, WHICH_FLAG, _sarsa_with(masks="never")),
        Mistake("masks-truncation", LOOP_TRUNCATION, WHICH_FLAG, *_all_ways(masks="either")),
        *update_mistakes(_both_ways, "Q(s, a)", COUNT_GAMMA, WHICH_FLAG),
        Mistake(
            "mean-over-actions",
            "Your target averages over the actions of s′. SARSA takes the value of the one action that was drawn.",
            "Where in equation (5.6) does a′ come from?",
            *_all_ways(future="mean"),
        ),
        Mistake(
            "updates-next-pair",
            "You move the value of s′ and a′. The target is news about the pair you have just left.",
            "Which pair's return begins with the reward that you have just got?",
            *_both_ways(updates="s', a'"),
        ),
    ],
    also_correct=[
        _sarsa_with(),
        _sarsa_with(chooses_unless="terminated"),
        _sarsa_through_target,
    ],
)


@composable
def _q_learning_with(
    future: str = "max",
    row_of: str = "s'",
    masks: str = "terminated",
    looks_always: bool = False,
    behaviour: str = "select",
    chooses_in: str = "s",
    discount: str = "future",
    paid: bool = True,
    update: str = "towards",
    ends_on: str = "either",
    moves: bool = True,
    most: int | None = None,
    forgets: bool = False,
) -> Callable:
    """Q-learning with its parts exchangeable; future: what becomes of the row of s', or of s."""

    def q_learning(env, select, episodes, step_size, gamma, rng):
        shape = env.observation_space.n, env.action_space.n
        q = np.zeros(shape)
        for _ in range(episodes if most is None else min(episodes, most)):
            q = np.zeros(shape) if forgets else q
            s, _ = env.reset()
            first = s
            while True:
                row = q[first if chooses_in == "the first state" else s]
                a = int(row.argmax()) if behaviour == "greedy" else select(row, rng)
                s_next, reward, *flags, _ = env.step(a)
                masked, value = FLAGS[masks](*flags), 0.0
                if looks_always or not masked:
                    row = q[s_next if row_of == "s'" else s]
                    value = (
                        row[select(row, rng)] if future == "selected" else ROW_VALUES[future](row)
                    )
                y = sampled_target(reward, value, masked, gamma, discount, paid)
                q[s, a] = UPDATES[update](q[s, a], y, step_size)
                s = s_next if moves else s
                if FLAGS[ends_on](*flags):
                    break
        return q

    return q_learning


def _learning(**parts) -> tuple[Callable]:
    return (_q_learning_with(**parts),)


def _chooses_early(at_end: str) -> Callable:
    """Q-learning that chooses its next action before it has learnt from the last one."""

    def q_learning(env, select, episodes, step_size, gamma, rng):
        q = np.zeros((env.observation_space.n, env.action_space.n))
        for _ in range(episodes):
            s, _ = env.reset()
            a = select(q[s], rng)
            done = False
            while not done:
                s_next, reward, terminated, truncated, _ = env.step(a)
                done = terminated or truncated
                skip = {"never": False, "terminated": terminated, "done": done}[at_end]
                a_next = 0 if skip else select(q[s_next], rng)
                y = reward + gamma * (1.0 - terminated) * q[s_next].max()
                q[s, a] += step_size * (y - q[s, a])
                s, a = s_next, a_next
        return q

    return q_learning


def _acts_at_random(env, select, episodes, step_size, gamma, rng):
    def anything(row, rng):
        return int(rng.integers(len(row)))

    return _q_learning_with()(env, anything, episodes, step_size, gamma, rng)


def _q_learning_through_target(env, select, episodes, step_size, gamma, rng):
    q = np.zeros((env.observation_space.n, env.action_space.n))
    for _ in range(episodes):
        (s, _), ended = env.reset(), False
        while not ended:
            a = select(q[s].copy(), rng)
            s_next, reward, terminated, truncated, _ = env.step(a)
            batch = np.array([reward]), q[[s_next]], np.array([terminated])
            q[s, a] += step_size * (control.q_learning_target(*batch, gamma)[0] - q[s, a])
            s, ended = s_next, terminated or truncated
    return q


q_learning = Exercise(
    "q_learning",
    reference=control.q_learning,
    cases=_control_cases(stochastic_ends=True),
    returns=array(),
    points=3,
    equation="(5.8)",
    notes=["resets", "steps", "choices"],
    mistakes=[
        Mistake(
            "sarsa-target",
            "Your target uses the value of an action that `select` chose in s′: that is SARSA. Q-learning "
            "is off-policy: its target is greedy, whatever is done next.",
            "Compare equations (5.6) and (5.8): which one asks what happens next?",
            _q_learning_with(future="selected"),
            _q_learning_with(future="selected", looks_always=True),
            *_both_ways(),
        ),
        Mistake(
            "stale-action",
            "You choose the next action before the update, with a table that is one step old. Choose with what you "
            "have just learnt.",
            "It matters where s′ is s: a step against a wall, say. Which row do you choose from, before or after it has "
            "moved?",
            *map(_chooses_early, ("never", "terminated", "done")),
        ),
        Mistake(
            "never-explores",
            "You act greedily and never ask `select`. The target is greedy; the behaviour is `select`'s.",
            "Which argument of your function is never used?",
            _q_learning_with(behaviour="greedy"),
        ),
        Mistake(
            "select-not-asked",
            "`select` is never asked, and your actions are not greedy either. The behaviour is `select`'s.",
            "Which argument of your function is never used? What does it need, to choose?",
            _acts_at_random,
        ),
        Mistake(
            "own-max",
            "Your maximum is over the row of s, the state you left. It belongs to the next state.",
            "Which state's future does the target talk about?",
            _q_learning_with(row_of="s"),
        ),
        Mistake(
            "bootstraps-terminal",
            LOOP_TERMINAL,
            WHICH_FLAG,
            _q_learning_with(masks="never"),
        ),
        Mistake(
            "masks-truncation",
            LOOP_TRUNCATION,
            WHICH_FLAG,
            _q_learning_with(masks="either"),
        ),
        *update_mistakes(_learning, "Q(s, a)", COUNT_GAMMA, WHICH_FLAG),
        Mistake(
            "mean-over-actions",
            "Your target averages over the actions of s′. Q-learning assumes the *best* action next.",
            "Compare equation (5.8) with expected SARSA's under a uniform policy.",
            _q_learning_with(future="mean"),
        ),
        Mistake(
            "argmax-for-max",
            "You use the *index* of the best action. An index is not worth anything: its value is.",
            "What does `argmax` return, and what does `max`?",
            _q_learning_with(future="index"),
        ),
        Mistake(
            "worst-action",
            "You take the smallest value of the next row. Q-learning assumes the *best* action next.",
            "`min` or `max`?",
            _q_learning_with(future="min"),
        ),
        Mistake(
            "acts-by-first-state",
            "`select` always gets the row of the episode's first state. It chooses for the state that you are in.",
            "Print the state at the top of your loop for three rounds, and the row that `select` gets.",
            _q_learning_with(chooses_in="the first state"),
        ),
    ],
    also_correct=[_q_learning_with(), _q_learning_through_target],
)

LESSON = Lesson(
    "05",
    "SARSA and Q-learning",
    [
        epsilon_greedy,
        sarsa_targets,
        q_learning_target,
        expected_max,
        double_q_target,
        sarsa,
        q_learning,
    ],
)
