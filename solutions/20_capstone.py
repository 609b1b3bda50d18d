# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 20 · Capstone: one table, an honest comparison, an agent of your own
#
# Part IV · 13 → 14 → 15 → 16 → 17 → 18 → 19 → **20**
#
# - **You will be able to** place every method of this course in one table and say in which cell two of them differ; report
#   a comparison of agents as an interquartile mean with an interval, a profile and a probability, and say what it does *not* show;
#   design a test of an agent whose two error rates are known before the first run; and pass it with an agent of your own.
# - **Builds on** all lessons; on lesson 12 (PPO), 14 (DDPG), 15 (TD3) and 19 (SAC) for the comparison.
# - **Time** 150 minutes alone, in two sittings with a break between, and an evening for your own agent; 80 as a lecture.
# - **Sources** Agarwal et al. 2021 (*Deep reinforcement learning at the edge of the statistical precipice*, arXiv 2108.13264) §4, and its
#   library rliable; Henderson et al. 2018 (1709.06560); Colas et al. 2018 (1806.08295) and 2019 (1904.06979); Welch 1947; Mann & Whitney 1947.

# %%
import html
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import scipy.stats
import torch

from rlcourse.checker import authorship, check
from rlcourse.checker.equations import named_in
from rlcourse.continuous import ddpg, sac, td3
from rlcourse.lab import comparison, page, plots
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.networks import mlp, polyak_update
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.policies import actor_critic, gae, ppo
from rlcourse.tabular import control, mdp, prediction, soft
from rlcourse.tabular import dynamic_programming as planning
from rlcourse.values import double_dqn, dqn, ensembles, prioritised

torch.set_num_threads(1)

# %% [markdown]
# ## What we inherit
#
# Lesson 19 handed on one Bellman equation, with what replaces each of its parts:
#
# $$\begin{aligned}Q(s,a)\;&\leftarrow\; r + \gamma\,(1-d)\,\Big[\min_jQ_{\phi_{\text{targ},j}}(s',\tilde a')-\alpha\log\pi_\theta(\tilde a'|s')\Big],\\
# \pi_\theta\;&\to\;\frac{e^{Q/\alpha}}{Z},\qquad \alpha\;\text{ such that }\;\mathcal H(\pi_\theta)\approx-\dim(\mathcal A)\end{aligned}$$
#
# and a question that three seeds could not answer: *how much better is all that?* First the equation and its relatives, all in one table.
# Then the question.

# %% [markdown]
# ## Guess first
#
# A method is a lottery ticket: one run in five comes to something. A colleague trains **five seeds** and reports the best one.
#
# **How often does his report say that the method works?**
#
# <details><summary>I have guessed. How often?</summary>
#
# In two reports of three. All five fail with probability $0.8^5\approx0.33$. Nothing in the report is false: that run did
# happen. Below you will compute this, and the number of runs that it takes before such a method can no longer pass for a good one.
# </details>

# %% [markdown]
# ## One table of everything
#
# Every method of this course is the Bellman equation of lesson 02 with something put in place of something. Five questions tell two of them apart:
#
# - **Sampled:** which expectation is replaced by draws, and by which?
# - **The max:** what stands where $\max_{a'}$ stood?
# - **The tail:** a target that is made from estimates moves when they move. What keeps the learner from chasing its own tail?
# - **Bias, and the trick:** which error is left, and what is done about it?
# - And the equation itself. None is written here by hand: each is the one that the lesson, or the lesson that took it up, prints under this number.


# %% tags=["hide-input"]
class Row(NamedTuple):
    method: str
    lesson: str
    equation: str
    sampled: str
    maximum: str
    tail: str
    bias: str


P, S = "γ < 1: a contraction", "small steps α"
TABLE = [
    Row("policy evaluation", "02", "2.4", "nothing: p is known", "none: the mean over π", P, "none"),
    Row("value iteration", "03", "3.5", "nothing: p is known", "the max itself", P, "none"),
    Row("Monte Carlo", "04", "4.3", "whole episodes", "none: the actions of π", "no tail: no estimate in the target",
        "none, but variance"),
    Row("TD(0)", "04", "5.1", "one a and one s'", "none: the actions of π", S, "that of v(s') → n steps, λ"),
    Row("SARSA", "05", "5.6", "one s' and one a'", "a' of the policy, nearly greedy", S, "that of q → n steps, λ"),
    Row("expected SARSA", "05", "5.7", "one s'", "the mean over the policy", S, "that of q; less variance"),
    Row("Q-learning", "05", "5.8", "one s'", "max over the table", S, "the max of noise is too high → double Q"),
    Row("double Q-learning", "05", "5.12", "one s'; a coin for the table", "argmax of one table, value of the other", S,
        "too high no more; somewhat low"),
    Row("semi-gradient TD", "06", "7.1", "one a and one s'", "none: the actions of π",
        "states of π; no gradient through the target", "what the features cannot say → better features"),
    Row("fitted Q-iteration", "07", "7.8", "a fixed log", "max over the actions", "the last weights, for one regression",
        "the max of noise is too high"),
    Row("DQN", "08", "8.16", "a minibatch of the replay", "max over the outputs", "a slow copy",
        "the max of noise is too high → double DQN"),
    Row("double DQN", "09", "9.3", "a minibatch of the replay", "argmax of the net, value of its slow copy", "a slow copy",
        "what both get wrong together → a second memory"),
    Row("prioritised replay", "09", "9.9", "drawn by surprise", "max over the outputs", "a slow copy",
        "the draw is not the memory's → weights w"),
    Row("REINFORCE with baseline", "10", "11.1", "whole episodes of π", "a step along ∇ log π",
        "no tail: no estimate in the return", "none, but variance → the baseline"),
    Row("actor-critic with GAE", "11", "12.1", "rollouts of π", "a step along ∇ log π",
        "rollouts are used once", "the critic's → λ towards 1"),
    Row("PPO", "12", "13.1", "rollouts of the policy before", "steps along ∇ρ, clipped",
        "the labels are made once a rollout", "rows of an older policy → the ratio ρ, clipped"),
    Row("pathwise gradient", "13", "14.1", "states, and ξ", "a step along ∇Q, through the action", "(that of its critic)",
        "none if Q is right; little variance"),
    Row("DDPG", "14", "14.6", "a minibatch of the replay", "an actor that climbs Q", "slow copies of both",
        "the actor climbs the critic's errors → TD3"),
    Row("TD3", "15", "16.1", "a minibatch, and noise on a'", "an actor that climbs Q, late", "slow copies of both",
        "too high → the smaller of two; narrow peaks → noise"),
    Row("soft policy iteration", "16", "17.1", "nothing: p is known", "α log Σ exp(Q/α)", P,
        "entropy is bought → small α"),
    Row("soft Q-learning", "17", "18.1", "a minibatch, and K actions", "α log ∫ exp(Q/α)", "a slow copy",
        "the log of a mean is too low → large K"),
    Row("SAC with V", "18", "18.11", "a minibatch, and one ã", "a policy that moves to exp(Q/α)/Z", "a slow copy of V",
        "too high → the smaller of two"),
    Row("SAC", "19", "19.6", "a minibatch, and a fresh ã'", "a policy that moves to exp(Q/α)/Z", "slow copies of the critics",
        "too high → the smaller of two; α → a target entropy"),
]  # fmt: skip
EQUATIONS = {row.equation: named_in(f"({row.equation})")[row.equation] for row in TABLE}


def as_table(rows):
    """The rows as HTML, two lines each: the equation with links to its lesson, then the four answers."""
    notebooks = {path.name[:2]: path.name for path in Path().glob("[0-9][0-9]_*.ipynb")}

    def linked(words, lesson, anchor=""):
        there = notebooks.get(lesson)
        return f'<a href="{there}{anchor}">{words}</a>' if there else words

    line = "border-top: 1px solid #767676"
    lines = [
        f'<tr style="{line}"><th style="text-align: left">'
        + '</th><th style="text-align: left">'.join(
            ("method", "sampled", "the max is", "against the tail", "bias → trick")
        )
        + "</th></tr>"
    ]
    for row in rows:
        home = f"{int(row.equation.split('.')[0]):02d}"
        name = f"<b>{row.method}</b><br>{linked(f'lesson {row.lesson}', row.lesson)}, " + linked(
            f"({row.equation})", home, f"#eq-{row.equation}"
        )
        shown = html.escape("$\\displaystyle " + EQUATIONS[row.equation].replace("\n", " ") + "$")
        lines.append(
            f'<tr style="{line}"><td rowspan="2" style="text-align: left">{name}</td>'
            f'<td colspan="4" style="text-align: left">{shown}</td></tr><tr>'
            + "".join(
                f'<td style="text-align: left; vertical-align: top; white-space: normal">{html.escape(cell)}</td>'
                for cell in row[3:]
            )
            + "</tr>"
        )
    return '<table style="width: 100%">' + "".join(lines) + "</table>"  # fmt: skip


page.display_markup(as_table(TABLE), "\n".join(" · ".join(row) for row in TABLE))

# %% [markdown]
# Read it by columns. The first is filled from *nothing* to *whole episodes* and back to a handful of rows of a memory. The second is one long search
# for something cheaper than a max: over a table, over outputs, a network that climbs, a distribution that leans. The third has five
# entries in all: contraction, small steps, labels that are held still, slow copies, or no estimate at all. And whenever a max or an actor
# meets an estimate, the last column says *too high*.

