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
# - **Time** 100 minutes alone, 60 as a lecture.
# - **Sources** Sutton & Barto, 2nd edition, §2.2, §6.4–6.7; van Hasselt 2010 (double Q-learning); the
#   CS 224R tutorial slides on Q-learning; a Chinese pseudocode collection of thirteen algorithms.

# %%
import numpy as np

from rlcourse.checker import authorship, check, whose
from rlcourse.lab import plots
from rlcourse.tabular import control, dynamic_programming, gridworlds, mdp
from rlcourse.tabular.figures import cliff_experiment, greedy_path, maximisation_bias

# %% [markdown]
# ## What we inherit
#
# Lesson 04 learned the values of a policy from experience alone. After each step from $s$ to $s'$ with
# reward $r$ it moved the table towards a one-step target:
#
# $$V(s) \leftarrow V(s) + \alpha\,\big[\,r + \gamma\,(1-d)\,V(s') - V(s)\,\big] \tag{5.1}$$
#
# where $d = 1$ if $s'$ is terminal. That tells us how good a policy *is*. It does not yet tell us what
# to *do*: acting greedily on $V$ means comparing $r(s,a) + \gamma\sum_{s'} p(s'|s,a)\,V(s')$ over the
# actions, and we do not know $p$.
#
# The way out is to learn the quantity that already contains the model: $Q(s,a)$. Being greedy on $Q$ is
# looking along one row of a table.

# %% [markdown]
# ## Guess first
#
# Here is a world of 4 × 12 cells. From `S` you want to get to `G`. Each step costs 1. Stepping into a
# cliff cell `C` costs 100 and puts you back at `S`.

# %%
cliff = gridworlds.cliff_walk()
print(cliff.text())

# %% [markdown]
# Two agents learn here. Both explore: one step in ten is random. **One of them will walk along the very
# edge of the cliff, the other will take a detour. Which path collects more reward *while learning*?**
#
# <details><summary>I have guessed. What happens?</summary>
#
# The one on the edge has found the shortest path, and is the *worse* one while it explores: every now
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
# number whose mean is exactly right:
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
# So the update has the same form as (5.1), with $q$ for $V$: move towards the target by a step size α.
#
# $$q(s,a) \leftarrow q(s,a) + \alpha\,\big[\,y - q(s,a)\,\big] \tag{5.4}$$
#
# The minus sign matters: without it nothing is being compared. (The pseudocode collection that this
# course grew from lost it in print, for Q-learning and for SARSA alike.)
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
# Nothing stops us from sampling the inner expectation as well: draw $a'$ from π, which we have to do
# anyway, because it is the action we are going to take.
#
# $$y = r + \gamma\,(1-d)\,Q(s',a') \tag{5.6}$$
#
# A step then uses $s, a, r, s', a'$, and that spells the name. SARSA is **on-policy**: it learns the
# values of the policy that acts, exploration included.
#
# From here on we write targets for a whole *batch* of $B$ transitions at once. Row $i$ of every array
# belongs to transition $i$, and to no other.

# %% [markdown] task="sarsa_target"
# ### Exercise 5.2 · `sarsa_target`
# **Points** 1 · **Difficulty** ●○○ · **Time** 8 min
#
# Compute (5.6) for a batch. `q_next[i]` is the row $Q(s'_i,\cdot)$; where the episode terminated it holds
# arbitrary numbers. `terminated` may come as bool, as int or as float.


# %% exercise="sarsa_target" points=1
def sarsa_target(reward, q_next, action_next, terminated, gamma):
    """The SARSA target (5.6).

    reward, terminated: (B,); q_next: (B, A); action_next: (B,) int; gamma: in [0, 1].
    Returns (B,).
    """
    ### BEGIN SOLUTION
    alive = 1.0 - np.asarray(terminated, dtype=float)
    value_next = q_next[np.arange(len(q_next)), action_next]  # Q(s', a'), row by row
    return reward + gamma * alive * value_next  # (5.6)
    ### END SOLUTION


