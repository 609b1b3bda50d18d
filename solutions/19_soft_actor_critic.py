# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 19 · Soft actor-critic with a learned temperature
#
# Part IV · 13 → 14 → 15 → 16 → 17 → 18 → **19** → 20
#
# - **You will be able to** write SAC as it is used today: without a value network, and with a temperature
#   that finds itself. You can derive the temperature's loss from a constraint on the entropy, say what the
#   target entropy means, and name, line by line, what SAC shares with TD3 and what not.
# - **Builds on** lesson 13 (pathwise gradients), 15 (TD3), 16 (maximum entropy), 18 (the first form of SAC).
# - **Time** 140 minutes alone, in two sittings with a break between; 80 as a lecture.
# - **Sources** Haarnoja et al. 2018b (*Soft Actor-Critic Algorithms and Applications*, arXiv 1812.05905)
#   §4–6; Haarnoja et al. 2018a (arXiv 1801.01290); Fujimoto et al. 2018 (TD3); Boyd & Vandenberghe, *Convex
#   Optimization*, chapter 5 (duality); the lecture slides on continuous control (DDPG, TD3, SAC); a Chinese
#   pseudocode collection of twelve algorithms, its numbers 12 and 13; the lecture slides on Q-learning (SAC without
#   entropy, on their last page).

# %%
import inspect
import tempfile

import gymnasium as gym
import numpy as np
import torch
from torch.nn.functional import mse_loss

from rlcourse.checker import authorship, check, whose
from rlcourse.continuous.sac import SAC, squashed_action, squashed_log_prob
from rlcourse.continuous.td3 import TD3, clipped_double_q_target
from rlcourse.lab import plots, videos
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.networks import polyak_update
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.progress import seeds
from rlcourse.lab.replay import Batch
from rlcourse.tabular import mdp

torch.set_num_threads(1)

# %% [markdown]
# ## What we inherit
#
# Lesson 16 paid the agent a bonus of α per **nat** of entropy in every state. (A nat is the unit of $-\log\pi$ with the natural
# logarithm; with $\log_2$ it would be bits, and one nat is 1.44 of them.) $V^\pi$ counts all bonuses; $Q^\pi(s,a)$
# counts all but the first, because in $Q^\pi(s,a)$ the first action is given and nothing about it is random. With $d=1$ where
# $s'$ is terminal, the **soft Bellman equation** is the pair
#
# $$Q^\pi(s,a) = \mathbb E_{s'}\big[\,r + \gamma\,(1-d)\,V^\pi(s')\,\big] \tag{19.1}$$
#
# $$V^\pi(s) = \mathbb E_{a\sim\pi}\big[\,Q^\pi(s,a) - \alpha\log\pi(a|s)\,\big] \tag{19.2}$$
#
# Lesson 18 drew actions from a **squashed Gaussian**: $\tilde a = \tanh(u)$ with
# $u = \mu_\theta(s) + \sigma_\theta(s)\,\xi$ and $\xi\sim\mathcal N(0, I)$. Squashing moves probability about, and the
# change of variables says how:
#
# $$\log\pi_\theta(\tilde a|s) = \log\mathcal N(u;\mu_\theta,\sigma_\theta) - \sum_j\log\big(1-\tanh^2u_j\big) \tag{19.3}$$
#
# And it improved the policy by moving it towards $e^{Q/\alpha}/Z$. The divergence from there is
# $\mathrm{KL} = \mathbb E_{a\sim\pi}[\log\pi - Q/\alpha + \log Z]$; multiply by α and drop $\alpha\log Z$, which no policy can
# change:
#
# $$J_\pi(\theta) = \mathbb E_{s\sim\mathcal D,\;\tilde a\sim\pi_\theta}\big[\,\alpha\log\pi_\theta(\tilde a|s) - Q(s,\tilde a)\,\big] \tag{19.4}$$
#
# These two are lesson 18's. In its first form, SAC learned three kinds of networks: π, two critics Q, and a value network V with its slow copy,
#
# $$\begin{aligned}V_\psi(s)\;&\leftarrow\;\mathbb E_{\tilde a\sim\pi_\theta}\Big[\min_jQ_{\phi_j}(s,\tilde a)-\alpha\log\pi_\theta(\tilde a|s)\Big],\\
# Q_{\phi_j}(s,a)\;&\leftarrow\;r+\gamma\,(1-d)\,V_{\psi_{\text{targ}}}(s'),\\
# \pi_\theta\;&\to\;\arg\min_\pi D_{KL}\big(\pi\,\big\|\,e^{Q/\alpha}/Z\big)\end{aligned}$$
#
# and **α was a number that somebody had to find.**

# %% [markdown]
# Before we build on them, two of these claims by number. First (19.3): a density over $(-1,1)$ has to integrate to one, and
# the correction must be $\log|da/du|$.

# %%
a = (np.arange(20_000) + 0.5) / 10_000 - 1  # midpoints of (−1, 1)
u = torch.tensor(np.arctanh(a))[:, None]
mean, log_std = torch.tensor([[0.4]], dtype=torch.float64), torch.tensor([[-0.3]]).double()
density = squashed_log_prob(u, mean, log_std).exp().numpy()

gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(u)[:, 0].numpy()
step = 1e-6
slope = (torch.tanh(u + step) - torch.tanh(u - step))[:, 0].numpy() / (2 * step)  # da/du
print(f"∫ π(a) da over (−1, 1): {density.mean() * 2:.5f}; without the correction: "
      f"{np.exp(gaussian).mean() * 2:.5f}")  # fmt: skip
error = np.abs(np.log(density) - (gaussian - np.log(slope)))[np.abs(a) < 0.999].max()
print(f"largest difference between (19.3) and log N − log da/du: {error:.1e}")
assert abs(density.mean() * 2 - 1) < 1e-4 and error < 1e-6

# %% [markdown]
# Second, (19.1) and (19.2) on a random MDP. Putting one into the other makes a linear system for $V^\pi$, with the bonus
# added to the reward. Solve it, compute Q by (19.1), and see whether (19.2) gives V back.

# %%
rng = np.random.default_rng(0)
world = mdp.garnet(n_states=6, n_actions=3, branching=3, rng=rng)
alpha, gamma, pi = 0.5, world.gamma, rng.dirichlet(np.ones(3), size=6)
P_pi, r_pi = mdp.policy_transition(world.P, pi), mdp.policy_reward(world.R, pi)
bonus = -alpha * (pi * np.log(pi)).sum(axis=1)  # α H(π(·|s))
v = np.linalg.solve(np.eye(6) - gamma * P_pi, r_pi + bonus)
q = world.R + gamma * world.P @ v  # (19.1)
again = (pi * (q - alpha * np.log(pi))).sum(axis=1)  # (19.2)
print("V from the linear system:", v.round(4))
print("V from Q by (19.2):      ", again.round(4))
assert np.allclose(v, again)

# %% [markdown]
# ## Guess first
#
# Your colleague's SAC works well with α = 0.2. Then somebody changes the units of the reward: every number is **ten times**
# as large as before. The task is the same task.
#
# **What must become of α so that the policy stays the same? And what must become of the *entropy* that the policy
# has?**
#
# <details><summary>I have guessed. What happens?</summary>
#
# α is a price, in units of reward per nat. Ten times the rewards need ten times the price. The entropy does not know about
# rewards: it stays as it is. A figure below shows both. So whoever fixes α fixes something that depends on the units, the
# task and the progress made; whoever fixes the *entropy* does not. This lesson turns the one into the other.
# </details>

# %% [markdown]
# ## First: no value network
#
# V was there because $(19.2)$ is an expectation over actions, and the target of Q needs it in $s'$. But lesson 05 has taught us what
# to do with an expectation that we can sample. Put (19.2) into (19.1):
#
# $$Q^\pi(s,a) = \mathbb E_{s'}\Big[\,r + \gamma\,(1-d)\;\mathbb E_{\tilde a'\sim\pi(\cdot|s')}\big[\,Q^\pi(s',\tilde a') - \alpha\log\pi(\tilde a'|s')\,\big]\Big] \tag{19.5}$$
#
# Now Q alone is on both sides. Sample both expectations: $s'$ comes from the replay buffer, and $\tilde a'$ **must not**. The
# buffer's next action was chosen by some policy of long ago; (19.5) asks what the *current* π would do, so we draw it afresh. For
# the two other troubles of bootstrapping, the remedies are those of lessons 08 and 15: slow copies of the critics, and the
# smaller of two.
#
# $$y = r + \gamma\,(1-d)\,\Big[\min_{j=1,2}Q_{\phi_{\text{targ},j}}(s',\tilde a') - \alpha\log\pi_\theta(\tilde a'|s')\Big],
# \qquad \tilde a'\sim\pi_\theta(\cdot|s') \tag{19.6}$$
#
# Look at where the bonus stands: **inside** the bracket. It is the bonus of $s'$, so it is discounted like everything that happens
# in $s'$; and after a terminal state no action is drawn, so there is no bonus either.

# %% [markdown]
# Is a sample good enough to replace a network? On the random MDP we know Q: draw many $(s', \tilde a')$ from one state and action
# and average the brackets of (19.5), with one drawn action each, and with V in its place.

# %%
n = 20_000
s_next = rng.choice(6, size=n, p=world.P[2, 1])
a_next = (rng.random((n, 1)) > pi[s_next].cumsum(axis=1)).sum(axis=1)  # one action a row, from π
soft = q[s_next, a_next] - alpha * np.log(pi[s_next, a_next])
targets = {"with V(s')": world.R[2, 1] + gamma * v[s_next],
           "with one ã'": world.R[2, 1] + gamma * soft}  # fmt: skip
