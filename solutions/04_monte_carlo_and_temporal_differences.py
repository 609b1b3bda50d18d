# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · Monte Carlo, temporal differences, n steps
#
# Part I · 00 → 01 → 02 → 03 → **04** → 05 → Part II
#
# - **You will be able to** learn a policy's values from experience alone, in four ways that turn out to be
#   one family; say which of them is biased, which is noisy, and measure both.
# - **Builds on** lesson 01 (returns, trajectories), 02 (the Bellman equation).
# - **Time** 120 minutes alone, 65 as a lecture.
# - **Sources** Sutton & Barto, 2nd edition, §5.1, §6.1–6.3, §7.1, §12.1–12.2; Sutton 1988 (TD(λ)); Pardo et al. 2018
#   (time limits); the CS 224R tutorial slides on Q-learning.

# %%
from dataclasses import replace

import numpy as np
from gymnasium import Wrapper

from rlcourse.checker import authorship, check, whose
from rlcourse.lab import plots
from rlcourse.lab.progress import progress, seeds
from rlcourse.tabular import dynamic_programming, mdp, prediction
from rlcourse.tabular.envs import TabularEnv
from rlcourse.tabular.figures import MONTE_CARLO, n_step_curves, td_against_mc

# %% [markdown]
# ## What we inherit
#
# Lesson 03 ended with the optimal values, which need $p$ and $r$:
#
# $$Q^*(s,a) = r(s,a) + \gamma\,\mathbb E_{s'\sim p(\cdot|s,a)}\Big[\max_{a'}Q^*(s',a')\Big]$$
#
# Now $p$ is unknown. One difficulty at a time: we step back to the equation without the max, for one given policy; the max
# returns in lesson 05.
#
# $$V^\pi(s) = \mathbb E_{a\sim\pi(\cdot|s)}\,\mathbb E_{s'\sim p(\cdot|s,a)}\big[\,r + \gamma V^\pi(s')\,\big] \tag{4.1}$$
#
# Both sides are means of returns: $V^\pi(s) = \mathbb E_\tau[\,G_t \mid s_t = s\,]$ with $G_t = r_t + \gamma G_{t+1}$.
#
# So far we solved it with $p$ in hand. **Which part of (4.1) can no longer be computed when $p$ is unknown?** The
# expectations. What replaces an expectation that cannot be computed? A sample of it.
#
# $V^\pi$ is the truth; the table in which we estimate it is written $v$.

# %% [markdown]
# ## The world of this lesson
#
# Nineteen cells in a row. You start in the middle; a fair coin sends you left or right. Falling off the left end pays
# −1, off the right end +1, and everything else 0. There is nothing to choose: one action, one policy. With γ = 1 the
# true values are known, so we can say exactly how wrong an estimate is.

# %%
walk = mdp.random_walk(19, left=-1.0, right=1.0)
true_values = mdp.random_walk_values(19, left=-1.0, right=1.0)
policy = lambda s, rng: 0  # noqa: E731 - there is only one action


def walks(env, count):
    """`count` episodes as (states, rewards)."""
    episodes = []
    for _ in range(count):
        states, rewards, ended = [env.reset()[0]], [], False
        while not ended:
            s, reward, ended, _, _ = env.step(0)
            states.append(s)
            rewards.append(reward)
        episodes.append((np.array(states[:-1]), np.array(rewards)))
    return episodes


def rms(v):
    """The root of the mean squared error over the nineteen cells."""
    return np.sqrt(np.mean((v[1:-1] - true_values[1:-1]) ** 2))


print("true values of the first five cells:", true_values[1:6].round(2))

# %% [markdown]
# ## Guess first
#
# A single walk of hundreds of steps happens to end on the right. You know nothing else: all your estimates are 0. **Of how
# many cells has this walk told you something?**
#
# <details><summary>I have guessed.</summary>
#
# It depends on what you do with it. If you give every visited cell the return that followed, all of them have learned:
# +1. If you only compare each cell with its successor, exactly one has: the last, since everywhere else 0 was followed by
# 0. The first sounds much better, and for a few walks it is. What happens with many you will measure below.
# </details>

# %% [markdown]
# ## Monte Carlo: average what came back
#
# The value is a mean of returns. So run episodes, and average the returns that followed each state.
#
# $$v(s) = \frac1{N(s)}\sum_{t\,:\,s_t = s} G_t \tag{4.2}$$
#
# where $N(s)$ is the number of visits that are counted. If an episode comes by the same state twice, one may count the
# **first visit** only (then the counted returns are independent, and their mean is unbiased) or **every visit** (more
# data, slightly biased for few episodes; both converge).

# %% [markdown] task="mc_prediction"
# ### Exercise 4.1 · `mc_prediction`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min
#
# Compute (4.2). `episodes` is a list of pairs `(states, rewards)`, both of length T: the states $s_0 … s_{T-1}$ and the
# reward for leaving each.
#
# - `first_visit` says which visits count. All counted visits, of all episodes, weigh the same.
# - A state that was never visited has the value 0; `n_states` may be larger than what you see.


# %% exercise="mc_prediction" points=2
def mc_prediction(episodes, gamma, n_states, first_visit):
    """Monte Carlo prediction (4.2).

    episodes: list of (states (T,), rewards (T,)); gamma: in [0, 1]; first_visit: bool.
    Returns v (n_states,).
    """
    ### BEGIN SOLUTION
    total, visits = np.zeros(n_states), np.zeros(n_states)
    for states, rewards in episodes:
        g = 0.0
        for t in reversed(range(len(states))):
            g = rewards[t] + gamma * g  # G_t = r_t + γ G_{t+1}
            is_first = states[t] not in list(states[:t])
            if is_first or not first_visit:
                total[states[t]] += g
                visits[states[t]] += 1
    return total / np.maximum(visits, 1)  # (4.2)
    ### END SOLUTION


