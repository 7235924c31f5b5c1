"""A server that is slow: what it costs a hit in memory, and what a miss.

The promise is in seconds, and what is asserted in round trips, which a busy machine does not
change. They are counted where they are made, at the proxy.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware
from asgi_multitier._types import Message, Receive, Scope, Send
from asgi_multitier.testing import FakeClock
from tests.figures import Figure, seconds
from tests.servers import FaultProxy, ValkeyServer
from tests.support import EVERYTHING, Client, Visit, at_once, respond

INJECTED = (0.005, 0.05, 0.5)
"""Seconds that a round trip to the server takes."""


class Meter(FaultProxy):
    """A proxy that counts what is asked of the second tier.

    Attributes:
        asked: Requests on their way to the server; each is a round trip.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.asked = 0

    async def _pump(self, link: Any, source: Any, sink: Any) -> None:
        await super()._pump(link, _Heard(self, source) if sink is link.server else source, sink)


class _Heard:
    """What a client sends, while it is counted. A short command comes in one piece."""

    def __init__(self, meter: Meter, source: asyncio.StreamReader) -> None:
        self._meter, self._source = meter, source

    async def read(self, size: int) -> bytes:
        piece = await self._source.read(size)
        # The tier's keys have this in their names; those of the log and of leases have not.
        self._meter.asked += b":e:" in piece
        return piece


class Slow:
    """A cache over a server behind a meter, and an origin that takes no time.

    Attributes:
        before: What had been asked of the second tier when the origin was run last.
        clock: The cache's clock, which stands still.
    """

    def __init__(self, meter: Meter, namespace: str) -> None:
        self.meter = meter
        self.before = 0
        self.clock = FakeClock()
        self.manager = CacheManager(
            redis_url=meter.url, namespace=namespace, clock=self.clock, wall=self.clock
        )
        self.client = Client(CacheMiddleware(self._answer, self.manager, rules=EVERYTHING))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.before = self.meter.asked
        await respond(send, scope["path"].encode())

    async def asking(self, target: str) -> "Asked":
        """Ask, and let what was stored be written before going on."""
        begun, before, visit = time.perf_counter(), self.meter.asked, _Watched(self.meter)
        reply = await self.client.get(target, visit=visit)
        taken = time.perf_counter() - begun
        await self.manager.engine.stack.settle()
        return Asked(reply.cache, taken, self.before - before, visit.asked - before)


class _Watched(Visit):
    """A request that notes what had been asked of the second tier when its answer was complete."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self.asked = 0
        self._meter = meter

    async def send(self, message: Message) -> None:
        await super().send(message)
        self.asked = self._meter.asked


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        cache: What `Cache-Status` says.
        taken: Seconds.
        before, trips: Round trips before the origin was run, and until the answer was complete.
    """

    cache: str
    taken: float
    before: int
    trips: int


@pytest.fixture
async def slow(own_valkey: ValkeyServer, namespace: str) -> AsyncIterator[Slow]:
    """All is connected, scripts are there, and nothing is slow yet."""
    async with Meter(own_valkey.port) as meter:
        made = Slow(meter, namespace)
        async with made.manager:
            for number in range(3):
                await made.asking(f"/first/{number}")
            yield made


@pytest.mark.parametrize("injected", INJECTED)
async def test_a_hit_in_memory_waits_for_nothing_however_slow_the_server_is(
    slow: Slow, injected: float, figure: Figure
) -> None:
    """It is answered without giving up the event loop once."""
    await slow.asking("/warm")
    asked = slow.meter.asked
    times = {}
    for delay in (0.0, injected):
        slow.meter.delay = delay / 2
        taken = []
        for _ in range(200):
            begun = time.perf_counter()
            reply = at_once(slow.client.get("/warm"))
            taken.append(time.perf_counter() - begun)
            assert "detail=l1" in reply.cache
        times[delay] = sorted(taken)[100]

    assert slow.meter.asked == asked
    measured = f"{times[injected] * 1e6:.0f} us, without {times[0.0] * 1e6:.0f} us"
    figure(f"hit in memory, server {seconds(injected)} slow, p50", measured, "unchanged")


@pytest.mark.parametrize("injected", INJECTED[:2])
async def test_a_miss_costs_one_round_trip(slow: Slow, injected: float, figure: Figure) -> None:
    """The one look; what the origin answers goes out before it is written to the server."""
    slow.meter.delay = injected / 2
    misses = [await slow.asking(f"/cold/{number}") for number in range(10)]

    assert all("stored" in miss.cache for miss in misses)
    assert {(miss.before, miss.trips) for miss in misses} == {(1, 1)}
    taken = sorted(miss.taken for miss in misses)
    name = f"miss, server {seconds(injected)} slow, added at p50"
    figure(name, seconds(taken[5]), f"{seconds(2 * injected)}, 1 round trip")


async def test_a_hit_of_a_slow_second_tier_costs_one_round_trip(slow: Slow) -> None:
    """The entry and the time that it has left come together."""
    await slow.asking("/there")
    slow.manager.engine.stack.local.clear()
    slow.meter.delay = INJECTED[0] / 2
    hit = await slow.asking("/there")

    assert "detail=l2" in hit.cache
    assert hit.trips == 1


@pytest.mark.usefixtures("usual_redis_timeout")
async def test_a_server_slower_than_our_patience_is_soon_left_out(
    slow: Slow, figure: Figure
) -> None:
    """Three misses wait, each for no longer than 250 ms; then nobody does, nor asks."""
    slow.meter.delay = INJECTED[2] / 2
    misses = [await slow.asking(f"/cold/{number}") for number in range(10)]

    failures = slow.manager.tier_stats()[1].failures

    assert all("stored" in miss.cache for miss in misses)
    # Reads and writes have a breaker each, and no request waits for a write.
    assert failures == {"get": 3, "set": 3}, "who waits for the breaker to open"
    assert misses[-1].trips == 0
    worst = max(miss.taken for miss in misses)
    figure("miss, server 500 ms slow, added at most", seconds(worst), "250 ms")


@pytest.mark.usefixtures("usual_redis_timeout")
async def test_a_server_that_never_answers_is_waited_for_within_our_patience(
    slow: Slow, figure: Figure
) -> None:
    """There is no answer to wait for: that the origin is asked at all is our own deadline."""
    slow.meter.stall("data")
    miss = await slow.asking("/cold")

    assert "stored" in miss.cache
    figure("miss, server never answers, added", seconds(miss.taken), "250 ms")
