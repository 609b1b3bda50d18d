"""Lesson 08: training, memory, acting, losses and updates of a DQN. Keys as in `lesson_00`."""

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

# ------------------------------------------------------------------------------------ one training step


def fit(
    loss=lambda p, y: F.mse_loss(p.flatten(), y),
    clear=lambda net, optimizer: optimizer.zero_grad(),
    before=lambda net, optimizer: None,
    after=lambda net, optimizer: optimizer.step(),
    returns=lambda loss, net, x, y: loss.item(),
):
    """As in PyTorch's own tutorials, with parts to spoil."""

    def training_step(net, optimizer, x, y):
        clear(net, optimizer)
        found = loss(net(x), y)
        before(net, optimizer)
        found.backward()
        after(net, optimizer)
        return returns(found, net, x, y)

    return training_step


def zero_after(net, optimizer):
    optimizer.step()
    optimizer.zero_grad()


def zero_between(net, optimizer):
    for p in net.parameters():
        p.grad.zero_()
    optimizer.step()


def one_layer(net, optimizer):
    for p in net.first.parameters():
        p.grad = None
    optimizer.step()


def plain_descent(net, optimizer):
    with torch.no_grad():
        for p in net.parameters():
            p -= 0.1 * p.grad


def own_optimizer(net, optimizer):
    torch.optim.SGD(net.parameters(), lr=optimizer.param_groups[0]["lr"]).step()


def stepped_twice(net, optimizer):
    optimizer.step()
    optimizer.step()


def nothing(*_given):
    return None


def torch_style(net, optimizer, x, y):
    pred = net(x)
    loss = F.mse_loss(pred.squeeze(-1), y)
    optimizer.zero_grad()
    optimizer.step()
    loss.backward()
    return loss.item()


def sklearn_style(net, optimizer, x, y):
    optimizer.step()
    error = net(x)[:, 0] - y
    optimizer.zero_grad()
    (error @ error / len(y)).backward()
    return float(error @ error / len(y))


def from_a_closure(net, optimizer, x, y):
    def closure():
        optimizer.zero_grad()
        loss = ((net(x).view(-1) - y) ** 2).mean()
        loss.backward()
        return loss

    return optimizer.step(closure)


def by_rows(net, optimizer, x, y):
    loss = sum((net(a[None])[0, 0] - b) ** 2 for a, b in zip(x, y, strict=True)) / len(y)
    for p in net.parameters():
        p.grad = None
    loss.backward()
    optimizer.step()
    return loss.detach()