# %% [markdown]
# ### Talk to your neighbour
# In how many of the four columns do TD3 and SAC differ?
#
# **A** one · **B** two · **C** all four
#
# <details><summary>Answer</summary>
#
# Read the two rows: the draw (noise on $a'$, or a fresh $\tilde a'$ of the policy) and what the max became. Slow copies and the smaller of two critics
# are the same. So **B**, and as the noise around TD3's action is a policy as well, one may argue for less. Set α to 0 and take the same action, and their targets
# are *equal*: the next cell computes it.
# </details>

# %% [markdown]
# ### One cell apart
#
# Two rows that differ in one cell must agree where that cell says the same. Ten such pairs, each computed from the course's own functions on random
# numbers; the last column is the largest difference.

# %%
rng = np.random.default_rng(0)
draw = torch.Generator().manual_seed(0)
r, v, v2, log_p = (torch.randn(64, generator=draw, dtype=torch.float64) for _ in range(4))
d = (torch.rand(64, generator=draw) < 0.2).double()
q, q2 = (torch.randn(64, 5, generator=draw, dtype=torch.float64) for _ in range(2))
numbers = [x.numpy() for x in (r, v, d)]
greedy = planning.greedy_policy(q.numpy())
world = mdp.garnet(n_states=6, n_actions=3, branching=3, rng=rng)
best, _ = planning.value_iteration(world.P, world.R, world.gamma, 1e-12)
_, softest, _ = soft.soft_policy_iteration(world.P, world.R, world.gamma, 1e-4, 1e-12)
zero = torch.zeros(64, dtype=torch.float64)
logits = torch.randn(64, 5, generator=draw, dtype=torch.float64, requires_grad=True)
log_pi = torch.log_softmax(logits, dim=1)[:, 0]
(clipped,) = torch.autograd.grad(
    ppo.ppo_clip_loss(log_pi, log_pi.detach(), v, 0.2), logits, retain_graph=True
)
(plain,) = torch.autograd.grad(-(log_pi * v).mean(), logits)
copy, net = mlp([3, 4, 1]), mlp([3, 4, 1])
polyak_update(copy, net, 0.0)
weights = [torch.nn.utils.parameters_to_vector(n.parameters()) for n in (copy, net)]
alike = {
    "λ-return at λ = 0 is TD(0)'s target": (
        prediction.lambda_returns(*numbers, 0.9, 0.0), prediction.td0_target(*numbers, 0.9)),
    "GAE at λ = 0 is the TD error": (
        gae.gae(r, v2, v, d, zero, 0.9, 0.0)[0], actor_critic.td_error(r, v2, v, d, 0.9)),
    "expected SARSA under the greedy policy is Q-learning": (
        control.expected_sarsa_target(r.numpy(), q.numpy(), greedy, d.numpy(), 0.9),
        control.q_learning_target(r.numpy(), q.numpy(), d.numpy(), 0.9)),
    "double DQN that judges by the same network is DQN": (
        double_dqn.double_dqn_target(r, q, q, d, 0.9), dqn.dqn_target(r, q, d, 0.9)),
    "Maxmin with one member is DQN": (
        ensembles.ensemble_target(q[None], "min", r, d, 0.9), dqn.dqn_target(r, q, d, 0.9)),
    "prioritised replay at α = 0 weighs all rows alike": (
        prioritised.prioritise(v, torch.arange(64), 0.0, 1e-3, 0.5)[1], torch.ones(64)),
    "a slow copy at ρ = 0 is the network": weights,
    "PPO's first step is the policy gradient's": (clipped, plain),
    "TD3's target with two equal critics is DDPG's": (
        td3.clipped_double_q_target(r, v, v, d, 0.9),
        ddpg.ddpg_target(lambda obs: obs, lambda obs, action: v, SimpleNamespace(
            reward=r, terminated=d, next_obs=zero), 0.9)),
    "SAC's target at α = 0 is TD3's without smoothing": (
        sac.sac_target(r, v, v2, log_p, d, 0.9, 0.0), td3.clipped_double_q_target(r, v, v2, d, 0.9)),
}  # fmt: skip
for pair, (one, other) in alike.items():
    one, other = (torch.as_tensor(x).detach().double() for x in (one, other))
    print(f"{pair:53} {(one - other).abs().max():.0e}")
    assert torch.allclose(one, other, atol=1e-6)

# %% [markdown]
# And one pair that agrees only in the limit: soft policy iteration's $Q$ at $\alpha=10^{-4}$ beside value iteration's. Lesson 16 proved how far apart
# they can be at most, $\gamma\,\alpha\log A/(1-\gamma)$, for $A$ actions.

# %%
gap = np.abs(softest - best).max()
bound = world.gamma * 1e-4 * np.log(3) / (1 - world.gamma)
print(f"largest difference {gap:.1e}, at most {bound:.1e}")
assert gap <= bound

# %% [markdown]
# ## The question: which one is better?
#
# An agent is trained from a seed. Its networks start from that seed, its noise comes from it, and so do the starts of its episodes. With another seed it ends
# elsewhere, sometimes *far* away. So "SAC gets −135" is no fact about SAC: it is one draw from a distribution that belongs to SAC *with these settings, this task and this budget*.
#
# **A run is a seed.** Its score is one number, the mean return of the greedy policy over some episodes at the end. The episodes of one run are averaged first: they share
# their weights, their luck and their failures. What we have is a table of $n$ scores for each agent on a task, and all that follows is about such tables.

# %% [markdown]
# ### Talk to your neighbour
# Ten runs: nine end at −140, one has failed and ends at −1000. Another agent: ten runs at −170. Which agent would you rather have?
#
# **A** the first · **B** the second · **C** there is no answer
#
# <details><summary>What the next cells will show</summary>
#
# **C**: it depends on what you do with it. Can you train three times and keep the best? Then the first. Will somebody run it once? Then perhaps the second. The means (−226 and −170) choose one, the medians
# (−140 and −170) the other. No single number is the answer; this is why there are four of them below.
# </details>

# %% [markdown]
# ### A middle that can be trusted
#
# The **mean** hears everything, one failed run as loudly as nine good ones. The **median** hears only the run in the middle and throws the others away. Between them stands the
# **interquartile mean**, IQM: sort, cut a quarter of the scores off at each end, average the rest. With $x_{(1)}\le\dots\le x_{(n)}$ the sorted scores,
#
# $$\mathrm{IQM}(x) = \frac1{n-2c}\sum_{i=c+1}^{n-c}x_{(i)},\qquad c = \lfloor n/4\rfloor \tag{20.1}$$
#
# Several tasks (their scores in the same units) go into *one* row before it is sorted: a run that failed on one task must be able to fall out.

# %% [markdown] task="interquartile_mean"
# ### Exercise 20.1 · `interquartile_mean`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (20.1). `scores` has any shape, (runs, tasks) for instance, and may hold whole numbers; all of them count. Leave the caller's array as it is.


# %% exercise="interquartile_mean" points=1
def interquartile_mean(scores):
    """The mean of the middle half of all scores (20.1).

    scores: any shape, at least one. Returns a float.
    """
    ### BEGIN SOLUTION
    ordered = np.sort(np.asarray(scores, dtype=np.float64), axis=None)
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())  # (20.1)
    ### END SOLUTION


# %% [markdown] hints="interquartile_mean"
# <details><summary>How do I get one sorted row?</summary>
#
# NumPy's function that returns a sorted copy can flatten on the way, if it is told that there is no axis. (The method of the same name sorts in place.)
# </details>
# <details><summary>How many go?</summary>
#
# A quarter of how many there are, rounded down, at *each* end. With three scores that is none.
# </details>
# <details><summary>What is the mean divided by?</summary>
#
# By how many are left. If you slice from both ends, mind that a slice that ends at minus zero is empty.
# </details>

# %% check="interquartile_mean"
interquartile_mean = check("interquartile_mean")

# %% [markdown]
# Against SciPy's trimmed mean, and then the three middles on runs of which 15 % fail (−1000, else −140): how much does each estimate scatter?

# %%
rng = np.random.default_rng(1)
off = max(
    abs(interquartile_mean(x) - scipy.stats.trim_mean(x, 0.25, axis=None))
    for x in (rng.normal(size=(n, tasks)) for n in range(1, 14) for tasks in (1, 2, 3, 4))
)
print(f"52 tables: at most {off:.0e} from scipy.stats.trim_mean")
assert off < 1e-12


def failing(*shape):
    """Runs of which 15 % fail."""
    good = rng.normal(-140, 8, size=shape)
    return np.where(rng.random(shape) < 0.15, rng.normal(-1000, 100, size=shape), good)


def iqm_rows(x):
    """(20.1) of the last axis, for many rows at once."""
    cut = x.shape[-1] // 4
    return np.sort(x, axis=-1)[..., cut : x.shape[-1] - cut].mean(axis=-1)


middles = {
    "mean": lambda x: x.mean(axis=-1),
    "IQM": iqm_rows,
    "median": lambda x: np.median(x, axis=-1),
}
scatter = {}
for runs_are, sample in {
    "15 % fail": failing,
    "normal, σ = 1": lambda *s: rng.normal(size=s),
}.items():
    for n in (5, 10, 20):
        x = sample(10_000, n)
        scatter[runs_are, n] = {name: middle(x).std() for name, middle in middles.items()}
        told = ", ".join(f"{name} {sd:5.3g}" for name, sd in scatter[runs_are, n].items())
        print(f"{runs_are:13}, {n:2} runs: the estimate scatters by {told}")
many = failing(200_000)
print("what they estimate there:", ", ".join(f"{k} {f(many):.0f}" for k, f in middles.items()))

# %% [markdown]
# With normal scores the mean is best, as it must be; the IQM costs little, the median more. With failures it is the other way round, and no free lunch either. Look at the last line: the IQM
# scatters less because it *does not see* 15 % of failures. Whoever reports an IQM has to show beside it what it left out. That is the next picture, and exercise 20.4.

