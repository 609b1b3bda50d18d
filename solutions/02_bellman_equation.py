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
# - **Sources** Sutton & Barto, 2nd edition, §3.5, §4.1; Puterman 1994, §6.1–6.2; the CS 224R tutorial slides on Q-learning.

# %%
import numpy as np

from rlcourse.checker import authorship, check
from rlcourse.lab import plots
from rlcourse.tabular import dynamic_programming, gridworlds, mdp

# %% [markdown]
# ## What we inherit
#
# Lesson 01 ended with a number for a whole policy: the mean of the return over all trajectories τ,
#
# $$J(\pi) = \mathbb E_\tau\Big[\sum_{t\ge0}\gamma^t r_t\Big] \tag{2.1}$$
#
# It says how good a policy is *from the start on*. To improve a policy we need to know more: how good it is from *each* state,
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
# "the value of a state", only its value *under a policy*.

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
# Now look at the inner expectation. It is the mean return from step $t+1$ on, starting in $s_{t+1}$ with $a_{t+1}$. That is (2.2),
# one step later! It is $Q^\pi(s_{t+1}, a_{t+1})$. And the outer expectation has two parts: the world answers with
# $s' \sim p(\cdot|s,a)$, then we act with $a' \sim \pi(\cdot|s')$:
#
# $$Q^\pi(s,a) = r(s,a) + \gamma\,\mathbb E_{s'\sim p(\cdot|s,a)}\Big[\mathbb E_{a'\sim\pi(\cdot|s')}\big[Q^\pi(s',a')\big]\Big] \tag{2.4}$$
#
# This is the **Bellman equation**. The infinite sum has gone. What stands in its place is the unknown itself, one step later:
# values must be *consistent* with their neighbours. Everything in this course is a way of using that.

# %% [markdown]
# The innermost mean, $\mathbb E_{a'\sim\pi}[Q^\pi(s',a')]$, is the value of $s'$ when π chooses the action: $V^\pi(s')$. So (2.4)
# splits into two half-steps. From state values to action values, by what the *world* does:
#
# $$Q^\pi(s,a) = r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,V^\pi(s') \tag{2.5}$$

# %% [markdown] task="q_from_v"
# ### Exercise 2.1 · `q_from_v`
# **Points** 1 · **Difficulty** ●○○ · **Time** 8 min
#
# Compute (2.5) for all states and actions. `P[s, a, s']`, `R[s, a]`, `v[s]` are arrays.


# %% exercise="q_from_v" points=1
def q_from_v(v, P, R, gamma):
    """Action values from state values (2.5).

    v: (S,); P: (S, A, S); R: (S, A); gamma: in [0, 1]. Returns (S, A).
    """
    ### BEGIN SOLUTION
    return R + gamma * (P @ v)  # (2.5): @ sums over the last axis, s'
    ### END SOLUTION


# %% [markdown] hints="q_from_v"
# <details><summary>Which index is summed over?</summary>
#
# The next state: the last index of `P` and the only one of `v`.
# </details>
# <details><summary>Is there one operation for it?</summary>
#
# A product of matrices sums over neighbouring indices, also when the first array has three of them. Two loops and a sum do as
# well.
# </details>
# <details><summary>What does γ multiply?</summary>
#
# What comes one step later. The reward comes now.
# </details>

# %% check="q_from_v"
q_from_v = check("q_from_v")

# %% [markdown]
# And from action values back to state values, by what *we* do:
#
# $$V^\pi(s) = \sum_a\pi(a|s)\,Q^\pi(s,a) \tag{2.6}$$

# %% [markdown] task="v_from_q"
# ### Exercise 2.2 · `v_from_q`
# **Points** 1 · **Difficulty** ●○○ · **Time** 5 min
#
# Compute (2.6) for all states.


# %% exercise="v_from_q" points=1
def v_from_q(q, pi):
    """State values from action values (2.6).

    q, pi: (S, A). Returns (S,).
    """
    ### BEGIN SOLUTION
    return np.sum(pi * q, axis=1)  # (2.6)
    ### END SOLUTION


# %% [markdown] hints="v_from_q"
# <details><summary>What kind of average is this?</summary>
#
# One with weights, and the weights of each row of `pi` sum to 1.
# </details>
# <details><summary>Which axis?</summary>
#
# Actions are the second index. One number a state should remain.
# </details>
# <details><summary>Is this the largest value of the row?</summary>
#
# Only for a policy that always takes the best action. Ours may not.
# </details>

# %% check="v_from_q"
v_from_q = check("v_from_q")

# %% [markdown]
# How much better than usual is an action? "Usual" is what π gets on average in that state:
#
# $$A^\pi(s,a) = Q^\pi(s,a) - V^\pi(s) = Q^\pi(s,a) - \sum_b\pi(b|s)\,Q^\pi(s,b) \tag{2.7}$$
#
# This is the **advantage**. It is positive for actions better than π's average, and its own mean under π is 0.

# %% [markdown] task="advantage"
# ### Exercise 2.3 · `advantage`
# **Points** 1 · **Difficulty** ●●○ · **Time** 6 min
#
# Compute (2.7). Mind the shapes: (S, A) minus (S,) is not what you want, and if S = A NumPy does not complain.


