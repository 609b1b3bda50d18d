"""Lesson 04: Monte Carlo, temporal differences, n steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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
from rlcourse.checker.material import flags, random_env, random_policy
from rlcourse.checker.probes import Policy, Rng
from rlcourse.tabular import prediction
from rlcourse.tabular.returns import returns_to_go

from .lesson_00 import FLAGS, never_asked
from .targets import (
    COUNT_GAMMA,
    UPDATES,
    one_step,
    sampled_target,
    target_mistakes,
    update_mistakes,
)

# -------------------------------------------------------------------------------- mc_prediction


def _episode_lists(rng: np.random.Generator) -> list[Case]:
    def episode(length: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.integers(n, size=length), rng.normal(size=length) * 2

    def case(name, episodes, gamma, n_states, first_visit, *tags) -> Case:
        visit = "first visits" if first_visit else "every visit"
        inputs = {"episodes": episodes, "gamma": gamma}
        inputs |= {"n_states": n_states, "first_visit": first_visit}
        return Case(f"{name}, {visit}", inputs, (*tags, visit))

    many = [episode(length, 4) for length in (6, 9, 1, 12)]
    sparse = [episode(length, 3) for length in (5, 7)]
    return_to_start = [(np.array([2, 0, 2, 1, 2]), rng.normal(size=5))]
    # Their returns are no whole numbers: an integer array for returns loses what it must not lose.
    whole = [(np.array([0, 1, 0]), np.array([3, -2, 1])), (np.array([1]), np.array([5]))]
    cases = []
    for first in (True, False):
        cases += [
            case("four episodes", many, 0.9, 4, first),
            case("one state visited three times", return_to_start, 0.8, 3, first),
            case("two states never visited", sparse, 0.7, 5, first, "states without a visit"),
            case("γ = 1", many, 1.0, 4, first, "γ = 1"),
            case("γ = 0", many, 0.0, 4, first, "γ = 0"),
            case("whole-number rewards", whole, 0.5, 2, first, "whole-number rewards"),
            case("no episodes", [], 0.9, 3, first, "states without a visit"),
        ]
    return cases


COUNTED: dict[str, Callable] = {
    "as asked": lambda states, t, first: not first or states[t] not in states[:t],
    "every": lambda states, t, first: True,
    "first": lambda states, t, first: states[t] not in states[:t],
    "last": lambda states, t, first: not first or states[t] not in states[t + 1 :],
    "inverted": lambda states, t, first: first or states[t] not in states[:t],
    "the episode's first": lambda states, t, first: not first or t == 0,
}
GAINS: dict[str, Callable] = {
    "discounted": returns_to_go,
    "undiscounted": lambda rewards, gamma: returns_to_go(rewards, 1.0),
    "of the episode": lambda rewards, gamma: np.full(
        len(rewards), (returns_to_go(rewards, gamma))[0]
    ),
    "one reward": lambda rewards, gamma: rewards,
    "first discounted": lambda rewards, gamma: gamma * returns_to_go(rewards, gamma),
    "own missing": lambda rewards, gamma: np.append(returns_to_go(rewards, gamma)[1:], 0.0),
    "past": lambda rewards, gamma: returns_to_go(rewards[::-1], gamma)[::-1],
    "from the start": lambda rewards, gamma: (
        float(gamma) ** np.arange(len(rewards)) * returns_to_go(rewards, gamma)
    ),
}


@composable
def _mc(
    counts: str = "as asked",
    gains: str = "discounted",
    divided_by: str = "visits",
    kept: str = "all",
) -> Callable:
    """Monte Carlo prediction with its parts exchangeable, so that each mistake differs in one.

    kept: of the returns of a state "all" are averaged, or the "last" one stands alone; divided_by:
    "visits", those all the same where there are none, "episodes", "all visits" or nothing.
    """

    def mc_prediction(episodes, gamma, n_states, first_visit):
        total, visits, every = np.zeros(n_states), np.zeros(n_states), np.zeros(n_states)
        for states, rewards in episodes:
            states, g = list(states), GAINS[gains](rewards, gamma)
            for t, s in enumerate(states):
                every[s] += 1
                if COUNTED[counts](states, t, first_visit):
                    total[s] = g[t] * (visits[s] + 1) if kept == "last" else total[s] + g[t]
                    visits[s] += 1
        n = np.float64(len(episodes))
        with np.errstate(all="ignore"):
            return {
                "visits": lambda: total / np.maximum(visits, 1),
                "visits, or 0": lambda: total / visits,
                "episodes": lambda: total / max(n, 1),
                "episodes, or 0": lambda: total / n,
                "all visits": lambda: total / np.maximum(every, 1),
                "nothing": lambda: total,
            }[divided_by]()

    return mc_prediction


def _running_means(episodes, gamma, n_states, first_visit):
    v, visits = np.zeros(n_states), np.zeros(n_states)
    for states, rewards in episodes:
        seen = set()
        for t in range(len(states)):
            s = int(states[t])
            if first_visit and s in seen:
                continue
            seen.add(s)
            g = sum(gamma ** (k - t) * rewards[k] for k in range(t, len(rewards)))
            visits[s] += 1
            v[s] += (g - v[s]) / visits[s]
    return v


def _by_bincount(episodes, gamma, n_states, first_visit):
    s, g = [], []
    for states, rewards in episodes:
        first = np.unique(states, return_index=True)[1] if first_visit else slice(None)
        s.append(np.asarray(states)[first])
        g.append(returns_to_go(rewards, gamma)[first])
    if not s:
        return np.zeros(n_states)
    s, g = np.concatenate(s), np.concatenate(g)
    visits = np.bincount(s, minlength=n_states)
    return np.bincount(s, weights=g, minlength=n_states) / np.where(visits, visits, 1)


mc_prediction = Exercise(
    "mc_prediction",
    reference=prediction.mc_prediction,
    cases=_episode_lists,
    returns=array(),
    points=2,
    equation="(4.2)",
    mistakes=[
        Mistake(
            "every-visit",
            "You count every visit although `first_visit` is true: then a later visit to the same state "
            "in the same episode does not count.",
            "Follow your code through an episode that visits a state twice. How many returns does it add?",
            _mc(counts="every"),
        ),
        Mistake(
            "first-visit",
            "You count first visits only, although `first_visit` is false: then every visit has its own "
            "return, and all of them count.",
            "Is the argument `first_visit` looked at anywhere?",
            _mc(counts="first"),
        ),
        Mistake(
            "visits-exchanged",
            "Your two ways of counting have changed places: you count every visit when `first_visit` is true, and "
            "first visits when it is false.",
            "Which branch does `first_visit = True` lead to?",
            _mc(counts="inverted"),
        ),
        Mistake(
            "last-visit",
            "Going backwards you keep the visits that you have not seen yet: those are the *last* ones of "
            "the episode. First means that there is no earlier visit.",
            "Which part of the episode decides whether the visit at t is the first: what is before t, or after?",
            _mc(counts="last"),
        ),
        Mistake(
            "first-step-only",
            "With `first_visit` you use the episode's first step only. *Every* state that an episode comes to has its "
            "first visit.",
            "How many first visits are there in an episode 2, 0, 2, 1?",
            _mc(counts="the episode's first"),
        ),
        Mistake(
            "undiscounted",
            "γ is never used: you average plain sums of rewards. The return is $G_t = r_t + γ G_{t+1}$.",
            "What is the return of the first of two steps that pay 1 each, with γ = 0.5?",
            _mc(gains="undiscounted"),
        ),
        Mistake(
            "one-return-for-all",
            "Every visited state gets the return of the whole episode. What counts is the return that begins with the "
            "visit.",
            "What is the return of the last step of an episode?",
            _mc(gains="of the episode"),
        ),
        Mistake(
            "rewards-for-returns",
            "You average the rewards of single steps. A value is the mean of *returns*: a reward and all that follows.",
            "Where does γ enter your code?",
            _mc(gains="one reward"),
        ),
        Mistake(
            "first-discounted",
            "Each of your returns discounts its own first reward too. That one comes now.",
            "What is the return of the last step of an episode?",
            _mc(gains="first discounted"),
        ),
        Mistake(
            "own-reward-missing",
            "The reward of the visit's own step is missing from its return: r_t belongs to G_t.",
            "In which order do you add the reward and use the return?",
            _mc(gains="own missing"),
        ),
        Mistake(
            "forward",
            "You go forwards, and so you sum the past. The return of a visit is about what comes after it.",
            "Which of the returns can you write down without knowing any other? Start there.",
            _mc(gains="past"),
        ),
        Mistake(
            "discounted-from-start",
            "Your weights count from the start of the episode: a factor γ^t is left in. Discounting starts anew at "
            "each visit.",
            "Which weight has the first reward after the visit at t?",
            _mc(gains="from the start"),
        ),
        Mistake(
            "divides-by-episodes",
            "You divide by the number of episodes. The mean is over the *visits* that were counted.",
            "What happens to a state that only one of ten episodes visits?",
            _mc(divided_by="episodes"),
            _mc(divided_by="episodes, or 0"),
            lambda episodes, gamma, n_states, first_visit: np.array(
                [
                    x / len(episodes)
                    for x in _mc(divided_by="nothing")(
                        episodes, gamma, n_states, first_visit
                    ).tolist()
                ]
            ),
        ),
        Mistake(
            "divides-by-all-visits",
            "You add first visits and divide by *all* visits. A mean divides by as many as were added.",
            "Where in your code does a visit count that is not the first?",
            _mc(divided_by="all visits"),
        ),
        Mistake(
            "sum-not-mean",
            "You add the returns up, and divide by nothing: a state that is visited more often looks better.",
            "What should come out for a state whose returns are 1 and 1?",
            _mc(divided_by="nothing"),
        ),
        Mistake(
            "last-return-only",
            "Every return overwrites the one before. A value is the mean of all of them.",
            "`=` or `+=`?",
            _mc(kept="last"),
        ),
        Mistake(
            "nan-unvisited",
            "States that were never visited come out as NaN: 0 divided by 0. A state without a visit has no "
            "mean, so leave it at 0.",
            "Divide only where there is something to divide by.",
            _mc(divided_by="visits, or 0"),
        ),
    ],
    also_correct=[_mc(), _running_means, _by_bincount],
)

# ----------------------------------------------------------------------------------- td0_target


def _td_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, gamma, dtype, *tags, ended=None) -> Case:
        terminated = flags(rng, n, dtype) if ended is None else np.full(n, ended, dtype)
        v_next = rng.normal(size=n) * 3
        # What stands at a terminal state is anybody's guess.
        v_next[terminated.astype(bool)] += 40.0
        inputs = {"reward": rng.normal(size=n) * 2, "v_next": v_next, "terminated": terminated}
        return Case(name, inputs | {"gamma": gamma}, tags)

    return [
        case("a batch of eight", 8, 0.9, np.float64),
        case("`terminated` as bool", 7, 0.8, np.bool_, "`terminated` as bool"),
        case("`terminated` as int", 7, 0.8, np.int64, "`terminated` as int"),
        case("one step", 1, 0.9, np.float64, "B = 1", ended=0),
        case("one step, terminal", 1, 0.9, np.float64, "B = 1", ended=1),
        case("γ = 0", 5, 0.0, np.float64, "γ = 0"),
        case("γ = 1", 5, 1.0, np.float64, "γ = 1"),
        case("nothing terminates", 6, 0.95, np.bool_, ended=False),
        case("everything terminates", 6, 0.95, np.bool_, ended=True),
    ]


def _alive(terminated) -> np.ndarray:
    return 1.0 - np.asarray(terminated, dtype=np.float64)


BOOTSTRAPS_TERMINAL = (
    "You bootstrap from terminal states. After a terminal state comes nothing: its value is 0, whatever "
    "the table says."
)
LOOK_AT_ENDS = "What is the right target for a step that ended the episode? And what is yours?"


@composable
def _td0(mask: str = "future", discount: str = "future", paid: bool = True) -> Callable:
    """The one-step target with its parts exchangeable, as in `one_step`."""
    return lambda r, v, d, g: one_step(r, v, d, g, mask, discount, paid)


td0_target = Exercise(
    "td0_target",
    reference=prediction.td0_target,
    cases=_td_cases,
    returns=array(),
    points=1,
    equation="(4.4)",
    mistakes=[
        *target_mistakes(_td0, BOOTSTRAPS_TERMINAL, LOOK_AT_ENDS, COUNT_GAMMA),
        Mistake(
            "sign",
            "You subtract what comes next. It is added: a good next state makes the target higher.",
            "Which sign stands before γ in equation (4.4)?",
            lambda r, v, d, g: r - g * _alive(d) * v,
        ),
        Mistake(
            "all-pairs",
            "Every reward meets every next value: a (B,) and a (B, 1) make a (B, B). Row i belongs to row i.",
            "Print the shapes of both sides of your sum.",
            lambda r, v, d, g: r[:, None] + g * _alive(d) * v,
            lambda r, v, d, g: r + g * (_alive(d) * v)[:, None],
        ),
    ],
    also_correct=[
        _td0(),
        lambda r, v, d, g: np.where(d, r, r + g * v),
        lambda r, v, d, g: r + g * np.logical_not(d) * v,
        lambda r, v, d, g: np.array(
            [x if e else x + g * y for x, y, e in zip(r, v, d, strict=True)]
        ),
        lambda r, v, d, g: r + g * (v - v * d),
    ],
)

# -------------------------------------------------------------------------------- n_step_return


NO_END = "no end inside"


def _window_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, gamma, ends=(), dtype=np.float64, *tags) -> Case:
        terminated = np.isin(np.arange(n), ends).astype(dtype)
        inputs = {"rewards": rng.normal(size=n) * 2 + 0.3, "v_boot": float(rng.normal() + 3)}
        tags = tags if ends else (*tags, NO_END)
        return Case(name, inputs | {"terminated": terminated, "gamma": gamma}, tags)

    end, at_once = "an end inside the window", "the first step ends the episode"
    return [
        case("five steps without an end", 5, 0.9),
        case("three steps, `terminated` as bool", 3, 0.8, (), np.bool_, "`terminated` as bool"),
        case("one step", 1, 0.7, (), np.int64),
        case("one step that ends the episode", 1, 0.7, (0,), np.float64, end, at_once),
        case("an end in the middle", 6, 0.9, (2,), np.float64, end),
        case("an end in the middle, as bool", 5, 0.85, (1,), np.bool_, end, "`terminated` as bool"),
        case("an end at the last step", 4, 0.9, (3,), np.int64, end),
        case("an end at the first step", 4, 0.9, (0,), np.int64, end, at_once),
        case("two ends", 7, 0.9, (2, 5), np.float64, end),
        case("γ = 1 without an end", 4, 1.0, (), np.float64, "γ = 1"),
        case("γ = 1 with an end", 5, 1.0, (2,), np.float64, "γ = 1", end),
        case("γ = 0", 4, 0.0, (), np.float64, "γ = 0"),
        case("twenty steps", 20, 0.95, ()),
    ]


@composable
def _forward(
    boot_power: int | None = 0,
    first_power: int = 0,
    looks_at: str = "every flag",
    boots_after_end: str = "",
    keeps_last: bool = True,
    rewards_after: bool = False,
    grows: bool = True,
    skips: str = "",
    boots: bool = True,
) -> Callable:
    """The n-step return, forwards, with its parts exchangeable.

    boot_power: how many factors γ v has too many, None: has no γ at all; grows: whether rewards are
    discounted; looks_at: which flags count; boots_after_end: with γ^"n" or γ^"m".
    """

    def n_step_return(rewards, v_boot, terminated, gamma):
        g, n = 0.0, len(rewards)
        ended = None
        for k in range(n):
            flag = {
                "every flag": lambda k=k: terminated[k],
                "none": lambda: False,
                "the first": lambda k=k: terminated[0] and k == 0,
                "the last": lambda k=k: terminated[-1] and k == n - 1,
                "the one before": lambda k=k: k > 0 and terminated[k - 1],
            }[looks_at]()
            if flag and ended is None:
                ended = k
                if not keeps_last:
                    break
            if not (skips == "first" and k == 0) and not (skips == "last" and k == n - 1):
                g += (float(gamma) ** (k + first_power) if grows else 1.0) * rewards[k]
            if ended is not None and not rewards_after:
                break
        weight = 1.0 if boot_power is None else float(gamma) ** (n + boot_power)
        if ended is None:
            return float(g + weight * v_boot) if boots else float(g)
        power = {"n": n, "m": ended + 1}.get(boots_after_end)
        return float(g if power is None else g + gamma**power * v_boot)

    return n_step_return


def _by_masks(rewards, v_boot, terminated, gamma):
    n = len(rewards)
    alive = np.concatenate([[1.0], np.cumprod(_alive(terminated))])
    powers = float(gamma) ** np.arange(n + 1)
    return float(powers[:n] @ (alive[:n] * rewards) + powers[n] * alive[n] * v_boot)


def _recursive(rewards, v_boot, terminated, gamma):
    if len(rewards) == 0:
        return v_boot
    rest = 0.0 if terminated[0] else _recursive(rewards[1:], v_boot, terminated[1:], gamma)
    return rewards[0] + gamma * rest


n_step_return = Exercise(
    "n_step_return",
    reference=prediction.n_step_return,
    cases=_window_cases,
    returns=number(),
    points=2,
    equation="(4.6)",
    partial={NO_END: 1},
    mistakes=[
        Mistake(
            "gamma-n-minus-1",
            "Your bootstrap has one factor γ too few: n rewards lie before s_{t+n}, so v(s_{t+n}) counts γⁿ.",
            "For n = 1 equation (4.6) must be the one-step target. Which power has v there?",
            _forward(boot_power=-1),
        ),
        Mistake(
            "ignores-termination",
            "An end inside the window changes nothing in your return: it has to cut everything after it.",
            "What should the return be if the very first step ends the episode?",
            _forward(looks_at="none"),
        ),
        Mistake(
            "bootstraps-after-end",
            "Your rewards stop at the end of the episode, but v is added all the same. A terminal state is "
            "worth 0: no bootstrap.",
            "What can still be earned after the last step of an episode?",
            _forward(boots_after_end="n"),
            _forward(boots_after_end="m"),
        ),
        Mistake(
            "rewards-after-end",
            "You leave the bootstrap out after an end, but go on adding rewards. What follows an end is "
            "another episode: none of its rewards belong here.",
            "Where does your sum stop?",
            _forward(rewards_after=True),
        ),
        Mistake(
            "last-reward-lost",
            "The reward of the step that ended the episode is missing: it belongs to the episode.",
            "In which order do you add the reward and test for the end?",
            _forward(keeps_last=False),
        ),
        Mistake(
            "last-flag-only",
            "You look at the last flag only. The episode may end at any step of the window.",
            "Try a window of four steps whose second one ends the episode.",
            _forward(looks_at="the last"),
        ),
        Mistake(
            "first-flag-only",
            "You look at the first flag only. The episode may end at any step of the window.",
            "Try a window of four steps whose second one ends the episode.",
            _forward(looks_at="the first"),
        ),
        Mistake(
            "ends-a-step-late",
            "Your sum runs one step past the end: the flag of a step says that *this* step was the last.",
            "In which order do you add the reward, test for the end, and leave the loop?",
            _forward(looks_at="the one before"),
        ),
        Mistake(
            "gamma-n-plus-1",
            "Your bootstrap has one factor γ too many: n rewards lie before s_{t+n}, so v(s_{t+n}) counts γⁿ.",
            "For n = 1 equation (4.6) must be the one-step target. Which power has v there?",
            _forward(boot_power=1),
        ),
        Mistake(
            "bootstrap-undiscounted",
            "The value v(s_{t+n}) enters without γ: it lies n steps ahead, so it counts γⁿ of itself.",
            "For n = 1 equation (4.6) must be the one-step target. Which power has v there?",
            _forward(boot_power=None),
        ),
        Mistake(
            "no-bootstrap",
            "The value never enters: where the window ends and the episode does not, what follows is worth v(s_{t+n}).",
            "Which argument have you not used?",
            _forward(boots=False),
        ),
        Mistake(
            "rewards-undiscounted",
            "Your rewards are added up without γ. A reward k steps ahead counts γ^k of itself.",
            "Which power of γ has the second reward in equation (4.6)?",
            _forward(grows=False),
        ),
        Mistake(
            "first-discounted",
            "You discount the first reward too: your powers begin with γ¹. It comes now: γ⁰ = 1.",
            "Which power of γ has the first reward in equation (4.6)?",
            _forward(first_power=1),
        ),
        Mistake(
            "window-too-short",
            "A reward at one end of the window is missing: n steps have n rewards.",
            "Which indices does your loop or slice take, for three rewards?",
            _forward(skips="last"),
            _forward(skips="first"),
        ),
    ],
    also_correct=[_forward(), _by_masks, _recursive],
)

# ------------------------------------------------------------------------------- lambda_weights


def _weight_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, steps_left, gamma, lam, *tags) -> Case:
        return Case(name, {"steps_left": steps_left, "gamma": gamma, "lam": lam}, tags)

    # Away from ½, where λ and 1 − λ are the same.
    small, large = rng.uniform(0.2, 0.4), rng.uniform(0.6, 0.85)
    gamma = rng.uniform(0.86, 0.97)
    return [
        case("six steps left", 6, gamma, large),
        case("a small λ", 4, gamma, small),
        case("two steps left", 2, gamma, large),
        case("one step left", 1, gamma, large, "one step left"),
        case("λ = 0", 5, gamma, 0.0, "λ = 0"),
        case("λ = 1", 5, gamma, 1.0, "λ = 1"),
        case("γ = 0", 5, 0.0, large, "γ = 0"),
        case("γ = 1", 7, 1.0, small, "γ = 1"),
        case("γ = 1 and λ = 1", 3, 1.0, 1.0, "γ = 1", "λ = 1"),
        case("thirty steps left", 30, gamma, large),
    ]


def _powers(x: float, n: int, first: int = 0) -> np.ndarray:
    return float(x) ** np.arange(first, first + n)


# The weight of the return of n steps as its series would go on for ever: (gamma, lam, N) -> (N,).
SERIES: dict[str, Callable] = {
    "as asked": lambda gamma, lam, n: (1 - lam) * _powers(lam, n),
    "a power late": lambda gamma, lam, n: (1 - lam) * _powers(lam, n, 1),
    "swapped": lambda gamma, lam, n: lam * _powers(1 - lam, n),
    "unshared": lambda gamma, lam, n: _powers(lam, n),
    "discounted": lambda gamma, lam, n: (1 - lam) * _powers(gamma * lam, n),
}
# What the last return gets: (weights of the series, the ratio of its terms) -> weight.
LASTS: dict[str, Callable] = {
    "the rest": lambda w, lam: lam ** (len(w) - 1),
    "what the others leave": lambda w, lam: 1.0 - w[:-1].sum(),
    "its own": lambda w, lam: w[-1],
    "a power more": lambda w, lam: lam ** len(w),
    "its own and the rest": lambda w, lam: w[-1] + lam ** (len(w) - 1),
}
# The factor of the reward k steps ahead without its γ^k: (weights, λ, N) -> (N,).
CONTAINED: dict[str, Callable] = {
    "closed form": lambda w, lam, n: _powers(lam, n),
    "added up": lambda w, lam, n: w[::-1].cumsum()[::-1],
    "of one return": lambda w, lam, n: w,
    "of one return, endless": lambda w, lam, n: (1 - lam) * _powers(lam, n),
    "undivided": lambda w, lam, n: np.ones(n),
    "a power more": lambda w, lam, n: _powers(lam, n, 1),
    "one return too many": lambda w, lam, n: np.append(w.sum(), w[::-1].cumsum()[::-1][:-1]),
    "the shorter ones": lambda w, lam, n: w.cumsum(),
    "the ones before": lambda w, lam, n: w.cumsum() - w,
}


@composable
def _weights(
    series: str = "as asked",
    last: str = "the rest",
    shared_out: bool = False,
    contained: str = "closed form",
    discount: str = "γ^k",
    order: str = "returns first",
) -> Callable:
    """λ-weights with their parts exchangeable; shared_out: whether weights are divided by their sum."""

    def lambda_weights(steps_left, gamma, lam):
        w = SERIES[series](gamma, lam, steps_left)
        ratio = {"swapped": 1 - lam, "discounted": gamma * lam}.get(series, lam)
        w[-1] = LASTS[last](w, ratio)
        with np.errstate(invalid="ignore"):
            w = w / w.sum() if shared_out else w
        powers = {"γ^k": 0, "γ^(k+1)": 1}
        by_time = _powers(gamma, steps_left, powers[discount]) if discount in powers else 1.0
        factors = by_time * CONTAINED[contained](w, lam, steps_left)
        return (w, factors) if order == "returns first" else (factors, w)

    return lambda_weights


def _either_way(**parts) -> list[Callable]:
    """Wrong weights of returns, with the rewards' factors right, and with those that follow from them."""
    return [_weights(**parts, contained=way) for way in ("closed form", "added up")]


