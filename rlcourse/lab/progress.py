"""A progress bar where somebody is looking, and nothing where nobody is."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(iterable: Iterable[T], description: str, **postfix: Any) -> Iterator[T]:
    """Go through `iterable` with a bar that is gone when it is finished.

    Each `postfix` is a number or text shown behind the bar, or a function of no arguments that is
    asked for it as the bar moves: `progress(range(n), "Q-learning", episode_return=lambda: total)`.
    In a notebook and in a terminal the bar is drawn as text, which needs no widgets; where the
    output goes to a file, or a lesson is run by a program, nothing is written.
    """
    quiet = not (sys.stdout.isatty() or _notebook_with_a_reader())
    with tqdm(iterable, desc=description, leave=False, file=sys.stdout, disable=quiet) as bar:
        for item in bar:
            yield item
            if postfix and not bar.disable:
                current = {k: v() if callable(v) else v for k, v in postfix.items()}
                bar.set_postfix(current, refresh=False)


def _notebook_with_a_reader() -> bool:
    """Whether a person's front end is attached: programs that run notebooks take no input."""
    ipython = sys.modules.get("IPython")
    kernel = getattr(ipython and ipython.get_ipython(), "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False))
