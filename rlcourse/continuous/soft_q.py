r"""Soft Q-learning: the policy is $e^{Q/\alpha}/Z$ itself, sampled by a network (lesson 17).

$V(s) = \alpha \log \int e^{Q(s,a)/\alpha} da$ is estimated by importance sampling; a sampler network turns
noise into actions and follows Stein variational gradient descent (SVGD) towards $e^{Q/\alpha}$, so that it
can keep several modes where a Gaussian fails.

Networks: `q_net(obs, action) -> (B,)`, `sampler(obs, noise) -> (B, D)` before tanh; actions live in
(−1, 1)^D inside the agent and are scaled to the environment's box at its border. α is in units of
reward per nat; K is the number of actions drawn in a state.

Sources: Haarnoja et al. 2017 (arXiv 1702.08165), Algorithm 1; Liu & Wang 2016 (arXiv 1608.04471) for SVGD;
Feng, Wang & Liu 2017 for the amortised sampler.

Differences from the papers: the particles, the kernel and the target density live before tanh, with
tanh's log-determinant in the density, so that nothing is clipped at the box's border (the paper leaves it
open); the sampled state values use a uniform proposal throughout (the paper changes to the policy
later); the target is a Polyak average; there is no target sampler, which the authors call a mistake in the
paper; a time limit does not end the bootstrap; acting greedily means the best by Q of some
actions from the sampler.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import mse_loss, softplus

from rlcourse.lab.agents import Preset, functions_for
from rlcourse.lab.networks import HIDDEN, Critic, mlp, output_of, polyak_update
from rlcourse.lab.optim import descend
from rlcourse.lab.seeding import torch_seed

from .agent import BoxAgent, adam
from .noise import standard_normal

# ------------------------------------------------------------------------------------ the equations


def soft_value_estimate(q, log_q_proposal, alpha) -> torch.Tensor:
    r"""$\hat V(s) = \alpha \log \frac1K \sum_k \frac{e^{Q(s,a_k)/\alpha}}{q'(a_k)}$ — Haarnoja et al. 2017, eq. 10.

    q: (B, K) at actions drawn from the proposal; log_q_proposal: its log-densities there, (B, K), (K,) or a
    number (uniform on (−1, 1)^D: −D log 2); alpha > 0. Returns (B,). Q/α may be of any size. Biased low
    for finite K (Jensen); exact in the limit.
    """
    k = q.shape[1]
    return alpha * (torch.logsumexp(q / alpha - log_q_proposal, dim=1) - math.log(k))


def soft_q_target(reward, v_next, terminated, gamma) -> torch.Tensor:
    r"""$y = r + \gamma(1-d)\,\hat V_{\phi_{targ}}(s')$ — Haarnoja et al. 2017, below eq. 11.

    All (B,). Returns (B,), detached.
    """
    return torch.where(terminated == 1, reward, reward + gamma * v_next.detach())


def median_bandwidth(x, y) -> torch.Tensor:
    r"""$h = \mathrm{med}_{ij}\|x_i-y_j\|^2 / \log(K+1)$, a particle's 0 to itself included — Liu & Wang 2016, §5.

    Then $\sum_k e^{-med/h} ≈ 1$: a particle and all the others together weigh the same. K + 1 instead of K, as in
    their code, keeps it finite for one particle; never below 10⁻³. Of an even number of distances the mean of the
    two middle ones: the lower one is 0 for two particles, which would not feel each other.

    x: (..., K, D), y: (..., M, D). Returns (..., 1, 1), detached.
    """
    distance2 = squared_distances(x, y).detach()
    ordered = distance2.flatten(start_dim=-2).sort(dim=-1).values
    n = ordered.shape[-1]
    median = (ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2
    return (median / math.log(x.shape[-2] + 1)).clamp_min(1e-3)[..., None, None]


def rbf_kernel(x, y, bandwidth) -> torch.Tensor:
    r"""$k(x_i, y_j) = e^{-\|x_i - y_j\|^2 / h}$.

    x: (..., K, D); y: (..., M, D); bandwidth h > 0, a number or broadcastable to (..., K, M).
    Returns (..., K, M).
    """
    return torch.exp(-squared_distances(x, y) / bandwidth)


def squared_distances(x, y) -> torch.Tensor:
    """$\\|x_i - y_j\\|^2$. x: (..., K, D); y: (..., M, D). Returns (..., K, M)."""
    return (x[..., :, None, :] - y[..., None, :, :]).square().sum(dim=-1)


def svgd_direction(x, score, y, bandwidth) -> torch.Tensor:
    r"""$\Delta(y_j) = \frac1K \sum_i [k(x_i, y_j)\, \nabla \log p(x_i) + \nabla_{x_i} k(x_i, y_j)]$ — Liu & Wang 2016, eq. 8.

    The first term climbs log p with its neighbours, the second, $\frac2h (y_j - x_i)\,k$, pushes apart. One
    particle (x = y) climbs log p.

    x, score: (..., K, D), score = ∇ log p at x; y: (..., M, D), the particles to move; bandwidth as in
    `rbf_kernel`. Returns (..., M, D).
    """
    k = rbf_kernel(x, y, bandwidth)
    pull = k.transpose(-1, -2) @ score
    slope = k * 2 / bandwidth  # ∇_x k = slope · (y − x)
    push = y * slope.sum(dim=-2)[..., None] - slope.transpose(-1, -2) @ x
    return (pull + push) / x.shape[-2]


def two_particles(mean, std, bandwidth) -> tuple[float, float]:
    r"""$x = \mu \pm \tfrac12\sqrt{h \log(1 + 4\sigma^2/h)}$: where two particles that follow `svgd_direction` stand still apart.

    Target $\mathcal N(\mu, \sigma^2)$ in one dimension, kernel $e^{-(x-y)^2/h}$ with h fixed. Adding both directions leaves
    μ in the middle; with half the distance d, $k = e^{-4d^2/h}$, either of them is 0 where $k\,(1 + 4\sigma^2/h) = 1$.

    mean: μ; std: σ > 0; bandwidth: h > 0. Returns the smaller position and the larger one.
    """
    half = 0.5 * math.sqrt(bandwidth * math.log1p(4 * std**2 / bandwidth))
    return mean - half, mean + half


def soft_policy_score(q_net, obs, u, alpha) -> torch.Tensor:
    r"""$\nabla_u [Q(s, \tanh u)/\alpha + \sum_j \log(1-\tanh^2 u_j)]$, the slope of log π before tanh.

    π ∝ $e^{Q/\alpha}$ in (−1, 1)^D, Haarnoja et al. 2017, eq. 4. obs: (B, obs_dim); u: (B, K, D). Returns (B, K, D),
    detached; no `.grad` is touched.
    """
    u = u.detach().requires_grad_()
    log_det = 2 * (math.log(2) - u - softplus(-2 * u)).sum(dim=-1)
    log_p = q_of_many(q_net, obs, torch.tanh(u)) / alpha + log_det
    return torch.autograd.grad(log_p.sum(), u)[0]


def q_of_many(q_net, obs, actions) -> torch.Tensor:
    """Q of K actions in each state. obs: (B, obs_dim); actions: (B, K, D). Returns (B, K)."""
    b, k, _ = actions.shape
    return q_net(obs.repeat_interleave(k, dim=0), actions.flatten(end_dim=1)).view(b, k)


def sample_many(sampler, obs, noise) -> torch.Tensor:
    """K actions before tanh in each state. obs: (B, obs_dim); noise: (B, K, D). Returns (B, K, D)."""
    k = noise.shape[1]
    return sampler(obs.repeat_interleave(k, dim=0), noise.flatten(end_dim=1)).view(noise.shape)


# ------------------------------------------------------------------------------------- the algorithm


def soft_q_update(
    agent_state,
    batch,
    proposal,
    noise,
    *,
    soft_value_estimate=soft_value_estimate,
    soft_q_target=soft_q_target,
    median_bandwidth=median_bandwidth,
    svgd_direction=svgd_direction,
    soft_policy_score=soft_policy_score,
    polyak_update=polyak_update,
) -> dict[str, torch.Tensor]:
    """One round of Algorithm 1, in place: Q, sampler against the new Q, target of Q.

    agent_state: q_net, q_targ, sampler, q_optimizer, sampler_optimizer, alpha, gamma, rho. batch: obs,
    action, reward, next_obs, terminated. proposal: (B, K, D), uniform in (−1, 1): actions at s' for
    the soft value. noise: (B, K, D), standard normal: the sampler's particles at s. Q has ½ mean
    squared error (eq. 11). The sampler's gradient is the SVGD direction, back through the sampler
    (eq. 14). Returns the loss of Q before its step, and the mean length of the SVGD direction.
    """
    me = agent_state
    with torch.no_grad():
        q_next = q_of_many(me.q_targ, batch.next_obs, proposal)
        log_uniform = -proposal.shape[-1] * math.log(2)
        v_next = soft_value_estimate(q_next, log_uniform, me.alpha)
    y = soft_q_target(batch.reward, v_next, batch.terminated, me.gamma)
    q_loss = 0.5 * mse_loss(me.q_net(batch.obs, batch.action), y)
    descend(me.q_optimizer, q_loss)

    u = sample_many(me.sampler, batch.obs, noise)
    at = u.detach()  # the direction is a label; whoever computes it may differentiate inside
    score = soft_policy_score(me.q_net, batch.obs, at, me.alpha)
    direction = svgd_direction(at, score, at, median_bandwidth(at, at)).detach()
    descend(me.sampler_optimizer, -(u * direction).sum(dim=-1).mean())

    polyak_update(me.q_targ, me.q_net, me.rho)
    return {"q_loss": q_loss.detach(), "svgd_length": direction.norm(dim=-1).mean()}


# ----------------------------------------------------------------------------------------- the agent


class Sampler(torch.nn.Module):
    """Noise into actions before tanh, given the state: obs (B, obs_dim), noise (B, D) → (B, D).

    The network's output is added to the noise, so that a new sampler's actions are spread out: a network alone begins
    as a dot, and a hill that no particle stands near is never found.
    """

    def __init__(self, obs_dim: int, act_dim: int, hidden: Sequence[int] = HIDDEN) -> None:
        super().__init__()
        self.layers = mlp([obs_dim + act_dim, *hidden, act_dim])

    def forward(self, obs: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return noise + self.layers.forward(torch.cat([obs, noise], dim=-1))

    def numpy(self, obs: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return noise + self.layers.numpy(np.concatenate([obs, noise], axis=-1))


@dataclass
class SoftQ(BoxAgent):
    """Q, its slow copy, and a sampler of $e^{Q/\\alpha}$.

    alpha: reward per nat; particles: K; gamma: discount; rho: Polyak; lr: of Q; sampler_lr;
    seed: of the first weights. Greedy: the best by Q of `candidates` draws of the sampler, the
    same noise every time. The functions below can be replaced.
    """

    hidden: Sequence[int] = HIDDEN
    alpha: float = 0.2
    particles: int = 16
    candidates: int = 32
    gamma: float = 0.98
    rho: float = 0.99
    lr: float = 1e-3
    sampler_lr: float = 1e-3
    seed: int = 0
    soft_value_estimate: Callable = soft_value_estimate
    soft_q_target: Callable = soft_q_target
    median_bandwidth: Callable = median_bandwidth
    svgd_direction: Callable = svgd_direction
    soft_policy_score: Callable = soft_policy_score
    polyak_update: Callable = polyak_update
    soft_q_update: Callable = soft_q_update

    def __post_init__(self) -> None:
        super().__post_init__()
        with torch_seed(self.seed):
            self.q_net = Critic(self.obs_dim, self.act_dim, self.hidden)
            self.sampler = Sampler(self.obs_dim, self.act_dim, self.hidden)
        self.q_targ = deepcopy(self.q_net)
        self.q_optimizer = adam(self.q_net, lr=self.lr)
        self.sampler_optimizer = adam(self.sampler, lr=self.sampler_lr)
        # The same noise whenever the agent acts greedily, so that it is a function of the state.
        shape = (1, self.candidates, self.act_dim)
        self.greedy_noise = standard_normal(shape, np.random.default_rng(self.seed))

    def choose(self, obs, rng, explore):
        if explore:
            noise = rng.standard_normal((len(obs), self.act_dim), dtype=np.float32)
            return np.tanh(output_of(self.sampler, obs, noise))
        with torch.no_grad():
            obs, noise = torch.from_numpy(obs), self.greedy_noise.expand(len(obs), -1, -1)
            actions = torch.tanh(sample_many(self.sampler, obs, noise))
            best = q_of_many(self.q_net, obs, actions).argmax(dim=1)
            return actions[torch.arange(len(obs)), best].numpy()

    def learn(self, batch, rng):
        shape = (len(batch.obs), self.particles, self.act_dim)
        proposal = torch.from_numpy(2 * rng.random(shape, dtype=np.float32) - 1)
        noise = standard_normal(shape, rng)
        return self.soft_q_update(
            self, batch, proposal, noise, **functions_for(self, self.soft_q_update)
        )


PENDULUM = Preset("Pendulum-v1", {}, {"steps": 10_000, "warmup": 1_000, "batch_size": 64})
# For `two_goals.two_goals`: each goal is reached in about half of the episodes.
TWO_GOALS = Preset("TwoGoals", {}, {"steps": 6_000, "warmup": 500, "batch_size": 64})
