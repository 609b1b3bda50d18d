# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 12 · Proximal policy optimisation
#
# Part III · 10 → 11 → **12** → Part IV
#
# - **You will be able to** use the same data for many steps: weigh them with the ratio of two policies, say what old
#   data cost, measure how far a policy has gone, and hold it near in two ways, by a clip and by a penalty whose price
#   adapts. You will build the whole of PPO and take it apart.
# - **Builds on** lesson 10 (the score, the softmax), lesson 11 (GAE, the critic), lesson 08 (minibatches, silent
#   bugs).
# - **Time** two sittings of 75 minutes alone, with a break before PPO itself; 80 minutes as a lecture.
# - **Sources** Schulman, Wolski, Dhariwal, Radford & Klimov 2017, *Proximal policy optimization algorithms*;
#   Schulman, Levine, Abbeel, Jordan & Moritz 2015, *Trust region policy optimization*; Kakade 2001, *A natural
#   policy gradient*; Kakade & Langford 2002; Heess et al. 2017; Andrychowicz et al. 2021, *What matters for
#   on-policy deep actor-critic methods?*; a Chinese pseudocode collection of twelve algorithms.

# %%
import tempfile
from copy import deepcopy

import numpy as np
import torch

from rlcourse.checker import authorship, check
from rlcourse.lab import plots, videos
from rlcourse.lab.agents import functions_for
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.on_policy import train_on_policy
from rlcourse.lab.optim import Adam, descend
from rlcourse.lab.progress import seeds
from rlcourse.policies import docking, tables
from rlcourse.policies import ppo as methods
from rlcourse.policies.distributions import log_prob_and_entropy
from rlcourse.policies.gae import gae
from rlcourse.policies.ppo import PPO, PPOKL, PPOBatch

torch.set_num_threads(1)

# %% [markdown]
# ## What we inherit
#
# The gradient of lesson 11, with $B$ steps of this very policy, each used once:
#
# $$\nabla J(\theta) \approx \frac1B\sum_t\hat A^{\text{GAE}(\gamma,\lambda)}_t\,\nabla\log\pi_\theta(a_t|s_t) \tag{12.1}$$
#
# It is minus the gradient of a loss, in which the advantages are data:
#
# $$L(\theta) = -\frac1B\sum_t\log\pi_\theta(a_t|s_t)\,\hat A^{\text{GAE}(\gamma,\lambda)}_t \tag{12.2}$$
#
# What is still too expensive? Every step in the world is used for *one* step of θ, and then thrown away: after it the
# data are those of another policy. From here on $\pi_{\text{old}}$ is the policy that collected them, and we write
# $\hat A_t$ for short.

# %% [markdown]
# ## Guess first
#
# You have 512 steps of CartPole and the advantages of what was done in them. Lesson 11 makes one step of θ with these
# numbers. Now make **forty** steps with the same numbers, and only then collect new ones.
#
# **What becomes of the agent?**
#
# <details><summary>I have guessed. What happens?</summary>
#
# It learns several times faster than with one step, or it is thrown back again and again and ends far behind:
# that depends on one line of code. You will write it in ten minutes; why it works takes a little longer.
# </details>

# %% [markdown]
# ## Data of another policy
#
# An action was drawn from $\pi_{\text{old}}$. What does it say about another policy $\pi_\theta$? Multiply and
# divide, as in lesson 10, this time by the old policy. For any function $f$ of the action,
#
# $$\begin{aligned}\mathbb E_{a\sim\pi_\theta}[f(a)] &= \sum_a\pi_{\text{old}}(a|s)\,\frac{\pi_\theta(a|s)}{\pi_{\text{old}}(a|s)}\,f(a)\\
# &= \mathbb E_{a\sim\pi_{\text{old}}}\big[\rho\,f(a)\big],\qquad
# \rho = \frac{\pi_\theta(a|s)}{\pi_{\text{old}}(a|s)} = e^{\log\pi_\theta(a|s)-\log\pi_{\text{old}}(a|s)}\end{aligned} \tag{12.3}$$
#
# This is **importance sampling**, and ρ the **ratio**: how much more likely the action has become. (The last form is
# what one computes. Probabilities of unlikely actions underflow; the difference of their logarithms does not.)
#
# Take $f = A^{\pi_{\text{old}}}(s,\cdot)$: how much better than the old policy is the new one, in the states of the
# batch? With the data in hand that is the **surrogate**
#
# $$S(\theta) = \frac1B\sum_t\rho_t\,\hat A_t,\qquad \rho_t = \frac{\pi_\theta(a_t|s_t)}{\pi_{\text{old}}(a_t|s_t)} \tag{12.4}$$

# %% [markdown]
# Its gradient: $\nabla\pi_\theta = \pi_\theta\nabla\log\pi_\theta$ gives $\nabla\rho = \rho\,\nabla\log\pi_\theta$,
# and so
#
# $$\nabla S(\theta) = \frac1B\sum_t\rho_t\,\hat A_t\,\nabla\log\pi_\theta(a_t|s_t) \tag{12.5}$$
#
# At the first step θ is still that of the old policy. Then every ρ is 1, and (12.5) *is* (12.1). Only from the
# second step on does the ratio matter. Both claims in numbers, in one state with four actions:

# %%
rng = np.random.default_rng(12)
old_logits, new_logits = torch.from_numpy(rng.normal(size=(2, 4)))
worth = torch.from_numpy(rng.normal(size=4))
old_pi, new_pi = torch.softmax(old_logits, 0), torch.softmax(new_logits, 0)
exact = float(new_pi @ worth)
drawn = rng.choice(4, size=100_000, p=old_pi.numpy())
weighed = ((new_pi / old_pi) * worth)[drawn]
error = (float(weighed.mean()) - exact) / (float(weighed.std()) / np.sqrt(len(drawn)))
print(f"E under the new policy: exactly {exact:.4f}")
print(
    f"from the old one's draws, weighed with ρ: {weighed.mean():.4f}, {error:+.1f} standard errors"
)
assert abs(error) < 4.5

theta = old_logits.clone().requires_grad_()
log_prob, adv = torch.log_softmax(theta, 0)[drawn[:64]], worth[drawn[:64]]
surrogate = (torch.exp(log_prob - log_prob.detach()) * adv).mean()
of_surrogate = torch.autograd.grad(surrogate, theta, retain_graph=True)[0]
of_lesson_11 = torch.autograd.grad((log_prob * adv).mean(), theta)[0]
print(f"gradients at the first step differ by {(of_surrogate - of_lesson_11).abs().max():.0e}")
assert torch.allclose(of_surrogate, of_lesson_11)

# %% [markdown]
# ## The price of old data
#
# (12.3) has the right mean, whatever the two policies are. But a mean of how many samples? Let the policies be
# Gaussians of width σ, the new mean shifted by $u$ widths. Completing the square in $\mathbb E_{\text{old}}[\rho^2]
# = \int\pi_\theta^2/\pi_{\text{old}}$ gives $e^{u^2}$, and the distance of the two policies that this lesson will
# use, the KL divergence, is $u^2/2$. So
#
# $$\mathrm{Var}(\rho) = e^{u^2}-1 = e^{2\,\mathrm{KL}}-1,\qquad
# \text{effective share of the data} = \frac{1}{1+\mathrm{Var}(\rho)} \tag{12.6}$$
#
# The share says how many fresh samples would do as well: $(\sum\rho)^2/\sum\rho^2$, over their number.

# %%
xi = rng.standard_normal(400_000)  # the old policy's draws, in widths from its mean
print("shift  KL     Var ρ, exactly  sampled   effective share")
for u in (0.1, 0.3, 0.5, 1.0, 1.5, 2.0):
    ratio = np.exp(u * xi - u**2 / 2)
    share = ratio.sum() ** 2 / (ratio**2).sum() / len(ratio)
    print(f"{u:3}  {u**2 / 2:6.3f}  {np.exp(u**2) - 1:9.3f}  {ratio.var():12.3f}  {share:11.0%}")
    assert u > 1 or abs(ratio.var() - (np.exp(u**2) - 1)) < 0.15


# %% tags=["hide-input"]
def draw_weights(u):
    a = np.linspace(-4, 6, 300)
    ax = plots.axes()
    for name, color, mean in (("old policy", "sky", 0.0), ("new policy", "vermilion", u)):
        ax.plot(a, np.exp(-((a - mean) ** 2) / 2), ls="-", color=plots.PALETTE[color], label=name)
    few = xi[:60]
    weight = np.exp(u * few - u**2 / 2)
    ax.scatter(
        few, np.full(60, -0.12), s=30 * weight, color=plots.PALETTE["purple"], alpha=0.5, lw=0
    )
    ax.set(xlabel="action", ylabel="density (peak 1)", ylim=(-0.3, 1.15), xlim=(-4, 6))
    share = weight.sum() ** 2 / (weight**2).sum()
    ax.set_title(f"60 old draws, as large as their ρ: worth {share:.0f} fresh ones")
    ax.legend(loc="upper right")
    return ax


plots.slide(draw_weights, [0.0, 0.3, 0.5, 1.0, 1.5, 2.0], name="shift", start=3,
            alt="Two bell curves, and 60 draws of the left one as dots as large as their ratio. As the right curve "
            "moves away, nearly all dots shrink to nothing and a few at the edge grow large.")  # fmt: skip

# %% [markdown]
# **Drag the shift.** At two widths a handful of draws carry all the weight, and the sampled variance in the last line
# above is itself unreliable. This is what "too far" means: not that the mean is wrong, but that our sample does not
# know it.

