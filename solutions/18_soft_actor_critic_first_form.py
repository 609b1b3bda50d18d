# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 18 · Soft actor-critic, first form
#
# Part IV · 13 → 14 → 15 → 16 → 17 → **18** → 19 → 20
#
# - **You will be able to** write down the density of a squashed Gaussian and compute it where the plain formula breaks;
#   derive the three losses of soft actor-critic from the soft Bellman equation; say what moving towards $e^{Q/\alpha}/Z$ by
#   this KL does to a policy that cannot have that shape; and build the whole agent.
# - **Builds on** lesson 08 (slow copies), 13 (pathwise gradients), 15 (two critics), 16 (maximum entropy), 17 (soft Q-learning).
# - **Time** 130 minutes alone, in two sittings with a break between; 70 as a lecture.
# - **Sources** Haarnoja et al. 2018a (*Soft Actor-Critic*, arXiv 1801.01290) §4–5 and appendix C; Fujimoto et al. 2018 (two
#   critics); lecture notes on Stein's identity and soft policy iteration, §5; a Chinese pseudocode collection of twelve
#   algorithms, its number 12; lecture slides on continuous control.

# %%
import math

import numpy as np
import torch
from torch.nn.functional import mse_loss, softplus

from rlcourse.checker import authorship, check, whose
from rlcourse.continuous.sac import SACWithValue
from rlcourse.lab import plots
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.networks import polyak_update
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.tabular import mdp

torch.set_num_threads(1)

# %% [markdown]
# ## What we inherit
#
# Lesson 17 has the soft Bellman equation of the best policy for actions in a continuum,
#
# $$Q\leftarrow r+\gamma(1-d)\,\alpha\log\int e^{Q(s',a)/\alpha}da \tag{18.1}$$
#
# and the policy that belongs to it, $e^{Q/\alpha}/Z$ with $Z(s)=\int e^{Q(s,a)/\alpha}da$. Both are hard to have: the integral was
# estimated by importance sampling, which fails in many dimensions, and the policy was a cloud of particles whose density nobody
# knows.
#
# This lesson gives up one thing, that the policy may have any shape. The policy will be a **Gaussian**, squashed into the box
# of actions. What do we gain? Everything else becomes an average over one draw.

# %% [markdown]
# ## Guess first
#
# In some state, two actions are good, one far to the left, one far to the right, and what is between is bad. A policy with *one*
# hump is moved, step by step, towards the density $e^{Q/\alpha}/Z$ with its two humps.
#
# **Where will it end: on one hump, between them, or spread over both?**
#
# <details><summary>I have guessed. What happens?</summary>
#
# It depends on where it begins, and never between. Begun near one hump it ends on that one and forgets the other. Begun in the middle it stays broad, over
# both. A narrow hump *between* them, where Q is bad, is never chosen: this lesson's divergence is weighed by the policy, so it
# pays for every place where the policy is and the target is not. A figure below shows all three.
# </details>

# %% [markdown]
# ## From an integral to an average
#
# Lesson 16 has the soft value of *any* policy, not only of the best one: all bonuses counted,
#
# $$V^\pi(s) = \mathbb E_{a\sim\pi}\big[\,Q(s,a)-\alpha\log\pi(a|s)\,\big] \tag{18.2}$$
#
# How far is it from the integral in (18.1)? Write $Q = \alpha\log(e^{Q/\alpha}/Z)+\alpha\log Z$, which is nothing but the definition of
# $e^{Q/\alpha}/Z$, and put it in:
#
# $$\mathbb E_{a\sim\pi}\big[\,Q-\alpha\log\pi\,\big] = \alpha\log Z(s)\;-\;\alpha\,D_{KL}\big(\pi(\cdot|s)\,\big\|\,e^{Q(s,\cdot)/\alpha}/Z(s)\big) \tag{18.3}$$
#
# with $D_{KL}(\pi\|p)=\mathbb E_\pi[\log\pi-\log p]$, which is 0 for $\pi=p$ and positive otherwise. Read (18.3) in two ways:
#
# - **As a value.** For the best policy the KL is 0, and the average *is* the integral: one draw from π gives $\alpha\log Z$, with no
#   proposal and no bias. For another policy the average is that policy's own soft value, which is what policy evaluation asks for.
# - **As a goal.** $\alpha\log Z$ does not depend on π. To make the soft value large is to make the KL small: soft policy
#   improvement, among the policies that we can have.
#
# So we need policies that we can draw from, whose $\log\pi$ is known, and whose draws can be differentiated.

# %% [markdown]
# ## A Gaussian in a box
#
# A Gaussian has all three, but it puts mass outside of $(-1,1)^D$. Clip its draws, and all that was outside sits on the border:
# no density there, no gradient. So squash them instead, each dimension for itself:
#
# $$u=\mu_\theta(s)+\sigma_\theta(s)\,\xi,\quad\xi\sim\mathcal N(0,I),\qquad \tilde a=\tanh(u) \tag{18.4}$$
#
# **The density of $\tilde a$.** The same probability lies in a small interval around $u$ and in its image around $\tilde a$:
# $\pi(\tilde a)\,|d\tilde a| = \mathcal N(u;\mu,\sigma)\,|du|$. In one dimension the image is shorter by the slope
# $d\tilde a/du = 1-\tanh^2u$. In $D$ dimensions the Jacobian is diagonal, because each $\tilde a_j$ depends on its own $u_j$; its
# determinant is the product of the slopes, and the logarithm of the product is a sum:
#
# $$\log\pi_\theta(\tilde a|s) = \log\mathcal N(u;\mu_\theta,\sigma_\theta)-\sum_j\log\big(1-\tanh^2u_j\big) \tag{18.5}$$
#
# **Without overflow.** In float32, $\tanh u$ is exactly 1 from $|u|\approx9$ on, and (18.5) takes the logarithm of 0. But
# $1-\tanh^2u = 4/(e^u+e^{-u})^2$, so, with $\mathrm{softplus}(x)=\log(1+e^x)$,
#
# $$\log\big(1-\tanh^2u\big) = 2\,\big(\log2-u-\mathrm{softplus}(-2u)\big) \tag{18.6}$$
#
# which is exact for every $u$: for large $u$ it is $2\log2-2u$.

# %% [markdown]
# ### Talk to your neighbour
# $u$ is a standard normal number. Its entropy is 1.42 nats. The entropy of $\tanh u$ is
#
# **A** larger · **B** the same: tanh can be undone · **C** smaller
#
# <details><summary>What the cells below will show</summary>
#
# **C.** Nothing on $(-1,1)$ has more entropy than the uniform density's $\log2\approx0.69$ nats. That tanh can be undone saves the
# entropy of *finite* sets; that of a density changes by the mean logarithm of the slope, the second term of (18.5).
# </details>

# %% [markdown] task="squashed_log_prob"
# ### Exercise 18.1 · `squashed_log_prob`
# **Points** 2 · **Difficulty** ●●○ · **Time** 12 min
#
# Compute (18.5), one number a row, in nats. `u` is what stood *before* tanh. It must be right for every $u$ up to $\pm20$, and so must its gradient, in
# all three arguments.


