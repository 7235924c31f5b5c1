"""What is seen in the tiers: of this process, of others, of those that fail; and nothing moves."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from cachetools import LRUCache

from asgi_multitier import BackendError, CacheManager, CacheMiddleware, MemoryTier, Rule
from asgi_multitier.asgi.read_your_writes import COOKIE, token
from asgi_multitier.entry import Born, Slot
from asgi_multitier.explain import Verdict
from asgi_multitier.testing import FakeClock
from asgi_multitier.tiers.base import Held
from tests.http.test_shared_tiers import DictTier
from tests.support import Cache, Client, Origin, caching

SECRET = b"0123456789abcdef"
URL = "http://example.org/x"


class Counting(DictTier):
    """Notes its reads, and may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.fails = False

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        """As in any tier."""
        self.reads += 1
        if self.fails:
            raise BackendError("away")
        return await super().get_many(keys)


class Away(Counting):
    """Takes nothing either, while it fails."""

    async def set_many(self, items: Mapping[str, tuple[bytes, float]]) -> None:
        """As in any tier."""
        if self.fails:
            raise BackendError("away")
        await super().set_many(items)


async def emptied(cache: Cache) -> None:
    """What another process has stored: here only the shared tier has it."""
    await cache.get("/x")
    await cache.manager.engine.stack.settle()
    cache.manager.engine.stack.local.clear()


async def test_a_shared_tier_is_asked_if_wanted() -> None:
    """Once, and neither counted nor promoted."""
    tier = Counting()
    async with caching(Origin(), l2=tier) as cache:
        await emptied(cache)
        before, reads = cache.manager.stats(), tier.reads
        unasked = await cache.manager.explain("GET", URL)
        assert tier.reads == reads
        found = await cache.manager.explain("GET", URL, shared=True)
        assert tier.reads == reads + 1
        assert cache.manager.stats() == before
        assert len(cache.manager.engine.stack.local) == 0

    assert (unasked.verdict, unasked.unknown) == ("unknown", ("shared",))
    assert unasked.remedy == "Pass shared=True to explain"
    assert (found.verdict, found.tier) == ("hit", 2)
    (entry,) = found.entries
    assert (entry.tier, entry.name, entry.state, entry.uses) == (2, "dict", "fresh", None)


async def test_what_a_shared_tier_has_may_be_dropped() -> None:
    """It is told by which record."""
    tier = Counting()
    async with caching(Origin(), l2=tier) as cache:
        await emptied(cache)
        await cache.manager.invalidate_path("/x")
        found = await cache.manager.explain("GET", URL, shared=True)

    assert found.verdict is Verdict.MISS
    (entry,) = found.entries
    assert entry.state == "dropped"
    assert [(one.kind, one.record > 0) for one in entry.dropped_because] == [("path", True)]


async def test_a_newer_one_of_another_process_is_the_answer() -> None:
    """Where the one in memory is past its lifetime."""
    tier = Counting()
    async with caching(Origin(), l2=tier) as cache:
        await cache.get("/x")
        local = cache.manager.engine.stack.local
        assert isinstance(local, MemoryTier)
        (old,) = local.select(lambda _: True)
        cache.clock.advance(200)
        local.clear()
        await cache.manager.engine.stack.settle()
        tier.held.clear()
        await emptied(cache)
        local.set(Slot(old.entry))
        cache.clock.advance(150)
        unasked = await cache.manager.explain("GET", URL)
        found = await cache.manager.explain("GET", URL, shared=True)
        reply = await cache.get("/x")

    assert (unasked.verdict, unasked.unknown) == ("unknown", ("shared",))
    assert (found.verdict, found.tier) == ("hit", 2)
    assert [(entry.tier, entry.state) for entry in found.entries] == [(1, "expired"), (2, "fresh")]
    assert "l2" in reply.cache


async def test_a_shared_tier_may_fail() -> None:
    """Then it is not known; nothing is raised, counted or suspended."""
    tier = Counting()
    async with caching(Origin(), l2=tier) as cache:
        await emptied(cache)
        tier.fails = True
        for _ in range(20):
            found = await cache.manager.explain("GET", URL, shared=True)
        stats = cache.manager.stats().tiers[1]
        tier.fails = False
        assert (await cache.manager.explain("GET", URL, shared=True)).verdict is Verdict.HIT

    assert (found.verdict, found.unknown) == ("unknown", ("silent",))
    assert "a shared tier is silent" in found.sentence
    assert found.remedy == ""
    assert stats.failures == {}


