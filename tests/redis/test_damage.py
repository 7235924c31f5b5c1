"""What somebody or something has done to entries in Redis: nothing of it is served."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from asgi_multitier.redis import Link
from asgi_multitier.redis.client import send
from asgi_multitier.redis.recipe import RedisClient
from asgi_multitier.testing import FakeClock
from tests.fakeredis_server import Server
from tests.patience import until

pytestmark = pytest.mark.no_cover  # it repeats what others cover

SECRET = b"at least sixteen bytes"
WALL = 1_700_000_000.0


class Raw:
    """The one entry of a namespace, as bytes."""

    def __init__(self, server: Server, namespace: str) -> None:
        self.link = Link(server.target, timeout=5.0)
        self._pattern = f"{namespace}:e:*"
        self.key = b""

    async def read(self) -> bytes:
        _, keys = await self._send("SCAN", 0, "MATCH", self._pattern, "COUNT", 100_000)
        (self.key,) = keys
        return bytes(await self._send("GET", self.key))

    async def write(self, value: bytes, ttl: int = 60_000) -> None:
        await self._send("SET", self.key, value, "PX", ttl)

    async def _send(self, *command: Any) -> Any:
        async def work(client: RedisClient) -> Any:
            return await send(client, *command)

        return await self.link.run(work)


@pytest.mark.parametrize("secret", [None, SECRET], ids=["checksum", "mac"])
async def test_an_entry_with_any_bit_flipped_is_a_miss(
    server: Server, namespace: str, secret: bytes | None
) -> None:
    """With the birth before it and all; what takes its place afterwards is kept."""
    raw = Raw(server, namespace)
    manager = CacheManager(namespace=namespace, redis=server.target, secret=secret)
    async with manager:
        await until(lambda: manager.engine.log.trusted)
        await manager.set("k", {"price": 10}, 60)
        whole = await raw.read()
        served = []
        for at in range(8 * len(whole)):
            byte, bit = divmod(at, 8)
            await raw.write(whole[:byte] + bytes([whole[byte] ^ (1 << bit)]) + whole[byte + 1 :])
            if await manager.engine.stack.fetch("k") is not None:
                served.append(at)

        assert served == []
        await manager.engine.stack.settle()
        await raw.write(whole)
        manager.engine.stack.local.clear()
        assert await manager.get("k") == {"price": 10}
        # A number that a bit made younger than everything does not keep what is written next out.
        await raw.write(whole[:32] + b"9" + whole[33:])
        assert await manager.engine.stack.fetch("k") is None
        await manager.set("k", {"price": 20}, 60)
        manager.engine.stack.local.clear()
        assert await manager.get("k") == {"price": 20}
    await raw.link.close()


@pytest.mark.parametrize("secret", [None, SECRET], ids=["checksum", "mac"])
async def test_an_entry_put_back_after_its_life_is_not_served(
    server: Server, namespace: str, secret: bytes | None
) -> None:
    """Its writer said when it was written; what the server says is left is not all that counts."""
    prices = {"1": 10}
    app = FastAPI()

    @app.get("/prices/{name}")
    @cached(60, tags=["price:{name}"])
    async def read(name: str) -> int:
        return prices[name]

    @app.put("/prices/{name}")
    @invalidates(tags=["price:{name}"])
    async def edit(name: str, value: int) -> int:
        prices[name] = value
        return value

    raw = Raw(server, namespace)
    wall = FakeClock(WALL)
    clock = FakeClock()
    manager = CacheManager(
        namespace=namespace,
        redis=server.target,
        secret=secret,
        wall=wall,
        clock=clock,
    )
    transport = httpx.ASGITransport(CacheMiddleware(app, manager))
    async with manager, httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        await until(lambda: manager.engine.log.trusted)
        assert (await client.get("/prices/1")).json() == 10
        await manager.engine.stack.settle()
        kept = await raw.read()
        # The price changes where no invalidation is told of, as all that a lifetime is for.
        prices["1"] = 20
        for passed, price in ((30.0, 10), (36.0, 20)):
            clock.advance(passed)
            wall.advance(passed)
            manager.engine.stack.local.clear()
            await raw.write(kept)
            assert (await client.get("/prices/1")).json() == price
    await raw.link.close()
