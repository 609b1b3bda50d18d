"""Two plain values: are they equal, does one have the right form, and how do they differ?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .declaration import Exercise, Shape
from .harness import Case
from .plain import Opaque, Tensor

# ---------------------------------------------------------------------------------------- form


def malformed(value: Any, form: Shape, reference: Any, name: str = "your result") -> str:
    """What is wrong with the form of `value`: its type, shape, dtype or finiteness; "" if nothing."""
    if value is None:
        return f"{name} is None: is a `return` missing, or one branch without it?"
    if form.kind == "tuple":
        return _malformed_tuple(value, form, reference, name)
    if form.kind == "array":
        return _malformed_array(value, form, reference, name)
    single = _single(value)
    if single is None:
        wanted = {"float": "one number", "int": "one integer", "bool": "True or False"}[form.kind]
        return f"{name} should be {wanted}; it is {describe(value)}."
    if form.kind == "bool":
        return "" if type(single) is bool else f"{name} should be a bool; it is {describe(value)}."
    if form.kind == "int":
        return "" if type(single) is int else f"{name} should be an int; it is {describe(value)}."
    if type(single) is bool:
        return f"{name} should be a number; it is a bool."
    if np.isfinite(reference) and not np.isfinite(single):
        return f"{name} is {single}: not a finite number."
    return ""


def _malformed_tuple(value: Any, form: Shape, reference: Any, name: str) -> str:
    wanted = f"a tuple ({', '.join(form.items)})"
    if not isinstance(value, tuple | list):
        return f"{name} should be {wanted}; it is {describe(value)}."
    if len(value) != len(form.items):
        return f"{name} should be {wanted}; it has {len(value)} parts."
    for part, item, right in zip(form.items, value, reference, strict=True):
        problem = malformed(item, form.items[part], right, f"`{part}`")
        if problem:
            return problem
    return ""


def _malformed_array(value: Any, form: Shape, reference: np.ndarray, name: str) -> str:
    if not isinstance(value, np.ndarray):
        return f"{name} should be a NumPy array; it is {describe(value)}."
    if value.shape != reference.shape:
        return f"{name} should have shape {reference.shape}; it has shape {value.shape}."
    if value.size == 0:
        return ""  # an empty list turned into an array is float64, whatever was meant
    kind = value.dtype.kind
    if form.dtype == "int" and kind not in "iu":
        return f"{name} should hold integers; its dtype is {value.dtype}."
    if form.dtype == "float" and kind in "iub":
        return (
            f"{name} should hold floats (float64); its dtype is {value.dtype}: "
            "fractions are cut off when they are written into such an array."
        )
    if form.dtype == "float" and value.dtype != np.float64:
        return f"{name} should be float64; its dtype is {value.dtype}, which rounds too early."
    finite = np.isfinite(value) | ~np.isfinite(reference)
    if not finite.all():
        what = "NaN" if np.isnan(value[~finite]).any() else "infinite"
        return f"{name} holds {what} values ({np.count_nonzero(~finite)} of {value.size})."
    return ""


def _single(value: Any) -> Any:
    """The number or bool that `value` is, 0-d arrays included; None if it is none."""
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value.item()
    return value if type(value) in (bool, int, float) else None


def describe(value: Any) -> str:
    """A value's type and shape, never its numbers."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, Tensor):
        return f"a tensor of shape {value.data.shape}"
    if isinstance(value, Opaque):
        return f"of type {value.type_name}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return {type(None): "None"}.get(type(value), f"of type {type(value).__name__}")


# ---------------------------------------------------------------------------------------- values


def same(a: Any, b: Any, rtol: float = 1e-9, atol: float = 1e-10) -> bool:
    """Equality of plain values up to tolerance; shapes must agree, NaN equals NaN."""
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(same(x, y, rtol, atol) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k], rtol, atol) for k in a)
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.requires_grad == b.requires_grad and same(a.data, b.data, rtol, atol)
    if isinstance(a, Opaque | str | None) or isinstance(b, Opaque | str | None):
        return type(a) is type(b) and a == b
    if not (_numeric(a) and _numeric(b)) or np.shape(a) != np.shape(b):
        return False
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return bool(np.allclose(x, y, rtol=rtol, atol=atol, equal_nan=True))


def _numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic) or type(value) in (bool, int, float)


def right(exercise: Exercise, case: Case, value: Any, reference: Any) -> bool:
    """Whether `value` answers the case, by the exercise's own rule or by its tolerance."""
    if exercise.agrees is not None:
        return bool(exercise.agrees(case, value, reference))
    return same(value, reference, exercise.rtol, exercise.atol)


# ----------------------------------------------------------------------------------- difference


