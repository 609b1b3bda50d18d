"""JUnit XML: a test suite a student, a test case an exercise."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

from .. import feedback
from ..results import has_mark, is_excused
from . import Export, Options

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def export(result: dict[str, Any], options: Options) -> Export:
    """A wrong answer is a failure, an unreadable one or one that was stopped is an error."""
    suites = [_suite(record, result["lesson"]) for record in result["submissions"]]
    counts = ("tests", "failures", "errors", "skipped")
    total = {key: str(sum(int(suite.get(key)) for suite in suites)) for key in counts}
    root = ET.Element("testsuites", name=_text(f"Lesson {result['lesson']}"), **total)
    root.extend(suites)
    ET.indent(root, " ")
    return Export('<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n")


def _suite(record: dict[str, Any], lesson: str) -> ET.Element:
    group = f"lesson_{lesson}"
    cases = [_case(mark, group) for mark in record["exercises"]]
    if is_excused(record):
        cases = [ET.Element("testcase", classname=group, name="lesson")]
        ET.SubElement(cases[0], "skipped", message="excused")
    elif record["state"] != "graded":
        cases = [ET.Element("testcase", classname=group, name="notebook")]
        ET.SubElement(cases[0], "error", message=_text(record["reason"]), type=record["state"])
    suite = ET.Element(
        "testsuite",
        name=_text(record["student"]),
        tests=str(len(cases)),
        failures=str(_count(cases, "failure")),
        errors=str(_count(cases, "error")),
        skipped=str(_count(cases, "skipped")),
    )
    properties = ET.SubElement(suite, "properties")
    for key in (
        ("file", "score", "points")
        if has_mark(record) and not is_excused(record)
        else ("file", "points")
    ):
        value = record[key] if key == "file" else f"{record[key]:g}"
        ET.SubElement(properties, "property", name=key, value=_text(value))
    suite.extend(cases)
    return suite


def _case(mark: dict[str, Any], group: str) -> ET.Element:
    case = ET.Element("testcase", classname=group, name=f"{mark['number']} {mark['name']}")
    state = mark["state"]
    if state == "not attempted":
        ET.SubElement(case, "skipped", message="not attempted")
    elif state != "passed":
        kind = "failure" if state == "failed" else "error"
        message = _text(mark["headline"] or state)
        told = ET.SubElement(case, kind, message=message, type=mark["mistake"] or state)
        told.text = _text("\n".join(feedback.told(mark)))
    return case


def _count(cases: list[ET.Element], kind: str) -> int:
    return sum(case.find(kind) is not None for case in cases)


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
