# %% [markdown]
# # 05 · A bad lesson

# %%
from rlcourse.checker import check

# %% [markdown] task="q_learning_target"
# ### Exercise 5.4 · `q_learning_target`
# **Points** 2 · **Difficulty** ●●○ · **Time** 10 min

# %% exercise="q_learning_target" points=2
def q_learning_target(reward, q_next, terminated, gamma):
    """Target of Q-learning, shape (B,) (5.4)."""
    ### BEGIN SOLUTION
    best = q_next.max(axis=1)
    return reward + gamma * (1 - terminated) * best
    ### END SOLUTION

# %% [markdown] hints="q_learning_target"
# <details><summary>In words?</summary>Reward now, and what the next state is worth.</details>
# <details><summary>At the end?</summary>A terminal state is worth nothing.</details>
# <details><summary>Which axis?</summary>One row a transition.</details>

# %% check="q_learning_target"
q_learning_target = check("q_learning_target")

# %% exercise="q_learning_target" points=2
def q_learning_target(reward, q_next, terminated, gamma):
    """Target of Q-learning, shape (B,) (5.4)."""
    ### BEGIN SOLUTION
    best = q_next.max(axis=1)
    return reward + gamma * (1 - terminated) * best
    ### END SOLUTION
