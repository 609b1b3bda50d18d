"""Lesson 11: Actor-critic."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from rlcourse.checker.comparing import difference, same
from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    composable,
    loss_value,
    numbers,
    several,
    tensor,
)
from rlcourse.checker.harness import Case
from rlcourse.checker.networks import (
    ATOL,
    RTOL,
    AgentState,
    Optimizer,
    both_signs,
    network,
    recording,
    transitions,
)
from rlcourse.checker.networks import tensor as recipe
from rlcourse.checker.plain import Tensor
from rlcourse.exercises.network_targets import (
    MASK_INVERTED,
    NOT_REDUCED,
    REDUCTIONS,
    REWARD_DISCOUNTED,
    REWARD_MASKED,
    target_mistakes,
    td_target,
)
from rlcourse.policies import actor_critic as methods
from rlcourse.policies import gae as advantages

_close = partial(same, rtol=RTOL, atol=ATOL)

# Sentences that several exercises share: why it is wrong, what to look at.
_ACROSS_ENDS = (
    "Your sum runs on after the end of an episode. The next row belongs to another episode: what happens there is no "
    "consequence of this action.",
    "Let the first episode end after one row. Which rewards of the second one does its advantage hold?",
)
_ACROSS_TRUNCATION = (
    "Only `terminated` cuts your sum. An episode that was cut off by the time limit is over as well: the next row "
    "belongs to another one. What is special about it is that its bootstrap survives.",
    "Two masks: which flags say that the next row is another episode, and which that nothing is left to come?",
)
_TERMINAL_BOOTSTRAP = (
    "You read V(s′) of a terminal state. After a terminal state nothing is left to come: its value is 0 whatever the "
    "function says there.",
    "Where does (1 − d) stand in the equation, and where in your code?",
)
_TRUNCATION_MASKED = (
    "You use one mask for both purposes: where the time limit cut the episode off you count V(s′) as 0. But the time "
    "limit is not the end of the world: V(s′) stays.",
    "A cut episode would have gone on. What is its next state worth?",
)
_NEXT_ROW = (
    "You bootstrap from the value in the next *row*. After an end the next row is a reset state, the first of another "
    "episode; after the last row there is none.",
    "Which of the arguments have you not used?",
)
_NO_GAMMA = (
    "V(s′) enters without γ. The next value lies one step ahead: it is worth γ of itself.",
    "How often does γ stand in the equation, and before what?",
)
_SIGN_OF_ADVANTAGE = (
    "Everything has the opposite sign: this is what was expected minus what came.",
    "Something better than expected has happened. Should the advantage be positive?",
)
_NO_BOOTSTRAP = (
    "Your target is the reward alone. What comes after this step is a part of what the critic is to predict.",
    "What does the critic say of the next state, and where does your target hold it?",
)
_NO_BASELINE = (
    "These are returns: V(s) is not subtracted. An advantage is what came minus what was expected.",
    "What is the advantage if exactly that comes which was expected?",
)
_RETURNS = (
    "The advantages are right, but the second part is not Â + V, the return that they stand for: the critic's target.",
    "If the critic were exact and nothing random, which number should the target of V(s) be?",
)
_PARTS_EXCHANGED = (
    "Both parts are right, but they come back in the wrong order.",
    "Look at the last line of the docstring.",
)
_STEPS_TWICE = (
    "Every network moves exactly twice as far as it should: its optimiser steps twice, or the loss is doubled.",
    "How often does `step()` run for one batch?",
)

_PILE_UP = (
    "The gradients of earlier calls are still there when you step: `.grad` adds up until it is cleared.",
    "Clear them in the same call, before `backward`; somebody else's may be lying there.",
)
_SIGN = (
    "The policy moves the wrong way. Optimisers minimise: the loss is minus what you want to grow.",
    "Write down the actor's loss for a single row with a positive weight. What does a step do to log π?",
)
_RESIDUAL = (
    "The critic's target is differentiated too. In a semi-gradient the target counts as a constant, and only the "
    "prediction moves.",
    "Through which evaluation of the critic should a gradient flow, and through which not?",
)

# ------------------------------------------------------------------------------------ recordings


def _recorded(
    rng: np.random.Generator, n: int, terminated=(), truncated=(), dtype=np.float32
) -> dict[str, Tensor]:
    """reward, value, next_value, terminated, truncated of n steps in the order of time, (n,) each.

    Within an episode next_value[t] is value[t + 1]; after an end it is the value of what came then.
    """
    reward, value, next_value = 2 * rng.normal(size=(3, n))
    flags = np.zeros((2, n), dtype)
    flags[0, list(terminated)] = flags[1, list(truncated)] = 1
    inside = np.nonzero(flags.max(axis=0)[:-1] == 0)[0]
    next_value[inside] = value[inside + 1]
    columns = (reward, value, next_value, *flags)
    names = ("reward", "value", "next_value", "terminated", "truncated")
    return {name: recipe(column) for name, column in zip(names, columns, strict=True)}


_TERMINAL, _CUT = "an episode that terminates", "an episode that is cut off"


def _lists(*columns) -> list[list[float]]:
    return [column.double().tolist() for column in columns]


def _pair(adv, value, returns="adv + V"):
    """(adv, returns) as the dtype of `value`; returns: what the second part is."""
    adv = torch.as_tensor(adv, dtype=torch.float64)
    v = value.detach().double()
    second = {"adv + V": adv + v, "adv": adv, "adv − V": adv - v, "V": v, "−adv + V": v - adv}
    if returns == "first":
        return (adv + v).to(value.dtype), adv.to(value.dtype)
    return adv.to(value.dtype), second[returns].to(value.dtype)


_SECOND_PARTS = ("adv", "adv − V", "V")

# ------------------------------------------------------------------------------ n_step_advantage


def _n_step_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, length: int, n: int, *tags: str, gamma=0.9, d=(), c=()) -> Case:
        rows = _recorded(rng, length, d, c)
        return Case(name, rows | {"gamma": gamma, "n": n}, tags)

    return [
        case("no end, n = 1", 6, 1, "n = 1"),
        case("no end, n = 3", 8, 3),
        case("no end, n longer than the rollout", 5, 9, "n > T"),
        case("episodes that terminate", 10, 3, _TERMINAL, d=(3, 7)),
        case("episodes that are cut off", 10, 3, _CUT, c=(2, 6)),
        case("n = 1 and ends of both kinds", 7, 1, "n = 1", _TERMINAL, _CUT, d=(1, 6), c=(3,)),
        case("some of everything", 12, 4, _TERMINAL, _CUT, d=(1, 5), c=(4, 9)),
        case("both flags at once", 8, 3, _TERMINAL, _CUT, d=(2, 5), c=(5,)),
        case("an end in the last row", 6, 2, _TERMINAL, d=(5,)),
        case("a cut in the last row", 6, 2, _CUT, c=(5,)),
        case("a single row", 1, 3, "T = 1"),
        case("a single row, terminal", 1, 1, "T = 1", _TERMINAL, d=(0,)),
        case("γ = 0", 6, 3, "γ = 0", gamma=0.0, d=(2,)),
        case("γ = 1", 9, 5, "γ = 1", _TERMINAL, _CUT, gamma=1.0, d=(2,), c=(6,)),
        case("n as long as the rollout", 7, 7, gamma=0.8, d=(4,), c=(1,)),
    ]


@composable
def _n_step(
    *,
    cut: str = "either",
    mask: str = "d",
    power: str = "m",
    seen: str = "true",
    more: int = 0,
    own_reward: bool = True,
    tail: str = "reads",
    discount: bool = True,
    baseline: str = "V",
    sign: float = 1.0,
    returns: str = "adv + V",
) -> Callable:
    """n-step advantages, row by row, with the parts exchangeable.

    cut: which flags end the window; mask: when V′ is not read; power: of γ before it; seen: "true" for next_value,
    "next row"; more: rewards beyond n; tail: what the rollout's end does, "reads" V′, "terminal" or "zeros".
    """

    def n_step_advantage(reward, value, next_value, terminated, truncated, gamma, n):
        r, v, w, d, c = _lists(reward, value, next_value, terminated, truncated)
        length, adv = len(r), []
        over = {"either": [max(x, y) for x, y in zip(d, c, strict=True)], "d": d, "never": [0] * len(d)}[cut]  # fmt: skip
        for t in range(length):
            total, m = 0.0, 0
            for k in range(n + more):
                if t + k >= length:
                    break
                ends = bool(over[t + k])
                if own_reward or not ends:
                    total += (gamma if discount else 1.0) ** k * r[t + k]
                m = k + 1
                if ends:
                    break
            last = t + m - 1
            short = m < n and last == length - 1 and not max(d[last], c[last])
            m = min(m, n) if more else m
            alive = {"d": 1 - d[last], "nothing": 1.0, "either": 1 - max(d[last], c[last])}[mask]
            if tail == "terminal" and short:
                alive = 0.0
            ahead = w[last]
            if seen == "next row":
                ahead = v[last + 1] if last + 1 < length else w[last]
            elif seen == "next row, 0 behind":
                ahead = v[last + 1] if last + 1 < length else 0.0
            elif seen == "own row":
                ahead = v[last]
            exponent = {"m": m, "n": n, "m − 1": m - 1, "0": 0, "1": 1}[power]
            own = {"V": v[t], "none": 0.0, "V′": w[t]}[baseline]
            total += gamma**exponent * alive * ahead - own
            adv.append(0.0 if tail == "zeros" and short else sign * total)
        return _pair(adv, value, returns)

    return n_step_advantage


@composable
def _sum_of_errors(
    cut: str = "either", mask: str = "d", powers: str = "γ", more: int = 0
) -> Callable:
    """n TD errors added up; cut: the flags that end the sum; mask: those that take the bootstrap."""

    def n_step_advantage(reward, value, next_value, terminated, truncated, gamma, n):
        either = torch.maximum(terminated, truncated)
        masks = {"d": terminated, "either": either, "nothing": 0 * either}
        delta = reward + gamma * (1 - masks[mask]) * next_value - value
        over = {"either": either, "d": terminated, "never": 0 * either}[cut]
        adv = torch.zeros_like(delta)
        for t in range(len(delta)):
            for k in range(min(n + more, len(delta) - t)):
                adv[t] += (gamma if powers == "γ" else 1.0) ** k * delta[t + k]
                if over[t + k]:
                    break
        return adv, adv + value

    return n_step_advantage


def _backups(reward, value, next_value, terminated, truncated, gamma, n):
    """The whole array backed up n times: each backup looks one row further."""
    over = torch.maximum(terminated, truncated) == 1
    over[-1:] = True
    reached = next_value
    for _ in range(n):
        target = reward + gamma * torch.where(terminated == 1, 0.0, reached)
        reached = torch.where(over, next_value, torch.cat([target[1:], target[:1]]))
    return target - value, target


def _episodes_apart(reward, value, next_value, terminated, truncated, gamma, n):
    """Each episode cut out first, then a return a row."""
    ends = torch.maximum(terminated, truncated).nonzero().flatten() + 1
    sizes = np.diff(
        [0, *ends.tolist(), *([] if len(ends) and ends[-1] == len(reward) else [len(reward)])]
    )
    pieces = []
    for r, w, d in zip(
        *(x.split(sizes.tolist()) for x in (reward, next_value, terminated)), strict=True
    ):
        for t in range(len(r)):
            m = min(n, len(r) - t)
            powers = gamma ** torch.arange(m, dtype=torch.float64)
            total = (powers * r[t : t + m].double()).sum() + gamma**m * (1 - d[t + m - 1]) * w[
                t + m - 1
            ]
            pieces.append(total)
    returns = torch.stack(pieces).to(value.dtype)
    return returns - value, returns


n_step_advantage = Exercise(
    "n_step_advantage",
    reference=advantages.n_step_advantage,
    cases=_n_step_cases,
    returns=several(adv=tensor(), returns=tensor()),
    points=2,
    equation="(11.5)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "carries-across-ends",
            *_ACROSS_ENDS,
            _n_step(cut="never"),
            _sum_of_errors(cut="never"),
        ),
        Mistake(
            "carries-across-truncation",
            *_ACROSS_TRUNCATION,
            _n_step(cut="d"),
            _sum_of_errors(cut="d"),
        ),
        Mistake(
            "terminal-bootstrap",
            *_TERMINAL_BOOTSTRAP,
            _n_step(mask="nothing"),
            _n_step(mask="nothing", cut="never"),
            _n_step(mask="nothing", cut="d"),
        ),
        Mistake(
            "truncation-not-bootstrapped",
            *_TRUNCATION_MASKED,
            _n_step(mask="either"),
            _n_step(mask="either", cut="never"),
        ),
        Mistake(
            "n-powers",
            "Your power of γ before V does not fit the rewards before it. As many γ as rewards stand before it: m, and "
            "that is less than n where the episode or the rollout ends.",
            "A window of one row: which power of γ stands before V(s′)? And with n = 3, if the episode is cut after one?",
            _n_step(power="n"),
            _n_step(power="m − 1"),
            _n_step(power="0"),
            _n_step(power="1"),
        ),
        Mistake(
            "rollout-end-is-terminal",
            "The last n − 1 rows have no bootstrap, or no advantage at all. The recording stopped, not the world: there "
            "the window is shorter, and what came after the last row is still worth V(s′).",
            "What is the advantage of the last row of all? It has a reward and a next value.",
            _n_step(tail="terminal"),
            _n_step(tail="zeros"),
        ),
        Mistake(
            "next-row-value",
            *_NEXT_ROW,
            _n_step(seen="next row"),
            _n_step(seen="next row, 0 behind"),
        ),
        Mistake(
            "off-by-one",
            "The number of rewards is wrong: one more than n, or the reward of the step that ended the episode is left "
            "out. The flag of row k says how step k ended: its reward was paid.",
            "n = 1 and an episode that ends in this very row: which rewards are added up?",
            _n_step(more=1),
            _sum_of_errors(more=1),
            _n_step(own_reward=False),
            _n_step(more=-1, power="n"),
        ),
        Mistake(
            "no-baseline",
            *_NO_BASELINE,
            _n_step(baseline="none"),
            _n_step(baseline="none", returns="adv"),
        ),
        Mistake("sign", *_SIGN_OF_ADVANTAGE, _n_step(sign=-1.0), _n_step(sign=-1.0, returns="−adv + V")),
        Mistake(
            "undiscounted",
            "The rewards in your window are not discounted: the one k steps later counts γ^k.",
            "Where does `gamma` enter, apart from the bootstrap?",
            _n_step(discount=False),
            _n_step(discount=False, power="0"),
        ),
        Mistake("returns-wrong", *_RETURNS, *(_n_step(returns=second) for second in _SECOND_PARTS)),
        Mistake("parts-exchanged", *_PARTS_EXCHANGED, _n_step(returns="first")),
    ],
    also_correct=[_n_step(), _sum_of_errors(), _backups, _episodes_apart],
)  # fmt: skip

# ------------------------------------------------------------------------------------------- gae


def _gae_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, length: int, *tags: str, gamma=0.9, lam=0.8, d=(), c=()) -> Case:
        rows = _recorded(rng, length, d, c)
        return Case(name, rows | {"gamma": gamma, "lam": lam}, tags)

    both = (_TERMINAL, _CUT)
    return [
        case("no end", 7),
        case("episodes that terminate", 9, _TERMINAL, d=(2, 6)),
        case("episodes that are cut off", 9, _CUT, c=(3, 6)),
        case("some of everything", 12, *both, d=(1, 5), c=(3, 8), gamma=0.95, lam=0.9),
        case("both flags at once", 8, *both, d=(2, 5), c=(5,)),
        case("an end in the last row", 6, _TERMINAL, d=(5,)),
        case("a cut in the last row", 6, _CUT, c=(5,)),
        case("ends one after the other", 7, *both, d=(1, 2), c=(4, 5)),
        case("λ = 0", 8, "λ = 0", *both, lam=0.0, d=(3,), c=(5,)),
        case("λ = 1", 8, "λ = 1", *both, lam=1.0, d=(3,), c=(5,)),
        case("γ = 1", 8, "γ = 1", *both, gamma=1.0, lam=0.7, d=(4,), c=(2,)),
        case("γ = λ = 1", 8, "γ = 1", "λ = 1", *both, gamma=1.0, lam=1.0, d=(2,), c=(6,)),
        case("γ = 0", 6, "γ = 0", gamma=0.0, d=(2,)),
        case("a single row", 1, "T = 1"),
        case("a single row, terminal", 1, "T = 1", _TERMINAL, d=(0,)),
        case("a single row, cut off", 1, "T = 1", _CUT, c=(0,)),
    ]


def _later(flags: list[float], behind: float) -> list[float]:
    return [*flags[1:], behind]


@composable
def _gae(
    *,
    cut: str = "either",
    mask: str = "d",
    flags: str = "own",
    seen: str = "true",
    carry: str = "γλ",
    discount: str = "γ",
    baseline: str = "V",
    direction: str = "back",
    first: str = "0",
    sign: float = 1.0,
    scale: str = "1",
    returns: str = "adv + V",
) -> Callable:
    """(11.8) with its parts exchangeable.

    cut: which flags end the recursion; mask: which take the bootstrap; flags: "own" row's, or those of the row
    after it for the cut, the mask or both; seen: where V′ is read; carry: the factor of the recursion; first: Â_T.
    """

    def gae(reward, value, next_value, terminated, truncated, gamma, lam):
        r, v, w, d, c = _lists(reward, value, next_value, terminated, truncated)
        length = len(r)
        either = [max(x, y) for x, y in zip(d, c, strict=True)]
        over = {"either": either, "d": d, "c": c, "never": [0.0] * length, "inverted": [1 - x for x in either]}[cut]  # fmt: skip
        gone = {"d": d, "either": either, "nothing": [0.0] * length, "c": c, "inverted": [1 - x for x in d]}[mask]  # fmt: skip
        behind = 1.0 if flags.endswith(", 1") else 0.0
        if flags.startswith(("cut late", "both late")):
            over = _later(over, behind)
        if flags.startswith(("mask late", "both late")):
            gone = _later(gone, gone[-1] if flags.endswith(", own") else behind)
        if seen == "next row":
            w = [*v[1:], w[-1]]
        elif seen == "next row, 0 behind":
            w = [*v[1:], 0.0]
        factor = {"γλ": gamma * lam, "γ": gamma, "λ": lam, "γ(1 − λ)": gamma * (1 - lam), "0": 0.0, "1": 1.0}[carry]  # fmt: skip
        ahead = {"γ": gamma, "1": 1.0, "γλ": gamma * lam}[discount]
        delta = [r[t] + ahead * (1 - gone[t]) * w[t] for t in range(length)]
        own = {"V": v, "none": [0.0] * length, "V′": w}[baseline]
        delta = [x - y for x, y in zip(delta, own, strict=True)]
        adv, following = [0.0] * length, {"0": 0.0, "V′": w[-1]}[first]
        order = range(length) if direction == "forth" else reversed(range(length))
        for t in order:
            following = delta[t] + factor * (1 - over[t]) * following
            adv[t] = following
        weight = {"1": 1.0, "1 − λ": 1 - lam}[scale]
        return _pair([sign * weight * x for x in adv], value, returns)

    return gae


def _gae_double_sum(reward, value, next_value, terminated, truncated, gamma, lam):
    r, v, w, d, c = _lists(reward, value, next_value, terminated, truncated)
    adv = []
    for t in range(len(r)):
        total = 0.0
        for k in range(t, len(r)):
            bootstrap = 0.0 if d[k] else gamma * w[k]
            total += (gamma * lam) ** (k - t) * (r[k] + bootstrap - v[k])
            if d[k] or c[k]:
                break
        adv.append(total)
    return _pair(adv, value)


def _gae_by_lambda_returns(reward, value, next_value, terminated, truncated, gamma, lam):
    """G^λ = r + γ((1 − λ) V′ + λ G^λ of the next row), minus V."""
    returns = torch.zeros_like(value)
    for t in reversed(range(len(reward))):
        last = t == len(reward) - 1 or terminated[t] == 1 or truncated[t] == 1
        follows = next_value[t] if last else (1 - lam) * next_value[t] + lam * returns[t + 1]
        returns[t] = reward[t] + gamma * (1 - terminated[t]) * follows
    return returns - value, returns


def _gae_by_solving(reward, value, next_value, terminated, truncated, gamma, lam):
    """(I − γλ shift) Â = δ, a triangular system."""
    delta = reward + gamma * (1 - terminated) * next_value - value
    carry = gamma * lam * (1 - torch.maximum(terminated, truncated))
    matrix = torch.eye(len(reward)) - torch.diag(carry[:-1], 1)
    adv = torch.linalg.solve_triangular(matrix, delta[:, None], upper=True)[:, 0]
    return adv, adv + value


gae = Exercise(
    "gae",
    reference=advantages.gae,
    cases=_gae_cases,
    returns=several(adv=tensor(), returns=tensor()),
    points=3,
    equation="(11.8)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake("carries-across-ends", *_ACROSS_ENDS, _gae(cut="never")),
        Mistake("carries-across-truncation", *_ACROSS_TRUNCATION, _gae(cut="d")),
        Mistake(
            "terminal-bootstrap",
            *_TERMINAL_BOOTSTRAP,
            _gae(mask="nothing"),
            _gae(mask="nothing", cut="never"),
            _gae(mask="nothing", cut="d"),
        ),
        Mistake(
            "truncation-not-bootstrapped",
            *_TRUNCATION_MASKED,
            _gae(mask="either"),
            _gae(mask="either", cut="never"),
            _gae(mask="c"),
        ),
        Mistake(
            "mask-one-late",
            "A mask stands one row off: you read the flags of row t + 1 at row t. The flag of row t says whether step t "
            "ended the episode.",
            "An episode ends with row 3. In which row's equation does its flag stand?",
            *(
                _gae(flags=f"{which} late{end}")
                for which in ("cut", "mask", "both")
                for end in ("", ", 1", ", own")
            ),
        ),
        Mistake(
            "next-row-value",
            *_NEXT_ROW,
            _gae(seen="next row"),
            _gae(seen="next row, 0 behind"),
        ),
        Mistake(
            "decay",
            "What is carried from row t + 1 is not weighed with γλ. Each step back costs γ, for it lies a step later, "
            "and λ, for it is trusted less.",
            "What multiplies δ two rows further on?",
            *(_gae(carry=factor) for factor in ("γ", "λ", "γ(1 − λ)", "1")),
        ),
        Mistake(
            "td-error-only",
            "These are the TD errors alone, the case λ = 0: nothing is carried from the rows that follow.",
            "Which argument have you not used?",
            _gae(carry="0"),
            _gae(cut="inverted"),
        ),
        Mistake("no-gamma", *_NO_GAMMA, _gae(discount="1"), _gae(discount="γλ")),
        Mistake(
            "mask-inverted",
            *MASK_INVERTED,
            _gae(mask="inverted"),
        ),
        Mistake(
            "no-baseline",
            *_NO_BASELINE,
            _gae(baseline="none"),
            _gae(baseline="none", returns="adv"),
        ),
        Mistake(
            "runs-forwards",
            "Your recursion runs forwards: row t gets what came *before* it. An action is judged by what follows.",
            "Which row can be computed first, because nothing follows it?",
            _gae(direction="forth"),
        ),
        Mistake(
            "starts-from-the-value",
            "Your recursion starts with V(s′) in the place of Â_T. That value already stands in the last δ; beyond the "
            "rollout there is no further TD error.",
            "What is Â of the last row, if nothing follows?",
            _gae(first="V′"),
        ),
        Mistake(
            "weights-kept",
            "A factor 1 − λ too much. It made the weights of the n-step advantages sum to 1, and it is gone when "
            "they are collected by TD errors.",
            "What should λ = 1 give?",
            _gae(scale="1 − λ"),
        ),
        Mistake("sign", *_SIGN_OF_ADVANTAGE, _gae(sign=-1.0), _gae(sign=-1.0, returns="−adv + V")),
        Mistake("returns-wrong", *_RETURNS, *(_gae(returns=second) for second in _SECOND_PARTS)),
        Mistake("parts-exchanged", *_PARTS_EXCHANGED, _gae(returns="first")),
    ],
    also_correct=[_gae(), _gae_double_sum, _gae_by_lambda_returns, _gae_by_solving],
)  # fmt: skip

# --------------------------------------------------------------------------- critic_error_weights


def _weight_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, steps: int, terminated: int, gamma: float, lam: float, *tags: str) -> Case:
        inputs = {"steps": steps, "terminated": terminated, "gamma": gamma, "lam": lam}
        return Case(name, inputs, tags)

    def drawn() -> float:
        return round(float(rng.uniform(0.5, 0.95)), 3)

    ends, cut = "a terminal end", "a cut-off end"
    return [
        case("four steps and a cut", 4, 0, drawn(), drawn(), cut),
        case("five steps and a terminal state", 5, 1, drawn(), drawn(), ends),
        case("seven steps and a cut", 7, 0, drawn(), drawn(), cut),
        case("two steps", 2, 1, drawn(), drawn(), ends),
        case("one step, cut off", 1, 0, drawn(), drawn(), "N = 1", cut),
        case("one step, terminal", 1, 1, drawn(), drawn(), "N = 1", ends),
        case("λ = 0", 4, 0, drawn(), 0.0, "λ = 0", cut),
        case("λ = 0, one step", 1, 0, drawn(), 0.0, "λ = 0", "N = 1", cut),
        case("λ = 0, terminal", 3, 1, drawn(), 0.0, "λ = 0", ends),
        case("λ = 1, cut off", 5, 0, drawn(), 1.0, "λ = 1", cut),
        case("λ = 1, terminal", 5, 1, drawn(), 1.0, "λ = 1", ends),
        case("γ = 0", 3, 0, 0.0, drawn(), "γ = 0", cut),
        case("γ = 1", 6, 0, 1.0, drawn(), "γ = 1", cut),
        case("γ = λ = 1", 4, 0, 1.0, 1.0, "γ = 1", "λ = 1", cut),
    ]


@composable
def _error_weights(
    *,
    own: float = -1.0,
    masked: str = "last",
    share: str = "1 − λ",
    last: str = "γ",
    decay: str = "γλ",
    shift: int = -1,
    first_factor: str = "γ",
    sign: float = 1.0,
    length: int = 1,
    last_step: int = 0,
) -> Callable:
    """The weights with their parts exchangeable: c_0; where (1 − d) stands; the factors of the powers."""

    def critic_error_weights(steps, terminated, gamma, lam):
        base = {"γλ": gamma * lam, "λ": lam, "γ": gamma}[decay]
        front = {"γ": gamma, "1": 1.0}[first_factor]
        middle = {"1 − λ": 1 - lam, "1": 1.0, "λ": lam}[share]
        end = {"γ": 1.0, "γ (1 − λ)": 1 - lam, "0": 0.0}[last]
        alive = 1 - terminated
        c = [own]
        for k in range(1, steps):
            c.append(middle * front * base ** (k + shift))
        c.append(end * front * base ** (steps + shift + last_step))
        if masked in ("last", "all"):
            c[-1] *= alive
        if masked == "inverted":
            c[-1] *= terminated
        if masked == "all":
            c = [alive * x for x in c]
        elif masked == "all but own":
            c = [c[0], *(alive * x for x in c[1:])]
        return torch.tensor([sign * x for x in c], dtype=torch.float32)[: steps + length]

    return critic_error_weights


def _weights_error_by_error(steps, terminated, gamma, lam):
    c = np.zeros(steps + 1)
    for k in range(steps):
        weight = (gamma * lam) ** k
        c[k] -= weight
        if not (k == steps - 1 and terminated):
            c[k + 1] += weight * gamma
    return torch.from_numpy(c).float()


def _advantage_of(v, steps, terminated, gamma, lam):
    total = 0.0
    for k in reversed(range(steps)):
        alive = 1 - terminated if k == steps - 1 else 1
        total = gamma * alive * v[k + 1] - v[k] + gamma * lam * total
    return total


def _weights_by_unit_vectors(steps, terminated, gamma, lam):
    rows = np.eye(steps + 1)
    return torch.tensor([_advantage_of(e, steps, terminated, gamma, lam) for e in rows]).float()


def _weights_by_autograd(steps, terminated, gamma, lam):
    v = torch.zeros(steps + 1, requires_grad=True)
    return torch.autograd.grad(_advantage_of(v, steps, terminated, gamma, lam), v)[0]


critic_error_weights = Exercise(
    "critic_error_weights",
    reference=advantages.critic_error_weights,
    cases=_weight_cases,
    returns=numbers(),
    points=2,
    equation="(11.10)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "own-error-forgotten",
            "c_0 is 0 in your answer. But −V(s₀) stands in δ₀ as well, and nowhere else.",
            "Write δ₀ out. Which two values of V are in it?",
            _error_weights(own=0.0),
        ),
        Mistake(
            "signs",
            "A sign is wrong: of all the weights, or of c_0 against the others. δ = r + γV(s′) − V(s): where does the "
            "minus stand?",
            "The critic believes too much of s₀ alone. Does Â₀ become larger or smaller?",
            _error_weights(sign=-1.0),
            _error_weights(own=1.0),
        ),
        Mistake(
            "terminal-read",
            "The last weight is not masked. After a terminal state no value is read, so none can be wrong.",
            "What is V(s_N) multiplied with in the last δ?",
            _error_weights(masked="nothing"),
        ),
        Mistake(
            "all-masked",
            "You mask more than the last weight. Only the last value is missing after a terminal end; the others were "
            "read.",
            "In which of the TD errors does (1 − d) differ from 1?",
            _error_weights(masked="all"),
            _error_weights(masked="all but own"),
        ),
        Mistake(
            "last-with-lambda",
            "c_N has a factor 1 − λ too much. Nobody comes after s_N to take its λ-share away again.",
            "In how many TD errors does V(s_N) stand, and in how many V(s_1)?",
            _error_weights(last="γ (1 − λ)"),
        ),
        Mistake(
            "not-collected",
            "Between the ends you count each state once. s_k stands in two TD errors: with +γ in δ_{k−1}, and with −1 in "
            "δ_k.",
            "Write δ₀ + γλ δ₁ out, and collect what stands before V(s₁).",
            _error_weights(share="1"),
            _error_weights(share="λ"),
        ),
        Mistake(
            "decay",
            "Your powers are those of λ alone, or of γ alone. Each step back costs γλ.",
            "What multiplies δ_k in Â₀?",
            _error_weights(decay="λ"),
            _error_weights(decay="γ"),
        ),
        Mistake(
            "one-power-off",
            "Your powers are shifted by one. V(s_k) comes first in δ_{k−1}, which carries (γλ)^(k−1).",
            "Which power stands before δ₀? And what is c_1?",
            _error_weights(shift=0),
            _error_weights(last_step=1),
        ),
        Mistake(
            "gamma-forgotten",
            "The γ is missing that stands before V(s′) in every TD error, beside the powers of γλ.",
            "λ = 0: what is left of Â₀, and what stands in it before V(s₁)?",
            _error_weights(first_factor="1"),
        ),
        Mistake(
            "last-value-forgotten",
            "The last state has no weight in your answer: its place is missing, or 0. Unless it is terminal its value is "
            "read once, in the last TD error.",
            "How many states are there in N steps?",
            _error_weights(last="0"),
            _error_weights(length=0),
        ),
        Mistake(
            "mask-inverted",
            *MASK_INVERTED,
            _error_weights(masked="inverted"),
        ),
    ],
    also_correct=[
        _error_weights(),
        _weights_error_by_error,
        _weights_by_unit_vectors,
        _weights_by_autograd,
    ],
)  # fmt: skip

# -------------------------------------------------------------------- updates of two networks


def _told_of_pair(exercise: Exercise, names: tuple[str, str], case, answer, right) -> str:
    """The usual words on the weights; which of the two parts of what comes back is wrong."""
    said = difference(exercise, case, answer, right)
    if _close(answer["weights"], right["weights"]):
        for mine, theirs in zip(answer["returned"], right["returned"], strict=True):
            for name, a, b in zip(names, mine, theirs, strict=True):
                if not _close(getattr(a, "data", a), getattr(b, "data", b)):
                    return f"The networks move as they should, but `{name}`, which you return, is another number."
    return said


def _taken(table, action):
    return table[torch.arange(len(action)), action]


def _log_pi(policy, batch):
    return _taken(torch.log_softmax(policy(batch.obs), dim=1), batch.action)


def _step(optimizer, loss, clear: str, times: int = 1) -> None:
    """clear: "before" backward; "never"; "after" the step, which is too late for what was there."""
    if clear == "before":
        optimizer.zero_grad()
    loss.backward()
    for _ in range(times):
        optimizer.step()
    if clear == "after":
        optimizer.zero_grad()


# -------------------------------------------------------------------------- q_actor_critic_update


def _q_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, *tags: str, n=6, gamma=0.9, calls=1, ends=None, lr=0.5, obs_dim=3, n_actions=4) -> Case:  # fmt: skip
        batches = [
            transitions(rng, n, obs_dim, n_actions=n_actions, terminated=ends, scale=2.0)
            for _ in range(calls)
        ]
        parts = {
            "policy": network(rng, "logits", obs_dim, n_actions),
            "q_net": network(rng, "q", obs_dim, n_actions),
            "policy_optimizer": Optimizer(["policy"], lr),
            "q_optimizer": Optimizer(["q_net"], 0.6 * lr),
        }
        following = [Tensor(rng.integers(n_actions, size=n)) for _ in range(calls)]
        inputs = {"state": AgentState(parts), "batch": batches, "next_action": following}
        return Case(name, inputs | {"gamma": gamma}, tags)

    return [
        case("one update"),
        case("no terminal rows", ends=[0] * 6),
        case("terminal rows only", "terminal rows only", ends=[1] * 5, n=5),
        case("as many rows as actions", "B = A", n=4),
        case("a batch of one", "B = 1", n=1, ends=[0]),
        case("two updates", calls=2),
        case("γ = 0", "γ = 0", gamma=0.0),
        case("γ = 1", "γ = 1", gamma=1.0, n_actions=2, n=7),
    ]


@composable
def _q_update(
    *,
    ahead: str = "a′",
    detach: bool = True,
    weight: str = "Q",
    weight_detached: bool = True,
    half: float = 0.5,
    sign: float = 1.0,
    mask: str = "next",
    discount: str = "next",
    clear: str = "before",
    reduce: str = "mean",
    pick: str = "taken",
    score: str = "log π",
    returns: str = "policy, Q",
    times: int = 1,
) -> Callable:
    """Seed 002's loop for a batch, with its parts exchangeable; ahead: which Q(s′, ·) the target reads."""

    def q_actor_critic_update(
        policy, q_net, policy_optimizer, q_optimizer, batch, next_action, gamma
    ):
        table, after = q_net(batch.obs), q_net(batch.next_obs)
        pi_next = torch.softmax(policy(batch.next_obs), dim=1).detach()
        choose = {
            "a′": lambda: _taken(after, next_action),
            "max": lambda: after.max(dim=1).values,
            "a": lambda: _taken(after, batch.action),
            "mean": lambda: (pi_next * after).sum(dim=1),
            "Q(s, a′)": lambda: _taken(table, next_action),
            "nothing": lambda: torch.zeros(len(next_action)),
        }
        target = td_target(batch.reward, choose[ahead](), batch.terminated, gamma, mask, discount)
        target = target.detach() if detach else target
        q = _taken(table, batch.action) if pick == "taken" else table.max(dim=1).values
        q_loss = half * REDUCTIONS[reduce]((target - q).square())
        log_pi = torch.log_softmax(policy(batch.obs), dim=1)
        log_prob = _taken(log_pi, batch.action)
        log_prob = log_prob.exp() if score == "π" else log_prob

        def policy_loss(of):
            pi = torch.softmax(policy(batch.obs), dim=1).detach()
            given = {
                "Q": of,
                "δ": target - q,
                "target": target,
                "Q − V": of - (pi * table).sum(dim=1),
                "r": batch.reward,
                "Q of a′": _taken(table, next_action),
                "−Q²": -of,
            }[weight]
            given = given.detach() if weight_detached else given
            return -sign * REDUCTIONS[reduce](given * log_prob)

        if not weight_detached:
            loss = policy_loss(q)
            for optimizer in (q_optimizer, policy_optimizer):
                optimizer.zero_grad()
            (q_loss + loss).backward()
            q_optimizer.step()
            policy_optimizer.step()
        elif weight == "new Q":
            _step(q_optimizer, q_loss, clear)
            given = _taken(q_net(batch.obs), batch.action).detach()
            loss = -sign * REDUCTIONS[reduce](given * log_prob)
            _step(policy_optimizer, loss, clear)
        else:
            loss = policy_loss(q)
            _step(q_optimizer, q_loss, clear, times)
            _step(policy_optimizer, loss, clear, times)
        out = loss.detach(), q_loss.detach()
        return out[::-1] if returns == "Q, policy" else out

    return q_actor_critic_update


