# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10 · The policy gradient
#
# Part III · **10** → 11 → 12 → Part IV
#
# - **You will be able to** differentiate the value of a policy without differentiating the world: prove the policy
#   gradient theorem, sample it (REINFORCE), take most of its noise away with a baseline, and say exactly what is lost
#   when practice leaves out a factor $\gamma^t$.
# - **Builds on** lesson 01 (visits), lesson 02 (the Bellman equation), lesson 04 (Monte Carlo returns), lesson 08
#   (training a network).
# - **Time** two sittings of 75 minutes alone, with a break before REINFORCE; 80 minutes as a lecture.
# - **Sources** Sutton & Barto, 2nd edition, chapter 13; Williams 1992; Sutton, McAllester, Singh & Mansour 2000;
#   Weaver & Tao 2001 and Greensmith, Bartlett & Baxter 2004 (baselines); Nota & Thomas 2020 (the missing
#   $\gamma^t$); the Bern winter school's slides on advanced reinforcement learning; lecture notes on Stein's identity
#   and soft policy iteration; a Chinese pseudocode collection of twelve algorithms.

# %%
import tempfile

import numpy as np
import torch

from rlcourse.checker import authorship, check, whose
from rlcourse.lab import plots, videos
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.on_policy import train_on_policy
from rlcourse.lab.optim import descend
from rlcourse.lab.progress import seeds
from rlcourse.lab.seeding import one_thread
from rlcourse.policies import reinforce as methods
from rlcourse.policies import tables
from rlcourse.policies.agents import flat_rows
from rlcourse.policies.distributions import log_prob_of
from rlcourse.policies.reinforce import Reinforce, ReinforceBaseline, root_mean_square
from rlcourse.tabular.returns import returns_to_go

# %% [markdown]
# ## What we inherit
#
# Parts I and II learned values, and acted by looking for the largest one. In lessons 08 and 09 this was a network
# $Q_\phi$ and the policy
#
# $$\pi(s) = \arg\max_a Q_\phi(s,a) \tag{10.1}$$
#
# What cannot be computed any more? Three things, and each of them is a reason for this part of the course.
#
# - With actions on a continuum the *maximum* itself is a problem to be solved anew at every step.
# - (10.1) never mixes. Some worlds can only be mastered by a coin (you will meet one in a minute).
# - A tiny change of φ flips the arg max. The policy *jumps*, so there is no derivative of "how well do I act" with
#   respect to φ: we can only hope that better values make a better policy.
#
# The way out is to **change what is parametrised**. Write down the policy itself, $\pi_\theta(a|s)$, smooth in θ,
# and climb its value.

# %% [markdown]
# ### The map, and the price
#
# | | what is learned | how one acts | where |
# |---|---|---|---|
# | **value methods** | $Q_\phi$ | the arg max of it, or ε-greedy | Parts I and II |
# | **policy methods** | $\pi_\theta$ | a draw from it | this lesson |
# | **actor-critic** | both: a critic that helps the policy to learn | a draw from the policy | from lesson 11 on |
#
# What one gains: policies that mix; actions on a continuum, one cell further down; and small steps of θ that change
# the behaviour a little, where an arg max jumps.
#
# What one pays: gradient ascent ends on *a* hill, which need not be the highest one; what it climbs by is noisy,
# as the second half of the lesson measures; and what an older policy has lived through is of no use any more, where
# Q-learning replays it.

# %% [markdown]
# ## Guess first
#
# A corridor with three cells and a goal at the right end (Sutton & Barto, example 13.1). Every step costs 1. There
# are two actions, left and right. But in the *second* cell they are swapped: right moves left, left moves right.
# And **all cells look the same** to the agent.
#
# ```
#  ┌───┬───┬───┬───┐
#  │ S │ ⇄ │   │ G │      ⇄: here the two actions are swapped
#  └───┴───┴───┴───┘
# ```
#
# **What is the best you can do? With which probability would you go right?**
#
# <details><summary>I have guessed. What is it?</summary>
#
# Whoever always goes right bounces between the first two cells for ever; whoever always goes left never leaves the
# first. The best is a biased coin, and the bias is not one half: right with probability $2-\sqrt2 \approx 0.586$.
# It takes 11.66 steps on average. You will derive this, and your REINFORCE will find it.
# </details>

# %% [markdown]
# ## A policy with parameters
#
# Give every action a *preference* $h_\theta(s,a)$, any real number: an entry of a table, or an output of a network
# (called a logit). Make probabilities of them by the **softmax**:
#
# $$\pi_\theta(a|s) = \frac{e^{h_\theta(s,a)}}{\sum_b e^{h_\theta(s,b)}} \tag{10.2}$$
#
# It is positive everywhere, so it explores by itself; it can come as close to a single action as it likes; and it
# is smooth in θ. Only differences count: adding the same number to all preferences of a state cancels in the
# fraction.

# %% [markdown] task="softmax_policy"
# ### Exercise 10.1 · `softmax_policy`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (10.2) for a batch: row $b$ of `logits` holds the preferences in one state. It must survive preferences of
# ±1000, and rows that are far apart from one another. Leave `logits` as it is.


# %% exercise="softmax_policy" points=1
def softmax_policy(logits):
    """The softmax (10.2), row by row.

    logits: (B, A). Returns (B, A); every row sums to 1.
    """
    ### BEGIN SOLUTION
    weight = torch.exp(logits - logits.amax(dim=1, keepdim=True))  # differences only
    return weight / weight.sum(dim=1, keepdim=True)  # (10.2)
    ### END SOLUTION


# %% [markdown] hints="softmax_policy"
# <details><summary>What is the danger of the plain formula?</summary>
#
# $e^{1000}$ is larger than any float32: it becomes inf, and inf/inf is NaN. But only differences count in (10.2),
# so you may subtract whatever you like from a row before you take the exponential.
# </details>
# <details><summary>What should I subtract?</summary>
#
# Something that makes the largest exponent 0. Each row needs its own: with one number for the whole batch, a row far
# below it would be 0/0.
# </details>
# <details><summary>How do I keep the shapes together?</summary>
#
# Reductions over `dim=1` take `keepdim=True`: the result is (B, 1) and broadcasts along the row. You need it twice, for
# the subtraction and for the division.
# </details>

# %% check="softmax_policy"
softmax_policy = check("softmax_policy")

# %% [markdown]
# ## What should be large?
#
# A policy is good if it collects reward. There are three ways to say so in one number. With a first state drawn from
# $\text{start}(s)$, the **start value**
#
# $$J(\theta) = \sum_s \text{start}(s)\,V^{\pi_\theta}(s) = \mathbb E_{\pi_\theta}\Big[\sum_{t\ge0}\gamma^t r_t\Big] \tag{10.3}$$
#
# and for a life without episodes the **average value** and the **average reward** a step:
#
# $$J_{\text{avV}}(\theta) = \sum_s \bar\eta^\pi(s)\,V^{\pi}(s),\qquad J_{\text{avR}}(\theta) = \sum_s \bar\eta^\pi(s)\sum_a\pi(a|s)\,r(s,a) \tag{10.4}$$
#
# Here $\bar\eta^\pi(s)$ is the share of its time that a life spends in $s$: the **stationary** distribution, which a
# step under π leaves as it is, and what lesson 01's occupancy $\eta^\pi$ becomes for γ → 1.
#
# The last two are one and the same. Average the Bellman equation $V^\pi = r^\pi + \gamma P^\pi V^\pi$ over
# $\bar\eta^\pi$; since a step leaves $\bar\eta^\pi$ as it is, $P^\pi$ vanishes:
# $J_{\text{avV}} = J_{\text{avR}} + \gamma J_{\text{avV}}$, and so
#
# $$(1-\gamma)\,J_{\text{avV}}(\theta) = J_{\text{avR}}(\theta) \tag{10.5}$$
#
# The next cell tries it on a random MDP that never ends.

# %%
rng = np.random.default_rng(10)
endless = tables.random_mdp(4, 3, rng, go_on=1.0)
h = torch.from_numpy(rng.normal(size=(4, 3)))


def stationary(h):
    """The share of time spent in each state: where many steps under π lead, from anywhere."""
    P_pi = torch.einsum("sa,sat->st", softmax_policy(h), endless.P)
    return torch.linalg.matrix_power(P_pi, 2000)[0].numpy()


def average_reward(h):
    return stationary(h) @ (softmax_policy(h) * endless.R).sum(dim=1).numpy()


for gamma in (0.0, 0.5, 0.9):
    average_value = stationary(h) @ tables.state_values(endless, h, gamma)
    print(
        f"γ = {gamma}: (1−γ) J_avV = {(1 - gamma) * average_value:.6f}, J_avR = {average_reward(h):.6f}"
    )
    assert abs((1 - gamma) * average_value - average_reward(h)) < 1e-9

# %% [markdown]
# We stay with the start value (10.3), which is what episodes give us, and come back to the other two after the theorem.

# %% [markdown]
# ## Worlds of one step, and the likelihood ratio
#
# Begin with the smallest case: a first state is drawn, one action is taken, its reward $r(s,a)$ is paid, the end.
# Then
#
# $$J(\theta) = \sum_s \text{start}(s)\sum_a\pi_\theta(a|s)\,r(s,a) \tag{10.6}$$
#
# and its gradient is easy, for start and $r$ do not know θ:
# $\nabla J = \sum_s \text{start}(s)\sum_a\nabla\pi_\theta(a|s)\,r(s,a)$. But this is a sum over *all* actions, of which we
# only see the one we take. To turn the sum into a mean over what we see we need π in front of it. So multiply and
# divide by π:
#
# $$\nabla\pi_\theta(a|s) = \pi_\theta(a|s)\,\frac{\nabla\pi_\theta(a|s)}{\pi_\theta(a|s)} = \pi_\theta(a|s)\,\nabla\log\pi_\theta(a|s) \tag{10.7}$$
#
# $$\begin{aligned}\nabla J(\theta) &= \sum_s \text{start}(s)\sum_a\pi_\theta(a|s)\,\nabla\log\pi_\theta(a|s)\,r(s,a)\\
# &= \mathbb E_{\pi_\theta}\big[\,r\,\nabla\log\pi_\theta(a|s)\,\big]\end{aligned} \tag{10.8}$$
#
# This is the **likelihood ratio** trick. Look at what is *not* in (10.8): no derivative of the reward, and no
# reward of an action that was not taken. $\nabla\log\pi_\theta(a|s)$ is called the **score**: the direction in
# which θ must move to make $a$ more likely. The reward says how far.

