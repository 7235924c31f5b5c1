"""Looking up and storing values."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from asgi_multitier import (
    BackendError,
    CacheManager,
    CacheStrategy,
    MemoryTier,
    NullLocalTier,
    TierConfig,
)
from asgi_multitier.errors import ConfigError, SerializationError
from asgi_multitier.manager.keys import MAX_KEY
from asgi_multitier.manager.values import MISSING
from asgi_multitier.selectors import Selector
from asgi_multitier.serializers import MsgPackSerializer
from asgi_multitier.testing import FakeClock
from tests.manager.support import Function, SeenTier, in_memory, over

VALUES = [None, "", 0, False, [], {}, b"", "text", 1.5, {"a": [1, None]}, b"\x00bytes", "j", b"j{"]


@pytest.mark.parametrize("serializer", [None, MsgPackSerializer()], ids=["json", "msgpack"])
@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_every_value_comes_back_empty_ones_and_none_included(
    value: Any, serializer: MsgPackSerializer | None
) -> None:
    """What says "nothing" is a value too, from memory and from a shared tier."""
    clock = FakeClock()
    async with over(clock, SeenTier(clock), serializer=serializer) as cache:
        await cache.set("k", value)
        near = await cache.get("k", MISSING)
        cache.engine.stack.local.clear()
        far = await cache.get("k", MISSING)

        assert near == far == value
        assert type(near) is type(far) is type(value)


async def test_absent_key_gives_the_default() -> None:
    """None unless another default is given."""
    async with in_memory() as cache:
        assert await cache.get("k") is None
        assert await cache.get("k", 7) == 7
        assert cache.stats().misses == 2


async def test_values_are_copies() -> None:
    """To change what one caller got changes nothing for the next."""
    async with in_memory() as cache:
        value = [1]
        await cache.set("k", value)
        value.append(2)
        (await cache.get("k")).append(3)

        assert await cache.get("k") == [1]


@pytest.mark.parametrize(
    ("strategy", "seconds"),
    [
        (CacheStrategy.REAL_TIME, 10),
        (CacheStrategy.SHORT_TERM, 300),
        (CacheStrategy.MEDIUM_TERM, 3_600),
        (CacheStrategy.LONG_TERM, 10_800),
        (CacheStrategy.DEFAULT, 300),
        (CacheStrategy.custom(60), 60),
        (0.5, 0.5),
        (timedelta(minutes=1), 60),
    ],
    ids=repr,
)
async def test_a_strategy_is_the_lifetime_in_every_tier(strategy: Any, seconds: float) -> None:
    """To the moment, in memory and below it."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        await cache.set("k", 1, strategy)

        assert below.ttl("k") == pytest.approx(seconds)
        clock.advance(seconds * 0.999)
        assert await cache.get("k") == 1
        clock.advance(seconds * 0.002)
        assert await cache.get("k") is None


async def test_many_values_take_one_round_trip() -> None:
    """One to write and one to read, however many keys; absent ones are left out."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        await cache.set_many({f"k{i}": i for i in range(50)})
        cache.engine.stack.local.clear()
        found = await cache.get_many([*(f"k{i}" for i in range(50)), "absent", "k1"])

        assert found == {f"k{i}": i for i in range(50)}
        assert below.calls == {"set": 1, "get": 1}
        assert cache.stats().l2_hits == 50
        assert cache.stats().misses == 1


@pytest.mark.no_cover  # it repeats what others cover
async def test_thousands_of_values_are_asked_for_in_parts() -> None:
    """Each call of a tier has one time limit, whatever is asked for."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        values = {f"k{i}": i for i in range(8_000)}
        await cache.set_many(values, tags=["t"])
        assert below.calls == {"set": 16}
        cache.engine.stack.local.clear()

        assert await cache.get_many([*values, "absent"]) == values
        assert below.calls["get"] == 17
        await cache.invalidate(*values)
        assert below.calls["delete"] == 16
        assert not below.items
        assert await cache.get_many(values) == {}


