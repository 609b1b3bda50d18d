# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 00 · Start here
#
# Part I · **00** → 01 → 02 → 03 → 04 → 05 → Part II
#
# - **You will be able to** work with this course: solve an exercise, be told which mistake you made, check a whole
#   lesson; and you will have met the four things every later lesson uses: returns, the two ways an episode stops,
#   array shapes, and the loop in which an agent meets its world.
# - **Builds on** Python and a little NumPy. No reinforcement learning.
# - **Time** 60 minutes alone, 25 as a lecture.
# - **Sources** Sutton & Barto, *Reinforcement Learning*, 2nd edition (2018), §3.1–3.4; the Gymnasium documentation;
#   Pardo et al., *Time Limits in Reinforcement Learning* (2018).
#
# **Reinforcement learning** is about an **agent**, whatever it is that chooses, and a **world** that answers each of its
# choices with a number, the **reward**. The agent is to learn to choose so that the rewards are large in the long run. Nobody
# tells it which choice would have been right.
#
# The whole course follows one thought. **Write down a Bellman equation, ask which part of it cannot be computed any
# more, and replace that part by something that can.** Lesson 02 writes it down; lesson 19 arrives at Soft Actor-Critic.

# %%
import math

import gymnasium
import numpy as np

from rlcourse.checker import authorship, check
from rlcourse.lab import diagrams, plots
from rlcourse.tabular import gridworlds
from rlcourse.tabular.envs import TabularEnv

# %% [markdown]
# ## How a lesson works
#
# A lesson is read from top to bottom, and run cell by cell: **Shift + Enter** runs a cell and moves on. Where there is
# something for you to write, you find four cells:
#
# 1. the task, with the equation it implements;
# 2. a cell with the first line of a function. Replace `raise NotImplementedError(…)` by your answer and run it;
# 3. hints, folded, from a nudge to almost the answer. Open them one at a time;
# 4. a cell `name = check("name")`. It tells you how you did.
#
# Under each check stands **○** *not run yet*, until you run it:
#
# - **✓** your answer is right, and the lesson goes on with *your* function: it will train the agents further down.
# - **✗** something is wrong, and the check says what, by name where it knows the mistake. The lesson goes on with the
#   course's own function, so nothing stops, not even in a lecture.
# - **○** not run yet, or not written yet. Nothing stops either: *Run All* goes through to the end, even past a cell of
#   yours that stops with an error.
#
# If you run a check again without your own cell before it, it says so: what it sees then may be the course's function.
#
# When you have done a lesson, save it and run `rlcourse verify 00` in a terminal (menu File → New → Terminal; with
# `../.venv/bin/` in front if need be): it runs everything afresh and says what is right. `rlcourse progress` shows a
# table of all lessons. To begin an exercise again, `rlcourse reset 0.1` gives its cell back as it was and keeps your answer
# below it; once you have tried, `rlcourse show 0.1` shows the lesson's own answer.

# %% [markdown]
# ## What a reward is worth: the return
#
# An agent takes a step and gets a reward $r_0$, another step and gets $r_1$, and so on to the last, $r_{T-1}$: an **episode** of
# T steps. How good was that? The **return** adds the rewards up, but counts later ones less: a reward that is $t$ steps away
# counts $\gamma^t$ of itself, with a **discount** γ between 0 and 1.
#
# $$G = r_0 + \gamma r_1 + \gamma^2 r_2 + \dots = \sum_{t=0}^{T-1}\gamma^t\,r_t \tag{0.1}$$
#
# The first reward counts in full: it comes *now*.

# %% [markdown]
# ### Guess first
#
# A reward of 1 at every step, **for ever**, with γ = 0.9. **What is that worth?** Vote:
#
# **A** infinitely much · **B** about 100 · **C** about 10 · **D** less than 2
#
# <details><summary>I have voted.</summary>
#
# Keep your vote in mind. In ten minutes you will know it exactly, by a formula of your own.
# </details>

# %% [markdown] task="discounted_return"
# ### Exercise 0.1 · `discounted_return`
# **Points** 1 · **Difficulty** ●○○ · **Time** 5 min
#
# Compute (0.1). `rewards` is an array of any length, 0 included (an empty sum is 0); it may hold whole numbers.