# %% exercise="squashed_log_prob" points=2
def squashed_log_prob(u, mean, log_std):
    """log π of tanh(u), where u is drawn from a Gaussian (18.5).

    u, mean, log_std: (B, D); log_std is log σ. Returns (B,), differentiable in all three.
    """
    ### BEGIN SOLUTION
    z = (u - mean) * torch.exp(-log_std)
    log_normal = -0.5 * z**2 - log_std - 0.5 * math.log(2 * math.pi)
    log_slope = 2 * (math.log(2) - u - softplus(-2 * u))  # (18.6)
    return (log_normal - log_slope).sum(dim=-1)  # (18.5)
    ### END SOLUTION


# %% [markdown] hints="squashed_log_prob"
# <details><summary>What is the log density of a Gaussian, in terms of log σ?</summary>
#
# Three terms a dimension: minus half the square of the standardised number, minus log σ itself, and a constant with 2π in it.
# </details>
# <details><summary>How can I check my second term?</summary>
#
# At u = 0 tanh has slope 1, so the term is 0 there. At u = 3 it should agree with the plain formula, and at u = 15 it should be
# close to log 4 minus 30.
# </details>
# <details><summary>Which shape comes out?</summary>
#
# Dimensions are independent, so their log densities are added: the last axis goes away, rows stay apart.
# </details>

# %% check="squashed_log_prob"
squashed_log_prob = check("squashed_log_prob")

# %% [markdown]
# Is it a density? It must integrate to 1 over $(-1,1)$. Beside it, three things that are often written in its place. And the
# entropies of the question.

# %%
n_grid = 20_000
a_grid = (np.arange(n_grid) + 0.5) * 2 / n_grid - 1  # midpoints of (−1, 1)
u_grid = torch.from_numpy(np.arctanh(a_grid))[:, None]


def integral(values):
    """∫ … da over (−1, 1), by the midpoint rule."""
    return float(np.mean(values) * 2)


def on_grid(mean, log_std):
    m, s = (torch.full_like(u_grid, x) for x in (mean, log_std))
    return squashed_log_prob(u_grid, m, s).numpy()


slope = 1 - a_grid**2
for mean, log_std in ((0.0, 0.0), (0.8, -1.0)):
    log_pi = on_grid(mean, log_std)
    normal = np.exp(log_pi) * slope  # log N alone: what no correction leaves
    total, bare = integral(np.exp(log_pi)), integral(normal)
    twice = integral(np.exp(log_pi) / slope)
    inner = integral(normal / (1 - np.tanh(a_grid) ** 2))
    entropy = -integral(np.exp(log_pi) * log_pi)
    of_u = 0.5 * math.log(2 * math.pi * math.e) + log_std
    print(f"μ = {mean}, log σ = {log_std}: ∫π da = {total:.6f}; not corrected {bare:.3f}, "
          f"twice {twice:.2f},\n   tanh twice {inner:.3f}; "
          f"entropy {entropy:.3f} nats, that of u {of_u:.3f}")  # fmt: skip
    assert abs(total - 1) < 1e-5 and entropy < math.log(2) < 1 < of_u + 1

# %% [markdown]
# **Drag σ.** A wide Gaussian does not become a uniform policy: its mass goes to both ends. Look where the entropy is largest, and
# where it has fallen again. (There a grid in $a$ misses mass, so the figure integrates over $u$.)

# %% tags=["hide-input"]
fine_u = torch.linspace(-60, 60, 24_001, dtype=torch.float64)[:, None]


def draw(log_std):
    m, s = torch.zeros_like(fine_u), torch.full_like(fine_u, log_std)
    log_pi = squashed_log_prob(fine_u, m, s).numpy()
    weight = torch.distributions.Normal(0.0, math.exp(log_std)).log_prob(fine_u).exp().numpy()[:, 0]
    entropy = -float((weight * log_pi).sum() * 0.005)
    ax = plots.axes()
    ax.plot(a_grid, np.exp(on_grid(0.0, log_std)))
    ax.axhline(0.5, color=plots.INK, linewidth=1.2, linestyle=":")
    ax.annotate("uniform", (0, 0.5), xytext=(0, 3), textcoords="offset points", ha="center")
    ax.set(xlabel="action", ylabel="density π(a)", ylim=(0, 3))
    ax.set_title(f"σ = {math.exp(log_std):.2f}: entropy {entropy:.2f} nats (uniform: 0.69)")
    return ax


widths = [-2.0, -1.0, -0.5, -0.13, 0.3, 0.7, 1.2]
plots.slide(draw, widths, name="log σ", start=3, alt="The density of a squashed Gaussian: one narrow hump for small "
            "σ, nearly level for σ about 0.9, two peaks at the ends for large σ.")  # fmt: skip

# %% [markdown]
# **Far out**, in float32, three ways to write the correction: the plain one, the usual repair with $10^{-6}$ inside the
# logarithm, and yours.

# %%
print("   u    log(1 − tanh²)   with 1e-6      (18.6)     gradients of the three")
for at in (8.0, 9.02, 10.0):
    u = torch.tensor([[at]], requires_grad=True)
    plain = torch.log(1 - torch.tanh(u) ** 2)
    repaired = torch.log(1 - torch.tanh(u) ** 2 + 1e-6)
    normal = torch.distributions.Normal(u.detach(), 1.0).log_prob(u)
    stable = normal - squashed_log_prob(u, u, torch.zeros(1, 1))  # what is left: the second term
    slopes = [torch.autograd.grad(x.sum(), u)[0].item() for x in (plain, repaired, stable)]
    values = [x.item() for x in (plain, repaired, stable)]
    print(f"{at:5}", *(f"{x:13.4f}" for x in values), "  ", *(f"{x:8.3f}" for x in slopes))
assert abs(values[2] - (2 * math.log(2) - 20)) < 1e-4 and abs(slopes[2] + 2) < 1e-3

# %% [markdown]
# The repair has a number where the plain form has $-\infty$, but it is wrong, by nats, and its gradient is 0: nothing tells the policy to come back.

# %% [markdown]
# ## An action that is a function
#
# Lesson 13 has two gradients for an average over a policy. The pathwise one needs the sample as a function of θ and of noise that does not depend on
# θ. (18.4) is that already:
#
# $$\tilde a = f_\theta(\xi;s)=\tanh\big(\mu_\theta(s)+\sigma_\theta(s)\,\xi\big),\qquad \log\pi_\theta(\tilde a|s)\ \text{ by (18.5) at the same } u \tag{18.7}$$

# %% [markdown] task="squashed_action"
# ### Exercise 18.2 · `squashed_action`
# **Points** 2 · **Difficulty** ●○○ · **Time** 8 min
#
# Compute both of (18.7). `policy(obs)` returns the mean and log σ, each (B, D). All randomness is in `noise`. Both results keep their gradients.


# %% exercise="squashed_action" points=2
def squashed_action(policy, obs, noise):
    """An action in (−1, 1)^D and its log π (18.7).

    policy(obs) -> (mean, log_std); noise: (B, D), standard normal. Returns (B, D) and (B,).
    """
    ### BEGIN SOLUTION
    mean, log_std = policy(obs)
    u = mean + log_std.exp() * noise
    return torch.tanh(u), squashed_log_prob(u, mean, log_std)
    ### END SOLUTION


