"""The API reference: a page for each module of the reference implementations, from its docstrings.

The course's docstrings are plain text with `code` and $formulas$. Sphinx reads reStructuredText, in which
both mean something else, so every docstring is put into it first.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

PACKAGES = ("tabular", "values", "policies", "continuous", "lab")
_TOKENS = re.compile(r"(``[^`]+``|`[^`]+`|\$[^$]+\$)", re.DOTALL)
_SPECIAL = re.compile(r"([\\*_|`])")
_BULLET = re.compile(r"- |\d+\. ")


def pages() -> dict[str, str]:
    """The pages of the reference, as {name without suffix: reStructuredText}; imports the packages."""
    made = {"reference/index": _contents("Reference", INTRODUCTION, PACKAGES)}
    for package in PACKAGES:
        whole = importlib.import_module(f"rlcourse.{package}")
        modules = [m.name for m in pkgutil.iter_modules(whole.__path__)]
        table = "\n".join(
            f"* :doc:`{name}`: {_first_line(importlib.import_module(f'rlcourse.{package}.{name}'))}"
            for name in modules
        )
        words = "\n".join(rst(inspect.getdoc(whole) or ""))
        made[f"reference/{package}/index"] = _contents(
            f"rlcourse.{package}", f"{words}\n\n{table}", [f"{name}" for name in modules], ""
        )
        for name in modules:
            module = f"rlcourse.{package}.{name}"
            # What a module passes on of another is told where it is.
            made[f"reference/{package}/{name}"] = (
                f"{_title(module)}\n\n.. automodule:: {module}\n   :members:\n"
                "   :member-order: bysource\n   :show-inheritance:\n   :ignore-module-all:\n"
            )
    return made


INTRODUCTION = """The reference implementations, one file a method, written to be read: *source* beside a name
leads to its code. A formula stands with the function that computes it, with the shapes of its arguments and
the equation's number in its source."""


def _contents(
    title: str, words: str, entries: tuple[str, ...] | list[str], index: str = "/index"
) -> str:
    listed = "\n".join(f"   {entry}{index}" for entry in entries)
    return f"{_title(title)}\n\n{words}\n\n.. toctree::\n   :hidden:\n\n{listed}\n"


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}"


def _first_line(thing: object) -> str:
    words = (inspect.getdoc(thing) or "").split("\n\n")[0]
    return " ".join(line.strip() for line in rst(words))


def rst(docstring: str) -> list[str]:
    """A docstring as lines of reStructuredText: its formulas set, its code as code, nothing else marked.

    Paragraphs, lists ("- ", "1. ") and indented blocks, which are shown letter by letter, are kept.
    """
    lines: list[str] = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        lines += [*_block(block), ""]
    return lines


def _block(block: str) -> Iterator[str]:
    if block.startswith(" "):
        yield "::"
        yield ""
        yield from (f"   {line}" for line in block.splitlines())
        return
    items: list[list[str]] = [[]]
    for line in block.splitlines():
        if _BULLET.match(line):
            items.append([])
        items[-1].append(line.strip())
    for item in items:
        if not item:
            continue
        text = _inline(" ".join(item))
        if _BULLET.match(item[0]):
            yield ""
        yield text


def _inline(text: str) -> str:
    return "".join(map(_token, _TOKENS.split(text)))


def _token(text: str) -> str:
    if text.startswith("``"):
        return text
    if text.startswith("`"):
        return f"\\ ``{text.strip('`')}``\\ "
    if text.startswith("$") and text.endswith("$") and len(text) > 2:
        return f"\\ :math:`{text.strip('$').strip()}`\\ "
    return _SPECIAL.sub(r"\\\1", text)


def process(
    app: object, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Sphinx's event `autodoc-process-docstring`."""
    lines[:] = rst("\n".join(lines))
