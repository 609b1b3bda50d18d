"""Agents saved and loaded, without pickle; episodes as GIFs."""

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image
from torch.nn.utils import parameters_to_vector

from rlcourse.continuous.sac import SAC
from rlcourse.continuous.td3 import TD3
from rlcourse.lab.checkpoints import load, save
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.videos import record_episode
from rlcourse.values.dqn import DQN
from rlcourse.values.ensembles import EnsembleDQN
from rlcourse.values.prioritised import PERDQN


@pytest.mark.parametrize("kind", [DQN, EnsembleDQN, PERDQN, TD3, SAC])
def test_a_loaded_agent_acts_as_before(kind, tmp_path):
    env = "Pendulum-v1" if kind in (TD3, SAC) else "CartPole-v1"
    agent = kind.for_env(env, hidden=(16, 8), gamma=0.9)
    train_off_policy(agent, env, 150, 0, warmup=50)
    again = load(save(agent, tmp_path / "agent"))
    assert type(again) is kind and again.gamma == 0.9 and tuple(again.hidden) == (16, 8)
    obs = np.random.default_rng(0).normal(size=(50, agent.obs_dim)).astype(np.float32)
    for explore in (False, True):
        before = agent.act(obs, np.random.default_rng(1), explore)
        assert np.array_equal(before, again.act(obs, np.random.default_rng(1), explore))
    name = "critic1" if kind in (TD3, SAC) else "q_net"
    weights = parameters_to_vector(getattr(again, name).parameters())
    assert weights.equal(parameters_to_vector(getattr(agent, name).parameters()))
    fresh = kind.for_env(env, hidden=(16, 8))
    assert not weights.equal(parameters_to_vector(getattr(fresh, name).parameters()))


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="not written by"):
        load(tmp_path / "other.npz")
    np.savez(tmp_path / "pickled.npz", about=np.array([{"format": 1}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        load(tmp_path / "pickled.npz")
    about = '{"format": "rlcourse agent 1", "agent": ["os", "system"], "settings": {}}'
    np.savez(tmp_path / "hostile.npz", about=np.array(about))
    with pytest.raises(ValueError, match="not an agent"):
        load(tmp_path / "hostile.npz")
    path = save(DQN(obs_dim=2, n_actions=2), tmp_path / "small")
    with pytest.raises(ValueError, match="does not fit"):
        load(path, obs_dim=3)


def test_an_episode_as_a_gif(tmp_path):
    agent = DQN.for_env("CartPole-v1")
    total = record_episode(agent, "CartPole-v1", tmp_path / "e.gif", seed=0, max_frames=6)
    with Image.open(tmp_path / "e.gif") as film:
        assert film.width == 240 and 1 < film.n_frames <= 6
    assert total >= 6
    with pytest.raises(ValueError, match="rgb_array"):
        record_episode(agent, lambda: gym.make("CartPole-v1"), tmp_path / "e.gif", seed=0)