# %% [markdown] hints="squashed_action"
# <details><summary>What does the policy give me?</summary>
#
# Two tensors, and the second one is a logarithm.
# </details>
# <details><summary>Where is the density taken?</summary>
#
# At the number that was drawn, before it is squashed. Do not try to win it back from the action.
# </details>
# <details><summary>Do I need a distribution to sample from?</summary>
#
# No. The draw was made by whoever made the noise; here it is arithmetic, and arithmetic can be differentiated.
# </details>

# %% check="squashed_action"
squashed_action = check("squashed_action")

# %% [markdown]
# ## J_V: one draw for the value
#
# The value network learns (18.2) by regression. Draw one action in $s$, from the policy **of now** and not from the buffer: V is about
# what π does. Two critics, as in lesson 15, and the smaller of the two, so that V does not hear of every error upwards:
#
# $$\hat V(s)=\min_{j=1,2}Q_{\phi_j}(s,\tilde a)-\alpha\log\pi_\theta(\tilde a|s),\qquad\tilde a\sim\pi_\theta(\cdot|s) \tag{18.8}$$
#
# $$J_V(\psi)=\frac1B\sum_s\tfrac12\big(V_\psi(s)-\hat V(s)\big)^2 \tag{18.9}$$
#
# The label is a number: differentiate $V_\psi$ only. Then
#
# $$\nabla_\psi J_V = \frac1B\sum_s\nabla_\psi V_\psi(s)\,\Big(V_\psi(s)-\min_jQ_{\phi_j}(s,\tilde a)+\alpha\log\pi_\theta(\tilde a|s)\Big) \tag{18.10}$$
#
# This is *linear* in the label. So one draw has the right gradient on average, that of the mean label (18.2), though the loss
# itself comes out larger: by half the label's variance, which no V can remove.

# %% [markdown] task="sac_v_target"
# ### Exercise 18.3 · `sac_v_target`
# **Points** 1 · **Difficulty** ●○○ · **Time** 4 min
#
# Compute (18.8). All four numbers belong to the same $\tilde a$; `alpha` is a number, at least 0. No gradient may flow through the result.


# %% exercise="sac_v_target" points=1
def sac_v_target(q1, q2, log_prob, alpha):
    """The label of V (18.8). q1, q2, log_prob: (B,). Returns (B,), detached."""
    ### BEGIN SOLUTION
    return (torch.minimum(q1, q2) - alpha * log_prob).detach()  # (18.8)
    ### END SOLUTION


# %% [markdown] hints="sac_v_target"
# <details><summary>Is log π a bonus or a cost?</summary>
#
# The bonus is for being hard to predict: *minus* log π. An unlikely action makes the label larger.
# </details>
# <details><summary>Which minimum?</summary>
#
# Row by row, of two tensors.
# </details>
# <details><summary>What exactly must be taken out of the graph?</summary>
#
# All of it, at the end. Each of the three tensors has a graph of its own behind it.
# </details>

# %% check="sac_v_target"
sac_v_target = check("sac_v_target")

# %% [markdown]
# Check both claims on one state: (18.10) against automatic differentiation, and the mean over many draws against the mean label.

# %%
generator = torch.Generator().manual_seed(0)
xi = torch.randn(20_000, 1, generator=generator, dtype=torch.float64)


def one_state(mean, log_std):
    return lambda obs: (torch.full_like(xi, mean), torch.full_like(xi, log_std))


def q_known(a):
    return -2 * (a - 0.3) ** 2 + 0.5 * torch.sin(5 * a)


a, log_pi = squashed_action(one_state(0.4, -0.5), None, xi)
q = q_known(a[:, 0])
label = sac_v_target(q, q + 0.1, log_pi, 0.25)
psi = torch.tensor(-0.2, dtype=torch.float64, requires_grad=True)  # V of this state, one number
loss = 0.5 * mse_loss(psi.expand(20_000), label)  # (18.9), one draw a term
(by_autograd,) = torch.autograd.grad(loss, psi)
by_hand = (psi - q + 0.25 * log_pi).mean()  # (18.10)
at_the_mean = 0.5 * (psi - label.mean()) ** 2
(its_gradient,) = torch.autograd.grad(at_the_mean, psi)
print(
    f"gradient: autograd {by_autograd:.6f}, (18.10) {by_hand:.6f}, of the mean label {its_gradient:.6f}"
)
excess, half_variance = (loss - at_the_mean).item(), 0.5 * label.var(unbiased=False).item()
print(
    f"loss {loss:.4f}, at the mean label {at_the_mean:.4f}: {excess:.4f} more; ½ Var {half_variance:.4f}"
)
assert abs(by_autograd - by_hand) < 1e-12 and abs(by_autograd - its_gradient) < 1e-12
assert abs(excess - half_variance) < 1e-12

# %% [markdown]
# ## J_Q: the critics ask V
#
# With V at hand, the integral of (18.1) is one call of a network. The critics' label is
#
# $$y = r+\gamma\,(1-d)\,V_{\psi_{\text{targ}}}(s') \tag{18.11}$$
#
# with a slow copy of V (lesson 08: whoever regresses on a label wants it to stand still). There is no α in it: the bonus of $s'$ is in $V$ already, and the
# bonus of $s$ does not belong into $Q(s,a)$. Each critic has its own error, at the action that was really done, which may be as old as the buffer:
#
# $$J_Q(\phi_1,\phi_2)=\frac1B\sum\tfrac12\big(Q_{\phi_1}(s,a)-y\big)^2+\frac1B\sum\tfrac12\big(Q_{\phi_2}(s,a)-y\big)^2 \tag{18.12}$$

# %% [markdown] task="sac_q_target_v1"
# ### Exercise 18.4 · `sac_q_target_v1`
# **Points** 1 · **Difficulty** ●○○ · **Time** 4 min
#
# Compute (18.11). Where `terminated` is 1, `v_next` may hold anything. No gradient may flow through the result into *any* argument.


# %% exercise="sac_q_target_v1" points=1
def sac_q_target_v1(reward, v_next, terminated, gamma):
    """The target of both critics (18.11). reward, v_next, terminated: (B,). Returns (B,), detached."""
    ### BEGIN SOLUTION
    return (reward + gamma * (1 - terminated) * v_next).detach()  # (18.11)
    ### END SOLUTION


# %% [markdown] hints="sac_q_target_v1"
# <details><summary>What belongs to s, and what to s′?</summary>
#
# The reward comes with the step itself: it is neither discounted nor masked. All that is worth something only *after* the step is both.
# </details>
# <details><summary>Where is the entropy?</summary>
#
# Look at what V is, (18.2). Would you count the bonus of s′ once more?
# </details>
# <details><summary>The check says that a gradient flows.</summary>
#
# Through which of the tensors? It is simplest to stop at the very end.
# </details>

# %% check="sac_q_target_v1"
sac_q_target_v1 = check("sac_q_target_v1")

# %% [markdown]
# Do the two labels, in turns, find the soft value of a policy? On a random MDP with six states the answer can be solved for. There the mean
# over actions is a sum, and both critics are the same table.

