# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 13 · Stein's identity and two gradients
#
# Part IV · **13** → 14 → 15 → 16 → 17 → 18 → 19 → 20
#
# - **You will be able to** differentiate $\mathbb E[Q(a)]$ in two ways, by values of Q alone and by its slope; prove Stein's
#   identity, which says that the two are one, and say where it fails; predict which of them is noisier, and when the
#   other one wins; and let the noise go, which leaves the deterministic policy gradient.
# - **Builds on** lesson 10 (the score, baselines, the Gaussian policy), lesson 12 (the surrogate).
# - **Time** two sittings of 70 minutes alone, with a break before the pencil exercise; 80 minutes as a lecture.
# - **Sources** Williams 1992; Stein 1981, *Estimation of the mean of a multivariate normal distribution*; Kingma &
#   Welling 2014; Silver et al. 2014 (deterministic policy gradient); Greensmith, Bartlett & Baxter 2004 (baselines);
#   lecture notes on Stein's identity and soft policy iteration.

# %%
import math

import numpy as np
import torch
from torch import nn

from rlcourse.checker import authorship, check
from rlcourse.lab import plots
from rlcourse.lab.progress import seeds
from rlcourse.lab.seeding import torch_seed

torch.set_num_threads(1)

# %% [markdown]
# ## What we inherit
#
# Lesson 12 climbs, on the data of $\pi_{\text{old}}$,
#
# $$\max_\theta\ \frac1B\sum_t\min\big(\rho_t\hat A_t,\ \mathrm{clip}(\rho_t,1-\epsilon,1+\epsilon)\,\hat A_t\big) \tag{13.1}$$
#
# with the ratio $\rho_t = \pi_\theta(a_t|s_t)/\pi_{\text{old}}(a_t|s_t)$. At the first step $\pi_\theta$ *is* the old policy: every ratio is 1,
# nothing is clipped, and $\nabla\rho_t = \nabla\log\pi_\theta(a_t|s_t)$. What is climbed is lesson 10's policy gradient,
#
# $$\nabla J = \mathbb E\big[\nabla_\theta\log\pi_\theta(a|s)\,\hat A\big] \tag{13.2}$$
#
# Look at what it asks of $\hat A$: *one number* for each action that was taken. That is its strength, for the world gives
# us numbers and no derivatives. But if actions lie on a continuum and the number comes from a **critic**
# $Q_\phi(s,a)$, a network that takes the action in, then more is known than the number: which way it rises. (13.2) throws that away.
#
# What would a gradient look like that uses the slope $\nabla_aQ$? Is it the same gradient? Is it better?

# %% [markdown]
# ### One state at a time, and Q held fixed
#
# The policy gradient theorem of lesson 10, (10.15), is a sum over states of $\sum_a\nabla\pi_\theta(a|s)\,Q^\pi(s,a)$. The
# derivative stands before π alone: what θ does to $Q^\pi$ comes out by itself, by visiting the states that follow. So in each
# state there is one small problem: actions $a\in\mathbb R^D$, a function $Q(a)$ that **stays as it is**, and
#
# $$J(\theta) = \mathbb E_{a\sim\pi_\theta}\big[Q(a)\big] = \int\pi_\theta(a)\,Q(a)\,da,\qquad \nabla J(\theta) = \;? \tag{13.3}$$
#
# We look at one state until the end of the lesson, and leave the $s$ out.

# %% [markdown]
# ## Guess first
#
# Two people look for the top of a hill in thick fog. Both throw stones around themselves. For each stone the first is told
# how high it lies. The second is told, for each stone, which way the ground rises there, and how steeply. The hill is a
# smooth one, in $D = 64$ dimensions.
#
# **How many stones must the first throw to know the way up as well as the second with one stone?**
#
# <details><summary>I have guessed. What is it?</summary>
#
# On the hill that you will see below, more than a thousand. With one dimension it is about eight. And there is another hill, not smooth,
# on which the first is the better off.
# </details>

# %% [markdown]
# ## A policy that can be differentiated
#
# Our policy is lesson 10's Gaussian, with a mean and a width for each dimension:
#
# $$a = \mu + \sigma\xi,\qquad \xi\sim\mathcal N(0, I) \tag{13.4}$$
#
# where σξ multiplies entry by entry. What is learned is $\mu$ and $\log\sigma$: so σ is positive, whatever a step does to it. The dimensions are
# independent: the density is a product of bells, and its logarithm a sum,
#
# $$\log\pi(a) = -\sum_{j=1}^D\Big[\tfrac12\Big(\frac{a_j-\mu_j}{\sigma_j}\Big)^2+\log\sigma_j+\tfrac12\log2\pi\Big] \tag{13.5}$$
#
# The term $\log\sigma$ is there because the area under a bell is 1: if it is twice as wide, it is half as high.

# %% [markdown] task="gaussian_log_prob"
# ### Exercise 13.1 · `gaussian_log_prob`
# **Points** 1 · **Difficulty** ●○○ · **Time** 8 min
#
# Compute (13.5) for a batch of actions, one number a row.
#
# - `mean` and `log_std` are (B, D), or (D,) if all rows share them.
# - It must be exact for an action sixty σ away, and for a σ of a millionth.
# - Whoever trains a policy differentiates this function: gradients flow to all three arguments.


# %% exercise="gaussian_log_prob" points=1
def gaussian_log_prob(a, mean, log_std):
    """The log-density of a Gaussian with independent dimensions (13.5).

    a: (B, D); mean, log_std: (B, D) or (D,). Returns (B,).
    """
    ### BEGIN SOLUTION
    z = (a - mean) * torch.exp(-log_std)
    return -(0.5 * z**2 + log_std + 0.5 * math.log(2 * math.pi)).sum(dim=-1)  # (13.5)
    ### END SOLUTION


# %% [markdown] hints="gaussian_log_prob"
# <details><summary>Which axis is summed over?</summary>
#
# A row is one action with D entries. Independent entries: their probabilities multiply, their logarithms add. The batch
# stays.
# </details>
# <details><summary>Something is lost where σ is the same for all rows.</summary>
#
# Put all three terms of the bracket together first, with torch's broadcasting, and sum afterwards: then each of the D entries
# of each row has brought its own $\log\sigma_j$ and its own constant.
# </details>
# <details><summary>Far out I get −inf.</summary>
#
# $e^{-1800}$ is 0 in float32. The density never has to be formed: (13.5) is written in logarithms from the first term to the
# last.
# </details>

# %% check="gaussian_log_prob"
gaussian_log_prob = check("gaussian_log_prob")

# %% [markdown]
# Is it a density? In two dimensions, on a fine grid, the volume under $e^{\log\pi}$ must be 1. And what do numbers far out look like?

# %%
grid = torch.linspace(-9, 9, 361, dtype=torch.float64)
places = torch.cartesian_prod(grid, grid)
pi_grid = gaussian_log_prob(places, torch.tensor([0.5, -1.0]), torch.tensor([-0.7, 0.3])).exp()
volume = float(pi_grid.sum() * (grid[1] - grid[0]) ** 2)
far = float(gaussian_log_prob(torch.tensor([[60.0]]), torch.zeros(1), torch.zeros(1)))
print(f"volume under the density: {volume:.6f}; log π sixty σ away: {far:.2f}")
print("by " + authorship("gaussian_log_prob"))
assert abs(volume - 1) < 1e-4 and abs(far + 1800.92) < 0.1

# %% [markdown]
# ## The first gradient: move the density
#
# In (13.3) θ stands in the density. **Step 1**: differentiate there, under the integral. (The bell is smooth in θ and falls off faster
# than any power, so this is allowed for every Q that does not grow faster than a power. Nothing is asked of Q besides: it may jump.)
# **Step 2**: multiply and divide by π, lesson 10's (10.7). **Step 3**: read a mean.
#
# $$\begin{aligned}\nabla_\theta J &= \int\nabla_\theta\pi_\theta(a)\,Q(a)\,da
# = \int\pi_\theta(a)\,\nabla_\theta\log\pi_\theta(a)\,Q(a)\,da\\
# &= \mathbb E\big[\nabla_\theta\log\pi_\theta(a)\,Q(a)\big]\end{aligned} \tag{13.6}$$
#
# Now the score of (13.5). Write $z = (a-\mu)/\sigma$, dimension by dimension. Then $\partial z/\partial\mu = -1/\sigma$, and
# $\partial z/\partial\log\sigma = -z$, because $1/\sigma = e^{-\log\sigma}$. So from $\log\pi = -\tfrac12z^2-\log\sigma-\dots$
#
# $$\begin{aligned}\frac{\partial\log\pi}{\partial\mu} &= -z\cdot\Big(-\frac1\sigma\Big) = \frac{a-\mu}{\sigma^2}\\
# \frac{\partial\log\pi}{\partial\log\sigma} &= -z\cdot(-z)-1 = z^2-1\end{aligned} \tag{13.7}$$
#
# One drawn action gives one estimate, the **score-function estimate** (Williams 1992):
#
# $$\hat g_\mu = Q(a)\,\frac{a-\mu}{\sigma^2},\qquad \hat g_{\log\sigma} = Q(a)\Big[\Big(\frac{a-\mu}{\sigma}\Big)^2-1\Big] \tag{13.8}$$

# %% [markdown] task="score_function_gradient"
# ### Exercise 13.2 · `score_function_gradient`
# **Points** 2 · **Difficulty** ●●○ · **Time** 12 min
#
# Compute (13.8) for a batch, by the formula or by autograd.
#
# - **One estimate a row**, (B, D), and no mean over the batch: we want to see how far they scatter.
# - `q` holds the values of Q at the actions, used as they are.
# - `a` and `q` are *data*. They may arrive with a graph behind them that leads back to `mean` and `log_std`. It counts for
#   nothing.


# %% exercise="score_function_gradient" points=2
def score_function_gradient(a, mean, log_std, q):
    """The score-function estimates for mean and log σ (13.8), one a row.

    a: (B, D), drawn from the policy; mean, log_std: (B, D) or (D,); q: (B,).
    Returns (for_mean, for_log_std), (B, D) each.
    """
    ### BEGIN SOLUTION
    sigma = log_std.exp()
    z = (a - mean) / sigma
    return q[:, None] * z / sigma, q[:, None] * (z**2 - 1)  # (13.8)
    ### END SOLUTION


