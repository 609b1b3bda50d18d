"""Hostile submissions: none gets a point that its answer does not deserve, none harms another.

Every trick sits in q_learning_target, whose honest answer is worth `POINTS - LOST`; everything else in
the notebook is right. So LOST is what a hostile submission deserves, or less if it brings the rest
down with it, and POINTS only where the answer itself is right.
"""

from __future__ import annotations

import dataclasses
import inspect
import io
import json
import os
import socket
import stat
import subprocess
import sys
import textwrap
import time
import zipfile

import psutil
import pytest
from submitting import LOST, NAMES, POINTS, RIGHT, notebook, target

from rlcourse import checker
from rlcourse.grading import sandbox as sandboxes
from rlcourse.grading.marking import Course, mark
from rlcourse.grading.sandbox import Sandbox, bubblewrap
from rlcourse.grading.submissions import Submission

pytestmark = pytest.mark.skipif(
    bubblewrap() is None, reason="bubblewrap works on Linux only; elsewhere grading refuses"
)

SECONDS = 2
WRONG = "return q_next.max(axis=1)"
EVERYTHING = """
class Everything:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
    def __iter__(self): return iter([self])
    def __array__(self, *a, **k): return self
    def __bool__(self): return True
    def __float__(self): return 0.0
    __hash__ = None
    __lt__ = __le__ = __gt__ = __ge__ = __sub__ = __rsub__ = __abs__ = __call__
"""
SAY = """
import json, os
def say(data):
    for descriptor in range(3, 40):
        try: os.write(descriptor, data)
        except OSError: pass
"""


def body(text: str, before: str = "") -> str:
    """An answer of several lines, indented as a function's body."""
    return target(textwrap.indent(textwrap.dedent(text).strip(), "    ").strip(), before)


def libc(text: str) -> str:
    return body(f"import ctypes, os\nlibc = ctypes.CDLL(None)\n{textwrap.dedent(text)}\n{WRONG}")


