# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 14 · DDPG
#
# Part IV · 13 → **14** → 15 → 16 → 17 → 18 → 19 → 20
#
# - **You will be able to** replace the maximum of Q-learning by a network that looks for it, where there is a continuum of
#   actions; train that network and its critic on each other without letting the critic learn to flatter; explore inside
#   a box, with noise that forgets and noise that remembers; and swing up a pendulum with your own functions.
# - **Builds on** lesson 08 (replay, slow copies), lesson 13 (the deterministic policy gradient).
# - **Time** two sittings of 70 minutes alone, with a break before the whole step; 80 minutes as a lecture.
# - **Sources** Lillicrap et al. 2016, *Continuous control with deep reinforcement learning* (arXiv 1509.02971);
#   Silver et al. 2014 (deterministic policy gradient); Uhlenbeck & Ornstein 1930, *On the theory of the Brownian
#   motion*; the slides *RL methods for continuous action space* on DDPG, TD3 and SAC; lecture notes on Stein's identity.

# %%
import tempfile
from copy import deepcopy
from statistics import NormalDist

import numpy as np
import torch
from torch import nn
from torch.nn.functional import mse_loss

from rlcourse.checker import authorship, check, whose
from rlcourse.continuous import pendulum
from rlcourse.continuous.ddpg import DDPG
from rlcourse.continuous.noise import GaussianNoise, OrnsteinUhlenbeckNoise
from rlcourse.continuous.pendulum import watch
from rlcourse.continuous.stein import deterministic_policy_gradient
from rlcourse.lab import plots, videos
from rlcourse.lab.networks import Actor, Critic, polyak_update
from rlcourse.lab.replay import Batch
from rlcourse.lab.seeding import torch_seed

torch.set_num_threads(1)

# %% [markdown]
# ## What we inherit
#
# Lesson 13 let the noise of a policy go, and kept the direction of ascent, with $Q_\phi$ held fixed:
#
# $$\nabla_\theta J(\theta) = \mathbb E_s\Big[\nabla_\theta\mu_\theta(s)\;\nabla_aQ_\phi(s,a)\big|_{a=\mu_\theta(s)}\Big] \tag{14.1}$$
#
# It left three questions. Where does the $Q_\phi$ come from whose slope is asked for? Over which states is the mean? And how
# does a policy without noise try anything new? Lesson 08 has answers to the first two: a replay memory of transitions
# $(s,a,r,s',d)$, and a critic that regresses on the label
#
# $$y = r + \gamma\,(1-d)\max_{a'}Q_\phi(s',a') \tag{14.2}$$
#
# But look at the maximum. In lesson 08 it was the largest of two numbers.

# %% [markdown]
# ## Guess first
#
# A robot arm has seven joints, and at each of them a motor. To find the best action by trying, take 41 torques for each joint.
#
# **How many actions are that? A computer that asks the critic a million times a second: how long does it need for one label?**
#
# <details><summary>I have guessed. What is it?</summary>
#
# $41^7$, almost two hundred billion: more than two days, for *one* label. A training needs some hundred thousand labels. The
# cell below has the numbers.
# </details>

# %%
combinations = 41**7
print(f"{combinations:,} actions, {combinations / 1e6 / 3600:.0f} hours for one label")
assert 48 < combinations / 1e6 / 3600 < 72

# %% [markdown]
# ## A network for the maximum
#
# What should the critic satisfy? The Bellman optimality equation, at all pairs $(s,a)$ that are in the memory. How far it is from that
# is the **mean squared Bellman error**:
#
# $$\mathrm{MSBE}(\phi) = \mathbb E_{(s,a,r,s',d)\sim\mathcal D}\Big[\Big(Q_\phi(s,a)-\big(r+\gamma\,(1-d)\max_{a'}Q_\phi(s',a')\big)\Big)^2\Big] \tag{14.3}$$
#
# (Where the world moves by chance, a sampled square has the variance of the labels in it as well, and as in lesson 07 we
# do not differentiate through the label. The pendulum below moves without chance.)
#
# Now let any policy $\mu_\theta$ give an action for every state. It cannot do better than the best action:
#
# $$Q_\phi\big(s,\mu_\theta(s)\big)\ \le\ \max_aQ_\phi(s,a)\qquad\text{for every } s \tag{14.4}$$
#
# and where there is equality, $\mu_\theta(s)$ *is* a best action. So take the mean over states, and make the left side as large as it can be. If it
# reaches the right side, then $\max_aQ_\phi(s,a) = Q_\phi(s,\mu_\theta(s))$ in (almost) every state, and the maximum has
# become a **function call**. Nobody searches at each label: one network has learned, for all states at once, where the search would end.
# As a loss, for an optimiser that descends, over a batch of $B$ states:
#
# $$L(\theta) = -\frac1B\sum Q_\phi\big(s,\mu_\theta(s)\big) \tag{14.5}$$
#
# By the chain rule, the gradient of $Q_\phi(s,\mu_\theta(s))$ for θ is $\nabla_\theta\mu_\theta(s)\,\nabla_aQ_\phi(s,a)$ at
# $a=\mu_\theta(s)$. So $-\nabla L(\theta)$ is (14.1), sampled: the deterministic policy gradient *is* the search for the maximum.
#
# And φ? It is held fixed here, as lesson 13 demanded. It would be easy to make (14.5) small in another way, by making the *critic* say
# high numbers. A judge whose salary is his verdict learns to flatter.

# %% [markdown] task="ddpg_actor_loss"
# ### Exercise 14.1 · `ddpg_actor_loss`
# **Points** 2 · **Difficulty** ●●○ · **Time** 12 min
#
# Compute (14.5) for a batch of states, as a tensor of shape () with a gradient **for the actor alone**.
#
# - `actor(obs)` gives actions (B, D), `critic(obs, action)` gives values (B,).
# - Whoever calls `backward()` on your result must find nothing in the critic's `.grad`. You do not call it yourself.
# - Afterwards the critic is what it was: its weights, and their `requires_grad`.


# %% exercise="ddpg_actor_loss" points=2
def ddpg_actor_loss(actor, critic, obs):
    """Minus the mean value of the actor's actions (14.5).

    actor: obs (B, obs_dim) -> (B, D); critic: obs, action -> (B,); both are modules.
    Returns a tensor () with a gradient for the actor's weights only.
    """
    ### BEGIN SOLUTION
    numbers = {name: w.detach() for name, w in critic.named_parameters()}
    q = torch.func.functional_call(critic, numbers, (obs, actor(obs)))
    return -q.mean()  # (14.5)
    ### END SOLUTION


