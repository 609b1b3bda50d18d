"""Small networks in torch, the same networks in NumPy, and a step computed without autograd.

The NumPy side shares nothing with the package: forward passes by matrix products, losses by loops,
gradients by central differences, plain gradient descent, Polyak averages by their formula.
"""

import copy
from types import SimpleNamespace

import numpy as np
import torch

OBS, ACT, HIDDEN, BATCH = 3, 2, 5, 6
STEP_SIZE, RHO, GAMMA = 0.1, 0.9, 0.97


class Net(torch.nn.Module):
    """One hidden tanh layer, float64."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(n_in, HIDDEN).double()
        self.out = torch.nn.Linear(HIDDEN, n_out).double()

    def body(self, x):
        return self.out(torch.tanh(self.hidden(x)))


class Critic(Net):
    def __init__(self) -> None:
        super().__init__(OBS + ACT, 1)

    def forward(self, obs, action):
        return self.body(torch.cat([obs, action], dim=-1)).squeeze(-1)


class Value(Net):
    def __init__(self) -> None:
        super().__init__(OBS, 1)

    def forward(self, obs):
        return self.body(obs).squeeze(-1)


class Actor(Net):
    def __init__(self) -> None:
        super().__init__(OBS, ACT)

    def forward(self, obs):
        return torch.tanh(self.body(obs))


class Policy(Net):
    def __init__(self) -> None:
        super().__init__(OBS, 2 * ACT)

    def forward(self, obs):
        return self.body(obs).chunk(2, dim=-1)


class Sampler(Net):
    def __init__(self) -> None:
        super().__init__(OBS + ACT, ACT)

    def forward(self, obs, noise):
        return self.body(torch.cat([obs, noise], dim=-1))


def weights(net) -> list[np.ndarray]:
    return [p.detach().numpy().copy() for p in net.parameters()]


def forward(w, *inputs) -> np.ndarray:
    """What `Net.body` does to one row."""
    return w[2] @ np.tanh(w[0] @ np.concatenate(inputs) + w[1]) + w[3]


def gradient(loss, w, eps=1e-6) -> list[np.ndarray]:
    """Central differences of `loss(w)` in every weight."""
    result = [np.zeros_like(part) for part in w]
    for part, g in zip(w, result, strict=True):
        for i in np.ndindex(part.shape):
            kept = part[i]
            part[i] = kept + eps
            above = loss(w)
            part[i] = kept - eps
            g[i] = (above - loss(w)) / (2 * eps)
            part[i] = kept
    return result


def descended(loss, w) -> list[np.ndarray]:
    return [part - STEP_SIZE * g for part, g in zip(w, gradient(loss, w), strict=True)]


def averaged(target, online) -> list[np.ndarray]:
    return [RHO * t + (1 - RHO) * o for t, o in zip(target, online, strict=True)]


def assert_weights(net, expected) -> None:
    for p, w in zip(net.parameters(), expected, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), w, atol=2e-8)


def other(net):
    """A target network: same shape, other weights, so that a mix-up shows."""
    result = copy.deepcopy(net)
    with torch.no_grad():
        for p in result.parameters():
            p.add_(0.3 * torch.randn(p.shape, dtype=p.dtype))
    return result


def sgd(*nets):
    return torch.optim.SGD([p for net in nets for p in net.parameters()], lr=STEP_SIZE)


def with_stale_gradients(state):
    """Every network starts with gradients left over from something else."""
    for value in vars(state).values():
        if isinstance(value, torch.nn.Module):
            for p in value.parameters():
                p.grad = torch.ones_like(p)
    return state


def make_batch():
    """A batch with one end in it, and the noise of two draws."""
    torch.manual_seed(0)
    batch = SimpleNamespace(
        obs=torch.randn(BATCH, OBS).double(),
        action=torch.rand(BATCH, ACT).double() * 2 - 1,
        reward=torch.randn(BATCH).double(),
        next_obs=torch.randn(BATCH, OBS).double(),
        terminated=torch.tensor([0, 1, 0, 0, 1, 0]).double(),
    )
    return batch, torch.randn(BATCH, ACT).double(), torch.randn(BATCH, ACT).double()


def rows(batch):
    """The batch row by row: s, a, r, s', d."""
    columns = (batch.obs, batch.action, batch.reward, batch.next_obs, batch.terminated)
    return list(zip(*(c.numpy() for c in columns), strict=True))
