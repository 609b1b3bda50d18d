"""Lesson 08: memory, schedule, targets and updates of a DQN. Keys as in `lesson_00`."""

import copy

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

from rlcourse.lab.replay import Batch

from . import also_named

# ------------------------------------------------------------------------------------- the memory

KINDS = (torch.float32, torch.int64, torch.float32, torch.float32, torch.float32)


def memory(
    store=lambda m, row: m.rows.__setitem__(m.n % m.capacity, row),
    draw=lambda m, n, rng: rng.integers(len(m), size=n),
    row=lambda o, a, r, o2, d: (o.copy(), a, r, o2.copy(), d),
    give=lambda columns: Batch(*columns),
    length=lambda m: len(m.rows),
    error=ValueError,
):
    """A dictionary slot -> row, with parts to spoil."""

    class ReplayBuffer:
        def __init__(self, capacity, obs_dim):
            self.capacity, self.n, self.rows, self.obs_dim = capacity, 0, {}, obs_dim

        def __len__(self):
            return length(self)

        def add(self, obs, action, reward, next_obs, terminated):
            store(self, row(obs, action, reward, next_obs, terminated))
            self.n += 1

        def sample(self, batch_size, rng):
            if not self.rows:
                raise error("empty")
            chosen = [self.rows[int(i)] for i in draw(self, batch_size, rng)]
            columns = zip(*chosen, strict=True)
            return give(
                [torch.tensor(np.array(c)).to(k) for c, k in zip(columns, KINDS, strict=True)]
            )

    return ReplayBuffer


class Views:
    """Hands out its own memory."""

    def __init__(self, capacity, obs_dim):
        self.capacity, self.n = capacity, 0
        sizes = ((capacity, obs_dim), (capacity,), (capacity,), (capacity, obs_dim), (capacity,))
        self.columns = [torch.zeros(s, dtype=k) for s, k in zip(sizes, KINDS, strict=True)]

    def __len__(self):
        return min(self.n, self.capacity)

    def add(self, *row):
        for column, value in zip(self.columns, row, strict=True):
            column[self.n % self.capacity] = torch.as_tensor(value)
        self.n += 1

    def sample(self, batch_size, rng):
        if not self.n:
            raise ValueError("empty")
        i = rng.integers(len(self), size=batch_size)
        rows = [c[i] for c in self.columns]
        rows[0] = self.columns[0][:batch_size] if batch_size <= len(self) else rows[0]
        return Batch(*rows)


class Pairs(memory()):
    """Counts every transition twice."""

    def __len__(self):
        return 2 * len(self.rows)

    def sample(self, batch_size, rng):
        chosen = rng.integers(len(self), size=batch_size) // 2
        return super().sample(batch_size, rng)._replace(action=torch.tensor(chosen))


class Rows(memory()):
    """Filled with NaN at first, drawn below capacity."""

    def __init__(self, capacity, obs_dim):
        super().__init__(capacity, obs_dim)
        nothing = np.full(obs_dim, np.nan, np.float32)
        self.unwritten = dict.fromkeys(range(capacity), (nothing, -1, np.nan, nothing, True))

    def sample(self, batch_size, rng):
        stored, self.rows = self.rows, self.unwritten | self.rows
        try:
            return super().sample(batch_size, rng)
        finally:
            self.rows = stored


def batch_with(**change):
    return lambda columns: (lambda b: b._replace(**{k: f(b) for k, f in change.items()}))(
        Batch(*columns)
    )


