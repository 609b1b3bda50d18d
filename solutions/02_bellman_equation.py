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
# Part I · 00 → 01 → **02** → 03 → 04 → 05 → Part II
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
# $$\begin{aligned}
# Q^\pi(s,a) = r(s,a) + \gamma\,&\underbrace{\mathbb E_{s_{t+1},\,a_{t+1}}}_{\text{outer}}\bigg[\\
# &\quad\underbrace{\mathbb E_{\tau'}\Big[\sum_{k\ge t+1}\gamma^{k-(t+1)}\,r_k \;\Big|\; s_{t+1}, a_{t+1}\Big]}_{\text{inner}}\;\bigg]
# \end{aligned} \tag{2.3}$$
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

    v: (S,), any table; P: (S, A, S); R, pi: (S, A); gamma: in [0, 1].
    Returns q (S, A) and the advantages (S, A).
    """
    ### BEGIN SOLUTION
    q = R + gamma * (P @ v)  # (2.5): @ sums over the last axis, s'
    mean = np.sum(pi * q, axis=1, keepdims=True)  # (2.6), (S, 1): lines up with the rows
    return q, q - mean  # (2.7)
    ### END SOLUTION


# %% [markdown] hints="q_and_advantage"
# <details><summary>Which index does the look ahead sum over, and what does γ multiply?</summary>
#
# The sum in (2.5) runs over the next state: the last index of `P` and the only one of `v`. A product of matrices sums over neighbouring indices, also when the
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
print(f"V → Q → V changes at most {there_and_back:.1e}")
print(f"the mean advantage is at most {mean_advantage:.1e}")
assert there_and_back < 1e-9 and mean_advantage < 1e-9

# %% [markdown]
# ### Talk to your neighbour
# You know $Q^\pi(s,a)$, the solution of (2.4). The return of whom does it estimate?
#
# **A** of the best policy · **B** of π, from the first step on · **C** of π, but for the first action, which may be any ·
# **D** of whoever collected the data
#
# <details><summary>What the next cell will show</summary>
#
# C. It is π that draws $a'$ in the equation, and the first action is the argument of $Q^\pi$. With another policy on the right-hand side the
# solution is another table.
# </details>

# %% [markdown]
# (2.2) is an average over trajectories. Simulate 4000 of them that begin in state 3 with action 1 and go on by π, long enough that γ has
# forgotten the rest. Which number do their returns have as their mean?

# %%
s, a, steps = np.full(4000, 3), np.full(4000, 1), 120
returns = np.zeros(4000)
for t in range(steps):
    returns += gamma**t * R[s, a]
    s = (rng.random((4000, 1)) > P[s, a].cumsum(axis=1)).sum(axis=1).clip(max=7)
    a = (rng.random((4000, 1)) > pi[s].cumsum(axis=1)).sum(axis=1).clip(max=2)
standard_error = returns.std() / np.sqrt(4000)
v_best = dynamic_programming.policy_iteration(P, R, gamma)[1]
q_best = dynamic_programming.q_from_v(v_best, P, R, gamma)
print(f"mean of 4000 returns      {returns.mean():6.3f} ± {standard_error:.3f}")
print(f"C · Q^π(3, 1) by (2.4)    {q_pi[3, 1]:6.3f}")
print(f"B · V^π(3)                {v_pi[3]:6.3f}")
print(f"A · Q of the best policy  {q_best[3, 1]:6.3f}")
assert abs(returns.mean() - q_pi[3, 1]) < 4 * standard_error
assert min(abs(returns.mean() - v_pi[3]), abs(returns.mean() - q_best[3, 1])) > 8 * standard_error

# %% [markdown]
# A value is the mean of something that spreads widely. Keep this picture in mind for lesson 04, where single returns are all there is:

# %% tags=["hide-input"]
ax = plots.axes(size="small")
ax.hist(returns, bins=40, color=plots.PALETTE["sky"], alpha=0.8)
ax.axvline(q_pi[3, 1], color=plots.PALETTE["vermilion"])
ax.margins(y=0.2)
label = dict(va="top", color=plots.PALETTE["vermilion"])
ax.text(q_pi[3, 1] + 0.3, ax.get_ylim()[1], "$Q^\\pi(3,1)$", **label)
ax.set(xlabel="return", ylabel="trajectories")
plots.show(
    ax,
    alt="Histogram of 4000 returns, several units wide, with their mean, the action value, marked in it.",
)

# %% [markdown]
# ## The backup
#
# Put (2.5) into (2.6), and read the equality as an *operation*: it takes any table $v$ and gives a new one.
#
# $$(T^\pi v)(s) = \sum_a\pi(a|s)\Big[r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,v(s')\Big] \tag{2.8}$$
#
# Every state looks one step ahead and corrects itself by what it sees in the *old* table. $V^\pi$ is a table that this operation does
# not change: $T^\pi V^\pi = V^\pi$.

# %% tags=["hide-input"]
ax = plots.backup_diagrams({"(2.6): over actions": (3,), "(2.8): and over next states": (3, 2)})
plots.show(
    ax,
    alt="Two backup diagrams: from a state to three actions; and on from each action to two next states.",
)

# %% [markdown]
# Open circles are states, filled ones actions. What comes up from below is averaged: by $p$ where the world decides, by π where we do.

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
# ### Talk to your neighbour
# $V^\pi$ is left as it is by $T^\pi$. Are there other tables that are?
#
# **A** no, it is the only one · **B** yes: add the same number to all values, and nothing changes · **C** yes, one for each policy ·
# **D** any table will do, if γ is near 1
#
# <details><summary>What the next cell will show</summary>
#
# A, for γ < 1. With the constant c added, the left side of $T^\pi v = v$ grows by γc and the right side by c. So (2.4) is not a property of
# tables in general: it singles out one.
# </details>

# %%
for c in (0.0, 1.0, 10.0):
    moved = bellman_backup(v_pi + c, P, R, pi, gamma) - (v_pi + c)
    moved = moved.round(9) + 0.0  # not −0
    print(f"V^π + {c:4}: a backup changes each state by {moved.min():6.3f} to {moved.max():6.3f}")
tables = v_pi + rng.normal(size=(1000, 8))
moved = [np.abs(bellman_backup(v, P, R, pi, gamma) - v).max() for v in tables]
print(f"1000 random tables around V^π: each is changed by at least {min(moved):.2f} somewhere")
assert min(moved) > 0.01

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
# S equations for S unknowns. For γ < 1 there is exactly one solution, as the vote asked: the entries of $P^\pi v$ are averages of
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
    P_pi = np.einsum("sa,sat->st", pi, P)  # (1.5), first line
    r_pi = np.sum(pi * R, axis=1)  # (1.5), second line
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
assert (v_random.reshape(5, 5).round(1) == book).all()

# %% tags=["hide-input"]
ax = plots.grid_values(v_random, grid.shape, cells=grid.cells, labels=grid.labels)
plots.show(ax, alt="Values of the random policy in the 5 by 5 gridworld: 8.8 at A, 5.3 at B, falling to minus "
           "2.0 in the lower right corner.")  # fmt: skip

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
# $$\begin{aligned}
# |(T^\pi v)(s) - (T^\pi w)(s)| &= \gamma\,\Big|\sum_a\pi(a|s)\sum_{s'}p(s'|s,a)\,[v(s') - w(s')]\Big|\\
# &\le \gamma\,\max_{s'}|v(s') - w(s')|
# \end{aligned}$$
#
# Write $\|x\|_\infty = \max_s|x(s)|$ for the largest absolute entry of a table, its **max norm**. $\|v-w\|_\infty$ then is how far apart
# two tables are where they differ most, and what we have shown for every $s$ reads
#
# $$\|T^\pi v - T^\pi w\|_\infty \le \gamma\,\|v - w\|_\infty \tag{2.12}$$
#
# The backup is a **contraction**: it brings any two tables closer, by a factor γ. Let one of them be $V^\pi$, which stays where it
# is: then $\|v_k - V^\pi\|_\infty \le \gamma^k\,\|v_0 - V^\pi\|_\infty$.

# %% [markdown]
# ### Talk to your neighbour
# Two tables agree in all states but one, where they differ by 10. Both are backed up once, γ = 0.9. How far apart can they be then?
#
# **A** 10 in that one state, 0 elsewhere · **B** at most 9, perhaps in many states · **C** more than 10: errors add up over the states ·
# **D** 9 in every state
#
# <details><summary>What the next cell will show</summary>
#
# B. The gap spreads to every state that can reach that one, and each sees only its own share of it, times γ.
# </details>
#
# The next cell measures (2.12) on 300 random pairs of tables, and then on such a pair.

# %%
ratios = []
for _ in range(300):
    v, w = rng.normal(size=(2, 8)) * 10
    after = bellman_backup(v, P, R, pi, gamma) - bellman_backup(w, P, R, pi, gamma)
    ratios.append(np.abs(after).max() / np.abs(v - w).max())
print("distance after a backup / before:")
print(f"mean {np.mean(ratios):.2f}, largest {max(ratios):.2f}, γ = {gamma}")
assert max(ratios) <= gamma + 1e-12
one_state = 10 * np.eye(8)[3]
after = bellman_backup(one_state, P, R, pi, gamma) - bellman_backup(0 * one_state, P, R, pi, gamma)
print("10 in state 3 alone, after one backup:", after.round(2))
assert np.abs(after).max() <= 9

# %% [markdown]
# ### What is left when we stop?
#
# A loop cannot wait for ever. It sees by how much the last sweep changed the table. It does not see $V^\pi$, so it does not know its
# error. From (2.12) alone one can nevertheless say two things, before the first sweep is made.

# %% [markdown] task="stopping_bound"
# ### Exercise 2.4 · `stopping_bound`
# **Points** 2 · **Difficulty** ●●○ · **Time** 20 min · ✎ on paper
#
# Sweeps (2.11) stop after the first one that moves the table by less than `tolerance`, all distances as in (2.12). When they have stopped,
# **how far can the table that is returned still be from** $V^\pi$? And **after how many sweeps have they certainly stopped**, if the
# first one moved the table by `first_change`? Find both on paper. Then write them down: a float and an int.
#
# - Promise no more than (2.12) gives, and no less: the smallest such number in both cases.
# - Any world may come. The first sweep may change nothing, and γ may be 0.


# %% exercise="stopping_bound" points=2
def stopping_bound(tolerance, gamma, first_change):
    """How far the last table is from V^π at most, and the latest sweep that it may take.

    tolerance > 0; gamma: in [0, 1); first_change ≥ 0: the distance of the first two tables.
    Returns a float and an int ≥ 1.
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
for what, share in (("sweeps used", used), ("error left", closest)):
    print(f"{what:11} of what was promised: mean {np.mean(share):.0%}, largest {max(share):.0%}")
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
print(f"{sweeps} sweeps, promised at most {at_most}")
print(f"error {error:.1e}, promised at most {promised:.1e}")
assert error <= promised and sweeps <= at_most

