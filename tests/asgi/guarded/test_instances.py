"""Guarded routes of two instances on one server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from asgi_multitier.testing import FakeClock
from tests.patience import until
from tests.servers import ValkeyServer

from .office import status

SECRET = b"0123456789abcdef"


class Shop:
    """What two instances of one application share, and what ran.

    Args:
        server: Where they store.

    Attributes:
        price: What the database has.
        runs, guards: How often the endpoint and its guard ran.
        fails: Whether the endpoint raises.
        gate: The endpoint waits for it.
        inside: Released by the endpoint when it waits.
    """

    def __init__(self, server: ValkeyServer) -> None:
        self._server = server
        self.price = 1
        self.runs = self.guards = 0
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.inside = asyncio.Semaphore(0)
        self.clock = FakeClock()
        self.managers: list[CacheManager] = []
        self.clients: list[httpx.AsyncClient] = []

    def user(self, request: Request) -> str:
        """The guard: by a field; 401 for strangers."""
        self.guards += 1
        name = request.headers.get("authorization", "")
        if not name.startswith("u"):
            raise HTTPException(401)
        return name

    def app(self, manager: CacheManager, **options: Any) -> Any:
        """One instance."""
        app, shop = FastAPI(title="Shop"), self

        @app.get("/price")
        @cached(60, guarded="shared", tags=["price"], **options)
        async def price(user: Annotated[str, Depends(shop.user)]) -> dict[str, int]:
            shop.runs += 1
            shop.inside.release()
            await shop.gate.wait()
            if shop.fails:
                raise RuntimeError("no database")
            return {"price": shop.price}

        @app.put("/price")
        @invalidates(tags=["price"])
        async def change() -> None:
            shop.price += 1

        return CacheMiddleware(app, manager, read_your_writes=True)

    def pass_time(self, seconds: int) -> None:
        """For the instances and for what the server holds of the application's responses."""
        self.clock.advance(seconds)
        for key in self._server.command("KEYS", f"*{self.managers[0].namespace}*r:*"):
            left = self._server.command("PTTL", key)
            self._server.command("PEXPIRE", key, left - 1000 * seconds)

    async def get(self, instance: int, user: str = "u1") -> httpx.Response:
        """One request of a user to an instance."""
        return await self.clients[instance].get("/price", headers={"authorization": user})


@asynccontextmanager
async def shop_on(valkey: ValkeyServer, namespace: str, **options: Any) -> AsyncIterator[Shop]:
    """Two instances on a real server."""
    shop = Shop(valkey)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            manager = CacheManager(
                redis_url=valkey.url, namespace=namespace, clock=shop.clock, secret=SECRET
            )
            shop.managers.append(await stack.enter_async_context(manager))
            transport = httpx.ASGITransport(
                shop.app(manager, **options), raise_app_exceptions=False
            )
            client = httpx.AsyncClient(transport=transport, base_url="http://shop")
            shop.clients.append(await stack.enter_async_context(client))
        yield shop


async def test_one_endpoint_runs_for_both_instances(valkey: ValkeyServer, namespace: str) -> None:
    """With one run in all processes: each request has passed its own guard."""
    async with shop_on(valkey, namespace, coalesce="fleet") as shop:
        shop.gate.clear()
        asked = [asyncio.create_task(shop.get(n % 2, f"u{n}")) for n in range(10)]
        await shop.inside.acquire()
        await until(lambda: shop.guards == 10)
        refused = await shop.get(1, "stranger")
        shop.gate.set()
        answers = [await one for one in asked]

    assert refused.status_code == 401
    assert [answer.json() for answer in answers] == [{"price": 1}] * 10
    assert shop.runs == 1


async def test_a_hit_of_the_other_instance_asks_its_own_guard(
    valkey: ValkeyServer, namespace: str
) -> None:
    """What one instance has stored, the other finds; strangers find nothing."""
    async with shop_on(valkey, namespace) as shop:
        await shop.get(0)
        await shop.managers[0].engine.stack.settle()
        refused = await shop.get(1, "stranger")
        found = await shop.get(1, "u2")

    assert refused.status_code == 401
    assert (found.json(), status(found)) == ({"price": 1}, "hit detail=l2")
    assert shop.runs == 1


@pytest.mark.parametrize("coalesce", [True, "fleet"])
async def test_what_one_instance_has_renewed_the_other_does_not_renew_again(
    valkey: ValkeyServer, namespace: str, coalesce: Any
) -> None:
    """A stale answer is renewed by one request, whose instance the other one asks."""
    options = {"stale_while_revalidate": 60, "coalesce": coalesce}
    async with shop_on(valkey, namespace, **options) as shop:
        await shop.get(0)
        await shop.managers[0].engine.stack.settle()
        assert status(await shop.get(1)) == "hit detail=l2"
        shop.pass_time(90)
        shop.price = 2
        shop.gate.clear()
        renewing = asyncio.create_task(shop.get(0))
        await shop.inside.acquire()
        await shop.inside.acquire()
        waits_for_none = await shop.get(0, "u2")
        shop.gate.set()
        renewed = await renewing
        await shop.managers[0].engine.stack.settle()
        other = await shop.get(1)

    assert waits_for_none.json() == {"price": 1}
    assert renewed.json() == {"price": 2}
    assert other.json() == {"price": 2}
    assert shop.runs == 2


async def test_a_stale_answer_of_the_other_instance_stands_in(
    valkey: ValkeyServer, namespace: str
) -> None:
    """Where the endpoint fails; and it does not stand in for a refusal."""
    async with shop_on(valkey, namespace, stale_if_error=600) as shop:
        await shop.get(0)
        await shop.managers[0].engine.stack.settle()
        await shop.get(1)
        shop.pass_time(90)
        shop.fails = True
        stale = await shop.get(1, "u2")
        refused = await shop.get(1, "stranger")

    assert (stale.status_code, stale.json()) == (200, {"price": 1})
    assert status(stale) == "fwd=stale fwd-status=500 detail=stale-if-error"
    assert refused.status_code == 401


async def test_who_has_changed_something_sees_it_on_the_other_instance(
    valkey: ValkeyServer, namespace: str
) -> None:
    """By the position in a cookie, which the guard and the application do not see."""
    async with shop_on(valkey, namespace) as shop:
        for instance in (0, 1):
            await shop.get(instance)
        changed = await shop.clients[0].put("/price")
        cookie = changed.headers["set-cookie"].partition(";")[0]
        shop.clients[1].headers["cookie"] = cookie
        seen = await shop.get(1)
        again = await shop.get(1, "u2")
        refused = await shop.get(1, "stranger")

    assert (seen.json(), again.json()) == ({"price": 2}, {"price": 2})
    assert status(again) == "hit detail=l1"
    assert refused.status_code == 401
