# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11 · Actor-critic
#
# Part III · 10 → **11** → 12 → Part IV
#
# - **You will be able to** replace the return $G_t$ by something far less noisy: say what a baseline takes away and
#   what a critic takes away; estimate advantages from one step, from n steps, and from all of them at once (GAE); say
#   exactly what a wrong critic costs; and train a policy with it, without a mistake at the ends of episodes.
# - **Builds on** lesson 10 (the policy gradient, baselines), lesson 04 (TD errors, n-step returns, λ), lesson 05
#   (SARSA), lesson 08 (training a network, time limits).
# - **Time** two sittings of 75 minutes alone, with a break before the loops; 80 minutes as a lecture.
# - **Sources** Sutton & Barto, 2nd edition, chapter 13.5; Mnih et al. 2016 (A3C); Schulman, Moritz, Levine, Jordan &
#   Abbeel 2016 (GAE); Pardo, Tavakoli, Levdik & Kormushev 2018 (time limits); the Bern winter school's slides on
#   advanced reinforcement learning; lecture notes on Stein's identity and soft policy iteration; a Chinese pseudocode
#   collection of twelve algorithms.

# %%
import gymnasium as gym
import numpy as np
import torch
from torch import nn

from rlcourse.checker import authorship, check, whose
from rlcourse.lab import plots
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.on_policy import train_on_policy
from rlcourse.lab.progress import seeds
from rlcourse.lab.replay import Batch
from rlcourse.lab.seeding import one_thread
from rlcourse.policies import gae as reference
from rlcourse.policies import tables
from rlcourse.policies.actor_critic import A2C, QActorCritic
from rlcourse.policies.agents import end_to_end
from rlcourse.policies.distributions import log_prob_and_entropy
from rlcourse.policies.reinforce import softmax_policy

# %% [markdown]
# ## What we inherit
#
# An exact gradient, sampled, with a baseline in it:
#
# $$\nabla J(\theta) = \mathbb E_{\pi_\theta}\Big[\sum_t\gamma^t\,\big(G_t - V_\psi(s_t)\big)\,\nabla\log\pi_\theta(a_t|s_t)\Big] \tag{11.1}$$
#
# What is still too expensive? $G_t$: it needs the end of the episode, and it carries the noise of every step until
# there. The whole lesson is about what may stand in the place of $G_t - V_\psi(s_t)$.

# %% [markdown]
# ## Guess first
#
# A tennis player wins each rally with probability 0.6 and leads 40–0: one more rally, and the game is won. She tries
# a wild shot, and loses the rally. Then she wins the game after all.
#
# **Was the shot good?** And what does REINFORCE say, whose baseline knows the score?
#
# <details><summary>I have guessed. What is it?</summary>
#
# It was bad: at 40–0 she wins the game with probability 0.980, at 40–15 with 0.951. REINFORCE only sees how the game
# ended. Won is 1, expected was 0.980, so the shot is *praised*, a little. Averaged over very many games the truth
# comes out. But somebody who knows what a score is worth sees it at once: from 0.980 down to 0.951. That somebody is
# the **critic**.
# </details>


# %%
def wins(own, other, p=0.6):
    """The probability of winning a game of tennis from this score, in points won."""
    if own >= 3 and other >= 3 and own == other:
        return p**2 / (p**2 + (1 - p) ** 2)  # deuce: two in a row, before the other has them
    if max(own, other) >= 4 and abs(own - other) >= 2:
        return float(own > other)
    return p * wins(own + 1, other) + (1 - p) * wins(own, other + 1)


before, after = wins(3, 0), wins(3, 1)
print(f"at 40–0: {before:.3f}, at 40–15: {after:.3f}")
print(f"REINFORCE says {1 - before:+.2f}, the critic says {after - before:+.2f}")

# %% [markdown]
# ## What is noisy in G?
#
# Two things are random in a sample of (11.1): which action was taken, and everything that came after it. Separate them.
# Given $s_t$ and $a_t$ the return has the mean $\mathbb E[G_t|s_t,a_t] = Q^\pi(s_t,a_t)$, and the score is fixed. So in
# the mean $G_t$ may be replaced by $Q^\pi$, as in lesson 10, where we went the other way. With $b = V^\pi$ what is left
# is the **advantage** $A^\pi(s,a) = Q^\pi(s,a) - V^\pi(s)$, how much better than usual the action is:
#
# $$\nabla J(\theta) = \mathbb E_{\pi_\theta}\Big[\sum_t\gamma^t\,A^\pi(s_t,a_t)\,\nabla\log\pi_\theta(a_t|s_t)\Big] \tag{11.2}$$
#
# How much noise goes? Write $G - V^\pi = A^\pi + (G - Q^\pi)$ and square. Given $s$ and $a$ the bracket has mean 0, so
# the mixed term is 0 on average:
#
# $$\mathbb E\big[(G-V^\pi)^2\,\|\nabla\log\pi\|^2\big] = \mathbb E\big[(A^\pi)^2\,\|\nabla\log\pi\|^2\big] + \mathbb E\big[\mathrm{Var}(G|s,a)\,\|\nabla\log\pi\|^2\big] \tag{11.3}$$
#
# The first term comes from the choice of the action, the second from the rest of the episode. A baseline makes the
# first one small; it cannot touch the second. Only a critic that stands *for the rest of the episode* can.
#
# Here are both, exactly, in a random world with six states and three actions. `gae_moments` solves two linear systems
# (later in this lesson) and gives the mean and the mean square of such weights for every $s$ and $a$. Rows are drawn
# as practice draws them: states as often as they are visited.

# %%
gamma = 0.95
rng = np.random.default_rng(0)
world = tables.random_mdp(6, 3, rng, go_on=0.95)
theta = torch.from_numpy(rng.normal(size=(6, 3)))
pi = softmax_policy(theta).numpy()
V = tables.state_values(world, theta, gamma)
Q = world.R.numpy() + gamma * world.P.numpy() @ V
A = Q - V[:, None]
visited = tables.visits(world, theta, 1.0)
share = (visited / visited.sum())[:, None] * pi  # of the rows of a batch, (S, A)
score = np.eye(3) - pi[:, None, :]  # [s, a]: the vector (10.9)


def of_a_sample(mean, square):
    """The mean (S, A) of one row's w ∇log π, and its variance, all entries together.

    mean, square: (S, A), of the weight w, given s and a.
    """
    gradient = np.einsum("sa,sab->sb", share * mean, score)
    return gradient, (share * square * (score**2).sum(axis=2)).sum() - (gradient**2).sum()


weights = {
    "G": tables.gae_moments(world, theta, 0 * V, gamma, 1.0),
    "G − V": tables.gae_moments(world, theta, V, gamma, 1.0),
    "Q": (Q, Q**2),
    "Q + 10": (Q + 10, (Q + 10) ** 2),
    "A": (A, A**2),
}
variance = {}
for name, moments in weights.items():
    gradient, variance[name] = of_a_sample(*moments)
    print(f"weight {name:7} variance of one sample {variance[name]:6.2f}")
    assert np.allclose(gradient, of_a_sample(A, A**2)[0])
rest_of_the_episode = variance["G − V"] - variance["A"]
print(f"the second term of (11.3): {rest_of_the_episode:.2f}")
assert np.isclose(variance["G"] - variance["Q"], rest_of_the_episode)

# %% [markdown]
# All five have the same mean. A baseline alone takes little away ($G$ against $G - V$): the noise of the rest of the
# episode stays, the second term of (11.3). A critic alone, $Q$ without a baseline, is at the mercy of where zero happens to lie: $Q + 10$ is worse
# than $G$ itself. Both together leave next to nothing. **A baseline subtracts what was expected before the action, a
# critic replaces what comes after it.**

# %% [markdown]
# ## One step and a critic
#
# $A^\pi$ needs $Q^\pi$ and $V^\pi$. Do we have to learn two functions? No: lesson 04 had a number whose mean is the
# advantage, and which asks for $V$ alone, the **TD error**
#
# $$\delta_t = r_t + \gamma(1-d_t)\,V(s_{t+1}) - V(s_t) \tag{11.4}$$
#
# where $d_t = 1$ if $s_{t+1}$ is terminal. If $V = V^\pi$, then
# $\mathbb E[\delta_t|s_t,a_t] = \mathbb E[r_t + \gamma(1-d_t)V^\pi(s_{t+1})|s_t,a_t] - V^\pi(s_t) = Q^\pi(s_t,a_t) - V^\pi(s_t) = A^\pi(s_t,a_t)$.
#
# The price: this is true if the critic is true. Let it be wrong by $e(s)$, $V = V^\pi + e$. Then the mean of δ is
# $A^\pi(s_t,a_t) + \gamma\,\mathbb E[(1-d_t)\,e(s_{t+1})|s_t,a_t] - e(s_t)$. The last term is a baseline, it knows no action. The one
# before it is **bias**. No number of samples takes it away.

