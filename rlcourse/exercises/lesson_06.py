"""Lesson 06: linear prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from rlcourse.checker.comparing import difference, same
from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    array,
    composable,
    number,
)
from rlcourse.checker.harness import Case, Outcome
from rlcourse.checker.material import FLAG_TYPES, flags, random_env, random_policy
from rlcourse.checker.probes import Features, Policy, Rng
from rlcourse.tabular import returns
from rlcourse.values import features, linear

from .lesson_00 import FLAGS, never_asked
from .targets import (
    COUNT_GAMMA,
    MASK_INVERTED,
    MASKS_REWARD,
    NO_GAMMA,
    TERMINAL_FUNCTION,
    but_for_the_refusal,
    one_step,
    sampled_target,
    target_mistakes,
    told_of_refusal,
    update_mistakes,
)

TERMINAL = f"You bootstrap from terminal states. {TERMINAL_FUNCTION}"
IN_PLACE = "You write the new weights over the ones that were passed in. Return new values; the caller still needs the old ones."
NEW_ARRAY = "`w += …` changes the caller's array; `w = w + …` makes a new one."
RESIDUAL = (
    "You differentiate the target too: γx′ is in your step. Semi-gradient: the target counts as a constant; only the "
    "prediction moves."
)
INCREMENT_ONLY = (
    "You return the change alone. Return the new weights: the old ones plus the change."
)
NO_STEP_SIZE = "The step size is missing: it says how far to go along the gradient."
TWICE = "Your step is twice as long as it should be. The 2 from the square cancels with the ½ in the objective (6.5)."

# -------------------------------------------------------------------------------- basis_features


def _places(rng: np.random.Generator) -> list[Case]:
    def case(name: str, s: np.ndarray, order: int, basis: str, *tags: str) -> Case:
        return Case(name, {"s": s, "order": order, "basis": basis}, (f"{basis} basis", *tags))

    made = []
    for basis in ("polynomial", "fourier"):

        def places(n: int, basis=basis) -> np.ndarray:
            return rng.random(n) * 0.8 + 0.1 if basis == "fourier" else rng.normal(size=n) * 1.5

        ends = np.array([0.0, 0.25, 1.0, rng.uniform(0.3, 0.9)])
        made += [
            case(f"{basis}: seven states, order 3", places(7), 3, basis),
            case(f"{basis}: as many states as features", places(4), 3, basis, "N = order + 1"),
            case(f"{basis}: both ends of the interval", ends, 4, basis, "s = 0"),
            case(f"{basis}: order 0", places(5), 0, basis, "order 0"),
            case(f"{basis}: one state, order 6", places(1), 6, basis, "N = 1"),
            case(f"{basis}: order 1", places(6), 1, basis),
            case(f"{basis}: no states", np.zeros(0), 4, basis, "N = 0"),
        ]
    made.append(case("polynomial: states far from 0", rng.uniform(5, 9, size=5), 5, "polynomial"))
    return made


BASES = ("polynomial", "fourier")
WAVES: dict[str, Callable] = {
    "cos iπs": lambda i, s: np.cos(np.pi * i * s),
    "cos is": lambda i, s: np.cos(i * s),
    "cos 2πis": lambda i, s: np.cos(2 * np.pi * i * s),
    "sin iπs": lambda i, s: np.sin(np.pi * i * s),
    "sin iπs, and the constant": lambda i, s: np.where(i == 0, 1.0, np.sin(np.pi * i * s)),
    "half waves": lambda i, s: np.cos(np.pi * (i + 0.5) * s),
}
POWERS: dict[str, Callable] = {
    "s^i": lambda i, s: s ** i.astype(float),
    "is": lambda i, s: i * s,
    "i^s": lambda i, s: i.astype(float) ** s,
    "rescaled": lambda i, s: (s / np.max(np.abs(s), initial=1e-300)) ** i,
    "order only": lambda i, s: s ** np.full(len(i), max(i, default=0)),
    "without 0^0": lambda i, s: np.where(s == 0, 0.0, s ** i.astype(float)),
}


@composable
def _basis(
    first: int = 0,
    last: int = 0,
    rising: bool = True,
    by_state: bool = True,
    power: str = "s^i",
    wave: str = "cos iπs",
    always: str = "",
    swapped: bool = False,
    axis: bool = True,
    refuses: bool = True,
) -> Callable:
    """Features with their parts exchangeable; first, last: the first index, and how many are missing at the end.

    refuses: whether another basis raises; else it is taken for the Fourier basis.
    """

    def basis_features(s, order, basis):
        if refuses and basis not in BASES:
            raise ValueError(basis)
        i = np.arange(first, order + 1 + last)
        i = i if rising else i[::-1]
        polynomial = (always or basis) == "polynomial"
        f = POWERS[power] if polynomial != swapped else WAVES[wave]
        with np.errstate(all="ignore"):
            x = f(i, s[:, None])
        if not axis:
            return x.sum(axis=1)
        return x if by_state else x.T.copy()

    return basis_features


def _of_two(polynomial: Callable, fourier: Callable) -> Callable:
    """A right answer from a function (s, order) for each basis."""

    def basis_features(s, order, basis):
        if basis == "polynomial":
            return polynomial(s, order)
        if basis == "fourier":
            return fourier(s, order)
        raise ValueError("no such basis")

    return basis_features


def _running_products(s, order, basis):
    """Powers one by one; cosines by cos (i+1)a = 2 cos a cos ia − cos (i−1)a."""
    if basis not in BASES:
        raise ValueError(basis)
    columns = [np.ones(len(s))]
    for i in range(1, order + 1):
        if basis == "polynomial":
            columns.append(columns[-1] * s)
        else:
            c = np.cos(np.pi * s)
            columns.append(c if i == 1 else 2 * c * columns[-1] - columns[-2])
    return np.stack(columns, axis=1)


def _by_double_loop(s, order, basis):
    if basis not in BASES:
        raise ValueError(f"There is no basis {basis!r}.")
    x = np.zeros((len(s), order + 1))
    for n, value in enumerate(s):
        for i in range(order + 1):
            x[n, i] = value**i if basis == "polynomial" else np.cos(i * np.pi * value)
    return x


_close = partial(same, rtol=1e-9, atol=1e-10)


def _told_of_bases(case: Case, answer: dict, right: dict) -> str:
    if _close(answer["value"], right["value"]):
        return told_of_refusal("Both bases are right", "basis", answer)
    return difference(basis_features, case, answer, right)


basis_features = Exercise(
    "basis_features",
    reference=features.basis_features,
    cases=_places,
    returns=array(),
    points=1,
    equation="(6.3)",
    call="choosing",
    alike=but_for_the_refusal(_close),
    tells=_told_of_bases,
    mistakes=[
        Mistake(
            "missing-constant",
            "i starts at 0: without the constant every polynomial is forced through 0 at s = 0.",
            "Which function of s is x_0, in either basis?",
            _basis(first=1),
            _basis(first=1, last=1),
        ),
        Mistake(
            "one-short",
            "One feature too few: order n means n + 1 features, i = 0, …, n.",
            "Does `np.arange(n)` hold n?",
            _basis(last=-1),
        ),
        Mistake(
            "one-too-many",
            "One feature too many: order n means n + 1 features, i = 0, …, n.",
            "Which is the last number of your `np.arange`?",
            _basis(last=1),
        ),
        Mistake(
            "highest-power-first",
            "Column i must hold $s^i$; yours run downwards.",
            "What does `np.vander` put into its first column, if nobody says otherwise?",
            _basis(rising=False),
        ),
        Mistake(
            "transposed",
            "Your features are (order+1, N). One row per state: batch first.",
            "Print the shape for seven states and order 3. Which axis are the states?",
            _basis(by_state=False),
        ),
        Mistake(
            "no-pi",
            "Your cosines are cos(is). Over [0, 1] this cosine does not complete its half wave: where is π?",
            "What should the first wave be worth at s = 1?",
            _basis(wave="cos is"),
        ),
        Mistake(
            "two-pi",
            "Your cosines are cos(2πis). That basis is periodic on [0, 1]: it cannot tell s = 0 from s = 1.",
            "Compare the rows of s = 0 and s = 1.",
            _basis(wave="cos 2πis"),
        ),
        Mistake(
            "sine",
            "Sines vanish at both ends; the even half of the series is the cosine.",
            "What is each of your features worth at s = 0?",
            _basis(wave="sin iπs"),
            _basis(wave="sin iπs, and the constant"),
        ),
        Mistake(
            "half-waves",
            "Your waves end between two half waves: the index in the cosine is a whole number.",
            "What is the first feature, i = 0, in equation (6.3)?",
            _basis(wave="half waves"),
        ),
        Mistake(
            "bases-swapped",
            "The two bases have changed places. Which of the two is called polynomial?",
            "Print what you get for s = 2 and the polynomial basis.",
            _basis(swapped=True),
        ),
        Mistake(
            "basis-ignored",
            "You compute the same features for either basis.",
            "Which argument have you not used?",
            _basis(always="polynomial"),
            _basis(always="fourier"),
        ),
        Mistake(
            "multiplied",
            "You multiply by i where s is to be raised to the power i.",
            "What is $s^2$ for s = 3? And what is yours?",
            _basis(power="is"),
        ),
        Mistake(
            "base-and-exponent-swapped",
            "Base and exponent have changed places: $i^s$ for $s^i$.",
            "What is $s^2$ for s = 3? And what is yours?",
            _basis(power="i^s"),
        ),
        Mistake(
            "rescaled",
            "You rescale s first. It comes as it is to be used; where it has to lie in [0, 1], the caller sees to that.",
            "What is $s^1$?",
            _basis(power="rescaled"),
        ),
        Mistake(
            "highest-power-only",
            "Every column holds the highest power. Column i has its own, $s^i$.",
            "Which features does equation (6.3) list for order 2?",
            _basis(power="order only"),
        ),
        Mistake(
            "no-constant-at-0",
            "At s = 0 your constant is 0. $0^0$ counts as 1 here: the constant is 1 everywhere.",
            "What stands in column 0 for s = 0?",
            _basis(power="without 0^0"),
        ),
        Mistake(
            "summed",
            "You add the features up. They stay apart, one column each: the weights decide how to add them.",
            "Print the shape of your result; (N, order+1) is wanted.",
            _basis(axis=False),
        ),
        Mistake(
            "any-basis",
            "Both bases are right, but another name is taken for one of them. A name that is spelt wrongly would learn "
            "with other features than you think: raise ValueError.",
            'What does your function do with the basis "median"?',
            _basis(refuses=False),
        ),
    ],
    also_correct=[
        _basis(),
        _running_products,
        _by_double_loop,
        _of_two(
            lambda s, n: np.vander(s, n + 1, increasing=True),
            lambda s, n: np.cos(np.outer(s, np.pi * np.arange(n + 1))),
        ),
        _of_two(
            lambda s, n: np.power.outer(s, np.arange(n + 1)),
            lambda s, n: np.exp(1j * np.pi * np.outer(s, np.arange(n + 1))).real,
        ),
    ],
)

# --------------------------------------------------------------------------- gradient_mc_episode


def _episodes(rng: np.random.Generator) -> list[Case]:
    def case(name, steps, d, gamma, step_size, *tags, whole=False, kind="normal") -> Case:
        x = rng.normal(size=(steps, d))
        if kind == "one-hot":
            x = np.eye(d)[rng.integers(d, size=steps)]
        r = rng.integers(-5, 6, size=steps) if whole else rng.normal(size=steps) * 2 + 0.3
        inputs = {"w": rng.normal(size=d), "x": x, "r": r, "gamma": gamma, "step_size": step_size}
        return Case(name, inputs, tags)

    return [
        case("five steps, three features", 5, 3, 0.9, 0.1),
        case("four steps, four features", 4, 4, 0.8, 0.2, "T = d"),
        case("one step", 1, 3, 0.9, 0.3, "T = 1"),
        case("one feature", 6, 1, 0.7, 0.1, "d = 1"),
        case("one step, one feature", 1, 1, 0.6, 0.2, "T = 1", "d = 1"),
        case("whole-number rewards", 6, 2, 0.9, 0.1, "whole-number rewards", whole=True),
        case("whole-number rewards and γ = ½", 5, 3, 0.5, 0.2, "whole-number rewards", whole=True),
        case("γ = 0", 5, 3, 0.0, 0.2, "γ = 0"),
        case("γ = 1", 5, 3, 1.0, 0.1, "γ = 1"),
        case("shared weights of groups", 9, 3, 0.9, 0.3, kind="one-hot"),
        case("more features than steps", 2, 7, 0.95, 0.1),
        case("a long episode", 60, 4, 0.97, 0.01),
        case("step size 0", 4, 3, 0.9, 0.0, "step size 0"),
    ]  # fmt: skip


def _later(r, gamma):
    return gamma * np.append(returns.returns_to_go(r, gamma)[1:], 0.0)


def _past(r, gamma):
    g, out = 0.0, []
    for reward in r:
        g = reward + gamma * g
        out.append(g)
    return np.array(out)


TARGETS: dict[str, Callable] = {
    "returns": lambda r, gamma: returns.returns_to_go(r, gamma),
    "undiscounted": lambda r, gamma: returns.returns_to_go(r, 1.0),
    "rewards": lambda r, gamma: np.asarray(r, dtype=float),
    "the first": lambda r, gamma: np.full(len(r), returns.returns_to_go(r, gamma)[0]),
    "later": _later,
    "discounted once more": lambda r, gamma: gamma * returns.returns_to_go(r, gamma),
    "past": _past,
    "turned round": lambda r, gamma: returns.returns_to_go(r, gamma)[::-1],
    "from the start": lambda r, gamma: (
        float(gamma) ** np.arange(len(r)) * returns.returns_to_go(r, gamma)
    ),
}


@composable
def _mc(
    target: str = "returns",
    side: float = 1.0,
    gradient: str = "x",
    weights: str = "new",
    error: str = "g - v",
    order: str = "forwards",
    stepped: bool = True,
    gives: str = "weights",
    in_place: bool = False,
    whole: bool = False,
) -> Callable:
    """Gradient Monte Carlo with its parts exchangeable; whole: whether returns are kept as the rewards' type."""

    def gradient_mc_episode(w, x, r, gamma, step_size):
        steps = range(len(r)) if order == "forwards" else reversed(range(len(r)))
        old = w.copy()
        step = side * (step_size if stepped else 1.0)
        step = step / len(r) if weights == "old, averaged" else step
        g = TARGETS[target](r, gamma) if target in TARGETS else None
        g = g.astype(np.asarray(r).dtype) if whole else g
        for t in steps:
            seen = w if weights == "new" else old
            if target == "bootstraps":
                y = r[t] + (gamma * (x[t + 1] @ seen) if t + 1 < len(r) else 0.0)
            else:
                y = g[t]
            e = {
                "g - v": lambda y=y, t=t, seen=seen: y - x[t] @ seen,
                "g": lambda y=y: y,
                "elementwise": lambda y=y, t=t, seen=seen: y - x[t] * seen,
            }[error]()
            along = {"x": x[t], "ones": np.ones(len(w)), "w": seen}[gradient]
            if in_place:
                w += step * e * along
            else:
                w = w + step * e * along
        return w - old if gives == "change" else w

    return gradient_mc_episode


