"""Beside Stable-Baselines3, in one run and on one thread: `make bench`, or this file with --help.

Four sections, every cell of which is written to benchmarks/results.json as soon as it is measured; what is
there already is not measured again, so a run that was stopped goes on where it was.

steps    env-steps/s of training, at the same network, batch and update ratio; a seed is a round
mark     CPU and wall-clock seconds and env-steps to the mark: ours with our presets, theirs with the zoo's
learn    the final policy of every system of the course, seed by seed
update   the bare matrix products of one SAC update over the update itself
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import limit
import ours
import report
import torch
from tqdm import tqdm

from rlcourse.lab.evaluation import evaluate

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
SECTIONS = ("steps", "mark", "learn", "update")
SIDES = ("ours", "SB3")
EPISODES, EVALUATION_SEED = 20, 10_000


class Results:
    """The cells measured so far, a file that is whole at every moment."""

    def __init__(self, path: Path, again: bool) -> None:
        self.path = path
        here = {"machine": machine(), "versions": versions()}
        self.data = json.loads(path.read_text()) if path.exists() and not again else here
        self.data.setdefault("cells", {})
        if {key: self.data[key] for key in here} != here:
            raise SystemExit(
                f"{path} was measured on another machine or with other versions; cells of both do "
                "not belong into one table. Give another --results, or --again to begin anew."
            )

    def __contains__(self, key: str) -> bool:
        return key in self.data["cells"]

    def keep(self, key: str, cell: dict[str, Any]) -> None:
        self.data["cells"][key] = cell
        whole = json.dumps(self.data, indent=1, ensure_ascii=False, sort_keys=True)
        part = self.path.with_suffix(".part")
        part.write_text(whole + "\n", encoding="utf-8")
        part.replace(self.path)


def machine() -> dict[str, Any]:
    """What the figures depend on; no names of hosts or of people."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    return {
        "processor": model or platform.processor() or platform.machine(),
        "logical processors": os.cpu_count(),
        "system": platform.system(),
        "threads used": 1,
    }


def versions(*names: str) -> dict[str, str]:
    names = names or ("torch", "numpy", "gymnasium", "stable-baselines3")
    return {"Python": platform.python_version(), **{name: version(name) for name in names}}


class Clock:
    """CPU and wall-clock seconds since it was made, without what happened inside `stopped`."""

    def __init__(self) -> None:
        self.cpu, self.wall = -time.process_time(), -time.perf_counter()

    def read(self) -> dict[str, float]:
        return {"cpu": self.cpu + time.process_time(), "wall": self.wall + time.perf_counter()}

    def without(self, call: Callable[[], Any]) -> Any:
        began = time.process_time(), time.perf_counter()
        result = call()
        self.cpu -= time.process_time() - began[0]
        self.wall -= time.perf_counter() - began[1]
        return result


def returns(policy, env) -> float:
    return float(evaluate(policy, env, EPISODES, EVALUATION_SEED).mean())


def steps_cell(side: str, name: str, seed: int) -> dict[str, Any]:
    """One round: so many transitions with the settings of `ours.SAME`."""
    same = ours.SAME[name]
    clock = Clock()
    if side == "ours":
        ours.train_same(name, seed)
    else:
        import peers

        peers.train(same.peer, same.env, same.steps, seed, n_envs=same.n_envs,
                    settings=same.peer_settings)  # fmt: skip
    return {"steps": same.steps, **clock.read()}


def mark_cell(side: str, name: str, seed: int) -> dict[str, Any]:
    """Train until the greedy policy reaches the mark at a checkpoint, or the budget is spent."""
    system = ours.SYSTEMS[name]
    every = ours.COMPARED[name]
    cell: dict[str, Any] = {"reached": False, "checkpoints": []}
    if side == "SB3":
        import peers

        env = peers.ZOO[name]["env"]
    else:
        env = system.env
    clock = Clock()

    def look(policy, steps: int) -> bool:
        mean = clock.without(lambda: returns(policy, env))
        cell["checkpoints"].append([steps, mean])
        cell["reached"] = mean >= system.mark
        return cell["reached"]

    if side == "ours":
        system.train(seed, stop_when=look, stop_every=every)
    else:
        peers.train(name, seed=seed, stop_when=look, stop_every=every, **peers.ZOO[name])
    return {**cell, **clock.read()}


def learn_cell(name: str, seed: int) -> dict[str, Any]:
    """The whole budget, then the final policy."""
    system = ours.SYSTEMS[name]
    clock = Clock()
    agent = system.train(seed)
    seconds = clock.read()
    return {"score": system.score(agent, seed), **seconds}


def cells(sections, seeds, names) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Every cell asked for, in order; ours and theirs take turns, and take turns at being first."""

    def both(section: str, measure: Callable, systems):
        for name in filter(wanted, systems):
            for seed in seeds:
                for side in SIDES if seed % 2 == 0 else SIDES[::-1]:
                    key = f"{section}/{name}/{side}/{seed}"
                    yield key, lambda s=side, n=name, i=seed: measure(s, n, i)

    def wanted(name: str) -> bool:
        return not names or name in names

    if "update" in sections:
        for seed in seeds:
            yield f"update/SAC/ours/{seed}", limit.measure
    if "steps" in sections:
        yield from both("steps", steps_cell, ours.SAME)
    if "mark" in sections:
        yield from both("mark", mark_cell, ours.COMPARED)
    if "learn" in sections:
        for name in filter(wanted, ours.SYSTEMS):
            for seed in seeds:
                yield f"learn/{name}/ours/{seed}", lambda n=name, i=seed: learn_cell(n, i)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="sections (default: all)")
    add("--seeds", nargs="+", type=int, default=range(5), help="seeds (default: 0 1 2 3 4)")
    add("--systems", nargs="+", default=(), help="systems by name, such as DQN (default: all)")
    add("--again", action="store_true", help="begin anew, throwing the old results away")
    add("--table", action="store_true", help="measure nothing: table and figure from the results")
    add("--results", type=Path, default=RESULTS, help="the file to go on with")
    options = parser.parse_args()
    if not options.table:
        known = {*ours.SYSTEMS, *ours.SAME}
        if unknown := set(options.systems) - known:
            parser.error(f"no system {sorted(unknown)}; there are: {', '.join(sorted(known))}")
        measure(options)
    results = json.loads(options.results.read_text(encoding="utf-8"))
    if options.results.resolve() == RESULTS:
        report.write(results, HERE)
    else:
        print(report.tables(results))


def measure(options) -> None:
    try:
        results = Results(options.results, options.again)
    except ModuleNotFoundError as error:
        raise SystemExit(f"{error}. The other side comes with: pip install -e '.[bench]'") from None
    torch.set_num_threads(1)
    for _ in range(3):
        limit.one_update()()  # what is slow the first time belongs to no cell
    todo = [c for c in cells(options.only, options.seeds, options.systems) if c[0] not in results]
    bar = tqdm(todo, file=sys.stdout, unit="cell")
    for key, cell in bar:
        bar.set_description(key)
        results.keep(key, cell())


if __name__ == "__main__":
    main()