print(f"Q(2, 1) = {q[2, 1]:.3f}")
for name, y in targets.items():
    error = y.std() / np.sqrt(n)
    print(f"{name:12} mean {y.mean():.3f} ± {error:.3f}, standard deviation {y.std():.3f}")
    assert abs(y.mean() - q[2, 1]) < 4 * error

# %% [markdown]
# Both are right on average. The sampled one is noisier, and that is what V was averaging away. What we gain: no
# third regression whose errors the critics would copy, and nothing that lags behind Q.

# %% [markdown] task="sac_target"
# ### Exercise 19.1 · `sac_target`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute (19.6) for a batch. `q1_next`, `q2_next` and `log_prob_next` belong to the same freshly drawn $\tilde a'$. `alpha` is a
# number or a tensor of shape (). Rows that terminated hold arbitrary numbers in all three.
#
# The target is a mere number to whoever regresses on it: no gradient may flow through it into *any* argument.


# %% exercise="sac_target" points=2
def sac_target(reward, q1_next, q2_next, log_prob_next, terminated, gamma, alpha):
    """The target of both critics (19.6).

    reward, q1_next, q2_next, log_prob_next, terminated: (B,); gamma: in [0, 1]; alpha: ≥ 0.
    Returns (B,), detached.
    """
    ### BEGIN SOLUTION
    soft_value = torch.minimum(q1_next, q2_next) - alpha * log_prob_next
    return (reward + gamma * (1 - terminated) * soft_value).detach()  # (19.6)
    ### END SOLUTION


# %% [markdown] hints="sac_target"
# <details><summary>In which order do I read (19.6)?</summary>
#
# From the inside out: the smaller critic, row by row; then the bonus, which makes it a soft value; then everything that a next
# state's value goes through: mask, discount, reward.
# </details>
# <details><summary>Is the bonus added or subtracted?</summary>
#
# The bonus is α times the entropy, and the entropy is the mean of *minus* log π. An unlikely action has a very negative log π:
# it should raise the target.
# </details>
# <details><summary>How do I get the minimum of two vectors, and stop the gradient?</summary>
#
# PyTorch has a function that compares two tensors entry by entry (the one that takes a single tensor gives one number for the
# whole batch). Stop the gradient once, at the very end, so that nothing is forgotten.
# </details>

# %% check="sac_target"
sac_target = check("sac_target")

# %% [markdown]
# With α = 0 nothing is soft, and the formula should be one that you know from lesson 15:

# %%
reward, q1, q2, log_prob = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
d = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0])
hard = clipped_double_q_target(reward, q1, q2, d, 0.9)  # TD3's
print("TD3's target:", hard.numpy().round(3))
for alpha in (0.0, 0.5):
    soft = sac_target(reward, q1, q2, log_prob, d, 0.9, alpha)
    print(f"{whose('sac_target')} target, α = {alpha}:", soft.numpy().round(3))
assert torch.allclose(hard, sac_target(reward, q1, q2, log_prob, d, 0.9, 0.0))

# %% [markdown]
# The slides on Q-learning print this very thing, *SAC without its entropy term*: TD3's target, with an action that the current policy
# draws, and an actor that follows $Q_{\phi_1}$ alone. Nothing in it asks the policy to stay random. What becomes of its σ? The ablation near
# the end has a run with next to no α.

# %% [markdown]
# ## Second: from a price to a budget
#
# Say what we want instead of what it costs: *collect as much as you can, but stay at least this random*. For one state with
# known $Q(a)$, and a **target entropy** $\bar{\mathcal H}$ in nats:
#
# $$\max_\pi\;\mathbb E_{a\sim\pi}[Q(a)]\quad\text{subject to}\quad \mathcal H(\pi)\ge\bar{\mathcal H} \tag{19.7}$$
#
# A constraint is turned into a price by Lagrange's trick. Write down what (19.7) would pay if breaking the constraint cost α a nat:
#
# $$L(\pi,\alpha) = \mathbb E_\pi[Q] + \alpha\,\big(\mathcal H(\pi)-\bar{\mathcal H}\big),\qquad \alpha\ge0 \tag{19.8}$$
#
# There is our α again: for fixed α, maximising $L$ over π is maximum entropy. Now let an *opponent* choose α, so as to make $L$ as small as
# possible. If π keeps the constraint, the opponent's best is $\alpha(\mathcal H-\bar{\mathcal H})=0$, and $\mathbb E_\pi[Q]$ is left. If π breaks it,
# he raises α without end, and $L$ falls to −∞. So breaking it never pays, and (19.7) is the same as
#
# $$\max_\pi\;\min_{\alpha\ge0}\;L(\pi,\alpha) \tag{19.9}$$

# %% [markdown]
# **Change the order.** Who moves second has the advantage, so $\min_\alpha\max_\pi L\ge\max_\pi\min_\alpha L$ always. Here both are
# *equal*: $L$ is concave in π (the mean is linear in π, the entropy concave), linear in α, and there is a policy that
# has more entropy than is asked (this is called strong duality; Boyd & Vandenberghe, §5.2.3 and 5.4). So we may let α move first and
# look for the minimum of
#
# $$g(\alpha) = \max_\pi L(\pi,\alpha) \tag{19.10}$$
#
# **The inner maximum we know**: it is $\pi_\alpha = e^{Q/\alpha}/Z_\alpha$, by (19.4). Then $-\log\pi_\alpha = \log Z_\alpha - Q/\alpha$, so
# $\alpha\mathcal H(\pi_\alpha) = \alpha\log Z_\alpha - \mathbb E[Q]$, and the two $\mathbb E[Q]$ in (19.8) cancel:
#
# $$g(\alpha) = \alpha\log Z_\alpha - \alpha\bar{\mathcal H},\qquad Z_\alpha = \int e^{Q(a)/\alpha}\,da \tag{19.11}$$
#
# **Its slope.** Inside $Z_\alpha$ the derivative of $e^{Q/\alpha}$ is $-\tfrac{Q}{\alpha^2}e^{Q/\alpha}$, so
# $\alpha\,Z'_\alpha/Z_\alpha = -\mathbb E[Q]/\alpha$ and
#
# $$g'(\alpha) = \log Z_\alpha - \frac{\mathbb E[Q]}{\alpha} - \bar{\mathcal H} = \mathcal H(\pi_\alpha) - \bar{\mathcal H} \tag{19.12}$$
#
# How simple that is! The slope of the dual is the entropy that we have minus the entropy that we want. **Going down
# the slope: too little entropy, α rises; too much, α falls.**

# %% [markdown]
# ### Talk to your neighbour
# The price of a nat goes up a little. The entropy of the best policy $\pi_\alpha$
#
# **A** always rises · **B** always falls · **C** rises or falls, depending on Q
#
# <details><summary>Answer</summary>
#
# **A**, and the next lines prove it. If it could fall, the constraint might hold at several prices, and α would not know where to go.
# </details>

# %% [markdown]
# **One minimum?** Differentiate once more. With $\mathcal H = \log Z_\alpha - \mathbb E[Q]/\alpha$ the terms in $\mathbb E[Q]/\alpha^2$ cancel, and
# $-\tfrac1\alpha\tfrac{d}{d\alpha}\mathbb E[Q]$ is left. The derivative of a mean under $e^{Q/\alpha}/Z$ is the covariance with the
# exponent's derivative, $-\mathrm{Var}[Q]/\alpha^2$. Hence
#
# $$g''(\alpha) = \frac{d}{d\alpha}\mathcal H(\pi_\alpha) = \frac{\mathrm{Var}_{\pi_\alpha}[Q]}{\alpha^3}\;\ge\;0 \tag{19.13}$$
#
# The dual is convex, and a higher price always buys more entropy. Check all of it, on actions in $(-1,1)$ and some bumpy $Q$: the
# maximum (19.11) against other policies, (19.12) and (19.13) against finite differences.


# %%
def best_policy(q, alpha):
    """π_α on the grid `a`, its log, and log Z_α."""
    log_z = q.max() / alpha + np.log(np.exp((q - q.max()) / alpha).mean() * 2)
    return np.exp(q / alpha - log_z), q / alpha - log_z, log_z


def entropy_of(pi, log_pi):
    return -(pi * log_pi).mean() * 2  # ∫ … da over (−1, 1)


q_bumpy, goal, eps = np.cos(4 * a) + a, -1.0, 1e-4
for alpha in (0.05, 0.2, 1.0):
    g = {x: x * best_policy(q_bumpy, x)[2] - x * goal for x in (alpha - eps, alpha, alpha + eps)}
    pi_a, log_pi_a, _ = best_policy(q_bumpy, alpha)
    has = entropy_of(pi_a, log_pi_a)
    slope = (g[alpha + eps] - g[alpha - eps]) / (2 * eps)
    bend = (g[alpha + eps] - 2 * g[alpha] + g[alpha - eps]) / eps**2
    variance = (pi_a * q_bumpy**2).mean() * 2 - ((pi_a * q_bumpy).mean() * 2) ** 2
    print(f"α = {alpha}: g' = {slope:.4f}, entropy − target = {has - goal:.4f};  "
          f"g'' = {bend:.3f}, Var/α³ = {variance / alpha**3:.3f}")  # fmt: skip
    assert abs(slope - (has - goal)) < 1e-3 and abs(bend - variance / alpha**3) < 0.01 * abs(bend)
    for other in (0.5 * alpha, 2 * alpha):  # policies for another price do worse at this one
        p, log_p, _ = best_policy(q_bumpy, other)
        assert (p * q_bumpy).mean() * 2 + alpha * (entropy_of(p, log_p) - goal) < g[alpha]

# %% [markdown]
# Look at it. On the left the best policy for a price α, above the Q that it serves; on the right the dual, with its slope at that price. **Drag the price** to where the
# slope vanishes: what is the entropy there?

