"""Two plain values: are they equal, does one have the right form, and how do they differ?

A way of calling may hand back a report in place of a value: a dictionary with the `value`, or what
was `returned` by each of several calls, beside what was seen (gradients, weights, …).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from .declaration import Exercise, Shape
from .following import how_it_follows
from .harness import Case
from .plain import Opaque, Tensor

Close = partial  # `same` with an exercise's tolerance

# ---------------------------------------------------------------------------------------- form


def ill_formed(exercise: Exercise, value: Any, reference: Any) -> str:
    """`malformed` of an outcome's value, or of those in its report."""
    form = exercise.returns
    if exercise.call is None:
        return malformed(value, form, reference)
    if _has(value, "value"):
        return malformed(value["value"], form, reference["value"])
    if _has(value, "returned"):
        pairs = zip(value["returned"], reference["returned"], strict=True)
        return next(filter(None, (malformed(v, form, r) for v, r in pairs)), "")
    return ""


def _has(value: Any, key: str) -> bool:
    return isinstance(value, dict) and key in value


def unpacked(exercise: Exercise, value: Any) -> Any:
    """`value`; an array as a tuple of its numbers, where `row_of` is asked for."""
    form = exercise.returns
    array = isinstance(value, np.ndarray) and value.shape == (len(form.items),)
    return tuple(value.tolist()) if form.dtype == "row" and array else value


def malformed(value: Any, form: Shape, reference: Any, name: str = "your result") -> str:
    """What is wrong with the form of `value`: its type, shape, dtype or finiteness; "" if nothing."""
    if form.kind == "anything":
        return ""
    if form.kind == "array" and type(reference) is float:
        form = Shape("float")  # of inputs without an axis more, one number comes out
    if value is None:
        return f"{name} is None: is a `return` missing, or one branch without it?"
    if form.kind == "tuple":
        return _malformed_tuple(value, form, reference, name)
    if form.kind == "array":
        return _malformed_array(value, form, reference, name)
    if form.kind in ("tensor", "numbers"):
        return _malformed_tensor(value, form, reference, name)
    if form.kind == "figures":
        return _malformed_figures(value, name)
    if form.kind == "loss":
        value, reference = _loose(value), _loose(reference)
    single = _single(value)
    if single is None:
        wanted = {"int": "one integer", "bool": "True or False"}.get(form.kind, "one number")
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
        return f"{name} should be a NumPy array of numbers; it is {describe(value)}."
    if value.shape != reference.shape:
        return f"{name} should have shape {reference.shape}; it has shape {value.shape}."
    if value.size == 0:
        return ""  # an empty list turned into an array is float64, whatever was meant
    kind = value.dtype.kind
    if form.dtype == "int" and kind not in "iu":
        return f"{name} should hold integers; its dtype is {value.dtype}."
    if form.dtype in ("float", "any float") and kind in "iub":
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


def _malformed_tensor(value: Any, form: Shape, reference: Any, name: str) -> str:
    array = value.data if isinstance(value, Tensor) else value
    right = reference.data if isinstance(reference, Tensor) else reference
    tensors_only = "tensor" in (form.kind, form.dtype)
    if not isinstance(value, Tensor) and (tensors_only or not _numeric(value)):
        return f"{name} should be a tensor; it is {describe(value)}."
    if np.shape(array) != np.shape(right):
        return f"{name} should have shape {np.shape(right)}; it has shape {np.shape(array)}."
    if isinstance(array, np.ndarray) and array.dtype.kind != "f" and np.size(array):
        return f"{name} should hold floats; its dtype is {array.dtype}."
    bad = np.isfinite(right) & ~np.isfinite(array)
    if np.any(bad):
        what = "NaN" if np.isnan(array)[bad].any() else "infinite"
        return f"{name} holds {what} values ({np.count_nonzero(bad)} of {np.size(array)})."
    return ""


