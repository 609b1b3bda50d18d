"""A trained agent in one file, without pickle: loading it runs no code that came with the file.

The file is NumPy's .npz: every weight as a plain array, and one JSON text that names the agent's class
(of this package only), its settings and its counters.
"""

from __future__ import annotations

import json
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

_FORMAT = "rlcourse agent 1"


def save(agent: Any, path: str | Path) -> Path:
    """Write the agent's networks, tensors, settings and counters to `path` (.npz); returns the path.

    Not kept: the optimisers' state, replay, and functions that were handed in as replacements.
    agent: a dataclass of this package.
    """
    path = Path(path).with_suffix(".npz")
    arrays = {name: tensor.detach().numpy() for name, tensor in _tensors(agent).items()}
    settings = {f.name: _plain(getattr(agent, f.name)) for f in fields(agent) if f.init}
    about = {
        "format": _FORMAT,
        "agent": [type(agent).__module__, type(agent).__qualname__],
        "settings": {k: v for k, v in settings.items() if v is not None},
        "counters": {k: v for k, v in vars(agent).items() if k not in settings and _counts(v)},
    }
    with path.open("wb") as file:
        np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)
    return path


def load(path: str | Path, **settings: Any) -> Any:
    """The agent that `save` wrote, acting exactly as before; `settings` replace the stored ones.

    Hand a student's functions in again as `settings`. Raises ValueError for a file of another kind.
    """
    with np.load(Path(path), allow_pickle=False) as file:
        about = json.loads(str(file["about"])) if "about" in file else {}
        if about.get("format") != _FORMAT:
            raise ValueError(f"{path} was not written by rlcourse.lab.checkpoints.save.")
        module, name = about["agent"]
        if not module.startswith("rlcourse."):
            raise ValueError(f"{path} asks for {module}.{name}, which is not an agent of rlcourse.")
        agent = getattr(import_module(module), name)(**_tuples(about["settings"]) | settings)
        with torch.no_grad():
            for key, tensor in _tensors(agent).items():
                if key not in file or file[key].shape != tuple(tensor.shape):
                    raise ValueError(f"{path} does not fit this agent: look at {key!r}.")
                tensor.copy_(torch.from_numpy(file[key]))
    for key, value in about["counters"].items():
        setattr(agent, key, value)
    return agent


def _tensors(agent: Any) -> dict[str, torch.Tensor]:
    """Every weight of the agent's networks and every tensor of its own, by name."""
    found = {}
    for name, value in vars(agent).items():
        if isinstance(value, nn.Module):
            found |= {f"{name}.{key}": tensor for key, tensor in value.state_dict().items()}
        elif isinstance(value, torch.Tensor):
            found[name] = value
    return found


def _plain(value: Any) -> Any:
    """The value as JSON can hold it; None for what is not data (functions, noise processes)."""
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": str(value.dtype)}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value if isinstance(value, (bool, int, float, str)) else None


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    def back(value):
        if isinstance(value, dict):
            return np.array(value["array"], dtype=value["dtype"])
        return tuple(back(v) for v in value) if isinstance(value, list) else value

    return {name: back(value) for name, value in settings.items()}


def _counts(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
