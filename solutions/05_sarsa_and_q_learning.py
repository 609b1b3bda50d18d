# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · SARSA and Q-learning
#
# Part I · 00 → 01 → 02 → 03 → 04 → **05** → Part II
#
# - **You will be able to** learn to act without knowing the world: derive SARSA, expected SARSA and
#   Q-learning from one Bellman equation, say which expectation each of them samples, and explain why
#   a maximum of noisy estimates is too high and what two tables do about it.
# - **Builds on** lesson 02 (the Bellman equation), 03 (acting greedily), 04 (temporal differences).
# - **Time** 120 minutes alone, 70 as a lecture.
# - **Sources** Sutton & Barto, 2nd edition, §2.2, §2.6, §5.4, §6.4–6.7; Watkins & Dayan 1992 (Q-learning converges);
#   Singh et al. 2000 (SARSA converges); Clark 1961 (the larger of two normal numbers); van Hasselt 2010 (double
#   Q-learning); the CS 224R tutorial slides on Q-learning; a Chinese pseudocode collection of twelve algorithms.

# %%
from dataclasses import replace

import numpy as np

from rlcourse.checker import authorship, check, whose
from rlcourse.lab import plots
from rlcourse.tabular import control, dynamic_programming, gridworlds, mdp
from rlcourse.tabular.envs import TabularEnv
from rlcourse.tabular.figures import (
    cliff_experiment,
    greedy_path,
    maximisation_bias,
    two_optima,
)

# %% [markdown]
# ## What we inherit
#
# Lesson 04 learned the values of a policy from experience alone. After each step from $s$ to $s'$ with
# reward $r$ it moved the table towards a one-step target:
#
# $$v(s) \leftarrow v(s) + \alpha\,\big[\,r + \gamma\,(1-d)\,v(s') - v(s)\,\big] \tag{5.1}$$
#
# where $d = 1$ if $s'$ is terminal. That tells us how good a policy *is*. It does not yet tell us what
# to *do*: acting greedily on $v$ means comparing $r(s,a) + \gamma\sum_{s'} p(s'|s,a)\,v(s')$ over the
# actions, and we do not know $p$.
#
# The way out is to learn the quantity that already contains the model: a table $q(s,a)$. Being greedy on $q$ is
# looking along one row. And the maximum over actions, with which lesson 03 ended and which lesson 04 had to leave
# aside, comes back.

# %% [markdown]
# ## Guess first
#
# Here is a world of 4 × 12 cells. From `S` you want to get to `G`. Each step costs 1. Stepping into a
# cliff cell `C` costs 100 and puts you back at `S`.

# %%
cliff = gridworlds.cliff_walk()
print(cliff.text())

# %% [markdown]
# Two agents learn here. Both explore: one step in ten is random. One of them will walk along the very
# edge of the cliff, the other will take a detour. **Which one collects more reward *while it learns*?**
#
# **A** the one on the edge · **B** the one with the detour · **C** both the same, in the end
#
# <details><summary>I have guessed. What happens?</summary>
#
# B. The one on the edge has found the shortest path, and is the *worse* one while it explores: every now
# and then a random step sends it over the edge. You will see both paths, and both curves, at the end of
# this lesson, made by your own two loops.
# </details>

# %% [markdown]
# ## The Bellman equation for $Q^\pi$, sampled
#
# Lesson 02 gave, for every policy π,
#
# $$Q^\pi(s,a) = \mathbb E_{s'\sim p(\cdot|s,a)}\Big[\,r + \gamma\,(1-d)\,\mathbb E_{a'\sim\pi(\cdot|s')}\big[Q^\pi(s',a')\big]\Big] \tag{5.2}$$
#
# There are two expectations. The **outer** one is over what the world does. We cannot compute it, but
# every step in the world is a sample of it. Leave it out, and what stays in the bracket is a random
# number, a **target**, whose mean is exactly right:
#
# $$y = r + \gamma\,(1-d)\,\mathbb E_{a'\sim\pi(\cdot|s')}\big[Q^\pi(s',a')\big],\qquad
# \mathbb E[\,y\mid s,a\,] = Q^\pi(s,a) \tag{5.3}$$

# %% [markdown]
# Is it? Take a random MDP, solve (5.2) exactly, draw many steps from one state and action, and average
# the targets. The difference should be a few standard errors at most.

# %%
rng = np.random.default_rng(0)
world = mdp.garnet(n_states=6, n_actions=3, branching=3, rng=rng)
pi = rng.dirichlet(np.ones(3), size=6)
v_pi = dynamic_programming.solve_bellman(world.P, world.R, pi, world.gamma)
q_pi = dynamic_programming.q_from_v(v_pi, world.P, world.R, world.gamma)

s_next = rng.choice(6, size=20_000, p=world.P[2, 1])
targets = world.R[2, 1] + world.gamma * (pi[s_next] * q_pi[s_next]).sum(axis=1)
error, standard_error = targets.mean() - q_pi[2, 1], targets.std() / np.sqrt(len(targets))
print(f"Q(2, 1) = {q_pi[2, 1]:.4f}, mean target = {targets.mean():.4f} ± {standard_error:.4f}")
assert abs(error) < 4 * standard_error

# %% [markdown]
# There is a catch: (5.3) has the true $Q^\pi$ inside, which is what we are looking for. All that we have is our table.
# So we put $q$ in its place, which is called **bootstrapping**: an estimate is made out of an estimate. Then the mean
# of the target is no longer exact. It is one Bellman backup of the table, and that, says lesson 02, is nearer to
# the truth than the table was: its largest error is at most γ times as large.

