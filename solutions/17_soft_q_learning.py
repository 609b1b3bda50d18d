# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 17 · Soft Q-learning
#
# Part IV · 13 → 14 → 15 → 16 → **17** → 18 → 19 → 20
#
# - **You will be able to** estimate $\alpha\log\int e^{Q/\alpha}$ from a few actions and say how far it is too low; derive Stein
#   variational gradient descent (SVGD) from Stein's identity; say on paper where two particles come to rest; train a network that
#   draws from $e^{Q/\alpha}/Z$, two hills and all; and put these together to soft Q-learning.
# - **Builds on** lesson 08 (replay, slow copies), 13 (Stein's identity, the pathwise gradient), 16 (the soft Bellman equation).
# - **Time** two sittings of 70 minutes alone, with a break after the pencil exercise; 80 minutes as a lecture.
# - **Sources** Haarnoja, Tang, Abbeel & Levine 2017, *Reinforcement learning with deep energy-based policies* (arXiv 1702.08165);
#   Liu & Wang 2016, *Stein variational gradient descent* (arXiv 1608.04471); Feng, Wang & Liu 2017 (amortised samplers).

# %%
import math

import numpy as np
import torch
from torch.nn.functional import mse_loss, softplus

from rlcourse.checker import authorship, check
from rlcourse.continuous import hills
from rlcourse.continuous.hills import ALPHA, two_hills
from rlcourse.continuous.soft_q import TWO_GOALS, Sampler, SoftQ
from rlcourse.continuous.two_goals import two_goals
from rlcourse.lab import plots
from rlcourse.lab.networks import polyak_update
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.progress import seeds
from rlcourse.lab.seeding import torch_seed

torch.set_num_threads(1)

# %% [markdown]
# ## What we inherit
#
# Lesson 16 ended with the soft Bellman equation of the best policy:
#
# $$\begin{aligned}
# V(s) &= \alpha\log\sum_ae^{Q(s,a)/\alpha},\qquad \pi(a|s) = e^{(Q(s,a)-V(s))/\alpha}\\
# Q(s,a) &= \mathbb E_{s'}\big[\,r+\gamma\,(1-d)\,V(s')\,\big]
# \end{aligned} \tag{17.1}$$
#
# There the actions were few and $p$ was known. Let an action now be a point of the box $(-1,1)^D$. The sum becomes an integral, and the
# probability a density:
#
# $$V(s) = \alpha\log\int e^{Q(s,a)/\alpha}\,da,\qquad \pi(a|s) = e^{(Q(s,a)-V(s))/\alpha} \tag{17.2}$$
#
# Two problems. Nobody can compute the integral. And nobody can *draw* from π: it is a formula, no bell curve with a mean and a width. This
# lesson solves the first by sampling and the second by particles.

# %% [markdown]
# ## Guess first
#
# A tree stands in your way. Passing on the left and passing on the right are equally good; straight on is not. You may choose how far
# left or right you aim, but only by a bell curve: you name its middle and its width, and chance does the rest.
#
# **Where do you put the bell? And would you rather have something else than a bell?**
#
# <details><summary>I have guessed.</summary>
#
# A narrow bell on one side never uses the other way. A wide bell in the middle uses both, and often hits the tree. There is no third kind. A
# figure below shows both, and beside them what a better sampler does.
# </details>

# %% [markdown]
# ## A Q to think with
#
# One action in $(-1,1)$, two hills, and a state $s$ between 0 and 1 that makes the left hill lower. We know this Q, so whatever goes wrong in
# the first half of the lesson is not the critic's fault:
#
# $$Q(s,a) = e^{-20(a-0.6)^2}+(1-0.15\,s)\,e^{-20(a+0.6)^2},\qquad \alpha = 0.2 \tag{17.3}$$


# %%
def q_at(a, s=0.0):
    """Q of (17.3) at actions of any shape."""
    flat = a.reshape(-1, 1)
    return two_hills(torch.full_like(flat, s), flat).reshape(a.shape)


def true_value(alpha, s=0.0, cells=4000):
    """V by quadrature: the middles of many small cells."""
    a = (torch.arange(cells, dtype=torch.float64) + 0.5) * 2 / cells - 1
    return float(alpha * (torch.logsumexp(q_at(a, s) / alpha, dim=0) + math.log(2 / cells)))


for s in (0.0, 0.5, 1.0):
    left, between = hills.shares(*hills.density(two_hills, s, ALPHA))
    print(f"s = {s}: V = {true_value(ALPHA, s):.4f}; π has {left:.2f} on the left, "
          f"{between:.3f} between the hills")  # fmt: skip

# %% [markdown]
# ## First problem: the integral
#
# Any density $q'$ that is positive on the box turns an integral into an expectation:
#
# $$\int e^{Q(s,a)/\alpha}\,da = \int q'(a)\,\frac{e^{Q(s,a)/\alpha}}{q'(a)}\,da = \mathbb E_{a\sim q'}\Big[\frac{e^{Q(s,a)/\alpha}}{q'(a)}\Big]$$
#
# This is **importance sampling**; $q'$ is the *proposal*. Draw K actions from it and put the mean in the place of the expectation:
#
# $$\hat V(s) = \alpha\log\frac1K\sum_{k=1}^K\frac{e^{Q(s,a_k)/\alpha}}{q'(a_k)} \tag{17.4}$$
#
# For the uniform proposal on $(-1,1)^D$ the density is $2^{-D}$ everywhere.

# %% [markdown] task="soft_value_estimate"
# ### Exercise 17.1 · `soft_value_estimate`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute (17.4) for a batch of states.
#
# - `q` is (B, K): K values of Q in each of B states, at actions that were drawn from the proposal.
# - `log_q_proposal` holds the logarithms of their densities: (B, K), or (K,), or one number.
# - Q/α may be a few thousand, of either sign. The result must still be right.


# %% exercise="soft_value_estimate" points=2
def soft_value_estimate(q, log_q_proposal, alpha):
    """The soft value from K actions of a proposal (17.4).

    q: (B, K); log_q_proposal: (B, K), (K,) or a number; alpha: > 0. Returns (B,).
    """
    ### BEGIN SOLUTION
    log_ratio = q / alpha - log_q_proposal
    return alpha * (torch.logsumexp(log_ratio, dim=1) - math.log(q.shape[1]))  # (17.4)
    ### END SOLUTION


# %% [markdown] hints="soft_value_estimate"
# <details><summary>How do I begin?</summary>
#
# Write one term of the sum as a single exponential: what is the exponent of $e^x / q'$ if you know $\log q'$?
# </details>
# <details><summary>I get inf.</summary>
#
# Do not leave the logarithm. torch has a function that takes the log of a sum of exponentials without computing one of them alone.
# </details>
# <details><summary>Where does 1/K go?</summary>
#
# The logarithm of a mean is the logarithm of a sum, minus something that you know.
# </details>

# %% check="soft_value_estimate"
soft_value_estimate = check("soft_value_estimate")

# %% [markdown]
# ### Talk to your neighbour
#
# The mean inside (17.4) is right on average, whatever K is. So $\hat V$ itself is, on average,
#
# **A** right · **B** too low · **C** too high
#
# And with the *perfect* proposal, $q' = \pi$, how many actions does one need?
#
# <details><summary>What the next two cells will show</summary>
#
# **B**, and one. The logarithm is bent downwards: the mean of a log is less than the log of the mean (Jensen's inequality). With $q'=\pi$ every
# single ratio is $e^{Q/\alpha}/e^{(Q-V)/\alpha} = e^{V/\alpha}$: there is nothing left to average.
# </details>

