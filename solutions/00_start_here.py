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
# Part I · **00** → 01 → 02 → 03 → 04 → 05
#
# - **You will be able to** work with this course: solve an exercise, be told which mistake you made, check a whole
#   lesson; and you will have met the four things every later lesson uses: returns, the two ways an episode stops,
#   array shapes, and the loop in which an agent meets its world.
# - **Builds on** Python and a little NumPy. No reinforcement learning.
# - **Time** 45 minutes alone, 20 as a lecture.
# - **Sources** Sutton & Barto, *Reinforcement Learning*, 2nd edition (2018), §3.1–3.4; the Gymnasium documentation;
#   Pardo et al., *Time Limits in Reinforcement Learning* (2018).
#
# The whole course follows one thought. **Write down a Bellman equation, ask which part of it cannot be computed any
# more, and replace that part by something that can.** Lesson 02 writes it down; lesson 19 arrives at Soft Actor-Critic.

# %%
import gymnasium
import numpy as np

from rlcourse.checker import authorship, check
from rlcourse.lab import plots
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
# When you have done a lesson, save it and run `rlcourse verify notebooks/00_start_here.ipynb` in a terminal (with
# `.venv/bin/` in front if need be): it runs everything afresh and says what is right. `rlcourse progress` shows a table
# of all lessons.

# %% [markdown]
# ## What a reward is worth: the return
#
# An agent takes a step and gets a reward $r_0$, another step and gets $r_1$, and so on to the last, $r_{T-1}$. How good was
# that? The **return** adds the rewards up, but counts later ones less: a reward that is $t$ steps away counts $\gamma^t$ of
# itself, with a **discount** γ between 0 and 1.
#
# $$G = r_0 + \gamma r_1 + \gamma^2 r_2 + \dots = \sum_{t=0}^{T-1}\gamma^t\,r_t \tag{0.1}$$
#
# The first reward counts in full: it comes *now*. (Some texts start the sum at $t = 1$, which discounts it too; the CS 224R
# tutorial slides do. It makes every return smaller by the same factor and changes no decision, but a course has to choose
# one convention, and ours is (0.1).)

# %% [markdown]
# ### Guess first
#
# Ten steps that pay 1 each, with γ = ½. **Is the return nearer to 2, to 5 or to 10?**
#
# <details><summary>I have guessed.</summary>
#
# The weights are 1, ½, ¼, …: however long the episode, they never add up to more than 2. A discount is a horizon: the next
# cell will tell you exactly, with your own function.
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

# %%
print(f"ten steps of reward 1, γ = ½: G = {discounted_return(np.ones(10), 0.5):.3f}")

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
# ## Two ways to stop
#
# An episode can stop for two reasons, and it matters which:
#
# - **terminated**: the world has come to an end. The pole has fallen, the goal is reached. Nothing comes afterwards.
# - **truncated**: *we* stopped watching, because of a time limit. The world would have gone on.
#
# Later we will often add to a reward the value of the state that comes next. After a terminal state there is nothing to add;
# after a cut there is: the future we did not watch. So for each step we need a **mask** that is 1 where the next state's value
# counts and 0 where it does not. With $d_i = 1$ if step $i$ terminated:
#
# $$m_i = 1 - d_i \tag{0.2}$$
#
# What about `truncated`? Look: it is not in the formula. Treating a time limit as an end is a common bug: it teaches
# the agent that the world itself ends at step 500.

# %% [markdown] task="bootstrap_mask"
# ### Exercise 0.2 · `bootstrap_mask`
# **Points** 1 · **Difficulty** ●○○ · **Time** 5 min
#
# Compute (0.2) for a batch of B steps. The flags may come as bools, as integers or as floats. Both may be set at once: the
# state is then terminal, whatever the clock says.


# %% exercise="bootstrap_mask" points=1
def bootstrap_mask(terminated, truncated):
    """1 where the next state's value counts, 0 where it does not (0.2).

    terminated, truncated: (B,) bool or 0/1. Returns (B,).
    """
    ### BEGIN SOLUTION
    return 1.0 - np.asarray(terminated, dtype=float)  # (0.2); truncation plays no part
    ### END SOLUTION


# %% [markdown] hints="bootstrap_mask"
# <details><summary>Do I need both arguments?</summary>
#
# Read (0.2) again. A function may be given more than it needs.
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
# difference should be B numbers:

# %%
prediction, target = np.ones((3, 1)), np.array([1.0, 2.0, 3.0])
print("shape of the difference:", (prediction - target).shape)

# %% [markdown]
# Nine numbers: every prediction compared with every target, and no error message. Published implementations have had this
# bug. The mean squared error pairs row $i$ with row $i$, and with nothing else:
#
# $$\mathrm{MSE} = \frac1B\sum_{i=1}^{B}\big(\hat y_i - y_i\big)^2 \tag{0.3}$$

# %% [markdown] task="mean_squared_error"
# ### Exercise 0.3 · `mean_squared_error`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (0.3), without a factor ½. `prediction` may have the shape (B, 1) or (B,); `target` has (B,).


# %% exercise="mean_squared_error" points=1
def mean_squared_error(prediction, target):
    """The mean squared error (0.3).

    prediction: (B, 1) or (B,); target: (B,), B ≥ 1. Returns a float.
    """
    ### BEGIN SOLUTION
    error = prediction.reshape(target.shape) - target  # (B,): row i with row i
    return float(np.mean(error**2))  # (0.3)
    ### END SOLUTION


# %% [markdown] hints="mean_squared_error"
# <details><summary>What do I do about the two shapes?</summary>
#
# Bring both to (B,) before you subtract. Arrays have several methods that change a shape and not the numbers.
# </details>
# <details><summary>In which order: mean, square, difference?</summary>
#
# Read (0.3) from the inside out.
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
# An agent and its world take turns. The world shows a state $s$, the agent's **policy** chooses an action $a$, the world
# answers with a reward $r$ and the next state $s'$, until one of the two flags says stop:
#
# $$s_0,\ a_0,\ r_0,\ s_1,\ a_1,\ r_1,\ \dots \qquad a_t \sim \pi(\cdot\,|\,s_t) \tag{0.4}$$
#
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
# ### Exercise 0.4 · `run_episode`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Run one episode, (0.4), and return its rewards, in order, and whether it *terminated*.
#
# - One `reset()`, without arguments; one call of `policy(state, rng)` a step; no step after the end.
# - Either flag ends the episode. The second result says how: `True` only for a terminal state.


# %% exercise="run_episode" points=2
def run_episode(env, policy, rng):
    """Run one episode (0.4).

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
# Before it: reset. In it: ask the policy, step, keep the reward. It ends when one of *two* things is true.
# </details>
# <details><summary>What is easily forgotten?</summary>
#
# That the policy must see the *new* state in the next round; and that the step which ends the episode pays a reward too.
# </details>
# <details><summary>What do I return?</summary>
#
# An array made of the list of rewards, and one of the two flags. Which of them says that nothing comes afterwards?
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
ax = plots.bars(
    {name: g.mean(axis=1) for name, g in G.items()}, ylabel="mean return of 30 episodes"
)
plots.show(ax, alt="Mean return of two policies in a small world over ten seeds; the one that prefers right and up "
           "does better.")  # fmt: skip
for name in policies:
    print(f"{name:13} mean return {G[name].mean():.2f}, terminated {arrived[name].mean():.0%}")

# %% [markdown]
# Whoever arrives sooner has a larger return: the same 1 is paid at the goal, but multiplied by γ once less for every step
# saved.
#
# **Change one thing.** Set `max_steps` to 8 in the cell before the figure, and run both cells again. **What to look for:** fewer
# episodes terminate, and both policies look worse. Has the world become harder? No: we only stopped watching. That is
# truncation.

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** With γ = 0.99, about how many steps ahead does an agent look? With γ = 0.5?
#
# <details><summary>Answer</summary>
#
# The weights add up to 1/(1 − γ): about 100 steps, and about 2. It is a soft horizon: nothing is forgotten altogether.
# </details>
#
# **2.** CartPole stops when the pole falls, and also after 500 steps. Which flag is which? What would an agent learn that takes
# the second for the first?
#
# <details><summary>Answer</summary>
#
# Falling terminates, 500 steps truncate. It would learn that even a perfectly balanced pole is worth little shortly before
# step 500; and since it cannot see the clock, that balanced poles are worth less everywhere.
# </details>

# %% [markdown]
# ## What we hand on
#
# $$G = \sum_{t=0}^{T-1}\gamma^t\,r_t$$
#
# A number for what *has* happened. Lesson 01 asks what happens on *average*: it needs a description of the world in which
# averages can be computed.