# %% exercise="discounted_return" points=1
def discounted_return(rewards, gamma):
    """The return (0.1) of a sequence of rewards.

    rewards: (T,), T ≥ 0; gamma: in [0, 1]. Returns a float.
    """
    ### BEGIN SOLUTION
    weights = float(gamma) ** np.arange(len(rewards))  # 1, γ, γ², …
    return float(np.sum(weights * rewards))  # (0.1)
    ### END SOLUTION


# %% [markdown] hints="discounted_return"
# <details><summary>How do I get the weights?</summary>
#
# You need γ to the power 0, 1, 2, …, one for each reward. `np.arange(n)` counts from 0 to n − 1.
# </details>
# <details><summary>Can I do it without powers?</summary>
#
# Yes: go through the rewards from the last to the first. What you have so far is one step further away each time you move
# one step back.
# </details>
# <details><summary>What should come out, by hand?</summary>
#
# For the rewards 1, 2, 4 and γ = ½: one, plus half of two, plus a quarter of four. That is 3.
# </details>

# %% check="discounted_return"
discounted_return = check("discounted_return")

# %% [markdown]
# ### Break it on purpose
#
# The diagnosis is the heart of this course, so look at one now. Here is somebody else's answer; it is wrong. Before you run
# the cell: can you see what is wrong with it?


# %%
def somebody_elses(rewards, gamma):
    total = 0.0
    for t, reward in enumerate(rewards):
        total = total + gamma ** (t + 1) * reward
    return total


_ = check(somebody_elses, "discounted_return")

# %% [markdown]
# The check did not just compare numbers. It knows the mistakes that many people make here, tries each of them on the same
# inputs, and found one that gives exactly these results. Then it names it, points at the equation and says what to look at.
# It never prints the right numbers.
#
# Now break your *own* answer (delete a factor, turn a sign round), run both cells again, and read what it says. Then mend it.
# You cannot damage anything.

# %% [markdown]
# ## A closed form
#
# Back to your vote. For ever takes too long to add up, but we can look at longer and longer episodes that pay 1 at every step:

# %%
for n in (1, 2, 5, 10, 20, 50, 100, 200):
    print(f"{n:4} steps, γ = 0.9: G = {discounted_return(np.ones(n), 0.9):.6f}")

# %% [markdown]
# It seems to stop somewhere. Where, exactly, and why there? And must one add up a million numbers that are all the same? Take
# paper. With one reward $c$ for every step, (0.1) is
#
# $$G = \sum_{t=0}^{n-1}\gamma^t\,c \tag{0.2}$$
#
# Write the sum out, term by term. Below it write γ times the sum, moved to the right by one place, so that equal powers of γ
# stand below each other. Subtract the second line from the first.

# %% [markdown] task="constant_return"
# ### Exercise 0.2 · `constant_return`
# **Points** 1 · **Difficulty** ●●○ · **Time** 12 min · ✎ on paper
#
# Find (0.2) in **closed form**: an expression without a sum, without a loop and without dots. Then write it down as a function.
#
# `n_steps` is a whole number, 0 included, or `math.inf`: a reward at every step, for ever (then γ is below 1). `gamma` is in
# [0, 1], both ends included. The check asks for $10^{15}$ steps, too: no loop gets there, and no computer has the memory for an
# array of so many.


# %% exercise="constant_return" points=1
def constant_return(reward, gamma, n_steps):
    """The return (0.2) of the same reward at each of n steps, in closed form.

    reward: a number; gamma: in [0, 1]; n_steps: 0, 1, 2, … or math.inf. Returns a float.
    """
    ### BEGIN SOLUTION
    if gamma == 1:
        return float(n_steps * reward)  # (0.2) without discount: n equal numbers
    # G − γG = c − γⁿc: all other terms of (0.2) stand in both lines.
    return float(reward * (1 - gamma**n_steps) / (1 - gamma))
    ### END SOLUTION


# %% [markdown] hints="constant_return"
# <details><summary>What is left when I subtract?</summary>
#
# Write the two lines for $n = 3$, with all their terms. Which terms stand in both of them? Cross those out. What is left of the
# first line, and what of the second? Nothing about it is special to 3.
# </details>
# <details><summary>I get <code>nan</code>, or a ZeroDivisionError.</summary>
#
# Solving for G, you divide. For which γ may you not do that? Look at (0.2) for this γ: it is a very simple sum.
# </details>
# <details><summary>What do I do about <code>math.inf</code>?</summary>
#
# Ask what becomes of a power of γ when the exponent grows, for γ below 1. Python knows as well: try `0.9**math.inf`. And test
# the other end: no step, one step, two steps, by hand.
# </details>

