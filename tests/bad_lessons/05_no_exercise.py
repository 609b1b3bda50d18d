# %% [markdown]
# # 05 · A bad lesson

# %%
from rlcourse.exercises import check