def _forward_sums(w, x, r, gamma, step_size):
    for t in range(len(r)):
        g = sum(gamma ** (k - t) * r[k] for k in range(t, len(r)))
        w = w - step_size * (sum(x[t] * w) - g) * x[t]
    return w


def _discount_matrix(w, x, r, gamma, step_size):
    t = np.arange(len(r))
    gap = t[None, :] - t[:, None]
    g = np.where(gap >= 0, float(gamma) ** np.maximum(gap, 0), 0.0) @ r
    new = w.copy()
    for n in t:
        new += step_size * (g[n] - np.dot(new, x[n])) * x[n]
    return new


def _list_turned_round(w, x, r, gamma, step_size):
    g, back = 0.0, []
    for reward in r[::-1]:
        g = reward + gamma * g
        back.append(g)
    for row, g in zip(x, back[::-1], strict=True):
        w = (np.eye(len(w)) - step_size * np.outer(row, row)) @ w + step_size * g * row
    return w


RETURNS_FIRST = (
    "Write down the returns of an episode with rewards 1, 2, 4 and γ = ½. What does your code say?"
)

gradient_mc_episode = Exercise(
    "gradient_mc_episode",
    reference=linear.gradient_mc_episode,
    cases=_episodes,
    returns=array(),
    points=2,
    equation="(6.7)",
    mistakes=[
        Mistake(
            "uphill",
            "Your step goes the wrong way. The error's gradient is $-(g-\\hat v)x$; going down it means adding.",
            "Should v̂ rise or fall where the return was higher than predicted?",
            _mc(side=-1.0),
        ),
        Mistake(
            "features-forgotten",
            "You change every weight by the same amount. $\\nabla_w\\hat v = x$: a weight whose feature is 0 must not "
            "move.",
            "How does v̂(s) change when only weight i is moved a little?",
            _mc(gradient="ones"),
        ),
        Mistake("factor-two", TWICE, "Differentiate ½(g − xᵀw)² by hand.", _mc(side=2.0)),
        Mistake(
            "no-gamma",
            "Your returns are not discounted: a reward k steps ahead counts γ^k of itself.",
            RETURNS_FIRST,
            _mc(target="undiscounted"),
        ),
        Mistake(
            "rewards-for-returns",
            "You move towards the reward of the one step. Monte Carlo waits for everything that still comes.",
            RETURNS_FIRST,
            _mc(target="rewards"),
        ),
        Mistake(
            "one-return",
            "You use the return of the whole episode for every step. Each state has the return that follows *it*.",
            RETURNS_FIRST,
            _mc(target="the first"),
        ),
        Mistake(
            "own-reward-forgotten",
            "Your return leaves out the step's own reward. The return begins with the reward for leaving this state.",
            "What is the return of the last step of an episode?",
            _mc(target="later"),
        ),
        Mistake(
            "old-weights",
            "You take all steps from the weights before the episode. Every step starts from the weights that the last "
            "one left.",
            "Which w is in the error of your second step?",
            _mc(weights="old"),
            _mc(weights="old, averaged"),
        ),
        Mistake(
            "last-step-first",
            "You go through the episode from its end. Returns may be summed backwards, but the steps come in order of "
            "time: the weights change on the way.",
            "Which state's prediction is corrected first?",
            _mc(order="backwards"),
        ),
        Mistake(
            "bootstraps",
            "Your target is $r+\\gamma\\hat v(s')$. That is TD(0), the next exercise: Monte Carlo asks no estimate.",
            "Does your target depend on w?",
            _mc(target="bootstraps"),
            _mc(target="bootstraps", weights="old"),
        ),
        Mistake("changes-in-place", IN_PLACE, NEW_ARRAY, _mc(in_place=True)),
        Mistake(
            "only-the-increment",
            INCREMENT_ONLY,
            "What should come out at a step size of 0?",
            _mc(gives="change"),
        ),
        Mistake(
            "gamma-on-reward",
            "Your returns are discounted once too often: the first reward comes now, with the weight 1.",
            RETURNS_FIRST,
            _mc(target="discounted once more"),
        ),
        Mistake(
            "forward",
            "You sum the past: your return of a step is made of the rewards *before* it.",
            RETURNS_FIRST,
            _mc(target="past"),
        ),
        Mistake(
            "returns-in-reverse",
            "Your returns are right, but in reverse order: the first state gets the last one's.",
            "You have summed from the end. Which return comes first in your list?",
            _mc(target="turned round"),
        ),
        Mistake(
            "discounted-from-start",
            "A factor γ^t is left in: your returns count from the start of the episode. Discounting starts anew at each t.",
            RETURNS_FIRST,
            _mc(target="from the start"),
        ),
        Mistake(
            "prediction-not-subtracted",
            "You add the return itself, and nothing is subtracted: the weights grow at every visit. What moves them is "
            "the *error*.",
            "By how much should w move where the prediction is right already?",
            _mc(error="g"),
        ),
        Mistake(
            "no-dot-product",
            "You multiply features and weights and do not add up: xᵀw is one number, the prediction for the state.",
            "Print the shape of your prediction.",
            _mc(error="elementwise"),
        ),
        Mistake(
            "weights-for-features",
            "You go along w. The gradient of xᵀw with respect to w is x.",
            "How does v̂(s) change when only weight i is moved a little?",
            _mc(gradient="w"),
        ),
        Mistake(
            "no-step-size",
            NO_STEP_SIZE,
            "What should come out at a step size of 0?",
            _mc(stepped=False),
        ),
        Mistake(
            "whole-numbers",
            "Your returns lose their fractions where rewards are whole numbers: an array like `r` holds whole numbers "
            "too.",
            "Print `np.zeros_like(np.array([1, 2])).dtype`.",
            _mc(whole=True),
        ),
    ],
    also_correct=[_mc(), _forward_sums, _discount_matrix, _list_turned_round],
)