# %% [markdown]
# The score of the softmax can be written down. From (10.2), $\log\pi(a) = h_a - \log\sum_b e^{h_b}$. The first
# term's derivative by $h_c$ is 1 if $c = a$, the second's is $e^{h_c}/\sum_b e^{h_b} = \pi(c)$:
#
# $$\nabla_h\log\pi(a|s) = e_a - \pi(\cdot|s) \tag{10.9}$$
#
# where $e_a$ is 1 at $a$ and 0 elsewhere. Pushing one action up pushes all the others down.

# %% [markdown] task="grad_log_softmax"
# ### Exercise 10.2 · `grad_log_softmax`
# **Points** 2 · **Difficulty** ●●○ · **Time** 8 min
#
# Compute (10.9) for a batch, by the formula or in any other way: row $b$ is the gradient of $\log\pi(a_b|s_b)$ with
# respect to row $b$ of `logits`. No average over the batch.


# %% exercise="grad_log_softmax" points=2
def grad_log_softmax(logits, action):
    """The score of the softmax (10.9), row by row.

    logits: (B, A); action: (B,) int64. Returns (B, A); every row sums to 0.
    """
    ### BEGIN SOLUTION
    one_hot = torch.nn.functional.one_hot(action, logits.shape[1])
    return one_hot - torch.softmax(logits, dim=1)  # (10.9)
    ### END SOLUTION


# %% [markdown] hints="grad_log_softmax"
# <details><summary>What does a row look like, for two actions?</summary>
#
# If the first was taken and had probability 0.7, the row is (0.3, −0.3): up by what was missing to 1, down by what
# the other had.
# </details>
# <details><summary>How do I make the ones?</summary>
#
# `torch.nn.functional` has a function that turns indices into rows with a single 1; tell it how many columns. Or
# start from minus the probabilities and add 1 at one place in each row.
# </details>
# <details><summary>Can I check it myself?</summary>
#
# Every row must sum to 0, for adding a constant to all preferences changes nothing. And you can ask autograd: the
# gradient of the sum of all log-probabilities has exactly these rows, because no row knows of another.
# </details>

# %% check="grad_log_softmax"
grad_log_softmax = check("grad_log_softmax")

# %% [markdown]
# Is (10.8) true? A one-step world with 3 states and 4 actions. On the left the gradient of (10.6) by finite
# differences, on the right the mean of $r\,\nabla\log\pi$ over 50 000 draws, made with your two functions.

# %%
start, rewards = (
    torch.from_numpy(rng.dirichlet(np.ones(3))),
    torch.from_numpy(rng.normal(size=(3, 4))),
)
theta = torch.from_numpy(rng.normal(size=(3, 4)))


def finite_differences(f, x, eps=1e-5):
    """The gradient of f at x, entry by entry: nothing but two values of f each."""
    gradient = torch.zeros_like(x)
    for index in np.ndindex(*x.shape):
        step = torch.zeros_like(x)
        step[index] = eps
        gradient[index] = float(f(x + step) - f(x - step)) / (2 * eps)
    return gradient


true = finite_differences(lambda x: start @ (softmax_policy(x) * rewards).sum(1), theta)
one_step = tables.TableMDP(torch.zeros(3, 4, 3).double(), rewards, start)
seen = tables.sample_episodes(one_step, theta, 50_000, rng)
samples = tables.episode_gradients(seen, seen.reward, theta, grad_log_softmax)
error = np.abs(samples.mean(axis=0) - true.numpy()) / (samples.std(axis=0) / np.sqrt(len(samples)))
print("∂J/∂θ in state 0, exactly:", true[0].numpy().round(4))
print("                  sampled:", samples.mean(axis=0)[0].round(4))
print(f"largest difference: {error.max():.1f} standard errors, of {error.size} entries")
print("by " + authorship("grad_log_softmax", "softmax_policy"))
assert error.max() < 4.5

# %% [markdown]
# ### Actions that cannot be counted
#
# Nothing in (10.7) asks that actions can be counted. Where they lie on a line, the sum over $a$ becomes an integral and
# all the rest stays. The usual policy is then a Gaussian, $a = \mu + \sigma\xi$ with $\xi\sim\mathcal N(0,1)$ and
# $\theta = (\mu, \log\sigma)$. From
# $\log\pi_\theta(a) = -\tfrac{(a-\mu)^2}{2\sigma^2} - \log\sigma - \tfrac12\log 2\pi$ its score is
#
# $$\frac{\partial\log\pi_\theta(a)}{\partial\mu} = \frac{a-\mu}{\sigma^2},\qquad
# \frac{\partial\log\pi_\theta(a)}{\partial\log\sigma} = \frac{(a-\mu)^2}{\sigma^2} - 1$$
#
# An action that paid pulls μ towards itself, and if it came from farther out than σ, it widens the policy. Here is a
# world of one step whose reward has two hills. The policy learns of them by the rewards of what it draws, and by
# nothing else. First (10.8): its sampled mean against finite differences of the integral.


# %%
def hills(a):
    """The reward of action a: a low hill at −1.5 and a high one at 1.5."""
    return 0.5 * np.exp(-2 * (a + 1.5) ** 2) + np.exp(-2 * (a - 1.5) ** 2)


def sampled_gradients(mu, log_sigma, xi):
    """r ∇log π of every draw, (2, n): by μ and by log σ."""
    return hills(mu + np.exp(log_sigma) * xi) * np.stack([xi / np.exp(log_sigma), xi**2 - 1])


def ascend(mu, log_sigma, rng, steps=800, draws=200, step_size=0.1):
    """The path of (μ, log σ), (steps + 1, 2), along sampled gradients."""
    path = [np.array([mu, log_sigma])]
    for _ in range(steps):
        each = sampled_gradients(*path[-1], rng.standard_normal(draws))
        path.append(path[-1] + step_size * each.mean(axis=1))
    return np.array(path)


