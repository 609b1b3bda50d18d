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
# Part II · 06 → 07 → **08** → 09
#
# - **You will be able to** replace the table of Q-learning by a network, say what breaks when you do, and
#   build the three repairs: a memory, a slow copy of the network, a loss that outliers cannot rule. Then
#   your own agent balances a pole.
# - **Builds on** lesson 05 (Q-learning, ε-greedy), lesson 00 (stop-gradient; terminated and truncated), and
#   lessons 06 and 07 (semi-gradients, fitted Q-iteration). What is needed of these two is repeated below.
# - **Time** 120 minutes alone, 75 as a lecture.
# - **Sources** Mnih et al. 2015 (DQN); Lin 1992 (replay); Lillicrap et al. 2016 (the averaged target); Sutton &
#   Barto, 2nd edition, §11.2–11.3; the CS 224R tutorial slides on Q-learning; a Chinese pseudocode collection
#   of thirteen algorithms.

# %%
import tempfile
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import torch
from torch.nn.functional import mse_loss, smooth_l1_loss
from torch.nn.utils import clip_grad_norm_

from rlcourse.checker import authorship, check
from rlcourse.lab import plots, videos
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.networks import QNetwork, mlp
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.replay import Batch
from rlcourse.lab.seeding import torch_seed
from rlcourse.tabular import control
from rlcourse.values.assembled import AssembledDQN
from rlcourse.values.dqn import DQN
from rlcourse.values.figures import Watch, on_a_grid, random_memory, values_while_learning

torch.set_num_threads(1)  # networks as small as ours gain nothing from a second one

# %% [markdown]
# ## What we inherit
#
# Lesson 05 moved one entry of a table towards the target $r + \gamma(1-d)\max_{a'}Q(s',a')$. Lesson 07 did it for
# functions $\hat q(s,a;w)$ of a few weights and for a whole log of transitions $(s_i, a_i, r_i, s'_i, d_i)$ at once.
# **Fitted Q-iteration** writes a label beside every transition, with the weights it has, and then solves a
# regression for the next weights:
#
# $$y_i = r_i + \gamma\,(1-d_i)\max_{a'}\hat q(s'_i,a';w_k),\qquad
# w_{k+1} = \arg\min_w \sum_i\big(\hat q(s_i,a_i;w) - y_i\big)^2 \tag{8.1}$$
#
# Which part of that cannot be computed any more? With a neural network, the **arg min**. Nobody solves that exactly;
# we take small gradient steps. And the log is not given: the agent writes it while it learns. So (8.1) becomes
#
# $$L(\phi) = \mathbb E_{(s,a,r,s',d)\sim\mathcal D}\Big[\big(Q_\phi(s,a) - y\big)^2\Big],\qquad
# y = r + \gamma\,(1-d)\max_{a'}Q_\phi(s',a') \tag{8.2}$$
#
# and every symbol of it raises a question. What is $Q_\phi$? Where does $\mathcal D$ come from? May φ stand on both
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
# network believe a typical state to be worth? 20? 60? 100?**
#
# <details><summary>I have guessed. What happens?</summary>
#
# Thousands. And it goes on rising. You will see the curve below, in "Tail chasing", and why: the label of each
# regression is made by the network that is being fitted.
# </details>

# %% [markdown]
# ## A head for every action
#
# There are two ways to make a network of $Q(s,a)$. It can take the state *and* the action in, and give one number out. Or
# it can take the state in, and give one number for every action out:
#
# $$Q_\phi(s,a) = \text{network}_\phi(s,a)\in\mathbb R \qquad\text{or}\qquad
# \big(Q_\phi(s,0),\dots,Q_\phi(s,A-1)\big) = \text{network}_\phi(s)\in\mathbb R^A \tag{8.3}$$
#
# We need $\max_{a'}Q_\phi(s',a')$ for every label, and $\arg\max_a$ for every step. The first form has to be asked $A$
# times for that, the second once.

# %%
rng = np.random.default_rng(0)
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
# as 32 steps picked from everywhere? Let $x_t$ be anything that we average over a batch (a gradient, say), with variance
# σ² and autocorrelation $c_k$ between steps that are $k$ apart. Multiply out the square of the mean; the pair $(t, t+k)$
# occurs $B-k$ times, in both orders:
#
# $$\operatorname{Var}\Big[\frac1B\sum_{t=1}^B x_t\Big] = \frac{\sigma^2}{B}\Big[1 + 2\sum_{k=1}^{B-1}\Big(1-\frac kB\Big)c_k\Big] \tag{8.4}$$
#
# Without correlation the bracket is 1. Let us measure it, for the pole's angle under random pushes.

# %%
memory = random_memory(cart_pole, 20_000, seed=0)
angle = memory.rows(np.arange(len(memory))).obs[:, 2].double().numpy()
angle = (angle - angle.mean()) / angle.std()

