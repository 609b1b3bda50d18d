# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Markov decision processes
#
# Part I · 00 → **01** → 02 → 03 → 04 → 05 → Part II
#
# - **You will be able to** describe a world in which averages can be computed; turn a policy into a Markov chain; say how often
#   each state is visited; and compute the number that all of reinforcement learning is about, the mean return of a policy.
# - **Builds on** lesson 00 (returns, the loop).
# - **Time** 110 minutes alone, 60 as a lecture.
# - **Sources** Sutton & Barto, 2nd edition, §3.1–3.5; Puterman, *Markov Decision Processes* (1994), §5.3, §5.6 and §6.9; Kakade &
#   Langford 2002 (occupancy); Archibald, McKinnon & Thomas 1995 (random MDPs); Du, *CS 224R Tutorial: Review of Q-Learning*.

# %%
import math

import gymnasium
import numpy as np

from rlcourse.checker import authorship, check
from rlcourse.lab import diagrams, plots
from rlcourse.lab.progress import progress
from rlcourse.tabular import gridworlds, mdp, returns
from rlcourse.tabular.envs import TabularEnv

# %% [markdown]
# ## What we inherit
#
# Lesson 00 gave a number to what *has* happened: the return
#
# $$G = \sum_{t=0}^{T-1}\gamma^t\,r_t \tag{1.1}$$
#
# Run the same policy twice and you get two different numbers. Which of them counts? Neither: what counts is the mean. To speak of a
# mean we have to say what is random, and how. That is all a Markov decision process is.

# %% [markdown]
# ## The world as arrays
#
# A **Markov decision process** (MDP) consists of
#
# | | | in code |
# |---|---|---|
# | states $s$ and actions $a$ | numbered from 0 | `S`, `A` |
# | $p(s'\mid s,a)$ | how likely it is to arrive in $s'$ when leaving $s$ by $a$ | `P[s, a, s']` |
# | $r(s,a)$ | mean reward for **leaving** $s$ by $a$ | `R[s, a]` |
# | start distribution | where $s_0$ comes from | `start[s]` |
# | γ | the discount, in [0, 1] | `gamma` |
#
# Sometimes there is a horizon T, too: the number of steps after which we stop watching. *Markov* means that $p$ and $r$ need only the
# present state: the past does not matter, except through where it has brought us.

# %% [markdown]
# ### Talk to your neighbour
#
# A robot has a heavy body and a weak motor. We call its position on the floor the state, and the direction in which the motor pushes
# the action. **Is that Markov?** Vote:
#
# **A** yes: the world decides where it goes next · **B** no · **C** that depends on the robot
#
# <details><summary>We have voted.</summary>
#
# B: a heavy body goes on moving, so where it is next depends on how fast it is now, and a position does not say that. With position
# *and* velocity it is. Being Markov is a property of what you *call* the state, not of the world.
# </details>

# %% [markdown]
# ### An example, with its numbers
#
# A machine is new, worn or broken. Every morning one can run it or repair it:

# %%
NEW, WORN, BROKEN = range(3)
RUN, REPAIR = range(2)
P_machine, R_machine = np.zeros((3, 2, 3)), np.zeros((3, 2))
P_machine[NEW, RUN, [NEW, WORN]] = 0.7, 0.3
P_machine[WORN, RUN, [WORN, BROKEN]] = 0.6, 0.4
P_machine[BROKEN, RUN, BROKEN] = 1.0  # running a broken machine mends nothing
P_machine[:, REPAIR, NEW] = 1.0
R_machine[:, RUN], R_machine[:, REPAIR] = (3, 2, 0), -2
machine = mdp.MDP(P_machine, R_machine, start=[1, 0, 0], gamma=0.9)

# %% [markdown]
# Below is the same as a graph. An open circle is a state, a dot is an action, and beside the dot stands what the action pays. From the
# dot on the world decides: an arrow for every next state, with its probability.

# %% tags=["hide-input"]
ax = diagrams.mdp_graph(
    machine.P,
    machine.R,
    places=[(0, 0), (4, 0), (8, 0)],
    dots={
        (NEW, RUN): (1.2, 1.5), (WORN, RUN): (5.2, 1.5), (BROKEN, RUN): (9.2, 1.5),
        (NEW, REPAIR): (-1.2, -1.5), (WORN, REPAIR): (2.8, -1.5), (BROKEN, REPAIR): (5.0, -4.0),
    },
    states=("new", "worn", "broken"),
    actions=("run", "repair"),
)  # fmt: skip
plots.show(ax, alt="The machine as a graph: running leads from new to worn and from worn to broken, each with the "
           "probability in its arrow; repairing leads from every state to new.")  # fmt: skip

