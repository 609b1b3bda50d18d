"""The table in README.md and the figure beside it, from results.json alone."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
import ours

BEGIN, END = "<!-- begin: benchmarks/run.py --table -->", "<!-- end -->"
# What is wanted of each ratio (times) and of the share.
FASTER = {"DQN": 1.8, "PPO": 2.5, "A2C": 2.5}
FASTER_256, FASTER_64, SOONER, SHARE = 1.25, 1.45, 5.0, 0.60
SEEDS = 5  # of a whole run


def write(results: dict[str, Any], folder: Path) -> None:
    """Put the tables between the marks in README.md, and draw results.png."""
    readme = folder / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    text = f"{before}{BEGIN}\n\n{tables(results)}\n{END}{after}"
    readme.write_text(text, encoding="utf-8")
    figure(results, folder / "results.png")


def wanted_of(section: str, name: str) -> float | None:
    """The ratio that is wanted of a row, if one is."""
    if section == "steps":
        return FASTER.get(name, FASTER_64 if name.endswith("64×64") else FASTER_256)
    return SOONER


def seeds_of(results, section: str, name: str, side: str) -> dict[int, dict[str, Any]]:
    """The cells of one row by seed."""
    start = f"{section}/{name}/{side}/"
    cells = results["cells"].items()
    found = {int(key.removeprefix(start)): c for key, c in cells if key.startswith(start)}
    return dict(sorted(found.items()))


def pairs(results, section: str, name: str) -> list[tuple[dict, dict]]:
    """(ours, theirs) for the seeds that both have."""
    mine, theirs = (seeds_of(results, section, name, side) for side in ("ours", "SB3"))
    return [(mine[seed], theirs[seed]) for seed in mine if seed in theirs]


def tables(results: dict[str, Any]) -> str:
    parts = [where, steps_table, mark_table, learn_table, share_line, missing]
    return "\n".join(text for text in (part(results) for part in parts) if text)


def where(results) -> str:
    machine = ", ".join(f"{key}: {value}" for key, value in results["machine"].items() if value)
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    return f"Measured with {versions}; {machine}.\n"


def steps_table(results) -> str:
    rows = []
    for name in ours.SAME:
        both = pairs(results, "steps", name)
        if not both:
            continue
        speed = [[median(c["steps"] / c["cpu"] for c in side) for side in zip(*both, strict=True)]]
        ratio, wall = (
            median(theirs[clock] / mine[clock] for mine, theirs in both)
            for clock in ("cpu", "wall")
        )
        wanted = wanted_of("steps", name)
        rows.append(
            [name, *(f"{v:,.0f}" for v in speed[0]), f"**{ratio:.2f}×**", f"{wall:.2f}×",
             f"{wanted:g}×", reached(ratio >= wanted, len(both))]
        )  # fmt: skip
    head = ["", "ours, steps/s", "SB3, steps/s", "by CPU time", "by wall clock", "wanted", ""]
    title = "### Env-steps per second: same network, batch and updates; medians over rounds"
    return table(title, head, rows)


def mark_table(results) -> str:
    """Medians over the seeds that both sides have run."""
    rows = []
    for name in ours.COMPARED:
        both = pairs(results, "mark", name)
        if not both:
            continue
        sides = list(zip(*both, strict=True))
        mine, theirs = ([median_time(side, clock) for clock in CLOCKS] for side in sides)
        ratios = [quotient(a, b) for a, b in zip(theirs, mine, strict=True)]
        wanted = wanted_of("mark", name)
        rows.append(
            [name, f"{ours.SYSTEMS[name].mark:g}", *map(to_mark, sides), f"**{ratios[0]:.1f}×**",
             f"{ratios[1]:.1f}×", f"{wanted:g}×" if wanted else "",
             reached(ratios[0] >= wanted, len(both)) if wanted else ""]
        )  # fmt: skip
    head = ["", "mark", "ours: CPU s (env-steps), by seed", "SB3 zoo: CPU s (env-steps), by seed",
            "CPU, medians", "wall, medians", "wanted", ""]  # fmt: skip
    return table("### Seconds and env-steps to the mark", head, rows)


CLOCKS = ("cpu", "wall")


def median_time(cells, clock: str) -> float:
    """The median over seeds; a seed that never reached the mark counts as infinity."""
    return median(cell[clock] if cell["reached"] else float("inf") for cell in cells)


def quotient(theirs: float, ours: float) -> float:
    """theirs / ours; NaN where neither median is finite."""
    return float("nan") if theirs == ours == float("inf") else theirs / ours


def to_mark(cells) -> str:
    return " · ".join(
        f"{cell['cpu']:.1f} ({cell['checkpoints'][-1][0]:,})" if cell["reached"] else "never"
        for cell in cells
    )


def learn_table(results) -> str:
    rows = []
    for name, system in ours.SYSTEMS.items():
        cells = seeds_of(results, "learn", name, "ours")
        if not cells:
            continue
        scores = [cell["score"] for cell in cells.values()]
        good = sum(ours.reaches(name, score) for score in scores)
        digits = 2 if system.mark < 1 and system.mark > 0 else 0
        rows.append(
            [name, f"{system.steps:,}", f"{system.mark:g}",
             " · ".join(f"{score:.{digits}f}" for score in scores), f"{good} of {len(scores)}",
             f"{median(cell['cpu'] for cell in cells.values()):.0f}"]
        )  # fmt: skip
    head = ["", "budget", "mark", "final policy, by seed", "reached", "CPU s, median"]
    return table("### What every system has learned at the end of its budget", head, rows)


def share_line(results) -> str:
    cells = seeds_of(results, "update", "SAC", "ours").values()
    if not cells:
        return ""
    share, products, update = (
        median(cell[key] for cell in cells) for key in ("share", "products_ms", "update_ms")
    )
    return (
        f"### One update of SAC, 256×256, batch 256\n\nBare matrix products {products:.2f} ms, the whole "
        f"update {update:.2f} ms (CPU time): **{share:.0%}** of the limit; wanted {SHARE:.0%}: "
        f"{reached(share >= SHARE)}.\n"
    )


def missing(results) -> str:
    """What has not been measured with all seeds."""
    wanted = {
        "steps": (ours.SAME, "ours", "SB3"),
        "mark": (ours.COMPARED, "ours", "SB3"),
        "learn": (ours.SYSTEMS, "ours"),
    }
    lines = []
    for section, (names, *sides) in wanted.items():
        counts = {
            name: min(len(seeds_of(results, section, name, side)) for side in sides)
            for name in names
        }
        short = [f"{name} ({count} of {SEEDS})" for name, count in counts.items() if count < SEEDS]
        if short:
            lines.append(f"- `{section}`: {', '.join(short)}")
    return "### Seeds not measured yet\n\n" + "\n".join(lines) + "\n" if lines else ""


def reached(yes: bool, seeds: int = SEEDS) -> str:
    few = "" if seeds >= SEEDS else f", by {seeds} of {SEEDS} seeds"
    return ("reached" if yes else "not reached") + few


def table(title: str, head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{title}\n\n{body}\n"


def figure(results, path: Path) -> None:
    """How many times sooner, seed by seed, by CPU time; the dash is what was wanted."""
    panels = [("steps", "env-steps/s", list(ours.SAME)), ("mark", "time to the mark", list(ours.COMPARED))]  # fmt: skip
    fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for axis, (section, title, names) in zip(axes, panels, strict=True):
        axis.set_title(f"{title}: Stable-Baselines3 ÷ ours, CPU time")
        for place, name in enumerate(names):
            ratios = [theirs["cpu"] / mine["cpu"] for mine, theirs in pairs(results, section, name)
                      if mine.get("reached", True) and theirs.get("reached", True)]  # fmt: skip
            axis.plot([place] * len(ratios), ratios, "o", color="C0", alpha=0.6)
            wanted = wanted_of(section, name)
            if wanted is not None:
                dash = axis.plot([place - 0.3, place + 0.3], [wanted] * 2, color="C1")
        axis.set_xticks(range(len(names)), names, rotation=40, ha="right")
        axis.set_yscale("log", base=2)
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}×")
        axis.axhline(1, color="0.6", linewidth=0.8)
        axis.legend(dash, ["wanted of the median"], loc="upper right")
    fig.savefig(path, dpi=150)
    plt.close(fig)
