"""The comparison of lesson 20: agents on tasks, seed by seed; `make capstone`, or this file with --help.

Each agent trains for its own fixed number of steps. At every look its greedy policy plays twenty episodes,
whose starts are the same for all agents and seeds. The settings were fixed before any of the seeds in the file
was run. Every run is written to rlcourse/lab/comparison.json as soon as it is done;
what is there already is not run again, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from run import EPISODES, EVALUATION_SEED, Clock, machine, versions
from tqdm import tqdm

from rlcourse.continuous import ddpg, noise, sac, td3
from rlcourse.lab.evaluation import evaluate
from rlcourse.lab.off_policy import train_off_policy
from rlcourse.lab.on_policy import train_on_policy
from rlcourse.policies import ppo

RESULTS = Path(__file__).resolve().parents[1] / "rlcourse" / "lab" / "comparison.json"
SEEDS = {"Pendulum-v1": 10, "MountainCarContinuous-v0": 10}
FIRST_SEED = 10  # the lessons that settled on the settings have shown the seeds before it


@dataclass(frozen=True)
class Entry:
    """An agent on a task. agent, training: settings, as they are written to the file; every: steps between looks."""

    kind: type
    loop: Callable
    every: int
    agent: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        return {"agent": self.agent, "training": self.training, "every": self.every}

    def run(self, env: str, seed: int) -> dict[str, Any]:
        """Train one agent: its greedy return at every look, those of the last look one by one, CPU seconds."""
        agent = dict(self.agent)
        if "noise" in agent:
            agent["noise"] = noise.OrnsteinUhlenbeckNoise(**agent["noise"])
        learner = self.kind.for_env(env, seed=seed, **agent)
        looks, steps = [], []
        clock = Clock()

        def look(policy, step: int) -> bool:
            looks.append(clock.without(lambda: evaluate(policy, env, EPISODES, EVALUATION_SEED)))
            steps.append(step)
            return False

        self.loop(learner, env, seed=seed, stop_when=look, stop_every=self.every, **self.training)
        assert steps[-1] == self.training["steps"], "the last look is at the last step"
        return {
            "steps": steps,
            "returns": [round(float(returns.mean()), 1) for returns in looks],
            "final": [round(float(one), 1) for one in looks[-1]],
            "cpu": round(clock.read()["cpu"], 1),
        }


# The settings of lessons 14, 15 and 19, and the box of lesson 12 with ten times the steps.
# Mountain Car pays nothing but at the flag, which independent noise never reaches: DDPG and TD3 get the
# Ornstein-Uhlenbeck noise of lesson 14, half as wide as the box (σ such that σ_x = 0.5). Chosen on seeds 100 to 102.
FAST = {"gamma": 0.95, "rho": 0.97, "lr": 5e-3}
BURSTS = {"steps": 5_000, "n_envs": 4, "warmup": 800, "train_every": 4, "batch_size": 128}
BOX = {"n_envs": 8, "horizon": 64, "epochs": 10, "minibatch_size": 128, "lr": 3e-3, "gamma": 0.95}
FAR = FAST | {"gamma": 0.99}
SWING = {"noise": {"theta": 0.15, "sigma": 0.2634}}


def _replayed(kind, agent, every=500, **training) -> Entry:
    return Entry(kind, train_off_policy, every, agent, BURSTS | training)


ENTRIES: dict[str, dict[str, Entry]] = {
    "Pendulum-v1": {
        "DDPG": _replayed(ddpg.DDPG, FAST),
        "TD3": _replayed(td3.TD3, FAST),
        "SAC": _replayed(sac.SAC, FAST, batch_size=256),
        "PPO": Entry(ppo.PPO, train_on_policy, 5_120, BOX, {"steps": 51_200}),
    },
    "MountainCarContinuous-v0": {
        "DDPG": _replayed(ddpg.DDPG, FAR | SWING, every=1_200, steps=12_000),
        "TD3": _replayed(td3.TD3, FAR | SWING, every=1_200, steps=12_000),
        "SAC": _replayed(sac.SAC, FAR, every=1_200, steps=12_000, batch_size=256),
        "PPO": Entry(ppo.PPO, train_on_policy, 2_560, BOX | {"gamma": 0.99}, {"steps": 25_600}),
    },
}


class Results:
    """The runs so far, by task and agent; a file that is whole at every moment."""

    def __init__(self, path: Path, again: bool) -> None:
        self.path = path
        self.made = {"machine": machine(), "versions": versions("torch", "numpy", "gymnasium")}
        self.data = json.loads(path.read_text("utf-8")) if path.exists() and not again else {}
        self.data.setdefault("made", self.made)
        self.data.setdefault("episodes", EPISODES)
        self.data.setdefault("evaluation_seed", EVALUATION_SEED)
        self.data.setdefault("settings", {})
        self.data.setdefault("runs", {})
        if self.data["made"] != self.made:
            raise SystemExit(
                f"{path} was made on another machine or with other versions; runs of both do not belong "
                "into one comparison. Give another --results, or --again to begin anew."
            )

    def seeds(self, env: str, name: str) -> list[int]:
        return self.data["runs"].get(env, {}).get(name, {}).get("seeds", [])

    def keep(self, env: str, name: str, seed: int, run: dict[str, Any]) -> None:
        settings = json.loads(json.dumps(ENTRIES[env][name].settings()))
        if self.data["settings"].setdefault(env, {}).setdefault(name, settings) != settings:
            raise SystemExit(
                f"{name} on {env} has other settings now than in {self.path}. Settings are not changed after "
                "seeing results; to begin anew give --again."
            )
        empty = {"seeds": [], "steps": run["steps"], "returns": [], "final": [], "cpu": []}
        kept = self.data["runs"].setdefault(env, {}).setdefault(name, empty)
        kept["seeds"].append(seed)
        for key in ("returns", "final", "cpu"):
            kept[key].append(run[key])
        self.write()

    def write(self) -> None:
        part = self.path.with_suffix(".part")
        part.write_text(_lines(self.data) + "\n", encoding="utf-8")
        part.replace(self.path)


def _lines(value: Any, indent: str = "") -> str:
    """JSON with a line for every key and every run, so that a change to one run is a change to one line."""
    if isinstance(value, dict) and any(isinstance(v, dict | list) for v in value.values()):
        inner = (f"{indent} {json.dumps(k)}: {_lines(v, indent + ' ')}" for k, v in value.items())
        return "{\n" + ",\n".join(inner) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "[\n" + ",\n".join(f"{indent} {_row(v)}" for v in value) + f"\n{indent}]"
    return _row(value)


def _row(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def todo(envs, names, seeds: int | None) -> Iterator[tuple[str, str, int]]:
    """What is asked for, five seeds of each agent at a time, so that a part of it is a comparison, too."""
    for env, entries in ENTRIES.items():
        if envs and env not in envs:
            continue
        end = FIRST_SEED + (seeds or SEEDS[env])
        for five in range(FIRST_SEED, end, 5):
            for name in entries:
                if not names or name in names:
                    for seed in range(five, min(five + 5, end)):
                        yield env, name, seed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--seeds", type=int, help=f"how many seeds, from {FIRST_SEED} on (default: {SEEDS})")
    add("--envs", nargs="+", choices=tuple(ENTRIES), default=(), help="tasks (default: all)")
    add("--agents", nargs="+", default=(), help="agents by name, such as DDPG (default: all)")
    add("--again", action="store_true", help="begin anew, throwing the old runs away")
    add("--results", type=Path, default=RESULTS, help="the file to go on with")
    options = parser.parse_args()
    known = {name for entries in ENTRIES.values() for name in entries}
    if unknown := set(options.agents) - known:
        parser.error(f"no agent {sorted(unknown)}; there are: {', '.join(sorted(known))}")
    torch.set_num_threads(1)
    results = Results(options.results, options.again)
    asked = todo(options.envs, options.agents, options.seeds)
    cells = [(e, n, s) for e, n, s in asked if s not in results.seeds(e, n)]
    bar = tqdm(cells, file=sys.stdout, unit="run")
    for env, name, seed in bar:
        bar.set_description(f"{env} · {name} · seed {seed}")
        results.keep(env, name, seed, ENTRIES[env][name].run(env, seed))


if __name__ == "__main__":
    main()
