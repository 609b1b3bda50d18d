"""What other places read to run the course: it is well formed, and names what is there."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

import rlcourse

ROOT = Path(__file__).parents[1]


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    [".devcontainer/devcontainer.json", ".vscode/extensions.json", ".vscode/settings.json"],
)
def test_editors_read_plain_json(name):
    assert json.loads(text(name))


def test_the_editors_agree_on_the_extensions():
    container = json.loads(text(".devcontainer/devcontainer.json"))
    recommended = json.loads(text(".vscode/extensions.json"))["recommendations"]
    assert container["customizations"]["vscode"]["extensions"] == recommended
    assert container["postCreateCommand"].startswith("make setup")


def test_the_image_and_binder_install_what_is_pinned():
    for line in text(".binder/requirements.txt").splitlines():
        if line.startswith("--constraint"):
            assert (ROOT / ".binder" / line.split()[1]).resolve() == ROOT / "constraints.txt"
            break
    else:
        pytest.fail("Binder installs without the pins")
    assert os.access(ROOT / ".binder" / "postBuild", os.X_OK)
    image = text("docker/Dockerfile")
    assert "--constraint constraints.txt ." in image
    copied = re.findall(r"^COPY (.+) \S+$", image, re.MULTILINE)
    files = [name for line in copied for name in line.split()]
    assert {"constraints.txt", "pyproject.toml", "setup.py", "rlcourse", "notebooks"} <= set(files)
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_the_places_where_a_student_is_put_have_a_folder():
    for name in (".binder/postBuild", ".devcontainer/devcontainer.json", "docker/start.sh"):
        assert "rlcourse start my-course" in text(name)
    assert "/my-course/" in text(".gitignore").splitlines()


def test_the_version_stands_once_and_is_said_alike():
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["version"] == rlcourse.__version__
    assert f"\n## {rlcourse.__version__}\n" in text("CHANGELOG.md")


@pytest.mark.parametrize("path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml")))
def test_an_issue_asks_for_what_is_needed(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    assert any(part.get("validations", {}).get("required") for part in form["body"])