def _by_double_loop(steps_left, gamma, lam):
    """Each return passes its weight on to every reward that it contains."""
    on_returns, on_rewards = np.zeros(steps_left), np.zeros(steps_left)
    for n in range(1, steps_left + 1):
        on_returns[n - 1] = lam ** (n - 1) * (1 if n == steps_left else 1 - lam)
        for k in range(n):
            on_rewards[k] += gamma**k * on_returns[n - 1]
    return on_returns, on_rewards


def _by_what_is_left(steps_left, gamma, lam):
    """Every return takes 1 − λ of the weight that the shorter ones have left, the last one all."""
    on_returns, left, factors = [], 1.0, []
    for k in range(steps_left):
        factors.append(gamma**k * left)
        on_returns.append(left if k == steps_left - 1 else (1 - lam) * left)
        left -= on_returns[-1]
    return np.array(on_returns), np.array(factors)


LAST_TAKES_THE_REST = "What are the weights if only one step is left? Do yours sum to 1 then?"

lambda_weights = Exercise(
    "lambda_weights",
    reference=prediction.lambda_weights,
    cases=_weight_cases,
    returns=several(on_returns=array(), on_rewards=array()),
    points=2,
    equation="(4.7)",
    mistakes=[
        Mistake(
            "endless",
            "The last return has only its own weight of the endless series (4.7), so your weights do not sum to 1. The "
            "episode is over there: what is left of the weight belongs to the last return.",
            LAST_TAKES_THE_REST,
            *_either_way(last="its own"),
        ),
        Mistake(
            "renormalised",
            "You divide the weights by their sum, so that every return gets a part of what is left. Nothing is shared "
            "out again: the rest goes to *one* return.",
            "Which returns of the endless series (4.7) are the same number once the episode is over?",
            *_either_way(last="its own", shared_out=True),
        ),
        Mistake(
            "one-power-late",
            "Your powers of λ begin one too late: the return of one step, n = 1, has the weight 1 − λ in equation (4.7).",
            "Put n = 1 into λ^{n−1}. And what do you have at the first place?",
            *_either_way(series="a power late", last="its own"),
            *_either_way(series="a power late"),
            *_either_way(series="a power late", last="what the others leave"),
            *_either_way(series="a power late", last="a power more"),
        ),
        Mistake(
            "lambda-swapped",
            "λ and 1 − λ have changed places. λ = 1 must be Monte Carlo: all the weight on the last return.",
            "Put λ = 1 into your weights. Which return has them all?",
            *_either_way(series="swapped"),
            *_either_way(series="swapped", last="its own"),
        ),
        Mistake(
            "last-also-shrunk",
            "The weight of the last return is not what the others leave: yours has a factor too many, or counts a part "
            "twice. The others' weights and the last one's add up to 1.",
            LAST_TAKES_THE_REST,
            *_either_way(last="a power more"),
            *_either_way(last="its own and the rest"),
        ),
        Mistake(
            "unshared",
            "The factor 1 − λ of equation (4.7) is missing: your weights are right in proportion, and sum to more than 1.",
            "What do your weights sum to, and what should they?",
            *_either_way(series="unshared"),
        ),
        Mistake(
            "gamma-in-weights",
            "γ stands in the weights of the returns. They say how much each return is believed; the discount is inside "
            "the returns already.",
            "Does γ occur in front of $G_{t:t+n}$ in equation (4.7)?",
            *_either_way(series="discounted"),
            *_either_way(series="discounted", last="its own"),
            *_either_way(series="discounted", last="what the others leave"),
        ),
        Mistake(
            "rewards-by-one-return",
            "You give the reward k steps ahead the weight of a single return. It is in *every* return longer than k: add "
            "their weights.",
            "Write down the first two returns in full. In how many of them does $r_t$ stand?",
            _weights(contained="of one return"),
            _weights(contained="of one return, endless"),
        ),
        Mistake(
            "rewards-undivided",
            "Your rewards count as in the whole rest of the episode. Only the returns that reach a reward contain it.",
            "What does λ = 0 leave of the rewards? And your factors?",
            _weights(contained="undivided"),
        ),
        Mistake(
            "rewards-undiscounted",
            "γ is missing from the factors of the rewards: every return discounts the reward k steps ahead.",
            "With which factor does the reward k steps ahead stand in equation (4.6)?",
            _weights(discount="none"),
        ),
        Mistake(
            "powers-from-one",
            "The factors of your rewards begin one power too late. The first reward comes now, and every return contains "
            "it.",
            "What is the factor of the first reward, k = 0, if *all* the returns contain it?",
            _weights(contained="a power more", discount="γ^(k+1)"),
            _weights(contained="a power more"),
            _weights(discount="γ^(k+1)"),
        ),
        Mistake(
            "return-too-short",
            "You add one return too many: the return of k steps ends just *before* the reward k steps ahead.",
            "Which is the last reward in $G_{t:t+n}$, by equation (4.6)?",
            _weights(contained="one return too many"),
        ),
        Mistake(
            "adds-the-shorter",
            "You add the weights from the wrong end. The *longer* returns contain a reward; the shorter ones stop "
            "before it.",
            "Which returns contain the very last reward of the episode?",
            _weights(contained="the shorter ones"),
            _weights(contained="the ones before"),
        ),
        Mistake(
            "results-exchanged",
            "Your two results have changed places: first the weights of the returns, then the factors of the rewards.",
            "Which of your two arrays sums to 1?",
            _weights(order="rewards first"),
        ),
    ],
    also_correct=[
        _weights(),
        *_either_way(last="what the others leave"),
        _by_double_loop,
        _by_what_is_left,
    ],
)

