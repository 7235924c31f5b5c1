"""What each framework's application answers with the cache around it is what it answers alone."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, Rule, cached
from tests.compat import shop
from tests.compat.catalogue import alone, lacking
from tests.compat.rows import frameworks
from tests.support import Answered, Client, Reply, scope_of

TARGETS = [
    ("GET", "/items/1"),
    ("HEAD", "/echo"),
    ("GET", "/items/3?a=1"),
    ("PUT", "/items/1"),
    ("PUT", "/tags/items"),
    ("GET", "/slow"),
    ("GET", "/cookie"),
    ("GET", "/stream"),
    ("GET", "/background"),
    ("GET", "/file"),
    ("GET", "/error"),
    ("GET", "/missing/7"),
    ("GET", "/missing/word"),
    ("GET", "/nothing"),
    ("PUT", "/nothing"),
    ("POST", "/slow"),
    ("OPTIONS", "/slow"),
    ("POST", "/echo"),
]

ADDED = {b"cache-status", b"cache-control", b"age", b"date", b"etag", b"content-length"}
"""Fields that the cache may add to a response of a route that it keeps."""

Seen = tuple[int, list[tuple[bytes, bytes]], bytes, str]


@asynccontextmanager
async def living(app: Any) -> AsyncIterator[Client]:
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


def mounted(inner: Any) -> Any:
    """The application below `/sub`, as ASGI says it: the path stays whole, `root_path` grows."""

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "root_path": scope["root_path"] + "/sub"}
        await inner(scope, receive, send)

    return outer


async def asked(client: Client, method: str, target: str) -> Reply:
    """One request, with a body where its method has one."""
    reply, raised = await exchanged(client, method, target)
    assert raised == ""
    return reply


async def exchanged(client: Client, method: str, target: str) -> tuple[Reply, str]:
    """What a server gets from the application: messages, and the exception that it raises."""
    body = b"sent" if method in ("POST", "PUT") else b""
    visit = Answered(body=body)
    lines = [("content-type", "text/plain"), ("content-length", "4")] if body else []
    raised = ""
    try:
        await client.app(scope_of(method, target, lines), visit.receive, visit.send)
    except shop.ShopError as error:
        raised = repr(error)
    return visit.reply, raised


async def answers(app: Any, prefix: str = "") -> dict[tuple[str, str], Seen]:
    """What an application answers to every target, one after the other, all gates open."""
    shop.forget()
    for gate in ("slow", "stream", "background"):
        shop.open_gate(gate)
    found = {}
    async with living(app) as client:
        for method, target in TARGETS:
            reply, raised = await exchanged(client, method, prefix + target)
            # An exception before any response becomes the server's 500.
            start = (reply.status, reply.headers, reply.body) if reply.messages else (0, [], b"")
            found[method, target] = (*start, raised)
    return found


def same(lines: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Field lines without those that go by the clock, and however their names are written."""
    lowered = [(name.lower(), value) for name, value in lines]
    return [line for line in lowered if line[0] not in (b"date", b"expires")]


def check(cached: dict[tuple[str, str], Seen], expected: dict[tuple[str, str], Seen]) -> None:
    """The same, but for fields that the cache adds to those of the application."""
    assert list(cached) == list(expected)
    for asked_for, (status, lines, body, raised) in cached.items():
        own_status, own_lines, own_body, own_raised = expected[asked_for]
        assert (status, body, raised) == (own_status, own_body, own_raised), asked_for
        own_lines, lines = same(own_lines), same(lines)
        added = [line for line in lines if line not in own_lines]
        assert {name for name, _ in added} <= ADDED, asked_for
        assert [line for line in lines if line not in added] == own_lines, asked_for


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Some frameworks set up logging for the whole process when an application is made."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.getLogger("asgi_multitier").disabled = False


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(shop.NOTES, str(tmp_path))


def memory() -> CacheManager:
    """A manager without a server."""
    return CacheManager(redis_url=None, namespace="foreign")


each = pytest.mark.parametrize("framework", frameworks())


@each
async def test_wrapped_it_answers_as_it_does_alone(framework: str) -> None:
    """All routes, errors and exceptions too; its start and close run."""
    expected = await answers(alone(framework))
    cached = await answers(CacheMiddleware(alone(framework), memory()))
    started, closed = shop.noted("started"), shop.noted("closed")

    check(cached, expected)
    assert started == closed == ("start and close" not in lacking(framework))


@each
async def test_below_a_root_path_it_answers_as_it_does_alone(framework: str) -> None:
    """The cache around it or around everything."""
    expected = await answers(mounted(alone(framework)), "/sub")

    outside = await answers(CacheMiddleware(mounted(alone(framework)), memory()), "/sub")
    check(outside, expected)
    inside = await answers(mounted(CacheMiddleware(alone(framework), memory())), "/sub")
    check(inside, expected)


@pytest.mark.parametrize(
    "framework", [name for name in frameworks() if "root path" not in lacking(name)]
)
async def test_below_a_root_path_a_rule_goes_by_the_path_of_the_application(framework: str) -> None:
    """The glob does not name where the application is mounted, and a hit is a hit there."""
    rules = [Rule("/items/*", 60)]
    app = mounted(CacheMiddleware(alone(framework), memory(), rules=rules))
    async with living(app) as client:
        first, again = [await asked(client, "GET", "/sub/items/1") for _ in range(2)]

    assert (first.status, first.stored, again.hit) == (200, True, True)
    assert again.body == first.body


@each
async def test_a_rule_caches_what_is_asked_by_post(framework: str) -> None:
    """The application gets the content, of whatever framework it is."""
    rules = [Rule("/echo", 60, methods=["POST"], body=True)]
    async with living(CacheMiddleware(alone(framework), memory(), rules=rules)) as client:
        first, again = [await asked(client, "POST", "/echo") for _ in range(2)]

    assert first.body == again.body == b"sent"
    assert (first.status, first.stored, again.hit) == (200, True, True)


@pytest.mark.parametrize(
    "framework", [name for name in frameworks() if name in ("lilya", "blacksheep")]
)
async def test_routes_of_another_kind_are_said_once(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it means for the application, and what to write instead; where anything is marked."""
    marked = cached(60)(lambda: None)
    said: list[str] = []
    logger = logging.getLogger("asgi_multitier")
    # Some frameworks replace all handlers when an application is made, so no fixture hears it.
    monkeypatch.setattr(logger, "handle", lambda record: said.append(record.getMessage()))
    async with living(CacheMiddleware(alone(framework), memory())) as client:
        for number in range(3):
            await client.get(f"/items/{number}")

    said = [message for message in said if "unknown kind" in message]
    assert len(said) == 1
    assert "rules=[Rule(" in said[0]
    assert marked() is None
