# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · Linear prediction
#
# Part II · **06** → 07 → 08 → 09 → Part III
#
# - **You will be able to** learn the values of a policy where there are too many states for a table: choose
#   features, derive gradient Monte Carlo and semi-gradient TD(0), say what semi-gradient TD leaves out of the
#   gradient and why, find its fixed point, bound its error, and jump to it with LSTD.
# - **Builds on** lesson 02 (the Bellman equation), 04 (returns and temporal differences), 05 (targets).
# - **Time** 120 minutes alone, 75 as a lecture.
# - **Sources** Sutton & Barto, 2nd edition, chapter 9 and §11.2–11.5; Tsitsiklis & Van Roy 1997 (TD with linear
#   functions converges, and how far from the best); Baird 1995 (residual gradients); Bradtke & Barto 1996 (LSTD);
#   Barnard 1993 (TD follows no gradient); Konidaris et al. 2011 (the Fourier basis); the Winter School 2024 slides
#   on value function approximation.

# %%
import numpy as np

from rlcourse.checker import authorship, check, whose
from rlcourse.lab import plots
from rlcourse.values import features, linear

# %% [markdown]
# ## What we inherit
#
# Lesson 05 ended with one update, three targets, and a table with an entry for every state and action:
#
# $$\begin{aligned}
# q(s,a) &\leftarrow q(s,a) + \alpha\,\big[\,y - q(s,a)\,\big],\\
# y &= r + \gamma\,(1-d)\cdot\begin{cases}
# q(s',a') & \text{SARSA}\\
# \sum_{a'}\pi(a'|s')\,q(s',a') & \text{expected SARSA}\\
# \max_{a'}q(s',a') & \text{Q-learning}
# \end{cases}
# \end{aligned} \tag{6.1}$$
#
# Which part of it can no longer be computed? With $10^{20}$ positions of backgammon, the table itself. It cannot be
# stored, and nobody visits an entry twice. So one visit has to teach us something about *other* states, too.
#
# We first do without the choice: the policy is given, and we only ask how good it is. Then $v(s)$ is enough, and
# (6.1) is lesson 04's $v(s)\leftarrow v(s)+\alpha\,[\,r+\gamma(1-d)\,v(s')-v(s)\,]$. Lesson 07 brings the actions
# back.

# %% [markdown]
# ## Guess first
#
# A walk over 1000 states begins in the middle. Each step jumps 1 to 100 states to the left or to the right, all
# equally likely. Whoever jumps over the left end is paid −1, over the right end +1, and that is the end; γ = 1.
# (Sutton & Barto, example 9.1.)
#
# All values start at 0, and the first walk leaves on the right. **How many of the thousand values has TD(0) changed
# after it, with a table? And if each hundred neighbours share one number?**
#
# **A** 1 and 1 · **B** 1 and 100 · **C** 80 and 1000
#
# <details><summary>I have guessed. What happens?</summary>
#
# B. As long as all values are 0 and nothing is paid, every TD error is 0. Only the last step teaches something: to
# one state in the table, to a whole group where neighbours share their number. You will count it below.
# </details>

# %%
P, r = linear.random_walk_chain()  # P[s, s'], and the mean reward for leaving s
truth = np.linalg.solve(np.eye(1000) - P, r)  # the Bellman equation, for once solved exactly
print(f"V at the left end, in the middle, at the right end: {truth[[0, 500, 999]].round(3)}")
assert np.allclose(truth, linear.random_walk_values())
assert np.all(np.diff(truth) > 0)


def policy(s, rng):
    return 0  # the walk asks nobody where to go


# %% [markdown]
# ## A function in place of the table
#
# Describe each state by a few numbers, its **features** $x(s)\in\mathbb R^k$, and let the value be a weighted sum
# of them:
#
# $$\hat v(s;w) = x(s)^\top w = \sum_i x_i(s)\,w_i,\qquad \nabla_w\hat v(s;w) = x(s) \tag{6.2}$$
#
# There are $k$ weights, far fewer than states. The gradient on the right is what makes *linear* functions easy: it
# does not depend on $w$. A table is the special case with one feature a state, which is 1 there and 0 elsewhere.
#
# Which features? Four kinds for a state that is a number $s$ (the first and the last are functions of the course):
#
# - **State aggregation**: $x_i(s)=1$ where $s$ lies in group $i$. The value is a staircase.
# - **Polynomials** and the **Fourier** basis, the latter for $s\in[0,1]$, with $i=0,\dots,n$, where $n$ is the
#   **order**:
#
# $$x_i(s) = s^i \qquad\text{or}\qquad x_i(s) = \cos(i\pi s) \tag{6.3}$$
#
# - **Tiles**: several staircases, each shifted a little against the others, added up. Lesson 07 builds them.

# %% [markdown] task="basis_features"
# ### Exercise 6.1 · `basis_features`
# **Points** 1 · **Difficulty** ●○○ · **Time** 8 min
#
# Compute (6.3) for many states at once. `basis` is `"polynomial"` or `"fourier"`.
#
# - One row per state, one column per feature, the constant ($i=0$) first: order $n$ means $n+1$ columns.
# - `s` is used as it comes. The constant is 1 everywhere, at $s=0$ too. There may be no states at all.
# - Any other `basis` raises `ValueError`: a name that is spelt wrongly should not pass for one of the two.


# %% exercise="basis_features" points=1
def basis_features(s, order, basis):
    """The features (6.3) of every state.

    s: (N,) floats; order: int ≥ 0; basis: "polynomial" or "fourier". Returns (N, order + 1).
    """
    ### BEGIN SOLUTION
    i = np.arange(order + 1)
    if basis == "polynomial":
        return s[:, None] ** i
    if basis == "fourier":
        return np.cos(np.pi * s[:, None] * i)
    raise ValueError(f"There is no basis {basis!r}.")
    ### END SOLUTION


# %% [markdown] hints="basis_features"
# <details><summary>How do I combine every state with every index?</summary>
#
# Broadcasting, lesson 00: a column of states against a row of indices makes a matrix. Print both shapes.
# </details>
# <details><summary>How many columns, and which is the first?</summary>
#
# The index begins at 0 and ends at the order, that one included. What is either function at index 0?
# </details>
# <details><summary>My waves look wrong. What can I test?</summary>
#
# The wave with index 1 must go down once, from 1 at the left end to −1 at the right end of the interval.
# </details>

# %% check="basis_features"
basis_features = check("basis_features")

# %%
states = np.arange(1000)
place = states / 999  # the state as a number from 0 to 1
groups = features.state_aggregation(states, 1000, 10)
bases = {
    "10 groups": groups,
    "polynomials, order 5": basis_features(place, 5, "polynomial"),
    "Fourier, order 5": basis_features(place, 5, "fourier"),
    "5 tilings of 5 tiles": features.tile_features(place[:, None], [0.0], [1.0], 5, 5),
}
for name, x in bases.items():
    print(f"{name:22} {x.shape[1]:2} weights")
assert all(np.allclose(x[:, 0], 1) for name, x in bases.items() if "order" in name)
assert np.all(bases["5 tilings of 5 tiles"].sum(axis=1) == 5)  # one tile of each is active

# %% tags=["hide-input"]
axs = plots.axes(1, 4, size=(11.0, 3.0))
for ax, (name, x) in zip(axs, bases.items(), strict=True):
    shown = x[:, 1:28:6] if "tilings" in name else x[:, 2:8:2] if "groups" in name else x
    colors = list(plots.PALETTE.values())
    for column, color in zip(shown.T, colors, strict=False):
        ax.plot(states, column, color=color, linewidth=1.8)
    ax.set_title(name, fontsize=12)
    ax.set_xticks([0, 500, 1000])
    ax.set_xlabel("state")
plots.show(
    axs,
    alt="Features over the 1000 states. Groups: boxes side by side. Polynomials: powers that rise and look alike. "
    "Fourier: cosines with 0 to 5 half waves. Tiles: boxes that overlap.",
)

