# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 16 · Maximum entropy
#
# Part IV · 13 → 14 → 15 → **16** → 17 → 18 → 19 → 20
#
# - **You will be able to** say what it means to pay an agent for being random, and what that does to the Bellman
#   equation; prove that soft policy iteration finds the best policy there is, one small step at a time, and check every
#   step by number; and say what the end of an episode does to the bonus.
# - **Builds on** lesson 02 (backups, contraction), lesson 03 (improvement, optimality).
# - **Time** 120 minutes alone, in two sittings; 75 as a lecture.
# - **Sources** Haarnoja et al. 2018a, *Soft Actor-Critic* (arXiv 1801.01290), §3 and §4.1; 2018b (arXiv 1812.05905), §4.1;
#   lecture notes on the soft actor-critic, §5.1; the lecture slides on continuous control; Todorov 2007 (linearly solvable
#   MDPs).

# %%
from itertools import pairwise

import numpy as np

from rlcourse.checker import authorship, check, whose
from rlcourse.lab import plots
from rlcourse.tabular import dynamic_programming as dp
from rlcourse.tabular import gridworlds, mdp

# %% [markdown]
# ## What we inherit
#
# Lesson 15 ended with TD3's target, made with a slow actor, a blurred action and the more careful of two slow critics:
#
# $$\begin{aligned}
# y &= r + \gamma\,(1-d)\,\min_{i=1,2}Q_{\phi_{\text{targ},i}}\big(s',\,a'(s')\big)\\
# a'(s') &= \mathrm{clip}\Big(\mu_{\theta_{\text{targ}}}(s') + \mathrm{clip}(\sigma\xi,\,-c,\,c),\ \text{low},\ \text{high}\Big)
# \end{aligned} \tag{16.1}$$
#
# Two things in it are put there by hand: the noise with which the agent explores, and the noise that blurs its target. Both
# would come by themselves if the *best* policy were stochastic. In lesson 03 it is not: some deterministic policy is always
# among the best. So we change what "best" means. To see what that does, we go back to where everything can be computed:
# tables, a known $p$, and the Bellman equation of lesson 02. Networks return in lesson 17.

# %% [markdown]
# ## Guess first
#
# A machine has two buttons. Button A pays 1, button B pays nothing. But you are also paid for being hard to predict: up to
# 0.69 a press for tossing a fair coin, nothing for always doing the same.
#
# **How often would you press B? Never, about one time in four, or half of the time?**
#
# <details><summary>I have guessed.</summary>
#
# About one time in four. Always A earns 1; a fair coin earns $0.5 + 0.69 = 1.19$; pressing B with probability 0.27 earns 1.31,
# and nothing earns more. The figure below shows it, and the lesson says why.
# </details>

# %% [markdown]
# ## How random is a policy?
#
# An event of probability $p$ surprises us by $-\log p$: not at all if it was sure, the more the less likely it was. The **entropy**
# of a distribution is the surprise that it expects to cause:
#
# $$\mathcal H(p) = -\sum_a p_a\log p_a = \mathbb E_{a\sim p}\big[-\log p_a\big] \tag{16.2}$$
#
# The logarithm is natural, the unit is the **nat**. An action of probability 0 never happens and surprises nobody:
# $0\log0$ counts as 0, which is also the limit of $p\log p$ for $p\to0$. No entropy is negative, since $-\log p\ge0$. And none is
# above $\log A$; the proof is one line that we shall need again. For all $x>0$ is $\log x\le x-1$ (the tangent at 1 lies above the
# curve), so
#
# $$\mathcal H(p) - \log A = \sum_{p_a>0}p_a\log\frac{1/A}{p_a} \le \sum_{p_a>0}p_a\Big(\frac{1/A}{p_a}-1\Big) \le 1-1 = 0,$$
#
# and both are equalities only if all $p_a = 1/A$.

# %% [markdown] task="entropy"
# ### Exercise 16.1 · `entropy`
# **Points** 1 · **Difficulty** ●○○ · **Time** 8 min
#
# Compute (16.2) for every distribution in p. Probabilities of 0 are allowed and count for nothing, exactly.


# %% exercise="entropy" points=1
def entropy(p):
    """The entropy (16.2) in nats, with 0·log 0 = 0.

    p: (..., A), rows sum to 1, zeros allowed. Returns (...,); one distribution gives one number.
    """
    ### BEGIN SOLUTION
    safe = np.where(p > 0, p, 1.0)  # log 1 = 0 where p is 0
    return -np.sum(p * np.log(safe), axis=-1)  # (16.2)
    ### END SOLUTION


# %% [markdown] hints="entropy"
# <details><summary>What is the sum over?</summary>
#
# Over the actions, the last axis. There is one number for each distribution.
# </details>
# <details><summary>Why do I get NaN?</summary>
#
# NumPy's logarithm of 0 is minus infinity, and 0 times that is NaN. What could you put in the place of a 0 *inside* the logarithm, since
# it is multiplied by 0 anyway?
# </details>
# <details><summary>How do I put something else there?</summary>
#
# There is a function that chooses between two arrays, entry by entry, by a condition. The logarithm itself also knows a `where`.
# </details>

# %% check="entropy"
entropy = check("entropy")

# %%
for name, p in {"sure": [1.0, 0.0], "a fair coin": [0.5, 0.5], "four alike": [0.25] * 4}.items():
    print(f"{name:12} {entropy(np.array(p)) + 0:.3f}")  # + 0: no minus before a 0
rng = np.random.default_rng(0)
drawn = entropy(rng.dirichlet(np.ones(4), size=10_000))
print(
    f"10,000 random ones: between {drawn.min():.3f} and {drawn.max():.3f}; log 4 = {np.log(4):.3f}"
)
assert drawn.min() >= 0 and drawn.max() <= np.log(4)

# %% tags=["hide-input"]
of_b = np.linspace(0, 1, 201)
press = np.stack([1 - of_b, of_b], axis=1)  # a policy for each share of B
earned, paid = entropy(press), press @ np.array([1.0, 0.0])
best = of_b[np.argmax(paid + earned)]
ax = plots.curves({"paid": paid, "entropy": earned, "both": paid + earned}, x=of_b,
                  xlabel="how often button B", ylabel="a press")  # fmt: skip
ax.axvline(best, color=plots.INK, linewidth=1, linestyle="-")
ax.text(best + 0.02, 0.06, f"{best:.2f}")
print(f"most for B with probability {best:.2f}: {np.max(paid + earned):.2f}")
plots.show(ax, alt="Reward, entropy and their sum against the probability of button B: the reward falls in a straight line, "
           f"the entropy is an arch, and their sum is highest at {best:.2f}.")  # fmt: skip

# %% [markdown]
# ## The entropy-augmented return
#
# From now on the agent is paid α for every nat of entropy of its policy, in every state that it comes to:
#
# $$J(\pi) = \mathbb E_\tau\Big[\sum_{t\ge0}\gamma^t\,\big(r_t + \alpha\,\mathcal H(\pi(\cdot|s_t))\big)\Big] \tag{16.3}$$
#
# $\alpha\ge0$ is the **temperature**. It is a price, in units of reward per nat: if all rewards are paid in cents instead of euros, α must be a
# hundred times as large. At α = 0 this is the return that we know.
#
# Mind what is paid for: not the action that came out, but the *distribution* from which it was drawn. That is why the bonus of step t
# belongs to the state $s_t$, before the action is drawn. The value of a state, then, counts all bonuses from this state on:
#
# $$V^\pi(s) = \mathbb E_\tau\Big[\sum_{t\ge0}\gamma^t\big(r_t + \alpha\,\mathcal H(\pi(\cdot|s_t))\big)\;\Big|\;s_0=s\Big] \tag{16.4}$$

# %% [markdown]
# ### Talk to your neighbour
# And $Q^\pi(s,a)$? You are in $s$, and *a* is what you do there; from the next state on you follow π. Which bonuses should it count?
#
# **A** all of them, like V · **B** all but the first · **C** none: it is about an action, not about a policy
#
# <details><summary>What the next cells will show</summary>
#
# B. In $Q^\pi(s,a)$ the first action is *given*. Nothing about it is random, so there is nothing to be paid for. From the next state on π
# draws, and is paid.
# </details>

