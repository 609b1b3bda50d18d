"""The certificate of progress: everything that was solved, on a page that says what it is worth."""

from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rlcourse import checker
from rlcourse.cli import main
from rlcourse.lessons import certificate
from rlcourse.lessons.paths import UsageError
from rlcourse.lessons.progress import LessonStanding, Standing

DAY = date(2026, 11, 30)
LESSONS = [
    LessonStanding(
        "00",
        "00 · Start <here>",
        Path("00.ipynb"),
        exercises=[Standing("discounted_return", "0.1", 1, "passed")],
    ),
    LessonStanding(
        "20",
        "",
        None,
        "no notebook",
        exercises=[
            Standing("judge_runs", "20.8", 2, "failed", "wrong values"),
            Standing("train_agent", "20.9", 6),
        ],
    ),
]


class Text(HTMLParser):
    """The words of a page, and what it would load."""

    def __init__(self, page):
        super().__init__()
        self.words, self.loads = [], []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.loads += [v for k, v in attributes if k in ("src", "href")]

    def handle_data(self, data):
        self.words.append(data)


def test_a_page_has_date_lessons_points_and_says_that_it_is_self_checked():
    page = Text(certificate.as_html(LESSONS, "Ada <b>", DAY))
    for told in ("2026-11-30", "00 · Start <here>", "1 of 9 points", "1 of 3 exercises", "Ada <b>"):
        assert told in page.text
    assert "✓ 0.1 discounted_return 1" in page.text
    assert "✗ 20.8 judge_runs 2" in page.text and "○ 20.9 train_agent 6" in page.text
    assert "Self-checked" in page.text and "no mark" in page.text
    assert page.loads == []


def test_plain_text_says_the_same():
    text = certificate.as_text(LESSONS, "Ada", DAY)
    page = Text(certificate.as_html(LESSONS, "Ada", DAY)).text
    for line in text.split("\n"):
        for word in line.split():
            assert word.rstrip(":") in page, line


@pytest.mark.parametrize("name", ["progress.html", "progress.txt"])
def test_it_is_written_as_the_name_ends(tmp_path, name):
    certificate.write(tmp_path / name, LESSONS, "", DAY)
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") == name.endswith(".html")


def test_another_ending_and_a_folder_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(UsageError, match="ends in"):
        certificate.write(tmp_path / "progress.pdf", LESSONS, "", DAY)
    with pytest.raises(UsageError, match="Cannot write"):
        certificate.write(tmp_path / "no" / "such" / "page.html", LESSONS, "", DAY)


def test_the_command_writes_every_lesson_with_its_points(tmp_path, capsys):
    # Notebooks as they were handed out: nothing is run, everything is open.
    page = tmp_path / "mine.txt"
    folder = Path(__file__).parents[2] / "notebooks"
    with pytest.raises(SystemExit) as ended:
        main(["progress", str(folder), "--certificate", str(page), "--name", "Ada Lovelace"])
    assert ended.value.code == 0
    shown, text = capsys.readouterr().out, page.read_text(encoding="utf-8")
    total = sum(checker.get(name).points for name in checker.names())
    assert f"0 of {total:g} points" in shown and f"0 of {total:g} points" in text
    assert "Ada Lovelace" in text
    for name in checker.names():
        assert f" {name} " in text


def test_an_unusable_name_is_told_before_anything_is_judged(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["progress", "--certificate", str(tmp_path / "page.docx")])
    assert ended.value.code == 2
    assert "ends in .html or in .txt" in capsys.readouterr().err
