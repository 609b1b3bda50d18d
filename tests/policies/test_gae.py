"""GAE against the double sum it abbreviates, against TD errors, returns and n-step returns."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlcourse.policies.gae import critic_error_weights, gae, n_step_advantage


def data(seed, T, ends=0.3):
    rng = np.random.default_rng(seed)
    reward, value, next_value = rng.normal(size=(3, T))
    terminated, truncated = rng.random((2, T)) < ends
    return reward, value, next_value, terminated.astype(float), truncated.astype(float)


def double_sum(reward, value, next_value, terminated, truncated, gamma, lam):
    """Eq. 16 as it is written, from every t to the end of its own episode."""
    adv = []
    for t in range(len(reward)):
        total = 0.0
        for k in range(t, len(reward)):
            bootstrap = 0.0 if terminated[k] else gamma * next_value[k]
            total += (gamma * lam) ** (k - t) * (reward[k] + bootstrap - value[k])
            if terminated[k] or truncated[k]:
                break
        adv.append(total)
    return np.array(adv)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.integers(1, 12), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_recursion_is_the_double_sum(seed, T, gamma, lam, ends):
    rows = data(seed, T, ends)
    adv, returns = gae(*rows, gamma, lam)
    expected = double_sum(*rows, gamma, lam)
    np.testing.assert_allclose(adv, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(returns, expected + rows[1], rtol=1e-9, atol=1e-12)


def test_lambda_zero_is_the_td_error():
    reward, value, next_value, terminated, truncated = data(0, 30)
    adv, _ = gae(reward, value, next_value, terminated, truncated, 0.9, 0.0)
    td = [
        r + (0 if d else 0.9 * w) - v
        for r, v, w, d in zip(reward, value, next_value, terminated, strict=True)
    ]
    np.testing.assert_allclose(adv, td)


def consistent(seed, T):
    """As a rollout has it: V(s') is the next row's V except where an episode ended."""
    reward, value, next_value, terminated, truncated = data(seed, T)
    for t in range(T - 1):
        if not (terminated[t] or truncated[t]):
            next_value[t] = value[t + 1]
    return reward, value, next_value, terminated, truncated


def n_step_return(rows, t, n, gamma):
    """Rewards until n steps, an end or the rollout's end; then the value of what was reached."""
    reward, _, next_value, terminated, truncated = rows
    total = 0.0
    for k in range(n):
        total += gamma**k * reward[t + k]
        last = k == n - 1 or t + k == len(reward) - 1
        if terminated[t + k]:
            return total
        if truncated[t + k] or last:
            return total + gamma ** (k + 1) * next_value[t + k]
    raise AssertionError


@pytest.mark.parametrize("n", [1, 2, 3, 7, 50])
def test_n_step_advantage_is_the_n_step_return_minus_v(n):
    rows = consistent(1, 40)
    adv, returns = n_step_advantage(*rows, 0.9, n)
    expected = [n_step_return(rows, t, n, 0.9) for t in range(40)]
    np.testing.assert_allclose(returns, expected)
    np.testing.assert_allclose(adv, expected - rows[1])


def test_lambda_one_is_the_longest_return_minus_v():
    rows = consistent(2, 40)
    _, returns = gae(*rows, 0.9, 1.0)
    np.testing.assert_allclose(returns, [n_step_return(rows, t, 40, 0.9) for t in range(40)])


def test_gae_weighs_n_step_advantages_geometrically():
    """(1−λ) Σ λ^{n−1} Â^(n), Schulman et al. 2016, the definition above eq. 16."""
    rows, lam, T = consistent(3, 25), 0.8, 25
    mixed = (1 - lam) * sum(
        lam ** (n - 1) * n_step_advantage(*rows, 0.9, n)[0] for n in range(1, 400)
    )
    np.testing.assert_allclose(mixed, gae(*rows, 0.9, lam)[0], rtol=1e-9, atol=1e-12)
    assert len(mixed) == T


def test_environments_side_by_side_are_columns_apart():
    columns = [data(seed, 9) for seed in range(4)]
    stacked = [np.stack(field, axis=1) for field in zip(*columns, strict=True)]
    for both in (lambda *x: gae(*x, 0.9, 0.7), lambda *x: n_step_advantage(*x, 0.9, 3)):
        adv, returns = both(*stacked)
        for n, column in enumerate(columns):
            np.testing.assert_allclose(adv[:, n], both(*column)[0])
            np.testing.assert_allclose(returns[:, n], both(*column)[1])


def test_tensors_come_back_as_tensors_without_gradient():
    rows = [torch.tensor(x, dtype=torch.float32) for x in data(4, 10)]
    rows[1].requires_grad_()
    adv, returns = gae(*rows, 0.9, 0.7)
    assert adv.dtype == returns.dtype == torch.float32
    assert not adv.requires_grad and not returns.requires_grad
    np.testing.assert_allclose(
        adv.numpy(), double_sum(*data(4, 10), 0.9, 0.7), rtol=1e-4, atol=1e-5
    )


def test_flags_of_any_type_and_arguments_unchanged():
    reward, value, next_value, terminated, truncated = data(5, 10)
    plain = gae(reward, value, next_value, terminated, truncated, 0.9, 0.7)
    for kind in (bool, np.int64):
        flags = terminated.astype(kind), truncated.astype(kind)
        np.testing.assert_array_equal(gae(reward, value, next_value, *flags, 0.9, 0.7), plain)
    for before, after in zip(
        data(5, 10), (reward, value, next_value, terminated, truncated), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_no_steps_is_no_return():
    with pytest.raises(ValueError, match="n must be at least 1"):
        n_step_advantage(*data(6, 3), 0.9, 0)


@pytest.mark.parametrize("terminated", [0, 1])
@pytest.mark.parametrize(("gamma", "lam"), [(0.9, 0.8), (1.0, 0.5), (0.7, 0.0), (0.9, 1.0), (0, 0)])
def test_the_weights_of_the_critic_s_errors_are_the_change_of_an_advantage(terminated, gamma, lam):
    """By `gae` itself, an error in one state at a time."""
    rng, n = np.random.default_rng(7), 5
    value, reward = rng.normal(size=n + 1), rng.normal(size=n)
    d, c = np.zeros(n), np.zeros(n)
    d[-1], c[-1] = terminated, 1 - terminated

    def first(v):
        return gae(reward, v[:-1], v[1:], d, c, gamma, lam)[0][0]

    changes = [first(value + error) - first(value) for error in np.eye(n + 1)]
    c_k = critic_error_weights(n, terminated, gamma, lam)
    assert c_k.dtype == torch.float32
    np.testing.assert_allclose(c_k.numpy(), changes, atol=1e-6)


def test_the_weights_of_the_critic_s_errors_in_closed_form():
    c = critic_error_weights(4, 0, 0.9, 0.5).tolist()
    assert c == pytest.approx([-1, 0.45, 0.45 * 0.45, 0.45 * 0.45**2, 0.9 * 0.45**3])
    assert critic_error_weights(3, 1, 0.9, 1.0).tolist() == [-1, 0, 0, 0]
