# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · Linear control, batches, fitted Q
#
# Part II · 06 → **07** → 08 → 09
#
# - **You will be able to** drive a car out of a valley with values that are sums of a few weights; learn from a fixed
#   log instead of a world, by least squares and by fitted Q-iteration; say when values run away, compute the largest
#   step size that does not, and switch the divergence off, one cause at a time.
# - **Builds on** lesson 05 (SARSA, Q-learning) and lesson 06 (features, the semi-gradient).
# - **Time** two sittings of 70 minutes alone (a break is marked), 80 minutes as a lecture.
# - **Sources** Sutton & Barto, 2nd edition, §9.4, §9.5.4, §10.1, §11.2–11.3; Baird 1995; Gordon 1995; Tsitsiklis & Van
#   Roy 1996 and 1997; Ernst, Geurts & Wehenkel 2005; Riedmiller 2005; slides on function approximation (L. Brigato,
#   2024) and on Q-learning (CS 224R tutorial).

# %%
from itertools import pairwise

import numpy as np

from rlcourse.checker import authorship, check, whose
from rlcourse.lab import plots
from rlcourse.lab.progress import seeds
from rlcourse.tabular import control
from rlcourse.values import fitted_q, linear, triad
from rlcourse.values import mountain_car as car

# %% [markdown]
# ## What we inherit
#
# Lesson 06 gave up the table of values. A function $\hat v(s;w)$ has a few weights, and each step moves them along the
# gradient of what is predicted, towards a target that counts as a constant:
#
# $$w \leftarrow w + \alpha\,\big[\,r + \gamma\,(1-d)\,\hat v(s';w) - \hat v(s;w)\,\big]\,\nabla\hat v(s;w) \tag{7.1}$$
#
# That judges a policy. Which part can we not compute, if we want to *act*? The same as in lesson 05: the best action, without
# $p$. And the same repair: a value for every action, $\hat q(s,a;w)$. But now the values share their weights, and by the
# end of this lesson that will have made trouble.

# %% [markdown]
# ## Guess first
#
# **Mountain Car.** A car stands in a valley, the goal is on the right rim. Its engine is weaker than gravity on the
# slope. It pushes left, not at all, or right; each step costs 1 until it is there. It stands still at the bottom.
# **Which way does the quickest way out begin?**
#
# **A** to the right, towards the goal · **B** to the left · **C** it makes no difference
#
# <details><summary>I have guessed. What happens?</summary>
#
# B. To the right the car gets stuck half way up. To the left it gains height, and with it the speed that the engine cannot give. So
# the values along the way are anything but a straight line from start to goal. You will see them, as your agent learns
# them.
# </details>

# %% [markdown]
# ## Tiles
#
# A state is two real numbers, position and velocity. In lesson 06 a state was one number, and groups of neighbours shared a
# weight. In two dimensions the groups are **tiles**: cut the box of possible states into a grid, one weight a tile.
#
# Large tiles learn quickly and see little, small ones the other way round. **Tile coding** has both: several grids, called
# **tilings**, each displaced by a part of a tile. A state is in one tile of *each* tiling; its value is the sum of
# their weights.
#
# Let $o$ be an observation with $D$ numbers in the box from $\text{low}$ to $\text{high}$, with $n$ tiles a side and $K$
# tilings, $k = 0,\dots,K-1$. Measure $o$ in tiles; displace tiling $k$ by $k/K$ of a tile; number the cells:
#
# $$\begin{aligned}
# u &= n\,\frac{\mathrm{clip}(o,\text{low},\text{high})-\text{low}}{\text{high}-\text{low}},\qquad
# c_j = \lfloor u_j + k/K\rfloor,\\
# \text{index} &= k\,m^D + \sum_{j=0}^{D-1} c_j\,m^{D-1-j}
# \end{aligned} \tag{7.2}$$
#
# $m$ is the number of tiles a side that a displaced tiling really needs. The index is a number written in base $m$, as a
# block for every tiling.

# %% [markdown] task="tile_indices"
# ### Exercise 7.1 · `tile_indices`
# **Points** 3 · **Difficulty** ●●○ · **Time** 20 min
#
# Compute (7.2): for each observation the index of its one active tile in each tiling.
#
# - The box says nothing about $m$. Decide, from the values that $c_j$ can take.
# - Observations outside the box count as if they were at its border.
# - N may be 0, D anything from 1 on. The result is an array of integers.


# %% exercise="tile_indices" points=3
def tile_indices(obs, low, high, n_tiles, n_tilings):
    """The active tile of each tiling (7.2).

    obs: (N, D); low, high: (D,); n_tiles: a side, before displacing; n_tilings: K.
    Returns (N, n_tilings) of integers, every tiling with a block of its own.
    """
    ### BEGIN SOLUTION
    side, dims = n_tiles + 1, obs.shape[1]  # u reaches n_tiles, and the displacement is below 1
    u = n_tiles * (np.clip(obs, low, high) - low) / (high - low)
    k = np.arange(n_tilings)
    cells = np.floor(u[:, None, :] + k[:, None] / n_tilings).astype(int)  # (N, K, D)
    return k * side**dims + cells @ side ** np.arange(dims - 1, -1, -1)  # (7.2)
    ### END SOLUTION


# %% [markdown] hints="tile_indices"
# <details><summary>How do I get N, K and D into one array?</summary>
#
# Give each of them an axis of its own: insert an axis of length 1 into u where the tilings belong, and into the
# displacements where the dimensions belong. NumPy stretches both. A loop over tilings will do as well.
# </details>
# <details><summary>Which cells are there?</summary>
#
# Take one dimension, two tiles and two tilings. Walk an observation from the lower border to the upper one, and write down the
# cell in tiling 0 and in tiling 1. Which numbers have occurred?
# </details>
# <details><summary>How do I make one number of a row of cells?</summary>
#
# As you read 3, 0, 7 as three hundred and seven: each digit times a power of the base, the first one times the highest power. Then
# skip the blocks of the tilings before this one.
# </details>

# %% check="tile_indices"
tile_indices = check("tile_indices")

# %% [markdown]
# What do tilings buy? Move the value of *one* state, the dot, and every state that shares a tile with it moves along, by the share of
# common tiles. **Drag the number of tilings** (with your tiles): one tiling moves a box, eight move a hill around the dot.

# %% tags=["hide-input"]
fine = np.stack(
    np.meshgrid(np.linspace(car.LOW[0], car.HIGH[0], 90), np.linspace(car.LOW[1], car.HIGH[1], 70)),
    axis=-1,
)
dot = np.array([[-0.42, 0.013]])


def over_the_box(values, title, dark="largest", ax=None):
    """Values (70, 90) over position and velocity, as colours with a scale beside them."""
    ax = plots.axes() if ax is None else ax
    colours = {"largest": "YlGnBu", "zero": "RdBu"}[dark]
    shown = ax.pcolormesh(fine[..., 0], fine[..., 1], values, cmap=colours, shading="auto")
    ax.figure.colorbar(shown, ax=ax)
    ax.grid(False)
    ax.set(xlabel="position", ylabel="velocity", title=title)
    return ax


def draw(tilings):
    there = tile_indices(fine.reshape(-1, 2), car.LOW, car.HIGH, 4, tilings)
    here = tile_indices(dot, car.LOW, car.HIGH, 4, tilings)
    share = (there == here).mean(axis=1).reshape(fine.shape[:2])
    ax = over_the_box(share, f"share of tiles in common with the dot (tilings: {tilings})")
    ax.plot(*dot[0], "o", color=plots.PALETTE["vermilion"], markersize=9)
    return ax