# %% [markdown]
# ### Talk to your neighbour
# Ratios of *whole trajectories* multiply. Let the policy be shifted by only 0.1 σ, in every step. After episodes of
# 200 steps, which share of the data is left?
#
# **A** 99 % · **B** 90 % · **C** 60 % · **D** 14 %
#
# <details><summary>What the next cell will show</summary>
#
# D. Variances of independent ratios multiply (1 + Var each time): $e^{-200\cdot0.01} = e^{-2}$.
# </details>

# %%
steps_of = rng.standard_normal((20_000, 200))
for n in (1, 10, 50, 200):
    ratio = np.exp((0.1 * steps_of[:, :n] - 0.005).sum(axis=1))
    print(
        f"{n:3} steps: effective share {np.exp(-0.01 * n):4.0%}, median ratio {np.median(ratio):.2f}"
    )
assert abs(np.median(ratio) - np.exp(-1)) < 0.02

# %% [markdown]
# That is why (12.4) weighs each *step* by its own ratio, and no trajectory by its product. The price: the states are
# left as the old policy visited them, and the $\hat A_t$ as it earned them. So $S$ is near to the truth only while
# the new policy is near to the old one. Everything from here on is about staying near.

# %% [markdown]
# ## First way: the clip
#
# An optimiser that is let loose on (12.4) drives ρ up where $\hat A>0$ and down where $\hat A<0$, as far as it can.
# Take the reward for that away, beyond $1\pm\epsilon$. For one row the *objective* is
#
# $$\min\big(\rho\,A,\ \mathrm{clip}(\rho,1-\epsilon,1+\epsilon)\,A\big)$$
#
# with $\mathrm{clip}(x,u,v) = \max(u,\min(x,v))$. Averaged, and with a minus sign for optimisers that go down:
#
# $$L^{\text{CLIP}}(\theta) = -\frac1B\sum_t\min\big(\rho_t\hat A_t,\ \mathrm{clip}(\rho_t,1-\epsilon,1+\epsilon)\,\hat A_t\big) \tag{12.7}$$

# %% [markdown] task="ppo_clip_loss"
# ### Exercise 12.1 · `ppo_clip_loss`
# **Points** 3 · **Difficulty** ●●○ · **Time** 12 min
#
# Compute (12.7); `clip` is ε. The gradient goes through `log_prob` and nowhere else: the old log-probabilities and
# the advantages are data, even if somebody hands you tensors that want gradients. Log-probabilities may be as low as
# −150. Use the advantages as they are.


# %% exercise="ppo_clip_loss" points=3
def ppo_clip_loss(log_prob, log_prob_old, adv, clip):
    """PPO's clipped loss (12.7).

    log_prob, log_prob_old, adv: (B,); clip: ε > 0. Returns a scalar, shape ().
    """
    ### BEGIN SOLUTION
    ratio = torch.exp(log_prob - log_prob_old.detach())  # (12.3)
    adv = adv.detach()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * adv, clipped * adv).mean()  # (12.7)
    ### END SOLUTION


# %% [markdown] hints="ppo_clip_loss"
# <details><summary>How do I get the ratio of two log-probabilities?</summary>
#
# A quotient of numbers is a difference of their logarithms. Subtract first; only what comes out is turned back.
# </details>
# <details><summary>What exactly is compared by the minimum?</summary>
#
# Two *products*, row by row, both with the same advantage. If you compare the ratios first, negative advantages turn
# the comparison round.
# </details>
# <details><summary>Which tensors must be cut off from their history?</summary>
#
# Ask of each of the three: is it to be moved by this loss, or was it written down when the data were collected?
# </details>

# %% check="ppo_clip_loss"
ppo_clip_loss = check("ppo_clip_loss")

# %% [markdown]
# ### Talk to your neighbour
# ε = 0.2. In which of these rows has the gradient gone?
#
# (a) ρ = 0.5, A > 0 · (b) ρ = 1.5, A > 0 · (c) ρ = 0.5, A < 0 · (d) ρ = 1.5, A < 0
#
# **A** in all four · **B** in b and d · **C** in b and c · **D** in a and d
#
# <details><summary>What the next cell will show</summary>
#
# C. In b and c the policy has already done more than enough of what the advantage asks for. In a and d it has gone
# the *wrong* way: that must still be undone, however far it went.
# </details>

# %% [markdown]
# The slope of a row's objective, written out:
#
# $$\frac{\partial}{\partial\rho}\min(\ldots) = \begin{cases}0 & \text{if } A>0 \text{ and } \rho>1+\epsilon,\ \text{ or } A<0 \text{ and } \rho<1-\epsilon\\
# A & \text{otherwise}\end{cases} \tag{12.8}$$


# %%
def objective(ratio, a, clip=0.2):
    """A row's objective and its slope by ρ, from the student's loss and autograd."""
    x = torch.tensor([float(ratio)], dtype=torch.float64, requires_grad=True)
    value = -ppo_clip_loss(x.log(), torch.zeros(1).double(), torch.tensor([a]).double(), clip)
    return float(value.detach()), float(torch.autograd.grad(value, x)[0])


ratios_shown = (0.5, 0.8001, 1.0, 1.1999, 1.5)
for a in (1.0, -1.0):
    values, slopes = zip(*(objective(r, a) for r in ratios_shown), strict=True)
    print(f"A = {a:+.0f}: at ρ =", *(f"{r:6.1f}" for r in ratios_shown))
    print("     objective ", *(f"{v:6.1f}" for v in values))
    print("         slope ", *(f"{s:6.1f}" for s in slopes))
    flat = [(a > 0 and r > 1.2) or (a < 0 and r < 0.8) for r in ratios_shown]
    assert all(abs(s - (0 if f else a)) < 1e-9 for s, f in zip(slopes, flat, strict=True))
print("by " + authorship("ppo_clip_loss"))


# %% tags=["hide-input"]
def draw_clip(clip):
    panels = plots.axes(1, 2, size="wide")
    r = np.linspace(0.05, 2.0, 66)
    x = torch.from_numpy(r)
    for ax, a in zip(panels, (1.0, -1.0), strict=True):
        rows = [-float(ppo_clip_loss(x[i : i + 1].log(), torch.zeros(1).double(),
                                     torch.tensor([a]).double(), clip)) for i in range(len(x))]  # fmt: skip
        ax.plot(r, a * r, color=plots.INK, ls=":", label="surrogate ρA")
        ax.plot(r, rows, color=plots.PALETTE["purple"], ls="-", label="clipped objective")
        ax.plot(1, a, "o", color=plots.PALETTE["vermilion"], ms=9, label="where each update begins")
        ax.axvspan(1 - clip, 1 + clip, color=plots.INK, alpha=0.12, lw=0)
        ax.set(title=f"A = {a:+.0f}", xlabel="ρ", ylim=(0, 2.1) if a > 0 else (-2.1, 0))
    panels[0].legend(loc="upper left")
    return panels[0].figure


plots.slide(draw_clip, [0.05, 0.1, 0.2, 0.3, 0.5], name="ε", start=2,
            alt="Two panels, objective against the ratio. For A = 1 the line rises and is flat from 1 + ε on; for A = −1 "
            "it is flat up to 1 − ε and falls from there.")  # fmt: skip

# %% [markdown]
# **What is the min for?** Without it, the clipped term alone would be flat on *both* sides. A ratio that has gone
# wrong (a and d above; a neighbouring row's step may have done it, for all rows share θ) would then get no gradient
# to come back. With it, the objective is never above the surrogate: a pessimist's bound, which touches the surrogate
# at ρ = 1. And the name of the game: at the first step of every update the clip does nothing at all.

# %%
new, old, a = torch.from_numpy(rng.normal(size=(3, 1000)))
assert -ppo_clip_loss(new, old, a, 0.2) <= (torch.exp(new - old) * a).mean()
theta = old_logits.clone().requires_grad_()
log_prob = torch.log_softmax(theta, 0)[drawn[:64]]
first = -torch.autograd.grad(ppo_clip_loss(log_prob, log_prob.detach(), adv, 0.2), theta)[0]
print(f"first step: differs from lesson 11's gradient by {(first - of_lesson_11).abs().max():.0e}")
print("by " + authorship("ppo_clip_loss"))
assert torch.allclose(first, of_lesson_11)

# %% [markdown]
# ## How far is one policy from another?
#
# The clip looks at single actions. The other way looks at the policy as a whole, and needs a distance. Not that of
# θ: one number added to all preferences of a state changes nothing, and a change that turns everything round may be
# short. Measure the *policies*, by what the new one would find surprising in the old one's actions:
#
# $$\mathrm{KL}(p\,\|\,q) = \sum_a p(a)\,\big(\log p(a)-\log q(a)\big)$$
#
# It is 0 for equal policies and positive for any others. For a softmax whose preferences $h$ are moved by $x$ it has
# a short form. The difference of the logarithms is $\log\pi_h(a)-\log\pi_{h+x}(a) = -x_a + \log\sum_b e^{h_b+x_b} -
# \log\sum_be^{h_b}$, and the quotient of the two sums is a mean under $\pi = \pi_h$:
#
# $$\mathrm{KL}(\pi_h\,\|\,\pi_{h+x}) = \log\sum_b\pi_b\,e^{x_b}-\sum_a\pi_a\,x_a \tag{12.9}$$

# %% [markdown] task="small_step_kl"
# ### Exercise 12.2 · `small_step_kl`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min · ✎ on paper
#
# What is (12.9) for a *small* step? Expand it on paper to second order in $x$ and return that. A row of `logits` is
# a state's $h$, a row of `step` its $x$; one number a state. Two things to test your formula with: one number added
# to all preferences of a state must give 0, and twice the step four times the value, *exactly*.


