"""Projects behind the walls: right ones get their points, and no trick earns what was not learned.

The task is CartPole with a small budget and a low mark, so that it is quick. `PERFECT` stands for what has
learned well: it is a policy that was known, and pretends not to know it while the budget is tiny. That much no
grader can see; everything else that is tried here gains nothing.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import textwrap

import nbformat
import pytest
from nbformat import v4

from rlcourse.checker import get
from rlcourse.grading.feedback import told
from rlcourse.grading.marking import Course, mark
from rlcourse.grading.sandbox import Sandbox, bubblewrap
from rlcourse.grading.stage import sealed_names
from rlcourse.grading.submissions import Submission
from rlcourse.lab.budget import TASKS, Task

pytestmark = pytest.mark.skipif(
    bubblewrap() is None, reason="bubblewrap works on Linux only; elsewhere grading refuses"
)

RULES, POINTS = 2, get("train_agent").points

HONEST = """
import numpy as np

class Lines:
    def __init__(self, weights):
        self.weights = weights

    def act(self, obs, rng, explore=True):
        return (obs @ self.weights).argmax(axis=1)

def play(make_env, steps, seed):
    env, rng = make_env(), np.random.default_rng(seed)
    env.reset(seed=seed)
    for _ in range(steps):
        *_, terminated, truncated, _ = env.step(int(rng.integers(2)))
        if terminated or truncated:
            env.reset()
    return Lines(rng.normal(size=(4, 2)) * np.array([[1, 1], [1, 1], [1, -1], [1, -1]]))
"""
BAD = "[[0, 0.1], [0, 0.5], [0, -5.0], [0, -1.0]]"
GOOD = "[[0, 0.1], [0, 0.5], [0, 5.0], [0, 1.0]]"


def answer(body: str, before: str = "", task: str = 'TASK = "CartPole-v1"') -> bytes:
    """A notebook of lesson 20 with this answer."""
    body = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    source = f"{task}\n{HONEST}\n{before}\ndef train_agent(make_env, steps, seed):\n{body}\n"
    nb = v4.new_notebook(cells=[v4.new_code_cell(source)])
    nb.metadata["rlcourse"] = {"lesson": "20"}
    return nbformat.writes(nb).encode()


def fails(during: str = "") -> bytes:
    """Tries a trick inside the function (of a cell nothing else is run), plays, and has learned nothing."""
    body = f"{textwrap.dedent(during).strip()}\nagent = play(make_env, steps, seed)\nagent.weights = np.array({BAD})\nreturn agent"
    return answer(body)


PERFECT = f"""
agent = play(make_env, steps, seed)
agent.weights = np.array({GOOD}) if steps > 100 else np.zeros((4, 2))
return agent
"""

SAY = """
import json, os
def say(text):
    for descriptor in range(3, 40):
        try: os.write(descriptor, text.encode())
        except OSError: pass