def _malformed_figures(value: Any, name: str) -> str:
    if not isinstance(value, dict) or not value:
        found = "empty" if value == {} else describe(value)
        return f"{name} should be a dictionary of numbers, a name for each; it is {found}."
    for key, figure in value.items():
        single = _single(_loose(figure))
        number = type(single) in (int, float)
        if not number or not np.isfinite(single):
            found = single if number else describe(figure)
            return f"{name} should hold finite numbers; {key!r} is {found}."
    return ""


def _loose(value: Any) -> Any:
    """A tensor's numbers, whatever its gradient; anything else as it is."""
    return value.data if isinstance(value, Tensor) else value


def _all_loose(value: Any) -> Any:
    """`_loose`, of each part where there are several."""
    return tuple(map(_loose, value)) if isinstance(value, tuple | list) else _loose(value)


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
        array = value.type_name.startswith("array of")
        return f"an {value.type_name}" if array else f"of type {value.type_name}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return {type(None): "None"}.get(type(value), f"of type {type(value).__name__}")


# ---------------------------------------------------------------------------------------- values


def same(a: Any, b: Any, rtol: float = 1e-9, atol: float = 1e-10) -> bool:
    """Equality of plain values up to tolerance; shapes must agree, NaN equals NaN.

    Tensors must agree in whether a gradient flows through them: where mere numbers are asked for
    (`numbers()`), `_comparable` has taken that out before.
    """
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


def same_answer(exercise: Exercise, a: Any, b: Any) -> bool:
    """Equality of what two functions did, to the exercise's tolerance; what may differ left aside."""
    # Only a way of calling makes reports; an answer may return a dictionary with any keys.
    bare = _numbers_alone if exercise.call is None else _comparable
    form = exercise.returns
    return same(bare(a, form), bare(b, form), exercise.rtol, exercise.atol)


def _comparable(value: Any, form: Shape) -> Any:
    if _has(value, "returned"):
        free = form.kind in ("anything", "figures")
        return value | {"returned": None if free else [_all_loose(x) for x in value["returned"]]}
    if not _has(value, "value"):
        return _numbers_alone(value, form)
    bare = value | {"value": _numbers_alone(value["value"], form)}
    if _has(value, "gradients"):
        forms = list(form.items.values()) or [form]
        pairs = zip(value["gradients"], forms, strict=False)  # a malformed tuple may be longer
        bare["gradients"] = [{} if part.kind == "numbers" else own for own, part in pairs]
    return bare


def _numbers_alone(value: Any, form: Shape) -> Any:
    """The value without the graphs that hang on parts of which the numbers alone are asked."""
    if form.kind == "numbers":
        return _loose(value)
    if form.kind == "tuple" and isinstance(value, tuple | list) and len(value) == len(form.items):
        parts = zip(value, form.items.values(), strict=True)
        return tuple(_numbers_alone(each, part) for each, part in parts)
    return value


def right(exercise: Exercise, case: Case, value: Any, reference: Any) -> bool:
    """Whether `value` answers the case, by the exercise's own rule or by its tolerance."""
    if exercise.agrees is not None:
        return bool(exercise.agrees(case, value, reference))
    return same_answer(exercise, value, reference)


# ----------------------------------------------------------------------------------- difference


def difference(exercise: Exercise, case: Case, value: Any, reference: Any) -> str:
    """How a wrong value differs, in words that do not give the right numbers away."""
    close = partial(same, rtol=exercise.rtol, atol=exercise.atol)
    form = exercise.returns
    if _has(value, "value"):
        value, reference = _comparable(value, form), _comparable(reference, form)
        if not close(value["value"], reference["value"]):
            return _value_difference(case, value["value"], reference["value"], form, close)
        return _report_difference(value, reference, form, close)
    seen = form.kind != "figures" or _has(value, "returned")
    if isinstance(value, dict) and isinstance(reference, dict) and seen:
        return _report_difference(
            _comparable(value, form), _comparable(reference, form), form, close
        )
    value, reference = _numbers_alone(value, form), _numbers_alone(reference, form)
    return _value_difference(case, value, reference, form, close)