plots.slide(draw, [1, 2, 4, 8, 16], name="tilings", alt="States that share tiles with one state. With one tiling they fill a box, "
            "with more a hill along the diagonal that falls off in as many steps as there are tilings.")  # fmt: skip

# %% [markdown]
# ## A value for every action
#
# Let $x(s)$ be the features of a state: ones at its active tiles, zeros elsewhere. The simplest $\hat q$ has weights of its own
# for every action, $w_a$. Written with *one* long vector $w$, that means: put $x(s)$ into the block of action $a$.
#
# $$\begin{aligned}
# \hat q(s,a;w) &= w_a^\top x(s) = x(s,a)^\top w,\\
# x(s,a) &= \big(0,\dots,0,\ \underbrace{x(s)}_{\text{block } a},\ 0,\dots,0\big)
# \end{aligned} \tag{7.3}$$
#
# So all that lesson 06 knows of $x(s)^\top w$ holds for $\hat q$, too; and the gradient is $\nabla_w\hat q(s,a;w) = x(s,a)$.

# %% [markdown] task="state_action_features"
# ### Exercise 7.2 · `state_action_features`
# **Points** 1 · **Difficulty** ●○○ · **Time** 8 min
#
# Build $x(s,a)$ of (7.3) for a batch: row $i$ of `x` goes into the block of `action[i]`.
#
# - Blocks are in the order of the actions, from action 0 on. Actions that do not occur have their block too.
# - Each row comes out flat. N may be 0.


# %% exercise="state_action_features" points=1
def state_action_features(x, action, n_actions):
    """x(s, a) of (7.3), row by row.

    x: (N, d); action: (N,) int. Returns (N, n_actions * d).
    """
    ### BEGIN SOLUTION
    out = np.zeros((len(x), n_actions, x.shape[1]))
    out[np.arange(len(x)), action] = x
    return out.reshape(len(x), n_actions * x.shape[1])
    ### END SOLUTION


# %% [markdown] hints="state_action_features"
# <details><summary>What should I begin with?</summary>
#
# An array of zeros with an axis for rows, one for actions and one for features. Then only one block a row has to be filled.
# </details>
# <details><summary>How do I fill another block in every row?</summary>
#
# With a pair of index arrays, as in exercise 5.2: which row, and which action in it.
# </details>
# <details><summary>And then?</summary>
#
# Two axes become one. Say both lengths yourself: with no rows at all, NumPy cannot guess one of them.
# </details>

# %% check="state_action_features"
state_action_features = check("state_action_features")

# %% [markdown]
# The gradient of $\hat q$, by finite differences, for all three actions:

# %%
rng = np.random.default_rng(0)
x, w = rng.normal(size=4), rng.normal(size=(3, 4))
for action in range(3):
    nudges = 1e-6 * np.eye(w.size).reshape(-1, 3, 4)
    slope = [((w + n)[action] @ x - (w - n)[action] @ x) / 2e-6 for n in nudges]
    block = state_action_features(x[None], np.array([action]), 3)[0]
    assert np.allclose(slope, block)
    assert np.isclose(block @ w.ravel(), w[action] @ x)
print("the gradient of q̂(s, a; w) is x(s, a), for every a")

# %% [markdown]
# ## SARSA with weights
#
# Put $\hat q$ for $\hat v$ in (7.1), and SARSA's target from lesson 05, with the action $a'$ that will really be taken:
#
# $$\begin{aligned}
# \delta &= r + \gamma\,(1-d)\,\hat q(s',a';w) - \hat q(s,a;w),\\
# w &\leftarrow w + \alpha\,\delta\,x(s,a)
# \end{aligned} \tag{7.4}$$
#
# How large should α be? One update changes the prediction itself by $x(s,a)^\top\alpha\,\delta\,x(s,a) = \alpha\,K\,\delta$, because
# $K$ features are 1. So $\alpha = \tfrac12/8$ with eight tilings goes half of the way to the target.

# %% [markdown] task="semi_gradient_sarsa_update"
# ### Exercise 7.3 · `semi_gradient_sarsa_update`
# **Points** 2 · **Difficulty** ●○○ · **Time** 12 min
#
# One update (7.4). Here `w` has a row for every action, $w_a$, which is the same as blocks, only easier to read.
#
# - `x`, `x_next` are $x(s)$ and $x(s')$: any numbers, not only zeros and ones. Where the episode terminated, `x_next` may hold anything.
# - Return new weights; the old ones are still needed.


# %% exercise="semi_gradient_sarsa_update" points=2
def semi_gradient_sarsa_update(w, x, action, r, x_next, action_next, terminated, gamma, step_size):
    """The weights after one semi-gradient SARSA update (7.4).

    w: (n_actions, d); x, x_next: (d,); action, action_next: int; terminated: bool or 0/1.
    Returns (n_actions, d), new.
    """
    ### BEGIN SOLUTION
    future = 0.0 if terminated else gamma * (w[action_next] @ x_next)
    delta = r + future - w[action] @ x
    w = w.copy()
    w[action] += step_size * delta * x  # (7.4): x(s, a) is 0 outside of block a
    return w
    ### END SOLUTION


# %% [markdown] hints="semi_gradient_sarsa_update"
# <details><summary>Where do I begin?</summary>
#
# Compute δ first, as one number: two predictions, each the product of a row of w with features. Which row, which features?
# </details>
# <details><summary>Which weights move?</summary>
#
# Those of which the gradient is not 0. Look at (7.3): how much of $x(s,a)$ is not zero?
# </details>
# <details><summary>The check says that I have changed an argument.</summary>
#
# An array that you index and add to is the caller's own array. Make another one before you write.
# </details>

# %% check="semi_gradient_sarsa_update"
semi_gradient_sarsa_update = check("semi_gradient_sarsa_update")

# %% [markdown]
# One update on eight tiles, with $\alpha = \tfrac12/8$: does it go half of the way?

# %%
eight = np.zeros(648)
eight[tile_indices(np.array([[-0.5, 0.0]]), car.LOW, car.HIGH, 8, 8)[0]] = 1.0
after = semi_gradient_sarsa_update(
    np.zeros((3, 648)), eight, 2, -1.0, eight, 0, False, 1.0, 0.5 / 8
)
print(f"target −1; prediction before 0, after {after[2] @ eight:.3f}")
print(f"other actions {after[:2] @ eight}")
assert np.isclose(after[2] @ eight, -0.5) and not after[:2].any()

# %% [markdown]
# ## The experiment: out of the valley
#
# Your tiles and your update, in the course's loop: 8 tilings of 8 × 8 tiles, γ = 1, two seeds. **ε = 0**: nobody explores. Lesson 05 showed why that
# works: all true values are negative, so weights of zero are *optimistic*, and what has not been tried looks best. (Ties are broken at random.)

# %%
# about 4 s
weights = {}


def note(k, w):
    weights[k] = w.copy()


yours = [
    linear.mountain_car(100, seed, tiles=tile_indices, update=semi_gradient_sarsa_update,
                        look=note if seed == 0 else None)
    for seed in seeds(range(2))
]  # fmt: skip
course = linear.mountain_car(100, 0)
aimless = car.drive(lambda obs: rng.random((1, 3)), 3, seed=0, cap=10_000)
print(f"learned with {authorship('tile_indices', 'semi_gradient_sarsa_update')}")
for name, lengths in {"seed 0": yours[0], "seed 1": yours[1]}.items():
    print(f"{name}: first five episodes {lengths[:5]}, mean of 91–100: {lengths[90:].mean():.0f}")
