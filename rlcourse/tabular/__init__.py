"""Part I: methods that keep a table. NumPy only."""
