"""What an audit says of a hit: right, wrong, or nothing."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asgi_multitier import Rule
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.asgi.auditing import auditor
from tests.asgi.auditing.support import INCONCLUSIVE, RIGHT, WRONG, Page, auditing, over
from tests.support import respond, settled

Answer = Callable[[Send], Awaitable[None]]

BODY = b"what is stored"


async def _start(send: Send, status: int = 200, *lines: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*lines]})


async def _raises(send: Send) -> None:
    raise RuntimeError("before its answer")


async def _exits(send: Send) -> None:
    raise SystemExit(1)


class _EndError(BaseException):
    """No `Exception`."""


async def _ends_all(send: Send) -> None:
    raise _EndError


async def _cancels(send: Send) -> None:
    raise asyncio.CancelledError


async def _breaks_off(send: Send) -> None:
    await _start(send)
    await send({"type": "http.response.body", "body": BODY, "more_body": True})


async def _says_more(send: Send) -> None:
    await respond(send, BODY)
    await send({"type": "http.response.body", "body": b"after its end"})


async def _raises_after(send: Send) -> None:
    await respond(send, BODY)
    raise RuntimeError("after its answer")


async def _too_short(send: Send) -> None:
    await _start(send, 200, (b"content-length", b"99"))
    await send({"type": "http.response.body", "body": BODY})


async def _in_pieces(send: Send) -> None:
    await _start(send)
    for place in range(len(BODY)):
        piece = BODY[place : place + 1]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _endless(send: Send) -> None:
    await _start(send)
    while True:
        await send({"type": "http.response.body", "body": BODY, "more_body": True})


async def _too_long(send: Send) -> None:
    await respond(send, BODY * 1_000)


async def _takes_for_ever(send: Send) -> None:
    await asyncio.Event().wait()


async def _takes_for_ever_after(send: Send) -> None:
    await respond(send, BODY)
    await asyncio.Event().wait()


async def _unknown_messages(send: Send) -> None:
    await send({"type": "http.response.early_hint", "links": []})
    await respond(send, BODY)
    await send({"type": "http.response.trailers", "headers": []})


def _same(body: bytes = BODY, *lines: tuple[bytes, bytes], status: int = 200) -> Answer:
    async def answer(send: Send) -> None:
        await respond(send, body, *lines, status=status)

    return answer


ANSWERS = [
    pytest.param(_same(), RIGHT, id="the same"),
    pytest.param(_same(BODY, (b"x-moment", b"2"), (b"etag", b'"2"')), RIGHT, id="other fields"),
    pytest.param(_in_pieces, RIGHT, id="in pieces"),
    pytest.param(_says_more, RIGHT, id="goes on after its end"),
    pytest.param(_raises_after, RIGHT, id="raises when it has answered"),
    pytest.param(_takes_for_ever_after, RIGHT, id="goes on when it has answered"),
    pytest.param(_unknown_messages, RIGHT, id="messages that are no answer"),
    pytest.param(
        _same(gzip.compress(BODY), (b"content-encoding", b"gzip")), RIGHT, id="in another coding"
    ),
    pytest.param(_same(b"other"), WRONG, id="other content"),
    pytest.param(_same(b""), WRONG, id="no content"),
    pytest.param(_same(status=403), WRONG, id="it refuses this client"),
    pytest.param(_same(status=404), WRONG, id="it is gone"),
    pytest.param(_same(b"", status=204), WRONG, id="without content"),
    pytest.param(_endless, WRONG, id="no end"),
    pytest.param(_too_long, WRONG, id="more than can be stored"),
    pytest.param(
        _same(gzip.compress(b"other"), (b"content-encoding", b"gzip")), WRONG, id="other, coded"
    ),
    pytest.param(_same(b"?", (b"content-encoding", b"br")), INCONCLUSIVE, id="an unknown coding"),
    pytest.param(_same(b"busy", status=500), INCONCLUSIVE, id="an error"),
    pytest.param(_same(b"busy", status=503), INCONCLUSIVE, id="overloaded"),
    pytest.param(_same(b"busy", status=429), INCONCLUSIVE, id="too many requests"),
    pytest.param(_raises, INCONCLUSIVE, id="raises"),
    pytest.param(_exits, INCONCLUSIVE, id="exits"),
    pytest.param(_ends_all, INCONCLUSIVE, id="raises what ends more than a request"),
    pytest.param(_cancels, INCONCLUSIVE, id="raises what cancels"),
    pytest.param(_breaks_off, INCONCLUSIVE, id="breaks off"),
    pytest.param(_too_short, INCONCLUSIVE, id="is incomplete"),
    pytest.param(_takes_for_ever, INCONCLUSIVE, id="takes too long"),
]


@pytest.mark.parametrize(("fresh", "verdict"), ANSWERS)
async def test_what_the_application_answers_decides(fresh: Answer, verdict: str) -> None:
    """Its status and its content, not its field lines; an error says nothing."""
    answers = iter([_same(), fresh])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await next(answers)(send)

    limit = 0.5 if fresh in (_takes_for_ever, _takes_for_ever_after) else 60.0
    rules = [Rule("*", 60, hard_timeout=limit)]
    async with auditing(app, rules, max_entry=1_000) as cache:
        await cache.get("/a")
        assert (await cache.get("/a")).body == BODY
        found = await over(cache)

    assert found == {verdict: 1}
    assert cache.manager.engine.events.failures == {}


BEFORE: list[Any] = [
    pytest.param("invalidated", INCONCLUSIVE, id="it was dropped meanwhile"),
    pytest.param("elsewhere", WRONG, id="something else was dropped"),
    pytest.param("untrusted", INCONCLUSIVE, id="the log is not trusted"),
    pytest.param("expired", WRONG, id="it has expired since"),
    pytest.param("replaced", WRONG, id="it was replaced since"),
    pytest.param("evicted", WRONG, id="it has left memory since"),
]


@pytest.mark.parametrize(("event", "verdict"), BEFORE)
async def test_a_wrong_hit_is_one_of_what_is_valid_still(event: str, verdict: str) -> None:
    """Whatever became of it besides."""
    app = Page()
    async with auditing(app) as cache:
        await cache.get("/a")
        app.body = b"new"
        app.gate.clear()
        assert (await cache.get("/a")).body == b"old"
        for _ in range(2):
            await app.arrived.acquire()
        match event:
            case "invalidated":
                await cache.manager.invalidate_path("/a")
            case "elsewhere":
                await cache.manager.invalidate_path("/b")
            case "untrusted":
                cache.manager.engine.index.distrust()
            case "expired":
                cache.clock.advance(1_000.0)
            case "evicted":
                cache.manager.engine.stack.local.clear()
            case "replaced":
                stack = cache.manager.engine.stack
                (slot,) = stack.local.slots()  # type: ignore[attr-defined]
                stack.keep(slot.entry)
        app.gate.set()
        found = await over(cache)

    assert found == {verdict: 1}


class Desk:
    """An application whose PUT commits first, and answers and returns when it may.

    Args:
        names: Whether the PUT is one of the page that is stored.
    """

    def __init__(self) -> None:
        self.value = b"old"
        self.asked = 0
        self.may_answer, self.may_return = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "PUT":
            self.value = b"new"
            await self.may_answer.wait()
            await respond(send, b"")
            await self.may_return.wait()
        else:
            self.asked += 1
            await respond(send, self.value)


@pytest.mark.parametrize(
    ("path", "verdict"),
    [
        pytest.param("/a", INCONCLUSIVE, id="it drops what was sent"),
        pytest.param("/other", WRONG, id="it drops something else"),
    ],
)
async def test_a_verdict_waits_for_mutations_under_way(path: str, verdict: str) -> None:
    """What they change is seen before they drop anything."""
    app = Desk()
    async with auditing(app) as cache:
        await cache.get("/a")
        put = asyncio.create_task(cache.client.request("PUT", path))
        await settled()
        assert (await cache.get("/a")).body == b"old"
        await settled()
        assert app.asked == 2
        assert cache.manager.stats().total.audits == {}
        app.may_answer.set()
        await settled()
        app.may_return.set()
        await put
        found = await over(cache)

    assert found == {verdict: 1}


async def test_a_mutation_that_begins_later_is_not_waited_for() -> None:
    """It cannot have changed what the application has answered."""
    app = Desk()
    async with auditing(app) as cache:
        await cache.get("/a")
        app.value = b"new"
        await cache.get("/a")
        found = await over(cache)
        put = asyncio.create_task(cache.client.request("PUT", "/a"))
        await settled()
        app.may_answer.set()
        app.may_return.set()
        await put

    assert found == {WRONG: 1}


async def test_a_verdict_waits_for_no_mutation_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream by POST may have none."""
    monkeypatch.setattr(auditor, "PATIENCE", 0.01)
    app = Desk()
    async with auditing(app) as cache:
        await cache.get("/a")
        put = asyncio.create_task(cache.client.request("PUT", "/other"))
        await settled()
        await cache.get("/a")
        found = await over(cache)
        app.may_answer.set()
        app.may_return.set()
        await put

    assert found == {INCONCLUSIVE: 1}