# %% exercise="small_step_kl" points=2
def small_step_kl(logits, step):
    """The second order of (12.9) in the step, state by state.

    logits, step: (B, A), float64. Returns (B,).
    """
    ### BEGIN SOLUTION
    pi = torch.softmax(logits, dim=1)
    mean = (pi * step).sum(dim=1, keepdim=True)
    return 0.5 * (pi * (step - mean) ** 2).sum(dim=1)  # e^x ≈ 1 + x + x²/2 in (12.9)
    ### END SOLUTION


# %% [markdown] hints="small_step_kl"
# <details><summary>How do I begin?</summary>
#
# Under the logarithm of (12.9) replace each exponential by its first three terms. The weights sum to 1, so what
# stands there is 1 plus something small.
# </details>
# <details><summary>And the logarithm?</summary>
#
# $\log(1+u) \approx u - u^2/2$. Keep everything up to second order in $x$. The first order must cancel: why?
# </details>
# <details><summary>I have two terms. What are they together?</summary>
#
# Read the actions as outcomes of a random experiment with probabilities π, and $x$ as a number that each of them
# pays. You know the name of that difference.
# </details>

# %% check="small_step_kl"
small_step_kl = check("small_step_kl")


# %%
def kl_of_step(h, x):
    """(12.9), exactly."""
    pi = torch.softmax(h, dim=1)
    return torch.log((pi * x.exp()).sum(1)) - (pi * x).sum(1)


h, direction = torch.from_numpy(rng.normal(size=(2, 1, 4)))
print("size of the step    ", *(f"{size:8}" for size in (0.001, 0.01, 0.1, 0.3, 1.0)))
for name, kl in {"KL(old ‖ new)": lambda x: kl_of_step(h, x),
                 "KL(new ‖ old)": lambda x: kl_of_step(h + x, -x)}.items():  # fmt: skip
    quotients = [
        float(kl(size * direction) / small_step_kl(h, size * direction))
        for size in (0.001, 0.01, 0.1, 0.3, 1.0)
    ]
    print(f"{name}, over yours", *(f"{q:8.4f}" for q in quotients))
    assert abs(quotients[0] - 1) < 3e-3
print("by " + authorship("small_step_kl"))

# %% [markdown]
# Nearby, KL is a **squared distance**, the same in both directions. Only in the third order do they differ. What is
# it the square of? Write the second order as $\tfrac12x^\top Fx$. Since it came from a mean of log-probabilities,
# $F$ is
#
# $$F = \mathbb E_{a\sim\pi}\big[\nabla_h\log\pi(a)\,\nabla_h\log\pi(a)^\top\big] = \mathrm{diag}(\pi)-\pi\pi^\top \tag{12.10}$$
#
# the **Fisher matrix**. The next cell gets it three times: from the scores, by the formula, and as the second
# derivative of the KL.

# %%
pi = torch.softmax(h[0], 0)
scores = torch.eye(4).double() - pi  # row a: the score of action a, lesson 10
by_scores = torch.einsum("a,ab,ac->bc", pi, scores, scores)
fisher = torch.diag(pi) - torch.outer(pi, pi)
at_zero = torch.zeros(1, 4).double()
second = torch.autograd.functional.hessian(lambda x: kl_of_step(h, x).sum(), at_zero)[0, :, 0]
assert torch.allclose(by_scores, fisher) and torch.allclose(second, fisher)
assert torch.allclose(small_step_kl(h, direction), 0.5 * direction[0] @ fisher @ direction[0])
print("F =\n", fisher.numpy().round(3), "\nthree ways to F agree, and ½ xᵀF x is yours", sep="")

# %% [markdown]
# ### The trust region, in one cell
#
# Now ask the question of **TRPO** (Schulman et al. 2015): climb the surrogate as far as possible, but stay within KL
# ≤ κ. To leading order the surrogate gains $g^\top x$, with $g = \nabla S$, and the KL is $\tfrac12x^\top Fx$.
# Lagrange: $g = \mu Fx$, so $x$ is along $F^{-1}g$, and the constraint gives its length:
#
# $$x = \sqrt{\frac{2\kappa}{g^\top F^{-1}g}}\;F^{-1}g \tag{12.11}$$
#
# The direction $F^{-1}g$ is the **natural gradient** (Kakade 2001). For a softmax with known advantages it can be
# read off: $g_a = \pi_aA_a$, and $FA = \pi A - \pi\sum_b\pi_bA_b = \pi A$, so $F^{-1}g = A$. The natural gradient of
# a table *is* the advantage: it does not wait for an action to be taken often. ($F$ has no inverse, for the constant
# does nothing; the pseudo-inverse takes care of that.)

# %%
h_one = torch.tensor([[5.0, 0.0, 0.0]]).double()  # sure of the first action
pays = torch.tensor([0.0, 1.0, 2.0]).double()  # and the last one is the best
pi = torch.softmax(h_one[0], 0)
advantage = pays - pi @ pays
F = torch.diag(pi) - torch.outer(pi, pi)
g = pi * advantage
natural = torch.linalg.pinv(F, rtol=1e-9, hermitian=True) @ g
assert torch.allclose(natural, advantage - advantage.mean())
kappa = 0.001
for name, along in {"plain gradient": g, "natural gradient": natural}.items():
    x = along * torch.sqrt(kappa / small_step_kl(h_one, along[None]))  # as far as κ allows
    after = torch.softmax(h_one[0] + x, 0)
    print(f"{name:17} KL {float(kl_of_step(h_one, x[None])):.4f}, gain to first order {float(g @ x):.4f}, "
          f"π(best) {pi[2]:.4f} → {after[2]:.4f}")  # fmt: skip
print("lengths by " + authorship("small_step_kl"))

# %% [markdown]
# Both went equally far, measured in policies. The natural step gains more, by construction, and it raises the best
# action more. TRPO does this with networks: it solves for $F^{-1}g$ by conjugate gradients and then searches along
# the line. It works, and it is a page of code.

# %% [markdown]
# ### Is staying near enough?
#
# There is a theorem (Schulman et al. 2015, theorem 1, after Kakade & Langford 2002). With the discounted visits
# $n_\gamma$ of the old policy, lesson 10,
#
# $$\begin{aligned}J(\pi_\theta) \ \ge\ J(\pi_{\text{old}}) &+ \sum_s n_\gamma(s)\sum_a\pi_\theta(a|s)\,A^{\pi_{\text{old}}}(s,a)\\
# &- \frac{4\gamma\max|A^{\pi_{\text{old}}}|}{(1-\gamma)^2}\ \max_s\mathrm{KL}\big(\pi_{\text{old}}(\cdot|s)\,\|\,\pi_\theta(\cdot|s)\big)\end{aligned} \tag{12.12}$$
#
# Whoever makes the right-hand side larger than $J(\pi_{\text{old}})$ has *proved* an improvement. How much does it
# promise? In a random world with 6 states we know everything in it:

# %%
of_world = np.random.default_rng(0)
world = tables.random_mdp(6, 3, of_world, go_on=0.95)
GAMMA = 0.95
begin = torch.from_numpy(of_world.normal(size=(6, 3)))  # the old policy's preferences


def start_value(logits):
    return float(world.start.numpy() @ tables.state_values(world, logits, GAMMA))


v_old = torch.from_numpy(tables.state_values(world, begin, GAMMA))
A_old = world.R + GAMMA * world.P @ v_old - v_old[:, None]
n_old = torch.from_numpy(tables.visits(world, begin, GAMMA))
constant = 4 * GAMMA * float(A_old.abs().max()) / (1 - GAMMA) ** 2
print(f"J(old) = {start_value(begin):.2f}")
for size in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0):
    x = size * A_old  # the natural direction
    gain = float(n_old @ (torch.softmax(begin + x, 1) * A_old).sum(1))
    far = kl_of_step(begin, x)
    promised = start_value(begin) + gain - constant * float(far.max())
    new = start_value(begin + x)
    print(f"step {size:5}: mean KL {far.mean():7.5f}, J = {new:6.3f}, "
          f"J(old) + gain = {start_value(begin) + gain:6.3f}, promised {promised:9.2f}")  # fmt: skip
    assert new >= promised and new >= start_value(begin) + gain - 1e-9

# %% [markdown]
# It holds, and says little: but for the tiniest steps it promises less than we had. Two things are worth keeping.
# The *form*: surrogate minus a multiple of the KL. And that with exact advantages in this table nothing goes wrong
# even far away: $J$ lies at or above the gain of the surrogate in every line. The danger is in estimates, and in
# weights that states share.

# %% [markdown]
# ## The second way: a penalty
#
# First the distance, for both kinds of policies. A softmax hands out preferences, a Gaussian its mean and
# $\log\sigma$, a pair for each dimension of the action. For the Gaussian, $\log p-\log q$ is
# $\log\frac{\sigma_q}{\sigma_p}-\frac{(a-\mu_p)^2}{2\sigma_p^2}+\frac{(a-\mu_q)^2}{2\sigma_q^2}$; under $p$ the mean
# of $(a-\mu_p)^2$ is $\sigma_p^2$, and that of $(a-\mu_q)^2$ is $\sigma_p^2+(\mu_p-\mu_q)^2$. Dimensions are
# independent, so their KLs add:
#
# $$\begin{aligned}\mathrm{KL}(p\,\|\,q) &= \sum_ap_a(\log p_a-\log q_a) &&\text{(softmaxes)}\\
# \mathrm{KL}(p\,\|\,q) &= \sum_j\Big[\log\frac{\sigma_{q,j}}{\sigma_{p,j}}+\frac{\sigma_{p,j}^2+(\mu_{p,j}-\mu_{q,j})^2}{2\sigma_{q,j}^2}-\frac12\Big] &&\text{(Gaussians)}\end{aligned} \tag{12.13}$$