# %%
q = q_pi + rng.normal(size=q_pi.shape)  # a table with errors
backup = dynamic_programming.q_from_v((pi * q).sum(axis=1), world.P, world.R, world.gamma)
targets = world.R[2, 1] + world.gamma * (pi[s_next] * q[s_next]).sum(axis=1)
standard_error = targets.std() / np.sqrt(len(targets))
print(f"Q(2, 1) = {q_pi[2, 1]:.3f}; in the table {q[2, 1]:.3f}; mean target {targets.mean():.3f}")
print(
    f"largest error: table {np.abs(q - q_pi).max():.3f}, backup {np.abs(backup - q_pi).max():.3f}"
)
assert abs(targets.mean() - backup[2, 1]) < 4 * standard_error
assert np.abs(backup - q_pi).max() <= world.gamma * np.abs(q - q_pi).max()

# %% [markdown]
# So the update has the same form as (5.1), with $q$ for $v$: move towards the target by a step size α.
#
# $$q(s,a) \leftarrow q(s,a) + \alpha\,\big[\,y - q(s,a)\,\big] \tag{5.4}$$
#
# The table may start with any numbers, if those of terminal states are 0: nothing comes after them, and $(1-d)$ sees
# to it that nobody asks. We start with zeros everywhere. (Is that neutral? We come back to it.)
#
# What is left to decide is the **inner** expectation, over the next action. There are three ways to deal
# with it, and each of them is a famous algorithm. But first: where do the actions come from?

# %% [markdown]
# ## Acting while learning: ε-greedy
#
# Whoever only takes the best action so far never finds out that another one is better. So with a small
# probability ε the action is drawn from *all* actions alike:
#
# $$\pi(a|s) = \frac{\varepsilon}{A} + (1-\varepsilon)\,\mathbb 1\big[a = \arg\max_b q(s,b)\big] \tag{5.5}$$
#
# Note what (5.5) says about the greedy action: it is drawn when we exploit *and*, now and then, when we
# explore.

# %% [markdown] task="epsilon_greedy"
# ### Exercise 5.1 · `epsilon_greedy`
# **Points** 1 · **Difficulty** ●○○ · **Time** 8 min
#
# Draw an action by equation (5.5) for one state, whose row of the table is `q_row`.
#
# - All randomness comes from `rng` (`rng.random()`, `rng.integers(n)`, …). Which draws you make, and in
#   which order, is up to you: your function is judged by how often it chooses what.
# - Where several actions are best, the first one counts as the greedy one.


# %% exercise="epsilon_greedy" points=1
def epsilon_greedy(q_row, epsilon, rng):
    """An action drawn by (5.5).

    q_row: (A,) values of the actions; epsilon: in [0, 1]; rng: a numpy.random.Generator.
    Returns an index from 0 to A - 1.
    """
    ### BEGIN SOLUTION
    if rng.random() < epsilon:
        return int(rng.integers(len(q_row)))  # explore: every action, the best one too
    return int(np.argmax(q_row))  # exploit
    ### END SOLUTION


# %% [markdown] hints="epsilon_greedy"
# <details><summary>How do I do something with probability ε?</summary>
#
# A number drawn evenly from [0, 1) is below ε with probability ε. Flip that coin first, then decide.
# </details>
# <details><summary>Which function draws an action, and which finds the best?</summary>
#
# The generator can draw whole numbers below a bound. NumPy can tell you the position of the largest
# entry, and on ties it gives the first.
# </details>
# <details><summary>My greedy action comes up too seldom.</summary>
#
# Work out by hand how often it should come up for two actions and ε = 1. If yours never does, look at what
# your exploring branch draws from.
# </details>

# %% check="epsilon_greedy"
epsilon_greedy = check("epsilon_greedy")

# %% [markdown]
# ## First way: sample the next action too. SARSA
#
# Nothing stops us from sampling the inner expectation as well: draw one action $a'$ from $\pi(\cdot|s')$, and let its
# value stand for the mean.
#
# $$y = r + \gamma\,(1-d)\,q(s',a') \tag{5.6}$$
#
# An update then uses $s, a, r, s', a'$, and that spells the name. SARSA is **on-policy**: it learns the
# values of the policy that acts, exploration included.
#
# ## Second way: compute the inner expectation. Expected SARSA
#
# We know π: it is ours. So there is no need to sample it.
#
# $$y = r + \gamma\,(1-d)\sum_{a'}\pi(a'|s')\,q(s',a') \tag{5.7}$$
#
# The mean over $a'$ of (5.6) is (5.7), so both have the same mean; what has gone is the noise of the
# drawn action.
#
# From here on we write targets for a whole *batch* of $B$ transitions at once. Row $i$ of every array
# belongs to transition $i$, and to no other.

# %% [markdown] task="sarsa_targets"
# ### Exercise 5.2 · `sarsa_targets`
# **Points** 2 · **Difficulty** ●○○ · **Time** 12 min
#
# Compute (5.6) and (5.7) for the same batch.
#
# - `q_next[i]` is the row $q(s'_i,\cdot)$; where the episode terminated it holds arbitrary numbers.
# - `action_next[i]` is the action drawn in $s'_i$; `pi_next[i]` is the row $\pi(\cdot|s'_i)$, whatever policy that is.
# - `terminated` may come as bool, as int or as float. It acts on both targets alike.
# - Return the sampled target, then the expected one.


# %% exercise="sarsa_targets" points=2
def sarsa_targets(reward, q_next, action_next, pi_next, terminated, gamma):
    """The targets of SARSA (5.6) and of expected SARSA (5.7).

    reward, terminated: (B,); q_next, pi_next: (B, A); action_next: (B,) int; gamma: in [0, 1].
    Returns (sampled, expected), (B,) each.
    """
    ### BEGIN SOLUTION
    discount = gamma * (1.0 - np.asarray(terminated, dtype=float))  # 0 where nothing follows
    value_of_drawn = q_next[np.arange(len(q_next)), action_next]  # q(s', a'), row by row
    mean_value = (pi_next * q_next).sum(axis=1)
    return reward + discount * value_of_drawn, reward + discount * mean_value  # (5.6), (5.7)
    ### END SOLUTION


