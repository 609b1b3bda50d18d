"""Lesson 08: Deep Q-networks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn
from torch.nn.functional import huber_loss, mse_loss, one_hot, smooth_l1_loss
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from rlcourse.checker.comparing import describe, difference, same
from rlcourse.checker.declaration import (
    Exercise,
    Lesson,
    Mistake,
    anything,
    boolean,
    composable,
    loss_value,
    number,
    several,
    tensor,
)
from rlcourse.checker.harness import Case
from rlcourse.checker.material import attached_too, random_env
from rlcourse.checker.networks import (
    ATOL,
    RTOL,
    AgentState,
    Network,
    Optimizer,
    experiences,
    network,
    transitions,
)
from rlcourse.checker.networks import tensor as recipe
from rlcourse.checker.plain import Tensor
from rlcourse.checker.probes import Env, Rng, Shown
from rlcourse.exercises.network_targets import (
    NOT_REDUCED,
    REDUCTIONS,
    networks_and_batch,
    target_mistakes,
    td_target,
)
from rlcourse.lab import replay
from rlcourse.lab.networks import polyak_update as polyak
from rlcourse.values import dqn, primer

# --------------------------------------------------------------------------------- training_step


def _fit_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, *tags: str, kind="sgd", lr=0.1, n=1, rows=6, calls=2) -> Case:
        net = network(rng, "q", n, 1, hidden=4)
        x = [rng.normal(size=(rows, n)) for _ in range(calls)]
        y = [np.sin(2 * each[:, 0]) + 0.5 * rng.normal(size=rows) for each in x]
        state = AgentState({"net": net, "optimizer": Optimizer(["net"], lr, kind)})
        return Case(
            name, {"state": state, "x": [recipe(e) for e in x], "y": [recipe(e) for e in y]}, tags
        )

    return [
        case("one step of plain gradient descent", calls=1),
        case("two steps of plain gradient descent"),
        case("three numbers a row", n=3),
        case("one row", "B = 1", rows=1),
        case("two rows of two numbers", n=2, rows=2),
        case("gradient descent with momentum", "momentum", kind="momentum", calls=3),
        case("Adam", "momentum", kind="adam", lr=0.02, calls=3),
    ]


@composable
def _fit(
    *,
    paired: str = "rows",
    reduce: str = "mean",
    clear: str = "before backward",
    step: str = "last",
    backward: bool = True,
    uphill: bool = False,
    returns: str = "before",
) -> Callable:
    """One step of training with its parts exchangeable; where a step and a clearing meet, the step is first."""

    def training_step(net, optimizer, x, y):
        def loss_now():
            p, label = net(x), y
            if paired == "labels in a column":
                label = y[:, None]
            p = p if paired == "predictions in a column" else p.squeeze(1)
            return REDUCTIONS[reduce]((p - label) ** 2)

        def now(moment):
            if step == moment:
                optimizer.step()
            if clear == moment:
                optimizer.zero_grad()

        now("first")
        now("second")
        loss = loss_now()
        now("before backward")
        if backward:
            (-loss if uphill else loss).backward()
        if clear == "too late":
            optimizer.zero_grad()
        now("last")
        return {"before": loss, "after": loss_now(), "negative": -loss}[returns].item()

    return training_step


def _fit_by(distance: Callable) -> Callable:
    """A right step with this distance between (B, 1) and (B,)."""

    def training_step(net, optimizer, x, y):
        optimizer.zero_grad(set_to_none=False)
        loss = distance(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return training_step


def _fit_by_autograd(net, optimizer, x, y):
    parameters = list(net.parameters())
    loss = mse_loss(net(x).flatten(), y)
    for p, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        p.grad = g
    optimizer.step()
    return loss.item()


training_step = Exercise(
    "training_step",
    reference=primer.training_step,
    cases=_fit_cases,
    returns=loss_value(),
    points=1,
    equation="(8.3)",
    call="fitting",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "gradients-pile-up",
            "The gradients of earlier calls are still there when the optimiser steps: `.grad` adds up until it is "
            "cleared.",
            "Clear them in the same call, before `backward`; somebody else's may be lying there.",
            _fit(clear="never"),
            _fit(clear="last"),
        ),
        Mistake(
            "b-by-b",
            "A column (B, 1) met a row (B,), and broadcasting paired every prediction with every label: look at the "
            "shapes.",
            "Print the shapes of the predictions, of y and of their difference. All three should be (B,).",
            _fit(paired="predictions in a column"),
            _fit(paired="labels in a column"),
        ),
        Mistake(
            "sum",
            "You add up the squared errors. (8.3) is their mean: otherwise the step would grow with the batch.",
            "What happens to your loss when every row of the batch comes twice?",
            _fit(reduce="sum"),
        ),
        Mistake(
            "step-before-backward",
            "The optimiser steps before `backward` has written this batch's gradient. It uses what `.grad` holds now: "
            "something old, or nothing. (And once the loss is computed, a step changes weights in place that "
            "`backward` still needs; PyTorch says so.)",
            "Write the four moments below each other: loss, clear, backward, step. Which of them needs what another "
            "one makes?",
            _fit(step="before backward"),
            _fit(step="before backward", clear="last"),
            _fit(step="before backward", clear="never"),
            _fit(step="first"),
            _fit(step="first", clear="first"),
            _fit(step="first", clear="never"),
            _fit(step="second", clear="first"),
            _fit(step="before backward", clear="first"),
            _fit(backward=False),
            _fit(backward=False, clear="never"),
        ),
        Mistake(
            "clears-too-late",
            "You clear the gradients between `backward` and the optimiser's step: what was about to be used is gone, "
            "and no weight moves.",
            "What does `.grad` hold at the moment when the optimiser steps?",
            _fit(clear="too late"),
        ),
        Mistake(
            "never-steps",
            "No weight has moved: `backward` only computes gradients, and nobody steps along them.",
            "Who changes the weights, and where do you call it?",
            _fit(step="never"),
        ),
        Mistake(
            "loss-after",
            "You return the loss of the new weights. The step went down *this* batch's loss as it was before: that is "
            "the one to report.",
            "How often do you compute the loss, and with which weights?",
            _fit(returns="after"),
        ),
        Mistake(
            "uphill",
            "Your weights move up the loss, or what you return is its negative. Optimisers minimise: they go down what "
            "`backward` was called on.",
            "Is there a minus sign that (8.3) does not have?",
            _fit(uphill=True),
            _fit(uphill=True, returns="negative"),
            _fit(returns="negative"),
        ),
    ],
    also_correct=[
        _fit(),
        _fit(clear="first"),
        _fit_by(lambda p, y: mse_loss(p.view(-1), y)),
        _fit_by(lambda p, y: ((p - y[:, None]) ** 2).mean()),
        _fit_by(lambda p, y: (p[:, 0] - y).pow(2).sum() / len(y)),
        _fit_by_autograd,
    ],
)

# ---------------------------------------------------------------------------------- ReplayBuffer


def _memory_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, capacity, obs_dim, rows, sample_at, batch_size, *tags: str) -> Case:
        inputs = {"capacity": capacity, "obs_dim": obs_dim, "rows": rows, "sample_at": sample_at}
        inputs |= {"batch_size": batch_size, "seed": int(rng.integers(2**31))}
        return Case(name, inputs | {"rng": Rng(int(rng.integers(2**31)))}, tags)

    full, room = "when it is full", "before it is full"
    return [
        case("room for all", 40, 3, 12, [3, 12], 24, room),
        case("filled to the last slot", 6, 2, 6, [6], 32, full),
        case("one more than there is room for", 6, 2, 7, [7], 32, full),
        case("written over more than twice", 5, 3, 13, [2, 5, 6, 13], 24, full),
        case("large batches", 4, 1, 9, [4, 9], 200, full),
        case("batches of one", 8, 4, 11, [5, 8, 11], 1, "a batch of one"),
        case("room for one", 1, 2, 4, [1, 4], 5, full),
        case("drawn after the first transition", 10, 3, 3, [1, 2, 3], 8, room),
    ]


def _float32(columns) -> list:
    kinds = (torch.float32, torch.int64, *[torch.float32] * 3)
    return [torch.from_numpy(np.array(c)).to(k) for c, k in zip(columns, kinds, strict=True)]


def _list_memory(
    *,
    when_full: str = "overwrite",
    high: Callable[[int, int], int] = lambda stored, capacity: stored,
    keep: Callable = lambda obs, next_obs: (obs.copy(), next_obs.copy()),
    guarded: bool = True,
    give: Callable = lambda batch: batch,
    draw: Callable = lambda rng, high, n: rng.integers(high, size=n),
) -> type:
    """A memory that is a list of rows, with its parts exchangeable."""

    class ReplayBuffer:
        def __init__(self, capacity, obs_dim):
            self.capacity, self.n, self.rows = capacity, 0, []
            if when_full == "slide":
                self.rows = deque(maxlen=capacity)

        def __len__(self):
            return len(self.rows)

        def add(self, obs, action, reward, next_obs, terminated):
            obs, next_obs = keep(obs, next_obs)
            row = (obs, action, reward, next_obs, terminated)
            if len(self.rows) < self.capacity or when_full in ("grow", "slide"):
                self.rows.append(row)
            elif when_full == "overwrite":
                self.rows[self.n % self.capacity] = row
            self.n += 1

        def sample(self, batch_size, rng):
            if guarded and not self.rows:
                raise ValueError("empty")
            chosen = [self.rows[i] for i in draw(rng, high(len(self), self.capacity), batch_size)]
            return give(replay.Batch(*_float32(zip(*chosen, strict=True))))

    return ReplayBuffer


def _array_memory(
    *,
    high: Callable[[int, int], int] = lambda stored, capacity: stored,
    keep: Callable = lambda obs, next_obs: (obs, next_obs),
    guarded: bool = True,
    give: Callable = lambda batch: batch,
    stops: bool = False,
) -> type:
    """A memory of arrays, with its parts exchangeable."""

    class ReplayBuffer(replay.ReplayBuffer):
        def add(self, obs, action, reward, next_obs, terminated):
            if not (stops and self.added >= self.capacity):
                obs, next_obs = keep(obs, next_obs)
                super().add(obs, action, reward, next_obs, terminated)

        def sample(self, batch_size, rng):
            if guarded and not self.added:
                raise ValueError("empty")
            return give(self.rows(rng.integers(high(len(self), self.capacity), size=batch_size)))

    return ReplayBuffer


class _TensorMemory:
    """A memory of tensors, with slot and length kept by hand."""

    def __init__(self, capacity, obs_dim):
        self.obs, self.next_obs = torch.zeros(capacity, obs_dim), torch.zeros(capacity, obs_dim)
        self.action = torch.zeros(capacity, dtype=torch.long)
        self.reward, self.terminated = torch.zeros(capacity), torch.zeros(capacity)
        self.slot, self.size = 0, 0

    def __len__(self):
        return self.size

    def add(self, obs, action, reward, next_obs, terminated):
        self.obs[self.slot] = torch.as_tensor(obs)
        self.next_obs[self.slot] = torch.as_tensor(next_obs)
        self.action[self.slot], self.reward[self.slot] = action, reward
        self.terminated[self.slot] = float(terminated)
        self.slot = (self.slot + 1) % len(self.obs)
        self.size = min(self.size + 1, len(self.obs))

    def sample(self, batch_size, rng):
        if len(self) == 0:
            raise ValueError("Nothing has been stored.")
        i = torch.from_numpy(rng.integers(len(self), size=batch_size))
        columns = (self.obs, self.action, self.reward, self.next_obs, self.terminated)
        return replay.Batch(*(column[i] for column in columns))


def _both(**parts) -> list[type]:
    """A mistake made with a list and with arrays, with and without a guard for the empty memory."""
    return [
        make(**parts, guarded=guarded)
        for make in (_list_memory, _array_memory)
        for guarded in (True, False)
    ]


def _cast(**dtypes: torch.dtype) -> Callable:
    def give(batch):
        return batch._replace(**{k: getattr(batch, k).to(dtype) for k, dtype in dtypes.items()})

    return give


_DOUBLE = dict.fromkeys(("obs", "reward", "next_obs", "terminated"), torch.float64)
_DTYPES = dict.fromkeys(replay.Batch._fields, "torch.float32") | {"action": "torch.int64"}

_close = partial(same, rtol=RTOL, atol=ATOL)


def _as_remembered(case: Case, answer: dict, mistake: dict) -> bool:
    """Whether a mistake explains a memory: one that is made beside a wrong dtype, too, or a wrong error."""
    extras = {"dtypes": _DTYPES, "empty": "ValueError"}
    return all(
        _close(answer[key], mistake[key])
        if key not in extras
        else mistake[key] == extras[key] or answer[key] != extras[key]
        for key in mistake
    )


def _row(batch: dict, i: int) -> tuple:
    return tuple(batch[field].data[i] for field in replay.Batch._fields)


def _draws_unwritten_rows(cases, outcomes) -> bool:
    """Slots below `capacity` were drawn, and whatever lay there was handed out (zeros, NaN, rubbish)."""
    unwritten = 0
    for case, outcome in zip(cases, outcomes, strict=False):
        given, report = case.inputs, outcome.value
        if report is None or any(_malformed(batch, given) for batch in report["batches"]):
            return False
        rows = experiences(given["seed"], given["rows"], given["obs_dim"])
        rng = np.random.default_rng(given["rng"].seed)
        for n, batch in zip(given["sample_at"], report["batches"], strict=True):
            slots = rng.integers(given["capacity"], size=given["batch_size"])
            for i, slot in enumerate(slots):
                if slot >= n:
                    unwritten += 1
                    continue
                newest = slot + (n - 1 - slot) // given["capacity"] * given["capacity"]
                if not _close(_row(batch, i), tuple(rows[newest])):
                    return False
    return unwritten > 0


def _malformed(batch: dict, given: dict) -> str:
    """What is no tensor in a drawn batch, or has the wrong shape."""
    for field, column in batch.items():
        wide = (given["obs_dim"],) if field in ("obs", "next_obs") else ()
        shape = (given["batch_size"], *wide)
        if column is None:
            return f"The batch has no field `{field}`."
        if not isinstance(column, Tensor) or column.data.shape != shape:
            return f"`{field}` of a batch should be a tensor of shape {shape}; it is {describe(column)}."
        if column.requires_grad:
            return f"`{field}` of a batch wants a gradient; it is data."
    return ""


def _told_of_memory(case: Case, answer: dict, right: dict) -> str:
    """Of the first batch that is wrong: its form, its columns, or which transitions it holds."""
    given = case.inputs
    rows = [tuple(x) for x in experiences(given["seed"], given["rows"], given["obs_dim"])]
    for n, mine, theirs in zip(
        given["sample_at"], answer["batches"], right["batches"], strict=True
    ):
        malformed = _malformed(mine, given)
        if malformed:
            return malformed
        if _close(mine, theirs) or not _close(answer["lengths"], right["lengths"]):
            continue
        drawn = [_row(mine, i) for i in range(given["batch_size"])]
        kept = rows[max(0, n - given["capacity"]) : n]
        if all(any(_close(row, x) for x in kept) for row in drawn):
            return (
                "Every row you draw is one that should be in memory, but it comes from another slot. "
                "Either the slots are not those that `rng.integers(len(self), size=batch_size)` draws, "
                "or not every transition is in its own slot, n mod `capacity`."
            )
        if all(any(_close(row, x) for x in rows[:n]) for row in drawn):
            return "You still draw transitions that should have been overwritten."
        wrong = [f"`{field}`" for field in mine if not _close(mine[field], theirs[field])]
        if len(wrong) < len(mine) and not {"`obs`", "`next_obs`", "`reward`"} <= set(wrong):
            verb = "is" if len(wrong) == 1 else "are"
            return (
                f"The right rows are drawn, but {' and '.join(wrong)} {verb} not what was put in."
            )
        return "You draw rows that were never put in."
    return difference(ReplayBuffer, case, answer, right)


ReplayBuffer = Exercise(
    "ReplayBuffer",
    reference=replay.ReplayBuffer,
    cases=_memory_cases,
    returns=anything(),
    points=3,
    equation="(8.2)",
    call="remembering",
    notes=["rng"],
    rtol=RTOL,
    atol=ATOL,
    alike=_as_remembered,
    tells=_told_of_memory,
    mistakes=[
        Mistake(
            "forgets-the-overwrite",
            "When your memory is full it stops storing, or it goes on growing. The newest transition "
            "replaces the oldest: the n-th one (from 0) belongs into slot n mod `capacity`.",
            "Add seven transitions to a memory for three. What is its length, and what is in it?",
            _list_memory(when_full="stop"),
            _list_memory(when_full="grow"),
            _array_memory(stops=True),
        ),
        Mistake(
            "unwritten-rows",
            "You draw slots below `capacity`. Until the memory is full that includes rows that were "
            "never written: you would train on zeros that never happened.",
            "How many rows hold a transition after the third `add`? Draw below that number.",
            *_both(high=lambda stored, capacity: capacity),
            shows=_draws_unwritten_rows,
        ),
        Mistake(
            "newest-never-drawn",
            "Your draw leaves out the last slot that was written: `rng.integers(n)` already leaves out "
            "its upper end.",
            "Which numbers can `rng.integers(3)` return?",
            *_both(high=lambda stored, capacity: stored - 1),
            *_both(high=lambda stored, capacity: max(stored - 1, 1)),
        ),
        Mistake(
            "next-is-obs",
            "The same observation is stored twice: in every row of your batches s′ equals s, so "
            "nothing ever happens in this world.",
            "Follow `next_obs` through `add`, and both columns through `sample`.",
            *_both(keep=lambda obs, next_obs: (obs.copy(), obs.copy())),
            *_both(keep=lambda obs, next_obs: (next_obs.copy(), next_obs.copy())),
        ),
        Mistake(
            "keeps-references",
            "You keep the caller's own arrays. The caller used them again, and your memory changed "
            "with them: all rows now hold the latest observation.",
            "Store the numbers, not the array: copy it, or write it into an array that you own.",
            _list_memory(keep=lambda obs, next_obs: (obs, next_obs)),
            _list_memory(keep=lambda obs, next_obs: (obs.copy(), next_obs)),
            _list_memory(keep=lambda obs, next_obs: (obs, next_obs.copy())),
        ),
        Mistake(
            "wrong-dtype",
            "The numbers are right, but a column of your batch has the wrong dtype: `gather` needs int64 "
            "actions, and the networks want float32 for everything else.",
            "Print `batch.action.dtype` and its four neighbours. NumPy's arrays are float64 unless you say "
            "otherwise.",
            *[
                _list_memory(give=_cast(**dtypes))
                for dtypes in (_DOUBLE, {"action": torch.float32}, {"terminated": torch.bool})
            ],
        ),
        Mistake(
            "sliding-window",
            "Your memory is a queue: when it is full everything moves up by one place. It holds the right "
            "transitions, but here each one keeps its slot, n mod `capacity`, until it is overwritten.",
            "Write over the oldest row instead of throwing it out at the front. It is faster, too.",
            _list_memory(when_full="slide"),
        ),
    ],
    also_correct=[
        _list_memory(),
        _list_memory(draw=lambda rng, high, n: rng.choice(high, size=n)),
        _array_memory(),
        _TensorMemory,
    ],
)

# ------------------------------------------------------------------------------------- play_step


def _play_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name: str, world: Env, *tags: str, epsilon=0.4, obs_dim=3, calls=10, ties=False
    ) -> Case:
        n_states, n_actions = world.R.shape
        net = network(rng, "q", obs_dim, n_actions)
        if ties:
            first, bias, last, shift = net.weights
            net = Network("q", [first, bias, 0 * last + last[:1], 0 * shift + shift[:1]])
        agent = AgentState({"q_net": net, "epsilon": epsilon})
        rows = rng.normal(size=(n_states, obs_dim)).astype(np.float32)
        inputs = {"env": Shown(world, rows), "agent": agent, "calls": calls}
        return Case(name, inputs | {"rng": Rng(int(rng.integers(2**31)))}, tags)

    def corridor(*, falls: bool, limit: int | None = None, n_actions=3) -> Env:
        """From 0 to 3, one further at every step; falls: the step to 3 is terminal."""
        P = np.zeros((4, n_actions, 4))
        P[np.arange(4), :, np.minimum(np.arange(4) + 1, 3)] = 1.0
        ends = np.zeros((4, n_actions))
        ends[2:] = falls
        start = np.array([1.0, 0, 0, 0])
        return Env(P, 2 * rng.normal(size=(4, n_actions)), ends, start, limit, 0, noise=0.5)

    over, cut = "an episode ends", "a time limit"
    return [
        case("one step in the middle of an episode", random_env(rng, 6, 4), calls=1, epsilon=0.0),
        case("no end in sight", random_env(rng, 6, 4), epsilon=0.5),
        case("episodes that terminate", corridor(falls=True), over),
        case("episodes that are cut off", corridor(falls=False, limit=3), over, cut),
        case("both flags at once", corridor(falls=True, limit=3), over, cut),
        case("greedy, ε = 0", random_env(rng, 6, 3, ends=0.2, limit=4), over, "ε = 0", epsilon=0.0),
        case("random, ε = 1", random_env(rng, 6, 3, ends=0.2, limit=4), over, "ε = 1", epsilon=1.0),
        case("all actions tie", random_env(rng, 5, 3, limit=5), over, epsilon=0.2, ties=True),
        case("episodes of one step", random_env(rng, 4, 2, limit=1), over, cut, obs_dim=1),
        case("some of everything", random_env(rng, 7, 4, ends=0.3, limit=6), over, calls=24),
    ]


def _greedy_action(agent) -> int:
    with torch.no_grad():
        return int(agent.q_net(torch.from_numpy(agent.obs)[None]).argmax())


def _chosen(how: str, env, agent, rng) -> int:
    n = env.action_space.n
    if how in ("always greedy", "always random"):
        return _greedy_action(agent) if how == "always greedy" else int(rng.integers(n))
    drawn = int(rng.integers(n)) if how == "action first" else None
    coin = rng.random()
    if how == "action last":
        drawn = int(rng.integers(n))
    explores = {"swapped": coin >= agent.epsilon, "coin unused": False, "coin lost": True}.get(
        how, coin < agent.epsilon
    )
    if not explores:
        return _greedy_action(agent)
    if how == "from the space":
        return int(env.action_space.sample())
    return int(rng.integers(n)) if drawn is None else drawn


@composable
def _play(
    *,
    chooses: str = "coin first",
    order: str = "store, move",
    second: str = "next",
    ends: str = "terminated",
    resets_on: str = "either",
    seed: int | None = None,
    goes_on: str = "yes",
    tells: str = "either",
) -> Callable:
    """One interaction with its parts exchangeable.

    order: "store, move", "move, store" or "reset, store"; second: what is stored for s′; ends: for d;
    goes_on: "yes", "never", "at ends" (only), "not to the start".
    """

    def play_step(env, agent, buffer, rng):
        action = _chosen(chooses, env, agent, rng)
        obs = agent.obs
        next_obs, reward, terminated, truncated, _ = env.step(action)
        over = terminated or truncated
        flags = {"either": over, "terminated": terminated, "truncated": truncated}
        flags |= {"never": False, "both": terminated and truncated, "alive": not terminated}

        def shown(now):
            if not flags[resets_on]:
                return now
            start = env.reset()[0] if seed is None else env.reset(seed=seed)[0]
            return now if goes_on == "not to the start" else start

        if order == "reset, store":
            next_obs = shown(next_obs)
        elif order == "move, store":
            obs = next_obs
        elif order == "move, reset, store":
            obs = after = shown(next_obs)
        stored = obs if second == "obs" else next_obs
        buffer.add(obs, action, reward, stored, flags[ends])
        if order == "reset, store":
            after = next_obs
        elif order != "move, reset, store":
            after = shown(next_obs)
        if goes_on in ("yes", "not to the start") or (goes_on == "at ends" and over):
            agent.obs = after
        return reward, flags[tells]

    return play_step


def _play_at_length(env, agent, buffer, rng):
    q = agent.q_net(torch.as_tensor(agent.obs).unsqueeze(0))[0].detach().numpy()
    explore = rng.random() < agent.epsilon
    a = int(rng.integers(0, env.action_space.n)) if explore else int(np.argmax(q))
    transition = (agent.obs, a, *env.step(a))
    s, a, s_next, r, terminated, truncated, _ = transition
    buffer.add(s, a, r, s_next, terminated)
    if terminated or truncated:
        s_next, _ = env.reset()
    agent.obs = s_next
    return float(r), terminated | truncated


_PLAYED = {
    "obs": "s, the observation in which the action was chosen,",
    "action": "the action",
    "reward": "the reward",
    "next_obs": "s′",
    "terminated": "d",
}


def _told_of_play(case: Case, answer: dict, right: dict) -> str:
    """The first thing that differs: what was stored, in which step, what the agent sees, what is returned."""
    if not _close(answer["added"], right["added"]):
        return "`buffer.add` is not called once in every step."
    length = len(right["added"])
    for i in range(length):
        wrong = [
            words
            for field, words in _PLAYED.items()
            if not _close(answer["stored"][field][i], right["stored"][field][i])
        ]
        if wrong:
            verb = "is" if len(wrong) == 1 else "are"
            return f"In step {i + 1} of {length}, {' and '.join(wrong)} {verb} not what should be stored."
        if not _close(answer["returned"][i], right["returned"][i]):
            return f"In step {i + 1} of {length}, what you return is not the reward and whether the episode is over."
        if not _close(answer["shown"][i], right["shown"][i]):
            return f"After step {i + 1} of {length}, `agent.obs` is not what the environment shows."
    return "Nothing is trained here, and yet `q_net` has other weights than before, or a gradient."


play_step = Exercise(
    "play_step",
    reference=dqn.play_step,
    cases=_play_cases,
    returns=several(reward=number(), over=boolean()),
    points=3,
    equation="(8.6)",
    call="playing",
    notes=["rng", "resets", "steps"],
    rtol=RTOL,
    atol=ATOL,
    tells=_told_of_play,
    mistakes=[
        Mistake(
            "reset-as-next",
            "Your last transition of an episode leads to the next episode's start: you reset first, and stored the "
            "fresh observation as s′. The episode did not end where the next one begins.",
            "Which observation came back from `step` when the episode ended? Is that the one in the memory?",
            _play(order="reset, store"),
        ),
        Mistake(
            "stores-done",
            "You store as d whether the episode is over for *any* reason. At a time limit the world goes on: the label "
            "must bootstrap there.",
            "What is d in (8.5), and which of the two flags is that?",
            _play(ends="either"),
            _play(ends="truncated"),
        ),
        Mistake(
            "stores-alive",
            "You store 1 − d: whether the world goes on. The memory holds d itself.",
            "What should be stored in the middle of an episode, 0 or 1?",
            _play(ends="alive"),
        ),
        Mistake(
            "next-is-obs",
            "Wherever the episode goes on, the s and the s′ that you store are one and the same observation: nothing "
            "ever happens in that memory. s is where the action was chosen, s′ what `step` returned.",
            "When do you store, and when does `agent.obs` move on?",
            _play(order="move, store"),
            _play(order="move, reset, store"),
            _play(second="obs"),
        ),
        Mistake(
            "stale-obs",
            "After your function `agent.obs` is not what the environment shows: the next action is chosen for a state "
            "that you have left.",
            "Print `agent.obs` before and after a step, and over the end of an episode.",
            _play(goes_on="never"),
            _play(goes_on="at ends"),
            _play(goes_on="not to the start"),
        ),
        Mistake(
            "no-reset",
            "Your function goes on stepping in an episode that has ended. Each of the two flags ends it: then the "
            "environment has to be reset.",
            "Under which conditions do you reset? What if only one of the flags is set?",
            _play(resets_on="never"),
            _play(resets_on="terminated"),
            _play(resets_on="truncated"),
            _play(resets_on="both"),
        ),
        Mistake(
            "reset-with-seed",
            "You give `reset` a seed every time: you play one and the same episode over and over.",
            "Who seeds an environment, and how often?",
            _play(seed=0),
        ),
        Mistake(
            "epsilon-swapped",
            "ε and 1 − ε have changed places: you are greedy with probability ε. A small ε means mostly greedy.",
            "What should your function do for ε = 0?",
            _play(chooses="swapped"),
        ),
        Mistake(
            "always-greedy",
            "You never explore: ε is not used. What is never tried is never learnt.",
            "What should your function do for ε = 1?",
            _play(chooses="always greedy"),
            _play(chooses="coin unused"),
        ),
        Mistake(
            "always-random",
            "You never ask the network: every action is a random one.",
            "What should your function do for ε = 0?",
            _play(chooses="always random"),
            _play(chooses="coin lost"),
        ),
        Mistake(
            "samples-the-space",
            "You have the environment's action space draw the action. It has a generator of its own, and nobody could "
            "repeat your run from `rng`.",
            "The task says which numbers are to be drawn from `rng`, and how.",
            _play(chooses="from the space"),
        ),
        Mistake(
            "draws-otherwise",
            "You draw a random action also where none is needed, so that all later numbers from `rng` are other ones. "
            "First the coin; an action only if the coin says so.",
            "How many numbers does your function draw from `rng` in a greedy step?",
            _play(chooses="action first"),
            _play(chooses="action last"),
        ),
        Mistake(
            "over-is-terminated",
            "You return `terminated` for `over`. An episode that was cut off is over as well.",
            "What does your function return at a time limit?",
            _play(tells="terminated"),
        ),
    ],
    also_correct=[
        _play(),
        _play_at_length,
    ],
)

# -------------------------------------------------------------------------------------- dqn_loss

TERMINAL = (
    "You bootstrap from a state that ended the episode. After a terminal state nothing is left to "
    "come: its value is 0, whatever the network says there."
)
MASK = "What does $(1-d)$ multiply, and is it there in your code?".replace("$", "")

# What is asked of the values of all actions in s′.
_BEST: dict[str, Callable] = {
    "max": lambda q: q.max(dim=1).values,
    "argmax": lambda q: q.argmax(dim=1),
    "mean": lambda q: q.mean(dim=1),
    "min": lambda q: q.min(dim=1).values,
    "first": lambda q: q[:, 0],
    "max over the batch": lambda q: q.max(dim=0).values,
    "max of all": lambda q: q.max(),
    "column": lambda q: q.amax(dim=1, keepdim=True),
}
_COLUMNS: dict[str, Callable] = {"row": lambda x: x, "column": lambda x: x[:, None]}

NOT_THE_BEST = (
    "You do not take the best action's value in s′, but the mean, the least, or that of the first action. Q-learning "
    "looks ahead to a greedy policy.",
    "What stands before Q in (8.5)?",
)


def _loss_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, n: int, *tags: str, gamma=0.9, **more) -> Case:
        return Case(name, networks_and_batch(rng, n, **more) | {"gamma": gamma}, tags)

    return [
        case("a batch of eight", 8),
        case("large errors", 8, "errors beyond 1", scale=20.0),
        case("errors near 1", 12, "errors beyond 1", scale=1.5),
        case("small errors", 6, scale=0.05, gamma=0.1),
        case("as many rows as actions", 4, "B = A"),
        case("one row", 1, "B = 1", terminated=[0]),
        case("one row, and it terminates", 1, "B = 1", "terminated rows", terminated=[1]),
        case("no row terminates", 6, terminated=[0] * 6, gamma=0.99),
        case("all rows terminate", 6, "terminated rows", terminated=[1] * 6),
        case("γ = 0", 5, "γ = 0", gamma=0.0),
        case("two actions", 5, n_actions=2),
        case("one action, and γ = 1", 4, "A = 1", "γ = 1", n_actions=1, gamma=1.0),
        case("all values negative", 5, lower=8.0),
    ]


# How far a prediction is from its label, row by row.
_DISTANCES: dict[str, Callable] = {
    "huber": lambda e: torch.where(e.abs() <= 1, e**2 / 2, e.abs() - 0.5),
    "square": lambda e: e**2,
    "half square": lambda e: e**2 / 2,
    "absolute": lambda e: e.abs(),
    "huber of a tenth": lambda e: smooth_l1_loss(e, 0 * e, beta=0.1, reduction="none"),
    "signed": lambda e: e,
}
_PREDICTIONS: dict[str, Callable] = {
    "taken": lambda q, action: q[torch.arange(len(q)), action],
    "greedy": lambda q, action: q.max(dim=1).values,
    "mean": lambda q, action: q.mean(dim=1),
    "column": lambda q, action: q.gather(1, action[:, None]),
    "every row": lambda q, action: q[:, action],
    "every row, turned": lambda q, action: q[:, action].T,
    "every row, averaged": lambda q, action: q[:, action].mean(dim=1),
}


@composable
def _loss(
    *,
    predicts: str = "q_net",
    labels: str = "target_net",
    next_obs: str = "next_obs",
    detach: bool = True,
    best: str = "max",
    mask: str = "next",
    discount: str = "next",
    reward: str = "row",
    ends: str = "row",
    label: str = "row",
    pick: str = "taken",
    distance: str = "huber",
    reduce: str = "mean",
) -> Callable:
    """The loss with its parts exchangeable.

    labels: which network makes them, or "double" (the online one chooses) and "double reversed" (it judges).
    """

    def dqn_loss(q_net, target_net, batch, gamma):
        nets = {"q_net": q_net, "target_net": target_net}
        obs = getattr(batch, next_obs)
        if labels in nets:
            value = _BEST[best](nets[labels](obs))
        else:
            chooser, judge = (q_net, target_net)[:: 1 if labels == "double" else -1]
            value = judge(obs).gather(1, chooser(obs).argmax(dim=1, keepdim=True)).squeeze(1)
        r, d = _COLUMNS[reward](batch.reward), _COLUMNS[ends](batch.terminated)
        y = td_target(r, value, d, gamma, mask, discount)
        y = _COLUMNS[label](y.detach() if detach else y)
        error = _PREDICTIONS[pick](nets[predicts](batch.obs), batch.action) - y
        return REDUCTIONS[reduce](_DISTANCES[distance](error))

    return dqn_loss


_either = attached_too(_loss)


def _by_torch(distance: Callable, pick: Callable = _PREDICTIONS["taken"]) -> Callable:
    """A right loss, with a function of PyTorch's for the distance."""

    def dqn_loss(q_net, target_net, batch, gamma):
        y = dqn.dqn_target(batch.reward, target_net(batch.next_obs), batch.terminated, gamma)
        return distance(pick(q_net(batch.obs), batch.action), y.detach())

    return dqn_loss


