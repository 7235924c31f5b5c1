"""The documentation site: it builds without a warning, and a page that is wrong stops it."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from mimetypes import guess_type
from pathlib import Path

import pytest
from playwright.async_api import Page, Route

from tests.browsers import collect_complaints, needs_a_browser, running_browser
from website.links import OutsideError, outside
from website.offline import MERMAID, from_elsewhere

ROOT = Path(__file__).parents[2]
REPOSITORY = "https://github.com/asgi-multitier/asgi-multitier"

pytestmark = pytest.mark.no_cover  # it runs nothing of the package


def build(config: Path, into: Path) -> subprocess.CompletedProcess[str]:
    """Build a site as `make docs` does, and give what was said."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-f", config, "-d", into],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built once for all tests of this file."""
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT / "mkdocs.yml", folder)
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    """And stands where messages of the package and links from elsewhere look for it."""
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    places = [page.parent if page.name == "index.md" else page.with_suffix("") for page in pages]

    assert [str(place) for place in places if not (site / place / "index.html").exists()] == []


def test_the_site_loads_nothing_from_another_host(site: Path) -> None:
    """Scripts, styles, fonts and pictures are its own; the pictures' library lies in it."""
    assert list(from_elsewhere(site)) == []
    assert (site / MERMAID).stat().st_size > 1_000_000
    (bundle,) = (site / "assets" / "javascripts").glob("bundle.*.min.js")
    assert f'new URL("{MERMAID}",__md_scope).href' in bundle.read_text()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("index.html", '<script defer src="https://cdn.test/a.js"></script>'),
        ("index.html", "<img alt=badge src=//cdn.test/a.svg>"),
        ("index.html", '<link href="https://fonts.test/a.css" rel="stylesheet">'),
        ("index.html", '<link rel="preconnect" href="https://fonts.test" crossorigin>'),
        ("a.css", "@import 'https://fonts.test/a.css';"),
        ("a.css", "b{background:url(//cdn.test/a.png)}"),
        ("a.js", 'load("https://unpkg.com/mermaid@11/dist/mermaid.min.js")'),
    ],
)
def test_what_comes_from_another_host_is_found(tmp_path: Path, name: str, text: str) -> None:
    """In each kind of file, as the build looks for it."""
    (tmp_path / name).write_text(text)

    assert len(list(from_elsewhere(tmp_path))) == 1


def test_links_that_nothing_loads_are_left_alone(tmp_path: Path) -> None:
    """A link to follow and the address of the page itself are no loads."""
    (tmp_path / "index.html").write_text(
        '<link rel="canonical" href="https://docs.test/"><a href="https://docs.test/">docs</a>'
        '<script src="../assets/a.js"></script>'
    )

    assert list(from_elsewhere(tmp_path)) == []


HOST = "http://docs.test/"
PICTURED = sorted(
    str(page.relative_to(ROOT / "docs").with_suffix(""))
    for page in (ROOT / "docs").rglob("*.md")
    if "```mermaid" in page.read_text()
)


@pytest.fixture
async def page(site: Path) -> AsyncIterator[Page]:
    """A page of a telephone's width, in a browser that reaches the site and nothing else."""
    asked: list[str] = []
    complaints: list[str] = []

    async def answer(route: Route) -> None:
        url = route.request.url.partition("#")[0]
        asked.append(url)
        if not url.startswith(HOST):
            await route.abort()
            return
        path = site / url.removeprefix(HOST)
        path = path / "index.html" if path.is_dir() else path
        await route.fulfill(path=path, content_type=guess_type(path)[0] or "text/plain")

    async with running_browser() as browser:
        page = await browser.new_page(viewport={"width": 390, "height": 800})
        page.set_default_timeout(120_000)
        collect_complaints(page, complaints)
        await page.route("**", answer)
        yield page
    assert [url for url in asked if not url.startswith(HOST)] == []
    assert complaints == []


