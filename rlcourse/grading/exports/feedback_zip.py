"""The students' feedback pages in one zip, under the names by which a platform finds the students."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from rlcourse.lessons.paths import UsageError

from .. import feedback
from ..results import listed
from . import Export


def of(result: dict[str, Any], names: Mapping[str, str], otherwise: str) -> Export:
    """names: student -> the path in the zip; otherwise: what to tell of a student who has none.

    The same result gives the same bytes. Raises UsageError if nobody has a name.
    """
    records = result["submissions"]
    without = [record["student"] for record in records if record["student"] not in names]
    if len(without) == len(records):
        raise UsageError(f"Nobody could be told apart: {listed(without)}: {otherwise}.")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for record in records:
            if record["student"] in names:
                # The archive says that its names are in UTF-8, and bears no time.
                info = zipfile.ZipInfo(names[record["student"]], (1980, 1, 1, 0, 0, 0))
                info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
                page = feedback.page(record, result["lesson"], result["title"])
                archive.writestr(info, page)
    notes = [
        f"{len(records) - len(without)} feedback pages.",
        *(f"{s}: {otherwise}" for s in without),
    ]
    return Export(stream.getvalue(), notes)