# -------------------------------------------------------------------------------- lambda_returns


def _lambda_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, gamma, lam, ends=(), dtype=np.float64, *tags) -> Case:
        terminated = np.isin(np.arange(n), ends).astype(dtype)
        v_next = rng.normal(size=n) * 2 + 1
        v_next[terminated.astype(bool)] += 30.0
        inputs = {"rewards": rng.normal(size=n) * 2, "v_next": v_next, "terminated": terminated}
        tags = tags if ends else (*tags, NO_END)
        return Case(name, inputs | {"gamma": gamma, "lam": lam}, tags)

    end = "episodes that end"
    return [
        case("six steps without an end", 6, 0.9, 0.8),
        case("an end in the middle", 7, 0.9, 0.7, (3,), np.float64, end),
        case("an end at the last step", 5, 0.9, 0.6, (4,), np.bool_, end, "`terminated` as bool"),
        case("two ends, `terminated` as int", 9, 0.95, 0.9, (2, 6), np.int64, end),
        case("λ = 0", 6, 0.9, 0.0, (2,), np.float64, "λ = 0"),
        case("λ = 1", 6, 0.9, 1.0, (), np.float64, "λ = 1"),
        case("λ = 1 with an end", 6, 0.9, 1.0, (2,), np.float64, "λ = 1", end),
        case("γ = 1", 6, 1.0, 0.5, (), np.float64, "γ = 1"),
        case("γ = 0", 6, 0.0, 0.5, (), np.float64, "γ = 0"),
        case("one step", 1, 0.9, 0.5, ()),
        case("one step that ends the episode", 1, 0.9, 0.5, (0,), np.bool_, end),
    ]