# %% check="constant_return"
constant_return = check("constant_return")

# %% [markdown]
# A formula that was found on paper is checked by number: yours against the sum, for several γ and lengths. Then your vote.

# %%
for gamma in (0.0, 0.3, 0.9, 0.99, 1.0):
    for n in (0, 1, 2, 10, 1000):
        assert np.isclose(constant_return(2.5, gamma, n), discounted_return(np.full(n, 2.5), gamma))
print(f"1 at every step, for ever, γ = 0.9: G = {constant_return(1, 0.9, math.inf):.6f}")

# %% [markdown]
# So even an endless life has a finite return, and γ says how far it reaches. A discount is a **horizon**:

# %%
print("    γ    worth of 1 for ever    a reward so many steps away still counts")
for gamma in (0.5, 0.9, 0.99, 0.999):
    horizon = constant_return(1, gamma, math.inf)
    print(f"{gamma:5}   {horizon:10.1f}   {gamma**horizon:30.2f} of itself")

# %% [markdown]
# Read a line as "with this γ an agent looks about so many steps ahead". It is a soft horizon: what lies beyond it counts less
# and less, but nothing is forgotten altogether. Look, then drag: each bar is the weight of one step, and the line is the horizon.


# %% tags=["hide-input"]
def draw(gamma):
    t, horizon = np.arange(60), constant_return(1, gamma, math.inf)
    ax = plots.axes()
    ax.vlines(t, 0, gamma**t, linewidth=5, color=plots.PALETTE["blue"])
    ax.axvline(horizon, color=plots.PALETTE["vermilion"], linestyle="--")
    ax.text(horizon + 0.8, 0.95, f"horizon {horizon:.3g}", color=plots.PALETTE["vermilion"])
    ax.set(xlabel="steps ahead, t", ylabel="weight", ylim=(0, 1.05), xlim=(-1, 60))
    return ax


plots.slide(
    draw,
    [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.975],
    name="γ",
    start=4,
    alt="The weight of a reward falls with the number of steps ahead, the more slowly the larger γ is; the "
    "horizon moves to the right.",
)

# %% [markdown]
# ## Two ways to stop
#
# An episode can stop for two reasons, and it matters which:
#
# - **terminated**: the world has come to an end. The pole has fallen, the goal is reached. Nothing comes afterwards.
# - **truncated**: *we* stopped watching, because of a time limit. The world would have gone on.

# %% [markdown]
# ### Talk to your neighbour
#
# In the game CartPole a pole is balanced on a cart. Every step pays 1. The game stops when the pole falls; it also stops after 500
# steps, though the pole may stand as well as ever. An agent writes down what each state is worth: the rewards that will still come.
# **What is a perfectly balanced pole worth at step 499?** Vote:
#
# **A** about 1: one more step, and then it is over · **B** as much as at step 100: the pole does not know what time it is ·
# **C** nothing: the episode is as good as over
#
# <details><summary>We have voted.</summary>
#
# B. The limit is ours; the world knows nothing of it, and the agent cannot see the clock. Whoever votes A teaches the agent that
# balanced poles are worth little, now and then, for no reason that it can see.
# </details>

# %% [markdown]
# ### The mask
#
# Later we will often add to a reward what the state that comes next is worth, by our own estimate, instead of waiting for the
# rewards that follow. That is called to **bootstrap** (from lesson 04 on we do it all the time). After a terminal state there is
# nothing to add; after a cut there is: the future we did not watch. So for each step we need a **mask** that is 1 where the next
# state's value counts and 0 where it does not. Several steps that are worked on at once, as rows of an array, are a **batch**. With
# $d_i = 1$ if step $i$ of the batch terminated:
#
# $$m_i = 1 - d_i \tag{0.3}$$
#
# What about `truncated`? Look: it is not in the formula. To take a time limit for an end is a common bug: it teaches
# the agent that the world itself ends at step 500. In this course $d$ is termination, and nothing else.

# %% [markdown] task="bootstrap_mask"
# ### Exercise 0.3 · `bootstrap_mask`
# **Points** 1 · **Difficulty** ●○○ · **Time** 5 min
#
# Compute (0.3) for a batch of B steps. The flags may come as bools, as integers or as floats. Both may be set at once: the
# state is then terminal, whatever the clock says.