# %% [markdown]
# How much too low? Call the ratio $w = e^{Q/\alpha}/q'$ and its mean over K draws $\bar w$. Expand the logarithm around $\mathbb E[w]$ to second order:
# the linear term has mean 0, and $\mathrm{Var}(\bar w) = \mathrm{Var}(w)/K$. So
#
# $$\mathbb E\big[\hat V\big]-V \approx -\frac\alpha{2K}\,\frac{\mathrm{Var}(w)}{\mathbb E[w]^2} \tag{17.5}$$

# %%
rng = np.random.default_rng(0)
FEW = (1, 2, 4, 8, 16, 32, 64)
estimates = {}
fine = (torch.arange(4000, dtype=torch.float64) + 0.5) / 2000 - 1
w = torch.exp(q_at(fine) / ALPHA)
spread = float(w.var() / w.mean() ** 2)
truth = true_value(ALPHA)
print("  K   mean of V̂ − V   (17.5)")
for k in FEW:
    a = torch.from_numpy(rng.uniform(-1, 1, size=(20_000, k)))
    estimates[k] = soft_value_estimate(q_at(a), -math.log(2), ALPHA).numpy()
    bias, error = estimates[k].mean() - truth, estimates[k].std() / np.sqrt(20_000)
    print(f"{k:3}   {bias:+.4f} ± {error:.4f}   {-ALPHA * spread / (2 * k):+.4f}")
    assert bias < 3 * error
assert abs(bias + ALPHA * spread / (2 * k)) < 0.001

perfect = soft_value_estimate(q_at(a[:, :1]), (q_at(a[:, :1]) - truth) / ALPHA, ALPHA)
print(f"perfect proposal, K = 1: largest error {float((perfect - truth).abs().max()):.0e}")
assert torch.allclose(perfect, torch.full_like(perfect, truth))

# %% [markdown]
# Below, drag K. **What to look for:** with one action the estimates stand in two heaps, hit and miss. When does the middle of the heap
# reach the truth?


# %% tags=["hide-input"]
def draw_estimates(k):
    ax = plots.axes()
    ax.hist(estimates[k], bins=60, range=(-0.2, 1.5), density=True, alpha=0.6)
    ax.axvline(truth, color=plots.INK, linewidth=1.5, label="V")
    ax.axvline(
        estimates[k].mean(), color=plots.PALETTE["vermilion"], linestyle="--", label="mean of V̂"
    )
    ax.set(xlabel="V̂", ylabel="density", title=f"K = {k}: {estimates[k].mean() - truth:+.3f}")
    ax.legend(loc="upper left")
    return ax


plots.slide(draw_estimates, FEW, name="K", start=2,
            alt="Histogram of the estimates of V for K actions: the more, the narrower, and the nearer their mean to the truth.")  # fmt: skip

# %% [markdown]
# So far the box was a line. In more dimensions a uniform draw rarely hits a hill. Take $Q(a)=\sum_jQ(a_j)$, two hills in every
# coordinate. Then V is D times the V of one coordinate, and we can compare:

# %%
for d in (1, 2, 4, 6):
    a = torch.from_numpy(rng.uniform(-1, 1, size=(4_000, 16, d)))
    v = soft_value_estimate(q_at(a).sum(dim=-1), -d * math.log(2), ALPHA)
    print(f"{d} dimensions, K = 16: mean of V̂ − V = {float(v.mean()) - d * truth:+.3f}")
assert float(v.mean()) - d * truth < -0.2

# %% [markdown]
# The bias grows with the dimension. For one or two dimensions, uniform draws will do. For six they will not: there the actions
# should come from a proposal that resembles π. (Lesson 18 draws them from the policy itself.)

# %% [markdown]
# ## Second problem: to draw from π
#
# π is $e^{Q/\alpha}/Z$ with $Z = e^{V/\alpha}$. One thing about it is easy, the slope of its logarithm, its **score**. Z does not depend on a,
# so it drops out:
#
# $$\nabla_a\log\pi(a|s) = \tfrac1\alpha\nabla_aQ(s,a) \tag{17.6}$$
#
# Is there a way to draw from a density of which only the score is known? Lesson 13's identity has been waiting for this. For a density $p$ and a
# function φ for which nothing is left at the border, (13.13) says
#
# $$\mathbb E_{x\sim p}\big[\nabla_x\log p(x)\,\varphi(x)+\nabla_x\varphi(x)\big] = 0 \tag{17.7}$$
#
# Read it as a *test*: it holds if x is drawn from $p$, and it needs only the score. If x is drawn from something else, for
# some φ it will not be 0. And what is left will tell us where to go.

# %% [markdown]
# ### Which way to move a cloud
#
# Let points be drawn from a density ρ (it has nothing to do with the ρ of Polyak averaging). Move each of them a little: $T(x) = x+\varepsilon\,\Delta(x)$ with a smooth field Δ. How does the distance
# to $p$ change, $\mathrm{KL}(\rho\,\|\,p) = \mathbb E_\rho[\log\rho-\log p]$?
#
# The density after the move, at the new place, is the old one divided by the stretching: $\log\rho_\varepsilon(T(x)) = \log\rho(x)-\log|\det(I+\varepsilon
# \nabla\Delta)|$, and $\log\det(I+\varepsilon\nabla\Delta) = \varepsilon\,\nabla\cdot\Delta$ to first order. (In one dimension: $\log(1+\varepsilon\Delta')\approx
# \varepsilon\Delta'$.) The other half is $\log p(T(x)) \approx \log p(x)+\varepsilon\,\nabla\log p(x)\cdot\Delta(x)$. Together:
#
# $$\frac{d}{d\varepsilon}\,\mathrm{KL}(\rho_\varepsilon\,\|\,p)\Big|_{\varepsilon=0} = -\,\mathbb E_{x\sim\rho}\big[\nabla\log p(x)\cdot\Delta(x)+\nabla\cdot\Delta(x)\big] \tag{17.8}$$
#
# That is Stein's expression, with ρ for $p$. Nothing of ρ is needed but draws. And for $\rho = p$ it is 0 for every Δ, as it must be: the
# distance is at its minimum.
#
# In numbers: $\rho=\mathcal N(1,0.8^2)$, $p=\mathcal N(0,1)$, $\Delta(x)=\sin x$.

# %%
x = np.linspace(-9, 11, 40_001)
dx = x[1] - x[0]
log_rho = -((x - 1) ** 2) / (2 * 0.64) - math.log(0.8 * math.sqrt(2 * math.pi))
rho = np.exp(log_rho)


def kl_after(eps):
    moved = x + eps * np.sin(x)
    log_p = -(moved**2) / 2 - math.log(math.sqrt(2 * math.pi))
    return float((rho * (log_rho - np.log(1 + eps * np.cos(x)) - log_p)).sum() * dx)


measured = (kl_after(1e-4) - kl_after(-1e-4)) / 2e-4
predicted = -float((rho * (-x * np.sin(x) + np.cos(x))).sum() * dx)
print(f"slope of KL: measured {measured:.6f}, (17.8) says {predicted:.6f}")
assert abs(measured - predicted) < 1e-6