# %% [markdown] task="policy_kl"
# ### Exercise 12.3 · `policy_kl`
# **Points** 3 · **Difficulty** ●●○ · **Time** 20 min
#
# Compute KL(old ‖ new), (12.13), one number a row. A policy is given by what its network hands out: a tensor of
# logits `(B, A)`, or a tuple `(mean, log_std)`, `(B, D)` each. `isinstance(new, tuple)` tells which. The result must
# be differentiable in `new`, and finite where a probability of `old` underflows to 0.


# %% exercise="policy_kl" points=3
def policy_kl(old, new):
    """KL(old ‖ new) of two policies (12.13), state by state.

    old, new: logits (B, A), or tuples (mean, log_std) of (B, D). Returns (B,).
    """
    ### BEGIN SOLUTION
    if isinstance(new, tuple):
        (mean_p, log_std_p), (mean_q, log_std_q) = old, new
        spread = torch.exp(2 * log_std_p) + (mean_p - mean_q) ** 2
        each = log_std_q - log_std_p + spread / (2 * torch.exp(2 * log_std_q)) - 0.5
        return each.sum(dim=1)
    log_p, log_q = torch.log_softmax(old, dim=1), torch.log_softmax(new, dim=1)
    return (log_p.exp() * (log_p - log_q)).sum(dim=1)  # (12.13)
    ### END SOLUTION


# %% [markdown] hints="policy_kl"
# <details><summary>Logits are not log-probabilities. How do I get those?</summary>
#
# There is a function that normalises in logarithms. Taking the softmax and then the logarithm is the same on paper
# and NaN in float32 where a probability is 0.
# </details>
# <details><summary>Where do variances stand, where widths?</summary>
#
# Given is $\log\sigma$. Its exponential is σ; that of twice it is σ². In the fraction everything is a square; in the
# logarithm nothing is.
# </details>
# <details><summary>Can I test it without the check?</summary>
#
# Equal policies give 0, others a positive number. And `torch.distributions` has a `kl_divergence` of its own.
# </details>

# %% check="policy_kl"
policy_kl = check("policy_kl")

# %%
p, q = (
    (torch.tensor([[0.3]]), torch.tensor([[-0.2]])),
    (torch.tensor([[1.1]]), torch.tensor([[0.4]])),
)
x = torch.linspace(-15, 15, 30_001).double()
log_p, log_q = (
    torch.distributions.Normal(m.double(), s.double().exp()).log_prob(x)[0] for m, s in (p, q)
)
integral = torch.trapezoid(log_p.exp() * (log_p - log_q), x)
print(f"two Gaussians: {float(policy_kl(p, q)):.6f}, by integration {integral:.6f}")
moved = h + direction
print(
    f"two softmaxes: {float(policy_kl(h, moved)):.6f}, by (12.9)      {float(kl_of_step(h, direction)):.6f}"
)
print("by " + authorship("policy_kl"))
assert abs(float(policy_kl(p, q)) - float(integral)) < 1e-5

# %% [markdown]
# Now take the form of (12.12) at its word, with the mean of the KLs in the place of their maximum and a price β in
# the place of a constant that nobody could afford:
#
# $$L^{\text{KL}}(\theta) = -\frac1B\sum_t\rho_t\,\hat A_t + \beta\,\frac1B\sum_t\mathrm{KL}\big(\pi_{\text{old}}(\cdot|s_t)\,\|\,\pi_\theta(\cdot|s_t)\big) \tag{12.14}$$

# %% [markdown] task="ppo_kl_loss"
# ### Exercise 12.4 · `ppo_kl_loss`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (12.14). `kl` is what your `policy_kl` gives, a number a row, with its gradient; `kl_coef` is β. Old
# log-probabilities and advantages are data. No clip.


# %% exercise="ppo_kl_loss" points=1
def ppo_kl_loss(log_prob, log_prob_old, adv, kl, kl_coef):
    """PPO's loss with a KL penalty (12.14).

    log_prob, log_prob_old, adv, kl: (B,); kl_coef: β ≥ 0. Returns a scalar, shape ().
    """
    ### BEGIN SOLUTION
    ratio = torch.exp(log_prob - log_prob_old.detach())
    return -(ratio * adv.detach()).mean() + kl_coef * kl.mean()  # (12.14)
    ### END SOLUTION


# %% [markdown] hints="ppo_kl_loss"
# <details><summary>Which sign has the penalty?</summary>
#
# The loss is made small. Going far away must make it larger.
# </details>
# <details><summary>Which tensors carry a gradient?</summary>
#
# Two of the four rows of numbers depend on θ: the log-probabilities of now, and the distance from then to now.
# </details>
# <details><summary>One mean or two?</summary>
#
# Both terms of (12.14) have 1/B, so one mean of a difference is as good as two.
# </details>

# %% check="ppo_kl_loss"
ppo_kl_loss = check("ppo_kl_loss")

# %% [markdown]
# ### A price that adapts
#
# Which β? It depends on the scale of the advantages, and changes while the policy learns. But what we want of it can
# be said in advance: that an update moves the policy by about $\text{KL}_{\text{target}}$. So watch the mean KL
# after each update, and change the price:
#
# $$\beta\leftarrow\begin{cases}\beta\cdot\text{factor} & \text{if } \mathrm{KL} > \beta_{\text{high}}\,\text{KL}_{\text{target}}\\
# \beta/\text{factor} & \text{if } \mathrm{KL} < \beta_{\text{low}}\,\text{KL}_{\text{target}}\\
# \beta & \text{otherwise}\end{cases} \tag{12.15}$$
#
# with $\beta_{\text{low}} < 1 < \beta_{\text{high}}$. Schulman et al. 2017 take 1/1.5, 1.5 and a factor of 2; the
# names of the borders are those of Heess et al. 2017.

# %% [markdown] task="adapt_kl_coefficient"
# ### Exercise 12.5 · `adapt_kl_coefficient`
# **Points** 1 · **Difficulty** ●○○ · **Time** 5 min
#
# Write (12.15): the new coefficient, a float. `kl` is the mean KL after an update.


# %% exercise="adapt_kl_coefficient" points=1
def adapt_kl_coefficient(coef, kl, target, beta_low, beta_high, factor):
    """The price of distance for the next update (12.15).

    coef > 0; kl ≥ 0; beta_low < 1 < beta_high; factor > 1. Returns a float.
    """
    ### BEGIN SOLUTION
    if kl > beta_high * target:
        return coef * factor
    if kl < beta_low * target:
        return coef / factor
    return coef  # (12.15)
    ### END SOLUTION


# %% [markdown] hints="adapt_kl_coefficient"
# <details><summary>Which way?</summary>
#
# The policy went too far. Should going far become dearer or cheaper?
# </details>
# <details><summary>What are β_high and β_low compared with?</summary>
#
# Nothing: they are no KLs. They say how many times the target is too much, and which part of it is too little.
# </details>
# <details><summary>What about the borders themselves?</summary>
#
# (12.15) has > and <. On a border the coefficient stays.
# </details>

# %% check="adapt_kl_coefficient"
adapt_kl_coefficient = check("adapt_kl_coefficient")

# %% [markdown]
# Does it find its price? Take the leading orders again: the loss is $-g^\top x+\tfrac\beta2x^\top Fx$, smallest at
# $x = F^{-1}g/\beta$. So **the penalty goes in the direction of the trust region**, (12.11); β only sets the length,
# and the KL of the step is $g^\top F^{-1}g/(2\beta^2)$. Start from a β that is ten thousand times too small, and
# from one as much too large:

# %%
length = float(g @ natural)
right_price = np.sqrt(length / (2 * 0.01))
for coef in (right_price / 1e4, right_price * 1e4):
    prices = [coef]
    for _ in range(16):
        kl = length / (2 * prices[-1] ** 2)
        prices.append(adapt_kl_coefficient(prices[-1], kl, 0.01, 1 / 1.5, 1.5, 2.0))
    print("β over the right one:", *(f"{b / right_price:.2g}" for b in prices[::3]))
    assert 0.5 < prices[-1] / right_price < 2
print("by " + authorship("adapt_kl_coefficient"))

# %% [markdown]
# ## A trust region, drawn
#
# What do clip and penalty buy? In the random world we can compute the true $J$ of every policy on the way. Take one
# batch of 64 rows from the old policy, with advantages from the *exact* critic (so the only error is that 64 rows
# are few), and go 100 steps with Adam on that batch. Three losses, the same batch: the surrogate alone, your clip (ε
# = 0.2), your penalty (β = 1).

# %% [markdown]
# ### Talk to your neighbour
# We do this with 15 batches. The old policy has $J = -3.06$, the best one has 6.16. In the *worst* of the 15 the
# climb on the surrogate alone changes the true $J$ by about
#
# **A** +2 · **B** 0 · **C** −0.4 · **D** −4
#
# <details><summary>What the next cells will show</summary>
#
# D. With a clip or a penalty it is C.
# </details>


