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
# Part I · 00 → 01 → 02 → **03** → 04 → 05
#
# - **You will be able to** say what "optimal" means and why acting greedily on $Q^*$ is; improve any policy; find the best one in
#   two ways; and bound what it costs to act on values that are wrong.
# - **Builds on** lesson 02 (the Bellman equation, backups, contraction).
# - **Time** 110 minutes alone, 60 as a lecture.
# - **Sources** Sutton & Barto, 2nd edition, §3.6, §4.2–4.4; Williams & Baird 1993 (the bound); the CS 224R tutorial slides on
#   Q-learning.

# %%
from itertools import product

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
# compared. (The tutorial slides print $\pi(a|s) = \max_a Q(s,a)$. They mean the argmax: a policy says *which* action, not how much
# it is worth.)

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
# ### It can only get better
#
# One step by π', then π for ever: by (3.2) that is worth $\max_a Q^\pi(s,a) \ge V^\pi(s)$. In the language of backups,
# $T^{\pi'}V^\pi \ge V^\pi$ in every state. Now apply $T^{\pi'}$ again. It is an average plus constants, so a table that is larger
# everywhere stays larger everywhere:
#
# $$V^\pi \;\le\; T^{\pi'}V^\pi \;\le\; T^{\pi'}T^{\pi'}V^\pi \;\le\; \dots \;\to\; V^{\pi'}
# \qquad\Longrightarrow\qquad V^{\pi'}(s) \ge V^\pi(s)\ \text{ for all } s \tag{3.3}$$
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
# When can the greedy policy not improve any more? When it is greedy for its own values. Then the inner expectation of (3.1), under
# π, *is* the maximum, and we can write it without knowing π:
#
# $$Q^*(s,a) = r(s,a) + \gamma\,\mathbb E_{s'\sim p(\cdot|s,a)}\Big[\max_{a'}Q^*(s',a')\Big] \tag{3.4}$$
#
# This is the **Bellman optimality equation**, and $Q^*$ are the values of an optimal policy. Two questions to be clear about:
#
# *Why must an optimal policy be greedy for $Q^*$?* Suppose it were not: in some state it takes an action whose $Q^*$ is smaller than
# the best. Switch to the best action there. By (3.3) the new policy is nowhere worse, and in that state better. So the old one was
# not optimal: a contradiction.
#
# *For which functions does (3.4) hold?* For one only. It is not a property of tables in general but a condition that singles out
# $Q^*$. As in lesson 02, for any other table the right-hand side is a *different* table, and hopefully a better one:
#
# $$(T^*q)(s,a) = r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,\max_{a'}q(s',a') \tag{3.5}$$
#
# Mind the order: the maximum stands *inside* the sum. First the world shows you $s'$, then you choose. (A well-known textbook
# chapter has it outside, which would make you choose before you see.)

# %% [markdown] task="bellman_optimality_backup"
# ### Exercise 3.2 · `bellman_optimality_backup`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute (3.5), as a new array, all entries from the same old q.


# %% exercise="bellman_optimality_backup" points=2
def bellman_optimality_backup(q, P, R, gamma):
    """One Bellman optimality backup of every state and action (3.5).

    q, R: (S, A); P: (S, A, S); gamma: in [0, 1]. Returns a new (S, A).
    """
    ### BEGIN SOLUTION
    best_from_here = np.max(q, axis=1)  # max over a', for every s'
    return R + gamma * np.einsum("sat,t->sa", P, best_from_here)  # (3.5)
    ### END SOLUTION


