"""What an endpoint drops by hand is dropped again when its request has ended."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import copy_context
from functools import partial
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request, WebSocket
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Mount

from asgi_multitier import CacheManager, CacheMiddleware, cached
from asgi_multitier.coherence import repeats
from asgi_multitier.coherence.marks import ALL
from asgi_multitier.selectors import Selector
from tests.support import Cache, Client, Visit, caching, settled

DROPS: dict[str, Callable[[CacheManager], Awaitable[bool]]] = {
    "tags": lambda cache: cache.invalidate_tags("rows"),
    "path": lambda cache: cache.invalidate_path("/row"),
    "below": lambda cache: cache.invalidate_path("/", below=True),
    "pattern": lambda cache: cache.invalidate_pattern("/r*"),
    "route": lambda cache: cache.invalidate_route("row"),
    "name": lambda cache: cache.invalidate("the-row"),
    "many": lambda cache: cache.invalidate_many(["the-row"]),
    "clear": lambda cache: cache.clear(),
}


class Bank:
    """A row that commits after the response; somebody reads it between the two."""

    def __init__(self) -> None:
        self.row = 0
        self.drop = DROPS["tags"]
        self.read: Callable[[], Awaitable[Any]] | None = None

    async def session(self) -> AsyncIterator[None]:
        """Commits at its end."""
        yield
        assert self.read is not None
        await self.read()
        self.row += 1

    def app(self) -> FastAPI:
        """The application."""
        app = FastAPI()

        @app.get("/row")
        @cached(60, tags=["rows"], key="the-row")
        async def row() -> int:
            return self.row

        @app.api_route(
            "/async", methods=["GET", "POST", "PUT"], dependencies=[Depends(self.session)]
        )
        async def by_hand(request: Request) -> None:
            await self.drop(request.state.cache)

        @app.post("/sync", dependencies=[Depends(self.session)])
        def in_a_thread(request: Request) -> None:
            cache = request.state.cache
            cache.sync.run(self.drop(cache))

        @app.post("/task", dependencies=[Depends(self.session)])
        async def in_a_task(request: Request) -> None:
            await asyncio.create_task(self.drop(request.state.cache))  # type: ignore[arg-type]

        @app.post("/to_thread", dependencies=[Depends(self.session)])
        async def in_a_thread_of_its_own(request: Request) -> None:
            cache = request.state.cache
            await asyncio.to_thread(lambda: cache.sync.run(self.drop(cache)))

        @app.post("/executor", dependencies=[Depends(self.session)])
        async def in_an_executor(request: Request) -> None:
            cache = request.state.cache
            run = partial(copy_context().run, lambda: cache.sync.run(self.drop(cache)))
            await asyncio.get_running_loop().run_in_executor(None, run)

        @app.websocket("/socket")
        async def socket(websocket: WebSocket, _: None = Depends(self.session)) -> None:
            await websocket.accept()
            await self.drop(websocket.state.cache)
            await websocket.close()

        return app


async def assert_true_after(cache: Cache, bank: Bank, change: Awaitable[Any], row: str) -> None:
    """What was read between the endpoint and the commit is not what is served afterwards."""
    between = []

    async def read() -> None:
        between.extend([await cache.get(row), await cache.get(row)])

    bank.read = read
    assert (await cache.get(row)).body == b"0"
    await change

    assert [(reply.body, reply.hit) for reply in between] == [(b"0", False), (b"0", True)]
    assert (await cache.get(row)).body == b"1"


@pytest.mark.parametrize("way", DROPS)
async def test_every_way_by_hand_is_repeated(way: str) -> None:
    """A session that commits after the endpoint: the old row does not outlive it."""
    bank = Bank()
    bank.drop = DROPS[way]
    async with caching(bank.app(), ()) as cache:
        await assert_true_after(cache, bank, cache.client.request("POST", "/async"), "/row")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/async"),
        ("PUT", "/async"),
        ("POST", "/sync"),
        ("POST", "/task"),
        ("POST", "/to_thread"),
        ("POST", "/executor"),
    ],
)
async def test_wherever_in_the_request_it_is_called(method: str, path: str) -> None:
    """Any method, a worker thread, a task of its own."""
    bank = Bank()
    async with caching(bank.app(), ()) as cache:
        await assert_true_after(cache, bank, cache.client.request(method, path), "/row")


@pytest.mark.parametrize("shape", ["middleware around", "middleware within", "mounted"])
async def test_through_middlewares_and_mounts(shape: str) -> None:
    """The context goes through the tasks that these make."""

    async def passing(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    bank = Bank()
    app: Any = bank.app()
    if shape == "middleware within":
        app.add_middleware(BaseHTTPMiddleware, dispatch=passing)
    below = "/shop" if shape == "mounted" else ""
    if below:
        app = Starlette(routes=[Mount(below, app)])
    async with caching(app, ()) as cache:
        if shape == "middleware around":
            cache.client.app = BaseHTTPMiddleware(cache.middleware, dispatch=passing)
        change = cache.client.request("POST", below + "/async")
        await assert_true_after(cache, bank, change, below + "/row")


async def test_a_cache_within_a_cache_is_repeated_by_both() -> None:
    """The outer request commits later: it repeats for the inner one's manager as well."""
    bank = Bank()
    inner_app = bank.app()
    manager = CacheManager(redis_url=None)
    inner_app.add_middleware(CacheMiddleware, cache=manager)

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await inner_app(scope, receive, send)
        if scope["path"] == "/async":
            await Client(inner_app).get("/row")
            bank.row += 1

    async def nothing() -> None: ...

    bank.read = nothing
    async with manager, caching(late, ()) as cache:
        await cache.client.request("POST", "/async")

        assert (await Client(inner_app).get("/row")).body == b"2"