# %% tags=["hide-input"]
along = np.geomspace(0.015, 1.0, 120)
dual_at = [x * best_policy(q_bumpy, x)[2] - x * goal for x in along]


def draw(price):
    pi_a, log_pi_a, log_z = best_policy(q_bumpy, price)
    has, g = entropy_of(pi_a, log_pi_a), price * log_z - price * goal
    left, right = plots.axes(1, 2, size="wide")
    left.plot(a, pi_a, label="π, the best for this price")
    left.plot(a, q_bumpy, color=plots.INK, linestyle=":", label="Q")
    left.set(
        xlabel="action", ylim=(-2.2, 9.5), title=f"entropy {has:.2f} nats, asked for {goal:.0f}"
    )
    left.set_xticks([-1, -0.5, 0, 0.5, 1])
    left.legend(loc="upper left")
    right.plot(along, dual_at)
    step = 0.12
    right.plot([price - step, price + step], [g - step * (has - goal), g + step * (has - goal)],
               color=plots.PALETTE["vermilion"], linestyle="-")  # fmt: skip
    right.plot(price, g, "o", color=plots.PALETTE["vermilion"])
    right.set(xlabel="price α", ylabel="dual g(α)", xlim=(0, 1), ylim=(0.8, 1.95))
    right.set_title(f"slope {has - goal:+.2f}")
    return left


prices = [0.03, 0.05, 0.08, 0.1, 0.113, 0.15, 0.2, 0.3, 0.5, 0.8]
plots.slide(draw, prices, name="price α", start=1, alt="Left: the best policy for a price, narrow for a low one and "
            "wide for a high one. Right: the dual over the price and its tangent, which is level where the "
            "entropy is the target.")  # fmt: skip

# %% [markdown]
# And here is the answer to the guess: the entropy that each price buys, for these rewards and for ten times these rewards.

# %%
prices = np.geomspace(0.01, 10, 200)
found, entropies = {}, {}
for times in (1, 10):
    bought = np.array([entropy_of(*best_policy(times * q_bumpy, x)[:2]) for x in prices])
    entropies[f"rewards × {times}"] = bought
    found[times] = np.exp(np.interp(goal, bought, np.log(prices)))  # where entropy = target
print(f"price for {goal} nats: {found[1]:.3f}, with tenfold rewards {found[10]:.3f}")
assert abs(found[10] / found[1] - 10) < 0.01

# %% tags=["hide-input"]
ax = plots.curves(entropies, x=prices, xlabel="price α", ylabel="entropy (nats)")
ax.axhline(goal, color=plots.INK, linewidth=1.2, linestyle=":")
ax.annotate("target", (10, goal), xytext=(0, -4), textcoords="offset points", ha="right", va="top")
ax.set_xscale("log")
plots.show(ax, alt="Entropy rises with the price; the curve for tenfold rewards is the same, shifted to "
           "tenfold prices.")  # fmt: skip

# %% [markdown]
# ### Many states
#
# With states the same argument runs over whole trajectories. Ask that the entropy, averaged over the states that π visits (early
# ones counting more, by $\gamma^t$), be at least $\bar{\mathcal H}$. The Lagrangian is
#
# $$\begin{aligned}L(\pi,\alpha) &= \mathbb E_\tau\Big[\sum_t\gamma^t\big(r_t+\alpha\,\mathcal H(\pi(\cdot|s_t))\big)\Big] - \frac{\alpha\,\bar{\mathcal H}}{1-\gamma},\\
# g'(\alpha) &= \frac{1}{1-\gamma}\,\mathbb E_{s\sim\eta^{\pi_\alpha}}\big[\mathcal H(\pi_\alpha(\cdot|s)) - \bar{\mathcal H}\big]\end{aligned} \tag{19.14}$$
#
# The first part *is* the entropy-augmented return of lesson 16, so the inner maximum is soft policy iteration's; the rest does not
# depend on π. The slope needs no new computation: at a maximum over π, a small change of π changes nothing to first order, so only
# the α that is *written* in $L$ has to be differentiated. $\eta^\pi$ is lesson 01's occupancy. (The paper asks for $\bar{\mathcal H}$ at every step, with a
# price for each; then it, too, keeps a single α.) Two sides of (19.14), on the random MDP:


# %%
def soft_optimum(alpha):
    """The best policy for price α, and its soft values, by soft value iteration."""
    v = np.zeros(world.n_states)
    for _ in range(500):
        q = world.R + world.gamma * world.P @ v
        v = q.max(1) + alpha * np.log(np.exp((q - q.max(1)[:, None]) / alpha).sum(1))
    return np.exp((q - v[:, None]) / alpha), v


def dual(alpha, goal):
    return world.start @ soft_optimum(alpha)[1] - alpha * goal / (1 - world.gamma)


for alpha in (0.1, 0.5, 2.0):
    best, _ = soft_optimum(alpha)
    P_best = mdp.policy_transition(world.P, best)
    occupancy = mdp.discounted_occupancy(P_best, world.start, world.gamma)
    has = -(best * np.log(best)).sum(axis=1)
    exact = occupancy @ (has - 0.5) / (1 - world.gamma)
    slope = (dual(alpha + 1e-5, 0.5) - dual(alpha - 1e-5, 0.5)) / 2e-5
    print(f"α = {alpha}: slope by differences {slope:8.4f}, by (19.14) {exact:8.4f}")
    assert abs(slope - exact) < 1e-3

# %% [markdown]
# ## The temperature's loss
#
# Now let everything be learned at once. We do not have $\pi_\alpha$, but a policy network on its way there; not $\eta^\pi$, but the
# states in the replay buffer; not the entropy, but samples of $-\log\pi(\tilde a|s)$. Keep the π that we have fixed, and (19.8) as a
# function of α alone is, up to what does not depend on α,
#
# $$J(\alpha) = \mathbb E_{s\sim\mathcal D,\;\tilde a\sim\pi_\theta}\big[-\alpha\,\big(\log\pi_\theta(\tilde a|s)+\bar{\mathcal H}\big)\big],
# \qquad \frac{dJ}{d\alpha} = \mathcal H-\bar{\mathcal H} \tag{19.15}$$
#
# One step down $J$ for α, one step of the policy for its own loss, and so on in turns: **dual gradient descent**. The log-probabilities in $J$ are
# *numbers*. The policy does not get a gradient from $J$: it has a loss of its own, and this one would only push it to lower or raise its
# entropy wherever that is cheap.
#
# A price must not be negative. So what the optimiser moves is $\log\alpha$, and $\alpha=e^{\log\alpha}$ is positive whatever it does:
#
# $$\frac{dJ}{d\log\alpha} = \alpha\,(\mathcal H-\bar{\mathcal H}) \tag{19.16}$$

# %% [markdown] task="temperature_loss"
# ### Exercise 19.2 · `temperature_loss`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute $J(\alpha)$ of (19.15) for a batch, as a mean. `log_alpha` is a tensor of shape () that wants a gradient; `log_prob` comes
# straight from the policy, with its gradient still attached.
#
# (Many libraries put $\log\alpha$ before the bracket where (19.15) has α. Its gradient is (19.16) without the factor α: the same sign,
# another scale. That is accepted too.)


# %% exercise="temperature_loss" points=2
def temperature_loss(log_alpha, log_prob, target_entropy):
    """The temperature's loss J(α) (19.15).

    log_alpha: (), trained; log_prob: (B,), log π(ã|s); target_entropy: in nats. Returns a scalar, whose
    gradient is (19.16) for log_alpha and nothing for the policy.
    """
    ### BEGIN SOLUTION
    shortfall = log_prob.detach() + target_entropy  # mean: target minus entropy
    return -(log_alpha.exp() * shortfall).mean()  # (19.15)
    ### END SOLUTION


# %% [markdown] hints="temperature_loss"
# <details><summary>What exactly is multiplied by what?</summary>
#
# For every row: log π plus the target, times α, times −1. Then the mean over the rows.
# </details>
# <details><summary>Where do I get α, and may I detach it?</summary>
#
# From its logarithm, by the exponential, inside this function: the gradient has to find its way back through it. What must be
# detached is the other factor.
# </details>
# <details><summary>How can I tell whether my sign is right?</summary>
#
# Take a policy that is nearly deterministic: log π is large and positive, the entropy far below the target. α has to *grow*, so
# the gradient by `log_alpha` must be negative: an optimiser subtracts it.
# </details>

# %% check="temperature_loss"
temperature_loss = check("temperature_loss")

# %% [markdown]
# The gradient against finite differences, and the sign of the step, for policies below, at and above a target of −1 nat:

# %%
for has in (-3.0, -1.0, 0.5):
    log_prob = -has + 0.3 * torch.randn(200, generator=torch.Generator().manual_seed(1)).double()
    log_prob -= log_prob.mean() + has  # the entropy is exactly `has`
    log_alpha = torch.tensor(-0.7, dtype=torch.float64, requires_grad=True)
    temperature_loss(log_alpha, log_prob, -1.0).backward()
    above, below = (temperature_loss(log_alpha.detach() + e, log_prob, -1.0) for e in (1e-5, -1e-5))
    slope, exact = (above - below).item() / 2e-5, np.exp(-0.7) * (has + 1.0)
    moves = "stays" if abs(exact) < 1e-9 else ("falls" if log_alpha.grad > 0 else "rises")
    print(f"entropy {has:4}: gradient {log_alpha.grad.item():7.4f}, differences {slope:7.4f}, "
          f"(19.16) {exact:7.4f}: α {moves}")  # fmt: skip
    other = has + 1.0  # of the libraries that put log α before the bracket
    assert abs(log_alpha.grad.item() - slope) < 1e-6
    assert min(abs(slope - exact), abs(slope - other)) < 1e-6

