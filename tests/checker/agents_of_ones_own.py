"""Projects as students may write them, by other methods than the course's: each a `train_agent` and its task."""

from __future__ import annotations

import numpy as np

from rlcourse.lab.budget import TASKS, Task


class _Greedy:
    def __init__(self, values):
        self.values = values

    def act(self, obs, rng, explore=True):
        return np.array([int(np.argmax(self.values(row))) for row in obs])


def _drive(env, steps, rng, choose, learn):
    """Play for `steps` steps; learn(obs, action, reward, next_obs, terminated, ended) after each."""
    obs, _ = env.reset(seed=int(rng.integers(2**31)))
    for step in range(steps):
        action = choose(obs, step)
        following, reward, terminated, truncated, _ = env.step(action)
        ended = terminated or truncated
        learn(obs, action, reward, following, terminated, ended)
        obs = env.reset()[0] if ended else following


def _cell(obs, low, high, cells):
    return tuple(((np.clip(obs, low, high - 1e-9) - low) / (high - low) * cells).astype(int))


def q_learning(make_env, steps, seed):
    """A table over bins of CartPole's observation."""
    env, rng = make_env(), np.random.default_rng(seed)
    low, high = np.array([-2.4, -2.0, -0.21, -2.2]), np.array([2.4, 2.0, 0.21, 2.2])
    cells = np.array([3, 4, 8, 8])
    q = np.zeros((*cells, 2))

    def choose(obs, step):
        epsilon = max(0.02, 1 - step / (0.3 * steps))
        if rng.random() < epsilon:
            return int(rng.integers(2))
        return int(q[_cell(obs, low, high, cells)].argmax())

    def learn(obs, action, reward, following, terminated, ended):
        at = (*_cell(obs, low, high, cells), action)
        best = q[_cell(following, low, high, cells)].max()
        q[at] += 0.2 * (reward + 0.99 * (1 - terminated) * best - q[at])

    _drive(env, steps, rng, choose, learn)
    return _Greedy(lambda obs: q[_cell(obs, low, high, cells)])


def sarsa_with_tiles(make_env, steps, seed):
    """Eight tilings of 8 × 8 over Mountain Car."""
    env, rng = make_env(), np.random.default_rng(seed)
    low, high = np.array([-1.2, -0.07]), np.array([0.6, 0.07])
    shifts = np.array([[i / 8, (3 * i % 8) / 8] for i in range(8)])
    w = np.zeros((8, 9, 9, 3))
    which = np.arange(8)

    def tiles(obs):
        where = ((np.asarray(obs) - low) / (high - low) * 8 + shifts).astype(int)
        return which, where[:, 0], where[:, 1]

    def values(obs):
        return w[tiles(obs)].sum(axis=0)

    def choose(obs):
        return int(rng.integers(3)) if rng.random() < 0.01 else int(values(obs).argmax())

    obs, _ = env.reset(seed=int(rng.integers(2**31)))
    action = choose(obs)
    for _ in range(steps):
        following, reward, terminated, truncated, _ = env.step(action)
        next_action = choose(following)
        target = reward + (1 - terminated) * values(following)[next_action]
        w[(*tiles(obs), action)] += 0.5 / 8 * (target - values(obs)[action])
        if terminated or truncated:
            following, _ = env.reset()
            next_action = choose(following)
        obs, action = following, next_action
    return _Greedy(values)


def reinforce(make_env, steps, seed):
    """A softmax that is linear in the observation, returns to go, and a running mean as the baseline."""
    env, rng = make_env(), np.random.default_rng(seed)
    scale = np.array([2.4, 2.0, 0.21, 2.0])
    w, left = np.zeros((4, 2)), steps
    second = np.zeros_like(w)
    baseline, updates = np.zeros(500), 0
    obs, _ = env.reset(seed=int(rng.integers(2**31)))
    while left > 0:
        seen, done, rewards, over = [], [], [], False
        while not over and left > 0:
            x = obs / scale
            p = np.exp(x @ w - (x @ w).max())
            action = int(rng.random() < p[1] / p.sum())
            obs, reward, terminated, truncated, _ = env.step(action)
            seen.append(x), done.append(action), rewards.append(reward)
            over, left = terminated or truncated, left - 1
        if over:
            obs, _ = env.reset()
        togo = np.cumsum(rewards[::-1])[::-1]
        advantage = togo - baseline[: len(togo)]
        baseline[: len(togo)] += 0.05 * advantage
        x, a = np.array(seen), np.array(done)
        p = np.exp(x @ w)
        p /= p.sum(axis=1, keepdims=True)
        gradient = x.T @ ((np.eye(2)[a] - p) * advantage[:, None]) / len(togo)
        updates += 1
        second = 0.99 * second + 0.01 * gradient**2
        w += 0.1 * gradient / (np.sqrt(second / (1 - 0.99**updates)) + 1e-8)
    return _Greedy(lambda row: (row / scale) @ w)


