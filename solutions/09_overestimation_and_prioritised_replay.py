# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 09 · Overestimation and prioritised replay
#
# Part II · 06 → 07 → 08 → **09** → Part III
#
# - **You will be able to** measure by how much a DQN believes too much, say why, and choose between the remedies: a second
#   opinion (double DQN) or several (ensembles). You will compute the bias of an ensemble on paper, and know for which errors
#   none of them helps. Then you build a memory that replays what surprises, and correct what that does to the mean.
# - **Builds on** lesson 08 (all of it), lesson 05 (the bias of the maximum, double Q-learning).
# - **Time** two sittings of 75 minutes alone (a break is marked), 80 minutes as a lecture.
# - **Sources** van Hasselt, Guez & Silver 2016 (double DQN); van Hasselt 2010; Anschel, Baram & Shimkin 2017; Lan et al. 2020
#   (Maxmin); Chen et al. 2021 (REDQ); Schaul et al. 2016 (prioritised replay); a Chinese pseudocode collection of twelve
#   algorithms.

# %%
from copy import deepcopy
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import torch
from torch.nn.functional import smooth_l1_loss

from rlcourse.checker import authorship, check, whose
from rlcourse.lab import plots
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.networks import QNetwork, polyak_update
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.optim import Adam, descend
from rlcourse.lab.progress import progress, seeds
from rlcourse.lab.replay import ReplayBuffer
from rlcourse.lab.seeding import torch_seed
from rlcourse.values.double_dqn import DoubleDQN
from rlcourse.values.dqn import CARTPOLE, DQN, dqn_target, taken
from rlcourse.values.ensembles import EnsembleDQN
from rlcourse.values.figures import random_memory
from rlcourse.values.prioritised import PERDQN

torch.set_num_threads(1)  # networks as small as ours gain nothing from a second one

# %% [markdown]
# ## What we inherit
#
# Lesson 08 handed on Q-learning with a network:
#
# $$\begin{aligned}
# y &= r + \gamma\,(1-d)\max_{a'}Q_{\phi_{\text{targ}}}(s',a'),\\
# L(\phi) &= \mathbb E_{\mathcal D}\big[H_1\big(Q_\phi(s,a) - y\big)\big],\\
# \phi_{\text{targ}} &\leftarrow \rho\,\phi_{\text{targ}} + (1-\rho)\,\phi
# \end{aligned} \tag{9.1}$$
#
# Two symbols of it are under suspicion. The **max**: by lesson 05 the largest of noisy estimates is too large on average, and here
# every estimate is noisy. And the **mean over $\mathcal D$**: is each of a thousand transitions worth looking at equally often?
# The first half of this lesson takes up the one, the second half the other.

# %% [markdown]
# ## Guess first
#
# A world of pure luck, the **dead games**. The state is a number $x$, drawn anew at every step, whatever one does. There are eight games to
# choose from. Each pays a random number with mean 0 and standard deviation 1. Nothing ever terminates, and γ = 0.9. So every policy is worth exactly 0,
# and $Q^*(x,a) = 0$ everywhere.
#
# Play 2000 games at random, and train a DQN on this memory: a thousand updates with (9.1). We see to it that the mean reward in this memory is 0 exactly.
# **What will $\max_a Q_\phi(x,a)$ be on average?**
#
# **A** about 0 · **B** about 0.1 · **C** about 1
#
# <details><summary>I have voted. What happens?</summary>
#
# C: about 1, as if every game paid a tenth in each round, for ever. You will see the curve below, and by the end of the first half you can say which part of (9.1) did it.
# </details>

# %% [markdown]
# ## A trap: measuring it in the wrong world
#
# The bias is easily defined: what the network believes, minus what its policy really earns, discounted. Let us measure it where we already have an
# agent: CartPole, eight thousand steps with the settings of lesson 08.

# %%
# about 2 s
pole = DQN.for_env(CARTPOLE.env, seed=0, **CARTPOLE.agent)
short = CARTPOLE.training | dict(steps=8_000, stop_when=None)
train_off_policy(pole, CARTPOLE.env, seed=0, **short)


def discounted(agent, make_env, seed, gamma):
    """What the network says of a start, and what its greedy policy earns from there, discounted."""
    env, earned, weight = make_env(), 0.0, 1.0
    obs, _ = env.reset(seed=seed)
    believed, over = agent.q_values(obs[None]).max(), False
    while not over:
        obs, reward, terminated, truncated, _ = env.step(int(agent.q_values(obs[None]).argmax()))
        earned, weight = earned + weight * reward, weight * gamma
        over = terminated or truncated
    return believed, earned


both = np.array([discounted(pole, CARTPOLE.env, seed, 0.99) for seed in range(10)])
print(f"believed {both[:, 0].mean():.0f}, earned {both[:, 1].mean():.0f}: bias {np.diff(both)[:, 0].mean() * -1:+.0f}")  # fmt: skip
assert both[:, 0].mean() < both[:, 1].mean()

# %% [markdown]
# The network believes far too *little*. Is there no bias? There is; it is hidden. The values began near 0 and are still climbing towards a truth near 100, and
# what the maximum adds is small beside what is missing. A world shows the bias of the maximum only if the truth is at hand, and *reached*. So we take worlds in
# which the truth is 0.