# %%
critics = {"exact": V, "off": V + 2 * np.random.default_rng(1).normal(size=6)}
true, _ = of_a_sample(A, A**2)
for name, v in critics.items():
    delta_mean, delta_square = tables.gae_moments(world, theta, v, gamma, 0.0)
    gradient, noise = of_a_sample(delta_mean, delta_square)
    bias = np.linalg.norm(gradient - true) / np.linalg.norm(true)
    print(f"δ, critic {name:6} variance {noise:5.2f}, bias {bias:.3f} of the gradient's length")
e = critics["off"] - V
assert np.allclose(delta_mean, A + gamma * world.P.numpy() @ e - e[:, None])
assert np.allclose(tables.gae_moments(world, theta, V, gamma, 0.0)[0], A)

# %% [markdown]
# With an exact critic δ has a seventh of the variance of $G - V$, and no bias. (It is noisier than $A$: the reward
# and the next state are still drawn.) With a critic that is off the variance is as small, and the gradient is wrong by
# more than 40 per cent of its length. So there is a choice to make.

# %% [markdown]
# ## n steps
#
# Between one step and all of them lie n: take $n$ real rewards, then the critic. The critic's error then counts only
# $\gamma^n$, but $n$ steps bring their noise. For steps in the order of time
#
# $$\begin{aligned}\hat A^{(n)}_t &= \sum_{k=0}^{m-1}\gamma^k r_{t+k} + \gamma^m\,(1-d_{t+m-1})\,V(s'_{t+m-1}) - V(s_t)\\
# m &= \min(n,\ \text{the number of rows from } t \text{ to the end of its episode or of the recording})\end{aligned} \tag{11.5}$$
#
# Look at the two subtleties.
#
# - $s'_k$ is what step $k$ led to. Inside an episode that is $s_{k+1}$. After an end it is not: row $k+1$ of the
#   recording is then the first state of *another* episode.
# - An episode has two ways to end. It **terminates** ($d = 1$): the pole has fallen, nothing is left to come. Or it is
#   **truncated** ($c = 1$): a clock ran out, and somebody stopped watching. The world would have gone on, so the
#   value of where it stopped counts (lesson 08). Both flags may be 1; then the state is terminal.

# %% [markdown] task="n_step_advantage"
# ### Exercise 11.1 · `n_step_advantage`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min
#
# Compute (11.5) for every row, and the returns $\hat A^{(n)} + V$ (the critic's targets). All arguments are (T,)
# tensors of one environment, in the order of time; `next_value[t]` is $V(s'_t)$; the flags are 0 or 1.
#
# - The window of a row ends with its episode, with the recording, or after `n` rows, whichever comes first.
# - `n` may be larger than T.


# %% exercise="n_step_advantage" points=2
def n_step_advantage(reward, value, next_value, terminated, truncated, gamma, n):
    """The n-step advantages (11.5), and the returns they stand for.

    reward, value, next_value, terminated, truncated: (T,); n ≥ 1. Returns (adv, returns), (T,) each.
    """
    ### BEGIN SOLUTION
    over = torch.maximum(terminated, truncated)
    returns = torch.zeros_like(value)
    for t in range(len(reward)):
        power = 1.0
        for k in range(t, min(t + n, len(reward))):
            returns[t] += power * reward[k]
            power *= gamma
            if over[k]:
                break
        returns[t] += power * (1 - terminated[k]) * next_value[k]  # k: the window's last row
    return returns - value, returns
    ### END SOLUTION


# %% [markdown] hints="n_step_advantage"
# <details><summary>How do I find the end of a row's window?</summary>
#
# Walk forwards from $t$, at most $n$ rows. Stop after the first row that carries either flag, and at the recording's
# last row. What you need at the end is *which* row was the last, and how many there were.
# </details>
# <details><summary>What is read at the end of the window?</summary>
#
# The value of what the window's last row led to. Not the value in the row after it. Multiply it with one mask: the
# one that says that nothing is left to come.
# </details>
# <details><summary>Which power of γ?</summary>
#
# As many as there are rewards before it. In a window that was cut short this is less than $n$.
# </details>

# %% check="n_step_advantage"
n_step_advantage = check("n_step_advantage")

# %% [markdown]
# ## The same, as a sum of TD errors
#
# Inside an episode the TD errors telescope. Add $n$ of them, each discounted:
#
# $$\begin{aligned}\sum_{k=0}^{n-1}\gamma^k\delta_{t+k} &= \sum_{k=0}^{n-1}\gamma^k r_{t+k} + \sum_{k=0}^{n-1}\big(\gamma^{k+1}V(s_{t+k+1}) - \gamma^k V(s_{t+k})\big)\\
# &= \sum_{k=0}^{n-1}\gamma^k r_{t+k} + \gamma^n V(s_{t+n}) - V(s_t) = \hat A^{(n)}_t\end{aligned} \tag{11.6}$$
#
# Every value in between comes twice, with opposite signs. So $n$ steps are not another idea than one step: they are
# $n$ one-step errors. Let us check it on a recording of CartPole: 64 steps of four environments, and a network that
# has learned nothing yet.


# %%
class Listener(A2C):
    """Plays, and keeps what it has seen; learns nothing."""

    def update(self, rollout, rng):
        self.heard = rollout
        return {}


listener = Listener.for_env("CartPole-v1", n_envs=4, horizon=64)
train_on_policy(listener, "CartPole-v1", 256, seed=0)
rollout = listener.heard
with torch.no_grad():
    value, next_value = listener.v_net(rollout.obs), listener.v_net(rollout.next_obs)
print("rewards:", tuple(rollout.reward.shape), " ends:", int(rollout.terminated.sum()))

# The first environment alone, (T,).
rows = [x[:, 0] for x in (rollout.reward, value, next_value, rollout.terminated, rollout.truncated)]
delta, _ = n_step_advantage(*rows, gamma, 1)
inside = range(int(rows[3].nonzero()[0]) - 4)  # rows with five steps to go in the first episode
summed = torch.stack([sum(gamma**k * delta[t + k] for k in range(5)) for t in inside])
five, _ = n_step_advantage(*rows, gamma, 5)
print(f"five TD errors against five steps: {(summed - five[list(inside)]).abs().max():.0e} apart")
print("by " + authorship("n_step_advantage"))
assert (summed - five[list(inside)]).abs().max() < 1e-4

# %% [markdown]
# ## All n at once: GAE
#
# Which $n$? Lesson 04 did not choose. It averaged all of them, with weights that fall like $\lambda^{n-1}$:
#
# $$\hat A^{\text{GAE}(\gamma,\lambda)}_t = (1-\lambda)\sum_{n=1}^\infty\lambda^{n-1}\hat A^{(n)}_t$$
#
# (The weights sum to 1.) Put (11.6) in and ask how often $\delta_{t+k}$ occurs. It is in every $\hat A^{(n)}$ with
# $n > k$, so its weight is $(1-\lambda)(\lambda^k + \lambda^{k+1} + \dots) = \lambda^k$, times the $\gamma^k$ it
# carries:
#
# $$\hat A^{\text{GAE}(\gamma,\lambda)}_t = \sum_{k\ge0}(\gamma\lambda)^k\,\delta_{t+k} \tag{11.7}$$
#
# (Where the episode ends all longer windows are the same one, and the δ behind it are 0.)
# Infinitely many n-step advantages have become one sum. It is the **λ-return** of lesson 04, minus $V$: generalised
# advantage estimation (Schulman et al. 2016). The sum obeys a recursion, from the last row backwards. In a recording
# with ends in it the two flags do two different things:
#
# $$\begin{aligned}\delta_t &= r_t + \gamma\,(1-d_t)\,V(s'_t) - V(s_t)\\
# \hat A_t &= \delta_t + \gamma\lambda\,\big(1-\max(d_t,c_t)\big)\,\hat A_{t+1},\qquad \hat A_T = 0\end{aligned} \tag{11.8}$$
#
# *Bootstrap*: only termination takes the value of $s'_t$ away. *Recursion*: either flag says that row $t+1$ is
# somebody else's. One mask for both is the most frequent mistake of all.
#
# The two ends of λ are old friends:
#
# $$\begin{aligned}\lambda = 0:\quad \hat A_t &= \delta_t\\
# \lambda = 1:\quad \hat A_t &= \text{the return, bootstrapped where it was cut} - V(s_t)\end{aligned} \tag{11.9}$$