# %% [markdown]
# **What about the end?** An episode is over when a **terminal** state is reached. The arrays have no room for "over", and need none: a
# terminal state is one that no action leaves and that pays nothing, $p(s|s,a) = 1$ and $r(s,a) = 0$ for every $a$. Whoever is there gets 0
# for ever, and no sum of rewards notices. So every row of $P$ sums to 1, and every sum over $t$ may run to infinity. This is our convention
# in all lessons, and the builder of MDPs, `mdp.MDP`, insists on it.
#
# A chain of five states, with the actions left and right. Only the last step to the right pays, and it leads into the terminal state:

# %%
chain = mdp.chain(5)
print("P of going right:")
print(chain.P[:, 1].astype(int))
print("R:", chain.R.tolist())
print("terminal:", np.flatnonzero(chain.terminal))
assert (chain.P[4, :, 4] == 1).all() and (chain.R[4] == 0).all()

# %% [markdown]
# ## Guess first
#
# In this chain, an agent goes right with probability ½ and left with probability ½, and γ = 0.9. Going left in the first state leaves
# it there. **From the first state on, is the mean return nearer to 0.7, to 0.3 or to 0.1?**
#
# <details><summary>I have guessed.</summary>
#
# Whoever walks straight gets 0.9³, about 0.7, but hardly anybody does: a drunkard needs many more steps. Your `expected_return` will
# give the number below.
# </details>

# %% [markdown]
# ## Trajectories
#
# A **policy** $\pi(a|s)$ says how likely each action is in each state: `pi[s, a]`, rows sum to 1. World and policy together produce a
# **trajectory** $\tau = (s_0, a_0, r_0, s_1, a_1, r_1, \dots)$ by taking turns:
#
# $$s_0 \sim \text{start},\qquad a_t \sim \pi(\cdot|s_t),\qquad r_t = r(s_t,a_t),\qquad s_{t+1} \sim p(\cdot|s_t,a_t) \tag{1.2}$$
#
# You will write that down as a program at the end of this lesson. First: every step of a trajectory has a return of its own, that of
# what comes after it. The first term can be taken out of the sum, and the rest has γ everywhere:
#
# $$G_t = \sum_{k=t}^{T-1}\gamma^{k-t}r_k = r_t + \gamma\sum_{k=t+1}^{T-1}\gamma^{k-(t+1)}r_k = r_t + \gamma\,G_{t+1},\qquad G_T = 0 \tag{1.3}$$
#
# Remember this line. Lesson 02 takes its mean, and that will be the Bellman equation.

# %% [markdown] task="returns_to_go"
# ### Exercise 1.1 · `returns_to_go`
# **Points** 1 · **Difficulty** ●○○ · **Time** 8 min
#
# Compute $G_t$, (1.3), for every step of an episode. Rewards may be whole numbers, the result is float64 all the same; no rewards give an
# array of length 0. It has to work for γ = 0 and for long episodes, so do not divide by powers of γ.


# %% exercise="returns_to_go" points=1
def returns_to_go(rewards, gamma):
    """The return from every step on (1.3).

    rewards: (T,), T ≥ 0; gamma: in [0, 1]. Returns (T,) float64.
    """
    ### BEGIN SOLUTION
    result = np.zeros(len(rewards))
    following = 0.0  # G_T
    for t in reversed(range(len(rewards))):
        following = rewards[t] + gamma * following  # (1.3)
        result[t] = following
    return result
    ### END SOLUTION


# %% [markdown] hints="returns_to_go"
# <details><summary>Which of them is the easiest?</summary>
#
# The last one: nothing comes after it. And from each one you get the one before.
# </details>
# <details><summary>How do I go backwards?</summary>
#
# `reversed(range(n))` counts down. Keep the return of the step behind in a variable.
# </details>
# <details><summary>My result is full of whole numbers.</summary>
#
# An array made like the rewards has their type, and cuts fractions off. Make one of floats.
# </details>

# %% check="returns_to_go"
returns_to_go = check("returns_to_go")

