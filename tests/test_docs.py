"""The guides are correct: their code runs, their tables match the code, and all links resolve.

A line `expression  # -> value` is an assertion, and so is `print(error)  # text` of a caught error.
Blocks of a guide share their names, in order.
"""

import ast
import asyncio
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from asgi_multitier import CacheConfig, CacheManager, CacheMiddleware, CacheStrategy, TierConfig
from asgi_multitier.config.policy import Policy, PolicyOptions
from asgi_multitier.config.values import ComputeOptions, StoreOptions
from tests.servers import ValkeyServer

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GUIDES = sorted(DOCS.rglob("*.md"))
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
NAMES = [str(guide.relative_to(DOCS).with_suffix("")) for guide in GUIDES]

_PROMISE = re.compile(r"^(?P<code>\S.*?)  # -> (?P<value>.*)$")
_PRINTED = re.compile(r"^ +print\(error\)  # (?P<text>.*)$")


def code_of(guide: Path) -> str:
    """The guide's Python code with its line numbers; comments with results become assertions."""
    lines, inside = [], False
    for line in guide.read_text().splitlines():
        if line.startswith("```"):
            inside = line == "```python"
            lines.append("")
            continue
        promise = _PROMISE.match(line) if inside else None
        if promise is not None:
            line = f"_check(({promise['code']}), ({promise['value']}))"
        printed = _PRINTED.match(line) if inside else None
        if printed is not None:
            line = line.replace("print(error)", f"_check(str(error), {printed['text']!r})")
        lines.append(line if inside else "")
    return "\n".join(lines)


class _Checks:
    """Compares what the guide's code gives with what its comments say.

    Attributes:
        count: Number of comparisons made.
    """

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, found: object, promised: object) -> None:
        self.count += 1
        assert found == promised


async def run(code: str, name: str) -> dict[str, Any]:
    """Run the code as a module in which `await` works at the top level."""
    module = ModuleType(name)
    names = module.__dict__
    names["_check"] = checks = _Checks()
    sys.modules[name] = module
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        made = eval(compile(code, f"{name}.md", "exec", flags=flags), names)
        if inspect.iscoroutine(made):
            await made
        assert checks.count >= code.count("_check(")  # an error that the guide expects was raised
    finally:
        del sys.modules[name]
    return names


async def close(names: dict[str, Any]) -> None:
    """Close the managers that a guide has left open."""
    for value in list(names.values()):
        layer = getattr(value, "middleware_stack", value)
        while layer is not None:
            if isinstance(layer, CacheMiddleware):
                await layer.manager.close()
            layer = getattr(layer, "app", None) if not isinstance(layer, type) else None
        if isinstance(value, CacheManager):
            await value.close()


@pytest.mark.parametrize("guide", GUIDES, ids=NAMES)
async def test_code_of_the_guide_runs(
    guide: Path, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    """It runs completely, and gives the results in its comments."""
    monkeypatch.setenv("REDIS_URL", valkey.url)
    monkeypatch.setenv("ASGI_MULTITIER_NAMESPACE", namespace)
    names: dict[str, Any] = {}
    async with asyncio.timeout(120):
        try:
            names = await run(code_of(guide), f"guide_{guide.stem.replace('-', '_')}")
        finally:
            await close(names)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub forms them."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


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


def rows(guide: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    text = (DOCS / f"{guide}.md").read_text().split(f"## {heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table is not None
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_table_of_options_has_every_option_with_its_default() -> None:
    """It also says which options single calls accept."""
    listed = {row[0].strip("`"): row for row in rows("reference/strategies", "Options")}
    defaults = Policy(1)

    assert set(listed) == set(PolicyOptions.__annotations__)
    for name, row in listed.items():
        default = ast.literal_eval(row[1].strip("`"))
        value = getattr(defaults, name)
        if name == "targeted":
            value = tuple(field.decode() for field in value)
        assert default == value, name
    of_set = {name for name, row in listed.items() if row[2] == "set"}
    of_computing = {name for name, row in listed.items() if row[2] == "compute"}
    assert of_set == set(StoreOptions.__annotations__) | {"tags"}
    assert of_set | of_computing == set(ComputeOptions.__annotations__) | {"tags"}


def test_table_of_lifetimes_is_that_of_the_strategies() -> None:
    """The table gives seconds, minutes and hours."""
    units = {"s": 1, "min": 60, "h": 3600}
    for name, text, _ in rows("reference/strategies", "Lifetimes")[:-1]:
        number, unit = text.split()
        strategy: CacheStrategy = getattr(CacheStrategy, name.strip("`").partition(".")[2])
        assert strategy.seconds == int(number) * units[unit]


@pytest.mark.usefixtures("usual_redis_timeout")
def test_table_of_settings_has_every_setting_with_its_default() -> None:
    """Bounds have units; all other values are written as in Python."""
    units = {"": 1, "MiB": 2**20, "KiB": 2**10, "s": 1, "ms": 0.001}
    listed = {
        row[0].strip("`"): row[1] for row in rows("reference/strategies", "Settings of the process")
    }
    config = CacheConfig()

    assert set(listed) == set(CacheConfig.__dataclass_fields__)
    for name, text in listed.items():
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            shown = "none" if value == frozenset() else str(value)
            assert text.strip("`").strip('"') == shown, name
            continue
        number, _, unit = text.replace(",", "").partition(" ")
        assert getattr(config, name) == int(number) * units[unit], name


def test_table_of_tiers_is_that_of_the_presets() -> None:
    """The table gives level, scale and promotion."""
    for name, level, scale, promotion, frequency in rows("concepts/tiers", "More than two"):
        preset: TierConfig = getattr(TierConfig, name.strip("`").partition(".")[2][:2])()
        assert (preset.level, preset.ttl_scale) == (int(level), float(scale))
        assert preset.promotion is (promotion == "yes")
        assert preset.promotion_frequency == int(frequency or 1)
