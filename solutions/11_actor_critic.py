# %% [markdown]
# ## What we hand on
#
# The gradient of this lesson, with $B$ steps of this very policy, each used once:
#
# $$\nabla J(\theta) \approx \frac1B\sum_t\hat A^{\text{GAE}(\gamma,\lambda)}_t\,\nabla\log\pi_\theta(a_t|s_t)$$
#
# It is minus the gradient of a loss, in which the advantages are data:
#
# $$L(\theta) = -\frac1B\sum_t\log\pi_\theta(a_t|s_t)\,\hat A^{\text{GAE}(\gamma,\lambda)}_t$$
#
# What is still too expensive? Every step in the world is used for *one* step of θ, and then thrown away: after it the
# data are those of another policy. Lesson 12 asks how often the same $\hat A_t$ may be used again, and how far
# $\pi_\theta$ may go from $\pi_{\text{old}}$, the policy that collected them.
