"""Every request ends in exactly one outcome, and what is counted is what happened."""

import asyncio
import logging
import random
from itertools import chain, count
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheMiddleware, Policy, Rule, TierConfig, cached
from asgi_multitier._types import Message, Receive, Scope, Send
from asgi_multitier.asgi.read_your_writes import COOKIE, token
from asgi_multitier.coherence.local import LocalLog
from asgi_multitier.entry import Born
from asgi_multitier.events import MAX_ROUTES, Events
from asgi_multitier.policy.reasons import Reason
from asgi_multitier.testing import FakeClock
from tests.cut_off import CutOff, run
from tests.manager.support import SeenTier
from tests.support import EVERYTHING, Client, Origin, Reply, Visit, caching, respond, settled

SECRET = b"0123456789abcdef"


async def test_outcomes_of_mixed_traffic_add_up() -> None:
    """Hits, misses, waits, passes, cancelled and failed requests: their sum is the requests."""
    randomly = random.Random(7)

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        kind = scope["path"]
        if kind == "/fails":
            raise ValueError("boom")
        lines = [(b"set-cookie", b"a=b")] if kind == "/own" else []
        await respond(send, b"x", *lines)

    async with caching(page, [Rule("*", 5, stale_while_revalidate=5)]) as cache:
        total = 0
        for _ in range(60):
            tasks = []
            for _ in range(randomly.randint(1, 10)):
                target = randomly.choice(["/a", "/b", "/own", "/fails"])
                lines = randomly.choice([[], [], [("cookie", "a=b")], [("range", "bytes=0-0")]])
                tasks.append(cache.client.begin(target, lines))
                total += 1
            await settled(randomly.randint(1, 4))
            await asyncio.gather(*tasks, return_exceptions=True)
            cache.clock.advance(randomly.choice([0, 3]))
        await settled()
        stats = cache.manager.stats()

        assert stats.requests == stats.total.requests == total
        assert stats.total.hits[1] > 0
        assert min(stats.total.stale, stats.total.coalesced, stats.total.misses) > 0
        assert stats.total.passes["cookie"] > 0
        assert stats.in_flight == 0
        assert 0 < stats.hit_ratio < 1


async def test_outcomes_are_counted_by_route() -> None:
    """The route's template names them, whatever the parameters."""

    async def page(request: Request) -> Response:
        return PlainTextResponse("x")

    inner = Starlette(routes=[Route("/products/{id}", page), Route("/other", page)])
    async with caching(inner, [Rule("/products/*", 60)]) as cache:
        for target in ("/products/1", "/products/2", "/products/1", "/other", "/absent"):
            await cache.get(target)
        routes = cache.manager.stats().routes

        assert routes["/products/{id}"].misses == 2
        assert routes["/products/{id}"].hits == {1: 1}
        assert routes["/other"].passes == {"no-rule": 1}
        assert routes["-"].passes == {"no-rule": 1}


async def test_fills_and_refusals_are_counted() -> None:
    """What was stored, and why the rest was not."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x", status=200 if scope["path"] == "/a" else 500)

    async with caching(page) as cache:
        for target in ("/a", "/a", "/b", "/b"):
            await cache.get(target)
        stats = cache.manager.stats()

        assert (stats.fills, stats.refused) == (1, {"status": 2})
        assert (stats.l1_hits, stats.misses) == (1, 3)
        assert stats.tiers[0].entries == 1


async def test_a_reading_does_not_change() -> None:
    """`stats()` is a copy of the moment."""
    async with caching(Origin()) as cache:
        await cache.get("/x")
        before = cache.manager.stats()
        await cache.get("/x")

        assert before.requests == 1
        assert cache.manager.stats().requests == 2


def test_routes_beyond_the_bound_are_counted_together() -> None:
    """Names of routes cost memory: further ones share one counter."""
    events = Events()
    for number in range(MAX_ROUTES + 100):
        events.tally(f"/{number}").local += 1

    assert len(events.routes()) == MAX_ROUTES + 1
    assert events.routes()["-"].total_hits == 100
    assert events.total().total_hits == MAX_ROUTES + 100


async def test_no_log_line_for_a_request(caplog: pytest.LogCaptureFixture) -> None:
    """Hits, misses, passes and changes say nothing in the process's log."""
    caplog.set_level(logging.DEBUG, "asgi_multitier")
    async with caching(Origin()) as cache:
        await cache.get("/begin")  # what a process says at its start is said by now
        caplog.clear()
        for method in ("GET", "GET", "HEAD", "PUT", "OPTIONS"):
            await cache.client.request(method, "/x")
        await cache.get("/x", [("cookie", "a=b")])
        await cache.get("/x", visit=Visit(broken=True))

    assert caplog.records == []