# %% [markdown] hints="mc_prediction"
# <details><summary>How do I get all the returns of an episode?</summary>
#
# Go through it backwards, as in lesson 01: each return is the reward plus γ times the return of the step after it.
# </details>
# <details><summary>What do I have to remember for each state?</summary>
#
# Two numbers: the sum of the returns counted so far, and how many there were.
# </details>
# <details><summary>How do I know that a visit is the first one, when I go backwards?</summary>
#
# A visit is the first if the state does not occur *earlier* in the episode. Look at the part of the list before it; what
# you have already passed on your way back lies after it.
# </details>

# %% check="mc_prediction"
mc_prediction = check("mc_prediction")

# %% [markdown]
# A mean can be kept up to date without storing the returns: after the $N$-th return, $v \leftarrow v + \frac1N(G - v)$.
# Replace the shrinking $\frac1N$ by a constant step size α, and old returns are slowly forgotten:
#
# $$v(s_t) \leftarrow v(s_t) + \alpha\,\big[\,G_t - v(s_t)\,\big] \tag{4.3}$$
#
# Every method of this lesson has this form. They differ in one thing: **the target** that stands where $G_t$ stands now.

# %% [markdown]
# ### Talk to your neighbour
# What speaks for Monte Carlo, and what against it? Vote on each, yes or no:
#
# - **A** Its targets are right on average, whatever the table says.
# - **B** It can learn before the episode ends.
# - **C** It can learn where episodes never end.
# - **D** Two walks from the same cell can give it targets as far apart as −1 and 1.
#
# <details><summary>We have voted.</summary>
#
# Yes, no, no, yes. A return is a fair sample, and it needs nothing but experience: no model, and no other state's
# estimate. The price is waiting for the end, and the luck of every step up to there. The next method does not wait and
# has the luck of one step only; it gives up A.
# </details>

# %% [markdown]
# ## Temporal differences: sample one step, believe the rest
#
# $G_t$ has to wait for the end of the episode, and carries the luck of every step up to there. The right-hand side of
# (4.1) offers another target: sample only the *one* step, and use the table for what follows.
#
# $$y = r + \gamma\,(1-d)\,v(s') \tag{4.4}$$
#
# $$v(s) \leftarrow v(s) + \alpha\,\big[\,y - v(s)\,\big] \tag{4.5}$$
#
# The bracket is the **TD error** δ: by how much the step was better than expected. Here $d = 1$ if $s'$ is terminal: after a
# terminal state comes nothing, so it is worth 0.
#
# Using an estimate to improve an estimate is called **bootstrapping**. Here it is, beside a rollout, and beside the full
# backup of lesson 02:

# %% tags=["hide-input"]
ax = plots.backup_diagrams(
    {"Bellman backup": (2, 3), "TD(0)": (1, 1), "Monte Carlo": (1, 1, 1, 1, 1, 1)}
)
plots.show(ax, alt="Three backup diagrams: the Bellman backup is wide and one step deep, TD(0) is a "
           "single path one step deep, Monte Carlo a single path to the end.")  # fmt: skip

# %% [markdown] task="td0_target"
# ### Exercise 4.2 · `td0_target`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (4.4) for a batch of steps, one a row, all at once. `terminated` may come as bool, int or float; where it is true, `v_next` holds an
# arbitrary number.


# %% exercise="td0_target" points=1
def td0_target(reward, v_next, terminated, gamma):
    """The one-step target (4.4).

    reward, v_next, terminated: (B,); gamma: in [0, 1]. Returns (B,).
    """
    ### BEGIN SOLUTION
    alive = 1.0 - np.asarray(terminated, dtype=float)
    return reward + gamma * alive * v_next  # (4.4)
    ### END SOLUTION


# %% [markdown] hints="td0_target"
# <details><summary>What is special about the last step of an episode?</summary>
#
# Its reward is real, and nothing comes after it. Which factor of (4.4) sees to that?
# </details>
# <details><summary>How do I compute with flags?</summary>
#
# Turn them into the numbers 0 and 1 first. NumPy refuses to subtract booleans, and `~` does something else to integers.
# </details>
# <details><summary>What should one row give, by hand?</summary>
#
# Reward 1, next value 10, γ = ½: for a step that goes on, 6; for one that terminates, 1.
# </details>

# %% check="td0_target"
td0_target = check("td0_target")

# %% [markdown]
# At the true values, (4.4) is right on average: the mean TD error is 0 in every state. Checked by sampling, 20,000 steps from
# each state of a random MDP with known values:

# %%
rng = np.random.default_rng(0)
world = mdp.garnet(n_states=5, n_actions=2, branching=3, rng=rng)
pi = np.full((5, 2), 0.5)
v_pi = dynamic_programming.solve_bellman(world.P, world.R, pi, world.gamma)
for s in range(5):
    a = rng.integers(2, size=20_000)
    s_next = (rng.random((20_000, 1)) > world.P[s, a].cumsum(axis=1)).sum(axis=1)
    y = td0_target(world.R[s, a], v_pi[s_next], np.zeros(20_000), world.gamma)
    error = y.std() / np.sqrt(len(y))
    print(f"state {s}: true value {v_pi[s]:.4f}, mean target {y.mean():.4f} ± {error:.4f}")
    assert abs(y.mean() - v_pi[s]) < 4 * error

# %% [markdown]
# ## In between: n steps
#
# One step of truth and then belief, or truth to the very end: nothing forces us to choose one of the two. Apply
# $G_t = r_t + \gamma G_{t+1}$ $n$ times, and believe only what is left:
#
# $$G_{t:t+n} = \sum_{k=0}^{n-1}\gamma^k r_{t+k} + \gamma^n\,v(s_{t+n}) \tag{4.6}$$
#
# $n = 1$ is (4.4); $n$ beyond the end of the episode is Monte Carlo. If the episode ends inside the window, the sum stops
# with the reward of the step that ended it, and there is nothing to bootstrap from.

# %% [markdown] task="n_step_return"
# ### Exercise 4.3 · `n_step_return`
# **Points** 2 · **Difficulty** ●●○ · **Time** 12 min
#
# Compute (4.6) for one window of $n$ successive steps. `terminated[k]` says that step $k$ ended the episode; the first end
# counts, and what follows it belongs to another episode.


