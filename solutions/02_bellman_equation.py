# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · The Bellman equation
#
# Part I · 00 → 01 → **02** → 03 → 04 → 05
#
# - **You will be able to** derive the equation that the whole course is about, go back and forth between $V$, $Q$ and the
#   advantage, and solve for a policy's values in two ways: at once, and by repeating a backup until nothing changes.
# - **Builds on** lesson 01 (MDPs, what a policy makes of them, returns).
# - **Time** 100 minutes alone, 60 as a lecture.
# - **Sources** Sutton & Barto, 2nd edition, §3.5, §4.1; Puterman 1994, *Markov Decision Processes*, §6.1–6.3; Max Du's tutorial slides
#   "Review of Q-Learning" (CS 224R, Stanford).

# %%
import numpy as np

from rlcourse.checker import authorship, check
from rlcourse.lab import plots
from rlcourse.tabular import dynamic_programming, gridworlds, mdp

# %% [markdown]
# ## What we inherit
#
# Lesson 01 ended with a number for a whole policy, the mean of the return over all trajectories τ, and with a way to take a return apart:
#
# $$J(\pi) = \mathbb E_\tau\Big[\sum_{t\ge0}\gamma^t r_t\Big],\qquad G_t = r_t + \gamma\,G_{t+1} \tag{2.1}$$
#
# $J$ says how good a policy is *from the start on*. To improve a policy we need to know more: how good it is from *each* state,
# and how good each *action* is there.

# %% [markdown]
# ## Guess first
#
# A 5 × 5 world from Sutton & Barto. Every action moves one cell; bumping into the border costs 1. Whatever you do in `A` pays 10
# and throws you to `a`; in `B` it pays 5 and throws you to `b`. γ = 0.9, and all moves are drawn at random.

# %%
grid = gridworlds.book_5x5()
print(grid.text())

# %% [markdown]
# **Is `A` worth more than 10, or less? And `B`, more or less than 5?**
#
# <details><summary>I have guessed.</summary>
#
# `A` is worth *less* than 10: it throws you to the bottom row, where a random walker bumps into the border a lot. `B` is worth
# *more* than 5: it throws you to the middle, from where `A` and `B` are often found again. You will compute both to the
# decimal.
# </details>

# %% [markdown]
# ## Values
#
# Fix a policy π. The **action value** is the mean return if we start in $s$, take the action $a$, whatever π thinks of it, and
# follow π from then on:
#
# $$Q^\pi(s,a) = \mathbb E_\tau\Big[\sum_{k\ge t}\gamma^{k-t}\,r_k \;\Big|\; s_t = s,\ a_t = a\Big] \tag{2.2}$$
#
# The **state value** $V^\pi(s)$ is the same without fixing the action. Always write the superscript: there is no such thing as
# "the value of a state", only its value *under a policy*. A capital with its superscript is the truth; a table of ours that may be
# wrong is written small, $v$ and $q$.

# %% [markdown]
# ## Peel off one step
#
# Take the first term out of the sum in (2.2). What is left has γ in every term; factor it out:
#
# $$Q^\pi(s,a) = \mathbb E_\tau\Big[\,r_t + \gamma\sum_{k\ge t+1}\gamma^{k-(t+1)}\,r_k \;\Big|\; s_t = s,\ a_t = a\Big]$$
#
# The trajectory τ from here on begins with $s_{t+1}$ and $a_{t+1}$; call the rest of it τ'. An expectation over τ is an
# **outer** expectation over its first two entries and an **inner** one over τ', given those two. The mean of $r_t$, given
# $s_t = s$ and $a_t = a$, is $r(s,a)$ by definition, whatever comes later. So only the sum stays inside:
#
# $$Q^\pi(s,a) = r(s,a) + \gamma\,\underbrace{\mathbb E_{s_{t+1},\,a_{t+1}}}_{\text{outer}}\Big[\underbrace{\mathbb E_{\tau'}\Big[\sum_{k\ge t+1}\gamma^{k-(t+1)}\,r_k \;\Big|\; s_{t+1}, a_{t+1}\Big]}_{\text{inner}}\Big] \tag{2.3}$$
#
# Now look at the inner expectation. It is the mean return from step $t+1$ on, starting in $s_{t+1}$ with $a_{t+1}$, and nothing else
# stands behind its bar. May $s_t$ and $a_t$ be left out there? Yes: that is the **Markov property**. What happens from $s_{t+1}$ and
# $a_{t+1}$ on is drawn from $p$ and π, which look at the present state and action and not at how one came there. So it is (2.2), one
# step later: $Q^\pi(s_{t+1}, a_{t+1})$. It is the *same* function $Q^\pi$, without an index for the time, because $p$, $r$ and π are
# the same at every step and the sum has no end: whoever stands in $s$ has all of the future before him, whatever the clock says.
#
# And the outer expectation has two parts: the world answers with $s' \sim p(\cdot|s,a)$, then we act with $a' \sim \pi(\cdot|s')$:
#
# $$Q^\pi(s,a) = r(s,a) + \gamma\,\mathbb E_{s'\sim p(\cdot|s,a)}\Big[\mathbb E_{a'\sim\pi(\cdot|s')}\big[Q^\pi(s',a')\big]\Big] \tag{2.4}$$
#
# This is the **Bellman equation**. The infinite sum has gone. What stands in its place is the unknown itself, one step later:
# values must be *consistent* with their neighbours. Everything in this course is a way of using that.
#
# (A terminal state is one that leads to itself without reward, as in lesson 01. For γ < 1 the equation then says
# $V = \gamma V$ there, so its value is 0.)

