# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08 · Deep Q-networks
#
# Part II · 06 → 07 → **08** → 09 → Part III
#
# - **You will be able to** train a network with PyTorch; replace the table of Q-learning by one, say what breaks
#   when you do, and build the repairs: a memory, a slow copy of the network, a loss that outliers cannot rule. Then
#   your own agent, from the first random push to the last step of the optimiser, balances a pole.
# - **Builds on** lesson 05 (Q-learning, ε-greedy), lesson 00 (stop-gradient; terminated and truncated), and
#   lessons 06 and 07 (semi-gradients, fitted Q-iteration, the deadly triad). What is needed of these two is repeated below.
# - **Time** two sittings of 90 minutes alone (a break is marked), 90 minutes as a lecture.
# - **Sources** Mnih et al. 2015 (DQN); Lin 1992 (replay); Lillicrap et al. 2016 (the averaged target); Sutton &
#   Barto, 2nd edition, §11.2–11.3; the CS 224R tutorial slides on Q-learning; a Chinese pseudocode collection
#   of twelve algorithms.

# %%
import tempfile
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import torch
from torch.nn.functional import mse_loss, smooth_l1_loss
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from rlcourse.checker import authorship, check, whose
from rlcourse.lab import plots, videos
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.networks import QNetwork, mlp
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.progress import progress, seeds
from rlcourse.lab.replay import Batch
from rlcourse.lab.seeding import torch_seed
from rlcourse.tabular import control
from rlcourse.values.assembled import AssembledDQN
from rlcourse.values.dqn import DQN
from rlcourse.values.figures import Watch, random_memory, values_while_learning

torch.set_num_threads(1)  # networks as small as ours gain nothing from a second one

# %% [markdown]
# ## What we inherit
#
# Lesson 05 moved one entry of a table towards the target $r + \gamma(1-d)\max_{a'}q(s',a')$. Lesson 07 did it for
# functions $\hat q(s,a;w)$ of a few weights and for a whole log of transitions $(s_i, a_i, r_i, s'_i, d_i)$ at once.
# **Fitted Q-iteration** writes a label beside every transition, with the weights it has, and then solves a
# regression for the next weights:
#
# $$\begin{aligned}
# y_i &= r_i + \gamma\,(1-d_i)\max_{a'}\hat q(s'_i,a';w_k),\\
# w_{k+1} &= \arg\min_w \sum_i\big(\hat q(s_i,a_i;w) - y_i\big)^2
# \end{aligned} \tag{8.1}$$
#
# Which part of that cannot be computed any more? With a neural network, the **arg min**. Nobody solves that exactly;
# we take small gradient steps. And the log is not given: the agent writes it while it learns. So (8.1) becomes
#
# $$\begin{aligned}
# L(\phi) &= \mathbb E_{(s,a,r,s',d)\sim\mathcal D}\Big[\big(Q_\phi(s,a) - y\big)^2\Big],\\
# y &= r + \gamma\,(1-d)\max_{a'}Q_\phi(s',a')
# \end{aligned} \tag{8.2}$$
#
# and every symbol of it raises a question. What is $Q_\phi$, and how does one take a gradient step? Where does $\mathcal D$ come from? May φ stand on both
# sides? And why a square? This lesson answers them in turn.

# %% [markdown]
# ## Guess first
#
# In **CartPole** a pole stands on a cart. You see four numbers (position, velocity, angle, angular velocity) and push
# left or right. Every step pays 1. The episode terminates when the pole leans too far or the cart leaves the track,
# and is cut off after 500 steps.
#
# The four numbers are of different sizes: the track ends at 2.4, and the pole counts as fallen at an angle of 0.21 radians. A network that gets them
# as they are hardly sees the angle. So each is divided by a size that is usual for it.


# %%
USUAL = np.array([2.4, 2.0, 0.21, 2.0], dtype=np.float32)


class Scaled(gym.ObservationWrapper):
    """CartPole's four numbers, all about as large as 1."""

    def observation(self, observation):
        return observation / USUAL


def cart_pole(render_mode=None):
    return Scaled(gym.make("CartPole-v1", render_mode=render_mode))


# %% [markdown]
# Every reward is 1 and γ = 0.99, so nothing in this world is worth more than $1+\gamma+\gamma^2+\dots = 1/(1-\gamma) = 100$.
#
# Now write down 20 000 steps of an agent that pushes at random, and train a network on that log with (8.2), as it stands:
# a thousand gradient steps, with stop-gradient on $y$, a good optimiser, a usual step size. **How much will the
# network believe a typical state to be worth?**
#
# **A** about 20 · **B** about 60 · **C** nearly 100 · **D** more than 100
#
# <details><summary>I have voted. What happens?</summary>
#
# D: thousands. And it goes on rising. You will see the curve below, in "Tail chasing", and why: the label of each
# regression is made by the network that is being fitted.
# </details>

# %% [markdown]
# ## A primer of PyTorch
#
# Half an hour for whoever has not trained a network before; everybody else goes straight to exercise 8.1. No
# reinforcement learning yet: we fit a curve to noisy points $y = \sin x$.
#
# A **module** is a function with weights of its own. Its class says in `__init__` which layers it has, and in `forward` what they do to a batch of
# inputs; `net(x)` calls `forward`. A layer that is assigned to `self` is *registered*: its weights are among `net.parameters()`, which is what
# everybody trains, copies and counts.