# name -> the notebook. Their answers are wrong or none.
HOSTILE = {
    # ------------------------------------------------------------------ objects and interpreters
    "equals everything": target("return Everything()", EVERYTHING),
    "array that equals everything": target(
        "return np.zeros(len(reward)).view(A)",
        "class A(np.ndarray):\n    __eq__ = lambda s, o: True\n    __array_ufunc__ = lambda *a, **k: True\n",
    ),
    "claims to be an array": target(
        "return Fake()", EVERYTHING + "class Fake(Everything):\n    __class__ = np.ndarray\n"
    ),
    "float that equals everything": target(
        "return [F(0)] * len(reward)", "class F(float):\n    __eq__ = lambda s, o: True\n    __hash__ = None\n"
    ),
    "AST transformer": target(
        WRONG,
        "import ast\nast.parse = lambda *a, **k: (_ for _ in ()).throw(SystemExit)\n"
        "try:\n    get_ipython().ast_transformers.append(None)\nexcept NameError:\n    pass\n",
    ),
    "exception hooks": body(
        f"""
        import sys, atexit, threading, faulthandler
        sys.excepthook = sys.unraisablehook = threading.excepthook = lambda *a: None
        sys.settrace(lambda *a: None); sys.setprofile(lambda *a: None)
        atexit.register(lambda: __import__("time").sleep(60))
        {WRONG}"""
    ),
    "rewrites NumPy": body(
        f"""
        for module in (np, np.testing):
            for name in ("allclose", "isclose", "array_equal", "all", "any", "assert_allclose"):
                setattr(module, name, lambda *a, **k: True)
        {WRONG}"""
    ),
    "rewrites the checker": body(
        f"""
        import sys
        for name, module in list(sys.modules.items()):
            if name.startswith("rlcourse") or name == "__main__":
                for key in ("run", "check", "judge", "verdict", "same", "right", "_differs", "define"):
                    setattr(module, key, lambda *a, **k: True)
        {WRONG}"""
    ),
    "rewrites what is sent": body(
        """
        import rlcourse.checker.plain as plain, rlcourse.checker.harness as harness
        plain.plain = harness.plain = lambda value, depth=0: True
        plain.encode = lambda value: {"~": "Outcome", "items": []}
        return True"""
    ),
    "rewrites json": body(
        f"""
        import json
        right = {{"name": "q_learning_target", "outcomes": [{{"~": "Outcome", "items": []}}] * 12}}
        json.dumps = lambda *a, **k: '{json.dumps(dict(passed=True, state="passed", score=100))}'
        {WRONG}"""
    ),
    "walks the frames": body(
        """
        import gc, inspect, sys, types
        frame, found = sys._getframe(), []
        while frame:
            found += [v for v in frame.f_locals.values() if type(v) is np.ndarray and v.shape == reward.shape]
            frame = frame.f_back
        for thing in gc.get_objects():
            if isinstance(thing, types.FunctionType) and "q_learning_target" in thing.__name__:
                try:
                    return thing(reward, q_next, terminated, gamma)
                except BaseException:
                    pass
        return found[-1]""".replace("for thing", "this = sys._getframe().f_code\n        for thing").replace(
            "in thing.__name__", "in thing.__name__ and thing.__code__ is not this"
        )
    ),
    # ----------------------------------------------------------------------- the answers themselves
    "calls the course's": target(
        "from rlcourse.tabular.control import q_learning_target as f; return f(reward, q_next, terminated, gamma)"
    ),
    "asks for the declaration": target(
        "from rlcourse.exercises import get; return get('q_learning_target').reference(reward, q_next, terminated, gamma)"
    ),
    "imports the declaration": target(
        "from rlcourse.exercises import lesson_05; return lesson_05.LESSON"
    ),
    "imports the grader": target(
        "from rlcourse.grading import marking; return marking"
    ),
    "calls its like in a later lesson": target(
        "from rlcourse.values.fitted_q import fitted_q_targets as f; return f(reward, q_next, terminated, gamma)"
    ),
    "calls what the course's calls": target(
        "from rlcourse.tabular import control; return control._bootstrapped(reward, q_next.max(1), terminated, gamma)"
    ),
    "looks for the key on disk": body(
        """
        import importlib.util, os, pathlib
        for folder, inner, files in os.walk("/"):
            if folder.startswith("/usr"):
                inner.clear()
            for name in files:
                if name in ("control.py", "lesson_05.py") or name.startswith("05_"):
                    text = open(os.path.join(folder, name), encoding="utf-8").read()
                    space = {}
                    try:
                        exec(text, space)
                        return space["q_learning_target"](reward, q_next, terminated, gamma)
                    except Exception:
                        pass
        return None"""
    ),
    # -------------------------------------------------------------------------- forged answers
    "forged results": target(
        """say(json.dumps({"name": "q_learning_target", "state": "passed", "score": 100,
            "outcomes": [{"~": "Outcome", "items": []}] * 60}).encode() + b"\\n"); return 0""",
        SAY,
    ),
    "forged types": target(
        """say(json.dumps({"name": "q_learning_target", "outcomes": [{"~": "Outcome",
            "items": [["failure", 5], ["notes", [1]], ["printed", 3]]}] * 60}).encode() + b"\\n"); return 0""",
        SAY,
    ),
    "forged cases": target(
        """say(json.dumps({"name": "q_learning_target", "outcomes": [{"~": "Case", "items":
            [["name", "x"], ["inputs", {}]]}] * 12}).encode() + b"\\n"); return 0""",
        SAY,
    ),
    "forged shape": target(
        """say(json.dumps({"name": "q_learning_target", "outcomes": [{"~": "Outcome", "items": [["value",
            {"~": "array", "dtype": "f8", "shape": [float("inf")], "data": ""}]]}] * 3}).encode() + b"\\n"); return 0""",
        SAY,
    ),
    "garbage on the channel": target("say(b'\\xff\\x00\\n{[' * 9 + b'\\n'); return 0", SAY),
    "says ready for ever": body(
        """
        import time
        while True:
            say(b'{"ready": true}\\n')
            time.sleep(0.1)""",
        SAY,
    ),
    "floods the channel": target("while True: say(b'x' * 4096)", SAY),
    "floods the channel with lines": target("while True: say(b'\\n' * 65536)", SAY),
    "a bomb of brackets": target("say(b'[' * 4_000_000 + b'\\n'); return 0", SAY),
    "a number without end": target("say(b'9' * 4_000_000 + b'\\n'); return 0", SAY),
    "closes everything": target("import os; os.closerange(0, 100); return 0"),
    "puts itself on the channel": body(
        """
        import os
        for descriptor in range(3, 40):
            try: os.dup2(1, descriptor)
            except OSError: pass
        return 0"""
    ),
    "a pickle": target(
        "return Pickle()",
        "import os\nclass Pickle:\n    def __reduce__(self): return os.system, ('touch /tmp/pickled',)\n",
    ),
    "more than fits": target("return np.zeros(300_000)"),
    "an integer without end": target("return [10**5000] * len(reward)"),
    "a list in itself": target("a = []; a.append(a); return a"),
    # ---------------------------------------------------------- other processes and the system
    "reads the parent's memory": body(
        """
        import os
        for name in [*os.listdir("/proc"), "self", "1", str(os.getppid())]:
            for file in ("mem", "environ", "cmdline", "maps", "fd/0"):
                if os.path.exists(f"/proc/{name}/{file}"):
                    return reward + gamma * (1.0 - np.asarray(terminated, float)) * q_next.max(axis=1)
        return None"""
    ),
    "traces the parent": libc(
        """
        for pid in range(0, 40):
            if libc.ptrace(16, pid, 0, 0) == 0 or libc.ptrace(0x4206, pid, 0, 0) == 0:
                return reward + gamma * (1.0 - np.asarray(terminated, float)) * q_next.max(axis=1)"""
    ),
    "signals everybody": body(
        f"""
        import os, signal
        for pid in (-1, 0, os.getppid(), *range(2, 400)):
            for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
                try: os.kill(pid, number)
                except OSError: pass
        {WRONG}"""
    ),
    "stops itself": target(f"import os, signal; os.kill(os.getpid(), signal.SIGSTOP); {WRONG}"),
    "fork bomb": body("import os\nwhile True:\n    os.fork()"),
    "fork bomb that tries again": body(
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    ),
    "thread bomb": body(
        """
        import threading, time
        while True:
            try: threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
            except RuntimeError: pass"""
    ),
    "daemon left running": body(
        f"""
        import os, subprocess, sys, time
        try:
            if os.fork() == 0:
                os.setsid()
                time.sleep(3600)
        except OSError:
            pass
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
        {WRONG}"""
    ),
    "runs a shell": target("import os; os.execv('/bin/sh', ['sh', '-c', 'sleep 60'])"),
    "new namespaces": libc(
        """
        libc.unshare(0x10000000 | 0x20000)
        libc.mount(b"proc", b"/proc", b"proc", 0, None)
        libc.umount2(b"/proc", 2)
        libc.umount2(b"/tmp", 2)
        if os.listdir("/proc") or libc.chroot(b"/") == 0:
            return reward + gamma * (1.0 - np.asarray(terminated, float)) * q_next.max(axis=1)"""
    ),
    "lifts its limits": body(
        """
        import resource
        for name in ("RLIMIT_CPU", "RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_NOFILE"):
            try: resource.setrlimit(getattr(resource, name), (resource.RLIM_INFINITY,) * 2)
            except (ValueError, OSError): continue
            return reward + gamma * (1.0 - np.asarray(terminated, float)) * q_next.max(axis=1)
        return None"""
    ),
    # -------------------------------------------------------------------------- too much of it
    "memory at once": target("return np.ones(10**11)"),
    "memory bit by bit": body("x = []\nwhile True: x.append(bytearray(b'x' * 10**7))"),
    "memory without names": body(
        """
        import os
        kept = []
        while True:
            kept.append(os.memfd_create("x"))
            os.write(kept[-1], b"x" * 10**7)"""
    ),
    "disk": body(
        """
        i = 0
        while True:
            i += 1
            try:
                with open(f"/tmp/{i}", "wb") as file: file.write(b"x" * 10**7)
            except OSError:
                pass"""
    ),
    "output": body("import sys\nwhile True: print('x' * 10**6); sys.stderr.write('x' * 10**6)"),
    "sleeps": target("import time; time.sleep(3600)"),
    "loops": target("while True: pass"),
    "swallows everything": body(
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    ),
    "loops in C": target("return sum(range(10**15))"),
    "endless number": target("return 10 ** 10 ** 10"),
    "recursion": body(
        "import sys\nsys.setrecursionlimit(10**9)\nf = lambda: f()\nreturn f()"
    ),
    # ------------------------------------------------------------------------------- the exits
    "os._exit": target("import os; os._exit(0)"),
    "sys.exit": target("import sys; sys.exit(0)"),
    "exit while defining": notebook(q_learning_target="import os\nq_learning_target = os._exit(0)"),
    "interrupts": target("raise KeyboardInterrupt"),
    "segfault": target("import ctypes; ctypes.string_at(0)"),
    "aborts": target("import os; os.abort()"),
    # ----------------------------------------------------------------------- what is printed later
    "markup": target("raise type('[/red]', (Exception,), {})('<script>alert(1)</script>[/bold]\\x1b[31m')"),
    "a name without end": target("raise type('E\\n \\u202e' + 'E' * 20_000, (Exception,), {})('no')"),
    "half a character": target("raise ValueError(chr(0xd800))"),
}  # fmt: skip

