# %% [markdown]
# # 05 · A bad lesson

# %%
from rlcourse.checker import check