# %% exercise="n_step_return" points=2
def n_step_return(rewards, v_boot, terminated, gamma):
    """The n-step return (4.6).

    rewards, terminated: (n,), n ≥ 1; v_boot: v(s_{t+n}), a float; gamma: in [0, 1].
    Returns a float.
    """
    ### BEGIN SOLUTION
    g = v_boot
    for k in reversed(range(len(rewards))):
        g = rewards[k] + gamma * (0.0 if terminated[k] else g)  # (4.6), from the back
    return float(g)
    ### END SOLUTION


# %% [markdown] hints="n_step_return"
# <details><summary>Forwards or backwards?</summary>
#
# Either works. Backwards you need no powers: start from what is believed, and each earlier step adds its reward to γ times
# what you have.
# </details>
# <details><summary>What does an end inside the window change?</summary>
#
# At the step that ended the episode, everything you have gathered from behind it is worth nothing. Its own reward stays.
# </details>
# <details><summary>How do I test it on paper?</summary>
#
# n = 2, rewards 1 and 1, bootstrap 4, γ = ½. Without an end: 1 + ½ + 1 = 2.5. With the end at the first step: 1.
# </details>

# %% check="n_step_return"
n_step_return = check("n_step_return")

# %% [markdown]
# ## All of them at once: the λ-return
#
# Why choose one $n$? Average them all, each longer return with λ times the weight of the one before:
#
# $$G^\lambda_t = (1-\lambda)\sum_{n=1}^{\infty}\lambda^{n-1}\,G_{t:t+n} \tag{4.7}$$
#
# The factor $1-\lambda$ makes the weights of this endless series sum to 1. But an episode ends. $N$ steps before its end there
# are $N$ different returns, $G_{t:t+1}, …, G_{t:t+N}$, and the last of them is the whole rest of the episode.

# %% [markdown] task="lambda_weights"
# ### Exercise 4.4 · `lambda_weights`
# **Points** 2 · **Difficulty** ●●○ · **Time** 20 min · ✎ on paper
#
# What is (4.7) made of, $N$ = `steps_left` steps before the end? All returns longer than $N$ steps are the same as the
# one of $N$ steps, so *everything that the endless series would give to them goes to it*. Derive on paper, then write both as
# arrays of length $N$:
#
# 1. `on_returns`: the weight of each of the $N$ returns, for $n = 1, …, N$.
# 2. `on_rewards`: put (4.6) into the mixture and collect. With which factor does the reward $k$ steps ahead come in, for
#    $k = 0, …, N-1$? Find which returns contain it, and add up their weights.
#
# $0^0 = 1$, also for Python.


# %% exercise="lambda_weights" points=2
def lambda_weights(steps_left, gamma, lam):
    """What the λ-return (4.7) is made of, `steps_left` steps before the end of the episode.

    steps_left: N, an int ≥ 1; gamma, lam: in [0, 1].
    Returns on_returns (N,), for n = 1 … N, and on_rewards (N,), for k = 0 … N − 1.
    """
    ### BEGIN SOLUTION
    k = np.arange(steps_left)  # n − 1
    on_returns = (1.0 - lam) * lam**k  # (4.7)
    on_returns[-1] = lam ** (steps_left - 1)  # what the others leave
    return on_returns, (gamma * lam) ** k  # the sum over all n > k of the weights, times γ^k
    ### END SOLUTION


# %% [markdown] hints="lambda_weights"
# <details><summary>How much weight do all the long returns have together?</summary>
#
# A geometric series: $\sum_{n=m}^\infty \lambda^{n-1} = \lambda^{m-1}/(1-\lambda)$. You need it for both results.
# </details>
# <details><summary>How can I check my weights without knowing them?</summary>
#
# They sum to 1 for every λ. λ = 0 must be TD(0): everything on the first. λ = 1 must be Monte Carlo: everything on the last.
# And with a single step left there is only one return.
# </details>
# <details><summary>Which returns contain the reward k steps ahead?</summary>
#
# Look at (4.6): the return of one step contains $r_t$ only, the return of two steps $r_t$ and $r_{t+1}$. Then add the weights,
# the last one's included, and do not forget what (4.6) itself multiplies the reward by.
# </details>

# %% check="lambda_weights"
lambda_weights = check("lambda_weights")

# %% [markdown]
# Are these the right numbers? Mix the *n*-step returns of one random episode with your weights, at each of its steps. And if
# all values are 0, the rewards times their factors must give the λ-return too:

# %%
T, gamma, lam = 6, 0.9, 0.7
r, v, d = rng.normal(size=T), rng.normal(size=T), np.arange(T) == T - 1
mixture, rewards_only = np.zeros(T), np.zeros(T)
for t in range(T):
    on_returns, on_rewards = lambda_weights(T - t, gamma, lam)
    returns = [
        n_step_return(r[t : t + n], v[t + n - 1], d[t : t + n], gamma) for n in range(1, T - t + 1)
    ]
    mixture[t], rewards_only[t] = on_returns @ returns, on_rewards @ r[t:]
print("the weights from the first step on:", lambda_weights(T, gamma, lam)[0].round(3))
for name, found, values in (
    ("mixture of returns", mixture, v),
    ("sum of rewards", rewards_only, 0 * v),
):
    gap = np.abs(found - prediction.lambda_returns(r, values, d, gamma, lam)).max()
    print(f"{name:18} against the course's λ-return: largest difference {gap:.1e}")
    assert gap < 1e-12

# %% [markdown]
# ## The λ-return in one pass
#
# As it stands, (4.7) looks expensive: every step needs all the longer returns. Take the first step out of every
# $G_{t:t+n} = r_t + \gamma G_{t+1:t+n}$, where $G_{t+1:t+1}$ is just $v(s_{t+1})$:
#
# $$\begin{aligned}
# G^\lambda_t &= r_t + \gamma(1-\lambda)\Big[v(s_{t+1}) + \sum_{n=2}^{\infty}\lambda^{n-1}G_{t+1:t+n}\Big]\\
# &= r_t + \gamma\Big[(1-\lambda)\,v(s_{t+1})
# + \lambda\underbrace{(1-\lambda)\sum_{m=1}^{\infty}\lambda^{m-1}G_{t+1:t+1+m}}_{G^\lambda_{t+1}}\Big]
# \end{aligned}$$
#
# The sum is the same thing one step later. With the mask for ends:
#
# $$G^\lambda_t = r_t + \gamma\,(1-d_t)\big[(1-\lambda)\,v(s_{t+1}) + \lambda\,G^\lambda_{t+1}\big] \tag{4.8}$$
#
# λ = 0 is TD(0), λ = 1 is Monte Carlo. At the end of a *segment* that goes on, we have no later return: there
# $G^\lambda_T := v(s_T)$.

