"""The policy gradient against loops, finite differences and autograd; REINFORCE against both."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from probes import Bandit, Corridor

from rlcourse.lab.on_policy import Rollout
from rlcourse.policies.reinforce import (
    Reinforce,
    ReinforceBaseline,
    baseline_loss,
    episode_returns,
    exact_policy_gradient,
    grad_log_softmax,
    optimal_baseline,
    reinforce,
    reinforce_loss,
    softmax_policy,
)


@pytest.fixture
def rng():
    return np.random.default_rng(10)


def logits_and_actions(rng, rows=7, actions=4):
    logits = torch.from_numpy(rng.normal(size=(rows, actions)) * 2)
    return logits, torch.from_numpy(rng.integers(actions, size=rows))


def test_softmax_is_the_quotient_of_exponentials(rng):
    logits, _ = logits_and_actions(rng)
    for row, pi in zip(logits.tolist(), softmax_policy(logits).tolist(), strict=True):
        assert pi == pytest.approx([math.exp(h) / sum(map(math.exp, row)) for h in row])


def test_softmax_survives_large_logits_row_by_row():
    pi = softmax_policy(torch.tensor([[1000.0, 0.0], [-1000.0, -1000.0]]))
    assert pi.tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_score_is_the_derivative_of_log_softmax(rng):
    logits, action = logits_and_actions(rng)
    score, eps = grad_log_softmax(logits, action), 1e-6
    for b, a in np.ndindex(*logits.shape):
        moved = torch.zeros_like(logits)
        moved[b, a] = eps
        up, down = (softmax_policy(x)[b, action[b]].log() for x in (logits + moved, logits - moved))
        assert float(score[b, a]) == pytest.approx(float(up - down) / (2 * eps), abs=1e-8)


def random_mdp(rng, states=4, actions=3):
    P = torch.from_numpy(rng.dirichlet(np.ones(states), size=(states, actions)))
    R = torch.from_numpy(rng.normal(size=(states, actions)))
    start = torch.from_numpy(rng.dirichlet(np.ones(states)))
    return P, R, start, torch.from_numpy(rng.normal(size=(states, actions)))


def start_value(P, R, start, logits, gamma, sweeps=3000):
    """J by summing the reward of every step: no linear solve, no theorem."""
    pi = torch.softmax(logits, dim=1)
    reward, step = (pi * R).sum(1), torch.einsum("sa,sat->st", pi, P)
    total, weight = torch.zeros(()), start.clone()
    for _ in range(sweeps):
        total = total + weight @ reward
        weight = gamma * weight @ step
    return total


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.95])
def test_policy_gradient_theorem_against_finite_differences(rng, gamma):
    P, R, start, logits = random_mdp(rng)
    gradient, eps = exact_policy_gradient(P, R, start, logits, gamma), 1e-5
    for s, a in np.ndindex(*logits.shape):
        moved = torch.zeros_like(logits)
        moved[s, a] = eps
        up, down = (start_value(P, R, start, x, gamma) for x in (logits + moved, logits - moved))
        assert float(gradient[s, a]) == pytest.approx(float(up - down) / (2 * eps), abs=1e-7)


def corridor_values(p):
    """S&B example 13.1: three states that look the same, the second one reversed; −1 a step.

    v1 = −1 + (1−p) v1 + p v2; v2 = −1 + p v1 + (1−p) v3; v3 = −1 + (1−p) v2. Solved by hand.
    """
    return (2 * p - 4) / (p * (1 - p))


def test_short_corridor_of_sutton_and_barto():
    """One logit pair shared by all states: the chain rule sums the theorem's rows."""
    left, right = 0, 1
    P, R = torch.zeros(3, 2, 3, dtype=torch.float64), -torch.ones(3, 2, dtype=torch.float64)
    P[0, left, 0] = P[0, right, 1] = 1.0
    P[1, left, 2] = P[1, right, 0] = 1.0
    P[2, left, 1] = 1.0  # right leaves: a row that sums to 0
    start = torch.tensor([1.0, 0, 0], dtype=torch.float64)
    h = torch.zeros(2, dtype=torch.float64)
    for _ in range(3000):
        h = h + 0.02 * exact_policy_gradient(P, R, start, h.expand(3, 2), 1.0).sum(0)
    p = float(softmax_policy(h[None])[0, right])
    assert p == pytest.approx(2 - math.sqrt(2), abs=1e-6)
    assert corridor_values(p) == pytest.approx(-11.66, abs=0.005)
    eps = 1e-6
    at = 0.3
    logit = torch.tensor([0.0, math.log(at / (1 - at))], dtype=torch.float64)
    slope = exact_policy_gradient(P, R, start, logit.expand(3, 2), 1.0).sum(0)[right]
    by_hand = (corridor_values(at + eps) - corridor_values(at - eps)) / (2 * eps) * at * (1 - at)
    assert float(slope) == pytest.approx(by_hand, rel=1e-6)


