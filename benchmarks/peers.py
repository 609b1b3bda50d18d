"""Stable-Baselines3's side: its agents with its own settings, trained and watched as ours are.

Imported only here, never by the course: `pip install -e '.[bench]'`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise

KINDS = {"DQN": DQN, "PPO": PPO, "A2C": A2C, "DDPG": DDPG, "TD3": TD3, "SAC": SAC}


def falling(first: float) -> Callable[[float], float]:
    """`lin_…` of the zoo: from `first` to 0 with the share of the run that is left."""
    return lambda left: first * left


# The zoo's settings: DLR-RM/rl-baselines3-zoo, hyperparams/{dqn,ppo,a2c,ddpg,td3,sac}.yml at commit
# 22e3ff2 (April 2026), for CartPole-v1 and Pendulum-v1; what is not named is the library's default.
_NOISY = {"action_noise": NormalActionNoise(np.zeros(1), 0.1 * np.ones(1))}
ZOO = {
    "DQN": dict(
        env="CartPole-v1", n_envs=1, steps=50_000,
        settings=dict(
            learning_rate=2.3e-3, batch_size=64, buffer_size=100_000, learning_starts=1_000,
            gamma=0.99, target_update_interval=10, train_freq=256, gradient_steps=128,
            exploration_fraction=0.16, exploration_final_eps=0.04,
            policy_kwargs={"net_arch": [256, 256]},
        ),
    ),
    "PPO": dict(
        env="CartPole-v1", n_envs=8, steps=100_000,
        settings=dict(
            n_steps=32, batch_size=256, gae_lambda=0.8, gamma=0.98, n_epochs=20, ent_coef=0.0,
            learning_rate=falling(1e-3), clip_range=falling(0.2),
        ),
    ),
    "A2C": dict(env="CartPole-v1", n_envs=8, steps=500_000, settings=dict(ent_coef=0.0)),
    "DDPG": dict(
        env="Pendulum-v1", n_envs=1, steps=20_000,
        settings=dict(
            gamma=0.98, buffer_size=200_000, learning_starts=10_000, train_freq=1,
            gradient_steps=1, learning_rate=1e-3, policy_kwargs={"net_arch": [400, 300]}, **_NOISY,
        ),
    ),
    "TD3": dict(
        env="Pendulum-v1", n_envs=1, steps=20_000,
        settings=dict(
            gamma=0.98, buffer_size=200_000, learning_starts=10_000, train_freq=1,
            gradient_steps=1, learning_rate=1e-3, policy_kwargs={"net_arch": [400, 300]}, **_NOISY,
        ),
    ),
    "SAC": dict(
        env="Pendulum-v1", n_envs=1, steps=20_000, settings=dict(learning_rate=1e-3),
    ),
}  # fmt: skip


class Greedy:
    """Its greedy policy, as `rlcourse.lab.evaluation.evaluate` asks for it."""

    def __init__(self, model: BaseAlgorithm) -> None:
        self.model = model

    def act(self, obs: np.ndarray, rng, explore: bool = False) -> np.ndarray:
        return self.model.predict(obs, deterministic=not explore)[0]


class Checkpoints(BaseCallback):
    """Ask `stop_when(policy, steps)` every `every` transitions; True ends the training."""

    def __init__(self, stop_when: Callable, every: int) -> None:
        super().__init__()
        self.stop_when, self.every, self.last = stop_when, every, 0

    def _on_step(self) -> bool:
        if self.num_timesteps < self.last + self.every:
            return True
        self.last = self.num_timesteps
        return not self.stop_when(Greedy(self.model), self.num_timesteps)


def train(
    name: str,
    env: str,
    steps: int,
    seed: int,
    *,
    n_envs: int,
    settings: dict,
    stop_when: Callable | None = None,
    stop_every: int = 1_000,
) -> Greedy:
    """Train one of `KINDS` on the CPU; returns its greedy policy."""
    envs = make_vec_env(env, n_envs, seed=seed)
    model = KINDS[name]("MlpPolicy", envs, seed=seed, device="cpu", **settings)
    model.learn(steps, callback=Checkpoints(stop_when, stop_every) if stop_when else None)
    envs.close()
    return Greedy(model)