# %% [markdown] hints="score_function_gradient"
# <details><summary>How do a number a row and D numbers a row go together?</summary>
#
# Q of row $i$ multiplies the whole of row $i$. Give it a second axis of length 1, `[:, None]`.
# </details>
# <details><summary>I use autograd. What has to be my own?</summary>
#
# The tensors that you differentiate for: copies of `mean` and `log_std`, of shape (B, D), so that each row has its own.
# And the actions have to be cut off from whatever made them: if $a$ moves along with μ, then $a-\mu$ stands still.
# </details>
# <details><summary>How can I check it myself?</summary>
#
# With Q = 1 everywhere the mean over many rows must be 0, in both parts: the area under the density is 1, whatever θ is. That is what the
# −1 is for.
# </details>

# %% check="score_function_gradient"
score_function_gradient = check("score_function_gradient")

# %% [markdown]
# ### Means that are not drawn
#
# To check identities we want means without noise. A mean over $\xi\sim\mathcal N(0,1)$ is an integral, and **Gauss–Hermite quadrature**
# gives it as a weighted sum over 60 fixed values of ξ. It is exact for all polynomials up to degree 119, and for smooth functions to
# ten digits and more. So a *quadrature* of your function is its mean under the policy.
#
# Our Q for the first checks is $\sin2a+\tfrac12a^2$, our policy has μ = 0.3, σ = $e^{-0.4}$. Is (13.6) right? The left side by finite
# differences of the quadrature of Q: nothing but values. The right side is the quadrature of your estimates.

# %%
nodes, weights = np.polynomial.hermite_e.hermegauss(60)
XI, W = torch.from_numpy(nodes)[:, None], torch.from_numpy(weights / weights.sum())
MU, LOG_SIGMA = torch.tensor([0.3]).double(), torch.tensor([-0.4]).double()


def mean_variance(rows):
    """Mean and variance over ξ of what was computed at the 60 nodes."""
    rows = rows.detach().double()
    return W @ rows, W @ (rows - W @ rows) ** 2


def wavy(a):
    return torch.sin(2 * a[:, 0]) + a[:, 0] ** 2 / 2


def expected(q, mu, log_sigma):
    return float(W @ q(mu + log_sigma.exp() * XI))


def true_gradient(q, mu=MU, log_sigma=LOG_SIGMA, h=1e-5):
    """∂J/∂μ and ∂J/∂log σ in one dimension, by central differences."""
    by_mu = expected(q, mu + h, log_sigma) - expected(q, mu - h, log_sigma)
    by_log = expected(q, mu, log_sigma + h) - expected(q, mu, log_sigma - h)
    return np.array([by_mu, by_log]) / (2 * h)


A = MU + LOG_SIGMA.exp() * XI
score = [mean_variance(part) for part in score_function_gradient(A, MU, LOG_SIGMA, wavy(A))]
print("finite differences   ", true_gradient(wavy).round(6))
print("mean of the estimates", np.array([float(m) for m, _ in score]).round(6))
print("their variance       ", np.array([float(v) for _, v in score]).round(3))
print("by " + authorship("score_function_gradient"))
assert all(abs(float(m) - t) < 1e-4 for (m, _), t in zip(score, true_gradient(wavy), strict=True))

# %% [markdown]
# ## Move the derivative: Stein's identity
#
# Look at the first gradient once more. To shift a bell to the right by a little is the same as to look a little further to the
# left: $\pi$ depends on $a-\mu$ only, and so
#
# $$\nabla_\mu\pi(a) = -\nabla_a\pi(a),\qquad \nabla_\mu J = -\int\nabla_a\pi(a)\,Q(a)\,da \tag{13.9}$$
#
# Now the derivative is one for the *action*. And a derivative under an integral can be moved from one factor to the other:
# by parts. Then it would stand on Q. That is **Stein's identity** (Stein 1981). We prove it for any smooth
# function $\varphi(a)$, one step at a time.

# %% [markdown]
# ### Talk to your neighbour
# Take $\varphi(a) = a$, in one dimension. The mean of $\nabla_a\log\pi(a)\cdot a$ under $\mathcal N(\mu,\sigma^2)$ is
#
# **A** 0, as for every score · **B** −1, whatever μ and σ are · **C** −μ/σ² · **D** it depends on σ only
#
# <details><summary>What the next cells will show</summary>
#
# B. A is true for the score alone. By (13.13) the mean of score times φ is minus the mean of φ's slope, and the slope of $a$
# is 1.
# </details>

# %% [markdown]
# ### Four steps
#
# **Step 1.** As in (13.6), a score times π is a derivative of π: $\pi\,\nabla_a\log\pi = \nabla_a\pi$. So
#
# $$\mathbb E\big[\nabla_a\log\pi\;\varphi+\nabla_a\varphi\big] = \int\big[\nabla_a\pi\;\varphi+\pi\,\nabla_a\varphi\big]\,da \tag{13.10}$$
#
# **Step 2.** In the bracket stands the product rule, read from right to left:
#
# $$\nabla_a\pi\;\varphi+\pi\,\nabla_a\varphi = \nabla_a\big(\pi\varphi\big) \tag{13.11}$$
#
# **Step 3.** The integral of a derivative is what is left at the border. Take entry $j$, hold the other entries of $a$ fixed, and
# integrate over $a_j$ from $-L$ to $L$:
#
# $$\int_{-L}^{L}\frac{\partial(\pi\varphi)}{\partial a_j}\,da_j = \big[\pi\varphi\big]_{a_j=-L}^{a_j=L} \tag{13.12}$$
#
# **Step 4.** Let $L$ grow (the two means in (13.13) have to exist). **If πφ → 0 at both ends**, nothing is left, for any values of the other entries, and so nothing after integrating over them either:
#
# $$\boxed{\;\mathbb E_\pi\big[\nabla_a\log\pi(a)\,\varphi(a)+\nabla_a\varphi(a)\big] = 0\;} \tag{13.13}$$
#
# A Gaussian falls off like $e^{-a^2/2\sigma^2}$: every φ that grows like a power, or like $e^a$, is welcome.
#
# The bracket at one action is the **residual**. Its mean is 0; it is not. With the Gaussian's $\nabla_a\log\pi = -(a-\mu)/\sigma^2$,
#
# $$-\frac{a-\mu}{\sigma^2}\,\varphi(a)+\nabla_a\varphi(a) \tag{13.14}$$

# %% [markdown] task="stein_residual"
# ### Exercise 13.3 · `stein_residual`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (13.14) for a batch: an identity for each dimension, a residual for each row. `phi` holds φ's values at the actions,
# `grad_phi` its slopes.


# %% exercise="stein_residual" points=1
def stein_residual(a, mean, log_std, phi, grad_phi):
    """The residual of Stein's identity (13.14), whose mean under the policy is 0.

    a: (B, D); mean, log_std: (B, D) or (D,); phi: (B,); grad_phi: (B, D). Returns (B, D).
    """
    ### BEGIN SOLUTION
    grad_log_pi = -(a - mean) * torch.exp(-2 * log_std)
    return grad_log_pi * phi[:, None] + grad_phi  # (13.14)
    ### END SOLUTION


# %% [markdown] hints="stein_residual"
# <details><summary>Is this the score of exercise 13.2?</summary>
#
# Up to a sign. There log π was differentiated for μ, here for $a$, and π depends on the difference of the two.
# </details>
# <details><summary>What is multiplied with what?</summary>
#
# φ is one number a row and multiplies the whole row of the score. The slope of φ is not multiplied with anything.
# </details>
# <details><summary>How can I check it myself?</summary>
#
# With φ = 0 what comes out is the slope, unchanged. With φ = 1 and slope 0 it is the score alone. And at $a=\mu$ the score is 0.
# </details>

# %% check="stein_residual"
stein_residual = check("stein_residual")

# %% [markdown]
# **Each step by number**, with $\varphi(a) = a\sin a$. Steps 1 and 2 hold at every single action: derivatives by finite differences, at a
# thousand places. Step 3 holds for every $L$: the integral by the trapezoidal rule, beside the two ends.


# %%
def phi(a):
    return a * torch.sin(a)


def slope_of_phi(a):
    return torch.sin(a) + a * torch.cos(a)


def density(a):
    return gaussian_log_prob(a[:, None], MU, LOG_SIGMA).exp()


def pi_times_residual(a):
    residual = stein_residual(a[:, None], MU, LOG_SIGMA, phi(a), slope_of_phi(a)[:, None])
    return density(a) * residual[:, 0]


def by_differences(f, a, h=1e-5):
    return (f(a + h) - f(a - h)) / (2 * h)


a = torch.linspace(-4, 4, 1000).double()
step_1 = by_differences(density, a) * phi(a) + density(a) * slope_of_phi(a)
step_2 = by_differences(lambda a: density(a) * phi(a), a)
print(f"step 1: largest difference {(step_1 - pi_times_residual(a)).abs().max():.0e}")
print(f"step 2: largest difference {(step_2 - step_1).abs().max():.0e}")
assert (step_1 - pi_times_residual(a)).abs().max() < 1e-5
assert (step_2 - step_1).abs().max() < 1e-5
for L in (0.5, 1.0, 2.0, 4.0):
    line = torch.linspace(-L, L, 4001).double()
    integral = float(torch.trapezoid(pi_times_residual(line), line))
    ends = torch.tensor([-L, L]).double()
    left, right = (density(ends) * phi(ends)).tolist()
    print(f"steps 3, 4, L = {L}: integral {integral:9.6f}, border {right - left:9.6f}")
    assert abs(integral - (right - left)) < 1e-5
assert abs(integral) < 1e-5

# %% [markdown]
# And the identity itself by quadrature: the two terms, their sum, and how far the residual scatters about its mean 0. For contrast the wrong sign in
# front of the score.

# %%
residual = stein_residual(A, MU, LOG_SIGMA, phi(A[:, 0]), slope_of_phi(A))
total, scatter = mean_variance(residual)
slope_mean, _ = mean_variance(slope_of_phi(A))
score_mean, _ = mean_variance(residual - slope_of_phi(A))
print(f"E[∇φ] = {float(slope_mean):.6f}, E[∇log π φ] = {float(score_mean):.6f}")
print(f"their sum {abs(float(total)):.6f}, the residual's deviation {float(scatter.sqrt()):.3f}")
print(f"with the other sign: {float(slope_mean - score_mean):.4f}")
print("by " + authorship("stein_residual"))
assert abs(float(total)) < 1e-5 and float(scatter) > 1