B, k = 32, np.arange(32)
shuffled = rng.permutation(angle)
bracket, correlation = {}, {}
for name, x in {"consecutive steps": angle, "drawn from the memory": shuffled}.items():
    c = np.array([np.mean(x[: len(x) - lag] * x[lag:]) for lag in k])
    said = 1 + 2 * np.sum((1 - k[1:] / B) * c[1:])
    found = B * x.reshape(-1, B).mean(axis=1).var()
    print(f"{name}: the bracket of (8.4) is {said:.1f}, measured {found:.1f}")
    assert abs(found / said - 1) < 0.2
    bracket[name], correlation[name] = said, c
worth = B / bracket["consecutive steps"]
print(f"{B} consecutive steps tell as much as {worth:.1f} independent ones")

# %%
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
# ### Exercise 8.1 · `ReplayBuffer`
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
# ## Who acts
#
# The agent is ε-greedy, as in lesson 05. At first its network knows nothing, so it should nearly always explore; later it
# should mostly do what it has learned. A straight line between the two, and then a constant:
#
# $$\varepsilon(t) = \varepsilon_{\text{start}} + (\varepsilon_{\text{end}} - \varepsilon_{\text{start}})\,\min\Big(\frac{t}{T},\,1\Big) \tag{8.5}$$
#
# (For the Atari games of the paper ε fell from 1 to 0.1 over a million frames. Ours will take eight thousand steps.)

# %% [markdown] task="epsilon_schedule"
# ### Exercise 8.2 · `epsilon_schedule`
# **Points** 1 · **Difficulty** ●○○ · **Time** 5 min
#
# Compute ε for step number `step` by (8.5). `decay_steps` is $T \ge 1$; `start` ≥ `end`.


# %% exercise="epsilon_schedule" points=1
def epsilon_schedule(step, start, end, decay_steps):
    """ε at this step, by (8.5): from `start` at step 0 in a line to `end` at `decay_steps`, then `end`.

    step: int, 0 or more; start ≥ end, both in [0, 1]; decay_steps: int, 1 or more. Returns a float.
    """
    ### BEGIN SOLUTION
    return start + (end - start) * min(step / decay_steps, 1.0)  # (8.5)
    ### END SOLUTION


# %% [markdown] hints="epsilon_schedule"
# <details><summary>What should I see at step 0, and far beyond the end?</summary>
#
# At step 0 the bracket $(\varepsilon_{\text{end}} - \varepsilon_{\text{start}})$ must not count at all; from step $T$ on it counts fully, and
# never more than that.
# </details>
# <details><summary>What is the fraction that walks from 0 to 1?</summary>
#
# The step, divided by the number of steps that the way takes, and never above one. Use a true division.
# </details>
# <details><summary>Mine jumps, or rises, or never ends.</summary>
#
# Print it for the steps 0, 1, T/2, T and 2T. A jump comes from dividing whole numbers, a rise from exchanged ends, and a line
# that goes on below `end` from a fraction that is not held at 1.
# </details>

# %% check="epsilon_schedule"
epsilon_schedule = check("epsilon_schedule")

# %%
for step in (0, 2_000, 4_000, 8_000, 50_000):
    print(f"step {step:6}: ε = {epsilon_schedule(step, 1.0, 0.04, 8_000):.2f}")

# %% [markdown]
# ## The label
#
# The label of (8.2), for a batch, from the $A$ values that a network gives for each next state:
#
# $$y_i = r_i + \gamma\,(1-d_i)\max_{a'}Q(s'_i,a') \tag{8.6}$$
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
# The first column gives *the same observation* a hundred different values, depending on something that the network cannot see.
# No function of $s$ can fit that. So $d$ is `terminated`, never `terminated or truncated`, in the memory and in (8.6).
#
# (The pseudocode collection stores $(s_t,a_t,r_t,s_{t+1})$ without $d$, and then needs it for its targets: it cannot be
# recovered from what was stored.)

# %% [markdown] task="dqn_target"
# ### Exercise 8.3 · `dqn_target`
# **Points** 1 · **Difficulty** ●○○ · **Time** 5 min
#
# Compute (8.6) for a batch of tensors. Row i of `q_next` holds the values of all actions in $s'_i$; where the episode terminated they
# mean nothing. `terminated` is 0 or 1, as float.


# %% exercise="dqn_target" points=1
def dqn_target(reward, q_next, terminated, gamma):
    """The label (8.6).

    reward, terminated: (B,) float32; q_next: (B, n_actions) float32; gamma: in [0, 1]. Returns (B,).
    """
    ### BEGIN SOLUTION
    return reward + gamma * (1 - terminated) * q_next.max(dim=1).values  # (8.6)
    ### END SOLUTION


