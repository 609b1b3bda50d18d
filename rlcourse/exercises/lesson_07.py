"""Lesson 07: Linear control, batches, fitted Q."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np

from rlcourse.checker.declaration import Exercise, Lesson, Mistake, array, composable, number
from rlcourse.checker.harness import Case, Outcome
from rlcourse.checker.material import FLAG_TYPES, flags, random_distribution
from rlcourse.checker.probes import Basis, Log
from rlcourse.values import features, fitted_q, linear, triad

from .targets import (
    COUNT_GAMMA,
    GAMMA_MISPLACED,
    GAMMA_ON_REWARD,
    MASK_INVERTED,
    MASKS_REWARD,
    NO_GAMMA,
    REWARD_MISSING,
    TERMINAL_FUNCTION,
    one_step,
)

LOOK_AT_ENDS = "What is the right target for a step that ended the episode? And what is yours?"
IN_PLACE = "Return new values; the caller still needs the old ones."

# ------------------------------------------------------------------------------------ tile_indices


def _tile_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, low, high, n_tiles, n_tilings, *tags, outside=False, at_low=False) -> Case:
        low, high = np.array(low, dtype=np.float64), np.array(high, dtype=np.float64)
        # Not on a border of any tiling, where rounding would decide.
        fine = rng.integers(n_tiles * n_tilings, size=(n, len(low)))
        u = (fine + rng.uniform(0.15, 0.85, size=fine.shape)) / (n_tiles * n_tilings)
        obs = low + (high - low) * u
        if outside:  # every second number, to both sides by turns
            far = np.arange(obs.size).reshape(obs.shape)
            past = rng.uniform(0.1, 0.9, size=obs.shape) * (high - low)
            obs = np.where(far % 4 == 1, high + past, np.where(far % 4 == 3, low - past, obs))
        if at_low:
            obs[0] = low
        inputs = {"obs": obs, "low": low, "high": high, "n_tiles": n_tiles, "n_tilings": n_tilings}
        return Case(name, inputs, tags)

    box = ([-1.2, -0.07], [0.6, 0.07])
    three = ([-1.0, 0.0, 2.0], [1.0, 5.0, 3.5])
    outside = "outside the box"
    return [
        case("the box of Mountain Car, eight tilings", 12, *box, 8, 8),
        case("three dimensions", 9, *three, 4, 3),
        case("one dimension", 10, [-2.0], [6.0], 5, 4, "one dimension"),
        case("as many tilings as dimensions", 6, *box, 3, 2),
        case("as many observations as tilings", 4, *box, 6, 4),
        case("one tiling", 8, *box, 4, 1, "one tiling"),
        case("one tile a side", 8, *box, 1, 4),
        case("an observation at `low`", 5, *box, 4, 4, at_low=True),
        case("observations outside the box", 10, [-1, 2], [1, 6], 4, 4, outside, outside=True),
        case("outside, three dimensions", 8, [0, -4, 1], [2, 4, 2], 2, 3, outside, outside=True),
        case("one observation", 1, *three, 3, 5),
        case("no observations", 0, *box, 4, 3),
    ]


@composable
def _tiles(
    shift: str = "k/n",
    moved: str = "all",
    block: bool = True,
    side: int = 1,
    rounds: str = "floor",
    slowest: str = "first",
    clip: str = "both",
    tilings: str = "apart",
    scale: str = "n_tiles",
) -> Callable:
    """Tile indices with their parts exchangeable.

    shift: of tiling k; moved: which dimensions; side: tiles a side beyond n_tiles; tilings: where k enters.
    """

    def tile_indices(obs, low, high, n_tiles, n_tilings):
        lower = low if clip in ("both", "below") else -np.inf
        upper = high if clip in ("both", "above") else np.inf
        part = (np.clip(obs, lower, upper) - low) / (high - low)
        u = {"n_tiles": n_tiles, "n_tiles - 1": n_tiles - 1, "n_tiles + 1": n_tiles + 1}[
            scale
        ] * part
        k = np.arange(n_tilings)
        by = {
            "k/n": k / n_tilings,
            "none": 0.0 * k,
            "k": 1.0 * k,
            "-k/n": -k / n_tilings,
            "k/n_tiles": k / n_tiles,
            "(k+1)/n": (k + 1) / n_tilings,
            "in the box": k / n_tilings / n_tiles,
        }[shift]
        dims = obs.shape[1]
        along = np.zeros(dims)
        along[{"all": slice(None), "first": slice(1), "last": slice(dims - 1, dims)}[moved]] = 1
        how = {"floor": np.floor, "nearest": np.rint, "up": np.ceil}[rounds]
        cells = how(u[:, None, :] + by[:, None] * along).astype(np.int64)
        m = n_tiles + side
        powers = m ** np.arange(dims)
        index = cells @ (powers[::-1] if slowest == "first" else powers)
        if not block:
            return index
        return index * n_tilings + k if tilings == "fastest" else index + k * m**dims

    return tile_indices


def _by_ravel(obs, low, high, n_tiles, n_tilings):
    """Cells clipped instead of observations, and NumPy's own index."""
    shape = (n_tilings, *[n_tiles + 1] * obs.shape[1])
    out = np.zeros((len(obs), n_tilings), dtype=np.int64)
    for k in range(n_tilings):
        c = np.floor(n_tiles * (obs - low) / (high - low) + k / n_tilings).astype(int)
        top = int(np.floor(n_tiles + k / n_tilings))
        c = np.clip(c, 0, top)
        where = (np.full(len(obs), k), *c.T)
        out[:, k] = np.ravel_multi_index(where, shape)
    return out


def _tiles_by_loop(obs, low, high, n_tiles, n_tilings):
    out = np.empty((len(obs), n_tilings), dtype=np.int32)
    for n, o in enumerate(obs):
        for k in range(n_tilings):
            index = k
            for x, a, b in zip(o, low, high, strict=True):
                u = n_tiles * (min(max(x, a), b) - a) / (b - a)
                index = index * (n_tiles + 1) + int(u + k / n_tilings)
            out[n, k] = index
    return out