# Tricks around an answer that is right: it keeps its points.
HARMLESS = {
    "right": notebook(),
    "right beside a flood": target(f"print('x' * 10**7); {RIGHT}"),
    "right and displayed": target(f"display(reward); {RIGHT}"),
    "right with warnings": target(f"import warnings; warnings.warn('careful'); {RIGHT}"),
    "right after trying": body(
        f"""
        import os, subprocess
        for attempt in (os.fork, lambda: subprocess.run(["true"]), lambda: open("/x", "w"), lambda: os.kill(-1, 9)):
            try: attempt()
            except OSError: pass
        {RIGHT}"""
    ),
    "right in threads": body(
        f"""
        import concurrent.futures as futures
        def answer():
            {RIGHT}
        with futures.ThreadPoolExecutor(4) as pool:
            return pool.submit(answer).result()"""
    ),
}


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return stream.getvalue()


def snapshot(folder):
    """Everything under a folder: names and kinds, and of files sizes and times."""
    found = {path.relative_to(folder).as_posix(): path.lstat() for path in folder.rglob("*")}
    return {
        name: (st.st_mode, None if stat.S_ISDIR(st.st_mode) else (st.st_size, st.st_mtime_ns))
        for name, st in found.items()
    }


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """All of them in one class, graded by the command: (process, records by student, root, before)."""
    root = tmp_path_factory.mktemp("root")
    folder = root / "submissions"
    folder.mkdir()
    (root / "tmp").mkdir()
    (root / "results of last week").mkdir()
    (root / "results of last week" / "marks.csv").write_text("nobody may change this")
    for name, text in (HOSTILE | HARMLESS).items():
        (folder / f"{name}.ipynb").write_bytes(text.encode("utf-8", "surrogatepass"))
    bomb = archive(**{f"bomb/{i}.ipynb": b"0" * 140_000_000 for i in range(1)})
    (folder / "zip bomb.zip").write_bytes(bomb)
    climbing = archive(**{"../../../escaped.ipynb": notebook().encode(), "/escaped.ipynb": b"{}"})
    (folder / "climbing.zip").write_bytes(climbing)
    (folder / "link.ipynb").symlink_to(root / "results of last week" / "marks.csv")
    (folder / "links").symlink_to(root)
    link = zipfile.ZipInfo("link.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr(link, "/etc/passwd")
    (folder / "zipped link.zip").write_bytes(stream.getvalue())
    before = snapshot(root)
    command = [
        sys.executable,
        "-m",
        "rlcourse",
        "grade",
        "05",
        str(folder),
        "--out",
        str(root / "out"),
    ]
    command += ["--seconds", str(SECONDS), "--memory", "256"]
    environment = os.environ | {"TMPDIR": str(root / "tmp")}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1800, env=environment)
    assert ended.returncode == 0, ended.stderr
    written = json.loads((root / "out" / "results.json").read_text(encoding="utf-8"))
    records = {record["student"]: record for record in written["submissions"]}
    return ended, records, root, before