MIXES: dict[str, Callable] = {
    "as asked": lambda v, g, lam: (1 - lam) * v + lam * g,
    "swapped": lambda v, g, lam: lam * v + (1 - lam) * g,
    "above one": lambda v, g, lam: v + lam * g,
    "no λ": lambda v, g, lam: v + g,
    "value only": lambda v, g, lam: v,
    "return only": lambda v, g, lam: g,
    "λ on both": lambda v, g, lam: lam * v + lam * g,
    "half": lambda v, g, lam: (1 - lam) * v + g,
}


@composable
def _lambda(
    mix: str = "as asked",
    cut: str = "both",
    last: str = "v",
    discount: str = "both",
    shift: int = 0,
    forwards: bool = False,
) -> Callable:
    """λ-returns with their parts exchangeable.

    cut: what (1 − d) multiplies, of "value" and "return" and all; discount: what γ does; last: the
    return behind the end of the segment; shift: which step's flag is looked at.
    """

    def lambda_returns(rewards, v_next, terminated, gamma, lam):
        n = len(rewards)
        returns, g = np.zeros(n), float(v_next[-1]) if last == "v" else 0.0
        for t in range(n) if forwards else reversed(range(n)):
            flag = float(terminated[min(max(t + shift, 0), n - 1)])
            alive = 0.0 if flag else 1.0
            alive = flag if cut == "inverted" else alive
            v = v_next[t] * (alive if cut in ("both", "value", "all", "inverted") else 1.0)
            later = g * (alive if cut in ("both", "return", "all", "inverted") else 1.0)
            v = v * (gamma if discount in ("both", "value", "all") else 1.0)
            later = later * (gamma if discount in ("both", "return", "all") else 1.0)
            now = rewards[t] * (alive if cut == "all" else 1.0)
            g = now * (gamma if discount == "all" else 1.0) + MIXES[mix](v, later, lam)
            returns[t] = g
        return returns

    return lambda_returns


