"""Who starts and closes the manager, and what happens without a lifespan, asyncio or a rule."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest
import trio
from fastapi import Depends, FastAPI
from fastapi.security import APIKeyHeader
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, Rule, cached, invalidates
from asgi_multitier._types import ASGIApp, Message, Receive, Scope, Send
from tests.support import EVERYTHING, Client, Origin, respond


def memory_only() -> CacheManager:
    """A manager without Redis."""
    return CacheManager(redis_url=None)


class Lifespan:
    """Runs an application's lifespan, as a server would."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.sent: list[Message] = []
        self.state: dict[str, object] = {}
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._heard = asyncio.Event()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self._heard.set()

    async def __aenter__(self) -> Self:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state}
        self.task = asyncio.create_task(self.app(scope, self._inbox.get, self.send))
        await self.say("lifespan.startup")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if not self.task.done():
            await self.say("lifespan.shutdown")
        await asyncio.gather(self.task, return_exceptions=True)

    async def say(self, kind: str) -> None:
        """Say something, and wait for the answer or the end."""
        self._heard.clear()
        self._inbox.put_nowait({"type": kind})
        heard = asyncio.create_task(self._heard.wait())
        await asyncio.wait({heard, self.task}, return_when=asyncio.FIRST_COMPLETED)
        heard.cancel()


async def page(request: Request) -> Response:
    return PlainTextResponse("x")


def starlette(manager: CacheManager, *more: Middleware) -> Starlette:
    """A cached application."""
    middleware = Middleware(CacheMiddleware, cache=manager, rules=EVERYTHING)
    return Starlette(routes=[Route("/x", page)], middleware=[middleware, *more])


async def test_the_lifespan_starts_and_closes_the_manager() -> None:
    """From start-up to shutdown it runs, and the lifespan's state has it."""
    manager = memory_only()
    async with Lifespan(starlette(manager)) as lifespan:
        assert manager.running
        assert lifespan.state["cache"] is manager
        await Client(starlette(manager)).get("/x")

    assert not manager.running
    kinds = [message["type"] for message in lifespan.sent]
    assert kinds == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_the_manager_is_there_for_the_applications_own_shutdown() -> None:
    """It closes after the application has stopped, not before."""
    manager = memory_only()
    seen = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        seen.append(manager.running)

    app = starlette(manager)
    app.router.lifespan_context = lifespan
    async with Lifespan(app):
        pass

    assert seen == [True]
    assert not manager.running


async def test_a_manager_that_somebody_else_runs_is_left_running() -> None:
    """Whoever starts it closes it."""
    async with memory_only() as manager:
        async with Lifespan(starlette(manager)):
            pass

        assert manager.running


async def test_without_a_lifespan_the_first_request_starts_it() -> None:
    """A server that runs none, or an application that refuses it."""
    manager = memory_only()
    client = Client(starlette(manager))
    await client.get("/x")

    assert manager.running
    assert (await client.get("/x")).hit
    await manager.close()


async def test_what_a_request_started_a_later_lifespan_closes() -> None:
    """A request that comes before start-up, and then an ordinary shutdown: nothing is left."""
    manager = memory_only()
    app = starlette(manager)
    await Client(app).get("/x")
    async with Lifespan(app):
        pass

    assert not manager.running


async def test_two_middlewares_may_share_a_manager() -> None:
    """One of them starts and closes it; an outer one sees an inner one's answer."""
    manager = memory_only()
    second = Middleware(CacheMiddleware, cache=manager, rules=[Rule("*", 5)])
    app = starlette(manager, second)
    async with Lifespan(app):
        assert manager.running
        replies = [await Client(app).get("/x") for _ in range(2)]
        assert [reply.status for reply in replies] == [200, 200]

    assert not manager.running