# %% [markdown]
# (Of groups and tiles only some are drawn.) Look at the polynomials: $s^4$ and $s^5$ are nearly the same curve.
# Keep that in mind.

# %% [markdown]
# ## Which errors count? The on-policy distribution
#
# With ten weights we cannot be right in a thousand states. Being better in one means being worse in another, so we
# have to say which states matter. A natural choice: those that the policy visits. Let $n(s)$ be the mean number of
# visits to $s$ in an episode. It begins there, or comes from another state:
#
# $$n(s) = p(s_0{=}s) + \sum_{s'} n(s')\,p_\pi(s|s'),\qquad \mu(s) = \frac{n(s)}{\sum_{s'}n(s')} \tag{6.4}$$
#
# $\mu$ is the **on-policy distribution**, the share of time spent in each state. (It is lesson 01's occupancy with
# γ = 1; a step that ends the episode leads nowhere, so the rows of our `P` may sum to less than 1.)

# %%
visits = np.linalg.solve(np.eye(1000) - P.T, np.eye(1000)[500])  # (6.4); walks begin in 500
mu = visits / visits.sum()
print(f"an episode takes {visits.sum():.0f} steps on average")
print(f"share of time: start {mu[500]:.2%}, beside it {mu[499]:.2%}, at the ends {mu[0]:.4%}")
print(f"in the first group, its last state counts {mu[99] / mu[0]:.1f} times its first")
assert abs(mu[500] - 0.0137) < 5e-5 and abs(mu[0] - 0.000147) < 5e-7  # the book's numbers

# %% [markdown]
# ## The objective, and what its gradient needs
#
# The **mean squared value error** weighs the squared error by $\mu$. Half of it is our objective, so that no 2 is
# left over when we differentiate:
#
# $$\overline{\mathrm{VE}}(w) = \sum_s\mu(s)\,\big[V^\pi(s)-\hat v(s;w)\big]^2,\qquad J(w) = \tfrac12\,\overline{\mathrm{VE}}(w) \tag{6.5}$$
#
# Its gradient, by the chain rule and (6.2), is $\nabla J(w) = -\sum_s\mu(s)\,[V^\pi(s)-\hat v(s;w)]\,x(s)$. That is
# a mean over states that are met with probability $\mu(s)$, so one state met on the way is a *sample* of it. Going
# down along the sample is **stochastic gradient descent** (SGD):
#
# $$w \leftarrow w + \alpha\,\big[\,V^\pi(s)-\hat v(s;w)\,\big]\,x(s) \tag{6.6}$$
#
# Its mean, over states drawn from $\mu$, is exactly $-\alpha\nabla J$. Check the formula for the gradient against
# finite differences, at random weights:


# %%
def value_error(v):
    """The root of the value error (6.5), in units of value."""
    return np.sqrt(mu @ (truth - v) ** 2)


rng = np.random.default_rng(0)
w = rng.normal(size=10)
by_formula = -groups.T @ (mu * (truth - groups @ w))
nudges = 1e-5 * np.eye(10)
ups, downs = ([value_error(groups @ (w + s * e)) ** 2 / 2 for e in nudges] for s in (1, -1))
by_differences = (np.array(ups) - np.array(downs)) / 2e-5
print(
    f"largest difference between the two gradients: {np.abs(by_formula - by_differences).max():.0e}"
)
assert np.allclose(by_formula, by_differences, atol=1e-8)

# %% [markdown]
# There is only one thing wrong with (6.6): it needs $V^\pi(s)$, the very thing we are looking for. Something has to
# stand in for it, and the choice is the same as in lesson 04.

# %% [markdown]
# ## First way: the return. Gradient Monte Carlo
#
# The return $g_t$ that follows a visit to $s_t$ has the mean $V^\pi(s_t)$ by definition. Put it in the place of
# $V^\pi$: the mean of the step is the same, only its noise grows.
#
# $$w \leftarrow w + \alpha\,\big[\,g_t - x(s_t)^\top w\,\big]\,x(s_t),\qquad g_t = \sum_{k\ge t}\gamma^{k-t}r_k \tag{6.7}$$
#
# So this *is* SGD on $J$, and with step sizes that become smaller it ends at the best weights there are. It has to
# wait for the end of the episode, to know the returns. Then it takes the steps $t=0,1,\dots,T-1$ in order of time.

# %% [markdown] task="gradient_mc_episode"
# ### Exercise 6.2 · `gradient_mc_episode`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min
#
# One episode is over. Compute all its returns, then make the steps (6.7), one after the other.
#
# - Row `x[t]` holds the features of $s_t$, and `r[t]` the reward for leaving it. Rewards may be whole numbers.
# - The weights that a step leaves are those from which the next one starts. Return the last ones as a new array.


# %% exercise="gradient_mc_episode" points=2
def gradient_mc_episode(w, x, r, gamma, step_size):
    """Gradient Monte Carlo over one finished episode, (6.7).

    w: (k,); x: (T, k); r: (T,), T ≥ 1; gamma: in [0, 1]; step_size: α. Returns the new weights (k,).
    """
    ### BEGIN SOLUTION
    g, returns = 0.0, []
    for reward in r[::-1]:  # from the end: g_t = r_t + γ g_{t+1}
        g = reward + gamma * g
        returns.append(g)
    for x_t, g_t in zip(x, returns[::-1], strict=True):
        w = w + step_size * (g_t - x_t @ w) * x_t  # (6.7)
    return w
    ### END SOLUTION


# %% [markdown] hints="gradient_mc_episode"
# <details><summary>How do I get all returns without a double loop?</summary>
#
# Lesson 01: walk through the rewards from the end. The return of a step is its own reward plus the discounted
# return of the next.
# </details>
# <details><summary>Why two loops and not one?</summary>
#
# Returns are easiest backwards in time, but the steps are asked for forwards, and each one changes the weights that
# the next one predicts with. So keep the returns first.
# </details>
# <details><summary>My result has the wrong shape, or the input has changed.</summary>
#
# The prediction for a state is one number: features and weights multiplied *and summed*. And an in-place operator
# changes the caller's array.
# </details>

# %% check="gradient_mc_episode"
gradient_mc_episode = check("gradient_mc_episode")

# %% [markdown]
# ### Talk to your neighbour
#
# The hundred true values of the first group have the mean −0.846. One weight has to do for all of them. With a
# short step and many walks, gradient Monte Carlo brings it near
#
# **A** −0.846 · **B** a number nearer to 0 · **C** a number nearer to −1 · **D** that depends on α
#
# <details><summary>What the next cells will show</summary>
#
# B. The innermost state of the group is met three times as often as the outermost, and $\overline{\mathrm{VE}}$
# weighs by visits. The best constant is the mean weighted by μ. (A step size that is too long adds noise around
# it.)
# </details>

# %% [markdown]
# What is the best there is? $J$ is a quadratic function of $w$. Where its gradient is 0,
# $X^\top DX\,w = X^\top D\,V^\pi$, with one row of $X$ per state and $D$ the diagonal matrix of $\mu$. We can solve
# that here, because we know $V^\pi$.


# %%
def best_weights(x):
    """Where the value error (6.5) is smallest."""
    root = np.sqrt(mu)[:, None]  # least squares, every row counted by μ
    return np.linalg.lstsq(root * x, root[:, 0] * truth, rcond=None)[0]


best = best_weights(groups)
print(f"best constant of the first group {best[0]:.3f}; plain mean {truth[:100].mean():.3f}")
print(f"best of the last group {best[-1]:.3f}; plain mean {truth[900:].mean():.3f}")
print(f"root of the smallest value error with 10 groups: {value_error(groups @ best):.3f}")
assert truth[:100].mean() < best[0] and best[-1] < truth[900:].mean()

# %% [markdown]
# Now your episodes: 5000 walks, α = 2·10⁻⁴, two seeds. (The book plays 100,000 with 2·10⁻⁵.)


