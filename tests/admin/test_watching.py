"""Events while they happen: who gets which, what a slow listener loses, and how a stream ends."""

import asyncio
import json
import signal
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from asgi_multitier.admin import stopping, watching
from asgi_multitier.events import live as module
from asgi_multitier.events.live import (
    KINDS,
    MAX_KEPT,
    MAX_LISTENERS,
    MAX_QUEUED,
    MAX_SELECTORS,
    Live,
    shown_selectors,
)
from asgi_multitier.policy.key import storage_key
from asgi_multitier.testing import FakeClock
from tests.admin.support import OPERATOR, VIEWER, made
from tests.admin.test_entries import shop
from tests.patience import until
from tests.support import Reply, Visit, scope_of


class Stream:
    """A stream of events that is read.

    Attributes:
        visit: The request.
    """

    def __init__(self, visit: Visit, task: "asyncio.Task[None]") -> None:
        self.visit = visit
        self.task = task

    @property
    def reply(self) -> Reply:
        """What has come."""
        return self.visit.reply

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """The events that have come, by kind."""
        found = []
        for block in self.reply.body.decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
            if lines:
                found.append((lines["event"], json.loads(lines["data"])))
        return found

    def kinds(self) -> list[str]:
        """The kinds of the events that have come."""
        return [kind for kind, _ in self.events()]


def begin(app: Any, query: str = "", token: str = OPERATOR, *more: tuple[str, str]) -> Stream:
    """Begin to watch."""
    visit = Visit()
    lines = [("authorization", f"Bearer {token}"), *more]
    scope = scope_of("GET", f"/api/events{query}", lines)
    return Stream(visit, asyncio.create_task(app(scope, visit.receive, visit.send)))


@asynccontextmanager
async def watched(
    app: Any, query: str = "", token: str = OPERATOR, *more: tuple[str, str]
) -> AsyncIterator[Stream]:
    """Watch until the end of the block, and leave then."""
    stream = begin(app, query, token, *more)
    await until(lambda: stream.reply.messages)
    try:
        yield stream
    finally:
        stream.visit.leave()
        await stream.task


async def test_what_happens_is_told() -> None:
    """Each kind that has no file of its own here."""
    async with made() as manager:
        client = shop(manager)
        async with watched(manager.admin(OPERATOR)) as stream:
            await client.get("/users/zoe")
            await client.get("/users/zoe")  # a plain hit: nothing
            await client.get("/users/zoe", [("cookie", "a=b")])
            await manager.invalidate_tags("user:zoe")
            await until(lambda: len(stream.events()) >= 4)
            events = stream.events()

    assert stream.reply.get("content-type") == b"text/event-stream; charset=utf-8"
    assert stream.reply.get("cache-control") == b"no-store"
    assert events[0] == ("hello", {"id": 0, "kinds": list(KINDS)})
    told = [{**event, "id": 0, "at": 0, "seconds": 0} for _, event in events[1:4]]
    key = told[0]["key"]
    assert key.startswith("r:")
    assert told == [
        {
            "id": 0, "at": 0, "kind": "fill", "route": "/users/{name}", "key": key, "seconds": 0,
            "bytes": told[0]["bytes"], "ttl": told[0]["ttl"],
        },
        {
            "id": 0, "at": 0, "kind": "bypass", "route": "/users/{name}", "reason": "cookie",
            "count": 1, "seconds": 0,
        },
        {
            "id": 0, "at": 0, "kind": "invalidation", "seconds": 0,
            "selectors": [{"kind": "tag", "text": "user:*"}],
        },
    ]  # fmt: skip
    assert b"zoe" not in stream.reply.body


async def test_an_operator_may_see_what_is_named() -> None:
    """With `reveal=1`."""
    query = "?reveal=1&kind=invalidation"
    async with made() as manager, watched(manager.admin(OPERATOR), query) as stream:
        await manager.invalidate_tags("user:zoe")
        await until(lambda: len(stream.events()) == 2)

    assert stream.events()[1][1]["selectors"] == [{"kind": "tag", "text": "user:zoe"}]