# %% exercise="advantage" points=1
def advantage(q, pi):
    """Advantages (2.7).

    q, pi: (S, A). Returns (S, A).
    """
    ### BEGIN SOLUTION
    v = np.sum(pi * q, axis=1, keepdims=True)  # (S, 1), so that it lines up with the rows
    return q - v  # (2.7)
    ### END SOLUTION


# %% [markdown] hints="advantage"
# <details><summary>What is subtracted from what?</summary>
#
# The mean under π of a row from every entry of that row.
# </details>
# <details><summary>How do I make NumPy line it up with rows?</summary>
#
# An array of shape (S, 1) is stretched along the actions; one of shape (S,) is taken for a row. There is a keyword of `sum` that
# keeps the axis, and an index that makes a new one.
# </details>
# <details><summary>How can I test it?</summary>
#
# Multiply by π and sum over the actions: 0 in every state.
# </details>

# %% check="advantage"
advantage = check("advantage")

# %% [markdown]
# Do these three fit together? In a random MDP: from true values to $Q^\pi$, back to $V^\pi$, and the mean advantage.

# %%
rng = np.random.default_rng(0)
world = mdp.garnet(n_states=8, n_actions=3, branching=4, rng=rng)
P, R, gamma = world.P, world.R, world.gamma
pi = rng.dirichlet(np.ones(3), size=8)
v_pi = dynamic_programming.solve_bellman(P, R, pi, gamma)
q_pi = q_from_v(v_pi, P, R, gamma)
there_and_back = np.abs(v_from_q(q_pi, pi) - v_pi).max()
mean_advantage = np.abs((pi * advantage(q_pi, pi)).sum(axis=1)).max()
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
# ### Exercise 2.4 · `bellman_backup`
# **Points** 1 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute (2.8), as a new array; `v` keeps its values, and all states are backed up from the same old `v`. You may use your
# `q_from_v` and `v_from_q`.


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
# Both half-steps: one gives the bracket for all states and actions, the other averages it over the actions.
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
# ### Exercise 2.5 · `solve_bellman`
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
# table and *use* (2.8) as an assignment, again and again:
#
# $$v_{k+1} = T^\pi v_k, \qquad\text{until}\quad \max_s|v_{k+1}(s) - v_k(s)| < \text{tolerance} \tag{2.11}$$
#
# Why should that lead anywhere? Take two tables $v$ and $w$ and back up both. Rewards cancel in the difference, and an average is
# never larger than the largest of what it averages:
#
# $$|(T^\pi v)(s) - (T^\pi w)(s)| = \gamma\,\Big|\sum_a\pi(a|s)\sum_{s'}p(s'|s,a)\,[v(s') - w(s')]\Big| \le \gamma\,\max_{s'}|v(s') - w(s')|$$
#
# $$\|T^\pi v - T^\pi w\|_\infty \le \gamma\,\|v - w\|_\infty \tag{2.12}$$
#
# The backup is a **contraction**: it brings any two tables closer, by a factor γ. Let one of them be $V^\pi$, which stays where it
# is: then $\|v_k - V^\pi\|_\infty \le \gamma^k\,\|v_0 - V^\pi\|_\infty$. Measured, on 300 random pairs of tables:

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

# %% [markdown] task="policy_evaluation"
# ### Exercise 2.6 · `policy_evaluation`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Write (2.11): start from zeros, sweep, and stop after the first sweep that changes no state by `tolerance` or more. Return the
# new values and the number of sweeps, the last one included.
#
# - The change is the *largest absolute* one. (Think of values that fall, and of one state that rises while another falls.)
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
# <details><summary>What exactly do I compare?</summary>
#
# Difference, then absolute value, then the largest over the states. In any other order changes can cancel, or fall unnoticed.
# </details>

# %% check="policy_evaluation"
policy_evaluation = check("policy_evaluation")

# %% [markdown]
# ## Your sweeps at work
#
# The 5 × 5 world again, by your loop. It must agree with the solution of the linear system, within what (2.12) promises: if no
# state changes by the tolerance any more, the error is at most $\frac{\gamma}{1-\gamma}$ times the tolerance.

# %%
tolerance = 1e-4
v_swept, sweeps = policy_evaluation(m.P, m.R, random_policy, m.gamma, tolerance)
error = np.abs(v_swept - v_random).max()
promised = m.gamma / (1 - m.gamma) * tolerance
print(
    f"{authorship('policy_evaluation')}: {sweeps} sweeps, error {error:.1e}, promised at most {promised:.1e}"
)
assert error <= promised

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
    v, count = np.full(25, start), 0
    while True:
        new = bellman_backup(v, m.P, m.R, random_policy, m.gamma)
        moved, v, count = np.abs(new - v).max(), new, count + 1
        if moved < 1e-4:
            break
    print(f"start {start:8.0f}: {count:3d} sweeps, error {np.abs(v - v_random).max():.1e}")
    assert np.abs(v - v_random).max() < 1e-3

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
# $$Q^\pi(s,a) = r(s,a) + \gamma\,\mathbb E_{s'}\Big[\mathbb E_{a'\sim\pi}\big[Q^\pi(s',a')\big]\Big]$$
#
# We can judge any policy. Lesson 03 asks for the *best* one. Which part of the equation will have to change?
