"""Answers written by the contract alone, for `test_unlisted.py`: one module a lesson."""
