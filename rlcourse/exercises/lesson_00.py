"""Lesson 00: what is asked, and how it goes wrong."""

from __future__ import annotations

import numpy as np

from rlcourse.checker.comparing import same
from rlcourse.checker.declaration import Exercise, Lesson, Mistake, array, boolean, number, several
from rlcourse.checker.harness import Case
from rlcourse.checker.material import FLAG_TYPES, flags, random_env, random_policy
from rlcourse.checker.probes import Policy, Rng
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
            lambda rewards, gamma: gamma * _return_by_loop(rewards, gamma),
        ),
        Mistake(
            "undiscounted",
            "γ is never used: a reward that is t steps away counts γ^t of itself.",
            "Try it with rewards [1, 1] and γ = 0.5: what should come out, and what does?",
            lambda rewards, gamma: float(np.sum(rewards)),
        ),
        Mistake(
            "mean-not-sum",
            "You divide by the number of rewards. A return is a sum, not an average: a long episode "
            "of good rewards is worth more than a short one.",
            "Look for `mean` or a division by T, and at equation (0.1) for one.",
            lambda rewards, gamma: _return_by_loop(rewards, gamma) / max(len(rewards), 1),
            lambda rewards, gamma: _return_by_loop(rewards, gamma) / len(rewards),
            lambda rewards, gamma: float(np.mean(gamma ** np.arange(len(rewards)) * rewards)),
            lambda rewards, gamma: float(np.mean(rewards)),
        ),
        Mistake(
            "weights-reversed",
            "Your weights run the wrong way: you discount the past. The last reward should weigh least.",
            "Which reward gets weight 1 in your code, the first or the last?",
            lambda rewards, gamma: _return_by_loop(np.asarray(rewards)[::-1], gamma),
        ),
        Mistake(
            "multiplied-not-power",
            "Your weight grows with γ times t. Each step multiplies once more by γ: that is a power, "
            "not a product with t.",
            "What is the weight of the reward two steps ahead? Two factors γ.",
            lambda rewards, gamma: float(
                sum((gamma * t if t else 1.0) * r for t, r in enumerate(rewards))
            ),
            lambda rewards, gamma: float(sum(gamma * t * r for t, r in enumerate(rewards))),
        ),
    ],
    also_correct=[
        _return_by_loop,
        _return_by_recursion,
        lambda rewards, gamma: np.dot(np.power(float(gamma), np.arange(len(rewards))), rewards),
        lambda rewards, gamma: np.polyval(np.asarray(rewards)[::-1], gamma),
        lambda rewards, gamma: sum(gamma**t * r for t, r in enumerate(rewards)),
    ],
)

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