for mu, log_sigma in ((0.3, -0.4), (-2.0, 1.0), (5.0, -3.0)):  # your neighbour's question: φ = a
    mu, log_sigma = torch.tensor([mu]).double(), torch.tensor([log_sigma]).double()
    a = mu + log_sigma.exp() * XI
    one, _ = mean_variance(stein_residual(a, mu, log_sigma, a[:, 0], torch.ones_like(a)) - 1)
    print(
        f"μ = {float(mu):4.1f}, σ = {float(log_sigma.exp()):.2f}: E[∇log π · a] = {float(one):.6f}"
    )
    assert abs(float(one) + 1) < 1e-4

# %% [markdown]
# **Drag L.** The curve is $\pi\varphi$, the product of step 2. Its slope is shaded, above and below zero. By step 3 the two shades together make the
# difference of the two dots. What happens to the dots, and so to the shades?

# %% tags=["hide-input"]
fine = torch.linspace(-4, 4, 801).double()


def draw_border(L):
    ax = plots.axes()
    inside = fine[(fine >= -L) & (fine <= L)]
    slope = pi_times_residual(inside)
    integral = float(torch.trapezoid(slope, inside))
    for part, color in ((slope.clamp(min=0), "blue"), (slope.clamp(max=0), "orange")):
        ax.fill_between(inside, part, color=plots.PALETTE[color], alpha=0.3, lw=0)
    ax.plot(
        fine,
        pi_times_residual(fine),
        color=plots.INK,
        ls="--",
        lw=1.2,
        label="its slope, π × residual",
    )
    ax.plot(fine, density(fine) * phi(fine), color=plots.PALETTE["green"], ls="-", label="πφ")
    ends = torch.tensor([-L, L]).double()
    ax.plot(
        ends,
        density(ends) * phi(ends),
        "o",
        ls="",
        ms=9,
        color=plots.PALETTE["vermilion"],
        label="the border",
    )
    ax.set(xlabel="action", ylim=(-0.85, 0.95), xlim=(-4.1, 4.1))
    ax.set_title(
        f"blue minus orange = right dot minus left dot = {abs(integral) if abs(integral) < 5e-5 else integral:.4f}"
    )
    ax.legend(loc="upper left")
    return ax


plots.slide(draw_border, [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0], name="L", start=3,
            alt="The product of density and φ over the action, and its slope, shaded between −L and L. The larger L, the nearer "
            "the two dots at the ends come to 0, and the two shades to one another.")  # fmt: skip

# %% [markdown]
# ### Where it fails
#
# All that was asked for is step 4: $\pi\varphi\to0$ at the ends of the actions. Three examples.
#
# 1. **Actions that end.** Cut $\mathcal N(0.5, 1)$ off to (−1, 1), and take $\varphi(a) = a$. Inside, the score is the Gaussian's. At
#    the ends the density does not vanish. The mean of the residual must be the border, $[\pi\varphi]_{-1}^{1}$.
# 2. **A φ that grows too fast.** $\varphi = \Phi(a)/\pi(a)$, with Φ the distribution function of π. Here $\pi\varphi = \Phi$, which goes
#    to 0 on the left but to 1 on the right. Its slope is π, so by (13.11) the residual is 1 at *every* action.
# 3. **Actions that end, softly.** $a = \tanh(u)$, $u\sim\mathcal N(\mu,\sigma^2)$ also ends at ±1. But near the ends its density falls
#    faster than any power of $1-|a|$: nothing is left there. Lessons 18 and 19 use this policy. By the change of variables
#    $\pi(a) = \mathcal N(u)/(1-a^2)$, its score is $\big[-(u-\mu)/\sigma^2+2a\big]/(1-a^2)$.

# %%
# 1: by quadrature on (−1, 1), with your function; φ = a has the slope 1
node, weight = np.polynomial.legendre.leggauss(40)
inside, ends = torch.from_numpy(node)[:, None], torch.tensor([[-1.0], [1.0]]).double()
half, zero = torch.tensor([0.5]).double(), torch.zeros(1).double()
bell = gaussian_log_prob(inside, half, zero).exp()
area = float(torch.from_numpy(weight) @ bell)
each = bell / area * stein_residual(inside, half, zero, inside[:, 0], torch.ones_like(inside))[:, 0]
left, right = (gaussian_log_prob(ends, half, zero).exp() / area * ends[:, 0]).tolist()
cut = float(torch.from_numpy(weight) @ each)
print(f"1. cut off:  mean of the residual {cut:.4f}, border {right - left:.4f}")
assert abs(cut - (right - left)) < 1e-5

# 2: at five actions
some = MU + LOG_SIGMA.exp() * torch.tensor([[-2.0], [-1.0], [0.0], [1.0], [2.0]]).double()
z = (some - MU) / LOG_SIGMA.exp()
p, Phi = density(some[:, 0]), 0.5 * (1 + torch.erf(z[:, 0] / math.sqrt(2)))
slope = 1 + Phi / p * z[:, 0] / LOG_SIGMA.exp()  # (Φ/π)′ = (π·π − Φπ′)/π²
ones = stein_residual(some, MU, LOG_SIGMA, Phi / p, slope[:, None])[:, 0]
print("2. too fast: the residual at five actions", ones.numpy().round(6))
assert (ones - 1).abs().max() < 1e-4

# 3: φ = sin 3a, by quadrature over u
u, squashed = A, torch.tanh(A)
squashed_score = (-(u - MU) / LOG_SIGMA.exp() ** 2 + 2 * squashed) / (1 - squashed**2)
kept, _ = mean_variance(squashed_score * torch.sin(3 * squashed) + 3 * torch.cos(3 * squashed))
print(f"3. squashed: mean of the residual {abs(float(kept)):.6f}")
assert abs(float(kept)) < 1e-6

# %% [markdown]
# ## The second gradient: move the sample
#
# With Stein's identity in hand, the first gradient becomes one of slopes: $\mathbb E[\nabla_\mu\log\pi\,Q] = -\mathbb E[\nabla_a\log\pi\,Q] = \mathbb E[\nabla_aQ]$. That result
# is so simple that there must be a direct way. There is. Write the sample as a *function* of θ and of noise that does not know θ (this is called
# **reparameterisation**):
#
# $$a = f_\theta(\xi) = \mu+\sigma\xi,\qquad J(\theta) = \mathbb E_{\xi\sim\mathcal N(0,I)}\big[Q(\mu+\sigma\xi)\big] \tag{13.15}$$
#
# Now θ stands in Q's argument, and the distribution of ξ stands still. Differentiate inside the mean, by the chain rule:
#
# $$\nabla_\theta J = \mathbb E_\xi\big[\nabla_\theta f_\theta(\xi)\;\nabla_aQ(a)\big|_{a=f_\theta(\xi)}\big] \tag{13.16}$$
#
# ($\nabla_\theta f$ has a row for each parameter, so that the product is a vector like θ. To differentiate inside, Q has to be continuous, with a
# slope almost everywhere that does not grow too fast. A Q that *jumps* is refused: its slope is 0 almost everywhere and knows nothing of the jump.)
#
# Moving μ moves the sample by as much; and $\partial(\sigma\xi)/\partial\log\sigma = \sigma\xi$. The **pathwise estimate** of one draw (Kingma &
# Welling 2014) is
#
# $$\hat g_\mu = \nabla_aQ(a),\qquad \hat g_{\log\sigma} = \sigma\xi\,\nabla_aQ(a) \tag{13.17}$$

# %% [markdown] task="pathwise_gradient"
# ### Exercise 13.4 · `pathwise_gradient`
# **Points** 2 · **Difficulty** ●●○ · **Time** 12 min
#
# Compute (13.17) for a batch, one estimate a row. `noise` is ξ. `q_function` takes actions (B, D) and gives (B,), each row by itself; its slope is
# for autograd to find.
#
# - `mean` and `log_std` may be (D,). The result is one row a sample all the same.
# - Nothing that you were lent is changed: no `.grad` is left behind, in Q's weights or elsewhere, and no `requires_grad` is set.


# %% exercise="pathwise_gradient" points=2
def pathwise_gradient(noise, mean, log_std, q_function):
    """The pathwise estimates for mean and log σ (13.17), one a row.

    noise: (B, D), standard normal; mean, log_std: (B, D) or (D,); q_function: (B, D) → (B,).
    Returns (for_mean, for_log_std), (B, D) each.
    """
    ### BEGIN SOLUTION
    moved = log_std.detach().exp() * noise  # σξ, by which a leaves the mean
    a = (mean.detach() + moved).requires_grad_()  # (13.15)
    (slope,) = torch.autograd.grad(q_function(a).sum(), a)  # each row's Q knows its own a only
    return slope, moved * slope  # (13.17)
    ### END SOLUTION


# %% [markdown] hints="pathwise_gradient"
# <details><summary>How do I get B slopes from one call?</summary>
#
# Differentiate the *sum* of all values. Row $i$ of the actions enters Q of row $i$ only, so row $i$ of the gradient is that row's slope.
# </details>
# <details><summary>Which function of torch differentiates and leaves nothing behind?</summary>
#
# `torch.autograd.grad(of_what, for_what)` returns gradients; `backward()` writes them into `.grad` of every leaf, and Q's weights
# are leaves.
# </details>
# <details><summary>For what do I differentiate?</summary>
#
# For a tensor of your own that wants a gradient. Either for the actions, and then the chain rule by hand; or for own copies of `mean` and
# `log_std` of shape (B, D), made before the actions are.
# </details>

# %% check="pathwise_gradient"
pathwise_gradient = check("pathwise_gradient")

# %% [markdown]
# The same Q, the same policy, the second gradient beside the first:

# %%
path = [mean_variance(part) for part in pathwise_gradient(XI, MU, LOG_SIGMA, wavy)]
print("finite differences      ", true_gradient(wavy).round(6))
for name, pairs in {"score function": score, "pathwise": path}.items():
    means, variances = np.array([[float(m), float(v)] for m, v in pairs]).T
    print(f"{name:15} means    ", means.round(6), "  variances", variances.round(3))
    assert abs(means - true_gradient(wavy)).max() < 1e-4
print("by " + authorship("score_function_gradient", "pathwise_gradient"))
assert path[0][1] < score[0][1] and path[1][1] < score[1][1]

