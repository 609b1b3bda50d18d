"""JupyterLab on a working folder: where it opens, and what it is told so that nobody is asked anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from .running import ONE_THREAD
from .working import last_worked_on


def arguments(
    folder: Path,
    more: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
) -> list[str]:
    """JupyterLab's command line: the notebook worked on last, no news, no browser where none can open."""
    told = [
        f"--LabApp.default_url=/lab/tree/{quote(last_worked_on(folder).name)}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    no_display = platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & environment.keys()
    if no_display or environment.get("SSH_CONNECTION"):
        told.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        told.append("--allow-root")
    return [*told, *more]


def open_lab(folder: Path, more: Sequence[str] = ()) -> None:
    """Run JupyterLab in `folder` until it is stopped."""
    from jupyterlab.labapp import LabApp

    command = arguments(folder, more)
    os.chdir(folder)
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
    LabApp.launch_instance(command)