# %% [markdown]
# The innermost mean, $\mathbb E_{a'\sim\pi}[Q^\pi(s',a')]$, is the value of $s'$ when π chooses the action: $V^\pi(s')$. So (2.4)
# splits into two half-steps. From state values to action values, by what the *world* does:
#
# $$Q^\pi(s,a) = r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,V^\pi(s') \tag{2.5}$$

# %% [markdown]
# And from action values back to state values, by what *we* do:
#
# $$V^\pi(s) = \sum_a\pi(a|s)\,Q^\pi(s,a) \tag{2.6}$$
#
# How much better than usual is an action? "Usual" is what π gets on average in that state:
#
# $$A^\pi(s,a) = Q^\pi(s,a) - V^\pi(s) = Q^\pi(s,a) - \sum_b\pi(b|s)\,Q^\pi(s,b) \tag{2.7}$$
#
# This is the **advantage**. It is positive for actions better than π's average, and its own mean under π is 0.

# %% [markdown] task="q_and_advantage"
# ### Exercise 2.1 · `q_and_advantage`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min
#
# Look one step ahead from a table `v`, (2.5), and compare the actions by what comes out, (2.7): return `q` and the advantages. `P[s, a, s']`,
# `R[s, a]`, `pi[s, a]` and `v[s]` are arrays.
#
# - `v` is *any* table, a wrong one too: read (2.5) and (2.7) with v, q in the place of $V^\pi$, $Q^\pi$.
# - Mind the shapes: (S, A) minus (S,) is not what you want, and if S = A NumPy does not complain.


# %% exercise="q_and_advantage" points=2
def q_and_advantage(v, P, R, pi, gamma):
    """One look ahead from v, and the advantage of every action (2.5), (2.7).

    v: (S,), any table; P: (S, A, S); R, pi: (S, A); gamma: in [0, 1]. Returns q (S, A) and the advantages (S, A).
    """
    ### BEGIN SOLUTION
    q = R + gamma * (P @ v)  # (2.5): @ sums over the last axis, s'
    mean = np.sum(
        pi * q, axis=1, keepdims=True
    )  # (2.6), as (S, 1), so that it lines up with the rows
    return q, q - mean  # (2.7)
    ### END SOLUTION


# %% [markdown] hints="q_and_advantage"
# <details><summary>Which index is summed over in (2.5), and what does γ multiply?</summary>
#
# The next state: the last index of `P` and the only one of `v`. A product of matrices sums over neighbouring indices, also when the
# first array has three of them; loops do as well. γ multiplies what comes one step later; the reward comes now.
# </details>
# <details><summary>What is subtracted from what, and how do I make NumPy line it up with rows?</summary>
#
# The mean under π of a row from every entry of that row. An array of shape (S, 1) is stretched along the actions; one of shape (S,) is
# taken for a row. There is a keyword of `sum` that keeps the axis, and an index that makes a new one.
# </details>
# <details><summary>How can I test it?</summary>
#
# Multiply the advantages by π and sum over the actions: 0 in every state, whatever `v` is. If it is not, ask where the number that you
# subtract comes from.
# </details>

