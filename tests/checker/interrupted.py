"""A kernel whose checks are interrupted, one after another; says at the end whether it still checks right.

Run as a program: the processor seconds after which each check in turn is interrupted, as arguments. Prints
JSON: how each interrupted check ended, and what is not as it was.
"""

import contextlib
import io
import json
import os
import signal
import sys
import threading
import time
import warnings

import numpy as np

NAMES = ("dqn_update", "dqn_loss", "run_episode", "sac_update", "reinforce")


def pressed(seconds, act):
    """Call `act`, and press Ctrl-C once this process has used so many seconds more, if it still runs."""
    began, over = time.process_time(), threading.Event()

    def press():
        while time.process_time() - began < seconds:
            if over.wait(0.001):
                return
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    try:
        presser.start()
        act()
        over.set()
        presser.join()
        return "finished"
    except KeyboardInterrupt:
        over.set()
        presser.join()
        return "interrupted"


def shown(function, name):
    from rlcourse.checker import check

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        check(function, name)
    return out.getvalue()


def check_by_name(name):
    # Everything that a student's cell sets off, the declarations' import among it.
    from rlcourse.checker import check

    def answer(*_inputs, **_options):
        return 0.0

    answer.__name__ = name
    check(answer)


def surroundings():
    grad = sys.modules["torch"].is_grad_enabled() if "torch" in sys.modules else True
    return {
        "handler": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "alarm": signal.getsignal(signal.SIGALRM) is signal.SIG_DFL,
        "stdout": sys.stdout is sys.__stdout__,
        "filters": len(warnings.filters),
        "errors": np.geterr(),
        "gradients": grad,
        "profile": sys.getprofile() is None,
        "threads": threading.active_count(),
    }


def main(moments):
    import rlcourse.checker.checking  # noqa: F401 - a cell before has imported `check`

    quiet = open(os.devnull, "w")  # noqa: SIM115
    ended, before = [], surroundings()
    for index, seconds in enumerate(moments):
        name = NAMES[index % len(NAMES)]
        screen, sys.stdout = sys.stdout, quiet
        try:
            ended.append(pressed(seconds, lambda name=name: check_by_name(name)))
        finally:
            if sys.stdout is not quiet:
                ended.append("stdout was not put back")
            sys.stdout = screen
    from rlcourse.checker import get

    after = surroundings()
    # Libraries may add filters of their own when they are imported.
    wrong = [key for key in before if key != "filters" and before[key] != after[key]]
    for name in NAMES:
        exercise = get(name)
        text = shown(exercise.reference, name)
        if "right" not in text:
            wrong.append(text)
        mistake = exercise.mistakes[0]
        text = shown(mistake.implementations[0], name)
        if mistake.name not in text:
            wrong.append(text)
    print(json.dumps({"ended": ended, "wrong": wrong}))


if __name__ == "__main__":
    main([float(seconds) for seconds in sys.argv[1:]])