async def test_an_application_without_a_lifespan_is_heard() -> None:
    """It raises, as servers expect of one that has none; requests are cached all the same."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError("no lifespan here")
        await respond(send)

    manager = memory_only()
    cached_app = CacheMiddleware(app, manager, rules=EVERYTHING)
    async with Lifespan(cached_app) as lifespan:
        with pytest.raises(ValueError, match="no lifespan"):
            await lifespan.task
        client = Client(cached_app)
        await client.get("/x")
        assert (await client.get("/x")).hit
    await manager.close()


async def test_an_application_that_fails_to_start_leaves_nothing() -> None:
    """Its message passes, and the manager is not left running."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise ValueError("the database is away")
        yield

    manager = memory_only()
    app = starlette(manager)
    app.router.lifespan_context = lifespan
    async with Lifespan(app) as running:
        assert running.sent[0]["type"] == "lifespan.startup.failed"

    assert not manager.running


def guarded() -> FastAPI:
    """A cached route behind an API key, without a word on how that is safe."""
    app = FastAPI()

    @app.get("/secret", dependencies=[Depends(APIKeyHeader(name="x-key"))])
    @cached(60)
    async def secret() -> str:
        return "s"

    return app


def misspelt() -> FastAPI:
    """A template that names no parameter."""
    app = FastAPI()

    @app.get("/products/{number}")
    @cached(60, tags=["product:{pid}"])
    async def product(number: int) -> str:
        return "p"

    return app


def lost() -> FastAPI:
    """A route that drops another that is not there."""
    app = FastAPI()

    @app.post("/x")
    @invalidates(routes=["nowhere"])
    async def change() -> str:
        return "x"

    return app


@pytest.mark.parametrize(
    ("app", "words"),
    [
        (guarded, ["/secret", "APIKeyHeader", "public", "vary_by"]),
        (misspelt, ["/products/{number}", "product:{pid}", "number"]),
        (lost, ["/x", "nowhere"]),
    ],
)
async def test_a_wrong_rule_fails_at_start_up(app: object, words: list[str]) -> None:
    """`lifespan.startup.failed` says where and what is wrong; without a lifespan requests do."""
    manager = memory_only()
    wrong: FastAPI = app()  # type: ignore[operator]
    wrong.add_middleware(CacheMiddleware, cache=manager)
    async with Lifespan(wrong) as lifespan:
        (message,) = lifespan.sent
        assert message["type"] == "lifespan.startup.failed"
        for word in words:
            assert word in message["message"]
        assert isinstance(lifespan.task.exception(), ConfigError)

    assert not manager.running
    for _ in range(2):
        with pytest.raises(ConfigError):
            await Client(wrong.middleware_stack or wrong).get("/secret", app=wrong)


