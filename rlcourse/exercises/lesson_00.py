"""Lesson 00: what is asked, and how it goes wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from rlcourse.checker.comparing import same
from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    array,
    boolean,
    composable,
    number,
    several,
)
from rlcourse.checker.harness import Case, Outcome
from rlcourse.checker.material import FLAG_TYPES, flags, random_env, random_policy
from rlcourse.checker.probes import Misuse, Policy, Rng
from rlcourse.tabular import returns

# ------------------------------------------------------------------------------ discounted_return


def reward_cases(rng: np.random.Generator) -> list[Case]:
    """Reward sequences with a discount: also used by lesson 01."""

    def case(name: str, rewards: np.ndarray, gamma: float, *tags: str) -> Case:
        return Case(name, {"rewards": rewards, "gamma": gamma}, tags)

    return [
        case("seven rewards, γ = 0.9", rng.normal(size=7), 0.9),
        case("seven others of both signs, γ = 0.9", rng.normal(size=7) * 3, 0.9),
        case("seven costs, γ = 0.5", -rng.uniform(1, 2, size=7), 0.5),
        case("one reward", rng.normal(size=1) + 2, 0.8),
        case("whole-number rewards", rng.integers(-9, 10, size=6), 0.7, "whole-number rewards"),
        case(
            "whole-number rewards and γ = 1", np.array([3, -1, 4, 1]), 1.0, "whole-number rewards"
        ),
        case("no rewards at all", np.zeros(0), 0.9, "T = 0"),
        case("γ = 0", rng.normal(size=5), 0.0, "γ = 0"),
        case("γ = 1", rng.normal(size=5), 1.0, "γ = 1"),
        case("150 rewards, γ = 0.99", rng.normal(size=150) + 1, 0.99),
        case("400 rewards, γ = 0.1", rng.normal(size=400), 0.1, "a long episode with a small γ"),
    ]


def _return_by_loop(rewards, gamma):
    total = 0.0
    for reward in reversed(rewards):
        total = reward + gamma * total
    return total


def _return_by_recursion(rewards, gamma):
    return rewards[0] + gamma * _return_by_recursion(rewards[1:], gamma) if len(rewards) else 0


@composable
def _return(
    weights: str = "powers",
    first: int = 0,
    reversed_: bool = False,
    divided: str = "",
    left_out: str = "",
) -> Callable:
    """A return with its parts exchangeable, so that each mistake differs in one of them.

    weights: how a reward's weight goes on from step to step; first: how often the first reward is
    discounted; divided: by "all" rewards, or by those there are, so that there may be "some".
    """

    def discounted_return(rewards, gamma):
        t, n = np.arange(len(rewards)), len(rewards)
        grown = {
            "powers": lambda: float(gamma) ** (t + first),
            "none": lambda: np.ones(n),
            "times t": lambda: np.where(t > 0, gamma * t, 1.0),
            "times t, 0 at first": lambda: gamma * t,
            "once": lambda: np.where(t > 0, float(gamma), float(gamma) ** first),
            "squares": lambda: float(gamma) ** np.where(t + first > 0, 2.0 ** (t + first - 1), 0),
        }[weights]()
        grown = grown[::-1] if reversed_ else grown
        kept = {"": slice(None), "first": slice(1, None), "last": slice(-1)}[left_out]
        total = float(np.sum((grown * rewards)[kept]))
        return {"": lambda: total, "all": lambda: total / n, "some": lambda: total / max(n, 1)}[
            divided
        ]()

    return discounted_return


discounted_return = Exercise(
    "discounted_return",
    reference=returns.discounted_return,
    cases=reward_cases,
    returns=number(),
    points=1,
    equation="(0.1)",
    mistakes=[
        Mistake(
            "first-discounted",
            "You discount the first reward too. The reward of the step you are about to take comes "
            "now: its weight is γ⁰ = 1.",
            "Write down the weights of the first three rewards in equation (0.1). Which power comes first?",
            _return(first=1),
            # Backwards, in the form of a loop.
            lambda rewards, gamma: gamma * _return_by_loop(rewards, gamma),
        ),
        Mistake(
            "undiscounted",
            "γ is never used: a reward that is t steps away counts γ^t of itself.",
            "Try it with rewards [1, 1] and γ = 0.5: what should come out, and what does?",
            _return(weights="none"),
        ),
        Mistake(
            "mean-not-sum",
            "You divide by the number of rewards. A return is a sum, not an average: a long episode "
            "of good rewards is worth more than a short one.",
            "Look for `mean` or a division by T, and at equation (0.1) for one.",
            _return(divided="some"),
            _return(divided="all"),
            lambda rewards, gamma: _return_by_loop(rewards, gamma) / len(rewards),
            lambda rewards, gamma: float(np.mean(gamma ** np.arange(len(rewards)) * rewards)),
            lambda rewards, gamma: float(np.mean(rewards)),
            lambda rewards, gamma: float(np.sum(rewards) / max(len(rewards), 1)),
        ),
        Mistake(
            "weights-reversed",
            "Your weights run the wrong way: you discount the past. The last reward should weigh least.",
            "Which reward gets weight 1 in your code, the first or the last?",
            _return(reversed_=True),
        ),
        Mistake(
            "multiplied-not-power",
            "Your weight grows with γ times t. Each step multiplies once more by γ: that is a power, "
            "not a product with t.",
            "What is the weight of the reward two steps ahead? Two factors γ.",
            _return(weights="times t"),
            _return(weights="times t, 0 at first"),
        ),
        Mistake(
            "discounted-once",
            "All your rewards, however far away, carry one and the same factor γ. Each step further "
            "away discounts once more.",
            "Work out the weight of the reward three steps ahead, in your code and in equation (0.1).",
            _return(weights="once"),
            _return(weights="once", first=1),
        ),
        Mistake(
            "weights-squared",
            "Your running weight is multiplied by *itself* from step to step, so its exponent doubles: "
            "γ, γ², γ⁴. In equation (0.1) the exponent grows by one.",
            "Write down the weights of the first four rewards. What is each multiplied with to get the next?",
            _return(weights="squares"),
            _return(weights="squares", first=1),
        ),
        Mistake(
            "first-grown",
            "Your exponents begin at −1: the first reward is divided by γ. It comes now, and so its "
            "weight is γ⁰ = 1.",
            "Which value has your exponent in the first round of the loop?",
            _return(first=-1),
            lambda rewards, gamma: sum(r * gamma ** (t - 1) for t, r in enumerate(rewards)),
        ),
        Mistake(
            "last-reward-lost",
            "The last reward never enters your sum: it ends one step too early.",
            "Which indices does your loop or slice take, for three rewards?",
            _return(left_out="last"),
        ),
        Mistake(
            "first-reward-lost",
            "The first reward never enters your sum. The sum in equation (0.1) begins with r₀.",
            "Which indices does your loop or slice take, for three rewards?",
            _return(left_out="first"),
            lambda rewards, gamma: _return_by_loop(rewards[1:], gamma),
        ),
    ],
    also_correct=[
        _return(),
        _return_by_loop,
        _return_by_recursion,
        lambda rewards, gamma: np.dot(np.power(float(gamma), np.arange(len(rewards))), rewards),
        lambda rewards, gamma: np.polyval(np.asarray(rewards)[::-1], gamma),
        lambda rewards, gamma: sum(gamma**t * r for t, r in enumerate(rewards)),
    ],
)

# ------------------------------------------------------------------------------- constant_return

MANY = 10**15  # no loop gets there, and no computer has the memory for an array of so many


def _constant_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, reward, gamma, n_steps, *tags: str) -> Case:
        return Case(name, {"reward": reward, "gamma": gamma, "n_steps": n_steps}, tags)

    def paid() -> float:
        return float(rng.uniform(0.5, 3))

    between = float(rng.uniform(0.3, 0.9))
    return [
        case("ten rewards, γ = 0.9", paid(), 0.9, 10),
        case("three costs, γ = 0.5", -paid(), 0.5, 3),
        case("seven rewards, another γ", paid(), between, 7),
        case("one reward", paid(), 0.8, 1, "n = 1"),
        case("no step at all", paid(), 0.9, 0, "n = 0"),
        case("γ = 0", paid(), 0.0, 5, "γ = 0"),
        case("γ = 0 and no step", paid(), 0.0, 0, "n = 0"),
        case("γ = 1", paid(), 1.0, 6, "γ = 1"),
        case("whole numbers", 3, 0, 4, "γ = 0"),
        case("whole numbers, γ = 1", -2, 1, 5, "γ = 1"),
        case("ten thousand steps, γ = 0.9999", paid(), 0.9999, 10_000),
        case("steps without end", paid(), 0.95, math.inf, "n = ∞"),
        case("costs without end, γ = 0", -paid(), 0.0, math.inf, "n = ∞"),
        case("10¹⁵ steps, γ = 1", paid(), 1.0, MANY, "γ = 1"),
        case("10¹⁵ steps, γ = 0.9999", -paid(), 0.9999, MANY),
    ]


@composable
def _constant(
    above: str = "1 − γ^n",
    terms: int = 0,
    first: int = 0,
    below: str = "1 − γ",
    sign: int = 1,
    at_one: str = "added",
    numbers: str = "Python",
) -> Callable:
    """The closed form with its parts exchangeable.

    above, below: the two sides of the fraction; terms: rewards too many; first: how often the first
    one is discounted; at_one: what is done where γ = 1, "added" up, "added, so many", or "divided" as
    ever; numbers: "Python", which refuses to divide by 0, or "NumPy", which does not.
    """

    def constant_return(reward, gamma, n_steps):
        n = n_steps + terms
        if gamma == 1 and at_one.startswith("added"):
            return float(sign * reward * (n if at_one == "added, so many" else n_steps))
        number = np.float64 if numbers == "NumPy" else float
        gamma = number(gamma)
        top = {
            "1 − γ^n": lambda: 1 - gamma**n,
            "1": lambda: number(1),
            "1 + γ^n": lambda: 1 + gamma**n,
            "1 − γn": lambda: 1 - gamma * n,
        }[above]()
        bottom = {"1 − γ": lambda: 1 - gamma, "1": lambda: 1.0, "1 + γ": lambda: 1 + gamma}[below]()
        return float(sign * gamma**first * reward * top / bottom)

    return constant_return


def _cut_off(most: int) -> Callable:
    """The sum of at most so many rewards."""

    def constant_return(reward, gamma, n_steps):
        weights = float(gamma) ** np.arange(int(min(n_steps, most)))
        return float(reward * weights.sum())

    return constant_return


def _first_left_out(reward, gamma, n_steps):
    if gamma == 1:
        return float(reward * (n_steps - 1))
    return float(reward * (gamma - float(gamma) ** n_steps) / (1 - gamma))


def _by_logarithms(reward, gamma, n_steps):
    if gamma == 1 or n_steps == 0:
        return reward * n_steps
    if gamma == 0:
        return reward
    return -reward * math.expm1(n_steps * math.log(gamma)) / (1 - gamma)


def _by_doubling(reward, gamma, n_steps):
    """Twice as many weights: those there are, and the same again, further away."""
    if math.isinf(n_steps):
        return reward / (1 - gamma)
    total, weight = 0.0, 1.0  # of the steps so far: the weights' sum, and the weight of the next
    for digit in bin(n_steps)[2:]:
        total, weight = total + weight * total, weight * weight
        if digit == "1":
            total, weight = 1 + gamma * total, gamma * weight
    return reward * total


_GIVE_UP = ("TimeLimit", "MemoryError", "_ArrayMemoryError", "RecursionError", "OverflowError", "TypeError", "ValueError")  # fmt: skip


def _adds_one_by_one(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    """Whether the answer is right as long as the rewards can be added up, and gives none where they cannot."""

    def added_up(case: Case, outcome: Outcome | None) -> bool:
        n = case.inputs["n_steps"]
        gave_up = outcome is None or getattr(outcome.failure, "type_name", "") in _GIVE_UP
        if gave_up or n >= MANY:
            return gave_up and n >= 1000  # a recursion goes no deeper
        value = returns.constant_return(**case.inputs)
        return outcome.failure is None and same(outcome.value, value)

    return all(map(added_up, cases, [*outcomes, *[None] * (len(cases) - len(outcomes))]))


constant_return = Exercise(
    "constant_return",
    reference=returns.constant_return,
    cases=_constant_cases,
    returns=number(),
    points=1,
    equation="(0.2)",
    seconds=2.0,  # a formula takes no time, and who adds up need not wait to be told
    mistakes=[
        Mistake(
            "added-up",
            "You add the rewards up one by one. That is right, and gets nowhere with 10¹⁵ of them, or without an "
            "end: a closed form takes as long for those as for two.",
            "Write G below γG, term under term of the same power, and look at what the two have in common.",
            lambda reward, gamma, n_steps: float(np.sum(reward * float(gamma) ** np.arange(n_steps))),
            shows=_adds_one_by_one,
        ),
        Mistake(
            "cut-off",
            "You add up a fixed number of rewards and leave the others out. How many matter depends on γ; and with "
            "γ = 1 all of them count the same.",
            "What is your result for γ = 1 and 10¹⁵ steps? Write G below γG, and look for a formula.",
            *map(_cut_off, (100, 200, 500, 1000, 10_000, 100_000)),
        ),
        Mistake(
            "one-term-too-many",
            "You count one reward too many: n rewards carry the weights γ⁰ … γ^{n−1}.",
            "Try n = 1: the return is the one reward. And n = 0?",
            _constant(terms=1),
            _constant(terms=1, at_one="added, so many"),
        ),
        Mistake(
            "one-term-too-few",
            "You count one reward too few: n rewards carry the weights γ⁰ … γ^{n−1}.",
            "Try n = 1: the return is the one reward.",
            _constant(terms=-1),
            _constant(terms=-1, at_one="added, so many"),
            _constant(terms=-1, numbers="NumPy"),
            _constant(terms=-1, at_one="added, so many", numbers="NumPy"),
        ),
        Mistake(
            "first-discounted",
            "You discount the first reward too: your result is γ times the return. In equation (0.2) it has the "
            "weight γ⁰ = 1.",
            "Try n = 1: the return is the one reward.",
            _constant(first=1),
        ),
        Mistake(
            "first-reward-lost",
            "The first reward never enters your sum. The weights in equation (0.2) begin with γ⁰ = 1.",
            "Try n = 1: the return is the one reward.",
            _first_left_out,
            lambda reward, gamma, n_steps: float(reward * (gamma - float(gamma) ** n_steps) / (1 - gamma)),
        ),
        Mistake(
            "endless",
            "Where γ < 1 your result does not depend on how many steps there are. That is the return of an episode that "
            "never ends.",
            "What is left of your difference at the far end of the two sums?",
            _constant(above="1"),
            _constant(above="1", at_one="divided"),
            _constant(above="1", at_one="divided", numbers="NumPy"),
        ),
        Mistake(
            "gamma-one",
            "With γ = 1 your formula is 0/0. Nothing is discounted then: n equal numbers are added.",
            "Where did you divide, and by what? That step needs γ < 1; the sum itself does not.",
            _constant(at_one="divided"),
            _constant(at_one="divided", numbers="NumPy"),
        ),
        Mistake(
            "numerator-missing",
            "You normalised the weights so that they sum to 1 for n = ∞: what comes out is an average. A return is a "
            "sum.",
            "Try n = 2 with γ = 0.5 by hand.",
            _constant(below="1"),
            _constant(below="1", at_one="divided"),
        ),
        Mistake(
            "sign",
            "Your result has the wrong sign: rewards above 0 give a return below 0. In one of your subtractions the "
            "two sides have changed places.",
            "Which of the two is larger, G or γG? Keep the order on both sides of the equation.",
            _constant(sign=-1),
            _constant(sign=-1, at_one="divided"),
            lambda reward, gamma, n_steps: (1 if gamma == 1 else -1) * returns.constant_return(reward, gamma, n_steps),
        ),
        Mistake(
            "plus-for-minus",
            "One of your signs is a plus that should be a minus: subtracting γG from G leaves two differences.",
            "Do the subtraction for n = 2, with all its terms.",
            _constant(above="1 + γ^n"),
            _constant(below="1 + γ"),
            _constant(above="1 + γ^n", below="1 + γ"),
        ),
        Mistake(
            "multiplied-not-power",
            "Your formula has γ times n. Each step multiplies once more by γ: that is a power, not a product.",
            "What is the weight of the reward two steps ahead? Two factors γ.",
            _constant(above="1 − γn"),
        ),
        Mistake(
            "undiscounted",
            "γ is never used: a reward that is t steps away counts γ^t of itself.",
            "Try two rewards of 1 and γ = 0.5: what should come out, and what does?",
            lambda reward, gamma, n_steps: float(reward * n_steps),
            lambda reward, gamma, n_steps: reward * n_steps if n_steps < math.inf else reward / (1 - gamma),
        ),
    ],
    also_correct=[
        _constant(),
        _by_logarithms,
        _by_doubling,
        lambda reward, gamma, n_steps: (
            reward * n_steps if gamma == 1 else reward / (1 - gamma) - gamma**n_steps * reward / (1 - gamma)
        ),
    ],
)  # fmt: skip

# -------------------------------------------------------------------------------- bootstrap_mask


def _mask_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, terminated, truncated, *tags: str) -> Case:
        return Case(name, {"terminated": terminated, "truncated": truncated}, tags)

    def both(n: int, dtype: type) -> tuple[np.ndarray, np.ndarray]:
        # Rows with neither flag, one of them, the other, and both: every combination occurs.
        order = rng.permutation(n)
        terminated, truncated = (np.arange(n) % 4 > 1)[order], (np.arange(n) % 2 > 0)[order]
        return terminated.astype(dtype), truncated.astype(dtype)

    cases = [
        case(
            f"flags as {np.dtype(dtype).name}", *both(9, dtype), f"flags as {np.dtype(dtype).name}"
        )
        for dtype in FLAG_TYPES
    ]
    one = np.array([True])
    return [
        *cases,
        case("one step, terminated", one, ~one),
        case("one step, cut off by the time limit", ~one, one),
        case("one step with both flags set", one, one),
        case("one step in the middle of an episode", ~one, ~one),
        case("only time limits", np.zeros(5), flags(rng, 5)),
    ]


@composable
def _mask(ends: str = "terminated", inverted: bool = False) -> Callable:
    """A mask with its parts exchangeable; ends: the rule by which a row counts as over."""

    def bootstrap_mask(terminated, truncated):
        d, c = np.asarray(terminated) > 0, np.asarray(truncated) > 0
        over = {
            "terminated": d,
            "truncated": c,
            "either": d | c,
            "both": d & c,
            "terminated only": d & ~c,
            "exactly one": d ^ c,
            "equal": d == c,
        }[ends]
        return 1.0 * (over if inverted else ~over)

    return bootstrap_mask


def _asks_an_array(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    """Whether every batch of several rows stopped at "the truth value of an array is ambiguous"."""
    failures = [
        outcome.failure
        for case, outcome in zip(cases, outcomes, strict=False)
        if len(case.inputs["terminated"]) > 1
    ]
    return all(f is not None and "truth value of an array" in f.message for f in failures)


bootstrap_mask = Exercise(
    "bootstrap_mask",
    reference=returns.bootstrap_mask,
    cases=_mask_cases,
    returns=array("mask"),
    points=1,
    equation="(0.3)",
    # A mask may be bool, int or float: its dtype says nothing about which mistake it is.
    alike=lambda case, a, b: same(a, b),
    may_ignore=["truncated"],
    mistakes=[
        Mistake(
            "masks-truncation",
            "You mask truncated steps as well. A time limit is ours, not the world's: after a cut the "
            "next state still has a value, so its mask is 1.",
            "Which of the two flags says that *nothing* can come afterwards?",
            _mask("either"),
        ),
        Mistake(
            "inverted",
            "Your mask is the wrong way round: 1 must mean that the episode goes on.",
            "What should the mask be for an ordinary step in the middle of an episode?",
            _mask(inverted=True),
        ),
        Mistake(
            "truncated-instead",
            "You used the wrong one of the two flags: it is termination that ends the task.",
            "Read again what each flag says about the state that comes next.",
            _mask("truncated"),
        ),
        Mistake(
            "truncation-wins",
            "Where both flags are set, you let the time limit win. The state is terminal whatever the "
            "clock says: the mask is 0.",
            "Make the table of all four combinations of the flags, and fill in equation (0.3).",
            _mask("terminated only"),
        ),
        Mistake(
            "needs-both",
            "Your mask is 0 only where *both* flags are set. A state is terminal whether or not a time "
            "limit comes at the same step.",
            "Make the table of all four combinations of the flags, and fill in equation (0.3).",
            # One and the same mask: what ends is both, or termination with the clock's leave.
            _mask("both"),
        ),
        Mistake(
            "compares-flags",
            "Your mask depends on whether the two flags are equal. Equation (0.3) looks at one of them.",
            "Make the table of all four combinations of the flags, and fill in equation (0.3).",
            _mask("exactly one"),
            _mask("equal"),
        ),
        Mistake(
            "flags-subtracted",
            "You subtract both flags from 1: where both are set that is −1, and a cut counts as an end. "
            "A mask is 0 or 1, and one flag decides.",
            "Make the table of all four combinations of the flags. Which numbers come out?",
            lambda terminated, truncated: (
                1.0 - np.asarray(terminated, float) - np.asarray(truncated, float)
            ),
            lambda terminated, truncated: 1 - (terminated + truncated),
            lambda terminated, truncated: 1 - terminated - truncated,
        ),
        Mistake(
            "bitwise-not",
            "`~` turns round every *bit*: right for bool arrays, but ~0 is −1 and ~1 is −2, and for "
            "floats there is no `~` at all. Flags come as integers and floats, too.",
            "Print your mask for np.array([0, 1]). What else says 'not' for each entry?",
            lambda terminated, truncated: ~terminated,
            lambda terminated, truncated: (~terminated).astype(float),
            lambda terminated, truncated: ~terminated.astype(int),
            lambda terminated, truncated: ~(terminated | truncated),
            lambda terminated, truncated: ~terminated & ~truncated,
            lambda terminated, truncated: ~(terminated & truncated),
            lambda terminated, truncated: ~truncated,
        ),
        Mistake(
            "not-elementwise",
            "`if`, `not`, `and` and `or` ask a *whole array* whether it is true, and an array of several "
            "flags has no answer. Each row has its own.",
            "What does your condition give for np.array([0, 1])? Which operations act entry by entry?",
            lambda terminated, truncated: not terminated,
            lambda terminated, truncated: 0.0 if terminated else 1.0,
            shows=_asks_an_array,
        ),
    ],
    also_correct=[
        _mask(),
        lambda terminated, truncated: np.logical_not(terminated),
        lambda terminated, truncated: np.where(terminated, 0, 1),
        lambda terminated, truncated: np.array([0.0 if d else 1.0 for d in terminated]),
        lambda terminated, truncated: np.asarray(terminated) == 0,
    ],
)

# ---------------------------------------------------------------------------- mean_squared_error


def _error_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prediction: np.ndarray, target: np.ndarray, *tags: str) -> Case:
        return Case(name, {"prediction": prediction, "target": target}, tags)

    def column(n: int) -> np.ndarray:
        return rng.normal(size=(n, 1))

    wide = "prediction of shape (B, 1)"
    return [
        case("five predictions as a column", column(5), rng.normal(size=5) + 1, wide),
        case("five predictions in a row", rng.normal(size=5), rng.normal(size=5)),
        case("a batch of 32", column(32), rng.normal(size=32) * 2, wide),
        case("one prediction as a column", column(1), rng.normal(size=1) + 3, wide),
        case("one prediction", rng.normal(size=1), rng.normal(size=1) + 3),
        case("errors that cancel", np.array([1.0, 3.0]), np.array([1.5, 2.5])),
        case("a batch without error", np.array([[0.5], [0.25]]), np.array([0.5, 0.25]), wide),
    ]


@composable
def _error(
    pairs: str = "",
    measure: str = "squares",
    reduce: str = "mean",
    factor: float = 1.0,
    root: bool = False,
) -> Callable:
    """An error with its parts exchangeable.

    pairs: "broadcast" as NumPy would, or "always"; measure: of each difference; reduce: "mean",
    "sum", "by len" (a sum over all there is, divided by B), "by B − 1", or "mean first".
    """

    def mean_squared_error(prediction, target):
        difference = {
            "": lambda: np.ravel(prediction) - target,
            "broadcast": lambda: prediction - target,
            "always": lambda: np.reshape(prediction, (-1, 1)) - target,
        }[pairs]()
        difference = difference.mean() if reduce == "mean first" else difference
        error = {
            "squares": lambda: difference**2,
            "absolute": lambda: np.abs(difference),
            "signed": lambda: difference,
            "spread": lambda: (difference - np.mean(difference)) ** 2,
        }[measure]()
        total = {
            "mean": lambda: np.mean(error),
            "sum": lambda: np.sum(error),
            "by len": lambda: np.sum(error) / len(target),
            "by B − 1": lambda: np.sum(error) / np.float64(len(target) - 1),
            "by B − 1 or 1": lambda: np.sum(error) / max(len(target) - 1, 1),
            "mean first": lambda: error,
        }[reduce]()
        return float(factor * (np.sqrt(total) if root else total))

    return mean_squared_error


mean_squared_error = Exercise(
    "mean_squared_error",
    reference=returns.mean_squared_error,
    cases=_error_cases,
    returns=number(),
    points=1,
    equation="(0.4)",
    mistakes=[
        Mistake(
            "all-pairs",
            "Every prediction is compared with every target: (B, 1) − (B,) is (B, B), and NumPy says "
            "nothing.",
            "Print the shape of the difference before you square it. Bring both to (B,) first.",
            _error(pairs="broadcast"),
            _error(pairs="always"),
            _error(pairs="broadcast", reduce="by len"),
        ),
        Mistake(
            "sum-not-mean",
            "You do not divide by B: the loss would grow with the size of the batch.",
            "Compare a batch with the same batch written twice: the error should be the same.",
            _error(reduce="sum"),
        ),
        Mistake(
            "half",
            "You put a ½ in front. Many losses have one; equation (0.4) has not.",
            "Compute the error of one prediction that is off by 2, by hand.",
            _error(factor=0.5),
        ),
        Mistake(
            "root",
            "You took the square root: that is the RMSE, another measure.",
            "Equation (0.4) stops at the mean of the squares.",
            _error(root=True),
        ),
        Mistake(
            "mean-before-square",
            "You average before you square, so errors of opposite sign cancel.",
            "Which comes first in equation (0.4): the square or the mean?",
            _error(reduce="mean first"),
        ),
        Mistake(
            "absolute-not-squared",
            "You take the absolute value of each error in place of its square: that is the mean absolute error, "
            "which weighs large errors less.",
            "Compute the error of one prediction that is off by 2, by hand.",
            _error(measure="absolute"),
        ),
        Mistake(
            "not-squared",
            "You average the errors as they are: those of opposite sign cancel, and the result may be negative.",
            "What comes out for two predictions, one too high by 1 and one too low by 1?",
            _error(measure="signed"),
        ),
        Mistake(
            "variance",
            "You measure how far the errors lie from their own mean: that is a variance. A prediction that is too "
            "high everywhere by the same amount would come out as perfect.",
            "What comes out if every prediction is off by exactly 1?",
            _error(measure="spread"),
        ),
        Mistake(
            "divides-by-b-minus-1",
            "You divide by B − 1. That is for estimating a variance when the mean is estimated too; equation (0.4) "
            "averages over all B.",
            "What comes out for a batch of one?",
            _error(reduce="by B − 1"),
            _error(reduce="by B − 1 or 1"),
        ),
        Mistake(
            "negative",
            "The sign is turned round: an error is to be made small, so it cannot be negative.",
            "What does (prediction − target)² give, and what stands before it in your code?",
            _error(factor=-1.0),
        ),
    ],
    also_correct=[
        _error(),
        lambda prediction, target: np.mean((prediction.reshape(target.shape) - target) ** 2),
        lambda prediction, target: float(np.square(prediction.ravel() - target).sum() / len(target)),
        lambda prediction, target: np.var(d := prediction.ravel() - target) + np.mean(d) ** 2,
        lambda prediction, target: sum(
            (float(p) - y) ** 2 for p, y in zip(prediction.ravel(), target, strict=True)
        ) / len(target),
    ],
)  # fmt: skip

# ----------------------------------------------------------------------------------- run_episode


def _episode_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, env, *tags: str) -> Case:
        policy = Policy(random_policy(rng, *env.R.shape))
        seed = int(rng.integers(2**31))
        return Case(name, {"env": env, "policy": policy, "rng": Rng(seed)}, tags)

    both = random_env(rng, limit=1)
    both.ends[:] = True
    at_once = random_env(rng)
    at_once.ends[:] = True
    corridor = random_env(rng, 12)  # whatever is done, the next state is the next number
    corridor.P[:], corridor.start[:] = np.eye(12, k=1)[:, None], np.eye(12)[0]
    corridor.P[-1, :, 0] = corridor.ends[-1] = 1
    return [
        case(
            "an episode that ends in a terminal state", random_env(rng, ends=0.25), "terminal end"
        ),
        case(
            "another that ends in a terminal state", random_env(rng, 7, 2, ends=0.2), "terminal end"
        ),
        case("an episode cut off after 6 steps", random_env(rng, limit=6), "time limit"),
        case("an episode of 150 steps", random_env(rng, 8, 4, limit=150), "time limit"),
        case("twelve steps to a terminal state", corridor, "terminal end"),
        case("an episode of one step", at_once, "terminal end"),
        case("one step, both flags set at its end", both, "both flags"),
    ]


FLAGS: dict[str, Callable] = {
    "terminated": lambda d, c: d,
    "truncated": lambda d, c: c,
    "either": lambda d, c: d or c,
    "both": lambda d, c: d and c,
    "never": lambda d, c: False,
    "always": lambda d, c: True,
    "not terminated": lambda d, c: not d,
    "not truncated": lambda d, c: not c,
    "terminated only": lambda d, c: d and not c,
}


MOST_STEPS = 500  # more than any right loop makes


@composable
def _episode(
    kept: str = "all",
    moves: str = "to the next state",
    ends_on: str = "either",
    flag: str = "terminated",
    asks: str = "every step",
    resets: str = "once",
    rewards_as: str = "list",
) -> Callable:
    """The loop with its parts exchangeable, so that each mistake differs in one of them."""

    def run_episode(env, policy, rng):
        state, _ = env.reset()
        before, action, rewards, steps = state, None, [], 0
        while True:
            if asks == "every step" or (asks == "once" and action is None):
                action = policy(before if moves == "late" else state, rng)
            next_state, reward, *flags, _ = env.step(0 if action is None else action)
            steps += 1
            done = FLAGS[ends_on](*flags)
            if (kept == "all" or not (kept == "all but the last" and done)) and not (
                kept == "all but the first" and steps == 1
            ):
                rewards.append(reward)
            if moves != "never":
                before, state = state, next_state
            if done:
                return _collected(rewards_as, rewards), FLAGS[flag](*flags)
            if resets == "every step":
                state, _ = env.reset()
            if steps > MOST_STEPS:
                raise Misuse("never-ends", "an environment would say so much later")

    return run_episode


def _collected(how: str, rewards: list) -> np.ndarray | float:
    array = np.array(rewards, dtype=float)
    return {
        "list": lambda: array,
        "total": lambda: float(array.sum()),
        "mean": lambda: float(array.mean()),
        "last": lambda: float(array[-1]),
        "sums": lambda: np.cumsum(array),
        "reversed": lambda: array[::-1].copy(),
    }[how]()


def counted(note: str, few: Callable[[int, int], bool]) -> Callable[..., bool]:
    """What shows a mistake by what was done: `few(times, steps)` in every case that made steps."""

    def shows(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
        made = [o.notes for o in outcomes if o.notes.get("steps", 0)]
        some = any(notes["steps"] > 1 for notes in made)
        return some and all(few(notes.get(note, 0), notes["steps"]) for notes in made)

    return shows


never_asked = counted("choices", lambda times, steps: times == 0)


def _episode_by_generator(env, policy, rng):
    def steps():
        state, done = env.reset()[0], False
        while not done:
            state, reward, terminated, truncated, _ = env.step(policy(state, rng))
            done = terminated or truncated
            yield reward, terminated

    rewards, terminated = zip(*steps(), strict=True)
    return np.array(rewards, dtype=float), np.bool_(terminated[-1])


run_episode = Exercise(
    "run_episode",
    reference=returns.run_episode,
    cases=_episode_cases,
    returns=several(rewards=array(), terminated=boolean()),
    points=2,
    equation="(0.5)",
    notes=["resets", "steps", "choices", "rng"],
    mistakes=[
        Mistake(
            "policy-not-asked",
            "`policy` is never asked: your actions come from elsewhere. The episode is to be the policy's, "
            "choice by choice.",
            "Which argument of your function is never used? What does it need, to choose?",
            _episode(asks="never"),
            shows=never_asked,
        ),
        Mistake(
            "policy-asked-once",
            "The policy is asked once and its first action repeated. It chooses anew in every state.",
            "Which lines belong inside the loop, and which before it?",
            _episode(asks="once"),
            shows=counted("choices", lambda times, steps: times == 1),
        ),
        Mistake(
            "resets-every-step",
            "Your loop calls `reset` again and again: that throws the episode away and begins another one. "
            "It is called once, before the loop.",
            "Which lines belong inside the loop, and which before it?",
            _episode(resets="every step"),
            shows=counted("resets", lambda times, steps: times >= steps > 1 or steps == 1),
        ),
        Mistake(
            "waits-for-terminated",
            "Your loop goes on until `terminated`, but a time limit ends an episode too: you stepped "
            "on after the end.",
            "What does your loop do when only the clock has run out?",
            _episode(ends_on="terminated"),
        ),
        Mistake(
            "waits-for-truncated",
            "Your loop goes on until `truncated`, but a terminal state ends an episode too: you stepped "
            "on after the end.",
            "What does your loop do when the world has come to an end before the clock?",
            _episode(ends_on="truncated"),
        ),
        Mistake(
            "waits-for-both",
            "Your loop goes on until *both* flags are true. Either of them ends the episode: you stepped on "
            "after the end.",
            "Negate your loop's condition on paper: when does it stop?",
            _episode(ends_on="both"),
        ),
        Mistake(
            "stale-state",
            "The policy always sees the first state: what `step` returns is the new state, and you do "
            "not use it.",
            "Print the state at the top of your loop for three rounds. Does it move?",
            _episode(moves="never"),
        ),
        Mistake(
            "one-step-late",
            "The policy sees the state *before* the one that it is in: your state lags a step behind.",
            "Print what the policy is given, beside what the last `step` returned.",
            _episode(moves="late"),
        ),
        Mistake(
            "last-reward-lost",
            "The last reward is missing: the step that ends the episode pays as well.",
            "In which order do you test for the end and keep the reward?",
            _episode(kept="all but the last"),
        ),
        Mistake(
            "first-reward-lost",
            "The first reward is missing: the first step pays as well.",
            "Which rewards are in your list after one step?",
            _episode(kept="all but the first"),
        ),
        Mistake(
            "done-not-terminated",
            "The second result is true after a time limit too. The caller must know *how* the episode "
            "ended, to bootstrap or not (equation (0.3)).",
            "Two flags end the loop; only one of them is asked for.",
            _episode(flag="either"),
            _episode(flag="always"),
        ),
        Mistake(
            "truncated-for-terminated",
            "The second result is `truncated`, the other flag: it is true after a time limit, and false after a "
            "terminal state.",
            "Which of the two says that nothing can come afterwards?",
            _episode(flag="truncated"),
        ),
        Mistake(
            "flag-inverted",
            "The second result is the wrong way round: true means that the episode ended in a terminal state.",
            "What do you return after a time limit, and what after a terminal state?",
            _episode(flag="not terminated"),
        ),
        Mistake(
            "never-terminated",
            "The second result is false however the episode ended. It tells the caller whether the last state "
            "was terminal.",
            "What did the last `step` say, and where do you keep it?",
            _episode(flag="never"),
        ),
        Mistake(
            "not-truncated",
            "The second result is true only where the clock did *not* run out. Where both flags are set, the "
            "state is terminal all the same.",
            "Make the table of all combinations of the flags that can end an episode.",
            _episode(flag="terminated only"),
            _episode(flag="not truncated"),
        ),
        Mistake(
            "total-only",
            "You return the sum of the rewards. Keep every reward, in order: later lessons weigh each "
            "of them differently.",
            "Collect the rewards in a list and turn it into an array at the end.",
            _episode(rewards_as="total"),
        ),
        Mistake(
            "running-sums",
            "Your entries are the sums so far. Entry t is the reward of step t alone.",
            "What does your result hold after two steps that pay 1 each?",
            _episode(rewards_as="sums"),
        ),
        Mistake(
            "reversed",
            "Your rewards come in the reverse order. The first entry belongs to the first step.",
            "At which end of your list do you put a new reward?",
            _episode(rewards_as="reversed"),
        ),
        Mistake(
            "one-number",
            "You return one number in place of the rewards. Keep every reward, in order.",
            "What happens to a reward when the next one comes in?",
            _episode(rewards_as="last"),
            _episode(rewards_as="mean"),
        ),
    ],
    also_correct=[_episode(), _episode_by_generator],
)

LESSON = Lesson(
    "00",
    "Start here",
    [discounted_return, constant_return, bootstrap_mask, mean_squared_error, run_episode],
)
