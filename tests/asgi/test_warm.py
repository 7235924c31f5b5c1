"""`manager.warm`: the application is asked as a client would ask, and what it brings is stored."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from starlette.middleware import Middleware
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from asgi_multitier import (
    CacheManager,
    CacheMiddleware,
    ConfigError,
    Rule,
    WarmReport,
    cached,
    no_cache,
)
from tests.asgi.test_lifespan import Lifespan
from tests.support import EVERYTHING, Client, Origin, caching, pass_time, respond, settled

BASE = "http://example.org"
REFUSED = WarmReport(asked=1, bypassed={"no-rule": 1})


def user() -> str:
    raise HTTPException(401)


class Site:
    """An application with a route of each kind, and layers around its cache."""

    def __init__(self, manager: CacheManager) -> None:
        self.runs: list[str] = []
        self.went_round: list[str] = []
        self.held = asyncio.Event()
        middleware = [Middleware(self._around), Middleware(CacheMiddleware, cache=manager)]
        app = self.app = FastAPI(title="Site", middleware=middleware, lifespan=self._lifespan)

        @app.get("/page")
        @cached(60)
        async def page(request: Request, lang: str = "en") -> str:
            self.runs.append(str(request.url))
            return f"{request.state.greeting} {lang}"

        @app.get("/negotiated")
        @cached(60, vary="accept-language")
        async def negotiated(request: Request) -> str:
            return request.headers.get("accept-language", "none")

        @app.get("/never")
        @no_cache
        async def never() -> str:
            return "x"

        @app.get("/cookie")
        @cached(60)
        async def cookie(response: Response) -> str:
            response.set_cookie("a", "b")
            return "x"

        @app.get("/guarded")
        @cached(60, guarded=True, vary_by="{who}")
        async def guarded(who: Annotated[str, Depends(user)]) -> str:
            return who

        @app.get("/boom")
        @cached(60)
        async def boom() -> str:
            raise LookupError("no such row")

        @app.get("/stream")
        @cached(60)
        async def stream() -> StreamingResponse:
            return StreamingResponse(self._chunks())

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        yield {"greeting": "hello"}

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield b"one"
        await self.held.wait()
        yield b"two"

    def _around(self, app: ASGIApp) -> ASGIApp:
        """A layer around the cache, which answers one path itself."""

        async def around(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                self.went_round.append(scope["path"])
                if scope["path"] == "/refused":
                    await respond(send, status=403)
                    return
            await app(scope, receive, send)

        return around


@asynccontextmanager
async def site() -> AsyncIterator[tuple[Site, CacheManager, Client]]:
    """A site that has started."""
    manager = CacheManager(redis_url=None, namespace="test")
    made = Site(manager)
    async with Lifespan(made.app) as lifespan:
        # As servers do, each request gets what the lifespan has put there.
        app = made.app

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(lifespan.state)}, receive, send)

        yield made, manager, Client(served)


async def test_what_was_asked_for_is_a_hit_of_the_first_client() -> None:
    """Key, route, state and layers are those of any client; asked again, it is there already."""
    async with site() as (made, manager, client):
        report = await manager.warm(["/page?lang=fi", f"{BASE}/page"], base_url=BASE, rate=1000)

        assert report == WarmReport(asked=2, stored=2)
        assert (await client.get("/page?lang=fi")).cache == "hit; ttl=60; detail=l1"
        assert (await client.get("/page")).body == b'"hello en"'
        assert made.runs == [f"{BASE}/page?lang=fi", f"{BASE}/page"]
        assert made.went_round.count("/page") == 4
        # Clients have asked here: their host is known now.
        again = await manager.warm(["/page", "/page?lang=da"], rate=1000)
        assert again == WarmReport(asked=2, stored=1, hits=1)


async def test_with_fields_it_is_the_response_to_clients_that_send_them() -> None:
    """Other clients have others."""
    async with site() as (_, manager, client):
        await manager.warm([("/negotiated", {"Accept-Language": "fi"})], base_url=BASE)
        replies = [
            await client.get("/negotiated", [("accept-language", lang)]) for lang in ("fi", "da")
        ]

        assert [(reply.body, reply.hit) for reply in replies] == [(b'"fi"', True), (b'"da"', False)]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/never", "no-cache-annotation"),
        ("/nowhere", "no-rule"),
        ("/cookie", "set-cookie"),
        ("/guarded", "guard"),
        ("/refused", "not-reached"),
        (("/page", {"Authorization": "Bearer x"}), "authorization"),
        (("/page", {"Content-Length": "3"}), "request-body"),
    ],
    ids=str,
)
async def test_what_is_not_stored_for_clients_is_not_stored_here(target: Any, reason: str) -> None:
    """By the same decisions, and with their names."""
    async with site() as (_, manager, _client):
        report = await manager.warm([target], base_url=BASE)

        assert report == WarmReport(asked=1, bypassed={reason: 1})


async def test_what_fails_is_counted_and_the_rest_is_asked() -> None:
    """An exception of the application reaches no caller of a warm-up."""
    async with site() as (_, manager, _client):
        report = await manager.warm(["/boom", "/page"], base_url=BASE, rate=1000, concurrency=1)

        assert (report.asked, report.stored, report.failed) == (2, 1, 1)
        assert report.failures == {f"{BASE}/boom": "LookupError: no such row"}


@pytest.mark.parametrize("whole", [True, False], ids=["in time", "too late"])
async def test_a_response_that_is_sent_on_while_it_comes_is_looked_for(whole: bool) -> None:
    """Whether it is stored was not known when its fields were sent."""
    async with site() as (made, manager, client):
        warm = asyncio.create_task(manager.warm(["/stream"], base_url=BASE))
        await pass_time(1)
        if whole:
            made.held.set()
            assert await warm == WarmReport(asked=1, stored=1)
            assert (await client.get("/stream")).hit
            return
        await pass_time(31)
        assert (await warm).failed == 1


async def test_a_streamed_response_that_is_not_stored_is_none() -> None:
    """It has turned out to be too large."""

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"x" * 90, b"x" * 90):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(0.3)
        await send({"type": "http.response.body", "body": b""})

    async with caching(large, max_entry=100) as cache:
        warm = asyncio.create_task(cache.manager.warm(["/x"], base_url=BASE))
        for _ in range(4):
            await pass_time(0.31)
        report = await warm

        assert (report.stored, sum(report.bypassed.values())) == (0, 1)


async def test_an_application_that_listens_hears_what_a_server_would_tell() -> None:
    """A request without content, and when it is over that its client has left."""
    heard: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(await receive())
        heard.append(asyncio.create_task(receive()))
        await asyncio.sleep(0)
        assert not heard[1].done()
        await respond(send)

    async with caching(app, ()) as cache:
        await cache.manager.warm(["/x"], base_url=BASE)

        assert heard[0] == {"type": "http.request", "body": b"", "more_body": False}
        assert await heard[1] == {"type": "http.disconnect"}


class Later:
    """An application that goes on after its response, and is not cached.

    Attributes:
        work: What it does then.
        status: Its answer's.
        received: What it received then.
    """

    def __init__(self, work: Callable[[], Awaitable[object]], status: int = 200) -> None:
        self.work = work
        self.status = status
        self.received: list[str] = []
        self.cancelled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, status=self.status)
        for _ in range(2):
            self.received.append((await receive())["type"])
        try:
            await self.work()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def _raises() -> None:
    await asyncio.sleep(1)
    raise LookupError("no such row")


async def test_what_is_done_after_the_response_keeps_no_warm_up() -> None:
    """It goes on, as on a server; its client has left. The end of the cache cancels it."""
    later = Later(asyncio.Event().wait)
    async with caching(later, ()) as cache:
        await cache.manager.start()
        assert await cache.manager.warm(["/x"], base_url=BASE) == REFUSED
        await settled()
        assert later.received == ["http.request", "http.disconnect"]
        closing = asyncio.create_task(cache.manager.close())
        await pass_time(5.1)
        await closing
        await settled()
        assert later.cancelled


async def test_what_fails_after_the_response_is_told_and_no_failure_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The client of a server has its response as well; there the server logs it."""
    async with caching(Later(_raises), ()) as cache:
        assert await cache.manager.warm(["/x"], base_url=BASE) == REFUSED
        await pass_time(1)

        assert cache.manager.stats().failures == {"warm-up": 1}
        assert "the application raised after its response" in caplog.text
        assert "LookupError: no such row" in caplog.text


