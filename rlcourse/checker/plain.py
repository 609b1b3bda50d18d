"""Plain data: what may pass between a student's function and whoever judges it.

A returned value can be any object, even one that equals everything. Before it is looked at it is
reduced to exact built-in types and NumPy arrays (`plain`), and where it has to leave the student's
process it is written as JSON (`encode`, `decode`); nothing is ever unpickled.
"""

from __future__ import annotations

import base64
import sys
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

MAX_ELEMENTS = 2_000_000
MAX_ITEMS = 20_000
MAX_DEPTH = 6
MAX_BITS = 1024  # what a float64 can hold; much longer ones cannot even be printed


@dataclass(frozen=True)
class Opaque:
    """Stands for a value that is no plain data; only the name of its type is kept."""

    type_name: str


@dataclass(frozen=True)
class Tensor:
    """A torch tensor reduced to its numbers and whether a gradient flows through it.

    As an input of a case it is the recipe of that tensor: `build` makes it again.
    """

    data: np.ndarray
    requires_grad: bool = False

    def build(self, notes: Any) -> Any:
        import torch  # Part I never waits for it.

        return torch.from_numpy(np.array(self.data)).requires_grad_(self.requires_grad)

    def differs(self, now: Any) -> str:
        if not np.array_equal(now.detach().numpy(), self.data, equal_nan=True):
            return "values"
        return "requires_grad" if now.requires_grad != self.requires_grad else ""

    def touched(self, now: Any) -> str:
        return "grad" if now.is_leaf and now.grad is not None else ""


def plain(value: Any, depth: int = 0, given: set[int] | None = None) -> Any:
    """Reduce `value` to None, bool, int, float, str, arrays, and lists, tuples, dicts of these.

    NumPy scalars become Python numbers, subclasses lose whatever they override, named tuples become
    tuples; anything else becomes `Opaque`. Never calls a method that the value itself defines.
    given: ids of the tensors that the caller holds: a gradient that reaches none of them is none.
    """
    kind = type(value)
    if value is None or kind in (bool, float):
        return value
    if isinstance(value, int) and int.bit_length(value) > MAX_BITS:
        return Opaque(f"int of {int.bit_length(value)} bits")
    if kind is int:
        return value
    if isinstance(value, np.ndarray):
        return _plain_array(value)
    if isinstance(value, np.generic):
        # float32 keeps its name: "you computed in single precision" is a diagnosis of its own.
        array = np.array(value)
        return array if array.dtype == np.float32 else _scalar(array)
    if isinstance(value, bool | int | float | str):
        base = next(b for b in (bool, int, float, str) if isinstance(value, b))
        return base.__str__(value)[:10_000] if base is str else _exact(base, value)
    if _is_tensor(value):
        data = value.detach().cpu().numpy()
        attached = bool(value.requires_grad) and (given is None or _reaches(value, given))
        return Tensor(_plain_array(data), attached)
    if isinstance(value, list | tuple | dict):
        return _plain_container(value, depth, given)
    return Opaque(kind.__name__)


def _exact(base: type, value: Any) -> Any:
    return bool(value) if base is bool else (int if base is int else float).__pos__(value)


def _scalar(array: np.ndarray) -> Any:
    # A long double has no Python number of its own.
    item = (array.astype(np.float64) if array.dtype.kind == "f" else array).item()
    return item if type(item) in (bool, int, float) else Opaque(str(array.dtype))


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _reaches(value: Any, given: set[int]) -> bool:
    """Whether the graph behind a tensor has a leaf among the given ones; it may be a long one."""
    if value.grad_fn is None:
        return True  # a leaf itself: whoever gets it trains it
    waiting, seen = [value.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if id(getattr(node, "variable", None)) in given:
            return True
        waiting += [following for following, _ in node.next_functions]
    return False


def _plain_array(value: np.ndarray) -> Any:
    if value.dtype.kind not in "biuf":
        return Opaque(f"array of {value.dtype}")
    if value.size > MAX_ELEMENTS:
        return Opaque(f"array of {value.size} numbers")
    array = np.array(value, copy=True, subok=False, order="C")
    return array.astype(np.float64) if array.dtype.itemsize > 8 else array


def _plain_container(value: Any, depth: int, given: set[int] | None) -> Any:
    base = next(b for b in (list, tuple, dict) if isinstance(value, b))
    if depth >= MAX_DEPTH or base.__len__(value) > MAX_ITEMS:
        return Opaque(f"{base.__name__} too large or too deep")
    if base is dict:
        return {str(k)[:200]: plain(v, depth + 1, given) for k, v in dict.items(value)}
    items = [plain(item, depth + 1, given) for item in base.__iter__(value)]
    return items if base is list else tuple(items)


# ------------------------------------------------------------------------------------------ JSON

_REGISTRY: dict[str, type] = {}


def transferable(cls: type) -> type:
    """Class decorator: a dataclass of plain fields that `encode` writes and `decode` rebuilds."""
    _REGISTRY[cls.__name__] = cls
    return cls


transferable(Opaque)
transferable(Tensor)


def encode(value: Any) -> Any:
    """Write plain data (and transferable dataclasses) as JSON-ready lists and dictionaries."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        return {"~": "array", "dtype": str(value.dtype), "shape": list(value.shape), "data": data}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, tuple):
        return {"~": "tuple", "items": [encode(item) for item in value]}
    if isinstance(value, dict):
        return {"~": "dict", "items": [[k, encode(v)] for k, v in value.items()]}
    if is_dataclass(value) and type(value).__name__ in _REGISTRY:
        content = [[f.name, encode(getattr(value, f.name))] for f in fields(value)]
        return {"~": type(value).__name__, "items": content}
    raise TypeError(f"{type(value).__name__} is not plain data")


def decode(tree: Any) -> Any:
    """Rebuild what `encode` wrote. Raises ValueError on anything else (a forged answer, say)."""
    try:
        return _decode(tree)
    except (KeyError, TypeError, IndexError, RecursionError, AttributeError) as error:
        raise ValueError(f"not plain data: {error!r}") from error


def _decode(tree: Any) -> Any:
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    if isinstance(tree, list):
        return [_decode(item) for item in tree]
    kind = tree["~"]
    if kind == "array":
        dtype = np.dtype(str(tree["dtype"]))
        if dtype.kind not in "biuf":
            raise ValueError(f"not plain data: dtype {dtype}")
        data = np.frombuffer(base64.b64decode(tree["data"], validate=True), dtype=dtype)
        return data.reshape([int(n) for n in tree["shape"]]).copy()
    if kind == "tuple":
        return tuple(_decode(item) for item in tree["items"])
    if kind == "dict":
        return {str(k): _decode(v) for k, v in tree["items"]}
    if kind in _REGISTRY:
        return _REGISTRY[kind](**{str(k): _decode(v) for k, v in tree["items"]})
    raise ValueError(f"not plain data: {kind!r}")