# %% [markdown] hints="sarsa_targets"
# <details><summary>How do I pick another column in every row?</summary>
#
# NumPy takes a pair of index arrays: one says which rows, the other which column in each of them. If you
# index with a colon and the actions, you get every column for every row.
# </details>
# <details><summary>What is an expectation, in a table? And along which axis?</summary>
#
# A sum of values, each times its probability. Rows are transitions, columns are actions, and the sum in (5.7) runs
# over actions. The probabilities of a row sum to 1, so it is a mean already: dividing again would make it too small.
# </details>
# <details><summary>What does <code>terminated</code> have to do? NumPy complains about a minus sign.</summary>
#
# It switches the future off: look at what $(1-d)$ multiplies in (5.6), and what not. NumPy refuses to subtract
# booleans, so turn them into floats first.
# </details>

# %% check="sarsa_targets"
sarsa_targets = check("sarsa_targets")

# %% [markdown]
# Same mean, less noise: measured in state 2, action 1 of the random MDP, with your two targets.

# %%
n = len(s_next)
reward, zeros = np.full(n, world.R[2, 1]), np.zeros(n)
a_next = (rng.random((n, 1)) > pi[s_next].cumsum(axis=1)).sum(axis=1)
sampled, expected = sarsa_targets(reward, q_pi[s_next], a_next, pi[s_next], zeros, world.gamma)
for name, y in {"SARSA": sampled, "expected SARSA": expected}.items():
    print(f"{name:15} mean {y.mean():.3f}, standard deviation {y.std():.3f}")
assert abs(sampled.mean() - expected.mean()) < 4 * sampled.std() / np.sqrt(n)
assert expected.std() < sampled.std()

# %% [markdown]
# ## Third way: ask what the best policy would do. Q-learning
#
# Why learn the values of a policy that stumbles about? Lesson 03 has an equation for the *optimal* values,
# and the only change is in the inner expectation: the best policy takes the best action.
#
# $$Q^*(s,a) = \mathbb E_{s'}\Big[\,r + \gamma\,(1-d)\max_{a'}Q^*(s',a')\Big]
# \quad\Rightarrow\quad y = r + \gamma\,(1-d)\max_{a'}q(s',a') \tag{5.8}$$
#
# The target no longer depends on how we act. Q-learning is **off-policy**: it may explore as wildly as it
# likes and still learns what the greedy policy is worth.
#
# Read (5.8) beside (5.7): with π greedy, the expectation *is* the maximum.

# %% [markdown] task="q_learning_target"
# ### Exercise 5.3 · `q_learning_target`
# **Points** 1 · **Difficulty** ●○○ · **Time** 8 min
#
# Compute (5.8) for a batch. Values may all be negative (they are, on the cliff).


# %% exercise="q_learning_target" points=1
def q_learning_target(reward, q_next, terminated, gamma):
    """The Q-learning target (5.8).

    reward, terminated: (B,); q_next: (B, A), anything where terminated; gamma: in [0, 1].
    Returns (B,).
    """
    ### BEGIN SOLUTION
    alive = 1.0 - np.asarray(terminated, dtype=float)
    return reward + gamma * alive * q_next.max(axis=1)  # (5.8)
    ### END SOLUTION


# %% [markdown] hints="q_learning_target"
# <details><summary>What do I need of each row of <code>q_next</code>?</summary>
#
# One number: how much the best action there is worth. Not which action it is.
# </details>
# <details><summary>How do I get one number a row?</summary>
#
# NumPy's maximum takes an axis. Print the shape of what you get: it should be (B,).
# </details>
# <details><summary>What about the rows that terminated?</summary>
#
# Nothing comes after a terminal state, so its future is worth 0, whatever numbers stand in its row. The
# reward of the step into it is real, though. Look at what $(1-d)$ multiplies in (5.8).
# </details>

# %% check="q_learning_target"
q_learning_target = check("q_learning_target")

# %% [markdown]
# Expected SARSA under the greedy policy is Q-learning, to the last digit, and so is SARSA:

# %%
q_next, d = rng.normal(size=(5, 4)), np.array([0, 0, 1, 0, 1])
greedy = dynamic_programming.greedy_policy(q_next)
both = np.array(sarsa_targets(np.ones(5), q_next, greedy.argmax(axis=1), greedy, d, 0.9))
difference = np.abs(both - q_learning_target(np.ones(5), q_next, d, 0.9)).max()
print(f"largest difference: {difference:.1e}")
assert difference < 1e-12

# %% [markdown]
# Drawn as in lesson 04, with an open circle for a state and a full one for an action: what each target asks of the
# table.

# %% tags=["hide-input"]
looks = {"SARSA": (1, 1), "expected SARSA": (1, 3), "Q-learning": (1, 3)}
ax = plots.backup_diagrams(looks, root="action", maximum=("Q-learning",))
plots.show(ax, alt="Three backup diagrams from a state-action pair to a next state: SARSA then follows one action, "
           "expected SARSA all three, Q-learning all three under the arc of a maximum.")  # fmt: skip

# %% [markdown]
# ### Talk to your neighbour
#
# A colleague gives you a log of transitions $(s,a,r,s',d)$ that her own agent has made. **With which targets can you
# learn from it?**
#
# **A** (5.8) only · **B** (5.7) and (5.8) · **C** all three
#
# <details><summary>Answer</summary>
#
# B. (5.8) asks for nothing but $s'$. (5.7) does not either, if you say for which π. (5.6) needs $a'$ as well: with
# the colleague's $a'$ you would learn *her* values, and the log does not even have it. Part II lives on this
# difference: a replay buffer is such a log.
# </details>

# %% [markdown]
# ## The price of a maximum
#
# The maximum in (5.8) is taken over *estimates*. Suppose all actions are worth the same, μ, and each
# estimate is right on average: $X_a = \mu + \sigma_a\xi_a$ with noise $\xi_a$ of mean 0.
#
# ### Talk to your neighbour
#
# **The mean of $\max_a X_a$ is**
#
# **A** below μ · **B** μ · **C** above μ
#
# <details><summary>Answer</summary>
#
# C. A maximum is a **convex** function: its graph bends upwards, so that every chord lies on or above it. **Jensen's
# inequality** says what that does to a mean: the mean of a convex function is at least the function of the mean.
# </details>

