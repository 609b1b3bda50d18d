"""A DQN of which every part is handed in: the memory and the whole step, too (lesson 08)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from rlcourse.lab.agents import functions_for
from rlcourse.lab.replay import Batch, ReplayBuffer

from . import dqn


@dataclass(eq=False, kw_only=True)
class AssembledDQN(dqn.DQN):
    """`DQN` with the buffer and the step as parts: `replay(capacity, obs_dim)`, with `add` and
    `sample`, and `dqn_update(agent_state, batch)`, which moves the target itself, at every update.

    A step that takes `dqn_loss` and `polyak_update` by keyword, as the reference's, gets this agent's.
    """

    replay: Callable[[int, int], Any] = ReplayBuffer
    dqn_update: Callable[..., Any] = dqn.dqn_update

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target_every != 1:
            raise ValueError("Here the step moves the target itself: leave target_every at 1.")

    def make_replay(self, capacity: int) -> RowByRow:
        return RowByRow(self.replay(capacity, self.obs_dim))

    def update(self, batch, rng=None) -> dict[str, Tensor]:
        self.begin_update()
        functions = functions_for(self, self.dqn_update)
        return {"loss": self.dqn_update(self, batch, **functions)}


class RowByRow:
    """Adds what several environments did at once to a buffer that takes one transition at a time."""

    def __init__(self, buffer: Any):
        self.buffer = buffer

    def __len__(self) -> int:
        return len(self.buffer)

    def extend(self, *columns) -> None:
        """obs (n, obs_dim), action (n,), reward (n,), next_obs (n, obs_dim), terminated (n,)."""
        for row in zip(*columns, strict=True):
            self.buffer.add(*row)

    def sample(self, batch_size: int, rng) -> Batch:
        return self.buffer.sample(batch_size, rng)
