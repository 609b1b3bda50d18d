"""What declarations of several lessons with networks share: targets with their parts exchangeable."""

from __future__ import annotations

MASK_INVERTED = (
    "The mask is the wrong way round: you bootstrap exactly where the episode ended, and nowhere else. d is 1 at "
    "the end, so what follows counts 1 − d.",
    "What is your target for a row with `terminated` = 0? Does it look ahead?",
)
REWARD_MASKED = (
    "You switch off the reward of terminal transitions as well. The reward of the step into a terminal state was "
    "really paid.",
    "What does (1 − d) multiply in the equation, and what in your code?",
)
REWARD_DISCOUNTED = (
    "γ multiplies the reward too. The reward comes with this very step: only what follows in s′ lies one step ahead.",
    "How far does the bracket reach that γ stands before?",
)


def td_target(reward, value, terminated, gamma, mask="next", discount="next"):
    """r + γ (1 − d) value; mask and discount: what (1 − d) and γ multiply: "next", "all" or "nothing".

    mask "inverted" has d for 1 − d.
    """
    alive = {"nothing": 1.0, "inverted": terminated}.get(mask, 1 - terminated)
    paid = alive * reward if mask == "all" else reward
    if discount == "all":
        return gamma * (paid + alive * value)
    return paid + (1.0 if discount == "nothing" else gamma) * alive * value