# ----------------------------------------------------------------------- semi_gradient_td_update


def _single_steps(rng: np.random.Generator) -> list[Case]:
    def case(name, d, terminated, gamma, step_size, *tags, r=None, kind="normal") -> Case:
        x, x_next = rng.normal(size=(2, d))
        if kind == "one-hot":
            x, x_next = np.eye(d)[rng.choice(d, size=2, replace=False)]
        if kind == "loop":
            x_next = x.copy()
        if terminated and kind == "normal":  # what stands there is anybody's guess
            x_next = x_next + 20 * rng.choice([-1.0, 1.0], size=d)
        inputs = {"w": rng.normal(size=d), "x": x, "r": rng.normal() * 2 if r is None else r}
        inputs |= {"x_next": x_next, "terminated": terminated}
        return Case(name, inputs | {"gamma": gamma, "step_size": step_size}, tags)

    end = "a terminal step"
    one, two, three = (kind(1).item() if kind is np.float64 else kind(1) for kind in FLAG_TYPES)
    return [
        case("four features", 4, False, 0.9, 0.1),
        case("three features, `terminated` as int", 3, 0, 0.8, 0.3),
        case("three features, `terminated` as float", 3, 0.0, 0.7, 0.2),
        case("a terminal step, as bool", 4, True, 0.9, 0.1, end),
        case("a terminal step, as NumPy's bool", 2, one, 0.9, 0.2, end),
        case("a terminal step, as int", 3, int(two), 0.9, 0.2, end),
        case("a terminal step, as float", 3, three, 0.9, 0.2, end),
        case("one feature", 1, 0, 0.9, 0.5, "d = 1"),
        case("one feature, a terminal step", 1, 1, 0.9, 0.5, "d = 1", end),
        case("groups: s′ lies in another one", 5, False, 0.9, 0.5, kind="one-hot"),
        case("groups, a terminal step", 5, True, 0.9, 0.5, end, kind="one-hot"),
        case("s′ has the features of s", 3, False, 0.9, 0.2, kind="loop"),
        case("γ = 0", 3, False, 0.0, 0.2, "γ = 0"),
        case("γ = 1", 3, False, 1.0, 0.2, "γ = 1"),
        case("a whole-number reward", 3, False, 0.9, 0.2, r=2),
        case("step size 0", 3, False, 0.9, 0.0, "step size 0"),
    ]  # fmt: skip


