# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Optimality and dynamic programming
#
# Part I · 00 → 01 → 02 → **03** → 04 → 05 → Part II
#
# - **You will be able to** say what "optimal" means and why acting greedily on $Q^*$ is; improve any policy; find the best one in
#   two ways; and bound what it costs to act on values that are wrong.
# - **Builds on** lesson 02 (the Bellman equation, backups, contraction).
# - **Time** 110 minutes alone, 60 as a lecture.
# - **Sources** Sutton & Barto, 2nd edition, §3.6, §4.2–4.4; Puterman 1994, *Markov Decision Processes*, §6.2–6.4, §6.9; Williams & Baird
#   1993 (the bound); Max Du's tutorial slides "Review of Q-Learning" (CS 224R, Stanford).

# %%
from itertools import pairwise, product

import numpy as np

from rlcourse.checker import authorship, check, whose
from rlcourse.lab import plots
from rlcourse.tabular import dynamic_programming as dp
from rlcourse.tabular import gridworlds, mdp
from rlcourse.tabular.envs import TabularEnv
from rlcourse.tabular.figures import book_values, greedy_path
from rlcourse.tabular.returns import run_episode

# %% [markdown]
# ## What we inherit
#
# Lesson 02 judges any policy π by the one table that is consistent with itself:
#
# $$Q^\pi(s,a) = r(s,a) + \gamma\,\mathbb E_{s'\sim p(\cdot|s,a)}\Big[\mathbb E_{a'\sim\pi(\cdot|s')}\big[Q^\pi(s',a')\big]\Big] \tag{3.1}$$
#
# Now we want the *best* policy. There are $A^S$ deterministic ones, too many to try. Which part of (3.1) cannot be computed?
# The inner expectation: we do not know the policy it is taken under, since that is what we are looking for.

# %% [markdown]
# ## Guess first
#
# The 5 × 5 world of lesson 02 again: `A` pays 10 and throws you to `a`, `B` pays 5 and throws you to `b`; γ = 0.9. **For the best
# policy: is `A` worth about 10, 15 or 25?**
#
# <details><summary>I have guessed.</summary>
#
# About 25: the best policy comes back to `A` every five steps and collects 10 again and again. The exact number stands below.
# </details>

# %%
grid = gridworlds.book_5x5()
print(grid.text())

# %% [markdown]
# ## Being greedy
#
# Suppose we know $Q^\pi$ for some policy. The obvious idea is to take, in each state, the action that looks best:
#
# $$\pi'(a|s) = 1\quad\text{for}\quad a = \arg\max_b Q^\pi(s,b) \tag{3.2}$$
#
# This is the **greedy** policy with respect to $Q^\pi$. On a tie any of the best will do; we take the first, so that results can be
# compared. (An argmax, not a max: a policy says *which* action, not how much it is worth.)

# %% [markdown] task="greedy_policy"
# ### Exercise 3.1 · `greedy_policy`
# **Points** 1 · **Difficulty** ●○○ · **Time** 8 min
#
# Compute (3.2) for a table q: rows with a single 1, at the first of the best actions.


# %% exercise="greedy_policy" points=1
def greedy_policy(q):
    """The greedy policy (3.2).

    q: (S, A). Returns one-hot rows (S, A), float64; on ties the first index.
    """
    ### BEGIN SOLUTION
    best = q.argmax(axis=1)  # the first index on ties
    return np.eye(q.shape[1])[best]  # row `best[s]` of the identity, for every s
    ### END SOLUTION


# %% [markdown] hints="greedy_policy"
# <details><summary>What should a row look like?</summary>
#
# Zeros, and a single 1: it is a distribution over the actions of one state.
# </details>
# <details><summary>How do I find where the 1 goes?</summary>
#
# NumPy finds the position of the largest entry along an axis, and on ties gives the first. Actions are the second axis.
# </details>
# <details><summary>And how do I write a 1 there, in every row?</summary>
#
# Either with two index arrays, rows and positions; or by picking rows of an identity matrix.
# </details>

# %% check="greedy_policy"
greedy_policy = check("greedy_policy")

# %% [markdown]
# ### Talk to your neighbour
# You know $Q^\pi$ and change π to the greedy policy, in all states at once. The values that told you so were those of the *old* policy. In how many
# states can the new one be worse?
#
# **A** in none · **B** in some, but better on average · **C** in none, if only one state is changed at a time · **D** anywhere: $Q^\pi$ is no longer true
#
# <details><summary>What the next cells will show</summary>
#
# A. $Q^\pi$ is indeed no longer true, but it is wrong in one direction only: what the new policy gets is never less than what it says.
# </details>

# %% [markdown]
# ### It can only get better
#
# One step by π', then π for ever: by (3.2) that is worth $\max_a Q^\pi(s,a) \ge V^\pi(s)$. In the language of backups,
# $T^{\pi'}V^\pi \ge V^\pi$ in every state. Now apply $T^{\pi'}$ again. It is an average plus constants, so a table that is larger
# everywhere stays larger everywhere:
#
# $$V^\pi \;\le\; T^{\pi'}V^\pi \;\le\; T^{\pi'}T^{\pi'}V^\pi \;\le\; \dots \;\to\; V^{\pi'}
# \quad\Longrightarrow\quad V^{\pi'}(s) \ge V^\pi(s)\ \text{ for all } s \tag{3.3}$$
#
# The chain ends at $V^{\pi'}$ because $T^{\pi'}$ is a contraction (lesson 02). This is the **policy improvement theorem**. Checked on
# 200 random MDPs with random policies:

# %%
rng = np.random.default_rng(0)
smallest_gain = np.inf
for _ in range(200):
    world = mdp.garnet(n_states=6, n_actions=3, branching=3, rng=rng)
    pi = rng.dirichlet(np.ones(3), size=6)
    v_pi = dp.solve_bellman(world.P, world.R, pi, world.gamma)
    better = greedy_policy(dp.q_from_v(v_pi, world.P, world.R, world.gamma))
    gain = dp.solve_bellman(world.P, world.R, better, world.gamma) - v_pi
    smallest_gain = min(smallest_gain, gain.min())
print(f"smallest gain in any state of any MDP: {smallest_gain:.1e}")
assert smallest_gain > -1e-9

# %% [markdown]
# ## Optimality
#
# What is "best"? One policy may be better in one state and worse in another. So we ask for a lot: a policy $\pi^*$ is **optimal** if it is
# at least as good as every other one in *every* state at once,
#
# $$V^{\pi^*}(s) \ge V^\pi(s)\qquad\text{for all states } s \text{ and all policies } \pi \tag{3.4}$$
#
# Nobody has promised that such a policy exists. It does, and the proof stands below (3.7). Write $V^*$ and $Q^*$ for its values. There may be
# several optimal policies, but by (3.4) they all have the same values.
#
# When can the greedy policy not improve any more? When it is greedy for its own values. Then the inner expectation of (3.1), under
# π, *is* the maximum, and we can write it without knowing π:
#
# $$Q^*(s,a) = r(s,a) + \gamma\,\mathbb E_{s'\sim p(\cdot|s,a)}\Big[\max_{a'}Q^*(s',a')\Big] \tag{3.5}$$
#
# This is the **Bellman optimality equation**, and $Q^*$ are the values of an optimal policy. Two questions to be clear about:
#
# *Why must an optimal policy be greedy for $Q^*$?* Suppose it were not: in some state it takes an action whose $Q^*$ is smaller than
# the best. Switch to the best action there. By (3.3) the new policy is nowhere worse, and in that state better. So the old one was
# not optimal: a contradiction.
#
# *For which functions does (3.5) hold?* For one only. It is not a property of tables in general but a condition that singles out
# $Q^*$. As in lesson 02, for any other table the right-hand side is a *different* table, and hopefully a better one:
#
# $$(T^*q)(s,a) = r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,\max_{a'}q(s',a') \tag{3.6}$$
#
# Mind the order: the maximum stands *inside* the sum. First the world shows you $s'$, then you choose. With the maximum outside you would have
# to choose before you see.

# %% [markdown] task="bellman_optimality_backup"
# ### Exercise 3.2 · `bellman_optimality_backup`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute (3.6), as a new array, all entries from the same old q.


# %% exercise="bellman_optimality_backup" points=2
def bellman_optimality_backup(q, P, R, gamma):
    """One Bellman optimality backup of every state and action (3.6).

    q, R: (S, A); P: (S, A, S); gamma: in [0, 1]. Returns a new (S, A).
    """
    ### BEGIN SOLUTION
    best_from_here = np.max(q, axis=1)  # max over a', for every s'
    return R + gamma * np.einsum("sat,t->sa", P, best_from_here)  # (3.6)
    ### END SOLUTION


# %% [markdown] hints="bellman_optimality_backup"
# <details><summary>Where do I begin?</summary>
#
# With the innermost thing in (3.6): one number for each next state.
# </details>
# <details><summary>And then?</summary>
#
# You have state values; what is left is the look ahead of exercise 2.1.
# </details>
# <details><summary>How do I know that the maximum runs over the right axis?</summary>
#
# It should leave one number for each *state*. Test with more actions than states, or you may not notice.
# </details>

# %% check="bellman_optimality_backup"
bellman_optimality_backup = check("bellman_optimality_backup")

# %% [markdown]
# Two maxima differ by no more than the things they are taken over, $|\max_a x_a - \max_a y_a| \le \max_a|x_a - y_a|$. So the
# argument of lesson 02 goes through, and $T^*$ is a contraction as well:
#
# $$\|T^*q - T^*q'\|_\infty \le \gamma\,\|q - q'\|_\infty \tag{3.7}$$
#
# Here $\|x\|_\infty$ is the max norm of lesson 02, the largest absolute entry, now of a table over states and actions. Hence there is exactly one
# fixed point, and repeated backups lead to it from anywhere.
#
# **An optimal policy exists.** Call the fixed point $Q^*$, let $V^*(s) = \max_a Q^*(s,a)$ and take *any* policy π. A mean over actions is at
# most the maximum, so $T^\pi V^* \le V^*$. Apply $T^\pi$ again and again, as in (3.3), with the signs turned: $V^\pi \le V^*$ in every
# state. And the greedy policy for $Q^*$ reaches $V^*$, because for that one the mean *is* the maximum. So it is optimal, (3.4), and it is
# deterministic.

# %%
largest = 0.0
for _ in range(300):
    q, other = rng.normal(size=(2, 6, 3)) * 10
    after = [bellman_optimality_backup(x, world.P, world.R, world.gamma) for x in (q, other)]
    largest = max(largest, np.abs(after[0] - after[1]).max() / np.abs(q - other).max())
print(f"distance after / before, at most {largest:.3f}; γ = {world.gamma}")
assert largest <= world.gamma + 1e-12

# %% [markdown]
# The same MDP has six states and three actions: few enough to try all $3^6$ deterministic policies, once. Their largest values,
# state by state, against the fixed point:

# %%
fixed = np.zeros((6, 3))
for _ in range(400):
    fixed = bellman_optimality_backup(fixed, world.P, world.R, world.gamma)
tried = np.array(
    [
        dp.solve_bellman(world.P, world.R, np.eye(3)[list(actions)], world.gamma)
        for actions in product(range(3), repeat=6)
    ]
)
best_anywhere = tried.max(axis=0)
in_all_states = (tried > best_anywhere - 1e-9).all(axis=1).sum()
print(f"{len(tried)} policies; largest values {best_anywhere.round(3)}")
print(f"{'max of the fixed point':28} {fixed.max(axis=1).round(3)}")
print(f"policies that are best in all states at once: {in_all_states}")
assert np.abs(best_anywhere - fixed.max(axis=1)).max() < 1e-9 and in_all_states >= 1