def _labelled(label: Callable) -> Callable:
    """A right loss with labels of one's own, of r, the values of s′, d and γ."""

    def dqn_loss(q_net, target_net, batch, gamma):
        with torch.no_grad():
            y = label(batch.reward, target_net(batch.next_obs), batch.terminated, gamma)
        return huber_loss(_PREDICTIONS["taken"](q_net(batch.obs), batch.action), y)

    return dqn_loss


dqn_loss = Exercise(
    "dqn_loss",
    reference=dqn.dqn_loss,
    cases=_loss_cases,
    returns=tensor(),
    points=3,
    equation="(8.11)",
    parts=["dqn_target"],
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "target-gradient",
            "A gradient flows into the label. y is a label, not a prediction: it says where to go, and is "
            "not there to be moved.",
            "Which line makes the labels? Compute it where autograd does not look.",
            _loss(detach=False),
        ),
        Mistake(
            "online-target",
            "Your labels come from `q_net` itself. That is tail chasing: the label moves with every step "
            "of the network that should reach it.",
            "There are two networks among your arguments. What is each of them asked?",
            *_either(labels="q_net"),
        ),
        Mistake(
            "networks-exchanged",
            "The two networks have changed places: the slow copy predicts, and `q_net` makes the labels. It is `q_net` "
            "that learns.",
            "Which of the two networks should get a gradient?",
            *_either(predicts="target_net", labels="q_net"),
            *_either(predicts="target_net"),
        ),
        Mistake(
            "double-dqn",
            "One network chooses the next action, and the other one says what it is worth. That is double DQN, a "
            "later lesson's; in (8.11) the slow copy does both.",
            "How many networks does (8.5) ask about s′?",
            *_either(labels="double"),
            *_either(labels="double reversed"),
        ),
        Mistake(
            "labels-from-s",
            "Your labels look at s again. What is left to come after the step lies in s′.",
            "Which two of the five fields of the batch does the label need besides the reward?",
            *_either(next_obs="obs"),
        ),
        Mistake(
            "wrong-action",
            "You compare the label with the value of the best action in s, or with the mean of all of them. Only the "
            "action that was taken was tried out: its value is the one to correct.",
            "Which of the five fields of the batch is never used in your code?",
            *_either(pick="greedy"),
            *_either(pick="mean"),
        ),
        Mistake(
            "b-by-b",
            "A column (B, 1) met a row (B,), so every sample was paired with every other one of the batch, "
            "and the mean is over all pairs.",
            "Print the shapes of the predictions, of the labels and of what the labels are made of.",
            *_either(pick="column"),
            *_either(label="column"),
            *_either(best="column"),
            *_either(reward="column"),
            *_either(ends="column"),
            *_either(ends="column", best="column"),
            *_either(ends="column", reward="column"),
        ),
        Mistake(
            "every-action-in-every-row",
            "`q[:, action]` takes, in *every* row, the columns of *all* the actions. Row b has one action: the "
            "b-th.",
            "Print the shape of your predictions. It should be (B,).",
            *_either(pick="every row"),
            _loss(pick="every row, turned"),
            _loss(pick="every row, averaged"),
        ),
        Mistake(
            "squared-error",
            "This is a squared error. One outlier must not set the step: beyond an error of 1 the loss "
            "goes on as a straight line.",
            "Compare your loss with (8.10) for an error of 10.",
            *_either(distance="square"),
            *_either(distance="half square"),
        ),
        Mistake(
            "no-parabola",
            "Your loss is a straight line where (8.10) is a parabola: it is the absolute error, or turns into a line "
            "before the error is 1.",
            "Compare your loss with (8.10) for an error of ½.",
            *_either(distance="absolute"),
            _loss(distance="huber of a tenth"),
        ),
        Mistake(
            "signed-error",
            "You average the errors themselves. Errors of both signs cancel, and to go down this loss is to lower "
            "every prediction for ever.",
            "What is your loss when every prediction is far too low?",
            *_either(distance="signed"),
        ),
        *target_mistakes(
            _either,
            (TERMINAL, MASK),
            (
                "The next state's value enters your labels undiscounted. It lies one step ahead: it is worth γ of itself.",
                "Where is `gamma` used in your code?",
            ),
        ),
        Mistake(
            "max-over-batch",
            "The maximum in your labels runs over the batch. Each row wants its own: over the actions in *its* next "
            "state.",
            "Rows are transitions, columns are actions. Along which `dim` is the maximum of (8.5)?",
            *_either(best="max over the batch"),
            *_either(best="max of all"),
        ),
        Mistake(
            "argmax",
            "Your labels hold *which* action is best as if it were what that action is worth.",
            "`max(dim=1)` returns both, values and indices. Which of them did you take?",
            *_either(best="argmax"),
        ),
        Mistake("not-the-best", *NOT_THE_BEST, *(_loss(best=b) for b in ("mean", "min", "first"))),
        Mistake(
            "sum",
            "You add up the samples' losses. (8.11) is a mean: otherwise the step would grow with the batch.",
            "What happens to your loss when every row of the batch comes twice?",
            *_either(reduce="sum"),
        ),
        Mistake("not-averaged", *NOT_REDUCED, _loss(reduce="none")),
        Mistake(
            "blocked",
            "The value is right, but no gradient reaches `q_net`: the prediction is a mere number, too.",
            "Which lines stand inside your `torch.no_grad()` block, or behind a `detach()`?",
            torch.no_grad()(_loss()),
            lambda *given: _loss()(*given).detach(),
        ),
    ],
    also_correct=[
        _loss(),
        _by_torch(huber_loss),
        _by_torch(smooth_l1_loss, pick=lambda q, a: q.gather(1, a.view(-1, 1)).view(-1)),
        _by_torch(huber_loss, pick=lambda q, a: (q * one_hot(a, q.shape[1])).sum(dim=1)),
        _by_torch(lambda q, y: smooth_l1_loss(q[:, None], y[:, None])),
        _labelled(lambda r, q, d, g: torch.where(d.bool(), r, r + g * q.max(dim=1)[0])),
        _labelled(lambda r, q, d, g: r + g * (1 - d) * q.gather(1, q.argmax(1, keepdim=True)).squeeze(1)),
        _labelled(lambda r, q, d, g: r + g * (1 - d) * q.sort(1).values[:, -1]),
        _labelled(lambda r, q, d, g: torch.stack([r[i] if d[i] else r[i] + g * max(q[i]) for i in range(len(r))])),
    ],
)  # fmt: skip

