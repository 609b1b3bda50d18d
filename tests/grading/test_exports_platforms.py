"""What is exported, taken in by Canvas's and Moodle's own rules: everybody gets their own, and nobody else's."""

from __future__ import annotations

import csv
import io

import pytest
from made_up_class import record, result, unreadable
from platforms import (
    Refused,
    canvas_comments,
    canvas_import,
    moodle_feedback,
    moodle_import,
)

from rlcourse.grading.exports import Options, canvas, canvas_feedback, moodle
from rlcourse.grading.exports import moodle_feedback as pages
from rlcourse.lessons.paths import UsageError

STUDENTS = {101: "Ada Lovelace", 102: "Ben Ten", 103: "Zoë Müller"}
ASSIGNMENTS = {11: "Lesson 04", 12: "Lesson 05"}
CLASS = result(
    record("lovelaceada_101", file="lovelaceada_101_901_05.ipynb"),
    record("tenben_102", file="tenben_LATE_102_902_05.ipynb", score=5.25),
    record("mullerzoe_103", file="mullerzoe_103_903_05-2.ipynb", score=0.5),
    record("own name", file="own name.ipynb"),
)
HEADS = {
    "one column": ("Student,ID,SIS User ID,SIS Login ID,Section", "{last}, {first},{id},s{id},u{id},A"),
    "two columns": ("LastName,FirstName,ID,SIS User ID,SIS Login ID,Section", "{last},{first},{id},s{id},u{id},A"),
    "all there are": (
        "Student,ID,SIS User ID,SIS Login ID,Integration ID,Root Account,Section",
        "{last}, {first},{id},s{id},u{id},,school.edu,A"),
}  # fmt: skip


def gradebook(head, delimiter=","):
    titles, row = HEADS[head]
    lines = [f"{titles},Lesson 04 (11),Lesson 05 (12),Current Score,Final Grade"]
    n = titles.count(",")
    lines.append(f"    Points Possible{',' * n},10,7,(read only),(read only)")
    for key, name in STUDENTS.items():
        first, last = name.split()
        cells = row.replace("{last}, {first}", '"{last}, {first}"').format(
            first=first, last=last, id=key
        )
        lines.append(f"{cells},3,,30,B")
    return "\n".join(lines).replace(",", delimiter).replace(f"{delimiter} ", ", ") + "\n"


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a mark"])
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("head", HEADS)
def test_canvas_takes_the_gradebook_and_gives_everybody_their_own(tmp_path, head, delimiter, mark):
    file = tmp_path / "gradebook.csv"
    file.write_text(mark + gradebook(head, delimiter), encoding="utf-8")
    made = canvas.export(CLASS, Options(file))
    taken = canvas_import(made.files.encode(), STUDENTS, ASSIGNMENTS)
    assert taken == {101: {12: "7"}, 102: {12: "5.25"}, 103: {12: "0.5"}}
    assert any(note.startswith("own name: no row") for note in made.notes)


def test_the_checker_itself_refuses_what_canvas_would():
    with pytest.raises(Refused, match="header"):
        canvas_import(b"Student,ID,Lesson 05 (12)\nAda Lovelace,101,7\n", STUDENTS, ASSIGNMENTS)
    with pytest.raises(Refused, match="new student"):
        canvas_import(b"Student,ID,Section,Lesson 05 (12)\nEve,,A,7\n", STUDENTS, ASSIGNMENTS)
    with pytest.raises(Refused, match="new assignment"):
        canvas_import(b"Student,ID,Section,Lesson 06 (13)\nx,101,A,7\n", STUDENTS, ASSIGNMENTS)
    with pytest.raises(Refused, match="worksheet"):
        moodle_import(b"Identifier;Grade;Last modified (grade)\nParticipant 1;2;-\n", {1})