def expected_reward(x):
    """(10.6) with an integral for the sum; x: (2,), μ and log σ."""
    mu, sigma = float(x[0]), float(x[1].exp())
    a = mu + sigma * np.linspace(-9, 9, 4001)
    density = np.exp(-((a - mu) ** 2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
    return np.trapezoid(density * hills(a), a)


exact = finite_differences(expected_reward, torch.tensor([0.4, 0.0]).double()).numpy()
each = sampled_gradients(0.4, 0.0, np.random.default_rng(0).standard_normal(50_000))
error = np.abs(each.mean(axis=1) - exact) / (each.std(axis=1) / np.sqrt(50_000))
print("by integration:", exact.round(4), " sampled:", each.mean(axis=1).round(4))
print(f"largest difference: {error.max():.1f} standard errors")
assert error.max() < 4.5

# %% [markdown]
# Then climb, from the foot of the low hill: once with a narrow policy, once with a wide one.

# %%
for name, sigma in {"narrow": 0.4, "wide": 2.0}.items():
    mu_end, log_sigma_end = ascend(-2.0, np.log(sigma), np.random.default_rng(0))[-1]
    print(f"{name:6} policy: ends at μ = {mu_end:5.2f}, σ = {np.exp(log_sigma_end):.2f}")
    assert (mu_end > 0) == (name == "wide")


# %% tags=["hide-input"]
def draw_hills(sigma):
    a = np.linspace(-5, 5, 400)
    ax = plots.axes()
    ax.plot(a, hills(a), color=plots.INK, ls="-", label="reward")
    climbed = ascend(-2.0, np.log(sigma), np.random.default_rng(0))
    for color, when, (mu, log_sigma) in (
        ("sky", "start", climbed[0]),
        ("vermilion", "end", climbed[-1]),
    ):
        shape = np.exp(-((a - mu) ** 2) / (2 * np.exp(2 * log_sigma)))
        ax.fill_between(
            a, shape, color=plots.PALETTE[color], alpha=0.3, lw=0, label=f"policy, {when}"
        )
    ax.plot(
        climbed[:, 0], np.full(len(climbed), -0.05), color=plots.PALETTE["vermilion"], ls="-", lw=4
    )
    ax.set(xlabel="action", ylabel="reward; policy (peak 1)", ylim=(-0.1, 1.45))
    ax.legend(loc="upper left", ncols=3)
    return ax


plots.slide(draw_hills, [0.2, 0.4, 0.7, 1.0, 1.4, 2.0, 2.8], name="σ at the start", start=1,
            alt="A reward with a low hill on the left and a high one on the right, and the policy before and after "
            "its climb from the left: if it starts narrow it ends on the low hill, if wide on the high one.")  # fmt: skip

# %% [markdown]
# **Drag σ.** Where does the climb begin to end on the other hill? A gradient is about where one stands, so a narrow
# policy ends on the hill that it is on. A wide one draws from both, and goes to the higher one: exploring is not only a
# way to gather data, it smooths what is to be climbed. Lesson 13 takes the Gaussian up again.

# %% [markdown]
# ## The theorem
#
# Now worlds with more than one step. Changing θ changes not only what we do, but where we *get*.

# %% [markdown]
# ### Talk to your neighbour
# Does ∇J need the derivative of the distribution of states, which depends on the unknown world?
#
# **A** Yes, so it cannot be sampled · **B** Yes, but it is small enough to be left out ·
# **C** It is part of ∇J, and takes care of itself · **D** No, that distribution does not depend on θ
#
# <details><summary>What the derivation will show</summary>
#
# C. It is there, and step 3 shows where it hides. B and D would make the theorem an approximation, which it is not:
# the cell after exercise 10.3 compares it with finite differences.
# </details>

# %% [markdown]
# ### Five steps
#
# Start from the Bellman equation of lesson 02. There the end of an episode was a state of its own, which is never left
# and pays nothing. From here on we leave such states out of the tables: then a row of $p(\cdot|s,a)$ may sum to less
# than 1, and what is missing is the probability that the episode ends there.
#
# $$\begin{aligned}V^\pi(s) &= \sum_a\pi_\theta(a|s)\,Q^\pi(s,a)\\
# Q^\pi(s,a) &= r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,V^\pi(s')\end{aligned} \tag{10.10}$$
#
# **Step 1.** Differentiate the first by θ. It is a product, so there are two terms:
#
# $$\nabla V^\pi(s) = \sum_a\nabla\pi_\theta(a|s)\,Q^\pi(s,a) + \sum_a\pi_\theta(a|s)\,\nabla Q^\pi(s,a) \tag{10.11}$$
#
# **Step 2.** Differentiate the second. Neither $r$ nor $p$ knows θ; only $V^\pi$ does:
#
# $$\nabla Q^\pi(s,a) = \gamma\sum_{s'}p(s'|s,a)\,\nabla V^\pi(s') \tag{10.12}$$

# %% [markdown]
# **Step 3.** Put (10.12) into (10.11), and give the first term a name,
# $u(s) = \sum_a\nabla\pi_\theta(a|s)\,Q^\pi(s,a)$:
#
# $$\nabla V^\pi(s) = u(s) + \gamma\sum_{s'}P^\pi(s'|s)\,\nabla V^\pi(s') \tag{10.13}$$
#
# Look at it twice: **this is a Bellman equation.** The "reward" is $u$, the "value" is $\nabla V^\pi$, the policy and
# the world are the same as before. So we know its solution from lesson 02: the value is the expected discounted sum
# of rewards. Unrolling,
#
# $$\nabla V^\pi(s) = \sum_{t\ge0}\gamma^t\sum_{s'}\Pr(s_t = s'\,|\,s_0 = s,\pi)\,u(s') \tag{10.14}$$
#
# (The sum converges for γ < 1, and for γ = 1 if every episode ends.)
#
# **Step 4.** Average over the first state, which does not know θ either. The weights become the expected number of
# **discounted visits**, $n_\gamma(s) = \sum_t\gamma^t\Pr(s_t = s)$. By lesson 01 they solve
# $n_\gamma = (I-\gamma P_\pi^\top)^{-1}\,\text{start}$: the occupancy of lesson 01 without its factor $1-\gamma$.
#
# $$\nabla J(\theta) = \sum_s n_\gamma(s)\sum_a\nabla\pi_\theta(a|s)\,Q^\pi(s,a) \tag{10.15}$$
#
# That is the **policy gradient theorem**. The derivative of the distribution of states has not been neglected. It is *inside*: it is what the recursion (10.13) carries from state to state.

# %% [markdown]
# **Step 5.** Replace ∇π by π ∇log π, as in (10.7), and read the sums as a mean over episodes, in which a state
# visited at time $t$ counts $\gamma^t$:
#
# $$\nabla J(\theta) = \mathbb E_{\pi_\theta}\Big[\sum_{t\ge0}\gamma^t\,Q^\pi(s_t,a_t)\,\nabla\log\pi_\theta(a_t|s_t)\Big] \tag{10.16}$$
#
# **For a table** with one preference $\theta_{s,a}$ for each state and action, (10.9) makes the inner sum explicit.
# Only row $s$ of θ moves $\pi(\cdot|s)$, and
# $\sum_b\pi(b|s)\,(\mathbb 1[b=a]-\pi(a|s))\,Q^\pi(s,b) = \pi(a|s)\,Q^\pi(s,a) - \pi(a|s)\,V^\pi(s)$. So
#
# $$\frac{\partial J}{\partial\theta_{s,a}} = n_\gamma(s)\,\pi(a|s)\,\big(Q^\pi(s,a) - V^\pi(s)\big) \tag{10.17}$$
#
# Three factors: how often we are there, how often we do this, and how much better than usual it is.

# %% [markdown] task="exact_policy_gradient"
# ### Exercise 10.3 · `exact_policy_gradient`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Compute (10.17) when the world is known: solve for $V^\pi$, get $Q^\pi$, solve for $n_\gamma$.
#
# - All tensors are float64. Rows of `P` may sum to less than 1; then γ = 1 is allowed.
# - $n_\gamma$ counts visits. It is not normalised.


# %% exercise="exact_policy_gradient" points=3
def exact_policy_gradient(P, R, start, logits, gamma):
    """The policy gradient of a table (10.17).

    P: (S, A, S); R, logits: (S, A); start: (S,), all float64; gamma: in [0, 1]. Returns (S, A).
    """
    ### BEGIN SOLUTION
    pi = torch.softmax(logits, dim=1)
    P_pi = torch.einsum("sa,sat->st", pi, P)
    leave = torch.eye(len(start), dtype=P.dtype) - gamma * P_pi
    v = torch.linalg.solve(leave, (pi * R).sum(dim=1))  # lesson 02
    q = R + gamma * (P @ v)  # (10.10)
    visits = torch.linalg.solve(leave.T, start)  # forwards in time
    return visits[:, None] * pi * (q - v[:, None])  # (10.17)
    ### END SOLUTION


# %% [markdown] hints="exact_policy_gradient"
# <details><summary>In which order do I compute things?</summary>
#
# π from the logits. From π the chain $P^\pi(s'|s)$, a mean of `P` over actions. From the chain $V^\pi$ (lesson 02)
# and $n_\gamma$ (lesson 01). From $V^\pi$ then $Q^\pi$. Last, the product of three factors.
# </details>
# <details><summary>Both linear systems look alike. What is different?</summary>
#
# Values flow backwards in time, from where we will get; visits flow forwards, from where we came. One of the two
# systems has the transposed matrix. And their right-hand sides: one starts from rewards, the other from the first
# states.
# </details>
# <details><summary>How do I multiply (S,) with (S, A)?</summary>
#
# Give the vector a second axis of length 1, with `[:, None]`: it belongs to the rows. Without it a square table
# would be multiplied along the wrong axis, and nobody would complain.
# </details>

# %% check="exact_policy_gradient"
exact_policy_gradient = check("exact_policy_gradient")

# %% [markdown]
# The proof says that your function is the gradient of (10.3). Take a random world, where every step ends the
# episode with probability 0.1, and compare with finite differences of the start value. These know nothing of the
# theorem: they solve the Bellman equation, move one preference a little, and solve it again.

# %%
world = tables.random_mdp(4, 3, rng)
theta = torch.from_numpy(rng.normal(size=(4, 3)))


def start_value(x, gamma=0.9):
    return float(world.start.numpy() @ tables.state_values(world, x, gamma))


gradient = exact_policy_gradient(*world, theta, 0.9)
numerical = finite_differences(start_value, theta)
print(
    "the theorem:\n",
    gradient.numpy().round(5),
    "\nfinite differences:\n",
    numerical.numpy().round(5),
    sep="",
)
print(f"largest difference: {(gradient - numerical).abs().max():.1e}")
print("the theorem by " + authorship("exact_policy_gradient"))
assert (gradient - numerical).abs().max() < 1e-7

# %% [markdown]
# ### And the other two objectives?
#
# One often reads one formula for all three objectives, $\nabla J = \mathbb E_\pi[\nabla\log\pi\,Q^\pi]$. It needs
# care: what is averaged over which states? Differentiate (10.5). The product rule gives two terms; in the second one
# average (10.13) over $\bar\eta^\pi$, where $P^\pi$ vanishes once more, so that
# $\sum_s\bar\eta^\pi(s)\,\nabla V^\pi(s) = \sum_s\bar\eta^\pi(s)\,u(s)/(1-\gamma)$:
#
# $$\begin{aligned}\nabla J_{\text{avR}} &= (1-\gamma)\sum_s\big[\nabla\bar\eta^\pi(s)\,V^\pi(s) + \bar\eta^\pi(s)\,\nabla V^\pi(s)\big]\\
# &= \sum_s\bar\eta^\pi(s)\sum_a\nabla\pi(a|s)\,Q^\pi(s,a) + (1-\gamma)\sum_s\nabla\bar\eta^\pi(s)\,V^\pi(s)\end{aligned} \tag{10.18}$$
#
# So with stationary weights and discounted values the formula, the first of the two sums, is *not* the gradient of
# the average reward, but it becomes so as γ → 1. (With γ = 1 and values measured from the average it is exact: Sutton & Barto, §13.6.) The
# next cell checks (10.18), and how far off the first term alone is.

# %%
true = finite_differences(average_reward, h)
for gamma in (0.0, 0.5, 0.9, 0.99):
    v = tables.state_values(endless, h, gamma)
    other_weights = torch.from_numpy(stationary(h) / tables.visits(endless, h, gamma))
    first = other_weights[:, None] * exact_policy_gradient(*endless, h, gamma)
    second = (1 - gamma) * finite_differences(lambda x, v=v: stationary(x) @ v, h)
    cosine = torch.cosine_similarity(first.flatten(), true.flatten(), dim=0)
    print(
        f"γ = {gamma:4}: both terms {(first + second - true).abs().max():.0e} off; "
        f"cosine of the first alone {cosine:.4f}"
    )
    assert (first + second - true).abs().max() < 1e-7

# %% [markdown]
# ## The short corridor
#
# Back to the corridor. All cells look alike, so there is one probability $p$ of going right. The Bellman equations
# of the three cells, with γ = 1, are
#
# $$\begin{aligned}V^p_1 &= -1 + (1-p)\,V^p_1 + p\,V^p_2\\ V^p_2 &= -1 + p\,V^p_1 + (1-p)\,V^p_3\\
# V^p_3 &= -1 + (1-p)\,V^p_2 + p\cdot0\end{aligned} \tag{10.19}$$
#
# From the first, $V^p_1 = V^p_2 - 1/p$. Put this and the third into the second:
# $V^p_2 = -1 + p\,V^p_2 - 1 + (1-p)\big(-1 + (1-p)V^p_2\big)$, so $V^p_2\,p\,(1-p) = p - 3$. With the first again,
#
# $$J(p) = V^p_1 = \frac{p-3}{p(1-p)} - \frac1p = \frac{2p-4}{p(1-p)} \tag{10.20}$$
#
# The derivative is zero where $2p(1-p) = (2p-4)(1-2p)$, that is $p^2-4p+2 = 0$. The root between 0 and 1 is
# $p = 2-\sqrt2$, with $J = -(6+4\sqrt2)$.
#
# Can gradient ascent find it? The preferences are shared: $\theta$ has one pair, used in all three cells. By the
# chain rule the gradient for the pair is the sum of your function's three rows. Start at $p = 0.05$.

# %%
corridor = tables.short_corridor()
pair = torch.tensor([np.log(19.0), 0.0], dtype=torch.float64)  # p(right) = 0.05
path = []
for _ in range(2500):
    path.append(float(softmax_policy(pair[None])[0, tables.RIGHT]))
    pair = pair + 0.002 * exact_policy_gradient(*corridor, pair.expand(3, 2), 1.0).sum(dim=0)


def corridor_value(p):
    return (2 * p - 4) / (p * (1 - p))  # (10.20)


p_star = 2 - np.sqrt(2)
for name, p in {"ε-greedy left": 0.05, "ε-greedy right": 0.95, "a fair coin": 0.5,
                "2 − √2": p_star, "gradient ascent": path[-1]}.items():  # fmt: skip
    print(f"{name:16} p = {p:.3f}   J = {corridor_value(p):7.2f}")
print("ascended with " + authorship("exact_policy_gradient", "softmax_policy"))
assert abs(path[-1] - p_star) < 1e-3 and abs(corridor_value(p_star) + 6 + 4 * np.sqrt(2)) < 1e-9

# %% tags=["hide-input"]
p = np.linspace(0.04, 0.96, 200)
way = np.array(path)[[1, 5, 10, 20, 50, 100, 2499]]
greedy = np.array([0.05, 0.95])
ax = plots.curves({"J(p)": corridor_value(p)}, x=p, xlabel="p, probability of right", ylabel="J")
ax.plot(greedy, corridor_value(greedy), "s", ls="", ms=9, label="ε-greedy, ε = 0.1")
ax.plot(way, corridor_value(way), "o", ls="", label="gradient ascent, now and then")
ax.axvline(p_star, color=plots.INK, linewidth=1, linestyle=":")
ax.annotate("2 − √2", (p_star, -100), xytext=(6, 0), textcoords="offset points")
ax.legend(loc="lower center", bbox_to_anchor=(0.4, 0.25))
plots.show(ax, alt="The corridor's value against the probability of going right: a flat hill with its top at "
           "0.586, value minus 11.66, falling steeply at both ends, where the two ε-greedy policies lie. "
           "Gradient ascent climbs from the left end to the top.")  # fmt: skip

# %% [markdown]
# This is the figure of example 13.1. The two squares are what a method with action *values* can do here: one of two
# ε-greedy policies, −82 or −44. (10.1) cannot express the top of the hill.

# %% [markdown]
# ## Break
#
# Half of the lesson is behind you: three exercises, and a gradient that is exact. `rlcourse progress` in a terminal
# shows what you have. Before you go on you should be able to say, without looking:
#
# - why no derivative of the world's $p$ is left in (10.15);
# - what is averaged in it, over which states;
# - why a table's gradient (10.17) has three factors, and which one knows where episodes begin.
#
# To take up the lesson here another day, click this cell and choose `Run` → `Run All Above Selected Cell`: it takes
# seconds.

# %% [markdown]
# ## REINFORCE: sample the theorem
#
# (10.16) is a mean over episodes, so episodes estimate it. One thing in it is still unknown: $Q^\pi(s_t,a_t)$. But
# lesson 04 has an unbiased sample of it, the return from there on: $G_t = \sum_{k\ge t}\gamma^{k-t}r_k$ has
# $\mathbb E[G_t\,|\,s_t,a_t] = Q^\pi(s_t,a_t)$. The score is fixed once $s_t,a_t$ are, so we may replace one by the
# other inside the mean:
#
# $$\nabla J(\theta) = \mathbb E_{\pi_\theta}\Big[\sum_{t\ge0}\gamma^t\,G_t\,\nabla\log\pi_\theta(a_t|s_t)\Big] \tag{10.21}$$
#
# The bracket, for one episode, is **REINFORCE** (Williams 1992). Since optimisers take a loss and go *down*, we
# write a loss whose gradient is minus a sampled gradient. For a batch of $B$ steps, of one or more episodes,
#
# $$L(\theta) = -\frac1B\sum_{t=1}^B\log\pi_\theta(a_t|s_t)\;G_t \tag{10.22}$$
#
# Beside (10.21) this takes two liberties. It has no $\gamma^t$: whoever wants it puts it into the returns, and a
# later section says what it costs to leave it out. And it is divided by the number of *steps*, where (10.21) is a
# mean over *episodes*. For the batch in hand that is one positive factor.
#
# $G_t$ is data: it was observed, and no gradient goes through it. (It came from a world that we cannot
# differentiate.) The value of this loss means nothing. Only its gradient does.

# %% [markdown] task="reinforce_loss"
# ### Exercise 10.4 · `reinforce_loss`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (10.22). `log_prob` carries the gradient, `returns` must not get any, even if somebody hands you a tensor
# that wants one. The weights $\gamma^t$ are left to the caller.


# %% exercise="reinforce_loss" points=1
def reinforce_loss(log_prob, returns):
    """REINFORCE's loss (10.22).

    log_prob, returns: (B,), the steps of one or more episodes. Returns a scalar, shape ().
    """
    ### BEGIN SOLUTION
    return -(log_prob * returns.detach()).mean()  # (10.22)
    ### END SOLUTION


# %% [markdown] hints="reinforce_loss"
# <details><summary>Which direction is down?</summary>
#
# If an action was followed by a high return, its probability should rise. The optimiser makes the loss small. So
# the loss must fall when that log-probability rises.
# </details>
# <details><summary>How do I keep the gradient out of the returns?</summary>
#
# Lesson 00: a tensor can be asked for a copy of itself that no gradient flows through.
# </details>
# <details><summary>Is it the product of two means?</summary>
#
# No: each action is credited with its *own* return. Multiply row by row first, then take one mean.
# </details>

# %% check="reinforce_loss"
reinforce_loss = check("reinforce_loss")

# %% [markdown]
# ## Any baseline is free
#
# (10.21) is unbiased, and *very* noisy. If all returns lie between 90 and 110, every action taken is pushed up, and
# only on average does it come out which ones were better. Could we subtract something from $G_t$ first?

# %% [markdown]
# ### Talk to your neighbour
# What may be subtracted from $G_t$ without moving the mean of (10.21)?
#
# **A** a constant, and nothing else · **B** what does not know $a_t$, nor anything after it ·
# **C** whatever is known when the episode is over · **D** $G_t$ itself, the best guess of all
#
# <details><summary>What the next cells will show</summary>
#
# B: the state, the time, all of the past. With C and D it would know the action by what came of it; with D the estimate
# would be zero, always.
# </details>

# %% [markdown]
# Take any function $b(s)$ that does not look at the action. Its contribution in state $s$ is
#
# $$\begin{aligned}\sum_a\pi_\theta(a|s)\,\nabla\log\pi_\theta(a|s)\,b(s) &= b(s)\sum_a\nabla\pi_\theta(a|s)\\
# &= b(s)\,\nabla\sum_a\pi_\theta(a|s) = b(s)\,\nabla 1 = 0\end{aligned} \tag{10.23}$$
#
# So every such $b$ leaves the mean as it is, whatever it is:
#
# $$\nabla J(\theta) = \mathbb E_{\pi_\theta}\Big[\sum_{t\ge0}\gamma^t\,\big(G_t - b(s_t)\big)\,\nabla\log\pi_\theta(a_t|s_t)\Big] \tag{10.24}$$
#
# All that (10.23) asks is that $b$ comes out of the sum over actions. What knows the action does not come out.
#
# The variance does depend on $b$. What is a good one? What we expect anyway: $b(s) \approx V^\pi(s)$. Then
# $G_t - b(s_t)$ is positive if it went better than expected and negative if worse.
#
# Let us measure with 20 000 episodes: in the random world of above, and in the same world with **5 more for every
# step**. The end comes with the same probability whatever is done, so no action gains an advantage, and ∇J is the
# same in both.

# %%
gamma, n = 0.9, 20_000
sampled, variances = {}, {}
for bonus in (5, 0):
    mdp = world._replace(R=world.R + bonus)
    assert torch.allclose(exact_policy_gradient(*mdp, theta, gamma), gradient)
    episodes = tables.sample_episodes(mdp, theta, n, np.random.default_rng(3))
    returns = tables.rewards_to_come(episodes, gamma)
    gamma_t = gamma ** np.arange(returns.shape[1])
    v = tables.state_values(mdp, theta, gamma)
    baselines = {"0": 0.0, "mean return": returns[:, 0].mean(), "V(s)": v[episodes.state]}
    for name, b in baselines.items():
        each = tables.episode_gradients(episodes, gamma_t * (returns - b), theta, grad_log_softmax)
        error = np.abs(each.mean(axis=0) - gradient.numpy()) / (each.std(axis=0) / np.sqrt(n))
        sampled[bonus, name], variances[bonus, name] = each, each.var(axis=0).sum()
        print(f"{bonus} more a step, b = {name:12} variance {variances[bonus, name]:7.1f}, "
              f"mean within {error.max():.1f} standard errors of ∇J")  # fmt: skip
        assert error.max() < 4.5
print("by " + authorship("grad_log_softmax"))

# %% [markdown]
# All six have the right mean. Their variances differ. Without a baseline the 5 that everybody gets make the noise
# many times larger, though they say nothing about any action. $V^\pi$ takes more than three quarters of that away
# again, and is the best of the three in both worlds; a constant helps only where it happens to lie near the values.
# What $V^\pi$ cannot take away is the noise of the return itself: here, how long the episode happens to last. Lesson
# 11 goes after that.
#
# Here is what this looks like. Each point is the gradient of *one* episode with 5 more a step, drawn along ∇J and
# in one direction across.

# %% tags=["hide-input"]
length = float(gradient.norm())
ahead = (gradient / length).numpy().ravel()
side = rng.normal(size=12)
side -= (side @ ahead) * ahead
plane = np.stack([ahead, side / np.linalg.norm(side)])
panels = plots.axes(1, 2, size="wide", sharex=True, sharey=True)
for ax, name in zip(panels, ("0", "V(s)"), strict=True):
    x, y = plane @ sampled[5, name][:800].reshape(800, -1).T
    ax.plot(x, y, ".", ls="", alpha=0.35)
    ax.plot(length, 0, "o", color=plots.PALETTE["vermilion"], ms=8, label="∇J")
    ax.set(title=f"b = {name}", xlabel="along ∇J", xlim=(-60, 60), ylim=(-60, 60))
panels[0].set_ylabel("across")
panels[0].legend(loc="upper left")
plots.show(panels, alt="Two clouds of single-episode gradients around the same small true gradient: wide "
           "without a baseline, narrow with the state's value.")  # fmt: skip

# %% [markdown]
# The true gradient, the orange dot, hardly differs from zero on this scale: a single episode says next to nothing.
# A better baseline means that fewer episodes say the same.

# %% [markdown]
# A closer look at one state with three actions, of which the first is taken most of the time. A sample can then be one
# of three vectors, $\nabla_h\log\pi(a|s)\,\big(Q^\pi(s,a) - b\big)$. **Drag b.** What do the three arrows do, and what
# does their mean do? Where are they shortest, and is it at $V^\pi$?

# %% tags=["hide-input"]
shares, worth = torch.tensor([0.7, 0.2, 0.1]).double(), torch.tensor([8.0, 10.0, 16.0]).double()
arrows = grad_log_softmax(shares.log().expand(3, 3), torch.arange(3))
# Scores sum to 0: they lie in a plane, of which these are two directions at right angles.
in_the_plane = torch.tensor([[1, -1, 0], [1, 1, -2]]).double() / torch.tensor([[2.0], [6.0]]).sqrt()


def draw_samples(b):
    each = arrows * (worth - b)[:, None]
    mean = shares @ each
    noise = float(shares @ (each - mean).square().sum(dim=1))
    ax = plots.axes(size="tall")
    ax.axis("off")
    for k, (x, y) in enumerate((each @ in_the_plane.T).tolist()):
        ax.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "-|>", "lw": 0.8 + 6 * float(shares[k]),
                    "color": list(plots.PALETTE.values())[k], "shrinkA": 0, "shrinkB": 0})  # fmt: skip
        ax.plot([], [], color=list(plots.PALETTE.values())[k], ls="-", lw=0.8 + 6 * float(shares[k]),
                label=f"π = {shares[k]:.1f}, Q = {worth[k]:.0f}")  # fmt: skip
    x, y = (in_the_plane @ mean).tolist()
    ax.plot(x, y, "o", ms=9, color=plots.PALETTE["vermilion"], label="their mean")
    ax.set(xlim=(-15, 13), ylim=(-20, 8), aspect="equal")
    ax.set_title(f"V = {float(shares @ worth):.1f}    variance = {noise:.1f}")
    ax.legend(loc="lower right")
    return ax


