"""Runs in the student's process: defines an exercise, runs it on inputs, writes down what came out.

Started by `sandbox` with nothing but the sealed package on its path. It reads one JSON job and
writes one JSON line for each exercise (a project goes on talking: `player`). A warm worker has imported what answers need, never reads a
job itself, and forks a walled process for every submission. No answer is here.
"""

from __future__ import annotations

import ast
import json
import linecache
import os
import sys
import time
import types

MAX_THREADS = 64  # More would take the processor from the neighbours.


def main() -> None:
    settings = json.loads(sys.argv[1])
    sys.path[:0] = settings["path"]
    job, answers = os.dup(0), os.dup(1)
    # Answers leave by a descriptor of their own; whatever is printed goes nowhere.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    import rlcourse.checker.harness

    if settings["torch"]:
        import rlcourse.checker.networks

        rlcourse.checker.networks.warm_up()  # once, not in every fork
    used = memory_in_use()
    if settings["warm"]:
        os.close(answers)
        job, answers = serve(job, settings["scratch"], settings["disk"])
    limit(settings["limits"], used)
    answer(job, answers)


# ------------------------------------------------------------------------------------ being warm


def serve(control: int, scratch: str, disk: int) -> tuple[int, int]:
    """Fork for every submission; returns only in the forks, with the descriptors of job and answers.

    Words on the control socket: "j" with two descriptors is a job, "k" ends the one that runs, "c" asks
    for the processor seconds that it has used, which are the answer; "r" is said once, when all is
    ready, and "e" when a submission has ended and nothing of it is left.
    """
    import gc
    import select
    import socket

    from walls import adopt_orphans, walled_fork

    adopt_orphans()
    words = socket.socket(fileno=control)
    probe = walled_fork(scratch, disk)
    if probe == 0:
        os._exit(0)
    if os.waitpid(probe, 0)[1] != 0:
        os._exit(1)
    gc.collect()
    gc.freeze()  # Forks share this memory as long as nobody touches it.
    words.send(b"r")
    while True:
        word, descriptors, _, _ = socket.recv_fds(words, 1, 2)
        if not word:
            os._exit(0)  # The grader has gone.
        if word != b"j":
            continue  # "k" or "c" for one that had just ended
        child = walled_fork(scratch, disk)
        if child == 0:
            words.close()
            return descriptors[0], descriptors[1]
        for descriptor in descriptors:
            os.close(descriptor)
        ended = os.pidfd_open(child)
        while ended not in (ready := select.select([words, ended], [], [], 0.25)[0]):
            if not ready and threads_of(child) <= MAX_THREADS:
                continue
            if ready and words.recv(1) == b"c":
                words.send(processor_seconds(child))
                continue
            os.kill(child, 9)
            break
        os.close(ended)
        os.waitpid(child, 0)
        words.send(b"e")


def threads_of(process: int) -> int:
    """How many threads a process has: the kernel's own limit on them does not hold for root's."""
    try:
        return len(os.listdir(f"/proc/{process}/task"))
    except OSError:  # It has just ended, which is said next.
        return 0


def processor_seconds(process: int) -> bytes:
    """What a process, all its threads, has used: Linux has a clock of this number for each process."""
    try:
        return str(time.clock_gettime(~process << 3 | 2)).encode()
    except OSError:  # It has just ended, which is said next.
        return b"0"


# ---------------------------------------------------------------------------------------- limits


def memory_in_use() -> int:
    """Bytes of address space that the imports have taken."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def limit(limits: dict[str, int], used: int) -> None:
    """Set resource limits, soft and hard, so that they cannot be lifted again; then give up rights."""
    try:
        import resource
    except ImportError:  # Windows has none; the time limit is kept from outside.
        return
    from walls import give_up

    for name, value in limits.items():
        value += used if name == "RLIMIT_AS" else 0
        hard = resource.getrlimit(getattr(resource, name))[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(getattr(resource, name), (value, value))
    give_up()


# ---------------------------------------------------------------------------------- the exercises


def answer(job: int, answers: int) -> None:
    from rlcourse.checker.harness import run
    from rlcourse.checker.plain import decode, encode

    with os.fdopen(job, "rb") as stream:
        tasks = json.loads(stream.readline())
        if isinstance(tasks, dict):  # A project: more orders follow.
            import player

            player.play(tasks, stream, os.fdopen(answers, "w", encoding="utf-8"), define)
            return
    stream = os.fdopen(answers, "w", encoding="utf-8")

    def tell(**line) -> None:
        stream.write(json.dumps(line) + "\n")
        stream.flush()

    tell(ready=True)
    for task in tasks:
        function, reason = define(task["name"], task["program"])
        if function is None:
            tell(name=task["name"], undefined=reason)
            continue
        outcomes = []
        for case in map(decode, task["cases"]):
            outcome = run(function, case, task["call"])
            outcomes.append(encode(outcome))
            if outcome.failure is not None and outcome.failure.unwritten:
                break
        tell(name=task["name"], outcomes=outcomes)


def define(name: str, program: list) -> tuple[object, str]:
    """Run the statements of `program` in a module of their own; return its `name`, or why not."""
    module = types.ModuleType("answer")
    module.display = print  # Every notebook has it.
    sys.modules["answer"] = module
    reason = "the notebook does not define it"
    for cell_number, source, indices in program:
        filename = f"cell {cell_number}"
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        body = ast.parse(source).body
        for index in indices:
            try:
                code = compile(ast.Module([body[index]], []), filename, "exec")
                exec(code, module.__dict__)
            except Exception as error:
                reason = f"{type(error).__name__} while it was defined: {str(error)[:300]}"
    return module.__dict__.get(name), reason


if __name__ == "__main__":
    main()
    # Nothing that a submission left to be done at exit is waited for.
    os._exit(0)