# ----------------------------------------------------------------------------------- copy_factor


def _copy_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, kappa: float, eta: float, every: int, *tags: str) -> Case:
        return Case(name, {"kappa": kappa, "eta": eta, "every": every}, tags)

    few, still = int(rng.integers(3, 7)), "more than one step"
    runs = "κ above 1"
    return [
        case("a label that follows half-way", 0.5, 0.1, 4, still),
        case("a label that nearly keeps up", 0.9, 0.3, 5, still),
        case("any label and step", float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.1, 0.3)), few, still),
        case("a label that is always fresh, C = 1", 0.6, 0.25, 1, "C = 1"),
        case("a label that stands still for good, κ = 0", 0.0, 0.2, 6, still, "κ = 0"),
        case("one step all the way, κ = 0 and η = 1", 0.0, 1.0, 3, still, "η = 1"),
        case("steps all the way, η = 1", 0.7, 1.0, 4, still, "η = 1"),
        case("a very long wait", 0.8, 0.5, 200, still),
        case("a label that runs away", 1.2, 0.1, 8, still, runs),
        case("a label that runs away, always fresh", 1.5, 0.4, 1, "C = 1", runs),
        case("a label that runs far away", 3.0, 0.2, 2, still, runs),
    ]  # fmt: skip


_LEFT: dict[str, Callable] = {
    "right": lambda k, n, c: k + (1 - k) * (1 - n) ** c,
    "fresh": lambda k, n, c: (1 - n * (1 - k)) ** c,
    "distance": lambda k, n, c: (1 - n) ** c,
    "finished": lambda k, n, c: float(k),
    "linear": lambda k, n, c: 1 - n * c * (1 - k),
    "linear, with floor": lambda k, n, c: max(0.0, 1 - n * c * (1 - k)),
    "linear gap": lambda k, n, c: k + (1 - k) * (1 - n * c),
    "no share": lambda k, n, c: k + (1 - n) ** c,
    "every step": lambda k, n, c: k**c,
    "shares exchanged": lambda k, n, c: (1 - k) + k * (1 - n) ** c,
    "product": lambda k, n, c: k * (1 - n) ** c,
}
_A_STEP: dict[str, Callable] = {
    "root": lambda f, c: f ** (1 / c),
    "root by NumPy": lambda f, c: float(np.power(f, 1 / c)),
    "share": lambda f, c: f / c,
    "the same": lambda f, c: f,
}