# %% [markdown] task="gae"
# ### Exercise 11.2 · `gae`
# **Points** 3 · **Difficulty** ●●○ · **Time** 15 min
#
# Compute (11.8), and the returns $\hat A + V$, which will be the critic's targets. Arguments as in 11.1, with `lam`
# for λ. You will train with this function: one loop over the rows is fast enough.


# %% exercise="gae" points=3
def gae(reward, value, next_value, terminated, truncated, gamma, lam):
    """Generalised advantage estimation (11.8).

    reward, value, next_value, terminated, truncated: (T,). Returns (adv, returns), (T,) each.
    """
    ### BEGIN SOLUTION
    delta = reward + gamma * (1 - terminated) * next_value - value  # the bootstrap's mask
    carry = gamma * lam * (1 - torch.maximum(terminated, truncated))  # the recursion's mask
    adv, following = [], torch.zeros(())
    for error, weight in zip(reversed(delta.unbind()), reversed(carry.unbind()), strict=True):
        following = error + weight * following
        adv.append(following)
    adv = torch.stack(adv[::-1])
    return adv, adv + value
    ### END SOLUTION


# %% [markdown] hints="gae"
# <details><summary>Where do I begin?</summary>
#
# All TD errors first, in one line without a loop. Then the recursion, from the last row to the first: the last row's
# advantage is its own TD error.
# </details>
# <details><summary>Two masks: which is which?</summary>
#
# Ask of the flag two questions. Is there nothing left to come after this step? And: does the next row of the
# recording belong to another episode? Termination answers both with yes, truncation only the second.
# </details>
# <details><summary>How can I test it before I ask the check?</summary>
#
# λ = 0 must give the TD errors, whatever the flags. And with λ = 1 and `n` as long as the recording, 11.1 must agree
# with 11.2.
# </details>

# %% check="gae"
gae = check("gae")

# %% [markdown]
# Both ends of (11.9) and the mixture above (11.7), on the real recording, for two of its environments.

# %%
apart = {"λ = 0, TD errors": 0.0, "λ = 1, returns − V": 0.0, "mixture of all n": 0.0}
lam = 0.9
for i in range(2):
    rows = [x[:, i] for x in (rollout.reward, value, next_value, rollout.terminated, rollout.truncated)]  # fmt: skip
    r, v, v_next, d, c = rows
    td = r + gamma * torch.where(d == 1, 0.0, v_next) - v
    G, returns = v_next[-1], []
    for t in reversed(range(64)):
        if d[t] or c[t]:
            G = (1 - d[t]) * v_next[t]
        G = r[t] + gamma * G
        returns.insert(0, G)
    mixture = sum(
        (1 - lam) * lam ** (n - 1) * n_step_advantage(*rows, gamma, n)[0] for n in range(1, 64)
    )
    mixture += lam**63 * n_step_advantage(*rows, gamma, 64)[0]  # all longer windows are this one
    for name, ours, theirs in zip(
        apart,
        (gae(*rows, gamma, 0.0)[0], gae(*rows, gamma, 1.0)[0], gae(*rows, gamma, lam)[0]),
        (td, torch.stack(returns) - v, mixture),
        strict=True,
    ):
        apart[name] = max(apart[name], float((ours - theirs).abs().max()))
for name, largest in apart.items():
    print(f"{name:20} {largest:.1e} apart at most")
    assert largest < 1e-4
print("by " + authorship("gae", "n_step_advantage"))

# %% [markdown]
# (float32 keeps seven digits. The differences are its rounding.)
#
# ### Talk to your neighbour
# Our agents play in several environments at once; a recording is (T, N). Your functions take (T,). May we lay the N
# recordings end to end, and mark the last row of each as **truncated**?
#
# **A** No, the last episode of each would lose its future · **B** Yes: it is only a seam, and nothing changes ·
# **C** Only if no pole is in the air at the seam
#
# <details><summary>What the next cell will show</summary>
#
# B. At the seam the recursion must not go on, and a flag of either kind stops it. The bootstrap must stay, and
# truncation lets it stay. That is what the second mask is for: "the recording stopped, not the world" is the same
# sentence for a clock and for the end of a recording.
# </details>

# %%
line = end_to_end(rollout)
with torch.no_grad():
    laid = gae(line.reward, listener.v_net(line.obs), listener.v_net(line.next_obs),
               line.terminated, line.truncated, gamma, lam)[0]  # fmt: skip
grid = reference.gae(
    rollout.reward, value, next_value, rollout.terminated, rollout.truncated, gamma, lam
)
print("truncated rows:", int(line.truncated.sum()), "of", len(line.reward))
print(f"end to end, against side by side: {(laid - grid[0].T.flatten()).abs().max():.0e} apart")
assert (laid - grid[0].T.flatten()).abs().max() < 1e-4

# %% [markdown]
# ## What a wrong critic costs
#
# ### Talk to your neighbour
# The critic is 3 too high in *every* state. λ = 1, and episodes end in a terminal state. What happens to the gradient?
#
# **A** All advantages are 3 too low, so it is wrong · **B** nothing at all · **C** it stays right and gets noisier
#
# <details><summary>What the cell after the exercise will show</summary>
#
# C. All advantages are indeed 3 too low. But 3 too low for *every* action is a baseline that is 3 too high, and any
# baseline is free in the mean, (10.23). The variance is not.
# </details>

# %% [markdown]
# And in general? Let $V = V^\pi + e$. An episode goes on from $s_0$ for $N$ more steps to $s_N$, and ends there:
# terminal ($d = 1$), or cut off ($d = 0$). The advantage (11.7) is linear in the values that it reads, so an error in
# each state adds its share:
#
# $$\hat A_0[V] - \hat A_0[V^\pi] = \sum_{k=0}^{N} c_k\,e(s_k),\qquad \hat A_0 = \sum_{k=0}^{N-1}(\gamma\lambda)^k\,\delta_k \tag{11.10}$$

# %% [markdown] task="critic_error_weights"
# ### Exercise 11.3 · `critic_error_weights`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min · ✎ on paper
#
# Find the $c_k$ on paper: write the TD errors of (11.10) below each other and collect what stands before each
# $V(s_k)$. Then write them down as a function.
#
# - `steps` is $N \ge 1$, `terminated` is $d$, 0 or 1, of the last step.
# - γ and λ may be 0 or 1; $0^0 = 1$. Return a float32 tensor.


# %% exercise="critic_error_weights" points=2
def critic_error_weights(steps, terminated, gamma, lam):
    """The weights c_0 … c_N of the critic's errors in an advantage (11.10).

    steps: N; terminated: 0 or 1, of the last step. Returns (N + 1,) float32.
    """
    ### BEGIN SOLUTION
    c = torch.zeros(steps + 1)
    c[0] = -1.0
    for k in range(1, steps):
        c[k] = (1 - lam) * gamma * (gamma * lam) ** (k - 1)
    c[steps] = (1 - terminated) * gamma * (gamma * lam) ** (steps - 1)
    return c
    ### END SOLUTION


# %% [markdown] hints="critic_error_weights"
# <details><summary>How do I start?</summary>
#
# With $N = 2$. There are two TD errors, the second one weighed with $\gamma\lambda$. Three values occur in them. Write
# both in full, one below the other.
# </details>
# <details><summary>Which values occur twice?</summary>
#
# Those in the middle: once as what a step led to, and once as where the next step began. The first state is where
# only one step begins. The last one is where no step begins.
# </details>
# <details><summary>What does termination change?</summary>
#
# A single place: the value that the very last step would have read.
# </details>

# %% check="critic_error_weights"
critic_error_weights = check("critic_error_weights")

# %% [markdown]
# Measure them: add an error to a recording's values, and compare what becomes of the first advantage.