# %% [markdown] hints="ddpg_actor_loss"
# <details><summary>If I switch gradients off, the actor gets none either.</summary>
#
# The gradient has to run *through* the critic into the action, and on into θ. So the action keeps its graph, and the critic is
# called with gradients on. Only its weights must be mere numbers.
# </details>
# <details><summary>How can a network's weights be mere numbers?</summary>
#
# Three ways: switch their `requires_grad` off and back on again; take a deep copy that is frozen; or `torch.func.functional_call`,
# which calls a module with weights that you hand over by name.
# </details>
# <details><summary>Does it matter when I switch the flags back?</summary>
#
# A graph is made while the critic computes. Once the value is there, the flags may go back, and they have to: the critic itself is trained
# next.
# </details>

# %% check="ddpg_actor_loss"
ddpg_actor_loss = check("ddpg_actor_loss")

# %% [markdown]
# Is its gradient minus (14.1)? Lesson 13's function gives the right side, weight by weight.

# %%
with torch_seed(0):
    small_actor, small_critic = Actor(3, 2, (16,)), Critic(3, 2, (16,))
    states = torch.randn(64, 3)
loss = ddpg_actor_loss(small_actor, small_critic, states)
left = torch.autograd.grad(loss, tuple(small_actor.parameters()))
right = deterministic_policy_gradient(small_actor, small_critic, states)
apart = max(float((x + y).abs().max()) for x, y in zip(left, right, strict=True))
largest = max(float(y.abs().max()) for y in right)
print(f"∇L and minus (14.1): largest difference {apart:.0e}, largest entry {largest:.2f}")
print("by " + authorship("ddpg_actor_loss"))
assert apart < 1e-5 < largest

# %% [markdown]
# ### Talk to your neighbour
#
# Here is a $Q(s,a)$ that we know. In each state it has two hills along the action, and which of them is the higher one changes at $s=\tfrac12$. An actor begins near the action 0
# in all states, and climbs along your loss. When it has settled, does it give $\max_aQ(s,a)$ in every state?
#
# **A** yes: it climbs until it is at the top · **B** no: in some states it stands on the lower hill · **C** no: it stands
# between the hills everywhere
#
# <details><summary>What the next cell will show</summary>
#
# **B**. To climb is to find *a* top, not the highest. On which hill it ends is decided by where it begins, and a network, which is continuous,
# cannot jump. So (14.4) is an inequality after all. Its two sides are measured under the figure.
# </details>


# %%
class TwoHills(nn.Module):
    """A known Q of one observation and one action."""

    def forward(self, obs, action):
        s, a = obs[:, 0], action[:, 0]
        upper = (0.9 - 0.2 * s) * torch.exp(-(((a - 0.4 - 0.2 * torch.sin(2 * s)) / 0.4) ** 2))
        return upper + (0.7 + 0.2 * s) * torch.exp(-(((a + 0.6) / 0.3) ** 2))


two_hills = TwoHills()
s_line, a_line = torch.linspace(-1.5, 1.5, 121)[:, None], torch.linspace(-1, 1, 201)[:, None]
table = two_hills(s_line.repeat_interleave(201, dim=0), a_line.repeat(121, 1)).view(121, 201)
best = a_line[table.argmax(dim=1), 0]
LOOKS = (0, 5, 15, 40, 100, 300)
with torch_seed(4):
    climber = Actor(1, 1, (32,))
    optimizer = torch.optim.Adam(climber.parameters(), lr=0.01)
    track = {}
    for step in range(max(LOOKS) + 1):
        if step in LOOKS:
            with torch.no_grad():
                track[step] = climber(s_line)
        optimizer.zero_grad()
        ddpg_actor_loss(climber, two_hills, torch.rand(64, 1) * 3 - 1.5).backward()
        optimizer.step()
shortfall = {step: table.max(dim=1).values - two_hills(s_line, mu) for step, mu in track.items()}
for step, short in shortfall.items():
    print(f"step {step:3}: max Q − Q(s, μ(s)) is {short.mean():.3f} on average, {short.max():.3f} "
          f"at most")  # fmt: skip
assert shortfall[300].mean() < 0.2 * shortfall[0].mean() and shortfall[300].min() > -1e-3

# %% [markdown]
# **What to look for:** where does the climber begin, and which hill does it climb? In which states is it off the dashed line at the end? And
# what would a jump cost a continuous function?


# %% tags=["hide-input"]
def draw_climber(step):
    ax = plots.axes()
    image = ax.imshow(table.T, extent=(-1.5, 1.5, -1, 1), origin="lower", aspect="auto", cmap=plots.VALUES,
                      vmin=-1.2, vmax=1.2)  # fmt: skip
    ax.plot(s_line, best, "--", color=plots.INK, lw=1.6, label="argmax")
    ax.plot(s_line, track[step], "-", color=plots.PALETTE["vermilion"], lw=2.6, label="μ(s)")
    ax.set(xlabel="s", ylabel="a", ylim=(-1, 1),
           title=f"step {step}: short of the maximum by {shortfall[step].mean():.3f}")  # fmt: skip
    ax.grid(visible=False)
    ax.legend(loc="lower left")
    ax.figure.colorbar(image, ax=ax, label="Q(s, a)")
    return ax


plots.slide(
    draw_climber,
    LOOKS,
    name="step",
    alt="Q over state and action, with two bright ridges; the line of the actor begins near the action 0, climbs onto the upper ridge on the left and "
    "onto the lower one on the right, and slopes from one to the other where the best action has not jumped yet.",
    start=4,
)

# %% [markdown]
# ## The label, with slow copies of both
#
# Put $Q_\phi(s',\mu_\theta(s'))$ into (14.2) for the maximum. Now the label depends on *two* networks that are being trained. Lesson 08 has shown what becomes of a critic that
# makes its own labels: it chases its tail. The actor is no better a witness. It has just climbed this very critic, so if it moves, the label moves. So each of the two gets a slow
# copy, and the label is made by the copies alone:
#
# $$y = r + \gamma\,(1-d)\,Q_{\phi_{\text{targ}}}\big(s',\ \mu_{\theta_{\text{targ}}}(s')\big) \tag{14.6}$$
#
# The critic regresses on it, at the action that was really taken, for its reward is in $y$:
#
# $$L(\phi) = \frac1B\sum\big(Q_\phi(s,a) - y\big)^2 \tag{14.7}$$
#
# and both copies follow slowly, with lesson 08's `polyak_update`:
#
# $$\phi_{\text{targ}}\leftarrow\rho\,\phi_{\text{targ}}+(1-\rho)\,\phi,\qquad \theta_{\text{targ}}\leftarrow\rho\,\theta_{\text{targ}}+(1-\rho)\,\theta \tag{14.8}$$
#
# Note whose action is in $y$: not the one that somebody took in $s'$, but the one that $\mu$ *would* take. So the transition may be an old one, of an older
# policy, or of nobody's: DDPG is off-policy, as Q-learning is.