# %% [markdown]
# ## The two are one
#
# Both estimates have the same mean, because both are derivatives of the same number (13.3). Stein's identity shows *how* one turns into the other,
# row by row of θ, and without differentiating the mean at all.
#
# **For μ**: take $\varphi = Q$. Since $\nabla_\mu\log\pi = -\nabla_a\log\pi$,
#
# $$\mathbb E\big[\nabla_\mu\log\pi\;Q\big] = -\mathbb E\big[\nabla_a\log\pi\;Q\big] = \mathbb E\big[\nabla_aQ\big] \tag{13.18}$$
#
# **For log σ**, dimension $j$: take $\varphi = (a_j-\mu_j)\,Q$ in the identity for $a_j$. Its slope for $a_j$ is $Q+(a_j-\mu_j)\,\partial_jQ$, and so
#
# $$0 = \mathbb E\Big[-\frac{(a_j-\mu_j)^2}{\sigma_j^2}\,Q+Q+(a_j-\mu_j)\,\partial_jQ\Big]$$
#
# The first two terms are minus the score for $\log\sigma_j$ times Q. Bring them to the other side, and write $\sigma_j\xi_j$ for $a_j-\mu_j$:
#
# $$\mathbb E\Big[\Big(\frac{(a_j-\mu_j)^2}{\sigma_j^2}-1\Big)Q\Big] = \mathbb E\big[\sigma_j\xi_j\,\partial_jQ\big] \tag{13.19}$$
#
# **For the weights θ of a network** that gives μ and log σ: multiply (13.18) and (13.19) by $\nabla_\theta\mu_j$ and $\nabla_\theta\log\sigma_j$, and add up over $j$. On the left
# the chain rule makes $\nabla_\theta\log\pi_\theta$ of it, on the right $\nabla_\theta f_\theta$. With the state back in its place:
#
# $$\boxed{\;\mathbb E\big[\nabla_\theta\log\pi_\theta(a|s)\;Q(s,a)\big] = \mathbb E\big[\nabla_\theta f_\theta(s,\xi)\;\nabla_aQ(s,a)\big]\;} \tag{13.20}$$
#
# with **Q held fixed** while θ moves, and for every smooth Q with $\pi Q\to0$ and $\pi\,(a-\mu)\,Q\to0$ at the border. (We have proved it for Gaussians. For other smooth $f_\theta$, as tanh of a
# Gaussian, both sides are still derivatives of one number.)

# %% [markdown]
# By number: (13.18) and (13.19) are your residuals for $\varphi = Q$ and $\varphi = (a-\mu)Q$. Then (13.20) for *every* weight of a small policy
# network, in four states: the left side by autograd of your log-probability, with the actions cut off from the graph, the right side by autograd through
# the actions. The means over ξ are by quadrature.

# %%
slope_q = 2 * torch.cos(2 * A) + A
off = A - MU
first, _ = mean_variance(stein_residual(A, MU, LOG_SIGMA, wavy(A), slope_q))
second, _ = mean_variance(
    stein_residual(A, MU, LOG_SIGMA, off[:, 0] * wavy(A), wavy(A)[:, None] + off * slope_q)
)
print(f"(13.18): residual {abs(float(first)):.1e}; (13.19): residual {abs(float(second)):.1e}")
assert abs(float(first)) < 1e-4 and abs(float(second)) < 1e-4

with torch_seed(0):
    policy = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    states = torch.randn(4, 2).double()
mean, log_std = policy(states.repeat_interleave(60, dim=0)).chunk(2, dim=1)  # (240, 1) each
noise, share = XI.repeat(4, 1), W.repeat(4) / 4
a = mean + log_std.exp() * noise
hand = a.detach()
by_score = (share * gaussian_log_prob(hand, mean, log_std) * wavy(hand)).sum()
by_path = (share * wavy(a)).sum()
weights_of = tuple(policy.parameters())
left = torch.autograd.grad(by_score, weights_of, retain_graph=True)
right = torch.autograd.grad(by_path, weights_of)
apart = max(float((x - y).abs().max()) for x, y in zip(left, right, strict=True))
largest = max(float(y.abs().max()) for y in right)
print(f"(13.20): {sum(w.numel() for w in weights_of)} weights, largest difference {apart:.0e}, "
      f"largest entry {largest:.2f}")  # fmt: skip
print("by " + authorship("stein_residual", "gaussian_log_prob"))
assert apart < 1e-5 < largest

# %% [markdown]
# And "Q held fixed"? Let Q itself know θ: $Q(a) = \mu a$, at μ = 0.3. Then $J = \mu\,\mathbb E[a] = \mu^2$, and $dJ/d\mu = 2\mu$. With Q held fixed both sides of (13.20) give
# μ; the other μ is $\mathbb E[\partial Q/\partial\mu]$, and no estimate of this lesson has it. In lesson 10 that part is carried by the recursion (10.13).

# %%
held = score_function_gradient(A, MU, LOG_SIGMA, 0.3 * A[:, 0])[0]
slid = pathwise_gradient(XI, MU, LOG_SIGMA, lambda a: 0.3 * a[:, 0])[0]
whole = ((0.3 + 1e-5) ** 2 - (0.3 - 1e-5) ** 2) / 2e-5
print(f"score {float(W @ held[:, 0].double()):.4f}, pathwise {float(W @ slid[:, 0].double()):.4f}, "
      f"d(μ²)/dμ {whole:.4f}")  # fmt: skip
assert abs(float(W @ held[:, 0].double()) - 0.3) < 1e-5
assert abs(float(W @ slid[:, 0].double()) - 0.3) < 1e-5

# %% [markdown]
# ## Which one is noisier?
#
# The same mean; so what differs is the scatter. Take a hill with its top at $g$, of height $c$, in one dimension first:
#
# $$Q(a) = c-(a-g)^2,\qquad Q'(a) = -2(a-g) \tag{13.21}$$
#
# The pathwise estimate for μ is $-2(\mu-g)-2\sigma\xi$: its variance is $4\sigma^2$, whatever $c$ is, for a constant has no slope. The score-function estimate is
# $Q(a)\,\xi/\sigma$. It multiplies noise by the *height*: so $c$ counts, though it says nothing about where the top is. Lesson 10's cure is to subtract a baseline, here the mean
# of Q. And a narrow policy divides by a small σ. By quadrature, for μ = 0 and g = 1:


# %%
def hill(a, height=0.0, goal=1.0):
    return height - (a - goal).square().sum(dim=-1)  # (13.21)


def three_variances(height, log_sigma):
    """Of the estimates for μ: score, score with E[Q] subtracted, pathwise."""
    zero, log_sigma = torch.zeros(1).double(), torch.tensor([log_sigma]).double()
    a = log_sigma.exp() * XI
    q = hill(a, height)
    estimates = (
        score_function_gradient(a, zero, log_sigma, q)[0],
        score_function_gradient(a, zero, log_sigma, q - W @ q)[0],
        pathwise_gradient(XI, zero, log_sigma, lambda a: hill(a, height))[0],
    )
    pairs = [mean_variance(rows[:, 0]) for rows in estimates]
    assert all(abs(float(m) - 2) < 1e-3 for m, _ in pairs)  # the same mean, −2(μ − g)
    return [float(v) for _, v in pairs]


print("  c      σ      score  with E[Q]  pathwise")
for height, sigma in ((0, 1), (10, 1), (100, 1), (0, 0.1), (0, 0.01)):
    plain, centred, by_slope = three_variances(height, math.log(sigma))
    print(f"{height:3} {sigma:6} {plain:10.1f} {centred:10.1f} {by_slope:9.4f}")
    assert abs(by_slope - 4 * sigma**2) < 1e-3 and plain > centred > by_slope
print("by " + authorship("score_function_gradient", "pathwise_gradient"))

# %% [markdown]
# Read it by columns. The score's variance grows like $c^2$ when $c$ is large, and like $1/\sigma^2$ when σ is small: as the policy becomes sure of itself its gradient drowns. With the mean of Q subtracted,
# $c$ is gone, but near σ = 0 the variance *stays*. The pathwise variance goes to 0.
#
# **Drag c** and look at single draws, in two dimensions. The hill's top is at (2, −1), the policy at 0 with σ = 1. On the left 300 score-function estimates for the mean, on the right 300
# pathwise ones, of the same draws. The dot is the true gradient.

# %% tags=["hide-input"]
GOAL = torch.tensor([2.0, -1.0])
cloud = torch.randn(300, 2, generator=torch.Generator().manual_seed(1))
flat = torch.zeros(2)
path_cloud = pathwise_gradient(cloud, flat, flat, lambda a: hill(a, 0.0, GOAL))[0].detach()


def draw_clouds(c):
    panels = plots.axes(1, 2, size="wide", sharex=True, sharey=True)
    score_cloud = score_function_gradient(cloud, flat, flat, hill(cloud, c, GOAL))[0].detach()
    for ax, name, rows in zip(
        panels, ("score function", "pathwise"), (score_cloud, path_cloud), strict=True
    ):
        ax.plot(*rows.T.numpy(), ".", ls="", alpha=0.4)
        ax.plot(
            *(2 * GOAL).numpy(), "o", ms=9, color=plots.PALETTE["vermilion"], label="true gradient"
        )
        ax.set(
            xlim=(-45, 45),
            ylim=(-45, 45),
            xlabel="first dimension",
            title=f"{name}: variance {float(rows.var(dim=0).sum()):.0f}",
        )
    panels[0].set_ylabel("second dimension")
    panels[0].legend(loc="upper left")
    return panels


plots.slide(draw_clouds, [0, 3, 6, 10, 15, 20], name="c", start=3,
            alt="Two clouds of estimates about the same true gradient. The cloud of the score function changes with c: it is "
            "smallest at about 6 and grows on both sides; the pathwise cloud is small and always the same.")  # fmt: skip

# %% [markdown]
# **And with the dimension?** The score of one dimension is multiplied by a Q that all the other dimensions have shaken as well. A hill whose top lies at distance 1, σ = 1; variances of all D
# components added up, from 20 000 draws.

# %%
dimensions, ratios = (1, 4, 16, 64), {"score function": [], "score function with E[Q]": []}
for D in dimensions:
    xi = torch.randn(20_000, D, generator=torch.Generator().manual_seed(D))
    zeros, top = torch.zeros(D), torch.full((D,), D**-0.5)
    q = hill(xi, 0.0, top)
    slopes = pathwise_gradient(xi, zeros, zeros, lambda a, top=top: hill(a, 0.0, top))[0]
    small = float(slopes.var(dim=0).sum())
    for name, values in zip(ratios, (q, q - q.mean()), strict=True):
        each = score_function_gradient(xi, zeros, zeros, values)[0]
        ratios[name].append(float(each.var(dim=0).sum()) / small)
    print(f"D = {D:2}: score {ratios['score function'][-1]:7.1f} times the pathwise variance, "
          f"with E[Q] subtracted {ratios['score function with E[Q]'][-1]:5.1f} times")  # fmt: skip