async def test_filters_choose_kinds_and_routes() -> None:
    """All that fits, and nothing else."""
    async with made() as manager:
        client = shop(manager)
        app = manager.admin(OPERATOR, VIEWER)
        async with (
            watched(app, "?kind=fill,flush", VIEWER) as some,
            watched(app, "?route=/prices/%7Bnumber%7D", VIEWER) as one,
        ):
            await client.get("/users/zoe")
            await client.get("/prices/1")
            await manager.invalidate("a")
            manager.engine.stack.flushed()
            await until(lambda: some.kinds()[-1:] == ["flush"])
            await until(lambda: one.kinds()[-1:] == ["fill"])

    assert some.kinds() == ["hello", "fill", "fill", "flush"]
    assert one.kinds() == ["hello", "fill"]


async def test_what_goes_wrong_is_told() -> None:
    """A tier, a callable, a refresh, an origin, and the record of another process."""
    async with made() as manager:
        events = manager.engine.events
        async with watched(manager.admin(OPERATOR)) as stream:
            events.tier_suspended("redis", "get", "away")
            events.tier_resumed("redis")
            events.callback_failed("tags", KeyError("secret"), "/a")
            events.refresh_failed("/a", "away", "/a")
            events.stood_in("/a", OSError("secret"), "/a")
            events.stood_in("/a", None, "/a")
            events.not_stored("status", "/a")
            manager.engine.stack.dropped([])
            await until(lambda: len(stream.events()) == 9)
        told = stream.events()[1:]

    names = ("route", "state", "error")
    assert [(kind, *(event.get(name) for name in names)) for kind, event in told] == [
        ("breaker", None, "open", None),
        ("breaker", None, "closed", None),
        ("callback", "/a", None, "KeyError"),
        ("refresh", "/a", "failed", None),
        ("stale", "/a", None, "OSError"),
        ("stale", "/a", None, "5xx"),
        ("refused", "/a", None, None),
        ("record", None, None, None),
    ]  # fmt: skip
    assert b"secret" not in stream.reply.body


async def test_a_refresh_is_told() -> None:
    """When it begins, and what it stores."""
    clock = FakeClock()

    async def compute() -> int:
        return 1

    async with made(clock=clock, wall=clock) as manager:
        options: Any = {"stale_while_revalidate": 60}
        await manager.get_or_compute("k", compute, 10, **options)
        clock.advance(20)
        async with watched(manager.admin(OPERATOR)) as stream:
            await manager.get_or_compute("k", compute, 10, **options)
            await until(lambda: len(stream.events()) == 3)

    begun, fill = [event for _, event in stream.events()[1:]]
    assert (begun["kind"], begun["state"], begun["key"]) == ("refresh", "begun", storage_key("k"))
    assert (fill["kind"], fill["route"]) == ("fill", "manager")


async def test_trust_and_gaps_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """By all streams together: each change is told once."""
    monkeypatch.setattr(watching, "_LOOK_EVERY", 0.001)
    async with made() as manager:
        log = manager.engine.log
        facts = SimpleNamespace(trusted=True, gaps=0)
        manager.engine.log = SimpleNamespace(  # type: ignore[assignment]
            trusted=True, stats=lambda: facts, index=log.index
        )
        try:
            async with watched(app := manager.admin(OPERATOR)) as one, watched(app) as other:
                manager.engine.log.trusted = False  # type: ignore[misc]
                facts.gaps = 2
                await until(lambda: len(one.events()) == 3 == len(other.events()))
                manager.engine.log.trusted = True  # type: ignore[misc]
                await until(lambda: len(one.events()) == 4 == len(other.events()))
        finally:
            manager.engine.log = log

    told = [(kind, event.get("trusted"), event.get("count")) for kind, event in one.events()[1:]]
    assert told == [("trust", False, None), ("gap", None, 2), ("trust", True, None)]
    assert one.events()[1:] == other.events()[1:]


async def test_silence_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a proxy does not take the connection for dead."""
    monkeypatch.setattr(watching, "_LOOK_EVERY", 0.001)
    monkeypatch.setattr(watching, "HEARTBEAT", 0.002)
    async with made() as manager, watched(manager.admin(OPERATOR)) as stream:
        await until(lambda: stream.reply.body.count(b": heartbeat\n\n") >= 2)


async def test_what_was_not_wanted_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of it happens."""
    monkeypatch.setattr(watching, "HEARTBEAT", 0.002)
    async with made() as manager, watched(manager.admin(OPERATOR), "?kind=gap") as stream:

        def told() -> bool:
            manager.engine.stack.flushed()
            return stream.reply.body.count(b": heartbeat\n\n") >= 2

        await until(told)
        assert stream.kinds() == ["hello"]