# %% [markdown] hints="dqn_target"
# <details><summary>Is this not exercise 5.4?</summary>
#
# It is, in another library. Arrays have become tensors; an axis is called a `dim` here.
# </details>
# <details><summary>What does a tensor's <code>max</code> return?</summary>
#
# Along a `dim` it returns two things together, the values and where they stand. You want one of the two. (`amax` returns only the
# values.)
# </details>
# <details><summary>My result has the shape (B, B).</summary>
#
# Somewhere a column (B, 1) met a row (B,), and broadcasting paired everything with everything. Print the shapes of the three
# factors: all should be (B,).
# </details>

# %% check="dqn_target"
dqn_target = check("dqn_target")

# %% [markdown]
# It is the target of lesson 05, to the digits of single precision:

# %%
r, q_next, d = rng.normal(size=6), rng.normal(size=(6, 2)), np.array([0, 1, 0, 0, 1, 0])
ours = dqn_target(*(torch.tensor(x, dtype=torch.float32) for x in (r, q_next, d)), 0.9)
difference = np.abs(ours.numpy() - control.q_learning_target(r, q_next, d, 0.9)).max()
print(f"largest difference: {difference:.1e}")
assert difference < 1e-6

# %% [markdown]
# ## The model on both sides
#
# In (8.2) φ stands on both sides of the minus sign. With $\delta = y - Q_\phi(s,a)$, $g = \nabla_\phi Q_\phi(s,a)$ and
# $g' = \nabla_\phi\max_{a'}Q_\phi(s',a')$, the chain rule gives for one transition that does not terminate
#
# $$\nabla_\phi\,\tfrac12\,\delta^2 = -\delta\,\big(g - \gamma\,g'\big)
# \qquad\text{and, with } y \text{ as a constant,}\qquad -\delta\,g \tag{8.7}$$
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
# $$\delta_{\text{new}} = \delta - \alpha\,\delta\,\big(\|g\|^2 - \gamma\,g'\!\cdot g\big)
# = \delta\,\big(1 - \alpha\|g\|^2\,(1-\kappa)\big),\qquad \kappa = \frac{\gamma\,g'\!\cdot g}{\|g\|^2} \tag{8.8}$$
#
# κ says how fast the label runs away, as a share of our own speed. In a table, κ = 0 (for $s' \ne s$): $s'$ has entries of its own. In a
# network $s'$ is the neighbour of $s$, looks much like it, and shares all its weights.

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

ax = plots.axes()
colours = [plots.PALETTE["blue"], plots.PALETTE["orange"]]
ax.hist(list(kappa.values()), bins=40, stacked=True, color=colours, label=list(kappa))
ax.axvline(1, color="black", linewidth=1.5)
ax.legend(title="the label comes out of")
ax.set(xlabel="κ: the label's step for one step of the prediction", ylabel="transitions")
plots.show(ax, alt="Histogram of κ over transitions of CartPole with a fresh network, two humps: around 0.97, and partly "
           "beyond 1, where prediction and label come out of the same head; around 0 otherwise.")  # fmt: skip
for head, values in kappa.items():
    above = np.mean(np.array(values) > 1)
    print(f"{head}: median κ = {np.median(values):.2f}; above 1 in {above:.0%} of the transitions")

# %% [markdown]
# There are two humps. Where the best action in $s'$ is another one than $a$, label and prediction come out of two heads and share only the layers
# below. Where it is the same action, the label flees almost as fast as we come: that is the **tail chasing** of the tutorial slides. And wherever κ > 1 the error does not shrink at all: every step makes it *larger*, whatever the step
# size. A regression cannot settle on labels that behave like that.
#
# So here is the answer to your guess. Three networks learn from the memory of random pushes by (8.2) as it stands, and three
# by (8.2) with labels from a slow copy, which is what we come to next.


# %%
def agents(rho):
    return [DQN(obs_dim=4, n_actions=2, seed=seed, rho=rho) for seed in range(3)]


chased = {
    "no target network": values_while_learning(agents(0.0), memory, 1_000),
    "target network, ρ = 0.98": values_while_learning(agents(0.98), memory, 1_000),
}
ax = plots.curves(chased, x=np.arange(0, 1_000, 20), spread="min-max", xlabel="gradient steps",
                  ylabel="mean of max Q over states")  # fmt: skip
ax.axhline(1 / (1 - gamma), color="black", linewidth=1.5, linestyle=":")
ax.annotate("no value is higher than this", (540, 115))
ax.set_yscale("log")
ax.set_ylim(1, 1e6)
plots.show(ax, alt="Mean value believed against gradient steps, on a logarithmic scale. Without a target network it crosses "
           "100 within 300 steps and reaches thousands; with one it rises slowly to about 20.")  # fmt: skip
for name, values in chased.items():
    print(f"{name:25} after 1000 steps: {', '.join(f'{v:.0f}' for v in values[:, -1])}")

