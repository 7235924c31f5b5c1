"""Applications of other frameworks, wrapped and mounted: what they answer is what a client gets."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from asgi_multitier import CacheManager, CacheMiddleware, Rule
from tests.support import Client, Reply, Visit, scope_of

from .apps import APPS

TARGETS = [
    ("GET", "/text"),
    ("GET", "/json?a=1"),
    ("HEAD", "/text"),
    ("GET", "/count"),
    ("GET", "/count"),
    ("GET", "/cookie"),
    ("GET", "/stream"),
    ("GET", "/missing/7"),
    ("GET", "/missing/word"),
    ("GET", "/nothing"),
    ("POST", "/text"),
    ("PUT", "/nothing"),
    ("OPTIONS", "/text"),
    ("POST", "/echo"),
    ("GET", "/started"),
]


class Exchange(Visit):
    """A request, with or without a body; after the whole answer the server says that it is over."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._gone.set()


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[Client]:
    """An application whose lifespan runs, as a server runs it; one may have none."""
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    running = asyncio.create_task(app(scope, inbox.get, outbox.put))
    inbox.put_nowait({"type": "lifespan.startup"})
    said = asyncio.create_task(outbox.get())
    await asyncio.wait({running, said}, return_when=asyncio.FIRST_COMPLETED)
    supported = said.done()
    if supported:
        assert said.result()["type"] == "lifespan.startup.complete", said.result()
    yield Client(app)
    if supported:
        inbox.put_nowait({"type": "lifespan.shutdown"})
        assert (await outbox.get())["type"] == "lifespan.shutdown.complete"
    said.cancel()
    await asyncio.wait({running})
    if supported:
        running.result()
    else:
        assert isinstance(running.exception(), Exception)


async def asked(client: Client, method: str, target: str) -> Reply:
    """One request, with a body where its method has one."""
    body = b"sent" if method in ("POST", "PUT") else b""
    visit = Exchange(body=body)
    lines = [("content-type", "text/plain"), ("content-length", "4")] if body else []
    await client.app(scope_of(method, target, lines), visit.receive, visit.send)
    return visit.reply


def seen(reply: Reply) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """What a client sees, without what the cache says of itself."""
    return reply.status, [line for line in reply.headers if line[0] != b"cache-status"], reply.body


async def answers(app: Any, prefix: str = "") -> list[Any]:
    """What an application answers to every target, one after the other."""
    async with served(app) as client:
        return [seen(await asked(client, method, prefix + target)) for method, target in TARGETS]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Some frameworks set up logging for the whole process when an application is made."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.getLogger("asgi_multitier").disabled = False


@pytest.fixture(params=APPS)
def name(request: pytest.FixtureRequest) -> str:
    """A framework's name; skipped where it is not installed."""
    pytest.importorskip(request.param)
    return str(request.param)


def memory() -> CacheManager:
    """A manager without a server."""
    return CacheManager(redis_url=None, namespace="foreign")


async def test_wrapped_it_answers_as_it_does_alone(name: str) -> None:
    """Its start-up runs too: the answer of `/started` says so."""
    expected = await answers(APPS[name]())

    assert await answers(CacheMiddleware(APPS[name](), memory())) == expected


async def test_mounted_it_answers_as_it_does_alone(name: str) -> None:
    """Below a Starlette application, the cache around it or around everything."""

    def mounted(inner: Any) -> Starlette:
        return Starlette(routes=[Mount("/sub", app=inner)])

    expected = await answers(mounted(APPS[name]()), "/sub")

    assert await answers(CacheMiddleware(mounted(APPS[name]()), memory()), "/sub") == expected
    assert await answers(mounted(CacheMiddleware(APPS[name](), memory())), "/sub") == expected


async def test_a_rule_caches_its_responses(name: str) -> None:
    """The application is asked once, and a POST to the same URL drops what is kept."""
    rules = [Rule("/count", 60)]
    async with served(CacheMiddleware(APPS[name](), memory(), rules=rules)) as client:
        first, again = [await client.get("/count"), await client.get("/count")]

    assert (first.status, first.stored, again.hit) == (200, True, True)
    assert again.body == first.body


async def test_a_rule_caches_what_is_asked_by_post(name: str) -> None:
    """The application gets the content, of whatever framework it is; 201 is no answer to keep."""
    rules = [Rule("/echo", 60, methods=["POST"], body=True)]
    alone = await answers(APPS[name]())
    async with served(CacheMiddleware(APPS[name](), memory(), rules=rules)) as client:
        first, again = [await asked(client, "POST", "/echo") for _ in range(2)]

    assert seen(again)[0] == alone[TARGETS.index(("POST", "/echo"))][0]
    assert first.body == again.body == b"sent"
    assert (first.stored, again.hit) == (first.status == 200, first.status == 200)


@pytest.mark.parametrize("name", ["litestar", "lilya"])
async def test_routes_of_another_kind_are_said_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it means for the application, and what to write instead."""
    pytest.importorskip(name)
    said: list[str] = []
    logger = logging.getLogger("asgi_multitier")
    # Some frameworks replace all handlers when an application is made, so no fixture hears it.
    monkeypatch.setattr(logger, "handle", lambda record: said.append(record.getMessage()))
    async with served(CacheMiddleware(APPS[name](), memory())) as client:
        for _ in range(3):
            await client.get("/text")

    said = [message for message in said if "routes" in message]
    assert len(said) == 1
    assert "rules=[Rule(" in said[0]
