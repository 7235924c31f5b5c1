"""What is special about the tier in Memcached: its stamp, its limits, its connections."""

import asyncio
import sys
from collections.abc import AsyncIterator
from types import SimpleNamespace
from uuid import uuid4

import pytest

from asgi_multitier.errors import BackendError, ConfigError
from asgi_multitier.tiers import memcached as module
from asgi_multitier.tiers.memcached import MAX_TTL, MemcachedTier
from tests.servers import free_port
from tests.tiers.memcached_server import MemcachedServer

MINUTE = 60.0


@pytest.fixture
async def tier(memcached: MemcachedServer) -> AsyncIterator[MemcachedTier]:
    made = MemcachedTier(memcached.url, namespace=f"t-{uuid4().hex}", timeout=10)
    yield made
    await made.close()


async def test_lost_stamp_does_not_bring_back_what_was_cleared(tier: MemcachedTier) -> None:
    """Where the server forgot the stamp nothing counts, and writing goes on under a new one."""
    await tier.set("a", b"old", MINUTE)
    await tier.clear()
    await tier._ask(lambda client: client.delete(tier._marker))

    assert await tier.get("a") is None
    await tier.set("b", b"new", MINUTE)
    assert await tier.get("a") is None
    held = await tier.get("b")
    assert held is not None
    assert held.value == b"new"


async def test_two_that_begin_at_once_agree(tier: MemcachedTier) -> None:
    """Whoever sets the first stamp, both write under it."""
    other = MemcachedTier(tier.url, namespace=tier.namespace, timeout=10)
    await asyncio.gather(tier.set("a", b"1", MINUTE), other.set("b", b"2", MINUTE))

    assert [held is not None for held in await tier.get_many("ab")] == [True, True]
    await other.close()


@pytest.mark.parametrize(("extra", "kept"), [(0, True), (1, False)], ids=["exact", "above"])
async def test_value_above_the_limit_is_not_kept(
    tier: MemcachedTier, extra: int, kept: bool
) -> None:
    """It is not sent, so it is no failure; what its key held before is gone."""
    await tier.set("a", b"old", MINUTE)
    await tier.set("a", bytes(1_000_000 + extra), MINUTE)

    assert (await tier.get("a") is not None) is kept


async def test_server_that_dies_and_returns(own_memcached: MemcachedServer) -> None:
    """While it is away every call fails by our error; when it is back, the next one works."""
    tier = MemcachedTier(own_memcached.url, timeout=10)
    await tier.set("a", b"x", MINUTE)
    own_memcached.kill()

    for _ in range(2):
        with pytest.raises(BackendError, match=r"Memcached at memcached://127\.0\.0\.1"):
            await tier.get("a")
    own_memcached.start()
    assert await tier.get("a") is None
    await tier.set("a", b"y", MINUTE)
    assert await tier.get("a") is not None
    await tier.close()


def test_another_event_loop_gets_its_own_connections(memcached: MemcachedServer) -> None:
    """A tier used in one loop, and closed there, can be used in the next."""
    tier = MemcachedTier(memcached.url, namespace=f"t-{uuid4().hex}", timeout=10)

    async def set_and_close() -> None:
        await tier.set("a", b"x", MINUTE)
        await tier.close()

    async def get_and_close() -> bytes | None:
        held = await tier.get("a")
        await tier.close()
        return held.value if held else None

    asyncio.run(set_and_close())
    assert asyncio.run(get_and_close()) == b"x"


def test_connections_belong_to_one_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another loop never gets a client that waits in the first one."""
    library = SimpleNamespace(Client=lambda *_, **__: object())
    monkeypatch.setattr(module, "_library", lambda: library)
    tier = MemcachedTier()

    async def clients() -> list[object]:
        return [tier._connected(), tier._connected()]

    first, again = asyncio.run(clients())
    second, _ = asyncio.run(clients())
    assert first is again
    assert first is not second


async def test_server_that_says_nothing_is_left_in_time() -> None:
    """A hang ends with our error after the time-out."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        ended.put_nowait(None)

    ended: asyncio.Queue[None] = asyncio.Queue()
    server = await asyncio.start_server(swallow, "127.0.0.1", port := free_port())
    tier = MemcachedTier(f"memcached://127.0.0.1:{port}", timeout=0.05)
    with pytest.raises(BackendError):
        await tier.get("a")
    with pytest.raises(BackendError):
        await tier.ping()
    await tier.close()
    server.close()
    await server.wait_closed()
    for _ in range(2):
        await ended.get()


@pytest.mark.parametrize(
    ("ttl", "seconds"),
    [(0.2, 1), (1.0, 1), (1.9, 1), (60.0, 60), (MAX_TTL + 1.0, MAX_TTL)],
    ids=["below-one", "one", "rounded-down", "whole", "above-what-counts-as-seconds"],
)
def test_lifetimes_are_whole_seconds(ttl: float, seconds: int) -> None:
    """Never 0, which would mean for ever, and never a number that would be taken for a date."""
    assert module._seconds(ttl) == seconds


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"url": "redis://127.0.0.1"}, "url"),
        ({"url": "memcached://"}, "url"),
        ({"url": "memcached://host:0x"}, "url"),
        ({"url": "memcached://[::1"}, "url"),
        ({"url": "unix://"}, "url"),
        ({"namespace": ""}, "namespace"),
        ({"namespace": "a b"}, "namespace"),
        ({"namespace": "a\n"}, "namespace"),
        ({"namespace": "é"}, "namespace"),
        ({"namespace": "n" * 41}, "namespace"),
        ({"timeout": 0}, "timeout"),
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options: dict[str, object], option: str) -> None:
    """The error names the option."""
    with pytest.raises(ConfigError, match=f"MemcachedTier: {option}="):
        MemcachedTier(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("memcached://cache.example", ("cache.example", 11211)),
        ("memcached://[::1]:5", ("::1", 5)),
        ("unix:///run/m.sock", "/run/m.sock"),
    ],
)
def test_addresses_are_understood(url: str, location: object) -> None:
    """Host and port, or a socket's path."""
    assert module._location(url) == location


def test_missing_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, making the tier says what to install."""
    monkeypatch.setitem(sys.modules, "memcachio", None)

    with pytest.raises(ConfigError, match=r"asgi-multitier\[memcached\]"):
        MemcachedTier()