# %% [markdown]
# ### Why Q leaves out the first bonus
#
# $$Q^\pi(s,a) = \mathbb E_\tau\Big[\sum_{t\ge0}\gamma^t r_t + \alpha\sum_{t\ge1}\gamma^t\,\mathcal H(\pi(\cdot|s_t))\;\Big|\;s_0=s,\,a_0=a\Big] \tag{16.5}$$
#
# The second sum begins at 1. Two half-steps connect the two, as in lesson 02. **From Q to V**: let π draw the first action, and pay for
# that:
#
# $$\begin{aligned}
# V^\pi(s) &= \sum_a\pi(a|s)\,Q^\pi(s,a) + \alpha\,\mathcal H(\pi(\cdot|s))\\
# &= \sum_a\pi(a|s)\,\big[\,Q^\pi(s,a) - \alpha\log\pi(a|s)\,\big]
# \end{aligned} \tag{16.6}$$
#
# The second form is (16.2) put in: both terms are means under π, so they go under one sum. **From V to Q**: take the first reward out of the
# sums in (16.5). Everything that is left, rewards and bonuses alike, has at least one γ; factor it out. What stands behind it is (16.4), one step
# later:
#
# $$Q^\pi(s,a) = r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,V^\pi(s') \tag{16.7}$$
#
# With V by (16.6). This pair is the **soft Bellman equation**. Only one thing is new: $-\alpha\log\pi$ in V.

# %% [markdown] task="soft_value"
# ### Exercise 16.2 · `soft_value`
# **Points** 1 · **Difficulty** ●○○ · **Time** 8 min
#
# Compute the right-hand side of (16.6) for any table q and any policy, sure ones included. α may be 0.


# %% exercise="soft_value" points=1
def soft_value(q, pi, alpha):
    """The soft value (16.6) of every state.

    q, pi: (S, A); alpha ≥ 0. Returns (S,).
    """
    ### BEGIN SOLUTION
    return np.sum(pi * q, axis=1) + alpha * entropy(pi)  # (16.6), first form
    ### END SOLUTION


# %% [markdown] hints="soft_value"
# <details><summary>What was it without the bonus?</summary>
#
# The mean of q under π, one number a state: `v_from_q` of lesson 02.
# </details>
# <details><summary>And what is the mean of −log π under π?</summary>
#
# You have a function for it.
# </details>
# <details><summary>I prefer the second form. What of log 0?</summary>
#
# The product of the probability 0 and its bracket is 0 whatever the bracket is, except if it is infinite. See to it that it is not.
# </details>

# %% check="soft_value"
soft_value = check("soft_value")

# %% [markdown]
# ## The soft backup
#
# As in lesson 02, (16.7) holds for one table only. For any other table $q$ its right-hand side is a *new* table:
#
# $$\begin{aligned}
# (\mathcal B^\pi q)(s,a) &= r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,v(s')\\
# \text{with}\quad v(s') &= \sum_{a'}\pi(a'|s')\,\big[\,q(s',a') - \alpha\log\pi(a'|s')\,\big]
# \end{aligned} \tag{16.8}$$

# %% [markdown] task="soft_bellman_backup"
# ### Exercise 16.3 · `soft_bellman_backup`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute (16.8), as a new array, all entries from the same old q.


# %% exercise="soft_bellman_backup" points=2
def soft_bellman_backup(q, P, R, pi, gamma, alpha):
    """One soft Bellman backup of every state and action (16.8).

    q, R, pi: (S, A); P: (S, A, S); gamma: in [0, 1]; alpha ≥ 0. Returns a new (S, A).
    """
    ### BEGIN SOLUTION
    v = soft_value(q, pi, alpha)  # of every next state, with its bonus
    return R + gamma * (P @ v)  # (16.8)
    ### END SOLUTION


# %% [markdown] hints="soft_bellman_backup"
# <details><summary>Where do I begin?</summary>
#
# With the second line of (16.8): one number for each next state. You have written it.
# </details>
# <details><summary>And then?</summary>
#
# You have state values; what is left is the look ahead of lesson 02.
# </details>
# <details><summary>How often does γ stand in it?</summary>
#
# Once, before everything that comes a step later. Ask yourself which of the terms that is, the bonus included.
# </details>

# %% check="soft_bellman_backup"
soft_bellman_backup = check("soft_bellman_backup")

# %% [markdown]
# The world of this lesson's numbers is a random MDP of 20 states and 4 actions, and a random policy in it. First the definition (16.5),
# against the backup: 20,000 walks from state 0 with action 1, rewards and bonuses added up as (16.5) says, the first bonus left out.

# %%
world = mdp.garnet(n_states=20, n_actions=4, branching=3, rng=np.random.default_rng(0))
P, R, gamma, alpha = world.P, world.R, world.gamma, 0.5
pi = rng.dirichlet(np.ones(4), size=20)

q_pi = np.zeros((20, 4))
for _ in range(600):
    q_pi = soft_bellman_backup(q_pi, P, R, pi, gamma, alpha)


def drawn_from(rows):
    """An index from each row of probabilities."""
    return (rng.random((len(rows), 1)) > rows.cumsum(axis=1)[:, :-1]).sum(axis=1)


s, a = np.zeros(20_000, dtype=int), np.ones(20_000, dtype=int)
total = np.zeros(20_000)
for t in range(120):
    if t > 0:  # from the second state on π draws, and is paid for it
        total += gamma**t * alpha * entropy(pi)[s]
        a = drawn_from(pi[s])
    total += gamma**t * R[s, a]
    s = drawn_from(P[s, a])
error = total.std() / np.sqrt(len(total))
print(f"mean of the walks {total.mean():.3f} ± {error:.3f}; by repeated backups {q_pi[0, 1]:.3f}")
print(f"the first bonus would add {alpha * entropy(pi)[0]:.3f}")
assert abs(total.mean() - q_pi[0, 1]) < 4 * error

# %% [markdown]
# ## Lemma 1: soft policy evaluation
#
# **Repeated soft backups lead from any table to $Q^\pi$, and each brings it nearer by a factor γ.** Three steps.
#
# **Step 1: the bonus is a reward.** Split v in (16.8) into its two means. The second is the entropy of π at $s'$, and no $q$ stands in
# it: it can be counted among the rewards.
#
# $$\begin{aligned}
# (\mathcal B^\pi q)(s,a) &= r_\pi(s,a) + \gamma\sum_{s'}p(s'|s,a)\sum_{a'}\pi(a'|s')\,q(s',a')\\
# \text{with}\quad r_\pi(s,a) &= r(s,a) + \gamma\,\alpha\sum_{s'}p(s'|s,a)\,\mathcal H(\pi(\cdot|s'))
# \end{aligned} \tag{16.9}$$
#
# Mind the γ in $r_\pi$: the bonus is earned at the *next* state, so it comes a step later. This is lesson 02's backup for another reward. That
# reward is finite, since there are finitely many actions: $0\le\mathcal H\le\log A$.
#
# **Step 2: contraction.** Take two tables and back up both. $r_\pi$ is the same for both and cancels; a mean is never larger than the largest of what it
# averages:
#
# $$\begin{aligned}
# |(\mathcal B^\pi q_1 - \mathcal B^\pi q_2)(s,a)| &= \gamma\,\Big|\sum_{s'}p(s'|s,a)\sum_{a'}\pi(a'|s')\,[q_1-q_2](s',a')\Big|\\
# \text{hence}\qquad\|\mathcal B^\pi q_1 - \mathcal B^\pi q_2\|_\infty &\le \gamma\,\|q_1 - q_2\|_\infty
# \end{aligned} \tag{16.10}$$
#
# **Step 3: the end.** $Q^\pi$ is a fixed point: that is (16.7), derived from its definition. Put it in the place of $q_2$: after k backups
# $\|q_k - Q^\pi\|_\infty \le \gamma^k\,\|q_0 - Q^\pi\|_\infty \to 0$. There is no second fixed point, as it would have to stay where it is and come
# nearer. ∎
#
# Step by step by number: the augmented reward gives the same table, with its γ and not without; of 1000 pairs of tables
# none is farther apart afterwards than (16.10) allows; and a pair that differs by 1 everywhere comes nearer by exactly γ, so that there is no better constant.

# %%
bonus_next = alpha * P @ entropy(pi)
apart = {}
for name, reward in (("with γ", R + gamma * bonus_next), ("without", R + bonus_next)):
    q = dp.q_from_v(dp.solve_bellman(P, reward, pi, gamma), P, reward, gamma)
    apart[name] = np.abs(q - q_pi).max()
    print(f"step 1, augmented reward {name:7}: largest difference from Q^π {apart[name]:.1e}")
assert apart["with γ"] < 1e-12 < 0.1 < apart["without"]


def backup(q):
    return soft_bellman_backup(q, P, R, pi, gamma, alpha)


ratios = []
for _ in range(1000):
    q1, q2 = rng.normal(size=(2, 20, 4))
    ratios.append(np.abs(backup(q1) - backup(q2)).max() / np.abs(q1 - q2).max())
shifted = np.abs(backup(q1 + 1) - backup(q1)).max()
print(f"step 2, 1000 pairs: distance after / before at most {max(ratios):.3f}; ", end="")
print(f"q and q + 1: {shifted:.3f}")
assert max(ratios) <= gamma and abs(shifted - gamma) < 1e-12
print(f"step 3, Q^π after one more backup moves by {np.abs(backup(q_pi) - q_pi).max():.0e}")