# %% [markdown]
# ## γ as a coin
#
# Why should a reward that comes later count less? One answer: because there may be no later. Take γ for a **probability of
# survival**. Nothing is discounted now: every step pays $c$. But after each step a coin is tossed. With probability γ the episode goes
# on, else it ends, there and then. With $L$ the number of steps, the return is $cL$: a random number.
#
# ### Talk to your neighbour
#
# One world pays 1 at every step, for ever, discounted by γ = 0.9. Another pays 1 at every step, undiscounted, and ends after each step with
# probability 0.1. **Which has the larger mean return?** Vote:
#
# **A** the endless one · **B** the mortal one · **C** they are equal · **D** the mortal one's is infinite

# %% [markdown]
# ### Mean and spread, on paper
#
# What is the mean of $cL$? The trick is the one of (1.3): **peel off the first step**. It is taken in any case. After it, with probability γ, we
# stand where we stood before, and have as many steps still to come as we had then; else there are none.
#
# $$\mathbb E[L] = 1 + \gamma\,\mathbb E[L] \tag{1.4}$$
#
# One equation with one unknown, which stands on both sides. The same trick works for $L^2$: write $L = 1 + B L'$, where $B$ is 1 if the coin
# says "go on" and 0 if not, and $L'$ is a fresh number of steps, independent of the coin. Square, and take the mean, term by term.

# %% [markdown] task="coin_stopped_return"
# ### Exercise 1.2 · `coin_stopped_return`
# **Points** 2 · **Difficulty** ●●● · **Time** 20 min · ✎ on paper
#
# Find the **mean** and the **standard deviation** of the return $cL$ on paper, from (1.4) and from the same equation for $L^2$. Write both
# formulas down: `reward` is $c$, of either sign; `gamma` is in [0, 1). Return the two numbers, the mean first. A simulation is not exact
# enough for the check, nor is a sum that is cut off somewhere.


# %% exercise="coin_stopped_return" points=2
def coin_stopped_return(reward, gamma):
    """Mean and standard deviation of the return if a coin ends the episode (1.4).

    reward: paid at each step; gamma: in [0, 1), the probability of going on. Returns two floats.
    """
    ### BEGIN SOLUTION
    mean_length = 1 / (1 - gamma)  # (1.4), solved for E[L]
    mean_square = (1 + 2 * gamma * mean_length) / (1 - gamma)  # E[L²] = 1 + 2γ E[L] + γ E[L²]
    variance = mean_square - mean_length**2  # of L
    return reward * mean_length, abs(reward) * math.sqrt(variance)
    ### END SOLUTION


# %% [markdown] hints="coin_stopped_return"
# <details><summary>What is the mean of L²?</summary>
#
# $(1 + BL')^2$ has three terms. $B$ is 0 or 1, so $B^2 = B$; it is independent of $L'$, so the mean of a product is the product of the
# means; and $L'$ has the same mean, and the same mean square, as $L$.
# </details>
# <details><summary>I have E[L] and E[L²]. How do I get the standard deviation?</summary>
#
# The variance of $L$ is what is left of $\mathbb E[L^2]$ when the square of the mean is taken away. Then think of the unit: a standard
# deviation is measured in rewards, as the mean is, not in squared rewards. And it is never negative, whatever $c$ is.
# </details>
# <details><summary>How do I test it?</summary>
#
# γ = 0: there is exactly one step. What are mean and spread of a number that is always the same? Then γ = ½: how likely is $L = 1$, 2, 3, …?
# Add up a few terms of the mean.
# </details>

# %% check="coin_stopped_return"
coin_stopped_return = check("coin_stopped_return")

# %% [markdown]
# Your two formulas against 100 000 episodes with a real coin (a pseudorandom one), for a step that pays 1; and beside them what the *discounted*
# return of a world is that pays 1 at every step and never ends, by the formula of lesson 00:

# %%
rng = np.random.default_rng(0)
print("   γ   mean tossed   formula   spread tossed   formula   discounted, for ever")
for g in (0.5, 0.9, 0.98):
    going, steps = np.ones(100_000, dtype=bool), np.zeros(100_000)
    while going.any():
        steps[going] += 1
        going &= rng.random(100_000) < g
    mean, std = coin_stopped_return(1.0, g)
    for_ever = returns.constant_return(1.0, g, math.inf)
    tossed, spread = steps.mean(), steps.std()
    print(f"{g:4} {tossed:13.2f} {mean:9.2f} {spread:15.2f} {std:9.2f} {for_ever:15.2f}")
    assert abs(steps.mean() - mean) < 5 * std / np.sqrt(100_000)
    assert np.isclose(mean, for_ever)

