"""The checker: `check` says what is wrong with an answer, by name where the mistake is known.

From a declaration (`declaration`) it makes inputs (`probes`, `networks`), calls the answer on them
(`harness`), compares plain data (`plain`, `comparing`), judges (`judging`) and tells (`checking`).
"""

from __future__ import annotations

from importlib import import_module

from .registry import Unknown, Unusable, add, get, lesson, lessons, names, own_exercises

__all__ = [
    "Unknown",
    "Unusable",
    "add",
    "authorship",
    "check",
    "expected_output",
    "get",
    "judge",
    "lesson",
    "lessons",
    "names",
    "own_exercises",
    "released_output",
    "whose",
]


def __getattr__(attribute: str):
    # Looked up on first use: `import rlcourse.checker` alone stays instant.
    if attribute in ("check", "authorship", "whose", "released_output", "expected_output"):
        return getattr(import_module(".checking", __name__), attribute)
    if attribute == "judge":
        return import_module(".judging", __name__).judge
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