# %% [markdown]
# ## One decision, on paper
#
# The smallest world in which it matters how far one looks: you stand at a crossroads. Action 0 leads to a treasure `near`, and it is the step
# number `n_near` that pays it; action 1 leads to a larger one, `far`, that the step number `n_far` pays. Nothing else is paid, in the corridors
# there is nothing to choose, and the treasure ends the episode.

# %% [markdown]
# ### Talk to your neighbour
# `near` is 2 and one step away, `far` is 4 and five steps away; γ = 0.8. Where would you go?
#
# **A** near, whatever γ is: 2 now is more than 4 later · **B** near, but with γ = 0.9 I would go far · **C** far, whatever γ is: 4 is twice as much ·
# **D** far, but with γ = 0.7 I would go near

# %% [markdown] task="crossroads"
# ### Exercise 3.3 · `crossroads`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min · ✎ on paper
#
# Go back from each treasure with (3.5), step by step, and find $Q^*$ of both actions at the crossroads. From them:
#
# - the **advantage of the optimal policy**, $A^{\pi^*} = Q^* - V^*$, of both actions. What sign can it have?
# - the discount `gamma_even` at which both actions are worth the same. It does not depend on `gamma`.
#
# Write both down. γ may be 0 or 1 (and $0^0 = 1$).


# %% exercise="crossroads" points=2
def crossroads(near, far, n_near, n_far, gamma):
    """Advantages of both actions under the optimal policy; the discount that makes them even.

    near, far: 0 < near < far; n_near, n_far: whole numbers, 1 ≤ n_near < n_far; gamma: in [0, 1].
    Returns the advantages (2,), float64, and a float in (0, 1).
    """
    ### BEGIN SOLUTION
    q = np.array(
        [gamma ** (n_near - 1) * near, gamma ** (n_far - 1) * far], dtype=float
    )  # (3.5), n − 1 times
    return q - q.max(), (near / far) ** (1 / (n_far - n_near))
    ### END SOLUTION


# %% [markdown] hints="crossroads"
# <details><summary>How do I start?</summary>
#
# At the end. What is the cell worth whose next step is paid? And the cell before it, where that step pays nothing? Go back cell by cell and
# look how the value changes.
# </details>
# <details><summary>What is V* at the crossroads?</summary>
#
# What the best policy gets there. It takes one of the two actions, and which one it is depends on γ.
# </details>
# <details><summary>How do I find the discount at which they are even?</summary>
#
# Set both values equal and bring all powers of γ to one side: how many are left? Then solve for γ, and test: put it back into both values.
# </details>

# %% check="crossroads"
crossroads = check("crossroads")

# %% [markdown]
# Against value iteration in that very world (the package's; you will write yours below), for the vote and for 200 other crossroads:

# %%
for gamma in (0.7, 0.8, 0.9):
    advantages, even = crossroads(2.0, 4.0, 1, 5, gamma)
    print(f"γ = {gamma}: advantages {advantages.round(3)}; even at γ = {even:.3f}")
for _ in range(200):
    n_near = int(rng.integers(1, 6))
    n_far, near, gamma = n_near + int(rng.integers(1, 8)), rng.uniform(1, 3), rng.uniform(0, 1)
    far = near * rng.uniform(1.1, 4)
    advantages, even = crossroads(near, far, n_near, n_far, gamma)
    fork = mdp.two_corridors(near, far, n_near, n_far, gamma)
    q_fork, _ = dp.value_iteration(fork.P, fork.R, gamma, 1e-12)
    assert np.allclose(advantages, q_fork[0] - q_fork[0].max())
    assert (advantages[1] == 0) == (gamma >= even)
print(f"by {authorship('crossroads')}: right at 200 crossroads")

# %% tags=["hide-input"]
discounts = np.linspace(0, 1, 101)
worth = np.zeros((2, 101))
for k, gamma in enumerate(discounts):
    fork = mdp.two_corridors(2.0, 4.0, 1, 5, gamma)
    worth[:, k] = dp.value_iteration(fork.P, fork.R, gamma, 1e-12)[0][0]
even = crossroads(2.0, 4.0, 1, 5, 0.8)[1]
ax = plots.curves({"near: 2, one step away": worth[0], "far: 4, five steps away": worth[1]}, x=discounts,
                  xlabel="discount γ", ylabel="Q* at the crossroads")  # fmt: skip
ax.axvline(even, color=plots.INK, linewidth=1, linestyle="-")
ax.text(even - 0.015, 3.2, f"γ = {even:.3f}", ha="right")
plots.show(ax, alt="Action values at the crossroads against γ: near is 2 throughout, far rises from 0 to 4 and crosses it "
           f"at γ = {even:.2f}.")  # fmt: skip

# %% [markdown]
# The vote was B: the far treasure is worth $4\gamma^4$ against 2, and wins from γ = 0.841 on.
#
# What you have seen at the crossroads holds everywhere. $V^*$ is the *maximum* of $Q^*$ over the actions, so against the optimal policy no action
# has an advantage:
#
# $$A^{\pi^*}(s,a) = Q^*(s,a) - \max_b Q^*(s,b) \;\le\; 0,\qquad\text{and } 0 \text{ for the greedy action} \tag{3.8}$$
#
# Under any policy that is not optimal some advantage is positive in some state; that is how (3.3) finds something to improve. On the random MDP above:

# %%
disadvantage = fixed - fixed.max(axis=1, keepdims=True)
greedy_ones = greedy_policy(fixed) == 1
print("A of the optimal policy, a row for each state:\n", disadvantage.round(2))
print("of the greedy actions:", disadvantage[greedy_ones].round(9))
assert (disadvantage <= 0).all() and (disadvantage[greedy_ones] == 0).all()
found_better = 0
for _ in range(100):
    other_pi = rng.dirichlet(np.ones(3), size=6)
    v_other = dp.solve_bellman(world.P, world.R, other_pi, world.gamma)
    found_better += (
        dp.advantage(dp.q_from_v(v_other, world.P, world.R, world.gamma), other_pi).max() > 0
    )
print(f"{found_better} of 100 random policies have a positive advantage somewhere")
assert found_better == 100

# %% [markdown]
# ## Value iteration: fake it till you make it
#
# Take the equality (3.5) and use it as an assignment. The right-hand side contains a wrong table, but also the true rewards; every
# sweep mixes in a little more truth.
#
# $$q_k = T^*q_{k-1},\qquad k = 1, 2, \dots\qquad\text{until it has settled} \tag{3.9}$$
#
# The same loop can be written on state values, $v_{k+1}(s) = \max_a\big[r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,v_k(s')\big]$, as the book
# does: these are the row maxima, $v_k(s) = \max_a q_k(s,a)$. We keep q, because it says which action to take.

# %% [markdown] task="value_iteration"
# ### Exercise 3.4 · `value_iteration`
# **Points** 3 · **Difficulty** ●●○ · **Time** 15 min
#
# Write (3.9): start from zeros, and stop after the first sweep in which it has settled, to within `tolerance`. Return the new q and the number of
# sweeps, the last one included. Sweeping in place is right too.
#
# - There are several things here that can settle, and they do so at different times. Which of them tells you that what you *return* has settled is
#   for you to decide; measure it as in exercise 2.5.


# %% exercise="value_iteration" points=3
def value_iteration(P, R, gamma, tolerance):
    """Value iteration on q (3.9).

    P: (S, A, S); R: (S, A); gamma: in [0, 1]; tolerance > 0.
    Returns q (S, A) and the number of sweeps, an int ≥ 1.
    """
    ### BEGIN SOLUTION
    q = np.zeros(R.shape)
    sweeps = 0
    while True:
        new = R + gamma * (P @ q.max(axis=1))  # (3.9)
        sweeps += 1
        change = np.max(np.abs(new - q))
        q = new
        if change < tolerance:
            return q, sweeps
    ### END SOLUTION


# %% [markdown] hints="value_iteration"
# <details><summary>What is different from policy evaluation?</summary>
#
# Only the backup, and that the table has a column for each action.
# </details>
# <details><summary>Which things settle here, and in which order?</summary>
#
# Write down two sweeps of a small world by hand, one with an action that is never the best. Look at the table, at its row maxima, at the greedy
# actions: which of them may rest while another still moves?
# </details>
# <details><summary>It never stops, or stops at once.</summary>
#
# Print the change of each sweep. It should shrink by about γ. If it is 0 at once, the old table is not a copy; if it is negative, an
# absolute value is missing.
# </details>

# %% check="value_iteration"
value_iteration = check("value_iteration")

# %% [markdown]
# ## Policy iteration: judge, improve, repeat
#
# The other way uses (3.3) directly. Start with any policy; evaluate it exactly; make it greedy; and so on:
#
# $$\pi_0 \to V^{\pi_0} \to \pi_1 \to V^{\pi_1} \to \dots,\qquad
# \pi_{k+1}(s) = \arg\max_a\Big[r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,V^{\pi_k}(s')\Big] \tag{3.10}$$
#
# Every policy is better than the one before, and there are finitely many, so it must end. There is a trap in "better", though. If two
# actions tie, rounding may call now one, now the other the best, and a plain argmax changes its mind for ever. The remedy: **keep the
# present action unless another is better by more than a hair** (10⁻⁹, say).

# %% [markdown] task="policy_iteration"
# ### Exercise 3.5 · `policy_iteration`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Write (3.10). Start with action 0 in every state. A round evaluates the policy *exactly* (solve the linear system: your exercise 2.3,
# or `dp.solve_bellman`) and improves it in all states at once. The first round that finds nothing to change is the last. Return pi, its values v, and
# the number of rounds, the last one included.
#
# - How you see that nothing changes any more is for you to decide. It should work on every machine, however it rounds.


# %% exercise="policy_iteration" points=3
def policy_iteration(P, R, gamma):
    """Policy iteration (3.10).

    P: (S, A, S); R: (S, A); gamma: in [0, 1).
    Returns pi (S, A) one-hot, v (S,) = V^pi, and the number of rounds, an int ≥ 1.
    """
    ### BEGIN SOLUTION
    n_states, n_actions = R.shape
    states = np.arange(n_states)
    action = np.zeros(n_states, dtype=int)
    rounds = 0
    while True:
        pi = np.eye(n_actions)[action]
        P_pi, r_pi = P[states, action], R[states, action]
        v = np.linalg.solve(np.eye(n_states) - gamma * P_pi, r_pi)  # V^π, exactly
        q = R + gamma * (P @ v)
        rounds += 1
        better = q.max(axis=1) > q[states, action] + 1e-9  # by more than a hair
        if not better.any():
            return pi, v, rounds
        action = np.where(better, q.argmax(axis=1), action)
    ### END SOLUTION


# %% [markdown] hints="policy_iteration"
# <details><summary>What happens in one round?</summary>
#
# Three things: values of the present policy, action values from them, and the greedy policy of those.
# </details>
# <details><summary>What do I return?</summary>
#
# When a round has found nothing to improve, the values that you have just computed belong to the policy that you return.
# </details>
# <details><summary>It stops a round late, or never.</summary>
#
# What do you compare with what, and when are the two equal? One of the things that a round makes can only take finitely many values.
# </details>