async def test_what_is_raised_after_an_answer_of_500_is_why_it_failed() -> None:
    """Frameworks answer an exception, and raise it then."""
    async with caching(Later(_raises, 500), ()) as cache:
        warm = asyncio.create_task(cache.manager.warm(["/x"], base_url=BASE))
        await pass_time(1)
        assert (await warm).failures == {f"{BASE}/x": "LookupError: no such row"}


async def test_an_application_that_does_not_let_itself_be_cancelled_holds_up_no_end() -> None:
    """Nor does one that cancels itself or exits end anything: that is a failure as any other."""
    gate, entered = asyncio.Event(), asyncio.Event()

    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/cancelled":
            raise asyncio.CancelledError
        if scope["path"] == "/exit":
            raise SystemExit(3)
        entered.set()
        while not gate.is_set():
            with suppress(asyncio.CancelledError):
                await gate.wait()

    async with caching(stubborn, ()) as cache:
        report = await cache.manager.warm(["/cancelled", "/exit"], base_url=BASE, rate=1000)
        cancelled = "ConnectionAbortedError: the application has cancelled the request"
        assert report.failures == {
            f"{BASE}/cancelled": cancelled,
            f"{BASE}/exit": "CacheError: the application raised SystemExit(3)",
        }
        warm = asyncio.create_task(cache.manager.warm(["/x"], base_url=BASE))
        await entered.wait()
        warm.cancel()
        await settled()
        assert warm.cancelled()
        gate.set()
        await settled()