# %%
# about 6 s
def walked(learn, x, step_size, episodes, seed, checkpoints=(), **part):
    """The weights after `episodes` walks of this seed, and the value error at the checkpoints."""
    walk_rng = np.random.default_rng(seed)
    env, w, done, errors = linear.RandomWalk(walk_rng), np.zeros(x.shape[1]), 0, []
    for until in [*checkpoints, episodes]:
        w = learn(env, policy, x.__getitem__, w, until - done, step_size, 1.0, walk_rng, **part)
        done = until
        errors.append(value_error(x @ w))
    return w, np.array(errors[: len(checkpoints) or 1])


mc_runs = [
    walked(linear.gradient_mc, groups, 2e-4, 5000, seed, episode=gradient_mc_episode)[0]
    for seed in (0, 1)
]
print("made with " + authorship("gradient_mc_episode"))
for w in mc_runs:
    print(f"root of the value error {value_error(groups @ w):.3f}, first group {w[0]:.3f}")
assert all(value_error(groups @ w) < 0.1 for w in mc_runs)

# %% tags=["hide-input"]
above, below = plots.axes(2, 1, size=(7.0, 5.6), sharex=True, height_ratios=[3, 1])
above.plot(states, truth, color=plots.INK, label="$V^\\pi$", linestyle="--")
above.plot(
    states, groups @ best, color=plots.PALETTE["green"], label="best with 10 groups", linestyle=":"
)
for w in mc_runs:
    above.plot(states, groups @ w, color=plots.PALETTE["orange"], linewidth=1.4, linestyle="-")
above.lines[-1].set_label(f"{whose('gradient_mc_episode')} gradient Monte Carlo, 2 seeds")
above.set_ylabel("value")
above.legend(loc="upper left")
below.fill_between(states, 100 * mu, color=plots.INK, alpha=0.5)
below.set(xlabel="state", ylabel="μ in %", ylim=(0, 0.2))
below.annotate(f"start: {100 * mu[500]:.2f}", (505, 0.19), xytext=(560, 0.165), fontsize=11)
plots.show(
    above,
    alt="Above: the true values, nearly a line from -0.9 to 0.9, the best staircase of ten groups, and two staircases "
    "of gradient Monte Carlo close to it. Below: the on-policy distribution, a roof over the middle with a peak at the start.",
)  # fmt: skip

# %% [markdown]
# This is figure 9.1 of the book. What is left between the two runs and the best staircase is the noise of the
# returns, each of which is +1 or −1. Of the outermost stairs it hides the inward lean, which is the difference
# between the two numbers printed for them above.
#
# And a longer step? Fewer walks would do, but each return pulls harder. Five times the α, 2000 walks:

# %%
# about 3 s
for seed in (0, 1):
    w = walked(linear.gradient_mc, groups, 1e-3, 2000, seed, episode=gradient_mc_episode)[0]
    print(f"α = 0.001, seed {seed}: root of the value error {value_error(groups @ w):.3f}")

# %% [markdown]
# What such a step ends with is a matter of luck: it hangs on the last few walks.

# %% [markdown]
# ## Second way: bootstrap. Semi-gradient TD(0)
#
# Or put lesson 04's target in the place of $V^\pi(s)$: the reward, and what the function says of the next state.
#
# $$\delta = r + \gamma\,(1-d)\,x(s')^\top w - x(s)^\top w,\qquad w \leftarrow w + \alpha\,\delta\,x(s) \tag{6.8}$$
#
# It learns at every step, and there is less noise in it. With a table, (6.8) is letter by letter the update of
# lesson 04. And yet something has happened that was not there in (6.7). We come to it as soon as you have written
# it.

# %% [markdown] task="semi_gradient_td_update"
# ### Exercise 6.3 · `semi_gradient_td_update`
# **Points** 2 · **Difficulty** ●○○ · **Time** 10 min
#
# One step of (6.8).
#
# - `terminated` is a bool or 0/1. Where it is true, `x_next` may hold any numbers.
# - Return new weights; leave those that you were given alone.


# %% exercise="semi_gradient_td_update" points=2
def semi_gradient_td_update(w, x, r, x_next, terminated, gamma, step_size):
    """Semi-gradient TD(0), one step: (6.8).

    w: (k,); x, x_next: (k,), features of s and s'; r: the reward; terminated: d; step_size: α.
    Returns the new weights (k,).
    """
    ### BEGIN SOLUTION
    future = 0.0 if terminated else gamma * (x_next @ w)
    delta = r + future - x @ w
    return w + step_size * delta * x  # (6.8)
    ### END SOLUTION


# %% [markdown] hints="semi_gradient_td_update"
# <details><summary>What is δ: a number or an array?</summary>
#
# A number. It compares two predictions, and each of them is a sum over features.
# </details>
# <details><summary>Along which features do the weights move?</summary>
#
# The error is about the prediction for one state. By (6.2) the gradient of that prediction is the features of that
# state.
# </details>
# <details><summary>What does termination switch off?</summary>
#
# Only what comes after. The last reward counts, and the state before the end is corrected by it.
# </details>

# %% check="semi_gradient_td_update"
semi_gradient_td_update = check("semi_gradient_td_update")

# %% [markdown]
# The count from the beginning, with your update inside the course's loop: one walk that leaves on the right.

# %%
seed = next(s for s in range(10) if walked(linear.semi_gradient_td, groups, 0.1, 1, s)[0][-1] > 0)
for name, x in {"a table": np.eye(1000), "10 groups": groups}.items():
    w, _ = walked(linear.semi_gradient_td, x, 0.1, 1, seed, update=semi_gradient_td_update)
    print(f"{name}: {np.count_nonzero(x @ w)} values have changed")
    assert np.count_nonzero(x @ w) == {"a table": 1, "10 groups": 100}[name]

# %% [markdown]
# ## What is left out of the gradient
#
# Let $y(w) = r+\gamma(1-d)\,x'^\top w$ be the target ($x$ for $x(s)$, $x'$ for $x(s')$). It depends on $w$, as the
# prediction does. So the squared TD error has a gradient with *two* parts:
#
# $$\nabla_w\,\tfrac12\big[y(w)-x^\top w\big]^2 = \underbrace{-\,\delta\,x}_{\text{the prediction moves}} \;+\; \underbrace{\delta\,\gamma\,(1-d)\,x'}_{\text{the target moves}} \tag{6.9}$$
#
# (6.8) goes along the first part and leaves out the second: it treats the target as a constant. Hence
# *semi*-gradient. The full one, $w\leftarrow w+\alpha\,\delta\,[\,x-\gamma(1-d)\,x'\,]$, is called the **residual
# gradient**. Check (6.9) by differences, and that your update is the first part:

# %%
x, x_next, w = rng.normal(size=(3, 4))
gamma, reward, d = 0.9, 0.5, 0


def td_error(weights):
    return reward + gamma * (1 - d) * x_next @ weights - x @ weights


delta = td_error(w)
nudges = 1e-6 * np.eye(4)
numeric = [(td_error(w + e) ** 2 - td_error(w - e) ** 2) / 4e-6 for e in nudges]
step = semi_gradient_td_update(w, x, reward, x_next, d, gamma, 1.0) - w
print(f"full gradient {np.round(numeric, 3)}\nTD goes along {step.round(3)}, and that is δx")
assert np.allclose(numeric, -delta * x + delta * gamma * (1 - d) * x_next, atol=1e-7)
assert np.allclose(step, delta * x)

# %% [markdown]
# Is leaving out half a gradient a mistake? Take it the other way round: try the full one.
#
# ### Talk to your neighbour
#
# A world of three states, and a weight for each: a *table*, so $V^\pi$ can be represented. A goes to B or to C,
# each with probability ½. B ends with reward 1, C with reward 0; γ = 1. So B is worth 1, C 0, and A ½. **Full
# gradient descent on the mean squared TD error finds**
#
# **A** those values · **B** something flatter · **C** something steeper
#
# <details><summary>What the next cell will show</summary>
#
# B: B is said to be worth ¾, C ¼. The next cells say why.
# </details>

