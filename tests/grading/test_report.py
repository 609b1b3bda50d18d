"""The class report: its numbers against scipy and by hand, its page as a browser would read it."""

from __future__ import annotations

import inspect
import itertools
import json
import re
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest
from made_up_class import EXERCISES, mark, record, result, unreadable
from scipy import stats

from rlcourse import checker, cli
from rlcourse.grading import report
from rlcourse.grading.similarity import nearly_identical
from rlcourse.lessons import build, paths

VOID = {"meta", "br", "hr", "img", "link"}


class Page(HTMLParser):
    """A page read strictly: every element closed, and all that could load or run something."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.attributes, self.words, self.tags = [], [], [], [], set()
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def assert_self_contained(page):
    assert page.tags.isdisjoint({"script", "link", "iframe", "object", "embed", "img", "base"})
    assert len(page.ids) == len(set(page.ids))
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("href", "src", "xlink:href", "action"):
            assert value.startswith("#") and value[1:] in page.ids, (tag, name, value)


def marks(right):
    """Marks with the exercises passed or failed as `right` says."""
    return [mark(i, "passed" if ok else "failed") for i, ok in enumerate(right)]


def a_class(n, seed=0):
    """n students of different strength; the third exercise is solved by chance alone."""
    rng = np.random.default_rng(seed)
    strong = rng.random(n)
    chances = np.stack([strong, strong, np.full(n, 0.5), strong], axis=1)
    right = rng.random((n, 4)) < chances
    return result(*(record(f"s{i:03d}", *marks(row)) for i, row in enumerate(right)))


# -------------------------------------------------------------------------------------- numbers


def test_discrimination_is_the_item_rest_correlation():
    graded = a_class(80)
    scores = np.array([[m["score"] for m in r["exercises"]] for r in graded["submissions"]])
    for i, item in enumerate(report.items(graded)):
        oracle = stats.pearsonr(scores[:, i], np.delete(scores, i, axis=1).sum(axis=1))
        interval = oracle.confidence_interval(0.95)
        assert item.discrimination.r == pytest.approx(oracle.statistic, abs=1e-12)
        # 1.96 is the normal quantile to three digits.
        assert item.discrimination.interval == pytest.approx(tuple(interval), abs=1e-4)
        assert bool(item.discrimination.reason) == (oracle.statistic < report.POOR)


def test_an_exercise_that_the_strong_fail_is_told_apart_from_one_of_chance():
    rows = [(k < 20, k < 25, k >= 20, k < 15) for k in range(40)]
    found = report.items(result(*(record(f"s{k:02d}", *marks(r)) for k, r in enumerate(rows))))
    assert "worse elsewhere" in found[2].discrimination.reason
    assert found[2].discrimination.r < 0


@pytest.mark.parametrize(
    ("graded", "said"),
    [
        (a_class(report.ENOUGH - 1), "Too few"),
        (result(*(record(f"s{i:02d}") for i in range(30))), "tells nobody apart"),
        (result(*(record(f"s{i:02d}", mark(0, "passed" if i % 2 else "failed")) for i in range(30))),
         "no other exercise"),
    ],
    ids=["few", "all right", "one exercise"],
)  # fmt: skip
def test_where_there_is_no_correlation_the_reason_is_given(graded, said):
    for item in report.items(graded):
        assert item.discrimination.r is None and said in item.discrimination.reason
    assert said in report.page(graded)


def test_who_tried_nothing_does_not_count_for_discrimination():
    blank = [record(f"z{i}", *(mark(k, "not attempted") for k in range(4))) for i in range(40)]
    some = a_class(80)
    more = result(*some["submissions"], *blank)
    assert [i.discrimination for i in report.items(more)] == [
        i.discrimination for i in report.items(some)
    ]
    assert report.items(more)[0].groups["not attempted"] == 40


def test_counts_means_and_mistakes_are_the_classs():
    wrong = {"mistake": "bootstraps-terminal", "explanation": "No value comes after the end."}
    graded = result(
        record("a", mark(0), mark(1, "failed", **wrong), mark(2, "failed", score=0.5), mark(3)),
        record("b", mark(0), mark(1, "failed", **wrong), mark(2), mark(3, "crash")),
        record("c", mark(0), mark(1), mark(2), mark(3, "not attempted")),
        unreadable("d"),
    )
    first, second, third, fourth = report.items(graded)
    assert (first.groups["right"], first.mean) == (3, 1)
    assert (second.groups["wrong"], second.groups["right"]) == (2, 1)
    assert third.mean == pytest.approx((0.5 + 2 + 2) / 3)
    assert (fourth.groups["stopped"], fourth.groups["not attempted"]) == (1, 1)
    made = report.misconceptions(graded)
    assert [(m.name, m.students) for m in made if m.known] == [("bootstraps-terminal", ("a", "b"))]
    assert made[0].known and len(made) == 3
    text = Page(report.page(graded)).text
    assert "3 of 4" in text and "bootstraps-terminal" in text and "the file is empty" in text


# ----------------------------------------------------------------------------- nearly the same

ONE_LINER = (
    "def sarsa_target(reward, q_next, action_next, terminated, gamma):\n"
    "    return reward + gamma * (1 - terminated) * q_next[np.arange(len(q_next)), action_next]\n"
)
# Two ways to write the loop that are not the course's.
BY_FOR = """
def sarsa(env, select, episodes, step_size, gamma, rng):
    table = np.zeros((env.observation_space.n, env.action_space.n))
    for episode in range(episodes):
        here, _ = env.reset()
        move = select(table[here], rng)
        for step in range(10_000):
            there, gain, dead, late, _ = env.step(move)
            if dead:
                table[here][move] = table[here][move] + step_size * (gain - table[here][move])
                break
            then = select(table[there], rng)
            error = gain + gamma * table[there][then] - table[here][move]
            table[here][move] = table[here][move] + step_size * error
            if late:
                break
            here = there
            move = then
    return table
