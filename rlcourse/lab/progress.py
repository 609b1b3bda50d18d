"""A progress bar where somebody is looking, and nothing where nobody is."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")

_seed: list[str] = []  # what `seeds` is at, in words


def seeds(runs: Sequence[T]) -> Iterator[T]:
    """Go through the runs of an experiment; meanwhile every bar begins with "seed 2 of 5"."""
    for i, run in enumerate(runs, 1):
        _seed.append(f"seed {i} of {len(runs)}")
        try:
            yield run
        finally:
            _seed.pop()


def progress(iterable: Iterable[T], description: str, **postfix: Any) -> Iterator[T]:
    """Go through `iterable` with a bar that is gone when it is finished.

    Each `postfix` is a number or text shown behind the bar, or a function of no arguments that is
    asked for it as the bar moves: `progress(range(n), "Q-learning", episode_return=lambda: total)`.
    What is not known yet (a NaN) is not shown.
    In a notebook and in a terminal the bar is drawn as text, which needs no widgets; where the
    output goes to a file, or a lesson is run by a program, nothing is written.
    """
    description = " · ".join([*_seed, description])
    with tqdm(
        iterable, desc=description, leave=False, file=sys.stdout, disable=_nobody_looks()
    ) as bar:
        for item in bar:
            yield item
            if postfix and not bar.disable:
                current = {k: v() if callable(v) else v for k, v in postfix.items()}
                known = {k: _told(v) for k, v in current.items() if v == v}  # a NaN is not itself
                bar.set_postfix(known, refresh=False)


def _nobody_looks() -> bool:
    return not (sys.stdout.isatty() or _notebook_with_a_reader())


def _told(value: Any) -> Any:
    return f"{value:.1f}" if isinstance(value, float) and math.isfinite(value) else value


def _notebook_with_a_reader() -> bool:
    """Whether a person's front end is attached: programs that run notebooks take no input."""
    ipython = sys.modules.get("IPython")
    kernel = getattr(ipython and ipython.get_ipython(), "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False))


class counter:
    """Context manager: a bar that is moved by hand, `bar.move("run 2 of 5", 250, 50_000)`.

    Gone at the end, and silent where `progress` is.
    """

    def __init__(self, description: str) -> None:
        self.description = description

    def __enter__(self) -> counter:
        self._bar = tqdm(
            total=1, desc=self.description, leave=False, file=sys.stdout, disable=_nobody_looks()
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def move(self, name: str, done: int, of: int) -> None:
        """`done` of `of` in the part called `name`."""
        if self._bar.disable:
            return
        self._bar.total, self._bar.n = of, done
        self._bar.set_description(f"{self.description} · {name}", refresh=False)
        self._bar.refresh()