tile_indices = Exercise(
    "tile_indices",
    reference=features.tile_indices,
    cases=_tile_cases,
    returns=array("int"),
    points=3,
    equation="(7.2)",
    mistakes=[
        Mistake(
            "same-tiling",
            "All tilings see the same cells: eight of them are no finer than one.",
            "By how much is tiling k displaced in equation (7.2)? Where is that in your code?",
            _tiles(shift="none"),
        ),
        Mistake(
            "shared-weights",
            "The tilings overwrite each other's weights: give each a block of its own.",
            "Which indices may tiling 0 have, and which tiling 1?",
            _tiles(block=False),
        ),
        Mistake(
            "side-too-short",
            "A shifted tiling needs one tile more a side, or cells of different rows collide.",
            "Take one dimension, two tiles, two tilings: which cells can c be in?",
            _tiles(side=0),
        ),
        Mistake(
            "side-too-long",
            "You give each side more tiles than can be reached: c goes from 0 to n_tiles.",
            "How many numbers are there from 0 to n_tiles?",
            _tiles(side=2),
        ),
        Mistake(
            "rounds",
            "A tile reaches from its lower border to the next: floor.",
            "In which cell is u = 0.9?",
            _tiles(rounds="nearest"),
            _tiles(rounds="up"),
        ),
        Mistake(
            "last-dimension-slowest",
            "The first dimension varies slowest, as in ravel_multi_index.",
            "By how much does your index grow if the last cell number grows by one?",
            _tiles(slowest="last"),
        ),
        Mistake(
            "not-clipped",
            "Clip the observation first: what lies outside the box runs into other tiles.",
            "Which cell does your function give for an observation far beyond `high`, and far below `low`?",
            *(_tiles(clip=sides) for sides in ("none", "above", "below")),
        ),
        Mistake(
            "shifted-by-whole-tiles",
            "You displace tiling k by k whole tiles. All tilings then have the same borders again; the displacement is a "
            "*part* of a tile.",
            "What is the largest displacement in equation (7.2), for the last tiling?",
            _tiles(shift="k"),
        ),
        Mistake(
            "shifted-back",
            "You displace the tilings the other way: equation (7.2) adds k/n_tilings.",
            "Can a cell number be −1 in your function?",
            _tiles(shift="-k/n"),
        ),
        Mistake(
            "other-displacement",
            "The displacement of tiling k is another one than k/n_tilings tiles.",
            "Compute c by hand for u = 0.6 and the second of four tilings.",
            _tiles(shift="k/n_tiles"),
            _tiles(shift="(k+1)/n"),
            _tiles(shift="in the box"),
        ),
        Mistake(
            "one-dimension-shifted",
            "You displace along one dimension only. Equation (7.2) holds for every j.",
            "Print the cells of two tilings for one observation, dimension by dimension.",
            _tiles(moved="first"),
            _tiles(moved="last"),
        ),
        Mistake(
            "tilings-mixed",
            "Your tiling number varies fastest: every tiling should have a block of its own, one after the other.",
            "Which indices may tiling 0 have?",
            _tiles(tilings="fastest"),
        ),
        Mistake(
            "other-number-of-tiles",
            "The box is cut into another number of tiles than n_tiles.",
            "What is u at `high`?",
            _tiles(scale="n_tiles - 1"),
            _tiles(scale="n_tiles + 1"),
        ),
    ],
    also_correct=[_tiles(), _by_ravel, _tiles_by_loop],
)

# --------------------------------------------------------------------------- state_action_features


def _block_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, d, n_actions, *tags, action=None) -> Case:
        action = rng.integers(n_actions, size=n) if action is None else np.array(action)
        x = rng.normal(size=(n, d)) * 2
        return Case(name, {"x": x, "action": action, "n_actions": n_actions}, tags)

    return [
        case("five rows, three actions", 5, 4, 3, action=[2, 0, 1, 1, 0]),
        case("as many rows as actions", 3, 4, 3, action=[1, 2, 0]),
        case("as many features as actions", 5, 3, 3, action=[0, 2, 1, 0, 2]),
        case("as many rows as features", 4, 4, 2, action=[1, 0, 0, 1]),
        case("actions that do not occur", 4, 2, 5, "not all actions", action=[1, 1, 3, 1]),
        case("only the first action occurs", 3, 2, 3, "not all actions", action=[0, 0, 0]),
        case("one feature", 6, 1, 3, "d = 1", action=[0, 2, 1, 2, 0, 1]),
        case("one action", 4, 3, 1, action=[0, 0, 0, 0]),
        case("one row", 1, 3, 4, action=[2]),
        case("no rows", 0, 2, 3),
        case("many rows", 12, 3, 4),
    ]


@composable
def _blocks(
    first: int = 0,
    order: str = "blocks",
    where: str = "own",
    flat: bool = True,
    counts: bool = True,
) -> Callable:
    """Block features with their parts exchangeable; counts: whether n_actions says how many blocks."""

    def state_action_features(x, action, n_actions):
        blocks = n_actions if counts else int(action.max()) + 1
        which = np.eye(blocks)[(action + first) % blocks]
        which = np.ones_like(which) if where == "every" else which
        out = which[:, :, None] * x[:, None, :]
        out = out.transpose(0, 2, 1) if order == "features" else out
        return out.reshape(len(x), -1) if flat and len(x) else out if not flat else np.zeros(
            (0, blocks * x.shape[1])
        )  # fmt: skip

    return state_action_features


def _blocks_by_loop(x, action, n_actions):
    d = x.shape[1]
    out = np.zeros((len(x), n_actions * d))
    for n, a in enumerate(action):
        out[n, a * d : (a + 1) * d] = x[n]
    return out


state_action_features = Exercise(
    "state_action_features",
    reference=features.state_action_features,
    cases=_block_cases,
    returns=array(),
    points=1,
    equation="(7.3)",
    mistakes=[
        Mistake(
            "wrong-block",
            "Actions count from 0: action 0 owns the first block.",
            "Which columns does action 0 fill in your result?",
            _blocks(first=-1),
            _blocks(first=1),
        ),
        Mistake(
            "interleaved",
            "Keep the d features of one action side by side.",
            "Which of your columns belong to action 0?",
            _blocks(order="features"),
        ),
        Mistake(
            "every-block",
            "x stands in every block. Then q̂ is the same function for every action.",
            "Which argument have you not used?",
            _blocks(where="every"),
        ),
        Mistake(
            "action-as-number",
            "You have put the action beside x. All actions would share the same slope in s.",
            "How do the values of two actions differ, as functions of x, with your features?",
            lambda x, action, n: np.hstack([x, np.asarray(action, dtype=float)[:, None]]),
            lambda x, action, n: np.hstack([x, np.eye(n)[action]]),
            lambda x, action, n: np.hstack([np.eye(n)[action], x]),
        ),
        Mistake(
            "not-flat",
            "w is one vector: flatten the blocks.",
            "Print the shape of your result, and the shape that is asked for.",
            _blocks(flat=False),
        ),
        Mistake(
            "counts-actions-in-the-data",
            "You count the actions that occur. Those that do not occur still have their block.",
            "How many columns do you return if only action 0 occurs?",
            _blocks(counts=False),
        ),
    ],
    also_correct=[
        _blocks(),
        _blocks_by_loop,
        lambda x, a, n: np.einsum("na,nd->nad", np.eye(n)[a], x).reshape(len(x), n * x.shape[1]),
        lambda x, a, n: np.concatenate([np.where((a == b)[:, None], x, 0.0) for b in range(n)], 1),
    ],
)

