"""The reference describes what is public: all names, and of the manager what users call."""

import inspect
import re
from types import ModuleType

import pytest

import asgi_multitier
import pytest_asgi_multitier
from asgi_multitier import CacheManager, fastapi, serializers, streams, testing
from asgi_multitier._about import page
from tests.docs.pages import DOCS
from website.links import for_the_site

REFERENCE = "\n".join(page.read_text() for page in sorted((DOCS / "reference").glob("*.md")))
DESCRIBED = re.findall(r"^::: (\S+)$", REFERENCE, re.MULTILINE)

BETWEEN_WINGS = {
    "answered_by",
    "application",
    "attached",
    "begin_invalidation",
    "begin_warm_up",
    "begin_with",
    "drop_again",
    "engine",
    "explained_by",
    "invalidate_selectors",
    "ledger",
    "loop",
    "name_after",
    "named",
    "observed",
    "on_close",
    "on_mode_change",
    "on_renewal",
    "on_report",
    "read_routes",
    "renew",
    "running",
    "spawn",
    "starting",
    "tables",
    "taken",
    "usual_origin",
    "warm_part",
    "warm_up_health",
}
"""What the middleware and the admin application call of a manager; no part of the public API."""


def public(module: ModuleType) -> set[str]:
    """The names of `__all__`, or what the module itself defines."""
    names = getattr(module, "__all__", None)
    if names is not None:
        return {f"{module.__name__}.{name}" for name in names if not name.startswith("__")}
    own = inspect.getmembers(module, lambda value: inspect.isclass(value) or callable(value))
    return {
        f"{module.__name__}.{name}"
        for name, value in own
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    }


@pytest.mark.parametrize(
    "module", [asgi_multitier, testing, fastapi, streams], ids=lambda module: module.__name__
)
def test_every_public_name_is_described(module: ModuleType) -> None:
    """In `docs/reference`, by a block that shows its docstring."""
    assert public(module) - set(DESCRIBED) == set()


def test_serializers_and_fixtures_are_described() -> None:
    """What a user gives to a manager, and what the pytest plugin gives to tests."""
    fixtures = re.findall(
        r"^@pytest\.fixture\ndef (\w+)", inspect.getsource(pytest_asgi_multitier), re.MULTILINE
    )

    assert len(fixtures) >= 4
    assert {f"pytest_asgi_multitier.{name}" for name in fixtures} <= set(DESCRIBED)
    written = {name for name in serializers.__all__ if name.endswith("Serializer")}
    assert {f"asgi_multitier.serializers.{name}" for name in written} <= set(DESCRIBED)


def test_nothing_is_described_twice() -> None:
    """A name has one place."""
    assert sorted(DESCRIBED) == sorted(set(DESCRIBED))


def test_every_call_of_the_manager_is_described() -> None:
    """A public name of `CacheManager` is in the reference, or is for other wings alone."""
    block = REFERENCE.split("::: asgi_multitier.CacheManager\n", 1)[1].split("\n:::", 1)[0]
    described = set(re.findall(r"^        - (\w+)$", block, re.MULTILINE))
    names = {name for name in dir(CacheManager) if not name.startswith("_")}

    assert names - described - BETWEEN_WINGS == set()
    assert described <= names
    assert described & BETWEEN_WINGS == set()
    assert names >= BETWEEN_WINGS, "need not be listed any more"


def test_a_page_that_github_does_not_show_says_where_it_is_shown() -> None:
    """The sentence names its own address, and the site leaves it out."""
    for path in sorted((DOCS / "reference").glob("*.md")):
        text = path.read_text()
        place = f"[the site]({page(f'reference/{path.name}')})"
        said = f"*On GitHub this page has names alone; {place} describes them.*\n"

        assert text.count(said) == (1 if "\n::: " in text else 0), path.name
        assert "On GitHub" not in for_the_site(text)