# %% tags=["hide-input"]
q, errors = np.zeros((20, 4)), []
for _ in range(201):
    errors.append(np.abs(q - q_pi).max())
    q = backup(q)
steps = np.arange(201)
print(f"error: {errors[0]:.2f} at first, {errors[50]:.4f} after 50 backups, {errors[200]:.1e} after 200; "
      f"last factor {errors[200] / errors[199]:.4f}")  # fmt: skip
assert (np.array(errors) <= errors[0] * gamma**steps + 1e-12).all()
series = {f"{whose('soft_bellman_backup')} soft backups": errors,
          "γ to the k, times the first error": errors[0] * gamma**steps}  # fmt: skip
ax = plots.curves(series, x=steps, xlabel="backups k", ylabel="largest error")
ax.set_yscale("log")
plots.show(ax, alt="The largest error of repeated soft backups on a logarithmic axis: it falls in a straight line, below the bound "
           "gamma to the k.")  # fmt: skip

# %% [markdown]
# ### Solved instead of repeated
#
# Put (16.7) into (16.6) and read it as one equation for V. In the letters of lesson 02, with $r^\pi(s)=\sum_a\pi(a|s)\,r(s,a)$:
#
# $$\begin{aligned}
# \big(I - \gamma P^\pi\big)\,V^\pi &= r^\pi + \alpha\,\mathcal H(\pi)\\
# Q^\pi(s,a) &= r(s,a) + \gamma\sum_{s'}p(s'|s,a)\,V^\pi(s')
# \end{aligned} \tag{16.11}$$
#
# $\mathcal H(\pi)$ is a column with one entropy a state. S equations with S unknowns, then one look ahead.

# %% [markdown] task="soft_policy_evaluation"
# ### Exercise 16.4 · `soft_policy_evaluation`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Find $Q^\pi$ exactly, to nine digits, also for γ = 0.99. How is up to you.


# %% exercise="soft_policy_evaluation" points=2
def soft_policy_evaluation(P, R, pi, gamma, alpha):
    """The soft action values of π: the fixed point of (16.8).

    P: (S, A, S); R, pi: (S, A); gamma: in [0, 1); alpha ≥ 0. Returns Q^π (S, A).
    """
    ### BEGIN SOLUTION
    P_pi = np.einsum("sa,sat->st", pi, P)
    r_pi = np.sum(pi * R, axis=1)
    v = np.linalg.solve(np.eye(len(R)) - gamma * P_pi, r_pi + alpha * entropy(pi))  # (16.11)
    return R + gamma * (P @ v)
    ### END SOLUTION


# %% [markdown] hints="soft_policy_evaluation"
# <details><summary>What is the matrix, and what is on the right?</summary>
#
# The matrix is that of exercise 2.3. On the right stands what a state pays on average for one visit, bonus included.
# </details>
# <details><summary>Is the solution what is asked for?</summary>
#
# It has one number a state. The second half of (16.11) makes Q of it.
# </details>
# <details><summary>May I repeat the backup instead?</summary>
#
# Yes, until it has settled. Think about how many it takes at γ = 0.99, and what a small change says about the error (lesson 02).
# </details>

# %% check="soft_policy_evaluation"
soft_policy_evaluation = check("soft_policy_evaluation")

# %%
solved = soft_policy_evaluation(P, R, pi, gamma, alpha)
print(f"solved against 600 backups: largest difference {np.abs(solved - q_pi).max():.0e}")
assert np.abs(solved - q_pi).max() < 1e-12

# %% [markdown]
# **Only the price matters.** In (16.3) divide everything by α: rewards $r/\alpha$ at the temperature 1 ask for the same policy, and all values are divided by
# α. Many papers therefore write α = 1 and leave it out. We write it, since later it is learned.

# %%
scaled = alpha * soft_policy_evaluation(P, R / alpha, pi, gamma, 1.0)
print(f"α Q at temperature 1 with r/α, against Q at α: {np.abs(scaled - solved).max():.0e}")
assert np.abs(scaled - solved).max() < 1e-12

# %% [markdown]
# ## Lemma 2: soft policy improvement
#
# In lesson 03 we improved a policy by taking the action with the largest $Q^\pi$. Now V also pays for entropy. So ask state by state: given the
# numbers $Q(a)$, which distribution $p$ over the actions makes
#
# $$\sum_a p_a\,\big[\,Q(a) - \alpha\log p_a\,\big]$$
#
# as large as possible? Write $Q(a) = \alpha\log e^{Q(a)/\alpha}$, and let $Z=\sum_b e^{Q(b)/\alpha}$ and $m_a = e^{Q(a)/\alpha}/Z$. Then
# $Q(a) = \alpha\log m_a + \alpha\log Z$. Put that in; $p$ sums to 1:
#
# $$\begin{aligned}
# \sum_a p_a\,\big[\,Q(a)-\alpha\log p_a\,\big] &= \alpha\log Z - \alpha\sum_a p_a\log\frac{p_a}{m_a}\\
# &= \alpha\log Z - \alpha\,\mathrm{KL}(p\,\|\,m)
# \end{aligned} \tag{16.12}$$
#
# The last sum is the **Kullback-Leibler divergence** of $p$ from $m$. It is never negative, by the same line as above: $-\mathrm{KL} =
# \sum_{p_a>0}p_a\log\frac{m_a}{p_a} \le \sum_{p_a>0}p_a\big(\frac{m_a}{p_a}-1\big)\le0$, and it is 0 only for $p=m$. The first term does not depend on $p$ at all. So the best
# distribution is $m$, there is no second, and what any other one loses is α times its divergence. For every state:
#
# $$\pi_{\text{new}}(a|s) = \frac{e^{Q(s,a)/\alpha}}{\sum_b e^{Q(s,b)/\alpha}} \tag{16.13}$$
#
# This is the **softmax** of $Q/\alpha$. The greedy policy of lesson 03 takes the best action; this one takes every action, the better the more often: one that is worse
# by α is less likely by a factor e.

# %% [markdown] task="soft_improvement"
# ### Exercise 16.5 · `soft_improvement`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute (16.13) for every state. α may be tiny and values may be huge: $Q/\alpha$ reaches tens of thousands, and rows of one table may lie far apart.


# %% exercise="soft_improvement" points=2
def soft_improvement(q, alpha):
    """The softmax policy (16.13).

    q: (S, A), of any size; alpha > 0. Returns (S, A), rows sum to 1.
    """
    ### BEGIN SOLUTION
    best = q.max(axis=1, keepdims=True)  # of each row: the quotient does not change
    weight = np.exp((q - best) / alpha)
    return weight / weight.sum(axis=1, keepdims=True)  # (16.13)
    ### END SOLUTION


# %% [markdown] hints="soft_improvement"
# <details><summary>I get NaN, or warnings about overflow.</summary>
#
# $e^{1000}$ is too large for a float. What happens to (16.13) if the same number is subtracted from all values of a row?
# </details>
# <details><summary>Which number should I subtract?</summary>
#
# One after which the largest exponent is 0: then nothing can overflow, and the sum below is at least 1.
# </details>
# <details><summary>It works for one state and not for all.</summary>
#
# Each row has its own number. See that what you subtract has the shape (S, 1).
# </details>

# %% check="soft_improvement"
soft_improvement = check("soft_improvement")

# %% [markdown]
# Two things that we shall use all the time follow from (16.12) with $p=m$. The best value is $\alpha\log Z$, a *soft maximum* of the row; and (16.13) says
# $\pi = e^{Q/\alpha}/Z$ with $Z = e^{V/\alpha}$:
#
# $$V(s) = \alpha\log\sum_a e^{Q(s,a)/\alpha},\qquad \pi(a|s) = e^{(Q(s,a)-V(s))/\alpha} \tag{16.14}$$
#
# Its name is **log-sum-exp**. It lies above the largest entry, by at most $\alpha\log A$: $Z$ is at least its largest term, and at most A times that.
#
# The two buttons of the beginning: $Q=(1,0)$, α = 1, so B is pressed with probability $e^0/(e^1+e^0)=0.27$, and the best value is $\log(e+1)=1.31$.
#
# Check (16.12) with random distributions, and (16.14), the buttons, and that only the price matters:


# %%
def soft_maximum(q, alpha):
    """α log Σ exp(q/α) of every row, the largest value taken out first."""
    best = q.max(axis=1)
    return best + alpha * np.log(np.exp((q - best[:, None]) / alpha).sum(axis=1))


q = rng.normal(size=(5, 4))
m = soft_improvement(q, alpha)
off = 0.0
for _ in range(500):
    p = rng.dirichlet(np.ones(4), size=5)
    divergence = (p * np.log(p / m)).sum(axis=1)
    off = max(
        off, np.abs(soft_value(q, p, alpha) - (soft_maximum(q, alpha) - alpha * divergence)).max()
    )
    assert divergence.min() >= 0
