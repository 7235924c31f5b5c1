"""Across processes: who waits for another one's run has a link to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, Rule
from asgi_multitier.redis import Claim
from tests.fakeredis_server import Server
from tests.patience import until
from tests.servers import ValkeyServer
from tests.support import Client, Origin, settled
from tests.tracing.support import Seen, attributes, events, id_of, unsampled

RULES = (Rule("*", 60, coalesce="fleet", coalesce_timeout=600),)


class Instance:
    """One of two instances.

    Attributes:
        client, manager, origin: Its own.
        seen: Its spans; None if it makes none.
    """

    def __init__(self, manager: CacheManager, seen: Seen | None) -> None:
        self.manager = manager
        self.origin = Origin()
        self.client = Client(CacheMiddleware(self.origin, manager, rules=RULES))
        self.seen = seen
        if seen is not None:
            manager.instrument(tracer_provider=seen.provider, metrics=False)

    def begin(self, path: str, name: str) -> "asyncio.Task[None]":
        """A GET in a span of its own."""

        async def get() -> None:
            assert self.seen is not None
            with self.seen.request(name):
                await self.client.get(path)

        return asyncio.create_task(get() if self.seen is not None else self._get(path))

    async def _get(self, path: str) -> None:
        await self.client.get(path)


Lost = asyncio.Semaphore


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Lost:
    """Claims that were lost, and begin to wait: each wait has a span, however short it is."""
    found = asyncio.Semaphore(0)
    released = Claim.released

    async def waits(claim: Claim, timeout: float) -> bool:
        found.release()
        return await released(claim, timeout)

    monkeypatch.setattr(Claim, "released", waits)
    monkeypatch.setattr("asgi_multitier.tracing.traces.LONG_WAIT", 0.0)
    return found


@asynccontextmanager
async def two(
    server: Server, namespace: str, here: Seen | None, there: Seen | None
) -> AsyncIterator[tuple[Instance, Instance]]:
    """Two instances of one application; the first one's origin waits for its gate."""
    async with AsyncExitStack() as stack:
        made = []
        for seen in (here, there):
            manager = CacheManager(redis=server.target, namespace=namespace, redis_timeout=30)
            await stack.enter_async_context(manager)
            await until(lambda manager=manager: manager.engine.log.trusted)
            made.append(Instance(manager, seen))
        made[0].origin.gate.clear()
        yield made[0], made[1]


async def held_and_lost(one: Instance, other: Instance, lost: Lost) -> None:
    """The first instance runs the origin, the other one waits for it."""
    first = one.begin("/x", "leader")
    await one.origin.arrived.acquire()
    second = other.begin("/x", "follower")
    await lost.acquire()
    one.origin.gate.set()
    await asyncio.gather(first, second)
    await settled()
    await one.manager.engine.stack.settle()
    assert other.origin.calls == 0


async def test_a_wait_for_another_process_links_to_its_fill(
    server: Server, namespace: str, lost: Lost
) -> None:
    """Both have a fill; that of the one that waited has brought nothing itself."""
    here, there = Seen(), Seen()
    async with two(server, namespace, here, there) as (one, other):
        await held_and_lost(one, other, lost)

    assert here.lines() == ["cache fill * < leader: stored"]
    assert there.lines() == [
        "cache wait * < cache fill * ~ ?: released",
        "cache fill * < follower: elsewhere",
    ]
    fill, wait = here.one("cache fill *"), there.one("cache wait *")
    assert [id_of(link.context) for link in wait.links] == [id_of(fill.context)]
    assert wait.links[0].context.is_remote
    assert attributes(wait)["wait.kind"] == "lease"
    assert events(fill) == ["lease.won", "first-byte", "committed"]
    assert attributes(there.one("follower"))["outcome"] == "coalesced"


@pytest.mark.parametrize("holder", [None, unsampled()], ids=["without-spans", "unsampled"])
async def test_a_holder_that_says_nothing(
    server: Server, namespace: str, lost: Lost, holder: Seen | None
) -> None:
    """As one of an older release does: the wait is there, without a link."""
    there = Seen()
    async with two(server, namespace, holder, there) as (one, other):
        await held_and_lost(one, other, lost)

    assert there.lines() == [
        "cache wait * < cache fill *: released",
        "cache fill * < follower: elsewhere",
    ]


async def test_one_that_makes_no_spans_waits_for_one_that_does(
    server: Server, namespace: str, lost: Lost
) -> None:
    """As one of an older release does: it only compares what the lease holds."""
    here = Seen()
    async with two(server, namespace, here, None) as (one, other):
        await held_and_lost(one, other, lost)

    assert here.lines() == ["cache fill * < leader: stored"]


async def test_without_the_server_of_leases(own_valkey: ValkeyServer, namespace: str) -> None:
    """Each process runs the origin, and the fill says that there was no lease."""
    seen = Seen()
    async with two(own_valkey, namespace, seen, None) as (one, _):
        own_valkey.stop()
        one.origin.gate.set()
        await one.begin("/x", "leader")
        await settled()

    assert events(seen.one("cache fill *"))[0] == "lease.skipped"


async def test_a_refresh_that_another_process_does(
    server: Server, namespace: str, lost: Lost
) -> None:
    """Where leases are, a refresh waits for another one's, and links to it as well."""
    here, there = Seen(), Seen()
    rules = (Rule("*", 0.01, stale_while_revalidate=600, coalesce="fleet"),)
    async with two(server, namespace, here, there) as (one, other):
        for instance in (one, other):
            instance.client = Client(
                CacheMiddleware(instance.origin, instance.manager, rules=rules)
            )
        one.origin.gate.set()
        await one.begin("/x", "filled")
        await one.manager.engine.stack.settle()
        await settled()
        one.origin.gate.clear()
        begun = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() > begun + 0.011)
        await one.begin("/x", "stale")
        await until(lambda: one.origin.calls == 2)
        await other.begin("/x", "stale elsewhere")
        await lost.acquire()
        one.origin.gate.set()
        await until(lambda: any(span.name.startswith("cache refresh") for span in there.own))
        await until(lambda: any(span.name.startswith("cache refresh") for span in here.own))

    assert here.lines()[-1] == "cache refresh * < - ~ stale: stored"
    assert there.lines()[-1].startswith("cache refresh * < - ~ stale elsewhere")
    wait = there.one("cache wait *")
    refresh = here.one("cache refresh *")
    assert [id_of(link.context) for link in wait.links] == [id_of(refresh.context)]
