# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 15 · TD3
#
# Part IV · 13 → 14 → **15** → 16 → 17 → 18 → 19 → 20
#
# - **You will be able to** show that DDPG believes in returns that nobody can earn, say where the error comes
#   from and how it grows, repair it with three small changes (a smoothed target, the smaller of two critics, an
#   actor that waits), and work out on paper what the smaller of two is worth when both make the same mistakes.
# - **Builds on** lesson 05 (the bias of a maximum), 08 (replay, target networks), 14 (DDPG).
# - **Time** 120 minutes alone, 75 as a lecture.
# - **Sources** Fujimoto, van Hoof & Meger 2018, *Addressing function approximation error in actor-critic
#   methods* (arXiv 1802.09477); Lillicrap et al. 2016 (DDPG); Clark 1961, *The greatest of a finite set of random
#   variables*; the slides *RL methods for continuous action space* on DDPG, TD3 and SAC.

# %%
import tempfile
from copy import deepcopy

import numpy as np
import torch
from torch.nn.functional import mse_loss

from rlcourse.checker import authorship, check, whose
from rlcourse.continuous.casino import (
    CASINO,
    LOTTERY,
    RandomWalk,
    draw_beliefs,
    film,
    moved,
    true_values,
    watch,
)
from rlcourse.continuous.ddpg import DDPG
from rlcourse.continuous.noise import GaussianNoise
from rlcourse.continuous.td3 import TD3
from rlcourse.lab import plots, videos
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.networks import polyak_update
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.replay import Batch

torch.set_num_threads(1)

# %% [markdown]
# ## What we inherit
#
# Lesson 14 replaced the maximum over actions, which nobody can compute for a continuum of them, by a network:
# $\max_a Q(s,a) \approx Q(s,\mu_\theta(s))$. With slow copies of both networks, DDPG's target for a transition
# $(s,a,r,s',d)$ is
#
# $$y = r + \gamma\,(1-d)\,Q_{\phi_{\text{targ}}}\big(s',\ \mu_{\theta_{\text{targ}}}(s')\big) \tag{15.1}$$
#
# The critic regresses on it, the actor climbs the critic, and both copies follow slowly:
#
# $$L(\phi) = \frac1B\sum\big(Q_\phi(s,a) - y\big)^2 \tag{15.2}$$
#
# $$L(\theta) = -\frac1B\sum Q_\phi\big(s,\mu_\theta(s)\big) \tag{15.3}$$
#
# $$\phi_{\text{targ}}\leftarrow\rho\,\phi_{\text{targ}}+(1-\rho)\,\phi,\qquad \theta_{\text{targ}}\leftarrow\rho\,\theta_{\text{targ}}+(1-\rho)\,\theta \tag{15.4}$$

# %% [markdown]
# ## Guess first
#
# You are in a square room and may walk where you like, without end. Each step wins or loses a few cents in a fair lottery, a
# draw from $\mathcal N(0,\,0.03^2)$. It does not matter where you are or what you do.
#
# **What is the value of the best policy? And what will DDPG's critic believe after 900 steps?**
#
# <details><summary>I have guessed. What is true?</summary>
#
# Every policy has the value 0, from every state, exactly. There is nothing to learn here but that. What DDPG believes you will
# see in half a minute.
# </details>

# %% [markdown]
# ## DDPG, watched
#
# We train DDPG in this room with three seeds. Every 100 steps we stop, draw 200 states from its replay, and ask two
# questions about them:
#
# - What does the critic *believe*? The mean of $Q_\phi(s,\mu_\theta(s))$.
# - What is *true*? Roll the current policy out from each of these states and add up the discounted rewards. The
#   room moves without chance and no action changes the luck, so adding up *mean* rewards gives the exact expectation.
#
# Our DDPG here is the course's TD3 with its three tricks switched off, so that later one can be switched on at a time and nothing
# else changes. What is left over is a second critic that nobody asks.

# %%
SEEDS = (0, 1, 2)
SETTINGS = {"gamma": 0.98, "rho": 0.95, "lr": 2e-3}


def one_critic(reward, q1_next, q2_next, terminated, gamma):
    return reward + gamma * (1 - terminated) * q1_next.detach()  # (15.1): the second is not asked


def not_smoothed(mu_next, *noise_and_box):
    return mu_next


off = {"smoothed_target_action": not_smoothed, "clipped_double_q_target": one_critic, "every": 1}


def agent(**changes):
    return lambda seed: TD3.for_env(LOTTERY.env, seed=seed, **(SETTINGS | changes))


# %% [markdown]
# Is that really DDPG? Give both the same first weights and the same batch, and compare all weights after three updates:

# %%
lesson_14, this = DDPG.for_env(LOTTERY.env, seed=0, **SETTINGS), agent(**off)(0)
draw = torch.Generator().manual_seed(0)
for _ in range(3):
    obs, action, next_obs = torch.rand(3, 64, 2, generator=draw) * 2 - 1
    batch = Batch(obs, action, torch.randn(64, generator=draw), next_obs, torch.zeros(64))
    lesson_14.update(batch, np.random.default_rng(0))
    this.update(batch, np.random.default_rng(0))
pairs = (
    (lesson_14.actor, this.actor),
    (lesson_14.critic, this.critic1),
    (lesson_14.critic_targ, this.critic1_targ),
)
apart = max((a - b).abs().max().item() for one, other in pairs
            for a, b in zip(one.parameters(), other.parameters(), strict=True))  # fmt: skip
print(f"largest difference between two weights: {apart:.1e}")
assert apart < 1e-6

# %%
# about 7 s
ddpg = watch(agent(**off), LOTTERY, SEEDS)

# %% tags=["hide-input"]
ax = plots.curves({"believed by the critic": ddpg.believed, "true": ddpg.true}, x=ddpg.steps,
                  xlabel="steps", ylabel="value of the policy")  # fmt: skip
plots.show(
    ax,
    alt="DDPG in the lottery: the believed value rises from 0 with every seed; the true value is 0.",
)
for seed, belief, truth in zip(SEEDS, ddpg.believed[:, -1], ddpg.true[:, -1], strict=True):
    print(f"seed {seed}: believed {belief:+.2f}, true {truth:+.2f}")
assert (ddpg.believed[:, -1] > 0).all() and (ddpg.true == 0).all()