print("by " + authorship("score_function_gradient", "pathwise_gradient"))
assert ratios["score function"][-1] > 800 and ratios["score function with E[Q]"][-1] > 20

# %% tags=["hide-input"]
ax = plots.axes()
for name, numbers in ratios.items():
    ax.plot(dimensions, numbers, marker="o", label=name)
ax.axhline(1, color=plots.INK, lw=1.2, ls=":")
ax.annotate("pathwise", (1, 1), xytext=(0, 5), textcoords="offset points", va="bottom")
ax.set(xscale="log", yscale="log", xlabel="dimensions D", ylabel="variance ÷ pathwise variance")
ax.set_xticks(dimensions, labels=dimensions)
ax.minorticks_off()
ax.legend(loc="upper left")
plots.show(ax, alt="Ratio of variances over the dimension, both axes logarithmic: the score function rises from about 8 to more "
           "than a thousand, with a baseline from about 5 to about 35.")  # fmt: skip

# %% [markdown]
# This is the answer to the fog: one slope is worth as many heights as the upper curve says. A baseline helps a lot, and more with many dimensions. But the curve with a baseline still rises, in the end roughly in
# proportion to D: a height is *one* number, a slope has D of them.
#
# One warning about baselines. "Subtract the mean of the batch" is not lesson 10's (10.24): the mean contains the row's own Q, and with it the row's own action. Take Q = a, whose true gradient is 1, in batches
# of $B = 4$:

# %%
xi = torch.randn(100_000, 4, generator=torch.Generator().manual_seed(0))
one, none = torch.zeros(1), torch.zeros(1)
others = (xi.sum(dim=1, keepdim=True) - xi) / 3
for name, b in {
    "the batch's mean": xi.mean(dim=1, keepdim=True),
    "the mean of the others": others,
}.items():
    rows = score_function_gradient(xi.reshape(-1, 1), one, none, (xi - b).reshape(-1))[0]
    estimate, error = float(rows.mean()), float(rows.std()) / len(rows) ** 0.5
    print(f"{name:23} {estimate:.3f}")
    assert abs(estimate - (0.75 if "batch" in name else 1)) < 5 * error

# %% [markdown]
# The batch's mean shrinks the gradient by $1-1/B$; the mean of the *others* (leave one out) does not.

# %% [markdown]
# ## Break
#
# The first half is done: two gradients, Stein's identity between them, and what they scatter. Before you go on you should be able to say, without looking:
#
# - which of the two estimates needs values of Q only, and which needs its slope;
# - what stands at the border in (13.12), and for which policies it does not vanish;
# - why adding 10 to Q changes one of the two estimates, and the mean of neither.
#
# To take up the lesson here another day, click this cell and choose `Run` → `Run All Above Selected Cell`: it takes seconds.

# %% [markdown]
# ## The best constant
#
# Which constant $b$ should be subtracted? By lesson 10's (10.23) none of them moves the mean. For the hill (13.21), the estimate for μ is
#
# $$\hat g = \big(Q(a)-b\big)\,\frac{\xi}{\sigma},\qquad a = \mu+\sigma\xi \tag{13.22}$$
#
# and we want the $b$ for which $\mathrm{Var}\,\hat g$ is smallest.
#
# ### Talk to your neighbour
# Lesson 10's best baseline weighed the actions by the square of their scores. For the hill, the best constant is
#
# **A** $\mathbb E[Q]$ · **B** $Q(\mu)$ · **C** lower than both · **D** higher than both
#
# <details><summary>What the cell after the exercise will show</summary>
#
# C. By how much, your formula says.
# </details>

# %% [markdown] task="optimal_constant_baseline"
# ### Exercise 13.5 · `optimal_constant_baseline`
# **Points** 2 · **Difficulty** ●●● · **Time** 20 min · ✎ on paper
#
# On paper: find the $b$ that makes $\mathrm{Var}\,\hat g$ of (13.22) smallest, and the variance that it leaves. Then write both formulas down as a function.
#
# - Rows are separate problems in one dimension: everything is (B,), in and out. `goal` is $g$, `height` is $c$.
# - You may use that a standard normal has $\mathbb E\xi^{n+1} = n\,\mathbb E\xi^{n-1}$. (That is Stein's identity for $\varphi = \xi^n$. Do you see it?)


# %% exercise="optimal_constant_baseline" points=2
def optimal_constant_baseline(mean, log_std, goal, height):
    """The constant that makes the variance of (13.22) smallest, and that variance.

    mean, log_std, goal, height: (B,). Returns (baseline, variance), (B,) each.
    """
    ### BEGIN SOLUTION
    variance, distance = torch.exp(2 * log_std), (mean - goal) ** 2
    baseline = height - distance - 3 * variance  # E[ξ²Q], for E[ξ²] = 1
    return baseline, 8 * distance + 6 * variance
    ### END SOLUTION


# %% [markdown] hints="optimal_constant_baseline"
# <details><summary>Where do I begin?</summary>
#
# The mean of $\hat g$ does not depend on $b$. So its variance is smallest where $\mathbb E[\hat g^2]$ is: a mean of a parabola in $b$. Set its slope to 0; what comes
# out is an average of Q with weights.
# </details>
# <details><summary>Which moments do I need?</summary>
#
# Put $a = \mu+\sigma\xi$ into Q and sort by powers of ξ: a constant, a term with ξ, one with ξ². Odd moments are 0. For the baseline you need those up to the fourth, for the
# variance up to the sixth. The recursion in the task gives both from $\mathbb E\xi^2 = 1$.
# </details>
# <details><summary>How do I check the variance?</summary>
#
# Put the best $b$ in *before* you square: $Q-b$ then has no $c$ any more. Do not forget to subtract the squared mean, which is $Q$'s mean slope squared. For a policy far from the top and
# almost without width, your variance must still be positive.
# </details>

# %% check="optimal_constant_baseline"
optimal_constant_baseline = check("optimal_constant_baseline")

# %% [markdown]
# Measured, with your score function and 400 000 draws: without a baseline, with the mean of Q, with your $b^*$, and a scan over many constants. Three problems.

# %%
xi = torch.randn(400_000, 1, generator=torch.Generator().manual_seed(0))
for mu, sigma, goal, height in (
    (0.0, 1.0, 1.0, 10.0),
    (0.0, 1.0, 1.0, 0.0),
    (0.5, math.exp(-1), 1.5, 0.0),
):
    m, s = torch.tensor([mu]), torch.tensor([math.log(sigma)])
    a = m + sigma * xi
    q = hill(a, height, goal)

    def variance(b, a=a, m=m, s=s, q=q):
        return float(score_function_gradient(a, m, s, q - b)[0].var())

    best, least = (
        float(x)
        for x in optimal_constant_baseline(m, s, torch.tensor([goal]), torch.tensor([height]))
    )
    scan = np.linspace(best - 2, best + 2, 21)
    lowest = scan[np.argmin([variance(b) for b in scan])]
    print(f"c = {height:4}, σ = {sigma:.2f}: Q(μ) = {height - (mu - goal) ** 2:5.2f}, E[Q] = {float(q.mean()):5.2f}, "
          f"b* = {best:5.2f}, lowest in the scan {lowest:5.2f}")  # fmt: skip
    print(f"    variance without {variance(0):.2f}, with E[Q] {variance(float(q.mean())):.2f}, "
          f"with b* {variance(best):.2f} (your formula {least:.2f})")  # fmt: skip
    assert variance(best) < variance(float(q.mean())) < variance(0.0)
    assert abs(variance(best) - least) < 0.08 * least and abs(lowest - best) < 0.4
print("by " + authorship("optimal_constant_baseline", "score_function_gradient"))

# %% [markdown]
# So the mean of Q is not the best constant: samples far out move μ most, and on a hill they lie low. And the best constant is not good: let σ → 0 in your formula. What is left is 8 times the squared distance
# from the top. Near σ = 0 the hill is a slope, $Q-b\approx Q'(\mu)\,\sigma\xi$, so $\hat g\approx Q'(\mu)\,\xi^2$: its variance is $2Q'(\mu)^2$ however narrow the policy is. No constant knows *which way* Q rises.

# %% [markdown]
# ## When the score function wins
#
# The pathwise estimate trusts the slope at one point. Let Q be a wave,
#
# $$Q(a) = \sin\!\big(ka+\tfrac12\big) \tag{13.23}$$
#
# with a policy at μ = 0, σ = 1. Its values lie between −1 and 1 for every $k$; its slope is of size $k$, now up, now down, and all of it cancels but $ke^{-k^2/2}\cos\tfrac12$, the true
# gradient. **Drag k** before you read on: at which $k$ do the two change places?

# %% tags=["hide-input"]
unit = torch.zeros(1).double()


def wave_variances(k):
    q = torch.sin(k * XI[:, 0] + 0.5)
    by_value = score_function_gradient(XI, unit, unit, q)[0]
    by_slope = pathwise_gradient(XI, unit, unit, lambda a: torch.sin(k * a[:, 0] + 0.5))[0]
    return [float(mean_variance(rows[:, 0])[1]) for rows in (by_value, by_slope)]


WAVES = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 4]
swept = np.array([wave_variances(k) for k in WAVES])


def draw_wave(k):
    left, right = plots.axes(1, 2, size="wide")
    line = np.linspace(-3, 3, 301)
    left.plot(line, np.sin(k * line + 0.5), label="Q")
    left.fill_between(
        line,
        np.exp(-(line**2) / 2) - 1.2,
        -1.2,
        color=plots.PALETTE["sky"],
        alpha=0.25,
        lw=0,
        label="policy",
    )
    left.set(xlabel="action", ylim=(-1.3, 1.75), title=f"k = {k}")
    left.legend(loc="upper left", ncols=2)
    for column, name in enumerate(("score function", "pathwise")):
        right.plot(WAVES, swept[:, column], label=name)
        here = float(swept[WAVES.index(k), column])
        right.plot(k, here, "o", ms=9, color=right.lines[-1].get_color())
    right.set(xlabel="k", ylabel="variance", yscale="log")
    right.legend(loc="lower right")
    return left


plots.slide(draw_wave, WAVES, name="k", start=3,
            alt="On the left a wave and the policy's bell, on the right the variances of the two estimates over the wave number k: "
            "pathwise is below for small k and far above for large k.")  # fmt: skip

