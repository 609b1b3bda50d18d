"""Diagrams say what their arrays say, and nothing else."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from rlcourse.lab import diagrams


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def written(ax):
    return [text.get_text() for text in ax.texts]


def test_the_loop_names_both_sides_and_what_they_exchange():
    text = " ".join(written(diagrams.agent_and_world()))
    assert all(word in text for word in ("agent", "world", "action", "reward", "next state"))


def test_a_graph_has_every_probability_and_every_reward_of_the_actions_that_are_drawn():
    P = np.zeros((2, 2, 2))
    P[0, 0], P[0, 1], P[1, :, 1] = (0.25, 0.75), (1, 0), 1
    R = np.array([[1.5, -2], [0, 0]])
    ax = diagrams.mdp_graph(
        P, R, places=[(0, 0), (4, 0)], dots={(0, 0): (2, 1), (0, 1): (0, -2)},
        states=("here", "there"), actions=("go", "stay"),
    )  # fmt: skip
    assert sorted(written(ax)) == sorted(
        ["here", "there", "go: 1.5", "stay: −2", "0.25", "0.75", "1"]
    )


def test_an_arrow_ends_at_the_rim_of_a_state():
    P = np.ones((1, 1, 1))
    ax = diagrams.mdp_graph(
        P, np.zeros((1, 1)), places=[(0, 0)], dots={(0, 0): (3, 0)}, states=["s"], actions=["a"]
    )
    arrows = [patch for patch in ax.patches if hasattr(patch, "get_connectionstyle")]
    ends = [np.array(point) for patch in arrows for point in patch._posA_posB]
    assert min(np.linalg.norm(end) for end in ends) == pytest.approx(diagrams.STATE_RADIUS)