print(f"a random policy: {aimless} steps, cut at 10 000")
assert max(lengths[90:].mean() for lengths in yours) < 200 < 1_000 < aimless.min()

# %% tags=["hide-input"]
name = f"SARSA, {whose('tile_indices', 'semi_gradient_sarsa_update')} tiles and update"
ax = plots.curves({name: np.array(yours)}, xlabel="episode", ylabel="steps to the goal")
ax.plot(np.arange(1, 101), course, color=plots.INK, linestyle=":", label="the course's, seed 0")
ax.axhline(
    aimless.mean(), color=plots.PALETTE["ink"], linewidth=1, linestyle="--", label="random policy"
)
ax.set_yscale("log")
ax.legend(title="thick: mean of 2 seeds\nthin: each of them", alignment="left", loc="upper right",
          bbox_to_anchor=(1, 0.93))  # fmt: skip
plots.show(ax, alt="Steps to the goal by episode on a logarithmic scale: from about a thousand in the first episode down to "
           "about 130 after a hundred; a random policy needs many thousand.")  # fmt: skip

# %% [markdown]
# This is figure 10.2 of the book. The dotted line is the course's own run with seed 0: where your code is right, a thin line lies under it.
#
# Now *why*. $-\max_a\hat q(s,a;w)$ is what the agent believes is still to pay, its **cost to go**. Here it is over
# the box of all states, after 1, 2, 5, … episodes, and in the last picture your agent drives. **Drag the episode.**

# %% tags=["hide-input"]
tiles_of_the_box = tile_indices(fine.reshape(-1, 2), car.LOW, car.HIGH, 8, 8)
path = []


def learned(obs):
    path.append(obs[0])
    return weights[100][:, tile_indices(obs, car.LOW, car.HIGH, 8, 8)].sum(axis=2).T


lengths = car.drive(learned, 1, seed=3)
path = np.array(path)


def draw(k):
    q = weights[k][:, tiles_of_the_box].sum(axis=2)
    ax = over_the_box(-q.max(axis=0).reshape(fine.shape[:2]), f"cost to go after episode {k}")
    if k == 100:
        ax.plot(*path.T, color="black", linewidth=1.6, linestyle="-")
        ax.plot(*path[0], "o", color="black", markersize=7)
        ax.set_title(f"cost to go after episode 100, and a drive of {lengths[0]} steps")
    return ax


plots.slide(draw, [1, 2, 5, 10, 20, 50, 100], name="episode", start=6, milliseconds=700,
            alt="The cost to go over position and velocity. First it rises in the middle, where the car has been; in the end a "
            "spiral: the drive begins at the bottom, swings left, and leaves to the right at high velocity.")  # fmt: skip

# %% [markdown]
# Position moves to the right where velocity is positive, so the drive turns clockwise. It begins at the dot, in the middle: high costs there, though the
# goal is near. The cheap states are those with speed. After one episode the picture is a mere record of where the car has been, and optimism drives it
# to where the record ends.

# %% [markdown]
# ### Talk to your neighbour
#
# Somebody forgets the displacement: eight tilings that see the same cells, α = ½/8. **Compared with *one* tiling and α = ½, the car learns**
#
# **A** faster, it has eight times the weights · **B** slower · **C** exactly the same
#
# <details><summary>Answer</summary>
#
# C. Eight copies of a weight always move together, so they are one weight. The next cell compares episode by episode.
# </details>

# %% [markdown]
# ## Change one thing: the tilings
#
# 40 episodes, cut at 1000 steps, one seed. Change a line of `changes`. **What to look for:** how many episodes until the car gets out at all, and whether the
# curve goes on falling.


# %%
# about 9 s
def same_cells(obs, low, high, n_tiles, n_tilings):
    one = tile_indices(obs, low, high, n_tiles, 1)
    return one + np.arange(n_tilings) * (n_tiles + 1) ** obs.shape[1]


changes = {
    "8 tilings": dict(),
    "8 tilings, α = 0.1/8": dict(step_size=0.1 / 8),
    "1 tiling": dict(n_tilings=1, step_size=0.5),
}
ablation = {}
parts = dict(tiles=tile_indices, update=semi_gradient_sarsa_update, max_steps=1_000)
for name, change in changes.items():
    ablation[name] = linear.mountain_car(40, 0, **(parts | change))
    print(
        f"{name:21} mean {ablation[name].mean():4.0f}, last ten {ablation[name][-10:].mean():4.0f}"
    )
equal = linear.mountain_car(10, 0, **(parts | dict(tiles=same_cells)))
alike = np.array_equal(ablation["1 tiling"][:10], equal)
print(f"one tiling and eight equal ones agree in all of 10 episodes: {alike}")

# %% tags=["hide-input"]
ax = plots.curves(ablation, smooth=5, xlabel="episode", ylabel="steps to the goal")
plots.show(ax, alt="Steps by episode. Eight tilings fall fastest; with the smaller step size they fall more slowly; one tiling "
           "stays far above both.")  # fmt: skip

# %% [markdown]
# With one tiling the tiles are too coarse to tell the last good state from the first bad one, and a change reaches a whole tile at once.

# %% [markdown]
# ## Break
#
# You have tiles, block features and an update, and they have driven a car. Checkpoint: three checks above are green. Without looking: why does $w_a$ alone move in (7.4)?
# And where did exploration come from?
#
# What is left: the same from a *log*, without a car; and what can go wrong.

# %%
print(
    "So far: " + authorship("tile_indices", "state_action_features", "semi_gradient_sarsa_update")
)

# %% [markdown]
# ## A fixed batch: least squares
#
# (7.4) uses each step once and throws it away. Suppose we have a log instead, of $N$ states with features $x_n$ and returns $v_n$. What is the best $w$ for
# all of them at once?
#
# $$J(w) = \tfrac12\sum_{n=1}^N\big(v_n - x_n^\top w\big)^2 \tag{7.5}$$
#
# Write $X$ for the matrix with rows $x_n^\top$. The gradient is $-\sum_n(v_n - x_n^\top w)\,x_n = -X^\top(v - Xw)$, and where it is 0,
#
# $$X^\top X\,w = X^\top v \tag{7.6}$$
#
# The $k$-th of these equations says: what is left over, $v - Xw$, has nothing in common with feature $k$. If a feature was never active, or two features are always equal, many $w$ solve (7.6). The
# usual choice is the one of **least norm**; it gives weight 0 to what was never seen.

# %% [markdown] task="least_squares_values"
# ### Exercise 7.4 · `least_squares_values`
# **Points** 1 · **Difficulty** ●○○ · **Time** 8 min
#
# Return the $w$ that makes (7.5) smallest, the one of least norm if there are several. The features are what they are: add nothing.


# %% exercise="least_squares_values" points=1
def least_squares_values(x, v):
    """The weights of least norm that solve (7.6).

    x: (N, d) features; v: (N,) returns. Returns (d,).
    """
    ### BEGIN SOLUTION
    return np.linalg.lstsq(x, v, rcond=None)[0]
    ### END SOLUTION


# %% [markdown] hints="least_squares_values"
# <details><summary>May I invert $X^\top X$?</summary>
#
# Only if it has an inverse. Think of a tile in which no observation of the log lies: what is in its row of $X^\top X$?
# </details>
# <details><summary>Who can do it without an inverse?</summary>
#
# NumPy's linear algebra has a solver for least squares, and a pseudo-inverse. Both choose the least norm.
# </details>
# <details><summary>The check says something about what I return.</summary>
#
# The solver returns more than the solution: print what comes back, and its length.
# </details>

