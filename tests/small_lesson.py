"""A small lesson and its declarations, for the tests of the builder, the checks and the commands."""

from __future__ import annotations

from types import SimpleNamespace

# What every lesson has besides its exercises.
FORM = """\
# %% [markdown]
# ### Talk to your neighbour
# Is the error of its equation zero in the end? **A** yes · **B** no

# %% tags=["hide-input"]
plots.slide(draw, [1, 2], name="k", alt="The error halves.")

# %% [markdown]
# ## Talk to your neighbour
# Why?

# %% [markdown]
# ## Summary
# - one
# - two
# - three
# - four
# - five

# %% [markdown]
# ## Where this went
# - one later method
# - two more
# - three more

# %% [markdown]
# ## For readers of the sources
# <details><summary>Two slips</summary>None was looked at.</details>

# %% [markdown]
# ## What we hand on
# $$y$$

"""

LESSON = '''\
# %% [markdown]
# # 05 · A small lesson
# Prerequisites: none.

# %%
from rlcourse.checker import check
from rlcourse.lab import plots

def draw(k):
    return plots.curves({"error": [0.5**k]}, xlabel="k", ylabel="error")

# %% [markdown]
# ## Targets
# $$y = r + \\gamma (1 - d) \\max_a q(s', a) \\tag{5.1}$$

# %% [markdown] task="q_learning_target"
# ### Exercise 5.4 · `q_learning_target`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min
#
# Bootstrap from the best next action.

# %% exercise="q_learning_target" points=2
def q_learning_target(reward, q_next, terminated, gamma):
    """Target of Q-learning, shape (B,) (5.4)."""
    ### BEGIN SOLUTION
    best = q_next.max(axis=1)
    return reward + gamma * (1 - terminated) * best  # (5.4)
    ### END SOLUTION

# %% [markdown] hints="q_learning_target"
# <details><summary>In words?</summary>Reward now, and what the next state is worth.</details>
# <details><summary>At the end?</summary>A terminal state is worth nothing.</details>
# <details><summary>Which axis?</summary>One row a transition.</details>

# %% check="q_learning_target"
q_learning_target = check("q_learning_target")

# %% [markdown] task="td_error"
# ### Exercise 5.5 · `td_error`
# **Points** 1 · **Difficulty** ●○○ · **Time** 5 min · ✎ on paper

# %% exercise="td_error" points=1
def td_error(target, value):
    """How far the value is from its target."""
    ### BEGIN SOLUTION
    return target - value
    ### END SOLUTION

# %% [markdown] hints="td_error"
# <details><summary>1</summary>a</details>
# <details><summary>2</summary>b</details>
# <details><summary>3</summary>c</details>

# %% check="td_error"
td_error = check("td_error")

'''

LESSON += (
    FORM
    + """\
# %% slide="fragment" tags=["hide-input"]
learned = [1.0 - 0.5**k for k in range(5)]
print(f"{learned[-1]:.3f}")
"""
)


def _exercise(name, number, points):
    lesson, title = f"{int(float(number)):02d}", f"Exercise {number}: {name}"
    return SimpleNamespace(name=name, lesson=lesson, number=number, title=title, points=points)


class SmallCourse:
    """What `rlcourse.checker` offers the builder, for the small lesson and one exercise of another."""

    exercises = (
        _exercise("discounted_return", "0.1", 1),
        _exercise("q_learning_target", "5.4", 2),
        _exercise("td_error", "5.5", 1),
    )

    def lessons(self):
        return ("00", "05")

    def names(self, lesson=None):
        return tuple(e.name for e in self.exercises if lesson in (None, e.lesson))

    def get(self, name):
        return next(e for e in self.exercises if e.name == name)

    def released_output(self, name):
        return {"text/plain": f"○ {name}", "text/html": f"<b>○ {name}</b>"}