# %%
class Games(gym.Env):
    """x is uniform in (−1, 1), whatever one does; a game pays N(mean, 1). With `leave` the last action ends it all."""

    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, games=8, mean=0.0, leave=False, most=50):
        self.games, self.mean, self.most = games, mean, most
        self.action_space = gym.spaces.Discrete(games + leave)

    def look(self):
        return self.np_random.uniform(-1, 1, size=1).astype(np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.played = 0
        return self.look(), {}

    def step(self, action):
        if action == self.games:  # leave
            return self.look(), 0.0, True, False, {}
        self.played += 1
        reward = self.mean + self.np_random.normal()
        return self.look(), reward, False, self.played == self.most, {}


def lucky_memory(seed, n=2_000, games=8):
    """n dead games, played at random; the mean of all rewards is subtracted, so that it is 0 exactly."""
    rows = random_memory(lambda: Games(games), n, seed).rows(np.arange(n))
    memory = ReplayBuffer(n, obs_dim=1)
    centred = rows._replace(reward=rows.reward - rows.reward.mean())
    memory.extend(*(column.numpy() for column in centred))
    return memory


gamma = 0.9
log = lucky_memory(0).rows(np.arange(2_000))
by_game = np.array([log.reward[log.action == a].mean() for a in range(8)])
print(f"mean reward of the memory {log.reward.mean().abs():.3f}; of the eight games {by_game.min():+.2f} to {by_game.max():+.2f}")  # fmt: skip

# %% [markdown]
# ## Where it comes from, and how it grows
#
# Let every action be worth the same, $Q^*(s',a') = 0$, and let the estimates be off by errors $\epsilon_{a'}$ of mean 0. Lesson 05: the maximum of the errors has a mean
# $m > 0$, because it looks for the luckiest. So the label is too high by $\gamma m$. Now the next network learns from such labels. *All* its values rise by $\gamma m$, its errors
# come on top, and the maximum is too high by $m + \gamma m$. And so on:
#
# $$b_{k+1} = m + \gamma\,b_k \quad\Longrightarrow\quad b_k \to \frac{m}{1-\gamma} \tag{9.2}$$
#
# With γ = 0.9 a small error of 0.1 in each maximum becomes 1. That is the difference to the bandit of lesson 05: **bootstrapping hands the bias on and adds it up.**
#
# One loop will do for all remedies of this lesson. There are some networks, each with its slow copy; a function `label` says what is learned, from the values of all
# of them in $s'$; they share one memory, or each has its own.


# %%
def learn(label, memories, n_nets=1, seed=0, updates=1_000):
    """Networks that learn `label(i, online, slow, r, d, gamma)`; online, slow: (networks, B, games), values in s'.

    Returns the networks, and every 50 updates what the labels promise of the next state, averaged over x: the truth is 0.
    """
    rng, probes = np.random.default_rng(seed), torch.linspace(-1, 1, 201)[:, None]
    games = int(memories[0].rows(np.arange(len(memories[0]))).action.max()) + 1
    with torch_seed(seed):
        nets = [QNetwork(1, games) for _ in range(n_nets)]
    copies = [deepcopy(net).requires_grad_(False) for net in nets]
    optimizers = [Adam(net.parameters(), 1e-3) for net in nets]

    def asked(i, obs, reward, terminated, gamma):
        with torch.no_grad():
            online, slow = (torch.stack([net(obs) for net in group]) for group in (nets, copies))
            return label(i, online, slow, reward, terminated, gamma)

    promised, nothing = [], torch.zeros(len(probes))
    for update in progress(range(updates + 1), "dead games"):
        if update % 50 == 0:
            values = [asked(i, probes, nothing, nothing, 1.0).mean() for i in range(n_nets)]
            promised.append(np.mean(values))
        for i in range(n_nets):
            if i == 0 or len(memories) > 1:
                batch = memories[i].sample(64, rng)
            y = asked(i, batch.next_obs, batch.reward, batch.terminated, gamma)
            descend(optimizers[i], smooth_l1_loss(taken(nets[i](batch.obs), batch.action), y))
        for net, copy in zip(nets, copies, strict=True):
            polyak_update(copy, net, 0.98)
    return SimpleNamespace(nets=nets, promised=np.array(promised))


def plain(i, online, slow, r, d, gamma):
    return dqn_target(r, slow[i], d, gamma)  # (9.1)


# %%
# about 2 s
memories = [[lucky_memory(10 * seed + i) for i in range(2)] for seed in (0, 1)]
runs = {"DQN": [learn(plain, memories[seed], seed=seed) for seed in seeds((0, 1))]}
x = torch.linspace(-1, 1, 201)[:, None]
for seed, run in enumerate(runs["DQN"]):
    with torch.no_grad():
        q = run.nets[0](x)
    m = (q.amax(dim=1) - q.mean(dim=1)).mean().item()
    print(f"seed {seed}: the labels promise {run.promised[-1]:+.2f}; one maximum adds m = {m:.2f}, "
          f"and m/(1 − γ) = {m / (1 - gamma):.1f}")  # fmt: skip
    assert 0.6 < run.promised[-1] < m / (1 - gamma)

# %% tags=["hide-input"]
ax = plots.axes()
with torch.no_grad():
    q = runs["DQN"][0].nets[0](x).numpy()
ax.plot(x[:, 0], q, color=plots.INK, linewidth=1, linestyle="-")
ax.plot(x[:, 0], q.max(axis=1), color=plots.PALETTE["blue"], linewidth=3, linestyle="-")
ax.axhline(0, color=plots.INK, linewidth=1.5, linestyle=":")
ax.annotate("the truth", (-1, 0.04), color=plots.INK)
ax.annotate("what the label takes", (-0.98, q.max() * 1.03), color=plots.PALETTE["blue"])
ax.set(xlabel="x", ylabel="Q(x, ·), a line for each game", ylim=(-0.15, 1.15 * q.max()))
plots.show(ax, alt="The eight heads of the network over x, wavy lines that cross each other, all of them above the truth, 0. A thick line "
           "along the top of them is what the label takes.")  # fmt: skip

# %% [markdown]
# The heads should all be the same, and 0. Each has its own luck: somewhere this game happened to pay well in this memory. The label rides along the top. And it lifts all heads with it, by (9.2): that is why they hang together, far above 0.
#
# The training has not come to its end: $m/(1-\gamma)$ is where the values are heading, and $m$ itself grows while the network learns the luck of its memory by heart.

# %% [markdown]
# ## A second opinion
#
# One and the same noise picks the action and prices it. So let somebody else do the pricing. DQN has a second network at hand, the slow copy. **Double DQN** (van Hasselt et al. 2016)
# lets the online network choose, and the copy judge:
#
# $$y = r + \gamma\,(1-d)\,Q_{\phi_{\text{targ}}}\big(s',\ \arg\max_{a'}Q_\phi(s',a')\big) \tag{9.3}$$
#
# If the two errors are independent, the judge's error at the chosen action has mean 0, whatever made the other one choose it. Lesson 05 proved that for two tables.

# %% [markdown] task="double_dqn_target"
# ### Exercise 9.1 · `double_dqn_target`
# **Points** 1 · **Difficulty** ●○○ · **Time** 10 min
#
# Compute the labels (9.3) of a batch.
#
# - `q_next_online`, `q_next_target` are the two networks' values in $s'$, `(B, n_actions)`; `reward` and `terminated` are `(B,)`, `terminated` is 0 or 1.
# - Of equal values the first one is chosen.


# %% exercise="double_dqn_target" points=1
def double_dqn_target(reward, q_next_online, q_next_target, terminated, gamma):
    """The label (9.3): one network chooses, the other judges.

    reward, terminated: (B,); q_next_online, q_next_target: (B, n_actions). Returns (B,).
    """
    ### BEGIN SOLUTION
    chosen = q_next_online.argmax(dim=1, keepdim=True)
    judged = q_next_target.gather(1, chosen).squeeze(1)
    return reward + gamma * (1 - terminated) * judged  # (9.3)
    ### END SOLUTION


# %% [markdown] hints="double_dqn_target"
# <details><summary>How do I look up one value in each row?</summary>
#
# As in exercise 8.4: `gather` along dim 1 wants an index of shape (B, 1). Indexing with two arrays, the numbers of the rows and those of the columns, works as well.
# </details>
# <details><summary>Who does what?</summary>
#
# Read (9.3) from the inside. Inside the bracket stands a question for one network, "which action?", and its answer is a number of a column. Outside, the other network is asked one value.
# </details>
# <details><summary>The check says B × B.</summary>
#
# Print the shape of what you looked up. If it is (B, 1), a row (B,) that is added to it makes a square.
# </details>

# %% check="double_dqn_target"
double_dqn_target = check("double_dqn_target")

# %% [markdown]
# ## Several opinions
#
# With more networks than two one can be more careful. Let $Q_1,\dots,Q_E$ be an **ensemble**. First make one table $\bar Q$ of all of them, then take its best action:
#
# $$\begin{aligned}
# y &= r + \gamma\,(1-d)\max_{a'}\bar Q(s',a'),\\
# \bar Q(s',a') &= \begin{cases}
# \min_e Q_e(s',a') & \text{Maxmin (Lan et al. 2020)}\\
# \frac1E\sum_e Q_e(s',a') & \text{averaged (Anschel et al. 2017)}\\
# \min_{e\in\mathcal M} Q_e(s',a') & \text{REDQ (Chen et al. 2021)}
# \end{cases}
# \end{aligned} \tag{9.4}$$
#
# In REDQ, $\mathcal M$ is a subset that is drawn anew for every update, two out of ten in the paper. The mean makes the errors smaller; a minimum leans against them. The order matters: if each critic first took its own maximum, each would bring its own luckiest action.

# %% [markdown] task="ensemble_target"
# ### Exercise 9.2 · `ensemble_target`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min
#
# Compute the labels (9.4).
#
# - `q_next_ensemble` is `(E, B, n_actions)`: the members' values in $s'$.
# - `mode` is `"min"`, `"mean"` or `"subset"`; in the third, `subset` is a 1-D int64 tensor of the members that vote. Any other mode raises `ValueError`.


# %% exercise="ensemble_target" points=2
def ensemble_target(q_next_ensemble, mode, reward, terminated, gamma, subset=None):
    """The label (9.4): first over the ensemble, then over the actions.

    q_next_ensemble: (E, B, n_actions); mode: "min", "mean" or "subset"; reward, terminated: (B,); subset: None
    or the members that vote, int64. Returns (B,).
    """
    ### BEGIN SOLUTION
    if mode == "min":
        q_next = q_next_ensemble.min(dim=0).values
    elif mode == "mean":
        q_next = q_next_ensemble.mean(dim=0)
    elif mode == "subset":
        q_next = q_next_ensemble[subset].min(dim=0).values
    else:
        raise ValueError(f"There is no mode {mode!r}.")
    return reward + gamma * (1 - terminated) * q_next.max(dim=1).values  # (9.4)
    ### END SOLUTION


# %% [markdown] hints="ensemble_target"
# <details><summary>Along which dimension?</summary>
#
# Three axes come in: member, row, action. Each mode takes away the first one, and leaves (B, n_actions). The maximum takes away the last one of these.
# </details>
# <details><summary>How do I ask only some members?</summary>
#
# A tensor of indices in square brackets picks these entries of the first axis, in that order. What is left is an ensemble, only smaller.
# </details>
# <details><summary>What is so bad about another mode?</summary>
#
# A typing error in a mode's name would fall through to whatever comes last, and train something else for a night. An `else` that raises costs one line.
# </details>

# %% check="ensemble_target"
ensemble_target = check("ensemble_target")

# %% [markdown]
# Bias is one thing, spread another. Take nine actions that are all worth 0, members whose errors are independent and uniform in (−1, 1), and let your function vote, twenty thousand times.

# %%
# about 2 s
draws, nothing = 20_000, torch.zeros(20_000)
errors = torch.tensor(
    np.random.default_rng(0).uniform(-1, 1, size=(8, draws, 9)).astype(np.float32)
)
pairs = torch.tensor(np.random.default_rng(1).permutation(8)[:2])
sizes, votes = range(1, 9), {"min": [], "mean": [], "a random two": []}
for E in sizes:
    two = pairs if E == 8 else torch.arange(min(2, E))
    for name, mode, subset in (
        ("min", "min", None),
        ("mean", "mean", None),
        ("a random two", "subset", two),
    ):
        y = ensemble_target(errors[:E], mode, nothing, nothing, 1.0, subset)
        votes[name].append((y.mean().item(), y.std().item()))
    each_its_own = errors[:E].amax(dim=2).amin(dim=0).mean().item()
    if E in (1, 2, 4, 8):
        told = ", ".join(
            f"{name} {found[-1][0]:+.2f}±{found[-1][1]:.2f}" for name, found in votes.items()
        )
        print(f"{E} members: {told}; max first {each_its_own:+.2f}")
assert votes["min"][-1][0] < 0 < votes["mean"][-1][0] < votes["mean"][0][0]

# %% tags=["hide-input"]
left, right = plots.axes(1, 2, size="wide")
for ax, part, ylabel in (
    (left, 0, "bias of the label"),
    (right, 1, "standard deviation of the label"),
):
    plots.curves({name: [each[part] for each in found] for name, found in votes.items()}, x=list(sizes),
                 xlabel="members of the ensemble", ylabel=ylabel, ax=ax)  # fmt: skip
left.axhline(0, color=plots.INK, linewidth=1.5, linestyle=":")
right.set_ylim(0, 0.35)
plots.show(left, alt="Left: the bias of the label against the number of members: for the minimum it falls from 0.8 through 0 at four members to "
           "−0.4, for the mean it falls slowly and stays above 0, for a random two it stays near 0.43. Right: the standard deviation; the mean's falls.")  # fmt: skip

# %% [markdown]
# Three characters. The **mean** brings bias and spread down together, slowly: its errors shrink like $1/\sqrt E$. The **minimum** has no such limit: it goes through 0 and out on the other side, and its label spreads more than the mean's.
# The **random subset** takes the bias of its *size*, two here, however many members there are; the others are there so that the two that vote are not always the same.
#
# So with a minimum the bias can be *chosen*. By how much does it fall with each critic?

# %% [markdown]
# ### Talk to your neighbour
# Nine actions, all worth the same; each critic's errors are uniform in (−1, 1). You have not looked at the figure too closely. How many critics does Maxmin need until the bias is gone?
#
# **A** 2 · **B** 4 · **C** 9, one for each action · **D** no number is enough
#
# And with *two* actions?

# %% [markdown] task="maxmin_bias"
# ### Exercise 9.3 · `maxmin_bias`
# **Points** 2 · **Difficulty** ●●● · **Time** 25 min · ✎ on paper
#
# All $M$ actions of a state are worth the same. Each of $N$ critics is wrong about each action by an independent error $\epsilon_{e,a}$, uniform in $(-w, w)$. By how much does Maxmin exceed the truth on average,
#
# $$b(w, M, N) = \mathbb E\Big[\max_a\,\min_e\,\epsilon_{e,a}\Big]\ ? \tag{9.5}$$
#
# **Derive it on paper**: it has a closed form. Then write it as a function of `width` = $w$ ≥ 0, `n_actions` = $M$ and `n_critics` = $N$, both at least 1. No simulation: the check asks for ten digits.
#
# It is easier with errors $2u-1$, $u$ uniform in (0, 1), and $w$ put in at the end. One piece of knowledge helps: the mean of a number in (0, 1) is the integral, from 0 to 1, of its probability to lie above $x$.


# %% exercise="maxmin_bias" points=2
def maxmin_bias(width, n_actions, n_critics):
    """The mean of max over actions of min over critics of errors uniform in (-width, width): (9.5).

    width: 0 or more; n_actions, n_critics: int, 1 or more. Returns a float.
    """
    ### BEGIN SOLUTION
    # The smallest of N exceeds x with (1 − x)^N, so the largest of M such is below x with (1 − (1 − x)^N)^M. With
    # u = 1 − x its mean is 1 − t, t = ∫ (1 − u^N)^M du. By parts: t_M = M/(M + 1/N) · t_{M−1}, t_0 = 1.
    t = 1.0
    for i in range(1, n_actions + 1):
        t *= i / (i + 1 / n_critics)
    return width * (1 - 2 * t)  # 2 (1 − t) − 1
    ### END SOLUTION


# %% [markdown] hints="maxmin_bias"
# <details><summary>Where do I begin?</summary>
#
# With one action. The smallest of N numbers exceeds x if all of them do; they are independent. Then the M actions: the largest of them is below x if all are. Write down this probability as a function of x.
# </details>
# <details><summary>I have an integral. What now?</summary>
#
# Substitute so that the inner bracket is simple: call what is left of 1 by another letter. Then integrate by parts, differentiating the M-th power. What comes out contains the same integral again, and the one with M − 1: solve for it.
# </details>
# <details><summary>How can I check my formula?</summary>
#
# One critic must give lesson 05's bias, $w\,(M-1)/(M+1)$; one action the negative of that with N for M. Both at 1 give 0. And the figure above shows eight values for nine actions.
# </details>

# %% check="maxmin_bias"
maxmin_bias = check("maxmin_bias")

# %% [markdown]
# Paper against the twenty thousand draws, and the answer to the vote:

# %%
for N, (found, _) in zip(sizes, votes["min"], strict=True):
    said = maxmin_bias(1.0, 9, N)
    assert abs(said - found) < 0.01
    if N in (1, 2, 3, 4, 5, 8):
        print(f"9 actions, {N} critics: on paper {said:+.3f}, drawn {found:+.3f}")
for M in (2, 9, 18, 60):
    first = next(N for N in range(1, 30) if maxmin_bias(1.0, M, N) <= 0)
    print(f"{M:2} actions: the bias is gone with {first} critics")

# %% tags=["hide-input"]
critics = np.arange(1, 11)


def draw(n_actions):
    both = {
        "max of min (9.5)": [maxmin_bias(1.0, n_actions, int(N)) for N in critics],
        "each its own max, then min": [-maxmin_bias(1.0, int(N), n_actions) for N in critics],
    }
    ax = plots.curves(both, x=critics, xlabel="N: critics", ylabel="bias, for errors in (−1, 1)")
    ax.axhline(0, color=plots.INK, linewidth=1.5, linestyle=":")
    ax.set_ylim(-1, 1)
    return ax


plots.slide(draw, [2, 4, 9, 18, 60], name="actions", start=2,
            alt="Bias against the number of critics. The maximum of the minimum falls below 0, later the more actions there are; where each critic "
            "takes its own maximum first the bias stays higher.")  # fmt: skip

# %% [markdown]
# Four critics for nine actions, two for two. There is no number that is right everywhere, and **too many critics make the agent too pessimistic**: then it avoids what it knows little about.
# (Why the second line of the figure is the first one's formula with $M$ and $N$ exchanged and a minus: turn all signs round.)
#
# All that was for *independent* errors.

# %% [markdown]
# ### Talk to your neighbour
# Back to the dead games: every true value is 0, the memory is fixed. Which of these brings what the labels promise down to about 0?
#
# **A** double DQN, the slow copy judges · **B** the minimum of two networks that learn from the same batches · **C** two networks with a memory each: one chooses, the other judges · **D** all of them

# %%
# about 10 s
rules = {  # label, number of networks, whether each has a memory of its own
    "double, slow copy": (lambda i, q, slow, r, d, g: double_dqn_target(r, q[i], slow[i], d, g), 1, False),
    "min of 2, same batches": (lambda i, q, slow, r, d, g: ensemble_target(slow, "min", r, d, g), 2, False),
    "min of 2, a memory each": (lambda i, q, slow, r, d, g: ensemble_target(slow, "min", r, d, g), 2, True),
    "double, a memory each": (lambda i, q, slow, r, d, g: double_dqn_target(r, slow[i], slow[1 - i], d, g), 2, True),
}  # fmt: skip
for name, (label, n_nets, own) in rules.items():
    runs[name] = [learn(label, memories[seed] if own else memories[seed][:1], n_nets, seed)
                  for seed in seeds((0, 1))]  # fmt: skip
for name, those in runs.items():
    print(f"{name:25} promises {' and '.join(f'{run.promised[-1]:+.2f}' for run in those)}")
end = {name: np.array([run.promised[-1] for run in those]) for name, those in runs.items()}
assert (end["double, slow copy"] > 0.6 * end["DQN"]).all()
assert (np.abs(end["double, a memory each"]) < 0.4 * end["DQN"]).all()

# %% tags=["hide-input"]
ax = plots.curves({name: np.stack([run.promised for run in those]) for name, those in runs.items()},
                  x=np.arange(0, 1_001, 50), xlabel="updates", ylabel="what the labels promise")  # fmt: skip
ax.axhline(0, color=plots.INK, linewidth=1.5, linestyle=":")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
ax.figure.set_figwidth(10)
plots.show(ax, alt="What the labels promise against updates. DQN, double DQN with its slow copy and the minimum of two on the same batches rise together "
           "towards 1; the minimum of two with a memory each rises half as far, the double estimate with a memory each stays near 0.")  # fmt: skip

# %% [markdown]
# Only C. **Which remedy helps depends on whose error it is.** Here the error is not the network's, it is the *memory's*: these 2000 rewards were lucky in some places. The slow copy is the same network a little earlier; a second
# network on the same batches sees the same luck. Their errors agree, and a second opinion that agrees is none. Two memories are two independent strokes of luck. Then the choice of one is no luck for the other, as in lesson 05, where a coin gave each step to
# one of two tables. (About 0: for a single pair of memories it lies a few tenths above or below, as the games that one memory likes happen to have paid in the other. Over many pairs the mean is near 0.)
#
# The minimum of two networks with a memory each takes away most of it, not all: two critics are not enough for eight actions, as your formula knows.

# %% [markdown]
# ### Change one thing
# **What to look for:** where does the bias go with two games in place of eight? With a memory of 8000? And with twice the updates, when a network has more time to learn the luck by heart?

# %%
# about 3 s
change = {
    "two games": dict(games=2),
    "8000 transitions": dict(n=8_000),
    "2000 updates": dict(updates=2_000),
}
for name, changed in change.items():
    updates = changed.pop("updates", 1_000)
    promised = learn(plain, [lucky_memory(0, **changed)], updates=updates).promised[-1]
    print(f"{name:17}: {promised:+.2f}, in place of {end['DQN'][0]:+.2f}")

# %% [markdown]
# ## The casino: when new data come in
#
# A real agent is not shut in with one memory. In the **casino** a game pays −0.1 on average, and there is a ninth action: leave, for a reward of 0, and the episode is over. Leaving at once is best. So $V^* = 0$, and a policy that plays in a share $p$ of the
# states earns $\bar v = p\,(-0.1 + \gamma\,\bar v)$ on average: −1 for whoever never leaves.
#
# Three agents learn there by acting, with your functions: DQN, double DQN, and Maxmin with two members. Which is right at the end is not the only question. Watch what they believe on the way, and what they *do* meanwhile.


# %%
# about 11 s
def casino():
    return Games(mean=-0.1, leave=True)


def live(cls, seed, steps=5_000, **parts):
    """Learn by acting. Every 500 steps: what it believes, mean over x of max Q, and where it leaves."""
    agent = cls.for_env(casino, seed=seed, gamma=gamma, rho=0.98, epsilon_steps=3_000, epsilon_end=0.1, **parts)  # fmt: skip
    believed, leaves = [], []

    def watch(agent, step):
        with torch.no_grad():
            q = agent.q_net(x)
        believed.append(q.amax(dim=1).mean().item())
        leaves.append((q.argmax(dim=1) == 8).double().mean().item())
        return False

    history = train_off_policy(agent, casino, steps, seed, n_envs=4, train_every=4, updates=2, capacity=2_000,
                               stop_when=watch, stop_every=500)  # fmt: skip
    plays = 1 - np.array(leaves)
    true = -0.1 * plays / (1 - gamma * plays)
    return SimpleNamespace(agent=agent, believed=np.array(believed), leaves=1 - plays, true=true,
                           loss=np.mean(history.losses["loss"][-5:]))  # fmt: skip


kinds = {
    "DQN": lambda seed: live(DQN, seed),
    "double DQN": lambda seed: live(DoubleDQN, seed, double_dqn_target=double_dqn_target),
    "Maxmin of 2": lambda seed: live(EnsembleDQN, seed, size=2, ensemble_target=ensemble_target),
}
lived = {name: [make(seed) for seed in seeds((0, 1))] for name, make in kinds.items()}
for name, those in lived.items():
    for seed, run in enumerate(those):
        bias = run.believed - run.true
        print(f"{name:11} seed {seed}: believes {run.believed.max():.2f} at most, {run.believed[-1]:+.2f} at the end; "
              f"leaves in {run.leaves[-1]:4.0%}")  # fmt: skip
        assert bias.max() > 0.9 and abs(run.believed[-1]) < 0.3
by_chance = -0.1 * (8 / 9) / (1 - gamma * 8 / 9)
print(
    f"a policy that acts at random earns {by_chance:.2f}, one that never leaves {-0.1 / (1 - gamma):.2f}"
)
course, yours = live(DoubleDQN, 0, 2_000), lived["double DQN"][0]
apart = np.abs(course.believed - yours.believed[:4]).max()
print(
    f"{whose('double_dqn_target')} double DQN and the course's, seed 0: {apart:.4f} apart at most in 2000 steps"
)

# %% tags=["hide-input"]
left, right = plots.axes(1, 2, size="wide")
for (name, those), colour in zip(lived.items(), ("blue", "orange", "green"), strict=True):
    for seed, run in enumerate(those):
        look = dict(color=plots.PALETTE[colour], linewidth=2, linestyle=("-", "--")[seed])
        steps = 500 * np.arange(1, len(run.believed) + 1)
        word = "" if name == "DQN" else f"{whose('double_dqn_target', 'ensemble_target')} "
        left.plot(steps, run.believed, **look, label=f"{word}{name}" if seed == 0 else None)
        right.plot(steps, 100 * run.leaves, **look)
left.axhline(0, color=plots.INK, linewidth=1.5, linestyle=":")
left.legend(title="solid: seed 0, dashed: seed 1", loc="upper right")
left.set(xlabel="steps", ylabel="believed: mean of max Q (truth: 0)", ylim=(-0.03, 0.75))
right.set(xlabel="steps", ylabel="leaves in … % of the states", ylim=(-4, 104))
plots.show(left, alt="Left: what three agents believe against steps, two seeds each: a hump of a few tenths that comes down to 0 at the end. Right: the share of "
           "states in which they leave; near 0 for most of the run, rising at the end.")  # fmt: skip

# %% [markdown]
# Every curve comes down to 0 in the end, without any remedy. The agent plays what it overrates, and the memory gets the rewards that say otherwise. That is what held the values of lesson 08 down as well. But look to the right: until then it *plays*, for thousands of steps, and whoever
# never leaves earns −1 while believing in a gain. **Overestimation does its harm where it decides what the agent does.**
#
# And the ranking? The copy is older than the network here, and new data come in between, so a second opinion is worth something: double DQN believes in a little less than DQN with both seeds. But its own two seeds lie further apart than that, and between double DQN and Maxmin nothing can be seen.
# Two seeds do not rank three methods; do not let a single curve convince you.
#
# ### When new data make it worse: copies by episodes
#
# Lesson 08 left a question open: a hard copy every so many *updates*, or every so many *episodes*? Here are both on CartPole, for 16 000 steps. That makes about 1900 updates. Every 100 updates, or every 5 episodes: where is the difference?


# %%
# about 6 s
class CopiesByEpisodes(DQN):
    """A hard copy after every five episodes, and none at updates."""

    episodes, copies = 0, 0

    def begin_episodes(self, ended):
        before, self.episodes = self.episodes, self.episodes + int(ended.sum())
        if before and self.episodes // 5 > before // 5:
            polyak_update(self.target_net, self.q_net, 0.0)
            self.copies += 1

    def follow(self, target, online, rho):
        pass


def with_copies(cls, seed, **settings):
    agent = cls.for_env(CARTPOLE.env, seed=seed, **(CARTPOLE.agent | dict(rho=0.0) | settings))
    whole = CARTPOLE.training | dict(steps=16_000, stop_when=None)
    history = train_off_policy(agent, CARTPOLE.env, seed=seed, **whole)
    start = agent.q_values(np.zeros((1, 4), np.float32)).max()
    return SimpleNamespace(
        copies=getattr(agent, "copies", history.updates // 100),
        episodes=len(history.episode_returns),
        returned=evaluate(agent, CARTPOLE.env, 20, seed=2_000).mean(),
        believed=start,
    )


copied = {
    "every 100 updates": with_copies(DQN, 0, target_every=100),
    "every 5 episodes": with_copies(CopiesByEpisodes, 0),
}
for name, run in copied.items():
    print(f"{name:17}: {run.copies:3} copies in {run.episodes:4} episodes; return {run.returned:3.0f}; "
          f"upright is worth {run.believed:,.0f}")  # fmt: skip
assert copied["every 5 episodes"].believed > 100 > copied["every 100 updates"].believed

# %% [markdown]
# Nothing is worth more than 100 here. What counts is the number of updates between two copies, and episodes make that number depend on the policy. A bad policy has short episodes; so the copies come fast, the labels run away (lesson 08), and the policy stays bad: a vicious circle. It is sometimes said that copies by episodes are steadier; here they are not.

# %% [markdown]
# ## Break
#
# You have measured the bias, priced it on paper, and know that a second opinion is worth what its independence is worth. Checkpoint: the three checks above are green. When you come back, run all cells up to here (half a minute).
#
# Two questions to see whether it has stayed: why does double DQN not help in the dead games? And what happens to an agent with twenty critics?

# %% [markdown]
# ## Which transitions are worth replaying?
#
# Now to the other symbol of (9.1), the mean over $\mathcal D$. Think of a world in which almost every transition says what the network knows already, and a few say something new. Uniform draws spend nearly all the time on the first kind.
#
# The **blind cliffwalk** (Schaul et al. 2016) drives it to the extreme. There are $n$ states in a row, two actions in each, a right one and a wrong one. The wrong one ends the episode with reward 0, the right one leads on; after the last state there is a reward of 1. The
# memory holds what *all* $2^n$ sequences of actions did.


# %%
def cliffwalk(n):
    """All transitions of all action sequences: (state, whether the action was right)."""
    rows = [(s, True) for s in range(n)]  # the one sequence that arrives
    for k in range(n):  # the first wrong action comes in state k, in 2**(n - 1 - k) sequences
        rows += [*((s, True) for s in range(k)), (k, False)] * 2 ** (n - 1 - k)
    return rows


for n in (4, 8, 12):
    rows = cliffwalk(n)
    arrives = rows.count((n - 1, True))
    print(f"n = {n:2}: {len(rows):5} transitions, the reward in {arrives} of them")
    assert len(rows) == 2 ** (n + 1) - 2 and arrives == 1

# %% [markdown]
# What should be drawn more often? Ideally, whatever helps most; only an oracle knows. A good stand-in is the **surprise**: the TD error $\delta_i$ that the transition had when it was last replayed. Schaul et al. give it the priority $p_i$ and draw with
#
# $$p_i = |\delta_i| + \epsilon,\qquad P_i = \frac{p_i^{\alpha}}{\sum_{k=1}^n p_k^{\alpha}} \tag{9.6}$$
#
# where $n$ is the number of transitions in the memory. The exponent α says how greedy the draw is: 0 is uniform, and the larger it is, the more the largest errors take. The small $\epsilon$ leaves everybody a chance: an error that is 0 today may not be 0 tomorrow. What is new gets the largest priority so far, so that
# it is seen at least once.
#
# ## A tree of sums
#
# How does one draw with (9.6) from a million transitions, when the priorities change after every update? Lay the priorities side by side as pieces of a line, the whole line as long as their sum, throw a **mass** $m$ uniformly onto it, and see in whose piece it lies:
#
# $$\text{find}(m) = \text{the smallest } i \text{ with } \sum_{j\le i} p_j > m,\qquad 0 \le m < \sum_j p_j \tag{9.7}$$
#
# To go along the line takes $n$ steps. A **sum tree** takes $\log_2 n$: its leaves are the priorities, every node above holds the sum of its two children, the root holds everything. To find a mass, start at the root. If it is smaller than what the left child holds, go left; otherwise go
# right, *less* what was passed on the left. To change a priority, put right the sums on the way up.

# %% tags=["hide-input"]
pieces = [3, 0, 5, 1, 4, 2]  # six leaves, filled up to eight
levels = [np.array([*pieces, 0, 0], dtype=float)]
while len(levels[0]) > 1:
    levels.insert(0, levels[0].reshape(-1, 2).sum(axis=1))


def draw(mass):
    ax, node, left_over, said = plots.axes(size=(9, 5)), 0, mass, []
    place = [(np.arange(2**k) + 0.5) / 2**k * 8 for k in range(4)]
    path = {(0, 0)}
    for k in range(1, 4):
        node *= 2
        passed = levels[k][node]
        said.append(f"{left_over:g} < {passed:g}: left" if left_over < passed else f"{left_over:g} ≥ {passed:g}: right, {left_over - passed:g} are left")  # fmt: skip
        if left_over >= passed:
            left_over, node = left_over - passed, node + 1
        path.add((k, node))
    for k in range(4):
        for i in range(2**k):
            on, colour = (k, i) in path, plots.PALETTE["vermilion"]
            if k:
                ax.plot([place[k][i], place[k - 1][i // 2]], [-k, 1 - k], linestyle="-", zorder=1,
                        color=colour if on else plots.INK, linewidth=3 if on else 1)  # fmt: skip
            ax.text(place[k][i], -k, f"{levels[k][i]:g}", ha="center", va="center", zorder=3,
                    color=colour if on else plots.INK, weight="bold" if on else "normal",
                    bbox=dict(boxstyle="circle,pad=0.35", facecolor="white", edgecolor=colour if on else plots.INK))  # fmt: skip
    ax.text(8.3, 0, "\n".join(said), va="top", color=plots.INK)
    begin = 0
    for i, p in enumerate(pieces):
        ax.text(place[3][i], -3.55, f"leaf {i}", ha="center", color=plots.INK, fontsize=11)
        if p:
            found = (3, i) in path
            ax.barh(-4.4, 8 * p / 15, left=8 * begin / 15, height=0.4, edgecolor=plots.INK, linewidth=1.5,
                    facecolor=plots.PALETTE["vermilion"] if found else "none")  # fmt: skip
            ax.text(8 * (begin + p / 2) / 15, -4.4, str(i), ha="center", va="center",
                    color="white" if found else plots.INK)  # fmt: skip
        begin += p
    ax.annotate(f"mass {mass:g}", (8 * mass / 15, -4.62), (8 * mass / 15, -5.15), ha="center", color=plots.INK,
                arrowprops=dict(arrowstyle="->", color=plots.INK))  # fmt: skip
    ax.set(xlim=(-0.3, 11.2), ylim=(-5.3, 0.4))
    ax.axis("off")
    return ax


plots.slide(draw, [0, 1.5, 3, 5.5, 8, 8.5, 9, 12.5, 13, 14.5], name="mass", start=5,
            alt="A tree with six leaves, filled up to eight; a thick path leads from the root, which holds 15, down to the leaf in whose piece of the line "
            "the mass lies; the comparisons on the way stand beside it.")  # fmt: skip

# %% [markdown]
# Drag the mass. What happens at 3, the border between leaf 0 and leaf 2? Why is leaf 1 never found? And what are the two empty leaves on the right for? (Without them some leaves would lie a level higher than others, and out of order.)

# %% [markdown] task="SumTree"
# ### Exercise 9.4 · `SumTree`
# **Points** 3 · **Difficulty** ●●● · **Time** 30 min
#
# Write the tree.
#
# - `SumTree(capacity)`: `capacity` leaves, any number from 1 on, all 0 at first.
# - `set(index, priority)` **replaces** the priority of a leaf, 0 or more.
# - `total()` is the sum of all priorities.
# - `find(mass)` is (9.7): an int. A border belongs to the next leaf, and a leaf of priority 0 is never found.
#
# Only the results are checked. But keep `set` and `find` to about $\log_2 n$ steps: they run 128 times in every update below.
#
# **For you to decide:** where in your lists or arrays do the leaves lie, and where are a node's children?


# %% exercise="SumTree" points=3
class SumTree:
    """Priorities as the leaves of a tree of sums (9.7).

    set: index int, priority float; total: float; find: mass in [0, total) -> int.
    """

    def __init__(self, capacity):
        ### BEGIN SOLUTION
        self.first = 1  # where the leaves begin: a power of two
        while self.first < capacity:
            self.first *= 2
        self.sums = [0.0] * (
            2 * self.first
        )  # node i has the children 2i and 2i + 1; the root is node 1
        ### END SOLUTION

    def set(self, index, priority):
        ### BEGIN SOLUTION
        node = self.first + index
        self.sums[node] = priority
        while node > 1:
            node //= 2
            self.sums[node] = self.sums[2 * node] + self.sums[2 * node + 1]
        ### END SOLUTION

    def total(self):
        ### BEGIN SOLUTION
        return self.sums[1]
        ### END SOLUTION

    def find(self, mass):
        ### BEGIN SOLUTION
        node = 1
        while node < self.first:
            node *= 2
            if mass >= self.sums[node]:  # not on the left: pass it
                mass -= self.sums[node]
                node += 1
        return node - self.first
        ### END SOLUTION


# %% [markdown] hints="SumTree"
# <details><summary>How do I store a tree in a list?</summary>
#
# Number the nodes level by level, the root first, beginning with 1. Then the children of a node have twice its number, and twice plus one, and the parent half of it. Draw it for four leaves, and for three that are filled up to four.
# </details>
# <details><summary>The total is wrong after a second `set`.</summary>
#
# A sum has two parts. Compute every node on the way up anew from its children, or pass on by how much the leaf has *changed*. What is on the way up at the end of the loop: the root, too?
# </details>
# <details><summary>`find` returns the wrong leaf.</summary>
#
# Follow the mass 8 in the figure by hand, with the three numbers that your loop holds: node, what its left child holds, what is left of the mass. Which of the two comparisons sends a border to the next leaf?
# </details>

# %% check="SumTree"
SumTree = check("SumTree")

# %% [markdown]
# ### How much does priority help?
#
# The table version, so that nothing else interferes: $Q$ begins near 0, each update moves one entry a quarter of the way to its label, until the mean squared error is below 0.001. γ = 1 − 1/n. Besides your tree: uniform draws; **greedy**, always the largest error seen last; and an **oracle** that looks at the truth
# and picks whatever brings the error down most.


# %%
def updates_needed(n, rule, seed, exponent=1.0, eps=1e-4, most=200_000, told=True):
    """Updates until the values of the blind cliffwalk are learned, and the mean |δ| of what was drawn.

    rule: "uniform", "priority", "greedy" or "oracle"; told: whether new errors are reported to the tree.
    """
    rng, rows, gamma = np.random.default_rng(seed), cliffwalk(n), 1 - 1 / n
    q = rng.normal(0, 0.1, size=(n, 2)).tolist()
    true = [[0.0, gamma ** (n - 1 - s)] for s in range(n)]
    pairs = [(s, right) for s in range(n) for right in (False, True)]
    tree, latest, surprise = SumTree(len(rows)), np.ones(len(rows)), 0.0
    for i in range(len(rows) if rule == "priority" else 0):
        tree.set(i, 1.0)

    def error(s, right):
        best = 1.0 if s == n - 1 else gamma * max(q[s + 1])
        return (best if right else 0.0) - q[s][right]

    def gain(pair):
        s, right = pair
        off = q[s][right] - true[s][right]
        return off**2 - (off + error(s, right) / 4) ** 2

    for update in range(most):
        if update % 10 == 0 and sum((q[s][a] - true[s][a]) ** 2 for s, a in pairs) < 2 * n * 1e-3:
            break
        i = 0
        if rule == "uniform":
            i = int(rng.random() * len(rows))
        elif rule == "priority":
            i = tree.find(rng.random() * tree.total())
        elif rule == "greedy":
            i = int(latest.argmax())
        s, right = max(pairs, key=gain) if rule == "oracle" else rows[i]
        delta = error(s, right)
        q[s][right] += delta / 4
        surprise, latest[i] = surprise + abs(delta), abs(delta)
        if rule == "priority" and told:
            tree.set(i, (abs(delta) + eps) ** exponent)  # (9.6)
    return update, surprise / max(update, 1)


# %%
lengths, needed = (4, 6, 8, 10, 12), {}
ways = {
    "uniform": dict(rule="uniform"),
    "α = 0.6, ε = 0.01": dict(rule="priority", exponent=0.6, eps=0.01),
    "α = 1, ε = 0.0001": dict(rule="priority"),
    "greedy": dict(rule="greedy"),
    "oracle": dict(rule="oracle"),
}
print("n   " + "  ".join(f"{name:>7}" for name in ways))
for n in progress(lengths, "blind cliffwalk"):
    for name, way in ways.items():
        runs_of_it = range(3 if n < 12 else 1)
        needed[n, name] = np.median([updates_needed(n, seed=seed, **way)[0] for seed in runs_of_it])
    print(f"{n:2}  " + "  ".join(f"{needed[n, name]:{max(7, len(name))},.0f}" for name in ways))
print("with " + authorship("SumTree"))
assert needed[10, "uniform"] > 6 * needed[10, "α = 1, ε = 0.0001"] > 6 * needed[10, "oracle"] / 2

# %% tags=["hide-input"]
ax = plots.curves({name: [needed[n, name] for n in lengths] for name in ways}, x=lengths,
                  xlabel="n: states in a row", ylabel="updates until learned")  # fmt: skip
ax.set_yscale("log")
ax.set_xticks(lengths)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
ax.figure.set_figwidth(9.5)
plots.show(ax, alt="Updates until the blind cliffwalk is learned against its length, on a logarithmic scale. Uniform draws are a steep straight line up to about a "
           "hundred thousand, prioritised ones lie a factor of three and of ten below, the oracle far below them.")  # fmt: skip

# %% [markdown]
# Uniform draws need about four times as many updates for every two states: there is *one* rewarding transition among $2^{n+1}-2$, and the news of it travels back a state at a time. The oracle grows only like a power of $n$. In between lie the priorities, and how far depends on ε: with thousands of transitions, each of which keeps at least $\epsilon^\alpha$, the boring ones
# together outweigh the interesting one.
#
# ### Change one thing
# **What to look for:** how greedy should one be? In this world nothing is random, so an error is always news.

# %%
# about 1 s
for exponent in (0.0, 0.3, 0.6, 1.0, 1.5):
    counts = [updates_needed(8, "priority", seed, exponent=exponent)[0] for seed in range(3)]
    print(f"exponent {exponent}: {min(counts):5} to {max(counts):5} updates")

# %% [markdown]
# ### Talk to your neighbour
# Two agents with a tree learn the cliffwalk with n = 10. In the draws of agent 1 the mean |δ| is about 0.01. In the draws of agent 2 it is a tenth of that: it meets next to no errors. Which one learns ten times faster?
#
# **A** agent 1 · **B** agent 2

# %%
# about 1 s
for name, told in {"agent 1": True, "agent 2": False}.items():
    count, surprise = np.mean([updates_needed(10, "priority", seed, told=told) for seed in (0, 1)], axis=0)  # fmt: skip
    print(f"{name}: {count:7,.0f} updates; mean |δ| of what it drew {surprise:.4f}")

# %% [markdown]
# Agent 2 never calls `set` after an update: all its priorities stay where they were, and it replays what it knows. **Small errors in the batch are the bad sign here**: with priorities, the batch should be full of surprises, and a comfortable loss says that the tree is asleep. (You had a comfortable loss in lesson 08, too.)

# %% [markdown]
# ## What it costs: another mean
#
# Whoever draws by (9.6) no longer estimates the mean over the memory, but another one, in which errors count that are large *now*. In a noisy world these are the unlucky draws. The cure is as old as sampling: divide by how often you ask.
# Let $g_i$ be the gradient of transition $i$. Drawn with $P$ and multiplied by $w_i = 1/(nP_i)$, its mean is
#
# $$\mathbb E_{i\sim P}\big[w_i\,g_i\big] = \sum_i P_i\,\frac{1}{n P_i}\,g_i = \frac1n\sum_i g_i$$
#
# the uniform mean, exactly. Two changes make it practical. The exponent β lets one correct only in part; one begins with 0.4, say, and ends at 1, when the values settle and the bias would be learned. And dividing by the largest weight of the batch keeps all of them at 1 or less, so that no step is longer than usual:
#
# $$w_j = \frac{(n\,P_{i_j})^{-\beta}}{\max_k\,(n\,P_{i_k})^{-\beta}} \tag{9.8}$$
#
# $i_j$ is the slot from which the j-th transition of the batch came, and the maximum runs over the batch. ($n$ cancels: leave it out if you like.)

# %% [markdown] task="prioritise"
# ### Exercise 9.5 · `prioritise`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min
#
# Compute the probabilities (9.6), and the weights (9.8) of a batch.
#
# - `td_error` is `(n,)`: the error of every transition in the memory, of either sign or 0. `drawn` is `(B,)` int64: the slots of the batch; a slot may occur twice.
# - `exponent` is α, `eps` is ε, `beta` is β.
# - Return two tensors: the probabilities `(n,)` and the weights `(B,)`.
#
# **For you to decide:** which of your lines are about the whole memory, and which about the batch?


# %% exercise="prioritise" points=2
def prioritise(td_error, drawn, exponent, eps, beta):
    """Probabilities (9.6) of all transitions and weights (9.8) of a batch.

    td_error: (n,); drawn: (B,) int64; exponent: 0 or more; eps: above 0; beta: in [0, 1]. Returns (n,) and (B,).
    """
    ### BEGIN SOLUTION
    priority = (td_error.abs() + eps) ** exponent
    prob = priority / priority.sum()  # (9.6)
    weight = (len(td_error) * prob[drawn]) ** -beta
    return prob, weight / weight.max()  # (9.8)
    ### END SOLUTION


# %% [markdown] hints="prioritise"
# <details><summary>In which order do I apply the power and the sum?</summary>
#
# Read (9.6) from the inside: absolute value, plus ε, power, and the sum of *these* last. Print the sum of your probabilities.
# </details>
# <details><summary>Which of them get a weight?</summary>
#
# Only what was drawn is learned from. A tensor of slots in square brackets picks their probabilities, repeated ones as often as they occur.
# </details>
# <details><summary>The check says something about the largest weight.</summary>
#
# It must be 1. A negative power turns the order round: the largest weight belongs to the smallest probability of the batch. First the power, then the division.
# </details>

# %% check="prioritise"
prioritise = check("prioritise")

# %% [markdown]
# Ten thousand errors of a noisy memory, of which the mean is wanted; two hundred batches of 128, drawn by priority. What does the weighted mean say, and what do weights cost?

# %%
rng = np.random.default_rng(0)
delta = torch.tensor(
    np.where(rng.random(10_000) < 0.8, rng.normal(0, 0.3, 10_000), rng.normal(1.5, 1, 10_000))
)
prob, _ = prioritise(delta, torch.tensor([0]), 0.6, 0.01, 0.0)
p = prob.numpy() / prob.numpy().sum()
batches = [torch.tensor(rng.choice(10_000, size=128, p=p)) for _ in range(200)]
print(f"true mean {delta.mean():.3f}")
estimates = {}
for beta in (0.0, 0.4, 0.7, 1.0):
    weights = [prioritise(delta, drawn, 0.6, 0.01, beta)[1] for drawn in batches]
    estimates[beta] = np.mean([((w * delta[i]).sum() / w.sum()).item() for w, i in zip(weights, batches, strict=True)])  # fmt: skip
    worth = np.mean([(w.sum() ** 2 / (w**2).sum()).item() for w in weights])
    mean = np.mean([w.mean().item() for w in weights])
    print(
        f"β = {beta}: weighted mean {estimates[beta]:.3f}; 128 draws worth {worth:3.0f}; mean weight {mean:.2f}"
    )
assert estimates[0.0] > 1.3 * delta.mean() and abs(estimates[1.0] - delta.mean()) < 0.03

# %% [markdown]
# Without weights the mean is far off, with β = 1 it is right. The price stands beside it: unequal weights make the batch worth fewer draws, and the mean weight falls, so **annealing β also shrinks the step**: part of a step size that falls.
#
# ## Into the loss
#
# Where does the weight go? The derivation above multiplied the *gradient*. So it multiplies the loss of each sample, and stays outside $H_1$:
#
# $$L(\phi) = \frac1B\sum_{b=1}^B w_b\,H_1\big(Q_\phi(s_b,a_b)-y_b\big),\qquad \delta_b = y_b - Q_\phi(s_b,a_b) \tag{9.9}$$
#
# with the labels $y_b$ of (9.1). The errors $\delta_b$ go back to the tree.

# %% [markdown] task="per_dqn_loss"
# ### Exercise 9.6 · `per_dqn_loss`
# **Points** 2 · **Difficulty** ●●○ · **Time** 20 min
#
# Compute (9.9): the loss, a tensor of shape () with a gradient for `q_net` and nothing else, and the errors `(B,)`.
#
# - Networks and `batch` as in exercise 8.4; `weight` is `(B,)`.
# - Divide by $B$, not by the sum of the weights: halving all weights should halve the step.
#
# **For you to decide:** the errors become priorities. With their sign or without? Weighted? With a gradient? And what does `smooth_l1_loss` do with a batch if you do not tell it otherwise?


# %% exercise="per_dqn_loss" points=2
def per_dqn_loss(q_net, target_net, batch, weight, gamma):
    """The weighted loss (9.9) and the errors y − Q.

    q_net, target_net: obs (B, obs_dim) -> (B, n_actions); batch: obs, action, reward, next_obs, terminated;
    weight: (B,). Returns a tensor of shape () with a gradient for q_net, and (B,).
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        y = dqn_target(batch.reward, target_net(batch.next_obs), batch.terminated, gamma)
    q = taken(q_net(batch.obs), batch.action)
    loss = (weight * smooth_l1_loss(q, y, reduction="none")).mean()  # (9.9)
    return loss, (y - q).detach()
    ### END SOLUTION


# %% [markdown] hints="per_dqn_loss"
# <details><summary>What is there already?</summary>
#
# Your `dqn_loss` of lesson 08, but for its last line. `dqn_target` and `taken` are imported: the first makes labels of the slow copy's values, the second looks up Q of the actions taken.
# </details>
# <details><summary>How do I weigh each sample?</summary>
#
# You need one loss a sample before the mean is taken: most losses of PyTorch have an argument `reduction`. Multiply row by row, then average. Print the three shapes.
# </details>
# <details><summary>What exactly are the errors?</summary>
#
# (9.9) says it: the label less the prediction. The memory takes the absolute value itself (9.6), and it keeps numbers, not graphs.
# </details>

# %% check="per_dqn_loss"
per_dqn_loss = check("per_dqn_loss")

# %% [markdown]
# Is that the right place for the weight? The expected loss under $P$ is $\sum_i P_i\,w_i\,H_1(\cdot)$, so one call on the *whole* memory with the weights $n P_i w_i$ gives the expected gradient, exactly. Compare it with the gradient of the uniform mean: without weights, with $w$, and with $w^2$, which is what happens if the weight is squared together with the error.

# %%
memory = memories[0][0].rows(np.arange(400))
with torch_seed(1):
    q_net, target_net = QNetwork(1, 8), QNetwork(1, 8)
_, delta = per_dqn_loss(q_net, target_net, memory, torch.ones(400), gamma)
prob, w = prioritise(delta, torch.arange(400), 0.6, 0.01, 1.0)


def expected_gradient(weight):
    loss, _ = per_dqn_loss(q_net, target_net, memory, 400 * prob * weight, gamma)
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, q_net.parameters())])


uniform = expected_gradient(1 / (400 * prob))
angle = {}
for name, weight in {"no weight": torch.ones(400), "w": w, "w²": w**2}.items():
    cosine = torch.cosine_similarity(expected_gradient(weight), uniform, dim=0).clamp(max=1)
    angle[name] = np.degrees(np.arccos(cosine.item()))
    print(f"{name:9}: turned by {angle[name]:4.1f} degrees from the uniform gradient")
assert angle["w"] < 0.2 < min(angle["no weight"], angle["w²"]) / 5

# %% [markdown]
# With $w$ the direction is right; without, it leans towards the surprising transitions, and with $w^2$ as far to the other side. Weights inside $H_1$ would do both: square themselves where errors are small, and pull outliers back under the threshold.

# %% [markdown]
# ## A silent bug
#
# All six checks are green. A colleague puts `PERDQN` together from these functions, for the casino, and changes one line on the way. Nothing raises, and the loss goes down. Here is the colleague's agent beside yours, with your tree, your priorities and your loss.

# %%
# about 6 s
parts = dict(tree=SumTree, prioritise=prioritise, beta_steps=2_000)


def colleague_loss(q_net, target_net, batch, weight, gamma):
    loss, td_error = per_dqn_loss(q_net, target_net, batch, weight, gamma)
    return loss, td_error.clamp(min=0)


met = {
    "yours": [live(PERDQN, seed, 3_000, per_dqn_loss=per_dqn_loss, **parts) for seed in seeds((0, 1))],
    "colleague": [live(PERDQN, seed, 3_000, per_dqn_loss=colleague_loss, **parts) for seed in seeds((0, 1))],
}  # fmt: skip
print("trained with " + authorship("SumTree", "prioritise", "per_dqn_loss"))
for name, those in met.items():
    for seed, run in enumerate(those):
        print(f"{name:9} seed {seed}: loss at the end {run.loss:.2f}; believes {run.believed[-1]:+.2f}, "
              f"earns {run.true[-1]:+.2f}; at most {run.believed.max():.2f}")  # fmt: skip

# %% tags=["hide-input"]
ax = plots.axes()
for (name, those), colour in zip(met.items(), ("blue", "orange"), strict=True):
    for seed, run in enumerate(those):
        steps = 500 * np.arange(1, len(run.believed) + 1)
        who = (
            whose("SumTree", "prioritise", "per_dqn_loss") if name == "yours" else "the colleague's"
        )
        ax.plot(steps, run.believed, color=plots.PALETTE[colour], linewidth=2, linestyle=("-", "--")[seed],
                label=f"{who} PER agent" if seed == 0 else None)  # fmt: skip
ax.axhline(0, color=plots.INK, linewidth=1.5, linestyle=":")
ax.legend(title="solid: seed 0, dashed: seed 1", loc="upper left")
ax.set(xlabel="steps", ylabel="believed: mean of max Q (truth: 0)", ylim=(-0.3, 6.5))
plots.show(ax, alt="What two agents with prioritised replay believe against steps, two seeds each. One stays below 1 and comes down towards 0; the "
           "colleague's climbs to between 3 and 5, where the truth is 0.")  # fmt: skip

# %% [markdown]
# **What does the changed line do, and why does the loss not tell?**
#
# <details><summary>Where should I look first?</summary>
#
# At the belief: nothing in this world is worth more than 0. Then ask which transitions pull it down, and how often these are drawn.
# </details>
# <details><summary>Answer</summary>
#
# `clamp(min=0)` makes the error of every *disappointment* 0. Whatever was worse than expected is hardly drawn again; whatever was better comes back and back. The agent reads only good news, and the weights correct little of it, since what is never drawn has no weight at all. The loss is a mean over what *is*
# drawn, and of the good news it believes every word. Only the belief against the true return gives it away. This is an easy line to write: "priorities are positive, so clamp them".
# </details>
#
# Do priorities help in the casino, when they are right? The belief of your own agent is of the size of the DQN's above; over four seeds (the course's tests run them) no difference can be seen. In a noisy world the largest surprises are chance, and to look at them more often teaches nothing. Where nothing is random, as in the cliffwalk, a surprise is news.

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** Somebody trains double DQN with *two* networks, each with its own half of the memory, and acts on their mean. What do they pay for the independence?
#
# **A** nothing · **B** each network has half the data, and so larger errors · **C** the labels are biased again
#
# <details><summary>Answer</summary>
#
# B. The judge's errors have mean 0, but they are larger, and so is the spread of the labels. (`EnsembleDQN(size=2, share=0.5)` is a Maxmin of that kind: a coin for every transition and member says who learns from it. Try it in the casino.)
# </details>
#
# **2.** Your prioritised memory is full, and the newest transition overwrites the oldest. Which priority does its leaf have now?
#
# **A** that of the transition that lay there · **B** 0, until its error is known · **C** the largest one so far
#
# <details><summary>Answer</summary>
#
# C, as for everything new. With A the newcomer would inherit the boredom of the old one; with B it would never be drawn at all, and its error never become known.
# </details>

# %% [markdown]
# ## Summary
#
# - The maximum of noisy values is too high by some $m$; bootstrapping hands it on and adds it up to $m/(1-\gamma)$ (9.2). Measure it where the truth is known and reached.
# - Double DQN: the network being trained chooses, the other one judges. It helps as far as their errors are independent; two networks on one memory share its luck.
# - Ensembles: first over the members, then over the actions. The mean shrinks bias and spread, the minimum can choose the bias, and overshoots with too many critics (9.5).
# - Prioritised replay draws by $|\delta|$ with a sum tree in $\log_2 n$ steps. It pays where few transitions carry news, and small errors in its batches are a bad sign.
# - Drawing by priority changes the mean; the weight $(nP)^{-\beta}$ multiplies the loss, outside $H_1$, and brings it back.

# %% [markdown]
# ## Where this went
#
# - **TD3** (Fujimoto et al. 2018, lesson 15) and **SAC** (Haarnoja et al. 2018, lessons 18 and 19) take the minimum of two critics, (9.4), for an action that a policy chose; there is no maximum over actions left to come first or second.
# - **REDQ** (Chen et al. 2021) lets a random two of ten critics vote, and can so take twenty updates a step; **TQC** (Kuznetsov et al. 2020) cuts off the largest quantiles of an ensemble's predicted returns: a bias in finer steps than whole critics.
# - **Rainbow** (Hessel et al. 2018) found that of its six parts, priorities and n-step returns were the two that were missed most in the Atari games.
# - **Ape-X** (Horgan et al. 2018) fills one prioritised memory from hundreds of actors, each of which computes the priority itself when it sends a transition: no newcomer has to be given the largest one.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Where the originals say something else</summary>
#
# - The pseudocode collection (*pseudocodes* of the JoyRL book, Datawhale) prints the loss of prioritised DQN with the weight $w_j$ inside the square. Schaul et al. accumulate $w_j\,\delta_j\,\nabla Q$: the weight to the first power. You have measured the difference above.
# - Schaul et al. 2016 divide in §3.4 by "$\max_i w_i$" and leave open over what $i$ runs. Many programs take the batch, as we do; some the whole memory, by the smallest priority in it. The first changes from batch to batch; with the second all weights are small as soon as one transition of the memory is hardly ever drawn.
# - Lan et al. 2020 state theorem 1 for the bias of the *target*, with a factor γ that (9.5) leaves out.
# </details>

# %% [markdown]
# ## What we hand on
#
# Parts I and II learned values, and acted by looking for the largest one. Whatever made the values better, the policy stayed the same:
#
# $$\pi(s) = \arg\max_a Q_\phi(s,a) \tag{9.10}$$
#
# You have seen what is wrong with the maximum as a number. It is odd as a policy, too: it never mixes, it jumps when two values cross, and with actions on a continuum nobody can list them. Lesson 10 parametrises the policy itself, and climbs.
