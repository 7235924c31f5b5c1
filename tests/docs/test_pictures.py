"""The pictures of the pages are drawn, and fit on a narrow screen."""

import re
from pathlib import Path

import mermaidx
import pytest

from tests.browsers import needs_a_browser, running_browser
from tests.docs.pages import DOCS, GUIDES

MERMAID = Path(mermaidx.__file__).parent / "assets" / "mermaid.js"
PICTURES = [
    (str(page.relative_to(DOCS)), picture)
    for page in GUIDES
    for picture in re.findall(r"^```mermaid\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
]
CONCEPTS = (
    "bounds",
    "http-caching",
    "personal",
    "resilience",
)
"""Pages of concepts that are tables of cases, and have no picture."""


@needs_a_browser
async def test_each_picture_is_drawn() -> None:
    """The text is mermaid's language; a mistake would be shown as an error on the page."""
    async with running_browser() as browser:
        page = await browser.new_page()
        await page.add_script_tag(path=MERMAID)
        failed = {}
        for number, (name, picture) in enumerate(PICTURES):
            drawn = await page.evaluate(
                "async ([id, text]) => { try { return (await mermaid.render(id, text)).svg }"
                " catch (error) { return String(error) } }",
                [f"picture{number}", picture],
            )
            if not drawn.startswith("<svg"):
                failed[name, number] = drawn

    assert failed == {}


@pytest.mark.parametrize(
    "page", [page for page in GUIDES if page.parent.name == "concepts"], ids=lambda page: page.stem
)
def test_a_concept_has_its_parts_in_order(page: Path) -> None:
    """The problem, a picture, what to write, and where it ends."""
    if page.stem in CONCEPTS:
        return
    text = page.read_text()
    places = [
        text.index("## Problem"),
        text.index("## Picture"),
        text.index("```mermaid"),
        re.search(r"^## (Option|Switch it on)", text, re.MULTILINE).start(),  # type: ignore[union-attr]
        text.index("## Limits"),
    ]

    assert places == sorted(places)