# %%
class Curve(torch.nn.Module):
    """One number in, one number out, through 32 hidden units."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = torch.nn.Linear(1, 32), torch.nn.Linear(32, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


with torch_seed(0):
    net = Curve()
for name, p in net.named_parameters():
    print(f"{name:14} {tuple(p.shape)}")
five = torch.zeros(5, 1)
print(f"five numbers in: {tuple(five.shape)}; out: {tuple(net(five).shape)}")

# %% [markdown]
# The batch comes first: five inputs of one number are a column (5, 1), and so is what comes out.
#
# **Gradients.** Whatever is computed from a weight remembers how. From the last number, `backward()` walks that memory back and *adds* the derivative with respect to each
# weight to the weight's `.grad`. A weight is a **leaf** of that memory: it was made, not computed. Guess the three numbers before you run the cell: the derivative of
# $w^2$ at 3, and then?

# %%
w = torch.tensor(3.0, requires_grad=True)
(w**2).backward()
first = w.grad.item()
(w**2).backward()
second = w.grad.item()
w.grad = None  # what an optimiser's zero_grad() does
(w**2).backward()
print(f"once {first:g}, twice {second:g}, after clearing {w.grad.item():g}")
assert (first, second, w.grad.item()) == (6, 12, 6)

# %% [markdown]
# So `.grad` adds up until somebody clears it. Two more habits of PyTorch, which will meet us again:

# %%
try:
    w += 1  # in place: the leaf itself would change
except RuntimeError as error:
    print(f"refused: {error}")
with torch.no_grad():  # nothing in this block is remembered
    w += 1
    halved = w / 2
print(f"w is {w.item():g} now. Does its half remember where it comes from? {halved.requires_grad}")

# %% [markdown]
# An operation **in place** changes a tensor instead of making a new one; on a leaf that wants gradients it is refused, because the memory would be wrong. Under
# `torch.no_grad()` nothing is remembered, and it is allowed. That is how an **optimiser** works: an object that holds the weights, and whose `step()` changes them in place,
# along whatever `.grad` holds at that moment (gradient descent by a multiple of it; Adam, our usual one, in a cleverer way).
#
# To fit a curve, the **loss** is the mean squared distance between predictions and labels, over the batch:
#
# $$L(\theta) = \frac1B\sum_{b=1}^B\big(f_\theta(x_b) - y_b\big)^2 \tag{8.3}$$
#
# One step of training needs the loss, cleared gradients, `backward`, and a step of the optimiser. In an order that works.

# %% [markdown] task="training_step"
# ### Exercise 8.1 · `training_step`
# **Points** 1 · **Difficulty** ●○○ · **Time** 10 min
#
# Take **one** step of `optimizer` on the loss (8.3).
#
# - `net` maps `(B, n)` to a column `(B, 1)`; `x` is `(B, n)`, `y` is `(B,)`. Bring both to `(B,)` before you subtract.
# - Stale gradients may be lying in the weights when you are called.
# - Return the loss as it was **before** the step, as a float or a tensor of shape ().


# %% exercise="training_step" points=1
def training_step(net, optimizer, x, y):
    """One step of the optimiser on (8.3), in place.

    net: (B, n) -> (B, 1); x: (B, n); y: (B,). Returns the loss before the step.
    """
    ### BEGIN SOLUTION
    loss = ((net(x).squeeze(1) - y) ** 2).mean()  # (8.3)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% [markdown] hints="training_step"
# <details><summary>How do I take the extra dimension away?</summary>
#
# `squeeze(1)`, `flatten()` and `[:, 0]` all make a row (B,) of a column (B, 1). Print the shape of the difference: it should be that of `y`.
# </details>
# <details><summary>In which order do the four lines come?</summary>
#
# Ask of each one what it uses and what it leaves behind. The optimiser uses `.grad`; `backward` adds to `.grad`, and needs the weights with which the loss was computed; clearing
# empties `.grad`.
# </details>
# <details><summary>PyTorch says "modified by an inplace operation".</summary>
#
# Between the loss and its `backward` somebody has changed a weight. Who changes weights here?
# </details>

# %% check="training_step"
training_step = check("training_step")

# %% [markdown]
# Your step, 1500 times, on 100 noisy points:

# %%
rng = np.random.default_rng(0)
xs = torch.tensor(rng.uniform(-3, 3, size=(100, 1)), dtype=torch.float32)
ys = torch.sin(xs[:, 0]) + 0.1 * torch.tensor(rng.normal(size=100), dtype=torch.float32)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
grid = torch.linspace(-4, 4, 161)[:, None]
drawn, losses = {}, []
for step in range(1_501):
    if step in (0, 100, 1_500):
        with torch.no_grad():
            drawn[f"after {step} steps"] = net(grid)[:, 0].numpy()
    losses.append(float(training_step(net, optimizer, xs, ys)))
print(f"loss at the start {losses[0]:.3f}, at the end {losses[-1]:.4f}; the noise alone makes 0.01")
assert losses[-1] < 0.015

# %% tags=["hide-input"]
ax = plots.curves(drawn, x=grid[:, 0], xlabel="x", ylabel="y")
ax.plot(xs[:, 0], ys, ".", color=plots.INK, markersize=4)
plots.show(ax, alt="A hundred noisy points along a sine wave. The untrained network is a nearly flat line, after 100 steps it "
           "follows the wave roughly, after 1500 closely; beyond the points, outside of −3 to 3, it goes its own way.")  # fmt: skip

# %% [markdown]
# Where there are points, the network is good; left and right of them it says *something*. Keep that in mind: it will be asked about actions that nobody tried.
#
# Change something: four hidden units instead of 32, a step size of 1, no `zero_grad`.
#
# **And now a network of your own.** `Yours` has one layer, so it is a straight line, and a sine is none. Complete it: a hidden layer in `__init__`, and what it does to the batch in `forward`. The cell looks at three things. Does a column come out
# for a column? Are all your layers registered, and has each of their weights got a gradient? And is the loss near that of the noise, 0.01?
#
# Then put your hidden layer into a plain list, `self.layers = [torch.nn.Linear(1, 32)]`. Nothing raises. What has changed in the output?


# %%
class Yours(torch.nn.Module):
    """One number in, one number out. So far a straight line: yours to complete."""

    def __init__(self):
        super().__init__()
        self.out = torch.nn.Linear(1, 1)

    def forward(self, x):
        return self.out(x)


def looked_over(made):
    """Train a fresh network 600 steps on the sine; say what it is, and return its last loss."""
    with torch_seed(0):
        own = made()
    print(f"in {tuple(five.shape)}, out {tuple(own(five).shape)}; registered:")
    adam = torch.optim.Adam(own.parameters(), lr=1e-2)
    last = [float(training_step(own, adam, xs, ys)) for _ in range(600)][-1]
    for name, p in own.named_parameters():
        got = "no gradient" if p.grad is None or not p.grad.any() else "a gradient"
        print(f"  {name:14} {tuple(p.shape)}, {got}")
    print(f"loss after 600 steps: {last:.3f}")
    return last


straight = looked_over(Yours)

# %% [markdown]
# ## A head for every action
#
# There are two ways to make a network of $Q(s,a)$. It can take the state *and* the action in, and give one number out. Or
# it can take the state in, and give one number for every action out:
#
# $$\begin{aligned}
# Q_\phi(s,a) &= \text{network}_\phi(s,a)\in\mathbb R\qquad\text{or}\\
# \big(Q_\phi(s,0),\dots,Q_\phi(s,A-1)\big) &= \text{network}_\phi(s)\in\mathbb R^A
# \end{aligned}$$
#
# We need $\max_{a'}Q_\phi(s',a')$ for every label, and $\arg\max_a$ for every step. The first form has to be asked $A$
# times for that, the second once.

# %%
obs = torch.tensor(rng.normal(size=(5, 4)), dtype=torch.float32)
with torch_seed(0):
    one_number, heads = mlp([4 + 2, 64, 64, 1]), QNetwork(obs_dim=4, n_actions=2)

every_action = torch.eye(2).repeat(5, 1)  # 01, 10, 01, 10, …
asked = torch.cat([obs.repeat_interleave(2, dim=0), every_action], dim=1)
q = one_number(asked).view(5, 2)
print(f"{len(asked)} rows through the first network make Q of shape {tuple(q.shape)}")
print(f"{len(obs)} rows through the second one make Q of shape {tuple(heads(obs).shape)}")
assert q.shape == heads(obs).shape == (5, 2)

# %% [markdown]
# So DQN has a head per action. (With infinitely many actions there can't be a head for each. Then the first form comes
# back, and its maximum becomes a problem of its own: lesson 14.)

# %% [markdown]
# ## Where the data come from
#
# The agent's own steps arrive one after the other, and neighbours look alike. Is a batch of 32 *consecutive* steps as good
# as 32 steps picked from everywhere?

# %% [markdown]
# ### Talk to your neighbour
# How many steps, picked independently, tell as much about the pole's mean angle as 32 consecutive ones?
#
# **A** 32 · **B** about 16 · **C** fewer than 5
#
# <details><summary>What the next cells will show</summary>
#
# C: about three. Neighbours nearly say the same thing twice.
# </details>

# %% [markdown]
# Let $x_t$ be anything that we average over a batch (a gradient, say), with variance
# σ² and autocorrelation $c_k$ between steps that are $k$ apart. Multiply out the square of the mean; the pair $(t, t+k)$
# occurs $B-k$ times, in both orders:
#
# $$\mathrm{Var}\Big[\frac1B\sum_{t=1}^B x_t\Big] = \frac{\sigma^2}{B}\Big[1 + 2\sum_{k=1}^{B-1}\Big(1-\frac kB\Big)c_k\Big] \tag{8.4}$$
#
# Without correlation the bracket is 1. Let us measure it, for the pole's angle under random pushes.

# %%
memory = random_memory(cart_pole, 20_000, seed=0)
angle = memory.rows(np.arange(len(memory))).obs[:, 2].double().numpy()
angle = (angle - angle.mean()) / angle.std()

B, k = 32, np.arange(32)
shuffled = rng.permutation(angle)
bracket, correlation = {}, {}
for name, series in {"consecutive steps": angle, "drawn from the memory": shuffled}.items():
    c = np.array([np.mean(series[: len(series) - lag] * series[lag:]) for lag in k])
    said = 1 + 2 * np.sum((1 - k[1:] / B) * c[1:])
    found = B * series.reshape(-1, B).mean(axis=1).var()
    print(f"{name}: the bracket of (8.4) is {said:.1f}, measured {found:.1f}")
    assert abs(found / said - 1) < 0.2
    bracket[name], correlation[name] = said, c
worth = B / bracket["consecutive steps"]
print(f"{B} consecutive steps tell as much as {worth:.1f} independent ones")
assert worth < 5

# %% tags=["hide-input"]
ax = plots.curves(correlation, x=k, xlabel="steps apart", ylabel="correlation of the pole's angle")
plots.show(ax, alt="Autocorrelation of the pole's angle: near 1 for neighbouring steps and falling slowly when "
           "steps are consecutive; 0 when they are drawn from a memory.")  # fmt: skip

# %% [markdown]
# That is the first reason for a **replay memory** (Lin 1992): keep the last transitions, and draw batches from all of them. There
# are two more. A transition is used many times instead of once. And what the network sees does not swing with what the
# agent happens to be doing: a network that is trained on one corner of the state space for a while forgets the others.
#
# Learning from old transitions is allowed because Q-learning is **off-policy**: the target in (8.2) never asks who chose $a$.

# %% [markdown] task="ReplayBuffer"
# ### Exercise 8.2 · `ReplayBuffer`
# **Points** 3 · **Difficulty** ●●○ · **Time** 20 min
#
# Write the memory $\mathcal D$ of (8.2). It has room for `capacity` transitions; when it is full, the newest one takes the place of
# the oldest.
#
# - `add(obs, action, reward, next_obs, terminated)` stores one transition: `obs`, `next_obs` are NumPy arrays of `obs_dim`
#   numbers. The n-th one added (from 0) goes to slot n mod `capacity`. Store a *copy*: the caller may use its arrays again.
# - `len(buffer)` is the number of transitions stored.
# - `sample(batch_size, rng)` draws slots with one call, `rng.integers(len(self), size=batch_size)`, and returns a
#   `Batch(obs, action, reward, next_obs, terminated)` of tensors: observations float32 `(B, obs_dim)`, actions int64 `(B,)`,
#   reward and terminated float32 `(B,)`. Writing to these tensors must not change the memory.
# - An empty memory raises `ValueError` when asked for a sample.


# %% exercise="ReplayBuffer" points=3
class ReplayBuffer:
    """The last `capacity` transitions, in a ring.

    add: obs, next_obs (obs_dim,), action int, reward float, terminated bool.
    sample: a Batch of batch_size rows, drawn uniformly with replacement.
    """

    def __init__(self, capacity, obs_dim):
        ### BEGIN SOLUTION
        self.capacity, self.added = capacity, 0
        self.obs = np.zeros((capacity, obs_dim), dtype=np.float32)
        self.next_obs = np.zeros((capacity, obs_dim), dtype=np.float32)
        self.action = np.zeros(capacity, dtype=np.int64)
        self.reward = np.zeros(capacity, dtype=np.float32)
        self.terminated = np.zeros(capacity, dtype=np.float32)
        ### END SOLUTION

    def __len__(self):
        ### BEGIN SOLUTION
        return min(self.added, self.capacity)
        ### END SOLUTION

    def add(self, obs, action, reward, next_obs, terminated):
        ### BEGIN SOLUTION
        slot = self.added % self.capacity
        self.obs[slot], self.next_obs[slot] = obs, next_obs
        self.action[slot], self.reward[slot], self.terminated[slot] = action, reward, terminated
        self.added += 1
        ### END SOLUTION

    def sample(self, batch_size, rng):
        ### BEGIN SOLUTION
        if self.added == 0:
            raise ValueError("The memory is empty.")
        slots = rng.integers(len(self), size=batch_size)
        columns = (self.obs, self.action, self.reward, self.next_obs, self.terminated)
        return Batch(*(torch.from_numpy(column[slots]) for column in columns))
        ### END SOLUTION


# %% [markdown] hints="ReplayBuffer"
# <details><summary>What do I have to keep?</summary>
#
# Five arrays with one row a slot, made once, and a count of all the transitions that were ever added. The slot of the next
# one, and the length, both follow from that count.
# </details>
# <details><summary>How does the ring close?</summary>
#
# The remainder of a division counts 0, 1, …, capacity − 1 and begins again. Nothing has to be moved: writing over a slot
# forgets what was there.
# </details>
# <details><summary>The check says that something is shared, or has the wrong dtype.</summary>
#
# Assigning numbers *into* an array that you own copies them, and turns them into its dtype; putting an array into a list keeps
# the array itself. On the way out, indexing with an array of slots makes a copy, and `torch.from_numpy` keeps the dtype.
# </details>

# %% check="ReplayBuffer"
ReplayBuffer = check("ReplayBuffer")

# %% [markdown]
# Five transitions into a memory for three, and what can still be drawn:

# %%
small = ReplayBuffer(3, 4)
for n in range(5):
    small.add(np.zeros(4, np.float32), 0, float(n), np.zeros(4, np.float32), False)
remembered = sorted(set(small.sample(200, rng).reward.tolist()))
print(f"{len(small)} are kept, with the rewards {remembered}")
assert remembered == [2.0, 3.0, 4.0]

# %% [markdown]
# ## What is an end?
#
# The label of (8.2), for a batch, from the $A$ values that a network gives for each next state:
#
# $$y_i = r_i + \gamma\,(1-d_i)\max_{a'}Q(s'_i,a') \tag{8.5}$$
#
# Nothing new since lesson 05, and yet one letter deserves a second look: $d$. An episode of CartPole ends when the pole has
# fallen (**terminated**), or when 500 steps are over (**truncated**). After a fall there is nothing more to come. After the
# 500th step there would have been: somebody stopped the clock, and the observation has no clock in it. Suppose you balance for ever.
# What is that worth, if time limits count as ends, and if they do not?

# %%
gamma = 0.99
for step in (0, 250, 450, 499):
    left = 500 - step
    print(f"at step {step:3}: {(1 - gamma**left) / (1 - gamma):5.1f} if the limit ends everything, "
          f"{1 / (1 - gamma):.0f} if it only stops the clock")  # fmt: skip

# %% [markdown]
# The first column gives *the same observation* values from 1 to 99, depending on something that the network cannot see.
# No function of $s$ can fit that. So $d$ is `terminated`, never `terminated or truncated`, in the memory and in (8.5).

# %% [markdown]
# ## Who acts
#
# The agent is ε-greedy, as in lesson 05, and everything that it lives through goes into the memory:
#
# $$\begin{aligned}
# a &= \begin{cases}\text{any action, each as likely} & \text{with probability } \varepsilon\\
# \arg\max_{a'}Q_\phi(s,a') & \text{otherwise}\end{cases}\\
# \mathcal D &\leftarrow \mathcal D \cup \{(s,a,r,s',d)\}
# \end{aligned} \tag{8.6}$$
#
# At first the network knows nothing, so the agent should nearly always explore; later it
# should mostly do what it has learned. A straight line between the two, and then a constant. (For the Atari games of the paper ε fell from 1 to 0.1 over a million frames. Ours takes eight thousand steps.)


# %%
def epsilon_schedule(step, start=1.0, end=0.04, decay_steps=8_000):
    """ε at this step: in a line from `start` to `end`, and then `end`."""
    return start + (end - start) * min(step / decay_steps, 1.0)


for step in (0, 2_000, 4_000, 8_000, 50_000):
    print(f"step {step:6}: ε = {epsilon_schedule(step):.2f}")

# %% [markdown]
# Acting and storing looks like a line or two. Most of the bugs of real agents live in it: they raise no error, and the agent learns something else than you think. So you write it once yourself.

# %% [markdown] task="play_step"
# ### Exercise 8.3 · `play_step`
# **Points** 3 · **Difficulty** ●●○ · **Time** 20 min
#
# Live through one step (8.6): choose an action, take the step, store it, go on.
#
# - `env` is a plain Gymnasium environment: `reset()` returns `(obs, info)`, `step(a)` returns `(obs, reward, terminated, truncated, info)`. It never
#   resets by itself, and to step on after an end is not allowed. Both flags may be set at once.
# - `agent` has `q_net`, `epsilon`, and `obs`: the NumPy array `(obs_dim,)`, float32, that the environment shows now. So it should be again when your function ends.
# - **Choose** with these draws from `rng`, and no others: a coin, `rng.random() < agent.epsilon`, and if it says so, the action `int(rng.integers(env.action_space.n))`. Otherwise the
#   action of the first largest value, as an int.
# - **Store** with `buffer.add(obs, action, reward, next_obs, terminated)`, which copies.
# - An episode that is over, in either way, is followed by a new one: one `env.reset()`, without a seed.
# - Return the reward (a float) and whether the episode is over (a bool).
#
# **For you to decide:** in the last step of an episode, which observation is $s'$?


# %% exercise="play_step" points=3
def play_step(env, agent, buffer, rng):
    """One interaction (8.6). Returns (reward, over).

    agent: q_net, epsilon, obs; agent.obs moves on.
    """
    ### BEGIN SOLUTION
    if rng.random() < agent.epsilon:
        action = int(rng.integers(env.action_space.n))
    else:
        with torch.no_grad():
            action = int(agent.q_net(torch.from_numpy(agent.obs)[None]).argmax())
    next_obs, reward, terminated, truncated, _ = env.step(action)
    buffer.add(agent.obs, action, reward, next_obs, terminated)  # where the step led, at an end too
    over = terminated or truncated
    agent.obs = env.reset()[0] if over else next_obs
    return float(reward), over
    ### END SOLUTION


# %% [markdown] hints="play_step"
# <details><summary>How do I ask the network about a single observation?</summary>
#
# It wants a batch: `torch.from_numpy(x)[None]` has the shape (1, obs_dim). Nothing is trained here, so no gradient is needed. `argmax()` gives a tensor; an environment wants an int.
# </details>
# <details><summary>Which observation goes where?</summary>
#
# There are up to three in one call: the one in which the action was chosen, the one that `step` returned, and, if the episode is over, the one that `reset` returned. Give each a name of its own, and
# ask of each: is it the end of *this* step, or the beginning of the next one?
# </details>
# <details><summary>It works for a while, then the check says that something about an end is wrong.</summary>
#
# Write down the last step of an episode that is cut off, and the first of the next one: what is stored, what does `agent.obs` hold, what is returned? Then the same for an episode that
# terminates. Only d differs.
# </details>

# %% check="play_step"
play_step = check("play_step")

# %% [markdown]
# What does a memory look like that your function has written? 500 steps of an untrained network, half of them random. Wherever an episode goes on, the $s'$ of one row
# is the $s$ of the next. And at an end?

# %%
with torch_seed(0):
    agent = SimpleNamespace(q_net=QNetwork(4, 2), epsilon=0.5)
env, lived, rng_play = cart_pole(), ReplayBuffer(500, 4), np.random.default_rng(0)
agent.obs, _ = env.reset(seed=0)
overs = np.array([play_step(env, agent, lived, rng_play)[1] for _ in range(500)])
env.close()
drawn_rows = lived.sample(2_000, np.random.default_rng(1))
tilt = drawn_rows.next_obs[:, 2].abs() * USUAL[2]
out = (tilt > 0.2094) | (drawn_rows.next_obs[:, 0].abs() * USUAL[0] > 2.4)  # 12 degrees; the track
ended, went_on = out[drawn_rows.terminated == 1], out[drawn_rows.terminated == 0]
share = drawn_rows.terminated.mean()
print(f"{overs.sum()} episodes in 500 steps; d is 1 in {share:.1%} of the rows drawn")
print(f"their s': {'all have fallen' if ended.all() else 'some stand'}; "
      f"of the others: {'some have fallen' if went_on.any() else 'all stand'}")  # fmt: skip
assert ended.all() and not went_on.any()

# %% [markdown]
# A memory in which a fall leads to a pole that stands again, or one in which $d$ is never 1, would have trained without an error message. You will meet such an agent at the end of this lesson.

# %% [markdown]
# ## The model on both sides
#
# In (8.2) φ stands on both sides of the minus sign. With $\delta = y - Q_\phi(s,a)$, $g = \nabla_\phi Q_\phi(s,a)$ and
# $g' = \nabla_\phi\max_{a'}Q_\phi(s',a')$, the chain rule gives for one transition that does not terminate
#
# $$\begin{aligned}
# \nabla_\phi\,\tfrac12\,\delta^2 &= -\delta\,\big(g - \gamma\,g'\big) && \text{if } y \text{ moves along},\\
# \nabla_\phi\,\tfrac12\,\delta^2 &= -\delta\,g && \text{if } y \text{ is a constant}
# \end{aligned} \tag{8.7}$$
#
# Q-learning wants the second one. A label says what the prediction should be; it is not there to be moved. (The first would also lower
# the error by pulling the *label* towards the prediction.) In PyTorch a constant is what is computed under `torch.no_grad()`: the
# **stop-gradient** of lesson 00.


# %%
def gradient(value, network):
    """All derivatives of a number with respect to a network's weights, in one row."""
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, network.parameters())])


