"""Which spans there are of what happens: a table of scenarios."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from asgi_multitier import Rule
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.policy.key import storage_key
from asgi_multitier.tiers.base import ListingTier
from tests.support import Cache, Origin, Visit, answering, caching, respond, settled
from tests.tracing.support import Seen, attributes, events

RULES = (
    Rule("/swr", 10, stale_while_revalidate=60),
    Rule("/sie", 10, stale_if_error=60),
    Rule("/own", 60, honor_request_directives=True),
    Rule("/passed", None),
    Rule("/valid", 10, validator=lambda _: 1),
    Rule("/*", 60, tags=["a", "b"]),
)


class Drive:
    """A cache whose spans are seen.

    Attributes:
        cache: The cache.
        origin: Its application.
        seen: The spans.
    """

    def __init__(self, cache: Cache, origin: Origin, seen: Seen) -> None:
        self.cache = cache
        self.origin = origin
        self.seen = seen

    async def get(self, path: str, *fields: tuple[str, str], name: str = "request") -> Any:
        """A GET in a span of its own."""
        with self.seen.request(name):
            return await self.cache.get(path, fields)

    def begin(self, path: str, name: str, visit: Visit | None = None) -> "asyncio.Task[Any]":
        """The same in a task of its own."""

        async def get() -> None:
            with self.seen.request(name):
                await self.cache.get(path, visit=visit)

        return asyncio.create_task(get())


@asynccontextmanager
async def driving(
    answer: Callable[[Scope, Receive, Send], Awaitable[None]] | None = None,
    seen: Seen | None = None,
    **settings: Any,
) -> AsyncIterator[Drive]:
    """A cache in memory with the rules above."""
    origin, seen = Origin(answer), seen or Seen()
    async with caching(origin, RULES, **settings) as cache:
        cache.manager.instrument(tracer_provider=seen.provider, metrics=False)
        yield Drive(cache, origin, seen)
        await settled()
    assert cache.manager.stats().failures.get("tracing", 0) == 0


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("secret")


async def miss(drive: Drive) -> None:
    await drive.get("/a")


async def hit(drive: Drive) -> None:
    await drive.get("/a")
    await drive.get("/a")
    await drive.get("/a", ("range", "bytes=0-0"))


async def passed(drive: Drive) -> None:
    await drive.get("/passed")
    await drive.get("/a", ("authorization", "Bearer secret"))


async def refused(drive: Drive) -> None:
    drive.origin._answer = answering(b"x", (b"set-cookie", b"a=secret"))
    await drive.get("/a")


async def failed(drive: Drive) -> None:
    drive.origin._answer = fails
    with pytest.raises(RuntimeError):
        await drive.get("/a")


async def stands_in(drive: Drive) -> None:
    await drive.get("/sie", name="first")
    drive.cache.clock.advance(20)
    drive.origin._answer = answering(b"", status=503)
    await drive.get("/sie", name="second")
    drive.origin._answer = fails
    await drive.get("/sie", name="third")


async def refreshed(drive: Drive) -> None:
    await drive.get("/swr", name="first")
    drive.cache.clock.advance(20)
    await drive.get("/swr", name="second")


async def validated(drive: Drive) -> None:
    await drive.get("/valid", name="first")
    drive.cache.clock.advance(20)
    await drive.get("/valid", name="second")


async def waited(drive: Drive) -> None:
    drive.origin.gate.clear()
    tasks = [drive.begin("/a", "leader"), drive.begin("/a", "follower")]
    await settled()
    drive.cache.clock.advance(0.011)
    drive.origin.gate.set()
    await asyncio.gather(*tasks)


async def waited_shortly(drive: Drive) -> None:
    drive.origin.gate.clear()
    tasks = [drive.begin("/a", "leader"), drive.begin("/a", "follower")]
    await settled()
    drive.cache.clock.advance(0.010)
    drive.origin.gate.set()
    await asyncio.gather(*tasks)


async def left(drive: Drive) -> None:
    drive.origin.gate.clear()
    tasks = [drive.begin("/a", "leader"), drive.begin("/a", "follower")]
    await settled()
    drive.cache.clock.advance(1)
    tasks[1].cancel()
    await settled()
    drive.origin.gate.set()
    await tasks[0]


async def all_failed(drive: Drive) -> None:
    drive.origin._answer = fails
    drive.origin.gate.clear()
    tasks = [drive.begin("/a", "leader"), drive.begin("/a", "follower")]
    await settled()
    drive.cache.clock.advance(1)
    drive.origin.gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)


async def given_up(drive: Drive) -> None:
    """The cache is closed while a run goes on."""
    drive.origin.gate.clear()
    task = drive.begin("/a", "leader")
    await settled()
    drive.cache.manager._close_patience = 0.0
    await drive.cache.manager.close()
    await asyncio.gather(task, return_exceptions=True)
    drive.origin.gate.set()


async def overtaken(drive: Drive) -> None:
    drive.origin.gate.clear()
    task = drive.begin("/a", "leader")
    await drive.origin.arrived.acquire()
    await drive.cache.manager.invalidate_tags("a")
    drive.origin.gate.set()
    await task


async def head_of_all(drive: Drive) -> None:
    """A HEAD for which the application is asked with GET."""
    with drive.seen.request():
        await drive.cache.client.request("HEAD", "/a")


async def value(drive: Drive) -> None:
    async def compute() -> int:
        return 1

    with drive.seen.request():
        for _ in range(2):
            await drive.cache.manager.get_or_compute("secret", compute, 60)


async def value_waits(drive: Drive) -> None:
    gate = asyncio.Event()

    async def compute() -> int:
        await gate.wait()
        return 1

    async def call(name: str) -> None:
        with drive.seen.request(name):
            await drive.cache.manager.get_or_compute("secret", compute, 60)

    tasks = [asyncio.create_task(call(name)) for name in ("leader", "follower")]
    await settled()
    drive.cache.clock.advance(1)
    gate.set()
    await asyncio.gather(*tasks)


async def value_fails(drive: Drive) -> None:
    async def compute() -> int:
        raise KeyError("secret")

    with drive.seen.request(), pytest.raises(KeyError):
        await drive.cache.manager.get_or_compute("secret", compute, 60)


async def changed(drive: Drive) -> None:
    with drive.seen.request():
        await drive.cache.client.request("PUT", "/a?secret=secret")


async def dropped(drive: Drive) -> None:
    with drive.seen.request():
        await drive.cache.manager.invalidate_tags("secret", "secret2")


SCENARIOS: dict[str, tuple[Callable[[Drive], Awaitable[None]], list[str]]] = {
    "miss": (miss, ["cache fill /* < request: stored"]),
    "hit": (hit, ["cache fill /* < request: stored"]),
    "pass": (passed, []),
    "refused": (refused, ["cache fill /* < request: refused set-cookie"]),
    "error": (failed, ["cache fill /* < request: error RuntimeError"]),
    "stale-if-error": (
        stands_in,
        [
            "cache fill /sie < first: stored",
            "cache fill /sie < second: stale 5xx",
            "cache fill /sie < third: stale RuntimeError",
        ],
    ),
    "refresh": (
        refreshed,
        ["cache fill /swr < first: stored", "cache refresh /swr < - ~ second: stored"],
    ),
    "validated": (
        validated,
        ["cache fill /valid < first: stored", "cache fill /valid < second: validated"],
    ),
    "wait": (
        waited,
        [
            "cache fill /* < leader: stored",
            "cache wait /* < follower ~ cache fill /*: answered",
        ],
    ),
    "a wait of 10 ms": (waited_shortly, ["cache fill /* < leader: stored"]),
    "a waiter leaves": (
        left,
        [
            "cache wait /* < follower ~ cache fill /*: cancelled",
            "cache fill /* < leader: stored",
        ],
    ),
    "all get an error": (
        all_failed,
        [
            "cache fill /* < leader: error RuntimeError",
            "cache wait /* < follower ~ cache fill /*: error",
        ],
    ),
    "cancelled": (given_up, ["cache fill /* < leader: cancelled"]),
    "overtaken": (
        overtaken,
        ["cache invalidate manager < -", "cache fill /* < leader: refused invalidated"],
    ),
    "HEAD": (head_of_all, ["cache fill /* < request: stored"]),
    "value": (value, ["cache fill manager < request: stored"]),
    "value, waited for": (
        value_waits,
        [
            "cache fill manager < leader: stored",
            "cache wait manager < follower ~ cache fill manager: answered",
        ],
    ),
    "value, error": (value_fails, ["cache fill manager < request: error KeyError"]),
    "mutation": (
        changed,
        ["cache invalidate /* < request", "cache invalidate /* < request"],
    ),
    "by hand": (dropped, ["cache invalidate manager < request"]),
}


@pytest.mark.parametrize(("scenario", "expected"), SCENARIOS.values(), ids=SCENARIOS)
async def test_spans_of(scenario: Callable[[Drive], Awaitable[None]], expected: list[str]) -> None:
    """Name, parent, links and result of each; nothing else; no text that was sent."""
    async with driving() as drive:
        await scenario(drive)
        await settled()
        assert sorted(drive.seen.lines()) == sorted(expected)
    for span in drive.seen.own:
        assert "secret" not in span.to_json()
        assert attributes(span)["namespace"] == "test"


async def test_what_a_fill_tells() -> None:
    """Of what is stored, sizes and numbers; what has happened, in order; who waited."""
    async with driving() as drive:
        drive.origin.gate.clear()
        tasks = [drive.begin("/a", name) for name in ("leader", "one", "two")]
        await settled()
        drive.origin.gate.set()
        await asyncio.gather(*tasks)
        slot = drive.cache.manager.engine.stack.peek(key_of(drive.cache))
        assert slot is not None
        span = drive.seen.one("cache fill /*")

    assert events(span) == ["first-byte", "committed"]
    assert attributes(span) == {
        "namespace": "test",
        "route": "/*",
        "key": storage_key(slot.entry.key),
        "result": "stored",
        "bytes": slot.size,
        "ttl": 60.0,
        "tags": 2,
        "born": slot.entry.born.seq,
        "waiters": 2,
    }


def key_of(cache: Cache) -> str:
    """The key of the only entry."""
    local = cache.manager.engine.stack.local
    assert isinstance(local, ListingTier)
    (slot,) = local.slots()
    return slot.entry.key


async def test_what_an_overtaken_fill_tells() -> None:
    """That it was overtaken, and nothing of what is not stored."""
    async with driving() as drive:
        await overtaken(drive)
        span = drive.seen.one("cache fill /*")

    assert events(span) == ["first-byte", "overtaken"]
    assert not {"bytes", "ttl", "tags"} & set(attributes(span))


async def test_what_a_wait_tells() -> None:
    """It begins when the waiting has begun, and ends when that is over."""
    async with driving() as drive:
        await waited(drive)
        span = drive.seen.one("cache wait /*")

    assert attributes(span) == {
        "namespace": "test",
        "route": "/*",
        "wait.kind": "coalesce",
        "result": "answered",
    }
    assert span.end_time is not None
    assert span.start_time is not None
    assert span.end_time - span.start_time == pytest.approx(11e6, abs=1e3)


async def test_an_error_is_told_by_its_type() -> None:
    """The status of all spans that it reaches says so; its text, which may hold anything, not."""
    async with driving() as drive:
        await all_failed(drive)
        assert {span.status.status_code for span in drive.seen.own} == {StatusCode.ERROR}
        assert {span.status.description for span in drive.seen.own} == {None}
        assert [events(span) for span in drive.seen.own] == [[], []]


async def test_a_stream_is_filled_to_its_end() -> None:
    """Its client has the first bytes long before the span ends."""
    gate = asyncio.Event()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await gate.wait()
        await send({"type": "http.response.body", "body": b""})

    async with driving(stream) as drive:
        visit = Visit()
        task = drive.begin("/a", "leader", visit)
        await visit.heard.wait()
        await settled()
        assert visit.reply.body
        assert drive.seen.own == []
        gate.set()
        await task
        await settled()
        span = drive.seen.one("cache fill /*")

    assert events(span)[0] == "first-byte"
    assert attributes(span)["result"] == "refused"


async def test_spans_of_the_application_are_children_of_the_fill() -> None:
    """Those of a request's own run, and of a refresh."""
    seen = Seen()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        with seen.tracer.start_as_current_span("query"):
            await respond(send)

    async with driving(answer, seen=seen) as drive:
        await refreshed(drive)
        await settled()

    found = [seen.called(span.parent) for span in seen.spans if span.name == "query"]
    assert found == ["cache fill /swr", "cache refresh /swr"]


async def test_a_run_that_asks_the_same_cache_is_no_request() -> None:
    """An application that asks its own cache does not change what is told of the outer run."""
    seen = Seen()
    asked: list[str] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/outer":
            asked.append((await drive.cache.get("/inner")).cache)
        await respond(send)

    async with driving(answer, seen=seen) as drive:
        await drive.get("/outer")
        await settled()

    assert seen.lines() == [
        "cache fill /* < cache fill /*: stored",
        "cache fill /* < request: stored",
    ]
    assert all("outcome" not in attributes(span) for span in seen.own)
    assert attributes(seen.one("request"))["outcome"] == "miss"