async def test_large_values_are_written_in_parts() -> None:
    """By bytes too."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        await cache.set_many({f"k{i}": b"x" * 900_000 for i in range(10)})

        assert below.calls == {"set": 3}
        assert len(below.items) == 10


async def test_a_tier_that_does_not_answer_is_waited_for_once() -> None:
    """Not once a part."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        values = {f"k{i}": i for i in range(1_500)}
        await cache.set_many(values)
        below.calls.clear()
        below.broken = True
        await cache.set_many(values)
        assert await cache.get_many(values) == values
        cache.engine.stack.local.clear()

        assert await cache.get_many(values) == {}
        await cache.invalidate(*values)
        assert below.calls == {"set": 1, "get": 1, "delete": 1}


async def test_one_value_among_many_that_cannot_be_stored_is_named() -> None:
    """And nothing is stored."""
    async with in_memory() as cache:
        with pytest.raises(SerializationError, match="'b': object cannot be stored"):
            await cache.set_many({"a": 1, "b": object(), "c": 2})
        with pytest.raises(ConfigError, match="key=''"):
            await cache.get_many(["a", "", "c"])

        assert await cache.get_many(["a", "c"]) == {}


async def test_thousands_of_tags_are_dropped_at_once() -> None:
    """The bound is on what one value carries."""
    async with in_memory() as cache:
        await cache.set("k", 1, tags=["t1500"])
        await cache.set("other", 1, tags=["u"])
        await cache.invalidate_tags(*(f"t{i}" for i in range(2_000)))

        assert await cache.get_many(["k", "other"]) == {"other": 1}


async def test_nothing_to_store_is_no_error() -> None:
    """An empty mapping stores nothing."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        await cache.set_many({})
        await cache.set_many({}, broadcast=True)

        assert await cache.get_many([]) == {}
        assert not below.calls


@pytest.mark.parametrize(
    "key", ["", "\x00response", "k" * (MAX_KEY + 1), 7, None, b"k"], ids=lambda key: repr(key)[:12]
)
async def test_keys_that_are_none_are_refused(key: Any) -> None:
    """Each way in says so in the same words."""
    async with in_memory() as cache:
        calls = [
            lambda: cache.get(key),
            lambda: cache.get_typed(key, int),
            lambda: cache.get_many([key]),
            lambda: cache.set(key, 1),
            lambda: cache.update(key, 1),
            lambda: cache.get_or_compute(key, lambda: 1),
            lambda: cache.get_or_compute_typed(key, int, lambda: 1),
            lambda: cache.invalidate(key),
        ]
        for call in calls:
            with pytest.raises(ConfigError, match=f"key=.*1 to {MAX_KEY} bytes"):
                await call()


async def test_the_longest_key_is_a_key() -> None:
    """The bound itself is allowed, and any character."""
    async with in_memory() as cache:
        for key in ("k" * MAX_KEY, "ü" * (MAX_KEY // 2), " *?[]\n", "\x01"):
            await cache.set(key, 1)

            assert await cache.get(key) == 1


async def test_one_text_is_not_several_keys() -> None:
    """`get_many("abc")` would ask for three keys of one letter."""
    async with in_memory() as cache:
        with pytest.raises(ConfigError, match="keys='abc'"):
            await cache.get_many("abc")


@pytest.mark.parametrize(
    "tags",
    ["tag", 7, [""], [7], ["t" * 129], ["t"] * 65],
    ids=["a text", "a number", "empty", "not a text", "too long", "too many"],
)
async def test_tags_beyond_bounds_are_refused(tags: Any) -> None:
    """A tag that is not kept is one that no invalidation finds."""
    async with in_memory() as cache:
        for call in (
            lambda: cache.set("k", 1, tags=tags),
            lambda: cache.get_or_compute("k", lambda: 1, tags=tags),
        ):
            with pytest.raises(ConfigError, match="tags="):
                await call()


async def test_tags_at_the_bound_are_taken() -> None:
    """64 of them, 128 bytes each."""
    async with in_memory() as cache:
        tags = [f"{i:03}" + "ü" * 62 + "x" for i in range(64)]
        await cache.set("k", 1, tags=tags)
        await cache.invalidate_tags(tags[63])

        assert await cache.get("k") is None


@pytest.mark.parametrize("lifetime", [0, -1, "1h", None, True, [1], float("nan"), 2**31 + 1])
async def test_lifetimes_that_are_none_are_refused(lifetime: Any) -> None:
    """True is not one second, whatever was asked before."""
    async with in_memory() as cache:
        await cache.set("k", 1, 1)
        await cache.get_or_compute("k", lambda: 1, 1)
        for call in (
            lambda: cache.set("k", 1, lifetime),
            lambda: cache.get_or_compute("k", lambda: 1, lifetime),
        ):
            with pytest.raises(ConfigError, match="strategy="):
                await call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jiter": 0.1}, "did you mean jitter"),
        ({"coalesce": True}, "coalesce is not an option"),
        ({"jitter": 1}, "jitter=1 "),
        ({"eager_refresh": 2}, "eager_refresh=2 "),
        ({"stale_if_error": -1}, "stale_if_error=-1 "),
        ({"stale_while_revalidate": []}, "stale_while_revalidate="),
    ],
    ids=["unknown", "of computing", "jitter", "eager", "negative", "not hashable"],
)
async def test_options_of_storing_are_checked(options: Any, message: str) -> None:
    """The option, the value and what is allowed."""
    async with in_memory() as cache:
        for call in (
            lambda: cache.set("k", 1, **options),
            lambda: cache.set_many({"k": 1}, **options),
            lambda: cache.set_with_broadcast("k", 1, **options),
        ):
            with pytest.raises(ConfigError, match=message):
                await call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vary": ["accept"]}, "vary is not an option"),
        ({"coalesce": 1}, "coalesce=1 "),
        ({"coalesce": "all"}, "coalesce='all' "),
        ({"soft_timeout": 0}, "soft_timeout=0 "),
        ({"soft_timeout": 2, "hard_timeout": 1}, "at most hard_timeout=1"),
    ],
    ids=["of responses", "coalesce 1", "coalesce all", "soft", "soft above hard"],
)
async def test_options_of_computing_are_checked(options: Any, message: str) -> None:
    """1 is not True here, although they are equal."""
    async with in_memory() as cache:
        await cache.get_or_compute("k", lambda: 1, coalesce=True)
        with pytest.raises(ConfigError, match=message):
            await cache.get_or_compute("k", lambda: 1, **options)


async def test_jitter_takes_at_most_its_share_of_the_lifetime() -> None:
    """What was stored together does not end together, and nothing lives longer than asked."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        for i in range(200):
            await cache.set(f"k{i}", i, 100, jitter=0.2)
        lives = [below.ttl(f"k{i}") or 0 for i in range(200)]

        assert 80 <= min(lives) < 85
        assert 95 < max(lives) <= 100