# %% [markdown]
# There is nothing to be found here, and DDPG has found something, with every seed: about ten times what one step wins or
# loses, for nothing. (The luck of a step has mean 0, and after many visits to each place the critic would know. But 900
# steps are few for a whole room: somewhere what was drawn *nearby* has been kind, and there the actor goes.)
#
# ### Talk to your neighbour
#
# Suppose the critic's error were fair: at every action its mean is 0. Then the actor takes one small step uphill on what
# the critic says. At the action where it arrives, the mean error is
#
# **A** still 0 · **B** above 0 · **C** above 0 only if the true Q is not flat
#
# <details><summary>What the next two cells will show</summary>
#
# **B**. The derivation does not use the true Q at all, and the cell behind it measures it.
# </details>

# %% [markdown]
# ## Where the error comes from
#
# No maximum is written in (15.1). It is hidden in (15.3): the actor goes where the critic is high. Write what the
# critic says as truth plus error, $Q_\phi(s,a) = Q^\mu(s,a) + \varepsilon(a)$. Be generous and let the error be fair: its
# mean is 0 *at every action*. Now the actor takes one step of size η uphill from $a_0$:
#
# $$a_1 = a_0 + \eta\,\nabla_a\big[Q^\mu + \varepsilon\big](a_0)$$
#
# To first order in η the error at the new action is $\varepsilon(a_1) \approx \varepsilon(a_0) + \eta\,\nabla\varepsilon^\top(\nabla
# Q^\mu+\nabla\varepsilon)$. Take the mean over the error: the first term has mean 0, and so has $\nabla\varepsilon^\top\nabla Q^\mu$,
# because the mean of a gradient is the gradient of the mean, which is 0 at every action. What stays is a square:
#
# $$\mathbb E\big[\varepsilon(a_1)\big] \;\approx\; \eta\;\mathbb E\,\lVert\nabla\varepsilon(a_0)\rVert^2 \;>\; 0 \tag{15.5}$$
#
# A fair error becomes an unfair one by being climbed. It is lesson 05's maximum again, in slow motion.

# %% [markdown]
# In numbers: 20 000 random errors $\varepsilon(a) = \tfrac12\sum_k\cos(ka+\text{phase})$, a truth of
# $-\tfrac12(a-0.3)^2$, one step from $a_0 = 0$. (The mean of ε'² at a point is $\tfrac18\sum_k k^2$.)

# %%
rng = np.random.default_rng(0)
k = np.arange(1, 5)
phase = rng.uniform(0, 2 * np.pi, size=(20_000, len(k)))


def error(a, phase=phase):
    return 0.5 * np.cos(k * a[:, None] + phase).sum(axis=1)


def uphill(a):
    return -(a - 0.3) - 0.5 * (k * np.sin(k * a[:, None] + phase)).sum(axis=1)  # Q' + ε'


a0, eta = np.zeros(20_000), 0.01
a1 = a0 + eta * uphill(a0)
predicted, measured = eta * (k**2).sum() / 8, error(a1) - error(a0)
print(f"one step: measured {measured.mean():.4f}, (15.5) says {predicted:.4f}")
assert abs(measured.mean() - predicted) < 4 * measured.std() / np.sqrt(20_000) + 0.03 * predicted
for _ in range(200):
    a1 = a1 + eta * uphill(a1)
climbed = error(a1).mean()
print(f"200 steps: mean error {climbed:.2f}, where it was {error(a0).mean():+.2f} before")
assert climbed > 10 * predicted

# %% [markdown]
# ## How it grows
#
# The climbed value is then the *label* for the state before, and its error travels with it. Suppose each
# regression adds a bias $e$ of its own by (15.5), on top of γ times the bias $b$ that came with the target:
#
# $$b \leftarrow e + \gamma\,b \qquad\Longrightarrow\qquad b \to \frac{e}{1-\gamma} \tag{15.6}$$
#
# With γ = 0.98 a bias of 0.1 at each step becomes one of 5.

# %%
b = 0.0
for _ in range(1000):
    b = 0.1 + 0.98 * b
print(f"after 1000 backups: {b:.3f}; (15.6) says {0.1 / (1 - 0.98):.3f}")
assert abs(b - 0.1 / (1 - 0.98)) < 1e-6

# %% [markdown]
# So there are three places to do something: at the *shape* of the error that can be climbed, at the *value* that goes
# into the target, and at the *speed* of the climber. That is TD3, "twin delayed DDPG", one trick each.

# %% [markdown]
# ## First trick: smooth the target
#
# A critic is fitted at the actions that were taken, and between them it has narrow bumps. Actions that are nearly alike
# should be worth nearly the same, so do not ask the target critic at one action, ask it *around* there:
#
# $$y = r + \gamma\,(1-d)\;\mathbb E_{\xi}\Big[Q_{\phi_{\text{targ}}}\big(s',\ \mu_{\theta_{\text{targ}}}(s')+\sigma\xi\big)\Big] \tag{15.7}$$
#
# with $\xi\sim\mathcal N(0, I)$. A bump $\cos(ka)$ shrinks by the factor $e^{-k^2\sigma^2/2}$: the narrower (large $k$), the more. Nobody computes the expectation in (15.7); each transition samples it, with **one** draw. So that no draw looks far
# away, the noise is clipped to ±c; so that no draw leaves the box of actions, where the critic has never seen anything,
# the sum is clipped too:
#
# $$a'(s') = \mathrm{clip}\Big(\mu_{\theta_{\text{targ}}}(s') + \mathrm{clip}(\sigma\xi,\,-c,\,c),\ \text{low},\ \text{high}\Big) \tag{15.8}$$

# %% [markdown] task="smoothed_target_action"
# ### Exercise 15.1 · `smoothed_target_action`
# **Points** 2 · **Difficulty** ●○○ · **Time** 8 min
#
# Compute (15.8) for a batch. `noise` is ξ, already drawn.
#
# - σ and c are in the units of an action: σ = 0.2 moves it by about 0.2, c = 0.5 by at most 0.5.
# - `low` and `high` are floats, or tensors of shape (D,) where the box differs from dimension to dimension.


# %% exercise="smoothed_target_action" points=2
def smoothed_target_action(mu_next, noise, sigma, clip, low, high):
    """The action at which the target critics are asked (15.8).

    mu_next: (B, D), the slow actor's actions at s'; noise: (B, D), standard normal; sigma, clip: > 0;
    low, high: the box, floats or (D,). Returns (B, D).
    """
    ### BEGIN SOLUTION
    held = (sigma * noise).clamp(-clip, clip)
    return (mu_next + held).clip(low, high)  # (15.8)
    ### END SOLUTION