# %% [markdown]
# The three runs are bands as thin as lines: this is no accident of a seed. Nothing is wrong with the code, the optimiser or the data, and the
# loss is being minimised at every single step.
#
# ## A target network
#
# The repair is to let the label be made by *another* set of weights, $\phi_{\text{targ}}$, that stands still while φ takes many steps:
#
# $$y = r + \gamma\,(1-d)\max_{a'}Q_{\phi_{\text{targ}}}(s',a') \tag{8.9}$$
#
# Between two changes of $\phi_{\text{targ}}$ the labels are fixed and κ = 0: this *is* the regression of (8.1), with a few
# gradient steps for the arg min. Then the copy is renewed, and the next iteration begins.
#
# (Beware of both sources here. The pseudocode collection copies $\hat Q \leftarrow Q$, and then prints the target with the *online*
# parameters θ, so its copy is never used. The slides' walkthrough is the version of 2013, which had no target network yet.)

# %% [markdown]
# ## A loss that one outlier cannot rule
#
# While labels are still being made up, some errors are huge. With ½δ² the gradient of each sample is its error times $g$: one sample
# with an error of 100 pulls as hard as a hundred with an error of 1. The **Huber** loss is the square near zero, and a straight line
# beyond:
#
# $$H_1(e) = \begin{cases}\tfrac12 e^2 & |e|\le 1\\ |e|-\tfrac12 & |e|>1\end{cases}
# \qquad\Rightarrow\qquad H_1'(e) = \operatorname{clip}(e, -1, 1) \tag{8.10}$$
#
# (Mnih et al. say that they clip the *error term* to [−1, 1]: what is meant is this derivative. Clipping the error itself before
# squaring would make the gradient zero just where the error is large.) Below: the derivative, and what one outlier does to
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

left, right = plots.axes(1, 2, size="wide")
e = e.detach()
slopes = {"½ squared error": e, "Huber": slope}
plots.curves(slopes, x=e, xlabel="error e", ylabel="derivative", ax=left)
plots.curves(pull, x=sizes, xlabel="error of one of 64", ylabel="length of the gradient", ax=right)
plots.show(left, alt="Left: the derivative of half the squared error is a line, that of Huber is cut off at −1 and 1. Right: "
           "the length of a batch's gradient grows with one sample's error for the square and stays flat for Huber.")  # fmt: skip
print(f"an error of 100 makes the gradient {pull['½ squared error'][-1] / pull['½ squared error'][0]:.0f} times as long "
      f"with the square, {pull['Huber'][-1] / pull['Huber'][0]:.1f} times with Huber")  # fmt: skip

# %% [markdown]
# Put (8.9) and (8.10) into (8.2), with a batch from the memory for the expectation. This is **the loss of DQN**:
#
# $$L(\phi) = \frac1B\sum_{b=1}^B H_1\big(Q_\phi(s_b,a_b) - y_b\big),\qquad
# y_b = r_b + \gamma\,(1-d_b)\max_{a'}Q_{\phi_{\text{targ}}}(s'_b,a') \tag{8.11}$$

# %% [markdown] task="dqn_loss"
# ### Exercise 8.4 · `dqn_loss`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min
#
# Compute (8.11). Both networks map observations `(B, obs_dim)` to values `(B, n_actions)`; `batch` has the five fields of
# exercise 8.1.
#
# - The check looks at the value *and* at the gradient: it must reach `q_net`, and nothing else.
# - You may call your own `dqn_target`. `smooth_l1_loss` is imported; its mean over the batch is (8.10) with threshold 1.