def _q_combined(policy, q_net, policy_optimizer, q_optimizer, batch, next_action, gamma):
    rows = torch.arange(len(batch.reward))
    q = q_net(batch.obs)[rows, batch.action]
    with torch.no_grad():
        y = batch.reward + gamma * (1 - batch.terminated) * q_net(batch.next_obs)[rows, next_action]
    dist = torch.distributions.Categorical(logits=policy(batch.obs))
    policy_loss = -(q.detach() * dist.log_prob(batch.action)).mean()
    q_loss = torch.nn.functional.mse_loss(q, y) / 2
    policy_optimizer.zero_grad()
    q_optimizer.zero_grad()
    (policy_loss + q_loss).backward()
    policy_optimizer.step()
    q_optimizer.step()
    return policy_loss.item(), q_loss.item()


def _q_actor_first(policy, q_net, policy_optimizer, q_optimizer, batch, next_action, gamma):
    with torch.no_grad():
        old = q_net(batch.obs).gather(1, batch.action[:, None]).squeeze(1)
        ahead = q_net(batch.next_obs).gather(1, next_action[:, None]).squeeze(1)
        y = batch.reward + gamma * torch.where(batch.terminated == 1, 0.0, ahead)
    policy_optimizer.zero_grad()
    policy_loss = torch.nn.functional.cross_entropy(policy(batch.obs), batch.action, reduction="none") @ old  # fmt: skip
    policy_loss = policy_loss / len(old)
    policy_loss.backward()
    policy_optimizer.step()
    q_optimizer.zero_grad()
    q = q_net(batch.obs).gather(1, batch.action[:, None]).squeeze(1)
    q_loss = 0.5 * (y - q).pow(2).mean()
    q_loss.backward()
    q_optimizer.step()
    return policy_loss, q_loss