def _mixture(rewards, v_next, terminated, gamma, lam):
    """The definition: n-step returns weighted by (1 − λ)λ^{n−1}, the longest by what is left."""
    T = len(rewards)
    returns = np.zeros(T)
    for t in range(T):
        steps = range(1, T - t + 1)
        g = [
            _forward()(rewards[t : t + n], v_next[t + n - 1], terminated[t : t + n], gamma)
            for n in steps
        ]
        weights = [(1 - lam) * lam ** (n - 1) for n in steps]
        weights[-1] = lam ** (T - t - 1)
        returns[t] = np.dot(weights, g)
    return returns


def _by_errors(rewards, v_next, terminated, gamma, lam):
    """v + λ(G − v), from behind."""
    out, g = [], v_next[-1]
    for r, v, d in zip(rewards[::-1], v_next[::-1], terminated[::-1], strict=True):
        g = r if d else r + gamma * (v + lam * (g - v))
        out.append(g)
    return np.array(out[::-1])


def _linear_system(rewards, v_next, terminated, gamma, lam):
    alive, T = _alive(terminated), len(rewards)
    b = rewards + gamma * alive * (1 - lam) * v_next
    b[-1] += gamma * alive[-1] * lam * v_next[-1]
    return np.linalg.solve(np.eye(T) - np.diag((gamma * lam * alive)[:-1], 1), b)