# %% check="least_squares_values"
least_squares_values = check("least_squares_values")

# %% [markdown]
# ## Replay: the same without solving
#
# We could also draw a row of the log, take one gradient step on it, $w \leftarrow w + \alpha\,(v_n - x_n^\top w)\,x_n$, draw the next, and so on for ever. That is
# **experience replay**. On average over the draws a step is
#
# $$\frac{\alpha}{N}\,X^\top(v - Xw),$$
#
# which is 0 exactly at least squares. So does it converge to it?
#
# ### Talk to your neighbour
#
# 50 rows, replayed for ever with α = 0.1. **It ends**
#
# **A** at least squares · **B** near it, and hovers · **C** nowhere, it blows up
#
# <details><summary>What the next cell will show</summary>
#
# B. On *average* a step from least squares goes nowhere; a single one does, because a single return does not lie on the line.
# </details>

# %%
log_s = rng.uniform(0, 1, size=50)
log_v = np.sin(5 * log_s) + rng.normal(size=50) / 2
rows = np.cos(np.pi * log_s[:, None] * np.arange(4))  # four Fourier features, as in lesson 06
best = least_squares_values(rows, log_v)
names = ["α = 0.1", "α = 0.01", "α = 0.001", "α falls"]
W, replayed = np.zeros((4, 4)), {}
for k, n in enumerate(rng.integers(50, size=100_000)):
    alpha = np.array([0.1, 0.01, 0.001, 0.1 / (1 + k / 100)])
    W = W + (alpha * (log_v[n] - W @ rows[n]))[:, None] * rows[n]
    if k + 1 in (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000):
        replayed[k + 1] = W

for k in (100, 1_000, 10_000, 100_000):
    far = np.abs(replayed[k] - best).max(axis=1)
    told = ", ".join(f"{name}: {d:.3f}" for name, d in zip(names, far, strict=True))
    print(f"{k:6} draws, distance {told}")
mean_step = rows.T @ (log_v - rows @ best) / 50
one_step = (log_v - rows @ best)[:, None] * rows
print(f"at least squares: mean step {np.abs(mean_step).max():.0e}, "
      f"a single one {np.abs(one_step).max():.2f}")  # fmt: skip
assert np.abs(mean_step).max() < 1e-12 < 0.1 < np.abs(one_step).max()
far = np.abs(replayed[100_000] - best).max(axis=1)
assert far[3] < 0.03 < far[0]

# %% tags=["hide-input"]
line = np.linspace(0, 1, 200)
along = np.cos(np.pi * line[:, None] * np.arange(4))


def draw(k):
    lines = {name: along @ replayed[k][i] for i, name in enumerate(names) if i != 1}
    ax = plots.curves({"least squares": along @ best} | lines, x=line, xlabel="state", ylabel="value",
                      title=f"after {k} draws", ax=plots.axes(size="wide"))  # fmt: skip
    ax.lines[0].set(color=plots.INK, linewidth=5, alpha=0.5)
    ax.plot(log_s, log_v, "o", color=plots.INK, markersize=4, alpha=0.6, label="the log")
    ax.set_ylim(-2.4, 2.4)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


plots.slide(draw, list(replayed), name="draws", start=8, alt="Fifty noisy points, the least-squares curve through them, and three curves "
            "learned by replay. In the end the one with falling step size lies on least squares, the one with α = 0.1 beside it.")  # fmt: skip

# %% [markdown]
# A constant α hovers, the closer the smaller α is, and the later it arrives. It *arrives* if α falls, with $\sum\alpha=\infty$ and $\sum\alpha^2<\infty$ (lesson 05). And it finds the
# least norm by itself: from $w = 0$ every step is a multiple of a row, so $w$ never leaves what the rows span. A copied feature shows it:

# %%
twice = np.hstack([rows, rows[:, 1:2]])  # the second feature once more
w = np.zeros(5)
for k, n in enumerate(rng.integers(50, size=30_000)):
    w = w + 0.1 / (1 + k / 100) * (log_v[n] - twice[n] @ w) * twice[n]
solved = least_squares_values(twice, log_v)
print(f"weights of the two copies, replayed: {w[1]:.3f}, {w[4]:.3f}")
print(f"weights of the two copies, solved:   {solved[1]:.3f}, {solved[4]:.3f}")
assert np.isclose(w[1], w[4]) and np.allclose(w, solved, atol=0.05)

# %% [markdown]
# ## When does bootstrapping converge?
#
# Regression is safe: labels stand still. In (7.1) they move with $w$. Let us take the noise out, and look at the **mean** update. States
# $1,\dots,S$, one policy, $P_{ss'}$ its chain and $r_s$ its rewards; state $s$ is updated with share $u_s$ (they sum to 1). Averaged over $s$ and $s'$,
#
# $$\begin{aligned}
# w &\leftarrow w + \alpha\sum_s u_s\Big[r_s + \gamma\sum_{s'}P_{ss'}\,x_{s'}^\top w - x_s^\top w\Big]x_s\\
# &= w + \alpha\,(b - A\,w),\\
# A &= \sum_s u_s\,x_s\Big(x_s - \gamma\sum_{s'}P_{ss'}\,x_{s'}\Big)^{\!\top},\qquad b = \sum_s u_s\,r_s\,x_s
# \end{aligned} \tag{7.7}$$
#
# Note what $u$ is *not*: it need not be how often the policy visits a state. Who learns from another's log updates what the log holds.

# %% [markdown] task="largest_step_size"
# ### Exercise 7.5 · `largest_step_size`
# **Points** 2 · **Difficulty** ●●● · **Time** 25 min · ✎ on paper
#
# For which α > 0 does (7.7) converge, whatever $w$ it starts from? Derive on paper, in three to five lines, the upper end of these step sizes, from the eigenvalues of $A$. Then write it as a function.
#
# - The argument `d` holds the shares $u_s$, as they are given.
# - Eigenvalues may be complex, for $A$ is not symmetric. None of them is 0.
# - If no α > 0 converges, return 0.0.


# %% exercise="largest_step_size" points=2
def largest_step_size(x, P, d, gamma):
    """The supremum of the step sizes with which (7.7) converges from every w; 0.0 if there is none.

    x: (S, k) features; P: (S, S), P[s, s'] the policy's chain; d: (S,), u in (7.7).
    Returns a float.
    """
    ### BEGIN SOLUTION
    A = (d[:, None] * x).T @ (x - gamma * P @ x)
    eigenvalues = np.linalg.eigvals(A)
    # |1 - αλ|² = 1 - 2α Re λ + α²|λ|² < 1, for every λ
    return max(0.0, np.min(2 * eigenvalues.real / np.abs(eigenvalues) ** 2))
    ### END SOLUTION


# %% [markdown] hints="largest_step_size"
# <details><summary>Where do I begin?</summary>
#
# Let $w^*$ be where (7.7) stands still, and look at the error $e = w - w^*$. Which matrix is it multiplied by, each time? It dies out exactly if a certain number is below 1 in size, for each eigenvalue of that matrix.
# </details>
# <details><summary>What do I do with a complex eigenvalue?</summary>
#
# Its distance from 0 counts. Write it as $p + iq$, and square the size: that has no root and no $i$ in it. Then solve for α.
# </details>
# <details><summary>How can I test my formula?</summary>
#
# One state, one feature 1, γ = 0: the error is multiplied by $1-\alpha$. How large may α be? And a formula for complex numbers must agree with yours for real ones where the imaginary part is 0.
# </details>