# %% check="q_and_advantage"
q_and_advantage = check("q_and_advantage")

# %% [markdown]
# Do (2.5), (2.6) and (2.7) fit together? In a random MDP: from true values to $Q^\pi$, back to $V^\pi$, and the mean advantage.

# %%
rng = np.random.default_rng(0)
world = mdp.garnet(n_states=8, n_actions=3, branching=4, rng=rng)
P, R, gamma = world.P, world.R, world.gamma
pi = rng.dirichlet(np.ones(3), size=8)
v_pi = dynamic_programming.solve_bellman(P, R, pi, gamma)
q_pi, advantage = q_and_advantage(v_pi, P, R, pi, gamma)
there_and_back = np.abs(dynamic_programming.v_from_q(q_pi, pi) - v_pi).max()
mean_advantage = np.abs((pi * advantage).sum(axis=1)).max()
print(
    f"V → Q → V changes at most {there_and_back:.1e}; the mean advantage is at most {mean_advantage:.1e}"
)
assert there_and_back < 1e-9 and mean_advantage < 1e-9

# %% [markdown]
# And the derivation itself? (2.2) is an average over trajectories. Simulate 4000 of them from one state and action, long enough
# that γ has forgotten the rest, and compare with the solution of (2.4):

# %%
s, a, steps = np.full(4000, 3), np.full(4000, 1), 120
total = np.zeros(4000)
for t in range(steps):
    total += gamma**t * R[s, a]
    s = (rng.random((4000, 1)) > P[s, a].cumsum(axis=1)).sum(axis=1).clip(max=7)
    a = (rng.random((4000, 1)) > pi[s].cumsum(axis=1)).sum(axis=1).clip(max=2)
standard_error = total.std() / np.sqrt(4000)
print(
    f"Q(3, 1) by (2.4): {q_pi[3, 1]:.3f}; mean of 4000 returns: {total.mean():.3f} ± {standard_error:.3f}"
)
assert abs(total.mean() - q_pi[3, 1]) < 4 * standard_error

# %% [markdown]
# ## The backup
#
# Put (2.5) into (2.6), and read the equality as an *operation*: it takes any table $v$ and gives a new one.
#
# $$(T^\pi v)(s) = \sum_a\pi(a|s)\Big[r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,v(s')\Big] \tag{2.8}$$
#
# Every state looks one step ahead and corrects itself by what it sees in the *old* table. The values of π are the one table that
# this operation does not change: $T^\pi V^\pi = V^\pi$.

# %% [markdown] task="bellman_backup"
# ### Exercise 2.2 · `bellman_backup`
# **Points** 1 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute (2.8), as a new array; `v` keeps its values, and all states are backed up from the same old `v`. You may use your
# `q_and_advantage`.


# %% exercise="bellman_backup" points=1
def bellman_backup(v, P, R, pi, gamma):
    """One Bellman backup of every state (2.8).

    v: (S,); P: (S, A, S); R, pi: (S, A); gamma: in [0, 1]. Returns a new (S,).
    """
    ### BEGIN SOLUTION
    one_step_ahead = R + gamma * np.einsum("sat,t->sa", P, v)  # the bracket of (2.8)
    return np.einsum("sa,sa->s", pi, one_step_ahead)
    ### END SOLUTION


# %% [markdown] hints="bellman_backup"
# <details><summary>Which pieces do I have already?</summary>
#
# The bracket, for all states and actions: it is a table that you have made already. What remains is to average it over the actions.
# </details>
# <details><summary>I loop over the states. What can go wrong?</summary>
#
# If you write into the array you read from, later states see new values of earlier ones. Write into another one.
# </details>
# <details><summary>What are the two averages over?</summary>
#
# The inner one over next states, by `P`; the outer one over actions, by `pi`.
# </details>

# %% check="bellman_backup"
bellman_backup = check("bellman_backup")

# %% [markdown]
# ## First way: solve it
#
# (2.8) is linear in $v$. With the matrices of lesson 01, $P^\pi$ and $r^\pi$, the fixed point reads
#
# $$V^\pi = r^\pi + \gamma P^\pi V^\pi \tag{2.9}$$
#
# Bring the unknown to one side:
#
# $$(I - \gamma P^\pi)\,V^\pi = r^\pi \tag{2.10}$$
#
# S equations for S unknowns. For γ < 1 there is exactly one solution: the entries of $P^\pi v$ are averages of
# those of $v$, so the largest absolute entry of $\gamma P^\pi v$ is smaller than that of $v$, unless $v = 0$. Hence
# $\gamma P^\pi v = v$ has no solution but 0, and $I - \gamma P^\pi$ can be inverted.

