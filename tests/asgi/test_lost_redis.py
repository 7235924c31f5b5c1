"""A server that is away, freezes, dies, lies or comes back: misses, and never a stale answer."""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware
from asgi_multitier._types import Receive, Scope, Send
from tests.figures import Figure, seconds
from tests.patience import until
from tests.servers import FaultProxy, ValkeyServer, free_port
from tests.support import EVERYTHING, Client, Origin, respond, settled, until_told

WAIT = 0.25
"""Seconds that a request may wait for the server."""


class Shared:
    """An origin with a value, behind a cache on a server.

    Attributes:
        value: What is read; a PUT replaces it by the next number.
    """

    value = 0

    def __init__(self, url: str, namespace: str, **settings: Any) -> None:
        self.manager = CacheManager(redis_url=url, namespace=namespace, **settings)
        self.origin = Origin(self.answer)
        self.client = Client(CacheMiddleware(self.origin, self.manager, rules=EVERYTHING))

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read or change the value."""
        if scope["method"] != "GET":
            Shared.value += 1
        await respond(send, b"%d" % Shared.value)

    @property
    def failures(self) -> int:
        """Failed operations of the second tier."""
        return sum(self.manager.tier_stats()[1].failures.values())

    async def attached(self, bound: float = 5) -> float:
        """Wait until the second tier takes what is stored; the seconds that it took."""
        numbers = itertools.count()

        async def writes() -> int:
            await self.client.get(f"/attach/{next(numbers)}")
            return self.manager.tier_stats()[1].writes

        return await until(writes, bound)


@asynccontextmanager
async def nodes(
    number: int, url: str, namespace: str, **settings: Any
) -> AsyncIterator[list[Shared]]:
    """So many nodes; at the end no task is left."""
    before = asyncio.all_tasks()
    made = [Shared(url, namespace, **settings) for _ in range(number)]
    try:
        yield made
    finally:
        for node in made:
            await node.manager.close()
    await settled()

    assert asyncio.all_tasks() - before == set()


async def test_what_one_node_filled_is_a_hit_on_another(
    valkey: ValkeyServer, namespace: str
) -> None:
    """From the second tier, then from the first, byte for byte, with the lifetime that remains."""
    async with nodes(2, valkey.url, namespace) as (one, two):
        filled = await one.client.get("/x")
        await one.manager.engine.stack.settle()
        second = await two.client.get("/x")
        third = await two.client.get("/x")

        assert filled.stored
        assert second.detail == "l2"
        assert third.detail == "l1"
        assert filled.body == second.body == third.body
        assert [line for line in second.headers if line[0] not in (b"age", b"cache-status")] == [
            line for line in filled.headers if line[0] != b"cache-status"
        ]
        assert int(second.cache.split("ttl=")[1].split(";")[0]) <= 300
        assert two.origin.calls == 0
        assert two.manager.stats().promotions == 1
        assert (two.manager.stats().l2_hits, two.manager.stats().l1_hits) == (1, 1)


async def test_variants_travel(valkey: ValkeyServer, namespace: str) -> None:
    """The marker and each variant are found on the other node."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        language = dict(scope["headers"])[b"accept-language"]
        await respond(send, language, (b"vary", b"accept-language"))

    async with nodes(2, valkey.url, namespace) as (one, two):
        one.origin._answer = two.origin._answer = page
        for language in ("de", "fr"):
            await one.client.get("/x", [("accept-language", language)])
        await one.manager.engine.stack.settle()
        for language in ("de", "fr"):
            reply = await two.client.get("/x", [("accept-language", language)])

            assert (reply.body, reply.detail) == (language.encode(), "l2")


async def test_a_change_on_one_node_is_seen_by_the_other(
    valkey: ValkeyServer, namespace: str
) -> None:
    """At once on the node itself, soon on the other, and never backwards."""
    async with nodes(2, valkey.url, namespace) as (one, two):
        for _ in range(100):
            await asyncio.gather(one.client.get("/x"), two.client.get("/x"))
            await one.client.request("PUT", "/x")
            wanted = b"%d" % Shared.value
            assert (await one.client.get("/x")).body == wanted
            await until_told(two.client, "/x", wanted, 2)
            assert (await two.client.get("/x")).body == wanted
            one, two = two, one