# %% [markdown]
# ### Talk to your neighbour
# The error is to become a thousand times smaller. How many more sweeps does γ = 0.99 take for that than γ = 0.9, by the promise $\gamma^k$?
#
# **A** a tenth more · **B** twice as many · **C** about ten times as many · **D** a hundred times as many
#
# <details><summary>What the next cell will show</summary>
#
# C. A sweep multiplies by γ, and $0.99^{10} \approx 0.9$. One needs about $\frac{1}{1-\gamma}$ sweeps for each factor e: the **horizon**,
# ten for γ = 0.9 and a hundred for γ = 0.99.
# </details>

# %%
errors, n_sweeps = {}, 60
for g in (0.5, 0.8, 0.9, 0.95, 0.99):
    target, v = dynamic_programming.solve_bellman(m.P, m.R, random_policy, g), np.zeros(25)
    error = np.zeros(n_sweeps)
    for k in range(n_sweeps):
        error[k] = np.abs(v - target).max() / np.abs(target).max()
        v = bellman_backup(v, m.P, m.R, random_policy, g)
    assert (error <= g ** np.arange(n_sweeps) + 1e-12).all()
    errors[f"γ = {g}"] = error
    needed = np.ceil(np.log(1e-3) / np.log(g))
    late = error[error > 1e-12]  # before rounding is all that is left
    last = late[-1] / late[-2]
    print(f"γ = {g:4}: γ^k < 0.001 from sweep {needed:3.0f} on; the last sweep: × {last:.2f}")