with torch_seed(1):
    network = QNetwork(4, 2).double()  # double precision: we look at small differences
s, s_next, a = memory.rows([3]).obs[0].double(), memory.rows([3]).next_obs[0].double(), 1

y = 1.0 + gamma * network(s_next).max()
delta, g = (y - network(s)[a]).item(), gradient(network(s)[a], network)
g_next = gradient(network(s_next).max(), network)
full = gradient((y - network(s)[a]) ** 2 / 2, network)
semi = gradient((y.detach() - network(s)[a]) ** 2 / 2, network)
assert torch.allclose(full, -delta * (g - gamma * g_next)) and torch.allclose(semi, -delta * g)
print(f"length of the two gradients: {full.norm():.3f} and {semi.norm():.3f}")

# %% [markdown]
# ## Tail chasing
#
# Stop-gradient keeps the label out of the *gradient*. It does not keep the label *still*. Take one step $\phi \leftarrow \phi + \alpha\,\delta\,g$.
# To first order the prediction moves by $g\cdot(\alpha\,\delta\,g)$ and the label by $\gamma\,g'\cdot(\alpha\,\delta\,g)$. What is left of the error?
#
# $$\begin{aligned}
# \delta_{\text{new}} &= \delta - \alpha\,\delta\,\big(\|g\|^2 - \gamma\,g'\!\cdot g\big)\\
# &= \delta\,\big(1 - \alpha\|g\|^2\,(1-\kappa)\big),\qquad \kappa = \frac{\gamma\,g'\!\cdot g}{\|g\|^2}
# \end{aligned} \tag{8.8}$$
#
# κ says how fast the label runs away, as a share of our own speed. In a table, κ = 0 (for $s' \ne s$): $s'$ has entries of its own. In a
# network $s'$ is the neighbour of $s$, looks much like it, and shares all its weights.

# %% [markdown]
# ### Talk to your neighbour
# For a fresh network, and a step of CartPole after which the same action is best again, κ is mostly
#
# **A** nearly 0 · **B** about ½ · **C** nearly 1
#
# And what would κ > 1 mean?