def test_sampled_gradient_is_the_exact_one_on_average(rng):
    """REINFORCE with γ^t is unbiased: the mean over many episodes lies within its own error."""
    P, R, start, logits = random_mdp(rng, states=3, actions=2)
    P = 0.7 * P  # the rest is termination
    pi = torch.softmax(logits, dim=1).numpy()
    gamma, n = 0.9, 4000
    samples = np.zeros((n, 3, 2))
    for i in range(n):
        s, weight, rewards, scores = rng.choice(3, p=start.numpy()), 1.0, [], []
        while True:
            a = rng.choice(2, p=pi[s])
            score = np.zeros((3, 2))
            score[s] = grad_log_softmax(logits[s][None], torch.tensor([a]))[0].numpy()
            rewards.append(float(R[s, a]))
            scores.append(weight * score)
            weight *= gamma
            if rng.random() > 0.7:
                break
            s = rng.choice(3, p=P[s, a].numpy() / 0.7)
        for t, score in enumerate(scores):
            samples[i] += score * sum(gamma**k * r for k, r in enumerate(rewards[t:]))
    exact = exact_policy_gradient(P, R, start, logits, gamma).numpy()
    error = samples.std(axis=0) / math.sqrt(n)
    assert (np.abs(samples.mean(axis=0) - exact) < 4.5 * error).all()
    assert (np.abs(exact) > 4.5 * error).any()  # the test could tell it from zero


def test_losses_are_means_of_products_and_give_no_gradient_to_data(rng):
    log_prob, returns, value = (
        torch.tensor(rng.normal(size=6), requires_grad=True) for _ in range(3)
    )
    pairs = [
        (x, g, b) for x, g, b in zip(*(c.tolist() for c in (log_prob, returns, value)), strict=True)
    ]
    assert reinforce_loss(log_prob, returns).item() == pytest.approx(
        -sum(x * g for x, g, _ in pairs) / 6
    )
    policy_loss, value_loss = baseline_loss(log_prob, returns, value)
    assert policy_loss.item() == pytest.approx(-sum(x * (g - b) for x, g, b in pairs) / 6)
    assert value_loss.item() == pytest.approx(sum((g - b) ** 2 for _, g, b in pairs) / 12)
    gradients = torch.autograd.grad(policy_loss, (log_prob, returns, value), allow_unused=True)
    assert gradients[0] is not None and gradients[1] is None and gradients[2] is None
    gradients = torch.autograd.grad(value_loss, (log_prob, returns, value), allow_unused=True)
    assert gradients[0] is None and gradients[1] is None
    assert gradients[2].tolist() == pytest.approx([(b - g) / 6 for _, g, b in pairs])


def states_and_values(bound):
    """h (A,) and q (A,) of one state, 2 to 5 actions."""
    numbers = st.floats(-bound, bound, allow_subnormal=False)
    return st.integers(2, 5).flatmap(
        lambda n: st.tuples(arrays(float, n, elements=numbers), arrays(float, n, elements=numbers))
    )


def noise(h, q, b):
    """The variance of the sampled gradient: its covariance's trace, over all actions, the score by autograd."""
    scores = torch.autograd.functional.jacobian(
        lambda x: torch.log_softmax(x, 0), torch.as_tensor(h)
    )
    pi = torch.softmax(torch.as_tensor(h), 0)
    samples = scores * (torch.as_tensor(q) - b)[:, None]
    mean = pi @ samples
    return float(pi @ (samples - mean).square().sum(dim=1)), mean


def best_baseline(h, q):
    pi = torch.softmax(torch.as_tensor(h)[None], dim=1)
    return float(optimal_baseline(pi, torch.as_tensor(q)[None]))


@settings(deadline=None, max_examples=60)
@given(states_and_values(3.0))
def test_optimal_baseline_is_the_vertex_of_the_variance(h_and_q):
    """A parabola is known by three of its points; the mean of the samples is the same at each."""
    h, q = h_and_q
    (low, one), (mid, two), (high, three) = (noise(h, q, b) for b in (-4.0, 0.0, 4.0))
    vertex = 2.0 * (low - high) / (low - 2 * mid + high)
    assert best_baseline(h, q) == pytest.approx(vertex, abs=1e-6)
    torch.testing.assert_close(one, two)
    torch.testing.assert_close(two, three)


@settings(deadline=None, max_examples=60)
@given(states_and_values(3.0), st.floats(-5, 5), st.floats(-3, 3))
def test_optimal_baseline_is_an_average_and_moves_with_the_values(h_and_q, shift, factor):
    h, q = h_and_q
    b = best_baseline(h, q)
    assert min(q) - 1e-9 <= b <= max(q) + 1e-9
    assert best_baseline(h, factor * q + shift) == pytest.approx(factor * b + shift, abs=1e-8)


