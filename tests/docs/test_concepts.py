"""A page about a concept leads from the problem to its limits."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS

CASES = {"bounds", "http-caching", "personal", "resilience"}
"""Pages that list cases, and have no picture."""

PARTS = ("## Problem", "## Picture\n+```mermaid", "## (Option|Switch it on)", "## Limits")


@pytest.mark.parametrize(
    "page",
    [page for page in sorted(DOCS.glob("concepts/*.md")) if page.stem not in CASES],
    ids=lambda page: page.stem,
)
def test_it_has_its_parts_in_order(page: Path) -> None:
    """The problem, a picture, what to write, and where it ends."""
    found = [re.search(f"^{part}", page.read_text(), re.MULTILINE) for part in PARTS]
    places = [match.start() for match in found if match is not None]

    assert len(places) == len(PARTS)
    assert places == sorted(places)


def test_pages_of_cases_exist() -> None:
    """The list names no page that is gone."""
    assert {page.stem for page in DOCS.glob("concepts/*.md")} >= CASES