@composable
def _copied(factor: str = "right", per_step: str = "root", order: int = 1) -> Callable:
    """The two numbers with their parts exchangeable."""

    def copy_factor(kappa, eta, every):
        f = _LEFT[factor](kappa, eta, every)
        return (f, _A_STEP[per_step](f, every))[::order]

    return copy_factor


def _both_roots(*factors: str) -> list[Callable]:
    """Of a negative number Python's root is complex, NumPy's no number."""
    return [_copied(factor=f, per_step=how) for f in factors for how in ("root", "root by NumPy")]


def _copied_by_steps(kappa, eta, every):
    error = at = 1.0
    label = kappa * error
    for _ in range(every):
        at += eta * (label - at)
    return at / error, (at / error) ** (1 / every)


copy_factor = Exercise(
    "copy_factor",
    reference=dqn.copy_factor,
    cases=_copy_cases,
    returns=several(factor=number(), per_step=number()),
    points=2,
    equation="(8.12)",
    mistakes=[
        Mistake(
            "fresh-label",
            "You let the label follow at every step. Between two copies it does not move: it was computed once, from "
            "the p at the beginning.",
            "Write down y and p after the first step, and after the second. Which of the two has changed?",
            _copied(factor="fresh"),
        ),
        Mistake(
            "label-for-goal",
            "Your factor is what is left of the distance from p to the *label*. The error is the distance to p*, where "
            "prediction and label agree.",
            "How far is the label itself from p*, measured by the first error?",
            _copied(factor="distance"),
        ),
        Mistake(
            "regression-finished",
            "Your factor is where the label lies: as if p came all the way to it. C steps leave a part of the way.",
            "What should come out for a very small η?",
            _copied(factor="finished"),
        ),
        Mistake(
            "linear",
            "You take the same *amount* off at every step. Each step goes a share η of what is *left* of the way to "
            "the label: the gap shrinks by a factor.",
            "Let the label be 0 and η be ½. Where is p after one step, and after two?",
            *_both_roots("linear", "linear, with floor", "linear gap"),
        ),
        Mistake(
            "forgets-the-rest",
            "You count the whole first error as the gap between p and its label. The label lies at κ of that error: "
            "only the rest is between them.",
            "What should come out before the first step, for C = 0?",
            _copied(factor="no share"),
        ),
        Mistake(
            "label-every-step",
            "κ enters as often as there are steps. The label is computed once in C steps.",
            "How often does κ enter, if there is one copy?",
            _copied(factor="every step"),
        ),
        Mistake(
            "shares-exchanged",
            "κ and 1 − κ have changed places: the label lies at κ of the first error, and what shrinks is the gap "
            "between p and the label.",
            "What should come out for κ = 0, where the label is the goal?",
            _copied(factor="shares exchanged"),
        ),
        Mistake(
            "product",
            "You multiply the label's share by what is left of the gap. Two distances lie one behind the other: from "
            "p* to the label, and from the label to p.",
            "What should come out before the first step, for C = 0?",
            _copied(factor="product"),
        ),
        Mistake(
            "factor-over-c",
            "You divide the factor by C. C equal factors *multiply* to it.",
            "Which number, multiplied by itself, gives 0.64?",
            _copied(per_step="share"),
        ),
        Mistake(
            "not-per-step",
            "Your second number is the first once more. That is what C steps did together; asked for is one step's "
            "equal part of it.",
            "Which number, multiplied by itself, gives 0.64?",
            _copied(per_step="the same"),
        ),
        Mistake(
            "order-exchanged",
            "Your two numbers have changed places: first the factor of all C steps, then that of one.",
            "Read the first line of the function again.",
            _copied(order=-1),
        ),
    ],
    also_correct=[
        _copied(),
        _copied_by_steps,
        lambda k, n, c: (lambda f: (f, f ** (1 / c)))(1 - (1 - k) * (1 - (1 - n) ** c)),
        lambda k, n, c: (lambda f: (f, np.exp(np.log(f) / c) if f else 0.0))(k + (1 - k) * (1 - n) ** c),
    ],
)  # fmt: skip