# %% exercise="dqn_loss" points=2
def dqn_loss(q_net, target_net, batch, gamma):
    """The loss (8.11).

    q_net, target_net: obs (B, obs_dim) -> (B, n_actions); batch: obs, action (B,) int64, reward,
    next_obs, terminated; gamma: in [0, 1]. Returns a tensor of shape () with a gradient for q_net.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        y = dqn_target(batch.reward, target_net(batch.next_obs), batch.terminated, gamma)  # (8.9)
    q_taken = q_net(batch.obs).gather(1, batch.action[:, None]).squeeze(1)  # Q(s, a), row by row
    return smooth_l1_loss(q_taken, y)  # (8.11)
    ### END SOLUTION


# %% [markdown] hints="dqn_loss"
# <details><summary>In which order do I write it?</summary>
#
# First the labels, from the next observations; then the predictions, from the observations; then the loss of the two. Print both
# shapes before the last line: they should be equal.
# </details>
# <details><summary>How do I pick the action that was taken out of every row?</summary>
#
# `gather` along dim 1 wants an index of shape (B, 1) and returns that shape; take the extra dimension away again afterwards. Indexing
# with two arrays, as in lesson 05, works as well.
# </details>
# <details><summary>Which line must not be differentiated?</summary>
#
# The one that makes labels. Put it into a block of `torch.no_grad()`, or detach its result.
# </details>

# %% check="dqn_loss"
dqn_loss = check("dqn_loss")

# %% [markdown]
# Is its gradient right? Move one weight a little to both sides and look at the loss: two numbers that should agree.

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
# ## How the copy follows
#
# There are two ways to renew $\phi_{\text{targ}}$. The paper's is a **hard** copy, $\phi_{\text{targ}} \leftarrow \phi$, after every $C$ updates. The other
# one, from Lillicrap et al., moves it a little after *every* update:
#
# $$\phi_{\text{targ}} \leftarrow \rho\,\phi_{\text{targ}} + (1-\rho)\,\phi \tag{8.12}$$
#
# It is called **Polyak averaging**, and ρ is near 1. (The slides and the pseudocode write $\tau = 1-\rho$.) With ρ = 0 it is a copy, so (8.12) covers
# both. Which ρ belongs to which $C$? Let φ move on by 1 at each update, and let the copy lag behind it by $\ell$. After an update
# it has lost one more step and caught up a share $1-\rho$; it is steady when $\ell = \rho\,(\ell + 1)$. A hard copy is 0, 1, …, $C-1$ steps old,
# all equally often:
#
# $$\ell_{\text{Polyak}} = \frac{\rho}{1-\rho},\qquad \bar\ell_{\text{hard}} = \frac{C-1}{2} \tag{8.13}$$

# %% [markdown] task="polyak_update"
# ### Exercise 8.5 · `polyak_update`
# **Points** 1 · **Difficulty** ●●○ · **Time** 10 min
#
# Move the target network by (8.12). `target` and `online` are networks of the same shape.
#
# - **In place**: the parameters of `target` stay the same objects and change their numbers; `online` stays as it is, and the two never
#   share memory, not even for ρ = 0.
# - Autograd must not see it.


# %% exercise="polyak_update" points=1
def polyak_update(target, online, rho):
    """φ_targ ← ρ φ_targ + (1 − ρ) φ, in place (8.12). target, online: nn.Module; rho: in [0, 1]."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        for theirs, ours in zip(target.parameters(), online.parameters(), strict=True):
            theirs.mul_(rho).add_((1 - rho) * ours)  # (8.12)
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
    print(f"{name}: {found:.1f} steps behind, by (8.13) {expected:.1f}")
    assert abs(found - expected) < 0.5

# %%
first = {name: np.array(line[:400]) for name, line in track.items()}
ax = plots.curves(first, xlabel="updates", ylabel="a weight that moves steadily")
plots.show(ax, alt="A weight that grows steadily, its Polyak average as a parallel line about 49 steps behind, and hard copies "
           "as a staircase between 0 and 98 steps behind.")  # fmt: skip

# %% [markdown]
# Both are old by the same amount on average. The staircase is at rest between its steps and then jumps; the average never jumps. ρ = 0.98 and a copy
# every 99 updates do nearly the same thing, and we take the first.

# %% [markdown]
# ## The whole step
#
# Huber bounds what one *sample* can do. A batch full of large errors still makes a long gradient, because $g$ itself may be long. So the gradient as a
# whole is cut to a length $c$ at most, keeping its direction. All weights $\nabla_\phi L$ count together, as one vector:
#
# $$g_L = \nabla_\phi L(\phi),\qquad \phi \leftarrow \text{optimiser}\Big(\phi,\ g_L\cdot\min\big(1,\ c/\|g_L\|\big)\Big),\qquad
# \phi_{\text{targ}} \leftarrow \rho\,\phi_{\text{targ}} + (1-\rho)\,\phi \tag{8.14}$$
#
# In words, and in this order:
#
# > loss (8.11) of the batch · clear the old gradients · backward · clip · step of the optimiser · the target follows (8.12)

# %% [markdown] task="dqn_update"
# ### Exercise 8.6 · `dqn_update`
# **Points** 3 · **Difficulty** ●●● · **Time** 15 min
#
# Write one whole step of learning (8.14). `agent_state` has the attributes `q_net`, `target_net`, `optimizer` (of `q_net`'s parameters), `gamma`, `rho`
# and `max_grad_norm` (the $c$ of (8.14)).
#
# - Stale gradients may be lying in the parameters when you are called.
# - `clip_grad_norm_(parameters, c)` is imported: it cuts the common length of all gradients, in place.
# - Return the loss that was computed before the step, as a float or a tensor of shape ().


# %% exercise="dqn_update" points=3
def dqn_update(agent_state, batch):
    """One step (8.14), in place: the network learns from the batch, the target network follows.

    agent_state: q_net, target_net, optimizer, gamma, rho, max_grad_norm. Returns the loss before the step.
    """
    ### BEGIN SOLUTION
    loss = dqn_loss(agent_state.q_net, agent_state.target_net, batch, agent_state.gamma)  # (8.11)
    agent_state.optimizer.zero_grad()
    loss.backward()
    clip_grad_norm_(agent_state.q_net.parameters(), agent_state.max_grad_norm)
    agent_state.optimizer.step()
    polyak_update(agent_state.target_net, agent_state.q_net, agent_state.rho)  # (8.12)
    return loss.detach()
    ### END SOLUTION


