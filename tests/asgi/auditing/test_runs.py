"""The run of the application for an audit: what it is asked, and what does not follow from it."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import pytest
from fastapi import Depends, FastAPI

from asgi_multitier import (
    CacheManager,
    CacheMiddleware,
    MemoryTier,
    NullLocalTier,
    Policy,
    Rule,
    TierConfig,
    cached,
)
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.entry import StoredResponse
from tests.asgi.auditing.support import RIGHT, RULES, WRONG, Page, auditing, over
from tests.http.test_shared_tiers import DictTier
from tests.patience import PATIENCE
from tests.support import Answered, Cache, Client, Visit, respond, scope_of, settled

CLIENT = [
    ("cookie", "user=anne; theme=dark"),
    ("x-tenant", "north"),
    ("accept-language", "de"),
    ("authorization", "Bearer abc"),
]


async def test_it_is_asked_as_the_client_has_asked() -> None:
    """With the cookies and parameters that the hit ignored; without conditions and a range."""
    app = Page()
    app.lines = [(b"cache-control", b"public")]
    rules = [Rule("*", 60, ignore_cookies=True, public=True, query=["page"])]
    own = [("if-none-match", '"x"'), ("range", "bytes=0-1"), ("cache-control", "no-cache")]
    async with auditing(app, rules) as cache:
        await cache.get("/a?page=1&token=1", CLIENT)
        await cache.get("/a?page=1&token=2", [*CLIENT, *own])
        found = await over(cache)

    fill, audit = app.scopes
    assert found == {RIGHT: 1}
    assert (b"cookie", b"user=anne; theme=dark") not in fill["headers"]
    assert fill["query_string"] == b"page=1"
    asked = {name: value for name, value in audit["headers"] if name != b"host"}
    assert asked == {name.encode(): value.encode() for name, value in CLIENT}
    assert (audit["method"], audit["query_string"]) == ("GET", b"page=1&token=2")


async def test_a_head_is_asked_for_as_a_get() -> None:
    """Its answer is that of the GET, without content."""
    app = Page()
    async with auditing(app) as cache:
        await cache.get("/a")
        await cache.client.request("HEAD", "/a")
        found = await over(cache)

    assert found == {RIGHT: 1}
    assert [scope["method"] for scope in app.scopes] == ["GET", "GET"]


async def test_a_question_is_asked_with_its_content() -> None:
    """A POST that its rule answers from the cache."""
    asked = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        asked.append((scope["method"], message["body"]))
        await respond(send, message["body"])

    async with auditing(app, [Rule("/ask", 60, methods=["POST"], body=True)]) as cache:
        for _ in range(2):
            await cache.client.request("POST", "/ask", visit=Visit(body=b"q"))
        found = await over(cache)

    assert found == {RIGHT: 1}
    assert asked == [("POST", b"q")] * 2


DOORS: list[Any] = [
    pytest.param("GET", [], id="a plain hit"),
    pytest.param("GET", [("if-none-match", '"x"')], id="with a condition"),
    pytest.param("GET", [("range", "bytes=0-0")], id="a part"),
    pytest.param("GET", [("accept-encoding", "gzip")], id="with codings"),
    pytest.param("GET", [("accept-language", "de")], id="one of several representations"),
    pytest.param("HEAD", [], id="HEAD"),
]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(("method", "headers"), DOORS)
async def test_hits_of_every_door_are_audited(
    method: str, headers: Sequence[tuple[str, str]], times: int
) -> None:
    """Also one whose selection is remembered from an equal one."""
    app = Page()
    app.lines = [(b"vary", b"accept-language")]
    async with auditing(app) as cache:
        await cache.get("/a", headers)
        app.body = b"new"
        for _ in range(times):
            await cache.client.request(method, "/a", headers)
        found = await over(cache)

    assert found == {WRONG: times}


def shared_settings() -> dict[str, Any]:
    """Memory that keeps nothing, over a shared tier."""
    return {"tiers": [(NullLocalTier(), TierConfig.l1()), (DictTier(), TierConfig.l2())]}


@pytest.mark.parametrize("headers", [[], [("if-none-match", '"x"')]])
async def test_hits_of_a_shared_tier_are_audited(headers: Sequence[tuple[str, str]]) -> None:
    """By whichever way they go."""
    app = Page()
    async with auditing(app, **shared_settings()) as cache:
        await cache.get("/a")
        await settled()
        app.body = b"new"
        assert (await cache.get("/a", headers)).hit
        found = await over(cache)

    assert found == {WRONG: 1}
    assert cache.manager.stats().total.hits == {2: 1}


async def test_hits_in_front_of_asgi_are_audited() -> None:
    """The server's protocol finds nothing, and the middleware answers."""
    app = Page()
    async with auditing(app) as cache:
        await cache.get("/a")
        door = cache.middleware.in_front
        known = door.find(scope_of("GET", "/a"))
        assert known is not None
        assert door.ready(known) is None
        assert (await cache.get("/a")).hit
        found = await over(cache)

    assert found == {RIGHT: 1}