WORKSHEET = (
    "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
    "Last modified (submission),Last modified (grade),Feedback comments\n"
    "Participant 71,Jane Doe,jane@example.org,Submitted,,7.00,Yes,-,-,\n"
    "Participant 72,Zoë_Müller,zoe@example.org,Submitted,,7.00,Yes,-,-,\n"
    "Participant 73,Roe Ben,ben@example.org,Submitted,,7.00,Yes,-,-,\n"
)
IN_MOODLE = result(
    record("Jane Doe_71", file="Jane Doe_71_assignsubmission_file_/05.ipynb", score=5),
    record("Zoë Müller_72", file="Zoë Müller_72_assignsubmission_file/deep/05.ipynb"),
    unreadable("Roe Ben_73") | {"file": "Roe Ben_73_assignsubmission_file_/essay.pdf"},
)


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_moodle_takes_the_worksheet_whatever_a_spreadsheet_made_of_it(tmp_path, delimiter):
    file = tmp_path / "sheet.csv"
    file.write_text("\ufeff" + WORKSHEET.replace(",", delimiter), encoding="utf-8")
    made = moodle.export(IN_MOODLE, Options(file))
    taken = moodle_import(made.files.encode(), {71, 72, 73})
    assert {key: grade for key, (grade, _) in taken.items()} == {71: "5", 72: "7", 73: "0"}
    assert "the file is empty" in taken[73][1]


GERMAN = (
    "ID,Vollständiger Name,E-Mail-Adresse,Status,Bewertung,Bestwertung,Bewertung kann geändert werden,"
    "Zuletzt geändert (Abgabe),Zuletzt geändert (Bewertung),Feedback als Kommentar\n"
    'Teilnehmer/in71,Jane Doe,jane@example.org,Abgegeben,,"14,00",Ja,-,-,\n'
    'Teilnehmer/in72,Zoë Müller,zoe@example.org,Abgegeben,"3,00","14,00",Ja,-,-,\n'
)


@pytest.mark.parametrize("column", [None, "bewertung"])
def test_moodles_worksheet_in_another_language(tmp_path, column):
    file = tmp_path / "sheet.csv"
    file.write_text(GERMAN, encoding="utf-8")
    made = moodle.export(IN_MOODLE, Options(file, column))
    header, jane, zoe = csv.reader(io.StringIO(made.files))
    assert header == GERMAN.splitlines()[0].split(",")
    assert (jane[0], jane[4], jane[5]) == ("Teilnehmer/in71", "10", "14,00")
    assert zoe[4] == "3,00" and any("kept" in note for note in made.notes)
    assert any("5 to 10" in note or "7 to 14" in note for note in made.notes)
    file.write_text(GERMAN.replace(',"14,00"', ",Ja"), encoding="utf-8")
    with pytest.raises(UsageError, match="--column"):
        moodle.export(IN_MOODLE, Options(file))


def test_moodle_gives_everybody_their_own_page():
    made = pages.export(IN_MOODLE, Options())
    taken = moodle_feedback(made.files, {71, 72, 73, 74})
    assert {key: list(files) for key, files in taken.items()} == {k: ["feedback.html"] for k in (71, 72, 73)}  # fmt: skip
    assert b"Jane Doe_71" in taken[71]["feedback.html"] and b"Roe Ben" in taken[73]["feedback.html"]
    assert made.files == pages.export(IN_MOODLE, Options()).files


def test_with_the_worksheet_also_who_has_no_folder_of_moodles(tmp_path):
    file = tmp_path / "sheet.csv"
    file.write_text(WORKSHEET, encoding="utf-8")
    named = result(record("jd", email="JANE@example.org", file="jd.ipynb"), record("Zoë_Müller"), record("eve"))  # fmt: skip
    made = pages.export(named, Options(file))
    taken = moodle_feedback(made.files, {71, 72, 73})
    assert b"<b>jd</b>" in taken[71]["feedback.html"]
    assert "Müller".encode() in taken[72]["feedback.html"] and 73 not in taken
    assert [note for note in made.notes if note.startswith("eve: no folder of Moodle's")]
    with pytest.raises(UsageError, match=r"--gradebook"):
        pages.export(named, Options())


def test_canvas_attaches_everybodys_own_page():
    made = canvas_feedback.export(CLASS, Options())
    taken = canvas_comments(made.files, {101: {901}, 102: {902}, 103: {903}, 104: {904}})
    assert {key: len(files) for key, files in taken.items()} == {101: 1, 102: 1, 103: 1}
    assert all(b"tenben_102" in page for page in taken[102].values())
    assert not canvas_comments(made.files, {101: {902}})
    assert any(note.startswith("own name: no file of Canvas's") for note in made.notes)
    with pytest.raises(UsageError, match="Download Submissions"):
        canvas_feedback.export(result(record("ada")), Options())