def test_optimal_baseline_of_two_actions_exchanges_the_weights(rng):
    p, q = rng.uniform(0.05, 0.95, size=50), rng.normal(size=(50, 2))
    pi = torch.from_numpy(np.stack([p, 1 - p], axis=1))
    by_hand = (1 - p) * q[:, 0] + p * q[:, 1]
    assert optimal_baseline(pi, torch.from_numpy(q)).numpy() == pytest.approx(by_hand)


def test_optimal_baseline_keeps_the_inputs_dtype(rng):
    pi, q = (torch.from_numpy(rng.normal(size=(4, 3))).float() for _ in range(2))
    pi = torch.softmax(pi, dim=1)
    exact = optimal_baseline(pi.double(), q.double())
    b = optimal_baseline(pi, q)
    assert b.dtype == torch.float32 and exact.dtype == torch.float64 and b.shape == (4,)
    torch.testing.assert_close(b, exact.float())


@pytest.mark.parametrize("keep_gamma_t", [False, True])
def test_loop_takes_the_book_s_step(keep_gamma_t):
    """One episode of the corridor, the same step by hand: the score of a softmax is e_a − π."""
    h = torch.zeros(2, requires_grad=True)
    trace = []

    def policy(obs, rng):
        action = int(rng.integers(2))
        trace.append(action)
        return action, torch.log_softmax(h, dim=0)[action]

    env = Corridor()
    returns = reinforce(
        env, policy, torch.optim.SGD([h], lr=0.1), 1, 0.9, np.random.default_rng(3), keep_gamma_t
    )
    steps = len(trace)
    assert steps > 3 and returns.tolist() == [-steps]
    by_hand = np.zeros(2)
    for t, action in enumerate(trace):
        g = -sum(0.9**k for k in range(steps - t))
        by_hand += (0.9**t if keep_gamma_t else 1.0) * g * (np.eye(2)[action] - 0.5)
    assert h.tolist() == pytest.approx((0.1 * by_hand).tolist(), rel=1e-5)


def test_episode_returns_start_anew_after_either_end():
    reward = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    ends = torch.tensor([0.0, 1, 0, 0, 1]), torch.tensor([0.0, 0, 1, 0, 0])
    assert episode_returns(reward, *ends, 0.5).tolist() == [2.0, 2.0, 3.0, 6.5, 5.0]


@pytest.mark.parametrize("cls", [Reinforce, ReinforceBaseline])
def test_update_is_the_step_computed_apart(cls, rng):
    """SGD in place of Adam, weights compared with a loop of single-row gradients."""
    env = Bandit()
    agent = cls.for_env(env, seed=1, hidden=(5,), scale=False)
    agent.optimizer = torch.optim.SGD(agent.policy.parameters(), lr=0.5)
    rows = 6
    obs = torch.from_numpy(rng.normal(size=(rows, 1, 1)).astype(np.float32))
    action = torch.from_numpy(rng.integers(2, size=(rows, 1)))
    reward = torch.from_numpy(rng.normal(size=(rows, 1)).astype(np.float32))
    end = torch.tensor([0.0, 0, 1, 0, 0, 1])[:, None]
    before = [p.detach().clone() for p in agent.policy.parameters()]
    expected = [p.clone() for p in before]
    r, gamma = reward.flatten().tolist(), agent.gamma
    g = [r[0] + gamma * (r[1] + gamma * r[2]), r[1] + gamma * r[2], r[2]]
    g += [r[3] + gamma * (r[4] + gamma * r[5]), r[4] + gamma * r[5], r[5]]
    for t in range(rows):
        b = agent.v_net(obs[t]).item() if cls is ReinforceBaseline else 0.0
        row = torch.log_softmax(agent.policy(obs[t, 0]), dim=0)[action[t, 0]]
        for p, d in zip(
            expected, torch.autograd.grad(row, list(agent.policy.parameters())), strict=True
        ):
            p += 0.5 * (g[t] - b) * d / rows
    agent.update(Rollout(obs, action, reward, obs, end, torch.zeros_like(end)), rng)
    for p, q in zip(agent.policy.parameters(), expected, strict=True):
        torch.testing.assert_close(p.detach(), q, rtol=1e-4, atol=1e-6)


def test_first_weights_are_orthogonal_and_come_from_the_seed_alone():
    state = torch.get_rng_state()
    a, b, c = (Reinforce.for_env(Bandit(), seed=seed, hidden=(8, 4)) for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), state)
    first, same, other = (agent.policy.layers[2].weight for agent in (a, b, c))
    assert torch.equal(first, same) and not torch.equal(first, other)
    torch.testing.assert_close(first @ first.T, 2 * torch.eye(4))  # rows of length √2