# %% [markdown] hints="dqn_update"
# <details><summary>What are the six lines?</summary>
#
# They are in the box above, one after the other. You have written the first and the last already; the middle four are PyTorch's usual ones.
# </details>
# <details><summary>Why does the order matter so much?</summary>
#
# `backward` *adds* to what lies in `.grad`, so clearing comes first. Clipping changes `.grad`, so it belongs after it is computed and before it is
# used. And the target should follow the *new* weights.
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
losses = [float(dqn_update(state, batch)) for _ in range(1000)]
print(f"loss at the start {losses[0]:.3f}, after 1000 steps on one batch {losses[-1]:.6f}")
assert losses[-1] < 0.01 * losses[0]

# %% [markdown]
# ## The experiment: your agent balances a pole
#
# Everything is there. `AssembledDQN` acts ε-greedily with your `epsilon_schedule`, remembers in your `ReplayBuffer`, and learns by your `dqn_update`. The
# loop around it is the course's: eight carts side by side, 1000 random steps to begin with, then one update for every eight steps. Every 2000 steps the *greedy*
# policy plays 20 episodes. **Training stops as soon as all 20 last for 500 steps**, and after 100 000 steps at the latest; the learning rate falls on the way.

# %%
settings = dict(hidden=(64, 64), rho=0.98, learning_rate=2e-3, learning_rate_steps=15_000,
                epsilon_steps=8_000, epsilon_end=0.04)  # fmt: skip
training = dict(steps=100_000, n_envs=8, train_every=8, updates=1, batch_size=128, stop_every=2_000)
parts = dict(replay=ReplayBuffer, epsilon_schedule=epsilon_schedule, dqn_update=dqn_update,
             dqn_loss=dqn_loss, polyak_update=polyak_update)  # fmt: skip
states = memory.rows(np.arange(0, 20_000, 40)).obs  # where we look at the values


def learn(seed, world=cart_pole, training=training, mark=500, **changes):
    agent = AssembledDQN.for_env(world, seed=seed, **parts, **(settings | changes))
    watch = Watch(cart_pole, mark, seed=1_000 + seed, obs=states)
    history = train_off_policy(agent, world, seed=seed, stop_when=watch, **training)
    return SimpleNamespace(agent=agent, watch=watch, history=history)


runs = [learn(seed=0)]
print(f"seed 0: {runs[0].history.steps} steps, {len(runs[0].history.episode_returns)} episodes, "
      f"{runs[0].history.updates} updates")  # fmt: skip

# %% [markdown]
# One run says little. Two more seeds, and a policy that pushes at random:

# %%
runs += [learn(seed) for seed in (1, 2)]


class Random:
    def act(self, obs, rng, explore=True):
        return rng.integers(2, size=len(obs))


random_return = evaluate(Random(), cart_pole, 100, seed=0).mean()
for seed, run in enumerate(runs):
    final = evaluate(run.agent, cart_pole, 20, seed=2_000 + seed).mean()
    print(f"seed {seed}: {run.history.steps} steps; final policy in 20 new episodes: {final:.0f}")
print(f"random policy: {random_return:.0f}")


# %%
def curves_of(runs, what, grid):
    return np.stack([on_a_grid(run.watch.steps, getattr(run.watch, what), grid) for run in runs])


print("learned with " + authorship("ReplayBuffer", "epsilon_schedule", "dqn_target", "dqn_loss",
                                   "polyak_update", "dqn_update"))  # fmt: skip
grid = np.arange(2_000, max(run.history.steps for run in runs) + 1, 2_000)
ax = plots.curves({"greedy policy": curves_of(runs, "returns", grid)}, x=grid, spread="min-max",
                  xlabel="steps in the environment", ylabel="return of 20 episodes")  # fmt: skip
ax.axhline(475, color="black", linewidth=1.5, linestyle=":")
ax.axhline(random_return, color=plots.PALETTE["vermilion"], linewidth=1.5, linestyle="--")
for run in runs:
    ax.plot(run.history.steps, run.watch.returns[-1], "o", color="black", clip_on=False)
ax.annotate("475: solved", (grid[-1], 450), ha="right")
ax.annotate(
    "random policy", (grid[-1], random_return + 6), ha="right", color=plots.PALETTE["vermilion"]
)
plots.show(ax, alt="Return of the greedy policy against steps: within 4000 steps it rises from the random policy's level to "
           "hundreds, falls back in some runs, and every run ends at 500, where a dot marks its stop.")  # fmt: skip

# %% [markdown]
# (A dot marks where a run stopped; it keeps its last value in the figure.) We chose the moment to stop by looking, so that last value flatters; the 20 *new* episodes
# printed above do not. The way up is not smooth, and that is typical: the policy changes, so the data
# change, so the regression changes.
#
# The functions of the course are the same mathematics as yours. Do they train the same agent? Same seed, 8000 steps:

# %%
reference = DQN.for_env(cart_pole, seed=0, **settings)
history = train_off_policy(reference, cart_pole, seed=0, **(training | {"steps": 8_000}))
yours, theirs = runs[0].history.episode_returns, history.episode_returns
n = min(len(yours), len(theirs))
alike = next((i for i in range(n) if yours[i] != theirs[i]), n)
print(f"the first {alike} of {n} episodes are the same, step for step")

# %% [markdown]
# (If they part company at some point, that is rounding: two right orders of summation differ in the seventh digit, one day that decides between left and right,
# and from there on the two agents live different lives.)
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

# %%
angles, speeds = np.meshgrid(np.linspace(-0.2, 0.2, 61), np.linspace(-2, 2, 61))
looked = np.stack([0 * angles, 0 * angles, angles, speeds], axis=-1).reshape(-1, 4) / USUAL
with torch.no_grad():
    q = runs[0].agent.q_net(torch.tensor(looked, dtype=torch.float32)).numpy().reshape(61, 61, 2)
difference = q[..., 1] - q[..., 0]
ax, limit = plots.axes(), np.abs(difference).max()
image = ax.contourf(
    angles, speeds, difference, levels=21, cmap=plots.VALUES, vmin=-limit, vmax=limit
)
ax.contour(angles, speeds, difference, levels=[0], colors="black")
ax.figure.colorbar(image, label="Q(right) − Q(left)")
ax.set(xlabel="angle of the pole (radians; right is positive)", ylabel="angular velocity")
ax.grid(False)
plots.show(ax, alt="Difference of the two heads over angle and angular velocity: right is better where the pole leans or "
           "falls to the right, left in the opposite corner; the border runs diagonally through the middle.")  # fmt: skip
corner = (angles > 0.05) & (speeds > 0.5)
print(f"leaning and falling to the right: push right in {np.mean(difference[corner] > 0):.0%} of these states; "
      f"mirrored: push left in {np.mean(difference[corner[::-1, ::-1]] < 0):.0%}")  # fmt: skip

# %% [markdown]
# Push towards the side to which the pole falls. Nobody said so: it was in the rewards, a one for every step.

# %% [markdown]
# ## Change one thing
#
# `change` goes to your agent in place of the settings above. **What to look for:** the return, and the values in the right-hand figure, where nothing can be worth
# more than 100. First without a target network (ρ = 0). Then try `dict(rho=0.9)`, `dict(rho=0.999)`, `dict(max_grad_norm=0.1)`, `dict(epsilon_end=1.0)`.

# %%
change = dict(rho=0.0)
short = training | dict(steps=14_000)
changed = [learn(seed, training=short, **change) for seed in (0, 1)]

# %%
name = ", ".join(f"{key} = {value}" for key, value in change.items())
grid = np.arange(2_000, 14_001, 2_000)
compared = {"as above": runs, name: changed}
left, right = plots.axes(1, 2, size="wide")
for what, ax, ylabel in (
    ("returns", left, "return of 20 episodes"),
    ("values", right, "mean of max Q over states"),
):
    series = {label: curves_of(those, what, grid) for label, those in compared.items()}
    plots.curves(
        series, x=grid, spread="min-max", xlabel="steps in the environment", ylabel=ylabel, ax=ax
    )
right.axhline(1 / (1 - gamma), color="black", linewidth=1.5, linestyle=":")
right.set_yscale("log")
left.set_ylim(-10, 750)  # room for the legends
right.set_ylim(1, 1e8)
plots.show(left, alt="Left: return against steps; it rises with the settings above and stays near 9 without a target network. "
           "Right: the values believed, below 100 with a target network, and thousands and more without.")  # fmt: skip
for seed, run in enumerate(changed):
    with torch.no_grad():
        right_is_best = run.agent.q_net(states).argmax(dim=1).double().mean()
    print(f"{name}, seed {seed}: return at the end {run.watch.returns[-1]:.0f}; pushes right in "
          f"{right_is_best:.0%} of the states")  # fmt: skip

# %% [markdown]
# Without the slow copy the values leave every bound, as they did on the fixed memory. This time a policy was made of them, and it does worse than pushing at random:
# where one head has run away further than the other, the answer is nearly always the same, and a cart that is always pushed the same way loses its pole in nine or
# ten steps.

# %% [markdown]
# ## A silent bug
#
# A colleague's cart-pole comes from an old library, where `step` gave one flag, `done`. They wrapped it so that it fits today's five results, checked all six functions of this lesson,
# and trained. No error, no warning. Here is the wrapper, and your agent in the colleague's world beside the same agent in the usual one. (With γ = 0.9 and two updates in a row, so
# that it goes quickly: now nothing is worth more than $1/(1-0.9) = 10$.)


