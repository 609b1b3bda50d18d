"""Answers written by the contract alone, for `test_unlisted.py`: one module a lesson."""


def also_named(named, wrong, listed):
    """Put wrong answers that have a name by now into `named` as well; listed: exercise -> key -> name."""
    for exercise, names in listed.items():
        known = {f"{name}/{key}": wrong[exercise][key] for key, name in names.items()}
        named[exercise] = named.get(exercise, {}) | known