# %% [markdown] hints="smoothed_target_action"
# <details><summary>How many clips are there?</summary>
#
# Two, one inside the other. The inner one holds the noise, the outer one the action.
# </details>
# <details><summary>Where does σ go?</summary>
#
# It turns a standard normal draw into one of standard deviation σ. That happens before the inner clip, because c bounds
# the noise as it is added.
# </details>
# <details><summary>torch complains about the bounds.</summary>
#
# A tensor's `clip` (or `clamp`) takes two floats or two tensors, not one of each. In the inner clip both bounds are
# floats; in the outer one both are whatever you were given.
# </details>

# %% check="smoothed_target_action"
smoothed_target_action = check("smoothed_target_action")

# %% [markdown]
# The factor $e^{-k^2\sigma^2/2}$, measured with your function (bounds far away, so that only σ acts), and next to it what
# c = 0.5 leaves of it:

# %%
xi = torch.from_numpy(rng.standard_normal((200_000, 1)))
here = torch.full_like(xi, 0.4)
for wave in (1, 4, 8):
    free = smoothed_target_action(here, xi, 0.2, 50.0, -50.0, 50.0)
    held = smoothed_target_action(here, xi, 0.2, 0.5, -50.0, 50.0)
    shrunk = np.cos(wave * 0.4) * np.exp(-(wave**2) * 0.2**2 / 2)
    means = [float(torch.cos(wave * a).mean()) for a in (free, held)]
    print(f"k = {wave}: bump {np.cos(wave * 0.4):+.3f} → {means[0]:+.3f} (formula {shrunk:+.3f}), "
          f"with c = 0.5: {means[1]:+.3f}")  # fmt: skip
    assert abs(means[0] - shrunk) < 4 / np.sqrt(2 * 200_000)

# %% [markdown]
# And to drag: a critic with wide and narrow bumps on top of the truth, and what its target sees on average when your function blurs the
# actor's action (c = 0.5). **What to look for:** which bumps melt first? How far above the truth is each curve at its highest point? What
# becomes of the true hill when σ is large?

# %% tags=["hide-input"]
line = np.linspace(-1.5, 1.5, 181)
even = (
    torch.erfinv((2 * torch.arange(300, dtype=torch.float64) + 1) / 300 - 1) * 2**0.5
)  # ξ, evenly
mu_row = torch.from_numpy(line).repeat_interleave(300)[:, None]


waves = np.array([2, 5, 9, 14])


def says(a):
    return -((a - 0.3) ** 2) / 2 + 0.25 * np.cos(waves * a[:, None] + phase[0]).sum(axis=1)


def draw_blur(sigma):
    blurred = smoothed_target_action(mu_row, even.repeat(181)[:, None], sigma, 0.5, -1.5, 1.5)
    seen = {
        "the critic": says(line),
        "its target": says(blurred[:, 0].numpy()).reshape(181, 300).mean(axis=1),
    }
    truth = -((line - 0.3) ** 2) / 2
    ax = plots.curves(seen, x=line, xlabel="action", ylabel="value")
    ax.plot(line, truth, color=plots.INK, linestyle=":", label="true")
    told = []
    for curve, drawn in zip(seen.values(), ax.lines, strict=False):
        top = curve.argmax()
        ax.plot(
            2 * [line[top]],
            [truth[top], curve[top]],
            color=drawn.get_color(),
            linestyle="-",
            linewidth=1.2,
            marker="o",
        )
        told.append(f"{curve[top] - truth[top]:+.2f}")
    ax.set(ylim=(-2.2, 1.9), title="at the top too high by " + " → ".join(told))
    ax.legend(loc="upper right", ncols=3)
    return ax


plots.slide(draw_blur, [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8], name="σ", start=3, alt="A critic's value over the action, bumpy, the "
            "true value, a smooth hill, and what a blurred target sees of the critic. The larger σ, the fewer bumps are left.")  # fmt: skip

# %% [markdown]
# Now the trick alone: DDPG, and nothing else changed but the action in its target. It learns with *your* function.

# %%
# about 7 s
smoothing_on = off | {"smoothed_target_action": smoothed_target_action}
smoothed = watch(agent(**smoothing_on), LOTTERY, SEEDS)


# %% tags=["hide-input"]
def compare(**runs):
    """How much too high each critic is, as it learns."""
    shown = {name: run.error for name, run in runs.items()}
    ax = plots.curves(shown, x=ddpg.steps, xlabel="steps", ylabel="believed − true")
    ax.axhline(0, color=plots.INK, linewidth=1, linestyle=":")
    last = {name: error[:, -1] for name, error in shown.items()}
    words = "; ".join(f"{name} {error.mean():.2f}" for name, error in last.items())
    plots.show(ax, alt=f"How much too high the critics are, by step; at the end {words}.")
    for name, error in last.items():
        print(f"{name:31} at the end: {error.mean():+.2f}, the seeds {error.round(2)}")


print("smoothing made by " + authorship("smoothed_target_action"))
compare(**{"DDPG": ddpg, "TD3's smoothing alone": smoothed})

# %% [markdown]
# ## Second trick: the smaller of two critics
#
# Lesson 05 cured the maximum with two tables: one selects, the other evaluates. Let us have two critics, then, with
# different first weights. The actor climbs critic 1, so its action depends on $\varepsilon_1$. Critic 2 has not been
# climbed: if its error is fair and independent of $\varepsilon_1$, then $\mathbb E[\varepsilon_2(a)] = 0$ at the action that the
# actor found. And a minimum is not above either of its two numbers:
#
# $$\min\big(\varepsilon_1,\varepsilon_2\big) \le \varepsilon_2 \quad\Longrightarrow\quad
# \mathbb E\big[\min(\varepsilon_1(a),\varepsilon_2(a))\big] \le 0 \tag{15.9}$$
#
# Never too high, then, but possibly too low. That is the better mistake: an action that is valued too low is not
# chosen, so its error is not handed on; one that is valued too high attracts the actor.

# %%
other_phase = rng.uniform(0, 2 * np.pi, size=phase.shape)
first, second = error(a1), error(a1, other_phase)  # a1 was found by climbing the first
print(f"climbed critic {first.mean():+.2f}, the other {second.mean():+.2f}, "
      f"the smaller {np.minimum(first, second).mean():+.2f}")  # fmt: skip
assert abs(second.mean()) < 4 * second.std() / np.sqrt(len(second))
assert np.minimum(first, second).mean() <= 0

# %% [markdown]
# So the target takes the smaller of the two *slow* critics. It is **one** target, and both critics will learn it:
#
# $$y = r + \gamma\,(1-d)\,\min_{i=1,2}Q_{\phi_{\text{targ},i}}\big(s',\,a'(s')\big) \tag{15.10}$$