# %% [markdown] hints="bellman_optimality_backup"
# <details><summary>Where do I begin?</summary>
#
# With the innermost thing in (3.5): one number for each next state.
# </details>
# <details><summary>And then?</summary>
#
# You have state values; what is left is exactly exercise 2.1.
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
# $$\|T^*q - T^*q'\|_\infty \le \gamma\,\|q - q'\|_\infty \tag{3.6}$$
#
# Hence there is exactly one fixed point, and repeated backups lead to it from anywhere. Is it really the best there is? Let
# $V^*(s) = \max_a Q^*(s,a)$ and take *any* policy π. A mean over actions is at most the maximum, so $T^\pi V^* \le V^*$. Apply
# $T^\pi$ again and again, as in (3.3), with the signs turned: $V^\pi \le V^*$ in every state. And the greedy policy for $Q^*$ reaches
# it, because for that one the mean *is* the maximum.

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
# ## Value iteration: fake it till you make it
#
# Take the equality (3.4) and use it as an assignment. The right-hand side contains a wrong table, but also the true rewards; every
# sweep mixes in a little more truth.
#
# $$q_{k+1} = T^*q_k,\qquad\text{until}\quad\max_{s,a}|q_{k+1}(s,a) - q_k(s,a)| < \text{tolerance} \tag{3.7}$$
#
# The same loop can be written on state values, $v_{k+1}(s) = \max_a\big[r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,v_k(s')\big]$, as the book
# does: these are the row maxima, $v_k(s) = \max_a q_k(s,a)$. We keep q, because it says which action to take.

# %% [markdown] task="value_iteration"
# ### Exercise 3.3 · `value_iteration`
# **Points** 3 · **Difficulty** ●●○ · **Time** 15 min
#
# Write (3.7): start from zeros, stop after the first sweep that changes no entry of q by `tolerance` or more. Return the new q and the
# number of sweeps, the last one included. Sweeping in place is right too.


# %% exercise="value_iteration" points=3
def value_iteration(P, R, gamma, tolerance):
    """Value iteration on q (3.7).

    P: (S, A, S); R: (S, A); gamma: in [0, 1]; tolerance > 0.
    Returns q (S, A) and the number of sweeps, an int ≥ 1.
    """
    ### BEGIN SOLUTION
    q = np.zeros(R.shape)
    sweeps = 0
    while True:
        new = R + gamma * (P @ q.max(axis=1))  # (3.7)
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
# <details><summary>Could I stop when the greedy policy no longer changes?</summary>
#
# That would often be much earlier, and the values would be wrong. It is q whose changes are measured.
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
# \pi_{k+1}(s) = \arg\max_a\Big[r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,V^{\pi_k}(s')\Big] \tag{3.8}$$
#
# Every policy is better than the one before, and there are finitely many, so it must end. There is a trap in "better", though. If two
# actions tie, rounding may call now one, now the other the best, and a plain argmax changes its mind for ever. The remedy: **keep the
# present action unless another is better by more than a hair** (10⁻⁹, say).

# %% [markdown] task="policy_iteration"
# ### Exercise 3.4 · `policy_iteration`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Write (3.8). Start with action 0 in every state. A round evaluates the policy *exactly* (solve the linear system: your exercise 2.5,
# or `dp.solve_bellman`) and improves it in all states at once. Stop when the policy is unchanged. Return pi, its values v, and the
# number of rounds, the one that changed nothing included.