@pytest.mark.parametrize(
    "arguments",
    [
        {"cache": "redis://x"},
        {"rules": Rule("*", 5)},
        {"rules": "*"},
        {"rules": ["/x"]},
        {"default": 60},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused_at_once(arguments: dict[str, object]) -> None:
    """The message names the option and what is expected."""
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        CacheMiddleware(Origin(), **arguments)  # type: ignore[arg-type]


async def test_who_asks_a_layer_with_wrong_settings_for_its_manager_reads_what_is_wrong() -> None:
    """Not that a middleware has no such attribute."""
    wrong: Any = "*"
    layer = CacheMiddleware(Origin(), rules=wrong)

    with pytest.raises(ConfigError, match="rules"):
        _ = layer.manager


def test_two_event_loops_one_after_the_other() -> None:
    """As test clients and notebooks do: what was stored is served, and nothing is of the old."""
    manager = memory_only()
    app = starlette(manager)
    origin_calls = []

    async def once(number: int) -> None:
        client = Client(app)
        first, second = await client.get("/x"), await client.get(f"/x?{number}")
        origin_calls.append((first.hit, second.hit))
        await asyncio.gather(*[client.get(f"/x?{number}b") for _ in range(5)])
        await client.request("PUT", "/x?never")
        assert manager.stats().in_flight == 0

    for number in range(3):
        asyncio.run(once(number))

    assert [second for _, second in origin_calls] == [False] * 3
    assert [first for first, _ in origin_calls] == [False, True, True]


def test_two_lifespans_one_after_the_other() -> None:
    """The second loop's lifespan starts it anew and closes it."""
    manager = memory_only()
    app = starlette(manager)

    async def once() -> None:
        async with Lifespan(app):
            assert manager.running
            await Client(app).get("/x")
        assert not manager.running
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(once())
    asyncio.run(once())


def test_a_loop_that_ended_without_a_shutdown_does_not_disturb_the_next() -> None:
    """The next lifespan still starts the manager in its own loop, and closes it."""
    manager = memory_only()
    app = starlette(manager)

    async def abandoned() -> None:
        await Client(app).get("/x")

    async def orderly() -> None:
        async with Lifespan(app):
            assert manager.loop is asyncio.get_running_loop()
        assert not manager.running

    asyncio.run(abandoned())
    asyncio.run(orderly())


def test_under_trio_everything_passes() -> None:
    """Nothing is cached there, nothing is broken, also when asyncio has stored something before."""
    manager = memory_only()
    middleware = CacheMiddleware(Origin(), manager, rules=[Rule("/cached", 60)])
    client = Client(middleware)
    asyncio.run(client.get("/cached"))  # type: ignore[arg-type]

    async def run() -> None:
        for method, target, detail in [
            ("GET", "/cached", "event-loop"),
            ("HEAD", "/cached", "event-loop"),
            ("GET", "/plain", "no-rule"),
            ("PUT", "/cached", ""),
            ("OPTIONS", "/cached", ""),
        ]:
            reply = await client.request(method, target)
            assert (reply.status, reply.detail) == (200, detail)

    trio.run(run)


def test_a_lifespan_under_trio_passes() -> None:
    """Start-up and shutdown messages go through; nothing of asyncio's is begun."""
    manager = memory_only()
    sent = []

    async def run() -> None:
        send_in, receive = trio.open_memory_channel[Message](2)
        for kind in ("lifespan.startup", "lifespan.shutdown"):
            send_in.send_nowait({"type": kind})

        async def send(message: Message) -> None:
            sent.append(message["type"])

        scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
        await starlette(manager)(scope, receive.receive, send)

    trio.run(run)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert not manager.running


async def test_scopes_of_other_kinds_pass_untouched() -> None:
    """Websockets, and what is yet to be invented."""
    seen: list[tuple[Scope, Receive, Send]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    middleware = CacheMiddleware(app, memory_only(), rules=EVERYTHING)

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        return

    for kind in ("websocket", "webtransport"):
        scope = {"type": kind, "path": "/"}
        await middleware(scope, receive, send)

        assert seen[-1][0] is scope
        assert seen[-1][1:] == (receive, send)
    assert not middleware.manager.running


async def test_close_and_serve_again() -> None:
    """A closed manager starts anew with the next request, with what it held."""
    manager = memory_only()
    client = Client(starlette(manager))
    await client.get("/x")
    await manager.close()

    assert (await client.get("/x")).hit
    await client.get("/x?1")
    assert manager.running
    await manager.close()
    await manager.close()


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("localhost:6379", {}, ["redis_url", "localhost", "redis://"]),
        ("http://127.0.0.1:6379", {}, ["redis_url", "http", "redis://"]),
        ("none", {"rules": "*"}, ["rules"]),
        ("none", {"default": 60}, ["default"]),
        ("none", {"ruls": []}, ["ruls", "rules"]),
        ("none", {"read_your_writes": True}, ["read_your_writes", "secret"]),
    ],
)
async def test_wrong_settings_of_a_layer_that_the_framework_makes_stop_the_server(
    url: str, options: dict[str, Any], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes the layer at the first message; a server takes errors there for "no lifespan"."""
    monkeypatch.setenv("REDIS_URL", url)
    monkeypatch.delenv("ASGI_MULTITIER_REDIS_URL", raising=False)
    app = Starlette(routes=[Route("/x", lambda request: PlainTextResponse("x"))])
    app.add_middleware(CacheMiddleware, **options)
    async with Lifespan(app) as lifespan:
        (message,) = lifespan.sent
        assert message["type"] == "lifespan.startup.failed"
        for word in words:
            assert word in message["message"]

    with pytest.raises(ConfigError, match=words[0]):
        await Client(app).get("/x")