# %% [markdown]
# Error after k sweeps, beside the promise $\gamma^k$ (thin, grey). No curve is above its promise. At first they fall faster: errors of opposite
# sign cancel in the averages. In the end they run parallel to it: what is left is the *same* error in every state, and averaging does nothing to
# equal numbers; only γ shrinks them. That is why γ near 1 is expensive.

# %% tags=["hide-input"]
ax = plots.curves(
    errors, x=np.arange(n_sweeps), xlabel="sweeps k", ylabel="error relative to the start"
)
for name in errors:
    g = float(name.removeprefix("γ = "))
    ax.plot(
        np.arange(n_sweeps), g ** np.arange(n_sweeps), color=plots.INK, linewidth=1, linestyle=":"
    )
ax.set_yscale("log")
ax.set_ylim(1e-6, 2)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plots.show(ax, alt="Relative error against the number of sweeps on a logarithmic axis: steeper for smaller γ, each "
           "below the grey line of its γ to the power k and in the end parallel to it.")  # fmt: skip

# %% [markdown]
# And *how* the values come about: one sweep knows one step, two sweeps know two. Information spreads over the grid, one cell a
# sweep. Move the slider, or let it play:

# %% tags=["hide-input"]
history, v = [np.zeros(25)], np.zeros(25)
for _ in range(12):
    v = bellman_backup(v, m.P, m.R, random_policy, m.gamma)
    history.append(v)