# %% [markdown] task="lambda_returns"
# ### Exercise 4.5 · `lambda_returns`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min
#
# Compute (4.8) for every step of a segment. `v_next[t]` is $v(s_{t+1})$, so the value behind the last step is
# `v_next[-1]`. Episodes may end inside the segment.


# %% exercise="lambda_returns" points=2
def lambda_returns(rewards, v_next, terminated, gamma, lam):
    """The λ-returns (4.8) of a segment.

    rewards, v_next, terminated: (T,), T ≥ 1; gamma, lam: in [0, 1]. Returns (T,).
    """
    ### BEGIN SOLUTION
    result = np.zeros(len(rewards))
    g = v_next[-1]  # the segment stops, the task does not
    for t in reversed(range(len(rewards))):
        future = (1 - lam) * v_next[t] + lam * g
        g = rewards[t] + gamma * (0.0 if terminated[t] else future)  # (4.8)
        result[t] = g
    return result
    ### END SOLUTION


# %% [markdown] hints="lambda_returns"
# <details><summary>Where do I start?</summary>
#
# At the last step, and with what (4.8) calls $G^\lambda_T$. Then go back to the first.
# </details>
# <details><summary>What does the last step give, for any λ?</summary>
#
# Both parts of the bracket are the same number there, so λ drops out: it is the one-step target.
# </details>
# <details><summary>What does an end inside the segment cut?</summary>
#
# The whole bracket: neither the value nor the return behind an end belongs to this episode.
# </details>

# %% check="lambda_returns"
lambda_returns = check("lambda_returns")

# %% [markdown]
# Both ends of the family, on a random segment with an end in the middle, and the mixture from above:

# %%
segment = rng.normal(size=T), rng.normal(size=T), np.array([0, 0, 1, 0, 0, 0])
to_the_end = [
    n_step_return(segment[0][t:], segment[1][-1], segment[2][t:], gamma) for t in range(T)
]
for name, expected, found in (
    ("λ = 0, TD(0)", td0_target(*segment, gamma), lambda_returns(*segment, gamma, 0.0)),
    ("λ = 1, Monte Carlo", to_the_end, lambda_returns(*segment, gamma, 1.0)),
    ("λ = 0.7, the mixture (4.7)", mixture, lambda_returns(r, v, d, gamma, lam)),
):
    gap = np.abs(found - expected).max()
    print(f"{name:27} largest difference {gap:.1e}")
    assert gap < 1e-12

# %% [markdown]
# ## Looking back: eligibility traces
#
# A λ-return looks ahead, to the end of the episode. Must its user wait for the end? Take $v(s_t)$ from both sides of (4.8) and
# write $\delta_t = r_t + \gamma(1-d_t)\,v(s_{t+1}) - v(s_t)$ for the TD error:
#
# $$\begin{aligned}
# G^\lambda_t - v(s_t) &= \delta_t + \gamma\lambda\,(1-d_t)\big[G^\lambda_{t+1} - v(s_{t+1})\big]\\
# &= \sum_{k\ge0}(\gamma\lambda)^k\,\delta_{t+k}
# \end{aligned} \tag{4.9}$$
#
# where the sum runs to the end of the episode, with $v$ held fixed. There are the factors $(\gamma\lambda)^k$ of Exercise 4.4
# again, now on TD errors. Read (4.9) the other way round: $\delta_t$, the news of step $t$, belongs to *every* state that came
# before, times $\gamma\lambda$ for each step since. So remember, for each state, how much of the news is its own:
#
# $$\begin{aligned}
# e(s) &\leftarrow \gamma\lambda\,e(s) + \mathbb 1[s = s_t]\\
# v(s) &\leftarrow v(s) + \alpha\,\delta_t\,e(s)
# \end{aligned}\qquad\text{for all } s \tag{4.10}$$
#
# $e$ is the **eligibility trace**; it starts each episode at 0. This is TD(λ): no waiting, one extra table. Looking ahead with (4.8)
# is called the forward view, (4.10) the backward view. Five lines, and the check that over one walk both ask for the same
# changes:


# %%
def backward_view(states, rewards, v, gamma, lam):
    """What (4.10) adds up to over one finished episode, for α = 1 and v held fixed, (S,)."""
    trace, change = np.zeros(len(v)), np.zeros(len(v))
    for t, s in enumerate(states):
        later = v[states[t + 1]] if t + 1 < len(states) else 0.0
        trace *= gamma * lam
        trace[s] += 1.0
        change += (rewards[t] + gamma * later - v[s]) * trace  # (4.10)
    return change


env = TabularEnv(walk)
env.reset(seed=0)
states, rewards = next(walked for walked in walks(env, 20) if walked[1][-1] == 1)  # ends right
table = rng.normal(size=21)
for lam in (0.0, 0.5, 0.9, 1.0):
    ended, v_next = np.arange(len(states)) == len(states) - 1, np.append(table[states[1:]], 0.0)
    forward = np.zeros(21)
    g = lambda_returns(rewards, v_next, ended, 0.95, lam)
    np.add.at(forward, states, g - table[states])  # α = 1, v held fixed: (4.3) with G^λ
    gap = np.abs(forward - backward_view(states, rewards, table, 0.95, lam)).max()
    print(f"λ = {lam}: {len(states)} steps, largest difference of the two views {gap:.1e}")
    assert gap < 1e-9