print(f"(16.12), 500 random policies: both sides differ by at most {off:.0e}")
print("largest entries  ", q.max(axis=1).round(3))
print("soft maxima      ", soft_maximum(q, alpha).round(3))
print("values of softmax", soft_value(q, m, alpha).round(3))
buttons = np.array([[1.0, 0.0]])
b_share, b_value = soft_improvement(buttons, 1.0)[0, 1], soft_maximum(buttons, 1.0)[0]
print(f"buttons: B with probability {b_share:.2f}, value {b_value:.2f}")
same = np.abs(soft_improvement(q / alpha, 1.0) - m).max()
print(f"policy for Q/α at temperature 1, against that for Q at α: {same:.0e}")
assert off < 1e-12 and np.allclose(soft_value(q, m, alpha), soft_maximum(q, alpha))
assert np.allclose(m, np.exp((q - soft_maximum(q, alpha)[:, None]) / alpha))

# %% [markdown]
# ### Talk to your neighbour
# You know $Q^\pi$ and replace π by the softmax of $Q^\pi/\alpha$, in all states at once. The values that told you so were those of the *old* policy. For how many
# pairs $(s,a)$ can the soft $Q$ of the new policy be lower?
#
# **A** for none · **B** for some, but in the mean it rises · **C** for none, if one state is changed at a time · **D** anywhere
#
# <details><summary>What the next cells will show</summary>
#
# A, as in lesson 03, and by the same argument.
# </details>

# %% [markdown]
# ### The proof
#
# **For every policy π and the softmax $\pi_{\text{new}}$ of $Q^\pi/\alpha$: $Q^{\pi_{\text{new}}}(s,a)\ge Q^\pi(s,a)$ everywhere.** Four steps.
#
# **Step 1: better for one step.** By (16.12) no distribution does better on the numbers $Q^\pi(s,\cdot)$ than $\pi_{\text{new}}(\cdot|s)$, the old π included, whose own
# value there is $V^\pi(s)$. The gain is the divergence:
#
# $$\begin{aligned}
# \sum_a\pi_{\text{new}}(a|s)&\big[Q^\pi(s,a)-\alpha\log\pi_{\text{new}}(a|s)\big]\\
# &= V^\pi(s) + \alpha\,\mathrm{KL}\big(\pi(\cdot|s)\,\|\,\pi_{\text{new}}(\cdot|s)\big) \ge V^\pi(s)
# \end{aligned}$$
#
# **Step 2: so one backup does not lower $Q^\pi$.** Put step 1 into (16.8), at every $s'$; then use (16.7):
#
# $$(\mathcal B^{\pi_{\text{new}}}Q^\pi)(s,a) \ge r(s,a)+\gamma\sum_{s'}p(s'|s,a)\,V^\pi(s') = Q^\pi(s,a)$$
#
# **Step 3: a backup keeps the order.** If $q\le q'$ in every entry, then $\mathcal B q\le\mathcal B q'$: by (16.9) it is a mean plus things that do not depend on $q$.
#
# **Step 4: again and again.** Apply $\mathcal B^{\pi_{\text{new}}}$ to both sides of step 2, and again; by step 3 the order stays, by Lemma 1 it ends at
# $Q^{\pi_{\text{new}}}$:
#
# $$Q^\pi \;\le\; \mathcal B^{\pi_{\text{new}}}Q^\pi \;\le\; \big(\mathcal B^{\pi_{\text{new}}}\big)^2Q^\pi \;\le\; \dots \;\to\; Q^{\pi_{\text{new}}} \qquad∎ \tag{16.15}$$

# %%
new = soft_improvement(q_pi, alpha)
gain = soft_value(q_pi, new, alpha) - soft_value(q_pi, pi, alpha)
divergence = (pi * np.log(pi / new)).sum(axis=1)
print(f"step 1: gain − α KL at most {np.abs(gain - alpha * divergence).max():.0e}; "
      f"smallest gain {gain.min():.3f}")  # fmt: skip
chain = [q_pi]
for _ in range(60):
    chain.append(soft_bellman_backup(chain[-1], P, R, new, gamma, alpha))
rises = [(after - before).min() for before, after in pairwise(chain)]
print(f"step 2: smallest rise by one backup {rises[0]:.3f}")
low = rng.normal(size=(20, 4))
high = low + rng.random((20, 4))
kept = soft_bellman_backup(high, P, R, new, gamma, alpha) - soft_bellman_backup(
    low, P, R, new, gamma, alpha
)
print(f"step 3: order kept, smallest difference {kept.min():.3f}")
q_new = soft_policy_evaluation(P, R, new, gamma, alpha)
risen = q_new - q_pi
print(f"step 4: smallest rise in 60 backups {min(rises):.1e}; "
      f"in the end Q has risen by {risen.min():.2f} to {risen.max():.2f}")  # fmt: skip
assert np.abs(gain - alpha * divergence).max() < 1e-12 and min(rises) > -1e-12 and kept.min() >= 0

# %%
smallest = np.inf
for _ in range(100):
    g = mdp.garnet(n_states=8, n_actions=4, branching=3, rng=rng)
    some = rng.dirichlet(np.ones(4), size=8)
    before = soft_policy_evaluation(g.P, g.R, some, g.gamma, alpha)
    for _ in range(6):
        some = soft_improvement(before, alpha)
        after = soft_policy_evaluation(g.P, g.R, some, g.gamma, alpha)
        smallest = min(smallest, (after - before).min())
        before = after
print(f"100 random MDPs, 6 improvements each: the smallest change of any Q is {smallest:.1e}")
print("by", authorship("soft_policy_evaluation", "soft_improvement"))
assert smallest > -1e-9

# %% [markdown]
# ## When an episode ends
#
# So far nothing ended. Since lesson 01 a terminal state is written into $P$ as one that leads to itself and pays nothing. Its value is 0 there, whatever one
# does. Is it still?

# %% [markdown]
# ### Talk to your neighbour
# The goal is such a state, with four actions. $\gamma = 0.95$, α = 1. What is the goal worth to an agent that is paid for entropy?
#
# **A** 0 · **B** $\log 4 = 1.39$ · **C** about 28
#
# <details><summary>What the next cell will show</summary>
#
# C. The four actions are copies of each other, so the agent draws among them at random and is paid $\log4$ for it, for ever:
# $\alpha\log A/(1-\gamma) = 27.7$. For a table the end of an episode is a place like any other.
# </details>

# %%
cliff = gridworlds.cliff_walk(gamma=0.95)
c = cliff.mdp
goal = int(np.flatnonzero(c.terminal)[0])
uniform = np.full(c.R.shape, 0.25)
at_goal = soft_value(soft_policy_evaluation(c.P, c.R, uniform, 0.95, 1.0), uniform, 1.0)[goal]
print(f"value of the goal, as a state that leads to itself: {at_goal:.2f}; log 4/(1 − γ) = "
      f"{np.log(4) / 0.05:.2f}")  # fmt: skip
assert abs(at_goal - np.log(4) / 0.05) < 1e-9

# %% [markdown]
# ### The convention, from here on
#
# That is not what we want to say: after the end nobody acts, so nobody is paid for how. Since lesson 04 there is a flag for it, $d=1$ if $s'$ is terminal. It takes
# all of $V(s')$ away, the bonus included:
#
# $$Q^\pi(s,a) = \mathbb E_{s'}\big[\,r + \gamma\,(1-d)\,V^\pi(s')\,\big] \tag{16.16}$$
#
# In a table: set the column $p(\text{terminal}\mid s,a)$ to 0, so that rows into the end sum to less than 1. **This is the convention of the course from here on**; lessons 17 to
# 19 sample transitions, with a flag, and use (16.16). The lemmas need neither: all their steps hold for rows that sum to *at most* 1 as well. For the
# checks by number we keep to worlds that do not end.
#
# The two differ in what they reward. In the first, an agent hurries to the goal, to be paid there for ever. In the second, every step *before* the end is paid for and none after it: if
# the bonus is worth more than the steps cost, why arrive at all?

# %% [markdown] task="leave_or_stay"
# ### Exercise 16.6 · `leave_or_stay`
# **Points** 2 · **Difficulty** ●●○ · **Time** 20 min · ✎ on paper
#
# One state, γ = 1. One action ends the episode and pays $g$ (`gain`); nothing comes after it, no bonus either. $m$ other actions (`n_stay`) cost $c$ each
# (`cost`) and leave you where you are. From (16.14), with (16.16) for the action that ends, find for the best soft policy:
#
# - its value V, and the probability $p$ of leaving now. V stands on both sides; look for the letter in which its equation is *linear*.
# - the temperature from which on the agent never leaves. Return `(inf, 0.0)` from there on.