MEMORY_WRONG = {
    "one-slot-late": memory(store=lambda m, row: m.rows.__setitem__((m.n + 1) % m.capacity, row)),
    "without-replacement": memory(draw=lambda m, n, rng: rng.permutation(len(m))[np.arange(n) % len(m)]),
    "own-generator": memory(draw=lambda m, n, rng: np.random.default_rng(0).integers(len(m), size=n)),
    "draws-twice": memory(draw=lambda m, n, rng: (rng.integers(len(m), size=n), rng.integers(len(m), size=n))[1]),
    "the-latest": memory(draw=lambda m, n, rng: [(m.n - 1) % m.capacity] * len(rng.integers(len(m), size=n))),
    "columns-exchanged": memory(give=lambda c: Batch(c[3], c[1], c[2], c[0], c[4])),
    "reward-and-end-exchanged": memory(give=lambda c: Batch(c[0], c[1], c[4], c[3], c[2])),
    "alive-for-terminated": memory(give=batch_with(terminated=lambda b: 1 - b.terminated)),
    "column-of-rewards": memory(give=batch_with(reward=lambda b: b.reward[:, None])),
    "column-of-actions": memory(give=batch_with(action=lambda b: b.action[:, None])),
    "rewards-clipped": memory(give=batch_with(reward=lambda b: b.reward.clamp(-1, 1))),
    "length-is-added": memory(length=lambda m: m.n),
    "length-is-capacity": memory(length=lambda m: m.capacity),
    "another-error": memory(error=IndexError),
    "grows-by-one": memory(store=lambda m, row: m.rows.__setitem__(m.n % (m.capacity + 1), row)),
    "hands-out-views": Views,
    "no-terminated": memory(row=lambda o, a, r, o2, d: (o.copy(), a, r, o2.copy(), False)),
    "integers": memory(row=lambda o, a, r, o2, d: (o.copy(), a, int(r), o2.copy(), d)),
    "pairs": Pairs,
    "a-tuple": memory(give=tuple),
    "floats-for-slots": memory(draw=lambda m, n, rng: (rng.random(n) * len(m)).astype(int)),
    "wants-a-gradient": memory(give=batch_with(obs=lambda b: b.obs.clone().requires_grad_())),
}  # fmt: skip


class Queue:
    """Slots in a list that is filled with None at first."""

    def __init__(self, capacity, obs_dim):
        self.slots, self.next, self.full = [None] * capacity, 0, False

    def __len__(self):
        return len(self.slots) if self.full else self.next

    def add(self, obs, action, reward, next_obs, terminated):
        self.slots[self.next] = Batch(
            *map(copy.deepcopy, (obs, action, reward, next_obs, terminated))
        )
        self.next += 1
        if self.next == len(self.slots):
            self.next, self.full = 0, True

    def sample(self, batch_size, rng):
        if len(self) == 0:
            raise ValueError
        rows = [self.slots[i] for i in rng.integers(0, len(self), (batch_size,))]
        return Batch(
            obs=torch.stack([torch.tensor(r.obs) for r in rows]),
            action=torch.LongTensor([r.action for r in rows]),
            reward=torch.FloatTensor([r.reward for r in rows]),
            next_obs=torch.stack([torch.tensor(r.next_obs) for r in rows]),
            terminated=torch.FloatTensor([r.terminated for r in rows]),
        )


def one_table(capacity, obs_dim):
    """A function that makes the buffer: one array holds everything."""

    class Table:
        rows, n = np.zeros((capacity, 2 * obs_dim + 3)), 0

        def __len__(self):
            return min(self.n, capacity)

        def add(self, obs, action, reward, next_obs, terminated):
            self.rows[self.n % capacity] = np.concatenate(
                [obs, next_obs, [action, reward, terminated]]
            )
            self.n += 1

        def sample(self, batch_size, rng):
            if self.n == 0:
                raise ValueError("Add something first.")
            t = torch.tensor(self.rows[rng.integers(len(self), size=batch_size)]).float()
            return Batch(t[:, :obs_dim], t[:, -3].long(), t[:, -2], t[:, obs_dim:-3], t[:, -1])

    return Table()


MEMORY_RIGHT = {
    "dictionary": memory(),
    "queue": Queue,
    "one-table": one_table,
    "slots-named-otherwise": memory(
        store=lambda m, row: m.rows.__setitem__(-1 - m.n % m.capacity, row),
        draw=lambda m, n, rng: -1 - rng.integers(len(m), size=n),
    ),
    "one-draw-a-row": memory(draw=lambda m, n, rng: [rng.integers(len(m)) for _ in range(n)]),
    "choice": memory(draw=lambda m, n, rng: rng.choice(np.arange(len(m)), n)),
}