def _value_difference(case: Case, value: Any, reference: Any, form: Shape, close: Close) -> str:
    if form.kind == "tuple":
        parts = zip(form.items, value, reference, strict=True)
        wrong = [(part, v, r) for part, v, r in parts if not close(v, r)]
        if not wrong:
            return ""
        good = [f"`{part}`" for part in form.items if part not in [w[0] for w in wrong]]
        part, v, r = wrong[0]
        start = (
            f"{' and '.join(good)} {'is' if len(good) == 1 else 'are'} right, but " if good else ""
        )
        return f"{start}`{part}` {_difference(case, v, r, close)}"
    return f"Your result {_difference(case, value, reference, close)}"


_SEEN = {
    "same_objects": "A weight was replaced by another tensor: whoever holds the network sees the old one.",
    "own_memory": "Two networks share the memory of a weight: a step of one is now a step of both.",
    "recorded": "A weight has become part of a graph: the change itself was recorded for differentiation.",
    "frozen": "A network that you were only lent wants no gradients any more: nobody could train it now.",
    "sample": "The sample `a` was changed in place; the caller still needs the old one.",
    "returned": "What it returns is not the loss of the weights it was given.",
    "lengths": "Its length is wrong after some additions.",
    "batches": "What is drawn from it is not what was put in.",
    "again": "What it remembers changed when a drawn batch was written to.",
    "empty": "Drawing from an empty one should raise ValueError.",
    "dtypes": "A field of the batch has the wrong dtype.",
}


def _report_difference(value: dict, reference: dict, form: Shape, close: Close) -> str:
    """What was seen beside the value: the first thing that differs, in words."""
    for key in reference:
        if close(value.get(key), reference[key]):
            continue
        if key == "gradients":
            return _gradient_difference(value[key], reference[key], form, close)
        if key == "weights":
            return _weight_difference(value[key], reference[key], close)
        return _SEEN.get(key, "")
    return ""


def _gradient_difference(value: list, reference: list, form: Shape, close: Close) -> str:
    """Which input's gradient is wrong, and whether it is missing, not wanted, or another one."""
    parts = [f" of `{part}`" for part in form.items] or [""]
    for part, mine, theirs in zip(parts, value, reference, strict=True):
        for name in theirs:
            a, b = mine[name], theirs[name]
            if close(a, b):
                continue
            if not np.any(b):
                return (
                    f"The value is right, but a gradient{part} reaches `{name}`, where none should "
                    "arrive. What is a mere number in this equation?"
                )
            if not np.any(a):
                return (
                    f"The value is right, but no gradient{part} reaches `{name}`: something on the "
                    "way is detached."
                )
            how = "has the opposite sign" if close(a, -b) else "is wrong"
            how = "holds NaN" if np.isnan(a).any() and not np.isnan(b).any() else how
            return f"The value is right, but the gradient{part} that reaches `{name}` {how}."
    return ""


def _weight_difference(value: dict, reference: dict, close: Close) -> str:
    """Which part's weights are wrong after which call, and whether they moved at all."""
    n_calls = min(len(w) for w in reference.values()) - 1
    for call in range(1, n_calls + 1):
        for name in reference:
            if name not in value or value[name].shape != reference[name].shape:
                return f"`{name}` is not what it was: its weights have another shape."
            a, b = value[name], reference[name]
            if close(a[call], b[call]):
                continue
            when = "" if n_calls == 1 else f" after call {call} of {n_calls}"
            if close(b[call], b[call - 1]):
                return f"`{name}` has moved{when}, where it should have stayed."
            if close(a[call], a[call - 1]):
                return f"`{name}` has not moved{when}."
            if close(a[call] - a[call - 1], b[call - 1] - b[call]):
                return f"`{name}` has moved the opposite way{when}."
            said = how_it_follows(value, reference, name, call)
            if said:
                return f"`{name}` {said}{when}."
            return f"`{name}` is not where it should be{when}."
    return ""


