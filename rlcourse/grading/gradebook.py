"""The grade book: the results of all lessons in one table, a row a student, with the term's total.

The total of a student is 100 · Σ w·s/p / Σ w over the lessons, with s points of p and the lesson's weight w;
lessons from which somebody is excused are left out of both sums, and what was not handed in is 0 points.
"""

from __future__ import annotations

import csv
import html
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlcourse.lessons.paths import UsageError, write_atomically

from . import feedback, results
from .course_file import CourseFile
from .finishing import read_current

NO_MARK = "no mark"


@dataclass(frozen=True)
class Cell:
    """What a student has in a lesson: points, or why there are none ("excused", "no mark", "no submission")."""

    score: float
    points: float
    why: str = ""
    by_hand: str = ""


@dataclass
class Row:
    """A student; cells: lesson -> what is there; percent: None where a lesson has no mark yet."""

    student: str
    name: str = ""
    email: str = ""
    cells: dict[str, Cell] = field(default_factory=dict)
    percent: float | None = None

    @property
    def lacks_mark(self) -> bool:
        """Whether the grader failed on one of the lessons."""
        return any(cell.why == NO_MARK for cell in self.cells.values())


@dataclass(frozen=True)
class Book:
    """weights, titles: lesson -> …, in the lessons' order; notes: what the teacher should know."""

    title: str
    titles: dict[str, str]
    weights: dict[str, float]
    rows: list[Row]
    notes: list[str]


def read(places: Iterable[Path], course: CourseFile | None = None) -> dict[str, dict[str, Any]]:
    """The results of several lessons, by lesson: results files, their folders, or folders of such folders.

    course: its marks given by hand are to be those of the results.
    Raises:
        UsageError: there are none, something else is there, two are of one lesson, or marks given by hand
            were changed since.
    """
    found: dict[str, dict[str, Any]] = {}
    where: dict[str, Path] = {}
    for place in places:
        if not place.exists():
            raise UsageError(f"There is no {place}: give the folders that `rlcourse grade` wrote.")
        inside = sorted(place.glob("*/results.json")) if place.is_dir() else []
        here = [place] if not inside or (place / "results.json").exists() else inside
        for path in here:
            result = read_current(path, course) if course else results.read(path)
            lesson = result["lesson"]
            if lesson in found:
                raise UsageError(
                    f"{where[lesson]} and {path} are both results of lesson {lesson}: give one of them."
                )
            found[lesson], where[lesson] = result, path
    return dict(sorted(found.items()))


def gradebook(graded: Mapping[str, dict[str, Any]], course: CourseFile) -> Book:
    """The table of these results; course: for the weights, its name and the list of students."""
    rows: dict[str, Row] = {
        student.id: Row(student.id, student.name, student.email)
        for student in course.roster().students.values()
    }
    records: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for lesson, result in graded.items():
        for record in result["submissions"]:
            records[record["student"]].append(record)
            row = rows.setdefault(record["student"], Row(record["student"]))
            row.name, row.email = record.get("name", row.name), record.get("email", row.email)
            row.cells[lesson] = _cell(record)
        for student in result.get("missing", ()):
            rows.setdefault(student["id"], Row(student["id"], student["name"], student["email"]))
    for lesson, result in graded.items():
        most = max((record["points"] for record in result["submissions"]), default=0)
        for row in rows.values():
            row.cells.setdefault(lesson, Cell(0, most, results.NOTHING))
    notes = []
    weights = {lesson: course.lesson(lesson).weight for lesson in graded}
    for row in rows.values():
        row.percent = total(row.cells, weights)
        missing = [lesson for lesson, cell in row.cells.items() if cell.why == NO_MARK]
        if missing:
            notes.append(
                f"{row.student}: no total, the grader failed on lesson {', '.join(missing)}"
            )
        free = sum(record.get("free_late_days", 0) for record in records[row.student])
        if free > course.late_days:
            notes.append(
                f"{row.student}: {free} free late days in these lessons, {course.late_days} in the term: grade "
                "the lessons again with --resume, in the order of their deadlines"
            )
    once = [row.student for row in rows.values() if _handed_in(row) == 1]
    if not course.students and len(graded) > 1 and once:
        named = ", ".join(once[:5]) + (", …" if len(once) > 5 else "")
        notes.append(
            f"In one lesson only: {named}. Without a list of students, in course.toml, they are known by "
            "the names of their files."
        )
    title = " · ".join(filter(None, (course.name, course.term))) or "Grade book"
    titles = {lesson: result["title"] for lesson, result in graded.items()}
    return Book(title, titles, weights, [rows[key] for key in sorted(rows)], notes)