# %%
g = torch.Generator().manual_seed(0)
for d in (0.0, 1.0):
    N = 6
    r, v = torch.randn(N, generator=g).double(), torch.randn(N + 1, generator=g).double()
    e = torch.randn(N + 1, generator=g).double()
    flags = torch.zeros(N).double(), torch.zeros(N).double()
    flags[0][-1], flags[1][-1] = d, 1 - d
    first = [gae(r, x[:-1], x[1:], *flags, 0.9, 0.8)[0][0] for x in (v, v + e)]
    c = critic_error_weights(N, int(d), 0.9, 0.8)
    print(f"d = {d:.0f}: change {first[1] - first[0]:+.6f}, Σ c e = {(c.double() @ e):+.6f}")
    assert abs(first[1] - first[0] - c.double() @ e) < 1e-6
print("by " + authorship("critic_error_weights", "gae"))

# %% [markdown]
# Read your formula. $c_0 = -1$: the error of the state itself is a **baseline**, it harms nobody. All other weights
# belong to states that the action has led to; they are **bias**. λ moves them outwards and makes them smaller: at λ = 0
# the whole bias is that of the next state, and at λ = 1 only the last state's is left, and after a terminal end none.
#
# Now the question about the 3. The world of before ends every step with the same probability. Beside it a second one,
# where that depends on what one does.

# %%
rng = np.random.default_rng(5)
uneven = world._replace(P=world.P * torch.from_numpy(rng.uniform(0.8, 1, size=(6, 3, 1))))
worlds = {"ends alike": world, "ends depend on a": uneven}
for name, mdp in worlds.items():
    v = tables.state_values(mdp, theta, gamma)
    n = tables.visits(mdp, theta, 1.0)
    share = (n / n.sum())[:, None] * pi
    right, noise = of_a_sample(*tables.gae_moments(mdp, theta, v, gamma, 1.0))
    off = {}
    for lam in (0.0, 0.5, 0.9, 1.0):
        moments = tables.gae_moments(mdp, theta, v + 3, gamma, lam)
        wrong, more = of_a_sample(*moments)
        off[lam] = np.linalg.norm(wrong - right) / np.linalg.norm(right)
    shift = moments[0] - tables.gae_moments(mdp, theta, v, gamma, 1.0)[0]
    print(f"{name:17} λ = 1: Â shifted by {shift.min():.3f}, variance {noise:.1f} → {more:.1f}")
    print("    gradient off by " + ", ".join(f"{x:.0%} at λ = {k:g}" for k, x in off.items()))
    assert off[1.0] < 1e-9 and np.allclose(shift, -3)
share = (visited / visited.sum())[:, None] * pi  # the first world's again

# %% [markdown]
# At λ = 1 the gradient is right, and noisier. In the first world it is right at every λ: the next state's 3 comes with
# the same probability whatever one does, so it is a baseline too. Where an action decides whether the episode goes on
# it is not: going on is then praised for the 3 that the critic believes in.

# %% [markdown]
# ## Bias against variance, exactly
#
# How does λ trade one for the other? No sampling is needed for this. From $\hat A_t = \delta_t + \gamma\lambda\hat A_{t+1}$, the mean $m(s)$
# of $\hat A$ in a state and its mean square $M(s)$ obey
#
# $$\begin{aligned}m &= \mathbb E[\delta] + \gamma\lambda\,P^\pi m\\
# M &= \mathbb E\big[\delta^2 + 2\gamma\lambda\,\delta\,m(s')\big] + (\gamma\lambda)^2P^\pi M\end{aligned} \tag{11.11}$$
#
# Both are Bellman equations (lesson 02): two linear systems. This is what `gae_moments` solves. A batch of $N$ rows
# then misses the gradient $g$ by
#
# $$\mathbb E\big\|\hat g_N - g\big\|^2 = \underbrace{\big\|\mathbb E[\hat g] - g\big\|^2}_{\text{bias, whatever } N} + \frac{\text{variance of one row}}{N} \tag{11.12}$$
#
# (as if the rows were independent; those of one episode are not quite).
#
# ### Talk to your neighbour
# The critic is off, as above. You have a batch of 16 rows; of 256; of 4096. Which λ of 0, ½, 0.8, 1 is best for each?
#
# **A** always the same one · **B** the more data, the larger λ · **C** the more data, the smaller λ
#
# <details><summary>What the next cell will show</summary>
#
# B: 0, then ½, then 0.8. Much data averages the noise away, and the bias is what remains. λ = 1, without any bias, is
# the best of the four in none of the three.
# </details>

# %%
lambdas = [0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0]
error = {}  # critic -> λ -> (bias², variance of one row)
for name, v in (critics | {"zero": 0 * V}).items():
    error[name] = {}
    for lam in lambdas:
        gradient, noise = of_a_sample(*tables.gae_moments(world, theta, v, gamma, lam))
        error[name][lam] = ((gradient - true) ** 2).sum(), noise
for name, by_lam in error.items():
    print(f"critic {name}")
    print("   λ     " + "".join(f"{lam:9g}" for lam in (0, 0.5, 0.8, 0.9, 1)))
    kept = [by_lam[lam] for lam in (0.0, 0.5, 0.8, 0.9, 1.0)]
    print("   bias  " + "".join(f"{np.sqrt(b / (true**2).sum()):9.3f}" for b, _ in kept))
    print("   var.  " + "".join(f"{v:9.2f}" for _, v in kept))
print("critic off: mean squared error")
for rows in (16, 256, 4096):
    line = {lam: b + v / rows for lam, (b, v) in error["off"].items() if lam in (0, 0.5, 0.8, 1)}
    best = min(line, key=line.get)
    print(f"{rows:6} rows" + "".join(f"{x:9.4f}" for x in line.values()) + f"   best λ: {best:g}")

# %% [markdown]
# **Drag λ.** On the left the weights of the critic's errors in an advantage, from your function: the first one is the
# harmless one. On the right what a batch misses: where does the line leave the slope $1/N$, and which λ is lowest at
# your $N$?

# %% tags=["hide-input"]
N_rows = np.geomspace(4, 2e4, 60)


def draw_lambda(lam):
    panels = left, right = plots.axes(1, 2, size="wide")
    c = critic_error_weights(12, 0, gamma, lam)
    left.bar(range(13), c.numpy(), color=[plots.INK] + [plots.PALETTE["vermilion"]] * 12)
    left.axhline(0, color=plots.INK, lw=1, ls="-")
    left.set(ylim=(-1.05, 1.05), xlabel="k, steps ahead", ylabel="weight of the critic's error")
    left.annotate("baseline", (0.6, -0.9))
    left.annotate("bias", (5.5, 0.75), color=plots.PALETTE["vermilion"])
    for other in lambdas:
        bias_2, noise = error["off"][other]
        right.plot(N_rows, bias_2 + noise / N_rows, color=plots.INK, lw=0.8, ls="-", alpha=0.5)
    bias_2, noise = error["off"][lam]
    right.plot(N_rows, bias_2 + noise / N_rows, color=plots.PALETTE["blue"], lw=3, ls="-")
    right.plot(
        N_rows, noise / N_rows, color=plots.PALETTE["blue"], lw=1, ls=":", label="variance / N"
    )
    if bias_2 > 1e-12:
        right.axhline(bias_2, color=plots.PALETTE["vermilion"], lw=1, ls="--", label="bias²")
    right.set(xscale="log", yscale="log", ylim=(5e-4, 10), xlabel="N, rows in the batch",
              ylabel="mean squared error", title=f"λ = {lam:g}")  # fmt: skip
    right.legend(loc="upper right")
    right.minorticks_off()
    left.set(xticks=[0, 3, 6, 9, 12], yticks=[-1, 0, 1])
    return panels


plots.slide(draw_lambda, lambdas, name="λ", start=3,
            alt="Left: weights of the critic's errors; at λ = 0 all of the bias is one step ahead, for larger λ it is "
            "spread over later steps and smaller. Right: squared error against batch size; for small λ a low line that "
            "levels off early, for λ = 1 a high line that falls for ever.")  # fmt: skip

# %% [markdown]
# ## Break
#
# Half of the lesson is behind you: three exercises, and an advantage for every row of a recording. `rlcourse progress`
# in a terminal shows what you have. Before you go on you should be able to say, without looking:
#
# - what a baseline takes away, and what a critic takes away;
# - why an error of the critic in $s_t$ itself harms nobody, and one in $s_{t+1}$ does;
# - which of the two flags stops the recursion, and which one stops the bootstrap.
#
# To take up the lesson here another day, click this cell and choose `Run` → `Run All Above Selected Cell`: it takes
# seconds.

