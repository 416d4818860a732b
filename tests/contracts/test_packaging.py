"""What is installed is pinned by name and version only, and every file tells the same version."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = [
    line
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
REQUIREMENTS = sorted(chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()))


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_are_versions_only() -> None:
    """An address would bind every user to one registry; an editable line to one folder."""
    assert [line for line in PINS if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []


def test_every_package_is_pinned_once() -> None:
    names = [normalised(line.split("==")[0]) for line in PINS]
    assert len(set(names)) == len(names)
    assert "relapse-risk" not in names


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_requirement_is_pinned_and_has_no_address(requirement: str) -> None:
    match = re.fullmatch(r"([A-Za-z0-9._-]+)>=[0-9.]+", requirement)
    assert match, requirement
    assert normalised(match[1]) in {normalised(line.split("==")[0]) for line in PINS}


def test_version_is_the_same_everywhere() -> None:
    """A citation or a changelog of another version misleads."""
    version = PROJECT["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_source_folder_is_ignored_by_git() -> None:
    """A pattern without a leading slash hides any folder of that name, sources too."""
    patterns = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    loose = {line.rstrip("/") for line in patterns if line.endswith("/") and "/" not in line[:-1]}
    folders = {path.name for base in ("src", "tests") for path in (ROOT / base).rglob("*") if path.is_dir()}
    assert {name for name in loose & folders if not name.startswith((".", "__"))} == set()