# %% [markdown]
# ## Which target?
#
# We have replaced one number by another. Is $\bar{\mathcal H}$ easier to choose? It lives in known units: nats, of an action in
# $(-1,1)^D$, whatever the task pays. Some landmarks for one dimension:
#
# - The most random policy of all is uniform on $(-1,1)$: $\log2\approx0.69$ nats. **More than that nobody can have.**
# - Uniform on an interval of width $w$: $\log w$. So −1 nat is as random as uniform on an interval of width
#   $e^{-1}\approx0.37$, less than a fifth of the range.
# - The entropy of a density has no lower end: it goes to −∞ as the policy becomes deterministic. *Negative* entropy only means narrower than an
#   interval of length 1.
# - The entropies of independent dimensions add up. $D$ dimensions, one nat below zero each:
#
# $$\bar{\mathcal H} = -\dim(\mathcal A) \tag{19.17}$$
#
# That is a rule of thumb, not a theorem; Haarnoja et al. used it for all of their tasks. It is the **default** from here on: wherever a target
# entropy is `None`, minus the number of action dimensions is meant.

# %%
half = 0.5 * np.exp(-1.0)
inside = np.abs(a) < half  # uniform on an interval of width 1/e
print(f"uniform on (−1, 1): {entropy_of(np.full(len(a), 0.5), np.log(0.5)):.3f} nats")
print(f"uniform on ({-half:.3f}, {half:.3f}): {np.log(inside.mean() * 2):.3f} nats")

# %% [markdown]
# ## One world where the answer can be had on paper
#
# Where does all this end? In general nobody can say beforehand; that is why α is learned. But there is one world in which everything has a
# closed form. One step, actions $a$ in all of $\mathbb R^D$, and a reward that falls off like a parabola, with another curvature in every direction:
#
# $$Q(a) = Q_{\max}-\tfrac12\sum_{i=1}^D k_i\,(a_i-m_i)^2,\qquad \pi_\alpha(a)\propto e^{Q(a)/\alpha},\qquad \mathcal H(\pi_{\alpha^*})=\bar{\mathcal H} \tag{19.18}$$
#
# By (19.12), $\alpha^*$ is where the slope of the dual is zero: there, and nowhere else, your `temperature_loss` comes to rest.

# %% [markdown] task="quadratic_temperature"
# ### Exercise 19.3 · `quadratic_temperature`
# **Points** 2 · **Difficulty** ●●○ · **Time** 20 min · ✎ on paper
#
# Derive $\alpha^*$ of (19.18), and write the formula as a function:
#
# 1. Which distribution is $\pi_\alpha$? (You know its name, its mean, and what α and $k_i$ have to do with its width.)
# 2. What is its entropy, as a function of α?
# 3. At which α is that entropy $\bar{\mathcal H}$?
#
# `curvature` is a NumPy array (D,) of $k_i>0$. `target_entropy` is a float in nats, or `None` for the default (19.17). Return a float. D may be as
# large as 200, and the $k_i$ lie anywhere between 0.001 and 1000: mind what a product of so many numbers does.


# %% exercise="quadratic_temperature" points=2
def quadratic_temperature(curvature, target_entropy=None):
    """The temperature α* of (19.18), at which the soft-optimal policy has the target entropy.

    curvature: (D,), k > 0; target_entropy: in nats, None for (19.17). Returns a float.
    """
    ### BEGIN SOLUTION
    D = len(curvature)
    goal = -D if target_entropy is None else target_entropy
    # Normal with variances α/k: its entropy is ½ Σ log(2πe α/k_i)
    # = D/2 · (log 2πe + log α − mean log k).
    log_alpha = 2 * goal / D - np.log(2 * np.pi * np.e) + np.log(curvature).mean()
    return float(np.exp(log_alpha))  # (19.18)
    ### END SOLUTION


# %% [markdown] hints="quadratic_temperature"
# <details><summary>Which distribution is e to the power of minus a square?</summary>
#
# Write the exponent of a density that you know, with mean $\mu$ and standard deviation σ, below the exponent $Q(a)/\alpha$, and compare what stands
# before the square. One direction at a time: the exponential of a sum is a product, so the directions are independent.
# </details>
# <details><summary>How do I get its entropy, and that of all directions together?</summary>
#
# An entropy is the mean of minus the log density. That logarithm has two parts: the normaliser, which is a number, and a square whose mean you know
# without integrating. And the entropies of independent directions add up.
# </details>
# <details><summary>How do I solve for α, and without a product of 200 numbers?</summary>
#
# Every term of the sum holds log α minus the logarithm of its own $k_i$. Collect the one, and leave the others as what they are: a sum of logarithms.
# Only the last line needs an exponential.
# </details>

# %% check="quadratic_temperature"
quadratic_temperature = check("quadratic_temperature")

# %% [markdown]
# Now let your loss find that number. Three directions of very different curvature, the default target, and one σ a direction, learned beside α by
# (19.4), from prices ten times too low and ten times too high, each with the σ that is best for it. (σ takes the larger steps: (19.15)
# trusts that the policy keeps up with the price.)

# %%
k = torch.tensor([1.0, 10.0, 0.3])
alpha_star = quadratic_temperature(k.double().numpy())
paths, torch_rng = {}, torch.Generator().manual_seed(0)
for start, factor in {"ten times too low": 0.1, "ten times too high": 10.0}.items():
    log_alpha = torch.tensor(np.log(factor * alpha_star)).requires_grad_()
    log_sigma = (0.5 * torch.log(factor * alpha_star / k)).requires_grad_()
    groups = [{"params": [log_alpha], "lr": 0.02}, {"params": [log_sigma], "lr": 0.05}]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
    paths[start] = []
    for _ in range(800):
        action = log_sigma.exp() * torch.randn(128, 3, generator=torch_rng)  # m = 0
        log_prob = torch.distributions.Normal(0.0, log_sigma.exp()).log_prob(action).sum(dim=1)
        q_drawn = -0.5 * (k * action**2).sum(dim=1)
        policy_loss = (log_alpha.exp().detach() * log_prob - q_drawn).mean()  # (19.4)
        optimizer.zero_grad()
        (policy_loss + temperature_loss(log_alpha, log_prob, -3.0)).backward()
        optimizer.step()
        paths[start].append(log_alpha.exp().item())
    last = np.mean(paths[start][-200:])
    print(f"{start:18}: α = {last:.5f}")
    assert abs(last / alpha_star - 1) < 0.1
print(f"{'on paper':18}: α = {alpha_star:.5f}, with {authorship('quadratic_temperature')}")

# %% tags=["hide-input"]
ax = plots.curves({name: np.array(path) for name, path in paths.items()},
                  xlabel="step", ylabel="temperature α")  # fmt: skip
ax.axhline(alpha_star, color=plots.INK, linewidth=1.2, linestyle=":")
ax.annotate("on paper", (0, alpha_star), xytext=(4, 4), textcoords="offset points", va="bottom")
ax.set_yscale("log")
plots.show(ax, alt="Two curves of α over steps, one from far below and one from far above, both end at the "
           "dotted line, the value of the closed form.")  # fmt: skip
print("moved by " + authorship("temperature_loss"))

# %% [markdown]
# Both arrive at the dotted line, the number from your paper. Neither was told $k$.
#
# What else does the formula say? Change the units of the reward, $Q\to10\,Q$, or ask for actions of more dimensions:

# %%
curvature = k.double().numpy()
print(f"α* for Q: {alpha_star:.5f}, for 10 Q: {quadratic_temperature(10 * curvature):.5f}")
for D in (1, 2, 6, 100):
    print(f"α* for {D:3} dimensions with k = 3 each: {quadratic_temperature(np.full(D, 3.0)):.5f}")
assert np.isclose(quadratic_temperature(10 * curvature), 10 * alpha_star)
assert np.isclose(quadratic_temperature(np.full(100, 3.0)), quadratic_temperature(np.full(1, 3.0)))

# %% [markdown]
# A reward that is stretched stretches α with it: a *learned* α needs no reward scale, a fixed one does. That was the guess. And with equal curvatures
# α* is the same in every number of dimensions: that is what the default (19.17) is for.

# %% [markdown]
# ## Break
#
# A good place to stop. **Checkpoint:** you have three ✓ (19.1 to 19.3). You can say the slope (19.12) in words: *too little entropy, α rises*. And you know
# the number of nats that no policy on $(-1,1)$ can exceed. What follows builds the agent from these pieces and trains it.

# %% [markdown]
# ## The policy's loss, once more
#
# Equation (19.4) with everything that practice puts into it. The action is $\tilde a_\theta(s,\xi) = \tanh(\mu_\theta(s)+\sigma_\theta(s)\,\xi)$, a
# function of θ, so the gradient reaches θ *through the action*, twice: through Q and through log π (lesson 13's pathwise gradient). And
# Q is the smaller of what two critics say of that action, $q_1$ and $q_2$:
#
# $$J_\pi(\theta) = \frac1B\sum_s\Big[\alpha\log\pi_\theta(\tilde a_\theta|s) - \min\big(q_1(s,\tilde a_\theta),\,q_2(s,\tilde a_\theta)\big)\Big] \tag{19.19}$$
#
# It is the loss of lesson 18 with its two ingredients, log π and the critics' values, handed in. Four critics are at hand, two and their slow copies. Which pair is asked, the whole step will have to decide; the loss takes what it is given.
# To this loss, α is a number. If it were trained here as well, it would run to where $\alpha\log\pi$ is least, and not to where the constraint wants
# it.