# %% [markdown]
# ## The loops
#
# What weighs the scores is settled. Now the algorithms, in the order in which they were invented. Each has two
# networks that learn at the same time: the **actor** $\pi_\theta$ and the **critic**.
#
# ### A critic of actions: Q actor-critic
#
# The first idea is (11.2) without a baseline: learn $Q_\psi \approx Q^\pi$ and weigh the scores with it. The critic has
# to evaluate the policy that acts, so it learns by SARSA (lesson 05), with $a'\sim\pi_\theta(\cdot|s')$. For a batch of
# $B$ transitions
#
# $$\begin{aligned}L(\psi) &= \frac1{2B}\sum\big(r + \gamma(1-d)\,Q_\psi(s',a') - Q_\psi(s,a)\big)^2\\
# L(\theta) &= -\frac1B\sum Q_\psi(s,a)\,\log\pi_\theta(a|s)\end{aligned} \tag{11.13}$$
#
# In the first loss $Q_\psi(s',a')$ is a number (semi-gradient, lesson 06), in the second $Q_\psi(s,a)$ is. Both losses
# belong to the weights from before either step.

# %% [markdown] task="q_actor_critic_update"
# ### Exercise 11.4 · `q_actor_critic_update`
# **Points** 3 · **Difficulty** ●●○ · **Time** 15 min
#
# One step of each network on (11.13).
#
# - `policy(obs)` gives logits, `q_net(obs)` action values, (B, A) both. `batch` has obs, action, reward, next_obs,
#   terminated; `next_action` is $a'$, (B,) int64.
# - Clear the gradients yourself: old ones are lying there. Return the two losses, policy first.


# %% exercise="q_actor_critic_update" points=3
def q_actor_critic_update(policy, q_net, policy_optimizer, q_optimizer, batch, next_action, gamma):
    """One step of the actor and of the critic (11.13), from the weights before either.

    Returns (policy_loss, q_loss), floats or tensors of shape ().
    """
    ### BEGIN SOLUTION
    rows = torch.arange(len(next_action))
    q = q_net(batch.obs)[rows, batch.action]
    with torch.no_grad():
        q_next = q_net(batch.next_obs)[rows, next_action]
        target = batch.reward + gamma * (1 - batch.terminated) * q_next
    q_loss = 0.5 * ((target - q) ** 2).mean()
    log_prob = torch.log_softmax(policy(batch.obs), dim=1)[rows, batch.action]
    policy_loss = -(q.detach() * log_prob).mean()
    for optimizer, loss in ((q_optimizer, q_loss), (policy_optimizer, policy_loss)):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return policy_loss.detach(), q_loss.detach()
    ### END SOLUTION


# %% [markdown] hints="q_actor_critic_update"
# <details><summary>In which order?</summary>
#
# Both losses first, completely. Then clear, backward, step for one network, and the same for the other. If a step
# comes in between, one of the losses belongs to other weights.
# </details>
# <details><summary>What is detached?</summary>
#
# $Q_\psi$ occurs three times in (11.13). In one place only a gradient is wanted.
# </details>
# <details><summary>How do I pick one action a row?</summary>
#
# As in lesson 08: with a pair of index arrays, rows and columns. You need it three times, once with the next actions.
# </details>

# %% check="q_actor_critic_update"
q_actor_critic_update = check("q_actor_critic_update")

# %% [markdown]
# ### Every step at once: the one-step actor-critic
#
# The second idea is (11.4): learn $V_\psi$, weigh with δ. Nothing has to be waited for, so one may learn after
# *every step*. The $\gamma^t$ of (11.1) is kept up to date on the way, in a number $I$ that starts an episode at 1:
#
# $$\begin{aligned}\psi &\leftarrow \psi + \alpha_\psi\,\delta\,\nabla V_\psi(s)\\
# \theta &\leftarrow \theta + \alpha_\theta\,I\,\delta\,\nabla\log\pi_\theta(a|s)\\
# I &\leftarrow \gamma I\end{aligned} \tag{11.14}$$
#
# As losses: $\tfrac12\delta^2$ with a target that is a number, and $-I\,\delta\log\pi_\theta(a|s)$ with a δ that is a
# number. Only the actor's step has the $I$. The critic learns what its state is worth, and that does not depend on
# when the state is met. Both steps use the same δ, that of the weights from before.

# %% [markdown] task="one_step_actor_critic_update"
# ### Exercise 11.5 · `one_step_actor_critic_update`
# **Points** 3 · **Difficulty** ●●○ · **Time** 15 min
#
# One transition of (11.14). `batch` has one row; `discount` is $I$. Return δ and the $I$ for the next step.


# %% exercise="one_step_actor_critic_update" points=3
def one_step_actor_critic_update(
    policy, v_net, policy_optimizer, v_optimizer, batch, gamma, discount
):
    """One transition of the one-step actor-critic (11.14).

    batch: one row; discount: I. Returns (td_error, the next I).
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        target = batch.reward + gamma * (1 - batch.terminated) * v_net(batch.next_obs)
    delta = target - v_net(batch.obs)
    log_prob = torch.log_softmax(policy(batch.obs), dim=1)[0, batch.action]
    v_loss = 0.5 * (delta**2).mean()
    policy_loss = -discount * (delta.detach() * log_prob).mean()
    for optimizer, loss in ((v_optimizer, v_loss), (policy_optimizer, policy_loss)):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return delta.detach(), gamma * discount
    ### END SOLUTION


# %% [markdown] hints="one_step_actor_critic_update"
# <details><summary>How does δ² become the first line of (11.14)?</summary>
#
# Differentiate $\tfrac12\delta^2$, with the target held fixed: δ times minus the gradient of $V_\psi(s)$. The optimiser
# goes down, which is the other minus.
# </details>
# <details><summary>Where does I go, and where not?</summary>
#
# Into one of the two losses, as a factor; and into what you return, one step older.
# </details>
# <details><summary>May I use one loss for both?</summary>
#
# Yes, if neither half can move the other's network. One δ carries the critic's gradient, the other is a number.
# </details>

# %% check="one_step_actor_critic_update"
one_step_actor_critic_update = check("one_step_actor_critic_update")

# %% [markdown]
# ### Talk to your neighbour
# A corridor of ten steps. Action 1 pays +1 in the first step and −0.2 in each of the other nine. γ = 0.7, and the
# policy has *one* pair of preferences for all ten states. Always action 1 is then worth +0.55, counted with
# discount. What does the agent learn if it leaves the $I$ out?
#
# **A** the same, more quickly · **B** the same, more slowly · **C** the opposite
#
# <details><summary>What the next cell will show</summary>
#
# C. Without $I$ the nine late steps count as much as the first: 1 − 9·0.2 < 0. This is lesson 10's trap, learned step
# by step.
# </details>


# %%
# about 5 s
class Pair(nn.Module):
    """One pair of preferences, whatever is seen: (B, 10) → (B, 2)."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(2))

    def forward(self, obs):
        return self.logits.expand(len(obs), 2)


class Table(nn.Module):
    """A value for each of ten states: (B, 10) → (B,)."""

    def __init__(self):
        super().__init__()
        self.values = nn.Parameter(torch.zeros(10))

    def forward(self, obs):
        return obs @ self.values


pays = [1.0] + 9 * [-0.2]
places = torch.eye(11)[:, :10]  # the eleventh row, all zeros, is the end
print("always action 1: with discount", round(sum(0.7**t * r for t, r in enumerate(pays)), 2),
      " without", round(sum(pays), 2))  # fmt: skip


def corridor(with_i, seed, episodes=50):
    """The probability of action 1 after every episode."""
    rng, policy, critic = np.random.default_rng(seed), Pair(), Table()
    steps = torch.optim.SGD(policy.parameters(), 0.2), torch.optim.SGD(critic.parameters(), 0.1)
    learned = []
    for _ in range(episodes):
        discount = 1.0
        for s in range(10):
            with torch.no_grad():
                p = torch.softmax(policy.logits, 0)[1].item()
            a = int(rng.random() < p)
            numbers = torch.tensor([[a * pays[s], float(s == 9)]])
            batch = Batch(
                places[s : s + 1], torch.tensor([a]), numbers[:, 0], places[s + 1 : s + 2], numbers[:, 1]
            )  # fmt: skip
            _, shrunk = one_step_actor_critic_update(policy, critic, *steps, batch, 0.7, discount)
            discount = shrunk if with_i else 1.0
        learned.append(p)
    return learned