# %% [markdown] task="clipped_double_q_target"
# ### Exercise 15.2 · `clipped_double_q_target`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (15.10) for a batch. `q1_next[i]` and `q2_next[i]` are what the two target critics say of $(s'_i, a'(s'_i))$.
#
# - Where the episode terminated they hold arbitrary numbers.
# - y is a label: no gradient may flow through it into either critic, even if the two arguments carry one.


# %% exercise="clipped_double_q_target" points=1
def clipped_double_q_target(reward, q1_next, q2_next, terminated, gamma):
    """TD3's target (15.10), detached.

    reward, q1_next, q2_next, terminated: (B,); terminated: 0 or 1; gamma: in [0, 1]. Returns (B,).
    """
    ### BEGIN SOLUTION
    q_next = torch.minimum(q1_next, q2_next).detach()
    return reward + gamma * (1 - terminated) * q_next  # (15.10)
    ### END SOLUTION


# %% [markdown] hints="clipped_double_q_target"
# <details><summary>The minimum over what?</summary>
#
# Over the two critics, for each transition by itself. From two tensors of shape (B,) you want one of shape (B,).
# </details>
# <details><summary>What about the rows that terminated?</summary>
#
# As in every target since lesson 04: $(1-d)$ stands before the future and not before the reward.
# </details>
# <details><summary>My numbers are right, and the check still complains about a gradient.</summary>
#
# A tensor that was computed from a network remembers it. Lesson 00 has the method that makes it forget.
# </details>

# %% check="clipped_double_q_target"
clipped_double_q_target = check("clipped_double_q_target")

# %%
# about 7 s
minimum_on = off | {"clipped_double_q_target": clipped_double_q_target}
twin = watch(agent(**minimum_on), LOTTERY, SEEDS)
print("the minimum made by " + authorship("clipped_double_q_target"))
compare(**{"DDPG": ddpg, "TD3's two critics alone": twin})

# %% [markdown]
# Much smaller, but still above 0, and (15.9) had said "≤ 0". Which of its assumptions does not hold? The critics have different
# first weights, but they learn from the same replay and from the same labels: where the lottery happened to pay well in the
# transitions that are stored, both have seen it. Their errors are not independent, and what they share the minimum cannot see.
#
# ## How much is a minimum worth?
#
# Lesson 05 worked out how far the *larger* of two independent estimates lies above the truth. Here it is the smaller one, and
# the estimates are not independent. Let two critics judge one action, each right on average, and noisy:
# $Q_{\phi_i} \sim \mathcal N(Q^\mu, \sigma_i^2)$, jointly Gaussian, and let ρ be the correlation of their errors. (This ρ has
# nothing to do with the one of Polyak averaging.) The bias of their minimum is a function of three numbers:
#
# $$b(\sigma_1,\sigma_2,\rho) = \mathbb E\big[\min(Q_{\phi_1},Q_{\phi_2})\big] - Q^\mu \tag{15.11}$$

# %% [markdown] task="clipped_bias"
# ### Exercise 15.3 · `clipped_bias`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min · ✎ on paper
#
# Take a sheet of paper and find (15.11). Then write your formula as a function, one or two lines long.
#
# - You may use lesson 05's $\mathbb E\lvert X\rvert = \theta\sqrt{2/\pi}$ for $X \sim \mathcal N(0, \theta^2)$.
# - `sigma_1`, `sigma_2` > 0 need not be equal; `rho` is anything from −1 to 1. The result is a float, and never above 0.
# - A formula is asked for: a simulation is not exact enough.


# %% exercise="clipped_bias" points=2
def clipped_bias(sigma_1, sigma_2, rho):
    """How far the smaller of two unbiased estimates lies below the truth, on average (15.11).

    sigma_1, sigma_2: their deviations, > 0; rho: the correlation of their errors, in [−1, 1].
    Returns a float ≤ 0.
    """
    ### BEGIN SOLUTION
    variance = sigma_1**2 + sigma_2**2 - 2 * rho * sigma_1 * sigma_2  # of Q1 − Q2
    return -np.sqrt(variance / (2 * np.pi))  # (15.11)
    ### END SOLUTION


# %% [markdown] hints="clipped_bias"
# <details><summary>How do I take the mean of a minimum?</summary>
#
# Get rid of it first. The smaller of two numbers lies below the middle between them, by a part of their distance. Write that as
# a formula with an absolute value, and take the mean of both terms.
# </details>
# <details><summary>How is the distance distributed?</summary>
#
# The difference of jointly Gaussian numbers is Gaussian. Its mean is 0 here. For its variance multiply out the square of
# the difference of the two errors, and take the mean of each of the three terms; in one of them ρ comes in.
# </details>
# <details><summary>How can I try my formula before I run the check?</summary>
#
# At three places you know the answer. ρ = 1 and equal spreads: twice the same critic. ρ = 0: the mirror image of
# lesson 05. And if all values are counted in cents instead of euros, the bias must become a hundred times larger.
# </details>

# %% check="clipped_bias"
clipped_bias = check("clipped_bias")

# %% [markdown]
# ### Talk to your neighbour
#
# Two critics of DDPG have learned from the same replay and the same labels. They differ in their first weights only. In a
# moment we ask both for the value of 2 000 places in the room, where the truth is 0, and correlate their errors. The result is nearest to
#
# **A** ρ = 0 · **B** ρ = ½ · **C** ρ = 1
#
# And if it is C: what is left of the minimum?
#
# <details><summary>What the next cell will show</summary>
#
# It prints ρ for each seed, and what your formula makes of it.
# </details>

# %% [markdown]
# Your formula on the lesson's own critics. (The second critic of our DDPG learned all the time, and nobody asked it.) The errors are those
# of the slow critics at the slow actor's action, where the target asks.

# %%
places = torch.rand(2_000, 2, generator=draw) * 2 - 1


def errors_of(one):
    """(2, 2000): how much too high each slow critic is. In the lottery that is what it says."""
    with torch.no_grad():
        action = one.actor_targ(places)
        both = one.critic1_targ(places, action), one.critic2_targ(places, action)
    return torch.stack(both).double().numpy()


print("                        ρ     σ₁    σ₂   middle   larger  smaller | formula  if ρ were 0")
per_backup = []
for name, run in {"DDPG": ddpg, "two critics": twin}.items():
    for seed, one in zip(SEEDS, run.agents, strict=True):
        both = errors_of(one)
        (s1, s2), corr = both.std(axis=1), np.corrcoef(both)[0, 1]
        middle, smaller, larger = (x.mean() for x in (both, both.min(axis=0), both.max(axis=0)))
        per_backup.append(clipped_bias(s1, s2, corr))
        print(f"{name:12} seed {seed}:  {corr:.2f}  {s1:.3f} {s2:.3f}  {middle:+.3f}   "
              f"{larger - middle:+.3f}   {smaller - middle:+.3f} |  {per_backup[-1]:+.3f}   "
              f"{clipped_bias(s1, s2, 0.0):+.3f}")  # fmt: skip
        assert abs(smaller - middle - per_backup[-1]) < 0.2 * abs(per_backup[-1]) + 0.001