FIT_WRONG = {
    "half": fit(loss=lambda p, y: F.mse_loss(p.flatten(), y) / 2),
    "absolute": fit(loss=lambda p, y: F.l1_loss(p.flatten(), y)),
    "huber": fit(loss=lambda p, y: F.smooth_l1_loss(p.flatten(), y)),
    "root": fit(loss=lambda p, y: F.mse_loss(p.flatten(), y).sqrt()),
    "steps-twice": fit(after=stepped_twice),
    "one-layer": fit(after=one_layer),
    "own-step-size": fit(after=plain_descent),
    "own-optimizer": fit(after=own_optimizer),
    "clipped": fit(after=lambda net, o: (nn.utils.clip_grad_norm_(net.parameters(), 0.05), o.step())),
    "nothing-returned": fit(returns=nothing),
    "predictions-returned": fit(returns=lambda loss, net, x, y: net(x)),
    "root-returned": fit(returns=lambda loss, net, x, y: loss.item() ** 0.5),
    "labels-as-inputs": lambda net, optimizer, x, y: fit()(net, optimizer, x, x[:, 0]),
    "first-row-only": lambda net, optimizer, x, y: fit()(net, optimizer, x[:1], y[:1]),
    "labels-standardised": fit(loss=lambda p, y: F.mse_loss(p.flatten(), y - y.mean())),
    "labels-in-place": lambda net, optimizer, x, y: fit()(net, optimizer, x, y.mul_(0.5)),
    "detached": fit(loss=lambda p, y: F.mse_loss(p.detach().flatten(), y).requires_grad_()),
    "sum + loss-after": fit(
        loss=lambda p, y: F.mse_loss(p.flatten(), y, reduction="sum"),
        returns=lambda loss, net, x, y: F.mse_loss(net(x).flatten(), y, reduction="sum").item(),
    ),
    "gradients-pile-up + b-by-b": fit(
        clear=nothing, loss=lambda p, y: (p - y).square().mean()
    ),
    "sum + gradients-pile-up": fit(
        clear=nothing, loss=lambda p, y: (p[:, 0] - y).square().sum()
    ),
    "b-by-b + uphill": fit(
        loss=lambda p, y: -(p - y).square().mean(), returns=lambda loss, net, x, y: -loss.item()
    ),
}  # fmt: skip
FIT_RIGHT = {
    "tutorial": fit(),
    "module": fit(loss=lambda p, y: nn.MSELoss()(p, y.unsqueeze(-1))),
    "closure": from_a_closure,
    "rows": by_rows,
    "gradients-put-to-zero": fit(clear=lambda net, o: o.zero_grad(set_to_none=False)),
    "network-cleared": fit(clear=lambda net, o: net.zero_grad()),
    "dot-product": fit(loss=lambda p, y: (p[:, 0] - y) @ (p[:, 0] - y) / len(y)),
}
FIT_NAMED = {
    "gradients-pile-up/cleared-afterwards": fit(clear=nothing, after=zero_after),
    "gradients-pile-up/never": fit(clear=nothing),
    "b-by-b/mse-loss": fit(loss=F.mse_loss),
    "b-by-b/minus": fit(loss=lambda p, y: ((p - y) ** 2).mean()),
    "sum/reduction": fit(loss=lambda p, y: F.mse_loss(p.flatten(), y, reduction="sum")),
    "clears-too-late/by-hand": fit(after=zero_between),
    "clears-too-late/optimizer": fit(after=lambda net, o: (o.zero_grad(), o.step())),
    "never-steps/nothing": fit(after=nothing),
    "step-before-backward/in-between": fit(
        clear=nothing, before=lambda net, o: o.step(), after=lambda net, o: o.zero_grad()
    ),
    "step-before-backward/cleared": torch_style,
    "step-before-backward/first-of-all": sklearn_style,
    "loss-after/again": fit(returns=lambda loss, net, x, y: ((net(x)[:, 0] - y) ** 2).mean().item()),
    "uphill/minus": fit(loss=lambda p, y: -F.mse_loss(p.flatten(), y)),
}  # fmt: skip

# --------------------------------------------------------------------------------- one step of acting


def greedy(agent):
    with torch.no_grad():
        q = agent.q_net(torch.as_tensor(agent.obs[None]))
    return q.argmax(dim=1).item()


def coin(explores):
    return lambda env, agent, rng: (
        int(rng.integers(env.action_space.n))
        if explores(rng.random(), agent.epsilon)
        else greedy(agent)
    )


epsilon_greedy = coin(lambda x, epsilon: x < epsilon)


def act(
    choose=epsilon_greedy,
    store=lambda buffer, s, a, r, s2, terminated, truncated: buffer.add(s, a, r, s2, terminated),
    go_on=lambda env, s2, over: env.reset()[0] if over else s2,
    returns=lambda r, terminated, truncated: (r, terminated or truncated),
):
    """As in CleanRL's scripts, with parts to spoil."""

    def play_step(env, agent, buffer, rng):
        s, a = agent.obs, choose(env, agent, rng)
        s2, r, terminated, truncated, _ = env.step(a)
        store(buffer, s, a, r, s2, terminated, truncated)
        agent.obs = go_on(env, s2, terminated or truncated)
        return returns(r, terminated, truncated)

    return play_step


def old_gym(env, agent, buffer, rng):
    a = int(rng.integers(env.action_space.n)) if rng.random() < agent.epsilon else greedy(agent)
    next_obs, reward, done, _info = env.step(a)
    buffer.add(agent.obs, a, reward, next_obs, done)
    agent.obs = env.reset() if done else next_obs
    return reward, done


