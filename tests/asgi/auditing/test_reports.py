"""What is said of wrong hits: figures, an event, a log line, a cause; and dropping them."""

import asyncio
import logging
from pathlib import Path
from typing import Any, Self

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, Rule
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.asgi.auditing import causes, dropping
from asgi_multitier.asgi.auditing.fills import Fills
from asgi_multitier.entry import Born, Entry
from asgi_multitier.metrics.report import counted, routes_of
from asgi_multitier.policy.key import storage_key
from asgi_multitier.shadow import Traits
from tests.asgi.auditing.support import RULES, WRONG, Page, auditing, over
from tests.patience import until
from tests.support import Client, respond


async def test_verdicts_are_counted_by_route() -> None:
    """In the statistics, the figures of Prometheus, and JSON."""
    app = Page()
    async with auditing(app, [Rule("/a*", 60), Rule("/b*", 60)]) as cache:
        for path in ("/a", "/b"):
            await cache.get(path)
        await cache.get("/a")
        await over(cache)
        app.body = b"new"
        for path in ("/a", "/b"):
            await cache.get(path)
        await over(cache)
        engine = cache.manager.engine
        text = cache.manager.metrics.text()
        routes = cache.manager.stats().routes

        assert {name: dict(route.audits) for name, route in routes.items()} == {
            "/a*": {"right": 1, "wrong": 1},
            "/b*": {"wrong": 1},
        }
        assert dict(routes_of(engine))["/a*"]["audits"] == {"right": 1, "wrong": 1}
        assert "audits" not in counted(engine)
    lines = [line for line in text.splitlines() if line.startswith("asgi_multitier_audit")]
    assert [line.rpartition("{")[2] for line in lines if "/b*" in line] == [
        'route="/b*",verdict="right"} 0',
        'route="/b*",verdict="wrong"} 1',
        'route="/b*",verdict="inconclusive"} 0',
    ]
    assert any(line.startswith("asgi_multitier_audits_skipped_total") for line in lines)


async def test_what_there_are_no_runs_for_is_counted() -> None:
    """The rate is not what was wanted then."""
    app = Page()
    async with auditing(app, audit_runs=1) as cache:
        await cache.get("/a")
        for _ in range(3):
            assert (await cache.get("/a")).hit
        await over(cache)

        assert cache.manager.engine.audits.skipped == 2
    assert len(app.scopes) == 2


SECRET = "hunter2"


async def test_a_wrong_hit_is_told_without_values(caplog: pytest.LogCaptureFixture) -> None:
    """An event each time, a line the first time; names are told, values never."""
    caplog.set_level(logging.INFO, "asgi_multitier")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, dict(scope["headers"]).get(b"cookie", b"no cookie"))

    async with auditing(app) as cache:
        listener = cache.manager.engine.events.live.listen()
        cookie = [("cookie", f"user={SECRET}")]
        target = f"/a?token={SECRET}"
        for _ in range(3):
            await cache.get(target, cookie)
        assert await over(cache) == {WRONG: 2}
        events = [event for event in listener.take()[0] if event["kind"] == "wrong"]
        (slot,) = cache.manager.engine.stack.local.slots()  # type: ignore[attr-defined]
        key = storage_key(slot.entry.key)

    told = {"kind": "wrong", "route": "*", "key": key, "dropped": False}
    assert [{**event, **told} for event in events] == events
    assert all(set(event) == {"id", "at", *told, "cause", "name"} for event in events)
    assert SECRET not in repr(events) + caplog.text
    wrong = [record for record in caplog.records if "was wrong" in record.getMessage()]
    assert len({record.getMessage() for record in wrong}) == len(wrong) >= 1
    assert wrong[0].levelno == logging.WARNING