def difference(case: Case, value: Any, reference: Any, form: Shape) -> str:
    """How a wrong value differs, in words that do not give the right numbers away."""
    if form.kind == "tuple":
        parts = zip(form.items, value, reference, strict=True)
        wrong = [(part, v, r) for part, v, r in parts if not same(v, r)]
        if not wrong:
            return ""
        good = [f"`{part}`" for part in form.items if part not in [w[0] for w in wrong]]
        part, v, r = wrong[0]
        start = (
            f"{' and '.join(good)} {'is' if len(good) == 1 else 'are'} right, but " if good else ""
        )
        return f"{start}`{part}` {_difference(case, v, r)}"
    return f"Your result {_difference(case, value, reference)}"


def _difference(case: Case, value: Any, reference: Any) -> str:
    if not (_numeric(value) and _numeric(reference)):
        return "is not what the equation gives."
    a = np.asarray(value, dtype=np.float64)
    b = np.asarray(reference, dtype=np.float64)
    if a.shape != b.shape:
        return f"has shape {a.shape} instead of {b.shape}."
    return (
        _whole_pattern(case, a, b)
        or _place_pattern(case, a, b)
        or (_size(a, b) if a.ndim == 0 else f"is wrong in {_count(a, b)} of {a.size} places.")
    )


def _whole_pattern(case: Case, a: np.ndarray, b: np.ndarray) -> str:
    """A relation between all of a and all of b: sign, factor, offset, order."""
    if same(a, -b):
        return "has the opposite sign."
    nonzero = np.abs(b) > 1e-12
    if nonzero.any() and same(a[~nonzero], b[~nonzero]):
        ratio = a[nonzero] / b[nonzero]
        if np.isfinite(ratio).all() and same(ratio, np.full_like(ratio, ratio.flat[0])):
            named = _named(case, float(ratio.flat[0]))
            if named or a.size > 1:
                return f"is off by one and the same factor{named}."
    if a.size > 1 and same(a - b, np.full_like(a, (a - b).flat[0])):
        return "is off by one and the same amount everywhere."
    if a.ndim == 2 and a.shape[0] == a.shape[1] and same(a, b.T):
        return "is transposed: rows and columns are exchanged."
    if a.ndim >= 1 and a.shape[0] > 2:
        if same(a, b[::-1]):
            return "is in reverse order."
        if same(a[1:], b[:-1]) or same(a[:-1], b[1:]):
            return "is shifted by one place."
    return ""


def _named(case: Case, ratio: float) -> str:
    gamma = case.inputs.get("gamma")
    known = {"2": 2.0, "½": 0.5}
    if isinstance(gamma, float) and 0 < gamma < 1:
        known |= {"γ": gamma, "1/γ": 1 / gamma, "1 − γ": 1 - gamma, "1/(1 − γ)": 1 / (1 - gamma)}
    return next((f", {name}" for name, x in known.items() if same(ratio, x, 1e-6)), "")


def _place_pattern(case: Case, a: np.ndarray, b: np.ndarray) -> str:
    """Where a is wrong: exactly the terminated rows, only the first or last place, …"""
    if a.ndim == 0 or a.size < 2:
        return ""
    wrong = ~np.isclose(a, b, rtol=1e-9, atol=1e-10, equal_nan=True)
    rows = wrong.reshape(len(wrong), -1).any(axis=1)
    for flag in ("terminated", "truncated"):
        mask = case.inputs.get(flag)
        if isinstance(mask, np.ndarray) and mask.shape == rows.shape and 0 < mask.sum() < mask.size:
            ended = mask.astype(bool)
            if (rows == ended).all():
                return f"is wrong exactly in the rows where `{flag}` is 1."
            if (rows == ~ended).all():
                return f"is wrong exactly in the rows where `{flag}` is 0."
    for place, index in (("first", 0), ("last", -1)):
        if len(rows) > 2 and rows[index] and rows.sum() == 1:
            return f"is wrong only in the {place} {'row' if a.ndim > 1 else 'place'}."
        if len(rows) > 2 and not rows[index] and rows.sum() == len(rows) - 1:
            return f"is right only in the {place} {'row' if a.ndim > 1 else 'place'}."
    return ""


def _count(a: np.ndarray, b: np.ndarray) -> int:
    return int((~np.isclose(a, b, rtol=1e-9, atol=1e-10, equal_nan=True)).sum())


def _size(a: np.ndarray, b: np.ndarray) -> str:
    return f"is too {'large' if float(a) > float(b) else 'small'}."


def common_tag(cases: Sequence[Case], wrong: Sequence[bool]) -> str:
    """A tag that all wrong cases carry and no right one does; "" if there is none."""
    failing = [set(c.tags) for c, bad in zip(cases, wrong, strict=True) if bad]
    passing = [set(c.tags) for c, bad in zip(cases, wrong, strict=True) if not bad]
    shared = set.intersection(*failing) - set().union(*passing) if failing and passing else set()
    return min(shared) if shared else ""