# %% [markdown]
# The answer was C: the means agree. Discounting, and being mortal without discounting, **cannot be told apart in the mean**. That is true of any rewards and any
# policy: a reward at step $t$ is discounted by $\gamma^t$, or else it is paid with probability $\gamma^t$, which is how likely $t$ coins in a row say "go
# on". What differs is the spread: the discounted return of a constant reward has none; the coin's, for γ near 1, is nearly as large as its mean.

# %% [markdown]
# ## A policy turns an MDP into a Markov chain
#
# Fix the policy, and the choice of an action is just one more random thing between $s$ and $s'$. Sum over it, once for where one goes and once
# for what one gets:
#
# $$\begin{aligned}P^\pi(s'|s) &= \sum_a\pi(a|s)\,p(s'|s,a)\\ r^\pi(s) &= \sum_a\pi(a|s)\,r(s,a)\end{aligned} \tag{1.5}$$
#
# What is left has no actions any more: a matrix that says where one goes, and a vector of mean rewards. That is a **Markov chain** with rewards.

# %% [markdown] task="policy_chain"
# ### Exercise 1.3 · `policy_chain`
# **Points** 2 · **Difficulty** ●●○ · **Time** 12 min
#
# Compute both lines of (1.5) and return them in this order. $P^\pi$ is `[s, s']`, first index where from, second where to. `R` may hold whole
# numbers.


# %% exercise="policy_chain" points=2
def policy_chain(P, R, pi):
    """The Markov chain with rewards that a policy makes of an MDP (1.5).

    P: (S, A, S); R, pi: (S, A). Returns P_pi (S, S) and r_pi (S,).
    """
    ### BEGIN SOLUTION
    P_pi = np.einsum("sa,sat->st", pi, P)  # (1.5), first line: the sum over a
    r_pi = np.sum(pi * R, axis=1)  # (1.5), second line
    return P_pi, r_pi
    ### END SOLUTION


# %% [markdown] hints="policy_chain"
# <details><summary>Which index disappears?</summary>
#
# The action: it is summed over, weighed by how likely the policy takes it *in the state that is left*. The weights of a state sum to 1, so the
# weighted sum *is* the mean.
# </details>
# <details><summary>How do I multiply (S, A) with (S, A, S)?</summary>
#
# Give the policy a third axis of length 1, so that it lines up with `P`; or name the indices in `einsum`; or loop over the states.
# </details>
# <details><summary>How do I test it?</summary>
#
# Sum the rows of the matrix. If they sum to A, the weights are missing; if the columns sum to 1 instead, the two indices are exchanged. For the
# rewards: if all actions are paid the same, that is what should come out.
# </details>

# %% check="policy_chain"
policy_chain = check("policy_chain")

# %% [markdown]
# Powers of $P^\pi$ say where one is after several steps: the row vector $\text{start}\,(P^\pi)^t$ is the distribution of $s_t$. Compared with 20 000
# simulated walks of six steps, in a random MDP. (A *Garnet* MDP: from every state and action as many next states can be reached as its
# **branching** says, here three of five, with random probabilities; and the rewards are random too.)

# %%
rng = np.random.default_rng(0)
world = mdp.garnet(n_states=5, n_actions=3, branching=3, rng=rng)
P, R, start, gamma = world.P, world.R, world.start, world.gamma
pi = rng.dirichlet(np.ones(3), size=5)
P_pi, r_pi = policy_chain(P, R, pi)
exact = start @ np.linalg.matrix_power(P_pi, 6)
s = rng.integers(5, size=20_000)  # this MDP starts in any state alike
for _ in range(6):
    a = (rng.random((20_000, 1)) > pi[s].cumsum(axis=1)).sum(axis=1).clip(max=2)
    s = (rng.random((20_000, 1)) > P[s, a].cumsum(axis=1)).sum(axis=1).clip(max=4)
simulated = np.bincount(s, minlength=5) / 20_000
print("exact    ", exact.round(3))
print("simulated", simulated.round(3))
assert np.abs(exact - simulated).max() < 0.02