q_actor_critic_update = Exercise(
    "q_actor_critic_update",
    reference=methods.q_actor_critic_update,
    cases=_q_cases,
    returns=several(policy_loss=loss_value(), q_loss=loss_value()),
    points=3,
    equation="(11.13)",
    call="actor_critic",
    rtol=RTOL,
    atol=ATOL,
    tells=lambda *given: _told_of_pair(q_actor_critic_update, ("policy_loss", "q_loss"), *given),
    mistakes=[
        Mistake(
            "max",
            "Your target takes the largest value at s′. The critic must evaluate π, not the greedy policy: what it is "
            "worth to go on as π does.",
            "Is this the target of SARSA or that of Q-learning?",
            _q_update(ahead="max"),
        ),
        Mistake(
            "td-error-in-actor",
            "You weigh the actor with the TD error or with an advantage. This actor is weighed by Q itself; what is wrong "
            "with that the experiment will show.",
            "What stands before log π in the actor's loss?",
            _q_update(weight="δ"),
            _q_update(weight="Q − V"),
        ),
        Mistake(
            "critic-after-its-step",
            "The actor uses the critic from after its step. Everything is computed before any step.",
            "Which Q has chosen the direction of the critic's own step?",
            _q_update(weight="new Q"),
        ),
        Mistake(
            "critic-gets-actor-gradient",
            "The actor's loss moves the critic. The critic would learn to flatter the actor: to call good whatever it "
            "does.",
            "Which tensor in the actor's loss has to be detached?",
            _q_update(weight_detached=False),
        ),
        Mistake("residual-gradient", *_RESIDUAL, _q_update(detach=False)),
        Mistake(
            "wrong-next-action",
            "The target reads Q(s′, ·) at the wrong action or Q in the wrong state. At s′ the next action counts.",
            "Which argument says what is done at s′?",
            _q_update(ahead="a"),
            _q_update(ahead="Q(s, a′)"),
        ),
        Mistake(
            "expected-next-value",
            "You average Q(s′, ·) over the policy. A good idea (Expected SARSA), but not what was asked: here a′ was "
            "drawn, and the target uses it.",
            "Which argument have you not used?",
            _q_update(ahead="mean"),
        ),
        Mistake(
            "other-weight",
            "The actor is weighed with the target, with the reward or with another action's value. It is weighed with "
            "what the critic says of the action that was taken, Q(s, a).",
            "What stands before log π in the actor's loss?",
            _q_update(weight="target"),
            _q_update(weight="r"),
            _q_update(weight="Q of a′"),
        ),
        Mistake(
            "wrong-action",
            "The prediction is the largest Q(s, ·). What is corrected is the value of the action that was taken.",
            "Of which action do you know what it led to?",
            _q_update(pick="max"),
        ),
        Mistake(
            "no-log",
            "The actor's loss holds π(a|s) in the place of its logarithm. An action that is often taken would then "
            "also be weighed more in each sample.",
            "Which derivative makes a sum over actions a mean over what one does?",
            _q_update(score="π"),
        ),
        Mistake(
            "sign",
            *_SIGN,
            _q_update(sign=-1.0),
        ),
        Mistake(
            "no-half",
            "The ½ before the critic's loss is missing: with it the gradient is the error itself.",
            "What is the derivative of ½ δ² for δ?",
            _q_update(half=1.0),
        ),
        Mistake(
            "sum",
            "You add up the batch's rows where the equation takes their mean: the step would grow with the batch.",
            "What becomes of your two losses if every row stands twice in the batch?",
            _q_update(reduce="sum"),
        ),
        *target_mistakes(_q_update, _TERMINAL_BOOTSTRAP, _NO_GAMMA),
        Mistake("no-bootstrap", *_NO_BOOTSTRAP, _q_update(ahead="nothing")),
        Mistake("steps-twice", *_STEPS_TWICE, _q_update(times=2)),
        Mistake(
            "gradients-pile-up", *_PILE_UP, _q_update(clear="never"), _q_update(clear="after")
        ),
        Mistake(
            "losses-exchanged",
            "Both networks move as they should, but the two losses come back in the wrong order.",
            "Look at the last line of the docstring.",
            _q_update(returns="Q, policy"),
        ),
    ],
    also_correct=[_q_update(), _q_combined, _q_actor_first],
)  # fmt: skip