# %% [markdown]
# If $v$ moves during the episode, as it does when one does not wait, the two views are no longer exactly equal, only close for a
# small α.
#
# Back to the guess at the beginning: one walk that ended on the right, and a table of zeros. Whom does the one reward reach? Count
# the cells that move by more than a hundredth, then drag λ.

# %%
moved = {}
for lam in (0.0, 0.5, 0.9, 1.0):
    change = backward_view(states, rewards, np.zeros(21), 1.0, lam)
    moved[lam] = int((change > 0.01).sum())
    print(f"λ = {lam}: cells that move {moved[lam]}")
assert moved[0.0] == 1 and moved[1.0] == len(set(states.tolist()))
assert list(moved.values()) == sorted(moved.values())
assert np.allclose(change, np.bincount(states, minlength=21))  # λ = 1: the number of visits


# %% tags=["hide-input"]
def draw(lam):
    left, right = plots.axes(1, 2, size=(9.5, 3.6))
    weights = lambda_weights(12, 1.0, lam)[0]
    left.vlines(range(1, 13), 0, weights, color=plots.PALETTE["purple"], linewidth=10)
    left.set(
        xlabel="steps of the return", ylabel="its weight", title="Looking ahead, 12 steps left"
    )
    left.set(xticks=(1, 4, 8, 12), yticks=(0, 0.5, 1), ylim=(0, 1.05))
    change = backward_view(states, rewards, np.zeros(21), 1.0, lam)[1:-1]
    right.vlines(range(1, 20), 0, change, color=plots.PALETTE["blue"], linewidth=10)
    right.set(xlabel="cell", ylabel="change of v, for α = 1", title="Looking back, from the end")
    right.set(xticks=(1, 5, 10, 15, 19))
    return left


plots.slide(
    draw,
    [0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0],
    name="λ",
    start=4,
    alt="Left, the weights of the twelve returns: all on the first for lambda 0, all on the last for lambda 1. "
    "Right, what one walk that ended on the right changes: the last cell alone for lambda 0, every cell that "
    "was visited, as often as it was visited, for lambda 1.",
)

# %% [markdown]
# At λ = 1 a cell moves as often as it was visited: every visit has the return 1. The trace of a small λ has forgotten all but the
# last steps.

# %% [markdown]
# ## Bias against variance
#
# What is gained by believing, and what is lost? Take the walk, with a table that has seen only ten episodes, and look at the
# target for the cell halfway to the right end (true value ½) as $n$ grows. **Bias** is how far the mean target is from the truth;
# **standard deviation** is how much it jumps from walk to walk.
#
# ### Talk to your neighbour
# $n$ grows from 1 to 512. What happens to the bias of the *n*-step target, and to its standard deviation?
#
# **A** both grow · **B** the bias falls, the deviation grows · **C** the bias grows, the deviation falls · **D** both fall

# %%
# about 3 s
env = TabularEnv(walk)
env.reset(seed=1)
table = prediction.td_prediction(env, policy, 10, 0.1, 1.0, np.random.default_rng(1))
env = TabularEnv(replace(walk, start=np.eye(21)[15]))
env.reset(seed=2)
lengths = (1, 2, 4, 8, 16, 32, 64, 128, 512)
found = np.zeros((len(lengths), 3000))
for i in progress(range(3000), "walks"):
    path, paid, ended = [env.reset()[0]], [], []
    while not (ended and ended[-1]) and len(paid) < max(lengths):
        s, reward, terminated, _, _ = env.step(0)
        path.append(s), paid.append(reward), ended.append(terminated)
    for k, n in enumerate(lengths):
        window = slice(0, min(n, len(paid)))
        found[k, i] = n_step_return(paid[window], table[path[window.stop]], ended[window], 1.0)
bias, deviation = np.abs(found.mean(axis=1) - true_values[15]), found.std(axis=1)
for k in (0, -1):
    print(f"n = {lengths[k]}: |bias| {bias[k]:.3f}, deviation {deviation[k]:.3f}")
assert deviation[-1] > 3 * deviation[0] and bias[-1] < bias[0] / 3

# %% tags=["hide-input"]
ax = plots.curves(
    {"|bias|": bias, "standard deviation": deviation}, x=lengths, xlabel="n", ylabel="of the target"
)
ax.set_xscale("log", base=2)
ax.set_xticks(lengths, labels=lengths)
plots.show(ax, alt="Absolute bias and standard deviation of the n-step target against n: the standard "
           "deviation climbs with n, the bias falls to 0.")  # fmt: skip

# %% [markdown]
# A short target repeats what the table believes, right or wrong, and hardly jumps. A long one owes nothing to the table and
# jumps between −1 and +1. What learns fastest lies in between, and that is what we measure next.

# %% [markdown]
# ## The loop
#
# TD(0) as an algorithm: walk, and after *each* step correct the state you left.
#
# > reset to $s$. *Until the episode ends:*
# >
# > - $a$ from the policy; step, see $r, s'$
# > - update $v(s)$ by (4.5)
# > - $s \leftarrow s'$
#
# One line of this box leaves something open. An environment has two flags, and either of them ends the episode:
# `terminated`, and `truncated`, when only the clock has run out.

# %% [markdown] task="td_prediction"
# ### Exercise 4.6 · `td_prediction`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Write tabular TD(0).
#
# - Start with zeros, `env.observation_space.n` of them. Call `env.reset()` once an episode, without arguments; never step
#   after an end.
# - Ask `policy(s, rng)` once a step.
# - The index that comes back with `terminated` may be any state's: it is not to be used.
# - **Yours to decide:** does $v(s')$ count when the clock alone has ended the episode?


# %% exercise="td_prediction" points=3
def td_prediction(env, policy, episodes, step_size, gamma, rng):
    """Tabular TD(0), (4.5).

    env: Gymnasium's API, finite; policy(s, rng) -> int; episodes: how many, ≥ 0; step_size: α.
    Returns v (S,).
    """
    ### BEGIN SOLUTION
    v = np.zeros(env.observation_space.n)
    for _ in range(episodes):
        s, _ = env.reset()
        ended = False
        while not ended:
            s_next, reward, terminated, truncated, _ = env.step(policy(s, rng))
            future = 0.0 if terminated else v[s_next]
            v[s] += step_size * (reward + gamma * future - v[s])  # (4.5)
            s = s_next
            ended = terminated or truncated
    return v
    ### END SOLUTION