# %% [markdown]
# ### An interval that is made from the runs themselves
#
# Ten runs gave this IQM. Ten others would have given another: how far away? We cannot train ten others a thousand times. The **bootstrap** takes the ten that we have for the
# distribution and draws from *them*: ten with replacement, the statistic of these, again and again. The middle 95 % of what comes out is the interval.
#
# With several tasks, each is a distribution of its own, so runs are drawn anew *for each task by itself* (**stratified**). For a statistic $T$, a level $\ell$, and $I_{it}$ uniform on $1,\dots,n$:
#
# $$x^*_{it} = x_{I_{it},\,t},\qquad \big[\,\text{low},\ \text{high}\,\big] = \text{the quantiles } \tfrac{1-\ell}2 \text{ and } \tfrac{1+\ell}2 \text{ of many } T(x^*) \tag{20.2}$$

# %% [markdown] task="bootstrap_interval"
# ### Exercise 20.2 · `bootstrap_interval`
# **Points** 3 · **Difficulty** ●●○ · **Time** 15 min
#
# Compute (20.2). `scores` is (n, tasks) and `statistic` takes such a table and returns a number. Each of the `draws` tables is drawn by `rng.integers(n, size=(n, tasks))`, an index of a *row* for every place, and
# `rng` is used for nothing else. Quantiles interpolate linearly, which is NumPy's habit.


# %% exercise="bootstrap_interval" points=3
def bootstrap_interval(scores, rng, statistic, level, draws):
    """A percentile interval by drawing the runs of each task anew (20.2).

    scores: (n, tasks); rng: numpy.random.Generator; statistic: (n, tasks) -> float; level: in (0, 1);
    draws: int. Returns (low, high), floats.
    """
    ### BEGIN SOLUTION
    n, tasks = np.shape(scores)
    values = []
    for _ in range(draws):
        rows = rng.integers(n, size=(n, tasks))
        values.append(statistic(np.take_along_axis(np.asarray(scores), rows, axis=0)))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])  # (20.2)
    return float(low), float(high)
    ### END SOLUTION


# %% [markdown] hints="bootstrap_interval"
# <details><summary>How do I look up a row of its own for every place?</summary>
#
# You have a table of row indices. The column of each place is its own column. Index with two arrays that broadcast against each other, or look for the function of NumPy that takes
# "along an axis".
# </details>
# <details><summary>Which two quantiles?</summary>
#
# What is left outside is 1 minus the level, *half* of it at each end: for 0.95 that is 0.025 and 0.975.
# </details>
# <details><summary>Quantiles of what?</summary>
#
# Of the statistic's values, one for each drawn table; not of the scores. The scores' own spread does not shrink when there are more runs; an uncertainty does.
# </details>

# %% check="bootstrap_interval"
bootstrap_interval = check("bootstrap_interval")

# %% [markdown]
# Is a 95 % interval right in 95 of 100 cases? Here we know the truth, so we can count. 400 times: draw $n$ runs, make the interval (500 tables each), see whether it holds what the statistic is of infinitely many.


# %%
# about 4 s
def coverage(sample, middle, truth, n, repeats=400, draws=500):
    held = 0
    for x in sample(repeats, n):
        values = middle(x[rng.integers(n, size=(draws, n))])
        low, high = np.quantile(values, [0.025, 0.975])
        held += low <= truth <= high
    return held / repeats


x = failing(10, 1)
told = bootstrap_interval(x, np.random.default_rng(3), interquartile_mean, 0.95, 500)
rows = np.random.default_rng(3).integers(10, size=(500, 10))
assert np.allclose(told, np.quantile(iqm_rows(x[rows, 0]), [0.025, 0.975]))  # the same, at once
sizes = [3, 5, 10, 20, 50]
cases = {
    "normal scores, mean": (lambda *s: rng.normal(size=s), middles["mean"], 0.0),
    "normal scores, IQM": (lambda *s: rng.normal(size=s), iqm_rows, 0.0),
    "15 % fail, mean": (failing, middles["mean"], 0.85 * -140 + 0.15 * -1000),
}
held = {name: [coverage(*case, n) for n in sizes] for name, case in cases.items()}
for name, shares in held.items():
    print(f"{name:20}", ", ".join(f"n = {n}: {s:.2f}" for n, s in zip(sizes, shares, strict=True)))

# %% tags=["hide-input"]
ax = plots.axes()
for name, shares in held.items():
    ax.plot(sizes, shares, marker="o", label=name)
ax.axhline(0.95, color=plots.INK, linewidth=1.5, linestyle=":")
ax.annotate(
    "promised", (50, 0.95), xytext=(0, 4), textcoords="offset points", ha="right", va="bottom"
)
ax.set(
    xlabel="runs", ylabel="share of intervals that hold the truth", xscale="log", ylim=(0.3, 1.02)
)
ax.set_xticks(sizes, [str(n) for n in sizes])
ax.minorticks_off()
ax.legend(loc="lower right")
plots.show(ax, alt="The share of 95 % intervals that hold the truth, against the number of runs. All curves start far below 0.95 at three runs; for normal scores they are near it from ten "
           "runs on, for scores of which 15 % fail only from twenty to fifty on.")  # fmt: skip

# %% [markdown]
# **Intervals from few seeds are too narrow.** Three runs cannot show what the fourth would do, and where failures are rare, five often have none among them: then the interval is narrow and wrong. Nothing
# warns you. From ten to twenty on one can live with it.

# %% [markdown]
# ### How often, not only whether
#
# "Better on average" may mean a little better always, or much better now and then. A question that people understand: draw a run of $x$ and a run of $y$ on the same task. **How often is that of $x$ the better one?** With $n$ and $m$ runs all
# $nm$ pairs can be looked at; a tie is half a win for each, and tasks are averaged:
#
# $$P(x>y) = \frac1{\text{tasks}}\sum_t\frac1{nm}\sum_{i,j}\Big(\mathbb 1[x_{it}>y_{jt}]+\tfrac12\,\mathbb 1[x_{it}=y_{jt}]\Big) \tag{20.3}$$
#
# This is the **probability of improvement**. All pairs, and not run $i$ with run $i$: seed 3 of DDPG and seed 3 of SAC have nothing in common but the number.

# %% [markdown] task="probability_of_improvement"
# ### Exercise 20.3 · `probability_of_improvement`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute (20.3) for `x` (n, tasks) and `y` (m, tasks); n and m may differ.


# %% exercise="probability_of_improvement" points=2
def probability_of_improvement(x, y):
    """How often a run of x beats a run of y on the same task (20.3).

    x: (n, tasks); y: (m, tasks). Returns a float in [0, 1].
    """
    ### BEGIN SOLUTION
    above = np.sign(np.asarray(x)[:, None, :] - np.asarray(y)[None, :, :])  # (n, m, tasks)
    return float((1 + above).mean() / 2)  # (20.3)
    ### END SOLUTION


# %% [markdown] hints="probability_of_improvement"
# <details><summary>How do I get all pairs without three loops?</summary>
#
# Give each table an axis of length 1 where the other has its runs; NumPy then stretches both. Three loops are right, too.
# </details>
# <details><summary>What is a convenient number for won, drawn and lost?</summary>
#
# The sign of the difference is 1, 0 or −1. You need 1, ½ and 0: shift and halve.
# </details>
# <details><summary>How can I test it?</summary>
#
# An agent against itself gives one half, and $P(x>y)+P(y>x)=1$, with ties or without.
# </details>

# %% check="probability_of_improvement"
probability_of_improvement = check("probability_of_improvement")

# %% [markdown]
# Statisticians know the sum over pairs as the $U$ of Mann and Whitney; their test asks whether $P=\tfrac12$. A small p-value says that it is not one half. It does not say how far away.

# %%
x, y = rng.normal(0.4, 1, size=(21, 1)), rng.normal(0, 1, size=(16, 1))
test = scipy.stats.mannwhitneyu(x[:, 0], y[:, 0])
print(f"P(x > y) = {probability_of_improvement(x, y):.4f}, U/nm = {test.statistic / (21 * 16):.4f}")
assert np.isclose(probability_of_improvement(x, y), test.statistic / (21 * 16))
assert np.isclose(probability_of_improvement(x, y) + probability_of_improvement(y, x), 1)

# %% [markdown]
# ### Everything at once
#
# A distribution is told completely by one curve: which share of the runs lies above τ, for every τ. That is the **performance profile**:
#
# $$\hat F(\tau) = \frac1{\text{tasks}}\sum_t\frac1n\sum_i\mathbb 1[x_{it}>\tau] \tag{20.4}$$
#
# It falls from 1 to 0. A steep fall is an agent that always ends in the same place; a plateau is one that has two kinds of runs, and its height says how many of which.

# %% [markdown] task="performance_profile"
# ### Exercise 20.4 · `performance_profile`
# **Points** 1 · **Difficulty** ●○○ · **Time** 6 min
#
# Compute (20.4) for `scores` (n, tasks) at all `thresholds` (T,), which come in any order. **Above** means above.


# %% exercise="performance_profile" points=1
def performance_profile(scores, thresholds):
    """The share of runs above each threshold, mean over tasks (20.4).

    scores: (n, tasks); thresholds: (T,). Returns (T,).
    """
    ### BEGIN SOLUTION
    above = np.asarray(scores)[:, :, None] > np.asarray(thresholds)  # (n, tasks, T)
    return above.mean(axis=(0, 1))  # (20.4)
    ### END SOLUTION