# %% check="largest_step_size"
largest_step_size = check("largest_step_size")

# %% [markdown]
# Measured: (7.7) as it stands, 3000 updates, with a little less than your number and a little more. (Rewards are 0, so the weights themselves are the error.)


# %%
def mean_updates(x, P, shares, gamma, alpha, n=3_000):
    w = np.ones(x.shape[1])
    for _ in range(n):
        w = w + alpha * (shares * (gamma * P @ x @ w - x @ w)) @ x
    return np.abs(w).max()


P = rng.dirichlet(np.ones(6) / 2, size=6)
x = rng.normal(size=(6, 3))
problems = {"as the policy visits": triad.stationary_distribution(P), "ring": np.full(6, 1 / 6)}
for name, shares in problems.items():
    chain = P if name != "ring" else np.roll(np.eye(6), 1, axis=1)
    limit = largest_step_size(x, chain, shares, 0.9)
    below, above = (mean_updates(x, chain, shares, 0.9, part * limit) for part in (0.98, 1.02))
    print(
        f"{name:20} largest step {limit:.3f}: error {below:.0e} at 0.98 of it, {above:.0e} at 1.02"
    )
    assert below < 1e-3 < 1e3 < above

# %% [markdown]
# ## What the policy's own states protect
#
# If $u = \mu$, the share of time that the policy really spends in each state, then *some* α always works (γ < 1, no feature superfluous). Three lines, for any $w \ne 0$ and $v = Xw$:
#
# - $w^\top A w = \sum_s\mu_s\,v_s\,(v_s - \gamma\,(Pv)_s) \ge \|v\|_\mu^2 - \gamma\,\|v\|_\mu\,\|Pv\|_\mu$, by Cauchy and Schwarz, with $\|v\|_\mu^2 = \sum_s\mu_s v_s^2$.
# - $\|Pv\|_\mu \le \|v\|_\mu$: the square of a mean is at most the mean of squares, and $\mu P = \mu$.
# - So $w^\top A w \ge (1-\gamma)\,\|v\|_\mu^2 > 0$, and every eigenvalue λ of $A$ has a positive real part: with eigenvector $p+iq$, $\;\mathrm{Re}\,\lambda\,(\|p\|^2+\|q\|^2) = p^\top A p + q^\top A q$.
#
# The second line is where $\mu$ is needed. With other shares, nothing holds it. The smallest case (Tsitsiklis & Van Roy 1996): two states with features 1 and 2, values $w$ and $2w$, the first leads to the second, the second to itself, all rewards 0. Update the first alone: then
# $A = 1\cdot(1-2\gamma)$, negative from γ > ½ on. The state's own value is $w$, its label is $2\gamma w$, and raising $w$ raises the label *faster*.
#
# Is that a freak? 500 random chains with random features, γ = 0.99, and shares drawn at random:

# %%
own, others = 0, 0
for _ in range(500):
    chain, features = rng.dirichlet(np.ones(6), size=6), rng.normal(size=(6, 3))
    own += largest_step_size(features, chain, triad.stationary_distribution(chain), 0.99) == 0
    others += largest_step_size(features, chain, rng.dirichlet(np.ones(6)), 0.99) == 0
print(
    f"no step size converges: {own} of 500 with the policy's own shares, {others} with random ones"
)
assert own == 0 < others

# %% [markdown]
# ## Baird's counterexample
#
# Seven states. The policy to be judged always goes to the seventh, and every reward is 0, so all values are 0. There are **eight** weights for seven
# states: $\hat v = 2w_i + w_8$ for the first six and $\hat v = w_7 + 2w_8$ for the seventh. The features can represent the truth, and any other seven values as well.
#
# ### Talk to your neighbour
#
# All states are updated equally often, by the mean update (7.7): there is no noise. γ = 0.99. The weights run away. **What is the reason?**
#
# **A** too large an α · **B** too few features · **C** neither of the two
#
# <details><summary>What the next cells will show</summary>
#
# C. No α > 0 works, and the features can represent the truth. The states are not weighted as the policy visits them: the policy spends its time in the seventh, the updates do not.
# </details>

# %%
x = triad.baird_features()
span = np.linalg.svd(x, full_matrices=False)[2]  # an eighth direction moves no value
for gamma in (0.8, 0.87, 0.9, 0.99):
    limit = largest_step_size(x @ span.T, triad.SOLID, np.full(7, 1 / 7), gamma)
    A = triad.update_matrix(x @ span.T, triad.SOLID, np.full(7, 1 / 7), gamma)
    smallest = np.linalg.eigvals(A).real.min()
    print(f"γ = {gamma}: largest step size {limit:.3f}; smallest eigenvalue of A {smallest:+.3f}")
assert limit == 0 > smallest

# %% [markdown]
# Three things come together here, and Sutton & Barto call them the **deadly triad**:
#
# - **Function approximation**: states share weights, so one update moves other values.
# - **Bootstrapping**: labels are made of values.
# - **Off-policy** updates: the states are not updated as often as the policy visits them.
#
# Each has a switch. **Turn one off, and run the cell again.** (A table has no shared weights; without bootstrapping the label is the true return, 0; on-policy, only the seventh state is updated: where else should the policy be?)

# %%
switches = dict(shared=True, bootstrapping=True, off_policy=True)  # function approximation first
values = np.abs(triad.baird_values(1_000, step_size=0.01, gamma=0.99, **switches)).max(axis=1)
for sweeps in (0, 100, 500, 1_000):
    print(f"after {sweeps:4} sweeps the largest |v̂| is {values[sweeps]:.3g}")

# %% tags=["hide-input"]
legs = {
    "all three on": {},
    "a table": {"shared": False},
    "on-policy": {"off_policy": False},
    "no bootstrapping": {"bootstrapping": False},
}


def draw(gamma):
    runs = {
        name: np.abs(triad.baird_values(1_000, gamma=gamma, **leg)).max(axis=1)[::10]
        for name, leg in legs.items()
    }
    ax = plots.curves(runs, x=np.arange(0, 1_001, 10), xlabel="sweeps", ylabel="largest |v̂| (truth: 0)", title=f"γ = {gamma}", ax=plots.axes(size="wide"))  # fmt: skip
    ax.set(yscale="log", ylim=(1e-2, 1e4))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


plots.slide(draw, [0.5, 0.8, 0.9, 0.95, 0.99], name="γ", start=4, alt="The largest value by sweeps on a logarithmic scale. With all three "
            "on it rises for γ from 0.9 on; with any of the three switched off it falls, for every γ.")  # fmt: skip

# %%
ends = {name: triad.baird_values(20_000, **leg)[[1_000, 20_000]] for name, leg in legs.items()}
for name, (early, late) in ends.items():
    early, last = np.abs(early).max(), np.abs(late).max()
    print(f"{name:17} after 1000 sweeps {early:6.2f}, after 20 000 {last:8.2g}")
    assert (last < 12) == (name != "all three on")

# %% [markdown]
# Any leg removed, and it holds. (The table falls slowly: with γ = 0.99 a sweep leaves nearly all of the error.) There is a second way to be on-policy: judge the policy that *makes* these visits, the one that goes to all seven states alike. And a fourth switch is not on the list: the
# target's part of the gradient, which lesson 06 left out. The residual gradient goes down a true objective, slowly here, so it cannot run away.