async def test_a_slow_listener_loses_the_oldest_and_learns_how_many() -> None:
    """And holds up no other request."""
    async with made() as manager, watched(manager.admin(OPERATOR)) as stream:
        for _ in range(MAX_QUEUED + 10):  # before it has its turn
            manager.engine.stack.flushed()
        await until(lambda: len(stream.events()) == MAX_QUEUED + 2)
        events = stream.events()

    assert events[1] == ("lost", {"count": 10})
    assert [event["id"] for _, event in events[2:]] == list(range(11, MAX_QUEUED + 11))


async def test_a_listener_that_was_cut_off_goes_on() -> None:
    """From what it had last; what is kept no more is not made up."""
    async with made() as manager:
        app = manager.admin(OPERATOR)
        async with watched(app) as first:
            for _ in range(3):
                manager.engine.stack.flushed()
            await until(lambda: len(first.events()) == 4)
        manager.engine.stack.flushed()
        more = ("last-event-id", "2")
        async with watched(app, "", OPERATOR, more) as again:
            await until(lambda: len(again.events()) == 3)
        async with watched(app, "", OPERATOR, ("last-event-id", "x")) as other:
            await until(lambda: other.events())
        async with watched(app, "", OPERATOR, ("last-event-id", "9" * 5_000)) as long:
            await until(lambda: long.events())

    assert [event["id"] for _, event in again.events()[1:]] == [3, 4]
    assert b"id: 3\nevent: flush\n" in again.reply.body
    assert other.kinds() == long.kinds() == ["hello"]


async def test_there_are_not_too_many_listeners() -> None:
    """One more has to wait until another has left."""
    async with made() as manager:
        app = manager.admin(OPERATOR)
        streams = [begin(app) for _ in range(MAX_LISTENERS)]
        await until(lambda: all(stream.reply.messages for stream in streams))
        refused = begin(app)
        await refused.task
        streams[0].visit.leave()
        await streams[0].task
        admitted = begin(app)
        await until(lambda: admitted.reply.messages)
        for stream in (*streams, admitted):
            stream.visit.leave()
        await asyncio.wait([stream.task for stream in (*streams, admitted)])

        assert len(manager.engine.events.live) == 0
    assert (refused.reply.status, refused.reply.get("retry-after")) == (503, b"60")
    assert admitted.reply.status == 200


async def test_a_stream_ends_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that was taken away since is asked for again."""
    monkeypatch.setattr(watching, "LONGEST", 0.0)
    async with made() as manager:
        stream = begin(manager.admin(OPERATOR))
        await stream.task

    assert stream.events()[-1] == ("bye", {"reason": "hour"})
    assert stream.reply.complete


async def test_a_stream_keeps_no_server_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn waits for connections before it says anything to them."""
    monkeypatch.setattr(watching, "_LOOK_EVERY", 0.001)

    class Server:
        """As uvicorn's."""

        should_exit = False

        def handle_exit(self, *_: Any) -> None:
            """Its handler."""

    server = Server()
    handlers = {signal.SIGTERM: server.handle_exit, signal.SIGINT: signal.SIG_DFL}
    monkeypatch.setattr(stopping.signal, "getsignal", handlers.__getitem__)
    async with made() as manager:
        stream = begin(manager.admin(OPERATOR))
        await until(lambda: stream.kinds() == ["hello"])
        server.should_exit = True
        await stream.task

    assert stream.events()[-1] == ("bye", {"reason": "closed"})