# %% [markdown] task="sac_policy_loss"
# ### Exercise 19.4 · `sac_policy_loss`
# **Points** 2 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (19.19) from the critics' values and the log-probabilities at $\tilde a_\theta$. `alpha` may be a number, or a tensor that wants a
# gradient elsewhere: here it gets none. The other three carry the policy's gradient: keep it.


# %% exercise="sac_policy_loss" points=2
def sac_policy_loss(q1, q2, log_prob, alpha):
    """The policy's loss (19.19).

    q1, q2, log_prob: (B,) at the policy's own action; alpha: a number or a tensor of shape ().
    Returns a scalar.
    """
    ### BEGIN SOLUTION
    alpha = torch.as_tensor(alpha).detach()
    return (alpha * log_prob - torch.minimum(q1, q2)).mean()  # (19.19)
    ### END SOLUTION


# %% [markdown] hints="sac_policy_loss"
# <details><summary>What should be large, and what small?</summary>
#
# A loss goes down. The policy wants a large Q and a large entropy, that is, a small log π. Check the two signs against that.
# </details>
# <details><summary>Which critic?</summary>
#
# Row by row the smaller one, as in 19.1. (TD3's actor uses the first critic only.)
# </details>
# <details><summary>How do I keep α out of it, number or tensor?</summary>
#
# A number has no gradient to stop. Make a tensor of whatever came, then take it out of the graph. Do not touch the other
# three.
# </details>

# %% check="sac_policy_loss"
sac_policy_loss = check("sac_policy_loss")

# %% [markdown]
# Does the gradient that reaches μ and log σ belong to (19.4)? Compute $J_\pi$ as an integral over the action instead, with the density
# (19.3) and no sampling, and take differences.


# %%
def critic_of(x):
    return torch.cos(3 * x) + x


def as_integral(mean, log_std, alpha):
    m, s = torch.tensor([[mean]]).double(), torch.tensor([[log_std]]).double()
    log_pi = squashed_log_prob(u, m, s)  # u, a: the grid of the first check
    return (log_pi.exp() * (alpha * log_pi - critic_of(torch.tensor(a)))).mean().item() * 2


parameters = torch.tensor([0.4, -0.3], dtype=torch.float64, requires_grad=True)
xi = torch.special.ndtri((torch.arange(20_000).double() + 0.5) / 20_000)[:, None]  # even quantiles
drawn, log_prob = squashed_action(lambda _: parameters.expand(20_000, 2).split(1, 1), None, xi)
q_drawn = critic_of(drawn[:, 0])
sac_policy_loss(q_drawn, q_drawn + 0.1, log_prob, 0.2).backward()
by_hand = [(as_integral(0.4 + e, -0.3 + f, 0.2) - as_integral(0.4 - e, -0.3 - f, 0.2)) / 2e-4
           for e, f in ((1e-4, 0.0), (0.0, 1e-4))]  # fmt: skip
print(
    "through the action:",
    parameters.grad.numpy().round(4),
    " from the integral:",
    np.round(by_hand, 4),
)
assert np.allclose(parameters.grad, by_hand, atol=2e-3)

# %% [markdown]
# ## The critics' half of the step
#
# Now the pieces become an agent. One update of SAC takes a batch out of the buffer and moves, one after the other, the critics, the policy and the
# temperature. The critics first. Both regress on the one target (19.6), at the actions that were really done:
#
# $$J_Q(\phi_1,\phi_2) = \frac1B\sum\big(Q_{\phi_1}(s,a)-y\big)^2 + \frac1B\sum\big(Q_{\phi_2}(s,a)-y\big)^2 \tag{19.20}$$

# %% [markdown] task="sac_critic_update"
# ### Exercise 19.5 · `sac_critic_update`
# **Points** 3 · **Difficulty** ●●○ · **Time** 15 min
#
# Take one step down (19.20), in place. `agent_state` has: `policy` (`policy(obs)` is mean and log σ), `critic1`, `critic2`, `critic1_targ`,
# `critic2_targ` (`critic(obs, action)` is (B,)), `critic_optimizer` (over both critics), `log_alpha`, `gamma`.
#
# - `squashed_action(policy, obs, noise)` gives an action and its log π (lesson 18). `next_noise` is for $\tilde a'$; nothing else is random.
# - Only the two critics move. `.grad` may hold what somebody else's backward pass has left there.
# - Return the loss, as it was before the step: a float, or a tensor of shape ().


# %% exercise="sac_critic_update" points=3
def sac_critic_update(agent_state, batch, next_noise):
    """One step of both critics down (19.20).

    batch: obs, action, reward, next_obs, terminated; actions in (−1, 1); next_noise: (B, D), standard
    normal. Returns the loss before the step.
    """
    ### BEGIN SOLUTION
    me = agent_state
    with torch.no_grad():
        a_next, log_prob_next = squashed_action(me.policy, batch.next_obs, next_noise)
        q1_next = me.critic1_targ(batch.next_obs, a_next)
        q2_next = me.critic2_targ(batch.next_obs, a_next)
        alpha = me.log_alpha.exp()
    y = sac_target(
        batch.reward, q1_next, q2_next, log_prob_next, batch.terminated, me.gamma, alpha
    )  # (19.6)
    loss = mse_loss(me.critic1(batch.obs, batch.action), y)
    loss = loss + mse_loss(me.critic2(batch.obs, batch.action), y)  # (19.20)
    me.critic_optimizer.zero_grad()
    loss.backward()
    me.critic_optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% [markdown] hints="sac_critic_update"
# <details><summary>How do I begin?</summary>
#
# With everything that `sac_target` asks for. Two of its arguments are values of critics, one is a log-probability, and all three belong to one action in
# one place: which action, drawn by whom, and where? Nothing of that needs a graph.
# </details>
# <details><summary>Which networks carry the subscript targ in (19.6), and which not?</summary>
#
# The critics do; the policy does not, and there is no slow copy of it to be asked. (What has the subscript stands still while its label is being learned.)
# </details>
# <details><summary>And α?</summary>
#
# The state holds its logarithm. In (19.6) stands α itself, a number here.
# </details>

# %% check="sac_critic_update"
sac_critic_update = check("sac_critic_update")

# %% [markdown]
# Does the step learn what it should? A world in which the answer is known: every transition pays 1 and ends nothing, every state is like every other, and the
# policy is always the same. Then by (19.1) and (19.2) $Q = \frac{1+\gamma\,\alpha\,\mathcal H}{1-\gamma}$, whatever the action:

# %%
agent = SAC.for_env("Pendulum-v1", hidden=(32, 32), gamma=0.8, alpha=0.5, rho=0.8, lr=3e-3, seed=0)
generator = torch.Generator().manual_seed(0)
everywhere = torch.zeros(256, 3)
for _ in range(600):
    batch = Batch(everywhere, 2 * torch.rand(256, 1, generator=generator) - 1, torch.ones(256),
                  everywhere, torch.zeros(256))  # fmt: skip
    sac_critic_update(agent, batch, torch.randn(256, 1, generator=generator))
    polyak_update(agent.critic1_targ, agent.critic1, agent.rho)
    polyak_update(agent.critic2_targ, agent.critic2, agent.rho)
with torch.no_grad():
    learned = agent.critic1(batch.obs, batch.action)
    many = torch.zeros(20_000, 3), torch.randn(20_000, 1, generator=generator)
    entropy = -squashed_action(agent.policy, *many)[1].mean().item()
known = (1 + 0.8 * 0.5 * entropy) / (1 - 0.8)
print(f"Q learned: {learned.mean():.3f}, between {learned.min():.3f} and {learned.max():.3f}; "
      f"on paper {known:.3f}; without the entropy {1 / (1 - 0.8):.3f}")  # fmt: skip
print("learned with " + authorship("sac_target", "sac_critic_update"))
assert abs(learned.mean() - known) < 0.1

# %% [markdown]
# ## The whole step
#
# Then the policy, the temperature, and at last the slow copies:
#
# $$\begin{aligned}&\phi_1,\phi_2\,\text{ down }\,J_Q\;\to\;\theta\,\text{ down }\,J_\pi\;\to\;\log\alpha\,\text{ down }\,J(\alpha)\\
# &\quad\to\;\phi_{\text{targ},j}\leftarrow\rho\,\phi_{\text{targ},j}+(1-\rho)\,\phi_j\end{aligned} \tag{19.21}$$
#
# > 1. **critics**: one step of `sac_critic_update`, with the α of now
# > 2. **policy**: draw $\tilde a$ in $s$; one step down (19.19), with that same α; nobody else moves
# > 3. **temperature**: one step down (19.15), with the log-probabilities of that same $\tilde a$
# > 4. **slow copies**: both, by Polyak averaging
#
# **One thing is left open:** *which* critics judge the policy's action in (19.19)? Decide, and have a reason.

# %% [markdown] task="sac_update"
# ### Exercise 19.6 · `sac_update`
# **Points** 4 · **Difficulty** ●●● · **Time** 20 min
#
# Write that step, in place. `agent_state` has what `sac_critic_update` needs, and `policy_optimizer`, `alpha_optimizer`, `target_entropy`, `rho`.
#
# - `next_noise` is for $\tilde a'$, `noise` for $\tilde a$. Nothing else is random. `polyak_update(target, online, rho)` is lesson 08's.
# - α is $e^{\log\alpha}$, one number for the critics and the policy: the one from before this step.
# - `alpha_optimizer` may be `None`: then α stays fixed, and the third part is left out.
# - `target_entropy` may be `None`: then it is the default (19.17).
# - An optimiser adds to what it finds: clear the gradients before each of your backward passes.
# - Return a dictionary with the losses (and α, if you like), as numbers.