# %% [markdown] task="solve_bellman"
# ### Exercise 2.3 · `solve_bellman`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Solve (2.10). Build $P^\pi$ and $r^\pi$ from `P`, `R` and `pi`, as in lesson 01 (`mdp.policy_transition` and
# `mdp.policy_reward` are there too).


# %% exercise="solve_bellman" points=2
def solve_bellman(P, R, pi, gamma):
    """The values of a policy, by a linear system (2.10).

    P: (S, A, S); R, pi: (S, A); gamma: in [0, 1). Returns (S,).
    """
    ### BEGIN SOLUTION
    P_pi = np.einsum("sa,sat->st", pi, P)  # (1.4)
    r_pi = np.sum(pi * R, axis=1)  # (1.5)
    return np.linalg.solve(np.eye(len(r_pi)) - gamma * P_pi, r_pi)  # (2.10)
    ### END SOLUTION


# %% [markdown] hints="solve_bellman"
# <details><summary>How do I solve a linear system?</summary>
#
# `np.linalg.solve(M, b)` gives the x with M x = b. What are M and b in (2.10)?
# </details>
# <details><summary>What is I in NumPy?</summary>
#
# `np.eye(n)`: ones on the diagonal. The number 1 would be stretched to ones everywhere.
# </details>
# <details><summary>I get enormous numbers, or an error about a singular matrix.</summary>
#
# Without γ the rows of your matrix sum to 0, and no such matrix can be inverted. Look at where γ stands in (2.10).
# </details>

# %% check="solve_bellman"
solve_bellman = check("solve_bellman")

# %% [markdown]
# Now the table you guessed at: the values of the random policy in the 5 × 5 world. They are those of figure 3.2 in the book, to
# the printed decimal.

# %%
m = grid.mdp
random_policy = np.full((25, 4), 0.25)
v_random = solve_bellman(m.P, m.R, random_policy, m.gamma)
book = [[3.3, 8.8, 4.4, 5.3, 1.5], [1.5, 3.0, 2.3, 1.9, 0.5], [0.1, 0.7, 0.7, 0.4, -0.4],
        [-1.0, -0.4, -0.4, -0.6, -1.2], [-1.9, -1.3, -1.2, -1.4, -2.0]]  # fmt: skip
print("by " + authorship("solve_bellman"))
ax = plots.grid_values(v_random, grid.shape, cells=grid.cells, labels=grid.labels)
plots.show(ax, alt="Values of the random policy in the 5 by 5 gridworld: 8.8 at A, 5.3 at B, falling to minus "
           "2.0 in the lower right corner.")  # fmt: skip
assert (v_random.reshape(5, 5).round(1) == book).all()

# %% [markdown]
# ## Second way: repeat the backup
#
# Solving S equations at once takes about $S^3$ operations, and needs all of $P$ in one place. The other way is to start from any
# table and *use* (2.8) as an assignment, again and again; one such assignment for all states is a **sweep**:
#
# $$v_k = T^\pi v_{k-1},\qquad k = 1, 2, \dots\qquad\text{until the table hardly changes} \tag{2.11}$$
#
# Why should that lead anywhere? Take two tables $v$ and $w$ and back up both. Rewards cancel in the difference, and an average is
# never larger than the largest of what it averages:
#
# $$|(T^\pi v)(s) - (T^\pi w)(s)| = \gamma\,\Big|\sum_a\pi(a|s)\sum_{s'}p(s'|s,a)\,[v(s') - w(s')]\Big| \le \gamma\,\max_{s'}|v(s') - w(s')|$$
#
# Write $\|x\|_\infty = \max_s|x(s)|$ for the largest absolute entry of a table, its **max norm**. $\|v-w\|_\infty$ then is how far apart
# two tables are where they differ most, and what we have shown for every $s$ reads
#
# $$\|T^\pi v - T^\pi w\|_\infty \le \gamma\,\|v - w\|_\infty \tag{2.12}$$
#
# The backup is a **contraction**: it brings any two tables closer, by a factor γ. Let one of them be $V^\pi$, which stays where it
# is: then $\|v_k - V^\pi\|_\infty \le \gamma^k\,\|v_0 - V^\pi\|_\infty$.