@composable
def _td_step(
    mask: str = "future",
    discount: str = "future",
    paid: bool = True,
    side: float = 1.0,
    gradient: str = "x",
    error: str = "y - v",
    stepped: bool = True,
    gives: str = "weights",
    in_place: bool = False,
    at_end: str = "as ever",
) -> Callable:
    """One step of TD(0) with its parts exchangeable; mask, discount, paid as in `one_step`."""

    def semi_gradient_td_update(w, x, r, x_next, terminated, gamma, step_size):
        if at_end == "nothing" and terminated:
            return w.copy()
        here, there = (x * w, x_next * w) if error == "elementwise" else (x @ w, x_next @ w)
        here, there = (there, here) if error == "exchanged" else (here, there)
        y = one_step(r, there, terminated, gamma, mask, discount, paid)
        e = {"y": y, "y + v": y + here}.get(error, y - here)
        alive = 1.0 - float(terminated)
        along = {
            "x": x,
            "x'": x_next,
            "residual": x - gamma * alive * x_next,
            "residual, unmasked": x - gamma * x_next,
            "residual, undiscounted": x - alive * x_next,
            "residual, added": x + gamma * alive * x_next,
            "ones": np.ones(len(w)),
            "w": w,
        }[gradient]
        change = side * (step_size if stepped else 1.0) * e * along
        if in_place:
            w += change
            return w
        return change if gives == "change" else w + change

    return semi_gradient_td_update


def _by_matrix(w, x, r, x_next, terminated, gamma, step_size):
    """(I − αA) w + α r x."""
    future = np.zeros_like(x) if terminated else gamma * x_next
    return (np.eye(len(w)) - step_size * np.outer(x, x - future)) @ w + step_size * r * x


def _if_terminated(w, x, r, x_next, terminated, gamma, step_size):
    if terminated:
        return w + step_size * (r - np.dot(x, w)) * x
    return w + step_size * (r + gamma * np.dot(x_next, w) - np.dot(x, w)) * x


def _weight_by_weight(w, x, r, x_next, terminated, gamma, step_size):
    v, v_next = (float(sum(f * c for f, c in zip(row, w, strict=True))) for row in (x, x_next))
    delta = r + gamma * (not terminated) * v_next - v
    return np.array([c + step_size * delta * f for c, f in zip(w, x, strict=True)])


semi_gradient_td_update = Exercise(
    "semi_gradient_td_update",
    reference=linear.semi_gradient_td_update,
    cases=_single_steps,
    returns=array(),
    points=2,
    equation="(6.8)",
    mistakes=[
        Mistake(
            "residual-gradient",
            RESIDUAL,
            "Which features stand behind δ in equation (6.8)?",
            _td_step(gradient="residual"),
            _td_step(gradient="residual, unmasked"),
            _td_step(gradient="residual, undiscounted"),
            _td_step(gradient="residual, added"),
        ),
        Mistake(
            "uphill",
            "Your step goes the wrong way. A positive δ says s was undervalued: raise it.",
            "Should v̂(s) rise or fall where the target is higher?",
            _td_step(side=-1.0),
        ),
        Mistake(
            "terminal-bootstrap",
            TERMINAL,
            "What is the right target for a step that ended the episode? And what is yours?",
            _td_step(mask="none"),
        ),
        Mistake("no-gamma", NO_GAMMA, COUNT_GAMMA, _td_step(discount="none")),
        Mistake(
            "wrong-gradient",
            "You move along the features of s′. The value being corrected is that of s, so its features move.",
            "Which state's prediction is the error about?",
            _td_step(gradient="x'"),
        ),
        Mistake("changes-in-place", IN_PLACE, NEW_ARRAY, _td_step(in_place=True)),
        *(
            mistake
            for mistake in target_mistakes(
                _td_step,
                TERMINAL,
                "What is the right target for a step that ended the episode? And what is yours?",
                COUNT_GAMMA,
            )
            if mistake.name not in ("bootstraps-terminal", "no-gamma")
        ),
        Mistake(
            "features-forgotten",
            "You change every weight by the same amount. $\\nabla_w\\hat v = x$: a weight whose feature is 0 must not "
            "move.",
            "How does v̂(s) change when only weight i is moved a little?",
            _td_step(gradient="ones"),
        ),
        Mistake(
            "factor-two",
            TWICE,
            "Differentiate ½(y − xᵀw)² by hand, y a constant.",
            _td_step(side=2.0),
        ),
        Mistake(
            "states-exchanged",
            "s and s′ have changed places in your error: the target looks ahead, from s to s′.",
            "Which of the two predictions stands beside γ?",
            _td_step(error="exchanged"),
        ),
        Mistake(
            "prediction-not-subtracted",
            "You move by the target itself. What moves the weights is the *error*: the target minus the prediction.",
            "By how much should w move where the prediction is right already?",
            _td_step(error="y"),
            _td_step(error="y + v"),
        ),
        Mistake(
            "no-dot-product",
            "You multiply features and weights and do not add up: xᵀw is one number, the prediction for the state.",
            "Print the shape of your error.",
            _td_step(error="elementwise"),
        ),
        Mistake(
            "weights-for-features",
            "You go along w. The gradient of xᵀw with respect to w is x.",
            "How does v̂(s) change when only weight i is moved a little?",
            _td_step(gradient="w"),
        ),
        Mistake(
            "only-the-increment",
            INCREMENT_ONLY,
            "What should come out at a step size of 0?",
            _td_step(gives="change"),
        ),
        Mistake(
            "no-step-size",
            NO_STEP_SIZE,
            "What should come out at a step size of 0?",
            _td_step(stepped=False),
        ),
        Mistake(
            "no-update-at-the-end",
            "A terminal step changes nothing in your weights. Its reward is real: only the bootstrap is switched off.",
            "What is the target of a step that ends the episode with a reward of 1?",
            _td_step(at_end="nothing"),
        ),
    ],
    also_correct=[_td_step(), _by_matrix, _if_terminated, _weight_by_weight],
)

# ------------------------------------------------------------------------- two_state_fixed_point