# ----------------------------------------------------------------------------------- the schedule

SCHEDULE_WRONG = {
    "one-step-late": lambda t, s, e, n: s + (e - s) * min(max(t - 1, 0) / n, 1),
    "one-step-early": lambda t, s, e, n: s + (e - s) * min((t + 1) / n, 1),
    "squared": lambda t, s, e, n: s + (e - s) * min(t / n, 1) ** 2,
    "cosine": lambda t, s, e, n: e + (s - e) * (1 + np.cos(np.pi * min(t / n, 1))) / 2,
    "starts-at-one": lambda t, s, e, n: 1 + (e - 1) * min(t / n, 1),
    "half": lambda t, s, e, n: s if t < n / 2 else e,
    "percent": lambda t, s, e, n: round(s + (e - s) * min(t / n, 1), 2),
    "single-precision": lambda t, s, e, n: float(np.float32(s + (e - s) * min(t / n, 1))),
    "jumps-at-the-end": lambda t, s, e, n: s * (1 - t / n) if t < n else e,
    "constant": lambda t, s, e, n: s,
    "an-array": lambda t, s, e, n: np.array([s + (e - s) * min(t / n, 1)]),
    "wraps-around": lambda t, s, e, n: s + (e - s) * ((t % n) / n if t != n else 1),
}
SCHEDULE_RIGHT = {
    "clip": lambda t, s, e, n: s - np.clip(t / n, 0, 1) * (s - e),
    "branches": lambda t, s, e, n: e if t > n else (s * (n - t) + e * t) / n,
    "zero-d": lambda t, s, e, n: np.asarray(max(e, s - (s - e) / n * t)),
    "loop": lambda t, s, e, n: s if t == 0 else s - sum([(s - e) / n] * min(t, n)),
}

# -------------------------------------------------------------------------------------- the label


def row_by_row(best, alive=lambda d: 1 - d, form=lambda r, g, v: r + g * v):
    def dqn_target(reward, q_next, terminated, gamma):
        rows = zip(reward, q_next, terminated, strict=True)
        return torch.stack([form(r, gamma, alive(d) * best(q)) for r, q, d in rows])

    return dqn_target


right_label = row_by_row(lambda q: max(q.tolist()))
LABEL_WRONG = {
    "minimum": row_by_row(lambda q: q.min()),
    "mean": row_by_row(lambda q: q.mean()),
    "first-action": row_by_row(lambda q: q[0]),
    "largest-size": row_by_row(lambda q: q[q.abs().argmax()]),
    "positive-part": row_by_row(lambda q: q.max().clamp(min=0)),
    "mask-inverted": row_by_row(lambda q: q.max(), alive=lambda d: d),
    "minus": row_by_row(lambda q: q.max(), form=lambda r, g, v: r - g * v),
    "gamma-on-reward": row_by_row(lambda q: q.max(), form=lambda r, g, v: g * (r + v)),
    "gamma-squared": row_by_row(lambda q: q.max(), form=lambda r, g, v: r + g * g * v),
    "hard-coded-gamma": row_by_row(lambda q: q.max(), form=lambda r, g, v: r + 0.9 * v),
    "softmax": row_by_row(lambda q: (q.softmax(0) * q).sum()),
    "no-reward": row_by_row(lambda q: q.max(), form=lambda r, g, v: g * v),
    "batch-mean": lambda r, q, d, g: (r + g * (1 - d) * q.amax(1)).mean(),
    "column": lambda r, q, d, g: (r + g * (1 - d) * q.amax(1))[:, None],
    "numpy": lambda r, q, d, g: (r + g * (1 - d) * q.amax(1)).numpy(),
    "a-list": lambda r, q, d, g: (r + g * (1 - d) * q.amax(1)).tolist(),
    "squeezed": lambda r, q, d, g: (r + g * (1 - d) * q.amax(1)).squeeze(),
    "any-end-ends-all": lambda r, q, d, g: r + g * (1 - d.amax()) * q.amax(1),
    "reward-in-place": lambda r, q, d, g: r.add_(g * (1 - d) * q.amax(1)),
    "zeroes-in-place": lambda r, q, d, g: r + g * q.mul_(1 - d[:, None]).amax(1),
    "whole-numbers": lambda r, q, d, g: (r + g * (1 - d) * q.amax(1)).round(),
}
LABEL_RIGHT = {
    "loop": row_by_row(lambda q: q.max()),
    "python-numbers": right_label,
    "masked-fill": lambda r, q, d, g: r + g * q.amax(1).masked_fill(d == 1, 0.0),
    "numpy-inside": lambda r, q, d, g: r + g * (1 - d) * torch.from_numpy(q.numpy().max(axis=1)),
    "top-k": lambda r, q, d, g: torch.add(r, (1 - d) * q.topk(1).values[:, 0], alpha=g),
    "keepdim": lambda r, q, d, g: (r[:, None] + g * (1 - d[:, None]) * q.amax(1, keepdim=True)).view(-1),
}  # fmt: skip

