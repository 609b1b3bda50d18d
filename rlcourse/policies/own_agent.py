"""An agent of one's own, put together from the pieces of `lab`: clipped policy gradients on advantages.

The reference answer to the project of lesson 20. Nothing in it is new: the policy gradient of lesson 10, GAE of
lesson 11, the clipped ratio of lesson 12 (Schulman et al. 2017), for any finite number of actions.
"""

from __future__ import annotations

import torch
from torch import nn

from rlcourse.lab.networks import mlp, output_of
from rlcourse.lab.on_policy import train_on_policy
from rlcourse.lab.optim import Adam, descend, weights_of
from rlcourse.lab.seeding import torch_seed


def train_agent(make_env, steps, seed):
    """An agent that has learned from at most `steps` transitions, greedy where it does not explore.

    make_env: a function of no arguments that returns a new environment with finite actions; seed: from which
    all randomness comes. Returns what has `act(obs, rng, explore)`, obs (N, obs_dim) → (N,) int64.
    """
    env = make_env()
    size, n_actions = env.observation_space.shape[0], int(env.action_space.n)
    gamma, lam, clip, epochs, rows, rate = 0.98, 0.8, 0.2, 20, 256, 1e-3

    class Agent:
        obs_dim, n_envs, horizon = size, 8, 32

        def __init__(self):
            self.n_actions = n_actions
            with torch_seed(seed):
                self.policy = mlp([size, 64, 64, n_actions], nn.Tanh)
                self.value = mlp([size, 64, 64, 1], nn.Tanh)
            with torch.no_grad():
                self.policy[-1].weight.mul_(0.01)  # nearly uniform at first
            self.optimizer = Adam(weights_of(self.policy, self.value), rate)
            self.upright = 0  # steps since an episode terminated

        def act(self, obs, rng, explore=True):
            logits = output_of(self.policy, obs)
            noise = rng.gumbel(size=logits.shape) if explore else 0  # softmax draws by argmax
            return (logits + noise).argmax(axis=1)

        def draw(self, obs, rng):
            return self.act(obs, rng)

        def to_env(self, action):
            return action

        def anneal(self, done):
            self.optimizer.param_groups[0]["lr"] = rate * (1 - done)

        def update(self, rollout, rng):
            fell = bool(rollout.terminated.any())
            self.upright = 0 if fell else self.upright + rollout.terminated.numel()
            with torch.no_grad():
                v, next_v = (self.value(x)[..., 0] for x in (rollout.obs, rollout.next_obs))
                delta = rollout.reward + gamma * (1 - rollout.terminated) * next_v - v
                goes_on = 1 - torch.maximum(rollout.terminated, rollout.truncated)
                adv, following = torch.empty_like(delta), torch.zeros(delta.shape[1])
                for t in reversed(range(len(delta))):
                    following = adv[t] = delta[t] + gamma * lam * goes_on[t] * following
                before = self.log_prob(rollout.obs, rollout.action)
            columns = [x.flatten(0, 1) for x in (rollout.obs, rollout.action, before, adv, adv + v)]
            for _ in range(epochs):
                for chosen in torch.from_numpy(rng.permutation(len(columns[0]))).split(rows):
                    obs, action, log_prob_old, a, returns = (x[chosen] for x in columns)
                    a = (a - a.mean()) / (a.std(correction=0) + 1e-8)
                    ratio = (self.log_prob(obs, action) - log_prob_old).exp()
                    gain = torch.minimum(ratio * a, ratio.clamp(1 - clip, 1 + clip) * a)
                    error = (self.value(obs)[:, 0] - returns).square()
                    loss = (0.5 * error - gain).mean()
                    descend(self.optimizer, loss, max_grad_norm=0.5)
            return {"loss": loss.detach()}

        def log_prob(self, obs, action):
            return self.policy(obs).log_softmax(dim=-1).gather(-1, action[..., None])[..., 0]

    agent = Agent()
    # On CartPole only failure terminates: after so many steps without, there is nothing left to learn.
    train_on_policy(agent, make_env, steps, seed, stop_when=lambda me, _: me.upright > 6_000)
    return agent