plots.slide(draw_samples, list(range(0, 21)), name="b", start=0,
            alt="Three arrows, the sampled gradients of three actions, and the dot of their mean. As b goes from 0 "
            "to 20 the arrows shrink and then grow on the other side; the dot stays where it is.")  # fmt: skip

# %% [markdown]
# ### The best baseline of a state
#
# How good can $b$ be? Look at one state. Let the whole future be known, so that an action is worth just
# $Q^\pi(s,a)$, and only the draw of the action is left to chance. The sampled gradient is then
# $\nabla_h\log\pi(a|s)\,\big(Q^\pi(s,a) - b\big)$, a vector with an entry for each preference of $s$. By (10.23) its
# mean does not depend on $b$. So its variance is smallest where the mean of its **squared length** is:
#
# $$M(b) = \mathbb E_{a\sim\pi(\cdot|s)}\Big[\big\|\nabla_h\log\pi(a|s)\,\big(Q^\pi(s,a) - b\big)\big\|^2\Big] \tag{10.25}$$

# %% [markdown] task="optimal_baseline"
# ### Exercise 10.5 · `optimal_baseline`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min · ✎ on paper
#
# Why is $V^\pi$ not quite the best baseline? Find the best one on paper: set the derivative of (10.25) for $b$ to 0,
# solve for $b$, and put in the softmax's score (10.9). Then write your formula down as a function.
#
# - A row of `pi` is a state's policy, a row of `q` its action values. No probability is 0 or 1.
# - One number a state. Everything is float64 here, and so is the result.