# %%
alpha, kappa_here = 1e-4, gamma * (g_next @ g / (g @ g)).item()
with torch.no_grad():
    start = 0
    for p in network.parameters():
        p += alpha * delta * g[start : start + p.numel()].view_as(p)
        start += p.numel()
left = (1.0 + gamma * network(s_next).max() - network(s)[a]).item() / delta
said = 1 - alpha * (g @ g).item() * (1 - kappa_here)
print(f"κ = {kappa_here:.3f}. Share of the error that is left: {left:.7f}, by (8.8): {said:.7f}")
assert abs(left - said) < 0.02 * abs(1 - said)

# %%
batch = memory.rows(rng.integers(len(memory), size=400))
kappa = {"the same head": [], "the other head": []}
for s, a, s_next, d in zip(batch.obs, batch.action, batch.next_obs, batch.terminated, strict=True):
    if d == 0:
        q, q_next = network(s.double()), network(s_next.double())
        g, g_next = gradient(q[a], network), gradient(q_next.max(), network)
        same = "the same head" if q_next.argmax() == a else "the other head"
        kappa[same].append(gamma * (g_next @ g / (g @ g)).item())
for head, values in kappa.items():
    above = np.mean(np.array(values) > 1)
    print(f"{head}: median κ = {np.median(values):.2f}; above 1 in {above:.0%} of the transitions")

# %% tags=["hide-input"]
ax = plots.axes()
colours = [plots.PALETTE["blue"], plots.PALETTE["orange"]]
ax.hist(list(kappa.values()), bins=40, stacked=True, color=colours, label=list(kappa))
ax.axvline(1, color=plots.INK, linewidth=1.5)
ax.legend(title="the label comes out of")
ax.set(xlabel="κ: the label's step for one step of the prediction", ylabel="transitions")
plots.show(ax, alt="Histogram of κ over transitions of CartPole with a fresh network, two humps: around 0.97, and partly "
           "beyond 1, where prediction and label come out of the same head; a little below 0 otherwise.")  # fmt: skip

# %% [markdown]
# There are two humps. In the left one the best action in $s'$ is not $a$: label and prediction come out of two heads and share only the layers
# below. In the right one it is the same action, and the label flees almost as fast as we come: that is the **tail chasing** of the tutorial slides. Where κ > 1, every step makes the error *larger*, whatever the step
# size. A regression cannot settle on such labels.
#
# So here is the answer to your guess. Two networks learn from the memory of random pushes by (8.2) as it stands. Two more
# get their labels from a slow copy, which is what we come to next.


# %%
# about 5 s
def agents(rho):
    return [DQN(obs_dim=4, n_actions=2, seed=seed, rho=rho) for seed in range(2)]


chased = {
    "no target network": values_while_learning(agents(0.0), memory, 1_000),
    "target network, ρ = 0.98": values_while_learning(agents(0.98), memory, 1_000),
}
for name, values in chased.items():
    print(f"{name:25} after 1000 steps: {', '.join(f'{v:.0f}' for v in values[:, -1])}")

# %% tags=["hide-input"]
ax = plots.curves(chased, x=np.arange(0, 1_000, 20), xlabel="gradient steps",
                  ylabel="mean of max Q over states")  # fmt: skip
ax.axhline(1 / (1 - gamma), color=plots.INK, linewidth=1.5, linestyle=":")
ax.annotate("no value is higher than this", (540, 125))
ax.set_yscale("log")
ax.set_ylim(1, 1e6)
plots.show(ax, alt="Mean value believed against gradient steps, on a logarithmic scale. Without a target network it crosses "
           "100 within 300 steps and reaches thousands; with one it rises slowly to about 20.")  # fmt: skip

# %% [markdown]
# The two runs lie close together: this is no accident of a seed. Nothing is wrong with the code, the optimiser or the data, and the
# loss is being minimised at every single step.
#
# ## A target network
#
# The repair is to let the label be made by *another* set of weights, $\phi_{\text{targ}}$, that stands still while φ takes many steps:
#
# $$y = r + \gamma\,(1-d)\max_{a'}Q_{\phi_{\text{targ}}}(s',a') \tag{8.9}$$
#
# Between two changes of $\phi_{\text{targ}}$ the labels are fixed and κ = 0: this *is* the regression of (8.1), with a few
# gradient steps for the arg min. Then the copy is renewed, and the next iteration begins. What that does to the error, and what it does not do, you will compute in exercise 8.5.

# %% [markdown]
# ## A loss that one outlier cannot rule
#
# While labels are still being made up, some errors are huge. With ½δ² the gradient of each sample is its error times $g$: one sample
# with an error of 100 pulls as hard as a hundred with an error of 1. The **Huber** loss is the square near zero, and a straight line
# beyond:
#
# $$\begin{aligned}
# H_1(e) &= \begin{cases}\tfrac12 e^2 & |e|\le 1\\ |e|-\tfrac12 & |e|>1\end{cases}\\
# H_1'(e) &= \mathrm{clip}(e, -1, 1)
# \end{aligned} \tag{8.10}$$
#
# Below: the derivative, and what one outlier does to
# the gradient of a batch of 64.

# %%
e = torch.linspace(-4, 4, 201, requires_grad=True)
(slope,) = torch.autograd.grad(smooth_l1_loss(e, torch.zeros(201), reduction="sum"), e)
assert torch.allclose(slope, e.clamp(-1, 1))

batch = memory.rows(np.arange(64))
labels = heads(batch.obs)[:, 0].detach() + torch.tensor(rng.normal(size=64), dtype=torch.float32)
sizes = np.linspace(0, 100, 51)
pull = {"½ squared error": [], "Huber": []}
for size in sizes:
    labels[0] = heads(batch.obs)[0, 0].item() + size  # one sample is off by this much
    square = mse_loss(heads(batch.obs)[:, 0], labels) / 2
    huber = smooth_l1_loss(heads(batch.obs)[:, 0], labels)
    for line, loss in zip(pull.values(), (square, huber), strict=True):
        line.append(gradient(loss, heads).norm().item())
longer = {name: line[-1] / line[0] for name, line in pull.items()}
print(f"an error of 100 makes the gradient {longer['½ squared error']:.0f} times as long "
      f"with the square, {longer['Huber']:.1f} times with Huber")  # fmt: skip

# %% tags=["hide-input"]
left, right = plots.axes(1, 2, size="wide")
e = e.detach()
slopes = {"½ squared error": e, "Huber": slope}
plots.curves(slopes, x=e, xlabel="error e", ylabel="derivative", ax=left)
plots.curves(pull, x=sizes, xlabel="error of one of 64", ylabel="length of the gradient", ax=right)
plots.show(left, alt="Left: the derivative of half the squared error is a line, that of Huber is cut off at −1 and 1. Right: "
           "the length of a batch's gradient grows with one sample's error for the square and stays flat for Huber.")  # fmt: skip

# %% [markdown]
# The square's gradient first gets shorter: up to an error of about 12 the one sample pulls against the other 63. Then it pulls alone, and the further off it
# is, the harder. With Huber it never pulls harder than a sample whose error is 1.
#
# Put (8.9) and (8.10) into (8.2), with a batch from the memory for the expectation. This is **the loss of DQN**:
#
# $$\begin{aligned}
# L(\phi) &= \frac1B\sum_{b=1}^B H_1\big(Q_\phi(s_b,a_b) - y_b\big),\\
# y_b &= r_b + \gamma\,(1-d_b)\max_{a'}Q_{\phi_{\text{targ}}}(s'_b,a')
# \end{aligned} \tag{8.11}$$

# %% [markdown] task="dqn_loss"
# ### Exercise 8.4 · `dqn_loss`
# **Points** 3 · **Difficulty** ●●○ · **Time** 20 min
#
# Compute (8.11). Both networks map observations `(B, obs_dim)` to values `(B, n_actions)`; `batch` has the five fields of
# exercise 8.2, and `terminated` is 0 or 1, as float.
#
# - The check looks at the value *and* at the gradient: it must reach `q_net`, and nothing else.
# - Where the episode terminated, the values in $s'_b$ mean nothing.
# - `smooth_l1_loss` is imported; its mean over the batch is (8.10) with threshold 1.