lambda_returns = Exercise(
    "lambda_returns",
    reference=prediction.lambda_returns,
    cases=_lambda_cases,
    returns=array(),
    points=2,
    equation="(4.8)",
    partial={NO_END: 1},
    mistakes=[
        Mistake(
            "lambda-swapped",
            "λ and 1 − λ have changed places: λ = 1 must give Monte Carlo, λ = 0 the one-step target.",
            "Put λ = 1 into equation (4.8). Which of the two terms survives?",
            _lambda(mix="swapped"),
        ),
        Mistake(
            "bootstraps-terminal",
            "You go on past terminal states. After a terminal state comes nothing: neither v nor G.",
            LOOK_AT_ENDS,
            _lambda(cut="none"),
        ),
        Mistake(
            "no-final-bootstrap",
            "The return behind the last step counts as 0 in your recursion. The segment stops there, but the task "
            "does not: the tail is worth v(s_T).",
            "What is the λ-return of a segment of one step, for any λ?",
            _lambda(last="0"),
            lambda r, v, d, g, lam: _lambda()(r, np.append(v[:-1], 0.0), d, g, lam),
        ),
        Mistake(
            "carries-across-end",
            "You mask the value but not the return: what follows an end is another episode, so its return must "
            "not flow back across it.",
            "How many things does $(1-d_t)$ multiply in equation (4.8)?",
            _lambda(cut="value"),
        ),
        Mistake(
            "gamma-on-value-only",
            "λG_{t+1} is not discounted. It starts one step later, exactly as v(s_{t+1}) does.",
            "What does γ stand before in equation (4.8): one term or the whole bracket?",
            _lambda(discount="value"),
        ),
        Mistake(
            "weights-above-one",
            "Your weights add up to more than one: v counts in full, and λG comes on top. They share the weight.",
            "With v = G for all states, what should the bracket be?",
            _lambda(mix="above one"),
            _lambda(mix="no λ"),
            _lambda(mix="half"),
        ),
        Mistake(
            "no-gamma",
            "γ is missing: what the bracket in equation (4.8) holds lies one step ahead, so it counts γ of itself.",
            COUNT_GAMMA,
            _lambda(discount="none"),
        ),
        Mistake(
            "gamma-on-return-only",
            "v(s_{t+1}) is not discounted. It lies one step ahead, exactly as G_{t+1} does.",
            "What does γ stand before in equation (4.8): one term or the whole bracket?",
            _lambda(discount="return"),
        ),
        Mistake(
            "gamma-on-reward",
            "You discount the reward too. It comes now; only what follows is one step away.",
            COUNT_GAMMA,
            _lambda(discount="all"),
        ),
        Mistake(
            "bootstraps-value-only",
            "You mask the return but not the value: after a terminal state comes nothing, neither v nor G.",
            "How many things does $(1-d_t)$ multiply in equation (4.8)?",
            _lambda(cut="return"),
        ),
        Mistake(
            "masks-reward",
            "Your mask wipes out the reward as well. The last reward is real; only the future is cut.",
            LOOK_AT_ENDS,
            _lambda(cut="all"),
        ),
        Mistake(
            "mask-inverted",
            "Your mask is the wrong way round: the future counts where the episode ended, and not where it goes on.",
            "For an ordinary step d = 0. What remains of your return then?",
            _lambda(cut="inverted"),
        ),
        Mistake(
            "flag-of-another-step",
            "You look at the flag of the step before or after. d_t says whether step t itself ended the episode.",
            "Which index has d in equation (4.8)?",
            _lambda(shift=1),
            _lambda(shift=-1),
        ),
        Mistake(
            "lambda-ignored",
            "λ changes nothing: you take one of the two terms alone, the one-step target or the whole return.",
            "Which argument have you not used?",
            _lambda(mix="value only"),
            _lambda(mix="return only"),
        ),
        Mistake(
            "weights-equal",
            "Both terms carry λ. They share one weight: what the return does not get, v gets.",
            "With v = G for all states, what should the bracket be?",
            _lambda(mix="λ on both"),
        ),
        Mistake(
            "forward",
            "You go forwards, so that each return is made of the one *before* it. G_t needs G_{t+1}.",
            "Which of the returns can you write down without knowing any other? Start there.",
            _lambda(forwards=True),
        ),
    ],
    also_correct=[
        _lambda(),
        _by_errors,
        _mixture,
        _linear_system,
    ],
)  # fmt: skip