# %% [markdown]
# Jensen's inequality, for the maximum:
#
# $$\mathbb E\big[\max_a X_a\big] \;\ge\; \max_a \mathbb E[X_a] = \mu \tag{5.9}$$
#
# The estimates are unbiased, and their maximum is not. By how much? For two actions you can say it exactly. You
# need two facts: the larger of two numbers is their middle plus half their distance,
#
# $$\max(x,y) = \tfrac12(x+y) + \tfrac12|x-y| \tag{5.10}$$
#
# and the mean of $|\mathcal N(0,\theta^2)|$, the mean distance of a normal number from 0, is $\theta\sqrt{2/\pi}$.

# %% [markdown] task="expected_max"
# ### Exercise 5.4 · `expected_max`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min · ✎ on paper
#
# Two actions are worth the same, μ (`mean`), but one has been tried more often than the other. So their estimates
# differ in spread: $X_1\sim\mathcal N(\mu,\sigma_1^2)$ and $X_2\sim\mathcal N(\mu,\sigma_2^2)$ are independent, with
# standard deviations $\sigma_1,\sigma_2\ge0$. Derive $\mathbb E[\max(X_1,X_2)]$ on paper, from (5.10), and write the
# formula as a function. No simulation: it has to be exact.


# %% exercise="expected_max" points=2
def expected_max(mean, sigma_1, sigma_2):
    """The mean of the larger of two independent estimates of the same value; see (5.10).

    mean: what both are worth; sigma_1, sigma_2: their standard deviations, 0 or more. Returns a float.
    """
    ### BEGIN SOLUTION
    theta = np.sqrt(sigma_1**2 + sigma_2**2)  # X_1 - X_2 ~ N(0, σ₁² + σ₂²)
    return mean + 0.5 * theta * np.sqrt(2 / np.pi)  # the mean of (5.10), term by term
    ### END SOLUTION


# %% [markdown] hints="expected_max"
# <details><summary>Where do I begin?</summary>
#
# Take the mean of (5.10), term by term: the mean of a sum is the sum of the means. The first term is easy. For the
# second you have to know how $X_1 - X_2$ is distributed.
# </details>
# <details><summary>How is a difference of two normal numbers distributed?</summary>
#
# It is normal again, its mean is the difference of the means, and its *variance* follows from those of the two
# parts. Do they add or subtract? Think of two equally noisy estimates: does their difference never vary?
# </details>
# <details><summary>How can I test my formula without running anything?</summary>
#
# Put in extremes. If both deviations are 0, the larger one is just μ. If all numbers are doubled, the result has
# to double. If one action is known exactly and the other is not, there must still be a bias.
# </details>

# %% check="expected_max"
expected_max = check("expected_max")

# %% [markdown]
# Is it true? Here are 200,000 pairs of estimates, for three pairs of spreads, against your formula. Look at the last line:
# one well-known action is enough to be fooled by the other.

# %%
xi = rng.normal(size=(2, 200_000))
for sigma_1, sigma_2 in ((1.0, 1.0), (0.5, 2.0), (0.0, 1.0)):
    larger = np.maximum(3.0 + sigma_1 * xi[0], 3.0 + sigma_2 * xi[1])
    said, standard_error = expected_max(3.0, sigma_1, sigma_2), larger.std() / np.sqrt(xi.shape[1])
    print(
        f"σ = {sigma_1}, {sigma_2}: true value 3, measured {larger.mean():.4f}, formula {said:.4f}"
    )
    assert abs(larger.mean() - said) < 4 * standard_error

# %% [markdown]
# With more actions it gets worse: see the first curve below. The repair is to let *different* noise do the two jobs of a maximum, selecting and evaluating. Take two
# independent sets of estimates, $X^A$ and $X^B$: let A say which action is best, and ask B what it is
# worth. B knows nothing of A's luck, so for actions that are all worth μ
#
# $$\mathbb E\big[X^B_{\arg\max_a X^A_a}\big] = \mu \tag{5.11}$$
#
# (When the actions differ in worth, it can only be too low, never too high: A may pick a wrong one.)

# %%
numbers = [1, 2, 4, 8, 16, 32, 64, 128]
noise, other = rng.normal(size=(2, 20_000, max(numbers)))
bias = np.array([noise[:, :k].max(axis=1).mean() for k in numbers])
picked = [np.take_along_axis(other, noise[:, :k].argmax(1)[:, None], 1).mean() for k in numbers]
assert abs(bias[1] - expected_max(0.0, 1.0, 1.0)) < 0.03
assert np.abs(picked).max() < 0.05

# %% tags=["hide-input"]
ax = plots.curves({"max of one set": bias, "A selects, B evaluates": np.array(picked)}, x=numbers,
                  xlabel="number of actions", ylabel="mean of the estimate (true value 0)")  # fmt: skip
ax.set_xscale("log", base=2)
plots.show(ax, alt="The mean maximum of unbiased estimates rises with the number of actions, from "
           "0 for one to about 2.5 for 128; the double estimate stays at 0.")  # fmt: skip

# %% [markdown]
# The first curve climbs with the number of actions; the second stays at zero. Put this into the target and
# you have **double Q-learning**: two tables, and for the update of A
#
# $$y = r + \gamma\,(1-d)\,q_B\big(s',\ \arg\max_{a'}q_A(s',a')\big) \tag{5.12}$$
#
# A coin says at each step which table is updated; for updating B the letters change places.

# %% [markdown] task="double_q_target"
# ### Exercise 5.5 · `double_q_target`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute (5.12), the target for updating A, for a batch: `qa_next` and `qb_next` hold the two tables' rows at
# $s'$. On ties A selects the first of the best.