# --------------------------------------------------------------------------------------- the loss


def loss(
    label=lambda b, q, g: b.reward + g * (1 - b.terminated) * q.amax(1),
    network=lambda online, target: target,
    pick=lambda q, a: q.gather(1, a.unsqueeze(1))[:, 0],
    distance=F.smooth_l1_loss,
    obs=lambda b: b.obs,
    next_obs=lambda b: b.next_obs,
):
    def dqn_loss(q_net, target_net, batch, gamma):
        with torch.no_grad():
            y = label(batch, network(q_net, target_net)(next_obs(batch)), gamma)
        return distance(pick(q_net(obs(batch)), batch.action), y)

    return dqn_loss


def stops_half_way(q_net, target_net, batch, gamma):
    with torch.no_grad():
        hidden = torch.tanh(q_net.first(batch.obs))
    q = q_net.last(hidden)[torch.arange(len(batch.action)), batch.action]
    y = batch.reward + gamma * (1 - batch.terminated) * target_net(batch.next_obs).amax(1)
    return F.smooth_l1_loss(q, y.detach())


def backward_inside(*given):
    value = loss()(*given)
    value.backward()
    return value


def through_the_target_only(q_net, target_net, batch, gamma):
    y = batch.reward + gamma * (1 - batch.terminated) * target_net(batch.next_obs).amax(1)
    q = q_net(batch.obs).gather(1, batch.action[:, None])[:, 0]
    return F.smooth_l1_loss(q.detach(), y)


