"""What the span of a request is told of its answer: nothing for a plain hit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request

from asgi_multitier import Policy, Rule, cached
from asgi_multitier._types import Receive, Scope, Send
from tests.support import Cache, Origin, answering, caching, respond, settled
from tests.tracing.support import Seen, attributes, unsampled

RULES = (
    Rule("/swr", 10, stale_while_revalidate=60),
    Rule("/sie", 10, stale_if_error=60),
    Rule("/own", 60, honor_request_directives=True),
    Rule("/valid", 10, validator=lambda _: 1),
    Rule("/never", None),
    Rule("/post", 60, methods=["POST"], body=True, when=lambda _: False),
    Rule("/broken", 60, vary_by=lambda request: 1 / 0),
    Rule("/*", 60),
)

Fields = tuple[tuple[str, str], ...]
FRESH: Fields = (("cache-control", "max-age=1000"),)
CACHED: Fields = (("cache-control", "only-if-cached"),)


@asynccontextmanager
async def asking(origin: Origin, seen: Seen, **settings: Any) -> AsyncIterator[Cache]:
    async with caching(origin, RULES, **settings) as cache:
        cache.manager.instrument(tracer_provider=seen.provider, metrics=False)
        yield cache


class Asked:
    """A request that is told of.

    Attributes:
        path, fields: The request.
        before: Seconds that pass after the same request without fields; None: there is none before.
        status: What the application answers from then on.
    """

    def __init__(
        self,
        path: str,
        *fields: tuple[str, str],
        method: str = "GET",
        before: float | None = None,
        status: int = 200,
    ) -> None:
        self.path = path
        self.fields = fields
        self.method = method
        self.before = before
        self.status = status


TOLD: dict[str, tuple[Asked, dict[str, Any]]] = {
    "a plain hit": (Asked("/a", before=0), {}),
    "a miss": (Asked("/a"), {"outcome": "miss"}),
    "a hit that needs a closer look": (
        Asked("/own", *FRESH, before=5),
        {"outcome": "hit", "tier": 1, "ttl": 55.0, "age": 5.0},
    ),
    "stale": (
        Asked("/swr", before=20),
        {
            "outcome": "stale",
            "tier": 1,
            "ttl": -10.0,
            "age": 20.0,
            "reason": "stale-while-revalidate",
        },
    ),
    "stale, as the application failed": (
        Asked("/sie", before=20, status=503),
        {"outcome": "stale"},
    ),
    "validated": (Asked("/valid", before=20), {"outcome": "validated"}),
    "only-if-cached": (Asked("/own", *CACHED), {"outcome": "pass", "reason": "only-if-cached"}),
    "no rule": (Asked("/never"), {"outcome": "pass", "reason": "no-cache-annotation"}),
    "credentials": (
        Asked("/a", ("authorization", "Bearer secret")),
        {"outcome": "pass", "reason": "authorization"},
    ),
    "a callable fails": (Asked("/broken"), {"outcome": "pass", "reason": "partition"}),
    "a question that is none": (
        Asked("/post", method="POST"),
        {"outcome": "pass", "reason": "when"},
    ),
}


@pytest.mark.parametrize(("asked", "told"), TOLD.values(), ids=TOLD)
async def test_a_request_is_told(asked: Asked, told: dict[str, Any]) -> None:
    """How it is answered; the key as a digest, where something stored is used."""
    origin, seen = Origin(), Seen()
    async with asking(origin, seen) as cache:
        if asked.before is not None:
            await cache.get(asked.path)
            cache.clock.advance(asked.before)
        origin._answer = answering(b"", status=asked.status)
        with seen.request():
            await cache.client.request(asked.method, asked.path, asked.fields)
        await settled()

    found = attributes(seen.one("request"))
    assert found.pop("key", "r:").startswith("r:")
    assert found == told


async def test_a_request_that_waits_is_told() -> None:
    """However long it has waited."""
    origin, seen = Origin(), Seen()
    origin.gate.clear()

    async def get(cache: Cache, name: str) -> None:
        with seen.request(name):
            await cache.get("/a")

    async with asking(origin, seen) as cache:
        tasks = [asyncio.create_task(get(cache, name)) for name in ("leader", "follower")]
        await settled()
        origin.gate.set()
        await asyncio.gather(*tasks)
        await settled()

    told = attributes(seen.one("follower"))
    assert (told["outcome"], told["ttl"]) == ("coalesced", 60.0)
    assert attributes(seen.one("leader")) == {"outcome": "miss"}


async def test_nothing_is_made_for_a_trace_that_is_not_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither attributes, nor a digest, nor a span that is kept."""
    made: list[object] = []
    for module in ("asgi.traced", "engine.flights.traced"):
        monkeypatch.setattr(f"asgi_multitier.{module}.storage_key", made.append)
    for module in ("tracing.traces", "tracing.runs"):
        monkeypatch.setattr(f"asgi_multitier.{module}.tell", lambda *told: made.append(told))
    seen = unsampled()
    async with asking(Origin(), seen) as cache:
        for path, method in (("/a", "GET"), ("/never", "GET"), ("/own", "GET"), ("/a", "PUT")):
            with seen.request():
                await cache.client.request(method, path)
        await settled()

    assert made == []
    assert list(seen.spans) == []