# %%
for k in (1, 2, 4, 12):
    by_value, by_slope = wave_variances(k)
    print(
        f"k = {k:2}: score {by_value:.3f}, pathwise {by_slope:7.3f}, ratio {by_value / by_slope:.3f}"
    )
assert (
    wave_variances(1)[0] > wave_variances(1)[1] and wave_variances(4)[0] < wave_variances(4)[1] / 10
)

xi = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0))
step = float(gaussian_log_prob(torch.zeros(1, 1).double(), MU, LOG_SIGMA).exp())  # dJ/dμ = π(0)
m, s = MU.float(), LOG_SIGMA.float()
a = m + s.exp() * xi
jump = score_function_gradient(a, m, s, (a[:, 0] > 0).float())[0]
nothing = pathwise_gradient(xi, m, s, lambda a: (a[:, 0] > 0).float() + 0 * a[:, 0])[0]
print(f"Q = 1 if a > 0: true gradient {step:.4f}, score {float(jump.mean()):.4f}, "
      f"pathwise {float(nothing.mean()):.4f}")  # fmt: skip
print("by " + authorship("score_function_gradient", "pathwise_gradient"))
assert abs(float(jump.mean()) - step) < 5 * float(jump.std()) / len(jump) ** 0.5
assert float(nothing.abs().max()) == 0

# %% [markdown]
# A wild slope is worse than none. And where Q jumps, the pathwise estimate is *wrong*, not noisy: 0, without any scatter. (Why does Stein's identity not forbid it? Because step 2 asked for a φ with a slope; a jump in
# the middle leaves a border there.) Rewards often jump: goal reached or not. What does not jump is a *critic*: a network is smooth. That is why the slope in the coming lessons is always the slope of a learned Q. The
# price: a network may have learned values that are nearly right and slopes that are not. Lesson 15 pays it.

# %% [markdown]
# ## The deterministic limit
#
# Let σ → 0. Expand the slope about the mean: $Q'(\mu+\sigma\xi) = Q'(\mu)+\sigma\xi\,Q''(\mu)+\tfrac12\sigma^2\xi^2\,Q'''(\mu)+\dots$, and take the mean. $\mathbb E\xi = 0$, $\mathbb E\xi^2 = 1$:
#
# $$\nabla_\mu J = \mathbb E\big[Q'(\mu+\sigma\xi)\big] = Q'(\mu)+\tfrac12\sigma^2\,Q'''(\mu)+\dots\;\longrightarrow\;Q'(\mu) \tag{13.24}$$
#
# The right side of (13.20) has a limit: the slope *at the mean*, without any noise. The left side has none: its variance grows like $1/\sigma^2$, and a policy that is a point has no density
# to take the logarithm of.

# %%
slope_at_mean = float(2 * torch.cos(2 * MU) + MU)
third = float(-8 * torch.cos(2 * MU))
for sigma in (0.3, 0.1, 0.03, 0.01):
    log_sigma = torch.tensor([math.log(sigma)]).double()
    rows = pathwise_gradient(XI, MU, log_sigma, wavy)[0]
    more, predicted = float(W @ rows[:, 0].double()) - slope_at_mean, sigma**2 / 2 * third
    _, noisy = mean_variance(
        score_function_gradient(MU + sigma * XI, MU, log_sigma, wavy(MU + sigma * XI))[0]
    )
    print(f"σ = {sigma:4}: gradient − Q′(μ) = {more:.1e}, ½σ²Q‴ = {predicted:.1e}; "
          f"variance of the score {float(noisy):.0f}")  # fmt: skip
    assert abs(more - predicted) < 0.12 * abs(predicted) + 1e-5

# %% [markdown]
# With the state back in its place and a network $\mu_\theta(s)$ for the mean, $f_\theta(s,\xi)\to\mu_\theta(s)$, and (13.20) becomes the **deterministic policy gradient** (Silver et al. 2014):
#
# $$\begin{aligned}\nabla_\theta J(\theta) &= \mathbb E_s\Big[\nabla_\theta\mu_\theta(s)\;\nabla_aQ_\phi(s,a)\big|_{a=\mu_\theta(s)}\Big]\\
# &\approx \frac1B\sum_s\nabla_\theta\mu_\theta(s)\;\nabla_aQ_\phi(s,a)\big|_{a=\mu_\theta(s)}\end{aligned} \tag{13.25}$$
#
# Each state's slope says which way its action should move; $\nabla_\theta\mu_\theta(s)$ says which weights move it. The mean over states comes last.

# %% [markdown] task="deterministic_policy_gradient"
# ### Exercise 13.6 · `deterministic_policy_gradient`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute the second line of (13.25): the direction of **ascent**, one tensor for each of the actor's parameters, in their order.
#
# - `actor(obs)` gives actions (B, D), `critic(obs, action)` values (B,).
# - The critic is asked and stays as it was: its weights, its flags, its `.grad`. So does the actor.


# %% exercise="deterministic_policy_gradient" points=2
def deterministic_policy_gradient(actor, critic, obs):
    """The deterministic policy gradient of a batch of states (13.25).

    actor: obs → (B, D); critic: obs, action → (B,); obs: (B, obs_dim).
    Returns a tuple, one tensor for each of `actor.parameters()`.
    """
    ### BEGIN SOLUTION
    value = critic(obs, actor(obs)).mean()  # the chain rule does (13.25)
    return torch.autograd.grad(value, tuple(actor.parameters()))
    ### END SOLUTION


# %% [markdown] hints="deterministic_policy_gradient"
# <details><summary>Do I have to multiply the two gradients myself?</summary>
#
# You may. But (13.25) is the chain rule of something: of what number is it the gradient, if Q's weights stand still?
# </details>
# <details><summary>How do I keep the critic out of it?</summary>
#
# Ask for the gradient for the actor's parameters and nothing else. There is a function that returns gradients and writes them nowhere. But do not cut the graph: the slope of Q must come through.
# </details>
# <details><summary>Where does 1/B go?</summary>
#
# Once, over the states. If every state came twice in the batch, nothing should change.
# </details>

# %% check="deterministic_policy_gradient"
deterministic_policy_gradient = check("deterministic_policy_gradient")

# %% [markdown]
# Twice against something else: against finite differences of $\frac1B\sum_sQ(s,\mu_\theta(s))$ for every weight, and against the *stochastic* gradient of a policy with the same mean and σ = 0.01, its mean over ξ by quadrature.

# %%
with torch_seed(1):
    actor = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    judge = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    obs = torch.randn(6, 2).double()


def critic(obs, action):
    return judge(torch.cat([obs, action], dim=1))[:, 0]


gradient = torch.cat(
    [g.detach().flatten() for g in deterministic_policy_gradient(actor, critic, obs)]
)
theta = nn.utils.parameters_to_vector(actor.parameters()).detach()


def value_of(weights):
    nn.utils.vector_to_parameters(weights, actor.parameters())
    with torch.no_grad():
        action = actor(obs)
        return float(critic(obs, action).mean())


h = 1e-5
by_hand = torch.tensor([(value_of(theta + h * e) - value_of(theta - h * e)) / (2 * h)
                        for e in torch.eye(len(theta)).double()])  # fmt: skip
nn.utils.vector_to_parameters(theta, actor.parameters())
wide_obs = obs.repeat_interleave(60, dim=0)
narrow = (W.repeat(6) / 6 * critic(wide_obs, actor(wide_obs) + 0.01 * XI.repeat(6, 1))).sum()
near = torch.cat([g.flatten() for g in torch.autograd.grad(narrow, tuple(actor.parameters()))])
print(f"{len(theta)} weights: off by {(gradient - by_hand).abs().max():.0e} from finite differences, "
      f"by {(gradient - near).abs().max():.0e} from σ = 0.01")  # fmt: skip
print("by " + authorship("deterministic_policy_gradient"))
assert (gradient - by_hand).abs().max() < 1e-5 and (gradient - near).abs().max() < 1e-3

# %% [markdown]
# What does it do? A critic that we know, $Q(s,a) = -(a-\sin3s)^2$, and an actor that has never seen $\sin$: 600 steps along your gradient, 64 random states each. No action was drawn, none was tried: all
# that the actor learns it learns from the slope of Q.

# %%
with torch_seed(0):
    student = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
generator, shown = torch.Generator().manual_seed(0), torch.linspace(-1.5, 1.5, 121)[:, None]


def known(obs, action):
    return -(action[:, 0] - torch.sin(3 * obs[:, 0])).square()


optimizer = torch.optim.Adam(student.parameters(), lr=0.02)
learned = {}
for update in range(601):
    if update in (0, 60, 600):
        with torch.no_grad():
            learned[f"after {update} steps"] = student(shown)[:, 0].numpy()
            value = float(known(shown, student(shown)).mean())
        print(f"after {update:3} steps: mean Q(s, μ(s)) = {value:.4f}")
    drawn = torch.rand(64, 1, generator=generator) * 3 - 1.5
    ascent = deterministic_policy_gradient(student, known, drawn)
    for weight, g in zip(student.parameters(), ascent, strict=True):
        weight.grad = -g.detach()  # optimisers go down
    optimizer.step()
print("climbed with " + authorship("deterministic_policy_gradient"))
assert value > -0.01

# %% tags=["hide-input"]
ax = plots.curves(learned, x=shown[:, 0].numpy(), xlabel="state", ylabel="action μ(s)")
ax.plot(shown, torch.sin(3 * shown), color=plots.INK, ls=":", label="best action")
ax.set_ylim(-1.3, 1.9)
ax.legend(loc="upper left", ncols=2)
plots.show(ax, alt="Actions of the actor over the state before the climb, after 60 steps and after 600 steps; the last lies on the "
           "curve of best actions.")  # fmt: skip

# %% [markdown]
# ## The loop: climb with either
#
# Now let a stochastic policy climb, along one or the other estimate, and see what the variances do. One state, a Q that stands still, plain steps of size η:
#
# $$\mu_{k+1} = \mu_k+\eta\,\overline{g_\mu},\qquad \log\sigma_{k+1} = \log\sigma_k+\eta\,\overline{g_{\log\sigma}} \tag{13.26}$$
#
# The bars are means over the B draws of step $k$.