with one_thread():
    corridors = {
        name: np.array([corridor(with_i, seed) for seed in seeds(range(3))])
        for name, with_i in {"with I": True, "without I": False}.items()
    }
for name, p in corridors.items():
    print(f"{name:10} p(action 1) after 50 episodes:", p[:, -1].round(2))
print("learned with " + authorship("one_step_actor_critic_update"))

# %% tags=["hide-input"]
ax = plots.curves(corridors, xlabel="episode", ylabel="probability of action 1")
ax.set_ylim(0, 1)
plots.show(ax, alt="With I the probability of action 1 rises to nearly 0.9 in 50 episodes; without it, it falls to "
           "below 0.15.")  # fmt: skip

# %% [markdown]
# Practice leaves the $I$ out all the same, and so does the rest of this lesson: with γ near 1 hardly anything depends
# on it, and with it late steps teach nothing (lesson 10). What practice did give up is to learn after every single
# step. One row is a noisy gradient, and rows that follow each other are alike. So several environments play side by
# side for a few steps, and one step is taken for all of their rows: the **advantage actor-critic**.
#
# ### The advantage actor-critic (A2C)
#
# The batch's advantages come from `gae`, the critic's targets are the returns $R = \hat A + V$. One loss, three terms:
#
# $$L = -\frac1B\sum\log\pi_\theta(a|s)\,\hat A + c_v\,\frac1{2B}\sum\big(R - V_\psi(s)\big)^2 - c_e\,\frac1B\sum\mathcal H\big(\pi_\theta(\cdot|s)\big) \tag{11.15}$$
#
# Beside (11.2) it takes lesson 10's two liberties: no $\gamma^t$, and a mean over steps. The third term is new. $\mathcal H(\pi) = -\sum_a\pi(a)\log\pi(a)$ is the **entropy** of the policy: log 2 for a fair coin, 0
# for a policy that is certain. A certain policy draws nothing else any more and so learns nothing (lesson 10's
# collapse). A small reward for entropy holds against that.

# %% [markdown] task="a2c_loss"
# ### Exercise 11.6 · `a2c_loss`
# **Points** 2 · **Difficulty** ●○○ · **Time** 8 min
#
# Compute (11.15) from its five columns. `adv` and `returns` are data, even if somebody hands you tensors that want a
# gradient; use them as they are.


# %% exercise="a2c_loss" points=2
def a2c_loss(log_prob, value, entropy, adv, returns, value_coef, entropy_coef):
    """The loss of the advantage actor-critic (11.15).

    log_prob, value, entropy, adv, returns: (B,). Returns a scalar, shape ().
    """
    ### BEGIN SOLUTION
    policy_loss = -(log_prob * adv.detach()).mean()
    value_loss = 0.5 * ((returns.detach() - value) ** 2).mean()
    return policy_loss + value_coef * value_loss - entropy_coef * entropy.mean()
    ### END SOLUTION


# %% [markdown] hints="a2c_loss"
# <details><summary>Which arguments should get a gradient?</summary>
#
# Three of the five: what a network says *now*. The other two are what was worked out from the recording.
# </details>
# <details><summary>What has the minus sign?</summary>
#
# What is to become large. That is true of two of the three terms.
# </details>
# <details><summary>Why is my gradient for the critic twice too large?</summary>
#
# There is a ½ in (11.15), beside $c_v$.
# </details>

# %% check="a2c_loss"
a2c_loss = check("a2c_loss")

# %% [markdown]
# And the whole step. A recording comes in, end to end, (T, …). What is to be done with it:
#
# $$\begin{aligned}&V(s_t),\ V(s'_t) \;\to\; \text{(11.8)} \;\to\; \hat A_t,\ R_t\\
# &\log\pi_\theta(a_t|s_t),\ \mathcal H,\ V_\psi(s_t) \;\to\; \text{(11.15)} \;\to\; L\\
# &\text{clear, } \nabla L,\ \text{clip the norm of both networks together, one step}\end{aligned} \tag{11.16}$$

# %% [markdown] task="a2c_update"
# ### Exercise 11.7 · `a2c_update`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Write (11.16), with your `gae` and your `a2c_loss`.
#
# - `agent_state` has policy, v_net, optimizer (over both), gamma, lam, value_coef, entropy_coef, max_grad_norm.
# - `rollout` has obs, action, reward, next_obs, terminated, truncated; `next_obs` is the true one, never a reset's.
# - The critic is evaluated three times in (11.16). Which of the three carry a gradient is for you to decide.
# - `torch.nn.utils.clip_grad_norm_` clips a list of parameters. Return the loss from before the step.


# %% exercise="a2c_update" points=3
def a2c_update(agent_state, rollout):
    """One step of the advantage actor-critic (11.16). Returns the loss before the step."""
    ### BEGIN SOLUTION
    me = agent_state
    with torch.no_grad():
        value, next_value = me.v_net(rollout.obs), me.v_net(rollout.next_obs)
    ends = rollout.terminated, rollout.truncated
    adv, returns = gae(rollout.reward, value, next_value, *ends, me.gamma, me.lam)

    log_pi = torch.log_softmax(me.policy(rollout.obs), dim=1)
    log_prob = log_pi.gather(1, rollout.action[:, None])[:, 0]
    entropy = -(log_pi.exp() * log_pi).sum(dim=1)
    loss = a2c_loss(
        log_prob,
        me.v_net(rollout.obs),
        entropy,
        adv,
        returns,
        me.value_coef,
        me.entropy_coef,
    )
    me.optimizer.zero_grad()
    loss.backward()
    both = [*me.policy.parameters(), *me.v_net.parameters()]
    torch.nn.utils.clip_grad_norm_(both, me.max_grad_norm)
    me.optimizer.step()
    return loss.detach()
    ### END SOLUTION


# %% [markdown] hints="a2c_update"
# <details><summary>Which values are data?</summary>
#
# Ask of each evaluation of the critic: is it a *prediction* that this loss is to improve, or was it used to work out a
# target? A target does not move.
# </details>
# <details><summary>How do I get the entropy of every row?</summary>
#
# From the same logarithms of probabilities from which you take $\log\pi_\theta(a|s)$: the mean of minus them, under the
# policy itself.
# </details>
# <details><summary>What is "the norm of both networks together"?</summary>
#
# All gradients as one long vector. Hand over one list that holds the parameters of both networks.
# </details>

# %% check="a2c_update"
a2c_update = check("a2c_update")

# %% [markdown]
# ## Experiment 1: CartPole
#
# The same pole as in lesson 10. Your updates train both agents, on 30 000 steps each, with three seeds: Q actor-critic,
# and A2C, which plays 16 steps in each of 8 environments and then takes one step. (The one-step loop would take too long
# here: 30 000 steps of both networks where A2C takes 235.)
#
# ### Talk to your neighbour
# Lesson 10's agents had to wait for the end of the episode. Which of the two will balance the pole for longer?
#
# **A** Q actor-critic: its weights hold no noise of later steps · **B** A2C: its critic is also a baseline ·
# **C** no difference, both have a critic
#
# <details><summary>What the next cell will show</summary>
#
# B. Think of the table at the beginning, and of $Q + 10$. On CartPole all rewards are positive, and so are all values.
# </details>


# %%
# about 5 s
grid = np.arange(1000, 30_001, 1000)


def pole(kind, seed, **settings):
    """A trained agent, its learning curve, and the mean of 20 greedy episodes at the end."""
    agent = kind.for_env("CartPole-v1", seed=seed, **settings)
    history = train_on_policy(agent, "CartPole-v1", 30_000, seed)
    finished = np.searchsorted(history.episode_steps, grid, side="right")
    curve = [np.mean(history.episode_returns[max(k - 20, 0) : k]) for k in finished]
    return agent, curve, evaluate(agent, "CartPole-v1", episodes=20, seed=0).mean()


def poles(kind, which=range(3), **settings):
    agents, curves, scores = zip(*(pole(kind, s, **settings) for s in seeds(which)), strict=True)
    return agents, np.array(curves), np.round(scores).astype(int)


results = {"Q actor-critic": poles(QActorCritic, q_actor_critic_update=q_actor_critic_update)}