async def test_the_cause_is_what_differing_requests_have_in_common() -> None:
    """Of the requests that filled, and of those that were audited."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        tenant = dict(scope["headers"]).get(b"x-flavour", b"")
        await respond(send, b"page of " + tenant)

    async with auditing(app, [Rule("/p*", 60)]) as cache:
        listener = cache.manager.engine.events.live.listen()
        for number in range(30):
            cache.clock.advance(0.2)
            tenant, other = ("north", "south") if number % 2 else ("south", "north")
            fields = [("user-agent", f"client {number}"), ("accept-language", "de")]
            await cache.get(f"/p{number}", [("x-flavour", tenant), *fields])
            await cache.get(f"/p{number}", [("x-flavour", tenant), ("user-agent", "x")])
            await cache.get(f"/p{number}", [("x-flavour", other), *fields])
            await over(cache)
        cache.clock.advance(20.0)
        await cache.get("/p0", [("x-flavour", "north")])
        await cache.get("/p0", [("x-flavour", "south")])
        await over(cache)
        last = [event for event in listener.take()[0] if event["kind"] == "wrong"][-1]
        report = await cache.manager.report()

    assert (last["cause"], last["name"]) == ("field", "x-flavour")
    (route,) = report.routes
    assert (route.findings[0].cause, route.findings[0].name) == ("field", "x-flavour")


async def test_a_fill_has_the_traits_that_the_application_saw() -> None:
    """A cookie that the rule leaves out has not chosen what is stored."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        cookies = dict(scope["headers"]).get(b"cookie", b"")
        await respond(send, b"9 EUR" if b"currency=eur" in cookies else b"10 USD")

    async with auditing(app, [Rule("/p*", 60, ignore_cookies=True)]) as cache:
        for number in range(30):
            cache.clock.advance(0.2)
            for currency in ("eur", "usd", "eur", "usd")[number % 2 :]:
                fields = [("cookie", f"currency={currency}"), ("user-agent", f"client {number}")]
                await cache.get(f"/p{number}", fields)
            await over(cache)
        report = await cache.manager.report()
        auditor: Any = cache.middleware._auditor
        fills = auditor._causes._fills._fills.values()

    (route,) = report.routes
    assert (route.findings[0].cause, route.findings[0].name) == ("cookie", "currency")
    assert [dict(fill.traits.cookies) for fill in fills] == [{}] * 30


async def test_a_fill_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first audit of what it has filled; an audit tells which fill it is about."""
    told: list[Any] = []
    async with auditing(Page()) as cache:
        monkeypatch.setattr(cache.manager.ledger, "observed", told.append)
        for _ in range(3):
            await cache.get("/a")
        await over(cache)

    fill, *audits = told
    assert [(one.would, one.hit) for one in told] == [("miss", 0), *[("hit", fill.number)] * 2]
    assert [one.served == fill.answer for one in audits] == [True, True]
    assert len({one.number for one in told}) == 3


async def test_causes_are_not_searched_for_at_each_wrong_hit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once a second while none is known; then more rarely."""
    searches = []
    app = Page()
    async with auditing(app) as cache:
        real = cache.manager.ledger.snapshot

        def snapshot() -> Any:
            searches.append(cache.clock())
            return real()

        monkeypatch.setattr(cache.manager.ledger, "snapshot", snapshot)
        await cache.get("/a")
        app.body = b"new"
        for _ in range(4):
            await cache.get("/a")
            await over(cache)
        assert len(searches) == 1
        cache.clock.advance(causes.SOON)
        causes_of: Any = cache.middleware._auditor
        causes_of._causes._found["GET *"] = causes.UNKNOWN
        await cache.get("/a")
        await over(cache)
        assert len(searches) == 1
        cache.clock.advance(causes.EVERY)
        await cache.get("/a")
        await over(cache)

    assert len(searches) == 2


async def test_mutations_are_told_to_the_ledger() -> None:
    """As causes may be edits that drop nothing; those that failed are none."""
    edits: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x", status=404 if scope["path"] == "/none" else 200)

    async with auditing(app) as cache:
        cache.manager.ledger.edited = edits.append  # type: ignore[method-assign]
        await cache.get("/b")
        await cache.client.request("PUT", "/a")
        await cache.client.request("PUT", "/none")
        cache.manager.engine.mutations.noted = True
        await cache.client.request("PUT", "/a")

    ((edit),) = edits
    assert (edit.route, edit.path, edit.selectors) == ("PUT *", "/a", ("path:/a",))


async def test_two_middlewares_of_one_cache_tell_the_ledger_as_one() -> None:
    """Each observation has a number of its own, and each mutation is told once."""
    told: list[Any] = []
    edits: list[Any] = []
    manager = CacheManager(redis_url=None, namespace="n", audit=1, audit_runs=100)
    clients = [Client(CacheMiddleware(Page(), manager, rules=[Rule("*", 60)])) for _ in range(2)]
    async with manager:
        manager.ledger.observed = told.append  # type: ignore[method-assign]
        manager.ledger.edited = edits.append  # type: ignore[method-assign]
        for client, path in zip(clients, ("/a", "/b"), strict=True):
            await client.get(path)
            await client.get(path)
        while tasks := manager.engine.audits.tasks:
            await asyncio.wait(tasks)
        await clients[0].request("PUT", "/c")

    assert len({one.number for one in told}) == len(told) == 4
    assert len(edits) == 1


class Instances:
    """Two instances of one application over one file."""

    def __init__(self, file: Path, app: Any, **settings: Any) -> None:
        self.managers = [
            CacheManager(
                sqlite=file,
                namespace="shop",
                audit=1,
                audit_runs=1_000,
                redis_timeout=30,
                **settings,
            )
            for _ in range(2)
        ]
        self.clients = [
            Client(CacheMiddleware(app, manager, rules=RULES)) for manager in self.managers
        ]

    async def __aenter__(self) -> Self:
        for manager in self.managers:
            await manager.start()
            await until(lambda manager=manager: manager.engine.log.trusted)  # type: ignore[misc]
        return self

    async def __aexit__(self, *_: object) -> None:
        for manager in self.managers:
            await manager.close()