# %% [markdown] hints="performance_profile"
# <details><summary>How do I compare all scores with all thresholds?</summary>
#
# A third axis: scores with a last axis of length 1 against the thresholds. Or one threshold after another.
# </details>
# <details><summary>What is averaged first?</summary>
#
# Nothing before the comparison: each run of each task is above or not. Averaging scores before they are compared hides the ones that failed.
# </details>
# <details><summary>What is a share of truths?</summary>
#
# Their mean: NumPy counts a true as 1.
# </details>

# %% check="performance_profile"
performance_profile = check("performance_profile")

# %% [markdown]
# One picture explains the mean *and* the IQM. For scores that are not negative, the area under the profile is the mean: each run adds a bar as long as its score. Now turn the page by a quarter: at height $u$ the curve shows the score that a share $u$ of the runs exceeds.
# So the **middle half in height** holds the middle half of the runs, and its mean length is the IQM. Drag the share of runs that fail, and watch which of the two notices.


# %% tags=["hide-input"]
def runs_with(failed, n=400):
    """n scores: a share near 0.1, the others near 0.9."""
    k, even = round(failed * n), (np.arange(n) + 0.5) / n
    x = np.concatenate([0.1 + 0.06 * (even[:k] - 0.5), 0.9 + 0.15 * (even[k:] - even[k:].mean())]) if k else 0.9 + 0.15 * (even - 0.5)  # fmt: skip
    return np.sort(x)[:, None]


grid = (np.arange(4_000) + 0.5) / 4_000 * 1.2


def draw(failed):
    x = runs_with(failed)
    profile = performance_profile(x, grid)
    left, right = plots.axes(1, 2, size="wide", sharey=True)
    for ax, title in (
        (left, f"area = mean {x.mean():.2f}"),
        (right, f"middle half: IQM {interquartile_mean(x):.2f}"),
    ):
        ax.plot(grid, profile, linestyle="-")
        ax.set(xlabel="threshold τ", ylim=(0, 1.05), xlim=(0, 1.2), title=title)
    left.set_ylabel("share of runs above τ")
    left.fill_between(grid, profile, alpha=0.25, linewidth=0)
    height = np.linspace(0.25, 0.75, 200)
    right.fill_betweenx(height, 0, np.interp(-height, -profile, grid), alpha=0.25, linewidth=0)
    return left


plots.slide(draw, [0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6], name="share that fails", start=2,
            alt="The same profile twice. Left, the area under all of it is the mean and shrinks with every failure; right, the area of its middle half is "
            "the IQM and stays where it is until a quarter of the runs have failed.")  # fmt: skip

x = rng.gamma(2.0, 0.6, size=(40, 3))
grid = (np.arange(4_000) + 0.5) / 4_000 * 8
profile = performance_profile(x, grid)
area, middle = profile.sum() * 8 / 4_000, np.clip((profile - 0.25) * 2, 0, 1).sum() * 8 / 4_000
print(f"area {area:.4f}, mean {x.mean():.4f}; area of the middle half {middle:.4f}, "
      f"IQM {interquartile_mean(x):.4f}")  # fmt: skip
assert np.allclose([area, middle], [x.mean(), interquartile_mean(x)], atol=2e-3)

# %% [markdown]
# ### Is it chance?
#
# Two agents, $n$ and $m$ runs, two means. Could two *equal* agents lie so far apart by chance? The difference has to be measured in units of its own error. The error of a mean of $n$ runs has the variance $s^2/n$, with $s^2$ divided by $n-1$ because $n$ runs know
# only $n-1$ things about their spread. Variances of independent things add:
#
# $$\begin{aligned}t &= \frac{\bar x-\bar y}{\sqrt{a+b}},\qquad a = \frac{s_x^2}n,\quad b = \frac{s_y^2}m\\
# \nu &= \frac{(a+b)^2}{\dfrac{a^2}{n-1}+\dfrac{b^2}{m-1}}\end{aligned} \tag{20.5}$$
#
# **Student's** test pools both into one $s^2$, which assumes that the two agents have the same spread. DDPG's seeds are not SAC's: **Welch's** test, (20.5), keeps them apart, and pays with a number $\nu$ of degrees of freedom between $\min(n,m)-1$ and $n+m-2$: the nearer to the
# former, the more one of the two errors dominates. The p-value, twice the tail of Student's distribution beyond $|t|$, is `2 * scipy.stats.t.sf(abs(t), nu)`.

# %% [markdown] task="welch_t"
# ### Exercise 20.5 · `welch_t`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Compute $t$ and $\nu$ of (20.5) for `x` (n,) and `y` (m,). Positive means that `x` is ahead.


# %% exercise="welch_t" points=2
def welch_t(x, y):
    """Welch's t and its degrees of freedom (20.5).

    x: (n,); y: (m,); n, m ≥ 2, not both without spread. Returns (t, nu), floats.
    """
    ### BEGIN SOLUTION
    a, b = np.var(x, ddof=1) / len(x), np.var(y, ddof=1) / len(y)
    nu = (a + b) ** 2 / (a**2 / (len(x) - 1) + b**2 / (len(y) - 1))
    return float((np.mean(x) - np.mean(y)) / np.sqrt(a + b)), float(nu)  # (20.5)
    ### END SOLUTION


# %% [markdown] hints="welch_t"
# <details><summary>Which variance does NumPy compute?</summary>
#
# By default the one that is divided by n. Its argument `ddof` says how much less it should be divided by.
# </details>
# <details><summary>What are a and b, in words?</summary>
#
# Not the spread of the runs: the squared error of each *mean*. That is why they are divided by the number of runs once more.
# </details>
# <details><summary>How can I test ν?</summary>
#
# With two agents of the same spread and the same number of runs it is 2(n − 1). With one agent that hardly scatters it is the other's number of runs, minus one.
# </details>

# %% check="welch_t"
welch_t = check("welch_t")

# %% [markdown]
# How often does each test cry wolf? Two agents with *equal means*, so every "significant at 5 %" is an error. Student's and Welch's, 4,000 comparisons: 5 runs each with the same spread; then 20 runs with little spread against 5 with much.

# %%
# about 2 s
x, y = rng.normal(size=20), rng.normal(0.5, 3, size=5)
test = scipy.stats.ttest_ind(x, y, equal_var=False)
assert np.allclose(welch_t(x, y), (test.statistic, test.df))
false = {}
for name, (n, m, wide) in {
    "5 + 5 runs, equal spread": (5, 5, 1.0),
    "20 + 5 runs, spreads 1 and 5": (20, 5, 5.0),
}.items():
    x, y = rng.normal(size=(4_000, n)), rng.normal(0, wide, size=(4_000, m))
    student = scipy.stats.ttest_ind(x, y, axis=1).pvalue < 0.05
    t, nu = np.transpose([welch_t(*pair) for pair in zip(x, y, strict=True)])
    welch = 2 * scipy.stats.t.sf(np.abs(t), nu) < 0.05
    false[name] = {"Student": student.mean(), "Welch": welch.mean()}
    print(f"{name:29}: Student {student.mean():.3f}, Welch {welch.mean():.3f} (promised: 0.05)")
    assert welch.mean() < 0.07

# %% [markdown]
# Student's test errs several times as often as it says, just where agents differ in spread and the wilder one has fewer runs. Welch's keeps its word. How many runs does it take to *see* a difference? A difference as large as the runs' own spread, one σ:

# %%
power = {}
for n in (3, 5, 10, 17, 20):
    x, y = rng.normal(1, 1, size=(4_000, n)), rng.normal(size=(4_000, n))
    p_values = scipy.stats.ttest_ind(x, y, axis=1, equal_var=False).pvalue
    power[n] = (p_values < 0.05).mean()
best_of = {n: np.sort(rng.normal(size=(20_000, n)), axis=1)[:, -5:].mean() for n in (5, 10)}
one = rng.normal(size=(20_000, 5)).max(axis=1).mean()
print("seen with so many runs each:", ", ".join(f"{n}: {s:.2f}" for n, s in power.items()))
print(f"the mean of the best five of ten seeds lies {best_of[10]:.2f} σ too high, "
      f"the best of five {one:.2f} σ")  # fmt: skip
assert abs(best_of[5]) < 0.02 and power[3] < 0.2 < power[10] < power[20]

# %% [markdown]
# With five runs each, three such differences of four go unseen; *not significant* then means next to nothing. And dropping the bad seeds produces a "difference" as large as that from nothing at all.

# %% [markdown]
# ## Break
#
# A good place to stop. **Checkpoint:** five ✓ (20.1 to 20.5): a middle, its interval, a probability, a profile, a test. When you come back, run all cells up to here (a quarter of a minute). Two questions to see whether it stayed: what does an IQM not see? And
# why is a 95 % interval from three seeds no 95 % interval?

# %% [markdown]
# ## The comparison
#
# DDPG, TD3, SAC and PPO, on two tasks of the classic-control set with continuous actions. `make capstone` trained them, seed by seed, and wrote every look into a file; the seeds and what an agent cost are in the next lines.
#
# What was fixed **before** the first of these seeds was run: the settings, which are those of lessons 12, 14, 15 and 19 (so Pendulum's seeds begin at 10: the lessons have shown the ones before); the noise for Mountain Car, chosen on seeds 100 to 102; and each agent's budget on a task before its first run there. Ten seeds each is what the processor time allowed.
# The greedy policy plays 20 episodes at every look, from the same starts for everybody. PPO throws every rollout away after use, so it gets more steps, and does less with each.

