"""The code of the guides runs, and gives what its comments say.

A line `expression  # -> value` is an assertion, and so is `print(error)  # text` of a caught error.
Blocks of a guide share their names, in order.
"""

import ast
import asyncio
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings
from django.utils.functional import empty

from asgi_multitier import CacheManager, CacheMiddleware
from tests.docs.pages import GUIDES, NAMES
from tests.servers import ValkeyServer

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


@pytest.fixture
def django_as_in_a_new_process() -> Iterator[None]:
    """A guide may configure Django, which a process can do once."""
    kept, settings._wrapped = settings._wrapped, empty
    yield
    settings._wrapped = kept


@pytest.mark.usefixtures("django_as_in_a_new_process")
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