@needs_a_browser
async def test_pictures_are_drawn(page: Page) -> None:
    """On each page that has some, without anything from another host."""
    for name in PICTURED:
        text = (ROOT / "docs" / f"{name}.md").read_text()
        await page.goto(HOST + ("" if name == "index" else f"{name}/"))
        await page.wait_for_function(
            "count => document.querySelectorAll('div.mermaid').length === count",
            arg=text.count("```mermaid"),
        )
        for picture in await page.locator("div.mermaid").all():
            box = await picture.bounding_box()
            assert box is not None
            assert box["height"] > 60, name


@needs_a_browser
async def test_pages_fit_a_telephone(page: Page) -> None:
    """Wide tables and code scroll by themselves, and the page does not."""
    for name in ("", "tutorial/", "reference/options/", "reference/manager/"):
        await page.goto(HOST + name)
        width: int = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, name


@needs_a_browser
async def test_the_meaning_of_each_option_is_seen_on_a_telephone(page: Page) -> None:
    """The last cell of a row is not to the right of the screen."""
    await page.goto(f"{HOST}reference/options/")
    cells = "[...document.querySelectorAll('.md-typeset table td:last-child')]"
    rights: list[float] = await page.evaluate(
        f"{cells}.map(cell => cell.getBoundingClientRect().right)"
    )

    assert len(rights) > 100
    assert max(rights) <= 390


WRONG = {
    "[a](missing.md)": "'missing.md'",
    "[a](other.md#missing)": "'other.md#missing'",
    "[a](#missing)": "'#missing'",
    "[a](/other/)": "'/other/'",
    "[`a`][asgi_multitier.missing]": "'asgi_multitier.missing'",
}
"""What a page may say that does not resolve, and how it is named."""


def built_wrongly(folder: Path, index: str) -> str:
    """What is said of a site with this page, one more, and one that is not in the nav."""
    docs = folder / "docs"
    docs.mkdir()
    (docs / "index.md").write_text(index)
    (docs / "other.md").write_text("# Other\n")
    (docs / "forgotten.md").write_text("# Forgotten\n")
    config = folder / "mkdocs.yml"
    config.write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: {docs}\nnav: [index.md, other.md]\n"
        f"hooks: [{ROOT / 'website' / 'hooks.py'}]\n"
        f"theme: {{custom_dir: {ROOT / 'website' / 'theme'}}}\n"
    )
    built = build(config, folder / "site")
    assert built.returncode != 0
    return built.stderr


def test_what_does_not_resolve_stops_the_build(tmp_path: Path) -> None:
    """A dead link, an anchor, a reference, and a page that is not in the nav."""
    said = built_wrongly(tmp_path, "# Home\n\n" + "\n".join(WRONG))
    warnings = [line for line in said.splitlines() if line.startswith("WARNING")]

    assert [name for name in WRONG.values() if not any(name in line for line in warnings)] == []
    assert "  - forgotten.md" in said
    assert len(warnings) == len(WRONG) + 1


def test_a_name_that_the_package_does_not_have_stops_the_build(tmp_path: Path) -> None:
    """One that a page of the reference asks to be described."""
    said = built_wrongly(tmp_path, "# Home\n\n::: asgi_multitier.Missing\n")

    assert "asgi_multitier.Missing could not be found" in said


def test_links_out_of_docs_go_to_the_repository() -> None:
    """A file and a folder, with an anchor; links inside of docs/ and code stay as they are."""
    text = (
        "[a](../../benchmarks/README.md#method) [b](../../examples) [c](../index.md) [d](x.md)\n"
        "```\n[a](../../README.md)\n```\n"
    )

    assert outside(text, "guides/page.md", REPOSITORY) == (
        f"[a]({REPOSITORY}/blob/main/benchmarks/README.md#method) "
        f"[b]({REPOSITORY}/tree/main/examples) [c](../index.md) [d](x.md)\n"
        "```\n[a](../../README.md)\n```\n"
    )


@pytest.mark.parametrize("target", ["../../missing.md", "../../../README.md"])
def test_a_link_out_of_docs_names_what_exists(target: str) -> None:
    """In the repository, and not above it."""
    with pytest.raises(OutsideError, match=r"docs/guides/page\.md: the repository has no "):
        outside(f"[a]({target})", "guides/page.md", REPOSITORY)
