"""Lesson 01: Markov decision processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from rlcourse.checker.comparing import difference
from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    array,
    composable,
    number,
    several,
)
from rlcourse.checker.harness import Case
from rlcourse.checker.material import random_distribution, random_mdp, random_policy
from rlcourse.checker.probes import Rng
from rlcourse.tabular import mdp, returns

from .lesson_00 import reward_cases
from .targets import AVERAGED_TWICE, weighed, weights

# -------------------------------------------------------------------------------- returns_to_go


def _discounts(rewards, gamma) -> np.ndarray:
    """The weights γ^t, (T,)."""
    return np.power(float(gamma), np.arange(len(rewards)))


def _weighted_from_start(rewards, gamma):
    return np.cumsum((_discounts(rewards, gamma) * rewards)[::-1])[::-1]


def _divided_by_powers(rewards, gamma):
    with np.errstate(all="ignore"):
        return _weighted_from_start(rewards, gamma) / _discounts(rewards, gamma)


def _shows_division(cases, outcomes) -> bool:
    """Whether all is right as long as γ^t is a number to divide by, and no number where it is not."""

    def divided(case, outcome) -> bool:
        right, value = returns.returns_to_go(**case.inputs), outcome.value
        n = np.count_nonzero(_discounts(**case.inputs) > 1e-290)
        if outcome.failure is not None:
            return n < len(right) and outcome.failure.type_name == "ZeroDivisionError"
        return (
            isinstance(value, np.ndarray)
            and value.shape == right.shape
            and np.allclose(value[:n], right[:n], rtol=1e-9)
            and (n == len(right) or not np.isfinite(value[n:]).all())
        )

    return all(map(divided, cases, outcomes))


@composable
def _to_go(
    of_reward: int = 0,
    of_rest: int = 1,
    forwards: bool = False,
    begins: int = 0,
    own: str = "counted",
    spread: bool = False,
    turned: bool = False,
    divided_by: str = "",
    from_start: bool = False,
) -> Callable:
    """Returns by the recursion, with its parts exchangeable.

    of_reward, of_rest: how many factors γ each of the two terms has; begins: at how many steps
    from the end; own: whether a step's own reward is "counted", "taken off", or skipped for the
    "next" return.
    """

    def returns_to_go(rewards, gamma):
        n, g = len(rewards), 0.0
        result = np.zeros(n)
        steps = range(n - begins)
        for t in steps if forwards else reversed(steps):
            g = float(gamma) ** of_reward * rewards[t] + float(gamma) ** of_rest * g
            result[t] = g
        if own == "taken off":
            result = result - rewards
        if own == "next":
            result = np.append(result, 0.0)[1:]
        if spread and n:
            result = np.full(n, result[0])
        if divided_by:
            result = result / (n if divided_by == "T" else n - np.arange(n))
        if from_start:
            result = result * _discounts(rewards, gamma)
        return result[::-1].copy() if turned else result

    return returns_to_go


def _double_sum(rewards, gamma):
    T = len(rewards)
    return np.array(
        [sum(gamma ** (k - t) * rewards[k] for k in range(t, T)) for t in range(T)], float
    )


def _triangular(rewards, gamma):
    t = np.arange(len(rewards))
    exponent = t[None, :] - t[:, None]
    return np.where(exponent >= 0, float(gamma) ** np.maximum(exponent, 0), 0.0) @ rewards


def _reversed_list(rewards, gamma):
    result = []
    for reward in list(rewards)[::-1]:
        result.append(reward + gamma * (result[-1] if result else 0.0))
    return np.array(result[::-1], dtype=np.float64)


returns_to_go = Exercise(
    "returns_to_go",
    reference=returns.returns_to_go,
    cases=reward_cases,
    returns=array(),
    points=1,
    equation="(1.3)",
    mistakes=[
        Mistake(
            "one-return-for-all",
            "Every step gets the return of the whole episode. Each step has its own return: only what comes "
            "after it counts.",
            "What is the return of the last step? It cannot contain the rewards before it.",
            _to_go(spread=True),
        ),
        Mistake(
            "forward",
            "You go forwards, and so you sum the past. The return of a step is about what comes after it.",
            "Which of the returns can you write down without knowing any other? Start there.",
            _to_go(forwards=True),
        ),
        Mistake(
            "discounted-from-start",
            "Your weights count from the start of the episode: a factor γ^t is left in. Discounting starts anew "
            "at each t, where the first reward has the weight 1.",
            "Compare G₁ by your code with r₁ + γ r₂ + …",
            _weighted_from_start,
            _to_go(from_start=True),
        ),
        Mistake(
            "divides-by-powers",
            "You sum with weights γ^k and divide by γ^t. Right on paper, but 0/0 in numbers: γ = 0, or a long "
            "episode, makes γ^t zero.",
            "Is there a way from G_{t+1} to G_t that never divides?",
            _divided_by_powers,
            lambda rewards, gamma: np.nan_to_num(_divided_by_powers(rewards, gamma)),
            shows=_shows_division,
        ),
        Mistake(
            "own-reward-missing",
            "The reward of the step itself is missing: the reward for leaving s_t belongs to G_t.",
            "What should the last entry be?",
            _to_go(own="taken off"),
            _to_go(own="next"),
        ),
        Mistake(
            "undiscounted",
            "γ is never used: your entries are plain sums of what is left. In equation (1.3) a reward k steps "
            "later counts γ^k of itself.",
            "Try rewards [1, 1] and γ = 0.5: what should the first entry be?",
            _to_go(of_rest=0),
        ),
        Mistake(
            "first-discounted",
            "Each of your returns discounts its own reward too: what you get is γ G_t. The first of its rewards "
            "comes now.",
            "What should the last entry be?",
            _to_go(of_reward=1),
        ),
        Mistake(
            "gamma-misplaced",
            "γ stands before the wrong term: you discount the reward that comes now, and not the return that "
            "begins a step later.",
            "Which of the two terms of the recursion lies one step ahead?",
            _to_go(of_reward=1, of_rest=0),
        ),
        Mistake(
            "reversed",
            "Your entries stand in the reverse order: the first one is the return of the *last* step.",
            "In which order did you compute them, and in which do you return them?",
            _to_go(turned=True),
        ),
        Mistake(
            "mean-not-sum",
            "You divide by a number of steps. A return is a sum, not an average.",
            "Look for `mean` or a division, and at equation (1.3) for one.",
            _to_go(divided_by="T"),
            _to_go(divided_by="what is left"),
        ),
        Mistake(
            "last-reward-lost",
            "The last reward enters nowhere: your loop begins one step too early.",
            "Which t is the first that your loop visits, and what is the return there?",
            _to_go(begins=1),
        ),
    ],
    also_correct=[_to_go(), _double_sum, _triangular, _reversed_list],
)

# --------------------------------------------------------------------------- coin_stopped_return


def _coin_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, reward, gamma, *tags: str) -> Case:
        return Case(name, {"reward": reward, "gamma": gamma}, tags)

    def paid() -> float:
        return float(rng.uniform(0.5, 3))

    return [
        case("a reward, γ = 0.9", paid(), 0.9),
        case("another, γ = 0.3", paid(), 0.3),
        case("a third", paid(), float(rng.uniform(0.4, 0.8))),
        case("a cost, γ = 0.9", -paid(), 0.9, "a cost"),
        case("a cost, γ = 0.6", -paid(), 0.6, "a cost"),
        case("γ = 0: one step", paid(), 0.0, "γ = 0"),
        case("no reward at all", 0.0, 0.8),
        case("a whole-number reward", 2, 0.75),
        case("whole numbers, γ = 0", -3, 0, "γ = 0", "a cost"),
        case("γ = 0.999", paid(), 0.999, "γ near 1"),
    ]


@composable
def _stopped(
    mean: str = "c E[L]",
    on: str = "γ",
    ended: str = "Python",
    about: str = "its mean",
    root: bool = True,
    scaled: str = "c²",
    signed: bool = False,
    exchanged: bool = False,
) -> Callable:
    """Mean and spread with their parts exchangeable.

    mean: "c E[L]", or of so many steps: "failures" before the end, "more" by one; on: the probability of
    going on, "γ" or "1 − γ", there in the "mean" or the "spread" only; ended: what divides by 0, "Python"
    or "NumPy"; about: the variance is taken about "its mean", "zero", or with "γ²" or "1" in the place of γ;
    scaled: what the variance of L is multiplied with, "c²", "c" or "1".
    """

    def coin_stopped_return(reward, gamma):
        number = np.float64 if ended == "NumPy" else float
        go_on = {"mean": number(gamma), "spread": number(gamma)}
        for which in go_on:
            if on in ("1 − γ", which):
                go_on[which] = 1 - go_on[which]
        p = go_on["mean"]
        steps = {"c E[L]": 1, "failures": p, "more": 2 - p, "1": 1}[mean] / (1 - p)
        p = go_on["spread"]
        above = {"its mean": p, "zero": 1 + p, "γ²": p**2, "1": 1.0, "nothing": 0.0}[about]
        factor = {"c²": reward**2, "c": reward, "1": 1}[scaled]
        spread = factor * above / (1 - p) ** 2
        if root:
            spread = float(np.sqrt(spread) if ended == "NumPy" else math.sqrt(spread))
        spread = -spread if signed and reward < 0 else spread
        paid = float((1 if mean == "1" else reward) * steps)
        return (float(spread), paid) if exchanged else (paid, float(spread))

    return coin_stopped_return


def _through_the_raw_moment(reward, gamma):
    mean_length = 1 / (1 - gamma)
    mean_square = (1 + 2 * gamma * mean_length) / (1 - gamma)
    return reward * mean_length, np.abs(reward) * np.sqrt(mean_square - mean_length**2)


coin_stopped_return = Exercise(
    "coin_stopped_return",
    reference=returns.coin_stopped_return,
    cases=_coin_cases,
    returns=several(mean=number(), std=number()),
    points=2,
    equation="(1.4)",
    mistakes=[
        Mistake(
            "failures-counted",
            "You count only the tosses that let the episode go on. The first step is taken before any coin: L ≥ 1.",
            "What should the mean be for γ = 0, when the episode ends after its first step?",
            _stopped(mean="failures"),
        ),
        Mistake(
            "one-step-too-many",
            "Your mean has one step too many. The first step is the only one that is sure to be taken.",
            "What should the mean be for γ = 0, when the episode ends after its first step?",
            _stopped(mean="more"),
        ),
        Mistake(
            "other-probability",
            "γ and 1 − γ have changed places. γ is the probability of going *on*.",
            "Is an episode with γ = 0.99 long or short? And by your formula?",
            _stopped(on="1 − γ"),
            _stopped(on="1 − γ", ended="NumPy"),
            _stopped(on="mean"),
            _stopped(on="mean", ended="NumPy"),
            _stopped(on="spread"),
            _stopped(on="spread", ended="NumPy"),
        ),
        Mistake(
            "variance",
            "Your second result is the variance; a standard deviation was asked for. Take the root.",
            "In which unit is the reward measured, and in which your spread?",
            _stopped(root=False),
        ),
        Mistake(
            "second-moment",
            "Your spread is measured from zero: it comes of the mean of the *square*. Subtract the square of the mean "
            "first.",
            "What should the spread be for γ = 0, when every episode has one step?",
            _stopped(about="zero"),
        ),
        Mistake(
            "negative-spread",
            "For a cost your spread is negative. A spread is never negative: L varies as much whether a step pays c "
            "or −c.",
            "What is the root of c², for c = −2?",
            _stopped(signed=True),
        ),
        Mistake(
            "no-root-of-gamma",
            "Your spread has γ where its root belongs. In the variance of L there is one factor γ above the line.",
            "Compute the variance of L for γ = ½ from E[L] and E[L²], and take its root.",
            _stopped(about="γ²"),
        ),
        Mistake(
            "spread-is-the-mean",
            "Your spread is as large as the mean: that is so for a time that is measured continuously, not for a count "
            "of steps.",
            "What should the spread be for γ = 0, when every episode has one step?",
            _stopped(about="1"),
            _stopped(about="1", signed=True),
        ),
        Mistake(
            "no-spread",
            "You say that there is no spread at all. The number of steps is random, and the return with it; only the "
            "*discounted* return of a constant reward is the same every time.",
            "What is the return if the first coin ends the episode? And what if only the tenth does?",
            _stopped(about="nothing"),
        ),
        Mistake(
            "reward-not-squared",
            "The spread does not grow with the reward as it should: the variance of cL is c² times that of L.",
            "Pay twice as much at each step. How much wider are the returns spread?",
            _stopped(scaled="c"),
            _stopped(scaled="c", ended="NumPy"),
            lambda reward, gamma: (reward / (1 - gamma), math.sqrt(abs(reward) * gamma) / (1 - gamma)),
        ),
        Mistake(
            "reward-missing",
            "What a step pays does not enter as it should: you speak of the number of steps L. The return is cL.",
            "Pay twice as much at each step. What becomes of the mean, and of the spread?",
            _stopped(mean="1", scaled="1"),
            _stopped(mean="1"),
            _stopped(scaled="1"),
        ),
        Mistake(
            "results-exchanged",
            "Your two results stand in the wrong order: the mean comes first, then the standard deviation.",
            "What does the docstring say is returned?",
            _stopped(exchanged=True),
        ),
    ],
    also_correct=[
        _stopped(),
        _through_the_raw_moment,
        lambda reward, gamma: (
            reward / (1 - gamma),
            math.hypot(reward) * math.sqrt((1 + gamma) / (1 - gamma) ** 2 - 1 / (1 - gamma) ** 2),
        ),
    ],
)  # fmt: skip

# --------------------------------------------------------------------------------- policy_chain


def _policy_cases(rng: np.random.Generator) -> list[Case]:
    """Cases over many shapes: S = A, S = 1, A = 1, one-hot and stochastic policies."""

    def case(name, n_states, n_actions, *tags, deterministic=False, branching=None) -> Case:
        P, R = random_mdp(rng, n_states, n_actions, branching)
        if "whole-number rewards" in tags:
            R = rng.integers(-9, 10, size=R.shape)
        pi = random_policy(rng, n_states, n_actions, deterministic)
        return Case(name, {"P": P, "R": R, "pi": pi}, tags)

    return [
        case("four states, three actions", 4, 3),
        case("as many states as actions", 4, 4, "S = A"),
        case("two states, five actions", 2, 5),
        case("a deterministic policy", 5, 3, "deterministic policy", deterministic=True),
        case("a deterministic world", 5, 2, branching=1),
        case("both deterministic", 4, 4, "S = A", "deterministic policy", deterministic=True, branching=1),
        case("one state", 1, 3, "S = 1"),
        case("one action", 4, 1, "A = 1"),
        case("a larger one", 12, 4, branching=3),
        case("whole-number rewards", 4, 3, "whole-number rewards"),
    ]  # fmt: skip


@composable
def _mixed(kind: str = "pi", of: str = "s", transposed: bool = False) -> Callable:
    """P^π with its parts exchangeable; of: whose row of the weights it is."""

    def policy_transition(P, pi):
        w = weights(kind, pi)
        mixed = np.einsum("sa,sat->st" if of == "s" else "ta,sat->st", w, P)
        return mixed.T.copy() if transposed else mixed

    return policy_transition


# What is no mean with weights: name -> function(P, pi), and function(R, pi).
MOVES: dict[str, Callable] = {
    "largest": lambda P, pi: P.max(axis=1),
    "largest share": lambda P, pi: (pi[:, :, None] * P).max(axis=1),
    "all pairs": lambda P, pi: pi @ P,
    "all pairs, turned": lambda P, pi: np.einsum("ua,sat->ust", pi, P),
    "not lined up": lambda P, pi: (pi * P).sum(axis=1),
    "not lined up, by states": lambda P, pi: (pi[:, None] * P).sum(axis=1),
    "not lined up, by actions": lambda P, pi: (pi[None] * P).sum(axis=0),
    "not summed": lambda P, pi: pi[:, :, None] * P,
    "over s": lambda P, pi: (pi[:, :, None] * P).sum(axis=0),
    "over s'": lambda P, pi: (pi[:, :, None] * P).sum(axis=2),
}
PAYS: dict[str, Callable] = {
    "largest": lambda R, pi: R.max(axis=1),
    "largest, as a float": lambda R, pi: R.max(axis=1) * 1.0,
    "sum, as given": lambda R, pi: R.sum(axis=1),
    "largest share": lambda R, pi: (pi * R).max(axis=1),
    "mean of all": lambda R, pi: np.float64((pi * R).mean()),
    "not summed": lambda R, pi: pi * R,
    "all pairs": lambda R, pi: R @ pi.T,
    "all pairs, turned": lambda R, pi: pi @ R.T,
}


@composable
def _chain(
    moves: str = "pi",
    of: str = "s",
    transposed: bool = False,
    pays: str = "pi",
    axis: int | None = 1,
    exchanged: bool = False,
) -> Callable:
    """P^π and r^π with their parts exchangeable; moves, pays: weights, or a name in MOVES and in PAYS."""

    def policy_chain(P, R, pi):
        P_pi = MOVES[moves](P, pi) if moves in MOVES else _mixed(moves, of)(P, pi)
        r_pi = PAYS[pays](R, pi) if pays in PAYS else weighed(pays, axis)(R, pi)
        P_pi = P_pi.T.copy() if transposed else P_pi
        return (r_pi, P_pi) if exchanged else (P_pi, r_pi)

    return policy_chain


def _in_either(moves: Sequence[str], pays: Sequence[str]) -> list[Callable]:
    """One mistake in P^π, in r^π, or in both of them."""
    return [
        *(_chain(moves=m) for m in moves),
        *(_chain(pays=p) for p in pays),
        *(_chain(moves=m, pays=p) for m in moves for p in pays),
    ]


def _chain_by_loop(P, R, pi):
    n_states, n_actions = pi.shape
    P_pi, r_pi = np.zeros((n_states, n_states)), np.zeros(n_states)
    for s in range(n_states):
        for a in range(n_actions):
            P_pi[s] += pi[s, a] * P[s, a]
            r_pi[s] += pi[s, a] * R[s, a]
    return P_pi, r_pi


policy_chain = Exercise(
    "policy_chain",
    reference=mdp.policy_chain,
    cases=_policy_cases,
    returns=several(P_pi=array(), r_pi=array()),
    points=2,
    equation="(1.5)",
    parts=["policy_transition", "policy_reward"],
    mistakes=[
        Mistake(
            "mean-over-actions",
            "In P^π you average over the actions as if all were equally likely. The policy decides how often each one "
            "is taken.",
            "Where does `pi` enter equation (1.5)?",
            _chain(moves="equal"),
            _chain(moves="equal", pays="equal"),
        ),
        Mistake(
            "unweighted-mean",
            "In r^π you average over the actions without the policy. Weigh each reward by how often π takes the "
            "action.",
            "Where does `pi` enter your rewards?",
            _chain(pays="equal"),
        ),
        Mistake(
            "sum-over-actions",
            "In P^π you add up the actions without weights: your rows sum to A. The rows of a Markov chain sum to 1.",
            "Print the sums of your rows. What is missing in front of p(s′|s, a)?",
            _chain(moves="none"),
            _chain(moves="none", pays="none"),
            _chain(moves="none", pays="sum, as given"),
        ),
        Mistake(
            "unweighted-sum",
            "In r^π you add up the rewards of all actions. Only one action is taken at a time: weigh each by π(a|s).",
            "What should come out where the policy always takes the same action?",
            _chain(pays="none"),
            _chain(pays="sum, as given"),
        ),
        Mistake(
            "transposed",
            "Rows and columns of P^π are exchanged. The first index says where from, the second where to.",
            "Which axis of your result sums to 1?",
            _chain(transposed=True),
        ),
        Mistake(
            "next-state-policy",
            "In P^π you weigh with the policy of the state that is reached. The action is chosen in s, before the move.",
            "Whose row of `pi` decides about the step from s?",
            _chain(of="s'"),
        ),
        Mistake(
            "likeliest-action",
            "You follow only the likeliest action. Every action counts, by its probability.",
            "Try a state with probabilities 0.6 and 0.4.",
            *_in_either(["likeliest"], ["likeliest"]),
            lambda P, R, pi: (
                mdp.policy_transition(P, pi),
                R[np.arange(len(R)), pi.argmax(axis=1)],
            ),
        ),
        Mistake(
            "best-action",
            "In r^π you take the largest reward. That is what a greedy policy would get, not π.",
            "What should come out where the policy never takes the best action?",
            _chain(pays="largest"),
            _chain(pays="largest, as a float"),
        ),
        Mistake(
            "sum-over-states",
            "You sum over the states. Both sums in equation (1.5) run over the actions.",
            "Which axis of `P` and of `R` are the actions? Print the shapes of your results.",
            _chain(axis=0),
            *(
                _chain(moves=moves, axis=axis)
                for moves in ("over s", "over s'")
                for axis in (1, 0)
            ),
        ),
        Mistake(
            "averaged-twice",
            AVERAGED_TWICE,
            "Print the sums of your rows. And what should a reward be if all actions are paid the same?",
            *_in_either(["pi, averaged"], ["pi, averaged"]),
        ),
        Mistake(
            "first-action",
            "You follow action 0 in every state. Every action counts, by its probability under π.",
            "Where does `pi` enter equation (1.5)?",
            *_in_either(["first"], ["first"]),
        ),
        Mistake(
            "largest",
            "You take the largest of the actions' probabilities for each s′. Equation (1.5) adds them up, weighed "
            "by π.",
            "Print the sums of your rows. What should they be?",
            _chain(moves="largest"),
            _chain(moves="largest share"),
        ),
        Mistake(
            "largest-share",
            "You take the largest of the products π(a|s) r(s, a). Equation (1.5) adds them up.",
            "What should come out if all actions are paid the same?",
            _chain(pays="largest share"),
        ),
        Mistake(
            "all-pairs",
            "Every row of π meets every state: you get an index too many. The row π(·|s) belongs to state s alone.",
            "How often does the index s occur in equation (1.5), and how often in your product?",
            *_in_either(["all pairs", "all pairs, turned"], ["all pairs", "all pairs, turned"]),
        ),
        Mistake(
            "not-lined-up",
            "`pi * P` lines up the *last* axes: the actions of π with the next states of P. They have to meet on the "
            "actions.",
            "Print both shapes. Where does π need a further axis, of length 1?",
            _chain(moves="not lined up"),
            _chain(moves="not lined up, by states"),
            _chain(moves="not lined up, by actions"),
        ),
        Mistake(
            "not-summed",
            "You weigh every action, but do not add them up: there is still one entry for each action.",
            "Over which index do the sums in equation (1.5) run?",
            *_in_either(["not summed"], ["not summed"]),
        ),
        Mistake(
            "one-number",
            "Of the rewards you sum over everything, and get a single number. One is asked for each state.",
            "Over which index does the sum in equation (1.5) run? Which one stays?",
            _chain(axis=None),
            _chain(pays="mean of all"),
        ),
        Mistake(
            "results-exchanged",
            "Your two results stand in the wrong order: the matrix comes first, then the rewards.",
            "What does the docstring say is returned?",
            _chain(exchanged=True),
        ),
    ],
    also_correct=[
        _chain(),
        _chain_by_loop,
        lambda P, R, pi: ((pi[:, :, None] * P).sum(axis=1), np.average(R, axis=1, weights=pi)),
        lambda P, R, pi: ((pi[:, None, :] @ P)[:, 0], np.diag(R @ pi.T).copy()),
        lambda P, R, pi: (np.stack([pi[s] @ P[s] for s in range(len(P))]), np.einsum("sa,sa->s", R, pi)),
        lambda P, R, pi: (
            np.einsum("sa,sat->st", pi, P),
            np.array([sum(p * r for p, r in zip(*rows, strict=True)) for rows in zip(pi, R, strict=True)]),
        ),
    ],
)  # fmt: skip

# -------------------------------------------------------------------- occupancy, expected return


def _chain_cases(rng: np.random.Generator, make: Callable) -> list[Case]:
    """MDPs with a policy, a start and γ < 1."""

    def case(
        name, n_states, n_actions, gamma, *tags, start=None, branching=None, deterministic=False
    ):
        P, R = random_mdp(rng, n_states, n_actions, branching)
        pi = random_policy(rng, n_states, n_actions, deterministic)
        start = random_distribution(rng, n_states) if start is None else np.eye(n_states)[start]
        return Case(name, make(P, R, pi, start, gamma), tags)

    return [
        case("four states, γ = 0.9", 4, 3, 0.9),
        case("start in one state", 5, 2, 0.8, start=3),
        case("as many states as actions", 3, 3, 0.7, "S = A"),
        case("γ = 0", 4, 2, 0.0, "γ = 0"),
        case("γ = 0.99", 6, 2, 0.99, "γ near 1"),
        case("one state", 1, 2, 0.5, "S = 1"),
        case(
            "a deterministic world and policy", 6, 2, 0.9, start=0, branching=1, deterministic=True
        ),
        case("a small γ", 4, 2, 0.3),
    ]


def _occupancy_cases(rng: np.random.Generator) -> list[Case]:
    def make(P, R, pi, start, gamma):
        return {"P_pi": mdp.policy_transition(P, pi), "start": start, "gamma": gamma}

    unreachable = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    inputs = {"P_pi": unreachable, "start": np.array([1.0, 0.0, 0.0]), "gamma": 0.85}
    ring = {"P_pi": np.roll(np.eye(5), 1, axis=1), "start": np.eye(5)[2], "gamma": 0.99}
    return [
        *_chain_cases(rng, make),
        Case("a state that cannot be reached", inputs),
        Case(
            "round and round a ring, γ = 0.99", ring, ("γ near 1",)
        ),  # never forgets where it began
    ]


def _another_start(kind: str, start: np.ndarray) -> np.ndarray:
    n = len(start)
    return {
        "start": lambda: start,
        "uniform": lambda: np.full(n, 1 / n),
        "first": lambda: np.eye(n)[0],
        "ones": lambda: np.ones(n),
    }[kind]()


@composable
def _occupancy(
    sign: int = -1,
    transposed: bool = True,
    factor: str = "1 − γ",
    start_from: str = "start",
    identity: str = "eye",
    moved: bool = False,
) -> Callable:
    """An occupancy by a linear solve, with its parts exchangeable.

    factor: before the start; identity: "eye", or "ones" everywhere; moved: a step counted too late.
    """

    def discounted_occupancy(P_pi, start, gamma):
        n = len(start)
        matrix = P_pi.T if transposed else P_pi
        begin = _another_start(start_from, start)
        scale = {"1 − γ": 1 - gamma, "1": 1.0, "γ": gamma, "1/(1 − γ)": 1 / (1 - gamma)}[factor]
        left = (np.eye(n) if identity == "eye" else np.ones((n, n))) + sign * gamma * matrix
        return np.linalg.solve(left, scale * (begin @ P_pi if moved else begin))

    return discounted_occupancy


def _cut_short(n_terms: int) -> Callable:
    """The series, stopped after so many terms whatever γ is."""

    def discounted_occupancy(P_pi, start, gamma):
        d, p = np.zeros(len(start)), np.array(start, float)
        for t in range(n_terms):
            d, p = d + (1 - gamma) * float(gamma) ** t * p, p @ P_pi
        return d

    return discounted_occupancy


def _series(P_pi, start, gamma, first=1.0):
    d, p, weight = np.zeros(len(start)), np.array(start, float), 1.0 - gamma
    if not first:
        p, weight = p @ P_pi, weight * gamma
    while weight > 1e-14:
        d, p, weight = d + weight * p, p @ P_pi, weight * gamma
    return d


def _fixed_point(P_pi, start, gamma):
    d = np.array(start, dtype=float)
    while True:
        new = (1 - gamma) * start + gamma * P_pi.T @ d
        if np.abs(new - d).max() < 1e-10:
            return new
        d = new


def _stationary(P_pi, start, gamma):
    p = np.full(len(start), 1 / len(start))
    for _ in range(2000):
        p = 0.5 * p + 0.5 * p @ P_pi
    return p


def _shows_stationary(cases, outcomes) -> bool:
    """Whether one more step changes nothing, wherever there is but one such distribution."""
    return all(
        isinstance(d := outcome.value, np.ndarray)
        and d.shape == case.inputs["start"].shape
        and np.allclose(d @ case.inputs["P_pi"], d, atol=1e-6)
        and np.isclose(d.sum(), 1)
        for case, outcome in zip(cases, outcomes, strict=False)
        if case.inputs["P_pi"].min() > 0
    )


def _shows_no_gamma(cases, outcomes) -> bool:
    """Whether the matrix was singular: an exception, or numbers that are far too large, wherever γ < 1 counts."""

    def singular(outcome) -> bool:
        if outcome.failure is not None:
            return outcome.failure.type_name == "LinAlgError"
        d = outcome.value
        return isinstance(d, np.ndarray) and not (np.abs(d).max(initial=0.0) < 1e6)

    return len(outcomes) == len(cases) and all(map(singular, outcomes))


discounted_occupancy = Exercise(
    "discounted_occupancy",
    reference=mdp.discounted_occupancy,
    cases=_occupancy_cases,
    returns=array(),
    points=2,
    equation="(1.7)",
    # A fixed-point iteration to 1e-10 may be off by 1e-8 at γ = 0.99.
    rtol=1e-7,
    atol=2e-8,
    mistakes=[
        Mistake(
            "unnormalised",
            "The factor 1 − γ is missing: your numbers sum to 1/(1 − γ). Make it a distribution.",
            "What should the entries of a distribution sum to? And yours?",
            _occupancy(factor="1"),
        ),
        Mistake(
            "not-transposed",
            "You solve with P^π itself. That carries values backwards; probability flows forwards, which needs the "
            "transpose.",
            "Probability that arrives in s′ comes from all s: over which index of P^π must the sum run?",
            _occupancy(transposed=False),
        ),
        Mistake(
            "start-not-counted",
            "Your sum starts after the first step. The first state is visited too: t = 0 counts.",
            "What should come out at γ = 0?",
            lambda P_pi, start, gamma: _series(P_pi, start, gamma, first=0.0),
            _occupancy(moved=True),
            lambda P_pi, start, gamma: mdp.discounted_occupancy(P_pi, start, gamma) - (1 - gamma) * start,
            lambda P_pi, start, gamma: (d := _series(P_pi, start, gamma, first=0.0)) / d.sum(),
        ),
        Mistake(
            "start-ignored",
            "Your result does not depend on `start`. With γ < 1 the start is never forgotten.",
            "What should come out at γ = 0, where only the first state counts?",
            _occupancy(start_from="uniform"),
            _occupancy(start_from="first"),
            _occupancy(start_from="ones"),
            _stationary,
            shows=_shows_stationary,
        ),
        Mistake(
            "plus-gamma",
            "The sign before γ is wrong: bringing γPᵀη to the left-hand side turns it into minus.",
            "Start again from η = (1 − γ) start + γ Pᵀ η and collect the terms with η.",
            _occupancy(sign=1),
        ),
        Mistake(
            "ones-not-identity",
            "You wrote 1 − γP: NumPy subtracts from *every* entry. The identity has ones only on the diagonal.",
            "Print 1 − M and the identity minus M for a small M.",
            _occupancy(identity="ones"),
        ),
        Mistake(
            "no-gamma",
            "γ is missing from your matrix, which then has no inverse: the columns of I − Pᵀ sum to 0, and numbers "
            "that come out mean nothing.",
            "Where does γ stand in η = (1 − γ) start + γ Pᵀ η?",
            lambda P_pi, start, gamma: np.linalg.solve(np.eye(len(start)) - P_pi.T, (1 - gamma) * start),
            lambda P_pi, start, gamma: np.linalg.solve(np.eye(len(start)) - P_pi, (1 - gamma) * start),
            lambda P_pi, start, gamma: np.linalg.solve(np.eye(len(start)) - P_pi.T, start),
            shows=_shows_no_gamma,
        ),
        Mistake(
            "wrong-factor",
            "The factor before `start` is not the one that makes the weights sum to 1. The weights γ^t sum to "
            "1/(1 − γ).",
            "What should the entries of a distribution sum to? And yours?",
            _occupancy(factor="γ"),
            _occupancy(factor="1/(1 − γ)"),
        ),
        Mistake(
            "cut-short",
            "You stop after a fixed number of steps. How far one has to look depends on γ: near 1 the weights fall "
            "slowly, and what is left out is large.",
            "Which weight has the first step that you leave out, at γ = 0.99?",
            *map(_cut_short, (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
        ),
    ],
    also_correct=[
        _occupancy(),
        _series,
        _fixed_point,
        lambda P_pi, start, gamma: (1 - gamma) * np.linalg.inv(np.eye(len(start)) - gamma * P_pi).T @ start,
        lambda P_pi, start, gamma: (d := np.linalg.solve(np.eye(len(start)) - gamma * P_pi.T, start)) / d.sum(),
    ],
)  # fmt: skip


def _discounted_sum(P, R, pi, start, gamma):
    p, total, weight = np.array(start, float), 0.0, 1.0
    P_pi, r_pi = mdp.policy_transition(P, pi), mdp.policy_reward(R, pi)
    while weight > 1e-14:
        total, p, weight = total + weight * (p @ r_pi), p @ P_pi, weight * gamma
    return float(total)


def _by_pairs(P, R, pi, start, gamma):
    d = mdp.discounted_occupancy(mdp.policy_transition(P, pi), start, gamma)
    return float((d[:, None] * pi * R).sum() / (1 - gamma))


def _by_values(P, R, pi, start, gamma):
    P_pi, r_pi = mdp.policy_transition(P, pi), mdp.policy_reward(R, pi)
    return start @ np.linalg.solve(np.eye(len(start)) - gamma * P_pi, r_pi)


@composable
def _expected(
    scale: int = 0,
    discounted: int = 0,
    start_from: str = "start",
    reward: str = "pi",
    moves: str = "pi",
    weighs: str = "start",
    transposed: bool = False,
    sign: int = -1,
) -> Callable:
    """J with its parts exchangeable: `start` times V^π, and V^π by a linear solve.

    scale, discounted: how many factors 1 − γ and γ are too many; reward, moves: the weights of the
    actions in r^π and in P^π; weighs: the values with "start" or with the "occupancy".
    """

    def expected_return(P, R, pi, start, gamma):
        P_pi, r_pi = _mixed(moves)(P, pi), (weights(reward, pi) * R).sum(axis=1)
        matrix = P_pi.T if transposed else P_pi
        v = np.linalg.solve(np.eye(len(start)) + sign * gamma * matrix, r_pi)
        d = _another_start(start_from, start)
        if weighs == "occupancy":
            d = _occupancy()(P_pi, d, gamma)
        return float((1 - gamma) ** scale * gamma**discounted * (d @ v))

    return expected_return


expected_return = Exercise(
    "expected_return",
    reference=mdp.expected_return,
    cases=lambda rng: _chain_cases(
        rng,
        lambda P, R, pi, start, gamma: {"P": P, "R": R, "pi": pi, "start": start, "gamma": gamma},
    ),
    returns=number(),
    points=1,
    equation="(1.8)",
    rtol=1e-7,
    atol=1e-7,
    mistakes=[
        Mistake(
            "not-divided",
            "You do not divide by 1 − γ. η^π sums to 1, but the weights γ^t sum to 1/(1 − γ).",
            "If every step paid 1, what should the return be? And what do you get?",
            _expected(scale=1),
        ),
        Mistake(
            "divided-twice",
            "You divide by 1 − γ once too often. Values already add up all the steps to come.",
            "If every step paid 1, what should the return be? And what do you get?",
            _expected(scale=-1),
        ),
        Mistake(
            "first-reward-only",
            "That is the mean of the *first* reward only. The rest of the trajectory is missing.",
            "Where does γ enter your answer?",
            lambda P, R, pi, start, gamma: float(start @ mdp.policy_reward(R, pi)),
        ),
        Mistake(
            "first-discounted",
            "You discount the first reward already: your result is γ times the return. t starts at 0.",
            "What should come out at γ = 0?",
            _expected(discounted=1),
        ),
        Mistake(
            "start-ignored",
            "Your result does not depend on `start`. J belongs to the given start distribution.",
            "Which argument have you not used?",
            _expected(start_from="uniform"),
            _expected(start_from="ones"),
            _expected(start_from="first"),
        ),
        Mistake(
            "reward-unweighted",
            "The rewards of the actions are not weighed by π. What a step pays on average is r^π, as in "
            "`policy_chain`.",
            "How does one number a state come out of R[s, a] in your code?",
            _expected(reward="equal"),
            _expected(reward="none"),
            _expected(reward="pi, averaged"),
        ),
        Mistake(
            "transition-unweighted",
            "The moves are not weighed by π: where a step leads depends on the action, and π draws it, as in "
            "`policy_chain`.",
            "Where does `pi` enter your P^π?",
            _expected(moves="equal"),
        ),
        Mistake(
            "policy-ignored",
            "π decides nothing in your result: rewards and moves are plain averages over the actions.",
            "Which argument have you not used?",
            _expected(reward="equal", moves="equal"),
        ),
        Mistake(
            "values-by-occupancy",
            "You weigh *values* by the occupancy. A value already adds up all that follows; visits weigh rewards.",
            "Equation (1.8) has two factors under the sum. Which?",
            _expected(weighs="occupancy"),
            _expected(weighs="occupancy", scale=-1),
        ),
        Mistake(
            "transposed",
            "Your P^π is turned round: what is carried backwards and what forwards have changed places.",
            "Does the first index of your matrix say where from, or where to?",
            _expected(transposed=True),
        ),
        Mistake(
            "plus-gamma",
            "The sign before γ is wrong in your linear system: bringing the γ term to the left-hand side turns it "
            "into minus.",
            "Write the fixed-point equation down, and collect the terms with the unknown.",
            _expected(sign=1),
        ),
    ],
    also_correct=[_expected(), _discounted_sum, _by_pairs, _by_values],
)

# ---------------------------------------------------------------------------- sample_trajectory


def _trajectory_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name, n_states, n_actions, horizon, *tags, deterministic=False, absorbing=False
    ) -> Case:
        P, R = random_mdp(rng, n_states, n_actions)
        if absorbing:
            P[0], R[0] = np.eye(n_states)[0], 0.0
        pi, start = (
            random_policy(rng, n_states, n_actions, deterministic),
            random_distribution(rng, n_states),
        )
        inputs = {"P": P, "R": R, "pi": pi, "start": start, "horizon": horizon}
        return Case(name, inputs | {"rng": Rng(int(rng.integers(2**31)))}, tags)

    return [
        case("twelve steps", 4, 3, 12),
        case("as many states as actions", 4, 4, 20, "S = A"),
        case("a deterministic policy", 5, 3, 15, deterministic=True),
        case("an absorbing state", 4, 2, 30, absorbing=True),
        case("one step", 5, 2, 1),
        case("no step at all", 4, 2, 0, "T = 0"),
        case("one state", 1, 2, 6, "S = 1"),
        case("one action", 4, 1, 9, "A = 1"),
        # Two rules for the first state may agree by chance: many first states make that rare.
        *(case("a short walk", 8, 3, 2) for _ in range(12)),
    ]


DRAWS: dict[str, Callable] = {
    "as given": lambda rng, row: rng.choice(len(row), p=row),
    "any": lambda rng, row: rng.choice(len(row)),
    "any, by p": lambda rng, row: rng.choice(len(row), p=np.full(len(row), 1 / len(row))),
    "any integer": lambda rng, row: rng.integers(len(row)),
    "likeliest": lambda rng, row: row.argmax(),
    "0": lambda rng, row: 0,
    # Drawn, but from a distribution that has but this one place.
    "likeliest, after a draw": lambda rng, row: (rng.random(), row.argmax())[1],
    "0, after a draw": lambda rng, row: (rng.random(), 0)[1],
    "by inverse": lambda rng, row: _by_inverse(rng, row),
}


@composable
def _sampled(
    begin: str = "as given",
    act: str = "as given",
    move: str = "as given",
    pay: str = "r(s, a)",
    kept: str = "all",
    further: int = 0,
    stays: bool = False,
    policy_of: str = "s",
) -> Callable:
    """Sampling with its parts exchangeable.

    further: steps beyond the horizon; stays: whether every step starts from the first state;
    policy_of: whose row the actions are drawn from.
    """

    def sample_trajectory(P, R, pi, start, horizon, rng):
        s = first = int(DRAWS[begin](rng, start))
        states, actions, rewards = [s], [], []
        for _ in range(max(horizon + further, 0)):
            a = int(DRAWS[act](rng, pi[s if policy_of == "s" else first]))
            s_next = int(DRAWS[move](rng, P[s, a]))
            rewards.append(
                {
                    "r(s, a)": R[s, a],
                    "r(s', a)": R[s_next, a],
                    "mean": pi[s] @ R[s],
                    "plain mean": R[s].mean(),
                }[pay]
            )
            actions.append(a)
            states.append(s_next)
            s = s if stays else s_next
        states = {"all": states, "all but the last": states[:-1], "all but the first": states[1:]}[
            kept
        ]
        return np.array(states, int), np.array(actions, int), np.array(rewards, float)

    return sample_trajectory


def _by_inverse(rng, row):
    return min(
        np.searchsorted(np.cumsum(row) / np.sum(row), rng.random(), side="right"), len(row) - 1
    )


def _always_likeliest(cases, outcomes) -> bool:
    """Whether every walk of a step or more goes on to the likeliest next state, whatever its draws."""
    return all(
        _is_walk(outcome.value, case.inputs)
        and np.array_equal(
            case.inputs["P"][outcome.value[0][:-1], outcome.value[1]].argmax(axis=1),
            outcome.value[0][1:],
        )
        for case, outcome in zip(cases, outcomes, strict=False)
        if case.inputs["horizon"]
    )


def _is_walk(value, inputs) -> bool:
    if not (isinstance(value, tuple | list) and all(isinstance(x, np.ndarray) for x in value)):
        return False
    T, sizes = inputs["horizon"], inputs["R"].shape
    return [x.shape for x in value] == [(T + 1,), (T,), (T,)] and all(
        x.dtype.kind in "iu" and np.isin(x, np.arange(n)).all()
        for x, n in zip(value[:2], sizes, strict=True)
    )


def _first_other_draw(case, value, reference) -> str:
    """Where a walk leaves the right one (what comes later follows from it), or what else is wrong."""
    (states, actions, _), (s, a, _) = value, reference
    if np.sum(states != s) + np.sum(actions != a) > 1:
        t = next(t for t in range(len(s)) if states[t] != s[t] or (actions != a)[t : t + 1].any())
        draw = f"s_{t}" if states[t] != s[t] else f"a_{t}"
        return f"The first state or action that is another than it should be is {draw}."
    return difference(sample_trajectory, case, value, reference)


sample_trajectory = Exercise(
    "sample_trajectory",
    reference=mdp.sample_trajectory,
    cases=_trajectory_cases,
    returns=several(states=array("int"), actions=array("int"), rewards=array()),
    points=2,
    equation="(1.2)",
    notes=["rng"],
    tells=_first_other_draw,
    mistakes=[
        Mistake(
            "reward-on-arrival",
            "You pay with the reward of the state you arrive in. Our r(s, a) is paid for *leaving* s.",
            "Which state is it that the reward of the first step belongs to?",
            _sampled(pay="r(s', a)"),
        ),
        Mistake(
            "mean-reward",
            "You pay an average over the actions. An action was drawn: the step pays what *that* action pays.",
            "Which two indices does the reward of a step have?",
            _sampled(pay="mean"),
            _sampled(pay="plain mean"),
        ),
        Mistake(
            "uniform-actions",
            "Your actions do not follow π: all are equally likely. Draw a_t from the row π(·|s_t).",
            "Is `pi` used anywhere in your code?",
            _sampled(act="any"),
            _sampled(act="any integer"),
            _sampled(act="any, by p"),
        ),
        Mistake(
            "greedy-actions",
            "You always take π's likeliest action. π says how often each action is to be drawn.",
            "Which actions occur in a long trajectory of yours, and how often should each?",
            _sampled(act="likeliest"),
            _sampled(act="likeliest, after a draw"),
        ),
        Mistake(
            "first-states-policy",
            "All your actions are drawn from one row of π, that of the first state. a_t follows the row of s_t.",
            "Which row of `pi` do you look at in the second step?",
            _sampled(policy_of="first"),
        ),
        Mistake(
            "likeliest-next-state",
            "You always move to the likeliest next state. Sample it: the most likely path is not the average one.",
            "Run it twice with different seeds. Can the paths differ?",
            _sampled(move="likeliest"),
            shows=_always_likeliest,
        ),
        Mistake(
            "uniform-moves",
            "Your next states are all equally likely, whatever the action. The world draws them from p(·|s, a).",
            "Is `P` used anywhere in your code?",
            _sampled(move="any"),
            _sampled(move="any integer"),
            _sampled(move="any, by p"),
        ),
        Mistake(
            "never-moves",
            "Every step of yours starts from the first state: s_{t+1} is drawn, but does not become the state of the "
            "next step.",
            "Print the state at the top of your loop for three rounds.",
            _sampled(stays=True),
        ),
        Mistake(
            "start-ignored",
            "The first state is not drawn from `start`.",
            "What is the very first draw in the task's list?",
            *(_sampled(begin=how) for how in DRAWS if how not in ("as given", "by inverse")),
        ),
        Mistake(
            "last-state-missing",
            "You return T states. T actions join T + 1 states: the one behind the last action is missing.",
            "How many states does a trajectory of one step have?",
            _sampled(kept="all but the last"),
        ),
        Mistake(
            "first-state-missing",
            "Your states begin with s_1: the one that was drawn from `start` is missing.",
            "How many states does a trajectory of one step have?",
            _sampled(kept="all but the first"),
        ),
        Mistake(
            "steps-miscounted",
            "Your trajectory has not as many actions as `horizon` says.",
            "How often does your loop run for a horizon of 1?",
            _sampled(further=1),
            _sampled(further=-1),
        ),
    ],
    also_correct=[
        _sampled(),
        _sampled(begin="by inverse", act="by inverse", move="by inverse"),
    ],
)

LESSON = Lesson(
    "01",
    "Markov decision processes",
    [
        returns_to_go,
        coin_stopped_return,
        policy_chain,
        discounted_occupancy,
        expected_return,
        sample_trajectory,
    ],
)