LOSS_WRONG = {
    "half": lambda *given: loss()(*given) / 2,
    "negative": lambda *given: -loss()(*given),
    "threshold-2": loss(distance=lambda q, y: F.smooth_l1_loss(q, y, beta=2.0)),
    "threshold-half": loss(distance=lambda q, y: F.huber_loss(q, y, delta=0.5)),
    "absolute": loss(distance=F.l1_loss),
    "error-clamped": loss(distance=lambda q, y: ((q - y).clamp(-1, 1) ** 2 / 2).mean()),
    "median": loss(distance=lambda q, y: F.smooth_l1_loss(q, y, reduction="none").median()),
    "per-sample": loss(distance=lambda q, y: F.smooth_l1_loss(q, y, reduction="none")),
    "next-for-obs": loss(obs=lambda b: b.next_obs),
    "obs-for-next": loss(next_obs=lambda b: b.obs),
    "first-action": loss(pick=lambda q, a: q[:, 0]),
    "all-actions": loss(pick=lambda q, a: q.mean(1)),
    "all-rows": loss(pick=lambda q, a: q[:, a].mean(1)),
    "next-action": loss(pick=lambda q, a: q.gather(1, ((a + 1) % q.shape[1])[:, None])[:, 0]),
    "mean-label": loss(label=lambda b, q, g: b.reward + g * (1 - b.terminated) * q.mean(1)),
    "no-reward": loss(label=lambda b, q, g: g * (1 - b.terminated) * q.amax(1)),
    "no-gamma": loss(label=lambda b, q, g: b.reward + (1 - b.terminated) * q.amax(1)),
    "mask-inverted": loss(label=lambda b, q, g: b.reward + g * b.terminated * q.amax(1)),
    "a-trace-more": loss(
        distance=lambda q, y: F.smooth_l1_loss(q, y) + 0 * q.sum() + 1e-3 * q.sum()
    ),
    "networks-exchanged": lambda q, t, b, g: loss()(t, q, b, g),
    "smaller-of-both": lambda q, t, b, g: torch.minimum(loss()(q, t, b, g), loss()(q, q, b, g)),
    "weight-decay": lambda q, t, b, g: (
        loss()(q, t, b, g) + 0.01 * sum((p**2).sum() for p in q.parameters())
    ),
    "a-float": lambda *given: loss()(*given).item(),
    "shape-1": lambda *given: loss()(*given)[None],
    "copies-the-network-afterwards": lambda q, t, b, g: (
        loss()(q, t, b, g),
        t.load_state_dict(q.state_dict()),
    )[0],
    "gradients-left-off": lambda *given: (loss()(*given), torch.set_grad_enabled(False))[0],
    "stops-half-way": stops_half_way,
    "backward-inside": backward_inside,
    "through-the-target-only": through_the_target_only,
    "retyped": lambda *given: loss()(*given).detach().requires_grad_(),
}


def own_huber(q, y):
    small = (q - y).abs().clamp(max=1)
    return (small * ((q - y).abs() - small / 2)).mean()


def loop_loss(q_net, target_net, batch, gamma):
    total = 0.0
    for o, a, r, o2, d in zip(*batch, strict=True):
        y = r if d else r + gamma * target_net(o2[None]).detach().max()
        e = q_net(o[None])[0, a] - y
        total = total + (e**2 / 2 if abs(e) <= 1 else abs(e) - 0.5)
    return total / len(batch.reward)


LOSS_RIGHT = {
    "gather": loss(),
    "own-huber": loss(distance=own_huber),
    "loop": loop_loss,
    "take-along": loss(pick=lambda q, a: torch.take_along_dim(q, a[:, None], 1).squeeze(-1)),
    "module": loss(distance=nn.HuberLoss()),
    "sum-over-n": loss(distance=lambda q, y: F.smooth_l1_loss(q, y, reduction="sum") / len(y)),
    "masked": loss(pick=lambda q, a: q[F.one_hot(a, q.shape[1]).bool()]),
    "frozen-target": lambda q, t, b, g: loss()(q, t.requires_grad_(False), b, g),
}

# --------------------------------------------------------------------------- the target network


def mixed(mix, which=lambda parameters: parameters):
    def polyak_update(target, online, rho):
        pairs = list(zip(target.parameters(), online.parameters(), strict=True))
        with torch.no_grad():
            for p, o in which(pairs):
                p.copy_(mix(p, o, rho))

    return polyak_update


def trains_online(target, online, rho):
    mixed(lambda p, o, rho: rho * p + (1 - rho) * o)(target, online, rho)
    online.load_state_dict(target.state_dict())


def twice(target, online, rho):
    for _ in range(2):
        mixed(lambda p, o, rho: rho * p + (1 - rho) * o)(target, online, rho)


def tensors_for_parameters(target, online, rho):
    for mine, theirs in zip(target.children(), online.children(), strict=True):
        for name in ("weight", "bias"):
            value = rho * getattr(mine, name) + (1 - rho) * getattr(theirs, name)
            delattr(mine, name)
            setattr(mine, name, value)