# %% exercise="sac_update" points=4
def sac_update(agent_state, batch, noise, next_noise):
    """One step of SAC (19.21), in place.

    Critics by (19.20), policy by (19.19), temperature by (19.15), slow copies.
    batch: obs, action, reward, next_obs, terminated; actions in (−1, 1); noise, next_noise: (B, D),
    standard normal. Returns a dictionary of numbers.
    """
    ### BEGIN SOLUTION
    me = agent_state
    alpha = me.log_alpha.detach().exp()
    critic_loss = sac_critic_update(me, batch, next_noise)  # (19.20)

    action, log_prob = squashed_action(me.policy, batch.obs, noise)
    q1, q2 = me.critic1(batch.obs, action), me.critic2(batch.obs, action)  # the newest opinions
    policy_loss = sac_policy_loss(q1, q2, log_prob, alpha)  # (19.19)
    me.policy_optimizer.zero_grad()
    policy_loss.backward()
    me.policy_optimizer.step()

    if me.alpha_optimizer is not None:
        goal = -batch.action.shape[1] if me.target_entropy is None else me.target_entropy  # (19.17)
        me.alpha_optimizer.zero_grad()
        temperature_loss(me.log_alpha, log_prob, goal).backward()  # (19.15)
        me.alpha_optimizer.step()

    polyak_update(me.critic1_targ, me.critic1, me.rho)
    polyak_update(me.critic2_targ, me.critic2, me.rho)
    return {"critic_loss": float(critic_loss), "policy_loss": policy_loss.item()}
    ### END SOLUTION


# %% [markdown] hints="sac_update"
# <details><summary>How do I begin?</summary>
#
# Four blocks, in the order of (19.21). The first is a call. The second and the third end with the same three lines: clear, backward, step.
# </details>
# <details><summary>Do the judges move in the policy's step? They get gradients there.</summary>
#
# They do get gradients, but who steps? The policy's optimiser holds the policy's weights and no others. What piled up elsewhere is thrown away before it
# can be used, if everybody clears before the backward pass.
# </details>
# <details><summary>How can I decide whom the policy should ask?</summary>
#
# What are the slow copies for? In (19.6) somebody learns a label that would run away if the critics in it moved with every step. Does anybody learn a
# label in (19.19)? And who has learned most from the world so far?
# </details>
# <details><summary>Which action goes where?</summary>
#
# Three different ones. `batch.action` only into the critics' own regression; the fresh one in $s'$ only into the target; the fresh one in
# $s$ into the policy's loss, with its log-probability, and that log-probability once more into the temperature's.
# </details>
# <details><summary>PyTorch says: "Trying to backward through the graph a second time".</summary>
#
# One of your losses still hangs on a graph that an earlier backward pass has used up. The log-probabilities in the temperature's loss should be
# numbers; and α too.
# </details>

# %% check="sac_update"
sac_update = check("sac_update")

# %% [markdown]
# ## SAC beside TD3, point by point
#
# The lecture slides list what the two have in common and what not. Each point is a statement about code, so let code answer. Two fresh
# agents for the same environment:

# %%
td3, sac = (kind.for_env("Pendulum-v1", hidden=(64, 64), seed=0) for kind in (TD3, SAC))
table = {}  # point -> (TD3, SAC, the same?)


def networks(agent):
    return sorted(name for name, x in vars(agent).items() if isinstance(x, torch.nn.Module))


def count(wanted):
    return tuple(sum(wanted(name) for name in networks(agent)) for agent in (td3, sac))


table["critics"] = count(lambda name: name in ("critic1", "critic2"))
table["slow copies of the critics"] = count(lambda name: "critic" in name and "targ" in name)
table["slow copy of the policy"] = count(lambda name: "critic" not in name and "targ" in name)
print("TD3:", *networks(td3))
print("SAC:", *networks(sac))

# %% [markdown]
# Now the target. The smaller critic counts in both; give them critics that disagree, and see which one moves $y$. Then take the same
# numbers with an entropy term.

# %%
q_low, q_high, zeros = torch.full((1,), 1.0), torch.full((1,), 3.0), torch.zeros(1)
log_pi = torch.full((1,), -2.0)  # an unlikely next action
y_td3 = clipped_double_q_target(zeros, q_low, q_high, zeros, 1.0).item()
y_sac = {
    alpha: sac_target(zeros, q_low, q_high, log_pi, zeros, 1.0, alpha).item() for alpha in (0, 0.5)
}
table["targets y for both critics"] = (
    clipped_double_q_target(zeros, q_low, q_high, zeros, 1.0).numel(),
    sac_target(zeros, q_low, q_high, log_pi, zeros, 1.0, 0.5).numel(),
)
table["y from critics 1 and 3, no bonus"] = (y_td3, y_sac[0])
table["y from critics 1 and 3, with bonus"] = (y_td3, y_sac[0.5])

# %% [markdown]
# Where does the next action come from, and what makes it random? TD3 adds clipped noise of a *fixed* width to its slow policy; SAC's next action
# is a draw from its current policy, whose width is its own and changes with the state. The spread of next actions, in two states, over many
# draws:

# %%
two = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 6.0]])  # cos, sin, speed: upright; hanging, fast
with torch.no_grad():
    noise = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    for name, obs in {"upright": two[:1], "hanging": two[1:]}.items():
        obs = obs.expand(20_000, 3)
        smoothed = td3.smoothed_target_action(
            td3.actor_targ(obs), noise, td3.sigma, td3.clip, -1.0, 1.0
        )
        own, _ = squashed_action(sac.policy, obs, noise)
        table[f"spread of ã', {name}"] = tuple(round(x.std().item(), 2) for x in (smoothed, own))

# %% [markdown]
# Last, the policy's own step: which critics it listens to, how often it is taken, and what the policy says for each number of an action.

# %%
q1, q2 = (torch.tensor(x, requires_grad=True) for x in ([1.0, 3.0], [2.0, 2.0]))
sac_policy_loss(q1, q2, torch.zeros(2), 0.2).backward()
heard = sum(q.grad is not None and bool(q.grad.any()) for q in (q1, q2))
taken = inspect.signature(td3.ddpg_actor_loss).parameters  # actor, critic, obs
table["critics heard by the policy"] = (sum("critic" in name for name in taken), heard)
table["critic steps per policy step"] = (td3.every, 1)
table["policy's outputs per action"] = tuple(
    list(p.parameters())[-1].numel() for p in (td3.actor, sac.policy)
)
print(f"{'':36}{'TD3':>8}{'SAC':>8}")
for point, (theirs, ours) in table.items():
    print(f"{point:36}{theirs:>8}{ours:>8}   {'same' if theirs == ours else 'DIFFERENT'}")
same = [point for point, (theirs, ours) in table.items() if theirs == ours]
assert len(same) == 4 and not any("spread" in point for point in same)

# %% [markdown]
# Read it row by row. **The same:** two critics, one target for both, by least squares; slow copies by Polyak averaging; the smaller of two.
# **Different:** the entropy term; no slow policy, since $\tilde a'$ comes from the current one; no smoothing noise, since the policy brings its own, and has a
# second output to say how much; the policy listens to the smaller critic, and is moved in every step. And what the slides leave out: TD3 explores with
# noise that somebody chose, SAC by being itself.

# %% [markdown]
# ## The experiment: your SAC swings up the pendulum
#
# Pendulum-v1: the torque is too weak to lift the pole, so it has to be swung. A step costs between 0 and about 16, an episode has 200 steps and
# never terminates (only the time limit ends it, and that does not end the bootstrap). The course's mark is a return of −200.
#
# Every 500 steps the next function looks at the agent: the mean return of the *greedy* policy (tanh of the mean) over ten episodes, the
# temperature, and the entropy over the states it has just learned from.


# %%
class WatchedSAC(SAC):
    """SAC that keeps its last batch's states and actions, for a look at its entropy there."""

    def learn(self, batch, rng):
        self.seen, self.done = batch.obs, batch.action
        return super().learn(batch, rng)


# %%
def train(seed, steps=6000, **settings):
    """Train one agent; returns it, and (return, α, entropy) every 500 steps from 1000 on."""
    agent = WatchedSAC.for_env(
        "Pendulum-v1", hidden=(64, 64), gamma=0.95, rho=0.97, lr=5e-3, seed=seed, **settings
    )
    looks = []

    def look(agent, step):
        if step >= 1000:
            with torch.no_grad():
                obs = agent.seen.repeat(20, 1)
                noise = torch.randn(len(obs), 1, generator=torch.Generator().manual_seed(step))
                _, log_prob = squashed_action(agent.policy, obs, noise, agent.squashed_log_prob)
            score = evaluate(agent, "Pendulum-v1", 10, seed=100).mean()
            looks.append((score, agent.log_alpha.exp().item(), -log_prob.mean().item()))

    train_off_policy(
        agent, "Pendulum-v1", steps, seed, n_envs=4, warmup=800, train_every=4, batch_size=256,
        stop_when=look, stop_every=500,
    )  # fmt: skip
    return agent, np.array(looks)


# %% [markdown]
# Three seeds with your functions: five of the six, all but the pencil's.

# %%
yours = {
    "sac_target": sac_target,
    "temperature_loss": temperature_loss,
    "sac_policy_loss": sac_policy_loss,
    "sac_critic_update": sac_critic_update,
    "sac_update": sac_update,
}

# %%
# about 15 s
mine = [train(seed, **yours) for seed in seeds(range(3))]
finals = [evaluate(agent, "Pendulum-v1", 20, seed=100).mean() for agent, _ in mine]
print("learned with " + authorship(*yours))
print("return over 20 episodes, after 6000 steps:", *(f"{x:.0f}" for x in finals))

# %% [markdown]
# And another seed with the course's own functions, to compare; and somebody who never learns, and draws torques uniformly.