# %% [markdown]
# **Talk to your neighbour.** Two tables agree in all states but one, where they differ by 10. Both are backed up once, γ = 0.9. How far apart
# can they be then, in any state? Vote:
#
# A · still 10 in that one state, 0 elsewhere  B · at most 9, perhaps in many states  C · more than 10: errors add up over the states
# D · 9 in every state
#
# The next cell measures it, on 300 random pairs of tables.

# %%
ratios = []
for _ in range(300):
    v, w = rng.normal(size=(2, 8)) * 10
    after = bellman_backup(v, P, R, pi, gamma) - bellman_backup(w, P, R, pi, gamma)
    ratios.append(np.abs(after).max() / np.abs(v - w).max())
print(
    f"distance after a backup / before: mean {np.mean(ratios):.2f}, largest {max(ratios):.2f}, γ = {gamma}"
)
assert max(ratios) <= gamma + 1e-12
one_state = 10 * np.eye(8)[3]
after = bellman_backup(one_state, P, R, pi, gamma) - bellman_backup(0 * one_state, P, R, pi, gamma)
print("10 in state 3 alone, after one backup:", after.round(2))
assert np.abs(after).max() <= 9

# %% [markdown]
# (B. The gap spreads to every state that can reach state 3, and each sees only its own share of it, times γ.)
#
# ### What is left when we stop?
#
# A loop cannot wait for ever. It sees by how much the last sweep changed the table. It does not see $V^\pi$, so it does not know its
# error. From (2.12) alone one can nevertheless say two things, before the first sweep is made.

# %% [markdown] task="stopping_bound"
# ### Exercise 2.4 · `stopping_bound`
# **Points** 2 · **Difficulty** ●●○ · **Time** 20 min · with pencil and paper
#
# Sweeps (2.11) stop after the first one that moves the table by less than `tolerance`, all distances as in (2.12). When they have stopped,
# **how far can the table that is returned still be from** $V^\pi$? And **after how many sweeps have they certainly stopped**, if the
# first one moved the table by `first_change`? Find both on paper. Then write them down: a float and an int.
#
# - Promise no more than (2.12) gives, and no less: the smallest such number in both cases.
# - Any world may come. The first sweep may change nothing, and γ may be 0.


# %% exercise="stopping_bound" points=2
def stopping_bound(tolerance, gamma, first_change):
    """How far the last table is from V^π at most, and after how many sweeps it is there at the latest.

    tolerance > 0; gamma: in [0, 1); first_change ≥ 0: the distance of the first two tables. Returns a float and an int ≥ 1.
    """
    ### BEGIN SOLUTION
    # ‖v_k − V‖ ≤ γ ‖v_{k−1} − V‖ ≤ γ (‖v_{k−1} − v_k‖ + ‖v_k − V‖): solve for ‖v_k − V‖
    error = gamma * tolerance / (1 - gamma)
    sweeps, change = 1, first_change
    while change >= tolerance:  # ‖v_{k+1} − v_k‖ ≤ γ ‖v_k − v_{k−1}‖
        sweeps, change = sweeps + 1, gamma * change
    return error, sweeps
    ### END SOLUTION


# %% [markdown] hints="stopping_bound"
# <details><summary>V^π is not known. How can I say anything about the distance to it?</summary>
#
# It is the one table that a backup leaves alone. So the distance of $v_k$ to $V^\pi$ is the distance of two tables that have *both* been
# backed up, and (2.12) compares it with the distance one sweep earlier.
# </details>
# <details><summary>Now the distance of the table before stands there. I do not know that either.</summary>
#
# Go from $v_{k-1}$ to $V^\pi$ by way of $v_k$: the first part of the way is what the last sweep changed. You then have an inequality with
# the same unknown on both sides. Solve it.
# </details>
# <details><summary>And the number of sweeps?</summary>
#
# Two tables that follow one another are two tables. What does (2.12) say of the changes of two sweeps in a row? Write down the first three,
# then the k-th, and try your answer where the first change is small enough already.
# </details>

# %% check="stopping_bound"
stopping_bound = check("stopping_bound")