# %% [markdown]
# ### The best field
#
# Which Δ of a given size lets KL fall fastest? "Size" has to be measured, and the classical way is by a **kernel** $k(x,y)$, a bump around x. Fields are
# then sums of bumps, and there is an inner product in which a bump picks out a value: $\langle f,\,k(x,\cdot)\rangle = f(x)$, and so $\langle f,\,\nabla_x
# k(x,\cdot)\rangle = \nabla f(x)$. With it, the expectation in (17.8) is itself an inner product,
#
# $$\mathbb E_\rho\big[\nabla\log p\cdot\Delta+\nabla\cdot\Delta\big] = \Big\langle\Delta,\ \mathbb E_{x\sim\rho}\big[k(x,\cdot)\,\nabla\log p(x)+\nabla_xk(x,\cdot)\big]\Big\rangle$$
#
# of Δ with something fixed. Among all Δ of one length, an inner product is largest for the one that points along the fixed partner (Cauchy and Schwarz). So the
# partner *is* the best field. With K particles $x_i$ in place of the expectation:
#
# $$\Delta(y_j) = \frac1K\sum_{i=1}^K\big[k(x_i,y_j)\,\nabla\log p(x_i)+\nabla_{x_i}k(x_i,y_j)\big] \tag{17.9}$$
#
# This is Stein variational gradient descent: move all particles by a small multiple of Δ, and again. It is (17.7) with $\varphi = k(\cdot,y)$: where
# the particles are distributed like $p$, it is 0.

# %%
y = 0.7
k_xy = np.exp(-((x - y) ** 2))
field = k_xy * -x + -2 * (x - y) * k_xy  # k ∇log p + ∇_x k, for p = N(0, 1)
p = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
print(f"Δ(0.7): {(p * field).sum() * dx:+.1e} if x ~ p, {(rho * field).sum() * dx:+.3f} if x ~ ρ")
assert abs((p * field).sum() * dx) < 1e-10

# %% [markdown]
# ### The kernel
#
# Any smooth bump will do. We take the usual one,
#
# $$k(x_i,y_j) = e^{-\|x_i-y_j\|^2/h} \tag{17.10}$$
#
# with the bandwidth $h > 0$.

# %% [markdown] task="rbf_kernel"
# ### Exercise 17.2 · `rbf_kernel`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (17.10) for all pairs. `x` is (..., K, D), `y` is (..., M, D), and the result is (..., K, M): row i belongs to $x_i$, column j to $y_j$. The
# dots stand for any number of leading axes, also for none; usually it is one, the states. `bandwidth` is a number, or a tensor that broadcasts to
# (..., K, M).


# %% exercise="rbf_kernel" points=1
def rbf_kernel(x, y, bandwidth):
    """The kernel of every x with every y (17.10).

    x: (..., K, D); y: (..., M, D); bandwidth: > 0, a number or broadcastable to (..., K, M). Returns (..., K, M).
    """
    ### BEGIN SOLUTION
    apart = x.unsqueeze(-2) - y.unsqueeze(-3)
    return torch.exp(-apart.pow(2).sum(-1) / bandwidth)  # (17.10)
    ### END SOLUTION


# %% [markdown] hints="rbf_kernel"
# <details><summary>How do I get all pairs without a loop?</summary>
#
# By broadcasting: give x an axis for j and y an axis for i, and subtract. There is also a function of torch for the distances of all pairs.
# </details>
# <details><summary>The shapes do not fit.</summary>
#
# The difference has the shape (..., K, M, D). Count from the end: the new axis of x is the last but one, that of y comes before its particles.
# </details>
# <details><summary>How can I test it?</summary>
#
# Put y = x: the diagonal must be 1. And at a distance of √h every kernel is 1/e.
# </details>

# %% check="rbf_kernel"
rbf_kernel = check("rbf_kernel")

# %% [markdown]
# How wide? If h is tiny, no particle feels another; if it is huge, all feel the same. A rule of thumb puts the other particles, all together, on a level with
# oneself: $K\,e^{-\text{med}/h}\approx1$, where med is the median of the squared distances. That gives $h=\text{med}/\log K$. For one particle
# $\log K=0$, so one takes $K+1$; and for particles in one place a floor keeps h from becoming 0:
#
# $$h = \max\Big(\frac{\mathrm{med}_{ij}\,\|x_i-y_j\|^2}{\log(K+1)},\ 10^{-3}\Big) \tag{17.11}$$

# %% [markdown] task="median_bandwidth"
# ### Exercise 17.3 · `median_bandwidth`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (17.11), one h for each state. `x` is (..., K, D), `y` is (..., M, D), the result (..., 1, 1), so that it can be handed to `rbf_kernel`.
#
# - The median is taken over all K·M squared distances. If y is x, the zeros of a particle to itself belong to them.
# - h is a setting of this step. No gradient may flow through it, even if x carries one.


# %% exercise="median_bandwidth" points=1
def median_bandwidth(x, y):
    """The bandwidth by the median rule (17.11), detached.

    x: (..., K, D); y: (..., M, D). Returns (..., 1, 1).
    """
    ### BEGIN SOLUTION
    apart = (x.unsqueeze(-2) - y.unsqueeze(-3)).detach()
    middle = torch.quantile(apart.pow(2).sum(-1).flatten(-2), 0.5, dim=-1)
    h = torch.clamp(middle / math.log(x.shape[-2] + 1), min=1e-3)  # (17.11)
    return h.unsqueeze(-1).unsqueeze(-1)
    ### END SOLUTION


# %% [markdown] hints="median_bandwidth"
# <details><summary>How do I take a median over two axes?</summary>
#
# Make one axis of them first: `flatten`.
# </details>
# <details><summary>`torch.median` or `torch.quantile`?</summary>
#
# They differ where the number of distances is even: the first takes the lower of the two in the middle, the second their mean. The check
# accepts both. For two particles that are compared with themselves, try what each of them says.
# </details>
# <details><summary>My result has the wrong shape.</summary>
#
# After the median both axes are gone. Put two axes of length 1 back at the end.
# </details>

# %% check="median_bandwidth"
median_bandwidth = check("median_bandwidth")

# %% [markdown]
# And now (17.9). The slope of the kernel is by $x_i$, the particle that pushes. Differentiate (17.10) on paper, or let torch do it.

# %% [markdown] task="svgd_direction"
# ### Exercise 17.4 · `svgd_direction`
# **Points** 3 · **Difficulty** ●●○ · **Time** 20 min
#
# Compute (17.9). `x` and `score` are (..., K, D), with `score[..., i, :]` $=\nabla\log p(x_i)$; `y` is (..., M, D), the particles to move;
# `bandwidth` as in `rbf_kernel`. Return (..., M, D).
#
# - y may be x, and it may be something else, of another number.
# - For one particle with y = x the direction is its score.


# %% exercise="svgd_direction" points=3
def svgd_direction(x, score, y, bandwidth):
    """Where each y should go so that the cloud becomes p (17.9).

    x, score: (..., K, D); y: (..., M, D); bandwidth: as in `rbf_kernel`. Returns (..., M, D).
    """
    ### BEGIN SOLUTION
    k = rbf_kernel(x, y, bandwidth)
    apart = y.unsqueeze(-3) - x.unsqueeze(-2)  # (..., K, M, D)
    push = (k * 2 / bandwidth).unsqueeze(-1) * apart  # ∇ of k by x
    pull = k.unsqueeze(-1) * score.unsqueeze(-2)
    return (pull + push).mean(dim=-3)  # (17.9)
    ### END SOLUTION


# %% [markdown] hints="svgd_direction"
# <details><summary>What is the slope of the kernel?</summary>
#
# An exponential times its inner derivative. The inner derivative of $-\|x-y\|^2/h$ by x points from x to y: so $x_i$ pushes $y_j$ away.
# </details>
# <details><summary>Which axis do I sum over?</summary>
#
# For a given j the sum runs over i, the rows of the kernel. Write everything with the shape (..., K, M, D) first, if you are in doubt, and
# ask which of the axes should be gone.
# </details>
# <details><summary>I used autograd, and the repulsion is wrong.</summary>
#
# The gradient of the sum of *all* kernels by $x_i$ adds up over j. You need, for each j, a sum over i.
# </details>