# %%
rng = np.random.default_rng(0)
world = mdp.garnet(n_states=6, n_actions=3, branching=3, rng=rng)
pi = rng.dirichlet(np.ones(3), size=6)
alpha = 0.5
bonus = -alpha * (pi * np.log(pi)).sum(axis=1)
P_pi, r_pi = mdp.policy_transition(world.P, pi), mdp.policy_reward(world.R, pi)
exact = np.linalg.solve(np.eye(6) - world.gamma * P_pi, r_pi + bonus)

P, R, table_pi = (torch.from_numpy(x) for x in (world.P, world.R, pi))
v = torch.zeros(6, dtype=torch.float64)
for _ in range(400):
    q = sac_q_target_v1(R.flatten(), (P @ v).flatten(), torch.zeros(18), world.gamma)  # (18.11)
    labels = sac_v_target(q, q, table_pi.log().flatten(), alpha)  # (18.8), an action a row
    v = (table_pi * labels.reshape(6, 3)).sum(dim=1)
print("solved:  ", exact.round(4))
print("in turns:", v.numpy().round(4), "with", authorship("sac_v_target", "sac_q_target_v1"))
assert np.allclose(exact, v, atol=1e-3)

# %% [markdown]
# ## J_π: the projection made practical
#
# Soft policy improvement wants the policy, among those that we can have, with the smallest KL in (18.3). Multiply the KL by α, drop
# $\alpha\log Z$, and write the draw as the function (18.7):
#
# $$J_\pi(\theta)=\frac1B\sum_s\Big[\alpha\log\pi_\theta(\tilde a_\theta|s)-\min_jQ_{\phi_j}(s,\tilde a_\theta)\Big],\qquad\tilde a_\theta=f_\theta(\xi;s) \tag{18.13}$$
#
# The normaliser $Z$, which nobody can compute, is gone: it does not depend on θ. In what θ moves there are two paths. It moves the *action*, and with it
# both $\log\pi$ and Q; and it moves the *density* at an action that stays where it is. The chain rule keeps them apart:
#
# $$\nabla_\theta J_\pi=\frac1B\sum_s\Big[\alpha\nabla_\theta\log\pi_\theta(a|s)+\big(\alpha\nabla_a\log\pi_\theta(a|s)-\nabla_aQ(s,a)\big)\,\nabla_\theta f_\theta(\xi;s)\Big]_{a=\tilde a_\theta} \tag{18.14}$$
#
# The critics are judges here. Their weights stay; but Q must be differentiated *by the action*: $\nabla_aQ$ tells the policy where to go. (Lesson 14 has
# the same with $\alpha=0$ and no noise.)
#
# **Whose minimum?** The text of the paper takes the smaller critic in the policy's loss as well as in V's label; the authors' released
# code has it in V's label only, and $\log\pi-Q_{\phi_1}$ here. We take the text's. The reason is lesson 15's: whoever climbs a critic looks for its errors upwards, and nobody climbs as
# this policy does.

# %% [markdown] task="sac_v1_policy_loss"
# ### Exercise 18.5 · `sac_v1_policy_loss`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute (18.13), from the networks to a number. `critic(obs, action)` is (B,). The gradient must reach the policy by all paths of (18.14); what arrives in
# the critics' weights is the caller's business.


# %% exercise="sac_v1_policy_loss" points=2
def sac_v1_policy_loss(policy, critic1, critic2, obs, noise, alpha):
    """The policy's loss (18.13).

    policy(obs) -> (mean, log_std); critic(obs, action) -> (B,); noise: (B, D); alpha: a number.
    Returns a scalar.
    """
    ### BEGIN SOLUTION
    action, log_prob = squashed_action(policy, obs, noise)
    q = torch.minimum(critic1(obs, action), critic2(obs, action))
    return (alpha * log_prob - q).mean()  # (18.13)
    ### END SOLUTION


# %% [markdown] hints="sac_v1_policy_loss"
# <details><summary>How many actions does it need?</summary>
#
# One a row. The critics judge it, and its own log-probability stands beside.
# </details>
# <details><summary>Which signs?</summary>
#
# A loss goes down. The policy wants a large Q and a small log π.
# </details>
# <details><summary>The critics must not move: do I switch their gradients off?</summary>
#
# Nothing moves in this function. And a critic that is computed without gradient would have no slope by the action either.
# </details>

# %% check="sac_v1_policy_loss"
sac_v1_policy_loss = check("sac_v1_policy_loss")

# %% [markdown]
# Now (18.14), against two witnesses: finite differences of $J$, and automatic differentiation of your loss, draw by draw. One state, one
# dimension, the Q from above, and 40,000 noises at equal steps of probability, so that the mean is an integral. Beside it: the same without its first
# term, the score function of lesson 13, and a draw that was detached.

# %%
n = 40_000
xi = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)[:, None]
alpha, at_mean, at_log_std = 0.25, 0.4, -0.5


def known_critic(obs, action):
    return q_known(action[:, 0])


def loss_at(mean, log_std):
    policy = one_state(mean, log_std)
    return sac_v1_policy_loss(policy, known_critic, known_critic, None, xi, alpha).item()


step = 1e-5
differences = [
    (loss_at(at_mean + i * step, at_log_std + j * step)
     - loss_at(at_mean - i * step, at_log_std - j * step)) / (2 * step)
    for i, j in ((1, 0), (0, 1))
]  # fmt: skip


def by_rows(loss, leaves):
    """The gradient of every row, (n, 2): each row has its own mean and log σ."""
    return torch.cat(torch.autograd.grad(loss, leaves), dim=1) * n


def leaves_here():
    return [torch.full_like(xi, x).requires_grad_() for x in (at_mean, at_log_std)]


leaves = leaves_here()
pathwise = by_rows(
    sac_v1_policy_loss(lambda obs: leaves, known_critic, known_critic, None, xi, alpha), leaves
)

u = at_mean + math.exp(at_log_std) * xi  # the same by hand, (18.14)
a, sigma = torch.tanh(u), math.exp(at_log_std)
d_score = torch.cat([xi / sigma, xi**2 - 1], dim=1)  # ∇_θ log π at a fixed action
d_a = (-xi / sigma + 2 * a) / (1 - a**2)  # ∇_a log π
d_q = -4 * (a - 0.3) + 2.5 * torch.cos(5 * a)
d_f = (1 - a**2) * torch.cat([torch.ones_like(u), sigma * xi], dim=1)  # ∇_θ f
by_hand = alpha * d_score + (alpha * d_a - d_q) * d_f
log_pi = squashed_log_prob(u, *(x.detach() for x in leaves))[:, None]
estimates = {
    "(18.14)": by_hand,
    "without its first term": (alpha * d_a - d_q) * d_f,
    "score function": d_score * (alpha * log_pi - q_known(a)),
    "score function, Q + 10": d_score * (alpha * log_pi - q_known(a) - 10),
    "the draw detached": alpha * d_score,
}
print("finite differences of J:", *(f"{x:.6f}" for x in differences))
print(f"autograd, row by row, against (18.14): {(pathwise - by_hand).abs().max():.0e}")
print("\n                            mean for μ, log σ         deviation for μ, log σ")
for name, rows in estimates.items():
    mean, spread = rows.mean(dim=0), rows.std(dim=0)
    print(f"{name:24} {mean[0]:11.6f} {mean[1]:10.6f} {spread[0]:13.2f} {spread[1]:9.2f}")