# %%
runs = comparison.load()
episodes, starts = comparison.episodes()
for task, agents in runs.items():
    for name, x in agents.items():
        print(f"{task:24} {name:10} {len(x.seeds):2} seeds of {x.steps[-1]:6,} steps, "
              f"{x.cpu.mean():4.1f} s of CPU each")  # fmt: skip
MAIN = ("DDPG", "TD3", "SAC", "PPO")


# %% [markdown]
# One of them runs live: DDPG on Pendulum, with the file's settings and its first seed. It is drawn into the next figure. On another processor numbers are rounded otherwise and after some thousand updates the run is another one, so it need not be equal to the file's; it has to look like one of them.

# %%
# about 4 s
task, how, live = "Pendulum-v1", comparison.settings("Pendulum-v1", "DDPG"), []
seed = int(runs[task]["DDPG"].seeds[0])
agent = ddpg.DDPG.for_env(task, seed=seed, **how["agent"])


def look(agent, step):
    live.append(evaluate(agent, task, episodes, starts).mean())


train_off_policy(agent, task, seed=seed, stop_when=look, stop_every=how["every"], **how["training"])
theirs = runs[task]["DDPG"].returns
apart = np.abs(theirs[0] - live).max()
print(f"ends at {live[-1]:.0f}; the file's runs end between {theirs[:, -1].min():.0f} and "
      f"{theirs[:, -1].max():.0f}\nfrom the file's own run of seed {seed} it is {apart:.1f} away at most")  # fmt: skip


class Uniform:
    """Actions drawn evenly from the box."""

    def __init__(self, bound):
        self.bound = bound

    def act(self, obs, rng, explore=True):
        return rng.uniform(-self.bound, self.bound, size=(len(obs), 1)).astype(np.float32)


by_chance = {
    "Pendulum-v1": evaluate(Uniform(2.0), "Pendulum-v1", 20, starts).mean(),
    "MountainCarContinuous-v0": evaluate(Uniform(1.0), "MountainCarContinuous-v0", 20, starts).mean(),
}  # fmt: skip
for name, returned in by_chance.items():
    print(f"uniform actions, {name}: {returned:.0f}")
assert by_chance[task] < live[-1] <= 0

# %% tags=["hide-input"]
panels = plots.axes(len(runs), 2, size=(11.0, 4.0 * len(runs)), squeeze=False)
for row, (task, agents) in zip(panels, runs.items(), strict=True):
    for ax, names in ((row[0], ("DDPG", "TD3", "SAC")), (row[1], ("PPO",))):
        for name in names:
            x, color = agents[name], plots.PALETTE[plots.METHODS[name]]
            ax.plot(x.steps, x.returns.T, color=color, linewidth=0.7, linestyle="-", alpha=0.4)
            middle = [interquartile_mean(look) for look in x.returns.T]
            ax.plot(x.steps, middle, color=color, label=name, linewidth=2.6)
        ax.set(xlabel="steps", title=task.split("-")[0])
        ax.legend(loc="lower right" if task.startswith("P") else "upper left")
    row[0].set_ylabel("return of the greedy policy")
    row[1].sharey(row[0])
panels[0][0].plot(
    runs["Pendulum-v1"]["DDPG"].steps,
    live,
    color=plots.INK,
    linestyle=":",
    marker="o",
    markersize=4,
    label="DDPG, live",
)
panels[0][0].legend(loc="lower right")
plots.show(panels[0][0], alt="Four panels: returns over steps, a thin line a seed and a thick one for their interquartile mean. Above Pendulum, below Mountain Car; left DDPG, TD3 and SAC, right PPO with its "
           "larger budget. The live run of DDPG lies among the thin lines.")  # fmt: skip

# %% [markdown]
# Read the two rows apart. **On Pendulum** SAC arrives first, with nine of its ten runs; most of DDPG's arrive, too, others hang below; TD3, whose actor moves at every second step only, is still on its way; PPO is not there with ten times the steps. **On Mountain Car** the order is turned round: most
# runs of TD3 find the flag, half of DDPG's do, and SAC and PPO stay at 0 with every seed. A return of 0 is what *doing nothing* earns: pushing costs, and the 100 at the flag are out of reach of noise that is drawn anew at every step. DDPG and TD3 got noise that keeps its direction for a while (lesson 14). So the lower row compares
# two kinds of noise rather than four methods. And a failed run of DDPG is worse than nothing: it pushes for 999 steps, at the wrong time.
#
# Now the numbers, with *your* functions: mean, median and IQM of the runs' last looks, and the IQM's 95 % interval.

# %%
# about 2 s
last = {
    task: {name: x.returns[:, -1:] + 0.0 for name, x in agents.items()}  # no −0.0 in print
    for task, agents in runs.items()
}
report = {}
for task, agents in last.items():
    print(f"{task}: mean, median, IQM with its interval; lowest run")
    for name, x in agents.items():
        low, high = bootstrap_interval(x, np.random.default_rng(0), interquartile_mean, 0.95, 1_000)
        report[task, name] = x.mean(), np.median(x), interquartile_mean(x), low, high
        mean, median, iqm, *_ = report[task, name]
        print(
            f"  {name:10} {mean:7.1f} {median:7.1f} {iqm:7.1f}  [{low:7.1f}, {high:7.1f}]  {x.min():7.1f}"
        )
print("computed by " + authorship("interquartile_mean", "bootstrap_interval"))

# %% tags=["hide-input"]
most = min(len(x) for x in last["Pendulum-v1"].values() if len(x) >= 10)
counts = [n for n in (3, 5, 10, 15, 20) if n <= max(len(x) for x in last["Pendulum-v1"].values())]
spans = {}
for n in counts:
    for task, agents in last.items():
        for name in MAIN:
            x = agents[name][:n]
            spans[n, task, name] = interquartile_mean(x), *bootstrap_interval(
                x, np.random.default_rng(0), interquartile_mean, 0.95, 400)  # fmt: skip


def draw(n):
    panels = plots.axes(1, len(last), size="wide", squeeze=False)[0]
    for ax, (task, agents) in zip(panels, last.items(), strict=True):
        for i, name in enumerate(MAIN):
            iqm, low, high = spans[n, task, name]
            color = plots.PALETTE[plots.METHODS[name]]
            ax.plot(
                [low, high],
                [i, i],
                color=color,
                linewidth=8,
                alpha=0.45,
                linestyle="-",
                solid_capstyle="butt",
            )
            ax.plot(iqm, i, "|", color=color, markersize=22, markeredgewidth=3)
            ax.plot(
                agents[name][:n, 0],
                np.full(min(n, len(agents[name])), i - 0.3),
                ".",
                color=color,
                markersize=6,
            )
        ends = [x for agent in MAIN for x in agents[agent][:, 0]]
        room = 0.05 * (max(ends) - min(ends))
        ax.set(xlabel="return at the end", ylim=(-0.7, 3.5), title=f"{task.split('-')[0]}, {min(n, len(agents['DDPG']))} seeds",
               xlim=(min(ends) - room, max(ends) + room))  # fmt: skip
        ax.set_yticks(range(4), MAIN)
    return panels[0]


plots.slide(draw, counts, name="seeds", start=len(counts) - 1, alt="For each agent a bar from the lower to the upper end of the IQM's 95 % interval with the IQM as a tick and a dot for every run below it. With three seeds "
            "the bars jump about; with all of them they are as wide as the runs' own spread suggests.")  # fmt: skip

# %% [markdown]
# Drag it to three seeds and to five: where the bars stand, and how wide they are, depends on which runs happened to come first. With three runs the IQM cuts nothing, and it is the mean.
#
# Look at DDPG on Mountain Car. Its runs end near 90 or near −100, and mean, median and IQM lie between, where *no* run is. By any of the three it is as good as an agent that does nothing.
#
# So much for single numbers. The profiles:

# %% tags=["hide-input"]
panels = plots.axes(1, len(last), size="wide", sharey=True, squeeze=False)[0]
for ax, (task, agents) in zip(panels, last.items(), strict=True):
    ends = [x for name in MAIN for x in agents[name][:, 0]]
    room = 0.08 * (max(ends) - min(ends))
    grid = np.linspace(min(ends) - room, max(ends) + room, 2_000)
    for name in MAIN:
        ax.plot(
            grid,
            performance_profile(agents[name], grid),
            label=name,
            color=plots.PALETTE[plots.METHODS[name]],
        )
    ax.set(xlabel="threshold τ (return)", title=task.split("-")[0], ylim=(-0.03, 1.05))
panels[0].set_ylabel("share of runs above τ")
panels[0].legend(loc="lower left")
plots.show(panels[0], alt="Performance profiles of the four agents on both tasks: the share of runs above each return. Steep where all runs of an agent end in the same place, "
           "with plateaus where an agent has two kinds of runs.")  # fmt: skip

# %% [markdown]
# And how often does a run of one beat a run of the other? Read it by rows: how often the agent of the row beats that of the column.

# %% tags=["hide-input"]
better = {
    task: np.array([[probability_of_improvement(agents[a], agents[b]) for b in MAIN] for a in MAIN])
    for task, agents in last.items()
}
panels = plots.axes(1, len(better), size=(11.0, 4.6), squeeze=False)[0]
for ax, (task, table) in zip(panels, better.items(), strict=True):
    plots.table(table - 0.5, rows=MAIN, columns=MAIN, ax=ax)
    for text, value in zip(ax.texts, table.ravel(), strict=True):
        text.set_text(
            f"{value:.2f}"
        )  # the colour says more or less than one half, the number how often
    ax.set_title(task.split("-")[0])
plots.show(panels[0], alt="Two tables of four by four: how often a run of the agent in the row beats a run of the agent in the column, on Pendulum and on Mountain Car.")  # fmt: skip

