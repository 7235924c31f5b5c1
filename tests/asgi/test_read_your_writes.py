"""A client that has written sees its write on every instance, or gets past the cache."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, Rule
from asgi_multitier.asgi.read_your_writes import COOKIE, token
from asgi_multitier.entry import Born
from asgi_multitier.selectors import Selector
from asgi_multitier.testing import FakeClock
from tests.support import Client, Origin, caching, pass_time

SECRET = b"0123456789abcdef"


@asynccontextmanager
async def reading_own_writes(
    origin: Origin, *, public: bool = False
) -> AsyncIterator[tuple[Client, CacheManager]]:
    """An application behind a cache with the option on."""
    clock = FakeClock()
    manager = CacheManager(redis_url=None, secret=SECRET, clock=clock, wall=clock)
    rules = [Rule("*", 60, public=public)]
    app = CacheMiddleware(origin, manager, rules=rules, read_your_writes=True)
    async with manager:
        yield Client(app), manager


def cookie_of(line: bytes) -> str:
    """The cookie that a client sends back."""
    found = re.match(rf"({COOKIE}=[^;]+);".encode(), line)
    assert found is not None
    return found[1].decode()


async def test_a_mutation_gives_its_client_a_position() -> None:
    """A successful unsafe request is answered with a signed cookie; a failed or safe one is not."""
    origin = Origin()
    async with reading_own_writes(origin) as (client, _):
        put = await client.request("PUT", "/x")
        options = await client.request("OPTIONS", "/x")

        assert len(put.all("set-cookie")) == 1
        assert cookie_of(put.all("set-cookie")[0])
        assert options.all("set-cookie") == []


async def test_the_option_off_gives_no_cookie() -> None:
    """Nobody gets a cookie that nobody reads."""
    async with caching(Origin(), secret=SECRET) as cache:
        assert (await cache.client.request("PUT", "/x")).all("set-cookie") == []


@pytest.mark.parametrize("public", [False, True], ids=["plain", "public"])
async def test_an_instance_that_is_there_serves_from_the_cache(public: bool) -> None:
    """The position's cookie alone does not count as a cookie, and the application never sees it."""
    origin = Origin()
    async with reading_own_writes(origin, public=public) as (client, _):
        sent = cookie_of((await client.request("PUT", "/x")).all("set-cookie")[0])

        first = await client.get("/x", [("cookie", sent)])
        second = await client.get("/x", [("cookie", sent)])

        assert first.stored
        assert second.hit
        assert all(name != b"cookie" for name, _ in origin.scopes[-1]["headers"])


@pytest.mark.parametrize("public", [False, True], ids=["plain", "public"])
async def test_an_instance_that_is_behind_asks_the_application(public: bool) -> None:
    """A position that is not reached in time gets past the cache, hits included."""
    origin = Origin()
    async with reading_own_writes(origin, public=public) as (client, manager):
        await client.get("/x")
        ahead = Born(manager.engine.index.gen, manager.engine.index.seq + 1)

        reply = await client.get("/x", [("cookie", f"{COOKIE}={token(ahead, SECRET)}")])

        assert reply.detail == "position"
        assert reply.body == b"2"


async def test_a_write_that_the_log_did_not_take_gets_past_the_cache_for_a_while() -> None:
    """Without a position the client is told one that no instance reaches."""
    origin = Origin()
    async with reading_own_writes(origin) as (client, manager):

        async def refused(operation: object) -> None:
            return None

        manager.engine.log.commit = refused  # type: ignore[assignment,method-assign]
        sent = cookie_of((await client.request("PUT", "/x")).all("set-cookie")[0])

        assert (await client.get("/x", [("cookie", sent)])).detail == "position"


async def test_a_forged_position_is_ignored() -> None:
    """Nobody makes an instance wait, or a request pass by, with a cookie of his own making."""
    origin = Origin()
    async with reading_own_writes(origin) as (client, _):
        await client.get("/x")

        reply = await client.get("/x", [("cookie", f"{COOKIE}=gen.9.{'0' * 32}")])

        assert reply.hit


async def test_other_cookies_still_keep_a_request_from_the_cache() -> None:
    """Taking one cookie off does not hide the others."""
    async with reading_own_writes(Origin()) as (client, _):
        sent = cookie_of((await client.request("PUT", "/x")).all("set-cookie")[0])

        reply = await client.get("/x", [("cookie", f"session=1; {sent}")])

        assert reply.detail == "cookie"


def test_the_option_needs_a_secret() -> None:
    """Unsigned positions are refused at start-up, by name."""
    with pytest.raises(ConfigError, match=r"read_your_writes=True is not allowed; .*secret"):
        CacheMiddleware(Origin(), CacheManager(redis_url=None), read_your_writes=True)


async def test_nothing_is_stored_while_the_origin_settles() -> None:
    """A fill that begins within `settle` seconds of an invalidation is served and not kept."""
    origin = Origin()
    async with caching(origin) as cache:
        await cache.manager.invalidate_selectors([Selector("path", "/x")], settle=60)
        during = [await cache.get("/x"), await cache.get("/x")]
        await pass_time(61)
        after = [await cache.get("/x"), await cache.get("/x")]

        assert [reply.body for reply in during] == [b"1", b"2"]
        assert [reply.body for reply in after] == [b"3", b"3"]


@pytest.mark.parametrize("settle", [-1, float("inf"), "5"], ids=["negative", "endless", "text"])
async def test_a_wrong_settling_time_is_refused(settle: object) -> None:
    """The error names the option and the value."""
    async with caching(Origin()) as cache:
        with pytest.raises(ConfigError, match="settle="):
            await cache.manager.invalidate_tags("t", settle=settle)  # type: ignore[arg-type]