def resets_at_the_beginning(env, agent, buffer, rng):
    """Resets in the next call, so that in between the agent shows the end."""
    if getattr(agent, "over", False):
        agent.obs = env.reset()[0]
    reward, agent.over = act(go_on=lambda env, s2, over: s2)(env, agent, buffer, rng)
    return reward, agent.over


def resets_before_storing(env, agent, buffer, rng):
    a = int(rng.integers(env.action_space.n)) if rng.random() < agent.epsilon else greedy(agent)
    next_obs, reward, terminated, truncated, _ = env.step(a)
    done = terminated or truncated
    if done:
        next_obs, _ = env.reset()
    buffer.add(agent.obs, a, reward, next_obs, terminated)
    agent.obs = next_obs
    return reward, done


def moves_before_storing(env, agent, buffer, rng):
    a = int(rng.integers(env.action_space.n)) if rng.random() < agent.epsilon else greedy(agent)
    agent.obs, reward, terminated, truncated, _ = env.step(a)
    buffer.add(agent.obs, a, reward, agent.obs, terminated)
    if terminated or truncated:
        agent.obs, _ = env.reset()
    return reward, terminated or truncated


def by_choice(env, agent, rng):
    n = env.action_space.n
    p = np.full(n, agent.epsilon / n)
    p[greedy(agent)] += 1 - agent.epsilon
    return int(rng.choice(n, p=p))


def both_drawn(env, agent, rng):
    tried = int(rng.integers(env.action_space.n))
    return tried if rng.random() < agent.epsilon else greedy(agent)


def stored(
    d=lambda terminated, truncated: terminated,
    s=lambda s, s2: s,
    s2=lambda s, s2: s2,
    r=lambda r: r,
):
    return lambda buffer, a, b, c, e, terminated, truncated: buffer.add(
        s(a, e), b, r(c), s2(a, e), d(terminated, truncated)
    )


def last_best(agent):
    q = agent.q_net(torch.as_tensor(agent.obs)).detach().numpy()
    return int(np.flatnonzero(q == q.max())[-1])


