"""Guarded routes: the endpoint runs in its own request, and belongs to the fill all the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request

from asgi_multitier import CacheManager, CacheMiddleware, cached
from asgi_multitier.engine.flights import waiting_in
from asgi_multitier.testing import FakeClock
from tests.patience import until
from tests.support import settled
from tests.tracing.support import Seen, attributes


async def user(request: Request) -> str:
    """Who asks; 401 if that is not said."""
    if "authorization" not in request.headers:
        raise HTTPException(401)
    return request.headers["authorization"]


class Guarded:
    """An application with a guarded route, a cache around it, and what is seen.

    Attributes:
        clock: The cache's.
        gate: Endpoints wait for it.
        arrived: Endpoints that have begun.
        seen: The spans.
    """

    def __init__(self) -> None:
        self.seen = Seen()
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Semaphore(0)
        self.clock = FakeClock()
        self.app = FastAPI()
        self.manager = CacheManager(
            redis_url=None, namespace="test", clock=self.clock, wall=self.clock
        )
        self.manager.instrument(tracer_provider=self.seen.provider, metrics=False)

        @self.app.get("/orders/{number}", dependencies=[Depends(user)])
        @cached(60, guarded=True)
        async def order(number: int) -> int:
            with self.seen.tracer.start_as_current_span("query"):
                self.arrived.release()
                await self.gate.wait()
                return number

        @self.app.get("/broken", dependencies=[Depends(user)])
        @cached(60, guarded=True)
        async def broken() -> int:
            raise KeyError("secret")

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client of it."""
        transport = httpx.ASGITransport(CacheMiddleware(self.app, self.manager))
        async with self.manager, httpx.AsyncClient(transport=transport, base_url="http://a") as one:
            yield one
            await settled()

    async def get(self, client: httpx.AsyncClient, path: str, name: str, user: str = "one") -> None:
        """One request, in a span of its own."""
        with self.seen.request(name):
            await client.get(path, headers={"authorization": user} if user else {})


async def test_a_guarded_miss_and_hit() -> None:
    """The endpoint's spans are children of the fill; a hit has none."""
    guarded = Guarded()
    async with guarded.asking() as client:
        await guarded.get(client, "/orders/1", "first")
        await guarded.get(client, "/orders/1", "second", user="two")

    seen = guarded.seen
    assert seen.lines() == ["cache fill /orders/{number} < first: stored"]
    assert seen.called(seen.one("query").parent) == "cache fill /orders/{number}"
    assert attributes(seen.one("first")) == {"outcome": "miss"}
    assert attributes(seen.one("second")) == {}


async def test_a_guarded_wait() -> None:
    """With a link to the fill of another user's request."""
    guarded = Guarded()
    guarded.gate.clear()
    async with guarded.asking() as client:
        first = asyncio.create_task(guarded.get(client, "/orders/1", "leader"))
        await guarded.arrived.acquire()
        second = asyncio.create_task(guarded.get(client, "/orders/1", "follower", user="two"))
        await until(lambda: waiting_in(guarded.manager.engine.flights))
        guarded.clock.advance(1)
        guarded.gate.set()
        await asyncio.gather(first, second)

    fill = "cache fill /orders/{number}"
    assert sorted(guarded.seen.lines()) == [
        f"{fill} < leader: stored",
        f"cache wait /orders/{{number}} < follower ~ {fill}: answered",
    ]


async def test_a_guard_that_refuses() -> None:
    """It passes by the cache, and no run begins."""
    guarded = Guarded()
    async with guarded.asking() as client:
        await guarded.get(client, "/orders/1", "refused", user="")

    assert guarded.seen.own == []
    assert attributes(guarded.seen.one("refused")) == {"outcome": "pass", "reason": "guard"}


async def test_a_guarded_endpoint_that_fails() -> None:
    """Its fill brings nothing that is stored, and says nothing of the error."""
    guarded = Guarded()
    async with guarded.asking() as client:
        with pytest.raises(KeyError):
            await guarded.get(client, "/broken", "request")

    (span,) = guarded.seen.own
    assert attributes(span)["result"] != "stored"
    assert "secret" not in span.to_json()
