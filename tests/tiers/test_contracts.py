"""The package's own tiers keep the contracts that users' tiers are held to."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from asgi_multitier.redis.client import Link
from asgi_multitier.redis.tier import RedisTier
from asgi_multitier.testing import FakeClock, LocalTierContract, SharedTierContract
from asgi_multitier.tiers.base import LocalTier, SharedTier
from asgi_multitier.tiers.memcached import MemcachedTier
from asgi_multitier.tiers.memory import MemoryTier
from asgi_multitier.tiers.null import NullLocalTier, NullTier
from asgi_multitier.tiers.sqlite import SQLiteTier
from tests.fakeredis_server import FakeredisServer
from tests.servers import ValkeyServer, free_port
from tests.tiers.memcached_server import MemcachedServer
from tests.tiers.own_caches import CACHES


class TestMemoryTier(LocalTierContract):
    def make(self) -> LocalTier:
        return MemoryTier(clock=FakeClock())


class TestMemoryTierWithIdleTime(LocalTierContract):
    def make(self) -> LocalTier:
        return MemoryTier(max_idle=10, clock=FakeClock())


class TestMemoryTierThatKeepsWhatWasSlow(LocalTierContract):
    def make(self) -> LocalTier:
        return MemoryTier(keep="slow", clock=FakeClock())


class TestMemoryTierOfOwnCache(LocalTierContract):
    @pytest.fixture(autouse=True, params=CACHES)
    def name(self, request: pytest.FixtureRequest) -> None:
        self.made = CACHES[request.param]

    def make(self) -> LocalTier:
        return MemoryTier(cache=self.made(), clock=FakeClock())


class TestNullLocalTier(LocalTierContract):
    keeps = False

    def make(self) -> LocalTier:
        return NullLocalTier()


class TestNullTier(SharedTierContract):
    keeps = False

    async def make(self) -> SharedTier:
        return NullTier()

    async def pass_time(self, seconds: float) -> None:
        """There is nothing for which it could pass."""


class TestSQLiteTier(SharedTierContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "cache.db"
        self.clock = FakeClock()

    async def make(self) -> SharedTier:
        return SQLiteTier(self.path, clock=self.clock, timeout=10)

    async def make_again(self) -> SharedTier:
        return await self.make()

    async def make_neighbour(self) -> SharedTier:
        return SQLiteTier(self.path, namespace="other", clock=self.clock, timeout=10)

    async def make_broken(self) -> SharedTier:
        self.path.write_bytes(b"this is no database" * 1_000)
        return await self.make()

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)


class TestRedisTier(SharedTierContract):
    @pytest.fixture(autouse=True)
    async def server(self, valkey: ValkeyServer) -> AsyncIterator[None]:
        # A time-out that a busy machine does not reach.
        self.link = Link(valkey.url, timeout=10)
        self.namespace = f"t-{uuid4().hex}"
        yield
        await self.link.close()

    async def make(self) -> SharedTier:
        return RedisTier(self.link, namespace=self.namespace)

    async def make_again(self) -> SharedTier:
        return await self.make()

    async def make_neighbour(self) -> SharedTier:
        return RedisTier(self.link, namespace=self.namespace + "-other")

    async def make_broken(self) -> SharedTier:
        return RedisTier(f"redis://127.0.0.1:{free_port()}/0")


class TestRedisTierOnFakeredis(TestRedisTier):
    @pytest.fixture(autouse=True)
    async def server(self) -> AsyncIterator[None]:
        self.link = Link(FakeredisServer().target, timeout=10)
        self.namespace = "t"
        yield
        await self.link.close()

    async def make_broken(self) -> SharedTier:
        gone = FakeredisServer()
        gone.server.connected = False
        return RedisTier(gone.target)


class TestMemcachedTier(SharedTierContract):
    tells_remaining = False
    shortest_ttl = 1.0

    @pytest.fixture(autouse=True)
    def server(self, memcached: MemcachedServer) -> None:
        self.url = memcached.url
        self.namespace = f"t-{uuid4().hex}"

    async def make(self) -> SharedTier:
        return MemcachedTier(self.url, namespace=self.namespace, timeout=10)

    async def make_again(self) -> SharedTier:
        return await self.make()

    async def make_neighbour(self) -> SharedTier:
        return MemcachedTier(self.url, namespace="other" + self.namespace[2:], timeout=10)

    async def make_broken(self) -> SharedTier:
        return MemcachedTier(f"memcached://127.0.0.1:{free_port()}")