# %% [markdown]
# Six pairs of agents are six chances to find something where there is nothing. Ask each pair at 5 % and one of six finds "a difference" far more often than in 5 % of the cases. The simplest cure is **Bonferroni**'s: six questions, 0.05/6 each; then *any* false alarm has at most 5 %.

# %%
pairs = list(itertools.combinations(MAIN, 2))
tests = {}
for task, agents in last.items():
    print(f"{task}: Welch's test for six pairs, each at 0.05/6 = {0.05 / 6:.4f}")
    for a, b in pairs:
        x, y = agents[a][:, 0], agents[b][:, 0]
        if x.std() == y.std() == 0:
            print(f"  {a:4} − {b:4}: no spread in either, nothing to test")
            continue
        t, nu = welch_t(x, y)
        p_value = 2 * scipy.stats.t.sf(abs(t), nu)
        tests[task, a, b] = x.mean() - y.mean(), p_value
        verdict = "different" if p_value < 0.05 / len(pairs) else "-"
        print(f"  {a:4} − {b:4}: {x.mean() - y.mean():7.1f}, t = {t:6.2f}, ν = {nu:4.1f}, "
              f"p = {p_value:.4f}  {verdict}")  # fmt: skip

# %% [markdown]
# Little is left. On Pendulum one pair of six is told apart; on Mountain Car TD3 from the two that never move. That SAC beats TD3 on Pendulum in 98 pairs of 100, and Welch's test hesitates, is no contradiction: the one asks how often, the other whether the *means* differ, and a single run at −829 widens the error of TD3's.
#
# And TD3, last on Pendulum, is first on Mountain Car. Whoever had shown only one of the two tasks would have had a clear result.

# %% [markdown]
# ## Change one thing: the moment
#
# All of this was asked at the last look. A method that is ahead at the end need not have been ahead halfway. **What to look for:** put other numbers in the place of `at` (0 is the first look, 9 the last). Where do the probabilities cross one half?

# %%
at = [5, 7, 9]
for k in at:
    looks = {name: runs["Pendulum-v1"][name].returns[:, k : k + 1] for name in MAIN}
    steps = runs["Pendulum-v1"]["SAC"].steps[k]
    told = [f"{a} over {b} {probability_of_improvement(looks[a], looks[b]):.2f}"
            for a, b in (("SAC", "DDPG"), ("SAC", "TD3"), ("DDPG", "TD3"))]  # fmt: skip
    print(f"{steps:5} steps: {', '.join(told)}")

# %% [markdown]
# ## The silent bug
#
# A colleague has the same file. "Ten seeds are few," he says, "but each has played twenty episodes at the end: that makes two hundred scores." His intervals for the IQM, and yours:

# %%
# about 2 s
widths = {}
for name in MAIN:
    x = runs["Pendulum-v1"][name]
    his = bootstrap_interval(
        x.final.reshape(-1, 1), np.random.default_rng(0), interquartile_mean, 0.95, 500
    )
    low, high = report["Pendulum-v1", name][3:]
    widths[name] = his[1] - his[0], high - low
    print(f"{name:4} his [{his[0]:7.1f}, {his[1]:7.1f}], yours [{low:7.1f}, {high:7.1f}]")

# %% [markdown]
# Nothing complains, and narrow intervals look good in a report. For SAC, whose seeds hardly differ, the two agree; where seeds differ, his are a fifth to two fifths as wide. **What is wrong? What would happen if somebody did it all again?**
#
# <details><summary>Answer</summary>
#
# His intervals answer another question: what if *these same agents* played other episodes? The episodes of a run share its weights: if it has failed, all twenty are bad together. What is new when somebody does it again is the *seed*, so $n$ is the number of seeds. Twenty episodes a
# run make each score more exact; they do not make more of them. (And a single number from a pooled heap is no IQM *of runs* any more: a failed episode falls out of a good run.)
#
# Look at the *shape* that your interval is made from: its first axis must be the seeds.
# </details>

# %% [markdown]
# ## A test whose errors are known beforehand
#
# Comparing two agents is one thing. Another is to say of *one* agent: **it works**. Say what that means first: a run is **good** if its score reaches a mark $m$ that was set beforehand. An agent then has one number, the probability $p$ that a run of it
# is good. We cannot see $p$; we can make $n$ runs and ask that at least $k$ of them are good. Two things can go wrong:
#
# - a good agent fails by bad luck: a **false fail**;
# - a bad one passes by good luck: a **false pass**. One minus its rate is the test's **power** against that agent.
#
# Count instead of averaging? One run at −1,400 would pull three good ones below every mark, and a lucky one would lift four bad ones over it. A count asks each run for itself.
#
# Let $N$ be the number of good runs among $n$ independent ones. The test is passed with probability
#
# $$\Pr(N\ge k) = \sum_{j=k}^{n}\Pr(N=j) \tag{20.6}$$

# %% [markdown] task="pass_probability"
# ### Exercise 20.6 · `pass_probability`
# **Points** 1 · **Difficulty** ●●○ · **Time** 15 min · ✎ on paper
#
# Find $\Pr(N=j)$, then write (20.6) as a function:
#
# 1. Write S for a good run and F for a failed one. How likely is SSFSF, in just this order?
# 2. In how many orders can three S and two F stand?
# 3. And with $j$ good ones of $n$? Add up from $k$ on.
#
# `needed` may be 0 or less (then everybody passes) or larger than `runs`; `p` may be 0 or 1.


# %% exercise="pass_probability" points=1
def pass_probability(p, runs, needed):
    """The probability that at least `needed` of `runs` runs are good (20.6).

    p: in [0, 1], of each run by itself; runs: int ≥ 1; needed: int. Returns a float.
    """
    ### BEGIN SOLUTION
    import math

    wanted = range(max(needed, 0), runs + 1)
    return float(sum(math.comb(runs, k) * p**k * (1 - p) ** (runs - k) for k in wanted))  # (20.6)
    ### END SOLUTION


# %% [markdown] hints="pass_probability"
# <details><summary>How likely is one particular order?</summary>
#
# The runs know nothing of each other: multiply. Each S brings one factor, each F another one; how many of each are there, whatever the order?
# </details>
# <details><summary>How many orders are there?</summary>
#
# As many as ways to choose the places of the S among all places. Python's `math` knows this number under the name of *combinations*.
# </details>
# <details><summary>Where does the sum begin?</summary>
#
# "At least" includes the number itself. A sum over no terms is 0, which is right if more is needed than there is; and if nothing is needed, begin at zero, not below.
# </details>

# %% check="pass_probability"
pass_probability = check("pass_probability")

# %% [markdown]
# Measured: a hundred thousand tests of five runs, of which three have to be good. And the guess at the top, *the best of five* where one run in five comes to something.

# %%
good = rng.random((100_000, 5)) < 0.9
said, seen = pass_probability(0.9, 5, 3), (good.sum(axis=1) >= 3).mean()
print(f"3 of 5 at p = 0.9: computed {said:.4f}, counted {seen:.4f}")
print(f"at least one of five at p = 0.2: {pass_probability(0.2, 5, 1):.3f}")
assert abs(said - seen) < 4 * np.sqrt(said * (1 - said) / 100_000)

# %% tags=["hide-input"]
chance = np.linspace(0, 1, 101)


def draw(needed):
    ax = plots.axes()
    for n, color in ((5, "blue"), (10, "orange"), (20, "green")):
        k = round(needed * n / 5)
        ax.plot(
            chance,
            [pass_probability(p, n, k) for p in chance],
            label=f"{k} of {n}",
            color=plots.PALETTE[color],
        )
    ax.set(
        xlabel="p, the probability that a run is good",
        ylabel="probability to pass",
        ylim=(-0.03, 1.03),
    )
    ax.legend(title="needed")
    return ax


plots.slide(draw, [1, 2, 3, 4, 5], name="needed, of five", alt="The probability to pass a test against p: S-shaped curves that are steeper the more runs there are. The more is needed, the further to the right they rise; "
            "with one of five even p = 0.2 passes in two of three cases.")  # fmt: skip

# %% [markdown]
# Such a curve *is* the test: on its right end stands the false-fail rate (1 minus the height at a good agent's $p$), on its left the false-pass rate. Drag the slider: asking for more lowers the one and raises the other. **Only more runs improve both.**
#
# So begin with the wish. A good agent, $p_+$, may fail at most with probability $\epsilon_{\text{fail}}$; a bad one, $p_-$, may pass at most with probability $\epsilon_{\text{pass}}$. What is the smallest test?
#
# $$\begin{aligned}n^* = \min\Big\{\,n\ge1\;:\;\text{some } k \text{ has }\;&1-\Pr(N\ge k\mid p_+)\le\epsilon_{\text{fail}}\\
# \text{ and }\;&\Pr(N\ge k\mid p_-)\le\epsilon_{\text{pass}}\,\Big\}\end{aligned} \tag{20.7}$$

# %% [markdown] task="required_runs"
# ### Exercise 20.7 · `required_runs`
# **Points** 2 · **Difficulty** ●●○ · **Time** 15 min
#
# Find (20.7): the fewest runs, and the $k$ that goes with them (for so few runs only one does). Both rates are *allowed* values, reached is not exceeded; give them 1e-12 of slack against rounding. $0\le p_-<p_+\le1$.


# %% exercise="required_runs" points=2
def required_runs(p_good, p_bad, false_fail, false_pass):
    """The smallest test that holds both error rates (20.7).

    p_good > p_bad: probabilities of a good run; false_fail, false_pass: in (0, 1). Returns (runs, needed).
    """
    ### BEGIN SOLUTION
    for runs in itertools.count(1):
        for needed in range(runs + 1):
            fails = 1 - pass_probability(p_good, runs, needed)
            passes = pass_probability(p_bad, runs, needed)
            if fails <= false_fail + 1e-12 and passes <= false_pass + 1e-12:  # (20.7)
                return runs, needed
    ### END SOLUTION