# %% [markdown]
# ## How often is a state visited?
#
# With a discount, a visit at step t counts $\gamma^t$. Add that up over all steps, and scale it so that it is a distribution: the weights
# $\gamma^t$ add up to $\frac1{1-\gamma}$, so multiply by $1-\gamma$.
#
# $$\eta^\pi(s) = (1-\gamma)\sum_{t=0}^\infty\gamma^t\Pr(s_t = s) \tag{1.6}$$
#
# This is the **discounted occupancy** of the policy. The coin says what it means: $\gamma^t$ is the probability of getting as far as step $t$, and
# $1-\gamma$ that of being stopped just then. So $\eta^\pi(s)$ is the probability of **standing in $s$ when the coin ends the episode**.
#
# It is an infinite sum, but look at its first term and the rest. The first is $(1-\gamma)\,\text{start}(s)$. In the rest,
# $\Pr(s_{t+1} = s) = \sum_{\bar s}\Pr(s_t = \bar s)\,P^\pi(s|\bar s)$: one step of the chain. So
# $\eta^\pi = (1-\gamma)\,\text{start} + \gamma\,P_\pi^\top\eta^\pi$, or
#
# $$(I - \gamma P_\pi^\top)\,\eta^\pi = (1-\gamma)\,\text{start} \tag{1.7}$$
#
# The **transpose** is there because probability flows *forwards*: what arrives in $s$ comes from all $\bar s$, so the sum runs over the first
# index. (Values will flow backwards, and need the matrix as it is: lesson 02.)

# %% [markdown] task="discounted_occupancy"
# ### Exercise 1.4 · `discounted_occupancy`
# **Points** 2 · **Difficulty** ●●○ · **Time** 12 min
#
# Compute $\eta^\pi$. You may solve (1.7), or add up (1.6) until nothing changes.


# %% exercise="discounted_occupancy" points=2
def discounted_occupancy(P_pi, start, gamma):
    """The discounted occupancy (1.6), a distribution.

    P_pi: (S, S); start: (S,); gamma: in [0, 1). Returns (S,).
    """
    ### BEGIN SOLUTION
    identity = np.eye(len(start))
    return np.linalg.solve(identity - gamma * P_pi.T, (1 - gamma) * start)  # (1.7)
    ### END SOLUTION


# %% [markdown] hints="discounted_occupancy"
# <details><summary>How do I solve a linear system?</summary>
#
# `np.linalg.solve(M, b)` gives the x with M x = b. Read M and b off (1.7).
# </details>
# <details><summary>What should come out for γ = 0?</summary>
#
# Only the first state counts then: `start` itself.
# </details>
# <details><summary>My numbers do not sum to 1.</summary>
#
# If they sum to 1/(1 − γ), a factor is missing on the right. If they sum to something else, look at the transpose.
# </details>

# %% check="discounted_occupancy"
discounted_occupancy = check("discounted_occupancy")

# %% [markdown]
# ### Talk to your neighbour
#
# A policy mostly goes up and right, in a world of 4 × 6 cells, and starts in the lower left corner. **Where is it with γ = 0.5 when the coin stops
# it, and where with γ = 0.97?** Vote:
#
# **A** near the start both times · **B** near the start, then nearly everywhere alike · **C** near the start, then in the upper right corner

# %%
field = gridworlds.gridworld("......\n......\n......\nS.....")
drift = np.tile([0.4, 0.4, 0.1, 0.1], (24, 1))  # up, right, down, left
drifting, _ = policy_chain(field.mdp.P, field.mdp.R, drift)
discounts = [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99, 0.999]
occupancies = {g: discounted_occupancy(drifting, field.mdp.start, g) for g in discounts}


# %% tags=["hide-input"]
def draw(g):
    return plots.grid_values(
        100 * occupancies[g], field.shape, cells=field.cells, digits=0, limit=40,
        title=f"where the coin stops it, in %, γ = {g:g}",
    )  # fmt: skip


plots.slide(
    draw,
    discounts,
    name="γ",
    start=3,
    milliseconds=700,
    alt="Discounted occupancy of a drifting policy on a 4 by 6 grid: concentrated around the start in the lower left "
    "for a small γ, in the upper right corner for γ near 1.",
)

# %% [markdown]
# A small γ sees only the neighbourhood of the start; with γ near 1 the start is almost forgotten. Almost: how much of it is left?

# %%
# Where one is after very many steps, wherever one began:
last = np.linalg.matrix_power(drifting, 1000)[0]
assert np.allclose(last, np.linalg.matrix_power(drifting, 1000)[-1])
for g in (0.5, 0.97, 0.999):
    print(f"γ = {g}: {np.abs(occupancies[g] - last).sum() / 2:.3f} of the occupancy is elsewhere")

# %% [markdown]
# ## The number that counts
#
# How good is a policy? The mean return over all its trajectories. Now the occupancy earns its keep. The mean of $r_t$ is
# $\sum_s\Pr(s_t = s)\,r^\pi(s)$, so
#
# $$J(\pi) = \mathbb E_\tau\Big[\sum_{t\ge0}\gamma^t r_t\Big] = \sum_s\Big[\sum_{t\ge0}\gamma^t\Pr(s_t = s)\Big]r^\pi(s)
# = \frac1{1-\gamma}\sum_s\eta^\pi(s)\,r^\pi(s) \tag{1.8}$$