# %% exercise="optimal_baseline" points=2
def optimal_baseline(pi, q):
    """The b that makes (10.25) smallest, state by state.

    pi, q: (B, A). Returns (B,), in the inputs' dtype.
    """
    ### BEGIN SOLUTION
    square = 1 - 2 * pi + (pi**2).sum(dim=1, keepdim=True)  # ‖e_a − π‖², from (10.9)
    weight = pi * square
    return (weight * q).sum(dim=1) / weight.sum(dim=1)  # where the slope of (10.25) is 0
    ### END SOLUTION


# %% [markdown] hints="optimal_baseline"
# <details><summary>How do I differentiate a mean of squared lengths?</summary>
#
# The factor in the bracket that has $b$ in it is a number, so it comes out of the length, squared. Write the mean as a
# sum over the actions, each with its probability. What is left is a sum of parabolas in $b$.
# </details>
# <details><summary>I have solved for b. What does it say?</summary>
#
# One sum over another one, with the same weights in both: an average of the $Q^\pi(s,a)$. An action has a large
# weight if it is drawn often, or if its score is long. $V^\pi$ knows the first of the two only.
# </details>
# <details><summary>How long is the score?</summary>
#
# It is a vector with A entries, by (10.9): one of them is what was missing to 1, the others are minus the other
# probabilities. Its squared length is the sum of their squares. For three actions write it out; then look for a form
# that serves all actions of a row at once. `grad_log_softmax` can tell you whether you are right:
# its logits may be `pi.log()`.
# </details>

# %% check="optimal_baseline"
optimal_baseline = check("optimal_baseline")

# %% [markdown]
# How much is there to be gained? In each state of the world with 5 more a step, the variance of the sampled gradient
# with three baselines. Nothing is drawn here: the mean runs over all actions.

# %%
richer = world._replace(R=world.R + 5)
pi_world = softmax_policy(theta)
v_richer = torch.from_numpy(tables.state_values(richer, theta, gamma))
q_richer = richer.R + gamma * richer.P @ v_richer
state, action = (x.ravel() for x in torch.meshgrid(torch.arange(4), torch.arange(3), indexing="ij"))
vectors = grad_log_softmax(theta[state], action).reshape(4, 3, 3)  # [s, a]: the vector (10.9)


def spread(b):
    """The variance of the sampled gradient in each state, all of its entries together."""
    each = vectors * (q_richer - b[:, None])[:, :, None]
    mean = torch.einsum("sa,sab->sb", pi_world, each)
    return torch.einsum("sa,sab->s", pi_world, (each - mean[:, None]) ** 2)


b_star = optimal_baseline(pi_world, q_richer)
for name, b in {"0": torch.zeros(4).double(), "V(s)": v_richer, "best": b_star}.items():
    print(f"b = {name:5} baselines", b.numpy().round(2), "  variance", spread(b).numpy().round(2))
    assert (spread(b_star) <= spread(b) + 1e-9).all()
print("by " + authorship("optimal_baseline", "grad_log_softmax", "softmax_policy"))

# %% [markdown]
# Nearly all of the noise goes with $V^\pi$. Of the little that it leaves, the best baseline takes next to nothing
# in one state and nearly all in another. And yet $V^\pi$ is what one uses, for two virtues. It can be *learned*, as the next exercise does. And it has a meaning: $G_t - V^\pi(s_t)$
# says how much better than expected it went, an estimate of the advantage, which lesson 11 is about.

# %% [markdown]
# ### Learn the baseline
#
# $V^\pi$ is not known, but it can be learned, from the same returns: regress a network $b = V_\psi(s)$ on $G$
# (lesson 06). That gives two losses,
#
# $$\begin{aligned}L(\theta) &= -\frac1B\sum_t\log\pi_\theta(a_t|s_t)\,\big(G_t - V_\psi(s_t)\big)\\
# L(\psi) &= \frac12\cdot\frac1B\sum_t\big(G_t - V_\psi(s_t)\big)^2\end{aligned} \tag{10.26}$$
#
# In the first the difference is a *number*: θ is to be moved by it, ψ is not. In the second ψ is moved. If the
# policy's loss could reach ψ, it would teach the baseline whatever makes that loss small, not what is true.

# %% [markdown] task="baseline_loss"
# ### Exercise 10.6 · `baseline_loss`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute both losses of (10.26). `value` is $V_\psi(s_t)$ and carries ψ's gradient. The first loss trains only the
# policy, the second only the baseline, and neither trains the returns. Mind the ½.


# %% exercise="baseline_loss" points=2
def baseline_loss(log_prob, returns, value):
    """The two losses of REINFORCE with a baseline (10.26).

    log_prob, returns, value: (B,). Returns (policy_loss, value_loss), two scalars.
    """
    ### BEGIN SOLUTION
    error = returns.detach() - value
    policy_loss = -(log_prob * error.detach()).mean()
    value_loss = 0.5 * (error**2).mean()
    return policy_loss, value_loss  # (10.26)
    ### END SOLUTION


# %% [markdown] hints="baseline_loss"
# <details><summary>Where do I have to cut the gradient?</summary>
#
# Go through the three inputs for each of the two losses and ask: is this one to be *moved* by this loss? What is
# not, is a number. Of the six answers, two are yes.
# </details>
# <details><summary>Can I use my own <code>reinforce_loss</code>?</summary>
#
# Yes. The first loss is the same as (10.22), with something else in place of the return.
# </details>
# <details><summary>My value is right, but the check speaks of a gradient.</summary>
#
# Then one of the cuts is missing, or there is one too many. Both losses contain $G - V_\psi$; in one of them ψ must
# be reachable.
# </details>