# %% check="policy_iteration"
policy_iteration = check("policy_iteration")

# %% [markdown]
# The two must agree. And here is the table you guessed at: $V^*$ and the optimal actions of the 5 × 5 world, those of figure 3.5 in
# the book to the printed decimal.

# %%
m = grid.mdp
q_star, sweeps = value_iteration(m.P, m.R, m.gamma, 1e-9)
pi_star, v_star, rounds = policy_iteration(m.P, m.R, m.gamma)
difference = np.abs(q_star.max(axis=1) - v_star).max()
print(f"{authorship('value_iteration', 'policy_iteration')}: {sweeps} sweeps, {rounds} rounds")
print(f"largest difference of the values: {difference:.1e}; A is worth {v_star.max():.1f}")
_, book, optimal = book_values()
assert (v_star.reshape(5, 5).round(1) == book.round(1)).all()
assert difference < 1e-7

# %% tags=["hide-input"]
axes = plots.axes(1, 2, size="wide")
plots.grid_values(v_star, grid.shape, cells=grid.cells, labels=grid.labels, title="V*", ax=axes[0])
plots.grid_policy(plots.maximal_actions(q_star, 1e-6), grid.shape, cells=grid.cells, labels=grid.labels,
                  title="optimal actions", ax=axes[1])  # fmt: skip
plots.show(axes, alt="Optimal values of the 5 by 5 gridworld, 24.4 at A, and arrows for all optimal actions, which "
           "lead to A and B.")  # fmt: skip

# %% [markdown]
# $V^*$ says what a state is worth, $Q^*$ what to do there. Below, every cell is cut into its four moves: on the left $Q^\pi$ of the policy that moves at
# random, on the right $Q^*$, arrows along the best moves. The arrows on the left are *one* improvement (3.2) of the random policy:

# %%
uniform = np.full((25, 4), 0.25)
q_random = dp.q_from_v(dp.solve_bellman(m.P, m.R, uniform, m.gamma), m.P, m.R, m.gamma)
improved = greedy_policy(q_random)
v_improved = dp.solve_bellman(m.P, m.R, improved, m.gamma)
not_best = (improved * (q_star.max(axis=1, keepdims=True) - q_star)).sum(axis=1) > 1e-6
print(f"mean value: random {(uniform * q_random).sum(axis=1).mean():.1f}, improved once "
      f"{v_improved.mean():.1f}, best {v_star.mean():.1f}")  # fmt: skip
print(f"after one improvement {not_best.sum()} of 25 states take an action that is not optimal")
assert (v_improved <= v_star + 1e-9).all() and v_improved.mean() > 0.8 * v_star.mean()

# %% tags=["hide-input"]
axes = plots.axes(1, 2, size=(11, 5.8))
same_scale = dict(cells=grid.cells, labels=grid.labels, limit=np.abs(q_star).max())
plots.grid_q(q_random, grid.shape, title="$Q^\\pi$ of the random policy", ax=axes[0], **same_scale)
plots.grid_q(q_star.round(9), grid.shape, title="$Q^*$", ax=axes[1], **same_scale)
plots.show(axes, alt="Action values of the 5 by 5 gridworld, four to a cell: of the random policy, small and partly negative, and "
           "optimal ones, up to 24.4; arrows along the best moves.")  # fmt: skip

# %% [markdown]
# ### The trap, seen
#
# A plain argmax with a test for an unchanged policy, on this same grid, full of ties. The next cell stops after 1000 rounds.

# %%
for gamma in (0.9, 0.95):
    pi, count = np.eye(4)[np.zeros(25, dtype=int)], 0
    while count < 1000:
        v = dp.solve_bellman(m.P, m.R, pi, gamma)
        new, count = greedy_policy(dp.q_from_v(v, m.P, m.R, gamma)), count + 1
        if (new == pi).all():
            break
        pi = new
    end = " and no end" if count == 1000 else ""
    by_the_rule = policy_iteration(m.P, m.R, gamma)[2]
    print(f"γ = {gamma}: plain argmax {count} rounds{end}, by the rule {by_the_rule}")

# %% [markdown]
# (What you see depends on how your machine rounds: on some the plain argmax needs a few rounds more, on others it never ends.)

# %% [markdown]
# ## Your functions at work
#
# A maze: `S` start, `G` goal, `#` wall; only reaching the goal pays, 1, and γ = 0.95. Watch the action values **propagate back from the
# goal**, one step a sweep, and the arrows with them. Drag, or let it play:

# %%
maze = gridworlds.maze()
w = maze.mdp
tables = [np.zeros(w.R.shape)]
for _ in range(16):
    tables.append(bellman_optimality_backup(tables[-1], w.P, w.R, w.gamma))

# %% tags=["hide-input"]
over_the_maze = dict(cells=maze.cells, labels=maze.labels, without=np.flatnonzero(w.terminal))


def draw(k):
    return plots.grid_q(
        tables[k], maze.shape, title=f"after {k} sweeps", digits=None, limit=1.0, **over_the_maze
    )


plots.slide(draw, range(17), name="sweeps", start=9, milliseconds=500,
            alt="Action values in the maze after 0 to 16 sweeps, four to a cell: colour and arrows spread from the goal to the "
            "start.")  # fmt: skip

# %% [markdown]
# And the policy found in it, acting, beside one that draws every move at random:

# %%
q_maze, _ = value_iteration(w.P, w.R, w.gamma, 1e-8)
path = greedy_path(maze, q_maze)
env = TabularEnv(maze, max_steps=1000)
env.reset(seed=0)
wander = lambda s, rng: rng.integers(4)  # noqa: E731
lengths = [len(run_episode(env, wander, rng)[0]) for _ in range(20)]
print(f"greedy: {len(path) - 1} steps")
print(f"at random: {np.mean(lengths):.0f} steps, mean of 20 episodes (cut off at 1000)")
assert len(path) - 1 < np.mean(lengths)

