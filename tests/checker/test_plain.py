"""Plain data: what a hostile or unusual value is reduced to, and that JSON brings it back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rlcourse.checker.harness import Case, Failure, Outcome
from rlcourse.checker.plain import Opaque, decode, encode, plain
from rlcourse.checker.probes import Env, Policy, Rng, Select


class EqualsEverything:
    def __eq__(self, other):
        return True

    __hash__ = None


class FriendlyFloat(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


class FriendlyArray(np.ndarray):
    def __eq__(self, other):
        return np.ones(self.shape, dtype=bool)

    __hash__ = None


def test_objects_that_equal_everything_are_opaque_or_lose_their_trick():
    assert type(plain(EqualsEverything())) is Opaque
    number = plain(FriendlyFloat(2.0))
    assert type(number) is float and number == 2.0 and number != 3.0
    array = plain(np.arange(3.0).view(FriendlyArray))
    assert type(array) is np.ndarray and not (array == 5).any()


@pytest.mark.parametrize("value", [True, 3, 2.5, None, "text", [1, 2.0], (1, [True]), {"a": 1}])
def test_plain_values_stay(value):
    reduced = plain(value)
    assert reduced == value and type(reduced) is type(value)


def test_numpy_scalars_become_python_numbers():
    assert type(plain(np.float64(1.5))) is float
    assert type(plain(np.int64(3))) is int
    assert type(plain(np.bool_(True))) is bool
    assert plain(np.float32(1.5)).dtype == np.float32


def test_endless_integers_are_opaque():
    assert plain(2**63) == 2**63
    assert isinstance(plain(10**5000), Opaque)
    assert isinstance(plain(-(10**5000)), Opaque)


def test_arrays_are_copies_and_never_hold_objects():
    original = np.arange(4.0)
    reduced = plain(original)
    original[0] = 9
    assert reduced[0] == 0
    assert type(plain(np.array([object()]))) is Opaque


def test_deep_and_wide_containers_are_cut_off():
    nested = []
    for _ in range(100):
        nested = [nested]
    assert "Opaque" in repr(plain(nested))
    assert type(plain([0] * 100_000)) is Opaque


def same(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=True)
    return repr(a) == repr(b)


ROUND_TRIPS = [
    np.arange(6.0).reshape(2, 3),
    np.array([True, False]),
    np.zeros((0, 3), dtype=np.int64),
    np.array(2.5),
    np.array([np.nan, np.inf]),
    (1, [2.0, None], {"k": (True,)}),
    float("nan"),
    Rng(3),
    Select("worst"),
    Policy(np.eye(2)),
    Opaque("Thing"),
    Outcome(value=(1.0, True), failure=Failure("E", "t", "m", "l"), changed=("v",), notes={"n": 1}),
]


@pytest.mark.parametrize("value", ROUND_TRIPS, ids=repr)
def test_json_brings_it_back(value):
    again = decode(json.loads(json.dumps(encode(value))))
    assert same(again, value)


def test_a_case_with_an_environment_survives_json():
    env = Env(np.ones((1, 1, 1)), np.zeros((1, 1)), np.zeros((1, 1), bool), np.ones(1), 5, 7)
    case = Case("a name", {"env": env, "gamma": 0.9}, ("tag",))
    again = decode(json.loads(json.dumps(encode(case))))
    assert again.name == case.name and again.tags == case.tags
    assert again.inputs["env"].limit == 5 and same(again.inputs["env"].P, env.P)


@pytest.mark.parametrize(
    "forged",
    [
        {"~": "array", "dtype": "O", "shape": [1], "data": "AAAA"},
        {"~": "array", "dtype": "float64", "shape": [9], "data": "AAAA"},
        {"~": "array"},
        {"~": "Popen", "items": []},
        {"~": "Rng", "items": [["seeds", 1]]},
        {"no": "kind"},
        {"~": "tuple", "items": 3},
    ],
)
def test_forged_answers_are_refused(forged):
    with pytest.raises(
        ValueError, match=r"plain data|reshape|buffer|base64|padding|argument|items"
    ):
        decode(forged)
