"""Canvas: a zip of feedback pages, for the assignment's "Upload Submissions" (it was "Re-Upload").

Canvas finds a student's submission by the first two numbers in a file's name, the person's and the
file's own, as its download of the submissions has them (infer_comment_context_from_filename in
app/models/assignment.rb), and attaches the file to a comment.
"""

from __future__ import annotations

from typing import Any

from ..students import CANVAS
from . import Export, Options, feedback_zip


def export(result: dict[str, Any], options: Options) -> Export:
    """A page a student, under the name of the student's own file."""
    found = {record["student"]: CANVAS.match(record["file"]) for record in result["submissions"]}
    return feedback_zip.of(
        result,
        {student: f"{match[0]}feedback.html" for student, match in found.items() if match},
        "no file of Canvas's: grade what Canvas gave out under Download Submissions",
    )