# %% tags=["hide-input"]
found = f"greedy on {whose('value_iteration')} q"
ax = plots.grid_path({found: path}, maze.shape, cells=maze.cells, labels=maze.labels)
plots.show(ax, alt="The greedy path through the maze, around the walls from S to G.")

# %% [markdown]
# ### Talk to your neighbour
# After 20 sweeps of value iteration the values are still wrong by 8. You stop there and act greedily on them, for ever. How much does that cost you,
# in the worst state, compared with the best policy?
#
# **A** about 8 · **B** more: the error is made again at every step · **C** about half of it · **D** next to nothing
#
# <details><summary>What the next cell will show</summary>
#
# D, in these worlds. All values are wrong by nearly the same amount, and what is wrong in all actions alike does not change their order.
# </details>

# %% [markdown]
# ### When is the policy right, and when are the values?
#
# Value iteration on ten random MDPs: how far the values are from $V^*$ after k sweeps, and how much is lost by *acting* greedily
# on them.

# %%
wrong, lost = np.zeros((10, 60)), np.zeros((10, 60))
for i in range(10):
    g = mdp.garnet(n_states=30, n_actions=4, branching=4, rng=rng, gamma=0.95)
    _, best, _ = policy_iteration(g.P, g.R, g.gamma)
    q = np.zeros(g.R.shape)
    for k in range(60):
        q = bellman_optimality_backup(q, g.P, g.R, g.gamma)
        acting = dp.solve_bellman(g.P, g.R, greedy_policy(q), g.gamma)
        wrong[i, k] = np.abs(q.max(axis=1) - best).max()
        lost[i, k] = np.abs(acting - best).max()
for k in (1, 5, 20):
    print(f"after {k:2} sweeps: values wrong by {wrong[:, k - 1].mean():5.2f}, "
          f"acting on them costs {lost[:, k - 1].mean():.4f}")  # fmt: skip
assert 7 < wrong[:, 19].mean() < 10 and lost[:, 19].mean() < 0.01

# %% tags=["hide-input"]
ax = plots.curves({"values: ‖v − V*‖": wrong, "acting on them: ‖V of greedy − V*‖": lost},
                  x=np.arange(1, 61), xlabel="sweeps", ylabel="error")  # fmt: skip
plots.show(ax, alt="Error against sweeps for 10 random MDPs: the loss of the greedy policy falls to zero within a few "
           "sweeps, the error of the values falls slowly.")  # fmt: skip

# %% [markdown]
# The policy is right long before the values are: acting only needs the *order* of the actions. How much can wrong values cost at
# most?

# %% [markdown]
# ## The price of wrong values
#
# Let $v$ be any table, and π greedy for it. We cannot compare $v$ with $V^*$, which we do not have. But we can back $v$ up once and see
# how much changes, the **Bellman residual** $\varepsilon = \|T^*v - v\|_\infty$. How far can $v$ be from $V^*$? Go there in two steps,
# and use that $V^*$ is a fixed point and $T^*$ a contraction:
#
# $$\|v - V^*\| \le \|v - T^*v\| + \|T^*v - T^*V^*\| \le \varepsilon + \gamma\,\|v - V^*\|
# \quad\Rightarrow\quad \|v - V^*\| \le \frac{\varepsilon}{1-\gamma}$$
#
# The same with $T^\pi$ and $V^\pi$. Since π is greedy for $v$, one backup by π *is* the optimality backup, $T^\pi v = T^*v$, so its residual
# is the same ε:
#
# $$\|v - V^\pi\| \le \frac{\varepsilon}{1-\gamma} \tag{3.11}$$
#
# And from $V^\pi$ to $V^*$ by way of $v$, the triangle inequality:
#
# $$\|V^\pi - V^*\|_\infty \le \|V^\pi - v\|_\infty + \|v - V^*\|_\infty \le \frac{2\,\varepsilon}{1-\gamma} \tag{3.12}$$
#
# (Williams and Baird (1993) show that even $2\gamma\varepsilon/(1-\gamma)$ holds. We use what we have proved.)

# %% [markdown] task="suboptimality_bound"
# ### Exercise 3.6 · `suboptimality_bound`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute the right-hand side of (3.12) for any table v. ε is the residual of the *optimality* backup, in the max norm.


# %% exercise="suboptimality_bound" points=2
def suboptimality_bound(v, P, R, gamma):
    """The bound (3.12) on what acting greedily on v costs.

    v: (S,); P: (S, A, S); R: (S, A); gamma: in [0, 1). Returns a float.
    """
    ### BEGIN SOLUTION
    backed_up = np.max(R + gamma * (P @ v), axis=1)  # T* v, on state values
    epsilon = np.max(np.abs(backed_up - v))
    return float(2 * epsilon / (1 - gamma))  # (3.12)
    ### END SOLUTION


# %% [markdown] hints="suboptimality_bound"
# <details><summary>What is T* on a table of state values?</summary>
#
# Look one step ahead for every action, as in exercise 2.1, then take the best action of each state.
# </details>
# <details><summary>What is the max norm?</summary>
#
# The largest absolute entry. v may be too high as well as too low.
# </details>
# <details><summary>What should come out for v = V*?</summary>
#
# 0: one backup changes nothing.
# </details>

# %% check="suboptimality_bound"
suboptimality_bound = check("suboptimality_bound")

# %% [markdown]
# Does it hold, and how tight is it? $V^*$ of a random MDP, disturbed by noise of growing size:

# %%
g = mdp.garnet(n_states=20, n_actions=4, branching=4, rng=rng, gamma=0.9)
_, best, _ = policy_iteration(g.P, g.R, g.gamma)
sizes = np.linspace(0.05, 3, 20)
bound, cost = np.zeros((10, 20)), np.zeros((10, 20))
for i in range(10):
    for k, size in enumerate(sizes):
        v = best + size * rng.normal(size=20)
        acting = dp.solve_bellman(
            g.P, g.R, greedy_policy(dp.q_from_v(v, g.P, g.R, g.gamma)), g.gamma
        )
        bound[i, k], cost[i, k] = (
            suboptimality_bound(v, g.P, g.R, g.gamma),
            np.abs(acting - best).max(),
        )
share = cost / bound
print("by", authorship("suboptimality_bound"))
print(f"the cost is {np.mean(share):.1%} of the bound on average, at most {np.max(share):.1%}")
assert (cost <= bound).all()

# %% tags=["hide-input"]
ax = plots.curves({"bound (3.12)": bound, "true cost": cost}, x=sizes, xlabel="size of the noise on V*",
                  ylabel="loss of acting greedily")  # fmt: skip
plots.show(
    ax,
    alt="The bound and the true cost of acting on disturbed values: the true cost stays far below the bound.",
)

# %% [markdown]
# The bound always holds and is far from tight: it covers the worst MDP and the worst noise. It will matter in Part II, where values are
# never exact.

# %% [markdown]
# ## The same problem from two sides
#
# So far we looked for a *table*. One can also look for a *policy* directly, and both searches are the two sides of one **linear programme**.
#
# **The side of the values.** If $v(s) \ge r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,v(s')$ for all s and a, then $v \ge T^*v \ge T^*T^*v \ge \dots \to V^*$.
# So $V^*$ is the smallest table that obeys these inequalities:
#
# $$\begin{aligned}
# &\min_v\;(1-\gamma)\sum_s\text{start}(s)\,v(s)\qquad\text{such that}\\
# &v(s) \ge r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,v(s')\quad\text{for all } s, a
# \end{aligned} \tag{3.13}$$
#
# **The side of the policies.** Lesson 01's occupancy says how much of its (discounted) time π spends in a state; $\eta(s,a) = \eta^\pi(s)\,\pi(a|s)$
# says how much with which action. What flows into a state must flow out again, and every table η that obeys this belongs to a policy:
#
# $$\begin{aligned}
# &\max_{\eta\ge0}\;\sum_{s,a}\eta(s,a)\,r(s,a)\qquad\text{such that}\\
# &\sum_a\eta(s',a) = (1-\gamma)\,\text{start}(s') + \gamma\sum_{s,a}p(s'|s,a)\,\eta(s,a)\quad\text{for all } s'
# \end{aligned} \tag{3.14}$$
#
# Take any $v$ and any π, multiply the gap in each inequality by $\eta(s,a)$, and add up. By the flow condition nearly everything cancels:
#
# $$\begin{aligned}
# (1-\gamma)&\Big[\sum_s\text{start}(s)\,v(s) - J(\pi)\Big]\\
# &= \sum_{s,a}\eta(s,a)\,\Big[v(s) - r(s,a) - \gamma\sum_{s'}p(s'|s,a)\,v(s')\Big]
# \end{aligned} \tag{3.15}$$
#
# If $v$ obeys its inequalities, the right side is not negative: every $v$ allowed in (3.13) lies above every policy of (3.14). With $v = V^*$ the bracket is
# $-A^{\pi^*}(s,a)$, by (3.8): **what π loses is the advantage that it gives away, where it goes.** Nothing is lost, and both sides meet, if π only takes actions
# with $A^{\pi^*} = 0$.

# %%
world = mdp.garnet(n_states=6, n_actions=3, branching=3, rng=rng)
v_best = policy_iteration(world.P, world.R, world.gamma)[1]
q_best = dp.q_from_v(v_best, world.P, world.R, world.gamma)
gap = v_best[:, None] - q_best  # the bracket of (3.15), −A of the optimal policy
start, g_ = world.start, world.gamma
for name, pi in (
    ("optimal", greedy_policy(q_best)),
    ("uniform", np.full((6, 3), 1 / 3)),
    ("some π", rng.dirichlet(np.ones(3), size=6)),
):
    eta = mdp.discounted_occupancy(mdp.policy_transition(world.P, pi), start, g_)[:, None] * pi
    flow = eta.sum(axis=1) - (1 - g_) * start - g_ * np.einsum("sat,sa->t", world.P, eta)
    value = mdp.expected_return(world.P, world.R, pi, start, g_)
    lost = np.round((1 - g_) * (start @ v_best - value), 12) + 0.0  # not −0
    print(f"{name:8} (1 − γ) J = {(eta * world.R).sum():6.3f} of {(1 - g_) * start @ v_best:.3f}; "
          f"lost {lost:.3f}, given away {np.abs(eta * gap).sum():.3f}")  # fmt: skip
    assert np.abs(flow).max() < 1e-12 and gap.min() > -1e-9
    assert abs(lost - (eta * gap).sum()) < 1e-9

# %% [markdown]
# **Value methods** move $v$ (value iteration, and from lesson 05 on Q-learning); **policy methods** move η by way of π (Part III); what connects them is the
# advantage. Actor-critics hold both.

# %% [markdown]
# ## Change one thing: γ
#
# **What to look for:** how the number of sweeps grows as γ approaches 1, and that the number of rounds hardly does.

# %%
for gamma in (0.5, 0.8, 0.9, 0.95, 0.99):
    _, sweeps = value_iteration(g.P, g.R, gamma, 1e-6)
    _, _, rounds = policy_iteration(g.P, g.R, gamma)
    print(f"γ = {gamma:4}: {sweeps:5d} sweeps, {rounds} rounds of policy iteration")