def _handed_in(row: Row) -> int:
    return sum(cell.why != results.NOTHING for cell in row.cells.values())


def _cell(record: Mapping[str, Any]) -> Cell:
    if results.is_excused(record):
        return Cell(0, record["points"], results.EXCUSED, results.by_hand(record))
    if not results.has_mark(record):
        return Cell(0, record["points"], NO_MARK)
    return Cell(record["score"], record["points"], "", results.by_hand(record))


def total(cells: Mapping[str, Cell], weights: Mapping[str, float]) -> float | None:
    """100 · Σ w·s/p / Σ w over the lessons that count; None where one has no mark, or none counts."""
    counting = {
        lesson: cell
        for lesson, cell in cells.items()
        if cell.why != results.EXCUSED and cell.points and weights[lesson]
    }
    if not counting or any(cell.why == NO_MARK for cell in counting.values()):
        return None
    reached = sum(weights[lesson] * cell.score / cell.points for lesson, cell in counting.items())
    return 100 * reached / sum(weights[lesson] for lesson in counting)


# -------------------------------------------------------------------------------------- writing


def write(book: Book, out: Path) -> None:
    """Write gradebook.csv and gradebook.html into the folder `out`. Raises UsageError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"Cannot make the folder {out}: {error.strerror or error}.") from error
    write_atomically({out / "gradebook.csv": as_csv(book), out / "gradebook.html": page(book)})


def as_csv(book: Book) -> str:
    """A row a student: who, the points of every lesson, the total in percent, and marks given by hand."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    lessons = list(book.titles)
    table.writerow(
        ["student", "name", "email", *(f"lesson {n}" for n in lessons), "percent", "by hand"]
    )
    for row in book.rows:
        cells = [row.cells[lesson] for lesson in lessons]
        marks = ["" if c.why == NO_MARK else c.why or _number(c.score) for c in cells]
        hand = "; ".join(
            f"lesson {n}: {c.by_hand}" for n, c in zip(lessons, cells, strict=True) if c.by_hand
        )
        percent = "" if row.percent is None else f"{row.percent:.2f}"
        line = [row.student, row.name, row.email, *marks, percent, hand]
        table.writerow(map(results.harmless, line))
    return stream.getvalue()


def _number(score: float) -> str:
    return f"{round(score, 4):g}"


_STYLE = """
body { max-width: none } td, th { white-space: nowrap } .scroll { overflow-x: auto }
tbody th { position: sticky; left: 0; background: var(--page); font-weight: normal }
"""


def page(book: Book) -> str:
    """The table as one self-contained page."""
    head = "".join(
        f'<th class="number" title="{html.escape(title, quote=True)}">{lesson}'
        + (f" ×{book.weights[lesson]:g}" if book.weights[lesson] != 1 else "")
        + "</th>"
        for lesson, title in book.titles.items()
    )
    rows = "".join(map(_row, book.rows, [list(book.titles)] * len(book.rows)))
    done = [row.percent for row in book.rows if row.percent is not None]
    mean = f", {sum(done) / len(done):.1f} % on average" if done else ""
    notes = "".join(f"<p>{html.escape(note)}</p>\n" for note in book.notes)
    body = (
        f"<h1>{html.escape(book.title)}</h1>\n<p>{len(book.rows)} students, {len(book.titles)} lessons{mean}."
        f'</p>\n{notes}<div class="scroll"><table><thead><tr><th>Student</th><th>Name</th>{head}'
        f'<th class="number">%</th></tr></thead>\n<tbody>{rows}</tbody></table></div>\n'
        '<p class="soft">* given by hand. ex: excused, not counted. –: nothing handed in, 0 points. '
        "?: the grader failed, no mark and no total.</p>\n"
    )
    return feedback.document(book.title, body, _STYLE)


_SIGNS = {results.EXCUSED: "ex", results.NOTHING: "–", NO_MARK: "?"}


def _row(row: Row, lessons: Sequence[str]) -> str:
    def cell(one: Cell) -> str:
        star = "*" if one.by_hand and not one.why else ""
        told = f"of {one.points:g}" + (f"; {one.by_hand}" if one.by_hand else "")
        text = _SIGNS.get(one.why) or f"{_number(one.score)}{star}"
        return f'<td class="number" title="{html.escape(told, quote=True)}">{text}</td>'

    percent = "" if row.percent is None else f"{row.percent:.1f}"
    return (
        f"<tr><th>{html.escape(row.student)}</th><td>{html.escape(row.name)}</td>"
        f"{''.join(cell(row.cells[lesson]) for lesson in lessons)}"
        f'<td class="number">{percent}</td></tr>\n'
    )