# %%
table, small_rng = np.eye(3), np.random.default_rng(0)  # the states A, B, C
full, semi = np.full(3, 0.5), np.full(3, 0.5)
for k in range(4000):
    alpha = 3 / (30 + k)  # shorter and shorter steps
    after = 1 + int(small_rng.integers(2))  # B or C
    for s, pay, s_next, d in ((0, 0.0, after, 0), (after, float(after == 1), 0, 1)):
        semi = semi_gradient_td_update(semi, table[s], pay, table[s_next], d, 1.0, alpha)
        delta = pay + (1 - d) * full[s_next] - full[s]
        full = full + alpha * delta * (table[s] - (1 - d) * table[s_next])
print(f"true values       A 0.5, B 1, C 0\nsemi-gradient     {semi.round(2)}")
print(f"residual gradient {full.round(2)}")
assert np.allclose(semi, [0.5, 1, 0], atol=0.05) and np.allclose(full, [0.5, 0.75, 0.25], atol=0.05)

# %% [markdown]
# Why? For a random number the mean of the square is the square of the mean plus the variance. So, for every state,
#
# $$\mathbb E[\delta^2\mid s] = \big(\mathbb E[\delta\mid s]\big)^2 + \mathrm{Var}\big(r+\gamma(1-d)\,\hat v(s')\mid s\big).$$
#
# The first part is what the Bellman equation asks for: it should be 0. The second is the noise of the next state,
# and it is *smaller for flat values*. In A, whoever says ¾ and ¼ is less surprised by what follows than who says 1
# and 0. Whoever minimises $\delta^2$ pays for surprise. Values should not.
#
# The walk is such a world at every step. Exactly, from the mean of $(x-\gamma x')(x-\gamma x')^\top$ over all steps:


# %%
def residual_weights(x, of_the_mean=False):
    """Where the mean of δ² over sampled steps is least; of_the_mean: that of (mean δ)²."""
    after = P @ x
    if of_the_mean:
        change = x - after
        return np.linalg.solve(change.T @ (mu[:, None] * change), change.T @ (mu * r))
    crossed = x.T @ (mu[:, None] * after)
    squares = x.T @ (mu[:, None] * x) + x.T @ ((mu @ P)[:, None] * x)
    # A reward is paid only where the walk ends; no x' is there.
    return np.linalg.solve(squares - crossed - crossed.T, x.T @ (mu * r))


for name, x in {"10 groups": groups, "a table": np.eye(1000)}.items():
    flat = x @ residual_weights(x)
    print(f"{name}: residual gradient ends at {flat[0]:.2f} and {flat[-1]:.2f}, "
          f"root of the value error {value_error(flat):.2f}")  # fmt: skip
    assert abs(flat[0]) < 0.7 * abs(truth[0])
averaged = value_error(groups @ residual_weights(groups, of_the_mean=True))
print(f"10 groups, from the mean over all next states: {averaged:.2f}")

# %% [markdown]
# Even with a table, where $V^\pi$ is there to be found, it comes out far too flat. And if one could average over
# the next states before squaring (last line; that takes a model, or two independent samples of $s'$), the noise
# would be gone, but ten groups would still do badly. So we keep the semi-gradient. The price: it is not the
# gradient of *anything*. Nobody promises that it goes down. Where does it go?

# %% [markdown]
# ## Where TD stands still
#
# States are met with probability $\mu(s)$. TD(0) stands still **on average** at the weights $w$ where the mean of
# its step is zero:
#
# $$\mathbb E_{s\sim\mu,\;s'\sim p_\pi(\cdot|s)}\big[\,\delta\;x(s)\,\big] = 0 \tag{6.10}$$
#
# First by hand, for the smallest world in which something happens.

# %% [markdown] task="two_state_fixed_point"
# ### Exercise 6.4 · `two_state_fixed_point`
# **Points** 2 · **Difficulty** ●●○ · **Time** 20 min · ✎ on paper
#
# Two states and *one* weight: $\hat v(0)=x_0w$ and $\hat v(1)=x_1w$. From state 0 the policy goes to 1 with
# probability $p$, else it stays. From state 1 it goes to 0 with probability $q$, else it stays. Leaving state $i$
# pays $r_i$ (staying is leaving and coming back), and there is no end.
#
# Derive on paper the weight at which (6.10) holds, and write the formula as a function. You need the share of time
# $\mu$ in each state first. No simulation, no loop.


# %% exercise="two_state_fixed_point" points=2
def two_state_fixed_point(x, r, p, q, gamma):
    """The weight at which semi-gradient TD(0) stands still on average; see (6.10).

    x, r: (2,), features and rewards; p, q: in (0, 1], from 0 to 1 and from 1 to 0; gamma: in [0, 1].
    Returns a float. (If gamma is 1, the features differ.)
    """
    ### BEGIN SOLUTION
    rewards = q * x[0] * r[0] + p * x[1] * r[1]  # μ = (q, p) / (p + q); the divisor cancels
    squares = (1 - gamma) * (q * x[0] ** 2 + p * x[1] ** 2)
    return float(rewards / (squares + gamma * p * q * (x[0] - x[1]) ** 2))
    ### END SOLUTION


# %% [markdown] hints="two_state_fixed_point"
# <details><summary>How much of the time is spent in each state?</summary>
#
# In the long run, as many steps lead from 0 to 1 as back. How many is that per unit of time, in terms of the two
# shares?
# </details>
# <details><summary>What does (6.10) look like with two states?</summary>
#
# A sum of two terms, one for each state: its share, its feature, and its mean TD error. In the mean TD error the
# next feature is a mean of both features.
# </details>
# <details><summary>How can I test the formula without running anything?</summary>
#
# At γ = 0 it must be the weighted regression of the rewards on the features. If the features are equal, both states
# have the same value: the mean reward, summed up by the geometric series. Then look at what stands below: can you
# write it as a sum of squares?
# </details>

# %% check="two_state_fixed_point"
two_state_fixed_point = check("two_state_fixed_point")

# %% [markdown]
# Is it true? Run your own TD(0) on such a chain, with shorter and shorter steps, beside your formula and beside the
# best fit to the true values:

# %%
chain_x, chain_r, p, q, gamma = np.array([1.0, 2.0]), np.array([1.0, -0.5]), 0.2, 0.6, 0.9
chain_P, share = np.array([[1 - p, p], [q, 1 - q]]), np.array([q, p]) / (p + q)
chain_v = np.linalg.solve(np.eye(2) - gamma * chain_P, chain_r)
chain_rng, w, s = np.random.default_rng(1), np.zeros(1), 0
for k in range(60_000):
    s_next = int(chain_rng.random() < chain_P[s, 1])
    row, after = chain_x[s : s + 1], chain_x[s_next : s_next + 1]
    w = semi_gradient_td_update(w, row, chain_r[s], after, 0, gamma, 1 / (10 + k / 3))
    s = s_next
said = two_state_fixed_point(chain_x, chain_r, p, q, gamma)
fit = share @ (chain_x * chain_v) / (share @ chain_x**2)
print(f"TD ended at {w[0]:.3f}; your formula says {said:.3f}; the best fit would be {fit:.3f}")
assert abs(w[0] - said) < 0.2 and abs(fit - said) > 0.4

# %% [markdown]
# TD's fixed point is *not* the best fit. Bootstrapping puts the function's errors into its own targets.
#
# If your formula is well sorted, it has a sum of squares below:
# $(1-\gamma)(q\,x_0^2+p\,x_1^2)+\gamma\,p\,q\,(x_0-x_1)^2$. So it is positive, and that is what makes TD(0) *go* to
# its fixed point instead of away from it. It is a gift of $\mu$: with other shares than the policy's own, it can
# turn negative. Lesson 07 shows what happens then.

