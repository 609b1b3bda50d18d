"""`rlcourse site`: the course as a web site that works from a folder, without a network.

Lessons are run once (`executed`), turned into pages (`pages`), and Sphinx with MyST-NB and the book theme
makes the site of them; its settings and texts are in docs/. Only what has changed is written, so that Sphinx
reads only that again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import extras, front, paths, reference
from .executed import executed
from .linking import Atlas
from .pages import Figures, page
from .paths import UsageError

# The hand-written pages: where each is in the checkout, and its name on the site.
TEXTS = {
    "docs/how-the-checker-works.md": "how-the-checker-works.md",
    "docs/writing-a-lesson.md": "writing-a-lesson.md",
    "rlcourse/grading/README.md": "grading.md",
}
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """What was built: the page to open, and why there are no PDFs (nothing if there are)."""

    index: Path
    without_pdf: str = ""


def build(
    sources: dict[str, Path],
    out: Path,
    store: Path,
    *,
    solved: bool = False,
    notices: front.Notices | None = None,
    tell: Tell,
) -> Built:
    """Build the site of these lessons in `out`/html.

    store: the folder of executed lessons; solved: with the answers, for instructors; notices: what a class
    has agreed on; tell: is told what takes its time.
    Raises:
        UsageError: the extra `site` is missing, a lesson fails, or Sphinx finds a fault: a link that leads
            nowhere, markup that it cannot read.
        BuildError: a lesson is refused.
    """
    extras.require_site()
    pages_folder, html = out / "source", out / "html"
    atlas = Atlas.of(sources.values())
    heads = [front.read_head(source) for source in sources.values()]
    browser = extras.browser()
    notices = notices or front.Notices()
    wanted = _texts(heads, notices, pdf=browser is not None)
    figures = Figures(html / "figures", "../figures/")
    for head in heads:
        source = sources[head.number]
        notebook = executed(source, store, solved=solved, atlas=atlas, tell=tell)
        told = notices.lessons.get(head.number, "")
        wanted[f"lessons/{head.stem}.ipynb"] = _page(
            notebook, head, figures, told, solved=solved, pdf=browser is not None
        )
    figures.sweep()
    _write(wanted, pages_folder)
    tell("building the pages")
    _sphinx(pages_folder, html, out / "doctrees")
    _notebooks(sources, atlas, html / "downloads")
    shutil.copy2(extras.mathjax(), html / "_static")
    if browser is None:
        return Built(html / "index.html", "no Chromium or Chrome is here to print them")
    from . import printing

    printing.print_lessons(html, [head.stem for head in heads], browser, tell)
    return Built(html / "index.html")


def _page(
    notebook, head: front.Lesson, figures: Figures, told: str, *, solved: bool, pdf: bool
) -> str:
    import nbformat

    from rlcourse import checker

    links = _downloads(head.stem, pdf, "../")
    line = "Take it along: " + " · ".join(
        f'<a href="{address}" download>{name}</a>' for name, address in links
    )
    made = page(
        notebook,
        released=None if solved else checker.released_output,
        figure=figures,
        under_title=f"{line}\n\n{told}" if told else line,
    )
    return nbformat.writes(made)


def _downloads(stem: str, pdf: bool, above: str = "") -> list[tuple[str, str]]:
    links = [("the notebook", f"{above}downloads/{stem}.ipynb")]
    return links + [("the text as PDF", f"{above}downloads/{stem}.pdf")] * pdf


def _texts(heads: list[front.Lesson], notices: front.Notices, pdf: bool) -> dict[str, str]:
    """All pages but the lessons', as {name: text}."""
    root = paths.root()
    index = (root / "docs" / "index.md").read_text(encoding="utf-8")
    downloads = {head.number: _downloads(head.stem, pdf) for head in heads}
    index = index.replace("<!-- course -->", f"**{notices.course}**" if notices.course else "")
    index = index.replace("<!-- course map -->", front.course_map(heads, downloads, notices.due))
    made = {"index.md": index.replace("<!-- contents -->", front.contents(heads))}
    for file, name in TEXTS.items():
        made[name] = _relinked((root / file).read_text(encoding="utf-8"), Path(file).parent)
    return made | {f"{name}.rst": text for name, text in reference.pages().items()}


def _relinked(text: str, folder: Path) -> str:
    """The text of a page from `folder`, its links to the other hand-written pages as they are on the site."""

    def there(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / link["page"])).as_posix()
        return f"]({TEXTS.get(target, link['page'])}"

    return re.sub(r"\]\((?P<page>[^)#:\s]+\.md)", there, text)


def _write(wanted: dict[str, str], folder: Path) -> None:
    """Make the folder hold these files and no others; one that is as wanted is not touched."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in wanted.items():
        file = folder / name
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
    for file in folder.rglob("*"):
        if file.is_file() and file.relative_to(folder).as_posix() not in wanted:
            file.unlink()


def _notebooks(sources: dict[str, Path], atlas: Atlas, folder: Path) -> None:
    from .build import build as student_notebooks

    folder.mkdir(parents=True, exist_ok=True)
    for file, text in student_notebooks(sources.values(), folder, atlas=atlas).items():
        file.write_text(text, encoding="utf-8", newline="\n")


def _sphinx(pages_folder: Path, html: Path, doctrees: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going"]
    command += ["-c", str(paths.root() / "docs"), "-d", str(doctrees), str(pages_folder), str(html)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"NO_COLOR": "1"}
    )
    if done.returncode:
        raise UsageError(f"Sphinx found faults in the pages:\n{done.stderr.strip()}")