# --------------------------------------------------------------------------------- polyak_update


def _polyak_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, rho: float, *tags: str, n_in: int = 3, n_out: int = 2) -> Case:
        nets = {k: network(rng, "q", n_in, n_out) for k in ("target", "online")}
        return Case(name, nets | {"rho": rho}, tags)

    return [
        case("ρ = 0.9", 0.9),
        case("ρ = 0, a copy", 0.0, "ρ = 0"),
        case("ρ = 1, nothing moves", 1.0, "ρ = 1"),
        case("ρ = ½", 0.5),
        case("ρ = 0.3", 0.3, n_in=2, n_out=1),
        case("any ρ", float(rng.uniform(0.6, 0.8)), n_in=1, n_out=3),
    ]


# What the slow parameter becomes: of p, the slow one, and o, the online one.
_MIXTURES: dict[str, Callable] = {
    "ρ p + (1 − ρ) o": lambda p, o, rho: rho * p + (1 - rho) * o,
    "(1 − ρ) p + ρ o": lambda p, o, rho: (1 - rho) * p + rho * o,
    "o": lambda p, o, rho: o,
    "p + (1 − ρ) o": lambda p, o, rho: p + (1 - rho) * o,
    "p + ρ o": lambda p, o, rho: p + rho * o,
    "ρ p + o": lambda p, o, rho: rho * p + o,
    "p + o": lambda p, o, rho: p + o,
    "ρ o": lambda p, o, rho: rho * o,
    "(1 − ρ) o": lambda p, o, rho: (1 - rho) * o,
    "(p + o) / 2": lambda p, o, rho: (p + o) / 2,
    "p − (1 − ρ)(o − p)": lambda p, o, rho: p - (1 - rho) * (o - p),
    "0.995 p + 0.005 o": lambda p, o, rho: 0.995 * p + 0.005 * o,
    "0.99 p + 0.01 o": lambda p, o, rho: 0.99 * p + 0.01 * o,
}