plots.animate_values(history, grid.shape, cells=grid.cells, labels=grid.labels,
                     alt="Values of the random policy after 0 to 12 sweeps, spreading from A, B and the border.")  # fmt: skip

# %% [markdown]
# What does γ do to the solution itself? At γ = 0 a value is the next reward and nothing else. **Drag, and watch `A` and `B`:** the
# larger γ, the more the landing counts beside the prize.

# %% tags=["hide-input"]
discounts = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
of_discount = {g: solve_bellman(m.P, m.R, random_policy, g) for g in discounts}


def draw(g):
    return plots.grid_values(of_discount[g], grid.shape, cells=grid.cells, labels=grid.labels)


plots.slide(draw, discounts, name="γ", start=discounts.index(0.9), milliseconds=800,
            alt="Values of the random policy in the 5 by 5 gridworld for a discount between 0 and 0.98: at 0 only A, B and "
            "the border have one; the larger γ, the farther they spread, and A falls below 10.")  # fmt: skip
print("γ     ", *[f"{g:5}" for g in discounts])
for name, state in (("A", 1), ("B", 3)):
    print(f"V of {name}", *[f"{of_discount[g][state]:5.2f}" for g in discounts])

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
    print(f"start {start:8.0f}: within 0.001 of V^π after {needed:3d} sweeps; ", end="")
    print(f"after 250 at {distances[-1]:.0e}")
    assert distances[-1] < 1e-6

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** A colleague sweeps with γ = 0.999 until no state changes by 0.001 any more, and reports three digits. What do you tell them?
#
# <details><summary>Answer</summary>
#
# That the values may still be wrong by nearly 1: your `stopping_bound` gives 999 times the tolerance. A small change is not a small error, and
# the less so the nearer γ is to 1.
# </details>
#
# **2.** Sweeping in place mostly needs fewer sweeps. Does the result depend on the order of the states?
#
# <details><summary>Answer</summary>
#
# The limit does not: it is the same fixed point. The path there does, and a good order (from the goal backwards) is much faster.
# </details>

