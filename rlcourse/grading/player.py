"""Trains a student's own agent behind the walls, and answers for it; the environments are the grader's.

Used by `worker` for projects. Each line that goes out is a JSON list: ["make"], ["reset", copy, seed], ["step", copy,
action], which the grader answers; and what became of an order: ["trained", …], ["acts", …], ["failed", …].
Copied into the stage; no answer is here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np


def play(order: dict[str, Any], orders: Any, answers: Any, define: Callable[..., Any]) -> None:
    """Define the function, then do what each line of `orders` says until there are no more."""
    from rlcourse.checker.harness import failure_of
    from rlcourse.checker.plain import encode
    from rlcourse.checker.playing import EnvMaker, Unfit, called, greedy, without_act
    from rlcourse.lab.budget import refused

    def say(*words: Any) -> None:
        answers.write(json.dumps(words) + "\n")
        answers.flush()

    def ask(word: str, *given: Any) -> Any:
        say(word, *(_sent(x) for x in given))
        reply = json.loads(orders.readline())
        if isinstance(reply, str):
            raise refused(reply)
        if word == "make":
            return reply
        observations = spaces[0]
        obs = np.array(reply[0], observations.dtype).reshape(observations.shape)
        return obs if word == "reset" else (obs, *reply[1:])

    say("ready")
    spaces = tuple(map(_space, order["spaces"]))
    function, reason = define(order["name"], order["program"])
    agent: Any = None
    for line in iter(orders.readline, b""):
        word, *given = json.loads(line)
        try:
            if word == "train":
                if function is None:
                    raise NameError(reason)
                maker = EnvMaker(ask, order["env"], spaces)
                agent, remembers = called(function, maker, *given)
                say("trained", without_act(agent), maker.sampled, remembers)
            else:
                obs = np.array(given[0], spaces[0].dtype)
                say("acts", encode(greedy(agent, obs, given[1])))
        except Unfit as unfit:
            say("failed", encode(unfit.failure))
        except BaseException as error:
            say("failed", encode(failure_of(error)))


def _sent(value: Any) -> Any:
    """What an answer gave to `step`, as JSON; what cannot be an action becomes None."""
    if type(value) is int:
        return value
    try:
        return np.asarray(value, dtype=None).tolist()
    except Exception:
        return None


def _space(told: dict[str, Any]) -> Any:
    """A space from what `project` says of it."""
    from gymnasium.spaces import Box, Discrete

    if told["n"] is not None:
        return Discrete(told["n"], start=told["start"])
    low, high = (np.array(told[side], told["dtype"]) for side in ("low", "high"))
    return Box(low, high, dtype=np.dtype(told["dtype"]).type)
