"""The pages on HTTP caching are correct: their code, `Cache-Status` examples and tables."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from asgi_multitier import Policy
from asgi_multitier.policy.reasons import Reason
from tests.http.support import FULL, PROFILES, Answered, Step, World

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "concepts" / "http-caching.md").read_text()
CACHE_STATUS = (DOCS / "reference" / "cache-status.md").read_text()


def blocks(language: str, page: str) -> list[str]:
    """The page's blocks in a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the guide's code defines."""
    found: dict[str, Any] = {"__name__": "guide"}
    for block in blocks("python", GUIDE):
        exec(compile(block, "http-caching.md", "exec"), found)
    return found


@asynccontextmanager
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://guide.test") as made:
        yield made


async def test_the_first_example_hits_and_validates(names: dict[str, Any]) -> None:
    """A miss, a hit, and 304 by the application's tag."""
    async with client(names["app"]) as site:
        first = await site.get("/")
        second = await site.get("/")
        third = await site.get("/", headers={"If-None-Match": '"v1"'})
    await names["app"].manager.close()

    assert "fwd=uri-miss; stored" in first.headers["cache-status"]
    assert "hit" in second.headers["cache-status"]
    assert (second.text, third.status_code) == ("hello", 304)


def test_every_option_is_every_option(names: dict[str, Any]) -> None:
    """The guide's policy is the one that the conformance tests use."""
    policy = names["everything"]

    assert isinstance(policy, Policy)
    assert policy == PROFILES[FULL]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained(reason: Reason) -> None:
    """Each value of `detail` has a row."""
    words = re.findall(r"^\| (`[^|]*`) \|", CACHE_STATUS, re.MULTILINE)

    assert any(f"`{reason}`" in cell for cell in words)


async def test_cache_status_examples_are_what_comes() -> None:
    """The requests that the guide describes give its lines, in order."""
    world = World(Policy.from_origin())
    minute, tag = ("Cache-Control", "max-age=60"), ("ETag", '"v1"')
    got: list[Answered] = []
    for seconds, step in (
        (0.0, Step(fields=(minute, tag))),
        (0.0, Step()),
        (61.0, Step(status=304, fields=(minute,))),
        (61.0, Step(path="/other", fields=(("Cache-Control", "no-store"),))),
        (61.0, Step(path="/key", ask=(("X-Api-Key", "k"),))),
        (61.0, Step(method="OPTIONS")),
    ):
        world.now = seconds
        got.append(await world.ask(step))
    await world.close()

    assert [answer.cache_status for answer in got] == blocks("text", CACHE_STATUS)[0].splitlines()
