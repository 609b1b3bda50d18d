"""How long to wait for another process: until it has used its processor time, not until a clock says so.

The watcher sits outside, because what it watches runs somebody's code.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from rlcourse.checker.timing import WALL as PATIENCE

T = TypeVar("T")


def in_time(ask: Callable[[float], T], used: Callable[[], float], seconds: float, late: T) -> T:
    """What `ask(at most so many seconds)` says, or `late`, which is also what it says when they are over.

    Late is who has used `seconds` of the processor (`used` tells how many so far), or has taken PATIENCE
    times as long by the clock on the wall, asleep.
    """
    used_before, started = used(), time.monotonic()
    left = seconds
    while (said := ask(left)) == late:
        left = seconds - (used() - used_before)
        waited = time.monotonic() - started
        if left <= 0 or waited >= PATIENCE * seconds:
            return late
        # A machine that wakes somebody up for a last thousandth of a second makes itself busy.
        left = min(max(left, 0.02), PATIENCE * seconds - waited)
    return said


def processor_seconds(process: int) -> float:
    """What a process and its descendants have used so far; of one that has ended, nothing is known: 0."""
    import psutil

    try:
        first = psutil.Process(process)
        family = [first, *first.children(recursive=True)]
    except psutil.Error:
        return 0.0
    total = 0.0
    for member in family:
        try:
            times = member.cpu_times()
        except psutil.Error:
            continue  # ended meanwhile: its parent has its time, once it has waited for it
        total += times.user + times.system
        total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total