# ---------------------------------------------------------------------- semi_gradient_sarsa_update


def _sarsa_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name,
        n_actions,
        d,
        *tags,
        a=None,
        b=None,
        ended=False,
        gamma=0.9,
        alpha=0.3,
        r=None,
        shift=0,
    ) -> Case:
        w = rng.normal(size=(n_actions, d)) * 2 + shift
        x, x_next = rng.normal(size=(2, d)) + 0.5
        if ended:  # what stands there is anybody's guess
            x_next = x_next * 30
        q = w @ x_next
        a = int(rng.integers(n_actions)) if a is None else a
        b = int(np.argmin(q)) if b is None else b  # a greedy one would hide a maximum
        inputs = {
            "w": w, "x": x, "action": a, "r": float(rng.normal() * 2) if r is None else r,
            "x_next": x_next, "action_next": b, "terminated": ended, "gamma": gamma, "step_size": alpha,
        }  # fmt: skip
        return Case(name, inputs, tags)

    end = "`terminated`"
    return [
        case("three actions, four features", 3, 4, a=0),
        case("another action next", 3, 4, a=0, b=2),
        case("the same action again", 3, 3, "a′ = a", a=1, b=1),
        case("as many actions as features", 4, 4, a=3, b=1),
        case("two actions, `terminated` as int", 2, 5, a=1, b=0, ended=0),
        case("a terminal step", 3, 4, end, a=2, b=0, ended=True),
        case("a terminal step, `terminated` as int", 2, 3, end, a=0, b=1, ended=1),
        case("a terminal step, `terminated` as float", 3, 2, end, a=1, ended=1.0),
        case("one action", 1, 4, "one action", a=0, b=0),
        case("one feature", 3, 1, a=2, b=0),
        case("γ = 0", 3, 3, "γ = 0", a=1, b=0, gamma=0.0),
        case("γ = 1", 2, 4, a=1, b=0, gamma=1.0),
        case("a step size of 1", 3, 4, a=2, b=1, alpha=1.0),
        case("a step size of 1/16, the reward −1", 3, 6, a=0, b=1, alpha=1 / 16, r=-1.0),
        case("values all negative", 3, 3, a=1, b=2, shift=-6.0),
    ]


@composable
def _sarsa(
    future: str = "a'",
    mask: str = "future",
    discount: str = "future",
    paid: bool = True,
    moves: str = "a",
    along: str = "x",
    update: str = "towards",
    predicted: str = "a",
) -> Callable:
    """One update with its parts exchangeable; moves: which rows; along: what the step is multiplied by."""

    def semi_gradient_sarsa_update(
        w, x, action, r, x_next, action_next, terminated, gamma, step_size
    ):
        q_next = w @ x_next
        value = {
            "a'": lambda: q_next[action_next],
            "max": q_next.max,
            "a": lambda: q_next[action],
            "at x": lambda: w[action_next] @ x,
            "mean": q_next.mean,
            "action": lambda: float(action_next),
            "nothing": lambda: 0.0,
        }[future]()
        y = float(one_step(r, value, terminated, gamma, mask, discount, paid))
        own = w[action_next if predicted == "a'" else action] @ x
        delta = {"towards": y - own, "away": own - y, "target": y, "error only": y - own}[update]
        step = {"none": 1.0}.get(along, step_size)
        if along == "no step size":
            step = 1.0
        direction = {"x'": x_next, "ones": np.ones_like(x), "difference": x - x_next}.get(along, x)
        new = np.array(w, dtype=float)
        rows = {
            "a": [action],
            "a'": [action_next],
            "all": range(len(w)),
            "both": {action, action_next},
        }
        change = step * delta * direction
        for row in rows.get(moves, [action]):
            new[row] += change
        if moves == "residual":
            alive = 0.0 if terminated else gamma
            new[action_next] -= alive * step_size * delta * x_next
        return change * np.eye(len(w))[action][:, None] if update == "error only" else new

    return semi_gradient_sarsa_update


def _sarsa_in_place(w, x, action, r, x_next, action_next, terminated, gamma, step_size):
    q_next = 0.0 if terminated else w[action_next] @ x_next
    w[action] += step_size * (r + gamma * q_next - w[action] @ x) * x
    return w


def _sarsa_on_blocks(w, x, action, r, x_next, action_next, terminated, gamma, step_size):
    n = len(w)
    here = features.state_action_features(x[None], np.array([action]), n)[0]
    there = features.state_action_features(x_next[None], np.array([action_next]), n)[0]
    flat = w.ravel()
    delta = r + gamma * (1 - terminated) * (there @ flat) - here @ flat
    return (flat + step_size * delta * here).reshape(w.shape)


def _sarsa_outer(w, x, action, r, x_next, action_next, terminated, gamma, step_size):
    target = r if terminated else r + gamma * sum(w[action_next] * x_next)
    return w + np.outer(np.eye(len(w))[action], step_size * (target - (w @ x)[action]) * x)