# %% [markdown] hints="sarsa_target"
# <details><summary>How do I pick another column in every row?</summary>
#
# NumPy takes a pair of index arrays: one says which rows, the other which column in each of them. If you
# index with a colon and the actions, you get every column for every row.
# </details>
# <details><summary>What does <code>terminated</code> have to do?</summary>
#
# It switches the future off. Turn it into numbers, 1 for terminal, and look at where $(1-d)$ stands in
# (5.6): what does it multiply, and what not?
# </details>
# <details><summary>NumPy complains about a minus sign and booleans.</summary>
#
# It refuses to subtract booleans. Convert `terminated` to floats first.
# </details>

# %% check="sarsa_target"
sarsa_target = check("sarsa_target")

# %% [markdown]
# ## Second way: compute the inner expectation. Expected SARSA
#
# We know π: it is ours. So there is no need to sample it.
#
# $$y = r + \gamma\,(1-d)\sum_{a'}\pi(a'|s')\,Q(s',a') \tag{5.7}$$
#
# The mean over $a'$ of (5.6) is (5.7), so both have the same mean; what has gone is the noise of the
# drawn action.

# %% [markdown] task="expected_sarsa_target"
# ### Exercise 5.3 · `expected_sarsa_target`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (5.7) for a batch; `pi_next[i]` is the row $\pi(\cdot|s'_i)$, whatever policy that is.


# %% exercise="expected_sarsa_target" points=1
def expected_sarsa_target(reward, q_next, pi_next, terminated, gamma):
    """The expected SARSA target (5.7).

    reward, terminated: (B,); q_next, pi_next: (B, A); gamma: in [0, 1]. Returns (B,).
    """
    ### BEGIN SOLUTION
    alive = 1.0 - np.asarray(terminated, dtype=float)
    return reward + gamma * alive * (pi_next * q_next).sum(axis=1)  # (5.7)
    ### END SOLUTION


# %% [markdown] hints="expected_sarsa_target"
# <details><summary>What is an expectation, in a table?</summary>
#
# A sum of values, each times its probability. Both tables have the shape (B, A), and you want (B,).
# </details>
# <details><summary>Along which axis?</summary>
#
# Rows are transitions, columns are actions. The sum in (5.7) runs over actions.
# </details>
# <details><summary>Should it not be a mean?</summary>
#
# It is one already: the probabilities of a row sum to 1. Dividing again would make it too small.
# </details>

# %% check="expected_sarsa_target"
expected_sarsa_target = check("expected_sarsa_target")

# %% [markdown]
# Same mean, less noise: measured in state 2, action 1 of the random MDP, with your two targets.

# %%
n = len(s_next)
reward, zeros = np.full(n, world.R[2, 1]), np.zeros(n)
a_next = (rng.random((n, 1)) > pi[s_next].cumsum(axis=1)).sum(axis=1)
sampled = sarsa_target(reward, q_pi[s_next], a_next, zeros, world.gamma)
expected = expected_sarsa_target(reward, q_pi[s_next], pi[s_next], zeros, world.gamma)
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
# \quad\Rightarrow\quad y = r + \gamma\,(1-d)\max_{a'}Q(s',a') \tag{5.8}$$
#
# The target no longer depends on how we act. Q-learning is **off-policy**: it may explore as wildly as it
# likes and still learns what the greedy policy is worth.
#
# Read (5.8) beside (5.7): with π greedy, the expectation *is* the maximum.

# %% [markdown] task="q_learning_target"
# ### Exercise 5.4 · `q_learning_target`
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
# Expected SARSA under the greedy policy is Q-learning, to the last digit:

# %%
q_next, d = rng.normal(size=(5, 4)), np.array([0, 0, 1, 0, 1])
greedy = dynamic_programming.greedy_policy(q_next)
under_greedy = expected_sarsa_target(np.ones(5), q_next, greedy, d, 0.9)
difference = np.abs(under_greedy - q_learning_target(np.ones(5), q_next, d, 0.9)).max()
print(f"largest difference: {difference:.1e}")
assert difference < 1e-12

# %% [markdown]
# ## The price of a maximum
#
# The maximum in (5.8) is taken over *estimates*. Suppose all actions are worth the same, μ, and each
# estimate is right on average: $X_a = \mu + \text{noise}$. Is $\max_a X_a$ right on average? A maximum is a
# convex function, so by Jensen's inequality
#
# $$\mathbb E\big[\max_a X_a\big] \;\ge\; \max_a \mathbb E[X_a] = \mu \tag{5.9}$$
#
# and for two actions we can say by how much. The larger of two numbers is their mean plus half their
# distance, $\max(x,y) = \tfrac12(x+y) + \tfrac12|x-y|$. With independent noise $\mathcal N(0,\sigma^2)$ the
# difference is $\mathcal N(0, 2\sigma^2)$, and the mean of $|\mathcal N(0,s^2)|$ is $s\sqrt{2/\pi}$, so
#
# $$\mathbb E\big[\max(X_1,X_2)\big] = \mu + \tfrac12\cdot\sqrt2\,\sigma\cdot\sqrt{2/\pi} = \mu + \frac{\sigma}{\sqrt\pi} \tag{5.10}$$
#
# The estimates are unbiased, and their maximum is not. The next cell measures it, for two actions and for
# more.

# %%
numbers = [1, 2, 4, 8, 16, 32, 64, 128]
noise = rng.normal(size=(20_000, max(numbers)))
bias = np.array([noise[:, :k].max(axis=1).mean() for k in numbers])
print(f"two actions: measured {bias[1]:.3f}, (5.10) says {1 / np.sqrt(np.pi):.3f}")
assert abs(bias[1] - 1 / np.sqrt(np.pi)) < 0.03

# %% [markdown]
# The repair is to let *different* noise do the two jobs of a maximum, selecting and evaluating. Take two
# independent sets of estimates, $X^A$ and $X^B$: let A say which action is best, and ask B what it is
# worth. B knows nothing of A's luck, so for actions that are all worth μ
#
# $$\mathbb E\big[X^B_{\arg\max_a X^A_a}\big] = \mu \tag{5.11}$$
#
# (When the actions differ in worth, it can only be too low, never too high: A may pick a wrong one.)

# %%
other = rng.normal(size=noise.shape)
picked = [np.take_along_axis(other, noise[:, :k].argmax(1)[:, None], 1).mean() for k in numbers]
ax = plots.curves({"max of one set": bias, "A selects, B evaluates": np.array(picked)}, x=numbers,
                  xlabel="number of actions", ylabel="mean of the estimate (true value 0)")  # fmt: skip
ax.set_xscale("log", base=2)
plots.show(ax, alt="The mean maximum of unbiased estimates rises with the number of actions, from "
           "0 for one to about 2.5 for 128; the double estimate stays at 0.")  # fmt: skip
assert np.abs(picked).max() < 0.05

# %% [markdown]
# The first curve climbs with the number of actions; the second stays at zero. Put this into the target and
# you have **double Q-learning**: two tables, and for the update of A
#
# $$y = r + \gamma\,(1-d)\,Q_B\big(s',\ \arg\max_{a'}Q_A(s',a')\big) \tag{5.12}$$
#
# A coin says at each step which table is updated; for updating B the letters change places. (The tutorial
# slides print the roles the other way round: there the table that is *not* updated selects. Either is
# unbiased, but van Hasselt's paper and the book have it as in (5.12), and so have we.)

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
# <details><summary>In which order do I read (5.12)?</summary>
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
ax = plots.curves({name: 100 * share for name, share in left.items()}, xlabel="episode",
                  ylabel="% of runs that go left")  # fmt: skip
