"""The seeds that a check is tried with: the first in every run, the others in `make test-all`."""

import pytest

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in (1, 2))]