print("the formula is " + authorship("clipped_bias"))
came_down = ddpg.error[:, -1].mean() - twin.error[:, -1].mean()
taken_away = np.mean(per_backup)
print(f"one backup: {taken_away:+.4f}; by (15.6), over all: {taken_away / (1 - 0.98):+.2f}; "
      f"the curve came down by {came_down:.2f}")  # fmt: skip

# %% tags=["hide-input"]
pair = plots.axes(1, 2, size="wide", sharex=True, sharey=True)
for ax, (name, run) in zip(pair, {"DDPG": ddpg, "two critics": twin}.items(), strict=True):
    for seed, one in zip(SEEDS, run.agents, strict=True):
        ax.plot(*errors_of(one), ".", markersize=2, label=f"seed {seed}")
    ax.axline((0, 0), slope=1, color=plots.INK, linewidth=1, linestyle=":")
    ax.set(title=name, xlabel="error of critic 1", ylabel="error of critic 2")
pair[0].legend(markerscale=6)
plots.show(pair, alt="The error of critic 2 over that of critic 1 at 2000 places, for DDPG and for two critics: narrow clouds along "
           "the diagonal.")  # fmt: skip

# %% [markdown]
# ρ is nearly 1: the clouds hug the diagonal. So one minimum is worth little. The larger of the two lies as far above their middle as the
# smaller one lies below it, a few thousandths; if the errors were independent it would be several times as much.
#
# And yet the curve came down by far more than that. The reason is (15.6), which works in both directions: what is taken away at *every*
# backup counts $1/(1-\gamma) = 50$ times in the end. For the same reason the minimum is not free: where there was no error to
# take away, it puts the critic *below* the truth, by as much.

# %% [markdown]
# ## Third trick: let the actor wait
#
# The critics answer a question: what is the slow actor worth? Every step of theirs makes the answer a little better. Every step of the
# actor makes it a little older. With one step of each in turn the answer is never good, and what the actor then climbs is error, by (15.5).
# So let the critics take several steps for one of the actor. Updates are numbered from 1, and the actor moves at every
# `every`-th of them (the paper: at every second):
#
# $$\text{the actor moves at update } j \iff j \bmod \text{every} = 0 \tag{15.12}$$
#
# The pause helps only if the critics' question stands still as well, and the question is put by their labels y. If the labels drift while the
# actor waits, the critics are asked something new at every step.
#
# The curve is made by the course's own update. You write yours in exercise 15.5.

# %%
# about 5 s
waiting = watch(agent(**(off | {"every": 2})), LOTTERY, SEEDS)

# %%
compare(**{"DDPG": ddpg, "TD3's delay alone": waiting})

# %% [markdown]
# ## Break
#
# A good place to stop. By now you know where DDPG's error comes from (15.5), how it grows (15.6), and three places to act against it, each
# with its curve; and you have three functions. The next cell says whose you go on with. What is left: put the parts together, and see what
# the error costs.

# %%
parts = ("smoothed_target_action", "clipped_double_q_target", "clipped_bias")
print("So far: " + authorship(*parts))

# %% [markdown]
# ## All three: TD3
#
# One update, number $j$, with a batch of transitions and a draw ξ:
#
# > 1. the slow actor's action at $s'$, smoothed by (15.8)
# > 2. one target y for both critics, (15.10), with that action
# > 3. one step of the critics' optimiser on (15.13)
# > 4. if (15.12) says so: one step of the actor's optimiser on (15.14)
#
# and the slow networks follow the others by (15.4). The critics' loss, which is two regressions on one label, and the actor's:
#
# $$L(\phi_1,\phi_2) = \frac1B\sum\big(Q_{\phi_1}(s,a)-y\big)^2 + \frac1B\sum\big(Q_{\phi_2}(s,a)-y\big)^2 \tag{15.13}$$
#
# $$L(\theta) = -\frac1B\sum Q_{\phi_1}\big(s,\ \mu_\theta(s)\big) \tag{15.14}$$
#
# Mind the difference between (15.10) and (15.14): the minimum belongs in the target. The actor climbs critic 1 alone.

# %% [markdown] task="td3_critic_update"
# ### Exercise 15.4 · `td3_critic_update`
# **Points** 3 · **Difficulty** ●●○ · **Time** 15 min
#
# Write the critics' half of the update, points 1 to 3. `agent_state` has
#
# - the networks `critic1`, `critic2`, and the slow copies `actor_targ`, `critic1_targ`, `critic2_targ`: an actor gives (B, D) for
#   `obs`, a critic gives (B,) for `obs, action`;
# - **one** `critic_optimizer` for both critics;
# - the numbers `gamma`, `sigma`, `clip`, `low`, `high`.
#
# `batch` has `obs, action, reward, next_obs, terminated`. Use your own functions. Return the loss (15.13) as it was *before* the step, a
# float or a tensor of shape (). Nothing but the two critics may move.


# %% exercise="td3_critic_update" points=3
def td3_critic_update(agent_state, batch, noise):
    """The critics' half of an update, in place: one label for both, one step on (15.13).

    noise: (B, D), standard normal. Returns the loss before the step.
    """
    ### BEGIN SOLUTION
    me = agent_state
    with torch.no_grad():
        mu_next = me.actor_targ(batch.next_obs)
        a_next = smoothed_target_action(mu_next, noise, me.sigma, me.clip, me.low, me.high)
        q1_next = me.critic1_targ(batch.next_obs, a_next)
        q2_next = me.critic2_targ(batch.next_obs, a_next)
        y = clipped_double_q_target(batch.reward, q1_next, q2_next, batch.terminated, me.gamma)
    q1, q2 = me.critic1(batch.obs, batch.action), me.critic2(batch.obs, batch.action)
    loss = mse_loss(q1, y) + mse_loss(q2, y)  # (15.13)
    me.critic_optimizer.zero_grad()
    loss.backward()
    me.critic_optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% [markdown] hints="td3_critic_update"
# <details><summary>How do I begin?</summary>
#
# With the target, under `torch.no_grad()`, from the inside out: action of the slow actor, noise, both slow critics at that
# action, y. Two of your own functions are waiting to be called.
# </details>
# <details><summary>What is one step of an optimiser?</summary>
#
# Three calls, in this order: forget the old gradients, `backward()` on the loss, `step()`. Here it is one loss, the sum of two means, and
# one optimiser.
# </details>
# <details><summary>At which action do I ask the critics that learn?</summary>
#
# At the one that was really done in s, and that the reward in y was paid for.
# </details>