ax.axhline(100 * least, color="black", linewidth=1, linestyle=":")
ax.set_ylim(0, 100)
plots.show(ax, alt="Share of left actions by episode. Q-learning rises steeply above 50 percent "
           "before it falls slowly; double Q-learning falls towards 5 percent.")  # fmt: skip
print(f"highest share of left: Q-learning {left['Q-learning'].max():.0%}, "
      f"double {left['double Q-learning'].max():.0%}; the least possible is {least:.0%}")  # fmt: skip

# %% [markdown]
# This is figure 6.5 of the book. Q-learning first becomes *convinced* that left is good, since the best of ten
# lucky estimates in B is positive; it needs hundreds of episodes to unlearn that. With two tables the conviction
# never forms. The dotted line is what ε-greedy exploration costs anybody.

# %% [markdown]
# ## The loops
#
# Targets in hand, an algorithm is a loop around (5.4). Two lines decide which one it is: *when* the next action
# is chosen, and what the target asks for. In **SARSA** the next action is chosen before the update, because the
# target needs it, and then it must really be taken:
#
# > reset to $s$; choose $a$ from row $q(s,\cdot)$ ·
# > *until the episode ends:* step with $a$, see $r, s'$ · choose $a'$ from row $q(s',\cdot)$ · update $q(s,a)$ by (5.4)
# > with target (5.6) · $s, a \leftarrow s', a'$
#
# (The pseudocode collection ends both loops with "$s_{t+1} \leftarrow s_t$": the arrow is the wrong way round.)

# %% [markdown] task="sarsa"
# ### Exercise 5.6 · `sarsa`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Write SARSA. `select(q_row, rng)` chooses an action from a row of q.
#
# - Start with a table of zeros, `(env.observation_space.n, env.action_space.n)`. Call `env.reset()` once an episode,
#   without arguments; never step after an end.
# - An episode ends when `terminated` **or** `truncated`. Only `terminated` switches the future off: after a time
#   limit the last update still bootstraps from $s', a'$ (that $a'$ is then not taken).
# - You may call your own `sarsa_target` on a batch of one, or write (5.6) out.


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
# After the step, before the update, from the row of the state you arrived in. The same action goes into the target
# *and* into the next call of `step`.
# </details>
# <details><summary>What is the last line of a round?</summary>
#
# Moving on: the state becomes the next state, and the action becomes the next action. If one of the two is
# forgotten, the loop still runs, and learns nonsense.
# </details>

# %% check="sarsa"
sarsa = check("sarsa")

# %% [markdown]
# **Q-learning** is simpler: its target asks nobody what happens next.
#
# > reset to $s$ ·
# > *until the episode ends:* choose $a$ from row $q(s,\cdot)$ · step with $a$, see $r, s'$ · update $q(s,a)$ by (5.4) with
# > target (5.8) · $s \leftarrow s'$
#
# The action is chosen at the *start* of each round, from a table that has already learned from the last step.

# %% [markdown] task="q_learning"
# ### Exercise 5.7 · `q_learning`
# **Points** 3 · **Difficulty** ●●○ · **Time** 15 min
#
# Write Q-learning, with the same arguments and the same care about the two flags as in 5.6. One call of `select` a
# step, none at the end.


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
# Two things: the target, and the place where the action is chosen. There is no next action to carry from round to
# round.
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
# ## The experiment: your loops on the cliff
#
# 500 episodes, α = 0.5, ε = 0.1, γ = 1, twenty runs with different seeds. Two of the curves are made by your loops. The
# other two are the course's loops with *your targets* inside, `q_learning_target` and `expected_sarsa_target`: if your target
# is wrong, they are learned with the reference instead, and the line above the figure says so.


# %%
def expected_sarsa(env, select, *rest):
    # It needs to know ε, not to draw.
    return control.expected_sarsa(env, 0.1, *rest, target=expected_sarsa_target)


