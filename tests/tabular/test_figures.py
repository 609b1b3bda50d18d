"""Sutton & Barto's tables to the printed digit, their figures within the bands one reads off them."""

from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Discrete

from rlcourse.tabular import control, figures
from rlcourse.tabular.gridworlds import cliff_walk, gridworld, maze
from rlcourse.tabular.mdp import random_walk_values
from rlcourse.tabular.prediction import n_step_td_prediction, td_prediction

# ------------------------------------------------------------------------- figures 3.2 and 3.5

FIGURE_3_2 = """
 3.3  8.8  4.4  5.3  1.5
 1.5  3.0  2.3  1.9  0.5
 0.1  0.7  0.7  0.4 -0.4
-1.0 -0.4 -0.4 -0.6 -1.2
-1.9 -1.3 -1.2 -1.4 -2.0
"""
FIGURE_3_5 = """
22.0 24.4 22.0 19.4 17.5
19.8 22.0 19.8 17.8 16.0
17.8 19.8 17.8 16.0 14.4
16.0 17.8 16.0 14.4 13.0
14.4 16.0 14.4 13.0 11.7
"""
# The arrows of figure 3.5, right: in A and B every action is as good as the others.
ARROWS = """
→ ↑→↓← ← ↑→↓← ←
↑→ ↑ ↑← ← ←
↑→ ↑ ↑← ↑← ↑←
↑→ ↑ ↑← ↑← ↑←
↑→ ↑ ↑← ↑← ↑←
"""


def table(text):
    return np.array([line.split() for line in text.strip().splitlines()])


def test_the_books_tables():
    uniform, optimal, actions = figures.book_values()
    assert (np.round(uniform, 1) == table(FIGURE_3_2).astype(float)).all()
    assert (np.round(optimal, 1) == table(FIGURE_3_5).astype(float)).all()
    arrows = ["".join(np.array(list("↑→↓←"))[row]) for row in actions]
    assert arrows == table(ARROWS).ravel().tolist()


# ---------------------------------------------------------------- example 6.2 and figure 7.2


class Replay:
    """One run's walks, one after the other, as an environment."""

    def __init__(self, walks, run, n_states, left):
        self.walks = iter([states[run, : length[run] + 1] for states, length in walks])
        self.observation_space = Discrete(n_states + 2)
        self.left, self.last = left, n_states + 1

    def reset(self):
        self.states = list(next(self.walks))
        return self.states.pop(0), {}

    def step(self, _action):
        s = self.states.pop(0)
        reward = {0: self.left, self.last: 1.0}.get(int(s), 0.0)
        return s, reward, s in (0, self.last), False, {}


@pytest.mark.parametrize("n", [1, 3, figures.MONTE_CARLO])
def test_side_by_side_is_one_after_the_other(n):
    """The vectorised walks give the errors of the plain loop on the same walks."""
    runs, episodes, n_states, left, step_sizes = 3, 4, 7, -1.0, [0.2, 0.7]
    seed = np.random.default_rng(5)
    found = figures.walk_errors(
        n_states, [n], step_sizes, seed, episodes=episodes, runs=runs, left=left
    )
    again = np.random.default_rng(5)
    walks = [figures._walks(n_states, runs, again) for _ in range(episodes)]
    truth = random_walk_values(n_states, left)[1:-1]
    for i, step_size in enumerate(step_sizes):
        errors = []
        for run in range(runs):
            env = Replay(walks, run, n_states, left)
            settings = (episodes, step_size, 1.0, np.random.default_rng(0))
            if n == 1:
                v = td_prediction(env, lambda s, rng: 0, *settings)
            else:
                v = n_step_td_prediction(env, lambda s, rng: 0, min(n, 10**6), *settings)
            errors.append(np.sqrt(np.mean((v[1:-1] - truth) ** 2)))
        assert found[0, i, -1] == pytest.approx(np.mean(errors))


def test_walks_are_walks():
    states, lengths = figures._walks(5, 400, np.random.default_rng(0))
    assert (states[:, 0] == 3).all()
    for walk, length in zip(states, lengths, strict=True):
        assert (np.abs(np.diff(walk[: length + 1])) == 1).all()
        assert walk[length] in (0, 6) and ((walk[:length] > 0) & (walk[:length] < 6)).all()
    # gambler's ruin: 3 · 3 steps on average, variance (3·3)(3² + 3² − 2)/3 = 48
    assert abs(lengths.mean() - 9) < 5 * np.sqrt(48 / 400)