# %% [markdown] task="ddpg_target"
# ### Exercise 14.2 · `ddpg_target`
# **Points** 2 · **Difficulty** ●○○ · **Time** 8 min
#
# Compute (14.6) for a batch.
#
# - `batch` has `obs`, `action`, `reward`, `next_obs` and `terminated` (a float, 0 or 1). What a critic says of a terminal state
#   is anybody's guess.
# - y is a label: no gradient may flow through it into either network, and gradients are on again afterwards.


# %% exercise="ddpg_target" points=2
def ddpg_target(actor_targ, critic_targ, batch, gamma):
    """The label of the critic (14.6), made by the slow copies.

    actor_targ: obs -> (B, D); critic_targ: obs, action -> (B,); gamma: in [0, 1]. Returns (B,).
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        q_next = critic_targ(batch.next_obs, actor_targ(batch.next_obs))
    return batch.reward + gamma * (1 - batch.terminated) * q_next  # (14.6)
    ### END SOLUTION


# %% [markdown] hints="ddpg_target"
# <details><summary>Which fields of the batch do I need?</summary>
#
# Three of the five. The two others belong to the critic's prediction, in (14.7).
# </details>
# <details><summary>In which order are the networks asked?</summary>
#
# From the inside of (14.6) outwards: first which action would be taken in $s'$, then what that is worth there.
# </details>
# <details><summary>My result has shape (B, B).</summary>
#
# Somewhere a column (B, 1) has met a row (B,). Print the shapes of the reward and of the critic's answer: both should be (B,).
# </details>

# %% check="ddpg_target"
ddpg_target = check("ddpg_target")

# %% [markdown]
# A world with one state, in which every step pays 1: its value is $1/(1-\gamma) = 10$ with γ = 0.9. Regress a constant critic on your label,
# over and over. Each time the error must shrink by γ, as the Bellman operator of lesson 02 does; and where the step ends the world, the label is 1, whatever
# the critic says.


# %%
class Constant(nn.Module):
    """A network that says the same of everything."""

    def __init__(self, number):
        super().__init__()
        self.register_buffer("number", torch.tensor(float(number)))

    def forward(self, obs, action=None):
        return self.number.expand(len(obs)) if action is not None else 0 * obs


one = torch.zeros(1, 1)
lasting = Batch(one, one, torch.ones(1), one, torch.zeros(1))
value, errors = 0.0, []
for _ in range(60):
    errors.append(10 - value)
    value = float(ddpg_target(Constant(0), Constant(value), lasting, 0.9))
last = float(ddpg_target(Constant(0), Constant(7), lasting._replace(terminated=torch.ones(1)), 0.9))
print(f"after 60 regressions {value:.2f}; the error shrinks by {errors[30] / errors[29]:.3f}; "
      f"at the end of the world {last:g}")  # fmt: skip
assert abs(value - 10) < 0.05 and abs(errors[30] / errors[29] - 0.9) < 1e-4 and last == 1

# %% [markdown]
# ## The box of actions
#
# The actor ends in a tanh: its actions lie in (−1, 1), and nothing that it learns can leave that. The environment has a box of its own, from low to high in each dimension: Pendulum takes torques in ±2.
# Inside the agent we think in (−1, 1) and measure everything there, noise included, in **half-widths** of the box. At the border between agent and environment the action is
# stretched, and moved to the middle of the box:
#
# $$a_{\text{env}} = \tfrac12(\text{low}+\text{high})+\tfrac12(\text{high}-\text{low})\;a \tag{14.9}$$

# %% [markdown] task="scale_action"
# ### Exercise 14.3 · `scale_action`
# **Points** 1 · **Difficulty** ●○○ · **Time** 5 min
#
# Compute (14.9), without a clip.
#
# - `action` is (B, D) or (D,); `low`, `high` are floats, or have shape (D,) where the box differs from dimension to dimension.
# - The agent calls you with NumPy arrays, and somebody else with tensors: plain arithmetic suits both.


# %% exercise="scale_action" points=1
def scale_action(action, low, high):
    """From (-1, 1) to the box of the environment (14.9).

    action: (B, D) or (D,); low, high: floats or (D,). Returns the shape of action.
    """
    ### BEGIN SOLUTION
    return 0.5 * (low + high) + 0.5 * (high - low) * action  # (14.9)
    ### END SOLUTION


# %% [markdown] hints="scale_action"
# <details><summary>How can I see whether it is right?</summary>
#
# Three actions are enough: −1 lands on low, 1 on high, and 0 in the middle, for a box like 0 to 5 as well.
# </details>
# <details><summary>Pendulum's box is symmetric. Is a product not enough?</summary>
#
# It is, until the first box that is not. Then half of it is never reached, or what is reached lies outside.
# </details>
# <details><summary>How do (B, D) and (D,) go together?</summary>
#
# By themselves: shapes are lined up from the right, so each dimension meets its own bounds.
# </details>

# %% check="scale_action"
scale_action = check("scale_action")

# %% [markdown]
# ## How a policy without noise explores
#
# The actor gives one action for each state, always the same. So we add noise to it while data are gathered, and only then. The label
# (14.6) does not mind, it asks for $\mu$'s action and not for the one that was taken. With ε the noise, in half-widths of the box:
#
# $$a = \mathrm{clip}\Big(\mu_\theta(s)+\tfrac12(\text{high}-\text{low})\;\epsilon,\ \text{low},\ \text{high}\Big) \tag{14.10}$$
#
# where $\mu_\theta(s)$ and the result are in the box from low to high. (In the agent that is the box from −1 to 1, and the factor is 1.) It is the *sum*
# that is clipped: no environment takes an action from outside.

# %% [markdown] task="explore_action"
# ### Exercise 14.4 · `explore_action`
# **Points** 1 · **Difficulty** ●○○ · **Time** 5 min
#
# Compute (14.10) for tensors. `action` is in the box already; `noise` is ε, in half-widths; `low` and `high` are floats, or tensors (D,).


# %% exercise="explore_action" points=1
def explore_action(action, noise, low, high):
    """The action to take while exploring (14.10).

    action: (B, D) or (D,), in the box; noise: the same shape; low, high: floats or (D,).
    """
    ### BEGIN SOLUTION
    return (action + 0.5 * (high - low) * noise).clip(low, high)  # (14.10)
    ### END SOLUTION


# %% [markdown] hints="explore_action"
# <details><summary>Why half-widths?</summary>
#
# So that one number suits every box. A noise of 0.1 is a tenth of the way from the middle to the border, for torques in ±2 and for
# forces in ±200.
# </details>
# <details><summary>What is clipped, and when?</summary>
#
# Look at the bracket of (14.10): how much of the formula is inside? Then try an action at the border, with noise of either sign.
# </details>
# <details><summary>Do I have to scale the action?</summary>
#
# No. It has been in the box from the start; only the noise comes in another unit.
# </details>

# %% check="explore_action"
explore_action = check("explore_action")

# %% [markdown]
# A number to check: an action at 0.9 of the way to the border, with Gaussian noise of width 0.1, is clipped exactly if the noise is more than one deviation. That
# has the probability 0.159. So the border itself is tried often: an actor that stands there stays there in half of all steps.

# %%
rng = np.random.default_rng(0)
xi = torch.from_numpy(rng.standard_normal((100_000, 1)))
near = scale_action(torch.full_like(xi, 0.9), -2.0, 2.0)
tried = explore_action(near, 0.1 * xi, -2.0, 2.0)
share, says = float((tried == 2.0).double().mean()), 1 - NormalDist().cdf(1)
print(f"at the border: {share:.4f} of the actions; the normal distribution says {says:.4f}")
assert abs(share - says) < 4 * np.sqrt(says * (1 - says) / 100_000)

# %% [markdown]
# ## Noise that remembers
#
# A motor that gets fresh noise at every step trembles, and gets nowhere: the pushes cancel. Lillicrap et al. took noise that stays on one side for a while, a particle in a fluid,
# knocked about by its molecules and drawn back to 0. In a short time $dt$ the pull takes the share $\theta\,dt$ of $x$ away. (Here θ is the strength of the pull, as in all books, and has nothing to do with
# the actor's weights.)
#
# And the knocks? They are independent, so their **variances** add up. In the time $t$ there are $t/dt$ of them, and their sum must not depend on how finely we slice the time. If
# each has the variance $\sigma^2dt$, the sum has $\sigma^2t$, for every $dt$. So a knock has the *deviation* $\sigma\sqrt{dt}$, and a step of the **Ornstein–Uhlenbeck process** is
#
# $$x_{t+1} = x_t-\theta\,x_t\,dt+\sigma\sqrt{dt}\;\xi_t,\qquad\xi_t\sim\mathcal N(0,1) \tag{14.11}$$

# %% [markdown] task="ou_step"
# ### Exercise 14.5 · `ou_step`
# **Points** 1 · **Difficulty** ●○○ · **Time** 5 min
#
# Compute (14.11) for tensors or arrays of any shape; `noise` is ξ, already drawn. `x` itself stays as it is.


# %% exercise="ou_step" points=1
def ou_step(x, noise, theta, sigma, dt):
    """One step of the Ornstein-Uhlenbeck process (14.11).

    x, noise: the same shape; theta, sigma, dt: floats > 0. Returns the new x.
    """
    ### BEGIN SOLUTION
    return x - theta * x * dt + sigma * dt**0.5 * noise  # (14.11)
    ### END SOLUTION


# %% [markdown] hints="ou_step"
# <details><summary>Is there a shortest form?</summary>
#
# Collect what multiplies x: one step keeps a share of it, and adds a knock.
# </details>
# <details><summary>Where do dt and its root belong?</summary>
#
# What happens steadily goes with the time; what happens by independent knocks has a variance that goes with the time.
# </details>
# <details><summary>The check says that my input was changed.</summary>
#
# `x += …` and methods that end in an underscore work in place. Make a new tensor.
# </details>

# %% check="ou_step"
ou_step = check("ou_step")

# %% [markdown]
# ### Talk to your neighbour
#
# Lillicrap et al. took θ = 0.15, σ = 0.2, and dt = 1. Each step's knock has the deviation 0.2. After many steps the deviation of the noise is about
#
# **A** 0.2 · **B** 0.38 · **C** 1.3 · **D** it grows like √t
#
# <details><summary>What the exercise and the cell behind it will show</summary>
#
# **B**. D would be true without the pull. C, which is 0.2/0.15, comes out if deviations are added in place of variances.
# </details>

# %% [markdown]
# ### How wide, and how long
#
# Let (14.11) run for ever, with $|1-\theta\,dt| < 1$. It forgets where it began, and its mean is 0. Two numbers describe what is left: how far it spreads, and how long it remembers.
#
# $$\sigma_x = \sqrt{\mathrm{Var}[x_t]},\qquad c_k = \frac{\mathbb E[x_t\,x_{t+k}]}{\mathrm{Var}[x_t]} \tag{14.12}$$

# %% [markdown] task="ou_stationary"
# ### Exercise 14.6 · `ou_stationary`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min · ✎ on paper
#
# Take a sheet of paper and find (14.12) for the steps (14.11). Write one equation for a variance that does not change any more, and one for $\mathbb E[x_t\,x_{t+1}]$. Then write both results as a
# function.
#
# - `lag` is $k$, a whole number of *steps*, 0 or more. Floats come in and go out.
# - What the steps do is asked for, not what is left when $dt$ is very small: $\theta\,dt$ may be 1, or 1.5.


# %% exercise="ou_stationary" points=2
def ou_stationary(theta, sigma, dt, lag):
    """Deviation and correlation of the Ornstein-Uhlenbeck steps, after a long time (14.12).

    theta, sigma, dt: > 0, with theta * dt < 2; lag: steps, an int >= 0.
    Returns (deviation, correlation), two floats.
    """
    ### BEGIN SOLUTION
    kept = 1 - theta * dt
    variance = sigma**2 * dt / (1 - kept**2)  # from Var = kept² Var + σ² dt
    return variance**0.5, kept**lag  # (14.12)
    ### END SOLUTION


# %% [markdown] hints="ou_stationary"
# <details><summary>How do I begin?</summary>
#
# Call the share that one step keeps κ. Then a step is κx plus a knock that knows nothing of x. What is the variance of a sum of two independent numbers?
# </details>
# <details><summary>I have an equation with the variance on both sides.</summary>
#
# Good: "it does not change any more" says that the two are the same number. Solve for it.
# </details>
# <details><summary>And the correlation?</summary>
#
# Multiply one step by $x_t$ and take the mean: the fresh knock drops out. So each step costs one and the same factor. How many steps are there, and what must come out for none?
# </details>

# %% check="ou_stationary"
ou_stationary = check("ou_stationary")

# %% [markdown]
# Your formula against your steps, for four processes, the last of which overshoots: from each side to the other one. The starred number makes the usual mistake, $dt$ for $\sqrt{dt}$ in the
# knock: as the clock gets finer, its noise dies.

# %%
paths, wrong = {}, {}
for theta, sigma, dt in ((0.15, 0.2, 1.0), (0.15, 0.2, 0.25), (0.15, 0.2, 0.05), (0.7, 1.0, 2.0)):
    x, z = np.zeros(2_000), np.zeros(2_000)
    rows = []
    for _ in range(int(40 / dt) + 60):
        knock = rng.standard_normal(2_000)
        x = ou_step(x, knock, theta, sigma, dt)
        z = z - theta * z * dt + sigma * dt * knock
        rows.append(x)
    rows = np.array(rows[-50:])
    says, after_5 = ou_stationary(theta, sigma, dt, 5)
    found, seen_5 = rows.std(), np.corrcoef(rows[:-5].ravel(), rows[5:].ravel())[0, 1]
    print(f"θ = {theta}, σ = {sigma}, dt = {dt}: deviation {found:.3f} (formula {says:.3f}; * "
          f"{z.std():.3f})")  # fmt: skip
    print(f"{'after five steps':>34} {seen_5:+.3f} (formula {after_5:+.3f})")
    assert abs(found / says - 1) < 0.04 and abs(seen_5 - after_5) < 0.05
print("by " + authorship("ou_step", "ou_stationary"))

# %% [markdown]
# As $dt\to0$ your two formulas become $\sigma/\sqrt{2\theta}$ and $e^{-\theta t}$, which Uhlenbeck and Ornstein found in 1930.
#
# What does memory buy? A motor adds up what it is told. The sum of $n$ steps has, with lesson 08's count of pairs, (8.4),
#
# $$\mathrm{Var}\Big[\sum_{t=1}^nx_t\Big] = \sigma_x^2\Big[n+2\sum_{k=1}^{n-1}(n-k)\,c_k\Big] \tag{14.13}$$
#
# and without memory only the $n$ is left. So compare the two at **equal width**: both with your $\sigma_x$.

# %%
width = ou_stationary(0.15, 0.2, 1.0, 0)[0]
memory = [ou_stationary(0.15, 0.2, 1.0, k)[1] for k in range(20)]
with_memory = width * np.sqrt(20 + 2 * sum((20 - k) * memory[k] for k in range(1, 20)))
x, push = width * rng.standard_normal(20_000), 0.0
for _ in range(20):
    push = push + x
    x = ou_step(x, rng.standard_normal(20_000), 0.15, 0.2, 1.0)
print(f"pushes of 20 steps: {push.std():.2f} with memory ((14.13) says {with_memory:.2f}), "
      f"{width * 20**0.5:.2f} without")  # fmt: skip
assert abs(push.std() / with_memory - 1) < 0.05

# %% [markdown]
# To drag: noise of one width and of more or less memory (small θ: much; θ = 1: none), and what it adds up to. **What to look for:** the upper curves have the same height. Which of them would move a heavy arm?

# %% tags=["hide-input"]
knocks = np.random.default_rng(3).standard_normal(200)


def draw_memory(theta):
    sigma = 0.2 * width / ou_stationary(theta, 0.2, 1.0, 0)[0]
    x, rows = 0.0, []
    for knock in knocks:
        x = float(ou_step(torch.tensor(x), torch.tensor(knock), theta, sigma, 1.0))
        rows.append(x)
    upper, lower = plots.axes(2, 1, sharex=True)
    upper.plot(rows, "-", lw=1.3)
    upper.axhspan(-width, width, alpha=0.12, color=plots.INK, lw=0)
    upper.set(ylim=(-1.5, 1.5), ylabel="noise", title=f"θ = {theta}: a step keeps {1 - theta:.2f}")
    lower.plot(np.cumsum(rows), "-", lw=1.6)
    lower.set(ylim=(-45, 45), xlabel="step", ylabel="sum")
    return upper


plots.slide(
    draw_memory,
    [0.02, 0.05, 0.15, 0.5, 1.0],
    name="θ",
    alt="Above, noise of always the same width over 200 steps, the slower the smaller θ; below, its sum, which wanders the further the smaller θ is.",
)

# %% [markdown]
# ## Break
#
# A good place to stop. You have an actor's loss and a critic's label, both checked, and actions that stay in their box, with two kinds of noise. If the six checks above are green, all that is missing is the step that puts them
# together.

# %% [markdown]
# ## The whole step
#
# **D**eep **d**eterministic **p**olicy **g**radient, one update from a batch of the memory. Two optimisers, one for each network, go down two losses, and the slow copies follow:
#
# $$\begin{aligned}
# y &\ \text{ by (14.6), a label}\\
# \phi &\leftarrow \text{a step down } L(\phi) \text{ of (14.7)}\\
# \theta &\leftarrow \text{a step down } L(\theta) \text{ of (14.5), } \phi \text{ held fixed}\\
# \phi_{\text{targ}},\ \theta_{\text{targ}} &\leftarrow \text{(14.8)}
# \end{aligned} \tag{14.14}$$

# %% [markdown] task="ddpg_update"
# ### Exercise 14.7 · `ddpg_update`
# **Points** 4 · **Difficulty** ●●● · **Time** 20 min
#
# Write (14.14). `agent_state` has the networks `actor`, `critic`, `actor_targ`, `critic_targ`, the optimisers `actor_optimizer` and `critic_optimizer`, and the numbers `gamma` and `rho`; `polyak_update(target, online, rho)` is lesson 08's.
# Use your own two functions. Return the two losses as floats, in a dictionary with names of your choice.
#
# - Stale gradients may be lying in any `.grad` when you are called. None of them, and nothing of the actor's loss, may reach a step of the critic: not in this call, nor in the next.
# - **One decision is yours**: (14.5) has φ in it. Is that the critic as it was when the batch came, or as it is after its own step?


# %% exercise="ddpg_update" points=4
def ddpg_update(agent_state, batch):
    """One update of DDPG (14.14), in place.

    batch: obs, action, reward, next_obs, terminated; actions in (-1, 1). Returns a dict of floats.
    """
    ### BEGIN SOLUTION
    me = agent_state
    y = ddpg_target(me.actor_targ, me.critic_targ, batch, me.gamma)
    critic_loss = mse_loss(me.critic(batch.obs, batch.action), y)  # (14.7)
    me.critic_optimizer.zero_grad()
    critic_loss.backward()
    me.critic_optimizer.step()

    actor_loss = ddpg_actor_loss(me.actor, me.critic, batch.obs)  # (14.5)
    me.actor_optimizer.zero_grad()
    actor_loss.backward()
    me.actor_optimizer.step()

    polyak_update(me.critic_targ, me.critic, me.rho)  # (14.8)
    polyak_update(me.actor_targ, me.actor, me.rho)
    return {"critic_loss": critic_loss.item(), "actor_loss": actor_loss.item()}
    ### END SOLUTION


# %% [markdown] hints="ddpg_update"
# <details><summary>Where do I clear gradients?</summary>
#
# An optimiser takes whatever lies in `.grad` when it steps, and `backward()` adds to what lies there. So each of the two has to find its gradients empty right before its own `backward()`.
# </details>
# <details><summary>How do I decide which critic the actor climbs?</summary>
#
# The actor looks for the best action by what is known. Which of the two critics knows what this batch says?
# </details>
# <details><summary>When do the slow copies move?</summary>
#
# They follow what was learnt in this update. Is it learnt already where you move them?
# </details>

# %% check="ddpg_update"
ddpg_update = check("ddpg_update")

# %% [markdown]
# ## The experiment: swing up a pendulum
#
# Pendulum, from your own functions: a stick on a motor that is too weak to lift it at once. The observation is $(\cos,\sin)$ of the angle from the top, and the speed. Each of 200 steps costs for the angle, the speed and the torque, so all
# rewards are at most 0, and no state is terminal. Here 5000 steps are enough, with four pendulums that act together and an update for every four steps; the first 800 actions are drawn evenly from the box.
#
# Every 500 steps we stop and look: the return of twenty greedy episodes, and, at 200 states of the replay, what the critic *believes*, $Q_\phi(s,\mu_\theta(s))$, and what is *true*: the pendulum moves without chance, so we roll the policy out from each state
# and add up.

# %%
SETTINGS = {"gamma": 0.95, "rho": 0.97, "lr": 5e-3}
TRAINING = {"n_envs": 4, "warmup": 800, "train_every": 4, "batch_size": 128}
mine = {
    "ddpg_target": ddpg_target,
    "ddpg_actor_loss": ddpg_actor_loss,
    "ddpg_update": ddpg_update,
    "scale_action": scale_action,
    "explore_action": explore_action,
}


def agent(**changes):
    return lambda seed: DDPG.for_env("Pendulum-v1", seed=seed, **(SETTINGS | changes))


# %%
# about 6 s
yours = watch(agent(**mine), (0, 1), **TRAINING)

# %%
# about 3 s
courses = watch(agent(), (0,), **TRAINING)


# %%
class UniformTorque:
    """The policy that the warm-up follows."""

    def act(self, obs, rng, explore=True):
        return chance.uniform(-2, 2, size=(len(obs), 1))


chance = np.random.default_rng(0)
starts = chance.uniform(-np.pi, np.pi, size=200), chance.uniform(-1, 1, size=200)
by_chance = pendulum.returns(UniformTorque(), *starts, 1.0).mean()

# %% tags=["hide-input"]
name = f"DDPG, {whose(*mine)} functions"
ax = plots.curves({"the course's": courses.score, name: yours.score}, x=yours.steps,
                  xlabel="steps in the environment", ylabel="return of the greedy policy")  # fmt: skip
ax.axhline(by_chance, color=plots.INK, linewidth=1.5, linestyle=":")
ax.annotate("uniform torques", (5_000, by_chance), xytext=(0, 4), textcoords="offset points", ha="right", va="bottom")  # fmt: skip
plots.show(ax, alt="Greedy return on Pendulum over 5000 steps: below that of uniform torques at first, then it rises to about −150 with "
           "each seed.")  # fmt: skip
print(f"at the end {yours.score[:, -1].round(0)}, uniform torques {by_chance:.0f}")
print("swung up with " + authorship(*mine))
assert (yours.score[:, -1] > by_chance / 2).all()

# %%
with tempfile.TemporaryDirectory() as folder:
    film = f"{folder}/pendulum.gif"
    videos.record_episode(yours.agents[0], "Pendulum-v1", film, seed=0, max_frames=80)
    videos.show_gif(film, alt="A pendulum swings up and stays there, driven by the trained actor.")

# %% [markdown]
# ## Why: is Q(s, μ(s)) the maximum?
#
# That was the first claim of the lesson, and now it can be measured on a critic that nobody knew before. For five states: the critic along the action, and a dot where the actor is.

# %% tags=["hide-input"]
along = torch.linspace(-1, 1, 41)
five = pendulum.seen(np.array([np.pi, 2.0, 0.6, 0.1, -0.3]), np.array([0.5, -3.0, 0.0, -0.5, 1.5]))
said = ("hanging", "swinging", "falling", "at the top", "over the top")
trained = yours.agents[0]


def along_the_action(agent, obs):
    """Q (N, 41) along the action, and the actor's own action and value, (N,) each."""
    obs = torch.from_numpy(obs)
    with torch.no_grad():
        q = agent.critic(obs.repeat_interleave(41, dim=0), along.repeat(len(obs))[:, None])
        mu = agent.actor(obs)
        return q.view(-1, 41), mu[:, 0], agent.critic(obs, mu)