# %%
# about 5 s
results["A2C"] = poles(A2C, a2c_update=a2c_update)
print("mean of 20 greedy episodes, by seed")
for name, (_, _, scores) in results.items():
    print(f"{name:15}", scores)
print("learned with " + authorship("a2c_update", "gae", "a2c_loss", "q_actor_critic_update"))

# %% tags=["hide-input"]
ax = plots.curves({f"A2C, {whose('a2c_update')} update": results["A2C"][1],
                   f"Q actor-critic, {whose('q_actor_critic_update')} update": results["Q actor-critic"][1]}, x=grid,
                  xlabel="steps in the world", ylabel="return, last 20 episodes")  # fmt: skip
plots.show(ax, alt="Learning curves on CartPole: A2C rises to between 100 and 300, the Q actor-critic stays "
           "below 60.")  # fmt: skip

# %% [markdown]
# (While they learn the agents *draw* their actions; the scores above are those of the likeliest ones.)
#
# ## Experiment 2: a clock is not the end of the world
#
# One state. *Stay* pays 1 and goes on; *sell* pays 12, and that is the end. γ = 0.95, so staying for ever is worth
# $1/(1-\gamma) = 20$: one should never sell. But the environment has a **time limit** of 20 steps, which the agent
# does not see. A colleague uses one mask for both flags: a truncated episode counts as terminated.
#
# ### Talk to your neighbour
# What does the critic with that mask believe *always stay* to be worth?
#
# **A** 20 · **B** 12.8, which are 20 rewards, discounted · **C** 7.8 · **D** 0
#
# <details><summary>What the next cell will show</summary>
#
# C. 12.8 would be right in the first step, and 1 in the last one. The critic sees the same state in all of them, so it
# learns the mean over the 20 positions. And 12 lies between 7.8 and 20.
# </details>

# %%
stays = torch.ones(20), torch.zeros(20), torch.eye(20)[19]  # rewards, nothing, the clock
for name, (d, c) in {"bootstrapped": stays[1:], "masked": (stays[2], stays[2])}.items():
    v = torch.zeros(20)
    for _ in range(60):  # to the fixed point of the critic's own targets
        v = gae(stays[0], v, v, d, c, 0.95, 1.0)[1].mean().expand(20)
    print(f"{name:12} the critic's fixed point: {v[0]:.3f}")
print("12.8 is", round((1 - 0.95**20) / 0.05, 2), "· by " + authorship("gae"))


# %%
# about 7 s
class Shop(gym.Env):
    """One state; action 0 stays and pays 1, action 1 sells for 12 and ends."""

    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action):
        return np.ones(1, np.float32), (12.0 if action else 1.0), bool(action), False, {}


class OneMask(A2C):
    """The colleague's agent: a cut-off episode counts as terminated."""

    def update(self, rollout, rng):
        either = torch.maximum(rollout.terminated, rollout.truncated)
        return super().update(rollout._replace(terminated=either), rng)


def shopping(kind, seed, steps=60_000):
    """p(stay) now and then, after how many steps, and V at the end."""
    settings = {"gamma": 0.95, "lam": 1.0, "horizon": 40, "lr": 2e-2, "lr_end": 0.1}
    limited = lambda: gym.wrappers.TimeLimit(Shop(), 20)  # noqa: E731
    agent = kind.for_env(limited(), seed=seed, hidden=(16,), a2c_update=a2c_update, **settings)
    stay, when, here = [], [], torch.ones(1, 1)

    def look(agent, step):
        with torch.no_grad():
            stay.append(torch.softmax(agent.policy(here), 1)[0, 0].item())
        when.append(step)

    train_on_policy(agent, limited, steps, seed, stop_when=look)
    return stay, when, agent.v_net(here).item()


shops = {}
for name, kind in {"bootstrapped": A2C, "masked": OneMask}.items():
    stay, when, v = zip(*(shopping(kind, seed) for seed in seeds(range(3))), strict=True)
    shops[name] = np.array(stay)
    print(f"{name:12} p(stay) {shops[name][:, -1].round(3)}, V {np.round(v, 1)}")
print("learned with " + authorship("a2c_update", "gae", "a2c_loss"))

# %% tags=["hide-input"]
ax = plots.curves(
    shops, x=np.array(when[0]), xlabel="steps in the world", ylabel="probability of staying"
)
ax.set_ylim(0.5, 1.02)
plots.show(
    ax,
    alt="With the bootstrap the probability of staying rises to 1; with the mask it settles near 0.9.",
)

# %% [markdown]
# 0.9 sounds harmless. But the agent that stays with probability 0.9 sells after ten steps on average, and it would do
# so in a world without a clock too. What does that cost there? And is 0.9 an accident?


# %%
def worth_without_a_clock(p):
    """v = p (1 + γ v) + (1 − p) 12, solved."""
    return (12 - 11 * p) / (1 - 0.95 * p)


def pull_with_a_clock(p):
    """The direction of practice in a world that ends after 20 steps: Σ_t p^t (Q_t(stay) − Q_t(sell))."""
    v = [0.0]
    for _ in range(20):
        v.append(p * (1 + 0.95 * v[-1]) + (1 - p) * 12)
    return sum(p**t * (1 + 0.95 * v[19 - t] - 12) for t in range(20))


p = np.linspace(0.5, 1, 5001)
rest = p[np.flatnonzero(np.diff(np.sign([pull_with_a_clock(x) for x in p])))[0]]
print(f"in a world that ends after 20 steps the direction is zero at p = {rest:.3f}")
for name, stay in shops.items():
    print(
        f"{name:12} worth in a world without a clock: {worth_without_a_clock(stay[:, -1]).round(1)}"
    )

# %% [markdown]
# The colleague's agent has learned very well: it has gone where the gradient leads in a world that ends after 20
# steps. Only, this is not our world. It throws away about a quarter of what there is to be had. The bug made no noise.

# %% [markdown]
# ## Change one thing: λ
#
# Set `lam` to 0, so that your `gae` hands over TD errors, and to 1: at most 16 real rewards and then the critic, which
# is the **n-step** actor-critic of Mnih et al. 2016. Nothing else changes. **What to look for:** the variance is
# smallest at λ = 0. Does that help?
#
# ### Talk to your neighbour
# On CartPole, compared with λ = 0.9,
#
# **A** λ = 0 is better: least variance · **B** λ = 0 hardly learns, λ = 1 is about as good · **C** both hardly learn
#
# <details><summary>What the next cell will show</summary>
#
# B. At the beginning the critic knows nothing. Where it says the same everywhere δ is the same for all steps but the
# last one of an episode, so only the very last action is blamed for the fall. That was already too late.
# </details>

# %%
# about 9 s
for lam in (0.0, 1.0):
    results[f"λ = {lam:g}"] = poles(A2C, lam=lam, a2c_update=a2c_update)
for name, (_, _, scores) in results.items():
    print(f"{name:15}", scores)
print("learned with " + authorship("a2c_update", "gae", "a2c_loss"))

# %% tags=["hide-input"]
by_lambda = {"λ = 0": "λ = 0", "λ = 0.9": "A2C", "λ = 1": "λ = 1"}
ax = plots.curves({name: results[key][1] for name, key in by_lambda.items()}, x=grid,
                  xlabel="steps in the world", ylabel="return, last 20 episodes")  # fmt: skip
plots.show(
    ax, alt="Learning curves of A2C: λ = 0.9 and λ = 1 rise alike, λ = 0 stays near the bottom."
)

# %% [markdown]
# In the exact world above λ = 0 was best for small batches, because its critic was only *off*. Here it is blind at
# first, which is bias without end. The best λ depends on how good the critic is, how much data a step has, and how
# far an action's consequences reach.

# %% [markdown]
# ## The silent bug
#
# A colleague has written `gae` anew. It runs, the losses are finite. Only: the agent hardly learns. To find out
# why we keep a **diary** of each update: the policy's entropy; the **explained variance** of the critic,
# $1 - \mathrm{Var}(R - V)/\mathrm{Var}(R)$, which is 1 for a perfect critic and 0 for one that says the same everywhere; and
# the mean advantage of the last steps before a fall. (The third curve that one keeps, the ratio of two policies, comes
# with lesson 12.) **Read it, run it, and look at the curves. What is wrong?**