# %% exercise="dqn_loss" points=3
def dqn_loss(q_net, target_net, batch, gamma):
    """The loss (8.11).

    q_net, target_net: obs (B, obs_dim) -> (B, n_actions); batch: obs, action (B,) int64, reward,
    next_obs, terminated; gamma: in [0, 1]. Returns a tensor of shape () with a gradient for q_net.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():  # a label is a constant (8.7)
        q_next = target_net(batch.next_obs).max(dim=1).values
        y = batch.reward + gamma * (1 - batch.terminated) * q_next  # (8.9)
    q_taken = q_net(batch.obs).gather(1, batch.action[:, None]).squeeze(1)  # Q(s, a), row by row
    return smooth_l1_loss(q_taken, y)  # (8.11)
    ### END SOLUTION


# %% [markdown] hints="dqn_loss"
# <details><summary>In which order do I write it?</summary>
#
# First the labels, from the next observations; then the predictions, from the observations; then the loss of the two. The label is exercise 5.4 in another library: write it as a function of its own, if you
# like. Print the shapes of labels and predictions before the last line: both should be (B,).
# </details>
# <details><summary>How do I pick one value out of every row?</summary>
#
# For the largest: a tensor's `max` along a `dim` returns two things together, the values and where they stand; you want one of the two. For the action that was taken: `gather` along dim 1 wants an index of shape (B, 1) and returns that shape; take the extra dimension away again afterwards. Indexing
# with two arrays, as in lesson 05, works as well.
# </details>
# <details><summary>Which line must not be differentiated?</summary>
#
# The one that makes labels. Put it into a block of `torch.no_grad()`, or detach its result.
# </details>

# %% check="dqn_loss"
dqn_loss = check("dqn_loss")

# %% [markdown]
# It holds the target of lesson 05. Where all predictions are 0 and labels small, the loss is half the mean of $y^2$: so $y$ can be read off, and compared.

# %%
r, q_next, d = 0.1 * rng.normal(size=6), 0.1 * rng.normal(size=(6, 2)), np.array([0, 1, 0, 0, 1, 0])
as_tensor = [torch.tensor(v, dtype=torch.float32) for v in (r, q_next, d)]
nothing = torch.zeros(6, dtype=torch.int64)
read_off = np.zeros(6)
for b in range(6):
    row = Batch(as_tensor[1][b : b + 1], nothing[:1], as_tensor[0][b : b + 1],
                as_tensor[1][b : b + 1], as_tensor[2][b : b + 1])  # fmt: skip
    half_square = dqn_loss(lambda obs: torch.zeros(1, 2), lambda obs: obs, row, 0.9).item()
    read_off[b] = np.sqrt(2 * half_square)
difference = np.abs(read_off - np.abs(control.q_learning_target(r, q_next, d, 0.9))).max()
print(f"largest difference to lesson 05's targets: {difference:.1e}")
assert difference < 1e-6

# %% [markdown]
# And its gradient? Move one weight a little to both sides and look at the loss: two numbers that should agree.

# %%
with torch_seed(2):
    q_net, target_net = QNetwork(4, 2).double(), QNetwork(4, 2).double()
batch = Batch(*(x.double() if x.is_floating_point() else x for x in memory.rows(np.arange(64))))
weight, h = q_net.layers[2].weight, 1e-6
(derivative,) = torch.autograd.grad(dqn_loss(q_net, target_net, batch, gamma), weight)
at = derivative.abs().argmax().item()  # the weight that matters most
losses = []
with torch.no_grad():
    for step in (h, -2 * h):
        weight.view(-1)[at] += step
        losses.append(dqn_loss(q_net, target_net, batch, gamma).item())
found, expected = (losses[0] - losses[1]) / (2 * h), derivative.view(-1)[at].item()
print(f"autograd {expected:.6f}, finite difference {found:.6f}")
assert abs(found - expected) < 1e-5

# %% [markdown]
# ## How much does a copy help?
#
# Make the model of (8.8) as small as it gets: one prediction $p$, and a label that follows it with the share κ. A step goes the share $\eta$ of the way to the label:
#
# $$\begin{aligned}
# y &= c + \kappa\,p,\qquad p \leftarrow p + \eta\,(y-p),\\
# e &= p - p^*\ \text{ with }\ p^* = c + \kappa\,p^*
# \end{aligned} \tag{8.12}$$
#
# $p^*$ is where prediction and label agree, and $e$ is the error. If the label is computed anew before every step, then $y - p = -(1-\kappa)\,e$, and each step multiplies the error by
# $1-\eta\,(1-\kappa)$: (8.8) again, with $\eta = \alpha\|g\|^2$.
#
# Now put a copy in between. The label is computed once, from the $p$ of that moment, and stands still for $C$ steps.

# %% [markdown]
# ### Talk to your neighbour
# Let κ = 1.2: with a label that is always fresh the error grows at every step. Is there a number $C$ of steps between two copies with which it shrinks?
#
# **A** yes, every large enough one · **B** yes, some in the middle · **C** no

# %% [markdown] task="copy_factor"
# ### Exercise 8.5 · `copy_factor`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min · ✎ on paper
#
# In the model (8.12), the label is computed from $p$ and then stands still, while $p$ takes $C$ steps.
#
# - **By which factor do these $C$ steps together multiply the error $e$?** Derive it on paper, then write the formula as a function of κ, η and $C$ = `every`.
# - And which factor is that **per step**: the number that, multiplied $C$ times, gives the first?
# - `kappa` ≥ 0 and not 1; `eta` in (0, 1]; `every` is an int, 1 or more. Return the two floats.


# %% exercise="copy_factor" points=2
def copy_factor(kappa, eta, every):
    """What `every` steps towards a label that stands still make of the error, in the model (8.12).

    kappa: 0 or more, not 1; eta: in (0, 1]; every: int, 1 or more.
    Returns (factor, per_step), two floats.
    """
    ### BEGIN SOLUTION
    factor = kappa + (1 - kappa) * (1 - eta) ** every  # to the label, and what is left of the way
    return factor, factor ** (1 / every)
    ### END SOLUTION


# %% [markdown] hints="copy_factor"
# <details><summary>Where do I begin?</summary>
#
# Put $p^*$ at 0 on a line, and the first $p$ at 1: then errors are places. Where does the label lie on that line? (Subtract the equation of $p^*$ from that of $y$.)
# </details>
# <details><summary>What do the C steps do?</summary>
#
# The label does not move. So look at the distance between $p$ and the *label*: what does one step make of it, and what do $C$ steps?
# </details>
# <details><summary>How can I check my formula?</summary>
#
# For $C = 1$ it must be the factor of the label that is always fresh. For $C = 0$ nothing has happened yet. And three steps by hand, with κ = ½ and η = ½, take a minute.
# </details>

# %% check="copy_factor"
copy_factor = check("copy_factor")


# %% [markdown]
# Does the formula say what happens? The model, lived through, with a goal at $p^* = c/(1-\kappa)$:


# %%
def live(kappa, eta, every, steps):
    """The errors of (8.12) while p takes `steps` steps, the label renewed before every `every`-th."""
    c, p = 1.0, 0.0
    goal, errors = c / (1 - kappa), []
    for n in range(steps):
        if n % every == 0:
            label = c + kappa * p
        p += eta * (label - p)
        errors.append(p - goal)
    return np.array([-goal, *errors])


for kappa_, eta in ((0.5, 0.1), (0.97, 0.1), (1.2, 0.1), (1.2, 0.5)):
    for C in (1, 10, 100):
        e = live(kappa_, eta, C, 2 * C)
        factor, per_step = copy_factor(kappa_, eta, C)
        assert np.isclose(e[C] / e[0], factor) and np.isclose(e[2 * C] / e[C], factor)
        print(
            f"κ = {kappa_:4}, η = {eta}, C = {C:3}: "
            f"the error times {factor:5.3f}, {per_step:.4f} a step"
        )

# %% tags=["hide-input"]
every = np.unique(np.geomspace(1, 1_000, 40).astype(int))


def draw(eta):
    ax = plots.curves(
        {f"κ = {k}": [copy_factor(k, eta, int(C))[1] for C in every] for k in (1.2, 1.05, 0.97, 0.5)},
        x=every, xlabel="C: steps between two copies", ylabel="factor of the error per step",
    )  # fmt: skip
    ax.axhline(1, color=plots.INK, linewidth=1.5, linestyle=":")
    ax.set(xscale="log", ylim=(0.6, 1.2))
    return ax


plots.slide(draw, [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8], name="η", start=4,
            alt="Factor of the error per step against the number of steps between two copies, for four κ: those below 1 rise "
            "towards 1 and stay below it, those above 1 fall towards 1 and stay above it.")  # fmt: skip

# %% [markdown]
# Drag η: no curve ever crosses the line. **With κ < 1 the error shrinks, with a copy or without one; with κ > 1 it grows for every $C$.** For a very large $C$ the factor of the $C$ steps is κ itself: one round of fitted Q-iteration, its regression
# solved. The copy brings the factor per step towards 1, from both sides: it slows convergence down, and it slows divergence down. **It delays; it does not cure.**
#
# That is so for one number. With many weights, single steps may diverge where a *finished* regression does not. Baird's world in lesson 07 is of this kind: its finished regressions have the factor γ, so a copy that was renewed rarely enough did cure it. With $w$ and $2w$ the finished regression has $6\gamma/5$, and no copy helps beyond γ = 5/6.
#
# And in a network κ is no constant: it differs from one pair of states to the next, and every step changes it. So let us ask the network. Above, the one with the slow copy stood near 20 after 1000 steps. One more from the same memory, with a copy that follows a little faster (ρ = 0.95, so that we need not wait long) and for 4000 steps:

# %%
# about 3 s
(patient,) = values_while_learning(agents(0.95)[:1], memory, 4_001, every=500)
for n, value in enumerate(patient):
    print(f"after {500 * n:5} steps: {value:6.1f}")
assert patient[1] < 50 < 1 / (1 - gamma) < patient[-1]

# %% [markdown]
# It crosses 100 as well, only later. Lesson 07 has a name for it: the **deadly triad** (Sutton & Barto, §11.3). A function with shared weights, labels made of one's own predictions, and data that another policy made: with any two of
# them divergence can be avoided, with all three it may come. DQN has all three, and a target network takes none of them away. What then holds the values down in the experiment below? The agent itself. It tries what it overrates, and the memory gets the transitions that say otherwise: the data come
# closer to those of its own policy. A memory that nobody adds to never contradicts.

# %% [markdown]
# ## Break
#
# You have a memory, a hand that fills it, a loss with labels that stand still, and you know what a slow copy can do and what it cannot. Checkpoint: all five checks above are green. When you come back, run all cells up to here first (half a minute).
#
# Two questions to see whether it has stayed: what would go wrong if the labels came from `q_net`? And why is d not `terminated or truncated`?

# %% [markdown]
# ## How the copy follows
#
# There are two ways to renew $\phi_{\text{targ}}$. The paper's is a **hard** copy, $\phi_{\text{targ}} \leftarrow \phi$, once in every $C$ updates. The other
# one, from Lillicrap et al., moves it a little each time:
#
# $$\phi_{\text{targ}} \leftarrow \rho\,\phi_{\text{targ}} + (1-\rho)\,\phi \tag{8.13}$$
#
# It is called **Polyak averaging**, and ρ is near 1. (The slides and the pseudocode write $\tau = 1-\rho$.) With ρ = 0 it is a copy, so (8.13) covers
# both.

# %% [markdown] task="polyak_update"
# ### Exercise 8.6 · `polyak_update`
# **Points** 1 · **Difficulty** ●●○ · **Time** 10 min
#
# Move the target network by (8.13). `target` and `online` are networks of the same shape.
#
# - **In place**: the parameters of `target` stay the same objects and change their numbers; `online` stays as it is, and the two never
#   share memory, not even for ρ = 0.
# - Autograd must not see it.


# %% exercise="polyak_update" points=1
def polyak_update(target, online, rho):
    """φ_targ ← ρ φ_targ + (1 − ρ) φ, in place (8.13). target, online: nn.Module; rho: in [0, 1]."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        for theirs, ours in zip(target.parameters(), online.parameters(), strict=True):
            theirs.mul_(rho).add_((1 - rho) * ours)  # (8.13)
    ### END SOLUTION


