"""Part II: approximate values: linear methods, fitted Q, deep Q-networks."""