# %% exercise="double_q_target" points=2
def double_q_target(reward, qa_next, qb_next, terminated, gamma):
    """The double Q-learning target for table A (5.12): A selects, B evaluates.

    reward, terminated: (B,); qa_next, qb_next: (B, A); gamma: in [0, 1]. Returns (B,).
    """
    ### BEGIN SOLUTION
    alive = 1.0 - np.asarray(terminated, dtype=float)
    best = qa_next.argmax(axis=1)  # A selects
    evaluated = qb_next[np.arange(len(best)), best]  # B evaluates
    return reward + gamma * alive * evaluated  # (5.12)
    ### END SOLUTION


# %% [markdown] hints="double_q_target"
# <details><summary>In which order do I read the formula?</summary>
#
# From the inside out: first an index in every row of one table, then the entry of the *other* table at that
# index.
# </details>
# <details><summary>How do I look up one entry a row?</summary>
#
# As in exercise 5.2, with the selected actions in place of the drawn ones.
# </details>
# <details><summary>Which table is which?</summary>
#
# This is the target for updating A. The table being updated selects; the one that has not seen the same noise
# says what the selected action is worth.
# </details>

# %% check="double_q_target"
double_q_target = check("double_q_target")

# %% [markdown]
# What it does to learning: a world with one decision, from Sutton & Barto (example 6.7). In A, going right ends
# the episode with 0. Going left leads to B, where each of ten actions ends with a reward from
# $\mathcal N(-0.1, 1)$. Left is worth −0.1, so it is always the wrong choice. How often is it taken? The curves are
# made by your targets, over 2000 runs side by side.

# %%
left = maximisation_bias(
    np.random.default_rng(1), q_learning_target=q_learning_target, double_q_target=double_q_target
)
least = 0.1 / 2  # ε-greedy with two actions
print("made by " + authorship("q_learning_target", "double_q_target"))
print(f"highest share of left: Q-learning {left['Q-learning'].max():.0%}, "
      f"double {left['double Q-learning'].max():.0%}; the least possible is {least:.0%}")  # fmt: skip

# %% tags=["hide-input"]
ax = plots.curves({name: 100 * share for name, share in left.items()}, xlabel="episode",
                  ylabel="% of runs that go left")  # fmt: skip
ax.axhline(100 * least, color=plots.INK, linewidth=1, linestyle=":")
ax.set_ylim(0, 100)
plots.show(ax, alt="Share of left actions by episode. Q-learning rises steeply above 50 percent "
           "before it falls slowly; double Q-learning falls towards 5 percent.")  # fmt: skip

# %% [markdown]
# This is figure 6.5 of the book. Q-learning first becomes *convinced* that left is good, since the best of ten
# lucky estimates in B is positive; it needs hundreds of episodes to unlearn that. With two tables the conviction
# never forms. The dotted line is what ε-greedy exploration costs anybody.
#
# The bias does disappear in the end. Why worry? The noise of a table entry shrinks as it is visited again and again.
# A network (Part II) generalises to states that it has hardly seen: there is always fresh noise for the maximum to
# pick, and the target carries the error on to other states.

# %% [markdown]
# ## Break
#
# A good place to stop. You have a rule for acting, four targets, and a formula for the price of a maximum; the next cell
# says whose functions you go on with. Without looking: what is random in each of (5.6), (5.7) and (5.8), given $s, a$?
# What is left is to let the targets learn.

# %%
targets_so_far = ("epsilon_greedy", "sarsa_targets", "q_learning_target", "double_q_target")
print("So far: " + authorship(*targets_so_far, "expected_max"))

# %% [markdown]
# ## The loops
#
# Targets in hand, an algorithm is a loop around (5.4). Two things decide which one it is: what the target asks for,
# and *when* the next action is chosen. In **SARSA** the target needs a next action, so one is chosen before the update:
#
# > reset to $s$; choose $a$ from row $q(s,\cdot)$. *Until the episode ends:*
# >
# > - step with $a$, see $r, s'$
# > - choose $a'$ from row $q(s',\cdot)$
# > - update $q(s,a)$ by (5.4) with target (5.6)
# > - move on
#
# ### Talk to your neighbour
#
# "Move on" is short for something: **which action does the next step take?**
#
# **A** the best one of row $q(s',\cdot)$ · **B** a new choice from row $q(s',\cdot)$ · **C** the $a'$ of the target
#
# The check of the next exercise will tell you which one is SARSA. First agree on one, with a reason.

# %% [markdown] task="sarsa"
# ### Exercise 5.6 · `sarsa`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Write SARSA. `select(q_row, rng)` chooses an action from a row of q.
#
# - Start with a table of zeros, `(env.observation_space.n, env.action_space.n)`. Call `env.reset()` once an episode,
#   without arguments; never step after an end.
# - An episode ends when `terminated` **or** `truncated`. Only `terminated` switches the future off: after a time
#   limit the last update still bootstraps from $s', a'$.
# - You may call your own `sarsa_targets` on a batch of one, or write (5.6) out.


# %% exercise="sarsa" points=3
def sarsa(env, select, episodes, step_size, gamma, rng):
    """SARSA: (5.4) with the target (5.6).

    env: Gymnasium's API, finite; select(q_row, rng) -> int; episodes: how many; step_size: α.
    Returns q (S, A).
    """
    ### BEGIN SOLUTION
    q = np.zeros((env.observation_space.n, env.action_space.n))
    for _ in range(episodes):
        s, _ = env.reset()
        a = select(q[s], rng)
        ended = False
        while not ended:
            s_next, reward, terminated, truncated, _ = env.step(a)
            a_next = select(q[s_next], rng)
            future = 0.0 if terminated else q[s_next, a_next]
            q[s, a] += step_size * (reward + gamma * future - q[s, a])  # (5.4) with (5.6)
            s, a = s_next, a_next
            ended = terminated or truncated
    return q
    ### END SOLUTION