# %% [markdown] hints="polyak_update"
# <details><summary>How do I get at the weights of a network?</summary>
#
# `parameters()` gives them one after the other, in the same order for two networks of the same shape. Walk through both together.
# </details>
# <details><summary>My target network never changes.</summary>
#
# `p = …` inside the loop gives the *name* `p` a new tensor, and the network keeps the old one. Change the tensor's content: methods that do so
# end in an underscore, and `copy_` writes given numbers into it.
# </details>
# <details><summary>PyTorch complains about a leaf variable and an in-place operation.</summary>
#
# It refuses to change a weight while it is keeping the books for a gradient. Tell it to look away, as you did for the labels.
# </details>

# %% check="polyak_update"
polyak_update = check("polyak_update")

# %% [markdown]
# ## The whole step
#
# Huber bounds what one *sample* can do. A batch full of large errors still makes a long gradient, because $g$ itself may be long. So the gradient as a
# whole is cut to a length $c$ at most, keeping its direction. All weights $\nabla_\phi L$ count together, as one vector:
#
# $$\begin{aligned}
# g_L &= \nabla_\phi L(\phi),\\
# \phi &\leftarrow \text{optimiser}\Big(\phi,\ g_L\cdot\min\big(1,\ c/\|g_L\|\big)\Big)
# \end{aligned} \tag{8.14}$$
#
# What that does, on two weights (left), and to the gradients of a network that learns from the memory of random pushes (right):

# %%
# about 3 s
long = {"gradient": (3.0, 0.8)}
for name, cut in {"length cut to 1": clip_grad_norm_, "entries cut to 1": clip_grad_value_}.items():
    two = torch.zeros(2, requires_grad=True)
    two.grad = torch.tensor(long["gradient"])
    cut([two], 1.0)
    long[name] = tuple(two.grad.tolist())
    turned = np.degrees(np.arctan2(0.8, 3.0) - np.arctan2(*long[name][::-1]))
    print(f"{name}: {np.round(long[name], 2)}, turned by {abs(turned):.0f} degrees")

lengths = {"no target network": [], "target network, ρ = 0.98": []}
for name, rho in zip(lengths, (0.0, 0.98), strict=True):
    learner, rows = agents(rho)[0], np.random.default_rng(0)
    for _ in range(400):
        sampled = memory.sample(64, rows)
        loss = dqn_loss(learner.q_net, learner.target_net, sampled, gamma)
        lengths[name].append(gradient(loss, learner.q_net).norm().item())
        learner.update(sampled)
    longer = [np.mean(np.array(lengths[name]) > c) for c in (0.2, 10)]
    print(f"{name}: longer than 0.2 in {longer[0]:.0%} of the updates, than 10 in {longer[1]:.0%}")
assert max(lengths["target network, ρ = 0.98"]) < 10 < max(lengths["no target network"])

# %% tags=["hide-input"]
left, right = plots.axes(1, 2, size="wide")
for (name, end), colour in zip(long.items(), (plots.INK, plots.PALETTE["blue"], plots.PALETTE["vermilion"]), strict=True):  # fmt: skip
    left.annotate("", end, (0, 0), arrowprops=dict(arrowstyle="-|>", color=colour, lw=2.5))
    beside = (12, -14) if name == "length cut to 1" else (0, 7)
    left.annotate(
        name,
        end,
        xytext=beside,
        textcoords="offset points",
        color=colour,
        ha="center" if beside[0] == 0 else "left",
    )
left.set(xlim=(0, 3.6), ylim=(0, 1.6), xlabel="one weight", ylabel="another weight")
plots.curves(lengths, xlabel="updates", ylabel="length of the gradient", ax=right, smooth=10)
right.axhline(10, color=plots.INK, linewidth=1.5, linestyle=":")
right.annotate("c = 10", (10, 11))
right.set_yscale("log")
plots.show(left, alt="Left: three arrows; cutting the length keeps a gradient's direction, cutting its entries turns it. Right: the "
           "length of the gradient while learning: far above 10 without a target network, below it with one.")  # fmt: skip

# %% [markdown]
# One step of learning, in this order, and (8.13) beside it:
#
# > loss (8.11) of the batch · clear the old gradients · backward · clip · step of the optimiser
# >
# > the target follows (8.13)

# %% [markdown] task="dqn_update"
# ### Exercise 8.7 · `dqn_update`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Write one whole step of learning: (8.14) for `q_net`, and (8.13) for `target_net`. `agent_state` has the attributes `q_net`, `target_net`, `optimizer` (of `q_net`'s parameters), `gamma`, `rho`
# and `max_grad_norm` (the $c$ of (8.14)).
#
# - Stale gradients may be lying in the parameters when you are called.
# - `clip_grad_norm_(parameters, c)` is imported: it cuts the common length of all gradients, in place.
# - Return the loss that was computed before the step, as a float or a tensor of shape ().
#
# **For you to decide:** where in this sequence does the target network move?


# %% exercise="dqn_update" points=3
def dqn_update(agent_state, batch):
    """One step of learning, in place: (8.14) for the network, (8.13) for its slow copy.

    agent_state: q_net, target_net, optimizer, gamma, rho, max_grad_norm.
    Returns the loss before the step.
    """
    ### BEGIN SOLUTION
    loss = dqn_loss(agent_state.q_net, agent_state.target_net, batch, agent_state.gamma)  # (8.11)
    agent_state.optimizer.zero_grad()
    loss.backward()
    clip_grad_norm_(agent_state.q_net.parameters(), agent_state.max_grad_norm)
    agent_state.optimizer.step()
    polyak_update(agent_state.target_net, agent_state.q_net, agent_state.rho)  # the new φ (8.13)
    return loss.detach()
    ### END SOLUTION


# %% [markdown] hints="dqn_update"
# <details><summary>What are the six lines?</summary>
#
# Five are in the box above, one after the other, and the sixth is your `polyak_update`. The loss you have written as well; the rest is exercise 8.1 with one line more.
# </details>
# <details><summary>Why does the order matter so much?</summary>
#
# `backward` *adds* to what lies in `.grad`, so clearing comes first. Clipping changes `.grad`, so it belongs after it is computed and before it is
# used. And ask of the target network: which φ is it to hear about, the one that made this loss, or the one that came of it?
# </details>
# <details><summary>What do I hand to the clipping function?</summary>
#
# All parameters of `q_net` at once, so that one common length is measured, and the largest length allowed. There is a similar function that cuts every
# single entry: that one bends the direction.
# </details>

# %% check="dqn_update"
dqn_update = check("dqn_update")

# %% [markdown]
# A habit worth having: before you train an agent, **fit one batch**. With ρ = 1 the labels never move, so this is plain regression, and if the loss does not go
# to zero the step is wrong, whatever the learning curve says.

# %%
with torch_seed(3):
    q_net, target_net = QNetwork(4, 2), QNetwork(4, 2)
state = SimpleNamespace(q_net=q_net, target_net=target_net, gamma=gamma, rho=1.0, max_grad_norm=10.0,
                        optimizer=torch.optim.Adam(q_net.parameters(), lr=1e-3))  # fmt: skip
batch = memory.rows(np.arange(64))
losses = [float(dqn_update(state, batch)) for _ in range(500)]
print(f"loss at the start {losses[0]:.3f}, after 500 steps on one batch {losses[-1]:.6f}")
assert losses[-1] < 0.01 * losses[0]

# %% [markdown]
# ## Which ρ belongs to which C?
#
# Let φ move on by 1 at each update, and let the copy lag behind it by $\ell$. After an update
# it has lost one more step and caught up a share $1-\rho$; it is steady when $\ell = \rho\,(\ell + 1)$. A hard copy is 0, 1, …, $C-1$ steps old,
# all equally often:
#
# $$\ell_{\text{Polyak}} = \frac{\rho}{1-\rho},\qquad \bar\ell_{\text{hard}} = \frac{C-1}{2} \tag{8.15}$$

# %%
online, soft, hard = (torch.nn.Linear(1, 1, bias=False) for _ in range(3))
for module in (online, soft, hard):
    torch.nn.init.zeros_(module.weight)
rho, C = 0.98, 99
track = {"online": [], f"Polyak, ρ = {rho}": [], f"hard copy every {C}": []}
for n in range(1, 1001):
    with torch.no_grad():
        online.weight += 1  # the weight moves on by 1 at every update
    polyak_update(soft, online, rho)
    if n % C == 0:
        polyak_update(hard, online, 0.0)
    for line, module in zip(track.values(), (online, soft, hard), strict=True):
        line.append(module.weight.item())
lag = [np.mean(np.subtract(track["online"], line)[-C * 4 :]) for line in list(track.values())[1:]]
said = [rho / (1 - rho), (C - 1) / 2]
for name, found, expected in zip(list(track)[1:], lag, said, strict=True):
    print(f"{name}: {found:.1f} steps behind, by (8.15) {expected:.1f}")
    assert abs(found - expected) < 0.5

# %% tags=["hide-input"]
first = {name: np.array(line[:400]) for name, line in track.items()}
ax = plots.curves(first, xlabel="updates", ylabel="a weight that moves steadily")
plots.show(ax, alt="A weight that grows steadily, its Polyak average as a parallel line about 49 steps behind, and hard copies "
           "as a staircase between 0 and 98 steps behind.")  # fmt: skip

# %% [markdown]
# Both are old by the same amount on average. The staircase is at rest between its steps and then jumps; the average never jumps. ρ = 0.98 and a copy
# every 99 updates do nearly the same thing, and we take the first.

# %% [markdown]
# ## The experiment: your agent balances a pole
#
# Everything is there, and the whole of DQN is a loop of ten lines: play a step, and after every fourth one learn from a batch. Your functions need an object with the attributes that they ask for; the course's `DQN` has them.


# %%
def live_and_learn(seed, steps, copy_now=None, **changes):
    """DQN, whole. copy_now(step, episodes, over): whether to make a hard copy now."""
    agent = DQN(obs_dim=4, n_actions=2, seed=seed, **(dict(rho=0.98, learning_rate=2e-3) | changes))
    buffer, env, rng = ReplayBuffer(10_000, 4), cart_pole(), np.random.default_rng(seed)
    agent.obs, _ = env.reset(seed=seed)
    copies, episodes = [], 0
    for step in progress(range(1, steps + 1), "DQN"):
        agent.epsilon = epsilon_schedule(step, decay_steps=3_000)
        _, over = play_step(env, agent, buffer, rng)
        episodes += over
        if step > 500 and step % 4 == 0:
            dqn_update(agent, buffer.sample(64, rng))
        if copy_now and copy_now(step, episodes, over):
            polyak_update(agent.target_net, agent.q_net, 0.0)
            copies.append(step)
    env.close()
    return SimpleNamespace(agent=agent, copies=copies, episodes=episodes)