q, mu, at_mu = along_the_action(trained, five)
ax = plots.axes()
for row, name in enumerate(said):
    (line,) = ax.plot(along, q[row] - q[row].max(), label=name)
    ax.plot(mu[row], at_mu[row] - q[row].max(), "o", ms=9, color=line.get_color(), ls="")
ax.set(xlabel="action, in half-widths of the box", ylabel="Q(s, a), less its maximum")
ax.legend(loc="lower center", ncols=2)
ax.set_ylim(bottom=ax.get_ylim()[0] * 1.5)
plots.show(
    ax,
    alt="Five curves of Q along the action, and on each a dot at the actor's action, near its top.",
)

# %%
some = np.random.default_rng(1)
obs = pendulum.seen(some.uniform(-np.pi, np.pi, size=2_000), some.uniform(-8, 8, size=2_000))
for seed, one in enumerate(yours.agents):
    q, _, at_mu = along_the_action(one, obs)
    short = (q.max(dim=1).values - at_mu).mean()
    span = (q.max(dim=1).values - q.min(dim=1).values).mean()
    print(f"seed {seed}: the best of 41 actions is better by {short:.2f}, where Q varies by "
          f"{span:.1f}: {short / span:.0%}")  # fmt: skip
    assert short < 0.2 * span

# %% [markdown]
# So the actor's one call comes near the best of 41 actions, in states drawn at random, many of which nobody has visited.
#
# ## Which noise?
#
# Ornstein–Uhlenbeck noise, Gaussian noise of the *same* width, and no noise at all after the first 800 actions; our agents above had Gaussian noise of width 0.1. Guess the order before you run the cell.