# %% exercise="leave_or_stay" points=2
def leave_or_stay(gain, cost, n_stay, alpha):
    """Soft-optimal value of the state, and the probability of leaving it now; γ = 1.

    gain: a float; cost > 0; n_stay: an int ≥ 1; alpha > 0.
    Returns two floats, (inf, 0.0) where it never leaves.
    """
    ### BEGIN SOLUTION
    stay = n_stay * np.exp(-cost / alpha)  # with x = e^{V/α}: x = e^{g/α} + stay · x
    if stay >= 1:
        return float("inf"), 0.0
    p_leave = 1 - stay  # e^{g/α}/x
    return gain - alpha * np.log(p_leave), p_leave
    ### END SOLUTION


# %% [markdown] hints="leave_or_stay"
# <details><summary>What are the two Q?</summary>
#
# One action is paid and nothing follows. The other costs something, and then you are in this very state again, with γ = 1. Which letter stands for what that is worth?
# </details>
# <details><summary>How do I get V out of the logarithm?</summary>
#
# Divide by α and take the exponential of both sides. In the sum over the actions stands the exponential of V again, times something that you know.
# </details>
# <details><summary>What goes wrong at a high temperature?</summary>
#
# Your equation for x has a solution for every temperature. Can x, an exponential, have every sign? And take care with large gains: do not compute
# the exponential of $g/\alpha$.
# </details>

# %% check="leave_or_stay"
leave_or_stay = check("leave_or_stay")

# %% [markdown]
# Against your own backups on that table: the column of the end is left away, so only the state itself is reached, by m of the m + 1 actions. 40 random states below the
# threshold, and then one above it:


# %%
def one_state(gain, cost, n_stay):
    """The table with the ending column left away: P (1, m + 1, 1), R (1, m + 1)."""
    P_stay = np.ones((1, n_stay + 1, 1))
    P_stay[0, 0] = 0.0  # action 0 ends
    return P_stay, np.array([[gain, *[-cost] * n_stay]])


def backed_up(gain, cost, n_stay, alpha, sweeps):
    """V and p after so many backups, each by the softmax of the last table."""
    P_stay, R_stay = one_state(gain, cost, n_stay)
    q = np.zeros(R_stay.shape)
    for _ in range(sweeps):
        q = soft_bellman_backup(q, P_stay, R_stay, soft_improvement(q, alpha), 1.0, alpha)
    p = soft_improvement(q, alpha)
    return soft_value(q, p, alpha)[0], p[0, 0]


off = 0.0
for _ in range(40):
    m_stay, cost, gain = int(rng.integers(2, 6)), rng.uniform(0.5, 2), rng.normal()
    temperature = rng.uniform(0.2, 0.8) * cost / np.log(m_stay)
    found = backed_up(gain, cost, m_stay, temperature, sweeps=400)
    off = max(off, np.abs(np.subtract(found, leave_or_stay(gain, cost, m_stay, temperature))).max())
print(f"40 random states, by {authorship('leave_or_stay')}: at most {off:.0e} from 400 backups")
assert off < 1e-9
for sweeps in (10, 100, 400):
    v_up, p_up = backed_up(0.0, 1.0, 3, 1.0, sweeps)
    print(f"c = 1, m = 3, α = 1, after {sweeps:3} backups: V = {v_up:5.2f}, p = {p_up:.0e}")
print("on paper:", leave_or_stay(0.0, 1.0, 3, 1.0))

# %% tags=["hide-input"]
threshold = 1 / np.log(3)
temperatures = np.linspace(0.05, 0.905, 150)
on_paper = np.array([leave_or_stay(0.0, 1.0, 3, x) for x in temperatures])
axes = plots.axes(1, 2, size="wide")
for ax, k, label in zip(axes, (1, 0), ("probability of leaving now", "soft value V"), strict=True):
    plots.curves(
        {label: on_paper[:, k]}, x=temperatures, xlabel="temperature α", ylabel=label, ax=ax
    )
    ax.get_legend().remove()
    ax.axvline(threshold, color=plots.INK, linewidth=1, linestyle="-")
    ax.set_xlim(0, 1.0)
axes[0].text(threshold - 0.02, 0.9, f"α = {threshold:.2f}", ha="right")
plots.show(axes, alt="Probability of leaving and soft value against the temperature, for gain 0, cost 1 and three ways to stay: the "
           f"probability falls from 1 to 0 at {threshold:.2f}, where the value grows without bound.")  # fmt: skip
for x in (0.3, 0.5, 0.7, 0.8, 0.9):
    v_at, p_at = leave_or_stay(0.0, 1.0, 3, x)
    print(f"α = {x}: p = {p_at:.4f}, V = {v_at:.3f}, cost paid on the way {(1 - p_at) / p_at:6.2f}")

# %% [markdown]
# Below the threshold the gain does not matter for $p$: with γ = 1 you will get it anyway, sooner or later. Above it each round of wandering costs $c$ and earns
# $\alpha\log m\ge c$. Keep that in mind whenever an agent that is paid for entropy does not finish its task: the bonus may be worth more than the goal. In lessons 18 and 19
# α is small, or learned.

# %% [markdown]
# ## Break
#
# You have: entropy, the soft Bellman equation, its evaluation (Lemma 1) and its improvement (Lemma 2). To see that all of it works, run the next cell; it prints the
# same two lines for everybody.

# %%
grid = gridworlds.book_5x5()
w = grid.mdp
q_start = soft_policy_evaluation(w.P, w.R, np.full(w.R.shape, 0.25), w.gamma, 1.0)
q_once = soft_policy_evaluation(w.P, w.R, soft_improvement(q_start, 1.0), w.gamma, 1.0)
for name, table in (("uniform policy", q_start), ("improved once", q_once)):
    print(f"{name}, α = 1, 5 × 5 world: soft Q of A {table[1, 0]:.2f}, mean {table.mean():.2f}")

# %% [markdown]
# ## Soft policy iteration
#
# Judge, improve, repeat, as in lesson 03, softly:
#
# $$\pi_0 \to Q^{\pi_0} \to \pi_1 \to Q^{\pi_1} \to \dots,\qquad \pi_{k+1}(a|s) \propto e^{Q^{\pi_k}(s,a)/\alpha} \tag{16.17}$$
#
# By Lemma 2, Q never falls. But policies are now points of a continuum, and there is no last one: no round will find *nothing* to change. When to stop is a matter of how much.

# %% [markdown] task="soft_policy_iteration"
# ### Exercise 16.7 · `soft_policy_iteration`
# **Points** 3 · **Difficulty** ●●● · **Time** 20 min
#
# Write (16.17). Round 1 evaluates the uniform policy. Each further round improves, then evaluates. Stop after the first round in which *no entry of Q* changes by `tolerance` or
# more. Return the policy, its own soft Q, and the number of rounds, the last one included.
#
# - Which pair of tables belongs together at the end is for you to see.


# %% exercise="soft_policy_iteration" points=3
def soft_policy_iteration(P, R, gamma, alpha, tolerance):
    """Soft policy iteration (16.17).

    P: (S, A, S); R: (S, A); gamma: in [0, 1); alpha, tolerance > 0.
    Returns pi (S, A), its soft Q (S, A), and the number of rounds, an int ≥ 2.
    """
    ### BEGIN SOLUTION
    n_actions = R.shape[1]
    pi = np.full(R.shape, 1 / n_actions)
    q = soft_policy_evaluation(P, R, pi, gamma, alpha)
    rounds = 1
    while True:
        old = q
        pi = soft_improvement(q, alpha)
        q = soft_policy_evaluation(P, R, pi, gamma, alpha)
        rounds += 1
        if np.max(np.abs(q - old)) < tolerance:
            return pi, q, rounds
    ### END SOLUTION


# %% [markdown] hints="soft_policy_iteration"
# <details><summary>What is in the loop?</summary>
#
# Two of your functions, one after the other, and a count. Before it the uniform policy is evaluated, which is a round as well.
# </details>
# <details><summary>What do I compare?</summary>
#
# The table of this round with that of the last one; so keep the old one. One number says whether *all* entries have settled.
# </details>
# <details><summary>What do I return?</summary>
#
# When the test says stop, you have just evaluated a policy. Those two belong together; do not improve once more.
# </details>

# %% check="soft_policy_iteration"
soft_policy_iteration = check("soft_policy_iteration")