async def test_fills_that_run_during_a_change_are_never_served_after_it(
    valkey: ValkeyServer, namespace: str
) -> None:
    """A fill on the other node that read the old value ends in neither tier."""
    async with nodes(2, valkey.url, namespace) as (one, two):
        await one.attached()
        await two.attached()
        for number in range(30):
            target = f"/race/{number}"
            begun, free = asyncio.Event(), asyncio.Event()

            async def slow(scope: Scope, receive: Receive, send: Send) -> None:
                old = b"%d" % Shared.value
                begun.set()  # noqa: B023
                await free.wait()  # noqa: B023
                await respond(send, old)

            two.origin._answer = slow
            reading = two.client.begin(target)
            await begun.wait()
            await one.client.request("PUT", target)
            wanted = b"%d" % Shared.value
            free.set()
            await reading
            two.origin._answer = two.answer
            await two.manager.engine.stack.settle()
            await until_told(two.client, target, wanted, 2)
            assert (await one.client.get(target)).body == wanted
            assert (await two.client.get(target)).body == wanted


async def test_absent_at_the_start_one_tier_works_and_the_server_is_taken_when_it_appears(
    namespace: str, caplog: pytest.LogCaptureFixture, figure: Figure
) -> None:
    """One warning, hits from memory, no request held up; attached once it appears."""
    port = free_port()
    caplog.set_level(logging.INFO, "asgi_multitier")
    async with nodes(1, f"redis://127.0.0.1:{port}/0", namespace) as (node,):
        longest = 0.0
        for number in range(20):
            begun = time.monotonic()
            assert (await node.client.get(f"/{number % 5}")).status == 200
            assert (await node.client.request("PUT", "/other")).status == 200
            longest = max(longest, time.monotonic() - begun)
        figure("no server at the start, a read and a change at most", seconds(longest), "500 ms")
        warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
        assert node.manager.stats().l1_hits > 0
        assert 1 <= len(warnings) <= 2, [r.getMessage() for r in warnings]
        with ValkeyServer(port):
            took = await node.attached()

            figure("no server at the start, attached after it appears", seconds(took), "2 s")
            assert (await node.manager.health()).degraded is False


@pytest.mark.usefixtures("usual_redis_timeout")
async def test_frozen_it_holds_no_request_up(
    own_valkey: ValkeyServer, namespace: str, figure: Figure
) -> None:
    """SIGSTOP: every request is answered while it lasts, and few of them wait."""
    async with nodes(1, own_valkey.url, namespace) as (node,):
        await node.attached()
        await node.client.get("/warm")
        own_valkey.freeze()
        longest, slow = 0.0, 0
        begun = time.monotonic()
        for number in range(40):
            for target in (f"/cold/{number}", "/warm"):
                asked = time.monotonic()
                reply = await node.client.get(target)
                took = time.monotonic() - asked
                assert reply.status == 200
                longest = max(longest, took)
                slow += took > WAIT / 2
        whole = time.monotonic() - begun

        figure("server frozen, longest request", seconds(longest), "250 ms")
        assert slow <= 3 + whole
        assert node.failures >= 3
        own_valkey.thaw()
        await node.attached()


@pytest.mark.usefixtures("usual_redis_timeout")
async def test_frozen_a_change_is_in_force_here_at_once_and_elsewhere_later(
    own_valkey: ValkeyServer, namespace: str, figure: Figure
) -> None:
    """The change is answered while it lasts; this node serves nothing older; then all hear."""
    async with nodes(2, own_valkey.url, namespace) as (one, two):
        await one.attached()
        await two.attached()
        await asyncio.gather(one.client.get("/x"), two.client.get("/x"))
        own_valkey.freeze()
        begun = time.monotonic()
        assert (await one.client.request("PUT", "/x")).status == 200
        took = time.monotonic() - begun
        wanted = b"%d" % Shared.value

        figure("server frozen, a change is answered after", seconds(took), "500 ms")
        assert (await one.client.get("/x")).body == wanted
        own_valkey.thaw()
        await until_told(two.client, "/x", wanted, 10)
        assert (await one.client.get("/x")).body == wanted