POLYAK_WRONG = {
    "hard": mixed(lambda p, o, rho: o),
    "half": mixed(lambda p, o, rho: (p + o) / 2),
    "hard-coded": mixed(lambda p, o, rho: 0.9 * p + 0.1 * o),
    "rho-squared": mixed(lambda p, o, rho: rho**2 * p + (1 - rho**2) * o),
    "minus": mixed(lambda p, o, rho: rho * p - (1 - rho) * o),
    "shrinks-only": mixed(lambda p, o, rho: rho * p),
    "weights-not-biases": mixed(
        lambda p, o, rho: rho * p + (1 - rho) * o, lambda pairs: [x for x in pairs if x[0].ndim > 1]
    ),
    "last-layer-only": mixed(lambda p, o, rho: rho * p + (1 - rho) * o, lambda pairs: pairs[2:]),
    "nothing-at-zero": mixed(lambda p, o, rho: rho * p + (1 - rho) * o if rho else p),
    "returns-a-copy": lambda t, o, rho: mixed(lambda p, o, rho: rho * p + (1 - rho) * o)(
        copy.deepcopy(t), o, rho
    ),
    "online-too": trains_online,
    "twice": twice,
    "rounded": mixed(lambda p, o, rho: (rho * p + (1 - rho) * o).half().float()),
    "gradients-left-off": lambda t, o, rho: (
        POLYAK_RIGHT["copy"](t, o, rho),
        torch.set_grad_enabled(False),
    ),
    "tensors-for-parameters": tensors_for_parameters,
    "freezes-online": lambda t, o, rho: POLYAK_RIGHT["copy"](t, o.requires_grad_(False), rho),
}


def tracked(target, online, rho):
    for p, o in zip(target.parameters(), online.parameters(), strict=True):
        p *= rho
        p += (1 - rho) * o


POLYAK_RIGHT = {
    "copy": mixed(lambda p, o, rho: rho * p + (1 - rho) * o),
    "difference": mixed(lambda p, o, rho: o + rho * (p - o)),
    "vectors": lambda t, o, rho: nn.utils.vector_to_parameters(
        rho * nn.utils.parameters_to_vector(t.parameters()).detach()
        + (1 - rho) * nn.utils.parameters_to_vector(o.parameters()).detach(),
        t.parameters(),
    ),
    "foreach": torch.no_grad()(
        lambda t, o, rho: torch._foreach_lerp_(list(t.parameters()), list(o.parameters()), 1 - rho)
    ),
    "freezes-target": lambda t, o, rho: POLYAK_RIGHT["copy"](t.requires_grad_(False), o, rho),
}

# -------------------------------------------------------------------------------- the whole step


own_loss = loss()


def update(
    loss=own_loss,
    clip=lambda me: clip_grad_norm_(me.q_net.parameters(), me.max_grad_norm),
    step=lambda me: me.optimizer.step(),
    follow=lambda me: mixed(lambda p, o, rho: rho * p + (1 - rho) * o)(
        me.target_net, me.q_net, me.rho
    ),
    returns=lambda before, after: before.item(),
):
    def dqn_update(agent_state, batch):
        me = agent_state
        before = loss(me.q_net, me.target_net, batch, me.gamma)
        for p in me.q_net.parameters():
            p.grad = None
        before.backward()
        clip(me)
        step(me)
        after = loss(me.q_net, me.target_net, batch, me.gamma)
        follow(me)
        return returns(before, after)

    return dqn_update


def by_hand(me):
    with torch.no_grad():
        for p in me.q_net.parameters():
            p -= 0.1 * p.grad


def normalises(me):
    norm = torch.cat([p.grad.flatten() for p in me.q_net.parameters()]).norm()
    for p in me.q_net.parameters():
        p.grad *= me.max_grad_norm / norm


def steps_twice(me):
    me.optimizer.step()
    me.optimizer.step()