async def test_value_that_cannot_be_bytes_is_refused_and_nothing_is_stored() -> None:
    """All or none of what was given together."""
    async with in_memory() as cache:
        with pytest.raises(SerializationError, match="object"):
            await cache.set_many({"a": 1, "b": object()})

        assert await cache.get("a") is None


@pytest.mark.parametrize(("size", "fits"), [(999, True), (1000, False)])
async def test_value_beyond_the_bound_is_refused(size: int, fits: bool) -> None:
    """A value and its format's mark take `max_entry` bytes at most: L2 would not read more."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below, max_entry=1000) as cache:
        if fits:
            await cache.set("k", b"x" * size)
            cache.engine.stack.local.clear()
            assert await cache.get("k") == b"x" * size
        else:
            with pytest.raises(SerializationError, match="1001 bytes are more than max_entry=1000"):
                await cache.set("k", b"x" * size)
        big = Function(b"x" * size)

        assert await cache.get_or_compute("big", big) == big.value
        assert await cache.get("big") == (big.value if fits else None)
        assert cache.stats().refused == ({} if fits else {"oversized": 1})


async def test_set_says_when_no_tier_took_it() -> None:
    """It raises only if none did: a value in memory alone is stored."""
    clock = FakeClock()
    below = SeenTier(clock)
    below.broken = True
    async with over(clock, below) as cache:
        await cache.set("k", 1)

        assert await cache.get("k") == 1
        assert cache.tier_stats()[1].failures == {"set": 1}


@pytest.mark.parametrize("below", [True, False], ids=["broken below", "nothing below"])
async def test_set_raises_when_no_tier_took_it(below: bool) -> None:
    """Memory has no room for it, and there is nothing else: the caller is told."""
    clock = FakeClock()
    tier = SeenTier(clock)
    tier.broken = True
    small = MemoryTier(max_bytes=2_000, clock=clock)
    tiers: list[Any] = [(small, TierConfig.l1()), *([(tier, TierConfig.l2())] if below else [])]
    async with CacheManager(tiers=tiers, redis_url=None, clock=clock, wall=clock) as cache:
        reason = "broken on purpose" if below else "no room in memory"
        with pytest.raises(BackendError, match=f"no tier took 'big': .*{reason}"):
            await cache.set_many({"small": 1, "big": "x" * 2_000})

        assert await cache.get("small") == 1


async def test_set_that_is_invalidated_at_once_is_no_error() -> None:
    """It was stored and dropped: what the caller would see a moment later anyway."""
    async with in_memory() as cache:
        cache.engine.log.begin([Selector("key", "k")], settle=60)
        await cache.set("k", 1)

        assert await cache.get("k") is None
        assert cache.stats().refused == {"invalidated": 1}


async def test_null_tier_keeps_nothing_and_answers_all_the_same() -> None:
    """To switch the first tier off changes the counts only."""
    clock = FakeClock()
    below = SeenTier(clock)
    tiers = [(NullLocalTier(), TierConfig.l1()), (below, TierConfig.l2())]
    async with CacheManager(tiers=tiers, redis_url=None, clock=clock, wall=clock) as cache:
        await cache.set("k", 1)

        assert await cache.get("k") == 1
        assert await cache.get("k") == 1
        assert cache.stats().l2_hits == 2
        assert cache.stats().l1_hits == 0


async def test_stale_value_is_no_answer_to_a_plain_get() -> None:
    """Nobody could renew it: a stale value is kept only for `get_or_compute`."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        await cache.set("k", 1, 10, stale_if_error=60, stale_while_revalidate=60)
        clock.advance(11)

        assert await cache.get("k") is None
        assert cache.stats().total.stale == 0


