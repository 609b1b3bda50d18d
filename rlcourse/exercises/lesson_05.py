"""Lesson 05: SARSA and Q-learning."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlcourse.checker.comparing import describe
from rlcourse.checker.declaration import Exercise, Lesson, Mistake, array, integer
from rlcourse.checker.harness import DRAWS, Case
from rlcourse.checker.material import flags, random_env, random_policy
from rlcourse.checker.probes import Rng, Select
from rlcourse.tabular import control

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


def _explore(pick: Callable, best: Callable = np.argmax) -> Callable:
    """An ε-greedy rule whose exploring draw, or whose greedy choice, is another."""

    def epsilon_greedy(q_row, epsilon, rng):
        if rng.random() < epsilon:
            return int(pick(q_row, rng))
        return int(best(q_row))

    return epsilon_greedy


def _other_actions(q_row, rng):
    return rng.choice([a for a in range(len(q_row)) if a != np.argmax(q_row)])


def _random_ties(q_row, epsilon, rng):
    if rng.random() < epsilon:
        return int(rng.integers(len(q_row)))
    return int(rng.choice(np.flatnonzero(q_row == np.max(q_row))))


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
            _explore(_other_actions),
            lambda q_row, epsilon, rng: (
                0 if len(q_row) == 1 else _explore(_other_actions)(q_row, epsilon, rng)
            ),
        ),
        Mistake(
            "epsilon-swapped",
            "ε and 1 − ε have changed places: you explore with probability 1 − ε. A small ε means "
            "mostly greedy.",
            "What does your function do at ε = 0, always?",
            lambda q_row, epsilon, rng: (
                int(np.argmax(q_row)) if rng.random() < epsilon else int(rng.integers(len(q_row)))
            ),
        ),
        Mistake(
            "random-ties",
            "Where several actions are best you draw one of them. That is reasonable, but here the "
            "*first* is asked for, so that runs can be compared.",
            "Which index does `argmax` give when the largest value occurs twice?",
            _random_ties,
        ),
        Mistake(
            "always-greedy",
            "ε is never used: you always take the greedy action. What is never tried is never learnt.",
            "Which of the two branches can `epsilon` lead to in your code?",
            lambda q_row, epsilon, rng: int(np.argmax(q_row)),
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
            _explore(lambda q_row, rng: rng.integers(len(q_row) - 1)),
            _explore(lambda q_row, rng: rng.integers(max(len(q_row) - 1, 1))),
        ),
    ],
    also_correct=[_one_draw, _by_probabilities, _action_first],
)

# --------------------------------------------------------------------------------------- targets

TERMINAL_ROW = (
    "Your target bootstraps through a terminal state. After a terminal state comes nothing: its row "
    "of Q is not to be used, whatever numbers stand in it."
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


def _target(future: Callable, mask: str = "future", discount: str = "future") -> Callable:
    """A one-step target whose future value, mask or discount can be another than asked."""

    def target(reward, *given):
        *tables, terminated, gamma = given
        alive = 1.0 - np.asarray(terminated, dtype=float)
        value = future(*tables)
        if discount == "all":
            return gamma * (reward + alive * value)
        value = value if discount == "none" else gamma * value
        if mask == "all":
            return alive * (reward + value)
        return reward + (value if mask == "none" else alive * value)

    return target


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


NO_GAMMA = (
    "The next state's value enters without γ: it comes one step later, so it counts γ of itself."
)
CHECK_GAMMA = "How often does γ stand in the equation, and before what?"

sarsa_target = Exercise(
    "sarsa_target",
    reference=control.sarsa_target,
    cases=transition_cases("action_next"),
    returns=array(),
    points=1,
    equation="(5.6)",
    mistakes=[
        Mistake(
            "bootstraps-terminal",
            TERMINAL_ROW,
            LOOK_AT_ENDS,
            _target(lambda q, a: q[_rows(q), a], mask="none"),
        ),
        Mistake(
            "max",
            "You take the largest value of the next row: that is Q-learning. SARSA evaluates the action "
            "it will really take.",
            "Which argument of the function have you not used?",
            _target(lambda q, a: q.max(axis=1)),
        ),
        Mistake(
            "all-rows",
            "`q_next[:, action_next]` takes every action for every row, a (B, B) array. Row i belongs "
            "to action i.",
            "Print the shape of what you pick out of `q_next`. You want one number a row.",
            lambda r, q, a, d, g: r + g * (1.0 - d) * q[:, a],
            lambda r, q, a, d, g: r + g * (1.0 - d)[:, None] * q[:, a],
            lambda r, q, a, d, g: r[:, None] + g * (1.0 - d)[:, None] * q[:, a],
            lambda r, q, a, d, g: r + g * (1.0 - d) * q[:, a].T,
        ),
        Mistake(
            "mean-over-actions",
            "You average over all next actions. One action was drawn: its value is the sample.",
            "Where in equation (5.6) does a′ come from?",
            _target(lambda q, a: q.mean(axis=1)),
        ),
        Mistake(
            "no-gamma", NO_GAMMA, CHECK_GAMMA, _target(lambda q, a: q[_rows(q), a], discount="none")
        ),
    ],
    also_correct=[
        _target(lambda q, a: np.take_along_axis(q, a[:, None], axis=1)[:, 0]),
        _target(lambda q, a: (q * np.eye(q.shape[1])[a]).sum(axis=1)),
        _loop(lambda q, a: q[a]),
        lambda r, q, a, d, g: r + np.where(d, 0.0, g * q[_rows(q), a]),
        lambda r, q, a, d, g: r + g * np.logical_not(d) * np.diag(q[:, a]),
    ],
)

expected_sarsa_target = Exercise(
    "expected_sarsa_target",
    reference=control.expected_sarsa_target,
    cases=transition_cases("pi_next"),
    returns=array(),
    points=1,
    equation="(5.7)",
    mistakes=[
        Mistake(
            "bootstraps-terminal",
            TERMINAL_ROW,
            LOOK_AT_ENDS,
            _target(lambda q, pi: (pi * q).sum(axis=1), mask="none"),
        ),
        Mistake(
            "greedy-expectation",
            "You take the largest value: that is the expectation under the greedy policy. It has to be "
            "taken under the policy that acts.",
            "Which argument tells you how likely each next action is?",
            _target(lambda q, pi: q.max(axis=1)),
        ),
        Mistake(
            "unweighted-mean",
            "You average over the actions as if all were equally likely. π gives the weights.",
            "What should happen to an action that the policy never takes?",
            _target(lambda q, pi: q.mean(axis=1)),
            _target(lambda q, pi: (pi * q).mean(axis=1)),
        ),
        Mistake(
            "likeliest-action",
            "You use only the value of the likeliest action. Every action counts, by its probability.",
            "Try a row with probabilities 0.6 and 0.4: which values must enter?",
            _target(lambda q, pi: q[_rows(q), pi.argmax(axis=1)]),
        ),
        Mistake(
            "no-gamma",
            NO_GAMMA,
            CHECK_GAMMA,
            _target(lambda q, pi: (pi * q).sum(1), discount="none"),
        ),
    ],
    also_correct=[
        _target(lambda q, pi: np.einsum("ba,ba->b", pi, q)),
        _target(lambda q, pi: np.average(q, axis=1, weights=pi)),
        _target(lambda q, pi: np.diag(q @ pi.T)),
        _loop(lambda q, pi: sum(p * x for p, x in zip(pi, q, strict=True))),
        lambda r, q, pi, d, g: np.where(d, r, r + g * (pi * q).sum(axis=1)),
        lambda r, q, pi, d, g: (pi * (r + g * (1.0 - d) * q.T).T).sum(axis=1),
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
        Mistake(
            "bootstraps-terminal",
            TERMINAL_ROW,
            LOOK_AT_ENDS,
            _target(lambda q: q.max(axis=1), mask="none"),
        ),
        Mistake(
            "argmax-for-max",
            "You use the *index* of the best action. An index is not worth anything: its value is.",
            "What does `argmax` return, and what does `max`?",
            _target(lambda q: q.argmax(axis=1)),
        ),
        Mistake(
            "max-over-all",
            "You take one maximum over the whole table. Each transition has its own next state, and so "
            "its own maximum: one a row.",
            "Which axis of `q_next` are the actions? Print the shape of your maximum.",
            _target(lambda q: q.max()),
        ),
        Mistake(
            "mean-over-actions",
            "You average over the next actions. Q-learning's target assumes the *best* action next.",
            "Compare equation (5.8) with expected SARSA's under a uniform policy.",
            _target(lambda q: q.mean(axis=1)),
        ),
        Mistake(
            "masks-reward",
            "Your mask wipes out the reward as well. The last reward is real; only the future is cut.",
            "What does a step into the goal pay? What is left of it in your target?",
            _target(lambda q: q.max(axis=1), mask="all"),
        ),
        Mistake(
            "gamma-on-reward",
            "You discount the reward too. It comes now: only the next state's value is one step away.",
            CHECK_GAMMA,
            _target(lambda q: q.max(axis=1), discount="all"),
        ),
    ],
    also_correct=[
        lambda r, q, d, g: np.where(d, r, r + g * q.max(axis=1)),
        lambda r, q, d, g: (r[:, None] + g * (1.0 - d)[:, None] * q).max(axis=1),
        _target(lambda q: q[_rows(q), q.argmax(axis=1)]),
        _loop(max),
        lambda r, q, d, g: r + g * np.logical_not(d) * np.sort(q, axis=1)[:, -1],
    ],
)

double_q_target = Exercise(
    "double_q_target",
    reference=control.double_q_target,
    cases=transition_cases("qb_next"),
    returns=array(),
    points=2,
    equation="(5.12)",
    mistakes=[
        Mistake(
            "bootstraps-terminal",
            TERMINAL_ROW,
            LOOK_AT_ENDS,
            _target(lambda qa, qb: qb[_rows(qa), qa.argmax(axis=1)], mask="none"),
        ),
        Mistake(
            "same-table",
            "The same table selects the action and says what it is worth. Its noise does both, and that "
            "is what biases the maximum.",
            "Two roles, two tables: which one chooses, which one is asked for the value?",
            _target(lambda qa, qb: qa.max(axis=1)),
            _target(lambda qa, qb: qb.max(axis=1)),
        ),
        Mistake(
            "swapped",
            "The roles are exchanged: the table being updated (A) selects, the other one (B) evaluates.",
            "This target is for updating A. Read equation (5.12) from the inside out.",
            _target(lambda qa, qb: qa[_rows(qa), qb.argmax(axis=1)]),
        ),
        Mistake(
            "min-of-both",
            "You take the smaller of the two maxima. That is TD3's idea, lesson 15; double Q-learning "
            "splits selecting from evaluating.",
            "How many maxima are there in equation (5.12)?",
            _target(lambda qa, qb: np.minimum(qa.max(axis=1), qb.max(axis=1))),
            _target(lambda qa, qb: np.minimum(qa, qb).max(axis=1)),
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
        _target(lambda qa, qb: np.take_along_axis(qb, qa.argmax(1)[:, None], axis=1)[:, 0]),
        _target(lambda qa, qb: (qb * np.eye(qa.shape[1])[qa.argmax(axis=1)]).sum(axis=1)),
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


def _sarsa_with(
    *,
    choose_next: Callable = lambda q, s, s_next, a: q[s_next],
    future: Callable = lambda q, s_next, a_next: q[s_next, a_next],
    masks: Callable = lambda terminated, truncated: terminated,
    chooses_first: bool = True,
    chooses_again: bool = False,
    chooses_after: bool = False,
    keeps_action: bool = False,
    chooses_at: Callable = lambda terminated, truncated: True,
) -> Callable:
    """SARSA with its parts exchangeable, so that each mistake differs in one of them."""

    def sarsa(env, select, episodes, step_size, gamma, rng):
        q = np.zeros((env.observation_space.n, env.action_space.n))
        for _ in range(episodes):
            s, _ = env.reset()
            a = select(q[s], rng) if chooses_first else 0
            done = False
            while not done:
                if chooses_again:
                    a = select(q[s], rng)
                s_next, reward, terminated, truncated, _ = env.step(a)
                done = terminated or truncated
                a_next = 0
                if chooses_at(terminated, truncated):
                    a_next = select(choose_next(q, s, s_next, a), rng)
                alive = 0.0 if masks(terminated, truncated) else 1.0
                y = reward + gamma * alive * future(q, s_next, a_next)
                q[s, a] += step_size * (y - q[s, a])
                if chooses_after:
                    a_next = select(q[s_next], rng)
                s, a = s_next, (a if keeps_action else a_next)
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


def _unless_terminal(terminated: bool, truncated: bool) -> bool:
    return not terminated


def _unless_over(terminated: bool, truncated: bool) -> bool:
    return not (terminated or truncated)


def _both_ways(**parts) -> tuple[Callable, Callable]:
    """A mistake made by loops that choose an action at a terminal state, and by loops that do not."""
    return _sarsa_with(**parts), _sarsa_with(**parts, chooses_at=_unless_terminal)


def _all_ways(**parts) -> tuple[Callable, ...]:
    """The same where the action at the end is not used: by loops that never choose there, too."""
    return *_both_ways(**parts), _sarsa_with(**parts, chooses_at=_unless_over)


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
            *_both_ways(choose_next=lambda q, s, s_next, a: q[s]),
        ),
        Mistake(
            "chooses-again",
            "You draw a fresh action at each step, so the action in the target is not the one that is "
            "taken. In SARSA they are the same.",
            "Follow a′ through one round of your loop: where does it go?",
            *_both_ways(chooses_again=True),
            *_both_ways(chooses_again=True, chooses_first=False),
            *_both_ways(chooses_after=True),
        ),
        Mistake(
            "max",
            "Your target takes the largest value of s′: that is Q-learning. SARSA learns about the policy "
            "that acts.",
            "Compare equations (5.6) and (5.8): which one has a maximum?",
            *_all_ways(future=lambda q, s_next, a_next: q[s_next].max()),
            lambda *arguments: _q_learning_with()(*arguments),
        ),
        Mistake(
            "stale-action",
            "The action never becomes a′: you repeat the first action of the episode.",
            "Each round ends by moving on. What has to move besides the state?",
            *_both_ways(keeps_action=True),
        ),
        Mistake(
            "bootstraps-terminal", LOOP_TERMINAL, WHICH_FLAG, _sarsa_with(masks=lambda d, c: False)
        ),
        Mistake(
            "masks-truncation", LOOP_TRUNCATION, WHICH_FLAG, *_all_ways(masks=lambda d, c: d or c)
        ),
    ],
    also_correct=[_sarsa_with(), _sarsa_with(chooses_at=_unless_terminal), _sarsa_through_target],
)


def _q_learning_with(
    *,
    target_value: Callable = lambda q, s, s_next, select, rng: q[s_next].max(),
    masks: Callable = lambda terminated, truncated: terminated,
    looks_always: bool = False,
    greedy: bool = False,
) -> Callable:
    """Q-learning with its parts exchangeable."""

    def q_learning(env, select, episodes, step_size, gamma, rng):
        q = np.zeros((env.observation_space.n, env.action_space.n))
        for _ in range(episodes):
            s, _ = env.reset()
            while True:
                a = int(q[s].argmax()) if greedy else select(q[s], rng)
                s_next, reward, terminated, truncated, _ = env.step(a)
                y, masked = reward, masks(terminated, truncated)
                if looks_always or not masked:
                    y += gamma * (not masked) * target_value(q, s, s_next, select, rng)
                q[s, a] = (1 - step_size) * q[s, a] + step_size * y
                s = s_next
                if terminated or truncated:
                    break
        return q

    return q_learning


def _selected(q, s, s_next, select, rng):
    return q[s_next, select(q[s_next], rng)]


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
            _q_learning_with(target_value=_selected),
            _q_learning_with(target_value=_selected, looks_always=True),
            *_both_ways(),
        ),
        Mistake(
            "stale-action",
            "You choose the next action before the update. Choose with what you have just learnt.",
            "Put the lines of one round in order: choose, step, update, move on.",
            *map(_chooses_early, ("never", "terminated", "done")),
        ),
        Mistake(
            "never-explores",
            "You act greedily and never ask `select`. The target is greedy; the behaviour is `select`'s.",
            "Which argument of your function is never used?",
            _q_learning_with(greedy=True),
        ),
        Mistake(
            "own-max",
            "Your maximum is over the row of s, the state you left. It belongs to the next state.",
            "Which state's future does the target talk about?",
            _q_learning_with(target_value=lambda q, s, s_next, select, rng: q[s].max()),
        ),
        Mistake(
            "bootstraps-terminal",
            LOOP_TERMINAL,
            WHICH_FLAG,
            _q_learning_with(masks=lambda d, c: False),
        ),
        Mistake(
            "masks-truncation",
            LOOP_TRUNCATION,
            WHICH_FLAG,
            _q_learning_with(masks=lambda d, c: d or c),
        ),
    ],
    also_correct=[_q_learning_with(), _q_learning_through_target],
)

LESSON = Lesson(
    "05",
    "SARSA and Q-learning",
    [
        epsilon_greedy,
        sarsa_target,
        expected_sarsa_target,
        q_learning_target,
        double_q_target,
        sarsa,
        q_learning,
    ],
)
