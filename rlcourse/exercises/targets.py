"""What the declarations of several lessons are made of: weights of actions, looks ahead, sentences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlcourse.checker.declaration import Mistake, composable
from rlcourse.checker.harness import UNKNOWN_CHOICE, Case

NO_GAMMA = (
    "The next state's value enters without γ: it comes one step later, so it counts γ of itself."
)
COUNT_GAMMA = "How often does γ stand in the equation, and before what?"
GAMMA_MISPLACED = (
    "γ stands before the wrong term: you discount the reward that comes now, and not the value that comes a step "
    "later."
)
REWARD_MISSING = "The reward is missing: what comes now counts in full, beside what comes later."
GAMMA_ON_REWARD = "You discount the reward too. It comes now; only what follows is one step away."
MASKS_REWARD = (
    "Your mask wipes out the reward as well. The last reward is real; only the future is cut."
)
MASK_INVERTED = "Your mask is the wrong way round: you bootstrap where the episode ended and not where it goes on."
# Of a function in the table's place.
TERMINAL_FUNCTION = "After a terminal state nothing is left to come: its value is 0 whatever the function says there."
AVERAGED_TWICE = (
    "You weigh by π and then divide by the number of actions as well. The weights alone make the average: they sum "
    "to 1."
)
ALL_ALIKE = "What should come out if all actions are worth the same?"

# How a loop of sweeps stops, and what it returns: name -> why it is wrong, what to look at.
STOPPING: dict[str, tuple[str, str]] = {
    "changes-squared": (
        "You compare the *square* of the changes with the tolerance: 0.001 looks like a millionth, so you stop too "
        "early.",
        "Which change is just small enough for your test, at a tolerance of 1e-6?",
    ),
    "allclose": (
        "You stop when `np.allclose` says so. It has tolerances of its own, relative ones too: yours is an argument.",
        "Where does `tolerance` enter your test?",
    ),
    "waits-for-equality": (
        "You go on until nothing changes at all. `tolerance` says how small a change is small enough.",
        "Where does `tolerance` enter your test?",
    ),
    "other-threshold": (
        "You do not compare with `tolerance` itself but with a multiple that depends on γ. That bounds the *error*; "
        "the task compares the change of a sweep.",
        "Read again when the loop is to stop: which of the two, change or error, is to be below `tolerance`?",
    ),
    "last-sweep-not-counted": (
        "Your number of sweeps is one too small: the sweep that finds no change was a sweep too.",
        "How many sweeps does it take to notice that all rewards are 0?",
    ),
    "counts-one-too-many": (
        "Your number of sweeps is one too large: count the sweeps that were made, none before the first.",
        "How many sweeps does it take to notice that all rewards are 0?",
    ),
    "last-sweep-thrown-away": (
        "You return the table from *before* the last sweep. The sweep that found it settled has made it better.",
        "Which of your two tables do you return, the one that was read or the one that was written?",
    ),
}


def weights(kind: str, pi: np.ndarray) -> np.ndarray:
    """(S, A): what the actions are weighed with, π or another."""
    n_actions = pi.shape[1]
    return {
        "pi": lambda: pi,
        "none": lambda: np.ones_like(pi),
        "equal": lambda: np.full_like(pi, 1 / n_actions),
        "pi, averaged": lambda: pi / n_actions,
        "likeliest": lambda: np.eye(n_actions)[pi.argmax(axis=1)],
        "first": lambda: np.eye(n_actions)[np.zeros(len(pi), dtype=int)],
    }[kind]()


@composable
def weighed(kind: str = "pi", axis: int | None = 1) -> Callable:
    """A table's mean under π with its parts exchangeable; axis: what the sum runs over."""

    def mean_under(table, pi):
        total = (weights(kind, pi) * table).sum(axis=axis)
        return float(total) if axis is None else total

    return mean_under


