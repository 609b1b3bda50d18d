"""The site and a talk, built from two lessons and looked at in a real browser, without a network."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from lab_browser import browser, chromium
from pages_browser import ALONE, page_faults, slide_faults

from rlcourse.lessons import front, paths, site, slides
from rlcourse.lessons.executed import executed
from rlcourse.lessons.linking import Atlas
from rlcourse.lessons.source import read_cells, solution_regions

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        chromium() is None,
        reason="no browser: install Chromium or Chrome (on Debian and Ubuntu the package chromium)",
    ),
]

SOURCES = paths.lesson_files(paths.solutions_folder(), ".py")
SHOWN = {number: SOURCES[number] for number in ("02", "03")}  # with links from one to the other
# What a page loads, not what it links to.
LOADS = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*\b(?:src|data)=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b[^>]*\bhref=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|url\(\s*["']?((?:https?:)?//[^"')\s]+)|@import\s+["']((?:https?:)?//[^"']+)""",
    re.IGNORECASE,
)


NOTICES = front.Notices(
    "Reinforcement learning · Winter 2026/27",
    {"02": "Due Friday, 20 November 2026, 23:59 (Europe/Berlin)."},
    {"02": "Due **Friday, 20 November 2026, 23:59** (Europe/Berlin). Extra credit: 2.5."},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def html(folder):
    """The folder of the site's pages."""
    built = site.build(SHOWN, folder / "site", folder / "executed", notices=NOTICES, tell=print)
    return built.index.parent


def lesson_pages(html):
    return [html / "lessons" / f"{source.stem}.html" for source in SHOWN.values()]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 720), (360, 740)], ids=["wide", "phone"])
def test_every_page_holds_in_a_window(html, size, dark):
    files = [html / "index.html", *lesson_pages(html), html / "grading.html"]
    files += [html / "how-the-checker-works.html", html / "writing-a-lesson.html"]
    files += sorted((html / "reference").rglob("*.html")) if not dark else []
    assert page_faults(files, *size, dark) == []


def test_no_page_names_a_script_a_picture_or_a_font_of_another_host(html):
    found = {}
    for file in html.rglob("*"):
        if file.suffix in (".html", ".css"):
            loaded = LOADS.findall(file.read_text(encoding="utf-8"))
            if loaded:
                found[file.name] = loaded
    assert found == {}


class Links(HTMLParser):
    """The addresses and the anchors of a page."""

    def __init__(self, file: Path):
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        self.anchors |= {value for key in ("id", "name") if (value := told.get(key))}
        self.links |= {value for key in ("href", "src") if (value := told.get(key))}


def test_every_link_and_every_anchor_is_there(html):
    pages = {file: Links(file) for file in html.rglob("*.html") if "_static" not in file.parts}
    missing = set()
    for file, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            there = (file.parent / unquote(path.partition("?")[0])).resolve() if path else file
            known = pages.get(there)
            if not there.exists() or (anchor and known and unquote(anchor) not in known.anchors):
                missing.add(f"{file.name}: {link}")
    assert missing == set()
    assert len(pages) > 50


def test_a_students_site_has_no_answers_and_its_checks_are_not_run_yet(html):
    for source, page in zip(SHOWN.values(), lesson_pages(html), strict=True):
        text = re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))
        exercises = [cell for cell in read_cells(source) if cell.role == "exercise"]
        assert text.count("not run yet") == len(exercises) and "✓" not in text
        for cell in exercises:
            for region in solution_regions(cell.source):
                longest = max((line.strip() for line in region.splitlines()), key=len)
                assert longest not in text


def test_what_a_class_has_agreed_on_stands_on_the_pages(html):
    index = (html / "index.html").read_text(encoding="utf-8")
    assert NOTICES.course in index and index.count(NOTICES.due["02"]) == 1
    with_deadline, without = (page.read_text(encoding="utf-8") for page in lesson_pages(html))
    assert "20 November 2026, 23:59</strong>" in with_deadline and "Extra credit" in with_deadline
    assert "20 November" not in without


def test_hints_are_folded(html):
    for source, page in zip(SHOWN.values(), lesson_pages(html), strict=True):
        text = page.read_text(encoding="utf-8")
        hints = sum(cell.role == "hints" for cell in read_cells(source))
        assert text.count("<details><summary>") >= 3 * hints and "<details open" not in text


def test_what_can_be_taken_along_is_there(html):
    for source in SHOWN.values():
        pdf = (html / "downloads" / f"{source.stem}.pdf").read_bytes()
        assert (
            pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page/") > 3
        )
        notebook = (html / "downloads" / f"{source.stem}.ipynb").read_text(encoding="utf-8")
        assert "NotImplementedError" in notebook


def test_the_search_finds_a_lesson(html):
    with browser(1280, 720, ALONE) as page:
        address = (html / "search.html").resolve().as_uri()
        page.call("Page.navigate", url=f"{address}?q=contraction")
        page.wait("document.querySelectorAll('#search-results li a').length > 0", 120)
        found = page.evaluate(
            "[...document.querySelectorAll('#search-results li a')].map(a => a.href).join()"
        )
    assert "02_bellman_equation" in found


def test_a_second_build_runs_and_prints_nothing(html, folder):
    before = {file: file.stat().st_mtime_ns for file in (html / "downloads").glob("*.pdf")}
    told = []
    site.build(SHOWN, folder / "site", folder / "executed", notices=NOTICES, tell=told.append)
    assert told == ["building the pages"]
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_a_talk_with_the_answers_holds_on_its_slides(folder):
    notebook = executed(SOURCES["02"], folder / "executed", solved=True, atlas=Atlas())
    target = folder / "02.html"
    slides.write_deck(notebook, target, solved=True)
    number, faults = slide_faults(target)
    assert faults == []
    text = target.read_text(encoding="utf-8")
    assert number > 25 and text.count("✓ 2.") == 5 and "NotImplementedError" not in text


def test_a_part_that_is_too_much_is_divided_and_nothing_is_lost(tmp_path):
    lines = [f"line_{i} = {i}" for i in range(120)]
    code = slides._highlighted("\n".join(lines))
    bullets = "".join(f"<li>bullet {i} of the list</li>" for i in range(60))
    words = "".join(f"<p>{'word ' * 60}{i}.</p>" for i in range(8))
    part = slides.Part("Much", True, [f"<h2>Much</h2>{words}", code, f"<ul>{bullets}</ul>"])
    target = tmp_path / "much.html"
    target.write_text(slides.deck([part]), encoding="utf-8")
    number, faults = slide_faults(target)
    assert faults == [] and number > 5
    with browser(1280, 720, ALONE) as page:
        page.call("Page.navigate", url=target.as_uri())
        page.wait("window.Reveal?.isReady?.() === true", 120)
        text = page.evaluate("document.querySelector('.slides').textContent")
    # Nothing stands between the end of one slide and the next one's heading.
    assert all(re.search(rf"{line}(?!\d)", text) for line in lines)
    assert all(f"bullet {i} of" in text for i in range(60))