# %%
# about 8 s
def colleagues_gae(reward, value, next_value, terminated, truncated, gamma, lam):
    surprise = reward + gamma * next_value * (1 - terminated) - value
    ended = [*torch.maximum(terminated, truncated).tolist(), 1.0]
    adv, later = torch.zeros_like(surprise), 0.0
    for t in reversed(range(len(surprise))):
        later = surprise[t] + gamma * lam * later * (1 - ended[t + 1])
        adv[t] = later
    return adv, adv + value


class Diary(A2C):
    """A2C that notes what each update was made of."""

    def update(self, rollout, rng):
        rows = end_to_end(rollout)
        with torch.no_grad():
            v, v_next = self.v_net(rows.obs), self.v_net(rows.next_obs)
            ends = rows.terminated, rows.truncated
            adv, returns = self.gae(rows.reward, v, v_next, *ends, self.gamma, self.lam)
            entropy = log_prob_and_entropy(self.policy(rows.obs), rows.action)[1].mean()
        if not hasattr(self, "pages"):
            self.pages, self.falls = [], []
        self.pages.append((entropy.item(), (1 - (returns - v).var() / returns.var()).item()))
        for t in rows.terminated.nonzero().flatten().tolist():
            if t >= 5 and not torch.maximum(*ends)[t - 5 : t].any():
                self.falls.append(adv[t - 5 : t + 1].tolist())
        return super().update(rollout, rng)


diaries = {
    "A2C": poles(Diary, range(2), gae=gae, a2c_loss=a2c_loss),
    "the colleague's": poles(Diary, range(2), gae=colleagues_gae, a2c_loss=a2c_loss),
}
for name, (agents, _, scores) in diaries.items():
    print(f"{name}: mean of 20 greedy episodes {scores}")
    for seed, agent in enumerate(agents):
        late = np.mean(agent.falls[len(agent.falls) // 2 :], axis=0)
        print(f"   seed {seed}, mean Â 5 … 0 steps before a fall:", late.round(1))
print("learned with " + authorship("gae", "a2c_loss"))

# %% tags=["hide-input"]
panels = plots.axes(1, 3, size=(11, 3.6))
for k, label in enumerate(("entropy", "explained variance")):
    runs = {
        name: np.array([np.array(a.pages)[:, k] for a in agents])
        for name, (agents, _, _) in diaries.items()
    }
    plots.curves(runs, smooth=15, xlabel="update", ylabel=label, ax=panels[k])
    panels[k].get_legend().remove()
before = {name: np.array([np.mean(a.falls[len(a.falls) // 2 :], axis=0) for a in agents])
          for name, (agents, _, _) in diaries.items()}  # fmt: skip
plots.curves(
    before, x=np.arange(-5, 1), xlabel="steps before a fall", ylabel="mean advantage", ax=panels[2]
)
panels[2].axhline(0, color=plots.INK, lw=1, ls=":")
plots.show(panels, alt="Three diaries. The entropy of both programs falls alike; the explained variance of the colleague's critic "
           "stays below zero, that of the other one is noisy and above; the mean advantage before a fall is negative for "
           "all of the last steps in the right one, and positive for all but the very last in the colleague's.")  # fmt: skip


# %% [markdown]
# <details><summary>Where should I look?</summary>
#
# The entropy is that of a policy that learns, in both. The explained variance warns: below 0 means that a constant would be
# a better critic. It does not say why. So look at the third panel: before a fall, which of the steps deserve blame?
# </details>
# <details><summary>What is it?</summary>
#
# A mask that is one row late: `ended[t + 1]` for `ended[t]`. The flag of row $t$ says whether step $t$ ended the
# episode. Read one row late it cuts the recursion *before* the last step, whose large negative δ so reaches nobody but
# itself; and the last step gets the next episode's advantages on top. The step that ends the episode is blamed alone, and those that led
# to it are praised. Neither the losses nor the entropy tell. The advantages themselves do, if one asks them a question
# whose answer one knows.
# </details>

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** Why do we not use the same recording for ten steps of A2C, as DQN uses its replay?
#
# <details><summary>Answer</summary>
#
# After the first step the recording is that of another policy. The mean in (11.2) is over the actions of *this*
# policy, and $\hat A$ estimates the advantage of *this* policy. A few steps may be tolerable. Lesson 12 makes that
# precise, and says how to stop in time.
# </details>
#
# **2.** The critic's target is $R = \hat A + V$, worked out from the critic's own values. Isn't that a circle?
#
# <details><summary>Answer</summary>
#
# It is bootstrapping, as in every TD method: a target that holds at least one real reward. Its fixed point is
# $V^\pi$ whatever λ is (lesson 04). With λ near 1 the circle is wide: much reward, little critic.
# </details>

# %% [markdown]
# ## Summary
#
# - **A baseline and a critic** do different things. A baseline subtracts what was expected before the action. A critic
#   stands for what comes after it. $Q$ alone is at the mercy of where zero lies; $G - V$ keeps the noise of the rest of the episode.
# - **The TD error** is a sample of the advantage if the critic is right, and n-step advantages are sums of TD errors.
# - **GAE** is the λ-return of advantages, $\sum(\gamma\lambda)^k\delta_{t+k}$: λ = 0 is the TD error, λ = 1 Monte Carlo
#   minus $V$.
# - **Bias** comes from the critic's errors in the states that an action leads to; an error in the state itself is a baseline. The
#   more data a step has, the larger the best λ.
# - **Two masks**: termination takes the bootstrap away; termination and truncation both stop the recursion.

# %% [markdown]
# ## Where this went
#
# What later work changes in the equation at the end of this lesson:
#
# - **V-trace** (IMPALA; Espeholt et al. 2018): the data may be a few policies old. $\delta_t$ becomes $\bar\rho_t\,\delta_t$ and
#   γλ becomes $\gamma\,\bar c_t$, two ratios of the new policy to the old one, each cut off at a constant.
# - **ACER** (Wang et al. 2017): replayed data. A Retrace estimate of $Q$ stands for $\hat A + V$, the ratio is truncated, and
#   a second term corrects what that cuts off.
# - **ACKTR** (Wu et al. 2017): the same gradient times an inverse Fisher matrix, in Kronecker factors, for actor and
#   critic. A step is then measured in policies, not in weights.
# - **PopArt** (van Hasselt et al. 2016): the critic's targets are normalised as their scale changes, and its last
#   layer is rescaled so that $V$ does not change. One step size then serves every scale of rewards.
# - **Direct advantage estimation** (Pan et al. 2022): $A$ itself is fitted, under the constraint
#   $\sum_a\pi(a|s)\,A(s,a) = 0$, in the place of differences of $V$.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>How the originals write it, and where they differ</summary>
#
# - R. S. Sutton & A. G. Barto, *Reinforcement Learning: An Introduction*, 2nd edition, §13.5. Their $R_{t+1}$ is our
#   $r_t$; their box is (11.14), the critic's step first, with a δ that both steps share.
# - V. Mnih et al., *Asynchronous methods for deep reinforcement learning*, 2016. Sixteen processes and RMSProp there,
#   eight environments in one process and Adam here; their n-step return is λ = 1.
# - J. Schulman et al., *High-dimensional continuous control using generalized advantage estimation*, 2016. The sum of
#   their eq. 16 is infinite; here an end of the episode or of the recording ends it.
# - The Chinese pseudocode collection, section 7: it is headed with the advantage and gives the Q actor-critic. Read line
#   by line its critic's loop comes first, so that its actor sees the new critic; exercise 11.4 takes both steps from
#   the old weights.
# - The lecture notes on Stein's identity and soft policy iteration, section 4: their one-step actor-critic has no $I$.
#   So has nearly all of practice.
# </details>

# %% [markdown]
# ## What we hand on
#
# The gradient of this lesson, with $B$ steps of this very policy, each used once:
#
# $$\nabla J(\theta) \approx \frac1B\sum_t\hat A^{\text{GAE}(\gamma,\lambda)}_t\,\nabla\log\pi_\theta(a_t|s_t)$$
#
# It is minus the gradient of a loss, in which the advantages are data:
#
# $$L(\theta) = -\frac1B\sum_t\log\pi_\theta(a_t|s_t)\,\hat A^{\text{GAE}(\gamma,\lambda)}_t$$
#
# What is still too expensive? Every step in the world is used for *one* step of θ, and then thrown away: after it the
# data are those of another policy. Lesson 12 asks how often the same $\hat A_t$ may be used again, and how far
# $\pi_\theta$ may go from $\pi_{\text{old}}$, the policy that collected them.