# %%
ways_out = {"judge the behaviour": dict(behaviour=True), "residual gradient": dict(residual=True)}
for name, leg in ways_out.items():
    largest = np.abs(triad.baird_values(20_000, **leg)).max(axis=1)
    print(f"{name:19} after 1000 sweeps {largest[1_000]:.2f}, after 20 000 {largest[-1]:.2g}")
    assert largest[-1] < largest[1_000] < 12

# %% [markdown]
# (Nor can it be trusted where $s'$ is random: lesson 06 saw it end at values that are too flat.) So which leg could we give up? Function approximation is the reason for Part II. Without bootstrapping we are back at
# Monte Carlo, with its noise and its waiting. On-policy, we throw every log away, and all that an earlier policy has seen. Deep Q-learning keeps all three.

# %% [markdown]
# ## Labels that stand still
#
# Here is another thought. Regression was safe because its labels do not move. So compute all labels with a *copy* of the weights, take $C$ sweeps towards them, and only then copy again. Lesson 08 will call the copy a **target network**.
#
# ### Talk to your neighbour
#
# **Such a copy**
#
# **A** only delays · **B** cures Baird's world if $C$ is large · **C** cures every such case
#
# <details><summary>What the next cell will show</summary>
#
# B. With a large $C$ every copy is a finished regression. Baird's features can meet any seven labels, so that regression is an exact backup. With $w$ and $2w$ they cannot, and nothing is cured.
# </details>

# %%
# about 1 s
for C in (1, 10, 100, 1_000):
    end = np.abs(triad.baird_values(20_000, copy_every=C)[-1]).max()
    print(f"Baird, copied every {C:4} sweeps: largest |v̂| after 20 000 is {end:.2g}")

one_two = np.array([[1.0], [2.0]])
for gamma in (0.8, 0.83, 0.84, 0.9, 0.95):
    w = np.ones(1)
    for _ in range(100):  # both states counted; both lead to the second
        w = least_squares_values(one_two, gamma * np.array([2.0, 2.0]) * w)
    print(f"w and 2w, γ = {gamma}: after 100 finished regressions w is {w[0]:.3g}")
    assert np.isclose(w[0], (6 * gamma / 5) ** 100)

# %% [markdown]
# For $w$ and $2w$ the best fit $w'$ to the labels $2\gamma w$, $2\gamma w$ solves $(w'-2\gamma w) + 2\,(2w'-2\gamma w) = 0$, so $w' = \tfrac65\gamma\,w$: each round multiplies by $6\gamma/5$, which is above 1 for $\gamma > 5/6$, though every regression is perfect
# and every state is counted. So a copy ends the quarrel between half-finished steps; what a *finished* fit does to values, it leaves as it is. Call that factor κ: here $6\gamma/5$, in Baird's world γ. In lesson 08 we shall meet it again, in a model of a single number, where κ alone decides.

# %% [markdown]
# ## Fitted Q-iteration
#
# Now for control. A log of transitions $(s_i,a_i,r_i,s'_i,d_i)$, whoever made it. SARSA's target needs an $a'$ that the log does not hold; Q-learning's needs $s'$ alone, and aims at the best policy at once. So label the whole log by it, with the weights that we have, then *solve* the regression:
#
# $$\begin{aligned}
# y_i &= r_i + \gamma\,(1-d_i)\max_{a'}\hat q(s'_i,a';w_k),\\
# w_{k+1} &= \arg\min_w \sum_i\big(\hat q(s_i,a_i;w) - y_i\big)^2
# \end{aligned} \tag{7.8}$$
#
# With block features (7.3) the arg min falls apart: $w_a$ occurs only in rows with $a_i = a$. So it is a regression for every action.

# %% [markdown] task="fitted_q_iteration"
# ### Exercise 7.6 · `fitted_q_iteration`
# **Points** 3 · **Difficulty** ●●● · **Time** 25 min
#
# Write (7.8), from $w_0 = 0$, exactly `iterations` times.
#
# - `batch` has the arrays `obs`, `action`, `reward`, `next_obs`, `terminated`, row by row; `features(obs)` takes a whole array of observations and gives `(N, d)`.
# - Regressions have the least norm, as in 7.4. An action that does not occur in the log keeps its zeros, and still takes part in the maximum.
# - *When* are labels made, in the course of one iteration? (7.8) tells, by its indices.


# %% exercise="fitted_q_iteration" points=3
def fitted_q_iteration(batch, features, n_actions, gamma, iterations):
    """Fitted Q-iteration (7.8) with a regression for every action.

    batch: obs, next_obs (N, ...); action, reward, terminated (N,). Returns w (n_actions, d).
    """
    ### BEGIN SOLUTION
    x, x_next = features(batch.obs), features(batch.next_obs)
    alive = 1.0 - np.asarray(batch.terminated, dtype=float)
    w = np.zeros((n_actions, x.shape[1]))
    for _ in range(iterations):
        y = batch.reward + gamma * alive * (x_next @ w.T).max(axis=1)  # all, with w_k
        for a in range(n_actions):
            own = batch.action == a
            if own.any():
                w[a] = least_squares_values(x[own], y[own])
    return w
    ### END SOLUTION


# %% [markdown] hints="fitted_q_iteration"
# <details><summary>What need not be computed again in every iteration?</summary>
#
# The features: the log stays as it is. What changes is w, and with it the labels.
# </details>
# <details><summary>How do I get all values in the next states?</summary>
#
# As one product: rows are transitions, columns are actions. Then one number a row is asked for.
# </details>
# <details><summary>In which order?</summary>
#
# Look at the index of $w$ on the right of each line of (7.8), and on the left. Then say, for a row with the second action: which weights does *your* code read when it makes the label of that row?
# </details>

# %% check="fitted_q_iteration"
fitted_q_iteration = check("fitted_q_iteration")

# %% [markdown]
# First on a table, where every regression is exact: then (7.8) is the value iteration of lesson 03. A random world of six states, one row for every pair:

# %%
after, paid = rng.integers(6, size=(6, 2)), rng.normal(size=(6, 2))
s, a = (index.ravel() for index in np.indices((6, 2)))
small = car.Transitions(s, a, paid[s, a], after[s, a], np.zeros(12, dtype=bool))
w = fitted_q_iteration(small, lambda obs: np.eye(6)[obs], 2, 0.9, 200)
q = np.zeros((6, 2))
for _ in range(200):
    q = paid + 0.9 * q[after].max(axis=2)
print(f"largest difference from value iteration: {np.abs(w.T - q).max():.0e}")
assert np.allclose(w.T, q)

# %% [markdown]
# ## Driving by a log
#
# 3000 single steps of Mountain Car, each from a state drawn anywhere in the box, with an action drawn at random. No episode, no policy. γ = 0.99, 100 iterations, with three kinds of features: waves ($\cos\pi(ip+jv)$ with $i,j\le3$ and position and velocity scaled to $[0,1]$, 16 of them), four tilings of
# 5 × 5, and one tiling of 10 × 10. And once with a **small network** in place of features: one hidden layer of 32 units, its gradients by hand in NumPy. Nobody solves its arg min: each iteration takes 30 gradient steps.
#
# Every step costs 1 and γ = 0.99. So what do we know of all values, whatever the log? They lie between $-1/(1-\gamma) = -100$ and 0 (−1, to be exact: a step has to be paid).

# %%
# about 6 s
waves = np.array(list(np.ndindex(4, 4)))