@pytest.mark.parametrize(
    "broken", [f"asgi_multitier.asgi.fill.keeping.{name}" for name in ("judge", "as_variant")]
)
async def test_when_the_cache_itself_breaks_the_application_answers(
    broken: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Judging or storing raises: leader and waiters have their answers, nobody else's; counted."""

    def breaks(*args: object, **options: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(broken, breaks)
    origin = Origin()
    origin.gate.clear()
    async with caching(origin) as cache:
        tasks = [cache.client.begin("/x") for _ in range(3)]
        await settled()
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert [reply.status for reply in replies] == [200] * 3
        assert origin.calls == 3
        assert cache.manager.stats().failures == {"internal": 3}
        assert "the cache broke" in caplog.text
        assert {reply.detail for reply in replies} == {"broken"}


def test_the_middleware_says_what_it_is() -> None:
    """Its `repr` tells routes, plans and the manager's state."""
    text = repr(CacheMiddleware(Origin(), rules=EVERYTHING))

    assert "RouteTable" in text
    assert "0 plans" in text
    assert "not running" in text


async def test_every_reason_is_counted_under_its_own_word() -> None:
    """The words of `Cache-Status` and of the counters are the same."""
    async with caching(Origin()) as cache:
        reply = await Client(cache.middleware).get("/x", [("x-api-key", "a")])

        assert cache.manager.stats().total.passes == {reply.detail: 1}
        assert reply.detail == Reason.CREDENTIALS


async def test_a_request_cancelled_while_a_shared_tier_is_read_is_counted() -> None:
    """As a miss, by each door: every request and every call has one outcome."""
    clock = FakeClock()
    below = SeenTier(clock)
    below.gate = asyncio.Event()
    tiers = [(below, TierConfig(2))]
    async with caching(Origin(), tiers=tiers, log=LocalLog(clock)) as cache:
        manager = cache.manager
        asking = [
            cache.client.begin("/x"),
            asyncio.create_task(manager.get("k")),
            asyncio.create_task(manager.get_or_compute("l", lambda: 1)),
        ]
        await below.entered.wait()
        await settled()
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        below.gate.set()

        total = manager.stats().total
        assert (total.misses, total.requests) == (3, 3)


class Slow(Visit):
    """A client whose channel lets others run at each message."""

    async def receive(self) -> Message:
        await asyncio.sleep(0)
        return await super().receive()

    async def send(self, message: Message) -> None:
        await asyncio.sleep(0)
        await super().send(message)


async def _page(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0)
    await respond(send, b"x", (b"cache-control", b"max-age=60"))


async def _called(request: Request) -> str:
    await asyncio.sleep(0)
    return "yes"


_guarded = FastAPI()


@_guarded.get("/{number}", dependencies=[Depends(_called)])
@cached(60, guarded="shared")
async def _behind_a_guard(number: int) -> int:
    await asyncio.sleep(0)
    return number


HEADERS_DECIDE = Policy.from_origin()
PLACE = Born("a" * 32, 1)


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        pytest.param(Policy(60), {}, id="a run"),
        pytest.param(Policy(60), {"http_version": "2"}, id="the first message"),
        pytest.param(Policy(60, when=_called), {}, id="when"),
        pytest.param(Policy(60, vary_by=_called), {}, id="vary_by"),
        pytest.param(Policy(60, when=_called, vary_by=_called), {}, id="both"),
        pytest.param(HEADERS_DECIDE, {"method": "HEAD"}, id="a HEAD"),
        pytest.param(Policy(60, coalesce=False), {}, id="a run apart"),
        pytest.param(None, {}, id="no rule"),
        pytest.param(Policy(60), {"position": True}, id="a position in the log"),
        pytest.param(None, {"app": _guarded}, id="behind a guard"),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["before", "when it is there"])
async def test_a_request_cancelled_at_any_await_is_counted_once(
    policy: Policy | None, asked: dict[str, Any], late: bool
) -> None:
    """Each await in turn; the first request starts the cache."""
    asked = {"method": "GET", **asked}
    app = asked.pop("app", _page)
    lines = [("cookie", f"{COOKIE}={token(PLACE, SECRET)}")] if asked.pop("position", False) else []
    async with caching(app, (), secret=SECRET) as cache:
        client = Client(CacheMiddleware(app, cache.manager, default=policy, read_your_writes=True))
        for requests, at in enumerate(chain([1], count(1)), start=1):
            asking = client.request(target=f"/{requests}", headers=lines, visit=Slow(), **asked)
            cut = CutOff(asking, at, late=late)
            (end,) = await asyncio.gather(asyncio.create_task(run(cut)), return_exceptions=True)
            assert cache.manager.stats().requests == requests
            if cut.awaits < at:
                break
            assert isinstance(end, asyncio.CancelledError)
            await settled()

        assert at > 1
        assert isinstance(end, Reply)
