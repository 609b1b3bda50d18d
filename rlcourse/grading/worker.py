"""Runs in the student's process: defines an exercise, runs it on inputs, writes down what came out.

Started by `sandbox` with nothing but the sealed package on its path. One JSON job on standard
input; one JSON line for each exercise on the descriptor named in the job. No answer is here.
"""

from __future__ import annotations

import ast
import json
import linecache
import os
import resource
import sys
import types


def main() -> None:
    job = json.loads(sys.stdin.buffer.read())
    sys.path[:0] = job["path"]
    limit(job["limits"])
    # Answers leave by a descriptor of their own; whatever is printed goes nowhere.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    from rlcourse.exercises.harness import run
    from rlcourse.exercises.plain import decode, encode

    def tell(**line) -> None:
        answers.write(json.dumps(line) + "\n")
        answers.flush()

    tell(ready=True)
    for task in job["tasks"]:
        function, reason = define(task["name"], task["program"])
        if function is None:
            tell(name=task["name"], undefined=reason)
            continue
        outcomes = []
        for case in map(decode, task["cases"]):
            outcome = run(function, case, task["call"])
            outcomes.append(encode(outcome))
            if outcome.failure is not None and outcome.failure.type_name == "NotImplementedError":
                break
        tell(name=task["name"], outcomes=outcomes)


def limit(limits: dict[str, int]) -> None:
    """Set resource limits, soft and hard, so that they cannot be lifted again."""
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))


def define(name: str, program: list) -> tuple[object, str]:
    """Run the statements of `program` in a module of their own; return its `name`, or why not."""
    module = types.ModuleType("answer")
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