# %% [markdown] task="fit_policy"
# ### Exercise 13.7 · `fit_policy`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Write the climb (13.26) with your own estimators. Of which policy the actions of a step are drawn, and where each gradient is taken, is for you to decide: ask which J the step should climb.
#
# - `mean`, `log_std`: (D,), where to begin. `noise`: (K, B, D), everything random. `estimator`: `"score"` or `"pathwise"`.
# - Return the whole path: (K + 1, D) each, the start first. With K = 0 the path is the start.
# - No baseline, no other optimiser than (13.26). Nothing that was lent changes.


# %% exercise="fit_policy" points=3
def fit_policy(q_function, mean, log_std, noise, step_size, estimator):
    """Climb E[Q(a)] by (13.26), along score-function or pathwise estimates.

    q_function: (B, D) → (B,); mean, log_std: (D,); noise: (K, B, D), standard normal; step_size: η;
    estimator: "score" or "pathwise". Returns (means, log_stds), (K + 1, D) each.
    """
    ### BEGIN SOLUTION
    mean, log_std = mean.detach(), log_std.detach()
    means, log_stds = [mean], [log_std]
    for xi in noise:
        if estimator == "pathwise":
            for_mean, for_log_std = pathwise_gradient(xi, mean, log_std, q_function)
        else:
            a = mean + log_std.exp() * xi
            q = q_function(a).detach()
            for_mean, for_log_std = score_function_gradient(a, mean, log_std, q)
        mean = mean + step_size * for_mean.mean(dim=0)  # new tensors: the path keeps the old ones
        log_std = log_std + step_size * for_log_std.mean(dim=0)
        means.append(mean)
        log_stds.append(log_std)
    return torch.stack(means), torch.stack(log_stds)
    ### END SOLUTION


# %% [markdown] hints="fit_policy"
# <details><summary>What is in one round of the loop?</summary>
#
# One batch of noise, the estimates from it, their means, two new parameters, and a place in each of two lists. For one of the two estimators you first need the actions and their values.
# </details>
# <details><summary>In which order do I update?</summary>
#
# J is a number that belongs to a pair, μ and log σ. Ask of each of your two gradients: of which pair's J is it the gradient? And which J is the step to climb?
# </details>
# <details><summary>All rows of my path are equal.</summary>
#
# A list keeps references. If a tensor is changed in place, all its entries in the list change with it. Make a new tensor in each step.
# </details>

# %% check="fit_policy"
fit_policy = check("fit_policy")

# %% [markdown]
# ## The experiment
#
# The hill of the clouds, with its top at (2, −1). The policy begins at 0 with σ = 1, eight draws a step, η = 0.02, twenty seeds. Once with $c = 0$; and once with $c = 10$: ten more for every action, which
# changes neither the top nor the gradient.
#
# ### Talk to your neighbour
# With $c = 10$, the climb along the score function will be
#
# **A** the same, in the mean over seeds · **B** slower, but it arrives · **C** as good at first, and then thrown off · **D** lost from the first step
#
# <details><summary>What the figure will show</summary>
#
# C, more or less: it comes part of the way, and then goes astray again. The reason is in the table of variances.
# </details>


# %%
# about 4 s
def climbs(height, estimator, n_seeds=20, batch=8, step_size=0.02, steps=300, q=None):
    """Paths of μ and log σ, (seeds, steps + 1, 2) each."""
    q = q or (lambda a: hill(a, height, GOAL))
    found = []
    for seed in seeds(range(n_seeds)):
        xi = torch.randn(steps, batch, 2, generator=torch.Generator().manual_seed(seed))
        found.append(fit_policy(q, torch.zeros(2), torch.zeros(2), xi, step_size, estimator))
    return torch.stack([m for m, _ in found]).detach(), torch.stack([s for _, s in found]).detach()


runs = {(height, estimator): climbs(height, estimator)
        for height in (0.0, 10.0) for estimator in ("pathwise", "score")}  # fmt: skip

# %% tags=["hide-input"]
NAMES = {"pathwise": "pathwise", "score": "score function"}


def distances(means):
    return (means - GOAL).norm(dim=2).numpy()


def draw_climbs(panels, shown):
    """The distance from the top, a thin line a seed and the median; a line that stops has become NaN."""
    for ax, (title, by_estimator) in zip(np.atleast_1d(panels), shown.items(), strict=True):
        for (name, means), color, dash in zip(
            by_estimator.items(), ("blue", "orange"), ("-", "--"), strict=False
        ):
            off = np.clip(distances(means), 3e-3, 30)
            ax.plot(off.T, color=plots.PALETTE[color], lw=0.6, ls="-", alpha=0.35)
            ax.plot(
                np.nanmedian(off, axis=0),
                color=plots.PALETTE[color],
                ls=dash,
                lw=2.4,
                label=f"{name}, median",
            )
        ax.set(yscale="log", ylim=(2e-3, 300), xlabel="step", title=title)
    np.atleast_1d(panels)[0].set_ylabel("distance from the top")
    np.atleast_1d(panels)[0].legend(loc="upper right")


def tell(label, means, log_stds):
    off = distances(means)
    end = np.exp(np.nanmedian(log_stds[:, -1].numpy()))
    middle = " ".join(f"{np.nanmedian(off[:, k]):8.3f}" for k in (50, 100, off.shape[1] - 1))
    print(f"{label:22} {middle} {end:8.3f} {np.isnan(off).any(axis=1).sum():5}")


HEAD = "distance after step        50      100      all   σ then   NaN"
panels = plots.axes(1, 2, size="wide", sharey=True)
draw_climbs(
    panels,
    {f"c = {height:.0f}": {NAMES[e]: runs[height, e][0] for e in NAMES} for height in (0.0, 10.0)},
)
plots.show(panels, alt="Distance from the top over 300 steps, twenty seeds. For c = 0 both estimators bring it near 0, the pathwise one nearer. For c = 10 "
           "the pathwise curves are the same, and those of the score function come down and go up again.")  # fmt: skip
print(HEAD)
for (height, estimator), pair in runs.items():
    tell(f"c = {height:2.0f}, {NAMES[estimator]}", *pair)
print("climbed with " + authorship("fit_policy", "score_function_gradient", "pathwise_gradient"))
ends = {key: np.nanmedian(distances(pair[0])[:, -1]) for key, pair in runs.items()}
assert ends[0.0, "pathwise"] < ends[0.0, "score"] < 0.1 and ends[10.0, "score"] > 0.3
assert abs(ends[10.0, "pathwise"] - ends[0.0, "pathwise"]) < 1e-3

# %% [markdown]
# On the left both arrive, the pathwise climb a little nearer. On the right nothing has changed for the pathwise climb, to the last digit printed. Along the score function, the climb comes part of the way and is then *thrown off*.
#
# ## Why: the surer, the noisier
#
# Near the top the mean of the gradient is $-2(\mu-g)$, in each dimension. So a step makes the distance $x = \mu-g$ smaller by the factor $1-2\eta$. And it adds noise: η times the mean of B
# estimates, of variance $v$ each. What is left of the old distance and the new noise are independent, so variances add:
#
# $$\mathrm{Var}\,x_{k+1} = (1-2\eta)^2\,\mathrm{Var}\,x_k+\frac{\eta^2v}{B}
# \qquad\Longrightarrow\qquad \mathrm{Var}\,x\to\frac{\eta\,v}{4\,(1-\eta)\,B} \tag{13.27}$$
#
# for it comes to rest where both sides are equal, and $1-(1-2\eta)^2 = 4\eta(1-\eta)$. Now put in $v$. At the top it is right to become narrow, and both policies do. For the pathwise estimate $v = 4\sigma^2$ *falls* with σ: the climb arrives.
# For the score function $v$ is about $Q(\mu)^2/\sigma^2 = c^2/\sigma^2$: it **grows** as the policy becomes sure.
#
# Is that all of it? Measure $v$ with your estimators, at the top and with the σ of the end, put it into (13.27), and compare. (Two independent normal numbers of deviation $x$ make a vector of median length $1.18\,x$.)

# %%
xi = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(0))
for (height, estimator), (means, log_stds) in runs.items():
    at_the_end = float(np.nanmedian(log_stds[:, -50:].numpy()))
    s = torch.full((2,), at_the_end)
    a = GOAL + s.exp() * xi
    rows = (
        pathwise_gradient(xi, GOAL, s, lambda a, height=height: hill(a, height, GOAL))[0]
        if estimator == "pathwise"
        else score_function_gradient(a, GOAL, s, hill(a, height, GOAL))[0]
    )
    v = float(rows.var(dim=0).mean())
    says = math.sqrt(2 * math.log(2) * 0.02 * v / (4 * 0.98 * 8))  # (13.27)
    seen = float(np.nanmedian((means[:, -50:] - GOAL).norm(dim=2).numpy()))
    print(f"c = {height:2.0f}, {estimator:8} σ = {math.exp(at_the_end):.3f}, v = {v:8.2f}: "
          f"distance by (13.27) {says:.3f}, seen {seen:.3f}")  # fmt: skip
    assert 0.5 < seen / says < 2

# %% [markdown]
# Four numbers over two orders of magnitude, from one line of theory. (In the last the policy is so far off that $Q(\mu)$ is not $c$ any more, and the noise is less than at the top.) One seed, watched:

# %% tags=["hide-input"]
means, log_stds = runs[10.0, "score"]
off = distances(means)
thrown = np.where(np.isnan(off[:, -1]), -1.0, off[:, -1] / np.nanmin(off, axis=1))
one_seed = int(np.argmax(thrown))
left, right = plots.axes(1, 2, size="wide")
for estimator, color, dash in (("pathwise", "blue", "-"), ("score", "orange", "-")):
    track = runs[10.0, estimator][0][one_seed].numpy()
    left.plot(*track.T, color=plots.PALETTE[color], ls=dash, lw=1.3, label=NAMES[estimator])
left.plot(*GOAL.numpy(), "*", ms=15, color=plots.PALETTE["vermilion"], ls="", label="top")
left.plot(0, 0, "o", ms=7, color=plots.INK, ls="", label="start")
left.set(xlabel="μ, first dimension", ylabel="second dimension", title="the path of the mean")
left.margins(y=0.45)
left.legend(loc="upper left", ncols=2)
width = log_stds[one_seed].mean(dim=1).exp().numpy()
right.plot(
    off[one_seed], color=plots.PALETTE["orange"], ls="-", lw=1.3, label="distance from the top"
)
rest = np.sqrt(2 * math.log(2) * 0.02 * (10 / width) ** 2 / (4 * 0.98 * 8))
right.plot(rest, color=plots.INK, ls=":", label="where (13.27) sees it, with this σ")
right.plot(width, color=plots.PALETTE["green"], ls="--", label="σ")
right.set(yscale="log", xlabel="step", title="score function, c = 10", ylim=(0.01, 60))
right.legend(loc="upper right")
plots.show(left, alt="Left, the path of the mean of one seed: the pathwise one runs to the top, the one of the score function is thrown about it. "
           "Right, its distance from the top, σ, and the distance that (13.27) sees: as σ falls, that distance rises.")  # fmt: skip
