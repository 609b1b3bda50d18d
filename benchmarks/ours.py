"""Our side: what is compared with what, and every system of the course with its budget and its mark."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from students import handed_in

from rlcourse.continuous import ddpg, sac, soft_q, td3
from rlcourse.continuous.two_goals import two_goals
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.on_policy import train_on_policy
from rlcourse.policies import actor_critic, ppo, reinforce
from rlcourse.values import double_dqn, dqn, linear, prioritised

EPISODES, EVALUATION_SEED = 20, 10_000


# --- the same work on both sides ----------------------------------------------------------------


@dataclass
class Same:
    """One algorithm with the same network, batch and number of updates on both sides."""

    env: str
    steps: int
    kind: type
    settings: dict[str, Any]
    training: dict[str, Any]
    peer: str
    peer_settings: dict[str, Any]
    n_envs: int = 1


def _off_policy(kind, peer, size, batch_size, steps, warmup=100) -> Same:
    """DDPG, TD3 or SAC: one update a step, two hidden layers of `size` units."""
    return Same(
        env="Pendulum-v1", steps=steps, kind=kind, peer=peer,
        settings={"hidden": (size, size)},
        training={"warmup": warmup, "batch_size": batch_size},
        peer_settings={
            "learning_rate": 1e-3, "batch_size": batch_size, "learning_starts": warmup,
            "train_freq": 1, "gradient_steps": 1, "gamma": 0.98, "tau": 0.01,
            "policy_kwargs": {"net_arch": [size, size]},
        },
    )  # fmt: skip


def _same() -> dict[str, Same]:
    methods = {"DDPG": ddpg.DDPG, "TD3": td3.TD3, "SAC": sac.SAC}
    large = {f"{n} 256×256": _off_policy(kind, n, 256, 256, 600) for n, kind in methods.items()}
    small = {f"{n} 64×64": _off_policy(kind, n, 64, 128, 1_600) for n, kind in methods.items()}
    # Stable-Baselines3's defaults for DQN, PPO and A2C where a number is not the course's.
    return {
        "DQN": Same(
            env="CartPole-v1", steps=10_000, kind=dqn.DQN, peer="DQN",
            settings={"hidden": (64, 64), "rho": 0.0, "target_every": 250, "learning_rate": 1e-3},
            training={"warmup": 100, "train_every": 4, "batch_size": 64},
            peer_settings={
                "policy_kwargs": {"net_arch": [64, 64]}, "learning_rate": 1e-3, "batch_size": 64,
                "learning_starts": 100, "train_freq": 4, "gradient_steps": 1,
                "target_update_interval": 1_000, "buffer_size": 100_000,
            },
        ),
        "PPO": Same(
            env="CartPole-v1", steps=25_600, kind=ppo.PPO, peer="PPO", n_envs=8,
            settings={
                "n_envs": 8, "horizon": 128, "minibatch_size": 256, "epochs": 10, "lr": 3e-4,
            },
            training={},
            peer_settings={
                "n_steps": 128, "batch_size": 256, "n_epochs": 10, "learning_rate": 3e-4,
            },
        ),
        "A2C": Same(
            env="CartPole-v1", steps=25_600, kind=actor_critic.A2C, peer="A2C", n_envs=8,
            settings={"n_envs": 8, "horizon": 5, "lam": 1.0, "entropy_coef": 0.0, "lr": 7e-4},
            training={},
            peer_settings={"n_steps": 5, "ent_coef": 0.0},
        ),
        **large,
        **small,
    }  # fmt: skip


SAME = _same()


def train_same(name: str, seed: int) -> None:
    """So many transitions of our agent, with a student's functions."""
    same = SAME[name]
    agent = same.kind.for_env(same.env, seed=seed, **same.settings, **handed_in(same.kind))
    train = train_on_policy if same.peer in ("PPO", "A2C") else train_off_policy
    train(agent, same.env, same.steps, seed, **same.training)


# --- every system -------------------------------------------------------------------------------