# %% [markdown] task="expected_return"
# ### Exercise 1.5 · `expected_return`
# **Points** 1 · **Difficulty** ●●○ · **Time** 8 min
#
# Compute (1.8). You may use your own functions from above.


# %% exercise="expected_return" points=1
def expected_return(P, R, pi, start, gamma):
    """The mean return of a policy (1.8).

    P: (S, A, S); R, pi: (S, A); start: (S,); gamma: in [0, 1). Returns a float.
    """
    ### BEGIN SOLUTION
    chain_of_pi = np.einsum("sa,sat->st", pi, P)
    mean_reward = np.einsum("sa,sa->s", pi, R)
    visits = np.linalg.solve(np.eye(len(start)) - gamma * chain_of_pi.T, start)  # η / (1 − γ)
    return float(visits @ mean_reward)  # (1.8)
    ### END SOLUTION


# %% [markdown] hints="expected_return"
# <details><summary>Which pieces do I need?</summary>
#
# The chain of the policy with its mean rewards, and its occupancy: exercises 1.3 and 1.4.
# </details>
# <details><summary>What is left to do?</summary>
#
# Weigh the rewards by the occupancy, and undo the factor that made it a distribution.
# </details>
# <details><summary>How do I test it?</summary>
#
# If every reward is 1, the return is 1 + γ + γ² + …, whatever the policy.
# </details>

# %% check="expected_return"
expected_return = check("expected_return")

# %% [markdown]
# The chain you guessed at:

# %%
half = np.full((5, 2), 0.5)
j = expected_return(chain.P, chain.R, half, chain.start, chain.gamma)
straight = expected_return(chain.P, chain.R, np.tile([0.0, 1.0], (5, 1)), chain.start, chain.gamma)
print(f"half and half: {j:.3f}; always right: {straight:.3f} = 0.9³ = {0.9**3:.3f}")
assert abs(straight - 0.9**3) < 1e-12

# %% [markdown]
# ## The loop: sampling
#
# (1.8) needs $p$ and $r$. An agent in the world has neither: it has *samples*, trajectories as in (1.2). Write the sampler. So that its result can be
# checked exactly, the draws have a fixed order, and each of them is one `rng.choice(n, p=row)`: the start; then, for each step, the action, then
# the next state.

# %% [markdown] task="sample_trajectory"
# ### Exercise 1.6 · `sample_trajectory`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min
#
# Sample (1.2) for `horizon` steps. Draw $s_0$ from `start`; then for $t = 0, …, T-1$: $a_t$ from `pi[s_t]` and $s_{t+1}$ from `P[s_t, a_t]`.
# Exactly these draws, in this order, each one `rng.choice(n, p=row)`, and nothing else from `rng`. Keep the reward of each step as well; a reward
# needs no draw.
#
# Return states (T + 1,), actions (T,) and rewards (T,), as arrays; T = 0 is allowed. Terminal states are walked on in like any other.
#
# One decision is yours, and the check asks for it: when do you look up the reward?


# %% exercise="sample_trajectory" points=2
def sample_trajectory(P, R, pi, start, horizon, rng):
    """Sample a trajectory (1.2).

    P: (S, A, S); R, pi: (S, A); start: (S,); horizon: T ≥ 0; rng: a numpy.random.Generator.
    Returns states (T+1,) int, actions (T,) int, rewards (T,) float64.
    """
    ### BEGIN SOLUTION
    n_states, n_actions = R.shape
    states, actions, rewards = [rng.choice(n_states, p=start)], [], []
    for _ in range(horizon):
        s = states[-1]
        a = rng.choice(n_actions, p=pi[s])
        actions.append(a)
        rewards.append(R[s, a])  # for leaving s
        states.append(rng.choice(n_states, p=P[s, a]))
    return np.array(states, dtype=int), np.array(actions, dtype=int), np.array(rewards, dtype=float)
    ### END SOLUTION


# %% [markdown] hints="sample_trajectory"
# <details><summary>What do I keep?</summary>
#
# Three lists. The list of states begins with one entry before the loop, and so ends up one longer than the others.
# </details>
# <details><summary>Which state pays the reward?</summary>
#
# (1.2) says which two indices $r_t$ has. At the point where your code looks it up: which state does your variable hold?
# </details>
# <details><summary>My numbers are plausible, but the check says they are not the right ones.</summary>
#
# The same seed must give the same draws: one `choice` for the start, then action and next state in turn, each with the probabilities of one row.
# </details>