async def test_what_was_wrong_is_dropped_on_every_instance(tmp_path: Path) -> None:
    """Where that is wanted: by the log, and counted as done by an audit."""
    app = Page()
    async with Instances(tmp_path / "log", app, on_wrong="drop") as both:
        first, second = both.clients
        for client in (first, second):
            await client.get("/a")
        app.body = b"new"
        await first.get("/a")
        engine = both.managers[0].engine
        while tasks := engine.audits.tasks:
            await asyncio.wait(tasks)
        others = both.managers[1].engine.stack.local
        await until(lambda: both.managers[1].engine.index.seq == engine.index.seq > 0)

        assert others is not None
        assert (await second.get("/a")).body == b"new"
        assert both.managers[0].stats().invalidations == {"*": {"audit": 1}}


async def test_what_an_audit_drops_is_told_as_no_edit() -> None:
    """It is not why the answer was wrong."""
    app, edits = Page(), list[Any]()
    async with auditing(app, on_wrong="drop") as cache:
        cache.manager.ledger.edited = edits.append  # type: ignore[method-assign]
        await cache.get("/a")
        app.body = b"new"
        await cache.get("/a")
        await over(cache)
        assert cache.manager.stats().invalidations == {"*": {"audit": 1}}
        assert edits == []

        await cache.manager.invalidate_path("/a")  # by hand it is one

    assert [edit.selectors for edit in edits] == [("path:/a",)]


async def test_what_was_wrong_stays_where_it_is_to_be_reported() -> None:
    """As far as nothing else is said."""
    app = Page()
    async with auditing(app) as cache:
        await cache.get("/a")
        app.body = b"new"
        for _ in range(2):
            assert (await cache.get("/a")).body == b"old"
            await over(cache)

        assert cache.manager.stats().invalidations == {}


async def test_a_route_that_is_always_wrong_is_dropped_once_a_second() -> None:
    """Whatever is stored for it; each route on its own."""
    calls = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal calls
        calls += 1
        await respond(send, b"%d" % calls)

    rules = [Rule("/a/*", 60), Rule("/b/*", 60)]
    async with auditing(app, rules, on_wrong="drop") as cache:
        listener = cache.manager.engine.events.live.listen()
        for path in ("/a/1", "/a/2", "/b/1"):
            await cache.get(path)
            await cache.get(path)
            await over(cache)
        assert not (await cache.get("/a/1")).hit  # dropped
        assert (await cache.get("/a/2")).hit  # the route was dropped a moment ago
        assert not (await cache.get("/b/1")).hit
        await over(cache)
        cache.clock.advance(1.0)
        await cache.get("/a/2")
        await over(cache)
        assert not (await cache.get("/a/2")).hit
        events = [event for event in listener.take()[0] if event["kind"] == "wrong"]

        assert cache.manager.stats().invalidations == {"/a/*": {"audit": 2}, "/b/*": {"audit": 1}}
    assert [event["dropped"] for event in events] == [True, False, True, False, True]


async def test_so_many_routes_are_known_to_have_been_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The oldest is forgotten, and may be dropped again a little sooner."""
    monkeypatch.setattr(dropping, "MAX_ROUTES", 2)
    app = Page()
    rules = [Rule(f"/{name}", 60) for name in "abc"]
    async with auditing(app, rules, on_wrong="drop") as cache:
        for name in "abc":
            await cache.get(f"/{name}")
        app.body = b"new"
        for name in "abc":
            await cache.get(f"/{name}")
            await over(cache)
        auditor: Any = cache.middleware._auditor

        assert list(auditor._dropping._last) == ["/b", "/c"]


def test_fills_take_a_bounded_number_of_bytes() -> None:
    """The oldest are forgotten; one that is filled again is counted once."""
    fills = Fills(limit=5_000)

    def entry(number: int, filled_at: float = 0.0) -> Entry:
        return Entry(
            key=f"k{number}",
            payload=b"",
            born=Born("", 0),
            created=0.0,
            fresh_until=1.0,
            keep_until=1.0,
            filled_at=filled_at,
        )

    traits = Traits(fields={b"accept": 1}, cookies={"a": 2})
    for number in range(20):
        for _ in range(2):
            fills.note(entry(number), traits, number)
    kept = [number for number in range(20) if fills.of(entry(number)) is not None]

    assert kept == list(range(20 - len(fills), 20))
    assert 1 < len(fills) < 10
    assert fills.size <= 5_000
    assert fills.of(entry(19, filled_at=1.0)) is None  # another fill, as of another process