assert (pathwise - by_hand).abs().max() < 1e-9
assert np.allclose(by_hand.mean(dim=0), differences, atol=1e-8)
assert estimates["the draw detached"].mean(dim=0).abs().max() < 1e-3

# %% [markdown]
# Four things to read in the table.
#
# - (18.14) is the gradient, and your loss has it, row by row.
# - Its first term has mean 0 (lesson 10: the score's mean is 0), and here it adds noise. It may be left out, and then the step is even less noisy;
#   it belongs to the gradient of (18.13) all the same, and automatic differentiation brings it along.
# - The score function is *not* the noisier one here, for μ. But it feels the height of Q: add 10, and its deviation is many times as large, while
#   (18.14), which knows slopes only, does not change. V would be its baseline.
# - With the draw detached, nothing at all is learned: only the term with mean 0 is left.

# %% [markdown]
# ## What is left when the shape does not fit
#
# A Gaussian with one σ a dimension cannot have the shape of $e^{Q/\alpha}/Z$, as a rule. Which one does the descent choose, and how much KL is left? In one case it
# can be had on paper. One state, no tanh, actions in all of $\mathbb R^D$, and a hill whose dimensions are **coupled**:
#
# $$Q(a)=Q_{\max}-\tfrac12(a-m)^\top K\,(a-m),\qquad\pi=\mathcal N\big(\mu,\mathrm{diag}(\sigma_1^2,\dots,\sigma_D^2)\big) \tag{18.15}$$
#
# with $K$ symmetric and positive definite. $e^{Q/\alpha}/Z$ is a Gaussian too, with mean $m$ and covariance $\alpha K^{-1}$: an ellipsoid that may lie
# askew. The policy's cannot.

# %% [markdown]
# ### Talk to your neighbour
# In two dimensions the target is a narrow ellipse that lies askew. Each σ of the policy that has the smallest $D_{KL}(\pi\|e^{Q/\alpha}/Z)$ is
#
# **A** the target's own spread in that dimension · **B** smaller · **C** larger
#
# <details><summary>What the picture below will show</summary>
#
# **B.** The KL is weighed by the policy: it pays wherever the policy is and the target is not. Each σ is as small as the target's spread *with the other number held fixed*.
# </details>

# %% [markdown] task="factored_projection"
# ### Exercise 18.6 · `factored_projection`
# **Points** 2 · **Difficulty** ●●● · **Time** 20 min · ✎ on paper
#
# 1. Write $J=\mathbb E_\pi[\alpha\log\pi-Q]$ of (18.15) as a function of μ and σ.
# 2. Set its derivatives to 0: which σ ends the descent?
# 3. What is $D_{KL}(\pi\|e^{Q/\alpha}/Z)$ there, in nats?
#
# `curvature` is $K$, a NumPy array (D, D). D may be 60, and $K$ of size a million or a millionth. Return the array of σ and the KL, a float.


# %% exercise="factored_projection" points=2
def factored_projection(curvature, alpha):
    """Where the policy's descent ends in (18.15): (std, kl), (D,) and nats."""
    ### BEGIN SOLUTION
    diagonal = np.diag(curvature)
    # J = −α Σ log σ_i + ½ Σ K_ii σ_i² + …: the coupling drops out of the trace.
    _, log_det = np.linalg.slogdet(curvature)
    return np.sqrt(alpha / diagonal), float(0.5 * (np.log(diagonal).sum() - log_det))
    ### END SOLUTION


# %% [markdown] hints="factored_projection"
# <details><summary>What is the mean of a quadratic form under a Gaussian?</summary>
#
# The form at the mean, plus the trace of the matrix times the covariance. The policy's covariance is diagonal: which numbers of K survive in that trace?
# </details>
# <details><summary>How do I get the KL without another integral?</summary>
#
# (18.3): J is α times the KL minus a constant that you know, because the normaliser of a Gaussian is known.
# </details>
# <details><summary>60 dimensions and a determinant?</summary>
#
# Only its logarithm is needed, and linear algebra libraries have that by itself.
# </details>

# %% check="factored_projection"
factored_projection = check("factored_projection")

# %% [markdown]
# Let your loss find it. Two dimensions, correlation 0.8, and so narrow a hill that tanh is nearly straight; Adam, 64 draws a step.

# %%
# about 3 s
K = 400 * torch.tensor([[1.0, 0.8], [0.8, 1.0]])
m, alpha = torch.tensor([0.1, -0.05]), 0.5


def coupled_critic(obs, action):
    off = action - m
    return -0.5 * ((off @ K) * off).sum(dim=1)


def descend_policy(critic, mean, log_std, alpha, steps, late=0):
    """Adam on rows of means and log σ by (18.13), 64 draws a row and step; returns both, trained."""
    mean, log_std = (x.clone().requires_grad_() for x in (mean, log_std))
    optimizer = torch.optim.Adam([mean, log_std], lr=0.02)
    generator = torch.Generator().manual_seed(0)

    def policy(obs):
        return mean.repeat(64, 1), log_std.repeat(64, 1)

    for k in range(steps):
        if k == steps - late:
            optimizer.param_groups[0]["lr"] = 0.002
        noise = torch.randn(64 * len(mean), mean.shape[1], generator=generator)
        optimizer.zero_grad()
        sac_v1_policy_loss(policy, critic, critic, None, noise, alpha).backward()
        optimizer.step()
    return mean.detach(), log_std.detach()


mean, log_std = descend_policy(
    coupled_critic, torch.zeros(1, 2), torch.full((1, 2), -2.0), alpha, steps=800, late=300
)
reached = (log_std.exp() * (1 - mean.tanh() ** 2))[0]  # the deviation of the action, nearly
std, kl = factored_projection(K.double().numpy(), alpha)
covariance = alpha * np.linalg.inv(K.double().numpy())
print("σ after the descent:", reached.numpy().round(4), "on paper:", std.round(4))
print("the target's own:   ", np.sqrt(np.diag(covariance)).round(4), f"; KL left {kl:.3f} nats")
for r in (0.5, 0.8, 0.9, 0.99):
    print(f"correlation {r:4}: KL {factored_projection(np.array([[1, r], [r, 1]]), 1.0)[1]:.3f}")
assert np.allclose(reached, std, rtol=0.1)

# %% tags=["hide-input"]
angle = np.linspace(0, 2 * np.pi, 200)
circle = np.stack([np.cos(angle), np.sin(angle)])
ax = plots.axes(size=(5.4, 4.6))
for label, root in (
    ("target", np.linalg.cholesky(covariance)),
    ("policy", np.diag(reached.numpy())),
):
    centre = m.numpy() if label == "target" else mean.tanh().numpy()[0]
    ax.plot(*(centre[:, None] + root @ circle), label=label)
ax.set(xlabel="action 1", ylabel="action 2", aspect="equal")
ax.legend(loc="upper right")
plots.show(
    ax,
    alt="The target's ellipse lies askew; the policy's is a circle about its middle, far narrower than the long axis.",
)