"""

# name -> the answer, and the states that it may come to.
HOSTILE = {
    "patches the reward": (
        fails(
            """
            import rlcourse.lab.budget as budget
            step = budget.BudgetedEnv.step
            budget.BudgetedEnv.step = lambda self, a: (lambda o, r, *rest: (o, 1e9, *rest))(*step(self, a))
            """
        ),
        {"failed"},
    ),
    "says that no episode ends": (
        fails(
            """
            import rlcourse.lab.budget as budget
            step = budget.BudgetedEnv.step
            budget.BudgetedEnv.step = lambda self, a: (*step(self, a)[:2], False, False, {})
            """
        ),
        {"failed"},
    ),
    "patches everything that judges": (
        fails(
            """
            import sys
            for key, module in list(sys.modules.items()):
                if key.startswith(("rlcourse", "gymnasium", "player", "__main__")):
                    for name in ("evaluate", "judge_runs", "keeps_rules", "run_test", "refused", "step", "reset", "Host"):
                        try: setattr(module, name, lambda *a, **k: 1e9)
                        except Exception: pass
            """
        ),
        {"failed"},
    ),
    "patches what draws the starts": (
        fails(
            """
            import gymnasium
            gymnasium.utils.seeding.np_random = lambda seed=None: (np.random.default_rng(0), 0)
            gymnasium.Env.reset = lambda *a, **k: (np.zeros(4, np.float32), {})
            """,
        ),
        {"failed"},
    ),
    "makes an environment of its own": (
        answer(
            f"""
            import gymnasium
            env = gymnasium.make("CartPole-v1")
            env.reset(seed=seed)
            agent = play(make_env, steps, seed)
            agent.weights = np.array({GOOD})
            return agent
            """
        ),
        {"failed"},
    ),
    "digs for the environment": (
        answer(
            f"""
            env = make_env()
            inner = env.unwrapped.env if hasattr(env.unwrapped, "env") else env.unwrapped.state
            return Lines(np.array({GOOD}))
            """
        ),
        {"failed"},
    ),
    "catches BudgetSpent and goes on": (
        answer(
            f"""
            env = make_env()
            env.reset(seed=seed)
            for _ in range(steps + 200):
                try:
                    *_, terminated, truncated, _ = env.step(0)
                except Exception:
                    continue
                if terminated or truncated:
                    env.reset()
            return Lines(np.array({GOOD}))
            """
        ),
        {"failed"},
    ),
    "plays a trajectory": (
        answer(
            """
            play(make_env, steps, seed)
            class Recorded:
                calls = 0
                def act(self, obs, rng, explore=True):
                    self.calls += 1
                    return np.full(len(obs), self.calls // 3 % 2)
            return Recorded()
            """
        ),
        {"failed"},
    ),
    "knows the answer": (
        answer(f"play(make_env, steps, seed)\nreturn Lines(np.array({GOOD}))"),
        {"failed"},
    ),
    "goes on from the last run": (
        answer(
            f"""
            memory.append(seed)
            agent = play(make_env, steps, seed + len(memory))
            agent.weights = np.array({GOOD})
            return agent
            """,
            "memory = []",
        ),
        {"failed"},
    ),
    "calls a finished agent": (
        answer("from rlcourse.values.dqn import DQN\nreturn DQN.for_env(make_env, seed=seed)"),
        {"forbidden"},
    ),
    "calls the course's own answer": (
        answer("from rlcourse.policies.own_agent import train_agent as t\nreturn t(make_env, steps, seed)"),
        {"forbidden"},
    ),
    "looks for the judge": (
        answer("import rlcourse.checker.trials as t\nreturn t"),
        {"forbidden"},
    ),
    "walks the frames": (
        answer(
            """
            import gc, sys
            frame, found = sys._getframe(), []
            while frame:
                found += [v for v in frame.f_locals.values() if "Seeds" in type(v).__name__ or "Host" in type(v).__name__]
                frame = frame.f_back
            found += [o for o in gc.get_objects() if type(o).__name__ in ("Seeds", "Host", "SandboxedStudent")]
            return found[0]
            """
        ),
        {"failed"},
    ),
    "sleeps": (answer("import time\ntime.sleep(10_000)"), {"timeout"}),
    "never ends": (answer("while True: pass"), {"timeout"}),
    "dies": (answer("import os\nos._exit(0)"), {"crash"}),
    "dies when it is asked": (
        answer(
            """
            import os
            play(make_env, steps, seed)
            class Dying:
                def act(self, obs, rng, explore=True): os._exit(0)
            return Dying()
            """
        ),
        {"crash"},
    ),
    "sleeps when it is asked": (
        answer(
            """
            import time
            play(make_env, steps, seed)
            class Asleep:
                def act(self, obs, rng, explore=True): time.sleep(10_000)
            return Asleep()
            """
        ),
        {"timeout"},
    ),
    "floods the answers": (answer("for _ in range(1000): say('x' * 100_000)", SAY), {"overflow", "crash"}),
    "floods with what is no answer": (answer("for _ in range(10**5): say('spam\\n')", SAY), {"crash"}),
    "says that it is trained": (
        answer(
            """
            say(json.dumps(["trained", "", 0, ""]) + "\\n")
            for _ in range(10**5):
                say(json.dumps(["acts", [1] * 64]) + "\\n")
            """,
            SAY,
        ),
        {"failed", "crash", "overflow"},
    ),
    "asks for a copy that is not there": (answer("say('[\"step\", 7, 0]\\n')\nreturn 1", SAY), {"crash"}),
    "asks with nonsense": (answer("say('[\"reset\", 0, [1]]\\n')\nreturn 1", SAY), {"crash"}),
    "answers at great length": (
        answer(
            """
            agent = play(make_env, steps, seed)
            agent.act = lambda obs, rng, explore=True: np.zeros(10**7)
            return agent
            """
        ),
        {"failed", "overflow"},
    ),
    "equals everything": (
        answer(
            """
            play(make_env, steps, seed)
            class Everything(np.ndarray):
                def __eq__(self, other): return np.ones(len(self), bool)
            agent = Lines(None)
            agent.act = lambda obs, rng, explore=True: np.zeros(len(obs)).view(Everything)
            return agent
            """
        ),
        {"failed"},
    ),
    "takes all memory": (answer("return [bytearray(2**27) for _ in range(10_000)]"), {"failed", "crash"}),
    "makes too many copies": (answer("return [make_env() for _ in range(10**6)]"), {"failed"}),
    "another task": (answer(PERFECT, task='TASK = "FrozenLake-v1"'), {"failed"}),
    "a task of its own": (
        answer(PERFECT, "from rlcourse.lab.budget import Task", 'TASK = Task("CartPole-v1", 10, -1)'),
        {"failed"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def course():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "CartPole-v1", Task("CartPole-v1", 256, 150.0))
        yield Course("20", Sandbox(sealed_names("20"), run_seconds=20), "a secret")


def marked(course, data, student="mallory"):
    record = mark(course, Submission(student, f"{student}.ipynb", data))
    assert record["state"] == "graded", record["reason"]
    return next(m for m in record["exercises"] if m["name"] == "train_agent")


def test_a_project_that_has_learned_gets_its_points(course):
    one = marked(course, answer(PERFECT))
    assert (one["state"], one["score"], one["cases_passed"]) == ("passed", POINTS, 3), one
    assert "3 of 3 runs reached the mark" in one["explanation"]


def test_the_notebooks_prints_do_not_matter(course):
    one = marked(course, answer('print("x" * 10**7)\n' + PERFECT))
    assert one["state"] == "passed", one


def test_a_project_that_has_learned_nothing_gets_the_points_for_the_rules(course):
    one = marked(course, fails())
    assert (one["state"], one["score"], one["mistake"]) == ("failed", RULES, None), one
    assert "0 of 3 runs reached the mark" in " ".join(told(one))


def test_the_same_secret_and_student_give_the_same_record(course):
    first, again = (marked(course, fails(), "ada") for _ in range(2))
    assert first == again
    other = marked(dataclasses.replace(course, secret="another"), fails(), "ada")
    assert other["explanation"] != first["explanation"]  # other starts


def test_an_unwritten_project_is_not_attempted(course):
    one = marked(course, answer('raise NotImplementedError("Exercise 20.9: train_agent")'))
    assert (one["state"], one["score"]) == ("not attempted", 0)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_trick_earns_what_was_not_learned(course, name):
    data, states = HOSTILE[name]
    if states == {"timeout"}:
        course = dataclasses.replace(
            course, sandbox=dataclasses.replace(course.sandbox, run_seconds=1)
        )
    one = marked(course, data)
    assert one["state"] in states, (one["state"], one["headline"], one["explanation"])
    assert one["score"] <= (RULES if one["state"] == "failed" else 0)


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("catches BudgetSpent and goes on", "over-budget"),
        ("plays a trajectory", "plays-back-its-best-episode"),
        ("knows the answer", "knew-before-learning"),
        ("goes on from the last run", "remembers-earlier-runs"),
        ("says that no episode ends", "steps-after-the-end"),
    ],
)
def test_tricks_are_called_by_their_name(course, name, mistake):
    one = marked(course, HOSTILE[name][0])
    assert (one["mistake"], one["score"]) == (mistake, 0), one


@pytest.mark.full
def test_a_folder_of_projects_is_graded_by_the_command(tmp_path):
    folder = tmp_path / "class"
    folder.mkdir()
    for name, data in {"ada": answer(PERFECT), "ben": fails(), "zoe": b"no notebook"}.items():
        (folder / f"{name}.ipynb").write_bytes(data)
    command = [sys.executable, "-m", "rlcourse", "grade", "20", str(folder), "--secret", "s"]
    process = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, timeout=900
    )
    assert process.returncode == 0 and "2 of 3 submissions graded" in process.stdout, process.stderr
    records = json.loads((tmp_path / "out" / "results.json").read_text())["submissions"]
    assert [(r["student"], r["state"], r["score"]) for r in records] == [
        ("ada", "graded", POINTS),
        ("ben", "graded", RULES),
        ("zoe", "unreadable", 0),
    ]
    page = (tmp_path / "out" / "feedback" / "ben.html").read_text(encoding="utf-8")
    assert "0 of 3 runs reached the mark" in page