# %% exercise="bootstrap_mask" points=1
def bootstrap_mask(terminated, truncated):
    """1 where the next state's value counts, 0 where it does not (0.3).

    terminated, truncated: (B,) bool or 0/1. Returns (B,).
    """
    ### BEGIN SOLUTION
    return 1.0 - np.asarray(terminated, dtype=float)  # (0.3); truncation plays no part
    ### END SOLUTION


# %% [markdown] hints="bootstrap_mask"
# <details><summary>Do I need both arguments?</summary>
#
# Read (0.3) again. A function may be given more than it needs.
# </details>
# <details><summary>NumPy refuses to subtract booleans.</summary>
#
# It does. Turn the flags into numbers first, or use a logical function in place of the minus.
# </details>
# <details><summary>Why does <code>~</code> not work for integers?</summary>
#
# For booleans it means "not"; for integers it flips all bits, and makes −1 of 0 and −2 of 1.
# </details>

# %% check="bootstrap_mask"
bootstrap_mask = check("bootstrap_mask")

# %% [markdown]
# ## Shapes, and the bug that says nothing
#
# NumPy stretches arrays of different shapes until they fit: that is **broadcasting**. It is convenient,

# %%
table = np.arange(6).reshape(2, 3)
print(table - table.mean(axis=1, keepdims=True))  # (2, 3) − (2, 1): each row minus its mean

# %% [markdown]
# and it is dangerous. The last layer of a network gives predictions of shape (B, 1). Targets have the shape (B,). Their
# difference should be B numbers.
#
# ### Talk to your neighbour
#
# What is the shape of (3, 1) minus (3,)? Vote:
#
# **A** (3,) · **B** (3, 1) · **C** (3, 3) · **D** there is an error

# %%
prediction, target = np.ones((3, 1)), np.array([1.0, 2.0, 3.0])
print("shape of the difference:", (prediction - target).shape)

# %% [markdown]
# Nine numbers: every prediction compared with every target, and no error message. Published implementations have had this
# bug, and learnt with it, badly. The mean squared error pairs row $i$ with row $i$, and with nothing else:
#
# $$\mathrm{MSE} = \frac1B\sum_{i=1}^{B}\big(\hat y_i - y_i\big)^2 \tag{0.4}$$

# %% [markdown] task="mean_squared_error"
# ### Exercise 0.4 · `mean_squared_error`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (0.4), without a factor ½. `prediction` may have the shape (B, 1) or (B,); `target` has (B,).


# %% exercise="mean_squared_error" points=1
def mean_squared_error(prediction, target):
    """The mean squared error (0.4).

    prediction: (B, 1) or (B,); target: (B,), B ≥ 1. Returns a float.
    """
    ### BEGIN SOLUTION
    error = prediction.reshape(target.shape) - target  # (B,): row i with row i
    return float(np.mean(error**2))  # (0.4)
    ### END SOLUTION


# %% [markdown] hints="mean_squared_error"
# <details><summary>What do I do about the two shapes?</summary>
#
# Bring both to (B,) before you subtract. Arrays have several methods that change a shape and not the numbers.
# </details>
# <details><summary>In which order: mean, square, difference?</summary>
#
# Read (0.4) from the inside out.
# </details>
# <details><summary>It works for some batches only.</summary>
#
# A batch of one is a good test, and one whose errors have opposite signs. Print the shape of every step.
# </details>

# %% check="mean_squared_error"
mean_squared_error = check("mean_squared_error")

# %% [markdown]
# ### Stop-gradient, for later
#
# From lesson 08 on the functions are neural networks in PyTorch, and the same kind of silent mistake exists for *gradients*:
# a number that should be a fixed label is still connected to the network that made it. `detach()` cuts the connection, and
# inside `torch.no_grad()` none is made. Two losses with the same value and different gradients:

# %%
import torch

w = torch.tensor(2.0, requires_grad=True)
for name, label in (("label still connected", 3 * w), ("label detached", (3 * w).detach())):
    (gradient,) = torch.autograd.grad((w - label) ** 2, w)
    print(f"{name:22} loss {(w.item() - label.item()) ** 2:.0f}, gradient {gradient.item():6.1f}")