def _two_states(rng: np.random.Generator) -> list[Case]:
    def case(name, gamma, *tags, p=None, q=None, x=None, r=None) -> Case:
        p, q = (float(rng.uniform(*ends)) if given is None else given
                for given, ends in ((p, (0.15, 0.4)), (q, (0.5, 0.9))))  # fmt: skip
        if x is None:
            x = rng.uniform(0.5, 1.5, size=2) * [1.0, 2.0]
        r = rng.uniform(0.5, 2.0, size=2) * rng.choice([-1.0, 1.0], size=2) if r is None else r
        inputs = {"x": np.asarray(x), "r": np.asarray(r), "p": p, "q": q, "gamma": gamma}
        return Case(name, inputs, tags)

    def features_of(*signs: float) -> np.ndarray:
        return rng.uniform(0.5, 1.5, size=2) * signs

    return [
        case("γ = 0.9", 0.9),
        case("γ = ½, state 1 the likelier one", 0.5, p=0.8, q=0.3),
        case("features of both signs", 0.9, x=features_of(1, -1)),
        case("both features negative", 0.8, x=features_of(-1, -2)),
        case("state 0 has the feature 0", 0.9, "a feature 0", x=features_of(0, 1)),
        case("state 1 has the feature 0", 0.7, "a feature 0", x=features_of(1, 0)),
        case("whole-number features", 0.9, "whole numbers", x=np.array([1, 2])),
        case("whole numbers", 0.9, "whole numbers", x=np.array([3, -1]), r=np.array([2, 1])),
        case("γ = 0", 0.0, "γ = 0"),
        case("γ = 1", 1.0, "γ = 1", x=features_of(1, 3)),
        case("p = q = 1", 0.9, "it never stays", p=1.0, q=1.0),
        case("p = 1", 0.9, p=1.0),
        case("q = 1", 0.8, q=1.0),
        case("both states alike", 0.9, "x₀ = x₁", x=[1.5, 1.5]),
        case("state 0 is left very seldom", 0.95, p=0.01),
    ]


MU: dict[str, Callable] = {
    "policy": lambda p, q: np.array([q, p]) / (p + q),
    "alike": lambda p, q: np.array([0.5, 0.5]),
    "reversed": lambda p, q: np.array([p, q]) / (p + q),
    "not shared out": lambda p, q: np.array([q, p]),
    "staying": lambda p, q: np.array([1 - p, 1 - q]),
    "state 0": lambda p, q: np.array([1.0, 0.0]),
    "state 1": lambda p, q: np.array([0.0, 1.0]),
}


@composable
def _stands_still(
    mu: str = "policy",
    front: str = "x",
    ahead: str = "expected",
    discount: str = "future",
    exchanged: bool = False,
    reward: float = 1.0,
    side: float = 1.0,
    weighted: str = "both",
    gives: str = "w",
) -> Callable:
    """The fixed point with its parts exchangeable; front: what multiplies the mean TD error of a state."""

    def two_state_fixed_point(x, r, p, q, gamma):
        x, r = np.asarray(x, dtype=float), np.asarray(r, dtype=float)
        p, q = (q, p) if exchanged else (p, q)
        weights, P = MU[mu](p, q), np.array([[1 - p, p], [q, 1 - q]])
        later = {
            "expected": P @ x,
            "other": x[::-1],
            "transposed": P.T @ x,
            "own": x,
            "nothing": np.zeros(2),
            "moved only": np.array([p, q]) * x[::-1],
        }[ahead]
        later = later * {"future": gamma, "none": 1.0, "squared": gamma**2}[discount]
        along = {"x": x, "residual": x - later, "ones": np.ones(2), "size": np.abs(x)}[front]
        square = along * (x - side * later)
        a = (weights if weighted in ("both", "a") else np.ones(2)) @ square
        b = (weights if weighted in ("both", "b") else np.ones(2)) @ (along * r) * reward
        with np.errstate(all="ignore"):
            w = {"w": b / a, "b": b, "inverse": a / b, "mean value": weights @ (b / a * x)}[gives]
        return float(w)

    return two_state_fixed_point


def _nearest(x, r, p, q, gamma):
    """The weight that minimises the value error."""
    P, mu = np.array([[1 - p, p], [q, 1 - q]]), np.array([q, p]) / (p + q)
    v = np.linalg.solve(np.eye(2) - gamma * P, r)
    return float(mu @ (x * v) / (mu @ x**2))


