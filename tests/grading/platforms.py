"""What Canvas and Moodle do with a file that is uploaded: their rules, written down from their sources.

Canvas (instructure/canvas-lms): lib/gradebook_importer.rb, and `infer_comment_context_from_filename` in
app/models/assignment.rb. Moodle (moodle/moodle): mod/assign/feedback/offline/importgradeslib.php and
mod/assign/feedback/file/importziplib.php. Only what decides who gets what; all else is left out.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile


class Refused(Exception):
    """The platform would not take the file."""


def canvas_import(data: bytes, students: dict[int, str], assignments: dict[int, str]):
    """{student id: {assignment id: grade}}, as Canvas would enter it.

    students: id -> name; assignments: id -> title. A column or a row that Canvas does not know would become a
    new assignment, or a new student: here it is refused.
    """
    text = data.decode("utf-8")
    table = list(csv.reader(io.StringIO(text, newline=""), delimiter=_canvas_delimiter(text)))
    header, *body = [row for row in table if any(cell.strip() for cell in row)]
    two = header[0] == "LastName" and header[1] == "FirstName"
    one = "Student" in header[0] and "ID" in header[1] and len(header) > 3
    if not (one or (two and "ID" in header[2] and len(header) > 4)):
        raise Refused("Invalid header row")
    info = 4 if two else 3
    here = [*header[info - 1 :], "", "", "", ""]
    if re.search(r"SIS\s+Login\s+ID", here[0]):
        info += 1
    elif re.search(r"SIS\s+User\s+ID", here[0]) and re.search(r"SIS\s+Login\s+ID", here[1]):
        more = 1 if re.search(r"Integration\s+ID", here[2]) else 0
        more += 1 if re.search(r"Root\s+Account", here[2 + more]) else 0
        info += 2 + more
    if "Section" not in header[info - 1]:
        raise Refused("Invalid header row")
    columns = {}
    for place, title in enumerate(header[info:], start=info):
        if re.search(r"(Current|Final) (Score|Points|Grade)|Override (Score|Grade|Status)", title):
            continue
        numbered = re.fullmatch(r"(.*) \((\d+)\)", title)
        known = int(numbered[2]) if numbered else None
        if known not in assignments:
            known = next((key for key, name in assignments.items() if name == title), None)
        if known is None:
            raise Refused(f"{title!r} would be a new assignment")
        columns[known] = place
    marks = {}
    for row in body:
        if "Points Possible" in row[0] or all(
            re.fullmatch(r"\s*(muted|manual posting.*)?\s*", cell, re.I) for cell in row if cell
        ):
            continue
        number = row[2] if two else row[1]
        name = f"{row[1]} {row[0]}".strip() if two else row[0]
        student = int(number) if number.isdigit() and int(number) in students else None
        student = student or next((key for key, known in students.items() if known == name), None)
        if student is None:
            raise Refused(f"{name!r} would be a new student")
        marks[student] = {key: _canvas_number(row[place].strip()) for key, place in columns.items()}
    return marks


def _canvas_delimiter(text: str) -> str:
    """The one that cuts the first three lines into equally many cells, and into more."""
    counts = {}
    for delimiter in ";,":
        fields = {
            len(next(csv.reader([line], delimiter=delimiter))) for line in text.splitlines()[:3]
        }
        counts[delimiter] = fields.pop() if len(fields) == 1 else 0
    return ";" if counts[";"] > counts[","] else ","


def _canvas_number(cell: str) -> str:
    """Of a number with dots and commas the last one is the decimal sign."""
    if not re.fullmatch(r"-?[0-9.,]+%?", cell):
        return cell
    *whole, last = re.split(r"[,.]", cell)
    return f"{''.join(whole)}.{last}" if whole else last


def canvas_comments(data: bytes, attachments: dict[int, set[int]]):
    """{student id: {file name: content}} of the files that become comments; attachments: student -> their files."""
    taken: dict[int, dict[str, bytes]] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            numbers = [part for part in name.rpartition("/")[2].split("_") if part.isdigit()][:2]
            if len(numbers) == 2 and int(numbers[1]) in attachments.get(int(numbers[0]), ()):
                taken.setdefault(int(numbers[0]), {})[name] = archive.read(name)
    return taken


def moodle_import(data: bytes, participants: set[int]):
    """{participant: (grade, comment)}, as Moodle would enter them from a grading worksheet."""
    text = data.decode("utf-8").removeprefix("\ufeff")
    header, *body = csv.reader(io.StringIO(text, newline=""), delimiter=",")
    needed = ("Identifier", "Grade", "Last modified (grade)")
    if any(title not in header for title in needed):
        raise Refused("The file does not match the worksheet")
    taken = {}
    for row in body:
        cells = dict(zip(header, row, strict=True))
        number = cells["Identifier"][len("Participant ") :]
        if number.isdigit() and int(number) in participants:
            taken[int(number)] = cells["Grade"], cells.get("Feedback comments", "")
    return taken


def moodle_feedback(data: bytes, participants: set[int]):
    """{participant: {file name: content}} of the feedback files that Moodle would take out of a zip."""
    taken: dict[int, dict[str, bytes]] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for path in archive.namelist():
            if path.rpartition("/")[2].startswith((".", "~")):
                continue
            parts = path.split("/")
            while parts:
                info = parts.pop(0).split("_", 4)
                if len(info) < 4 or not info[1].isdigit() or int(info[1]) not in participants:
                    continue
                if info[2:4] == ["assignsubmission", "file"]:
                    name = "/".join([*info[4:], *parts]).lstrip("/")
                    taken.setdefault(int(info[1]), {})[name] = archive.read(path)
                    break
    return taken