async def _stale(cache: Cache) -> None:
    cache.clock.advance(70.0)
    await cache.get("/swr")


async def _value(cache: Cache) -> None:
    await cache.manager.set("key", 1, 60)
    assert await cache.manager.get("key") == 1


async def _switched_off(cache: Cache) -> None:
    cache.manager.mode = "off"
    await cache.get("/swr")


@pytest.mark.parametrize("play", [_stale, _value, _switched_off])
async def test_what_is_no_hit_is_not_audited(play: Any) -> None:
    """What is stale may be wrong, as its rule says; values are no answers."""
    app = Page()
    rules = [Rule("*", 60, stale_while_revalidate=60)]
    async with auditing(app, rules) as cache:
        await cache.get("/swr")
        await play(cache)
        await settled()

        assert await over(cache) == {}


async def test_nothing_follows_from_it_but_the_verdict() -> None:
    """It is no fill, no miss and no flight; what is stored stays."""
    app = Page()
    async with auditing(app) as cache:
        await cache.get("/a")
        app.body = b"new"
        app.gate.clear()
        await cache.get("/a")
        await app.arrived.acquire()
        await app.arrived.acquire()
        engine = cache.manager.engine
        assert (engine.flights.running, len(engine.audits)) == (0, 1)
        app.gate.set()
        await over(cache)
        stats = cache.manager.stats()
        (slot,) = engine.stack.local.slots()  # type: ignore[attr-defined]

    assert isinstance(slot.entry.payload, StoredResponse)
    assert slot.entry.payload.body == b"old"
    assert (stats.fills, stats.misses, stats.refreshes, stats.requests) == (1, 1, 0, 2)
    assert sum(stats.total.runs.counts) == 1


async def test_its_client_waits_for_nothing() -> None:
    """The application is asked when the client has its answer."""
    app = Page()
    async with auditing(app) as cache:
        await cache.get("/a")
        app.gate.clear()
        reply = await cache.get("/a")
        assert (reply.hit, len(app.scopes)) == (True, 1)
        app.gate.set()
        await over(cache)

    assert len(app.scopes) == 2


async def test_a_client_that_has_left_is_no_reason_not_to_ask() -> None:
    """Its hit is a hit."""
    app = Page()
    async with auditing(app) as cache:
        await cache.get("/a")
        with pytest.raises(OSError, match="gone"):
            await cache.get("/a", visit=Visit(broken=True))

        assert await over(cache) == {RIGHT: 1}


async def test_a_run_for_the_same_key_does_not_wait_for_itself() -> None:
    """An application that asks its own cache inside of the run is answered past it."""
    calls = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(scope["path"])
        if len(calls) == 2:
            await cache.manager.invalidate_path("/a")
            await cache.client.get("/a")
        await respond(send, b"x")

    async with auditing(app) as cache:
        await cache.get("/a")
        await cache.get("/a")
        await over(cache)
        passes = cache.manager.stats().total.passes

    assert calls == ["/a"] * 3
    assert passes == {"nested": 1}


async def test_what_it_writes_reaches_no_layer_outside() -> None:
    """The state and the session are its own; it reads what the layers have left there."""
    state: dict[str, Any] = {"tenant": "north"}
    session = {"seen": 1}
    read = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        read.append((scope["state"].get("tenant"), scope["session"].get("seen")))
        if len(read) > 1:
            scope["state"]["tenant"] = scope["session"]["seen"] = "written"
        await respond(send, b"x")

    async with auditing(app) as cache:
        for _ in range(2):
            await cache.get("/a", state=state, session=session)
        await over(cache)

    assert read == [("north", 1)] * 2
    assert (state["tenant"], session) == ("north", {"seen": 1})


CALLER: ContextVar[str] = ContextVar("caller", default="none")