# %%
def sample_rows(n, rng):
    """n steps of the old policy in a row: states, actions, GAE(0.95) with the exact critic."""
    played = tables.sample_episodes(world, begin, n, rng)
    row, t = (x[:n] for x in np.nonzero(played.alive))
    s, a, r = (x[row, t] for x in (played.state, played.action, played.reward))
    last = np.r_[row[1:] != row[:-1], False]  # the last row is cut off, not ended
    d = last.astype(float)
    d[-1] = not played.alive[row[-1], t[-1] + 1 :].any()
    s_next = np.r_[s[1:], played.state[row[-1], min(t[-1] + 1, played.state.shape[1] - 1)]]
    v = v_old.numpy()
    adv, _ = gae(r, v[s], v[s_next], d, 0 * d, GAMMA, 0.95)
    return (
        torch.from_numpy(s),
        torch.from_numpy(a),
        torch.from_numpy((adv - adv.mean()) / adv.std()),
    )


def climb(s, a, adv, loss_of, steps=100):
    """Adam on one batch: true J and surrogate, now and then on the way."""
    logits = begin.clone().requires_grad_()
    optimizer, path = Adam([logits], 0.05), []
    old = torch.log_softmax(begin[s], 1).gather(1, a[:, None])[:, 0]
    for step in range(steps + 1):
        log_prob = torch.log_softmax(logits[s], 1).gather(1, a[:, None])[:, 0]
        if step % 10 == 0:
            now = logits.detach()
            surrogate = (torch.exp(log_prob.detach() - old) * adv).mean()
            far = policy_kl(begin[s], now[s]).mean()
            path.append((float(surrogate), start_value(now), float(far)))
        descend(optimizer, loss_of(log_prob, old, adv, begin[s], logits[s]))
    return np.array(path)


losses = {
    "surrogate alone": lambda new, old, adv, *h: -(torch.exp(new - old) * adv).mean(),
    "clip 0.2": lambda new, old, adv, *h: ppo_clip_loss(new, old, adv, 0.2),
    "penalty, β = 1": lambda new, old, adv, *h: ppo_kl_loss(new, old, adv, policy_kl(*h), 1.0),
}

# %%
# about 2 s
BATCHES = 15
batches = [sample_rows(64, np.random.default_rng(seed)) for seed in range(BATCHES)]
paths = {
    name: np.stack([climb(*batch, loss) for batch in batches]) for name, loss in losses.items()
}
for name, way in paths.items():
    gained = way[:, -1, 1] - start_value(begin)
    print(f"{name:16} worse in {(gained < 0).sum():2} of {BATCHES}, worst {gained.min():5.2f}, "
          f"mean {gained.mean():5.2f}; surrogate {way[:, -1, 0].mean():.2f}, KL {way[:, -1, 2].mean():.3f}")  # fmt: skip
print("by " + authorship("ppo_clip_loss", "ppo_kl_loss", "policy_kl"))

# %% tags=["hide-input"]
gained = paths["surrogate alone"][:, -1, 1]
chosen = {"the batch where it went worst": gained.argmin(), "one of the good ones": gained.argmax()}
panels = plots.axes(1, 2, size="wide")
for ax, (name, which) in zip(panels, chosen.items(), strict=True):
    for color, marker, (label, way) in zip(
        ("vermilion", "purple", "blue"), "os^", paths.items(), strict=True
    ):
        ax.plot(way[which, :, 0], way[which, :, 1] - start_value(begin), marker=marker, ms=4,
                ls="-", color=plots.PALETTE[color], label=label)  # fmt: skip
    ax.axhline(0, color=plots.INK, lw=1, ls=":")
    ax.set(title=name, xlabel="surrogate S, which is climbed", ylabel="J − J(old), the truth")
panels[1].legend(loc="upper left")
plots.show(panels, alt="True gain against the surrogate along the climb, for two batches. On the left the surrogate rises "
           "while the truth falls far below zero; clip and penalty stop early. On the right all three gain.")  # fmt: skip

# %% [markdown]
# The surrogate always rises: it is what is climbed. The truth may fall meanwhile, and the surrogate does not say so.
# But be fair. *In the mean* the unrestrained climb gains more here, for most batches are good, and in two of them
# the restrained ones lose a little as well. The trust region buys the worst case and pays with the mean. An agent
# has to live through dozens of such updates, and each starts from where the last one ended.

# %% [markdown]
# ## Break
#
# Half of the lesson is behind you: five exercises, and two ways to stay near. `rlcourse progress` in a terminal
# shows what you have. Before you go on you should be able to say, without looking:
#
# - why the ratio of a *step* is used, and not that of a trajectory;
# - in which two of four rows the clip takes the gradient away, and why not in the others;
# - what the Fisher matrix measures, and why nobody has to choose β by hand.
#
# To take up the lesson here another day, click this cell and choose `Run` → `Run All Above Selected Cell`: it takes
# seconds.

# %% [markdown]
# ## PPO, before the first step
#
# A rollout comes in. Some things must be known *before* θ moves, for they belong to the old policy: the
# log-probabilities of what was done, and the critic's opinion. With $V$ at $s_t$ and at the true next observation,
# lesson 11's GAE gives $\hat A_t$, and
#
# $$\hat R_t = \hat A_t + V_\psi(s_t),\qquad \tilde A_t = \frac{\hat A_t-\text{mean}(\hat A)}{\text{std}(\hat A)+10^{-8}},\qquad
# \log\pi_{\text{old}}(a_t|s_t) \tag{12.16}$$
#
# $\hat R_t$ is the critic's target. The **standardised** advantages $\tilde A_t$ go into (12.7): then ε, the step
# size and β mean the same for a task with rewards of 0.01 and for one of 1000.

# %% [markdown] task="ppo_batch"
# ### Exercise 12.6 · `ppo_batch`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Make the five columns that PPO reuses. `agent_state` has `policy`, `v_net`, `gamma`, `lam`; `rollout` is lesson
# 11's, `(T, …)`: `obs, action, reward, next_obs, terminated, truncated`, in the order of time. Nothing in the result
# hangs on a graph, and networks and rollout stay as they are. Mean and std run over all rows.
#
# Lesson 11's `gae(reward, value, next_value, terminated, truncated, gamma, lam)` is imported; it returns $\hat A$ and
# $\hat A+V$. In which order the columns of (12.16) are made is for you to decide.


# %% exercise="ppo_batch" points=3
def ppo_batch(agent_state, rollout):
    """What must be known before the first step (12.16).

    Returns a `PPOBatch(obs, action, log_prob_old, adv, returns)`, or a tuple in this order, T rows each.
    """
    ### BEGIN SOLUTION
    me = agent_state
    with torch.no_grad():
        value, next_value = me.v_net(rollout.obs), me.v_net(rollout.next_obs)
        log_prob_old, _ = log_prob_and_entropy(me.policy(rollout.obs), rollout.action)
    ends = rollout.terminated, rollout.truncated
    adv, returns = gae(rollout.reward, value, next_value, *ends, me.gamma, me.lam)
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)  # after the targets: they are in units of reward
    return PPOBatch(rollout.obs, rollout.action, log_prob_old, adv, returns)  # (12.16)
    ### END SOLUTION


# %% [markdown] hints="ppo_batch"
# <details><summary>How do I get log π(a|s) from the policy?</summary>
#
# `policy(obs)` gives a row of logits for each observation. Normalise in logarithms and pick the action's entry in
# every row; or use `log_prob_and_entropy(output, action)`, which is imported and gives both.
# </details>
# <details><summary>Which evaluations of V do I need?</summary>
#
# Two, for every row: where the step began and where it led. The second is not that of the next row.
# </details>
# <details><summary>What does "nothing hangs on a graph" ask of me?</summary>
#
# Three evaluations of networks, none of which is to be differentiated. PyTorch has a block for that.
# </details>

# %% check="ppo_batch"
ppo_batch = check("ppo_batch")

# %% [markdown]
# ## PPO's whole step
#
# Then the batch is used again and again. In each of several **epochs** its rows are shuffled and cut into
# **minibatches**; each minibatch makes one step of one optimiser over both networks, on
#
# $$L(\theta,\psi) = L^{\text{CLIP}}(\theta)+c_v\,\frac12\cdot\frac1B\sum_t\big(\hat R_t-V_\psi(s_t)\big)^2-c_e\,\frac1B\sum_t\mathcal H\big(\pi_\theta(\cdot|s_t)\big) \tag{12.17}$$
#
# with the gradient of all weights together cut to the norm `max_grad_norm`, as in lesson 11.

# %% [markdown] task="ppo_update"
# ### Exercise 12.7 · `ppo_update`
# **Points** 4 · **Difficulty** ●●● · **Time** 30 min
#
# Write the update. `agent_state` has `policy`, `v_net`, `optimizer` (over both), `clip`, `epochs`, `minibatch_size`,
# `value_coef`, `entropy_coef`, `max_grad_norm`. `batch` is a `PPOBatch` of N rows; do not change it.
#
# - `rng.permutation(N)` shuffles. Minibatches are consecutive slices of the shuffled rows, the last one shorter if
#   need be.
# - Each minibatch: loss (12.17) of its rows, clear, backward, clip the norm (`torch.nn.utils.clip_grad_norm_`), step.
# - What is computed anew, and how often, is for you to decide; so is what must not be.
# - Return the losses of all minibatches, in order.