# %% [markdown]
# ## Many states, many weights
#
# The same in matrices. One row of $X$ per state, $D$ the diagonal matrix of $\mu$, $P$ the policy's transitions.
# The mean of $\delta\,x$ is $X^\top D\,(r+\gamma PXw-Xw)$, so that (6.10) reads
#
# $$A\,w = b,\qquad A = X^\top D\,(X-\gamma PX),\qquad b = X^\top D\,r \tag{6.11}$$
#
# and the mean update is $w\leftarrow w+\alpha\,(b-Aw)$. Two things can be seen from that.
#
# **It converges**, for small α. Let $v=Xw$, and $\|v\|_\mu^2=\sum_s\mu(s)\,v(s)^2$. Then
# $w^\top A\,w=\|v\|_\mu^2-\gamma\,\langle v,Pv\rangle_\mu$. A mean squared is at most the mean of squares, so
# $\|Pv\|_\mu^2\le\sum_s\mu(s)\sum_{s'}P_{ss'}\,v(s')^2=\sum_{s'}(\mu^\top P)(s')\,v(s')^2$. And by (6.4),
# $\mu^\top P\le\mu$: whoever arrives is counted. So
#
# $$\|Pv\|_\mu\le\|v\|_\mu \qquad\text{and}\qquad w^\top A\,w\ge(1-\gamma)\,\|v\|_\mu^2. \tag{6.12}$$
#
# Hence $w^\top Aw>0$ for γ < 1 and independent features, and $w-A^{-1}b$ shrinks at every small step. (At γ = 1 it
# still holds here, since every walk ends.) **And it follows no gradient**: $-A$ is the derivative of the mean step,
# and a gradient's derivative is symmetric. $A$ is not.


# %%
def fixed_point(x, gamma=1.0):
    """The weights where (6.10) holds: the system (6.11), exactly."""
    weighted = x.T * mu  # XᵀD
    # Tiles are not independent of each other: of several solutions the shortest.
    return np.linalg.lstsq(weighted @ (x - gamma * P @ x), weighted @ r, rcond=None)[0]


A = (groups.T * mu) @ (groups - P @ groups)
smallest = np.linalg.eigvalsh((A + A.T) / 2)[0]
print(f"smallest eigenvalue of the symmetric part: {smallest:.1e}; "
      f"largest |A − Aᵀ|: {np.abs(A - A.T).max():.1e}")  # fmt: skip
assert smallest > 0 and np.abs(A - A.T).max() > 1e-3
for _ in range(100):
    v = rng.normal(size=1000)
    assert mu @ (P @ v) ** 2 <= mu @ v**2

# %% [markdown]
# Does TD really end there? 2000 walks with your update, α = 0.01:

# %%
# about 8 s
stands = fixed_point(groups)
td_runs = [
    walked(linear.semi_gradient_td, groups, 0.01, 2000, seed, update=semi_gradient_td_update)[0]
    for seed in (0, 1)
]
print("made with " + authorship("semi_gradient_td_update"))
for w in td_runs:
    print(f"largest distance of a weight from (6.11): {np.abs(w - stands).max():.3f}")
print(f"root of the value error: fixed point {value_error(groups @ stands):.3f}, "
      f"best {value_error(groups @ best):.3f}")  # fmt: skip
print(f"first and last group: fixed point {stands[0]:.2f}, {stands[-1]:.2f}; "
      f"best {best[0]:.2f}, {best[-1]:.2f}")  # fmt: skip
assert all(np.abs(w - stands).max() < 0.1 for w in td_runs)
assert value_error(groups @ stands) > 2 * value_error(groups @ best)
for seed in (0, 1):  # a step ten times as long
    w = walked(linear.semi_gradient_td, groups, 0.1, 2000, seed, update=semi_gradient_td_update)[0]
    print(f"α = 0.1, seed {seed}: largest distance {np.abs(w - stands).max():.3f}")

# %% [markdown]
# It does, the nearer the smaller α is, and its error is more than twice the best one: this is figure 9.2 of the
# book, left. Its stairs are too flat at both ends. Why? To TD a group is *one* state: who has jumped into the next group counts as a typical
# member of it. In truth they stand near its border, and are back soon. So the walk that TD sees forgets too quickly
# where it was. In numbers, for the first two groups:

# %%
grouped = (groups.T * mu) @ P @ groups / (groups.T @ mu)[:, None]  # as TD sees the walk: 10 states
seen = np.linalg.solve(np.eye(10) - grouped, (groups.T * mu) @ r / (groups.T @ mu))
crossed = (mu * groups[:, 0]) @ P * groups[:, 1]  # has just jumped from the first into the second
back = (crossed / crossed.sum()) @ P @ groups[:, 0]
print(
    f"just come from the first group, back in it after a step: {back:.0%}; TD says {grouped[1, 0]:.0%}"
)
assert np.allclose(seen, stands) and back > grouped[1, 0]

# %% [markdown]
# The exact values of that walk over ten states *are* TD's fixed point (the assertion). **Drag the number of
# groups.** What becomes of the price of bootstrapping?

# %% tags=["hide-input"]
numbers = [2, 5, 10, 20, 50, 100]
stairs = {}
for k in numbers:
    x = features.state_aggregation(states, 1000, k)
    stairs[k] = {"best": x @ best_weights(x), "TD(0), fixed point": x @ fixed_point(x)}


def draw(k):
    ax = plots.axes()
    ax.plot(states, truth, color=plots.INK, linestyle="--", label="$V^\\pi$")
    for (name, v), color in zip(stairs[k].items(), ("green", "blue"), strict=True):
        label = f"{name}: error {value_error(v):.3f}"
        ax.plot(
            states,
            v,
            color=plots.PALETTE[color],
            label=label,
            linestyle=":" if name == "best" else "-",
        )
    ax.set(xlabel="state", ylabel="value", title=f"{k} groups", ylim=(-1, 1))
    ax.legend(loc="upper left")
    return ax


plots.slide(draw, numbers, name="groups", start=2, alt="The true values, the best staircase and TD's fixed point. With few groups TD's "
            "stairs are much flatter than the best ones; with a hundred groups the three can hardly be told apart.")  # fmt: skip

# %% [markdown]
# The price falls with every cut, and with a group for each state, a table, it is gone: then $V^\pi$ itself solves
# (6.11). And the other features?

# %%
assert np.allclose(r + P @ truth, truth)
for k in (5, 10, 20, 100):
    errors = [value_error(v) for v in stairs[k].values()]
    print(f"{k:3} groups: best {errors[0]:.3f}, TD {errors[1]:.3f}")
print("features                 weights   best     TD")
for name, x in bases.items():
    errors = [value_error(x @ w) for w in (best_weights(x), fixed_point(x))]
    print(f"{name:24} {x.shape[1]:7}   {errors[0]:.4f}   {errors[1]:.4f}")
    assert errors[0] <= errors[1]

# %% [markdown]
# Better features make both errors smaller, and the gap between them, too.

# %% [markdown]
# Between (6.7) and (6.8) lie lesson 04's n-step targets: $n$ rewards, then $\hat v(s_{t+n};w)$. Here is (6.8) with those, for
# many step sizes side by side: 20 groups, all weights 0 at first, the error averaged over the first ten walks.


# %%
# about 1 s
def n_step_errors(n, step_sizes, seed, n_groups=20, walks=10):
    """The mean of √(mean squared error) after each walk, over all states alike: (step sizes,)."""
    env, group = linear.RandomWalk(np.random.default_rng(seed)), states * n_groups // 1000
    w, errors = np.zeros((n_groups, len(step_sizes))), []
    for _ in range(walks):
        (s, _), over = env.reset(), False
        path = [group[s]]
        while not over:
            s, reward, over, _, _ = env.step(0)
            path.append(group[s])
        for t in range(len(path) - 1):
            # γ = 1, and only the last step pays: the window ends in a value, or in that reward.
            target = w[path[t + n]].copy() if t + n < len(path) - 1 else reward
            w[path[t]] += step_sizes * (target - w[path[t]])
        errors.append(np.sqrt(((w[group] - truth[:, None]) ** 2).mean(axis=0)))
    return np.mean(errors, axis=0)


step_sizes = np.linspace(0, 1, 21)
by_steps = {
    f"n = {n}": np.mean([n_step_errors(n, step_sizes, seed) for seed in range(10)], axis=0)
    for n in (1, 2, 4, 8, 16, 64)
}
for name, errors in by_steps.items():
    print(f"{name:6}: lowest {errors.min():.2f}, at α = {step_sizes[errors.argmin()]:.2f}")