PLAY_WRONG = {
    "by-choice": act(choose=by_choice),
    "worst-action": act(choose=lambda env, agent, rng: int(rng.integers(env.action_space.n)) if rng.random() < agent.epsilon
                        else int(agent.q_net(torch.as_tensor(agent.obs)).argmin())),
    "last-best": act(choose=lambda env, agent, rng: int(rng.integers(env.action_space.n)) if rng.random() < agent.epsilon
                     else last_best(agent)),
    "a-tensor-for-an-action": act(choose=lambda env, agent, rng: agent.q_net(torch.as_tensor(agent.obs)).argmax()
                                  if rng.random() >= agent.epsilon else int(rng.integers(env.action_space.n))),
    "decays-epsilon": lambda env, agent, buffer, rng: (act()(env, agent, buffer, rng), setattr(agent, "epsilon", 0.9 * agent.epsilon))[0],
    "stores-twice": act(store=lambda buffer, *row: [stored()(buffer, *row) for _ in range(2)]),
    "stores-nothing": act(store=nothing),
    "no-ends-stored": act(store=lambda buffer, s, a, r, s2, terminated, truncated:
                          None if terminated or truncated else buffer.add(s, a, r, s2, terminated)),
    "rewards-clipped": act(store=stored(r=lambda r: max(-1.0, min(r, 1.0)))),
    "exchanged": act(store=stored(s=lambda s, s2: s2, s2=lambda s, s2: s)),
    "always-terminated": act(store=stored(d=lambda terminated, truncated: True)),
    "never-terminated": act(store=stored(d=lambda terminated, truncated: False)),
    "resets-every-step": act(go_on=lambda env, s2, over: env.reset()[0]),
    "resets-twice": act(go_on=lambda env, s2, over: (env.reset(), env.reset()[0])[1] if over else s2),
    "late-reset": resets_at_the_beginning,
    "old-gym": old_gym,
    "reward-only": act(returns=lambda r, terminated, truncated: r),
    "truncated-returned": act(returns=lambda r, terminated, truncated: (r, truncated)),
    "five-returned": act(returns=lambda r, terminated, truncated: (r, terminated, truncated)),
    "a-tensor-shown": act(go_on=lambda env, s2, over: torch.as_tensor(env.reset()[0] if over else s2)),
    "trains": lambda env, agent, buffer, rng: (agent.q_net(torch.as_tensor(agent.obs)).sum().backward(), act()(env, agent, buffer, rng))[1],
    "stores-done + over-is-terminated": act(store=stored(d=lambda a, b: a or b), returns=lambda r, a, b: (r, a)),
    "epsilon-swapped + stores-done": act(choose=coin(lambda x, e: x > e), store=stored(d=lambda a, b: a or b)),
    "next-is-obs + stale-obs": act(store=stored(s2=lambda s, s2: s), go_on=lambda env, s2, over: (env.reset() and s2) if over else s2),
    "always-greedy + over-is-terminated": act(choose=lambda env, agent, rng: greedy(agent), returns=lambda r, a, b: (r, a)),
}  # fmt: skip
PLAY_RIGHT = {
    "cleanrl": act(),
    "values-first": act(choose=lambda env, agent, rng: (lambda best: int(rng.integers(env.action_space.n))
                                                        if rng.random() < agent.epsilon else best)(greedy(agent))),
    "numpy-integer": act(choose=lambda env, agent, rng: rng.integers(env.action_space.n) if rng.random() < agent.epsilon
                         else np.argmax(agent.q_net(torch.tensor(agent.obs)).detach().numpy())),
    "zero-d": act(choose=lambda env, agent, rng: np.asarray(rng.integers(env.action_space.n)) if rng.random() < agent.epsilon
                  else np.asarray(greedy(agent))),
    "greedy-branch-first": act(choose=lambda env, agent, rng: greedy(agent) if not rng.random() < agent.epsilon
                               else int(rng.choice(env.action_space.n))),
    "flags-as-floats": act(store=stored(d=lambda terminated, truncated: float(terminated))),
    "copies": act(store=stored(s=lambda s, s2: s.copy(), s2=lambda s, s2: list(map(float, s2)))),
    "any": act(returns=lambda r, *flags: (np.float64(r), any(flags))),
    "a-batch-of-two": act(choose=lambda env, agent, rng: int(rng.integers(0, env.action_space.n)) if rng.random() < agent.epsilon
                          else int(agent.q_net(torch.as_tensor(np.stack([agent.obs] * 2)))[1].max(dim=0).indices)),
}  # fmt: skip
PLAY_NAMED = {
    "reset-as-next/gym-with-autoreset": resets_before_storing,
    "stores-done/or": act(store=stored(d=lambda terminated, truncated: terminated or truncated)),
    "stores-alive/one-minus": act(store=stored(d=lambda terminated, truncated: 1 - terminated)),
    "next-is-obs/moves-first": moves_before_storing,
    "next-is-obs/obs-twice": act(store=stored(s2=lambda s, s2: s)),
    "stale-obs/forgotten": lambda env, agent, buffer, rng: act(
        go_on=lambda env, s2, over: (env.reset() and agent.obs) if over else agent.obs
    )(env, agent, buffer, rng),
    "no-reset/never": act(go_on=lambda env, s2, over: s2),
    "reset-with-seed/42": act(go_on=lambda env, s2, over: env.reset(seed=42)[0] if over else s2),
    "epsilon-swapped/greater": act(choose=coin(lambda x, epsilon: x > epsilon)),
    "always-greedy/argmax": act(choose=lambda env, agent, rng: greedy(agent)),
    "samples-the-space/cleanrl": act(
        choose=lambda env, agent, rng: (
            env.action_space.sample() if rng.random() < agent.epsilon else greedy(agent)
        )
    ),
    "draws-otherwise/action-first": act(choose=both_drawn),
    "over-is-terminated/flag": act(returns=lambda r, terminated, truncated: (r, terminated)),
}

# ---------------------------------------------------------------------------------- what a copy does


def with_root(factor):
    return lambda kappa, eta, every: (lambda f: (f, f ** (1.0 / every)))(factor(kappa, eta, every))