# %% check="sample_trajectory"
sample_trajectory = check("sample_trajectory")

# %% [markdown]
# ## Your functions at work
#
# The mean of sampled returns approaches (1.8). One thin line a seed; the dashed line is your exact value. (A trajectory stops after 60
# steps: what comes later weighs less than $0.9^{60} < 0.002$ of itself.)

# %%
# about 10 s
numbers = np.array([1, 2, 5, 10, 20, 50, 100, 200, 500])
truth = expected_return(P, R, pi, start, gamma)
means = np.zeros((10, len(numbers)))
for seed in progress(range(10), "ten seeds"):
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(numbers[-1]):
        _, _, rewards = sample_trajectory(P, R, pi, start, 60, generator)
        found.append(returns_to_go(rewards, gamma)[0])
    means[seed] = [np.mean(found[:n]) for n in numbers]
assert gamma**60 < 0.002

# %% tags=["hide-input"]
print("by " + authorship("expected_return", "sample_trajectory", "returns_to_go"))
ax = plots.curves(
    {"mean of n returns": means}, x=numbers, xlabel="n trajectories", ylabel="estimate of J(π)"
)
ax.axhline(truth, color=plots.INK, linewidth=1.5, linestyle="--")
ax.set_xscale("log")
plots.show(ax, alt="Estimates of the expected return from 1 to 500 sampled trajectories, a line a seed: they close in on "
           "the exact value.")  # fmt: skip

# %%
assert abs(means[:, -1].mean() - truth) < 4 * means[:, -1].std() / np.sqrt(10) + 0.01

# %% [markdown]
# How fast does it get there? Independent returns with the standard deviation σ have a mean with the standard deviation $\sigma/\sqrt n$: for one
# digit more one needs a hundred times as many trajectories.

# %%
sigma = np.std(found)  # of the last seed's 500 returns
print(f"exact J(π) = {truth:.3f}\n\n    n   error (root mean square of ten seeds)   σ/√n")
for n, estimates in zip(numbers, means.T, strict=True):
    rms = np.sqrt(np.mean((estimates - truth) ** 2))
    print(f"{n:5} {rms:18.3f} {sigma / np.sqrt(n):27.3f}")

# %% [markdown]
# Is this policy any good? Compare it with one that always takes the action with the largest next reward, and with drawing every action alike,
# here and in the chain:

# %%
largest_next_reward = np.eye(3)[R.argmax(axis=1)]
in_chain = np.eye(2)[chain.R.argmax(axis=1)]  # a tie goes to the left, the first action
for name, here, there in (
    ("our π", pi, None),
    ("at random", np.full((5, 3), 1 / 3), half),
    ("largest next reward", largest_next_reward, in_chain),
):
    print(f"{name:20} J = {expected_return(P, R, here, start, gamma):6.3f}", end="")
    if there is not None:
        j = expected_return(chain.P, chain.R, there, chain.start, chain.gamma)
        print(f"   in the chain {j:.3f}", end="")
    print()
assert expected_return(chain.P, chain.R, in_chain, chain.start, chain.gamma) == 0

# %% [markdown]
# In the random world, looking one reward ahead does well. In the chain it never leaves the first state, and a drunkard does better: the only reward
# is four steps away. To know how good an action is, one must know what comes *after* it. That is lesson 02; the best policy is lesson 03.

# %% [markdown]
# ## The same object as an environment
#
# Arrays are for thinking; agents meet the world through `reset` and `step`. `TabularEnv` makes one from the other, and it is an ordinary Gymnasium
# environment: the same trajectory, one step at a time, without any look at `P`.

# %%
env = TabularEnv(gridworlds.maze(), max_steps=100, render_mode="ansi")
assert isinstance(env, gymnasium.Env)
state, _ = env.reset(seed=0)
for action in (gridworlds.UP, gridworlds.UP, gridworlds.RIGHT):
    state, reward, terminated, truncated, _ = env.step(action)
print(f"state {state}, reward {reward}, terminated {terminated}, truncated {truncated}")
print(env.render())

# %% [markdown]
# ## Change one thing: the discount
#
# Each row below is one γ; add some of your own. **What to look for:** how much $(1-\gamma)J(\pi)$ depends on where one starts when γ is small, and how
# little when γ is near 1. Why? (Drag the γ of the occupancy once more.)


