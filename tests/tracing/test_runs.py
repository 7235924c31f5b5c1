"""Which spans there are of what happens: a table of scenarios."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult, StaticSampler
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from asgi_multitier import Rule
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.policy.key import storage_key
from asgi_multitier.tiers.base import ListingTier
from tests.patience import until
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


async def not_modified(drive: Drive) -> None:
    drive.origin._answer = answering(b"x", (b"etag", b'"1"'))
    await drive.get("/sie", name="first")
    drive.cache.clock.advance(20)
    drive.origin._answer = answering(b"", (b"etag", b'"1"'), status=304)
    await drive.get("/sie", name="second")


async def broken_off(drive: Drive) -> None:
    """The application returns before its answer is complete."""

    async def begins(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})

    drive.origin._answer = begins
    await drive.get("/a")


async def never_begun(drive: Drive) -> None:
    """The application returns without an answer."""

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    drive.origin._answer = nothing
    await drive.get("/a")


async def value_too_large(drive: Drive) -> None:
    async def compute() -> str:
        return "secret" * 1_000_000

    with drive.seen.request():
        await drive.cache.manager.get_or_compute("secret", compute, 60)


async def value_validated(drive: Drive) -> None:
    async def compute() -> int:
        return 1

    for name in ("first", "second"):
        with drive.seen.request(name):
            await drive.cache.manager.get_or_compute("secret", compute, 60, validator=lambda: 1)
        drive.cache.clock.advance(70)


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
    "304": (
        not_modified,
        ["cache fill /sie < first: stored", "cache fill /sie < second: validated"],
    ),
    "broken off": (broken_off, ["cache fill /* < request: refused incomplete"]),
    "no answer": (never_begun, ["cache fill /* < request: refused incomplete"]),
    "value, too large": (
        value_too_large,
        ["cache fill manager < request: refused oversized"],
    ),
    "value, validated": (
        value_validated,
        ["cache fill manager < first: stored", "cache fill manager < second: validated"],
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

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/outer"):
            await drive.cache.get("/valid")
        await respond(send)

    async with driving(answer, seen=seen) as drive:
        await drive.get("/outer1", name="first")
        drive.cache.clock.advance(20)
        await drive.get("/outer2", name="second")
        await settled()

    assert seen.lines() == [
        "cache fill /valid < cache fill /*: stored",
        "cache fill /* < first: stored",
        "cache fill /valid < cache fill /*: validated",
        "cache fill /* < second: stored",
    ]
    assert all("outcome" not in attributes(span) for span in seen.own)
    assert {attributes(seen.one(name))["outcome"] for name in ("first", "second")} == {"miss"}


async def test_a_wait_as_long_as_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is longer has a span."""
    monkeypatch.setattr("asgi_multitier.tracing.traces.LONG_WAIT", 0.5)
    for seconds, spans in ((0.5, 1), (0.75, 2)):
        async with driving() as drive:
            drive.origin.gate.clear()
            tasks = [drive.begin("/a", name) for name in ("leader", "follower")]
            await settled()
            drive.cache.clock.advance(seconds)
            drive.origin.gate.set()
            await asyncio.gather(*tasks)
            await settled()
            assert len(drive.seen.own) == spans


async def test_a_sampler_is_asked_with_what_is_known() -> None:
    """The name, namespace and route, and links; nothing where the parent is not sampled."""

    class Noting(StaticSampler):
        def should_sample(self, *args: Any, **named: Any) -> SamplingResult:
            names = ("context", "id", "name", "kind", "attributes", "links")
            told = {**dict(zip(names, args, strict=False)), **named}
            if str(told["name"]).startswith("cache "):
                asked.append(
                    (told["name"], dict(told["attributes"] or {}), len(told["links"] or ()))
                )
            return super().should_sample(*args, **named)

    asked: list[tuple[str, dict[str, Any], int]] = []
    decisions = (Decision.RECORD_AND_SAMPLE, Decision.DROP)
    told = {"asgi_multitier.namespace": "test", "asgi_multitier.route": "/*"}
    for decision, known in zip(decisions, (told, {}), strict=True):
        async with driving(seen=Seen(Noting(decision))) as drive:
            await waited(drive)
            await settled()
        assert asked == [("cache fill /*", known, 0), ("cache wait /*", known, 1)]
        asked.clear()