# %% check="svgd_direction"
svgd_direction = check("svgd_direction")

# %% [markdown]
# ## Two particles
#
# What does (17.9) do with very few particles? Take two in one dimension, $x_1<x_2$, a target $\mathcal N(\mu,\sigma^2)$, whose score is $-(x-\mu)/\sigma^2$, and a
# bandwidth that stays as it is. They will stand still apart from each other where
#
# $$\Delta(x_1) = \Delta(x_2) = 0 \tag{17.12}$$
#
# ### Talk to your neighbour
#
# Two draws from $\mathcal N(\mu,\sigma^2)$ are, in the sense of the standard deviation, σ away from μ. The two particles will come to rest
#
# **A** at μ ± σ · **B** nearer to μ · **C** further away · **D** that depends on h
#
# <details><summary>What the exercise and the next cell will show</summary>
#
# You are about to work it out.
# </details>

# %% [markdown] task="two_particles"
# ### Exercise 17.5 · `two_particles`
# **Points** 2 · **Difficulty** ●●○ · **Time** 20 min · ✎ on paper
#
# Solve (17.12) on paper for $x_1\neq x_2$, and write the two positions as a function, the smaller one first.
#
# - Both particles are x *and* y: (17.9) has two terms for each of them.
# - `mean`, `std` and `bandwidth` are μ, σ and h; the last two are positive, from very small to very large. Return two floats.
# - A formula is asked for; a simulation is not exact enough.


# %% exercise="two_particles" points=2
def two_particles(mean, std, bandwidth):
    """Where two particles stand still apart (17.12), for the target N(mean, std²) and a fixed bandwidth.

    Returns the smaller position and the larger one, floats.
    """
    ### BEGIN SOLUTION
    away = np.sqrt(bandwidth * np.log1p(4 * std**2 / bandwidth)) / 2  # (17.12), solved
    return float(mean - away), float(mean + away)
    ### END SOLUTION


# %% [markdown] hints="two_particles"
# <details><summary>How do I begin?</summary>
#
# Add the two directions. What do the two repulsions do to each other? What follows for the middle of the particles?
# </details>
# <details><summary>And then?</summary>
#
# Call half of the distance d, put the positions μ − d and μ + d in, and write down *one* of the two directions. Mind that k depends on the
# whole distance. Divide by d; an equation for k is left.
# </details>
# <details><summary>How can I try my formula before I run the check?</summary>
#
# For a very wide kernel it should give the true spread, for a very narrow one no distance at all. And in other units, centimetres for
# metres, everything has to grow alike; h is a squared length.
# </details>

# %% check="two_particles"
two_particles = check("two_particles")

# %% [markdown]
# Your formula against your `svgd_direction`: 20 random targets and bandwidths, two particles from random starts, 3,000 steps each.

# %%
# about 1 s
draw = torch.Generator().manual_seed(0)
mu, sigma, ratio = (torch.rand(20, 1, 1, generator=draw, dtype=torch.float64) for _ in range(3))
mu, sigma, h = 4 * mu - 2, 0.5 + sigma, (0.3 + 5 * ratio) * (0.5 + sigma) ** 2
particles = mu + sigma * torch.randn(20, 2, 1, generator=draw, dtype=torch.float64)
for _ in range(3000):
    score = -(particles - mu) / sigma**2
    particles = particles + 0.1 * sigma**2 * svgd_direction(particles, score, particles, h)
found = particles[..., 0].sort(dim=1).values.numpy()
given = zip(mu.flatten().tolist(), sigma.flatten().tolist(), h.flatten().tolist(), strict=True)
told = np.array([two_particles(*problem) for problem in given])
print(f"largest distance from your formula: {np.abs(found - told).max():.0e}")
assert np.abs(found - told).max() < 1e-8

for ratio in (0.01, 0.5, 1.0, 4.0, 100.0):
    print(f"h = {ratio:6} σ²: half the distance is {two_particles(0.0, 1.0, ratio)[1]:.3f} σ")

# %% [markdown]
# **B**, and how much depends on h. Two particles stand too narrow, always: $\log(1+x)<x$. That is what the next cell makes better by
# having more of them ($h=\sigma^2=1$):

# %%
# about 1 s
spreads = {}
for k in (2, 3, 5, 10, 20, 50):
    x_k = torch.linspace(-1.5, 1.5, k, dtype=torch.float64)[:, None]
    for _ in range(1500):
        x_k = x_k + 0.2 * svgd_direction(x_k, -x_k, x_k, 1.0)
    spreads[k] = float(x_k.std(correction=0))
for k, s in spreads.items():
    print(f"K = {k:2}: spread {s:.3f}, where 1 is right")
assert all(a < b < 1 for a, b in zip([0, *spreads.values()], spreads.values(), strict=False))

pair = torch.tensor([[0.0], [1.0]])
print(f"two particles, 1 apart: h by (17.11) is {float(median_bandwidth(pair, pair)):.3f}")

# %% [markdown]
# The last line depends on which median you took. Of the four squared distances 0, 0, 1, 1 the *lower* middle one is 0: then h falls to its floor, and the two
# particles do not feel each other any more. With the mean of both middle ones, h is 0.455. From a few particles on it makes no difference.

# %% [markdown]
# ## Break
#
# A good place to stop. By now you can estimate V (17.4) and know which way a cloud of particles has to move (17.9). What is left: particles in a box, a network
# that makes them, and a critic that learns at the same time.

# %%
print("So far: " + authorship("soft_value_estimate", "rbf_kernel", "median_bandwidth",
                              "svgd_direction", "two_particles"))  # fmt: skip

# %% [markdown]
# ## Into the box
#
# Actions live in $(-1,1)^D$, but a particle that follows Δ may go anywhere. And at the border of the box (17.7) has a border term, because π does
# not vanish there. So the particles are $u\in\mathbb R^D$, and the action is $a=\tanh u$. If $a$ has the density π, what is that of u? A
# small interval of u becomes one that is smaller by $\tanh'(u)=1-\tanh^2u$, with the same probability in it. So
#
# $$p(u|s) = \pi(\tanh u|s)\,\prod_{j=1}^D\big(1-\tanh^2u_j\big) \;\propto\; e^{Q(s,\tanh u)/\alpha}\prod_{j=1}^D\big(1-\tanh^2u_j\big) \tag{17.13}$$
#
# and this density does vanish far out. Its score is what the particles follow:
#
# $$\nabla_u\log p(u|s) = \nabla_u\Big[\tfrac1\alpha\,Q(s,\tanh u)+\sum_{j=1}^D\log\big(1-\tanh^2u_j\big)\Big] \tag{17.14}$$

# %% [markdown] task="soft_policy_score"
# ### Exercise 17.6 · `soft_policy_score`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min
#
# Compute (17.14) for a cloud of particles in each state: `obs` is (B, obs_dim), `u` is (B, K, D), the result (B, K, D).
#
# - `q_net(obs, action)` takes rows: (N, obs_dim) and (N, D) give (N,). Here $N=BK$.
# - |u| may be 40. In float32 $1-\tanh^2u$ is 0 long before; the score is not.
# - The critic was only lent. Its weights' `.grad` must be as before, and no gradient may hang on the result.