def test_td_learns_faster_than_monte_carlo():
    """Example 6.2: all curves start near 0.236, the initial RMS error, and TD's go lower."""
    td, mc = figures.td_against_mc(np.random.default_rng(1))
    assert td.shape == (3, 100) and mc.shape == (4, 100)
    start = np.sqrt(np.mean((np.arange(1, 6) / 6 - 0.5) ** 2))
    assert np.abs(np.concatenate([td, mc])[:, 0] - start).max() < 0.04
    assert td.min() < 0.06 and mc.min() > 0.06
    assert td.mean(axis=1).max() < mc.mean(axis=1).min()
    # the larger TD step is ahead early and behind late, as printed
    assert td[2, 8] < td[1, 8] < td[0, 8] and td[0, -1] < td[1, -1] < td[2, -1]


def test_intermediate_n_is_best():
    """Figure 7.2: where the curves have their minima, and how low."""
    n_steps = (1, 2, 4, 8, 16, 32, 64)
    step_sizes = np.linspace(0.05, 1.0, 20)
    errors = figures.n_step_curves(np.random.default_rng(1), n_steps, step_sizes)
    lowest = dict(zip(n_steps, errors.min(axis=1), strict=True))
    where = dict(zip(n_steps, step_sizes[errors.argmin(axis=1)], strict=True))
    assert min(lowest, key=lowest.get) == 4
    assert 0.25 < lowest[4] < 0.29 and 0.3 <= where[4] <= 0.5
    assert 0.32 < lowest[1] < 0.38 and where[1] >= 0.7
    assert 0.26 < lowest[2] < 0.30 and 0.5 <= where[2] <= 0.7
    assert 0.26 < lowest[8] < 0.30 and 0.2 <= where[8] <= 0.3
    assert 0.38 < lowest[64] < 0.46 and where[64] <= 0.1
    assert list(where.values()) == sorted(where.values(), reverse=True)


# -------------------------------------------------------------------------------- example 6.6


def test_the_cliff():
    """SARSA earns about −25 a learning episode on the safe path, Q-learning −50 on the edge."""

    def expected(env, select, *settings):
        return control.expected_sarsa(env, 0.1, *settings)

    loops = {"sarsa": control.sarsa, "q": control.q_learning, "expected": expected}
    found = figures.cliff_experiment(loops, np.random.default_rng(1), runs=8, episodes=400)
    # The median over runs: with α = ½ a run of SARSA now and then loses its way for an episode
    # of a thousand steps (−28 ± 7 per run, measured over 60).
    late = {name: np.median(r.returns[:, 200:].mean(axis=1)) for name, r in found.items()}
    assert -33 < late["sarsa"] < -20
    assert -60 < late["q"] < -38
    assert -30 < late["expected"] < -18
    assert late["q"] < late["sarsa"] < late["expected"]
    assert found["q"].returns.shape == (8, 400) and found["q"].q.shape == (8, 38, 4)

    world = cliff_walk()
    edge = [(3, 0), *((2, c) for c in range(12)), (3, 11)]
    edge_paths = sum(
        [tuple(map(int, world.cells[s])) for s in path] == edge for path in found["q"].paths
    )
    assert edge_paths >= 6  # now and then an exploratory fall has just moved a value
    along_the_edge = [sum(world.cells[s, 0] == 2 for s in path) for path in found["sarsa"].paths]
    assert np.median(along_the_edge) <= 5  # of the twelve cells beside the cliff


def test_a_students_functions_make_the_figure():
    """The loop gets the settings and a `select` made of the student's own ε-greedy."""
    seen = []

    def loop(env, select, episodes, step_size, gamma, rng):
        seen.append((episodes, step_size, gamma))
        for _ in range(episodes):
            env.reset()
            env.step(select(np.zeros(4), rng))
        return np.zeros((env.observation_space.n, env.action_space.n))

    def right(q_row, epsilon, rng):
        seen.append(epsilon)
        return 1

    found = figures.cliff_experiment(
        {"mine": loop},
        np.random.default_rng(0),
        runs=2,
        episodes=3,
        step_size=0.25,
        epsilon=0.3,
        epsilon_greedy=right,
        world=gridworld("SG", step=-1.0, goal=5.0),
    )
    assert seen == [(3, 0.25, 0.9), 0.3, 0.3, 0.3] * 2
    assert found["mine"].returns.tolist() == [[5, 5, 5]] * 2
    assert found["mine"].paths == [[0, 0]] * 2  # all zero: up, against the wall, back where it was


def test_greedy_paths():
    world = gridworld("S..G", step=-1.0)
    right, back = np.zeros((4, 4)), np.zeros((4, 4))
    right[:, 1] = 1.0
    back[0, 1] = back[1, 3] = 1.0
    assert figures.greedy_path(world, right) == [0, 1, 2, 3]
    assert figures.greedy_path(world, back) == [0, 1, 0]
    assert figures.greedy_path(world, right, max_steps=1) == [0, 1]