# %% [markdown]
# Do both promises hold, and are they ever met? Two hundred random worlds with random policies, and one state that leads to itself, for which
# (2.12) is an equality:

# %%
used, closest = [], []
for _ in range(200):
    g, tol = rng.uniform(0.3, 0.97), 10 ** rng.uniform(-5, -1)
    world = mdp.garnet(n_states=6, n_actions=3, branching=3, rng=rng)
    policy = rng.dirichlet(np.ones(3), size=6)
    first_change = np.abs(mdp.policy_reward(world.R, policy)).max()  # v_0 = 0, v_1 = r^π
    error, at_most = stopping_bound(tol, g, first_change)
    v, sweeps = dynamic_programming.policy_evaluation(world.P, world.R, policy, g, tol)
    truth = dynamic_programming.solve_bellman(world.P, world.R, policy, g)
    assert sweeps <= at_most and np.abs(v - truth).max() <= error + 1e-12
    used.append(sweeps / at_most)
    closest.append(np.abs(v - truth).max() / error)
print(f"by {authorship('stopping_bound')}: no promise broken in 200 worlds")
print(f"sweeps used: {np.mean(used):.0%} of those promised on average, at most {max(used):.0%}")
print(
    f"error left:  {np.mean(closest):.0%} of that promised on average, at most {max(closest):.0%}"
)
alone, stay = np.ones((1, 1, 1)), np.ones((1, 1))
v, sweeps = dynamic_programming.policy_evaluation(alone, stay, stay, 0.9, 1e-3)
error, at_most = stopping_bound(1e-3, 0.9, 1.0)
print(f"one state with a loop: {sweeps} sweeps, promised {at_most}; "
      f"error {10 - v[0]:.5f}, promised {error:.5f}")  # fmt: skip
assert sweeps == at_most and 10 - v[0] <= error

# %% [markdown] task="policy_evaluation"
# ### Exercise 2.5 · `policy_evaluation`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Write (2.11): start from zeros, sweep, and stop after the first sweep in which the table hardly changes, by less than `tolerance`. Return the
# new values and the number of sweeps, the last one included.
#
# - "By how much has the *table* changed?" is for you to answer with one number. Two worlds side by side in one table must go on exactly as long
#   as the slower of the two.
# - Sweeping in place, state after state in one array, as in the book's box, is right too; it mostly needs fewer sweeps.


# %% exercise="policy_evaluation" points=3
def policy_evaluation(P, R, pi, gamma, tolerance):
    """Iterative policy evaluation (2.11).

    P: (S, A, S); R, pi: (S, A); gamma: in [0, 1]; tolerance > 0.
    Returns v (S,) and the number of sweeps, an int ≥ 1.
    """
    ### BEGIN SOLUTION
    v = np.zeros(len(R))
    sweeps = 0
    while True:
        new = np.sum(pi * (R + gamma * (P @ v)), axis=1)  # a backup of every state (2.8)
        sweeps += 1
        largest_change = np.max(np.abs(new - v))
        v = new
        if largest_change < tolerance:
            return v, sweeps
    ### END SOLUTION


# %% [markdown] hints="policy_evaluation"
# <details><summary>What does one round of the loop do?</summary>
#
# It makes a new table from the old one, counts, compares the two, and lets the new one become the old one.
# </details>
# <details><summary>It stops after one sweep.</summary>
#
# Is your old table a copy? `old = v` makes a second name for one array: if you then write into `v`, `old` changes with it.
# </details>
# <details><summary>How do I know whether my number is a good one?</summary>
#
# Try it on changes that you make up: one state rises by 1 and another falls by 1; all values fall; one state of a thousand still moves. In which
# of these is the table settled, and what does your number say?
# </details>

# %% check="policy_evaluation"
policy_evaluation = check("policy_evaluation")

# %% [markdown]
# ## Your sweeps at work
#
# The 5 × 5 world again, by your loop. It must agree with the solution of the linear system, within what your `stopping_bound` promises:

# %%
tolerance = 1e-4
v_swept, sweeps = policy_evaluation(m.P, m.R, random_policy, m.gamma, tolerance)
error = np.abs(v_swept - v_random).max()
first_change = np.abs(mdp.policy_reward(m.R, random_policy)).max()
promised, at_most = stopping_bound(tolerance, m.gamma, first_change)
print("by", authorship("policy_evaluation", "stopping_bound"))
print(
    f"{sweeps} sweeps, promised at most {at_most}; error {error:.1e}, promised at most {promised:.1e}"
)
assert error <= promised and sweeps <= at_most