# %% [markdown]
# ## Lemma 3: it finds the best policy there is
#
# **There is a table $Q^*$ that no policy exceeds anywhere, $Q^\pi\le Q^*$; the softmax of $Q^*/\alpha$ reaches it; and soft policy iteration converges to it from any start.** Again four steps. The
# trick is a backup without any policy in it, with the soft maximum (16.14) in the place of lesson 03's maximum:
#
# $$(\mathcal B^*q)(s,a) = r(s,a) + \gamma\sum_{s'}p(s'|s,a)\;\alpha\log\sum_{a'}e^{q(s',a')/\alpha} \tag{16.18}$$
#
# **Step 1: $\mathcal B^*$ is a contraction.** Let $c=\|q_1-q_2\|_\infty$. Then $q_1\le q_2+c$; a soft maximum grows with its entries, and adding $c$ to all of them adds $c$ to it. So the soft maxima of
# $q_1$ and $q_2$ differ by at most $c$, in both directions, and $\|\mathcal B^*q_1-\mathcal B^*q_2\|_\infty\le\gamma\,c$. As in lesson 03 there is exactly one fixed point. Call it $Q^*$.
#
# **Step 2: no policy exceeds it.** By (16.12) the value of any $p$ is at most the soft maximum, so $\mathcal B^\pi q\le\mathcal B^*q$ for every table and every policy. Begin with $Q^*$:
# $\mathcal B^\pi Q^*\le\mathcal B^*Q^*=Q^*$. Apply $\mathcal B^\pi$ again and again (it keeps the order, and ends at $Q^\pi$): $Q^\pi\le Q^*$.
#
# **Step 3: one policy reaches it.** Let $\pi^*$ be the softmax of $Q^*/\alpha$. For this one (16.12) loses nothing: $\mathcal B^{\pi^*}Q^*=\mathcal B^*Q^*=Q^*$. So $Q^*$ is a fixed point of
# $\mathcal B^{\pi^*}$, and by Lemma 1 there is only one, $Q^{\pi^*}$. Hence $Q^{\pi^*}=Q^*$.
#
# **Step 4: the rounds converge.** $\pi_{k+1}$ is the softmax of $Q^{\pi_k}/\alpha$, so for this table its backup is $\mathcal B^*$. The first link of (16.15) then reads
# $Q^{\pi_{k+1}}\ge\mathcal B^{\pi_{k+1}}Q^{\pi_k}=\mathcal B^*Q^{\pi_k}$. Together with step 2:
#
# $$\begin{aligned}
# 0 \;\le\; Q^*-Q^{\pi_{k+1}} &\;\le\; \mathcal B^*Q^*-\mathcal B^*Q^{\pi_k}\\
# \text{hence}\quad \|Q^*-Q^{\pi_{k+1}}\|_\infty &\;\le\; \gamma\,\|Q^*-Q^{\pi_k}\|_\infty \qquad∎
# \end{aligned} \tag{16.19}$$
#
# It says ≥ and not >: another policy may have the *same* Q in some entries. With γ = 0 all of them have, since every Q is $r$.
#
# By number, on the world from above: the contraction; the fixed point by repeated $\mathcal B^*$, against soft policy iteration; 500 random policies, none of them above it; five other starts.


# %%
def optimal_backup(q):
    return R + gamma * P @ soft_maximum(q, alpha)


ratios = []
for _ in range(500):
    q1, q2 = rng.normal(size=(2, 20, 4))
    ratios.append(np.abs(optimal_backup(q1) - optimal_backup(q2)).max() / np.abs(q1 - q2).max())
q_star = np.zeros((20, 4))
for _ in range(500):
    q_star = optimal_backup(q_star)
print(f"step 1: distance after / before at most {max(ratios):.3f}")
excess = -np.inf
for _ in range(500):
    some = rng.dirichlet(rng.choice([0.3, 1.0, 10.0]) * np.ones(4), size=20)
    excess = max(excess, (soft_policy_evaluation(P, R, some, gamma, alpha) - q_star).max())
print(f"step 2: 500 random policies, Q^π − Q* at most {excess:.3f}")
best_pi = soft_improvement(q_star, alpha)
reached = soft_policy_evaluation(P, R, best_pi, gamma, alpha)
print(f"step 3: the softmax of Q*/α reaches it to {np.abs(reached - q_star).max():.0e}")
found_pi, found_q, rounds = soft_policy_iteration(P, R, gamma, alpha, 1e-10)
print(f"step 4: {rounds} rounds end at Q* to {np.abs(found_q - q_star).max():.0e}, "
      f"π to {np.abs(found_pi - best_pi).max():.0e} (by {authorship('soft_policy_iteration')})")  # fmt: skip
for _ in range(5):
    some = rng.dirichlet(np.ones(4), size=20)
    for _ in range(8):
        last = soft_policy_evaluation(P, R, some, gamma, alpha)
        some = soft_improvement(last, alpha)
    assert np.abs(last - q_star).max() < 1e-10
zero = [soft_policy_evaluation(P, R, p, 0.0, alpha) for p in (pi, best_pi)]
off = np.abs(zero[0] - zero[1]).max()
print(f"γ = 0: Q of the best policy and of another differ by {off:.0f}")
assert max(ratios) <= gamma and excess <= 1e-9 and np.abs(found_q - q_star).max() < 1e-9

# %% tags=["hide-input"]
q_iter, q_sweep, some = np.zeros((20, 4)), np.zeros((20, 4)), np.full((20, 4), 0.25)
by_rounds, by_sweeps = [], []
for _ in range(6):
    q_iter = soft_policy_evaluation(P, R, some, gamma, alpha)
    by_rounds.append(np.abs(q_iter - q_star).max())
    some = soft_improvement(q_iter, alpha)
for _ in range(60):
    q_sweep = optimal_backup(q_sweep)
    by_sweeps.append(np.abs(q_sweep - q_star).max())
print("error after each round:", *[f"{x:.0e}" for x in by_rounds])
ax = plots.axes()
ax.plot(range(1, 7), np.maximum(by_rounds, 1e-15), marker="o", label="soft policy iteration")
ax.plot(range(1, 61), by_sweeps, label="soft value iteration: $\\mathcal{B}^*$ repeated")
ax.set(yscale="log", xlabel="rounds, or sweeps", ylabel="largest error")
ax.legend()
plots.show(ax, alt="Errors on a logarithmic axis: soft policy iteration is exact to rounding after five or six rounds, soft value "
           "iteration falls by a factor gamma a sweep.")  # fmt: skip

# %% [markdown]
# (16.19) promises a factor γ a round, and it goes far faster: each round *squares* the error, roughly. A round is a Newton step for $q=\mathcal B^*q$: the backup of the present policy touches $\mathcal B^*$ at
# the present table, by (16.12), like a tangent; and a round solves the tangent's equation exactly.

# %% [markdown]
# ## The experiment: a slider for α
#
# The 5 × 5 world of lessons 02 and 03. `A` pays 10 and throws you to `a`, `B` pays 5 and throws you to `b`, a bump costs 1. **Drag α, and watch the policy on the right** (each cell is cut
# into its four moves) **and the values on the left.** At α = 0.01 it is lesson 03, except that moves which are equally good share the probability; at α = 10 hardly anything but the bonus counts.

# %%
temperatures = (0.01, 0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 10.0)
of_alpha = {x: soft_policy_iteration(w.P, w.R, w.gamma, x, 1e-9) for x in temperatures}
uniform_v = dp.solve_bellman(w.P, w.R, np.full((25, 4), 0.25), w.gamma)
print("α        paid from A    nats a state (mean)   rounds")
for x, (policy, _, n) in of_alpha.items():
    paid = dp.solve_bellman(w.P, w.R, policy, w.gamma)  # rewards alone, by lesson 02
    print(f"{x:5}   {paid[1]:9.2f}   {entropy(policy).mean():15.3f}   {n:12}")
print(f"random  {uniform_v[1]:9.2f}   {np.log(4):15.3f}")

# %% tags=["hide-input"]
on_the_grid = dict(cells=grid.cells, labels=grid.labels)


def draw(x):
    policy, q, _ = of_alpha[x]
    axes = plots.axes(1, 2, size=(11, 5.2))
    v = soft_value(q, policy, x)
    plots.grid_values(v, grid.shape, title=f"soft values, α = {x}", ax=axes[0], **on_the_grid)
    plots.grid_q(policy, grid.shape, title="policy: the darker, the likelier", ax=axes[1],
                 digits=None, limit=1.0, arrows=False, **on_the_grid)  # fmt: skip
    return axes


plots.slide(draw, temperatures, name="α", start=3, milliseconds=1000,
            alt="Soft values and the policy in the 5 by 5 gridworld for a temperature between 0.01 and 10: at low temperatures "
            "the moves lead to A as in lesson 03, at high ones all four are nearly as likely.")  # fmt: skip

# %% [markdown]
# ### α → 0 gives lesson 03
#
# A soft maximum lies between the maximum and $\alpha\log A$ above it. So one soft backup lies between the hard one, $T^*q$ of lesson 03, and $\gamma\,\alpha\log A$ above it. Repeat both; what is added in each
# round is discounted by all later ones:
#
# $$0 \;\le\; Q^*_\alpha - Q^* \;\le\; \gamma\,\alpha\log A\,\big(1+\gamma+\gamma^2+\dots\big) = \frac{\gamma\,\alpha\log A}{1-\gamma} \tag{16.20}$$
#
# It goes to 0 with α; and wherever one action is strictly the best, the softmax goes to it. The next cell measures that on the random world, and what the entropy costs: the mean return *in rewards* of each soft-optimal policy.

