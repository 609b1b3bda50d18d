"""The command `rlcourse`: a file for each kind of user. The order of the imports is that of `--help`."""

# isort: off
from rlcourse.cli.app import main
from rlcourse.cli import working, studying, grading, handing_on, authoring, showing  # noqa: F401

__all__ = ["main"]