# %% [markdown]
# ## Summary
#
# - A value is the mean return *of a policy*: $V^\pi$ from a state on, $Q^\pi$ from a state and a first action on. There is no value without its policy.
# - Peel off one step, use the Markov property, and the return's mean becomes an equation between neighbours, (2.4): the reward now, plus γ times
#   the value where one gets.
# - $V$ and $Q$ give each other by one average each; their difference, the advantage, says how much better than usual an action is, and its mean
#   under π is 0.
# - For γ < 1 the equation has exactly one solution: a linear system gives it at once, and so do repeated backups, from any table.
# - A backup is a contraction by γ in the max norm. So sweeps that stop promise an error, (the last change) times $\frac{\gamma}{1-\gamma}$, and not
#   the last change itself.

# %% [markdown]
# ## Where this went
#
# What later methods change in (2.4):
#
# - **Sutton 1988**: peel off n steps in place of one, $Q^\pi(s,a) = \mathbb E\big[\sum_{k<n}\gamma^k r_k + \gamma^n Q^\pi(s_n,a_n)\big]$, and mix the n with weights:
#   TD(λ), lesson 04.
# - **Dayan 1993**: in the place of the reward stands the question "am I in state j?". The solution, $M^\pi = I + \gamma P^\pi M^\pi$, is the inverse of the
#   matrix in (2.10), and $V^\pi = M^\pi r^\pi$ for *any* reward: the successor representation.
# - **Moore & Atkeson 1993**: the same backups, but first where they change most: prioritised sweeping.
# - **Bradtke & Barto 1996**: (2.10) for a few features in place of all states, with means over samples in place of $P^\pi$: LSTD, lesson 06.
# - **Bellemare, Dabney & Munos 2017**: do not take the two means. $Z^\pi(s,a)$ has the same *distribution* as $r + \gamma Z^\pi(s',a')$, and the histogram
#   above, not only its mean, is the unknown: distributional RL.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Other letters, and a reward in the wrong place</summary>
#
# - *Sutton & Barto* call our $r_t$ $R_{t+1}$, and write $p(s',r|s,a)$ for next state and reward together: $r(s,a)$ is its mean over both. Equation 4.5 of the book
#   is our (2.8), its 3.14 our fixed point, and the box of §4.1 sweeps in place.
# - *Du, "Review of Q-Learning"*, sums to a horizon $T$. If $T$ is a fixed number of steps, values depend on how many are left, and $Q$ needs an index for
#   the time; read $T$ as the end of the episode, or as infinity, and it needs none.
# - *Zhang, Lipton, Li & Smola, "Dive into Deep Learning"*, chapter "Reinforcement Learning" by Chaudhari, Fakoor & Asadi, section "Value Iteration": the first
#   equation for $V^\pi(s_0)$ has $r(s_0,a_0)$ in front of the mean over $a_0$, though it depends on $a_0$. The next one has it inside, as (2.8).
# </details>

# %% [markdown]
# ## What we hand on
#
# $$Q^\pi(s,a) = r(s,a) + \gamma\,\mathbb E_{s'\sim p(\cdot|s,a)}\Big[\mathbb E_{a'\sim\pi(\cdot|s')}\big[Q^\pi(s',a')\big]\Big]$$
#
# We can judge any policy. Lesson 03 asks for the *best* one. Which part of the equation will have to change?