async def test_it_runs_in_a_copy_of_the_requests_context() -> None:
    """As refreshes do: layers outside may have left there what the application needs."""
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(CALLER.get())
        CALLER.set("changed")
        await respond(send, b"x")

    async with auditing(app) as cache:
        await cache.get("/a")
        CALLER.set("client")
        await cache.get("/a")
        await over(cache)

    assert seen == ["none", "client"]
    assert CALLER.get() == "client"


async def test_guarded_hits_are_left_out() -> None:
    """Their endpoint's own arguments would be needed; they count for no rate either."""
    app = Page()
    async with auditing(app) as cache:
        audits = cache.manager.engine.audits
        cache.manager.engine.events.tally("/guarded").local += 1_000
        assert audits._count() == (1_000, 1)
        audits.leave_out("/guarded")
        cache.manager.engine.events.tally("manager").local += 1_000

        assert audits._count() == (0, 0)


async def test_close_cancels_what_goes_on_and_waits_for_its_end() -> None:
    """No run of the application is left, and none begins."""
    app, ended = Page(), []

    async def watching(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        finally:
            ended.append(scope["path"])

    async with auditing(watching) as cache:
        await cache.get("/a")
        app.gate.clear()
        await cache.get("/a")
        await app.arrived.acquire()
        await app.arrived.acquire()
        audits = cache.manager.engine.audits
        assert len(audits) == 1
        await cache.manager.close()

        assert (len(audits), ended) == (0, ["/a"] * 2)
        assert not audits.due


def test_it_goes_on_in_another_event_loop() -> None:
    """As after a fork; what went on in the one that has ended is forgotten."""
    manager = CacheManager(redis_url=None, namespace="n", audit=1, audit_runs=2)
    page = Page()

    client = Client(CacheMiddleware(page, manager, rules=RULES))

    async def first() -> None:
        page.gate, page.arrived = asyncio.Event(), asyncio.Semaphore(0)
        page.gate.set()
        await client.get("/a")
        page.gate.clear()
        await client.get("/a")
        await page.arrived.acquire()
        await page.arrived.acquire()

    async def second() -> dict[str, int]:
        page.gate, page.arrived = asyncio.Event(), asyncio.Semaphore(0)
        page.gate.set()
        await client.get("/a")
        while tasks := manager.engine.audits.tasks:
            await asyncio.wait(tasks)
        await manager.close()
        return dict(manager.stats().total.audits)

    asyncio.run(first())
    left: Any = object()  # as a task of a process that was forked
    manager.engine.audits.tasks.add(left)
    assert asyncio.run(second()) == {RIGHT: 1}


async def test_without_a_rate_there_is_nothing() -> None:
    """The functions at the doors are those of the tier, and no request knows of audits."""
    app = Page()
    for audit in (None, 0):
        async with auditing(app, audit=audit) as cache:
            engine = cache.manager.engine
            await cache.get("/a")
            hits = cache.middleware._hits
            assert hits.find is engine.stack.find
            assert hits.find == engine.stack.local.find  # type: ignore[attr-defined]
            await cache.get("/a")
            assert hits.find is engine.stack.find
            assert cache.middleware._auditor is None
            assert engine.audits._picker is None
            assert not engine.audits.due
            assert len(engine.mutations._listeners) == 0
            assert engine.audits.skipped == 0


async def test_a_rate_leaves_the_doors_alone_until_a_hit_is_due() -> None:
    """And puts their own functions back after it."""
    app = Page()
    async with auditing(app, audit="1/1000", l1=MemoryTier()) as cache:
        hits, engine = cache.middleware._hits, cache.manager.engine
        await cache.get("/a")
        own = hits.find
        assert own is engine.stack.find
        picker = engine.audits._picker
        assert picker is not None
        picker._due = 1
        picker._arm()
        picker._pass = 0
        assert hits.find is not own
        await cache.get("/a")

        assert hits.find is own
        assert await over(cache) == {RIGHT: 1}


async def test_an_audit_that_breaks_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """No request waits for it."""
    app = Page()
    async with auditing(app) as cache:
        await cache.get("/a")
        auditor: Any = cache.middleware._auditor
        auditor._traits = None
        assert (await cache.get("/a")).hit
        await over(cache)

        assert cache.manager.stats().failures == {"audit": 1}
    assert "the audit of a hit broke" in caplog.text


async def test_a_policy_by_the_origins_headers_is_audited_too() -> None:
    """What is stored without an annotation."""
    app = Page()
    app.lines = [(b"cache-control", b"max-age=60")]
    async with auditing(app, (), default=Policy.from_origin()) as cache:
        await cache.get("/a")
        app.body = b"new"
        await cache.get("/a")

        assert await over(cache) == {WRONG: 1}


async def test_so_many_runs_begin_in_a_second_and_go_on_at_a_time() -> None:
    """One that has ended makes room, when a second is over."""
    app = Page()
    async with auditing(app, audit_runs=1) as cache:
        await cache.get("/a")
        verdicts = []
        for _ in range(3):
            await cache.get("/a")
            await cache.get("/a")
            verdicts.append(await over(cache))
            cache.clock.advance(1.0)

    assert verdicts == [{RIGHT: number} for number in (1, 2, 3)]


async def test_the_same_cache_inside_answers_no_audit() -> None:
    """It would say what it has stored."""
    app = Page()
    rules = [Rule("*", 60)]
    manager = CacheManager(redis_url=None, namespace="n", audit=1, audit_runs=100)
    inner = CacheMiddleware(app, manager, rules=rules)
    client = Client(CacheMiddleware(inner, manager, rules=rules))
    async with manager:
        await client.get("/a")
        app.body = b"new"
        await client.get("/a")
        while tasks := manager.engine.audits.tasks:
            await asyncio.wait(tasks)

        assert manager.stats().total.audits == {WRONG: 1}


async def test_what_it_leaves_behind_learns_that_it_is_over() -> None:
    """A task that waits for the client to leave ends."""
    listeners = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> str:
            await receive()
            return str((await receive())["type"])

        listeners.append(asyncio.create_task(listen()))
        await respond(send, b"x")

    async with auditing(app) as cache:
        visit = Visit()
        await cache.get("/a", visit=visit)
        visit.leave()
        await cache.get("/a")
        await over(cache)
        told = await asyncio.gather(*listeners)

    assert told == ["http.disconnect"] * 2


async def test_an_application_may_wait_for_the_end_before_it_returns() -> None:
    """Its client counts as gone when the answer is whole, as servers say it."""
    returned = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x")
        while (await receive())["type"] != "http.disconnect":
            pass
        returned.append(scope["path"])

    async with asyncio.timeout(PATIENCE), auditing(app) as cache:
        await cache.client.request("GET", "/a", visit=Answered())
        assert (await cache.get("/a")).hit
        assert await over(cache) == {RIGHT: 1}

    assert returned == ["/a", "/a"]


async def test_an_answer_in_many_pieces_does_not_hold_the_event_loop() -> None:
    """It belongs to clients."""
    turns = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(10):
            asyncio.get_running_loop().call_soon(turns.append, scope["path"])
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            if listening:
                assert len(turns) > before
        await send({"type": "http.response.body"})

    listening, before = False, 0
    async with auditing(app) as cache:
        await cache.get("/a")
        await settled()
        listening, before = True, len(turns)
        await cache.get("/a")

        assert await over(cache) == {RIGHT: 1}


async def test_routes_with_a_guard_are_left_out_when_they_are_known() -> None:
    """By their label, under which their requests are counted."""
    app = FastAPI()

    @app.get("/guarded", dependencies=[Depends(lambda: None)])
    @cached(60, guarded=True)
    async def endpoint() -> str:
        return "x"

    async with auditing(app, ()) as cache:
        for _ in range(3):
            await cache.get("/guarded")

        assert cache.manager.stats().routes["/guarded"].total_hits > 0
        assert cache.manager.engine.audits._count() == (0, 0)
        assert await over(cache) == {}


async def test_a_cache_that_is_made_again_is_audited_as_well() -> None:
    """What went on in the one before is cancelled, and what it knew is forgotten."""
    app = Page()
    async with auditing(app) as cache:
        await cache.get("/a")
        app.gate.clear()
        await cache.get("/a")
        for _ in range(2):
            await app.arrived.acquire()
        manager = cache.manager
        before = manager.engine
        tasks = set(before.audits.tasks)
        assert before.audits.due
        manager.renew(manager._backends, patience=1.0)
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [True]
        assert not before.audits.due
        app.gate.set()
        for _ in range(2):
            await cache.get("/a")

        assert await over(cache) == {RIGHT: 1}
        assert manager.engine is not before
        assert len(manager.engine.mutations._listeners) == 1
