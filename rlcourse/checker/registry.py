"""Finds declarations by name: which lessons there are, and which exercise is in which.

A lesson's declarations (`rlcourse/exercises/lesson_NN.py`) are imported when one of its exercises is
asked for, and no other lesson's: Part I never waits for torch.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .declaration import Exercise, Lesson

_ROOM = "rlcourse.exercises"
_MODULE = "lesson_"
_DECLARED = re.compile(r"\bExercise\(\s*[\"'](\w+)[\"']")
_PARTS = re.compile(r"\bparts=\[([^\]]*)\]")


# Exercises from files of an instructor's own: file -> its lesson, and they.
_own: dict[Path, tuple[str, tuple[Exercise, ...]]] = {}


class Unusable(ValueError):
    """A file of one's own exercises cannot be used; the message says why."""


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
    """The declarations of one lesson, an instructor's own behind the course's. Raises Unknown."""
    if number not in lessons():
        raise Unknown(f"There is no lesson {number!r}; there are {', '.join(lessons())}.")
    course = import_module(f"{_ROOM}.{_MODULE}{number}").LESSON
    own = own_exercises(number)
    return replace(course, exercises=[*course.exercises, *own]) if own else course


def declared(number: str) -> tuple[str, ...]:
    """The names of a lesson's exercises, in order; the course's are read without importing its file."""
    return (*_in_file(number), *(exercise.name for exercise in own_exercises(number)))


@cache
def _in_file(number: str) -> tuple[str, ...]:
    # By pattern: to parse the files of ten lessons takes a third of a second of every first check.
    return tuple(_DECLARED.findall(_text(number)))


def parts(number: str) -> tuple[str, ...]:
    """The functions that a lesson's exercises list as `parts=["…"]`, read in the same way."""
    own = (part for exercise in own_exercises(number) for part in exercise.parts)
    return (*re.findall(r"\w+", " ".join(_PARTS.findall(_text(number)))), *own)


def own_exercises(number: str) -> tuple[Exercise, ...]:
    """The exercises of a lesson that came from files given to `add`."""
    return tuple(e for lesson, exercises in _own.values() if lesson == number for e in exercises)


def add(path: Path | str) -> tuple[Exercise, ...]:
    """Add the exercises of a file of one's own to a lesson; a file that was added already counts once.

    The file names the lesson, `LESSON = "05"`, and lists `EXERCISES = [Exercise(…), …]`.
    Raises:
        Unusable: it cannot be read or run, or has not these two, or a name that another exercise has.
    """
    path = Path(path).resolve()
    if path in _own:
        return _own[path][1]
    spec = importlib.util.spec_from_file_location(f"own_exercises_{len(_own)}", path)
    if spec is None or not path.is_file():
        raise Unusable(f"There is no file {path}: give a file of exercises, as ours.py.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # Somebody's own code can raise anything.
        raise Unusable(f"{path} cannot be run: {type(error).__name__}: {error}.") from error
    number, exercises = getattr(module, "LESSON", None), getattr(module, "EXERCISES", None)
    if number not in lessons():
        raise Unusable(f'{path} does not say which lesson it adds to: write LESSON = "05" into it.')
    from .declaration import Exercise

    if not isinstance(exercises, list | tuple) or not exercises:
        raise Unusable(f"{path} lists no exercises: write EXERCISES = [Exercise(…)] into it.")
    for exercise in exercises:
        if not isinstance(exercise, Exercise):
            raise Unusable(f"{path}: in EXERCISES stands {exercise!r}, which is no Exercise.")
    own = [exercise.name for exercise in exercises]
    taken = next((name for name in own if name in names() or own.count(name) > 1), None)
    if taken is not None:
        raise Unusable(
            f"{path}: another exercise is called {taken!r} already: choose another name."
        )
    _own[path] = number, tuple(exercises)
    lesson(number)  # numbers them
    return _own[path][1]


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
