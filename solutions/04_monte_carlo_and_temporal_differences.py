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
# Part I · 00 → 01 → 02 → 03 → **04** → 05
#
# - **You will be able to** learn a policy's values from experience alone, in four ways that turn out to be
#   one family; say which of them is biased, which is noisy, and measure both.
# - **Builds on** lesson 01 (returns, trajectories), 02 (the Bellman equation).
# - **Time** 100 minutes alone, 55 as a lecture.
# - **Sources** Sutton & Barto, 2nd edition, §5.1, §6.1–6.3, §7.1, §12.1–12.2; Pardo et al. 2018 (time limits);
#   the CS 224R tutorial slides on Q-learning; a Chinese pseudocode collection of thirteen algorithms.

# %%
from dataclasses import replace

import numpy as np

from rlcourse.checker import authorship, check, whose
from rlcourse.lab import plots
from rlcourse.lab.progress import progress
from rlcourse.tabular import dynamic_programming, mdp, prediction
from rlcourse.tabular.envs import TabularEnv
from rlcourse.tabular.figures import MONTE_CARLO, n_step_curves, td_against_mc

# %% [markdown]
# ## What we inherit
#
# The value of a state is the mean of the return from there, and it obeys the Bellman equation (lesson 02):
#
# $$V^\pi(s) = \mathbb E_\tau\big[G_t \mid s_t = s\big]
# = \mathbb E_{a\sim\pi(\cdot|s)}\,\mathbb E_{s'\sim p(\cdot|s,a)}\big[\,r + \gamma V^\pi(s')\,\big],\qquad
# G_t = r_t + \gamma G_{t+1} \tag{4.1}$$
#
# So far we solved it with $p$ in hand. **Which part of (4.1) can no longer be computed when $p$ is unknown?** The
# expectations. What replaces an expectation that cannot be computed? A sample of it.

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
# The plainest sample of (4.1): run episodes, and average the returns that followed each state.
#
# $$V(s) = \frac1{N(s)}\sum_{t\,:\,s_t = s} G_t \tag{4.2}$$
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
# A mean can be kept up to date without storing the returns: after the $N$-th return, $V \leftarrow V + \frac1N(G - V)$.
# Replace the shrinking $\frac1N$ by a constant step size α, and old returns are slowly forgotten:
#
# $$V(s_t) \leftarrow V(s_t) + \alpha\,\big[\,G_t - V(s_t)\,\big] \tag{4.3}$$
#
# Every method of this lesson has this form. They differ in one thing: **the target** that stands where $G_t$ stands now.

# %% [markdown]
# ## Temporal differences: sample one step, believe the rest
#
# $G_t$ has to wait for the end of the episode, and carries the luck of every step up to there. The right-hand side of
# (4.1) offers another target: sample only the *one* step, and use the table for what follows.
#
# $$y = r + \gamma\,(1-d)\,V(s') \tag{4.4}$$
#
# $$V(s) \leftarrow V(s) + \alpha\,\big[\,y - V(s)\,\big] \tag{4.5}$$
#
# The bracket is the **TD error** δ. Here $d = 1$ if $s'$ is terminal: after a terminal state comes nothing, so it is worth
# 0. If the episode was only *cut off* by a time limit, $d = 0$: the state after the cut still has a value, although we did
# not stay to see it (lesson 00).
#
# Using an estimate to improve an estimate is called **bootstrapping**. Here it is, beside a rollout, and beside the full
# backup of lesson 02:

# %%
ax = plots.backup_diagrams(
    {"Bellman backup": (2, 3), "TD(0)": (1, 1), "Monte Carlo": (1, 1, 1, 1, 1, 1)}
)
plots.show(ax, alt="Three backup diagrams: the Bellman backup is wide and one step deep, TD(0) is a "
           "single path one step deep, Monte Carlo a single path to the end.")  # fmt: skip