"""
BY_LIST = """
def sarsa(env, select, episodes, step_size, gamma, rng):
    values = [[0.0] * env.action_space.n for _ in range(env.observation_space.n)]
    left = episodes
    state, action = env.reset()[0], None
    while left:
        if action is None:
            action = select(np.array(values[state]), rng)
        new, r, term, trunc, info = env.step(action)
        goal = r
        if not term:
            following = select(np.array(values[new]), rng)
            goal += gamma * values[new][following]
        values[state][action] = (1 - step_size) * values[state][action] + step_size * goal
        if term or trunc:
            left -= 1
            state, action = env.reset()[0], None
        else:
            state, action = new, following
    return np.array(values)
"""
SOLVED = inspect.getsource(checker.get("sarsa").reference)


def renamed(source):
    """The same answer in disguise: other names, comments, a docstring, other blank lines."""
    for old, new in (
        ("table", "Q"),
        ("here", "s"),
        ("there", "s2"),
        ("move", "a"),
        ("gain", "rew"),
    ):
        source = re.sub(rf"\b{old}\b", new, source)
    source = source.replace("rng):\n", 'rng):\n    """All my own work."""\n\n')
    return source.replace("    return Q", "    # done\n    return Q")


def writing(index, *sources):
    """A class in which everybody writes one of `sources` for the exercise of that index."""
    return result(
        *(
            record(
                f"s{i:02d}", *(mark(k) | ({"source": s} if k == index else {}) for k in range(4))
            )
            for i, s in enumerate(sources)
        )
    )


def pairs(graded):
    return {alike.students for alike in nearly_identical(graded)}


def test_a_copied_answer_is_listed_even_with_other_names_and_comments():
    assert renamed(BY_FOR) != BY_FOR
    graded = writing(3, BY_FOR, SOLVED, renamed(BY_FOR), BY_LIST, SOLVED)
    assert pairs(graded) == {("s00", "s02")}
    assert "s00 and s02" in Page(report.page(graded)).text


def test_a_copied_wrong_answer_is_listed():
    wrong = BY_LIST.replace("gamma *", "gamma ** 2 *")
    assert pairs(writing(3, wrong, BY_FOR, wrong, SOLVED)) == {("s00", "s02")}


@pytest.mark.parametrize("n", [2, 3, 30])
def test_the_one_liner_that_everybody_writes_is_nobodys_copy(n):
    assert pairs(writing(0, *[ONE_LINER] * n)) == set()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "q_learning_target" else pytest.mark.full)
        for name in checker.names("05")
    ],
)
def test_the_courses_own_answers_are_nobodys_copy(name):
    exercise = checker.get(name)
    own = [exercise.reference, *exercise.also_correct]
    own += [f for mistake in exercise.mistakes for f in mistake.implementations]
    for function in own:
        graded = writing(0, *[inspect.getsource(function)] * 2)
        for one in graded["submissions"]:
            one["exercises"][0]["name"] = name
        assert pairs(graded) == set(), function


@pytest.mark.parametrize(
    "source", sorted(paths.solutions_folder().glob("*.py")), ids=lambda p: p.stem
)
def test_the_solved_lesson_is_nobodys_copy(source):
    """Students who look it up after the deadline, or before, wrote what everybody can read."""
    answers = {
        c.exercise: build.solved_source(c.source)
        for c in build.read_cells(source)
        if c.role == "exercise"
    }
    assert answers
    made = [
        mark(0, name=name, number=f"0.{i}", source=text)
        for i, (name, text) in enumerate(answers.items())
    ]
    graded = result(record("a", *made), record("b", *made)) | {"lesson": source.name[:2]}
    assert pairs(graded) == set()


def test_the_stub_is_nobodys_copy():
    graded = writing(3, BY_FOR, BY_FOR)
    for one in graded["submissions"]:
        one["exercises"][3]["state"] = "not attempted"
    assert pairs(graded) == set()


def test_two_ways_of_writing_the_same_algorithm_are_told_apart():
    assert pairs(writing(3, BY_FOR, BY_LIST, SOLVED, SOLVED + "\n")) == set()


def test_what_many_write_is_nobodys_copy():
    assert pairs(writing(3, *[BY_FOR] * 6, *[SOLVED] * 10)) == set()


def by_oneself(rng):
    """SARSA as a student may well write it: the choices that have no bearing on the answer, at random.

    Popular choices come first and are made more often.
    """

    def one_of(*choices):
        return choices[int(len(choices) * rng.random() ** 1.5)]

    cell = one_of("q[{}, {}]", "q[{}][{}]").format
    shape = one_of("(env.observation_space.n, env.action_space.n)", "(n_states, n_actions)")
    sizes = "    n_states, n_actions = env.observation_space.n, env.action_space.n\n"
    after = cell("s2", "a2")
    target = one_of(
        f"target = r + gamma * (1 - term) * {after}",
        f"target = r if term else r + gamma * {after}",
        f"target = r\n            if not term:\n                target += gamma * {after}",
        f"if term:\n                target = r\n            else:\n                target = r + gamma * {after}",
        "target = sarsa_target(np.array([r]), q[[s2]], np.array([a2]), np.array([term]), gamma)[0]",
    )
    here = cell("s", "a")
    update = one_of(
        f"{here} += step_size * (target - {here})",
        f"{here} = {here} + step_size * (target - {here})",
        f"delta = target - {here}\n            {here} += step_size * delta",
    )
    begin, condition, end = one_of(
        ("done = False", "not done", one_of("done = term or trunc", "if term or trunc:\n                done = True")),
        ("term = trunc = False", "not (term or trunc)", ""),
        ("", "True", "if term or trunc:\n                break"),
    )  # fmt: skip
    body = [f"q = np.zeros({shape})", "for _ in range(episodes):"]
    reset = one_of("s, _ = env.reset()", "s, info = env.reset()", "s = env.reset()[0]")
    episode = [reset, "a = select(q[s], rng)", begin, f"while {condition}:"]
    move = one_of("s, a = s2, a2", "s = s2\n            a = a2")
    step = [
        "s2, r, term, trunc, _ = env.step(a)",
        "a2 = select(q[s2], rng)",
        target,
        update,
        move,
        end,
    ]
    lines = (
        ["    " + x for x in body]
        + ["        " + x for x in episode]
        + [" " * 12 + x for x in step]
    )
    text = "\n".join(["def sarsa(env, select, episodes, step_size, gamma, rng):", *lines])
    return (
        text.replace("\n", "\n" + sizes, 1) if "n_states" in shape else text
    ) + "\n    return q\n"


def test_classes_in_which_nobody_copied_list_nobody():
    listed = []
    for seed, n in itertools.product(range(5), (4, 8, 15, 30)):
        rng = np.random.default_rng([seed, n])
        sources = [by_oneself(rng) for _ in range(n)]
        for source in sources:
            compile(source, "sarsa", "exec")
        listed += pairs(writing(3, *sources))
    # Of 285 students in 20 classes; two who choose alike in everything may come up.
    assert len(listed) <= 1


def test_a_copy_with_a_line_changed_is_listed():
    copied = BY_LIST.replace("left -= 1", "left = left - 1")
    assert pairs(writing(3, BY_LIST, BY_FOR, copied)) == {("s00", "s02")}


def test_any_text_can_be_compared():
    odd = ["def (((", "\0", "é" * 500, "'" * 999, "((" * 300, BY_FOR[:200] + "\n\n  )"]
    nearly_identical(writing(3, *odd, *odd))


# ----------------------------------------------------------------------------------- the page


def test_the_page_is_whole_self_contained_and_described():
    graded = a_class(30)
    graded["submissions"][3]["notes"] = ["several notebooks"]
    for one in graded["submissions"][:4]:
        one["exercises"][3] |= {"state": "timeout", "headline": "timeout"}
    text = report.page(graded)
    page = Page(text)
    assert_self_contained(page)
    figures = [
        value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")
    ]
    assert len(figures) == 3
    for item in report.items(graded):
        counts = f"{item.name}: {item.groups['right']} right"
        assert any(counts in label for label in figures)
    for heading in ("Points", "Exercises", "Most frequent mistakes", "Odd submissions"):
        assert heading in page.text
    assert "prefers-color-scheme: dark" in text and "@media print" in text
    assert "#010203" not in text  # the figures' ink is the page's


def test_students_text_is_text():
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    named = mark(1, "failed", headline=evil, mistake=None, note=evil, explanation=evil)
    known = mark(2, "failed", mistake=evil, explanation=evil)
    graded = result(
        record(evil, mark(0), named, known, mark(3, "crash"), file=evil, notes=[evil]),
        unreadable("b" + evil, evil),
    )
    page = Page(report.page(graded))
    assert_self_contained(page)
    assert evil in page.text


@pytest.mark.parametrize("name", ["$a_{$", r"$\frac{", "李 😀", "_nolegend_", "]]>", ""])
def test_no_name_of_an_exception_breaks_the_figures(name):
    """One student's class Exception named `$a_{$` left the whole class without a result."""
    text = report.page(result(record("a", mark(0), mark(1, "failed", headline=name))))
    page = Page(text)
    assert_self_contained(page)
    assert name in page.text