def _difference(case: Case, value: Any, reference: Any, close: Close) -> str:
    if isinstance(value, Tensor) and isinstance(reference, Tensor):
        if value.requires_grad != reference.requires_grad and close(value.data, reference.data):
            if reference.requires_grad:
                return "has the right value, but no gradient can flow through it."
            return (
                "has the right value, but a gradient flows through it: it should be a mere number."
            )
        value, reference = value.data, reference.data
    if type(_single(value)) is bool and type(_single(reference)) is bool:
        return f"is {_single(value)} where it should be {_single(reference)}."
    if not (_numeric(value) and _numeric(reference)):
        return "is not what the equation gives."
    a = np.asarray(value, dtype=np.float64)
    b = np.asarray(reference, dtype=np.float64)
    if a.shape != b.shape:
        return f"has shape {a.shape} instead of {b.shape}."
    return (
        _near(a, b)
        or _whole_pattern(case, a, b, close)
        or _place_pattern(case, a, b, close)
        or (_size(a, b) if a.size == 1 else _wrong_places(a, b, close))
    )


def _wrong_places(a: np.ndarray, b: np.ndarray, close: Close) -> str:
    """Which places are wrong, counted from 0, and whether they are all too large or too small."""
    wrong = _wrong(a, b, close)
    signs = set(np.sign((a - b)[wrong]))
    how = {1.0: ", too large in each", -1.0: ", too small in each"}
    by_size = how.get(signs.pop(), "") if len(signs) == 1 else ""
    if wrong.all():
        return f"is wrong in all of its {a.size} places{by_size}."
    rows = np.flatnonzero(_any_in_row(wrong))
    what = "rows" if a.ndim > 1 else "places"
    if 0 < len(rows) <= 4 and len(rows) < len(wrong):
        *most, last = map(str, rows)
        listed = f"{what} {', '.join(most)} and {last}" if most else f"{what[:-1]} {last}"
        return f"is wrong in {listed} of 0 to {len(wrong) - 1}{by_size}."
    return f"is wrong in {wrong.sum()} of {a.size} places{by_size}."


def _whole_pattern(case: Case, a: np.ndarray, b: np.ndarray, close: Close) -> str:
    """A relation between all of a and all of b: sign, factor, offset, order."""
    if close(a, -b) and a.any():
        return "has the opposite sign."
    if not a.any():
        return "is zero everywhere." if a.ndim else "is zero."
    nonzero = np.abs(b) > 1e-12
    if nonzero.any() and close(a[~nonzero], b[~nonzero]):
        ratio = a[nonzero] / b[nonzero]
        if np.isfinite(ratio).all() and close(ratio, np.full_like(ratio, ratio.flat[0])):
            named = _named(case, float(ratio.flat[0]))
            if named or a.size > 1:
                return f"is off by one and the same factor{named}."
    if len(np.unique(b)) < 3 and a.size > 1:
        return (
            ""  # among a few values, ones and zeros say, any order or difference is a coincidence
        )
    if a.size > 1 and close(a - b, np.full_like(a, (a - b).flat[0])):
        return "is off by one and the same amount everywhere."
    if a.ndim == 2 and a.shape[0] == a.shape[1] and close(a, b.T):
        return "is transposed: rows and columns are exchanged."
    if a.ndim >= 1 and a.shape[0] > 2:
        if close(a, b[::-1]):
            return "is in reverse order."
        if close(a[1:], b[:-1]) or close(a[:-1], b[1:]):
            return "is shifted by one place."
    return ""


def _named(case: Case, ratio: float) -> str:
    gamma = case.inputs.get("gamma")
    known = {"2": 2.0, "½": 0.5}
    if isinstance(gamma, float) and 0 < gamma < 1:
        known |= {"γ": gamma, "1/γ": 1 / gamma, "1 − γ": 1 - gamma, "1/(1 − γ)": 1 / (1 - gamma)}
    return next((f", {name}" for name, x in known.items() if same(ratio, x, 1e-6)), "")


