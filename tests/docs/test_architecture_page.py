"""What the pages for contributors say of the code is true: names, folders and commands exist."""

import importlib
import re
from pathlib import Path

import pytest

import asgi_multitier
from tests.test_architecture import WINGS

ROOT = Path(__file__).parents[2]
PACKAGE = Path(asgi_multitier.__file__).parent
PAGE = (ROOT / "docs" / "project" / "architecture.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()

UNITS = {path.stem for path in PACKAGE.iterdir() if path.suffix in ("", ".py")}
FOLDERS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
NAMED = sorted(
    {
        name
        for name in re.findall(r"`([a-z_]+(?:\.\w+)+)`", PAGE + CONTRIBUTING)
        if name.partition(".")[0] in UNITS and not name.endswith((".py", ".md"))
    }
)


def resolve(name: str) -> object:
    """The module, class, function or method of this name in the package.

    Raises:
        AttributeError: If there is none.
    """
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = PACKAGE.joinpath(*parts[:length])
        if path.with_suffix(".py").exists() or (path / "__init__.py").exists():
            found: object = importlib.import_module(".".join(("asgi_multitier", *parts[:length])))
            for attribute in parts[length:]:
                found = getattr(found, attribute)
            return found
    raise AttributeError(name)


@pytest.mark.parametrize("name", NAMED)
def test_what_the_pages_name_exists(name: str) -> None:
    """A story that names a function which was renamed is changed with it."""
    resolve(name)


def test_the_stories_name_functions() -> None:
    """Each story names the functions that it passes, and the names are found."""
    stories = re.split(r"^## ", PAGE, flags=re.MULTILINE)[2:]

    assert [story.splitlines()[0] for story in stories] == [
        "A plain hit",
        "A miss of a GET",
        "A PUT",
        "A POST that asks for something",
        "A request of a guarded route",
        "A get_or_compute",
    ]
    assert all(sum(f"`{name}`" in story for name in NAMED) >= 4 for story in stories)


def test_every_folder_has_its_line() -> None:
    """In the table of wings, and in no other order than that of the imports."""
    wings = re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)

    assert set(wings) == FOLDERS - {
        "compression",
        "events",
        "selectors",
        "serializers",
        "testing",
    }
    assert wings == [name for names in WINGS for name in names if name in wings]


def test_commands_and_paths_for_contributors_exist() -> None:
    """`make` has each target, and the tree each path, that the page names."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    paths = re.findall(r"^\| `([\w/.]+)` \|", CONTRIBUTING, flags=re.MULTILINE)

    assert set(re.findall(r"`make (\w+)`", CONTRIBUTING)) <= targets
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
