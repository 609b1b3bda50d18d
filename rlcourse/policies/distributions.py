"""What the output of a policy network means: logits of a softmax, or mean and log σ of a Gaussian.

A policy is any callable on observations `(..., obs_dim)`. For a finite set of actions it returns
logits `(..., A)`; for a box it returns `(mean, log_std)`, each `(..., act_dim)`. Everything
below follows from which of the two it is, so each agent is written once.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)

PolicyOutput = Tensor | tuple[Tensor, Tensor]


def log_prob_and_entropy(output: PolicyOutput, action: Tensor) -> tuple[Tensor, Tensor]:
    r"""$\log\pi(a|s)$ and $\mathcal H(\pi(\cdot|s))$, each (...), in nats.

    Softmax: $\log\pi(a) = h_a - \log\sum_b e^{h_b}$, $\mathcal H = -\sum_b \pi(b)\log\pi(b)$;
    action (...) int64. Gaussian: the sums over dimensions of
    $-\frac{(a-\mu)^2}{2\sigma^2} - \log\sigma - \frac12\log 2\pi$ and of
    $\log\sigma + \frac12(1 + \log 2\pi)$; action (..., act_dim).
    """
    if isinstance(output, tuple):
        mean, log_std = output
        entropy = (log_std + 0.5 + HALF_LOG_2PI).expand_as(mean).sum(-1)
        return log_prob_of(output, action), entropy
    log_pi = torch.log_softmax(output, dim=-1)
    # xlogy-free: a logit of −inf would make 0·(−inf); networks give finite logits.
    return _taken(log_pi, action), -(log_pi.exp() * log_pi).sum(-1)


def log_prob_of(output: PolicyOutput, action: Tensor) -> Tensor:
    """The first half of `log_prob_and_entropy`, where the second is not needed."""
    if isinstance(output, tuple):
        mean, log_std = output
        z = (action - mean) * torch.exp(-log_std)
        return (-0.5 * z * z - log_std - HALF_LOG_2PI).sum(-1)
    return _taken(torch.log_softmax(output, dim=-1), action)


def _taken(log_pi: Tensor, action: Tensor) -> Tensor:
    """log π(a|s) of the actions taken: (..., A), (...) → (...)."""
    return log_pi.gather(-1, action.unsqueeze(-1)).squeeze(-1)


def sample_action(output, rng: np.random.Generator) -> np.ndarray:
    r"""One action a row: $\arg\max_a (h_a + G_a)$ with Gumbel noise G, or $\mu + \sigma\xi$.

    The Gumbel-max trick draws exactly from the softmax (Maddison et al. 2014) without ever
    normalising it. output: a policy's, as arrays. Returns (...) int64, or (..., act_dim) float32.
    """
    if isinstance(output, tuple):
        mean, log_std = output
        return mean + np.exp(log_std) * rng.standard_normal(mean.shape, dtype=np.float32)
    return (output + rng.gumbel(size=output.shape)).argmax(axis=-1)


def greedy_action(output) -> np.ndarray:
    """The most likely action a row: the largest logit, or the mean. output: as arrays."""
    return output[0] if isinstance(output, tuple) else output.argmax(axis=-1)
