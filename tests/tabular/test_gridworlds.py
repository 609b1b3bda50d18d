"""Maps become MDPs, MDPs become environments."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from rlcourse.tabular.envs import RecordReturns, TabularEnv
from rlcourse.tabular.gridworlds import (
    DOWN,
    LEFT,
    RIGHT,
    UP,
    book_5x5,
    cliff_walk,
    gridworld,
    maze,
)
from rlcourse.tabular.mdp import chain, garnet, maximisation_bias_mdp, random_walk


def outcome(world, row, column, action):
    """The one successor (row, column) and the reward of a deterministic step."""
    s = world.state(row, column)
    (s_next,) = np.flatnonzero(world.mdp.P[s, action])
    return tuple(map(int, world.cells[s_next])), world.mdp.R[s, action]


def test_moves_bumps_and_jumps():
    world = book_5x5()
    assert outcome(world, 2, 2, UP) == ((1, 2), 0)
    assert outcome(world, 2, 2, RIGHT) == ((2, 3), 0)
    assert outcome(world, 2, 2, DOWN) == ((3, 2), 0)
    assert outcome(world, 2, 2, LEFT) == ((2, 1), 0)
    assert outcome(world, 0, 0, UP) == ((0, 0), -1)
    for action in range(4):
        assert outcome(world, 0, 1, action) == ((4, 1), 10)
        assert outcome(world, 0, 3, action) == ((2, 3), 5)
    assert not world.mdp.terminal.any()


def test_the_cliff():
    world = cliff_walk()
    assert world.mdp.n_states == 48 - 10  # the cliff is no place to be
    assert outcome(world, 3, 0, RIGHT) == ((3, 0), -100)
    assert outcome(world, 2, 5, DOWN) == ((3, 0), -100)
    assert outcome(world, 2, 11, DOWN) == ((3, 11), -1)
    assert outcome(world, 3, 11, LEFT) == ((3, 11), 0)
    assert world.mdp.start[world.state(3, 0)] == 1
    assert np.flatnonzero(world.mdp.terminal).tolist() == [world.state(3, 11)]


def test_walls_are_no_states():
    world = maze()
    assert world.mdp.n_states == 54 - 7
    assert outcome(world, 2, 1, RIGHT) == ((2, 1), 0)
    assert outcome(world, 1, 8, UP) == ((0, 8), 1)
    with pytest.raises(ValueError, match="there is no state at row 1, column 2"):
        world.state(1, 2)


def test_slipping_mixes_the_four_directions():
    sure, slippery = maze(), maze(slip=0.2)
    np.testing.assert_allclose(
        slippery.mdp.P, 0.8 * sure.mdp.P + 0.2 * sure.mdp.P.mean(axis=1, keepdims=True)
    )
    np.testing.assert_allclose(
        slippery.mdp.R, 0.8 * sure.mdp.R + 0.2 * sure.mdp.R.mean(axis=1, keepdims=True)
    )


def test_a_new_map_is_a_string():
    world = gridworld("S.G", step=-1.0, goal=5.0)
    assert world.shape == (1, 3) and world.labels == {0: "S", 2: "G"}
    assert world.mdp.R[:, RIGHT].tolist() == [-1, 5, 0]
    assert world.text(1) == "S@G" and world.text() == "S.G"


@pytest.mark.parametrize(
    ("text", "jumps", "message"),
    [
        ("...\n..", None, "the rows of the map differ in length"),
        (".C.", None, "needs one start S"),
        ("S.A", {"A": 1.0}, "the map lacks A or its landing cell"),
    ],
)
def test_bad_maps(text, jumps, message):
    with pytest.raises(ValueError, match=message):
        gridworld(text, jumps=jumps)


# ------------------------------------------------------------------------------ environments

WORLDS = {
    "5×5": book_5x5(),
    "cliff": cliff_walk(),
    "maze": maze(slip=0.1),
    "walk": random_walk(5),
    "chain": chain(4),
    "maximisation bias": maximisation_bias_mdp(),
    "garnet": garnet(6, 3, 2, np.random.default_rng(0)),
}


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("render_mode", [None, "ansi"])
def test_gymnasium_has_no_complaint(name, render_mode):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # With an id the checker also tries the render modes; without one it says that it cannot.
        env = TabularEnv(WORLDS[name], max_steps=20, render_mode=render_mode)
        check_env(env, skip_render_check=True)


def test_terminal_and_time_limit_are_two_things():
    def walk(max_steps, steps):
        env = TabularEnv(chain(4), max_steps=max_steps)
        env.reset(seed=0)
        return [env.step(1)[1:4] for _ in range(steps)]

    assert walk(None, 3) == [(0, False, False), (0, False, False), (1, True, False)]
    assert walk(2, 2) == [(0, False, False), (0, False, True)]
    assert walk(3, 3)[-1] == (1, True, True)
    with pytest.raises(ValueError, match="max_steps must be at least 1, not 0"):
        TabularEnv(chain(4), max_steps=0)


def test_frequencies_and_rewards_are_those_of_the_arrays():
    """Every (s, a) of a slippery map that pays on arrival: within five standard errors."""
    world = maze(slip=0.5)
    mdp = world.mdp
    env, draws = TabularEnv(mdp), 400
    env.reset(seed=1)
    for s, a in ((world.state(2, 3), LEFT), (world.state(5, 0), UP), (world.state(1, 8), UP)):
        count, total = np.zeros(mdp.n_states), 0.0
        for _ in range(draws):
            env.unwrapped._state = s
            s_next, reward, *_ = env.step(a)
            count[s_next] += 1
            total += reward
        p = mdp.P[s, a]
        assert (np.abs(count - draws * p) <= 5 * np.sqrt(draws * p * (1 - p)) + 1e-9).all()
        assert total == count[world.state(0, 8)]  # it pays 1 to arrive there, and nothing else


def test_noisy_rewards_have_their_mean_and_spread():
    env = TabularEnv(maximisation_bias_mdp(mean=2.0, std=3.0))
    env.reset(seed=0)
    rewards = []
    for _ in range(800):
        env.reset()
        assert env.step(0)[:2] == (1, 0)
        rewards.append(env.step(4)[1])
    assert abs(np.mean(rewards) - 2) < 5 * 3 / np.sqrt(800)
    assert abs(np.std(rewards) - 3) < 5 * 3 / np.sqrt(1600)


def test_seeds_repeat_and_differ():
    def states(seed):
        env = TabularEnv(WORLDS["garnet"])
        return [env.reset(seed=seed)[0]] + [env.step(k % 3)[0] for k in range(20)]

    assert states(4) == states(4) and states(4) != states(5)


def test_text_rendering_follows_the_agent():
    env = TabularEnv(cliff_walk(), render_mode="ansi")
    env.reset(seed=0)
    assert env.render().splitlines()[3] == "@CCCCCCCCCCG"
    env.step(UP)
    assert env.render().splitlines()[2:] == ["@...........", "SCCCCCCCCCCG"]


def test_recorded_returns_are_gymnasiums():
    env = RecordReturns(gym.wrappers.RecordEpisodeStatistics(TabularEnv(maze(), max_steps=30)))
    env.reset(seed=0)
    rng, theirs = np.random.default_rng(0), []
    for _ in range(5):
        env.reset()
        while True:
            *_, terminated, truncated, info = env.step(int(rng.integers(4)))
            if terminated or truncated:
                theirs.append((float(info["episode"]["r"]), int(info["episode"]["l"])))
                break
    assert list(zip(env.returns, env.lengths, strict=True)) == theirs and len(theirs) == 5