# %% check="td3_critic_update"
td3_critic_update = check("td3_critic_update")

# %% [markdown] task="td3_update"
# ### Exercise 15.5 · `td3_update`
# **Points** 4 · **Difficulty** ●●● · **Time** 20 min
#
# Write the whole update. `agent_state` has what `td3_critic_update` needs, and
#
# - the network `actor`, with `actor_optimizer`;
# - the numbers `rho` (Polyak) and `every`.
#
# Call your own `td3_critic_update`, and `polyak_update(target, online, rho)` for each of the three slow networks. Return the losses as
# floats, in a dictionary with a name for each (the actor's only when there was one).
#
# - In step 4 only the *actor's* weights may move: its gradient passes through critic 1, it must not stay there.
# - **One decision is yours**: at which updates do the slow networks move? (15.12) and point 4 speak of the actor only.


# %% exercise="td3_update" points=4
def td3_update(agent_state, batch, noise, step):
    """One update of TD3, in place.

    Critics (15.13), actor (15.14) when it is its turn, slow networks (15.4).
    noise: (B, D), standard normal; step: the number of this update, from 1. Returns a dict of floats.
    """
    ### BEGIN SOLUTION
    me = agent_state
    losses = {"critic_loss": float(td3_critic_update(me, batch, noise))}
    if step % me.every == 0:  # (15.12)
        actor_loss = -me.critic1(batch.obs, me.actor(batch.obs)).mean()  # (15.14)
        me.actor_optimizer.zero_grad()
        actor_loss.backward()
        me.actor_optimizer.step()
        losses["actor_loss"] = actor_loss.item()
        polyak_update(me.actor_targ, me.actor, me.rho)  # (15.4)
        polyak_update(me.critic1_targ, me.critic1, me.rho)
        polyak_update(me.critic2_targ, me.critic2, me.rho)
    return losses
    ### END SOLUTION


# %% [markdown] hints="td3_update"
# <details><summary>What does "mod" mean, and which operator is it in Python?</summary>
#
# The remainder of a division of whole numbers, 7 mod 3 = 1: the per cent sign. Two slashes give the quotient without the
# remainder; that is another thing.
# </details>
# <details><summary>The actor's loss sends a gradient into critic 1. Is that a problem?</summary>
#
# Not if it is thrown away. The actor's optimiser does not touch the critic's weights, and the critics' optimiser forgets old
# gradients before its next `backward()`. It becomes one if you forget to clear them there.
# </details>
# <details><summary>How do I decide when the slow networks move?</summary>
#
# Ask what the critics' pause is for, and what would happen to their labels in it. The text under (15.12) has the argument.
# </details>

# %% check="td3_update"
td3_update = check("td3_update")

# %% [markdown]
# ## The experiment: what is believed
#
# Your update and the functions that it calls, the same three seeds, the same lottery.

# %%
# about 5 s
mine = {
    "smoothed_target_action": smoothed_target_action,
    "clipped_double_q_target": clipped_double_q_target,
    "td3_critic_update": td3_critic_update,
    "td3_update": td3_update,
}
full = watch(agent(**mine), LOTTERY, SEEDS)

# %%
compare(DDPG=ddpg, TD3=full)
print("TD3 learned with " + authorship(*mine))

# %% tags=["hide-input"]
runs = {
    "DDPG": ddpg,
    "TD3's\nsmoothing": smoothed,
    "TD3's\ntwo critics": twin,
    "TD3's\ndelay": waiting,
    "TD3": full,
}
errors = {name: run.error[:, -1] for name, run in runs.items()}
ax = plots.bars(errors, ylabel="believed − true", spread="min-max", digits=2)
plots.show(ax, alt="Error of the critic at the end for DDPG, each trick alone, and all three: " +
           ", ".join(f"{name} {e.mean():.2f}".replace("\n", " ") for name, e in errors.items()))  # fmt: skip
assert all(e.mean() < errors["DDPG"].mean() for name, e in errors.items() if name != "DDPG")
assert abs(errors["TD3"]).mean() < errors["DDPG"].mean() / 3

# %% [markdown]
# Each trick alone makes the error smaller, and the three together leave almost nothing of it. Look at the whiskers before you read
# much into the order of the three in the middle: these are three runs each.
#
# A *return* curve would be a flat line here: in a lottery all policies earn 0, and that is why it shows the error so clearly. What the
# error costs is the next experiment.

# %% [markdown]
# ## The experiment: what it costs
#
# In a fair lottery it is harmless to believe in luck. So let the right half of the room be a **casino**, where a step pays
# $\mathcal N(-0.2,\,0.3^2)$, and the left half empty, with reward 0. It is the world of lesson 05's figure on the bias of a maximum
# (Sutton & Barto's example 6.7), made continuous. Whoever keeps to the left has 0, and nobody has more. Whoever never leaves the casino has
# $-0.2/(1-0.98) = -10$.

# %%
# about 10 s
explore = {"noise": GaussianNoise(0.3)}
longer = {"steps": 1_200, "look_every": 200}
gambler = watch(agent(**off, **explore), CASINO, SEEDS, **longer)

# %%
# about 7 s
careful = watch(agent(**mine, **explore), CASINO, SEEDS, **longer)

# %% tags=["hide-input"]
print("TD3 learned with " + authorship(*mine))
believed_ax, true_ax = plots.axes(1, 2, size="wide", sharey=True)
for ax, what in ((believed_ax, "believed"), (true_ax, "true")):
    both = {"DDPG": getattr(gambler, what), "TD3": getattr(careful, what)}
    plots.curves(both, x=gambler.steps, xlabel="steps", ylabel=f"{what} value", ax=ax)
    ax.axhline(0, color=plots.INK, linewidth=1, linestyle=":")
true_ax.get_legend().remove()
plots.show(
    true_ax,
    alt="The casino: believed value and true value of the policies of DDPG and TD3, by step.",
)
starts = np.random.default_rng(1).uniform(-1, 1, size=(500, 2))
walk = true_values(RandomWalk(np.random.default_rng(2)), starts, SETTINGS["gamma"], CASINO)
for name, run in {"DDPG": gambler, "TD3": careful}.items():
    print(f"{name:14} believed {run.believed[:, -1].mean():+.1f}, true {run.true[:, -1].mean():+.1f}, "
          f"the seeds {run.true[:, -1].round(1)}")  # fmt: skip