# %% [markdown]
# And the policy? **Drag γ, and watch the arrows** in the 5 × 5 world. At γ = 0 only the next reward counts; at the crossroads you found where such a
# choice flips. How many states change their mind on the way to 0.95?

# %% tags=["hide-input"]
discounts = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
of_discount = {}
for gamma in discounts:
    v = policy_iteration(m.P, m.R, gamma)[1]
    of_discount[gamma] = dp.q_from_v(v, m.P, m.R, gamma).round(9)


def draw(gamma):
    return plots.grid_q(of_discount[gamma], grid.shape, cells=grid.cells, labels=grid.labels, digits=None,
                        title=f"Q*, γ = {gamma}; A is worth {of_discount[gamma].max():.1f}")  # fmt: skip


plots.slide(draw, discounts, name="γ", start=discounts.index(0.5), milliseconds=800,
            alt="Optimal action values of the 5 by 5 gridworld for a discount between 0 and 0.95: at 0 the arrows only avoid the "
            "border; the larger γ, the farther A draws them.")  # fmt: skip
best_moves = [plots.maximal_actions(q, 1e-6) > 0 for q in of_discount.values()]
changes = [(a != b).any(axis=1).sum() for a, b in pairwise(best_moves)]
told = [
    f"{n} from γ = {low} to {high}"
    for n, (low, high) in zip(changes, pairwise(discounts), strict=True)
    if n
]
print("states that change their best moves:", ", ".join(told))

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** After you have $Q^*$, how do you act? Why is $V^*$ alone not enough?
#
# <details><summary>Answer</summary>
#
# Take the largest entry of the row. From $V^*$ you would have to look one step ahead, and for that you need $p$. Remember this: from
# lesson 04 on, $p$ is unknown.
# </details>
#
# **2.** A round of policy iteration costs much more than a sweep of value iteration. What lies in between?
#
# <details><summary>Answer</summary>
#
# A few sweeps of evaluation for each improvement. One sweep gives value iteration, infinitely many policy iteration; everything in between
# converges too. Every actor-critic of Part III is of this kind.
# </details>

# %% [markdown]
# ## Summary
#
# - A policy is optimal if it is at least as good as every other one in every state. One exists, it is deterministic, and it is greedy for its own values.
# - Greedy for the *old* values is already an improvement, everywhere at once: that is the policy improvement theorem, and why policy iteration ends.
# - In the optimality equation (3.5) the mean over the next action has become a maximum. It stands inside the mean over the next state: first one sees
#   $s'$, then one chooses.
# - Against the optimal policy no action has an advantage, (3.8). What another policy loses is the advantage that it gives away, where it goes.
# - Acting on wrong values costs at most $\frac{2\varepsilon}{1-\gamma}$, with ε the largest change that one more backup would make; mostly it costs much less,
#   since only the order of the actions counts.

# %% [markdown]
# ## Where this went
#
# What later methods change in (3.5):
#
# - **Watkins 1989**: the mean over $s'$ is replaced by the one $s'$ that came, and the assignment by a small step towards it: Q-learning, lesson 05.
# - **Puterman & Shin 1978**: take the maximum only in every m-th sweep, and in between back up by the policy that it chose: modified policy iteration.
#   m = 1 is value iteration; with m → ∞ it becomes policy iteration.
# - **Shapley 1953, Littman 1994**: an opponent acts, too. In the place of $\max_{a'}Q^*(s',a')$ stands
#   $\max_\pi\min_b\sum_{a'}\pi(a')\,Q^*(s',a',b)$, and it is a contraction all the same.
# - **Iyengar 2005, Nilim & El Ghaoui 2005**: $p$ is only known to lie in a set. The mean over $s'$ becomes the smallest one,
#   $\min_{p\in\mathcal P(s,a)}\mathbb E_{s'\sim p}[\,\cdot\,]$: robust MDPs.
# - **Ziebart 2010, Haarnoja et al. 2017**: the maximum becomes a soft one, $\alpha\log\sum_{a'}\exp(Q(s',a')/\alpha)$, and the best policy draws its actions.
#   For α → 0 it is (3.5) again: lessons 16 and 17.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>A maximum in the wrong place, and a loop that may not end</summary>
#
# - *Zhang, Lipton, Li & Smola, "Dive into Deep Learning"*, chapter "Reinforcement Learning" by Chaudhari, Fakoor & Asadi, section "Value Iteration": the update for
#   $Q_{k+1}$ has the maximum over $a'$ in front of the sum over $s'$, one action for all next states. The next section, "Q-Learning", has it inside, as (3.5).
#   The first section also writes $V^*(s) = \mathrm{argmax}_a\{\dots\}$ where the maximum is meant.
# - *Sutton & Barto*: the box of policy iteration in §4.3 may go to and fro for ever between policies that are equally good; their exercise 4.4 says so and asks for
#   the remedy. Equation 3.20 of the book is our (3.5), and its 4.10 is (3.9) written for v.
# - *Williams & Baird 1993* prove the sharper $\frac{2\gamma\varepsilon}{1-\gamma}$ in the place of (3.12).
# </details>

# %% [markdown]
# ## What we hand on
#
# $$Q^*(s,a) = r(s,a) + \gamma\,\mathbb E_{s'\sim p(\cdot|s,a)}\Big[\max_{a'}Q^*(s',a')\Big]$$
#
# Solved, if $p$ and $r$ are known and the table is small. Lesson 04 takes the first of these away: **$p$ is unknown, and all we can do is
# act and see what happens.** To see what that takes, we step back to the equation without the max,
#
# $$V^\pi(s) = \mathbb E_{a\sim\pi(\cdot|s)}\,\mathbb E_{s'\sim p(\cdot|s,a)}\big[\,r + \gamma V^\pi(s')\,\big]$$
#
# The max returns in lesson 05.