# %% [markdown]
# The ellipses of one standard deviation. They meet straight above, below, left and right of the middle: each σ is the target's spread with the other action
# held fixed. Other divergences choose otherwise: the KL the other way round would give the target's own spreads, a larger ellipse that reaches where the target is not.
#
# **One hump or two.** Back in one dimension, with tanh, and the KL by integration over the grid. First a $Q$ with one hump, though not a Gaussian's; then
# the two humps of the guess. Three starts each.

# %%
# about 4 s


def one_hump(a):
    return q_known(a)


def two_humps(a):
    return 1.5 * torch.exp(-(((a - 0.6) / 0.2) ** 2)) + 1.4 * torch.exp(-(((a + 0.6) / 0.2) ** 2))


def target_density(q_of, alpha):
    q = q_of(torch.from_numpy(a_grid)).numpy()
    log_z = math.log(integral(np.exp(q / alpha)))
    return q / alpha - log_z, log_z, q


starts = torch.tensor([[-0.5], [0.0], [0.5]])
ended, left_over = {}, {}
for name, q_of, alpha in (("one hump", one_hump, 0.25), ("two humps", two_humps, 0.2)):
    log_p, log_z, q = target_density(q_of, alpha)
    first = (starts, torch.full((3, 1), -1.0))
    last = descend_policy(lambda obs, a, f=q_of: f(a[:, 0]), *first, alpha, steps=600)
    ended[name] = last
    for before, (mean, log_std) in (("before", first), ("after", last)):
        densities = [on_grid(x.item(), s.item()) for x, s in zip(mean, log_std, strict=True)]
        kls = [integral(np.exp(lp) * (lp - log_p)) for lp in densities]
        left_over[name, before] = kls
        print(f"{name}, KL {before:6}:", *(f"{x:.3f}" for x in kls))
    for lp, kl in zip(densities, kls, strict=True):  # (18.3), on the grid
        J = integral(np.exp(lp) * (alpha * lp - q))
        assert abs(J - alpha * kl + alpha * log_z) < 1e-3
places = [math.tanh(x) for x in ended["two humps"][0][:, 0]]
print("two humps: tanh μ ends at", *(f"{x:.3f}" for x in places))
share = integral(np.exp(log_p) * (a_grid > 0))  # of the right hump
print(f"share of the left and right hump {1 - share:.3f}, {share:.3f};", end=" ")
print(f"minus their logarithms {-math.log(1 - share):.3f}, {-math.log(share):.3f}")

# %% tags=["hide-input"]
panels = plots.axes(1, 2, size="wide")
for ax, (name, q_of, alpha) in zip(
    panels, (("one hump", one_hump, 0.25), ("two humps", two_humps, 0.2)), strict=True
):
    ax.fill_between(
        a_grid, np.exp(target_density(q_of, alpha)[0]), color=plots.INK, alpha=0.25, lw=0
    )
    for start, x, s in zip(starts[:, 0], *ended[name], strict=True):
        ax.plot(a_grid, np.exp(on_grid(x.item(), s.item())), label=f"from μ = {start:.1f}")
    ax.set(xlabel="action", ylabel="density", title=name, xlim=(-1, 1), ylim=(0, None))
panels[0].legend(loc="upper left")
plots.show(panels[0], alt="Left: one hump; three policies end on it, one upon the other. Right: two humps; one "
           "policy ends on each, the one begun in the middle stays broad over both.")  # fmt: skip

# %% [markdown]
# With one hump (grey: the target) the start does not matter, and nearly nothing is left. With two, the policy *chooses*: a policy that is on one hump pays
# little more than minus the logarithm of that hump's share for the one that it forgets, and would pay far more for the valley on the way to the other. That is what this lesson gives up against lesson 17's
# particles. It gains a $\log\pi$ in closed form.

# %% [markdown]
# ## Break
#
# A good place to stop. **Checkpoint:** six ✓ (18.1 to 18.6). You can say which of the three losses draws a fresh action, and why the others do not. What
# follows puts them together.

# %% [markdown]
# ## The whole step
#
# $$\begin{aligned}&\psi\,\text{ down }\,J_V\;\to\;\phi_1,\phi_2\,\text{ down }\,J_Q\;\to\;\theta\,\text{ down }\,J_\pi\\
# &\quad\to\;\psi_{\text{targ}}\leftarrow\rho\,\psi_{\text{targ}}+(1-\rho)\,\psi\end{aligned} \tag{18.16}$$
#
# > 1. **value**: V's label with the critics as they are; one step down (18.9)
# > 2. **critics**: $y$ from the slow copy of V; one step down (18.12)
# > 3. **policy**: one step down (18.13), with the critics that have just stepped; nobody else moves
# > 4. **slow copy** of V, by Polyak averaging
#
# There is one action in the batch, and one can be drawn from the policy. **One thing is left open:** which of the two goes where? Decide for each of the three losses, and have
# a reason.

# %% [markdown] task="sac_v1_update"
# ### Exercise 18.7 · `sac_v1_update`
# **Points** 4 · **Difficulty** ●●● · **Time** 25 min
#
# Write that step, in place. `agent_state` has `policy`, `v_net`, `v_targ`, `critic1`, `critic2`, `policy_optimizer`, `v_optimizer`, `critic_optimizer` (over both
# critics), `alpha`, `gamma`, `rho`.
#
# - `noise` (B, D) is all that is random: one draw a row. `polyak_update(target, online, rho)` is lesson 08's.
# - `.grad` may hold what somebody else's backward pass has left: clear it before each of your own.
# - Return a dictionary with the losses as they were before their steps, as numbers.


# %% exercise="sac_v1_update" points=4
def sac_v1_update(agent_state, batch, noise):
    """One step of soft actor-critic, first form (18.16), in place.

    batch: obs, action, reward, next_obs, terminated; actions in (−1, 1); noise: (B, D).
    Returns a dictionary of numbers.
    """
    ### BEGIN SOLUTION
    me = agent_state

    with torch.no_grad():
        action, log_prob = squashed_action(me.policy, batch.obs, noise)
        q1, q2 = me.critic1(batch.obs, action), me.critic2(batch.obs, action)
        v_next = me.v_targ(batch.next_obs)
    label = sac_v_target(q1, q2, log_prob, me.alpha)  # (18.8)
    v_loss = 0.5 * mse_loss(me.v_net(batch.obs), label)  # (18.9)
    me.v_optimizer.zero_grad()
    v_loss.backward()
    me.v_optimizer.step()

    y = sac_q_target_v1(batch.reward, v_next, batch.terminated, me.gamma)  # (18.11)
    critic_loss = 0.5 * mse_loss(me.critic1(batch.obs, batch.action), y)
    critic_loss = critic_loss + 0.5 * mse_loss(me.critic2(batch.obs, batch.action), y)  # (18.12)
    me.critic_optimizer.zero_grad()
    critic_loss.backward()
    me.critic_optimizer.step()

    policy_loss = sac_v1_policy_loss(
        me.policy, me.critic1, me.critic2, batch.obs, noise, me.alpha
    )  # (18.13)
    me.policy_optimizer.zero_grad()
    policy_loss.backward()
    me.policy_optimizer.step()

    polyak_update(me.v_targ, me.v_net, me.rho)
    return {
        "v_loss": v_loss.item(),
        "critic_loss": critic_loss.item(),
        "policy_loss": policy_loss.item(),
    }
    ### END SOLUTION