# %%
hard, _ = dp.value_iteration(P, R, gamma, 1e-12)
v_hard = hard.max(axis=1).mean()
print("    α   max |Q_α − Q*|    bound   same best action   reward earned")
for x in (1.0, 0.3, 0.1, 0.03, 0.01):
    policy, q, _ = soft_policy_iteration(P, R, gamma, x, 1e-10)
    bound = gamma * x * np.log(4) / (1 - gamma)
    same = (q.argmax(axis=1) == hard.argmax(axis=1)).sum()
    paid = dp.solve_bellman(P, R, policy, gamma).mean()
    print(f"{x:5}   {(q - hard).max():14.5f}   {bound:6.3f}   {same:8} of 20   {paid:13.3f}")
    assert (q - hard).min() >= -1e-9 and (q - hard).max() <= bound
print(f"    0   {0:14.5f}   {0:6.3f}   {20:8} of 20   {v_hard:13.3f}")

# %% [markdown]
# ### The higher the price, the more is sold
#
# Does the optimal policy always become more random if α grows? Write the objective of a policy from a state $s$ as a straight line in α: $V^\pi_\alpha(s) = \rho + \alpha\,h$, with ρ the rewards and $h$ the discounted
# entropy that π collects, both counted from $s$. Let π be the best at α and π' at a larger α'. Each is best at its own price:
#
# $$\rho+\alpha\,h \ge \rho'+\alpha\,h',\qquad \rho'+\alpha'h' \ge \rho+\alpha'h$$
#
# Add both, and what is left is $(\alpha'-\alpha)(h'-h)\ge0$: **the discounted entropy never falls when α rises.** And $V^*_\alpha(s)$ is, at every α, the highest of all these lines; where it is smooth its slope is that of
# the line that touches it:
#
# $$\frac{\partial V^*_\alpha(s)}{\partial\alpha} = \mathbb E_{\pi^*_\alpha}\Big[\sum_{t\ge0}\gamma^t\,\mathcal H(\pi^*_\alpha(\cdot|s_t))\,\Big|\,s_0=s\Big] \tag{16.21}$$
#
# Lesson 19 will *choose* the entropy and let α follow. That this can be done rests on these lines.


# %%
def best_at(x):
    """Soft-optimal values, and the discounted entropy collected, from every state."""
    policy, q, _ = soft_policy_iteration(P, R, gamma, x, 1e-12)
    P_pi = mdp.policy_transition(P, policy)
    collected = np.linalg.solve(np.eye(20) - gamma * P_pi, entropy(policy))
    return soft_value(q, policy, x), collected, entropy(policy)


for x in (0.05, 0.2, 1.0, 5.0):
    slope = (best_at(x * 1.001)[0] - best_at(x * 0.999)[0]) / (0.002 * x)
    off = np.abs(slope - best_at(x)[1]).max()
    print(f"α = {x:4}: slope of V* by differences, against the entropy collected: {off:.0e}")
    assert off < 1e-4
prices = np.geomspace(0.01, 10, 60)
collected = np.array([best_at(x)[1] for x in prices])
per_state = np.array([best_at(x)[2] for x in prices])
print(f"60 temperatures, all states: smallest rise {np.diff(collected, axis=0).min():.1e}")
assert np.diff(collected, axis=0).min() > -1e-9
for x in (0.01, 0.1, 0.3, 1.0, 3.0, 10.0):
    print(
        f"α = {x:5}: mean entropy of the policy {best_at(x)[2].mean():.4f}; log 4 = {np.log(4):.4f}"
    )

# %% tags=["hide-input"]
ax = plots.axes()
thin = dict(linewidth=0.8, linestyle="-", alpha=0.6)
ax.plot(prices, per_state, color=plots.PALETTE["sky"], **thin)
thick = dict(linewidth=3, linestyle="-")
ax.plot(prices, per_state.mean(axis=1), color=plots.PALETTE["blue"], **thick)
ax.axhline(np.log(4), color=plots.INK, linewidth=1, linestyle="-")
ax.text(0.011, np.log(4) + 0.02, "log 4")
ax.set(xscale="log", xlabel="temperature α", ylabel="entropy of the optimal policy",
       title="thick: mean over the states; thin: each", ylim=(-0.05, 1.52))  # fmt: skip
plots.show(ax, alt="Entropy of the soft-optimal policy against the temperature on a logarithmic axis: its mean over the states "
           "rises from 0 to log 4, single states a little sooner or later.")  # fmt: skip

# %% [markdown]
# ## Why: the cliff
#
# What is randomness good for? Lesson 05's cliff: 1 is lost for a step, 100 for a fall. SARSA kept away from the edge because it knew that it would sometimes take a random step; Q-learning walked along it, since its $Q^*$ knew of no randomness. The soft agent's
# randomness is its own, and its values know it. The goal's column is set to 0, as (16.16) says. The picture shows where it spends its (discounted) time before the end:

# %%
ending = c.P * ~c.terminal  # the columns of terminal states are 0
on_the_way, arrives = {}, {}
rows = cliff.cells[:, 0]


def arrives_within(policy, steps=200):
    """Probability that the goal is reached in so many steps."""
    chain, where = mdp.policy_transition(c.P, policy), c.start
    for _ in range(steps):
        where = where @ chain
    return where[goal]


for x in (0.1, 0.3, 0.5):
    policy, q, _ = soft_policy_iteration(ending, c.R, 0.95, x, 1e-9)
    time_in = mdp.discounted_occupancy(mdp.policy_transition(ending, policy), c.start, 0.95)
    on_the_way[x] = time_in / time_in.sum()
    share = [on_the_way[x][rows == k].sum() for k in range(3)]
    print(f"α = {x}: beside the cliff {share[2]:.2f} of the time, one row up {share[1]:.2f}, "
          f"two {share[0]:.2f}; arrives: {arrives_within(policy):.3f}")  # fmt: skip

# %% tags=["hide-input"]
axes = plots.axes(3, 1, size=(9, 8.4))
for ax, (x, share) in zip(axes, on_the_way.items(), strict=True):
    plots.grid_values(100 * share, cliff.shape, cells=cliff.cells, labels=cliff.labels, digits=0, limit=15,
                      title=f"α = {x}: share of the time, in per cent", ax=ax)  # fmt: skip
plots.show(axes, alt="Share of the discounted time in each cell of the cliff world for three temperatures: at 0.1 the way leads along the "
           "cliff, at 0.5 it leads through the upper rows.")  # fmt: skip

# %% [markdown]
# ### And what the convention does
#
# The bend of your exercise, in a world with 38 states. Four free directions are worth $\alpha\log4$ a step and a step costs 1, so around $\alpha=1/\log4=0.72$ it no longer pays to arrive. **Change one argument**, the goal that leads to itself in the place of the
# zeroed column, and the same agent hurries to the goal at each of these temperatures, to collect its bonus there:

# %%
prices = (0.3, 0.5, 0.6, 0.7, 0.8, 1.0)
both = {"the end pays no bonus": ending, "the goal leads to itself": c.P}
arrives = {
    name: [arrives_within(soft_policy_iteration(table, c.R, 0.95, x, 1e-9)[0]) for x in prices]
    for name, table in both.items()
}
print(f"{'arrives within 200 steps, α =':30}", *[f"{x:7}" for x in prices])
for name, shares in arrives.items():
    print(f"{name:30}", *[f"{x:7.4f}" for x in shares])
assert arrives["the end pays no bonus"][-1] < 0.01 < 0.99 < arrives["the goal leads to itself"][-1]

# %% tags=["hide-input"]
fine = np.linspace(0.3, 1.0, 29)
series = {name: [arrives_within(soft_policy_iteration(table, c.R, 0.95, x, 1e-9)[0]) for x in fine]
          for name, table in both.items()}  # fmt: skip
ax = plots.curves(series, x=fine, xlabel="temperature α", ylabel="arrives within 200 steps")
ax.axvline(1 / np.log(4), color=plots.INK, linewidth=1, linestyle="-")
ax.text(1 / np.log(4) + 0.01, 0.5, "1/log 4")
ax.set_ylim(-0.05, 1.09)
ax.legend(loc="lower left")
plots.show(ax, alt="Probability of reaching the goal within 200 steps against the temperature: with the goal as an absorbing state it is 1 "
           "throughout, with the column zeroed it falls to 0 around 1/log 4.")  # fmt: skip