@composable
def _each(
    mixture: str = "ρ p + (1 − ρ) o",
    written: str = "copied",
    tracked: bool = False,
    moves: str = "target",
    which: str = "all",
) -> Callable:
    """A walk through the parameters of both networks together; which: "all", "weights" or "first" of them."""

    def polyak_update(target, online, rho):
        with torch.set_grad_enabled(tracked):
            pairs = list(zip(target.parameters(), online.parameters(), strict=True))
            if which == "weights":
                pairs = [pair for pair in pairs if pair[0].ndim > 1]
            for p, o in pairs[: 1 if which == "first" else None]:
                new = _MIXTURES[mixture](p, o, rho)
                goes_to = p if moves == "target" else o
                if written == "copied":
                    goes_to.copy_(new)
                elif written == "data":
                    goes_to.data = new.data
                # else to a name, which changes nothing

    return polyak_update


def _each_by(change: Callable) -> Callable:
    """The same walk, with a change in place of one's own."""

    def polyak_update(target, online, rho):
        with torch.no_grad():
            for p, o in zip(target.parameters(), online.parameters(), strict=True):
                change(p, o, rho)

    return polyak_update


def _rebinds(target, online, rho):
    for p, o in zip(target.parameters(), online.parameters(), strict=True):
        p = rho * p + (1 - rho) * o


