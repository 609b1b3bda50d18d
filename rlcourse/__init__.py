"""Reinforcement learning in one unbroken line, from the Bellman equation to Soft Actor-Critic.

Importing this package imports nothing heavy: rooms are imported where they are used, and torch
not before lesson 08.
"""

__version__ = "1.0.0"