# ------------------------------------------------------------------- one_step_actor_critic_update


def _one_step_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, *tags: str, gamma=0.9, discounts=(1.0,), ends=(0,), lr=0.5) -> Case:
        batches = [transitions(rng, 1, 3, n_actions=4, terminated=[d], scale=2.0) for d in ends]
        seen = np.concatenate([b.obs for b in batches] + [b.next_obs for b in batches])
        parts = {
            "policy": network(rng, "logits", 3, 4),
            "v_net": both_signs(network(rng, "v", 3), seen),
            "policy_optimizer": Optimizer(["policy"], lr),
            "v_optimizer": Optimizer(["v_net"], 0.6 * lr),
        }
        inputs = {"state": AgentState(parts), "batch": batches, "gamma": gamma}
        return Case(name, inputs | {"discount": list(discounts)}, tags)

    late, end = "I below 1", "a terminal step"
    return [
        case("the first step of an episode", discounts=(1.0,)),
        case("a later step", late, discounts=(0.6,)),
        case("a terminal step", end, ends=(1,)),
        case("a later step, terminal", late, end, discounts=(0.4,), ends=(1,)),
        case("three steps", late, discounts=(1.0, 0.9, 0.81), ends=(0, 0, 1)),
        case("γ = 0", "γ = 0", late, gamma=0.0, discounts=(0.5,)),
        case("γ = 1", "γ = 1", gamma=1.0, discounts=(1.0,)),
        case("γ = ½", late, gamma=0.5, discounts=(0.25, 0.125), ends=(0, 0)),
    ]


