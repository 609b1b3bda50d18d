"""Every student in whatever a learning platform gave out is found, and none twice."""

from __future__ import annotations

import io
import os
import random
import struct
import time
import zipfile

import pytest

from rlcourse.grading import submissions
from rlcourse.grading.rules import Rules
from rlcourse.grading.submissions import collect
from rlcourse.lessons.paths import UsageError


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def write(folder, files):
    for name, data in files.items():
        path = folder / name
        if data is None:
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def students(path):
    return {s.student: s.data for s in collect(path, "05")}


CLASS = {"anna": b"1", "Björn Ö.": b"2", "李 小龙": b"3"}
LAYOUTS = {
    "flat": {f"{name}.ipynb": data for name, data in CLASS.items()},
    "a folder a student": {f"{name}/05_td.ipynb": data for name, data in CLASS.items()},
    "deep folders": {f"{name}/work/final/05_td.ipynb": data for name, data in CLASS.items()},
    "beside other files": {f"{name}/05.ipynb": data for name, data in CLASS.items()}
    | {"anna/figure.png": b"", "anna/.ipynb_checkpoints/05.ipynb": b"old", "__MACOSX/anna": b""},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_class_is_found_in_a_folder_and_in_a_zip(layout, tmp_path):
    files = LAYOUTS[layout]
    assert students(write(tmp_path / "class", files)) == CLASS
    for name, wrapper in (("bare.zip", ""), ("wrapped.zip", "hand-ins of week 5/")):
        archive = tmp_path / name
        archive.write_bytes(zipped({wrapper + inner: data for inner, data in files.items()}))
        assert students(archive) == CLASS
        holder = write(tmp_path / f"folder of {name}", {name: archive.read_bytes()})
        assert students(holder) == CLASS


@pytest.mark.parametrize("inner", [["05.ipynb"], ["hw/05.ipynb", "hw/data.csv"], ["a", "05.ipynb"]])
def test_a_zip_a_student_keeps_the_students_apart(inner, tmp_path):
    files = {f"{n}.zip": zipped(dict.fromkeys(inner, d)) for n, d in CLASS.items()}
    assert students(write(tmp_path, files)) == CLASS


def test_zips_in_folders(tmp_path):
    files = {f"{n}/hw.zip": zipped({"hw/05.ipynb": d}) for n, d in CLASS.items()}
    assert students(write(tmp_path, files)) == CLASS


def test_one_notebook(tmp_path):
    write(tmp_path, {"anna.ipynb": b"1"})
    assert students(tmp_path / "anna.ipynb") == {"anna": b"1"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"anna": None}, "empty"),
        ({"anna/inner": None}, "empty"),
        ({"anna/.ipynb_checkpoints/05.ipynb": b""}, "empty"),
        ({"anna/essay.pdf": b""}, "essay.pdf"),
        ({"anna.pdf": b""}, "anna.pdf"),
        ({"anna.zip": zipped({})}, "empty"),
        ({"anna.zip": b"PK\x03\x04 and so on"}, "cannot be opened"),
        ({"anna.zip": zipped({"notes.txt": b""})}, "notes.txt"),
        ({"anna.zip": zipped({"hw/": b""})}, "empty"),
        ({"anna.zip": zipped({"hw.zip": zipped({"05.ipynb": b""})})}, "hw.zip"),
    ],
)
def test_who_sent_no_notebook_is_not_lost(files, said, tmp_path):
    found = collect(write(tmp_path, files | {"ben.ipynb": b"2"}), "05")
    assert [s.student for s in found] == ["anna", "ben"]
    assert found[0].data is None
    assert said in found[0].problem


def test_several_notebooks_are_noted(tmp_path):
    write(tmp_path, {"anna/draft.ipynb": b"1", "anna/final.ipynb": b"2"})
    (found,) = collect(tmp_path, "05")
    assert found.data == b"2"
    assert "draft.ipynb" in found.notes[0] and "final.ipynb" in found.notes[0]


def test_a_note_on_many_notebooks_stays_short(tmp_path):
    write(tmp_path, {f"anna/attempt {n}.ipynb": b"1" for n in range(300)})
    (found,) = collect(tmp_path, "05")
    (note,) = found.notes
    assert "attempt 299.ipynb" in note and "and 294 others" in note and len(note) < 300
    records = [{"file": s.file, "score": 0, "state": "graded", "notes": []} for s in collect(tmp_path, "05", every_attempt=True)]  # fmt: skip
    (best,) = Rules(attempts="best").apply(collect(tmp_path, "05", every_attempt=True), records)
    assert len(best["notes"][0]) < 400


def test_of_the_whole_course_the_lesson_is_taken(tmp_path):
    files = {f"anna/{n:02}_lesson.ipynb": str(n).encode() for n in range(8)}
    (found,) = collect(write(tmp_path, files), "05")
    assert found.data == b"5"
    assert not found.notes


