"""Finds declarations by name: which lessons there are, and which exercise is in which.

A lesson's declarations (`rlcourse/exercises/lesson_NN.py`) are imported when one of its exercises is
asked for, and no other lesson's: Part I never waits for torch.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .declaration import Exercise, Lesson

_ROOM = "rlcourse.exercises"
_MODULE = "lesson_"
_DECLARED = re.compile(r"\bExercise\(\s*[\"'](\w+)[\"']")
_PARTS = re.compile(r"\bparts=\[([^\]]*)\]")


class Unknown(KeyError):
    """No exercise or lesson of this name; the message says which there are."""

    def __str__(self) -> str:
        return str(self.args[0])


@cache
def lessons() -> tuple[str, ...]:
    """The lessons that have exercises, in order: ("00", "01", …)."""
    stems = (entry.name.removesuffix(".py") for entry in files(_ROOM).iterdir())
    return tuple(sorted(stem.removeprefix(_MODULE) for stem in stems if stem.startswith(_MODULE)))


def lesson(number: str) -> Lesson:
    """The declarations of one lesson. Raises Unknown."""
    if number not in lessons():
        raise Unknown(f"There is no lesson {number!r}; there are {', '.join(lessons())}.")
    return import_module(f"{_ROOM}.{_MODULE}{number}").LESSON


@cache
def declared(number: str) -> tuple[str, ...]:
    """The names that a lesson's file gives its exercises, in order, read without importing it."""
    # By pattern: to parse the files of ten lessons takes a third of a second of every first check.
    return tuple(_DECLARED.findall(_text(number)))


def parts(number: str) -> tuple[str, ...]:
    """The functions that a lesson's exercises list as `parts=["…"]`, read in the same way."""
    return tuple(re.findall(r"\w+", " ".join(_PARTS.findall(_text(number)))))


def _text(number: str) -> str:
    return (files(_ROOM) / f"{_MODULE}{number}.py").read_text(encoding="utf-8")


def names(number: str | None = None) -> tuple[str, ...]:
    """Names of the exercises of one lesson, or of all; no declaration is imported for it."""
    if number is not None and number not in lessons():
        lesson(number)  # says which there are
    chosen = lessons() if number is None else (number,)
    return tuple(name for key in chosen for name in declared(key))


def get(name: str) -> Exercise:
    """The exercise of this name. Raises Unknown, suggesting names that are close."""
    for key in lessons():
        if name in declared(key):
            return next(exercise for exercise in lesson(key) if exercise.name == name)
    from difflib import get_close_matches

    close = get_close_matches(name, names(), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise Unknown(f"There is no exercise {name!r}.{hint}")