# %% exercise="soft_policy_score" points=2
def soft_policy_score(q_net, obs, u, alpha):
    """The score of e^{Q/α} before tanh (17.14), detached.

    q_net: (N, obs_dim), (N, D) → (N,); obs: (B, obs_dim); u: (B, K, D); alpha: > 0. Returns (B, K, D).
    """
    ### BEGIN SOLUTION
    u = u.detach().requires_grad_()
    rows = obs.repeat_interleave(u.shape[1], dim=0)
    q = q_net(rows, torch.tanh(u).flatten(0, 1))
    log_det = 2 * (math.log(2) - u - softplus(-2 * u))
    return torch.autograd.grad(q.sum() / alpha + log_det.sum(), u)[0]  # (17.14)
    ### END SOLUTION


# %% [markdown] hints="soft_policy_score"
# <details><summary>How do I get one slope for each particle?</summary>
#
# No particle's value depends on another particle here. So the gradient of the *sum* over all of them is, at each of them, its own slope.
# </details>
# <details><summary>In which order do the rows come?</summary>
#
# A reshaped u goes state by state: first all particles of state 0. The observations must be repeated in the same order. Two functions of torch repeat;
# one repeats the whole, the other each row.
# </details>
# <details><summary>I get NaN far out.</summary>
#
# Either write the logarithm so that nothing is rounded to 0, by way of $\cosh$ or softplus, or differentiate that part on paper: the result is very short.
# </details>

# %% check="soft_policy_score"
soft_policy_score = check("soft_policy_score")

# %% [markdown]
# Three checks. Against differences; by lesson 13's identity, by quadrature over p(u): $\mathbb E[\nabla\log p]=0$ and $\mathbb E[\nabla\log p\cdot u]=-1$ (that is
# $\varphi=1$ and $\varphi=u$); and far out.

# %%
u = torch.linspace(-14, 14, 14_001, dtype=torch.float64)[None, :, None]
at_zero = torch.zeros(1, 1, dtype=torch.float64)
score = soft_policy_score(two_hills, at_zero, u, ALPHA)[0, :, 0]
log_p = q_at(torch.tanh(u[0, :, 0])) / ALPHA - 2 * torch.log(torch.cosh(u[0, :, 0]))
apart = (score[1:-1] - (log_p[2:] - log_p[:-2]) / (2 * 0.002)).abs().max()
p_u = torch.softmax(log_p, dim=0)
zero, one = float((p_u * score).sum()), float((p_u * score * u[0, :, 0]).sum())
print(f"from differences {float(apart):.0e}; E[score] = {zero:.0e}; E[score · u] = {one:.6f}")
assert apart < 1e-3 and abs(zero) < 1e-8 and abs(one + 1) < 1e-4

ten = torch.full((1, 1, 1), 10.0, requires_grad=True)
for name, inside in (("log(1 − tanh²)", 0.0), ("log(1 − tanh² + 1e-6)", 1e-6)):
    slope = torch.autograd.grad(torch.log(1 - torch.tanh(ten) ** 2 + inside).sum(), ten)[0]
    print(f"slope of {name} at u = 10: {float(slope):.3f}")
far = soft_policy_score(two_hills, torch.zeros(1, 1), ten, ALPHA)
print(f"your score at u = 10: {float(far):.3f}")

# %% [markdown]
# ## Particles on two hills
#
# Now the particles run: 50 of them, 1,500 steps of 0.05, on (17.3) at $s=0$. Three times: from a spread-out start; from the same start, without the second
# term of (17.9); and from a start on the right side only.


# %%
# about 3 s
def no_repulsion(x, score, y, bandwidth):
    """Δ, less what is left of it where all scores are 0."""
    whole = svgd_direction(x, score, y, bandwidth)
    return whole - svgd_direction(x, 0 * score, y, bandwidth)


FRAMES = (0, 5, 15, 40, 100, 300, 700, 1500)


def run(start, direction):
    """The actions of the particles at the steps FRAMES."""
    u, film = start[None, :, None], {}
    for step in range(FRAMES[-1] + 1):
        if step in FRAMES:
            film[step] = torch.tanh(u[0, :, 0]).numpy()
        score = soft_policy_score(two_hills, torch.zeros(1, 1), u, ALPHA)
        u = u + 0.05 * direction(u, score, u, median_bandwidth(u, u))
    return film


start = torch.randn(50, generator=draw)
films = {
    "both terms": run(start, svgd_direction),
    "without repulsion": run(start, no_repulsion),
    "all start on the right": run(start.abs() * 0.1 + 0.7, svgd_direction),
}
for name, film in films.items():
    left, between = hills.shares(film[1500])
    places = len(np.unique(film[1500].round(2)))
    print(f"{name:23} left {left:.2f}, between {between:.2f}; std {film[1500].std():.3f}; "
          f"{places} places")  # fmt: skip
line, true_density = hills.density(two_hills, 0.0, ALPHA)
print(f"truth: std {np.sqrt(np.average(line**2, weights=true_density)):.3f}")
assert len(np.unique(films["without repulsion"][1500].round(2))) < 8
assert hills.shares(films["all start on the right"][1500])[0] < 0.2

# %% [markdown]
# Press play. **What to look for:** on the left, particles slide up and then spread over their hill. In the middle, they end in a few points. On the
# right, the left hill stays almost empty.


# %% tags=["hide-input"]
def draw_particles(step):
    panels = plots.axes(1, 3, size="wide", sharey=True)
    for ax, (name, film) in zip(panels, films.items(), strict=True):
        ax.plot(line, true_density, color=plots.INK, label="π")
        ax.hist(film[step], bins=30, range=(-1, 1), density=True, alpha=0.4)
        ax.plot(
            film[step], np.full(50, -0.25), "|", color=plots.PALETTE["vermilion"], markersize=10
        )
        ax.set(title=name, xlabel="action", xlim=(-1, 1), ylim=(-0.5, 5))
    panels[0].set_ylabel(f"density, step {step}")
    return panels[0]


plots.slide(draw_particles, FRAMES, name="step", start=len(FRAMES) - 1, milliseconds=700,
            alt="50 particles over a density of two hills. With both terms they fill both hills; without repulsion they end in a few points; if all start on the right, almost none reaches the left hill.")  # fmt: skip

# %% [markdown]
# The third panel is a warning. SVGD *keeps* hills, but it does not find those that no particle stands near, and does not balance them: between the hills the
# score points back. How the particles start is part of the method. Remember that.
#
# And the bell curve of "Guess first"? A Gaussian $u=\mu+\sigma\xi$, squashed by tanh. Which μ and σ have the smallest $\mathrm{KL}$ to π? Two numbers are few, so we
# try them all:

# %%
# about 1 s
nodes = torch.erfinv((2 * torch.arange(200, dtype=torch.float64) + 1) / 200 - 1) * 2**0.5
mus = torch.linspace(-1.5, 1.5, 61, dtype=torch.float64)[:, None, None]
sigmas = torch.logspace(-1.5, 0.6, 60, dtype=torch.float64)[None, :, None]
bells = mus + sigmas * nodes
log_bell = -(nodes**2) / 2 - torch.log(sigmas * math.sqrt(2 * math.pi))
log_target = (q_at(torch.tanh(bells)) - truth) / ALPHA + 2 * (
    math.log(2) - bells - softplus(-2 * bells)
)
kl = (log_bell - log_target).mean(dim=-1)