def with_the_target(*arguments):
    return control.q_learning(*arguments, target=q_learning_target)


loops = {
    "SARSA": sarsa,
    "Q-learning": q_learning,
    f"expected SARSA, {whose('expected_sarsa_target')} target": expected_sarsa,
    f"Q-learning, {whose('q_learning_target')} target": with_the_target,
    "Q-learning, all the course's": control.q_learning,
}
results = cliff_experiment(loops, np.random.default_rng(5), runs=20, epsilon_greedy=epsilon_greedy)

# %%
parts = ("sarsa", "q_learning", "q_learning_target", "expected_sarsa_target", "epsilon_greedy")
print("learned with " + authorship(*parts))
returns = {name: result.returns for name, result in results.items()}
shown = {name: runs for name, runs in returns.items() if "course's" not in name}
ax = plots.curves(shown, smooth=20, xlabel="episode", ylabel="reward in the episode")
ax.set_ylim(-120, 0)
plots.show(
    ax,
    alt="Reward per episode while learning on the cliff: SARSA and expected SARSA level off "
    "near minus 20 to 30, both Q-learning curves clearly lower near minus 50.",
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
# Now look at *why*. Switch exploration off and follow the greedy policy of what was learned, the mean of the twenty
# tables of each:

# %%
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
# ## Change one thing: ε
#
# Run the next cell, then change `epsilons`. **What to look for:** the less the agents explore, the less the cliff
# punishes Q-learning, and the closer SARSA's path moves to the edge. At ε = 0 they learn the same thing: what is
# left of (5.6) then?

# %%
epsilons = [0.2, 0.1, 0.02]
ablation = {}
for epsilon in epsilons:
    learned = cliff_experiment(
        {"SARSA": sarsa, "Q-learning": q_learning},
        np.random.default_rng(7),
        episodes=400,
        epsilon=epsilon,
        epsilon_greedy=epsilon_greedy,
    )
    for name, result in learned.items():
        ablation[f"{name}\nε = {epsilon}"] = result.returns[:, -100:].mean(axis=1)
ax = plots.bars(ablation, ylabel="reward, last 100 episodes", digits=0, ax=plots.axes(size="wide"))
plots.show(ax, alt="Reward over the last 100 episodes for SARSA and Q-learning at three values of ε: the gap "
           "between them shrinks as ε shrinks.")  # fmt: skip

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** Is Q-learning's behaviour optimal in the experiment above? Are its values?
#
# <details><summary>Answer</summary>
#
# Its values approach $Q^*$, so its greedy policy is optimal. Its *behaviour* is ε-greedy and falls off the cliff now and
# then: the values do not describe what it earns while it explores.
# </details>
#
# **2.** You are given a log of transitions $(s,a,r,s',d)$ from a colleague's agent. With which of the three targets can
# you learn from it?
#
# <details><summary>Answer</summary>
#
# With (5.8): it asks for nothing but $s'$. With (5.7) too, if you say for which π. With (5.6) only if the log also holds
# $a'$, and then you learn your colleague's values, not yours. Part II lives on this difference: a replay buffer is such
# a log.
# </details>
#
# **3.** The biased estimate in figure 6.5 does disappear in the end. Why worry?
#
# <details><summary>Answer</summary>
#
# The noise shrinks as a table entry is visited again and again. With a network that generalises to states it has hardly
# seen there is always fresh noise for the maximum to pick, and the target then carries the error on to other states.
# </details>

# %% [markdown]
# ## What we hand on
#
# One update, three targets, and a table with an entry for every state and action:
#
# $$q(s,a) \leftarrow q(s,a) + \alpha\,\big[\,r + \gamma\,(1-d)\max_{a'}q(s',a') - q(s,a)\,\big]$$
#
# What can no longer be computed when there are too many states? The table itself. Lesson 06 replaces $V(s)$ by a
# function $\hat v(s;w)$ with a few weights, and asks what becomes of (5.1) when moving one value moves them all.