def _new_parameters(target, online, rho):
    for mine, theirs in ((target.first, online.first), (target.last, online.last)):
        for name in ("weight", "bias"):
            mixed = rho * getattr(mine, name).data + (1 - rho) * getattr(theirs, name).data
            setattr(mine, name, nn.Parameter(mixed))


def _tracked(target, online, rho):
    for p, o in zip(target.parameters(), online.parameters(), strict=True):
        p.mul_(rho).add_((1 - rho) * o)


def _tracked_lerp(target, online, rho):
    for p, o in zip(target.parameters(), online.parameters(), strict=True):
        p.lerp_(o, 1 - rho)


def _alias(p, o, rho):
    p.data = o.data if rho == 0 else rho * p.data + (1 - rho) * o.data


def _alias_always(p, o, rho):
    old = p.data.clone()
    p.data = o.data
    p.data.mul_(1 - rho).add_(rho * old)


def _mixed_state(target, online, rho):
    theirs, ours = target.state_dict(), online.state_dict()
    target.load_state_dict({k: rho * theirs[k] + (1 - rho) * ours[k] for k in theirs})


polyak_update = Exercise(
    "polyak_update",
    reference=polyak,
    cases=_polyak_cases,
    returns=anything(),
    points=1,
    equation="(8.13)",
    call="updates",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "rho-reversed",
            "ρ and 1−ρ have changed places. ρ is the share that the target *keeps*: with ρ = 0.995 yours "
            "would jump to the online network at every update.",
            "What should happen for ρ = 1, and what for ρ = 0?",
            _each("(1 − ρ) p + ρ o"),
        ),
        Mistake(
            "rebinds",
            "The weights of the target network are still the old ones. Did you give a new tensor to a *name*, "
            "or hang new Parameters into the network? Whoever holds the old ones sees neither.",
            "Write the new numbers *into* the parameter: with a method that ends in an underscore.",
            _rebinds,
            torch.no_grad()(_rebinds),
            _each(written="to a name"),
            _new_parameters,
        ),
        Mistake(
            "tracked",
            "Autograd watches. It refuses to let a weight that wants gradients be changed in place, or "
            "records the change as part of the computation.",
            "Tell it to look away, as for the labels in 8.4.",
            _tracked,
            _each(tracked=True),
            _tracked_lerp,
        ),
        Mistake(
            "adds-only",
            "You add a share of the online weights, but do not shrink the old ones by ρ: the target grows "
            "with every update. The weights of an average add up to 1.",
            "What do you get from (8.13) if both networks are the same? And from your code?",
            _each("p + (1 − ρ) o"),
            _each("p + ρ o"),
            _each("p + o"),
        ),
        Mistake(
            "wrong-network",
            "You move the online network. The online one leads and learns from data; the target follows.",
            "Which of the two arguments stands on the left of the arrow in (8.13)?",
            _each("(1 − ρ) p + ρ o", moves="online"),
            _each(moves="online"),
        ),
        Mistake(
            "aliased",
            "The target's weights now lie in the same memory as the online network's: every step of one "
            "is a step of both, and there is no slow copy any more.",
            "Copy the numbers (`copy_`), not the tensor that holds them.",
            _each_by(_alias),
            _each_by(_alias_always),
            _each("o", written="data"),
        ),
        Mistake(
            "hard-copy",
            "You make the target equal to the online network, whatever ρ is. It is to keep the share ρ of itself, and "
            "follow slowly.",
            "Which argument of the function have you not used?",
            _each("o"),
        ),
        Mistake(
            "online-added-whole",
            "You shrink the target by ρ, but add the online weights whole. The weights of an average add up to 1.",
            "What do you get from (8.13) if both networks are the same? And from your code?",
            _each("ρ p + o"),
        ),
        Mistake(
            "target-thrown-away",
            "Nothing of the target is left: your new weights are a share of the online ones alone.",
            "How many networks stand on the right of the arrow in (8.13)?",
            _each("ρ o"),
            _each("(1 − ρ) o"),
        ),
        Mistake(
            "a-share-of-your-own",
            "The shares are numbers of your own: ½, or 0.995. They are ρ and 1 − ρ, for whatever ρ comes in.",
            "Which argument of the function have you not used?",
            _each("(p + o) / 2"),
            _each("0.995 p + 0.005 o"),
            _each("0.99 p + 0.01 o"),
        ),
        Mistake(
            "runs-away",
            "The target moves *away* from the online network: a sign is wrong.",
            "Let the target be 0 and the online weight 1. Where should the target go?",
            _each("p − (1 − ρ)(o − p)"),
        ),
        Mistake(
            "some-weights-only",
            "Some of the target's parameters have stayed where they were: only the matrices moved, or only the first "
            "parameter of all.",
            "How many tensors does `target.parameters()` give, and how many have you changed?",
            _each(which="weights"),
            _each(which="first"),
        ),
    ],
    also_correct=[
        _each(),
        _each(written="data"),
        _each_by(lambda p, o, rho: p.add_((1 - rho) * (o - p))),
        _mixed_state,
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------------ dqn_update


def _update_cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, *tags: str, rho=0.8, clip=0.2, gamma=0.9, calls=3, n=6, scale=3.0) -> Case:
        parts = {k: network(rng, "q", 3, 4) for k in ("q_net", "target_net")}
        parts |= {"optimizer": Optimizer(["q_net"], 0.5), "gamma": gamma}
        parts |= {"rho": rho, "max_grad_norm": clip}
        batches = [transitions(rng, n, 3, n_actions=4, scale=scale) for _ in range(calls)]
        return Case(name, {"agent_state": AgentState(parts), "batch": batches}, tags)

    return [
        # One update comes first: most mistakes show there, and it costs least.
        case("one update", calls=1),
        case("two updates with clipping", calls=2),
        case("short gradients", "no clipping needed", clip=50.0, calls=1),
        case("a hard target, ρ = 0", rho=0.0, calls=2),
        case("a target that stands still, ρ = 1", rho=1.0, calls=2),
        case("γ = 0", gamma=0.0, rho=0.6, calls=1),
        case("batches of one", n=1, clip=0.5, calls=2),
    ]


def _clip_by_tensor(parameters, c):
    for p in parameters:
        clip_grad_norm_([p], c)