semi_gradient_sarsa_update = Exercise(
    "semi_gradient_sarsa_update",
    reference=linear.semi_gradient_sarsa_update,
    cases=_sarsa_cases,
    returns=array(),
    points=2,
    equation="(7.4)",
    mistakes=[
        Mistake(
            "max",
            "That is Q-learning; Sarsa takes the value of the action it will really take.",
            "Which argument have you not used?",
            _sarsa(future="max"),
        ),
        Mistake("terminal-bootstrap", TERMINAL_FUNCTION, LOOK_AT_ENDS, _sarsa(mask="none")),
        Mistake(
            "every-row",
            "All rows of w have moved. Only the action taken has learned something.",
            "What is the gradient of q̂(s, a) with respect to another action's weights?",
            _sarsa(moves="all"),
        ),
        Mistake(
            "next-row",
            "You move the row of a′. The value being corrected is q̂(s, a).",
            "Which pair has the reward been paid for?",
            _sarsa(moves="a'"),
            _sarsa(moves="a'", predicted="a'"),
            _sarsa(moves="a'", along="x'"),
        ),
        Mistake(
            "both-rows",
            "You move the rows of a and of a′. Only the action taken has learned something.",
            "Of which value is (7.4) the correction?",
            _sarsa(moves="both"),
        ),
        Mistake(
            "residual-gradient",
            "Semi-gradient: the target counts as a constant; only the prediction moves.",
            "Which weights has the gradient in equation (7.4)?",
            _sarsa(moves="residual"),
            _sarsa(along="difference"),
        ),
        Mistake(
            "changes-in-place",
            IN_PLACE,
            "Print `w` before and after you call your function.",
            _sarsa_in_place,
        ),
        Mistake("no-gamma", NO_GAMMA, COUNT_GAMMA, _sarsa(discount="none")),
        Mistake("gamma-on-reward", GAMMA_ON_REWARD, COUNT_GAMMA, _sarsa(discount="all")),
        Mistake("gamma-misplaced", GAMMA_MISPLACED, COUNT_GAMMA, _sarsa(discount="reward")),
        Mistake(
            "masks-reward",
            MASKS_REWARD,
            "What does the last step cost? What is left of it?",
            _sarsa(mask="all"),
        ),
        Mistake("mask-inverted", MASK_INVERTED, LOOK_AT_ENDS, _sarsa(mask="inverted")),
        Mistake("reward-missing", REWARD_MISSING, "What is learnt at γ = 0?", _sarsa(paid=False)),
        Mistake(
            "uphill",
            "You move away from the target. A positive δ says that q̂(s, a) was too low: raise it.",
            "Should w·x rise or fall when the target is higher?",
            _sarsa(update="away"),
        ),
        Mistake(
            "prediction-not-subtracted",
            "You add the target, and nothing is subtracted. What moves the weights is the *error*.",
            "What should happen when the target is just what q̂(s, a) says already?",
            _sarsa(update="target"),
        ),
        Mistake(
            "only-the-increment",
            "Return the new weights, not the change.",
            "What should come back at a step size of 0?",
            _sarsa(update="error only"),
        ),
        Mistake(
            "no-step-size",
            "α is missing: you go further than asked.",
            "Which argument have you not used?",
            _sarsa(along="no step size"),
        ),
        Mistake(
            "features-forgotten",
            "The same change for every weight of the row. A weight whose feature is 0 must not move.",
            "What is the gradient of w·x?",
            _sarsa(along="ones"),
        ),
        Mistake(
            "wrong-gradient",
            "You move along x′. The value being corrected is that of s, so its features say how.",
            "What is the gradient of q̂(s, a)?",
            _sarsa(along="x'"),
        ),
        Mistake(
            "same-action-next",
            "You take q̂(s′, a). The next action is a′.",
            "Which argument have you not used?",
            _sarsa(future="a"),
        ),
        Mistake(
            "features-of-s",
            "You take the next action's value at s. It is taken in s′.",
            "Which argument have you not used?",
            _sarsa(future="at x"),
        ),
        Mistake(
            "mean-over-actions",
            "You average over the next actions. Sarsa takes the value of the one that was chosen.",
            "Which argument have you not used?",
            _sarsa(future="mean"),
        ),
        Mistake(
            "no-bootstrap",
            "Your target is the reward alone.",
            "Where does what comes later enter?",
            _sarsa(future="nothing"),
        ),
    ],
    also_correct=[_sarsa(), _sarsa_on_blocks, _sarsa_outer],
)

# ---------------------------------------------------------------------------- least_squares_values

SINGULAR = "several w fit equally well"


def _regression_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, d, *tags, never=None, copied=None, exact=False, constant=False) -> Case:
        x = rng.normal(size=(n, d))
        if constant:
            x[:, 0] = 1.0
        if never is not None:
            x[:, never] = 0.0
        if copied is not None:
            x[:, copied[1]] = x[:, copied[0]]
        v = x @ rng.normal(size=d) * 2 if exact else rng.normal(size=n) * 3 + 1
        return Case(name, {"x": x, "v": v}, tags)

    return [
        case("twelve rows, three features", 12, 3),
        case("twenty rows, five features, one of them constant", 20, 5, constant=True),
        case("values that can be met exactly", 9, 4, exact=True),
        case("one feature", 7, 1, "d = 1"),
        case("as many rows as features", 4, 4, "N = d"),
        case("a feature that was never active", 12, 4, SINGULAR, never=2),
        case("a feature that occurs twice", 12, 4, SINGULAR, copied=(0, 3)),
        case("fewer rows than features", 3, 5, SINGULAR),
        case("one row", 1, 4, SINGULAR),
        case("two features, one never active", 6, 2, SINGULAR, never=0),
        case("many rows", 60, 6),
    ]


def _solved(x, v, ridge=0.0):
    return np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ v)


