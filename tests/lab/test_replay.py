"""The replay buffer against a list."""

import numpy as np
import pytest
import torch

from rlcourse.lab.replay import ReplayBuffer


def transition(i):
    return [i, -i], i % 3, 0.5 * i, [i + 1, -i - 1], i % 4 == 0


@pytest.mark.parametrize("added", [1, 4, 5, 13])
def test_the_newest_replace_the_oldest(added):
    buffer, slots = ReplayBuffer(5, 2), [None] * 5
    for i in range(added):
        buffer.add(*transition(i))
        slots[i % 5] = i
    assert len(buffer) == min(added, 5)
    batch = buffer.sample(200, np.random.default_rng(0))
    drawn = np.random.default_rng(0).integers(len(buffer), size=200)
    expected = [transition(slots[s]) for s in drawn]
    for column, values in zip(batch, zip(*expected, strict=True), strict=True):
        np.testing.assert_array_equal(column.numpy(), np.array(values))
    assert batch.action.dtype == torch.int64
    assert all(batch[i].dtype == torch.float32 for i in (0, 2, 3, 4))


def test_many_at_once_are_many_in_a_row():
    one, many = ReplayBuffer(7, 2), ReplayBuffer(7, 2)
    for i in range(12):
        one.add(*transition(i))
    for start in range(0, 12, 3):
        many.extend(*map(np.array, zip(*map(transition, range(start, start + 3)), strict=True)))
    for a, b in zip(one.rows(np.arange(7)), many.rows(np.arange(7)), strict=True):
        assert torch.equal(a, b)


def test_copies_in_and_out():
    buffer, obs = ReplayBuffer(3, 2, act_dim=2), np.ones(2)
    buffer.add(obs, [0.5, -0.5], 1.0, obs, False)
    obs[:] = 9
    batch = buffer.sample(4, np.random.default_rng(0))
    assert batch.obs.eq(1).all() and batch.action.shape == (4, 2)
    batch.obs.fill_(9)
    assert buffer.sample(4, np.random.default_rng(0)).obs.eq(1).all()


def test_nothing_to_draw_from():
    with pytest.raises(ValueError, match="empty"):
        ReplayBuffer(3, 2).sample(1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="capacity"):
        ReplayBuffer(0, 2)