@composable
def _one_step(
    *,
    actor_i: bool = True,
    critic_i: bool = False,
    shrinks: str = "γI",
    detach: bool = True,
    weight: str = "δ",
    weight_detached: bool = True,
    half: float = 0.5,
    sign: float = 1.0,
    mask: str = "next",
    discount_of: str = "next",
    clear: str = "before",
    policy_steps: bool = True,
    critic_steps: bool = True,
    ahead: bool = True,
    times: int = 1,
) -> Callable:
    """The box of S&B §13.5 with its parts exchangeable; weight: what the actor is weighed with."""

    def one_step_actor_critic_update(
        policy, v_net, policy_optimizer, v_optimizer, batch, gamma, discount
    ):
        def error(attached=True):
            value, following = v_net(batch.obs), v_net(batch.next_obs) * float(ahead)
            target = td_target(batch.reward, following, batch.terminated, gamma, mask, discount_of)
            return target, value, (target if not detach else target.detach()) - value

        target, value, delta = error()
        v_loss = half * (discount if critic_i else 1.0) * delta.square().mean()
        log_prob = _log_pi(policy, batch)
        if not weight_detached:
            policy_loss = -sign * (discount if actor_i else 1.0) * (delta * log_prob).mean()
            for optimizer in (v_optimizer, policy_optimizer):
                optimizer.zero_grad()
            (v_loss + policy_loss).backward()
            v_optimizer.step()
            policy_optimizer.step()
            return delta.detach(), gamma * discount
        before = {"δ": delta, "target": target, "V": value, "r": batch.reward, "|δ|": delta.abs()}
        given = before.get(weight, delta).detach()
        if critic_steps:
            _step(v_optimizer, v_loss, clear, times)
        if weight == "new δ":
            given = error()[2].detach()
        factor = sign * (discount if actor_i else 1.0)
        if policy_steps:
            _step(policy_optimizer, -factor * (given * log_prob).mean(), clear, times)
        left = {"γI": gamma * discount, "I": discount, "γ": gamma, "1": 1.0, "γ²I": gamma**2 * discount}  # fmt: skip
        return (given if weight == "new δ" else delta.detach()), left[shrinks]

    return one_step_actor_critic_update


