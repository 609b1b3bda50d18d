"""A notebook's bytes as plain data, whatever program or platform has been at them.

Everybody who opens a student's notebook does it here: grading, `verify`, `progress`, the builder.
Tolerant: what is not as it should be inside a readable notebook is put right or passed over.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

MAX_NODES = 4_000_000  # reading more would keep the others waiting

_CONFLICT = re.compile(rb"^(<{7} |={7}$|>{7} )", re.MULTILINE)
_WEB_PAGE = re.compile(
    rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<(!doctype\s+html|html)\b", re.I | re.S
)


class Unreadable(Exception):
    """The bytes are no notebook; the message says why, to complete "cannot be marked: …"."""


def tree_of(data: bytes) -> dict[str, Any]:
    """The JSON object that is a notebook, with its cells in `tree["cells"]` (of format 3, too).

    Raises:
        Unreadable: not text, not JSON, cut off, or something else.
    """
    if not data.strip():
        raise Unreadable("the file is empty")
    if data.count(b"[") + data.count(b"{") > MAX_NODES:
        raise Unreadable(f"it has more than {MAX_NODES} parts")
    try:
        tree = json.loads(_text(data))
    except UnicodeDecodeError:
        raise Unreadable("it is not a notebook: not even text") from None
    except json.JSONDecodeError as error:
        raise Unreadable(_no_json(data, error)) from None
    except (RecursionError, ValueError) as error:
        raise Unreadable(f"it is not a notebook ({type(error).__name__})") from None
    if not isinstance(tree, dict):
        raise Unreadable("it is JSON, but not a notebook")
    cells = tree.get("cells")
    if cells is None and isinstance(tree.get("worksheets"), list):
        sheets = [sheet for sheet in tree["worksheets"] if isinstance(sheet, dict)]
        within = [sheet.get("cells") for sheet in sheets]
        cells = [cell for inner in within if isinstance(inner, list) for cell in inner]
    if not isinstance(cells, list):
        raise Unreadable("it is JSON, but not a notebook: it has no cells")
    return tree | {"cells": [cell for cell in cells if isinstance(cell, dict)]}


def _text(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    return data.decode("utf-8-sig")


def _no_json(data: bytes, error: json.JSONDecodeError) -> str:
    if _WEB_PAGE.match(data):
        return "it is a web page, saved under a notebook's name: download the notebook itself"
    if _CONFLICT.search(data):
        return (
            "it is not a notebook any more: a merge left its marks (<<<<<<<, >>>>>>>) in it, "
            "and both versions have to be made one"
        )
    cut = error.pos >= len(error.doc.rstrip()) - 1 or "Unterminated" in error.msg
    reason = "the file is cut off" if cut and data.lstrip()[:1] == b"{" else "it is not a notebook"
    return f"{reason} (not valid JSON, line {error.lineno})"


def source_of(cell: dict[str, Any]) -> str:
    """A cell's text, in one piece or in lines; of format 3, too."""
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""


def metadata_of(tree: dict[str, Any]) -> dict[str, Any]:
    """The metadata of a notebook or a cell; none if they are something else."""
    metadata = tree.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def is_answer(cell: dict[str, Any]) -> bool:
    """Whether a cell is one for an answer, also where somebody has made text of it."""
    grader = metadata_of(cell).get("nbgrader")
    return isinstance(grader, dict) and bool(grader.get("solution")) and "grade_id" in grader