print(f"{'random policy':14} {'':13}  true {walk.mean():+.1f}")
assert careful.believed[:, -1].mean() < gambler.believed[:, -1].mean()

# %% [markdown]
# The dotted line is the best that can be had. On the left is what the critics promise: no policy can keep a promise above the line. DDPG's
# mean lies there from the second look on, TD3's hardly ever. On the right is what the policies earn. All of them find the way out of the
# casino; TD3's stay out, and in some runs DDPG's walks back in, after a promise. (Which runs do so depends on how a machine rounds. Of nine
# more seeds that we tried, two of DDPG's ended in the casino, and none of TD3's.)
#
# ## Why: the map in the critic's head
#
# Colour is what the critic believes of the place, arrows are what the actor does there. Right of the dashed line is the casino.
# Every true value is at most 0, which is white; **blue is impossible**.

# %% tags=["hide-input"]
ax = draw_beliefs({"DDPG": gambler.agents[0], "TD3": careful.agents[0]})
plots.show(ax, alt="Two maps of the room, one for DDPG and one for TD3: what the critic believes of each place, and "
           "where the actor goes.")  # fmt: skip

# %% [markdown]
# Blue is error. Look for blue to the *right* of the line, and at the arrows near it: there the actor has climbed an error, and stays to
# collect rewards that it believes in. In the left half blue does no harm to the policy, but it is handed on.
#
# And here they act: twelve visitors start at the same places, on the left with DDPG's policy, on the right with your TD3's. The casino
# is grey. Under the film: of the 500 places above, those in the casino, and who is out of it after 40 steps.

# %%
with tempfile.TemporaryDirectory() as folder:
    casino = f"{folder}/casino.gif"
    film({"DDPG": gambler.agents[0], "TD3": careful.agents[0]}, CASINO, casino, seed=3)
    videos.show_gif(
        casino, alt="Twelve points walk through the room under each of the two trained policies."
    )
inside = starts[CASINO.plays(starts)]
for name, run in {"DDPG": gambler, "TD3": careful}.items():
    for seed, one in zip(SEEDS, run.agents, strict=True):
        x = inside
        for _ in range(40):
            x = moved(x, one.act(x.astype(np.float32), None, explore=False))
        out = 1 - CASINO.plays(x).mean()
        print(f"{name:5} seed {seed}: {out:4.0%} of {len(x)} have left")

# %% [markdown]
# ## Where there is something to win
#
# A room in which nothing can be won shows an error well, and learning badly. So both methods once on Pendulum: swing it up and hold it
# there, with a motor too weak to lift it at once. An episode has 200 steps and costs at each of them, for the angle, the speed and the
# torque. One run each: that shows that they learn, and not which is the better one. The course's TD3 has the seed of yours: where your
# functions do the same, so do the curves.


# %%
# about 12 s
def swing_up(one):
    """Train on Pendulum; returns the agent and its greedy return at every 1500 steps."""
    looks = []

    def look(learner, step):
        looks.append(evaluate(learner, "Pendulum-v1", 10, seed=100).mean())

    train_off_policy(one, "Pendulum-v1", 6_000, seed=0, n_envs=4, warmup=800, train_every=4,
                     batch_size=128, stop_when=look, stop_every=1_500)  # fmt: skip
    return one, np.array(looks)


class UniformTorque:
    def act(self, obs, rng, explore=True):
        return rng.uniform(-2, 2, size=(len(obs), 1)).astype(np.float32)


pendulum = {"gamma": 0.95, "rho": 0.97, "lr": 5e-3, "seed": 0}
yours = f"TD3 ({whose(*mine)} functions)"
swung = {
    "DDPG": swing_up(DDPG.for_env("Pendulum-v1", **pendulum)),
    "TD3 (the course's)": swing_up(TD3.for_env("Pendulum-v1", **pendulum)),
    yours: swing_up(TD3.for_env("Pendulum-v1", **pendulum, **mine)),
}
by_chance = evaluate(UniformTorque(), "Pendulum-v1", 10, seed=100).mean()

# %% tags=["hide-input"]
ax = plots.curves({name: looks for name, (_, looks) in swung.items()}, x=np.arange(1_500, 6_001, 1_500),
                  xlabel="steps in the environment", ylabel="return of the greedy policy")  # fmt: skip
ax.axhline(by_chance, color=plots.INK, linewidth=1.5, linestyle=":")
ax.annotate(
    "uniform torques",
    (6_000, by_chance),
    xytext=(0, -4),
    textcoords="offset points",
    ha="right",
    va="top",
)
ax.margins(y=0.15)
plots.show(ax, alt="Greedy return on Pendulum over steps, one run of DDPG and two of TD3, and a line for torques drawn "
           "at random.")  # fmt: skip
for name, (_, looks) in swung.items():
    print(f"{name:31} return at the end {looks[-1]:.0f}; uniform torques {by_chance:.0f}")

# %%
with tempfile.TemporaryDirectory() as folder:
    film_of = f"{folder}/pendulum.gif"
    videos.record_episode(swung[yours][0], "Pendulum-v1", film_of, seed=0, max_frames=100)
    videos.show_gif(film_of, alt="A pendulum swings, driven by the trained TD3.")
print("the pendulum is moved by " + authorship(*mine))

# %% [markdown]
# ## Change one thing
#
# One relative of TD3 stands on slides under another name. The CS 224R review of Q-learning prints a "Soft Actor-Critic (no entropy
# term)": two critics, one target with the smaller of the slow ones, an actor that climbs critic 1. What it leaves out of TD3 is the
# blur, the delay, and the slow actor: $a'$ comes from the actor as it is now. (What it leaves out of SAC is what lesson 18 is about.)
# Run it first, then change `change`. **What to look for:** does the critic become bolder or more careful than TD3's? Try
# `{"every": 8}`, `{"sigma": 1.0, "clip": 2.0}` (a very blurred target), `{"rho": 0.5}` (targets that run), `{"gamma": 0.9}` (equation
# (15.6)!). And what does it cost to be careful? Put `CASINO` for `LOTTERY` and look at `changed.true`.


# %%
def without_slow_actor(agent_state, batch, noise, step):
    agent_state.actor_targ = agent_state.actor
    return td3_update(agent_state, batch, noise, step)


change = {"td3_update": without_slow_actor, "sigma": 1e-9, "every": 1}

# %%
# about 7 s
changed = watch(agent(**(mine | change)), LOTTERY, SEEDS)

# %%
compare(DDPG=ddpg, TD3=full, changed=changed)

