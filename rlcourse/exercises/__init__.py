"""The checker: `check(f)` says what is wrong with an answer, by name where the mistake is known.

One module a lesson (`lesson_05`) declares what is asked and how it goes wrong; modules are imported
when one of their exercises is looked up, so Part I never waits for torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .declaration import Exercise, Lesson

__all__ = [
    "Unknown",
    "authorship",
    "check",
    "get",
    "judge",
    "lesson",
    "lessons",
    "names",
    "released_output",
]

_MODULE = "lesson_"


class Unknown(KeyError):
    """No exercise or lesson of this name; the message says which there are."""

    def __str__(self) -> str:
        return str(self.args[0])


def lessons() -> tuple[str, ...]:
    """The lessons that have exercises, in order: ("00", "01", …)."""
    stems = (entry.name.removesuffix(".py") for entry in files(__name__).iterdir())
    return tuple(sorted(stem.removeprefix(_MODULE) for stem in stems if stem.startswith(_MODULE)))


def lesson(number: str) -> Lesson:
    """The declarations of one lesson. Raises Unknown."""
    if number not in lessons():
        raise Unknown(f"There is no lesson {number!r}; there are {', '.join(lessons())}.")
    return import_module(f".{_MODULE}{number}", __name__).LESSON


def names(number: str | None = None) -> tuple[str, ...]:
    """Names of the exercises of one lesson, or of all."""
    chosen = lessons() if number is None else (number,)
    return tuple(exercise.name for key in chosen for exercise in lesson(key))


def get(name: str) -> Exercise:
    """The exercise of this name. Raises Unknown, suggesting names that are close."""
    for key in lessons():
        for exercise in lesson(key):
            if exercise.name == name:
                return exercise
    from difflib import get_close_matches

    close = get_close_matches(name, names(), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise Unknown(f"There is no exercise {name!r}.{hint}")


def __getattr__(attribute: str):
    # Looked up on first use: `import rlcourse.exercises` alone stays instant.
    if attribute in ("check", "authorship", "released_output"):
        return getattr(import_module(".checking", __name__), attribute)
    if attribute == "judge":
        return import_module(".judging", __name__).judge
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
