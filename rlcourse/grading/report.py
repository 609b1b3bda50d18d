"""The class report: one self-contained page for the teacher, made from the result file alone.

What the class has understood, which mistakes were made how often, which exercises tell nobody
apart, which submissions are odd, and which answers are nearly the same.
"""

from __future__ import annotations

import html
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlcourse.checker.cards import inline

from . import feedback, figures, overrides, results
from .side_by_side import STYLE, beside
from .similarity import SHARED, Alike, nearly_identical

# An exercise tells strong from weak if who solves it also does better elsewhere (Ebel & Frisbie,
# Essentials of Educational Measurement: below 0.2 an item is poor).
POOR = 0.2
ENOUGH = 20
MOST_MISTAKES, MOST_PAIRS = 15, 60

GROUPS = {"passed": "right", "failed": "wrong", "not attempted": "not attempted"}
STOPPED = "stopped"


# ----------------------------------------------------------------------------------- the numbers


@dataclass(frozen=True)
class Item:
    """One exercise over the class. groups: "right", "wrong", "stopped", "not attempted" -> how many."""

    number: str
    name: str
    points: float
    groups: Counter
    mean: float
    discrimination: Discrimination


@dataclass(frozen=True)
class Discrimination:
    """Item-rest correlation of n students, with its 95 % interval; None where there is none.

    reason: why there is none, or what is wrong with it; empty if the exercise does its work.
    """

    r: float | None
    interval: tuple[float, float] | None
    reason: str


def items(result: dict[str, Any]) -> list[Item]:
    """The exercises of the lesson over all graded submissions, in the lesson's order."""
    graded = [record["exercises"] for record in result["submissions"] if record["exercises"]]
    if not graded:
        return []
    tried = [marks for marks in graded if any(m["state"] != "not attempted" for m in marks)]
    scores = np.array([[mark["score"] for mark in marks] for marks in tried], float)
    scores = scores.reshape(len(tried), len(graded[0]))
    return [
        Item(
            column[0]["number"],
            column[0]["name"],
            column[0]["points"],
            Counter(GROUPS.get(mark["state"], STOPPED) for mark in column),
            float(np.mean([mark["score"] for mark in column])),
            discrimination(scores, i),
        )
        for i, column in enumerate(zip(*graded, strict=True))
    ]


def discrimination(scores: np.ndarray, item: int) -> Discrimination:
    """Item-rest correlation r = corr(x_i, Σ_{j≠i} x_j) with Fisher's interval tanh(atanh r ± 1.96/√(n−3)).

    scores: (students, exercises), of those who tried anything; item: column.
    """
    n, count = scores.shape
    if count < 2:
        return Discrimination(None, None, "There is no other exercise to compare with")
    if n < ENOUGH:
        return Discrimination(None, None, f"Too few submissions to say ({n}; {ENOUGH} are needed)")
    own = scores[:, item]
    rest = scores.sum(axis=1) - own
    if np.ptp(own) == 0:
        return Discrimination(None, None, "All have the same points: it tells nobody apart")
    if np.ptp(rest) == 0:
        return Discrimination(None, None, "All have the same points in the other exercises")
    r = float(np.clip(np.corrcoef(own, rest)[0, 1], -1, 1))
    centre, half = np.arctanh(np.clip(r, -0.999999, 0.999999)), 1.96 / np.sqrt(n - 3)
    interval = float(np.tanh(centre - half)), float(np.tanh(centre + half))
    if r >= POOR:
        reason = ""
    elif r < 0:
        reason = "Who solves it does worse elsewhere: look at its wording and its points"
    else:
        reason = "Who solves it does hardly better elsewhere"
    return Discrimination(r, interval, reason)


@dataclass(frozen=True)
class Misconception:
    """A mistake with everybody who made it; `known` if it was recognised by name."""

    number: str
    exercise: str
    name: str
    known: bool
    explanation: str
    equation: str
    students: tuple[str, ...]


