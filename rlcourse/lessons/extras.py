"""What only the site and the slides need: the extra `site`, and the scripts that its packages carry.

Pages and slides work offline. So MathJax and reveal.js are taken from installed packages, never from a
network.
"""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from .paths import UsageError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MATHJAX = "sphinx-mathjax-offline"
_REVEAL = "sphinx-revealjs"
_SITE = ("sphinx", "myst-nb", "sphinx-book-theme", _MATHJAX)


def require_site() -> None:
    """Raises UsageError if what builds the site is not installed."""
    for distribution in _SITE:
        _files(distribution)


def mathjax() -> Path:
    """MathJax in one file: every TeX extension, glyphs drawn as SVG, so that no font is loaded.

    Raises:
        UsageError: the extra `site` is not installed.
    """
    return _carried(_MATHJAX, "static/mathjax/tex-svg-full.js")


def reveal(file: str) -> Path:
    """A file of reveal.js, as "dist/reveal.js". Raises UsageError without the extra `site`."""
    return _carried(_REVEAL, f"_static/revealjs/{file}")


def browser() -> str | None:
    """The path of an installed Chromium or Chrome, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def _carried(distribution: str, ending: str) -> Path:
    found = [file for file in _files(distribution) if file.as_posix().endswith(ending)]
    if not found:
        raise UsageError(
            f"The package {distribution} has no {ending}: install the version that "
            "constraints.txt names."
        )
    return Path(found[0].locate())


def _files(distribution: str) -> list:
    try:
        return files(distribution) or []
    except PackageNotFoundError:
        raise UsageError(
            f"The package {distribution} is missing. The site and the slides need the course's extra "
            "`site`: pip install -c constraints.txt -e '.[site]'"
        ) from None