# %% [markdown] hints="sac_v1_update"
# <details><summary>How do I begin?</summary>
#
# With the label of V and everything that it asks for. It is a number, so nothing of that needs a graph.
# </details>
# <details><summary>How do I decide between the two actions?</summary>
#
# Ask of each loss what it is about. A reward was paid for one particular action, whoever chose it. A policy's value is about what the policy does today.
# And a gradient for θ can only come through something that depends on θ.
# </details>
# <details><summary>May the policy's step leave gradients in the critics?</summary>
#
# It may, as long as nobody steps with them. Whoever clears before his own backward pass never sees them.
# </details>
# <details><summary>Which of the two value networks?</summary>
#
# One of them is trained, the other one follows slowly and is asked for labels.
# </details>

# %% check="sac_v1_update"
sac_v1_update = check("sac_v1_update")

# %% [markdown]
# ## The experiment: Pendulum
#
# Pendulum-v1, as in lesson 15: a step costs between 0 and about 16, 200 steps an episode, the mark is a return of −200. α is a number that somebody had to
# find: 0.2. Every 500 steps the next function looks at the agent: the return of the greedy policy (tanh of the mean) over ten episodes, the mean of V over the states that it has just learned from, and the
# entropy there.


# %%
class WatchedSAC(SACWithValue):
    """The agent; it keeps its last batch's states for a look."""

    def learn(self, batch, rng):
        self.seen = batch.obs
        return super().learn(batch, rng)


# %%
def train(seed, steps=4000, **settings):
    """Train one agent; returns it, and (return, V, entropy) every 500 steps from 1000 on."""
    agent = WatchedSAC.for_env(
        "Pendulum-v1", hidden=(64, 64), gamma=0.95, rho=0.98, lr=3e-3, seed=seed, **settings
    )
    looks = []

    def look(agent, step):
        if step >= 1000:
            with torch.no_grad():
                obs = agent.seen.repeat(20, 1)
                noise = torch.randn(len(obs), 1, generator=torch.Generator().manual_seed(step))
                entropy = -agent.squashed_action(agent.policy, obs, noise)[1].mean().item()
                value = agent.v_net(agent.seen).mean().item()
            score = evaluate(agent, "Pendulum-v1", 10, seed=100).mean()
            looks.append((score, value, entropy))

    train_off_policy(
        agent, "Pendulum-v1", steps, seed, n_envs=4, warmup=800, train_every=2, batch_size=128,
        stop_when=look, stop_every=500,
    )  # fmt: skip
    return agent, np.array(looks)


# %% [markdown]
# With your functions: all but the pencil's.

# %%
yours = {
    "squashed_action": squashed_action,
    "sac_v_target": sac_v_target,
    "sac_q_target_v1": sac_q_target_v1,
    "sac_v1_policy_loss": sac_v1_policy_loss,
    "sac_v1_update": sac_v1_update,
}

# %%
# about 8 s
mine, looks_mine = train(0, **yours)
final = evaluate(mine, "Pendulum-v1", 20, seed=200).mean()
print(
    f"return over 20 episodes: {final:.0f}; learned with", authorship("squashed_log_prob", *yours)
)

# %% [markdown]
# ### Talk to your neighbour
# α = 2 in place of 0.2, everything else the same. The pendulum
#
# **A** swings up sooner: it explores more · **B** swings up later but better · **C** does not swing up
#
# <details><summary>What the next cell will show</summary>
#
# **C**, in this time. The bonus for being random is worth more than what the swing saves. The next cell has the entropy, too.
# </details>

# %% [markdown]
# ## Change one thing: α
#
# Run it, then put other numbers in. **What to look for:** the return, and the entropy beside its largest possible value, $\log2\approx0.69$.

# %%
# about 14 s
looks_of = {"α = 0.2": looks_mine}
for alpha in (2.0, 0.001):
    looks_of[f"α = {alpha}"] = train(0, alpha=alpha, **yours)[1]
for name, looks in looks_of.items():
    print(
        f"{name:10}: return {looks[-1, 0]:6.0f}, V {looks[-1, 1]:6.1f}, entropy {looks[-1, 2]:5.2f}"
    )
print("learned with", authorship("squashed_log_prob", *yours))

# %% tags=["hide-input"]
steps = np.arange(1000, 4001, 500)
left, right = plots.axes(1, 2, size="wide")
for column, ax, what in ((0, left, "return of the greedy policy"), (2, right, "entropy (nats)")):
    plots.curves({name: looks[:, column] for name, looks in looks_of.items()}, x=steps,
                 xlabel="steps", ylabel=what, ax=ax)  # fmt: skip
left.legend().set_visible(False)
right.axhline(math.log(2), color=plots.INK, linewidth=1.2, linestyle=":")
plots.show(left, alt="Return and entropy over steps for three temperatures: the large one keeps its entropy and "
           "does not learn, the tiny one loses its entropy.")  # fmt: skip

# %% [markdown]
# The large α keeps the policy nearly uniform, and the return stays low. The tiny one lets the entropy go: the policy is deterministic for all purposes, which this task forgives. One seed
# each: do not rank the two that learn. What you can say: **the right α lies in between, and its size depends on the units of the reward.**

# %% [markdown]
# ## The silent bug
#
# A colleague has written the slow copy anew. It runs, all losses are finite, nothing complains.


# %%
def colleagues_polyak(target, online, rho):
    with torch.no_grad():
        for slow, fast in zip(target.parameters(), online.parameters(), strict=True):
            slow.mul_(1 - rho).add_(rho * fast)


# %%
# about 8 s
theirs, looks_theirs = train(0, polyak_update=colleagues_polyak)  # the rest is the course's
for name, looks in {"the colleague's": looks_theirs, "the right one": looks_mine}.items():
    print(f"{name:15}: V", *(f"{x:6.0f}" for x in looks[:, 1]))
    print(f"{'':15}: return", *(f"{x:6.0f}" for x in looks[:, 0]))

# %% tags=["hide-input"]
pairs = {"the colleague's": looks_theirs, f"{whose(*yours)} agent": looks_mine}
left, right = plots.axes(1, 2, size="wide")
for column, ax, what in ((0, left, "return of the greedy policy"), (1, right, "mean of V")):
    plots.curves({name: looks[:, column] for name, looks in pairs.items()}, x=steps,
                 xlabel="steps", ylabel=what, ax=ax)  # fmt: skip
left.legend().set_visible(False)
plots.show(left, alt="Return and mean V over steps, the colleague's agent beside the right one.")

# %% [markdown]
# The returns do not give it away: it learns, and two seeds may differ as much. **Which curve looks odd, and what is wrong?**
#
# <details><summary>Answer</summary>
#
# V. It falls about twice as deep as the right one in the first few hundred updates, and takes the rest of the time to come back: its label asks the critics,
# theirs asks V's copy, and the copy is not slow: ρ and $1-\rho$ are exchanged. Errors go round the circle at full speed; the minimum of two critics makes them errors
# *downwards*. Here rewards are large and soon pull V back; do not rely on that.
#
# The return alone would have you look for a better learning rate. **Look at V as well**, and measure what one call of a Polyak average does: next cell.
# </details>