# %% exercise="policy_iteration" points=3
def policy_iteration(P, R, gamma):
    """Policy iteration (3.8).

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
# <details><summary>When do I stop, and what do I return?</summary>
#
# When the round found nothing to improve. Then the values you have just computed belong to the policy you return.
# </details>
# <details><summary>Why compare policies and not values?</summary>
#
# Policies are discrete: equal or not. Values are rounded, and one may wait long for two of them to be equal to the last bit.
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
print(f"{authorship('value_iteration', 'policy_iteration')}: {sweeps} sweeps, or {rounds} rounds")
print(
    f"largest difference of the values: {np.abs(q_star.max(axis=1) - v_star).max():.1e}; A is worth {v_star.max():.1f}"
)
_, book, optimal = book_values()
assert (v_star.reshape(5, 5).round(1) == book.round(1)).all()
assert np.abs(q_star.max(axis=1) - v_star).max() < 1e-7
axes = plots.axes(1, 2, size="wide")
plots.grid_values(v_star, grid.shape, cells=grid.cells, labels=grid.labels, title="V*", ax=axes[0])
plots.grid_policy(plots.maximal_actions(q_star, 1e-6), grid.shape, cells=grid.cells, labels=grid.labels,
                  title="optimal actions", ax=axes[1])  # fmt: skip
plots.show(axes, alt="Optimal values of the 5 by 5 gridworld, 24.4 at A, and arrows for all optimal actions, which "
           "lead to A and B.")  # fmt: skip

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
    by_the_rule = policy_iteration(m.P, m.R, gamma)[2]
    print(
        f"γ = {gamma}: plain argmax {count} rounds{' and no end' if count == 1000 else ''}, by the rule {by_the_rule}"
    )

# %% [markdown]
# (What you see depends on how your machine rounds: on some the plain argmax needs a few rounds more, on others it never ends.)

# %% [markdown]
# ## Your functions at work
#
# A maze: `S` start, `G` goal, `#` wall; only reaching the goal pays, 1, and γ = 0.95. Watch the values **propagate back from the
# goal**, one step a sweep:

# %%
maze = gridworlds.maze()
w = maze.mdp
history, q = [np.zeros(w.n_states)], np.zeros(w.R.shape)
for _ in range(16):
    q = bellman_optimality_backup(q, w.P, w.R, w.gamma)
    history.append(q.max(axis=1))
plots.animate_values(history, maze.shape, cells=maze.cells, labels=maze.labels, digits=2,
                     alt="Values in the maze after 0 to 16 sweeps: they spread from the goal to the start.")  # fmt: skip

# %% [markdown]
# And the policy found in it, acting, beside one that draws every move at random:

# %%
q_maze, _ = value_iteration(w.P, w.R, w.gamma, 1e-8)
path = greedy_path(maze, q_maze)
found = f"greedy on {whose('value_iteration')} q"
ax = plots.grid_path({found: path}, maze.shape, cells=maze.cells, labels=maze.labels)
plots.show(ax, alt="The greedy path through the maze, around the walls from S to G.")
env = TabularEnv(maze, max_steps=1000)
env.reset(seed=0)
wander = lambda s, rng: rng.integers(4)  # noqa: E731
lengths = [len(run_episode(env, wander, rng)[0]) for _ in range(20)]
print(
    f"greedy: {len(path) - 1} steps; at random: {np.mean(lengths):.0f} on average over 20 episodes (cut off at 1000)"
)
assert len(path) - 1 < np.mean(lengths)

# %% [markdown]
# ### When is the policy right, and when are the values?
#
# Value iteration on twenty random MDPs: how far the values are from $V^*$ after k sweeps, and how much is lost by *acting* greedily
# on them.

# %%
wrong, lost = np.zeros((20, 60)), np.zeros((20, 60))
for i in range(20):
    g = mdp.garnet(n_states=30, n_actions=4, branching=4, rng=rng, gamma=0.95)
    _, best, _ = policy_iteration(g.P, g.R, g.gamma)
    q = np.zeros(g.R.shape)
    for k in range(60):
        q = bellman_optimality_backup(q, g.P, g.R, g.gamma)
        acting = dp.solve_bellman(g.P, g.R, greedy_policy(q), g.gamma)
        wrong[i, k], lost[i, k] = np.abs(q.max(axis=1) - best).max(), np.abs(acting - best).max()
ax = plots.curves({"values: ‖v − V*‖": wrong, "acting on them: ‖V of greedy − V*‖": lost},
                  xlabel="sweeps", ylabel="error")  # fmt: skip
plots.show(ax, alt="Error against sweeps for 20 random MDPs: the loss of the greedy policy falls to zero within a few "
           "sweeps, the error of the values falls slowly.")  # fmt: skip
print(
    f"after 20 sweeps: values are wrong by {wrong[:, 19].mean():.2f}, acting on them costs {lost[:, 19].mean():.3f}"
)
assert lost[:, 19].mean() < 0.1 * wrong[:, 19].mean()

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
# $$\|v - V^\pi\| \le \frac{\varepsilon}{1-\gamma} \tag{3.9}$$
#
# And from $V^\pi$ to $V^*$ by way of $v$, the triangle inequality:
#
# $$\|V^\pi - V^*\|_\infty \le \|V^\pi - v\|_\infty + \|v - V^*\|_\infty \le \frac{2\,\varepsilon}{1-\gamma} \tag{3.10}$$
#
# (Williams and Baird (1993) show that even $2\gamma\varepsilon/(1-\gamma)$ holds. We use what we have proved.)

# %% [markdown] task="suboptimality_bound"
# ### Exercise 3.5 · `suboptimality_bound`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute the right-hand side of (3.10) for any table v. ε is the residual of the *optimality* backup, in the max norm.


# %% exercise="suboptimality_bound" points=2
def suboptimality_bound(v, P, R, gamma):
    """The bound (3.10) on what acting greedily on v costs.

    v: (S,); P: (S, A, S); R: (S, A); gamma: in [0, 1). Returns a float.
    """
    ### BEGIN SOLUTION
    backed_up = np.max(R + gamma * (P @ v), axis=1)  # T* v, on state values
    epsilon = np.max(np.abs(backed_up - v))
    return float(2 * epsilon / (1 - gamma))  # (3.10)
    ### END SOLUTION


# %% [markdown] hints="suboptimality_bound"
# <details><summary>What is T* on a table of state values?</summary>
#
# Look one step ahead for every action (exercise 2.1), then take the best action of each state.
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
bound, cost = np.zeros((30, 20)), np.zeros((30, 20))
for i in range(30):
    for k, size in enumerate(sizes):
        v = best + size * rng.normal(size=20)
        acting = dp.solve_bellman(
            g.P, g.R, greedy_policy(dp.q_from_v(v, g.P, g.R, g.gamma)), g.gamma
        )
        bound[i, k], cost[i, k] = (
            suboptimality_bound(v, g.P, g.R, g.gamma),
            np.abs(acting - best).max(),
        )
print(f"{authorship('suboptimality_bound')}: the cost is {np.mean(cost / bound):.1%} of the bound on average, at most "
      f"{np.max(cost / bound):.1%}")  # fmt: skip
assert (cost <= bound).all()
ax = plots.curves({"bound (3.10)": bound, "true cost": cost}, x=sizes, xlabel="size of the noise on V*",
                  ylabel="loss of acting greedily")  # fmt: skip
plots.show(
    ax,
    alt="The bound and the true cost of acting on disturbed values: the true cost stays far below the bound.",
)

# %% [markdown]
# The bound always holds and is far from tight: it covers the worst MDP and the worst noise. It will matter in Part II, where values are
# never exact.

# %% [markdown]
# ## Change one thing: γ
#
# **What to look for:** how the number of sweeps grows as γ approaches 1, and that the number of rounds hardly does.

# %%
for gamma in (0.5, 0.8, 0.9, 0.95, 0.99):
    _, sweeps = value_iteration(g.P, g.R, gamma, 1e-6)
    _, _, rounds = policy_iteration(g.P, g.R, gamma)
    print(
        f"γ = {gamma:4}: {sweeps:5d} sweeps of value iteration, {rounds} rounds of policy iteration"
    )

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** After you have $Q^*$, how do you act? Why is $V^*$ alone not enough?
#
# <details><summary>Answer</summary>
#
# Take the largest entry of the row. From $V^*$ you would have to look one step ahead, and for that you need $p$. Remember this: from
# lesson 05 on, $p$ is unknown.
# </details>
#
# **2.** There is always a deterministic optimal policy. Where in this lesson was that shown?
#
# <details><summary>Answer</summary>
#
# Below (3.6): no policy has larger values than $V^*$, and the greedy policy for $Q^*$, which is deterministic, has just these.
# </details>
#
# **3.** A round of policy iteration costs much more than a sweep of value iteration. What lies in between?
#
# <details><summary>Answer</summary>
#
# A few sweeps of evaluation for each improvement. One sweep gives value iteration, infinitely many policy iteration; everything in between
# converges too. Every actor-critic of Part III is of this kind.
# </details>

# %% [markdown]
# ## What we hand on
#
# $$Q^*(s,a) = r(s,a) + \gamma\,\mathbb E_{s'\sim p(\cdot|s,a)}\Big[\max_{a'}Q^*(s',a')\Big]$$
#
# Solved, if $p$ and $r$ are known and the table is small. Lesson 04 takes the first of these away: **$p$ is unknown, and all we can do is
# act and see what happens.**