def _one_step_combined(policy, v_net, policy_optimizer, v_optimizer, batch, gamma, discount):
    with torch.no_grad():
        ahead = v_net(batch.next_obs)[0] if not batch.terminated[0] else 0.0
    delta = batch.reward[0] + gamma * ahead - v_net(batch.obs)[0]
    log_prob = torch.log_softmax(policy(batch.obs)[0], dim=0)[batch.action[0]]
    for optimizer in (policy_optimizer, v_optimizer):
        optimizer.zero_grad()
    (delta**2 / 2 - discount * delta.item() * log_prob).backward()
    v_optimizer.step()
    policy_optimizer.step()
    return float(delta), gamma * discount


def _one_step_by_hand(policy, v_net, policy_optimizer, v_optimizer, batch, gamma, discount):
    value = v_net(batch.obs)
    ahead = v_net(batch.next_obs).detach()
    delta = float(batch.reward + gamma * (1 - batch.terminated) * ahead - value)
    up_v = torch.autograd.grad(value.sum(), list(v_net.parameters()))
    up_pi = torch.autograd.grad(_log_pi(policy, batch).sum(), list(policy.parameters()))
    for w, g in zip(policy.parameters(), up_pi, strict=True):
        w.grad = -discount * delta * g
    for w, g in zip(v_net.parameters(), up_v, strict=True):
        w.grad = -delta * g
    policy_optimizer.step()
    v_optimizer.step()
    return delta, gamma * discount


def _one_step_actor_first(policy, v_net, policy_optimizer, v_optimizer, batch, gamma, discount):
    delta = methods.td_error(
        batch.reward, v_net(batch.obs), v_net(batch.next_obs).detach(), batch.terminated, gamma
    )
    policy_optimizer.zero_grad()
    (-discount * delta.detach() * _log_pi(policy, batch)).sum().backward()
    policy_optimizer.step()
    v_optimizer.zero_grad()
    (0.5 * delta.pow(2)).sum().backward()
    v_optimizer.step()
    return delta, gamma * discount


one_step_actor_critic_update = Exercise(
    "one_step_actor_critic_update",
    reference=methods.one_step_actor_critic_update,
    cases=_one_step_cases,
    returns=several(td_error=loss_value(), discount=loss_value()),
    points=3,
    equation="(11.14)",
    call="actor_critic",
    rtol=RTOL,
    atol=ATOL,
    tells=lambda *given: _told_of_pair(
        one_step_actor_critic_update, ("td_error", "discount"), *given
    ),
    mistakes=[
        Mistake(
            "i-forgotten",
            "The actor's step does not know I. Steps taken later count γ^t in ∇J: that is what I has grown to, or "
            "rather shrunk.",
            "Which argument have you used for the second part of the result alone?",
            _one_step(actor_i=False),
        ),
        Mistake(
            "i-in-critic",
            "I stands in the critic's loss. The critic estimates V, wherever in the episode its state is met: no γ^t "
            "belongs there.",
            "Whose gradient is ∇J?",
            _one_step(critic_i=True),
            _one_step(critic_i=True, actor_i=False),
        ),
        Mistake(
            "i-not-shrunk",
            "The second part of what you return is not γI, what the next step of the episode needs.",
            "If this was step t of its episode, I is γ^t. And in the next step?",
            *(_one_step(shrinks=what) for what in ("I", "γ", "1", "γ²I")),
        ),
        Mistake("residual-gradient", *_RESIDUAL, _one_step(detach=False)),
        Mistake(
            "error-recomputed",
            "δ is computed again after the critic's step. Both steps use the same δ: that of the weights from before.",
            "Keep the number. Where does it come from in the box?",
            _one_step(weight="new δ"),
        ),
        Mistake(
            "critic-gets-actor-gradient",
            "The actor's loss moves the critic. In the actor's loss δ is a number: it says how far to go, and is not to "
            "be changed by it.",
            "Which tensor in the actor's loss has to be detached?",
            _one_step(weight_detached=False),
        ),
        Mistake(
            "other-weight",
            "The actor is weighed with something else than δ: the target, the value or the reward alone.",
            "The step went exactly as expected. How far should the policy move?",
            *(_one_step(weight=what) for what in ("target", "V", "r")),
        ),
        Mistake(
            "no-half",
            "The critic goes twice as far: the ½ is missing. With ½ the gradient is the error itself, as in the box.",
            "What is the derivative of ½ δ² for δ?",
            _one_step(half=1.0),
        ),
        Mistake("sign", *_SIGN, _one_step(sign=-1.0)),
        Mistake(
            "terminal-bootstrap", *_TERMINAL_BOOTSTRAP, _one_step(mask="nothing")
        ),
        Mistake("mask-inverted", *MASK_INVERTED, _one_step(mask="inverted")),
        Mistake("reward-masked", *REWARD_MASKED, _one_step(mask="all")),
        Mistake("no-gamma", *_NO_GAMMA, _one_step(discount_of="nothing")),
        Mistake("reward-discounted", *REWARD_DISCOUNTED, _one_step(discount_of="all")),
        Mistake("no-bootstrap", *_NO_BOOTSTRAP, _one_step(ahead=False)),
        Mistake("steps-twice", *_STEPS_TWICE, _one_step(times=2)),
        Mistake(
            "gradients-pile-up",
            *_PILE_UP,
            _one_step(clear="never"),
            _one_step(clear="after"),
        ),
        Mistake(
            "one-network-only",
            "Only one of the two networks has moved. The critic learns from δ, and the actor learns from δ.",
            "How many optimisers did you get, and how many have stepped?",
            _one_step(policy_steps=False),
            _one_step(critic_steps=False),
        ),
    ],
    also_correct=[_one_step(), _one_step_combined, _one_step_by_hand, _one_step_actor_first],
)  # fmt: skip

# --------------------------------------------------------------------------------------- a2c_loss


def _a2c_loss_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, n: int, *tags: str, value_coef=0.5, entropy_coef=0.3, grad=True, scale=1.0) -> Case:  # fmt: skip
        columns = {
            "log_prob": -rng.exponential(size=n),
            "value": rng.normal(size=n),
            "entropy": rng.uniform(0.1, 1.2, size=n),
            "adv": scale * rng.normal(size=n) + 0.5,
            "returns": scale * rng.normal(size=n) - 0.3,
        }
        data = ("adv", "returns")
        inputs = {k: recipe(x, grad=grad or k not in data) for k, x in columns.items()}
        return Case(name, inputs | {"value_coef": value_coef, "entropy_coef": entropy_coef}, tags)

    return [
        case("a batch of six", 6),
        case("data without gradient", 5, grad=False),
        case("a batch of one", 1, "B = 1", value_coef=0.8),
        case("no entropy bonus", 4, "c_e = 0", entropy_coef=0.0),
        case("a critic that is not trained", 4, "c_v = 0", value_coef=0.0),
        case("large advantages", 7, scale=20.0, value_coef=0.25, entropy_coef=0.1),
        case("coefficients above 1", 5, value_coef=2.0, entropy_coef=1.5),
    ]


def _standardised(adv):
    return (adv - adv.mean()) / (adv.std(unbiased=False) + 1e-8)


