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
# Part I · 00 → **01** → 02 → 03 → 04 → 05
#
# - **You will be able to** describe a world in which averages can be computed; turn a policy into a Markov chain; say how often
#   each state is visited; and compute the number that all of reinforcement learning is about, the mean return of a policy.
# - **Builds on** lesson 00 (returns, the loop).
# - **Time** 90 minutes alone, 50 as a lecture.
# - **Sources** Sutton & Barto, 2nd edition, §3.1–3.5; Puterman, *Markov Decision Processes* (1994), §5.6 and §6.9; Kakade & Langford
#   2002 (occupancy); the CS 224R tutorial slides on Q-learning.

# %%
import gymnasium
import numpy as np

from rlcourse.checker import authorship, check
from rlcourse.lab import plots
from rlcourse.tabular import gridworlds, mdp
from rlcourse.tabular.envs import TabularEnv

# %% [markdown]
# ## What we inherit
#
# Lesson 00 gave a number to what *has* happened: the return
#
# $$G = \sum_{t=0}^{T-1}\gamma^t r_t \tag{1.1}$$
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
# Sometimes there is a horizon T, too. *Markov* means that $p$ and $r$ need only the present state: the past does not matter, except
# through where it has brought us. (The tutorial slides count states from $s_1$ and let a trajectory end with a state but no action;
# we count from 0, and T actions join T + 1 states.)
#
# A chain of five states, with the actions left and right, of which only the last step to the right end pays:

# %%
chain = mdp.chain(5)
print("P of going right:")
print(chain.P[:, 1].astype(int))
print("R:", chain.R.tolist())

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
# ## A policy turns an MDP into a Markov chain
#
# Fix the policy, and the choice of an action is just one more random thing between $s$ and $s'$. Sum over it:
#
# $$P^\pi(s'|s) = \sum_a\pi(a|s)\,p(s'|s,a) \tag{1.4}$$
#
# $$r^\pi(s) = \sum_a\pi(a|s)\,r(s,a) \tag{1.5}$$
#
# What is left has no actions any more: a matrix that says where one goes, and a vector of mean rewards.

# %% [markdown] task="policy_transition"
# ### Exercise 1.2 · `policy_transition`
# **Points** 1 · **Difficulty** ●●○ · **Time** 8 min
#
# Compute (1.4): `[s, s']`, first index where from, second where to. Its rows sum to 1.


# %% exercise="policy_transition" points=1
def policy_transition(P, pi):
    """The Markov chain of a policy (1.4).

    P: (S, A, S); pi: (S, A). Returns (S, S).
    """
    ### BEGIN SOLUTION
    return np.einsum("sa,sat->st", pi, P)  # (1.4): sum over a
    ### END SOLUTION


# %% [markdown] hints="policy_transition"
# <details><summary>Which index disappears?</summary>
#
# The action: it is summed over, weighed by how likely the policy takes it *in the state that is left*.
# </details>
# <details><summary>How do I multiply (S, A) with (S, A, S)?</summary>
#
# Give the policy a third axis of length 1, so that it lines up with `P`; or name the indices in `einsum`; or loop over the states.
# </details>
# <details><summary>How do I test it?</summary>
#
# Sum the rows. If they sum to A, the weights are missing; if the columns sum to 1 instead, the two indices are exchanged.
# </details>

# %% check="policy_transition"
policy_transition = check("policy_transition")

# %% [markdown] task="policy_reward"
# ### Exercise 1.3 · `policy_reward`
# **Points** 1 · **Difficulty** ●○○ · **Time** 4 min
#
# Compute (1.5). `R` may hold whole numbers.


# %% exercise="policy_reward" points=1
def policy_reward(R, pi):
    """The mean reward of each state under a policy (1.5).

    R, pi: (S, A). Returns (S,).
    """
    ### BEGIN SOLUTION
    return np.sum(pi * R, axis=1)  # (1.5)
    ### END SOLUTION


# %% [markdown] hints="policy_reward"
# <details><summary>What kind of average is it?</summary>
#
# One over the actions of a row, with the policy's probabilities as weights.
# </details>
# <details><summary>Which axis?</summary>
#
# States are the first index and stay; actions are the second and go.
# </details>
# <details><summary>Sum or mean?</summary>
#
# The weights sum to 1 already, so the weighted sum *is* the mean.
# </details>

# %% check="policy_reward"
policy_reward = check("policy_reward")

# %% [markdown]
# Powers of $P^\pi$ say where one is after several steps: the row vector $\text{start}\,(P^\pi)^t$ is the distribution of $s_t$. Compared with 20 000
# simulated walks of six steps, in a random MDP:

# %%
rng = np.random.default_rng(0)
world = mdp.garnet(n_states=5, n_actions=3, branching=3, rng=rng)
P, R, start, gamma = world.P, world.R, world.start, world.gamma
pi = rng.dirichlet(np.ones(3), size=5)
P_pi = policy_transition(P, pi)
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
# $$d(s) = (1-\gamma)\sum_{t=0}^\infty\gamma^t\Pr(s_t = s) \tag{1.6}$$
#
# This is the **discounted occupancy** of the policy. An infinite sum, but look at its first term and the rest. The first is
# $(1-\gamma)\,\text{start}(s)$. In the rest, $\Pr(s_{t+1} = s) = \sum_{\bar s}\Pr(s_t = \bar s)\,P^\pi(s|\bar s)$: one step of the chain. So
# $d = (1-\gamma)\,\text{start} + \gamma\,P_\pi^\top d$, or
#
# $$(I - \gamma P_\pi^\top)\,d = (1-\gamma)\,\text{start} \tag{1.7}$$
#
# The **transpose** is there because probability flows *forwards*: what arrives in $s$ comes from all $\bar s$, so the sum runs over the first
# index. (Values will flow backwards, and need the matrix as it is: lesson 02.)