async def test_requests_that_wait_for_a_run_that_fails_are_told() -> None:
    """What was stored before answers them, as it does the one that leads."""
    origin, seen = Origin(), Seen()

    async def get(cache: Cache, name: str) -> None:
        with seen.request(name):
            await cache.get("/sie")

    async with asking(origin, seen) as cache:
        await cache.get("/sie")
        cache.clock.advance(20)
        origin.gate.clear()
        origin._answer = answering(b"", status=503)
        tasks = [asyncio.create_task(get(cache, name)) for name in ("leader", "follower")]
        await settled()
        origin.gate.set()
        await asyncio.gather(*tasks)
        await settled()

    told = attributes(seen.one("follower"))
    assert (told["outcome"], told["reason"]) == ("stale", "stale-if-error")
    assert attributes(seen.one("leader")) == {"outcome": "stale"}


@pytest.mark.parametrize(
    ("path", "before", "outcome"), [("/a", None, "pass"), ("/sie", 20.0, "stale")]
)
async def test_a_request_that_is_turned_away_is_told(
    path: str, before: float | None, outcome: str
) -> None:
    """As too many wait already; something stale may answer it."""
    origin, seen = Origin(), Seen()
    settings = {"max_waiters": 1, "overload": "refuse"}
    async with asking(origin, seen, **settings) as cache:
        if before is not None:
            await cache.get(path)
            cache.clock.advance(before)
        origin.gate.clear()
        tasks = [cache.client.begin(path) for _ in range(2)]
        await settled()
        with seen.request():
            await cache.get(path)
        origin.gate.set()
        await asyncio.gather(*tasks)
        await settled()

    told = attributes(seen.one("request"))
    assert (told["outcome"], told["reason"]) == (outcome, "overloaded")


async def test_a_request_that_a_run_makes_for_itself_is_told() -> None:
    """It does not wait for the run that it is part of."""
    origin, seen = Origin(), Seen()

    async def asks(scope: Scope, receive: Receive, send: Send) -> None:
        origin._answer = answering(b"inner")
        with seen.tracer.start_as_current_span("inner"):
            await cache.get("/a")
        await respond(send)

    origin._answer = asks
    async with asking(origin, seen) as cache:
        with seen.request():
            await cache.get("/a")
        await settled()

    assert attributes(seen.one("inner")) == {"outcome": "pass", "reason": "nested"}


async def test_a_request_that_the_rule_refuses_is_told() -> None:
    """A callable of the rule raises what the framework answers."""

    async def signed_in(request: Request) -> str:
        raise HTTPException(401)

    app, seen = FastAPI(), Seen()

    @app.get("/a")
    @cached(60, vary_by=signed_in)
    async def page() -> int:
        return 1

    async with caching(app, ()) as cache:
        cache.manager.instrument(tracer_provider=seen.provider, metrics=False)
        with seen.request():
            assert (await cache.get("/a")).status == 401

    assert attributes(seen.one("request")) == {"outcome": "pass", "reason": "partition"}
    assert seen.own == []


async def test_a_run_for_credentials_alone_is_told() -> None:
    """What the application answers to credentials, without saying that it is for all."""
    origin, seen = Origin(answering(b"mine", (b"cache-control", b"max-age=60"))), Seen()
    async with caching(origin, (), default=Policy.from_origin()) as cache:
        cache.manager.instrument(tracer_provider=seen.provider, metrics=False)
        with seen.request():
            await cache.get("/a", [("authorization", "Bearer secret")])
        await settled()

    assert seen.lines() == ["cache fill - < request: refused authorization"]
