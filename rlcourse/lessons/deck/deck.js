/* Divides the parts of the lesson into slides, by measuring them, and shows these.
 *
 * A part that fits is a slide. One that is a little too much is set smaller; one that is more goes on on the
 * next slide. A figure may shrink to the room that is left. What is too high alone, code or a list, is set
 * smaller (never below SMALLEST) and then divided; if it cannot be divided, its end goes to the speaker's notes.
 */
(function () {
  "use strict";
  const WIDTH = 1280, HEIGHT = 720, SMALLEST = 0.6, STEPS = [1, 0.92, 0.84];
  const source = document.getElementById("parts");
  const slides = document.querySelector(".slides");

  const make = (name, className, markup = "") => {
    const element = document.createElement(name);
    element.className = className;
    element.innerHTML = markup;
    return element;
  };
  const isHeading = e => /^H[1-6]$/.test(e.tagName);
  const figureIn = e => e.querySelector && e.querySelector("img");

  /* ---- one page: measured where it is visible to the layout, though not to the eye */
  function newPage(running) {
    const page = make("div", "page"), fit = make("div", "fit");
    if (running) fit.append(make("p", "running", running));
    page.append(fit);
    source.append(page);
    return { page, fit, notes: [], least: fit.childElementCount };
  }
  const size = (p, scale) => { p.fit.style.fontSize = scale + "em"; p.scale = scale; };
  const room = p => HEIGHT - p.page.offsetHeight;
  const fits = p => room(p) >= 0 && tooWide(p) === null;
  const full = p => p.fit.childElementCount > p.least;

  function tooWide(p) {
    const edge = p.fit.getBoundingClientRect().right + 1;
    for (const block of p.fit.children) {
      const inner = block.querySelectorAll("code, mjx-container > svg, img, td, svg");
      for (const part of [block, ...inner]) {
        if (part.getBoundingClientRect().right > edge || part.scrollWidth > part.clientWidth + 1 && part.matches("pre, .code, table"))
          return block;
      }
    }
    return null;
  }

  /* What is wider than a slide is set smaller by itself. */
  function narrow(p, block) {
    for (let scale = 0.95; tooWide(p) === block && scale >= SMALLEST - 1e-9; scale -= 0.05)
      block.style.fontSize = (parseFloat(block.dataset.size || "1") * scale) + "em";
  }

  /* ---- figures */
  function limit(block, height) {
    const image = figureIn(block);
    image.style.maxHeight = height + "px";
    image.style.width = "auto";
  }
  function shrinkFigure(p, block, least) {
    const image = figureIn(block);
    const natural = image.offsetHeight;
    const height = natural + room(p);
    if (height < least * natural) return false;
    limit(block, height);
    return room(p) >= 0;
  }

  /* ---- what is too high alone: a head that fits, and the rest */
  function divide(p, block) {
    const pre = block.matches("pre") ? block : block.querySelector("pre");
    if (pre) return divideLines(p, block, pre);
    if (block.matches("ul, ol, table, blockquote")) {
      const items = block.matches("table") ? block.querySelector("tbody") : block;
      const rest = block.cloneNode(true);
      const left = rest.matches("table") ? rest.querySelector("tbody") : rest;
      let kept = items.childElementCount;
      while (room(p) < 0 && kept > 1) { items.lastElementChild.remove(); kept--; }
      for (let i = 0; i < kept; i++) left.firstElementChild.remove();
      if (block.matches("ol")) rest.start = (block.start || 1) + kept;
      return left.childElementCount ? rest : null;
    }
    return undefined;
  }
  function divideLines(p, block, pre) {
    const holder = pre.querySelector("code") || pre;
    const lines = holder.innerHTML.replace(/\n$/, "").split("\n");
    let kept = lines.length;
    const put = n => { holder.innerHTML = lines.slice(0, n).join("\n"); };
    while (kept > 1 && (put(kept), room(p) < 0)) kept--;
    for (let cut = kept; cut > kept / 2; cut--)  // rather at an empty line
      if (!lines[cut - 1].replace(/<[^>]*>/g, "").trim()) { kept = cut; put(kept); break; }
    const rest = block.cloneNode(true);
    const other = rest.matches("pre") ? rest : rest.querySelector("pre");
    (other.querySelector("code") || other).innerHTML = lines.slice(kept).join("\n");
    return kept < lines.length ? rest : null;
  }

  /* ---- a part becomes pages */
  function whole(blocks, running) {
    const p = newPage(running);
    for (const block of blocks) {
      p.fit.append(block);
      if (tooWide(p) === block) narrow(p, block);
    }
    for (const scale of STEPS) {
      size(p, scale);
      if (room(p) >= 0) return p;
    }
    size(p, 1);
    const figures = blocks.filter(figureIn);
    if (figures.length === 1 && shrinkFigure(p, figures[0], 0.6)) return p;
    figures.forEach(block => { figureIn(block).style.maxHeight = ""; });
    blocks.forEach(block => block.remove());
    p.page.remove();
    return null;
  }

  function divided(blocks) {
    const pages = [], queue = [...blocks];
    while (queue.length) {
      const opening = isHeading(queue[0]);
      const p = newPage(opening ? "" : title);
      pages.push(p);
      size(p, STEPS[1]);
      while (queue.length) {
        const block = queue[0];
        p.fit.append(block);
        if (tooWide(p) === block) narrow(p, block);
        if (room(p) >= 0) { queue.shift(); continue; }
        const headingsOnly = [...p.fit.children].slice(p.least, -1).every(isHeading);
        if (figureIn(block) && shrinkFigure(p, block, headingsOnly ? 0 : 0.6)) { queue.shift(); continue; }
        if (full(p) && !headingsOnly && p.fit.childElementCount - p.least > 1) { block.remove(); break; }
        // Alone, or with its heading, and still too high: smaller, then in pieces.
        for (let scale = STEPS[1]; room(p) < 0 && scale >= SMALLEST - 1e-9; scale -= 0.04) size(p, scale);
        if (room(p) >= 0) { queue.shift(); break; }
        size(p, 0.8);
        const rest = divide(p, block);
        queue.shift();
        if (rest) queue.unshift(rest);
        if (rest === undefined) toNotes(p, block);
        break;
      }
      // A heading does not stand last.
      while (queue.length && full(p) && isHeading(p.fit.lastElementChild) && p.fit.childElementCount - p.least > 1)
        queue.unshift(p.fit.removeChild(p.fit.lastElementChild));
    }
    return pages;
  }
  function toNotes(p, block) {
    p.notes.push(block.outerHTML);
    size(p, SMALLEST);
    while (room(p) < 0 && block.lastChild) block.lastChild.remove();
  }

  let title = "";  // what the slides without a heading belong to
  function pagesOf(part) {
    const notes = [...part.querySelectorAll(":scope > aside.notes")];
    notes.forEach(note => note.remove());
    const blocks = [...part.children];
    const heading = isHeading(blocks[0]);
    if (heading) title = blocks[0].innerHTML;  // with its formulas set
    const one = whole(blocks, heading ? "" : title);
    const pages = one ? [one] : divided(blocks);
    pages.forEach(p => p.page.remove());
    const said = notes.map(note => note.innerHTML);
    return pages.map((p, i) => {
      const section = make("section", "");
      section.append(p.page);
      const own = [...(i === 0 ? said : []), ...p.notes];
      if (own.length) {
        const aside = make("aside", "notes", own.join(""));
        // The speaker's window has none of MathJax's styles, which hide this copy of every formula.
        aside.querySelectorAll("mjx-assistive-mml").forEach(copy => copy.remove());
        section.append(aside);
      }
      return section;
    });
  }

  async function start() {
    await MathJax.startup.promise;
    await Promise.all([...source.querySelectorAll("img")].map(image => image.decode()));
    await document.fonts.ready;
    let column = null;
    for (const part of [...source.querySelectorAll(":scope > .part")]) {
      if (part.hasAttribute("data-opens") || !column) slides.append(column = make("section", ""));
      column.append(...pagesOf(part));
      part.remove();
    }
    source.remove();
    await Reveal.initialize({
      width: WIDTH, height: HEIGHT, margin: 0, center: false, hash: true, transition: "none",
      backgroundTransition: "none", controls: false, slideNumber: "c/t", pdfSeparateFragments: false, plugins: [RevealNotes],
    });
  }
  start();
})();