def _singular_only(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    """Right wherever there is one answer; elsewhere an error at least once, and whatever rounding makes of it."""
    if len(outcomes) < len(cases):
        return False
    failed = False
    for case, outcome in zip(cases, outcomes, strict=True):
        if SINGULAR in case.tags:
            failed |= outcome.failure is not None and outcome.failure.type_name == "LinAlgError"
            continue
        right = linear.least_squares_values(**case.inputs)
        value = outcome.value
        if not isinstance(value, np.ndarray) or value.shape != right.shape:
            return False
        if not np.allclose(value, right, rtol=1e-6, atol=1e-8):
            return False
    return failed


def _with_constant(x, v):
    return np.linalg.lstsq(np.hstack([np.ones((len(x), 1)), x]), v, rcond=None)[0]


def _by_svd(x, v):
    u, size, vt = np.linalg.svd(x, full_matrices=False)
    kept = size > 1e-10 * size.max()
    return vt[kept].T @ ((u.T @ v)[kept] / size[kept])


least_squares_values = Exercise(
    "least_squares_values",
    reference=linear.least_squares_values,
    cases=_regression_cases,
    returns=array(),
    points=1,
    equation="(7.6)",
    rtol=1e-7,
    atol=1e-9,
    mistakes=[
        Mistake(
            "singular",
            "A feature that was never active makes $X^\\top X$ singular: use lstsq or pinv.",
            "Try it on a table of features of which one column is 0.",
            _solved,
            lambda x, v: np.linalg.inv(x.T @ x) @ x.T @ v,
            shows=_singular_only,
        ),
        Mistake(
            "not-inverted",
            "You stop at the right side of equation (7.6), $X^\\top v$. Features that are active together must share the credit.",
            "What multiplies w on the left side of equation (7.6)?",
            lambda x, v: x.T @ v,
            lambda x, v: x.T @ v / len(v),
        ),
        Mistake(
            "one-by-one",
            "You fit every feature alone. Features that are active together must share the credit.",
            "If two columns are the same, how should the two weights differ from that of one column?",
            lambda x, v: np.divide(x.T @ v, (x**2).sum(0), where=(x**2).sum(0) > 0, out=np.zeros(x.shape[1])),
        ),
        Mistake(
            "fitted-values",
            "Return the weights; the values are X times them.",
            "What shape has w?",
            lambda x, v: x @ np.linalg.lstsq(x, v, rcond=None)[0],
        ),
        Mistake(
            "intercept",
            "The features are what you were given; a constant is among them if it was wanted.",
            "How many weights are asked for?",
            _with_constant,
            lambda x, v: _with_constant(x, v)[1:],
            lambda x, v: np.linalg.lstsq(x - x.mean(0), v - v.mean(), rcond=None)[0],
        ),
        Mistake(
            "whole-tuple",
            "lstsq returns four things; w is the first.",
            "Print the length of what you return.",
            lambda x, v: np.linalg.lstsq(x, v, rcond=None),
        ),
        Mistake(
            "ridge",
            "You have added something to the diagonal of $X^\\top X$. Then it can be inverted, and the answer is another one.",
            "Which w has your function for two columns that are the same and a ridge of 1?",
            *(lambda x, v, r=ridge: _solved(x, v, r) for ridge in (1.0, 0.1, 1e-2, 1e-3, 1e-4)),
        ),
        Mistake(
            "residual",
            "You return what is *left* of v. The weights are asked for.",
            "What shape has w?",
            lambda x, v: v - x @ np.linalg.lstsq(x, v, rcond=None)[0],
        ),
    ],
    also_correct=[
        lambda x, v: np.linalg.pinv(x) @ v,
        _by_svd,
        lambda x, v: np.linalg.lstsq(x, v[:, None], rcond=1e-10)[0][:, 0],
        lambda x, v: np.linalg.pinv(x.T @ x, rcond=1e-10) @ (x.T @ v),
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------- largest_step_size

TURNS, NONE_LEFT = "complex eigenvalues", "no step size converges"


def _chain_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, x, P, d, gamma, *tags) -> Case:
        x, P, d = (np.asarray(part, dtype=np.float64) for part in (x, P, d))
        return Case(name, {"x": x, "P": P, "d": d, "gamma": float(gamma)}, tags)

    def chain(n: int) -> np.ndarray:
        return np.stack([random_distribution(rng, n) for _ in range(n)])

    def ring(n: int) -> np.ndarray:
        P = 0.1 * np.eye(n) + 0.9 * np.roll(np.eye(n), 1, axis=1)
        return P

    def drawn(name, n, k, gamma, on_policy, wanted, *tags, P=None) -> Case:
        """A problem whose eigenvalues are as wanted, and none near 0 or the imaginary axis.

        Fewer features than states: for γ = 1 a table's A would be singular, and that mistake without a number.
        """
        while True:
            P_ = chain(n) if P is None else P
            x = rng.normal(size=(n, k))
            d = triad.stationary_distribution(P_) if on_policy else rng.dirichlet(np.full(n, 0.4))
            lam = np.linalg.eigvals(triad.update_matrix(x, P_, d, gamma))
            size = np.abs(lam)
            clear = size.min() > 0.05 * size.max() and (np.abs(lam.real) > 0.15 * size).all()
            if clear and wanted(lam):
                return case(name, x, P_, d, gamma, *tags)

    def is_real(lam):
        return (np.abs(lam.imag) < 1e-12).all()

    def good(lam):
        return (lam.real > 0).all()

    def turning(lam):
        # The complex pair decides, and not by its real part or its size alone.
        bound = 2 * lam.real / np.abs(lam) ** 2
        worst = lam[bound.argmin()]
        return good(lam) and abs(worst.imag) > 0.4 * abs(worst)

    def split(lam):
        return is_real(lam) and (lam.real > 0).any() and (lam.real < 0).any()

    double = ([[1.0], [2.0]], [[0.0, 1.0], [0.0, 1.0]])
    return [
        drawn("a chain as its policy visits it", 6, 3, 0.9, True, lambda m: good(m) and is_real(m)),
        drawn("other weights than the policy's", 5, 2, 0.8, False, lambda m: good(m) and is_real(m)),
        drawn("as many features as half the states", 4, 2, 0.7, False, good),
        drawn("one feature", 4, 1, 0.9, False, good, "one feature"),
        drawn("features on a ring of three", 3, 2, 0.9, True, turning, TURNS, P=ring(3)),
        drawn("features on a ring of four, other weights", 4, 2, 0.95, False, turning, TURNS, P=ring(4)),
        drawn("features on a ring", 5, 2, 0.95, True, turning, TURNS, P=ring(5)),
        drawn("features on a ring, other weights", 5, 3, 0.9, False, turning, TURNS, P=ring(5)),
        case("w and 2w, only the first state updated, γ = 0.3", *double, [1.0, 0.0], 0.3),
        case("w and 2w, only the first state updated, γ = 0.9", *double, [1.0, 0.0], 0.9, NONE_LEFT),
        case("w and 2w, only the second state updated, γ = 0.9", *double, [0.0, 1.0], 0.9),
        drawn("one good and one bad direction", 5, 2, 0.99, False, split, NONE_LEFT),
        drawn("three directions, good and bad", 6, 3, 0.99, False, split, NONE_LEFT),
        drawn("γ = 0", 5, 3, 0.0, False, good, "γ = 0"),
    ]  # fmt: skip


BOUNDS: dict[str, Callable] = {
    "exact": lambda lam: 2 * lam.real / np.abs(lam) ** 2,
    "real part": lambda lam: 2 / lam.real,
    "size": lambda lam: 2 / np.abs(lam),
    "signed size": lambda lam: 2 * np.sign(lam.real) / np.abs(lam),
    "one": lambda lam: lam.real / np.abs(lam) ** 2,
    "one over the real part": lambda lam: 1 / lam.real,
    "half": lambda lam: lam.real / np.abs(lam) ** 2 / 2,
    "not squared": lambda lam: 2 * lam.real / np.abs(lam),
}


@composable
def _step(
    bound: str = "exact",
    pick: str = "min",
    floor: str = "0",
    front: str = "x",
    follows: str = "P",
    weights: str = "d",
    discount: bool = True,
    matrix: str = "A",
) -> Callable:
    """The largest step size with its parts exchangeable.

    floor: what happens where a direction is bad: "0", "none", "dropped"; matrix: what the eigenvalues are of.
    """

    def largest_step_size(x, P, d, gamma):
        n = len(P)
        share = {
            "d": d,
            "none": np.ones(n),
            "equal": np.full(n, 1 / n),
            "stationary": triad.stationary_distribution(P),
        }[weights]
        ahead = {"P": P, "P'": P.T, "nothing": np.zeros_like(P), "summed": (P > 0) * 1.0}[
            follows
        ] @ x
        difference = x - (gamma if discount else 1.0) * ahead
        A = (share[:, None] * (difference if front == "difference" else x)).T @ difference
        lam = {
            "A": lambda: np.linalg.eigvals(A),
            "symmetric": lambda: np.linalg.eigvalsh((A + A.T) / 2) + 0j,
            "lower": lambda: np.linalg.eigvalsh(A) + 0j,
            "singular values": lambda: np.linalg.svd(A, compute_uv=False) + 0j,
            "diagonal": lambda: np.diag(A) + 0j,
        }[matrix]()
        with np.errstate(all="ignore"):
            if floor == "0" and (lam.real <= 0).any() and pick == "min":
                return 0.0
            lam = lam[lam.real > 0] if floor == "dropped" else lam
            if not len(lam):
                return 0.0
            value = {"min": np.min, "max": np.max, "mean": np.mean}[pick](BOUNDS[bound](lam))
            return max(0.0, float(value)) if floor == "0" else float(value)

    return largest_step_size


def _by_bisection(x, P, d, gamma):
    """The step at which the largest |1 − αλ| crosses 1: found, not solved for."""
    A = sum(
        w * np.outer(f, f - gamma * sum(p * g for p, g in zip(row, x, strict=True)))
        for w, f, row in zip(d, x, P, strict=True)
    )
    lam = np.linalg.eigvals(A.T)

    def shrinks(alpha):
        return 2 * lam.real.min() > 0 and (alpha * np.abs(lam) ** 2 < 2 * lam.real).all()

    low, high = 0.0, 1e6
    if not shrinks(1e-12):
        return 0.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if shrinks(middle) else (low, middle)
    return low


def _by_inverse(x, P, d, gamma):
    A = x.T @ np.diag(d) @ (np.eye(len(P)) - gamma * P) @ x
    return float(np.maximum(2 * (1 / np.linalg.eigvals(A)).real.min(), 0.0))


def _by_loop(x, P, d, gamma):
    least = np.inf
    for lam in np.linalg.eigvals(triad.update_matrix(x, P, d, gamma)):
        least = min(least, 2 * lam.real / (lam.real**2 + lam.imag**2))
    return np.float64(least) if least > 0 else 0


largest_step_size = Exercise(
    "largest_step_size",
    reference=triad.largest_step_size,
    cases=_chain_cases,
    returns=number(),
    points=2,
    equation="(7.7)",
    rtol=1e-6,
    atol=1e-8,
    parts=["update_matrix"],
    mistakes=[
        Mistake(
            "real-part-only",
            "You use the real part of λ alone. A complex λ turns the error round; |1 − αλ| counts both parts.",
            "Let λ = 1 + i and α = 1. Is |1 − αλ| below 1?",
            _step("real part"),
            _step("real part", floor="none"),
        ),
        Mistake(
            "magnitude-only",
            "You use |λ| alone. Only if λ is real are these the same: square |1 − αλ| out.",
            "Let λ = 1 + i and α = 1.2. Is |1 − αλ| below 1?",
            _step("size"),
            _step("size", floor="none"),
            _step("signed size", floor="none"),
        ),
        Mistake(
            "one-for-two",
            "That is the fastest step, not the largest: |1 − αλ| may go down to −1 before it is too much.",
            "For one real λ: which α makes 1 − αλ equal to 0, and which −1?",
            _step("one"),
            _step("one over the real part"),
        ),
        Mistake(
            "best-direction",
            "You take the largest of the bounds. All directions must shrink.",
            "Two directions allow 0.5 and 3. Which α may you use?",
            _step(pick="max"),
            _step(pick="max", floor="none"),
        ),
        Mistake(
            "negative-step",
            "A step size below 0 is none: say 0.",
            "What does your function return if one λ has a negative real part?",
            _step(floor="none"),
        ),
        Mistake(
            "drops-bad-directions",
            "You leave out the eigenvalues with a real part that is not positive. That is the direction in which it blows up.",
            "What becomes of an error along such a direction, whatever α > 0 is?",
            _step(floor="dropped"),
        ),
        Mistake(
            "symmetric-part",
            "You have not the eigenvalues of A. A is not symmetric; the iteration multiplies by A itself.",
            "Which NumPy function is for symmetric matrices only?",
            _step(matrix="symmetric"),
            _step(matrix="lower"),
            _step(matrix="singular values"),
        ),
        Mistake(
            "residual-gradient",
            "You have $x-\\gamma Px$ in front. Semi-gradient: x in front.",
            "Which two factors stand in A, and in which order?",
            _step(front="difference"),
        ),
        Mistake(
            "no-gamma",
            NO_GAMMA,
            COUNT_GAMMA,
            _step(discount=False),
            _step(discount=False, floor="none"),
        ),
        Mistake(
            "transposed",
            "You take $P^\\top x$. Average over where the step goes: P @ x.",
            "Which index of P is the next state? Which one does your sum run over?",
            _step(follows="P'"),
        ),
        Mistake(
            "weights-forgotten",
            "d is left out, or all states count alike. d decides: it is the leg of the triad you can choose.",
            "Which argument have you not used?",
            _step(weights="none"),
            _step(weights="equal"),
        ),
        Mistake(
            "as-if-on-policy",
            "You weigh the states as the policy visits them. The states count as often as *they were updated*.",
            "Which argument have you not used?",
            _step(weights="stationary"),
        ),
        Mistake(
            "no-bootstrap",
            "Your A has no second term: that is regression, which always converges.",
            "Which argument have you not used?",
            _step(follows="nothing"),
        ),
    ],
    also_correct=[_step(), _by_bisection, _by_inverse, _by_loop],
)  # fmt: skip

# ------------------------------------------------------------------------------ fitted_q_iteration


def _batch_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name, n, d, n_actions, gamma, iterations, *tags,
        seen=None, dtype=np.float64, table=False, below=False, never=False, ended=0.3,
    ) -> Case:  # fmt: skip
        seen = range(n_actions) if seen is None else seen
        # Every action that occurs has its rows.
        action = rng.permutation(np.resize(np.array(seen), n))
        reward = rng.normal(size=n) * 2 - (4 if below else 0)
        if table:
            obs = np.eye(d)[rng.permutation(np.resize(np.arange(d), n))]
            next_obs = np.eye(d)[rng.integers(d, size=n)]
            basis = Basis(np.eye(d))
        else:
            obs, next_obs = rng.uniform(-1, 1, size=(2, n, 2))
            w = rng.normal(size=(2, d)) * 2
            w[:, 0] = 0.0  # a constant
            basis = Basis(w, waves=True)
        if never:
            basis = Basis(np.diag(np.arange(d) != 1).astype(float))
        batch = Log(obs, action, reward, next_obs, flags(rng, n, dtype, ended))
        inputs = {
            "batch": batch, "features": basis, "n_actions": n_actions,
            "gamma": gamma, "iterations": iterations,
        }  # fmt: skip
        return Case(name, inputs, tags)

    unseen = "an action without rows"
    return [
        case("thirty rows, three actions", 30, 3, 3, 0.9, 3),
        case("one iteration", 24, 3, 2, 0.9, 1, "one iteration"),
        case("no iteration", 20, 3, 3, 0.9, 0, "no iteration"),
        case("five iterations, values all negative", 36, 3, 3, 0.8, 5, below=True),
        case("a table, `terminated` as bool", 40, 4, 2, 0.9, 4, dtype=FLAG_TYPES[0], table=True),
        case("as many actions as features, `terminated` as int", 40, 3, 3, 0.7, 2, dtype=FLAG_TYPES[1]),
        case("an action that does not occur, values all negative", 30, 3, 4, 0.9, 3, unseen, seen=(0, 1, 3), below=True),
        case("the last action does not occur", 24, 2, 3, 0.8, 3, unseen, seen=(0, 1), below=True),
        case("fewer rows than features for an action", 7, 4, 3, 0.6, 2),
        case("a feature that is never active", 30, 4, 2, 0.9, 3, "never active", table=True, never=True),
        case("one action", 15, 3, 1, 0.9, 3, "one action"),
        case("one feature", 20, 1, 3, 0.9, 4, "d = 1"),
        case("γ = 0", 24, 3, 2, 0.0, 2, "γ = 0"),
        case("γ = 1, most rows terminal", 30, 2, 3, 1.0, 3, ended=0.7),
    ]  # fmt: skip


NEXT_VALUES: dict[str, Callable] = {
    "max": lambda q, a: q.max(axis=1),
    "taken": lambda q, a: q[np.arange(len(q)), a],
    "mean": lambda q, a: q.mean(axis=1),
    "index": lambda q, a: q.argmax(axis=1).astype(float),
    "min": lambda q, a: q.min(axis=1),
    "sum": lambda q, a: q.sum(axis=1),
    "max of all": lambda q, a: np.full(len(q), q.max()),
    "largest size": lambda q, a: np.abs(q).max(axis=1),
    "seen": lambda q, a: q[:, np.unique(a)].max(axis=1),
    "never below 0": lambda q, a: np.maximum(q.max(axis=1), 0.0),
    "nothing": lambda q, a: np.zeros(len(q)),
}


@composable
def _fitted(
    future: str = "max",
    at: str = "next",
    mask: str = "future",
    discount: str = "future",
    paid: bool = True,
    targets: str = "each round",
    rows: str = "own",
    rounds: int = 0,
    start: float = 0.0,
    fit: str = "lstsq",
    keeps: str = "weights",
) -> Callable:
    """Fitted Q-iteration with its parts exchangeable.

    targets: when they are made, "each round", "each fit", "once"; rounds: too many or too few; keeps: what
    becomes of an action without rows.
    """

    def fitted_q_iteration(batch, features, n_actions, gamma, iterations):
        x, x_next = features(batch.obs), features(batch.next_obs)
        w = np.full((n_actions, x.shape[1]), start)

        def made():
            q = (x_next if at == "next" else x) @ w.T
            value = NEXT_VALUES[future](q, batch.action)
            parts = (batch.reward, value, batch.terminated, gamma, mask, discount, paid)
            return one_step(*parts)

        y = made()
        for _ in range(max(iterations + rounds, 0)):
            y = made() if targets == "each round" else y
            for a in range(n_actions):
                chosen = np.asarray(batch.action) == a
                if rows == "others":
                    chosen = ~chosen
                if not chosen.any() and rows == "own":
                    continue
                y = made() if targets == "each fit" else y
                own = np.ones_like(chosen) if rows == "all" else chosen
                of, to = (x * own[:, None], y * own) if rows == "masked" else (x[own], y[own])
                if fit == "lstsq":
                    w[a] = np.linalg.lstsq(of, to, rcond=None)[0]
                elif fit == "solve":
                    w[a] = _solved(of, to)
                elif fit == "step":
                    w[a] = w[a] + 0.1 * of.T @ (to - of @ w[a]) / len(of)
                else:
                    w[a] = _solved(of, to, 1e-3 if fit == "small ridge" else 1.0)
        return w

    return fitted_q_iteration


def _on_blocks(batch, features, n_actions, gamma, iterations):
    """One regression on block features."""
    from rlcourse.values.features import state_action_features

    x = state_action_features(features(batch.obs), batch.action, n_actions)
    after = features(batch.next_obs)
    w = np.zeros(x.shape[1])
    for _ in range(iterations):
        q = after @ w.reshape(n_actions, -1).T
        y = batch.reward + gamma * (1.0 - batch.terminated) * q.max(axis=1)
        w = np.linalg.pinv(x, rcond=1e-12) @ y
    return w.reshape(n_actions, -1)


def _prepared(batch, features, n_actions, gamma, iterations):
    """Pseudo-inverses made once."""
    x, after = features(batch.obs), features(batch.next_obs)
    inverses = [np.linalg.pinv(x * (batch.action == a)[:, None]) for a in range(n_actions)]
    w = np.zeros((n_actions, x.shape[1]))
    while iterations > 0:
        best = np.array([max(w @ row) for row in after])
        y = np.where(batch.terminated, batch.reward, batch.reward + gamma * best)
        w, iterations = np.stack([inverse @ y for inverse in inverses]), iterations - 1
    return w


def _row_by_row(batch, features, n_actions, gamma, iterations):
    obs = SimpleNamespace(here=features(batch.obs), there=features(batch.next_obs))
    w = [np.zeros(obs.here.shape[1]) for _ in range(n_actions)]
    for _ in range(iterations):
        old, labels = w, []
        for r, d, x in zip(batch.reward, batch.terminated, obs.there, strict=True):
            labels.append(r if d else r + gamma * max(float(v @ x) for v in old))
        w = []
        for a in range(n_actions):
            rows = [n for n, b in enumerate(batch.action) if b == a]
            fitted = np.linalg.lstsq(obs.here[rows], np.array(labels)[rows], rcond=None)[0]
            w.append(fitted if rows else np.zeros(obs.here.shape[1]))
    return np.array(w)


fitted_q_iteration = Exercise(
    "fitted_q_iteration",
    reference=fitted_q.fitted_q_iteration,
    cases=_batch_cases,
    returns=array(),
    points=3,
    equation="(7.8)",
    rtol=1e-6,
    atol=1e-8,
    parts=["fitted_q_targets"],
    partial={"one iteration": 1},
    mistakes=[
        Mistake(
            "current-action-value",
            "You take q(s′, a_n) for the maximum. The action in the batch was taken at s; at s′ the best one counts.",
            "At which state was `batch.action` chosen?",
            _fitted("taken"),
        ),
        Mistake(
            "moving-targets",
            "You compute the targets again after each action's fit. One iteration fits one fixed target.",
            "How often does your code make targets in one iteration?",
            _fitted(targets="each fit"),
        ),
        Mistake(
            "targets-once",
            "Your targets stay the rewards alone. Every iteration has targets of its own, from the weights before it.",
            "Do your weights still change after the first iteration?",
            _fitted(targets="once"),
            _fitted("nothing"),
        ),
        Mistake("terminal-bootstrap", TERMINAL_FUNCTION, LOOK_AT_ENDS, _fitted(mask="none")),
        Mistake(
            "one-regression",
            "You fit every action on all the rows. Each action's weights are fitted on its own rows.",
            "Are the rows of your w different?",
            _fitted(rows="all"),
        ),
        Mistake(
            "off-by-one",
            "A round too many or too few. Count the regressions: exactly `iterations`.",
            "What does your function return for 0 iterations, and for 1?",
            _fitted(rounds=1),
            _fitted(rounds=-1),
        ),
        Mistake(
            "value-at-s",
            "Your maximum is over q(s, ·). The bootstrap looks at next_obs.",
            "Which part of the batch have you not used?",
            _fitted(at="same"),
        ),
        Mistake(
            "mean-over-actions",
            "You take the mean for the maximum. That evaluates a uniform policy.",
            "What stands before $\\hat q(s'_i, a'; w_k)$ in equation (7.8)?",
            _fitted("mean"),
        ),
        Mistake("no-gamma", NO_GAMMA, COUNT_GAMMA, _fitted(discount="none")),
        Mistake("gamma-on-reward", GAMMA_ON_REWARD, COUNT_GAMMA, _fitted(discount="all")),
        Mistake("gamma-misplaced", GAMMA_MISPLACED, COUNT_GAMMA, _fitted(discount="reward")),
        Mistake(
            "argmax",
            "You take the action's number for its value. The index of the best action is not what it is worth.",
            "What does `argmax` return, and what does `max`?",
            _fitted("index"),
        ),
        Mistake(
            "starts-from-ones",
            "Start from zeros: after 0 iterations nothing is known.",
            "What does your function return for 0 iterations?",
            _fitted(start=1.0),
            _fitted(start=-1.0),
        ),
        Mistake("masks-reward", MASKS_REWARD, LOOK_AT_ENDS, _fitted(mask="all")),
        Mistake("mask-inverted", MASK_INVERTED, LOOK_AT_ENDS, _fitted(mask="inverted")),
        Mistake("reward-missing", REWARD_MISSING, "What is learnt at γ = 0?", _fitted(paid=False)),
        Mistake(
            "worst-action",
            "You take the smallest value. At s′ the best action counts.",
            "`min` or `max`?",
            _fitted("min"),
        ),
        Mistake(
            "sum-over-actions",
            "You add up the values of all next actions. Only one is taken: the best.",
            "Which function stands before $\\hat q$ in equation (7.8)?",
            _fitted("sum"),
        ),
        Mistake(
            "max-over-all",
            "You take one maximum over the whole batch. Each transition has its own next state.",
            "Along which axis are the actions? Print the shape of your maximum.",
            _fitted("max of all"),
        ),
        Mistake(
            "unseen-left-out",
            "An action without rows still takes part in the maximum, with the weights that it has.",
            "Which columns does your maximum run over?",
            _fitted("seen"),
        ),
        Mistake(
            "never-below-zero",
            "Your next value is never below 0. Values may all be negative.",
            "What should come out where every step costs something?",
            _fitted("never below 0"),
        ),
        Mistake(
            "ridge",
            "You have added something to the diagonal. Fit by plain least squares, of least norm: exercise 7.4.",
            "Can you use a function that you have written already?",
            _fitted(fit="ridge"),
            _fitted(fit="small ridge"),
        ),
        Mistake(
            "step-for-fit",
            "You take a step towards the targets. Equation (7.8) has an arg min: the regression is *solved*.",
            "What are your weights after one iteration with γ = 0?",
            _fitted(fit="step"),
        ),
        Mistake(
            "transposed",
            "Your result has the features along its rows. Row a holds action a's weights.",
            "Print the shape of your result.",
            lambda *given: _fitted()(*given).T,
        ),
    ],
    also_correct=[_fitted(), _on_blocks, _prepared, _row_by_row],
)  # fmt: skip

LESSON = Lesson(
    "07",
    "Linear control, batches, fitted Q",
    [
        tile_indices,
        state_action_features,
        semi_gradient_sarsa_update,
        least_squares_values,
        largest_step_size,
        fitted_q_iteration,
    ],
)