# -------------------------------------------------------------------------------- td_prediction


def _walk_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, env, episodes, step_size, gamma, *tags, deterministic=False) -> Case:
        policy = Policy(random_policy(rng, *env.R.shape, deterministic))
        inputs = {"env": env, "policy": policy, "episodes": episodes, "step_size": step_size}
        inputs |= {"gamma": gamma, "rng": Rng(int(rng.integers(2**31)))}
        return Case(name, inputs, tags)

    terminal, cut = "terminal ends", "time limits"
    both = random_env(rng, 4, 2, limit=1)
    both.ends[:] = True
    return [
        case("ends in terminal states", random_env(rng, ends=0.3, limit=60), 12, 0.3, 0.9, terminal),
        case("cut off after 7 steps", random_env(rng, limit=7), 10, 0.3, 0.9, cut),
        case("both kinds of end", random_env(rng, ends=0.15, limit=8), 15, 0.4, 0.8, terminal, cut),
        case("both flags at once", both, 8, 0.5, 0.9, terminal),
        case("a deterministic policy", random_env(rng, 6, 4, limit=12), 6, 0.2, 0.95, cut,
             deterministic=True),
        case("γ = 0", random_env(rng, limit=6), 6, 0.3, 0.0, "γ = 0"),
        case("γ = 1", random_env(rng, ends=0.3, limit=30), 6, 0.1, 1.0, terminal),
        case("step size 1", random_env(rng, limit=9), 5, 1.0, 0.9, cut),
        case("one state", random_env(rng, 1, 2, ends=0.2, limit=20), 4, 0.5, 0.5),
        case("an episode of 250 steps", random_env(rng, limit=250), 1, 0.1, 0.9, cut),
        case("no episodes", random_env(rng, limit=5), 0, 0.5, 0.9, "no episodes"),
    ]  # fmt: skip