print(
    f"seed {one_seed}: nearest {np.nanmin(off[one_seed]):.3f}, at the end {off[one_seed, -1]:.3f}"
)

# %% [markdown]
# PPO's answer to this is in (13.1): a ratio that has left $1\pm\epsilon$ earns nothing more, which holds the policy near the one that drew the data. Baselines and large batches are others. The answer of this
# lesson is to use the slope.

# %% [markdown]
# ## Change one thing
#
# The climb along the score function with $c = 10$, and one thing changed in `change`. **What to look for:** does it arrive, and does it *stay*? Run it as it is: 64 draws in place of 8. What does (13.27) say to that? Then try
# `{"batch": 512}`, `{"step_size": 0.002, "steps": 3000}`, and a baseline, `{"q": lambda a: hill(a, 10.0, GOAL) - 9.9}`. (Which constant is the best at the top, where σ = 0.2? Your formula is for one dimension; it is near enough.)

# %%
change = {"batch": 64}

# %%
changed = climbs(10.0, "score", **{"n_seeds": 10, **change})

# %% tags=["hide-input"]
ax = plots.axes()
title = f"score function, c = 10, changed: {', '.join(change)}"
draw_climbs(ax, {title: {"changed": changed[0], "as before": runs[10.0, "score"][0]}})
plots.show(
    ax, alt="Distance from the top along the score function, with one thing changed and as before."
)
print(HEAD)
tell("as before", *runs[10.0, "score"])
tell("changed", *changed)

# %% [markdown]
# Eight times as many draws do not save it. By (13.27) the distance at rest falls like $1/\sqrt B$: eight times the work, not quite three times nearer.
#
# ## Find the silent bug
#
# A colleague writes the climb with torch's own tools: a `Normal`, a sample, its log-probability, and an optimiser. It runs without an error and without a NaN. He is pleased with the curve on the right: the policy becomes
# very sure. **Of what?** Look at both panels before you open a hint.


# %%
def colleagues_climb(sample, height=10.0, step_size=0.005, steps=200):
    """Paths of μ and σ, (steps + 1, 2, 2); sample: how actions are drawn from the distribution."""
    mean, log_std = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([mean, log_std], lr=step_size)
    track = []
    with torch_seed(0):
        for _ in range(steps + 1):
            track.append(torch.stack([mean, log_std.exp()]).detach().clone())
            policy = torch.distributions.Normal(mean, log_std.exp(), validate_args=False)
            a = sample(policy)
            q = hill(a, height, GOAL).detach()
            loss = -(policy.log_prob(a).sum(dim=1) * q).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return torch.stack(track).numpy()


colleague = colleagues_climb(lambda policy: policy.rsample((64,)))


# %% tags=["hide-input"]
def draw_colleague(track):
    left, right = plots.axes(1, 2, size="wide")
    for j, name in enumerate(("first dimension", "second dimension")):
        (drawn,) = left.plot(track[:, 0, j], label=name)
        left.axhline(float(GOAL[j]), color=drawn.get_color(), lw=1, ls=":")
        right.plot(track[:, 1, j], color=drawn.get_color(), ls=drawn.get_linestyle())
    left.set(xlabel="step", ylabel="μ (dotted: the top)", ylim=(-1.3, 2.9))
    right.set(xlabel="step", ylabel="σ", yscale="log")
    left.legend(loc="upper left")
    return left


plots.show(
    draw_colleague(colleague),
    alt="The colleague's climb. Left, both means over the steps, with dotted lines for the top; right, the two σ, on a logarithmic axis.",
)
for k in (0, 10, 50, 100, 200):
    print(f"step {k:3}: μ = {colleague[k, 0].round(4) + 0.0}, σ = {colleague[k, 1].round(3)}")

# %% [markdown]
# <details><summary>I need a hint.</summary>
#
# The mean does not move at all, not even by noise. Which exercise of this lesson had a mistake that gives exactly 0 for the mean, and −Q for log σ?
# </details>
# <details><summary>What is wrong?</summary>
#
# `rsample` draws $a = \mu+\sigma\xi$ *with its graph*. So in $\log\pi(a)$ the sample moves along: $(a-\mu)/\sigma = \xi$ does not change with θ at all, and what is left of (13.5) is $-\log\sigma$. The gradient is 0 for μ and
# −Q for log σ, and with positive Q the policy shrinks about the place where it began. (With negative Q it widens without end: then at least one notices.) The score function wants its sample as data, `sample()` or one `.detach()`; the pathwise gradient wants it with its graph, and then no
# log-probability. The two must not be mixed. The next cell cures it.
# </details>

# %%
cured = colleagues_climb(lambda policy: policy.rsample((64,)).detach())
assert abs(colleague[:, 0]).max() < 1e-5 and colleague[-1, 1].max() < 0.05
print(f"nearest to the top: {np.linalg.norm(cured[:, 0] - GOAL.numpy(), axis=1).min():.2f} with one .detach(), "
      f"{np.linalg.norm(colleague[-1, 0] - GOAL.numpy()):.2f} without")  # fmt: skip
assert np.linalg.norm(cured[:, 0] - GOAL.numpy(), axis=1).min() < 1
lower = colleagues_climb(lambda policy: policy.rsample((64,)), height=0.0, step_size=0.02)
lost = int(np.argmin(np.isfinite(lower).all(axis=(1, 2))))
print(f"the bug with c = 0, where Q is negative, and η = 0.02: not finite after {lost} steps")
assert 0 < lost < 30

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** A robot is paid 1 if its gripper has closed around the cup, and 0 if not. May its policy be trained by the pathwise gradient?
#
# <details><summary>Answer</summary>
#
# Not through the reward: it jumps, its slope is 0 wherever there is one, and the estimate would be 0. Through a *critic*, yes: the critic learns the probability of success, which is smooth in the action if
# anything is uncertain, and lends its slope. What it says is then as right as its slope is.
# </details>
#
# **2.** In PPO the advantages come from a critic of states, $V(s)$. Could PPO use (13.20) from right to left?
#
# <details><summary>Answer</summary>
#
# No: $V(s)$ does not take the action in, so there is no $\nabla_a$ of it. The right side needs a $Q(s,a)$. That is why the methods of the coming lessons learn Q, as Part II did, and PPO does not.
# </details>

# %% [markdown]
# ## Summary
#
# - The gradient of $\mathbb E[Q(a)]$ by moving the density is $\mathbb E[\nabla_\theta\log\pi\,Q]$: it needs values only, and nothing of Q but that it does not grow too fast.
# - By moving the sample $a = f_\theta(\xi)$ it is $\mathbb E[\nabla_\theta f_\theta\,\nabla_aQ]$: it needs the slope of a Q that does not jump.
# - Stein's identity $\mathbb E[\nabla_a\log\pi\,\varphi+\nabla_a\varphi] = 0$ is integration by parts with an empty border; with φ = Q and φ = (a−μ)Q it turns one gradient into the other, Q held fixed.
# - On smooth Q the score function is the noisier one, more so with every dimension, with a height that says nothing, and like $1/\sigma^2$ as the policy becomes sure; on a wild Q it is the other way round.
# - For σ → 0 the pathwise side stays, and becomes $\nabla_\theta\mu_\theta(s)\,\nabla_aQ(s,a)$ at $a = \mu_\theta(s)$; the score-function side has no limit.

# %% [markdown]
# ## Where this went
#
# What later methods change in (13.20):
#
# - **Stochastic value gradients** (Heess et al. 2015): the right side, through a learned model of the world as well: Q's slope comes by backpropagation along the trajectory.
# - **Q-Prop** (Gu et al. 2017): both sides at once: the pathwise gradient of a critic's first-order expansion, plus the score of what the expansion leaves over.
# - **Stein control variates** (Liu et al. 2018): the score of $Q-\varphi(s,a)$, plus φ's share by Stein's identity. **The mirage** (Tucker et al. 2018): measured, such φ hardly beat a baseline of the state alone.
# - **Gumbel-softmax, or Concrete** (Jang et al. 2017; Maddison et al. 2017): a relaxed sample gives finite sets of actions a right side, with a bias that a temperature trades for variance.
# - **Expected policy gradients** (Ciosek & Whiteson 2018): the inner mean over $a$ is integrated: no sample, so no estimator to choose.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Other letters, and how to read three sentences</summary>
#
# - Williams, *Simple statistical gradient-following algorithms for connectionist reinforcement learning*: his characteristic eligibility for a Gaussian is for σ; ours is for log σ, which is σ times his.
# - Kingma & Welling, *Auto-encoding variational Bayes*: their θ is the model, their φ our θ, their $g_\phi(\epsilon, x)$ our $f_\theta(s,\xi)$.
# - Silver et al., *Deterministic policy gradient algorithms*: their Theorem 2 is the limit (13.24) for whole policies, the states that they visit included. Their $\rho^\mu$ is an occupancy.
# - In the lecture notes on Stein's identity and soft policy iteration, read "an arbitrary φ" with the border of (13.12); read the remark on baselines, φ = b(s), as lesson 10's (10.23), which is about
#   $\nabla_\theta$; and the limit without ξ is the deterministic policy gradient: what makes it *deep* is the rest of lesson 14.
# </details>

# %% [markdown]
# ## What we hand on
#
# A policy without noise, $a = \mu_\theta(s)$, and a critic $Q_\phi$ that is held fixed while θ moves. The direction of ascent is
# the limit of the pathwise side, the **deterministic policy gradient**:
#
# $$\nabla_\theta J(\theta) = \mathbb E_s\Big[\nabla_\theta\mu_\theta(s)\;\nabla_aQ_\phi(s,a)\big|_{a=\mu_\theta(s)}\Big]$$
#
# By the chain rule it is the gradient of $\mathbb E_s\big[Q_\phi(s,\mu_\theta(s))\big]$: to follow it is to look for the best action by
# climbing. Lesson 14 makes an algorithm of that. It has to find the $Q_\phi$ whose slope is asked for, the states to
# average over, and, for want of ξ, a way to explore.