# %% exercise="ppo_update" points=4
def ppo_update(agent_state, batch, rng):
    """Epochs of minibatch steps on one batch (12.17).

    Returns the minibatch losses in order, (epochs · ⌈N / minibatch_size⌉,).
    """
    ### BEGIN SOLUTION
    me, losses = agent_state, []
    weights = [*me.policy.parameters(), *me.v_net.parameters()]
    for _ in range(me.epochs):
        order = torch.from_numpy(rng.permutation(len(batch.adv)))  # anew in every epoch
        for rows in order.split(me.minibatch_size):
            obs, action, old, adv, returns = (column[rows] for column in batch)
            log_prob, entropy = log_prob_and_entropy(me.policy(obs), action)
            policy_loss = ppo_clip_loss(log_prob, old, adv, me.clip)  # old: as it was stored
            value_loss = 0.5 * ((returns - me.v_net(obs)) ** 2).mean()
            loss = policy_loss + me.value_coef * value_loss
            loss = loss - me.entropy_coef * entropy.mean()  # (12.17)
            me.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, me.max_grad_norm)
            me.optimizer.step()
            losses.append(loss.detach())
    return torch.stack(losses)
    ### END SOLUTION


# %% [markdown] hints="ppo_update"
# <details><summary>How many loops are there?</summary>
#
# Two: epochs outside, minibatches inside. Count the optimiser's steps for N = 10, minibatches of 4, two epochs: six.
# </details>
# <details><summary>How do I take a minibatch's rows?</summary>
#
# Slice the *order*, and index all five columns with the same slice. `torch.split` cuts a tensor into slices and
# keeps the short one at the end.
# </details>
# <details><summary>The check says that my weights are wrong after the step.</summary>
#
# Go through the minibatch line by line. Whose gradients were there before? Is the norm one over both networks? Which
# of the log-probabilities are computed here, and which are in the batch?
# </details>

# %% check="ppo_update"
ppo_update = check("ppo_update")

# %% [markdown]
# ## Experiment 1: what happens to the ratios
#
# CartPole with a network, 8 environments side by side, rollouts of 512 rows. We train an agent with your functions
# for nine rollouts, stop at the tenth, and go through *its* 20 epochs twice: with the clip and without. After each
# epoch we compare the policy with the stored log-probabilities.


# %%
# about 2 s
class Kept(PPO):
    """PPO that keeps, of every update, what the figures need."""

    def update(self, rollout, rng):
        self.seen = self.__dict__.get("seen", [])
        self.before, self.rollout, self.rng = deepcopy((self.policy, self.v_net)), rollout, rng
        batch = self.batch(rollout)
        with torch.no_grad():
            old = self.policy(batch.obs)
        losses = self.learn(batch, rng)
        self.seen.append(told_of(self.policy, old, batch) | {"β": getattr(self, "kl_coef", 0.0)})
        return {"loss": torch.as_tensor(losses, dtype=torch.float32).detach().mean()}

    def learn(self, batch, rng):
        return self.ppo_update(self, batch, rng, **functions_for(self, self.ppo_update))


def told_of(policy, old, batch):
    """How far the policy has gone from the one that collected a batch."""
    with torch.no_grad():
        output = policy(batch.obs)
        log_prob, entropy = log_prob_and_entropy(output, batch.action)
        ratio = torch.exp(log_prob - batch.log_prob_old)
        return {
            "KL": float(policy_kl(old, output).mean()),
            "outside": float(((ratio - 1).abs() > 0.2).float().mean()),
            "largest": float(ratio.max()),
            "share": float(ratio.sum() ** 2 / (ratio**2).sum() / len(ratio)),
            "entropy": float(entropy.mean()),
            "ratios": ratio.numpy(),
        }


mine = {"ppo_batch": ppo_batch, "ppo_update": ppo_update, "ppo_clip_loss": ppo_clip_loss}
tenth = Kept.for_env("CartPole-v1", seed=0, epochs=20, **mine)
train_on_policy(tenth, "CartPole-v1", 10 * 512, seed=0)
by_epoch = {}
for name, clip in {"clip 0.2": 0.2, "no clip": 1e9}.items():
    # θ as it was before the tenth update, and an optimiser that knows nothing yet.
    agent = PPO.for_env("CartPole-v1", seed=0, epochs=1, clip=clip, **mine)
    agent.policy.load_state_dict(tenth.before[0].state_dict())
    agent.v_net.load_state_dict(tenth.before[1].state_dict())
    batch, rng_of_epochs = agent.batch(tenth.rollout), np.random.default_rng(0)
    with torch.no_grad():
        old = agent.policy(batch.obs)
    by_epoch[name] = []
    for _ in range(20):
        agent.ppo_update(agent, batch, rng_of_epochs, **functions_for(agent, agent.ppo_update))
        by_epoch[name].append(told_of(agent.policy, old, batch))
for name, told in by_epoch.items():
    outside = [f"{told[k - 1]['outside']:5.1%}" for k in (1, 2, 4, 8, 20)]
    print(f"{name:9} outside [0.8, 1.2] after 1, 2, 4, 8, 20 epochs:", *outside)
    print(f"{'':9} after 20: KL {told[-1]['KL']:.4f}, largest ρ {told[-1]['largest']:.2f}, "
          f"effective share {told[-1]['share']:.0%}")  # fmt: skip
print("by " + authorship("ppo_batch", "ppo_update", "policy_kl"))


# %% tags=["hide-input"]
def draw_ratios(epoch):
    ax = plots.axes()
    for color, (name, told) in zip(("purple", "vermilion"), by_epoch.items(), strict=True):
        ratios = told[epoch - 1]["ratios"].clip(0.25, 4)
        ax.hist(ratios, bins=np.geomspace(0.25, 4, 61), color=plots.PALETTE[color], alpha=0.55,
                label=f"{name}: {told[epoch - 1]['outside']:.0%} outside, KL {told[epoch - 1]['KL']:.3f}")  # fmt: skip
    ax.axvspan(0.8, 1.2, color=plots.INK, alpha=0.12, lw=0)
    ax.set(xscale="log", xlabel="ρ (logarithmic)", ylabel="rows of 512", ylim=(0, 250))
    ax.set_xticks([0.25, 0.5, 0.8, 1.2, 2, 4], labels=["¼", "½", "0.8", "1.2", "2", "4"])
    ax.minorticks_off()
    ax.legend(loc="upper right")
    return ax


plots.slide(draw_ratios, [1, 2, 4, 8, 14, 20], name="epoch", start=3,
            alt="Histograms of the ratios of 512 rows after some epochs. With the clip they stay in the grey strip "
            "from 0.8 to 1.2; without it they spread to 2 and more.")  # fmt: skip

# %% [markdown]
# **Drag the epoch.** With the clip the ratios stay where they are; without it they flow out, and the KL with them.
# Look closely: some ratios lie *outside* the interval in spite of the clip. It does not hold ρ: it takes away the
# reward for going on. Adam's momentum, and the rows that share θ, may still push a ratio across.

# %% [markdown]
# ## Experiment 2: does reuse pay, and what does the clip do?
#
# Your whole PPO on CartPole, 12 000 steps, which is little: one epoch for each rollout of 512 steps, or 20. And 20
# with ε so large that it never acts. Two seeds each. Nothing else differs.


# %%
# about 9 s
STEPS = 12_000
grid = np.arange(500, STEPS + 1, 500)


def learning_curve(history):
    """The mean return of the last 20 episodes, at the steps of `grid`."""
    finished = np.searchsorted(history.episode_steps, grid, side="right")
    return [np.mean(history.episode_returns[max(k - 20, 0) : k]) for k in finished]


def cartpole_runs(kind=Kept, which=range(2), **settings):
    agents, runs = [], []
    for seed in seeds(which):
        agents.append(kind.for_env("CartPole-v1", seed=seed, **({"lr": 4e-3} | mine | settings)))
        runs.append(learning_curve(train_on_policy(agents[-1], "CartPole-v1", STEPS, seed)))
    return agents, np.array(runs)


def scores(agents):
    return np.array(
        [evaluate(agent, "CartPole-v1", episodes=20, seed=1).mean() for agent in agents]
    )


def kl_of_updates(agents):
    return np.array([[told["KL"] for told in agent.seen] for agent in agents])


def tell(name, agents, runs):
    print(f"{name:20} score {scores(agents).round().astype(int)}, last 20 episodes "
          f"{runs[:, -1].round().astype(int)}, KL {np.median(kl_of_updates(agents), axis=1).round(4)}")  # fmt: skip


results = {
    "PPO, 20 epochs": cartpole_runs(epochs=20),
    "PPO, 1 epoch": cartpole_runs(epochs=1),
    "no clip, 20 epochs": cartpole_runs(epochs=20, clip=1e9),
}
for name, (agents, runs) in results.items():
    tell(name, agents, runs)
print("learned with " + authorship("ppo_batch", "ppo_update", "ppo_clip_loss"))

# %% tags=["hide-input"]
panels = plots.axes(1, 2, size="wide")
for color, (name, (agents, runs)) in zip(
    ("purple", "blue", "vermilion"), results.items(), strict=True
):
    for ax, x, each in ((panels[0], grid, runs),
                        (panels[1], np.arange(1, len(agents[0].seen) + 1), kl_of_updates(agents))):  # fmt: skip
        ax.plot(x, each.T, color=plots.PALETTE[color], ls="-", lw=1, alpha=0.5)
        ax.plot(x, each.mean(axis=0), color=plots.PALETTE[color], ls="-", label=name)
panels[0].set(xlabel="steps in the world", ylabel="return, last 20 episodes")
panels[1].set(xlabel="update", ylabel="KL of the update", yscale="log", ylim=(1e-5, 20))
panels[0].legend(loc="upper left", title="mean; thin: each of 2 seeds")
plots.show(panels, alt="Left: returns on CartPole. With 20 clipped epochs they rise to hundreds, with one epoch slowly; "
           "without the clip they rise and fall back. Right: the KL of an update is largest without the clip.")  # fmt: skip

