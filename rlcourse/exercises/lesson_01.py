"""Lesson 01: Markov decision processes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlcourse.checker.comparing import difference
from rlcourse.checker.declaration import Exercise, Lesson, Mistake, array, number, several
from rlcourse.checker.harness import Case
from rlcourse.checker.material import random_distribution, random_mdp, random_policy
from rlcourse.checker.probes import Rng
from rlcourse.tabular import mdp, returns

from .lesson_00 import reward_cases

# -------------------------------------------------------------------------------- returns_to_go


def _discounts(rewards, gamma) -> np.ndarray:
    """The weights γ^t, (T,)."""
    return np.power(float(gamma), np.arange(len(rewards)))


def _forward_sum(rewards, gamma):
    g, result = 0.0, np.zeros(len(rewards))
    for t, reward in enumerate(rewards):
        g = reward + gamma * g
        result[t] = g
    return result


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
            lambda rewards, gamma: np.full(len(rewards), returns.discounted_return(rewards, gamma)),
        ),
        Mistake(
            "forward",
            "You go forwards, and so you sum the past. The return of a step is about what comes after it.",
            "Which of the returns can you write down without knowing any other? Start there.",
            _forward_sum,
        ),
        Mistake(
            "discounted-from-start",
            "Your weights count from the start of the episode: a factor γ^t is left in. Discounting starts anew "
            "at each t, where the first reward has the weight 1.",
            "Compare G₁ by your code with r₁ + γ r₂ + …",
            _weighted_from_start,
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
            lambda rewards, gamma: returns.returns_to_go(rewards, gamma) - rewards,
            lambda rewards, gamma: (
                (returns.returns_to_go(rewards, gamma) - rewards) / gamma
                if gamma
                else np.append(np.asarray(rewards, float)[1:], np.zeros(min(len(rewards), 1)))
            ),
        ),
    ],
    also_correct=[_double_sum, _triangular, _reversed_list],
)

# --------------------------------------------------------------------- policy_transition, _reward


def _sizes(rng: np.random.Generator, make: Callable) -> list[Case]:
    """Cases over many shapes: S = A, S = 1, A = 1, one-hot and stochastic policies."""

    def case(name, n_states, n_actions, *tags, deterministic=False, branching=None) -> Case:
        P, R = random_mdp(rng, n_states, n_actions, branching)
        pi = random_policy(rng, n_states, n_actions, deterministic)
        return Case(name, make(P, R, pi), tags)

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
    ]  # fmt: skip


def _transition_by_loop(P, pi):
    n_states, n_actions, _ = P.shape
    result = np.zeros((n_states, n_states))
    for s in range(n_states):
        for a in range(n_actions):
            result[s] += pi[s, a] * P[s, a]
    return result


policy_transition = Exercise(
    "policy_transition",
    reference=mdp.policy_transition,
    cases=lambda rng: _sizes(rng, lambda P, R, pi: {"P": P, "pi": pi}),
    returns=array(),
    points=1,
    equation="(1.4)",
    mistakes=[
        Mistake(
            "mean-over-actions",
            "You average over the actions as if all were equally likely. The policy decides how often each one "
            "is taken.",
            "Where does `pi` enter equation (1.4)?",
            lambda P, pi: P.mean(axis=1),
        ),
        Mistake(
            "sum-over-actions",
            "You add up the actions without weights: your rows sum to A. The rows of a Markov chain sum to 1.",
            "Print the sums of your rows. What is missing in front of p(s′|s, a)?",
            lambda P, pi: P.sum(axis=1),
        ),
        Mistake(
            "transposed",
            "Rows and columns are exchanged. The first index says where from, the second where to.",
            "Which axis of your result sums to 1?",
            lambda P, pi: _transition_by_loop(P, pi).T,
        ),
        Mistake(
            "next-state-policy",
            "You weigh with the policy of the state that is reached. The action is chosen in s, before the move.",
            "Whose row of `pi` decides about the step from s?",
            lambda P, pi: np.einsum("ta,sat->st", pi, P),
        ),
        Mistake(
            "likeliest-action",
            "You follow only the likeliest action. Every action counts, by its probability.",
            "Try a state with probabilities 0.6 and 0.4.",
            lambda P, pi: P[np.arange(len(P)), pi.argmax(axis=1)],
        ),
    ],
    also_correct=[
        _transition_by_loop,
        lambda P, pi: (pi[:, :, None] * P).sum(axis=1),
        lambda P, pi: (pi[:, None, :] @ P)[:, 0],
        lambda P, pi: np.stack([pi[s] @ P[s] for s in range(len(P))]),
    ],
)


def _reward_cases(rng: np.random.Generator) -> list[Case]:
    cases = _sizes(rng, lambda P, R, pi: {"R": R, "pi": pi})
    whole = {"R": rng.integers(-9, 10, size=(4, 3)), "pi": random_policy(rng, 4, 3)}
    return [*cases, Case("whole-number rewards", whole, ("whole-number rewards",))]


policy_reward = Exercise(
    "policy_reward",
    reference=mdp.policy_reward,
    cases=_reward_cases,
    returns=array(),
    points=1,
    equation="(1.5)",
    mistakes=[
        Mistake(
            "unweighted-mean",
            "You average over the actions without the policy. Weigh each reward by how often π takes the action.",
            "Which argument have you not used?",
            lambda R, pi: R.mean(axis=1),
            lambda R, pi: (pi * R).mean(axis=1),
        ),
        Mistake(
            "unweighted-sum",
            "You add up the rewards of all actions. Only one action is taken at a time: weigh each by π(a|s).",
            "What should come out where the policy always takes the same action?",
            lambda R, pi: R.sum(axis=1),
            lambda R, pi: R.sum(axis=1) * 1.0,
        ),
        Mistake(
            "best-action",
            "You take the largest reward. That is what a greedy policy would get, not π.",
            "What should come out where the policy never takes the best action?",
            lambda R, pi: R.max(axis=1),
            lambda R, pi: R.max(axis=1) * 1.0,
        ),
        Mistake(
            "sum-over-states",
            "You sum over the states. One number is asked for each state, so the sum runs over the actions.",
            "Which axis of `R` are the actions? Print the shape of your result.",
            lambda R, pi: (pi * R).sum(axis=0),
        ),
    ],
    also_correct=[
        lambda R, pi: np.average(R, axis=1, weights=pi),
        lambda R, pi: np.diag(R @ pi.T).copy(),
        lambda R, pi: np.einsum("sa,sa->s", R, pi),
        lambda R, pi: np.array([sum(p * r for p, r in zip(*rows, strict=True)) for rows in zip(pi, R, strict=True)]),
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


def _solved(matrix: Callable, right: Callable) -> Callable:
    """An occupancy by a linear solve with another matrix or another right-hand side."""

    def discounted_occupancy(P_pi, start, gamma):
        identity = np.eye(len(start))
        return np.linalg.solve(matrix(identity, P_pi, gamma), right(start, gamma))

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
            _solved(lambda eye, P, g: eye - g * P.T, lambda start, g: start),
        ),
        Mistake(
            "not-transposed",
            "You solve with P^π itself. That carries values backwards; probability flows forwards, which needs the "
            "transpose.",
            "Probability that arrives in s′ comes from all s: over which index of P^π must the sum run?",
            _solved(lambda eye, P, g: eye - g * P, lambda start, g: (1 - g) * start),
        ),
        Mistake(
            "start-not-counted",
            "Your sum starts after the first step. The first state is visited too: t = 0 counts.",
            "What should come out at γ = 0?",
            lambda P_pi, start, gamma: _series(P_pi, start, gamma, first=0.0),
            lambda P_pi, start, gamma: mdp.discounted_occupancy(P_pi, start @ P_pi, gamma),
            lambda P_pi, start, gamma: mdp.discounted_occupancy(P_pi, start, gamma) - (1 - gamma) * start,
            lambda P_pi, start, gamma: (d := _series(P_pi, start, gamma, first=0.0)) / d.sum(),
        ),
        Mistake(
            "start-ignored",
            "Your result does not depend on `start`. With γ < 1 the start is never forgotten.",
            "What should come out at γ = 0, where only the first state counts?",
            lambda P_pi, start, gamma: mdp.discounted_occupancy(
                P_pi, np.full(len(start), 1 / len(start)), gamma
            ),
            lambda P_pi, start, gamma: mdp.discounted_occupancy(P_pi, np.eye(len(start))[0], gamma),
            _stationary,
            shows=_shows_stationary,
        ),
        Mistake(
            "plus-gamma",
            "The sign before γ is wrong: bringing γPᵀd to the left-hand side turns it into minus.",
            "Start again from d = (1 − γ) start + γ Pᵀ d and collect the terms with d.",
            _solved(lambda eye, P, g: eye + g * P.T, lambda start, g: (1 - g) * start),
        ),
    ],
    also_correct=[
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


def _uniform_start(P, R, pi, start, gamma):
    return mdp.expected_return(P, R, pi, np.full(len(start), 1 / len(start)), gamma)


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
            "You do not divide by 1 − γ. d sums to 1, but the weights γ^t sum to 1/(1 − γ).",
            "If every step paid 1, what should the return be? And what do you get?",
            lambda P, R, pi, start, gamma: (
                (1 - gamma) * mdp.expected_return(P, R, pi, start, gamma)
            ),
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
            lambda P, R, pi, start, gamma: gamma * mdp.expected_return(P, R, pi, start, gamma),
        ),
        Mistake(
            "start-ignored",
            "Your result does not depend on `start`. J belongs to the given start distribution.",
            "Which argument have you not used?",
            _uniform_start,
            lambda P, R, pi, start, gamma: float(
                np.sum(_by_values(P, R, pi, np.eye(len(start)), gamma))
            ),
            lambda P, R, pi, start, gamma: _by_values(P, R, pi, np.eye(len(start))[0], gamma),
        ),
    ],
    also_correct=[_discounted_sum, _by_pairs, _by_values],
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


def _sampled(
    begin: Callable = lambda rng, start: rng.choice(len(start), p=start),
    act: Callable = lambda rng, row: rng.choice(len(row), p=row),
    move: Callable = lambda rng, row: rng.choice(len(row), p=row),
    pay: Callable = lambda R, s, a, s_next: R[s, a],
    keeps_last: bool = True,
) -> Callable:
    """Sampling with its parts exchangeable."""

    def sample_trajectory(P, R, pi, start, horizon, rng):
        s = int(begin(rng, start))
        states, actions, rewards = [s], [], []
        for _ in range(horizon):
            a = int(act(rng, pi[s]))
            s_next = int(move(rng, P[s, a]))
            rewards.append(pay(R, s, a, s_next))
            actions.append(a)
            states.append(s_next)
            s = s_next
        states = states if keeps_last else states[:-1]
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
            _sampled(pay=lambda R, s, a, s_next: R[s_next, a]),
        ),
        Mistake(
            "uniform-actions",
            "Your actions do not follow π: all are equally likely. Draw a_t from the row π(·|s_t).",
            "Is `pi` used anywhere in your code?",
            _sampled(act=lambda rng, row: rng.choice(len(row))),
            _sampled(act=lambda rng, row: rng.integers(len(row))),
            _sampled(act=lambda rng, row: rng.choice(len(row), p=np.full(len(row), 1 / len(row)))),
        ),
        Mistake(
            "likeliest-next-state",
            "You always move to the likeliest next state. Sample it: the most likely path is not the average one.",
            "Run it twice with different seeds. Can the paths differ?",
            _sampled(move=lambda rng, row: row.argmax()),
            shows=_always_likeliest,
        ),
        Mistake(
            "start-ignored",
            "The first state is not drawn from `start`.",
            "What is the very first draw in the task's list?",
            _sampled(begin=lambda rng, start: rng.choice(len(start))),
            _sampled(
                begin=lambda rng, start: rng.choice(
                    len(start), p=np.full(len(start), 1 / len(start))
                )
            ),
            _sampled(begin=lambda rng, start: rng.integers(len(start))),
            _sampled(begin=lambda rng, start: start.argmax()),
            _sampled(begin=lambda rng, start: 0),
            # Drawn, but from a distribution that has but this one state.
            _sampled(begin=lambda rng, start: (rng.random(), start.argmax())[1]),
            _sampled(begin=lambda rng, start: (rng.random(), 0)[1]),
        ),
        Mistake(
            "last-state-missing",
            "You return T states. T actions join T + 1 states: the one behind the last action is missing.",
            "How many states does a trajectory of one step have?",
            _sampled(keeps_last=False),
        ),
    ],
    also_correct=[_sampled(), _sampled(begin=_by_inverse, act=_by_inverse, move=_by_inverse)],
)

LESSON = Lesson(
    "01",
    "Markov decision processes",
    [
        returns_to_go,
        policy_transition,
        policy_reward,
        discounted_occupancy,
        expected_return,
        sample_trajectory,
    ],
)