# %%
# about 5 s
_, reference = train(3)


class UniformTorque:
    def act(self, obs, rng, explore=True):
        return rng.uniform(-2, 2, size=(len(obs), 1)).astype(np.float32)


random_return = evaluate(UniformTorque(), "Pendulum-v1", 20, seed=100).mean()

# %% tags=["hide-input"]
steps = np.arange(1000, 6001, 500)
curves = {f"{whose(*yours)} SAC": np.stack([looks[:, 0] for _, looks in mine]),
          "the course's SAC": reference[:, 0]}  # fmt: skip
ax = plots.curves(curves, x=steps, xlabel="steps in the environment",
                  ylabel="return of the greedy policy")  # fmt: skip
for level, what, side in (
    (random_return, "uniform torques", "bottom"),
    (-200, "the mark, −200", "top"),
):
    ax.axhline(level, color=plots.INK, linewidth=1.2, linestyle=":")
    ax.annotate(what, (6000, level), xytext=(0, 4 if side == "bottom" else -4),
                textcoords="offset points", ha="right", va=side)  # fmt: skip
ax.get_legend().set_loc("lower right")
plots.show(ax, alt=f"Greedy return over steps for three seeds with {authorship(*yours)} and one with the "
           "course's: all rise from far below the uniform policy's and end above −200.")  # fmt: skip
print("the first curve was learned with " + authorship(*yours))

# %% [markdown]
# If your functions are right, the two curves differ by their seeds and nothing else.

# %% [markdown]
# ## Why: the temperature at work
#
# The same three runs, looked at from inside.

# %%
inside = np.stack([looks for _, looks in mine])  # (seeds, looks, 3)
print(f"entropy over the last five looks: {inside[:, -5:, 2].mean():.2f} nats")

# %% tags=["hide-input"]
left, right = plots.axes(1, 2, size="wide")
plots.curves(
    {"learned α": inside[:, :, 1]}, x=steps, xlabel="steps", ylabel="temperature α", ax=left
)
plots.curves(
    {"entropy": inside[:, :, 2]}, x=steps, xlabel="steps", ylabel="entropy (nats)", ax=right
)
left.set_ylim(0, None)
for level, what, side in ((np.log(2), "uniform: log 2", "bottom"), (-1, "target", "top")):
    right.axhline(level, color=plots.INK, linewidth=1.2, linestyle=":")
    right.annotate(what, (6000, level), xytext=(0, 4 if side == "bottom" else -14),
                   textcoords="offset points", ha="right", va=side)  # fmt: skip
right.set_ylim(-2.5, 1.4)
plots.show(left, alt="Left: the learned temperature over steps. Right: the policy's entropy falls from near log 2 "
           "to the target of −1 nat and stays about there.")  # fmt: skip
print("learned with " + authorship(*yours))

# %% [markdown]
# Nobody chose this α. It moves with what the policy is doing: entropy above the target pulls it down, entropy below pushes it up, by (19.16). And
# the entropy settles about where we asked for it, while the returns of the figure before, and with them the Q in (19.19), have changed several times over.

# %% [markdown]
# ### Talk to your neighbour
# Somebody feeds (19.15) with $\log\pi_\theta(a|s)$ of the actions *in the batch*, to save a draw. Their α comes out
#
# **A** too high · **B** too low · **C** the same, after all it is the same policy
#
# <details><summary>Answer</summary>
#
# **B.** The constraint is about the entropy of the *current* policy, a mean over its own actions. The buffer's actions were drawn by older, often more
# random policies. The current one finds many of them unlikely, so $-\log\pi$ is large, and it looks as if there were entropy enough. The next cell measures by how much.
# </details>

# %%
for agent, _ in mine:
    with torch.no_grad():
        mean, log_std = agent.policy(agent.seen)
        noise = torch.randn(len(mean), 1, generator=torch.Generator().manual_seed(0))
        own = squashed_log_prob(mean + log_std.exp() * noise, mean, log_std)
        done = torch.atanh(agent.done.clamp(-0.9999, 0.9999))
        old = squashed_log_prob(done, mean, log_std)
    print(f"−log π, mean: of its own actions {-own.mean():5.2f}, of the batch's {-old.mean():5.2f}")
    assert -old.mean() > -own.mean() + 0.5

# %% [markdown]
# ### Talk to your neighbour
# The entropy is asked for *on average over states*; how much of it to spend in each the policy decides. Where will its σ be smallest?
#
# **A** hanging down, where everything begins · **B** near upright · **C** it is about the same everywhere
#
# <details><summary>Answer</summary>
#
# **B**: it spends its entropy where that is cheap, and near upright a wrong torque costs most. The next cell draws the σ of the Gaussian before squashing, over all
# angles, at rest.
# </details>

# %%
angle = np.linspace(-np.pi, np.pi, 181)
at_rest = torch.tensor(np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1), dtype=torch.float32)
with torch.no_grad():
    spread = [agent.policy(at_rest)[1].exp()[:, 0].numpy() for agent, _ in mine]
wide = np.mean(spread, axis=0)
for name, place in {"narrowest": wide.argmin(), "widest": wide.argmax()}.items():
    print(f"{name} at {np.degrees(angle[place]):4.0f}°: σ = {wide[place]:.2f}")
near, far = wide[np.abs(angle) < 0.2].mean(), wide[np.abs(angle) > 1.6].mean()
print(f"within 11° of upright σ = {near:.2f}, beyond 92° {far:.2f}: {far / near:.1f} times as wide")
assert far > near

# %% tags=["hide-input"]
ax = plots.curves({"σ(s)": np.stack(spread)}, x=np.degrees(angle),
                  xlabel="angle from upright (degrees), at rest", ylabel="σ before tanh")  # fmt: skip
ax.set_xticks([-180, -90, 0, 90, 180])
ax.set_ylim(0, None)
plots.show(
    ax,
    alt="The policy's spread as a function of the pole's angle, for three seeds: smallest near upright.",
)

# %% [markdown]
# Narrow where a wrong torque costs the balance, near upright; wider where a push more or less does little harm. No constant noise could do
# that. PPO and its kin (lesson 12) usually keep **one σ for all states**, a parameter beside the network. What does it cost to
# spend the same entropy evenly? Take the trained policies as they explore, and give every state the same σ, the one that leaves the mean entropy of the visited states where it was.


# %%
class OneWidth:
    """A trained SAC policy with the same σ in every state; `log_std` None: with its own."""

    def __init__(self, agent, log_std=None):
        self.policy, self.log_std = agent.policy, log_std

    def squashed(self, obs, noise):
        def widened(obs):
            mean, log_std = self.policy(obs)
            return mean, log_std if self.log_std is None else torch.full_like(mean, self.log_std)

        return squashed_action(widened, obs, noise)

    def act(self, obs, rng, explore=True):  # it always explores
        noise = torch.from_numpy(rng.standard_normal((len(obs), 1), dtype=np.float32))
        with torch.no_grad():
            return 2 * self.squashed(torch.from_numpy(obs), noise)[0].numpy()