def test_a_symbolic_link_is_not_followed(tmp_path):
    secret = write(tmp_path / "elsewhere", {"key.ipynb": b"secret"})
    folder = write(tmp_path / "class", {"ben.ipynb": b"2"})
    (folder / "anna.ipynb").symlink_to(secret / "key.ipynb")
    (folder / "carl").symlink_to(secret)
    (folder / "dora.ipynb").symlink_to(folder / "nowhere")
    found = collect(folder, "05")
    assert {s.student: s.data for s in found} == {
        "anna": None, "ben": b"2", "carl": None, "dora": None,
    }  # fmt: skip
    assert all("symbolic link" in s.problem for s in found if s.data is None)


# ------------------------------------------------------------------- zips as programs write them


def member(name, data=b"1", flags=None, extra=b"", date=(2026, 11, 20, 12, 0, 0)):
    """A member as some program wrote it; name: bytes, or text in UTF-8 with the flag that says so."""
    info = zipfile.ZipInfo("x", date)
    info.filename = name if isinstance(name, str) else name.decode("cp437")
    info.extra = extra
    return info, data


def as_written(path, *members):
    with zipfile.ZipFile(path, "w") as archive:
        for info, data in members:
            archive.writestr(info, data)
    return path


def test_backslashes_are_folders(tmp_path):
    """Windows PowerShell 5's Compress-Archive."""
    names = (r"submissions\doe_jane\05_td.ipynb", r"submissions\roe_ben\05_td.ipynb")
    path = as_written(tmp_path / "class.zip", *(member(name) for name in names))
    assert set(students(path)) == {"doe_jane", "roe_ben"}
    whole = as_written(
        tmp_path / "anna.zip",
        *(member(rf"course\{n:02}_x.ipynb", str(n).encode()) for n in range(8)),
    )
    files = {"anna.zip": whole.read_bytes(), "ben.ipynb": b"2"}
    assert students(write(tmp_path / "c", files)) == {"anna": b"5", "ben": b"2"}


@pytest.mark.parametrize("alphabet", ["utf-8", "cp437", "cp1252"])
@pytest.mark.parametrize("name", ["Zoë Müller", "Jürgen", "François Élie"])
def test_names_in_old_alphabets(tmp_path, alphabet, name):
    raw = f"{name}.ipynb".encode(alphabet, errors="ignore")
    path = tmp_path / "class.zip"
    as_written(path, member("x" * len(raw)))
    path.write_bytes(
        path.read_bytes().replace(b"x" * len(raw), raw)
    )  # no flag: no alphabet is named
    expected = raw.decode(alphabet).removesuffix(".ipynb")
    assert list(students(path)) == [expected]


def test_a_zip_s_time_in_utc_comes_before_its_local_clock(tmp_path):
    in_utc = struct.pack("<HHBi", 0x5455, 5, 1, 1_700_000_000)
    path = as_written(
        tmp_path / "class.zip", member("a.ipynb", extra=in_utc), member("b.ipynb"),
        member("c.ipynb", date=(1980, 1, 1, 0, 0, 0)),
    )  # fmt: skip
    a, b, c = collect(path, "05")
    assert (a.time, a.clock) == (1_700_000_000, "")
    assert b.time == time.mktime((2026, 11, 20, 12, 0, 0, 0, 0, -1)) and "zone" in b.clock
    assert c.time is None


def test_a_loose_notebook_with_a_dot_in_front_is_handed_in(tmp_path):
    files = {".anna.ipynb": b"1", "._anna.ipynb": b"0", "ben/.05.ipynb": b"2", ".git/x.ipynb": b"3"}
    assert students(write(tmp_path, files)) == {"anna": b"1", "ben": b"2"}


# --------------------------------------------------------------------------------- hostile zips


def test_paths_that_climb_are_only_names(tmp_path):
    files = {"../../anna.ipynb": b"1", "/etc/ben.ipynb": b"2", "c/../../../carl.ipynb": b"3"}
    archive = tmp_path / "inner" / "class.zip"
    write(tmp_path, {"inner/class.zip": zipped(files)})
    before = sorted(tmp_path.rglob("*"))
    assert set(students(archive).values()) == {b"1", b"2", b"3"}
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "MAX_BYTES", 10_000)
    files = {"anna/05.ipynb": b"0" * 10_001, "ben/05.ipynb": b"2"}
    write(tmp_path, {"class.zip": zipped(files)})
    anna, ben = collect(tmp_path / "class.zip", "05")
    assert anna.data is None and "too large" in anna.problem
    assert ben.data == b"2"


def test_many_large_files_are_a_bomb_too(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "MAX_ARCHIVE", 8_000)
    files = {f"s{i:02}/05.ipynb": b"0" * 1000 for i in range(20)}
    write(tmp_path, {"class.zip": zipped(files)})
    found = collect(tmp_path / "class.zip", "05")
    assert len(found) == 20
    assert sum(s.data is not None for s in found) == 8