# %%
# about 8 s
noises = {
    "Ornstein–Uhlenbeck": OrnsteinUhlenbeckNoise(ou_step=ou_step),
    f"Gaussian, {width:.2f}": GaussianNoise(width),
    "none": GaussianNoise(0.0),
}
noisy = {name: watch(agent(**mine, noise=n), (0,), **TRAINING) for name, n in noises.items()}

# %% tags=["hide-input"]
for name, run in noisy.items():
    print(
        f"{name:20} return at the end {run.score[0, -1]:.0f}, at its best look {run.score.max():.0f}"
    )
print(f"{'Gaussian, 0.1':20} return at the end {yours.score[:, -1].round(0)}")
print("noise made by " + authorship("ou_step", "explore_action"))
assert all(run.score.max() > by_chance / 2 for run in noisy.values())

# %% [markdown]
# On this task there is nothing to choose between them: all swing the pendulum up, and from a table of single runs no order can be read. Even the agent without noise learns, because 800 even draws have shown it the whole box, and
# while it learns its own policy changes enough. That an ablation shows nothing here does not say that noise is worth nothing. Where a reward has to be *found*, far from where one begins, memory carries: the factor
# that you measured under (14.13).

# %% [markdown]
# ## Change one thing
#
# Both slow copies equal to the trained networks, ρ = 0: the labels run. **What to look for:** the critic's loss at the start, and whether a good return stays. Then change `change`:
# `{"scale_action": lambda a, low, high: a}` (half the torque: does it still learn?), `{"rho": 0.999}`, `{"gamma": 0.8}` (what can it not see any more?), `{"lr": 1e-3}`.