# %% [markdown]
# Error after k sweeps, for several γ, beside the promise $\gamma^k$ (thin, grey). No curve is above its promise. At first they fall
# faster: errors of opposite sign cancel in the averages. In the end they run parallel to it: what is left is the *same* error
# in every state, and averaging does nothing to equal numbers; only γ shrinks them. That is why γ near 1 is expensive.

# %%
errors = {}
for g in (0.5, 0.8, 0.9, 0.95):
    target, v = dynamic_programming.solve_bellman(m.P, m.R, random_policy, g), np.zeros(25)
    errors[f"γ = {g}"] = np.zeros(60)
    for k in range(60):
        errors[f"γ = {g}"][k] = np.abs(v - target).max() / np.abs(target).max()
        v = bellman_backup(v, m.P, m.R, random_policy, g)
        assert errors[f"γ = {g}"][k] <= g**k + 1e-12
ax = plots.curves(errors, x=np.arange(60), xlabel="sweeps k", ylabel="error relative to the start")
for g in (0.5, 0.8, 0.9, 0.95):
    ax.plot(np.arange(60), g ** np.arange(60.0), color="gray", linewidth=1, linestyle=":")
ax.set_yscale("log")
ax.set_ylim(1e-6, 2)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
above_rounding = {name: e[e > 1e-12] for name, e in errors.items()}
print("factor of the last sweep:", {n: f"{e[-1] / e[-2]:.2f}" for n, e in above_rounding.items()})
plots.show(ax, alt="Relative error against the number of sweeps on a logarithmic axis: steeper for smaller γ, each "
           "below the grey line of its γ to the power k and in the end parallel to it.")  # fmt: skip

# %% [markdown]
# And *how* the values come about: one sweep knows one step, two sweeps know two. Information spreads over the grid, one cell a
# sweep. Move the slider:

# %%
history, v = [np.zeros(25)], np.zeros(25)
for _ in range(12):
    v = bellman_backup(v, m.P, m.R, random_policy, m.gamma)
    history.append(v)
plots.animate_values(history, grid.shape, cells=grid.cells, labels=grid.labels,
                     alt="Values of the random policy after 0 to 12 sweeps, spreading from A, B and the border.")  # fmt: skip

# %% [markdown]
# ## Change one thing: the start
#
# Sweeps may begin anywhere. Change `start` and run the cell: **what to look for** is whether the number of sweeps changes, and
# whether the result does.

# %%
for start in (0.0, 20.0, -1000.0):
    v, distances = np.full(25, start), []
    for _ in range(250):
        v = bellman_backup(v, m.P, m.R, random_policy, m.gamma)
        distances.append(np.abs(v - v_random).max())
    needed = int(np.argmax(np.array(distances) < 1e-3)) + 1
    print(
        f"start {start:8.0f}: within 0.001 of V^π after {needed:3d} sweeps; after 250 at {distances[-1]:.0e}"
    )
    assert distances[-1] < 1e-6

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** What future returns does $Q$ in (2.4) estimate: those of π, those of the best policy, or something else?
#
# <details><summary>Answer</summary>
#
# Those of π, after the first action, which may be any. It is π that draws $a'$ in the equation; change it, and the solution
# changes.
# </details>
#
# **2.** Is (2.4) true for *any* function $Q$?
#
# <details><summary>Answer</summary>
#
# No. It is true for exactly one, $Q^\pi$. For any other table the two sides differ, and the backup moves it. That difference will
# be called the TD error when we have to sample it.
# </details>
#
# **3.** Sweeping in place mostly needs fewer sweeps. Does their result depend on the order of the states?
#
# <details><summary>Answer</summary>
#
# The limit does not: it is the same fixed point. The path there does, and a good order (from the goal backwards) is much faster.
# </details>

# %% [markdown]
# ## What we hand on
#
# $$Q^\pi(s,a) = r(s,a) + \gamma\,\mathbb E_{s'\sim p(\cdot|s,a)}\Big[\mathbb E_{a'\sim\pi(\cdot|s')}\big[Q^\pi(s',a')\big]\Big]$$
#
# We can judge any policy. Lesson 03 asks for the *best* one. Which part of the equation will have to change?