bootstrap_mask = Exercise(
    "bootstrap_mask",
    reference=returns.bootstrap_mask,
    cases=_mask_cases,
    returns=array("mask"),
    points=1,
    equation="(0.2)",
    # A mask may be bool, int or float: its dtype says nothing about which mistake it is.
    alike=lambda case, a, b: same(a, b),
    may_ignore=["truncated"],
    mistakes=[
        Mistake(
            "masks-truncation",
            "You mask truncated steps as well. A time limit is ours, not the world's: after a cut the "
            "next state still has a value, so its mask is 1.",
            "Which of the two flags says that *nothing* can come afterwards?",
            lambda terminated, truncated: 1.0 - np.logical_or(terminated, truncated),
        ),
        Mistake(
            "inverted",
            "Your mask is the wrong way round: 1 must mean that the episode goes on.",
            "What should the mask be for an ordinary step in the middle of an episode?",
            lambda terminated, truncated: np.asarray(terminated) * 1.0,
        ),
        Mistake(
            "truncated-instead",
            "You used the wrong one of the two flags: it is termination that ends the task.",
            "Read again what each flag says about the state that comes next.",
            lambda terminated, truncated: 1.0 - np.asarray(truncated),
        ),
        Mistake(
            "truncation-wins",
            "Where both flags are set, you let the time limit win. The state is terminal whatever the "
            "clock says: the mask is 0.",
            "Make the table of all four combinations of the flags, and fill in equation (0.2).",
            lambda terminated, truncated: (
                1.0 - np.logical_and(terminated, np.logical_not(truncated))
            ),
        ),
    ],
    also_correct=[
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


def _pairs(prediction, target):
    return np.reshape(prediction, (-1, 1)) - target


mean_squared_error = Exercise(
    "mean_squared_error",
    reference=returns.mean_squared_error,
    cases=_error_cases,
    returns=number(),
    points=1,
    equation="(0.3)",
    mistakes=[
        Mistake(
            "all-pairs",
            "Every prediction is compared with every target: (B, 1) − (B,) is (B, B), and NumPy says "
            "nothing.",
            "Print the shape of the difference before you square it. Bring both to (B,) first.",
            lambda prediction, target: float(np.mean((prediction - target) ** 2)),
            lambda prediction, target: float(np.mean(_pairs(prediction, target) ** 2)),
        ),
        Mistake(
            "sum-not-mean",
            "You do not divide by B: the loss would grow with the size of the batch.",
            "Compare a batch with the same batch written twice: the error should be the same.",
            lambda prediction, target: float(np.sum((np.ravel(prediction) - target) ** 2)),
        ),
        Mistake(
            "half",
            "You put a ½ in front. Many losses have one; equation (0.3) has not.",
            "Compute the error of one prediction that is off by 2, by hand.",
            lambda prediction, target: float(np.mean((np.ravel(prediction) - target) ** 2) / 2),
        ),
        Mistake(
            "root",
            "You took the square root: that is the RMSE, another measure.",
            "Equation (0.3) stops at the mean of the squares.",
            lambda prediction, target: float(np.sqrt(np.mean((np.ravel(prediction) - target) ** 2))),
        ),
        Mistake(
            "mean-before-square",
            "You average before you square, so errors of opposite sign cancel.",
            "Which comes first in equation (0.3): the square or the mean?",
            lambda prediction, target: float(np.mean(np.ravel(prediction) - target) ** 2),
        ),
    ],
    also_correct=[
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


def _episode(env, policy, rng, keeps_last=True, moves=True, ends_on=any, flag=None):
    """The loop with its parts exchangeable, so that each mistake differs in one of them."""
    state, _ = env.reset()
    rewards = []
    while True:
        next_state, reward, terminated, truncated, _ = env.step(policy(state, rng))
        done = ends_on((terminated, truncated))
        if keeps_last or not done:
            rewards.append(reward)
        if moves:
            state = next_state
        if done:
            return np.array(rewards), flag((terminated, truncated)) if flag else terminated


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
    equation="(0.4)",
    notes=["resets", "steps", "choices", "rng"],
    mistakes=[
        Mistake(
            "waits-for-terminated",
            "Your loop goes on until `terminated`, but a time limit ends an episode too: you stepped "
            "on after the end.",
            "Which two flags can end an episode? Leave the loop when either is true.",
            lambda env, policy, rng: _episode(env, policy, rng, ends_on=lambda flags: flags[0]),
        ),
        Mistake(
            "stale-state",
            "The policy always sees the first state: what `step` returns is the new state, and you do "
            "not use it.",
            "Print the state at the top of your loop for three rounds. Does it move?",
            lambda env, policy, rng: _episode(env, policy, rng, moves=False),
        ),
        Mistake(
            "last-reward-lost",
            "The last reward is missing: the step that ends the episode pays as well.",
            "In which order do you test for the end and keep the reward?",
            lambda env, policy, rng: _episode(env, policy, rng, keeps_last=False),
        ),
        Mistake(
            "done-not-terminated",
            "The second result is true after a time limit too. The caller must know *how* the episode "
            "ended, to bootstrap or not (equation (0.2)).",
            "Two flags end the loop; only one of them is asked for.",
            lambda env, policy, rng: _episode(env, policy, rng, flag=any),
        ),
        Mistake(
            "total-only",
            "You return the sum of the rewards. Keep every reward, in order: later lessons weigh each "
            "of them differently.",
            "Collect the rewards in a list and turn it into an array at the end.",
            lambda env, policy, rng: (lambda r, d: (float(r.sum()), d))(
                *_episode(env, policy, rng)
            ),
        ),
    ],
    also_correct=[_episode, _episode_by_generator],
)

LESSON = Lesson(
    "00",
    "Start here",
    [discounted_return, bootstrap_mask, mean_squared_error, run_episode],
)