# %%
change = {"rho": 0.0}

# %%
# about 6 s
changed = watch(agent(**(mine | change)), (0, 1), **TRAINING)

# %% tags=["hide-input"]
ax = plots.curves({f"changed: {', '.join(change)}": changed.score, "DDPG": yours.score}, x=yours.steps,
                  xlabel="steps in the environment", ylabel="return of the greedy policy")  # fmt: skip
plots.show(ax, alt="Greedy return over steps, unchanged and with one thing changed.")
for name, run in {"changed": changed, "DDPG": yours}.items():
    first = [one["critic_loss"][0] for one in run.losses]
    print(f"{name:8} critic's loss after 100 updates {np.round(first, 1)}, "
          f"return at the end {run.score[:, -1].round(0)}")  # fmt: skip

# %% [markdown]
# ## Find the silent bug
#
# A colleague writes the update in one piece. Every line of (14.14) is there, in the right order. No error, no NaN, and both losses look ordinary. But the pendulum does not come up. **What is wrong?** Look at the figure first: what does this critic have
# that yours has not?


# %%
def colleagues_update(agent_state, batch):
    me = agent_state
    y = ddpg_target(me.actor_targ, me.critic_targ, batch, me.gamma)
    critic_loss = mse_loss(me.critic(batch.obs, batch.action), y)
    critic_loss.backward()
    me.critic_optimizer.step()
    me.critic_optimizer.zero_grad()

    actor_loss = -me.critic(batch.obs, me.actor(batch.obs)).mean()
    actor_loss.backward()
    me.actor_optimizer.step()
    me.actor_optimizer.zero_grad()

    polyak_update(me.critic_targ, me.critic, me.rho)
    polyak_update(me.actor_targ, me.actor, me.rho)
    return {"critic_loss": critic_loss.item(), "actor_loss": actor_loss.item()}