assert min(by_steps, key=lambda name: by_steps[name].min()) in ("n = 4", "n = 8")

# %% tags=["hide-input"]
ax = plots.curves(by_steps, x=step_sizes, xlabel="α", ylabel="error over the first 10 walks",
                  ax=plots.axes(size="wide"))  # fmt: skip
ax.set_ylim(0.25, 0.56)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plots.show(ax, alt="Error against step size for several n: every curve is a U. That of n = 4 goes down the furthest; the "
           "larger n is, the smaller the step size at which it is best.")  # fmt: skip

# %% [markdown]
# The right half of figure 9.2, and nearly the picture that lesson 04 drew for tables: an $n$ in the middle is best, and a larger $n$ wants
# a smaller step. What bootstrapping trades, bias for noise, has not changed by sharing weights.

# %% [markdown]
# ## Break
#
# A good place to stop. You have features, two ways of learning weights from experience, and a formula for where one
# of them ends. The next cell says whose functions you go on with. Without looking: what is left out of which
# gradient, and what would it do? Three things are left: how bad the fixed point can be, how to be there at once,
# and the whole loop.

# %%
print("So far: " + authorship("basis_features", "gradient_mc_episode"))
print("and: " + authorship("semi_gradient_td_update", "two_state_fixed_point"))

# %% [markdown]
# ## How far from the best?
#
# Let $\Pi V$ be the best that the features can do: the **projection** of $V^\pi$, which minimises $\|V^\pi-v\|_\mu$
# among all $v=Xw$. And let $Tv=r+\gamma Pv$ be lesson 02's Bellman backup. (6.11) says that $X^\top D\,(Tv-v)=0$:
# what the backup adds is at right angles to all features. So the fixed point is its own projected backup,
# $v_{\text{TD}}=\Pi\,T\,v_{\text{TD}}$. Then, in three lines:
#
# $$\begin{aligned}
# \|V^\pi-v_{\text{TD}}\|_\mu^2 &= \|V^\pi-\Pi V^\pi\|_\mu^2+\|\Pi V^\pi-v_{\text{TD}}\|_\mu^2\\
# \|\Pi V^\pi-v_{\text{TD}}\|_\mu &= \|\Pi(TV^\pi-Tv_{\text{TD}})\|_\mu \le \gamma\,\|V^\pi-v_{\text{TD}}\|_\mu\\
# \overline{\mathrm{VE}}(w_{\text{TD}}) &\le \frac{1}{1-\gamma^2}\,\min_w\overline{\mathrm{VE}}(w)
# \end{aligned} \tag{6.13}$$
#
# The first line is Pythagoras: the error of the best fit is at right angles to all $v=Xw$. The second:
# $V^\pi=TV^\pi$; a projection makes nothing longer; and the difference of the two backups is
# $\gamma P(V^\pi-v_{\text{TD}})$, so that (6.12) applies. Put the second into the first and collect: that is the
# third.
#
# The book's (9.14) has $1/(1-\gamma)$, which is weaker by the factor $1+\gamma$. Measured on the walk, for several γ:

# %%
for gamma in (0.0, 0.9, 0.95, 0.99, 1.0):
    discounted = np.linalg.solve(np.eye(1000) - gamma * P, r)
    root = np.sqrt(mu)[:, None]
    closest = np.linalg.lstsq(root * groups, root[:, 0] * discounted, rcond=None)[0]
    least, reached = (
        mu @ (discounted - groups @ w) ** 2 for w in (closest, fixed_point(groups, gamma))
    )
    bound = 1 / (1 - gamma**2) if gamma < 1 else np.inf
    print(
        f"γ = {gamma:4}: TD's value error is {reached / least:.2f} times the least; bound {bound:.1f}"
    )
    assert reached / least <= bound + 1e-9

# %% [markdown]
# The walk stays far below it. Is the bound too careful? Your formula from 6.4 can tell: 20,000 random chains of two
# states.

# %%
# about 1 s
gamma, ratios, hunt = 0.9, [], np.random.default_rng(2)
for _ in range(20_000):
    p, q = hunt.uniform(0.01, 1, size=2)
    two_x, two_v = hunt.normal(size=(2, 2))  # features and true values; the rewards follow
    two_r = two_v - gamma * np.array([[1 - p, p], [q, 1 - q]]) @ two_v
    share = np.array([q, p]) / (p + q)
    closest = share @ (two_x * two_v) / (share @ two_x**2)
    errors = [
        share @ (two_v - two_x * w) ** 2
        for w in (closest, two_state_fixed_point(two_x, two_r, p, q, gamma))
    ]
    ratios.append(errors[1] / errors[0])
print(f"worst ratio {max(ratios):.2f}, median {np.median(ratios):.2f}; "
      f"1/(1−γ²) = {1 / (1 - gamma**2):.2f}, 1/(1−γ) = {1 / (1 - gamma):.0f}")  # fmt: skip
assert 4 < max(ratios) <= 1 / (1 - gamma**2)

# %% [markdown]
# No: some chain comes close to it. But most are far away.
#
# ## At once: LSTD
#
# We know the equation of the place where TD ends, (6.11). So why walk there? $A$ and $b$ are means over steps, and
# can be estimated from $N$ steps seen, $n=1,\dots,N$:
#
# $$\hat A = \sum_n x_n\,\big(x_n-\gamma\,(1-d_n)\,x'_n\big)^\top+\epsilon I,\qquad \hat b = \sum_n r_n\,x_n,\qquad w = \hat A^{-1}\hat b \tag{6.14}$$
#
# (Sums will do: a common factor $1/N$ cancels.) That is **least-squares TD**, LSTD. There is no step size.
# $\epsilon$ is the **ridge**, a small number that makes $\hat A$ invertible while some features have not been seen.
# The price: $\hat A$ has $k^2$ entries, where TD needs $k$ weights.

# %% [markdown] task="lstd"
# ### Exercise 6.5 · `lstd`
# **Points** 3 · **Difficulty** ●●○ · **Time** 15 min
#
# Compute (6.14) from a batch of steps.
#
# - Row $n$ of `x` and `x_next`, and entry $n$ of `r` and `terminated` (bool or 0/1) belong to one step. Rows of
#   `x_next` where it terminated hold any numbers.
# - `ridge` is ε. Take sums, as written: beside the ridge it matters.


# %% exercise="lstd" points=3
def lstd(x, r, x_next, terminated, gamma, ridge):
    """Least-squares TD, (6.14).

    x, x_next: (N, k); r, terminated: (N,); gamma: in [0, 1]; ridge: ε ≥ 0. Returns the weights (k,).
    """
    ### BEGIN SOLUTION
    alive = 1.0 - np.asarray(terminated, dtype=float)
    ahead = gamma * alive[:, None] * x_next
    a_hat = x.T @ (x - ahead) + ridge * np.eye(x.shape[1])
    return np.linalg.solve(a_hat, x.T @ r)  # (6.14)
    ### END SOLUTION


# %% [markdown] hints="lstd"
# <details><summary>How do I sum outer products without a loop?</summary>
#
# A matrix product of one matrix, transposed, with another one sums over the rows. Which of the two has the features
# of the state being updated? That one is first.
# </details>
# <details><summary>How do I switch off the next state, row by row?</summary>
#
# Make a column of ones and zeros from the flags, as floats, and multiply the rows of next features by it.
# </details>
# <details><summary>Do I have to invert the matrix?</summary>
#
# Rather solve the linear system: NumPy has a function for that, and it is more exact.
# </details>

# %% check="lstd"
lstd = check("lstd")

# %% [markdown]
# Write down 1000 walks and solve once:


# %%
def logged(episodes, seed):
    """(states, rewards, next states, terminated) of so many walks, and where each walk ends."""
    env, steps, ends = linear.RandomWalk(np.random.default_rng(seed)), [], []
    for _ in range(episodes):
        (s, _), over = env.reset(), False
        while not over:
            s_next, reward, over, _, _ = env.step(0)
            steps.append((s, reward, s_next, over))
            s = s_next
        ends.append(len(steps))
    return [np.array(column) for column in zip(*steps, strict=True)], ends