def told_of(name, i, j):
    left, between = hills.shares(torch.tanh(bells[i, j]).numpy())
    print(f"{name:17} μ {float(mus[i]):+.2f}, σ {float(sigmas[0, j]):.2f}: KL {float(kl[i, j]):.3f}; "
          f"left {left:.2f}, between {between:.2f}")  # fmt: skip


best = divmod(int(kl.argmin()), 60)
middle = (30, int(kl[30].argmin()))
told_of("best of all", *best)
told_of("best with μ = 0", *middle)
print(f"log 2 = {math.log(2):.3f}")
assert abs(float(kl[best]) - math.log(2)) < 0.06 and float(kl[middle]) > 1

# %% [markdown]
# One hill, whose KL is a little above log 2, the price of forgetting half of the truth. Or a plateau over both hills, with a good part of its mass where π has almost
# nothing. There is no third kind.

# %% [markdown]
# ## A network that makes the particles
#
# Fifteen hundred steps for one state are too many for an agent that has to act. So let a network *remember* where particles go. The sampler turns noise into a
# particle, and is trained so that its particles move along Δ:
#
# $$u = f_\theta(s,\xi) = \xi+\text{network}_\theta(s,\xi),\qquad \xi\sim\mathcal N(0,I) \tag{17.15}$$
#
# If θ moves by a small $d\theta$, then u moves by $\frac{\partial f}{\partial\theta}\,d\theta$. We want it to move along Δ. The chain rule gives the θ-gradient of a function whose slope by
# u is $-\Delta$, and the simplest such function is a product, with Δ as a mere number:
#
# $$L(\theta) = -\frac1{BK}\sum_{s}\sum_{k=1}^{K}u_{s,k}\cdot\Delta_{s,k},\qquad u_{s,k}=f_\theta(s,\xi_{s,k}),\quad\Delta_{s,k}\text{ detached} \tag{17.16}$$
#
# It is lesson 13's pathwise gradient, $\nabla_\theta f_\theta\,\nabla_aQ$, with Δ in the place of Q's slope. Each state has its own K particles; only they feel each other.
#
# Why is ξ added in (17.15)? A network alone, with small first weights, gives nearly the same u for every ξ: its cloud begins as a *dot*. You have seen in the
# third panel what becomes of a cloud that begins at one place. Both are trained below, for (17.3) with s anywhere between 0 and 1.


# %%
class Dot(Sampler):
    """The network alone, without ξ."""

    def forward(self, obs, noise):
        return super().forward(obs, noise) - noise


def new(kind, seed):
    with torch_seed(seed):
        return kind(1, 1, (64, 64))


hooks = {"svgd_direction": svgd_direction, "soft_policy_score": soft_policy_score,
         "median_bandwidth": median_bandwidth}  # fmt: skip


def trained(kind, seed, **changes):
    sampler = new(kind, seed)
    hills.fit_sampler(sampler, two_hills, seed=seed, updates=600, **(hooks | changes))
    return sampler


def report(name, draws):
    """draws(s): actions in the state s."""
    for s in (0.0, 1.0):
        left, between = hills.shares(draws(s))
        tv = hills.total_variation(draws(s), two_hills, s, ALPHA)
        print(
            f"{name:22} s = {s:.0f}: left {left:.2f}, between {between:.2f}, total variation {tv:.2f}"
        )


for s in (0.0, 1.0):
    left, between = hills.shares(*hills.density(two_hills, s, ALPHA))
    print(f"{'the truth':22} s = {s:.0f}: left {left:.2f}, between {between:.2f}")
widths = [hills.drawn(new(Dot, seed), 0.0).std() for seed in range(8)]
print(f"first actions of the network alone: std {min(widths):.2f} to {max(widths):.2f}, 8 seeds")

# %%
# about 8 s
SEEDS = (0, 1, 2)
samplers, dots = {}, {}
for seed in seeds(SEEDS):
    samplers[seed], dots[seed] = trained(Sampler, seed), trained(Dot, seed)
for seed in SEEDS:
    report(f"ξ + network, seed {seed}", lambda s, seed=seed: hills.drawn(samplers[seed], s))
for seed in SEEDS:
    report(f"network, seed {seed}", lambda s, seed=seed: hills.drawn(dots[seed], s))
assert all(hills.shares(hills.drawn(one, 0.0))[0] > 0.25 for one in samplers.values())

# %% [markdown]
# The network alone keeps both hills with some first weights and loses one for good with others. With ξ added, both hills are there with every seed. (The test of this
# lesson has five.) And the Gaussian, trained on the same states by the pathwise gradient, as an agent's policy would be:

# %%
# about 3 s
gaussians = {seed: hills.fit_gaussian(two_hills, seed=seed, updates=600) for seed in (0, 1)}
for seed in gaussians:
    report(f"Gaussian, seed {seed}", lambda s, seed=seed: hills.drawn_gaussian(gaussians[seed], s))
assert all(hills.shares(hills.drawn_gaussian(g, 0.0))[1] > 0.1 for g in gaussians.values())

# %% tags=["hide-input"]
panels = plots.axes(1, 3, size="wide", sharey=True)
for ax, s in zip(panels, (0.0, 0.5, 1.0), strict=True):
    ax.plot(*hills.density(two_hills, s, ALPHA), color=plots.INK, label="π")
    shape = {"bins": 40, "range": (-1, 1), "density": True, "histtype": "step", "linewidth": 1.8}
    ax.hist(hills.drawn(samplers[0], s), label="sampler", color=plots.PALETTE["blue"], **shape)
    ax.hist(hills.drawn_gaussian(gaussians[0], s), label="Gaussian",
            color=plots.PALETTE["vermilion"], **shape)  # fmt: skip
    ax.set(title=f"s = {s}", xlabel="action", xlim=(-1, 1))
panels[0].set_ylabel("density")
panels[1].legend(loc="upper center")
plots.show(panels, alt="The density of two hills for three states, the sampler's histogram and the Gaussian's. The sampler follows both hills; the Gaussian is a plateau over both.")  # fmt: skip

# %% [markdown]
# This is the picture to keep. The sampler stands on both hills and makes the left one smaller where s asks for it. The Gaussian has taken the plateau: a good part of
# its actions is where Q is lowest. It is not trained badly; it has no better place to go.

# %% [markdown]
# ## Change one thing
#
# One argument: the direction. Without the second term of (17.9), the rest as before. **Before you run it:** what will the share of the left hill and the total variation be, and does ξ + network help?

# %%
# about 3 s
for seed in seeds((0, 1)):
    alone = trained(Sampler, seed, svgd_direction=no_repulsion)
    report(f"no repulsion, seed {seed}", lambda s, one=alone: hills.drawn(one, s))

# %% [markdown]
# ## The critic, and the whole
#
# What is left is Q. It learns as in lesson 08, by regression on a label made with a slow copy, and the soft value in the place of the maximum:
#
# $$y = r+\gamma\,(1-d)\,\hat V(s'),\qquad \hat V\text{ by (17.4) with }Q_{\phi_{\text{targ}}},\ a_k\text{ uniform in }(-1,1)^D \tag{17.17}$$
#
# $$L(\phi) = \tfrac12\,\frac1B\sum\big(Q_\phi(s,a)-y\big)^2 \tag{17.18}$$
#
# One update of soft Q-learning, in this order:
#
# > 1. one step of `q_optimizer` on (17.18)
# > 2. one step of `sampler_optimizer` on (17.16), with the score of the critic as it is now
# > 3. the slow copy follows: $\phi_{\text{targ}}\leftarrow\rho\,\phi_{\text{targ}}+(1-\rho)\,\phi$