# %% check="baseline_loss"
baseline_loss = check("baseline_loss")

# %% [markdown]
# ## The factor that practice drops
#
# The book's pseudocode updates with $\gamma^t G_t\nabla\log\pi(a_t|s_t)$. That $\gamma^t$ is in (10.21), it belongs to
# $n_\gamma$. Hardly any program has it. So the direction in which practice goes is
#
# $$\begin{aligned}g &= \mathbb E_{\pi_\theta}\Big[\sum_{t\ge0}G_t\,\nabla\log\pi_\theta(a_t|s_t)\Big]\\
# &= \sum_s n_1(s)\sum_a\nabla\pi_\theta(a|s)\,Q^\pi(s,a)\end{aligned} \tag{10.27}$$
#
# with $n_1(s)$ the *undiscounted* visits in front of *discounted* values. This is the gradient of no objective at
# all (Nota & Thomas 2020). How wrong is it? For a table, state $s$ just gets another positive weight,
# $n_1(s)/n_\gamma(s)$, so we can say exactly:

# %%
gammas = [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0]
cosines = np.zeros((30, len(gammas)))
for i in range(30):
    mdp = tables.random_mdp(6, 3, rng, go_on=0.95)
    x = torch.from_numpy(rng.normal(size=(6, 3)))
    for j, g in enumerate(gammas):
        exact = exact_policy_gradient(*mdp, x, g)
        more = tables.visits(mdp, x, 1.0) / tables.visits(mdp, x, g)
        practice = torch.from_numpy(more)[:, None] * exact
        cosines[i, j] = torch.cosine_similarity(exact.flatten(), practice.flatten(), dim=0)
print("γ     ", *(f"{g:7}" for g in gammas))
print("cosine", *(f"{c:7.4f}" for c in cosines.mean(axis=0)))
print("∇J by " + authorship("exact_policy_gradient"))

# %% tags=["hide-input"]
ax = plots.curves({"30 random worlds": cosines}, x=gammas, xlabel="γ", ylabel="cosine of g with ∇J",
                  spread="min-max")  # fmt: skip
ax.set_ylim(0, 1.05)
plots.show(ax, alt="The cosine between the direction of practice and the true gradient: about 0.8 on average at "
           "γ = 0, with a lowest world near one half, rising to 1 at γ = 1.")  # fmt: skip

# %% [markdown]
# At γ = 0.99 the two directions cannot be told apart, and practice uses such γ. For a table the cosine is never
# negative: every state's row is only stretched. But a network *shares* parameters between states, and then it can
# be. Here is a chain of 20 steps, with one pair of preferences for all. Action 1 pays 1 at the first step and costs
# 0.1 at each of the 19 others:

# %%
trap = tables.chain(20, [1.0] + [-0.1] * 19)
shared = torch.zeros(20, 2, dtype=torch.float64)
exact = exact_policy_gradient(*trap, shared, 0.9)
more = tables.visits(trap, shared, 1.0) / tables.visits(trap, shared, 0.9)
exact, practice = exact.sum(dim=0), (torch.from_numpy(more)[:, None] * exact).sum(dim=0)
print("∇J for the pair:", exact.numpy().round(3), "  practice:", practice.numpy().round(3))
assert exact[1] > 0 > practice[1]

# %% [markdown]
# Discounted at 0.9 the first reward is worth the trouble; counted without discount it is not. Practice goes exactly
# *down* the objective that it says it climbs. So why drop the factor? Because with it the late steps of an episode
# teach hardly anything ($0.9^{100} = 0.00003$), and we do want to act well there. The experiment below shows that
# side.
#
# One more check of the theory: sampled gradients, ten batches of 5000 episodes. With $\gamma^t$ the error must fall
# like $1/\sqrt n$, to zero; without it, it must stop at the distance between $g$ and ∇J, which we can compute.

# %%
episodes = tables.sample_episodes(world, theta, 50_000, rng)
returns = tables.rewards_to_come(episodes, gamma)
advantages = returns - tables.state_values(world, theta, gamma)[episodes.state]
gamma_t = gamma ** np.arange(returns.shape[1])
counts = np.unique(np.geomspace(10, 5000, 25).astype(int))
more = tables.visits(world, theta, 1.0) / tables.visits(world, theta, gamma)
distance = float((torch.from_numpy(more - 1)[:, None] * gradient).norm()) / length
errors = {}
for name, weight in {"γᵗ kept, b = 0": gamma_t * returns, "γᵗ kept, b = V(s)": gamma_t * advantages,
                     "γᵗ dropped, b = V(s)": advantages}.items():  # fmt: skip
    each = tables.episode_gradients(episodes, weight, theta, grad_log_softmax)
    sums = each.reshape(10, 5000, 4, 3).cumsum(axis=1)[:, counts - 1]
    off = sums / counts[:, None, None] - gradient.numpy()
    errors[name] = np.linalg.norm(off, axis=(2, 3)) / length
for name, e in errors.items():
    print(f"{name:21} error after 5000 episodes: {e[:, -1].mean():.3f}")
print(f"|g − ∇J| / |∇J| = {distance:.3f}")
print("by " + authorship("grad_log_softmax"))
assert (
    errors["γᵗ kept, b = V(s)"][:, -1].mean() < 0.2
    and abs(errors["γᵗ dropped, b = V(s)"][:, -1].mean() - distance) < 0.1
)

# %% tags=["hide-input"]
ax = plots.curves(
    errors, x=counts, xlabel="episodes", ylabel="error, relative to |∇J|", spread="interquartile"
)
ax.set(xscale="log", yscale="log")
ax.get_legend().set_title("mean; band: middle half of 10 batches")
plots.show(ax, alt="Relative error of the sampled gradient against episodes, both axes logarithmic. With the "
           "factor the error falls along a straight line, lower with a baseline; without it, it levels off.")  # fmt: skip

# %% [markdown]
# Read the figure sideways, too: how many episodes does it take until the error is half the size of ∇J, without a
# baseline, and with one? (Most of the distance at which the third curve stops is length: $g$ is longer than ∇J. The
# figure before has shown how little the *direction* differs.)

# %% [markdown]
# ## The loop
#
# The whole algorithm: play an episode with the current policy, work out its returns, take one step, forget the
# episode (it was drawn from a policy that is gone). A step $t$ of the episode asks for
#
# $$\theta \leftarrow \theta + \alpha\,c_t\,G_t\,\nabla\log\pi_\theta(a_t|s_t),\qquad c_t = \gamma^t \text{ or } 1 \tag{10.28}$$
#
# All of these belong to the weights that have *acted*, so they are taken together: one step of the optimiser, on the
# episode's loss.

# %% [markdown] task="reinforce"
# ### Exercise 10.7 · `reinforce`
# **Points** 4 · **Difficulty** ●●● · **Time** 25 min
#
# Write REINFORCE: after each episode, clear the gradients and take **one** step on the episode's loss, so that the
# expected step is along $\nabla J$ if `keep_gamma_t` is set. An episode has as many terms (10.28) as it has steps;
# how its loss is made of them is for you to decide.
#
# - `policy(obs, rng)` gives an action and its log-probability, a tensor of shape () with gradient. Pass `rng` to it
#   and use it for nothing else. `optimizer` holds the policy's weights.
# - Call `env.reset()` once an episode, without arguments. An episode ends when `terminated` **or** `truncated`; a
#   return's sum simply ends there.
# - $c_t = \gamma^t$ if `keep_gamma_t`, else 1.
# - Return the *undiscounted* sum of rewards of every episode.


# %% exercise="reinforce" points=4
def reinforce(env, policy, optimizer, episodes, gamma, rng, keep_gamma_t=False):
    """REINFORCE: one step on the loss of each episode, made of its terms (10.28).

    env: Gymnasium's API; policy(obs, rng) -> (action, log_prob); optimizer: over the policy's weights.
    Returns the undiscounted return of each episode, (episodes,) float array.
    """
    ### BEGIN SOLUTION
    totals = np.zeros(episodes)
    for episode in range(episodes):
        log_probs, rewards = [], []
        obs, _ = env.reset()
        ended = False
        while not ended:
            action, log_prob = policy(obs, rng)
            obs, reward, terminated, truncated, _ = env.step(action)
            log_probs.append(log_prob)
            rewards.append(reward)
            ended = terminated or truncated
        weights = torch.as_tensor(returns_to_go(rewards, gamma), dtype=torch.float32)  # G_t
        if keep_gamma_t:
            weights = weights * gamma ** torch.arange(len(rewards))
        loss = -(torch.stack(log_probs) * weights).sum()  # (10.21) adds up the steps of an episode
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        totals[episode] = sum(rewards)
    return totals
    ### END SOLUTION


# %% [markdown] hints="reinforce"
# <details><summary>What do I collect while I play?</summary>
#
# Two lists, one entry a step: the log-probability of what was done, *as the tensor that it is* (it remembers how it
# came about), and the reward. The states are not needed any more.
# </details>
# <details><summary>How do I get all the returns?</summary>
#
# Lesson 01's `returns_to_go` is imported: rewards and γ in, an array of one return for each step out. Turn it into
# a tensor. The weights $c_t$ are powers of γ, the first is 1.
# </details>
# <details><summary>What are the last lines of an episode?</summary>
#
# Stack the log-probabilities to one tensor, make the loss (the optimiser goes down, (10.28) goes up), then three
# calls in the usual order: forget old gradients, work out new ones, step.
# </details>

# %% check="reinforce"
reinforce = check("reinforce")

# %% [markdown]
# ### Sum or mean?
#
# The losses of an episode's steps are **summed**, as in (10.21):
#
# $$\theta \leftarrow \theta + \alpha\sum_{t=0}^{T-1}c_t\,G_t\,\nabla\log\pi_\theta(a_t|s_t) \tag{10.29}$$
#
# To divide by $T$ looks harmless: a positive factor. But it is *another* factor for every episode. The steps of short
# episodes would count more than those of long ones, and how long an episode gets depends on what was done in it. So
# the mean over many episodes is not ∇J any more. Measured with 50 000 episodes of the random world:

# %%
lengths = episodes.alive.sum(axis=1, keepdims=True)
cosines_of_sum_and_mean = {}
for name, c in {"sum": 1.0, "mean over T": 1 / lengths}.items():
    each = tables.episode_gradients(episodes, c * gamma_t * returns, theta, grad_log_softmax)
    batches = torch.from_numpy(each.reshape(5, -1, 12).mean(axis=1))
    cosine = torch.cosine_similarity(batches, gradient.flatten()[None], dim=1).numpy()
    cosines_of_sum_and_mean[name] = cosine
    print(f"{name:12} cosine with ∇J in five batches of 10 000: {cosine.round(3)}")

# %% [markdown]
# With (10.22) it is the same: it divides by the batch's number of steps, so a batch of long episodes counts less than
# it should. The agents of experiment 3 do so, as practice does, and accept it for steps that do not grow with the
# length of the episodes.

# %% [markdown]
# ## Experiment 1: your loop in the corridor
#
# Five runs of 200 episodes from $p = 0.05$, plain gradient steps with α = $2^{-10}$, γ = 1. The policy is a table
# with a single row, made of your softmax. In the background, what no learner can beat.


# %%
# about 6 s
def corridor_run(seed, learn=reinforce):
    env = tables.TableWorld(corridor, blind=True)
    env.reset(seed=seed)
    policy = tables.TablePolicy([[np.log(19.0), 0.0]], softmax_policy)
    optimizer = torch.optim.SGD(policy.parameters(), lr=2**-10)
    totals = learn(env, policy, optimizer, 200, 1.0, np.random.default_rng(seed))
    return totals, float(softmax_policy(policy.logits.detach())[0, tables.RIGHT])


with one_thread():
    runs_in_corridor = [corridor_run(seed) for seed in seeds(range(5))]
    courses_runs = [corridor_run(seed, methods.reinforce) for seed in seeds(range(5, 8))]
print("learned with " + authorship("reinforce", "softmax_policy"))
print("p(right) at the end:", [round(p, 2) for _, p in runs_in_corridor], f"(best {p_star:.3f})")

# %% tags=["hide-input"]
label = f"{whose('reinforce')} REINFORCE"
in_corridor = {label: runs_in_corridor, "the course's, other seeds": courses_runs}
in_corridor = {name: np.stack([totals for totals, _ in runs]) for name, runs in in_corridor.items()}
ax = plots.curves(in_corridor, smooth=20, xlabel="episode", ylabel="return of the episode")
ax.set_ylim(top=15)
ax.axhline(corridor_value(p_star), color=plots.INK, linewidth=1, linestyle=":")
ax.axhline(corridor_value(0.95), color=plots.PALETTE["vermilion"], linewidth=1, linestyle="--")
ax.annotate("best coin, −11.66", (200, -9), ha="right", va="bottom")
ax.annotate("ε-greedy right, −44", (200, -54), ha="right", va="bottom")
ax.legend(loc="lower right")
plots.show(ax, alt="Returns of REINFORCE in the corridor rise from about minus 80 to about minus 12 within 100 "
           "episodes, far above the better ε-greedy policy, to the line of the best coin.")  # fmt: skip

# %% [markdown]
# All runs leave both ε-greedy policies behind. They do not settle at 0.586: the hill is flat at its top, and the
# noise of single episodes goes on pushing. A smaller step size would wander less, and climb more slowly.

# %% [markdown]
# ### And without a gradient?
#
# The return is a number that depends on θ, and one may look for the best θ without asking how: move θ at random and
# keep what was better (hill climbing), or move along the random directions weighed with their returns (evolution
# strategies: Rechenberg 1973, Salimans et al. 2017). Such a search asks nothing of the policy, not even that it is
# smooth. What does it pay? It gets *one* number from an episode, where (10.21) gives every step's score its own. Here
# both spend 2000 episodes on an estimate of ∇J, in worlds with more and more parameters. Printed is the cosine with
# the true one:


# %%
# about 2 s
def direction_without_gradient(mdp, x, rng, pairs=500):
    """The mean of ε (J(x + ε) − J(x − ε)) / 2 over random directions ε, each J from two episodes."""

    def played(x):
        return tables.rewards_to_come(tables.sample_episodes(mdp, x, 2, rng), 0.9)[:, 0].mean()

    directions = torch.from_numpy(rng.normal(size=(pairs, *x.shape)))
    slopes = torch.tensor([(played(x + eps) - played(x - eps)) / 2 for eps in directions])
    return (slopes[:, None, None] * directions).mean(dim=0)


def cosines_of_both(n_states, rng):
    """Of REINFORCE's direction and of the random search's with ∇J, from 2000 episodes each."""
    mdp = tables.random_mdp(n_states, 3, rng, go_on=0.8)
    x = torch.from_numpy(rng.normal(size=(n_states, 3)))
    played = tables.sample_episodes(mdp, x, 2000, rng)
    come = tables.rewards_to_come(played, 0.9)
    weight = 0.9 ** np.arange(come.shape[1]) * come
    scored = tables.episode_gradients(played, weight, x, grad_log_softmax).mean(axis=0)
    exact = exact_policy_gradient(*mdp, x, 0.9).flatten()
    both = torch.from_numpy(scored), direction_without_gradient(mdp, x, rng)
    return [float(torch.cosine_similarity(g.flatten(), exact, dim=0)) for g in both]


for n_states in (2, 8, 32):
    scored, searched = cosines_of_both(n_states, np.random.default_rng(0))
    print(f"{3 * n_states:3} parameters: {scored:.2f} by scores, {searched:.2f} by random search")
print("by " + authorship("grad_log_softmax", "exact_policy_gradient"))

# %% [markdown]
# With a handful of parameters the search is nearly as good. With a hundred it goes nearly at right angles to ∇J: most random
# directions do. Policies with a network have thousands.

# %% [markdown]
# ## Experiment 2: what the $\gamma^t$ costs
#
# Twenty steps to walk, and only the last action matters: action 1 pays 1. γ = 0.9, so with $\gamma^t$ the step that
# counts has the weight $0.9^{19} = 0.135$.


# %%
# about 5 s
late = tables.chain(20, [0.0] * 19 + [1.0])


def late_run(keep_gamma_t, seed):
    env = tables.TableWorld(late)
    policy = tables.TablePolicy(torch.zeros(20, 2), softmax_policy)
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.5)
    return reinforce(env, policy, optimizer, 100, 0.9, np.random.default_rng(seed), keep_gamma_t)


kept = {"γᵗ dropped": False, "γᵗ kept": True}
with one_thread():
    learned = {
        name: np.stack([late_run(keep, seed) for seed in seeds(range(5))])
        for name, keep in kept.items()
    }
for name, totals in learned.items():
    print(f"{name:11} share with the reward, first 60 episodes: {totals[:, :60].mean():.2f}")
print("learned with " + authorship("reinforce", "softmax_policy"))

# %% tags=["hide-input"]
ax = plots.curves(learned, smooth=20, xlabel="episode", ylabel="share of episodes with the reward")
plots.show(ax, alt="Without the factor the reward is found nearly always after 50 episodes; with it "
           "learning takes several times longer.")  # fmt: skip

# %% [markdown]
# Here the direction is the same for both (only one state matters); its *length* is not. That is the bargain of
# practice: a biased direction, for the sake of late steps.

# %% [markdown]
# ## Experiment 3: a network on CartPole
#
# Now the table becomes a network with two layers of 64, and the world a pole to balance: 1 for each step, 500 at
# most. Two episodes a step, Adam, γ = 0.99, no $\gamma^t$. Your losses train both agents, on 20 000 steps each,
# with three seeds. (The agents divide the loss by the root mean square of what weighs the scores: one positive
# factor for all of a batch.)


# %%
# about 9 s
def learning_curve(history, grid):
    """The mean return of the last 20 episodes, at the steps of `grid`."""
    finished = np.searchsorted(history.episode_steps, grid, side="right")
    return [np.mean(history.episode_returns[max(k - 20, 0) : k]) for k in finished]


def cartpole_runs(kind, which=range(3), steps=20_000, episodes=2):
    """Agents of a kind, trained by a loss, and their learning curves (seeds, len(grid))."""
    mine = (
        {"reinforce_loss": reinforce_loss}
        if kind is Reinforce
        else {"baseline_loss": baseline_loss}
    )
    agents, runs = [], []
    for seed in seeds(which):
        agents.append(kind.for_env("CartPole-v1", seed=seed, episodes=episodes, **mine))
        history = train_on_policy(agents[-1], "CartPole-v1", steps, seed)
        runs.append(learning_curve(history, grid))
    return agents, np.array(runs)


grid = np.arange(500, 20_001, 500)
_, plain = cartpole_runs(Reinforce)

# %%
# about 12 s
agents, with_baseline = cartpole_runs(ReinforceBaseline)


# %%
class Random:
    """The policy that never learns."""

    def act(self, obs, rng, explore=True):
        return rng.integers(2, size=len(obs))


never = evaluate(Random(), "CartPole-v1", episodes=100, seed=0).mean()
print("learned with " + authorship("reinforce_loss", "baseline_loss"))
for name, runs in {"with baseline": with_baseline, "without": plain}.items():
    last, spread_of_last = runs[:, -1].mean(), runs[:, -1].std()
    print(
        f"{name:14} last 20 episodes: {last:4.0f} ± {spread_of_last:3.0f}; "
        f"whole run: {runs.mean():4.0f}"
    )
print(f"random policy  {never:.0f}")

# %% tags=["hide-input"]
ax = plots.curves({f"with a baseline, {whose('baseline_loss')} losses": with_baseline,
                   f"without, {whose('reinforce_loss')} loss": plain}, x=grid,
                  xlabel="steps in the world", ylabel="return, last 20 episodes")  # fmt: skip