def lived(kappa, eta, every, renew):
    """Steps of a prediction whose goal is 1/(1 − κ), with labels 1 + κp."""
    goal = 1 / (1 - kappa)
    p = goal + 1.0
    y = 1 + kappa * p
    for step in range(every):
        if renew(step):
            y = 1 + kappa * p
        p = p + eta * (y - p)
    return p - goal


COPY_WRONG = {
    "complement": with_root(lambda k, n, c: 1 - (k + (1 - k) * (1 - n) ** c)),
    "eta-for-its-rest": with_root(lambda k, n, c: k + (1 - k) * n**c),
    "one-step-more": with_root(lambda k, n, c: k + (1 - k) * (1 - n) ** (c + 1)),
    "one-step-less": with_root(lambda k, n, c: k + (1 - k) * (1 - n) ** (c - 1)),
    "kappa-in-the-step": with_root(lambda k, n, c: k + (1 - k) * (1 - n * k) ** c),
    "exponential": with_root(lambda k, n, c: k + (1 - k) * np.exp(-n * c)),
    "capped-at-1": with_root(lambda k, n, c: min(k + (1 - k) * (1 - n) ** c, 1.0)),
    "square-root": lambda k, n, c: (lambda f: (f, f**0.5))(k + (1 - k) * (1 - n) ** c),
    "power-for-root": lambda k, n, c: (lambda f: (f, f**c))(k + (1 - k) * (1 - n) ** c),
    "one-number": lambda k, n, c: k + (1 - k) * (1 - n) ** c,
    "an-array": lambda k, n, c: np.array(COPY_RIGHT["formula"](k, n, c)),
    "rounded": lambda k, n, c: tuple(round(x, 4) for x in COPY_RIGHT["formula"](k, n, c)),
    "logarithm": lambda k, n, c: (lambda f: (f, np.log(f) / c if f else 0.0))(k + (1 - k) * (1 - n) ** c),
    "fresh-label + not-per-step": lambda k, n, c: (lambda f: (f, f))((1 - n * (1 - k)) ** c),
    "label-for-goal + factor-over-c": lambda k, n, c: ((1 - n) ** c, (1 - n) ** c / c),
    "forgets-the-rest + order-exchanged": lambda k, n, c: with_root(lambda k, n, c: k + (1 - n) ** c)(k, n, c)[::-1],
}  # fmt: skip
COPY_RIGHT = {
    "formula": with_root(lambda k, n, c: k + (1 - k) * (1 - n) ** c),
    "lived": with_root(lambda k, n, c: max(lived(k, n, c, renew=lambda step: step == 0), 0.0)),
    "gap-closed": with_root(lambda k, n, c: 1 - (1 - k) * (1 - (1 - n) ** c)),
    "geometric-sum": with_root(lambda k, n, c: 1 - (1 - k) * n * sum((1 - n) ** i for i in range(c))),
    "mixture": with_root(lambda k, n, c: np.dot([k, 1], [1 - (1 - n) ** c, (1 - n) ** c])),
    "a-list": lambda k, n, c: list(COPY_RIGHT["formula"](k, n, c)),
}  # fmt: skip
COPY_NAMED = {
    "fresh-label/lived": with_root(lambda k, n, c: lived(k, n, c, renew=lambda step: True)),
    "label-for-goal/power": with_root(lambda k, n, c: np.power(1 - n, c)),
    "regression-finished/kappa": lambda k, n, c: (k, k ** (1 / c)),
    "linear/numpy": lambda k, n, c: (lambda f: (float(f), float(np.power(f, 1 / c))))(
        np.float64(1 - c * n * (1 - k))
    ),
    "forgets-the-rest/sum": with_root(lambda k, n, c: (1 - n) ** c + k),
    "label-every-step/power": lambda k, n, c: (k**c, k),
    "factor-over-c/divided": lambda k, n, c: (lambda f: (f, f / c))(COPY_RIGHT["formula"](k, n, c)[0]),
    "not-per-step/twice": lambda k, n, c: (COPY_RIGHT["formula"](k, n, c)[0],) * 2,
}  # fmt: skip

