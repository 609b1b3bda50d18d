"""What pyproject.toml cannot say: a wheel carries the lessons, copied from the one place where they stand."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CARRIED = {"notebooks": "*.ipynb", "solutions": "*.py"}


class BuildWithLessons(build_py):
    """Puts notebooks/ and solutions/ into `rlcourse/course/`; an editable install reads the checkout's."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        course = Path(self.build_lib, "rlcourse", "course")
        shutil.rmtree(course, ignore_errors=True)  # An earlier build may have had other lessons.
        for folder, pattern in CARRIED.items():
            (course / folder).mkdir(parents=True)
            for file in sorted(Path(folder).glob(pattern)):
                shutil.copy(file, course / folder / file.name)


setup(cmdclass={"build_py": BuildWithLessons})
