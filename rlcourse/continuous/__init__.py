"""Part IV: continuous control and maximum entropy."""