# %% [markdown] hints="sarsa"
# <details><summary>How do I begin?</summary>
#
# Two loops, one in the other: over episodes, and over steps until one of the two flags is set. The first action of
# an episode is chosen before the inner loop.
# </details>
# <details><summary>Where is the next action chosen, and from which row?</summary>
#
# After the step, before the update, from the row of the state you arrived in. For an episode cut off by the clock it is
# chosen as well: the target needs it.
# </details>
# <details><summary>What has to move on at the end of a round?</summary>
#
# Everything that the top of the loop uses. Write down by hand, for two rounds, the state and the action that go into
# `step`, and the state and the action that go into the target. Which numbers should be the same?
# </details>

# %% check="sarsa"
sarsa = check("sarsa")

# %% [markdown]
# C, then: the action in the target is the one that is taken. A would value a policy that does not act. And B? A new
# choice comes from the same probabilities, so its target has the same mean. But then $q(s',a')$ is news about an action
# that nobody has taken. With C, the updates of an episode follow one path $s, a, r, s', a', r', \dots$, and the n-step
# returns and traces of lesson 04 can go along it.
#
# **Q-learning**'s target asks nobody what happens next.
#
# > reset to $s$. *Until the episode ends:*
# >
# > - act by `select`, see $r, s'$
# > - update $q(s,a)$ by (5.4) with target (5.8)
# > - $s \leftarrow s'$

# %% [markdown] task="q_learning"
# ### Exercise 5.7 · `q_learning`
# **Points** 3 · **Difficulty** ●●○ · **Time** 15 min
#
# Write Q-learning, with the same arguments and the same care about the two flags as in 5.6. One call of `select` a
# step, none at the end. The box does not say which table it sees, the one before the update or the one after it:
# decide.


# %% exercise="q_learning" points=3
def q_learning(env, select, episodes, step_size, gamma, rng):
    """Q-learning: (5.4) with the target (5.8). Arguments as in `sarsa`. Returns q (S, A)."""
    ### BEGIN SOLUTION
    q = np.zeros((env.observation_space.n, env.action_space.n))
    for _ in range(episodes):
        s, _ = env.reset()
        ended = False
        while not ended:
            a = select(q[s], rng)
            s_next, reward, terminated, truncated, _ = env.step(a)
            future = 0.0 if terminated else q[s_next].max()
            q[s, a] += step_size * (reward + gamma * future - q[s, a])  # (5.4) with (5.8)
            s = s_next
            ended = terminated or truncated
    return q
    ### END SOLUTION


# %% [markdown] hints="q_learning"
# <details><summary>What is different from SARSA?</summary>
#
# The target: it needs no next action. Then ask yourself where the call of `select` belongs, now that nothing in the
# update waits for it.
# </details>
# <details><summary>Who explores, if the target is greedy?</summary>
#
# `select` does. The target talks about the best action, the behaviour is somebody else's business: that is what
# off-policy means.
# </details>
# <details><summary>What about the flags?</summary>
#
# As in 5.6: either one ends the loop, only one of them switches the future off.
# </details>

# %% check="q_learning"
q_learning = check("q_learning")

# %% [markdown]
# Q-learning chooses with what it has just learnt; SARSA had to choose before. Is that a difference, or a detail? Switch
# exploration off, ε = 0, so that the *targets* are the same: what is drawn is the best. **Are the loops the same, too?**
# Here they are on the cliff, and in a random world of which no state is its own successor.

# %%
greedy_run = cliff_experiment(
    {"SARSA": sarsa, "Q-learning": q_learning},
    np.random.default_rng(3),
    runs=1,
    epsilon=0.0,
    epsilon_greedy=epsilon_greedy,
)
on_the_cliff = ~np.isclose(greedy_run["SARSA"].q, greedy_run["Q-learning"].q)
print(f"on the cliff {on_the_cliff.sum()} of {on_the_cliff.size} entries differ")

P = world.P.copy()
P[np.arange(6), :, np.arange(6)] = 0.0  # nobody stays
moving = replace(world, P=P / P.sum(axis=2, keepdims=True))
tables = []
for loop in (sarsa, q_learning):
    env = TabularEnv(moving, max_steps=50)
    env.reset(seed=0)
    tables.append(loop(env, lambda row, _: int(row.argmax()), 40, 0.5, moving.gamma, None))
elsewhere = ~np.isclose(*tables)
print(f"where nobody stays {elsewhere.sum()} of {elsewhere.size}")
assert on_the_cliff.any() and not elsewhere.any()

# %% [markdown]
# The two differ only where the row that is chosen from has just moved: where $s' = s$. A greedy SARSA that bumps into the
# wall at the rim of the map has already decided to bump once more, before it learns from the first bump. After
# that, the two lead different lives. (This is exercise 6.12 of the book.)

# %% [markdown]
# ## The experiment: your loops on the cliff
#
# 500 episodes, α = 0.1, ε = 0.1, γ = 1, ten runs with different seeds. Two of the curves are made by your loops. The
# other two are the course's loops with *your targets* inside, `q_learning_target` and `sarsa_targets`: if your target
# is wrong, they are learned with the reference instead, and the line above the figure says so.


# %%
# about 20 s
def expected_sarsa(env, select, *rest):
    def target(reward, q_next, pi_next, terminated, gamma):
        drawn = np.zeros(len(reward), dtype=int)  # nobody asks for it
        return sarsa_targets(reward, q_next, drawn, pi_next, terminated, gamma)[1]

    return control.expected_sarsa(env, 0.1, *rest, target=target)  # it has to know ε, not to draw


def with_the_target(*arguments):
    return control.q_learning(*arguments, target=q_learning_target)


loops = {
    "SARSA": sarsa,
    "Q-learning": q_learning,
    f"expected SARSA, {whose('sarsa_targets')} target": expected_sarsa,
    f"Q-learning, {whose('q_learning_target')} target": with_the_target,
    "Q-learning, all the course's": control.q_learning,
}
results = cliff_experiment(
    loops, np.random.default_rng(5), runs=10, step_size=0.1, epsilon_greedy=epsilon_greedy
)