# %% [markdown] hints="required_runs"
# <details><summary>How do I search?</summary>
#
# Upwards: one run, two runs, … and for each number every $k$ that is possible. The first pair that keeps both promises is the answer.
# </details>
# <details><summary>Can I be clever and halve the interval?</summary>
#
# No. That n runs are enough does not say that n + 1 are: $k$ moves in whole steps, so the numbers that work have holes. The cell after the check shows one.
# </details>
# <details><summary>Which probability belongs to which rate?</summary>
#
# Good agents fail by mistake: 1 minus the chance to pass, at the larger p. Bad ones pass by mistake: the chance to pass, at the smaller p.
# </details>

# %% check="required_runs"
required_runs = check("required_runs")

# %%
for p_bad, fail, allowed in (
    (0.2, 0.01, 0.06),
    (0.5, 0.05, 0.05),
    (0.7, 0.05, 0.05),
    (0.8, 0.05, 0.05),
):
    n, k = required_runs(0.9, p_bad, fail, allowed)
    print(f"0.9 from {p_bad}, false fails at most {fail:.0%}, false passes {allowed:.0%}: "
          f"{n:3} runs, {k:3} needed")  # fmt: skip
works = [n for n in range(10, 19) if any(
    pass_probability(0.9, n, k) >= 0.95 and pass_probability(0.5, n, k) <= 0.05 for k in range(n + 1))]  # fmt: skip
print("0.9 from 0.5 at 5 %: of 10 to 18 runs these work:", *works)
assert works == [13, 14, 16, 17, 18] and required_runs(0.9, 0.5, 0.05, 0.05)[0] == 13

# %% [markdown]
# Telling 0.9 from 0.2 is cheap, telling 0.9 from 0.8 is not: with a few seeds *nobody* can. And there is a hole: fifteen runs do not do what fourteen did.
#
# The first line is the test that your own agent will have to pass below: five runs, three needed. All that it can do wrong, by your own function:

# %%
for p in (0.95, 0.9, 0.8):
    print(f"an agent with p = {p:4} is failed by chance in {1 - pass_probability(p, 5, 3):.2%}")
for p in (0.5, 0.3, 0.2):
    passes = pass_probability(p, 5, 3)
    print(f"an agent with p = {p:4} passes in {passes:.1%}: power against it {1 - passes:.1%}")
unlucky, lucky = 1 - pass_probability(0.9, 5, 3), pass_probability(0.2, 5, 3)
print(f"in a class of 300 with p = 0.9 it fails {300 * unlucky:.1f}; one more test on request leaves "
      f"{unlucky**2:.3%},\nand lets p = 0.2 pass in {1 - (1 - lucky) ** 2:.1%}")  # fmt: skip
assert required_runs(0.9, 0.2, 0.01, 0.06) == (5, 3)

# %% [markdown]
# An agent that makes it in half of its runs passes in half of the cases. Nine in ten is what you want, and you can find out before anybody else does: on seeds of your own.

# %% [markdown]
# ### Talk to your neighbour
# Five seeds, three needed. The first three runs were good. Somebody says: stop here, the other two cost an hour. What does stopping do to the test's two error rates?
#
# **A** more good agents fail · **B** more bad agents pass · **C** nothing
#
# <details><summary>What the next cells will show</summary>
#
# **C**: whatever the other two do, three are good. The verdict is the same, so its probabilities are. (To stop *because it looks good so far*, with a verdict that the rest could still change, would be **B**.)
# </details>

# %% [markdown]
# So a judge runs the seeds in order. With $x_i$ the score of run $i$,
#
# $$\text{passed}\iff\#\big\{\,i\le n\;:\;x_i\ge m\,\big\}\ge k \tag{20.8}$$

# %% [markdown] task="judge_runs"
# ### Exercise 20.8 · `judge_runs`
# **Points** 2 · **Difficulty** ●●● · **Time** 20 min
#
# Judge by (20.8), and make no run more than it takes. `run(seed)` trains an agent and returns its score: call it once for each of `seeds`, in their order. A score that is no number (NaN) is not good. Return the verdict, and the scores of *all* runs that were made, good or not.
#
# **For you to decide:** after which run does the verdict stand, the one way and the other?


# %% exercise="judge_runs" points=2
def judge_runs(run, seeds, mark, needed):
    """Whether at least `needed` runs reach the mark (20.8), with no run more than it takes to tell.

    run: seed -> score; seeds: a sequence; mark: float; needed: int. Returns (passed, scores): a bool, and
    float64 (runs that were made,).
    """
    ### BEGIN SOLUTION
    scores, good = [], 0
    for done, seed in enumerate(seeds):
        if good >= needed or good + len(seeds) - done < needed:
            break
        scores.append(float(run(seed)))
        good += scores[-1] >= mark
    return good >= needed, np.array(scores, dtype=np.float64)
    ### END SOLUTION


# %% [markdown] hints="judge_runs"
# <details><summary>When is it passed for good?</summary>
#
# When as many as are needed have been good. Nothing that follows can take one back.
# </details>
# <details><summary>When is it failed for good?</summary>
#
# When even the best that the remaining seeds can do is not enough. How many are left, and how many good ones are missing?
# </details>
# <details><summary>Where do I look: before a run or after it?</summary>
#
# Before each run is one place that covers all cases: also that nothing is needed at all, or more than there are seeds.
# </details>

# %% check="judge_runs"
judge_runs = check("judge_runs")

# %% [markdown]
# Agents that are nothing but their $p$: 2,000 tests each, with and without stopping.

# %%
for p in (0.9, 0.5, 0.2):
    verdicts, made, full = [], [], []
    for _ in range(2_000):
        outcome = (rng.random(5) < p).astype(float)
        passed, scores = judge_runs(lambda seed, x=outcome: x[seed], range(5), 0.5, 3)
        verdicts.append(passed)
        made.append(len(scores))
        full.append(outcome.sum() >= 3)
    print(f"p = {p}: passed {np.mean(verdicts):.3f}, computed {pass_probability(p, 5, 3):.3f}, "
          f"after {np.mean(made):.2f} of 5 runs")  # fmt: skip
    assert verdicts == full


# %% [markdown]
# ## Your own agent
#
# The last function of this course is yours: an agent that you write, or put together from your functions of lessons 05 to 19, and that learns a task of your choice within a budget of steps. It is judged as this lesson judges:
#
# | `TASK` | steps | mark | a hint |
# |---|---|---|---|
# | `"CartPole-v1"` | 50,000 | 400 | a table over bins can do it, if chosen well |
# | `"Acrobot-v1"` | 100,000 | −100 | nothing but −1 until the end is reached |
# | `"Pendulum-v1"` | 10,000 | −200 | lessons 14, 15, 19 |
# | `"MountainCar-v0"` | 100,000 | −160 | lesson 07 |
#
# **The rules** (2 points; there is no chance in them). `make_env()` gives a new environment; all of them together can be stepped `steps` times, and one step more raises `BudgetSpent`. Whatever is drawn follows from `seed`: the same seed gives the same agent, another seed another run. After an end, terminated *or* truncated, comes a reset. The agent has `act(obs, rng, explore=False)`, a row of `obs` an action, and with `explore=False` the action follows from the observation alone. What it knows it has learned: with a budget of one step it must not reach the mark.
#
# **The test** (4 points). A run's score is the mean return of 20 greedy episodes from starts that your agent has never seen. Five seeds, of which three have to reach the mark: `judge_runs`, with the error rates of (20.6). A grader draws other seeds than your notebook, and gives each run 120 seconds of processor time.
#
# Networks, replay and loops of `rlcourse.lab` are yours to use; the finished agents of `rlcourse.values`, `policies` and `continuous` are not.

# %% [markdown] task="train_agent"
# ### Exercise 20.9 · `train_agent`
# **Points** 6 · **Difficulty** ●●● · **Time** an evening
#
# Choose a `TASK`, write `train_agent`, and run the check: it trains your agent three to five times, after three short runs for the rules. That is half a minute for a small agent.
#
# **For you to decide:** everything. Begin with what you trust most; make it work on one seed; then run it on seeds 10 to 14 before you ask the check.

# %%
from torch import nn

from rlcourse.lab.networks import output_of
from rlcourse.lab.on_policy import train_on_policy
from rlcourse.lab.optim import Adam, descend, weights_of
from rlcourse.lab.seeding import torch_seed

# %% exercise="train_agent" points=6
TASK = "CartPole-v1"