# %%
# about 6 s
colleagues = watch(agent(**(mine | {"ddpg_update": colleagues_update})), (0, 1), **TRAINING)

# %% tags=["hide-input"]
left, right = plots.axes(1, 2, size="wide")
both = {"the colleague's": colleagues, "DDPG": yours}
plots.curves({name: run.score for name, run in both.items()}, x=yours.steps, ax=left,
             xlabel="steps", ylabel="return of the greedy policy")  # fmt: skip
plots.curves({name: run.believed - run.true for name, run in both.items()}, x=yours.steps, ax=right,
             xlabel="steps", ylabel="believed − true value")  # fmt: skip
right.axhline(0, color=plots.INK, lw=1, ls=":")
right.get_legend().remove()
plots.show(right, alt="Left, the return of DDPG rises and the colleague's does not. Right, what the critics believe above the truth: DDPG's comes down to 0, "
           "the colleague's stays far above.")  # fmt: skip
for name, run in both.items():
    last = {k.split("_")[0]: [round(one[k][-1], 1) for one in run.losses] for k in run.losses[0]}
    positive = [(pendulum.believed(one, met) > 0).mean()
                for one, met in zip(run.agents, run.met, strict=True)]  # fmt: skip
    print(f"{name}: losses at the end {last}")
    print(f"   believed − true {(run.believed - run.true)[:, -1].round(0)}, at the border in "
          f"{run.border[:, -1].round(2)} of the states")  # fmt: skip
    print(f"   Q > 0 in {np.round(positive, 2)}; return {run.score[:, -1].round(0)}")

# %% [markdown]
# <details><summary>I need a hint.</summary>
#
# The colleague's critic promises far more than its policy earns. Who gains from such promises? Follow the critic's `.grad` through *two* calls: what lies in it when the next `critic_loss.backward()` comes?
# </details>
# <details><summary>What is wrong?</summary>
#
# The critic's gradients are cleared *after its step*, and then the actor's loss runs backwards through the critic and leaves its gradient there. It waits, and joins the next step of the critic: which so goes down $L(\phi)+L(\theta)$. It learns to say
# higher values for what the actor does, in order to please. That is the flattery of (14.5).
#
# No number of the losses gives it away. And do not wait for the impossible either: every reward is at most 0, but a flattering Q need not be *above 0*, only above the truth (compare the two printed shares). So plot what is
# believed beside what is true, whenever the truth can be had. The next cell cures it.
# </details>