assert gradient.item() == 2 * (2 - 6)  # detached: the derivative of (w − 6)² at w = 2

# %% [markdown]
# You will not need PyTorch before lesson 08. Until then everything is NumPy, and everything can be looked at in a table.

# %% [markdown]
# ## The loop
#
# An agent and its world take turns. The world shows a **state** $s$; the agent's **policy** π chooses an **action** $a$; the world
# answers with a reward $r$ and the next state $s'$. And so on, until the episode is over:
#
# $$s_0,\ a_0,\ r_0,\ s_1,\ a_1,\ r_1,\ \dots \qquad a_t \sim \pi(\cdot\,|\,s_t) \tag{0.5}$$

# %% tags=["hide-input"]
ax = diagrams.agent_and_world()
plots.show(
    ax,
    alt="A loop: the agent gives an action to the world, the world gives a reward and the next state back.",
)

# %% [markdown]
# In code, worlds have the interface of the library Gymnasium: `env.reset()` begins an episode and returns the first state
# (and a dictionary we do not need); `env.step(action)` returns five things.

# %%
env = gymnasium.make("CartPole-v1")
state, _ = env.reset(seed=0)
next_state, reward, terminated, truncated, _ = env.step(1)  # push right
print("state     ", state.round(2))
print("next state", next_state.round(2))
print(f"reward {reward}, terminated {terminated}, truncated {truncated}")

# %% [markdown] task="run_episode"
# ### Exercise 0.5 · `run_episode`
# **Points** 2 · **Difficulty** ●●○ · **Time** 12 min
#
# Run one episode, (0.5), until it is over, and return its rewards, in order, and whether it *terminated*.
#
# - One `reset()`, without arguments; one call of `policy(state, rng)` a step; no step after the end.
# - The second result says how the episode ended: `True` only for a terminal state.
#
# One decision is yours, and the check asks for it: when is an episode over?


# %% exercise="run_episode" points=2
def run_episode(env, policy, rng):
    """Run one episode (0.5).

    env: Gymnasium's API; policy(state, rng) -> int; rng: a numpy.random.Generator.
    Returns rewards (T,) float64, and terminated: a bool.
    """
    ### BEGIN SOLUTION
    rewards = []
    state, _ = env.reset()
    terminated = truncated = False
    while not (terminated or truncated):
        action = policy(state, rng)
        state, reward, terminated, truncated, _ = env.step(action)  # go on from the new state
        rewards.append(reward)
    return np.array(rewards, dtype=float), bool(terminated)
    ### END SOLUTION


# %% [markdown] hints="run_episode"
# <details><summary>What does the loop look like?</summary>
#
# Before it: reset. In it: ask the policy, step, keep the reward. What ends it? Read "Two ways to stop" once more, with this
# question in mind.
# </details>
# <details><summary>What is easily forgotten?</summary>
#
# That the policy must see the *new* state in the next round; and that the step which ends the episode pays a reward too.
# </details>
# <details><summary>What do I return?</summary>
#
# An array made of the list of rewards, and a flag. Which of the two says that nothing comes afterwards?
# </details>

# %% check="run_episode"
run_episode = check("run_episode")

# %% [markdown]
# ## Your functions at work
#
# A small world, drawn as text: `S` is the start, `G` the goal, `#` a wall. Reaching the goal pays 1, and γ = 0.95 makes a
# late arrival worth less. Two policies walk in it: one draws every move at random, the other prefers right and up.

# %%
MAP = """
    ....G
    .#...
    S....
"""
maze = gridworlds.gridworld(MAP, gamma=0.95, goal=1.0)
print(maze.text())


def at_random(state, rng):
    return rng.integers(4)


def right_and_up(state, rng):
    return rng.choice(4, p=[0.4, 0.4, 0.1, 0.1])  # up, right, down, left


# %%
max_steps = 100
policies = {"at random": at_random, "right and up": right_and_up}
G = {name: np.zeros((10, 30)) for name in policies}  # 10 seeds, 30 episodes each
arrived = {name: np.zeros((10, 30)) for name in policies}
for name, policy in policies.items():
    for seed in range(10):
        rng, env = np.random.default_rng(seed), TabularEnv(maze, max_steps=max_steps)
        env.reset(seed=seed)
        for i in range(30):
            rewards, terminated = run_episode(env, policy, rng)
            G[name][seed, i] = discounted_return(rewards, maze.mdp.gamma)
            arrived[name][seed, i] = terminated