# %% [markdown] task="td0_target"
# ### Exercise 4.2 · `td0_target`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (4.4) for a batch of steps. `terminated` may come as bool, int or float; where it is true, `v_next` holds an
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
# At the true values, (4.4) is right on average: the mean TD error is 0 in every state. Checked by sampling, in a random
# MDP with known values:

# %%
rng = np.random.default_rng(0)
world = mdp.garnet(n_states=5, n_actions=2, branching=3, rng=rng)
pi = np.full((5, 2), 0.5)
v_pi = dynamic_programming.solve_bellman(world.P, world.R, pi, world.gamma)
a = rng.integers(2, size=20_000)
s_next = (rng.random((20_000, 1)) > world.P[3, a].cumsum(axis=1)).sum(axis=1)
y = td0_target(world.R[3, a], v_pi[s_next], np.zeros(20_000), world.gamma)
print(f"V(3) = {v_pi[3]:.4f}, mean target = {y.mean():.4f} ± {y.std() / np.sqrt(len(y)):.4f}")
assert abs(y.mean() - v_pi[3]) < 4 * y.std() / np.sqrt(len(y))

# %% [markdown]
# ## In between: n steps
#
# One step of truth and then belief, or truth to the very end: nothing forces us to choose one of the two. Apply
# $G_t = r_t + \gamma G_{t+1}$ $n$ times, and believe only what is left:
#
# $$G_{t:t+n} = \sum_{k=0}^{n-1}\gamma^k r_{t+k} + \gamma^n\,V(s_{t+n}) \tag{4.6}$$
#
# $n = 1$ is (4.4); $n$ beyond the end of the episode is Monte Carlo. If the episode ends inside the window, the sum stops
# with the reward of the step that ended it, and there is nothing to bootstrap from. (The tutorial slides let the sum run
# one reward too far: $n$ rewards belong before $\gamma^n$.)

# %% [markdown] task="n_step_return"
# ### Exercise 4.3 · `n_step_return`
# **Points** 2 · **Difficulty** ●●○ · **Time** 12 min
#
# Compute (4.6) for one window of $n$ successive steps. `terminated[k]` says that step $k$ ended the episode; the first end
# counts, and what follows it belongs to another episode.


