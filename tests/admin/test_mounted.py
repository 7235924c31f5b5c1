"""The application in another one: never cached, dropping nothing, wherever it is mounted."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from asgi_multitier import CacheManager, CacheMiddleware, Policy, Rule
from asgi_multitier.errors import BackendError
from asgi_multitier.routing import RouteTable
from asgi_multitier.routing.annotations import inert
from tests.admin.support import OPERATOR, Person, made
from tests.patience import PATIENCE, until
from tests.support import Client


def _fastapi(admin: Any) -> Any:
    app = FastAPI()
    app.mount("/_cache", admin)
    return app


def _deeper(admin: Any) -> Any:
    return Starlette(routes=[Mount("/a", Starlette(routes=[Mount("/b/c", admin)]))])


class _Rooted:
    """A layer that says where a proxy has its application."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app({**scope, "root_path": "/prefix"}, receive, send)


def _rooted(admin: Any) -> Any:
    return _Rooted(_fastapi(admin))


def _wrapped(admin: Any) -> Any:
    """A framework that the cache does not know."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/x/"):
            await admin({**scope, "root_path": "/x"}, receive, send)

    return app


PLACES = [
    pytest.param(_fastapi, "/_cache", id="mounted"),
    pytest.param(_deeper, "/a/b/c", id="deeper"),
    pytest.param(_rooted, "/_cache", id="root path"),
    pytest.param(_wrapped, "/x", id="unknown framework"),
]


@pytest.mark.parametrize(("make", "prefix"), PLACES)
@pytest.mark.parametrize(
    "options",
    [
        {"rules": [Rule("*", 60, public=True)]},
        {"rules": [Rule("*", 60, public=True, override=True)]},
        {"rules": [Rule("*", 60, vary=["authorization"])]},
        {"default": Policy.from_origin()},
    ],
    ids=["rule", "override", "vary", "origin"],
)
async def test_its_answers_are_never_stored(
    make: Callable[[Any], Any], prefix: str, options: dict[str, Any]
) -> None:
    """Whatever a rule says, and for each right."""
    async with made() as manager:
        app = CacheMiddleware(make(manager.admin(OPERATOR)), manager, **options)
        operator, client = Person(app, prefix=prefix), Client(app)
        for path in ("/api", "/api/entries", "/healthz", "/metrics", "/nothing"):
            for _ in range(2):
                reply = await operator.reply("GET", path)
                stranger = await client.get(prefix + path)
                for answer in (reply, stranger):
                    assert not answer.hit
                    assert not answer.stored
                assert b"no-store" in (reply.get("cache-control") or b"")
        await operator.post("/api/mode", {"mode": "on"})

        assert len(manager.engine.stack.local) == 0


@pytest.mark.parametrize(("make", "prefix"), PLACES[:3])
async def test_its_requests_drop_nothing_by_themselves(
    make: Callable[[Any], Any], prefix: str
) -> None:
    """A POST to any other route drops what is stored of its URL."""
    async with made() as manager:
        app = CacheMiddleware(make(manager.admin(OPERATOR)), manager, rules=[Rule("*", 60)])
        operator = Person(app, prefix=prefix)
        await operator.post("/api/mode", {"mode": "on"})
        await operator.post("/api/invalidate", {"tags": ["a"], "dry_run": True})
        await operator.post("/api/nothing", {}, 404)

        assert manager.invalidation_stats().sent == 0


@pytest.mark.parametrize(("make", "prefix"), PLACES)
async def test_it_may_be_mounted_anywhere(make: Callable[[Any], Any], prefix: str) -> None:
    """Its paths are relative to that place."""
    async with made() as manager:
        app = make(manager.admin(OPERATOR))
        found = await Person(app, prefix=prefix).get("/api")
        again = await Person(app, prefix=prefix).reply("GET", prefix + "/api")

    assert found["namespace"] == "shop"
    assert again.status == 404


async def test_a_root_path_of_the_server_stands_before_it() -> None:
    """As behind a proxy that takes a prefix off, or does not."""
    async with made() as manager:
        operator = Person(manager.admin(OPERATOR))
        statuses = [
            (await operator.reply("GET", path, root_path=root)).status
            for path, root in [
                ("/prefix/api", "/prefix"),
                ("/api", "/prefix"),
                ("/prefixapi", "/prefix"),
                ("/prefix/prefix/api", "/prefix"),
                ("/prefix//api", "/prefix"),
                ("/api", "/"),
                ("/api/api", "/api"),
                ("/api", "/ap"),
                ("/prefix", "/prefix"),
                ("", ""),
            ]
        ]

    assert statuses == [200, 200, 404, 404, 404, 200, 200, 200, 307, 404]


async def test_as_a_route_it_has_that_path_alone() -> None:
    """`Route` gives the whole path."""
    async with made() as manager:
        app = Starlette(routes=[Route("/api", manager.admin(OPERATOR))])
        found = await Person(app).get("/api")

    assert found["rights"] == "operator"


async def test_websockets_are_refused() -> None:
    """There is nothing to talk about."""
    sent: list[Any] = []
    manager = made()

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    await manager.admin(OPERATOR)({"type": "websocket", "path": "/api"}, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1000}]


async def test_scopes_of_other_kinds_get_nothing() -> None:
    """Nor an error."""

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is said")

    await made().admin(OPERATOR)({"type": "new"}, nothing, nothing)


@pytest.mark.parametrize("runs", [False, True])
async def test_by_itself_it_starts_and_closes_the_cache(runs: bool) -> None:
    """Unless that runs already: then it belongs to another application."""
    manager = made()
    if runs:
        await manager.start()
    said: asyncio.Queue[Any] = asyncio.Queue()
    told: asyncio.Queue[Any] = asyncio.Queue()
    task = asyncio.ensure_future(manager.admin(OPERATOR)({"type": "lifespan"}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    started, running = await said.get(), manager.running
    await told.put({"type": "lifespan.shutdown"})
    ended = await said.get()
    await task
    after = manager.running
    await manager.close()

    assert (started["type"], ended["type"]) == (
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    )
    assert (running, after) == (True, runs)


async def test_a_cache_that_cannot_start_says_why() -> None:
    """The server stops then."""
    said: list[Any] = []

    class Broken(CacheManager):
        async def start(self) -> None:
            raise BackendError("nothing there")

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        said.append(message)

    manager = Broken(redis_url=None, namespace="shop")
    await manager.admin(OPERATOR)({"type": "lifespan"}, receive, send)

    assert said == [{"type": "lifespan.startup.failed", "message": "nothing there"}]


async def test_a_loop_that_is_blocked_is_no_error_of_the_server() -> None:
    """503, and which is not said."""

    class Home:
        async def run(self, call: Any) -> Any:
            raise BackendError("redis://zoe:secret@cache")

    async with made() as manager:
        home, manager.home = manager.home, Home()  # type: ignore[assignment]
        try:
            reply = await Person(manager.admin(OPERATOR)).reply("GET", "/api")
        finally:
            manager.home = home

    assert reply.status == 503
    assert b"secret" not in reply.body


APPLICATION = """
from fastapi import FastAPI
from asgi_multitier import CacheManager, CacheMiddleware, cached

