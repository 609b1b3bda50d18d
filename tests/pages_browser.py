"""Looks at pages of the site and at slides in a real browser that reaches no network: what is wrong with them."""

from __future__ import annotations

from pathlib import Path

from lab_browser import Page, browser

ALONE = "--host-resolver-rules=MAP * ~NOTFOUND"

# The parts of a page that its reader sees; MathJax keeps a hidden copy of every formula for screen readers.
_SEEN = "[...{root}.querySelectorAll('*')].filter(e => !e.closest('mjx-assistive-mml, defs'))"
_UNSET = "[...document.querySelectorAll('[data-mjx-error]')].map(e => 'formula: ' + e.getAttribute('data-mjx-error'))"
_SLIDE = f"""(() => {{
  const slide = Reveal.getCurrentSlide(), at = Object.values(Reveal.getIndices()).slice(0, 2).join('.');
  const boxes = {_SEEN.format(root="slide.querySelector('.page')")}.map(e => e.getBoundingClientRect());
  const low = Math.max(...boxes.map(b => b.bottom)), right = Math.max(...boxes.map(b => b.right));
  const size = parseFloat(getComputedStyle(slide.querySelector('.fit')).fontSize);
  const text = slide.querySelector('.page').textContent;
  const found = [];
  if (low > 720.5 || right > 1280.5) found.push(`reaches ${{Math.round(right)}} × ${{Math.round(low)}}`);
  if (size < 0.6 * 26 - 0.1) found.push(`letters of ${{size}}`);
  for (const image of slide.querySelectorAll('.page img'))
    if (!image.naturalWidth || image.offsetHeight < 100 || !image.alt) found.push('a figure that is not seen');
  if (/\\\\\\(|\\\\\\[|\\$\\$/.test([...slide.querySelectorAll('.page p, .page li')].map(e => e.textContent).join()))
    found.push('a formula that is not set');
  if (!text.trim() && !slide.querySelector('img')) found.push('nothing on it');
  return found.map(what => `slide ${{at}}: ${{what}}`);
}})()"""
# The speaker's window would show both the formula and its copy for screen readers.
_TWICE = """document.querySelector('aside.notes mjx-assistive-mml') ? ['a formula twice for the speaker'] : []"""
# Dividing a lesson into slides keeps the page busy; until then it answers nobody.
_READY = """new Promise(done => {
  const look = () => window.Reveal?.isReady?.() ? done(true) : setTimeout(look, 100);
  look();
})"""
_PAGE = f"""(() => {{
  const found = {_UNSET};
  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) found.push(`${{width}} pixels wide`);
  for (const image of document.querySelectorAll('img')) {{
    if (!image.naturalWidth) found.push('no picture: ' + image.src.slice(-40));
    if (!image.alt) found.push('no words: ' + image.src.slice(-40));
  }}
  for (const maths of document.querySelectorAll('.math'))
    if (!maths.querySelector('mjx-container svg')) found.push('not set: ' + maths.textContent.slice(0, 40));
  return found;
}})()"""


def slide_faults(file: Path) -> tuple[int, list[str]]:
    """How many slides a file holds, and what is wrong with them at 1280 by 720."""
    with browser(1280, 720, ALONE) as page:
        _size(page, 1280, 720)
        page.call("Page.navigate", url=file.resolve().as_uri())
        page.evaluate(_READY, 500)
        found = page.evaluate(_UNSET) + page.evaluate(_TWICE)
        slides = page.evaluate("Reveal.getTotalSlides()")
        for _ in range(slides):
            found += page.evaluate(_SLIDE)
            page.evaluate("Reveal.next()")
        return slides, found + _foreign(page)


def page_faults(files: list[Path], width: int, height: int, dark: bool) -> list[str]:
    """What is wrong with pages of the site in a window of this size."""
    found = []
    with browser(width, height, ALONE) as page:
        _size(page, width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        for file in files:
            page.call("Page.navigate", url=file.resolve().as_uri())
            page.wait(
                f"location.href.endsWith('{file.name}') && document.readyState === 'complete'"
            )
            page.evaluate("window.MathJax?.startup.promise.then(() => true)", 300)
            told = page.evaluate(_PAGE)
            theme = page.evaluate("document.documentElement.dataset.theme")
            if theme != scheme["value"]:
                told.append(f"{theme}, not {scheme['value']}")
            found += [f"{file.name}: {what}" for what in told]
        return found + _foreign(page)


def _size(page: Page, width: int, height: int) -> None:
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=width < 500,
    )


def _foreign(page: Page) -> list[str]:
    here = ("file:", "data:", "blob:", "about:")
    return [f"asked for {address}" for address in page.requests if not address.startswith(here)]