def small_dqn(make_env, steps, seed):
    """DQN, all of it torch's own: no piece of the course."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    env, rng = make_env(), np.random.default_rng(seed)

    def network():
        layers = [torch.nn.Linear(4, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2)]
        net = torch.nn.Sequential(*layers)
        for weight in net.parameters():
            with torch.no_grad():
                weight.uniform_(-0.2, 0.2, generator=generator)
        return net

    net, target = network(), network()
    target.load_state_dict(net.state_dict())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    memory = [np.zeros((steps, n), np.float32) for n in (4, 1, 1, 4, 1)]
    count = 0

    def values(row):
        with torch.no_grad():
            return net(torch.as_tensor(np.asarray(row, np.float32))).numpy()

    def choose(obs, step):
        epsilon = max(0.05, 1 - step / (0.3 * steps))
        return int(rng.integers(2)) if rng.random() < epsilon else int(values(obs).argmax())

    def learn(obs, action, reward, following, terminated, ended):
        nonlocal count
        for column, x in zip(memory, (obs, action, reward, following, terminated), strict=True):
            column[count] = x
        count += 1
        if count < 500 or count % 8:
            return
        rows = rng.integers(count, size=64)
        s, a, r, s2, d = (torch.from_numpy(column[rows]) for column in memory)
        with torch.no_grad():
            y = r[:, 0] + 0.98 * (1 - d[:, 0]) * target(s2).max(dim=1).values
        q = net(s).gather(1, a.long())[:, 0]
        loss = torch.nn.functional.smooth_l1_loss(q, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if count % 400 == 0:
            target.load_state_dict(net.state_dict())

    _drive(env, steps, rng, choose, learn)
    return _Greedy(values)


def counting_and_planning(make_env, steps, seed):
    """Mountain Car in cells: transitions are counted, and the counted model is solved by value iteration."""
    env, rng = make_env(), np.random.default_rng(seed)
    low, high, cells = np.array([-1.2, -0.07]), np.array([0.6, 0.07]), np.array([36, 28])
    n, end = int(cells.prod()), int(cells.prod())
    counts = np.zeros((n, 3, n + 1), np.float32)
    q = np.zeros((n, 3))

    def index(obs):
        return int(np.ravel_multi_index(_cell(obs, low, high, cells), cells))

    def plan():
        visits = counts.sum(axis=2)
        model = counts / np.maximum(visits, 1)[..., None]
        for _ in range(200):
            v = np.append(q.max(axis=1), 0.0)
            # Where nothing was tried, the best is hoped for.
            q[:] = np.where(
                visits > 0, -1 + 0.995 * (model.reshape(-1, n + 1) @ v).reshape(n, 3), 0.0
            )

    def choose(obs, step):
        if step % 5_000 == 0 and step:
            plan()
        best = q[index(obs)]
        return int(rng.choice(np.flatnonzero(best == best.max())))

    def learn(obs, action, reward, following, terminated, ended):
        counts[index(obs), action, end if terminated else index(following)] += 1

    _drive(env, steps, rng, choose, learn)
    plan()
    return _Greedy(lambda obs: q[index(obs)])


# The budgets and marks of the course where the method reaches them; where it is too weak, a mark that says
# that it has learned something: a random policy gets 22 on CartPole, and -200 on Mountain Car.
ALSO_RIGHT = {
    "Q-learning with bins": (q_learning, Task("CartPole-v1", 50_000, 100.0)),
    "SARSA with tiles": (sarsa_with_tiles, TASKS["MountainCar-v0"]),
    "REINFORCE": (reinforce, Task("CartPole-v1", 50_000, 100.0)),
    "a small DQN in torch": (small_dqn, Task("CartPole-v1", 20_000, 80.0)),
    "counting and planning": (counting_and_planning, TASKS["MountainCar-v0"]),
}
