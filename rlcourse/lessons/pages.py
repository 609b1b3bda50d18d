"""A lesson's notebook as a page of the site: what MyST-NB reads, made from what Jupyter shows.

Anchors become MyST's targets, so that the build checks every link to an equation; pictures become files;
a slider becomes its still with a line that says where it stands; a check stands as a student first sees it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .notebook import check_in

if TYPE_CHECKING:
    from nbformat import NotebookNode

WIDGET = "application/vnd.jupyter.widget-view+json"
_ANCHOR = re.compile(r'<a id="(eq-[\d.]+)"></a>')
_SUMMARY = re.compile(r"<summary>(.*?)</summary>", re.DOTALL)
_MATHS = re.compile(r"\$([^$\n]+)\$")
_PICTURE = re.compile(r'<img src="data:image/png;base64,([^"]+)"')
_POSITION = re.compile(r"(.*) \(run this cell to drag it\)$")


def page(
    notebook: NotebookNode,
    *,
    released: Callable[[str], dict[str, str]] | None,
    figure: Callable[[bytes], str],
    under_title: str,
) -> NotebookNode:
    """The page of an executed lesson; the notebook itself is left as it is.

    released: what stands under a check before it was run, asked by the exercise's name; None leaves what
    the check said. figure: takes a PNG, gives the address of its file seen from the page. under_title: what
    stands there, in Markdown.
    """
    from nbformat import v4

    cells = []
    for cell in notebook.cells:
        if cell.metadata.get("slideshow", {}).get("slide_type") == "skip":
            continue  # it only sees to it that the course is there
        if cell.cell_type == "code":
            name = check_in(cell)
            if name and released:
                outputs = [v4.new_output("display_data", data=dict(released(name)))]
            else:
                outputs = [_output(output, figure) for output in cell.outputs]
            new = v4.new_code_cell(cell.source, outputs=outputs)
            new.metadata.tags = [tag for tag in cell.metadata.get("tags", []) if "hide" in tag]
        else:
            new = v4.new_markdown_cell(_markdown(cell.source))
            if cell.source.startswith("# ") and under_title:
                title, _, rest = new.source.partition("\n")
                new.source = f"{title}\n\n{under_title}\n{rest}"
                under_title = ""
        new.id = cell.id
        cells.append(new)
    return v4.new_notebook(cells=cells, metadata={"kernelspec": notebook.metadata.kernelspec})


def _markdown(text: str) -> str:
    text = _ANCHOR.sub(r"\n(\1)=\n", text)
    return _SUMMARY.sub(lambda m: f"<summary>{_MATHS.sub(_set, m[1])}</summary>", text)


def _set(maths: re.Match) -> str:
    r"""Mathematics where Markdown is not read, as MathJax finds it: \( … \)."""
    return rf'<span class="math notranslate nohighlight">\({html.escape(maths[1])}\)</span>'


def _output(output: NotebookNode, figure: Callable[[bytes], str]) -> NotebookNode:
    from nbformat import v4

    data: dict[str, Any] = dict(output.get("data", {}))
    if WIDGET in data:
        said = _POSITION.sub(r"\1", data.get("text/plain", ""))
        told = f'<p class="still">{html.escape(said)} <span>(a slider in the notebook)</span></p>'
        return v4.new_output("display_data", data={"text/html": told, "text/plain": said})
    if "text/html" not in data:
        return output
    markup = _PICTURE.sub(
        lambda m: f'<img src="{figure(base64.b64decode(m[1]))}"', data["text/html"]
    )
    return v4.new_output("display_data", data=data | {"text/html": markup})


class Figures:
    """The pictures of a site, each a file named by its content."""

    def __init__(self, folder: Path, address: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._address = folder, address
        self.names: set[str] = set()

    def __call__(self, png: bytes) -> str:
        """The address of a picture; its file is written if it is new."""
        name = hashlib.sha256(png).hexdigest()[:16] + ".png"
        self.names.add(name)
        file = self._folder / name
        if not file.is_file():
            file.write_bytes(png)
        return self._address + name

    def sweep(self) -> None:
        """Remove the pictures that nobody has asked for: those of an earlier state."""
        for file in self._folder.glob("*.png"):
            if file.name not in self.names:
                file.unlink()
