"""All links resolve, and so does what the pages name."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, GUIDES, ROOT, anchors

PAGES = sorted(
    page.relative_to(ROOT)
    for folder, pages in (
        (ROOT, "*.md"),
        (ROOT / "examples", "*.md"),
        (ROOT / "benchmarks", "*.md"),
        (DOCS, "**/*.md"),
    )
    for page in folder.glob(pages)
)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_of_the_page_resolve(page: Path) -> None:
    """Every relative link names a file that exists and, after `#`, a heading of it."""
    for target, anchor in re.findall(
        r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", (ROOT / page).read_text()
    ):
        linked = (ROOT / page).parent / target if target else ROOT / page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), f"{target}#{anchor}"


def test_tests_that_the_guides_name_exist() -> None:
    """A bound that a guide promises names the file that proves it."""
    for guide in GUIDES:
        for name in re.findall(r"`([\w/]+/test_\w+\.py)`", guide.read_text()):
            assert (ROOT / "tests" / name).exists(), f"{guide.name}: {name}"