class Random:
    def act(self, obs, rng, explore=True):
        return rng.integers(2, size=len(obs))


random_return = evaluate(Random(), cart_pole, 100, seed=0).mean()
small = live_and_learn(seed=0, steps=4_000)
small_return = evaluate(small.agent, cart_pole, 20, seed=2_000).mean()
print(f"after 4000 steps in {small.episodes} episodes: return {small_return:.0f}")
print(f"random policy: {random_return:.0f}")
assert small_return > 3 * random_return

# %% [markdown]
# That is not a solved task yet. For the real experiment the course's loop does the same with eight carts side by side, which is three times as fast, and for longer. `AssembledDQN` acts ε-greedily, remembers in your `ReplayBuffer`, and learns by your `dqn_update`:
# 1000 random steps to begin with, then one update for every eight steps. The learning rate falls on the way.
#
# Every run takes the same 24 000 steps. Every 2000 steps the *greedy* policy plays 20 episodes, and the network of the best of these looks is **kept**.

# %%
# about 15 s
settings = dict(hidden=(64, 64), rho=0.98, learning_rate=2e-3, learning_rate_steps=3_000,
                epsilon_steps=8_000, epsilon_end=0.04)  # fmt: skip
training = dict(steps=24_000, n_envs=8, train_every=8, updates=1, batch_size=128, stop_every=2_000)
parts = dict(
    replay=ReplayBuffer, dqn_update=dqn_update, dqn_loss=dqn_loss, polyak_update=polyak_update
)
states = memory.rows(np.arange(0, 20_000, 40)).obs  # where we look at the values


def learn(seed, world=cart_pole, training=training, **changes):
    agent = AssembledDQN.for_env(world, seed=seed, **parts, **(settings | changes))
    watch = Watch(cart_pole, np.inf, seed=1_000 + seed, obs=states)
    history = train_off_policy(agent, world, seed=seed, stop_when=watch, **training)
    return SimpleNamespace(agent=agent, watch=watch, history=history)


runs = [learn(seed) for seed in seeds(range(3))]
for seed, run in enumerate(runs):
    last = evaluate(run.agent, cart_pole, 20, seed=2_000 + seed).mean()
    run.agent.q_net.load_state_dict(run.watch.kept)  # from here on the agent has its best network
    best = evaluate(run.agent, cart_pole, 20, seed=2_000 + seed).mean()
    print(f"seed {seed}: best look after {run.watch.steps[np.argmax(run.watch.returns)]} steps; "
          f"in 20 new episodes {best:.0f}, the last network {last:.0f}")  # fmt: skip
mine = ("ReplayBuffer", "dqn_loss", "polyak_update", "dqn_update")
print("learned with " + authorship(*mine))

# %% [markdown]
# The functions of the course are the same mathematics as yours. Do they train the same agent? The same seed, 4000 steps:

# %%
# about 2 s
reference, theirs = DQN.for_env(cart_pole, seed=0, **settings), Watch(cart_pole, np.inf, seed=1_000)
history = train_off_policy(
    reference, cart_pole, seed=0, stop_when=theirs, **(training | {"steps": 4_000})
)
both = [run.episode_returns for run in (runs[0].history, history)]
n = min(map(len, both))
alike = next((i for i in range(n) if both[0][i] != both[1][i]), n)
print(f"the first {alike} of {n} episodes are the same, step for step")

# %% tags=["hide-input"]
learned = {f"DQN, {whose(*mine)} functions": np.array([run.watch.returns for run in runs])}
ax = plots.curves(learned, x=runs[0].watch.steps, xlabel="steps in the environment",
                  ylabel="return of 20 episodes")  # fmt: skip
ax.plot(theirs.steps, theirs.returns, color=plots.PALETTE["orange"], linewidth=4, alpha=0.5, linestyle="-",
        zorder=1, label="the course's DQN, seed 0")  # fmt: skip
ax.axhline(475, color=plots.INK, linewidth=1.5, linestyle=":", label="475: solved")
ax.axhline(random_return, color=plots.PALETTE["vermilion"], linewidth=1.5, linestyle="--", label="random policy")  # fmt: skip
ax.legend(
    loc="center left", bbox_to_anchor=(1, 0.5), title="thick: mean of 3 seeds\nthin: each of them"
)
ax.figure.set_figwidth(9.5)
plots.show(ax, alt="Return of the greedy policy against steps, a thin line for each of three seeds and their mean: every run rises from the random "
           "policy's level to 500 at some moment, and falls back from there. The course's agent runs along at first.")  # fmt: skip

# %% [markdown]
# Every run balances the pole at some moment, and loses it again. That is typical: the policy changes, so the data change, so the regression changes.
# So one looks often, and **keeps the best network**. Its return in the figure flatters, for we chose it by looking; the 20 *new* episodes printed above do not.
#
# (If your agent and the course's part company at some point, that is rounding: two right orders of summation differ in the seventh digit, one day that decides between left and right,
# and from there on the two live different lives.)
#
# ### It balances

# %%
with tempfile.TemporaryDirectory() as folder:
    film = f"{folder}/pole.gif"
    total = videos.record_episode(
        runs[0].agent, lambda: cart_pole("rgb_array"), film, seed=7, max_frames=100
    )
    videos.show_gif(film, alt="A cart moves a little to and fro and keeps its pole upright.")
print(f"return of this episode: {total:.0f}")

# %% [markdown]
# ### What it knows
#
# Look at the two heads: $Q(s,\text{right}) - Q(s,\text{left})$ for a cart that stands in the middle, against the pole's angle and how fast it turns.

# %% [markdown]
# ### Talk to your neighbour
# The pole leans to the right and is coming back, turning to the left. Which way will the agent push?
#
# **A** right · **B** left · **C** it depends on how fast it turns

# %%
angles, speeds = np.meshgrid(np.linspace(-0.2, 0.2, 61), np.linspace(-2, 2, 61))
looked = np.stack([0 * angles, 0 * angles, angles, speeds], axis=-1).reshape(-1, 4) / USUAL
with torch.no_grad():
    q = runs[0].agent.q_net(torch.tensor(looked, dtype=torch.float32)).numpy().reshape(61, 61, 2)
difference = q[..., 1] - q[..., 0]
corner = (angles > 0.05) & (speeds > 0.5)
right, left = difference[corner] > 0, difference[corner[::-1, ::-1]] < 0
print(f"leaning and falling to the right: pushes right in {right.mean():.0%} of the states")
print(f"mirrored: pushes left in {left.mean():.0%}")

# %% tags=["hide-input"]
ax, limit = plots.axes(), np.abs(difference).max()
image = ax.contourf(
    angles, speeds, difference, levels=21, cmap=plots.VALUES, vmin=-limit, vmax=limit
)
ax.contour(angles, speeds, difference, levels=[0], colors=plots.INK)
ax.figure.colorbar(image, label="Q(right) − Q(left)")
ax.set(xlabel="angle of the pole (radians; right is positive)", ylabel="angular velocity")
ax.grid(False)
plots.show(ax, alt="Difference of the two heads over angle and angular velocity: right is better where the pole leans or "
           "falls to the right, left in the opposite corner; the border runs diagonally through the middle.")  # fmt: skip

# %% [markdown]
# Push towards the side to which the pole *falls*; the border runs diagonally, so it depends on how fast. Nobody said so: it was in the rewards, a one for every step.

# %% [markdown]
# ## Change one thing
#
# `change` goes to your agent in place of the settings above. **What to look for:** the return, and the values in the right-hand figure, where nothing can be worth
# more than 100. First without a target network (ρ = 0). Then try `dict(rho=0.9)`, `dict(rho=0.999)`, `dict(max_grad_norm=0.1)`, `dict(epsilon_end=1.0)`.

# %%
# about 5 s
change = dict(rho=0.0)
short = training | dict(steps=8_000)
changed = [learn(seed, training=short, **change) for seed in seeds((0, 1))]
name = ", ".join(f"{key} = {value}" for key, value in change.items())
for seed, run in enumerate(changed):
    with torch.no_grad():
        right_is_best = run.agent.q_net(states).argmax(dim=1).double().mean()
    print(f"{name}, seed {seed}: return at the end {run.watch.returns[-1]:.0f}; pushes right in "
          f"{right_is_best:.0%} of the states")  # fmt: skip

# %% tags=["hide-input"]
left, right = plots.axes(1, 2, size="wide")
for what, ax, ylabel in (
    ("returns", left, "return of 20 episodes"),
    ("values", right, "mean of max Q over states"),
):
    for (label, those), colour in zip({"as above": runs, name: changed}.items(), ("blue", "orange"), strict=True):  # fmt: skip
        for seed, run in enumerate(those):
            until = np.array(run.watch.steps) <= short["steps"]
            ax.plot(np.array(run.watch.steps)[until], np.array(getattr(run.watch, what))[until], linestyle="-",
                    color=plots.PALETTE[colour], linewidth=1.2, label=label if seed == 0 else None)  # fmt: skip
    ax.set(xlabel="steps in the environment", ylabel=ylabel)
    ax.legend(title="a line a seed")
right.axhline(1 / (1 - gamma), color=plots.INK, linewidth=1.5, linestyle=":")
right.set_yscale("log")
left.set_ylim(-10, 750)  # room for the legends
right.set_ylim(1, 1e8)
plots.show(left, alt="Left: return against steps; it rises with the settings above and stays near 9 without a target network. "
           "Right: the values believed, below 100 with a target network, and thousands and more without.")  # fmt: skip

# %% [markdown]
# Without the slow copy the values leave every bound, as they did on the fixed memory. This time a policy was made of them, and it does worse than pushing at random.
# Where one head has run away further than the other, the answer is nearly always the same, and a cart that is always pushed the same way loses its pole in nine or
# ten steps.

# %% [markdown]
# ### Every C steps, or every few episodes?
#
# The paper makes a hard copy every $C$ steps; others make one every few *episodes*. In your loop above that is one line: with ρ = 1 your `dqn_update`
# leaves the target network alone, and `copy_now` says when to copy. Each rule once with clipping, at $c = 0.2$, and once without. Before you run it: how far apart will the copies be, at the beginning and at the end?