def _shows_nearest(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    """Whether the best fit was returned wherever the true values exist."""
    there = [i for i, case in enumerate(cases) if case.inputs["gamma"] < 1]
    return all(
        outcomes[i].failure is None
        and isinstance(outcomes[i].value, int | float | np.ndarray)
        and same(outcomes[i].value, _nearest(**cases[i].inputs), 1e-9)
        for i in there
    )


def _by_two_evaluations(x, r, p, q, gamma):
    """The mean update is a line in w: its root from two of its values."""

    def mean_update(w):
        at_0 = x[0] * (r[0] + gamma * w * ((1 - p) * x[0] + p * x[1]) - w * x[0])
        at_1 = x[1] * (r[1] + gamma * w * (q * x[0] + (1 - q) * x[1]) - w * x[1])
        return (q * at_0 + p * at_1) / (p + q)

    at_none, at_one = mean_update(0.0), mean_update(1.0)
    return at_none / (at_none - at_one)


def _four_kinds_of_steps(x, r, p, q, gamma):
    a = b = 0.0
    for i, j, often in ((0, 0, q * (1 - p)), (0, 1, q * p), (1, 0, p * q), (1, 1, p * (1 - q))):
        a += often * x[i] * (x[i] - gamma * x[j])
        b += often * x[i] * r[i]
    return b / a


MET_HOW_OFTEN = (
    "How often is each state visited? In the long run, what flows out of a state must flow in."
)

two_state_fixed_point = Exercise(
    "two_state_fixed_point",
    reference=linear.two_state_fixed_point,
    cases=_two_states,
    returns=number(),
    points=2,
    equation="(6.10)",
    mistakes=[
        Mistake(
            "states-count-alike",
            "Both states count alike in your sum. They are updated as often as the policy visits them.",
            MET_HOW_OFTEN,
            _stands_still(mu="alike"),
        ),
        Mistake(
            "mu-reversed",
            "Your two weights have changed places: you weigh each state by how easily it is *left*. The state that is "
            "left seldom is the one where the time goes.",
            MET_HOW_OFTEN,
            _stands_still(mu="reversed"),
        ),
        Mistake(
            "best-fit",
            "You have the weight that fits the true values best. That minimises the value error; TD stands still elsewhere "
            "(they agree only where the features can represent V).",
            "Put your w into the mean update. Is it 0?",
            _nearest,
            shows=_shows_nearest,
        ),
        Mistake(
            "residual-gradient",
            "You weigh the mean error of a state by $x-\\gamma\\bar x'$: that is where a full gradient stands still. The "
            "target counts as a constant: x in front.",
            "Which features stand behind δ in equation (6.8)?",
            _stands_still(front="residual"),
        ),
        Mistake(
            "never-stays",
            "Your next state is always the other one. With probability 1 − p it stays.",
            "Which two states can follow state 0, and with which probabilities?",
            _stands_still(ahead="other"),
        ),
        Mistake(
            "transposed",
            "You average over where the step *comes from*. Average over where the step goes.",
            "Which probability stands before x₀ in the mean next feature of state 1?",
            _stands_still(ahead="transposed"),
        ),
        Mistake("no-gamma", NO_GAMMA, COUNT_GAMMA, _stands_still(discount="none")),
        Mistake(
            "rewards-only",
            "Nothing bootstraps in your formula: the next state does not enter. That is γ = 0.",
            "Does your answer change with γ?",
            _stands_still(ahead="nothing"),
        ),
        Mistake(
            "features-forgotten",
            "You set the mean TD error to 0. The mean *update* is to be 0: one equation, weighted by the gradient x of the "
            "state being updated.",
            "By how much does an update in state 0 move w?",
            _stands_still(front="ones"),
            _stands_still(front="size"),
        ),
        Mistake(
            "p-and-q-exchanged",
            "p and q have changed places everywhere: from state 0 the policy goes to 1 with probability *p*.",
            "At p = 1 and a small q: in which state is the policy most of the time?",
            _stands_still(exchanged=True),
        ),
        Mistake(
            "always-stays",
            "Your next state is the same state again. With probability p it goes to the other one.",
            "Which two states can follow state 0, and with which probabilities?",
            _stands_still(ahead="own"),
        ),
        Mistake(
            "staying-forgotten",
            "In your mean next feature the step that stays is missing: with probability 1 − p the next state is state 0 "
            "itself.",
            "Do the probabilities in your mean add up to 1?",
            _stands_still(ahead="moved only"),
        ),
        Mistake(
            "staying-for-visits",
            "You weigh the states by how likely they are to be *kept*. How often a state is visited depends on both ways: "
            "in and out.",
            MET_HOW_OFTEN,
            _stands_still(mu="staying"),
        ),
        Mistake(
            "weighed-on-one-side",
            "You weigh the states by their visits on one side of the equation only.",
            "Write the mean update down once more, before you solve it: what does μ multiply?",
            _stands_still(weighted="a"),
            _stands_still(weighted="b"),
        ),
        Mistake(
            "sign",
            "γ has the wrong sign: what comes next is *added* to the reward, so it stands against $x_i w$.",
            "Bring everything with w to one side. Which sign has the part with γ?",
            _stands_still(side=-1.0),
        ),
        Mistake(
            "one-state-only",
            "One state is missing from your sum: the update is averaged over both.",
            "What is the mean update in state 0, in state 1, and on the whole?",
            _stands_still(mu="state 0"),
            _stands_still(mu="state 1"),
        ),
        Mistake(
            "upside-down",
            "Your fraction is upside down: what the rewards make stands above.",
            "What should come out if all rewards are 0?",
            _stands_still(gives="inverse"),
        ),
    ],
    also_correct=[
        _stands_still(),
        _stands_still(mu="not shared out"),  # the common factor cancels
        _by_two_evaluations,
        _four_kinds_of_steps,
        lambda x, r, p, q, gamma: (
            (q * x[0] * r[0] + p * x[1] * r[1])
            / (q * x[0] ** 2 + p * x[1] ** 2
               - gamma * (q * (1 - p) * x[0] ** 2 + 2 * p * q * x[0] * x[1] + p * (1 - q) * x[1] ** 2))
        ),
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------------------ lstd


def _samples(rng: np.random.Generator) -> list[Case]:
    def case(
        name, n, d, gamma, ridge, *tags, dtype=np.bool_, ended=None, kind="normal", whole=False
    ):
        while True:
            x, x_next = rng.normal(size=(2, n, d))
            terminated = flags(rng, n, dtype, 0.25) if ended is None else np.full(n, ended, dtype)
            if kind == "one-hot":
                x, x_next = (np.eye(d)[rng.integers(d - 1, size=n)] for _ in range(2))
            else:
                x_next = 0.5 * x_next + 0.3 * x
                x_next[terminated.astype(bool)] += 5.0  # what stands there is anybody's guess
            r = rng.integers(-4, 5, size=n) if whole else rng.normal(size=n) + 0.4
            inputs = {"x": x, "r": r, "x_next": x_next, "terminated": terminated, "gamma": gamma}
            alive = 1.0 - terminated.astype(float)
            a = x.T @ (x - gamma * alive[:, None] * x_next) + ridge * np.eye(d)
            if np.linalg.cond(a) < 1e5:  # the solution must be determined
                return Case(name, inputs | {"ridge": ridge}, tags)

    ridged = "ridge"
    return [
        case("forty steps, four features", 40, 4, 0.9, 0.0),
        case("`terminated` as int, with a ridge", 30, 3, 0.9, 0.5, ridged, dtype=np.int64),
        case("`terminated` as float", 30, 3, 0.8, 0.0, dtype=np.float64),
        case("nothing terminates", 30, 3, 0.9, 0.0, ended=False),
        case("everything terminates", 20, 3, 0.9, 0.3, ridged, ended=True),
        case("as many steps as features", 5, 5, 0.7, 0.4, ridged, "N = d"),
        case("fewer steps than features", 3, 6, 0.9, 0.5, ridged, "N < d"),
        case("one step", 1, 2, 0.9, 1.0, ridged, "N = 1", ended=False),
        case("one feature", 12, 1, 0.9, 0.0, "d = 1"),
        case("a table, one state never seen", 50, 5, 0.9, 0.02, ridged, kind="one-hot"),
        case("whole-number rewards", 25, 3, 0.9, 0.1, ridged, whole=True),
        case("γ = 0", 20, 3, 0.0, 0.2, ridged, "γ = 0"),
        case("γ = 1", 30, 3, 1.0, 0.2, ridged, "γ = 1"),
        case("a strong ridge", 30, 3, 0.9, 50.0, ridged),
    ]  # fmt: skip


@composable
def _least_squares_td(
    front: str = "x",
    mask: str = "future",
    discount: str = "future",
    transposed: bool = False,
    rows: str = "all",
    divided: str = "",
    ridge_on: str = "all",
    side: float = 1.0,
    rewards_by: str = "front",
    solved: bool = True,
) -> Callable:
    """LSTD with its parts exchangeable; divided: what is a mean, "both" sums, or only one."""

    def lstd(x, r, x_next, terminated, gamma, ridge):
        d = np.asarray(terminated, dtype=float)
        alive = {"none": np.ones(len(d)), "inverted": d}.get(mask, 1.0 - d)
        r = r * alive if mask == "all" else r
        now = gamma if discount in ("all", "x") else 1.0
        later = {"none": 1.0, "x": 1.0, "nothing": 0.0}.get(discount, gamma)
        ahead = later * alive[:, None] * x_next
        difference = now * x - side * ahead
        first = {"x": x, "residual": difference, "x'": x_next}[front]
        if rows == "going on":
            keep = d == 0
            first, difference, r, x = first[keep], difference[keep], r[keep], x[keep]
        n = len(x)
        a, b = first.T @ difference, (first if rewards_by == "front" else x).T @ r
        a = a / n if divided in ("both", "a") else a
        b = b / n if divided in ("both", "b") else b
        a = a.T if transposed else a
        size = x.shape[1]
        diagonal = {
            "all": np.eye(size),
            "all but the first": np.diag(np.arange(size) > 0).astype(float),
            "times N": n * np.eye(size),
            "everything": np.ones((size, size)),
            "squared": ridge * np.eye(size),
            "none": np.zeros((size, size)),
            "subtracted": -np.eye(size),
        }[ridge_on]
        a = a + ridge * diagonal
        return np.linalg.solve(a, b) if solved else a @ b

    return lstd


def _without_ridge(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    """Whether ε was left out, where that leaves a system with one solution."""
    looked_at, ridged = 0, 0
    for case, outcome in zip(cases, outcomes, strict=True):
        x, _, x_next, d, gamma, ridge = case.inputs.values()
        alive = 1.0 - np.asarray(d, dtype=float)
        a = x.T @ (x - gamma * alive[:, None] * x_next)
        if np.linalg.cond(a) > 1e8:
            continue
        looked_at += 1
        ridged += ridge > 0
        right = linear.lstd(x, case.inputs["r"], x_next, d, gamma, 0.0)
        value = outcome.value
        if not isinstance(value, np.ndarray) or value.shape != right.shape:
            return False
        if outcome.failure is not None or not np.allclose(value, right, rtol=1e-6, atol=1e-8):
            return False
    return looked_at > 4 and ridged > 2


def _sum_of_outer_products(x, r, x_next, terminated, gamma, ridge):
    d = x.shape[1]
    a, b = ridge * np.eye(d), np.zeros(d)
    for row, reward, after, ended in zip(x, r, x_next, terminated, strict=True):
        a += np.outer(row, row if ended else row - gamma * after)
        b += reward * row
    return np.linalg.inv(a) @ b


def _both_sides_divided(x, r, x_next, terminated, gamma, ridge):
    n, alive = len(x), np.logical_not(terminated).astype(float)
    a = (x.T @ x - gamma * x.T @ (x_next * alive[:, None])) / n + ridge / n * np.eye(x.shape[1])
    return np.linalg.lstsq(a, x.T @ r / n, rcond=None)[0]


def _by_einsum(x, r, x_next, terminated, gamma, ridge):
    a = np.einsum("ni,nj->ij", x, np.where(terminated, x.T, (x - gamma * x_next).T).T)
    a.flat[:: len(a) + 1] += ridge
    return np.linalg.pinv(a) @ np.einsum("n,ni->i", r, x)


FIRST_FACTOR = "In equation (6.14), whose features are the first factor of the outer product, and whose the second?"

lstd = Exercise(
    "lstd",
    reference=linear.lstd,
    cases=_samples,
    returns=array(),
    points=3,
    equation="(6.14)",
    mistakes=[
        Mistake(
            "symmetric-a",
            "You solve the normal equations of $x-\\gamma x'$ on r. That minimises the Bellman residual; LSTD asks that "
            "the TD error be uncorrelated with x.",
            FIRST_FACTOR,
            _least_squares_td(front="residual"),
            _least_squares_td(front="residual", rewards_by="x"),
        ),
        Mistake(
            "a-transposed",
            "You solve with $\\hat A^\\top$. The first factor of the outer product is the feature of the state being "
            "updated.",
            FIRST_FACTOR,
            _least_squares_td(transposed=True),
        ),
        Mistake(
            "no-gamma",
            NO_GAMMA,
            COUNT_GAMMA,
            _least_squares_td(discount="none"),
        ),
        Mistake(
            "terminal-bootstrap",
            TERMINAL,
            "What is x − γ(1 − d)x′ in a row that terminated?",
            _least_squares_td(mask="none"),
        ),
        Mistake(
            "mean-and-ridge",
            "You divide $\\hat A$ and $\\hat b$ by N, but not the ridge. The ridge is now N times too strong: use sums.",
            "What becomes of your answer when every step is given twice?",
            _least_squares_td(divided="both"),
            _least_squares_td(ridge_on="times N"),
        ),
        Mistake(
            "no-ridge",
            "ε is left out: $\\hat A + \\text{ridge}\\,I$. Without it early estimates blow up.",
            "Which argument have you not used?",
            _least_squares_td(ridge_on="none"),
            shows=_without_ridge,
        ),
        Mistake(
            "one-side-divided",
            "One of your two sums is a mean, the other is not: the weights are off by a factor N.",
            "Divide both by N, or neither.",
            _least_squares_td(divided="a"),
            _least_squares_td(divided="b"),
        ),
        Mistake(
            "ridge-everywhere",
            "You add the ridge to every entry of $\\hat A$. It belongs on the diagonal.",
            "What does ridge · I look like?",
            _least_squares_td(ridge_on="everything"),
        ),
        Mistake(
            "ridge-not-on-first",
            "You leave the first feature out of the ridge. It goes on the whole diagonal, the constant's too.",
            "What does ridge · I look like?",
            _least_squares_td(ridge_on="all but the first"),
        ),
        Mistake(
            "ridge-subtracted",
            "You subtract the ridge. It is added, so that $\\hat A$ moves away from 0.",
            "What is $\\hat A$ before the first step, and can it be inverted?",
            _least_squares_td(ridge_on="subtracted"),
        ),
        Mistake(
            "ridge-squared",
            "You add the square of the ridge. Equation (6.14) has the number itself.",
            "Which number stands on your diagonal for a feature that is never active?",
            _least_squares_td(ridge_on="squared"),
        ),
        Mistake(
            "rewards-only",
            "The next state never enters: you regress the rewards on the features. That is γ = 0.",
            "Does your answer change with γ?",
            _least_squares_td(discount="nothing"),
        ),
        Mistake(
            "sign",
            "γ has the wrong sign: what comes next is *added* to the reward, so it is subtracted where it stands beside x.",
            "Write the TD error as r minus something times w.",
            _least_squares_td(side=-1.0),
        ),
        Mistake(
            "gamma-on-the-wrong-one",
            "You discount the features of s. It is s′ that comes a step later.",
            COUNT_GAMMA,
            _least_squares_td(discount="x"),
            _least_squares_td(discount="all"),
        ),
        Mistake(
            "drops-terminal-rows",
            "You leave out the steps that terminated, their rewards included. Only what follows them is cut: the row "
            "itself stays.",
            "Where would LSTD learn of a reward that is paid at the very end?",
            _least_squares_td(rows="going on"),
        ),
        Mistake(
            "mask-inverted",
            MASK_INVERTED,
            "For an ordinary step d = 0. What remains of x − γ(1 − d)x′ then?",
            _least_squares_td(mask="inverted"),
        ),
        Mistake(
            "masks-reward",
            MASKS_REWARD,
            "What does (1 − d) multiply in equation (6.14)?",
            _least_squares_td(mask="all"),
        ),
        Mistake(
            "next-features-in-front",
            "The features of s′ are the first factor of your outer product. The state being updated is s.",
            FIRST_FACTOR,
            _least_squares_td(front="x'"),
            _least_squares_td(front="x'", rewards_by="x"),
        ),
        Mistake(
            "not-solved",
            "You multiply by $\\hat A$. The weights *solve* $\\hat A w = \\hat b$.",
            "Which function of `np.linalg` solves a linear system?",
            _least_squares_td(solved=False),
        ),
    ],
    also_correct=[
        _least_squares_td(),
        _sum_of_outer_products,
        _both_sides_divided,
        _by_einsum,
    ],
)

# ------------------------------------------------------------------------------ semi_gradient_td


def _runs(rng: np.random.Generator) -> list[Case]:
    def case(name, env, d, episodes, step_size, gamma, *tags, kind="normal") -> Case:
        n_states = len(env.R)
        rows = np.eye(n_states) if kind == "table" else rng.uniform(-1, 1, size=(n_states, d))
        policy = Policy(random_policy(rng, *env.R.shape))
        inputs = {"env": env, "policy": policy, "features": Features(rows)}
        inputs |= {"w": rng.normal(size=rows.shape[1]), "episodes": episodes}
        inputs |= {"step_size": step_size, "gamma": gamma, "rng": Rng(int(rng.integers(2**31)))}
        return Case(name, inputs, tags)

    terminal, cut = "terminal ends", "time limits"
    both = random_env(rng, 4, 2, limit=1)
    both.ends[:] = True
    return [
        case("ends in terminal states", random_env(rng, ends=0.3, limit=60), 3, 12, 0.3, 0.9, terminal),
        case("cut off after 7 steps", random_env(rng, limit=7), 3, 8, 0.2, 0.9, cut),
        case("both kinds of end", random_env(rng, 6, 3, ends=0.15, limit=8), 4, 12, 0.3, 0.8, terminal, cut),
        case("both flags at once", both, 2, 8, 0.4, 0.9, terminal),
        case("as many features as states", random_env(rng, limit=9), 5, 6, 0.2, 0.9, cut),
        case("a table", random_env(rng, ends=0.2, limit=20), 5, 6, 0.5, 0.9, terminal, kind="table"),
        case("one feature", random_env(rng, 4, 2, limit=6), 1, 6, 0.3, 0.9, cut, "d = 1"),
        case("γ = 0", random_env(rng, limit=6), 3, 5, 0.3, 0.0, "γ = 0"),
        case("γ = 1", random_env(rng, ends=0.3, limit=20), 3, 5, 0.1, 1.0, terminal),
        case("one step an episode", random_env(rng, limit=1), 3, 6, 0.5, 0.9, cut),
        case("an episode of 150 steps", random_env(rng, limit=150), 3, 1, 0.05, 0.9, cut),
        case("one episode", random_env(rng, ends=0.2, limit=12), 2, 1, 0.3, 0.9),
        case("no episodes", random_env(rng, limit=5), 3, 0, 0.5, 0.9, "no episodes"),
    ]  # fmt: skip


@composable
def _td_loop(
    masks: str = "terminated",
    ahead: str = "s'",
    gradient: str = "x",
    discount: str = "future",
    paid: bool = True,
    update: str = "towards",
    ends_on: str = "either",
    moves: bool = True,
    most: int | None = None,
    forgets: str = "",
    starts: str = "given",
    learns: str = "every step",
    asks: str = "s",
    in_place: bool = False,
) -> Callable:
    """Semi-gradient TD(0) with its parts exchangeable; update: how the prediction moves, along the features."""

    def semi_gradient_td(env, policy, features, w, episodes, step_size, gamma, rng):
        given = w if in_place else np.array(w, dtype=float)
        w = given if starts == "given" else np.zeros(len(w))
        begin = w.copy()
        for _ in range(episodes if most is None else min(episodes, most)):
            if forgets:
                w = begin.copy() if forgets == "start" else np.zeros(len(w))
            s, _ = env.reset()
            first, over, total = s, False, np.zeros(len(w))
            while not over:
                seen = first if asks == "the first state" else s
                a = 0 if asks == "nobody" else policy(seen, rng)
                s_next, r, *flags, _ = env.step(a)
                x, x_next = features(s), features(s_next)
                value = (x_next if ahead == "s'" else x) @ w
                masked = bool(FLAGS[masks](*flags))
                y = sampled_target(r, value, masked, gamma, discount, paid)
                over = FLAGS[ends_on](*flags)
                along = {
                    "x": x,
                    "x'": x_next,
                    "residual": x - (0.0 if masked else gamma) * x_next,
                    "ones": np.ones(len(w)),
                }[gradient]
                new = {
                    "towards": lambda w=w, y=y, x=x, f=along: w + step_size * (y - x @ w) * f,
                    "all the way": lambda w=w, y=y, x=x, f=along: w + (y - x @ w) * f,
                    "added": lambda w=w, y=y, f=along: w + step_size * y * f,
                    "error only": lambda w=w, y=y, x=x, f=along: step_size * (y - x @ w) * f,
                    "away": lambda w=w, y=y, x=x, f=along: w - step_size * (y - x @ w) * f,
                    "twice": lambda w=w, y=y, x=x, f=along: w + 2 * step_size * (y - x @ w) * f,
                }[update]()
                if learns == "every step" or (learns == "last step" and over):
                    if in_place:
                        w[:] = new
                    else:
                        w = new
                elif learns == "episode":
                    total = total + (new - w)
                s = s_next if moves else s
            w = w + total if learns == "episode" else w
        return w

    return semi_gradient_td


def _loops(**parts) -> tuple[Callable, ...]:
    return () if parts.get("update") == "the other share" else (_td_loop(**parts),)


def _through_update(env, policy, features, w, episodes, step_size, gamma, rng):
    for _ in range(episodes):
        (s, _), ended = env.reset(), False
        while not ended:
            s_next, r, d, c, _ = env.step(policy(s, rng))
            steps = features(s), r, features(s_next), d, gamma, step_size
            w = linear.semi_gradient_td_update(w, *steps)
            s, ended = s_next, d or c
    return w.copy()


def _by_a_while_loop(env, policy, features, w, episodes, step_size, gamma, rng):
    w, played, s = w.copy(), 0, None
    while played < episodes:
        s = env.reset()[0] if s is None else s
        x = features(s)
        s, r, terminated, truncated, _ = env.step(policy(s, rng))
        w += step_size * (r + gamma * (1 - terminated) * (features(s) @ w) - x @ w) * x
        if terminated or truncated:
            played, s = played + 1, None
    return w


WHICH_FLAG = "Which of the two flags belongs into the target, and which only ends the loop?"
ELSEWHERE = ("never-moves", "begins-anew", "no-gamma", "shares-swapped")

semi_gradient_td = Exercise(
    "semi_gradient_td",
    reference=linear.semi_gradient_td,
    cases=_runs,
    returns=array(),
    points=3,
    equation="(6.8)",
    notes=["resets", "steps", "choices"],
    mistakes=[
        Mistake(
            "truncation-as-terminal",
            "You do not bootstrap at the time limit. The walk was cut, not over: s′ still has a value.",
            WHICH_FLAG,
            _td_loop(masks="either"),
        ),
        Mistake("terminal-bootstrap", TERMINAL, WHICH_FLAG, _td_loop(masks="never")),
        Mistake(
            "state-not-advanced",
            "s never becomes s′: you correct the first state for what happens at later ones.",
            "How does each round of the loop end?",
            _td_loop(moves=False),
        ),
        Mistake(
            "restarts-every-episode",
            "Your weights begin anew in every episode. Only the state starts afresh; w is what is learned.",
            "Which lines belong inside the outer loop, and which before it?",
            _td_loop(forgets="start"),
            _td_loop(forgets="zeros"),
        ),
        Mistake(
            "ignores-start-weights",
            "You begin from zeros. Begin from the w you were given.",
            "What should come back after 0 episodes?",
            _td_loop(starts="zeros"),
        ),
        Mistake(
            "updates-only-at-the-end",
            "You change the weights once an episode. TD learns at every step, with the weights it has just changed.",
            "Which w is in the error of the second step of an episode?",
            _td_loop(learns="episode"),
            _td_loop(learns="last step"),
        ),
        Mistake("no-gamma", NO_GAMMA, COUNT_GAMMA, _td_loop(discount="none")),
        Mistake("changes-in-place", IN_PLACE, NEW_ARRAY, _td_loop(in_place=True)),
        Mistake(
            "residual-gradient",
            RESIDUAL,
            "Which features stand behind δ in equation (6.8)?",
            _td_loop(gradient="residual"),
        ),
        Mistake(
            "wrong-gradient",
            "You move along the features of s′. The value being corrected is that of s, so its features move.",
            "Which state's prediction is the error about?",
            _td_loop(gradient="x'"),
        ),
        Mistake(
            "features-forgotten",
            "You change every weight by the same amount. $\\nabla_w\\hat v = x$: a weight whose feature is 0 must not "
            "move.",
            "How does v̂(s) change when only weight i is moved a little?",
            _td_loop(gradient="ones"),
        ),
        Mistake(
            "factor-two", TWICE, "Compare your step with equation (6.8).", _td_loop(update="twice")
        ),
        Mistake(
            "own-value",
            "Your target bootstraps from the state you left. What follows begins in s′.",
            "Whose features stand beside γ in equation (6.8)?",
            _td_loop(ahead="s"),
        ),
        *(
            mistake
            for mistake in update_mistakes(_loops, "v̂(s)", COUNT_GAMMA, WHICH_FLAG)
            if mistake.name not in ELSEWHERE
        ),
        Mistake(
            "policy-not-asked",
            "`policy` is never asked: your actions come from elsewhere. The values wanted are the policy's.",
            "Which argument of your function is never used? What does it need, to choose?",
            _td_loop(asks="nobody"),
            shows=never_asked,
        ),
        Mistake(
            "stale-state",
            "The policy always sees the episode's first state. It chooses anew in every state.",
            "Print what the policy is given for three rounds. Does it move?",
            _td_loop(asks="the first state"),
        ),
    ],
    also_correct=[_td_loop(), _through_update, _by_a_while_loop],
)

LESSON = Lesson(
    "06",
    "Linear prediction",
    [
        basis_features,
        gradient_mc_episode,
        semi_gradient_td_update,
        two_state_fixed_point,
        lstd,
        semi_gradient_td,
    ],
)