# %% exercise="n_step_return" points=2
def n_step_return(rewards, v_boot, terminated, gamma):
    """The n-step return (4.6).

    rewards, terminated: (n,), n ≥ 1; v_boot: V(s_{t+n}), a float; gamma: in [0, 1].
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
# (The weights sum to 1; returns beyond the end of the data all equal the last one, which collects what is left of the
# weight.) As it stands this looks expensive. Take the first step out of every $G_{t:t+n} = r_t + \gamma G_{t+1:t+n}$, where
# $G_{t+1:t+1}$ is just $V(s_{t+1})$:
#
# $$G^\lambda_t = r_t + \gamma(1-\lambda)\Big[V(s_{t+1}) + \sum_{n=2}^{\infty}\lambda^{n-1}G_{t+1:t+n}\Big]
# = r_t + \gamma\Big[(1-\lambda)V(s_{t+1}) + \lambda\underbrace{(1-\lambda)\sum_{m=1}^{\infty}\lambda^{m-1}G_{t+1:t+1+m}}_{G^\lambda_{t+1}}\Big]$$
#
# The sum is the same thing one step later. With the mask for ends:
#
# $$G^\lambda_t = r_t + \gamma\,(1-d_t)\big[(1-\lambda)\,V(s_{t+1}) + \lambda\,G^\lambda_{t+1}\big] \tag{4.8}$$
#
# λ = 0 is TD(0), λ = 1 is Monte Carlo. At the end of a *segment* that goes on, we have no later return: there
# $G^\lambda_T := V(s_T)$.

# %% [markdown] task="lambda_returns"
# ### Exercise 4.4 · `lambda_returns`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min
#
# Compute (4.8) for every step of a segment. `v_next[t]` is $V(s_{t+1})$, so the value behind the last step is
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
# Both ends of the family, and the definition (4.7) itself, on a random segment with an end in the middle:

# %%
T, gamma = 6, 0.9
r, v, d = rng.normal(size=T), rng.normal(size=T), np.array([0, 0, 1, 0, 0, 0])
one_step = td0_target(r, v, d, gamma)
to_the_end = [n_step_return(r[t:], v[-1], d[t:], gamma) for t in range(T)]
mixture, lam = np.zeros(T), 0.7
for t in range(T):
    for n in range(1, T - t + 1):
        weight = lam ** (n - 1) * (1.0 if n == T - t else 1 - lam)  # the longest gets what is left
        mixture[t] += weight * n_step_return(r[t : t + n], v[t + n - 1], d[t : t + n], gamma)
for name, expected, lam_ in (("λ = 0, TD(0)", one_step, 0.0), ("λ = 1, Monte Carlo", to_the_end, 1.0),
                             ("λ = 0.7, the mixture (4.7)", mixture, lam)):  # fmt: skip
    gap = np.abs(lambda_returns(r, v, d, gamma, lam_) - expected).max()
    print(f"{name:27} largest difference {gap:.1e}")
    assert gap < 1e-12

# %% [markdown]
# ## Bias against variance
#
# What is gained by believing, and what is lost? Take the walk, with a table that has seen only ten episodes, and look at the
# target for the cell halfway to the right end (true value ½) as $n$ grows. **Bias** is how far the mean target is from the truth;
# **standard deviation** is how much it jumps from walk to walk.

# %%
env = TabularEnv(walk)
env.reset(seed=1)
table = prediction.td_prediction(env, policy, 10, 0.1, 1.0, np.random.default_rng(1))
env = TabularEnv(replace(walk, start=np.eye(21)[15]))
env.reset(seed=2)
lengths = (1, 2, 4, 8, 16, 32, 64, 128, 512)
found = np.zeros((len(lengths), 3000))
for i in progress(range(3000), "walks"):
    states, rewards, ended = [env.reset()[0]], [], []
    while not (ended and ended[-1]) and len(rewards) < max(lengths):
        s, reward, terminated, _, _ = env.step(0)
        states.append(s), rewards.append(reward), ended.append(terminated)
    for k, n in enumerate(lengths):
        window = slice(0, min(n, len(rewards)))
        found[k, i] = n_step_return(rewards[window], table[states[window.stop]], ended[window], 1.0)
bias, deviation = np.abs(found.mean(axis=1) - true_values[15]), found.std(axis=1)
ax = plots.curves({"|bias|": bias, "standard deviation": deviation}, x=lengths,
                  xlabel="n", ylabel="of the target")  # fmt: skip
ax.set_xscale("log", base=2)
plots.show(ax, alt="Absolute bias and standard deviation of the n-step target against n: the standard "
           "deviation climbs with n, the bias falls to 0.")  # fmt: skip
print(f"n = 1: |bias| {bias[0]:.3f}, deviation {deviation[0]:.3f}; "
      f"n = 512: |bias| {bias[-1]:.3f}, deviation {deviation[-1]:.3f}")  # fmt: skip
assert deviation[-1] > 3 * deviation[0] and bias[-1] < bias[0] / 3

# %% [markdown]
# A short target repeats what the table believes, right or wrong, and hardly jumps. A long one owes nothing to the table and
# jumps between −1 and +1. What learns fastest lies in between, and that is what we measure next.

# %% [markdown]
# ## The loop
#
# TD(0) as an algorithm: walk, and after *each* step correct the state you left.
#
# > reset to $s$ · *until the episode ends:* $a$ from the policy · step, see $r, s'$ · update $V(s)$ by (4.5) ·
# > $s \leftarrow s'$
#
# (The pseudocode collection writes the last line as $s_{t+1} \leftarrow s_t$: the arrow is the wrong way round.)

# %% [markdown] task="td_prediction"
# ### Exercise 4.5 · `td_prediction`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Write tabular TD(0).
#
# - Start with zeros, `env.observation_space.n` of them. Call `env.reset()` once an episode, without arguments; never step
#   after an end.
# - Ask `policy(s, rng)` once a step.
# - `terminated` **or** `truncated` ends the episode; only `terminated` switches the bootstrap off. The index that comes
#   back with `terminated` may be any state's: it is not to be used.


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
# Either of them ends the loop. Only one of them says that nothing comes afterwards; the other says that we stopped
# looking.
# </details>

# %% check="td_prediction"
td_prediction = check("td_prediction")

# %% [markdown]
# ## The experiment: your TD and your Monte Carlo on the walk
#
# Both learn from the same number of episodes, twenty seeds each. The error is the root of the mean squared error over the
# nineteen cells. Beside them run the course's own TD(0) and, as a "method that never learns", the table of zeros.


# %%
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
    return np.sqrt(np.mean((v[1:-1] - true_values[1:-1]) ** 2))


counts = (5, 10, 20, 40, 80, 160)
methods = {
    "TD(0)": lambda env, n, rng: td_prediction(env, policy, n, 0.1, 1.0, rng),
    "Monte Carlo": lambda env, n, rng: mc_prediction(walks(env, n), 1.0, 21, True),
    "TD(0) (the course's)": lambda env, n, rng: prediction.td_prediction(
        env, policy, n, 0.1, 1.0, rng
    ),
}
errors = {name: np.zeros((20, len(counts))) for name in methods}
for seed in progress(range(20), "learning"):
    for name, learn in methods.items():
        for k, n in enumerate(counts):
            env = TabularEnv(walk)
            env.reset(seed=100 * seed + k)
            errors[name][seed, k] = rms(learn(env, n, np.random.default_rng(seed)))
errors["never learns"] = np.full((20, len(counts)), rms(np.zeros(21)))

# %%
print("TD(0) and Monte Carlo by " + authorship("td_prediction", "mc_prediction"))
ax = plots.curves(errors, x=counts, xlabel="episodes", ylabel="RMS error")
ax.set_xscale("log", base=2)
ax.set_ylim(0)
plots.show(ax, alt="RMS error against the number of episodes for TD(0) and Monte Carlo over 20 seeds: both "
           "fall well below the table of zeros.")  # fmt: skip
for name, runs in errors.items():
    print(
        f"{name:21} after {counts[-1]} episodes: {runs[:, -1].mean():.3f} ± {runs[:, -1].std():.3f}"
    )
assert max(errors[m][:, -1].mean() for m in methods) < errors["never learns"].mean()

# %% [markdown]
# At first Monte Carlo is ahead: every walk tells every cell something. But what it tells is noisy, and an average over noisy
# returns gets better only slowly; TD(0) with this step size starts late and overtakes it. How much of that is the method, and
# how much the step size? That comes after the next picture.
#
# Here is what TD(0) has learned, beside the truth, after few episodes and after many: values seep in from the two ends.

# %%
learned = {}
for n in (1, 10, 100):
    env = TabularEnv(walk)
    env.reset(seed=3)
    learned["1 episode" if n == 1 else f"{n} episodes"] = td_prediction(
        env, policy, n, 0.1, 1.0, np.random.default_rng(3)
    )[1:-1]
learned["truth"] = true_values[1:-1]
ax = plots.curves(learned, xlabel="cell", ylabel="value")
plots.show(ax, alt="TD(0)'s values of the nineteen cells after 1, 10 and 100 episodes approach the straight "
           "line of true values, from the two ends inwards.")  # fmt: skip

# %% [markdown]
# ## Change one thing: the step size, and n
#
# A fair comparison gives every method its own best α. The five-state walk of the book (example 6.2) first: TD(0) and
# constant-α Monte Carlo (4.3), each with several step sizes, 100 runs.

# %%
td, mc = td_against_mc(np.random.default_rng(2))
best = {
    "TD(0)": td[td[:, 20:].mean(axis=1).argmin()],
    "constant-α MC": mc[mc[:, 20:].mean(axis=1).argmin()],
}
ax = plots.curves(best, xlabel="episode", ylabel="RMS error, mean of 100 runs")
plots.show(ax, alt="RMS error by episode on the five-state walk, best step size of each method: TD(0) lies "
           "below constant-alpha Monte Carlo.")  # fmt: skip
print(f"after 100 episodes: TD(0) {best['TD(0)'][-1]:.3f}, MC {best['constant-α MC'][-1]:.3f}")
assert best["TD(0)"][20:].mean() < best["constant-α MC"][20:].mean()

# %% [markdown]
# And the whole family on our nineteen cells: the error over the first ten episodes, against α, for many $n$. This is
# figure 7.2 of the book, computed by the course's vectorised code; TD(0) and Monte Carlo are its two outermost curves.

# %%
steps, alphas = (1, 2, 4, 8, 16, 64, MONTE_CARLO), np.linspace(0.05, 1.0, 20)
u = n_step_curves(np.random.default_rng(4), n_steps=steps, step_sizes=alphas, runs=60)
names = ["Monte Carlo" if n == MONTE_CARLO else f"n = {n}" for n in steps]
ax = plots.curves(dict(zip(names, u, strict=True)), x=alphas, xlabel="step size α",
                  ylabel="RMS error, first 10 episodes")  # fmt: skip
ax.set_ylim(0.2, 0.6)
ax.legend(bbox_to_anchor=(1.0, 1.0), loc="upper left")
plots.show(ax, alt="U-shaped curves of the RMS error against the step size, one for each n: the lowest point "
           "belongs to an n in the middle, near n = 4 at a step size of about 0.4.")  # fmt: skip
i, j = np.unravel_index(u.argmin(), u.shape)
print(f"lowest error: {u.min():.3f} at {names[i]}, α = {alphas[j]:.2f}")
assert names[i] not in ("n = 1", "Monte Carlo")

# %% [markdown]
# The valley lies between the two extremes. **What to look for:** a larger $n$ wants a smaller α, since its targets jump
# more. Now let *your* `n_step_return` learn, at the best α of four of the curves; it should land on their valleys.


# %%
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
    for seed in range(30):
        env = TabularEnv(walk)
        env.reset(seed=seed)
        runs.append(n_step_td(env, n, 10, alphas[curve.argmin()]))
    print(
        f"n = {n}: {whose('n_step_return')} runs {np.mean(runs):.3f} ± {np.std(runs) / np.sqrt(30):.3f}, "
        f"the curve's valley {curve.min():.3f}"
    )

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** The walk ended on the right, all values were 0. TD(0) moved one cell, Monte Carlo hundreds. Why does TD(0) win in
# the end?
#
# <details><summary>Answer</summary>
#
# Monte Carlo gave all of them +1, also those far on the left that had only been lucky. TD moves less, but what it moves
# is news: the next walk that comes by the cell before the last one inherits it, and luck is averaged over all walks that
# pass, not over each cell's own.
# </details>
#
# **2.** An episode is cut off after 100 steps. A colleague treats the cut as an end and uses Monte Carlo. What do the values
# come to mean?
#
# <details><summary>Answer</summary>
#
# "Reward within what is left of 100 steps", and since the step count is not part of the state, an average over that. TD with
# a bootstrap at the cut still estimates the values of the endless task.
# </details>
#
# **3.** With λ, which value makes the estimate independent of the table's errors, and which needs no waiting?
#
# <details><summary>Answer</summary>
#
# λ = 1, if the episode ends by itself; λ = 0. In between, a λ-return needs the rest of the episode as well, unless it is
# cut into segments: that is what lesson 11 will do with advantages.
# </details>

# %% [markdown]
# ## What we hand on
#
# Values can be learned without a model, one step at a time:
#
# $$V(s) \leftarrow V(s) + \alpha\,\big[\,r + \gamma\,(1-d)\,V(s') - V(s)\,\big]$$
#
# What can this still not do? It judges a policy, and does not improve it: to act greedily on $V$ we would need $p$ again.
# Lesson 05 learns $Q$ instead, and has to decide what stands for the next action.