def fourier(obs):
    return np.cos(
        np.pi * ((np.clip(obs, car.LOW, car.HIGH) - car.LOW) / (car.HIGH - car.LOW)) @ waves.T
    )


def tiles(n_tiles, n_tilings):
    def of(obs):
        x = np.zeros((len(obs), n_tilings * (n_tiles + 1) ** 2))
        np.put_along_axis(x, tile_indices(obs, car.LOW, car.HIGH, n_tiles, n_tilings), 1.0, axis=1)
        return x

    return of


def scaled(obs):
    return 2 * (obs - car.LOW) / (car.HIGH - car.LOW) - 1


everywhere = car.log_of_everywhere(3_000, np.random.default_rng(0))
kinds = {"waves": fourier, "four tilings": tiles(5, 4), "one tiling": tiles(10, 1)}
values = {}
for name, features in kinds.items():
    w = fitted_q_iteration(everywhere, features, car.PUSHES, 0.99, 100)
    values[name] = lambda obs, w=w, features=features: features(obs) @ w.T
in_the_unit = everywhere._replace(obs=scaled(everywhere.obs), next_obs=scaled(everywhere.next_obs))
part = type(everywhere)(*(field[:1_000] for field in in_the_unit))
network = fitted_q.neural_fitted_q(part, car.PUSHES, 0.99, 100, np.random.default_rng(1))
values["network, 1000 rows"] = lambda obs: network.q(scaled(obs))

print("fitted by " + authorship("fitted_q_iteration", "least_squares_values", "tile_indices"))
for name, q in values.items():
    lengths, seen = car.drive(q, 5, seed=1), q(everywhere.obs)
    told = f"values {seen.min():6.1f} to {seen.max():5.1f}"
    print(f"{name:18} drives in {lengths.mean():3.0f} steps; {told}")

# %% tags=["hide-input"]
both = plots.axes(1, 2, size="wide")
for ax, name in zip(both, ("four tilings", "network, 1000 rows"), strict=True):
    cost = -values[name](fine.reshape(-1, 2)).max(axis=1).reshape(fine.shape[:2])
    over_the_box(cost, f"cost to go: {name}", ax=ax)
plots.show(ax, alt="The cost to go over position and velocity, from fitted Q-iteration with tiles and with a network: the same spiral as "
           "SARSA's, in steps for the tiles and smooth for the network.")  # fmt: skip

# %% [markdown]
# A hundred regressions, and the car drives, without ever having been driven. But look at the largest values. Some are *above 0*, which no value can be. Only one tiling stays inside. Why?
#
# With one tiling a fit is a **mean**: the weight of a tile is the average of the labels in it. A mean never lies outside of what it averages (and an empty tile says 0, whatever the labels are). So with $q$ and $\tilde q$ two functions, and $\|\cdot\|$ the largest difference anywhere,
#
# $$\|\text{fit of the labels of } q - \text{fit of the labels of } \tilde q\| \;\le\; \|\text{labels of } q - \text{labels of } \tilde q\| \;\le\; \gamma\,\|q-\tilde q\|$$
#
# and (7.8) is a contraction, as in lesson 03. (The second step is lesson 03's as well: two maxima differ by no more than what they are taken of.) Such a fit is called an **averager** (Gordon 1995). Least squares on other features may *extrapolate*: its answer at $s'$ can lie outside of all labels, and then nothing bounds κ by γ.

# %%
for name, features in kinds.items():
    x, x_next = features(everywhere.obs), features(everywhere.next_obs)
    own = everywhere.action == 0
    fit = x_next @ np.linalg.pinv(x[own])  # from labels to what the fit says in the next states
    most = np.abs(fit).sum(axis=1).max()
    print(f"{name:13} in its worst next state a fit weighs the labels by {most:.2f} in all")
    assert (most < 1 + 1e-9) == (name == "one tiling")

# %% [markdown]
# The sum of the absolute weights says how much an error in the labels can grow by one fit. A mean has 1.
#
# Do more rows help four tilings, and how many iterations does it take? The features of a log never change, so a pseudo-inverse for each action, made once, solves all its regressions:


# %%
# about 2 s
def fitted_at(log, features, moments):
    """The weights of fitted Q-iteration after so many iterations, for each of the moments."""
    x, x_next = features(log.obs), features(log.next_obs)
    own = [log.action == a for a in range(car.PUSHES)]
    solve, w, kept = [np.linalg.pinv(x[rows]) for rows in own], np.zeros((3, x.shape[1])), {}
    for k in range(1, max(moments) + 1):
        y = control.q_learning_target(log.reward, x_next @ w.T, log.terminated, 0.99)
        w = np.array([solver @ y[rows] for solver, rows in zip(solve, own, strict=True)])
        kept[k] = w
    return {k: kept[k] for k in moments}


four = kinds["four tilings"]
print("rows, and after 10, 50 and 100 iterations: steps of a drive, largest value")
for n_rows in (3_000, 10_000):
    log, told = car.log_of_everywhere(n_rows, np.random.default_rng(0)), ""
    for w in fitted_at(log, four, (10, 50, 100)).values():
        steps = car.drive(lambda obs, w=w: four(obs) @ w.T, 3, seed=1).mean()
        told += f"{steps:8.0f} steps, up to {(four(log.obs) @ w.T).max():4.1f}"
    print(f"{n_rows:6}{told}")

# %% [markdown]
# The news of the goal comes down into the valley one iteration at a time; it takes a hundred. And with 10 000 rows some values still lie above 0: more rows bring the fits nearer to the labels, they make no averager of them.

# %% [markdown]
# ## What is not in the log
#
# Another log: 3000 steps of a policy that pushes at random, from the usual start. Fitted Q-iteration with the averager, so that nothing runs away:

# %%
aimless_log = car.log_of_chance(3_000, np.random.default_rng(0))
ends, right = aimless_log.terminated.sum(), aimless_log.obs[:, 0].max()
print(f"the goal is reached {ends} times; farthest to the right: {right:.2f}")
averager = kinds["one tiling"]
for k in (10, 50, 100, 300):
    w = fitted_q_iteration(aimless_log, averager, car.PUSHES, 0.99, k)
    value = (averager(aimless_log.obs) @ w.T).max(axis=1).mean()
    (steps,) = car.drive(lambda obs, w=w: averager(obs) @ w.T, 1, seed=0)
    print(
        f"after {k:3} iterations a state of the log is worth {value:5.1f}; {steps} steps, cut at 500"
    )
assert not aimless_log.terminated.any()

# %% [markdown]
# In this log there is no goal, so every value sinks, on and on towards −100. (It sinks slowly where some action was never tried in a tile. The weight of that action is still 0, so it looks best: the optimism of
# above. But a log never goes there to be disappointed.) The algorithm is right, given what it knows. **A batch cannot tell what is not in it.**

# %% [markdown]
# ## A silent bug
#
# A colleague has your functions, all six checks green, the same features (four tilings) and the same world, but a smaller log: 300 rows. No error, no warning. After 60 iterations the car does not arrive. "It can only be patience", they say: "the regressions fit, look at their error." Here are their run and yours.