# %% [markdown]
# Reuse pays: with 20 epochs the same 12 000 steps go a long way further than with one. And it is the clip that lets
# you: without it an update moves the policy tens of times as far, and what was learned is thrown away again. A
# policy that has become certain of the wrong action collects nothing that could put it right (lesson 10 saw it
# without a baseline).

# %%
agents, _ = results["PPO, 20 epochs"]
best = int(np.argmax(scores(agents)))
with tempfile.TemporaryDirectory() as folder:
    film = f"{folder}/cartpole.gif"
    total = videos.record_episode(agents[best], "CartPole-v1", film, seed=3, max_frames=80)
    videos.show_gif(
        film, alt="The trained agent keeps the pole upright near the middle of the track."
    )
print(f"the film's episode: {total:.0f} steps")

# %% [markdown]
# ## Experiment 3: the penalty, and its price
#
# The same task, your penalty in the place of the clip, the price adapted by your rule after every update, with
# $\text{KL}_{\text{target}} = 0.01$. Return, KL and β over the updates, beside those of the clip.


# %%
# about 5 s
class KeptKL(PPOKL, Kept):
    """PPO-KL that keeps what the figures need."""

    update = Kept.update

    def learn(self, batch, rng):
        losses = self.ppo_kl_update(self, batch, rng, **functions_for(self, self.ppo_kl_update))
        self.kl_coef = max(self.kl_coef, self.kl_coef_min)
        return losses


penalty = {"ppo_kl_loss": ppo_kl_loss, "policy_kl": policy_kl, "horizon": 64,
           "adapt_kl_coefficient": adapt_kl_coefficient}  # fmt: skip
penalised = {"PPO-KL, 20 epochs": cartpole_runs(KeptKL, epochs=20, kl_coef_min=0.0, **penalty)}
for name, (agents, runs) in (results | penalised).items():
    tell(name, agents, runs)
for seed, agent in enumerate(penalised["PPO-KL, 20 epochs"][0]):
    print(
        f"seed {seed}: β after every second update:",
        *(f"{told['β']:g}" for told in agent.seen[::2]),
    )
print("learned with " + authorship("ppo_kl_loss", "policy_kl", "adapt_kl_coefficient", "ppo_batch"))

# %% tags=["hide-input"]
panels = plots.axes(1, 3, size=(12.0, 4.0))
shown = {"PPO, clip": results["PPO, 20 epochs"]} | penalised
for color, (name, (agents, runs)) in zip(("purple", "orange"), shown.items(), strict=True):
    updates = np.arange(1, len(agents[0].seen) + 1)
    betas = np.array([[told["β"] for told in agent.seen] for agent in agents])
    for ax, x, each in (
        (panels[0], grid, runs),
        (panels[1], updates, kl_of_updates(agents)),
        (panels[2], updates, betas),
    ):
        if not each.any():
            continue
        ax.plot(x, each.T, color=plots.PALETTE[color], ls="-", lw=1, alpha=0.5)
        ax.plot(x, each.mean(axis=0), color=plots.PALETTE[color], ls="-", label=name)
panels[1].axhline(0.01, color=plots.INK, lw=1, ls=":")
panels[0].set(xlabel="steps in the world", title="return, last 20 episodes")
panels[1].set(xlabel="update", title="KL (dotted: the target)", yscale="log", ylim=(5e-4, 0.1))
panels[2].set(xlabel="update", title="β", yscale="log")
panels[0].legend(loc="upper left", title="mean; thin: each of 2 seeds")
plots.show(panels, alt="Three panels over training, for the clip and for the penalty: returns, which rise alike; the KL of each "
           "update, near 0.01 for both; and β, which moves in factors of two and falls towards the end.")  # fmt: skip

# %% [markdown]
# Clip and penalty learn alike here, and both move the policy by about the same in an update: nobody told the clip of
# a target, but ε = 0.2 comes to something like it. β moves in factors of two, around 1. Towards the end it falls.
# The step size goes to zero over the run, the policy hardly moves any more, and the rule makes distance cheaper and
# cheaper. If the policy then moved again, the penalty would not be there. The course's own agent therefore has a
# floor (`kl_coef_min`); the paper has none.

# %% [markdown]
# ## Experiment 4: a box of actions
#
# Nothing in (12.7) or (12.14) asks that actions can be counted. A ship on a line starts at rest up to 1 away from
# its dock; the thrust is a number in [−1, 1]; each of 40 steps costs $x^2+0.1\,a^2$. The policy is a Gaussian whose
# mean is a network. For this world the best linear policy can be *computed* (lesson 03's Bellman equation with a
# quadratic in the place of a table), so we know what there is to be reached. Your losses and your KL, the course's
# loop around them; 8000 steps.


# %%
# about 6 s
class Idle:
    """Never thrusts."""

    def act(self, obs, rng, explore=True):
        return np.zeros((len(obs), 1), np.float32)


BOX = {"gamma": 0.95, "horizon": 64, "epochs": 10, "minibatch_size": 128, "lr": 3e-3}


def docked(kind=PPO, which=range(2), steps=8_000, world=docking.Docking, **settings):
    """Trained agents and their greedy returns in 100 episodes."""
    agents = []
    for seed in seeds(which):
        agents.append(kind.for_env(docking.Docking, seed=seed, **(BOX | settings)))
        train_on_policy(agents[-1], world, steps, seed)
    return agents, [
        evaluate(agent, docking.Docking, episodes=100, seed=1).mean() for agent in agents
    ]


computed = docking.Linear(docking.best_gain(0.95))
best_return = evaluate(computed, docking.Docking, episodes=100, seed=1).mean()
print(f"computed: {best_return:.2f}; never a thrust: "
      f"{evaluate(Idle(), docking.Docking, episodes=100, seed=1).mean():.2f}")  # fmt: skip
in_the_box = {
    "clip": docked(ppo_clip_loss=ppo_clip_loss),
    "penalty": docked(PPOKL, horizon=64, ppo_kl_loss=ppo_kl_loss, policy_kl=policy_kl,
                      adapt_kl_coefficient=adapt_kl_coefficient),
    "neither": docked(clip=1e9),
}  # fmt: skip
for name, (_, returns) in in_the_box.items():
    print(f"{name:8} returns of two seeds:", *(f"{r:.2f}" for r in returns))
print("by " + authorship("ppo_clip_loss", "ppo_kl_loss", "policy_kl", "adapt_kl_coefficient"))


# %% tags=["hide-input"]
def draw_docking(start):
    panels = plots.axes(1, 2, size="wide", sharex=True)
    pilots = {
        "computed": computed,
        "PPO, clip": in_the_box["clip"][0][0],
        "PPO, penalty": in_the_box["penalty"][0][0],
    }
    for color, (name, pilot) in zip(("ink", "purple", "orange"), pilots.items(), strict=True):
        env = docking.Docking()
        obs, _ = env.reset(seed=0)
        env.x, obs[0] = start, start
        xs, thrusts = [], []
        for _ in range(docking.STEPS):
            thrust = pilot.act(obs[None], None, explore=False)[0]
            xs.append(obs[0])
            thrusts.append(float(thrust[0]))
            obs, *_ = env.step(thrust)
        for ax, y in zip(panels, (xs, thrusts), strict=True):
            ax.plot(y, ls="-", color=plots.PALETTE[color], label=name)
    panels[0].set(xlabel="step", ylabel="distance from the dock", ylim=(-1.1, 1.1))
    panels[1].set(xlabel="step", ylabel="thrust", ylim=(-1.1, 1.1))
    panels[0].legend(loc="upper right" if start > 0 else "lower right")
    return panels[0].figure


plots.slide(draw_docking, [-1.0, -0.5, 0.5, 1.0], name="start", start=3,
            alt="Distance and thrust over 40 steps for the computed pilot and two learned ones: all three thrust towards the "
            "dock, brake, and come to rest within some fifteen steps.")  # fmt: skip

# %% [markdown]
# The same losses, the same loop: only the log-probabilities and the KL are those of Gaussians now, and both agents
# come near to what can be computed. Without a restraint one of the two runs is lost for good. The ship leaves, the
# costs grow with the square of the distance, and with them the advantages of the next batch.

# %% [markdown]
# ## Change one thing: the details
#
# Papers have equations; programs have details. Three that come with PPO's original code, each switched off (or on)
# alone, in the box, with 5000 steps: advantages **not standardised**, with rewards in hundredths; the policy's
# **last layer** drawn a hundred times larger, so that it begins with an opinion; and the **value clipped** like the
# ratio, which that code does and (12.17) does not. **What to look for:** which one is worth its line? Then try your
# own: `epochs`, `minibatch_size`, `lr`.


# %%
# about 8 s
class Hundredths(docking.Docking):
    """The same world, paid in other units."""

    def step(self, action):
        obs, reward, *rest = super().step(action)
        return obs, reward / 100, *rest


def as_it_came(agent, rollout):
    """The batch with advantages that are not standardised."""
    batch = methods.ppo_batch(agent, rollout)
    with torch.no_grad():
        return batch._replace(adv=batch.returns - agent.v_net(batch.obs))


class Opinionated(PPO):
    """The policy's last layer a hundred times larger at first."""

    def build(self):
        super().build()
        with torch.no_grad():
            self.policy.layers[-1].weight.mul_(100)


few = {"which": range(3), "steps": 5_000}
details = {
    "all as it is": docked(**few),
    "not standardised, in hundredths": docked(ppo_batch=as_it_came, world=Hundredths, **few),
    "last layer 100 times larger": docked(Opinionated, **few),
    "value clipped": docked(value_clip=0.2, **few),
}
for name, (_, returns) in details.items():
    print(f"{name:32} returns of three seeds:", *(f"{r:8.2f}" for r in returns))