def ahead(kind: str, P: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(S, A): what the next state is worth, its mean under p or another."""
    if kind == "expected":
        return P @ v
    n_actions = P.shape[1]
    return {
        "nothing": lambda: np.zeros(P.shape[:2]),
        "sum of the reachable": lambda: (P > 0).astype(float) @ v,
        "sum of all": lambda: np.full(P.shape[:2], v.sum()),
        "mean of all": lambda: np.full(P.shape[:2], v.mean()),
        "averaged twice": lambda: P @ v / len(v),
        "own": lambda: np.repeat(v[: len(P), None], n_actions, axis=1),
        "best reachable": lambda: np.where(P > 0, v, -np.inf).max(axis=2),
        "best of all": lambda: np.full(P.shape[:2], v.max()),
        "likeliest": lambda: v[P.argmax(axis=2)],
        "largest term": lambda: (P * v).max(axis=2),
        "backwards": lambda: np.einsum("sat,s->ta", P, v),
    }[kind]()


def looked_ahead(
    P: np.ndarray, R: np.ndarray, v: np.ndarray, gamma: float, of_reward, of_next: int, to: str
) -> np.ndarray:
    """(S, A): γ^of_reward r + γ^of_next v′; of_reward None: without the reward."""
    reward = 0.0 if of_reward is None else float(gamma) ** of_reward * R
    return reward + float(gamma) ** of_next * ahead(to, P, v)


def one_step(reward, value, terminated, gamma, mask: str, discount: str, paid: bool) -> np.ndarray:
    """r + γ(1 − d) times the value, or wrongly so.

    mask: "future"; "none"; "all", the reward too; "inverted"; discount: "future"; "none"; "all";
    "reward", in place of the future; paid: whether there is a reward at all.
    """
    d = np.asarray(terminated, dtype=float)
    alive = {"none": np.ones_like(d), "inverted": d}.get(mask, 1.0 - d)
    now = reward if paid else np.zeros_like(reward)
    now = now * alive if mask == "all" else now
    now = gamma * now if discount in ("all", "reward") else now
    later = value if discount in ("none", "reward") else gamma * value
    return now + alive * later


def target_mistakes(
    make: Callable, terminal: str, look_at_ends: str, count_gamma: str
) -> list[Mistake]:
    """The mistakes that a one-step target can make around its future value.

    `make(**options of one_step)`: a function, or several that make the mistake in their own ways.
    """

    def ways(**options) -> tuple[Callable, ...]:
        made = make(**options)
        return made if isinstance(made, tuple) else (made,)

    return [
        Mistake("bootstraps-terminal", terminal, look_at_ends, *ways(mask="none")),
        Mistake("no-gamma", NO_GAMMA, count_gamma, *ways(discount="none")),
        Mistake(
            "gamma-on-reward",
            GAMMA_ON_REWARD,
            count_gamma,
            *ways(discount="all"),
        ),
        Mistake("gamma-misplaced", GAMMA_MISPLACED, count_gamma, *ways(discount="reward")),
        Mistake(
            "masks-reward",
            MASKS_REWARD,
            "What does a step into the goal pay? What is left of it in your target?",
            *ways(mask="all"),
        ),
        Mistake(
            "mask-inverted",
            MASK_INVERTED,
            "For an ordinary step d = 0. What remains of your target then?",
            *ways(mask="inverted"),
        ),
        Mistake(
            "reward-missing",
            REWARD_MISSING,
            "What is the right target for a step that ended the episode? And what is yours?",
            *ways(paid=False),
        ),
    ]


UPDATES: dict[str, Callable] = {
    "towards": lambda old, y, step: old + step * (y - old),
    "all the way": lambda old, y, step: y,
    "added": lambda old, y, step: old + step * y,
    "error only": lambda old, y, step: step * (y - old),
    "the other share": lambda old, y, step: step * old + (1 - step) * y,
    "away": lambda old, y, step: old - step * (y - old),
}


def sampled_target(reward, value, ended: bool, gamma, discount: str, paid: bool) -> float:
    """`one_step` for a single step of a loop."""
    now = (reward if paid else 0.0) * (gamma if discount in ("all", "reward") else 1.0)
    return now + (0.0 if ended else value * (1.0 if discount in ("none", "reward") else gamma))


def update_mistakes(
    make: Callable[..., tuple], where: str, count_gamma: str, which_flag: str
) -> list[Mistake]:
    """The mistakes that a loop of updates can make besides its target's value; make: options -> functions."""
    return [
        Mistake("no-gamma", NO_GAMMA, count_gamma, *make(discount="none")),
        Mistake(
            "gamma-on-reward",
            GAMMA_ON_REWARD,
            count_gamma,
            *make(discount="all"),
        ),
        Mistake("gamma-misplaced", GAMMA_MISPLACED, count_gamma, *make(discount="reward")),
        Mistake("reward-missing", REWARD_MISSING, "What is learnt at γ = 0?", *make(paid=False)),
        Mistake(
            "no-step-size",
            f"You put the whole target in the place of {where}: one noisy sample decides. The step size says how far to "
            "go towards it.",
            "What does your update do at a step size of 0.1? Which argument have you not used?",
            *make(update="all the way"),
        ),
        Mistake(
            "prediction-not-subtracted",
            f"You add the target to {where}, and nothing is subtracted: it grows at every visit. What moves it is the "
            "*error*.",
            "By how much should it move when the target is just what it says already?",
            *make(update="added"),
        ),
        Mistake(
            "overwritten-by-error",
            f"You put the error in the place of {where}. The error is by how much it is to be *changed*.",
            "`=` or `+=`?",
            *make(update="error only"),
        ),
        Mistake(
            "shares-swapped",
            "The two shares have changed places: the step size belongs to the target, what is left of 1 to the old "
            "value.",
            "What should your update do at a step size of 0?",
            *make(update="the other share"),
        ),
        Mistake(
            "sign",
            f"You move {where} *away* from the target: the sign of the error is turned round.",
            "Should it rise or fall when the target is higher?",
            *make(update="away"),
        ),
        Mistake(
            "masks-inverted",
            "You bootstrap where the episode ended in a terminal state, and not where it goes on.",
            which_flag,
            *make(masks="not terminated"),
        ),
        Mistake(
            "truncated-for-terminated",
            "You look at the wrong flag: your target leaves the next value out at a time limit and keeps it after a "
            "terminal state.",
            which_flag,
            *make(masks="truncated"),
        ),
        Mistake(
            "ignores-truncation",
            "Your loop steps on after a time limit. Both flags end the episode.",
            "Under which conditions do you leave the inner loop?",
            *make(ends_on="terminated"),
        ),
        Mistake(
            "ignores-termination",
            "Your loop steps on after a terminal state. Both flags end the episode.",
            "Under which conditions do you leave the inner loop?",
            *make(ends_on="truncated"),
        ),
        Mistake(
            "waits-for-both",
            "Your loop goes on until *both* flags are true. Either of them ends the episode.",
            "Negate your loop's condition on paper: when does it stop?",
            *make(ends_on="both"),
        ),
        Mistake(
            "never-moves",
            "The state stays the first one of the episode: you correct it for everything that happens later.",
            "How does each round of the loop end?",
            *make(moves=False),
        ),
        Mistake(
            "one-episode",
            "You play one episode only. `episodes` says how many.",
            "Which argument have you not used? Which lines belong inside the outer loop?",
            *make(most=1),
        ),
        Mistake(
            "begins-anew",
            "Your table begins from nothing in every episode: what the earlier ones have taught is forgotten.",
            "Which lines belong inside the outer loop, and which before it?",
            *make(forgets=True),
        ),
    ]


def but_for_the_refusal(close: Callable[..., bool]) -> Callable[[Case, dict, dict], bool]:
    """`alike` of an answer to a choice by name: a mistake explains it if it is careless about other names as well.

    Of the reports of `choosing` and `refusing`: value, and what another name raised.
    """

    def alike(case: Case, answer: dict, mistake: dict) -> bool:
        as_careless = answer["refused"] == mistake["refused"] or mistake["refused"] == "ValueError"
        return as_careless and close(answer["value"], mistake["value"])

    return alike


def told_of_refusal(right: str, kind: str, answer: dict) -> str:
    """What an answer did when it was asked for a kind, a mode say, that there is not; right: what it does well."""
    found = answer["refused"]
    did = "goes on as if nothing were wrong" if found == "nothing" else f"raises {found}"
    return (
        f'{right}. Asked for a {kind} that there is not, "{UNKNOWN_CHOICE}", your function {did}; it should raise '
        "ValueError."
    )
