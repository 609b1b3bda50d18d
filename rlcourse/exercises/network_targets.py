"""What declarations of several lessons with networks share: targets with their parts exchangeable."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import torch

from rlcourse.checker.declaration import Mistake
from rlcourse.checker.networks import Network, Transitions, network, transitions

# Of two tensors of values, what a target or an actor's loss may take.
PICKS: dict[str, Callable] = {
    "smaller": torch.minimum,
    "larger": torch.maximum,
    "mean": lambda a, b: (a + b) / 2,
    "sum": lambda a, b: a + b,
    "first": lambda a, b: a,
    "second": lambda a, b: b,
    "smallest of all": lambda a, b: torch.minimum(a.min(), b.min()),
    "smallest of all, repeated": lambda a, b: min(a.min(), b.min()).expand(len(a)),
    "critic of the smallest": lambda a, b: a if a.min() < b.min() else b,
    "critic of the smaller mean": lambda a, b: a if a.mean() < b.mean() else b,
    # Where two critics agree, each of these sends the gradient another way.
    "smaller, the second if equal": lambda a, b: torch.where(a < b, a, b),
    "smaller, the first if equal": lambda a, b: torch.where(b < a, b, a),
}

REDUCTIONS: dict[str, Callable] = {"mean": torch.mean, "sum": torch.sum, "none": lambda x: x}
NOT_REDUCED = (
    "You return one number for every row. A loss is a single number, the mean over the batch: that is what an "
    "optimiser can go down.",
    "Which reduction is missing? `backward()` asks for a scalar.",
)

MASK_INVERTED = (
    "The mask is the wrong way round: you bootstrap exactly where the episode ended, and nowhere else. d is 1 at "
    "the end, so what follows counts 1 − d.",
    "What is your target for a row with `terminated` = 0? Does it look ahead?",
)
REWARD_MASKED = (
    "You switch off the reward of terminal transitions as well. The reward of the step into a terminal state was "
    "really paid.",
    "What does (1 − d) multiply in the equation, and what in your code?",
)
REWARD_DISCOUNTED = (
    "γ multiplies the reward too. The reward comes with this very step: only what follows in s′ lies one step ahead.",
    "How far does the bracket reach that γ stands before?",
)

NO_GAMMA = (
    "The next state's value enters the target without γ: it comes one step later, so it counts γ of itself.",
    "Where does `gamma` enter your target?",
)


def target_mistakes(
    make: Callable, terminal: tuple[str, str], no_gamma: tuple[str, str] = NO_GAMMA
) -> list[Mistake]:
    """The mistakes that a target can make around what follows in s′; terminal, no_gamma: the lesson's words.

    `make(**options of td_target)`: a function, or several that make the mistake in their own ways.
    """

    def ways(**options: str) -> tuple[Callable, ...]:
        made = make(**options)
        return tuple(made) if isinstance(made, list | tuple) else (made,)

    return [
        Mistake("terminal-bootstrap", *terminal, *ways(mask="nothing")),
        Mistake("mask-inverted", *MASK_INVERTED, *ways(mask="inverted")),
        Mistake("reward-masked", *REWARD_MASKED, *ways(mask="all")),
        Mistake("no-gamma", *no_gamma, *ways(discount="nothing")),
        Mistake("reward-discounted", *REWARD_DISCOUNTED, *ways(discount="all")),
    ]


def td_target(reward, value, terminated, gamma, mask="next", discount="next"):
    """r + γ (1 − d) value; mask and discount: what (1 − d) and γ multiply: "next", "all" or "nothing".

    mask "inverted" has d for 1 − d.
    """
    alive = {"nothing": 1.0, "inverted": terminated}.get(mask, 1 - terminated)
    paid = alive * reward if mask == "all" else reward
    if discount == "all":
        return gamma * (paid + alive * value)
    return paid + (1.0 if discount == "nothing" else gamma) * alive * value


def stepper(clear: Collection[str], after: bool) -> Callable:
    """(agent, part, loss) -> one step of the part's optimiser; gradients cleared before it if the part is in
    `clear`, or, whatever the part, after it."""

    def step(me, name, loss):
        optimizer = getattr(me, f"{name}_optimizer")
        if name in clear and not after:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if after:
            optimizer.zero_grad()

    return step


def networks_and_batch(
    rng: np.random.Generator, n: int, n_actions: int = 4, lower: float = 0.0, **batch
) -> dict[str, Network | Transitions]:
    """q_net, target_net and a batch of n transitions, of 3 numbers a state: what a loss of DQN's kind takes.

    lower: by how much all values of the slow network lie lower; batch: options of `transitions`.
    """
    nets = {name: network(rng, "q", 3, n_actions) for name in ("q_net", "target_net")}
    nets["target_net"].weights[-1][:] -= lower
    return nets | {"batch": transitions(rng, n, 3, n_actions=n_actions, **batch)}
