"""What a zip file says of its members, whichever program wrote it: their names and times."""

from __future__ import annotations

import struct
import time
import zipfile

_UTF8_NAME = 0x800  # general purpose bit 11: the name is in UTF-8
_TIMES = 0x5455  # the extra field with times in UTC, which Info-ZIP and macOS write


def name_of(info: zipfile.ZipInfo) -> str:
    """A member's path with "/" between its parts.

    Windows PowerShell 5 writes backslashes; programs that do not say in which alphabet a name is
    mean UTF-8 (macOS), Windows-1252, or the code page 437 that the format prescribes.
    """
    name = info.filename.replace("\\", "/")
    if info.flag_bits & _UTF8_NAME or name.isascii():
        return name
    written = name.encode("cp437")  # as zipfile has read it
    try:
        return written.decode("utf-8")
    except UnicodeDecodeError:
        pass  # not UTF-8: one of the two old alphabets
    western = written.decode("cp1252", errors="replace")
    return western if _letters(western) > _letters(name) else name


def _letters(name: str) -> int:
    """How many of the signs beyond ASCII are letters of a Latin alphabet."""
    return sum(sign.isalpha() and "\xc0" <= sign <= "\u024f" for sign in name)


def time_of(info: zipfile.ZipInfo) -> tuple[float | None, bool]:
    """When a member was last changed, in seconds since 1970, and whether it says so in UTC.

    Else it is the clock of the computer that wrote the file, taken for this one's. (None, False)
    where nothing is said.
    """
    utc = _utc(info.extra)
    if utc is not None:
        return utc, True
    try:
        local = None if info.date_time[0] <= 1980 else time.mktime((*info.date_time, 0, 0, -1))
    except (ValueError, OverflowError):
        local = None
    return local, False


def _utc(extra: bytes) -> float | None:
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _TIMES and len(field) >= 5 and field[0] & 1:
            return float(struct.unpack("<i", field[1:5])[0])
    return None