@dataclass
class System:
    """A method on a task, with settings and budget fixed; `mark` is what the final policy is held to."""

    kind: type
    env: Any
    mark: float
    steps: int
    settings: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    loop: Callable = train_off_policy

    def train(self, seed: int, **watching):
        """The agent, trained with a student's functions."""
        agent = self.kind.for_env(self.env, seed=seed, **self.settings, **handed_in(self.kind))
        self.loop(agent, self.env, self.steps, seed, **(self.training | watching))
        return agent

    def score(self, agent, seed: int) -> float:
        """The mean return of the final greedy policy over 20 episodes."""
        return float(evaluate(agent, self.env, EPISODES, EVALUATION_SEED).mean())


class TwoGoals(System):
    def score(self, agent, seed: int) -> float:
        """The share of 100 episodes, drawn from the sampler, in which the less visited goal is reached."""
        env, rng = self.env(), np.random.default_rng(EVALUATION_SEED)
        goals = []
        for episode in range(100):
            obs, _ = env.reset(seed=EVALUATION_SEED + episode)
            over = False
            while not over:
                obs, _, terminated, truncated, info = env.step(agent.act(obs[None], rng)[0])
                over = terminated or truncated
            goals.append(info.get("goal", 0))
        return min(goals.count(-1), goals.count(1)) / 100


class Tiles(System):
    def train(self, seed: int):
        """Linear SARSA on Mountain Car: the lengths of its episodes."""
        return linear.mountain_car(self.steps, seed)

    def score(self, lengths, seed: int) -> float:
        """Minus the mean length of the last 50 episodes, which is their return."""
        return -float(lengths[-50:].mean())


def _preset(kind, preset, mark) -> System:
    training = dict(preset.training)
    return System(kind, preset.env, mark, training.pop("steps"), preset.agent, training)


def _on_policy(kind, env, mark, steps) -> System:
    return System(kind, env, mark, steps, loop=train_on_policy)


SYSTEMS: dict[str, System] = {
    "DQN": _preset(dqn.DQN, dqn.CARTPOLE, 475),
    "double DQN": _preset(double_dqn.DoubleDQN, dqn.CARTPOLE, 475),
    "PER-DQN": _preset(prioritised.PERDQN, dqn.CARTPOLE, 475),
    "DQN, Acrobot": _preset(dqn.DQN, dqn.ACROBOT, -100),
    "SARSA with tiles, Mountain Car": Tiles(object, "MountainCar-v0", -160, 500),
    "REINFORCE with baseline": _on_policy(
        reinforce.ReinforceBaseline, "CartPole-v1", 195, 100_000
    ),
    "Q actor-critic": _on_policy(actor_critic.QActorCritic, "CartPole-v1", 195, 300_000),
    "one-step actor-critic": _on_policy(
        actor_critic.OneStepActorCritic, "CartPole-v1", 195, 50_000
    ),
    "A2C": _on_policy(actor_critic.A2C, "CartPole-v1", 450, 500_000),
    "PPO": _on_policy(ppo.PPO, "CartPole-v1", 475, 100_000),
    "PPO-KL": _on_policy(ppo.PPOKL, "CartPole-v1", 475, 100_000),
    "PPO, Acrobot": _on_policy(ppo.PPO, "Acrobot-v1", -100, 100_000),
    "DDPG": _preset(ddpg.DDPG, ddpg.PENDULUM, -200),
    "TD3": _preset(td3.TD3, td3.PENDULUM, -200),
    "SAC with V": _preset(sac.SACWithValue, sac.PENDULUM_WITH_VALUE, -200),
    "SAC, α fixed": _preset(sac.SAC, sac.PENDULUM_FIXED, -200),
    "SAC": _preset(sac.SAC, sac.PENDULUM_LEARNED, -200),
    "soft Q": _preset(soft_q.SoftQ, soft_q.PENDULUM, -250),
    "soft Q, two goals": TwoGoals(
        soft_q.SoftQ, two_goals, 0.3, soft_q.TWO_GOALS.training["steps"], soft_q.TWO_GOALS.agent,
        {key: value for key, value in soft_q.TWO_GOALS.training.items() if key != "steps"},
    ),
}  # fmt: skip
# What is raced to its mark, and the env-steps between two looks at its policy.
COMPARED = {"DQN": 1_000, "PPO": 1_000, "A2C": 1_000, "DDPG": 500, "TD3": 500, "SAC": 500}


def reaches(name: str, score: float) -> bool:
    return not math.isnan(score) and score >= SYSTEMS[name].mark