def _clip_by_hand(parameters, c):
    parameters = list(parameters)
    norm = torch.sqrt(sum((p.grad**2).sum() for p in parameters))
    for p in parameters:
        p.grad.mul_(min(1.0, c / (norm.item() + 1e-6)))


_CLIPS: dict[str, Callable] = {
    "norm": clip_grad_norm_,
    "none": lambda parameters, c: None,
    "value": clip_grad_value_,
    "each tensor": _clip_by_tensor,
    "norm of 1": lambda parameters, c: clip_grad_norm_(parameters, 1.0),
    "by hand": _clip_by_hand,
}


@composable
def _update(
    *,
    clear: str = "first",
    clip: str = "norm",
    clip_when: str = "before the step",
    uphill: bool = False,
    steps: bool = True,
    follow: str = "last",
    keep: str = "rho",
    moves: str = "target",
    labels: str = "target_net",
    detach: bool = True,
    mask: str = "next",
    discount: str = "next",
    pick: str = "taken",
    label: str = "row",
    distance: str = "huber",
    reduce: str = "mean",
) -> Callable:
    """The whole step with its parts exchangeable; from `labels` on: the loss's own parts, as in `_loss`."""
    loss_of = _loss(
        labels=labels, detach=detach, mask=mask, discount=discount, pick=pick, label=label,
        distance=distance, reduce=reduce,
    )  # fmt: skip

    def dqn_update(agent_state, batch):
        me: SimpleNamespace = agent_state

        def now(moment):
            if clear == moment:
                me.optimizer.zero_grad()
            if clip_when == moment:
                _CLIPS[clip](me.q_net.parameters(), me.max_grad_norm)
            if follow == moment:
                nets = (me.target_net, me.q_net) if moves == "target" else (me.q_net, me.target_net)
                polyak(*nets, {"rho": me.rho, "1 - rho": 1 - me.rho, "nothing": 0.0}[keep])

        now("at the start")
        loss = loss_of(me.q_net, me.target_net, batch, me.gamma)
        now("first")
        (-loss if uphill else loss).backward()
        now("before the step")
        if steps:
            me.optimizer.step()
        now("last")
        return loss.item()

    return dqn_update


def _autograd_update(agent_state, batch):
    me = agent_state
    parameters = list(me.q_net.parameters())
    loss = dqn.dqn_loss(me.q_net, me.target_net, batch, me.gamma)
    for p, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        p.grad = g
    clip_grad_norm_(parameters, me.max_grad_norm)
    me.optimizer.step()
    polyak(me.target_net, me.q_net, me.rho)
    return loss


def _told_of_update(case: Case, answer: dict, right: dict) -> str:
    """The usual words, and whether the very first loss is another one already."""
    said = difference(dqn_update, case, answer, right)
    if not _close(answer["weights"], right["weights"]):
        mine, theirs = (
            getattr(x["returned"][0], "data", x["returned"][0]) for x in (answer, right)
        )
        if not _close(mine, theirs):
            said += " Nor is the loss that comes back from the first call that of (8.11)."
    return said


dqn_update = Exercise(
    "dqn_update",
    reference=dqn.dqn_update,
    cases=_update_cases,
    returns=loss_value(),
    points=3,
    equation="(8.14)",
    call="updates",
    rtol=RTOL,
    atol=ATOL,
    tells=_told_of_update,
    mistakes=[
        Mistake(
            "gradients-pile-up",
            "The gradients of earlier calls are still there when you step: `.grad` adds up until it is "
            "cleared.",
            "Clear them in the same call, before `backward`; somebody else's may be lying there.",
            _update(clear="never"),
            _update(clear="last"),
            _update(clear="never", clip="none"),
        ),
        Mistake(
            "no-clipping",
            "The gradient goes into the step at its full length: nothing has clipped it by then.",
            "One norm over all of `q_net`'s parameters. When does the gradient exist, and when is it used?",
            _update(clip="none"),
            _update(clip="none", clear="last"),
        ),
        # It changes no weight, so its outcome is that of no clipping; only what was done tells them apart.
        Mistake(
            "clip-misplaced",
            "You clip where it does nothing: before `backward` there is no gradient yet, after the step it "
            "has been used. (To clip another network's, or to a length of your own, does nothing either.)",
            "Clip when the gradient exists and has not been used: whose, and to which length?",
            _update(clip_when="first"),
            _update(clip_when="last"),
            _update(clip_when="last", clear="last"),
        ),
        Mistake(
            "clip-by-value",
            "You clip piece by piece, every entry or every tensor for itself. That bends the direction of "
            "the gradient. Only its length, measured over all parameters together, is to be cut.",
            "There are two functions with similar names in `torch.nn.utils`. (8.14) needs the one with "
            "the norm, called once.",
            _update(clip="value"),
            _update(clip="each tensor"),
        ),
        Mistake(
            "clips-to-another-length",
            "You clip the gradient to the length 1. How long it may be is a setting of `agent_state`.",
            "Where do you use `max_grad_norm`?",
            _update(clip="norm of 1"),
        ),
        Mistake(
            "uphill",
            "The weights of `q_net` move the opposite way: up the loss. Optimisers go down what `backward` was "
            "called on.",
            "On what exactly do you call `backward`?",
            _update(uphill=True),
        ),
        Mistake(
            "never-steps",
            "`q_net` never moves: nobody steps, or the gradients are cleared between `backward` and the step.",
            "Is the optimiser's `step()` called, and what does `.grad` hold when it is?",
            _update(steps=False),
            _update(clear="before the step"),
        ),
        Mistake(
            "target-misplaced",
            "The target network follows at the wrong moment, or never. First the step of the optimiser; "
            "then the target moves towards the *new* weights.",
            "Which weights does your target follow, those before the step or those after it?",
            _update(follow="before the step"),
            _update(follow="at the start"),
            _update(follow="never"),
        ),
        Mistake(
            "rho-reversed",
            "The target moves by the wrong share: ρ is what it *keeps*.",
            "Compare with your `polyak_update`: what does it do for ρ = 1?",
            _update(keep="1 - rho"),
        ),
        Mistake(
            "hard-copy",
            "The target is made equal to `q_net` in every call, whatever ρ is.",
            "Where does `rho` enter?",
            _update(keep="nothing"),
        ),
        Mistake(
            "wrong-network",
            "It is the online network that follows: the two arguments of `polyak_update` have changed places.",
            "Which of the two networks learns, and which one follows?",
            _update(moves="online"),
        ),
        Mistake(
            "squared-error",
            "You step along a squared error, where (8.11) goes on as a straight line beyond an error of 1.",
            "Call the function that you wrote in 8.4.",
            _update(distance="square"),
            _update(distance="half square"),
        ),
        Mistake(
            "online-target",
            "`q_net` makes its own labels: they move with every step of the network that should reach them.",
            "Which network does your `dqn_loss` ask about s′?",
            _update(labels="q_net"),
            _update(labels="q_net", detach=False),
        ),
        Mistake(
            "double-dqn",
            "One network chooses the next action, and the other one says what it is worth. That is double DQN, a "
            "later lesson's.",
            "How many networks does (8.5) ask about s′?",
            _update(labels="double"),
            _update(labels="double reversed"),
        ),
        Mistake("terminal-bootstrap", TERMINAL, MASK, _update(mask="nothing")),
        Mistake(
            "no-gamma",
            "The next state's value enters your labels undiscounted. It lies one step ahead: it is worth γ of itself.",
            "Where is `gamma` used in your code?",
            _update(discount="nothing"),
        ),
        Mistake(
            "wrong-loss",
            "You step along another loss than (8.11): its labels, its predictions or its mean are other ones.",
            "Call the function that you wrote in 8.4.",
            *(_update(mask=mask) for mask in ("inverted", "all")),
            _update(discount="all"),
            *(_update(pick=pick) for pick in ("greedy", "column")),
            _update(label="column"),
            _update(distance="absolute"),
            _update(reduce="sum"),
        ),
    ],
    also_correct=[
        _update(),
        _update(clip="by hand"),
        _autograd_update,
    ],
)

LESSON = Lesson(
    "08",
    "Deep Q-networks",
    [training_step, ReplayBuffer, play_step, dqn_loss, copy_factor, polyak_update, dqn_update],
    torch=True,
)