# %%
class FromOldLibrary(gym.Wrapper):
    """One flag, `done`, becomes two: an episode that is over is cut off."""

    def step(self, action):
        obs, reward, *flags, info = self.env.step(action)
        done = any(flags)  # this is all that the old library would tell us
        return obs, reward, False, done, info


worlds = {"usual": cart_pole, "colleague": lambda: FromOldLibrary(cart_pole())}
quick = training | dict(steps=8_000, updates=2)
met = {name: [learn(seed, world, training=quick, mark=np.inf, gamma=0.9) for seed in (0, 1)]
       for name, world in worlds.items()}  # fmt: skip

# %%
left, right = plots.axes(1, 2, size="wide")
plots.curves({n: np.stack([run.history.losses["loss"] for run in those]) for n, those in met.items()},
             x=met["usual"][0].history.loss_updates, spread="min-max", xlabel="updates", ylabel="loss", ax=left)  # fmt: skip
left.set_yscale("log")
x = np.arange(2_000, 8_001, 2_000)
plots.curves({n: curves_of(those, "returns", x) for n, those in met.items()}, x=x, spread="min-max",
             xlabel="steps in the environment", ylabel="return of 20 episodes", ax=right)  # fmt: skip
plots.show(left, alt="Left: the loss of the colleague's agent is far below the other's. Right: its return stays at "
           "about 9, while the other's rises.")  # fmt: skip
upright_and_falling = torch.tensor(np.array([[0, 0, 0, 0], [0, 0, 0.2, 2.0]]) / USUAL).float()
for name, those in met.items():
    end = np.mean([run.history.losses["loss"][-5:] for run in those])
    with torch.no_grad():
        v = torch.stack([run.agent.q_net(upright_and_falling).amax(dim=1) for run in those]).mean(0)
    print(
        f"{name:9} loss at the end {end:.4f}; believed value: upright {v[0]:.1f}, falling {v[1]:.1f}"
    )

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
# The colleague's agent thinks *more* of a pole about to fall than of one that stands, and both are worth more to it than the 10 that are possible. It lives in a world where every step pays 1 *and nothing ever
# ends*. There it makes no difference what one does, labels hardly differ, and are easy to meet. The wrapper passes `False` on as `terminated` and calls every end a truncation. So $d = 0$ in the whole memory, (8.6) bootstraps through
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
# <details><summary>Answer</summary>
#
# The target network stays as it was drawn at the start, so the labels are $r + \gamma\,\cdot$ noise for ever: one single round of (8.1). The network will fit them well,
# and knows one step of the future. You have done it above, with one batch.
# </details>
#
# **2.** In the healthy run the loss does not fall while the return rises. Is something wrong?
#
# <details><summary>Answer</summary>
#
# No. Every renewal of the target network sets a new regression, and new states come into the memory. The loss measures the distance to labels that rise with the agent.
# What should rise is the return; what should stay below its bound is the value.
# </details>
#
# **3.** Why may DQN learn from a transition that was stored long ago, under a policy that no longer exists? And could SARSA, from the same memory?
#
# <details><summary>Answer</summary>
#
# The label asks what the *best* action in $s'$ is worth; the stored row only says what the world did with $(s,a)$, and the world has not changed. SARSA's label needs the action that the
# policy takes in $s'$: the stored one was taken by the old policy. (It could draw a new $a'$ from the present policy, or take the mean over them: expected SARSA.)
# </details>
#
# **4.** Under "Tail chasing" the network with a slow copy stands near 20 after 1000 steps. Is it safe? Guess, then let it learn for 8000 steps from the same memory.
#
# <details><summary>Answer</summary>
#
# It is not: it crosses 100 as well, only much later. A target network slows the chase down, it does not end it; this is still the deadly triad of lesson 07. What holds
# the values down in the experiment is the agent itself: it tries what it overrates, and the memory gets the transitions that say otherwise. A memory that nobody adds to
# never contradicts.
# </details>

# %% [markdown]
# ## What we hand on
#
# Q-learning with a network, and what each of its parts is there for:
#
# $$y = r + \gamma\,(1-d)\max_{a'}Q_{\phi_{\text{targ}}}(s',a'),\qquad
# L(\phi) = \mathbb E_{\mathcal D}\big[H_1\big(Q_\phi(s,a) - y\big)\big],\qquad
# \phi_{\text{targ}} \leftarrow \rho\,\phi_{\text{targ}} + (1-\rho)\,\phi \tag{8.15}$$
#
# One thing in it we already know to be false. Lesson 05: the maximum over noisy estimates is too high on average. Here *every* value is a noisy estimate, and the copy that selects
# the best action is the one that says what it is worth. Lesson 09 measures by how much, in your agent, and lets two networks share the work. And it asks whether all transitions in the memory deserve
# to be drawn equally often.