def train_agent(make_env, steps, seed):
    """An agent that has learned from at most `steps` transitions, to be judged by (20.8).

    make_env: a function of no arguments that returns a new environment; steps: over all of them together; seed:
    from which all randomness comes. Returns what has `act(obs, rng, explore)`, obs (N, obs_dim) → (N,) int64,
    or (N, act_dim) float32 for a box.
    """
    ### BEGIN SOLUTION
    env = make_env()
    size, n_actions = env.observation_space.shape[0], int(env.action_space.n)
    gamma, lam, clip, epochs, rows, rate = 0.98, 0.8, 0.2, 20, 256, 1e-3

    class Agent:
        obs_dim, n_envs, horizon = size, 8, 32

        def __init__(self):
            self.n_actions = n_actions
            with torch_seed(seed):
                self.policy = mlp([size, 64, 64, n_actions], nn.Tanh)
                self.value = mlp([size, 64, 64, 1], nn.Tanh)
            with torch.no_grad():
                self.policy[-1].weight.mul_(0.01)  # nearly uniform at first
            self.optimizer = Adam(weights_of(self.policy, self.value), rate)
            self.upright = 0  # steps since an episode terminated

        def act(self, obs, rng, explore=True):
            logits = output_of(self.policy, obs)
            noise = rng.gumbel(size=logits.shape) if explore else 0  # softmax draws by argmax
            return (logits + noise).argmax(axis=1)

        def draw(self, obs, rng):
            return self.act(obs, rng)

        def to_env(self, action):
            return action

        def anneal(self, done):
            self.optimizer.param_groups[0]["lr"] = rate * (1 - done)

        def update(self, rollout, rng):
            fell = bool(rollout.terminated.any())
            self.upright = 0 if fell else self.upright + rollout.terminated.numel()
            with torch.no_grad():
                v, next_v = (self.value(x)[..., 0] for x in (rollout.obs, rollout.next_obs))
                delta = rollout.reward + gamma * (1 - rollout.terminated) * next_v - v
                goes_on = 1 - torch.maximum(rollout.terminated, rollout.truncated)
                adv, following = torch.empty_like(delta), torch.zeros(delta.shape[1])
                for t in reversed(range(len(delta))):
                    following = adv[t] = delta[t] + gamma * lam * goes_on[t] * following
                before = self.log_prob(rollout.obs, rollout.action)
            columns = [x.flatten(0, 1) for x in (rollout.obs, rollout.action, before, adv, adv + v)]
            for _ in range(epochs):
                for chosen in torch.from_numpy(rng.permutation(len(columns[0]))).split(rows):
                    obs, action, log_prob_old, a, returns = (x[chosen] for x in columns)
                    a = (a - a.mean()) / (a.std(correction=0) + 1e-8)
                    ratio = (self.log_prob(obs, action) - log_prob_old).exp()
                    gain = torch.minimum(ratio * a, ratio.clamp(1 - clip, 1 + clip) * a)
                    error = (self.value(obs)[:, 0] - returns).square()
                    loss = (0.5 * error - gain).mean()
                    descend(self.optimizer, loss, max_grad_norm=0.5)
            return {"loss": loss.detach()}

        def log_prob(self, obs, action):
            return self.policy(obs).log_softmax(dim=-1).gather(-1, action[..., None])[..., 0]

    agent = Agent()
    # On CartPole only failure terminates: after so many steps without, there is nothing left to learn.
    train_on_policy(agent, make_env, steps, seed, stop_when=lambda me, _: me.upright > 6_000)
    return agent
    ### END SOLUTION


# %% [markdown] hints="train_agent"
# <details><summary>Which method should I take?</summary>
#
# The one that you understand best. A table over a few hundred cells, or tile coding, learns CartPole and Mountain Car, and a mistake in it is found by looking at one number. For Pendulum you need an actor.
# </details>
# <details><summary>It learns, and then forgets. What can I do?</summary>
#
# Let the step size fall to zero as the budget runs out. Act greedily by an average of the last weights, not by the last ones. Bound how far one batch may move the policy.
# </details>
# <details><summary>Two seeds of five fail. Is it bad luck?</summary>
#
# Look at the returns of a seed that failed while it learned: does it never begin, or not keep what it had? Then run ten new seeds: if seven are good, the test passes you in 84 cases of 100, and you know what would have to be better.
# </details>

# %% check="train_agent"
train_agent = check("train_agent")

# %% [markdown]
# Three good runs of three: how good is the agent at least? The smallest $p$ that still gives so many good runs in one of twenty cases (Clopper & Pearson 1934):

# %%
for runs in (3, 5, 10, 29):
    low = scipy.stats.beta.ppf(0.05, runs, 1)
    print(f"{runs:2d} of {runs:2d} good: p is at least {low:.3f}; 3 in 5 fails such an agent in "
          f"{1 - pass_probability(low, 5, 3):.1%} at most")  # fmt: skip

# %% [markdown]
# Another environment? Any that is installed, with finite actions or a box, can be judged here, against a mark that you set or half way between chance and the course's own PPO or SAC at the same budget:
#
# `TASK = Task("MountainCarContinuous-v0", steps=20_000, mark=80.0)` or `TASK = halfway_task("LunarLander-v3", 50_000)`, from `rlcourse.lab.budget` and `rlcourse.continuous.halfway`. For Box2D and MuJoCo: `pip install 'rlcourse[box2d]'`, `'rlcourse[mujoco]'`. Graded are only the four of the table.
#
# What is *not* guarded: who writes down what was learned elsewhere, and pretends to learn, has learned nothing. The test can be passed so; the course cannot.

# %% [markdown]
# ## What may *not* be concluded
#
# - **Not that one method is better.** These settings, this budget, these two tasks: the second task has already turned the order round. TD3 at 5,000 steps of Pendulum is on its way, not at its end; nor is PPO at 51,200.
# - **Not that a bad place is a bad method.** What was tuned here is a lesson's time; nobody tuned for TD3, which moves its actor half as often, or PPO.
# - **Not that "no difference" means equal.** A dash in the tests says that ten or twenty runs did not show one. The interval says how large it may still be.
# - **Not that a significant difference matters.** Five points of return are nothing where uniform actions lie a thousand below. Report how large, then how sure.
# - **Not what the next task will do.** Two tasks are two. An interval is over seeds; no interval here is over tasks.

# %% [markdown]
# ## Talk to your neighbour
#
# **1.** You tuned your agent on seeds 0 to 4 and report seeds 0 to 4. By how much is that too good, and how would you find out?
#
# <details><summary>Answer</summary>
#
# Nobody can say beforehand: it depends on how many settings you tried. Each trial is one more draw of which you kept the best, as with the best of five seeds above. Run the final settings on new seeds: the difference is what it was.
# </details>
#
# **2.** An agent fails the test of five seeds. Should its author be allowed to try again, and again?
#
# <details><summary>Answer</summary>
#
# Once is a rule that can be computed: a good agent is then failed in 0.007 % of the cases, and one with $p=0.2$ passes in 11 % of them. As often as you like, everybody with $p>0$ passes in the end. The number of tries belongs to the test.
# </details>

# %% [markdown]
# ## Summary
#
# - All methods of this course are one Bellman equation with something in the place of its expectations and its max; whenever a max or an actor meets an estimate, the target is too high, and every trick against it is a second opinion that does not share the error.
# - A run is a seed. Its episodes are averaged first, and $n$ is the number of seeds, whatever else there are many of.
# - An IQM (20.1) is quieter than a mean and does not see a quarter of failures; show the profile (20.4) beside it, and an interval (20.2), which from few seeds is too narrow.
# - "Better" is three things: how often (20.3), by how much, and how surely (20.5). Six questions at 5 % are not one question at 5 %, and the best of five seeds is no result.
# - A test of "it works" says beforehand what a good run is, how many runs, and how many are needed; then both error rates are numbers (20.6), the smallest test can be computed (20.7), and stopping when the verdict stands (20.8) changes nothing.

# %% [markdown]
# ## Where this went
#
# What is handed on is a statistic $T$ of a table of scores with a bootstrap interval over runs, and "$k$ of $n$ runs over a mark" with both error rates known. What later work changes in it:
#
# - **Expected validation performance** (Dodge et al. 2019): the score becomes a curve, $\mathbb E[\max\text{ of } n \text{ tuning trials}]$ against $n$, computed from the trials that were run. Effort in tuning is reported, not hidden.
# - **Reliability metrics** (Chan et al. 2020): $T$ gets company. Beside the middle stand the dispersion and the tail of returns, within a run and across runs.
# - **Evaluating whole algorithms** (Jordan et al. 2020): hyperparameters are *drawn*, so that choosing them is part of what a run measures; tasks are weighed by a game between agents and tasks.
# - **Tuning seeds and test seeds** (Eimer et al. 2023): what was chosen on one set of seeds is judged on another, as a model is on a test set.
# - **AdaStop** (Mathieu et al. 2024): $n$ is no longer fixed. Runs are added in groups until a group-sequential test decides, with the error of all pairs together held.

# %% [markdown]
# ## For readers of the sources
#
# <details><summary>Where the originals differ from this lesson</summary>
#
# - *rliable*, the library of Agarwal et al.: all four of its definitions are those of this lesson. Its profile of *runs* has a sister that thresholds the means over tasks; that one hides failed runs, and is another function here.
# - The tasks of Agarwal et al. are normalised by a human's and a random player's score, so that games can be pooled. Pendulum and Mountain Car are not pooled here: their returns have no common unit, and the choice of one would be a result.
# - Student's test assumes equal spreads. Colas et al. recommend Welch's for the same reason as we do, and warn as we do that with few seeds no test keeps its word when returns have two humps.
# </details>

# %% [markdown]
# ## What we hand on
#
# To nobody: this is the last lesson. To you, two habits. A statistic $T$ of a table of scores, with its uncertainty over *runs*, and a claim with its two error rates:
#
# $$T(x)\ \in\ \big[\,q_{(1-\ell)/2}\{T(x^*)\},\ q_{(1+\ell)/2}\{T(x^*)\}\,\big],\qquad \#\{i : x_i\ge m\}\ge k$$
#
# and the equation that all of it was for. Twenty lessons ago it was a sum of rewards:
#
# $$Q^\pi(s,a) = r(s,a) + \gamma\,\mathbb E_{s'\sim p(\cdot|s,a)}\Big[\mathbb E_{a'\sim\pi(\cdot|s')}\big[Q^\pi(s',a')\big]\Big]$$