cache = CacheManager(redis_url=None, namespace="shop")
app = FastAPI()
app.add_middleware(CacheMiddleware, cache=cache)
app.mount("/_cache", cache.admin(token="operator-" + "o" * 32))

@app.get("/")
@cached(60)
async def page() -> str:
    return "page"
"""


async def test_on_a_server(tmp_path: Any) -> None:
    """A stream of events ends with its server, and a client meets no error."""
    (tmp_path / "main.py").write_text(APPLICATION)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])}
    process = subprocess.Popen(  # noqa: ASYNC220  # it begins at once
        command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE
    )
    headers = {"authorization": f"Bearer {OPERATOR}"}
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=30 * PATIENCE
        ) as client:
            await until(lambda: _answers(client), 20)
            async with (
                asyncio.timeout(20 * PATIENCE),
                client.stream("GET", "/_cache/api/events", headers=headers) as stream,
            ):
                lines = stream.aiter_lines()
                assert await anext(lines) == "event: hello"
                await client.get("/")
                named = [line async for line in lines if await _on_fill(line, process)]
            code = await asyncio.to_thread(process.wait, 20 * PATIENCE)
    finally:
        process.kill()
        _, errors = process.communicate()

    assert "event: fill" in named
    assert "event: bye" in named
    assert code in (0, -signal.SIGTERM)
    assert b"Traceback" not in errors
    assert b"500" not in errors


async def _on_fill(line: str, process: "subprocess.Popen[bytes]") -> bool:
    if line == "event: fill":
        process.send_signal(signal.SIGTERM)
    return line.startswith("event: ")


async def _answers(client: httpx.AsyncClient) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return (await client.get("/_cache/healthz")).text == "ok"
    return False


def test_what_this_package_marks_is_not_looked_for_at_routes() -> None:
    """An application may mount one of its applications and not another."""

    class Other:
        """An application of this package that is mounted nowhere."""

    Other.__module__ = "asgi_multitier.other"
    inert(Other)
    app = Starlette(routes=[Mount("/_cache", made().admin(OPERATOR))])

    assert RouteTable(app).stray() == ([], [])