# %%
fresh = WatchedSAC.for_env("Pendulum-v1", seed=0)
for name, average in (("the course's", polyak_update), ("the colleague's", colleagues_polyak)):
    target = WatchedSAC.for_env("Pendulum-v1", seed=1).v_net
    before = torch.nn.utils.parameters_to_vector(target.parameters()).detach().clone()
    online = torch.nn.utils.parameters_to_vector(fresh.v_net.parameters()).detach()
    average(target, fresh.v_net, 0.98)
    after = torch.nn.utils.parameters_to_vector(target.parameters()).detach()
    share = ((after - before).norm() / (online - before).norm()).item()
    print(f"ρ = 0.98, {name:15}: one call goes {share:.2f} of the way to the new network")

# %% [markdown]
# ## What the next lesson takes away again
#
# Two things in this agent are there for convenience. α is a number that we had to know. And V is a network that learns an average which one draw would estimate
# without bias, (18.8). How much better does the network know it than a single draw? On the states of the last batch, with the mean of 200 draws for the truth:

# %%
with torch.no_grad():
    obs = mine.seen
    draws = []
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        noise = torch.randn(len(obs), 1, generator=generator)
        action, log_prob = squashed_action(mine.policy, obs, noise)
        q = mine.critic1(obs, action), mine.critic2(obs, action)
        draws.append(sac_v_target(*q, log_prob, mine.alpha))
    draws = torch.stack(draws)
    truth = draws.mean(dim=0)
    of_network = (mine.v_net(obs) - truth).square().mean().sqrt().item()
    of_one_draw = (draws - truth).square().mean().sqrt().item()
print(
    f"error of V as a network {of_network:.2f}, of one draw {of_one_draw:.2f} (root mean squares)"
)
print("with", authorship("squashed_log_prob", *yours))

# %% [markdown]
# The network is a third regression with an error of its own, the larger of the two here, and that error is not averaged away by the next draw. Lesson 19 does without V, puts the draw in its place, and lets α find itself.

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** Somebody builds V's label from `batch.action` and its log π, to save a draw. What does their V estimate?
#
# <details><summary>Answer</summary>
#
# An average over the actions of the *buffer*, which older policies chose: not (18.2) of the policy of now. With it π is no longer evaluated, some mixture of its ancestors is, and
# $-\log\pi$ of their actions is a bonus that π never earned.
# </details>
#
# **2.** Somebody else writes $y=r+\gamma(1-d)\,[V(s')-\alpha\log\pi(\tilde a'|s')]$. What do they pay twice, and would you see it on Pendulum?
#
# <details><summary>Answer</summary>
#
# The bonus of $s'$: V has it already. With α = 0.2 and entropies between 0 and −1 nat it is at most 0.2 a step, small beside costs of up to 16: the curve of returns will hardly tell. In their Q
# every later bonus counts twice.
# </details>

# %% [markdown]
# ## Summary
#
# - The soft value of a policy is $\alpha\log Z$ minus α times its KL to $e^{Q/\alpha}/Z$: one draw from π replaces the integral, and to raise the value is to lower the KL.
# - Squashing by tanh divides the density by the slope $1-\tanh^2u$ in each dimension; its logarithm is taken as $2(\log2-u-\mathrm{softplus}(-2u))$, at the $u$ that was drawn.
# - V regresses on one fresh draw, $\min_jQ_{\phi_j}-\alpha\log\pi$; the critics regress at old actions on $r+\gamma(1-d)V_{\psi_{\text{targ}}}(s')$, with no bonus of their own.
# - The policy goes down $\alpha\log\pi-\min_jQ_{\phi_j}$ *through the action*; the normaliser drops out, the critics' weights stay, and Q's slope is what teaches.
# - This KL is weighed by the policy: it makes a policy of the wrong shape narrower than the target, $\sigma_i=\sqrt{\alpha/K_{ii}}$, and choose one of two humps.

# %% [markdown]
# ## Where this went
#
# What later methods change in the equations handed on below (V dropped and α learned is the next lesson):
#
# - **MPO** (Abdolmaleki et al. 2018): the KL the other way round: actions of the old policy, weighed by $e^{Q/\eta}$, are made likelier, under a bound on the KL; no $\nabla_aQ$.
# - **Discrete SAC** (Christodoulou 2019): finite actions: the averages over $\tilde a$ in V and $J_\pi$ become sums $\sum_a\pi(a|s)[\cdot]$; no noise, no tanh.
# - **AWAC** (Nair et al. 2020): the policy's loss becomes $-\mathbb E_{\mathcal D}[e^{A/\lambda}\log\pi_\theta(a|s)]$: stored actions only, to learn from a given data set.
# - **Implicit Q-learning** (Kostrikov et al. 2022): V stays, and is fitted to Q at *stored* actions by an asymmetric square in place of the mean over $\tilde a$: no action outside the data is asked for.
# - **Greedification by either KL** (Chan et al. 2022): both projections onto $e^{Q/\alpha}/Z$ compared, in theory and on small tasks.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Where the originals differ from this lesson, or err</summary>
#
# - *Lecture notes on Stein's identity and soft policy iteration*, §5: α = 1 from their eq. 1 on ("subsumed into the reward"): then rewards, V and Q are all in units of α. We keep α at the entropy; their
#   eqs. 3, 6, 7, 9 and 10 get it back before $\log\pi$. Eq. 8 has lost its $D_{KL}$: it reads $(\pi\,\|\,\exp(Q)/Z)$. Their $\hat Q$ has no $(1-d)$. Eq. 6 has the mean over $a$ *inside* the square, eq. 7 samples it: the gradient is
#   unbiased, the loss is not, as we saw.
# - Neither their Algorithm 4 nor the *pseudocode collection* (JoyRL, Datawhale; in Chinese), algorithm 12, sets $\psi_{\text{targ}}\leftarrow\psi$ at the start. The collection moves the state backwards, $s_{t+1}\leftarrow s_t$, and its first line
#   has lost a bar and an index. Both write $\tau=1-\rho$.
# - *Slides on continuous control*: after the tanh the policy is said not to be a factored Gaussian. It is not a Gaussian, but it is still factored: this is why the determinant is a sum over dimensions.
# - Haarnoja et al. 2018a: the text has the smaller critic in (18.8) and in (18.13); the authors' released code takes it in V's label only, and the first critic in the policy's loss.
# </details>

# %% [markdown]
# ## What we hand on
#
# Three regressions that belong together, with α a number:
#
# $$\begin{aligned}V_\psi(s)\;&\leftarrow\;\mathbb E_{\tilde a\sim\pi_\theta}\Big[\min_jQ_{\phi_j}(s,\tilde a)-\alpha\log\pi_\theta(\tilde a|s)\Big],\\
# Q_{\phi_j}(s,a)\;&\leftarrow\;r+\gamma\,(1-d)\,V_{\psi_{\text{targ}}}(s'),\\
# \pi_\theta\;&\to\;\arg\min_\pi D_{KL}\big(\pi\,\big\|\,e^{Q/\alpha}/Z\big)\end{aligned}$$
#
# Lesson 19 puts the first line into the second, so that V is not needed any more, and asks for an entropy in place of α.