# %%
# about 2 s
features, runs = kinds["four tilings"], {}
for rows_of in (300, 3_000):
    log = car.log_of_everywhere(rows_of, np.random.default_rng(0))
    x, x_next = features(log.obs), features(log.next_obs)
    kept, track = [np.zeros((3, 144))], []
    fitted_q.fitted_q_iteration(log, features, 3, 0.99, 60, fit=least_squares_values,
                                look=lambda k, w, kept=kept: kept.append(w))  # fmt: skip
    for old, new in pairwise(kept):
        y = control.q_learning_target(log.reward, x_next @ old.T, log.terminated, 0.99)
        error = (x @ new.T)[np.arange(len(y)), log.action] - y
        track.append([np.sqrt((error**2).mean() / (y**2).mean()), np.abs(x_next @ new.T).max()])
    runs[rows_of] = np.array(track)
    arrives = car.drive(lambda obs, w=kept[-1]: features(obs) @ w.T, 3, seed=1).mean()
    print(f"{rows_of:4} rows: the regression misses its labels by {runs[rows_of][-1, 0]:.0%}; "
          f"drives in {arrives:.0f} steps (cut at 500)")  # fmt: skip

# %% tags=["hide-input"]
left, right = plots.axes(1, 2, size="wide")
for side, column, label in ((left, 0, "relative error of the fit"), (right, 1, "largest |q̂| in the next states")):  # fmt: skip
    plots.curves(
        {f"{n} rows": run[:, column] for n, run in runs.items()},
        xlabel="iteration",
        ylabel=label,
        ax=side,
    )
right.axhline(100, color=plots.INK, linewidth=1, linestyle=":")
right.set_yscale("log")
left.set_ylim(0, 0.5)
plots.show(left, alt="Left: the relative error of the regressions, small for both logs. Right: the largest value by iteration; with 3000 "
           "rows it stays below 100, with 300 it grows by a constant factor an iteration, to millions.")  # fmt: skip

# %% [markdown]
# **What is wrong, and which curve gives it away?**
#
# <details><summary>Where should I look first?</summary>
#
# Not at the error of the regression: it compares with labels that its own values have made. If these grow, both grow. Is there a number that a value in this world cannot exceed? Draw it in.
# </details>
# <details><summary>Answer</summary>
#
# The right one. Nothing in this world is worth more than 100 in size, and the values cross that line early and go on, by a nearly constant factor an iteration: the κ of above, larger than 1. (The next cell prints when, and the factor.) It is divergence, and NumPy can count to $10^{308}$ before it says a word.
#
# With 300 rows an action has about a hundred of them for 144 weights. The fit meets its labels well *where the log is*. In $s'$ it is asked between them: there it extrapolates, the maximum over actions picks the largest extrapolation, and the next labels contain it. All three legs of the triad are there: tiles shared between
# states, labels made of values, rows that no policy's visits have weighted.
#
# Repairs: more rows (the second run), fewer features (16 waves), or an averager (one tiling). The first two help; only the third is a promise. And a habit: **draw the largest value beside the loss, with the bound that it cannot exceed.**
# </details>

# %%
growth = runs[300][-1, 1] / runs[300][-21, 1]
crossed = 1 + int(np.argmax(runs[300][:, 1] > 100))
short = car.log_of_everywhere(300, np.random.default_rng(0))
rows_each = np.bincount(short.action)
print(f"300 rows: above 100 in iteration {crossed}; over the last twenty the largest value")
print(f"grows {growth ** (1 / 20):.2f}-fold an iteration. Rows of each action: {rows_each}")
assert runs[300][-1, 1] > 1e4 > 100 > runs[3_000][:, 1].max()
assert runs[300][-1, 0] < 0.3 and growth ** (1 / 20) > 1.05
for name in ("waves", "one tiling"):
    w = fitted_q_iteration(short, kinds[name], car.PUSHES, 0.99, 60)
    largest = np.abs(kinds[name](short.next_obs) @ w.T).max()
    print(f"300 rows, {name}: the largest value after 60 iterations is {largest:.0f}")
    assert largest < 100

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** SARSA on Mountain Car has shared weights and bootstraps. Why did it not run away?
#
# **A** luck · **B** a small α · **C** it updates the states that its policy visits
#
# <details><summary>Answer</summary>
#
# C. One leg of the triad is missing: each step of the drive is updated, as often as it is driven. (The proof above was for one fixed policy; ours changes. What is known then is that SARSA with linear features may go on moving, but stays bounded: Gordon 2000.)
# </details>
#
# **2.** A network has no tiles. Could it be an averager?
#
# **A** yes, with enough units · **B** no · **C** only with a target network
#
# <details><summary>Answer</summary>
#
# B, not in general: it extrapolates, as the waves do, and its answer at $s'$ can lie outside of all labels. So nothing promises κ ≤ γ. In the run above it stayed near the bounds. A run is not a promise.
# </details>

# %% [markdown]
# ## Summary
#
# - $\hat q(s,a;w) = x(s,a)^\top w$ with a block for every action: SARSA's update then moves the weights of the action taken, and no others.
# - Tilings that are displaced against each other generalise widely and still see finely; α is a share of the way, divided by the number of active features.
# - Replaying a log by gradient steps goes to least squares, up to a distance that the step size decides; labels that stand still are safe.
# - Shared weights, bootstrapping and off-policy updates together can make values diverge for every step size. Any one switched off, and they hold.
# - Fitted Q-iteration solves a regression on labels made by the last one. It is a contraction if the fit is a mean; otherwise watch the largest value, not the loss.

# %% [markdown]
# ## Where this went
#
# What later methods change in (7.8), or in (7.7) behind it:
#
# - **DQN** (Mnih et al. 2015; lesson 08) keeps the labels, $w_k$ becomes an old copy of a network, and a few steps of an optimiser take the place of the arg min.
# - **Gradient TD** (Sutton et al. 2009) follows the true gradient of another objective, $\|\Pi(r+\gamma Pv) - v\|$ with Π the projection on the features, with a second set of weights. It converges off-policy.
# - **Emphatic TD** (Sutton, Mahmood & White 2016) multiplies the update of $s$ by how much others bootstrap from it, so that $A$ is positive definite again.
# - **Batch-constrained Q-learning** (Fujimoto et al. 2019) takes $\max_{a'}$ only over actions that the log contains near $s'$: where there are no labels, nothing is asked.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Where the originals say something else</summary>
#
# - *Reinforcement Learning: An Introduction* (Sutton & Barto, 2nd edition) displaces tilings by odd multiples, (1, 3, …), to avoid the diagonal hills that you saw in the first figure, and hashes the indices (§9.5.4). Ours are displaced along the diagonal, and not hashed.
# - *Tree-based batch mode reinforcement learning* (Ernst, Geurts & Wehenkel 2005) fits regression trees on $(s,a)$ together. Riedmiller's *Neural fitted Q iteration* (2005) trains its networks with Rprop. Ours has a regression, or a head, for every action.
# - *Advanced Reinforcement Learning* (L. Brigato, Winter School 2024) says of gradient descent with replay that it "converges to least squares solution". For a constant step size it hovers there, as you measured.
# </details>

# %% [markdown]
# ## What we hand on
#
# **Fitted Q-iteration** writes a label beside every transition, with the weights it has, and then solves a regression for the next weights:
#
# $$\begin{aligned}
# y_i &= r_i + \gamma\,(1-d_i)\max_{a'}\hat q(s'_i,a';w_k),\\
# w_{k+1} &= \arg\min_w \sum_i\big(\hat q(s_i,a_i;w) - y_i\big)^2
# \end{aligned}$$
#
# What can no longer be computed, once $\hat q$ is a network? The **arg min**; and the log is not given, the agent writes it while it learns. All three legs of the triad stay. Lesson 08 takes small steps instead, and asks what keeps them from running away.