async def test_fresh_value_below_is_preferred_to_a_stale_one_in_memory() -> None:
    """Another instance has renewed it in L2; the old one here does not stand before it."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        await cache.set("k", "old", 10, stale_if_error=600)
        old = cache.engine.stack.local.get("k")
        clock.advance(5)
        await cache.set("k", "new", 10, stale_if_error=600)
        assert old is not None
        cache.engine.stack.local.set(old)
        clock.advance(6)

        assert await cache.get("k") == "new"
        assert cache.stats().l2_hits == 1


async def test_value_stored_while_the_shared_tier_was_asked_is_found() -> None:
    """A look-up that misses below looks once more in memory."""
    clock = FakeClock()
    below = SeenTier(clock)
    below.gate = asyncio.Event()
    async with over(clock, below) as cache:
        asking = asyncio.create_task(cache.get("k"))
        await below.entered.wait()
        storing = asyncio.create_task(cache.set("k", 1))
        await asyncio.sleep(0)
        below.gate.set()

        assert await asking == 1
        await storing
        assert cache.stats().l1_hits == 1


async def test_compressed_values_are_smaller_below_and_the_same_above() -> None:
    """`compress_over` counts bytes; smaller ones are left as they are."""
    clock = FakeClock()
    plain, packed = SeenTier(clock), SeenTier(clock)
    text = "all work and no play " * 100
    async with over(clock, plain) as one, over(clock, packed, compress_over=500) as two:
        for cache in (one, two):
            await cache.set("big", text)
            await cache.set("small", "text")
            cache.engine.stack.local.clear()

            assert await cache.get("big") == text
        sizes = [sorted(len(value) for value, _ in tier.items.values()) for tier in (plain, packed)]
        assert sizes[0][0] == sizes[1][0]
        assert sizes[1][1] < sizes[0][1] / 5


async def test_invalidated_keys_leave_the_shared_tier_as_well() -> None:
    """Nobody would believe them; they only take room."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        await cache.set_many({"a": 1, "b": 2})
        await cache.invalidate("a")

        assert below.ttl("a") is None
        assert below.ttl("b") == 300