print(f"computed: {best_return:.2f}")

# %% [markdown]
# In this world only one of the three is worth its line. A policy that begins with an opinion starts far from the
# dock, and may not come back; a small last layer begins with nearly no thrust, and learns from there. Standardising
# makes no difference that goes beyond the seeds: Adam divides every gradient by its size, and so hides the unit of
# the rewards. (It cannot hide it where the advantage meets a number with a unit of its own: the second question
# below.) The clipped value
# even looks a little better here. Andrychowicz et al. 2021, with more worlds and many more runs, found that it rather
# hurts: three seeds of one world decide nothing of that size.

# %% [markdown]
# ## The silent bug
#
# A colleague has written the update anew, shorter: "why store old log-probabilities, when the policy can be asked?"
# It runs, the losses are finite, and its own counter says that not one row was ever clipped. Is that good news?
# **What is wrong?**


# %%
# about 4 s
class Colleague(Kept):
    def learn(self, batch, rng):
        self.clipped_rows = 0

        def loss_of(log_prob, _, adv, clip):
            old = log_prob.detach()  # no need to keep them: here they are
            self.clipped_rows += int(((log_prob - old).exp() - 1).abs().gt(clip).sum())
            return ppo_clip_loss(log_prob, old, adv, clip)

        return methods.ppo_update(self, batch, rng, ppo_clip_loss=loss_of)


suspects, odd = cartpole_runs(Colleague, epochs=20)
tell("the colleague's", suspects, odd)
tell("yours", *results["PPO, 20 epochs"])
for seed, agent in enumerate(suspects):
    outside, entropy = ([told[what] for told in agent.seen] for what in ("outside", "entropy"))
    print(f"seed {seed}: clipped rows, by its own count: {agent.clipped_rows}; "
          f"entropy of the last update {entropy[-1]:.3f}")  # fmt: skip
    print(
        f"        rows outside [0.8, 1.2] of the *stored* log π, first 6 updates: {np.mean(outside[:6]):.0%}"
    )
right = [
    np.mean([told["outside"] for told in agent.seen[:6]]) for agent in results["PPO, 20 epochs"][0]
]
right_entropy = [agent.seen[-1]["entropy"] for agent in results["PPO, 20 epochs"][0]]
print("yours: rows outside", [f"{x:.0%}" for x in right], "entropy", np.round(right_entropy, 3))
print("learned with " + authorship("ppo_clip_loss", "ppo_batch"))

# %% tags=["hide-input"]
panels = plots.axes(1, 2, size="wide")
pair = {"your update": results["PPO, 20 epochs"], "the colleague's": (suspects, odd)}
for color, (name, (agents, runs)) in zip(("purple", "vermilion"), pair.items(), strict=True):
    entropy = np.array([[told["entropy"] for told in agent.seen] for agent in agents])
    for ax, x, each in (
        (panels[0], grid, runs),
        (panels[1], np.arange(1, entropy.shape[1] + 1), entropy),
    ):
        ax.plot(x, each.T, color=plots.PALETTE[color], ls="-", lw=1, alpha=0.5)
        ax.plot(x, each.mean(axis=0), color=plots.PALETTE[color], ls="-", label=name)
panels[0].set(xlabel="steps in the world", ylabel="return, last 20 episodes")
panels[1].set(xlabel="update", ylabel="entropy of the policy", ylim=(0, 0.75))
panels[0].legend(loc="upper left", title="mean; thin: each of 2 seeds")
plots.show(panels, alt="Left: the colleague's returns stay far below yours. Right: its entropy falls towards 0 within a few "
           "updates, while yours falls slowly.")  # fmt: skip

# %% [markdown]
# <details><summary>Where should I look?</summary>
#
# At the counter. What is ρ in the line that counts? What is it in the loss?
# </details>
# <details><summary>What is it?</summary>
#
# `old` is asked of the policy of *now*: ρ is 1 in every row of every minibatch. Nothing is ever clipped because
# nothing can be. Each step has the gradient (12.1), forty times on the same data, without any restraint: measured
# against the *stored* log-probabilities the policy has gone far outside the interval, and the entropy falls while
# nobody looks. A counter that is always 0 is no sign of health; it is the symptom. The repair is the third column of
# the batch.
# </details>

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** Why not keep the data of the last ten policies, and clip against each of them?
#
# <details><summary>Answer</summary>
#
# One can, with the stored log-probabilities of each. But rows of a policy that is far away have ratios outside the
# interval from the start: those with $\rho>1+\epsilon$ and $A>0$ have no gradient at all, those with A < 0 and a
# large ρ one without limit (dual clip, below). Their advantages are those of a policy that is gone, and the states
# those where it went. DQN has no such trouble: its target asks the *present* network what comes next.
# </details>
#
# **2.** Two colleagues scale all rewards by 100. One uses PPO with standardised advantages and a clip, the other
# without standardising and a penalty with fixed β. Who has to tune anew?
#
# <details><summary>Answer</summary>
#
# The second. A and the surrogate are 100 times larger, the KL is not: β = 1 has become β = 0.01. The first one's
# policy loss has not changed at all; only the critic's has. (And the second colleague's rule (12.15) would find the
# new price by itself, after some updates.)
# </details>

# %% [markdown]
# ## Summary
#
# - **The ratio** $\rho = \pi_\theta/\pi_{\text{old}}$ lets old data speak about a new policy. The price is
#   $\mathrm{Var}(\rho) = e^{2\,\mathrm{KL}}-1$ in Gaussians: a few nats, and a batch is worth a handful of rows.
# - **The clip** takes away the reward for leaving $[1-\epsilon,1+\epsilon]$ on the side that the advantage pays for;
#   the min keeps the gradient of what has gone wrong. It does not hold ρ inside.
# - **KL** is nearby half a squared distance, $\tfrac12x^\top Fx$, with the Fisher matrix $F$. Steepest ascent in it
#   is the natural gradient; the trust region and the penalty go in its direction.
# - **PPO** writes down log π_old, advantages and targets *once*, and then makes epochs of shuffled minibatch steps.
#   What is asked of the policy anew is only the numerator.
# - **Reuse pays, restraint lets you**: 20 epochs learn faster than one, and without clip or penalty the same 20
#   epochs throw back what was learned.

# %% [markdown]
# ## Where this went
#
# What later work changes in the equation at the end of this lesson. Before it stood TRPO (Schulman et al. 2015): the
# same surrogate under mean KL ≤ κ.
#
# - **Dual-clip PPO** (Ye et al. 2020): for A < 0 the objective gets a floor, $\max(\min(\cdot),\,cA)$ with $c>1$:
#   data that are several updates old no longer pull without limit.
# - **V-MPO** (Song et al. 2020): no ratio at all, but a weighted log-likelihood $\sum w\log\pi_\theta$ with
#   $w\propto e^{A/\eta}$ on the better half of the batch, and a KL constraint whose multipliers are learned.
# - **Phasic policy gradient** (Cobbe et al. 2021): shared weights, but policy and value train in turns; the value
#   phase carries a KL term that keeps the policy where it is.
# - **RLHF** (Ziegler et al. 2019; Ouyang et al. 2022): the reward becomes
#   $r-\beta\log(\pi_\theta/\pi_{\text{ref}})$: the penalty moves from the step into the task.
# - **GRPO** (Shao et al. 2024): V goes. A is the reward minus the mean of a group of answers to the same prompt,
#   over their deviation; the clip is as here.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>How the originals write it, and where they differ</summary>
#
# - J. Schulman, F. Wolski, P. Dhariwal, A. Radford & O. Klimov, *Proximal policy optimization algorithms*. Their
#   $r_t(\theta)$ is our $\rho_t$; (12.7) is minus their eq. 7, (12.14) minus eq. 8, (12.17) minus eq. 9.
#   Standardised advantages, orthogonal initial weights, the cut gradient and the falling step size are in their code
#   and not in their text.
# - N. Heess et al., *Emergence of locomotion behaviours in rich environments*, algorithm 1: the names
#   $\beta_{\text{high}}$ and $\beta_{\text{low}}$, with α for our factor and λ for our β.
# - The Chinese pseudocode collection has both algorithms. In PPO-Clip it writes the advantage as $V-\hat R$ and the
#   critic's step as an addition of the gradient of its squared error; here it is $\hat R-V$ and a step down. In
#   PPO-KL the sum over the rollout stands where we have means, so its λ is our β times the number of rows.
# - *Spinning Up* writes the clip as $\min(\rho A,\,g(\epsilon,A))$ with $g = (1+\epsilon)A$ for A ≥ 0 and
#   $(1-\epsilon)A$ otherwise: the same function.
# </details>

# %% [markdown]
# ## What we hand on
#
# The objective of this lesson, climbed in epochs of minibatches on the data of $\pi_{\text{old}}$:
#
# $$\max_\theta\ \frac1B\sum_t\min\big(\rho_t\hat A_t,\ \mathrm{clip}(\rho_t,1-\epsilon,1+\epsilon)\,\hat A_t\big)$$
#
# What is still too expensive? The score. All of Part III learns from *which* action was drawn and how well it went;
# the reward is a black box. Where actions lie on a continuum and $Q$ is a network, one can ask more: in which
# direction would a *slightly different* action have been better? That is the derivative of $Q$ for the action.
# Lesson 13 puts it in the place of the score, and proves that the two gradients have the same mean.