# %%
# about 6 s
rules = {
    "every 200 steps": lambda step, episodes, over: step % 200 == 0,
    "every 10 episodes": lambda step, episodes, over: over and episodes % 10 == 0,
}
apart = {}
for rule, copy_now in rules.items():
    for clip in (0.2, np.inf):
        run = live_and_learn(0, 4_000, copy_now, rho=1.0, max_grad_norm=clip)
        apart[rule, clip] = np.diff([0, *run.copies])
        played = evaluate(run.agent, cart_pole, 20, seed=2_000).mean()
        print(f"{rule:17} c = {clip:3}: {len(run.copies):2} copies, {apart[rule, clip].min():3} to "
              f"{apart[rule, clip].max():4} steps apart; return {played:.0f}")  # fmt: skip
    assert rule != "every 10 episodes" or apart[rule, np.inf].max() > 2 * apart[rule, np.inf].min()

# %% [markdown]
# An episode is short at first and long later, so copies that are counted in episodes become rarer as the agent gets better. A run whose episodes last for 500 steps learns from labels that are thousands of steps old. Counted in
# steps, the age of the labels (8.15) is the same throughout, whatever the policy does. (And what if there are few episodes between two copies? Lesson 09 shows a case.)
#
# And clipping? You saw the lengths before exercise 8.7: with a slow copy none came to 10. There a clip at 10 changes nothing; it is a seat belt, for the day on which values run away. A clip at 0.2 changes many steps.
#
# One run of each says nothing about which one is better. If you want to know, put `for seed in range(5)` around it and compare all five returns, not the best ones.
# %% [markdown]
# ## A silent bug
#
# A colleague's cart-pole comes from an old library, where `step` gave one flag, `done`. They wrapped it so that it fits today's five results, passed all seven checks of this lesson,
# and trained. No error, no warning. Here is the wrapper, and your agent in the colleague's world beside the same agent in the usual one. (With γ = 0.9 and two updates in a row, so
# that it goes quickly: now nothing is worth more than $1/(1-0.9) = 10$.)


# %%
# about 12 s
class FromOldLibrary(gym.Wrapper):
    """One flag, `done`, becomes two: an episode that is over is cut off."""

    def step(self, action):
        obs, reward, *flags, info = self.env.step(action)
        done = any(flags)  # this is all that the old library would tell us
        return obs, reward, False, done, info


worlds = {"usual": cart_pole, "colleague": lambda: FromOldLibrary(cart_pole())}
quick = training | dict(steps=8_000, updates=2)
slowly = dict(gamma=0.9, learning_rate_steps=15_000)
met = {name: [learn(seed, world, training=quick, **slowly) for seed in seeds((0, 1))]
       for name, world in worlds.items()}  # fmt: skip
upright_and_falling = torch.tensor(np.array([[0, 0, 0, 0], [0, 0, 0.2, 2.0]]) / USUAL).float()
for name, those in met.items():
    end = np.mean([run.history.losses["loss"][-5:] for run in those])
    with torch.no_grad():
        v = torch.stack([run.agent.q_net(upright_and_falling).amax(dim=1) for run in those]).mean(0)
    print(
        f"{name:9} loss at the end {end:.4f}; believed value: upright {v[0]:.1f}, falling {v[1]:.1f}"
    )

# %% tags=["hide-input"]
left, right = plots.axes(1, 2, size="wide")
for (name, those), colour in zip(met.items(), ("blue", "orange"), strict=True):
    for seed, run in enumerate(those):
        look = dict(color=plots.PALETTE[colour], linewidth=1.2, linestyle="-")
        left.plot(run.history.loss_updates, run.history.losses["loss"], **look, label=name if seed == 0 else None)  # fmt: skip
        right.plot(run.watch.steps, run.watch.returns, **look, label=name if seed == 0 else None)
left.set(xlabel="updates", ylabel="loss", yscale="log")
right.set(xlabel="steps in the environment", ylabel="return of 20 episodes")
left.legend(title="a line a seed")
right.legend(title="a line a seed")
plots.show(left, alt="Left: the loss of the colleague's agent is far below the other's. Right: its return stays at "
           "about 9, while the other's rises.")  # fmt: skip

# %% [markdown]
# **The colleague's loss is many times smaller than the healthy one, and the policy is worse than random. What is wrong, and which printed number gives it away?**
#
# <details><summary>Where should I look first?</summary>
#
# Not at the loss: it says how well the labels are met, not whether they are the right labels. Look at the *values*: one step before the pole has fallen, what is left to come?
# Then ask what a transition into a fallen pole looks like in the memory.
# </details>
# <details><summary>Answer</summary>
#
# The value of a falling pole. In the usual world it is about 1: there is a step or two left. The colleague's agent gives it *more* than the pole that stands, and far more than the 10 that are possible. (To pass a bound by
# a little is no sign: the healthy agent's upright pole does.) It lives in a world where every step pays 1 *and nothing ever
# ends*. There it makes no difference what one does, labels hardly differ, and are easy to meet. The wrapper passes `False` on as `terminated` and calls every end a truncation. So $d = 0$ in the whole memory, (8.5) bootstraps through
# each fall, and falling costs nothing.
#
# A quick look would have found it: draw a large batch from the memory and print the mean of `terminated`. It is 0. The repair: `terminated` is the fall;
# only the time limit is `truncated`. If the old library does not say which of the two it was, ask it (`info`), or count the steps.
# </details>

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** Your colleague proposes ρ = 1: "then nothing can chase anything." What does this agent learn?
#
# **A** nothing at all · **B** one round of fitted Q-iteration · **C** the same, only more slowly
#
# <details><summary>Answer</summary>
#
# B. The target network stays as it was drawn at the start, so the labels are $r + \gamma\,\cdot$ noise for ever: one single round of (8.1). The network will fit them well,
# and knows one step of the future. You have done it above, with one batch.
# </details>
#
# **2.** Why may DQN learn from a transition that was stored long ago, under a policy that no longer exists? And could SARSA, from the same memory?
#
# **A** both could · **B** DQN only · **C** neither of them
#
# <details><summary>Answer</summary>
#
# B. The label asks what the *best* action in $s'$ is worth; the stored row only says what the world did with $(s,a)$, and the world has not changed. SARSA's label needs the action that the
# policy takes in $s'$: the stored one was taken by the old policy. (It could draw a new $a'$ from the present policy, or take the mean over them: expected SARSA.)
# </details>

# %% [markdown]
# ## Summary
#
# - A network takes the table's place, with a head per action; the arg min of fitted Q-iteration becomes small steps of an optimiser: loss, clear, backward, step.
# - A replay memory breaks the correlation of neighbouring steps (8.4); it may be used because Q-learning is off-policy. $s'$ is where the step led and $d$ is `terminated`, at every end.
# - Labels that are made by the network they train run away from it (8.8). A target network makes them stand still for a while.
# - A copy delays the divergence of the deadly triad, it does not cure it (8.12); what contradicts the wrong values is new data from the agent itself.
# - The Huber loss bounds what one sample can do, clipping the norm what one batch can do. A small loss says that labels are met, not that they are right: look at values and returns.

# %% [markdown]
# ## Where this went
#
# Each of these changes one piece of (8.16), the equation below:
#
# - **Double DQN** (van Hasselt et al. 2016) takes $\max_{a'}Q_{\phi_{\text{targ}}}(s',a')$ apart: $Q_{\phi_{\text{targ}}}\big(s',\arg\max_{a'}Q_\phi(s',a')\big)$. **Prioritised replay** (Schaul et al. 2016) draws from $\mathcal D$ by the size of $Q_\phi(s,a)-y$. Both are lesson 09.
# - **n steps** put $\sum_{k<n}\gamma^k r_{t+k}$ for $r$, $\gamma^n$ for γ, and the state n steps on for $s'$. **Distributional** DQN (Bellemare et al. 2017) predicts the distribution of the return, and $H_1$ becomes a cross-entropy between two distributions.
#   **Rainbow** (Hessel et al. 2018) does all of these at once, with a head for state and one for advantages (Wang et al. 2016), and noise in the weights in place of ε.
# - **PQN** (Gallici et al. 2025) goes without $\mathcal D$ and without $\phi_{\text{targ}}$: many environments side by side give the batch, λ-returns the labels, and layer normalisation in the network holds the values down.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Where the originals say something else</summary>
#
# - *Human-level control through deep reinforcement learning* (Mnih et al. 2015) says that it clips the *error term* to [−1, 1], and that this is an absolute loss beyond. What is meant is the derivative in (8.10). To clip the error itself before
#   squaring it would make the gradient zero just where the error is large.
# - The pseudocode collection (*pseudocodes* of the JoyRL book, Datawhale) copies $\hat Q \leftarrow Q$, and then prints the label with the *online* parameters θ, so that its copy is never used. It stores $(s_t,a_t,r_t,s_{t+1})$ without $d$, which the label needs and
#   nobody can recover later. Its line $s_{t+1}\leftarrow s_t$ is to be read the other way round.
# - *Playing Atari with deep reinforcement learning* (Mnih et al. 2013), whose Algorithm 1 the tutorial slides (*CS 224R Tutorial: Review of Q-Learning*, M. Du) walk through, had no target network yet: that came in 2015.
# </details>

# %% [markdown]
# ## What we hand on
#
# Q-learning with a network, and what each of its parts is there for:
#
# $$\begin{aligned}
# y &= r + \gamma\,(1-d)\max_{a'}Q_{\phi_{\text{targ}}}(s',a'),\\
# L(\phi) &= \mathbb E_{\mathcal D}\big[H_1\big(Q_\phi(s,a) - y\big)\big],\\
# \phi_{\text{targ}} &\leftarrow \rho\,\phi_{\text{targ}} + (1-\rho)\,\phi
# \end{aligned} \tag{8.16}$$
#
# One thing in it we already know to be false. Lesson 05: the maximum over noisy estimates is too high on average. Here *every* value is a noisy estimate, and the copy that selects
# the best action is the one that says what it is worth. Lesson 09 measures by how much, in your agent, and lets two networks share the work. And it asks whether all transitions in the memory deserve
# to be drawn equally often.