_ADVANTAGES: dict[str, Callable] = {
    "as given": lambda adv, returns, value: adv,
    "standardised": lambda adv, returns, value: _standardised(adv),
    "standardised, n − 1": lambda adv, returns, value: (adv - adv.mean()) / (adv.std() + 1e-8),
    "centred": lambda adv, returns, value: adv - adv.mean(),
    "returns": lambda adv, returns, value: returns,
    "R − V": lambda adv, returns, value: returns - value,
    "clipped": lambda adv, returns, value: adv.clamp(min=0),
    "sign": lambda adv, returns, value: adv.sign(),
}


@composable
def _a2c(
    *,
    adv_detached: bool = True,
    target_detached: bool = True,
    sign: float = 1.0,
    entropy_sign: float = -1.0,
    value_sign: float = 1.0,
    half: float = 0.5,
    weigh: str = "as given",
    reduce: str = "mean",
    square: str = "own",
    distance: str = "square",
    coefs: str = "own",
    log_prob_detached: bool = False,
    terms: str = "all",
) -> Callable:
    """(11.15) with its parts exchangeable."""

    def a2c_loss(log_prob, value, entropy, adv, returns, value_coef, entropy_coef):
        weight = _ADVANTAGES[weigh](adv, returns, value)
        weight = weight.detach() if adv_detached else weight
        target = returns.detach() if target_detached else returns
        gap = target - value
        if square == "b by b":
            gap = target - value[:, None]
        if square == "adv":
            gap = adv.detach() - value
        powers = {"square": gap.square(), "abs": gap.abs(), "huber": torch.nn.functional.huber_loss(gap, 0 * gap, reduction="none") * 2}  # fmt: skip
        c_v, c_e = {
            "own": (value_coef, entropy_coef),
            "exchanged": (entropy_coef, value_coef),
            "none": (1.0, 1.0),
            "value only": (value_coef, 1.0),
            "entropy only": (1.0, entropy_coef),
        }[coefs]
        score = log_prob.detach() if log_prob_detached else log_prob
        mean = REDUCTIONS[reduce]
        policy = -sign * mean(score * weight)
        critic = value_sign * c_v * half * mean(powers[distance])
        bonus = entropy_sign * c_e * mean(entropy)
        kept = {
            "all": (policy, critic, bonus),
            "no entropy": (policy, critic),
            "no critic": (policy, bonus),
            "policy": (policy,),
        }[terms]
        return sum(kept[1:], kept[0])

    return a2c_loss


def _a2c_in_one_mean(log_prob, value, entropy, adv, returns, value_coef, entropy_coef):
    a, g = adv.detach(), returns.detach()
    return (-log_prob * a + value_coef / 2 * (value - g) ** 2 - entropy_coef * entropy).mean()


def _a2c_by_mse(log_prob, value, entropy, adv, returns, value_coef, entropy_coef):
    critic = torch.nn.functional.mse_loss(value, returns.detach())
    actor = -torch.dot(log_prob, adv.detach()) / len(adv)
    return actor + 0.5 * value_coef * critic - entropy_coef * entropy.sum() / len(adv)


a2c_loss = Exercise(
    "a2c_loss",
    reference=methods.a2c_loss,
    cases=_a2c_loss_cases,
    returns=tensor(),
    points=2,
    equation="(11.15)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "critic-through-advantage",
            "A gradient flows through `adv`. The policy's loss would train the critic: not to be right, but to make "
            "the actor's loss small.",
            "Which of the arguments are data in (11.15)?",
            _a2c(adv_detached=False),
            _a2c(adv_detached=False, target_detached=False),
        ),
        Mistake(
            "target-attached",
            "A gradient flows through `returns`. The critic's target is a constant: the prediction goes to it, not it "
            "to the prediction.",
            "Which of the arguments are data in (11.15)?",
            _a2c(target_detached=False),
        ),
        Mistake(
            "entropy-sign",
            "The entropy is added to the loss. A loss that grows with entropy punishes exploration.",
            "Should a more random policy have a smaller or a larger loss here?",
            _a2c(entropy_sign=1.0),
        ),
        Mistake("sign", *_SIGN, _a2c(sign=-1.0)),
        Mistake(
            "critic-sign",
            "The critic's error lowers your loss: the critic would run away from its target.",
            "Which of the three terms should be small, and which large?",
            _a2c(value_sign=-1.0),
        ),
        Mistake(
            "no-half",
            "The ½ before the critic's square is missing: with it the gradient is the error itself.",
            "What is the derivative of ½ (R − V)² for V?",
            _a2c(half=1.0),
            _a2c(half=0.25),
        ),
        Mistake(
            "standardised",
            "You normalise the advantages inside. Use them as they are given; normalising is the caller's choice.",
            "What does your loss do with the advantages before it multiplies?",
            *(_a2c(weigh=how) for how in ("standardised", "standardised, n − 1", "centred")),
        ),
        Mistake(
            "returns-for-advantages",
            "The scores are weighed with something else than `adv`: the returns, or returns minus V. Advantage and return "
            "are two arguments, with two purposes.",
            "Which of the two weighs log π, and which is the critic's target?",
            _a2c(weigh="returns"),
            _a2c(weigh="R − V"),
            _a2c(weigh="R − V", adv_detached=False),
            _a2c(square="adv"),
        ),
        Mistake(
            "sum",
            "You add up the batch's rows where the equation takes their mean: the step would grow with the batch.",
            "What becomes of your loss if every row stands twice in the batch?",
            _a2c(reduce="sum"),
        ),
        Mistake("not-averaged", *NOT_REDUCED, _a2c(reduce="none")),
        Mistake(
            "b-by-b",
            "(B, 1) meets (B,) in the critic's square. Broadcasting paired every sample with every other: look at the "
            "shapes.",
            "Print the shape of R − V before you square it.",
            _a2c(square="b by b"),
        ),
        Mistake(
            "coefficients",
            "The coefficients are not where they belong: exchanged, or left out. c_v weighs the critic's term, c_e the "
            "entropy's, and nothing weighs the actor's.",
            "Which argument does each term of your loss use?",
            *(_a2c(coefs=which) for which in ("exchanged", "none", "value only", "entropy only")),
        ),
        Mistake(
            "term-missing",
            "One of the three terms is missing: actor, critic, entropy.",
            "Which arguments does your loss not look at?",
            *(_a2c(terms=which) for which in ("no entropy", "no critic", "policy")),
        ),
        Mistake(
            "other-distance",
            "The critic's term is no square: an absolute value or a Huber loss. Its target is a mean, and the square is "
            "what leads to means.",
            "Which loss has the error itself as its gradient, however large it is?",
            _a2c(distance="abs"),
            _a2c(distance="huber"),
        ),
    ],
    also_correct=[_a2c(), _a2c_in_one_mean, _a2c_by_mse],
)  # fmt: skip

# ------------------------------------------------------------------------------------- a2c_update


def _a2c_update_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name: str, *tags: str, n=8, d=(2,), c=(5,), gamma=0.9, lam=0.8, value_coef=0.5, entropy_coef=0.4,
        clip=50.0, calls=1, lr=0.5,
    ) -> Case:  # fmt: skip
        rollouts = [
            recording(rng, n, 3, n_actions=3, terminated=d, truncated=c, scale=2.0)
            for _ in range(calls)
        ]
        seen = np.concatenate([r.obs for r in rollouts] + [r.next_obs for r in rollouts])
        parts = {
            "policy": network(rng, "logits", 3, 3),
            "v_net": both_signs(network(rng, "v", 3), seen),
            "optimizer": Optimizer(["policy", "v_net"], lr),
            "gamma": gamma,
            "lam": lam,
            "value_coef": value_coef,
            "entropy_coef": entropy_coef,
            "max_grad_norm": clip,
        }
        return Case(name, {"agent_state": AgentState(parts), "rollout": rollouts}, tags)

    both, clipped = (_TERMINAL, _CUT), "the gradient is clipped"
    return [
        case("ends of both kinds", *both, d=(2, 6), c=(4, 6)),
        case("no end", d=(), c=()),
        case("an episode that terminates", _TERMINAL, c=(), d=(3,)),
        case("an episode that is cut off", _CUT, d=(), c=(3,)),
        case("the gradient is clipped", *both, clipped, clip=0.1),
        case("two updates", *both, clipped, calls=2, clip=0.3),
        case("λ = 0", *both, lam=0.0),
        case("λ = 1", *both, lam=1.0, value_coef=1.0),
        case("γ = 1, no entropy bonus", *both, gamma=1.0, entropy_coef=0.0),
        case("a single row", "T = 1", n=1, d=(), c=()),
    ]


def _clip_apart(state):
    for net in (state.policy, state.v_net):
        clip_grad_norm_(net.parameters(), state.max_grad_norm)


def _both_nets(state):
    return [*state.policy.parameters(), *state.v_net.parameters()]


_CLIPS: dict[str, Callable] = {
    "joint": lambda s: clip_grad_norm_(_both_nets(s), s.max_grad_norm),
    "none": lambda s: None,
    "apart": _clip_apart,
    "policy only": lambda s: clip_grad_norm_(s.policy.parameters(), s.max_grad_norm),
    "value": lambda s: clip_grad_value_(_both_nets(s), s.max_grad_norm),
    "norm of 0.5": lambda s: clip_grad_norm_(_both_nets(s), 0.5),
}


