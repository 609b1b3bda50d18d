"""`python -m rlcourse` is `rlcourse`."""

from rlcourse.cli import main

main()
