"""A cache within a cache: once, twice around one application, in a mounted one, and by hand."""

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, NullTier, Rule, cached
from asgi_multitier._types import ASGIApp, Message, Scope
from tests.support import Client, Visit

RULES = [Rule("*", 60)]


def in_memory() -> CacheManager:
    return CacheManager(redis_url=None)


def wrapped(manager: CacheManager, inner: CacheManager, runs: list[int]) -> ASGIApp:
    """One middleware around an application that has another one."""

    async def page(request: Request) -> Response:
        runs.append(1)
        return PlainTextResponse(f"{len(runs)}")

    middleware = [Middleware(CacheMiddleware, cache=inner, rules=RULES)]
    app = Starlette(routes=[Route("/sub/x", page, methods=["GET", "PUT"])], middleware=middleware)
    return CacheMiddleware(app, manager, rules=RULES)


def mounted(manager: CacheManager, inner: CacheManager, runs: list[int]) -> ASGIApp:
    """An application with a middleware, and below it another one with its own."""

    @cached(60)
    async def page(request: Request) -> Response:
        runs.append(1)
        return PlainTextResponse(f"{len(runs)}")

    middleware = [Middleware(CacheMiddleware, cache=inner, rules=RULES)]
    sub = Starlette(routes=[Route("/x", page, methods=["GET", "PUT"])], middleware=middleware)
    return CacheMiddleware(Starlette(routes=[Mount("/sub", sub)]), manager, rules=RULES)


@pytest.mark.parametrize("build", [wrapped, mounted])
@pytest.mark.parametrize("same", [True, False], ids=["one manager", "two managers"])
async def test_two_middlewares_in_one_chain_answer_as_one(build: Any, same: bool) -> None:
    """One run for all, a hit afterwards, and nothing says that it is overloaded or nested."""
    outer = in_memory()
    inner = outer if same else in_memory()
    runs: list[int] = []
    async with outer, inner:
        client = Client(build(outer, inner, runs))
        replies = await asyncio.gather(*(client.get("/sub/x") for _ in range(10)))
        hit = await client.get("/sub/x")

        assert {reply.body for reply in replies} == {b"1"}
        assert hit.all("cache-status")[-1].startswith(b"asgi-multitier; hit")
        assert hit.body == b"1"
        said = b", ".join(line for reply in replies for line in reply.all("cache-status"))
        assert b"overloaded" not in said
        assert b"nested" not in said
        await client.request("PUT", "/sub/x")
        assert (await client.get("/sub/x")).body == b"3"


async def lifespan(app: ASGIApp) -> list[Message]:
    """What an application says of its start, and then of its end."""
    sent: list[Message] = []
    asked = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Message:
        return next(asked)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    await app(scope, receive, send)
    return sent


async def test_two_managers_around_one_application_are_refused_at_start() -> None:
    """Neither would hear what the other is told by hand; the message says what to write."""
    with pytest.raises(ConfigError, match=r"give both the same one, CacheMiddleware\(app, manager"):
        await lifespan(wrapped(in_memory(), in_memory(), []))


@pytest.mark.parametrize("same", [True, False], ids=["one manager", "two managers"])
async def test_two_managers_in_one_chain_are_told_of(
    same: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A mounted application has no lifespan to refuse: one line says what to write."""
    outer = in_memory()
    inner = outer if same else in_memory()
    async with outer, inner:
        client = Client(mounted(outer, inner, []))
        await client.get("/sub/x")
        await client.request("PUT", "/sub/x")
    told = [r.getMessage() for r in caplog.records if "stands within" in r.getMessage()]

    assert len(told) == (0 if same else 1)
    assert all("give both the same manager, CacheMiddleware(app, manager)" in line for line in told)


async def test_one_manager_drops_by_hand_for_both() -> None:
    """What the line says to write is safe."""
    manager = in_memory()
    runs: list[int] = []
    async with manager:
        client = Client(mounted(manager, manager, runs))
        await client.get("/sub/x")
        assert (await client.get("/sub/x")).hit
        await manager.invalidate_path("/sub/x")

        assert (await client.get("/sub/x")).body == b"2"


@pytest.mark.parametrize("build", [wrapped, mounted])
async def test_one_manager_around_one_application_starts_and_ends_once(build: Any) -> None:
    """What the message says works."""
    manager = in_memory()
    sent = await lifespan(build(manager, manager, []))

    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert not manager.running


async def test_values_of_two_managers_may_have_the_same_name() -> None:
    """A function of one asks the other for the same key, and does not wait for itself."""
    async with in_memory() as one, in_memory() as two:

        async def outer() -> str:
            return "outer " + await two.get_or_compute("k", lambda: "inner")

        assert await one.get_or_compute("k", outer) == "outer inner"


class Stuck(NullTier):
    """Cannot be closed, or does not end."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self.error = error

    async def close(self) -> None:
        if self.error is None:
            await asyncio.Event().wait()
        else:
            raise self.error


@pytest.mark.parametrize("error", [RuntimeError("stuck"), None], ids=["raises", "hangs"])
async def test_a_tier_that_cannot_be_closed_keeps_nothing_else_open(
    error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said and counted; the other tiers, the log and all tasks end."""
    before = asyncio.all_tasks()
    manager = CacheManager(l2=Stuck(error), redis_url=None, redis_timeout=0.01)
    async with manager:
        await manager.get_or_compute("k", lambda: "value")

    assert not manager.running
    assert asyncio.all_tasks() == before
    assert "could not be closed" in caplog.text
    assert manager.tier_stats()[1].failures["close"] == 1


async def test_a_log_that_cannot_be_closed_keeps_nothing_else_open() -> None:
    """Its error is the caller's, when all else is closed."""
    manager = in_memory()
    await manager.start()

    async def fails() -> None:
        raise RuntimeError("log")

    manager.engine.log.close = fails  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="log"):
        await manager.close()

    assert not manager.running


async def test_a_client_of_the_inner_one_is_the_outer_ones() -> None:
    """A cancelled request within two caches leaves nothing behind."""
    manager = in_memory()
    gate = asyncio.Event()

    async def page(request: Request) -> Response:
        await gate.wait()
        return PlainTextResponse("x")

    middleware = [Middleware(CacheMiddleware, cache=manager, rules=RULES)]
    app = Starlette(routes=[Route("/x", page)], middleware=middleware)
    async with manager:
        client = Client(CacheMiddleware(app, manager, rules=RULES))
        visit = Visit()
        asking = client.begin("/x", visit=visit)
        await asyncio.sleep(0)
        asking.cancel()
        gate.set()
    await asyncio.gather(asking, return_exceptions=True)

    assert manager.engine.flights.running == 0