def misconceptions(result: dict[str, Any]) -> list[Misconception]:
    """What went wrong, most frequent first: mistakes known by name, and headlines of the rest."""
    made: dict[tuple[str, str, bool], list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for record in result["submissions"]:
        for mark in record["exercises"]:
            if mark["state"] not in ("passed", "not attempted"):
                known = mark["mistake"] is not None
                name = mark["mistake"] or mark["headline"] or mark["state"]
                made[mark["number"], name, known].append((record["student"], mark))
    found = [
        Misconception(
            number,
            cases[0][1]["name"],
            name,
            known,
            cases[0][1]["explanation"] if known else "",
            cases[0][1]["equation"],
            tuple(student for student, _ in cases),
        )
        for (number, name, known), cases in made.items()
    ]
    return sorted(found, key=lambda m: (-len(m.students), not m.known, m.number, m.name))


# -------------------------------------------------------------------------------------- the page

_STYLE = """
body { max-width: 62em } h2 { margin: 2em 0 0.4em; border-bottom: 1px solid var(--line) }
h3 { font-size: 1em; margin: 1.6em 0 0.4em } figure { margin: 1em 0 } .scroll { overflow-x: auto } svg { max-width: 100%; height: auto; color: var(--ink) }
.facts { display: flex; flex-wrap: wrap; gap: 0.5em 2.5em; padding: 0; list-style: none }
.facts b { display: block; font-size: 1.5em; line-height: 1.3 } td p { margin: 0.2em 0 }
.whole { white-space: nowrap } details summary { cursor: pointer; color: var(--soft) } footer { margin-top: 3em; font-size: 0.9em }
@media print { details { display: none } h2 { margin-top: 1.2em } }
"""


def page(result: dict[str, Any]) -> str:
    """The report as HTML; the same result gives the same bytes."""
    from matplotlib import style  # a second to import, and only this page needs it

    title = f"Lesson {result['lesson']} · {result['title']}: class report"
    if course := result.get("course"):
        title = f"{' · '.join(filter(None, (course['name'], course['term'])))} · {title}"
    # Whatever style the caller, or the teacher's matplotlibrc, has set.
    with style.context("default"):
        body = _body(result, title)
    return feedback.document(title, body, _STYLE + feedback.HIGHLIGHT + STYLE)


def _body(result: dict[str, Any], title: str) -> str:
    found, made = items(result), misconceptions(result)
    return "".join(
        [
            f"<h1>{html.escape(title)}</h1>\n{_facts(result)}",
            _section("Points", _points(result)),
            _section("Exercises", _exercises(found)),
            _section("Most frequent mistakes", _mistakes(made)),
            _section("Exercises that do not discriminate", _discriminating(found)),
            _section("Odd submissions", _odd(result)),
            _section("Marks given by hand", _by_hand(result)),
            _section("Answers that are nearly the same", _alike(nearly_identical(result), result)),
            f'<footer class="soft">Made by rlcourse {html.escape(result["rlcourse"])} from '
            f"results.json; run with {html.escape(result['sandbox'])}.</footer>\n",
        ]
    )


def _section(title: str, body: str) -> str:
    return f"<h2>{title}</h2>\n{body}\n" if body else ""


def _facts(result: dict[str, Any]) -> str:
    records = result["submissions"]
    graded = [record for record in records if record["state"] == "graded"]
    facts = [(f"{len(graded)} of {len(records)}", "submissions graded")]
    if result.get("missing"):
        facts.append((f"{len(result['missing'])}", "without a submission"))
    if graded:
        scores = [record["score"] for record in graded]
        full = sum(record["score"] >= record["points"] for record in graded)
        points = max(record["points"] for record in graded)  # some may be excused from an exercise
        facts += [
            (f"{np.mean(scores):.1f} of {points:g}", "points on average"),
            (f"{np.median(scores):g}", "points in the middle (median)"),
            (f"{full}", "with all points"),
        ]
    cells = "".join(f"<li><b>{html.escape(big)}</b>{small}</li>" for big, small in facts)
    return f'<ul class="facts">{cells}</ul>\n'


def _points(result: dict[str, Any]) -> str:
    scores = [record["score"] for record in result["submissions"] if record["state"] == "graded"]
    if not scores:
        return "<p>No submission was graded.</p>"
    most = max(record["points"] for record in result["submissions"])
    return figures.histogram(scores, most)


def _exercises(found: list[Item]) -> str:
    if not found:
        return ""
    rows = [
        (
            item.number,
            f"<code>{html.escape(item.name)}</code>",
            _share(item.groups["right"], item.groups.total()),
            f"{item.mean:.2f} of {item.points:g}",
            str(item.groups["wrong"]),
            str(item.groups[STOPPED]),
            str(item.groups["not attempted"]),
        )
        for item in found
    ]
    head = ("No.", "Exercise", "Right", "Points", "Wrong", "Stopped", "Not attempted")
    note = (
        '<p class="soft">Stopped: it ran too long, ended the process, answered too much, or '
        "called the course's own answer.</p>"
    )
    return figures.bars(found) + _table(head, rows, numbers=(2, 3, 4, 5, 6)) + note


def _mistakes(made: list[Misconception]) -> str:
    if not made:
        return "<p>Nobody made a mistake.</p>"
    shown = made[:MOST_MISTAKES]
    rows = [
        (
            str(len(one.students)),
            _exercise(one.number, one.exercise),
            _told(one),
        )
        for one in shown
    ]
    rest = sum(len(one.students) for one in made[MOST_MISTAKES:])
    more = f'<p class="soft">{rest} more, in {len(made) - len(shown)} kinds.</p>' if rest else ""
    colours = '<p class="soft">Orange: recognised by name. Grey: wrong in another way.</p>'
    table = _table(("Made by", "Exercise", "Mistake"), rows, (0,))
    return figures.frequencies(shown) + colours + table + more + _again(made)


def _again(made: list[Misconception]) -> str:
    """The mistakes that were made in more than one exercise: what the class has not understood."""
    by_name: dict[str, list[Misconception]] = defaultdict(list)
    for one in made:
        if one.known:
            by_name[one.name].append(one)
    rows = [
        (
            str(len({student for one in ones for student in one.students})),
            f"<b>{inline(name)}</b>",
            html.escape(", ".join(sorted((one.number for one in ones), key=_in_order))),
        )
        for name, ones in by_name.items()
        if len(ones) > 1
    ]
    rows.sort(key=lambda row: (-int(row[0]), row[1]))
    table = _table(("Students", "Mistake", "In"), rows, (0,))
    return f"<h3>The same mistake in several exercises</h3>{table}" if rows else ""


def _told(one: Misconception) -> str:
    what = f"<b>{inline(one.name)}</b>" if one.known else f"{inline(one.name)} (not known by name)"
    if one.explanation:
        what += f"<p>{inline(one.explanation)} Equation {html.escape(one.equation)}.</p>"
    names = html.escape(", ".join(one.students))
    return f"{what}<details><summary>who</summary><p>{names}</p></details>"


def _in_order(number: str) -> list[int]:
    """5.10 comes after 5.9."""
    return [int(part) for part in number.split(".")]


def _discriminating(found: list[Item]) -> str:
    flagged = [item for item in found if item.discrimination.reason]
    reasons = {item.discrimination.reason for item in found}
    if found and len(reasons) == 1 and "Too few" in min(reasons):
        told = f"<p>{min(reasons)}.</p>"
    elif flagged:
        rows = [
            (
                item.number,
                f"<code>{html.escape(item.name)}</code>",
                _r(item),
                item.discrimination.reason,
            )
            for item in flagged
        ]
        told = _table(("No.", "Exercise", "Correlation (95 %)", "Why it is listed"), rows)
    else:
        told = "<p>None: every exercise tells strong from weak.</p>" if found else ""
    explained = (
        '<p class="soft">The correlation between the points in one exercise and those in all the '
        f"others, of everybody who tried anything; below {POOR:g} an exercise is listed. A wide "
        "interval says that the class is too small to be sure.</p>"
    )
    return told + explained if told else ""


def _r(item: Item) -> str:
    found = item.discrimination
    if found.r is None:
        return "–"
    low, high = found.interval
    return f"{found.r:.2f} ({low:.2f} to {high:.2f})".replace("-", "−")


def _odd(result: dict[str, Any]) -> str:
    rows = [
        (html.escape(record["student"]), html.escape(record["file"]), html.escape(oddity))
        for record in result["submissions"]
        for oddity in results.oddities(record)
    ]
    rows += [
        (html.escape(f"{student['name']} ({student['id']})"), "–", "no submission")
        for student in result.get("missing", ())
    ]
    return _table(("Student", "File", "What is odd"), rows) if rows else "<p>None.</p>"


def _by_hand(result: dict[str, Any]) -> str:
    """Nothing where there are none."""
    rows = [
        (
            html.escape(record["student"]),
            "the lesson" if name is None else f"<code>{html.escape(name)}</code>",
            html.escape(overrides.sentence(told, points)),
        )
        for record in result["submissions"]
        for name, told, points in results.given_by_hand(record)
    ]
    return _table(("Student", "Exercise", "What was given"), rows) if rows else ""


def _alike(found: list[Alike], result: dict[str, Any]) -> str:
    explained = (
        '<p class="soft">A list to look at, not a finding: the same thought leads to the same lines. '
        "Answers are compared without comments, layout and the names of variables; what stands in "
        "the course or is written by many does not count, and answers with fewer than "
        f"{SHARED} runs of their own, one-liners above all, are never listed.</p>"
    )
    if not found:
        return "<p>None.</p>" + explained
    sources = {
        (record["student"], mark["number"]): mark["source"]
        for record in result["submissions"]
        for mark in record["exercises"]
    }
    pairs = []
    for alike in found[:MOST_PAIRS]:
        students = [html.escape(student) for student in alike.students]
        told = (
            f"{_exercise(alike.number, alike.exercise)} {' and '.join(students)}: "
            f"{alike.shared} of {alike.own} runs of 8 tokens in common"
        )
        texts = [sources[student, alike.number] for student in alike.students]
        shown = beside(alike.students, texts)
        pairs.append(f"<details class=pair><summary>{told}</summary>{shown}</details>\n")
    more = len(found) - len(pairs)
    marked = '<p class="soft">A line opens to both answers, side by side; what they have in common has a bar.</p>'
    return "".join(pairs) + (f"<p>{more} more pairs.</p>" if more else "") + marked + explained


def _exercise(number: str, name: str) -> str:
    return f'<span class="whole">{html.escape(number)} <code>{html.escape(name)}</code></span>'


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.0%})".replace("%", " %")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table; the cells are HTML, `numbers` are the columns to be set flush right."""

    def row(tag: str, cells: Sequence[str]) -> str:
        kinds = (' class="number"' if i in numbers else "" for i in range(len(cells)))
        marked = (f"<{tag}{kind}>{c}</{tag}>" for c, kind in zip(cells, kinds, strict=True))
        return f"<tr>{''.join(marked)}</tr>"

    body = "\n".join(row("td", cells) for cells in rows)
    table = f"<table><thead>{row('th', head)}</thead>\n<tbody>{body}</tbody></table>"
    return f'<div class="scroll">{table}</div>\n'