# %% [markdown] task="discounted_occupancy"
# ### Exercise 1.4 · `discounted_occupancy`
# **Points** 2 · **Difficulty** ●●○ · **Time** 12 min
#
# Compute $d$. You may solve (1.7), or add up (1.6) until nothing changes.


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
# A picture of it: a policy that mostly goes up and right, in a world of 4 × 6 cells, started in the lower left corner. A small γ only sees
# the neighbourhood of the start; with γ near 1 the start is almost forgotten.

# %%
field = gridworlds.gridworld("......\n......\n......\nS.....")
drift = np.tile([0.4, 0.4, 0.1, 0.1], (24, 1))  # up, right, down, left
axes = plots.axes(1, 2, size="wide")
for ax, g in zip(axes, (0.7, 0.97), strict=True):
    occupancy = discounted_occupancy(policy_transition(field.mdp.P, drift), field.mdp.start, g)
    plots.grid_values(
        100 * occupancy, field.shape, cells=field.cells, title=f"γ = {g}, in %", digits=0, ax=ax
    )
plots.show(axes, alt="Discounted occupancy of a drifting policy on a 4 by 6 grid: concentrated around the start in the "
           "lower left for a small γ, in the upper right corner for γ near 1.")  # fmt: skip

# %% [markdown]
# ## The number that counts
#
# How good is a policy? The mean return over all its trajectories. Now the occupancy earns its keep. The mean of $r_t$ is
# $\sum_s\Pr(s_t = s)\,r^\pi(s)$, so
#
# $$J(\pi) = \mathbb E_\tau\Big[\sum_{t\ge0}\gamma^t r_t\Big] = \sum_s\Big[\sum_{t\ge0}\gamma^t\Pr(s_t = s)\Big]r^\pi(s)
# = \frac1{1-\gamma}\sum_s d(s)\,r^\pi(s) \tag{1.8}$$

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
    visits = np.linalg.solve(np.eye(len(start)) - gamma * chain_of_pi.T, start)  # d / (1 − γ)
    return float(visits @ mean_reward)  # (1.8)
    ### END SOLUTION


# %% [markdown] hints="expected_return"
# <details><summary>Which pieces do I need?</summary>
#
# The chain of the policy, its mean rewards, and its occupancy: exercises 1.2, 1.3, 1.4.
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
# Sample (1.2) for `horizon` steps. Draw $s_0$ from `start`; then for $t = 0, …, T-1$: $a_t$ from `pi[s_t]`, the reward `R[s_t, a_t]`, $s_{t+1}$ from
# `P[s_t, a_t]`. Exactly these draws, in this order, each one `rng.choice(n, p=row)`, and nothing else from `rng`.
#
# Return states (T + 1,), actions (T,) and rewards (T,), as arrays; T = 0 is allowed. States from which there is no way out are walked on in like any
# other.


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
# The one you leave. Look it up before you move on.
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
# The mean of sampled returns approaches (1.8). Ten seeds, with their spread; the dashed line is your exact value. (A trajectory stops after 60
# steps: what comes later weighs less than $0.9^{60} < 0.002$ of itself.)

# %%
numbers = np.array([1, 2, 5, 10, 20, 50, 100, 200, 500])
truth = expected_return(P, R, pi, start, gamma)
means = np.zeros((10, len(numbers)))
for seed in range(10):
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(numbers[-1]):
        _, _, rewards = sample_trajectory(P, R, pi, start, 60, generator)
        found.append(returns_to_go(rewards, gamma)[0])
    means[seed] = [np.mean(found[:n]) for n in numbers]
assert gamma**60 < 0.002

# %%
print("by " + authorship("expected_return", "sample_trajectory", "returns_to_go"))
ax = plots.curves({"mean of n returns": means}, x=numbers, xlabel="n trajectories", ylabel="estimate of J(π)",
                  spread="min-max")  # fmt: skip
ax.axhline(truth, color="black", linewidth=1, linestyle="--")
ax.set_xscale("log")
plots.show(ax, alt="Estimates of the expected return from 1 to 500 sampled trajectories over ten seeds: the band narrows "
           "around the exact value.")  # fmt: skip
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
# little when γ is near 1. Why? (Look again at the two pictures of the occupancy.)

# %%
for g in (0.1, 0.5, 0.9, 0.99):
    each = [(1 - g) * expected_return(P, R, pi, np.eye(5)[s], g) for s in range(5)]
    print(f"γ = {g:4}: (1 − γ) J from each start: {np.round(each, 2)}")

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** A robot's state is its position. Is that Markov, if its motor has momentum?
#
# <details><summary>Answer</summary>
#
# No: where it goes next depends on how fast it is. With position *and* velocity it is. Being Markov is a property of what you call the state, not of the
# world.
# </details>
#
# **2.** Why is d made a distribution, if the factor is divided out again in (1.8)?
#
# <details><summary>Answer</summary>
#
# Because then "a state drawn from d" makes sense, and a mean over d can be sampled. From lesson 10 on that is what we shall do.
# </details>
#
# **3.** What is γ = 1 good for, and why do (1.7) and (1.8) exclude it?
#
# <details><summary>Answer</summary>
#
# For tasks that end by themselves. In the formulas the sum of the weights would be infinite, and the matrix singular: a chain that never ends visits its
# states infinitely often.
# </details>

# %% [markdown]
# ## What we hand on
#
# $$J(\pi) = \mathbb E_\tau\Big[\sum_{t\ge0}\gamma^t r_t\Big],\qquad G_t = r_t + \gamma\,G_{t+1}$$
#
# One number for a policy, from its start. Lesson 02 asks for that number from *every* state, by taking the mean of the second equation.
