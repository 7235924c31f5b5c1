"""Each page that the package sends a reader to is in `docs/`, with the heading that is named."""

import ast
from pathlib import Path

import pytest

import asgi_multitier
from asgi_multitier._about import DOCUMENTATION, page
from tests.docs.pages import DOCS, ROOT, anchors

PACKAGE = Path(asgi_multitier.__file__).parent


def named() -> list[tuple[str, str]]:
    """What is given to `page` anywhere in the package: the module and the place."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "page":
                (place,) = node.args
                assert isinstance(place, ast.Constant), f"{path}:{node.lineno}: write the text here"
                found.append((str(path.relative_to(PACKAGE)), place.value))
    return found


def test_an_address_is_that_of_the_page_on_the_site() -> None:
    """With and without a heading."""
    assert page("guides/redis.md#memory") == f"{DOCUMENTATION}guides/redis/#memory"
    assert page("getting-started.md") == f"{DOCUMENTATION}getting-started/"


def test_the_site_is_where_the_package_says() -> None:
    """The generator's setting is the same address."""
    assert f"\nsite_url: {DOCUMENTATION}\n" in (ROOT / "mkdocs.yml").read_text()


@pytest.mark.parametrize(("module", "place"), sorted(set(named())))
def test_a_place_that_the_package_names_exists(module: str, place: str) -> None:
    """The page is there, and the heading in it."""
    path, _, heading = place.partition("#")

    assert path.endswith(".md")
    assert (DOCS / path).is_file(), module
    assert not heading or heading in anchors(DOCS / path), module


def test_no_message_names_a_file_of_the_repository() -> None:
    """A user of the wheel does not have `docs/`: `page` gives an address that can be opened."""
    said = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and "docs/" in node.value
        and "`docs/" not in node.value  # a comment for those who change the package
    ]

    assert said == []