# %%
flattered, honest = agent(**mine)(0), agent(**mine)(0)
draw = torch.Generator().manual_seed(0)
batch = Batch(torch.randn(64, 3, generator=draw), torch.rand(64, 1, generator=draw) * 2 - 1,
              -torch.rand(64, generator=draw), torch.randn(64, 3, generator=draw), torch.zeros(64))  # fmt: skip
colleagues_update(flattered, batch)
left_over = sum(
    float(p.grad.abs().sum()) for p in flattered.critic.parameters() if p.grad is not None
)
ddpg_update(honest, batch)
before = deepcopy(flattered.critic)
flattered.critic_optimizer.zero_grad()  # the cure: clear right before backward()
colleagues_update(flattered, batch)
ddpg_update(honest, batch)
pairs = zip(flattered.critic.parameters(), honest.critic.parameters(), strict=True)
apart = max((p - q).abs().max().item() for p, q in pairs)
moved = max((p - q).abs().max().item() for p, q in
            zip(flattered.critic.parameters(), before.parameters(), strict=True))  # fmt: skip
print(f"waiting in the critic's .grad after a call: {left_over:.1f} in all")
print(f"cleared first, the critic's second step is {whose('ddpg_update')} own: apart by {apart:.0e}, "
      f"moved by {moved:.0e}")  # fmt: skip
assert left_over > 0 and apart < 1e-5 < moved

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** Two people train DDPG. One adds noise to the *action*; the other adds it to the label's action $\mu_{\theta_{\text{targ}}}(s')$ as well. Do they learn the same Q?
#
# <details><summary>Answer</summary>
#
# No. The first learns $Q$ of the policy without noise, from data that noise has gathered: off-policy. The second learns the value of a policy that trembles for ever. Where a false step is dear, beside a cliff, the two differ: lesson 05's
# Q-learning and SARSA. (The next lesson has a reason to do it nevertheless.)
# </details>
#
# **2.** The actor is at the border of the box in many states, and the tanh is flat there. What becomes of its gradient, and what would help?
#
# <details><summary>Answer</summary>
#
# $\nabla_\theta\mu_\theta$ has the factor $1-\tanh^2$, which is almost 0: the actor hardly moves any more, even if the critic's slope says that it should come back. A slower actor, or a critic that has been trained longer before it is climbed, keeps it from
# running to the border early.
# </details>
#
# **3.** Could we leave out the actor, and find $\max_aQ$ by a few steps of gradient ascent on $a$ for each label?
#
# <details><summary>Answer</summary>
#
# Yes, and it costs these steps for each label and each action taken. The actor remembers, for all states, where earlier ascents have ended: it *amortises* them. Both climb, so both may end on the lower hill.
# </details>

# %% [markdown]
# ## Summary
#
# - With a continuum of actions $\max_aQ(s,a)$ cannot be looked up; a network $\mu_\theta$ that is trained to make $Q(s,\mu_\theta(s))$ large turns it into a function call, and falls short where it stands on a lower hill.
# - The gradient of that training is the deterministic policy gradient, and the critic's weights are held fixed in it: a critic that gets the actor's gradient learns to flatter.
# - The label is made by slow copies of *both* networks, at the action that the slow actor would take in $s'$; so data of any policy will do.
# - Noise explores: measured in half-widths of the box, clipped as a sum, and left out of the label. Ornstein–Uhlenbeck noise of width $\sigma/\sqrt{2\theta-\theta^2dt}$ adds up to more than fresh noise of the same width.
# - Losses do not show whether a critic is right. Compare what it believes with what its policy earns.

# %% [markdown]
# ## Where this went
#
# What later methods change in (14.6) and (14.5):
#
# - **NAF** (Gu et al. 2016): no actor. $Q = V-\tfrac12(a-\mu)^\top P\,(a-\mu)$, so that the maximum is at μ in closed form.
# - **MADDPG** (Lowe et al. 2017): several agents; $Q_i(x, a_1,\dots,a_N)$ sees all actions, each actor its own observation only.
# - **D4PG** (Barth-Maron et al. 2018): y becomes a distribution, over returns of n steps; the actor climbs its mean.
# - **TD3+BC** (Fujimoto & Gu 2021): the actor climbs $\lambda\,Q(s,\mu(s))-\lVert\mu(s)-a\rVert^2$: it learns from a data set that does not grow, near the actions in it.
# - **Pink noise** (Eberhard et al. 2023): noise between white and Ornstein–Uhlenbeck, with a spectrum like 1/f, as the default where nobody has tuned it.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Other letters, and what is left out where</summary>
#
# - Lillicrap et al., *Continuous control with deep reinforcement learning*: their $\theta^Q$, $\theta^\mu$ are our φ, θ, and their τ is our $1-\rho$. Their Algorithm 1 has no flag for the end of an episode. Their OU noise has $dt=1$, and is in the environment's
#   units.
# - The slides *RL methods for continuous action space* first write the Bellman error with $\max_{a'}Q_\phi$ of the network that is being trained, and only later with slow copies. Their noise is in the environment's units. They reset "if $s'$ is terminal": a time limit resets as
#   well, and does not set $d$.
# - The lecture notes on Stein's identity, in their section on DDPG, have no $(1-d)$ in y, and do not clip the action.
# </details>

# %% [markdown]
# ## What we hand on
#
# The label, with slow copies of both networks:
#
# $$y = r + \gamma\,(1-d)\,Q_{\phi_{\text{targ}}}\big(s',\ \mu_{\theta_{\text{targ}}}(s')\big)$$
#
# The critic regresses on it, the actor climbs the critic, and both copies follow slowly:
#
# $$L(\phi) = \frac1B\sum\big(Q_\phi(s,a) - y\big)^2$$
#
# $$L(\theta) = -\frac1B\sum Q_\phi\big(s,\mu_\theta(s)\big)$$
#
# $$\phi_{\text{targ}}\leftarrow\rho\,\phi_{\text{targ}}+(1-\rho)\,\phi,\qquad \theta_{\text{targ}}\leftarrow\rho\,\theta_{\text{targ}}+(1-\rho)\,\theta$$
#
# An actor climbs the critic, and its action goes into the critic's label. If the critic errs, will the actor not find just the errors that please? Our figure of belief and truth came down to 0 here, after a
# bad start. Lesson 15 goes to a room in which it does not.