def test_a_size_that_is_a_lie(tmp_path):
    data = bytearray(zipped({"anna/05.ipynb": b"0" * 5000, "ben/05.ipynb": b"2"}))
    for at in range(len(data) - 4):
        if data[at : at + 4] == (5000).to_bytes(4, "little"):
            data[at : at + 4] = (50).to_bytes(4, "little")
    write(tmp_path, {"class/class.zip": bytes(data), "class/zed.ipynb": b"3"})
    found = collect(tmp_path / "class", "05")
    assert [s.student for s in found] == ["class", "zed"]
    assert b"0" * 51 not in [s.data for s in found]


@pytest.mark.parametrize("seed", range(100))
def test_damaged_zips_are_refused_politely(seed, tmp_path):
    rng = random.Random(seed)
    data = bytearray(zipped({"anna/05.ipynb": rng.randbytes(300) + b"0" * 300, "b.ipynb": b"1"}))
    for _ in range(rng.randrange(1, 8)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    if seed % 4 == 0:
        del data[rng.randrange(len(data)) :]
    write(tmp_path, {"anna.zip": bytes(data), "ben.ipynb": b"2"})
    found = collect(tmp_path, "05")
    assert [s.student for s in found] == ["anna", "ben"]
    assert found[0].data is not None or found[0].problem


def test_a_zip_that_needs_a_password(tmp_path):
    data = bytearray(zipped({"05.ipynb": b"1"}))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    found = collect(write(tmp_path, {"anna.zip": bytes(data), "ben.ipynb": b"2"}), "05")
    assert "password" in found[0].problem


# ------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "data"),
    [("class.zip", b"PK\x03\x04"), ("class.zip", zipped({})), ("class.zip", zipped({"a.txt": b""})), ("essay.pdf", b"")],
)  # fmt: skip
def test_a_file_without_submissions_is_refused(name, data, tmp_path):
    write(tmp_path, {name: data})
    with pytest.raises(UsageError, match=name):
        collect(tmp_path / name, "05")


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "MAX_FILES", 3)
    write(tmp_path, {f"{i}.ipynb": b"" for i in range(4)})
    with pytest.raises(UsageError, match="more than 3"):
        collect(tmp_path, "05")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in folders")
def test_a_pipe_is_named_and_nobody_waits_for_it(tmp_path):
    write(tmp_path, {"anna.ipynb": b"1"})
    os.mkfifo(tmp_path / "ben.ipynb")
    anna, ben = collect(tmp_path, "05")
    assert anna.data == b"1"
    assert ben.data is None and "not a file" in ben.problem


def test_what_is_no_notebook_stays_unread(tmp_path, monkeypatch):
    """A class that hands in its films and networks, too, does not have to fit into memory."""
    files = {"anna/05.ipynb": b"1", "anna/film.mp4": b"0" * 50_000, "ben/film.mp4": b"0" * 50_000}
    write(tmp_path / "class", files)
    (tmp_path / "class.zip").write_bytes(zipped(files))
    read = []
    for kind, name in ((type(tmp_path), "read_bytes"), (zipfile.ZipExtFile, "read")):
        real = getattr(kind, name)

        def noted(self, *sizes, real=real):
            read.append(len(data := real(self, *sizes)))
            return data

        monkeypatch.setattr(kind, name, noted)
    for path in (tmp_path / "class", tmp_path / "class.zip"):
        anna, ben = collect(path, "05")
        assert anna.data == b"1" and "'film.mp4' is not a notebook" in ben.problem
    assert 1 in read and 50_000 not in read


@pytest.mark.parametrize("wrapper", ["", "submissions/"])
def test_the_download_of_a_class_that_hands_in_zips(wrapper, tmp_path):
    """Canvas puts students' files, whatever they are, into one zip."""
    inner = {f"{name}.zip": zipped({"hw/05.ipynb": data}) for name, data in CLASS.items()}
    for more in ({}, {"ben.ipynb": b"4"}):
        archive = tmp_path / "submissions.zip"
        archive.write_bytes(zipped({wrapper + name: data for name, data in (inner | more).items()}))
        assert students(archive) == CLASS | {name[:-6]: data for name, data in more.items()}


def test_a_students_zip_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "MAX_STUDENT", 5_000)
    many = zipped({f"{i}.ipynb": b"0" * 2_000 for i in range(9)})
    write(tmp_path, {"anna.zip": many, "ben.ipynb": b"1"})
    files = [s.file for s in collect(tmp_path, "05", every_attempt=True) if s.student == "anna"]
    assert files == ["anna/0.ipynb", "anna/1.ipynb"]


@pytest.mark.parametrize(
    "name", ["anna.ipynb.json", "anna.ipynb.txt", "anna.IPYNB", "anna/05.ipynb.json"]
)
def test_a_notebook_with_a_second_ending_is_one(tmp_path, name):
    assert students(write(tmp_path, {name: b"1", "essay.txt": b"0", "ben.ipynb": b"2"})) == {
        "anna": b"1", "ben": b"2", "essay": None,
    }  # fmt: skip
