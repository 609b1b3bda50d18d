"""`rlcourse export`: each format read back by a reader that knows nothing of us."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from dataclasses import dataclass
from unittest import mock
from xml.etree import ElementTree as ET

import jsonschema
import junitparser
import pytest
from made_up_class import EXERCISES, mark, record, result, unreadable
from submitting import notebook

from rlcourse import checker, cli
from rlcourse.grading import results

POINTS = sum(points for _, points in EXERCISES)
EVIL = '=HYPERLINK("http://evil","A") <script>alert(1)</script> & \'é宿\''
WRONG = mark(
    1,
    "failed",
    mistake="bootstraps-terminal",
    headline="bootstraps-terminal",
    explanation="No value comes after `terminated` < 1 & \x85.",
    next_step="What is the target there?",
)
CLASS = result(
    record("ada"),
    record("ben", mark(0), WRONG, mark(2, "not attempted"), mark(3, "timeout", headline="timeout")),
    record("half", mark(0), mark(1), mark(2, "failed", score=0.5), mark(3, "passed")),
    record("late", score=5.25),
    record(EVIL),
    unreadable("dan"),
)
SCORES = {"ada": 7, "ben": 1, "half": 5.5, "late": 5.25, EVIL: 7, "dan": 0}


@pytest.fixture
def graded(tmp_path):
    file = tmp_path / "results.json"
    file.write_text(json.dumps(CLASS, ensure_ascii=False), encoding="utf-8")
    return file


@dataclass
class Ran:
    """What a command line came to."""

    returncode: int
    stdout: str
    stderr: str


def rlcourse(*arguments, **environment):
    """Run the command in this process: a hundred fresh Pythons would take minutes."""
    out, errors = io.StringIO(), io.StringIO()
    code = 0
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
        mock.patch.dict(os.environ, environment),
    ):
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code or 0
    return Ran(code, out.getvalue(), errors.getvalue())


def export(file, to, out, *more, **environment):
    process = rlcourse("export", file, "--to", to, "--out", out, *more, **environment)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def rows(file, **options):
    return list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"), newline=""), **options))


def is_harmless(cell):
    """Whether Excel, LibreOffice and Google take a cell for text or a plain number."""
    try:
        float(cell)
    except ValueError:
        return cell.strip() in ("", "-") or cell.strip()[0] not in "=+-@\t\r＝＋－＠"
    return True


@pytest.mark.parametrize(
    "cell",
    ["=1+1", " =1", "+1+1", "-cmd|'/C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1+1", "a;=1+1",
     'a"; =1;', "a\t@x", "a\n-1+1", "a,=1", "=", "-a", "+",
     "a; -1+1", "a;-0.5 +cmd|'/C calc'!A0", "a\t-1*2", "a; -x", "b;-1-cmd"],
)  # fmt: skip
def test_no_cell_begins_with_a_formula_however_the_file_is_split(cell):
    made = results.harmless(cell)
    for separator in (",", ";", "\t", "\n"):
        assert all(map(is_harmless, made.split(separator))), made
    assert made.replace("'", "") == cell.replace("'", "")


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "-",
        "-4",
        "+1.5",
        "1,5",
        "12 %",
        "Ada",
        "a - b",
        "x, -1",
        5,
        -2.5,
        "yours; -0.5 was asked",
        "got:\n-0.5",
        "<p>0.5; -1.5</p>",
        "1; -2; -3",
    ],
)
def test_plain_text_and_numbers_stay_as_they_are(cell):
    assert results.harmless(cell) == cell


# ------------------------------------------------------------------------------------ Gradescope

# From Gradescope's specification of the autograder's output.
GRADESCOPE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "score": {"type": "number"},
        "execution_time": {"type": "number"},
        "output": {"type": "string"},
        **{
            f"{what}_format": {"enum": ["text", "html", "simple_format", "md", "ansi"]}
            for what in ("output", "test_output", "test_name")
        },
        "visibility": {"enum": ["hidden", "after_due_date", "after_published", "visible"]},
        "stdout_visibility": {"enum": ["hidden", "after_due_date", "after_published", "visible"]},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "score": {"type": "number", "minimum": 0},
                    "max_score": {"type": "number", "minimum": 0},
                    "status": {"enum": ["passed", "failed"]},
                    "name": {"type": "string"},
                    "number": {"type": "string"},
                    "output": {"type": "string"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "visibility": {"const": "visible"},
                },
            },
        },
    },
    "anyOf": [{"required": ["score"]}, {"required": ["tests"]}],
}


def test_gradescope_results_keep_to_its_specification(graded, tmp_path):
    export(graded, "gradescope", tmp_path / "out")
    found = {}
    for file in (tmp_path / "out").glob("*/results.json"):
        tree = json.loads(file.read_text("utf-8"))
        jsonschema.validate(tree, GRADESCOPE)
        found[file.parent.name] = tree
    assert len(found) == len(SCORES)
    assert {name: tree["score"] for name, tree in found.items() if name in SCORES} == {
        student: score for student, score in SCORES.items() if student in found
    }
    tests = {test["name"]: test for test in found["ben"]["tests"]}
    assert [test["status"] for test in tests.values()] == ["passed", "failed", "failed", "failed"]
    told = tests["q_learning_target"]
    assert (told["score"], told["max_score"], told["tags"]) == (0, 1, ["bootstraps-terminal"])
    assert "(5.8)" in told["output"] and "What is the target there?" in told["output"]
    assert "the file is empty" in found["dan"]["output"]


# ---------------------------------------------------------------------------------- Classroom 50

WHOLE = {"type": "integer", "minimum": 0}
TEXT = {"type": "string", "minLength": 1}
# The structure that Classroom 50 asks of classroom50/result/v1.
CLASSROOM50 = {
    "type": "object",
    "additionalProperties": False,
    "required": [
        "schema",
        "classroom",
        "assignment",
        "assignment_type",
        "owner",
        "submission",
        "commit",
        "release",
        "review",
        "datetime",
        "score",
        "max-score",
        "tests",
    ],
    "properties": {
        "schema": {"const": "classroom50/result/v1"},
        **dict.fromkeys(("classroom", "assignment", "owner", "commit", "release", "review"), TEXT),
        "assignment_type": {"enum": ["individual", "group"]},
        "submission": {"type": "string", "pattern": "^submit/"},
        "datetime": {"pattern": r"^\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$"},
        "score": WHOLE,
        "max-score": WHOLE,
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["test-name", "passed", "score", "max-score"],
                "properties": {
                    "test-name": TEXT,
                    "passed": {"type": "boolean"},
                    "score": WHOLE,
                    "max-score": WHOLE,
                },
            },
        },
    },
}
RUNNER = {
    "CLASSROOM": "rl",
    "ASSIGNMENT": "lesson-05",
    "OWNER": "ada",
    "SUBMISSION_TAG": "submit/2026-11-21T23-05-09Z-a1b2c3d",
    "COMMIT_URL": "https://github.com/c",
    "RELEASE_URL": "https://github.com/r",
}


@pytest.mark.parametrize(
    ("one", "scale"),
    [(record("ada"), 1), (CLASS["submissions"][-2], None), (unreadable("dan"), 1)],
    ids=["whole points", "fractions", "unreadable"],
)
def test_classroom50_results_keep_to_its_schema(one, scale, tmp_path):
    file = tmp_path / "results.json"
    file.write_text(json.dumps(result(one)))
    export(file, "classroom50", tmp_path / "result.json", **RUNNER)
    tree = json.loads((tmp_path / "result.json").read_text("utf-8"))
    jsonschema.validate(tree, CLASSROOM50)
    assert tree["datetime"] == "2026-11-21T23:05:09Z" and tree["review"] == RUNNER["COMMIT_URL"]
    factor = tree["max-score"] / POINTS
    assert scale is None or factor == scale
    assert tree["score"] == one["score"] * factor
    adds_up(tree)
    late = one["score"] < sum(ours["score"] for ours in one["exercises"])
    for test, ours in zip(tree["tests"], one["exercises"], strict=bool(one["exercises"])):
        assert test["score"] == ours["score"] * factor or late
        assert test["passed"] == (ours["state"] == "passed")


def adds_up(tree):
    """Its totals are those of its tests, and no test has more than it can."""
    for total, part in (("score", "score"), ("max-score", "max-score")):
        assert tree[total] == sum(test[part] for test in tree["tests"])
    assert all(0 <= test["score"] <= test["max-score"] for test in tree["tests"])


@pytest.mark.parametrize("penalty", [0.7, 1.0, 2.5, 5.25, 6.6667])
def test_classroom50s_score_is_the_sum_of_the_tests_also_after_a_penalty(penalty):
    from rlcourse.grading.exports.classroom50 import document

    late = record("l", score=round(POINTS - penalty, 4), penalty=penalty, late_days=1)
    tree = document(late, RUNNER)
    adds_up(tree)
    assert tree["score"] / tree["max-score"] == pytest.approx(late["score"] / POINTS, abs=1e-3)
    assert all("taken off" in test["message"] and test["passed"] for test in tree["tests"])


@pytest.mark.full
def test_classroom50_gets_a_result_also_where_the_notebook_is_missing(tmp_path):
    from rlcourse.grading.exports import classroom50

    out = tmp_path / "result.json"
    with mock.patch.dict(os.environ, RUNNER):
        classroom50.main("05", tmp_path / "05.ipynb", out)
        tree = json.loads(out.read_text("utf-8"))
        jsonschema.validate(tree, CLASSROOM50)
        adds_up(tree)
        assert tree["score"] == 0 < tree["max-score"] == sum(e.points for e in checker.lesson("05"))
        assert "there is no file 05.ipynb" in tree["tests"][0]["message"]
        (tmp_path / "05.ipynb").write_text(notebook())
        classroom50.main("05", tmp_path / "05.ipynb", out)
        tree = json.loads(out.read_text("utf-8"))
        jsonschema.validate(tree, CLASSROOM50)
        adds_up(tree)
        assert tree["score"] == tree["max-score"] and len(tree["tests"]) == len(checker.names("05"))


def test_classroom50_scales_fractions_to_whole_points():
    from rlcourse.grading.exports.classroom50 import document

    half = record("h", mark(0, "failed", score=0.5), *(mark(i) for i in (1, 2, 3)))
    tree = document(half, RUNNER)
    assert (tree["score"], tree["max-score"]) == (13, 14)
    third = record("t", mark(0, "failed", score=1 / 3), *(mark(i) for i in (1, 2, 3)))
    tree = document(third, RUNNER)
    assert (tree["score"], tree["max-score"]) == (19, 21)


def test_classroom50_wants_its_runner_and_one_submission(graded, tmp_path):
    process = rlcourse("export", graded, "--to", "classroom50", "--out", tmp_path / "r.json")
    assert process.returncode == 2 and "one submission" in process.stderr
    graded.write_text(json.dumps(result(record("ada"))))
    process = rlcourse("export", graded, "--to", "classroom50", "--out", tmp_path / "r.json")
    assert process.returncode == 2 and "SUBMISSION_TAG" in process.stderr
    assert not (tmp_path / "r.json").exists()


# ------------------------------------------------------------------------------------- Canvas

CANVAS = """\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Lesson 04 (11),Lesson 05: control (12),Current Score
,,,,,Manual Posting,,
    Points Possible,,,,,10.00,14.00,(read only)