# %% [markdown] hints="td_prediction"
# <details><summary>How do I begin?</summary>
#
# It is `run_episode` of lesson 00, inside a loop over episodes, with one more line: the update.
# </details>
# <details><summary>Which entry of the table moves?</summary>
#
# That of the state you left. The reward and the next state are news about *it*.
# </details>
# <details><summary>Two flags: which goes where?</summary>
#
# Either of them ends the loop. For the target ask of each: what is $V^\pi(s')$, the mean return from there, if somebody
# walked on?
# </details>

# %% check="td_prediction"
td_prediction = check("td_prediction")

# %% [markdown]
# Does the decision matter? Start the walk anywhere and cut it off after 15 steps. Beside it, the same loop in an environment
# that reports every cut as an end.
#
# ### Talk to your neighbour
# What happens to the values if a cut is taken for an end?
#
# **A** nothing · **B** all become too high · **C** all become too low · **D** they shrink towards 0


# %%
class CutIsTheEnd(Wrapper):
    """Says `terminated` where only the clock ran out."""

    def step(self, action):
        s, reward, terminated, truncated, info = self.env.step(action)
        return s, reward, terminated or truncated, truncated, info


anywhere = replace(walk, start=np.append(np.append(0.0, np.full(19, 1 / 19)), 0.0))
learned = {}
for name, wrap in (("cut is no end", lambda env: env), ("cut is the end", CutIsTheEnd)):
    env = wrap(TabularEnv(anywhere, max_steps=15))
    env.reset(seed=5)
    learned[name] = td_prediction(env, policy, 4000, 0.03, 1.0, np.random.default_rng(5))
    print(f"{name}: RMS error {rms(learned[name]):.3f}")
assert rms(learned["cut is no end"]) < rms(learned["cut is the end"]) / 2
shrunk = np.abs(learned["cut is the end"][1:-1]).mean() / np.abs(true_values[1:-1]).mean()
print(f"a cut taken for an end leaves {shrunk:.0%} of the values' size")
assert shrunk < 0.7

# %% tags=["hide-input"]
ax = plots.curves(
    {name: v[1:-1] for name, v in learned.items()}, x=range(1, 20), xlabel="cell", ylabel="value"
)
ax.plot(range(1, 20), true_values[1:-1], color=plots.INK, linestyle=":", label="truth")
ax.set_xticks((1, 5, 10, 15, 19))
ax.legend()
plots.show(ax, alt="Values learned from walks cut off after 15 steps: with a bootstrap at the cut they follow the true "
           "line, with the cut taken for an end they are too flat.")  # fmt: skip

# %% [markdown]
# The clock ran out, the task did not: the state at which it ran out is worth what it is always worth, and $v(s')$ counts. Take the
# cut for an end, and the values come to mean "reward within what is left of 15 steps", averaged over what the table does
# not know: the time.

# %% [markdown]
# ## The experiment: your TD and your Monte Carlo on the walk
#
# Both learn from the same number of episodes, ten seeds each. The error is the root of the mean squared error (RMS) over
# the nineteen cells. Beside them run the course's own TD(0), on other walks, and, as a "method that never learns", the table
# of zeros.

# %%
# about 7 s
counts, EARLY = (5, 10, 20, 40, 80, 160), 2
methods = {
    "TD(0)": lambda env, n, rng: td_prediction(env, policy, n, 0.1, 1.0, rng),
    "Monte Carlo": lambda env, n, rng: mc_prediction(walks(env, n), 1.0, 21, True),
    "the course's TD(0)": lambda env, n, rng: prediction.td_prediction(env, policy, n, 0.1, 1.0, rng),
}  # fmt: skip
errors = {name: np.zeros((10, len(counts))) for name in methods}
for seed in seeds(range(10)):
    for name, learn in methods.items():
        for k, n in enumerate(progress(counts, name)):
            env = TabularEnv(walk)
            env.reset(seed=seed + (100 if name.startswith("the course's") else 0))
            errors[name][seed, k] = rms(learn(env, n, np.random.default_rng(seed)))
errors["never learns"] = np.full((1, len(counts)), rms(np.zeros(21)))
print("TD(0) and Monte Carlo by " + authorship("td_prediction", "mc_prediction"))
for name, runs in errors.items():
    early, last = runs[:, EARLY].mean(), runs[:, -1]
    print(f"{name:18} RMS error after {counts[EARLY]} episodes {early:.3f}, "
          f"after {counts[-1]} {last.mean():.3f} ± {last.std():.3f}")  # fmt: skip
assert max(errors[m][:, -1].mean() for m in methods) < errors["never learns"].mean() / 2
assert errors["Monte Carlo"][:, EARLY].mean() < errors["TD(0)"][:, EARLY].mean() / 1.3
assert errors["TD(0)"][:, -1].mean() < 1.3 * errors["Monte Carlo"][:, -1].mean()

# %% tags=["hide-input"]
shown = dict(errors)
course = shown.pop("the course's TD(0)").mean(axis=0)
ax = plots.curves(shown, x=counts, xlabel="episodes", ylabel="RMS error")
ax.plot(counts, course, "o", color=plots.INK, fillstyle="none", label="the course's TD(0)")
ax.legend(title=ax.get_legend().get_title().get_text(), alignment="left")
ax.set_xscale("log", base=2)
ax.set_xticks(counts, labels=counts)
ax.set_ylim(0)
plots.show(ax, alt="RMS error against the number of episodes for TD(0) and Monte Carlo, a thin line a seed: Monte "
           "Carlo falls earlier and raggedly, TD(0) late and smoothly, both far below the table of zeros.")  # fmt: skip

# %% [markdown]
# For the first tens of episodes Monte Carlo is far ahead: every walk tells every cell something. TD(0) with this step size starts late,
# and has caught up in the end. A thin line of Monte Carlo is ragged: what one walk tells is noisy. How much of all this is the
# method, and how much the step size? That comes after the next picture.
#
# Here is what both have learned from the same walks, beside the truth. Drag or play: TD(0)'s values seep in from the two ends,
# Monte Carlo's are everywhere at once, and jump.

