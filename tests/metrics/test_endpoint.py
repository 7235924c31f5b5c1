"""A scrape: who may read, in which format, and that others run meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from asgi_multitier import CacheManager, CacheMiddleware, Rule
from asgi_multitier.errors import ConfigError
from asgi_multitier.metrics import endpoint, slices
from tests.support import Client

TOKEN = "t" * 32


def _fastapi(metrics: Any) -> Any:
    app = FastAPI()
    app.mount("/metrics", metrics)
    return app


APPLICATIONS = [
    pytest.param(_fastapi, "/metrics/", id="mounted on FastAPI"),
    pytest.param(lambda app: Starlette(routes=[Mount("/m", app)]), "/m/", id="mounted"),
    pytest.param(lambda app: Starlette(routes=[Route("/m", app)]), "/m", id="a route"),
]


@pytest.mark.parametrize(("make", "path"), APPLICATIONS)
async def test_it_is_not_cached_whatever_a_rule_says(make: Callable[[Any], Any], path: str) -> None:
    """Each shows what was counted since the one before, and says that nothing may store it."""
    manager = CacheManager(redis_url=None, namespace="n")
    client = Client(CacheMiddleware(make(manager.metrics()), manager, rules=[Rule("*", 60)]))
    async with manager:
        replies = []
        for _ in range(3):
            replies.append(await client.get(path))
            await manager.get("absent")

    assert [reply.status for reply in replies] == [200, 200, 200]
    assert {reply.detail for reply in replies} == {"no-cache-annotation"}
    assert replies[2].get("cache-control") == b"no-store"
    assert len({reply.body for reply in replies}) == 3


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("authorization", f"Bearer {TOKEN}")], 200),
        ([], 404),
        ([("authorization", f"bearer {TOKEN}x")], 404),
        ([("authorization", TOKEN)], 404),
        ([("authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {TOKEN}")], 404),
        ([("cookie", f"token={TOKEN}")], 404),
    ],
)
async def test_a_token_is_wanted_where_there_is_one(
    headers: list[tuple[str, str]], status: int
) -> None:
    """Who has none learns not even that it is there."""
    async with CacheManager(redis_url=None, namespace="n") as manager:
        reply = await Client(manager.metrics(token=TOKEN)).get("/", headers)

    assert reply.status == status
    assert (b"asgi_multitier" in reply.body) == (status == 200)


@pytest.mark.parametrize("token", ["", "short", " " * 32, "é" * 32, 5, b"t" * 32])
def test_a_token_that_can_be_guessed_is_refused(token: Any) -> None:
    """The message says what to write, and does not show the token."""
    manager = CacheManager(redis_url=None, namespace="n")
    with pytest.raises(
        ConfigError, match=r"CacheManager.metrics: token= is .*token_urlsafe"
    ) as told:
        manager.metrics(token=token)

    assert not (isinstance(token, str) and len(token) > 5 and token in str(told.value))


@pytest.mark.parametrize(
    ("method", "accept", "status", "kind"),
    [
        ("GET", "*/*", 200, endpoint.PLAIN),
        ("GET", "application/openmetrics-text;version=1.0.0;q=0.5,text/plain", 200, endpoint.OPEN),
        ("HEAD", "*/*", 200, endpoint.PLAIN),
        ("POST", "*/*", 405, endpoint.PLAIN),
    ],
)
async def test_the_format_is_that_which_is_asked_for(
    method: str, accept: str, status: int, kind: bytes
) -> None:
    """A HEAD has the fields alone; other methods are refused."""
    async with CacheManager(redis_url=None, namespace="n") as manager:
        reply = await Client(manager.metrics()).request(method, "/", [("accept", accept)])

    assert (reply.status, reply.get("content-type")) == (status, kind)
    assert bool(reply.body) == (method == "GET")
    assert reply.body.endswith(b"# EOF\n") == (kind is endpoint.OPEN)


async def test_others_run_while_many_routes_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each few milliseconds of work, whatever waits has its turn."""
    now = iter(range(1_000_000))
    monkeypatch.setattr(slices.time, "perf_counter", lambda: next(now) / 1_000)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with CacheManager(redis_url=None, namespace="n") as manager:
        for number in range(2_000):
            manager.engine.events.tally(f"/{number}").runs.add(0.1)
        task = asyncio.create_task(other())
        reply = await Client(manager.metrics()).get("/")
        task.cancel()

    assert turns > 100
    found = list(text_string_to_metric_families(reply.body.decode()))
    assert max(len(family.samples) for family in found) >= 2_000


async def test_a_route_that_appears_during_a_scrape_harms_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counters are read while they change."""
    monkeypatch.setattr(slices, "AT_A_TIME", 0.0)
    async with CacheManager(redis_url=None, namespace="n") as manager:
        events = manager.engine.events

        async def other() -> None:
            for number in range(1_000):
                events.tally(f"/{number}").passed(f"reason {number}")
                events.invalidated(f"/{number}", "url")
                events.failures[f"kind {number}"] += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        replies = [await Client(manager.metrics()).get("/") for _ in range(5)]
        await task

    assert {reply.status for reply in replies} == {200}


async def test_a_websocket_is_refused() -> None:
    """There is nothing to talk about."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    manager = CacheManager(redis_url=None, namespace="n")
    await manager.metrics(token=TOKEN)({"type": "websocket"}, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1000}]