@composable
def _td(
    masks: str = "terminated",
    value_of: str = "s'",
    discount: str = "future",
    paid: bool = True,
    update: str = "towards",
    updates: str = "s",
    predicted: str = "as updated",
    ends_on: str = "either",
    moves: bool = True,
    most: int | None = None,
    forgets: bool = False,
    asks: str = "s",
) -> Callable:
    """Tabular TD(0) with its parts exchangeable; predicted: whose value the error subtracts."""

    def td_prediction(env, policy, episodes, step_size, gamma, rng):
        n = env.observation_space.n
        v = np.zeros(n)
        for _ in range(episodes if most is None else min(episodes, most)):
            v = np.zeros(n) if forgets else v
            s, _ = env.reset()
            first, done = s, False
            while not done:
                a = (
                    0
                    if asks == "nobody"
                    else policy(first if asks == "the first state" else s, rng)
                )
                s_next, reward, *flags, _ = env.step(a)
                value = v[s_next if value_of == "s'" else s]
                y = sampled_target(reward, value, FLAGS[masks](*flags), gamma, discount, paid)
                i = s if updates == "s" else s_next
                if predicted == "as updated":
                    v[i] = UPDATES[update](v[i], y, step_size)
                else:
                    v[i] += step_size * (y - v[s_next if predicted == "s'" else s])
                s, done = s_next if moves else s, FLAGS[ends_on](*flags)
        return v

    return td_prediction


def _walking(**parts) -> tuple[Callable]:
    return (_td(**parts),)


def _td_through_target(env, policy, episodes, step_size, gamma, rng):
    v = np.zeros(env.observation_space.n)
    for _ in range(episodes):
        (s, _), ended = env.reset(), False
        while not ended:
            s_next, reward, d, c, _ = env.step(policy(s, rng))
            batch = np.array([reward]), v[[s_next]], np.array([d])
            v[s] += step_size * (prediction.td0_target(*batch, gamma)[0] - v[s])
            s, ended = s_next, d or c
    return v


WHICH_FLAG = "Which of the two flags belongs into the target, and which only ends the loop?"

td_prediction = Exercise(
    "td_prediction",
    reference=prediction.td_prediction,
    cases=_walk_cases,
    returns=array(),
    points=3,
    equation="(4.5)",
    notes=["resets", "steps", "choices"],
    mistakes=[
        Mistake(
            "bootstraps-terminal",
            "Your loop bootstraps from the state that ended the episode. A terminal state is worth 0, whatever "
            "stands at its index.",
            WHICH_FLAG,
            _td(masks="never"),
        ),
        Mistake(
            "masks-truncation",
            "You do not bootstrap where a time limit cut the episode. The clock ran out, the task did not: "
            "v(s′) still counts.",
            "What is the state worth at which the time ran out?",
            _td(masks="either"),
        ),
        *update_mistakes(_walking, "v(s)", COUNT_GAMMA, WHICH_FLAG),
        Mistake(
            "updates-next-state",
            "You move v(s′) instead of v(s). The target is news about the state you left.",
            "Which state's return begins with the reward that you have just got?",
            _td(updates="s'"),
            _td(updates="s'", predicted="s"),
        ),
        Mistake(
            "own-value",
            "Your target bootstraps from v(s), the state you left. What follows begins in s′.",
            "Which state's value stands in equation (4.4)?",
            _td(value_of="s"),
        ),
        Mistake(
            "next-prediction-subtracted",
            "Your error subtracts v(s′). What is corrected is the prediction for s: subtract that.",
            "Which prediction does the error of equation (4.5) belong to?",
            _td(predicted="s'"),
        ),
        Mistake(
            "policy-not-asked",
            "`policy` is never asked: your actions come from elsewhere. The values wanted are the policy's.",
            "Which argument of your function is never used? What does it need, to choose?",
            _td(asks="nobody"),
            shows=never_asked,
        ),
        Mistake(
            "stale-state",
            "The policy always sees the episode's first state. It chooses anew in every state.",
            "Print what the policy is given for three rounds. Does it move?",
            _td(asks="the first state"),
        ),
    ],
    also_correct=[_td(), _td_through_target],
)

LESSON = Lesson(
    "04",
    "Monte Carlo, temporal differences, n steps",
    [mc_prediction, td0_target, n_step_return, lambda_weights, lambda_returns, td_prediction],
)
