"""What every experiment shares: seeds, plots, replay, networks, training loops, evaluation."""