# %% [markdown] task="soft_q_update"
# ### Exercise 17.7 · `soft_q_update`
# **Points** 4 · **Difficulty** ●●● · **Time** 30 min
#
# Write the update. `agent_state` has `q_net, q_targ, sampler, q_optimizer, sampler_optimizer, alpha, gamma, rho`; `batch` has `obs, action, reward, next_obs,
# terminated`, with actions in $(-1,1)^D$.
#
# - `proposal` (B, K, D): uniform actions, for the soft value of `next_obs`. `noise` (B, K, D): ξ, for the sampler at `obs`.
# - `sampler(obs, noise)` takes rows as the critic does, and returns u, before tanh.
# - Use your own functions, and `polyak_update(target, online, rho)`.
# - Clear the gradients yourself: old ones may be there. Only what an optimiser is for may move in its step.
# - Return a dictionary of numbers: the critic's loss and what else you would like to watch, under names of your choice.


# %% exercise="soft_q_update" points=4
def soft_q_update(agent_state, batch, proposal, noise):
    """One update of soft Q-learning, in place.

    proposal: (B, K, D), uniform in (−1, 1); noise: (B, K, D), standard normal. Returns a dictionary of numbers.
    """
    ### BEGIN SOLUTION
    me = agent_state
    b, k, dims = proposal.shape
    with torch.no_grad():
        rows = batch.next_obs.repeat_interleave(k, dim=0)
        q_next = me.q_targ(rows, proposal.reshape(b * k, dims)).reshape(b, k)
        v_next = soft_value_estimate(q_next, -dims * math.log(2), me.alpha)
        y = batch.reward + me.gamma * (1 - batch.terminated) * v_next  # (17.17)
    q_loss = 0.5 * mse_loss(me.q_net(batch.obs, batch.action), y)  # (17.18)
    me.q_optimizer.zero_grad()
    q_loss.backward()
    me.q_optimizer.step()

    rows = batch.obs.repeat_interleave(k, dim=0)
    u = me.sampler(rows, noise.reshape(b * k, dims)).reshape(b, k, dims)
    cloud = u.detach()
    score = soft_policy_score(me.q_net, batch.obs, cloud, me.alpha)
    delta = svgd_direction(cloud, score, cloud, median_bandwidth(cloud, cloud)).detach()
    me.sampler_optimizer.zero_grad()
    (-(u * delta).sum(dim=-1).mean()).backward()  # (17.16)
    me.sampler_optimizer.step()

    polyak_update(me.q_targ, me.q_net, me.rho)
    return {"q_loss": q_loss.item(), "length": delta.norm(dim=-1).mean().item()}
    ### END SOLUTION


# %% [markdown] hints="soft_q_update"
# <details><summary>How do I begin?</summary>
#
# With the label, under `torch.no_grad()`: values of the slow critic at the proposals, in the shape (B, K); then V̂. What is the logarithm of a uniform
# density on a box of D dimensions with sides of length 2?
# </details>
# <details><summary>And the sampler's half?</summary>
#
# The particles u carry the graph. Make a detached copy of them for everything that leads to Δ; where Δ and u meet, take the u with the graph.
# </details>
# <details><summary>What is the sum in (17.16) over?</summary>
#
# A scalar product has a sum over the dimensions. The mean is over states and particles only.
# </details>

# %% check="soft_q_update"
soft_q_update = check("soft_q_update")

# %% [markdown]
# ## Two goals
#
# A point in the plane starts near (0, 0). Goals lie at (−1, 0) and (1, 0), and both are worth the same; every step costs a little, more so far from a goal. The best soft
# policy goes to each in half of the episodes.
#
# ### Talk to your neighbour
#
# A critic is never exact. Suppose that at (0, 0) it takes the left side for better than the right by α, for no reason. A sampler that is right about the *critic* then goes left
#
# **A** half of the time · **B** about three times in four · **C** always
#
# And if the difference is 3α?
#
# <details><summary>What the second of the next cells will show</summary>
#
# **B**. Split the integral in (17.2) in two, $e^{V/\alpha} = e^{V_L/\alpha}+e^{V_R/\alpha}$: the odds are
#
# $$\frac{\pi(\text{left})}{\pi(\text{right})} = e^{(V_L-V_R)/\alpha} \tag{17.19}$$
#
# One α gives $e:1$, 3α give 20 : 1. The next cells print $(V_L-V_R)/\alpha$ for a critic that has learned.
# </details>

# %% [markdown]
# We train *one* agent, with your functions, at twice the temperature of the first half, $\alpha=0.4$:

# %%
# about 15 s
parts = {"soft_value_estimate": soft_value_estimate, "median_bandwidth": median_bandwidth,
         "svgd_direction": svgd_direction, "soft_policy_score": soft_policy_score,
         "soft_q_update": soft_q_update}  # fmt: skip
agent = SoftQ.for_env(two_goals, seed=0, alpha=0.4, **parts)
train_off_policy(agent, two_goals, seed=0, **(TWO_GOALS.training | {"steps": 2_500}))
print("trained by " + authorship(*parts))

# %% [markdown]
# Then 100 episodes of its own draws. Which goal does it reach? And, at (0, 0): what does its critic say by (17.19), by brute force on a grid of
# actions, and where do the sampler's draws go?

# %%
env, rng, paths, goals = two_goals(), np.random.default_rng(0), [], []
env.reset(seed=0)
for _ in range(100):
    obs, _ = env.reset()
    path, ended = [obs], False
    while not ended:
        obs, _, terminated, truncated, info = env.step(agent.act(obs[None], rng)[0])
        path.append(obs)
        ended = terminated or truncated
    paths.append(np.array(path))
    goals.append(info.get("goal", 0))
goals = np.array(goals)

side = (torch.arange(40) + 0.5) / 20 - 1
grid = torch.cartesian_prod(side, side)
origin = torch.zeros(len(grid), 2)
with torch.no_grad():
    exponent = agent.q_net(origin, grid) / agent.alpha
    drawn = torch.tanh(agent.sampler(torch.zeros(1000, 2), torch.randn(1000, 2, generator=draw)))
to_the_left = grid[:, 0] < 0
odds = float(exponent[to_the_left].logsumexp(0) - exponent[~to_the_left].logsumexp(0))
print(f"episodes: {(goals == -1).mean():.2f} end left, {(goals == 1).mean():.2f} right, "
      f"{(goals == 0).mean():.2f} at neither goal")  # fmt: skip
print(f"at (0, 0): (V_L − V_R)/α = {odds:+.2f} for the critic; (17.19) puts "
      f"{1 / (1 + math.exp(-odds)):.2f} on the left;")  # fmt: skip
print(f"           the sampler {float((drawn[:, 0] < 0).float().mean()):.2f}")

# %% tags=["hide-input"]
left_panel, right_panel = plots.axes(1, 2, size="wide")
colours = {-1: plots.PALETTE["blue"], 1: plots.PALETTE["vermilion"], 0: plots.INK}
for path, goal in zip(paths[:50], goals[:50], strict=True):
    left_panel.plot(*path.T, color=colours[int(goal)], linewidth=0.8, alpha=0.6)
