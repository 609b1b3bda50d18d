"""JUnit XML: a test suite a student, a test case an exercise.

Readers show a case by its class and name, often without its suite: so both say whose it is. Points are
properties, as pytest writes them. Every time is 0: a result holds none, so that the same submissions give
the same bytes.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

from .. import feedback
from ..results import file_names, has_mark, is_excused
from . import Export, Options

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def export(result: dict[str, Any], options: Options) -> Export:
    """A wrong answer is a failure, an unreadable one or one that was stopped is an error."""
    group = f"lesson_{result['lesson']}"
    # A dot would begin a class within a package.
    suites = [
        _suite(record, f"{group}.{name.replace('.', '_')}")
        for name, record in file_names(result["submissions"])
    ]
    counts = ("tests", "failures", "errors", "skipped")
    total = {key: str(sum(int(suite.get(key)) for suite in suites)) for key in counts}
    root = ET.Element("testsuites", name=_text(f"Lesson {result['lesson']}"), time="0", **total)
    root.extend(suites)
    ET.indent(root, " ")
    return Export('<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n")


def _suite(record: dict[str, Any], group: str) -> ET.Element:
    student = record["student"]
    cases = [_case(mark, group, student) for mark in record["exercises"]]
    if is_excused(record):
        cases = [_named(group, "lesson", student)]
        ET.SubElement(cases[0], "skipped", message="excused")
    elif record["state"] != "graded":
        cases = [_named(group, "notebook", student)]
        ET.SubElement(cases[0], "error", message=_text(record["reason"]), type=record["state"])
    suite = ET.Element(
        "testsuite",
        name=_text(record["student"]),
        tests=str(len(cases)),
        failures=str(_count(cases, "failure")),
        errors=str(_count(cases, "error")),
        skipped=str(_count(cases, "skipped")),
        time="0",
    )
    marked = has_mark(record) and not is_excused(record)
    _add_properties(suite, record, *(("file", "score", "points") if marked else ("file", "points")))
    suite.extend(cases)
    return suite


def _named(group: str, name: str, student: str) -> ET.Element:
    return ET.Element(
        "testcase", classname=_text(group), name=_text(f"{name} ({student})"), time="0"
    )


def _add_properties(element: ET.Element, of: dict[str, Any], *keys: str) -> None:
    properties = ET.SubElement(element, "properties")
    for key in keys:
        value = of[key] if isinstance(of[key], str) else f"{of[key]:g}"
        ET.SubElement(properties, "property", name=key, value=_text(value))


def _case(mark: dict[str, Any], group: str, student: str) -> ET.Element:
    case = _named(group, f"{mark['number']} {mark['name']}", student)
    _add_properties(case, mark, "score", "points")
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