def entropy_at(policy, obs):
    noise = torch.randn(20 * len(obs), 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return -policy.squashed(obs.repeat(20, 1), noise)[1].mean().item()


class StartsUpright(gym.Wrapper):
    """The pendulum, let go near upright: what is left to pay is the cost of balancing."""

    def reset(self, **given):
        return self.env.reset(options={"x_init": 0.1, "y_init": 0.1}, **given)


places = {"balancing": lambda: StartsUpright(gym.make("Pendulum-v1")), "whole task": "Pendulum-v1"}
noisy = {place: [] for place in places}  # (with σ(s), with one σ), an agent each
for agent, _ in mine:
    own, low, high = OneWidth(agent), -4.0, 1.0
    wanted = entropy_at(own, agent.seen)
    for _ in range(20):  # below tanh's corners the entropy grows with σ: bisect
        middle = (low + high) / 2
        short = entropy_at(OneWidth(agent, middle), agent.seen) < wanted
        low, high = (middle, high) if short else (low, middle)
    for place, env in places.items():
        returns = [evaluate(p, env, 10, seed=100).mean() for p in (own, OneWidth(agent, low))]
        noisy[place].append(returns)
    told = [f"{place} {x[-1][1]:.1f}, with σ(s) {x[-1][0]:.1f}" for place, x in noisy.items()]
    print(f"one σ = {np.exp(low):.2f}: {'; '.join(told)}")

# %% [markdown]
# Near upright the policy's own σ is the cheaper one: there it is narrow where it must be. On the whole task the swing-up is nearly all that is paid, a
# noise of this size does it little harm, and the two can hardly be told apart.
#
# And the agent acting (the first seed's greedy policy, one episode):

# %%
with tempfile.TemporaryDirectory() as folder:
    film = f"{folder}/pendulum.gif"
    returned = videos.record_episode(mine[0][0], "Pendulum-v1", film, seed=0, max_frames=100)
    videos.show_gif(film, alt="A pendulum is swung up and then balanced upright.")
print(f"return {returned:.0f}, learned with {authorship(*yours)}")

# %% [markdown]
# ## Change one thing: the temperature
#
# Switch the learning of α off and choose it yourself. α = 0.001 is next to *SAC without its entropy term*; α = 5 pays 5 units of
# reward for every nat. Run the next cell, then put in other numbers. **What to look for:** which fixed α costs return, and which one costs entropy? Compare
# with what the learned runs did in the same number of steps.

# %%
# about 15 s
fixed = [0.001, 5.0]
ablation = {
    f"α = {alpha}": np.stack(
        [train(seed, 5000, alpha=alpha, learn_alpha=False, **yours)[1] for seed in seeds(range(2))]
    )
    for alpha in fixed
}
ablation["α learned"] = inside[:, :9]  # the first 5000 steps of the runs above
for name, looks in ablation.items():
    score, _, has = looks[:, -1].mean(axis=0)
    print(f"{name:10} at 5000 steps: return {score:6.0f}, entropy {has:5.2f}")
print("learned with " + authorship(*yours))

# %% tags=["hide-input"]
left, right = plots.axes(1, 2, size="wide")
for column, ax, what in ((0, left, "return of the greedy policy"), (2, right, "entropy (nats)")):
    plots.curves({name: looks[:, :, column] for name, looks in ablation.items()}, x=steps[:9],
                 xlabel="steps", ylabel=what, ax=ax)  # fmt: skip
left.legend().set_visible(False)
right.set_ylim(-19, 2)
right.axhline(-1, color=plots.INK, linewidth=1.2, linestyle=":")
plots.show(
    left,
    alt="Return and entropy over steps for a tiny fixed, a large fixed and the learned temperature.",
)

# %% [markdown]
# What did you see? The large α pays so much for randomness that the swing-up hardly pays: the entropy stays near log 2, and the return stays low.
# The tiny α rises about as early as the learned one: on *this* task the reward of every step shows the way. (Whether it ends lower, two runs cannot
# say.) What it costs is the entropy: many nats below the target, the policy is deterministic for all purposes, and nothing explores any more. The learned
# α needed no search, and its entropy is where we asked for it. Try `0.2`, which somebody found for this task before us. And then think of tenfold rewards.

# %% [markdown]
# ## The silent bug
#
# A colleague has written the log-probability of the policy's actions with PyTorch's distributions. The actions are drawn as before,
# $\tilde a = \tanh(u)$. Everything else is the course's code. It runs, it does not complain, and it learns.


# %%
def colleagues_log_prob(u, mean, log_std):
    pi = torch.distributions.Normal(mean, log_std.exp())
    return pi.log_prob(u).sum(dim=-1)


# %%
# about 8 s
theirs = [train(seed, 5000, squashed_log_prob=colleagues_log_prob) for seed in seeds(range(2))]
saturated = {}
for name, agents in {"the colleague's SAC": theirs, f"{whose(*yours)} SAC": mine}.items():
    drawn = [agent.act(agent.seen.numpy(), np.random.default_rng(0)) / 2 for agent, _ in agents]
    saturated[name] = np.mean(np.abs(drawn) > 0.9)  # in half-widths of the box
    print(f"{name:19} explores with |ã| > 0.9 in {saturated[name]:.0%} of its draws")

# %% tags=["hide-input"]
right_one = f"{whose(*yours)} SAC"
pairs = {"the colleague's SAC": np.stack([looks for _, looks in theirs]), right_one: inside[:, :9]}
panels = plots.axes(1, 3, size=(13.0, 4.2))
for column, what in enumerate(("return", "temperature α", "entropy (nats)")):
    plots.curves({name: looks[:, :, column] for name, looks in pairs.items()}, x=steps[:9],
                 xlabel="steps", ylabel=what, ax=panels[column])  # fmt: skip
    panels[column].legend().set_visible(column == 2)
plots.show(panels[0], alt="Three panels, return, temperature and entropy over steps: the colleague's return is about "
           "as good, its temperature falls towards zero, and its entropy is above three nats.")  # fmt: skip

# %% [markdown]
# The return alone would not give it away. **Which number in these panels cannot be true? What is wrong, and what does it do to the policy?**
#
# <details><summary>Answer</summary>
#
# An entropy above three nats. Nothing on $(-1,1)$ has more than $\log2\approx0.69$ nats: we saw it among the landmarks above. So what is called entropy
# here is not the entropy of the *action*. It is that of $u$, before squashing: `colleagues_log_prob` leaves out the sum in (19.3).
#
# The entropy of $u$ can be raised for nothing: make σ large. The squashed actions then pile up at both ends of the range, where (19.3) would have
# noticed how narrow they have become. So the agent explores by full torque left or right, at random, and believes itself to be very random. The temperature
# believes it too: far above the target, so α falls and falls. The constraint asks for −1 nat and holds nothing: with α near 0 nobody counts entropy any more.
#
# The greedy policy, tanh of the mean, may still be good on a task that likes full torque. On another it would not be, and you would look for the
# fault everywhere but in a logarithm. **Look at the entropy first: it must lie below $D\log2$ and end near the target.**
# </details>

# %%
with torch.no_grad():
    for agent, _ in theirs:
        noise = torch.randn(len(agent.seen), 1, generator=torch.Generator().manual_seed(0))
        _, true = squashed_action(agent.policy, agent.seen, noise)  # with (19.3)
        _, told = squashed_action(agent.policy, agent.seen, noise, colleagues_log_prob)
        print(f"entropy: {-told.mean():.2f} nats told, {-true.mean():.2f} nats by (19.3)")

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** What would the temperature do with the target $+\dim(\mathcal A)$, one nat *above* zero?
#
# <details><summary>Answer</summary>
#
# No policy on $(-1,1)$ has one nat. The constraint can never be kept, $\mathcal H-\bar{\mathcal H}$ stays negative, and α grows without end: the opponent of (19.9)
# raises the price for ever. The rewards are drowned, and the policy becomes uniform. Try it: `train(0, 2000, target_entropy=1.0)`, and look at α.
# </details>
#
# **2.** With α learned, is the agent maximising the soft return or the plain one?
#
# <details><summary>Answer</summary>
#
# The plain one, (19.7), among the policies that are random enough. The soft return is what is maximised *for each α* on the way there. In the
# end α is the price at which the constraint just holds.
# </details>

# %% [markdown]
# ## Summary
#
# - SAC needs no value network: its target (19.6) draws one fresh action $\tilde a'$ from the current policy in $s'$, takes the smaller of two slow critics there, and
#   subtracts $\alpha\log\pi_\theta(\tilde a'|s')$ inside the bracket, where it is discounted and masked with the rest.
# - A temperature is a price that depends on the units of the reward; a target entropy is a budget in nats that does not. The price is the multiplier of the budget.
# - The slope of the dual is the entropy that there is minus the entropy that is asked for (19.12): too little entropy, α rises; too much, α falls. Higher prices always
#   buy more entropy (19.13), so there is one $\alpha^*$.
# - $J(\alpha)$ takes the log-probabilities of the current policy's own actions as numbers; what moves is $\log\alpha$, so that α stays positive. The usual target is
#   $-\dim(\mathcal A)$ nats.
# - Look at the entropy before you look at the return: it lies below $D\log2$, it should end near its target, and a log π without the correction for tanh shows there first.

# %% [markdown]
# ## Where this went
#
# What later methods change in the equation handed on below:
#
# - **Discrete SAC** (Christodoulou 2019): with finitely many actions nothing needs to be drawn, the bracket becomes
#   $\sum_{a'}\pi_\theta(a'|s')\big[\min_jQ_{\phi_{\text{targ},j}}(s',a')-\alpha\log\pi_\theta(a'|s')\big]$; its target entropy is positive, 0.98 of the uniform policy's $\log|\mathcal A|$.
# - **REDQ** (Chen et al. 2021): ten critics, the min over two of them that are drawn anew for every target, and twenty steps of the critics for each step in the world.
#   **DroQ** (Hiraoka et al. 2022) comes as far with two critics that have dropout and layer normalisation.
# - **CrossQ** (Bhatt et al. 2024): no "targ" at all. The bracket asks the newest critics; batch normalisation over $(s,a)$ and $(s',\tilde a')$ together keeps them from running away.
# - **BRO** (Nauman et al. 2024): no min either. Much larger critics, held by layer normalisation, weight decay and resets, learn the quantiles of the return and need no
#   pessimism; a second, optimistic policy explores.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Where the originals differ from this lesson, or err</summary>
#
# - *Pseudocode collection* (JoyRL, Datawhale; in Chinese), algorithms 12 and 13: the environment's step is printed as $s_{t+1}\leftarrow s_t$, the wrong way round. No
#   $d$ is stored, so the bootstrap goes on through terminal states. The note on the critics' gradient of 13 has one critic, where the paper has the smaller of two.
# - *Q-learning, tutorial slides* (CS 224R), last page: "SAC (no entropy term)" follows $Q_{\phi_1}$ alone in the policy's step. That is TD3's choice; SAC's papers take the
#   smaller of both there, too.
# - *Soft Actor-Critic Algorithms and Applications* (Haarnoja et al. 2018b): the critics' loss has a ½ that (19.20) has not, which only scales the step. The authors'
#   first code, and many libraries after it, put $\log\alpha$ before the bracket of (19.15).
# </details>

# %% [markdown]
# ## What we hand on
#
# One Bellman equation, with what replaces each of its parts:
#
# $$\begin{aligned}Q(s,a)\;&\leftarrow\; r + \gamma\,(1-d)\,\Big[\min_jQ_{\phi_{\text{targ},j}}(s',\tilde a')-\alpha\log\pi_\theta(\tilde a'|s')\Big],\\
# \pi_\theta\;&\to\;\frac{e^{Q/\alpha}}{Z},\qquad \alpha\;\text{ such that }\;\mathcal H(\pi_\theta)\approx-\dim(\mathcal A)\end{aligned}$$
#
# The expectation over $s'$ is sampled from the buffer (08). The maximum over $a'$ became an actor (14), then an expectation under a soft policy (16), and it is sampled
# (19). Its bias is held down by a minimum (15), tail-chasing by slow copies (08), the random actions are differentiated through (13), their density is known
# although squashed (18), and the price of randomness finds itself (19).
#
# How much better is all that than DDPG, TD3 and PPO? Three seeds cannot say. Lesson 20 puts all of them side by side, with as many seeds and such
# intervals as an honest answer needs.