def test_there_are_enough_of_them():
    assert len(HOSTILE) >= 30


def mark_of(record, name="q_learning_target"):
    return next(m for m in record["exercises"] if m["name"] == name)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_trick_earns_a_point(graded, name):
    record = graded[1][name]
    assert record["state"] == "graded"
    mark = mark_of(record)
    assert mark["score"] == 0 and mark["state"] != "passed", mark
    assert mark["headline"]
    assert record["score"] <= LOST


# What tricks do to Python itself may cost the author's own later answers, nobody else's.
HURT_THEMSELVES = {
    "AST transformer", "closes everything", "forged cases", "forged results",
    "forged shape", "forged types", "puts itself on the channel",
    "rewrites NumPy", "rewrites json", "rewrites the checker", "rewrites what is sent",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HOSTILE.keys() - HURT_THEMSELVES))
def test_the_other_answers_of_the_same_student_still_count(graded, name):
    assert graded[1][name]["score"] == LOST


@pytest.mark.parametrize("name", HARMLESS)
def test_a_right_answer_keeps_its_points(graded, name):
    assert graded[1][name]["score"] == POINTS, mark_of(graded[1][name])


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("calls the course's", "forbidden"),
        ("asks for the declaration", "forbidden"),
        ("imports the declaration", "forbidden"),
        ("imports the grader", "forbidden"),
        ("calls its like in a later lesson", "forbidden"),
        ("calls what the course's calls", "forbidden"),
        ("forged shape", "crash"),
        ("floods the channel", "overflow"),
        ("more than fits", "overflow"),
        ("sleeps", "timeout"),
        ("swallows everything", "timeout"),
        ("os._exit", "crash"),
        ("segfault", "crash"),
        ("interrupts", "crash"),
        ("forged types", "crash"),
        ("fork bomb", "failed"),
        ("memory at once", "failed"),
        ("memory without names", "failed"),
    ],
)
def test_the_state_says_what_happened(graded, name, state):
    assert mark_of(graded[1][name])["state"] == state