async def test_so_many_verdicts_wait_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond that a difference says nothing."""
    monkeypatch.setattr(auditor, "PENDING", 2)
    app = Desk()
    async with auditing(app) as cache:
        for path in "abcd":
            await cache.get(f"/{path}")
        put = asyncio.create_task(cache.client.request("PUT", "/other"))
        await settled()
        for path in "abcd":
            await cache.get(f"/{path}")
        await settled(100)
        assert cache.manager.stats().total.audits == {INCONCLUSIVE: 2}
        app.may_answer.set()
        app.may_return.set()
        await put
        assert await over(cache) == {INCONCLUSIVE: 2, WRONG: 2}
        for path in "ab":
            await cache.get(f"/{path}")
        found = await over(cache)

    assert found == {INCONCLUSIVE: 2, WRONG: 4}


@pytest.mark.parametrize(
    ("dropped", "verdict", "waits"),
    [
        pytest.param("meanwhile", INCONCLUSIVE, [2.0], id="their record comes"),
        pytest.param("before", INCONCLUSIVE, [], id="it has come already"),
        pytest.param("never", WRONG, [2.0], id="none comes"),
    ],
)
async def test_what_other_instances_drop_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, dropped: str, verdict: str, waits: list[float]
) -> None:
    """Their change is seen before their record is."""
    waited: list[float] = []
    waiting, told = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        waiting.set()
        await told.wait()

    monkeypatch.setattr(auditor, "SETTLING", 2.0)
    monkeypatch.setattr(auditor, "sleep", sleep)
    app = Page()
    async with auditing(app) as cache:
        await cache.get("/a")
        app.body = b"new"
        app.gate.clear()
        await cache.get("/a")
        for _ in range(2):
            await app.arrived.acquire()
        if dropped == "before":
            await cache.manager.invalidate_path("/a")
        app.gate.set()
        if waits:
            await waiting.wait()
        if dropped == "meanwhile":
            await cache.manager.invalidate_path("/a")
        told.set()
        found = await over(cache)

    assert (found, waited) == ({verdict: 1}, waits)