async def test_a_shared_tier_that_has_never_answered_is_none() -> None:
    """Such as a server at the default address where there is none: what is not stored is a miss."""
    tier = Away()
    tier.fails = True
    async with caching(Origin(), l2=tier) as cache:
        await cache.get("/other")
        await cache.manager.engine.stack.settle()
        found = await cache.manager.explain("GET", URL, shared=True)
        tier.fails = False
        await emptied(cache)
        tier.fails = True
        later = await cache.manager.explain("GET", URL, shared=True)

    assert (found.verdict, found.unknown) == ("miss", ())
    assert (later.verdict, later.unknown) == ("unknown", ("silent",))


async def test_what_a_shared_tier_has_may_be_unreadable() -> None:
    """It counts as nothing."""
    tier = Counting()
    async with caching(Origin(), l2=tier) as cache:
        await emptied(cache)
        tier.held = dict.fromkeys(tier.held, b"?")
        found = await cache.manager.explain("GET", URL, shared=True)

    assert (found.verdict, found.entries) == ("miss", ())


async def test_a_log_that_is_not_heard_of() -> None:
    """Entries count for some seconds, and shared tiers are not believed."""
    tier = Counting()
    async with caching(Origin(), l2=tier) as cache:
        await cache.get("/x")
        index = cache.manager.engine.index
        index.distrust()
        young = await cache.manager.explain("GET", URL, shared=True)
        cache.clock.advance(10)
        old = await cache.manager.explain("GET", URL)
        again = (await cache.get("/x")).cache

    assert young.verdict is Verdict.HIT
    assert old.verdict is Verdict.DROPPED
    assert [one.cause for one in old.entries[0].dropped_because] == ["untrusted"]
    assert "has not been heard of" in old.sentence
    assert "uri-miss" in again


class Blind:
    """A local tier that has only what each must have."""

    name = "blind"

    def __init__(self) -> None:
        self._slots: dict[str, Slot] = {}
        self.uses = 0

    def get(self, key: str) -> Slot | None:
        """Counts."""
        self.uses += 1
        return self._slots.get(key)

    def set(self, slot: Slot) -> bool:
        """Keeps it."""
        self._slots[slot.entry.key] = slot
        return True

    def delete(self, key: str) -> bool:
        """Forgets it."""
        return self._slots.pop(key, None) is not None

    def clear(self) -> None:
        """Forgets all."""
        self._slots.clear()

    def __len__(self) -> int:
        return len(self._slots)


async def test_a_first_tier_that_cannot_be_looked_into() -> None:
    """It is not asked, as that would count as a use."""
    tier = Blind()
    async with caching(Origin(), l1=tier) as cache:
        await cache.get("/x")
        uses = tier.uses
        found = await cache.manager.explain("GET", URL)
        assert tier.uses == uses

    assert (found.verdict, found.unknown) == ("unknown", ("local",))


@pytest.mark.parametrize("options", [{"cache": LRUCache(2)}, {"max_idle": 50.0}])
async def test_uses_that_a_tier_counts_are_not_made(options: dict[str, Any]) -> None:
    """What was looked at is not younger than before."""
    clock = FakeClock()
    tier = MemoryTier(clock=clock, **options)
    async with caching(Origin(), l1=tier, clock=clock, wall=clock) as cache:
        await cache.get("/x")
        await cache.get("/y")
        clock.advance(40)
        for _ in range(3):
            assert (await cache.manager.explain("GET", URL)).verdict is Verdict.HIT
        if "max_idle" in options:
            clock.advance(20)
            assert (await cache.manager.explain("GET", URL)).verdict is Verdict.MISS
            assert len(tier) == 2
        else:
            await cache.get("/z")
            assert (await cache.manager.explain("GET", URL)).verdict is Verdict.MISS


async def test_a_client_that_is_ahead() -> None:
    """One that has changed something which this process has not applied."""
    clock = FakeClock()
    manager = CacheManager(redis_url=None, secret=SECRET, clock=clock, namespace="test")
    app = CacheMiddleware(Origin(), manager, rules=[Rule("*", 60)], read_your_writes=True)
    async with manager:
        await Client(app).get("/x")
        gen = manager.engine.index.gen
        verdicts = []
        for position in (Born(gen, 0), Born(gen, 9), Born("other", 0)):
            cookie = {"cookie": f"{COOKIE}={token(position, SECRET)}"}
            found = await manager.explain("GET", URL, cookie)
            verdicts.append((found.verdict, found.reason))

    assert verdicts == [("hit", None), ("bypass", "position"), ("bypass", "position")]