# %%
after = (0, 1, 2, 4, 8, 16, 32, 64, 128)
tables = {}
for n in after:
    for name in ("TD(0)", "Monte Carlo"):
        env = TabularEnv(walk)
        env.reset(seed=3)  # the same walks for both, and for every n
        tables[name, n] = methods[name](env, n, np.random.default_rng(3))


# %% tags=["hide-input"]
def draw(n):
    learned = {name: tables[name, n][1:-1] for name in ("TD(0)", "Monte Carlo")}
    ax = plots.curves(learned, xlabel="cell", ylabel="value")
    ax.plot(range(1, 20), true_values[1:-1], color=plots.INK, linestyle=":", label="truth")
    ax.set(ylim=(-1.1, 1.1), xticks=(1, 5, 10, 15, 19))
    ax.legend(loc="upper left")
    return ax


plots.slide(
    draw,
    after,
    name="episodes",
    milliseconds=700,
    alt="Values of the nineteen cells beside the straight line of true values. With more episodes TD(0)'s values grow "
    "from the two ends inwards; Monte Carlo's are spread over all cells from the first walk on.",
)

# %% [markdown]
# ## Change one thing: the step size, and n
#
# A fair comparison gives every method its own best α. The five-state walk of the book (example 6.2) first: TD(0) and
# constant-α Monte Carlo (4.3), each with several step sizes, 100 runs.

# %%
td, mc = td_against_mc(np.random.default_rng(2))
best = {
    "TD(0)": td[td[:, 20:].mean(axis=1).argmin()],
    "Monte Carlo, constant α": mc[mc[:, 20:].mean(axis=1).argmin()],
}
for name, curve in best.items():
    print(f"{name}: RMS error after 100 episodes {curve[-1]:.3f}")
assert best["TD(0)"][20:].mean() < best["Monte Carlo, constant α"][20:].mean()

# %% tags=["hide-input"]
ax = plots.curves(best, xlabel="episode", ylabel="RMS error, mean of 100 runs")
plots.show(ax, alt="RMS error by episode on the five-state walk, best step size of each method: TD(0) lies "
           "below constant-alpha Monte Carlo.")  # fmt: skip

# %% [markdown]
# And the whole family on our nineteen cells: the error over the first ten episodes, against α, for many $n$. This is
# figure 7.2 of the book, computed by the course's vectorised code; TD(0) and Monte Carlo are its two outermost curves.

# %%
# about 2 s
steps, alphas = (1, 2, 4, 8, 16, 64, MONTE_CARLO), np.linspace(0.05, 1.0, 20)
u = n_step_curves(np.random.default_rng(4), n_steps=steps, step_sizes=alphas, runs=60)
names = ["Monte Carlo" if n == MONTE_CARLO else f"n = {n}" for n in steps]
i, j = np.unravel_index(u.argmin(), u.shape)
print(f"lowest error: {u.min():.3f} at {names[i]}, α = {alphas[j]:.2f}")
for name, best_alpha in zip(names, alphas[u.argmin(axis=1)], strict=True):
    print(f"{name:11} best α {best_alpha:.2f}")
assert names[i] not in ("n = 1", "Monte Carlo")
assert (np.diff(u.argmin(axis=1)) <= 0).all()

# %% tags=["hide-input"]
named = dict(zip(["TD(0), n = 1", *names[1:]], u, strict=True))
ax = plots.curves(named, x=alphas, xlabel="step size α", ylabel="RMS error, first 10 episodes")
for line, color in zip(ax.lines[1:-1], ("green", "vermilion", "purple", "sky", "ink"), strict=True):
    line.set_color(plots.PALETTE[color])
ax.set_ylim(0.2, 0.6)
ax.legend(bbox_to_anchor=(1.0, 1.0), loc="upper left")
plots.show(ax, alt="U-shaped curves of the RMS error against the step size, one for each n: the lowest point "
           "belongs to an n in the middle, and the larger n, the smaller its best step size.")  # fmt: skip

# %% [markdown]
# The valley lies between the two extremes. **What to look for:** a larger $n$ wants a smaller α, since its targets jump
# more. Now let *your* `n_step_return` learn, at the best α of four of the curves; it should land on their valleys.


# %%
# about 2 s
def n_step_td(env, n, episodes, step_size):
    """n-step TD with n_step_return; returns the mean RMS error over the episodes."""
    v, error = np.zeros(21), []
    for states, rewards in walks(env, episodes):
        ended = np.arange(len(rewards)) == len(rewards) - 1
        for t in range(len(rewards)):
            # Online: the update for t is made when step t + n has been seen.
            window = slice(t, min(t + n, len(rewards)))
            boot = v[states[t + n]] if t + n < len(rewards) else 0.0
            g = n_step_return(rewards[window], boot, ended[window], 1.0)
            v[states[t]] += step_size * (g - v[states[t]])
        error.append(rms(v))
    return np.mean(error)


print("made by " + authorship("n_step_return"))
for n in (1, 2, 4, 8):
    curve = u[steps.index(n)]
    runs = []
    for seed in progress(range(30), f"n = {n}"):
        env = TabularEnv(walk)
        env.reset(seed=seed)
        runs.append(n_step_td(env, n, 10, alphas[curve.argmin()]))
    print(
        f"n = {n}: {whose('n_step_return')} runs {np.mean(runs):.3f} ± "
        f"{np.std(runs) / np.sqrt(30):.3f}, valley {curve.min():.3f}"
    )
    assert abs(np.mean(runs) - curve.min()) < 0.1

# %% [markdown]
# ## You are the predictor
#
# At its best step size TD(0) beats Monte Carlo. Why? Eight episodes of an unknown process with two states, X and Y, γ = 1, each state followed by its
# reward:
#
# > X 0 Y 0 · Y 1 · Y 1 · Y 1 · Y 1 · Y 1 · Y 1 · Y 0
#
# Six of eight visits to Y paid 1: $v(Y) = \tfrac34$.
#
# ### Talk to your neighbour
# And $v(X)$?
#
# **A** 0 · **B** ⅜ · **C** ¾
#
# Let both methods see these eight again and again until nothing changes (**batch** Monte Carlo and batch TD: the changes of one
# pass over all steps are added up, then made). Beside them, the values of the *likeliest model*, whose $p$ and $r$ are the
# fractions and the means in the data:

# %%
X, Y, END = 0, 1, 2
data = [(np.array([X, Y]), np.array([0.0, 0.0]))]
data += [(np.array([Y]), np.array([reward])) for reward in (1.0, 1, 1, 1, 1, 1, 0)]
s = np.concatenate([states for states, _ in data])
r = np.concatenate([rewards for _, rewards in data])
s_next = np.concatenate([np.append(states[1:], END) for states, _ in data])
by_td = np.zeros(3)
for _ in range(3000):
    change = np.zeros(3)
    np.add.at(change, s, td0_target(r, by_td[s_next], s_next == END, 1.0) - by_td[s])
    by_td += 0.01 * change  # (4.5), all steps at once
by_mc = mc_prediction(data, 1.0, 2, True)  # what batch Monte Carlo comes to: the means
likeliest = np.zeros((2, 2))
np.add.at(likeliest, (s[s_next != END], s_next[s_next != END]), 1.0)
likeliest /= np.bincount(s)[:, None]
by_model = np.linalg.solve(np.eye(2) - likeliest, np.bincount(s, weights=r) / np.bincount(s))
for name, v in (("Monte Carlo", by_mc), ("batch TD(0)", by_td), ("likeliest model", by_model)):
    print(f"{name:15} v(X) = {v[X]:.2f}, v(Y) = {v[Y]:.2f}")
assert by_mc.tolist() == [0, 0.75] and np.allclose(by_td[:2], by_model) and by_model[X] == 0.75

# %% [markdown]
# Monte Carlo says 0: the one return from X was 0, and no number fits these data better. Batch TD says ¾: from X one came to Y
# each time, and Y is worth ¾. It finds the values of the likeliest model without ever building it. If the states really are
# Markov, that is the better prediction of *new* episodes; if they are not, Monte Carlo does not mind.

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** One walk ended on the right, and all values were 0. TD(0) moved one cell, Monte Carlo all that were visited. Why can TD(0)
# still be the better of the two?
#
# <details><summary>Answer</summary>
#
# Monte Carlo gave all of them +1, also those far on the left that had only been lucky. TD moves less, but what it moves
# is news: the next walk that comes by the cell before the last one inherits it, and luck is averaged over all walks that
# pass, not over each cell's own.
# </details>
#
# **2.** With which λ does the estimate not depend on the table's errors? And with which need one not wait for the end?
#
# <details><summary>Answer</summary>
#
# λ = 1, if the episode ends by itself. And with every λ, if one looks back: a trace (4.10) passes each TD error on at once. Only
# who looks ahead, with (4.8), has to wait, or cuts the episode into segments: that is what lesson 11 will do with advantages.
# </details>

# %% [markdown]
# ## Summary
#
# - Where $p$ is unknown, a sample stands for the expectation of (4.1): the whole return (Monte Carlo), or one step and the
#   table's own estimate (TD).
# - Every method moves $v(s)$ towards a target. A target that bootstraps is biased by the table's errors and jumps little; a
#   long one is the reverse, and the best lies in between.
# - λ mixes all lengths: $(1-\lambda)\lambda^{n-1}$ on the return of $n$ steps, the rest on the last one, $(\gamma\lambda)^k$ on the
#   reward $k$ steps ahead.
# - The same, looking back: each TD error goes to all states seen before, times $\gamma\lambda$ for each step since.
# - A terminal state is worth 0. The state at which a time limit cuts is worth what it is always worth.

# %% [markdown]
# ## Where this went
#
# What later methods change in $v(s) \leftarrow v(s) + \alpha\,[\,r + \gamma(1-d)\,v(s') - v(s)\,]$:
#
# - **TD(λ)** (Sutton 1988): the bracket δ goes to all states, $v(s) \leftarrow v(s) + \alpha\,\delta\,e(s)$. **True online TD(λ)** (van
#   Seijen & Sutton 2014) changes the trace and adds a term, so that the two views agree even while $v$ moves.
# - **LSTD** (Bradtke & Barto 1996): no α; solves for the $v$ at which the brackets of all the data, added up state by state, are 0:
#   batch TD's end point at once (lesson 06).
# - **GAE** (Schulman et al. 2016): uses the sum (4.9) as it is, as an estimate of the advantage, to improve a policy (lesson 11).
# - **V-trace** (Espeholt et al. 2018): data of another policy; the bracket is multiplied by $\min(\bar\rho, \pi/b)$, and
#   each factor γλ of (4.9) becomes $\gamma\min(\bar c, \pi/b)$, where the policy $b$ chose the actions.

# %% [markdown]
# ## For readers of the sources
# <details><summary>Whose letters are whose</summary>
#
# **Sutton & Barto, *Reinforcement Learning: An Introduction*, 2nd edition, 2018.** Their $R_{t+1}$ is our $r_t$, their trace
# $\mathbf z$ our $e$. They write no $(1-d)$: there a terminal state's value is 0 by definition, while our tables may hold any number at
# its index. Their (12.3) is Exercise 4.4, their (12.2) our (4.7).
#
# **Maximilian Du, *CS 224R Tutorial: Review of Q-Learning*.** The slides write $k$ for our $n$, and let the time in the sum run in
# absolute numbers; whichever way it is written, $n$ rewards stand before $\gamma^n$.
# </details>

# %% [markdown]
# ## What we hand on
#
# Values can be learned without a model, one step at a time:
#
# $$v(s) \leftarrow v(s) + \alpha\,\big[\,r + \gamma\,(1-d)\,v(s') - v(s)\,\big]$$
#
# What can this still not do? It judges a policy, and does not improve it: to act greedily on $v$ we would need $p$ again.
# Lesson 05 learns $q$ instead, and has to decide what stands for the next action.