left_panel.plot([-1, 1], [0, 0], "o", color=plots.INK, markersize=12, fillstyle="none")
left_panel.set(title="50 episodes", xlabel="x", ylabel="y", xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
right_panel.contour(
    side, side, torch.softmax(exponent, 0).view(40, 40).T, levels=6, colors=plots.INK
)
right_panel.plot(*drawn[:400].T, ".", markersize=3, color=plots.PALETTE["blue"])
right_panel.set(
    title="actions at (0, 0)", xlabel="first", ylabel="second", xlim=(-1, 1), ylim=(-1, 1)
)
right_panel.set_xticks([-1, -0.5, 0, 0.5, 1])
plots.show(left_panel, alt="Left: paths of 50 episodes from the middle to the two goals. Right: the density of the critic over actions at the origin, as contours, and the sampler's draws.")  # fmt: skip

# %% [markdown]
# Read the numbers together. Both goals are visited, and not equally: a small error in the difference of two values is divided by α and then exponentiated. At half the
# temperature the same error would count twice in the exponent. More training makes the error smaller; 2,500 steps are what fits into this lesson. A high temperature
# forgives more, and has its own price: an agent that likes chance so much does not always arrive within 30 steps. What holds with every seed that we tried is the
# experiment with the known Q, where no critic can err: that is the picture to keep.

# %% [markdown]
# ## Find the silent bug
#
# A colleague says that the score is Q's slope over α, "as in (17.6)", and trains a sampler on a Q that rises to the border of the box, $Q(s,a)=\frac12a$. No error, and the
# direction becomes shorter and shorter: "it converges". Here is the colleague's function, and both samplers:


# %%
# about 3 s
def colleagues_score(q_net, obs, u, alpha):
    u = u.detach().requires_grad_()
    q = q_net(obs.repeat_interleave(u.shape[1], dim=0), torch.tanh(u).flatten(0, 1))
    return torch.autograd.grad(q.sum() / alpha, u)[0]


def rising(obs, action):
    return action[:, 0] / 2


watched = {}
for name, score in (("yours", soft_policy_score), ("the colleague's", colleagues_score)):
    sampler = new(Sampler, 0)
    watched[name] = hills.fit_sampler(
        sampler, rising, updates=600, **(hooks | {"soft_policy_score": score})
    )
    print(f"{name:16} at the end: length of Δ {watched[name]['length'][-50:].mean():.3f}, "
          f"mean |a| {watched[name]['size'][-50:].mean():.3f}")  # fmt: skip
line, p_line = hills.density(rising, 0.0, ALPHA)
print(f"mean |a| under e^(Q/α)/Z: {np.average(np.abs(line), weights=p_line):.3f}")

# %% tags=["hide-input"]
panels = plots.axes(1, 2, size="wide")
for ax, key, what in zip(panels, ("length", "size"), ("length of Δ", "mean |a|"), strict=True):
    for name, seen in watched.items():
        ax.plot(np.convolve(seen[key], np.ones(20) / 20, "valid"), label=name)
    ax.set(xlabel="update", ylabel=what)
panels[1].legend()
plots.show(panels, alt="Length of the direction and mean size of the action by update: with the colleague's score the length falls towards zero and the size rises to one.")  # fmt: skip

# %% [markdown]
# <details><summary>I need a hint.</summary>
#
# The particles are u, not a. Which factor of (17.13) is missing, and what did it do far out?
# </details>
# <details><summary>What is wrong?</summary>
#
# The log-determinant is gone. Then the slope by u is $(1-\tanh^2u)\,\nabla_aQ/\alpha$: always uphill, and the flatter the further out. The particles run off until tanh
# is flat, and the direction gets short because nothing can be *seen* any more, not because anything has been found. A short Δ is no proof of convergence; |a| near 1 gives it away. With hills inside
# the box the same bug hardly shows: Q must slope towards the border somewhere.
# </details>

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** Somebody forgets the proposal's density in (17.4). By how much is each label wrong, and what becomes of that over many steps?
#
# <details><summary>Answer</summary>
#
# By $-\gamma\,\alpha D\log2$ for every step that goes on: a constant, a tax on staying alive. By (15.6) it adds up to $1/(1-\gamma)$ times as much. The order of the actions in one state stays;
# what changes is whether a long episode is worth it.
# </details>
#
# **2.** Why not use the sampler's own draws as the proposal?
#
# <details><summary>Answer</summary>
#
# (17.4) needs $\log q'$, and of the sampler we have draws only: nobody can compute the density of $f_\theta(s,\xi)$ unless f can be inverted.
# </details>
#
# **3.** With one particle a state, what is soft Q-learning's sampler?
#
# <details><summary>Answer</summary>
#
# $\Delta$ is the score: each particle climbs log p by itself. That is DDPG's actor with noise as a further input, on Q/α plus the log-determinant.
# </details>

# %% [markdown]
# ## Summary
#
# - For a continuum of actions $V=\alpha\log\int e^{Q/\alpha}\,da$. Importance sampling estimates it by K draws, too low by about $\frac\alpha{2K}\mathrm{Var}(w)/\mathbb E[w]^2$, and by much more
#   in many dimensions.
# - The score $\nabla\log\pi=\nabla Q/\alpha$ does not need Z. Stein's expression is the slope of KL when a cloud is moved; its best field, with a kernel, is SVGD.
# - Its first term climbs together, its second keeps apart. Few particles stand too narrow: two at $\pm\frac12\sqrt{h\log(1+4\sigma^2/h)}$.
# - In a box the particles live before tanh, and their density carries $\prod(1-\tanh^2u_j)$. Without it they run away, and it looks like convergence.
# - A sampler $\xi+\text{network}$ keeps both hills of a known Q where a Gaussian covers one or lies across the gap. With a learned Q the odds of two hills are $e^{\Delta V/\alpha}$: errors of
#   the critic decide.

# %% [markdown]
# ## Where this went
#
# - **Stein variational policy gradient** (Liu et al. 2017): the particles are whole policies; the score is $\frac1\alpha\nabla_\theta J(\theta)$, and the kernel keeps the *agents* apart.
# - **Latent space policies** (Haarnoja, Hartikainen et al. 2018): the sampler becomes an invertible network: many hills as here, and $\log\pi$ by a change of variables.
# - **Extreme Q-learning** (Garg et al. 2023): no proposal: V is fitted by $\mathbb E[e^z-z-1]$, $z=(Q-V)/\alpha$, whose minimum is $\alpha\log\mathbb E\,e^{Q/\alpha}$ over the actions of the data.
# - **Q-score matching** (Psenka et al. 2024): the policy is a diffusion model; its score is fitted to $\nabla_aQ$ times a constant, in place of the sampler's output.
# - **S²AC** (Messaoud et al. 2024): some SVGD steps from a learned Gaussian *are* the policy, and its entropy is written down from the change of variables of the steps.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Other letters, and what differs</summary>
#
# - Haarnoja et al. 2017, *Reinforcement learning with deep energy-based policies*: their direction is α times ours (it follows $\nabla Q$ and scales the repulsion by α); their algorithm changes to the
#   policy as proposal later and has a target copy of the sampler, for which this lesson has no use.
# - Liu & Wang 2016, *Stein variational gradient descent*, §5: $h=\text{med}^2/\log n$ with med the median *distance*. For an odd number of distances that is the median of the squares.
# - Our Δ is their φ; φ is the critic's weights here.
# </details>

# %% [markdown]
# ## What we hand on
#
# The soft backup for a continuum of actions,
#
# $$Q\leftarrow r+\gamma(1-d)\,\alpha\log\int e^{Q(s',a)/\alpha}da$$
#
# and particles that follow Δ towards $e^{Q/\alpha}/Z$. It can keep many hills, and it pays for that: a kernel over particles in each state, a proposal that is lost in many dimensions, a sampler whose density
# nobody knows. Lesson 18 gives the hills up: a Gaussian takes the place of the particles, its $\log\pi$ is a formula, and the integral becomes an expectation under the policy itself.