# %% [markdown]
# ## Change one thing: the improvement
#
# Lemma 2 needs the softmax of $Q/\alpha$. **Change it** to the greedy policy, or multiply by α where one should divide. **What to look for:** in how many of 200 random MDPs some soft Q *falls*, at a low and at a high temperature. At the low one both
# seem nearly to do: who tries one world only will find nothing.

# %%
improvements = {
    "softmax of Q/α": soft_improvement,
    "greedy": lambda q, x: dp.greedy_policy(q),
    "softmax of αQ": lambda q, x: soft_improvement(q, 1 / x),
}
print("200 random MDPs; in how many some Q falls, and by how much at most")
for x in (0.5, 2.0):
    for name, improve in improvements.items():
        changes = []
        for seed in range(200):
            fresh = np.random.default_rng(seed)
            g = mdp.garnet(n_states=8, n_actions=4, branching=3, rng=fresh)
            some = fresh.dirichlet(np.ones(4), size=8)
            before = soft_policy_evaluation(g.P, g.R, some, g.gamma, x)
            after = soft_policy_evaluation(g.P, g.R, improve(before, x), g.gamma, x)
            changes.append((after - before).min())
        fell = np.sum(np.array(changes) < -1e-9)
        print(f"α = {x}: {name:15} {fell:4} of 200, by {max(0, -min(changes)):.2f}")
        assert fell == 0 or name != "softmax of Q/α"

# %% [markdown]
# ## The silent bug
#
# A colleague's evaluation is below. It runs, its rounds converge, the policy looks sensible. **Find out what is wrong, and how one could have noticed.**


# %%
def colleagues_evaluation(P, R, pi, gamma, alpha):
    reward = R + alpha * P @ entropy(pi)  # the bonus of the next state is a reward …
    v = dp.solve_bellman(P, reward, pi, gamma)  # … so lesson 02 does the rest
    return dp.q_from_v(v, P, reward, gamma)


policy, rounds, moved = np.full((20, 4), 0.25), 1, np.inf
q = colleagues_evaluation(P, R, policy, gamma, alpha)
while moved >= 1e-10:
    old, policy = q, soft_improvement(q, alpha)
    q = colleagues_evaluation(P, R, policy, gamma, alpha)
    moved, rounds = np.abs(q - old).max(), rounds + 1
print(f"colleague: {rounds} rounds, mean entropy {entropy(policy).mean():.3f}; "
      f"yours {entropy(best_pi).mean():.3f}")  # fmt: skip

# %% [markdown]
# <details><summary>I need a hint.</summary>
#
# Lemma 3 says something about all policies that must hold of the colleague's, too. And what should Q be for γ = 0?
# </details>
# <details><summary>What is wrong?</summary>
#
# The augmented reward lacks the γ of (16.9): each bonus is counted a step too early. The next cell shows two signs. The values *exceed* $Q^*$, which no policy can. And for γ = 0, Q is not $r$. The policy itself is not the best one either, but by so
# little that nobody would see it: its bonuses are paid at the price α/γ, which is nearly α. A wrong value may lead to a policy that looks right.
# </details>

# %%
honest = soft_policy_evaluation(P, R, policy, gamma, alpha)
print(f"claimed Q − Q*: {(q - q_star).min():.3f} to {(q - q_star).max():.3f}")
print(f"what that policy is really worth, below Q*: {(q_star - honest).min():.4f} to "
      f"{(q_star - honest).max():.4f}")  # fmt: skip
at_zero = colleagues_evaluation(P, R, policy, 0.0, alpha) - R
print(f"γ = 0: Q − r up to {at_zero.max():.3f}, where it must be 0")
assert (q - q_star).max() > 0.1 and (q_star - honest).min() > -1e-9 and at_zero.max() > 0.1

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** A colleague wants to add the bonus of the first step to Q as well, "so that no entropy is forgotten". What would change in the policy?
#
# <details><summary>Answer</summary>
#
# Nothing: all values of a row are shifted by the same number, and the softmax does not see it. But Q would not satisfy (16.7), and a learner that backs up such values would pay that bonus twice: once in Q and once in V.
# </details>
#
# **2.** ε-greedy is random as well. What does the softmax know that ε-greedy does not?
#
# <details><summary>Answer</summary>
#
# How much it costs. ε-greedy takes the worst action as often as the second best; the softmax takes an action the less often the more it would lose, and draws freely where nothing is at stake. And its values know of the randomness; those of Q-learning do not.
# </details>

# %% [markdown]
# ## Summary
#
# - The agent is paid α for every nat of entropy. V counts all bonuses; Q leaves out the first, because its action is given: $V=\mathbb E_\pi[Q-\alpha\log\pi]$ and $Q=r+\gamma\,\mathbb E V$.
# - Lemma 1: the bonus is a reward, $r+\gamma\alpha\,\mathbb E\,\mathcal H(\pi(\cdot|s'))$, so soft backups contract by γ and lead to $Q^\pi$.
# - Lemma 2: $\sum p\,(Q-\alpha\log p) = \alpha\log Z-\alpha\,\mathrm{KL}(p\|m)$. The softmax $m$ of $Q/\alpha$ is the best distribution, and to put it in the place of π lowers no Q anywhere.
# - Lemma 3: soft policy iteration converges to the one fixed point of the backup with the soft maximum $\alpha\log\sum e^{Q/\alpha}$, which no policy exceeds. α → 0 gives lesson 03.
# - An end that is written as an absorbing state pays its bonus for ever. From here on $(1-d)$ takes the bonus of $s'$ away with its value; then a high temperature makes an agent avoid the end.

# %% [markdown]
# ## Where this went
#
# What later methods change in $V=\alpha\log\sum_a e^{Q/\alpha}$, $\pi=e^{(Q-V)/\alpha}$, $Q=r+\gamma\,\mathbb E V$. (Before it were the linearly solvable MDPs of Todorov 2007, in which $e^V$ obeys a linear equation, as in your exercise.)
#
# - **Maximum-entropy inverse RL** (Ziebart et al. 2008): the same π, read backwards. r is what is unknown, and the likelihood of somebody's actions, $\sum\log\pi=\sum(Q-V)/\alpha$, is climbed.
# - **G-learning** (Fox et al. 2016): in the place of $-\alpha\log\pi$ stands $-\frac1\beta\log\frac{\pi(a|s)}{\rho(a|s)}$, the distance from a prior policy ρ, with β raised as the estimates get better.
# - **Path consistency learning** (Nachum et al. 2017): $V(s)-\gamma\,\mathbb E V(s')=r-\alpha\log\pi(a|s)$ holds for *every* action; the square of its violation, summed along paths of any policy, is the loss.
# - **Regularised MDPs** (Geist et al. 2019): any strongly convex $\Omega(\pi)$ for $\sum\pi\log\pi$. V becomes its Legendre transform, and the three lemmas stay.
# - **Munchausen RL** (Vieillard et al. 2020): r becomes $r+\tau\alpha\log\pi(a|s)$ on top of the soft backup, which keeps each new policy near the last one.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>A missing γ, a strict inequality, and where α is</summary>
#
# - *Haarnoja et al. 2018a* set α = 1 in §4.1, and so do the *lecture notes* in §5.1 ("it can always be subsumed into the reward"). Equation numbers: their (2), (3), (4) are our (16.8), (16.6), (16.13); their (4) is written as a projection, the smallest
#   $\mathrm{KL}(\pi'\|e^{Q}/Z)$ over a family of policies, which for all policies is (16.13) by (16.12).
# - In their proof of Lemma 1 (appendix B.1; the notes repeat it) the augmented reward is $r+\mathbb E_{s'}[\mathcal H(\pi(\cdot|s'))]$, without the γ of (16.9). The lemma is true; with that reward it is another table that is found, as the silent bug shows.
# - Their Theorem 1, the notes' Lemma 3, claims ≥, and its proof ends with the strict $Q^{\pi^*}(s,a) > Q^\pi(s,a)$. Only ≥ is true. The proof there also takes for granted that the limit of the rounds is the softmax of its own Q; steps 1 to 4 above do not need that.
# - The notes' equation (1) has a sum without γ; the *slides on continuous control* have it, with V and Q as in our (16.4) and (16.5).
# </details>

# %% [markdown]
# ## What we hand on
#
# The soft Bellman equation of the best policy, three lines that belong together:
#
# $$\begin{aligned}
# V(s) &= \alpha\log\sum_ae^{Q(s,a)/\alpha},\qquad \pi(a|s) = e^{(Q(s,a)-V(s))/\alpha}\\
# Q(s,a) &= \mathbb E_{s'}\big[\,r+\gamma\,(1-d)\,V(s')\,\big]
# \end{aligned}$$
#
# Solved, if $p$ is known and there are few actions. Lesson 17 takes both away: actions become a continuum, the sum an integral $\int e^{Q(s,a)/\alpha}\,da$ that nobody can compute, and to draw from $e^{Q/\alpha}/Z$ becomes a problem of its own.