async def test_a_client_that_does_not_read_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place is free then."""
    monkeypatch.setattr(watching, "_PATIENCE", 0.01)
    async with made() as manager:
        visit = Visit()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

        scope = scope_of("GET", "/api/events", [("authorization", f"Bearer {OPERATOR}")])
        await manager.admin(OPERATOR)(scope, visit.receive, send)

        assert len(manager.engine.events.live) == 0


async def test_a_client_that_breaks_off_leaves_nothing() -> None:
    """Nor does a task that is cancelled."""
    async with made() as manager:
        before = asyncio.all_tasks()
        app = manager.admin(OPERATOR)
        broken, cancelled = begin(app), begin(app)
        await until(lambda: broken.reply.messages and cancelled.reply.messages)
        broken.visit.broken = True
        manager.engine.stack.flushed()
        cancelled.task.cancel()
        await asyncio.wait({broken.task, cancelled.task})

        assert broken.task.exception() is None
        assert len(manager.engine.events.live) == 0
        assert asyncio.all_tasks() == before


# The events themselves.


def test_nothing_is_noted_while_nobody_watches() -> None:
    """And again nothing a minute after the last has left."""

    async def run() -> None:
        clock = FakeClock()
        live = Live(clock, clock)
        assert not live.on
        listener = live.listen()
        live.emit("flush")
        live.leave(listener)
        live.leave(listener)
        clock.advance(59)
        live.emit("flush")
        assert live.on
        assert len(live.listen(after=0).take()[0]) == 2
        live.leave(live._listeners[0])
        clock.advance(61)
        live.emit("flush")
        assert not live.on
        assert live.listen(after=0).take() == ([], 0)
        assert live.last == 2

    asyncio.run(run())


async def test_what_is_kept_is_bounded() -> None:
    """The ring, a queue, and the bypasses that are counted apart."""
    clock = FakeClock()
    live = Live(clock, clock)
    live.listen()
    for _ in range(MAX_KEPT + 5):
        live.emit("flush")
    again = live.listen(after=0)
    events, lost = again.take()
    for number in range(2_000):
        live.bypassed(f"/{number}", "cookie")

    assert len(live._kept) == MAX_KEPT
    assert (len(events), lost) == (MAX_QUEUED, MAX_KEPT - MAX_QUEUED)
    assert len(live._sampled) == 1_000


async def test_bypasses_are_told_once_a_second() -> None:
    """By route and reason, with how many there were since."""
    clock = FakeClock()
    live = Live(clock, clock)
    listener = live.listen()
    for _ in range(5):
        live.bypassed("/a", "cookie")
    live.bypassed("/a", "method")
    live.bypassed("/b", "cookie")
    clock.advance(1)
    live.bypassed("/a", "cookie")
    events, _ = listener.take()

    assert [(event["route"], event["reason"], event["count"]) for event in events] == [
        ("/a", "cookie", 1),
        ("/a", "method", 1),
        ("/b", "cookie", 1),
        ("/a", "cookie", 5),
    ]


def test_selectors_of_an_event_are_few_and_short() -> None:
    """Whatever was dropped at once."""
    found = shown_selectors([("tag", "x" * 9_000)] * 10_000)

    assert len(found) == MAX_SELECTORS
    assert {len(text) for _, text in found} == {module.MAX_TEXT}


async def test_a_listener_of_another_event_loop_is_woken() -> None:
    """An admin application may run in a thread of its own."""
    live = Live()
    ready, got = asyncio.Event(), []
    here = asyncio.get_running_loop()

    async def listen() -> None:
        listener = live.listen()
        here.call_soon_threadsafe(ready.set)
        await listener.wait(60)
        got.extend(listener.take()[0])

    thread = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(listen())))
    await ready.wait()
    live.emit("flush")
    await thread

    assert [event["kind"] for event in got] == ["flush"]
    live.emit("flush")  # to a loop that has ended


async def test_a_loop_that_is_blocked_is_called_once() -> None:
    """However much happens meanwhile; and again after the events were taken."""
    live = Live()
    listener = live.listen()
    calls: list[Any] = []
    loop = asyncio.get_running_loop()
    with patch.object(loop, "call_soon_threadsafe", lambda call: calls.append(call)):
        for _ in range(1_000):
            live.emit("flush")
        assert len(calls) == 1
        taken, lost = listener.take()
        live.emit("flush")
        assert len(calls) == 2
    live.leave(listener)

    assert len(taken) + lost == 1_000


class _Dropping(deque[Any]):
    """A queue of which another thread drops one event after its length was read."""

    def __len__(self) -> int:
        return super().__len__() + 1


async def test_an_event_that_is_dropped_while_others_are_taken_is_no_error() -> None:
    """The others are there."""
    listener = Live().listen()
    listener._queue = _Dropping([{"id": 1}])

    assert listener.take() == ([{"id": 1}], 0)


async def test_a_loop_that_closes_meanwhile_is_no_error() -> None:
    """What happens goes on for those who made it happen."""
    live = Live()
    listener = live.listen()
    closed = RuntimeError("Event loop is closed")
    with patch.object(asyncio.get_running_loop(), "call_soon_threadsafe", side_effect=closed):
        live.emit("flush")
    live.leave(listener)

    assert len(listener.take()[0]) == 1


@pytest.mark.parametrize("handler", [None, 1, lambda: None])
def test_a_handler_that_is_no_servers_says_nothing(
    handler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whatever kind it is."""
    monkeypatch.setattr(stopping.signal, "getsignal", lambda _: handler)

    assert stopping.is_stopping() is False