ax.axhline(never, color=plots.INK, linewidth=1, linestyle=":")
ax.annotate("random policy", (20_000, never + 4), ha="right", va="bottom")
plots.show(ax, alt="Learning curves on CartPole: both agents rise from 20; the one with a baseline is ahead "
           "from early on and ends clearly higher.")  # fmt: skip

# %% [markdown]
# The same network, the same number of steps, the same returns; only a number is subtracted that leaves the mean as
# it is. These agents *draw* their actions while they learn. For a film, take the likeliest action each time:

# %%
scores = [evaluate(agent, "CartPole-v1", episodes=20, seed=1).mean() for agent in agents]
best = int(np.argmax(scores))
with tempfile.TemporaryDirectory() as folder:
    film = f"{folder}/cartpole.gif"
    total = videos.record_episode(agents[best], "CartPole-v1", film, seed=3, max_frames=100)
    videos.show_gif(
        film, alt="The trained agent keeps the pole upright while the cart moves only a little."
    )
print(
    "greedy returns of the three agents:",
    np.round(scores).astype(int),
    f"· the film's episode: {total:.0f}",
)

# %% [markdown]
# ## Change one thing: episodes a step
#
# Set `episodes` to 1: a step after every single episode, twice as many steps from the same data, but noisier ones.
# Nothing else changes. **What to look for:** which of the two agents bears the noise. Then try 4 and 8.

# %% [markdown]
# ### Talk to your neighbour
# With one episode a step,
#
# **A** both agents learn faster · **B** both learn more slowly · **C** one of them stops learning for good
#
# <details><summary>What the next cell will show</summary>
#
# C. Which one, and why for good? Look at the returns that it ends with: could it do worse?
# </details>

# %%
# about 12 s
episodes = 1
curves = {"with, 2 a step": with_baseline, "without, 2 a step": plain}
for name, kind in {"with": ReinforceBaseline, "without": Reinforce}.items():
    label = f"{name}, {episodes} a step"
    _, curves[label] = cartpole_runs(kind, steps=10_000, episodes=episodes)
    print(f"{name} a baseline: at the end of the run", curves[label][:, 19].round().astype(int))
print("learned with " + authorship("reinforce_loss", "baseline_loss"))

# %% tags=["hide-input"]
ax = plots.curves({label: runs[:, :20] for label, runs in curves.items()}, x=grid[:20],
                  xlabel="steps in the world", ylabel="return, last 20 episodes")  # fmt: skip
plots.show(ax, alt="With one episode a step the agent with baseline learns as well as before, while the one "
           "without collapses to returns of 10.")  # fmt: skip

# %% [markdown]
# The agent with a baseline bears it well (its learning rate falls to zero by the end of *its* run, 10 000 steps).
# The one without *collapses*: the pole falls after ten steps, the worst there is, and stays there. All returns in
# CartPole are positive. So whatever is done is pushed up, good or bad; in a few steps a chance preference feeds
# itself, until the policy is certain of one action. A certain policy draws nothing else any more, and so sees
# nothing that it could learn from. (10.23) says that the mean is right. It does not say that we survive the
# variance.

# %% [markdown]
# ## The silent bug
#
# A colleague has written the update of REINFORCE with a baseline anew. It runs, the losses are finite, the returns
# rise. Only: they do not rise as far as they should. Read it, run it, and look at the numbers that it prints.
# **What is wrong?**


# %%
# about 5 s
class Colleague(ReinforceBaseline):
    def update(self, rollout, rng):
        rows = flat_rows(rollout)  # the steps of two episodes, one after the other
        self.returns = torch.from_numpy(returns_to_go(rows.reward.numpy(), self.gamma)).float()
        self.ends = rows.terminated + rows.truncated > 0
        value, log_prob = self.v_net(rows.obs), log_prob_of(self.policy(rows.obs), rows.action)
        policy_loss, value_loss = self.baseline_loss(log_prob, self.returns, value)
        spread = root_mean_square(self.returns - value.detach())
        descend(self.optimizer, policy_loss / spread)
        descend(self.v_optimizer, value_loss)
        return {"policy loss": policy_loss.detach(), "value loss": value_loss.detach()}


suspects, odd = cartpole_runs(Colleague)
print("learned with " + authorship("baseline_loss"))
for seed, agent in enumerate(suspects):
    last = agent.returns[agent.ends].numpy().round(1)
    print(f"seed {seed}: G at the last step of each of its last two episodes: {last}")

# %% tags=["hide-input"]
ax = plots.curves({"the course's update": with_baseline, "the colleague's": odd}, x=grid,
                  xlabel="steps in the world", ylabel="return, last 20 episodes")  # fmt: skip
plots.show(ax, alt="The colleague's agents rise slowly and end far below the course's.")

# %% [markdown]
# <details><summary>Where should I look?</summary>
#
# At the printed numbers. The reward is 1 a step. What is the return of the *last* step of an episode?
# </details>
# <details><summary>What is it?</summary>
#
# It must be 1. Only that of the second episode is. The returns run on across the ends of the episodes, into the
# next one: letting the pole fall costs nothing, because the next episode's rewards are credited to the fall. Only
# the second of the two episodes tells the truth, and the agent learns a little from that. The repair is to cut the
# rewards at every end before summing (`episode_returns` in the agent's module does it). Lesson 11 meets the same
# trap again, in the recursion for advantages.
# </details>

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** Could we learn from the episodes of an older policy, as DQN does from its replay?
#
# <details><summary>Answer</summary>
#
# Not with (10.21): its mean is over the actions of the *present* policy, and over its returns. Each episode is used
# once, which is why policy gradients need so many. Lesson 12 says how far one may go with old data, and what it
# costs: the ratio $\pi_\theta/\pi_{\text{old}}$.
# </details>
#
# **2.** REINFORCE in the corridor has one pair of preferences for three cells. Is the theorem still true? We proved
# it for $V^\pi(s)$ of real states.
#
# <details><summary>Answer</summary>
#
# Yes. Nowhere did we use that the states have parameters of their own, or that the agent can tell them apart:
# $\nabla\pi_\theta(a|s)$ is by whatever θ there is. The corridor is an MDP; only the *policy class* is poor.
# Q-learning has no such luck: two numbers, one for right and one for left, cannot satisfy the Bellman optimality
# equations of three cells, and no arg max of them is a coin.
# </details>

# %% [markdown]
# ## Summary
#
# - **Change what is parametrised**: a softmax policy is smooth in θ and can mix. Its score is
#   $\nabla_h\log\pi(a|s) = e_a - \pi(\cdot|s)$.
# - **The likelihood ratio** $\nabla\pi = \pi\,\nabla\log\pi$ turns the gradient of a mean into a mean of what one
#   sees: no derivative of the reward, none of the world.
# - **The theorem**: $\nabla V^\pi$ obeys a Bellman equation of its own. For a table its solution is visits × probability
#   × advantage, (10.17).
# - **REINFORCE** puts the return in the place of $Q^\pi$ and *adds up* an episode's steps. It is unbiased and noisy. Any
#   baseline that does not look at the action is free, and $V^\pi$ is nearly the best one.
# - **$\gamma^t$** belongs to ∇J. Practice drops it, for the sake of late steps, and follows a direction that is no
#   gradient, near to ∇J if γ is near 1.

# %% [markdown]
# ## Where this went
#
# What later work changes in the equation at the end of this lesson:
#
# - **Natural policy gradient** (Kakade 2001): the direction. $F(\theta)^{-1}\nabla J(\theta)$ stands for
#   $\nabla J(\theta)$, with
#   $F(\theta) = \mathbb E_{\pi_\theta}[\nabla\log\pi_\theta(a|s)\,\nabla\log\pi_\theta(a|s)^\top]$. To first
#   order a step then moves the *policy* by the same, however it is written in θ. Lesson 12's trust region is its heir.
# - **Where does ascent end?** (Agarwal, Kakade, Lee & Mahajan 2021): they change nothing and follow the exact gradient
#   (10.17). $J$ is not concave, and yet a softmax table gets to the best policy, if episodes may begin in any state
#   and the step is small enough. The natural gradient gets near it in a number of steps that does not grow with the
#   number of states.
# - **How fast?** (Mei, Xiao, Szepesvári & Schuurmans 2020): what is missing to $V^*$ falls like $1/t$ along (10.17). With
#   an entropy bonus in every reward of $G_t$, what is missing to the best of *that* objective falls exponentially:
#   Part IV of this course.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>How the originals write it, and where they differ</summary>
#
# - R. S. Sutton & A. G. Barto, *Reinforcement Learning: An Introduction*, 2nd edition, chapter 13. Their $R_{t+1}$ is
#   our $r_t$. Their theorem (13.5) is up to a constant factor, because its weights of the states sum to 1; (10.15) has
#   visits, and an equals sign. Their box of REINFORCE takes a step of its own for every $t$: the later scores are then
#   those of weights that did not choose those actions. One step from the weights that acted, (10.29), is exactly
#   (10.21).
# - L. Brigato, *Advanced Reinforcement Learning*, slides of a winter school, Bern 2024. The stationary distribution is
#   called d there and $\bar\eta^\pi$ here. One formula stands for three objectives; (10.15) and (10.18) say
#   which states it averages over in each.
# - The lecture notes on Stein's identity and soft policy iteration. Their φ is our θ, and their θ our ψ; algorithm 1 is
#   (10.26), one step for every $t$, with $\gamma^t$ in the policy's half.
# </details>

# %% [markdown]
# ## What we hand on
#
# An exact gradient, sampled, with a baseline in it:
#
# $$\nabla J(\theta) = \mathbb E_{\pi_\theta}\Big[\sum_t\gamma^t\,\big(G_t - V_\psi(s_t)\big)\,\nabla\log\pi_\theta(a_t|s_t)\Big]$$
#
# What is still too expensive? $G_t$: it needs the end of the episode, and carries the noise of every step until
# there. Lesson 04 knew a way: replace what comes later by what we expect of it. Lesson 11 puts
# $r_t + \gamma V_\psi(s_{t+1})$ in the place of $G_t$. The baseline then becomes a **critic**.