@composable
def _a2c_step(
    *,
    attached: str = "",
    cut: str = "either",
    mask: str = "d",
    flags: str = "own",
    seen: str = "true",
    entropy_sign: float = -1.0,
    sign: float = 1.0,
    half: float = 0.5,
    weigh: str = "as given",
    clip: str = "joint",
    clip_when: str = "before the step",
    clear: str = "first",
    target: str = "returns",
    loss_when: str = "before",
    steps: int = 1,
    lam: str = "own",
    terms: str = "all",
) -> Callable:
    """The whole step; attached: what carries a gradient that should not, "V" (in the advantage), "V′" or "target"."""

    def a2c_update(agent_state, rollout):
        s = agent_state
        value, next_value = s.v_net(rollout.obs), s.v_net(rollout.next_obs)
        v = value if "V" in attached.split() else value.detach()
        w = next_value if "V′" in attached.split() else next_value.detach()

        def loss_now():
            fresh = s.v_net(rollout.obs)
            over = torch.maximum(rollout.terminated, rollout.truncated)
            stops = {"either": over, "d": rollout.terminated, "never": 0 * over}[cut]
            gone = {"d": rollout.terminated, "either": over, "nothing": 0 * over}[mask]
            if flags == "late":
                stops = torch.cat([stops[1:], 0 * stops[:1]])
            ahead = w if seen == "true" else torch.cat([v[1:], w[-1:]])
            delta = rollout.reward + s.gamma * (1 - gone) * ahead - v
            decay = {"own": s.lam, "1": 1.0, "0": 0.0}[lam]
            adv, following = [], torch.zeros(())
            for t in reversed(range(len(delta))):
                following = delta[t] + s.gamma * decay * (1 - stops[t]) * following
                adv.insert(0, following)
            adv = torch.stack(adv)
            returns = {"returns": adv + v, "adv": adv, "next": rollout.reward + s.gamma * (1 - gone) * ahead}[target]  # fmt: skip
            log_prob = torch.log_softmax(s.policy(rollout.obs), dim=1)
            entropy = -(log_prob.exp() * log_prob).sum(dim=1)
            own = "target" in attached.split()
            return _a2c(
                adv_detached=not attached or attached == "target", target_detached=not own, sign=sign,
                entropy_sign=entropy_sign, half=half, weigh=weigh, terms=terms,
            )(_taken(log_prob, rollout.action), fresh, entropy, adv, returns, s.value_coef, s.entropy_coef)  # fmt: skip

        def now(moment):
            if clear == moment:
                s.optimizer.zero_grad()
            if clip_when == moment:
                _CLIPS[clip](s)

        loss = loss_now()
        now("first")
        loss.backward()
        now("before the step")
        for _ in range(steps):
            s.optimizer.step()
        now("last")
        return (loss_now() if loss_when == "after" else loss).item()

    return a2c_update


def _a2c_by_categorical(agent_state, rollout):
    s = agent_state
    with torch.no_grad():
        ends = rollout.terminated, rollout.truncated
        adv, returns = _gae_double_sum(
            rollout.reward, s.v_net(rollout.obs), s.v_net(rollout.next_obs), *ends, s.gamma, s.lam
        )
    dist = torch.distributions.Categorical(logits=s.policy(rollout.obs))
    s.optimizer.zero_grad()
    loss = _a2c_in_one_mean(
        dist.log_prob(rollout.action), s.v_net(rollout.obs), dist.entropy(), adv, returns, s.value_coef, s.entropy_coef,
    )  # fmt: skip
    loss.backward()
    clip_grad_norm_(_both_nets(s), s.max_grad_norm)
    s.optimizer.step()
    return loss


def _a2c_several_backward(agent_state, rollout):
    """V computed once and detached for GAE; three losses, three backward calls."""
    s = agent_state
    value = s.v_net(rollout.obs)
    following = s.v_net(rollout.next_obs).detach()
    adv, returns = _gae_by_lambda_returns(
        rollout.reward, value.detach(), following, rollout.terminated, rollout.truncated, s.gamma, s.lam
    )  # fmt: skip
    logits = s.policy(rollout.obs)
    log_pi = logits - logits.logsumexp(dim=1, keepdim=True)
    parts = (
        -(_taken(log_pi, rollout.action) * adv).mean(),
        s.value_coef * ((value - returns) ** 2).mean() / 2,
        s.entropy_coef * (log_pi.exp() * log_pi).sum(dim=1).mean(),
    )
    s.optimizer.zero_grad()
    for part in parts:
        part.backward(retain_graph=True)
    norm = torch.sqrt(sum((p.grad**2).sum() for p in _both_nets(s)))
    for p in _both_nets(s):
        p.grad *= min(1.0, s.max_grad_norm / (float(norm) + 1e-6))
    s.optimizer.step()
    return float(sum(parts))


a2c_update = Exercise(
    "a2c_update",
    reference=methods.a2c_update,
    cases=_a2c_update_cases,
    returns=loss_value(),
    points=3,
    equation="(11.16)",
    call="updates",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "critic-through-advantage",
            "The values in the advantages or in the returns carry a gradient. Advantages and returns are data for both "
            "losses: of the evaluations of V only the prediction in the critic's loss is to be moved.",
            "V(s) for GAE, V(s′) for GAE, V(s) in the critic's loss: which of the three wants a gradient?",
            _a2c_step(attached="V V′"),
            _a2c_step(attached="V"),
            _a2c_step(attached="V′"),
            _a2c_step(attached="V V′ target"),
        ),
        Mistake("truncation-not-bootstrapped", *_TRUNCATION_MASKED, _a2c_step(mask="either")),
        Mistake("next-row-value", *_NEXT_ROW, _a2c_step(seen="next row")),
        Mistake("terminal-bootstrap", *_TERMINAL_BOOTSTRAP, _a2c_step(mask="nothing")),
        Mistake("carries-across-ends", *_ACROSS_ENDS, _a2c_step(cut="never")),
        Mistake("carries-across-truncation", *_ACROSS_TRUNCATION, _a2c_step(cut="d")),
        Mistake(
            "entropy-sign",
            "The entropy is added to the loss. A loss that grows with entropy punishes exploration.",
            "Should a more random policy have a smaller or a larger loss here?",
            _a2c_step(entropy_sign=1.0),
        ),
        Mistake("sign", *_SIGN, _a2c_step(sign=-1.0)),
        Mistake(
            "no-clipping",
            "The gradient is not clipped as asked: not at all, each network by itself, entry by entry, or at another "
            "length. It is one norm over all the parameters of both networks, and `max_grad_norm` is its limit.",
            "Which parameters does the optimiser hold? All of their gradients are one vector.",
            *(_a2c_step(clip=how) for how in _CLIPS if how != "joint"),
            _a2c_step(clip_when="last"),
        ),
        Mistake(
            "gradients-pile-up",
            *_PILE_UP,
            _a2c_step(clear="never"),
            _a2c_step(clear="last"),
        ),
        Mistake(
            "gradients-cleared-late",
            "You clear the gradients between `backward` and the step: the optimiser finds none.",
            "In which order do clear, backward, clip and step come?",
            _a2c_step(clear="before the step"),
            _a2c_step(steps=0),
        ),
        Mistake("steps-twice", *_STEPS_TWICE, _a2c_step(steps=2)),
        Mistake(
            "loss-after-the-step",
            "The networks move as they should, but the loss that you return is that of the new weights.",
            "The step went down *which* loss? Measure it before.",
            _a2c_step(loss_when="after"),
        ),
        Mistake(
            "no-half",
            "The ½ before the critic's square is missing: with it the gradient is the error itself.",
            "What is the derivative of ½ (R − V)² for V?",
            _a2c_step(half=1.0),
        ),
        Mistake(
            "standardised",
            "You normalise the advantages. A good habit (lesson 12), but not a part of this step.",
            "What happens to the advantages between `gae` and the loss?",
            _a2c_step(weigh="standardised"),
            _a2c_step(weigh="standardised, n − 1"),
            _a2c_step(weigh="centred"),
        ),
        Mistake(
            "lambda-ignored",
            "Your advantages do not look at `lam`: they are TD errors, or Monte Carlo minus V.",
            "Which of the agent's numbers have you not used?",
            _a2c_step(lam="1"),
            _a2c_step(lam="0"),
        ),
        Mistake(
            "other-target",
            "The critic's target is not the return that `gae` hands back: the advantages, or the one-step target.",
            "`gae` returns two things. What is the second one for?",
            _a2c_step(target="adv"),
            _a2c_step(target="next"),
        ),
    ],
    also_correct=[_a2c_step(), _a2c_by_categorical, _a2c_several_backward],
)  # fmt: skip


LESSON = Lesson(
    "11",
    "Actor-critic",
    [
        n_step_advantage,
        gae,
        critic_error_weights,
        q_actor_critic_update,
        one_step_actor_critic_update,
        a2c_loss,
        a2c_update,
    ],
    torch=True,
)