async def test_an_application_that_has_much_to_send_lets_others_run() -> None:
    """As on a connection whose client reads slowly."""
    parts, meanwhile = 0, 0

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal parts
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while meanwhile < 9:
            parts += 1
            assert parts < 1000
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with caching(large, ()) as cache:
        warm = asyncio.create_task(cache.manager.warm(["/x"], base_url=BASE))
        while meanwhile < 9:
            meanwhile += 1
            await asyncio.sleep(0)

        assert await warm == REFUSED


async def test_a_cache_that_is_off_asks_for_nothing() -> None:
    """And does not start."""
    origin = Origin()
    async with caching(origin, mode="off") as cache:
        assert await cache.manager.warm(["/x"], base_url=BASE) == WarmReport()
        assert (origin.calls, cache.manager.running) == (0, False)


async def test_an_application_that_was_not_started_is_asked_too() -> None:
    """A middleware around it is enough; the cache begins with the first request."""
    origin = Origin()
    async with caching(origin) as cache:
        assert await cache.manager.warm(["/x"], base_url=BASE) == WarmReport(asked=1, stored=1)
        assert (await cache.get("/x")).hit


async def test_a_cache_that_a_warm_up_has_started_ends_with_the_lifespan() -> None:
    """It may be called in the application's own start."""
    manager = CacheManager(redis_url=None, namespace="test")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        report = await manager.warm(["/page"], base_url=BASE)
        assert report == WarmReport(asked=1, stored=1)
        yield

    app = FastAPI(title="Site", lifespan=lifespan)
    app.add_middleware(CacheMiddleware, cache=manager)

    @app.get("/page")
    @cached(60)
    async def page() -> str:
        return "x"

    async with Lifespan(app) as running:
        assert [message["type"] for message in running.sent] == ["lifespan.startup.complete"]
        assert (await Client(app).get("/page")).hit

    assert not manager.running


async def test_without_an_application_there_is_nothing_to_ask() -> None:
    """The message says what is missing; what else is wrong is said as well."""
    manager = CacheManager(redis_url=None)
    with pytest.raises(ConfigError, match=r"expected a CacheMiddleware with it, and a call after"):
        await manager.warm(["/x"], base_url=BASE)
    CacheMiddleware(Origin(), manager, rules=[Rule("*", 60)])
    for wrong in ({"rate": 0}, {"concurrency": 0}, {"base_url": "x"}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            await manager.warm(["/x"], **{"base_url": BASE, **wrong})
    assert not manager.running


async def test_the_outer_of_two_middlewares_is_asked() -> None:
    """Both have the same manager; the inner one was made first, and is bound second."""
    manager, outer = CacheManager(redis_url=None, namespace="test"), Origin()
    inner = CacheMiddleware(Origin(), manager, rules=[Rule("*", 60)])

    async def between(scope: Scope, receive: Receive, send: Send) -> None:
        await outer(scope, receive, _quiet)
        await inner(scope, receive, send)

    app = CacheMiddleware(between, manager, rules=[Rule("*", 60)])
    await Client(app).get("/y")
    await manager.warm(["/x"])

    assert [scope["path"] for scope in outer.scopes] == ["/y", "/x"]
    await manager.close()


async def _quiet(message: Any) -> None:
    """Take an answer that no client gets."""


async def test_the_host_of_most_clients_counts() -> None:
    """Not that of probes, which ask for what is not cached; with its scheme and root path."""
    origin = Origin()
    async with caching(origin, [Rule("/alive/*", None), *EVERYTHING]) as cache:
        for target in ("/a", "/alive/1", "/alive/2", "/alive/3"):
            await cache.get(target, [("host", "10.0.0.1")])
        for path in ("/api/a", "/api/b"):
            await cache.get(path, [("host", "shop.example")], root_path="/api", scheme="https")
        await cache.manager.warm(["/api/c"])
        scope = origin.scopes[-1]
        found = (scope["scheme"], dict(scope["headers"])[b"host"], scope["root_path"])
        asked = await cache.get(
            "/api/c", [("host", "shop.example")], root_path="/api", scheme="https"
        )

        assert found == ("https", b"shop.example", "/api")
        assert asked.hit