# %%
def from_each_start(g):
    return np.array([(1 - g) * expected_return(P, R, pi, np.eye(5)[s], g) for s in range(5)])


for g in (0.1, 0.5, 0.9, 0.99):
    print(f"γ = {g:4}: (1 − γ) J from each start: {from_each_start(g).round(2)}")
assert np.ptp(from_each_start(0.99)) < 0.1 * np.ptp(from_each_start(0.1))

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** Why is $\eta^\pi$ made a distribution, if the factor is divided out again in (1.8)?
#
# <details><summary>Answer</summary>
#
# Because then "a state drawn from $\eta^\pi$" makes sense (toss the coin!), and a mean over $\eta^\pi$ can be sampled. From lesson 10 on
# that is what we shall do.
# </details>
#
# **2.** What is γ = 1 good for, and why do (1.7) and (1.8) exclude it?
#
# <details><summary>Answer</summary>
#
# For tasks that are sure to end. In the formulas the sum of the weights would be infinite, and the matrix singular: a chain that never
# ends, and one that has ended and stands in its terminal state, visits its states infinitely often.
# </details>

# %% [markdown]
# ## Summary
#
# - An **MDP** is `P[s, a, s']`, `R[s, a]`, a start and γ. The present state is all that matters; a terminal state leads to itself and pays
#   nothing.
# - A **return** is a reward now and γ times the return that begins one step later (1.3); computed backwards, without a division.
# - γ can be read as a **probability of going on**: the same mean, another spread (1.4).
# - A **policy** turns an MDP into a Markov chain with rewards (1.5). Its **occupancy** says where the coin finds us when it ends the episode (1.7);
#   probability flows forwards, with the transpose.
# - $J(\pi)$ weighs mean rewards by the occupancy (1.8). Sampling finds it without $p$ and $r$, and its error falls as $1/\sqrt n$.

# %% [markdown]
# ## Where this went
#
# What later methods change in $J(\pi) = \mathbb E_\tau\big[\sum_{t\ge0}\gamma^t r_t\big]$ and $G_t = r_t + \gamma\,G_{t+1}$:
#
# - **Bellman equations** (lesson 02) take the mean of the second one, state by state; **policy gradients** (lesson 10) give π parameters θ and climb the
#   first, $J(\pi_\theta)$.
# - **Linear programmes** (Puterman §6.9) make the occupancies of states and actions the unknown: $J$ is linear in them. **GAIL** (Ho & Ermon 2016)
#   makes them equal to an expert's, in place of making $J$ large.
# - The **successor representation** (Dayan 1993) keeps the matrix $(I-\gamma P^\pi)^{-1}$, the discounted visits from every start: a new reward, and the new
#   $J$ is one product away.
# - **Constrained MDPs** (Altman 1999) add a second $J$, of costs, that must stay below a bound.
# - **Average reward** (Puterman, chapter 8) has no γ: $J(\pi) = \lim_{T\to\infty}\frac1T\,\mathbb E_\tau\big[\sum_{t=0}^{T-1}r_t\big]$.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Other letters, other scales</summary>
#
# - **Sutton & Barto**: their $p(s',r\,|\,s,a)$ holds the whole distribution of a reward; our $p(s'|s,a)$ and $r(s,a)$ are their (3.4) and (3.5). Their η(s) in (9.2) is
#   the number of steps in $s$ in an episode, neither discounted nor scaled; their μ(s) in (9.3) is that, divided by its sum.
# - **Sutton, McAllester, Singh & Mansour**, *Policy Gradient Methods* (2000): they write d for the sum in (1.6), without the factor $1-\gamma$. In this course
#   $d$ is the flag of a terminal state, and nothing else.
# - **Puterman**, *Markov Decision Processes*: the discount is λ, and the occupancies $x(s,a)$ of §6.9 are not scaled to sum to 1. That a coin and a discount have the
#   same mean is in his §5.3.
# - **Du**, *CS 224R Tutorial: Review of Q-Learning*: states count from $s_1$. Ours count from $s_0$, and T actions join T + 1 states.
# </details>

# %% [markdown]
# ## What we hand on
#
# $$J(\pi) = \mathbb E_\tau\Big[\sum_{t\ge0}\gamma^t r_t\Big],\qquad G_t = r_t + \gamma\,G_{t+1}$$
#
# One number for a policy, from its start. Lesson 02 asks for that number from *every* state, by taking the mean of the second equation.