(s, rewards, s_next, over), _ = logged(1000, 0)
solved = lstd(groups[s], rewards, groups[s_next], over, 1.0, 0.0)
print(
    f"{len(s)} steps; largest distance of a weight from (6.11): {np.abs(solved - stands).max():.3f}"
)
assert np.abs(solved - stands).max() < 0.15
errors = rewards + np.where(over, 0, groups[s_next] @ solved) - groups[s] @ solved
assert np.allclose(groups[s].T @ errors, 0, atol=1e-6)  # TD errors at right angles to the features

# %% [markdown]
# ## The loop
#
# What is left is the whole of semi-gradient TD(0), as an algorithm that meets the world:
#
# > take the weights given · *for each episode:* reset to $s$ · *until it ends:* act by the policy · see $r, s'$ and
# > the two flags · update $w$ by (6.8) · $s\leftarrow s'$
#
# The box says "until it ends" and "by (6.8)". Either flag can end an episode. What does each of them do to the
# target? Decide before you write.

# %% [markdown] task="semi_gradient_td"
# ### Exercise 6.6 · `semi_gradient_td`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# - `policy(s, rng)` is asked once before every step, and nobody else uses `rng`. `features(s)` gives the `(k,)`
#   features of a state.
# - Call `env.reset()` once an episode, without arguments, and never step after an end. Do not change `w` itself; 0
#   episodes return a copy of it.
# - You may call your own `semi_gradient_td_update`.


# %% exercise="semi_gradient_td" points=3
def semi_gradient_td(env, policy, features, w, episodes, step_size, gamma, rng):
    """Semi-gradient TD(0) in the world: (6.8) at every step.

    env: Gymnasium's API; policy(s, rng) -> action; features(s) -> (k,); w: (k,), where to begin.
    Returns the weights (k,) after so many episodes.
    """
    ### BEGIN SOLUTION
    w = np.array(w, dtype=float)
    for _ in range(episodes):
        s, _ = env.reset()
        ended = False
        while not ended:
            s_next, r, terminated, truncated, _ = env.step(policy(s, rng))
            future = 0.0 if terminated else gamma * (features(s_next) @ w)
            x_s = features(s)
            w = w + step_size * (r + future - x_s @ w) * x_s  # (6.8)
            s = s_next
            ended = terminated or truncated
    return w
    ### END SOLUTION


# %% [markdown] hints="semi_gradient_td"
# <details><summary>How do I begin?</summary>
#
# As in lessons 04 and 05: two loops, one in the other. What is new is only what an update does.
# </details>
# <details><summary>Which flag does what?</summary>
#
# A time limit cuts a walk that would have gone on: is the state worth nothing because nobody watches any more?
# Lesson 04 has the answer.
# </details>
# <details><summary>The check says that the argument has changed.</summary>
#
# Where do your weights come from before the first episode? If they are the caller's array, an in-place operator
# writes into it.
# </details>

# %% check="semi_gradient_td"
semi_gradient_td = check("semi_gradient_td")

# %% [markdown]
# ## The experiment: walk there, or solve
#
# The same 300 walks for everybody, five seeds. Your loop learns with three step sizes; your `lstd` solves (6.14)
# with what has been seen so far, ridge 10⁻³. The dotted line is the error of the fixed point, where, but for noise,
# they all end.

# %%
# about 5 s
checkpoints = [3, 10, 30, 100, 300]
race = {f"LSTD, {whose('lstd')} code": []}
for seed in range(5):
    (s, rewards, s_next, over), ends = logged(300, seed)
    solved = [
        lstd(groups[s[:n]], rewards[:n], groups[s_next[:n]], over[:n], 1.0, 1e-3)
        for n in (ends[k - 1] for k in checkpoints)
    ]
    race[f"LSTD, {whose('lstd')} code"].append([value_error(groups @ w) for w in solved])
for alpha in (0.03, 0.1, 0.3):
    race[f"TD(0), {whose('semi_gradient_td')} loop, α = {alpha}"] = [
        walked(semi_gradient_td, groups, alpha, 300, seed, checkpoints)[1] for seed in range(5)
    ]
race["the course's TD(0), α = 0.1"] = [
    walked(linear.semi_gradient_td, groups, 0.1, 300, seed, checkpoints)[1] for seed in range(5)
]
print(f"{'walks':34}" + "".join(f"{k:8}" for k in checkpoints))
for name, runs in race.items():
    print(f"{name:34}" + "".join(f"{error:8.3f}" for error in np.mean(runs, axis=0)))

# %% tags=["hide-input"]
ax = plots.axes(size="wide")
styles = zip(("green", "sky", "blue", "purple", "ink"), ("-", "--", "-", "-.", ":"), strict=True)
for (name, runs), (color, dash) in zip(race.items(), styles, strict=True):
    ax.plot(
        checkpoints, np.transpose(runs), "-", color=plots.PALETTE[color], linewidth=0.7, alpha=0.4
    )
    ax.plot(
        checkpoints, np.mean(runs, axis=0), dash, color=plots.PALETTE[color], label=name, zorder=3
    )
ax.axhline(value_error(groups @ stands), color=plots.INK, linewidth=1, linestyle=":")
ax.annotate("TD's fixed point", (3, value_error(groups @ stands)), xytext=(3, 0.085), fontsize=11)
ax.set_xscale("log")
ax.set_xticks(checkpoints, labels=checkpoints)
ax.set(xlabel="walks seen", ylabel="root of the value error", ylim=(0, 0.45))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="thick: mean of 5 seeds\nthin: each")
plots.show(
    ax,
    alt="Value error against walks seen. LSTD falls steadily towards the fixed point's error. TD with a short step is "
    "slow; with a long one it is quick at first, and then noisy. Yours and the course's lie on each other.",
)

# %% [markdown]
# LSTD needs no step size, so it cannot have a wrong one. It does not beat the best one, either: with few walks its
# $\hat A$ is noisy. After 300 walks most of its noise is gone, and what is left is the fixed point's own error. More walks
# do not help against that, only better features.

# %% [markdown]
# ## Polynomials against Fourier
#
# ### Talk to your neighbour
#
# In the table above, the best polynomial of order 5 is about eight times closer to $V^\pi$ than the best Fourier
# sum of order 5. Both now learn by gradient Monte Carlo from the same 2000 walks. **Ahead is in the end**
#
# **A** the polynomial · **B** the Fourier sum · **C** neither
#
# <details><summary>What the next cells will show</summary>
#
# B. The best polynomial *exists*, but gradient descent does not get there in time. LSTD or any other solver would
# not care: it does not walk.
# </details>

# %%
# about 10 s
moments = [1, *range(50, 2001, 50)]
fits = {}
for basis, name, alpha in (("polynomial", "polynomials", 1e-4), ("fourier", "Fourier", 5e-5)):
    for order in (5, 10):
        x = basis_features(place, order, basis)
        learned = (linear.gradient_mc, x, alpha, 2000)
        errors = [walked(*learned, k, moments, episode=gradient_mc_episode)[1] for k in (0, 1)]
        fits[f"{name}, order {order}"] = errors
        curvature, w = x.T @ (visits[:, None] * x), np.zeros(order + 1)
        for _ in range(2000):  # the mean step of a walk, without noise
            w = w + alpha * (x.T @ (visits * truth) - curvature @ w)
        print(f"{name:11} {order:2}: learned {np.mean(errors, axis=0)[-1]:.3f}; without noise "
              f"{value_error(x @ w):.3f}; best {value_error(x @ best_weights(x)):.4f}; "
              f"condition {np.linalg.cond(curvature):.0e}")  # fmt: skip
longer = basis_features(place, 20, "polynomial"), basis_features(place, 20, "fourier")
conditions = [np.linalg.cond(x.T @ (visits[:, None] * x)) for x in longer]
print("condition at order 20: polynomials {:.0e}, Fourier {:.0e}".format(*conditions))
print("made with " + authorship("basis_features", "gradient_mc_episode"))
last = {name: np.array(errors)[:, -1] for name, errors in fits.items()}
assert np.all(last["Fourier, order 5"] < last["polynomials, order 5"])