"Lovelace, Ada",101,s101,ada,=cmd,3,,30
Ben Ten,102,s102,BEN@x.org,A,-4,9,
"Half, Betty",103,s103,bh,A,,2,
Half Betty,104,s104,hb,A,,2,
Nobody,105,s105,nobody,A,,8,
"Student, Test",106,,t,A,,,
"""


def canvas(tmp_path, text=CANVAS):
    file = tmp_path / "canvas.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_canvas_is_filled_in_and_nobody_elses_row_is_touched(tmp_path):
    graded = tmp_path / "results.json"
    people = [
        record("ada"),
        record("x1", email="ben@x.org", score=1),
        record("Betty Half"),  # two rows have this name
        record("nobodyelse_LATE_106_77_lesson", score=3.5),  # as Canvas names files
    ]
    graded.write_text(json.dumps(result(*people)))
    out = tmp_path / "upload.csv"
    said = export(graded, "canvas", out, "--gradebook", canvas(tmp_path), "--overwrite")
    table = rows(out)
    column = "Lesson 05: control (12)"
    assert {row["ID"]: row[column] for row in table[2:]} == {
        "101": "14", "102": "2", "103": "2", "104": "2", "105": "8", "106": "7"}  # fmt: skip
    assert table[1]["Student"] == "    Points Possible" and table[1][column] == "14.00"
    kept = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", column]
    assert list(table[0]) == kept  # in Canvas's order
    assert "Betty Half: no row" in said and "scaled from 7 to 14" in said
    # Canvas would take Excel's mark for a part of the first title.
    assert not out.read_bytes().startswith(b"\xef\xbb\xbf")
    assert all(is_harmless(cell) for row in table for cell in row.values())
    assert [row["Section"] for row in table if row["ID"] == "101"] == ["'=cmd"]


@pytest.mark.parametrize(
    ("there", "kept"),
    [
        ("EX", True),
        ("9", True),
        ("0", True),
        ("6,5", True),
        ("14", False),
        ("", False),
        ("-", False),
    ],
)
def test_canvas_keeps_what_is_there_unless_told(tmp_path, there, kept):
    graded, out = tmp_path / "results.json", tmp_path / "upload.csv"
    graded.write_text(json.dumps(result(record("ada"))))
    sheet = f'Student,ID,Lesson 05 (3)\n    Points Possible,,14\nada,7,"{there}"\n'
    file = canvas(tmp_path, sheet)
    said = export(graded, "canvas", out, "--gradebook", file)
    assert rows(out)[1]["Lesson 05 (3)"] == (there if kept else "14")
    assert (f"ada ({there})" in said) == kept
    assert f"{0 if kept else 1} students filled in" in said
    export(graded, "canvas", out, "--gradebook", file, "--overwrite")
    assert rows(out)[1]["Lesson 05 (3)"] == "14"


def test_a_canvas_column_worth_nothing_is_refused(graded, tmp_path):
    file = canvas(tmp_path, "Student,ID,Lesson 05 (3)\n    Points Possible,,0.00\nada,7,\n")
    out = tmp_path / "out.csv"
    process = rlcourse("export", graded, "--to", "canvas", "--out", out, "--gradebook", file)
    assert process.returncode == 2 and "0 points" in process.stderr and not out.exists()


@pytest.mark.parametrize("header", ["Homework 5 (3)", "Homework 5"])
def test_of_one_assignment_nobody_need_be_told_the_name(tmp_path, header):
    graded = tmp_path / "results.json"
    graded.write_text(json.dumps(result(record("ada"))))
    file = canvas(
        tmp_path, f"Student,ID,Section,{header},Current Score,Final Grade\nada,7,A,,30,C\n"
    )
    export(graded, "canvas", tmp_path / "out.csv", "--gradebook", file)
    assert rows(tmp_path / "out.csv") == [
        {"Student": "ada", "ID": "7", "Section": "A", header: "7"}
    ]


def test_canvas_with_two_columns_for_the_name(tmp_path):
    graded = tmp_path / "results.json"
    graded.write_text(json.dumps(result(record("Ada Lovelace"))))
    file = canvas(
        tmp_path,
        "LastName,FirstName,ID,Lesson 05 (3)\n    Points Possible,,,14\nLovelace,Ada,7,\nLovelace,Eva,8,\n",
    )
    export(graded, "canvas", tmp_path / "out.csv", "--gradebook", file)
    assert [row["Lesson 05 (3)"] for row in rows(tmp_path / "out.csv")] == ["14", "14", ""]


@pytest.mark.parametrize("alphabet", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_gradebook_in_any_alphabet_of_spreadsheets(tmp_path, alphabet):
    graded = tmp_path / "results.json"
    graded.write_text(json.dumps(result(record("Zoë Müller"))))
    file = tmp_path / "canvas.csv"
    file.write_bytes("Student,ID,Lesson 05 (3)\nZoë Müller,7,\n".encode(alphabet))
    export(graded, "canvas", tmp_path / "out.csv", "--gradebook", file)
    assert rows(tmp_path / "out.csv")[0] == {
        "Student": "Zoë Müller",
        "ID": "7",
        "Lesson 05 (3)": "7",
    }


def test_points_over_a_thousand_are_a_number(tmp_path):
    graded = tmp_path / "results.json"
    graded.write_text(json.dumps(result(record("ada"))))
    file = canvas(tmp_path, 'Student,ID,Lesson 05 (3)\n    Points Possible,,"1,000.0"\nada,7,\n')
    export(graded, "canvas", tmp_path / "out.csv", "--gradebook", file)
    assert rows(tmp_path / "out.csv")[1]["Lesson 05 (3)"] == "1000"


# ------------------------------------------------------------- those on whom the grader failed

FAILED = record("eva", state="grader failed", reason="the grader failed on it", score=0) | {
    "exercises": []
}


@pytest.mark.parametrize(
    "to", ["gradescope", "canvas", "moodle", "moodle with its worksheet", "junit"]
)
def test_no_mark_is_no_zero(tmp_path, to):
    graded, out = tmp_path / "results.json", tmp_path / "out"
    graded.write_text(json.dumps(result(record("ada"), FAILED, unreadable("dan"))))
    more = {
        "canvas": canvas(tmp_path, "Student,ID,Lesson 05 (3)\nada,1,\neva,2,\ndan,3,\n"),
        "moodle with its worksheet": tmp_path / "sheet.csv",
    }
    (tmp_path / "sheet.csv").write_text(
        "Identifier,Full name,Grade,Maximum Grade\n"
        + "".join(f"Participant {i},{name},,7\n" for i, name in enumerate(("ada", "eva", "dan")))
    )
    option = ["--gradebook", more[to]] if to in more else []
    process = rlcourse("export", graded, "--to", to.split()[0], "--out", out, *option)
    assert process.returncode == 1
    assert "eva: no mark" in process.stdout
    assert "dan: 0 points, because" in process.stdout and "the file is empty" in process.stdout
    if to == "gradescope":
        assert sorted(p.name for p in out.iterdir()) == ["ada", "dan"]
    elif to == "junit":
        suites = {s.get("name"): s for s in ET.parse(out).getroot()}
        (error,) = suites["eva"].findall("testcase/error")
        assert error.get("type") == "grader failed"
        assert [
            p.get("value") for p in suites["eva"].iter("property") if p.get("name") == "score"
        ] == []
    else:
        grade = {"canvas": "Lesson 05 (3)", "moodle": "Lesson 05"}.get(to, "Grade")
        name = {"canvas": "Student", "moodle": "Student"}.get(to, "Full name")
        marks = {row[name]: row[grade] for row in rows(out)}
        assert marks.get("eva", "") == "" and marks["ada"] == "7" and marks["dan"] == "0"


def test_grades_csv_says_nothing_of_whom_the_grader_failed_on():
    (_, eva) = csv.reader(io.StringIO(results.as_csv(result(FAILED))))
    assert eva == ["eva", "eva.ipynb", "grader failed", "", "7"]
    table = list(csv.DictReader(io.StringIO(results.as_csv(result(record("ada"), FAILED)))))
    assert table[1]["score"] == table[1]["sarsa_target"] == "" and table[0]["score"] == "7"


def test_where_nobody_has_a_mark_nothing_is_written(tmp_path):
    graded, out = tmp_path / "results.json", tmp_path / "out.csv"
    graded.write_text(json.dumps(result(FAILED)))
    process = rlcourse("export", graded, "--to", "moodle", "--out", out)
    assert process.returncode == 2 and "Nobody has a mark" in process.stderr and not out.exists()


def test_canvas_with_semicolons(tmp_path):
    graded = tmp_path / "results.json"
    graded.write_text(json.dumps(result(record("ada"))))
    file = canvas(tmp_path, "Student;ID;Lesson 05 (3)\nada;7;\n")
    export(graded, "canvas", tmp_path / "out.csv", "--gradebook", file)
    assert rows(tmp_path / "out.csv", delimiter=";") == [
        {"Student": "ada", "ID": "7", "Lesson 05 (3)": "7"}
    ]


@pytest.mark.parametrize(
    ("more", "text", "said"),
    [
        ([], None, "--gradebook"),
        (["--column", "Lesson 99"], CANVAS, "Lesson 04 (11), Lesson 05: control (12)"),
        ([], CANVAS.replace("Lesson 05", "Homework"), "--column"),
        ([], "Name,Mark\nada,1\n", "'Student'"),
        ([], "", "'Student'"),
        ([], "a\0b" * 100, "'Student'"),
    ],
)
def test_canvas_refuses_what_it_cannot_use(graded, tmp_path, more, text, said):
    if text is not None:
        more = [*more, "--gradebook", canvas(tmp_path, text)]
    out = tmp_path / "upload.csv"
    process = rlcourse("export", graded, "--to", "canvas", "--out", out, *more)
    assert process.returncode == 2 and said in process.stderr, process.stderr
    assert "Traceback" not in process.stderr and not out.exists()


# ------------------------------------------------------------------------------------- Moodle

MOODLE = (
    "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
    "Last modified (submission),Last modified (grade),Feedback comments\n"
    'Participant 7,Ada Lovelace,ada@x.org,Submitted,,100.00,Yes,"Friday, 1",-,\n'
    "Participant 8,Ben Ten,BEN@x.org,Submitted,3,100.00,Yes,-,-,old\n"
    "Participant 9,=Eve,eve@x.org,Submitted,4,100.00,No,-,-,kept\n"
    "Participant 10,Dan,dan@x.org,No submission,,100.00,Yes,-,-,\n"
)


def test_moodles_worksheet_is_filled_in(tmp_path):
    graded, sheet = tmp_path / "results.json", tmp_path / "sheet.csv"
    sheet.write_text(MOODLE)
    ben = CLASS["submissions"][2] | {"student": "b", "email": "ben@x.org"}
    assert ben["score"] == 1
    people = [record("Ada Lovelace_7_assignsubmission_file_"), ben, record("e", email="eve@x.org")]
    graded.write_text(json.dumps(result(*people)))
    said = export(graded, "moodle", tmp_path / "out.csv", "--gradebook", sheet, "--overwrite")
    assert "2 students filled in" in said
    table = rows(tmp_path / "out.csv")
    assert [row["Grade"] for row in table] == ["100", "14.2857", "4", ""]
    assert [row["Last modified (submission)"] for row in table][:2] == ["Friday, 1", "-"]
    comment = table[1]["Feedback comments"]
    assert "bootstraps-terminal" in comment and "(5.8)" in comment
    assert "<code>terminated</code> &lt; 1 &amp;" in comment
    assert table[2]["Feedback comments"] == "kept" and "e: Moodle says" in said
    assert all(is_harmless(cell) for row in table for cell in row.values())


def test_moodle_keeps_an_earlier_grade_and_comment_unless_told(tmp_path):
    graded, sheet = tmp_path / "results.json", tmp_path / "sheet.csv"
    header, ada, *_ = MOODLE.splitlines(keepends=True)
    sheet.write_text(header + ada.replace(",,100.00", ",55,100.00").replace("-,\n", "-,by hand\n"))
    graded.write_text(json.dumps(result(record("ada", email="ada@x.org"))))
    said = export(graded, "moodle", tmp_path / "out.csv", "--gradebook", sheet)
    (row,) = rows(tmp_path / "out.csv")
    assert (row["Grade"], row["Feedback comments"]) == ("55", "by hand")
    assert "0 students filled in" in said and "ada (55)" in said
    sheet.write_text(header + ada.replace("-,\n", "-,by hand\n"))  # a comment alone
    export(graded, "moodle", tmp_path / "out.csv", "--gradebook", sheet)
    (row,) = rows(tmp_path / "out.csv")
    assert (row["Grade"], row["Feedback comments"]) == ("100", "by hand")


def test_moodles_scale_is_no_points(graded, tmp_path):
    sheet, out = tmp_path / "sheet.csv", tmp_path / "out.csv"
    sheet.write_text('Identifier,Full name,Grade,Scale\nParticipant 7,ada,,"Poor, Good"\n')
    process = rlcourse("export", graded, "--to", "moodle", "--out", out, "--gradebook", sheet)
    assert process.returncode == 2 and "scale (Poor, Good)" in process.stderr and not out.exists()


def test_moodles_grade_book_import(graded, tmp_path):
    export(graded, "moodle", tmp_path / "out.csv")
    table = rows(tmp_path / "out.csv")
    assert {row["Student"].removeprefix("'"): float(row["Lesson 05"]) for row in table} == SCORES
    assert all(is_harmless(cell) for row in table for cell in row.values())
    evil = next(row for row in table if "evil" in row["Student"])
    assert evil["Student"] == "'" + EVIL


def test_grades_csv_says_who_and_how_late_where_that_is_known(tmp_path):
    plain = csv.DictReader(io.StringIO(results.as_csv(CLASS)))
    assert plain.fieldnames[:5] == ["student", "file", "state", "score", "points"]
    late = record("s2", email="=b@x.org", score=5.25, penalty=1.75, late_days=1)
    table = csv.DictReader(
        io.StringIO(results.as_csv(result(record("s1"), late, unreadable("s3"))))
    )
    first, second, third = table
    assert (second["email"], second["penalty"], second["score"]) == ("'=b@x.org", "1.75", "5.25")
    assert (first["email"], first["sarsa"], third["sarsa"]) == ("", "3", "0")


# -------------------------------------------------------------------------------------- JUnit


def test_junit(graded, tmp_path):
    export(graded, "junit", tmp_path / "junit.xml")
    root = ET.parse(tmp_path / "junit.xml").getroot()
    suites = {suite.get("name"): suite for suite in root.iter("testsuite")}
    assert set(suites) == set(SCORES)
    ben = suites["ben"]
    assert [[child.tag for child in case] for case in ben.iter("testcase")] == [
        ["properties", *more] for more in ([], ["failure"], ["skipped"], ["error"])]  # fmt: skip
    told = ben.find("testcase/failure")
    assert told.get("type") == "bootstraps-terminal" and "(5.8)" in told.text
    assert "the file is empty" in suites["dan"].find("testcase/error").get("message")
    for element in (root, *suites.values()):
        cases = list(element.iter("testcase"))
        assert int(element.get("tests")) == len(cases)
        for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(element.get(count)) == sum(case.find(tag) is not None for case in cases)


def test_junit_read_back_by_junitparser(graded, tmp_path):
    """Cases without their suites, as many programs list them, still say whose they are, and for how much."""
    export(graded, "junit", tmp_path / "junit.xml")
    suites = list(junitparser.JUnitXml.fromfile(str(tmp_path / "junit.xml")))
    cases = [case for suite in suites for case in suite]
    assert all(item.time == 0 for item in (*suites, *cases))
    assert len({(case.classname, case.name) for case in cases}) == len(cases)
    assert len({case.classname for case in cases}) == len({case.name.split(" (", 1)[1] for case in cases}) == len(SCORES)  # fmt: skip
    assert all(case.classname.count(".") == 1 for case in cases)
    for ours, suite in zip(CLASS["submissions"], suites, strict=True):
        there = {p.name: p.value for p in suite.properties()}
        assert float(there["score"]) == SCORES[ours["student"]] and float(there["points"]) == POINTS
        for made, case in zip(ours["exercises"], suite, strict=bool(ours["exercises"])):
            if ours["exercises"]:
                points = {p.name: float(p.value) for p in case.child(junitparser.Properties)}
                assert points == {"score": made["score"], "points": made["points"]}
                assert case.is_passed == (made["state"] == "passed")
                assert f"({ours['student']})" in case.name


def test_junit_survives_characters_that_xml_cannot_hold(tmp_path):
    graded = tmp_path / "results.json"
    odd = mark(1, "failed", explanation="\0\x1b\ufffe\uffff ]]> \U0001f600")
    graded.write_text(json.dumps(result(record("o\x01", mark(0), odd, mark(2), mark(3)))))
    export(graded, "junit", tmp_path / "junit.xml")
    text = ET.parse(tmp_path / "junit.xml").getroot().find("testsuite/testcase/failure").text
    assert "]]> \U0001f600" in text


# ---------------------------------------------------------------------------------- bad arguments


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "There is no file"),
        ("", "not valid JSON"),
        ("\0\xff", "not valid JSON"),
        ("[1, 2]", "not a result file"),
        ('{"cells": []}', "not a result file"),
        (json.dumps(CLASS | {"schema": "rlcourse/results/v3"}), "rlcourse/results/v3"),
        (json.dumps(CLASS)[:500], "not valid JSON"),
        (json.dumps(CLASS | {"submissions": [{}]}), "submissions/0"),
        (json.dumps(CLASS).replace('"score": 5.25', '"score": NaN'), "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
@pytest.mark.parametrize("command", [("export", "--to", "gradescope"), ("report",)])
def test_what_is_no_result_file_is_refused_in_one_sentence(command, content, said, tmp_path):
    file = tmp_path / "results.json"
    if content is not None:
        file.write_text(content, encoding="latin-1")
    process = rlcourse(*command, file, "--out", tmp_path / "out")
    assert process.returncode == 2, process.stdout
    assert said in process.stderr and len(process.stderr.strip().splitlines()) == 1
    assert "Traceback" not in process.stderr and not (tmp_path / "out").exists()


def test_a_folder_stands_for_the_result_in_it(graded, tmp_path):
    export(graded.parent, "junit", tmp_path / "junit.xml")
    process = rlcourse("export", tmp_path / "nowhere", "--to", "junit", "--out", tmp_path / "x")
    assert process.returncode == 2 and "nowhere" in process.stderr
    process = rlcourse("report", tmp_path / ("n" * 300), "--out", tmp_path / "x")
    assert process.returncode == 2 and "Cannot read" in process.stderr
    (tmp_path / "empty").mkdir()
    process = rlcourse("report", tmp_path / "empty", "--out", tmp_path / "x")
    assert process.returncode == 2 and "no results.json" in process.stderr


def test_an_unknown_format_or_place_writes_nothing(graded, tmp_path):
    process = rlcourse("export", graded, "--to", "blackboard", "--out", tmp_path / "out")
    assert process.returncode == 2 and "gradescope" in process.stderr
    process = rlcourse("export", graded, "--to", "junit", "--out", tmp_path)
    assert process.returncode == 2 and "is a folder" in process.stderr
    process = rlcourse("export", graded, "--to", "gradescope", "--out", graded)
    assert process.returncode == 2 and "is a file" in process.stderr
    process = rlcourse("export", graded, "--to", "gradescope", "--out", "/proc/marks")
    assert process.returncode == 2 and "/proc/marks" in process.stderr
    process = rlcourse("export", graded, "--to", "gradescope", "--out", graded / "below")
    assert process.returncode == 2 and "results.json" in process.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_the_same_result_gives_the_same_bytes(graded, tmp_path):
    for to in ("gradescope", "junit", "moodle"):
        for out in ("a", "b"):
            export(graded, to, tmp_path / f"{to}-{out}")
        a, b = (tmp_path / f"{to}-{out}" for out in "ab")
        files = [(f, b / f.relative_to(a)) for f in a.rglob("*.json")] if a.is_dir() else [(a, b)]
        assert all(one.read_bytes() == other.read_bytes() for one, other in files) and files