def test_archives_and_links_are_named_and_not_followed(graded):
    _, records, _, _ = graded
    assert "too large" in records["zip bomb"]["reason"]
    assert "symbolic link" in records["link"]["reason"]
    assert "symbolic link" in records["links"]["reason"]
    assert records["climbing"]["file"] in ("climbing/escaped.ipynb",)
    assert records["zipped link"]["state"] == "unreadable"


def test_nothing_changes_outside_the_output_folder(graded):
    _, _, root, before = graded
    after = {k: v for k, v in snapshot(root).items() if k != "out" and not k.startswith("out/")}
    assert after == before
    assert not os.path.exists("/tmp/pickled") and not os.path.exists("/x")


def test_nothing_is_left_running(graded):
    """Every sandbox has the folder of its run in its command line, and all in it end with it."""
    root = str(graded[2])
    assert [
        p.info for p in psutil.process_iter(["cmdline"]) if root in str(p.info["cmdline"])
    ] == []


def test_screen_and_pages_show_no_markup_of_a_student(graded):
    ended, _, root, _ = graded
    assert "\x1b[31m" not in ended.stdout
    page = (root / "out" / "feedback" / "markup.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page


def test_what_a_student_calls_things_stays_one_short_line(graded):
    told = mark_of(graded[1]["a name without end"])
    assert told["headline"].startswith("E \ufffdE") and len(told["headline"]) <= 60
    assert "\n" not in told["explanation"] and len(told["explanation"]) <= 2000


def test_nothing_is_said_on_screen_but_the_summary(graded):
    assert graded[0].stderr == ""


# ----------------------------------------------------------- one after another, in one warm process


@pytest.fixture
def course():
    """A course whose submissions run in this process's own sandbox, one after another."""
    sandbox = Sandbox(frozenset(checker.names()), seconds=SECONDS, memory=256)
    yield Course("05", sandbox)
    sandboxes._station(sandbox, os.getpid()).close()
    sandboxes._station.cache_clear()


def outcome(course, text, student="mallory"):
    return mark_of(mark(course, Submission(student, f"{student}.ipynb", text.encode())))


def said(course, expression, before=""):
    """What a submission sees: the value of an expression, told by an exception."""
    told = outcome(course, target(f"raise ValueError('<' + str({expression}) + '>')", before))
    text = told["explanation"]
    assert "<" in text, told
    return text[text.index("<") + 1 :].split(">. The line")[0]


def station(course):
    return sandboxes._station(course.sandbox, os.getpid())


def test_a_thousand_threads_are_ended_and_a_few_are_not(course):
    threads = (
        """import threading, time, sys
    threading.stack_size(32768)
    def work():
        while True: time.sleep(0.01)
    for i in range({n}):
        threading.Thread(target=work, daemon=True).start()
    time.sleep({waits})
    """
        + RIGHT
    )
    # They sleep: those that burn would be ended for their time, sooner or later by how fast the machine is.
    few = outcome(course, target(threads.format(n=4, waits=0)))
    assert few["state"] == "passed"
    many = outcome(course, target(threads.format(n=1000, waits=300)))
    assert many["state"] in ("crash", "failed"), (
        "for root the process is ended, for others no thread begins"
    )
    assert "thread" in many["explanation"]


def test_nothing_is_left_for_the_next_submission(course):
    """Files, modules, environment, threads: the next one starts as the first one did."""
    leave = body(
        f"""
        import builtins, os, sys
        for folder in ("/tmp", "/", "/dev", "/dev/shm", "/stage", "/stage/rlcourse", "/proc", "/var/tmp", "/home", *sys.path):
            try: open(os.path.join(folder, "left_behind.py"), "w").write("answer = 1")
            except OSError: pass
        builtins.left_behind = os.environ["left_behind"] = "yes"
        np.left_behind = 1
        {WRONG}"""
    )
    look = (
        "sorted(os.path.join(folder, name) for folder in ('/tmp', '/', '/dev', '/dev/shm', '/stage', *sys.path)"
        " if os.path.isdir(folder) for name in os.listdir(folder) if 'left' in name)"
        " + [hasattr(np, 'left_behind'), 'left_behind' in os.environ, 'left_behind' in dir(__builtins__)]"
    )
    assert station(course).warm
    outcome(course, leave)
    assert said(course, look, "import os, sys\n") == "[False, False, False]"


def test_a_submission_sees_no_process_but_its_own(course):
    assert (
        said(course, "(os.getpid(), os.getppid(), os.listdir('/proc'))", "import os\n")
        == "(1, 0, [])"
    )


def test_the_folders_that_matter_are_not_there(course, tmp_path):
    here = [
        os.path.expanduser("~"),
        str(tmp_path),
        os.getcwd(),
        os.path.dirname(sandboxes.__file__),
    ]
    look = f"[p for p in {here!r} if os.path.isdir(p) and [n for n in os.listdir(p) if not n.startswith('.')]]"
    assert said(course, look, "import os\n") == "[]"


def test_the_solutions_cannot_be_found_by_looking(course, tmp_path, monkeypatch):
    """A submission that reads every file and every object it can reach, for what it must not see."""
    monkeypatch.setenv("SECRET_OF_THE_COURSE", "token-in-the-environment")
    (tmp_path / "other student.ipynb").write_text("token-of-another-student")
    reference = inspect.getsource(checker.get("q_learning_target").reference)
    tokens = [
        reference.splitlines()[-1].strip(),
        "bootstraps-term" + "inal",  # a mistake, in the declarations
        "token-in-the-environment",
        "token-of-another-student",
    ]
    search = f"""
import os, gc, sys
def search():
    tokens, found = {[token.encode()[::-1] for token in tokens]!r}, []
    tokens = [token[::-1] for token in tokens]
    for root, folders, files in os.walk("/"):
        if root.startswith({("/usr", "/lib", "/bin", sys.prefix, sys.base_prefix)!r}) and "rlcourse" not in root:
            files = [name for name in files if name.endswith((".ipynb", ".csv", ".jsonl")) or "rlcourse" in name]
        for name in files:
            path = os.path.join(root, name)
            try:
                data = open(path, "rb").read() if os.path.isfile(path) and os.path.getsize(path) < 10**7 else b""
            except OSError:
                continue
            found += [(path, token[:6]) for token in tokens if token in data]
    texts = {{k: v for k, v in os.environ.items()}}
    for thing in [texts, sys.argv, *gc.get_objects()]:
        if type(thing) in (dict, list, tuple) and thing is not tokens:
            values = thing.values() if type(thing) is dict else thing
            found += ["memory" for v in list(values) if type(v) is str and any(t in v.encode(errors="replace") for t in tokens)]
    return found
"""
    patient = dataclasses.replace(course, sandbox=dataclasses.replace(course.sandbox, seconds=20))
    assert said(patient, "seen", search + "seen = search()\n") == "[]"
    station(patient).close()


def test_there_is_no_network(course):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        port = server.getsockname()[1]
        tries = f"""
import socket
def reach():
    try:
        socket.create_connection(("127.0.0.1", {port}), 1)
        return "reached"
    except OSError as error:
        return "refused"
"""
        assert said(course, "reach()", tries) == "refused"
        with pytest.raises(TimeoutError):
            server.accept()


def test_nothing_but_its_own_folder_can_be_written(course):
    look = "sorted({f for f in ['/', '/usr', '/dev', '/dev/shm', '/stage', '/etc', '/proc', '/tmp', os.environ['TMPDIR'], *sys.path] if os.path.isdir(f) and writes(f)})"
    before = """
import os, sys
def writes(folder):
    try:
        open(os.path.join(folder, "x"), "w").close()
        return True
    except OSError:
        return False
"""
    assert said(course, look, before) == said(course, "[os.environ['TMPDIR']]", before)


def test_a_warm_process_that_dies_is_replaced_and_the_submission_marked_again(course):
    right = notebook()
    assert outcome(course, right)["state"] == "passed"
    (warm,) = station(course).idle
    warm.process.kill()
    warm.process.wait()
    assert outcome(course, right)["state"] == "passed"
    (fresh,) = station(course).idle
    assert fresh is not warm


def test_a_warm_process_that_dies_in_the_middle_is_replaced_too(course, monkeypatch):
    """Killed while a submission runs: that submission is run again, and gets what it deserves."""
    slow = target(f"import time; time.sleep(0.5); {RIGHT}")
    assert station(course).warm
    begin = sandboxes._Warm.begin
    killed = []

    def begin_and_kill(self):
        descriptors = begin(self)
        if not killed:
            killed.append(self)
            self.process.kill()
        return descriptors

    monkeypatch.setattr(sandboxes._Warm, "begin", begin_and_kill)
    assert outcome(course, slow)["state"] in ("passed", "timeout")
    assert killed and killed[0] not in station(course).idle


def test_no_hostile_submission_takes_the_warm_process_down(course):
    (warm,) = station(course).idle
    for name in (
        "signals everybody",
        "traces the parent",
        "fork bomb",
        "os._exit",
        "memory bit by bit",
    ):
        assert outcome(course, HOSTILE[name])["state"] != "passed"
        assert station(course).idle == [warm]
    assert warm.process.poll() is None


def test_time_is_kept_for_each_exercise(course):
    begun = time.monotonic()
    record = mark(course, Submission("a", "a.ipynb", notebook(**{n: f"def {n}(*a, **k):\n    while True: pass" for n in NAMES[:2]}).encode()))  # fmt: skip
    states = [m["state"] for m in record["exercises"]]
    assert states[:2] == ["timeout", "timeout"] and set(states[2:]) == {"passed"}
    assert time.monotonic() - begun >= 2 * SECONDS