@pytest.mark.parametrize("epsilon", [0.0, 0.05, 0.3, 1.0])
def test_where_the_two_settle(epsilon):
    """Against plain iteration of the equation, and against episodes played by the two policies."""
    world = gridworld("S..G\nC...", step=-1.0, goal=-1.0, cliff=-20.0, gamma=0.95)
    mdp = world.mdp
    found = figures.two_optima(world, epsilon)
    tables = {"SARSA": np.zeros(mdp.R.shape), "Q-learning": np.zeros(mdp.R.shape)}
    for _ in range(1000):
        for name, q in tables.items():
            share = epsilon if name == "SARSA" else 0.0
            v = (1 - share) * q.max(axis=1) + share * q.mean(axis=1)
            tables[name] = mdp.R + mdp.gamma * mdp.P @ np.where(mdp.terminal, 0.0, v)
    for name, (path, earned) in found.items():
        pi = epsilon / 4 + (1 - epsilon) * np.eye(4)[tables[name].argmax(axis=1)]
        v = np.zeros(mdp.n_states)
        for _ in range(1000):
            step = mdp.R + mdp.gamma * mdp.P @ np.where(mdp.terminal, 0.0, v)
            v = (pi * step).sum(axis=1)
        assert earned == pytest.approx(mdp.start @ v, abs=1e-8), name
        assert path == figures.greedy_path(world, tables[name])
    assert found["SARSA"][1] >= found["Q-learning"][1] - 1e-9


def test_exploring_keeps_away_from_the_cliff():
    """The more a policy stumbles, the farther from the edge is its best path; without, both are the shortest."""
    world = cliff_walk()
    still, often = figures.two_optima(world, 0.0), figures.two_optima(world, 0.1)
    assert [len(path) - 1 for path, _ in still.values()] == [13, 13]
    assert [earned for _, earned in still.values()] == pytest.approx([-13, -13])
    assert len(often["Q-learning"][0]) - 1 == 13 < len(often["SARSA"][0]) - 1
    assert often["SARSA"][1] > often["Q-learning"][1] + 10


@pytest.mark.parametrize("step_size", [0.1, 0.5, 1.0])
def test_a_greedy_learner_explores_where_its_table_is_optimistic(step_size):
    """Zeros are on the cliff, where everything costs; in the maze, where the goal pays 1, ones are."""

    def reached(world, initial, episodes):
        loop = partial(control.q_learning, initial=initial)
        found = figures.cliff_experiment(
            {"greedy": loop},
            np.random.default_rng(0),
            runs=1,
            episodes=episodes,
            step_size=step_size,
            epsilon=0.0,
            world=world,
            max_steps=300,
        )["greedy"]
        return world.mdp.terminal[found.paths[0][-1]], np.count_nonzero(found.q[0] != initial)

    assert reached(cliff_walk(), 0.0, 1000)[0]
    assert reached(maze(), 0.0, 5) == (False, 0)
    assert reached(maze(), 1.0, 1000)[0]


# --------------------------------------------------------------------------------- figure 6.5


def test_maximisation_bias():
    """Figure 6.5: Q-learning turns left in 60–95 % of runs at first, double Q hardly; 5 % is best."""
    found = figures.maximisation_bias(np.random.default_rng(1))
    single, double = found["Q-learning"], found["double Q-learning"]
    noise = 5 * np.sqrt(0.25 / 2000)
    assert abs(single[0] - 0.5) < noise and abs(double[0] - 0.5) < noise
    assert 0.85 < single.max() < 0.98 and 10 < single.argmax() < 40
    assert double.max() < 0.6
    assert (single[10:200] > double[10:200]).all()
    for curve in (single, double):
        assert 0.05 - noise < curve[-20:].mean() < 0.2
    assert double[-20:].mean() < 0.08 < single[-20:].mean()


def test_the_bias_comes_from_the_target():
    """With the same table selecting and evaluating, double Q-learning's advantage is gone."""

    def same(r, qa, qb, d, gamma):
        return control.q_learning_target(r, qa, d, gamma)

    found = figures.maximisation_bias(
        np.random.default_rng(1), runs=500, episodes=60, double_q_target=same
    )
    assert found["double Q-learning"].max() > 0.75


def test_bias_of_the_maximum_is_the_order_statistics():
    """E max of n standard normals: 0, 1/√π, 3/(2√π); here of means of ten, so over √10."""
    found, double = figures.bias_of_the_maximum([1, 2, 3], np.random.default_rng(0))
    expected = np.array([0, 1, 1.5]) / np.sqrt(np.pi) / np.sqrt(10)
    error = 5 / np.sqrt(10 * 10_000)
    np.testing.assert_allclose(found, expected, atol=error)
    np.testing.assert_allclose(double, 0, atol=error * np.sqrt(2))