# %% [markdown]
# ## Find the silent bug
#
# A colleague builds the agent by hand. The update is the right one, all three tricks are in, no error is raised. But the curve looks as
# if one of the tricks were missing. **Which one, and why?** Look at the figure first, then measure something about the trained agents in
# a cell of your own.


# %%
# about 5 s
def colleagues_td3(seed):
    built = agent(**mine)(seed)
    built.critic2 = deepcopy(built.critic1)  # a second critic …
    built.critic2_targ = deepcopy(built.critic2)  # … and its slow copy
    weights = [*built.critic1.parameters(), *built.critic2.parameters()]
    built.critic_optimizer = torch.optim.Adam(weights, lr=built.lr)
    return built


colleagues = watch(colleagues_td3, LOTTERY, SEEDS)

# %%
compare(DDPG=ddpg, TD3=full, colleagues=colleagues)

# %% [markdown]
# <details><summary>I need a hint.</summary>
#
# What do the two critics of a trained agent say of the same states and actions? Compare `critic1` with `critic2`.
# </details>
# <details><summary>What is wrong?</summary>
#
# The second critic is a *copy* of the first. Both see the same batch and the same label, so they get the same gradient, take the
# same step, and stay equal for ever: the minimum of two equal numbers is that number, and trick two is gone. (15.9) asked for errors
# that are independent. The only thing that makes the two critics differ is their first weights. The next cell shows it.
# </details>

# %%
obs, action = torch.rand(2, 1000, 2, generator=draw) * 2 - 1
with torch.no_grad():
    for name, one in {"colleague's": colleagues.agents[0], whose(*mine): full.agents[0]}.items():
        apart = (one.critic1(obs, action) - one.critic2(obs, action)).abs().mean()
        print(f"{name:15} critics differ by {apart:.4f} on average")

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** Why is too low a better mistake than too high?
#
# <details><summary>Answer</summary>
#
# What is valued too high attracts the actor, so the error is used in targets and handed on, until somebody goes there and finds out.
# What is valued too low is avoided; the error stays where it is. The price: something good may never be tried. Lesson 19's agent pays
# itself for trying.
# </details>
#
# **2.** The actor climbs $Q_{\phi_1}$ and not the minimum. Would the minimum be wrong?
#
# <details><summary>Answer</summary>
#
# It would be another algorithm, and a reasonable one: SAC (lesson 18) does it. In TD3 the actor needs a direction, not a value, and one
# critic gives one at half the price. The argument for (15.9) also used that the actor's action depends on $\varepsilon_1$ alone.
# </details>
#
# **3.** An episode here is cut off after 50 steps. What would happen if the replay stored that as `terminated`?
#
# <details><summary>Answer</summary>
#
# The critics would learn that after some steps, at places that look like any other, everything is over. The state does not say how late it is, so all
# values shrink towards 0: the return of an endless stay in the casino would look less bad than it is.
# </details>

# %% [markdown]
# ## Summary
#
# - A fair error becomes an unfair one by being climbed: one step of size η uphill makes it $\eta\,\mathbb E\lVert\nabla\varepsilon\rVert^2$
#   on average, and a target that bootstraps on it makes $e/(1-\gamma)$ of an $e$ at each step.
# - Smoothing asks the slow critics *around* the slow actor's action: a bump $\cos(ka)$ shrinks by $e^{-k^2\sigma^2/2}$; the inner clip keeps
#   the noise near, the outer one the action in the box.
# - Clipped double Q-learning: one label for both critics, made with the smaller of the two slow ones. Too low is the better mistake,
#   because nobody climbs it.
# - A minimum repairs only what the two critics disagree about. They learn from the same replay and the same labels; what both have wrong it
#   cannot see.
# - An actor that waits climbs critics that have had time to answer. The minimum stands in the target, never in the actor's loss.

# %% [markdown]
# ## Where this went
#
# What later methods change in the two lines below:
#
# - **SAC** (Haarnoja et al. 2018; lessons 18 and 19): $a'$ is drawn from a stochastic policy, the actor's present one, in place of
#   $\mathrm{clip}(\mu_{\theta_{\text{targ}}}(s')+\dots)$; and $-\alpha\log\pi_\theta(a'\mid s')$ is added to the minimum. The blur comes
#   with the policy.
# - **TQC** (Kuznetsov et al. 2020): SAC's target, but a critic gives some quantiles of the return in place of its mean. The quantiles of
#   *all* critics are put in one row, and in place of $\min_i$ the largest few are dropped: how careful the target is can be set finely.
# - **REDQ** (Chen et al. 2021): SAC's target with ten critics, and $\min_{i\in\mathcal M}$ over two of them, drawn anew for each update;
#   all ten learn that y. So little bias is left that twenty updates for one step of the environment are possible.
# - **TD7** (Fujimoto et al. 2023): actor and critics also see a learned embedding of $s'$ and of $(s', a')$; $\min_i Q$ is clipped to the
#   range of the targets seen so far; the slow networks are copied at every 250th update in place of (15.4).

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Other letters, and what is left out where</summary>
#
# - Fujimoto, van Hoof & Meger, *Addressing function approximation error in actor-critic methods*: their $\pi_\phi$ is our $\mu_\theta$,
#   their $Q_{\theta_i}$ our $Q_{\phi_i}$, their τ our $1-\rho$, and their $d$ is the delay, our `every`. Their Algorithm 1 has no flag
#   for the end of an episode and no outer clip; the authors' own code has both.
# - The slides *RL methods for continuous action space* have both clips and the flag. They count the tricks in another order (two
#   critics, delay, smoothing) and write the noise, not a standard normal draw, as $\epsilon$.
# - *CS 224R Tutorial: Review of Q-learning* (Maximilian Du): the "Soft Actor-Critic (no entropy term)" above has no flag for the
#   end of an episode either.
# </details>

# %% [markdown]
# ## What we hand on
#
# One target, made with a slow actor, a blurred action and the more careful of two slow critics:
#
# $$\begin{aligned}
# y &= r + \gamma\,(1-d)\,\min_{i=1,2}Q_{\phi_{\text{targ},i}}\big(s',\,a'(s')\big)\\
# a'(s') &= \mathrm{clip}\Big(\mu_{\theta_{\text{targ}}}(s') + \mathrm{clip}(\sigma\xi,\,-c,\,c),\ \text{low},\ \text{high}\Big)
# \end{aligned}$$
#
# Two things in it are put there by hand: the noise with which the agent explores, and the noise that blurs its target. A policy that is
# *stochastic by itself* would bring both. But why should the best policy be stochastic? Because we change what "best" means. Lesson 16 adds
# the policy's entropy to the return, and asks what becomes of the Bellman equation.