# %%
print("measured with " + authorship("run_episode", "discounted_return"))
for name in policies:
    print(f"{name:13} mean return {G[name].mean():.2f}, terminated {arrived[name].mean():.0%}")

# %% tags=["hide-input"]
ax = plots.bars(
    {name: g.mean(axis=1) for name, g in G.items()}, ylabel="mean return of 30 episodes"
)
plots.show(ax, alt="Mean return of two policies in a small world over ten seeds; the one that prefers right and up "
           "does better.")  # fmt: skip

# %% [markdown]
# Whoever arrives sooner has a larger return: the same 1 is paid at the goal, but multiplied by γ once less for every step
# saved.
#
# **Change one thing.** Set `max_steps` to 8 in the cell where it stands, and run the cells from there on again. **What to look for:** fewer
# episodes terminate, and both policies look worse. Has the world become harder? No: we only stopped watching. That is
# truncation.

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** What would an agent learn in CartPole that takes the flag of the 500 steps for the other one?
#
# <details><summary>Answer</summary>
#
# That even a perfectly balanced pole is worth little shortly before step 500; and since it cannot see the clock, that balanced
# poles are worth less everywhere, now more, now less. Its estimates never come to rest.
# </details>
#
# **2.** "The agent should look as far ahead as possible, so let us take γ = 1." The task never ends. What goes wrong?
#
# <details><summary>Answer</summary>
#
# Returns grow without end. Whoever gets 1 at every step and whoever gets 1 at every tenth have the same return, infinity: returns
# no longer say who is better. In a task that is sure to end γ = 1 is fine.
# </details>

# %% [markdown]
# ## Summary
#
# - The **return** (0.1) adds up rewards, each weighed by $\gamma^t$, $t$ steps ahead; the first counts in full.
# - γ is a **horizon**. If γ is below 1, even an endless sum of rewards is finite, and for a constant reward you have its formula.
# - **Terminated** is the end of the world; **truncated** is the end of our watching. Only the first cuts off what comes: $m = 1 - d$.
# - (B, 1) minus (B,) is **(B, B)**, and nobody says so. Bring arrays to one shape before you subtract.
# - **The loop**: reset once; ask the policy, step, keep the reward, go on from the new state; stop when the episode is over, and say
#   how it ended.

# %% [markdown]
# ## Where this went
#
# What later methods change in the sum $G = \sum_{t=0}^{T-1}\gamma^t\,r_t$:
#
# - **n-step and λ-returns** (lesson 04) keep its first n terms and put $\gamma^n$ times an *estimate* in the place of the others.
# - **Maximum entropy** (lessons 16 to 19) adds to each $r_t$ a bonus for a policy that keeps its choices open.
# - **Average reward** (Sutton & Barto §10.3) drops γ and takes $\lim_{T\to\infty}\frac1T\sum_{t=0}^{T-1}r_t$: for tasks that never end.
# - **General value functions** (Sutton et al. 2011) let γ depend on the state: $\gamma^t$ becomes the product
#   $\gamma(s_1)\cdots\gamma(s_t)$, and a terminal state is one where it is 0.
# - **Distributional methods** (Bellemare, Dabney & Munos 2017) keep the sum and learn its whole distribution, not its mean alone.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Three other conventions</summary>
#
# - **Sutton & Barto**, *Reinforcement Learning*: their $R_{t+1}$ is our $r_t$, the reward for leaving $s_t$; their (3.8) is (0.1), and
#   their (3.10) is your formula of exercise 0.2 for an endless sum.
# - **Du**, *CS 224R Tutorial: Review of Q-Learning*: the slides number steps from 1 and weigh the reward of step $t$ by $\gamma^t$, so
#   that the first one is discounted, too. That is a convention: every return is smaller by the factor γ, and no decision changes.
# - **Gym**, the library that Gymnasium continues, had a single flag `done` before version 0.26, for both ways to stop. Code of that
#   time had to look elsewhere to know which of the two it was.
# </details>

# %% [markdown]
# ## What we hand on
#
# $$G = \sum_{t=0}^{T-1}\gamma^t\,r_t$$
#
# A number for what *has* happened. Lesson 01 asks what happens on *average*: it needs a description of the world in which
# averages can be computed.