# %% tags=["hide-input"]
ax = plots.curves(
    fits, x=moments, xlabel="walks", ylabel="root of the value error", ax=plots.axes(size="wide")
)
ax.set_ylim(0, None)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="thick: mean of 2 seeds\nthin: each")
plots.show(
    ax,
    alt="Value error of gradient Monte Carlo over 2000 walks: both Fourier curves fall below both polynomial ones.",
)

# %% [markdown]
# This is figure 9.5 of the book. It is not the noise: with the mean steps, which have none, polynomials are as
# slow. The reason is in the last column. The objective's second derivative is $X^\top DX$; along a direction in
# which it is λ, a step multiplies the error by $1-\alpha\lambda$. The **condition number** is the largest λ over
# the smallest. α has to suit the largest, so along the smallest it takes that many times longer. Powers of $s$ look
# alike, so their differences are tiny and learned last. Cosines are nearly at right angles. A solver divides by λ,
# whatever its size.

# %% [markdown]
# ## Change one thing
#
# **The ridge.** Change `ridges`. What to look for: a ridge that is small beside the counts on $\hat A$'s diagonal
# costs nothing; a large one pulls all weights towards 0.

# %%
ridges = [1e-3, 1.0, 100.0]
for ridge in ridges:
    w = lstd(groups[s], rewards, groups[s_next], over, 1.0, ridge)
    print(f"ridge {ridge:6}: root of the value error {value_error(groups @ w):.3f}")

# %% [markdown]
# **The mask.** Give the end of a walk to your loop as a time limit: then it bootstraps past the end, from a state
# that is the last one before it.


# %%
class EndsAreCuts(linear.RandomWalk):
    def step(self, action):
        s, reward, terminated, truncated, info = super().step(action)
        return s, reward, False, terminated or truncated, info


for world in (linear.RandomWalk, EndsAreCuts):
    world_rng = np.random.default_rng(0)
    env = world(world_rng)
    w = semi_gradient_td(env, policy, groups.__getitem__, np.zeros(10), 300, 0.1, 1.0, world_rng)
    print(f"{world.__name__:11}: outer groups {w[0]:.2f} and {w[-1]:.2f}, "
          f"root of the value error {value_error(groups @ w):.2f}")  # fmt: skip
for told, alive in (("LSTD", 1), ("LSTD without (1 − d)", 0)):
    errors = []
    for n in (ends[k - 1] for k in checkpoints[1:]):
        w = lstd(groups[s[:n]], rewards[:n], groups[s_next[:n]], alive * over[:n], 1.0, 1.0)
        errors.append(value_error(groups @ w))
    print(f"{told:20} after 10, 30, 100, 300 walks: " + ", ".join(f"{e:.2f}" for e in errors))

# %% [markdown]
# Nothing in this world is worth more than 1. Without the mask, leaving on the right pays 1 *and* what the last
# group is said to be worth; so that rises, and so on. In LSTD, a constant added to all values then costs nothing
# ($\hat A$ times ones is 0 without the ridge). Only the ridge, 1 in these two lines, holds it: it becomes as large as the surplus of
# wins over losses is beside the ridge. With more walks that surplus wanders off, so LSTD gets worse the more it sees.
#
# **The waves.** Which frequency? $\cos(2\pi is)$ is the same at both ends, where $V^\pi$ is not. But a forgotten π
# can hide:

# %%
for told, factor in (("cos iπs", np.pi), ("cos 2πis", 2 * np.pi), ("cos is", 1.0)):
    x = np.cos(factor * np.outer(place, np.arange(6)))
    print(f"{told:8}: smallest root of the value error {value_error(x @ best_weights(x)):.3f}")

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** Ten features, and $V^\pi$ happens to be a weighted sum of them. Do TD's fixed point and the best fit still
# differ?
#
# **A** yes · **B** no
#
# <details><summary>Answer</summary>
#
# B. Then the best value error is 0, and by (6.13) so is TD's (γ < 1). The price of bootstrapping is paid only where
# the features fall short.
# </details>
#
# **2.** A million features. A step of TD and a step of LSTD (with a new row for $\hat A$) cost about
#
# **A** the same · **B** $10^6$ numbers against $10^{12}$ · **C** LSTD is cheaper: it has no step size
#
# <details><summary>Answer</summary>
#
# B. $\hat A$ has $k^2$ entries. That is why what follows, up to networks with millions of weights, walks.
# </details>

# %% [markdown]
# ## Summary
#
# - **Linear functions** $\hat v(s;w)=x(s)^\top w$ share weights among states; their gradient is $x(s)$. What counts
#   as a good fit is decided by the **on-policy distribution** μ.
# - **Gradient Monte Carlo** puts the return in the place of $V^\pi$. It is SGD on the value error, and ends at the
#   best weights.
# - **Semi-gradient TD(0)** treats its target as a constant. The full (residual) gradient also punishes the noise of
#   $s'$ and finds values that are too flat, even with a table.
# - TD's **fixed point** solves $Aw=b$; it exists, and attracts, because states are weighted as the policy visits
#   them. Its value error is at most $1/(1-\gamma^2)$ times the best.
# - **LSTD** estimates $A$ and $b$ and solves: no step size, $k^2$ numbers. How fast gradient steps are depends on
#   the features' **condition number**; a solver does not care.

# %% [markdown]
# ## Where this went
#
# What later methods change in
# $w\leftarrow w+\alpha\,[\,r+\gamma(1-d)\,\hat v(s';w)-\hat v(s;w)\,]\,\nabla\hat v(s;w)$:
#
# - **TD(λ)** (Tsitsiklis & Van Roy 1997): $\nabla\hat v(s;w)$ becomes a trace
#   $z\leftarrow\gamma\lambda z+\nabla\hat v(s;w)$, and the bound on the error sinks from TD's towards Monte Carlo's
#   as λ goes to 1.
# - **Gradient TD** (Sutton et al. 2009) goes down the *projected* error $\|\Pi Tv-v\|_\mu$, which is 0 at the same
#   fixed point, with a second set of weights that estimates what (6.8) leaves out. It converges off-policy as well.
# - **LSPI** (Lagoudakis & Parr 2003): (6.14) with features of state *and* action and $a'=\arg\max$ in $x'$: LSTD
#   learns to act.
# - **Lesson 07** puts $\hat q(s,a;w)$ in the place of $\hat v$, and takes steps from other distributions than μ.
# - **DQN** (lesson 08) keeps the semi-gradient, for a network; the constant target becomes a copy of the network
#   that stands still.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Where the originals need care</summary>
#
# - "Winter School 2024, Advanced Reinforcement Learning" (L. Brigato) defines $J(\mathbf w)$ without the ½ and puts
#   it into the step, $-\tfrac12\alpha\nabla J$; ours has it in $J$. The steps are the same.
# - The book writes $\mathbf w^\top\mathbf x$, $R_{t+1}$ for our $r_t$, and $\overline{\mathrm{VE}}$ as here; its μ
#   is over non-terminal states, as ours.
# - Its (9.14) bounds $\overline{\mathrm{VE}}$ by the factor $1/(1-\gamma)$. Tsitsiklis & Van Roy's
#   $1/\sqrt{1-\gamma^2}$ is for the *root*, the norm; squared it is (6.13).
# </details>

# %% [markdown]
# ## What we hand on
#
# A function in the place of the table, and each step moves its weights along the gradient of what is predicted,
# towards a target that counts as a constant:
#
# $$w \leftarrow w + \alpha\,\big[\,r + \gamma\,(1-d)\,\hat v(s';w) - \hat v(s;w)\,\big]\,\nabla\hat v(s;w)$$
#
# It judges a policy, with states met as often as that policy meets them. Lesson 07 wants to act, so it asks for
# $\hat q(s,a;w)$. And then the states will no longer come from μ.