async def test_killed_and_restarted_nothing_older_than_the_last_change_is_served(
    own_valkey: ValkeyServer, namespace: str
) -> None:
    """kill -9 with changes in between: no 5xx, and the value never goes backwards on its node."""
    async with nodes(1, own_valkey.url, namespace) as (node,):
        await node.attached()
        for number in range(3):
            own_valkey.stop()
            for _ in range(5):
                await node.client.request("PUT", "/x")
                for _ in range(2):
                    reply = await node.client.get("/x")
                    assert reply.status == 200
                    assert reply.body == b"%d" % Shared.value
            own_valkey.start()
            for _ in range(20):
                await node.client.request("PUT", "/x")
                assert (await node.client.get("/x")).body == b"%d" % Shared.value
                assert (await node.client.get(f"/y{number}")).status == 200
        before = node.manager.tier_stats()[1].writes
        await until(lambda: node.manager.engine.log.trusted, 10)
        await node.client.get("/fresh")
        await node.manager.engine.stack.settle()
        assert node.manager.tier_stats()[1].writes >= before


async def test_reset_links_are_counted_misses(proxy: FaultProxy, namespace: str) -> None:
    """RST on every connection again and again: every request is answered."""
    async with nodes(1, proxy.url, namespace) as (node,):
        await node.attached()
        for number in range(50):
            proxy.reset()
            assert (await node.client.get(f"/x/{number}")).status == 200
            assert (await node.client.request("PUT", "/x")).status == 200
        assert node.manager.stats().in_flight == 0


async def test_bytes_that_are_no_entry_are_counted_misses(
    valkey: ValkeyServer, namespace: str
) -> None:
    """Garbage, truncations and another key's entry under a key: the origin answers."""
    async with nodes(2, valkey.url, namespace) as (one, two):
        await one.client.get("/x")
        await one.client.get("/y")
        await one.manager.engine.stack.settle()
        names = [
            name.decode() for name in valkey.command("KEYS", f"*{namespace}*") if b":r:" in name
        ]
        assert len(names) == 2
        values = [valkey.command("GET", name) for name in names]
        for hostile in (values[::-1], [v[:-1] for v in values], [b"\x80\x04K\x01."] * 2, [b""] * 2):
            for name, value in zip(names, hostile, strict=True):
                valkey.command("SET", name, value, "PX", 60_000)
            await two.manager.engine.stack.settle()
            two.manager.engine.stack.local.clear()
            two.origin._answer = _told
            for target in ("/x", "/y"):
                reply = await two.client.get(target)
                assert reply.body == target.encode()
            await two.manager.engine.stack.settle()
        assert two.manager.tier_stats()[1].hits == 0


async def _told(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, scope["raw_path"])


def test_two_event_loops_on_one_server(valkey: ValkeyServer, namespace: str) -> None:
    """A second `asyncio.run` meets no closed loop: both tiers and the log work in each."""
    node = Shared(valkey.url, namespace)

    async def once(number: int, orderly: bool) -> None:
        await node.client.get("/x")
        await node.client.request("PUT", "/x")
        assert (await node.client.get("/x")).body == b"%d" % Shared.value
        writes = node.manager.tier_stats()[1].writes
        await until(lambda: node.manager.engine.log.trusted)
        await node.client.get(f"/fresh/{number}")
        await node.manager.engine.stack.settle()
        assert node.manager.tier_stats()[1].writes > writes
        if orderly:
            await node.manager.close()

    for number, orderly in enumerate((True, True, True)):
        asyncio.run(once(number, orderly))
    assert node.failures == 0