UPDATE_WRONG = {
    "loss-after-the-step": update(returns=lambda before, after: after.item()),
    "nothing-returned": update(returns=lambda before, after: None),
    "no-step": update(step=lambda me: None),
    "uphill": update(loss=lambda *given: -loss()(*given)),
    "steps-twice": update(step=steps_twice),
    "own-step-size": update(step=by_hand),
    "normalises": update(clip=normalises),
    "infinity-norm": update(clip=lambda me: clip_grad_norm_(me.q_net.parameters(), me.max_grad_norm, "inf")),
    "clips-at-one": update(clip=lambda me: clip_grad_norm_(me.q_net.parameters(), 1.0)),
    "clips-last-layer": update(clip=lambda me: clip_grad_norm_(me.q_net.last.parameters(), me.max_grad_norm)),
    "hard-target": update(follow=lambda me: me.target_net.load_state_dict(me.q_net.state_dict())),
    "same-network": update(follow=lambda me: setattr(me, "target_net", me.q_net)),
    "absolute-loss": update(loss=loss(distance=F.l1_loss)),
    "target-of-other-actions": update(loss=loss(pick=lambda q, a: q.mean(1))),
    "gamma-1": update(loss=lambda q, t, b, g: loss()(q, t, b, 1.0)),
    "two-batches": update(loss=lambda q, t, b, g: loss()(q, t, b, g) * 2),
}  # fmt: skip


def follows_first(agent_state, batch):
    me = agent_state
    POLYAK_RIGHT["copy"](me.target_net, me.q_net, me.rho)
    return update(follow=lambda me: None)(me, batch)


UPDATE_RIGHT = {
    "by-hand": update(),
    "tensor": update(returns=lambda before, after: before),
    "loop-loss": update(loss=loop_loss),
    "detached": update(returns=lambda before, after: before.detach()),
}

