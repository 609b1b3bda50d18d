"""Runs lessons as a student would, from the first cell to the last, and says what they cost.

`rlcourse lessons` prints the processor seconds of every lesson, so that growth is seen.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .clock import processor_seconds

if TYPE_CHECKING:
    from nbformat import NotebookNode

SECONDS_A_LESSON, SECONDS_OF_THE_CAPSTONE, SECONDS_IN_ALL = 60.0, 120.0, 900.0
CAPSTONE = "20"
# A cell that waits for ever is stopped by the clock; what a lesson may cost is counted in CPU time.
SECONDS_A_CELL = 600
# Two threads gain nothing on the course's small matrices; on a busy machine they wait for each other.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Cost:
    """What running a lesson took: processor seconds of the kernel and its children, and the clock's."""

    cpu: float
    wall: float


def seconds_allowed(lesson: str) -> float:
    """Processor seconds that one lesson may take."""
    return SECONDS_OF_THE_CAPSTONE if lesson == CAPSTONE else SECONDS_A_LESSON


def run(notebook: NotebookNode, folder: Path) -> Cost:
    """Execute all cells in `folder`, filling in their outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an exception.
    """
    from nbclient import NotebookClient

    client = NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        extra_arguments=["--Application.log_level=ERROR"],  # notices that are no lesson of ours
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    spent = 0.0

    def look(**_: object) -> None:
        nonlocal spent
        spent = processor_seconds(client.km.provisioner.pid)

    client.on_cell_executed = look
    began = time.monotonic()
    client.execute(env=os.environ | ONE_THREAD)
    return Cost(spent, time.monotonic() - began)


def run_solved(source: Path) -> Cost:
    """Run a lesson with all its answers, in a folder of its own."""
    from .build import build_notebook

    with tempfile.TemporaryDirectory(prefix="rlcourse-", ignore_cleanup_errors=True) as folder:
        return run(build_notebook(source, solved=True), Path(folder))


def run_all(
    sources: dict[str, Path], tell: Callable[[str, Cost], None] = lambda lesson, cost: None
) -> dict[str, Cost]:
    """Run lessons one after the other; `tell` is told of each as it ends."""
    costs: dict[str, Cost] = {}
    for lesson, source in sources.items():
        costs[lesson] = run_solved(source)
        tell(lesson, costs[lesson])
    return costs