def _place_pattern(case: Case, a: np.ndarray, b: np.ndarray, close: Close) -> str:
    """Where a is wrong: exactly the terminated rows, only the first or last place, …"""
    if a.ndim == 0 or a.size < 2:
        return ""
    rows = _any_in_row(_wrong(a, b, close))
    for what, which in _rows_flagged(case, len(rows)).items():
        if 0 < which.sum() < len(rows) and (rows == which).all():
            return f"is wrong exactly in the rows where {what}."
    for place, index in (("first", 0), ("last", -1)):
        if len(rows) > 2 and rows[index] and rows.sum() == 1:
            return f"is wrong only in the {place} {'row' if a.ndim > 1 else 'place'}."
        if len(rows) > 2 and not rows[index] and rows.sum() == len(rows) - 1:
            return f"is right only in the {place} {'row' if a.ndim > 1 else 'place'}."
    return ""


def wrong_rows(exercise: Exercise, value: Any, reference: Any) -> np.ndarray | None:
    """Which rows of an array or tensor are wrong, as a mask; None where a value has no rows."""
    a, b = (_loose(v["value"] if _has(v, "value") else v) for v in (value, reference))
    arrays = isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
    if not arrays or a.shape != b.shape or not b.ndim or "O" in (a.dtype.kind, b.dtype.kind):
        return None
    return _any_in_row(differing(exercise, a, b))


def rows_with(case: Case, n: int) -> dict[str, np.ndarray]:
    """Properties that rows may have in common: phrase -> which of the n rows have it."""
    found = _rows_flagged(case, n)
    for name, given in case.inputs.items():
        values = _loose(given)
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "bfiu":
            continue
        if values.shape == (n,):
            if name not in _FLAGS and values.dtype.kind != "b":
                found[f"`{name}` is negative"] = values < 0
                found[f"`{name}` is positive"] = values > 0
                found[f"`{name}` is 0"] = values == 0
        elif values.ndim == 2 and len(values) == n and values.size:
            largest = values == values.max(axis=1, keepdims=True)
            found[f"two entries of `{name}` tie for the largest"] = largest.sum(axis=1) > 1
            found[f"every entry of `{name}` is negative"] = (values < 0).all(axis=1)
    return found


_FLAGS = ("terminated", "truncated")


def _rows_flagged(case: Case, n: int) -> dict[str, np.ndarray]:
    """Where an episode ended or went on: phrase -> which of the n rows."""
    found: dict[str, np.ndarray] = {}
    for flag in _FLAGS:
        values = _loose(case.inputs.get(flag))
        if isinstance(values, np.ndarray) and values.shape == (n,):
            found[f"`{flag}` is 1"] = values.astype(bool)
            found[f"`{flag}` is 0"] = ~values.astype(bool)
    return found


def _any_in_row(wrong: np.ndarray) -> np.ndarray:
    return wrong.any(axis=tuple(range(1, wrong.ndim)))


def differing(exercise: Exercise, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two arrays of one shape differ by more than the exercise's tolerance, as a mask."""
    return ~np.isclose(a, b, rtol=exercise.rtol, atol=exercise.atol, equal_nan=True)


def _wrong(a: np.ndarray, b: np.ndarray, close: Close) -> np.ndarray:
    """`differing`, to the tolerance of `close`."""
    return ~np.isclose(a, b, **close.keywords, equal_nan=True)


def _near(a: np.ndarray, b: np.ndarray) -> str:
    if not np.allclose(a, b, rtol=1e-4, atol=0.0):
        return ""
    return (
        "is right in its first digits only: "
        "does something round on the way, or a loop stop at another moment than asked?"
    )


def _size(a: np.ndarray, b: np.ndarray) -> str:
    return f"is too {'large' if a.item() > b.item() else 'small'}."


def common_tag(cases: Sequence[Case], wrong: Sequence[bool]) -> str:
    """A tag that all wrong cases carry and no right one does; "" if there is none."""
    failing = [set(c.tags) for c, bad in zip(cases, wrong, strict=True) if bad]
    passing = [set(c.tags) for c, bad in zip(cases, wrong, strict=True) if not bad]
    shared = set.intersection(*failing) - set().union(*passing) if failing and passing else set()
    return min(shared) if shared else ""