WRONG = {
    "ReplayBuffer": MEMORY_WRONG,
    "epsilon_schedule": SCHEDULE_WRONG,
    "dqn_target": LABEL_WRONG,
    "dqn_loss": LOSS_WRONG,
    "polyak_update": POLYAK_WRONG,
    "dqn_update": UPDATE_WRONG,
}
RIGHT = {
    "ReplayBuffer": MEMORY_RIGHT,
    "epsilon_schedule": SCHEDULE_RIGHT,
    "dqn_target": LABEL_RIGHT,
    "dqn_loss": LOSS_RIGHT,
    "polyak_update": POLYAK_RIGHT,
    "dqn_update": UPDATE_RIGHT,
}
NAMED = {
    "ReplayBuffer": {
        "newest-never-drawn/dictionary": memory(
            draw=lambda m, n, rng: rng.integers(max(len(m) - 1, 1), size=n)
        ),
        "next-is-obs/dictionary": memory(row=lambda o, a, r, o2, d: (o.copy(), a, r, o.copy(), d)),
        "keeps-references/dictionary": memory(row=lambda *row: row),
        "wrong-dtype/dictionary": memory(give=batch_with(reward=lambda b: b.reward.double())),
        "wrong-dtype/numpy-defaults": memory(
            give=batch_with(
                obs=lambda b: b.obs.double(),
                next_obs=lambda b: b.next_obs.double(),
                reward=lambda b: b.reward.double(),
                terminated=lambda b: b.terminated.bool(),
            )
        ),
        "keeps-references/beside-a-wrong-dtype": memory(
            row=lambda *row: row, give=batch_with(terminated=lambda b: b.terminated.bool())
        ),
        "unwritten-rows/nan": Rows,
        "forgets-the-overwrite/dictionary": memory(
            store=lambda m, row: m.rows.__setitem__(m.n, row) if m.n < m.capacity else None
        ),
    },
    "epsilon_schedule": {
        "never-stops/slope": lambda t, s, e, n: s - t * ((s - e) / n),
        "rises/comes-back": lambda t, s, e, n: s + (e - s) * t / n if t <= n else s,
        "geometric/no-floor": lambda t, s, e, n: s * (e / s) ** (t / n),
        "rises/interp": lambda t, s, e, n: float(np.interp(t, [0, n], [e, s])),
        "stops-at-zero/max": lambda t, s, e, n: max(s - t * (s - e) / n, 0),
        "integer-division/int": lambda t, s, e, n: s + (e - s) * min(int(t / n), 1),
    },
    "dqn_target": {
        "terminal-bootstrap/loop": row_by_row(lambda q: q.max(), alive=lambda d: 1.0),
        "no-gamma/loop": row_by_row(lambda q: q.max(), form=lambda r, g, v: r + v),
        "argmax/loop": row_by_row(lambda q: q.argmax()),
        "reward-masked/where": lambda r, q, d, g: torch.where(d == 1, 0.0, r + g * q.amax(1)),
        "b-by-b/unsqueezed": lambda r, q, d, g: r.unsqueeze(1) + g * (1 - d) * q.amax(1),
    },
    "dqn_loss": {
        "online-target/no-grad": loss(network=lambda online, target: online),
        "wrong-action/amax": loss(pick=lambda q, a: q.amax(1)),
        "squared-error/pow": loss(distance=lambda q, y: ((q - y) ** 2).mean()),
        "terminal-bootstrap/amax": loss(label=lambda b, q, g: b.reward + g * q.amax(1)),
        "sum/own": loss(distance=lambda q, y: own_huber(q, y) * len(y)),
        "b-by-b/gather": loss(pick=lambda q, a: q.gather(1, a[:, None])),
        "b-by-b/label": loss(
            label=lambda b, q, g: b.reward + g * (1 - b.terminated) * q.amax(1, keepdim=True)
        ),
        "every-action-in-every-row/colon": loss(pick=lambda q, a: q[:, a]),
        "blocked/detach": lambda *given: loss()(*given).detach(),
    },
    "polyak_update": {
        "rho-reversed/copy": mixed(lambda p, o, rho: (1 - rho) * p + rho * o),
        "adds-only/copy": mixed(lambda p, o, rho: p + (1 - rho) * o),
        "wrong-network/swapped": lambda t, o, rho: POLYAK_RIGHT["copy"](o, t, rho),
        "rebinds/nothing": lambda t, o, rho: None,
        "tracked/augmented": tracked,
    },
    "dqn_update": {
        "no-clipping/none": update(clip=lambda me: None),
        "target-misplaced/never": update(follow=lambda me: None),
        "rho-reversed/copy": update(
            follow=lambda me: POLYAK_RIGHT["copy"](me.target_net, me.q_net, 1 - me.rho)
        ),
        "target-misplaced/first": follows_first,
        "squared-error/own-loss": update(loss=loss(distance=F.mse_loss)),
    },
}

# Wrong answers of which the mistake is listed by now.
_LISTED = {
    "dqn_target": {
        "minimum": "not-the-best",
        "mean": "not-the-best",
        "first-action": "not-the-best",
        "mask-inverted": "mask-inverted",
        "gamma-on-reward": "reward-discounted",
    },
    "dqn_loss": {
        "absolute": "no-parabola",
        "per-sample": "not-averaged",
        "obs-for-next": "labels-from-s",
        "all-actions": "wrong-action",
        "mean-label": "not-the-best",
        "no-gamma": "no-gamma",
        "mask-inverted": "mask-inverted",
        "networks-exchanged": "networks-exchanged",
    },
    "polyak_update": {
        "hard": "hard-copy",
        "half": "a-share-of-your-own",
        "weights-not-biases": "some-weights-only",
    },
    "dqn_update": {
        "no-step": "never-steps",
        "uphill": "uphill",
        "clips-at-one": "clips-to-another-length",
        "hard-target": "hard-copy",
        "absolute-loss": "wrong-loss",
        "gamma-1": "no-gamma",
    },
    "epsilon_schedule": {
        "one-step-late": "counts-otherwise",
        "one-step-early": "counts-otherwise",
    },
}
also_named(NAMED, WRONG, _LISTED)