async def test_what_a_fill_tells_that_something_stale_stands_in_for() -> None:
    """What the application did instead; and the request's own span says stale."""
    async with driving() as drive:
        await stands_in(drive)
        told = [attributes(span) for span in drive.seen.own]
        asked = [attributes(drive.seen.one(name))["outcome"] for name in ("second", "third")]

    assert [one.get("error") for one in told] == [None, "5xx", "RuntimeError"]
    assert [one["result"] for one in told] == ["stored", "stale", "stale"]
    assert asked == ["stale", "stale"]


async def test_what_a_cancelled_fill_tells() -> None:
    """It is no error of the application's."""
    async with driving() as drive:
        await given_up(drive)
        span = drive.seen.one("cache fill /*")

    assert attributes(span)["result"] == "cancelled"
    assert span.status.status_code is StatusCode.UNSET


async def test_what_an_invalidation_tells() -> None:
    """How many selectors of which kind, when, and under which number it is in the log."""
    async with driving() as drive:
        await changed(drive)
        await dropped(drive)
        first, second, third = map(attributes, drive.seen.own)
        seq = drive.cache.manager.engine.index.seq

    of_a_path = {"namespace": "test", "route": "/*", "selectors.path": 1, "committed": True}
    assert first == {**of_a_path, "phase": "response", "position": seq - 2}
    assert second == {**of_a_path, "phase": "end", "position": seq - 1}
    assert third == {
        "namespace": "test",
        "route": "manager",
        "phase": "call",
        "selectors.tag": 2,
        "committed": True,
        "position": seq,
    }


async def test_what_an_invalidation_tells_that_waits_to_be_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has no number yet."""
    async with driving() as drive:

        async def queued(_: object) -> None:
            return None

        monkeypatch.setattr(drive.cache.manager.engine.log, "commit", queued)
        await dropped(drive)
        (told,) = map(attributes, drive.seen.own)

    assert told["committed"] is False
    assert "position" not in told


async def test_an_invalidation_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """What raised is told by its type."""
    async with driving() as drive:

        async def fails(_: object) -> None:
            raise LookupError("secret")

        monkeypatch.setattr(drive.cache.manager.engine.log, "commit", fails)
        with pytest.raises(LookupError):
            await dropped(drive)
        (span,) = drive.seen.own

    assert attributes(span)["error"] == "LookupError"
    assert span.status.status_code is StatusCode.ERROR
    assert "secret" not in span.to_json()


async def test_a_repetition_at_the_end_of_a_request() -> None:
    """What an endpoint drops by hand is dropped again when the application returns."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await drive.cache.manager.invalidate_tags("secret")
        await respond(send)

    async with driving(answer) as drive:
        with drive.seen.request():
            await drive.cache.client.request("PATCH", "/a")
        await settled()
        found = [attributes(span) for span in drive.seen.own]

    assert [told["phase"] for told in found if told["route"] == "manager"] == ["call", "end"]


async def test_a_sampler_that_records_what_its_parent_does_not() -> None:
    """What is recorded after all has all its attributes."""
    seen = Seen()
    parent = NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(0)))
    async with driving(seen=seen) as drive:
        token = attach(set_span_in_context(parent))
        await drive.cache.get("/a")
        detach(token)
        await settled()
        told = attributes(seen.one("cache fill /*"))

    assert (told["namespace"], told["route"], told["result"]) == ("test", "/*", "stored")


async def test_an_audit_of_a_hit() -> None:
    """A trace of its own, in which the application's spans are, with a link to the request."""
    seen = Seen()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        with seen.tracer.start_as_current_span("query"):
            await respond(send)

    async with driving(answer, seen=seen, audit=1, audit_runs=1_000) as drive:
        await drive.get("/a", name="filled")
        await drive.get("/a", name="audited")
        await until(lambda: not drive.cache.manager.engine.audits.tasks)
        await settled()

    assert seen.lines() == ["cache fill /* < filled: stored", "cache audit /* < - ~ audited"]
    found = [seen.called(span.parent) for span in seen.spans if span.name == "query"]
    assert found == ["cache fill /*", "cache audit /*"]
    assert "outcome" not in attributes(seen.one("cache audit /*"))


async def test_an_audit_that_is_cancelled() -> None:
    """Its span ends when the cache is closed."""
    async with driving(audit=1, audit_runs=1_000) as drive:
        await drive.get("/a")
        drive.origin.gate.clear()
        await drive.get("/a")
        await until(lambda: drive.origin.calls == 2)
        await drive.cache.manager.close()
        await settled()
        assert attributes(drive.seen.one("cache audit /*"))["result"] == "cancelled"
