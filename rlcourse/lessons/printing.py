"""The lessons' pages as PDF, printed by an installed Chromium or Chrome without a window."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from .paths import UsageError

SECONDS_A_PAGE = 300
# Time as the page counts it: MathJax is done long before, and nobody waits for it by the clock.
_VIRTUAL_MILLISECONDS = 60_000


def print_lessons(
    html: Path, stems: Iterable[str], browser: str, tell: Callable[[str], None]
) -> None:
    """Print html/lessons/STEM.html to html/downloads/STEM.pdf, those whose page has changed.

    Raises:
        UsageError: the browser did not print; the message holds what it said.
    """
    record = html / "downloads" / ".printed.json"
    printed = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    for stem in stems:
        source, target = html / "lessons" / f"{stem}.html", html / "downloads" / f"{stem}.pdf"
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        if printed.get(stem) == digest and target.is_file():
            continue
        tell(f"printing {stem}")
        _print(source, target, browser)
        printed[stem] = digest
        record.write_text(json.dumps(printed), encoding="utf-8")


def _print(source: Path, target: Path, browser: str) -> None:
    with tempfile.TemporaryDirectory(prefix="print-", ignore_cleanup_errors=True) as profile:
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            f"--user-data-dir={profile}",
            f"--virtual-time-budget={_VIRTUAL_MILLISECONDS}",
            "--no-pdf-header-footer",
            f"--print-to-pdf={target.resolve()}",
            source.resolve().as_uri(),
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # Chromium's sandbox refuses root
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_A_PAGE)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"{browser} could not print {source.name}: {error}") from error
    if done.returncode or not target.is_file():
        raise UsageError(f"{browser} could not print {source.name}:\n{done.stderr.strip()}")