# %% tags=["hide-input"]
parts = ("sarsa", "q_learning", "q_learning_target", "sarsa_targets", "epsilon_greedy")
print("learned with " + authorship(*parts))
returns = {name: result.returns for name, result in results.items()}
yours = {name: runs for name, runs in returns.items() if name in list(loops)[:3]}
course = {"the course's Q-learning": returns["Q-learning, all the course's"].mean(axis=0)}
ax = plots.curves(yours, smooth=30, xlabel="episode", ylabel="reward in the episode",
                  ax=plots.axes(size="wide"))  # fmt: skip
ax = plots.curves(course, smooth=30, xlabel="episode", ylabel="reward in the episode", ax=ax)
ax.lines[-1].set(color=plots.INK, linestyle=":", zorder=3)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="thick: mean\nthin: each of 10 seeds")
ax.set_ylim(-120, 0)
plots.show(
    ax,
    alt="Reward per episode while learning on the cliff: SARSA and expected SARSA level off "
    "near minus 20, Q-learning, yours and the course's, clearly lower near minus 50.",
)
late = {name: runs[:, -100:].mean(axis=1) for name, runs in returns.items()}
for name, runs in late.items():
    print(f"{name:38} last 100 episodes: {runs.mean():6.1f} ± {runs.std():.1f}")

# %% [markdown]
# The last line is the course's own Q-learning, loop and target: where your code is right, it and your two Q-learnings differ only
# by the luck of the draws.
#
# And a policy that never learns anything? With ε = 1 every action is drawn at random (episodes are cut off after
# 1000 steps):

# %%
never = cliff_experiment(
    {"random": sarsa}, np.random.default_rng(6), runs=5, episodes=5, epsilon=1.0, max_steps=1000
)["random"].returns
print(f"random policy: {never.mean():.0f} an episode")
assert never.mean() < min(runs.mean() for runs in late.values())

# %% [markdown]
# Now look at *why*. Switch exploration off and follow the greedy policy of what was learned, the mean of the ten
# tables of each:

# %% tags=["hide-input"]
paths = {name: greedy_path(cliff, results[name].q.mean(axis=0)) for name in ("SARSA", "Q-learning")}
ax = plots.grid_path(paths, cliff.shape, cells=cliff.cells, labels=cliff.labels)
plots.show(
    ax, alt="Greedy paths on the cliff: Q-learning walks along the edge, SARSA keeps away from it."
)
for name, path in paths.items():
    print(f"{name}: {len(path) - 1} steps without exploration")
optimal, _ = dynamic_programming.value_iteration(cliff.mdp.P, cliff.mdp.R, 1.0, 1e-9)
print(f"the shortest way has {-optimal[paths['SARSA'][0]].max():.0f}")

# %% [markdown]
# Q-learning has found the shortest path: its values are those of a policy that never stumbles, and for such a policy
# the edge is safe. But the policy that *acts* stumbles in one step of ten, and SARSA's values know it. It is not that
# one of the two is wrong: they answer different questions. (5.7) makes the difference visible: the same formula with
# two different policies inside.
#
# Here is Q-learning's greedy policy acting, every fourth step of it:

# %%
for state in paths["Q-learning"][::4]:
    print(cliff.text(state), end="\n\n")

# %% [markdown]
# How far from the edge should one keep? That can be computed, since for once we know $p$. Where SARSA settles,
# $q = Q^\pi$ for the very policy π that is ε-greedy on $q$: the best of all policies that explore like that.
# Q-learning settles at $Q^*$, and acts ε-greedily on it. The figure solves both exactly, and says what each
# earns an episode *while it explores*. Compare ε = 0.1 with your curves. Then **drag ε**: where does the detour begin to
# pay? When does it get wider?

# %% tags=["hide-input"]
shares = [0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5]
optima = {epsilon: two_optima(cliff, epsilon) for epsilon in shares}


def draw(epsilon):
    told = {f"{name}: earns {earned:.1f}": path for name, (path, earned) in optima[epsilon].items()}
    title = f"ε = {epsilon:g}"
    return plots.grid_path(told, cliff.shape, cells=cliff.cells, labels=cliff.labels, title=title)


plots.slide(draw, shares, name="ε", alt="The best path for an agent that explores with ε, and the shortest one along "
            "the edge. From small ε on the first keeps a row away, for large ε two rows.")  # fmt: skip
assert all(both["SARSA"][1] >= both["Q-learning"][1] - 1e-9 for both in optima.values())

# %% [markdown]
# ## Change one thing: ε
#
# Run the next cell, then change `epsilons`. **What to look for:** the less the agents explore, the less the cliff
# punishes Q-learning, and the smaller the gap to SARSA.

# %%
# about 12 s
epsilons = [0.2, 0.1, 0.02]
ablation = {}
for epsilon in epsilons:
    learned = cliff_experiment(
        {"SARSA": sarsa, "Q-learning": q_learning},
        np.random.default_rng(7),
        runs=5,
        episodes=400,
        step_size=0.25,
        epsilon=epsilon,
        epsilon_greedy=epsilon_greedy,
    )
    for name, result in learned.items():
        ablation[f"{name}\nε = {epsilon}"] = result.returns[:, -100:].mean(axis=1)

# %% tags=["hide-input"]
ax = plots.bars(ablation, ylabel="reward, last 100 episodes", digits=0, ax=plots.axes(size="wide"))
plots.show(ax, alt="Reward over the last 100 episodes for SARSA and Q-learning at three values of ε: the gap "
           "between them shrinks as ε shrinks.")  # fmt: skip

# %% [markdown]
# ## A start that explores by itself
#
# With ε = 0 nobody explores, one might think. But our tables begin with zeros, and on the cliff every true value is
# negative: **zeros are optimistic** there. Whatever has been tried looks worse than what has not, so a greedy agent tries
# it all. In a maze where only the goal pays, +1, zeros are not optimistic: the first action, against a wall, never looks
# worse than the others. The course's Q-learning with ε = 0, and in the last line a table that starts with ones:

# %%
maze = gridworlds.maze()
reached = []
for name, place, initial in (("cliff", cliff, 0.0), ("maze", maze, 0.0), ("maze", maze, 1.0)):

    def begins_there(*arguments, initial=initial):
        return control.q_learning(*arguments, initial=initial)

    greedy_run = cliff_experiment(
        {"greedy": begins_there}, np.random.default_rng(8), runs=1, episodes=100, epsilon=0.0,
        world=place, max_steps=300,
    )["greedy"]  # fmt: skip
    path = greedy_run.paths[0]
    reached.append(bool(place.mdp.terminal[path[-1]]))
    found = f"a way of {len(path) - 1} steps" if reached[-1] else "no way to the goal"
    tried = np.count_nonzero(greedy_run.q[0] != initial)
    print(f"{name}, all entries start at {initial}: {tried:3} have been tried; {found}")
assert reached == [True, False, True]

# %% [markdown]
# ## When does it converge?
#
# - **Q-learning** reaches $Q^*$, with probability 1, if every pair $(s,a)$ is tried again and again for ever, if the step
#   sizes of a pair sum to infinity but their squares do not (such as one over the number of its visits), and if
#   γ < 1 and rewards are bounded. How it acts does not matter.
# - **SARSA** reaches $Q^\pi$ under the same conditions if π stays as it is. To reach $Q^*$, π must become greedy, but so
#   slowly that it still tries everything for ever, as with ε = 1/k in episode k: *greedy in the limit, with infinite
#   exploration* (GLIE).
# - With a **constant α**, as in our experiment, the table follows the mean of about the last 1/α targets of a pair, and
#   never comes to rest where these are noisy.

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** Is Q-learning's behaviour optimal in the experiment above? Are its values?
#
# **A** both · **B** only the behaviour · **C** only the values
#
# <details><summary>Answer</summary>
#
# C. Its values approach $Q^*$, so its greedy policy is optimal. Its *behaviour* is ε-greedy and falls off the cliff now
# and then: the values do not describe what it earns while it explores.
# </details>
#
# **2.** Two copies of a table have learned from the same steps, so they are equal. Does double Q-learning help?
#
# **A** yes · **B** no
#
# <details><summary>Answer</summary>
#
# B. With equal tables (5.12) *is* (5.8). What helps is that B has not seen A's noise: hence the coin, which gives every
# step to one of the two only.
# </details>

# %% [markdown]
# ## Summary
#
# - A **target** samples what the world does and bootstraps the rest from the table: its mean is one Bellman backup.
# - **SARSA** samples the next action, **expected SARSA** averages over the policy, **Q-learning** takes the best one. On
#   the greedy policy the three agree.
# - SARSA is **on-policy**: it learns what the policy that acts is worth, stumbling included. Q-learning is
#   **off-policy**: it learns $Q^*$ whoever acts, and may earn less while it explores.
# - The maximum of unbiased estimates is **biased upwards**, the more so the noisier they are and the more there are.
#   Double Q-learning selects with one table and evaluates with another.
# - Only `terminated` switches the future off; a time limit ends the loop, not the value.

# %% [markdown]
# ## Where this went
#
# What later methods change in $q(s,a) \leftarrow q(s,a) + \alpha\,[\,y - q(s,a)\,]$:
#
# - **Watkins & Dayan 1992**: $\alpha$ becomes $\alpha_n(s,a)$, for the n-th visit, with $\sum_n\alpha_n=\infty$ and
#   $\sum_n\alpha_n^2<\infty$. Then $q\to Q^*$.
# - **GLIE** (Singh et al. 2000): (5.6) stays, but π is ε-greedy with ε → 0. Then SARSA's $q\to Q^*$, too.
# - **Tree backup** (Precup et al. 2000) goes n steps: $y = r + \gamma\sum_{a\ne a'}\pi(a|s')\,q(s',a) +
#   \gamma\,\pi(a'|s')\,y'$. Where the path goes on, the next step's target $y'$ takes the place of $q(s',a')$: it is
#   off-policy, without importance ratios.
# - **Q-learning with UCB** (Jin et al. 2018), for episodes of H steps and a table $q_h$ a step:
#   $y = r + \min\{H,\max_{a'}q_{h+1}(s',a')\} + b_n$, with a bonus $b_n$ that falls like $1/\sqrt n$ with the visits of the
#   pair, and $\alpha_n = (H+1)/(H+n)$. Optimism is not left to the zeros.
# - **DQN** (lesson 08) keeps (5.8) and replaces the table by a network, with an old copy of it in $y$.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Where the originals need care</summary>
#
# The Chinese pseudocode collection (twelve algorithms; chapters "Q-learning" and "Sarsa") ends both loops with
# $s_{t+1}\leftarrow s_t$, and SARSA's with $a_{t+1}\leftarrow a_t$: read the arrows the other way round. Its tables start
# with arbitrary values and 0 at terminal states, as in the book; ours start with zeros, and $(1-d)$ does the rest.
# </details>

# %% [markdown]
# ## What we hand on
#
# One update, three targets, and a table with an entry for every state and action:
#
# $$\begin{aligned}
# q(s,a) &\leftarrow q(s,a) + \alpha\,\big[\,y - q(s,a)\,\big],\\
# y &= r + \gamma\,(1-d)\cdot\begin{cases}
# q(s',a') & \text{SARSA}\\
# \sum_{a'}\pi(a'|s')\,q(s',a') & \text{expected SARSA}\\
# \max_{a'}q(s',a') & \text{Q-learning}
# \end{cases}
# \end{aligned}$$
#
# What can no longer be computed when there are too many states? The table itself. Lesson 06 replaces $v(s)$ by a
# function $\hat v(s;w)$ with a few weights, and asks what becomes of (5.1) when moving one value moves them all.