def test_a_mistake_made_in_several_exercises_counts_students_once():
    def slip(i):
        return mark(i, "failed", mistake="bootstraps-terminal", explanation="No.")

    graded = result(
        record("a", slip(0), slip(1), mark(2), mark(3)),
        record("b", mark(0), slip(1), mark(2), slip(3)),
    )
    text = Page(report.page(graded)).text.split("in several exercises")[1]
    assert text.startswith(" Students Mistake In 2 bootstraps-terminal 5.1, 5.2, 5.4")


def test_who_sent_nothing_is_listed():
    nobody = {"id": "s9", "name": "Ben <Ten>", "email": "b@x.org"}
    text = Page(report.page(result(record("a")) | {"missing": [nobody]})).text
    assert "Ben <Ten> (s9)" in text and "1 students without" not in text
    assert "1 without a submission" in text


@pytest.mark.parametrize(
    "graded",
    [
        result(),
        result(unreadable("a")),
        result(record("a")),
        result(record("a", *(mark(i, "not attempted") for i in range(len(EXERCISES))))),
    ],
    ids=["nobody", "unreadable", "one", "blank"],
)
def test_a_class_of_nearly_nobody_gets_a_page(graded):
    assert_self_contained(Page(report.page(graded)))


def test_the_same_result_gives_the_same_bytes():
    first = report.page(a_class(25))
    assert first == report.page(a_class(25))
    with mpl.rc_context({"font.family": "serif", "axes.labelsize": 30, "lines.linewidth": 7}):
        assert first == report.page(a_class(25)), "the caller's matplotlib style shows"


def test_a_large_class_in_which_all_write_alike():
    """Pairs are counted by what few share: 300 answers of one kind are not 45,000 comparisons."""
    graded = writing(3, *(BY_FOR.replace("10_000", str(i)) for i in range(300)))
    assert pairs(graded) == set()


def test_the_command_writes_the_page(tmp_path, capsys):
    (tmp_path / "results.json").write_text(json.dumps(a_class(5)))
    with pytest.raises(SystemExit) as end:
        cli.main(["report", str(tmp_path), "--out", str(tmp_path / "r.html")])
    assert not end.value.code and "r.html" in capsys.readouterr().out
    assert_self_contained(Page((tmp_path / "r.html").read_text("utf-8")))