async def test_a_socket_repeats_at_its_end() -> None:
    """Its dependencies end with it."""
    bank = Bank()
    async with caching(bank.app(), ()) as cache:
        scope = {
            "type": "websocket",
            "path": "/socket",
            "raw_path": b"/socket",
            "query_string": b"",
            "root_path": "",
            "scheme": "ws",
            "headers": [],
            "subprotocols": [],
            "asgi": {"version": "3.0"},
        }

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        change = cache.middleware(scope, receive, Visit().send)
        await assert_true_after(cache, bank, change, "/row")


async def test_a_task_that_outlives_its_request_repeats_nothing() -> None:
    """It drops once, when it says so; and nothing is kept of a request that has ended."""
    app = FastAPI()
    go, tasks = asyncio.Event(), []

    @app.post("/x")
    async def change(request: Request) -> None:
        async def later() -> None:
            await go.wait()
            await request.state.cache.invalidate_tags("rows")

        tasks.append(asyncio.create_task(later()))

    async with caching(app, ()) as cache:
        await cache.client.request("POST", "/x")
        before = cache.manager.engine.index.fence
        go.set()
        await tasks[0]
        await settled()

        assert cache.manager.engine.index.fence == before + 1


async def test_an_endpoint_that_drops_nothing_costs_no_record() -> None:
    """And one outside of a request neither."""
    async with caching(Bank().app(), ()) as cache:
        await cache.get("/row")
        assert cache.manager.engine.index.fence == 0
        await cache.manager.invalidate_tags("rows")
        assert cache.manager.engine.index.fence == 1


@pytest.mark.parametrize("selected_by", ["key", "tag"])
async def test_what_is_stored_after_the_drop_outlives_the_repetition(selected_by: str) -> None:
    """`invalidate` and then `set`, in one request: the new value is the one that was meant."""
    app = FastAPI()

    @app.post("/x")
    async def change(request: Request) -> None:
        cache = request.state.cache
        if selected_by == "key":
            await cache.invalidate("k")
        else:
            await cache.invalidate_tags("t")
        await cache.set("k", "new", tags=["t"])

    async with caching(app, ()) as cache:
        await cache.manager.set("k", "old", tags=["t"])
        await cache.manager.set("other", "old", tags=["t"])
        await cache.client.request("POST", "/x")

        assert await cache.manager.get("k") == "new"
        if selected_by == "tag":
            assert await cache.manager.get("other") is None


async def test_more_than_can_be_noted_is_everything() -> None:
    """A request that drops tens of thousands of things holds a bounded number of them."""
    dropped: list[Any] = []

    class Dropper:
        def drop_again(self, selectors: Any, settle: float, kept: Any) -> "asyncio.Future[None]":
            dropped.extend(selectors)
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done

    dropper = Dropper()
    async with repeats.Repeating(None, ""):
        for number in range(repeats.MAX_NOTED + 1):
            repeats.note(dropper, [Selector("tag", str(number))], 0.0)

    assert dropped == [ALL]