# -------------------------------------------------------------------------------------- the label


def row_by_row(best, alive=lambda d: 1 - d, form=lambda r, g, v: r + g * v):
    def dqn_target(reward, q_next, terminated, gamma):
        rows = zip(reward, q_next, terminated, strict=True)
        return torch.stack([form(r, gamma, alive(d) * best(q)) for r, q, d in rows])

    return dqn_target


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
    "any-end-ends-all": lambda r, q, d, g: r + g * (1 - d.amax()) * q.amax(1),
    "reward-in-place": lambda r, q, d, g: r.add_(g * (1 - d) * q.amax(1)),
    "whole-numbers": lambda r, q, d, g: (r + g * (1 - d) * q.amax(1)).round(),
}
LABEL_RIGHT = {
    "loop": row_by_row(lambda q: q.max()),
    "python-numbers": row_by_row(lambda q: max(q.tolist())),
    "masked-fill": lambda r, q, d, g: r + g * q.amax(1).masked_fill(d == 1, 0.0),
    "numpy-inside": lambda r, q, d, g: r + g * (1 - d) * torch.from_numpy(q.numpy().max(axis=1)),
    "top-k": lambda r, q, d, g: torch.add(r, (1 - d) * q.topk(1).values[:, 0], alpha=g),
    "keepdim": lambda r, q, d, g: (r[:, None] + g * (1 - d[:, None]) * q.amax(1, keepdim=True)).view(-1),
    "zeroes-in-place": lambda r, q, d, g: r + g * q.mul_(1 - d[:, None]).amax(1),
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


def labelled(label):
    """The loss with a label of r, the values of s′, d and γ."""
    return loss(label=lambda b, q, g: label(b.reward, q, b.terminated, g))


LOSS_WRONG = {f"label-{key}": labelled(label) for key, label in LABEL_WRONG.items()} | {
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


LOSS_RIGHT = {f"label-{key}": labelled(label) for key, label in LABEL_RIGHT.items()} | {
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
    "training_step": FIT_WRONG,
    "ReplayBuffer": MEMORY_WRONG,
    "play_step": PLAY_WRONG,
    "copy_factor": COPY_WRONG,
    "dqn_loss": LOSS_WRONG,
    "polyak_update": POLYAK_WRONG,
    "dqn_update": UPDATE_WRONG,
}
RIGHT = {
    "training_step": FIT_RIGHT,
    "ReplayBuffer": MEMORY_RIGHT,
    "play_step": PLAY_RIGHT,
    "copy_factor": COPY_RIGHT,
    "dqn_loss": LOSS_RIGHT,
    "polyak_update": POLYAK_RIGHT,
    "dqn_update": UPDATE_RIGHT,
}
NAMED = {
    "training_step": FIT_NAMED,
    "play_step": PLAY_NAMED,
    "copy_factor": COPY_NAMED,
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
    "dqn_loss": {
        "terminal-bootstrap/loop": labelled(row_by_row(lambda q: q.max(), alive=lambda d: 1.0)),
        "no-gamma/loop": labelled(row_by_row(lambda q: q.max(), form=lambda r, g, v: r + v)),
        "argmax/loop": labelled(row_by_row(lambda q: q.argmax())),
        "reward-masked/where": labelled(
            lambda r, q, d, g: torch.where(d == 1, 0.0, r + g * q.amax(1))
        ),
        "b-by-b/unsqueezed": labelled(lambda r, q, d, g: r.unsqueeze(1) + g * (1 - d) * q.amax(1)),
        "b-by-b/ends": labelled(lambda r, q, d, g: r + g * (1 - d.view(-1, 1)) * q.amax(1)),
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
    "dqn_loss": {
        "label-minimum": "not-the-best",
        "label-mean": "not-the-best",
        "label-first-action": "not-the-best",
        "label-mask-inverted": "mask-inverted",
        "label-gamma-on-reward": "reward-discounted",
        "label-column": "b-by-b",
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
}
also_named(NAMED, WRONG, _LISTED)
