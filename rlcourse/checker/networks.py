"""Tensors, networks, optimisers and agents as recipes, and how functions on them are called.

For the lessons from 08 on. Everything is small and drawn by the case; what a function did to weights
and what gradients it sends are reported as plain arrays, so that checking stays a comparison.
Like `probes` and `harness`, this may share a process with a student's code: no answer is here.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from rlcourse.lab.on_policy import Rollout
from rlcourse.lab.replay import Batch, PPOBatch
from rlcourse.lab.seeding import torch_seed

from .harness import UNKNOWN_CHOICE, caller, refused, signature_mismatch
from .plain import Tensor, transferable
from .probes import Misuse, build, refuse_whole_result

# Two small networks gain nothing from two threads, and lose up to ten times.
torch.set_num_threads(1)

RTOL, ATOL = 1e-4, 1e-5  # float32, whatever the order of summation


@functools.cache
def warm_up() -> None:
    """Have torch import what it keeps for the first optimiser: seconds that are no answer's own.

    And NumPy what it keeps for the first `np.unique` and the first quadrature.
    """
    np.unique(np.zeros(1))
    np.polynomial.legendre.leggauss(1)
    weights = torch.zeros(1, requires_grad=True)
    sgd, adam, fused = torch.optim.SGD, torch.optim.Adam, {"fused": True}
    for optimiser, options in ((sgd, {}), (adam, {}), (adam, fused)):
        weights.sum().backward()
        optimiser([weights], lr=0.1, **options).step()


def tensor(values: Any, grad: bool = False) -> Tensor:
    """The recipe of a tensor: floats become float32, the rest stays; grad: a leaf that wants one."""
    array = np.asarray(values)
    return Tensor(array.astype(np.float32) if array.dtype == np.float64 else array, grad)


# ----------------------------------------------------------------------------------- networks


@transferable
@dataclass(frozen=True)
class Network:
    """A network with one hidden layer of tanh, and these weights: [W1, b1, W2, b2].

    kind: "q" or "logits", obs → (B, n); "v", obs → (B,); "critic", (obs, action) → (B,);
    "actor", obs → (B, D) in (−1, 1); "gaussian", obs → mean, log σ, each (B, D);
    "sampler", (obs, noise) → (B, D).
    """

    kind: str
    weights: list[np.ndarray]

    def build(self, notes: Counter) -> SmallNetwork:
        return SmallNetwork(self.kind, self.weights)

    def touched(self, now: Any) -> str:
        """What became of a network that was only lent: other weights, a flag, a gradient left behind."""
        leaves = list(now.parameters())
        before = np.concatenate([w.ravel() for w in self.weights]).astype(np.float64)
        if not np.array_equal(_flat(leaves), before, equal_nan=True):
            return "values"
        if not all(leaf.requires_grad for leaf in leaves):
            return "requires_grad"
        return "grad" if any(leaf.grad is not None for leaf in leaves) else ""


class SmallNetwork(nn.Module):
    """The module of a `Network` recipe; all weights want gradients, so that a leak is seen."""

    def __init__(self, kind: str, weights: Sequence[np.ndarray]):
        super().__init__()
        self.kind = kind
        with torch_seed(0):
            sizes = weights[0].shape[::-1], weights[2].shape[::-1]
            self.first, self.last = (nn.Linear(*n, dtype=torch.float32) for n in sizes)
        with torch.no_grad():
            for parameter, values in zip(self.parameters(), weights, strict=True):
                parameter.copy_(torch.from_numpy(values))

    def forward(self, obs, action=None):
        if self.kind in ("critic", "sampler"):
            if action is None:
                what = {"critic": "actions", "sampler": "noise"}[self.kind]
                raise Misuse("no-action", f"a {self.kind} takes the observations and the {what}")
            obs = torch.cat([obs, action], dim=-1)
        out = self.last(torch.tanh(self.first(obs)))
        if self.kind in ("v", "critic"):
            return out.squeeze(-1)
        if self.kind == "actor":
            return out.tanh()
        if self.kind == "gaussian":
            mean, log_std = out.chunk(2, dim=-1)
            return mean, log_std.clamp(-3, 1)
        return out


def network(
    rng: np.random.Generator, kind: str, n_in: int, n_out: int = 1, hidden: int = 6
) -> Network:
    """A random network of a kind. n_in: obs_dim (a critic's: obs_dim + act_dim); n_out: what it is
    asked for (n_actions or act_dim).

    Its values (of "q", the largest in each row) lie about 0: half of them are negative. A random last
    bias alone makes many a network of one sign, and then a target cut off at 0 goes unnoticed.
    """
    rows = 2 * n_out if kind == "gaussian" else n_out
    shapes = [(hidden, n_in), (hidden,), (rows, hidden), (rows,)]
    weights = [(0.8 * rng.normal(size=s)).astype(np.float32) for s in shapes]
    if kind not in ("q", "v", "critic"):
        return Network(kind, weights)
    return _lowered(Network(kind, weights), np.random.default_rng(0).normal(size=(200, n_in)))


def both_signs(values: Network, obs: Any, *action: Any) -> Network:
    """The same network, lowered or raised so that its values at these very inputs have both signs.

    obs, action: arrays, at least two rows; for the living rows of a batch, say, where `network` promises
    both signs only of many.
    """
    return _lowered(values, np.concatenate([np.asarray(obs), *action], axis=-1))


def _lowered(values: Network, inputs: np.ndarray) -> Network:
    """Minus the middle of its values (of "q", of the largest in each row) in the last bias."""
    first, bias, last, shift = (w.astype(np.float64) for w in values.weights)
    out = np.tanh(inputs @ first.T + bias) @ last.T + shift
    middle = np.median(out.max(axis=1))
    return Network(values.kind, [*values.weights[:3], (shift - middle).astype(np.float32)])


# ----------------------------------------------------------------------------------- batches


class _Columns:
    """Arrays that become the columns, tensors, of a named tuple `made`."""

    made: ClassVar[Callable[..., Any]]

    def build(self, notes: Counter) -> Any:
        return self.made(*(torch.from_numpy(np.array(column)) for column in self._columns()))

    def differs(self, now: Any) -> str:
        pairs = zip(now, map(Tensor, self._columns()), strict=True)
        return next(filter(None, (before.differs(column) for column, before in pairs)), "")

    def _columns(self) -> list[np.ndarray]:
        return [getattr(self, column.name) for column in fields(self)]


@transferable
@dataclass(frozen=True)
class Transitions(_Columns):
    """A `Batch` of these arrays, as tensors."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_obs: np.ndarray
    terminated: np.ndarray

    made: ClassVar = Batch


def transitions(
    rng: np.random.Generator,
    n: int,
    obs_dim: int,
    *,
    n_actions: int | None = None,
    act_dim: int | None = None,
    terminated: Sequence[int] | None = None,
    scale: float = 1.0,
) -> Transitions:
    """n random transitions, of finite actions (n_actions) or of actions in (−1, 1) (act_dim).

    terminated: the flags (default: some of both if n ≥ 2); scale: of the rewards.
    """
    if terminated is None:
        flags = rng.random(n) < 0.4
        if n >= 2:
            one, other = rng.choice(n, size=2, replace=False)
            flags[one], flags[other] = True, False
    else:
        flags = np.asarray(terminated, bool)
    action = (
        rng.integers(n_actions, size=n)
        if n_actions is not None
        else rng.uniform(-0.95, 0.95, size=(n, act_dim)).astype(np.float32)
    )
    return Transitions(
        rng.normal(size=(n, obs_dim)).astype(np.float32),
        action,
        (scale * rng.normal(size=n)).astype(np.float32),
        rng.normal(size=(n, obs_dim)).astype(np.float32),
        flags.astype(np.float32),
    )


@transferable
@dataclass(frozen=True)
class Recording(_Columns):
    """A `Rollout` of one environment, (T, …), of these arrays, as tensors."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_obs: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray

    made: ClassVar = Rollout


def recording(
    rng: np.random.Generator,
    n: int,
    obs_dim: int,
    *,
    n_actions: int | None = None,
    act_dim: int | None = None,
    terminated: Sequence[int] = (),
    truncated: Sequence[int] = (),
    scale: float = 1.0,
) -> Recording:
    """n steps in the order of time, as one environment gives them; after an end comes another episode.

    terminated, truncated: the rows with these flags; within an episode next_obs[t] is obs[t + 1].
    """
    rows = transitions(rng, n, obs_dim, n_actions=n_actions, act_dim=act_dim, scale=scale)
    flags = np.zeros((2, n), np.float32)
    flags[0, list(terminated)] = flags[1, list(truncated)] = 1
    next_obs = rows.next_obs.copy()
    inside = np.nonzero(flags.max(axis=0)[:-1] == 0)[0]
    next_obs[inside] = rows.obs[inside + 1]
    return Recording(rows.obs, rows.action, rows.reward, next_obs, *flags)


@transferable
@dataclass(frozen=True)
class Reused(_Columns):
    """A `PPOBatch` of these arrays, as tensors."""

    obs: np.ndarray
    action: np.ndarray
    log_prob_old: np.ndarray
    adv: np.ndarray
    returns: np.ndarray

    made: ClassVar = PPOBatch


# ------------------------------------------------------------------------------------- agents


@transferable
@dataclass(frozen=True)
class Optimizer:
    """An optimiser of these parts of an agent; of plain gradient descent a step shows the gradient itself.

    kind: "sgd", "momentum", "adam".
    """

    of: list[str]
    lr: float
    kind: str = "sgd"

    def over(self, weights: list[torch.Tensor]) -> torch.optim.Optimizer:
        if self.kind == "adam":
            return torch.optim.Adam(weights, lr=self.lr)
        momentum = {"sgd": 0.0, "momentum": 0.8}[self.kind]
        return torch.optim.SGD(weights, lr=self.lr, momentum=momentum)


@transferable
@dataclass(frozen=True)
class AgentState:
    """A namespace of parts: networks, tensors, numbers, and optimisers of the parts they name."""

    parts: dict[str, Any]

    def build(self, notes: Counter) -> SimpleNamespace:
        state = SimpleNamespace(
            **{k: build(v, notes) for k, v in self.parts.items() if not isinstance(v, Optimizer)}
        )
        for key, recipe in self.parts.items():
            if isinstance(recipe, Optimizer):
                weights = [leaf for name in recipe.of for leaf in _leaves(getattr(state, name))]
                setattr(state, key, recipe.over(weights))
        return state

    def touched(self, now: Any) -> str:
        """What became of the networks of an agent that was only asked, not trained."""
        lent = ((r, getattr(now, k)) for k, r in self.parts.items() if hasattr(r, "touched"))
        return next(filter(None, (recipe.touched(part) for recipe, part in lent)), "")


@transferable
@dataclass(frozen=True)
class SoftmaxTable:
    """`policy(s, rng) -> (action, log_prob)`: a softmax over row s of `logits` (S, A)."""

    logits: np.ndarray
    chooses = True

    def build(self, notes: Counter) -> TablePolicy:
        return TablePolicy(self.logits, notes)


class TablePolicy(nn.Module):
    """The policy of a `SoftmaxTable`; it counts how often it is asked."""

    def __init__(self, logits: np.ndarray, notes: Counter):
        super().__init__()
        self.logits = nn.Parameter(torch.from_numpy(logits.astype(np.float32)))
        self.notes = notes

    def forward(self, obs, rng):
        self.notes["choices"] += 1
        refuse_whole_result(obs)
        log_pi = torch.log_softmax(self.logits[int(obs)], dim=0)
        p = log_pi.detach().double().exp().numpy()
        action = int(rng.choice(len(p), p=p / p.sum()))
        return action, log_pi[action]


# ------------------------------------------------------------------------------ ways of calling


@caller
def gradients(function: Any, **inputs: Any) -> dict[str, Any]:
    """Call once; report the value, and the gradient that it sends to every input that could get one.

    Report: `value`; `gradients`: for each part of a tuple (or the one value), input name -> flat
    gradient of the part's sum with fixed weights, zeros where none arrives; `weights`: input name -> (2, n),
    flat, before and after the call; `frozen`: inputs that no longer want the gradients they wanted.
    """
    return _watched(function, list(inputs.values()), dict(_parts(inputs)))


@caller
def with_sample(
    function: Any, noise: torch.Tensor, mean: torch.Tensor, log_std: torch.Tensor, **more: Any
) -> dict[str, Any]:
    """Call `function(a, mean, log_std, *more)` where a = mean + exp(log_std)·noise hangs on both.

    Recipes are built one by one, so only a caller can make a sample from the very tensors that it passes
    on. A network among `more` stands for its values at a, which so hang on mean and log_std as well. Report:
    that of `gradients`, for mean, log_std and such networks; `sample`: whether a is what it was.
    """
    a = mean + log_std.exp() * noise
    values = {k: x(a) if isinstance(x, nn.Module) else x for k, x in more.items()}
    lent = dict(_parts({"mean": mean, "log_std": log_std} | more))
    before = _flat([a])
    report = _watched(function, [a, mean, log_std, *values.values()], lent)
    return report | {"sample": bool(np.array_equal(before, _flat([a]), equal_nan=True))}


def _watched(function: Any, arguments: list[Any], lent: dict[str, Any]) -> dict[str, Any]:
    """Call once; the value, the gradients that it sends to the lent parts, and what became of these."""
    given = {name: list(_leaves(part)) for name, part in lent.items()}
    before = {name: _flat(leaves) for name, leaves in given.items()}
    value = _call(function, arguments)
    _refuse_own_backward(given)
    parts = value if isinstance(value, tuple | list) else (value,)
    return {
        "value": value,
        "gradients": [_gradients(part, given) for part in parts],
        "weights": {k: np.stack([before[k], _flat(given[k])]) for k in given},
        "frozen": [name for name, leaves in given.items() if _is_frozen(name, leaves)],
    }


@caller
def updates(function: Any, **inputs: Any) -> dict[str, Any]:
    """Call once for every element of the inputs that are lists; report what became of all weights.

    Report: `returned`: what came back from each call; `weights`: part -> (1 + calls, n), flat, before and
    after each call; `same_objects`: no weight was replaced by another object; `own_memory`: none shares its
    memory with that of another part; `recorded`: a weight has become part of a graph; `frozen`: parts that no longer
    want the gradients they wanted, slow copies apart. Noted: `clips`, whether a clipping function of PyTorch
    was called the first time.
    """
    return _updated(function, inputs)


@caller
def stepping(function: Any, **inputs: Any) -> dict[str, Any]:
    """`updates` of a function that returns the losses of its steps: a list of them counts as an array."""

    @functools.wraps(function)
    def listed(*arguments: Any) -> Any:
        losses = function(*arguments)
        if not isinstance(losses, list | tuple) or not losses:
            return losses
        numbers = [loss.detach() if isinstance(loss, torch.Tensor) else loss for loss in losses]
        single = all(np.shape(x) == () and not isinstance(x, str | bool) for x in numbers)
        return np.array([float(x) for x in numbers]) if single else losses

    return _updated(listed, inputs)


@caller
def fitting(function: Any, state: SimpleNamespace, **data: Any) -> dict[str, Any]:
    """`updates` for a function of the parts of `state`, a network `net` and its `optimizer`, and of data.

    Noted as well: `steps` of the optimiser, and `stepped_first`, whether one came before any gradient: where a
    gradient was cleared a step leaves no other trace.
    """
    done: list[str] = []
    state.optimizer.register_step_pre_hook(lambda *_given: done.append("step"))
    next(state.net.parameters()).register_hook(lambda _gradient: done.append("gradient"))
    report = _updated(function, {"state": state, **data}, apart="state")
    report["notes"] |= {"steps": done.count("step"), "stepped_first": int(done[:1] == ["step"])}
    return report


@caller
def actor_critic(function: Any, state: SimpleNamespace, **data: Any) -> dict[str, Any]:
    """`updates` for a function of the parts of `state`, two networks and their optimisers, and of data.

    What is returned for a batch of one may have one row or none.
    """
    report = _updated(function, {"state": state, **data}, apart="state")
    report["returned"] = [
        tuple(x.reshape(()) if isinstance(x, torch.Tensor) and x.numel() == 1 else x for x in parts)
        if isinstance(parts, tuple | list)
        else parts
        for parts in report["returned"]
    ]
    return report


def _updated(function: Any, inputs: dict[str, Any], apart: str = "") -> dict[str, Any]:
    """The report of `updates`; apart: an input that is handed over as its parts, one by one."""
    parts = dict(_parts(inputs))
    before = {name: [id(leaf) for leaf in _leaves(part)] for name, part in parts.items()}
    for leaf in (leaf for part in parts.values() for leaf in _leaves(part)):
        leaf.grad = torch.ones_like(leaf)  # left over from somebody else's backward()
    calls = max((len(x) for x in inputs.values() if isinstance(x, list)), default=1)
    clips = _Clips()
    returned, weights = [], {name: [_flat(_leaves(part))] for name, part in parts.items()}
    for i in range(calls):
        arguments = [
            argument
            for name, x in inputs.items()
            for argument in (
                vars(x).values() if name == apart else [x[i] if isinstance(x, list) else x]
            )
        ]
        with clips if i == 0 else contextlib.nullcontext():  # looking on takes time
            returned.append(_call(function, arguments))
        found = dict(_pairs(inputs))
        leaves = {name: _weights(found.get(name)) for name in parts}
        for name in parts:
            weights[name].append(_flat(leaves[name]))
    return {
        "same_objects": all(before[k] == [id(leaf) for leaf in leaves[k]] for k in before),
        "own_memory": _own_memory(list(leaves.values())),
        "recorded": any(leaf.grad_fn is not None for k in leaves for leaf in leaves[k]),
        "frozen": [name for name in parts if _is_frozen(name, leaves[name])],
        "weights": {name: _rows(w) for name, w in weights.items()},
        "returned": returned,
        "notes": {"clips": int(clips.called)},
    }


@caller
def refusing(function: Any, mode: str, **inputs: Any) -> dict[str, Any]:
    """Call with a mode that there is, in second place, and with one that there is not.

    Report: `value`; `refused`: what the second call raised.
    """
    first, *others = inputs.values()
    value = _call(function, [first, mode, *others])
    return {"value": value, "refused": refused(function, [first, UNKNOWN_CHOICE, *others])}


@caller
def policy_learning(
    function: Any, env: Any, policy: TablePolicy, lr: float, episodes: int, gamma: float,
    rng: np.random.Generator, keep_gamma_t: bool | None,
) -> dict[str, Any]:  # fmt: skip
    """Call `function(env, policy, optimizer, episodes, gamma, rng[, keep_gamma_t])`.

    keep_gamma_t None leaves the argument to its default. The optimiser has momentum: several steps in place of
    one are not the same. Report: `value`, and `weights`: the logits
    before and afterwards, (2, n).
    """
    before = _flat(policy.parameters())
    optimizer = torch.optim.SGD(policy.parameters(), lr=lr, momentum=0.5)
    arguments = (env, policy, optimizer, episodes, gamma, rng)
    extra = {} if keep_gamma_t is None else {"keep_gamma_t": keep_gamma_t}
    value = _call(function, arguments, **extra)
    return {"value": value, "weights": {"policy": np.stack([before, _flat(policy.parameters())])}}


@caller
def playing(
    function: Any, env: Any, agent: SimpleNamespace, calls: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Begin an episode, and call `function(env, agent, buffer, rng)` so often.

    Report: `returned`; `stored`: field -> what `buffer.add` was given, one entry a call of it; `added`: how
    often it had been called after each call; `shown`: `agent.obs` after each; `weights`: those of q_net, (2, n);
    `gradients_left`: whether q_net has some.
    """
    agent.obs, _ = env.reset()
    before = _flat(agent.q_net.parameters())
    buffer = _Listener()
    returned, added, shown = [], [], []
    for _ in range(calls):
        returned.append(_call(function, (env, agent, buffer, rng)))
        added.append(len(buffer.rows))
        shown.append(agent.obs.copy() if isinstance(agent.obs, np.ndarray) else agent.obs)
    fields = zip(Batch._fields, zip(*buffer.rows, strict=True), strict=False)
    return {
        "added": np.array(added),
        "stored": {name: list(column) for name, column in fields},
        "shown": shown,
        "returned": returned,
        "weights": {"q_net": np.stack([before, _flat(agent.q_net.parameters())])},
        "gradients_left": any(p.grad is not None for p in agent.q_net.parameters()),
    }


class _Listener:
    """A buffer that keeps what it is given, as it was then."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    def add(self, obs, action, reward, next_obs, terminated):
        # Tensors and arrays of one number are written into a memory as numbers.
        row = [_copied(x) for x in (obs, action, reward, next_obs, terminated)]
        self.rows.append(
            tuple(x.item() if np.shape(x) == () and hasattr(x, "item") else x for x in row)
        )

    def __len__(self) -> int:
        return len(self.rows)


def _copied(x: Any) -> Any:
    """An array of its own of what may be used again."""
    if isinstance(x, torch.Tensor):
        return x.detach().numpy().copy()
    return np.array(x) if isinstance(x, np.ndarray | list) else x


@caller
def remembering(
    make: Any, capacity: int, obs_dim: int, rows: int, sample_at: list[int], batch_size: int,
    seed: int, rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    """Make a replay buffer, add `rows` transitions from arrays that are used again, sample now and then.

    Report: `empty`: what sampling from the empty buffer raised; `lengths` (rows,): len after each add;
    `batches`: after as many adds as `sample_at` says, field -> array, None where the batch lacks it; `again`:
    a second sample of the last slots, drawn alike, after the first was overwritten with zeros; `dtypes`:
    field -> name.
    """
    mismatch = signature_mismatch(make, 2)
    if mismatch:
        raise Misuse("signature", mismatch)
    buffer = make(capacity, obs_dim)
    report: dict[str, Any] = {"empty": "nothing", "lengths": [], "batches": [], "again": {}}
    try:
        buffer.sample(batch_size, np.random.default_rng(seed))
    except NotImplementedError:
        raise
    except Exception as error:
        report["empty"] = type(error).__name__
    obs, next_obs = np.zeros(obs_dim, np.float32), np.zeros(obs_dim, np.float32)
    for n, row in enumerate(experiences(seed, rows, obs_dim), start=1):
        obs[:], next_obs[:] = row.obs, row.next_obs
        buffer.add(obs, row.action, row.reward, next_obs, row.terminated)
        report["lengths"].append(len(buffer))
        if n in sample_at:
            report["batches"].append(_fields(buffer.sample(batch_size, rng)))
    first = buffer.sample(batch_size, np.random.default_rng(seed))
    for column in _fields(first).values():
        if isinstance(column, torch.Tensor):
            column.detach().zero_()
    last = _fields(buffer.sample(batch_size, np.random.default_rng(seed)))
    report["again"] = last
    report["dtypes"] = {k: str(getattr(v, "dtype", type(v).__name__)) for k, v in last.items()}
    report["lengths"] = np.array(report["lengths"])
    return report


def experiences(seed: int, n: int, obs_dim: int) -> list[Batch]:
    """n transitions to be remembered, of which no two are alike."""
    rng = np.random.default_rng(seed)
    return [
        Batch(
            obs=rng.normal(size=obs_dim).astype(np.float32),
            action=int(rng.integers(3, 9)),
            reward=float(rng.normal()),
            next_obs=rng.normal(size=obs_dim).astype(np.float32),
            terminated=bool(rng.random() < 0.4),
        )
        for _ in range(n)
    ]


def _fields(batch: Any) -> dict[str, Any]:
    return {name: getattr(batch, name, None) for name in Batch._fields}


# ------------------------------------------------------------------------------------ the pieces


class _Clips:
    """Whether a clipping function of PyTorch was called: where one stands in vain it leaves no other trace."""

    called = False

    def __enter__(self) -> None:
        self.before = sys.getprofile()
        sys.setprofile(self._look)

    def __exit__(self, *_exception: object) -> None:
        sys.setprofile(self.before)

    def _look(self, frame: Any, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_name.startswith("clip_grad_"):
            self.called = True


def _call(function: Any, arguments: Any, **more: Any) -> Any:
    arguments = list(arguments)
    mismatch = signature_mismatch(function, len(arguments) + len(more))
    if mismatch:
        raise Misuse("signature", mismatch)
    # Whoever draws from torch's own generator gets the same numbers every time, and leaves it as it was.
    with torch_seed(0), torch.enable_grad():
        value = function(*arguments, **more)
        if not torch.is_grad_enabled():
            raise Misuse("no-grad-left-on", "gradients were switched off, and not on again")
    return value


def _leaves(part: Any) -> Iterator[torch.Tensor]:
    """The tensors of a part that an optimiser could move."""
    if isinstance(part, nn.Module):
        yield from part.parameters()
    elif isinstance(part, torch.Tensor) and (part.requires_grad or not part.is_leaf):
        yield part
    elif isinstance(part, tuple):
        for each in part:
            yield from _leaves(each)


def _parts(inputs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name and part, for all networks and trainable tensors in the inputs or in an agent's state."""
    for name, part in _pairs(inputs):
        if isinstance(part, nn.Module) or any(True for _ in _leaves(part)):
            yield name, part


def _pairs(inputs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name and value of all that is in the inputs or in an agent's state, its lists taken apart."""
    for name, value in inputs.items():
        if not isinstance(value, SimpleNamespace):
            yield name, value
            continue
        for key, part in vars(value).items():
            if isinstance(part, list | tuple):
                yield from ((f"{key}[{i}]", each) for i, each in enumerate(part))
            else:
                yield key, part


def _weights(part: Any) -> list[torch.Tensor]:
    """`_leaves`, and a tensor that has stopped wanting gradients since."""
    return [part] if isinstance(part, torch.Tensor) else list(_leaves(part))


def _is_frozen(name: str, leaves: list[torch.Tensor]) -> bool:
    """Whether a part was taken from whoever trains it; slow copies are trained by nobody."""
    return "targ" not in name and not all(leaf.requires_grad for leaf in leaves)


def _flat(leaves: Any) -> np.ndarray:
    arrays = [leaf.detach().double().numpy().ravel() for leaf in leaves]
    return np.concatenate(arrays) if arrays else np.zeros(0)


@torch.enable_grad()
def _gradients(part: Any, given: dict[str, list[torch.Tensor]]) -> dict[str, np.ndarray]:
    """input -> flat gradient of `part`; of a vector, of its sum with the weights 1, 2, 3, …"""
    found: dict[int, Any] = {}
    # Whoever froze a network by `requires_grad_(False)` has kept the gradient out, too.
    asked = [leaf for own in given.values() for leaf in own if leaf.requires_grad]
    if isinstance(part, torch.Tensor) and part.requires_grad and asked:
        weights = torch.arange(1, part.numel() + 1, dtype=part.dtype).reshape(part.shape)
        total = (part * weights).sum()
        arrived = torch.autograd.grad(total, asked, retain_graph=True, allow_unused=True)
        found = {id(leaf): g for leaf, g in zip(asked, arrived, strict=True) if g is not None}
    return {
        name: _flat(found.get(id(leaf), torch.zeros_like(leaf)) for leaf in own)
        for name, own in given.items()
    }


def _refuse_own_backward(given: dict[str, list[torch.Tensor]]) -> None:
    for name, own in given.items():
        if any(leaf.grad is not None for leaf in own):
            raise Misuse("own-backward", f"backward() was called inside: `{name}` has gradients")


def _rows(vectors: list[np.ndarray]) -> np.ndarray:
    """Vectors as rows of a matrix; if their lengths differ, the last one alone."""
    return np.stack(vectors) if len({len(v) for v in vectors}) == 1 else vectors[-1]


def _own_memory(groups: list[list[torch.Tensor]]) -> bool:
    places = [{leaf.untyped_storage().data_ptr() for leaf in group} for group in groups]
    return sum(map(len, places)) == len(set().union(*places)) if places else True
